//! Images that an OSTree repository keeps, through the program.

use testkit::registry::{Guard, Registry, Wire};
use testkit::{Command, Scratch, orlop, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

fn out(it: &Scratch, words: &[&str]) -> String {
    run(it, words).ok().out().trim().to_owned()
}

/// A repository, and two images in layouts: a base, and one on top of it that removes a file.
fn world() -> Scratch {
    let it = scratch();
    ostree_init(&it, "r");
    it.folder("lower/d");
    it.file("lower/d/x", "lower");
    it.file("lower/big", vec![7; 2 << 20]);
    it.folder("upper");
    it.file("upper/y", "upper");
    out(&it, &["build", "lower", "oci:lay:base", "--created=2001-02-03T04:05:06Z", "--progress=none"]);
    out(
        &it,
        &[
            "build",
            "--base=oci:lay:base",
            "upper",
            "oci:lay:app",
            "--created=2001-02-03T04:05:06Z",
            "--progress=none",
        ],
    );
    it
}

fn ostree_init(it: &Scratch, name: &str) {
    for folder in ["objects", "refs/heads", "refs/remotes", "refs/mirrors", "state", "tmp", "extensions"] {
        it.folder(&format!("{name}/{folder}"));
    }
    it.file(&format!("{name}/config"), "[core]\nrepo_version=1\nmode=archive-z2\n");
}

fn digest(it: &Scratch, place: &str) -> String {
    out(it, &["digest", place])
}

#[test]
fn an_image_goes_through_a_repository_with_its_digest() {
    let it = world();
    let name = "ostree:r@docker://h.example/app:1";
    let published = out(&it, &["copy", "oci:lay:app", name, "--progress=none"]);
    let expected = digest(&it, "oci:lay:app");
    assert_eq!(published, format!("{name}@{expected}"));
    assert_eq!(digest(&it, name), expected);
    out(&it, &["copy", name, "oci:back:app", "--progress=none"]);
    assert_eq!(digest(&it, "oci:back:app"), expected);
    out(&it, &["validate", "oci:back:app"]);
}

#[test]
fn looking_and_opening_verbs_take_a_kept_image() {
    let it = world();
    let name = "ostree:r@docker://h.example/app:1";
    out(&it, &["copy", "oci:lay:app", name, "--progress=none"]);
    assert_eq!(out(&it, &["files", name]), out(&it, &["files", "oci:lay:app"]));
    assert_eq!(out(&it, &["cat", name, "d/x"]), "lower");
    assert_eq!(out(&it, &["inspect", "--raw", name]), out(&it, &["inspect", "--raw", "oci:lay:app"]));
    assert_eq!(out(&it, &["diff", name, "oci:lay:app"]), "");
    out(&it, &["unpack", name, "root", "--progress=none"]);
    assert_eq!(std::fs::read_to_string(it.path("root/y")).expect("unpacked"), "upper");
    out(&it, &["build", &format!("--base={name}"), "upper", "oci:lay:more", "--progress=none"]);
}

#[test]
fn an_image_that_is_not_kept_is_not_found_and_its_like_are_named() {
    let it = world();
    out(&it, &["copy", "oci:lay:app", "ostree:r@docker://h.example/app:1", "--progress=none"]);
    let missing = run(&it, &["digest", "ostree:r@docker://h.example/app:2"]).run();
    assert_eq!(missing.code(), Some(2));
    assert!(missing.err().contains("docker://h.example/app:1"), "{}", missing.err());
    let nowhere = run(&it, &["digest", "ostree:lower@docker://h.example/app:1"]).run();
    assert_eq!(nowhere.code(), Some(2));
    assert!(nowhere.err().contains("is no repository of OSTree"), "{}", nowhere.err());
}

#[test]
fn a_registry_is_not_asked_for_layers_that_are_there() {
    const PROOF: &str = "ostree: kept layers and a registry";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = world();
    let place = |name: &str| format!("docker://{}/{name}:1", registry.host());
    let kept = |name: &str| format!("ostree:r@{}", place(name));
    for (name, tag) in [("base", "base"), ("app", "app")] {
        out(&it, &["copy", &format!("oci:lay:{tag}"), &place(name), "--progress=none"]);
    }
    let blobs = |name: &str| {
        let of = format!("GET /v2/{name}/blobs/");
        registry.requests().iter().filter(|line| line.contains(&of)).count()
    };
    let fetch = |name: &str| {
        let before = blobs(name);
        out(&it, &["copy", &place(name), &kept(name), "--progress=none"]);
        blobs(name) - before
    };
    assert_eq!(fetch("base"), 2, "its config and its layer");
    assert_eq!(fetch("app"), 2, "its config and the layer that is not the base's");
    assert_eq!(fetch("app"), 0, "all is there");
    out(&it, &["copy", &kept("app"), &place("again"), "--progress=none"]);
    assert_eq!(digest(&it, &place("again")), digest(&it, "oci:lay:app"));
    proof::ran(PROOF, 4);
}

#[test]
fn what_another_program_compressed_comes_back_as_it_was() {
    let it = world();
    let layer = testkit::tarball::tar([testkit::tarball::Member::file("a", "content")]);
    let image = testkit::image::Image::of(&[layer], testkit::image::Packing::Gzip);
    image.layout().write(&it.path("foreign"));
    let name = "ostree:r@docker://h.example/foreign:1";
    out(&it, &["copy", "oci:foreign:latest", name, "--progress=none"]);
    out(&it, &["copy", name, "oci:back:1", "--progress=none"]);
    assert_eq!(digest(&it, "oci:back:1"), digest(&it, "oci:foreign:latest"));
    out(&it, &["validate", "oci:back:1"]);
}

#[test]
fn images_and_their_layers_are_listed_and_pruned() {
    let it = world();
    for tag in ["base", "app"] {
        let name = format!("ostree:r@docker://h.example/{tag}:1");
        out(&it, &["copy", &format!("oci:lay:{tag}"), &name, "--progress=none"]);
    }
    let json = |words: &[&str]| -> serde_json::Value {
        let words = [&["ostree"], words, &["--repo=r", "--format=json"]].concat();
        serde_json::from_str(&out(&it, &words)).expect("a document")
    };
    let images = json(&["images"])["images"].clone();
    let of = |at: usize, key: &str| images[at][key].as_str().expect("a text").to_owned();
    assert_eq!(of(0, "name"), "docker://h.example/app:1");
    assert_eq!(of(0, "digest"), digest(&it, "oci:lay:app"));
    let commit = out(
        &it,
        &[
            "ostree",
            "rev-parse",
            "--repo=r",
            "ostree/container/image/docker_3A__2F__2F_h_2E_example/app_3A_1",
        ],
    );
    assert_eq!(of(0, "commit"), commit);
    assert_eq!(
        (images[0]["layers"].as_array().map(Vec::len), images[0]["layers"][0].clone()),
        (Some(2), images[1]["layers"][0].clone())
    );
    let table = out(&it, &["ostree", "images", "--repo=r", "--layers"]);
    assert_eq!(table.lines().count(), 4, "{table}");

    let layers = json(&["layers", "ls"])["layers"].clone();
    let shared = layers
        .as_array()
        .expect("a list")
        .iter()
        .find(|layer| layer["digest"] == images[1]["layers"][0]["digest"]);
    let shared = shared.expect("kept");
    assert_eq!(
        shared["used_by"],
        serde_json::json!(["docker://h.example/app:1", "docker://h.example/base:1"])
    );
    let refused =
        run(&it, &["ostree", "layers", "rm", "--repo=r", shared["digest"].as_str().expect("a text")]).run();
    assert_eq!(refused.code(), Some(1));
    assert!(refused.err().contains("docker://h.example/base:1"), "{}", refused.err());

    let delete = ["ostree", "refs", "--repo=r", "--delete"];
    assert!(refused.err().contains("ostree refs --delete"), "{}", refused.err());
    let rm = run(&it, &["rm", "ostree:r@docker://h.example/app:1"]).run();
    assert!(rm.code() == Some(64) && rm.err().contains("refs --repo=REPO --delete"), "{rm}");
    let near = run(&it, &[&delete[..], &["docker://h.example/ap:1"]].concat()).run();
    assert!(near.code() == Some(2) && near.err().contains("docker://h.example/app:1"), "{near}");
    out(&it, &[&delete[..], &["docker://h.example/app:1"]].concat());
    assert_eq!(json(&["images"])["images"].as_array().map(Vec::len), Some(1), "only the one that was named");
    let upper = images[0]["layers"][1]["digest"].clone();
    let foreseen = json(&["layers", "prune", "--dry-run"]);
    assert_eq!(foreseen["layers"][0]["digest"], upper);
    assert_eq!(json(&["layers", "ls"])["layers"].as_array().map(Vec::len), Some(2), "nothing was removed");
    assert_eq!(json(&["layers", "prune"]), foreseen);
    assert_eq!(json(&["layers", "ls"])["layers"].as_array().map(Vec::len), Some(1));
    assert_eq!(out(&it, &["ostree", "layers", "prune", "--repo=r"]), "layers: 0, objects: 0, bytes: 0 B");
    assert_eq!(digest(&it, "ostree:r@docker://h.example/base:1"), digest(&it, "oci:lay:base"));
}

/// The names beneath `/v2/` whose blobs a registry was asked for since.
fn fetched(registry: &Registry, before: usize) -> usize {
    registry.requests()[before..]
        .iter()
        .filter(|line| line.contains("GET /v2/") && line.contains("/blobs/"))
        .count()
}

#[test]
fn a_branch_has_the_tree_and_the_layers_are_kept() {
    const PROOF: &str = "ostree: a branch of kept layers";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = world();
    ostree_init(&it, "plain");
    let place = |name: &str| format!("docker://{}/{name}:1", registry.host());
    for tag in ["base", "app"] {
        out(&it, &["copy", &format!("oci:lay:{tag}"), &place(tag), "--progress=none"]);
    }
    let keep = |name: &str, branch: &str| {
        let before = registry.requests().len();
        let to = format!("ostree:r@{branch}");
        let told =
            out(&it, &["copy", &place(name), &to, "--keep-layers", "--format=json", "--progress=none"]);
        let told: serde_json::Value = serde_json::from_str(&told).expect("a document");
        (told, fetched(&registry, before))
    };
    let (base, requests) = keep("base", "os/base");
    assert_eq!((requests, base["identity"].clone()), (2, "new".into()), "the config and the layer");
    let (app, requests) = keep("app", "os/app");
    assert_eq!(requests, 2, "the config and the one layer that is not the base's");
    assert_eq!(app["content"]["given"], 0, "no content is read to merge what is kept: {app}");
    let (again, requests) = keep("app", "os/again");
    assert_eq!((requests, again["commit"].clone()), (1, app["commit"].clone()), "the config");

    // The same tree as without layers.
    let plain: serde_json::Value = serde_json::from_str(&out(
        &it,
        &["copy", "oci:lay:app", "ostree:plain@os/app", "--format=json", "--progress=none"],
    ))
    .expect("a document");
    let shown = |repo: &str, commit: &serde_json::Value| {
        let commit = commit.as_str().expect("an id");
        out(&it, &["ostree", "ls", &format!("--repo={repo}"), "-R", "-C", commit])
    };
    assert_eq!(shown("r", &app["commit"]), shown("plain", &plain["commit"]));

    // The map, and the way back.
    let images = out(&it, &["ostree", "images", "--repo=r", "--format=json"]);
    let images: serde_json::Value = serde_json::from_str(&images).expect("a document");
    let listed = images["images"].as_array().expect("a list");
    let of = |branch: &str| listed.iter().find(|image| image["ref"] == branch).expect("listed").clone();
    let digest = digest(&it, "oci:lay:app");
    assert_eq!(of("os/app")["commit"], app["commit"]);
    assert_eq!((of("os/app")["digest"].as_str(), of("os/app")["name"].is_null()), (Some(&*digest), true));
    assert_eq!(of("os/app")["layers"][0], of("os/base")["layers"][0]);
    out(&it, &["copy", &format!("ostree:r@{digest}"), &place("back"), "--progress=none"]);
    assert_eq!(self::digest(&it, &place("back")), digest);

    // The branch alone has the layers kept.
    for branch in ["os/app", "os/again"] {
        out(&it, &["ostree", "layers", "prune", "--repo=r"]);
        assert_eq!(self::digest(&it, &format!("ostree:r@{digest}")), digest);
        out(&it, &["ostree", "refs", "--repo=r", "--delete", branch]);
    }
    let layers = out(&it, &["ostree", "layers", "prune", "--repo=r", "--format=json"]);
    let layers: serde_json::Value = serde_json::from_str(&layers).expect("a document");
    assert_eq!(layers["layers"].as_array().map(Vec::len), Some(1), "{layers}");
    proof::ran(PROOF, 5);
}

/// A copy of what is kept reads the lists of its layers, whatever is asked for.
#[test]
fn a_kept_image_becomes_a_branch_without_its_contents() {
    let it = world();
    ostree_init(&it, "plain");
    let kept = "ostree:r@docker://h.example/app:1";
    out(&it, &["copy", "oci:lay:app", kept, "--progress=none"]);
    let commit = |from: &str, to: &str| -> serde_json::Value {
        let told = out(&it, &["copy", from, to, "--format=json", "--progress=none"]);
        serde_json::from_str(&told).expect("a document")
    };
    let plain = commit("oci:lay:app", "ostree:plain@os/app");
    // What no content is read of can be gone for this.
    let mut hidden = Vec::new();
    for folder in std::fs::read_dir(it.path("r/objects")).expect("a folder").flatten() {
        for object in folder.path().read_dir().expect("a folder").flatten() {
            let path = object.path();
            let is_file = path.extension().is_some_and(|ending| ending == "filez");
            if is_file && path.metadata().expect("there").len() > 1 << 11 {
                hidden.push(path);
            }
        }
    }
    assert_eq!(hidden.len(), 1, "the one large file");
    std::fs::write(&hidden[0], "not what it was").expect("ours");
    for from in [kept, "oci:lay:app"] {
        let branch = commit(from, "ostree:r@os/app");
        assert_eq!((&branch["commit"], &branch["content"]["given"]), (&plain["commit"], &0.into()), "{from}");
    }
}

#[test]
fn a_commit_that_is_given_back_speaks_of_no_image() {
    let it = world();
    let words = ["copy", "oci:lay:app", "ostree:r@os/app", "--keep-layers", "--verify-id=require"];
    let refused = run(&it, &words).run();
    assert_eq!(refused.code(), Some(64));
    assert!(refused.err().contains("--keep-layers"), "{}", refused.err());
    let refused = run(&it, &["copy", "oci:lay:app", "oci:other:1", "--keep-layers"]).run();
    assert!(refused.err().contains("--keep-layers"), "{}", refused.err());
}

#[test]
fn an_image_goes_through_the_former_form() {
    let it = world();
    let name = "ostree:r@docker://h.example/app:1";
    let words = ["copy", "oci:lay:app", name, "--ref-style=ociimage", "--progress=none"];
    out(&it, &words);
    assert!(out(&it, &["ostree", "refs", "--repo=r"]).contains("ociimage/h.example_2Fapp_3A1"));
    assert_eq!(out(&it, &["files", name]), out(&it, &["files", "oci:lay:app"]));
    out(&it, &["copy", "ostree:r@ociimage/h.example_2Fapp_3A1", "oci:back:app", "--progress=none"]);
    assert_eq!(digest(&it, "oci:back:app"), digest(&it, "oci:lay:app"));
    for target in ["ostree:r@os/app", "oci:other:1"] {
        let refused = run(&it, &["copy", "oci:lay:app", target, "--ref-style=bootc"]).run();
        assert_eq!(refused.code(), Some(64), "{refused}");
        assert!(refused.err().contains("--ref-style"), "{}", refused.err());
    }
}
