use super::super::tests::World;
use super::*;
use crate::transport;
use orlop_spec::reference::{Bare, LoneStream};
use orlop_spec::{Diagnose as _, Kind};
use std::ffi::OsStr;

fn check(surroundings: &Surroundings, reference: impl AsRef<OsStr>) -> Result<()> {
    let reference =
        transport::parse(reference.as_ref(), Bare::Registry, LoneStream::Refused).expect("a reference");
    surroundings.check(&reference)
}

const NONE_BUT: &str = r#"{"default":[{"type":"reject"}],"transports":{
    "docker":{"a.example/ok":[{"type":"insecureAcceptAnything"}],"a.example/signed":[{"type":"sigstoreSigned"}]},
    "tarball":{"":[{"type":"insecureAcceptAnything"}]},
    "https":{"web.example/images":[{"type":"insecureAcceptAnything"}]}}}"#;

#[test]
fn without_a_policy_every_image_may_be_used() {
    let (surroundings, _scratch) = World::new().enter();
    for reference in ["docker://a.example/x", "oci:/nowhere", "docker-archive:x", "https://web.example/x.tar"]
    {
        check(&surroundings, reference).expect(reference);
    }
}

#[test]
fn a_policy_refuses_with_its_own_kind_and_says_which_rule() {
    let world = World::new();
    world.file("root/etc/containers/policy.json", NONE_BUT);
    let (surroundings, _scratch) = world.enter();
    for reference in [
        "docker://a.example/ok",
        "docker://a.example/ok/x:1",
        "docker://a.example/ok@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "tar:x.tar",
        "rootfs:x",
        "https://web.example/images/x.tar",
        "oci:https://web.example/images/x",
    ] {
        check(&surroundings, reference).expect(reference);
    }
    for (reference, rule) in [
        ("docker://a.example/x", "default"),
        ("docker://a.example/signed/x:1", "signature"),
        ("oci:/nowhere:1", "default"),
        ("docker-archive:x", "default"),
        ("dir:x", "default"),
        ("https://web.example/x.tar", "default"),
    ] {
        let error = check(&surroundings, reference).expect_err(reference);
        assert_eq!(error.kind(), Kind::Policy, "{reference}");
        assert!(error.to_string().contains(rule) && error.to_string().contains("policy.json"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("--insecure-policy")));
    }
}

#[test]
fn paths_are_judged_without_links() {
    let world = World::new();
    world.file("real/app/x", "").file("real/free/x", "").file("other/x", "");
    let real = world.scratch.path("real").canonicalize().expect("a path");
    world.file(
        "root/etc/containers/policy.json",
        format!(
            r#"{{"default":[{{"type":"insecureAcceptAnything"}}],"transports":{{"oci":{{
            "{0}":[{{"type":"reject"}}],"{0}/app:good":[{{"type":"insecureAcceptAnything"}}],
            "{0}/free":[{{"type":"insecureAcceptAnything"}}],"{0}/free:bad":[{{"type":"reject"}}]}}}}}}"#,
            real.display()
        ),
    );
    std::os::unix::fs::symlink("../real/app", world.scratch.path("other/link")).expect("linked");
    let (surroundings, scratch) = world.enter();
    let of = |path: &str, tag: &str| {
        let mut reference = std::ffi::OsString::from("oci:");
        reference.push(scratch.path(path));
        reference.push(tag);
        check(&surroundings, reference)
    };
    assert!(of("real/app", ":1").is_err());
    assert!(of("other/link", ":1").is_err(), "a link does not lead around a rule");
    assert!(of("other", ":1").is_ok() && of("real/free", ":1").is_ok());
    assert!(of("real/free", ":bad").is_err(), "and it forbids");
    assert!(of("real/free", ":@0").is_err(), "whatever stands first in the folder");
    assert!(
        of("other/link", ":good").is_err(),
        "a rule for a tag allows nothing: the image may have no tag as well"
    );
}

/// `sync` and `copy --all-tags` name a place, and take all its images.
#[test]
fn a_rule_for_a_tag_does_not_allow_its_whole_repository() {
    let world = World::new();
    world.file(
        "root/etc/containers/policy.json",
        r#"{"default":[{"type":"reject"}],"transports":{"docker":{
            "a.example/app:latest":[{"type":"insecureAcceptAnything"}],
            "a.example/free":[{"type":"insecureAcceptAnything"}],
            "a.example/free/but:bad":[{"type":"reject"}]}}}"#,
    );
    let (surroundings, _scratch) = world.enter();
    let whole = |place: &str| {
        let reference = transport::parse_place(place.as_ref(), Bare::Registry).expect("a place");
        surroundings.check(&reference).map_err(|fault| fault.kind())
    };
    check(&surroundings, "docker://a.example/app").expect("the tag that is meant is named");
    assert_eq!(whole("docker://a.example/app"), Err(Kind::Policy));
    assert_eq!(whole("docker://a.example/free/but"), Err(Kind::Policy));
    assert_eq!(whole("docker://a.example/free/other"), Ok(()));
}

#[test]
fn the_users_policy_hides_the_systems_and_a_named_one_both() {
    let free = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
    let world = || {
        let world = World::new();
        world.file("root/etc/containers/policy.json", NONE_BUT);
        world
    };
    let of_user = world();
    of_user.file("home/.config/containers/policy.json", free);
    assert!(check(&of_user.enter().0, "docker://a.example/x").is_ok());

    let mut named = world();
    named.file("home/.config/containers/policy.json", free).file("named.json", NONE_BUT);
    named.given.policy = WhichPolicy::File(named.scratch.path("named.json"));
    let (surroundings, _scratch) = named.enter();
    assert!(check(&surroundings, "docker://a.example/x").is_err());

    let mut missing = world();
    missing.given.policy = WhichPolicy::File("/nowhere/policy.json".into());
    assert!(check(&missing.enter().0, "docker://a.example/ok").is_err());

    let mut none = world();
    none.given.policy = WhichPolicy::None;
    assert!(check(&none.enter().0, "docker://a.example/x").is_ok());
}

#[test]
fn a_damaged_policy_refuses_everything() {
    for text in ["", "{}", "{\"default\":[{\"type\":\"insecureAcceptAnything\"}],\"x\":1}", "damaged"] {
        let world = World::new();
        world.file("home/.config/containers/policy.json", text);
        let error = check(&world.enter().0, "docker://a.example/x").expect_err(text);
        assert_eq!(error.kind(), Kind::Policy, "{text}");
    }
}
