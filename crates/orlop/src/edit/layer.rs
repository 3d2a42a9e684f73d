//! Layers that steps read, and layers that they write.
//!
//! ```text
//! layers ──one pass each──► trees ──compose, divide, …──► trees of new layers ──► entries ──► blobs
//!              └──► contents, in a spool ─────────────────────────────────────────┘
//! ```
//!
//! Invariants: a layer is read once, and proven before anything is written that was made of it. Memory is that of trees.

use super::{Piece, Revision};
use crate::error::Error;
use crate::form::Form;
use crate::image;
use crate::layers::{Placed, Sum, open_placed, stack};
use crate::spool::Spool;
use orlop_fs::Dir;
use orlop_layer::codec::Codec;
use orlop_layer::encode::Encoded;
use orlop_layer::tree::Tree;
use orlop_spec::media_type::{Compression, Distribution, Role};
use orlop_spec::port::{Result, Sink};
use orlop_spec::{Context, Event};
use std::ops::Range;
use std::path::Path;

/// Layers of one image while they are made anew.
pub(super) struct Workshop<'a> {
    cx: &'a Context<'a>,
    to: &'a dyn Sink,
    spool: Spool,
    /// What all layers may be together.
    sum: Sum,
}

impl<'a> Workshop<'a> {
    /// Contents wait in a file without a name in `tmpdir`.
    pub(super) fn open(cx: &'a Context<'a>, to: &'a dyn Sink, tmpdir: &Path) -> Result<Self> {
        let spool = Spool::new(Dir::open(tmpdir)?.spool()?);
        Ok(Self { cx, to, spool, sum: Sum::new(cx) })
    }

    /// The trees of some layers, whose contents are kept.
    pub(super) fn read(&self, revision: &Revision<'_>, range: Range<usize>) -> Result<Vec<Tree>> {
        let pieces = &revision.layers()[range.clone()];
        let placed = pieces.iter().map(|piece| placed(revision, piece)).collect::<Result<Vec<_>>>()?;
        let first = u16::try_from(range.start).map_err(|_| self.too_many())?;
        let count = u16::try_from(range.end).map_err(|_| self.too_many())? - first;
        let each = &|number, decode: &mut dyn FnMut(&mut dyn orlop_layer::Visit) -> Result<()>| {
            decode(&mut self.spool.layer(number))
        };
        let done = open_placed(self.cx, "read", (&placed, first), (0..count).collect(), &self.sum, each)?;
        Ok(done.into_iter().flatten().map(|(tree, _)| tree).collect())
    }

    /// One layer that does what some do. What lies below them is read only where that depends on it.
    pub(super) fn merge(&self, revision: &Revision<'_>, range: Range<usize>) -> Result<Tree> {
        let trees = self.read(revision, range.clone())?;
        if range.start == 0 {
            return Ok(stack(trees)?);
        }
        if let Some(layer) = Tree::compose(trees.iter().cloned())? {
            return Ok(layer);
        }
        self.cx.observer.event(Event::Told(BELOW.into()));
        let base = stack(self.read(revision, 0..range.start)?)?;
        let merged = trees.into_iter().try_fold(base.clone(), Tree::stack)?;
        Ok(base.diff(&merged))
    }

    /// Writes a layer.
    pub(super) fn write(&self, tree: &Tree, form: &Form) -> Result<Piece<'static>> {
        let encoded = form.put(self.cx, ("write", "a layer"), &mut self.spool.entries(tree), self.to)?;
        let Encoded { blob, diff_id, .. } = encoded;
        Ok(Piece::Made { blob, diff_id, codec: Some(form.codec), home: None })
    }

    fn too_many(&self) -> Error {
        Error::TooManyLayers { limit: self.cx.limits.layers.min(usize::from(u16::MAX)) }
    }
}

const BELOW: &str = "the layers below are read too: a layer leaves folders out, or links to a file of theirs, and what that \
                     means depends on them";

/// Where a layer is that can be read.
pub(super) fn placed<'p>(revision: &Revision<'p>, piece: &'p Piece<'_>) -> Result<Placed<'p>> {
    match piece {
        Piece::Kept { blob, diff_id, home } => {
            let source = home.unwrap_or_else(|| revision.image().source());
            Ok(Placed { source, layer: image::layer(blob, *diff_id)? })
        }
        Piece::Made { blob, diff_id, home: Some(home), .. } => {
            Ok(Placed { source: *home, layer: image::layer(blob, *diff_id)? })
        }
        Piece::Made { home: None, .. } => Err(JUST_MADE.into()),
    }
}

const JUST_MADE: Error = Error::Unfit {
    what: "a step reads a layer that an earlier one wrote, and had not said that it reads any",
    hint: "do it by two commands, the second on the result of the first",
};

/// Whether a layer may be given to others, and so may one that is made of it.
pub(super) fn is_free(piece: &Piece<'_>) -> bool {
    match piece.blob().media_type.role() {
        Role::Layer(form) => form.distribution == Distribution::Free,
        _ => true,
    }
}

/// How a layer is written that stands for `piece`, where the user says no codec.
pub(super) fn form_like(piece: &Piece<'_>, codec: Option<Codec>) -> Form {
    let like = match piece.blob().media_type.role() {
        Role::Layer(form) => match form.compression {
            Compression::None => Codec::None,
            Compression::Gzip => Codec::GZIP,
            Compression::Zstd => Codec::ZSTD,
        },
        _ => Codec::default(),
    };
    Form { codec: codec.unwrap_or(like), algorithm: piece.diff_id().0.algorithm() }
}
