//! Images that a repository keeps whole, by what they are called elsewhere.

use crate::transport::Outside;
use orlop_host::ostree::kept::{Kept, KeptSink};
use orlop_host::ostree::repo::Repo;
use orlop_spec::port::Result;
use std::path::Path;

/// How names of kept images begin; no ref can.
const REGISTRY: &str = "docker://";

/// Whether a name behind `ostree:REPO@` is that of a kept image, and not of a commit.
pub fn is_image(name: &str) -> bool {
    name.starts_with(REGISTRY)
}

/// Opens a kept image.
pub(crate) fn open(repository: &Path, name: &str, outside: &Outside<'_>) -> Result<Kept> {
    let repo = Repo::open(repository, outside.cx.limits)?;
    Kept::open(repo, name, outside.cx.workers)
}

/// Begins to keep an image.
pub(crate) fn create<'a>(repository: &Path, name: &str, outside: &Outside<'a>) -> Result<KeptSink<'a>> {
    let repo = Repo::open(repository, outside.cx.limits)?;
    KeptSink::new(repo, name, outside.cx)
}
