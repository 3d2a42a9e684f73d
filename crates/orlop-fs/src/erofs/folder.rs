//! Folders: blocks of entries, sorted through all of them.

use super::{BLOCK, BLOCK_SIZE};
use orlop_layer::tree::{InodeId, Tree};

/// Bytes of an entry without its name.
const ENTRY: usize = 12;

/// A name in a folder.
pub(super) struct Name<'t> {
    pub(super) name: &'t [u8],
    pub(super) id: InodeId,
}

/// The names of a folder, `.` and `..` too.
pub(super) fn names(tree: &Tree, id: InodeId, parent: InodeId) -> Vec<Name<'_>> {
    let mut names: Vec<Name<'_>> = tree.children(id).map(|(name, id)| Name { name, id }).collect();
    for own in [Name { name: b".", id }, Name { name: b"..", id: parent }] {
        let at = names.partition_point(|other| other.name < own.name);
        names.insert(at, own);
    }
    names
}

/// Bytes that the entries of a folder take.
pub(super) fn size(names: &[Name<'_>]) -> u64 {
    let blocks = blocks(names);
    let full = blocks.len().saturating_sub(1) as u64 * BLOCK;
    full + blocks.last().map_or(0, |last| used(last)) as u64
}

/// The entries of a folder; `number` and `kind` tell what stands for an inode.
pub(super) fn entries(
    names: &[Name<'_>],
    number: impl Fn(InodeId) -> u64,
    kind: impl Fn(InodeId) -> u8,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in blocks(names) {
        bytes.resize(bytes.len().next_multiple_of(BLOCK_SIZE), 0);
        let mut at = block.len() * ENTRY;
        for Name { name, id } in block {
            bytes.extend(number(*id).to_le_bytes());
            bytes.extend(u16::try_from(at).expect("within a block").to_le_bytes());
            bytes.extend([kind(*id), 0]);
            at += name.len();
        }
        for Name { name, .. } in block {
            bytes.extend(*name);
        }
    }
    bytes
}

/// The names of a block and the numbers of what they lead to; `None` where names begin before the last one, or beyond
/// the block.
pub(super) fn parse(block: &[u8]) -> Option<Vec<(&[u8], u64)>> {
    let entry = |at: usize| -> Option<(u64, usize)> {
        let (number, rest) = block.get(at * ENTRY..)?.split_first_chunk()?;
        Some((u64::from_le_bytes(*number), u16::from_le_bytes(*rest.first_chunk()?).into()))
    };
    let (_, names) = entry(0)?;
    let count = names / ENTRY;
    let mut parsed = Vec::new();
    for at in 0..count {
        let (number, begin) = entry(at)?;
        let end = if at + 1 < count { entry(at + 1)?.1 } else { block.len() };
        let name = block.get(begin..end)?;
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        parsed.push((&name[..length], number));
    }
    Some(parsed)
}

/// As many names in each block as fit. A name has at most 255 bytes, so one always does.
fn blocks<'n, 't>(names: &'n [Name<'t>]) -> Vec<&'n [Name<'t>]> {
    let (mut blocks, mut rest) = (Vec::new(), names);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|it| {
            bytes += ENTRY + it.name.len();
            bytes <= BLOCK_SIZE
        });
        let (block, others) = rest.split_at(fitting.count());
        blocks.push(block);
        rest = others;
    }
    blocks
}

fn used(block: &[Name<'_>]) -> usize {
    block.iter().map(|it| ENTRY + it.name.len()).sum()
}
