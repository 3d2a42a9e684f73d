//! Which commit an image says it was made of, and whether it is that.
//!
//! ```text
//! labels ──► Claim ──┐
//!                    ├──► Identity: the commit itself, the commit rebuilt, another tree, or nothing was said
//! root of the tree ──┘
//! ```
//!
//! Invariant: a commit is given back only where its id is the one that was said, over the tree that the image holds.

use super::carried::{self, Carried};
use super::id::ObjectId;
use super::identity::{self, Sought};
use super::object::Commit;
use crate::error::Error;
use crate::flatpak::labels::Labels;
use orlop_spec::descriptor::Annotations;
use orlop_spec::{Cancel, Cancelled};
use std::fmt;
use std::num::NonZeroUsize;

/// What an image says of the commit that it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// All of it.
    Carried(Box<Carried>),
    /// Its id, and everything but the order of its metadata. The tree is not known yet.
    Labelled {
        /// The id.
        id: ObjectId,
        /// What the labels say.
        commit: Box<Commit>,
    },
    /// Its id alone: the commit is in the layers, but where those of it end is not told.
    Named(ObjectId),
    /// Nothing.
    None,
}

/// The folder that a tree begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its names.
    pub tree: ObjectId,
    /// Its owner, mode and attributes.
    pub meta: ObjectId,
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The commit came as it was.
    Lossless(Box<Carried>),
    /// The commit was put together again, after so many orders of its metadata.
    Rebuilt {
        /// The commit.
        commit: Box<Commit>,
        /// Orders that were tried.
        tried: u64,
    },
    /// The image is not what it says.
    Differs {
        /// The commit that it speaks of.
        id: ObjectId,
        /// What differs.
        difference: Difference,
    },
    /// The image says nothing.
    Unclaimed,
}

/// What differs between a commit and the image that speaks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Files or folders beneath the root.
    Tree {
        /// The dirtree of the commit.
        said: ObjectId,
        /// That of the image.
        found: ObjectId,
    },
    /// Owner, mode or attributes of the root.
    Meta {
        /// The dirmeta of the commit.
        said: ObjectId,
        /// That of the image.
        found: ObjectId,
    },
    /// The tree, or something that the labels leave out: no order of the metadata gives the id.
    Something {
        /// The content of the image.
        found: ObjectId,
        /// Orders that were tried.
        tried: u64,
    },
    /// The commit is not in the labels but in the layers, as objects, and no label says which layers these are.
    Encapsulated,
    /// The image is the commit and more.
    Above {
        /// Layers that are not of the commit.
        layers: usize,
    },
    /// Not known: the metadata has too many orders.
    Unknown {
        /// Entries of the metadata.
        entries: usize,
    },
}

impl Identity {
    /// A commit that came whole, over the tree that came with it.
    pub fn of(carried: Carried, root: Root) -> Self {
        match difference(&carried.commit, root) {
            Some(difference) => Self::Differs { id: carried.commit.id(), difference },
            None => Self::Lossless(Box::new(carried)),
        }
    }
}

impl Claim {
    /// What the labels say.
    pub fn of(labels: &Annotations) -> Result<Self, Error> {
        if let Some(carried) = Carried::parse(labels)? {
            return Ok(Self::Carried(Box::new(carried)));
        }
        let named = labels.get(carried::COMMIT).and_then(|id| id.parse().ok());
        let labels = Labels::parse(labels)?;
        let Some(id) = labels.commit else { return Ok(named.map_or(Self::None, Self::Named)) };
        let unknown = ObjectId([0; 32]);
        let text = |text: Option<Box<str>>| text.map(String::from).unwrap_or_default();
        let commit = Commit {
            metadata: labels.commit_metadata,
            parent: labels.parent,
            related: Vec::new(),
            subject: text(labels.subject),
            body: text(labels.body),
            time: labels.time.unwrap_or(0),
            tree: unknown,
            meta: unknown,
        };
        Ok(Self::Labelled { id, commit: Box::new(commit) })
    }

    /// The id that is claimed.
    pub fn id(&self) -> Option<ObjectId> {
        match self {
            Self::Carried(carried) => Some(carried.commit.id()),
            Self::Labelled { id, .. } | Self::Named(id) => Some(*id),
            Self::None => None,
        }
    }

    /// What comes of it over the tree that the image holds.
    pub fn prove(self, root: Root, workers: NonZeroUsize, cancel: &Cancel) -> Result<Identity, Cancelled> {
        match self {
            Self::None => Ok(Identity::Unclaimed),
            Self::Named(id) => Ok(Identity::Differs { id, difference: Difference::Encapsulated }),
            Self::Carried(carried) => Ok(Identity::of(*carried, root)),
            Self::Labelled { id, commit } => {
                let commit = Commit { tree: root.tree, meta: root.meta, ..*commit };
                let found = commit.content_id();
                Ok(match identity::seek(&commit, &id, workers, cancel)? {
                    Sought::Found { commit, tried } => Identity::Rebuilt { commit, tried },
                    Sought::Differs { tried } => {
                        Identity::Differs { id, difference: Difference::Something { found, tried } }
                    }
                    Sought::TooMany { entries } => {
                        Identity::Differs { id, difference: Difference::Unknown { entries } }
                    }
                })
            }
        }
    }
}

fn difference(commit: &Commit, root: Root) -> Option<Difference> {
    if commit.tree != root.tree {
        return Some(Difference::Tree { said: commit.tree, found: root.tree });
    }
    (commit.meta != root.meta).then_some(Difference::Meta { said: commit.meta, found: root.meta })
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tree { said, found } => {
                write!(out, "its root is the dirtree {said}, the image's is {found}")
            }
            Self::Meta { said, found } => {
                write!(out, "its root has the dirmeta {said}, the image's has {found}")
            }
            Self::Something { found, tried } => write!(
                out,
                "no order of the labels gives its id over the content {found} of the image ({tried} were tried)"
            ),
            Self::Encapsulated => {
                write!(
                    out,
                    "it lies in the layers as objects of a repository, and ostree.final-diffid names none of them"
                )
            }
            Self::Above { layers: 1 } => write!(out, "a layer lies above it"),
            Self::Above { layers } => write!(out, "{layers} layers lie above it"),
            Self::Unknown { entries } => {
                write!(out, "its metadata has {entries} entries, too many to try their orders")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ostree::variant::{Dict, Variant};

    const ROOT: Root = Root { tree: ObjectId([1; 32]), meta: ObjectId([2; 32]) };

    fn commit() -> Commit {
        let metadata: Dict = [("z", "1"), ("a", "2"), ("m", "3")]
            .into_iter()
            .map(|(key, value)| (key, Variant::string(value)))
            .collect();
        let (subject, body) = ("subject".to_owned(), "body".to_owned());
        let Root { tree, meta } = ROOT;
        Commit { metadata, parent: Some(meta), related: Vec::new(), subject, body, time: 7, tree, meta }
    }

    fn prove(labels: &Annotations, root: Root) -> Identity {
        let claim = Claim::of(labels).expect("well-formed");
        claim.prove(root, NonZeroUsize::MIN, &Cancel::new()).expect("nobody stops it")
    }

    #[test]
    fn a_commit_that_was_carried_is_given_back_over_its_own_tree_alone() {
        let carried = Carried { commit: commit(), detached: None };
        let labels = carried.to_annotations();
        let (id, other) = (commit().id(), ObjectId([9; 32]));
        assert_eq!(prove(&labels, ROOT), Identity::Lossless(Box::new(carried)));
        let difference = Difference::Tree { said: ROOT.tree, found: other };
        assert_eq!(prove(&labels, Root { tree: other, ..ROOT }), Identity::Differs { id, difference });
        let difference = Difference::Meta { said: ROOT.meta, found: other };
        assert_eq!(prove(&labels, Root { meta: other, ..ROOT }), Identity::Differs { id, difference });
    }

    #[test]
    fn a_commit_is_rebuilt_from_the_labels_of_flatpak() {
        let labels = Labels::of_commit(None, &commit().id(), &commit(), None).to_annotations();
        let Identity::Rebuilt { commit: found, .. } = prove(&labels, ROOT) else { panic!("it is rebuilt") };
        assert_eq!(*found, commit());
        let differs = prove(&labels, Root { tree: ROOT.meta, ..ROOT });
        assert!(
            matches!(differs, Identity::Differs { id, difference: Difference::Something { .. } } if id == commit().id())
        );
    }

    #[test]
    fn a_commit_that_lies_in_the_layers_is_not_taken_for_restored() {
        let mut labels = Carried { commit: commit(), detached: None }.to_annotations();
        labels.remove(carried::OBJECT);
        let (id, difference) = (commit().id(), Difference::Encapsulated);
        assert_eq!(prove(&labels, ROOT), Identity::Differs { id, difference });
    }

    #[test]
    fn an_image_that_speaks_of_no_commit_has_none() {
        assert_eq!(prove(&Annotations::new(), ROOT), Identity::Unclaimed);
    }
}
