//! Manifests and indexes, one request each.
//!
//! Invariant: a document that is given hashes to what was asked for and to what the registry calls it, and is of the
//! type that it says (items 202, 203, 204). Of a signed manifest of schema 1 only what is signed is given, for that is
//! what its digest names.

use super::doors::{Ask, Door, Doors, Old, Told};
use super::error::Error;
use orlop_spec::media_type::{MediaType, OCI_INDEX, OCI_MANIFEST};
use orlop_spec::port::Result;
use orlop_spec::schema_one::{self, SchemaOneError, UNSIGNED, is_schema_one};
use orlop_spec::wire::{Address, ManifestName, Place, endpoint, header};
use orlop_spec::{AnyDigest, Descriptor, Digest, Fault, json};
use std::io::Read as _;
use std::sync::Arc;

/// A document, named and proven.
pub(super) struct Fetched {
    pub(super) descriptor: Descriptor,
    pub(super) raw: Arc<[u8]>,
}

impl Doors<'_> {
    /// Fetches a document; `asked` is the digest that it must have, where it was asked for by one.
    pub(super) fn get(
        &self,
        door: &Door,
        actions: &'static str,
        name: &ManifestName,
        asked: Option<&AnyDigest>,
    ) -> Result<Fetched> {
        let request = |place: &Place| Ok(place.get_manifest(name));
        let told = self.demand(door, &Ask::new(actions, &request))?;
        let named = endpoint::content_digest(told.address(), told.head())?;
        let address = told.address().clone();
        let said = header::media_type(&told.head().headers).filter(|it| !is_general(it));
        let mut raw = read_whole(told, self.client.context().limits.document)?;
        let old = old_type(said.as_ref(), &raw);
        if old.is_some() {
            self.admit_old(&address)?;
            let payload = schema_one::payload(&raw);
            raw = payload.map_err(|source| bad(&address, source))?.into_owned();
        }
        let proven = [asked, named.as_ref()].into_iter().flatten();
        for expected in proven.clone() {
            prove(&address, &raw, expected)?;
        }
        let by = proven.into_iter().find_map(|digest| digest.known().ok()).map(Digest::algorithm);
        let digest =
            asked.cloned().unwrap_or_else(|| AnyDigest::Known(Digest::of(by.unwrap_or_default(), &raw)));
        let media_type = match old {
            Some(media_type) => media_type,
            None => type_of(&address, said, &raw)?,
        };
        Ok(Fetched { descriptor: Descriptor::new(media_type, digest, raw.len() as u64), raw: raw.into() })
    }

    /// Looks what stands under a name, without its bytes; `None` where the registry tells too little.
    pub(super) fn look(
        &self,
        door: &Door,
        actions: &'static str,
        name: &ManifestName,
        asked: Option<&AnyDigest>,
    ) -> Result<Option<Descriptor>> {
        let request = |place: &Place| Ok(place.head_manifest(name));
        let (address, head) = self.demand(door, &Ask::new(actions, &request))?.drained();
        let digest = endpoint::content_digest(&address, &head)?;
        let said = header::media_type(&head.headers).filter(|it| !is_general(it));
        let (Some(digest), Some(said), Some(size)) = (digest, said, header::content_length(&head.headers))
        else {
            return Ok(None);
        };
        if asked.is_some_and(|asked| *asked != digest) {
            let expected = asked.expect("it is another one").clone();
            return Err(Error::OtherDigest { address: Box::new(address), expected, found: digest }.into());
        }
        if is_schema_one(&said) {
            self.admit_old(&address)?;
        }
        Ok(Some(Descriptor::new(said, digest, size)))
    }
}

impl Doors<'_> {
    fn admit_old(&self, address: &Address) -> Result<()> {
        match self.old {
            Old::Given => Ok(()),
            Old::Refused => Err(Error::SchemaOne { address: Box::new(address.clone()) }.into()),
        }
    }
}

/// The type of a manifest of schema 1, by what is said of it, and by its shape where nobody says; nothing of others.
fn old_type(said: Option<&MediaType>, raw: &[u8]) -> Option<MediaType> {
    if let Some(said) = said {
        return is_schema_one(said).then(|| said.clone());
    }
    let value = json::value(raw).ok()?;
    let is_old = value.get("fsLayers").is_some() && value.get("mediaType").is_none();
    is_old.then(|| MediaType::new(UNSIGNED))
}

fn bad(address: &Address, source: SchemaOneError) -> Error {
    Error::BadSchemaOne { address: Box::new(address.clone()), source }
}

/// A body of at most `limit` bytes.
pub(super) fn read_whole(told: Told<'_>, limit: u64) -> Result<Vec<u8>> {
    let address = told.address().clone();
    let too_long = || Error::LongDocument { address: Box::new(address.clone()), limit };
    if header::content_length(&told.head().headers).is_some_and(|length| length > limit) {
        return Err(too_long().into());
    }
    let mut raw = Vec::new();
    let read = told.answer.body.take(limit.saturating_add(1)).read_to_end(&mut raw);
    read.map_err(|error| Fault::io(format!("read {address}"), error))?;
    if raw.len() as u64 > limit { Err(too_long().into()) } else { Ok(raw) }
}

fn prove(address: &Address, raw: &[u8], expected: &AnyDigest) -> Result<()> {
    let Ok(known) = expected.known() else { return Ok(()) };
    let found = Digest::of(known.algorithm(), raw);
    if found == *known {
        return Ok(());
    }
    let (address, expected, found) = (Box::new(address.clone()), expected.clone(), found.into());
    Err(Error::OtherDigest { address, expected, found }.into())
}

/// What a document is: as it is said, and as it says itself where it does; by its shape where nobody says.
fn type_of(address: &Address, said: Option<MediaType>, raw: &[u8]) -> Result<MediaType> {
    let no_sense = || Error::NoSense { address: Box::new(address.clone()), what: "document of an image" };
    // A page that asks one to log in comes with 200 as well.
    let value = json::value(raw).map_err(|_| no_sense())?;
    let found = value.get("mediaType").and_then(|it| it.as_str()).map(MediaType::new);
    match (said, found) {
        (Some(said), Some(found)) if said != found => {
            Err(Error::OtherType { address: Box::new(address.clone()), said, found }.into())
        }
        (Some(media_type), _) | (None, Some(media_type)) => Ok(media_type),
        (None, None) if value.get("manifests").is_some() => Ok(MediaType::new(OCI_INDEX)),
        (None, None) if value.get("layers").is_some() => Ok(MediaType::new(OCI_MANIFEST)),
        (None, None) => Err(no_sense().into()),
    }
}

/// Types that servers give to what they know nothing about.
fn is_general(media_type: &MediaType) -> bool {
    matches!(media_type.as_str(), "application/json" | "application/octet-stream" | "text/plain")
}
