use super::*;
use orlop_spec::{Algorithm, Digest};

fn facts() -> Facts {
    Facts {
        mode: Some(0o644),
        uid: Some(7),
        gid: Some(u32::MAX),
        mtime: Some(Stamp::Exact(Time { seconds: -3, nanoseconds: 999_999_999 })),
        size: None,
        links: None,
        ctime: Some(Time { seconds: i64::MAX, nanoseconds: 1 }),
        ino: Some(u64::MAX),
    }
}

/// Every kind, and every fact both known and not.
fn all() -> Snapshot {
    let mut snapshot = Snapshot::new(Owner::Record, Groups::Known);
    snapshot.now = Some(Time { seconds: 1, nanoseconds: 2 });
    snapshot.about = b"{}".to_vec();
    let xattrs = Xattrs::from([(b"user.a".as_slice().into(), b"\0".as_slice().into())]);
    let content = Content { sha256: Some([7; 32]), origin: Some(Origin { layer: 3, ordinal: 400 }) };
    let mut push = |depth, name: &[u8], facts, xattrs: Option<&Xattrs>, what| {
        snapshot.push((depth, name), facts, xattrs, what, &Limits::default()).expect("in order")
    };
    push(0, b"", facts(), Some(&Xattrs::new()), What::Directory);
    push(1, b"a", Facts::default(), None, What::Directory);
    let sized = Facts { size: Some(1 << 40), links: Some(2), mtime: Some(Stamp::Seconds(-1)), ..facts() };
    let file = push(2, b"f", sized, Some(&xattrs), What::File(content));
    push(2, b"g", Facts::default(), None, What::File(Content::default()));
    push(2, b"h", Facts::default(), None, What::Link(file));
    push(1, b"b", facts(), Some(&xattrs), What::Symlink(b"x/../y".as_slice().into()));
    push(1, b"c", facts(), None, What::CharDevice(Some(Device { major: 1, minor: 300 })));
    push(1, b"d", facts(), None, What::BlockDevice(None));
    push(1, b"e", facts(), None, What::Fifo);
    snapshot
}

fn parsed(bytes: &[u8]) -> Result<Snapshot> {
    Snapshot::parse(bytes, &Limits::default())
}

/// As whoever wants to be believed would print it.
fn proven(mut body: Vec<u8>) -> Vec<u8> {
    let proof = Digest::of(Algorithm::Sha256, &body);
    body.extend_from_slice(proof.bytes());
    body
}

fn what_is_wrong(bytes: &[u8]) -> &'static str {
    match parsed(bytes) {
        Err(Error::BadSnapshot { what }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_written_is_read_again() {
    let snapshot = all();
    let again = parsed(&snapshot.to_bytes()).expect("as it was written");
    assert_eq!((again.owner, again.groups, again.now), (snapshot.owner, snapshot.groups, snapshot.now));
    assert_eq!(again.about, snapshot.about);
    assert_eq!(again.len(), snapshot.len());
    for id in snapshot.ids() {
        let (one, other) = (snapshot.record(id), again.record(id));
        assert_eq!((&one.facts, &one.what, one.depth()), (&other.facts, &other.what, other.depth()));
        assert_eq!(
            (snapshot.name(id), snapshot.xattrs(id), snapshot.end(id)),
            (again.name(id), again.xattrs(id), again.end(id))
        );
    }
    assert_eq!(again.to_bytes(), snapshot.to_bytes());
}

#[test]
fn paths_and_ends_are_those_of_the_folders() {
    let snapshot = all();
    let paths: Vec<String> = snapshot.ids().map(|id| snapshot.path(id).to_string()).collect();
    assert_eq!(paths, ["/", "a", "a/f", "a/g", "a/h", "b", "c", "d", "e"]);
    assert_eq!(snapshot.end(RecordId(1)), RecordId(5));
    assert_eq!(snapshot.end(RecordId::ROOT), RecordId(9));
    assert_eq!(snapshot.end(RecordId(2)), RecordId(3));
    assert_eq!(snapshot.content(RecordId(4)).sha256, Some([7; 32]));
}

/// The bytes of the document, one by one.
#[test]
fn the_bytes_are_those_of_the_document() {
    let mut snapshot = Snapshot::new(Owner::Squash, Groups::Unknown);
    snapshot.now = Some(Time { seconds: -1, nanoseconds: 300 });
    snapshot.about = b"me".to_vec();
    let known = Facts { mode: Some(0o755), ..Facts::default() };
    let (none, limits) = (Xattrs::new(), Limits::default());
    snapshot.push((0, b""), known, Some(&none), What::Directory, &limits).expect("the root");
    let link = What::Symlink(b"to".as_slice().into());
    snapshot.push((1, b"l"), Facts::default(), None, link, &limits).expect("a link");
    let expected =
        b"orlop snapshot 1\nsu\x01\xac\x02\x02me\x01\x00d\x81\x04\x00\x00\xed\x03\x00l\x00\x01\x01l\x02to";
    assert_eq!(snapshot.to_bytes(), proven(expected.to_vec()));
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_is() {
    let bytes = all().to_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        parsed(&damaged).expect_err("it is not what was written");
        parsed(&bytes[..at]).expect_err("it is not whole");
    }
}

/// Whoever writes a snapshot can also write its digest: then each byte is read as hostile.
#[test]
fn a_proven_snapshot_of_any_bytes_is_refused_or_in_order() {
    let bytes = all().to_bytes();
    let body = &bytes[..bytes.len() - 32];
    for at in 0..body.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, b'h', b'd', b'/', body[at] ^ 0x20] {
            let mut hostile = body.to_vec();
            hostile[at] = value;
            if let Ok(snapshot) = parsed(&proven(hostile)) {
                assert!(
                    snapshot
                        .ids()
                        .all(|id| snapshot.path(id).components().count() == snapshot.record(id).depth())
                );
            }
        }
    }
}

#[test]
fn what_breaks_the_order_is_refused() {
    let limits = Limits::default();
    let mut snapshot = all();
    let mut refused =
        |at: (usize, &[u8]), what: What| match snapshot.push(at, Facts::default(), None, what, &limits) {
            Err(Error::BadSnapshot { what }) => what,
            other => panic!("{other:?}"),
        };
    for name in [&b".."[..], b".", b"", b"a/b", b"z\0"] {
        assert_eq!(refused((1, name), What::Fifo), "a name is no single component");
    }
    assert_eq!(refused((0, b""), What::Directory), "the root is not its first record alone");
    assert_eq!(refused((3, b"x"), What::Fifo), "a name lies in no folder");
    assert_eq!(refused((2, b"x"), What::Fifo), "a name lies in what is no folder");
    assert_eq!(refused((1, b"e"), What::Fifo), "names are out of order");
    assert_eq!(refused((1, b"z"), What::Symlink(b"".as_slice().into())), "a link leads nowhere");
    for first in [0, 1, 4, 9, u32::MAX] {
        assert_eq!(refused((1, b"z"), What::Link(RecordId(first))), "a further name leads to no inode");
    }
}

#[test]
fn another_version_and_other_files_are_told_apart() {
    assert_eq!(what_is_wrong(b"orlop snapshot 2\n"), "it is of another version");
    assert_eq!(what_is_wrong(b"{}"), "it does not begin as one");
    assert_eq!(what_is_wrong(b"orlop snapshot 1\n"), "it ends early");
    assert_eq!(what_is_wrong(&proven(b"orlop snapshot 1\nek\0\0\0\0".to_vec())), "it has no root");
    assert_eq!(
        what_is_wrong(&proven(b"orlop snapshot 1\nek\x80\0\0\0\0".to_vec())),
        "a number is not in its shortest form"
    );
}

#[test]
fn limits_are_kept() {
    let bytes = all().to_bytes();
    let few = Limits { entries: 8, ..Limits::default() };
    assert!(matches!(Snapshot::parse(&bytes, &few), Err(Error::SnapshotLimit { limit: 8, .. })));
    let flat = Limits { depth: 1, ..Limits::default() };
    assert!(matches!(Snapshot::parse(&bytes, &flat), Err(Error::SnapshotLimit { limit: 1, .. })));
    let many = proven([b"orlop snapshot 1\nek\0\0\0\x09".as_slice(), &[0; 9]].concat());
    assert!(matches!(Snapshot::parse(&many, &few), Err(Error::SnapshotLimit { limit: 8, .. })));
    let bare = Limits { xattrs: 0, ..Limits::default() };
    assert!(matches!(Snapshot::parse(&bytes, &bare), Err(Error::SnapshotLimit { limit: 0, .. })));
}
