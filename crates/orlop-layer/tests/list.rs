//! Layers taken apart and put together again, with contents in memory.

use orlop_layer::list::{
    Contents, Dialect, Export, Held, Hollow, Input, Intake, Object, Part, Reader, Record, Recorder, Writer,
    Wrong,
};
use orlop_layer::{Budget, Decode, Entry, Stages, Tree, Verified, decode};
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::media_type::{Compression, MediaType, OCI_LAYER};
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Descriptor, Fault, Limits};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Read;
use std::rc::Rc;
use testkit::tarball::{Member, tar};

const SHORT: Dialect =
    Dialect { start: *b"a list for tests", family: "a list", understood: "a list for tests", short: 64 };
const NEVER_SHORT: Dialect = Dialect { short: 0, ..SHORT };

#[derive(Default)]
struct Memory {
    objects: HashMap<Digest, Vec<u8>>,
    incoming: Vec<u8>,
    short: usize,
}

impl Intake for &mut Memory {
    fn begin(&mut self, _: u32, _: &Entry) -> Result<()> {
        self.incoming.clear();
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.incoming.extend_from_slice(bytes);
        Ok(())
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        let length = usize::try_from(length).expect("a short hole");
        self.incoming.resize(self.incoming.len() + length, 0);
        Ok(())
    }

    fn end(&mut self) -> Result<Held> {
        let content = std::mem::take(&mut self.incoming);
        if content.len() <= self.short {
            return Ok(Held::Short(content.into()));
        }
        let object = Object { digest: Digest::of(Algorithm::Sha256, &content), size: content.len() as u64 };
        self.objects.insert(object.digest, content);
        Ok(Held::Object(object))
    }
}

impl Contents for Memory {
    fn open<'s>(&'s self, object: &Object) -> Result<Box<dyn Read + Send + 's>> {
        Ok(Box::new(&self.objects[&object.digest][..]))
    }
}

struct Bytes(Vec<u8>);

impl Input for Bytes {
    fn size(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn open(&self) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(std::io::Cursor::new(self.0.clone())))
    }
}

/// What a reader blames a list for, kept where the test can see it.
fn open(bytes: &[u8], dialect: &Dialect) -> std::result::Result<Reader, Wrong> {
    let said = std::sync::Arc::new(std::sync::Mutex::new(None));
    let told = said.clone();
    let blame = move |wrong| {
        *told.lock().expect("no holder panics") = Some(wrong);
        Fault::new(orlop_spec::Cancelled)
    };
    let opened = Reader::open(&Bytes(bytes.to_vec()), dialect, Box::new(blame));
    opened.map_err(|_| said.lock().expect("no holder panics").take().expect("it was blamed"))
}

fn layer() -> Vec<u8> {
    let files = [("d/empty", 0), ("d/short", 3), ("d/sixty-four", 64), ("d/long", 65), ("d/big", 300_000)];
    let content = |length: u32| (0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>();
    let files = files.map(|(name, length)| Member::file(name, content(length)));
    tar([Member::folder("d")].into_iter().chain(files))
}

fn taken_apart(layer: &[u8], dialect: &Dialect) -> (Memory, Vec<u8>, DiffId, Tree) {
    let mut memory = Memory { short: dialect.short, ..Memory::default() };
    let digest = Digest::of(Algorithm::Sha256, layer);
    let blob = Descriptor::new(MediaType::new(OCI_LAYER), digest, layer.len() as u64);
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let how = Decode {
        compression: Compression::None,
        expected: None,
        layer: 0,
        limits: &limits,
        budget: &Budget::new(limits.size),
        cancel: &cancel,
        stages: Stages::One,
        progress: &|_| (),
    };
    let list = Writer::new(Vec::new(), dialect).expect("into memory");
    let mut recorder = Recorder::new(list, &mut memory);
    let decoded =
        decode(&mut Verified::new(layer, &blob).expect("known"), &how, &mut recorder).expect("a layer");
    let (list, _) = recorder.into_parts();
    let list = list.finish(decoded.size, &decoded.diff_id).expect("into memory");
    (memory, list, decoded.diff_id, decoded.tree)
}

#[test]
fn a_layer_comes_back_to_the_bit_in_every_dialect() {
    let layer = layer();
    for dialect in [SHORT, NEVER_SHORT] {
        let (memory, list, diff_id, _) = taken_apart(&layer, &dialect);
        assert_eq!(memory.objects.len(), if dialect.short == 0 { 4 } else { 2 });
        let cancel = Cancel::new();
        let mut export = Export::new(&memory, open(&list, &dialect).expect("whole"), diff_id, &cancel);
        let mut out = Vec::new();
        export.read_to_end(&mut out).expect("whole");
        assert!(out == layer, "dialect {}", dialect.short);
    }
}

#[test]
fn the_tree_of_a_list_is_the_tree_of_the_layer() {
    let layer = layer();
    let (memory, list, diff_id, tree) = taken_apart(&layer, &NEVER_SHORT);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let see = |ordinal: u32, held: &Held| {
        seen.borrow_mut().push((ordinal, held.size()));
        Ok(())
    };
    let hollow = Hollow::new(open(&list, &NEVER_SHORT).expect("whole"), diff_id, Box::new(see));
    let told = decode::tree(hollow, 0, &Limits::default()).expect("a layer");
    let paths =
        |tree: &Tree| tree.walk().map(|(path, id)| (path.to_string(), tree.inode(id).kind.clone())).collect();
    let (told, whole): (Vec<_>, Vec<_>) = (paths(&told), paths(&tree));
    assert_eq!(told, whole);
    assert_eq!(*seen.borrow(), [(2, 3), (3, 64), (4, 65), (5, 300_000)]);
    assert_eq!(memory.objects.len(), 4);
}

#[test]
fn a_content_that_ends_early_or_goes_on_is_no_content() {
    let layer = layer();
    for by in [-1_isize, 1] {
        let (mut memory, list, diff_id, _) = taken_apart(&layer, &SHORT);
        for content in memory.objects.values_mut() {
            content.resize(content.len().saturating_add_signed(by), 0);
        }
        let cancel = Cancel::new();
        let mut export = Export::new(&memory, open(&list, &SHORT).expect("whole"), diff_id, &cancel);
        export.read_to_end(&mut Vec::new()).expect_err("another content");
    }
}

#[test]
fn no_flipped_or_missing_byte_of_a_list_is_believed() {
    let (_, list, _, _) = taken_apart(&layer(), &SHORT);
    for at in 0..list.len() {
        let mut other = list.clone();
        other[at] ^= 1;
        assert!(matches!(open(&other, &SHORT), Err(Wrong::Damaged(_))), "byte {at}");
        assert!(matches!(open(&list[..at], &SHORT), Err(Wrong::Damaged(_))), "cut at {at}");
    }
    assert!(matches!(open(&[&list[..], &[0]].concat(), &SHORT), Err(Wrong::Damaged(_))), "one more");
}

#[test]
fn another_version_is_told_from_damage() {
    let (_, list, _, _) = taken_apart(&layer(), &SHORT);
    let newer = Dialect { start: *b"a list of morrow", ..SHORT };
    assert_eq!(open(&list, &newer).err(), Some(Wrong::Version("a list for tests".into())));
    let foreign = Dialect { start: *b"something else\0\0", family: "something", ..SHORT };
    assert_eq!(open(&list, &foreign).err(), Some(Wrong::Damaged("it does not begin as one")));
}

#[test]
fn short_contents_are_in_the_list_and_no_others() {
    let digest = Digest::of(Algorithm::Sha256, b"");
    let mut list = Writer::new(Vec::new(), &NEVER_SHORT).expect("into memory");
    list.content(0, &Held::Short([1].into()), None).expect_err("this dialect has none");
    let object = |size| Held::Object(Object { digest, size });
    let mut list = Writer::new(Vec::new(), &SHORT).expect("into memory");
    list.content(0, &object(64), None).expect("into memory");
    let list = list.finish(64, &DiffId(digest)).expect("into memory");
    open(&list, &SHORT).expect("proven").record().expect_err("64 bytes are short");
    let record = open(&list, &NEVER_SHORT).expect("proven").record().expect("an object");
    assert_eq!(record, Record::Content { ordinal: 0, held: object(64), parts: None });
}

#[test]
fn parts_ascend_within_their_content() {
    let digest = Digest::of(Algorithm::Sha256, b"");
    let held = Held::Object(Object { digest, size: 100 });
    let part = |offset, length| Part { offset, length };
    let cases = [
        (vec![part(0, 10), part(10, 90)], true),
        (vec![part(50, 50)], true),
        (vec![part(50, 51)], false),
        (vec![part(10, 10), part(0, 10)], false),
        (vec![part(10, 0)], false),
        (vec![part(u64::MAX, 2)], false),
    ];
    for (parts, is_lawful) in cases {
        let mut list = Writer::new(Vec::new(), &SHORT).expect("into memory");
        list.content(7, &held, Some(&parts)).expect("into memory");
        let list = list.finish(0, &DiffId(digest)).expect("into memory");
        let mut reader = open(&list, &SHORT).expect("proven");
        reader.record().expect("a content");
        let read: Result<Vec<Part>> = parts.iter().map(|_| reader.part()).collect();
        assert_eq!(read.ok(), is_lawful.then_some(parts));
    }
}
