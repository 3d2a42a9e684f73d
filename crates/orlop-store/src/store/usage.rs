//! What is where in a store, and which image needs how much of it.
//!
//! Invariant: what is mounted in a store is another file system's and does not count; what others remove meanwhile neither.

use super::layer::Held;
use super::names::Record;
use super::{Store, format};
use crate::reach::{self, Damage};
use orlop_fs::{Dir, FileKind, Stat, temp};
use orlop_spec::digest::{AnyDigest, DiffId, Digest};
use orlop_spec::media_type::Role;
use orlop_spec::port::{Name, Result};
use orlop_spec::{Context, Descriptor, Diagnose as _};
use std::collections::{HashMap, HashSet};
use std::iter;

/// What a store occupies.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// By kind, in the order of what depends on what.
    pub parts: Vec<Part>,
    /// By image, in the order of their first names.
    pub images: Vec<OfImage>,
}

/// Things of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What they are, in the plural.
    pub what: &'static str,
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that they occupy on the disk.
    pub occupied: u64,
}

/// One image, under all its names.
#[derive(Clone, Debug)]
pub struct OfImage {
    /// Its names, sorted.
    pub names: Vec<Name>,
    /// What they stand for.
    pub root: Descriptor,
    /// Bytes of documents, kept blobs, lists and contents that it needs.
    pub bytes: u64,
    /// Of these, what no other image needs.
    pub unique: u64,
}

impl Store {
    /// Counts everything. Lists of layers are read, contents only looked at.
    pub fn usage(&self, cx: &Context<'_>) -> Result<Usage> {
        self.hold()?;
        let images = self.usage_of_images(cx)?;
        let (documents, blobs) = self.blobs_by_kind()?;
        let parts = vec![
            self.part("names", format::NAMES, cx)?,
            documents,
            blobs,
            self.part("forms", format::FORMS, cx)?,
            self.part("layers", format::LAYERS, cx)?,
            self.part("contents", format::OBJECTS, cx)?,
            self.part("trees", format::TREES, cx)?,
            self.part("mounts", format::MOUNTS, cx)?,
            self.part("containers", format::RUNS, cx)?,
        ];
        Ok(Usage { parts, images })
    }

    fn part(&self, what: &'static str, folder: &str, cx: &Context<'_>) -> Result<Part> {
        let mut part = Part { what, count: 0, bytes: 0, occupied: 0 };
        let mut folders = vec![self.root.open_dir(folder)?];
        let own = self.root.stat_self()?.dev;
        while let Some(folder) = folders.pop() {
            cx.cancel.check()?;
            for name in folder.list()? {
                let Some(stat) = folder.try_stat(&name)?.filter(|stat| stat.dev == own) else { continue };
                if stat.kind == FileKind::Directory {
                    folders.extend(below(&folder, &name)?);
                } else {
                    part.add(&stat);
                }
            }
        }
        Ok(part)
    }

    /// Blobs that are layers by their forms, and all others.
    fn blobs_by_kind(&self) -> Result<(Part, Part)> {
        let of = |what| Part { what, count: 0, bytes: 0, occupied: 0 };
        let (mut documents, mut layers) = (of("documents"), of("kept blobs"));
        let blobs = self.root.open_dir(format::BLOBS)?;
        for algorithm in blobs.list()?.iter().filter(|name| !temp::is_temp_name(name)) {
            let folder = blobs.open_dir(algorithm)?;
            for name in folder.list()? {
                let Some(stat) = folder.try_stat(&name)? else { continue };
                let digest = std::str::from_utf8(&name).ok().and_then(|hex| {
                    format!("{}:{hex}", String::from_utf8_lossy(algorithm)).parse::<Digest>().ok()
                });
                let form = digest.and_then(|digest| self.forms.get(&digest).ok().flatten());
                if form.is_some() { layers.add(&stat) } else { documents.add(&stat) }
            }
        }
        Ok((documents, layers))
    }

    fn usage_of_images(&self, cx: &Context<'_>) -> Result<Vec<OfImage>> {
        let mut images: Vec<OfImage> = Vec::new();
        let mut places: HashMap<AnyDigest, usize> = HashMap::new();
        for Record { name, root, .. } in self.names.all()?.0 {
            let place = *places.entry(root.digest.clone()).or_insert(images.len());
            match images.get_mut(place) {
                Some(image) => image.names.push(name),
                None => images.push(OfImage { names: vec![name], root, bytes: 0, unique: 0 }),
            }
        }
        let mut shares = Shares::default();
        for (number, image) in images.iter().enumerate() {
            cx.cancel.check()?;
            shares.take(self, number, &image.root)?;
        }
        for (number, bytes, holders) in shares.held() {
            images[number].bytes += bytes;
            if holders == 1 {
                images[number].unique += bytes;
            }
        }
        Ok(images)
    }
}

impl Part {
    fn add(&mut self, stat: &Stat) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(stat.size);
        self.occupied = self.occupied.saturating_add(stat.allocated);
    }
}

/// A folder that is still there.
fn below(folder: &Dir, name: &[u8]) -> Result<Option<Dir>> {
    match folder.open_dir(name) {
        Err(error) if error.is_not_found() => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

/// What is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Thing {
    Blob(Digest),
    Layer(DiffId),
    Object(Digest),
}

/// Which images need what. Contents are counted by layer: an image has all of a layer, or none.
#[derive(Default)]
struct Shares {
    /// Bytes of a thing, and the images that have it.
    blobs: HashMap<Thing, (u64, Vec<usize>)>,
    /// Contents of layers that were read, and their bytes.
    contents: HashMap<DiffId, Vec<(Digest, u64)>>,
}

impl Shares {
    fn take(&mut self, store: &Store, image: usize, root: &Descriptor) -> Result<()> {
        let mut layers = HashSet::new();
        let mut others = HashSet::new();
        let see = &mut |found: &Descriptor, reached: &reach::Reached| {
            others.extend(found.digest.known().ok().map(|digest| (*digest, found.size)));
            let reach::Reached::Manifest(manifest) = reached else { return };
            for blob in manifest.blobs() {
                let Ok(digest) = blob.digest.known() else { continue };
                if matches!(blob.media_type.role(), Role::Layer(_)) {
                    layers.insert(*digest);
                } else {
                    others.insert((*digest, blob.size));
                }
            }
        };
        reach::reach(store, &store.limits, iter::once(root.clone()), Damage::PassBy, see)?;
        for (digest, size) in others {
            self.add(Thing::Blob(digest), size, image);
        }
        for digest in layers {
            self.layer(store, image, &digest)?;
        }
        Ok(())
    }

    fn layer(&mut self, store: &Store, image: usize, blob: &Digest) -> Result<()> {
        let size = |item: &super::fsck::Item| {
            let file = store.root.open_beneath(item.path());
            file.and_then(|file| file.size()).unwrap_or(0)
        };
        let kept = size(&super::fsck::Item::Blob((*blob).into()));
        if kept > 0 {
            self.add(Thing::Blob(*blob), kept, image);
        }
        let Some(form) = store.forms.get(blob).ok().flatten() else { return Ok(()) };
        let list = size(&super::fsck::Item::Layer(form.diff_id));
        self.add(Thing::Layer(form.diff_id), list, image);
        for (digest, bytes) in self.contents_of(store, &form.diff_id)? {
            self.add(Thing::Object(digest), bytes, image);
        }
        Ok(())
    }

    fn contents_of(&mut self, store: &Store, diff_id: &DiffId) -> Result<Vec<(Digest, u64)>> {
        if let Some(known) = self.contents.get(diff_id) {
            return Ok(known.clone());
        }
        let mut contents = Vec::new();
        let read = store.contents(diff_id, &mut |_, held| {
            if let Held::Object(object) = held {
                contents.push((object.digest, object.size));
            }
            Ok(())
        });
        match read {
            Err(fault) if !fault.is_absence() && fault.kind() != orlop_spec::Kind::Integrity => {
                return Err(fault);
            }
            _ => self.contents.insert(*diff_id, contents.clone()),
        };
        Ok(contents)
    }

    fn add(&mut self, thing: Thing, bytes: u64, image: usize) {
        let (_, images) = self.blobs.entry(thing).or_insert((bytes, Vec::new()));
        // Images come one after the other.
        if images.last() != Some(&image) {
            images.push(image);
        }
    }

    /// For each thing and each image that has it: the image, the bytes, and how many have it.
    fn held(&self) -> impl Iterator<Item = (usize, u64, usize)> {
        self.blobs
            .values()
            .flat_map(|(bytes, images)| images.iter().map(|image| (*image, *bytes, images.len())))
    }
}
