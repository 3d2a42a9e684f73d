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
mod foresee;
mod insert;
mod layer;
mod pass;
mod rebase;
mod revision;
mod settings;
mod shelf;
mod strip;
mod subjects;

pub use append::{Append, Laying, fitting, sized};
pub use convert::Convert;
pub use family::Family;
pub use flatten::{Base, Extent, Flatten};
pub use foresee::{Changed, Foreseen, Layer, Outlook};
pub use insert::{Below, IdMap, IdRange, Planted, Removed};
pub use rebase::{BaseImage, Exchange, Rebase};
pub use revision::{Piece, Revision};
pub use settings::Settings;
pub use strip::{Strip, Which};

use crate::copy::{Copied, Copy, Platforms, Subset, chosen, plan_one};
use crate::error::Error;
use crate::image::no_platform;
use crate::index::{Beside, Place, beside};
use crate::nowhere::Nowhere;
use crate::publish::publish;
use orlop_spec::graph::{self, Node};
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Catalog, Name, Rest, Result, Seen, Sink, Source};
use orlop_spec::{Algorithm, AnyDigest, Context, Descriptor};
use pass::Pass;
pub(crate) use pass::algorithm_of;
pub(crate) use shelf::Shelf;
use std::collections::HashSet;
use std::path::Path;
use subjects::Subjects;

/// One change of an image.
pub trait Step: Sync {
    /// Changes one image; what it writes goes to `to`.
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, to: &dyn Sink) -> Result<()>;

    /// Does to the image what [`Self::apply`] does, as far as that is known without reading or writing a layer, and tells
    /// `outlook` of layers. A step that has none of its own is applied to a place that keeps nothing.
    fn foresee<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, _: &mut Outlook) -> Result<()> {
        self.apply(cx, revision, &Nowhere)
    }

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

    /// Where contents wait of layers that it reads; nothing for a step that reads none. What steps before it wrote is
    /// readable then, and goes to the target only if it is still in the image at the end.
    fn reads(&self) -> Option<&Path> {
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
    let (root, nodes) = walked(cx, subject)?;
    let is_there = subject.place == Place::Same && to.rest() == Rest::Stays;
    let shelf = shelf(steps)?;
    let pass = Pass::new(cx, subject.from, &*to, (steps, shelf.as_ref()));
    let mut pass = if is_there { pass.in_place() } else { pass };
    let root = pass.root(&root, nodes, &subject.platforms)?;
    let (mut roots, expected) = others(subject, name, &*to)?;
    for (_, other) in &roots {
        pass.keep_all(graph::walk(cx, subject.from, other, &graph::all)?);
    }
    let account = pass.finish()?;
    roots.push((name.clone(), root.clone()));
    publish(cx, to, &roots, &expected)?;
    Ok(Copied { roots: vec![root], account })
}

/// What [`edit`] would do, as far as that can be told without a layer being read. Nothing is written.
///
/// # Errors
/// As [`edit`].
pub fn foresee(
    cx: &Context<'_>,
    subject: &Subject<'_>,
    steps: &[Box<dyn Step + '_>],
    name: &Name,
    to: &dyn Sink,
) -> Result<Foreseen> {
    let (root, nodes) = walked(cx, subject)?;
    let is_there = subject.place == Place::Same && to.rest() == Rest::Stays;
    let pass = Pass::new(cx, subject.from, to, (steps, None)).ahead();
    let mut pass = if is_there { pass.in_place() } else { pass };
    pass.root(&root, nodes, &subject.platforms)?;
    let (others, _) = others(subject, name, to)?;
    for (_, other) in &others {
        pass.keep_all(graph::walk(cx, subject.from, other, &graph::all)?);
    }
    pass.foreseen()
}

/// What is published beside the result, because the place is written anew, and what was seen there.
fn others(subject: &Subject<'_>, name: &Name, to: &dyn Sink) -> Result<Beside> {
    match (subject.place, to.rest()) {
        (Place::Same, Rest::Goes) => beside(subject.from, name),
        _ => Ok((Vec::new(), Vec::from_iter(subject.seen.clone()))),
    }
}

/// The root of what is edited, and what it reaches.
fn walked(cx: &Context<'_>, subject: &Subject<'_>) -> Result<(Descriptor, Vec<Node>)> {
    let (root, nodes) = match subject.taken {
        Taken::All => (subject.root.clone(), graph::walk(cx, subject.from, &subject.root, &graph::all)?),
        Taken::Part(subset) => {
            let how = Copy { platforms: subject.platforms.clone(), subset, ..Copy::default() };
            plan_one(cx, subject.from, &subject.root, &how)?
        }
    };
    if nodes.iter().any(|node| image(node).is_some()) {
        return Ok((root, nodes));
    }
    let Descriptor { digest, media_type, .. } = subject.root.clone();
    Err(Error::NotAnImage { digest, media_type }.into())
}

/// Copies `roots` as [`crate::copy::copy`] does, each image of them changed by `steps` on its way. Artifacts stay as they are.
///
/// # Errors
/// Not found where a platform is not there.
pub fn along(
    cx: &Context<'_>,
    from: &dyn Source,
    roots: &[(Name, Descriptor)],
    to: Box<dyn Sink + '_>,
    how: &Copy,
    steps: &[Box<dyn Step + '_>],
) -> Result<Copied> {
    let shelf = shelf(steps)?;
    let mut pass = Pass::new(cx, from, &*to, (steps, shelf.as_ref())).taking(how.transfer);
    let mut published = Vec::with_capacity(roots.len());
    for (name, root) in roots {
        let (root, nodes) = plan_one(cx, from, root, how)?;
        published.push((name.clone(), pass.root(&root, nodes, &how.platforms)?));
    }
    let account = pass.finish()?;
    publish(cx, to, &published, &[])?;
    Ok(Copied { roots: published.into_iter().map(|(_, root)| root).collect(), account })
}

/// What [`along`] would do, as far as that can be told without a layer being read. Nothing is written.
///
/// # Errors
/// As [`along`].
pub fn foresee_along(
    cx: &Context<'_>,
    from: &dyn Source,
    roots: &[(Name, Descriptor)],
    to: &dyn Sink,
    how: &Copy,
    steps: &[Box<dyn Step + '_>],
) -> Result<Foreseen> {
    let mut pass = Pass::new(cx, from, to, (steps, None)).ahead();
    for (_, root) in roots {
        let (root, nodes) = plan_one(cx, from, root, how)?;
        pass.root(&root, nodes, &how.platforms)?;
    }
    pass.foreseen()
}

/// Where layers wait that a later step may read; nothing where none does.
fn shelf(steps: &[Box<dyn Step + '_>]) -> Result<Option<Shelf>> {
    steps.iter().skip(1).find_map(|step| step.reads()).map(Shelf::open).transpose()
}

/// The digests of the manifests that are edited: images, and nothing that an index says to attest one.
fn meant(
    root: &Descriptor,
    nodes: &[Node],
    platforms: &Platforms,
    subjects: &Subjects,
) -> Result<HashSet<AnyDigest>> {
    let images: HashSet<&AnyDigest> = nodes.iter().filter_map(image).collect();
    let Platforms::Listed(wanted) = platforms else {
        return Ok(images.into_iter().filter(|digest| !subjects.attests(digest)).cloned().collect());
    };
    if root.media_type.role() == Role::Manifest {
        return Ok(images.into_iter().cloned().collect());
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
