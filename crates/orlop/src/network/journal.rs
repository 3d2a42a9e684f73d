//! What earlier runs left for later ones (`docs/formats/state.md`).
//!
//! ```text
//! $XDG_STATE_HOME/orlop/journal/      0700
//! ├── upload-HEX      JSON, and a line with a number; HEX is the sha256 of site, repository and blob
//! └── holders-HEX     lines `DIGEST REPOSITORY`, the newest last; HEX is the sha256 of the site
//! ```
//!
//! Invariant: everything here is a hint. What is damaged, cannot be read or cannot be written is as if it were not
//! there, and no error comes of it; no file grows without bound.

use super::private;
use orlop_fs::{Dir, File};
use orlop_spec::network::{Journal, Upload, UploadKey};
use orlop_spec::reference::Repository;
use orlop_spec::wire::{Address, Site};
use orlop_spec::{Algorithm, AnyDigest, Digest, json};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The journal in a folder.
pub(super) struct Folder {
    path: Option<PathBuf>,
    user: u32,
    holders: Mutex<HashMap<Site, Holders>>,
    /// Uploads whose files this run wrote.
    written: Mutex<HashMap<UploadKey, Written>>,
}

/// A file of an upload, open.
struct Written {
    upload: Upload,
    file: File,
    /// Where its line with a number begins.
    line: u64,
}

/// Who holds what on one site.
#[derive(Default)]
struct Holders {
    /// The newest last.
    known: Vec<(AnyDigest, Box<str>)>,
    /// How many of them no file has yet.
    new: usize,
}

/// Uploads that are remembered.
const MOST_UPLOADS: usize = 256;
/// Lines that a file of holders has at most: 512 KiB with names of usual length.
const MOST_HOLDERS: usize = 4096;
/// Repositories that are named for one blob.
const MOST_NAMED: usize = 4;
/// As many new lines are written at once; the last ones when the run ends.
const WRITTEN_AT_ONCE: usize = 256;
const LARGEST: u64 = 2 << 20;

impl Folder {
    pub(super) fn new(path: Option<PathBuf>, user: u32) -> Self {
        Self { path, user, holders: Mutex::default(), written: Mutex::default() }
    }

    fn open(&self) -> Option<Dir> {
        private::open(self.path.as_deref()?, self.user)
    }

    fn open_or_make(&self) -> Option<Dir> {
        private::open_or_make(self.path.as_deref()?, self.user)
    }

    /// Writes a whole file: where an upload stands, and how much was sent.
    fn write_upload(&self, key: &UploadKey, upload: &Upload) -> Option<Written> {
        let folder = self.open_or_make()?;
        let document = json!({
            "version": 1,
            "key": describe(key),
            "location": upload.location.to_string(),
            "acknowledged": upload.acknowledged,
        });
        if !matches!(folder.try_stat(upload_name(key).as_bytes()), Ok(Some(_))) {
            forget_oldest(&folder);
        }
        let document = json::print(&document);
        let bytes = [&document, &b"\n"[..], number(upload.sent).as_bytes()].concat();
        let file = private::write(&folder, &upload_name(key), &bytes).ok()?;
        Some(Written { upload: upload.clone(), file, line: document.len() as u64 + 1 })
    }

    fn written(&self) -> MutexGuard<'_, HashMap<UploadKey, Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holders_of<'g>(
        &self,
        guard: &'g mut MutexGuard<'_, HashMap<Site, Holders>>,
        site: &Site,
    ) -> &'g mut Holders {
        guard.entry(site.clone()).or_insert_with(|| Holders { known: self.read_holders(site), new: 0 })
    }

    fn read_holders(&self, site: &Site) -> Vec<(AnyDigest, Box<str>)> {
        let bytes =
            self.open().and_then(|folder| private::read(&folder, &holders_name(site), self.user, LARGEST));
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() != Some(&holders_header(site)) {
            return Vec::new();
        }
        lines.filter_map(|line| parse_holder(site, line)).collect()
    }

    /// Adds what is new to what other runs have written meanwhile.
    fn write_holders(&self, site: &Site, holders: &mut Holders) {
        if holders.new == 0 {
            return;
        }
        let Some(folder) = self.open_or_make() else { return };
        let Some(_lock) = private::lock(&folder) else { return };
        let new = holders.known.split_off(holders.known.len() - holders.new);
        let mut lines = self.read_holders(site);
        lines.extend(new);
        holders.known = newest(lines);
        holders.new = 0;
        let mut text = format!("{}\n", holders_header(site));
        for (blob, repository) in &holders.known {
            let _infallible = writeln!(text, "{blob} {repository}");
        }
        private::write(&folder, &holders_name(site), text.as_bytes()).ok();
    }
}

impl Journal for Folder {
    fn upload(&self, key: &UploadKey) -> Option<Upload> {
        let bytes = private::read(&self.open()?, &upload_name(key), self.user, LARGEST)?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let document = json::value(&bytes[..end]).ok()?;
        if document.get("version") != Some(&json!(1)) || document.get("key") != Some(&describe(key)) {
            return None;
        }
        Some(Upload {
            location: Address::parse(document.get("location")?.as_str()?).ok()?,
            acknowledged: document.get("acknowledged")?.as_u64()?,
            sent: std::str::from_utf8(&bytes[end..]).ok()?.trim().parse().ok()?,
        })
    }

    fn note_upload(&self, key: &UploadKey, upload: Option<&Upload>) {
        let known = self.written().remove(key);
        let Some(upload) = upload else {
            if let Some(folder) = self.open() {
                folder.remove_file(upload_name(key)).ok();
            }
            return;
        };
        let stands = |known: &Written| Upload { sent: upload.sent, ..known.upload.clone() } == *upload;
        let written = match known.filter(stands) {
            // To replace a file costs a thousand times as much.
            Some(known) => {
                known.file.write_at(number(upload.sent).as_bytes(), known.line).ok();
                Some(known)
            }
            None => self.write_upload(key, upload),
        };
        if let Some(written) = written {
            self.written().insert(key.clone(), written);
        }
    }

    fn holders(&self, site: &Site, blob: &AnyDigest) -> Vec<Box<str>> {
        let mut guard = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &self.holders_of(&mut guard, site).known;
        let mut seen = HashSet::new();
        let of_blob = known.iter().rev().filter(|(it, _)| it == blob).map(|(_, repository)| repository);
        of_blob.filter(|it| seen.insert(*it)).take(MOST_NAMED).cloned().collect()
    }

    fn note_holder(&self, site: &Site, blob: &AnyDigest, repository: &str) {
        let mut guard = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let holders = self.holders_of(&mut guard, site);
        let line = (blob.clone(), Box::from(repository));
        let first_new = holders.known.len() - holders.new;
        // Told again and again by one run, as by a copy of a hundred tags.
        match holders.known[first_new..].iter().position(|known| *known == line) {
            Some(position) => drop(holders.known.remove(first_new + position)),
            None => holders.new += 1,
        }
        holders.known.push(line);
        if holders.new >= WRITTEN_AT_ONCE {
            self.write_holders(site, holders);
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let mut holders = std::mem::take(self.holders.get_mut().unwrap_or_else(PoisonError::into_inner));
        for (site, holders) in &mut holders {
            self.write_holders(site, holders);
        }
    }
}

/// A line that is as long for every number.
fn number(number: u64) -> String {
    format!("{number:020}\n")
}

/// Makes room for one more upload.
fn forget_oldest(folder: &Dir) {
    let names = folder.list().unwrap_or_default();
    let uploads = names.into_iter().filter(|name| name.starts_with(b"upload-"));
    let mut uploads: Vec<_> =
        uploads.filter_map(|name| folder.stat(&name).ok().map(|stat| (stat.mtime, name))).collect();
    uploads.sort();
    for (_, name) in uploads.iter().take((uploads.len() + 1).saturating_sub(MOST_UPLOADS)) {
        folder.remove_file(name).ok();
    }
}

/// Each line once, where it stands last; as many as may be.
fn newest(lines: Vec<(AnyDigest, Box<str>)>) -> Vec<(AnyDigest, Box<str>)> {
    let mut seen = HashSet::new();
    let mut kept: Vec<_> =
        lines.into_iter().rev().filter(|line| seen.insert(line.clone())).take(MOST_HOLDERS).collect();
    kept.reverse();
    kept
}

fn parse_holder(site: &Site, line: &str) -> Option<(AnyDigest, Box<str>)> {
    let (blob, name) = line.split_once(' ')?;
    let is_name =
        Repository::parse(&format!("{}/{name}", site.authority())).is_ok_and(|it| it.name() == name);
    is_name.then_some((blob.parse().ok()?, name.into()))
}

fn holders_header(site: &Site) -> String {
    format!("orlop holders 1 {site}")
}

fn holders_name(site: &Site) -> String {
    format!("holders-{}", Digest::of(Algorithm::Sha256, site.to_string().as_bytes()).hex())
}

fn upload_name(key: &UploadKey) -> String {
    format!("upload-{}", Digest::of(Algorithm::Sha256, &json::print(&describe(key))).hex())
}

fn describe(key: &UploadKey) -> Value {
    json!({
        "site": key.site.to_string(),
        "repository": &*key.repository,
        "blob": key.blob.to_string(),
    })
}

#[cfg(test)]
mod tests;
