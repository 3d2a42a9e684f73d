//! Owners of files, where they cannot simply be set.
//!
//! An ordinary user keeps owners in the attribute `user.rootlesscontainers`, as umoci and others do. It is a
//! protocol buffer of two numbers:
//!
//! ```text
//! 08 <varint uid>   10 <varint gid>      2^32-1 means: nothing recorded, which stands for 0
//! ```
//!
//! A file that would be setuid or setgid for the caller, and not for its owner, is unpacked without these bits. The
//! attribute `user.orlop.mode` keeps its mode then, in four octal digits.

use crate::fakeroot::Fakeroot;
use crate::privilege::Privileges;

/// The attribute that holds a recorded owner.
pub const RECORD: &[u8] = b"user.rootlesscontainers";

/// The attribute that holds a recorded mode.
pub const MODE: &[u8] = b"user.orlop.mode";

/// The bits that make a program run as its owner or group.
pub const SET_ID: u16 = 0o6000;

/// Stands for "no number recorded".
const NOTHING: u32 = u32::MAX;

/// What is done about owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Owners are as stored.
    Exact,
    /// As stored, seen through a user namespace that the process is in.
    Map,
    /// Everything is the caller's; when scanning, 0:0.
    Squash,
    /// As `Squash`, and the owner is kept in [`RECORD`]; when scanning, taken from there, else 0:0.
    Record,
}

impl Owner {
    /// What to do where the user did not say: exact where owners can be set, else record.
    pub fn fitting(privileges: Privileges, fakeroot: Fakeroot) -> Self {
        if privileges.chown || fakeroot != Fakeroot::Absent { Self::Exact } else { Self::Record }
    }

    /// Whether owners are set on files.
    pub fn is_set(self) -> bool {
        matches!(self, Self::Exact | Self::Map)
    }
}

/// The value of [`RECORD`] for an owner; `None` for 0:0, which needs no record.
pub fn record(uid: u32, gid: u32) -> Option<Vec<u8>> {
    if (uid, gid) == (0, 0) {
        return None;
    }
    let mut value = Vec::with_capacity(12);
    for (tag, id) in [(0x08, uid), (0x10, gid)] {
        value.push(tag);
        push_varint(&mut value, if id == 0 { NOTHING } else { id });
    }
    Some(value)
}

/// The owner that a value of [`RECORD`] holds; `None` where it is damaged.
pub fn recorded(mut value: &[u8]) -> Option<(u32, u32)> {
    let (mut uid, mut gid) = (0, 0);
    while let Some((tag, rest)) = value.split_first() {
        let id = match tag {
            0x08 => &mut uid,
            0x10 => &mut gid,
            _ => return None,
        };
        (*id, value) = take_varint(rest)?;
    }
    let plain = |id| if id == NOTHING { 0 } else { id };
    Some((plain(uid), plain(gid)))
}

/// The value of [`MODE`].
pub fn record_mode(mode: u16) -> Vec<u8> {
    format!("{mode:04o}").into_bytes()
}

/// The bits of [`SET_ID`] that a value of [`MODE`] holds; none where it is damaged.
pub fn recorded_set_id(value: &[u8]) -> u16 {
    let digits = std::str::from_utf8(value).ok().filter(|digits| digits.len() == 4);
    digits.and_then(|digits| u16::from_str_radix(digits, 8).ok()).unwrap_or(0) & SET_ID
}

fn push_varint(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn take_varint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(number).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes are those that umoci 0.4.7 wrote for these owners.
    #[test]
    fn records_are_those_of_umoci() {
        assert_eq!(record(1000, 100), Some(b"\x08\xe8\x07\x10\x64".to_vec()));
        assert_eq!(record(0, 5), Some(b"\x08\xff\xff\xff\xff\x0f\x10\x05".to_vec()));
        assert_eq!(record(7, 0), Some(b"\x08\x07\x10\xff\xff\xff\xff\x0f".to_vec()));
        assert_eq!(record(0, 0), None);
    }

    #[test]
    fn what_was_recorded_comes_back() {
        for owner in [(1000, 100), (0, 5), (7, 0), (u32::MAX - 1, 1), (127, 128)] {
            assert_eq!(recorded(&record(owner.0, owner.1).expect("not 0:0")), Some(owner));
        }
        assert_eq!(recorded(b""), Some((0, 0)));
    }

    #[test]
    fn of_a_recorded_mode_the_bits_come_back_that_were_taken() {
        for mode in [0o4755, 0o6711, 0o2755, 0o0644] {
            assert_eq!(recorded_set_id(&record_mode(mode)), mode & SET_ID);
        }
        for damaged in [&b""[..], b"4", b"9999", b"-755", b"\xff755", b"100755"] {
            assert_eq!(recorded_set_id(damaged), 0, "{damaged:?}");
        }
    }

    #[test]
    fn damaged_records_are_none() {
        for value in [
            &b"\x08"[..],
            b"\x08\x80",
            b"\x18\x01",
            b"\x08\xff\xff\xff\xff\x7f",
            b"\x08\x80\x80\x80\x80\x80\x01",
        ] {
            assert_eq!(recorded(value), None, "{value:x?}");
        }
    }
}
