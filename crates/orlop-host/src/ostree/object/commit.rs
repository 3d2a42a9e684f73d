//! Commits.

use super::super::id::ObjectId;
use super::super::variant::{Dict, View, Writer, nul_ended};
use super::{Malformed, reference};

const TYPE: &str = "(a{sv}aya(say)sstayay)";

/// A tree at a point in time, and what was said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Anything, in an order that is part of the id.
    pub metadata: Dict,
    /// The commit before it.
    pub parent: Option<ObjectId>,
    /// Commits by name; no tool writes any.
    pub related: Vec<(Box<str>, ObjectId)>,
    /// One line.
    pub subject: String,
    /// Further lines.
    pub body: String,
    /// Seconds since 1970.
    pub time: u64,
    /// The dirtree of the root.
    pub tree: ObjectId,
    /// The dirmeta of the root.
    pub meta: ObjectId,
}

impl Commit {
    /// Out of the bytes of an object.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let [metadata, parent, related, subject, body, time, tree, meta] =
            View::parse(TYPE, bytes)?.members();
        let related = related.children().map(|pair| {
            let [name, id] = pair.members();
            Ok((name.text().into(), reference(id)?))
        });
        Ok(Self {
            metadata: Dict::from_view(metadata),
            parent: if parent.bytes().is_empty() { None } else { Some(reference(parent)?) },
            related: related.collect::<Result<_, Malformed>>()?,
            subject: subject.text().into(),
            body: body.text().into(),
            time: time.as_u64_swapped().unwrap_or_default(),
            tree: reference(tree)?,
            meta: reference(meta)?,
        })
    }

    /// The bytes of the object.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut related = Writer::new("a(say)");
        for (name, id) in &self.related {
            related.push(&Writer::new("(say)").push(&nul_ended(name)).push(id.as_bytes()).finish());
        }
        Writer::new(TYPE)
            .push(&self.metadata.to_bytes())
            .push(self.parent.as_ref().map_or(&[], ObjectId::as_bytes))
            .push(&related.finish())
            .push(&nul_ended(&self.subject))
            .push(&nul_ended(&self.body))
            .push(&self.time.to_be_bytes())
            .push(self.tree.as_bytes())
            .push(self.meta.as_bytes())
            .finish()
    }

    /// Its id.
    pub fn id(&self) -> ObjectId {
        ObjectId::of(&self.to_bytes())
    }

    /// What names the content alone: the root, whatever was said about it and when (`ostree.content-checksum`).
    pub fn content_id(&self) -> ObjectId {
        ObjectId::of(&[self.tree.as_bytes(), self.meta.as_bytes()].concat())
    }
}
