//! Opens the layers of an image: every blob in one verified pass, several at once.

use crate::copy::{in_parallel, planned};
use crate::error::Error;
use crate::image::{Image, Layer};
use orlop_layer::decode::{self, Decode, Stages, Visit, decode};
use orlop_layer::tree::Tree;
use orlop_layer::{Budget, Error as LayerError, Verified};
use orlop_spec::media_type::Compression;
use orlop_spec::port::{Result, See, Source, Unpacked};
use orlop_spec::{Context, Event, Fault};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The trees of an image's layers, base first, and how many bytes they are uncompressed.
#[derive(Debug)]
pub struct Layers {
    /// One tree per layer, not stacked yet.
    pub trees: Vec<Tree>,
    /// Uncompressed bytes of each layer.
    pub sizes: Vec<u64>,
}

/// What is done with one layer: it is given the layer's number and a function that decodes and proves the layer
/// before a visitor. What the visitor has done counts only after that function has returned well.
pub type Each<'a> = &'a (dyn Fn(u16, &mut dyn FnMut(&mut dyn Visit) -> Result<()>) -> Result<()> + Sync);

/// Decodes and proves every layer.
pub fn open(cx: &Context<'_>, phase: &'static str, image: &Image<'_>, each: Each<'_>) -> Result<Layers> {
    open_from(cx, phase, image, 0, each)
}

/// Decodes and proves the layers from the `first` on.
pub(crate) fn open_from(
    cx: &Context<'_>,
    phase: &'static str,
    image: &Image<'_>,
    first: u16,
    each: Each<'_>,
) -> Result<Layers> {
    let count = u16::try_from(image.layers()?.len()).map_err(|_| too_many(cx))?;
    let done = open_those(cx, phase, image, (first..count).collect(), &Sum::new(cx), each)?;
    let (trees, sizes) = done.into_iter().flatten().unzip();
    Ok(Layers { trees, sizes })
}

/// Decodes and proves the layers whose trees are not known, and gives the trees of all, base first.
pub(crate) fn open_others(
    cx: &Context<'_>,
    phase: &'static str,
    image: &Image<'_>,
    mut known: BTreeMap<u16, Tree>,
    each: Each<'_>,
) -> Result<Vec<Tree>> {
    let count = u16::try_from(image.layers()?.len()).map_err(|_| too_many(cx))?;
    let sum = Sum::new(cx);
    known.values().try_for_each(|tree| sum.take(tree.len()))?;
    let unknown = (0..count).filter(|index| !known.contains_key(index)).collect();
    let done = open_those(cx, phase, image, unknown, &sum, each)?;
    let trees =
        (0..count).zip(done).map(|(index, done)| done.map(|(tree, _)| tree).or_else(|| known.remove(&index)));
    Ok(trees.map(|tree| tree.expect("what is not known was decoded")).collect())
}

/// Decodes and proves some layers, which count towards `sum`; what became of each, in the order of all.
pub(crate) fn open_those(
    cx: &Context<'_>,
    phase: &'static str,
    image: &Image<'_>,
    order: Vec<u16>,
    sum: &Sum,
    each: Each<'_>,
) -> Result<Vec<Option<(Tree, u64)>>> {
    let layers: Vec<Placed<'_>> =
        image.layers()?.into_iter().map(|layer| Placed { source: image.source(), layer }).collect();
    open_placed(cx, phase, (&layers, 0), order, sum, each)
}

/// A layer, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Placed<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) layer: Layer<'a>,
}

/// As [`open_those`], of layers that may be in several places and are numbered from `first` on.
pub(crate) fn open_placed(
    cx: &Context<'_>,
    phase: &'static str,
    (layers, first): (&[Placed<'_>], u16),
    mut order: Vec<u16>,
    sum: &Sum,
    each: Each<'_>,
) -> Result<Vec<Option<(Tree, u64)>>> {
    order.sort_by_key(|index| std::cmp::Reverse(layers[usize::from(*index)].layer.blob.size));
    cx.observer.event(planned(phase, order.iter().map(|index| layers[usize::from(*index)].layer.blob)));
    let lanes = cx.workers.get().min(order.len());
    let stages = if lanes < cx.workers.get() { Stages::Pipelined } else { Stages::One };
    let done: Vec<Mutex<Option<(Tree, u64)>>> = layers.iter().map(|_| Mutex::new(None)).collect();
    let opening = Opening { cx, phase, stages, sum };
    in_parallel(lanes, &order, |index| {
        let slot = usize::from(*index);
        let number = first + *index;
        each(number, &mut |visitor| {
            let decoded = opening.one(&layers[slot], number, visitor)?;
            opening.sum.take(decoded.0.len())?;
            *done[slot].lock().expect("no holder panics") = Some(decoded);
            Ok(())
        })
    })?;
    Ok(done.into_iter().map(|slot| slot.into_inner().expect("no holder panics")).collect())
}

/// The merged tree of an image; contents are proven and passed over.
pub fn merged(cx: &Context<'_>, image: &Image<'_>) -> Result<Tree> {
    Ok(stack(open(cx, "read", image, &|_, decode| decode(&mut ()))?.trees)?)
}

/// What becomes of a link to a folder where a layer above has a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirLinks {
    /// The folder replaces it, as the specification has it.
    #[default]
    Replaced,
    /// It stays, and what the folder holds goes where it leads.
    Kept,
}

/// Stacks the trees of layers, base first; no layers give an empty root.
pub fn stack(trees: impl IntoIterator<Item = Tree>) -> Result<Tree, LayerError> {
    stack_by(DirLinks::Replaced, trees)
}

/// As [`stack`], with or without links that stay.
pub fn stack_by(links: DirLinks, trees: impl IntoIterator<Item = Tree>) -> Result<Tree, LayerError> {
    let put = match links {
        DirLinks::Replaced => Tree::stack,
        DirLinks::Kept => Tree::stack_through_links,
    };
    let mut trees = trees.into_iter();
    let base = Tree::default().stack(trees.next().unwrap_or_default())?;
    trees.try_fold(base, put)
}

/// Decodes and proves one layer, such as one whose entries are known already.
pub fn open_at(
    cx: &Context<'_>,
    phase: &'static str,
    image: &Image<'_>,
    index: u16,
    visitor: &mut dyn Visit,
) -> Result<()> {
    let layers = image.layers()?;
    let stages = if cx.workers.get() > 1 { Stages::Pipelined } else { Stages::One };
    let opening = Opening { cx, phase, stages, sum: &Sum::new(cx) };
    let layer = Placed { source: image.source(), layer: layers[usize::from(index)] };
    opening.one(&layer, index, visitor).map(drop)
}

/// Decodes and proves every layer, one after the other, as layers that are numbered from `first` on. Gives their trees.
pub fn open_numbered<V: Visit>(
    cx: &Context<'_>,
    phase: &'static str,
    image: &Image<'_>,
    first: u16,
    visitor: &dyn Fn(u16) -> V,
) -> Result<Vec<Tree>> {
    let layers = image.layers()?;
    let stages = if cx.workers.get() > 1 { Stages::Pipelined } else { Stages::One };
    let opening = Opening { cx, phase, stages, sum: &Sum::new(cx) };
    let numbered = layers.into_iter().zip(first..);
    let opened = numbered.map(|(layer, number)| {
        let layer = Placed { source: image.source(), layer };
        let (tree, _) = opening.one(&layer, number, &mut visitor(number))?;
        opening.sum.take(tree.len())?;
        Ok(tree)
    });
    opened.collect()
}

/// What all layers of an image may be together.
pub(crate) struct Sum {
    bytes: Budget,
    entries: AtomicU64,
    limit: u64,
}

impl Sum {
    pub(crate) fn new(cx: &Context<'_>) -> Self {
        Self { bytes: Budget::new(cx.limits.size), entries: AtomicU64::new(0), limit: cx.limits.entries }
    }

    /// Counts the entries of one more layer.
    pub(crate) fn take(&self, count: u64) -> Result<(), LayerError> {
        let limit = self.limit;
        if self.entries.fetch_add(count, Ordering::Relaxed).saturating_add(count) > limit {
            return Err(LayerError::Limit { what: "the number of entries of all layers", limit });
        }
        Ok(())
    }
}

/// What the layers of an image are opened with.
struct Opening<'a> {
    cx: &'a Context<'a>,
    phase: &'static str,
    stages: Stages,
    sum: &'a Sum,
}

impl Opening<'_> {
    fn one(&self, placed: &Placed<'_>, index: u16, visitor: &mut dyn Visit) -> Result<(Tree, u64)> {
        let Placed { source, layer } = placed;
        let (cx, phase, item) = (self.cx, self.phase, layer.blob.digest.to_string());
        cx.observer.event(Event::Started { phase, item: item.clone(), total: Some(layer.blob.size) });
        let opened = match unpacked_at(*source, layer)? {
            Some(unpacked) if visitor.wants_anything() => {
                let bytes = Verified::of_digest(unpacked.open()?, layer.diff_id.0);
                self.decode(bytes, (layer, Compression::None), index, visitor)
            }
            Some(unpacked) => {
                let opened = outline(cx, &*unpacked, index, self.sum, &mut |_, _| Ok(()));
                cx.observer.event(Event::Advanced { item: item.clone(), bytes: layer.blob.size });
                opened
            }
            None => {
                let origin = source.origin(layer.blob)?;
                let bytes = Verified::new(origin.open(0)?, layer.blob)?;
                self.decode(bytes, (layer, layer.compression), index, visitor)
            }
        }?;
        cx.observer.event(Event::Finished { item });
        Ok(opened)
    }

    fn decode(
        &self,
        mut bytes: Verified<impl Read + Send>,
        (layer, compression): (&Layer<'_>, Compression),
        index: u16,
        visitor: &mut dyn Visit,
    ) -> Result<(Tree, u64)> {
        let (cx, item) = (self.cx, layer.blob.digest.to_string());
        // What is told of is the blob, however large the layer is that is read in its place.
        let left = AtomicU64::new(layer.blob.size);
        let progress = |bytes| {
            let before = left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(bytes)));
            let bytes = bytes.min(before.unwrap_or(0));
            if bytes > 0 {
                cx.observer.event(Event::Advanced { item: item.clone(), bytes });
            }
        };
        let how = Decode {
            compression,
            expected: Some(layer.diff_id),
            layer: index,
            limits: cx.limits,
            budget: &self.sum.bytes,
            cancel: cx.cancel,
            stages: self.stages,
            progress: &progress,
        };
        let decoded = decode(&mut bytes, &how, visitor)?;
        Ok((decoded.tree, decoded.size))
    }
}

/// The layer without its compression, where the place has it so.
pub(crate) fn unpacked<'s>(image: &Image<'s>, layer: &Layer<'_>) -> Result<Option<Box<dyn Unpacked + 's>>> {
    unpacked_at(image.source(), layer)
}

fn unpacked_at<'s>(source: &'s dyn Source, layer: &Layer<'_>) -> Result<Option<Box<dyn Unpacked + 's>>> {
    let unpacked = source.unpacked(layer.blob)?;
    Ok(unpacked.filter(|unpacked| unpacked.diff_id() == layer.diff_id))
}

/// The tree of a layer by its outline, and how many bytes the layer is.
pub(crate) fn outline(
    cx: &Context<'_>,
    layer: &dyn Unpacked,
    index: u16,
    sum: &Sum,
    see: See<'_>,
) -> Result<(Tree, u64)> {
    let mut counted = Counted { inner: layer.outline(see)?, cx, budget: &sum.bytes, size: 0, taken: 0 };
    let tree = decode::tree(&mut counted, index, cx.limits)?;
    io::copy(&mut counted, &mut io::sink()).map_err(|error| Fault::io("read the layer", error))?;
    Ok((tree, counted.size))
}

/// Counts what is read.
struct Counted<'a, R> {
    inner: R,
    cx: &'a Context<'a>,
    budget: &'a Budget,
    size: u64,
    /// What was taken from the budget.
    taken: u64,
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.cx.cancel.check().map_err(Fault::from)?;
        let bytes = self.inner.fill_buf()?;
        let seen = self.size + bytes.len() as u64;
        if seen > self.taken {
            self.budget.take(seen - self.taken)?;
            self.taken = seen;
        }
        Ok(bytes)
    }

    fn consume(&mut self, count: usize) {
        self.size += count as u64;
        self.inner.consume(count);
    }
}

impl<R: BufRead> Read for Counted<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

fn too_many(cx: &Context<'_>) -> Error {
    Error::TooManyLayers { limit: cx.limits.layers.min(usize::from(u16::MAX)) }
}
