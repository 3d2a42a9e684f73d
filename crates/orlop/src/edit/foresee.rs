//! What edits would do, told without a layer being read.
//!
//! ```text
//! documents ──steps, by their `foresee`──► documents, known where no layer is written ──► Foreseen
//!                                           layers: read, written anew, new                 + what would move
//! ```
//!
//! Invariant: nothing is written, and of the source nothing is read but documents.

use super::Piece;
use crate::copy::{Account, Tally};
use orlop_spec::digest::DiffId;
use orlop_spec::media_type::{Compression, MediaType};
use orlop_spec::platform::Platform;
use orlop_spec::{Algorithm, AnyDigest, Descriptor, Digest};
use std::collections::HashSet;

/// What an edit would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// The documents that would be others, children first.
    pub changed: Vec<Changed>,
    /// Layers that would be read for their contents, by the size of their blobs.
    pub read: Tally,
    /// What would become of blobs and documents at the target. What layers that are written come to is not known.
    pub account: Account,
}

/// A document that would be another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The document as it is; nothing where there is none yet.
    pub old: Option<Descriptor>,
    /// For which machine, where it is an image.
    pub platform: Option<Platform>,
    /// What would stand for it; nothing where that follows from layers that would be written.
    pub new: Option<Descriptor>,
    /// The layers that would not stay.
    pub layers: Vec<Layer>,
}

/// What would become of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// It would be read, and written in another form or with other contents, by itself or with others as one.
    Anew(Descriptor),
    /// It would be read, and written anew if there is anything in it to change.
    Perhaps(Descriptor),
    /// It would be new, of what the user calls so.
    New(String),
}

/// Is told by steps what they would do to the layers of one image.
#[derive(Debug, Default)]
pub struct Outlook {
    pub(super) layers: Vec<Layer>,
}

impl Outlook {
    /// A layer would be written in the place of `piece`. Gives what stands for it meanwhile.
    pub fn anew(&mut self, piece: &Piece<'_>) -> Piece<'static> {
        if matches!(piece, Piece::Kept { .. }) {
            self.layers.push(Layer::Anew(piece.blob().clone()));
        }
        unwritten(self.layers.len())
    }

    /// The same, if there is anything to change.
    pub fn perhaps(&mut self, piece: &Piece<'_>) -> Piece<'static> {
        if matches!(piece, Piece::Kept { .. }) {
            self.layers.push(Layer::Perhaps(piece.blob().clone()));
        }
        unwritten(self.layers.len())
    }

    /// A new layer would be written.
    pub fn new_layer(&mut self, name: &str) -> Piece<'static> {
        self.layers.push(Layer::New(name.to_owned()));
        unwritten(self.layers.len())
    }
}

/// A layer of which nothing is known but that it would be there.
fn unwritten(number: usize) -> Piece<'static> {
    let digest = Digest::of(Algorithm::Sha256, format!("a layer that is not written: {number}").as_bytes());
    Piece::made(Descriptor::new(MediaType::of_layer(Compression::None), digest, 0), DiffId(digest))
}

/// What is known while a pass only looks ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    pub(super) foreseen: Foreseen,
    /// Documents whose new digest follows from layers that would be written.
    pub(super) unsure: HashSet<AnyDigest>,
    read: HashSet<AnyDigest>,
}

impl Ahead {
    /// Notes what would become of an image or an index.
    pub(super) fn note(
        &mut self,
        old: &Descriptor,
        platform: Option<Platform>,
        new: &Descriptor,
        outlook: Outlook,
    ) {
        for layer in &outlook.layers {
            let (Layer::Anew(blob) | Layer::Perhaps(blob)) = layer else { continue };
            if self.read.insert(blob.digest.clone()) {
                self.foreseen.read.blobs += 1;
                self.foreseen.read.bytes += blob.size;
            }
        }
        if new.digest != old.digest {
            let new = (!self.unsure.contains(&old.digest)).then(|| new.clone());
            self.foreseen.changed.push(Changed {
                old: Some(old.clone()),
                platform,
                new,
                layers: outlook.layers,
            });
        }
    }
}
