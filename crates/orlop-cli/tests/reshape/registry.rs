//! The same edits in a registry.

use crate::world::{image, layers, line, ok, three, tree};
use testkit::proof;
use testkit::registry::{Guard, Registry, Wire};

const FORMS: [(&str, &str); 5] = [
    ("flat", "flatten"),
    ("last", "flatten --last 2"),
    ("parts", "convert --layer-size 300k"),
    ("docker", "convert --media-types docker"),
    ("strip", "strip --rm-path /d/b"),
];

#[test]
fn edits_are_the_same_in_a_registry_and_in_a_layout() {
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
