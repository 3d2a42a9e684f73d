//! Proof that a store holds what it says: every file of it is read, and everything that a name needs is looked for.
//!
//! ```text
//! blobs, objects ── sha of the bytes = name? ─┐
//! forms, lists ──── sha within? ──────────────┼─► what is damaged ──► which layers ──► which names
//! names ─► documents ─► forms ─► lists ─► objects: what is missing ─┘
//! ```
//!
//! Invariant: what is whole is never called damaged, whoever works in the store meanwhile: a file that went since it was
//! listed is missing only if somebody still needs it.

mod mend;
mod needs;
mod proof;
mod record;

pub use mend::{Mended, Supply};

use super::form::How;
use super::{Store, format};
use crate::error::{Error, is_unreadable};
use orlop_spec::digest::{AnyDigest, DiffId, Digest};
use orlop_spec::port::Result;
use orlop_spec::{Context, Diagnose as _, Fault};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// Something that a store holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// The record of a name, by its file.
    Name(Box<str>),
    /// A document, or the blob of a layer.
    Blob(AnyDigest),
    /// What is known about the blob of a layer.
    Form(Digest),
    /// The list of a layer.
    Layer(DiffId),
    /// The content of a file.
    Object(Digest),
    /// What is mounted of the layers of an image. Whoever knows what it should be looks at it.
    Tree(Box<str>),
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrong {
    /// Its bytes are not what its name or its own sha256 says.
    Damaged,
    /// The disk does not give it.
    Unreadable,
    /// Somebody needs it, and it is not there.
    Missing,
}

/// Something of a store that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub item: Item,
    /// In which way.
    pub wrong: Wrong,
    /// The names of images that need it; of images without a name, the digest.
    pub names: Vec<Box<str>>,
}

/// What a look at a whole store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Everything that is wrong, names first, then in the order of what depends on what.
    pub findings: Vec<Finding>,
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs whose digests are of an algorithm that nobody can compute here.
    pub unproven: u64,
}

impl fmt::Display for Item {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) | Self::Tree(name) => out.write_str(name),
            Self::Blob(digest) => write!(out, "{digest}"),
            Self::Layer(diff_id) => write!(out, "{diff_id}"),
            Self::Form(digest) | Self::Object(digest) => write!(out, "{digest}"),
        }
    }
}

impl Item {
    /// The file, from the folder of the store on.
    pub fn path(&self) -> String {
        let below = |part: &str, digest: &AnyDigest| {
            format!("{part}/{}/{}", digest.algorithm_name(), digest.encoded())
        };
        match self {
            Self::Name(file) => format!("{}/{file}", format::NAMES),
            Self::Tree(key) => format!("{}/{key}", format::TREES),
            Self::Blob(digest) => below(format::BLOBS, digest),
            Self::Form(digest) => below(format::FORMS, &(*digest).into()),
            Self::Layer(diff_id) => below(format::LAYERS, &diff_id.0.into()),
            Self::Object(digest) => {
                let hex = digest.hex();
                format!("{}/{}/{}", format::OBJECTS, &hex[..2], &hex[2..])
            }
        }
    }

    /// Its digest; records and trees have none.
    pub fn digest(&self) -> Option<AnyDigest> {
        match self {
            Self::Name(_) | Self::Tree(_) => None,
            Self::Blob(digest) => Some(digest.clone()),
            Self::Form(digest) | Self::Layer(DiffId(digest)) | Self::Object(digest) => Some((*digest).into()),
        }
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::Blob(_) => "blob",
            Self::Form(_) => "form",
            Self::Layer(_) => "layer",
            Self::Object(_) => "content",
            Self::Tree(_) => "tree",
        }
    }
}

/// What was seen on the way.
#[derive(Debug, Default)]
struct Seen {
    blobs: HashMap<AnyDigest, u64>,
    forms: HashMap<Digest, super::form::Form>,
    /// Lists that are whole.
    layers: HashSet<DiffId>,
    /// Contents that are whole.
    objects: HashSet<Digest>,
    /// Contents that a whole list has.
    wanted: HashSet<Digest>,
    damaged: HashMap<Item, Wrong>,
    files: u64,
    bytes: u64,
    unproven: u64,
}

impl Store {
    /// Reads and proves everything.
    pub fn check(&self, cx: &Context<'_>) -> Result<Checked> {
        Ok(self.look_at_all(cx)?.checked)
    }

    fn look_at_all(&self, cx: &Context<'_>) -> Result<Look> {
        self.hold()?;
        let seen = proof::of(self, cx)?;
        let needs = needs::of(self, &seen)?;
        let mut wrong: BTreeMap<Item, Wrong> =
            seen.damaged.iter().chain(&needs.bad).map(|(item, wrong)| (item.clone(), *wrong)).collect();
        for item in needs.missing(&seen) {
            wrong.entry(item).or_insert(Wrong::Missing);
        }
        let holders = self.holders(&wrong, &seen)?;
        wrong.retain(|item, wrong| *wrong != Wrong::Missing || self.is_still_missing(item, &holders));
        let findings = wrong.into_iter().map(|(item, wrong)| {
            let names = needs.names_of(&item, &seen, &holders);
            Finding { item, wrong, names }
        });
        let checked = Checked {
            findings: findings.collect(),
            files: seen.files,
            bytes: seen.bytes,
            unproven: seen.unproven,
        };
        Ok(Look { checked, seen, needs, holders })
    }

    /// Which layers have a content that is damaged or missing. Only then lists are read once more.
    fn holders(&self, wrong: &BTreeMap<Item, Wrong>, seen: &Seen) -> Result<Holders> {
        let mut holders = Holders::new();
        if !wrong.keys().any(|item| matches!(item, Item::Object(_))) {
            return Ok(holders);
        }
        for layer in &seen.layers {
            let read = self.contents(layer, &mut |_, held| {
                if let super::layer::Held::Object(object) = held
                    && wrong.contains_key(&Item::Object(object.digest))
                {
                    holders.entry(object.digest).or_default().insert(*layer);
                }
                Ok(())
            });
            read.or_else(|fault| if is_gone(&fault) || is_unreadable(&fault) { Ok(()) } else { Err(fault) })?;
        }
        Ok(holders)
    }

    /// Others work here meanwhile: an import may have brought it, a sweep may have taken it away with its list.
    fn is_still_missing(&self, item: &Item, holders: &Holders) -> bool {
        let is_needed = match item {
            Item::Object(digest) => holders.contains_key(digest),
            _ => true,
        };
        is_needed && self.root.open_beneath(item.path()).is_err() && !self.is_made_again(item)
    }

    /// Whether something is the blob of a layer, and comes back from that: its form may have come since forms were read.
    fn is_made_again(&self, item: &Item) -> bool {
        let Item::Blob(AnyDigest::Known(digest)) = item else { return false };
        let form = self.forms.get(digest).ok().flatten().filter(|form| form.how != How::Kept);
        form.is_some_and(|form| self.root.open_beneath(Item::Layer(form.diff_id).path()).is_ok())
    }
}

/// Contents that are wrong, and the layers that have them.
type Holders = HashMap<Digest, HashSet<DiffId>>;

/// A look at a whole store.
struct Look {
    checked: Checked,
    seen: Seen,
    needs: needs::Needs,
    holders: Holders,
}

/// Whether a list went since it was seen.
fn is_gone(fault: &Fault) -> bool {
    fault.is_absence() || matches!(fault.downcast_ref(), Some(Error::ListDamaged { .. }))
}
