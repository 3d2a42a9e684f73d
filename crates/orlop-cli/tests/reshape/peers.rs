//! Other tools read what was made.

use crate::world::{image, layers, line, ok, three, tree};
use std::fs;
use testkit::dump::{Aspect, differences, dump};
use testkit::{Command, is_root, peer, proof};

const FORMS: [(&str, &str); 5] = [
    ("flat", "flatten"),
    ("last", "flatten --last 2"),
    ("parts", "convert --layer-size 300k"),
    ("docker", "convert --media-types docker"),
    ("strip", "strip --rm-path /d/b"),
];

#[test]
fn skopeo_and_umoci_unpack_the_same_files() {
    const PROOF: &str = "edit: skopeo and umoci read what was flattened, converted and stripped";
    if let Some(missing) = ["skopeo", "umoci"].into_iter().find(|tool| peer(tool).is_none()) {
        return proof::skipped(PROOF, &format!("{missing} is missing"));
    }
    if !is_root() {
        return proof::not_offered(PROOF, "owners are set by root");
    }
    let it = image(&three());
    for (tag, words) in FORMS {
        ok(&it, &format!("{words} oci:l:latest --to oci:l:{tag}"));
        // skopeo proves every digest, and turns Docker's manifests into OCI's for umoci.
        let copied = format!("oci:{}:{tag}", it.path("s").display());
        let mut source = format!("oci:{}:{tag}", it.path("l").display());
        if tag == "docker" {
            // skopeo finds OCI's manifests alone in a layout.
            source = format!("dir:{}", it.path("d").display());
            ok(&it, &format!("copy oci:l:{tag} {source}"));
        }
        Command::new("skopeo").args(["--insecure-policy", "copy", &source, &copied]).ok();
        let bundle = it.path(&format!("bundle-{tag}"));
        let from = format!("{}:{tag}", it.path("s").display());
        Command::new("umoci").args(["unpack", "--image", &from]).arg(&bundle).ok();
        ok(&it, &format!("unpack oci:l:{tag} ours-{tag}"));
        let (ours, mut theirs) = (dump(&it.path(&format!("ours-{tag}"))), dump(&bundle.join("rootfs")));
        theirs.get_mut(b".".as_slice()).expect("a root").mtime = ours[b".".as_slice()].mtime;
        assert_eq!(differences(&theirs, &ours, &[Aspect::Holes]), [], "{tag}");
    }
    ok(&it, "convert oci:l:latest --compress zstd --to oci:l:zstd");
    let copied = format!("dir:{}", it.path("zstd").display());
    let source = format!("oci:{}:zstd", it.path("l").display());
    Command::new("skopeo").args(["--insecure-policy", "copy", &source, &copied]).ok();
    assert!(fs::read_dir(it.path("zstd")).expect("a folder").count() > 4);
    proof::ran(PROOF, FORMS.len() + 1);
}

#[test]
fn edits_are_the_same_in_a_registry_and_in_a_layout() {
    use testkit::registry::{Guard, Registry, Wire};
    const PROOF: &str = "edit: flatten, convert and strip in a registry";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = image(&three());
    let place = format!("docker://{}/app", registry.host());
    ok(&it, &format!("copy oci:l:latest {place}:latest"));
    for (tag, words) in FORMS {
        let here = ok(&it, &format!("{words} oci:l:latest --to oci:l:{tag}")).out();
        let there = ok(&it, &format!("{words} {place}:latest --to {place}:{tag}")).out();
        let digest = |line: &str| line.trim().rsplit('@').next().map(ToOwned::to_owned);
        assert_eq!(digest(&here), digest(&there), "{words}");
        ok(&it, &format!("copy {place}:{tag} oci:l:again"));
        assert!(tree(&it, "again") == tree(&it, tag), "{words}");
    }
    let base = format!("{}/base:1", registry.host());
    let below = image(&three()[..1]);
    ok(&below, &format!("copy oci:l:latest docker://{base}"));
    ok(&it, &format!("config {place}:latest --annotation org.opencontainers.image.base.name={base}"));
    let done = ok(&it, &format!("flatten {place}:latest --keep-base --to oci:l:kept"));
    assert!(done.err().contains(&format!("the base is docker://{base}")), "{done}");
    assert_eq!(layers(&it, "kept")[..1], layers(&it, "latest")[..1]);
    assert_eq!(layers(&it, "kept").len(), 2);
    let done = line(&it, &format!("flatten {place}:latest")).ok();
    assert!(done.out().starts_with(&place), "{done}");
    proof::ran(PROOF, FORMS.len() + 1);
}
