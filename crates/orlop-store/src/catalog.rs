//! What a source does that keeps an `index.json`: resolving, by tag and by digest.

use crate::reach;
use crate::select::{self, Entries};
use orlop_spec::media_type::{MediaType, OCI_MANIFEST};
use orlop_spec::port::{Result, Selector, Source};
use orlop_spec::{AnyDigest, Descriptor, Digest, Fault, Limits};
use std::io::Read as _;
use std::path::Path;

/// The roots that `selector` means.
pub(crate) fn resolve(
    place: &Path,
    source: &dyn Source,
    limits: &Limits,
    entries: &Entries,
    selector: &Selector,
) -> Result<Vec<Descriptor>> {
    let refused = match select::select(place, entries, selector) {
        Ok(roots) => return Ok(roots),
        Err(error) => error,
    };
    if let Selector::Digest(digest) = selector
        && let Some(root) = by_digest(source, limits, entries, digest)?
    {
        return Ok(vec![root]);
    }
    Err(refused.into())
}

/// A digest that no entry bears: a document that an entry reaches, else any document of the place.
fn by_digest(
    source: &dyn Source,
    limits: &Limits,
    entries: &Entries,
    digest: &AnyDigest,
) -> Result<Option<Descriptor>> {
    let roots = entries.iter().map(|(_, root)| root.clone());
    if let Some(found) = reach::find(source, limits, roots, digest)? {
        return Ok(Some(found));
    }
    let AnyDigest::Known(expected) = digest else { return Ok(None) };
    let mut blob = Descriptor::new(MediaType::new(OCI_MANIFEST), *expected, 0);
    let bytes = match read_all(source, &blob, limits.document) {
        Err(fault) if reach::is_missing(&fault) => return Ok(None),
        bytes => bytes?,
    };
    let Some(bytes) = bytes else { return Ok(None) };
    blob.size = bytes.len() as u64;
    crate::take::check_digest(Some(Digest::of(expected.algorithm(), &bytes)), &blob)?;
    Ok(reach::media_type_of(&bytes).map(|media_type| Descriptor { media_type, ..blob }))
}

/// All bytes of a blob whose size is not known; `None` where they are more than a document may have.
fn read_all(source: &dyn Source, blob: &Descriptor, limit: u64) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let origin = source.origin(blob)?;
    let read = origin.open(0)?.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| Fault::io(format!("read {}", blob.digest), error))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}
