//! What a file on the disk is in an image.

use crate::owner::{self, Owner};
use crate::stat::{FileKind, Stat};
use crate::xattr::{self, Belongs};
use orlop_layer::{Meta, Xattrs};

/// Owner, mode, time and attributes of a file as an image has them, when owners were treated so. `lost` hears of each
/// attribute that is no part of the tree.
pub(crate) fn meta(
    owner: Owner,
    stat: &Stat,
    mut xattrs: Xattrs,
    mut lost: impl FnMut(Belongs, &[u8]),
) -> Meta {
    let (uid, gid) = owner_of(owner, stat, &mut xattrs);
    let mode = stat.mode | set_id(owner, stat, &mut xattrs);
    xattrs.retain(|name, _| {
        let belongs = xattr::belongs(name);
        if belongs != Belongs::Tree {
            lost(belongs, name);
        }
        belongs == Belongs::Tree
    });
    Meta { mode, uid, gid, mtime: stat.mtime, xattrs }
}

/// The bits that were taken from a file when it was unpacked.
fn set_id(policy: Owner, stat: &Stat, xattrs: &mut Xattrs) -> u16 {
    if policy.is_set() {
        return 0;
    }
    let recorded = xattrs.remove(owner::MODE).filter(|_| stat.kind == FileKind::File);
    match policy {
        Owner::Record => recorded.map_or(0, |value| owner::recorded_set_id(&value)),
        _ => 0,
    }
}

fn owner_of(policy: Owner, stat: &Stat, xattrs: &mut Xattrs) -> (u32, u32) {
    match policy {
        Owner::Exact | Owner::Map => (stat.uid, stat.gid),
        Owner::Squash => {
            xattrs.remove(owner::RECORD);
            (0, 0)
        }
        Owner::Record => {
            let record = xattrs.remove(owner::RECORD);
            record.and_then(|value| owner::recorded(&value)).unwrap_or((0, 0))
        }
    }
}
