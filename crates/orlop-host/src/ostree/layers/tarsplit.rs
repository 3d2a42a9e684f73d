//! Layers of the repositories that skopeo and atomic wrote: a tree of files, and beside it the tar without their contents.
//!
//! ```text
//! {"type":2,"payload":"BASE64","position":0}                              bytes as they are: headers, padding
//! {"type":1,"name":"etc/os-release","size":267,"payload":"BASE64",…}      the content of a file of the tree
//! ```
//!
//! One object of JSON follows the other, compressed with gzip; a payload of type 1 is the CRC of the content. A name that
//! is no UTF-8 is in `name_raw`, in base64.
//!
//! Invariant: what comes out has the parts that were listed, each with the size that was listed, or there is an error.
//! Whether it is the layer is proven by its diff id, by whoever reads it.

mod writer;

pub(super) use writer::Splitting;

use super::error::LayersError;
use crate::error::Error;
use orlop_layer::codec::decoder;
use orlop_spec::media_type::Compression;
use orlop_spec::port::Result;
use orlop_spec::{Fault, Limits, base64};
use serde::Deserialize;
use std::io::{self, BufRead as _, BufReader, Read};

/// Bytes of the longest entry: a segment of a tar is a few headers long.
const LONGEST: u64 = 64 << 20;

/// Opens the file of the layer's tree that a path names.
pub type Open<'a> = Box<dyn FnMut(&[u8]) -> Result<Box<dyn Read + Send + 'a>> + Send + 'a>;

/// The uncompressed bytes of a layer.
pub struct TarSplit<'a> {
    entries: BufReader<Box<dyn Read + Send + 'a>>,
    open: Open<'a>,
    at: At<'a>,
}

/// Where a reader is.
enum At<'a> {
    Between,
    /// Bytes of a segment, and how many were given.
    Segment(Vec<u8>, usize),
    /// A content, and how much is to come.
    File(Box<dyn Read + Send + 'a>, u64),
    End,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    name: String,
    #[serde(default)]
    name_raw: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    payload: Option<String>,
}

const FILE: u8 = 1;
const SEGMENT: u8 = 2;

impl<'a> TarSplit<'a> {
    /// Puts a layer together of `list`, as it was compressed, and files that `open` opens.
    pub fn new(list: impl Read + Send + 'a, limits: &Limits, open: Open<'a>) -> Self {
        let entries = BufReader::new(decoder(Compression::Gzip, list, limits));
        Self { entries, open, at: At::Between }
    }

    /// Some bytes; none where the next step is another.
    fn some(&mut self, out: &mut [u8]) -> Result<usize> {
        match &mut self.at {
            At::Between => self.next().map(|()| 0),
            At::Segment(bytes, given) => {
                let count = (&bytes[*given..]).read(out).unwrap_or(0);
                *given += count;
                if *given == bytes.len() {
                    self.at = At::Between;
                }
                Ok(count)
            }
            At::File(_, 0) => self.end_file().map(|()| 0),
            At::File(content, left) => {
                let most = usize::try_from(*left).unwrap_or(out.len()).min(out.len());
                let count = content.read(&mut out[..most]).map_err(failed)?;
                if count == 0 {
                    return Err(damaged("a file of it is shorter than it was"));
                }
                *left -= count as u64;
                Ok(count)
            }
            At::End => Ok(0),
        }
    }

    /// The content must end where it did; a repository proves its files there.
    fn end_file(&mut self) -> Result<()> {
        if let At::File(mut content, _) = std::mem::replace(&mut self.at, At::Between)
            && content.read(&mut [0]).map_err(failed)? != 0
        {
            return Err(damaged("a file of it is longer than it was"));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        let mut line = Vec::new();
        let length = (&mut self.entries).take(LONGEST).read_until(b'\n', &mut line).map_err(failed)?;
        if length as u64 == LONGEST {
            return Err(damaged("an entry of it is too long"));
        }
        if length == 0 {
            self.at = At::End;
            return Ok(());
        }
        let entry: Entry =
            serde_json::from_slice(&line).map_err(|_| damaged("an entry of it is no object"))?;
        self.at = match entry.kind {
            SEGMENT => At::Segment(entry.payload()?, 0),
            // Folders, links and devices are headers alone.
            FILE if entry.size == 0 => At::Between,
            FILE => At::File((self.open)(&entry.path()?)?, entry.size),
            _ => return Err(damaged("an entry of it is of no known type")),
        };
        Ok(())
    }
}

impl Entry {
    fn payload(&self) -> Result<Vec<u8>> {
        let payload = self.payload.as_deref().unwrap_or_default();
        base64::decode(payload).ok_or_else(|| damaged("a segment of it is no base64"))
    }

    /// Where the file is in the tree.
    fn path(&self) -> Result<Vec<u8>> {
        match self.name_raw.as_str() {
            "" => Ok(self.name.clone().into_bytes()),
            raw => base64::decode(raw).ok_or_else(|| damaged("a name of it is no base64")),
        }
    }
}

impl Read for TarSplit<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !out.is_empty() && !matches!(self.at, At::End) {
            let count = self.some(out)?;
            if count > 0 {
                return Ok(count);
            }
        }
        Ok(0)
    }
}

fn damaged(what: &'static str) -> Fault {
    Error::from(LayersError::TarSplitDamaged { what }).into()
}

fn failed(error: io::Error) -> Fault {
    Fault::io("put the layer together", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_layer::codec::{Blocks, Codec};
    use orlop_spec::Kind;
    use std::io::Write as _;

    fn put_together(entries: &str) -> std::result::Result<Vec<u8>, Kind> {
        let mut list = Blocks::new(Codec::GZIP, Vec::new());
        list.write_all(entries.as_bytes()).expect("into memory");
        let list = list.finish().expect("into memory");
        let open = |path: &[u8]| -> Result<Box<dyn Read + Send>> {
            match path {
                b"a" => Ok(Box::new(&b"content"[..])),
                b"\xff" => Ok(Box::new(&b"raw"[..])),
                _ => Err(damaged("no such file")),
            }
        };
        let mut out = Vec::new();
        let mut layer = TarSplit::new(&list[..], &Limits::default(), Box::new(open));
        match layer.read_to_end(&mut out) {
            Ok(_) => Ok(out),
            Err(error) => Err(failed(error).kind()),
        }
    }

    #[test]
    fn segments_and_files_follow_one_another() {
        let entries = concat!(
            r#"{"type":2,"payload":"PGhlYWQ+","position":0}"#,
            "\n",
            r#"{"type":1,"name":"a","size":7,"payload":"AAAAAAAAAAA=","position":1}"#,
            "\n",
            r#"{"type":1,"name":"d/","payload":null,"position":2}"#,
            "\n",
            r#"{"type":1,"name":"","name_raw":"/w==","size":3,"position":3}"#,
            "\n",
            r#"{"type":2,"payload":"PGVuZD4=","position":4}"#,
            "\n",
        );
        assert_eq!(put_together(entries), Ok(b"<head>contentraw<end>".to_vec()));
        assert_eq!(put_together(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_list_is_damage() {
        for bad in [
            r#"{"type":3,"position":0}"#,
            r#"{"type":2,"payload":"*"}"#,
            r#"{"type":1,"name":"a","size":6}"#,
            r#"{"type":1,"name":"a","size":8}"#,
            r#"{"type":1,"name":"b","size":1}"#,
            r#"{"type":1,"name_raw":"*","size":1}"#,
            "[]",
            "{",
        ] {
            assert_eq!(put_together(bad), Err(Kind::Integrity), "{bad}");
        }
    }
}
