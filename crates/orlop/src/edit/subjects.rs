//! Which documents of a walk speak of which others: by a `subject`, or by an annotation of their entry in an index.
//!
//! Invariant: a document names others by digest, so that no chain of them is a circle.

use crate::draft::SPEAKS_ABOUT;
use orlop_spec::graph::Node;
use orlop_spec::{AnyDigest, Descriptor};
use std::collections::{HashMap, HashSet};

/// What speaks of what.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    about: HashMap<AnyDigest, Vec<AnyDigest>>,
    /// What entries of indexes say to attest something.
    attesting: HashSet<AnyDigest>,
}

impl Subjects {
    /// Of the documents of a walk.
    pub(super) fn of(nodes: &[Node]) -> Self {
        let mut subjects = Self::default();
        for node in nodes {
            let (subject, entries) = match node {
                Node::Manifest(manifest) => (manifest.subject.as_ref(), &[][..]),
                Node::Index(index) => (index.subject.as_ref(), &index.manifests[..]),
                Node::Blob(_) => continue,
            };
            if let Some(subject) = subject {
                subjects.add(&node.descriptor().digest, subject.digest.clone());
            }
            for entry in entries {
                let Some(named) = named(entry) else { continue };
                subjects.add(&entry.digest, named);
                subjects.attesting.insert(entry.digest.clone());
            }
        }
        subjects
    }

    fn add(&mut self, document: &AnyDigest, subject: AnyDigest) {
        self.about.entry(document.clone()).or_default().push(subject);
    }

    /// Of which others a document speaks.
    pub(super) fn about(&self, document: &AnyDigest) -> &[AnyDigest] {
        self.about.get(document).map_or(&[], Vec::as_slice)
    }

    /// Whether an index says of a document that it attests another.
    pub(super) fn attests(&self, document: &AnyDigest) -> bool {
        self.attesting.contains(document)
    }

    /// The nodes of the walk: what is spoken of comes before what speaks of it, and children before parents.
    pub(super) fn in_order(&self, nodes: Vec<Node>) -> Vec<Node> {
        let documents = nodes.iter().enumerate().filter(|(_, node)| !matches!(node, Node::Blob(_)));
        let places: HashMap<AnyDigest, usize> =
            documents.map(|(at, node)| (node.descriptor().digest.clone(), at)).collect();
        let first = |node: &Node| -> Vec<usize> {
            let children = match node {
                Node::Index(index) => index.manifests.iter().map(|child| &child.digest).collect(),
                _ => Vec::new(),
            };
            let about = self.about(&node.descriptor().digest);
            about.iter().chain(children).filter_map(|digest| places.get(digest)).copied().collect()
        };
        let (mut order, mut seen) = (Vec::with_capacity(nodes.len()), vec![false; nodes.len()]);
        for start in 0..nodes.len() {
            let mut open = vec![start];
            while let Some(&at) = open.last() {
                let is_document = !matches!(nodes[at], Node::Blob(_));
                if is_document && !seen[at] {
                    seen[at] = true;
                    open.extend(first(&nodes[at]).into_iter().rev().filter(|at| !seen[*at]));
                    continue;
                }
                open.pop();
                order.push(at);
            }
        }
        let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
        order.into_iter().filter_map(|at| nodes[at].take()).collect()
    }
}

/// Of what an entry of an index says that it speaks.
pub(super) fn named(entry: &Descriptor) -> Option<AnyDigest> {
    entry.annotations.get(SPEAKS_ABOUT)?.parse().ok()
}
