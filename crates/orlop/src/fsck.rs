//! `fsck`: whether the local store holds what it says, and repair from where images came from.

use crate::error::Error;
use crate::transport::{self, Opened, Outside};
use orlop_spec::port::{Origin, Result};
use orlop_spec::reference::{Bare, LoneStream};
use orlop_spec::{Context, Descriptor};
use orlop_store::Store;
pub use orlop_store::store::fsck::{Checked, Finding, Item, Mended, Supply, Wrong};
use std::ffi::OsStr;

/// Reads everything that the store holds.
pub fn check(cx: &Context<'_>, store: &Store) -> Result<Checked> {
    store.check(cx)
}

/// The same, and puts right what can be had again: from kept blobs, from other layers, from where the images came from.
pub fn repair(cx: &Context<'_>, store: &Store, outside: &Outside<'_>) -> Result<Mended> {
    store.restore(cx, &Origins(outside))
}

/// Fetches blobs from where images came from.
struct Origins<'a>(&'a Outside<'a>);

impl Supply for Origins<'_> {
    fn fetch(
        &self,
        from: &str,
        blob: &Descriptor,
        take: &mut dyn FnMut(&dyn Origin) -> Result<()>,
    ) -> Result<()> {
        let reference = transport::parse(OsStr::new(from), Bare::Registry, LoneStream::Refused)?;
        match transport::open(&reference, self.0)? {
            Opened::Blobs(catalog) => take(&*catalog.origin(blob)?),
            Opened::Tree(_) => Err(NO_IMAGES.into()),
        }
    }
}

const NO_IMAGES: Error = Error::Unfit {
    what: "the place that the image came from holds files and no image",
    hint: "copy the image into the store again: orlop copy SRC store:NAME",
};
