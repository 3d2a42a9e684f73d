//! What encapsulated layers hold, while they are decoded.
//!
//! ```text
//! layer ──decode──► Taking ──content, its attributes put to it──► whoever takes contents ──► ids by ordinal
//!                     └──► metadata, links, and what each content is called ──► Objects ──► Base
//! ```
//!
//! Invariant: metadata and links count only where they hash to their names. What contents hash to is known later: who took
//! them tells, and [`super::base::Base::prove`] compares.

use super::error::EncapsulatedError;
use super::object_at;
use crate::Error;
use crate::ostree::flavour::Flavour;
use crate::ostree::id::{Kind as Object, ObjectId, ObjectName};
use crate::ostree::object::{
    Commit, DirMeta, DirTree, FileHasher, FileHeader, LARGEST_METADATA, parse_file_xattrs, weight,
};
use crate::ostree::variant::Dict;
use crate::ostree::zeros::feed_zeros;
use orlop_layer::decode::Visit;
use orlop_layer::{Entry, Error as LayerError, Kind, Meta, TreePath, Xattrs};
use orlop_spec::{Cancel, Fault};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Bytes of the attributes of one file or folder: more than any file system keeps.
const MOST_XATTRS: u64 = 1 << 20;
/// Bytes of metadata and attributes of all layers; attributes that many share count for each.
pub(super) const MOST_HELD: u64 = 512 << 20;

/// Which entry of which layer.
pub(super) type Place = (u16, u32);

/// What was found in layers.
#[derive(Debug, Default)]
pub struct Objects {
    pub(super) commit: Option<Commit>,
    pub(super) detached: HashMap<ObjectId, Dict>,
    pub(super) trees: HashMap<ObjectId, Arc<DirTree>>,
    pub(super) metas: HashMap<ObjectId, DirMeta>,
    pub(super) links: HashMap<ObjectId, FileHeader>,
    /// Where the content of a file is.
    pub(super) files: HashMap<ObjectId, Place>,
    /// What the content there is called.
    pub(super) places: HashMap<Place, ObjectId>,
    /// Owners and modes of files without content.
    pub(super) empty: HashMap<ObjectId, Meta>,
}

/// Takes what layers hold, several at a time.
pub struct Gathering<'g> {
    cancel: &'g Cancel,
    found: Mutex<Objects>,
    held: AtomicU64,
    pub(super) most: u64,
    flavour: Flavour,
}

/// Takes what one layer holds; `V` takes its contents.
pub struct Taking<'a, V> {
    gathering: &'a Gathering<'a>,
    contents: V,
    layer: u16,
    found: Objects,
    /// By their SHA-256.
    xattrs: HashMap<ObjectId, Xattrs>,
    /// Which of them a file has.
    of_files: HashMap<ObjectId, ObjectId>,
    open: Open,
}

/// What comes.
enum Open {
    Nothing,
    /// An object that is held.
    Held(ObjectName, Vec<u8>),
    /// A content, and what it hashes to where whoever takes it will not tell.
    Content(ObjectName, Option<FileHasher>),
}

impl<'g> Gathering<'g> {
    /// Nothing is taken yet. `flavour` is what contents are put in.
    pub fn new(cancel: &'g Cancel, flavour: Flavour) -> Self {
        Self { cancel, found: Mutex::default(), held: AtomicU64::new(0), most: MOST_HELD, flavour }
    }

    /// What takes a layer.
    pub fn layer<V: Visit>(&self, layer: u16, contents: V) -> Taking<'_, V> {
        Taking {
            gathering: self,
            contents,
            layer,
            found: Objects::default(),
            xattrs: HashMap::new(),
            of_files: HashMap::new(),
            open: Open::Nothing,
        }
    }

    /// What all layers held.
    pub fn into_objects(self) -> Objects {
        self.found.into_inner().expect("no holder panics")
    }

    fn hold(&self, object: &ObjectName, size: u64) -> Result<(), EncapsulatedError> {
        let most = match object.kind {
            Object::FileXattrs | Object::FileXattrsLink | Object::DirMeta => MOST_XATTRS,
            _ => LARGEST_METADATA,
        };
        if size > most {
            return Err(EncapsulatedError::TooLarge { object: *object, size, most });
        }
        self.charge(size)
    }

    fn charge(&self, bytes: u64) -> Result<(), EncapsulatedError> {
        let (held, most) = (self.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes), self.most);
        if held > most { Err(EncapsulatedError::TooMuch { most }) } else { Ok(()) }
    }
}

impl<V: Visit> Taking<'_, V> {
    /// Begins an object.
    fn begin(&mut self, ordinal: u32, offset: u64, entry: &Entry) -> Result<(), Error> {
        let Some(object) = object_at(&entry.path) else { return Ok(()) };
        match (object.kind, &entry.kind) {
            (Object::PayloadLink | Object::Tombstone, _) => Ok(()),
            (Object::File, Kind::File { size }) => self.content(object, (ordinal, offset), *size, entry),
            (Object::File, Kind::Symlink { target }) => Ok(self.link(object, &entry.meta, target)?),
            (Object::FileXattrsLink, Kind::HardLink { target }) => Ok(self.attributes(object, target)?),
            (Object::FileXattrs | Object::FileXattrsLink, Kind::File { size }) => {
                Ok(self.held(object, *size)?)
            }
            (Object::FileXattrs | Object::FileXattrsLink | Object::File, _) => {
                Err(unexpected(object, "is neither a file nor a link").into())
            }
            (_, Kind::File { size }) if self.layer == 0 => Ok(self.held(object, *size)?),
            (_, Kind::File { .. }) => {
                Err(unexpected(object, "is not in the first layer, as all metadata should be").into())
            }
            _ => Err(unexpected(object, "is no file").into()),
        }
    }

    fn held(&mut self, object: ObjectName, size: u64) -> Result<(), EncapsulatedError> {
        self.gathering.hold(&object, size)?;
        self.open = Open::Held(object, Vec::new());
        Ok(())
    }

    /// What comes next has the attributes that a link leads to.
    fn attributes(&mut self, object: ObjectName, target: &TreePath) -> Result<(), EncapsulatedError> {
        let shared = object_at(target).filter(|target| target.kind == Object::FileXattrs);
        let shared = shared.filter(|shared| self.xattrs.contains_key(&shared.id));
        let shared = shared.ok_or(unexpected(object, "is a link to no attributes that came before it"))?;
        self.of_files.insert(object.id, shared.id);
        Ok(())
    }

    /// A file without attributes that were told has none, or is not what its id says.
    fn xattrs_of(&self, id: &ObjectId) -> Xattrs {
        let shared = self.of_files.get(id).and_then(|shared| self.xattrs.get(shared));
        shared.cloned().unwrap_or_default()
    }

    fn content(
        &mut self,
        object: ObjectName,
        (ordinal, offset): (u32, u64),
        size: u64,
        entry: &Entry,
    ) -> Result<(), Error> {
        let meta = Meta { xattrs: self.xattrs_of(&object.id), ..entry.meta.clone() };
        let is_changed = self.gathering.flavour != Flavour::EXACT;
        let hasher = is_changed.then(|| FileHasher::new(&Flavour::EXACT.file(&meta)));
        if size == 0 {
            self.found.empty.insert(object.id, Meta { xattrs: Xattrs::new(), ..meta.clone() });
        }
        let entry = Entry { path: entry.path.clone(), meta, kind: Kind::File { size } };
        self.contents.entry(ordinal, offset, &entry)?;
        let place = (self.layer, ordinal);
        self.found.files.insert(object.id, place);
        self.found.places.insert(place, object.id);
        self.open = Open::Content(object, hasher);
        Ok(())
    }

    fn link(&mut self, object: ObjectName, meta: &Meta, target: &[u8]) -> Result<(), EncapsulatedError> {
        let target = std::str::from_utf8(target);
        let target = target.map_err(|_| unexpected(object, "is a link whose target is not UTF-8"))?;
        let meta = Meta { xattrs: self.xattrs_of(&object.id), ..meta.clone() };
        self.gathering.charge(weight(&meta.xattrs))?;
        let header = Flavour::EXACT.link(&meta, target);
        proven(object, header.id())?;
        self.found.links.insert(object.id, header);
        Ok(())
    }

    /// Ends what came.
    fn close(&mut self) -> Result<(), EncapsulatedError> {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing | Open::Content(_, None) => Ok(()),
            Open::Content(object, Some(hasher)) => proven(object, hasher.finish()),
            Open::Held(object, bytes) => self.keep(object, &bytes),
        }
    }

    fn keep(&mut self, object: ObjectName, bytes: &[u8]) -> Result<(), EncapsulatedError> {
        let malformed = |why| EncapsulatedError::Malformed { object, why };
        let id = ObjectId::of(bytes);
        if !matches!(object.kind, Object::CommitMeta | Object::FileXattrsLink) {
            proven(object, id)?;
        }
        match object.kind {
            Object::Commit => self.found.begin(Commit::parse(bytes).map_err(malformed)?)?,
            Object::CommitMeta => {
                let said = Dict::parse(bytes).map_err(|why| malformed(why.into()))?;
                self.found.detached.insert(object.id, said);
            }
            Object::DirTree => {
                let tree = DirTree::parse(bytes).map_err(malformed)?;
                self.found.trees.insert(id, Arc::new(tree));
            }
            Object::DirMeta => {
                self.found.metas.insert(id, DirMeta::parse(bytes).map_err(malformed)?);
            }
            _ => {
                self.xattrs.insert(id, parse_file_xattrs(bytes).map_err(malformed)?);
                if object.kind == Object::FileXattrsLink {
                    self.of_files.insert(object.id, id);
                }
            }
        }
        Ok(())
    }
}

impl Objects {
    fn begin(&mut self, commit: Commit) -> Result<(), EncapsulatedError> {
        match &self.commit {
            Some(other) if *other != commit => {
                Err(EncapsulatedError::SeveralCommits { first: other.id(), second: commit.id() })
            }
            _ => {
                self.commit = Some(commit);
                Ok(())
            }
        }
    }

    /// Adds what another layer held.
    fn join(&mut self, other: Self) {
        self.commit = self.commit.take().or(other.commit);
        self.detached.extend(other.detached);
        self.trees.extend(other.trees);
        self.metas.extend(other.metas);
        self.links.extend(other.links);
        self.files.extend(other.files);
        self.places.extend(other.places);
        self.empty.extend(other.empty);
    }
}

impl<V: Visit> Visit for Taking<'_, V> {
    fn entry(&mut self, ordinal: u32, offset: u64, entry: &Entry) -> Result<(), LayerError> {
        self.close().map_err(failed)?;
        self.begin(ordinal, offset, entry).map_err(failed)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        match &mut self.open {
            Open::Nothing => Ok(()),
            Open::Held(_, held) => {
                held.extend_from_slice(bytes);
                Ok(())
            }
            Open::Content(_, hasher) => {
                if let Some(hasher) = hasher {
                    hasher.update(bytes);
                }
                self.contents.data(bytes)
            }
        }
    }

    fn hole(&mut self, length: u64) -> Result<(), LayerError> {
        feed_zeros(length, self.gathering.cancel, |zeros| self.data(zeros))
    }

    fn end(&mut self) -> Result<(), LayerError> {
        self.close().map_err(failed)?;
        self.contents.end()?;
        let found = std::mem::take(&mut self.found);
        self.gathering.found.lock().expect("no holder panics").join(found);
        Ok(())
    }
}

fn proven(object: ObjectName, found: ObjectId) -> Result<(), EncapsulatedError> {
    if found == object.id { Ok(()) } else { Err(EncapsulatedError::Damaged { object, found }) }
}

fn unexpected(object: ObjectName, what: &'static str) -> EncapsulatedError {
    EncapsulatedError::Unexpected { object, what }
}

fn failed(error: impl Into<Error>) -> LayerError {
    LayerError::Write(Fault::from(error.into()).into())
}
