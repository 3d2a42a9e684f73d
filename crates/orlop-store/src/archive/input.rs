//! Getting at an archive, whatever it comes in.

use orlop_fs::{Dir, File, FileKind};
use orlop_layer::codec;
use orlop_spec::media_type::Compression;
use orlop_spec::port::Result;
use orlop_spec::{Fault, Limits};
use std::io::{self, Cursor, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// What archives are opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder for files without names: streams and compressed archives are unwrapped there, and blobs wait
    /// there whose digest is not known yet.
    pub tmpdir: PathBuf,
    /// What an archive may cost.
    pub limits: Limits,
}

impl Options {
    pub(super) fn spool(&self) -> Result<File> {
        Ok(Dir::open(&self.tmpdir)?.spool()?)
    }
}

/// An archive as a file in which one can seek.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) file: File,
    /// What it came in.
    pub(crate) wrapping: Compression,
}

/// Opens what is at a path.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Input> {
    let file = File::open(path)?;
    if file.stat()?.kind != FileKind::File {
        return unwrap(file, options);
    }
    let mut start = [0; MAGIC];
    let count = file.read_at(&mut start, 0)?;
    match codec::detect(&start[..count]) {
        wrapping @ Compression::None => Ok(Input { file, wrapping }),
        _ => unwrap(file, options),
    }
}

/// Bytes that tell how a stream is compressed.
const MAGIC: usize = 4;

/// A stream, plain or compressed, as a file without a name.
pub(crate) fn unwrap(mut stream: impl Read + Send, options: &Options) -> Result<Input> {
    let failed = |error| Fault::io("read the archive", error);
    let mut start = Vec::new();
    stream.by_ref().take(MAGIC as u64).read_to_end(&mut start).map_err(failed)?;
    let wrapping = codec::detect(&start);
    let mut plain = codec::decoder(wrapping, Cursor::new(start).chain(stream), &options.limits);
    let mut spool = options.spool()?;
    io::copy(&mut plain, &mut spool).map_err(failed)?;
    spool.seek(SeekFrom::Start(0)).map_err(failed)?;
    drop(plain);
    Ok(Input { file: spool, wrapping })
}
