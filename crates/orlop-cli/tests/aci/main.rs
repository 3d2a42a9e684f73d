//! App Container Images: made of any image, taken as any image, judged by actool.

mod layers;
mod local;
mod runtime;

use orlop::spec::{Algorithm, Digest};
use serde_json::{Value, json};
use std::fs;
use testkit::command::run_in;
use testkit::dump::dump;
use testkit::image::{Image, Packing};
use testkit::peer::{Peer, peer};
use testkit::tarball::{Member, tar};
use testkit::{Scratch, orlop, proof, scratch};

const QUIET: &str = "--progress=none";

/// Runs orlop, which must end with that code; gives what it printed.
fn run(scratch: &Scratch, words: &[&str], code: i32) -> String {
    run_in(scratch, words, code)
}

/// Runs orlop, which must end with that code and say all of this.
fn tells(scratch: &Scratch, words: &[&str], code: i32, said: &[&str]) {
    let done = orlop().args(words).current_dir(scratch.root()).run();
    assert_eq!(done.code(), Some(code), "{words:?}: {done}");
    for text in said {
        assert!(done.err().contains(text), "{text:?} is not said: {done}");
    }
}

/// A folder with accounts, links, a capability and owners where root makes it, and an image of it.
fn image() -> Scratch {
    let scratch = scratch();
    for folder in ["r/etc", "r/bin", "r/data"] {
        scratch.folder(folder);
    }
    scratch.file("r/etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:7:8::/:/bin/sh\n");
    scratch.file("r/etc/group", "more:x:9:app\n");
    scratch.file("r/bin/sh", "#!");
    fs::hard_link(scratch.path("r/bin/sh"), scratch.path("r/bin/ls")).expect("a hard link");
    std::os::unix::fs::symlink("../bin/sh", scratch.path("r/etc/link")).expect("a link");
    rustix::fs::lsetxattr(scratch.path("r/bin/sh"), "user.note", b"kept", rustix::fs::XattrFlags::empty())
        .expect("an attribute");
    let words = "build --progress=none r oci:l:1 --entrypoint /bin/sh --cmd -c --cmd true --env A=b --env B= --label Q=1 \
                 --user app --volume /data --expose 80 --expose 5-6/udp --workdir /data --author me --stop-signal 9 \
                 --label org.opencontainers.image.url=http://example.com/";
    run(&scratch, &words.split_whitespace().collect::<Vec<_>>(), 0);
    scratch
}

fn actool() -> Option<Peer> {
    let found = peer("actool");
    if found.is_none() {
        proof::skipped("aci: actool's verdicts", "actool is not installed");
    }
    found
}

fn read(scratch: &Scratch, name: &str) -> Vec<u8> {
    fs::read(scratch.path(name)).expect("a file")
}

/// The digests of the manifest and the config of an image.
fn digests(scratch: &Scratch, reference: &str) -> (String, String) {
    let manifest: Value =
        serde_json::from_str(&run(scratch, &["inspect", "--raw", reference], 0)).expect("JSON");
    let config = manifest["config"]["digest"].as_str().expect("a digest").to_owned();
    (run(scratch, &["digest", reference], 0), config)
}

#[test]
fn an_image_of_one_layer_comes_back_with_its_digests() {
    let scratch = image();
    let plain = ["copy", QUIET, "--compress=none"];
    for (press, file) in [("none", "plain.aci"), ("gzip", "gzip.aci"), ("xz", "xz.aci")] {
        let target = format!("aci:{file}");
        let how = format!("--compress={press}");
        let told = run(&scratch, &["copy", QUIET, &how, "oci:l:1", &target], 0);
        let id = Digest::of(Algorithm::Sha512, &read(&scratch, "plain.aci")).hex();
        assert_eq!(told, format!("aci:{file} sha512-{id}\n"), "the id is that of the tar before compression");
        run(&scratch, &["copy", QUIET, &target, &format!("oci:back:{press}")], 0);
        assert_eq!(digests(&scratch, &format!("oci:back:{press}")), digests(&scratch, "oci:l:1"));
        assert_eq!(digests(&scratch, &target).1, digests(&scratch, "oci:l:1").1);
    }
    run(&scratch, &[&plain[..], &["oci:l:1", "aci:again.aci"]].concat(), 0);
    assert!(read(&scratch, "plain.aci") == read(&scratch, "again.aci"), "the same twice");
    for (tool, file) in [("xz", "xz.aci"), ("gzip", "gzip.aci")] {
        let tar = testkit::Command::new(tool).arg("-dc").arg(scratch.path(file)).ok().stdout;
        assert!(tar == read(&scratch, "plain.aci"), "{tool} gives the tar");
    }
}

#[test]
fn actool_takes_what_is_made_and_says_what_we_say() {
    let Some(actool) = actool() else { return };
    let scratch = image();
    run(&scratch, &["copy", QUIET, "oci:l:1", "aci:a.aci", "--aci-name=Example.com/App:2.0"], 0);
    actool.command().arg("validate").arg(scratch.path("a.aci")).ok();
    let manifest = actool.command().arg("cat-manifest").arg(scratch.path("a.aci")).ok().out();
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let ours: Value =
        serde_json::from_str(&run(&scratch, &["aci", "cat-manifest", "a.aci"], 0)).expect("JSON");
    assert_eq!(manifest["name"], "example.com/app");
    assert_eq!(manifest["labels"][0], json!({ "name": "version", "value": "2.0" }));
    let app = json!({
        "exec": ["/bin/sh", "-c", "true"], "user": "app", "group": "8", "supplementaryGIDs": [9],
        "workingDirectory": "/data",
        "environment": [{ "name": "A", "value": "b" }, { "name": "B", "value": "" }],
        "mountPoints": [{ "name": "volume-data", "path": "/data" }],
        "ports": [{ "name": "5-udp", "protocol": "udp", "port": 5 }, { "name": "6-udp", "protocol": "udp", "port": 6 },
                  { "name": "80-tcp", "protocol": "tcp", "port": 80 }],
        "userLabels": { "Q": "1", "org.opencontainers.image.url": "http://example.com/" },
    });
    assert_eq!(ours["app"], app);
    assert_eq!(manifest["app"]["exec"], app["exec"]);
    let mut cases = 1;
    for line in include_str!("../../../orlop-host/tests/aci/verdicts.tsv").lines() {
        let mut fields = line.splitn(3, '\t');
        let mut next = || fields.next().expect("three fields");
        let (recorded, expected, manifest) = (next(), next(), next());
        scratch.file("case.json", manifest);
        let judge =
            actool.command().args(["validate", "--type=manifest"]).arg(scratch.path("case.json")).run();
        let verdict = if judge.success() { "good" } else { "bad" };
        assert_eq!(verdict, recorded, "{actool} says another thing than was recorded: {manifest}");
        if manifest.starts_with('{') {
            run(&scratch, &["aci", "validate", "case.json"], if expected == "bad" { 8 } else { 0 });
        }
        cases += 1;
    }
    proof::ran("aci: actool's verdicts", cases);
}

#[test]
fn layers_become_the_tree_that_unpack_makes_of_them() {
    let scratch = scratch();
    let base = tar([
        Member::folder("./e/"),
        Member::file("./e/x", "hidden by an opaque folder"),
        Member::file("./gone/deep/f", "removed with its folder"),
        Member::file("./a", "1"),
        Member::hard_link("./b", "./a"),
        Member::file("./turns", "a file"),
    ]);
    let upper = tar([
        Member::folder("e/"),
        Member::file("e/.wh..wh..opq", ""),
        Member::file("e/y", "2"),
        Member::file(".wh.gone", ""),
        Member::file(".wh.a", ""),
        Member::folder("turns/"),
        Member::file("turns/in", "a folder"),
    ]);
    Image::of(&[base, upper], Packing::Gzip).layout().write(&scratch.path("l"));
    run(&scratch, &["unpack", QUIET, "oci:l", "expected"], 0);
    run(&scratch, &["copy", QUIET, "oci:l", "aci:a.aci"], 0);
    run(&scratch, &["unpack", QUIET, "aci:a.aci", "found"], 0);
    assert_eq!(dump(&scratch.path("found")), dump(&scratch.path("expected")));
    assert!(!scratch.path("found/e/x").exists() && !scratch.path("found/gone").exists());
    tells(&scratch, &["copy", QUIET, "aci:a.aci", "oci:back:1"], 0, &["over another layer"]);
    let config = |reference| -> Value {
        serde_json::from_str(&run(&scratch, &["inspect", "--config", reference], 0)).expect("JSON")
    };
    assert_eq!(config("oci:back:1")["config"], config("oci:l")["config"]);
}

/// A tar of an image.
fn aci(manifest: &Value, members: Vec<Member>) -> Vec<u8> {
    let head = [Member::file("manifest", manifest.to_string()), Member::folder("rootfs/")];
    tar(head.into_iter().chain(members))
}

fn manifest(name: &str, more: Value) -> Value {
    let mut manifest = json!({ "acKind": "ImageManifest", "acVersion": "0.8.11", "name": name });
    let (Value::Object(fields), Value::Object(more)) = (&mut manifest, more) else { panic!("objects") };
    fields.extend(more);
    manifest
}

#[test]
fn a_foreign_container_becomes_an_image_and_comes_back_as_it_was() {
    let scratch = scratch();
    let app = json!({ "exec": ["/bin/sh", "-x"], "user": "/owned", "group": "/owned", "workingDirectory": "/w",
        "environment": [{ "name": "A", "value": "b=c" }],
        "mountPoints": [{ "name": "data", "path": "/data", "readOnly": true }],
        "ports": [{ "name": "web", "protocol": "tcp", "port": 80, "count": 2 }],
        "isolators": [{ "name": "resource/memory", "value": { "limit": "64Mi" } }] });
    let says = manifest(
        "example.com/app",
        json!({ "app": app, "labels": [{ "name": "version", "value": "3" },
        { "name": "os", "value": "linux" }, { "name": "arch", "value": "aarch64" }],
        "annotations": [{ "name": "created", "value": "2015-10-14T05:07:30Z" }, { "name": "authors", "value": "me" }] }),
    );
    let owned = Member::file("rootfs/owned", "").owner(70, 71);
    let first = aci(&says, vec![Member::file("rootfs/bin/sh", "#!"), owned]);
    scratch.file("first.aci", &first);
    tells(&scratch, &["copy", QUIET, "aci:first.aci", "oci:l:1"], 0, &["no isolators", "cannot be written"]);
    let config: Value =
        serde_json::from_str(&run(&scratch, &["inspect", "--config", "oci:l:1"], 0)).expect("JSON");
    assert_eq!((&config["architecture"], &config["os"]), (&json!("arm64"), &json!("linux")));
    assert_eq!((&config["created"], &config["author"]), (&json!("2015-10-14T05:07:30Z"), &json!("me")));
    let expected = json!({ "User": "70:71", "ExposedPorts": { "80/tcp": {}, "81/tcp": {} }, "Env": ["A=b=c"],
        "Entrypoint": ["/bin/sh", "-x"], "Volumes": { "/data": {} }, "WorkingDir": "/w",
        "Labels": { "org.opencontainers.image.title": "example.com/app", "org.opencontainers.image.version": "3" } });
    assert_eq!(config["config"], expected);
    run(&scratch, &["copy", QUIET, "oci:l:1", "aci:back.aci"], 0);
    assert_eq!(run(&scratch, &["aci", "cat-manifest", "back.aci"], 0), says.to_string());
    run(&scratch, &["copy", QUIET, "oci:l:1", "aci:named.aci", "--aci-name=other"], 0);
    let named: Value =
        serde_json::from_str(&run(&scratch, &["aci", "cat-manifest", "named.aci"], 0)).expect("JSON");
    assert_eq!((&named["name"], &named["app"]), (&json!("other"), &says["app"]), "nothing else is another");
    run(&scratch, &["copy", QUIET, "aci:first.aci", "aci:squeezed.aci", "--compress=xz"], 0);
    assert_eq!(run(&scratch, &["aci", "cat-manifest", "squeezed.aci"], 0), says.to_string());
    let for_another = ["copy", QUIET, "--platform=linux/amd64", "aci:first.aci", "oci:l:2"];
    tells(&scratch, &for_another, 64, &["another machine"]);
}

#[test]
fn a_manifest_that_was_changed_counts_more_than_what_it_carries() {
    let scratch = image();
    run(&scratch, &["copy", QUIET, "--compress=none", "oci:l:1", "aci:a.aci"], 0);
    let mut manifest: Value =
        serde_json::from_str(&run(&scratch, &["aci", "cat-manifest", "a.aci"], 0)).expect("JSON");
    manifest["app"]["exec"] = json!(["/bin/other"]);
    scratch.file(
        "changed.aci",
        aci(
            &manifest,
            vec![
                Member::file("rootfs/etc/passwd", read(&scratch, "r/etc/passwd")),
                Member::file("rootfs/etc/group", read(&scratch, "r/etc/group")),
            ],
        ),
    );
    tells(&scratch, &["copy", QUIET, "aci:changed.aci", "oci:c:1"], 0, &["was changed since"]);
    let config: Value =
        serde_json::from_str(&run(&scratch, &["inspect", "--config", "oci:c:1"], 0)).expect("JSON");
    assert_eq!(config["config"]["Entrypoint"], json!(["/bin/other"]));
    assert_eq!(config["config"]["Cmd"], Value::Null);
    assert_eq!(config["config"]["StopSignal"], "9", "what the manifest cannot say is still carried");
    let raw = run(&scratch, &["inspect", "--raw", "oci:c:1"], 0);
    assert!(
        raw.contains("io.appc.image-manifest"),
        "what was changed may be more than a config can say: {raw}"
    );
}

#[test]
fn an_image_lies_over_files_that_are_given_and_images_of_the_store() {
    let scratch = scratch();
    let over = |name: &str| json!({ "dependencies": [{ "imageName": name, "labels": [] }] });
    let base = aci(
        &manifest("example.com/base", json!({})),
        vec![Member::file("rootfs/base", "b"), Member::file("rootfs/x", "lower")],
    );
    let top =
        json!({ "dependencies": over("example.com/base")["dependencies"], "pathWhitelist": ["/x", "/top"] });
    let top = aci(
        &manifest("example.com/top", top),
        vec![Member::file("rootfs/top", "t"), Member::file("rootfs/x", "upper")],
    );
    scratch.file("base.aci", base);
    scratch.file("top.aci", top);
    let store = format!("--root={}", scratch.path("store").display());
    let words = ["copy", QUIET, &store, "aci:top.aci", "oci:l:1"];
    tells(&scratch, &words, 2, &["example.com/base", "--aci-dependency"]);
    run(&scratch, &[&words[..], &["--aci-dependency=base.aci"]].concat(), 0);
    assert_eq!(run(&scratch, &["cat", "oci:l:1", "x"], 0), "upper");
    assert_eq!(
        run(&scratch, &["files", QUIET, "oci:l:1"], 0).lines().filter(|line| line.contains("base")).count(),
        0
    );
    run(&scratch, &["copy", QUIET, &store, "aci:base.aci", "store:example.com/base"], 0);
    let pinned = json!({ "dependencies": [{ "imageName": "example.com/base", "labels": [{ "name": "version", "value": "9" }] }] });
    scratch.file("pinned.aci", aci(&manifest("a", pinned), Vec::new()));
    tells(&scratch, &["copy", QUIET, &store, "aci:pinned.aci", "oci:l:3"], 2, &["example.com/base"]);
    run(&scratch, &["copy", QUIET, &store, "aci:top.aci", "oci:l:2"], 0);
    assert_eq!(run(&scratch, &["digest", "oci:l:2"], 0), run(&scratch, &["digest", "oci:l:1"], 0));
    tells(&scratch, &["inspect", "aci:base.aci", "--aci-dependency=top.aci"], 0, &["needed by none"]);
}

#[test]
fn what_is_wrong_with_an_image_is_named_and_nothing_is_made_of_it() {
    let scratch = scratch();
    let good = manifest("a", json!({}));
    let file = || Member::file("rootfs/f", "1");
    let twice = tar([
        Member::file("manifest", good.to_string()),
        Member::folder("rootfs/"),
        file(),
        Member::file("manifest", "{}"),
    ]);
    for (rule, code, bytes) in [
        ("manifest-missing", 5, tar([Member::folder("rootfs/"), file()])),
        ("rootfs-missing", 5, tar([Member::file("manifest", good.to_string())])),
        ("rootfs-kind", 5, tar([Member::file("manifest", good.to_string()), Member::symlink("rootfs", "/")])),
        ("manifest-kind", 5, tar([Member::folder("manifest/"), Member::folder("rootfs/"), file()])),
        ("manifest-twice", 5, twice),
        ("stray", 5, aci(&good, vec![file(), Member::file("other/f", "1")])),
        ("whiteout", 5, aci(&good, vec![file(), Member::file("rootfs/.wh.x", "")])),
        ("link-outside", 5, aci(&good, vec![file(), Member::hard_link("rootfs/l", "manifest")])),
        ("json", 5, tar([Member::file("manifest", "{\"acKind\":1}"), Member::folder("rootfs/"), file()])),
        ("json", 5, tar([Member::file("manifest", "[".repeat(100_000)), Member::folder("rootfs/"), file()])),
    ] {
        scratch.file("bad.aci", bytes);
        let out = run(&scratch, &["aci", "validate", "bad.aci"], 8);
        assert!(out.contains(&format!("error: bad.aci: {rule}: ")), "{rule}: {out}");
        tells(
            &scratch,
            &["copy", QUIET, "aci:bad.aci", "oci:target:1"],
            code,
            &["bad.aci", "orlop aci validate"],
        );
        assert!(!scratch.path("target").exists(), "{rule}: the target is as it was");
    }
    for (name, code, bytes) in [
        ("climbs", 5, aci(&good, vec![Member::file("rootfs/../x", "1")])),
        ("empty", 5, Vec::new()),
        ("cut", 5, testkit::image::gzip(&aci(&good, vec![file()]))[..60].to_vec()),
    ] {
        scratch.file("bad.aci", bytes);
        tells(&scratch, &["copy", QUIET, "aci:bad.aci", "oci:target:1"], code, &[]);
        tells(&scratch, &["aci", "validate", "bad.aci"], code, &[]);
        assert!(!scratch.path("target").exists(), "{name}: the target is as it was");
    }
}

#[test]
fn what_a_manifest_names_must_be_in_the_image() {
    let scratch = scratch();
    let app = json!({ "exec": ["/bin/none"], "user": "/no/owner", "group": "0",
        "ports": [{ "name": "a", "protocol": "tcp", "port": 80 }, { "name": "a", "protocol": "tcp", "port": 81 }] });
    let says = manifest("a", json!({ "app": app, "pathWhitelist": ["/nothing"] }));
    scratch.file("a.aci", aci(&says, vec![Member::file("rootfs/f", "1")]));
    let out = run(&scratch, &["aci", "validate", "a.aci", "--format=json"], 8);
    let found: Value = serde_json::from_str(&out).expect("JSON");
    let rules: Vec<_> = found["images"][0]["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["rule"].clone())
        .collect();
    assert_eq!(rules, ["port-twice", "exec-dangling", "owner-dangling", "whitelist-dangling"]);
    scratch.file("empty.aci", aci(&manifest("a", json!({})), Vec::new()));
    assert!(run(&scratch, &["aci", "validate", "empty.aci"], 8).contains("rootfs-empty"));
    let over = json!({ "app": { "exec": ["/bin/none"], "user": "0", "group": "0" }, "dependencies": [{ "imageName": "b" }] });
    scratch.file("over.aci", aci(&manifest("a", over), Vec::new()));
    run(&scratch, &["aci", "validate", "over.aci"], 0);
    scratch.folder("folder/rootfs/etc");
    scratch.file("folder/manifest", manifest("a", json!({})).to_string());
    run(&scratch, &["aci", "validate", "folder"], 0);
    scratch.file("folder/more", "");
    assert!(run(&scratch, &["aci", "validate", "folder"], 8).contains("stray"));
}

#[test]
fn every_compression_of_the_specification_is_read() {
    let scratch = scratch();
    let plain = aci(&manifest("a", json!({})), vec![Member::file("rootfs/f", "content")]);
    scratch.file("plain.aci", &plain);
    for (tool, proof) in [("bzip2", "bz"), ("xz", "xz"), ("gzip", "gz")] {
        let squeezed = testkit::Command::new(tool).arg("-c").input(plain.clone()).ok().stdout;
        scratch.file(proof, squeezed);
        assert_eq!(run(&scratch, &["cat", &format!("aci:{proof}"), "f"], 0), "content", "{tool}");
        assert_eq!(
            run(&scratch, &["digest", &format!("aci:{proof}")], 0),
            run(&scratch, &["digest", "aci:plain.aci"], 0)
        );
    }
    tells(&scratch, &["copy", "aci:plain.aci", "aci:z.aci", "--compress=zstd"], 64, &["zstd", "gzip"]);
    run(&scratch, &["copy", QUIET, "aci:plain.aci", "oci:l:1"], 0);
    tells(&scratch, &["copy", "oci:l:1", "oci:l:2", "--compress=xz"], 64, &["xz", "gzip or zstd"]);
}

#[test]
fn a_bundle_becomes_a_container_with_its_limits() {
    let scratch = image();
    run(&scratch, &["bundle", QUIET, "oci:l:1", "b"], 0);
    let told = run(
        &scratch,
        &["aci", "from-bundle", QUIET, "b", "b.aci", "--compress=none", "--aci-name=example.com/b:2"],
        0,
    );
    let id = Digest::of(Algorithm::Sha512, &read(&scratch, "b.aci")).hex();
    assert_eq!(told, format!("aci:b.aci sha512-{id}\n"));
    run(&scratch, &["aci", "validate", "b.aci"], 0);
    let manifest: Value =
        serde_json::from_str(&run(&scratch, &["aci", "cat-manifest", "b.aci"], 0)).expect("JSON");
    assert_eq!(manifest["app"]["exec"], json!(["/bin/sh", "-c", "true"]));
    assert_eq!((&manifest["app"]["user"], &manifest["app"]["group"]), (&json!("7"), &json!("8")));
    assert_eq!(manifest["app"]["isolators"][0]["name"], "os/linux/capabilities-retain-set");
    run(&scratch, &["unpack", QUIET, "aci:b.aci", "u"], 0);
    assert_eq!(dump(&scratch.path("u")), dump(&scratch.path("b/rootfs")));
    if let Some(actool) = actool() {
        actool.command().arg("validate").arg(scratch.path("b.aci")).ok();
    }
    let edit = |from: &str, to: &str| {
        let config = String::from_utf8(read(&scratch, "b/config.json")).expect("text");
        scratch.file("b/config.json", config.replace(from, to));
    };
    edit("\"path\": \"rootfs\"", "\"path\": \"../r\"");
    tells(&scratch, &["aci", "from-bundle", "b", "c.aci"], 64, &["is not in the bundle", "rootfs:DIR"]);
    assert!(!scratch.path("c.aci").exists());
}
