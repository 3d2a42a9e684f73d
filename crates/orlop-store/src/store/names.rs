//! The names of a store: one file for each.
//!
//! ```text
//! names/docker.io%2Flibrary%2Fdebian%3A12     {"version":1, "name":…, "root":{…}, "origin":"docker://…"}
//!                                             sha256 …     of the line before, in hex
//! ```
//!
//! Invariant: nothing of a record is understood before its sha256 was proven. A name is absent, or old, or new and whole. Whoever changes one holds the folder alone, and compares what
//! is there with what it expects. The time of the file says when the image was last used.

use super::sealed::{proven, sealed};
use crate::error::Error;
use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, Persist};
use orlop_layer::Time;
use orlop_spec::document::DocumentError;
use orlop_spec::port::{self, Name, Result, Seen};
use orlop_spec::{Algorithm, AnyDigest, Descriptor, Digest, Fault, Limits, json};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io::Write as _;

/// What begins the record of an image without a name; no name that is typed begins so.
const UNTAGGED: &str = "@";
const VERSION: u32 = 1;
/// Names of files have at most 255 bytes.
const LONGEST: usize = 200;

/// What is known about a name.
#[derive(Clone, Debug)]
pub struct Record {
    /// The name.
    pub name: Name,
    /// What it stands for.
    pub root: Descriptor,
    /// Where the image came from: a reference that it can be fetched from again.
    pub origin: Option<Box<str>>,
    /// When it was last used.
    pub used: Time,
}

/// The file of a name, as it stands on the disk.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    version: u32,
    name: std::borrow::Cow<'a, str>,
    root: std::borrow::Cow<'a, Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Box<str>>,
}

/// What a name must stand for so that it is changed.
#[derive(Clone, Copy, Debug)]
pub enum Expected<'a> {
    /// Anything, or nothing.
    Anything,
    /// Nothing.
    Absent,
    /// This.
    Root(&'a AnyDigest),
    /// What this record says, and nobody has written or used it since.
    Unchanged(&'a Record),
}

/// The folder of names.
#[derive(Debug)]
pub struct Names {
    folder: Dir,
    limits: Limits,
}

impl Names {
    pub(super) fn new(folder: Dir, limits: Limits) -> Self {
        Self { folder, limits }
    }

    /// All names that can be read, sorted; and why the others cannot.
    pub fn all(&self) -> Result<(Vec<Record>, Vec<Fault>)> {
        let (records, faults) = self.each()?;
        Ok((records, faults.into_iter().map(|(_, fault)| fault).collect()))
    }

    /// As [`Names::all`]; of those that cannot be read, the file as well.
    #[expect(clippy::type_complexity, reason = "two lists, each of which has a name where it is bound")]
    pub(super) fn each(&self) -> Result<(Vec<Record>, Vec<(Box<[u8]>, Fault)>)> {
        let (mut records, mut faults) = (Vec::new(), Vec::new());
        for file in self.folder.list()?.into_iter().filter(|name| !orlop_fs::temp::is_temp_name(name)) {
            match self.read(&file) {
                Ok(record) => records.extend(record),
                Err(fault) => faults.push((file, fault)),
            }
        }
        records.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((records, faults))
    }

    /// What all names stand for; an error where one cannot be read. No name is overlooked that is there all the time: on
    /// some file systems one that is replaced while a folder is listed is not listed.
    pub(super) fn roots(&self) -> Result<Vec<Descriptor>> {
        let nobody_replaces = self.folder.lock(Share::Shared, Wait::Yes)?;
        let files = self.folder.list()?;
        drop(nobody_replaces);
        let mut roots = Vec::new();
        for file in files.iter().filter(|name| !orlop_fs::temp::is_temp_name(name)) {
            roots.extend(self.read(file)?.map(|record| record.root));
        }
        Ok(roots)
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Result<Option<Record>> {
        self.read(file_of(name).as_bytes())
    }

    /// The record by which an image without a name is kept.
    pub fn nameless(&self, digest: &AnyDigest) -> Result<Option<Record>> {
        self.get(&format!("{UNTAGGED}{digest}"))
    }

    /// Says that the image is used now.
    pub fn touch(&self, name: &Name) -> Result<()> {
        let Some(name) = name.tag() else { return Ok(()) };
        match self.folder.touch(file_of(name)) {
            // A store that can only be read does not know.
            Err(error) if !error.is_not_found() && !error.is_denied() && !error.is_read_only() => {
                Err(error.into())
            }
            _ => Ok(()),
        }
    }

    /// Lets a name stand for `root`, if it stands for what is expected.
    ///
    /// # Errors
    /// [`Error::Moved`] where it stands for something else by now.
    pub fn set(
        &self,
        name: &Name,
        root: &Descriptor,
        origin: Option<&str>,
        expected: Expected<'_>,
    ) -> Result<()> {
        let name = spelled(name, root);
        let file = file_of(&name);
        let _alone = self.folder.lock(Share::Exclusive, Wait::Yes)?;
        self.expect(&file, &name, expected)?;
        self.replace(file.as_bytes(), &written(&name, root, origin))
    }

    /// Lets names stand for roots, if all that was seen is still so; `origin` says where each came from. Nobody sees some
    /// of them only by what was seen.
    pub(super) fn publish(
        &self,
        roots: &[(Name, Descriptor)],
        seen: &[Seen],
        origin: &dyn Fn(&Descriptor) -> Option<String>,
    ) -> Result<()> {
        let records: Vec<_> = roots
            .iter()
            .map(|(name, root)| {
                let name = spelled(name, root);
                (file_of(&name), written(&name, root, origin(root).as_deref()))
            })
            .collect();
        let _alone = self.folder.lock(Share::Exclusive, Wait::Yes)?;
        port::check(seen, &self.standing(seen)?)?;
        records.iter().try_for_each(|(file, bytes)| self.replace(file.as_bytes(), bytes))
    }

    /// What the names that were seen stand for now.
    fn standing(&self, seen: &[Seen]) -> Result<Vec<(Name, Descriptor)>> {
        let mut now = Vec::new();
        for it in seen {
            match &it.name {
                Name::Tag(tag) => now.extend(self.get(tag)?),
                Name::Untagged => {
                    for root in &it.roots {
                        now.extend(self.nameless(root)?);
                    }
                }
            }
        }
        Ok(now.into_iter().map(|record| (record.name, record.root)).collect())
    }

    fn replace(&self, file: &[u8], bytes: &[u8]) -> Result<()> {
        let mut temp = self.folder.create_temp()?;
        temp.write_all(bytes).map_err(|error| Fault::io("write the name", error))?;
        temp.file().sync_data()?;
        temp.persist(file, Persist::Replace)?;
        Ok(self.folder.sync()?)
    }

    /// Puts a record that cannot be read in order: `mend` makes of its bytes, as far as they can be read, what should be
    /// there. One that somebody else has written meanwhile stays. Whether it can be read now.
    pub(super) fn mend(&self, file: &str, mend: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Result<bool> {
        let _alone = self.folder.lock(Share::Exclusive, Wait::Yes)?;
        // One that is gone was taken away by somebody: it is not made again.
        if let Ok(found) = self.read(file.as_bytes()) {
            return Ok(found.is_some());
        }
        let read = self.folder.open_file(file).and_then(|mut it| it.read_to_limit(self.limits.document));
        let Some(bytes) = mend(&read.unwrap_or_default()) else { return Ok(false) };
        self.replace(file.as_bytes(), &bytes)?;
        Ok(self.read(file.as_bytes())?.is_some())
    }

    /// Takes a name away, if it stands for what the record says.
    pub fn remove(&self, record: &Record) -> Result<()> {
        self.take_away(record, Expected::Root(&record.root.digest))
    }

    /// Takes a record away, if it is the very one: another that says the same is somebody else's.
    pub fn remove_own(&self, record: &Record) -> Result<()> {
        self.take_away(record, Expected::Unchanged(record))
    }

    fn take_away(&self, record: &Record, expected: Expected<'_>) -> Result<()> {
        let name = spelled(&record.name, &record.root);
        let file = file_of(&name);
        let _alone = self.folder.lock(Share::Exclusive, Wait::Yes)?;
        self.expect(&file, &name, expected)?;
        self.folder.remove_file(&file)?;
        Ok(self.folder.sync()?)
    }

    fn expect(&self, file: &str, name: &str, expected: Expected<'_>) -> Result<()> {
        let is_so = match expected {
            Expected::Anything => true,
            Expected::Absent => self.folder.try_stat(file)?.is_none(),
            Expected::Root(digest) => {
                self.read(file.as_bytes())?.is_some_and(|record| record.root.digest == *digest)
            }
            Expected::Unchanged(own) => self
                .read(file.as_bytes())?
                .is_some_and(|record| record.root.digest == own.root.digest && record.used == own.used),
        };
        if is_so { Ok(()) } else { Err(Error::Moved { name: name.into() }.into()) }
    }

    fn read(&self, file: &[u8]) -> Result<Option<Record>> {
        let mut opened = match self.folder.open_file(file) {
            Err(error) if error.is_not_found() => return Ok(None),
            opened => opened?,
        };
        let used = opened.stat()?.mtime;
        let bytes = opened.read_to_limit(self.limits.document)?;
        let path = || self.folder.path().join(String::from_utf8_lossy(file).as_ref());
        let line = proven(&bytes).ok_or_else(|| Error::NameDamaged { file: path() })?;
        let damaged = |source: DocumentError| Error::Damaged { file: path(), source };
        let written: Written<'_> = json::parse(line).map_err(|error| damaged(error.into()))?;
        if written.version != VERSION {
            let found = format!("version {}", written.version);
            return Err(
                Error::UnknownVersion { file: path(), found, understood: "version 1 of a name" }.into()
            );
        }
        if file_of(&written.name).as_bytes() != file {
            return Err(Error::NameDamaged { file: path() }.into());
        }
        let name = match written.name.strip_prefix(UNTAGGED) {
            Some(_) => Name::Untagged,
            None => Name::Tag(written.name.into()),
        };
        Ok(Some(Record { name, root: written.root.into_owned(), origin: written.origin, used }))
    }
}

/// A record without a tag stands for the digest that it is called by, and nothing else.
pub(super) fn untagged(file: &str) -> Option<AnyDigest> {
    name_in(file)?.strip_prefix(UNTAGGED)?.parse().ok()
}

/// What is written of a name.
pub(super) fn written(name: &str, root: &Descriptor, origin: Option<&str>) -> Vec<u8> {
    sealed(json::print(&Written {
        version: VERSION,
        name: name.into(),
        root: std::borrow::Cow::Borrowed(root),
        origin: origin.map(Into::into),
    }))
}

/// The name in the record. An image without one goes by its digest, so that it is kept.
fn spelled(name: &Name, root: &Descriptor) -> String {
    match name {
        Name::Tag(tag) => tag.to_string(),
        Name::Untagged => format!("{UNTAGGED}{}", root.digest),
    }
}

/// The file of a name: letters, digits, `.`, `_` and `-` are themselves, all else is `%` and two digits. A long one is
/// cut, and its digest added.
fn file_of(name: &str) -> String {
    let mut file = String::new();
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => file.push(byte.into()),
            b'.' if at > 0 => file.push('.'),
            _ => {
                let _written = write!(file, "%{byte:02X}");
            }
        }
    }
    if file.len() > LONGEST {
        file.truncate(LONGEST - 80);
        file += "%%";
        file += &Digest::of(Algorithm::Sha256, name.as_bytes()).hex();
    }
    file
}

/// The name of a file, where it was not cut.
pub(super) fn name_in(file: &str) -> Option<String> {
    let mut name = Vec::new();
    let mut rest = file.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            name.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            name.push(byte);
        }
    }
    String::from_utf8(name).ok().filter(|name| file_of(name) == file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Descriptor {
        let media_type = orlop_spec::MediaType::new(orlop_spec::media_type::OCI_MANIFEST);
        Descriptor::new(media_type, Digest::of(Algorithm::Sha256, b"x"), 1)
    }

    #[test]
    fn every_name_has_a_file_of_its_own() {
        let long = "x/".repeat(200);
        let names =
            ["a", "A", "a:1", "a/1", ".a", "..", ".", "%2F", "/", "a b", "é", &long, &format!("{long}y")];
        let files: std::collections::BTreeSet<_> = names.iter().map(|name| file_of(name)).collect();
        assert_eq!(files.len(), names.len());
        assert!(
            files.iter().all(|file| file.len() <= LONGEST && !file.starts_with('.') && !file.contains('/'))
        );
        assert_eq!(file_of("docker.io/library/debian:12"), "docker.io%2Flibrary%2Fdebian%3A12");
        for name in names.iter().filter(|name| name.len() < LONGEST) {
            assert_eq!(name_in(&file_of(name)).as_deref(), Some(*name));
        }
        assert_eq!(["%", "%4", "%zz", "%61", &file_of(&long)].map(name_in), [const { None }; 5]);
    }

    #[test]
    fn a_record_that_somebody_took_away_is_not_put_in_order() {
        let scratch = testkit::scratch();
        let names = Names::new(Dir::open(scratch.folder("names")).expect("a folder"), Limits::default());
        assert!(!names.mend("a", &|_| panic!("there is nothing to mend")).expect("looked at"));
        assert!(!scratch.path("names/a").exists());
    }

    #[test]
    fn who_takes_its_own_record_away_leaves_the_one_that_somebody_wrote_since() {
        let scratch = testkit::scratch();
        let names = Names::new(Dir::open(scratch.folder("names")).expect("a folder"), Limits::default());
        let root = root();
        let write = || {
            names.set(&Name::Untagged, &root, None, Expected::Anything).expect("written");
            // Clocks of file systems are coarse.
            std::thread::sleep(std::time::Duration::from_millis(12));
            names.nameless(&root.digest).expect("read").expect("there")
        };
        let (own, others) = (write(), write());
        let fault = names.remove_own(&own).expect_err("it is another's");
        assert!(matches!(fault.downcast_ref(), Some(Error::Moved { .. })), "{fault}");
        names.remove_own(&others).expect("nobody wrote it since");
        assert!(names.nameless(&root.digest).expect("read").is_none());
    }

    #[test]
    fn a_record_with_any_bit_flipped_or_under_another_name_is_damaged() {
        let scratch = testkit::scratch();
        let names = Names::new(Dir::open(scratch.folder("names")).expect("a folder"), Limits::default());
        let root = root();
        let name = Name::Tag("a:1".into());
        names.set(&name, &root, Some("docker://h/a:1"), Expected::Absent).expect("set");
        let path = scratch.path("names/a%3A1");
        let whole = std::fs::read(&path).expect("there");
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).expect("written");
            assert!(names.get("a:1").is_err(), "bit {bit}");
            assert_eq!(names.all().map(|(good, bad)| (good.len(), bad.len())).expect("read"), (0, 1));
        }
        std::fs::write(&path, &whole).expect("written");
        assert_eq!(names.get("a:1").expect("read").expect("there").root, root);
        std::fs::rename(&path, scratch.path("names/b%3A1")).expect("moved");
        assert!(names.get("b:1").is_err());
    }
}
