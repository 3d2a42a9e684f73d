//! Images become commits: with the id that they had where they were one, and with a new one that follows from the image
//! alone where they were not.

use orlop::host::ostree::carried::Carried;
use orlop::host::ostree::{Commit, Dict, ObjectId, Variant};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;
use testkit::image::{Image, Packing};
use testkit::tarball::{self, Member, tar};
use testkit::{Finished, Peer, Scratch, orlop, peer, proof, scratch};

const MODES: [&str; 4] = ["archive", "bare", "bare-user", "bare-user-only"];

fn copy(it: &Scratch, words: &[&str]) -> Finished {
    orlop().args(["copy", "--progress=none"]).args(words).current_dir(it.root()).run()
}

/// What an import says of itself.
fn imported(it: &Scratch, words: &[&str]) -> Value {
    let done = copy(it, &[&["--format=json"], words].concat());
    assert!(done.success(), "{words:?}: {done}");
    serde_json::from_str(&done.out()).expect("JSON")
}

/// The real tool, which judges; `None` where it is not installed.
fn judge(proof: &str) -> Option<Peer> {
    let ostree = peer("ostree");
    if ostree.is_none() {
        proof::skipped(proof, "no ostree");
    }
    ostree
}

fn theirs(it: &Scratch, ostree: &Peer, words: &[&str]) -> String {
    ostree.command().args(words).current_dir(it.root()).ok().out().trim().to_owned()
}

fn layout(it: &Scratch, name: &str, image: Image) {
    image.layout().write(&it.folder(name));
}

/// The layers of the research: a whiteout, an opaque folder, and what they leave.
fn layers() -> Vec<Vec<u8>> {
    let lower = [
        Member::file("a", "lower a"),
        Member::file("b", "lower b").mode(0o755).owner(1, 2),
        Member::folder("d").mode(0o700),
        Member::file("d/x", "lower x"),
        Member::folder("gone"),
        Member::file("gone/deep", "gone"),
        Member::symlink("link", "b"),
        Member::hard_link("second", "b"),
    ];
    let upper = [
        Member::file("d/y", "upper y"),
        Member::file("d/.wh..wh..opq", ""),
        Member::file(".wh.a", ""),
        Member::file(".wh.gone", ""),
    ];
    vec![tar(lower), tar(upper)]
}

#[test]
fn layers_are_merged_as_the_real_tool_checks_them_out() {
    const PROOF: &str = "ostree: whiteouts through import";
    let Some(ostree) = judge(PROOF) else { return };
    let it = scratch();
    layout(&it, "img", Image::of(&layers(), Packing::Gzip));
    for mode in MODES {
        theirs(&it, &ostree, &["init", "--repo", mode, "--mode", mode]);
        let told = imported(&it, &["oci:img:latest", &format!("ostree:{mode}@merged")]);
        assert_eq!((&told["identity"], &told["claimed"]), (&json!("new"), &Value::Null), "{mode}");
        assert!(theirs(&it, &ostree, &["fsck", "--repo", mode]).contains("no errors found"));
    }
    // Each layer as a commit of its own, in which the real tool knows whiteouts when it checks out.
    for (number, bytes) in layers().iter().enumerate() {
        it.file("layer.tar", bytes);
        let (branch, tree) = (format!("layer{number}"), "--tree=tar=layer.tar");
        theirs(&it, &ostree, &["commit", "--repo=bare", "-b", &branch, tree, "--tar-autocreate-parents"]);
        let words = ["checkout", "--repo=bare", "--union", "--whiteouts", &branch, "union"];
        theirs(&it, &ostree, &words);
    }
    theirs(&it, &ostree, &["checkout", "--repo=bare", "merged", "ours"]);
    assert_eq!(names(&it, "ours"), names(&it, "union"));
    assert_eq!(names(&it, "ours").keys().filter(|name| name.contains("gone") || *name == "a").count(), 0);
    proof::ran(PROOF, MODES.len());
}

/// Paths, and the contents of files.
fn names(it: &Scratch, folder: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![it.path(folder)];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).expect("a folder") {
            let path = entry.expect("an entry").path();
            let kind = fs::symlink_metadata(&path).expect("there").file_type();
            let name = path.strip_prefix(it.path(folder)).expect("beneath").display().to_string();
            found.insert(name, kind.is_file().then(|| fs::read(&path).expect("a file")));
            if kind.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

/// A repository holds nothing of what higher layers replaced.
#[test]
fn what_higher_layers_replace_is_not_kept() {
    let Some(ostree) = judge("ostree: no losers are kept") else { return };
    let it = scratch();
    let layers =
        [tar([Member::file("f", "loses"), Member::file("g", "stays")]), tar([Member::file("f", "wins")])];
    layout(&it, "img", Image::of(&layers, Packing::Gzip));
    theirs(&it, &ostree, &["init", "--repo=r", "--mode=archive"]);
    imported(&it, &["oci:img:latest", "ostree:r@x"]);
    let objects = names(&it, "r/objects");
    assert_eq!(objects.keys().filter(|name| name.contains(".filez")).count(), 2, "{:?}", objects.keys());
    // A layer may replace its own files.
    let layer = [Member::file("f", "loses"), Member::file("f", "wins")];
    layout(&it, "one", Image::of(&[tar(layer)], Packing::Gzip));
    theirs(&it, &ostree, &["init", "--repo=one-r", "--mode=archive"]);
    let told = imported(&it, &["oci:one:latest", "ostree:one-r@x"]);
    let objects = names(&it, "one-r/objects");
    assert_eq!(objects.keys().filter(|name| name.contains(".filez")).count(), 1, "{:?}", objects.keys());
    assert_eq!(told["content"], json!({ "given": 2, "written": 1, "bytes": 4 }));
    proof::ran("ostree: no losers are kept", 2);
}

/// Contents that are handed over in batches and in pieces, from several layers at once.
#[test]
fn any_number_of_threads_makes_the_same_commit() {
    const PROOF: &str = "ostree: imports by several threads";
    let Some(ostree) = judge(PROOF) else { return };
    let it = scratch();
    let layer = |layer: u64| {
        let large = [Member::file(format!("{layer}/large"), testkit::noise(layer, 4_300_000))];
        let small = (0..300u64).map(|number| {
            let size = usize::try_from(number * number % 9000).expect("small");
            Member::file(format!("{layer}/{number}"), testkit::noise(100 * layer + number, size))
        });
        let limit = [Member::file(format!("{layer}/limit"), vec![7; 4 << 20])];
        tar([Member::folder(layer.to_string())].into_iter().chain(large).chain(small).chain(limit))
    };
    layout(&it, "img", Image::of(&[layer(0), layer(1)], Packing::Gzip));
    let mut ids = std::collections::BTreeSet::new();
    for mode in ["archive", "bare"] {
        for jobs in ["1", "3"] {
            let repo = format!("{mode}-{jobs}");
            theirs(&it, &ostree, &["init", "--repo", &repo, "--mode", mode]);
            let told = imported(&it, &["--jobs", jobs, "oci:img:latest", &format!("ostree:{repo}@x")]);
            assert_eq!(told["content"]["given"], json!(2 * 302), "{repo}");
            ids.insert(told["commit"].to_string());
            assert!(theirs(&it, &ostree, &["fsck", "--repo", &repo]).contains("no errors found"));
        }
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    proof::ran(PROOF, 4);
}

/// What comes of it is no warning, but where an id was promised that the commit does not have.
#[test]
fn how_the_commit_came_to_its_id_is_told() {
    const PROOF: &str = "ostree: the level of identity is told";
    let Some(ostree) = judge(PROOF) else { return };
    let it = scratch();
    carried(&it, &ostree, |_| {});
    layout(&it, "plain", Image::of(&layers(), Packing::Gzip));
    let said = |words: &[&str]| orlop().arg("copy").args(words).current_dir(it.root()).ok().err();
    let cases = [
        (&["oci:img:latest", "ostree:r@back"][..], "the commit came as it was, and has its id"),
        (&["oci:plain:latest", "ostree:r@plain"], "the image speaks of no commit: a new one was made"),
        (
            &["--verify-id=off", "oci:img:latest", "ostree:r@off"],
            "a new commit was made, not the one that the image speaks of",
        ),
    ];
    for (words, line) in cases {
        let told = said(&[words, &["--progress=plain"]].concat());
        assert!(told.lines().any(|said| said == line) && !told.contains("warning"), "{told}");
        let told = said(&[words, &["--progress=json"]].concat());
        let mut events = told.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        assert!(
            events.any(|event| (&event["event"], &event["text"]) == (&json!("told"), &json!(line))),
            "{told}"
        );
        assert_eq!(said(&[words, &["--progress=none"]].concat()), "", "{words:?}");
    }
    let it = scratch();
    carried(&it, &ostree, |carried| carried.commit.tree = ObjectId([7; 32]));
    let done = copy(&it, &["oci:img:latest", "ostree:r@x"]);
    assert!(done.success() && done.err().starts_with("warning: the image speaks of the commit"), "{done}");
    proof::ran(PROOF, cases.len() + 1);
}

/// Holes cost an archive nothing, but whoever hashes them.
#[test]
fn t4_holes_count_against_the_limit_of_size() {
    let Some(ostree) = judge("ostree: holes are bounded") else { return };
    let it = scratch();
    let size = tarball::Field(483, 12);
    let sparse = Member::new(b'S', "f", b"").set(tarball::MAGIC, b"ustar  \0").number(size, 1 << 32);
    layout(&it, "img", Image::of(&[tar([sparse])], Packing::Gzip));
    theirs(&it, &ostree, &["init", "--repo=r", "--mode=bare"]);
    for jobs in ["1", "2"] {
        let refused = copy(&it, &["--max-size=1M", "--jobs", jobs, "oci:img:latest", "ostree:r@x"]);
        assert!(refused.code() == Some(9) && refused.err().contains("the limit of 1048576"), "{refused}");
    }
    assert!(names(&it, "r/objects").values().all(Option::is_none), "nothing is left");
    proof::ran("ostree: holes are bounded", 2);
}

#[test]
fn one_image_becomes_one_commit_everywhere() {
    let Some(ostree) = judge("ostree: a new id follows from the image") else { return };
    let it = scratch();
    layout(&it, "one", Image::of(&layers(), Packing::Gzip));
    let mut ids = Vec::new();
    for (repo, jobs) in [("r1", "1"), ("r2", "4")] {
        theirs(&it, &ostree, &["init", "--repo", repo, "--mode=archive"]);
        let told = imported(&it, &["--jobs", jobs, "oci:one:latest", &format!("ostree:{repo}@{repo}/x")]);
        ids.push(told["commit"].as_str().expect("an id").to_owned());
    }
    assert_eq!(ids[0], ids[1]);
    let said = ["--timestamp=7", "--subject=s", "--body=b", "--parent=r1/x"];
    let told = imported(&it, &[&said[..], &["oci:one:latest", "ostree:r1@r1/x"]].concat());
    let log = theirs(&it, &ostree, &["log", "--repo=r1", told["commit"].as_str().expect("an id")]);
    for word in ["1970-01-01 00:00:07", "    s\n", "    b\n", &ids[0]] {
        assert!(log.contains(word), "{word}: {log}");
    }
    proof::ran("ostree: a new id follows from the image", 2);
}

/// The image of a commit that the real tool made, with labels that carry it; `change` changes them.
fn carried(it: &Scratch, ostree: &Peer, change: impl FnOnce(&mut Carried) + 'static) -> (String, Carried) {
    it.folder("t/d");
    it.file("t/d/f", "content");
    theirs(it, ostree, &["init", "--repo=r", "--mode=archive"]);
    let said = ["-s", "subject", "--add-metadata-string=z=1", "--add-metadata-string=a=2"];
    let owners = ["--owner-uid=0", "--owner-gid=0", "--no-xattrs", "--timestamp=@1000"];
    let words = [&["commit", "--repo=r", "-b", "x"][..], &said, &owners, &["t"]].concat();
    let id = theirs(it, ostree, &words);
    let object = it.path(&format!("r/objects/{}/{}.commit", &id[..2], &id[2..]));
    let commit = Commit::parse(&fs::read(object).expect("the commit")).expect("well-formed");
    let detached: Dict = [("ostree.sign.x", Variant::byte_strings(&[b"signature"]))].into_iter().collect();
    let mut carried = Carried { commit, detached: Some(detached) };
    let whole = carried.clone();
    change(&mut carried);
    theirs(it, ostree, &["export", "--repo=r", "-o", "tree.tar", "x"]);
    let tree = fs::read(it.path("tree.tar")).expect("the tar");
    let labels = carried.to_annotations();
    let image = Image::of(&[tree], Packing::Gzip).config(move |mut config| {
        config["config"]["Labels"] = json!(labels);
        config
    });
    layout(it, "img", image);
    (id, whole)
}

#[test]
fn a_commit_that_is_carried_comes_back_with_its_id_and_its_signatures() {
    const PROOF: &str = "ostree: a carried commit comes back";
    let Some(ostree) = judge(PROOF) else { return };
    let it = scratch();
    let (id, carried) = carried(&it, &ostree, |_| {});
    for mode in MODES {
        // The owner of the tree and of its folders is root, so that every mode can hold it.
        let repo = format!("to-{mode}");
        theirs(&it, &ostree, &["init", "--repo", &repo, "--mode", mode]);
        let told = imported(&it, &["--verify-id=require", "oci:img:latest", &format!("ostree:{repo}@x")]);
        assert_eq!((&told["identity"], &told["commit"]), (&json!("lossless"), &json!(id)), "{mode}");
        assert!(theirs(&it, &ostree, &["fsck", "--repo", &repo]).contains("no errors found"));
        assert_eq!(
            theirs(&it, &ostree, &["show", "--raw", "--repo", &repo, "x"]),
            theirs(&it, &ostree, &["show", "--raw", "--repo=r", "x"])
        );
        let detached = it.path(&format!("{repo}/objects/{}/{}.commitmeta", &id[..2], &id[2..]));
        assert_eq!(fs::read(detached).ok(), carried.detached.as_ref().map(Dict::to_bytes), "{mode}");
    }
    proof::ran(PROOF, MODES.len());
}

#[test]
fn an_image_that_is_not_what_it_says_is_told_apart() {
    const PROOF: &str = "ostree: a wrong claim is refused";
    let Some(ostree) = judge(PROOF) else { return };
    let it = scratch();
    let (id, carried) = carried(&it, &ostree, |carried| carried.commit.tree = ObjectId([7; 32]));
    theirs(&it, &ostree, &["init", "--repo=to", "--mode=archive"]);
    let refused = copy(&it, &["--verify-id=require", "oci:img:latest", "ostree:to@x"]);
    assert_eq!(refused.code(), Some(5), "{refused}");
    let found = carried.commit.tree.to_string();
    assert!(refused.err().contains(&found) && refused.err().contains(&"07".repeat(32)), "{refused}");
    assert_eq!(theirs(&it, &ostree, &["refs", "--repo=to"]), "");
    let told = imported(&it, &["oci:img:latest", "ostree:to@x"]);
    assert_eq!(told["identity"], json!("new"));
    assert_ne!(told["commit"], json!(id));
    assert!(told["difference"].as_str().expect("a text").contains(&found), "{told}");
    proof::ran(PROOF, 2);
}

#[test]
fn an_image_without_a_claim_cannot_be_held_to_one() {
    let Some(ostree) = judge("ostree: nothing is claimed") else { return };
    let it = scratch();
    layout(&it, "img", Image::of(&layers(), Packing::Gzip));
    theirs(&it, &ostree, &["init", "--repo=r", "--mode=archive"]);
    assert_eq!(copy(&it, &["--verify-id=require", "oci:img:latest", "ostree:r@x"]).code(), Some(5));
    let both = ["--verify-id=require", "--timestamp=1", "oci:img:latest", "ostree:r@x"];
    assert_eq!(copy(&it, &both).code(), Some(64));
    assert_eq!(copy(&it, &["--subject=s", "oci:img:latest", "oci:other:x"]).code(), Some(64));
    proof::ran("ostree: nothing is claimed", 3);
}

/// No text of a commit can hold a NUL; one of JSON can.
#[test]
fn a_nul_in_a_label_of_flatpak_is_refused_or_left_out() {
    const COMMIT: &str = "org.flatpak.commit";
    let it = scratch();
    let cases = [
        ("org.flatpak.subject", "a\0b"),
        ("org.flatpak.body", "a\0b"),
        ("org.flatpak.commit-metadata.a\0b", "eAAAcw=="),
    ];
    orlop().args(["ostree", "init", "--repo=r", "--mode=archive"]).current_dir(it.root()).ok();
    for (number, (key, value)) in cases.into_iter().enumerate() {
        let name = format!("img{number}");
        let image = Image::of(&layers(), Packing::Gzip).config(move |mut config| {
            config["config"] = json!({ "Labels": { COMMIT: "01".repeat(32), key: value } });
            config
        });
        layout(&it, &name, image);
        let (from, to) = (format!("oci:{name}:latest"), format!("ostree:r@x{number}"));
        for verify in ["auto", "require"] {
            let refused = copy(&it, &[&format!("--verify-id={verify}"), &from, &to]);
            assert_eq!(refused.code(), Some(1), "{key:?}: {refused}");
            assert!(refused.err().contains("NUL"), "{key:?}: {refused}");
        }
        for new in ["--verify-id=off", "--keep-layers"] {
            assert_eq!(imported(&it, &[new, &from, &to])["identity"], json!("new"), "{key:?}");
        }
    }
}

#[test]
fn names_that_cannot_be_are_refused_before_anything_is_read() {
    let Some(ostree) = judge("ostree: names of imports") else { return };
    let it = scratch();
    layout(&it, "img", Image::of(&layers(), Packing::Gzip));
    theirs(&it, &ostree, &["init", "--repo=r", "--mode=archive"]);
    imported(&it, &["oci:img:latest", "ostree:r@app/x"]);
    let id = "0".repeat(64);
    for name in ["app", "app/x/y", ".x", "a b", "x//y", &id] {
        let refused = copy(&it, &["oci:img:latest", &format!("ostree:r@{name}")]);
        assert!(!refused.success(), "{name}: {refused}");
        assert_eq!(theirs(&it, &ostree, &["refs", "--repo=r"]), "app/x", "{name}");
    }
    assert_eq!(copy(&it, &["oci:img:latest", "ostree:img@x"]).code(), Some(2));
    proof::ran("ostree: names of imports", 7);
}

#[test]
fn what_ostree_cannot_hold_is_told() {
    let Some(ostree) = judge("ostree: devices are told") else { return };
    let it = scratch();
    let odd = [
        Member::device(b'3', "null", 1, 3),
        Member::fifo("pipe"),
        Member::file(b"na\xffme", "bytes"),
        Member::file("kept", "kept"),
    ];
    layout(&it, "img", Image::of(&[tar(odd)], Packing::Gzip));
    theirs(&it, &ostree, &["init", "--repo=r", "--mode=archive"]);
    let done = copy(&it, &["oci:img:latest", "ostree:r@x"]);
    assert!(done.success(), "{done}");
    for word in ["device", "fifo", "name"] {
        assert!(done.err().contains(word), "{word}: {done}");
    }
    assert!(theirs(&it, &ostree, &["ls", "-R", "--repo=r", "x"]).ends_with("/kept"));
    proof::ran("ostree: devices are told", 3);
}

/// Bits of layers, config and objects.
#[test]
fn flipped_bits_are_named_and_nothing_is_referenced() {
    const PROOF: &str = "ostree: flipped bits of an import";
    let Some(ostree) = judge(PROOF) else { return };
    let it = scratch();
    let layout = Image::of(&layers(), Packing::Gzip).layout();
    let places = [layout.layer_path(0), layout.layer_path(1), layout.config_path(), layout.manifest_path()];
    for place in &places {
        layout.write(&it.folder("img"));
        let mut bytes = fs::read(it.path("img").join(place)).expect("a blob");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(it.path("img").join(place), bytes).expect("changed");
        theirs(&it, &ostree, &["init", "--repo=r", "--mode=archive"]);
        let refused = copy(&it, &["oci:img:latest", "ostree:r@x"]);
        assert_eq!(refused.code(), Some(5), "{place}: {refused}");
        let digest = place.rsplit('/').next().expect("a name");
        assert!(refused.err().contains(digest), "{place}: {refused}");
        assert_eq!(theirs(&it, &ostree, &["refs", "--repo=r"]), "", "{place}");
        assert!(names(&it, "r/objects").values().all(Option::is_none), "{place}: an object is there");
    }
    proof::ran(PROOF, places.len());
}

#[test]
fn killed_imports_leave_a_repository_whole() {
    const PROOF: &str = "ostree: killed imports";
    let Some(ostree) = judge(PROOF) else { return };
    let it = scratch();
    let many = |number: u32| {
        Member::file(format!("f{number}"), vec![u8::try_from(number % 251).expect("small"); 3000])
    };
    layout(&it, "img", Image::of(&[tar((0..1500).map(many))], Packing::Gzip));
    theirs(&it, &ostree, &["init", "--repo=r", "--mode=archive"]);
    let rounds = if testkit::full() { 60 } else { 8 };
    for round in 0..rounds {
        let mut child = std::process::Command::new(testkit::command::orlop_path())
            .args(["copy", "--progress=none", "oci:img:latest", "ostree:r@x"])
            .current_dir(it.root())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("orlop starts");
        std::thread::sleep(Duration::from_millis(10 + round * 400 / rounds));
        // It may be done already.
        let _done = child.kill();
        child.wait().expect("it ends");
        assert!(theirs(&it, &ostree, &["fsck", "--repo=r"]).contains("no errors found"));
    }
    imported(&it, &["oci:img:latest", "ostree:r@x"]);
    assert!(theirs(&it, &ostree, &["fsck", "--repo=r"]).contains("no errors found"));
    assert_eq!(names(&it, "r/tmp").keys().filter(|name| name.starts_with("orlop-")).count(), 0);
    proof::ran(PROOF, usize::try_from(rounds).expect("small"));
}

#[test]
fn an_image_of_flatpak_becomes_the_commit_that_it_was_made_of() {
    const PROOF: &str = "ostree: the id of an image that flatpak made";
    let (Some(ostree), Some(flatpak)) = (judge(PROOF), peer("flatpak")) else {
        return proof::skipped(PROOF, "no flatpak");
    };
    let it = scratch();
    it.folder("app/files/empty");
    it.folder("app/export");
    it.file("app/metadata", "[Application]\nname=org.test.Hello\nruntime=org.test.P/x86_64/master\n");
    it.folder("app/files/bin");
    it.file("app/files/bin/hello.sh", "#!/bin/sh\n");
    std::os::unix::fs::symlink("hello.sh", it.path("app/files/bin/other")).expect("a link");
    let dirs = [("HOME", "home"), ("FLATPAK_USER_DIR", "user"), ("FLATPAK_SYSTEM_DIR", "system")];
    let run = |words: &[&str]| {
        let command =
            dirs.iter().fold(flatpak.command(), |command, (name, dir)| command.env(name, it.path(dir)));
        command.args(words).current_dir(it.root()).ok()
    };
    let export = ["build-export", "--no-update-summary", "--disable-sandbox"];
    let more = ["--end-of-life=ended", "--token-type=2", "-s", "S", "-b", "B"];
    for (branch, more) in [("master", &[][..]), ("old", &more[..])] {
        run(&[&export[..], more, &["r", "app", branch]].concat());
        run(&["build-bundle", "--oci", "r", branch, "org.test.Hello", branch]);
        let name = format!("app/org.test.Hello/x86_64/{branch}");
        let id = theirs(&it, &ostree, &["rev-parse", "--repo=r", &name]);
        for mode in MODES {
            let repo = format!("{branch}-{mode}");
            theirs(&it, &ostree, &["init", "--repo", &repo, "--mode", mode]);
            let from = format!("oci:{branch}:{name}");
            let told = imported(&it, &["--verify-id=require", &from, &format!("ostree:{repo}@{name}")]);
            assert_eq!((&told["identity"], &told["commit"]), (&json!("rebuilt"), &json!(id)), "{repo}");
            assert!(theirs(&it, &ostree, &["fsck", "--repo", &repo]).contains("no errors found"));
        }
    }
    theirs(&it, &ostree, &["init", "--repo=last", "--mode=archive"]);
    let done = orlop().args(["flatpak", "import", "oci:old", "last"]).current_dir(it.root()).ok();
    let id = theirs(&it, &ostree, &["rev-parse", "--repo=last", "app/org.test.Hello/x86_64/old"]);
    assert_eq!(done.out().trim(), format!("ostree:last@{id}"));
    assert_eq!(id, theirs(&it, &ostree, &["rev-parse", "--repo=r", "app/org.test.Hello/x86_64/old"]));
    proof::ran(PROOF, 2 * MODES.len() + 1);
}

/// From repository to repository, and through an image: the same commit, with what was said of it later.
#[test]
fn a_commit_goes_from_repository_to_repository() {
    const PROOF: &str = "ostree: commits from repository to repository";
    let Some(ostree) = judge(PROOF) else { return };
    let it = scratch();
    it.folder("t/d");
    it.file("t/d/f", "content");
    theirs(&it, &ostree, &["init", "--repo=r", "--mode=archive"]);
    let said = ["-s", "s", "--add-metadata-string=z=1", "--add-metadata-string=a=2", "--timestamp=@1000"];
    let later = ["--add-detached-metadata-string=later=on", "t"];
    theirs(&it, &ostree, &[&["commit", "--repo=r", "-b", "x"][..], &said, &later].concat());
    let shown = |repo: &str| theirs(&it, &ostree, &["show", "--raw", "--repo", repo, "x"]);
    for repo in ["straight", "through"] {
        theirs(&it, &ostree, &["init", "--repo", repo, "--mode=archive"]);
    }
    imported(&it, &["--verify-id=require", "ostree:r@x", "ostree:straight@x"]);
    let done = copy(&it, &["ostree:r@x", "oci:lay:x"]);
    assert!(done.success(), "{done}");
    imported(&it, &["--verify-id=require", "oci:lay:x", "ostree:through@x"]);
    for repo in ["straight", "through"] {
        assert_eq!(shown(repo), shown("r"), "{repo}");
        let later = ["show", "--print-detached-metadata-key=later", "--repo", repo, "x"];
        assert_eq!(theirs(&it, &ostree, &later), "'on'", "{repo}");
        assert!(theirs(&it, &ostree, &["fsck", "--repo", repo]).contains("no errors found"));
    }
    // Files that are no commit become a new one.
    let told = imported(&it, &["--timestamp=5", "rootfs:t", "ostree:through@files"]);
    assert_eq!(told["identity"], json!("new"));
    assert!(theirs(&it, &ostree, &["ls", "-R", "--repo=through", "files"]).contains("/d/f"));
    proof::ran(PROOF, 3);
}

/// Flags that would be silently without effect, and what would take away more than was named.
#[test]
fn what_a_repository_cannot_honour_is_refused_and_changes_nothing() {
    let it = scratch();
    layout(&it, "img", Image::of(&layers(), Packing::Gzip));
    it.folder("tree");
    it.file("tree/file", "content");
    it.file("components", "all /file\n");
    let ours = |words: &[&str]| orlop().arg("ostree").args(words).current_dir(it.root()).run();
    assert!(ours(&["init", "--repo=r"]).success());
    assert!(copy(&it, &["rootfs:tree", "ostree:r@kept", "--timestamp=@5"]).success());
    let files: [(&[&str], &str); 4] = [
        (&["--chunked=4"], "--chunked"),
        (&["--chunked=4", "--components=components"], "--chunked"),
        (&["--chunked=4", "--previous=oci:img:latest"], "--chunked"),
        (&["--timestamp=1969-12-31T23:59:59Z"], "1970"),
    ];
    for (flags, told) in files {
        let done = copy(&it, &[flags, &["rootfs:tree", "ostree:r@new"]].concat());
        assert_eq!(done.code(), Some(64), "{flags:?}: {done}");
        assert!(done.err().contains(told), "{flags:?}: {done}");
    }
    let done = copy(&it, &["--timestamp=-1", "oci:img:latest", "ostree:r@new"]);
    assert!(done.code() == Some(64), "{done}");
    for prefix in ["", "/", "//"] {
        let done = ours(&["refs", "--repo=r", "--delete", prefix]);
        assert_eq!(done.code(), Some(64), "{prefix:?}: {done}");
        assert!(done.err().contains("every ref"), "{done}");
    }
    assert_eq!(ours(&["refs", "--repo=r"]).out(), "kept\n");
    let nowhere = ours(&["log", "--repo=nope", "kept"]);
    assert_eq!(nowhere.code(), Some(2), "{nowhere}");
    for told in ["no repository of OSTree", "`objects`", "orlop ostree init --repo=nope"] {
        assert!(nowhere.err().contains(told), "{told}: {nowhere}");
    }
}
