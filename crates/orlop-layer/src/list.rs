//! A layer taken apart: literal bytes, and contents that are kept elsewhere.
//!
//! ```text
//! 0       16   which dialect: "orlop layer 1", a line feed, two zeros
//! 16      …    zstd frames of 4 MiB of records each
//! n − 32  32   sha256 of all bytes before
//!
//! blob ──► decode ──► Recorder ──┬─ literal bytes ───────► list ──┬─► Export: the layer, to the bit
//!                                └─ contents ─► Intake ─ names ┴──└─► Hollow: the layer with zeros for contents
//! ```
//!
//! Invariant: nothing of a list is understood before its sha256 was proven, and what is understood is in bounds: no
//! number of it decides how much memory is taken. The same layer has the same records, however it came in.

mod export;
mod hollow;
mod reader;
mod recorder;
mod writer;

pub use export::{Contents, Export};
pub use hollow::{Hollow, See};
pub use reader::{Blame, Input, Reader, Record};
pub use recorder::{Intake, Recorder};
pub use writer::Writer;

use orlop_spec::digest::Digest;

/// Literal bytes are cut here, so that the records do not depend on how the bytes came.
const LITERAL: usize = 64 << 10;

/// The last bytes prove the others.
const PROOF: usize = 32;

const TAG_END: u8 = 0;
const TAG_LITERAL: u8 = 1;
const TAG_SHORT: u8 = 2;
const TAG_OBJECT: u8 = 3;
/// Added where the layer holds parts of a content.
const IN_PARTS: u8 = 16;

/// Which lists these are: what their objects are named by is not the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The first bytes.
    pub start: [u8; 16],
    /// How every version begins.
    pub family: &'static str,
    /// The one version that is read and written.
    pub understood: &'static str,
    /// Contents of at most so many bytes, and at most 255, are in the list.
    pub short: usize,
}

/// A part of a content: where it begins, and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

impl Part {
    /// The bytes of a content; `None` where it is shorter.
    pub fn of(self, content: &[u8]) -> Option<&[u8]> {
        let (start, length) = (usize::try_from(self.offset).ok()?, usize::try_from(self.length).ok()?);
        content.get(start..)?.get(..length)
    }
}

/// What a content is known by where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// A sha256: of the content, or of what the place puts before it.
    pub digest: Digest,
    /// Bytes of the content.
    pub size: u64,
}

/// Where the content of a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// In the list itself.
    Short(Box<[u8]>),
    /// Among the objects.
    Object(Object),
}

impl Held {
    /// Bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Short(bytes) => bytes.len() as u64,
            Self::Object(object) => object.size,
        }
    }
}

/// Why a list is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not what was written.
    Damaged(&'static str),
    /// It is of another version, which it says.
    Version(String),
}
