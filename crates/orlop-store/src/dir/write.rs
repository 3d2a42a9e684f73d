//! Writing an exploded image: the root last.

use super::{Exploded, ROOT, VERSION, VERSION_CONTENT, check_version};
use crate::blobs::{Blobs, Shape};
use crate::error::Error;
use crate::folder::{self, Made, write_new};
use crate::reach::{self, Damage};
use orlop_fs::lock::Share;
use orlop_fs::{Dir, Lock, temp};
use orlop_spec::port::{
    self, BlobWriter, Catalog as _, Hints, Name, Origin, Put, Result, Seen, Sink, Unnamed,
};
use orlop_spec::{AnyDigest, Descriptor, Digest, Limits};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Writes an exploded image. Dropped without [`Sink::finish`], it leaves the image that was there, or nothing.
#[derive(Debug)]
pub struct ExplodedSink {
    blobs: Blobs,
    /// Exclusive, on the folder: it holds one image.
    _alone: Option<Lock>,
    made: Made,
    path: PathBuf,
    limits: Limits,
}

impl ExplodedSink {
    pub(super) fn create(path: &Path, limits: &Limits) -> Result<Self> {
        let (folder, alone, made) = folder::open_locked(path, Share::Exclusive)?;
        let is_new = folder.list()?.iter().all(|name| temp::is_temp_name(name));
        let made = if is_new && made == Made::Nothing { Made::Content } else { made };
        let sink = Self {
            blobs: Blobs::new(folder, Shape::Flat),
            _alone: alone,
            made,
            path: path.into(),
            limits: limits.clone(),
        };
        if is_new {
            write_new(sink.folder(), VERSION, VERSION_CONTENT.as_bytes())?;
        } else if check_version(sink.folder()).is_err() {
            return Err(Error::Occupied { path: path.into(), what: "exploded image (dir:)" }.into());
        }
        Ok(sink)
    }

    fn folder(&self) -> &Dir {
        self.blobs.root()
    }

    /// Removes what belongs to no image or to the one before; files of other kinds are not ours.
    fn tidy(&self) -> Result<()> {
        let image = Exploded::open(&self.path, &self.limits)?;
        let mut kept: HashSet<String> = [VERSION.into(), ROOT.into()].into();
        let root = std::iter::once(image.root().clone());
        reach::reach(&image, &self.limits, root, Damage::PassBy, &mut |blob, reached| {
            kept.insert(self.blobs.name(blob));
            if let reach::Reached::Manifest(manifest) = reached {
                kept.extend(manifest.blobs().map(|blob| self.blobs.name(blob)));
            }
        })?;
        self.remove(|name| !kept.contains(name))
    }

    fn remove(&self, unwanted: impl Fn(&str) -> bool) -> Result<()> {
        for name in self.folder().list()? {
            if let Ok(name) = std::str::from_utf8(&name)
                && is_ours(name)
                && unwanted(name)
            {
                self.folder().remove_file(name)?;
            }
        }
        Ok(())
    }

    /// The image that is there.
    fn listed(&self) -> Result<Vec<(Name, Descriptor)>> {
        if self.folder().try_stat(ROOT)?.is_none() {
            return Ok(Vec::new());
        }
        Exploded::open(&self.path, &self.limits)?.names()
    }

    fn take_back(&self) -> Result<()> {
        self.remove(|name| name != VERSION)?;
        self.folder().remove_file(VERSION)?;
        folder::take_back(&self.path, self.made)
    }
}

/// Whether a name is one that this form gives to files.
fn is_ours(name: &str) -> bool {
    let is_hex = |text: &str| {
        ["sha256:", "sha384:", "sha512:"]
            .iter()
            .any(|name| (name.to_string() + text).parse::<Digest>().is_ok())
    };
    let (stem, kind) = name.split_once('.').unwrap_or((name, ""));
    let is_signature = |text: &str| text.starts_with("signature-");
    [VERSION, ROOT].contains(&name)
        || temp::is_temp_name(name.as_bytes())
        || is_signature(name)
        || matches!(name.parse(), Ok(AnyDigest::Other(_)))
        || (is_hex(stem) && (matches!(kind, "" | "manifest.json") || is_signature(kind)))
}

impl Drop for ExplodedSink {
    fn drop(&mut self) {
        if self.made != Made::Nothing {
            // What cannot be taken back is an exploded image without a root, and the next writer uses it.
            self.take_back().ok();
        }
    }
}

impl Sink for ExplodedSink {
    fn put(&self, blob: &Descriptor, origin: &dyn Origin, hints: &Hints) -> Result<Put> {
        self.blobs.put(blob, origin, hints)
    }

    fn unnamed(&self) -> Unnamed {
        Unnamed::Nothing
    }

    fn foresee(&self, blob: &Descriptor) -> Result<Put> {
        self.blobs.foresee(blob)
    }

    fn begin(&self, hints: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        self.blobs.begin(hints)
    }

    /// Nobody else writes since the sink was made, so it is enough to look before anything is moved.
    fn finish_if(mut self: Box<Self>, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()> {
        let root = the_only(&self.path, roots)?;
        port::check_whole(seen, &self.listed()?)?;
        if self.blobs.open(root)?.is_none() {
            return Err(self.blobs.missing(root).into());
        }
        self.blobs.sync()?;
        self.folder().rename(self.blobs.name(root), self.folder(), ROOT)?;
        self.made = Made::Nothing;
        self.folder().sync()?;
        // The image is there whatever comes of this: whoever heard of an error would make the same change again. What is
        // left is removed by the next writer.
        self.tidy().ok();
        Ok(())
    }
}

/// The one root, which can have no name here.
fn the_only<'a>(path: &Path, roots: &'a [(Name, Descriptor)]) -> Result<&'a Descriptor> {
    let [(name, root), rest @ ..] = roots else { return Err(Error::Empty { place: path.into() }.into()) };
    if rest.iter().any(|(_, other)| other.digest != root.digest) {
        return Err(Error::OneImageOnly { place: path.into(), count: roots.len() }.into());
    }
    match name {
        Name::Untagged => Ok(root),
        Name::Tag(tag) => {
            Err(Error::BadTag { tag: tag.clone(), law: "dir: holds one image and no name" }.into())
        }
    }
}
