//! Images with less in them.

use crate::world::{digest, hide, image, in_step, layers, line, ok, paths, random, three};
use testkit::Scratch;
use testkit::noise::noise;
use testkit::tarball::Member;

/// The paths that were there, without one and what lay beneath it.
fn without(paths: &[String], gone: &str) -> Vec<String> {
    let is_gone = |path: &str| path == gone || path.starts_with(&format!("{gone}/"));
    paths.iter().filter(|path| !is_gone(path)).cloned().collect()
}

#[test]
fn a_path_goes_from_every_layer_and_nothing_else_does() {
    let it = image(&three());
    let before = paths(&it, "latest");
    for gone in ["d/b", "d", "was", "opaque", "etc/passwd", "pipe", "absolute"] {
        ok(&it, &format!("strip oci:l:latest --rm-path /{gone} --to oci:l:new"));
        assert_eq!(paths(&it, "new"), without(&before, gone), "{gone}");
        in_step(&it, "new");
    }
    ok(&it, "validate oci:l");
}

/// Paths that lead over links mean what they lead to, and so they are left out here.
#[test]
fn so_it_is_with_random_layers() {
    const CASES: usize = 16;
    let mut drawn = noise(11, 100_000).into_iter().map(usize::from);
    let mut stripped = 0;
    for case in 0..CASES {
        let layers: Vec<_> = (0..4).map(|_| random(&mut drawn, case % 2 == 0)).collect();
        let it = image(&layers);
        if line(&it, "files oci:l:latest").run().code() != Some(0) {
            continue;
        }
        let before = paths(&it, "latest");
        for gone in ["a", "b/c", "c/a"] {
            let done = line(&it, &format!("strip oci:l:latest --rm-path {gone} --to oci:l:new")).run();
            if done.code() == Some(2) {
                assert!(!before.iter().any(|path| path == gone), "{gone}: {done}");
                continue;
            }
            assert!(done.success(), "{done}");
            let after = paths(&it, "new");
            let is_link = |path: &str| ok(&it, "files oci:l:latest").out().contains(&format!("{path} -> "));
            if !is_link(&gone[..1]) {
                assert_eq!(after, without(&before, gone), "{case}: {gone}: {layers:?}");
                stripped += 1;
            }
            in_step(&it, "new");
        }
    }
    assert!(stripped > CASES, "{stripped}");
}

/// What a later layer hides is what strangers find.
#[test]
fn what_a_later_layer_hides_goes_too() {
    let it = image(&three());
    ok(&it, "strip oci:l:latest --rm-path gone --to oci:l:new");
    assert!(!tar_of(&it, "new", 0).contains("gone"));
    assert_eq!(layers(&it, "new")[1..], layers(&it, "latest")[1..], "other layers keep their bytes");
    assert_eq!(paths(&it, "new"), paths(&it, "latest"));
}

/// The names in the tar of a layer.
fn tar_of(it: &Scratch, tag: &str, layer: usize) -> String {
    let blob = testkit::image::blob_path(&layers(it, tag)[layer]);
    testkit::Command::new("tar").args(["tzf"]).arg(it.path("l").join(blob)).ok().out()
}

#[test]
fn a_file_keeps_its_other_names() {
    let it = image(&three());
    ok(&it, "strip oci:l:latest --rm-path big/link --rm-path big/more --to oci:l:new");
    assert_eq!(content(&it, "new", "big/noise"), content(&it, "latest", "big/noise"));
    // `d/a` is the first name of `d/same`, in the base.
    ok(&it, "strip oci:l:latest --rm-path d/a --to oci:l:new");
    assert!(tar_of(&it, "new", 0).contains("d/same"));
}

#[test]
fn so_it_does_in_a_layer_above_that_links_to_what_goes() {
    let it = image(&[
        vec![Member::file("below", "content")],
        vec![Member::hard_link("above", "below")],
        vec![Member::file("other", "other")],
    ]);
    let before = layers(&it, "latest");
    ok(&it, "strip oci:l:latest --rm-path below");
    assert_eq!(paths(&it, "latest"), ["", "above", "other"]);
    assert_eq!(content(&it, "latest", "above"), b"content");
    assert_eq!(layers(&it, "latest")[2], before[2]);
}

/// By way of a link a path means what it means in the image.
#[test]
fn links_on_the_way_are_followed() {
    let it = image(&[
        vec![Member::folder("usr"), Member::folder("usr/lib"), Member::file("usr/lib/secret", "1")],
        vec![Member::symlink("lib", "usr/lib")],
        vec![Member::file("lib/secret", "2")],
    ]);
    ok(&it, "strip oci:l:latest --rm-path /usr/lib/secret --to oci:l:real");
    assert_eq!(paths(&it, "real"), ["", "lib", "usr", "usr/lib"]);
    ok(&it, "strip oci:l:latest --rm-path /lib/secret --rm-path /usr/lib/secret --to oci:l:both");
    assert_eq!(paths(&it, "both"), ["", "lib", "usr", "usr/lib"]);
}

fn content(it: &Scratch, tag: &str, path: &str) -> Vec<u8> {
    ok(it, &format!("cat oci:l:{tag} {path}")).out().into_bytes()
}

#[test]
fn a_layer_goes_unseen_with_the_step_that_made_it() {
    let it = image(&three());
    let before = layers(&it, "latest");
    for at in 0..3 {
        hide(&it, "latest", at);
    }
    ok(&it, "strip oci:l:latest --rm-layer 1 --to oci:l:number");
    ok(&it, &format!("strip oci:l:latest --rm-layer {} --to oci:l:digest", before[1]));
    assert_eq!(layers(&it, "number"), [before[0].clone(), before[2].clone()]);
    assert_eq!(digest(&it, "number"), digest(&it, "digest"));
    in_step(&it, "number");
    let diff_id = crate::world::config(&it, "latest")["rootfs"]["diff_ids"][2].clone();
    let named = diff_id.as_str().expect("a digest");
    ok(&it, &format!("strip oci:l:latest --rm-layer {named} --rm-layer 0 --to oci:l:one"));
    assert_eq!(layers(&it, "one"), [before[1].clone()]);
}

#[test]
fn what_is_not_there_cannot_go() {
    let it = image(&three());
    let before = digest(&it, "latest");
    for (words, code) in [
        ("--rm-path /nowhere", 2),
        ("--rm-path /d/a --rm-path /nowhere", 2),
        ("--rm-layer 3", 2),
        ("--rm-path /", 64),
        ("--rm-path ../etc", 64),
        ("--rm-layer x", 64),
    ] {
        let done = line(&it, &format!("strip oci:l:latest {words}")).run();
        assert_eq!(done.code(), Some(code), "{words}: {done}");
        assert_eq!(digest(&it, "latest"), before);
    }
}
