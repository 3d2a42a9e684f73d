//! A repository as a place that images go to, layers and all.
//!
//! Invariant: a layer that is there is not read; one that is not is read once, and stays if the run is stopped. The image
//! gets its name last, when everything that it needs is on the disk; until then nobody may prune.

use super::{ImageNote, former};
use crate::error::{Error, unless_full};
use crate::ostree::claim::Root;
use crate::ostree::escape::{Escape, IMAGES};
use crate::ostree::flavour::Flavour;
use crate::ostree::id::{Kind, ObjectId};
use crate::ostree::layers::LayersError;
use crate::ostree::layers::known::{self, Known};
use crate::ostree::layers::recipe::{Taking, put_root_meta};
use crate::ostree::object::{Commit, DirTree};
use crate::ostree::refname::RefSpec;
use crate::ostree::repo::{Repo, Transaction};
use crate::ostree::write_tree::write_tree;
use orlop_fs::File;
use orlop_fs::lock::{Lock, Share, Wait};
use orlop_layer::tree::{Content, Tree};
use orlop_layer::{Budget, Error as LayerError, Stages, Verified};
use orlop_spec::config::Config;
use orlop_spec::digest::{AnyDigest, DiffId};
use orlop_spec::media_type::{Layer, Role};
use orlop_spec::port::{self, BlobWriter, Depth, Hints, Name, Origin, Put, Result, Seen, Sink, Unnamed};
use orlop_spec::time::Timestamp;
use orlop_spec::{Context, Descriptor, Document, Event, Fault, Manifest};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// In which form an image is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Style {
    /// Refs as bootc names them, and everything that gives the blobs back.
    #[default]
    Bootc,
    /// As skopeo's `ostree:` did, see `former`.
    Former,
}

/// Keeps one image in a repository.
pub struct KeptSink<'a> {
    repo: Repo,
    cx: Context<'a>,
    /// What the image is called elsewhere; nothing where its layers alone are kept.
    name: Option<Box<str>>,
    style: Style,
    documents: Mutex<BTreeMap<AnyDigest, (Descriptor, Vec<u8>)>>,
    budget: Budget,
    /// How many layers are taken at this moment.
    under_way: AtomicUsize,
    /// Nobody removes what this run found.
    _lock: Lock,
}

impl<'a> KeptSink<'a> {
    /// Begins to keep the image that is called `name` elsewhere.
    pub fn new(repo: Repo, name: &str, cx: Context<'a>) -> Result<Self> {
        Self::with_style(repo, name, Style::Bootc, cx)
    }

    /// The same, in a form.
    pub fn with_style(repo: Repo, name: &str, style: Style, cx: Context<'a>) -> Result<Self> {
        repo.check_clash(&style.spec_of(name)?)?;
        Ok(Self { name: Some(name.into()), style, ..Self::of_layers(repo, cx)? })
    }

    /// Begins to keep layers for an image that something else names. They stay without [`Sink::finish`]; as long as this
    /// is there nobody prunes them.
    pub fn of_layers(repo: Repo, cx: Context<'a>) -> Result<Self> {
        let lock = repo.lock(Share::Shared, Wait::Yes)?.expect("who waits gets the lock");
        Ok(Self {
            budget: Budget::new(cx.limits.size),
            repo,
            cx,
            name: None,
            style: Style::Bootc,
            documents: Mutex::default(),
            under_way: AtomicUsize::new(0),
            _lock: lock,
        })
    }

    fn put_layer(&self, blob: &Descriptor, layer: Layer, origin: &dyn Origin) -> Result<Put> {
        if self.keeps(blob)? {
            return Ok(Put::Held);
        }
        let alone = self.under_way.fetch_add(1, Ordering::Relaxed) == 0;
        let stages = if alone { Stages::Pipelined } else { Stages::One };
        let taking = Taking { cx: self.cx, budget: &self.budget, stages };
        let taken = match self.style {
            Style::Bootc => self.repo.keep_layer(blob, layer.compression, origin, &taking).map(drop),
            Style::Former => self.repo.keep_former_layer(blob, layer.compression, origin, &taking),
        };
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        taken.map(|()| Put::Copied)
    }

    fn put_whole(&self, blob: &Descriptor, origin: &dyn Origin) -> Result<Put> {
        match self.style {
            Style::Former => self.put_document(blob, origin),
            Style::Bootc if self.keeps(blob)? => Ok(Put::Held),
            Style::Bootc => self.repo.keep_whole(blob, origin, &self.cx).map(|()| Put::Copied),
        }
    }

    /// Whether a layer is there, or a blob that is no document.
    fn keeps(&self, blob: &Descriptor) -> Result<bool> {
        match self.style {
            Style::Bootc => self.repo.keeps(blob),
            Style::Former => {
                Ok(former::Layer::find(&self.repo, &blob.digest)?
                    .is_some_and(|layer| layer.size() == blob.size))
            }
        }
    }

    fn put_document(&self, blob: &Descriptor, origin: &dyn Origin) -> Result<Put> {
        if self.documents().contains_key(&blob.digest) {
            return Ok(Put::Held);
        }
        let (what, limit) = ("the size of a document", self.cx.limits.document);
        if blob.size > limit {
            return Err(LayerError::Limit { what, limit }.into());
        }
        let mut bytes = Vec::new();
        let mut proven = Verified::new(origin.open(0)?, blob)?;
        proven.read_to_end(&mut bytes).map_err(|error| Fault::io("read a document", error))?;
        self.documents().insert(blob.digest.clone(), (blob.clone(), bytes));
        Ok(Put::Copied)
    }

    fn documents(&self) -> std::sync::MutexGuard<'_, BTreeMap<AnyDigest, (Descriptor, Vec<u8>)>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the image is, of everything that came.
    fn note(&self, root: &Descriptor) -> Result<ImageNote> {
        let all = self.documents();
        if !all.contains_key(&root.digest) {
            return Err(Error::from(LayersError::NotKept { digest: root.digest.clone() }).into());
        }
        // Who changes an image brings only what is new.
        let before = self.name.as_ref().and_then(|name| self.find(name).transpose()).transpose()?;
        let mut documents = before.map(|note| note.documents).unwrap_or_default();
        documents.extend(all.iter().map(|(digest, (_, bytes))| (digest.clone(), bytes.clone())));
        let mut note = ImageNote { root: root.clone(), documents };
        note.forget_others();
        for layer in note.layers() {
            if !self.keeps(&layer)? {
                return Err(Error::from(LayersError::Pruned { digest: layer.digest }).into());
            }
        }
        Ok(note)
    }

    /// The tree of the image: of an index, a folder for each manifest.
    fn tree(&self, transaction: &Transaction<'_>, note: &ImageNote) -> Result<(ObjectId, ObjectId)> {
        if let Some(manifest) = note.manifest(&note.root) {
            return self.tree_of(transaction, note, &manifest);
        }
        let mut folders = Vec::new();
        for manifest in note.manifests().iter().filter_map(|document| note.manifest(document)) {
            let (tree, meta) = self.tree_of(transaction, note, &manifest)?;
            folders.push((manifest.descriptor().digest.encoded().into(), tree, meta));
        }
        folders.sort();
        let tree = DirTree { files: Vec::new(), folders };
        Ok((transaction.put(Kind::DirTree, &tree.to_bytes())?, put_root_meta(transaction)?))
    }

    fn tree_of(
        &self,
        transaction: &Transaction<'_>,
        note: &ImageNote,
        manifest: &Document<Manifest>,
    ) -> Result<(ObjectId, ObjectId)> {
        if let Some(layers) = self.diff_ids(note, manifest)? {
            return Merged::of(&self.repo, &layers, &self.cx)?.write(&self.cx, transaction);
        }
        let digest = &manifest.descriptor().digest;
        let what = format!("{digest} is no image of files: it is kept, and its tree is empty");
        self.cx.observer.event(Event::Warned(what));
        Merged::default().write(&self.cx, transaction)
    }

    /// What the layers of an image are, where each of them was taken apart.
    fn diff_ids(&self, note: &ImageNote, manifest: &Document<Manifest>) -> Result<Option<Vec<DiffId>>> {
        let config =
            config_of(note, manifest).filter(|config| config.rootfs.diff_ids.len() == manifest.layers.len());
        let Some(config) = config else { return Ok(None) };
        let mut diff_ids = Vec::new();
        for (layer, expected) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
            let Some(note) = self.repo.layer_note(&layer.digest)? else { return Ok(None) };
            known::check(&note.diff_id, expected)?;
            diff_ids.push(note.diff_id);
        }
        Ok(Some(diff_ids))
    }
}

impl Style {
    /// The ref of the image that is called `name` elsewhere.
    pub(super) fn spec_of(self, name: &str) -> Result<RefSpec> {
        match self {
            Self::Bootc => {
                Ok(RefSpec::local(Escape::Bootc.encode(IMAGES, name.as_bytes()).map_err(Error::from)?))
            }
            Self::Former => former::spec_of(name),
        }
    }
}

fn config_of(note: &ImageNote, manifest: &Document<Manifest>) -> Option<Document<Config>> {
    let config = &manifest.config;
    if config.media_type.role() != Role::Config {
        return None;
    }
    Document::open(&note.documents.get(&config.digest)?[..], config.clone()).ok()
}

/// When the image was made, by its config; of an index, nothing.
fn time_of(note: &ImageNote) -> u64 {
    let manifest = note.manifest(&note.root);
    let config = manifest.and_then(|manifest| config_of(note, &manifest));
    let created: Option<Timestamp> = config.and_then(|config| config.created.as_ref()?.parse().ok());
    created.and_then(|time| u64::try_from(time.seconds()).ok()).unwrap_or(0)
}

/// What layers that are kept mean together, and the objects of their files.
#[derive(Default)]
struct Merged {
    tree: Tree,
    known: Known,
}

impl Merged {
    /// Stacks layers, base first. No content is read.
    fn of(repo: &Repo, layers: &[DiffId], cx: &Context<'_>) -> Result<Self> {
        let mut known = Known::all(repo, layers, cx)?;
        let tree = known.take_trees().into_values().try_fold(Tree::default(), Tree::stack)?;
        Ok(Self { tree, known })
    }

    /// Puts dirtrees and dirmetas; the files are there.
    fn write(&self, cx: &Context<'_>, transaction: &Transaction<'_>) -> Result<(ObjectId, ObjectId)> {
        let flavour = Flavour::EXACT.fitting(transaction.repo().mode());
        let files = |content: &Content| self.known.object(content);
        let Root { tree, meta } = write_tree(cx, transaction, &self.tree, &files, flavour)?;
        Ok((tree, meta))
    }
}

impl Sink for KeptSink<'_> {
    fn put(&self, blob: &Descriptor, origin: &dyn Origin, _: &Hints) -> Result<Put> {
        let put = match blob.media_type.role() {
            Role::Layer(layer) => self.put_layer(blob, layer, origin),
            Role::Manifest | Role::Index | Role::Config => self.put_document(blob, origin),
            Role::Unknown => self.put_whole(blob, origin),
        };
        put.map_err(|fault| unless_full(self.repo.dir().path(), fault))
    }

    fn has(&self, _: &Name, root: &Descriptor, _: Depth) -> Result<bool> {
        let Some(name) = &self.name else { return Ok(false) };
        if self.style == Style::Former && root.media_type.role() == Role::Index {
            return Err(Error::from(LayersError::NoIndexes).into());
        }
        let Some(note) = self.find(name)? else { return Ok(false) };
        if note.root.digest != root.digest {
            return Ok(false);
        }
        // An index may have been kept in part.
        for blob in note.named() {
            if !note.documents.contains_key(&blob.digest) && !self.keeps(&blob)? {
                return Ok(false);
            }
        }
        let mut all = self.documents();
        for document in note.manifests() {
            let bytes = note.documents[&document.digest].clone();
            all.insert(document.digest.clone(), (document, bytes));
        }
        all.extend(note.configs());
        Ok(true)
    }

    fn foresee(&self, blob: &Descriptor) -> Result<Put> {
        let is_document = matches!(blob.media_type.role(), Role::Manifest | Role::Index | Role::Config);
        Ok(if !is_document && self.keeps(blob)? { Put::Held } else { Put::Copied })
    }

    fn begin(&self, _: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        let tmp = self.repo.dir().make_or_open_dir("tmp", 0o777).map_err(Error::from)?;
        Ok(Box::new(Begun { sink: self, file: tmp.spool()? }))
    }

    fn unnamed(&self) -> Unnamed {
        Unnamed::Nothing
    }

    fn opens_layers(&self) -> bool {
        true
    }

    fn finish_if(self: Box<Self>, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()> {
        self.publish(roots, seen).map_err(|fault| unless_full(self.repo.dir().path(), fault))
    }
}

impl KeptSink<'_> {
    /// Those who keep images write their refs one after another, so that each finds what it saw, or not.
    fn publish(&self, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()> {
        let ([(_, root), others @ ..], Some(name)) = (roots, &self.name) else { return Ok(()) };
        if others.iter().any(|(_, other)| other.digest != root.digest) {
            return Err(Error::from(LayersError::OneImageOnly { count: roots.len() }).into());
        }
        let note = self.note(root)?;
        let transaction = self.repo.begin(&self.cx)?;
        let refs = self.repo.dir().open_dir("refs").map_err(Error::from)?;
        let _alone = refs.lock(Share::Exclusive, Wait::Yes).map_err(Error::from)?;
        port::check_whole(seen, &self.standing(name)?)?;
        if self.style == Style::Former {
            former::put(&transaction, name, &note)?;
            transaction.finish()?;
            return Ok(());
        }
        let (tree, meta) = self.tree(&transaction, &note)?;
        let commit = Commit {
            metadata: note.to_dict(),
            parent: None,
            related: Vec::new(),
            subject: name.to_string(),
            body: String::new(),
            time: time_of(&note),
            tree,
            meta,
        };
        let id = transaction.put(Kind::Commit, &commit.to_bytes())?;
        transaction.set_ref(&self.style.spec_of(name)?, Some(&id));
        transaction.finish()?;
        Ok(())
    }

    /// The image that is kept under the name.
    fn standing(&self, name: &str) -> Result<Vec<(Name, Descriptor)>> {
        Ok(self.find(name)?.into_iter().map(|note| (Name::Untagged, note.root)).collect())
    }

    fn find(&self, name: &str) -> Result<Option<ImageNote>> {
        match self.style {
            Style::Bootc => super::find(&self.repo, name),
            Style::Former => former::find(&self.repo, name),
        }
    }
}

/// A blob that is written here.
struct Begun<'a, 'c> {
    sink: &'a KeptSink<'c>,
    file: File,
}

impl Write for Begun<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for Begun<'_, '_> {
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<()> {
        self.sink.put(blob, &Spooled(self.file), &Hints::default()).map(drop)
    }
}

struct Spooled(File);

impl Origin for Spooled {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(From { file: &self.0, at }))
    }
}

/// Reads a file by position.
struct From<'a> {
    file: &'a File,
    at: u64,
}

impl Read for From<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
