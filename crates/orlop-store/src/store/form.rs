//! What a layer's blob is: which layer it holds, and how its bytes come back.
//!
//! ```text
//! forms/ALGORITHM/HEX     orlop form 1
//!                         layer sha256:…       the uncompressed bytes
//!                         size 103600000       of the blob
//!                         made gzip:6 1        the codec and the version of what it writes; or `kept`; or `gone`
//!                         sha256 …             of the lines before, in hex
//! ```
//!
//! Invariant: what is said to be made was made again and compared before it was said. Nothing of a form is understood
//! before its sha256 was proven.

use super::Store;
use super::guard::{Placed, Shelf};
use crate::error::{Error, is_damaged, is_unreadable};
use orlop_fs::{Dir, Persist};
use orlop_layer::Codec;
use orlop_layer::codec::{FRAMING, Pressed};
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::media_type::Compression;
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Descriptor, Fault};
use std::fmt;
use std::io::{Read, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// How every version begins.
const FAMILY: &str = "orlop form ";
const UNDERSTOOD: &str = "orlop form 1";
/// More is not read: two digests of 64 bytes need less.
const LONGEST: u64 = 512;

/// What is known about a layer's blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The layer that it holds.
    pub diff_id: DiffId,
    /// Its bytes.
    pub size: u64,
    /// How it comes back.
    pub how: How,
}

/// How the bytes of a blob come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The layer is compressed again.
    Made(Recipe),
    /// The blob is among the others.
    Kept,
    /// Not at all: it was not to be kept.
    Gone,
}

pub use orlop_layer::codec::Recipe;

/// Which blobs of layers stay beside the contents that were taken out of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeepBlobs {
    /// Those that cannot be made again to the bit.
    #[default]
    Unprovable,
    /// All.
    All,
    /// None. What cannot be made again cannot be handed out as it came.
    Nothing,
}

/// Which codec may have made a blob, by its first block. Nothing is proven yet.
pub fn guess(blob: &mut dyn Read, compression: Compression, size: u64) -> Result<Option<Codec>> {
    Ok(Recipe::guess(blob, compression, size)?.map(|recipe| recipe.codec))
}

impl Store {
    /// Whether a codec makes the blob of its layer, which is there: all of it is made and compared.
    pub fn prove(
        &self,
        (blob, diff_id): (&Descriptor, &DiffId),
        codec: Codec,
        workers: NonZeroUsize,
        cancel: &Cancel,
    ) -> Result<bool> {
        Recipe::from(codec).makes(blob, self.export(diff_id, cancel)?, workers)
    }

    /// A blob that is not kept, made of its layer. Its bytes are proven by whoever reads them.
    ///
    /// # Errors
    /// [`Error::BlobGone`] where it cannot be made; [`Error::OtherFraming`] where another version of this program could.
    pub fn rebuild<'a>(
        &'a self,
        blob: &Digest,
        form: &Form,
        workers: NonZeroUsize,
        cancel: &'a Cancel,
    ) -> Result<Box<dyn Read + Send + 'a>> {
        match form.how {
            How::Made(Recipe { codec, framing: FRAMING }) => {
                Ok(Box::new(Pressed::new(codec, self.export(&form.diff_id, cancel)?, workers)))
            }
            _ => Err(form.gone(blob).into()),
        }
    }
}

/// The folder of forms.
#[derive(Debug)]
pub struct Forms {
    root: Dir,
}

impl Forms {
    pub(super) fn new(root: Dir) -> Self {
        Self { root }
    }

    /// What is known about a blob. `None` where nothing is.
    ///
    /// # Errors
    /// [`Error::FormDamaged`]: whoever takes the blob in writes it anew.
    pub fn get(&self, blob: &Digest) -> Result<Option<Form>> {
        self.look(blob, |_| Ok(true))
    }

    /// The same, touched: it stays as long as the caller has a lease.
    pub fn rely_on(&self, blob: &Digest) -> Result<Option<Form>> {
        self.look(blob, |shelf| Ok(shelf.rely_on(blob.hex())?.is_some()))
    }

    /// Says what a blob is. It is on the disk with the next call that forces the file system there.
    pub fn set(&self, blob: &Digest, form: &Form) -> Result<()> {
        let how = match self.rely_on(blob) {
            Ok(Some(found)) if found == *form => return Ok(()),
            Ok(None) => Persist::New,
            Ok(Some(_)) => Persist::Replace,
            Err(fault) if is_damaged(&fault) || is_unreadable(&fault) => Persist::Replace,
            Err(fault) => return Err(fault),
        };
        let shelf = Shelf::new(self.root.make_or_open_dir(blob.algorithm().name(), 0o777)?);
        let written = |how| -> Result<Placed> {
            let mut temp = shelf.folder().create_temp()?;
            temp.write_all(form.print().as_bytes()).map_err(|error| Fault::io("write a form", error))?;
            temp.file().set_mode(0o444)?;
            shelf.place(temp, blob.hex(), how)
        };
        // A quicker writer knows the same, unless it was told to keep something else.
        if matches!(written(how)?, Placed::Found(_)) && self.get(blob).ok().flatten() != Some(*form) {
            written(Persist::Replace)?;
        }
        Ok(())
    }

    /// `rely` says whether there is something that can be relied on.
    fn look(&self, blob: &Digest, rely: impl Fn(&Shelf) -> Result<bool>) -> Result<Option<Form>> {
        let shelf = match self.root.open_dir(blob.algorithm().name()) {
            Err(error) if error.is_not_found() => return Ok(None),
            folder => Shelf::new(folder?),
        };
        if !rely(&shelf)? {
            return Ok(None);
        }
        let mut file = match shelf.folder().open_file(blob.hex()) {
            Err(error) if error.is_not_found() => return Ok(None),
            file => file?,
        };
        let path = || self.path(blob);
        if file.size()? > LONGEST {
            return Err(Error::FormDamaged { file: path(), what: "it is too long" }.into());
        }
        Form::parse(&file.read_to_limit(LONGEST)?, path).map(Some)
    }

    fn path(&self, blob: &Digest) -> PathBuf {
        self.root.path().join(blob.algorithm().name()).join(blob.hex())
    }
}

impl Form {
    /// Whether this program makes the blob of its layer.
    pub(super) fn is_made_here(&self) -> bool {
        matches!(self.how, How::Made(recipe) if recipe.is_ours())
    }

    /// Why a blob that is not kept cannot be handed out.
    pub(super) fn gone(&self, blob: &Digest) -> Error {
        match self.how {
            How::Made(Recipe { framing, .. }) => {
                Error::OtherFraming { digest: Box::new(*blob), framing, understood: FRAMING }
            }
            How::Kept | How::Gone => Error::BlobGone { digest: Box::new(*blob) },
        }
    }

    fn print(&self) -> String {
        let lines = format!("{UNDERSTOOD}\n{}", self.lines());
        let proof = Digest::of(Algorithm::Sha256, lines.as_bytes()).hex();
        format!("{lines}sha256 {proof}\n")
    }

    fn lines(&self) -> String {
        let Self { diff_id, size, how } = self;
        format!("layer {diff_id}\nsize {size}\n{how}\n")
    }

    fn parse(bytes: &[u8], file: impl Fn() -> PathBuf) -> Result<Self> {
        let damaged = |what| Error::FormDamaged { file: file(), what };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
        let lines = proven(text).ok_or_else(|| damaged("its sha256 is another"))?;
        let (first, lines) = lines.split_once('\n').ok_or_else(|| damaged("it ends early"))?;
        if first != UNDERSTOOD {
            let found = first.to_owned();
            return Err(if first.starts_with(FAMILY) {
                Error::UnknownVersion { file: file(), found, understood: UNDERSTOOD }.into()
            } else {
                damaged("it does not begin as one").into()
            });
        }
        Ok(Self::read(lines).ok_or_else(|| damaged("a line is not what it must be"))?)
    }

    fn read(lines: &str) -> Option<Self> {
        let [layer, size, how, ""] = lines.split('\n').collect::<Vec<_>>()[..] else { return None };
        let form = Self {
            diff_id: DiffId(layer.strip_prefix("layer ")?.parse().ok()?),
            size: size.strip_prefix("size ")?.parse().ok()?,
            how: How::read(how)?,
        };
        // One form has one spelling.
        (form.lines() == lines).then_some(form)
    }
}

/// The lines before the last, where that proves them.
fn proven(text: &str) -> Option<&str> {
    let (lines, proof) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let lines = text.get(..lines.len() + 1)?;
    let proof = proof.strip_prefix("sha256 ")?;
    (Digest::of(Algorithm::Sha256, lines.as_bytes()).hex() == proof).then_some(lines)
}

impl How {
    fn read(line: &str) -> Option<Self> {
        match line {
            "kept" => Some(Self::Kept),
            "gone" => Some(Self::Gone),
            _ => Some(Self::Made(line.strip_prefix("made ")?.parse().ok()?)),
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(recipe) => write!(out, "made {recipe}"),
            Self::Kept => out.write_str("kept"),
            Self::Gone => out.write_str("gone"),
        }
    }
}
