//! `config`, and what all edits share: an image is changed alike in every place, around what stays.

use serde_json::{Value, json};
use testkit::image::sha256;
use testkit::registry::{Registry, skopeo};
use testkit::{Command, Scratch, orlop, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).env("ORLOP_ROOT", it.path("store")).current_dir(it.root())
}

/// A layout `l` with two images of two layers each, and `multi`, the index of both.
fn images() -> Scratch {
    let it = scratch();
    for (tag, platform) in [("amd64", "linux/amd64"), ("arm64", "linux/arm64")] {
        it.folder(tag);
        it.file(&format!("{tag}/file"), tag);
        let target = format!("oci:l:{tag}");
        let flags = ["--created", "2020-01-01T00:00:00Z", "--env", "A=1", "--cmd", "sh", "--label", "x=y"];
        run(&it, &["build", "--platform", platform, tag, tag, &target]).args(flags).ok();
    }
    run(&it, &["index", "create", "oci:l:amd64", "oci:l:arm64", "oci:l:multi"]).ok();
    it
}

fn json_of(it: &Scratch, words: &[&str]) -> Value {
    serde_json::from_str(&run(it, words).ok().out()).expect("JSON")
}

fn manifest(it: &Scratch, reference: &str) -> Value {
    json_of(it, &["inspect", "--raw", reference])
}

fn config(it: &Scratch, reference: &str, platform: &str) -> Value {
    json_of(it, &["inspect", "--config", "--platform", platform, reference])
}

fn digest(it: &Scratch, reference: &str) -> String {
    run(it, &["digest", reference]).ok().out().trim().to_owned()
}

/// Puts a document into the layout `l` as a blob, and gives its descriptor.
fn blob(it: &Scratch, media_type: &str, text: &str) -> Value {
    let name = sha256(text.as_bytes());
    it.file(&format!("l/blobs/{}", name.replace(':', "/")), text);
    json!({"mediaType": media_type, "digest": name, "size": text.len()})
}

/// Gives a descriptor a tag in the layout `l`.
fn tag(it: &Scratch, mut root: Value, tag: &str) {
    let file = it.path("l/index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&file).expect("an index")).expect("JSON");
    root["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    index["manifests"].as_array_mut().expect("entries").push(root);
    std::fs::write(file, index.to_string()).expect("written");
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[test]
fn the_same_edit_gives_the_same_bytes_in_every_place() {
    const PROOF: &str = "config: the same bytes in every place";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = images();
    let at = format!("docker://{}/app:1", registry.host());
    let places =
        ["oci:two:1", "oci-archive:a.tar:1", "docker-archive:d.tar:app:1", "dir:d", "store:app:1", &at];
    let mut digests = Vec::new();
    for place in places {
        for (image, settings) in
            [("multi", ["--env", "B=2"]), ("multi", ["--unset", "env=A"]), ("amd64", ["--annotation", "a=b"])]
        {
            if image == "multi" && place.starts_with("docker-archive") {
                continue;
            }
            run(&it, &["copy", &format!("oci:l:{image}"), place]).ok();
            let said = run(&it, &["config", place]).args(settings).ok().out();
            let after = digest(&it, place);
            assert!(said.trim().ends_with(&after), "{said}");
            digests.push((image, settings, after));
        }
    }
    for (image, settings, digest) in &digests {
        let same = digests.iter().find(|other| (other.0, other.1) == (*image, *settings)).expect("itself");
        assert_eq!(same.2, *digest, "{image} {settings:?}");
    }
    run(&it, &["validate", "oci:two"]).ok();
    run(&it, &["validate", "oci-archive:a.tar"]).ok();
    proof::ran(PROOF, digests.len());
}

/// Base layers are descriptors: an edit in place asks a registry for documents alone, and sends documents alone.
#[test]
fn an_edit_at_a_registry_moves_no_layer() {
    const PROOF: &str = "config: a registry is asked for no layer";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = images();
    let reference = format!("docker://{}/app:1", registry.host());
    run(&it, &["copy", "oci:l:amd64", &reference]).ok();
    let layers: Vec<String> = manifest(&it, &reference)["layers"]
        .as_array()
        .expect("layers")
        .iter()
        .map(|layer| layer["digest"].as_str().expect("a digest").to_owned())
        .collect();
    let before = registry.requests().len();
    run(&it, &["config", &reference, "--user", "app", "--history-comment", "why"]).ok();
    let requests = registry.requests().split_off(before);
    assert!(!requests.is_empty());
    for request in &requests {
        assert!(layers.iter().all(|layer| !request.contains(layer.as_str())), "{request}");
    }
    let sent = |method: &str| requests.iter().filter(|it| it.starts_with(method)).count();
    assert_eq!((sent("POST"), sent("PUT"), sent("PATCH")), (1, 2, 0), "{requests:#?}");
    assert!(requests.len() <= 9, "{requests:#?}");
    proof::ran(PROOF, requests.len());
}

/// What an edit does not speak of keeps its bytes: members that nobody knows, numbers, escapes, nulls, and the order.
#[test]
fn item_36_what_is_not_spoken_of_keeps_its_bytes() {
    let it = images();
    let old = config(&it, "oci:l:amd64", "linux/amd64");
    let (ids, layers) =
        (old["rootfs"]["diff_ids"].to_string(), manifest(&it, "oci:l:amd64")["layers"].to_string());
    let text = format!(
        r#"{{"x-big":123456789012345678901234567890.10,"os":"linux","x-text":"\u003cb\u003e","history":null,
            "config":{{"OnBuild":null,"Cmd":["sh" , "-c"],"Env":null,"x-in":{{"b":1e2,"a":2}}}},
            "rootfs":{{"diff_ids":{ids},"type":"layers"}},"architecture":"amd64"}}"#
    );
    let of_config = blob(&it, CONFIG, &text);
    let manifest_text = format!(
        r#"{{"layers":{layers},"x-of-manifest":[1.50,null],"config":{of_config},"schemaVersion":2}}"#
    );
    tag(&it, blob(&it, MANIFEST, &manifest_text), "odd");

    run(&it, &["config", "oci:l:odd", "--env", "NEW=1", "--annotation", "said=yes"]).ok();
    let after = run(&it, &["inspect", "--config", "oci:l:odd"]).ok().out();
    let raw = run(&it, &["inspect", "--raw", "oci:l:odd"]).ok().out();
    let expected = [
        r#""x-big":123456789012345678901234567890.10,"os":"linux","x-text":"\u003cb\u003e","history":null,"config":"#,
        r#"{"OnBuild":null,"Cmd":["sh" , "-c"],"Env":["NEW=1"],"x-in":{"b":1e2,"a":2}}"#,
    ];
    for part in expected {
        assert!(after.contains(part), "{after}");
    }
    assert!(
        raw.starts_with(&format!(r#"{{"layers":{layers},"x-of-manifest":[1.50,null],"config":"#)),
        "{raw}"
    );
    assert!(raw.contains(&format!(r#""mediaType":"{MANIFEST}""#)), "{raw}");
    // No change, no byte.
    let before = digest(&it, "oci:l:odd");
    let done = run(&it, &["config", "oci:l:odd", "--env", "NEW=1"]).ok();
    assert!(done.err().contains("nothing changes"), "{done}");
    assert_eq!(digest(&it, "oci:l:odd"), before);
}

/// A history that counts fewer layers than there are, or more, counts as many after an edit that touches it.
#[test]
fn item_37_history_and_layers_stay_in_step() {
    let it = images();
    let old = config(&it, "oci:l:amd64", "linux/amd64");
    let layers = &manifest(&it, "oci:l:amd64")["layers"];
    let histories = [json!([]), json!([{"created_by": "one"}]), json!([{}, {}, {"comment": "too many"}])];
    for (number, history) in histories.into_iter().enumerate() {
        let mut text = old.clone();
        text["history"] = history;
        let of_config = blob(&it, CONFIG, &text.to_string());
        let text = json!({"schemaVersion": 2, "config": of_config, "layers": layers}).to_string();
        let (name, reference) = (format!("h{number}"), format!("oci:l:h{number}"));
        tag(&it, blob(&it, MANIFEST, &text), &name);
        run(&it, &["config", &reference, "--history-comment", "step", "--history-created", "0"]).ok();
        let after = config(&it, &reference, "linux/amd64");
        let steps = after["history"].as_array().expect("steps");
        let made = steps.iter().filter(|step| step["empty_layer"] != json!(true)).count();
        assert_eq!(made, 2, "{after}");
        let last = steps.last().expect("a step");
        let expected = json!({"created": "1970-01-01T00:00:00Z", "created_by": "orlop config", "comment": "step", "empty_layer": true});
        assert_eq!(*last, expected);
    }
}

#[test]
fn an_index_is_edited_as_a_whole_or_for_a_platform() {
    let it = images();
    let (before, of_arm) = (manifest(&it, "oci:l:multi"), digest(&it, "oci:l:arm64"));
    run(&it, &["config", "oci:l:multi", "--platform", "linux/amd64", "--env", "A=2"]).ok();
    let after = manifest(&it, "oci:l:multi");
    assert_ne!(after["manifests"][0]["digest"], before["manifests"][0]["digest"]);
    assert_eq!(after["manifests"][1], before["manifests"][1]);
    assert_eq!(config(&it, "oci:l:multi", "linux/amd64")["config"]["Env"], json!(["A=2"]));
    assert_eq!(config(&it, "oci:l:multi", "linux/arm64")["config"]["Env"], json!(["A=1"]));
    run(&it, &["config", "oci:l:multi", "--stop-signal", "INT"]).ok();
    for platform in ["linux/amd64", "linux/arm64"] {
        assert_eq!(config(&it, "oci:l:multi", platform)["config"]["StopSignal"], "INT");
    }
    assert_eq!(digest(&it, "oci:l:arm64"), of_arm, "the image by its other name stays");
    // For another machine, the entry says so too.
    run(&it, &["config", "oci:l:multi", "--platform", "linux/arm64", "--set-platform", "linux/riscv64"]).ok();
    assert_eq!(manifest(&it, "oci:l:multi")["manifests"][1]["platform"]["architecture"], "riscv64");
    let done = run(&it, &["config", "oci:l:multi", "--platform", "linux/s390x", "--env", "A=3"]).run();
    assert_eq!(done.code(), Some(2), "{done}");
    assert!(done.err().contains("linux/riscv64"), "{done}");
    run(&it, &["validate", "oci:l"]).ok();
}

/// What was attested of an image that is changed holds no longer: it goes, and that is said.
#[test]
fn attestations_of_a_changed_image_are_left_out() {
    let it = images();
    let mut index = manifest(&it, "oci:l:multi");
    let statement = blob(&it, "application/vnd.in-toto+json", "{}");
    let (empty, subject) = (blob(&it, CONFIG, "{}"), index["manifests"][0]["digest"].clone());
    let text = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x", "config": empty, "layers": [statement]});
    let mut entry = blob(&it, MANIFEST, &text.to_string());
    entry["annotations"] =
        json!({"vnd.docker.reference.digest": subject, "vnd.docker.reference.type": "attestation-manifest"});
    entry["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    index["manifests"].as_array_mut().expect("entries").push(entry);
    tag(&it, blob(&it, INDEX, &index.to_string()), "attested");
    // The other image is changed: what is said of this one holds.
    run(&it, &["config", "oci:l:attested", "--platform", "linux/arm64", "--env", "B=1"]).ok();
    assert_eq!(manifest(&it, "oci:l:attested")["manifests"].as_array().map(Vec::len), Some(3));
    let done = run(&it, &["config", "oci:l:attested", "--platform", "linux/amd64", "--env", "B=1"]).ok();
    assert!(done.err().contains("attests an image as it was before"), "{done}");
    assert_eq!(manifest(&it, "oci:l:attested")["manifests"].as_array().map(Vec::len), Some(2));
}

/// An index of two images with a signature by `subject`, before what it speaks of, and an attestation by annotation.
fn signed(it: &Scratch) {
    let mut index = manifest(it, "oci:l:multi");
    let statement = blob(it, "application/vnd.in-toto+json", "{}");
    let empty = blob(it, "application/vnd.oci.empty.v1+json", "{}");
    let image = index["manifests"][0].clone();
    let text = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x",
        "config": empty, "layers": [statement], "subject": image});
    let signature = blob(it, MANIFEST, &text.to_string());
    let rootfs = json!({"type": "layers", "diff_ids": [statement["digest"]]});
    let config =
        blob(it, CONFIG, &json!({"os": "unknown", "architecture": "unknown", "rootfs": rootfs}).to_string());
    let text =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [statement], "x": 1e2});
    let mut attestation = blob(it, MANIFEST, &text.to_string());
    attestation["annotations"] = json!({"vnd.docker.reference.digest": image["digest"], "vnd.docker.reference.type": "attestation-manifest"});
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let entries = index["manifests"].as_array_mut().expect("entries");
    entries.insert(0, signature);
    entries.push(attestation);
    tag(it, blob(it, INDEX, &index.to_string()), "signed");
}

/// What speaks of an image names what stands for it, by whichever algorithm; where the image means something else, it goes.
#[test]
fn what_speaks_of_an_image_follows_it_or_goes() {
    let it = images();
    signed(&it);
    for (verb, form) in [
        ("convert", &["--algorithm", "sha512"][..]),
        ("convert", &["--compress", "zstd"]),
        ("copy", &["--compress", "zstd"]),
        ("copy", &["--compress", "zstd", "--algorithm", "sha384"]),
    ] {
        let to: &[&str] = if verb == "copy" { &["oci:new:t"] } else { &["--to", "oci:new:t"] };
        run(&it, &[&[verb, "oci:l:signed"], to, form].concat()).ok();
        let index = manifest(&it, "oci:new:t");
        let [signature, image, _, attestation] = &index["manifests"].as_array().expect("entries")[..] else {
            panic!("{verb} {form:?}: {index}")
        };
        assert_eq!(attestation["annotations"]["vnd.docker.reference.digest"], image["digest"], "{form:?}");
        let at = |entry: &Value| format!("oci:new@{}", entry["digest"].as_str().expect("a digest"));
        let says = manifest(&it, &at(signature));
        assert_eq!(says["subject"]["digest"], image["digest"], "{form:?}");
        assert_eq!(says["subject"]["size"], image["size"], "{form:?}");
        // What is no image is no image to be converted either.
        assert_eq!(manifest(&it, &at(attestation))["layers"][0]["mediaType"], "application/vnd.in-toto+json");
        run(&it, &["validate", "oci:new:t"]).ok();
    }
    let said = run(&it, &["convert", "oci:l:signed", "--algorithm", "sha512", "--to", "oci:new:u"]).ok();
    assert!(said.err().contains("keep the names"), "{said}");
    let said = run(&it, &["config", "oci:l:signed", "--env", "B=1", "--to", "oci:bare:t"]).ok();
    assert_eq!(said.err().matches("attests an image as it was before").count(), 2, "{said}");
    assert_eq!(manifest(&it, "oci:bare:t")["manifests"].as_array().map(Vec::len), Some(2));
    let blobs = std::fs::read_dir(it.path("bare/blobs/sha256")).expect("blobs").count();
    assert_eq!(blobs, 7, "an index, two manifests, two configs, and a layer for each");
    let missing = run(&it, &["config", "oci:l:signed", "--platform", "linux/s390x", "--env", "A=3"]).run();
    assert!(!missing.err().contains("unknown/unknown"), "{missing}");
}

#[test]
fn every_field_is_set_and_unset() {
    let it = images();
    let before = config(&it, "oci:l:amd64", "linux/amd64");
    let set = [
        "--entrypoint",
        "/e",
        "--cmd",
        "-c",
        "--env",
        "B=2",
        "--label",
        ".title=t",
        "--user",
        "1:2",
        "--workdir",
        "/w",
        "--expose",
        "80",
        "--volume",
        "/v",
        "--stop-signal",
        "TERM",
        "--healthcheck",
        "CMD true",
        "--author",
        "me",
        "--os-version",
        "1",
        "--created",
        "0",
        "--annotation",
        ".url=u",
        "--change",
        "ONBUILD RUN x",
    ];
    run(&it, &["config", "oci:l:amd64"]).args(set).ok();
    let now = config(&it, "oci:l:amd64", "linux/amd64");
    assert_eq!(now["config"]["Labels"]["org.opencontainers.image.title"], "t");
    assert_eq!(now["config"]["ExposedPorts"], json!({"80/tcp": {}}));
    assert_eq!(manifest(&it, "oci:l:amd64")["annotations"]["org.opencontainers.image.url"], "u");
    let mut unset = vec!["config", "oci:l:amd64"];
    let fields = [
        "entrypoint",
        "cmd",
        "env=B",
        "label=.title",
        "user",
        "workdir",
        "expose=80",
        "volume=/v",
        "stop-signal",
        "healthcheck",
        "author",
        "os-version",
        "annotation=.url",
        "onbuild",
    ];
    unset.extend(fields.iter().flat_map(|field| ["--unset", field]));
    let done = run(&it, &unset).args(["--cmd", "sh", "--created", "2020-01-01T00:00:00Z"]).ok();
    assert!(!done.err().contains("nothing to unset"), "{done}");
    assert_eq!(config(&it, "oci:l:amd64", "linux/amd64"), before);
    assert_eq!(manifest(&it, "oci:l:amd64").get("annotations"), None);
}

/// What is found at a path is changed there, and what holds files and no image is refused before any of it is read.
#[test]
fn a_path_alone_is_changed_as_what_is_there() {
    let it = images();
    run(&it, &["copy", "oci:l:amd64", "dir:d"]).ok();
    run(&it, &["copy", "oci:l:amd64", "oci-archive:a.tar:x"]).ok();
    run(&it, &["copy", "oci:l:amd64", "docker-archive:b.tar:q.example/x:1"]).ok();
    let places = [
        ("./l:amd64", "oci:./l:amd64"),
        ("./d", "dir:./d"),
        ("./a.tar", "oci-archive:./a.tar:x"),
        ("./b.tar", "docker-archive:./b.tar:q.example/x:1"),
    ];
    for (path, whole) in places {
        let said = run(&it, &["config", path, "--env", "NEW=1"]).ok().out();
        assert_eq!(said.trim(), format!("{whole}@{}", digest(&it, whole)), "{path}");
        assert!(config(&it, whole, "linux/amd64")["config"]["Env"].to_string().contains("NEW=1"), "{path}");
    }
    it.folder("files");
    for (files, code) in [("./files", 64), ("rootfs:files", 64), ("./none", 2)] {
        let done = run(&it, &["config", files, "--env", "NEW=1"]).run();
        assert_eq!(done.code(), Some(code), "{done}");
        assert!(code == 2 || done.err().contains("--to oci:DIR:TAG"), "{done}");
    }
}

/// What can be said where ports are set can be said where they are taken away.
#[test]
fn ranges_of_ports_come_and_go() {
    let it = images();
    let ports = |it: &Scratch| {
        let config = config(it, "oci:l:amd64", "linux/amd64");
        let ports = config["config"]["ExposedPorts"].as_object().cloned().unwrap_or_default();
        ports.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    run(&it, &["config", "oci:l:amd64", "--expose", "7001-7003", "--expose", "7002/UDP"]).ok();
    assert!(ports(&it).ends_with("7001/tcp 7002/tcp 7002/udp 7003/tcp"), "{}", ports(&it));
    run(&it, &["config", "oci:l:amd64", "--unset", "expose=7002-7003", "--unset", "expose=7002/UDP"]).ok();
    assert!(ports(&it).ends_with("7001/tcp"), "{}", ports(&it));
}

#[test]
fn elsewhere_the_changed_image_is_whole_and_peers_read_it() {
    const PROOF: &str = "config: peers read what was changed";
    let Some(skopeo) = skopeo() else { return proof::skipped(PROOF, "skopeo is missing") };
    let it = images();
    let before = digest(&it, "oci:l:multi");
    run(&it, &["config", "oci:l:multi", "--to", "oci:other:new", "--env", "B=2"]).ok();
    run(&it, &["validate", "oci:other:new"]).ok();
    assert_eq!(digest(&it, "oci:l:multi"), before);
    let inspected = skopeo
        .args(["inspect", "--override-arch", "arm64"])
        .arg(format!("oci:{}:new", it.path("other").display()))
        .ok();
    assert!(inspected.out().contains("B=2"), "{inspected}");
    run(&it, &["unpack", "--platform", "linux/arm64", "oci:other:new", "root"]).ok();
    assert_eq!(std::fs::read(it.path("root/file")).expect("unpacked"), b"arm64");
    proof::ran(PROOF, 1);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_changes() {
    let it = images();
    let before = std::fs::read(it.path("l/index.json")).expect("an index");
    let by_digest = format!("oci:l@{}", digest(&it, "oci:l:amd64"));
    it.file("x.tar", vec![0; 1024]);
    let refusals: [(&[&str], i32, &str); 7] = [
        (&["oci:l:amd64"], 64, "inspect --config"),
        (&[&by_digest, "--env", "A=2"], 64, "--to"),
        (&["oci:l:gone", "--env", "A=2"], 2, "amd64"),
        (&["oci:l:amd64", "--unset", "envs"], 64, "fields are"),
        (&["oci:l:amd64", "--unset", "cmd=x"], 64, "--unset cmd"),
        (&["oci:l:amd64", "--to", "tar:y.tar", "--env", "A=2"], 64, "holds images"),
        (&["tar:x.tar", "--env", "A=2"], 64, "holds images"),
    ];
    for (words, code, said) in refusals {
        let done = run(&it, &[&["config"], words].concat()).run();
        assert_eq!(done.code(), Some(code), "{words:?}\n{done}");
        assert!(done.err().contains(said), "{words:?}\n{done}");
        assert_eq!(std::fs::read(it.path("l/index.json")).expect("an index"), before, "{words:?}");
    }
    assert!(!it.path("y.tar").exists());
}

/// The flags of `config` and `convert` are legal on `copy`: one pass, and the same image as two verbs make.
#[test]
fn an_image_is_changed_on_its_way() {
    let it = images();
    let flags = ["--env", "B=2", "--unset", "label", "--media-types", "docker", "--compress", "gzip:1"];
    run(&it, &["copy", "oci:l:multi", "oci:new:both"]).args(flags).ok();
    run(&it, &["convert", "oci:l:multi", "--to", "oci:steps:1"]).args(&flags[4..]).ok();
    run(&it, &["config", "oci:steps:1"]).args(&flags[..4]).ok();
    assert_eq!(digest(&it, "oci:new:both"), digest(&it, "oci:steps:1"));
    run(&it, &["validate", "oci:new:both"]).ok();
    // One more layer in the same pass: as `append` makes it.
    it.folder("more");
    it.file("more/new", "new");
    let said = ["--created", "2020-01-01T00:00:00Z", "--history-created-by", "us"];
    run(&it, &["copy", "oci:l:multi", "oci:new:more", "--append", "more", "--cmd", "new"]).args(said).ok();
    run(&it, &["copy", "oci:l:multi", "oci:two:more"]).ok();
    run(&it, &["append", "oci:two:more", "more", "--cmd", "new"]).args(said).ok();
    let (one, other) =
        (config(&it, "oci:new:more", "linux/arm64"), config(&it, "oci:two:more", "linux/arm64"));
    assert_eq!((&one["rootfs"], &one["config"]), (&other["rootfs"], &other["config"]));
    run(&it, &["validate", "oci:new:more"]).ok();
    // A part of an index, as a copy takes it; `--prune` makes the index smaller.
    let arm = ["--platform", "linux/arm64"];
    run(&it, &["copy", "oci:l:multi", "oci:part:1", "--env", "B=2", "--prune"]).args(arm).ok();
    assert_eq!(manifest(&it, "oci:part:1")["manifests"].as_array().map(Vec::len), Some(1));
    run(&it, &["copy", "oci:l:multi", "oci:part:2", "--env", "B=2"]).args(arm).ok();
    assert_eq!(manifest(&it, "oci:part:2")["manifests"].as_array().map(Vec::len), Some(2));
    assert_eq!(config(&it, "oci:part:2", "linux/arm64")["config"]["Env"], json!(["A=1", "B=2"]));
    run(&it, &["validate", "oci:part:1"]).ok();
    let refusals: [(&[&str], &str); 4] = [
        (&["oci:l:amd64", "oci:l:arm64", "oci:x", "--env", "A=1"], "several were named"),
        (&["--all-tags", "oci:l", "oci:x", "--env", "A=1"], "--all-tags"),
        (&["rootfs:amd64", "oci:x:1", "--env", "A=1"], "orlop build"),
        (&["oci:l:amd64", "tar:x.tar", "--env", "A=1"], "holds images"),
    ];
    for (words, said) in refusals {
        let done = run(&it, &[&["copy"], words].concat()).run();
        assert_eq!(done.code(), Some(64), "{words:?}\n{done}");
        assert!(done.err().contains(said), "{words:?}\n{done}");
    }
}
