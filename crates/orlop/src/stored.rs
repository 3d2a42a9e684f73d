//! The local store by every name that people use for its images.
//!
//! ```text
//! debian:12 ── a name as it stands ─────────► debian:12
//!           ── with the host it leaves out ─► docker.io/library/debian:12
//!           ── the beginning of a digest ───► the image, manifest or config that alone begins so
//! ```
//!
//! Invariant: the first of the three that finds something decides; a beginning that several have is refused. Everything
//! else is the store's own.

use crate::error::Error;
use crate::network::Surroundings;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Catalog, Keeper, Name, Origin, Result, Selector, Source, Sweep, Swept, Unpacked};
use orlop_spec::{AnyDigest, Descriptor, Fault, Index, Limits, Manifest, graph};
use orlop_store::Store;
use std::time::Duration;

/// A beginning of a digest has at least so many digits: fewer may well be a name.
const SHORTEST: usize = 4;
/// What a name without a tag means on a registry.
const LATEST: &str = "latest";

/// The store, and what short names mean.
pub(crate) struct Stored<'a> {
    store: Store,
    surroundings: &'a Surroundings,
    limits: &'a Limits,
}

impl<'a> Stored<'a> {
    /// Looks names up as the settings say.
    pub(crate) fn new(store: Store, surroundings: &'a Surroundings, limits: &'a Limits) -> Self {
        Self { store, surroundings, limits }
    }

    /// What the store calls the image that is meant. A name that nothing is known about stays as it is: the store says
    /// so, and which names are like it.
    fn meant(&self, selector: &Selector) -> Result<Selector> {
        let Selector::Tag(name) = selector else { return Ok(selector.clone()) };
        if self.is_name(name)? {
            return Ok(selector.clone());
        }
        for whole in self.whole(name) {
            if self.is_name(&whole)? {
                return Ok(Selector::Tag(whole.into()));
            }
        }
        Ok(self.by_beginning(name)?.map_or_else(|| selector.clone(), Selector::Digest))
    }

    fn is_name(&self, name: &str) -> Result<bool> {
        Ok(self.store.records().get(name)?.is_some())
    }

    /// The names that a name stands for which leaves the host, or the tag, out. One that cannot be a registry's stands
    /// for none.
    fn whole(&self, name: &str) -> Vec<String> {
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (name, LATEST),
        };
        let meant = self.surroundings.qualify(repository).unwrap_or_default();
        meant.iter().map(|repository| format!("{repository}:{tag}")).collect()
    }

    /// The root of the one image of which the root, a manifest or the config begins so.
    fn by_beginning(&self, text: &str) -> Result<Option<AnyDigest>> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digits.len() < SHORTEST || !digits.bytes().all(is_digit) {
            return Ok(None);
        }
        let mut found = Vec::new();
        for (_, root) in self.store.names()? {
            if !found.contains(&root.digest) && self.has_beginning(&root, digits, 0) {
                found.push(root.digest);
            }
        }
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(Error::SeveralBegin { text: text.into(), found }.into()),
        }
    }

    /// Whether a document, or one below it, begins so; what cannot be read does not.
    fn has_beginning(&self, document: &Descriptor, digits: &str, depth: u32) -> bool {
        if document.digest.encoded().starts_with(digits) {
            return true;
        }
        match document.media_type.role() {
            Role::Manifest => graph::read::<Manifest>(self.limits, &self.store, document)
                .is_ok_and(|manifest| manifest.config.digest.encoded().starts_with(digits)),
            Role::Index if depth < self.limits.index_depth => {
                let index = graph::read::<Index>(self.limits, &self.store, document);
                index.is_ok_and(|index| {
                    index.manifests.iter().any(|child| self.has_beginning(child, digits, depth + 1))
                })
            }
            _ => false,
        }
    }
}

impl Source for Stored<'_> {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        self.store.resolve(&self.meant(selector)?)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        self.store.origin(blob)
    }

    fn gives(&self, blob: &Descriptor) -> Result<()> {
        self.store.gives(blob)
    }

    fn unpacked(&self, layer: &Descriptor) -> Result<Option<Box<dyn Unpacked + '_>>> {
        self.store.unpacked(layer)
    }
}

impl Catalog for Stored<'_> {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        self.store.names()
    }

    fn unreadable(&self) -> Result<Vec<Fault>> {
        self.store.unreadable()
    }

    fn spelled(&self, name: &Name) -> Result<Name> {
        let Name::Tag(tag) = name else { return Ok(Name::Untagged) };
        Ok(match self.meant(&Selector::Tag(tag.clone()))? {
            Selector::Tag(tag) => Name::Tag(tag),
            // A digest, or its beginning.
            _ => Name::Untagged,
        })
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        self.store.referrers(digest)
    }

    fn name_of(&self, selector: &Selector) -> Result<Name> {
        self.store.name_of(&self.meant(selector)?)
    }
}

impl Keeper for Stored<'_> {
    fn assign(&self, name: &Name, root: &Descriptor) -> Result<()> {
        self.store.assign(name, root)
    }

    fn forget(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        self.store.forget(&self.meant(selector)?)
    }

    fn sweep(&self, grace: Duration, mode: Sweep) -> Result<Swept> {
        self.store.sweep(grace, mode)
    }
}
