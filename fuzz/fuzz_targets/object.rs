//! Objects of OSTree, summaries of repositories, and places of objects in layers: what is taken is printed as the same bytes.
//! The first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_host::ostree::encapsulated::{object_at, path_of};
use orlop_host::ostree::summary::Summary;
use orlop_host::ostree::{Commit, DirMeta, DirTree, FileHeader};
use orlop_layer::TreePath;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let printed = match kind {
        b'c' => Commit::parse(bytes).map(|commit| commit.to_bytes()),
        b't' => DirTree::parse(bytes).map(|tree| tree.to_bytes()),
        b'm' => DirMeta::parse(bytes).map(|meta| meta.to_bytes()),
        b'f' => FileHeader::parse(bytes).map(|header| header.to_bytes()),
        b'z' => {
            FileHeader::parse_archived(bytes).map(|(header, size)| header.to_archived(size)[8..].to_vec())
        }
        b'p' => {
            let object = TreePath::parse(bytes).ok().and_then(|path| Some((object_at(&path)?, path)));
            let Some((object, path)) = object else { return };
            assert_eq!(path_of(&object), path);
            return;
        }
        b's' => Summary::parse(bytes).map(|summary| summary.to_bytes()),
        _ => return,
    };
    if let Ok(printed) = printed {
        assert_eq!(printed, bytes);
    }
});
