//! A snapshot as bytes, and back: strictly, and with memory that is a small multiple of the bytes.

use super::{Content, Facts, Groups, Origin, Record, RecordId, Snapshot, Stamp, What, damaged, within};
use crate::error::Error;
use crate::owner::Owner;
use crate::{File, Result};
use orlop_layer::{Device, Time, Xattrs};
use orlop_spec::{Algorithm, Digest, Limits};

const MAGIC: &[u8; 17] = b"orlop snapshot 1\n";
/// Every version begins so.
const FAMILY: &[u8] = b"orlop snapshot ";
const PROOF: usize = 32;

const MODE: u32 = 1;
const UID: u32 = 1 << 1;
const GID: u32 = 1 << 2;
const MTIME: u32 = 1 << 3;
const MTIME_SECONDS: u32 = 1 << 4;
const SIZE: u32 = 1 << 5;
const LINKS: u32 = 1 << 6;
const CTIME: u32 = 1 << 7;
const INO: u32 = 1 << 8;
const XATTRS: u32 = 1 << 9;
const CONTENT: u32 = 1 << 10;
const ORIGIN: u32 = 1 << 11;
const DEVICE: u32 = 1 << 12;
const ALL: u32 = (1 << 13) - 1;

impl Snapshot {
    /// The bytes that are kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96 * self.records.len() + self.names.len());
        out.extend_from_slice(MAGIC);
        out.push(owner_word(self.owner));
        out.push(if self.groups == Groups::Known { b'k' } else { b'u' });
        time(&mut out, self.now.unwrap_or_default());
        bytes(&mut out, &self.about);
        number(&mut out, self.sets.len() as u64);
        for set in &self.sets {
            number(&mut out, set.len() as u64);
            for (name, value) in set {
                bytes(&mut out, name);
                bytes(&mut out, value);
            }
        }
        for record in &self.records {
            self.record_bytes(record, &mut out);
        }
        let proof = Digest::of(Algorithm::Sha256, &out);
        out.extend_from_slice(proof.bytes());
        out
    }

    fn record_bytes(&self, record: &Record, out: &mut Vec<u8>) {
        out.push(kind(&record.what));
        number(out, known(record).into());
        number(out, record.depth.into());
        bytes(out, &self.names[record.name.clone()]);
        let Facts { mode, uid, gid, mtime, size, links, ctime, ino } = record.facts;
        for fact in [mode.map(u64::from), uid.map(u64::from), gid.map(u64::from)].into_iter().flatten() {
            number(out, fact);
        }
        match mtime {
            Some(Stamp::Exact(mtime)) => time(out, mtime),
            Some(Stamp::Seconds(seconds)) => number(out, folded(seconds)),
            None => {}
        }
        for fact in [size, links].into_iter().flatten() {
            number(out, fact);
        }
        if let Some(ctime) = ctime {
            time(out, ctime);
        }
        for fact in [ino, record.xattrs.map(u64::from)].into_iter().flatten() {
            number(out, fact);
        }
        what_bytes(&record.what, out);
    }

    /// Reads a file, most of which is looked at only where it begins as a snapshot and is no larger than `most` bytes.
    pub fn read(file: &mut File, most: u64, limits: &Limits) -> Result<Self> {
        let mut begin = [0; MAGIC.len()];
        let length = file.read_at(&mut begin, 0)?;
        check_begin(&begin[..length])?;
        if file.size()? > most {
            return Err(Error::TooLarge { path: file.shown().clone(), limit: most });
        }
        Self::parse(&file.read_to_limit(most)?, limits)
    }

    /// Reads what was kept, and proves that it is whole.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        check_begin(bytes)?;
        let early = damaged("it ends early");
        let body = bytes.len().checked_sub(PROOF).and_then(|end| bytes.split_at_checked(end));
        let (body, proof) = body.ok_or(early)?;
        if Digest::of(Algorithm::Sha256, body).bytes() != proof {
            return Err(damaged("its digest is another"));
        }
        let mut input = Input(&body[MAGIC.len().min(body.len())..]);
        let owner = owner_of(input.byte()?)?;
        let groups = match input.byte()? {
            b'k' => Groups::Known,
            b'u' => Groups::Unknown,
            _ => return Err(damaged("it does not say whether hard links are known")),
        };
        let mut snapshot = Self::new(owner, groups);
        snapshot.now = Some(input.time()?).filter(|now| *now != Time::default());
        snapshot.about = input.bytes()?.to_vec();
        let sets = input.number()?;
        within(sets, limits.entries, "the number of attribute sets")?;
        for _ in 0..sets {
            let set = input.set(limits)?;
            snapshot.sets.push(set);
        }
        while !input.0.is_empty() {
            snapshot.take(&mut input, limits)?;
        }
        if snapshot.is_empty() { Err(damaged("it has no root")) } else { Ok(snapshot) }
    }

    fn take(&mut self, input: &mut Input<'_>, limits: &Limits) -> Result<RecordId> {
        let kind = input.byte()?;
        let known = input.word()?;
        if known & !ALL != 0 || known & (MTIME | MTIME_SECONDS) == MTIME | MTIME_SECONDS {
            return Err(damaged("a record knows what there is not"));
        }
        let depth = input.word()? as usize;
        let name = input.bytes()?;
        let facts = input.facts(known)?;
        let set = input.known(known, XATTRS, Input::word)?;
        if set.is_some_and(|set| set as usize >= self.sets.len()) {
            return Err(damaged("a record has attributes that are not there"));
        }
        let what = input.what(kind, known)?;
        if matches!(what, What::Link(_)) && known != 0 {
            return Err(damaged("a further name knows more than its first"));
        }
        self.add((depth, name), facts, set, what, limits)
    }
}

fn check_begin(bytes: &[u8]) -> Result<()> {
    match () {
        () if bytes.starts_with(MAGIC) => Ok(()),
        () if bytes.starts_with(FAMILY) => Err(damaged("it is of another version")),
        () => Err(damaged("it does not begin as one")),
    }
}

fn kind(what: &What) -> u8 {
    match what {
        What::File(_) => b'f',
        What::Directory => b'd',
        What::Symlink(_) => b'l',
        What::CharDevice(_) => b'c',
        What::BlockDevice(_) => b'b',
        What::Fifo => b'p',
        What::Link(_) => b'h',
    }
}

fn known(record: &Record) -> u32 {
    let Facts { mode, uid, gid, mtime, size, links, ctime, ino } = &record.facts;
    let (content, device) = match &record.what {
        What::File(content) => (*content, None),
        What::CharDevice(device) | What::BlockDevice(device) => (Content::default(), *device),
        _ => (Content::default(), None),
    };
    let facts = [
        (mode.is_some(), MODE),
        (uid.is_some(), UID),
        (gid.is_some(), GID),
        (matches!(mtime, Some(Stamp::Exact(_))), MTIME),
        (matches!(mtime, Some(Stamp::Seconds(_))), MTIME_SECONDS),
        (size.is_some(), SIZE),
        (links.is_some(), LINKS),
        (ctime.is_some(), CTIME),
        (ino.is_some(), INO),
        (record.xattrs.is_some(), XATTRS),
        (content.sha256.is_some(), CONTENT),
        (content.origin.is_some(), ORIGIN),
        (device.is_some(), DEVICE),
    ];
    facts.into_iter().filter(|(is_known, _)| *is_known).map(|(_, bit)| bit).sum()
}

fn what_bytes(what: &What, out: &mut Vec<u8>) {
    match what {
        What::File(Content { sha256, origin }) => {
            out.extend_from_slice(sha256.as_ref().map_or(&[], |sha256| &sha256[..]));
            if let Some(Origin { layer, ordinal }) = origin {
                number(out, (*layer).into());
                number(out, (*ordinal).into());
            }
        }
        What::CharDevice(Some(device)) | What::BlockDevice(Some(device)) => {
            number(out, device.major.into());
            number(out, device.minor.into());
        }
        What::Symlink(target) => bytes(out, target),
        What::Link(first) => number(out, first.0.into()),
        What::Directory | What::Fifo | What::CharDevice(None) | What::BlockDevice(None) => {}
    }
}

fn owner_word(owner: Owner) -> u8 {
    match owner {
        Owner::Exact => b'e',
        Owner::Map => b'm',
        Owner::Squash => b's',
        Owner::Record => b'r',
    }
}

fn owner_of(word: u8) -> Result<Owner> {
    Ok(match word {
        b'e' => Owner::Exact,
        b'm' => Owner::Map,
        b's' => Owner::Squash,
        b'r' => Owner::Record,
        _ => return Err(damaged("its owner policy is none")),
    })
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn time(out: &mut Vec<u8>, time: Time) {
    number(out, folded(time.seconds));
    number(out, time.nanoseconds.into());
}

/// 0, −1, 1, −2, … as 0, 1, 2, 3, …
fn folded(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

fn unfolded(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// What is left of the bytes.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || byte == 0 && shift > 0 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damaged("a number is not in its shortest form"))
    }

    fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T> {
        T::try_from(self.number()?).map_err(|_| damaged("a number is too large"))
    }

    fn word(&mut self) -> Result<u32> {
        self.narrow()
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.narrow()?;
        self.take(length)
    }

    fn time(&mut self) -> Result<Time> {
        let (seconds, nanoseconds) = (unfolded(self.number()?), self.word()?);
        if nanoseconds > 999_999_999 {
            return Err(damaged("a time has more than a second of nanoseconds"));
        }
        Ok(Time { seconds, nanoseconds })
    }

    fn known<T>(&mut self, known: u32, bit: u32, take: impl Fn(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if known & bit == 0 { Ok(None) } else { take(self).map(Some) }
    }

    fn facts(&mut self, known: u32) -> Result<Facts> {
        let mode = self.known(known, MODE, Self::narrow)?;
        if mode.is_some_and(|mode: u16| mode > 0o7777) {
            return Err(damaged("a mode has more than twelve bits"));
        }
        let (uid, gid) = (self.known(known, UID, Self::word)?, self.known(known, GID, Self::word)?);
        let exact = self.known(known, MTIME, Self::time)?.map(Stamp::Exact);
        let seconds = self.known(known, MTIME_SECONDS, Self::number)?;
        let mtime = exact.or(seconds.map(|seconds| Stamp::Seconds(unfolded(seconds))));
        let (size, links) = (self.known(known, SIZE, Self::number)?, self.known(known, LINKS, Self::number)?);
        let (ctime, ino) = (self.known(known, CTIME, Self::time)?, self.known(known, INO, Self::number)?);
        Ok(Facts { mode, uid, gid, mtime, size, links, ctime, ino })
    }

    fn set(&mut self, limits: &Limits) -> Result<Xattrs> {
        let count = self.number()?;
        if count > limits.xattrs as u64 {
            let (what, limit) = ("the number of attributes", limits.xattrs as u64);
            return Err(Error::SnapshotLimit { what, limit });
        }
        let mut set = Xattrs::new();
        for _ in 0..count {
            let (name, value) = (self.bytes()?, self.bytes()?);
            if set.last_key_value().is_some_and(|(last, _)| **last >= *name) {
                return Err(damaged("attributes are out of order"));
            }
            set.insert(name.into(), value.into());
        }
        Ok(set)
    }

    fn what(&mut self, kind: u8, known: u32) -> Result<What> {
        let allowed = match kind {
            b'f' => CONTENT | ORIGIN | SIZE,
            b'c' | b'b' => DEVICE,
            _ => 0,
        };
        if known & (CONTENT | ORIGIN | SIZE | DEVICE) & !allowed != 0 {
            return Err(damaged("a record knows what its kind has not"));
        }
        Ok(match kind {
            b'f' => What::File(Content {
                sha256: self.known(known, CONTENT, Self::digest)?,
                origin: self.known(known, ORIGIN, Self::origin)?,
            }),
            b'd' => What::Directory,
            b'l' => What::Symlink(self.bytes()?.into()),
            b'c' => What::CharDevice(self.known(known, DEVICE, Self::device)?),
            b'b' => What::BlockDevice(self.known(known, DEVICE, Self::device)?),
            b'p' => What::Fifo,
            b'h' => What::Link(RecordId(self.word()?)),
            _ => return Err(damaged("a record is of no known kind")),
        })
    }

    fn digest(&mut self) -> Result<[u8; 32]> {
        Ok(self.take(32)?.try_into().expect("so many were taken"))
    }

    fn origin(&mut self) -> Result<Origin> {
        Ok(Origin { layer: self.narrow()?, ordinal: self.word()? })
    }

    fn device(&mut self) -> Result<Device> {
        Ok(Device { major: self.word()?, minor: self.word()? })
    }
}
