//! `index`: indexes are made and changed alike in every place, and other tools read them as they were meant.

use testkit::engine::Podman;
use testkit::registry::{Guard, Registry, Wire, skopeo};
use testkit::{Command, Finished, Scratch, is_root, orlop, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

/// A layout `l` with an image for each of three platforms, under the tags `amd64`, `arm64`, `armv7`.
fn images() -> Scratch {
    let it = scratch();
    for (tag, platform) in [("amd64", "linux/amd64"), ("arm64", "linux/arm64"), ("armv7", "linux/arm/v7")] {
        it.folder(tag);
        it.file(&format!("{tag}/file"), tag);
        let target = format!("oci:l:{tag}");
        run(&it, &["build", "--platform", platform, tag, &target, "--created", "2020-01-01T00:00:00Z"]).ok();
    }
    it
}

/// The index as the place has it.
fn raw(it: &Scratch, reference: &str) -> serde_json::Value {
    serde_json::from_str(&run(it, &["inspect", "--raw", reference]).ok().out()).expect("JSON")
}

/// Platform and digest of each entry.
fn entries(index: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |entry: &serde_json::Value| {
        let platform = &entry["platform"];
        let words = [&platform["os"], &platform["architecture"], &platform["variant"]].map(text);
        (words.join("/").trim_end_matches('/').to_owned(), text(&entry["digest"]))
    };
    index["manifests"].as_array().expect("entries").iter().map(entry).collect()
}

fn platforms(index: &serde_json::Value) -> Vec<String> {
    entries(index).into_iter().map(|(platform, _)| platform).collect()
}

fn digest(it: &Scratch, reference: &str) -> String {
    run(it, &["digest", reference]).ok().out().trim().to_owned()
}

#[test]
fn an_index_is_made_of_images_from_everywhere() {
    let it = images();
    run(&it, &["copy", "oci:l:amd64", "dir:d"]).ok();
    run(&it, &["copy", "oci:l:arm64", "oci-archive:a.tar:x"]).ok();
    let places = ["dir:d", "oci-archive:a.tar:x", "oci:l:armv7", "oci:fresh:multi"];
    run(&it, &["index", "create", "--annotation", "a=b"]).args(places).ok();
    let index = raw(&it, "oci:fresh:multi");
    assert_eq!(platforms(&index), ["linux/amd64", "linux/arm64", "linux/arm/v7"]);
    assert_eq!(index["annotations"]["a"], "b");
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    run(&it, &["validate", "oci:fresh"]).ok();
    for (tag, (_, of_entry)) in ["amd64", "arm64", "armv7"].into_iter().zip(entries(&index)) {
        assert_eq!(of_entry, digest(&it, &format!("oci:l:{tag}")));
    }
}

/// What is said of a platform wins over what the config says, and an index gives all its entries.
#[test]
fn entries_come_of_indexes_and_of_what_is_said() {
    let it = images();
    run(&it, &["index", "create", "oci:l:amd64", "oci:l:arm64", "oci:l:two"]).ok();
    run(&it, &["index", "create", "oci:l:two", "--platform", "linux/arm/v6=oci:l:armv7", "oci:l:three"]).ok();
    let three = raw(&it, "oci:l:three");
    assert_eq!(platforms(&three), ["linux/amd64", "linux/arm64", "linux/arm/v6"]);
    let done = run(&it, &["index", "create", "--platform", "linux/arm64=oci:l:two", "oci:l:x"]).run();
    assert_eq!(done.code(), Some(64), "{done}");
}

/// Goes through every change of an index at `place`; gives the digest after each.
fn changes(it: &Scratch, place: &str) -> Vec<String> {
    let edit = |words: &[&str]| run(it, &[&["index"], words].concat()).ok();
    let at = |tag: &str| if place.starts_with("dir:") { place.to_owned() } else { format!("{place}:{tag}") };
    let index = at("multi");
    edit(&["create", "oci:l:amd64", &index]);
    let steps: [&[&str]; 6] = [
        &["add", &index, "oci:l:arm64", "oci:l:armv7"],
        &["annotate", &index, "org.example=1", "other=2"],
        &["annotate", &index, "--unset", "other"],
        &["annotate", &index, "--entry", "linux/arm64", "of=entry"],
        &["rm", &index, "linux/amd64"],
        &["filter", &index, "--platform", "linux/arm/v7"],
    ];
    let digests = steps.map(|words| {
        let said = edit(words).out();
        let digest = digest(it, &index);
        assert!(said.trim().ends_with(&digest), "{said}");
        digest
    });
    assert_eq!(platforms(&raw(it, &index)), ["linux/arm/v7"]);
    digests.into()
}

#[test]
fn the_same_change_gives_the_same_bytes_in_every_place() {
    const PROOF: &str = "index: the same bytes in every place";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = images();
    let of_layout = changes(&it, "oci:one");
    run(&it, &["validate", "oci:one"]).ok();
    run(&it, &["copy", "oci:l:amd64", "oci-archive:a.tar:other"]).ok();
    for place in [&format!("docker://{}/app", registry.host()), "dir:d"] {
        assert_eq!(changes(&it, place), of_layout, "{place}");
    }
    proof::ran(PROOF, 3 * of_layout.len());
}

/// An archive is written anew, and what else it holds comes along.
#[test]
fn other_images_of_an_archive_stay() {
    let it = images();
    run(&it, &["index", "create", "oci:l:amd64", "oci:l:arm64", "oci:l:armv7", "oci:l:multi"]).ok();
    run(&it, &["copy", "--all-tags", "oci:l", "oci-archive:a.tar"]).ok();
    run(&it, &["index", "rm", "oci-archive:a.tar:multi", "linux/arm64"]).ok();
    assert_eq!(platforms(&raw(&it, "oci-archive:a.tar:multi")), ["linux/amd64", "linux/arm/v7"]);
    for tag in ["amd64", "arm64", "armv7"] {
        assert_eq!(digest(&it, &format!("oci-archive:a.tar:{tag}")), digest(&it, &format!("oci:l:{tag}")));
    }
    run(&it, &["validate", "oci-archive:a.tar"]).ok();
    // A stream becomes a stream.
    let tar = std::fs::read(it.path("a.tar")).expect("an archive");
    let done = run(&it, &["index", "rm", "oci-archive:-:multi", "linux/amd64"]).input(tar).ok();
    it.file("b.tar", &done.stdout);
    assert_eq!(platforms(&raw(&it, "oci-archive:b.tar:multi")), ["linux/arm/v7"]);
}

/// Every field that is not spoken of stays, also those that nobody knows.
#[test]
fn j6_what_nobody_knows_stays() {
    let it = images();
    run(&it, &["index", "create", "oci:l:amd64", "oci:l:arm64", "oci:l:multi"]).ok();
    let mut index = raw(&it, "oci:l:multi");
    index["x-unknown"] = serde_json::json!({"b": [1, null], "a": 2});
    index["manifests"][0]["x-of-entry"] = "kept".into();
    index["manifests"][1]["platform"]["x-of-platform"] = 1.into();
    let bytes = index.to_string();
    let name = testkit::image::sha256(bytes.as_bytes());
    it.file(&format!("l/blobs/{}", name.replace(':', "/")), &bytes);
    let file = it.path("l/index.json");
    let mut root: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("an index")).expect("JSON");
    let entry = serde_json::json!({"mediaType": index["mediaType"], "digest": name, "size": bytes.len(),
        "annotations": {"org.opencontainers.image.ref.name": "odd"}});
    root["manifests"].as_array_mut().expect("entries").push(entry);
    std::fs::write(file, root.to_string()).expect("written");

    run(&it, &["index", "add", "oci:l:odd", "oci:l:armv7"]).ok();
    let after = raw(&it, "oci:l:odd");
    assert_eq!(after["x-unknown"], index["x-unknown"]);
    assert_eq!(after["manifests"][0], index["manifests"][0]);
    assert_eq!(after["manifests"][1], index["manifests"][1]);
    assert_eq!(platforms(&after).len(), 3);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_changes() {
    let it = images();
    run(&it, &["index", "create", "oci:l:amd64", "oci:l:arm64", "oci:l:multi"]).ok();
    let before = digest(&it, "oci:l:multi");
    let by_digest = format!("oci:l@{before}");
    let refusals: [(&[&str], i32, &str); 12] = [
        (&["create", "oci:l:amd64"], 64, "before it"),
        (&["add", "oci:l:multi", "oci:l:arm64x"], 2, "arm64"),
        (&["add", "oci:l:arm64", "oci:l:amd64"], 64, "index create"),
        (&["add", &by_digest, "oci:l:armv7"], 64, "--to"),
        (&["rm", "oci:l:multi", "linux/s390x"], 2, "linux/amd64, linux/arm64"),
        (&["rm", "oci:l:multi", "nonsense/of/a/platform"], 64, "is no platform"),
        (&["filter", "oci:l:multi", "--platform", "linux/s390x"], 2, "linux/amd64"),
        (&["annotate", "oci:l:multi", "--entry", &before, "a=b"], 2, "orlop tree"),
        (&["annotate", "oci:l:multi", "=b"], 64, "KEY=VALUE"),
        (
            &["add", "oci:l:multi", "--platform", "linux/arm64=oci:l:armv7"],
            64,
            "--overwrite, or say for which",
        ),
        (
            &["create", "--platform", "linux/arm64=oci:l:amd64", "oci:l:arm64", "oci:l:twice"],
            64,
            "hint: say for which machine it is with --platform",
        ),
        (&["rm", "oci:l:multi", "linux/s390x"], 2, "(a flag of `orlop inspect` and "),
    ];
    for (words, code, hint) in refusals {
        let done: Finished = run(&it, &[&["index"], words].concat()).run();
        assert_eq!(done.code(), Some(code), "{words:?} {done}");
        assert!(done.err().contains(hint), "{words:?} {done}");
        assert_eq!(digest(&it, "oci:l:multi"), before);
    }
    run(&it, &["index", "add", "oci:l:multi", "--overwrite", "--platform", "linux/arm64=oci:l:armv7"]).ok();
    let replaced = entries(&raw(&it, "oci:l:multi"));
    assert_eq!(replaced[1], ("linux/arm64".into(), digest(&it, "oci:l:armv7")));
    run(&it, &["index", "rm", &by_digest, "linux/amd64", "--to", "oci:l:less"]).ok();
    assert_eq!(platforms(&raw(&it, "oci:l:less")), ["linux/arm64"]);
}

/// In a registry nothing moves but what is new.
#[test]
fn what_a_registry_has_is_not_looked_at() {
    const PROOF: &str = "index: requests of a change at a registry";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = images();
    let index = format!("docker://{}/app:multi", registry.host());
    run(&it, &["index", "create", "oci:l:amd64", "oci:l:arm64", &index]).ok();
    let before = registry.requests().len();
    run(&it, &["index", "annotate", &index, "a=b"]).ok();
    let requests = registry.requests().split_off(before);
    let moved: Vec<_> = requests.iter().filter(|line| line.contains("/blobs/")).collect();
    assert!(moved.is_empty() && requests.len() <= 3, "{requests:?}");
    proof::ran(PROOF, requests.len());
}

/// podman makes the same entries of the same images, and reads ours.
#[test]
fn podman_makes_and_reads_the_same_entries() {
    const PROOF: &str = "index: podman makes and reads the same entries";
    if !is_root() {
        return proof::not_offered(PROOF, "engines with folders of their own need root");
    }
    let it = images();
    let (Some(podman), Some(_)) = (Podman::new(&it), skopeo()) else {
        return proof::skipped(PROOF, "podman or skopeo is missing");
    };
    run(&it, &["index", "create", "oci:l:amd64", "oci:l:arm64", "oci:l:armv7", "oci:l:multi"]).ok();
    let layout = it.path("l").display().to_string();
    podman.command().args(["manifest", "create", "list"]).ok();
    for tag in ["amd64", "arm64", "armv7"] {
        podman.command().args(["manifest", "add", "list", &format!("oci:{layout}:{tag}")]).ok();
    }
    let theirs = podman.command().args(["manifest", "inspect", "list"]).ok().out();
    let theirs = serde_json::from_str(&theirs).expect("JSON");
    assert_eq!(entries(&theirs), entries(&raw(&it, "oci:l:multi")));

    let copy = skopeo().expect("found before").args(["copy", "-q", "--all", &format!("oci:{layout}:multi")]);
    copy.arg(format!("dir:{}", it.path("skopeo").display())).ok();
    assert_eq!(digest(&it, "dir:skopeo"), digest(&it, "oci:l:multi"));
    proof::ran(PROOF, 4);
}

/// E22: what is not spoken of in an index keeps its bytes (item 36), and its digests their algorithm; without a change nothing
/// changes.
#[test]
fn item_36_what_is_not_spoken_of_in_an_index_keeps_its_bytes() {
    let it = images();
    run(&it, &["index", "create", "oci:l:amd64", "oci:l:arm64", "oci:l:multi"]).ok();
    let plain = run(&it, &["inspect", "--raw", "oci:l:multi"]).ok().out();
    let odd = plain
        .trim_end()
        .trim_end_matches('}')
        .replace("\"mediaType\":\"application/vnd.oci.image.index.v1+json\",", "")
        + r#","x-big":123456789012345678901234567890.10 , "x-text":"\u003cb\u003e","annotations":{"k":"v"}}"#;
    let name = testkit::image::sha256(odd.as_bytes());
    it.file(&format!("l/blobs/{}", name.replace(':', "/")), &odd);
    let entry = serde_json::json!({
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": name, "size": odd.len(),
        "annotations": {"org.opencontainers.image.ref.name": "odd"},
    });
    let file = it.path("l/index.json");
    let mut index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("an index")).expect("JSON");
    index["manifests"].as_array_mut().expect("entries").push(entry);
    std::fs::write(file, index.to_string()).expect("written");

    run(&it, &["index", "annotate", "oci:l:odd", "k=v"]).ok();
    assert_eq!(digest(&it, "oci:l:odd"), name, "nothing changes");
    run(&it, &["index", "annotate", "oci:l:odd", "a=b"]).ok();
    let after = run(&it, &["inspect", "--raw", "oci:l:odd"]).ok().out();
    for kept in [r#""x-big":123456789012345678901234567890.10"#, r#""x-text":"\u003cb\u003e""#] {
        assert!(after.contains(kept), "{kept}: {after}");
    }
    assert_eq!(raw(&it, "oci:l:odd")["annotations"], serde_json::json!({"k": "v", "a": "b"}));
    run(&it, &["index", "rm", "oci:l:odd", "linux/arm64"]).ok();
    assert_eq!(platforms(&raw(&it, "oci:l:odd")), ["linux/amd64"]);
    run(&it, &["convert", "oci:l:multi", "--algorithm", "sha512", "--to", "oci:l:long"]).ok();
    run(&it, &["index", "annotate", "oci:l:long", "a=b"]).ok();
    assert!(digest(&it, "oci:l:long").starts_with("sha512:"));
    run(&it, &["validate", "oci:l"]).ok();
}
