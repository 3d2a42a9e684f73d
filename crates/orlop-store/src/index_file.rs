//! `index.json`: the names of a layout, and the changes of them.
//!
//! Invariant: a change touches the entries that it speaks of. Every other member of the file, known or not,
//! keeps its value and its place.

use crate::error::Error;
use crate::select::{self, Entries};
use orlop_spec::document::{DocumentError, Parse as _};
use orlop_spec::index::REF_NAME;
use orlop_spec::media_type::{MediaType, OCI_INDEX};
use orlop_spec::port::{Name, Selector};
use orlop_spec::reference::is_ref_name;
use orlop_spec::{Descriptor, Index, json};
use serde_json::{Map, Value};
use std::path::Path;

/// Annotation by which containerd and docker name an image in full.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";

/// The content of `index.json`.
#[derive(Clone, Debug)]
pub(crate) struct IndexFile {
    members: Map<String, Value>,
    entries: Vec<(Name, Descriptor)>,
}

impl IndexFile {
    /// An index without entries.
    pub(crate) fn new() -> Self {
        let empty = json::print(&Index::new(Vec::new()));
        Self::parse(&empty).expect("an empty index is an index")
    }

    /// Reads the file strictly.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let index = Index::parse(bytes, &MediaType::new(OCI_INDEX))?;
        let Value::Object(mut members) = json::value(bytes)? else { unreachable!("an index is an object") };
        if !members["manifests"].is_array() {
            members.insert("manifests".into(), Value::Array(Vec::new()));
        }
        let entries = index.manifests.into_iter().map(|root| (name_of(&root), root)).collect();
        Ok(Self { members, entries })
    }

    /// The bytes of the file; `mediaType` is always among them.
    pub(crate) fn print(&self) -> Vec<u8> {
        let mut members = self.members.clone();
        if !members.contains_key("mediaType") {
            let after_version =
                members.keys().position(|name| name == "schemaVersion").map_or(0, |at| at + 1);
            members.shift_insert(after_version, "mediaType".into(), OCI_INDEX.into());
        }
        json::print(&members)
    }

    /// What the file lists, in its order.
    pub(crate) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Gives `roots` their names. All roots of one tag together replace what had the tag.
    pub(crate) fn publish(&mut self, roots: &[(Name, Descriptor)]) -> Result<(), Error> {
        for (position, (name, root)) in roots.iter().enumerate() {
            match name {
                Name::Untagged => self.add_untagged(root),
                Name::Tag(tag) => {
                    check_tag(tag)?;
                    let is_first = roots[..position].iter().all(|(other, _)| other != name);
                    let of_tag = if is_first { self.make_room(tag) } else { self.after_last(tag) };
                    let place = if of_tag.is_some() { of_tag } else { self.take_twin(root) };
                    self.insert(place, name, root);
                }
            }
        }
        Ok(())
    }

    /// Removes the entries that `selector` speaks of, and tells them.
    pub(crate) fn forget(&mut self, place: &Path, selector: &Selector) -> Result<Vec<Descriptor>, Error> {
        if *selector == Selector::Only {
            select::select(place, &self.entries, selector)?;
        }
        let gone: Vec<usize> = self.positions(|entry| select::matches(entry, selector));
        if gone.is_empty() {
            return Err(select::no_such(place, &self.entries, selector));
        }
        // From the end, so that the positions that are still to come stay true.
        let mut removed: Vec<Descriptor> =
            gone.into_iter().rev().map(|position| self.remove(position).1).collect();
        removed.reverse();
        Ok(removed)
    }

    fn add_untagged(&mut self, root: &Descriptor) {
        if self.entries.iter().all(|(_, entry)| entry.digest != root.digest) {
            self.insert(None, &Name::Untagged, root);
        }
    }

    /// Removes what has the tag; where the first of it was.
    fn make_room(&mut self, tag: &str) -> Option<usize> {
        let held = self.positions(|(_, (name, _))| is_tag(name, tag));
        for position in held.iter().rev() {
            self.remove(*position);
        }
        held.first().copied()
    }

    fn after_last(&self, tag: &str) -> Option<usize> {
        self.entries.iter().rposition(|(name, _)| is_tag(name, tag)).map(|position| position + 1)
    }

    /// Removes an untagged entry of the same root; where it was.
    fn take_twin(&mut self, root: &Descriptor) -> Option<usize> {
        let is_twin =
            |(name, entry): &(Name, Descriptor)| *name == Name::Untagged && entry.digest == root.digest;
        let position = self.entries.iter().position(is_twin)?;
        self.remove(position);
        Some(position)
    }

    fn positions(&self, wanted: impl Fn((usize, &(Name, Descriptor))) -> bool) -> Vec<usize> {
        self.entries.iter().enumerate().filter(|entry| wanted(*entry)).map(|(position, _)| position).collect()
    }

    fn insert(&mut self, place: Option<usize>, name: &Name, root: &Descriptor) {
        let root = named(root, name);
        let value = serde_json::to_value(&root).expect("descriptors have string keys");
        let place = place.unwrap_or(self.entries.len());
        self.list().insert(place, value);
        self.entries.insert(place, (name.clone(), root));
    }

    fn remove(&mut self, position: usize) -> (Name, Descriptor) {
        self.list().remove(position);
        self.entries.remove(position)
    }

    fn list(&mut self) -> &mut Vec<Value> {
        self.members["manifests"].as_array_mut().expect("made an array when it was read")
    }
}

/// The name that an entry bears.
fn name_of(root: &Descriptor) -> Name {
    match root.annotations.get(REF_NAME) {
        Some(tag) if !tag.is_empty() => Name::Tag(tag.clone()),
        _ => Name::Untagged,
    }
}

/// `root` as an entry of the name. Another name than it had takes the full name away, which names it too.
fn named(root: &Descriptor, name: &Name) -> Descriptor {
    let mut entry = root.clone();
    if name_of(root) != *name {
        entry.annotations.remove(IMAGE_NAME);
    }
    match name {
        Name::Untagged => entry.annotations.remove(REF_NAME),
        Name::Tag(tag) => entry.annotations.insert(REF_NAME.into(), tag.clone()),
    };
    entry
}

fn is_tag(name: &Name, tag: &str) -> bool {
    matches!(name, Name::Tag(own) if &**own == tag)
}

/// image-spec, `annotations.md`: the grammar of `org.opencontainers.image.ref.name`.
fn check_tag(tag: &str) -> Result<(), Error> {
    if is_ref_name(tag) {
        return Ok(());
    }
    Err(Error::BadTag { tag: tag.into(), law: "letters and digits, joined by one of `-._:@+/` or by `--`" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::media_type::OCI_MANIFEST;
    use orlop_spec::{Algorithm, Digest};

    fn root(content: &str) -> Descriptor {
        let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
        Descriptor::new(MediaType::new(OCI_MANIFEST), digest, content.len() as u64)
    }

    fn tag(name: &str) -> Name {
        Name::Tag(name.into())
    }

    fn names(index: &IndexFile) -> Vec<(Name, Descriptor)> {
        let printed = IndexFile::parse(&index.print()).expect("printed as it can be read");
        assert_eq!(printed.entries, index.entries, "the values and the entries are one list");
        index.entries.iter().map(|(name, entry)| (name.clone(), named(entry, &Name::Untagged))).collect()
    }

    #[test]
    fn item_7_the_media_type_is_always_written() {
        let index = IndexFile::parse(br#"{"schemaVersion":2,"manifests":null,"x":1}"#).expect("valid");
        let text = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"x":1}"#;
        assert_eq!(String::from_utf8(index.print()).expect("text"), text);
    }

    #[test]
    fn item_31_unknown_members_keep_value_and_place() {
        let (one, two) = (root("1").digest, root("2").digest);
        let text = format!(
            r#"{{"z":[1.5],"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"y":{{"b":1,"a":2}},"size":1,"digest":"{one}","mediaType":"application/x"}},{{"mediaType":"application/x","digest":"{two}","size":1,"annotations":{{"org.opencontainers.image.ref.name":"t"}}}}],"a":null}}"#
        );
        let mut index = IndexFile::parse(text.as_bytes()).expect("valid");
        assert_eq!(String::from_utf8(index.print()).expect("text"), text);
        index.publish(&[(tag("new"), root("3"))]).expect("a good tag");
        index.forget(Path::new("x"), &Selector::Tag("new".into())).expect("it is there");
        assert_eq!(String::from_utf8(index.print()).expect("text"), text);
    }

    #[test]
    fn a_tag_is_replaced_in_its_place() {
        let mut index = IndexFile::new();
        index.publish(&[(tag("a"), root("1")), (tag("b"), root("2"))]).expect("good tags");
        index.publish(&[(tag("a"), root("3"))]).expect("a good tag");
        assert_eq!(names(&index), [(tag("a"), root("3")), (tag("b"), root("2"))]);
    }

    #[test]
    fn item_6_all_entries_of_a_tag_are_replaced_together() {
        let mut index = IndexFile::new();
        index
            .publish(&[(tag("a"), root("1")), (tag("b"), root("9")), (tag("a"), root("2"))])
            .expect("good tags");
        assert_eq!(names(&index), [(tag("a"), root("1")), (tag("a"), root("2")), (tag("b"), root("9"))]);
        index.publish(&[(tag("a"), root("3"))]).expect("a good tag");
        assert_eq!(names(&index), [(tag("a"), root("3")), (tag("b"), root("9"))]);
    }

    #[test]
    fn every_entry_of_a_digest_is_forgotten_at_once() {
        let mut index = IndexFile::new();
        index
            .publish(&[(tag("a"), root("1")), (tag("b"), root("2")), (tag("c"), root("1"))])
            .expect("good tags");
        let gone = index.forget(Path::new("x"), &Selector::Digest(root("1").digest)).expect("they are there");
        assert_eq!(gone.len(), 2);
        assert_eq!(names(&index), [(tag("b"), root("2"))]);
    }

    #[test]
    fn an_untagged_root_is_listed_once_and_takes_a_tag() {
        let mut index = IndexFile::new();
        index.publish(&[(Name::Untagged, root("1")), (Name::Untagged, root("1"))]).expect("no tags");
        assert_eq!(names(&index), [(Name::Untagged, root("1"))]);
        index.publish(&[(tag("b"), root("2")), (tag("a"), root("1"))]).expect("good tags");
        assert_eq!(names(&index), [(tag("a"), root("1")), (tag("b"), root("2"))]);
        index.publish(&[(Name::Untagged, root("1"))]).expect("no tag");
        assert_eq!(index.entries.len(), 2);
    }

    #[test]
    fn another_tag_takes_the_full_name_away() {
        let mut full = root("1");
        full.annotations.insert(IMAGE_NAME.into(), "docker.io/library/x:1".into());
        full.annotations.insert(REF_NAME.into(), "1".into());
        let mut index = IndexFile::new();
        index.publish(&[(tag("1"), full.clone()), (tag("2"), full)]).expect("good tags");
        assert!(index.entries[0].1.annotations.contains_key(IMAGE_NAME));
        assert!(!index.entries[1].1.annotations.contains_key(IMAGE_NAME));
    }

    #[test]
    fn item_5_only_good_tags_are_written() {
        let mut index = IndexFile::new();
        for good in ["v1", "app/org.x/x86_64/stable", "docker.io/library/x:1"] {
            index.publish(&[(tag(good), root("1"))]).expect(good);
        }
        for bad in ["", "a b", "../x\n", "a//b"] {
            assert!(matches!(index.publish(&[(tag(bad), root("1"))]), Err(Error::BadTag { .. })), "{bad}");
        }
    }
}
