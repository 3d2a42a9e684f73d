//! A commit itself, carried by the labels of an image.
//!
//! ```text
//! ostree.commit              64 digits
//! org.ostree.commit-object   base64 of the commit: its bytes, of which those digits are the SHA-256
//! org.ostree.commit-meta     base64 of its detached metadata, with the signatures, where it has any
//! ```
//!
//! Invariant: what was read is the commit that its id names.

use super::id::ObjectId;
use super::object::{Commit, Malformed};
use super::variant::{Dict, NotNormal};
use orlop_spec::base64;
use orlop_spec::descriptor::Annotations;

/// The id, as ostree-ext writes it too.
pub const COMMIT: &str = "ostree.commit";
/// The bytes.
pub const OBJECT: &str = "org.ostree.commit-object";
/// What was said of it later.
pub const DETACHED: &str = "org.ostree.commit-meta";

/// A commit, and what was said of it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The commit.
    pub commit: Commit,
    /// Its detached metadata; its bytes are those that were carried.
    pub detached: Option<Dict>,
}

/// Labels that carry no commit, though they say so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadCarried {
    /// Not base64.
    #[error("the label {label} is not base64")]
    Base64 {
        /// Which.
        label: &'static str,
    },
    /// Not a commit.
    #[error("the label {OBJECT} holds no commit")]
    Commit(#[source] Malformed),
    /// Not a dictionary.
    #[error("the label {DETACHED} holds no metadata")]
    Detached(#[source] NotNormal),
    /// Another commit than the one that is named.
    #[error("the label {OBJECT} holds the commit {found}, and {COMMIT} names {said}")]
    Another {
        /// What is named.
        said: Box<str>,
        /// What it is.
        found: ObjectId,
    },
}

impl Carried {
    /// Reads it; nothing where no commit is carried, whatever is named.
    pub fn parse(labels: &Annotations) -> Result<Option<Self>, BadCarried> {
        let Some(bytes) = bytes(labels, OBJECT)? else { return Ok(None) };
        let commit = Commit::parse(&bytes).map_err(BadCarried::Commit)?;
        let found = ObjectId::of(&bytes);
        match labels.get(COMMIT) {
            Some(said) if **said != found.to_string() => {
                return Err(BadCarried::Another { said: said.clone(), found });
            }
            _ => {}
        }
        let detached = bytes_of_dict(labels)?;
        Ok(Some(Self { commit, detached }))
    }

    /// As it is written.
    pub fn to_annotations(&self) -> Annotations {
        let mut labels = Annotations::new();
        labels.insert(COMMIT.into(), self.commit.id().to_string().into());
        labels.insert(OBJECT.into(), base64::encode(&self.commit.to_bytes()).into());
        if let Some(detached) = &self.detached {
            labels.insert(DETACHED.into(), base64::encode(&detached.to_bytes()).into());
        }
        labels
    }
}

fn bytes_of_dict(labels: &Annotations) -> Result<Option<Dict>, BadCarried> {
    let bytes = bytes(labels, DETACHED)?;
    bytes.map(|bytes| Dict::parse(&bytes).map_err(BadCarried::Detached)).transpose()
}

fn bytes(labels: &Annotations, label: &'static str) -> Result<Option<Vec<u8>>, BadCarried> {
    let text = labels.get(label);
    text.map(|text| base64::decode(text).ok_or(BadCarried::Base64 { label })).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ostree::variant::Variant;

    fn carried() -> Carried {
        let metadata = [("z", Variant::string("first")), ("a", Variant::u64(1))].into_iter().collect();
        let detached = [("ostree.gpgsigs", Variant::byte_strings(&[b"signature"]))].into_iter().collect();
        let (tree, meta) = (ObjectId([1; 32]), ObjectId([2; 32]));
        let (subject, body) = ("subject".to_owned(), String::new());
        let related = Vec::new();
        let commit = Commit { metadata, parent: Some(meta), related, subject, body, time: 9, tree, meta };
        Carried { commit, detached: Some(detached) }
    }

    #[test]
    fn a_commit_is_carried_with_its_signatures() {
        let labels = carried().to_annotations();
        assert_eq!(Carried::parse(&labels).expect("well-formed"), Some(carried()));
        let unsigned = Carried { detached: None, ..carried() };
        assert_eq!(Carried::parse(&unsigned.to_annotations()).expect("well-formed"), Some(unsigned));
    }

    #[test]
    fn an_id_alone_carries_nothing() {
        let mut labels = carried().to_annotations();
        labels.remove(OBJECT);
        assert_eq!(Carried::parse(&labels).expect("well-formed"), None);
    }

    #[test]
    fn a_label_that_was_changed_is_refused() {
        let changed = |label: &str, text: &str| {
            let mut labels = carried().to_annotations();
            labels.insert(label.into(), text.into());
            Carried::parse(&labels).expect_err("it was changed")
        };
        assert!(matches!(changed(COMMIT, &"0".repeat(64)), BadCarried::Another { .. }));
        let other = Carried { commit: Commit { time: 10, ..carried().commit }, detached: None };
        assert!(matches!(changed(OBJECT, &other.to_annotations()[OBJECT]), BadCarried::Another { .. }));
        assert!(matches!(changed(OBJECT, "no base64"), BadCarried::Base64 { label: OBJECT }));
        assert!(matches!(changed(OBJECT, "AAAA"), BadCarried::Commit(_)));
        assert!(matches!(changed(DETACHED, "AQID"), BadCarried::Detached(_)));
    }
}
