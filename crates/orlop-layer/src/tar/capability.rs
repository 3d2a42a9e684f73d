//! File capabilities, as `security.capability` holds them (Linux, `linux/capability.h`, `vfs_cap_data`).
//!
//! ```text
//! le32 magic: revision in the top byte, bit 0 "effective" │ (le32 permitted, le32 inheritable) × 1 or 2 │ v3: le32 root id
//! ```

/// Whether the kernel could read this value.
pub(super) fn is_well_formed(value: &[u8]) -> bool {
    let Some((magic, rest)) = value.split_first_chunk() else { return false };
    let magic = u32::from_le_bytes(*magic);
    let length = match magic & 0xff00_0000 {
        0x0100_0000 => 8,
        0x0200_0000 => 16,
        0x0300_0000 => 20,
        _ => return false,
    };
    magic & 0x00ff_fffe == 0 && rest.len() == length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p12_three_revisions_and_their_lengths() {
        let value = |magic: u32, length: usize| {
            let mut value = magic.to_le_bytes().to_vec();
            value.resize(length, 0);
            value
        };
        for (magic, length) in [(0x0100_0001, 12), (0x0200_0001, 20), (0x0200_0000, 20), (0x0300_0001, 24)] {
            assert!(is_well_formed(&value(magic, length)), "{magic:x}");
            assert!(!is_well_formed(&value(magic, length - 1)), "{magic:x}");
            assert!(!is_well_formed(&value(magic, length + 1)), "{magic:x}");
        }
        assert!(!is_well_formed(&value(0x0400_0001, 24)));
        assert!(!is_well_formed(&value(0x0200_0002, 20)));
        assert!(!is_well_formed(b""));
    }
}
