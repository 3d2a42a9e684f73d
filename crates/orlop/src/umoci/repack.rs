//! `umoci repack`: what was changed in a bundle as one layer on the image that it was unpacked from.
//!
//! Invariant: only the manifest that the bundle is of is changed, and none of its layers is read. A bundle is described anew
//! only after the image with its changes was published.

use super::unpack::describe_again;
use super::{SIZE, append, validate};
use crate::copy::{Copied, Platforms};
use crate::edit::{self, Piece, Revision, Step, Subject, Taken, fitting, sized};
use crate::form::Form;
use crate::image::Image;
use crate::index::Place;
use crate::unpack::ROOTFS;
use orlop_fs::Dir;
use orlop_fs::owner::Owner;
use orlop_fs::scan::Unrepresentable;
use orlop_fs::track::{Changes, Compare, Hash, Renew, Strays, Trust, compare};
use orlop_host::umoci::UmociError;
use orlop_host::umoci::meta::{self, MapOptions, Meta, Rootless};
use orlop_host::umoci::mtree::{Mtree, file_name};
use orlop_layer::codec::Codec;
use orlop_layer::encode::Encoded;
use orlop_layer::path::escape;
use orlop_layer::tree::Tree;
use orlop_layer::{Chunk, Entries, Entry, Error as LayerError, Time, TreePath};
use orlop_spec::config::{Config, History};
use orlop_spec::document::DocumentError;
use orlop_spec::port::{Catalog, Name, Result, Sink};
use orlop_spec::time::Timestamp;
use orlop_spec::{Algorithm, AnyDigest, Context, Descriptor};
use std::path::Path;

/// How changes become a layer.
#[derive(Clone, Debug, Default)]
pub struct Repack {
    /// How it is compressed; as the topmost layer that is compressed where nothing is said.
    pub codec: Option<Codec>,
    /// Paths at and beneath which nothing counts as changed.
    pub masks: Vec<TreePath>,
    /// Whether the volumes of the image are such paths too.
    pub volumes: Volumes,
    /// What the history tells of it, where it tells anything.
    pub history: Option<Told>,
    /// The newest time that a file of the layer may have.
    pub latest: Option<Timestamp>,
}

/// Whether volumes are masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Volumes {
    /// What is in them is not the image's.
    #[default]
    Masked,
    /// They are folders like others.
    Watched,
}

/// A step of the history.
#[derive(Clone, Debug)]
pub struct Told {
    /// What it says.
    pub step: History,
    /// Whether it says who did it; else it was who made the image.
    pub signed: Signed,
}

/// Whether somebody put a name to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// It is the author of the image.
    ByAuthor,
    /// It says who, or that nobody.
    AsSaid,
}

/// A bundle that was read.
pub struct Bundle {
    folder: Dir,
    root: Dir,
    meta: Meta,
    mtree: Mtree,
    manifest: String,
}

impl Bundle {
    /// Reads what a bundle says of itself.
    pub fn open(cx: &Context<'_>, path: &Path) -> Result<Self> {
        let folder = Dir::open(path)?;
        let bytes = folder.open_file(meta::META)?.read_to_limit(meta::LIMIT)?;
        let meta = Meta::parse(&bytes).map_err(orlop_host::Error::from)?;
        let digest = meta.manifest().digest.known().map_err(DocumentError::from)?;
        let manifest = file_name(digest);
        let mtree = validate::read(cx, folder.open_file(&manifest)?)?;
        let root = folder.open_dir(ROOTFS)?;
        Ok(Self { folder, root, meta, mtree, manifest })
    }

    /// Puts what was changed on the image that the bundle is of, and gives the result a name. Without changes there is no
    /// layer.
    pub fn repack(
        &self,
        cx: &Context<'_>,
        from: &dyn Catalog,
        name: &Name,
        to: Box<dyn Sink + '_>,
        how: &Repack,
    ) -> Result<Copied> {
        let root = self.meta.walk().first().expect("never empty").clone();
        // The name is not what the image was read by: whatever has it is replaced, as umoci does.
        let subject = Subject {
            from,
            root,
            platforms: Platforms::All,
            taken: Taken::All,
            place: Place::Same,
            seen: None,
        };
        edit::edit(cx, &subject, &[Box::new(Layer { bundle: self, how })], name, to)
    }

    /// Describes the bundle as if it had just been unpacked from `image`, which `root` leads to.
    pub fn refresh(&self, cx: &Context<'_>, image: &Image<'_>, root: &Descriptor) -> Result<()> {
        let parts = (&self.folder, &self.root);
        describe_again(cx, parts, image, root, &self.meta.map, &self.manifest)
    }
}

/// The layer of the changes: a step of an edit.
struct Layer<'a> {
    bundle: &'a Bundle,
    how: &'a Repack,
}

impl Step for Layer<'_> {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, to: &dyn Sink) -> Result<()> {
        if revision.image().manifest().descriptor().digest != self.bundle.meta.manifest().digest {
            return Ok(());
        }
        let tree = self.changes(cx, revision.config())?;
        let step = self.how.history.as_ref().map(|told| told.step(revision.config()));
        if tree.entries().next().is_none() {
            if let Some(step) = step {
                revision.note(step);
            }
            return Ok(());
        }
        let codec = self.how.codec.unwrap_or_else(|| fitting(revision));
        let Encoded { blob, diff_id, size, .. } = self.write(cx, &tree, codec, to)?;
        let layer = Piece::made(sized(blob, size, SIZE), diff_id);
        append(cx, revision, layer, step);
        Ok(())
    }
}

impl Layer<'_> {
    /// The layer as a tree, with the owners that files have on the host.
    fn changes(&self, cx: &Context<'_>, config: &Config) -> Result<Tree> {
        let Bundle { root, mtree, meta, .. } = self.bundle;
        let owner = match meta.map.rootless {
            Rootless::Yes => Owner::Record,
            Rootless::No => Owner::Exact,
        };
        let snapshot = mtree.snapshot(owner, cx.limits)?;
        let masks = self.masks(config)?;
        let how = Compare {
            trust: Trust::Nothing,
            hash: Hash::Doubtful,
            renew: Renew::No,
            masks: &masks,
            strays: Strays::LeftOut(Unrepresentable::Refuse),
            journal: None,
            now: None,
            limits: cx.limits,
            observer: cx.observer,
            cancel: cx.cancel,
        };
        Ok(compare(root, &snapshot, &how)?.layer())
    }

    fn masks(&self, config: &Config) -> Result<Vec<TreePath>> {
        let mut masks = self.how.masks.clone();
        let volumes = config.config.iter().flat_map(|execution| execution.volumes.keys());
        if self.how.volumes == Volumes::Masked {
            for volume in volumes {
                masks.push(mask(volume.as_bytes())?);
            }
        }
        Ok(masks)
    }

    fn write(&self, cx: &Context<'_>, tree: &Tree, codec: Codec, to: &dyn Sink) -> Result<Encoded> {
        let Bundle { root, meta, .. } = self.bundle;
        within_map(tree, &meta.map)?;
        let item = root.path().display().to_string();
        let changes = Changes::open(root, tree, None, cx.cancel)?;
        let latest = self.how.latest.map(|time| Time::from_seconds(time.seconds()));
        let mut entries = Within { changes, map: &meta.map, latest };
        let form = Form { codec, algorithm: algorithm(&meta.manifest().digest) };
        form.put(cx, ("repack", &item), &mut entries, to)
    }
}

/// A path as configs spell it: from the root on.
fn mask(path: &[u8]) -> Result<TreePath> {
    TreePath::parse(path).map_err(|error| orlop_host::Error::from(UmociError::Mask(error)).into())
}

impl Told {
    pub(super) fn step(&self, config: &Config) -> History {
        let mut step = self.step.clone();
        if self.signed == Signed::ByAuthor {
            step.author.clone_from(&config.author);
        }
        step
    }
}

fn algorithm(digest: &AnyDigest) -> Algorithm {
    digest.known().map_or(Algorithm::Sha256, orlop_spec::Digest::algorithm)
}

/// Refuses files of owners that the bundle's mappings do not hold.
fn within_map(tree: &Tree, map: &MapOptions) -> Result<()> {
    if map.rootless == Rootless::Yes {
        return Ok(());
    }
    for (entry, _) in tree.entries() {
        if let Err((what, id)) = map.to_container(entry.meta.uid, entry.meta.gid) {
            let path = escape(entry.path.as_bytes());
            return Err(orlop_host::Error::from(UmociError::NotMapped { path, what, id }).into());
        }
    }
    Ok(())
}

/// Entries as the image has them: owners of the container, and no time later than the latest.
struct Within<'a> {
    changes: Changes<'a>,
    map: &'a MapOptions,
    latest: Option<Time>,
}

impl Entries for Within<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, LayerError> {
        let Some(mut entry) = self.changes.next_entry()? else { return Ok(None) };
        if self.map.rootless == Rootless::No {
            let owner = self.map.to_container(entry.meta.uid, entry.meta.gid);
            (entry.meta.uid, entry.meta.gid) = owner.unwrap_or_default();
        }
        entry.meta.mtime = self.latest.map_or(entry.meta.mtime, |latest| entry.meta.mtime.min(latest));
        Ok(Some(entry))
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, LayerError> {
        self.changes.next_chunk()
    }
}
