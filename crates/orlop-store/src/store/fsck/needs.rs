//! What names need, and what of it is not there.

use super::super::Store;
use super::super::form::{Form, How};
use super::{Holders, Item, Seen, Wrong};
use crate::error::{Error, is_unreadable};
use crate::reach::{self, Damage, Reached};
use orlop_spec::digest::{AnyDigest, DiffId};
use orlop_spec::media_type::{Distribution, Role};
use orlop_spec::port::Result;
use orlop_spec::{Config, Descriptor, Fault, graph, json};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::iter;

/// What all images of a store need.
#[derive(Debug, Default)]
pub(super) struct Needs {
    pub(super) images: Vec<Image>,
    /// How what is named is described.
    pub(super) described: HashMap<AnyDigest, Descriptor>,
    /// Which layer a blob is, by the configs.
    pub(super) layers: HashMap<AnyDigest, DiffId>,
    /// Records of names that nobody can read.
    pub(super) bad: HashMap<Item, Wrong>,
    /// What is there only as a whole, or not at all.
    required: HashSet<AnyDigest>,
}

/// One name.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) name: Box<str>,
    /// References that it can be fetched from.
    origins: Vec<Box<str>>,
    /// Everything that it reaches.
    pub(super) digests: BTreeSet<AnyDigest>,
}

/// Reads the documents of all images, as far as they are whole.
pub(super) fn of(store: &Store, seen: &Seen) -> Result<Needs> {
    let mut needs = Needs::default();
    let (records, faults) = store.records().each()?;
    for (file, fault) in faults {
        let wrong = bad_record(&fault).ok_or(fault)?;
        needs.bad.insert(Item::Name(String::from_utf8_lossy(&file).into()), wrong);
    }
    for record in records {
        let name = record.name.tag().map_or_else(|| record.root.digest.to_string().into(), Into::into);
        needs.require(&record.root);
        let see = &mut |found: &Descriptor, reached: &Reached| needs.see(store, seen, found, reached);
        let roots = iter::once(record.root.clone());
        let digests = reach::reach(store, &store.limits, roots, Damage::PassBy, see)?;
        let by_name =
            record.name.tag().filter(|name| has_host(name)).map(|name| format!("docker://{name}").into());
        let origins = record.origin.into_iter().chain(by_name).collect();
        needs.images.push(Image { name, origins, digests });
    }
    Ok(needs)
}

/// What is wrong with a record; one of a newer form is not damaged.
fn bad_record(fault: &Fault) -> Option<Wrong> {
    match fault.downcast_ref() {
        Some(Error::NameDamaged { .. } | Error::Damaged { .. }) => Some(Wrong::Damaged),
        _ => is_unreadable(fault).then_some(Wrong::Unreadable),
    }
}

impl Needs {
    fn require(&mut self, blob: &Descriptor) {
        self.described.entry(blob.digest.clone()).or_insert_with(|| blob.clone());
        let may_lack =
            |role| matches!(role, Role::Layer(layer) if layer.distribution == Distribution::Restricted);
        if !may_lack(blob.media_type.role()) {
            self.required.insert(blob.digest.clone());
        }
    }

    /// An index may name manifests of platforms that nobody fetched; a manifest needs all of its blobs.
    fn see(&mut self, store: &Store, seen: &Seen, found: &Descriptor, reached: &Reached) {
        self.described.entry(found.digest.clone()).or_insert_with(|| found.clone());
        let Reached::Manifest(manifest) = reached else { return };
        manifest.blobs().for_each(|blob| self.require(blob));
        if !seen.blobs.contains_key(&manifest.config.digest) {
            return;
        }
        let raw = graph::read_raw(&store.limits, store, &manifest.config);
        let config = raw.ok().and_then(|raw| json::parse::<Config>(&raw).ok());
        let diff_ids = config.map(|config| config.rootfs.diff_ids).unwrap_or_default();
        let blobs = manifest.layers.iter().map(|layer| layer.digest.clone());
        self.layers.extend(blobs.zip(diff_ids));
    }

    /// What is needed and neither there nor damaged.
    pub(super) fn missing(&self, seen: &Seen) -> Vec<Item> {
        let required = self.required.iter().flat_map(|digest| self.parts(digest, seen));
        let contents = seen.wanted.iter().map(|digest| Item::Object(*digest));
        required.chain(contents).filter(|item| !seen.has(item)).collect()
    }

    /// What a blob is made of here: itself, or its form and its layer.
    fn parts(&self, digest: &AnyDigest, seen: &Seen) -> Vec<Item> {
        let blob = Item::Blob(digest.clone());
        let Some(form) = form_of(digest, seen) else {
            return match (digest, self.layers.get(digest)) {
                (AnyDigest::Known(digest), _) if seen.damaged.contains_key(&Item::Form(*digest)) => {
                    Vec::new()
                }
                (AnyDigest::Known(digest), Some(layer)) if seen.layers.contains(layer) => {
                    vec![Item::Form(*digest)]
                }
                _ => vec![blob],
            };
        };
        let layer = Item::Layer(form.diff_id);
        if form.how == How::Kept { vec![blob, layer] } else { vec![layer] }
    }

    /// Which names need something.
    pub(super) fn names_of(&self, item: &Item, seen: &Seen, holders: &Holders) -> Vec<Box<str>> {
        let blobs = self.blobs_of(item, seen, holders);
        let needs = |image: &&Image| blobs.iter().any(|blob| image.digests.contains(blob));
        self.images.iter().filter(needs).map(|image| image.name.clone()).collect()
    }

    /// Which blobs need something.
    pub(super) fn blobs_of(&self, item: &Item, seen: &Seen, holders: &Holders) -> HashSet<AnyDigest> {
        match item {
            Item::Name(_) | Item::Tree(_) => HashSet::new(),
            Item::Blob(digest) => HashSet::from([digest.clone()]),
            Item::Form(digest) => HashSet::from([(*digest).into()]),
            Item::Layer(diff_id) => self.blobs_with(diff_id, seen),
            Item::Object(digest) => {
                let layers = holders.get(digest).into_iter().flatten();
                layers.flat_map(|layer| self.blobs_with(layer, seen)).collect()
            }
        }
    }

    fn blobs_with(&self, diff_id: &DiffId, seen: &Seen) -> HashSet<AnyDigest> {
        let by_form = seen.forms.iter().filter(|(_, form)| form.diff_id == *diff_id);
        let by_config = self.layers.iter().filter(|(_, layer)| *layer == diff_id);
        by_form
            .map(|(blob, _)| AnyDigest::from(*blob))
            .chain(by_config.map(|(blob, _)| blob.clone()))
            .collect()
    }

    /// Where the images that need a blob came from.
    pub(super) fn origins_of<'n>(&'n self, blob: &'n AnyDigest) -> impl Iterator<Item = &'n str> {
        let needing = self.images.iter().filter(move |image| image.digests.contains(blob));
        needing.flat_map(|image| image.origins.iter().map(AsRef::as_ref))
    }
}

/// Whether a name is the whole name of an image of a registry: those that were pulled are.
pub(super) fn has_host(name: &str) -> bool {
    name.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost")
}

fn form_of<'s>(digest: &AnyDigest, seen: &'s Seen) -> Option<&'s Form> {
    seen.forms.get(digest.known().ok()?)
}

impl Seen {
    /// Whether something is there, be it damaged.
    fn has(&self, item: &Item) -> bool {
        let is_whole = match item {
            Item::Name(_) | Item::Tree(_) => false,
            Item::Blob(digest) => self.blobs.contains_key(digest),
            Item::Form(digest) => self.forms.contains_key(digest),
            Item::Layer(diff_id) => self.layers.contains(diff_id),
            Item::Object(digest) => self.objects.contains(digest),
        };
        is_whole || self.damaged.contains_key(item)
    }
}
