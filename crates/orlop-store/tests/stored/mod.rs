//! Images of real layers in a store.

use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::media_type::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use orlop_spec::port::{Keeper as _, Result, Sink as _, Source as _, Sweep, Swept};
use orlop_spec::{Manifest, json};
use orlop_store::Store;
use orlop_store::store::{Options, StoreSink};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use testkit::suites::copy::{by_tag, tag};
use testkit::suites::{Sample, describe};
use testkit::tarball::{Member, tar};

/// An image with one layer, of files with 100 bytes each of the byte that is their name.
pub(crate) fn image(files: &str) -> Sample {
    image_of(&[layer(files)])
}

pub(crate) fn layer(files: &str) -> Vec<u8> {
    tar(files.chars().map(|name| Member::file(name.to_string(), vec![name as u8; 100])))
}

pub(crate) fn image_of(layers: &[Vec<u8>]) -> Sample {
    let blob = |kind, bytes: &[u8]| (describe(kind, Algorithm::Sha256, bytes), bytes.to_vec());
    let diff_ids: Vec<String> = layers.iter().map(|layer| format!("\"{}\"", diff_id(layer))).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    let mut blobs: Vec<_> = layers.iter().map(|layer| blob(OCI_LAYER, layer)).collect();
    let descriptors = blobs.iter().map(|(layer, _)| layer.clone()).collect();
    let config = blob(OCI_CONFIG, config.as_bytes());
    let manifest = blob(OCI_MANIFEST, &json::print(&Manifest::new(config.0.clone(), descriptors)));
    let root = manifest.0.clone();
    blobs.extend([config, manifest]);
    Sample { root, blobs }
}

pub(crate) fn diff_id(layer: &[u8]) -> DiffId {
    DiffId(Digest::of(Algorithm::Sha256, layer))
}

pub(crate) fn open(place: &Path) -> Store {
    Store::open(place, &Options::default()).expect("a store")
}

pub(crate) fn try_publish(place: &Path, name: &str, image: &Sample) -> Result<()> {
    let sink = StoreSink::create(place, &Options::default())?;
    for (blob, content) in &image.blobs {
        sink.put(blob, content, &orlop_spec::port::Hints::default())?;
    }
    Box::new(sink).finish(&[(tag(name), image.root.clone())])
}

pub(crate) fn publish(place: &Path, name: &str, image: &Sample) {
    try_publish(place, name, image).expect("a whole image is published");
}

pub(crate) fn forget(place: &Path, name: &str) {
    open(place).forget(&by_tag(name)).expect("it is there");
}

/// Without grace: whatever is old enough goes.
pub(crate) fn try_sweep(place: &Path) -> Result<Swept> {
    Store::open(place, &Options::default())?.sweep(Duration::ZERO, Sweep::Remove)
}

pub(crate) fn sweep(place: &Path) -> Swept {
    try_sweep(place).expect("a sound store is swept")
}

/// Makes whatever is in the store older than any run that begins now.
pub(crate) fn settle() {
    std::thread::sleep(Duration::from_millis(12));
}

/// Whether a name stands for an image, and every byte of it is there.
pub(crate) fn holds(place: &Path, name: &str, image: &Sample) -> bool {
    let store = open(place);
    match store.resolve(&by_tag(name)) {
        Ok(roots) => {
            assert_eq!(roots[0].digest, image.root.digest, "{name}");
            image.check(&store);
            true
        }
        Err(fault) => {
            assert_eq!(orlop_spec::Diagnose::kind(&fault), orlop_spec::Kind::NotFound, "{name}: {fault}");
            false
        }
    }
}

/// Everything in the store, by path.
pub(crate) fn files(place: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![place.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the store").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(place).expect("beneath").to_owned());
            }
        }
    }
    found
}
