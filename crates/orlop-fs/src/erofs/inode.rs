//! Inodes, and what stands behind them.

use super::attributes::{attributes, count};
use super::plan::{Body, INODE, Plan, Source, Spot, chunks, chunks_at, kind};
use super::{Describe, Place, folder, unfit};
use crate::Result;
use orlop_layer::Device;
use orlop_layer::tree::{Content, InodeId, InodeKind, Tree};

/// The long form of an inode.
const LONG: u16 = 1;
/// The arrangement of contents in chunks.
pub(super) const IN_CHUNKS: u16 = 4;
/// That chunks lie in a device.
pub(super) const IN_DEVICE: u32 = 32;

/// An inode and everything up to the next one.
pub(super) fn inode(
    tree: &Tree,
    id: InodeId,
    ordinal: usize,
    plan: &Plan,
    describe: &dyn Describe,
) -> Result<Vec<u8>> {
    let (inode, spot) = (tree.inode(id), plan.spot(id));
    let attributes = attributes(describe.attributes(inode)?.as_ref())?;
    let mut bytes = vec![0; usize::try_from(INODE).expect("small")];
    let mut set = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    set(0, &(LONG | arrangement(spot.body) << 1).to_le_bytes());
    set(2, &count(&attributes)?.to_le_bytes());
    set(4, &(file_type(&inode.kind) | inode.meta.mode & 0o7777).to_le_bytes());
    set(8, &spot.size.to_le_bytes());
    set(16, &whereabouts(&inode.kind, spot.body).to_le_bytes());
    let ordinal = u32::try_from(ordinal + 1).map_err(|_| unfit("a tree of so many names"))?;
    set(20, &ordinal.to_le_bytes());
    set(24, &inode.meta.uid.to_le_bytes());
    set(28, &inode.meta.gid.to_le_bytes());
    set(32, &inode.meta.mtime.seconds.to_le_bytes());
    set(40, &inode.meta.mtime.nanoseconds.to_le_bytes());
    set(44, &names(tree, id).to_le_bytes());
    bytes.extend(attributes);
    match spot.body {
        Body::Inline => bytes.extend(body(tree, id, plan, describe)?),
        Body::Chunks { source, bits } => add_chunks(&mut bytes, spot, source, bits),
        Body::Nothing | Body::Blocks(_) => {}
    }
    Ok(bytes)
}

/// A content that is in the image.
pub(super) fn body(tree: &Tree, id: InodeId, plan: &Plan, describe: &dyn Describe) -> Result<Vec<u8>> {
    match &tree.inode(id).kind {
        InodeKind::Symlink(target) => return Ok(target.to_vec()),
        InodeKind::File(content) => return bytes(content, describe),
        _ => {}
    }
    let names = folder::names(tree, id, plan.spot(id).parent);
    Ok(folder::entries(&names, |id| plan.number(id), |id| kind(tree.inode(id))))
}

fn bytes(content: &Content, describe: &dyn Describe) -> Result<Vec<u8>> {
    match describe.place(content)? {
        Place::Here(bytes) if bytes.len() as u64 == content.size => Ok(bytes.to_vec()),
        _ => Err(unfit("a content that moves")),
    }
}

fn arrangement(body: Body) -> u16 {
    match body {
        Body::Nothing | Body::Blocks(_) => 0,
        Body::Inline => 2,
        Body::Chunks { .. } => IN_CHUNKS,
    }
}

/// The bits of the type as `stat` has them.
fn file_type(kind: &InodeKind) -> u16 {
    match kind {
        InodeKind::File(_) => 0o100_000,
        InodeKind::Directory { .. } => 0o040_000,
        InodeKind::Symlink(_) => 0o120_000,
        InodeKind::CharDevice(_) => 0o020_000,
        InodeKind::BlockDevice(_) => 0o060_000,
        InodeKind::Fifo => 0o010_000,
        InodeKind::Whiteout | InodeKind::LinkBelow(_) => unreachable!("a stacked tree has none"),
    }
}

/// Where the content is, or which device it is.
fn whereabouts(kind: &InodeKind, body: Body) -> u32 {
    match (kind, body) {
        (InodeKind::CharDevice(device) | InodeKind::BlockDevice(device), _) => numbers(*device),
        (_, Body::Blocks(first)) => first,
        (_, Body::Chunks { source: Source::Nowhere, bits }) => bits.into(),
        (_, Body::Chunks { bits, .. }) => IN_DEVICE | u32::from(bits),
        (_, Body::Nothing | Body::Inline) => 0,
    }
}

/// The kernel's 32 bits: twelve for the driver, within the twenty for the device.
fn numbers(Device { major, minor }: Device) -> u32 {
    minor & 0xff | (major & 0xfff) << 8 | (minor & !0xff) << 12
}

/// How many names lead to an inode; to a folder also its own and those that its folders have for it.
fn names(tree: &Tree, id: InodeId) -> u32 {
    if !tree.inode(id).is_directory() {
        return tree.names(id);
    }
    let folders = tree.children(id).filter(|(_, child)| tree.inode(*child).is_directory()).count();
    u32::try_from(folders).unwrap_or(u32::MAX - 2) + 2
}

fn add_chunks(bytes: &mut Vec<u8>, spot: Spot, source: Source, bits: u8) {
    let end = spot.at + bytes.len() as u64;
    let gap = chunks_at(end, source) - end;
    bytes.extend(std::iter::repeat_n(0, usize::try_from(gap).expect("below 8")));
    for chunk in 0..chunks(spot.size, bits) {
        match source {
            Source::Nowhere => bytes.extend(u32::MAX.to_le_bytes()),
            Source::Device { device, block } => {
                let block = u32::try_from(block + (chunk << bits)).expect("the plan looked");
                bytes.extend([0; 2]);
                bytes.extend((device + 1).to_le_bytes());
                bytes.extend(block.to_le_bytes());
            }
        }
    }
}
