//! Images that a repository keeps whole, by what they are called elsewhere.

use crate::error::Error;
use crate::transport::Outside;
use orlop_host::ostree::RefName;
use orlop_host::ostree::escape::OCI_IMAGE;
use orlop_host::ostree::kept::{Kept, KeptSink, Style};
use orlop_host::ostree::repo::Repo;
use orlop_spec::Digest;
use orlop_spec::port::Result;
use std::path::Path;

/// How names of kept images begin; no ref can.
const REGISTRY: &str = "docker://";

/// Whether a name behind `ostree:REPO@` is that of a kept image, or the digest of its manifest or index, and not of a commit.
pub fn is_image(name: &str) -> bool {
    name.starts_with(REGISTRY) || is_digest(name) || is_former(name)
}

/// Whether a name is the ref of an image in the form of skopeo's former `ostree:`. One of 64 digits is that of a layer.
fn is_former(name: &str) -> bool {
    let name = name.parse::<RefName>().ok();
    let beneath = name.as_ref().and_then(|name| name.beneath(OCI_IMAGE));
    beneath.is_some_and(|name| name.len() != 64 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_digest(name: &str) -> bool {
    name.parse::<Digest>().is_ok()
}

const NO_NAME: Error = Error::Unfit {
    what: "a digest is no name to keep an image by",
    hint: "name it as it is called elsewhere, as in ostree:REPO@docker://HOST/REPO:TAG",
};

/// Opens a kept image.
pub(crate) fn open(repository: &Path, name: &str, outside: &Outside<'_>) -> Result<Kept> {
    let repo = Repo::open(repository, outside.cx.limits)?;
    Kept::open(repo, name, outside.cx.workers)
}

/// Begins to keep an image.
pub(crate) fn create<'a>(repository: &Path, name: &str, outside: &Outside<'a>) -> Result<KeptSink<'a>> {
    if is_digest(name) {
        return Err(NO_NAME.into());
    }
    let repo = Repo::open(repository, outside.cx.limits)?;
    let style = if is_former(name) { Style::Former } else { outside.ref_style.unwrap_or_default() };
    KeptSink::with_style(repo, name, style, outside.cx)
}
