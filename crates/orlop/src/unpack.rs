//! `unpack` and `bundle`: an image becomes a root filesystem.
//!
//! ```text
//! layers ──decode, in parallel──► staging: contents    ┐
//!             └─► trees ──stack──► the merged tree ────┴─► assemble ──► (config.json) ──► publish
//! ```
//!
//! Where the place keeps contents as files, they are shared or copied instead: see `kept`.
//!
//! Invariant: nothing appears at the target before every layer was proven and the tree is whole.

use crate::hashed::{Digests, FileHasher};
use crate::image::Image;
use crate::kept::KeptImage;
use crate::layers::{self, DirLinks};
use crate::run::{ACCOUNTS, warn_of_lost_groups};
use crate::track::About;
use orlop_fs::Dir;
use orlop_fs::owner::Owner;
use orlop_fs::rooted::read_small;
use orlop_fs::snapshot::{Facts, RecordId, Snapshot};
use orlop_fs::staging::{Apply, Detail, Durable, Existing, LayerWriter, Report, Staging, Written};
use orlop_fs::track::{self, Take};
use orlop_host::aci::into_config::{Files, original};
use orlop_host::aci::into_runtime;
use orlop_layer::decode::Visit;
use orlop_layer::path::printable;
use orlop_layer::tree::{InodeKind, Tree};
use orlop_layer::{Entry, Error as LayerError, TreePath};
use orlop_spec::port::Result;
use orlop_spec::runtime::{self, Rootfs};
use orlop_spec::{Context, Event};
use std::path::Path;
use std::sync::Mutex;

/// The folder of a bundle that holds the root filesystem.
pub const ROOTFS: &str = "rootfs";
/// The file of a bundle that a runtime reads.
pub const CONFIG: &str = "config.json";

/// How a tree is put on the disk.
#[derive(Clone, Debug)]
pub struct Unpack {
    /// What is done about owners.
    pub owner: Owner,
    /// How much of what entries say comes to be.
    pub detail: Detail,
    /// What to do with a target that is there.
    pub existing: Existing,
    /// Whether the tree survives a loss of power.
    pub sync: Durable,
    /// The folder of the image that is unpacked; all of it where this is the root.
    pub subdir: TreePath,
    /// Whether a snapshot is kept, and by what reference the image is found then.
    pub track: Option<String>,
}

/// What was unpacked.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// Paths of the merged tree.
    pub entries: u64,
    /// What could not be kept.
    pub report: Report,
}

/// Unpacks the root filesystem of an image as `target`.
pub fn unpack(cx: &Context<'_>, image: &Image<'_>, target: &Path, how: &Unpack) -> Result<Unpacked> {
    let snapshot_place = how.track.as_ref().map(|_| track::Place::beside(target)).transpose()?;
    snapshot_place.as_ref().map_or(Ok(()), track::Place::check)?;
    let mut staging = Staging::create(target, how.existing, apply(cx, how))?;
    let Filled { tree, report, digests } = fill(cx, image, &mut staging, how)?;
    let snapshot = snapshot(cx, image, &staging, how, (&tree, &digests))?;
    let root = staging.publish(how.sync)?;
    if let (Some(mut snapshot), Some(place)) = (snapshot, snapshot_place) {
        // Its mode is set last, and one that was there before keeps its number.
        snapshot.set_facts(RecordId::ROOT, Facts::of(&root.stat_self()?));
        place.write(&snapshot)?;
    }
    Ok(Unpacked { entries: tree.len(), report })
}

/// Unpacks an image as a runtime's bundle: `rootfs` and `config.json` in the folder `target`.
pub fn bundle(
    cx: &Context<'_>,
    image: &Image<'_>,
    target: &Path,
    how: &Unpack,
    options: &runtime::Options,
) -> Result<Unpacked> {
    runtime::check(image.config(), options)?;
    let mut staging = Staging::create(target, how.existing, apply(cx, how))?;
    let Filled { tree, report, digests } = fill(cx, image, &mut staging, how)?;
    let root = staging.root().expect("the tree was put together");
    let config = runtime_config(cx, image, &tree, root, options)?;
    warn_of_obeyed(cx, &config.obeyed);
    let config = config.to_bytes();
    let snapshot = snapshot(cx, image, &staging, how, (&tree, &digests))?;
    staging.wrap(ROOTFS, &[(CONFIG, &config)])?;
    if let (Some(mut snapshot), Some(root)) = (snapshot, staging.root()) {
        snapshot.set_facts(RecordId::ROOT, Facts::of(&root.stat_self()?));
        staging.add(track::IN_BUNDLE, &snapshot.to_bytes())?;
    }
    staging.publish(how.sync)?;
    Ok(Unpacked { entries: tree.len(), report })
}

/// What the tree that was put together is, where that is kept.
fn snapshot(
    cx: &Context<'_>,
    image: &Image<'_>,
    staging: &Staging<'_>,
    how: &Unpack,
    (tree, digests): (&Tree, &Digests),
) -> Result<Option<Snapshot>> {
    let (Some(reference), Some(root)) = (&how.track, staging.root()) else { return Ok(None) };
    let sha256 = |content: &orlop_layer::tree::Content| {
        digests.get(&(content.layer, content.ordinal)).and_then(|digest| digest.bytes().try_into().ok())
    };
    let take = Take {
        owner: how.owner,
        tree,
        sha256: &sha256,
        now: track::clock(root),
        journal: None,
        limits: cx.limits,
        cancel: cx.cancel,
    };
    let mut snapshot = track::take(root, &take)?;
    snapshot.about = About::of(image, reference).to_bytes();
    Ok(Some(snapshot))
}

fn apply<'a>(cx: &Context<'a>, how: &Unpack) -> Apply<'a> {
    let Context { observer, cancel, .. } = *cx;
    Apply {
        owner: how.owner,
        detail: how.detail,
        subdir: how.subdir.clone(),
        observer,
        cancel,
        ..Apply::default()
    }
}

/// A tree that was put together.
struct Filled {
    tree: Tree,
    report: Report,
    /// Of the contents, where a snapshot wants them.
    digests: Digests,
}

/// Puts the merged tree together: out of contents that the place keeps as files, else of layers that are decoded.
fn fill(cx: &Context<'_>, image: &Image<'_>, staging: &mut Staging<'_>, how: &Unpack) -> Result<Filled> {
    let Some(kept) = KeptImage::open(cx, image)? else {
        let digests = Mutex::default();
        let hashed = how.track.is_some().then_some(&digests);
        let (tree, report) = decode(cx, image, staging, DirLinks::Replaced, hashed)?;
        return Ok(Filled { tree, report, digests: digests.into_inner().expect("no holder panics") });
    };
    let digests = if how.track.is_some() { kept.digests() } else { Digests::default() };
    let (tree, report) = kept.plant(cx, staging)?;
    Ok(Filled { tree, report, digests })
}

/// Decodes the layers into the staging and puts the merged tree together; `digests` takes those of contents.
pub(crate) fn decode(
    cx: &Context<'_>,
    image: &Image<'_>,
    staging: &mut Staging<'_>,
    links: DirLinks,
    digests: Option<&Mutex<Digests>>,
) -> Result<(Tree, Report)> {
    let written: Mutex<Vec<(u16, Written)>> = Mutex::default();
    let opened = layers::open(cx, "unpack", image, &|layer, decode| {
        let mut writer = staging.layer(layer)?;
        match digests {
            None => decode(&mut writer)?,
            Some(digests) => {
                let hasher = FileHasher::new(layer, digests);
                decode(&mut Both { hasher, writer: &mut writer })?;
            }
        }
        let finished = writer.finish(layer)?;
        written.lock().expect("no holder panics").push((layer, finished));
        Ok(())
    })?;
    let merged = layers::stack_by(links, opened.trees)?;
    let mut written = written.into_inner().expect("no holder panics");
    written.sort_by_key(|(layer, _)| *layer);
    let written: Vec<Written> = written.into_iter().map(|(_, written)| written).collect();
    cx.cancel.check()?;
    let report = staging.assemble(&merged, &written)?;
    Ok((merged, report))
}

/// Hashes contents as they are written.
struct Both<'a, 'b> {
    hasher: FileHasher<'a>,
    writer: &'a mut LayerWriter<'b>,
}

impl Visit for Both<'_, '_> {
    fn entry(&mut self, ordinal: u32, offset: u64, entry: &Entry) -> Result<(), LayerError> {
        self.hasher.entry(ordinal, offset, entry)?;
        Visit::entry(self.writer, ordinal, offset, entry)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        self.hasher.data(bytes)?;
        Visit::data(self.writer, bytes)
    }

    fn hole(&mut self, length: u64) -> Result<(), LayerError> {
        self.hasher.hole(length)?;
        Visit::hole(self.writer, length)
    }

    fn end(&mut self) -> Result<(), LayerError> {
        self.hasher.end()?;
        Visit::end(self.writer)
    }
}

/// Target of the symbolic link at a path of a tree, none of whose folders is a link.
pub(crate) fn link_of(tree: &Tree, path: &[u8]) -> Option<Vec<u8>> {
    match &tree.inode(tree.locate(path)?).kind {
        InodeKind::Symlink(target) => Some(target.to_vec()),
        _ => None,
    }
}

/// The runtime's configuration, with accounts and links of the image itself.
pub(crate) fn runtime_config(
    cx: &Context<'_>,
    image: &Image<'_>,
    tree: &Tree,
    root: &Dir,
    options: &runtime::Options,
) -> Result<runtime::Runtime> {
    let passwd = read_small(root, "/etc/passwd", ACCOUNTS)?;
    let group = read_small(root, "/etc/group", ACCOUNTS)?;
    let link = |path: &[u8]| link_of(tree, path);
    let rootfs = Rootfs { passwd: passwd.as_deref(), group: group.as_deref(), link: &link };
    let mut runtime = runtime::convert(image.config(), &rootfs, options)?;
    warn_of_lost_groups(cx, &runtime);
    let owner = |path: &str| owner_of(tree, path);
    let files = Files { rootfs, owner: &owner };
    // What only an App Container can say of how it runs is still carried.
    if let Some((manifest, _)) = original(&image.manifest().annotations, &files, image.config())
        && let Some(app) = &manifest.app
    {
        for unmet in into_runtime::confine(app, &mut runtime, &options.privilege) {
            cx.observer.event(Event::Warned(unmet.to_string()));
        }
    }
    Ok(runtime)
}

/// Who starts the bundle decides what the image may say to the runtime.
fn warn_of_obeyed(cx: &Context<'_>, labels: &[Box<str>]) {
    if !labels.is_empty() {
        let names = printable(&labels.join(", ")).into_owned();
        let text = format!(
            "labels became annotations that runtimes obey: {names}; where the image is not trusted, remove them from {CONFIG}"
        );
        cx.observer.event(Event::Warned(text));
    }
}

/// Owner and group of what stands at an absolute path of a tree.
pub(crate) fn owner_of(tree: &Tree, path: &str) -> Option<(u32, u32)> {
    let found = tree.resolve(path.trim_start_matches('/').as_bytes()).ok().flatten()?;
    let meta = &tree.inode(found).meta;
    Some((meta.uid, meta.gid))
}
