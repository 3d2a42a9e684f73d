//! The writer: entries into the canonical form, version 1 (`docs/formats/tar.md`, "Writing").
//!
//! Invariant: the bytes depend on the entries alone, and one tree has one order of entries. What the reader
//! makes of the bytes is what was written.

use super::{BLOCK, padding};
use crate::entry::{Device, Entry, Kind, Meta, Order, Time};
use crate::error::Error;
use crate::path::TreePath;
use crate::whiteout;
use std::collections::BTreeMap;
use std::io::Write;

/// Sizes from here on do not fit eleven octal digits.
const LARGE: u64 = 1 << 33;
/// Readers refuse extended headers that are longer: attributes of a megabyte cannot be in a layer.
const HEADER: u64 = 1 << 20;
static ZEROS: [u8; 64 * BLOCK] = [0; 64 * BLOCK];

/// Writes a tar in its canonical form.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    offset: u64,
    /// The file whose content is being written.
    path: TreePath,
    /// Bytes that its content lacks.
    missing: u64,
    padding: u64,
    /// Where the last entry stands in the order; that of the next one is built in the other.
    last: Vec<u8>,
    next: Vec<u8>,
    order: Order,
}

impl<W: Write> Writer<W> {
    /// Writes to `out`, which should buffer.
    pub fn new(out: W) -> Self {
        Self::in_order(out, Order::Canonical)
    }

    /// Writes to `out`. What comes in another order than the canonical one is refused, unless it is the caller's: archives
    /// of images have one of their own, where names come last.
    pub fn in_order(out: W, order: Order) -> Self {
        let (last, next) = (Vec::new(), Vec::new());
        Self { out, offset: 0, path: TreePath::root(), missing: 0, padding: 0, last, next, order }
    }

    /// Writes an entry. Entries come folder by folder, each folder first: its opaque marker, its whiteouts, then
    /// everything in it, sorted by the bytes of the names. No path comes twice. Gives the offset where the entry
    /// begins.
    pub fn entry(&mut self, entry: &Entry) -> Result<u64, Error> {
        self.end_content()?;
        let offset = self.offset;
        self.check_order(entry)?;
        let member = Member::of(entry)?;
        if !member.records.is_empty() {
            self.extended_header(&member.records)?;
        }
        self.put(&member.header())?;
        self.path = entry.path.clone();
        self.missing = member.size;
        self.padding = padding(member.size);
        Ok(offset)
    }

    /// Writes a piece of the content of the file that came last.
    pub fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.missing = self.missing.checked_sub(bytes.len() as u64).ok_or_else(|| self.changed())?;
        self.put(bytes)
    }

    /// Writes zeros as a piece of the content of the file that came last.
    pub fn hole(&mut self, length: u64) -> Result<(), Error> {
        self.missing = self.missing.checked_sub(length).ok_or_else(|| self.changed())?;
        self.zeros(length)
    }

    /// Writes the two blocks of zeros at the end.
    pub fn finish(mut self) -> Result<W, Error> {
        self.end_content()?;
        self.zeros(2 * BLOCK as u64)?;
        Ok(self.out)
    }

    /// Where the bytes go, so that they can be taken from there on the way.
    pub fn out(&mut self) -> &mut W {
        &mut self.out
    }

    fn end_content(&mut self) -> Result<(), Error> {
        if self.missing > 0 {
            return Err(self.changed());
        }
        let padding = std::mem::take(&mut self.padding);
        self.zeros(padding)
    }

    fn changed(&self) -> Error {
        Error::Entry { path: self.path.to_string(), what: "the file has not the size that was announced" }
    }

    fn check_order(&mut self, entry: &Entry) -> Result<(), Error> {
        place(entry, &mut self.next);
        if self.order == Order::Canonical && self.offset > 0 && self.next <= self.last {
            let what = "the entry comes twice, or out of the order of a canonical tar";
            return Err(Error::Entry { path: entry.path.to_string(), what });
        }
        std::mem::swap(&mut self.last, &mut self.next);
        Ok(())
    }

    fn extended_header(&mut self, records: &Records) -> Result<(), Error> {
        let content = records.print();
        let size = content.len() as u64;
        if size > HEADER {
            return Err(Error::Limit { what: "an extended header", limit: HEADER });
        }
        let header = Member { name: b"././@PaxHeader".into(), flag: b'x', size, ..Member::default() };
        self.put(&header.header())?;
        self.put(&content)?;
        self.zeros(padding(size))
    }

    fn zeros(&mut self, mut length: u64) -> Result<(), Error> {
        while length > 0 {
            let count = usize::try_from(length).unwrap_or(usize::MAX).min(ZEROS.len());
            self.put(&ZEROS[..count])?;
            length -= count as u64;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.offset += bytes.len() as u64;
        self.out.write_all(bytes).map_err(Error::Write)
    }
}

/// Where an entry stands: bytes that compare as the entries do. Each component is its class (0 opaque marker,
/// 1 whiteout, 2 anything else), its name, and a NUL, which is less than any byte of a name.
fn place(entry: &Entry, place: &mut Vec<u8>) {
    place.clear();
    let mut last = 0;
    for component in entry.path.components() {
        last = place.len();
        place.push(2);
        place.extend_from_slice(component);
        place.push(0);
    }
    match entry.kind {
        Kind::Opaque => place.extend_from_slice(&[0, 0]),
        Kind::Whiteout => place[last] = 1,
        _ => {}
    }
}

/// What one header says, and the records that stand above it.
#[derive(Default)]
struct Member {
    name: Vec<u8>,
    prefix: Vec<u8>,
    link: Vec<u8>,
    flag: u8,
    mode: u16,
    uid: u32,
    gid: u32,
    size: u64,
    seconds: i64,
    device: Device,
    records: Records,
}

impl Member {
    fn of(entry: &Entry) -> Result<Self, Error> {
        let mut member = Self::default();
        let path = whiteout::print_member(entry)?;
        match &entry.kind {
            Kind::File { size } => {
                (member.flag, member.size) = (b'0', *size);
                if *size >= LARGE {
                    member.records.add(b"size", size.to_string().into_bytes());
                }
            }
            Kind::Directory => member.flag = b'5',
            Kind::Symlink { target } => (member.flag, member.link) = (b'2', target.to_vec()),
            Kind::HardLink { target } => (member.flag, member.link) = (b'1', target.as_bytes().to_vec()),
            Kind::CharDevice(device) => (member.flag, member.device) = (b'3', *device),
            Kind::BlockDevice(device) => (member.flag, member.device) = (b'4', *device),
            Kind::Fifo => member.flag = b'6',
            // What a marker is like means nothing, so it is always the same.
            Kind::Whiteout | Kind::Opaque => member.flag = b'0',
        }
        member.check(entry)?;
        member.named(spelled(&path, entry.kind == Kind::Directory));
        member.linked();
        if !matches!(entry.kind, Kind::Whiteout | Kind::Opaque) {
            member.described(entry)?;
        }
        Ok(member)
    }

    fn check(&self, entry: &Entry) -> Result<(), Error> {
        let wrong = |what| Err(Error::Entry { path: entry.path.to_string(), what });
        if entry.path.is_root() && !matches!(entry.kind, Kind::Directory | Kind::Opaque) {
            return wrong("the root can only be a folder");
        }
        if matches!(self.flag, b'1' | b'2') && (self.link.is_empty() || self.link.contains(&0)) {
            return wrong("the link has no target, or a NUL byte in it");
        }
        if i64::try_from(self.size).is_err() {
            return wrong("no file is so large");
        }
        Ok(())
    }

    /// Up to 100 bytes lie in the name, up to 155 more before a slash in the prefix; else a record has them all.
    fn named(&mut self, name: Vec<u8>) {
        if name.len() <= 100 {
            self.name = name;
        } else if let Some(slash) = split(&name) {
            self.prefix = name[..slash].to_vec();
            self.name = name[slash + 1..].to_vec();
        } else {
            self.name = name[..100].to_vec();
            self.records.add(b"path", name);
        }
    }

    fn linked(&mut self) {
        if self.link.len() > 100 {
            let link = self.link[..100].to_vec();
            self.records.add(b"linkpath", std::mem::replace(&mut self.link, link));
        }
    }

    fn described(&mut self, entry: &Entry) -> Result<(), Error> {
        let Meta { mode, uid, gid, mtime, ref xattrs } = entry.meta;
        self.mode = mode & 0o7777;
        self.uid = self.id(b"uid", uid, entry)?;
        self.gid = self.id(b"gid", gid, entry)?;
        self.seconds = if fits(mtime) { mtime.seconds } else { 0 };
        if !fits(mtime) || mtime.nanoseconds != 0 {
            self.records.add(b"mtime", time(mtime));
        }
        for (name, value) in xattrs {
            if name.is_empty() || name.contains(&0) {
                let what = "an extended attribute has no name, or a NUL in it";
                return Err(Error::Entry { path: entry.path.to_string(), what });
            }
            self.records.add(&xattr_key(name), value.to_vec());
        }
        Ok(())
    }

    /// A number up to 2²¹−1 lies in the header; else a record has it.
    fn id(&mut self, key: &[u8], id: u32, entry: &Entry) -> Result<u32, Error> {
        if id == u32::MAX {
            let what = "the owner or group is 4294967295, which means nobody";
            return Err(Error::Entry { path: entry.path.to_string(), what });
        }
        if id < 1 << 21 {
            return Ok(id);
        }
        self.records.add(key, id.to_string().into_bytes());
        Ok(0)
    }

    fn header(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name);
        put(100, format!("{:07o}", self.mode).as_bytes());
        put(108, format!("{:07o}", self.uid).as_bytes());
        put(116, format!("{:07o}", self.gid).as_bytes());
        put(124, format!("{:011o}", if self.size < LARGE { self.size } else { 0 }).as_bytes());
        put(136, format!("{:011o}", self.seconds).as_bytes());
        put(148, b"        ");
        put(156, &[self.flag]);
        put(157, &self.link);
        put(257, b"ustar\x0000");
        put(329, &device_number(self.device.major));
        put(337, &device_number(self.device.minor));
        put(345, &self.prefix);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }
}

/// Extended records, sorted by the bytes of their keys.
#[derive(Default)]
struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

impl Records {
    fn add(&mut self, key: &[u8], value: Vec<u8>) {
        self.0.insert(key.to_vec(), value);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn print(&self) -> Vec<u8> {
        let mut content = Vec::new();
        for (key, value) in &self.0 {
            content.extend_from_slice(record_length(key.len() + value.len() + 3).to_string().as_bytes());
            for part in [b" ", key.as_slice(), b"=", value, b"\n"] {
                content.extend_from_slice(part);
            }
        }
        content
    }
}

/// The length of a record counts its own digits.
fn record_length(rest: usize) -> usize {
    let digits = |number: usize| number.to_string().len();
    let length = rest + digits(rest);
    rest + digits(length)
}

/// Folders end in a slash; the root is `./`.
fn spelled(path: &TreePath, is_folder: bool) -> Vec<u8> {
    let mut name = if path.is_root() { b".".to_vec() } else { path.as_bytes().to_vec() };
    if is_folder {
        name.push(b'/');
    }
    name
}

/// The last slash that leaves at most 155 bytes before it, and from 1 to 100 after it.
fn split(name: &[u8]) -> Option<usize> {
    let most = name.len().saturating_sub(1).min(156);
    let slash = name[..most].iter().rposition(|byte| *byte == b'/')?;
    (slash > 0 && name.len() - slash - 1 <= 100).then_some(slash)
}

/// Seven octal digits; no kernel has larger numbers, but where one is given it is in base 256.
fn device_number(number: u32) -> [u8; 8] {
    let mut field = [0; 8];
    if number < 1 << 21 {
        field[..7].copy_from_slice(format!("{number:07o}").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&number.to_be_bytes());
    }
    field
}

/// Whether the header's eleven octal digits can say the seconds.
fn fits(time: Time) -> bool {
    (0..1 << 33).contains(&time.seconds)
}

/// `[-]seconds[.fraction]`, without zeros at the end of the fraction.
fn time(time: Time) -> Vec<u8> {
    let nanoseconds = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds);
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let (seconds, fraction) = (nanoseconds.abs() / 1_000_000_000, nanoseconds.abs() % 1_000_000_000);
    let text = format!("{sign}{seconds}.{fraction:09}");
    text.trim_end_matches('0').trim_end_matches('.').as_bytes().to_vec()
}

/// GNU tar's spelling: `=` would end the key, so it and its escape are escaped.
fn xattr_key(name: &[u8]) -> Vec<u8> {
    let mut key = b"SCHILY.xattr.".to_vec();
    for byte in name {
        match byte {
            b'=' => key.extend_from_slice(b"%3D"),
            b'%' => key.extend_from_slice(b"%25"),
            byte => key.push(*byte),
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: Kind) -> Entry {
        let path = TreePath::parse(path.as_bytes()).expect("a plain path");
        Entry { path, meta: Meta { mode: 0o644, ..Meta::default() }, kind }
    }

    fn write(entries: &[Entry]) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::new(Vec::new());
        for entry in entries {
            writer.entry(entry)?;
        }
        writer.finish()
    }

    #[test]
    fn a_plain_entry_is_one_header_and_the_end_two_blocks() {
        let tar = write(&[entry("a", Kind::Fifo)]).expect("writable");
        assert_eq!(tar.len(), 3 * BLOCK);
        assert_eq!(&tar[..8], b"a\0\0\0\0\0\0\0");
        assert_eq!(&tar[100..108], b"0000644\0");
        assert_eq!(&tar[257..265], b"ustar\x0000");
        assert!(tar[265..329].iter().all(|byte| *byte == 0), "no names of users");
        assert!(tar[BLOCK..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn records_stand_only_where_ustar_cannot_say_it() {
        let plain = entry("a", Kind::Fifo);
        let with = |change: fn(&mut Entry)| {
            let mut entry = plain.clone();
            change(&mut entry);
            write(&[entry]).expect("writable").len() / BLOCK
        };
        assert_eq!(with(|entry| entry.meta.uid = (1 << 21) - 1), 3);
        assert_eq!(with(|entry| entry.meta.uid = 1 << 21), 5);
        assert_eq!(with(|entry| entry.meta.mtime = Time::from_seconds((1 << 33) - 1)), 3);
        assert_eq!(with(|entry| entry.meta.mtime = Time::from_seconds(1 << 33)), 5);
        assert_eq!(with(|entry| entry.meta.mtime = Time::from_seconds(-1)), 5);
        assert_eq!(with(|entry| entry.meta.mtime.nanoseconds = 1), 5);
        assert_eq!(with(|entry| entry.path = TreePath::parse(&[b'x'; 100]).expect("plain")), 3);
        assert_eq!(with(|entry| entry.path = TreePath::parse(&[b'x'; 101]).expect("plain")), 5);
        assert_eq!(with(|entry| entry.path = TreePath::parse(b"\xff\xe9").expect("plain")), 3);
    }

    #[test]
    fn records_count_their_own_digits() {
        for length in 1..2000 {
            let mut records = Records::default();
            records.add(b"key", vec![b'v'; length]);
            let content = records.print();
            let said = content.split(|byte| *byte == b' ').next().expect("a length");
            assert_eq!(said, content.len().to_string().as_bytes());
        }
    }

    #[test]
    fn item_41_and_51_entries_come_once_and_in_order() {
        let names = |list: &[(&str, Kind)]| {
            write(&list.iter().map(|(path, kind)| entry(path, kind.clone())).collect::<Vec<_>>())
        };
        let (dir, file) = (Kind::Directory, Kind::Fifo);
        let good = [
            ("", dir.clone()),
            ("", Kind::Opaque),
            ("z", Kind::Whiteout),
            ("a", dir.clone()),
            ("a/b", file.clone()),
            ("a-b", file.clone()),
            ("z", file.clone()),
        ];
        assert!(names(&good).is_ok());
        for at in 1..good.len() {
            let mut swapped = good.clone();
            swapped.swap(at - 1, at);
            assert!(names(&swapped).is_err(), "{at}");
            let mut doubled = good.to_vec();
            doubled.insert(at, good[at].clone());
            assert!(names(&doubled).is_err(), "{at}");
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_refused() {
        let file = entry("a", Kind::File { size: 3 });
        let mut writer = Writer::new(Vec::new());
        writer.entry(&file).expect("writable");
        writer.data(b"ab").expect("short of the size");
        assert!(writer.data(b"cd").is_err());
        let mut writer = Writer::new(Vec::new());
        writer.entry(&file).expect("writable");
        assert!(writer.finish().is_err());
    }

    #[test]
    fn t5_a_header_that_readers_refuse_is_not_written() {
        let mut file = entry("a", Kind::Fifo);
        file.meta.xattrs.insert(b"user.a"[..].into(), vec![0; 1 << 20].into());
        assert!(matches!(write(&[file]), Err(Error::Limit { limit: HEADER, .. })));
    }

    #[test]
    fn item_55_a_name_that_reads_as_a_whiteout_is_refused() {
        assert!(write(&[entry(".wh.a", Kind::Fifo)]).is_err());
        assert!(write(&[entry("d/.wh.a/b", Kind::Fifo)]).is_err());
    }
}
