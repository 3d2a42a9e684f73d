//! The recorded archives, and a way to read them.

use orlop_layer::tar::Reader;
use orlop_layer::{Chunk, Entries, Entry, Error, codec};
use orlop_spec::Limits;
use orlop_spec::media_type::Compression;
use std::fs;
use std::io::Read;
use std::path::Path;

/// A file of `tests/archives`; archives are packed by gzip.
pub(crate) fn recorded(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives");
    let bytes = fs::read(folder.join(name)).expect("a recorded file");
    if !bytes.starts_with(b"\x1f\x8b") {
        return bytes;
    }
    let mut tar = Vec::new();
    codec::decoder(Compression::Gzip, &bytes[..], &Limits::default())
        .read_to_end(&mut tar)
        .expect("packed by gzip");
    tar
}

/// A file of `tests/archives` that is text.
pub(crate) fn text(name: &str) -> String {
    String::from_utf8(recorded(name)).expect("text")
}

/// Every entry with its content.
pub(crate) fn read(tar: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, Error> {
    let mut reader = Reader::new(tar, &Limits { size: 1 << 24, ..Limits::default() });
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        while let Some(chunk) = reader.next_chunk()? {
            match chunk {
                Chunk::Data(bytes) => content.extend_from_slice(bytes),
                Chunk::Hole(length) => {
                    content.resize(content.len() + usize::try_from(length).expect("limited"), 0);
                }
            }
        }
        all.push((entry, content));
    }
    Ok(all)
}

/// Bytes from hex digits.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hex");
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("a byte");
    text.as_bytes().chunks(2).map(byte).collect()
}
