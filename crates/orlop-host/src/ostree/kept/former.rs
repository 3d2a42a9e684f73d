//! Images in the form of skopeo's `ostree:`, which is no more.
//!
//! ```text
//! ociimage/ENC(NAME:TAG)   manifest.json
//!   docker.manifest              s   its bytes
//!   docker.digest                s   its digest
//!   signatures                   s   how many files signature-N are beside it
//! ociimage/HEX             of a layer: its files, names of whiteouts as they were
//!   docker.size                  s   bytes of the blob
//!   docker.uncompressed_size     s   bytes of the layer
//!   docker.uncompressed_digest   s   its diff id
//!   tarsplit.output              s   base64: the rest of the tar, see `tarsplit`
//!   orlop.blob.back              s   ours: the codec that makes the blob again
//! ociimage/HEX             of a config: the file `content`; docker.size
//! ```
//!
//! Invariant: an uncompressed layer is proven by its diff id whatever it is read for. Blobs that no codec of ours made come
//! back only without compression.

use super::ImageNote;
use crate::error::Error;
use crate::ostree::escape::{Escape, OCI_IMAGE};
use crate::ostree::id::{Kind, ObjectId};
use crate::ostree::layers::recipe::{put_commit, put_root_meta};
use crate::ostree::layers::tarsplit::TarSplit;
use crate::ostree::layers::{Back, LayersError};
use crate::ostree::object::{DirTree, FileHeader};
use crate::ostree::refname::{RefName, RefSpec};
use crate::ostree::repo::{Repo, Transaction};
use crate::ostree::variant::{Dict, Variant};
use orlop_layer::codec::Pressed;
use orlop_layer::{Meta, TreePath, Verified};
use orlop_spec::digest::{Algorithm, AnyDigest, DiffId, Digest};
use orlop_spec::port::{LocalFile, Result, See, Unpacked};
use orlop_spec::{Fault, base64};
use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZeroUsize;

pub(in super::super) const MANIFEST: &str = "docker.manifest";
pub(in super::super) const DIGEST: &str = "docker.digest";
pub(in super::super) const SIGNATURES: &str = "signatures";
pub(in super::super) const SIZE: &str = "docker.size";
pub(in super::super) const UNCOMPRESSED_SIZE: &str = "docker.uncompressed_size";
pub(in super::super) const UNCOMPRESSED_DIGEST: &str = "docker.uncompressed_digest";
pub(in super::super) const TAR_SPLIT: &str = "tarsplit.output";
/// The file of a config, and of whatever is no layer.
pub(in super::super) const CONTENT: &str = "content";

/// How names of registries begin.
const REGISTRY: &str = "docker://";

/// The ref of an image: of `docker://NAME[:TAG]`, or one that is given as a ref.
pub(in super::super) fn spec_of(name: &str) -> Result<RefSpec> {
    if let Ok(spec) = name.parse::<RefName>()
        && spec.beneath(OCI_IMAGE).is_some()
    {
        return Ok(RefSpec::local(spec));
    }
    let name = name.strip_prefix(REGISTRY).unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = if last.contains([':', '@']) { "" } else { ":latest" };
    let name = format!("{name}{tag}");
    Ok(RefSpec::local(Escape::Skopeo.encode(OCI_IMAGE, name.as_bytes()).map_err(Error::from)?))
}

/// The ref of a layer or a config.
pub(in super::super) fn spec_of_blob(blob: &AnyDigest) -> Result<RefSpec> {
    let name = format!("{OCI_IMAGE}/{}", blob.encoded());
    Ok(RefSpec::local(name.parse::<RefName>().map_err(Error::from)?))
}

/// What the image is called elsewhere.
pub(super) fn name_of(spec: &RefSpec) -> Option<Box<str>> {
    let name = if spec.remote.is_none() { Escape::Skopeo.decode(OCI_IMAGE, &spec.name) } else { None };
    Some(format!("{REGISTRY}{}", String::from_utf8(name?).ok()?).into())
}

/// Whether a commit is that of an image.
pub(super) fn is_in(metadata: &Dict) -> bool {
    metadata.get(MANIFEST).is_some()
}

/// The image under a name, if there is one.
pub(super) fn find(repo: &Repo, name: &str) -> Result<Option<ImageNote>> {
    let spec = spec_of(name)?;
    let Some(id) = repo.find_ref(&spec)? else { return Ok(None) };
    let metadata = repo.commit(&id)?.metadata;
    if is_in(&metadata) { note(repo, &spec, &metadata).map(Some) } else { Ok(None) }
}

/// The documents of an image.
pub(super) fn note(repo: &Repo, spec: &RefSpec, metadata: &Dict) -> Result<ImageNote> {
    let damaged = |what| Error::from(LayersError::NoteDamaged { name: spec.name.clone(), what });
    let text = |key| metadata.get(key).and_then(Variant::as_str);
    let manifest = text(MANIFEST).ok_or_else(|| damaged(MANIFEST))?;
    let digest = match text(DIGEST) {
        Some(digest) => digest.parse().map_err(|_| damaged(DIGEST))?,
        None => Digest::of(Algorithm::Sha256, manifest.as_bytes()).into(),
    };
    let mut note = ImageNote::of_manifest(digest, manifest).ok_or_else(|| damaged(MANIFEST))?;
    let config = note.manifest(&note.root).ok_or_else(|| damaged(MANIFEST))?.config.clone();
    if let Some(file) = at(repo, &config.digest)?.and_then(|(_, tree)| tree.file(CONTENT).copied()) {
        let content = repo.file(&file)?.content(repo.limits().document)?;
        note.documents.insert(config.digest, content);
    }
    Ok(note)
}

/// Puts manifest and config; the layers are there.
pub(super) fn put(transaction: &Transaction<'_>, name: &str, note: &ImageNote) -> Result<()> {
    let manifest = note.manifest(&note.root).ok_or_else(|| Error::from(LayersError::NoIndexes))?;
    let text = std::str::from_utf8(manifest.raw()).map_err(|_| Error::from(LayersError::NoImage))?;
    let config = &manifest.config;
    if let Some(bytes) = note.documents.get(&config.digest) {
        let metadata = Dict::from_iter([(SIZE, Variant::string(&config.size.to_string()))]);
        let id = put_commit(transaction, metadata, put_one_file(transaction, CONTENT, bytes)?)?;
        transaction.set_ref(&spec_of_blob(&config.digest)?, Some(&id));
    }
    let metadata = Dict::from_iter([
        (MANIFEST, Variant::string(text)),
        (SIGNATURES, Variant::string("0")),
        (DIGEST, Variant::string(&note.root.digest.to_string())),
    ]);
    let id = put_commit(transaction, metadata, put_one_file(transaction, "manifest.json", manifest.raw())?)?;
    transaction.set_ref(&spec_of(name)?, Some(&id));
    Ok(())
}

/// A folder of one file.
fn put_one_file(transaction: &Transaction<'_>, name: &str, bytes: &[u8]) -> Result<(ObjectId, ObjectId)> {
    let header = FileHeader::regular(&Meta { mode: 0o644, ..Meta::default() });
    let file = transaction.put_file(&header, bytes)?;
    let tree = DirTree { files: vec![(name.into(), file)], folders: Vec::new() };
    Ok((transaction.put(Kind::DirTree, &tree.to_bytes())?, put_root_meta(transaction)?))
}

/// Metadata and files of the commit of a blob.
fn at(repo: &Repo, blob: &AnyDigest) -> Result<Option<(Dict, DirTree)>> {
    let Some(id) = repo.find_ref(&spec_of_blob(blob)?)? else { return Ok(None) };
    let commit = repo.commit(&id)?;
    Ok(Some((commit.metadata, repo.dirtree(&commit.tree)?)))
}

/// A layer of this form.
pub(in super::super) struct Layer<'r> {
    repo: &'r Repo,
    files: DirTree,
    list: Vec<u8>,
    blob: AnyDigest,
    size: u64,
    diff_id: DiffId,
    back: Option<Back>,
}

impl<'r> Layer<'r> {
    /// The layer of a blob, if it is here.
    pub(in super::super) fn find(repo: &'r Repo, blob: &AnyDigest) -> Result<Option<Self>> {
        let Some((metadata, files)) = at(repo, blob)? else { return Ok(None) };
        let text = |key| metadata.get(key).and_then(Variant::as_str);
        let Some(list) = text(TAR_SPLIT) else { return Ok(None) };
        let name = spec_of_blob(blob)?.name;
        let damaged = |what| Error::from(LayersError::NoteDamaged { name: name.clone(), what });
        let list = base64::decode(list).ok_or_else(|| damaged(TAR_SPLIT))?;
        let diff_id = text(UNCOMPRESSED_DIGEST).and_then(|digest| digest.parse().ok());
        let diff_id = DiffId(diff_id.ok_or_else(|| damaged(UNCOMPRESSED_DIGEST))?);
        let size = text(SIZE).and_then(|size| size.parse().ok()).ok_or_else(|| damaged(SIZE))?;
        let back = Back::of(&metadata).or((*blob == diff_id.0.into()).then_some(Back::AS_IS));
        Ok(Some(Self { repo, files, list, blob: blob.clone(), size, diff_id, back }))
    }

    /// Bytes of the blob.
    pub(in super::super) fn size(&self) -> u64 {
        self.size
    }

    /// The blob, as far as it can be made again.
    pub(super) fn blob(self, workers: NonZeroUsize) -> Result<Box<dyn Read + Send + 'r>> {
        match self.back {
            Some(Back::Made(recipe)) if recipe.is_ours() => {
                Ok(Box::new(Pressed::new(recipe.codec, self.tar(), workers)))
            }
            _ => Err(Error::from(LayersError::BlobGone { digest: self.blob }).into()),
        }
    }

    fn tar(&self) -> TarSplit<'r> {
        let mut folders = Folders { repo: self.repo, root: self.files.clone(), open: Vec::new() };
        let open = Box::new(move |path: &[u8]| folders.open(path));
        TarSplit::new(io::Cursor::new(self.list.clone()), self.repo.limits(), open)
    }
}

impl Unpacked for Layer<'_> {
    fn diff_id(&self) -> DiffId {
        self.diff_id
    }

    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.tar()))
    }

    /// Nobody proved the list when it was made, so the contents are read with it.
    fn outline<'a>(&'a self, _: See<'a>) -> Result<Box<dyn BufRead + 'a>> {
        Ok(Box::new(BufReader::new(Verified::of_digest(self.tar(), self.diff_id.0))))
    }

    fn has_contents(&self) -> bool {
        false
    }

    fn content(&self, digest: &Digest, _: u64) -> Result<LocalFile> {
        Err(Error::from(LayersError::NotKept { digest: (*digest).into() }).into())
    }
}

/// Opens files by their paths. Folders on the way to the last one stay open: a tar goes from folder to folder.
struct Folders<'r> {
    repo: &'r Repo,
    root: DirTree,
    open: Vec<(Box<str>, DirTree)>,
}

impl<'r> Folders<'r> {
    fn open(&mut self, path: &[u8]) -> Result<Box<dyn Read + Send + 'r>> {
        let path = TreePath::parse(path).ok();
        let names = path.as_ref().map(|path| path.components().map(std::str::from_utf8).collect());
        let Some(Ok::<Vec<_>, _>(names)) = names else { return Err(nameless()) };
        let id = self.find(&names)?.ok_or_else(nameless)?;
        Ok(Box::new(self.repo.file(&id)?.reader()))
    }

    fn find(&mut self, names: &[&str]) -> Result<Option<ObjectId>> {
        let Some((name, folders)) = names.split_last() else { return Ok(None) };
        let same = self.open.iter().zip(folders).take_while(|((open, _), name)| **open == ***name).count();
        self.open.truncate(same);
        for folder in &folders[same..] {
            let Some((tree, _)) = self.last().folder(folder) else { return Ok(None) };
            let tree = self.repo.dirtree(tree)?;
            self.open.push(((*folder).into(), tree));
        }
        Ok(self.last().file(name).copied())
    }

    fn last(&self) -> &DirTree {
        self.open.last().map_or(&self.root, |(_, tree)| tree)
    }
}

fn nameless() -> Fault {
    Error::from(LayersError::TarSplitDamaged { what: "a file that it names is not there" }).into()
}
