//! Bytes that nothing compresses: the same for the same seed, and made about as fast as memory is filled.

/// So many bytes of a seed (`splitmix64`).
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut bytes = vec![0; size];
    let mut state = seed.wrapping_add(1).wrapping_mul(STEP);
    for eight in bytes.chunks_mut(8) {
        state = state.wrapping_add(STEP);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        eight.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..eight.len()]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::zstd;

    #[test]
    fn noise_is_the_same_again_differs_by_seed_and_does_not_compress() {
        let one = noise(1, 100_003);
        assert_eq!((&one, one.len()), (&noise(1, 100_003), 100_003));
        assert_ne!(one[..64], noise(2, 64)[..]);
        assert!(zstd(&one).len() >= one.len());
    }
}
