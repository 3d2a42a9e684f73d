//! Manifests of what layers mean, and what was seen when things were compared with them.
//!
//! ```text
//! trees/HEX.manifest/manifest      what the tree holds; HEX is of the chain id of its layers
//!                    seen-objects  what a look at the objects of the tree saw
//!                    seen-image    at the image that is mounted
//!                    seen-DEV-INO  at a folder
//! ```
//!
//! Invariant: everything here can be made again. A manifest is what the lists of the layers say; one that is damaged is
//! replaced, and what was seen is believed for the manifest that it was seen with, and for nothing else.

use super::guard::Shelf;
use super::tree::Rendered;
use super::{Store, format};
use orlop_fs::owner::Owner;
use orlop_fs::verify::{Of, Seen, tells_changes};
use orlop_fs::{Dir, File, Persist, Stat, Temp, random, temp};
use orlop_layer::manifest::TreeManifest;
use orlop_layer::tree::Content;
use orlop_layer::{Error as LayerError, Time};
use orlop_spec::digest::{ChainId, DiffId};
use orlop_spec::port::Result;
use orlop_spec::{Fault, Limits};
use std::io::{BufWriter, Write as _};

const MANIFEST: &str = "manifest";
/// Bytes of a manifest, or of what was seen, that are read.
const LIMIT: u64 = 4 << 30;

/// Whether what is kept is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Manifests and what was seen.
    Kept,
    /// Nothing but lists and bytes.
    Nothing,
}

/// A manifest that the store keeps.
#[derive(Debug)]
pub struct Kept {
    /// The manifest.
    pub manifest: TreeManifest,
    /// Where it is; nowhere in a store that may only be read.
    folder: Option<Dir>,
    trust: Trust,
}

/// What was looked at, beside a manifest.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// The objects of the tree.
    Objects,
    /// The image of the tree.
    Image,
    /// A folder.
    Folder(&'a Stat, Owner),
}

impl Store {
    /// Whether the store knows what all these layers mean. They are relied on as long as it is open.
    pub fn knows(&self, layers: &[DiffId]) -> Result<bool> {
        self.hold()?;
        for layer in layers {
            if !self.touch_layer(layer)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The manifest of layers, base first: the one that is kept, else made out of their lists and kept. It is relied on as
    /// long as the store is open.
    pub fn manifest(&self, layers: &[DiffId], trust: Trust, limits: &Limits) -> Result<Kept> {
        self.hold()?;
        let hex = ChainId::of(layers).map_or_else(|| "empty".into(), |chain| chain.0.hex());
        let key = format!("{hex}.{MANIFEST}");
        let trees = Shelf::new(self.root().open_dir(format::TREES)?);
        let folder = match trees.rely_on(&key)? {
            Some(_) => Some(trees.folder().open_dir(&key)?),
            None => None,
        };
        if let (Some(folder), Trust::Kept) = (&folder, trust)
            && let Some(manifest) = read(folder, layers, limits)?
        {
            return Ok(Kept { manifest, folder: folder.try_clone().map(Some)?, trust });
        }
        let manifest = self.rendered(layers, limits)?.manifest(layers)?;
        let folder = match folder {
            Some(folder) => {
                mend(&folder, &manifest, layers, limits)?;
                Some(folder)
            }
            None => keep(&trees, &key, &manifest)?,
        };
        Ok(Kept { manifest, folder, trust })
    }
}

impl Rendered {
    /// The manifest of this tree, which these layers mean.
    pub fn manifest(&self, layers: &[DiffId]) -> Result<TreeManifest> {
        let content = |content: &Content| {
            let unknown = LayerError::BadTreeManifest { what: "no list holds a content" };
            self.digest(content).ok_or(unknown)
        };
        Ok(TreeManifest::of(&self.tree, ChainId::of(layers), content)?)
    }
}

impl Kept {
    /// What an earlier look saw, where it is believed.
    pub fn seen(&self, subject: Subject<'_>) -> Option<Seen> {
        self.seen_of(subject, &self.manifest)
    }

    /// As [`Kept::seen`], where something else than the tree itself was looked for.
    pub fn seen_of(&self, subject: Subject<'_>, manifest: &TreeManifest) -> Option<Seen> {
        if self.trust == Trust::Nothing {
            return None;
        }
        let folder = self.folder.as_ref().filter(|folder| tells_changes(folder))?;
        let mut file = folder.open_file(subject.name()).ok()?;
        Seen::parse(&file.read_to_limit(LIMIT).ok()?, manifest, subject.of())
    }

    /// A place for what a look is about to see; its time is from before the look. `None` where nothing can be noted.
    pub fn note(&self) -> Option<Note<'_>> {
        let temp = self.folder.as_ref().filter(|folder| tells_changes(folder))?.create_temp().ok()?;
        let now = temp.file().stat().ok()?.mtime;
        Some(Note { temp, now })
    }
}

/// A file for what a look sees.
#[derive(Debug)]
pub struct Note<'a> {
    temp: Temp<'a>,
    now: Time,
}

impl Note<'_> {
    /// When it was made, by the clock of the file system.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Keeps what was seen, in the place of what was seen before.
    pub fn keep(self, subject: Subject<'_>, seen: &Seen) -> Result<()> {
        let file = self.temp.file();
        file.write_at(&seen.to_bytes(), 0)?;
        file.set_mode(0o600)?;
        self.temp.persist(subject.name(), Persist::Replace)?;
        Ok(())
    }
}

impl Subject<'_> {
    fn name(&self) -> String {
        match self {
            Self::Objects => "seen-objects".into(),
            Self::Image => "seen-image".into(),
            Self::Folder(stat, _) => format!("seen-{:x}-{:x}", stat.dev, stat.ino),
        }
    }

    fn of(&self) -> Of {
        match self {
            Self::Objects => Of::Objects,
            Self::Image => Of::Image,
            Self::Folder(_, owner) => Of::Folder(*owner),
        }
    }
}

/// The manifest that is kept; `None` where it is missing or damaged.
fn read(folder: &Dir, layers: &[DiffId], limits: &Limits) -> Result<Option<TreeManifest>> {
    let bytes = match folder.open_file(MANIFEST) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?.read_to_limit(LIMIT)?,
    };
    let manifest = TreeManifest::parse(&bytes, limits).ok();
    Ok(manifest.filter(|manifest| manifest.chain() == ChainId::of(layers).as_ref()))
}

/// Replaces a manifest that is another, where that can be.
fn mend(folder: &Dir, manifest: &TreeManifest, layers: &[DiffId], limits: &Limits) -> Result<()> {
    if read(folder, layers, limits)?.is_some_and(|kept| kept == *manifest) || !folder.is_writable() {
        return Ok(());
    }
    let temp = folder.create_temp()?;
    temp.file().set_mode(0o444)?;
    write(manifest, temp.file().try_clone()?)?;
    temp.persist(MANIFEST, Persist::Replace)?;
    Ok(folder.sync()?)
}

/// Keeps a new manifest. Another run may be quicker: that one's is as good.
fn keep(trees: &Shelf, key: &str, manifest: &TreeManifest) -> Result<Option<Dir>> {
    if !trees.folder().is_writable() {
        return Ok(None);
    }
    let name = random::name(temp::PREFIX);
    trees.folder().make_dir(&name, 0o700)?;
    let made = fill(trees, &name, manifest)
        .and_then(|()| Ok(trees.folder().rename_new(&name, trees.folder(), key)?));
    if let Err(fault) = made {
        // What cannot be removed now, a sweep removes.
        trees.folder().remove_all(&name).ok();
        if trees.rely_on(key)?.is_none() {
            return Err(fault);
        }
    }
    trees.folder().sync()?;
    Ok(Some(trees.folder().open_dir(key)?))
}

fn fill(trees: &Shelf, name: &[u8], manifest: &TreeManifest) -> Result<()> {
    let folder = trees.folder().open_dir(name)?;
    write(manifest, folder.create_file(MANIFEST, 0o444)?)?;
    Ok(folder.sync()?)
}

fn write(manifest: &TreeManifest, file: File) -> Result<()> {
    let failed = |error| Fault::io("write the manifest of a tree", error);
    let mut out = BufWriter::with_capacity(1 << 20, file);
    manifest.write(&mut out).and_then(|()| out.flush()).map_err(failed)?;
    Ok(out.get_ref().sync_data()?)
}
