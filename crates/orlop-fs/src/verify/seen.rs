//! What a look saw, so that the next one need not look closely.
//!
//! ```text
//! 0     16  "orlop seen 1", a line feed, two zeros, and of what: of a folder the owner policy,
//!           e exact, m map, s squash, r record; o the objects of the tree, i an image of it
//! 16    32  the digest of the manifest
//! 48    48  the fact of the root, and of each node in the order of the manifest; zeros where there is none
//! …     32  sha256 of all before
//! ```
//!
//! Invariant: whoever changes a file, its attributes or the names in a folder changes its ctime, which nobody can set.
//! So what has the inode, the ctime, the mtime and the size that it had when it was compared is what it was. A ctime that
//! was new when it was seen proves nothing, because a change right after it may have got the same one. Neither does one of
//! a file system that shows what lies elsewhere: below an overlay a content may change, and the overlay's file does not.

use super::Difference;
use crate::owner::Owner;
use crate::stat::Stat;
use orlop_layer::Time;
use orlop_layer::manifest::{NodeId, TreeManifest};
use orlop_spec::{Algorithm, Digest};
use rustix::fd::AsFd;

const MAGIC: &[u8; 15] = b"orlop seen 1\n\0\0";
const HEAD: usize = 48;
const FACT: usize = 48;
const PROOF: usize = 32;

/// How long a ctime must have passed before it is believed: longer than any clock of a file system takes for one step.
const STEP: i64 = 2;
/// As `STEP`, in nanoseconds, where the file system keeps parts of a second.
const FINE_STEP: i128 = 100_000_000;

/// What is known about a file without opening it, as far as it says whether the file was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fact {
    dev: u64,
    ino: u64,
    size: u64,
    mtime: Time,
    ctime: Time,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A folder whose owners were treated so.
    Folder(Owner),
    /// The contents of files, wherever they are.
    Objects,
    /// A file that is an image of the tree.
    Image,
}

/// What was seen of each node of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Everything before the facts.
    head: Vec<u8>,
    /// By the index of the node; all zeros where nothing is known.
    facts: Vec<Fact>,
}

/// File systems that keep what they show, and of which every change has a ctime: ext2 to ext4, xfs, btrfs, tmpfs, f2fs, zfs,
/// bcachefs (`statfs(2)`).
const TELLING: [u64; 7] =
    [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0xF2F5_2010, 0x2FC1_2FC1, 0xCA45_1A4E];

/// Whether whatever is seen in a folder can be believed later.
pub fn tells_changes(folder: impl AsFd) -> bool {
    let Ok(found) = rustix::fs::fstatfs(folder) else { return false };
    u64::try_from(found.f_type).is_ok_and(|kind| TELLING.contains(&kind))
}

/// Whether a file that changed at `ctime` cannot change again, after it was looked at, without another ctime. `now` is
/// before the look.
pub fn is_settled(ctime: Time, now: Time) -> bool {
    let nanoseconds = |time: Time| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds);
    let step = if ctime.nanoseconds == 0 { i128::from(STEP) * 1_000_000_000 } else { FINE_STEP };
    nanoseconds(ctime) + step < nanoseconds(now)
}

impl Fact {
    /// What `stat` says.
    pub fn of(stat: &Stat) -> Self {
        Self { dev: stat.dev, ino: stat.ino, size: stat.size, mtime: stat.mtime, ctime: stat.ctime }
    }

    fn write(&self, out: &mut Vec<u8>) {
        for number in [self.dev, self.ino, self.size] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for time in [self.mtime, self.ctime] {
            out.extend_from_slice(&time.seconds.to_le_bytes());
            out.extend_from_slice(&time.nanoseconds.to_le_bytes());
        }
    }

    fn parse(mut bytes: &[u8]) -> Option<Self> {
        let (dev, ino, size) = (u64_of(&mut bytes)?, u64_of(&mut bytes)?, u64_of(&mut bytes)?);
        Some(Self { dev, ino, size, mtime: time_of(&mut bytes)?, ctime: time_of(&mut bytes)? })
    }
}

fn u64_of(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

fn time_of(bytes: &mut &[u8]) -> Option<Time> {
    let (seconds, rest) = bytes.split_first_chunk()?;
    let (nanoseconds, rest) = rest.split_first_chunk()?;
    *bytes = rest;
    Some(Time { seconds: i64::from_le_bytes(*seconds), nanoseconds: u32::from_le_bytes(*nanoseconds) })
}

impl Seen {
    /// Nothing yet.
    pub fn none(manifest: &TreeManifest, of: Of) -> Self {
        Self { head: head(manifest, of), facts: vec![Fact::default(); manifest.len()] }
    }

    /// Notes what was seen of a node.
    pub fn note(&mut self, id: NodeId, fact: Fact) {
        if let Some(known) = self.facts.get_mut(id.index()) {
            *known = fact;
        }
    }

    /// What differs was not seen as it should be, and neither was the folder that it is in: an added name shows there.
    pub(super) fn forget(&mut self, manifest: &TreeManifest, differences: &[Difference]) {
        for difference in differences {
            let mut at = manifest.root();
            self.note(at, Fact::default());
            for name in difference.path.components() {
                let Some(below) = manifest.child(at, name) else { break };
                at = below;
                self.note(at, Fact::default());
            }
        }
    }

    /// What was seen of a node.
    pub fn get(&self, id: NodeId) -> Option<Fact> {
        self.facts.get(id.index()).copied().filter(|fact| *fact != Fact::default())
    }

    /// How much was seen.
    pub fn count(&self) -> usize {
        self.facts.iter().filter(|fact| **fact != Fact::default()).count()
    }

    /// The bytes that are kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + FACT * self.facts.len() + PROOF);
        bytes.extend_from_slice(&self.head);
        for fact in &self.facts {
            fact.write(&mut bytes);
        }
        let proof = Digest::of(Algorithm::Sha256, &bytes);
        bytes.extend_from_slice(proof.bytes());
        bytes
    }

    /// Reads what was kept; `None` where it is damaged, of another manifest or of something else: then everything is
    /// looked at.
    pub fn parse(bytes: &[u8], manifest: &TreeManifest, of: Of) -> Option<Self> {
        let (body, proof) = bytes.split_at_checked(bytes.len().checked_sub(PROOF)?)?;
        let (head, facts) = body.split_at_checked(HEAD)?;
        let is_ours = head == self::head(manifest, of)
            && facts.len() == FACT * manifest.len()
            && Digest::of(Algorithm::Sha256, body).bytes() == proof;
        if !is_ours {
            return None;
        }
        let facts = facts.chunks_exact(FACT).map(Fact::parse).collect::<Option<_>>()?;
        Some(Self { head: head.to_vec(), facts })
    }
}

fn head(manifest: &TreeManifest, of: Of) -> Vec<u8> {
    let word = match of {
        Of::Folder(Owner::Exact) => b'e',
        Of::Folder(Owner::Map) => b'm',
        Of::Folder(Owner::Squash) => b's',
        Of::Folder(Owner::Record) => b'r',
        Of::Objects => b'o',
        Of::Image => b'i',
    };
    [MAGIC, &[word][..], manifest.digest().bytes()].concat()
}
