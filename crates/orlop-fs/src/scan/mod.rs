//! A folder as a stream of entries.
//!
//! Invariants:
//! - the stream depends on the tree and the options alone: names are sorted bytewise within each folder, a
//!   folder stands before what is in it, and of several names of one file the first in this order is the file
//!   and the others are hard links to it;
//! - everything is reached through folder handles, nothing is followed, and nothing in the tree is written to;
//! - what an image cannot hold is refused, or left out and counted; a file that changes while it is read is an
//!   error that names it.
//!
//! File systems mounted within the folder are part of the tree, unless [`Mounts::Stay`] is asked for: then the
//! mount point is an empty folder.

pub(crate) mod content;
mod journal;
mod survey;
pub(crate) mod view;
pub(crate) mod walk;

pub use survey::{Contents, Known, Survey, Surveyed};

use crate::error::Error;
use crate::fakeroot::Fakeroot;
use crate::glob::Glob;
use crate::loss::{LossKind, Losses};
use crate::owner::Owner;
use crate::stat::FileKind;
use crate::{Dir, Result};
use content::Content;
use orlop_layer::whiteout;
use orlop_layer::{Chunk, Entries, Entry, Kind, Meta, TreePath, Xattrs};
use orlop_spec::{Cancel, Observer};
use std::collections::HashMap;
use walk::{Found, Walk};

/// What to do with names that an image cannot hold, because they mean a removal there (`.wh.…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unrepresentable {
    /// The scan fails and lists them.
    #[default]
    Refuse,
    /// They are left out, with all that is beneath, and counted.
    Skip,
}

/// What to do with other file systems mounted within the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mounts {
    /// They are part of the tree.
    #[default]
    Cross,
    /// Their mount points are empty folders.
    Stay,
}

/// What to do with files and folders of the caller's own that forbid their owner to read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unreadable {
    /// The scan fails and names the first.
    #[default]
    Refuse,
    /// The owner's permission is lent to the scan: a file's for the moment of opening it, a folder's while it
    /// is being read; then the mode is as before.
    Lend,
}

/// How a folder is scanned.
#[derive(Clone)]
pub struct ScanOptions<'a> {
    /// What owners the entries get.
    pub owner: Owner,
    /// Names that an image cannot hold.
    pub unrepresentable: Unrepresentable,
    /// Other file systems.
    pub mounts: Mounts,
    /// Files that their owner may not read.
    pub unreadable: Unreadable,
    /// Where lent modes are written down, so that the next scan puts them back should this one be killed: a folder
    /// for temporary files.
    pub journal: Option<&'a Dir>,
    /// What is left out, without being counted.
    pub exclude: &'a [Glob],
    /// The one name of the folder that is read, beside the folder itself; nothing for all.
    pub only: Option<&'a [u8]>,
    /// The bits of the mode that are kept.
    pub mode_mask: u16,
    /// Hears of losses.
    pub observer: &'a dyn Observer,
    /// Stops the scan.
    pub cancel: &'a Cancel,
}

/// Stops nothing.
static NEVER: Cancel = Cancel::new();

impl Default for ScanOptions<'_> {
    fn default() -> Self {
        Self {
            owner: Owner::Exact,
            unrepresentable: Unrepresentable::default(),
            mounts: Mounts::default(),
            unreadable: Unreadable::default(),
            journal: None,
            exclude: &[],
            only: None,
            mode_mask: 0o7777,
            observer: &(),
            cancel: &NEVER,
        }
    }
}

/// A folder that is being read.
pub struct Scan<'a> {
    walk: Walk,
    options: ScanOptions<'a>,
    content: Content,
    /// The first name of each file that has several.
    links: HashMap<(u64, u64), Entry>,
    /// Names that an image cannot hold.
    refused: Vec<TreePath>,
    losses: Losses,
}

impl<'a> Scan<'a> {
    /// Begins to read `folder`.
    pub fn open(folder: &Dir, options: ScanOptions<'a>) -> Result<Self> {
        Ok(Self {
            walk: Walk::new(folder, &options)?,
            options,
            content: Content::default(),
            links: HashMap::new(),
            refused: Vec::new(),
            losses: Losses::default(),
        })
    }

    /// What was left out so far.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        self.content.close();
        loop {
            self.options.cancel.check()?;
            let Some(found) = self.walk.next()? else { return self.end() };
            if self.is_left_out(&found) {
                continue;
            }
            let entry = if self.refused.is_empty() { Some(self.entry(&found)?) } else { None };
            if found.stat.kind == FileKind::Directory && !found.path.is_root() {
                self.walk.enter(&found)?;
            }
            if entry.is_some() {
                return Ok(entry);
            }
        }
    }

    fn end(&mut self) -> Result<Option<Entry>> {
        if !self.refused.is_empty() {
            return Err(Error::unrepresentable(&self.refused));
        }
        self.losses.sum_up(self.options.observer);
        Ok(None)
    }

    /// Whether a name has no place in the stream. Once one is refused, the walk goes on only to find the rest.
    fn is_left_out(&mut self, found: &Found) -> bool {
        let path = found.path.as_bytes();
        if found.path.is_root() {
            return false;
        }
        if self.options.exclude.iter().any(|glob| glob.matches(path)) {
            return true;
        }
        if found.stat.kind == FileKind::Socket {
            self.losses.add(LossKind::Socket, path, "no image can hold a socket", self.options.observer);
            return true;
        }
        if !whiteout::is_reserved(found.name()) {
            return false;
        }
        match self.options.unrepresentable {
            Unrepresentable::Refuse => self.refused.push(found.path.clone()),
            Unrepresentable::Skip => {
                let why = "in an image this name means a removal";
                self.losses.add(LossKind::Name, path, why, self.options.observer);
            }
        }
        true
    }

    fn entry(&mut self, found: &Found) -> Result<Entry> {
        let id = (found.stat.dev, found.stat.ino);
        let has_names = found.stat.kind != FileKind::Directory && found.stat.links > 1;
        if let Some(first) = self.links.get(&id).filter(|_| has_names) {
            // All names of a file share its attributes, and the first has told them.
            let meta = Meta { xattrs: Xattrs::new(), ..first.meta.clone() };
            let kind = Kind::HardLink { target: first.path.clone() };
            return Ok(Entry { path: found.path.clone(), meta, kind });
        }
        let (kind, xattrs) = self.kind(found)?;
        let entry = Entry { path: found.path.clone(), meta: self.meta(found, xattrs), kind };
        if has_names {
            self.links.insert(id, entry.clone());
        }
        Ok(entry)
    }

    fn kind(&mut self, found: &Found) -> Result<(Kind, Xattrs)> {
        let kind = match found.stat.kind {
            FileKind::File if found.stat.size > 0 => {
                let (file, xattrs) = self.walk.open_file(found)?;
                self.content.open(file, &found.stat, self.walk.shown(&found.path))?;
                return Ok((Kind::File { size: found.stat.size }, xattrs));
            }
            FileKind::File | FileKind::Socket => Kind::File { size: 0 },
            FileKind::Directory => Kind::Directory,
            FileKind::Symlink => Kind::Symlink { target: self.walk.read_link(found)? },
            FileKind::CharDevice => Kind::CharDevice(found.stat.device),
            FileKind::BlockDevice => Kind::BlockDevice(found.stat.device),
            FileKind::Fifo => Kind::Fifo,
        };
        Ok((kind, self.walk.xattrs(found)?))
    }

    fn meta(&mut self, found: &Found, xattrs: Xattrs) -> Meta {
        let Self { losses, options, .. } = self;
        let mut meta = view::meta(options.owner, &found.stat, xattrs, |belongs, name| {
            losses.add_foreign(belongs, name, found.path.as_bytes(), options.observer);
        });
        meta.mode &= options.mode_mask;
        meta
    }
}

impl Entries for Scan<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, orlop_layer::Error> {
        self.next().map_err(Error::into_read)
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, orlop_layer::Error> {
        self.content.next().map_err(Error::into_read)
    }
}

/// Refuses a scan that would silently see the wrong owners, modes and devices.
pub fn check_fakeroot(fakeroot: Fakeroot) -> Result<()> {
    if fakeroot == Fakeroot::Unseen { Err(Error::FakerootUnseen) } else { Ok(()) }
}
