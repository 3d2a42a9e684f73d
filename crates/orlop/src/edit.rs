//! Edits: images are changed by steps, in one pass and with one push, wherever they are.
//!
//! ```text
//! root ──walk──► each image that is meant ──► Revision ──step, step, …──► config, manifest ──┐
//!                indexes above, printed anew with what stands for their children ◄───────────┘
//!                  └──► name
//! ```
//!
//! Invariants: what no step touches keeps its bytes; an image that no step changes keeps its digest. A layer that stays is
//! a descriptor: its bytes are moved only where the target lacks them, and read only by a step that must. Nobody sees
//! anything before the name is published.

mod append;
mod convert;
mod family;
mod flatten;
mod insert;
mod layer;
mod rebase;
mod revision;
mod settings;
mod strip;

pub use append::{Append, Laying, fitting};
pub use convert::Convert;
pub use family::Family;
pub use flatten::{Base, Extent, Flatten};
pub use insert::{Below, IdMap, IdRange, Planted, Removed};
pub use rebase::{BaseImage, Exchange, Rebase};
pub use revision::{Piece, Revision};
pub use settings::Settings;
pub use strip::{Strip, Which};

use crate::copy::{Account, Copied, Copy, Platforms, Subset, chosen, plan_one, put_all};
use crate::draft;
use crate::error::Error;
use crate::image::{Image, no_platform, platform_of};
use crate::index::{Place, beside};
use orlop_spec::graph::{self, Node};
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::Role;
use orlop_spec::platform::Platform;
use orlop_spec::port::{Catalog, Name, Rest, Result, Seen, Sink, Source, Transfer};
use orlop_spec::{Algorithm, AnyDigest, Context, Descriptor, Document, Event};
use std::collections::{HashMap, HashSet};

/// One change of an image.
pub trait Step: Sync {
    /// Changes one image; what it writes goes to `to`.
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, to: &dyn Sink) -> Result<()>;

    /// Whether what was attested of an image still holds after the step.
    fn keeps_meaning(&self) -> bool {
        false
    }

    /// Changes an index, whose images were changed before.
    fn index(&self, _: &Context<'_>, _: &mut Index) -> Result<()> {
        Ok(())
    }

    /// By which algorithm the documents are named that are written, where not as those that they stand for.
    fn algorithm(&self) -> Option<Algorithm> {
        None
    }
}

/// What is edited.
#[derive(Clone)]
pub struct Subject<'a> {
    /// Where it is.
    pub from: &'a dyn Catalog,
    /// The image, or the index of several.
    pub root: Descriptor,
    /// Which images of an index.
    pub platforms: Platforms,
    /// What of an index is taken.
    pub taken: Taken,
    /// Whether the result goes where it was.
    pub place: Place,
    /// What its new name led to, where that is the name that it was read by: nobody's change since is overwritten.
    pub seen: Option<Seen>,
}

/// What of an index is taken, where some of its images are edited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// All of it; the other images stay as they are.
    #[default]
    All,
    /// The images that are edited, as a copy takes a part.
    Part(Subset),
}

/// Applies `steps`, in their order, to every image that is meant, and publishes the result.
///
/// # Errors
/// Not found where a platform is not there; unfit where nothing below the root is an image.
pub fn edit(
    cx: &Context<'_>,
    subject: &Subject<'_>,
    steps: &[Box<dyn Step + '_>],
    name: &Name,
    to: Box<dyn Sink + '_>,
) -> Result<Copied> {
    let (root, nodes) = match subject.taken {
        Taken::All => (subject.root.clone(), graph::walk(cx, subject.from, &subject.root, &graph::all)?),
        Taken::Part(subset) => {
            let how = Copy { platforms: subject.platforms.clone(), subset, ..Copy::default() };
            plan_one(cx, subject.from, &subject.root, &how)?
        }
    };
    let meant = meant(subject, &nodes)?;
    let is_there = subject.place == Place::Same && to.rest() == Rest::Stays;
    let mut work = Work {
        cx,
        from: subject.from,
        to: &*to,
        steps,
        meant,
        is_there,
        replaced: HashMap::new(),
        unspoken: HashSet::new(),
        moved: HashSet::new(),
        pending: Vec::new(),
        account: Account::default(),
    };
    nodes.iter().try_for_each(|node| work.node(node))?;
    let root = work.stand_in(&root);
    let (mut roots, expected) = match (subject.place, to.rest()) {
        (Place::Same, Rest::Goes) => beside(subject.from, name)?,
        _ => (Vec::new(), Vec::from_iter(subject.seen.clone())),
    };
    for (_, other) in &roots {
        graph::walk(cx, subject.from, other, &graph::all)?.into_iter().for_each(|node| work.keep(node));
    }
    work.flush()?;
    let account = work.account;
    roots.push((name.clone(), root.clone()));
    to.finish_if(&roots, &expected)?;
    Ok(Copied { roots: vec![root], account })
}

/// The digests of the manifests that are edited.
fn meant(subject: &Subject<'_>, nodes: &[Node]) -> Result<HashSet<AnyDigest>> {
    let images: HashSet<&AnyDigest> = nodes.iter().filter_map(image).collect();
    if images.is_empty() {
        let Descriptor { digest, media_type, .. } = subject.root.clone();
        return Err(Error::NotAnImage { digest, media_type }.into());
    }
    let Platforms::Listed(wanted) = &subject.platforms else {
        return Ok(images.into_iter().cloned().collect());
    };
    if subject.root.media_type.role() == Role::Manifest {
        return Ok(HashSet::from([subject.root.digest.clone()]));
    }
    let (mut found, mut there, mut digests) = (Vec::new(), Vec::new(), HashSet::new());
    for node in nodes {
        let Node::Index(index) = node else { continue };
        there.extend(index.manifests.iter().cloned());
        digests.extend(chosen(index, wanted, &mut found).into_iter().map(|child| child.digest));
    }
    match wanted.iter().find(|wanted| !found.contains(wanted)) {
        Some(missing) => Err(no_platform(missing, &there).into()),
        None => Ok(digests.into_iter().filter(|digest| images.contains(digest)).collect()),
    }
}

/// The digest of a node that is an image: a manifest with an image's config.
fn image(node: &Node) -> Option<&AnyDigest> {
    match node {
        Node::Manifest(manifest) if is_image(manifest) => Some(&manifest.descriptor().digest),
        _ => None,
    }
}

fn is_image(manifest: &Manifest) -> bool {
    manifest.config.media_type.role() == Role::Config && manifest.artifact_type.is_none()
}

struct Work<'a> {
    cx: &'a Context<'a>,
    from: &'a dyn Source,
    to: &'a dyn Sink,
    steps: &'a [Box<dyn Step + 'a>],
    meant: HashSet<AnyDigest>,
    /// Whether the target has what the source has.
    is_there: bool,
    /// What stands for a document at the target, and for which machine it is.
    replaced: HashMap<AnyDigest, (Descriptor, Option<Platform>)>,
    /// Images of which nothing that was said before holds.
    unspoken: HashSet<AnyDigest>,
    /// What goes, or went, from the source to the target as it is, and whether as a blob.
    moved: HashSet<(AnyDigest, bool)>,
    /// What of it is still to go, children before parents.
    pending: Vec<Node>,
    account: Account,
}

impl Work<'_> {
    fn node(&mut self, node: &Node) -> Result<()> {
        match node {
            // Whether a blob is still needed is known only to what names it.
            Node::Blob(_) => Ok(()),
            Node::Manifest(manifest) if self.meant.contains(&manifest.descriptor().digest) => {
                self.image(manifest)
            }
            Node::Manifest(manifest) => {
                manifest.blobs().for_each(|blob| self.keep_blob(blob));
                self.keep(node.clone());
                Ok(())
            }
            Node::Index(index) => self.index(index),
        }
    }

    fn image(&mut self, manifest: &Document<Manifest>) -> Result<()> {
        self.cx.cancel.check()?;
        let image = Image::of(self.cx, self.from, manifest.clone())?;
        let mut revision = Revision::new(&image);
        for step in self.steps {
            step.apply(self.cx, &mut revision, self.to)?;
        }
        for (blob, home) in revision.kept() {
            match home {
                None => self.keep_blob(blob),
                Some(home) => self.put(home, &[Node::Blob(Box::new(blob.clone()))])?,
            }
        }
        let old = manifest.descriptor();
        let platform = platform_of(revision.config());
        let (config, new) = revision.print(self.algorithm_for(old));
        self.write(&config, &manifest.config)?;
        self.write(&new, old)?;
        if new.descriptor().digest != old.digest {
            self.replaced.insert(old.digest.clone(), (new.descriptor().clone(), Some(platform)));
            if !self.steps.iter().all(|step| step.keeps_meaning()) {
                self.unspoken.insert(old.digest.clone());
            }
        }
        Ok(())
    }

    fn index(&mut self, index: &Document<Index>) -> Result<()> {
        let old = index.descriptor();
        let mut value = index.clone().into_value();
        value.manifests.retain(|child| !self.is_void(child));
        value
            .manifests
            .iter()
            .filter(|child| !child.media_type.is_document())
            .for_each(|child| self.keep_blob(child));
        for child in &mut value.manifests {
            *child = self.stand_in(child);
            self.follow(child);
        }
        self.steps.iter().try_for_each(|step| step.index(self.cx, &mut value))?;
        if value.manifests != index.manifests {
            value.media_type.get_or_insert_with(|| old.media_type.clone());
        }
        let media_type = value.media_type.clone().unwrap_or_else(|| old.media_type.clone());
        let new = index.revised(value, media_type, self.algorithm_for(old));
        self.write(&new, old)?;
        if new.descriptor().digest != old.digest {
            self.replaced.insert(old.digest.clone(), (new.descriptor().clone(), None));
        }
        Ok(())
    }

    fn algorithm_for(&self, old: &Descriptor) -> Algorithm {
        self.steps.iter().rev().find_map(|step| step.algorithm()).unwrap_or_else(|| algorithm_of(old))
    }

    /// Puts a document that stands for `old`, after what it names.
    fn write<T>(&mut self, new: &Document<T>, old: &Descriptor) -> Result<()> {
        if self.is_there && new.descriptor().digest == old.digest {
            return Ok(());
        }
        self.flush()?;
        draft::put(self.to, new)
    }

    /// Whether an entry attests what holds no longer.
    fn is_void(&self, entry: &Descriptor) -> bool {
        let subject = entry.annotations.get(draft::SPEAKS_ABOUT);
        let is_void = subject
            .and_then(|digest| digest.parse().ok())
            .is_some_and(|digest: AnyDigest| self.unspoken.contains(&digest));
        if is_void {
            let text = format!("{} attests an image as it was before, and is left out", entry.digest);
            self.cx.observer.event(Event::Warned(text));
        }
        is_void
    }

    /// Attestations name what they speak about in an annotation.
    fn follow(&self, entry: &mut Descriptor) {
        let Some(named) = entry.annotations.get_mut(draft::SPEAKS_ABOUT) else { return };
        if let Some((new, _)) = named.parse().ok().and_then(|digest: AnyDigest| self.replaced.get(&digest)) {
            *named = new.digest.to_string().into();
        }
    }

    /// The descriptor of what stands for a document.
    fn stand_in(&self, old: &Descriptor) -> Descriptor {
        let Some((new, platform)) = self.replaced.get(&old.digest) else { return old.clone() };
        let Descriptor { media_type, digest, size, .. } = new.clone();
        let platform = match (&old.platform, platform) {
            (Some(old), Some(new)) if !is_for(old, new) => Some(new.clone()),
            _ => old.platform.clone(),
        };
        Descriptor { media_type, digest, size, platform, data: None, urls: Vec::new(), ..old.clone() }
    }

    fn keep_blob(&mut self, blob: &Descriptor) {
        self.keep(Node::Blob(Box::new(blob.clone())));
    }

    /// Lets something of the source go to the target as it is, where that is elsewhere.
    fn keep(&mut self, node: Node) {
        let key = (node.descriptor().digest.clone(), matches!(node, Node::Blob(_)));
        if !self.is_there && self.moved.insert(key) {
            self.pending.push(node);
        }
    }

    fn flush(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() { Ok(()) } else { self.put(self.from, &pending) }
    }

    fn put(&mut self, from: &dyn Source, nodes: &[Node]) -> Result<()> {
        self.account = put_all(self.cx, from, nodes, self.to, Transfer::default(), self.account)?;
        Ok(())
    }
}

/// Whether an entry for `entry` may name an image whose config says `config`: configs often say no variant.
fn is_for(entry: &Platform, config: &Platform) -> bool {
    let (entry, config) = (entry.normalized(), config.normalized());
    entry.os == config.os && entry.architecture == config.architecture
}

fn algorithm_of(descriptor: &Descriptor) -> Algorithm {
    descriptor.digest.known().map_or(Algorithm::Sha256, orlop_spec::Digest::algorithm)
}
