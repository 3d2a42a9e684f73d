//! `umoci raw mtree-validate`: whether a folder is what a manifest says.

use super::survey;
use orlop_fs::{Dir, File};
use orlop_host::umoci::UmociError;
use orlop_host::umoci::meta::Rootless;
use orlop_host::umoci::mtree::{Delta, Keyword, Keywords, Mtree, Times, compare};
use orlop_spec::Context;
use orlop_spec::port::Result;
use std::io::BufReader;
use std::path::Path;

/// Which keywords are compared.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those, or those that the manifest uses.
    pub only: Option<Keywords>,
    /// Those beside them.
    pub more: Keywords,
}

/// What differs between a manifest and a folder, sorted by path.
pub fn validate(
    cx: &Context<'_>,
    manifest: &Path,
    folder: &Path,
    wanted: &Wanted,
    rootless: Rootless,
) -> Result<Vec<Delta>> {
    let expected = read(cx, File::open(manifest)?)?;
    let mut keywords = wanted.only.clone().unwrap_or_else(|| expected.keywords());
    keywords.extend(&wanted.more);
    keywords.insert(Keyword::Type);
    let times = if keywords.contains(&Keyword::ExactTime) { Times::Exact } else { Times::Whole };
    let found = survey(cx, &Dir::open(folder)?, rootless, times, None)?;
    Ok(compare(&expected, &found, &keywords))
}

/// Reads a manifest from a file.
pub(crate) fn read(cx: &Context<'_>, file: File) -> Result<Mtree> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mtree = Mtree::read(&mut file, cx.limits).map_err(UmociError::from);
    Ok(mtree.map_err(orlop_host::Error::from)?)
}
