use super::*;
use proptest::collection::btree_map;
use proptest::prelude::*;

const APP: &str = "app/org.test.Hello/x86_64/master";

fn labels(pairs: &[(&str, &str)]) -> Annotations {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// As flatpak 1.14.10 wrote them for an app of three files.
fn of_flatpak() -> Annotations {
    labels(&[
        (BODY, "B"),
        (
            "org.flatpak.commit-metadata.xa.metadata",
            "W0FwcGxpY2F0aW9uXQpuYW1lPW9yZy50ZXN0LkhlbGxvCnJ1bnRpbWU9b3JnLnRlc3QuUGxhdGZvcm0veDg2XzY0L21hc3Rlcg\
             pzZGs9b3JnLnRlc3QuUGxhdGZvcm0veDg2XzY0L21hc3Rlcgpjb21tYW5kPWhlbGxvLnNoCgAAcw==",
        ),
        ("org.flatpak.commit-metadata.ostree.collection-binding", "AABz"),
        (
            METADATA,
            "[Application]\nname=org.test.Hello\nruntime=org.test.Platform/x86_64/master\n\
             sdk=org.test.Platform/x86_64/master\ncommand=hello.sh\n",
        ),
        (INSTALLED_SIZE, "1024"),
        ("org.flatpak.commit-metadata.xa.download-size", "AAAAAAAAAMkAdA=="),
        ("org.flatpak.commit-metadata.xa.installed-size", "AAAAAAAABAAAdA=="),
        (DOWNLOAD_SIZE, "498"),
        (
            "org.flatpak.commit-metadata.ostree.ref-binding",
            "YXBwL29yZy50ZXN0LkhlbGxvL3g4Nl82NC9tYXN0ZXIAIQBhcw==",
        ),
        ("org.flatpak.commit-metadata.xa.ref", "YXBwL29yZy50ZXN0LkhlbGxvL3g4Nl82NC9tYXN0ZXIAAHM="),
        (REF, APP),
        (SUBJECT, "S"),
        (COMMIT, "cc174afc1d38aeef15e688adce2aa42c7405ff3c432b867170135dd65290c39f"),
        (TIMESTAMP, "1795267751"),
    ])
}

#[test]
fn labels_of_flatpak_are_read_and_written_again() {
    let written = of_flatpak();
    let read = Labels::parse(&written).expect("labels");
    assert_eq!(read.name.as_ref().map(ToString::to_string).as_deref(), Some(APP));
    assert_eq!(
        (read.time, read.installed_size, read.download_size),
        (Some(1_795_267_751), Some(1024), Some(498))
    );
    let value = |key| read.commit_metadata.get(key).expect("a value");
    assert_eq!(value(XA_METADATA).as_str(), read.metadata.as_deref());
    assert_eq!(value(XA_REF).as_str(), Some(APP));
    assert_eq!(value("ostree.ref-binding").as_strings(), Some(vec![APP]));
    assert_eq!(value("xa.installed-size").as_u64_swapped(), Some(1024));
    assert_eq!(read.to_annotations(), written);
}

#[test]
fn a_commit_says_in_labels_what_flatpak_says_of_it() {
    let written = of_flatpak();
    let read = Labels::parse(&written).expect("labels");
    let commit = Commit {
        metadata: read.commit_metadata.clone(),
        parent: None,
        related: Vec::new(),
        subject: "S".into(),
        body: "B".into(),
        time: 1_795_267_751,
        tree: ObjectId([1; 32]),
        meta: ObjectId([2; 32]),
    };
    let id = read.commit.expect("an id");
    let mut made = Labels::of_commit(Some(APP.parse().expect("a ref")), &id, &commit, None);
    // Of the bytes over the wire the commit knows what its own repository would send; the label is of the image.
    assert_eq!(made.download_size, Some(201));
    made.download_size = Some(498);
    assert_eq!(made, read);
    let parent = Commit { parent: Some(ObjectId([3; 32])), ..commit };
    let labels = Labels::of_commit(None, &id, &parent, Some("x")).to_annotations();
    assert_eq!(labels.get(PARENT).map(|text| &**text), Some("03".repeat(32).as_str()));
    assert_eq!(labels.get(METADATA).map(|text| &**text), Some("x"));
    assert!(!labels.contains_key(REF));
}

#[test]
fn a_label_that_cannot_be_read_is_named() {
    for (key, value) in [
        (REF, "org.test.Hello"),
        (COMMIT, "abc"),
        (PARENT, ""),
        (TIMESTAMP, "-1"),
        (TIMESTAMP, ""),
        (INSTALLED_SIZE, "+1"),
        (DOWNLOAD_SIZE, "18446744073709551616"),
        ("org.flatpak.commit-metadata.x", "?"),
        ("org.flatpak.commit-metadata.x", ""),
        // A text that has no NUL, and one whose type is none.
        ("org.flatpak.commit-metadata.x", "eABz"),
        ("org.flatpak.commit-metadata.x", "eAAAWg=="),
        (SUBJECT, "a\0b"),
        (BODY, "\0"),
        ("org.flatpak.commit-metadata.a\0b", "eAAAcw=="),
    ] {
        let error = Labels::parse(&labels(&[(key, value)])).expect_err(value);
        assert_eq!(&*error.label, key);
    }
    assert_eq!(Labels::parse(&labels(&[("maintainer", "x")])).expect("none of ours"), Labels::default());
}

fn value() -> impl Strategy<Value = Variant> {
    prop_oneof![
        any::<u64>().prop_map(Variant::u64),
        any::<bool>().prop_map(Variant::bool),
        "[^\0]{0,9}".prop_map(|text| Variant::string(&text)),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| Variant::bytes(&bytes)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        values in btree_map("[a-z.]{1,8}", value(), 0..6),
        id in proptest::option::of(any::<[u8; 32]>()),
        time in proptest::option::of(any::<u64>()),
        texts in proptest::option::of("[^\0]{0,9}"),
    ) {
        let labels = Labels {
            name: Some(APP.parse().expect("a ref")),
            metadata: texts.as_deref().map(Into::into),
            commit: id.map(ObjectId),
            parent: id.map(ObjectId),
            time,
            subject: texts.as_deref().map(Into::into),
            body: None,
            installed_size: time,
            download_size: None,
            commit_metadata: values.into_iter().collect(),
        };
        prop_assert_eq!(Labels::parse(&labels.to_annotations()).expect("labels"), labels);
    }
}
