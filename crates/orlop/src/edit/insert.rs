//! `insert`: one file or folder at a place of an image, or its removal, as a layer.
//!
//! ```text
//! SRC            PATH             layer
//! a file      →  usr/bin/app      usr/bin/app
//! a folder    →  etc/app          etc/app  (etc/app/.wh..wh..opq)  etc/app/…
//! nothing     →  etc/old          etc/.wh.old
//! ```
//!
//! Invariant: the layer says nothing of the folders above PATH, so they stay what they are in the image; where it has none,
//! whoever unpacks it makes them.

use crate::error::Error;
use crate::trees::{FolderTree, Reading, TreeSource};
use orlop_fs::scan::{Scan, ScanOptions, Unreadable};
use orlop_fs::{Dir, FileKind};
use orlop_layer::tree::Builder;
use orlop_layer::{Chunk, Entries, Entry, Error as LayerError, Kind, Meta, TreePath, whiteout};
use orlop_spec::port::Result;
use orlop_spec::{Context, Fault, Limits};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// What becomes of what the image has in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Below {
    /// It stays where nothing new has its name.
    #[default]
    Merged,
    /// It is hidden.
    Hidden,
}

/// A range of ids that the files have, and which they are in the image: `IMAGE:HERE[:COUNT]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first in the image.
    pub image: u32,
    /// The first that files have.
    pub here: u32,
    /// How many.
    pub count: u32,
}

impl std::str::FromStr for IdRange {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let wrong = "write IMAGE:HERE[:COUNT], for example 0:1000:1";
        let numbers: Vec<u32> =
            text.split(':').map(str::parse).collect::<std::result::Result<_, _>>().map_err(|_| wrong)?;
        let (image, here, count) = match *numbers {
            [image, here] => (image, here, 1),
            [image, here, count] => (image, here, count),
            _ => return Err(wrong),
        };
        let is_within =
            |first: u32| count.checked_sub(1).is_some_and(|more| first.checked_add(more).is_some());
        if is_within(image) && is_within(here) {
            Ok(Self { image, here, count })
        } else {
            Err("the range is empty, or goes beyond the last id")
        }
    }
}

impl IdRange {
    /// What an id of a file is in the image.
    fn map(self, id: u32) -> Option<u32> {
        let offset = id.checked_sub(self.here)?;
        (offset < self.count).then(|| self.image + offset)
    }
}

/// Whose files are in the image those that somebody has here. Without ranges every id is itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMap {
    /// Of users.
    pub uids: Vec<IdRange>,
    /// Of groups.
    pub gids: Vec<IdRange>,
}

impl IdMap {
    fn apply(&self, entry: &mut Entry) -> Result<(), LayerError> {
        if matches!(entry.kind, Kind::Whiteout | Kind::Opaque) {
            return Ok(());
        }
        let mapped = |ranges: &[IdRange], what: &str, id: u32| match ranges {
            [] => Ok(id),
            ranges => ranges.iter().find_map(|range| range.map(id)).ok_or_else(|| {
                let (path, id) = (entry.path.to_string(), format!("{what} {id}"));
                LayerError::Read(io::Error::other(Fault::new(Error::InNoRange { path, id })))
            }),
        };
        let uid = mapped(&self.uids, "user", entry.meta.uid)?;
        let gid = mapped(&self.gids, "group", entry.meta.gid)?;
        (entry.meta.uid, entry.meta.gid) = (uid, gid);
        Ok(())
    }
}

/// A file or a folder that is put at a place of an image.
pub struct Planted {
    what: What,
    at: TreePath,
    below: Below,
    map: IdMap,
}

enum What {
    Folder(FolderTree),
    /// One name of a folder.
    File {
        folder: Dir,
        name: Vec<u8>,
        journal: Option<Dir>,
    },
}

impl Planted {
    /// What is at `source`, a link not followed, at the path `at`. A file goes into a path that ends in a slash.
    ///
    /// # Errors
    /// Not found where nothing is there; unfit where a file should be the root, or hide what is in it, and for sockets.
    pub fn open(source: &Path, at: &[u8], below: Below, map: IdMap, tmpdir: &Path) -> Result<Self> {
        let what = match split(source) {
            None => What::Folder(FolderTree::open(source)?.with_journal(tmpdir)),
            Some((folder, name)) => {
                let folder = Dir::open(folder)?;
                match folder.stat(&name)?.kind {
                    FileKind::Directory => {
                        What::Folder(FolderTree::of(folder.open_dir(&name)?).with_journal(tmpdir))
                    }
                    FileKind::Socket => return Err(SOCKET.into()),
                    _ => What::File { folder, name, journal: Dir::open(tmpdir).ok() },
                }
            }
        };
        let into = TreePath::parse(at).map_err(|_| NO_PLACE)?;
        let at = match &what {
            What::File { name, .. } if at.ends_with(b"/") => into.join(name),
            _ => into,
        };
        let planted = Self { what, at, below, map };
        planted.check()?;
        Ok(planted)
    }

    fn check(&self) -> Result<()> {
        let is_file = matches!(self.what, What::File { .. });
        if self.at.components().any(whiteout::is_reserved) {
            return Err(RESERVED.into());
        }
        if is_file && self.at.is_root() {
            return Err(Error::Unfit {
                what: "a file cannot be the root of an image",
                hint: "say what it is called there, for example /usr/bin/app",
            }
            .into());
        }
        if is_file && self.below == Below::Hidden {
            return Err(Error::Unfit {
                what: "only a folder hides what is below it",
                hint: "leave --opaque out: a file takes the place of what was there",
            }
            .into());
        }
        Ok(())
    }
}

const SOCKET: Error = Error::Unfit {
    what: "a socket cannot be put into an image",
    hint: "name a file or a folder: whoever listens makes the socket anew",
};
const NO_PLACE: Error = Error::Unfit {
    what: "a place in an image is said without `..` and NUL bytes",
    hint: "write the whole path, from the root of the image: /usr/bin/app",
};
const RESERVED: Error = Error::Unfit {
    what: "names that begin with `.wh.` mean removals, and no file of an image can have them",
    hint: "remove what the image has with --whiteout PATH, or choose another name",
};

/// The folder of a path, and the name in it; nothing where the path ends in no name.
fn split(path: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let name = path.file_name()?.as_encoded_bytes().to_vec();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Some((folder.unwrap_or(Path::new(".")).to_owned(), name))
}

impl TreeSource for Planted {
    fn entries<'a>(&'a self, cx: &Context<'a>, how: &'a Reading) -> Result<Box<dyn Entries + Send + 'a>> {
        let (inner, name): (Box<dyn Entries + Send + 'a>, _) = match &self.what {
            What::Folder(folder) => (folder.entries(cx, how)?, None),
            What::File { folder, name, journal } => {
                let options = ScanOptions {
                    owner: how.owner,
                    unreadable: Unreadable::Lend,
                    journal: journal.as_ref(),
                    only: Some(name),
                    observer: cx.observer,
                    cancel: cx.cancel,
                    ..ScanOptions::default()
                };
                (Box::new(Scan::open(folder, options)?), Some(name.as_slice()))
            }
        };
        let next = VecDeque::new();
        Ok(Box::new(Grafted { inner, name, planted: self, next }))
    }
}

/// Entries at another place.
struct Grafted<'a> {
    inner: Box<dyn Entries + Send + 'a>,
    /// The one name that is meant; nothing where all are.
    name: Option<&'a [u8]>,
    planted: &'a Planted,
    /// What comes before the next one.
    next: VecDeque<Entry>,
}

impl Grafted<'_> {
    /// Where a path of the source is in the image.
    fn moved(&self, path: &TreePath) -> TreePath {
        let at = &self.planted.at;
        match self.name {
            Some(_) => at.clone(),
            None => path.components().fold(at.clone(), |path, name| path.join(name)),
        }
    }
}

impl Entries for Grafted<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, LayerError> {
        if let Some(entry) = self.next.pop_front() {
            return Ok(Some(entry));
        }
        loop {
            let Some(mut entry) = self.inner.next_entry()? else { return Ok(None) };
            let is_root = entry.path.is_root();
            if is_root && self.name.is_some() {
                continue;
            }
            entry.path = self.moved(&entry.path);
            if let Kind::HardLink { target } = &mut entry.kind {
                *target = self.moved(target);
            }
            self.planted.map.apply(&mut entry)?;
            if is_root && self.planted.below == Below::Hidden {
                self.next.push_back(marker(entry.path.clone(), Kind::Opaque));
            }
            return Ok(Some(entry));
        }
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, LayerError> {
        self.inner.next_chunk()
    }
}

fn marker(path: TreePath, kind: Kind) -> Entry {
    Entry { path, meta: Meta::default(), kind }
}

/// Paths that are removed from an image.
pub struct Removed {
    entries: Vec<Entry>,
}

impl Removed {
    /// The removal of `paths`.
    ///
    /// # Errors
    /// Unfit where one is the root.
    pub fn new(paths: &[TreePath]) -> Result<Self> {
        if paths.iter().any(TreePath::is_root) {
            return Err(Error::Unfit {
                what: "the root of an image cannot be removed",
                hint: "say what in it, for example /etc/old",
            }
            .into());
        }
        let mut builder = Builder::new(0, &Limits::default());
        for (number, path) in (0..).zip(paths) {
            builder.add(number, 0, &marker(path.clone(), Kind::Whiteout))?;
        }
        let tree = builder.finish();
        Ok(Self { entries: tree.entries().map(|(entry, _)| entry).collect() })
    }
}

impl TreeSource for Removed {
    fn entries<'a>(&'a self, _: &Context<'a>, _: &'a Reading) -> Result<Box<dyn Entries + Send + 'a>> {
        Ok(Box::new(Listed(self.entries.iter())))
    }
}

/// Entries without content.
struct Listed<'a>(std::slice::Iter<'a, Entry>);

impl Entries for Listed<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, LayerError> {
        Ok(self.0.next().cloned())
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, LayerError> {
        Ok(None)
    }
}
