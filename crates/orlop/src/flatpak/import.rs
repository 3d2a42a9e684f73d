//! An image of flatpak becomes the commit that it was made of.

use crate::error::Error;
use crate::image::Image;
use crate::ostree::target::{CommitTarget, CommitWish};
use crate::rendering::{Layering, Rendered, Rendering, TreeTarget as _};
use orlop_fs::owner::Owner;
use orlop_host::Error as HostError;
use orlop_host::flatpak::labels::{self, Labels};
use orlop_spec::Context;
use orlop_spec::port::Result;
use std::path::Path;

/// Makes a commit of an image, under the ref that its labels name, or another one.
pub fn import(
    cx: &Context<'_>,
    image: &Image<'_>,
    repository: &Path,
    branch: Option<&str>,
    commit: CommitWish,
) -> Result<Rendered> {
    let config = image.config().config.as_ref();
    let labels = config.map(|config| Labels::parse(&config.labels)).transpose().map_err(HostError::from)?;
    let name = match (branch, labels.and_then(|labels| labels.name)) {
        (Some(branch), _) => branch.to_owned(),
        (None, Some(name)) => name.to_string(),
        (None, None) => return Err(Error::NoLabel { label: labels::REF }.into()),
    };
    let layering = Layering::Merged;
    let how = Rendering { owner: Owner::Exact, press: None, commit, name: None, layering, called: None };
    CommitTarget::parse(repository, &name)?.take(cx, image, &how)
}
