//! Where everything of an image comes to lie, before a byte is written.

use super::attributes::attributes;
use super::superblock::{AT, SLOT};
use super::{BLOCK, Describe, Place, folder, unfit};
use crate::Result;
use orlop_layer::tree::{Content, Inode, InodeId, InodeKind, Tree};
use std::collections::HashMap;

/// Inodes begin at multiples of it, and are numbered by them.
pub(super) const STEP: u64 = 32;
/// Bytes of an inode without what belongs to it.
pub(super) const INODE: u64 = 64;
/// What stands behind an inode must lie in one block: up to here there is always a place for it.
const LONGEST_INLINE: u64 = BLOCK - STEP;
/// The longest name that a folder holds.
const LONGEST_NAME: usize = 255;

/// Where the inodes and long folders of an image lie.
pub(super) struct Plan {
    /// In the order of the image.
    order: Vec<InodeId>,
    spots: HashMap<InodeId, Spot>,
    end: u64,
}

/// One inode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// Its first byte.
    pub(super) at: u64,
    /// The folder that holds it first; its own for the root.
    pub(super) parent: InodeId,
    /// Bytes of its content.
    pub(super) size: u64,
    pub(super) body: Body,
}

/// Where the content of an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    Nothing,
    /// Behind the inode.
    Inline,
    /// In blocks from this one on.
    Blocks(u32),
    /// In chunks of two to the power of `bits` blocks.
    Chunks { source: Source, bits: u8 },
}

/// Where chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Nowhere.
    Nowhere,
    /// From this block of a device on.
    Device { device: u16, block: u64 },
}

impl Plan {
    pub(super) fn new(tree: &Tree, devices: usize, describe: &dyn Describe) -> Result<Self> {
        let first = (AT + SLOT * (1 + devices as u64)).next_multiple_of(BLOCK);
        let mut plan = Self { order: Vec::new(), spots: HashMap::new(), end: first };
        plan.settle(tree, tree.root(), tree.root(), describe)?;
        let mut next = 0;
        while let Some(&parent) = plan.order.get(next) {
            for (name, id) in tree.children(parent) {
                if name.len() > LONGEST_NAME {
                    return Err(unfit("a name of more than 255 bytes"));
                }
                if !plan.spots.contains_key(&id) {
                    plan.settle(tree, id, parent, describe)?;
                }
            }
            next += 1;
        }
        plan.end = plan.end.next_multiple_of(BLOCK);
        for id in &plan.order {
            let spot = plan.spots.get_mut(id).expect("every inode of the order has one");
            if let Body::Blocks(block) = &mut spot.body {
                *block = u32::try_from(plan.end / BLOCK).map_err(|_| unfit("a tree of so many names"))?;
                plan.end += spot.size.next_multiple_of(BLOCK);
            }
        }
        Ok(plan)
    }

    /// Gives an inode the next place.
    fn settle(&mut self, tree: &Tree, id: InodeId, parent: InodeId, describe: &dyn Describe) -> Result<()> {
        let inode = tree.inode(id);
        let head = INODE + attributes(describe.attributes(inode)?.as_ref())?.len() as u64;
        let (size, body) = match &inode.kind {
            InodeKind::File(content) => (content.size, file(content, describe)?),
            InodeKind::Directory { .. } => own(folder::size(&folder::names(tree, id, parent))),
            InodeKind::Symlink(target) => own(target.len() as u64),
            _ => (0, Body::Nothing),
        };
        let mut at = self.end.next_multiple_of(STEP);
        if body == Body::Inline {
            while (at + head) % BLOCK + size > BLOCK {
                at += STEP;
            }
        }
        self.end = match body {
            Body::Inline => at + head + size,
            Body::Chunks { source, bits } => {
                chunks_at(at + head, source) + chunks(size, bits) * width(source)
            }
            Body::Nothing | Body::Blocks(_) => at + head,
        };
        self.order.push(id);
        self.spots.insert(id, Spot { at, parent, size, body });
        Ok(())
    }

    /// Every inode in the order of the image.
    pub(super) fn spots(&self) -> impl Iterator<Item = (InodeId, Spot)> {
        self.order.iter().map(|id| (*id, self.spots[id]))
    }

    pub(super) fn spot(&self, id: InodeId) -> Spot {
        self.spots[&id]
    }

    /// What an inode is called in folders.
    pub(super) fn number(&self, id: InodeId) -> u64 {
        self.spot(id).at / STEP
    }

    /// The number of the root.
    pub(super) fn root(&self) -> u64 {
        self.first() / STEP
    }

    /// Where the first inode begins.
    pub(super) fn first(&self) -> u64 {
        self.spots[&self.order[0]].at
    }

    /// How many inodes there are.
    pub(super) fn len(&self) -> u64 {
        self.order.len() as u64
    }

    /// Bytes of the image.
    pub(super) fn end(&self) -> u64 {
        self.end
    }
}

/// A content of our own: behind the inode, or in blocks that are given out later.
fn own(size: u64) -> (u64, Body) {
    (size, if size <= LONGEST_INLINE { Body::Inline } else { Body::Blocks(0) })
}

fn file(content: &Content, describe: &dyn Describe) -> Result<Body> {
    if content.size == 0 {
        return Ok(Body::Nothing);
    }
    let source = match describe.place(content)? {
        Place::Here(bytes) if bytes.len() as u64 == content.size => return Ok(own(content.size).1),
        Place::Here(_) => return Err(unfit("a content of another size")),
        Place::Nowhere => Source::Nowhere,
        Place::Device { device, at } => Source::Device { device, block: block(content, at)? },
    };
    Ok(Body::Chunks { source, bits: exponent(content.size) })
}

/// The least exponent that makes one chunk of a content, as far as there is one.
pub(super) fn exponent(size: u64) -> u8 {
    let exponent = size.div_ceil(BLOCK).next_power_of_two().trailing_zeros().min(31);
    u8::try_from(exponent).expect("at most 31")
}

/// The block of a device in which a content begins.
fn block(content: &Content, at: u64) -> Result<u64> {
    let last = (at + content.size.next_multiple_of(BLOCK)) / BLOCK;
    if !at.is_multiple_of(BLOCK) || last >= u32::MAX.into() {
        return Err(unfit("a content that begins within a block, or ends beyond 2 TiB"));
    }
    Ok(at / BLOCK)
}

/// How many chunks a content has.
pub(super) fn chunks(size: u64, bits: u8) -> u64 {
    size.div_ceil(BLOCK << bits)
}

/// Where the list of chunks begins that stands behind `end`.
pub(super) fn chunks_at(end: u64, source: Source) -> u64 {
    end.next_multiple_of(width(source))
}

/// Bytes that say where a chunk is.
pub(super) fn width(source: Source) -> u64 {
    match source {
        Source::Nowhere => 4,
        Source::Device { .. } => 8,
    }
}

/// What a folder says of the type of an inode.
pub(super) fn kind(inode: &Inode) -> u8 {
    match inode.kind {
        InodeKind::File(_) => 1,
        InodeKind::Directory { .. } => 2,
        InodeKind::CharDevice(_) => 3,
        InodeKind::BlockDevice(_) => 4,
        InodeKind::Fifo => 5,
        InodeKind::Symlink(_) => 7,
        InodeKind::Whiteout | InodeKind::LinkBelow(_) => unreachable!("a stacked tree has none"),
    }
}
