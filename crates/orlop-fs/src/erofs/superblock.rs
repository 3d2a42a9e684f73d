//! The superblock and the slots of devices.

use super::plan::Plan;
use super::{BLOCK, BLOCK_SIZE, unfit};
use crate::Result;

/// Where the superblock begins.
pub(super) const AT: u64 = 1024;
/// Bytes of the superblock, and of the slot of a device.
pub(super) const SLOT: u64 = SLOT_SIZE as u64;
const SLOT_SIZE: usize = 128;

const MAGIC: u32 = 0xE0F5_E1E2;
const CHECKSUM: u32 = 1;
const CHUNKS: u32 = 4;
const DEVICES: u32 = 8;

/// The superblock, with the checksum of the block that it begins.
pub(super) fn superblock(plan: &Plan, devices: &[u64]) -> Result<[u8; SLOT_SIZE]> {
    let few = |number: u64, what| u32::try_from(number).map_err(|_| unfit(what));
    let root = u16::try_from(plan.root()).map_err(|_| unfit("so many devices"))?;
    let count = u16::try_from(devices.len()).map_err(|_| unfit("so many devices"))?;
    let blocks = few(plan.end() / BLOCK, "a tree of so many names")?;
    let mut bytes = [0; SLOT_SIZE];
    let mut set = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    set(0, &MAGIC.to_le_bytes());
    set(8, &CHECKSUM.to_le_bytes());
    set(12, &[u8::try_from(BLOCK.trailing_zeros()).expect("an exponent")]);
    set(14, &root.to_le_bytes());
    set(16, &plan.len().to_le_bytes());
    set(36, &blocks.to_le_bytes());
    let further = if devices.is_empty() { 0 } else { DEVICES };
    set(80, &(CHUNKS | further).to_le_bytes());
    set(86, &count.to_le_bytes());
    let slots = u16::try_from((AT + SLOT) / SLOT).expect("few");
    set(88, &slots.to_le_bytes());
    let mut block = [0; BLOCK_SIZE];
    block[..bytes.len()].copy_from_slice(&bytes);
    for (slot, size) in block[bytes.len()..].chunks_exact_mut(SLOT_SIZE).zip(devices) {
        slot.copy_from_slice(&device(*size)?);
    }
    if plan.first() < AT + BLOCK {
        return Err(unfit("inodes in the block of the superblock"));
    }
    bytes[4..8].copy_from_slice(&crc32c(&block).to_le_bytes());
    Ok(bytes)
}

/// The slot of a device of some bytes.
pub(super) fn device(size: u64) -> Result<[u8; SLOT_SIZE]> {
    let blocks = u32::try_from(size.div_ceil(BLOCK)).map_err(|_| unfit("a device of more than 2 TiB"))?;
    let mut bytes = [0; SLOT_SIZE];
    bytes[64..68].copy_from_slice(&blocks.to_le_bytes());
    Ok(bytes)
}

/// CRC-32C, begun with all ones and not inverted at its end.
fn crc32c(bytes: &[u8]) -> u32 {
    /// The polynomial of Castagnoli, bits reversed.
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (POLYNOMIAL * (sum & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4, which inverts at the end.
    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(!crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(!crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(!crc32c(b"123456789"), 0xE306_9283);
    }
}
