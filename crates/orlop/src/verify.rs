//! `verify`: whether a folder is what an image means, and what differs where it is not.
//!
//! ```text
//! image ──► layers, proven ──► tree ──► manifest ──┐
//!                                                  ├─ compared ──► differences
//! folder ──────────────────────────────────────────┘
//! bundle ─┬─ rootfs ──► as a folder
//!         └─ config.json ──► compared with what the image's config becomes
//! ```
//!
//! Invariant: nothing is followed, and nothing but a repair changes anything. What is compared with was proven before, down to the digests of
//! the contents.

mod kept;

pub use kept::{Harmed, Stored, WrongView, prove, repair_stored, stored, views};
pub use orlop_store::store::look::Harm;
pub use orlop_store::store::manifest::Trust;

use crate::diff::{self, Field};
use crate::error::Error;
use crate::hashed::Hashed;
use crate::image::Image;
use crate::unpack::{CONFIG, ROOTFS, runtime_config};
use orlop_fs::owner::Owner;
use orlop_fs::verify::{Difference, Found, Seen, Shape, Verify};
use orlop_fs::{Dir, FileKind, Persist};
use orlop_layer::manifest::{TreeManifest, What};
use orlop_layer::tree::{Content, Tree};
use orlop_layer::{Error as LayerError, Time};
use orlop_spec::port::Result;
use orlop_spec::runtime::Options;
use orlop_spec::{ChainId, Context, DiffId, Event, json};
use orlop_store::Store;
use orlop_store::store::manifest::{Kept, Note, Subject};
use std::borrow::Cow;
use std::path::Path;

/// What the layers of an image mean, with the digests of all contents.
#[derive(Debug)]
pub struct Meant<'a> {
    layers: &'a [DiffId],
    from: From<'a>,
}

/// Where it is known from.
#[derive(Debug)]
enum From<'a> {
    /// The layers were read.
    Layers(Box<Tree>, Box<TreeManifest>),
    /// The store knows them.
    Store(&'a Store, Box<Kept>),
}

impl<'a> Meant<'a> {
    /// What the store knows, or what the layers say: then each is read and proven.
    pub fn of(
        cx: &Context<'_>,
        image: &'a Image<'_>,
        store: Option<&'a Store>,
        trust: Trust,
    ) -> Result<Self> {
        let layers = &image.config().rootfs.diff_ids;
        match store {
            Some(store) if store.knows(layers)? => {
                let kept = store.manifest(layers, trust, cx.limits)?;
                Ok(Self { layers, from: From::Store(store, Box::new(kept)) })
            }
            _ => Self::read(cx, image),
        }
    }

    fn read(cx: &Context<'_>, image: &'a Image<'_>) -> Result<Self> {
        let layers = &image.config().rootfs.diff_ids;
        let hashed = Hashed::of_image(cx, image)?;
        let content = |content: &Content| {
            let unknown = LayerError::BadTreeManifest { what: "the digest of a content is not known" };
            hashed.digest(content).copied().ok_or(unknown)
        };
        let manifest = TreeManifest::of(&hashed.tree, ChainId::of(layers), content)?;
        Ok(Self { layers, from: From::Layers(Box::new(hashed.tree), Box::new(manifest)) })
    }

    /// Its manifest.
    pub fn manifest(&self) -> &TreeManifest {
        match &self.from {
            From::Layers(_, manifest) => manifest,
            From::Store(_, kept) => &kept.manifest,
        }
    }

    fn tree(&self, cx: &Context<'_>) -> Result<Cow<'_, Tree>> {
        match &self.from {
            From::Layers(tree, _) => Ok(Cow::Borrowed(tree)),
            From::Store(store, _) => Ok(Cow::Owned(store.rendered(self.layers, cx.limits)?.tree)),
        }
    }

    /// Compares a root folder by what an earlier look saw, where the store knows the tree, and notes what this one sees.
    fn compared(&self, cx: &Context<'_>, root: &Dir, owner: Owner) -> Result<Found> {
        let shape = Shape::Whole;
        let From::Store(_, kept) = &self.from else {
            return tree(cx, self.manifest(), root, &How { owner, shape, seen: None, now: None });
        };
        let stat = root.stat_self()?;
        let subject = Subject::Folder(&stat, owner);
        let (seen, note) = (kept.seen(subject), kept.note());
        let now = note.as_ref().map(Note::now);
        let found = tree(cx, self.manifest(), root, &How { owner, shape, seen: seen.as_ref(), now })?;
        if let Some(note) = note.filter(|_| seen.as_ref() != Some(&found.seen)) {
            note.keep(subject, &found.seen)?;
        }
        Ok(found)
    }
}

/// How a folder is verified.
#[derive(Clone, Copy)]
pub struct How<'a> {
    /// What was done about owners when the folder was made.
    pub owner: Owner,
    /// What is compared of files.
    pub shape: Shape,
    /// What an earlier look saw, where it is believed.
    pub seen: Option<&'a Seen>,
    /// A time before the look, by the clock of the file system; without it nothing is noted.
    pub now: Option<Time>,
}

/// What verifying a folder came to.
#[derive(Debug, Default)]
pub struct Verified {
    /// What differs in the tree, sorted by path.
    pub files: Vec<Difference>,
    /// Members that differ of a bundle's `config.json`.
    pub config: Vec<Field>,
}

impl Verified {
    /// Whether nothing differs.
    pub fn is_as_meant(&self) -> bool {
        self.files.is_empty() && self.config.is_empty()
    }
}

/// Compares a folder that the user named with what an image means. A folder that holds `rootfs`, which the image does
/// not, is a bundle: its `rootfs` is compared, and its `config.json`, which was made with the options.
pub fn folder(
    cx: &Context<'_>,
    image: &Image<'_>,
    meant: &Meant<'_>,
    path: &Path,
    (owner, runtime): (Owner, &Options),
) -> Result<Verified> {
    let outer = Dir::open(path)?;
    let Some(root) = rootfs(&outer, meant.manifest())? else {
        let files = meant.compared(cx, &outer, owner)?.differences;
        return Ok(Verified { files, config: Vec::new() });
    };
    let files = meant.compared(cx, &root, owner)?.differences;
    let expected = runtime_config(cx, image, &*meant.tree(cx)?, &root, runtime)?.to_bytes();
    Ok(Verified { files, config: config(cx, &outer, &expected)? })
}

/// Makes right what differs in a folder, and tells what does not afterwards. Contents are those of the store.
pub fn repair(
    cx: &Context<'_>,
    image: &Image<'_>,
    meant: &Meant<'_>,
    path: &Path,
    (owner, runtime): (Owner, &Options),
    found: &Verified,
) -> Result<Verified> {
    let From::Store(store, _) = &meant.from else { return Err(NOT_STORED.into()) };
    let outer = Dir::open(path)?;
    let rootfs = rootfs(&outer, meant.manifest())?;
    let root = rootfs.as_ref().unwrap_or(&outer);
    store.mend_folder(cx, meant.layers, root, owner, &found.files)?;
    if let (Some(root), false) = (&rootfs, found.config.is_empty()) {
        let config = runtime_config(cx, image, &*meant.tree(cx)?, root, runtime)?.to_bytes();
        outer.remove_all(CONFIG)?;
        let temp = outer.create_temp()?;
        temp.file().write_at(&config, 0)?;
        temp.file().set_mode(0o644)?;
        temp.persist(CONFIG, Persist::Replace)?;
    }
    root.sync_fs()?;
    folder(cx, image, meant, path, (owner, runtime))
}

const NOT_STORED: Error = Error::Unfit {
    what: "a repair takes contents from the store, which does not have the layers of this image",
    hint: "put the image into the store first: orlop copy REF store:NAME",
};

/// Compares a folder with a manifest.
pub fn tree(cx: &Context<'_>, manifest: &TreeManifest, folder: &Dir, how: &How<'_>) -> Result<Found> {
    let item = folder.path().display().to_string();
    let total = Some(size(manifest)).filter(|_| how.seen.is_none());
    cx.observer.event(Event::Started { phase: "verify", item: item.clone(), total });
    let progress = |bytes| cx.observer.event(Event::Advanced { item: item.clone(), bytes });
    let verify = Verify {
        owner: how.owner,
        shape: how.shape,
        workers: cx.workers,
        seen: how.seen,
        now: how.now,
        cancel: cx.cancel,
        progress: &progress,
    };
    let found = orlop_fs::verify::verify(folder, manifest, &verify)?;
    cx.observer.event(Event::Finished { item: item.clone() });
    Ok(found)
}

/// The root of a bundle; `None` where the folder is none.
fn rootfs(folder: &Dir, manifest: &TreeManifest) -> Result<Option<Dir>> {
    let is_folder = folder.try_stat(ROOTFS)?.is_some_and(|stat| stat.kind == FileKind::Directory);
    let is_bundle = is_folder && manifest.child(manifest.root(), ROOTFS.as_bytes()).is_none();
    if is_bundle { Ok(Some(folder.open_dir(ROOTFS)?)) } else { Ok(None) }
}

/// Bytes of all contents.
fn size(manifest: &TreeManifest) -> u64 {
    let sizes = manifest.ids().map(|id| match manifest.node(id).what {
        What::File { size, .. } => size,
        _ => 0,
    });
    sizes.sum()
}

/// What differs between a bundle's configuration and the one that it should have.
fn config(cx: &Context<'_>, bundle: &Dir, expected: &[u8]) -> Result<Vec<Field>> {
    let field = |after: &str| Field { name: CONFIG.into(), before: "a file".into(), after: after.into() };
    let found = match bundle.try_stat(CONFIG)?.map(|stat| stat.kind) {
        None => return Ok(vec![field("absent")]),
        Some(FileKind::File) => bundle.open_file(CONFIG)?.read_to_limit(cx.limits.document)?,
        Some(_) => return Ok(vec![field("no file")]),
    };
    if found == expected {
        return Ok(Vec::new());
    }
    match (json::value(expected), json::value(&found)) {
        (Ok(expected), Ok(found)) => Ok(diff::values(&expected, &found)),
        _ => Ok(vec![field("no JSON")]),
    }
}
