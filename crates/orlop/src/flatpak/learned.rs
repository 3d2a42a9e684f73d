//! What an index says already, so that a registry is not asked again.
//!
//! Invariant: an image is taken over only where the same registry names it by the same digest in the same repository: what a
//! digest names does not change. Tags and deltas do; they are looked for each time. Where a label may be of ours or of the
//! image itself, the image is read again.

use super::listing::Listed;
use orlop_fs::Dir;
use orlop_host::flatpak::index::{Image, Index};
use orlop_host::flatpak::labels::DELTA_URL;
use orlop_spec::media_type::Role;
use orlop_spec::{AnyDigest, Descriptor};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

/// Bytes of the largest index that is read.
pub(super) const LARGEST: u64 = 256 << 20;

/// Images by repository and digest.
#[derive(Default)]
pub(super) struct Learned(HashMap<(Box<str>, AnyDigest), Image>);

impl Learned {
    /// What the file says of a registry; nothing where it cannot be read as an index.
    pub(super) fn read(file: &Path, registry: &str) -> Self {
        let index = bytes(file).and_then(|bytes| Index::parse(&bytes).ok());
        let Some(index) = index.filter(|index| *index.registry == *registry) else { return Self::default() };
        let is_its_own = |(repository, image): &(&str, &Image)| {
            let of_ours = format!("v2/{repository}/manifests/");
            image.labels.get(DELTA_URL).is_none_or(|address| !address.starts_with(&of_ours))
        };
        let learned = index.images().filter(is_its_own);
        let of_place =
            |(repository, image): (&str, &Image)| ((repository.into(), image.digest.clone()), image.clone());
        Self(learned.map(of_place).collect())
    }

    /// The image that a root is; nothing where the root may be several.
    pub(super) fn image(&self, repository: &str, root: &Descriptor) -> Option<Listed> {
        let image = self.0.get(&(repository.into(), root.digest.clone()))?;
        let is_it = root.media_type.role() == Role::Manifest && root.media_type == image.media_type;
        is_it.then(|| Listed { image: image.clone(), manifest: root.clone() })
    }
}

fn bytes(file: &Path) -> Option<Vec<u8>> {
    let folder = Dir::open(file.parent()?).ok()?;
    let file = folder.open_file(file.file_name()?.as_encoded_bytes()).ok()?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
