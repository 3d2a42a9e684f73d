use super::*;
use crate::diagnose::{Diagnose as _, Kind};
use crate::digest::Algorithm;
use crate::media_type::{OCI_INDEX, OCI_MANIFEST};
use proptest::prelude::*;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

const NAME: &str = "docker://a.example/app:1";

fn root(content: &str) -> Descriptor {
    let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
    Descriptor::new(MediaType::new(OCI_MANIFEST), digest, content.len() as u64)
}

fn parsed(name: &str) -> Reference {
    let exists = |_: Sought, _: &Path| false;
    let grammar = Grammar { bare: Bare::Registry, lone_stream: LoneStream::Refused, exists: &exists };
    grammar.parse(OsStr::new(name)).expect(name)
}

fn line(name: &str) -> String {
    format!("{name} {}\n", Pin::of(&root("x")).expect("a manifest"))
}

fn law(text: &str) -> Option<Law> {
    match Lock::parse(text.as_bytes()) {
        Err(LockError::Line { law, .. }) => Some(law),
        _ => None,
    }
}

#[test]
fn what_was_set_is_got_and_what_moved_is_told() {
    let (mut lock, name) = (Lock::default(), parsed(NAME));
    assert_eq!(lock.set(&name, &root("old")), Ok(None));
    let before = lock.set(&name, &root("new")).expect("it can be locked");
    assert_eq!(before, Some(root("old")));
    assert_eq!(lock.get(&name), Some(root("new")));
    assert_eq!(lock.get(&parsed("docker://a.example/app:2")), None);
    assert_eq!(lock.get(&parsed("a.example/app:1")), Some(root("new")), "there is one spelling");
}

#[test]
fn a_file_is_read_as_it_is_written() {
    let mut lock = Lock::default();
    for name in ["oci:a b:c d", NAME, "./x:1", "oci:https://a.example/l#1", "oci:x:@3", "a", "oci-archive:f"]
    {
        lock.set(&parsed(name), &root(name)).expect(name);
    }
    let text = lock.to_string();
    let names: Vec<&str> = text.lines().skip(1).map(|line| line.rsplitn(4, ' ').nth(3).expect("4")).collect();
    assert!(names.is_sorted() && names.len() == 7, "{text}");
    assert_eq!(text.lines().next(), Some(TITLE));
    assert_eq!(Lock::parse(text.as_bytes()), Ok(lock));
    assert_eq!(Lock::parse(b"orlop lock 1\n"), Ok(Lock::default()));
}

#[test]
fn tags_are_those_of_the_very_place() {
    let mut lock = Lock::default();
    for name in [NAME, "docker://a.example/app:2", "docker://a.example/app/b:1", "docker://a.example/ap:1"] {
        lock.set(&parsed(name), &root(name)).expect(name);
    }
    let tags = |name: &str| -> Vec<Box<str>> {
        lock.tags(&parsed(name).transport).into_iter().map(|(tag, _)| tag).collect()
    };
    assert_eq!(tags(NAME), ["1".into(), "2".into()]);
    assert_eq!(tags("docker://a.example/ap"), ["1".into()]);
    assert!(tags("docker://a.example/b").is_empty());
}

/// A folder may have a colon in its name: which place a line is of is known where the place is.
#[test]
fn a_colon_belongs_to_the_path_of_the_place() {
    let lock = Lock::parse(format!("{TITLE}\n{}", line("oci:a:b:c")).as_bytes()).expect("a lock");
    let tags = |path: &str| -> Vec<Box<str>> {
        lock.tags(&Transport::Layout(path.into())).into_iter().map(|(tag, _)| tag).collect()
    };
    assert_eq!(tags("a"), ["b:c".into()]);
    assert_eq!(tags("a:b"), ["c".into()]);
    assert!(tags("a:b:c").is_empty());
}

/// J4, J5: what cannot be proven pins nothing; J2: nothing is said twice; one spelling.
#[test]
fn hostile_lines_refuse_the_whole_file() {
    let (good, hex) = (line(NAME), root("x").digest.encoded());
    let with = |name: &str| format!("{TITLE}\n{}", line(name));
    let cases = [
        (format!("{TITLE}\n{}", good.trim_end()), Law::Cut),
        (format!("{TITLE}\n\n"), Law::Words),
        (format!("{TITLE}\n# note\n"), Law::Words),
        (format!("{TITLE}\n{NAME}\n"), Law::Words),
        (format!("{TITLE}\n{good}{good}"), Law::Twice),
        (format!("{TITLE}\n{}{good}", line("docker://b.example/app:1")), Law::Order),
        (with("busybox"), Law::Spelling),
        (with("docker://busybox:1"), Law::Spelling),
        (with("docker://a.example/app"), Law::Spelling),
        (with(&format!("docker://a.example/app:1@sha256:{hex}")), Law::Fixed),
        (with("oci-archive:-"), Law::Fixed),
        (with(""), Law::Reference),
        (with(" oci:x"), Law::Reference),
        (with("oci:x\x1b[2J"), Law::Reference),
        (with("oci:x\r"), Law::Reference),
        (with(&format!("oci:{}", "x".repeat(LONGEST))), Law::Reference),
        (good.replace("sha256:", "md5:"), Law::Digest),
        (good.replace(&hex, &hex.to_uppercase()), Law::Digest),
        (good.replace(&hex, "../../x"), Law::Digest),
        (good.replace(OCI_MANIFEST, "text/plain"), Law::MediaType),
        (good.replace(OCI_MANIFEST, "Application/vnd.oci.image.manifest.v1+json"), Law::MediaType),
        (good.replace(" 1\n", " 01\n"), Law::Size),
        (good.replace(" 1\n", " +1\n"), Law::Size),
        (good.replace(" 1\n", " -1\n"), Law::Size),
        (good.replace(" 1\n", " 18446744073709551616\n"), Law::Size),
        (good.replace(" 1\n", " 1\r\n"), Law::Size),
    ];
    for (text, expected) in cases {
        let text = if text.starts_with(TITLE) { text } else { format!("{TITLE}\n{text}") };
        assert_eq!(law(&text), Some(expected), "{text:?}");
    }
    assert_eq!(Lock::parse(b"orlop lock 1\n\xff\n"), Err(LockError::Line { line: 2, law: Law::Text }));
}

#[test]
fn another_version_and_another_file_are_told() {
    for text in ["", "orlop lock 2\n", "orlop lock 1", "\u{feff}orlop lock 1\n", "{}"] {
        let told = Lock::parse(text.as_bytes()).expect_err(text);
        assert_eq!((told.kind(), told), (Kind::Policy, LockError::NoTitle { title: TITLE }));
    }
}

#[test]
fn a_file_beyond_the_limit_is_not_looked_at() {
    let long = vec![b'x'; usize::try_from(LARGEST).expect("it fits") + 1];
    assert_eq!(Lock::parse(&long).map_err(|error| error.kind()), Err(Kind::Limit));
}

#[test]
fn what_has_no_line_is_not_set() {
    let mut lock = Lock::default();
    let name = |path: &[u8]| Reference::new(Transport::Layout(OsString::from_vec(path.to_vec()).into()));
    let law = |told: Result<Option<Descriptor>, LockError>| match told {
        Err(LockError::Unfit { law, .. }) => Some(law),
        _ => None,
    };
    assert_eq!(law(lock.set(&name(b"\xff"), &root("x"))), Some(Law::Text));
    assert_eq!(law(lock.set(&name(b"x\ny"), &root("x"))), Some(Law::Reference));
    assert_eq!(law(lock.set(&parsed("oci-archive:-"), &root("x"))), Some(Law::Fixed));
    let unknown = Descriptor { digest: "sha256+b64u:xyz".parse().expect("the grammar"), ..root("x") };
    assert_eq!(law(lock.set(&parsed(NAME), &unknown)), Some(Law::Digest));
    let blob = Descriptor { media_type: MediaType::new("text/plain"), ..root("x") };
    assert_eq!(law(lock.set(&parsed(NAME), &blob)), Some(Law::MediaType));
    assert_eq!(lock, Lock::default());
}

fn names() -> impl Strategy<Value = String> {
    let registry = "[a-c]{1,3}\\.example/[a-c]{1,4}(:[a-z0-9._-]{1,8})?";
    let tag = "(:[a-zA-Z0-9][a-z0-9/:]{0,6})?";
    prop_oneof![
        registry.prop_map(|name| format!("docker://{name}")),
        (("oci|oci-archive|docker-archive"), "[a-z ./:]{1,9}", tag)
            .prop_map(|(a, b, c)| format!("{a}:{b}{c}")),
        "oci:https://[a-c]{1,3}\\.example/[a-z]{1,3}(#[a-z]{1,3})?",
        "\\./[a-z @:]{1,9}",
    ]
}

proptest! {
    /// print ∘ parse is the identity, whatever was taken.
    #[test]
    fn what_is_taken_is_printed_as_the_same_bytes(
        entries in prop::collection::vec((names(), any::<u16>(), any::<bool>()), 0..12),
        harm in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let exists = |_: Sought, _: &Path| false;
        let grammar = Grammar { bare: Bare::Registry, lone_stream: LoneStream::Refused, exists: &exists };
        let mut lock = Lock::default();
        for (name, seed, is_index) in entries {
            let Ok(reference) = grammar.parse(OsStr::new(&name)) else { continue };
            let mut root = root(&seed.to_string());
            if is_index {
                root.media_type = MediaType::new(OCI_INDEX);
            }
            if lock.set(&reference, &root).is_ok() {
                prop_assert_eq!(lock.get(&reference), Some(root));
            }
        }
        let mut bytes = lock.to_string().into_bytes();
        prop_assert_eq!(Lock::parse(&bytes), Ok(lock));
        if let Some((at, byte)) = harm {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(lock) = Lock::parse(&bytes) {
                prop_assert_eq!(lock.to_string().into_bytes(), bytes);
            }
        }
    }
}
