//! What the skeleton of a tree should be, which an overlay shows as the tree.

use crate::overlay::{self, Flavour};
use orlop_layer::Xattrs;
use orlop_layer::manifest::{Node, TreeManifest, What};

/// What is compared of the files in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All of each.
    Whole,
    /// Of contents that are longer than so many bytes nothing but the size: they lie elsewhere, and the attributes, of which
    /// those of overlays are compared too, say where.
    Skeleton(u64),
}

/// The manifest of the skeleton of a tree. Contents of more than `short` bytes are at the path that `data` makes of their
/// sha256.
pub fn skeleton(manifest: &TreeManifest, short: u64, data: impl Fn(&[u8; 32]) -> Vec<u8>) -> TreeManifest {
    manifest.with_attributes(|node: &Node| {
        let place = match &node.what {
            What::File { size, sha256 } if *size > short => Some(data(sha256)),
            _ => None,
        };
        let is_set = |name: &[u8]| {
            overlay::escaped(name, Flavour::User).is_some() || !name.starts_with(b"trusted.overlay.")
        };
        let of_image: Xattrs = node
            .xattrs
            .iter()
            .filter(|(name, _)| is_set(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        overlay::attributes(&of_image, Flavour::User, place.as_deref())
    })
}
