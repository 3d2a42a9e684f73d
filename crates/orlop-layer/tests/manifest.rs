//! Laws of manifests: equal for equal trees whatever their times, different for any other difference, and proven when
//! they are read.

use orlop_layer::manifest::{TreeManifest, What};
use orlop_layer::tree::{Builder, Content, Tree};
use orlop_layer::{Device, Entry, Error, Kind, Meta, Time, TreePath, Xattrs};
use orlop_spec::digest::{Algorithm, ChainId, Digest};
use orlop_spec::{Diagnose as _, Limits};
use proptest::prelude::*;
use std::convert::Infallible;
use testkit::full;

fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).expect("plain")
}

fn xattrs() -> impl Strategy<Value = Xattrs> {
    let one = ("user\\.[a-c]", prop::collection::vec(any::<u8>(), 0..4));
    prop::collection::vec(one, 0..3).prop_map(|all| {
        all.into_iter().map(|(name, value)| (name.into_bytes().into(), value.into())).collect()
    })
}

fn meta() -> impl Strategy<Value = Meta> {
    let time = (0..3i64).prop_map(Time::from_seconds);
    (0..0o10000u16, 0..3u32, 0..3u32, time, xattrs()).prop_map(|(mode, uid, gid, mtime, xattrs)| Meta {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    let device = (0..3u32, 0..3u32).prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        4 => (0..4u64).prop_map(|size| Kind::File { size }),
        4 => Just(Kind::Directory),
        1 => "[a-c/]{1,5}".prop_map(|target| Kind::Symlink { target: target.into_bytes().into() }),
        2 => "[a-c](/[a-c]){0,2}".prop_map(|target| Kind::HardLink { target: path(&target) }),
        1 => device.clone().prop_map(Kind::CharDevice),
        1 => device.prop_map(Kind::BlockDevice),
        1 => Just(Kind::Fifo),
    ]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = ("[a-c](/[a-c]){0,2}", meta(), kind());
    prop::collection::vec(entry.prop_map(|(name, meta, kind)| Entry { path: path(&name), meta, kind }), 0..24)
}

/// The stacked tree of those entries that fit.
fn tree(entries: &[Entry]) -> Option<Tree> {
    let mut builder = Builder::new(0, &Limits::default());
    for (ordinal, entry) in (0..).zip(entries) {
        builder.add(ordinal, 0, entry).ok();
    }
    Tree::default().stack(builder.finish()).ok()
}

fn digest(content: &Content) -> Digest {
    Digest::of(Algorithm::Sha256, &content.ordinal.to_le_bytes())
}

fn chain() -> ChainId {
    ChainId(Digest::of(Algorithm::Sha512, b"layers"))
}

fn manifest(tree: &Tree) -> TreeManifest {
    let Ok(manifest) = TreeManifest::of(tree, Some(chain()), |content| Ok::<_, Infallible>(digest(content)));
    manifest
}

fn written(manifest: &TreeManifest) -> Vec<u8> {
    let mut bytes = Vec::new();
    manifest.write(&mut bytes).expect("memory takes everything");
    bytes
}

fn parse(bytes: &[u8]) -> Result<TreeManifest, Error> {
    TreeManifest::parse(bytes, &Limits::default())
}

fn config() -> ProptestConfig {
    let cases = if full() { 5000 } else { 256 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_manifest_is_read_as_it_was_written(entries in entries()) {
        let Some(tree) = tree(&entries) else { return Ok(()) };
        let manifest = manifest(&tree);
        let bytes = written(&manifest);
        let read = parse(&bytes).expect("sound");
        prop_assert_eq!(&read, &manifest);
        prop_assert_eq!(written(&read), bytes);
        prop_assert_eq!(manifest.len() as u64, tree.len());
        for (path, id) in tree.walk() {
            let found = path.components().try_fold(read.root(), |folder, name| read.child(folder, name));
            let found = found.expect("there");
            prop_assert_eq!(&read.path(found), &path);
            prop_assert_eq!(read.first(found) != found, tree.names(id) > 1 && matches!(read.node(found).what, What::Link(_)));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), entries in entries()) {
        let Some(tree) = tree(&entries) else { return Ok(()) };
        let mut bytes = written(&manifest(&tree));
        let at = at.index(bytes.len());
        let before = std::mem::replace(&mut bytes[at], byte);
        prop_assert_eq!(parse(&bytes).is_ok(), before == byte);
    }
}

fn entry(name: &str, kind: Kind) -> Entry {
    let meta = Meta { mode: 0o644, uid: 1, gid: 2, ..Meta::default() };
    Entry { path: path(name), meta, kind }
}

fn sample() -> Vec<Entry> {
    let mut attributed = entry("d/f", Kind::File { size: 3 });
    attributed.meta.xattrs.insert((*b"user.a").into(), (*b"b").into());
    vec![
        entry("d", Kind::Directory),
        attributed,
        entry("d/z", Kind::HardLink { target: path("d/f") }),
        entry("a", Kind::HardLink { target: path("d/f") }),
        entry("l", Kind::Symlink { target: (*b"d/f").into() }),
        entry("c", Kind::CharDevice(Device { major: 1, minor: 3 })),
        entry("p", Kind::Fifo),
    ]
}

#[test]
fn the_first_name_of_an_inode_is_the_first_of_a_walk() {
    let manifest = manifest(&tree(&sample()).expect("fits"));
    let id =
        |name: &str| path(name).components().try_fold(manifest.root(), |at, name| manifest.child(at, name));
    let [a, f, z] = ["a", "d/f", "d/z"].map(|name| id(name).expect("there"));
    assert!(matches!(manifest.node(a).what, What::File { size: 3, .. }));
    assert_eq!((manifest.first(f), manifest.first(z), manifest.first(a)), (a, a, a));
    assert_eq!(id("d/none"), None);
    assert_eq!(id("l/none"), None, "a link is no folder");
}

#[test]
fn everything_but_times_is_part_of_the_digest() {
    type Change = fn(&mut Vec<Entry>);
    let original = manifest(&tree(&sample()).expect("fits"));
    let changed = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = sample();
        change(&mut entries);
        *manifest(&tree(&entries).expect("fits")).digest()
    };
    let changes: [(&str, Change); 11] = [
        ("mode", |all| all[1].meta.mode = 0o640),
        ("mode of a folder", |all| all[0].meta.mode = 0o700),
        ("owner", |all| all[1].meta.uid = 9),
        ("group", |all| all[1].meta.gid = 9),
        ("attribute", |all| drop(all[1].meta.xattrs.insert((*b"user.a").into(), (*b"c").into()))),
        ("size", |all| all[1].kind = Kind::File { size: 4 }),
        ("target", |all| all[4].kind = Kind::Symlink { target: (*b"d/g").into() }),
        ("device", |all| all[5].kind = Kind::CharDevice(Device { major: 1, minor: 4 })),
        ("kind", |all| all[6].kind = Kind::Symlink { target: (*b"p").into() }),
        ("name", |all| all[6].path = path("q")),
        ("hard link", |all| all[2].kind = Kind::File { size: 3 }),
    ];
    for (what, change) in changes {
        assert_ne!(changed(&change), *original.digest(), "{what}");
    }
    let times: Change = |all| all.iter_mut().for_each(|entry| entry.meta.mtime = Time::from_seconds(7));
    assert_eq!(changed(&times), *original.digest());
    let contents = TreeManifest::of(&tree(&sample()).expect("fits"), Some(chain()), |_| {
        Ok::<_, Infallible>(Digest::of(Algorithm::Sha256, b"another"))
    });
    assert!(contents.is_ok_and(|manifest| manifest.digest() != original.digest()), "content");
    let other = TreeManifest::of(&tree(&sample()).expect("fits"), None, |it| Ok::<_, Infallible>(digest(it)));
    assert!(other.is_ok_and(|manifest| manifest.digest() != original.digest()), "chain id");
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let bytes = written(&manifest(&tree(&sample()).expect("fits")));
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = parse(&flipped).expect_err("damaged");
        assert_eq!(error.kind(), orlop_spec::Kind::Integrity, "bit {bit}: {error}");
    }
    for length in 0..bytes.len() {
        assert!(parse(&bytes[..length]).is_err(), "{length} bytes");
    }
    assert!(parse(&[&bytes[..], b"x"].concat()).is_err());
}

#[test]
fn names_of_a_manifest_are_limited() {
    let bytes = written(&manifest(&tree(&sample()).expect("fits")));
    let with = |limits: Limits| TreeManifest::parse(&bytes, &limits);
    assert!(with(Limits { entries: 7, depth: 2, ..Limits::default() }).is_ok());
    for limits in [Limits { entries: 6, ..Limits::default() }, Limits { depth: 1, ..Limits::default() }] {
        assert_eq!(with(limits).expect_err("over a limit").kind(), orlop_spec::Kind::Limit);
    }
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).expect("short").to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Any record but of a folder with names in it: of its listing nobody guesses the digest.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec!["", ".", "..", "a", "b", "c", "d/e", "f"]);
    let path = prop::sample::select(vec!["", "/a", "a", "b", "c", "c//x", "f", "nothing"]);
    (any::<prop::sample::Index>(), name, path, any::<u16>(), 0..3u32).prop_map(
        |(kind, name, path, mode, more)| {
            let kind = *kind.get(b"fdlcbphx");
            let mut out = vec![kind];
            bytes(&mut out, name.as_bytes());
            if kind != b'h' {
                out.extend_from_slice(&(mode & 0o17777).to_le_bytes());
                out.extend_from_slice(&[0; 8]);
                out.extend_from_slice(&more.to_le_bytes());
                (0..more).for_each(|number| {
                    bytes(&mut out, &[b'a' + u8::try_from(number).expect("small")]);
                    bytes(&mut out, b"value");
                });
            }
            match kind {
                b'f' => out.extend_from_slice(&[7; 40]),
                b'd' => {
                    out.extend_from_slice(&[0; 4]);
                    out.extend_from_slice(Digest::of(Algorithm::Sha256, b"").bytes());
                }
                b'l' | b'h' => bytes(&mut out, path.as_bytes()),
                b'c' | b'b' => out.extend_from_slice(&[1; 8]),
                _ => {}
            }
            out
        },
    )
}

/// A manifest of a root with these records in it.
fn sealed(records: &[Vec<u8>]) -> Vec<u8> {
    let mut head = b"orlop manifest 1\n\0\0\0\0d\0\0\0\0\xed\x01".to_vec();
    head.extend_from_slice(&[0; 12]);
    head.extend_from_slice(&u32::try_from(records.len()).expect("few").to_le_bytes());
    head.extend_from_slice(Digest::of(Algorithm::Sha256, &records.concat()).bytes());
    let digest = Digest::of(Algorithm::Sha256, &head);
    [&head[..], &records.concat(), digest.bytes()].concat()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_records_are_read_or_refused(mut records in prop::collection::vec(record(), 0..6), sort in any::<bool>()) {
        if sort {
            records.sort_by(|one, other| one[1..].cmp(&other[1..]));
            records.dedup_by(|one, other| one[5] == other[5]);
        }
        let bytes = sealed(&records);
        if let Ok(manifest) = parse(&bytes) {
            prop_assert_eq!(written(&manifest), bytes);
            for id in manifest.ids() {
                prop_assert_eq!(manifest.first(manifest.first(id)), manifest.first(id));
            }
        }
    }
}

#[test]
fn a_manifest_that_others_sealed_is_still_judged() {
    let file = |name: &str| {
        let mut out = vec![b'f'];
        bytes(&mut out, name.as_bytes());
        out.extend_from_slice(&[0; 54]);
        out
    };
    let link = |name: &str, to: &str| {
        let mut out = vec![b'h'];
        bytes(&mut out, name.as_bytes());
        bytes(&mut out, to.as_bytes());
        out
    };
    assert!(parse(&sealed(&[file("a"), link("b", "a"), link("c", "a")])).is_ok());
    for (what, records) in [
        ("to itself", vec![file("a"), link("b", "b")]),
        ("to another further name", vec![file("a"), link("b", "a"), link("c", "b")]),
        ("to a later path", vec![link("a", "b"), file("b")]),
        ("to nothing", vec![file("a"), link("b", "x")]),
        ("out of order", vec![file("b"), file("a")]),
        ("twice", vec![file("a"), file("a")]),
        ("a path as a name", vec![file("a/b")]),
        ("climbing", vec![file("..")]),
        ("no name", vec![file("")]),
    ] {
        assert!(matches!(parse(&sealed(&records)), Err(Error::BadTreeManifest { .. })), "{what}");
    }
}
