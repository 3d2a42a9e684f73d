//! Hard links: which names lead to one inode, and which should.

use super::{Aspect, Change, Difference, Field};
use crate::stat::Stat;
use orlop_layer::manifest::{NodeId, TreeManifest};
use std::collections::HashMap;

/// A name that is, or should be, one of several.
pub(super) struct Inode {
    id: NodeId,
    file: (u64, u64),
}

impl Inode {
    /// `None` for what has one name and should have one.
    pub(super) fn of(id: NodeId, stat: &Stat, names: Names) -> Option<Self> {
        (stat.links > 1 || names == Names::Several).then_some(Self { id, file: (stat.dev, stat.ino) })
    }
}

/// How many names the manifest has for an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    One,
    Several,
}

/// Names outside of the folder do not count: who made a checkout by links is not asked.
pub(super) fn compare(manifest: &TreeManifest, mut inodes: Vec<Inode>) -> Vec<Difference> {
    let paths: HashMap<NodeId, _> = inodes.iter().map(|inode| (inode.id, manifest.path(inode.id))).collect();
    inodes.sort_by(|one, other| paths[&one.id].components().cmp(paths[&other.id].components()));
    let files: HashMap<NodeId, _> = inodes.iter().map(|inode| (inode.id, inode.file)).collect();
    let mut first_of: HashMap<(u64, u64), NodeId> = HashMap::new();
    let mut differences = Vec::new();
    for Inode { id, file } in inodes {
        let found = *first_of.entry(file).or_insert(id);
        let expected = manifest.first(id);
        // Where the first name is gone, which is said, the others still belong together.
        let is_expected = match files.get(&expected) {
            Some(first) if expected != id => *first == file,
            _ => manifest.first(found) == expected,
        };
        if !is_expected {
            let name =
                |of: NodeId| if of == id { "nothing".to_owned() } else { manifest.path(of).to_string() };
            let field = Field::new(Aspect::HardLink, name(expected), name(found));
            let change = Change::Changed(vec![field]);
            differences.push(Difference { path: paths[&id].clone(), change });
        }
    }
    differences
}
