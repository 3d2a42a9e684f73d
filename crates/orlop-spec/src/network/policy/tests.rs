use super::*;

const FILE: &str = r#"{
    "default": [{"type": "reject"}],
    "transports": {
        "docker": {
            "": [{"type": "insecureAcceptAnything"}],
            "host.example": [{"type": "reject"}],
            "host.example/free": [{"type": "insecureAcceptAnything"}],
            "host.example/free/app:bad": [{"type": "reject"}],
            "host.example/signed": [{"type": "insecureAcceptAnything"},
                {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}],
            "host.example/both": [{"type": "sigstoreSigned", "keyPath": "/k"}, {"type": "reject"}],
            "*.wild.example": [{"type": "reject"}],
            "good.wild.example": [{"type": "insecureAcceptAnything"}]
        },
        "oci": {
            "/srv": [{"type": "insecureAcceptAnything"}],
            "/srv/app:bad": [{"type": "reject"}]
        },
        "docker-daemon": {"": [{"type": "insecureAcceptAnything"}]}
    }
}"#;

fn verdict(judgement: &Judgement) -> &'static str {
    match judgement {
        Judgement::Accept => "accept",
        Judgement::Reject { .. } => "reject",
        Judgement::Signature { .. } => "signature",
    }
}

/// The same table is put to skopeo by the proof `hosts: the policy that skopeo obeys`.
#[test]
fn the_most_specific_rule_alone_counts() {
    let policy = Policy::parse(FILE.as_bytes()).expect("valid");
    for (name, image, expected) in [
        ("other.example/x", ":1", "accept"),
        ("host.example/x", ":1", "reject"),
        ("host.example:5000/x", ":1", "accept"),
        ("host.example/free", ":1", "accept"),
        ("host.example/free/app", ":1", "accept"),
        ("host.example/free/app", ":bad", "reject"),
        ("host.example/freedom", ":1", "reject"),
        ("host.example/signed/x", ":1", "signature"),
        ("host.example/both", ":1", "reject"),
        ("a.b.wild.example/x", ":1", "reject"),
        ("a.wild.example:5000/x", ":1", "reject"),
        ("wild.example/x", ":1", "accept"),
        ("good.wild.example/x", ":1", "accept"),
    ] {
        let repository = Repository::parse(name).expect(name);
        let judgement = policy.judge("docker", &scopes_of_repository(&repository, image));
        assert_eq!(verdict(&judgement), expected, "{name}{image}: {judgement:?}");
    }
    for (path, image, expected) in [
        ("/srv/app", "good", "accept"),
        ("/srv/app", "bad", "reject"),
        ("/srv/app/deep", "bad", "accept"),
        ("/srvx", "1", "reject"),
        ("/", "1", "reject"),
    ] {
        assert_eq!(verdict(&policy.judge("oci", &scopes_of_path(path, image))), expected, "{path}:{image}");
    }
    assert_eq!(verdict(&policy.judge("dir", &[])), "reject");
    assert!(policy.has_scopes("oci") && !policy.has_scopes("docker-daemon") && !policy.has_scopes("dir"));
}

#[test]
fn a_rule_for_one_image_forbids_a_whole_place_and_never_allows_it() {
    let policy = Policy::parse(
        br#"{"default": [{"type": "reject"}], "transports": {"docker": {
            "h.example/all": [{"type": "insecureAcceptAnything"}],
            "h.example/all/but:bad": [{"type": "reject"}],
            "h.example/one:1": [{"type": "insecureAcceptAnything"}]}}}"#,
    )
    .expect("valid");
    for (name, expected) in
        [("all", "accept"), ("all/but", "reject"), ("all/butter", "accept"), ("one", "reject")]
    {
        let repository = Repository::parse(&format!("h.example/{name}")).expect(name);
        let scopes = scopes_of_repository(&repository, ":1");
        assert_eq!(verdict(&policy.judge_place("docker", &scopes[1..])), expected, "{name}");
    }
}

#[test]
fn a_file_that_is_not_understood_is_refused_whole() {
    for text in [
        "{}",
        "[]",
        r#"{"default":[]}"#,
        r#"{"default":{}}"#,
        r#"{"default":[{"type":"accept"}]}"#,
        r#"{"default":[{}]}"#,
        r#"{"default":[{"type":"reject","x":1}]}"#,
        r#"{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}"#,
        r#"{"default":[{"type":"reject"}],"Transports":{}}"#,
        r#"{"default":[{"type":"reject"}],"transports":[]}"#,
        r#"{"default":[{"type":"reject"}],"transports":{"docker":[]}}"#,
        r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a*.b":[{"type":"reject"}]}}}"#,
        r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a":[]}}}"#,
        r#"{"default":[{"type":"reject"}],"transports":{"oci":{"relative":[{"type":"reject"}]}}}"#,
        r#"{"default":[{"type":"reject"}],"transports":{"dir":{"/":[{"type":"reject"}]}}}"#,
        r#"{"default":[{"type":"reject"}]} trailing"#,
    ] {
        assert!(Policy::parse(text.as_bytes()).is_err(), "{text}");
    }
}
