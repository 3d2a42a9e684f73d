//! What was changed in a folder since its snapshot was taken.
//!
//! ```text
//! folder ──stat walk──► names ─┬─ facts as they were, and believed ─► unchanged: in neither tree
//! snapshot ──────────► records ┴─ else: attributes, target, content ─┬─ all as it was ─► in neither tree
//!                                                                    └─ changed ─► older tree, newer tree
//! older.diff(newer) = the layer of the changes;  newer.diff(older) = what takes them back
//! ```
//!
//! Invariants: both trees hold what was changed, the folders on the way to it, and all names of files that have several;
//! what is left out is the same in both, so the difference is that of the whole trees. Everything is reached through handles
//! of folders, and nothing is followed. What a snapshot does not know is taken to be as it is. What lies behind a mount or a
//! mask counts as unchanged.

mod compare;
mod contents;
mod place;
mod sides;
mod take;

pub use compare::compare;
pub use contents::{Changes, Streamed};
pub use place::{IN_BUNDLE, Place, Tracked, clock};
pub use take::{Take, take};

use crate::loss::Losses;
use crate::scan::{ScanOptions, Unreadable, Unrepresentable};
use crate::snapshot::{RecordId, Snapshot};
use crate::{Dir, FileKind, Stat};
use orlop_layer::tree::{Content, Tree};
use orlop_layer::{Time, TreePath};
use orlop_spec::{Cancel, Limits, Observer};
use std::collections::HashMap;

/// What is believed of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A file with the facts that it had is what it was.
    Facts,
    /// Nothing: every content is hashed.
    Nothing,
}

/// Which contents are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// Those that decide whether a file was changed.
    Doubtful,
    /// Those of all changed files, too: to tell what they are.
    Changed,
}

/// Whether a new snapshot is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    /// The old one stays.
    No,
    /// What is found is the next snapshot.
    Yes,
}

/// What becomes of what an image cannot hold: sockets, and names that mean a removal there (`.wh.…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strays {
    /// Sockets are left out and counted, and so are such names, or they are refused.
    LeftOut(Unrepresentable),
    /// They were added like other files: [`Compared::strays`].
    Added,
}

/// A name that an image cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Where.
    pub path: TreePath,
    /// What is there.
    pub kind: FileKind,
}

/// How a folder is compared with its snapshot.
#[derive(Clone, Copy)]
pub struct Compare<'a> {
    /// What is believed.
    pub trust: Trust,
    /// Which contents are hashed.
    pub hash: Hash,
    /// Whether a new snapshot is made.
    pub renew: Renew,
    /// Paths at and beneath which nothing counts as changed.
    pub masks: &'a [TreePath],
    /// Names that an image cannot hold.
    pub strays: Strays,
    /// Where lent modes are written down, as in [`ScanOptions`].
    pub journal: Option<&'a Dir>,
    /// A time before the look, by the clock of the file system.
    pub now: Option<Time>,
    /// What trees may be.
    pub limits: &'a Limits,
    /// Hears of losses.
    pub observer: &'a dyn Observer,
    /// Looked at for each name and each piece of a content.
    pub cancel: &'a Cancel,
}

/// What was changed in a folder.
#[derive(Debug)]
pub struct Compared {
    /// What was changed as it was: its contents are those of the records of the snapshot, as entries of layer 0.
    pub older: Tree,
    /// What was changed as it is: its contents are those of the names of the folder, as entries of layer 1.
    pub newer: Tree,
    /// The next snapshot, where it was asked for. Of changed files it may not know the content.
    pub snapshot: Option<Snapshot>,
    /// What an image cannot hold, where it was left out.
    pub losses: Losses,
    /// What an image cannot hold, where it counts as added, in the order of the walk; both trees have the folders above.
    pub strays: Vec<Stray>,
    /// What was found and not looked at: what is masked, and what something is mounted over, in the order of the walk.
    pub spared: Vec<TreePath>,
    /// How many names were looked at.
    pub names: u64,
    /// Bytes of contents that were read.
    pub read: u64,
    known: Known,
}

/// What is known about contents of both sides.
#[derive(Debug, Default)]
struct Known {
    /// By the ordinals of the older tree.
    older: HashMap<u32, [u8; 32]>,
    /// By the ordinals of the newer tree: the digest, where it is known, and which older content it is.
    newer: HashMap<u32, (Option<[u8; 32]>, Option<u32>)>,
}

impl Compared {
    /// The layer that makes the newer tree of the older one.
    pub fn layer(&self) -> Tree {
        self.older.diff_by(&self.newer, &mut |old, new| self.known.is_same(old, new))
    }

    /// The layer that makes the older tree of the newer one.
    pub fn undoing(&self) -> Tree {
        self.newer.diff_by(&self.older, &mut |new, old| self.known.is_same(old, new))
    }

    /// The digest of a content of either tree, where it is known.
    pub fn sha256(&self, content: &Content) -> Option<[u8; 32]> {
        match content.layer {
            0 => self.known.older.get(&content.ordinal).copied(),
            _ => self.known.newer.get(&content.ordinal).and_then(|(sha256, _)| *sha256),
        }
    }

    /// The record of an older content.
    pub fn record(content: &Content) -> RecordId {
        RecordId::at(content.ordinal)
    }
}

impl Known {
    fn is_same(&self, older: &Content, newer: &Content) -> bool {
        let Some((sha256, same)) = self.newer.get(&newer.ordinal) else { return false };
        *same == Some(older.ordinal)
            || sha256.is_some_and(|sha256| self.older.get(&older.ordinal) == Some(&sha256))
    }
}

/// Whether a snapshot is of the folder that is there, and not of one that had its place.
pub fn is_of(snapshot: &Snapshot, root: &Stat) -> bool {
    let known = (!snapshot.is_empty()).then(|| snapshot.record(RecordId::ROOT).facts.ino).flatten();
    known.is_none_or(|ino| ino == root.ino)
}

/// As a scan walks.
fn scan_options<'a>(journal: Option<&'a Dir>, cancel: &'a Cancel) -> ScanOptions<'a> {
    ScanOptions { unreadable: Unreadable::Lend, journal, cancel, ..ScanOptions::default() }
}

type Sha256 = [u8; 32];

fn sha256_of(hasher: orlop_spec::Hasher) -> Sha256 {
    hasher.finish().bytes().try_into().expect("it has 32 bytes")
}

/// Adds so many zeros.
fn hash_zeros(hasher: &mut orlop_spec::Hasher, mut count: u64) {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    while count > 0 {
        let piece = usize::try_from(count).unwrap_or(ZEROS.len()).min(ZEROS.len());
        hasher.update(&ZEROS[..piece]);
        count -= piece as u64;
    }
}
