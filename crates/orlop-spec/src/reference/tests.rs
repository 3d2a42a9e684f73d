use super::*;
use crate::diagnose::{Diagnose as _, Kind};
use crate::digest::AnyDigest;
use proptest::prelude::*;
use std::os::unix::ffi::OsStrExt as _;

const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn parse_where(there: &[&str], text: &str) -> Result<Reference, ReferenceError> {
    let exists = |_: Sought, path: &Path| there.iter().any(|name| Path::new(name) == path);
    let grammar = Grammar { bare: Bare::Registry, lone_stream: LoneStream::Refused, exists: &exists };
    grammar.parse(OsStr::new(text))
}

fn parse(text: &str) -> Result<Reference, ReferenceError> {
    parse_where(&[], text)
}

fn digest() -> Selector {
    Selector::Digest(format!("sha256:{HEX}").parse().expect("a digest"))
}

fn is(text: &str, transport: Transport, selector: Selector, tag: Option<&str>) {
    let expected = Reference { transport, selector, tag: tag.map(Into::into) };
    assert_eq!(parse(text), Ok(expected.clone()), "{text}");
    assert_eq!(parse(&expected.to_string()), Ok(expected), "printed {text}");
}

fn tag(name: &str) -> Selector {
    Selector::Tag(name.into())
}

#[test]
fn layouts_are_named_by_folder_and_tag_digest_or_position() {
    let srv = || Transport::Layout("srv/x".into());
    is("oci:srv/x", srv(), Selector::Only, None);
    is("oci:srv/x:v1", srv(), tag("v1"), None);
    is("oci:srv/x:docker.io/library/a:1", srv(), tag("docker.io/library/a:1"), None);
    is(&format!("oci:srv/x@sha256:{HEX}"), srv(), digest(), None);
    is(&format!("oci:srv/x:v1@sha256:{HEX}"), srv(), digest(), Some("v1"));
    is("oci:srv/x:@3", srv(), Selector::At(3), None);
    is("ocidir://srv/x:v1", srv(), tag("v1"), None);
    is("ocidir:///srv/x:v1", Transport::Layout("/srv/x".into()), tag("v1"), None);
    is("oci:user@host:tag", Transport::Layout("user@host".into()), tag("tag"), None);
    is("oci:https://h.example/d#v1", Transport::LayoutUrl("https://h.example/d".into()), tag("v1"), None);
}

#[test]
fn a_folder_is_the_shortest_prefix_that_is_a_layout() {
    let layout = |there: &[&str], text: &str| {
        let reference = parse_where(there, text).expect(text);
        let path = reference.transport.path().expect("a path").to_owned();
        (path.to_string_lossy().into_owned(), reference.tag().map(str::to_owned))
    };
    let split = |path: &str, tag: Option<&str>| (path.to_owned(), tag.map(str::to_owned));
    assert_eq!(layout(&[], "oci:a:b:c"), split("a", Some("b:c")));
    assert_eq!(layout(&["a:b"], "oci:a:b:c"), split("a:b", Some("c")));
    assert_eq!(layout(&["a:b", "a"], "oci:a:b:c"), split("a", Some("b:c")));
    assert_eq!(layout(&["a:b:c"], "oci:a:b:c"), split("a:b:c", None));
    assert_eq!(layout(&["a:b"], "docker-archive:a:b:n:t"), split("a:b", Some("n:t")));
    assert_eq!(layout(&["./a:b"], "./a:b:c"), split("./a:b", Some("c")));
}

#[test]
fn archives_and_streams() {
    let file = |name: &str| File::Path(name.into());
    is("oci-archive:a.tar:v1", Transport::OciArchive(file("a.tar")), tag("v1"), None);
    is("oci-archive:-", Transport::OciArchive(File::Stream), Selector::Only, None);
    is("oci-archive:-:v1", Transport::OciArchive(File::Stream), tag("v1"), None);
    is("oci-archive:./-:v1", Transport::OciArchive(file("./-")), tag("v1"), None);
    is("docker-archive:a.tar:me/app:1", Transport::DockerArchive(file("a.tar")), tag("me/app:1"), None);
    is("docker-archive:a.tar:@2", Transport::DockerArchive(file("a.tar")), Selector::At(2), None);
    is("tar:-", Transport::Tar(File::Stream), Selector::Only, None);
    is("aci:x.aci", Transport::Aci(file("x.aci")), Selector::Only, None);
    is("https://h.example/a.tar#v1", Transport::Web("https://h.example/a.tar".into()), tag("v1"), None);
    assert_eq!(parse("-"), Err(ReferenceError::LoneStream));
    let grammar = Grammar { bare: Bare::Registry, lone_stream: LoneStream::Tar, exists: &|_, _| false };
    assert_eq!(grammar.parse(OsStr::new("-")), Ok(Reference::new(Transport::Tar(File::Stream))));
}

#[test]
fn folders_take_all_that_follows() {
    is("rootfs:a:b", Transport::Rootfs("a:b".into()), Selector::Only, None);
    is("dir:a:b", Transport::Dir("a:b".into()), Selector::Only, None);
    is(&format!("dir:a@sha256:{HEX}"), Transport::Dir("a".into()), digest(), None);
    is(".", Transport::Local(".".into()), Selector::Only, None);
    is("../x:v1", Transport::Local("../x".into()), tag("v1"), None);
    is("/srv/x:@0", Transport::Local("/srv/x".into()), Selector::At(0), None);
}

#[test]
fn registry_names_are_qualified() {
    let registry = |text: &str| Transport::Registry(Repository::parse(text).expect(text));
    is("busybox", registry("docker.io/library/busybox"), tag("latest"), None);
    is("docker://h.example:5000/a/b:v1", registry("h.example:5000/a/b"), tag("v1"), None);
    is(&format!("docker://h.example/a@sha256:{HEX}"), registry("h.example/a"), digest(), None);
    is(&format!("docker://h.example/a:v1@sha256:{HEX}"), registry("h.example/a"), digest(), Some("v1"));
    is("me/app:2", registry("docker.io/me/app"), tag("2"), None);
}

#[test]
fn the_store_and_ostree() {
    is("store:", Transport::Store, Selector::Only, None);
    is("store:any Name:x/y", Transport::Store, tag("any Name:x/y"), None);
    is(&format!("store:@sha256:{HEX}"), Transport::Store, digest(), None);
    is(&format!("store:a@sha256:{HEX}"), Transport::Store, digest(), Some("a"));
    let kept = Transport::Ostree { repository: "/repo".into(), name: "docker://h.example/a:1".into() };
    is("ostree:/repo@docker://h.example/a:1", kept, Selector::Only, None);
    let by_digest = Transport::Ostree { repository: "/repo".into(), name: format!("sha256:{HEX}").into() };
    is(&format!("ostree:/repo@sha256:{HEX}"), by_digest, Selector::Only, None);
    let grammar = Grammar { bare: Bare::Store, lone_stream: LoneStream::Refused, exists: &|_, _| false };
    let bare = grammar.parse(OsStr::new("any")).expect("a name");
    assert_eq!(bare, Reference { transport: Transport::Store, selector: tag("any"), tag: None });
}

#[test]
fn digests_of_other_algorithms_are_cut_only_beyond_doubt() {
    let reference = parse(&format!("oci:a@blake3:{HEX}")).expect("a reference");
    assert!(matches!(reference.selector, Selector::Digest(AnyDigest::Other(_))));
    assert_eq!(parse("oci:a@b:c").expect("a reference").selector, tag("c"));
    assert!(matches!(parse("oci:a@sha256:abc"), Err(ReferenceError::BadDigest(_))));
    assert!(matches!(
        parse(&format!("oci:a@sha256:{}", HEX.to_uppercase())),
        Err(ReferenceError::BadDigest(_))
    ));
}

#[test]
fn paths_are_bytes_and_tags_are_text() {
    let grammar = Grammar { bare: Bare::Registry, lone_stream: LoneStream::Refused, exists: &|_, _| false };
    let text = OsStr::from_bytes(b"oci:\xff\xfe:v1");
    let reference = grammar.parse(text).expect("a reference");
    assert_eq!(reference.transport.path().map(Path::as_os_str), Some(OsStr::from_bytes(b"\xff\xfe")));
    assert_eq!(reference.to_os_string(), text);
    assert!(matches!(grammar.parse(OsStr::from_bytes(b"oci:a:\xff")), Err(ReferenceError::NotText(_))));
}

/// Each refusal, and the words that its hint must hold.
const REFUSED: &[(&str, &[&str])] = &[
    ("oci://h.example/a:1", &["oci:h.example/a:1", "docker://h.example/a:1"]),
    ("oci:///srv/a", &["oci:/srv/a", "docker://srv/a"]),
    ("docker:27", &["docker://docker:27"]),
    ("ostree:app:1@/srv/repo", &["ostree:/srv/repo@app:1"]),
    ("ostree:/srv/repo", &["ostree:/srv/repo@REF"]),
    ("http://h.example/a.tar", &["https://h.example/a.tar"]),
    ("oci:http://h.example/a", &["https://h.example/a"]),
    ("containers-storage:x", &["oci-archive:FILE"]),
    ("docker-daemon:x:1", &["docker-archive:-"]),
    ("-", &["oci-archive:-"]),
    ("oci:-", &["oci:./-"]),
    ("My_Folder", &["./My_Folder"]),
];

#[test]
fn refusals_say_what_to_type() {
    for (text, words) in REFUSED {
        let error = parse(text).expect_err(text);
        assert_eq!(error.kind(), Kind::Usage);
        let hint = error.hint().unwrap_or_else(|| panic!("{text}: no hint with `{error}`"));
        assert!(words.iter().all(|word| hint.contains(word)), "{text}: {hint}");
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    let digest = format!("@sha256:{HEX}");
    for text in [
        "",
        "oci:",
        "oci::v1",
        "oci:a:",
        "oci:a:b\n",
        "oci:a:v1:@2",
        "oci-archive:",
        "docker-archive:-:",
        "dir:",
        "dir:a:@1",
        "rootfs:",
        "rootfs:a:@1",
        "tar:",
        "store:a:@1",
        "docker://",
        "docker://a:@1",
        "docker://a:",
        "a b",
        "docker://a:b:c",
        "https:x",
        "https:///x",
        "https://h/x#",
        "https://h/a b",
        "ostree:@x",
        "ostree:r@",
        "oci:a#\0:\u{7}",
        &format!("rootfs:a{digest}"),
        &format!("tar:a{digest}"),
        &format!("aci:a{digest}"),
        &digest,
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn every_place_with_a_path_is_found_from_any_folder() {
    let from = |text: &str| {
        let reference = parse(text).expect(text).from_folder(Path::new("/w/here"));
        assert_eq!(parse(&reference.to_string()), Ok(reference.clone()), "{text}");
        assert_eq!(reference.clone().from_folder(Path::new("/elsewhere")), reference, "{text}");
        reference.to_string()
    };
    for (text, expected) in [
        ("oci:l:v1", "oci:/w/here/l:v1"),
        ("oci:.:v1", "oci:/w/here:v1"),
        ("oci:./a/../l", "oci:/w/here/a/../l"),
        ("oci:../../../l:@1", "oci:/l:@1"),
        ("./l:v1", "/w/here/l:v1"),
        ("..", "/w"),
        ("oci-archive:a.tar:v1", "oci-archive:/w/here/a.tar:v1"),
        ("docker-archive:../a.tar:me/app:1", "docker-archive:/w/a.tar:me/app:1"),
        ("dir:d", "dir:/w/here/d"),
        ("rootfs:r", "rootfs:/w/here/r"),
        ("tar:t", "tar:/w/here/t"),
        ("aci:x.aci", "aci:/w/here/x.aci"),
        ("ostree:repo@os/stable", "ostree:/w/here/repo@os/stable"),
    ] {
        assert_eq!(from(text), expected);
    }
    for text in [
        "oci:/srv/./l:v1",
        "/srv/x:v1",
        "oci-archive:-:v1",
        "tar:-",
        "store:any",
        "oci:https://h.example/d#v1",
        "https://h.example/a.tar",
        "docker://h.example/a:v1",
    ] {
        assert_eq!(from(text), text);
    }
}

fn cases() -> u32 {
    if std::env::var_os("ORLOP_FULL").is_some() { 1_000_000 } else { 20_000 }
}

/// Pieces of references, so that most of what is made of them parses or nearly does.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "oci:",
        "ocidir://",
        "oci:https://",
        "oci-archive:",
        "docker-archive:",
        "docker://",
        "dir:",
        "rootfs:",
        "tar:",
        "store:",
        "https://",
        "ostree:",
        "aci:",
        "/",
        "./",
        "../",
        "-",
        ":",
        "@",
        "#",
        ":@3",
        "@7",
        "a",
        "b.c",
        "A",
        "é",
        "host.example:5000/",
        "latest",
        "@sha256:",
        "@blake3:",
        HEX,
        ".",
        "//",
        " ",
        "docker.io/",
        "library/",
    ]);
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn what_is_printed_parses_to_the_same(text in pieces(), salt: u64, bare: bool) {
        let exists = |sought: Sought, path: &Path| {
            let seed = format!("{salt} {sought:?} {}", path.display());
            crate::Digest::of(crate::Algorithm::Sha256, seed.as_bytes()).bytes()[0].is_multiple_of(4)
        };
        let bare = if bare { Bare::Registry } else { Bare::Store };
        let grammar = Grammar { bare, lone_stream: LoneStream::Tar, exists: &exists };
        if let Ok(reference) = grammar.parse(OsStr::new(&text)) {
            prop_assert_eq!(grammar.parse(&reference.to_os_string()), Ok(reference.clone()));
            let anywhere = reference.from_folder(Path::new("/w"));
            prop_assert!(anywhere.transport.path().is_none_or(Path::is_absolute));
        }
    }
}
