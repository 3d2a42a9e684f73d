//! One block of 512 bytes: the header of POSIX ustar, of GNU, or of Unix V7.
//!
//! Invariant: a [`Header`] exists only with a right checksum; its numbers fit their types.
//!
//! ```text
//!   0 name 100 │ 100 mode 8 │ 108 uid 8 │ 116 gid 8 │ 124 size 12 │ 136 mtime 12 │ 148 checksum 8
//! 156 type 1 │ 157 link name 100 │ 257 magic 6, version 2 │ 265 user 32 │ 297 group 32
//! 329 major 8 │ 337 minor 8 │ 345 prefix 155
//! GNU: 386 four runs of offset 12, length 12 │ 482 extended 1 │ 483 real size 12
//! ```

use super::BLOCK;
use crate::entry::{Device, Time};
use crate::error::Error;

/// One block, as it was read.
pub(super) type Block = [u8; BLOCK];

/// Which family of headers a block belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Ustar,
    Gnu,
    V7,
}

/// A header with a right checksum.
pub(super) struct Header<'a> {
    block: &'a Block,
    offset: u64,
    pub(super) family: Family,
}

impl<'a> Header<'a> {
    /// Reads the block at `offset`.
    pub(super) fn parse(block: &'a Block, offset: u64) -> Result<Self, Error> {
        let family = match &block[257..265] {
            [b'u', b's', b't', b'a', b'r', 0, ..] => Family::Ustar,
            b"ustar  \0" => Family::Gnu,
            _ => Family::V7,
        };
        let header = Self { block, offset, family };
        header.check_sum()?;
        Ok(header)
    }

    /// The type flag.
    pub(super) fn flag(&self) -> u8 {
        self.block[156]
    }

    /// The name, prefix included.
    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.block[..100]);
        match self.prefix() {
            b"" => name.to_vec(),
            prefix => [prefix, b"/", name].concat(),
        }
    }

    /// The link's target.
    pub(super) fn link_name(&self) -> &'a [u8] {
        text(&self.block[157..257])
    }

    /// The twelve bits; old archives store the file type above them.
    pub(super) fn mode(&self) -> Result<u16, Error> {
        let mode = self.number(100..108, "the mode is no number")?;
        Ok(u16::try_from(mode & 0o7777).expect("twelve bits"))
    }

    /// The owner.
    pub(super) fn uid(&self) -> Result<u32, Error> {
        self.id(108..116, "the owner's number is out of range")
    }

    /// The group.
    pub(super) fn gid(&self) -> Result<u32, Error> {
        self.id(116..124, "the group's number is out of range")
    }

    /// Bytes that follow.
    pub(super) fn size(&self) -> Result<u64, Error> {
        self.length(124..136, "the size is out of range")
    }

    /// When the content changed.
    pub(super) fn mtime(&self) -> Result<Time, Error> {
        const WHAT: &str = "the time is out of range";
        let seconds = self.number(136..148, WHAT)?;
        i64::try_from(seconds).map(Time::from_seconds).map_err(|_| self.damaged(WHAT))
    }

    /// The numbers of a device.
    pub(super) fn device(&self) -> Result<Device, Error> {
        const WHAT: &str = "the device's numbers are out of range";
        let part = |range| {
            let number = self.number(range, WHAT)?;
            u32::try_from(number).map_err(|_| self.damaged(WHAT))
        };
        Ok(Device { major: part(329..337)?, minor: part(337..345)? })
    }

    /// The size with holes, of an old GNU sparse file.
    pub(super) fn real_size(&self) -> Result<u64, Error> {
        self.length(483..495, "the real size is out of range")
    }

    /// Where it begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes.
    pub(super) fn block(&self) -> &'a Block {
        self.block
    }

    /// A damage at this header.
    pub(super) fn damaged(&self, what: &'static str) -> Error {
        Error::Tar { offset: self.offset, what }
    }

    /// GNU uses the room of the prefix for times and sparse runs; star's prefix ends by a NUL after 130 bytes
    /// at most, so it needs no rule of its own.
    fn prefix(&self) -> &'a [u8] {
        if self.family == Family::Ustar { text(&self.block[345..500]) } else { b"" }
    }

    fn check_sum(&self) -> Result<(), Error> {
        let stored = self.number(148..156, "this is no tar header")?;
        let sum = |value: fn(u8) -> i32| {
            let outside: i32 = self.block.iter().map(|byte| value(*byte)).sum();
            let inside: i32 = self.block[148..156].iter().map(|byte| value(*byte)).sum();
            i128::from(outside - inside + 8 * i32::from(b' '))
        };
        // Some old writers summed signed characters.
        if stored == sum(i32::from) || stored == sum(|byte| i32::from(byte.cast_signed())) {
            return Ok(());
        }
        Err(self.damaged("the header's checksum is wrong"))
    }

    fn id(&self, range: std::ops::Range<usize>, what: &'static str) -> Result<u32, Error> {
        id(self.number(range, what)?).ok_or_else(|| self.damaged(what))
    }

    fn length(&self, range: std::ops::Range<usize>, what: &'static str) -> Result<u64, Error> {
        length(self.number(range, what)?).ok_or_else(|| self.damaged(what))
    }

    fn number(&self, range: std::ops::Range<usize>, what: &'static str) -> Result<i128, Error> {
        number(&self.block[range]).ok_or_else(|| self.damaged(what))
    }
}

/// An owner or group: 2³²−1 is the kernel's "unchanged", so nobody owns anything by it.
pub(super) fn id(number: i128) -> Option<u32> {
    u32::try_from(number).ok().filter(|id| *id != u32::MAX)
}

/// A size: not negative, and no larger than a file can be.
pub(super) fn length(number: i128) -> Option<u64> {
    i64::try_from(number).ok()?.try_into().ok()
}

/// A numeric field: octal digits with blanks around them, or base 256 with the top bit set. Nothing at all is
/// zero, as in headers for which a field has no meaning.
pub(super) fn number(field: &[u8]) -> Option<i128> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => Some(base256(*first, rest)),
        _ => octal(field),
    }
}

/// Two's complement; the bit below the marker is the sign. No field is longer than 12 bytes.
fn base256(first: u8, rest: &[u8]) -> i128 {
    let sign = if first & 0x40 == 0 { i128::from(first & 0x3f) } else { i128::from(first | 0x80) - 256 };
    rest.iter().fold(sign, |number, byte| number << 8 | i128::from(*byte))
}

fn octal(field: &[u8]) -> Option<i128> {
    let start = field.iter().position(|byte| *byte != b' ')?;
    let digits = &field[start..];
    let end = digits.iter().position(|byte| matches!(byte, b' ' | 0)).unwrap_or(digits.len());
    digits[..end].iter().try_fold(0, |number: i128, byte| match byte {
        b'0'..=b'7' => Some(number << 3 | i128::from(byte - b'0')),
        _ => None,
    })
}

/// A field of text ends at its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.iter().position(|byte| *byte == 0).map_or(field, |end| &field[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"77777777"), Some(0o7777_7777));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\x01\x02"), Some(258));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
        assert_eq!(number(b"0000648\0"), None);
        assert_eq!(number(b"-1\0\0\0\0\0\0"), None);
    }

    #[test]
    fn t6_numbers_that_do_not_fit_are_refused_not_wrapped() {
        assert_eq!(length(-1), None);
        assert_eq!(length(1 << 63), None);
        assert_eq!(length(i128::from(i64::MAX)), Some(i64::MAX as u64));
        assert_eq!(id(i128::from(u32::MAX)), None);
        assert_eq!(id(1 << 32), None);
        assert_eq!(id(-2), None);
        assert_eq!(id(4_294_967_294), Some(4_294_967_294));
        assert_eq!(number(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]), Some(1 << 63));
    }
}
