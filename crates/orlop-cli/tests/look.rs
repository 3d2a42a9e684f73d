//! Looking at images and keeping their names, through the binary.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use testkit::image::{Image, Layout, Packing};
use testkit::tarball::{Member, tar};
use testkit::{Finished, Scratch, orlop, scratch};

/// A layout `img` with one image under the tag that the testkit gives.
struct Fixture {
    folder: Scratch,
    layout: Layout,
}

fn fixture(image: Image) -> Fixture {
    let folder = scratch();
    let layout = image.layout();
    layout.write(&folder.path("img"));
    Fixture { folder, layout }
}

fn plain() -> Image {
    Image::of(&[tar([Member::file("a", "content\n")])], Packing::Gzip)
}

impl Fixture {
    fn reference(&self) -> String {
        let tag =
            self.layout.index()["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"].clone();
        format!("oci:img:{}", tag.as_str().expect("the testkit tags its image"))
    }

    fn digest(&self) -> String {
        self.layout.index()["manifests"][0]["digest"].as_str().expect("a digest").to_owned()
    }

    fn run(&self, words: &[&str]) -> Finished {
        orlop().args(words).current_dir(self.folder.root()).run()
    }

    fn ok(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert!(done.success() && done.stderr.is_empty(), "{done}");
        done.out()
    }

    fn json(&self, words: &[&str]) -> Value {
        let text = self.ok(&[words, &["--format", "json"]].concat());
        let value: Value = serde_json::from_str(&text).expect("one JSON document");
        assert_eq!(value["version"], 1, "{text}");
        value
    }

    fn tags(&self) -> Vec<Option<String>> {
        let value = self.json(&["ls", "oci:img"]);
        let images = value["images"].as_array().expect("a list");
        images.iter().map(|image| image["tag"].as_str().map(ToOwned::to_owned)).collect()
    }

    fn path(&self, within: &str) -> PathBuf {
        self.folder.path("img").join(within)
    }
}

#[test]
fn inspect_tells_what_the_documents_say() {
    let it = fixture(plain().config(|mut config| {
        config["config"] = json!({ "Entrypoint": ["/bin/sh", "-c"], "Env": ["A=b"], "Labels": { "k": "v" } });
        config
    }));
    let text = it.ok(&["inspect", &it.reference()]);
    for part in [it.digest().as_str(), "linux/amd64", r#"["/bin/sh","-c"]"#, "A=b", "k=v", "in 1 layer"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let value = it.json(&["inspect", &it.reference()]);
    assert_eq!(value["digest"], json!(it.digest()));
    assert_eq!(value["manifest"], it.layout.manifest());
    assert_eq!(value["config"]["config"]["Env"], json!(["A=b"]));
}

#[test]
fn raw_documents_are_the_bytes_that_are_stored() {
    let it = fixture(plain());
    for (flag, path) in [("--raw", it.layout.manifest_path()), ("--config", it.layout.config_path())] {
        let done = it.run(&["inspect", flag, &it.reference()]);
        assert_eq!(done.stdout, std::fs::read(it.path(&path)).expect("the blob"), "{flag}");
    }
}

#[test]
fn an_index_is_shown_and_one_platform_of_it_is_chosen() {
    let it = index_of(&["linux/s390x", "linux/riscv64"]);
    let text = it.ok(&["inspect", "oci:img:all"]);
    assert!(
        text.contains("linux/s390x") && text.contains("linux/riscv64") && !text.contains("LAYER"),
        "{text}"
    );
    let value = it.json(&["inspect", "oci:img:all", "--platform", "linux/riscv64"]);
    assert_eq!(
        (&value["platform"], &value["manifest"]["schemaVersion"]),
        (&json!("linux/riscv64"), &json!(2))
    );
    let whole = it.ok(&["digest", "oci:img:all"]);
    let one = it.ok(&["digest", "oci:img:all", "--platform", "linux/s390x"]);
    assert_ne!(whole, one);
    let done = it.run(&["digest", "oci:img:all", "--platform", "linux/mips"]);
    assert_eq!(done.code(), Some(2), "{done}");
    assert!(done.err().contains("linux/s390x") && done.err().contains("linux/riscv64"), "{done}");
}

/// One index `all` over images of several platforms.
fn index_of(platforms: &[&str]) -> Fixture {
    let it = fixture(plain());
    let mut layout = it.layout.clone();
    let mut children = Vec::new();
    for platform in platforms {
        let (os, architecture) = platform.split_once('/').expect("two words");
        let config =
            json!({ "os": os, "architecture": architecture, "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = layout.add("application/vnd.oci.image.config.v1+json", config.to_string().into());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config, "layers": [],
        });
        let mut child = layout.add("application/vnd.oci.image.manifest.v1+json", manifest.to_string().into());
        child["platform"] = json!({ "os": os, "architecture": architecture });
        children.push(child);
    }
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": children });
    let mut root = layout.add(kind, index.to_string().into());
    root["annotations"] = json!({ "org.opencontainers.image.ref.name": "all" });
    layout.put("index.json", json!({ "schemaVersion": 2, "manifests": [root] }).to_string());
    layout.write(&it.folder.path("img"));
    Fixture { folder: it.folder, layout }
}

#[test]
fn l1_what_an_image_says_cannot_move_the_cursor() {
    let hostile = "x\u{1b}]52;c;aGk=\u{7}\u{9b}2J\u{202e}y\rz";
    let it = fixture(plain().config(move |mut config| {
        config["author"] = json!(hostile);
        config["config"] =
            json!({ "Env": [hostile], "Cmd": [hostile], "User": hostile, "Labels": { hostile: hostile } });
        config
    }));
    let harmless = |text: &str| {
        let bad = text.chars().find(|it| (it.is_control() && *it != '\n') || *it == '\u{202e}');
        assert_eq!(bad, None, "{text:?}");
    };
    harmless(&it.ok(&["inspect", &it.reference()]));
    it.ok(&["tag", &it.reference(), "plain"]);
    let done = it.run(&["inspect", &format!("oci:img:{hostile}")]);
    assert!(!done.success());
    harmless(&done.err());
    let value = it.json(&["inspect", &it.reference()]);
    assert_eq!(value["config"]["author"], json!(hostile));
}

#[test]
fn names_are_given_and_taken() {
    let it = fixture(plain());
    let line = it.ok(&["tag", &it.reference(), "two", "with/slash:and-colon"]);
    let expected =
        ["two", "with/slash:and-colon"].map(|tag| format!("oci:img:{tag}@{}\n", it.digest())).concat();
    assert_eq!(line, expected);
    assert_eq!(it.tags().len(), 3);
    let gone = it.ok(&["untag", "oci:img:two"]);
    assert_eq!(gone, format!("oci:img:two@{}\n", it.digest()), "the name that is no more");
    assert_eq!(it.tags().len(), 2);
    let line = it.ok(&["rm", "--yes", "oci:img:with/slash:and-colon"]);
    assert_eq!(line.lines().count(), 2, "an image goes under all its names, and they are told: {line}");
    assert_eq!(it.tags(), []);
}

#[test]
fn what_is_removed_must_be_named() {
    let it = fixture(plain());
    for words in [["rm", "oci:img"], ["untag", "oci:img:@0"]] {
        let done = it.run(&words);
        assert_eq!(done.code(), Some(64), "{done}");
        assert!(done.err().contains("hint: "), "{done}");
    }
    assert_eq!(it.tags().len(), 1);
}

/// E23: oras-java 263: blobs that nothing names stayed in layouts for ever.
#[test]
fn gc_removes_what_no_name_reaches_and_spares_the_young() {
    let it = fixture(plain());
    let blobs = |it: &Fixture| std::fs::read_dir(it.path("blobs/sha256")).expect("a folder").count();
    assert_eq!(it.json(&["gc", "oci:img", "--grace", "0"])["removed"], json!([]));
    it.ok(&["rm", &it.reference()]);
    assert_eq!(it.json(&["gc", "oci:img"])["young"], 3, "everything was written just now");
    assert!(it.ok(&["gc", "oci:img"]).contains("3 younger than --grace stay"));
    assert_eq!(
        it.json(&["gc", "oci:img", "--grace", "0", "--dry-run"])["removed"].as_array().map(Vec::len),
        Some(3)
    );
    let heading = |words: &[&str]| it.ok(words).lines().next().map(ToOwned::to_owned).unwrap_or_default();
    let foretold = heading(&["gc", "oci:img", "--grace", "0", "--dry-run"]);
    assert!(foretold.starts_with("TO BE REMOVED "), "{foretold}");
    assert_eq!(blobs(&it), 3);
    assert!(heading(&["gc", "oci:img", "--grace", "0"]).starts_with("REMOVED "));
    assert_eq!(blobs(&it), 0);
}

#[test]
fn every_kind_of_error_has_its_exit_code() {
    let it = fixture(plain());
    let reference = it.reference();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["inspect", "oci:img:absent"], 2, "not-found"),
        (&["inspect", "oci:absent:x"], 2, "not-found"),
        (&["inspect", "oci://img"], 64, "usage"),
        (&["inspect", ""], 64, "usage"),
        (&["digest", &reference, "--platform", "nonsense"], 64, "usage"),
    ];
    for (words, code, kind) in cases {
        let done = it.run(&[words, &["--format", "json"]].concat());
        let error: Value =
            serde_json::from_slice(&done.stderr).unwrap_or_else(|_| panic!("{words:?}: {done}"));
        assert_eq!((done.code(), error["kind"].as_str()), (Some(code), Some(kind)), "{words:?}: {done}");
        assert_eq!(error["exit_code"], code);
        assert!(done.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn damage_exits_5_and_says_which_blob() {
    let it = fixture(plain());
    let path = it.path(&it.layout.manifest_path());
    let mut bytes = std::fs::read(&path).expect("the manifest");
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    replace(&path, &bytes);
    let done = it.run(&["inspect", &it.reference()]);
    assert_eq!(done.code(), Some(5), "{done}");
    assert!(done.err().contains(&it.digest()), "{done}");
}

#[test]
fn a_document_beyond_the_limit_exits_9() {
    let it = fixture(plain().manifest(|mut manifest| {
        manifest["annotations"] = json!({ "x": "y".repeat(5 << 20) });
        manifest
    }));
    let done = it.run(&["inspect", &it.reference()]);
    assert_eq!(done.code(), Some(9), "{done}");
}

fn replace(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).expect("it was there");
    std::fs::write(path, bytes).expect("the folder is ours");
}

/// Two layers: the upper one replaces a file, removes one and adds one.
fn stacked() -> Image {
    let lower = [
        Member::folder("etc/"),
        Member::file("etc/kept", "kept\n"),
        Member::file("etc/old", "12345678"),
        Member::file("etc/twice", "first"),
        Member::symlink("link", "etc/kept"),
    ];
    let upper =
        [Member::file("etc/.wh.old", ""), Member::file("etc/twice", "second"), Member::file("new\x1b", "n")];
    Image::of(&[tar(lower), tar(upper)], Packing::Gzip)
}

const QUIET: [&str; 2] = ["--progress", "none"];

#[test]
fn files_lists_what_the_layers_mean_together() {
    let it = fixture(stacked());
    let value = it.json(&[&["files", &it.reference()], &QUIET[..]].concat());
    let files = value["files"].as_array().expect("a list");
    let paths: Vec<_> = files.iter().map(|file| file["path"].as_str().expect("text")).collect();
    assert_eq!(paths, ["", "etc", "etc/kept", "etc/twice", "link", "new\x1b"]);
    assert_eq!((&files[3]["size"], &files[3]["layer"]), (&json!(6), &json!(1)));
    assert_eq!(files[4]["target"], "etc/kept");
    let text = it.ok(&[&["files", &it.reference(), "etc"], &QUIET[..]].concat());
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.starts_with('d') && text.contains(" etc/kept\n"), "{text}");
    let text = it.ok(&[&["files", &it.reference()], &QUIET[..]].concat());
    assert!(text.contains(r"new\x1b") && !text.contains('\x1b'), "l1: {text}");
    assert_eq!(it.run(&["files", &it.reference(), "etc/old"]).code(), Some(2));
}

#[test]
fn cat_gives_the_upper_layer_and_follows_links() {
    let it = fixture(stacked());
    for proof in [&[][..], &["--unproven"]] {
        let cat = |path: &str| it.run(&[&["cat", &it.reference(), path], &QUIET[..], proof].concat());
        assert_eq!(cat("/etc/twice").out(), "second");
        assert_eq!(cat("link").out(), "kept\n");
        for (path, code) in [("etc/old", 2), ("etc", 1), ("../../etc/passwd", 2)] {
            let done = cat(path);
            assert_eq!(done.code(), Some(code), "{path}: {done}");
            assert!(done.stdout.is_empty(), "{path}");
        }
    }
}

#[test]
fn du_tells_what_upper_layers_hide() {
    let it = fixture(stacked());
    let value = it.json(&[&["du", &it.reference()], &QUIET[..]].concat());
    let of = |name: &str| {
        value["layers"].as_array().expect("a list").iter().map(|it| it[name].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("bytes"), [json!(18), json!(7)]);
    assert_eq!(of("waste"), [json!(13), json!(0)]);
    assert_eq!((&value["bytes"], &value["waste"]), (&json!(25), &json!(13)));
    assert!(it.ok(&[&["du", &it.reference()], &QUIET[..]].concat()).lines().count() == 4);
}

/// E12: image-spec 930: two images of one content, and nobody said in what they differ.
#[test]
fn diff_exits_8_and_names_what_differs() {
    let it = fixture(stacked());
    let same = it.run(&[&["diff", &it.reference(), &it.reference()], &QUIET[..]].concat());
    assert!(same.code() == Some(0) && same.stdout.is_empty(), "{same}");
    let other = stacked().config(|mut config| {
        config["config"] = json!({ "User": "1" });
        config
    });
    let upper = tar([
        Member::file("etc/twice", "third!"),
        Member::file("etc/.wh.kept", ""),
        Member::file("more", ""),
    ]);
    let other = other.layer(testkit::image::Layer::new(&upper, Packing::Gzip));
    other.layout().write(&it.folder.path("other"));
    let other = it.reference().replacen("img", "other", 1);
    let done = it.run(&[&["diff", &it.reference(), &other], &QUIET[..]].concat());
    assert_eq!(done.code(), Some(8), "{done}");
    let text = done.out();
    for line in ["removed  etc/kept\n", "changed  etc/twice: content\n", "added    more\n", "config   config"]
    {
        assert!(text.contains(line), "{line:?} is missing:\n{text}");
    }
    let why = it.run(&[&["diff", &it.reference(), &other, "--why"], &QUIET[..]].concat()).out();
    assert!(why.contains("layer: 1 → 2"), "{why}");
    let value = it.run(&[&["diff", &it.reference(), &other, "--format=json"], &QUIET[..]].concat());
    let value: Value = serde_json::from_slice(&value.stdout).expect("JSON");
    assert_eq!(value["files"].as_array().map(Vec::len), Some(3), "{value}");
}

#[test]
fn diff_reads_the_layers_that_both_images_begin_with_once() {
    let it = fixture(stacked());
    let more = tar([Member::file("more", "")]);
    let other = stacked().layer(testkit::image::Layer::new(&more, Packing::Gzip));
    other.layout().write(&it.folder.path("other"));
    for number in [0, 1] {
        std::fs::remove_file(it.folder.path("other").join(it.layout.layer_path(number))).expect("shared");
    }
    let other = it.reference().replacen("img", "other", 1);
    let done = it.run(&[&["diff", &it.reference(), &other], &QUIET[..]].concat());
    assert_eq!((done.code(), done.out().lines().next()), (Some(8), Some("added    more")), "{done}");
    let back = it.run(&[&["diff", &other, &it.reference()], &QUIET[..]].concat());
    assert!(![Some(0), Some(8)].contains(&back.code()), "what is read is proven: {back}");
}

#[test]
fn nothing_is_printed_of_a_damaged_layer() {
    let it = fixture(stacked());
    let path = it.path(&it.layout.layer_path(1));
    let mut bytes = std::fs::read(&path).expect("the layer");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    replace(&path, &bytes);
    for words in [
        ["cat", &it.reference(), "etc/twice"],
        ["files", &it.reference(), "etc"],
        ["du", &it.reference(), "--progress=none"],
    ] {
        let done = it.run(&words);
        assert_eq!(done.code(), Some(5), "{words:?}: {done}");
        assert!(done.stdout.is_empty(), "{words:?}");
    }
}
