//! Bundles of umoci whose `umoci.json` or manifest of the tree somebody tampered with.

use crate::world::World;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use testkit::{Command, is_root, proof};

const REPACK: [&str; 6] = ["compat", "umoci", "repack", "--image", "image:new", "b"];

/// A bundle `b` with a change, and its manifest of the tree.
fn bundle() -> (World, PathBuf) {
    let it = World::new();
    let umoci = |words: &[&str]| it.command(&[&["compat", "umoci"], words].concat()).ok();
    umoci(&["init", "--layout", "image"]);
    umoci(&["new", "--image", "image:base"]);
    umoci(&["unpack", "--image", "image:base", "first"]);
    it.sh("mkdir first/rootfs/etc; echo 1 > first/rootfs/etc/one; echo 2 > first/rootfs/etc/two");
    umoci(&["repack", "--image", "image:base", "first"]);
    umoci(&["unpack", "--image", "image:base", "b"]);
    it.sh("echo 3 > b/rootfs/etc/three; rm b/rootfs/etc/one");
    let files = fs::read_dir(it.path("b")).expect("a bundle");
    let manifest = files
        .map(|file| file.expect("listed").path())
        .find(|file| file.extension().is_some_and(|it| it == "mtree"));
    (it, manifest.expect("a manifest"))
}

fn repack(it: &World) -> Command {
    it.command(&REPACK)
}

#[test]
fn tampered_manifests_of_trees_are_refused() {
    const PROOF: &str = "hostile: manifests of trees of umoci";
    if !is_root() {
        return proof::not_offered(PROOF, "umoci's bundles of root need root");
    }
    let (it, file) = bundle();
    let good = fs::read_to_string(&file).expect("text");
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        good.replacen(from, to, 1)
    };
    let deep = (0..5000).fold("#mtree\n. type=dir\n".to_owned(), |text, _| text + "d type=dir\n");
    let cases: [(&str, String, &str); 18] = [
        ("nothing", String::new(), "no line for its root"),
        ("bytes that are no text", "\0".repeat(100), "line 1"),
        ("a name that climbs", replaced("    one ", "    .. "), "none is open"),
        ("more ends than folders", good.clone() + &"..\n".repeat(1000), "none is open"),
        ("a path from the root", good.clone() + "/etc/passwd type=file\n", "is no command"),
        ("an escape that is a slash", replaced("one", "on\\057e"), "is no name"),
        ("an escape that is nothing", replaced("one", "on\\9"), "escape"),
        ("an escape that is a nul", replaced("one", "on\\000"), "is no name"),
        ("a path twice", good.clone() + &good, "a second time"),
        ("folders without end", deep, "too deep"),
        ("a line without end", format!("#mtree\n{}", "x".repeat(20 << 20)), "too long"),
        ("a size of more than 64 bits", replaced("size=2", "size=18446744073709551616"), "the value"),
        ("a size below nothing", replaced("size=2", "size=-1"), "the value"),
        ("a mode without end", replaced("mode=0644", "mode=99999999999999999999"), "the value"),
        ("a time without end", replaced("tar_time=", "tar_time=99999999999999999999"), "the value"),
        (
            "an owner of more than 32 bits",
            replaced("/set type=file", "/set uid=99999999999 type=file"),
            "the value",
        ),
        ("a digest that is none", replaced("sha256digest=", "sha256digest=x"), "the value"),
        ("a type that there is not", replaced("type=dir", "type=../.."), "the value"),
    ];
    for (name, text, said) in &cases {
        fs::write(&file, text).expect("ours");
        let done = it.refused(repack(&it), (1, said), &["image", "b/rootfs"]);
        assert!(done.err().lines().count() < 6 && done.err().len() < 2000, "{name}: {done}");
    }
    it.hole(&format!("b/{}", file.file_name().expect("a name").display()), 4 << 30);
    it.refused(repack(&it), (1, "too long"), &["image", "b/rootfs"]);
    it.sh(&format!("rm {0}; mkfifo {0}", file.display()));
    it.refused(repack(&it), (1, "not a regular file"), &["image"]);
    it.sh(&format!("rm {0}; ln -s /etc/passwd {0}", file.display()));
    it.refused(repack(&it), (1, "cannot open"), &["image"]);
    // As it was, it serves.
    it.sh(&format!("rm {}", file.display()));
    fs::write(&file, &good).expect("ours");
    repack(&it).ok();
    proof::ran(PROOF, cases.len() + 3);
}

#[test]
fn tampered_words_of_a_bundle_are_refused() {
    const PROOF: &str = "hostile: umoci.json";
    if !is_root() {
        return proof::not_offered(PROOF, "umoci's bundles of root need root");
    }
    let (it, _) = bundle();
    let file = it.path("b/umoci.json");
    let good = fs::read_to_string(&file).expect("text");
    let value: Value = serde_json::from_str(&good).expect("JSON");
    let with = |pointer: &str, to: Value| {
        let mut value = value.clone();
        *value.pointer_mut(pointer).expect("there") = to;
        value.to_string()
    };
    let last = value["from_descriptor_path"]["descriptor_walk"][0].clone();
    let walk = |key: &str, to: Value| {
        let mut last = last.clone();
        last[key] = to;
        with("/from_descriptor_path/descriptor_walk", json!([last]))
    };
    let map = |container: i64, host: i64, size: i64| {
        with("/map_options/uid_mappings", json!([{"containerID": container, "hostID": host, "size": size}]))
    };
    let many = vec![last.clone(); 30_000];
    let cases: [(&str, String, &str); 16] = [
        ("nothing", String::new(), "umoci.json"),
        ("half of it", good[..50].to_owned(), "umoci.json"),
        ("a member twice", good.replacen('{', r#"{"umoci_version":"2","#, 1), "stands twice"),
        ("another version", with("/umoci_version", json!("9")), "version"),
        (
            "lists without end",
            good.replacen('{', &format!(r#"{{"x":{},"#, "[".repeat(50_000)), 1),
            "recursion",
        ),
        ("no image", with("/from_descriptor_path/descriptor_walk", json!([])), "names no image"),
        (
            "an image that is null",
            with("/from_descriptor_path/descriptor_walk", Value::Null),
            "names no image",
        ),
        ("images without end", with("/from_descriptor_path/descriptor_walk", json!(many)), "limit"),
        ("a digest that is a path", walk("digest", json!("sha256:../../../etc/passwd")), "is no digest"),
        ("an image that is not there", walk("digest", json!(format!("sha256:{}", "0".repeat(64)))), "mtree"),
        ("a size below nothing", walk("size", json!(-1)), "umoci.json"),
        ("a size without end", walk("size", json!(1_u64 << 62)), "bytes"),
        ("an owner beyond the last", map(0, 1 << 32, 1), "umoci.json"),
        ("an owner below the first", map(-1, 0, 1), "umoci.json"),
        ("owners that wrap", map(4_294_967_295, 0, 4_294_967_295), "owner"),
        ("owners of nobody", map(0, 0, 0), "mappings"),
    ];
    for (name, text, said) in &cases {
        fs::write(&file, text).expect("ours");
        let done = it.refused(repack(&it), (1, said), &["image", "b/rootfs"]);
        assert!(done.err().len() < 2000, "{name}: {done}");
    }
    it.hole("b/umoci.json", 4 << 30);
    it.refused(repack(&it), (1, "larger than the limit"), &["image", "b/rootfs"]);
    it.sh("rm b/umoci.json; mkfifo b/umoci.json");
    it.refused(repack(&it), (1, "not a regular file"), &["image"]);
    it.sh("rm b/umoci.json");
    fs::write(&file, &good).expect("ours");
    repack(&it).ok();
    proof::ran(PROOF, cases.len() + 2);
}
