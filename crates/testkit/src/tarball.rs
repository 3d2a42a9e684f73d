//! A writer of tar archives that does what it is told: every field can be wrong.
//!
//! ```text
//! 0    100  108  116  124   136    148   156  157   257    265    297    329    337    345      500
//! name mode uid  gid  size  mtime  sum   kind link  magic  uname  gname  major  minor  prefix
//! ```

/// Where a header field lies: first byte and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field(pub usize, pub usize);

/// Path.
pub const NAME: Field = Field(0, 100);
/// Permission bits.
pub const MODE: Field = Field(100, 8);
/// Owner.
pub const UID: Field = Field(108, 8);
/// Group.
pub const GID: Field = Field(116, 8);
/// Bytes of content.
pub const SIZE: Field = Field(124, 12);
/// Seconds since 1970.
pub const MTIME: Field = Field(136, 12);
/// Sum of all bytes.
pub const CHECKSUM: Field = Field(148, 8);
/// Type flag.
pub const KIND: Field = Field(156, 1);
/// Link target.
pub const LINK: Field = Field(157, 100);
/// `ustar`, NUL, `00`; or GNU's `ustar  `, NUL.
pub const MAGIC: Field = Field(257, 8);
/// Major device number.
pub const MAJOR: Field = Field(329, 8);
/// Minor device number.
pub const MINOR: Field = Field(337, 8);
/// First part of a long path.
pub const PREFIX: Field = Field(345, 155);

/// One header and what follows it.
#[derive(Clone, Debug)]
pub struct Member {
    header: [u8; 512],
    content: Vec<u8>,
    sealed: bool,
    padded: bool,
}

/// An archive: the members and two blocks of zeros.
pub fn tar(members: impl IntoIterator<Item = Member>) -> Vec<u8> {
    let mut bytes = cut(members);
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// An archive without its end.
pub fn cut(members: impl IntoIterator<Item = Member>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        bytes.extend_from_slice(&member.into_bytes());
    }
    bytes
}

impl Member {
    /// A member of any type, with the content's size in its header.
    pub fn new(kind: u8, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref().to_vec();
        let size = content.len() as u64;
        let member = Self { header: [0; 512], content, sealed: true, padded: true };
        member
            .set(MAGIC, b"ustar\x0000")
            .set(KIND, [kind])
            .set(NAME, name)
            .number(SIZE, size)
            .mode(0o644)
            .owner(0, 0)
            .number(MTIME, 1_000_000_000)
    }

    /// A regular file.
    pub fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self::new(b'0', name, content)
    }

    /// A folder, mode 0755.
    pub fn folder(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'5', name, b"").mode(0o755)
    }

    /// A symbolic link.
    pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::new(b'2', name, b"").set(LINK, target).mode(0o777)
    }

    /// A hard link.
    pub fn hard_link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::new(b'1', name, b"").set(LINK, target)
    }

    /// A device, `b'3'` for a character or `b'4'` for a block device.
    pub fn device(kind: u8, name: impl AsRef<[u8]>, major: u64, minor: u64) -> Self {
        Self::new(kind, name, b"").number(MAJOR, major).number(MINOR, minor)
    }

    /// A named pipe.
    pub fn fifo(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'6', name, b"")
    }

    /// Pax records for the next member, with right lengths.
    pub fn pax(records: &[(&[u8], &[u8])]) -> Self {
        Self::new(
            b'x',
            b"pax",
            records.iter().flat_map(|(key, value)| record(key, value)).collect::<Vec<_>>(),
        )
    }

    /// Pax records for all members that follow.
    pub fn global(records: &[(&[u8], &[u8])]) -> Self {
        Self::pax(records).set(KIND, b"g")
    }

    /// GNU's long name for the next member.
    pub fn long_name(name: &[u8]) -> Self {
        Self::new(b'L', b"././@LongLink", [name, b"\0"].concat()).set(MAGIC, b"ustar  \0")
    }

    /// GNU's long link target for the next member.
    pub fn long_link(target: &[u8]) -> Self {
        Self::long_name(target).set(KIND, b"K")
    }

    /// Any bytes into any field; the rest of the field becomes NUL.
    ///
    /// # Panics
    /// When they do not fit.
    #[must_use]
    pub fn set(mut self, Field(at, length): Field, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        assert!(bytes.len() <= length, "{} bytes do not fit into {length}", bytes.len());
        self.header[at..at + length].fill(0);
        self.header[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// A number in octal digits with a NUL behind; base-256 where it does not fit.
    #[must_use]
    pub fn number(self, field: Field, value: u64) -> Self {
        let octal = format!("{value:0width$o}", width = field.1 - 1);
        if octal.len() < field.1 { self.set(field, octal) } else { self.base256(field, i128::from(value)) }
    }

    /// A number in base-256, two's complement, as GNU writes what is too large or negative.
    #[must_use]
    pub fn base256(self, field: Field, value: i128) -> Self {
        let bytes = value.to_be_bytes();
        let mut field_bytes = bytes[16 - field.1..].to_vec();
        field_bytes[0] |= 0x80;
        self.set(field, field_bytes)
    }

    /// Permission bits.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        self.number(MODE, mode.into())
    }

    /// Owner and group.
    #[must_use]
    pub fn owner(self, uid: u64, gid: u64) -> Self {
        self.number(UID, uid).number(GID, gid)
    }

    /// A size that is not the content's.
    #[must_use]
    pub fn claims(self, size: u64) -> Self {
        self.number(SIZE, size)
    }

    /// Leaves the checksum as it was set.
    #[must_use]
    pub fn unsealed(mut self) -> Self {
        self.sealed = false;
        self
    }

    /// Leaves out the zeros that fill the content's last block.
    #[must_use]
    pub fn unpadded(mut self) -> Self {
        self.padded = false;
        self
    }

    /// Header and content as they lie in the archive.
    pub fn into_bytes(mut self) -> Vec<u8> {
        if self.sealed {
            self = self.set(CHECKSUM, b"        ");
            let sum: u64 = self.header.iter().map(|byte| u64::from(*byte)).sum();
            self = self.set(CHECKSUM, format!("{sum:06o}\0 "));
        }
        let mut bytes = self.header.to_vec();
        bytes.extend_from_slice(&self.content);
        if self.padded {
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes
    }
}

/// One pax record: its own length in decimal, a blank, `key=value`, a newline.
pub fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} ").as_bytes(), key, b"=", value, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, scratch};

    #[test]
    fn lengths_of_records_count_themselves() {
        assert_eq!(record(b"a", b"b"), b"6 a=b\n");
        assert_eq!(record(b"path", &[b'x'; 91]).len(), 101);
        assert!(record(b"path", &[b'x'; 91]).starts_with(b"101 path=x"));
    }

    /// GNU tar is the judge: what is written right is read as it was meant.
    #[test]
    fn gnu_tar_reads_what_was_meant() {
        let scratch = scratch();
        let long = [b"d/".as_slice(), &[b'n'; 120]].concat();
        let archive = scratch.file(
            "a.tar",
            tar([
                Member::folder("d/"),
                Member::file("d/f", "content"),
                Member::symlink("d/s", "f"),
                Member::hard_link("d/h", "d/f"),
                Member::fifo("d/p"),
                Member::device(b'3', "d/c", 1, 3),
                Member::long_name(&long),
                Member::file("cut", ""),
                Member::pax(&[(b"path", b"d/pax"), (b"mtime", b"1.5")]),
                Member::file("cut", "12345").base256(UID, 3_000_000_000),
            ]),
        );
        let list =
            Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(&archive).env("LC_ALL", "C").ok().out();
        for piece in [
            "d/f\n",
            "d/s -> f\n",
            "d/h link to d/f\n",
            "prw-r--r--",
            " 1,3 ",
            "d/nnnnn",
            "d/pax\n",
            "3000000000/0",
        ] {
            assert!(list.contains(piece), "{piece} in\n{list}");
        }
    }

    #[test]
    fn gnu_tar_refuses_what_was_meant_to_be_wrong() {
        let scratch = scratch();
        for bytes in [
            tar([Member::file("f", "x").set(CHECKSUM, b"000001\0 ").unsealed()]),
            cut([Member::file("f", "x").claims(5000)]),
        ] {
            let archive = scratch.file("bad.tar", bytes);
            assert!(!Command::new("tar").arg("-tf").arg(archive).run().success());
        }
    }
}
