//! Getting at an archive, whatever it comes in.

use orlop_fs::{Dir, File, FileKind};
use orlop_layer::tar::Reader;
use orlop_layer::{Entries as _, codec};
use orlop_spec::media_type::Compression;
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Fault, Limits};
use std::io::{self, BufReader, BufWriter, Cursor, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// What archives are opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder for files without names: streams and compressed archives are unwrapped there, and blobs wait
    /// there whose digest is not known yet.
    pub tmpdir: PathBuf,
    /// What an archive may cost.
    pub limits: Limits,
    /// Set when the user wants to stop; looked at once for each buffer.
    pub cancel: Option<&'static Cancel>,
}

impl Options {
    pub(super) fn spool(&self) -> Result<File> {
        Ok(Dir::open(&self.tmpdir)?.spool()?)
    }

    /// What the user sets to stop.
    pub(super) fn cancel(&self) -> &'static Cancel {
        static NEVER: Cancel = Cancel::new();
        self.cancel.unwrap_or(&NEVER)
    }

    /// The same bytes, until the user wants to stop.
    pub(super) fn watched<R>(&self, read: R) -> Watched<R> {
        Watched { read, cancel: self.cancel() }
    }
}

/// Bytes that end with an error when the user wants to stop.
pub(super) struct Watched<R> {
    read: R,
    cancel: &'static Cancel,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(Fault::from)?;
        self.read.read(out)
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
    of(File::open(path)?, options)
}

/// What an open file is.
pub(super) fn of(file: File, options: &Options) -> Result<Input> {
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
    let mut spool = BufWriter::with_capacity(BUFFER, options.spool()?);
    let kept = Kept { from: options.watched(plain), to: &mut spool };
    let mut tar = Reader::new(BufReader::with_capacity(BUFFER, kept), &options.limits);
    while tar.next_entry().map_err(of_archive)?.is_some() {}
    drop(tar);
    spool.flush().map_err(not_kept)?;
    spool.seek(SeekFrom::Start(0)).map_err(failed)?;
    let file = spool.into_inner().map_err(|error| not_kept(error.into_error()))?;
    Ok(Input { file, wrapping })
}

/// Bytes of a buffer on the way from the stream to the tar, and to the file.
const BUFFER: usize = 256 << 10;

/// Keeps what is read.
struct Kept<'a, R> {
    from: R,
    to: &'a mut BufWriter<File>,
}

impl<R: Read> Read for Kept<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(out)?;
        self.to.write_all(&out[..count]).map_err(not_kept)?;
        Ok(count)
    }
}

/// An archive is no layer.
fn of_archive(error: orlop_layer::Error) -> Fault {
    match error {
        orlop_layer::Error::Read(error) => Fault::io("read the archive", error),
        error => error.into(),
    }
}

fn not_kept(error: io::Error) -> Fault {
    Fault::io("keep the archive in a temporary file", error)
}
