//! `files`: what the layers of an image mean together, listed.

use crate::error::Error;
use crate::image::Image;
use crate::layers;
use orlop_layer::TreePath;
use orlop_layer::path::escape;
use orlop_layer::tree::{Inode, Tree};
use orlop_spec::Context;
use orlop_spec::port::Result;

/// The merged tree of an image, or a part of it.
#[derive(Debug)]
pub struct Files {
    tree: Tree,
    below: TreePath,
}

/// One path of a listing.
#[derive(Clone, Debug)]
pub struct Listed<'t> {
    /// Where.
    pub path: TreePath,
    /// What.
    pub inode: &'t Inode,
    /// How many names it has.
    pub names: u32,
}

/// Reads and proves every layer, and merges them. `below` is a path of the tree, spelled as tar spells members.
pub fn files(cx: &Context<'_>, image: &Image<'_>, below: &[u8]) -> Result<Files> {
    let below = TreePath::parse(below).map_err(orlop_layer::Error::from)?;
    let files = Files { tree: layers::merged(cx, image)?, below };
    if files.iter().next().is_none() {
        return Err(Error::NoFile { path: escape(files.below.as_bytes()) }.into());
    }
    Ok(files)
}

impl Files {
    /// Every path: depth first, siblings sorted bytewise.
    pub fn iter(&self) -> impl Iterator<Item = Listed<'_>> {
        self.tree.walk().filter(|(path, _)| path.starts_with(&self.below)).map(|(path, id)| Listed {
            path,
            inode: self.tree.inode(id),
            names: self.tree.names(id),
        })
    }
}
