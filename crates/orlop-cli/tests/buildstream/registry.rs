//! Images of registries: tracked, fetched once, and staged from what was kept.

use crate::{cases, import, listing, project, run, write};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use testkit::buildstream::Project;
use testkit::registry::Registry;
use testkit::{Command, proof};

/// A registry, and a project whose alias `reg` is it.
fn stage(name: &str, more: &str) -> Option<(Registry, Project)> {
    let Some(registry) = Registry::plain() else {
        proof::skipped(name, "docker-registry is missing");
        return None;
    };
    let more = format!("aliases: {{reg: 'docker://{}/'}}\n{more}", registry.host());
    let project = project(name, &more)?;
    Some((registry, project))
}

fn push(project: &Project, from: &str, registry: &Registry, name: &str) {
    run(
        project.folder(),
        &["copy", from, &format!("docker://{}/{name}", registry.host()), "--progress=none"],
    );
}

/// The one source of an element, as `bst show` tells of it.
fn source_info(project: &Project, words: &[&str]) -> Value {
    let text = project.show("%{source-info}", words);
    let script =
        "import json, sys, ruamel.yaml; json.dump(ruamel.yaml.YAML(typ='safe').load(sys.stdin), sys.stdout)";
    let python = testkit::buildstream::python_peer("python").expect("it runs bst");
    let found: Value =
        serde_json::from_str(&Command::new(python).args(["-c", script]).input(text).ok().out())
            .expect("the lines that bst shows");
    found[0].clone()
}

#[test]
fn s1_what_is_staged_is_what_the_layers_mean_and_later_nobody_is_asked() {
    const PROOF: &str = "buildstream: images of a registry";
    let Some((registry, project)) = stage(PROOF, "") else { return };
    let cases = cases::all();
    let mut sources = Vec::new();
    for case in &cases {
        case.layout.write(&project.folder().path(case.name));
        push(&project, &format!("oci:{}:latest", case.name), &registry, &format!("{}:v1", case.name));
        let name = case.name;
        sources.push(format!(
            "- {{kind: oci, url: 'reg:{name}', track: v1, directory: {name}, platform: linux/amd64}}"
        ));
    }
    write(&project, "all.bst", &import(&sources));
    project.ok(&["source", "track", "all.bst"]);
    project.ok(&["source", "fetch", "all.bst"]);
    drop(registry);
    project.forget_staged();
    let staged = project.sources("all.bst", "staged", &[]);
    for case in &cases {
        assert_eq!(listing(&staged.join(case.name)), case.tree, "{}", case.name);
    }
    proof::ran(PROOF, cases.len());
}

/// umoci unpacks what has layers that it reads; of its trees, what BuildStream keeps is compared.
#[test]
fn s1_umoci_unpacks_the_same_trees() {
    const PROOF: &str = "buildstream: trees of umoci";
    let (Some(umoci), Some(project)) = (testkit::peer("umoci"), project(PROOF, "")) else {
        return proof::skipped(PROOF, "umoci or bst is missing");
    };
    let it = project.folder();
    let known = |case: &cases::Case| !["codecs", "untyped"].contains(&case.name);
    let cases: Vec<_> = cases::all().into_iter().filter(known).collect();
    let mut sources = Vec::new();
    for case in &cases {
        case.layout.write(&project.at(case.name));
        sources.push(format!("- {{kind: oci, path: {0}, directory: {0}, platform: linux/amd64}}", case.name));
    }
    write(&project, "all.bst", &import(&sources));
    let staged = project.sources("all.bst", "staged", &[]);
    for case in &cases {
        let (image, bundle) = (format!("project/{}:latest", case.name), format!("{}.bundle", case.name));
        umoci
            .command()
            .args(["unpack", "--rootless", "--image", &image, &bundle])
            .current_dir(it.root())
            .ok();
        let mut tree = listing(&it.path(&bundle).join("rootfs"));
        // Without privileges umoci makes files of devices, and cannot read what it may not; pipes are none of CAS.
        tree.retain(|line| !line.starts_with("null") && !line.starts_with("pipe"));
        assert_eq!(listing(&staged.join(case.name)), tree, "{}", case.name);
    }
    proof::ran(PROOF, cases.len());
}

#[test]
fn s2_one_ref_serves_all_machines_and_each_has_its_own_key_and_content() {
    const PROOF: &str = "buildstream: one ref for two machines";
    let Some((registry, project)) = stage(PROOF, "") else { return };
    let it = project.folder();
    for machine in ["amd64", "arm64"] {
        it.folder(machine);
        it.file(&format!("{machine}/machine"), machine);
    }
    run(it, &["build", "--platform=linux/amd64=amd64", "--platform=linux/arm64=arm64", "oci:both:v1"]);
    push(&project, "oci:both:v1", &registry, "both:v1");
    let element =
        "kind: import\nsources:\n- {kind: oci, url: 'reg:both', track: v1, platform: 'linux/%{arch}'}\n";
    write(&project, "both.bst", element);
    let machines = [["-o", "arch", "x86_64"], ["-o", "arch", "aarch64"]];
    let mut refs = BTreeSet::new();
    for machine in &machines {
        project.ok(&[&machine[..], &["source", "track", "both.bst"]].concat());
        refs.insert(project.read("elements/both.bst"));
    }
    assert_eq!(refs.len(), 1, "{refs:?}");
    assert!(refs.first().expect("one").contains(&run(it, &["digest", "oci:both:v1"])), "it is the index's");
    let mut keys = BTreeSet::new();
    for (machine, content) in machines.iter().zip(["amd64", "arm64"]) {
        keys.insert(project.show("%{full-key}", &[&machine[..], &["both.bst"]].concat()));
        assert_eq!(
            listing(&project.sources("both.bst", &format!("{content}-staged"), machine)),
            [format!("machine {content}")]
        );
    }
    assert_eq!(keys.len(), 2, "{keys:?}");
    proof::ran(PROOF, 2);
}

/// The blobs of the one layout in which everything is kept.
fn blobs(project: &Project) -> PathBuf {
    project.folder().path("cache/buildstream/sources/oci/images/blobs/sha256")
}

#[test]
fn s4_a_damaged_blob_is_named_and_fetched_again_and_nothing_else_is() {
    const PROOF: &str = "buildstream: a damaged blob";
    let Some((registry, project)) = stage(PROOF, "") else { return };
    let it = project.folder();
    it.folder("tree");
    it.file("tree/file", "content");
    run(it, &["build", "tree", "oci:img:v1", "--platform=linux/amd64"]);
    push(&project, "oci:img:v1", &registry, "img:v1");
    let digest = run(it, &["digest", "oci:img:v1"]);
    let source = |directory: &str| {
        format!(
            "- {{kind: oci, url: 'reg:img', ref: '{digest}', platform: linux/amd64, directory: {directory}}}\n"
        )
    };
    write(&project, "img.bst", &format!("kind: import\nsources:\n{}{}", source("a"), source("b")));
    project.ok(&["source", "fetch", "img.bst"]);
    let manifest: Value =
        serde_json::from_str(&run(it, &["inspect", "--raw", "oci:img:v1"])).expect("a manifest");
    let hex = |blob: &Value| blob["digest"].as_str().expect("a digest")["sha256:".len()..].to_owned();
    for blob in [&manifest["layers"][0], &manifest["config"]] {
        let file = blobs(&project).join(hex(blob));
        let mut bytes = fs::read(&file).expect("the blob is kept");
        bytes[20] ^= 1;
        fs::write(&file, bytes).expect("the cache is ours");
        project.forget_staged();
        let asked = registry.requests().len();
        let failed = project.bst(&["source", "fetch", "img.bst"]);
        let is_config = blob == &manifest["config"];
        // A damaged config is seen before anything is staged; it is as if it were not there.
        assert_eq!(failed.success(), is_config, "{failed}");
        assert!(is_config || failed.err().contains(&hex(blob)), "{failed}");
        project.ok(&["source", "fetch", "img.bst"]);
        let fetched = registry.requests().split_off(asked);
        let fetched: Vec<_> = fetched.iter().filter(|request| request.contains("/blobs/")).collect();
        assert!(fetched.iter().all(|request| request.contains(&hex(blob))), "{fetched:?}");
        assert_eq!(
            listing(&project.sources("img.bst", &hex(blob), &[])),
            ["a/", "a/file content", "b/", "b/file content"]
        );
    }
    proof::ran(PROOF, 2);
}

#[test]
fn layers_that_images_share_are_fetched_and_kept_once() {
    const PROOF: &str = "buildstream: layers are kept once";
    let Some((registry, project)) = stage(PROOF, "") else { return };
    let it = project.folder();
    for name in ["base", "one", "two"] {
        it.folder(name);
        it.file(&format!("{name}/{name}"), name);
    }
    let mut sources = Vec::new();
    for name in ["one", "two"] {
        run(it, &["build", "base", name, &format!("oci:img:{name}"), "--platform=linux/amd64"]);
        push(&project, &format!("oci:img:{name}"), &registry, &format!("{name}:v1"));
        sources.push(format!(
            "- {{kind: oci, url: 'reg:{name}', track: v1, platform: linux/amd64, directory: {name}}}"
        ));
    }
    write(&project, "img.bst", &import(&sources));
    project.ok(&["source", "track", "img.bst"]);
    let asked = registry.requests().len();
    project.ok(&["source", "fetch", "img.bst"]);
    let requests = registry.requests().split_off(asked);
    let fetched: Vec<_> =
        requests.iter().filter(|request| request.starts_with("GET") && request.contains("/blobs/")).collect();
    // A config and a layer of each, and the layer of both.
    assert_eq!(fetched.len(), 5, "{fetched:?}");
    assert_eq!(fs::read_dir(blobs(&project)).expect("the layout").count(), 7, "and their manifests");
    proof::ran(PROOF, 5);
}

#[test]
fn s6_an_image_is_reported_by_its_medium_and_digest() {
    const PROOF: &str = "buildstream: source info";
    let Some((registry, project)) = stage(PROOF, "") else { return };
    cases::machine("x").write(&project.at("img"));
    push(&project, "oci:project/img:latest", &registry, "img:v1");
    let digest = run(project.folder(), &["digest", "oci:project/img:latest"]);
    let element =
        |source: &str| format!("kind: import\nsources:\n- {{kind: oci, platform: linux/amd64, {source}}}\n");
    write(&project, "far.bst", &element(&format!("url: 'reg:img', ref: '{digest}', version: 12.1.2")));
    write(&project, "near.bst", &element("path: img"));
    let far = source_info(&project, &["far.bst"]);
    let url = format!("docker://{}/img", registry.host());
    for (member, value) in [
        ("medium", "oci-image"),
        ("version-type", "oci-digest"),
        ("version", &digest),
        ("version-guess", "12.1.2"),
        ("url", &url),
    ] {
        assert_eq!(far[member], value, "{member}: {far}");
    }
    let near = source_info(&project, &["near.bst"]);
    for (member, value) in [("medium", "local"), ("url", "img"), ("version", &digest)] {
        assert_eq!(near[member], value, "{member}: {near}");
    }
    proof::ran(PROOF, 2);
}

#[test]
fn s7_refs_may_stand_apart_and_a_mirror_gives_what_the_origin_does_not() {
    const PROOF: &str = "buildstream: project.refs and mirrors";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let more = format!(
        "ref-storage: project.refs\naliases: {{reg: 'docker://127.0.0.1:1/'}}\nmirrors:\n- name: near\n  aliases: {{reg: ['docker://{}/']}}\n",
        registry.host()
    );
    let Some(project) = project(PROOF, &more) else { return };
    cases::machine("mirrored").write(&project.folder().path("img"));
    for tag in ["v1.9", "1.10.0", "2.0.0", "latest"] {
        push(&project, "oci:img:latest", &registry, &format!("img:{tag}"));
    }
    cases::machine("newest").write(&project.folder().path("newest"));
    push(&project, "oci:newest:latest", &registry, "img:1.10.0");
    let element =
        "kind: import\nsources:\n- {kind: oci, url: 'reg:img', track: '^1', platform: linux/amd64}\n";
    write(&project, "img.bst", element);
    let element = project.read("elements/img.bst");
    // What is followed is asked of the origin alone, unless a user says otherwise.
    project.configure("track: {source: all}\n");
    project.ok(&["source", "track", "img.bst"]);
    assert_eq!(project.read("elements/img.bst"), element, "the element stays as it is");
    let digest = run(project.folder(), &["digest", "oci:newest:latest"]);
    assert!(project.read("project.refs").contains(&digest), "{}", project.read("project.refs"));
    assert_eq!(listing(&project.sources("img.bst", "staged", &[])), ["machine newest"]);
    proof::ran(PROOF, 2);
}

#[test]
fn s8_a_docker_source_becomes_an_oci_source_with_its_ref() {
    const PROOF: &str = "buildstream: refs of the docker source";
    let Some((registry, project)) = stage(PROOF, "") else { return };
    // Of the others the docker source stages something else, or nothing.
    let names = ["opaque", "hundred-layers"];
    let cases: Vec<_> = cases::all().into_iter().filter(|case| names.contains(&case.name)).collect();
    let docker = |name: &str| {
        format!(
            "- kind: docker\n  registry-url: http://{}\n  image: {name}\n  architecture: amd64\n  track: v1\n  directory: {name}\n",
            registry.host()
        )
    };
    let mut sources = Vec::new();
    for case in &cases {
        case.layout.write(&project.folder().path(case.name));
        push(&project, &format!("oci:{}:latest", case.name), &registry, &format!("{}:v1", case.name));
        sources.push(docker(case.name));
    }
    write(&project, "all.bst", &import(&sources));
    project.ok(&["source", "track", "all.bst"]);
    let before = listing(&project.sources("all.bst", "docker", &[]));
    let mut swapped =
        project.read("elements/all.bst").replace("kind: docker", "kind: oci\n  platform: linux/amd64");
    for case in &cases {
        let there = format!(
            "registry-url: http://{}\n  image: {}\n  architecture: amd64\n",
            registry.host(),
            case.name
        );
        assert!(swapped.contains(&there), "{swapped}");
        swapped = swapped.replace(&there, &format!("url: reg:{}\n", case.name));
    }
    assert!(!swapped.contains("sha256:"), "refs are bare: {swapped}");
    write(&project, "all.bst", &swapped);
    assert_eq!(listing(&project.sources("all.bst", "oci", &[])), before);
    project.ok(&["source", "track", "all.bst"]);
    assert_eq!(project.read("elements/all.bst"), swapped, "the same image is no news");
    proof::ran(PROOF, cases.len());
}
