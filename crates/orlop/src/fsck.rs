//! `fsck`: whether the local store holds what it says, and repair from where images came from.

use crate::error::Error;
use crate::images::images;
use crate::transport::{self, Opened, Outside};
use crate::verify::{self, Stored, WrongView};
use orlop_spec::port::{Origin, Result};
use orlop_spec::reference::{Bare, LoneStream};
use orlop_spec::{Context, Descriptor, Diagnose as _, DiffId, Fault, Kind};
use orlop_store::Store;
use orlop_store::error::is_unreadable;
pub use orlop_store::store::fsck::{Checked, Finding, Item, Mended, Supply, Wrong};
use orlop_store::store::manifest::Trust;
use std::collections::BTreeMap;
use std::ffi::OsStr;

/// Reads everything that the store holds.
pub fn check(cx: &Context<'_>, store: &Store) -> Result<Checked> {
    let mut checked = store.check(cx)?;
    checked.findings.extend(trees(cx, store)?.into_iter().map(|tree| tree.finding));
    Ok(checked)
}

/// The same, and puts right what can be had again: from kept blobs, from other layers, from where the images came from.
pub fn repair(cx: &Context<'_>, store: &Store, outside: &Outside<'_>) -> Result<Mended> {
    let mut mended = store.restore(cx, &Origins(outside))?;
    for Tree { layers, views, finding } in trees(cx, store)? {
        let found = Stored { views: vec![views], ..Stored::default() };
        verify::repair_stored(cx, store, &layers, (Trust::Nothing, &found))?;
        mended.mended.push(finding);
    }
    for Tree { finding, .. } in trees(cx, store)? {
        mended.mended.retain(|other| other.item != finding.item);
        mended.checked.findings.push(finding);
    }
    Ok(mended)
}

/// Something that is mounted of an image, and is not what its layers say.
struct Tree {
    layers: Vec<DiffId>,
    views: WrongView,
    finding: Finding,
}

/// Everything of that kind. What of the layers themselves is wrong was found before.
fn trees(cx: &Context<'_>, store: &Store) -> Result<Vec<Tree>> {
    let mut names: BTreeMap<Vec<DiffId>, Vec<Box<str>>> = BTreeMap::new();
    for listed in images(cx, store)? {
        let name =
            listed.record.name.tag().map_or_else(|| listed.record.root.digest.to_string(), str::to_owned);
        for held in &listed.image.manifests {
            let layers: Option<Vec<DiffId>> = held.layers.iter().map(|layer| layer.diff_id).collect();
            names.entry(layers.unwrap_or_default()).or_default().push(name.as_str().into());
        }
    }
    let mut trees = Vec::new();
    for (layers, names) in names.into_iter().filter(|(layers, _)| !layers.is_empty()) {
        let wrong = match verify::views(cx, store, &layers) {
            Err(fault) if is_told_of_layers(&fault) => continue,
            wrong => wrong?,
        };
        trees.extend(wrong.into_iter().map(|views| {
            let item = Item::Tree(views.key.as_str().into());
            let finding = Finding { item, wrong: Wrong::Damaged, names: names.clone() };
            Tree { layers: layers.clone(), views, finding }
        }));
    }
    Ok(trees)
}

/// What is wrong with lists and contents was found before.
fn is_told_of_layers(fault: &Fault) -> bool {
    fault.is_absence() || fault.kind() == Kind::Integrity || is_unreadable(fault)
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

    fn resolve(&self, from: &str) -> Result<Vec<Descriptor>> {
        let reference = transport::parse(OsStr::new(from), Bare::Registry, LoneStream::Refused)?;
        match transport::open(&reference, self.0)? {
            Opened::Blobs(catalog) => catalog.resolve(&reference.selector),
            Opened::Tree(_) => Err(NO_IMAGES.into()),
        }
    }
}

const NO_IMAGES: Error = Error::Unfit {
    what: "the place that the image came from holds files and no image",
    hint: "copy the image into the store again: orlop copy SRC store:NAME",
};
