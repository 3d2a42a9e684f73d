use super::*;

fn entry(platform: &str, digit: char) -> Descriptor {
    let digest =
        AnyDigest::from(format!("sha256:{}", digit.to_string().repeat(64)).parse::<Digest>().expect("hex"));
    let platform = (!platform.is_empty()).then(|| platform.parse().expect("a platform"));
    Descriptor {
        platform,
        ..Descriptor::new(MediaType::new("application/vnd.oci.image.manifest.v1+json"), digest, 3)
    }
}

/// What a builder attaches: for no machine, and speaking of another entry.
fn attestation(of: &Descriptor, digit: char) -> Descriptor {
    let mut entry = entry("", digit);
    entry.platform = Some(Platform::new("unknown", "unknown", None));
    entry.annotations.insert("vnd.docker.reference.digest".into(), of.digest.to_string().into());
    entry
}

fn digits(index: &Index) -> String {
    let digit = |entry: &Descriptor| entry.digest.to_string().pop().expect("hex");
    index.manifests.iter().map(digit).collect()
}

fn add(index: Index, entries: Vec<Descriptor>, clash: Clash) -> Result<Index> {
    change(index, &Change::Add(entries, clash))
}

fn sample() -> Index {
    let (amd, arm) = (entry("linux/amd64", 'a'), entry("linux/arm64", 'b'));
    let (of_amd, of_arm) = (attestation(&amd, 'c'), attestation(&arm, 'd'));
    Index::new(vec![amd, arm, of_amd, of_arm])
}

#[test]
fn what_is_there_already_is_not_added_twice() {
    let again = sample().manifests;
    assert_eq!(add(sample(), again, Clash::Refuse).expect("nothing new"), sample());
}

#[test]
fn a_platform_stands_once_under_all_its_names() {
    let rival = || vec![entry("linux/arm64/v8", 'e')];
    let refused = add(sample(), rival(), Clash::Refuse).expect_err("linux/arm64 is there");
    assert!(matches!(refused.downcast_ref(), Some(Error::PlatformTaken { .. })), "{refused}");
    assert_eq!(digits(&add(sample(), rival(), Clash::Replace).expect("replaced")), "aecd");
    assert_eq!(
        digits(&add(sample(), vec![entry("linux/arm/v7", 'e')], Clash::Refuse).expect("another")),
        "abcde"
    );
}

#[test]
fn what_is_attached_goes_and_stays_with_its_image() {
    let platform = |text: &str| text.parse::<Platform>().expect("a platform");
    let kept = change(sample(), &Change::Filter(vec![platform("linux/arm64")])).expect("there");
    assert_eq!(digits(&kept), "bd");
    let rest =
        change(sample(), &Change::Remove(vec![Which::Platform(platform("linux/arm64"))])).expect("there");
    assert_eq!(digits(&rest), "ac");
}

#[test]
fn an_attachment_can_be_removed_alone() {
    let which = Which::Digest(entry("", 'c').digest);
    assert_eq!(digits(&change(sample(), &Change::Remove(vec![which])).expect("there")), "abd");
}

#[test]
fn what_is_not_there_is_not_found_and_what_is_there_is_listed() {
    let platform: Platform = "linux/s390x".parse().expect("a platform");
    for asked in [Change::Filter(vec![platform.clone()]), Change::Remove(vec![Which::Platform(platform)])] {
        let fault = change(sample(), &asked).expect_err("not there");
        let hint = orlop_spec::Diagnose::hint(&fault).expect("it lists");
        assert!(hint.contains("linux/amd64, linux/arm64"), "{hint}");
    }
    let which = Which::Digest(entry("", 'f').digest);
    let fault = change(sample(), &Change::Remove(vec![which])).expect_err("not there");
    assert_eq!(orlop_spec::Diagnose::kind(&fault), orlop_spec::Kind::NotFound);
}

#[test]
fn annotations_are_set_and_taken_away_where_they_were_asked_for() {
    let set = Annotations::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
    let which = Some(parse_which("linux/amd64").expect("a platform"));
    let of_entry = Change::Annotate { which, set: set.clone(), unset: vec!["b".into()] };
    let changed = change(sample(), &of_entry).expect("there");
    assert_eq!(changed.manifests[0].annotations, Annotations::from([("a".into(), "1".into())]));
    assert_eq!(changed.manifests[1..], sample().manifests[1..]);
    let of_index = Change::Annotate { which: None, set: set.clone(), unset: Vec::new() };
    let changed = change(sample(), &of_index).expect("an index");
    assert_eq!((&changed.annotations, &changed.manifests), (&set, &sample().manifests));
}
