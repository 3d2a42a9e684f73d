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
//! Invariant: nothing is changed, and nothing is followed. What is compared with was proven before, down to the digests of
//! the contents.

mod kept;

pub use kept::{Harmed, Stored, WrongView, prove, stored};
pub use orlop_store::store::look::Harm;
pub use orlop_store::store::manifest::Trust;

use crate::diff::{self, Field};
use crate::hashed::Hashed;
use crate::image::Image;
use crate::unpack::{CONFIG, ROOTFS, runtime_config};
use orlop_fs::owner::Owner;
use orlop_fs::verify::{Difference, Found, Seen, Shape, Verify};
use orlop_fs::{Dir, FileKind};
use orlop_layer::manifest::{TreeManifest, What};
use orlop_layer::tree::{Content, Tree};
use orlop_layer::{Error as LayerError, Time};
use orlop_spec::port::Result;
use orlop_spec::runtime::Options;
use orlop_spec::{ChainId, Context, DiffId, Digest, Event, json};
use std::path::Path;

/// What the layers of an image mean, with the digests of all contents.
#[derive(Debug)]
pub struct Meant {
    tree: Tree,
    manifest: TreeManifest,
}

impl Meant {
    /// Reads and proves every layer.
    pub fn of_image(cx: &Context<'_>, image: &Image<'_>) -> Result<Self> {
        let hashed = Hashed::of_image(cx, image)?;
        let digest = |content: &Content| hashed.digest(content).copied();
        Self::of(hashed.tree.clone(), &image.config().rootfs.diff_ids, digest)
    }

    /// The tree of layers, base first, of which `digest` knows the contents.
    pub fn of(tree: Tree, layers: &[DiffId], digest: impl Fn(&Content) -> Option<Digest>) -> Result<Self> {
        let content = |content: &Content| {
            let unknown = LayerError::BadTreeManifest { what: "the digest of a content is not known" };
            digest(content).ok_or(unknown)
        };
        let manifest = TreeManifest::of(&tree, ChainId::of(layers), content)?;
        Ok(Self { tree, manifest })
    }

    /// Its manifest.
    pub fn manifest(&self) -> &TreeManifest {
        &self.manifest
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

/// What verifying came to.
#[derive(Debug, Default)]
pub struct Verified {
    /// What differs in the tree, sorted by path.
    pub files: Vec<Difference>,
    /// Members that differ of a bundle's `config.json`.
    pub config: Vec<Field>,
    /// What was seen, for the next look.
    pub seen: Seen,
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
    meant: &Meant,
    path: &Path,
    (how, runtime): (&How<'_>, &Options),
) -> Result<Verified> {
    let outer = Dir::open(path)?;
    if !is_bundle(&outer, &meant.manifest)? {
        return Ok(compared(tree(cx, &meant.manifest, &outer, how)?, Vec::new()));
    }
    let root = outer.open_dir(ROOTFS)?;
    let found = tree(cx, &meant.manifest, &root, how)?;
    let config = config(cx, (image, meant), (&outer, &root), runtime)?;
    Ok(compared(found, config))
}

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

fn compared(found: Found, config: Vec<Field>) -> Verified {
    Verified { files: found.differences, config, seen: found.seen }
}

fn is_bundle(folder: &Dir, manifest: &TreeManifest) -> Result<bool> {
    let rootfs = folder.try_stat(ROOTFS)?;
    let is_folder = rootfs.is_some_and(|stat| stat.kind == FileKind::Directory);
    Ok(is_folder && manifest.child(manifest.root(), ROOTFS.as_bytes()).is_none())
}

/// Bytes of all contents.
fn size(manifest: &TreeManifest) -> u64 {
    let sizes = manifest.ids().map(|id| match manifest.node(id).what {
        What::File { size, .. } => size,
        _ => 0,
    });
    sizes.sum()
}

/// What differs between a bundle's configuration and the one that the image becomes with the same options.
fn config(
    cx: &Context<'_>,
    (image, meant): (&Image<'_>, &Meant),
    (outer, root): (&Dir, &Dir),
    options: &Options,
) -> Result<Vec<Field>> {
    let field = |after: &str| Field { name: CONFIG.into(), before: "a file".into(), after: after.into() };
    let expected = runtime_config(cx, image, &meant.tree, root, options)?;
    let found = match outer.try_stat(CONFIG)?.map(|stat| stat.kind) {
        None => return Ok(vec![field("absent")]),
        Some(FileKind::File) => outer.open_file(CONFIG)?.read_to_limit(cx.limits.document)?,
        Some(_) => return Ok(vec![field("no file")]),
    };
    if found == expected {
        return Ok(Vec::new());
    }
    match (json::value(&expected), json::value(&found)) {
        (Ok(expected), Ok(found)) => Ok(diff::configs(&expected, &found)),
        _ => Ok(vec![field("no JSON")]),
    }
}
