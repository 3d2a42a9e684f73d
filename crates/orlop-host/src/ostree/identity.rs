//! The commit that an image speaks of, where the order of its metadata was lost on the way.
//!
//! ```text
//! commit = │ entry │ pad │ entry │ pad │ … │ entry │ ends │ parent … tree, meta │
//!          └─ hashed once for all orders with that beginning ─┘ └ as the last entry wants it ┘
//! ```
//!
//! The id of a commit depends on the order of its metadata, and labels of an image have none. Orders that writers are
//! known to use come first, then all of them.
//!
//! Invariant: what is found has the id that was sought. Nothing else is ever given.

mod orders;

use super::id::ObjectId;
use super::object::Commit;
use super::variant::{Dict, Writer, nul_ended};
use orlop_spec::{Algorithm, Cancel, Cancelled, Hasher};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Of more entries, not every order is tried: there are ten times as many with each.
pub const MOST_ENTRIES: usize = 9;

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// The commit, and after how many orders.
    Found {
        /// With its metadata in order.
        commit: Box<Commit>,
        /// Orders that were tried.
        tried: u64,
    },
    /// No order gives the id: something else differs.
    Differs {
        /// Orders that were tried.
        tried: u64,
    },
    /// There are too many orders to try them all, and none of the likely ones gives the id.
    TooMany {
        /// Entries of the metadata.
        entries: usize,
    },
}

/// Looks for an order of the metadata of `commit` that gives it the id `wanted`.
pub fn seek(
    commit: &Commit,
    wanted: &ObjectId,
    workers: NonZeroUsize,
    cancel: &Cancel,
) -> Result<Sought, Cancelled> {
    let entries = commit.metadata.len();
    let likely = orders::likely(&commit.metadata);
    for (tried, order) in (1..).zip(&likely) {
        let commit = arranged(commit, order);
        if commit.id() == *wanted {
            return Ok(Sought::Found { commit: Box::new(commit), tried });
        }
    }
    if entries > MOST_ENTRIES {
        return Ok(Sought::TooMany { entries });
    }
    let template = Template::new(commit);
    let search = Search { template: &template, wanted, cancel, is_over: false.into(), tried: 0.into() };
    let order = search.run(workers)?;
    let tried = likely.len() as u64 + search.tried.into_inner();
    Ok(match order {
        Some(order) => Sought::Found { commit: Box::new(arranged(commit, &order)), tried },
        None => Sought::Differs { tried },
    })
}

/// The same commit with the entries of its metadata in another order.
fn arranged(commit: &Commit, order: &[usize]) -> Commit {
    let entries: Vec<_> = commit.metadata.iter().collect();
    let metadata: Dict = order.iter().map(|index| (entries[*index].0, entries[*index].1.clone())).collect();
    Commit { metadata, ..commit.clone() }
}

/// The bytes of a commit in pieces that can be put together in any order.
struct Template {
    /// The entries of the metadata.
    entries: Vec<Vec<u8>>,
    /// By the entry that comes last.
    ends: Vec<End>,
}

/// What follows the entries. The length of all of them depends on the last, because nothing is padded behind it.
struct End {
    /// Bytes of each number that tells where an entry ends.
    width: usize,
    /// What follows the metadata.
    rest: Vec<u8>,
}

impl Template {
    fn new(commit: &Commit) -> Self {
        let entry = |(key, value): (&str, &super::variant::Variant)| {
            Writer::new("{sv}").push(&nul_ended(key)).push(&value.to_bytes()).finish()
        };
        let entries: Vec<Vec<u8>> = commit.metadata.iter().map(entry).collect();
        let ends = (0..entries.len()).map(|last| End::of(commit, &entries, last)).collect();
        Self { entries, ends }
    }
}

impl End {
    fn of(commit: &Commit, entries: &[Vec<u8>], last: usize) -> Self {
        let order: Vec<usize> = (0..entries.len()).filter(|index| *index != last).chain([last]).collect();
        let commit = arranged(commit, &order);
        let size = commit.metadata.to_bytes().len();
        let body = order.iter().fold(0, |at, index| aligned(at) + entries[*index].len());
        Self { width: (size - body) / entries.len(), rest: commit.to_bytes().split_off(size) }
    }
}

/// Entries begin at multiples of eight.
fn aligned(at: usize) -> usize {
    at.next_multiple_of(8)
}

/// A search by several threads.
struct Search<'a> {
    template: &'a Template,
    wanted: &'a ObjectId,
    cancel: &'a Cancel,
    is_over: AtomicBool,
    tried: AtomicU64,
}

impl Search<'_> {
    /// The order, if there is one. Every thread takes orders that begin with two entries of its own.
    fn run(&self, workers: NonZeroUsize) -> Result<Option<Vec<usize>>, Cancelled> {
        let count = self.template.entries.len();
        let pairs = (0..count).flat_map(|one| (0..count).map(move |other| vec![one, other]));
        let starts: Vec<Vec<usize>> = match count {
            0 => Vec::new(),
            1 => vec![vec![0]],
            _ => pairs.filter(|pair| pair[0] != pair[1]).collect(),
        };
        let (next, found) = (AtomicUsize::new(0), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..workers.get().min(starts.len()) {
                scope.spawn(|| {
                    while let Some(start) = starts.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Some(order) = self.beginning(start) {
                            *found.lock().expect("no holder panics") = Some(order);
                        }
                    }
                });
            }
        });
        self.cancel.check()?;
        Ok(found.into_inner().expect("no holder panics"))
    }

    /// Tries all orders with one beginning.
    fn beginning(&self, start: &[usize]) -> Option<Vec<usize>> {
        if self.is_over.load(Ordering::Relaxed) || self.cancel.check().is_err() {
            return None;
        }
        let mut walk = Walk { search: self, order: Vec::new(), ends: Vec::new(), tried: 0 };
        let mut hasher = Hasher::new(Algorithm::Sha256);
        for index in start {
            hasher = walk.enter(&hasher, *index);
        }
        let found = walk.descend(&hasher);
        self.tried.fetch_add(walk.tried, Ordering::Relaxed);
        if found {
            self.is_over.store(true, Ordering::Relaxed);
        }
        found.then_some(walk.order)
    }
}

/// One thread's way through the orders.
struct Walk<'a> {
    search: &'a Search<'a>,
    order: Vec<usize>,
    /// Where each entry so far ends.
    ends: Vec<usize>,
    tried: u64,
}

impl Walk<'_> {
    /// Tries every order that begins as the one so far. No deeper than there are entries.
    fn descend(&mut self, hasher: &Hasher) -> bool {
        let count = self.search.template.entries.len();
        if self.order.len() == count {
            return self.is_wanted(hasher.clone());
        }
        for index in 0..count {
            if self.order.contains(&index) {
                continue;
            }
            let deeper = self.enter(hasher, index);
            if self.descend(&deeper) {
                return true;
            }
            self.order.pop();
            self.ends.pop();
        }
        false
    }

    /// Puts an entry behind those so far.
    fn enter(&mut self, hasher: &Hasher, index: usize) -> Hasher {
        let (mut hasher, entry) = (hasher.clone(), &self.search.template.entries[index]);
        let at = self.ends.last().copied().unwrap_or(0);
        let begin = aligned(at);
        hasher.update(&[0; 8][..begin - at]);
        hasher.update(entry);
        self.order.push(index);
        self.ends.push(begin + entry.len());
        hasher
    }

    fn is_wanted(&mut self, mut hasher: Hasher) -> bool {
        self.tried += 1;
        let last = self.order.last().expect("there is an entry");
        let End { width, rest } = &self.search.template.ends[*last];
        for end in &self.ends {
            hasher.update(&(*end as u64).to_le_bytes()[..*width]);
        }
        hasher.update(rest);
        ObjectId::finish(hasher) == *self.search.wanted
    }
}

#[cfg(test)]
mod tests;
