//! Objects of OSTree, and summaries of repositories: what is taken is printed as the same bytes. The first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_host::ostree::summary::Summary;
use orlop_host::ostree::{Commit, DirMeta, DirTree, FileHeader};

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
        b's' => Summary::parse(bytes).map(|summary| summary.to_bytes()),
        _ => return,
    };
    if let Ok(printed) = printed {
        assert_eq!(printed, bytes);
    }
});
