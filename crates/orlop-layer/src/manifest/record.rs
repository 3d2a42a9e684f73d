//! One name of a manifest as bytes.

use super::{Listing, NodeId, TreeManifest, What};
use crate::entry::Device;

/// Adds the record of a node.
pub(super) fn record(manifest: &TreeManifest, id: NodeId, out: &mut Vec<u8>) {
    let node = manifest.node(id);
    out.push(tag(&node.what));
    bytes(out, manifest.name(id));
    if let What::Link(first) = node.what {
        return bytes(out, manifest.path(first).as_bytes());
    }
    out.extend_from_slice(&node.mode.to_le_bytes());
    number(out, node.uid);
    number(out, node.gid);
    length(out, node.xattrs.len());
    for (name, value) in &node.xattrs {
        bytes(out, name);
        bytes(out, value);
    }
    match &node.what {
        What::File { size, sha256 } => {
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(sha256);
        }
        What::Directory(Listing { count, sha256, .. }) => {
            number(out, *count);
            out.extend_from_slice(sha256);
        }
        What::Symlink(target) => bytes(out, target),
        What::CharDevice(device) | What::BlockDevice(device) => numbers(out, *device),
        What::Fifo | What::Link(_) => {}
    }
}

/// Adds bytes behind their length.
pub(super) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn tag(what: &What) -> u8 {
    match what {
        What::File { .. } => b'f',
        What::Directory(_) => b'd',
        What::Symlink(_) => b'l',
        What::CharDevice(_) => b'c',
        What::BlockDevice(_) => b'b',
        What::Fifo => b'p',
        What::Link(_) => b'h',
    }
}

fn numbers(out: &mut Vec<u8>, device: Device) {
    number(out, device.major);
    number(out, device.minor);
}

fn number(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn length(out: &mut Vec<u8>, length: usize) {
    number(out, super::count(length));
}
