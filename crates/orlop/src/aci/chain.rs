//! `aci:FILE` with a file for each layer: a chain of App Container Images.
//!
//! ```text
//! layer 1 ──► FILE.layer-1.aci ◄── FILE.layer-2.aci ◄── … ◄── FILE.aci ◄── the last layer, and how the image runs
//!                              by name and image id
//! ```
//!
//! Invariant: what lies over all of the others is the merged tree of the image. The files appear when all of them are
//! whole, and the last one after those that it lies over.

use super::target::{AciTarget, made};
use crate::image::Image;
use crate::rendering::{Press, Rendering};
use crate::spool::Spool;
use crate::tar_tree::{Whole, write};
use orlop_host::Error as HostError;
use orlop_host::aci::archive::Packed;
use orlop_host::aci::layer::{self, Additions, Over};
use orlop_host::aci::manifest::Dependency;
use orlop_layer::path::printable;
use orlop_layer::tree::Tree;
use orlop_layer::{Error as LayerError, Meta, Time};
use orlop_spec::port::Result;
use orlop_spec::{Algorithm, ChainId, Context, Digest, Event};
use std::io::Write;
use std::path::{Path, PathBuf};

/// An image that becomes a chain.
pub(super) struct Chain<'a> {
    pub cx: &'a Context<'a>,
    pub target: &'a AciTarget<'a>,
    pub image: &'a Image<'a>,
    pub how: &'a Rendering,
    pub press: Press,
    /// Contents of its layers.
    pub spool: &'a Spool,
}

/// The layers up to one of them.
#[derive(Default)]
struct Stack {
    tree: Tree,
    /// The image of the last of them.
    image: Option<Dependency>,
}

/// What one more layer does to a stack.
struct Step {
    change: Tree,
    over: Over,
}

impl Stack {
    fn climb(&mut self, layer: Tree) -> Result<Step> {
        let merged = self.tree.clone().stack(layer)?;
        let change = self.tree.diff(&merged);
        let path_whitelist = layer::whitelist(&self.tree, &change, &merged).map_err(HostError::from)?;
        self.tree = merged;
        Ok(Step { change, over: Over { dependency: self.image.take(), path_whitelist } })
    }
}

impl Chain<'_> {
    /// Writes a file for each of the layers, base first; the last one is `path`. Gives the id of that.
    pub(super) fn write(&self, path: &Path, mut layers: Vec<Tree>) -> Result<Digest> {
        let config = self.image.config();
        let last = layers.pop().unwrap_or_default();
        let (mut stack, mut files, mut paths) = (Stack::default(), Vec::new(), Vec::new());
        for (number, layer) in (1..).zip(layers) {
            self.cx.cancel.check()?;
            let Step { change, over } = stack.climb(layer)?;
            let chain = ChainId::of(&config.rootfs.diff_ids[..number]).expect("it has a layer");
            let manifest = layer::manifest(&chain, config, over);
            let path = beside(path, number);
            let (id, file) =
                self.file(&path, (&change, &stack.tree), (manifest.to_bytes(), Time::default()))?;
            stack.image = Some(layer::dependency(&manifest.name, &id));
            files.push(file);
            paths.push(path);
        }
        let Step { change, over } = stack.climb(last)?;
        let manifest =
            self.target.manifest(self.cx, self.image, self.how, (&stack.tree, self.spool), over)?;
        let (id, file) = self.file(path, (&change, &stack.tree), (manifest, made(config)))?;
        files.push(file);
        files.into_iter().try_for_each(Whole::publish)?;
        self.tell(path, &paths);
        Ok(id)
    }

    /// Writes the image of a change, after which the tree is that one.
    fn file(
        &self,
        path: &Path,
        (change, merged): (&Tree, &Tree),
        (manifest, mtime): (Vec<u8>, Time),
    ) -> Result<(Digest, Whole)> {
        let limit = self.cx.limits.document;
        if manifest.len() as u64 > limit {
            return Err(LayerError::Limit {
                what: "the manifest, which names every path that is left,",
                limit,
            }
            .into());
        }
        let head = Meta { mode: 0o644, mtime, ..Meta::default() };
        let root = merged.inode(merged.root()).meta.clone();
        let files = Additions(self.spool.entries(change));
        let mut entries = Packed::new(files, manifest, head).with_root(root);
        let fill = |out: &mut dyn Write| write(self.cx, &mut entries, self.press, Algorithm::Sha512, out);
        let (encoded, whole) = Whole::write(path, fill)?;
        Ok((encoded.diff_id.0, whole))
    }

    /// Says where the others are, which whoever uses the last needs too.
    fn tell(&self, path: &Path, beneath: &[PathBuf]) {
        let shown = |path: &Path| printable(&path.to_string_lossy()).to_string();
        let (Some(first), Some(last)) = (beneath.first(), beneath.last()) else { return };
        let list = match beneath.len() {
            1 => shown(first),
            2 => format!("{} and {}", shown(first), shown(last)),
            count => format!("the {count} files from {} to {}", shown(first), shown(last)),
        };
        let told = format!("{} lies over {list}: --aci-dependency FILE gives them back with it", shown(path));
        self.cx.observer.event(Event::Warned(told));
    }
}

/// The file of a layer beneath the one that is asked for: `app.aci` has `app.layer-1.aci` beside it.
fn beside(path: &Path, number: usize) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".layer-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}
