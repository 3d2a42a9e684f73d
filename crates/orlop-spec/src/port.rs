//! The ports: what a place that holds images must be able to do, whatever it is.
//!
//! ```text
//! Source ──resolve──► Descriptor ──origin──► Origin ──open──► bytes ──► Verified ──► Sink::put
//!                                                                        Draft  ──► Sink::begin
//! ```
//!
//! Laws, checked by one conformance suite on every implementation:
//! - children go before parents; [`Sink::finish`] comes once and last, and is atomic: before it, nobody sees
//!   a new name; dropping a sink or a writer aborts it and leaves nothing visible;
//! - a sink never stores a blob that is not what its descriptor says;
//! - a source gives the bytes that it has; whoever reads them proves them;
//! - who says what names led to when it read them ([`Seen`]) overwrites nobody's change: a place that cannot hold its names
//!   while it looks says how far it can.

mod seen;

pub use seen::{Overtaken, Seen, check, check_whole};

use crate::descriptor::Descriptor;
use crate::diagnose::Fault;
use crate::digest::{Algorithm, AnyDigest, DiffId, Digest};
use crate::media_type::Compression;
use crate::wire::Site;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A result of a port.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// Which image of a place is meant.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Selector {
    /// The only one; an error that lists the names where there are several.
    #[default]
    Only,
    /// By tag; in a Docker archive by `NAME:TAG`.
    Tag(Box<str>),
    /// The N-th of the list, from 0.
    At(usize),
    /// By digest.
    Digest(AnyDigest),
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => out.write_str("(the only image)"),
            Self::Tag(tag) => out.write_str(tag),
            Self::At(position) => write!(out, "@{position}"),
            Self::Digest(digest) => write!(out, "@{digest}"),
        }
    }
}

/// Under which name an image is published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// Reachable by digest or position only.
    Untagged,
    /// By tag.
    Tag(Box<str>),
}

impl Name {
    /// The tag, where there is one.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Untagged => None,
            Self::Tag(tag) => Some(tag),
        }
    }
}

/// A place that images come from.
pub trait Source: Send + Sync {
    /// The root of an image: a manifest or an index. More than one only where several entries bear one tag and
    /// differ in platform; never none. Roots that are equal count once.
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>>;

    /// Access to a blob's bytes. Costs little: that the blob is missing may show only when it is opened.
    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>>;

    /// An error where the place has what a blob holds, but cannot hand it out as it was named. Asked before anything moves.
    fn gives(&self, blob: &Descriptor) -> Result<()> {
        let _ = blob;
        Ok(())
    }

    /// A layer without its compression, where the place has it so: then nobody needs to decompress the blob.
    fn unpacked(&self, layer: &Descriptor) -> Result<Option<Box<dyn Unpacked + '_>>> {
        let _ = layer;
        Ok(None)
    }

    /// Whether the bytes come over a network, where most of the time is waiting: then more blobs move at once than
    /// there are workers.
    fn is_far(&self) -> bool {
        false
    }
}

/// A layer that a place has without its compression, and whose contents it keeps by themselves.
pub trait Unpacked: Send + Sync {
    /// What the uncompressed bytes hash to.
    fn diff_id(&self) -> DiffId;

    /// The uncompressed bytes. Whoever reads them proves them.
    fn open(&self) -> Result<Box<dyn Read + Send + '_>>;

    /// The same with zeros in the place of contents, which are not read for it; so it tells what the layer means, and is
    /// proven by the place. Where the content of the `n`th entry is, from 0, is told to `see` on the way, in their order.
    fn outline<'a>(&'a self, see: See<'a>) -> Result<Box<dyn BufRead + 'a>>;

    /// Whether contents are kept by themselves, so that [`Self::outline`] tells where each is. Else only
    /// [`Self::open`] gives them.
    fn has_contents(&self) -> bool {
        true
    }

    /// A content that the place keeps as a file. Whoever reads it proves it.
    fn content(&self, digest: &Digest, size: u64) -> Result<LocalFile>;
}

/// Is told of the content of an entry.
pub type See<'a> = &'a mut dyn FnMut(u32, Kept<'_>) -> Result<()>;

/// Where a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept<'a> {
    /// Here.
    Bytes(&'a [u8]),
    /// In a file, by its digest.
    File(Digest),
}

/// A source that can list what it holds.
pub trait Catalog: Source {
    /// All entries in the order of the place, tagged or not; unknown media types included.
    fn names(&self) -> Result<Vec<(Name, Descriptor)>>;

    /// The document that lists the entries, as it stands: it may hold more than [`Self::names`] can tell, such as an
    /// entry that is no descriptor. Nothing where the place keeps none.
    fn listing(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Why entries of that document are not among the entries: each that cannot be read, in its order.
    fn unreadable(&self) -> Result<Vec<Fault>> {
        Ok(Vec::new())
    }

    /// The same entries, without the descriptors where telling them costs a question each.
    fn list(&self) -> Result<Vec<(Name, Option<Descriptor>)>> {
        Ok(self.names()?.into_iter().map(|(name, root)| (name, Some(root))).collect())
    }

    /// The spelling in which the place lists a name: some know a short form as well.
    fn spelled(&self, name: &Name) -> Result<Name> {
        Ok(name.clone())
    }

    /// Descriptors of manifests whose subject is `digest`.
    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>>;

    /// The name under which the place has the image that `selector` names: its tag, else the first in the list.
    fn name_of(&self, selector: &Selector) -> Result<Name> {
        if let Selector::Tag(tag) = selector {
            return Ok(Name::Tag(tag.clone()));
        }
        let roots = self.resolve(selector)?;
        let is_it = |entry: &Descriptor| roots.iter().any(|root| root.digest == entry.digest);
        let named = self.names()?.into_iter().find(|(name, entry)| name.tag().is_some() && is_it(entry));
        Ok(named.map_or(Name::Untagged, |(name, _)| name))
    }
}

/// A blob's bytes, not proven yet.
pub trait Origin: Send + Sync {
    /// Reads from byte `at` on; may be called again, which is how a transfer is retried and resumed.
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>>;

    /// Gives the bytes from `at` on to `take`, in order and in pieces, until it has enough. For who takes them all and
    /// hands none on: an origin that is far may have several parts of itself fetched at once.
    fn pour(&self, at: u64, take: Take<'_>) -> Result<()> {
        drain(&mut *self.open(at)?, take)
    }

    /// The bytes as part of a local file, for reflink, link and `copy_file_range`.
    fn local(&self) -> Option<LocalFile> {
        None
    }

    /// An error where the transfer is to stop. Who takes bytes without reading them from [`Self::open`], or works on
    /// what it has, asks once per buffer.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether the bytes come over a network: then those that came are worth keeping when it breaks off.
    fn is_far(&self) -> bool {
        false
    }

    /// Repositories of registries that should hold the blob, so that another one there may mount it.
    fn lenders(&self) -> Vec<Lender> {
        Vec::new()
    }
}

/// Takes bytes, and says whether it has enough.
pub type Take<'t> = &'t mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>>;

/// Gives what a reader has to `take`, until it has enough.
pub fn drain(read: &mut dyn Read, take: Take<'_>) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match read.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                if take(&buffer[..count])?.is_break() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::io("read a blob", error)),
        }
    }
}

/// A repository of a registry that should hold a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lender {
    /// The registry.
    pub site: Site,
    /// Name of the repository there.
    pub repository: Box<str>,
}

/// A range of an open file.
#[derive(Debug)]
pub struct LocalFile {
    /// The file, open for reading.
    pub file: OwnedFd,
    /// First byte.
    pub at: u64,
    /// Bytes.
    pub size: u64,
    /// Whether the range is the whole file, so that the file itself may be linked.
    pub whole: bool,
}

/// How a sink may take bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Transfer {
    /// Reflink where the file system can, else copy.
    #[default]
    Copy,
    /// Hard link where both are on one file system, else as `Copy`.
    Link,
}

/// What the caller knows about a blob beyond its descriptor.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// How bytes may be taken.
    pub transfer: Transfer,
    /// By which algorithm a blob that is begun will be named; another one costs a second pass.
    pub algorithm: Algorithm,
    /// Which compressor of ours writes a blob that is begun: a place that makes blobs again need not find out.
    pub made_by: Option<MadeBy>,
}

/// A compressor of this program, in the form that it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MadeBy {
    /// What it writes.
    pub compression: Compression,
    /// How hard it tries; 0 where nothing is compressed.
    pub level: u8,
}

/// What a sink did with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Put {
    /// It was there already.
    Held,
    /// A registry mounted it from another repository.
    Mounted,
    /// Reflinked or hard-linked; the content was proven.
    Linked,
    /// Bytes were moved and proven.
    Copied,
}

/// What an image is called at a place, where nobody said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unnamed {
    /// As where it comes from.
    #[default]
    AsBefore,
    /// Nothing: the place has no names.
    Nothing,
    /// As where it comes from, host and repository included: the place is for images of all of them.
    InFull,
}

/// A place that images go to.
pub trait Sink: Send + Sync {
    /// Takes a blob whose digest is known. Every byte is proven on its way, linked or copied.
    fn put(&self, blob: &Descriptor, origin: &dyn Origin, hints: &Hints) -> Result<Put>;

    /// Whether the place has `root` under `name` already, whole as far as `depth` asks: then nothing needs to be read
    /// from a source. A place that answers a `put` at once for what it has need not know.
    fn has(&self, name: &Name, root: &Descriptor, depth: Depth) -> Result<bool> {
        let _ = (name, root, depth);
        Ok(false)
    }

    /// Begins a blob whose digest is known only at its end.
    fn begin(&self, hints: &Hints) -> Result<Box<dyn BlobWriter + '_>>;

    /// What [`Sink::put`] would do with the blob, as far as can be told without moving or proving bytes.
    fn foresee(&self, _blob: &Descriptor) -> Result<Put> {
        Ok(Put::Copied)
    }

    /// What an image is called here, where nobody said.
    fn unnamed(&self) -> Unnamed {
        Unnamed::AsBefore
    }

    /// What becomes of what the place held before.
    fn rest(&self) -> Rest {
        Rest::Stays
    }

    /// How many blobs the sink takes at once; 1 where the order of arrival decides its bytes.
    fn lanes(&self) -> usize {
        usize::MAX
    }

    /// Whether layers are taken apart as they come, so that the limits of what they may cost hold for them.
    fn opens_layers(&self) -> bool {
        false
    }

    /// Whether the bytes go over a network, as for a source. Such a sink tells how they move itself, by a
    /// [`Course`](crate::Course): what it reads need not be what it sends.
    fn is_far(&self) -> bool {
        false
    }

    /// Why other programs would not find `root` by this name in such a place, where that is known: said of the name, and what to
    /// do about it.
    fn overlooked(&self, _name: &Name, _root: &Descriptor) -> Option<&'static str> {
        None
    }

    /// Publishes `roots`; once, last, atomic.
    fn finish(self: Box<Self>, roots: &[(Name, Descriptor)]) -> Result<()> {
        self.finish_if(roots, &[])
    }

    /// The same, if every name in `seen` still leads to what it led to. A place that is written anew as a whole
    /// ([`Rest::Goes`]) must be told everything that was read of it: what came meanwhile would be lost.
    ///
    /// # Errors
    /// [`Overtaken`], and nothing is published.
    fn finish_if(self: Box<Self>, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()>;
}

/// What becomes of images that a place held, when a sink is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rest {
    /// They stay, unless their name was given to another one.
    #[default]
    Stays,
    /// They go: the place is written anew.
    Goes,
}

/// How far a place looks before it says that it has an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Depth {
    /// At the root, and at the manifests of an index.
    #[default]
    Manifests,
    /// At the root alone.
    Root,
}

/// A blob that is being written. Dropping it aborts.
pub trait BlobWriter: Write + Send {
    /// Ends the blob; it must be what `blob` says.
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<()>;
}

/// Makes files without a name, for what must be known whole before it can be sent.
pub trait Spools: Send + Sync {
    /// An empty file, gone when it is dropped.
    fn spool(&self) -> Result<Box<dyn Spool>>;
}

/// A file without a name: written from its beginning to its end, then read anywhere.
pub trait Spool: Write + Send + Sync {
    /// Reads at a position; fewer bytes than the buffer takes only at the end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

/// A place whose names can be moved and removed.
pub trait Keeper: Catalog {
    /// Makes `name` point at `root`, which the place already holds.
    fn assign(&self, name: &Name, root: &Descriptor) -> Result<()>;

    /// Removes the entries that `selector` names; blobs stay until the next sweep.
    fn forget(&self, selector: &Selector) -> Result<Vec<Descriptor>>;

    /// Removes blobs that no name reaches and that are older than `grace`.
    fn sweep(&self, grace: Duration, mode: Sweep) -> Result<Swept>;
}

/// Whether a sweep removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Sweep {
    /// It does.
    #[default]
    Remove,
    /// It only tells.
    DryRun,
}

/// What a sweep found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs removed, or that would be.
    pub removed: Vec<(AnyDigest, u64)>,
    /// Blobs that are reached by no name but too young.
    pub young: usize,
    /// Other files removed: what a killed writer left behind.
    pub litter: usize,
    /// What else was removed, or would be, and is too much to be listed.
    pub heaps: Vec<Heap>,
}

/// Things of one kind that are counted, not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heap {
    /// What they are, in the plural.
    pub what: &'static str,
    /// How many.
    pub count: usize,
    /// Bytes of all.
    pub bytes: u64,
}

impl Heap {
    /// None yet.
    pub fn new(what: &'static str) -> Self {
        Self { what, count: 0, bytes: 0 }
    }
}

/// Things of so many bytes each.
impl Extend<u64> for Heap {
    fn extend<T: IntoIterator<Item = u64>>(&mut self, sizes: T) {
        for bytes in sizes {
            self.count += 1;
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

/// Bytes in memory are an origin.
impl Origin for [u8] {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.len());
        Ok(Box::new(&self[at..]))
    }
}

/// Bytes in memory are an origin.
impl Origin for Vec<u8> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.as_slice().open(at)
    }
}
