//! `strip`: paths and layers are taken out of an image.
//!
//! Law: a stripped image unpacks to the tree that it unpacked to before, without those paths. So it is after each of its
//! layers too: what a later layer removed does not come back by looking below it.
//!
//! A layer that has nothing of a path keeps its bytes. A file that has other names keeps those, in whichever layer.

use super::layer::{Workshop, form_like, is_free};
use super::{Outlook, Piece, Revision, Step};
use crate::compress::about_content;
use crate::error::Error;
use orlop_layer::TreePath;
use orlop_layer::codec::Codec;
use orlop_layer::tree::Tree;
use orlop_spec::port::{Result, Sink};
use orlop_spec::{AnyDigest, Context, Event};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Takes paths and layers out of an image.
#[derive(Clone, Debug, Default)]
pub struct Strip {
    /// Paths, each with all that lies beneath.
    pub paths: Vec<TreePath>,
    /// Layers, each with the step that made it; they are not looked at.
    pub layers: Vec<Which>,
    /// How layers are compressed that are written anew; as they were where nothing is said.
    pub codec: Option<Codec>,
    /// Where contents wait.
    pub tmpdir: PathBuf,
}

/// Names a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// By its number, the base being 0.
    At(usize),
    /// By the digest of the blob, or of the uncompressed tar.
    Digest(AnyDigest),
}

impl Step for Strip {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, to: &dyn Sink) -> Result<()> {
        self.remove_layers(revision)?;
        if self.paths.is_empty() { Ok(()) } else { self.remove_paths(cx, revision, to) }
    }

    fn foresee<'r>(
        &'r self,
        _: &Context<'_>,
        revision: &mut Revision<'r>,
        outlook: &mut Outlook,
    ) -> Result<()> {
        self.remove_layers(revision)?;
        for at in 0..revision.layers().len() {
            if !self.paths.is_empty() {
                let layer = outlook.perhaps(&revision.layers()[at]);
                revision.exchange(at, layer);
            }
        }
        Ok(())
    }

    fn reads(&self) -> Option<&Path> {
        (!self.paths.is_empty()).then_some(&self.tmpdir)
    }
}

impl Strip {
    fn remove_layers(&self, revision: &mut Revision<'_>) -> Result<()> {
        for at in found(revision, &self.layers)?.into_iter().rev() {
            revision.replace(at..at + 1, Vec::new());
        }
        Ok(())
    }

    fn remove_paths(&self, cx: &Context<'_>, revision: &mut Revision<'_>, to: &dyn Sink) -> Result<()> {
        let workshop = Workshop::open(cx, to, &self.tmpdir)?;
        let trees = workshop.read(revision, 0..revision.layers().len())?;
        let mut stripping = Stripping { paths: &self.paths, seen: BTreeSet::new(), ..Stripping::default() };
        let anew = trees.into_iter().map(|tree| stripping.layer(tree)).collect::<Result<Vec<_>>>()?;
        for path in &self.paths {
            if !stripping.seen.contains(path) {
                return Err(Error::NoFile { path: path.to_string() }.into());
            }
        }
        let mut rewritten = 0;
        for (at, tree) in anew.into_iter().enumerate() {
            let Some(tree) = tree else { continue };
            let old = &revision.layers()[at];
            if !is_free(old) {
                return Err(NOT_FREE.into());
            }
            let annotations = about_content(&old.blob().annotations);
            let mut layer = workshop.write(&tree, &form_like(old, self.codec))?;
            if let Piece::Made { blob, .. } = &mut layer {
                blob.annotations = annotations;
            }
            revision.exchange(at, layer);
            rewritten += 1;
        }
        let count = revision.layers().len();
        cx.observer.event(Event::Told(format!("{rewritten} of {count} layers were written anew")));
        Ok(())
    }
}

const NOT_FREE: Error = Error::Unfit {
    what: "a layer that is not to be distributed would have to be written anew, and then it would be",
    hint: "take it away as a whole with --rm-layer N",
};

/// The numbers of the layers that are named.
fn found(revision: &Revision<'_>, named: &[Which]) -> Result<BTreeSet<usize>> {
    let mut found = BTreeSet::new();
    for which in named {
        let before = found.len();
        let layers = revision.layers().iter().enumerate();
        found.extend(layers.filter(|(at, layer)| which.is(*at, layer)).map(|(at, _)| at));
        if found.len() == before {
            return Err(Error::NoLayer { which: which.to_string() }.into());
        }
    }
    Ok(found)
}

impl Which {
    fn is(&self, at: usize, layer: &Piece<'_>) -> bool {
        match self {
            Self::At(number) => at == *number,
            Self::Digest(digest) => {
                layer.blob().digest == *digest || AnyDigest::from(layer.diff_id().0) == *digest
            }
        }
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(number) => write!(out, "{number}"),
            Self::Digest(digest) => write!(out, "{digest}"),
        }
    }
}

/// The root filesystem after each layer, as it was and as it shall be.
#[derive(Default)]
struct Stripping<'a> {
    paths: &'a [TreePath],
    seen: BTreeSet<TreePath>,
    before: Tree,
    after: Tree,
}

impl Stripping<'_> {
    /// What the next layer becomes; nothing where it stays.
    fn layer(&mut self, layer: Tree) -> Result<Option<Tree>> {
        let last = std::mem::take(&mut self.after);
        self.before = std::mem::take(&mut self.before).stack(layer.clone())?;
        let mut wanted = self.before.clone();
        for path in self.paths {
            if wanted.remove(path) {
                self.seen.insert(path.clone());
            }
        }
        let does = |layer: &Tree| last.clone().stack(layer.clone()).is_ok_and(|made| made == wanted);
        let anew = if does(&layer) {
            None
        } else {
            let mut without = layer;
            for path in self.paths {
                without.remove(path);
            }
            Some(if does(&without) { without } else { last.diff(&wanted) })
        };
        self.after = wanted;
        Ok(anew)
    }
}
