//! Getting at an archive, whatever it comes in.

use orlop_fs::{Dir, File, FileKind};
use orlop_layer::tar::Reader;
use orlop_layer::{Entries as _, codec};
use orlop_spec::media_type::Compression;
use orlop_spec::port::Result;
use orlop_spec::{Fault, Limits};
use std::io::{self, BufReader, Cursor, Read, Seek as _, SeekFrom, Write as _};
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
        wrapping @ Compression::None => {
            codec::check(wrapping, &start[..count])?;
            Ok(Input { file, wrapping })
        }
        _ => unwrap(file, options),
    }
}

/// Bytes that tell how a stream is compressed, and whether it is a tar.
const MAGIC: usize = 512;

/// A stream, plain or compressed, as a file without a name. It is read as the tar that it must be, so that a stream
/// without an end is not kept without an end.
pub(crate) fn unwrap(mut stream: impl Read + Send, options: &Options) -> Result<Input> {
    let failed = |error| Fault::io("read the archive", error);
    let mut start = Vec::new();
    stream.by_ref().take(MAGIC as u64).read_to_end(&mut start).map_err(failed)?;
    let wrapping = codec::detect(&start);
    let plain = codec::decoder(wrapping, Cursor::new(start).chain(stream), &options.limits);
    let mut spool = options.spool()?;
    let kept = Kept { from: plain, to: &mut spool };
    let mut tar = Reader::new(BufReader::with_capacity(BUFFER, kept), &options.limits);
    while tar.next_entry()?.is_some() {}
    drop(tar);
    spool.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(Input { file: spool, wrapping })
}

/// Bytes of a buffer between the stream and the tar.
const BUFFER: usize = 256 << 10;

/// Keeps what is read.
struct Kept<'a, R> {
    from: R,
    to: &'a mut File,
}

impl<R: Read> Read for Kept<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(out)?;
        self.to.write_all(&out[..count])?;
        Ok(count)
    }
}
