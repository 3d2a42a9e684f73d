//! The summary of a repository: its refs in one file, for those who fetch without listing folders.
//!
//! ```text
//! summary   (a(s(taya{sv}))a{sv})
//!             name, size of the commit object, its id, metadata     for each ref, sorted
//!             metadata of the repository
//! ```
//!
//! Where the repository belongs to a collection (`core.collection-id`), the refs are those of it, and `ostree-metadata` is one of them.
//! Refs of other collections are in the metadata: `ostree.summary.collection-map`, `a{sa(s(taya{sv}))}`, sorted.
//!
//! Sizes lie as the machine that wrote them counts, and so little-endian here; times within metadata big-endian.
//!
//! Invariant: what was parsed prints to the same bytes; names follow the grammar, are sorted and come once.

use super::id::ObjectId;
use super::object::Malformed;
use super::refname::RefName;
use super::variant::{Dict, Variant, View, Writer, nul_ended};
use std::collections::BTreeMap;

const TYPE: &str = "(a(s(taya{sv}))a{sv})";

/// When the commit of a ref was made, in its metadata.
pub const COMMIT_TIME: &str = "ostree.commit.timestamp";
/// The repository's mode.
pub const MODE: &str = "ostree.summary.mode";
/// When the summary was last made.
pub const LAST_MODIFIED: &str = "ostree.summary.last-modified";
/// Whether deleted commits leave something behind.
pub const TOMBSTONES: &str = "ostree.summary.tombstone-commits";
/// The collection whose refs the summary lists.
pub const COLLECTION: &str = "ostree.summary.collection-id";
/// The refs of other collections.
pub const COLLECTIONS: &str = "ostree.summary.collection-map";
/// Whether static deltas are found by an index of their own.
pub const INDEXED_DELTAS: &str = "ostree.summary.indexed-deltas";

/// What a repository has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Its refs.
    pub refs: Vec<Entry>,
    /// What is said about all of it.
    pub metadata: Dict,
}

/// A ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: RefName,
    /// Bytes of the commit object.
    pub size: u64,
    /// The commit.
    pub commit: ObjectId,
    /// What is said about it.
    pub metadata: Dict,
}

impl Entry {
    /// A ref, as libostree describes it.
    pub fn new(name: RefName, commit: ObjectId, size: u64, time: u64) -> Self {
        let metadata = [(COMMIT_TIME, Variant::u64_swapped(time))].into_iter().collect();
        Self { name, size, commit, metadata }
    }
}

impl Summary {
    /// Out of the bytes of the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let [refs, metadata] = View::parse(TYPE, bytes)?.members();
        let refs = refs.children().map(entry).collect::<Result<Vec<_>, _>>()?;
        match refs.windows(2).find(|pair| pair[0].name >= pair[1].name) {
            Some(pair) => Err(Malformed::Order(pair[1].name.as_str().into())),
            None => Ok(Self { refs, metadata: Dict::from_view(metadata) }),
        }
    }

    /// The bytes of the file. The refs must be sorted and come once.
    pub fn to_bytes(&self) -> Vec<u8> {
        Writer::new(TYPE).push(&print(&self.refs)).push(&self.metadata.to_bytes()).finish()
    }

    /// The ref of a name.
    pub fn get(&self, name: &RefName) -> Option<&Entry> {
        let found = self.refs.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        Some(&self.refs[found])
    }
}

/// A collection, and refs of it.
pub type OfCollection = (Box<str>, Vec<Entry>);

/// Refs of collections, as they stand in the metadata.
pub fn collections(map: &BTreeMap<Box<str>, Vec<Entry>>) -> Variant {
    let mut dict = Writer::new("a{sa(s(taya{sv}))}");
    for (collection, refs) in map {
        let mut entry = Writer::new("{sa(s(taya{sv}))}");
        dict.push(&entry.push(&nul_ended(collection)).push(&print(refs)).finish());
    }
    Variant::new("a{sa(s(taya{sv}))}", &dict.finish()).expect("written by the writer")
}

/// The refs of such a value; none where it is of another type.
pub fn refs_of_collections(map: &Variant) -> Result<Vec<OfCollection>, Malformed> {
    if map.signature() != "a{sa(s(taya{sv}))}" {
        return Ok(Vec::new());
    }
    let of_one = |one: View<'_>| {
        let [collection, refs] = one.members();
        Ok((collection.text().into(), refs.children().map(entry).collect::<Result<_, _>>()?))
    };
    map.view().children().map(of_one).collect()
}

fn print(refs: &[Entry]) -> Vec<u8> {
    let mut array = Writer::new("a(s(taya{sv}))");
    for entry in refs {
        let target = Writer::new("(taya{sv})")
            .push(&entry.size.to_le_bytes())
            .push(entry.commit.as_bytes())
            .push(&entry.metadata.to_bytes())
            .finish();
        let name = nul_ended(entry.name.as_str());
        array.push(&Writer::new("(s(taya{sv}))").push(&name).push(&target).finish());
    }
    array.finish()
}

fn entry(view: View<'_>) -> Result<Entry, Malformed> {
    let [name, target] = view.members();
    let [size, commit, metadata] = target.members();
    let bad_name = |_| Malformed::Name(name.text().into());
    Ok(Entry {
        name: name.text().parse().map_err(bad_name)?,
        size: size.as_u64().unwrap_or_default(),
        commit: ObjectId::from_bytes(commit.bytes()).ok_or(Malformed::Reference(commit.bytes().len()))?,
        metadata: Dict::from_view(metadata),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str, byte: u8) -> Entry {
        Entry::new(name.parse().expect("a name"), ObjectId([byte; 32]), 158, 1000)
    }

    fn summary(refs: Vec<Entry>) -> Summary {
        let metadata = [(MODE, Variant::string("archive-z2")), (TOMBSTONES, Variant::bool(false))];
        Summary { refs, metadata: metadata.into_iter().collect() }
    }

    #[test]
    fn refs_are_sorted_and_come_once() {
        let parse = |names: &[&str]| {
            Summary::parse(&summary(names.iter().map(|name| entry(name, 1)).collect()).to_bytes()).map(drop)
        };
        assert_eq!(parse(&["a", "a-b", "a/b", "b"]), Ok(()));
        assert_eq!(parse(&["b", "a"]), Err(Malformed::Order("a".into())));
        assert_eq!(parse(&["a", "a"]), Err(Malformed::Order("a".into())));
    }

    #[test]
    fn p1_names_that_leave_the_folder_of_refs_are_refused() {
        let good = summary(vec![entry("aa/b", 1)]).to_bytes();
        let at = good.windows(4).position(|four| four == b"aa/b").expect("the name");
        for name in [b"../b", b"/aab", b"aab/", b"a//b"] {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(name);
            let name = std::str::from_utf8(name).expect("text");
            assert_eq!(Summary::parse(&bad), Err(Malformed::Name(name.into())));
        }
    }

    #[test]
    fn a_ref_is_found_by_name() {
        let summary = summary(vec![entry("a", 1), entry("b/c", 2)]);
        assert_eq!(summary.get(&"b/c".parse().expect("a name")), Some(&entry("b/c", 2)));
        assert_eq!(summary.get(&"b".parse().expect("a name")), None);
    }

    proptest! {
        #[test]
        fn summaries_come_back(refs in prop::collection::btree_map("[a-z]{1,8}(/[a-z]{1,8}){0,3}", any::<(u8, u64)>(), 0..20)) {
            let refs = refs.into_iter().map(|(name, (byte, size))| Entry { size, ..entry(&name, byte) }).collect();
            let summary = summary(refs);
            prop_assert_eq!(Summary::parse(&summary.to_bytes()), Ok(summary));
        }

        #[test]
        fn t6_a_changed_summary_is_refused_or_prints_to_its_bytes(at: prop::sample::Index, to: u8) {
            let mut bytes = summary(vec![entry("a", 1), entry("b", 2)]).to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(changed) = Summary::parse(&bytes) {
                prop_assert_eq!(changed.to_bytes(), bytes);
            }
        }
    }
}
