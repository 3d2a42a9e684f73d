//! What the writer writes, the reader reads: the same entries and contents, whatever they hold.

use orlop_layer::tar::{Reader, Writer};
use orlop_layer::{Chunk, Device, Entries, Entry, Kind, Meta, Time, TreePath};
use orlop_spec::Limits;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// An entry and the pieces of its content; `None` is a hole of one block and a half.
type Member = (Entry, Vec<Option<Vec<u8>>>);

const HOLE: usize = 768;

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => b'a'..=b'z', 1 => 1..=255u8].prop_filter("no slash", |byte| *byte != b'/');
    let length = prop_oneof![6 => 1..12usize, 1 => 90..260usize];
    length
        .prop_flat_map(move |length| prop::collection::vec(byte.clone(), length))
        .prop_filter("a plain name", |name| !name.starts_with(b".wh.") && name != b"." && name != b"..")
}

fn path() -> impl Strategy<Value = TreePath> {
    prop::collection::vec(name(), 1..5)
        .prop_map(|names| TreePath::parse(&names.join(&b'/')).expect("plain components"))
}

fn meta() -> impl Strategy<Value = Meta> {
    let id = || prop_oneof![0..3000u32, 0..u32::MAX];
    let seconds = prop_oneof![0..1i64 << 31, -(1i64 << 40)..1i64 << 40, Just(i64::MIN + 1), Just(i64::MAX)];
    let nanoseconds = prop_oneof![Just(0), 0..1_000_000_000u32];
    let part = prop_oneof!["%3D", "%25", "%", "=", "[a-z.é]{1,4}"];
    let name = prop::collection::vec(part, 1..5).prop_map(|parts| parts.concat());
    let xattrs = prop::collection::btree_map(name, prop::collection::vec(any::<u8>(), 0..300), 0..4);
    (0..0o10000u16, id(), id(), seconds, nanoseconds, xattrs).prop_map(
        |(mode, uid, gid, seconds, nanoseconds, xattrs)| {
            let full = |name: String| format!("user.{name}").into_bytes().into_boxed_slice();
            let xattrs =
                xattrs.into_iter().map(|(name, value)| (full(name), value.into_boxed_slice())).collect();
            Meta { mode, uid, gid, mtime: Time { seconds, nanoseconds }, xattrs }
        },
    )
}

fn kind() -> impl Strategy<Value = (Kind, Vec<Option<Vec<u8>>>)> {
    let piece = prop_oneof![4 => prop::collection::vec(any::<u8>(), 1..2000).prop_map(Some), 1 => Just(None)];
    let file = prop::collection::vec(piece, 0..4).prop_map(|pieces| {
        let size = pieces.iter().map(|piece| piece.as_ref().map_or(HOLE, Vec::len) as u64).sum();
        (Kind::File { size }, pieces)
    });
    let device = || (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        4 => file,
        2 => Just((Kind::Directory, vec![])),
        1 => prop::collection::vec(1..=255u8, 1..300).prop_map(|target| (Kind::Symlink { target: target.into() }, vec![])),
        1 => path().prop_map(|target| (Kind::HardLink { target }, vec![])),
        1 => device().prop_map(|device| (Kind::CharDevice(device), vec![])),
        1 => device().prop_map(|device| (Kind::BlockDevice(device), vec![])),
        1 => Just((Kind::Fifo, vec![])),
        1 => Just((Kind::Whiteout, vec![])),
        1 => Just((Kind::Opaque, vec![])),
    ]
}

/// Members in the canonical order, no path twice.
fn members() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::vec((path(), meta(), kind()), 0..12).prop_map(|list| {
        let mut sorted = BTreeMap::new();
        for (path, meta, (kind, pieces)) in list {
            let marker = matches!(kind, Kind::Whiteout | Kind::Opaque);
            let meta = if marker { Meta::default() } else { meta };
            let place: Vec<(u8, Vec<u8>)> = place(&path, &kind);
            sorted.insert(place, (Entry { path, meta, kind }, pieces));
        }
        sorted.into_values().collect()
    })
}

fn place(path: &TreePath, kind: &Kind) -> Vec<(u8, Vec<u8>)> {
    let mut place: Vec<_> = path.components().map(|name| (2, name.to_vec())).collect();
    match kind {
        Kind::Opaque => place.push((0, Vec::new())),
        Kind::Whiteout => place.last_mut().expect("not the root").0 = 1,
        _ => {}
    }
    place
}

fn write(members: &[Member]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, pieces) in members {
        writer.entry(entry).expect("in order");
        for piece in pieces {
            match piece {
                Some(bytes) => writer.data(bytes).expect("inside the size"),
                None => writer.hole(HOLE as u64).expect("inside the size"),
            }
        }
    }
    writer.finish().expect("whole")
}

fn read(tar: &[u8], limits: &Limits) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = Reader::new(tar, limits);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry().expect("canonical") {
        let mut content = Vec::new();
        while let Some(chunk) = reader.next_chunk().expect("canonical") {
            let Chunk::Data(bytes) = chunk else { panic!("a canonical tar stores every byte") };
            content.extend_from_slice(bytes);
        }
        all.push((entry, content));
    }
    all
}

fn config() -> ProptestConfig {
    let cases = if testkit::full() { 2560 } else { 256 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_written_is_read(members in members()) {
        let tar = write(&members);
        prop_assert_eq!(tar.len() % 512, 0);
        let expected: Vec<_> = members
            .into_iter()
            .map(|(entry, pieces)| (entry, pieces.into_iter().flat_map(|piece| piece.unwrap_or(vec![0; HOLE])).collect()))
            .collect();
        prop_assert_eq!(read(&tar, &Limits::default()), expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut tar in members().prop_map(|members| write(&members)), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        for (at, byte) in flips {
            let at = at.index(tar.len());
            tar[at] = byte;
        }
        let mut reader = Reader::new(&tar[..], &Limits::default());
        while let Ok(Some(entry)) = reader.next_entry() {
            if let Kind::File { size } = entry.kind {
                let mut seen = 0;
                while let Ok(Some(chunk)) = reader.next_chunk() {
                    seen += match chunk { Chunk::Data(bytes) => bytes.len() as u64, Chunk::Hole(length) => length };
                }
                prop_assert!(seen <= size);
            }
        }
    }
}
