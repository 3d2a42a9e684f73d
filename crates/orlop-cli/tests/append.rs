//! `append` and `insert`: layers on top of an image, wherever it is, and nothing read of what is below.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use testkit::noise::noise;
use testkit::registry::Registry;
use testkit::tarball::{Member, tar};
use testkit::{Command, Scratch, is_root, orlop, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root()).env("ORLOP_ROOT", it.path("store"))
}

fn write(it: &Scratch, path: &str, content: &str) {
    fs::create_dir_all(it.path(path).parent().expect("a folder")).expect("ours");
    it.file(path, content);
}

fn out(it: &Scratch, words: &[&str]) -> String {
    run(it, words).ok().out()
}

/// A layout `l` with the image `base`: `etc/app/a`, `etc/old`, and `usr`, which not all may enter.
fn base() -> Scratch {
    let it = scratch();
    write(&it, "base/etc/app/a", "a");
    write(&it, "base/etc/old", "old");
    write(&it, "base/usr/bin/tool", "tool");
    fs::set_permissions(it.path("base/usr"), fs::Permissions::from_mode(0o750)).expect("ours");
    run(&it, &["build", "base", "oci:l:base", "--created", "2020-01-01T00:00:00Z", "--owner", "squash"]).ok();
    it
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

fn manifest(it: &Scratch, reference: &str) -> serde_json::Value {
    json(&out(it, &["inspect", "--raw", reference]))
}

/// The paths of an image, all layers merged.
fn paths(it: &Scratch, reference: &str) -> Vec<String> {
    let listed = out(it, &["files", reference]);
    let path = |line: &str| line.split_once("Z ").expect("a time").1.split(" -> ").next().map(str::to_owned);
    listed.lines().filter_map(path).collect()
}

/// Law: append, then unpack, is unpack, then lay the files over.
#[test]
fn to_append_and_unpack_is_to_unpack_and_lay_over() {
    let it = base();
    write(&it, "up/etc/old", "newer");
    write(&it, "up/etc/app/b", "b");
    write(&it, "up/srv/x", "x");
    write(&it, "second/srv/x", "y");
    let said = out(&it, &["append", "oci:l:base", "up", "second", "--to", "oci:l:more", "--owner", "squash"]);
    assert!(said.starts_with("oci:l:more@sha256:"), "{said}");
    run(&it, &["unpack", "oci:l:base", "laid"]).ok();
    for layer in ["up", "second"] {
        Command::new("cp").args(["-a", &format!("{layer}/."), "laid"]).current_dir(it.root()).ok();
    }
    run(&it, &["unpack", "oci:l:more", "direct"]).ok();
    Command::new("diff").args(["-r", "laid", "direct"]).current_dir(it.root()).ok();
    // And it is what `build` makes of the same folders.
    run(&it, &["build", "base", "up", "second", "oci:l:built", "--owner", "squash"]).ok();
    let (more, built) = (manifest(&it, "oci:l:more"), manifest(&it, "oci:l:built"));
    assert_eq!(more["layers"], built["layers"]);
    assert_eq!(more["layers"][0], manifest(&it, "oci:l:base")["layers"][0]);
    run(&it, &["validate", "oci:l:more"]).ok();
}

/// Item 37: each layer has its step of the history; and a tool that needs a time in each finds one.
#[test]
fn item_37_each_new_layer_has_a_step_and_a_time() {
    let it = base();
    write(&it, "up/x", "x");
    run(&it, &["append", "oci:l:base", "up", "up", "--history-comment", "why", "--cmd", "/x"]).ok();
    run(&it, &["insert", "oci:l:base", "--whiteout", "/etc/old", "--history-author", "me"]).ok();
    let config = json(&out(&it, &["inspect", "--config", "oci:l:base"]));
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(4));
    let steps = config["history"].as_array().expect("steps").clone();
    let by: Vec<_> = steps.iter().map(|step| step["created_by"].as_str().expect("said")).collect();
    assert_eq!(by, ["orlop build", "orlop append", "orlop append", "orlop insert"]);
    assert!(steps.iter().all(|step| step["created"].is_string() && step.get("empty_layer").is_none()));
    assert_eq!((&steps[1]["comment"], &steps[3]["author"]), (&"why".into(), &"me".into()));
    assert_eq!(config["config"]["Cmd"][0], "/x");
}

/// Where nothing is said, a layer is made when the newest of its files was, and not when the image was, nor now.
#[test]
fn a_new_layer_is_of_the_time_of_its_newest_file() {
    let it = base();
    write(&it, "up/x", "x");
    for (path, time) in [("up/x", "2021-02-03T00:00:00Z"), ("up", "2021-01-01T00:00:00Z")] {
        Command::new("touch").args(["-d", time, path]).current_dir(it.root()).ok();
    }
    for words in [&["append", "oci:l:base", "up"][..], &["insert", "oci:l:base", "up", "/opt"]] {
        run(&it, words).ok();
        let config = json(&out(&it, &["inspect", "--config", "oci:l:base"]));
        assert_eq!(
            config["history"].as_array().and_then(|it| it.last()).expect("a step")["created"],
            "2021-02-03T00:00:00Z"
        );
        assert_eq!(config["created"], "2021-02-03T00:00:00Z");
    }
}

/// Image-spec, `config.md`: "created" of the image is when that was made, and "created" of a step is the step's.
#[test]
fn the_time_of_a_step_is_not_that_of_the_image() {
    let it = base();
    write(&it, "up/x", "x");
    let (newest, said, before) = ("2021-02-03T00:00:00Z", "1999-01-01T00:00:00Z", "2020-01-01T00:00:00Z");
    Command::new("touch").args(["-d", newest, "up/x", "up"]).current_dir(it.root()).ok();
    let edits = [
        (&["append", "oci:l:base", "up", "--to", "oci:l:new"][..], newest),
        (&["insert", "oci:l:base", "up", "/opt", "--to", "oci:l:new"], newest),
        (&["insert", "oci:l:base", "--whiteout", "/etc/old", "--to", "oci:l:new"], before),
        (&["copy", "oci:l:base", "oci:l:new", "--append", "up"], newest),
    ];
    for (edit, of_image) in edits {
        for (flags, expected) in [
            (&["--history-created", said][..], [of_image, said]),
            (&["--created", said], [said, said]),
            (&["--created", before, "--history-created", said], [before, said]),
            (&[], [of_image, of_image]),
        ] {
            run(&it, &[edit, flags].concat()).ok();
            let config = json(&out(&it, &["inspect", "--config", "oci:l:new"]));
            let step = config["history"]
                .as_array()
                .and_then(|it| it.iter().rev().find(|it| it["empty_layer"] != true));
            let found = [&config["created"], &step.expect("a step")["created"]];
            assert_eq!(found, expected, "{edit:?} {flags:?}");
        }
    }
}

/// Where nothing is said, as the topmost layer that is compressed.
#[test]
fn a_new_layer_is_compressed_as_those_below() {
    let it = base();
    write(&it, "up/x", "x");
    for (compress, end) in [("zstd", "tar+zstd"), ("gzip", "tar+gzip"), ("none", "tar+gzip")] {
        run(&it, &["convert", "oci:l:base", "--compress", compress, "--to", "oci:l:form"]).ok();
        run(&it, &["append", "oci:l:form", "up"]).ok();
        run(&it, &["insert", "oci:l:form", "up", "/opt"]).ok();
        let layers = manifest(&it, "oci:l:form")["layers"].clone();
        for at in [1, 2] {
            assert!(
                layers[at]["mediaType"].as_str().is_some_and(|it| it.ends_with(end)),
                "{compress}: {layers}"
            );
        }
    }
}

/// A tar is a layer, whiteouts and links to what is below included.
#[test]
fn a_tar_with_whiteouts_and_links_to_the_base_is_a_layer() {
    let it = base();
    let layer = tar([
        Member::hard_link("etc/same", "etc/app/a"),
        Member::file("etc/.wh.old", ""),
        Member::file("usr/.wh..wh..opq", ""),
    ]);
    run(&it, &["append", "oci:l:base", "-"]).input(layer).ok();
    assert_eq!(paths(&it, "oci:l:base"), ["/", "etc", "etc/app", "etc/app/a", "etc/same", "usr"]);
    run(&it, &["unpack", "oci:l:base", "out"]).ok();
    assert_eq!(
        fs::metadata(it.path("out/etc/same")).map(|it| std::os::unix::fs::MetadataExt::nlink(&it)).ok(),
        Some(2)
    );
    // A link to what is nowhere is found by whoever looks into the layers, not before.
    let dangling = tar([Member::hard_link("etc/same", "nowhere")]);
    run(&it, &["append", "oci:l:base", "-", "--to", "oci:l:bad"]).input(dangling).ok();
    let done = run(&it, &["unpack", "oci:l:bad", "out2"]).run();
    assert_eq!(done.code(), Some(5), "{done}");
}

#[test]
fn the_folders_above_an_inserted_file_stay_what_they_are() {
    let it = base();
    write(&it, "app", "binary");
    write(&it, "folder/sub/f", "f");
    fs::hard_link(it.path("folder/sub/f"), it.path("folder/sub/g")).expect("one file system");
    std::os::unix::fs::symlink("../x", it.path("link")).expect("ours");
    let insert =
        |words: &[&str]| run(&it, &[&["insert", "oci:l:base"], words, &["--owner", "squash"]].concat()).ok();
    insert(&["app", "/usr/bin/app"]);
    insert(&["app", "/usr/sbin/"]);
    insert(&["link", "/usr/bin/link"]);
    insert(&["folder", "/etc/app"]);
    assert_eq!(
        paths(&it, "oci:l:base"),
        [
            "/",
            "etc",
            "etc/app",
            "etc/app/a",
            "etc/app/sub",
            "etc/app/sub/f",
            "etc/app/sub/g",
            "etc/old",
            "usr",
            "usr/bin",
            "usr/bin/app",
            "usr/bin/link",
            "usr/bin/tool",
            "usr/sbin",
            "usr/sbin/app"
        ]
    );
    insert(&["folder", "/etc/app", "--opaque"]);
    run(&it, &["insert", "oci:l:base", "--whiteout", "/etc/old", "--whiteout", "usr/bin/tool"]).ok();
    assert_eq!(
        paths(&it, "oci:l:base"),
        [
            "/",
            "etc",
            "etc/app",
            "etc/app/sub",
            "etc/app/sub/f",
            "etc/app/sub/g",
            "usr",
            "usr/bin",
            "usr/bin/app",
            "usr/bin/link",
            "usr/sbin",
            "usr/sbin/app"
        ]
    );
    run(&it, &["unpack", "oci:l:base", "out"]).ok();
    assert_eq!(fs::metadata(it.path("out/usr")).expect("there").permissions().mode() & 0o7777, 0o750);
    assert_eq!(fs::read_link(it.path("out/usr/bin/link")).ok(), Some("../x".into()));
    run(&it, &["validate", "oci:l:base"]).ok();
}

/// As umoci's maps: which ids the image has for those here; what is in no range is refused.
#[test]
fn ids_are_mapped_and_those_in_no_range_refused() {
    const PROOF: &str = "insert: maps of ids";
    if !is_root() {
        return proof::not_offered(PROOF, "files of others need root");
    }
    let it = base();
    write(&it, "f", "f");
    std::os::unix::fs::chown(it.path("f"), Some(1003), Some(1000)).expect("root may");
    let map = ["--uid-map", "0:0", "--uid-map", "10:1000:5", "--gid-map", "0:1000:1"];
    run(&it, &[&["insert", "oci:l:base", "f", "/f", "--owner", "exact"], &map[..]].concat()).ok();
    let listed = out(&it, &["files", "oci:l:base"]);
    let line = listed.lines().find(|line| line.ends_with(" f")).expect("there");
    assert!(line.contains(" 13:0 "), "{line}");
    let done = run(&it, &["insert", "oci:l:base", "f", "/f", "--uid-map", "0:1000:3"]).run();
    assert_eq!(done.code(), Some(64), "{done}");
    assert!(done.err().contains("in no range of the map"), "{done}");
    proof::ran(PROOF, 2);
}

/// Who waits for a tar holds no lock that others wait for.
#[test]
fn a_folder_is_free_while_append_waits_for_its_input() {
    let it = scratch();
    let script = r#"
        mkfifo pipe; mkdir up; echo new >up/new; tar -C up -cf up.tar .
        "$0" copy oci:l:base dir:d; "$0" append dir:d - <pipe & exec 3>pipe; sleep 0.3
        timeout 20 "$0" config dir:d --env WHILE=waiting; cat up.tar >&3; exec 3>&-; wait $!
        "$0" files dir:d | grep -q ' new$'; "$0" inspect --config dir:d | grep -q WHILE=waiting"#;
    it.folder("base");
    run(&it, &["build", "base", "oci:l:base"]).ok();
    let program = testkit::command::orlop_path();
    Command::new("sh").args(["-ec", script]).arg(program).current_dir(it.root()).ok();
}

#[test]
fn what_cannot_be_inserted_is_refused_and_nothing_changes() {
    let it = base();
    write(&it, "f", "f");
    it.folder("d");
    let before = out(&it, &["digest", "oci:l:base"]);
    let refusals: [(&[&str], i32); 11] = [
        (&["insert", "oci:l:base", "f", "."], 64),
        (&["insert", "oci:l:base", "f", "/f", "--opaque"], 64),
        (&["insert", "oci:l:base", "f", "/../f"], 64),
        (&["insert", "oci:l:base", "f", "/a/.wh.f"], 64),
        (&["insert", "oci:l:base", "missing", "/f"], 2),
        (&["insert", "oci:l:base", "f"], 64),
        (&["insert", "oci:l:base", "--whiteout", "/"], 64),
        (&["insert", "oci:l:base", "f", "/f", "--whiteout", "/g"], 64),
        (&["insert", "oci:l:base", "f", "/f", "--uid-map", "0:0:0"], 64),
        (&["append", "oci:l:base", "missing"], 2),
        (&["append", "oci:l:base"], 64),
    ];
    for (words, code) in refusals {
        let done = run(&it, words).run();
        assert_eq!(done.code(), Some(code), "{words:?} {done}");
    }
    assert_eq!(out(&it, &["digest", "oci:l:base"]), before);
}

/// All images of an index get the same layer, which is written once; or those that are named.
#[test]
fn all_images_of_an_index_get_the_layer_or_those_that_are_named() {
    let it = base();
    write(&it, "up/x", "x");
    run(&it, &["build", "--platform", "linux/arm64", "base", "oci:l:arm"]).ok();
    run(&it, &["index", "create", "oci:l:base", "oci:l:arm", "oci:l:multi"]).ok();
    run(&it, &["append", "oci:l:multi", "up", "--to", "oci:l:all"]).ok();
    run(&it, &["append", "oci:l:multi", "up", "--to", "oci:l:one", "--platform", "linux/arm64"]).ok();
    let layers = |tag: &str| {
        let index = manifest(&it, &format!("oci:l:{tag}"));
        let digests =
            [0, 1].map(|at| index["manifests"][at]["digest"].as_str().expect("a digest").to_owned());
        digests
            .map(|digest| manifest(&it, &format!("oci:l@{digest}"))["layers"].as_array().map_or(0, Vec::len))
    };
    assert_eq!([layers("multi"), layers("all"), layers("one")], [[1, 1], [2, 2], [1, 2]]);
    assert_eq!(manifest(&it, "oci:l:one")["manifests"][0], manifest(&it, "oci:l:multi")["manifests"][0]);
}

/// In a registry only what is new is sent, and no layer below is fetched.
#[test]
fn at_a_registry_nothing_of_the_base_moves() {
    const PROOF: &str = "append: requests and bytes at a registry";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = scratch();
    fs::create_dir(it.path("big")).expect("ours");
    fs::write(it.path("big/noise"), noise(7, 8 << 20)).expect("written");
    write(&it, "up/x", "x");
    let image = format!("docker://{}/app:1", registry.host());
    run(&it, &["build", "big", &image]).ok();
    let big = manifest(&it, &image)["layers"][0]["digest"].as_str().expect("a digest").to_owned();
    let mut counted = 0;
    for words in [
        &["append", &image, "up"][..],
        &["insert", &image, "up", "/opt"],
        &["insert", &image, "--whiteout", "/noise"],
    ] {
        let before = registry.requests().len();
        run(&it, words).ok();
        let requests = registry.requests().split_off(before);
        assert!(requests.iter().all(|line| !line.contains(&big)), "{requests:?}");
        assert!(requests.len() <= 14, "{words:?}: {requests:#?}");
        counted += requests.len();
    }
    assert_eq!(manifest(&it, &image)["layers"].as_array().map(Vec::len), Some(4));
    run(&it, &["validate", &image]).ok();
    proof::ran(PROOF, counted);
}
