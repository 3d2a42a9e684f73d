//! `rebase`: the base that an image was made on is exchanged for another one.
//!
//! ```text
//! old base   [a b]
//! image      [a b] [x y]
//! new base   [c]
//! result     [c]   [x y]      layers with their steps of the history; the config by the rule of `merge`
//! ```
//!
//! What the image has as the old base had it comes from the new one, as it would if the image were built again: field by
//! field; of environment, labels, volumes, ports and annotations name by name. What the image has otherwise is its own. For
//! which machine the image is, the new base says. (`crane rebase` keeps the config of the image, so that what a
//! new base says anew never arrives.)
//!
//! Invariants: layers are compared by what they hold, not by how they are compressed. No layer is read. An image on the base
//! that it has stays what it is, to the byte.

mod merge;

use super::{Piece, Revision, Step};
use crate::base::{self, BASE_DIGEST, BASE_NAME};
use crate::error::Error;
use crate::image::Image;
use merge::{by_key, merged};
use orlop_spec::config::{Config, History};
use orlop_spec::descriptor::Annotations;
use orlop_spec::platform::Platform;
use orlop_spec::port::{Result, Selector, Sink, Source};
use orlop_spec::{AnyDigest, Context};
use std::collections::HashMap;

/// A base; each image takes the one for its own platform.
#[derive(Clone)]
pub struct BaseImage<'a> {
    /// Where it is.
    pub source: &'a dyn Source,
    /// The image, or the index of several.
    pub selector: Selector,
    /// What it is called in annotations; nothing where others could not find it by that.
    pub name: Option<Box<str>>,
}

impl<'a> BaseImage<'a> {
    /// The base for the machine of an image. Which version of the system that needs is the base's own affair.
    fn image(&self, cx: &Context<'_>, platform: Platform) -> Result<Image<'a>> {
        let wanted = Platform { os_version: None, os_features: Vec::new(), ..platform };
        let image = Image::fetch(cx, self.source, &self.selector, &wanted)?;
        let found = image.platform();
        if (&found.os, &found.architecture) != (&wanted.os, &wanted.architecture) {
            let digest = image.manifest().descriptor().digest.clone();
            return Err(
                Error::BaseOfOther { digest, found: Box::new(found), wanted: Box::new(wanted) }.into()
            );
        }
        Ok(image)
    }
}

/// What is exchanged for what.
#[derive(Clone)]
pub struct Exchange<'a> {
    /// The base that an image was made on.
    pub old: BaseImage<'a>,
    /// The base that it is put on.
    pub new: BaseImage<'a>,
}

/// Exchanges the bases of images.
pub struct Rebase<'a> {
    /// Of each image; one of which nothing is known is not rebased.
    pub exchanges: HashMap<AnyDigest, Exchange<'a>>,
}

impl Step for Rebase<'_> {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, _: &dyn Sink) -> Result<()> {
        let digest = &revision.image().manifest().descriptor().digest;
        let missing = || Error::NoBase { image: digest.clone() };
        let exchange = self.exchanges.get(digest).ok_or_else(missing)?;
        let platform = revision.image().platform();
        let (old, new) = (exchange.old.image(cx, platform.clone())?, exchange.new.image(cx, platform)?);
        check_prefix(revision, &old)?;
        if old.manifest().descriptor().digest == new.manifest().descriptor().digest {
            return Ok(());
        }
        rebase(revision, &old, &new, exchange.new.source);
        annotate(revision, (&old, &new), exchange.new.name.as_deref());
        Ok(())
    }
}

/// That the layers of the image begin with those of the base.
fn check_prefix(revision: &Revision<'_>, old: &Image<'_>) -> Result<()> {
    let own = revision.layers().iter().map(Piece::diff_id);
    let base = &old.config().rootfs.diff_ids;
    let same = own.zip(base).take_while(|(own, base)| own == *base).count();
    if same == base.len() {
        return Ok(());
    }
    Err(Error::NotOnBase {
        image: revision.image().manifest().descriptor().digest.clone(),
        base: old.manifest().descriptor().digest.clone(),
        layer: same + 1,
        count: base.len(),
    }
    .into())
}

fn rebase<'r>(revision: &mut Revision<'r>, old: &Image<'_>, new: &Image<'_>, home: &'r dyn Source) {
    let below = old.config().rootfs.diff_ids.len();
    revision.settle_history();
    let kept = settled(new);
    let own =
        revision.config().history[first_own(&revision.config().history, &settled(old), below)..].to_vec();
    let layers = new.manifest().layers.iter().zip(&new.config().rootfs.diff_ids).enumerate();
    let layers = layers.map(|(at, (blob, diff_id))| match revision.layers().get(at) {
        // The image has it already, compressed in its own way.
        Some(own) if at < below && own.diff_id() == *diff_id => own.clone(),
        _ => Piece::Kept { blob: blob.clone(), diff_id: *diff_id, home: Some(home) },
    });
    let layers = layers.map(|layer| (layer, History::default())).collect();
    revision.replace(0..below, layers);
    let config = merged(old.config(), revision.config(), new.config());
    *revision.config_mut() = Config { history: [kept, own].concat(), ..config };
}

/// The steps of a base, one with a layer for each that it has.
fn settled(base: &Image<'_>) -> Vec<History> {
    let mut base = Revision::new(base);
    base.settle_history();
    base.config().history.clone()
}

/// Which step is the first that is the image's own: that behind all of the base's. Where the image tells them otherwise, that
/// behind the last of the base's layers.
fn first_own(history: &[History], base: &[History], below: usize) -> usize {
    if history.starts_with(base) {
        return base.len();
    }
    let made = history.iter().enumerate().filter(|(_, step)| step.empty_layer != Some(true));
    below.checked_sub(1).and_then(|last| made.map(|(at, _)| at).nth(last)).map_or(0, |at| at + 1)
}

fn annotate(revision: &mut Revision<'_>, (old, new): (&Image<'_>, &Image<'_>), name: Option<&str>) {
    let said = |image: &Image<'_>| -> Annotations {
        let mut said = image.manifest().annotations.clone();
        said.retain(|key, _| &**key != BASE_NAME && &**key != BASE_DIGEST);
        said
    };
    let own = &mut revision.manifest_mut().annotations;
    *own = by_key(&said(old), own, &said(new));
    base::tell(own, new, name);
}
