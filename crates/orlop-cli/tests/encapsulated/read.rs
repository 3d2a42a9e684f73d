//! What is read: the commit comes back with its id, from our layers and from those of ostree-ext, and what lies above it
//! becomes a new commit over it.

use crate::capsule::{Capsule, What, file, hard_link, place};
use crate::write::{MODES, fixture, id};
use crate::{imported, judge, ok, run, theirs};
use serde_json::Value;
use std::path::PathBuf;
use testkit::{Scratch, proof, scratch};

/// An image that ostree-ext wrote.
pub(crate) fn recorded(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/encapsulated/recorded");
    format!("oci-archive:{}", folder.join(format!("{name}.tar")).display())
}

/// What was recorded of it: the rest of each line that begins so.
fn lines(word: &str, name: &str) -> Vec<&'static str> {
    let begin = format!("{word} {name} ");
    include_str!("recorded/recorded.txt").lines().filter_map(|line| line.strip_prefix(&*begin)).collect()
}

fn repository(it: &Scratch, mode: &str) -> String {
    ok(it, &["ostree", "init", "--repo", mode, "--mode", mode]);
    format!("--repo={mode}")
}

#[test]
fn a14_what_ostree_ext_encapsulated_has_its_id_again() {
    let it = scratch();
    for mode in MODES {
        let repo = repository(&it, mode);
        for name in ["one", "many"] {
            let told =
                imported(&it, &["--verify-id=require", &recorded(name), &format!("ostree:{mode}@{name}")]);
            assert_eq!(told["identity"], "lossless", "{mode} {name}");
            assert_eq!(told["commit"], lines("commit", name)[0], "{mode} {name}");
            let note = ["ostree", "show", &repo, "--print-detached-metadata-key=note", name];
            assert_eq!(ok(&it, &note).trim(), "'beside'");
        }
        ok(&it, &["ostree", "fsck", &repo]);
        let labelled = ok(&it, &["ostree", "ls", &repo, "-X", "one", "/usr/bin/labelled"]);
        assert!(labelled.contains("security.selinux") && labelled.contains("user.note"), "{labelled}");
    }
    proof::ran("ostree: images of ostree-ext have their ids again", MODES.len() * 2);
}

#[test]
fn layers_above_a_commit_are_merged_as_ostree_ext_merges_them() {
    let it = scratch();
    let repo = repository(&it, "bare");
    let told = imported(&it, &[&recorded("above"), "ostree:bare@merged"]);
    let base = lines("commit", "many")[0];
    assert_eq!((&told["identity"], &told["claimed"]), (&Value::from("new"), &Value::from(base)));
    let listed = ok(&it, &["ostree", "ls", &repo, "-R", "merged"]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut ours: Vec<String> = listed.lines().map(words).collect();
    ours.retain(|line| !line.ends_with(" /var") && !line.ends_with(" /sysroot"));
    ours.sort();
    let mut wanted = lines("merged", "above");
    wanted.sort_unstable();
    assert_eq!(ours, wanted);
    assert_eq!(ok(&it, &["ostree", "rev-parse", &repo, "merged^"]).trim(), base, "the commit is its parent");
    ok(&it, &["ostree", "fsck", &repo]);
    let folder = |name: &str| ok(&it, &["ostree", "ls", &repo, "-Xd", name, "/usr/lib"]);
    assert!(folder("merged").contains("security.selinux"), "a folder keeps its label");
    let refused = run(&it, &["copy", "--verify-id=require", &recorded("above"), "ostree:bare@required"]);
    assert!(refused.code() == Some(5) && refused.err().contains("2 layers lie above it"), "{refused}");
    proof::ran("ostree: layers above a commit of ostree-ext", 1);
}

#[test]
fn what_we_encapsulate_has_its_id_again_in_every_mode() {
    const PROOF: &str = "ostree: what is encapsulated comes back with its id";
    let Some(ostree) = judge(PROOF) else { return };
    let it = fixture(&ostree);
    let id = id(&it, &ostree);
    for (tag, how) in [("one", &[][..]), ("many", &["--chunked=4", "--compress=zstd"])] {
        let image = format!("oci:img:{tag}");
        ok(&it, &[&["copy", "--profile=encapsulated"], how, &["ostree:bare@os/x", &image]].concat());
        for mode in MODES {
            let repo = format!("back-{tag}-{mode}");
            theirs(&it, &ostree, &["init", "--repo", &repo, "--mode", mode]);
            let words = ["--verify-id=require", &image, &format!("ostree:{repo}@x")];
            assert_eq!(imported(&it, &words)["commit"], *id, "{repo}");
            assert!(theirs(&it, &ostree, &["fsck", "--repo", &repo]).contains("no errors found"));
            let note = ["show", "--repo", &repo, "--print-detached-metadata-key=note", "x"];
            assert_eq!(theirs(&it, &ostree, &note), "'beside'");
        }
    }
    proof::ran(PROOF, MODES.len() * 2);
}

#[test]
fn another_commit_is_made_where_that_is_wanted_or_nothing_else_can_be() {
    let it = scratch();
    repository(&it, "bare");
    repository(&it, "bare-user-only");
    let id = lines("commit", "one")[0];
    let off = imported(&it, &["--verify-id=off", &recorded("one"), "ostree:bare@off"]);
    assert_eq!((&off["identity"], &off["claimed"]), (&Value::from("new"), &Value::Null));
    let tree = |name: &str| ok(&it, &["ostree", "ls", "--repo=bare", "-RC", name]);
    imported(&it, &[&recorded("one"), "ostree:bare@same"]);
    assert_eq!(tree("off"), tree("same"), "the files are those of the commit");
    let canonical = imported(&it, &[&recorded("one"), "ostree:bare-user-only@x"]);
    assert_eq!((&canonical["identity"], &canonical["claimed"]), (&Value::from("new"), &Value::from(id)));
    ok(&it, &["ostree", "fsck", "--repo=bare-user-only"]);
    let above = imported(&it, &[&recorded("above"), "ostree:bare-user-only@above"]);
    assert_eq!(above["identity"], "new");
    ok(&it, &["ostree", "fsck", "--repo=bare-user-only"]);
}

/// What a build changes of a file that is linked into the repository comes as a changed object and links to it.
#[test]
fn links_into_the_repository_mean_what_lies_there() {
    let it = scratch();
    repository(&it, "bare");
    let capsule = Capsule::new();
    let object = place(&capsule.a);
    let (mut changed, linked) = (capsule, vec![hard_link("b", &object)]);
    changed = changed.above(linked);
    changed = changed.above(vec![
        ("sysroot".into(), What::Folder),
        file(&object, "changed"),
        hard_link("a", &object),
        hard_link("usr/c", &object),
        file("sysroot/ostree/repo/config", "changed"),
        file("etc/.wh.name", ""),
    ]);
    changed.write(&it, "img");
    imported(&it, &["oci:img:latest", "ostree:bare@x"]);
    let content = |path: &str| ok(&it, &["ostree", "cat", "--repo=bare", "x", path]);
    assert_eq!((content("/a"), content("/usr/c")), ("changed".into(), "changed".into()));
    assert_eq!(content("/b"), "content of a", "it was linked before the object was changed");
    let listed = ok(&it, &["ostree", "ls", "--repo=bare", "-R", "x"]);
    assert!(!listed.contains("/sysroot/ostree") && !listed.contains("name"), "{listed}");
    ok(&it, &["ostree", "fsck", "--repo=bare"]);
}

#[test]
fn what_others_put_beside_the_repository_stays() {
    let it = scratch();
    repository(&it, "bare");
    let others = vec![("sysroot/ostree".into(), What::Folder), file("sysroot/ostree/deploy/x", "theirs")];
    Capsule::new().above(others).write(&it, "img");
    imported(&it, &["oci:img:latest", "ostree:bare@x"]);
    assert_eq!(ok(&it, &["ostree", "cat", "--repo=bare", "x", "/sysroot/ostree/deploy/x"]), "theirs");
    let listed = ok(&it, &["ostree", "ls", "--repo=bare", "-R", "x"]);
    assert!(!listed.contains("/sysroot/ostree/repo"), "{listed}");
}

#[test]
fn a_file_that_a_layer_has_by_both_names_of_the_settings_is_told() {
    let it = scratch();
    repository(&it, "bare");
    let told = |name: &str, layer| {
        Capsule::new().above(layer).write(&it, name);
        let (from, to) = (format!("oci:{name}:latest"), format!("ostree:bare@{name}"));
        let done = run(&it, &["copy", &from, &to]);
        assert!(done.success(), "{done}");
        done.err().contains("layer 2 has the file usr/etc/new of the commit also beneath etc")
    };
    assert!(told("both", vec![file("etc/new", "one"), file("usr/etc/new", "other")]));
    assert_eq!(ok(&it, &["ostree", "cat", "--repo=bare", "both", "/usr/etc/new"]), "other");
    assert!(!told("each", vec![file("etc/new", "one"), file("usr/etc/newer", "other")]));
}

#[test]
fn an_image_that_does_not_tell_where_the_commit_ends_is_taken_as_files() {
    let it = scratch();
    repository(&it, "bare");
    let mut capsule = Capsule::new();
    // As where a build has put all layers into one.
    capsule.last = Some(format!("sha256:{}", "0".repeat(64)));
    capsule.write(&it, "img");
    let told = imported(&it, &["oci:img:latest", "ostree:bare@x"]);
    let difference = told["difference"].as_str().expect("it says what differs");
    assert!(difference.contains("ostree.final-diffid"), "{difference}");
    assert!(ok(&it, &["ostree", "ls", "--repo=bare", "x", "/sysroot/ostree/repo"]).contains("/config"));
}
