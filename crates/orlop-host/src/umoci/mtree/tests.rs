//! Laws of manifests, and what umoci itself wrote.

use super::*;
use crate::umoci::error::Wrong;
use orlop_fs::scan::{Contents, ScanOptions};
use orlop_fs::{Dir, FileKind};
use orlop_layer::Time;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use testkit::mtree::lines;

/// Of a bundle that umoci 0.4.7 unpacked, two files left out.
const OF_UMOCI: &str = include_str!("umoci-0.4.7.mtree");

fn read(text: &[u8]) -> Result<Mtree, MtreeError> {
    Mtree::read(&mut &*text, &Limits::default())
}

fn written(mtree: &Mtree) -> String {
    let mut text = Vec::new();
    mtree.write(&mut text).expect("a vector takes everything");
    String::from_utf8(text).expect("a manifest is ASCII but for comments")
}

fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).expect("plain")
}

#[test]
fn what_umoci_wrote_is_written_again_line_for_line() {
    let mtree = read(OF_UMOCI.as_bytes()).expect("umoci's own");
    let ours = written(&mtree);
    assert_eq!(lines(&ours), lines(OF_UMOCI));
    assert_eq!(read(ours.as_bytes()).expect("ours"), mtree);
}

#[test]
fn what_umoci_wrote_means_this() {
    let mtree = read(OF_UMOCI.as_bytes()).expect("umoci's own");
    let hi = mtree.get(&path("etc/hi")).expect("a file");
    assert_eq!((hi.uid, hi.gid, hi.mode, hi.links), (Some(0), Some(0), Some(0o4755), Some(2)));
    assert_eq!(hi.xattrs.get(&b"user.we ird"[..]).map(|value| &**value), Some(&b"v%20"[..]));
    let link = mtree.get(&path("l2 x")).expect("a link");
    assert_eq!((link.kind, link.target.as_deref()), (Some(FileKind::Symlink), Some(&b"a b#c"[..])));
    let folder = mtree.get(&path("u/v")).expect("a folder");
    assert_eq!((folder.kind, folder.uid), (Some(FileKind::Directory), Some(5)));
    assert_eq!(mtree.get(&path("sp ace")).expect("a folder").time, Some(Stamp::Seconds(-315_619_199)));
    assert_eq!(mtree.keywords().len(), Keyword::ALL.len());
}

#[test]
fn other_spellings_of_mtree_are_read() {
    let text = b"#mtree\n/set type=dir uid=7\n. nochange\na mode=755\n\tf type=file \\\n size=3 time=5.25 link=\n..\n\
        /unset uid\n./a/g type=file uname=root\n..\n";
    let mtree = read(text).expect("another tool's");
    let (f, g) = (mtree.get(&path("a/f")).expect("f"), mtree.get(&path("a/g")).expect("g"));
    assert_eq!((f.size, f.uid), (Some(3), Some(7)));
    assert_eq!(f.time, Some(Stamp::Exact(Time { seconds: 5, nanoseconds: 250_000_000 })));
    assert_eq!((g.uid, g.kind), (None, Some(FileKind::File)));
}

#[test]
fn hostile_lines_are_refused_with_their_number() {
    let wrong = |lines: &str| match read(format!(". type=dir\n{lines}\n").as_bytes()) {
        Err(MtreeError::Line { line: 2, wrong }) => wrong,
        other => panic!("{lines}: {other:?}"),
    };
    assert!(matches!(wrong(r"a\057b"), Wrong::Name(_)), "a slash out of an escape");
    assert!(matches!(wrong(r"\056\056"), Wrong::Name(_)), "the folder above");
    assert!(matches!(wrong("."), Wrong::Name(_)), "the folder itself");
    assert!(matches!(wrong(r"a\000"), Wrong::Name(_)), "a NUL");
    assert!(matches!(wrong("./../a"), Wrong::Path(_)));
    assert!(matches!(wrong("./a/../../b"), Wrong::Path(_)));
    assert!(matches!(wrong(r"a\q"), Wrong::Escape(_)));
    assert!(matches!(wrong("./a/b"), Wrong::NotInAFolder(_)), "no line for `a`");
    assert!(matches!(wrong("/etc type=file"), Wrong::Command(_)));
    assert!(matches!(wrong("/set xattr.user.a=QQ=="), Wrong::OfOne(_)));
    for value in [
        "mode=10000",
        "mode=8",
        "mode=u=rwx",
        "uid=-1",
        "uid=4294967296",
        "size=1e3",
        "type=door",
        "nlink=",
        "time=.5",
        "time=1.",
        "tar_time=--1",
        "time=1.0000000001",
        "sha256digest=00",
        "xattr.user.a=Q",
        "xattr.=QQ==",
        r"link=\q",
    ] {
        assert!(matches!(wrong(&format!("a {value}")), Wrong::Value(_)), "{value}");
    }
    let twice = read(b". type=dir\na\nb\na\n");
    assert!(matches!(twice, Err(MtreeError::Line { line: 4, wrong: Wrong::Twice(_) })), "{twice:?}");
    let above = read(b". type=dir\n..\n..\n");
    assert!(matches!(above, Err(MtreeError::Line { line: 3, wrong: Wrong::NothingToLeave })), "{above:?}");
    for empty in [&b""[..], b"# nothing\n", b"a type=dir\n", b". type=file\n"] {
        assert!(matches!(read(empty), Err(MtreeError::Rootless)), "{empty:?}");
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { path: 8, depth: 2, entries: 4, xattrs: 1, ..Limits::default() };
    let wrong = |text: &str| match Mtree::read(&mut text.as_bytes(), &limits) {
        Err(MtreeError::Line { wrong, .. }) => wrong,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(wrong(". type=dir\n123456789\n"), Wrong::TooLong);
    assert_eq!(wrong(". type=dir\na type=dir\nb type=dir\nc type=dir\n"), Wrong::TooDeep);
    assert_eq!(wrong(". type=dir\n./a/b/c\n"), Wrong::TooDeep);
    assert_eq!(wrong(". type=dir\na\nb\nc\nd\n"), Wrong::TooMany);
    assert_eq!(wrong(". type=dir\na xattr.a= xattr.b=\n"), Wrong::TooMany);
    let long = format!(". type=dir\n#{}\n", "x".repeat(17 << 20));
    assert_eq!(wrong(&long), Wrong::TooLong);
}

#[test]
fn deltas_are_told_as_gomtree_tells_them() {
    let text = |entry: &str| format!(". type=dir tar_time=1.0\n{entry}\n");
    let both = |one: &str, other: &str| -> Vec<String> {
        let (one, other) =
            (read(text(one).as_bytes()).expect("one"), read(text(other).as_bytes()).expect("other"));
        let deltas = compare(&one, &other, &Keyword::ALL.into_iter().collect());
        deltas.iter().map(ToString::to_string).collect()
    };
    assert_eq!(both("a type=file uid=1", "a type=file uid=2"), ["\"a\": keyword \"uid\": expected 1; got 2"]);
    assert_eq!(both("a type=file", "b type=file"), ["\"a\": missing path", "\"b\": unexpected path"]);
    assert_eq!(both("a type=file uid=1", "a type=file"), [""; 0], "one side alone knows of it");
    assert_eq!(
        both("a type=file tar_time=5.0", "a type=file"),
        ["\"a\": keyword \"tar_time\": expected 5.000000000; got "]
    );
    assert_eq!(both("a type=file tar_time=5.0", "a type=file time=5.7"), [""; 0], "whole seconds");
    assert_eq!(
        both("a type=file xattr.user.a=QQ==", "a type=file"),
        ["\"a\": keyword \"xattr.user.a\": expected QQ==; got "]
    );
    assert_eq!(
        both(r"\001\042\302\240\377\303\274 uid=1", r"a"),
        ["\"\\x01\\\"\\u00a0\\xffü\": missing path", "\"a\": unexpected path"]
    );
}

#[test]
fn keywords_that_are_not_asked_for_are_not_compared() {
    let one = read(b". type=dir uid=1 mode=755\n").expect("one");
    let other = read(b". type=dir uid=2 mode=700\n").expect("other");
    let deltas = |keywords: &str| compare(&one, &other, &Keyword::list(keywords).expect("known")).len();
    assert_eq!((deltas("size"), deltas("size,uid"), deltas("mode nlink")), (0, 1, 1));
    assert!(matches!(Keyword::list("size,md5"), Err(MtreeError::Keyword(word)) if &*word == "md5"));
}

#[test]
fn the_manifest_of_a_folder_is_that_of_what_is_there() {
    let scratch = testkit::scratch();
    let root = scratch.folder("root");
    scratch.folder("root/d");
    scratch.file("root/d/f", "abc");
    scratch.file("root/z", "");
    std::os::unix::fs::symlink("a b", root.join("l")).expect("linked");
    let folder = Dir::open(&root).expect("a folder");
    let survey = || {
        let mut survey = Survey::open(&folder, Contents::Hashed, &ScanOptions::default()).expect("a survey");
        Mtree::of(&mut survey, Times::Whole).expect("read")
    };
    let before = survey();
    assert_eq!(read(written(&before).as_bytes()).expect("ours"), before);
    scratch.file("root/d/f", "abd");
    let after = survey();
    let deltas = compare(&before, &after, &Keyword::list("sha256digest,size").expect("known"));
    assert_eq!(deltas.len(), 1);
    assert_eq!(deltas[0].path, path("d/f"));
}

#[test]
fn the_file_is_called_by_the_digest() {
    let digest = Digest::of(orlop_spec::Algorithm::Sha256, b"");
    assert_eq!(
        file_name(&digest),
        "sha256_e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.mtree"
    );
}

fn facts() -> impl Strategy<Value = Facts> {
    let names =
        vec(any::<u8>().prop_filter("no name of an attribute", |byte| !matches!(byte, 0 | b'=')), 1..6);
    let stamp = prop_oneof![
        any::<i64>().prop_map(Stamp::Seconds),
        (any::<i64>(), 0..1_000_000_000_u32)
            .prop_map(|(seconds, nanoseconds)| Stamp::Exact(Time { seconds, nanoseconds })),
    ];
    let numbers = (any::<Option<u64>>(), any::<Option<u32>>(), any::<Option<u32>>(), any::<Option<u64>>());
    let others =
        (proptest::option::of(0..0o10000_u16), proptest::option::of(stamp), any::<Option<[u8; 32]>>());
    let xattrs = btree_map(names.prop_map(Into::into), vec(any::<u8>(), 0..9).prop_map(Into::into), 0..3);
    let target = proptest::option::of(vec(1..=255_u8, 1..9).prop_map(Into::into));
    (numbers, others, xattrs, target).prop_map(
        |((size, uid, gid, links), (mode, time, sha256), xattrs, target)| Facts {
            kind: Some(FileKind::File),
            size,
            uid,
            gid,
            mode,
            target,
            links,
            time,
            sha256,
            xattrs,
        },
    )
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    vec((1..=255_u8).prop_filter("no name", |byte| *byte != b'/'), 1..4)
        .prop_filter("no name", |name| !matches!(name.as_slice(), b"." | b".."))
}

/// Paths with what is known of them, folders where others lie in them.
fn tree() -> impl Strategy<Value = Mtree> {
    (facts(), btree_map(vec(name(), 1..4), facts(), 0..12)).prop_map(|(root, paths)| {
        let mut entries: BTreeMap<Vec<Vec<u8>>, Facts> = paths.clone();
        entries.insert(Vec::new(), root);
        for (path, facts) in &paths {
            for depth in 0..path.len() {
                let folder = entries.entry(path[..depth].to_vec()).or_insert_with(|| facts.clone());
                folder.kind = Some(FileKind::Directory);
            }
        }
        entries.get_mut(&Vec::new()).expect("the root").kind = Some(FileKind::Directory);
        let path = |names: Vec<Vec<u8>>| names.iter().fold(TreePath::root(), |path, name| path.join(name));
        Mtree { entries: entries.into_iter().map(|(names, facts)| (path(names), facts)).collect() }
    })
}

proptest! {
    /// Whatever bytes names have, and whatever is known or not.
    #[test]
    fn what_is_written_is_read_as_the_same_facts(mtree in tree()) {
        prop_assert_eq!(read(written(&mtree).as_bytes()).expect("ours"), mtree);
    }

    #[test]
    fn a_manifest_differs_from_itself_in_nothing(mtree in tree()) {
        let all = Keyword::ALL.into_iter().collect();
        prop_assert_eq!(compare(&mtree, &mtree, &all), vec![]);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        drop(read(&bytes));
    }
}
