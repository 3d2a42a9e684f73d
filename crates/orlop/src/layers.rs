//! Opens the layers of an image: every blob in one verified pass, several at once.

use crate::copy::{in_parallel, planned};
use crate::error::Error;
use crate::image::{Image, Layer};
use orlop_layer::decode::{Decode, Stages, Visit, decode};
use orlop_layer::tree::Tree;
use orlop_layer::{Budget, Error as LayerError, Verified};
use orlop_spec::port::Result;
use orlop_spec::{Context, Event};
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
    let layers = image.layers()?;
    let mut order: Vec<u16> = (first..u16::try_from(layers.len()).map_err(|_| too_many(cx))?).collect();
    order.sort_by_key(|index| std::cmp::Reverse(layers[usize::from(*index)].blob.size));
    cx.observer.event(planned(phase, order.iter().map(|index| layers[usize::from(*index)].blob)));
    let lanes = cx.workers.get().min(order.len());
    let stages = if lanes < cx.workers.get() { Stages::Pipelined } else { Stages::One };
    let done: Vec<Mutex<Option<(Tree, u64)>>> = layers.iter().map(|_| Mutex::new(None)).collect();
    let opening = Opening { cx, phase, image, stages, budget: Budget::new(cx.limits.size) };
    let entries = AtomicU64::new(0);
    in_parallel(lanes, &order, |index| {
        let slot = usize::from(*index);
        each(*index, &mut |visitor| {
            let decoded = opening.one(&layers[slot], *index, visitor)?;
            charge(&entries, decoded.0.len(), cx.limits.entries)?;
            *done[slot].lock().expect("no holder panics") = Some(decoded);
            Ok(())
        })
    })?;
    let done = done.into_iter().skip(first.into()).map(|slot| slot.into_inner().expect("no holder panics"));
    let (trees, sizes) = done.map(|slot| slot.expect("every layer was decoded")).unzip();
    Ok(Layers { trees, sizes })
}

/// The merged tree of an image; contents are proven and passed over.
pub fn merged(cx: &Context<'_>, image: &Image<'_>) -> Result<Tree> {
    Ok(stack(open(cx, "read", image, &|_, decode| decode(&mut ()))?.trees)?)
}

/// Stacks the trees of layers, base first; no layers give an empty root.
pub fn stack(trees: impl IntoIterator<Item = Tree>) -> Result<Tree, LayerError> {
    let mut trees = trees.into_iter();
    let base = trees.next().unwrap_or_default();
    let base = Tree::default().stack(base)?;
    trees.try_fold(base, Tree::stack)
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
    let opening = Opening { cx, phase, image, stages, budget: Budget::new(cx.limits.size) };
    opening.one(&layers[usize::from(index)], index, visitor).map(drop)
}

/// Adds to a sum that may not exceed a limit.
fn charge(entries: &AtomicU64, count: u64, limit: u64) -> Result<(), LayerError> {
    if entries.fetch_add(count, Ordering::Relaxed).saturating_add(count) > limit {
        return Err(LayerError::Limit { what: "the number of entries of all layers", limit });
    }
    Ok(())
}

/// What the layers of an image are opened with.
struct Opening<'a> {
    cx: &'a Context<'a>,
    phase: &'static str,
    image: &'a Image<'a>,
    stages: Stages,
    budget: Budget,
}

impl Opening<'_> {
    fn one(&self, layer: &Layer<'_>, index: u16, visitor: &mut dyn Visit) -> Result<(Tree, u64)> {
        let (cx, phase, item) = (self.cx, self.phase, layer.blob.digest.to_string());
        cx.observer.event(Event::Started { phase, item: item.clone(), total: Some(layer.blob.size) });
        let origin = self.image.source().origin(layer.blob)?;
        let mut blob = Verified::new(origin.open(0)?, layer.blob)?;
        let progress = |bytes| cx.observer.event(Event::Advanced { item: item.clone(), bytes });
        let how = Decode {
            compression: layer.compression,
            expected: Some(layer.diff_id),
            layer: index,
            limits: cx.limits,
            budget: &self.budget,
            cancel: cx.cancel,
            stages: self.stages,
            progress: &progress,
        };
        let decoded = decode(&mut blob, &how, visitor)?;
        cx.observer.event(Event::Finished { item: item.clone() });
        Ok((decoded.tree, decoded.size))
    }
}

fn too_many(cx: &Context<'_>) -> Error {
    Error::TooManyLayers { limit: cx.limits.layers.min(usize::from(u16::MAX)) }
}
