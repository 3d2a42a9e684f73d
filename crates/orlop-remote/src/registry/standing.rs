//! What tags lead to just before they are moved.
//!
//! ```text
//! HEAD tag ── what was seen? ── yes ──► PUT tag, If-Match: the entity tag ── 201 ──► moved
//!                  │ no                                                  └── 412 ──► HEAD tag once more
//!                  └──► overtaken
//! ```
//!
//! Registries know no "if it is still so": between the look at a tag and its change there is the time of one request, in
//! which somebody else's change can be overwritten. Where a registry tells an entity tag of what stands there, that is sent
//! along (RFC 9110 §13.1.1): one that heeds it closes the gap, the others pass it by.

use super::doors::{Ask, Door, Doors, PUSH};
use super::manifest::Fetched;
use super::push::Answered;
use super::source::is_no_manifest;
use orlop_spec::port::{self, Name, Result, Seen};
use orlop_spec::wire::failure::Failure;
use orlop_spec::wire::{Head, ManifestName, Place, endpoint};
use orlop_spec::{AnyDigest, Descriptor};

/// What stands under a tag.
struct Standing {
    root: Descriptor,
    entity: Option<Box<str>>,
}

/// The entity tags of what stands under tags.
pub(super) type Entities = Vec<(Name, Box<str>)>;

impl Doors<'_> {
    /// Whether names still lead to what was seen.
    pub(super) fn check(&self, door: &Door, seen: &[Seen]) -> Result<Entities> {
        let (mut now, mut entities) = (Vec::new(), Vec::new());
        for it in seen {
            let names = match &it.name {
                Name::Tag(tag) => vec![ManifestName::tag(tag)?],
                Name::Untagged => it.roots.iter().map(ManifestName::digest).collect(),
            };
            for name in names {
                if let Some(Standing { root, entity }) = self.standing(door, &name)? {
                    now.push((it.name.clone(), root));
                    // A document without a name is never replaced: what is put is another one.
                    let entity = entity.filter(|_| it.name != Name::Untagged);
                    entities.extend(entity.map(|entity| (it.name.clone(), entity)));
                }
            }
        }
        port::check(seen, &now)?;
        Ok(entities)
    }

    fn standing(&self, door: &Door, name: &ManifestName) -> Result<Option<Standing>> {
        let request = |place: &Place| Ok(place.head_manifest(name));
        let told = self.ask(door, &Ask::new(PUSH, &request))?;
        if told.status() == 404 {
            return Ok(None);
        }
        let (address, head) = told.success()?.drained();
        let entity = entity(&head);
        Ok(match endpoint::content_digest(&address, &head)? {
            Some(digest) => Some(Standing { root: named(digest), entity }),
            // One that does not tell is asked for the document.
            None => match self.get(door, PUSH, name, None) {
                Err(fault) if is_no_manifest(&fault) => None,
                found => found.map(|Fetched { descriptor: root, .. }| Some(Standing { root, entity }))?,
            },
        })
    }

    /// Sends a document under a name, if that still leads to what was seen.
    pub(super) fn put_seen(
        &self,
        door: &Door,
        (document, raw): (&Descriptor, &[u8]),
        (name, seen): (&ManifestName, &[Seen]),
        entity: &str,
    ) -> Result<Answered> {
        match self.put_if(door, PUSH, (document, raw), name, Some(entity)) {
            Err(fault) if fault.downcast_ref().is_some_and(|it: &Failure| it.status == 412) => {
                let is_ours = |it: &Standing| it.root.digest == document.digest;
                if self.standing(door, name)?.as_ref().is_some_and(is_ours) {
                    // The answer to this very request was lost, and it was sent again.
                    return Ok(Answered::Plainly);
                }
                self.check(door, seen)?;
                self.put(door, PUSH, document, raw, name)
            }
            answered => answered,
        }
    }
}

/// Only the digest is told, and only that is compared.
fn named(digest: AnyDigest) -> Descriptor {
    Descriptor::new(orlop_spec::MediaType::new(""), digest, 0)
}

/// A strong entity tag: a weak one never matches.
fn entity(head: &Head) -> Option<Box<str>> {
    head.headers.get("ETag").filter(|tag| tag.starts_with('"')).map(Into::into)
}
