//! The questions of distribution-spec 1.1, "Endpoints".
//!
//! ```text
//! https://host:5000/mirror/v2/team/app/manifests/1.0
//! └──────┬────────┘└──┬──┘    └──┬───┘           └┬┘
//!      site        prefix    repository      ManifestName
//! └────────── Api ──────────┘
//! └─────────────── Place ────────────┘
//! ```
//!
//! Invariant: a path holds what was parsed as a name, a tag or a digest, and nothing that leads out of it. What the
//! server gave as `Location` is used as it came (item 205).

use super::{Address, AddressError, Head, Method, Request, Site, WireError, header};
use crate::digest::AnyDigest;
use crate::media_type::{DOCKER_LIST, DOCKER_MANIFEST, MediaType, OCI_INDEX, OCI_MANIFEST};
use crate::port::Selector;
use crate::reference::is_tag;
use std::fmt;

/// Every type of document that is understood, what is best first; schema 1 last, so that it is sent only where there
/// is nothing else (item 201).
pub const ACCEPTED: [&str; 6] = [
    OCI_INDEX,
    OCI_MANIFEST,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
];

/// What blobs are sent as.
const BYTES: &str = "application/octet-stream";

/// A registry at one site.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Api {
    root: Address,
}

impl Api {
    /// The registry of `site`; `prefix` stands before `/v2/` and is empty or begins with `/`.
    pub fn new(site: Site, prefix: &str) -> Result<Self, WireError> {
        let path = format!("{}/v2", prefix.trim_end_matches('/'));
        Ok(Self { root: plain(site, &path)? })
    }

    /// Whether there is a registry, and whether it lets one in.
    pub fn ping(&self) -> Request {
        Request::new(Method::Get, self.root.as_folder())
    }

    /// A page of the names of repositories; `last` is the last name of the page before.
    pub fn catalog(&self, count: Option<u32>, last: Option<&str>) -> Request {
        paged(self.root.beneath("_catalog"), count, last)
    }

    /// A repository of the registry, by its name there.
    pub fn repository(&self, name: &str) -> Result<Place, WireError> {
        let root = plain(self.root.site().clone(), &format!("{}/{name}", self.root.path()))?;
        Ok(Place { root, name: name.into(), namespace: None })
    }
}

/// A repository at one site.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    root: Address,
    name: Box<str>,
    namespace: Option<Box<str>>,
}

impl Place {
    /// A repository of `site`, as an endpoint of a configuration names it.
    pub fn new(site: Site, prefix: &str, repository: &str) -> Result<Self, WireError> {
        Api::new(site, prefix)?.repository(repository)
    }

    /// A repository at an endpoint; `root` is what stands before its name, most often `/v2`.
    pub fn beneath(site: Site, root: &str, repository: &str) -> Result<Self, WireError> {
        Api { root: plain(site, root)? }.repository(repository)
    }

    /// The same, told with every question which registry it stands for (`?ns=`).
    #[must_use]
    pub fn standing_for(self, registry: Option<&str>) -> Self {
        Self { namespace: registry.map(Into::into), ..self }
    }

    /// Whom one speaks to.
    pub fn site(&self) -> &Site {
        self.root.site()
    }

    /// Name of the repository there.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is a registry, and whether it lets one in: as [`Api::ping`].
    pub fn ping(&self) -> Request {
        let root = self.root.path().strip_suffix(&*self.name).unwrap_or_else(|| self.root.path());
        // A path that was taken apart is one still.
        let address = Address::at(self.site().clone(), root).unwrap_or_else(|_| self.root.clone());
        Request::new(Method::Get, address)
    }

    /// A manifest or index.
    pub fn get_manifest(&self, name: &ManifestName) -> Request {
        self.manifest(Method::Get, name).with("Accept", ACCEPTED.join(", "))
    }

    /// Whether there is a manifest, which, and how long it is.
    pub fn head_manifest(&self, name: &ManifestName) -> Request {
        self.manifest(Method::Head, name).with("Accept", ACCEPTED.join(", "))
    }

    /// Stores a manifest; the body is the document. `Content-Type` is its media type alone (item 206).
    pub fn put_manifest(&self, name: &ManifestName, media_type: &MediaType) -> Result<Request, WireError> {
        if !media_type.is_well_formed() {
            return Err(WireError::MediaType(media_type.as_str().into()));
        }
        Ok(self.manifest(Method::Put, name).with("Content-Type", media_type.as_str()))
    }

    /// Removes a tag, or a manifest with every tag that names it.
    pub fn delete_manifest(&self, name: &ManifestName) -> Request {
        self.manifest(Method::Delete, name)
    }

    /// A blob, or a part of it.
    pub fn get_blob(&self, digest: &AnyDigest, part: Part) -> Request {
        let request = self.blob(Method::Get, digest);
        match part {
            Part::All | Part::From(0) => request,
            Part::From(first) => request.with("Range", header::range(first, None)),
            Part::Between { first, last } => request.with("Range", header::range(first, Some(last))),
        }
    }

    /// Whether there is a blob, and how long it is.
    pub fn head_blob(&self, digest: &AnyDigest) -> Request {
        self.blob(Method::Head, digest)
    }

    /// Removes a blob.
    pub fn delete_blob(&self, digest: &AnyDigest) -> Request {
        self.blob(Method::Delete, digest)
    }

    /// Begins an upload.
    pub fn begin_upload(&self) -> Request {
        Request::new(Method::Post, self.uploads())
    }

    /// Asks to take a blob from another repository of the same registry; where it will not, an upload begins.
    pub fn mount(&self, digest: &AnyDigest, from: &str) -> Request {
        let address = self.uploads().with_query("mount", &digest.to_string()).with_query("from", from);
        Request::new(Method::Post, address)
    }

    /// A page of the tags; `last` is the last tag of the page before.
    pub fn tags(&self, count: Option<u32>, last: Option<&str>) -> Request {
        paged(self.told(self.root.beneath("tags").beneath("list")), count, last)
    }

    /// The index of the manifests whose subject is `digest`.
    pub fn referrers(&self, digest: &AnyDigest, artifact_type: Option<&MediaType>) -> Request {
        let mut address = self.told(self.root.beneath("referrers").beneath(&digest.to_string()));
        if let Some(artifact_type) = artifact_type {
            address = address.with_query("artifactType", artifact_type.as_str());
        }
        Request::new(Method::Get, address).with("Accept", OCI_INDEX)
    }

    fn manifest(&self, method: Method, name: &ManifestName) -> Request {
        Request::new(method, self.told(self.root.beneath("manifests").beneath(&name.0)))
    }

    fn blob(&self, method: Method, digest: &AnyDigest) -> Request {
        Request::new(method, self.told(self.root.beneath("blobs").beneath(&digest.to_string())))
    }

    fn told(&self, address: Address) -> Address {
        match &self.namespace {
            Some(registry) => address.with_query("ns", registry),
            None => address,
        }
    }

    fn uploads(&self) -> Address {
        self.root.beneath("blobs").beneath("uploads").as_folder()
    }
}

/// How a manifest is named in a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ManifestName(Box<str>);

impl ManifestName {
    /// By tag.
    pub fn tag(tag: &str) -> Result<Self, WireError> {
        if is_tag(tag) { Ok(Self(tag.into())) } else { Err(WireError::Tag(tag.into())) }
    }

    /// By digest.
    pub fn digest(digest: &AnyDigest) -> Self {
        Self(digest.to_string().into())
    }

    /// As it was selected; a position says nothing to a registry.
    pub fn of(selector: &Selector) -> Result<Self, WireError> {
        match selector {
            Selector::Tag(tag) => Self::tag(tag),
            Selector::Digest(digest) => Ok(Self::digest(digest)),
            Selector::Only | Selector::At(_) => Err(WireError::Nameless),
        }
    }
}

impl fmt::Display for ManifestName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// How much of a blob is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    All,
    /// From a byte to the end.
    From(u64),
    /// Both ends included.
    Between {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
}

/// Sends the bytes from `first` to `end` (not included) of an upload.
pub fn send_chunk(location: &Address, first: u64, end: u64) -> Request {
    Request::new(Method::Patch, location.clone())
        .with("Content-Type", BYTES)
        .with("Content-Range", format!("{first}-{}", end.saturating_sub(1)))
}

/// Ends an upload, with the bytes that were not sent yet, if any, as its body.
pub fn close_upload(location: &Address, digest: &AnyDigest) -> Request {
    Request::new(Method::Put, location.with_query("digest", &digest.to_string())).with("Content-Type", BYTES)
}

/// Asks how much of an upload arrived.
pub fn ask_upload(location: &Address) -> Request {
    Request::new(Method::Get, location.clone())
}

/// Gives an upload up (item 215).
pub fn cancel_upload(location: &Address) -> Request {
    Request::new(Method::Delete, location.clone())
}

/// Where an answer leads: its `Location`, followed from the address that was asked (item 205).
pub fn location(asked: &Address, head: &Head) -> Result<Address, WireError> {
    let missing = || WireError::Header { asked: Box::new(asked.clone()), header: "Location" };
    follow(asked, head.headers.get("Location").filter(|text| !text.is_empty()).ok_or_else(missing)?)
}

/// The next page of a list, if there is one: of the same site alone (item 214, N4). The caller counts pages.
pub fn next_page(asked: &Address, head: &Head) -> Result<Option<Request>, WireError> {
    let Some(reference) = header::next(&head.headers) else { return Ok(None) };
    let next = follow(asked, &reference)?;
    if next.site() != asked.site() {
        return Err(WireError::ForeignPage { asked: Box::new(asked.clone()), next: Box::new(next) });
    }
    Ok(Some(Request::new(Method::Get, next)))
}

/// `Docker-Content-Digest`, which must be a digest where it is there at all (item 204).
pub fn content_digest(asked: &Address, head: &Head) -> Result<Option<AnyDigest>, WireError> {
    header::content_digest(&head.headers)
        .map_err(|source| WireError::ContentDigest { asked: Box::new(asked.clone()), source })
}

fn follow(asked: &Address, reference: &str) -> Result<Address, WireError> {
    let leads = |source: AddressError| WireError::Leads { asked: Box::new(asked.clone()), source };
    asked.join(reference).map_err(leads)
}

/// An address whose path is exactly what it was made from.
fn plain(site: Site, path: &str) -> Result<Address, WireError> {
    let is_plain = |address: &Address| address.path() == path && address.target() == path;
    match Address::at(site.clone(), path) {
        Ok(address) if is_plain(&address) && address.site() == &site && !path.ends_with('/') => Ok(address),
        _ => Err(WireError::Path { site: Box::new(site), path: path.into() }),
    }
}

fn paged(mut address: Address, count: Option<u32>, last: Option<&str>) -> Request {
    if let Some(count) = count {
        address = address.with_query("n", &count.to_string());
    }
    if let Some(last) = last {
        address = address.with_query("last", last);
    }
    Request::new(Method::Get, address)
}

#[cfg(test)]
mod tests;
