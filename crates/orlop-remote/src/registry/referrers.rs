//! Manifests that speak about another one: asked of the registry, or kept under a tag where it keeps none
//! (distribution-spec, "Listing Referrers", "Referrers Tag Schema").
//!
//! ```text
//! GET referrers/sha256:ab12… ── 404 ──► GET manifests/sha256-ab12…   an index of descriptors
//! ```

use super::doors::{Door, Doors, PULL, PUSH};
use super::error::Error;
use super::push::Answered;
use super::source::is_no_manifest;
use orlop_spec::index::Index;
use orlop_spec::media_type::{MediaType, OCI_INDEX, Role};
use orlop_spec::port::{Name, Result};
use orlop_spec::wire::{Address, ManifestName, Place};
use orlop_spec::{Algorithm, AnyDigest, Descriptor, Diagnose as _, Document, Fault, Kind, Manifest, json};
use std::sync::Arc;

/// How often an index is written again that somebody else wrote over.
const TRIES: usize = 3;

impl Doors<'_> {
    /// What speaks about `digest`.
    pub(super) fn referrers(&self, door: &Door, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        let request = |place: &Place| Ok(place.referrers(digest, None));
        let asked = self.pages(door, PULL, &request, &mut |address, page| {
            found.extend(index_of(address, page)?.manifests);
            Ok(())
        });
        match asked {
            Ok(()) => Ok(found),
            Err(fault) if is_unknown(&fault) => {
                Ok(self.fallback(door, PULL, digest)?.map_or_else(Vec::new, |index| index.manifests))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Enters a document that was sent into the index of its subject, unless the registry has done so.
    pub(super) fn note_subject(
        &self,
        door: &Door,
        document: &Descriptor,
        raw: &Arc<[u8]>,
        answered: Answered,
    ) -> Result<()> {
        match subject_of(document, raw)? {
            Some((subject, entry)) if answered == Answered::Plainly => {
                self.change_fallback(door, PUSH, &subject.digest, &|manifests| {
                    let is_new = !manifests.contains(&entry);
                    if is_new {
                        manifests.retain(|other| other.digest != entry.digest);
                        manifests.push(entry.clone());
                    }
                    is_new
                })
            }
            _ => Ok(()),
        }
    }

    /// Takes a document that was removed out of the index of its subject, where there is one.
    pub(super) fn forget_subject(
        &self,
        door: &Door,
        actions: &'static str,
        document: &Descriptor,
        raw: &Arc<[u8]>,
    ) -> Result<()> {
        let Some((subject, _)) = subject_of(document, raw)? else { return Ok(()) };
        if self.fallback(door, actions, &subject.digest)?.is_none() {
            return Ok(());
        }
        self.change_fallback(door, actions, &subject.digest, &|manifests| {
            let before = manifests.len();
            manifests.retain(|other| other.digest != document.digest);
            manifests.len() != before
        })
    }

    /// Changes the index of a subject; what others entered stays. Registries compare nothing when they write, so it
    /// is looked at again afterwards.
    fn change_fallback(
        &self,
        door: &Door,
        actions: &'static str,
        subject: &AnyDigest,
        change: &dyn Fn(&mut Vec<Descriptor>) -> bool,
    ) -> Result<()> {
        let name = Name::Tag(fallback_tag(subject));
        for _ in 0..TRIES {
            let found = self.fallback(door, actions, subject)?;
            let mut index = found.unwrap_or_else(|| Index::new(Vec::new()));
            if !change(&mut index.manifests) {
                break;
            }
            let index = Document::print(index, MediaType::new(OCI_INDEX), Algorithm::Sha256);
            self.put(door, actions, index.descriptor(), index.raw(), &name)?;
        }
        Ok(())
    }

    /// The index that stands under the tag of a subject; nothing where no index does (item 208).
    fn fallback(&self, door: &Door, actions: &'static str, subject: &AnyDigest) -> Result<Option<Index>> {
        let name = ManifestName::tag(&fallback_tag(subject))?;
        let found = match self.get(door, actions, &name, None) {
            Err(fault) if is_no_manifest(&fault) => return Ok(None),
            found => found?,
        };
        if found.descriptor.media_type.role() != Role::Index {
            return Ok(None);
        }
        let index: Document<Index> = Document::open(found.raw, found.descriptor)?;
        Ok(Some(index.into_value()))
    }
}

/// item 209: the algorithm cut to 32 characters, what it encodes to 64, and nothing that no tag may hold.
fn fallback_tag(subject: &AnyDigest) -> Box<str> {
    let plain = |text: &str, most: usize| -> String {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        text.chars().take(most).map(|letter| if fits(letter) { letter } else { '-' }).collect()
    };
    format!("{}-{}", plain(subject.algorithm_name(), 32), plain(&subject.encoded(), 64)).into()
}

/// What a document speaks about, and how it is listed there.
fn subject_of(document: &Descriptor, raw: &Arc<[u8]>) -> Result<Option<(Descriptor, Descriptor)>> {
    let mut entry = Descriptor::new(document.media_type.clone(), document.digest.clone(), document.size);
    let subject = match document.media_type.role() {
        Role::Manifest => {
            let manifest: Document<Manifest> = Document::open(raw.clone(), document.clone())?;
            let manifest = manifest.into_value();
            entry.artifact_type = Some(manifest.artifact_type.unwrap_or(manifest.config.media_type));
            entry.annotations = manifest.annotations;
            manifest.subject
        }
        Role::Index => {
            let index: Document<Index> = Document::open(raw.clone(), document.clone())?;
            let index = index.into_value();
            entry.artifact_type = index.artifact_type;
            entry.annotations = index.annotations;
            index.subject
        }
        _ => None,
    };
    Ok(subject.map(|subject| (subject, entry)))
}

fn index_of(address: &Address, page: &[u8]) -> Result<Index> {
    let no_sense = || Error::NoSense { address: Box::new(address.clone()), what: "index of referrers" };
    Ok(json::parse(page).map_err(|_| no_sense())?)
}

/// Whether a registry does not know the question: older ones answer it as they answer any unknown address.
fn is_unknown(fault: &Fault) -> bool {
    let failure = fault.downcast_ref::<orlop_spec::wire::failure::Failure>();
    failure.is_some_and(|failure| failure.kind() == Kind::NotFound || failure.is_unsupported())
        || matches!(fault.downcast_ref(), Some(Error::NoSense { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_209_the_tag_of_a_subject_fits_the_grammar() {
        let long = format!("{}:{}", "a+b".repeat(20), "C=".repeat(60));
        let subject: AnyDigest = long.parse().expect("fits the grammar");
        let tag = fallback_tag(&subject);
        assert_eq!(tag.len(), 32 + 1 + 64);
        assert!(ManifestName::tag(&tag).is_ok(), "{tag}");
        let hex = "0".repeat(128);
        let subject: AnyDigest = format!("sha512:{hex}").parse().expect("a digest");
        assert_eq!(*fallback_tag(&subject), format!("sha512-{}", &hex[..64]));
    }
}
