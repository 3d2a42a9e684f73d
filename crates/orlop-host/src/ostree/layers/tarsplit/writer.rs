//! The other way: a layer is taken apart into objects and such a list.

use super::{FILE, SEGMENT};
use crate::error::Error as HostError;
use crate::ostree::layers::LayersError;
use crate::ostree::layers::recipe::Filing;
use orlop_layer::codec::{Blocks, Codec};
use orlop_layer::list::Intake as _;
use orlop_layer::path::printable;
use orlop_layer::tree::{InodeKind, Tree};
use orlop_layer::{Entry, Error, Kind, TreePath, Visit};
use orlop_spec::port::Result;
use orlop_spec::{Fault, base64};
use serde_json::{Value, json};
use std::io::Write as _;

/// Bytes of a segment after which another one begins.
const LONG: usize = 1 << 20;

type Seen = std::result::Result<(), Error>;

/// Writes the list while a layer is decoded, and hands contents on.
pub(in crate::ostree::layers) struct Splitting<'t> {
    filing: Filing<'t>,
    list: Blocks<Vec<u8>>,
    segment: Vec<u8>,
    position: u64,
    /// What came last, and is not in the list yet.
    last: Option<Last>,
    /// Where each content was in the tar.
    paths: Vec<(u32, TreePath)>,
}

struct Last {
    path: TreePath,
    is_folder: bool,
    size: u64,
    left: u64,
    crc: Crc,
}

impl<'t> Splitting<'t> {
    pub(in crate::ostree::layers) fn new(filing: Filing<'t>) -> Self {
        let list = Blocks::new(Codec::GZIP, Vec::new());
        Self { filing, list, segment: Vec::new(), position: 0, last: None, paths: Vec::new() }
    }

    /// The list, compressed; contents; and where they were.
    pub(in crate::ostree::layers) fn into_parts(mut self) -> Result<(Vec<u8>, Filing<'t>, Paths)> {
        self.end_last()?;
        self.end_segment()?;
        let list = self.list.finish().map_err(|error| Fault::io("write the list of a layer", error))?;
        Ok((list, self.filing, Paths(self.paths)))
    }

    fn put(&mut self, mut line: Value) -> Seen {
        line["position"] = self.position.into();
        self.position += 1;
        writeln!(self.list, "{line}").map_err(Error::Write)
    }

    fn end_segment(&mut self) -> Seen {
        if self.segment.is_empty() {
            return Ok(());
        }
        let payload = base64::encode(&self.segment);
        self.segment.clear();
        self.put(json!({ "type": SEGMENT, "payload": payload }))
    }

    /// Writes what came last down, behind its header.
    fn end_last(&mut self) -> Seen {
        let Some(Last { path, is_folder, size, crc, .. }) = self.last.take() else { return Ok(()) };
        self.end_segment()?;
        let payload =
            if size == 0 { Value::Null } else { base64::encode(&crc.finish().to_be_bytes()).into() };
        let mut line = json!({ "type": FILE, "payload": payload });
        let slash: &[u8] = if is_folder { b"/" } else { b"" };
        match String::from_utf8([path.as_bytes(), slash].concat()) {
            Ok(name) => line["name"] = name.into(),
            Err(name) => line["name_raw"] = base64::encode(name.as_bytes()).into(),
        }
        if size > 0 {
            line["size"] = size.into();
        }
        self.put(line)
    }
}

impl Visit for Splitting<'_> {
    fn entry(&mut self, ordinal: u32, _: u64, entry: &Entry) -> Seen {
        self.end_last()?;
        let (is_folder, size) = match entry.kind {
            Kind::File { size } => (false, size),
            _ => (matches!(entry.kind, Kind::Directory), 0),
        };
        if size > 0 {
            self.paths.push((ordinal, entry.path.clone()));
        }
        if matches!(entry.kind, Kind::File { .. }) {
            self.filing.begin(ordinal, entry).map_err(failed)?;
        }
        self.last = Some(Last { path: entry.path.clone(), is_folder, size, left: size, crc: Crc::new() });
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Seen {
        // The header stands before the first byte.
        self.end_segment()?;
        let last = self.last.as_mut().expect("the entry came before");
        last.crc.update(bytes);
        last.left = last.left.saturating_sub(bytes.len() as u64);
        let is_whole = last.left == 0;
        self.filing.data(bytes).map_err(failed)?;
        if is_whole {
            self.filing.end().map_err(failed)?;
            self.end_last()?;
        }
        Ok(())
    }

    /// The form knows no holes.
    fn hole(&mut self, _: u64) -> Seen {
        let last = self.last.as_ref().expect("the entry came before");
        Err(failed(not_by_name(&last.path)))
    }

    fn end(&mut self) -> Seen {
        Ok(())
    }

    fn wants_literals(&self) -> bool {
        true
    }

    fn literal(&mut self, bytes: &[u8]) -> Seen {
        self.segment.extend_from_slice(bytes);
        if self.segment.len() >= LONG { self.end_segment() } else { Ok(()) }
    }
}

/// Where contents were in a tar, by the ordinals of their entries.
pub(in crate::ostree::layers) struct Paths(Vec<(u32, TreePath)>);

impl Paths {
    /// That every content is found in the tree by the name that the list has for it.
    pub(in crate::ostree::layers) fn check(&self, tree: &Tree) -> Result<()> {
        let is_there = |(ordinal, path): &(u32, TreePath)| {
            let found = tree.locate(path.as_bytes()).filter(|_| std::str::from_utf8(path.as_bytes()).is_ok());
            let content = found.map(|id| &tree.inode(id).kind);
            matches!(content, Some(InodeKind::File(content)) if content.ordinal == *ordinal)
        };
        match self.0.iter().find(|path| !is_there(path)) {
            Some((_, path)) => Err(not_by_name(path)),
            None => Ok(()),
        }
    }
}

fn not_by_name(path: &TreePath) -> Fault {
    let path = printable(&path.to_string()).into();
    HostError::from(LayersError::NotByName { path }).into()
}

fn failed(fault: Fault) -> Error {
    Error::Write(fault.into())
}

/// The check of a content: CRC-64 of ISO 3309, as Go's library computes it.
struct Crc(u64);

/// The remainders of all bytes.
const REMAINDERS: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut rest = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 { (rest >> 1) ^ 0xd800_0000_0000_0000 } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

impl Crc {
    fn new() -> Self {
        Self(u64::MAX)
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let index = (self.0 & 0xff) ^ u64::from(*byte);
            self.0 = REMAINDERS[usize::try_from(index).expect("a byte")] ^ (self.0 >> 8);
        }
    }

    fn finish(self) -> u64 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As tar-split wrote it down beside this content.
    #[test]
    fn contents_are_checked_as_tar_split_checks_them() {
        let mut crc = Crc::new();
        crc.update(b"content\n");
        assert_eq!(base64::encode(&crc.finish().to_be_bytes()), "DVhtgshtjDc=");
    }
}
