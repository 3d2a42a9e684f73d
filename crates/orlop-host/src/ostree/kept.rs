//! Images that a repository keeps whole: documents with their bytes, layers by themselves, and the merged tree.
//!
//! ```text
//! ostree/container/image/ESC(NAME)   the merged tree; of an index, one folder for each manifest, called by its digest
//!   ostree.container.image-config    s       the config                     │ as bootc writes it, of a manifest
//!   ostree.manifest                  s       the manifest                   │
//!   ostree.manifest-digest           s                                      │
//!   orlop.image.documents            a{sv}   index, manifests, configs: bytes by digest
//!   orlop.image.root                 s       digest, size and media type, with spaces between
//! ```
//!
//! NAME is what the image is called elsewhere: `docker://HOST/REPOSITORY:TAG`.
//!
//! Invariant: documents have the bytes that they came with, so an image has the same digest when it leaves.

pub(super) mod former;
pub(super) mod note;
mod sink;

pub use note::{CONFIG, ImageNote, MANIFEST_DIGEST};
pub use sink::{KeptSink, Style};

use super::escape::{Escape, IMAGES};
use super::id::ObjectId;
use super::layers::LayersError;
use super::refname::RefSpec;
use super::repo::Repo;
use crate::error::Error;
use orlop_layer::list::Held;
use orlop_spec::digest::{AnyDigest, DiffId, Digest};
use orlop_spec::media_type::Role;
use orlop_spec::port::{Catalog, LocalFile, Name, Origin, Result, See, Selector, Source, Unpacked};
use orlop_spec::{Cancel, Descriptor, Document, Fault, Manifest, Names};
use std::io::{self, BufRead, Read};
use std::num::NonZeroUsize;

/// Who reads looks whether to stop.
static NEVER: Cancel = Cancel::new();

/// An image that a repository keeps.
pub struct Kept {
    repo: Repo,
    note: ImageNote,
    style: Style,
    workers: NonZeroUsize,
}

impl Kept {
    /// Opens the image that is kept under a name, or the one whose manifest or index has a digest.
    pub fn open(repo: Repo, name: &str, workers: NonZeroUsize) -> Result<Self> {
        let own = find(&repo, name)?.map(|note| (note, Style::Bootc));
        let found = match own {
            None => former::find(&repo, name)?.map(|note| (note, Style::Former)),
            own => own,
        };
        let Some((note, style)) = found else { return Err(not_among(images(&repo)?, name)) };
        Ok(Self { repo, note, style, workers })
    }

    /// The bytes of a blob that is no document.
    fn blob(&self, digest: &AnyDigest, workers: NonZeroUsize) -> Result<Box<dyn Read + Send + '_>> {
        if self.style == Style::Bootc {
            return self.repo.layer_blob(digest, workers, &NEVER);
        }
        match former::Layer::find(&self.repo, digest)? {
            Some(layer) => layer.blob(workers),
            None => Err(Error::from(LayersError::NotKept { digest: digest.clone() }).into()),
        }
    }

    fn no_such(&self, selector: &Selector) -> Fault {
        let known = Names::new([self.note.root.digest.to_string().into()]);
        Error::from(LayersError::NoSuchImage { wanted: selector.to_string().into(), known }).into()
    }
}

/// The ref of the image that is kept under a name.
pub fn spec_of(repo: &Repo, name: &str) -> Result<RefSpec> {
    let mut images = images(repo)?;
    match images.iter().position(|image| image.name.as_deref() == Some(name)) {
        Some(at) => Ok(images.swap_remove(at).spec),
        None => Err(not_among(images, name)),
    }
}

fn not_among(images: Vec<KeptImage>, name: &str) -> Fault {
    let known = Names::new(images.into_iter().filter_map(|image| image.name)).near(name);
    Error::from(LayersError::NoSuchImage { wanted: name.into(), known }).into()
}

/// What is known of the image under a name, or of one by the digest of its manifest or index; `None` where there is none.
pub fn find(repo: &Repo, name: &str) -> Result<Option<ImageNote>> {
    if let Ok(digest) = name.parse::<Digest>() {
        let is_it = |image: &KeptImage| image.note.root.digest == digest.into();
        return Ok(images(repo)?.into_iter().find(is_it).map(|image| image.note));
    }
    let spec = Style::Bootc.spec_of(name)?;
    match repo.find_ref(&spec)? {
        Some(id) => ImageNote::of(&repo.commit(&id)?.metadata).map(Some),
        None => Ok(None),
    }
}

/// An image that a ref leads to.
#[derive(Clone, Debug)]
pub struct KeptImage {
    /// The ref.
    pub spec: RefSpec,
    /// What the image is called elsewhere; nothing where the ref is another one, such as a branch that has its tree.
    pub name: Option<Box<str>>,
    /// The commit.
    pub commit: ObjectId,
    /// What the image is.
    pub note: ImageNote,
}

impl KeptImage {
    /// The name, or else the ref.
    pub fn called(&self) -> Box<str> {
        self.name.clone().unwrap_or_else(|| self.spec.to_string().into())
    }
}

/// Every image that a ref leads to.
///
/// # Errors
/// [`LayersError::NoteDamaged`] where a commit speaks of an image, and what it says is not understood: nobody knows then
/// which layers it needs.
pub fn images(repo: &Repo) -> Result<Vec<KeptImage>> {
    let mut images = Vec::new();
    for (spec, commit) in repo.refs()?.into_iter().chain(repo.mirrored_refs()?) {
        let metadata = repo.commit(&commit)?.metadata;
        if former::is_in(&metadata) {
            let (note, name) = (former::note(repo, &spec, &metadata)?, former::name_of(&spec));
            images.push(KeptImage { spec, name, commit, note });
            continue;
        }
        if !ImageNote::is_in(&metadata) {
            continue;
        }
        let damaged = |_| LayersError::NoteDamaged { name: spec.name.clone(), what: "which image it is" };
        let note = ImageNote::of(&metadata).map_err(damaged).map_err(Error::from)?;
        let name = if spec.remote.is_none() { Escape::Bootc.decode(IMAGES, &spec.name) } else { None };
        let name = name.and_then(|name| String::from_utf8(name).ok()).map(Into::into);
        images.push(KeptImage { spec, name, commit, note });
    }
    Ok(images)
}

impl Source for Kept {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let root = &self.note.root;
        match selector {
            Selector::Only | Selector::At(0) => Ok(vec![root.clone()]),
            Selector::Digest(digest) if *digest == root.digest => Ok(vec![root.clone()]),
            Selector::Digest(digest) => {
                let child = self.note.manifests().into_iter().find(|child| child.digest == *digest);
                child.map(|child| vec![child]).ok_or_else(|| self.no_such(selector))
            }
            Selector::Tag(_) | Selector::At(_) => Err(self.no_such(selector)),
        }
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        if let Some(bytes) = self.note.documents.get(&blob.digest) {
            return Ok(Box::new(bytes.clone()));
        }
        Ok(Box::new(Blob { kept: self, digest: blob.digest.clone() }))
    }

    fn gives(&self, blob: &Descriptor) -> Result<()> {
        if self.note.documents.contains_key(&blob.digest) {
            return Ok(());
        }
        self.blob(&blob.digest, NonZeroUsize::MIN).map(drop)
    }

    fn unpacked(&self, layer: &Descriptor) -> Result<Option<Box<dyn Unpacked + '_>>> {
        if self.style == Style::Former {
            let found = former::Layer::find(&self.repo, &layer.digest)?;
            let found = found.filter(|found| found.size() == layer.size);
            return Ok(found.map(|found| Box::new(found) as Box<dyn Unpacked>));
        }
        let note = self.repo.layer_note(&layer.digest)?.filter(|note| note.size == layer.size);
        let Some(note) = note else { return Ok(None) };
        if self.repo.layer_files(&note.diff_id)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Box::new(Apart { repo: &self.repo, diff_id: note.diff_id })))
    }
}

impl Catalog for Kept {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        Ok(vec![(Name::Untagged, self.note.root.clone())])
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        let is_about = |manifest: &Descriptor| {
            let bytes = self.note.documents.get(&manifest.digest)?;
            let parsed: Document<Manifest> = Document::open(&bytes[..], manifest.clone()).ok()?;
            (parsed.subject.as_ref()?.digest == *digest).then_some(())
        };
        let manifests = self.note.manifests().into_iter();
        Ok(manifests
            .filter(|child| child.media_type.role() == Role::Manifest && is_about(child).is_some())
            .collect())
    }
}

/// A blob that is put together when it is read.
struct Blob<'a> {
    kept: &'a Kept,
    digest: AnyDigest,
}

impl Origin for Blob<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        let mut bytes = self.kept.blob(&self.digest, self.kept.workers)?;
        io::copy(&mut (&mut bytes).take(at), &mut io::sink())
            .map_err(|error| Fault::io("read a blob", error))?;
        Ok(bytes)
    }
}

/// A layer that was taken apart.
struct Apart<'a> {
    repo: &'a Repo,
    diff_id: DiffId,
}

impl Unpacked for Apart<'_> {
    fn diff_id(&self) -> DiffId {
        self.diff_id
    }

    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.repo.layer_export(&self.diff_id, &NEVER)?))
    }

    fn outline<'a>(&'a self, _: See<'a>) -> Result<Box<dyn BufRead + 'a>> {
        Ok(Box::new(self.repo.layer_outline(&self.diff_id, Box::new(|_, _: &Held| Ok(())))?))
    }

    /// Objects are named by more than their content, so nobody is told of them.
    fn has_contents(&self) -> bool {
        false
    }

    fn content(&self, digest: &Digest, _: u64) -> Result<LocalFile> {
        Err(Error::from(LayersError::NotKept { digest: (*digest).into() }).into())
    }
}
