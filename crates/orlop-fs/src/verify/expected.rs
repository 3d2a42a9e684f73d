//! What a file of the manifest looks like on the disk, when owners were not set.

use super::{Shape, Verify};
use crate::owner::{self, Owner, SET_ID};
use crate::stat::Stat;
use crate::xattr::{self, Belongs};
use orlop_layer::Xattrs;
use orlop_layer::manifest::{Node, What};

/// What is compared with `stat`, and with the attributes that are there.
pub(super) struct Expected {
    pub(super) mode: Option<u16>,
    pub(super) owner: (u32, u32),
    pub(super) xattrs: Xattrs,
}

impl Expected {
    /// Of `node`, in a folder that is like `root`.
    pub(super) fn of(node: &Node, how: &Verify<'_>, root: &Stat) -> Self {
        let is_link = matches!(node.what, What::Symlink(_));
        let mut expected = Self {
            mode: (!is_link).then_some(node.mode),
            owner: (node.uid, node.gid),
            xattrs: node.xattrs.clone(),
        };
        expected.xattrs.retain(|name, value| is_kept(name, value, &node.what, how.shape));
        if !how.owner.is_set() {
            expected.unset(node, how.owner, root);
        }
        expected
    }

    /// Everything belongs to whom the folder belongs to, and what would run as that one does not.
    fn unset(&mut self, node: &Node, policy: Owner, root: &Stat) {
        self.owner = (root.uid, root.gid);
        let is_file = matches!(node.what, What::File { .. });
        if is_file {
            self.mode = Some(node.mode & !SET_ID);
        }
        if policy != Owner::Record {
            return;
        }
        let record = owner::record(node.uid, node.gid);
        if let Some(record) = record.filter(|_| is_file || matches!(node.what, What::Directory(_))) {
            self.xattrs.insert(owner::RECORD.into(), record.into());
        }
        if is_file && node.mode & SET_ID != 0 {
            self.xattrs.insert(owner::MODE.into(), owner::record_mode(node.mode).into());
        }
    }
}

/// Whether an attribute of the manifest is looked for: those of the host are never set, those of overlays in skeletons
/// alone, and the kernel keeps none of users on what is no file or folder.
fn is_kept(name: &[u8], value: &[u8], what: &What, shape: Shape) -> bool {
    let takes_user = matches!(what, What::File { .. } | What::Directory(_));
    let is_set = match xattr::belongs(name) {
        Belongs::Tree => true,
        Belongs::Overlay => shape != Shape::Whole,
        Belongs::Host => false,
    };
    is_set && (takes_user || !name.starts_with(b"user.")) && !is_plain_acl(name, value)
}

/// Whether an attribute that is there counts.
pub(super) fn counts(name: &[u8], value: &[u8]) -> bool {
    xattr::belongs(name) != Belongs::Host && !is_plain_acl(name, value)
}

/// Whether an attribute may be missing where owners were not set: an ordinary user may neither set nor see all.
pub(super) fn needs_privilege(name: &[u8]) -> bool {
    name.starts_with(b"security.") || name.starts_with(b"trusted.")
}

/// An access list that says no more than the mode: three entries of eight bytes behind a version. Kernels do not keep it.
fn is_plain_acl(name: &[u8], value: &[u8]) -> bool {
    name == b"system.posix_acl_access" && value.len() == 4 + 3 * 8
}
