//! `rebase`: an image gets another base, wherever it is, and nothing is read but documents.

use std::fs;
use testkit::noise::noise;
use testkit::registry::Registry;
use testkit::{Command, Scratch, orlop, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root()).env("ORLOP_ROOT", it.path("store"))
}

fn out(it: &Scratch, words: &[&str]) -> String {
    run(it, words).ok().out()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

fn manifest(it: &Scratch, reference: &str) -> serde_json::Value {
    json(&out(it, &["inspect", "--raw", reference]))
}

fn config(it: &Scratch, reference: &str) -> serde_json::Value {
    json(&out(it, &["inspect", "--config", reference]))
}

fn digest(it: &Scratch, reference: &str) -> String {
    out(it, &["digest", reference]).trim().to_owned()
}

/// In `place`: `old` and `new`, bases of two layers and of one, and `app`, made on `old`.
fn images(it: &Scratch, place: &str) {
    for (tag, size) in [("lower", 1 << 20), ("upper", 2 << 20), ("newer", 1 << 20), ("own", 1 << 10)] {
        fs::create_dir_all(it.path(tag)).expect("ours");
        fs::write(it.path(&format!("{tag}/{tag}")), noise(tag.len() as u64 + size as u64, size))
            .expect("written");
    }
    let at = |tag: &str| format!("{place}:{tag}");
    let build = |words: &[&str]| {
        run(it, &[&["build"], words, &["--created", "0", "--owner", "squash"]].concat()).ok()
    };
    build(&[
        "lower",
        "upper",
        &at("old"),
        "--env",
        "PATH=/bin",
        "--env",
        "V=1",
        "--label",
        "v=1",
        "--cmd",
        "sh",
    ]);
    build(&[
        "newer",
        &at("new"),
        "--env",
        "PATH=/usr/bin",
        "--env",
        "V=2",
        "--label",
        "v=2",
        "--cmd",
        "bash",
    ]);
    build(&["own", &at("app"), "--base", &at("old"), "--env", "PATH=/app", "--user", "7"]);
}

/// What is on the old base as it was is on the new one as if it had been built on it.
#[test]
fn an_image_on_another_base_is_as_if_it_had_been_built_on_it() {
    let it = scratch();
    images(&it, "oci:l");
    let app = ["oci:l:app", "--to", "oci:l:moved", "--old-base", "oci:l:old", "--new-base", "oci:l:new"];
    run(&it, &[&["rebase"], &app[..]].concat()).ok();
    let build = ["build", "own", "oci:l:built", "--base", "oci:l:new", "--env", "PATH=/app", "--user", "7"];
    run(&it, &[&build[..], &["--created", "0", "--owner", "squash"]].concat()).ok();
    assert_eq!(config(&it, "oci:l:moved"), config(&it, "oci:l:built"));
    let (moved, built) = (manifest(&it, "oci:l:moved"), manifest(&it, "oci:l:built"));
    assert_eq!(moved["layers"], built["layers"]);
    let said = &moved["annotations"]["org.opencontainers.image.base.digest"];
    assert_eq!(said.as_str(), Some(&*digest(&it, "oci:l:new")));
    run(&it, &["validate", "oci:l"]).ok();
}

/// Law: on the base that it has an image stays what it is, to the byte.
#[test]
fn an_image_on_its_own_base_stays_what_it_is() {
    let it = scratch();
    images(&it, "oci:l");
    let before = digest(&it, "oci:l:app");
    run(&it, &["rebase", "oci:l:app", "--old-base", "oci:l:old", "--new-base", "oci:l:old"]).ok();
    assert_eq!(digest(&it, "oci:l:app"), before);
    // There and back again: only what is said of the base is another.
    run(&it, &["rebase", "oci:l:app", "--old-base", "oci:l:old", "--new-base", "oci:l:new"]).ok();
    let between = digest(&it, "oci:l:app");
    assert_ne!(between, before);
    run(&it, &["rebase", "oci:l:app", "--old-base", "oci:l:new", "--new-base", "oci:l:old"]).ok();
    let first = format!("oci:l@{before}");
    assert_eq!(config(&it, "oci:l:app"), config(&it, &first));
    assert_eq!(manifest(&it, "oci:l:app")["layers"], manifest(&it, &first)["layers"]);
}

/// Item 37: steps that made no layer go with the base that made them, and stay with the image that did.
#[test]
fn item_37_steps_without_a_layer_go_with_whose_they_are() {
    let it = scratch();
    images(&it, "oci:l");
    run(&it, &["config", "oci:l:old", "--label", "a=b", "--history-comment", "of the old base"]).ok();
    run(&it, &["config", "oci:l:new", "--label", "c=d", "--history-comment", "of the new base"]).ok();
    run(&it, &["build", "own", "oci:l:app", "--base", "oci:l:old", "--created", "0"]).ok();
    run(&it, &["config", "oci:l:app", "--label", "e=f", "--history-comment", "of the image"]).ok();
    run(&it, &["rebase", "oci:l:app", "--old-base", "oci:l:old", "--new-base", "oci:l:new"]).ok();
    let config = config(&it, "oci:l:app");
    let steps = config["history"].as_array().expect("steps");
    let told: Vec<_> = steps
        .iter()
        .map(|it| (it["comment"].as_str().unwrap_or("a layer"), it["empty_layer"] == true))
        .collect();
    assert_eq!(
        told,
        [("a layer", false), ("of the new base", true), ("a layer", false), ("of the image", true)]
    );
    assert_eq!(config["config"]["Labels"], serde_json::json!({"v": "2", "c": "d", "e": "f"}));
}

#[test]
fn what_was_not_made_on_the_base_is_refused_and_nothing_changes() {
    let it = scratch();
    images(&it, "oci:l");
    run(&it, &["build", "--platform", "linux/s390x", "newer", "oci:l:foreign"]).ok();
    let before = digest(&it, "oci:l:app");
    let refusals: [(&[&str], i32, &str); 4] = [
        (&["--old-base", "oci:l:new", "--new-base", "oci:l:old"], 64, "was not made on"),
        (&["--old-base", "oci:l:old", "--new-base", "oci:l:foreign"], 64, "for linux/s390x"),
        (&["--new-base", "oci:l:new"], 64, "nothing tells on what"),
        (&["--old-base", "oci:l:old", "--new-base", "oci:l:absent"], 2, "absent"),
    ];
    for (words, code, text) in refusals {
        let done = run(&it, &[&["rebase", "oci:l:app"], words].concat()).run();
        assert_eq!(done.code(), Some(code), "{words:?} {done}");
        assert!(done.err().contains(text), "{words:?} {done}");
        assert_eq!(digest(&it, "oci:l:app"), before);
    }
}

/// Each image of an index is put on the base for its own machine.
#[test]
fn each_image_of_an_index_gets_the_base_for_its_machine() {
    let it = scratch();
    for (base, word) in [("old", "1"), ("new", "2")] {
        for (tag, platform) in [("amd64", "linux/amd64"), ("arm64", "linux/arm64")] {
            let folder = format!("{base}-{tag}");
            it.folder(&folder);
            it.file(&format!("{folder}/base"), word);
            run(
                &it,
                &[
                    "build",
                    "--platform",
                    platform,
                    &folder,
                    &format!("oci:l:{folder}"),
                    "--env",
                    &format!("FOR={base}-{tag}"),
                ],
            )
            .ok();
        }
        let [amd64, arm64] = ["amd64", "arm64"].map(|tag| format!("oci:l:{base}-{tag}"));
        run(&it, &["index", "create", &amd64, &arm64, &format!("oci:l:{base}")]).ok();
    }
    it.folder("own");
    it.file("own/own", "own");
    run(&it, &["append", "oci:l:old", "own", "--to", "oci:l:app"]).ok();
    run(&it, &["rebase", "oci:l:app", "--old-base", "oci:l:old", "--new-base", "oci:l:new"]).ok();
    let index = manifest(&it, "oci:l:app");
    for (at, tag) in [(0, "amd64"), (1, "arm64")] {
        let entry = &index["manifests"][at];
        assert_eq!(entry["platform"]["architecture"], *tag);
        let image = format!("oci:l@{}", entry["digest"].as_str().expect("a digest"));
        assert_eq!(config(&it, &image)["config"]["Env"][0], format!("FOR=new-{tag}"));
        let base = manifest(&it, &format!("oci:l:new-{tag}"));
        assert_eq!(manifest(&it, &image)["layers"][0], base["layers"][0]);
    }
    run(&it, &["validate", "oci:l"]).ok();
}

/// A registry, a folder to work in, and the repository in it that has the images.
fn images_at_a_registry(proof: &str) -> Option<(Registry, Scratch, String)> {
    let Some(registry) = Registry::plain() else {
        proof::skipped(proof, "docker-registry is missing");
        return None;
    };
    let it = scratch();
    let place = format!("docker://{}/r", registry.host());
    images(&it, &place);
    Some((registry, it, place))
}

/// By what the image tells of its base, in place at a registry: documents move, and no layer.
#[test]
fn at_a_registry_only_documents_move_and_the_image_tells_its_base() {
    const PROOF: &str = "rebase: requests at a registry";
    let Some((registry, it, place)) = images_at_a_registry(PROOF) else { return };
    let at = |tag: &str| format!("{place}:{tag}");
    let name = format!("org.opencontainers.image.base.name={}/r:new", registry.host());
    let base = format!("org.opencontainers.image.base.digest={}", digest(&it, &at("old")));
    run(&it, &["config", &at("app"), "--annotation", &name, "--annotation", &base]).ok();
    let before = registry.requests().len();
    run(&it, &["rebase", &at("app")]).ok();
    let requests = registry.requests().split_off(before);
    let layers: Vec<String> = ["old", "app", "new"]
        .iter()
        .flat_map(|tag| manifest(&it, &at(tag))["layers"].as_array().expect("layers").clone())
        .map(|layer| layer["digest"].as_str().expect("a digest").to_owned())
        .collect();
    let moved = |line: &&String| layers.iter().any(|layer| line.contains(layer)) && !line.contains("HEAD");
    assert_eq!(requests.iter().filter(moved).count(), 0, "{requests:#?}");
    assert!(requests.len() <= 20, "{requests:#?}");
    assert_eq!(config(&it, &at("app"))["config"]["Env"], serde_json::json!(["PATH=/app", "V=2"]));
    assert_eq!(
        manifest(&it, &at("app"))["annotations"]["org.opencontainers.image.base.digest"],
        digest(&it, &at("new"))
    );
    run(&it, &["validate", &at("app")]).ok();
    // A second time the base is the one that it has.
    let after = digest(&it, &at("app"));
    run(&it, &["rebase", &at("app")]).ok();
    assert_eq!(digest(&it, &at("app")), after);
    proof::ran(PROOF, requests.len());
}

/// `build --base` says on what it builds: anybody finds a base in a registry, and a base elsewhere is known by its digest.
/// What the base says of its own base is not handed on.
#[test]
fn what_is_built_on_a_base_tells_it_and_can_be_rebased() {
    const PROOF: &str = "rebase: of what was built on a base";
    let Some((registry, it, place)) = images_at_a_registry(PROOF) else { return };
    let at = |tag: &str| format!("{place}:{tag}");
    let told = |reference: &str| {
        let said = &manifest(&it, reference)["annotations"];
        ["name", "digest"].map(|what| said[format!("org.opencontainers.image.base.{what}")].clone())
    };
    let before = digest(&it, &at("old"));
    run(&it, &["build", "--base", &at("old"), "own", &at("mine")]).ok();
    assert_eq!(
        told(&at("mine")),
        [format!("{}/r:old", registry.host()), before.clone()].map(serde_json::Value::from)
    );
    run(&it, &["copy", &at("mine"), "oci:l:mine"]).ok();
    run(&it, &["build", "--base", "oci:l:mine", "own", "oci:l:more"]).ok();
    assert_eq!(told("oci:l:more"), [serde_json::Value::Null, digest(&it, "oci:l:mine").into()]);
    run(&it, &["copy", &at("new"), &at("old")]).ok();
    run(&it, &["rebase", &at("mine")]).ok();
    assert_eq!(told(&at("mine"))[1], digest(&it, &at("new")));
    let layers = |tag: &str| manifest(&it, &at(tag))["layers"].as_array().expect("layers").len();
    assert_eq!(layers("mine"), layers("new") + 1);
    proof::ran(PROOF, 2);
}

/// What an image tells is never a path here, nor a transport.
#[test]
fn j7_an_image_cannot_name_a_place_of_this_machine_as_its_base() {
    let it = scratch();
    images(&it, "oci:l");
    let base = format!("org.opencontainers.image.base.digest={}", digest(&it, "oci:l:old"));
    for name in ["oci:l:new", "/etc/passwd", "./l", "store:new"] {
        let name = format!("org.opencontainers.image.base.name={name}");
        run(
            &it,
            &["config", "oci:l:app", "--to", "oci:l:evil", "--annotation", &name, "--annotation", &base],
        )
        .ok();
        let done = run(&it, &["rebase", "oci:l:evil", "--offline"]).run();
        assert!(![Some(0), None].contains(&done.code()), "{name}: {done}");
    }
}
