//! Images that a repository keeps whole, by what they are called elsewhere.

use crate::error::Error;
use crate::transport::Outside;
use orlop_host::ostree::kept::{Kept, KeptSink};
use orlop_host::ostree::repo::Repo;
use orlop_spec::Digest;
use orlop_spec::port::Result;
use std::path::Path;

/// How names of kept images begin; no ref can.
const REGISTRY: &str = "docker://";

/// Whether a name behind `ostree:REPO@` is that of a kept image, or the digest of its manifest or index, and not of a commit.
pub fn is_image(name: &str) -> bool {
    name.starts_with(REGISTRY) || is_digest(name)
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
    KeptSink::new(repo, name, outside.cx)
}
