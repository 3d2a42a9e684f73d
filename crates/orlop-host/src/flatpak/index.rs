//! The index by which flatpak learns which images a host has (registry-index of flatpak-oci-specs).
//!
//! ```json
//! {"Registry": "../", "Results": [
//!   {"Name": "app/org.test.hello/x86_64/master", "Images": [
//!     {"Tags": ["latest"], "Digest": "sha256:…", "MediaType": "…", "OS": "linux", "Architecture": "amd64",
//!      "Annotations": {}, "Labels": {"org.flatpak.ref": "…", "org.flatpak.metadata": "…"}}], "Lists": []}]}
//! ```
//!
//! The client resolves `Registry` against the address of the index, and takes the digest of an image as the id of a commit.
//!
//! Invariant: an index that is made here has one image for each ref, sorted, so the same images give the same bytes; two
//! images of one ref would confuse the client. An image that two repositories have is listed in the one whose name is the first.

use super::labels::{DELTA_URL, METADATA, REF, TIMESTAMP};
use super::refname::Ref;
use orlop_spec::descriptor::Annotations;
use orlop_spec::json::{self, JsonError};
use orlop_spec::media_type::MediaType;
use orlop_spec::wire::Query;
use orlop_spec::wire::route::is_repository;
use orlop_spec::{Algorithm, AnyDigest, Digest};
use serde::{Deserialize, Deserializer, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Where an index is, beneath the address that a remote is added by. The client asks for this one.
pub const STATIC: &str = "index/static";
/// The same for who keeps no copy.
pub const DYNAMIC: &str = "index/dynamic";
/// The tag that a client asks for where nobody said another.
pub const LATEST: &str = "latest";
/// The tag of the index of differences between images.
pub const DELTAS: &str = "_deltaindex";
/// The registry, seen from an index that stands beside it.
pub const HERE: &str = "../";

/// What a host has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Index {
    /// Where the registry is: an address, whole or relative to that of the index.
    pub registry: Box<str>,
    /// The repositories.
    #[serde(deserialize_with = "or_empty")]
    pub results: Vec<Repository>,
}

/// A repository of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Repository {
    /// Its name.
    pub name: Box<str>,
    /// Images that stand for themselves.
    #[serde(default, deserialize_with = "or_empty")]
    pub images: Vec<Image>,
    /// Images of one tag for several platforms.
    #[serde(default, deserialize_with = "or_empty")]
    pub lists: Vec<List>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    /// Its tags.
    #[serde(default, deserialize_with = "or_empty")]
    pub tags: Vec<Box<str>>,
    /// Its manifest.
    pub digest: AnyDigest,
    /// Of which type that is.
    pub media_type: MediaType,
    /// For which system.
    #[serde(rename = "OS")]
    pub os: Box<str>,
    /// For which machine.
    pub architecture: Box<str>,
    /// Of the manifest; the client does not look at them.
    #[serde(default, deserialize_with = "or_empty")]
    pub annotations: Annotations,
    /// Of the config.
    #[serde(default, deserialize_with = "or_empty")]
    pub labels: Annotations,
}

/// Images of one tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct List {
    /// The index of them.
    pub digest: AnyDigest,
    /// Of which type that is.
    pub media_type: MediaType,
    /// Its tags.
    #[serde(default, deserialize_with = "or_empty")]
    pub tags: Vec<Box<str>>,
    /// The images.
    #[serde(default, deserialize_with = "or_empty")]
    pub images: Vec<Image>,
}

/// Reads `null` as nothing, as programs in Go write an empty list.
fn or_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl Image {
    /// What it is to flatpak; `None` where the client would pass it over.
    pub fn name(&self) -> Option<Ref> {
        let name = self.labels.get(REF)?.parse().ok()?;
        self.labels.contains_key(METADATA).then_some(name)
    }

    /// When its commit was made.
    fn time(&self) -> u64 {
        self.labels.get(TIMESTAMP).and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

impl Index {
    /// Reads an index.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        json::parse(bytes)
    }

    /// As it is served.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = json::print(self);
        bytes.push(b'\n');
        bytes
    }

    /// Every image, with the repository that it is in.
    pub fn images(&self) -> impl Iterator<Item = (&str, &Image)> {
        self.results.iter().flat_map(|repository| {
            let listed = repository.lists.iter().flat_map(|list| &list.images);
            repository.images.iter().chain(listed).map(|image| (&*repository.name, image))
        })
    }

    /// Names to clients the manifests of deltas, each of the image that `of` is asked about and in its repository. What an
    /// image says itself it says of a time when there was no such delta.
    pub fn name_deltas(&mut self, of: impl Fn(&AnyDigest) -> Option<AnyDigest>) {
        for Repository { name, images, lists } in &mut self.results {
            let listed = lists.iter_mut().flat_map(|list| &mut list.images);
            for image in images.iter_mut().chain(listed) {
                if let Some(manifest) = of(&image.digest) {
                    // Clients resolve it against the address of the registry.
                    let address = format!("v2/{name}/manifests/{manifest}");
                    image.labels.insert(DELTA_URL.into(), address.into());
                }
            }
        }
    }

    /// What a client asked for. Of several values of one parameter any fits, of several parameters all must.
    #[must_use]
    pub fn select(&self, query: &Query) -> Self {
        let mut wanted = BTreeMap::<_, Vec<_>>::new();
        for (key, value) in query.iter() {
            wanted.entry(key).or_default().push(value);
        }
        let results = self.results.iter().map(|repository| repository.select(&wanted));
        let results = results.filter(|it| !it.images.is_empty() || !it.lists.is_empty()).collect();
        Self { registry: self.registry.clone(), results }
    }
}

/// By parameter, the values of which any will do.
type Wanted<'q> = BTreeMap<&'q str, Vec<&'q str>>;

impl Repository {
    fn select(&self, wanted: &Wanted<'_>) -> Self {
        let those = |tags: &[Box<str>], images: &[Image]| -> Vec<Image> {
            images.iter().filter(|image| fits(wanted, &self.name, tags, image)).cloned().collect()
        };
        let list = |list: &List| List {
            digest: list.digest.clone(),
            media_type: list.media_type.clone(),
            tags: list.tags.clone(),
            images: those(&list.tags, &list.images),
        };
        let lists = self.lists.iter().map(list).filter(|list| !list.images.is_empty()).collect();
        Self { name: self.name.clone(), images: those(&[], &self.images), lists }
    }
}

fn fits(wanted: &Wanted<'_>, repository: &str, tags: &[Box<str>], image: &Image) -> bool {
    wanted.iter().all(|(key, values)| {
        let is = |found: &str| values.contains(&found);
        match *key {
            "repository" => is(repository),
            "tag" => tags.iter().chain(&image.tags).any(|tag| is(tag)),
            "os" => is(&image.os),
            "architecture" => is(&image.architecture),
            key => {
                let (of, name) = key.split_once(':').unwrap_or((key, ""));
                let texts = match of {
                    "label" => &image.labels,
                    "annotation" => &image.annotations,
                    // A parameter of a later version of the protocol: more than was asked for does no harm.
                    _ => return true,
                };
                match name.strip_suffix(":exists") {
                    Some(name) => texts.contains_key(name) != is("0"),
                    None => texts.get(name).is_some_and(|text| is(text)),
                }
            }
        }
    })
}

/// Collects images, one for each ref.
#[derive(Debug, Default)]
pub struct Collection {
    chosen: BTreeMap<Ref, (Option<Box<str>>, Image)>,
}

/// An image that is left out, because another one has its ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// The ref.
    pub name: Ref,
    /// What is listed.
    pub listed: AnyDigest,
    /// What is not.
    pub left_out: AnyDigest,
}

/// What became of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is listed.
    Listed,
    /// The client would pass it over: it has no ref, or no metadata.
    NotOfFlatpak,
    /// Two have one ref: the later is listed.
    Rival(Rival),
}

impl Collection {
    /// Takes an image, in a repository where it has one already.
    pub fn take(&mut self, repository: Option<&str>, image: Image) -> Taken {
        let Some(name) = image.name() else { return Taken::NotOfFlatpak };
        let offered = (repository.map(Into::into), image);
        let Some(known) = self.chosen.get_mut(&name) else {
            self.chosen.insert(name, offered);
            return Taken::Listed;
        };
        if known.1.digest == offered.1.digest {
            match offered.0.cmp(&known.0) {
                Ordering::Less => *known = offered,
                Ordering::Equal => {
                    let tags: BTreeSet<_> = known.1.tags.drain(..).chain(offered.1.tags).collect();
                    known.1.tags = tags.into_iter().collect();
                }
                // Its tags there say nothing of the repository that is listed.
                Ordering::Greater => {}
            }
            return Taken::Listed;
        }
        // Of the same second: whichever, but always the same.
        let age = |image: &Image| (image.time(), image.digest.clone());
        let left_out = if age(&offered.1) > age(&known.1) {
            std::mem::replace(known, offered).1.digest
        } else {
            offered.1.digest
        };
        Taken::Rival(Rival { name, listed: known.1.digest.clone(), left_out })
    }

    /// The index of them. An image that has no repository gets one by its ref.
    pub fn index(self, registry: &str) -> Index {
        let mut results = BTreeMap::<Box<str>, Vec<Image>>::new();
        for (name, (repository, image)) in self.chosen {
            let made = repository.unwrap_or_else(|| {
                let plain = plain_repository(&name);
                plain.filter(|it| !results.contains_key(it)).unwrap_or_else(|| hashed_repository(&name))
            });
            results.entry(made).or_default().push(image);
        }
        let repository = |(name, images)| Repository { name, images, lists: Vec::new() };
        Index { registry: registry.into(), results: results.into_iter().map(repository).collect() }
    }
}

/// Registries know no capitals. Most refs are told apart without them.
fn plain_repository(name: &Ref) -> Option<Box<str>> {
    let text = name.to_string().to_ascii_lowercase();
    is_repository(&text).then(|| text.into())
}

fn hashed_repository(name: &Ref) -> Box<str> {
    let hash = Digest::of(Algorithm::Sha256, name.to_string().as_bytes()).hex();
    format!("{}/{}", name.kind.as_str(), &hash[..32]).into()
}

#[cfg(test)]
mod tests;
