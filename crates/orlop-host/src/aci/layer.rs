//! Images of single layers, each of which lies over the layers below it.
//!
//! ```text
//! tree of the layers below ──diff──► tree with the layer
//!        what is new there, or another ──► rootfs of the layer's image
//!        where anything is gone        ──► pathWhitelist: every path of the tree with the layer
//! ```
//!
//! Invariant: the image of a layer depends on the layers up to its own and on the machine alone, so that images which
//! share layers share those.

use super::AciError;
use super::machine;
use super::manifest::{Dependency, ImageManifest, KIND, Pair, VERSION};
use orlop_layer::tree::{InodeId, InodeKind, Tree};
use orlop_layer::{Chunk, Entries, Entry, Error, Kind, TreePath};
use orlop_spec::config::Config;
use orlop_spec::json::Extra;
use orlop_spec::{ChainId, Digest};

/// What an image lies over, and what is left of that.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Over {
    /// The image below.
    pub dependency: Option<Dependency>,
    /// Every path that is left; empty where nothing is removed.
    pub path_whitelist: Vec<Box<str>>,
}

impl Over {
    /// Writes it into a manifest, in the place of what that said.
    pub fn write(self, manifest: &mut ImageManifest) {
        manifest.dependencies = self.dependency.into_iter().collect();
        manifest.path_whitelist = self.path_whitelist;
    }
}

/// The image of that name and id.
pub fn dependency(name: &str, id: &Digest) -> Dependency {
    let image_id = Some(format!("sha512-{}", id.hex()).into());
    Dependency { image_name: name.into(), image_id, labels: Vec::new(), size: None }
}

/// The manifest of a layer that others lie over: it is called by its stack, and does not run.
pub fn manifest(chain: &ChainId, config: &Config, over: Over) -> ImageManifest {
    let machine = machine::from_go(&config.os, &config.architecture, config.variant.as_deref());
    let labels = [("os", machine.os), ("arch", machine.arch)];
    let said = labels.into_iter().filter_map(|(name, value)| Some(Pair::new(name, value?)));
    let mut manifest = ImageManifest {
        kind: KIND.into(),
        version: VERSION.into(),
        name: format!("oci-layer/{}-{}", chain.0.algorithm(), chain.0.hex()).into(),
        labels: said.collect(),
        app: None,
        dependencies: Vec::new(),
        path_whitelist: Vec::new(),
        annotations: Vec::new(),
        extra: Extra::new(),
    };
    over.write(&mut manifest);
    manifest
}

/// The paths that are left where `change`, which lies between the two trees, removes any; else none. Where nothing is left
/// the list is not empty, for an empty one keeps everything.
pub fn whitelist(lower: &Tree, change: &Tree, merged: &Tree) -> Result<Vec<Box<str>>, AciError> {
    if !removes(lower, change) {
        return Ok(Vec::new());
    }
    if merged.is_empty() {
        return Ok(vec!["/".into()]);
    }
    let text = |path: TreePath| match std::str::from_utf8(path.as_bytes()) {
        Ok(text) => Ok(format!("/{text}").into()),
        Err(_) => Err(AciError::Unnameable { path: path.to_string() }),
    };
    merged.walk().map(|(path, _)| path).filter(|path| !path.is_root()).map(text).collect()
}

/// Whether a path of the lower tree is gone: by a whiteout, or beneath a folder that is something else now.
fn removes(lower: &Tree, change: &Tree) -> bool {
    change.walk().any(|(path, id)| match change.inode(id).kind {
        InodeKind::Whiteout => true,
        InodeKind::Directory { .. } => false,
        _ => below(lower, &path).is_some_and(|id| lower.children(id).next().is_some()),
    })
}

/// What stands at a path, no link followed.
fn below(tree: &Tree, path: &TreePath) -> Option<InodeId> {
    path.components().try_fold(tree.root(), |folder, name| tree.child(folder, name))
}

/// The entries of a layer without its whiteouts: what they remove is what a whitelist does not name.
pub struct Additions<E>(pub E);

impl<E: Entries> Entries for Additions<E> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            match self.0.next_entry()? {
                Some(entry) if matches!(entry.kind, Kind::Whiteout | Kind::Opaque) => {}
                next => return Ok(next),
            }
        }
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        self.0.next_chunk()
    }

    fn offset(&self) -> u64 {
        self.0.offset()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_layer::Meta;
    use orlop_layer::tree::Builder;
    use orlop_spec::Limits;

    fn layer(number: u16, entries: &[(&[u8], Kind)]) -> Tree {
        let mut builder = Builder::new(number, &Limits::default());
        for (ordinal, (path, kind)) in (0..).zip(entries) {
            let path = TreePath::parse(path).expect("a path");
            builder
                .add(ordinal, 0, &Entry { path, meta: Meta::default(), kind: kind.clone() })
                .expect("an entry");
        }
        builder.finish()
    }

    fn list(lower: &[(&[u8], Kind)], upper: &[(&[u8], Kind)]) -> Result<Vec<Box<str>>, AciError> {
        let lower = Tree::default().stack(layer(0, lower)).expect("a base");
        let merged = lower.clone().stack(layer(1, upper)).expect("a layer");
        whitelist(&lower, &lower.diff(&merged), &merged)
    }

    const FILE: Kind = Kind::File { size: 0 };

    #[test]
    fn a_list_is_there_only_where_a_path_is_gone() {
        let lower: [(&[u8], _); 3] = [(b"d/x", FILE), (b"d/y", FILE), (b"e", Kind::Directory)];
        let named = |upper: &[(&[u8], Kind)]| list(&lower, upper).expect("texts");
        let none: [Box<str>; 0] = [];
        for upper in [
            [(&b"new"[..], FILE), (b"d/x", FILE)],
            [(b"none", Kind::Whiteout), (b"e", FILE)],
            [(b"e", Kind::Opaque), (b"d/x/z", FILE)],
        ] {
            assert_eq!(named(&upper), none, "{upper:?}");
        }
        assert_eq!(named(&[(b"d/x", Kind::Whiteout)]), ["/d", "/d/y", "/e"].map(Into::into));
        assert_eq!(named(&[(b"d", Kind::Opaque), (b"d/z", FILE)]), ["/d", "/d/z", "/e"].map(Into::into));
        assert_eq!(named(&[(b"d", FILE)]), ["/d", "/e"].map(Into::into));
        assert_eq!(named(&[(b"d", Kind::Whiteout), (b"e", Kind::Whiteout)]), ["/".into()]);
    }

    #[test]
    fn a_name_that_is_no_text_is_an_error_only_where_it_must_be_named() {
        let lower: [(&[u8], _); 2] = [(b"\xff", FILE), (b"x", FILE)];
        assert_eq!(list(&lower, &[(b"y", FILE)]).expect("nothing is gone"), []);
        let error = list(&lower, &[(b"x", Kind::Whiteout)]).expect_err("it cannot be named");
        assert!(error.to_string().contains("\\xff"), "{error}");
    }
}
