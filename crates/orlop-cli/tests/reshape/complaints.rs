//! What users of other tools complained of loudest (`docs/conformance.md`): each test names its threads.

use crate::world::{digest, hide, image, layers, line, of, ok, paths, tars, three};
use testkit::Scratch;
use testkit::image::{Image, Packing};
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

/// E1: google/go-containerregistry 2002: the content of the wrong file behind a hard link.
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

/// E2: google/go-containerregistry 2029: files that a layer had removed were back.
#[test]
fn deleted_files_stay_deleted() {
    let it = flat(&[
        vec![Member::folder("d"), Member::file("d/x", "x"), Member::folder("e"), Member::file("e/y", "y")],
        vec![Member::folder("d"), Member::file("d/.wh.x", ""), Member::file(".wh.e", "")],
        vec![Member::folder("e")],
    ]);
    assert_eq!(paths(&it, "flat"), ["", "d", "e"]);
}

/// E3: google/go-containerregistry 1623: whiteouts were left in the one layer.
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

/// E4: google/go-containerregistry 2238: links to absolute targets were dropped.
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

/// E5: google/go-containerregistry 2399: an entry `.` was refused, which tar writes for the folder itself.
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

/// E18: google/go-containerregistry 1790 and regclient 966: layers of the base could not be kept.
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

/// E6: moby 5419 and buildkit 1749: holes became zeros that take room. They are zeros in the tar, which is every reader's, and
/// holes again where it is unpacked.
#[test]
fn e6_holes_stay_holes_through_edits() {
    use std::os::unix::fs::MetadataExt as _;
    const SIZE: u64 = 16 << 20;
    let it = image(&[vec![Member::file("a", "a")]]);
    let file = std::fs::File::create(it.path("sparse")).expect("ours");
    file.set_len(SIZE).expect("a hole");
    ok(&it, "insert oci:l:latest sparse /sparse");
    ok(&it, "flatten oci:l:latest --compress none");
    let blob = it.path("l").join(testkit::image::blob_path(&layers(&it, "latest")[0]));
    assert!(std::fs::metadata(blob).expect("a layer").len() > SIZE);
    ok(&it, "unpack oci:l:latest out");
    let made = std::fs::metadata(it.path("out/sparse")).expect("unpacked");
    assert_eq!(made.len(), SIZE);
    assert!(made.blocks() * 512 < SIZE / 16, "{} blocks", made.blocks());
}

/// E11: oras 1464 and go-containerregistry 1703 and 2115: times were those of the run, or in the year 1.
#[test]
fn e11_times_are_those_that_were_said_and_never_the_year_1() {
    let it = image(&three());
    it.folder("up");
    it.file("up/up", "up");
    let edits = [
        "append oci:l:latest up --to oci:l:TAG",
        "insert oci:l:latest up /opt --to oci:l:TAG",
        "insert oci:l:latest --whiteout /d/b --to oci:l:TAG",
        "config oci:l:latest --env A=1 --history-comment why --to oci:l:TAG",
        "flatten oci:l:latest --to oci:l:TAG",
        "convert oci:l:latest --layer-size 300k --to oci:l:TAG",
        "strip oci:l:latest --rm-path /d/b --to oci:l:TAG",
        "copy oci:l:latest oci:l:TAG --append up",
    ];
    for edit in edits {
        for said in [Some("86400"), None] {
            for run in ["one", "two"] {
                let command = line(&it, &edit.replace("TAG", run));
                match said {
                    Some(time) => command.env("SOURCE_DATE_EPOCH", time).ok(),
                    None => command.ok(),
                };
            }
            // Twice is once, and not the time of the run.
            assert_eq!(digest(&it, "one"), digest(&it, "two"), "{edit}");
            let config = crate::world::config(&it, "one");
            assert!(!config.to_string().contains("0001-01-01"), "{edit}: {config}");
            let steps = config["history"].as_array().cloned().unwrap_or_default();
            let is_new = edit.starts_with("append") || edit.starts_with("insert") || edit.starts_with("copy");
            if is_new && said.is_some() {
                let made = steps.last().expect("a step");
                assert_eq!(made["created"], "1970-01-02T00:00:00Z", "{edit}: {config}");
            }
        }
    }
}

/// E13: skopeo 1385 and 1436: levels meant nothing, and compression could not be left out.
#[test]
fn e13_levels_of_compression_are_heeded_and_none_is_none() {
    let text: Vec<u8> =
        (0..60_000_u32).flat_map(|n| format!("{:x} ", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let it = image(&[vec![Member::file("text", text)]]);
    let mut sizes = Vec::new();
    for form in ["none", "gzip:1", "gzip:9", "zstd:1", "zstd:19"] {
        ok(&it, &format!("convert oci:l:latest --compress {form} --to oci:l:new"));
        let layer = crate::world::manifest(&it, "new")["layers"][0].clone();
        sizes.push(layer["size"].as_u64().expect("a size"));
        if form == "none" {
            assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar");
            assert_eq!(layer["digest"], crate::world::config(&it, "new")["rootfs"]["diff_ids"][0]);
        }
    }
    let [none, gzip1, gzip9, zstd1, zstd19] = sizes[..] else { panic!("five forms") };
    assert!(none > gzip1 && gzip1 > gzip9 && none > zstd1 && zstd1 > zstd19, "{sizes:?}");
}

/// E14: rules_oci 365 and 669: an edit took as long as its base is large. What need not be read may even be gone.
#[test]
fn e14_an_edit_costs_its_change_and_not_its_base() {
    let it = image(&three());
    let below = image(&three()[..1]);
    ok(&below, &format!("copy oci:l:latest oci:{}:below", it.path("l").display()));
    it.folder("up");
    it.file("up/up", "up");
    ok(&it, "build up oci:l:base --created 0");
    ok(&it, "append oci:l:below up --to oci:l:app");
    ok(&it, "index create oci:l:latest oci:l:multi");
    (0..3).for_each(|layer| hide(&it, "latest", layer));
    for words in [
        "config oci:l:latest --to oci:l:new --env A=1 --history-comment why",
        "append oci:l:latest up --to oci:l:new",
        "insert oci:l:latest up /opt --to oci:l:new",
        "insert oci:l:latest --whiteout /etc/passwd --to oci:l:new",
        "rebase oci:l:app --old-base oci:l:below --new-base oci:l:base --to oci:l:new",
        "strip oci:l:latest --rm-layer 1 --to oci:l:new",
        "convert oci:l:latest --media-types docker --to oci:l:new",
        "convert oci:l:latest --layer-size 1G --to oci:l:new",
        "index annotate oci:l:multi a=b",
        "config oci:l:multi --label a=b",
    ] {
        ok(&it, words);
    }
    assert_ne!(line(&it, "flatten oci:l:latest").run().code(), Some(0), "it is gone indeed");
}

/// E15: kaniko 862, 909 and 1680: images were held in memory while they were changed.
#[test]
fn e15_the_largest_file_is_never_in_memory() {
    use testkit::peak::Peak;
    const PROOF: &str = "edit: memory with a large file";
    const MOST: u64 = 80 << 20;
    let size = if testkit::full() { 1 << 30 } else { 192 << 20 };
    let large = vec![Member::file("zeros", vec![0; size])];
    let it = of(Image::of(&tars(&[large, vec![Member::file("a", "a")]]), Packing::Plain));
    let edits = [
        "flatten oci:l:latest --to oci:l:new --compress zstd",
        "convert oci:l:latest --to oci:l:new --compress zstd",
        "strip oci:l:latest --to oci:l:new --rm-path /a --compress zstd",
    ];
    for words in edits {
        let peak = Peak::default();
        line(&it, words).args(["-j", "2"]).started(peak.watch()).ok();
        let held = peak.bytes();
        assert!((1 << 20..MOST).contains(&held), "{words}: {held}");
    }
    testkit::proof::ran(PROOF, edits.len());
}

/// E16: go-containerregistry 1433 and 1992: each edit worked in some places.
#[test]
fn e16_every_edit_works_alike_in_every_place() {
    const PROOF: &str = "edit: every edit in every place";
    let registry = testkit::registry::Registry::plain();
    let it = image(&three());
    it.folder("up");
    it.file("up/up", "up");
    let run = |words: &str| line(&it, words).env("ORLOP_ROOT", it.path("store")).ok().out();
    let at = registry.as_ref().map(|registry| format!("docker://{}/app:1", registry.host()));
    let places = ["oci-archive:a.tar:1", "dir:d", "store:app:1"].into_iter().chain(at.as_deref());
    let edits = [
        "append HERE up",
        "insert HERE up /opt",
        "insert HERE --whiteout /etc/passwd",
        "flatten HERE --last 2",
        "convert HERE --compress zstd",
        "convert HERE --layer-size 300k",
        "strip HERE --rm-path /d/b",
        "strip HERE --rm-layer 2",
    ];
    let mut cases = 0;
    for edit in edits {
        run("copy oci:l:latest oci:two:1");
        run(&edit.replace("HERE", "oci:two:1"));
        let expected = run("digest oci:two:1");
        for place in places.clone() {
            run(&format!("copy oci:l:latest {place}"));
            run(&edit.replace("HERE", place));
            assert_eq!(run(&format!("digest {place}")), expected, "{edit} in {place}");
            // Documents may be the same though a layer is missing.
            run(&format!("validate {place}"));
            cases += 1;
        }
    }
    // Docker's archives hold layers without compression, and no zstd.
    for edit in edits.into_iter().filter(|edit| !edit.contains("zstd")) {
        run("copy oci:l:latest oci:two:1");
        run(&edit.replace("HERE", "oci:two:1"));
        run("copy oci:l:latest docker-archive:d.tar:app:1");
        run(&edit.replace("HERE", "docker-archive:d.tar:app:1"));
        run("copy oci:two:1 tar:one.tar");
        run("copy docker-archive:d.tar:app:1 tar:other.tar");
        let tree = |file: &str| std::fs::read(it.path(file)).expect("written");
        assert!(tree("one.tar") == tree("other.tar"), "{edit} in docker-archive:");
        cases += 1;
    }
    match registry {
        Some(_) => testkit::proof::ran(PROOF, cases),
        None => testkit::proof::skipped(PROOF, "docker-registry is missing"),
    }
}
