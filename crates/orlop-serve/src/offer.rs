//! What a server offers. A stranger's place is offered by implementing [`Offer`], in twenty lines.

use orlop_spec::port::{Catalog, Result};
use orlop_spec::reference::is_tag;
use orlop_spec::wire::Query;
use orlop_spec::wire::route::is_repository;
use orlop_spec::{Algorithm, Descriptor, Digest};
use std::sync::Arc;

/// What is offered. It is asked for each request, so that what changes at a place shows at once; it must be quick
/// where nothing changed.
pub trait Offer: Send + Sync {
    /// Every image, in every repository.
    fn entries(&self) -> Result<Vec<Entry>>;

    /// The place of an entry.
    fn place(&self, number: usize) -> &dyn Catalog;

    /// A document beside the registry, such as an index of what is in it; none where there is none at this path.
    fn page(&self, path: &str, query: &Query) -> Result<Option<Page>> {
        let _ = (path, query);
        Ok(None)
    }
}

/// An image that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// In which repository.
    pub repository: Box<str>,
    /// Under which tag; an image without one can be had by its digest.
    pub tag: Option<Box<str>>,
    /// Its manifest or index.
    pub root: Descriptor,
    /// In which place.
    pub place: usize,
}

/// A document beside the registry. Clones share its bytes: who offers a large one keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    media_type: &'static str,
    bytes: Arc<[u8]>,
    tag: Arc<str>,
}

impl Page {
    /// A document of a type.
    pub fn new(media_type: &'static str, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let tag = Digest::of(Algorithm::Sha256, &bytes).hex().into();
        Self { media_type, bytes, tag }
    }

    /// Its type.
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// By what clients ask whether it is still the one that they have.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

/// Places, each a repository, with the tags that a registry can have.
impl Offer for Vec<(Box<str>, Box<dyn Catalog + '_>)> {
    fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (place, (repository, catalog)) in self.iter().enumerate() {
            let names = if is_repository(repository) { catalog.names()? } else { Vec::new() };
            entries.extend(names.into_iter().map(|(name, root)| Entry {
                repository: repository.clone(),
                tag: name.tag().filter(|tag| is_tag(tag)).map(Into::into),
                root,
                place,
            }));
        }
        Ok(entries)
    }

    fn place(&self, number: usize) -> &dyn Catalog {
        &*self[number].1
    }
}
