//! Names that nobody else has, without a clock.

use rustix::rand::{GetRandomFlags, getrandom};

/// Digits that sort and print everywhere: no capitals, for file systems that fold them.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// How many digits are random: 60 bits.
const LENGTH: usize = 12;

/// `prefix` and twelve random digits.
pub fn name(prefix: impl AsRef<[u8]>) -> Vec<u8> {
    let prefix = prefix.as_ref();
    let mut name = Vec::with_capacity(prefix.len() + LENGTH);
    name.extend_from_slice(prefix);
    name.extend(bytes::<LENGTH>().iter().map(|byte| DIGITS[usize::from(byte & 31)]));
    name
}

/// Whether [`name`] may have made `name` from `prefix`.
pub fn is_name(prefix: &[u8], name: &[u8]) -> bool {
    let digits = name.strip_prefix(prefix).unwrap_or_default();
    digits.len() == LENGTH && digits.iter().all(|byte| DIGITS.contains(byte))
}

/// Random bytes.
///
/// # Panics
/// When the kernel has no randomness at all, which none does once it has booted.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the kernel gives no random bytes: {error}"),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_keep_their_prefix() {
        let (one, two) = (name(".x-"), name(".x-"));
        assert_ne!(one, two);
        assert!(one.starts_with(b".x-") && one.len() == 15);
        assert!(is_name(b".x-", &one) && !is_name(b".x", &one) && !is_name(b".x-", b".x-ABCDEFGHIJKL"));
    }
}
