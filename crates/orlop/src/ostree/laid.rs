//! An image as one of the trees of a commit.
//!
//! Invariant: layers of the image are merged with each other as layers, and what they come to is laid over the trees before
//! it as a folder is.

use super::target::{created, take_layers};
use crate::image::Image;
use orlop_host::ostree::flavour::Flavour;
use orlop_host::ostree::pile::{Pile, Written};
use orlop_spec::port::Result;
use orlop_spec::{Context, Fault};

/// Lays the files of an image over.
pub fn image(cx: &Context<'_>, pile: &mut Pile<'_>, image: &Image<'_>, flavour: Flavour) -> Result<()> {
    pile.tree(|transaction| {
        let flavour = flavour.fitting(transaction.repo().mode());
        let root = take_layers(cx, image, transaction, flavour)?;
        let time = created(image).and_then(|time| u64::try_from(time.seconds()).ok()).unwrap_or(0);
        Ok::<_, Fault>(Written { root, time })
    })
}
