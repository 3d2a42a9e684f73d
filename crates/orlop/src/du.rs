//! `du`: how many bytes each layer of an image holds, and how many of them later layers hide.

use crate::image::Image;
use crate::layers;
use orlop_layer::tree::{Content, InodeKind, Tree};
use orlop_spec::port::Result;
use orlop_spec::{Context, Descriptor};
use std::collections::HashSet;

/// What one layer costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The blob.
    pub blob: Descriptor,
    /// Bytes of the uncompressed tar.
    pub uncompressed: u64,
    /// Names in the layer.
    pub entries: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes of its files that are not in the merged tree.
    pub waste: u64,
}

/// Reads and proves every layer; one answer per layer, base first.
pub fn usage(cx: &Context<'_>, image: &Image<'_>) -> Result<Vec<Usage>> {
    let opened = layers::open(cx, "read", image, &|_, decode| decode(&mut ()))?;
    let mut usage: Vec<Usage> = Vec::with_capacity(opened.trees.len());
    for ((tree, uncompressed), blob) in opened.trees.iter().zip(opened.sizes).zip(&image.manifest().layers) {
        let bytes = contents(tree).iter().map(|content| content.size).sum();
        // The root has no entry of its own in a layer's list of names.
        let entries = tree.len().saturating_sub(1);
        usage.push(Usage { blob: blob.clone(), uncompressed, entries, bytes, waste: bytes });
    }
    for content in contents(&layers::stack(opened.trees)?) {
        usage[usize::from(content.layer)].waste -= content.size;
    }
    Ok(usage)
}

/// The contents of a tree, each once however many names it has.
pub(crate) fn contents(tree: &Tree) -> Vec<Content> {
    let mut seen = HashSet::new();
    let mut contents = Vec::new();
    for (_, id) in tree.walk() {
        if let InodeKind::File(content) = tree.inode(id).kind
            && (tree.names(id) == 1 || seen.insert(id))
        {
            contents.push(content);
        }
    }
    contents
}
