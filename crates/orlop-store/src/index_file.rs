//! `index.json`: the names of a layout, and the changes of them.
//!
//! Invariant: a change touches the entries that it speaks of. Every other member of the file, known or not,
//! keeps its value and its place. An entry that cannot be read spoils no other: it stays as it is, and only who asks
//! for it hears of it.

use crate::error::Error;
use crate::layout::INDEX;
use crate::select::{self, Entries};
use orlop_spec::document::{DocumentError, Parse as _};
use orlop_spec::index::REF_NAME;
use orlop_spec::json::JsonError;
use orlop_spec::media_type::{DOCKER_LIST, DOCKER_MANIFEST, MediaType, OCI_INDEX};
use orlop_spec::port::{Name, Selector};
use orlop_spec::reference::is_ref_name;
use orlop_spec::{Descriptor, Fault, Index, json};
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;

/// Annotation by which containerd and docker name an image in full.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";

/// Said of a name by which other programs find nothing. Images without a name are found: no type is looked for.
const OVERLOOKED: &str = "in a layout, other programs look among OCI's media types for a name, and this image has Docker's; \
                          `orlop convert --media-types oci` gives it OCI's";

/// Why other programs do not find what a name leads to (image-spec, `image-index.md`, "mediaType": OCI's types must be understood,
/// and others may be).
pub(crate) fn overlooked(name: &Name, root: &Descriptor) -> Option<&'static str> {
    let is_docker = matches!(root.media_type.as_str(), DOCKER_MANIFEST | DOCKER_LIST);
    (is_docker && name.tag().is_some()).then_some(OVERLOOKED)
}

/// The content of `index.json`.
#[derive(Clone, Debug)]
pub(crate) struct IndexFile {
    members: Map<String, Value>,
    entries: Vec<(Name, Descriptor)>,
    /// Where each of them stands in the file.
    places: Vec<usize>,
    unreadable: Vec<Unreadable>,
}

/// An entry that is no descriptor.
#[derive(Clone, Debug)]
struct Unreadable {
    place: usize,
    name: Name,
    source: Arc<JsonError>,
}

impl IndexFile {
    /// An index without entries.
    pub(crate) fn new() -> Self {
        let empty = json::print(&Index::new(Vec::new()));
        Self::parse(&empty).expect("an empty index is an index")
    }

    /// Reads the file: its own members strictly, and every entry by itself.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let index = MediaType::new(OCI_INDEX);
        let Value::Object(mut members) = json::value(bytes)? else {
            return Err(Index::parse(bytes, &index).expect_err("an index is an object"));
        };
        let list = members.insert("manifests".into(), Value::Array(Vec::new()));
        let Some(list @ (Value::Array(_) | Value::Null)) = list else {
            return Err(Index::parse(bytes, &index).expect_err("an index has a list"));
        };
        Index::parse(&json::print(&members), &index)?;
        let mut file = Self { members, entries: Vec::new(), places: Vec::new(), unreadable: Vec::new() };
        let Value::Array(list) = list else { return Ok(file) };
        for (place, value) in list.iter().enumerate() {
            match json::parse::<Descriptor>(&json::print(value)) {
                Ok(root) => {
                    file.entries.push((name_of(&root), root));
                    file.places.push(place);
                }
                Err(error) => {
                    let source = Arc::new(error);
                    file.unreadable.push(Unreadable { place, name: name_in(value), source });
                }
            }
        }
        *file.list() = list;
        Ok(file)
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

    /// What the file lists, in its order, but for what cannot be read.
    pub(crate) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Whether the file lists nothing, readable or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.unreadable.is_empty()
    }

    /// What `selector` means among [`Self::entries`]; an error where it may mean an entry that cannot be read.
    pub(crate) fn readable(&self, layout: &Path, selector: &Selector) -> Result<Selector, Error> {
        if let Some(bad) = self.unreadable.iter().find(|bad| bad.is_meant(selector)) {
            return Err(bad.error(layout));
        }
        match selector {
            Selector::At(place) => {
                let before = self.unreadable.iter().filter(|bad| bad.place < *place).count();
                Ok(Selector::At(place - before))
            }
            Selector::Only if !self.unreadable.is_empty() => {
                self.all_readable(layout).map_err(|bad| match self.entries.len() {
                    0 => bad,
                    count => select::several(layout, &self.entries, count + self.unreadable.len()),
                })?;
                Ok(Selector::Only)
            }
            selector => Ok(selector.clone()),
        }
    }

    /// Why each entry that cannot be read cannot.
    pub(crate) fn unreadable(&self, layout: &Path) -> Vec<Fault> {
        self.unreadable.iter().map(|bad| bad.error(layout).into()).collect()
    }

    /// An error where any entry cannot be read: what it names cannot be known.
    pub(crate) fn all_readable(&self, layout: &Path) -> Result<(), Error> {
        self.unreadable.first().map_or(Ok(()), |bad| Err(bad.error(layout)))
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
        let bad = self.forget_unreadable(selector);
        if bad > 0 && matches!(selector, Selector::At(_)) {
            return Ok(Vec::new());
        }
        let selector = &self.readable(place, selector)?;
        if *selector == Selector::Only {
            select::select(place, &self.entries, selector)?;
        }
        let gone: Vec<usize> = self.positions(|entry| select::matches(entry, selector));
        if gone.is_empty() && bad == 0 {
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

    /// Removes what has the tag; the place of the first of it.
    fn make_room(&mut self, tag: &str) -> Option<usize> {
        self.forget_unreadable(&Selector::Tag(tag.into()));
        let held = self.positions(|(_, (name, _))| is_tag(name, tag));
        let place = held.first().map(|position| self.places[*position]);
        for position in held.into_iter().rev() {
            self.remove(position);
        }
        place
    }

    fn after_last(&self, tag: &str) -> Option<usize> {
        let last = self.entries.iter().rposition(|(name, _)| is_tag(name, tag))?;
        Some(self.places[last] + 1)
    }

    /// Removes an untagged entry of the same root; its place.
    fn take_twin(&mut self, root: &Descriptor) -> Option<usize> {
        let is_twin =
            |(name, entry): &(Name, Descriptor)| *name == Name::Untagged && entry.digest == root.digest;
        let position = self.entries.iter().position(is_twin)?;
        let place = self.places[position];
        self.remove(position);
        Some(place)
    }

    fn positions(&self, wanted: impl Fn((usize, &(Name, Descriptor))) -> bool) -> Vec<usize> {
        self.entries.iter().enumerate().filter(|entry| wanted(*entry)).map(|(position, _)| position).collect()
    }

    /// Puts an entry at a place of the file, else at its end.
    fn insert(&mut self, place: Option<usize>, name: &Name, root: &Descriptor) {
        let root = named(root, name);
        let value = serde_json::to_value(&root).expect("descriptors have string keys");
        let place = place.unwrap_or(self.list().len());
        self.list().insert(place, value);
        self.move_places(|other| if other >= place { other + 1 } else { other });
        let position = self.places.partition_point(|other| *other < place);
        self.entries.insert(position, (name.clone(), root));
        self.places.insert(position, place);
    }

    fn remove(&mut self, position: usize) -> (Name, Descriptor) {
        let place = self.places.remove(position);
        self.remove_value(place);
        self.entries.remove(position)
    }

    /// Removes the entries that cannot be read and that `selector` speaks of; how many they were.
    fn forget_unreadable(&mut self, selector: &Selector) -> usize {
        let mut count = 0;
        while let Some(at) = self.unreadable.iter().position(|bad| bad.is_meant(selector)) {
            let bad = self.unreadable.remove(at);
            self.remove_value(bad.place);
            count += 1;
            if matches!(selector, Selector::At(_)) {
                break;
            }
        }
        count
    }

    fn remove_value(&mut self, place: usize) {
        self.list().remove(place);
        self.move_places(|other| if other > place { other - 1 } else { other });
    }

    fn move_places(&mut self, to: impl Fn(usize) -> usize) {
        let unreadable = self.unreadable.iter_mut().map(|bad| &mut bad.place);
        self.places.iter_mut().chain(unreadable).for_each(|place| *place = to(*place));
    }

    fn list(&mut self) -> &mut Vec<Value> {
        self.members["manifests"].as_array_mut().expect("made an array when it was read")
    }
}

impl Unreadable {
    fn is_meant(&self, selector: &Selector) -> bool {
        match selector {
            Selector::Tag(tag) => is_tag(&self.name, tag),
            Selector::At(place) => self.place == *place,
            Selector::Only | Selector::Digest(_) => false,
        }
    }

    fn error(&self, layout: &Path) -> Error {
        let (file, position, source) = (layout.join(INDEX), self.place, self.source.clone());
        Error::Unreadable { file, position, source }
    }
}

/// The name that an entry bears.
fn name_of(root: &Descriptor) -> Name {
    match root.annotations.get(REF_NAME) {
        Some(tag) if !tag.is_empty() => Name::Tag(tag.clone()),
        _ => Name::Untagged,
    }
}

/// The name that a value bears which is no descriptor.
fn name_in(value: &Value) -> Name {
    let tag = value.get("annotations").and_then(|annotations| annotations.get(REF_NAME)?.as_str());
    tag.filter(|tag| !tag.is_empty()).map_or(Name::Untagged, |tag| Name::Tag(tag.into()))
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

    /// Three entries: a good one, one without a media type, and another good one.
    fn with_a_bad_one() -> IndexFile {
        let mut index = IndexFile::new();
        index
            .publish(&[(tag("a"), root("1")), (tag("bad"), root("2")), (tag("c"), root("3"))])
            .expect("tags");
        index.list()[1].as_object_mut().expect("a descriptor").remove("mediaType");
        IndexFile::parse(&index.print()).expect("only one entry is bad")
    }

    #[test]
    fn an_entry_that_cannot_be_read_spoils_no_other() {
        let index = with_a_bad_one();
        let known =
            |index: &IndexFile| index.entries.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(known(&index), [tag("a"), tag("c")]);
        let meant = |selector: &Selector| index.readable(Path::new("x"), selector);
        assert!(matches!(meant(&Selector::At(2)), Ok(Selector::At(1))));
        assert!(meant(&Selector::Tag("c".into())).is_ok());
        for bad in [Selector::At(1), Selector::Tag("bad".into())] {
            assert!(matches!(meant(&bad), Err(Error::Unreadable { position: 1, .. })), "{bad}");
        }
        assert!(matches!(meant(&Selector::Only), Err(Error::SeveralImages { count: 3, .. })));
    }

    #[test]
    fn an_entry_that_cannot_be_read_stays_until_its_own_name_is_changed() {
        let mut index = with_a_bad_one();
        let bad = index.list()[1].clone();
        index.publish(&[(tag("a"), root("4")), (tag("d"), root("5"))]).expect("good tags");
        index.forget(Path::new("x"), &Selector::At(0)).expect("it is there");
        assert_eq!((index.list()[0].clone(), index.list().len()), (bad, 3));
        assert_eq!(names(&index), [(tag("c"), root("3")), (tag("d"), root("5"))]);
        let mut retagged = index.clone();
        retagged.publish(&[(tag("bad"), root("6"))]).expect("a good tag");
        assert_eq!(names(&retagged).len(), 3);
        assert!(retagged.all_readable(Path::new("x")).is_ok());
        assert!(index.forget(Path::new("x"), &Selector::Tag("bad".into())).expect("it is there").is_empty());
        assert_eq!(index.list().len(), 2);
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
