//! What users of other tools complained of loudest, by flattened and exported images.

use crate::world::{image, layers, ok, paths};
use testkit::Scratch;
use testkit::tarball::Member;

fn flat(layers_of: &[Vec<Member>]) -> Scratch {
    let it = image(layers_of);
    ok(&it, "flatten oci:l:latest --to oci:l:flat");
    assert_eq!(layers(&it, "flat").len(), 1);
    it
}

fn content(it: &Scratch, path: &str) -> String {
    ok(it, &format!("cat oci:l:flat {path}")).out()
}

/// google/go-containerregistry 2002: the content of the wrong file behind a hard link.
#[test]
fn a_name_that_is_overwritten_leaves_the_other_names_of_its_file_alone() {
    let it = flat(&[
        vec![Member::file("a", "old"), Member::hard_link("b", "a"), Member::hard_link("c", "a")],
        vec![Member::file("a", "new")],
    ]);
    assert_eq!(
        (content(&it, "a"), content(&it, "b"), content(&it, "c")),
        ("new".into(), "old".into(), "old".into())
    );
}

/// google/go-containerregistry 2029: files that a layer had removed were back.
#[test]
fn deleted_files_stay_deleted() {
    let it = flat(&[
        vec![Member::folder("d"), Member::file("d/x", "x"), Member::folder("e"), Member::file("e/y", "y")],
        vec![Member::folder("d"), Member::file("d/.wh.x", ""), Member::file(".wh.e", "")],
        vec![Member::folder("e")],
    ]);
    assert_eq!(paths(&it, "flat"), ["", "d", "e"]);
}

/// google/go-containerregistry 1623: whiteouts were left in the one layer.
#[test]
fn no_whiteout_is_left_in_the_one_layer() {
    let it = flat(&[
        vec![Member::file("a", "a"), Member::folder("d"), Member::file("d/x", "x")],
        vec![
            Member::file(".wh.a", ""),
            Member::file(".wh.never", ""),
            Member::folder("d"),
            Member::file("d/.wh..wh..opq", ""),
        ],
    ]);
    let blob = testkit::image::blob_path(&layers(&it, "flat")[0]);
    let names = testkit::Command::new("tar").args(["tzf"]).arg(it.path("l").join(blob)).ok().out();
    assert!(names.contains("d/") && !names.contains(".wh."), "{names}");
}

/// google/go-containerregistry 2238: links to absolute targets were dropped.
#[test]
fn links_to_absolute_targets_stay_as_they_are() {
    let it = flat(&[
        vec![Member::symlink("abs", "/etc/alternatives/x"), Member::symlink("up", "../../etc/x")],
        vec![Member::file("other", "")],
    ]);
    ok(&it, "unpack oci:l:flat out");
    for (link, target) in [("abs", "/etc/alternatives/x"), ("up", "../../etc/x")] {
        let found = std::fs::read_link(it.path("out").join(link)).expect("a link");
        assert_eq!(found.as_os_str(), target);
    }
}

/// google/go-containerregistry 2399: an entry `.` was refused, which tar writes for the folder itself.
#[test]
fn an_entry_for_the_root_is_taken_in_every_spelling() {
    for root in [".", "./", "/"] {
        let it = flat(&[
            vec![Member::folder(root).mode(0o711), Member::file("./a", "a")],
            vec![Member::file("/b", "b")],
        ]);
        assert_eq!(paths(&it, "flat"), ["", "a", "b"]);
        let listing = ok(&it, "files oci:l:flat").out();
        assert!(listing.starts_with("drwx--x--x"), "{listing}");
    }
}

/// google/go-containerregistry 1790: layers of the base could not be kept.
#[test]
fn a_range_of_layers_becomes_one() {
    let layer = |name: &str| vec![Member::file(name, name)];
    let it = image(&["a", "b", "c", "d"].map(layer));
    let before = layers(&it, "latest");
    ok(&it, "flatten oci:l:latest --last 3");
    let after = layers(&it, "latest");
    assert_eq!((after.len(), &after[0]), (2, &before[0]));
    assert_eq!(paths(&it, "latest"), ["", "a", "b", "c", "d"]);
}
