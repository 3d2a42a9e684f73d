//! `flatten`: several layers become one.
//!
//! Law: a flattened image unpacks to the same tree.

use super::layer::{Workshop, form_like, is_free};
use super::{Outlook, Revision, Step};
use crate::error::Error;
use crate::image::Image;
use orlop_layer::codec::Codec;
use orlop_spec::config::History;
use orlop_spec::digest::DiffId;
use orlop_spec::port::{Result, Sink};
use orlop_spec::{Context, Event};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Makes one layer of several.
pub struct Flatten<'a> {
    /// Of which.
    pub extent: Extent<'a>,
    /// How the layer is compressed; as the lowest of them where nothing is said.
    pub codec: Option<Codec>,
    /// The step that tells of it. When it is said to have happened is when the last of them was made, where nothing is
    /// said; how many they were is its comment.
    pub history: History,
    /// Where contents wait.
    pub tmpdir: PathBuf,
}

/// Which layers become one.
pub enum Extent<'a> {
    /// All.
    All,
    /// So many, the last ones.
    Last(usize),
    /// All but those of the base.
    Above(Box<Base<'a>>),
}

/// Finds the layers of the image that an image is based on.
pub type Base<'a> = dyn Fn(&Context<'_>, &Image<'_>) -> Result<Vec<DiffId>> + Sync + 'a;

/// Annotations that name the image whose layers an image begins with.
const OF_THE_BASE: [&str; 2] = ["org.opencontainers.image.base.digest", "org.opencontainers.image.base.name"];

impl Step for Flatten<'_> {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, to: &dyn Sink) -> Result<()> {
        let Some(range) = self.found(cx, revision)? else { return Ok(()) };
        let workshop = Workshop::open(cx, to, &self.tmpdir)?;
        let tree = workshop.merge(revision, range.clone())?;
        let form = form_like(&revision.layers()[range.start], self.codec);
        let layer = workshop.write(&tree, &form)?;
        let step = self.step(revision, range.clone());
        if range.start == 0 {
            forget_base(cx, revision);
        }
        revision.replace(range, vec![(layer, step)]);
        Ok(())
    }

    fn foresee<'r>(
        &'r self,
        cx: &Context<'_>,
        revision: &mut Revision<'r>,
        outlook: &mut Outlook,
    ) -> Result<()> {
        let Some(range) = self.found(cx, revision)? else { return Ok(()) };
        if range.start == 0 {
            forget_base(cx, revision);
        }
        let layers: Vec<_> =
            revision.layers()[range.clone()].iter().map(|layer| outlook.anew(layer)).collect();
        let merged = layers.into_iter().next_back().expect("two layers at least");
        let step = self.step(revision, range.clone());
        revision.replace(range, vec![(merged, step)]);
        Ok(())
    }

    fn reads(&self) -> Option<&Path> {
        Some(&self.tmpdir)
    }
}

const NO_TWO: &str = "there are no two layers to make one of";

impl Flatten<'_> {
    /// The layers that become one; nothing, which is told, where there are no two of them.
    fn found(&self, cx: &Context<'_>, revision: &Revision<'_>) -> Result<Option<Range<usize>>> {
        let range = self.range(cx, revision)?;
        if range.len() < 2 {
            cx.observer.event(Event::Told(NO_TWO.into()));
            return Ok(None);
        }
        if !revision.layers()[range.clone()].iter().all(is_free) {
            return Err(NOT_FREE.into());
        }
        Ok(Some(range))
    }

    fn range(&self, cx: &Context<'_>, revision: &Revision<'_>) -> Result<Range<usize>> {
        let count = revision.layers().len();
        match &self.extent {
            Extent::All => Ok(0..count),
            Extent::Last(last) => Ok(count.saturating_sub(*last)..count),
            Extent::Above(base) => {
                let base = base(cx, revision.image())?;
                let layers = revision.layers();
                let is_base = base.len() <= count
                    && base.iter().zip(layers).all(|(diff_id, layer)| *diff_id == layer.diff_id());
                if is_base { Ok(base.len()..count) } else { Err(NOT_ITS_BASE.into()) }
            }
        }
    }

    fn step(&self, revision: &Revision<'_>, range: Range<usize>) -> History {
        let replaced = revision.config().history.get(revision.steps(range.clone())).unwrap_or_default();
        let newest = replaced.iter().rev().find_map(|step| step.created.clone());
        let mut step = self.history.clone();
        step.created = step.created.or(newest);
        step.comment.get_or_insert_with(|| format!("{} layers as one", range.len()).into());
        step
    }
}

const NOT_ITS_BASE: Error = Error::Unfit {
    what: "the image does not begin with the layers of that base",
    hint: "name the base that it was built on with --base REF, or say how many layers become one with --last N",
};

const NOT_FREE: Error = Error::Unfit {
    what: "one of the layers is not to be distributed, and a layer that is made of it would be",
    hint: "leave it as it is, and make one of those above it: --last N",
};

/// An image whose first layers are gone shares none with its base.
fn forget_base(cx: &Context<'_>, revision: &mut Revision<'_>) {
    let annotations = &mut revision.manifest_mut().annotations;
    for key in OF_THE_BASE {
        if annotations.remove(key).is_some() {
            let text = format!("the annotation {key} is taken away: no layer of the base is left");
            cx.observer.event(Event::Told(text));
        }
    }
}
