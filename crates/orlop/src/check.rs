//! `build --check`: whether two readings of one input give the same layer, and if not, where they part.

use crate::spool::{Spool, Spooled};
use crate::tar_tree::gather;
use orlop_fs::File;
use orlop_layer::tree::Tree;
use orlop_layer::{Chunk, Entries, Entry, Error, Kind, Meta};
use orlop_spec::Context;
use orlop_spec::port::Result as Outcome;

/// Where two readings of one input part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parting {
    /// The entry's path, escaped.
    pub path: String,
    /// The first field, or the first byte of the content, that differs.
    pub field: String,
    /// In the first reading.
    pub first: String,
    /// In the second reading.
    pub second: String,
}

/// A reading of an input that is kept, so that a later one can be compared with it: two that are made side by side
/// show the same file at the same moment.
#[derive(Debug)]
pub struct Kept {
    tree: Tree,
    spool: Spool,
}

impl Kept {
    /// Reads everything; contents go to `spool`, which nobody else uses.
    pub fn read(cx: &Context<'_>, entries: &mut dyn Entries, spool: File) -> Outcome<Self> {
        let spool = Spool::new(spool);
        let tree = gather(cx, entries, &spool, 0)?;
        Ok(Self { tree, spool })
    }

    /// What was read.
    pub fn entries(&self) -> Spooled<'_> {
        self.spool.entries(&self.tree)
    }
}

/// Reads both streams side by side up to the first difference.
pub fn compare(first: &mut dyn Entries, second: &mut dyn Entries) -> Result<Option<Parting>, Error> {
    loop {
        let (one, other) = match (first.next_entry()?, second.next_entry()?) {
            (None, None) => return Ok(None),
            (Some(one), Some(other)) => (one, other),
            (one, other) => return Ok(Some(parting_of_paths(one.as_ref(), other.as_ref()))),
        };
        if let Some(parting) = compare_headers(&one, &other) {
            return Ok(Some(parting));
        }
        if matches!(one.kind, Kind::File { .. })
            && let Some(at) = compare_contents(first, second)?
        {
            let field = format!("byte {} of the content", at.0);
            let (first, second) = (format!("{:#04x}", at.1), format!("{:#04x}", at.2));
            return Ok(Some(Parting { path: one.path.to_string(), field, first, second }));
        }
    }
}

fn parting_of_paths(one: Option<&Entry>, other: Option<&Entry>) -> Parting {
    let path =
        |entry: Option<&Entry>| entry.map_or_else(|| "the end".to_owned(), |entry| entry.path.to_string());
    let at = one.or(other).map(|entry| entry.path.to_string()).unwrap_or_default();
    Parting { path: at, field: "path".into(), first: path(one), second: path(other) }
}

fn compare_headers(one: &Entry, other: &Entry) -> Option<Parting> {
    if one.path != other.path {
        return Some(parting_of_paths(Some(one), Some(other)));
    }
    let part = |field: &str, first: String, second: String| {
        (first != second).then(|| Parting { path: one.path.to_string(), field: field.into(), first, second })
    };
    let (a, b) = (&one.meta, &other.meta);
    part("type", format!("{:?}", one.kind), format!("{:?}", other.kind))
        .or_else(|| part("mode", format!("{:04o}", a.mode), format!("{:04o}", b.mode)))
        .or_else(|| part("uid", a.uid.to_string(), b.uid.to_string()))
        .or_else(|| part("gid", a.gid.to_string(), b.gid.to_string()))
        .or_else(|| part("mtime", time(a), time(b)))
        .or_else(|| part("xattrs", xattrs(a), xattrs(b)))
}

fn time(meta: &Meta) -> String {
    format!("{}.{:09}", meta.mtime.seconds, meta.mtime.nanoseconds)
}

fn xattrs(meta: &Meta) -> String {
    let escape = orlop_layer::path::escape;
    let pairs = meta.xattrs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join(" ")
}

/// The first byte that differs: its position, and both values. Both contents have one size.
fn compare_contents(
    first: &mut dyn Entries,
    second: &mut dyn Entries,
) -> Result<Option<(u64, u8, u8)>, Error> {
    let (mut one, mut other) = (Piece::default(), Piece::default());
    let mut at = 0;
    loop {
        let (Some(left), Some(right)) = (one.fill(first)?, other.fill(second)?) else { return Ok(None) };
        let length = left.len().min(right.len());
        if let Some(position) = (0..length).find(|position| left[*position] != right[*position]) {
            return Ok(Some((at + position as u64, left[position], right[position])));
        }
        at += length as u64;
        one.pass(length);
        other.pass(length);
    }
}

/// What is left of the last chunk; holes as zeros, a piece at a time.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    passed: usize,
    hole: u64,
}

impl Piece {
    fn fill(&mut self, entries: &mut dyn Entries) -> Result<Option<&[u8]>, Error> {
        if self.passed == self.bytes.len() {
            self.bytes.clear();
            self.passed = 0;
            if self.hole == 0 {
                match entries.next_chunk()? {
                    None => return Ok(None),
                    Some(Chunk::Data(bytes)) => self.bytes.extend_from_slice(bytes),
                    Some(Chunk::Hole(size)) => self.hole = size,
                }
            }
            let zeros = self.hole.min(1 << 16);
            self.hole -= zeros;
            self.bytes.resize(self.bytes.len() + usize::try_from(zeros).unwrap_or_default(), 0);
        }
        Ok(Some(&self.bytes[self.passed..]))
    }

    fn pass(&mut self, count: usize) {
        self.passed += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_layer::TreePath;

    /// One file in pieces.
    struct File(Vec<Result<&'static [u8], u64>>, u16, bool);

    impl Entries for File {
        fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
            if std::mem::replace(&mut self.2, true) {
                return Ok(None);
            }
            let size =
                self.0.iter().map(|piece| piece.map_or_else(|hole| hole, |bytes| bytes.len() as u64)).sum();
            let meta = Meta { mode: self.1, ..Meta::default() };
            let path = TreePath::parse(b"f").expect("plain");
            Ok(Some(Entry { path, meta, kind: Kind::File { size } }))
        }

        fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
            if self.0.is_empty() {
                return Ok(None);
            }
            Ok(Some(self.0.remove(0).map_or_else(Chunk::Hole, Chunk::Data)))
        }
    }

    fn file(pieces: &[Result<&'static [u8], u64>]) -> File {
        File(pieces.to_vec(), 0o644, false)
    }

    #[test]
    fn pieces_and_holes_do_not_matter() {
        let parting =
            compare(&mut file(&[Ok(b"ab\0"), Ok(b"\0c")]), &mut file(&[Ok(b"ab"), Err(2), Ok(b"c")]));
        assert_eq!(parting.expect("readable"), None);
    }

    #[test]
    fn the_first_byte_and_the_first_field_are_named() {
        let parting = compare(&mut file(&[Ok(b"abc")]), &mut file(&[Ok(b"a"), Ok(b"bd")])).expect("readable");
        assert_eq!(parting.expect("they differ").field, "byte 2 of the content");
        let parting = compare(&mut file(&[]), &mut File(Vec::new(), 0o600, false)).expect("readable");
        assert_eq!(parting.expect("they differ").field, "mode");
    }
}
