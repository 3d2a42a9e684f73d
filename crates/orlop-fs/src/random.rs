//! Names that nobody else has, without a clock.

use rustix::rand::{GetRandomFlags, getrandom};

/// Digits that sort and print everywhere: no capitals, for file systems that fold them.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// `prefix` and twelve random digits (60 bits).
pub fn name(prefix: impl AsRef<[u8]>) -> Vec<u8> {
    let prefix = prefix.as_ref();
    let mut name = Vec::with_capacity(prefix.len() + 12);
    name.extend_from_slice(prefix);
    name.extend(bytes::<12>().iter().map(|byte| DIGITS[usize::from(byte & 31)]));
    name
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
    }
}
