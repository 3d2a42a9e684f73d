//! `build`: folders and tars become layers, and layers an image.
//!
//! ```text
//! input ──Entries──► encode (tar → diff id → blocks in parallel → digest) ──► Sink::begin ──► Draft ──► Sink::finish
//! ```

use crate::base;
use crate::copy::Copy;
use crate::draft::Draft;
use crate::edit::{self, Shelf, Step};
use crate::elf::ElfWatch;
pub use crate::form::Form;
use crate::image::Image;
use crate::layers;
use crate::publish::publish;
use crate::several::Several;
use orlop_layer::Entries;
use orlop_layer::encode::Encoded;
use orlop_spec::config::History;
use orlop_spec::descriptor::Annotations;
use orlop_spec::digest::DiffId;
use orlop_spec::edit::Edit;
use orlop_spec::graph::Node;
use orlop_spec::index::Index;
use orlop_spec::media_type::{MediaType, OCI_INDEX};
use orlop_spec::platform::Platform;
use orlop_spec::port::{Catalog, Name, Result, Sink, Transfer};
use orlop_spec::time::Timestamp;
use orlop_spec::{Algorithm, Context, Descriptor, Document};
use std::path::Path;

/// What to build: one image for one platform.
pub struct Build<'a> {
    /// What the image is put on; nothing for an image of its own.
    pub base: Option<Base<'a>>,
    /// For which machine.
    pub platform: Platform,
    /// The new layers, base first.
    pub inputs: Vec<Input<'a>>,
    /// What the user says about the config.
    pub edit: Edit,
    /// Annotations of the manifest.
    pub annotations: Annotations,
    /// The last word on the image, once its layers and history are there: for other tools' and worlds' dialects.
    pub dialect: Option<Dialect<'a>>,
}

/// What an image is put on. It is told in the annotations `org.opencontainers.image.base.*`, by which `rebase` finds it.
pub struct Base<'a> {
    /// The image, for one platform.
    pub image: Image<'a>,
    /// What it is called in annotations; nothing where others could not find it by that.
    pub name: Option<Box<str>>,
}

/// Changes an image as another tool or world would have it.
pub type Dialect<'a> = Box<dyn Fn(&mut Draft) + 'a>;

/// One layer to be.
pub struct Input<'a> {
    /// What the user called it; said in messages only, never in the image.
    pub name: String,
    /// Its entries in canonical order.
    pub entries: Box<dyn Entries + 'a>,
    /// Annotations of its descriptor.
    pub annotations: Annotations,
}

impl<'a> Input<'a> {
    /// A layer without annotations.
    pub fn new(name: String, entries: Box<dyn Entries + 'a>) -> Self {
        Self { name, entries, annotations: Annotations::new() }
    }
}

/// What was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The manifest, or the index of several.
    pub root: Descriptor,
    /// Layers written.
    pub layers: Vec<Layer>,
}

/// A layer that was written.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The blob.
    pub blob: Descriptor,
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Bytes of the uncompressed tar.
    pub size: u64,
}

/// Builds one image, or an index of several, and publishes it.
pub fn build(
    cx: &Context<'_>,
    images: Vec<Build<'_>>,
    form: &Form,
    to: Box<dyn Sink + '_>,
    names: &[Name],
) -> Result<Built> {
    let mut layers = Vec::new();
    let mut roots = Vec::new();
    let single = images.len() == 1;
    for image in images {
        roots.push(build_one(cx, image, form, &*to, &mut layers)?);
    }
    let root = if single { roots.remove(0) } else { put_index(cx, roots, form.algorithm, &*to)? };
    let published: Vec<(Name, Descriptor)> = names.iter().map(|name| (name.clone(), root.clone())).collect();
    publish(cx, to, &published, &[])?;
    Ok(Built { root, layers })
}

/// What is done to images that were built, before they go anywhere.
pub struct Further<'a> {
    /// The changes.
    pub steps: Vec<Box<dyn Step + 'a>>,
    /// Where layers wait.
    pub tmpdir: &'a Path,
    /// The places of the bases.
    pub bases: Vec<&'a dyn Catalog>,
}

/// Builds as [`build`] does, changes what was built, and publishes that. Gives its root.
pub fn build_changed(
    cx: &Context<'_>,
    images: Vec<Build<'_>>,
    form: &Form,
    further: Further<'_>,
    to: Box<dyn Sink + '_>,
    names: &[Name],
) -> Result<Descriptor> {
    let Further { steps, tmpdir, bases } = further;
    let shelf = Shelf::open(tmpdir)?;
    let root = build(cx, images, form, Box::new(&shelf), &[])?.root;
    let from = Several { first: &shelf, others: bases };
    let roots: Vec<_> = names.iter().map(|name| (name.clone(), root.clone())).collect();
    let made = edit::along(cx, &from, &roots, to, &Copy::default(), &steps)?.roots.into_iter().next();
    Ok(made.unwrap_or(root))
}

fn build_one(
    cx: &Context<'_>,
    image: Build<'_>,
    form: &Form,
    to: &dyn Sink,
    written: &mut Vec<Layer>,
) -> Result<Descriptor> {
    let mut draft = match &image.base {
        Some(base) => {
            put_base(cx, &base.image, to)?;
            let mut draft = Draft::from(&base.image);
            base::tell(draft.annotations(), &base.image, base.name.as_deref());
            draft
        }
        None => Draft::scratch(image.platform.clone()),
    };
    draft.set_platform(&image.platform);
    draft.edit(&image.edit)?;
    let platform = draft.platform();
    let mut encoded = Vec::with_capacity(image.inputs.len());
    for input in image.inputs {
        encoded.push(put_layer(cx, input, &platform, form, to)?);
        within(cx, encoded.iter().map(|layer| layer.size).sum())?;
    }
    if image.base.is_none() {
        // A hard link to nothing would be found by whoever unpacks the image.
        layers::stack(encoded.iter_mut().map(|layer| std::mem::take(&mut layer.tree)))?;
    }
    let created =
        image.edit.created.or_else(|| newest(&encoded)).map(|time| time.to_string().into_boxed_str());
    for layer in &encoded {
        let step = History {
            created: created.clone(),
            created_by: Some("orlop build".into()),
            ..History::default()
        };
        draft.append(layer.blob.clone(), layer.diff_id, step);
        written.push(Layer { blob: layer.blob.clone(), diff_id: layer.diff_id, size: layer.size });
    }
    if created.is_some() {
        draft.config().created = created;
    }
    draft.annotations().extend(image.annotations);
    if let Some(dialect) = image.dialect {
        dialect(&mut draft);
    }
    draft.write(cx, to, form.algorithm)
}

pub(crate) fn within(cx: &Context<'_>, size: u64) -> Result<(), orlop_layer::Error> {
    let limit = cx.limits.size;
    if size > limit {
        Err(orlop_layer::Error::Limit { what: "the size of all layers", limit })
    } else {
        Ok(())
    }
}

/// The newest time in the inputs, in whole seconds; nothing where there is no input, or only times that no
/// calendar has.
fn newest(layers: &[Encoded]) -> Option<Timestamp> {
    let newest = layers.iter().filter_map(|layer| layer.newest).max()?;
    Timestamp::new(newest.seconds, 0).ok()
}

/// Writes one layer into the sink.
pub(crate) fn put_layer(
    cx: &Context<'_>,
    input: Input<'_>,
    platform: &Platform,
    form: &Form,
    to: &dyn Sink,
) -> Result<Encoded> {
    let Input { name, entries, annotations } = input;
    let mut entries = ElfWatch::new(entries, platform, cx.observer);
    let mut encoded = form.put(cx, ("build", &name), &mut entries, to)?;
    encoded.blob.annotations = annotations;
    Ok(encoded)
}

/// Carries the base's layers over; its config and manifest are replaced by ours.
fn put_base(cx: &Context<'_>, base: &Image<'_>, to: &dyn Sink) -> Result<()> {
    let nodes: Vec<Node> =
        base.manifest().layers.iter().map(|blob| Node::Blob(Box::new(blob.clone()))).collect();
    crate::copy::put_all(cx, base.source(), &nodes, to, Transfer::Copy, crate::copy::Account::default())
        .map(drop)
}

fn put_index(
    cx: &Context<'_>,
    manifests: Vec<Descriptor>,
    algorithm: Algorithm,
    to: &dyn Sink,
) -> Result<Descriptor> {
    let index = Document::print(Index::new(manifests), MediaType::new(OCI_INDEX), algorithm);
    crate::draft::put(cx, to, &index)?;
    Ok(index.descriptor().clone())
}
