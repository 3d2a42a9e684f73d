//! The records of extended headers (POSIX.1-2001 pax, with the keywords of GNU tar, star and libarchive).
//!
//! Invariant: a record that is known is right, or the archive is refused; none is passed over in silence
//! because it is malformed.
//!
//! ```text
//! 27 SCHILY.xattr.user.a=value\n
//! │  │                   └ any bytes; the length alone says where they end
//! │  └ keyword, up to the first `=`
//! └ decimal length of the whole record, itself and the newline included
//! ```

use super::sparse::{Run, Runs};
use super::spelling::{base64, decimal, time, unescape_schily, unescape_url};
use super::{acl, capability, header};
use crate::entry::{Time, Xattrs};
use crate::error::Error;
use orlop_spec::Limits;

/// Which members a header is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All that follow (`g`).
    Archive,
    /// The next one (`x`).
    Member,
}

/// What the records of a member say, and stands above its header.
#[derive(Debug, Default, Clone)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Time>,
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
    pub(super) sparse: SparseRecords,
    schily: Xattrs,
    libarchive: Xattrs,
    acls: Xattrs,
}

/// The `GNU.sparse.*` records.
#[derive(Debug, Default, Clone)]
pub(super) struct SparseRecords {
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) runs: Option<Runs>,
    major: Option<u64>,
    minor: Option<u64>,
    offset: Option<u64>,
}

/// Where a sparse file's runs are.
#[derive(Debug)]
pub(super) enum SparseForm {
    Records(Runs),
    InContent,
}

impl Pax {
    /// Takes the records of one extended header, whose content begins at `offset`.
    pub(super) fn take(
        &mut self,
        records: &[u8],
        scope: Scope,
        offset: u64,
        limits: &Limits,
    ) -> Result<(), Error> {
        let mut rest = records;
        while !rest.is_empty() {
            let at = offset + (records.len() - rest.len()) as u64;
            let damaged = |what| Error::Tar { offset: at, what };
            let (key, value, after) =
                record(rest).ok_or_else(|| damaged("an extended header has a malformed record"))?;
            if scope == Scope::Archive && names_or_sizes(key) {
                return Err(damaged(
                    "a global header renames or resizes members, which readers disagree about",
                ));
            }
            self.apply(key, value, limits).map_err(|wrong| wrong.at(at))?;
            rest = after;
        }
        Ok(())
    }

    /// The extended attributes. Where the same one is spelled in several ways, the plain bytes win over
    /// base64, and both over an ACL's text.
    pub(super) fn xattrs(&mut self) -> Xattrs {
        let mut xattrs = std::mem::take(&mut self.acls);
        xattrs.append(&mut self.libarchive);
        xattrs.append(&mut self.schily);
        xattrs
    }

    /// Bytes that every entry would hold again if this were a global header's.
    pub(super) fn weight(&self) -> u64 {
        let all = self.schily.iter().chain(&self.libarchive).chain(&self.acls);
        all.map(|(name, value)| (name.len() + value.len()) as u64).sum()
    }

    fn apply(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<(), Wrong> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return add(&mut self.schily, &unescape_schily(name), value, limits);
        }
        if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
            let value = base64(value).ok_or(Wrong::Value("an extended attribute is no base64"))?;
            return add(&mut self.libarchive, &unescape_url(name), &value, limits);
        }
        match key {
            b"path" => self.path = text(value)?,
            b"linkpath" => self.link_path = text(value)?,
            b"size" => self.size = number(value, "the size is out of range")?,
            b"uid" => self.uid = id(value, "the owner's number is out of range")?,
            b"gid" => self.gid = id(value, "the group's number is out of range")?,
            b"mtime" => self.mtime = optional(value, time, "the time is malformed or out of range")?,
            b"SCHILY.devmajor" => self.major = id(value, "the device's numbers are out of range")?,
            b"SCHILY.devminor" => self.minor = id(value, "the device's numbers are out of range")?,
            b"SCHILY.acl.access" => self.acl("system.posix_acl_access", value, acl::Scope::Access)?,
            b"SCHILY.acl.default" => self.acl("system.posix_acl_default", value, acl::Scope::Default)?,
            b"RHT.security.selinux" if !value.is_empty() => {
                self.acls.insert(b"security.selinux"[..].into(), [value, b"\0"].concat().into());
            }
            _ => {
                if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.apply(key, value, limits)?;
                }
            }
        }
        Ok(())
    }

    fn acl(&mut self, name: &str, value: &[u8], scope: acl::Scope) -> Result<(), Wrong> {
        let acl = acl::from_text(value, scope).map_err(Wrong::Value)?;
        if let Some(acl) = acl {
            self.acls.insert(name.as_bytes().into(), acl.into());
        }
        Ok(())
    }
}

impl SparseRecords {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self { name: None, size: None, runs: None, major: None, minor: None, offset: None })
    }

    /// Whether and how the member is sparse.
    pub(super) fn form(&mut self, offset: u64) -> Result<Option<SparseForm>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        match (self.major.unwrap_or(0), self.minor.unwrap_or(0), self.runs.take()) {
            (0, 0 | 1, Some(runs)) if self.offset.is_none() => Ok(Some(SparseForm::Records(runs))),
            (1, 0, None) if self.offset.is_none() => Ok(Some(SparseForm::InContent)),
            _ => Err(Error::Tar { offset, what: "the records of a sparse file contradict each other" }),
        }
    }

    fn apply(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<(), Wrong> {
        const WHAT: &str = "a record of a sparse file is malformed";
        match key {
            b"name" => self.name = text(value)?,
            b"size" | b"realsize" => self.size = number(value, WHAT)?,
            b"major" => self.major = number(value, WHAT)?,
            b"minor" => self.minor = number(value, WHAT)?,
            b"offset" => {
                if self.offset.is_some() {
                    return Err(Wrong::Value(WHAT));
                }
                self.offset = number(value, WHAT)?;
            }
            b"numbytes" => {
                let (Some(offset), Some(length)) = (self.offset.take(), number(value, WHAT)?) else {
                    return Err(Wrong::Value(WHAT));
                };
                let runs = self.runs.get_or_insert_default();
                runs.push(Run { offset, length }, limits.sparse_runs, 0).map_err(Wrong::Other)?;
            }
            b"map" => self.runs = Some(map(value, limits)?),
            b"numblocks" => {
                number(value, WHAT)?;
                self.runs.get_or_insert_default();
            }
            _ => {}
        }
        Ok(())
    }
}

/// Why a record is refused; the place is added by [`Pax::take`].
enum Wrong {
    Value(&'static str),
    Other(Error),
}

impl Wrong {
    fn at(self, offset: u64) -> Error {
        match self {
            Self::Value(what) | Self::Other(Error::Tar { what, .. }) => Error::Tar { offset, what },
            Self::Other(error) => error,
        }
    }
}

/// Splits the first record off: keyword, value, what follows.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space])?).ok()?;
    let body = bytes.get(space + 1..length)?;
    let (b'\n', body) = body.split_last()? else { return None };
    let equals = body.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    if body[..equals].contains(&0) {
        return None;
    }
    Some((&body[..equals], &body[equals + 1..], &bytes[length..]))
}

fn names_or_sizes(key: &[u8]) -> bool {
    matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.")
}

/// An empty value takes back what a global header said (POSIX, pax, "Extended Header").
fn optional<T>(
    value: &[u8],
    parse: impl Fn(&[u8]) -> Option<T>,
    what: &'static str,
) -> Result<Option<T>, Wrong> {
    if value.is_empty() {
        return Ok(None);
    }
    parse(value).map(Some).ok_or(Wrong::Value(what))
}

fn text(value: &[u8]) -> Result<Option<Vec<u8>>, Wrong> {
    let plain = |value: &[u8]| (!value.contains(&0)).then(|| value.to_vec());
    optional(value, plain, "a name in an extended header holds a NUL byte")
}

fn number(value: &[u8], what: &'static str) -> Result<Option<u64>, Wrong> {
    optional(value, decimal, what)
}

fn id(value: &[u8], what: &'static str) -> Result<Option<u32>, Wrong> {
    optional(value, |value| header::id(decimal(value)?.into()), what)
}

/// pax 0.1: `offset,length,…`
fn map(value: &[u8], limits: &Limits) -> Result<Runs, Wrong> {
    const WHAT: &str = "the map of a sparse file is malformed";
    let mut runs = Runs::default();
    if value.is_empty() {
        return Ok(runs);
    }
    let mut numbers = value.split(|byte| *byte == b',').map(decimal);
    while let Some(offset) = numbers.next() {
        let (Some(offset), Some(Some(length))) = (offset, numbers.next()) else {
            return Err(Wrong::Value(WHAT));
        };
        runs.push(Run { offset, length }, limits.sparse_runs, 0).map_err(Wrong::Other)?;
    }
    Ok(runs)
}

fn add(to: &mut Xattrs, name: &[u8], value: &[u8], limits: &Limits) -> Result<(), Wrong> {
    if name.is_empty() || name.contains(&0) {
        return Err(Wrong::Value("an extended attribute has no name, or a NUL in it"));
    }
    if to.len() >= limits.xattrs && !to.contains_key(name) {
        let limit = limits.xattrs as u64;
        return Err(Wrong::Other(Error::Limit { what: "the number of extended attributes", limit }));
    }
    if name == b"security.capability" && !capability::is_well_formed(value) {
        return Err(Wrong::Value("a file capability is malformed"));
    }
    to.insert(name.into(), value.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(records: &[u8]) -> Result<Pax, Error> {
        let mut pax = Pax::default();
        pax.take(records, Scope::Member, 512, &Limits::default()).map(|()| pax)
    }

    /// A record of the right length; up to 99 bytes.
    fn record(text: &[u8]) -> Vec<u8> {
        let length = text.len() + 3;
        let length = if length > 9 { length + 1 } else { length };
        [length.to_string().as_bytes(), b" ", text, b"\n"].concat()
    }

    #[test]
    fn records_are_as_long_as_they_say() {
        assert!(take(b"9 path=a\n13 mtime=-1.5\n").is_err(), "the second record is 14 bytes long");
        let pax = take(b"9 path=a\n14 mtime=-1.5\n").expect("well formed");
        assert_eq!(pax.path.as_deref(), Some(&b"a"[..]));
        assert_eq!(pax.mtime, Some(Time { seconds: -2, nanoseconds: 500_000_000 }));
    }

    #[test]
    fn t3_malformed_records_are_refused_with_their_offset() {
        for bad in [
            &b"path=a\n"[..],
            b"9 path=a",
            b"9 path=ab",
            b"8 path=a\n",
            b"11 path=a\n",
            b"0 path=a\n",
            b"9path=a\n\n",
            b"-9 path=a\n",
            b"99999999999999999999 path=a\n",
            b"5 a\n\n",
            b"6 =ab\n",
            b"9 path=a\n\0\0\0",
            b"+9 path=a\n",
            b" 9 path=a\n",
        ] {
            let error = take(bad).expect_err("malformed");
            assert!(matches!(error, Error::Tar { offset: 512.., .. }), "{bad:?}: {error}");
        }
        assert!(matches!(take(b"9 path=a\nx"), Err(Error::Tar { offset: 521, .. })));
    }

    #[test]
    fn t6_numbers_and_names_that_cannot_be_are_refused() {
        for bad in [
            "size=9223372036854775808",
            "size=-1",
            "size=0x1",
            "uid=4294967295",
            "gid=4294967296",
            "uid=-1",
            "uid= 0",
            "path=a\0",
            "linkpath=\0",
            "mtime=.",
            "mtime=9223372036854775808",
            "mtime=1e9",
            "mtime=--1",
        ] {
            let error = take(&record(bad.as_bytes())).expect_err(bad).to_string();
            assert!(!error.contains("malformed record"), "{bad}: {error}");
        }
    }

    #[test]
    fn attribute_names_are_unescaped_as_their_writers_escape_them() {
        let mut pax = take(&record(b"SCHILY.xattr.user.a%3Db%41=v")).expect("well formed");
        assert_eq!(pax.xattrs().into_keys().collect::<Vec<_>>(), [Box::from(&b"user.a=b%41"[..])]);
        let mut pax = take(&record(b"LIBARCHIVE.xattr.user.%41b=AAEC")).expect("well formed");
        assert_eq!(pax.xattrs().into_iter().next(), Some((b"user.Ab"[..].into(), [0, 1, 2].into())));
    }

    #[test]
    fn an_empty_attribute_is_an_attribute() {
        let mut pax = take(&record(b"SCHILY.xattr.user.empty=")).expect("well formed");
        assert_eq!(pax.xattrs().len(), 1);
    }

    #[test]
    fn p12_a_malformed_capability_is_refused() {
        let error = take(&record(b"SCHILY.xattr.security.capability=\x01\0\0\x02short"));
        assert!(matches!(error, Err(Error::Tar { offset: 512, what: "a file capability is malformed" })));
    }

    #[test]
    fn t1_a_global_header_cannot_rename_or_resize() {
        let take = |text: &[u8]| Pax::default().take(&record(text), Scope::Archive, 0, &Limits::default());
        for bad in ["size=12345", "path=a", "linkpath=a", "GNU.sparse.name=a"] {
            assert!(
                matches!(take(bad.as_bytes()), Err(Error::Tar { what, .. }) if what.contains("global")),
                "{bad}"
            );
        }
        assert!(take(b"comment=a").is_ok());
    }
}
