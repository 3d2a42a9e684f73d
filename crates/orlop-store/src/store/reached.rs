//! What names, mounts and containers reach: the ground of a sweep.
//!
//! Invariant: it errs on the side of keeping. A layer is kept if a blob that is kept is known to be it, and if a config
//! lists it; a tree if its layers are those of a config. What cannot be read, and may name more, is an error.

use super::{Store, format, roots};
use crate::reach::{self, Damage, Reached as Found, is_missing};
use orlop_spec::digest::{AnyDigest, ChainId, DiffId};
use orlop_spec::port::Result;
use orlop_spec::{Config, Descriptor, graph, json};
use std::collections::{BTreeSet, HashSet};

/// What must stay.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) blobs: BTreeSet<AnyDigest>,
    pub(super) layers: HashSet<DiffId>,
    /// Of images that may have a tree.
    chains: HashSet<Box<[u8]>>,
    trees: HashSet<Box<[u8]>>,
}

impl Reached {
    /// Asks names first, then mounts, then containers; leases were read before.
    pub(super) fn by(store: &Store) -> Result<Self> {
        let mut reached = Self::default();
        let mut roots = store.names.roots()?;
        for part in [format::MOUNTS, format::RUNS] {
            for used in roots::all(&store.root.open_dir(part)?)? {
                roots.extend(used.images);
                reached.layers.extend(used.layers);
                reached.trees.extend(used.trees.iter().map(|tree| tree.as_bytes().into()));
            }
        }
        let mut configs = Vec::new();
        let see = &mut |_: &Descriptor, found: &Found| {
            if let Found::Manifest(manifest) = found {
                configs.push(manifest.config.clone());
            }
        };
        reached.blobs = reach::reach(store, &store.limits, roots.into_iter(), Damage::Refuse, see)?;
        for config in &configs {
            reached.add_config(store, config)?;
        }
        for blob in reached.blobs.iter().filter_map(|blob| blob.known().ok()) {
            reached.layers.extend(store.forms.get(blob)?.map(|form| form.diff_id));
        }
        Ok(reached)
    }

    /// A config of another kind, or one that is not there, lists no layers.
    fn add_config(&mut self, store: &Store, config: &Descriptor) -> Result<()> {
        let raw = match graph::read_raw(&store.limits, store, config) {
            Err(fault) if is_missing(&fault) => return Ok(()),
            read => read?,
        };
        let Ok(config) = json::parse::<Config>(&raw) else { return Ok(()) };
        self.layers.extend(&config.rootfs.diff_ids);
        self.chains.extend(ChainId::of(&config.rootfs.diff_ids).map(|chain| chain.0.hex().as_bytes().into()));
        Ok(())
    }

    /// The name of a tree begins with the chain id's hexadecimal digits.
    pub(super) fn has_tree(&self, name: &[u8]) -> bool {
        let digits = name.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        self.trees.contains(name) || self.chains.contains(&name[..digits])
    }
}
