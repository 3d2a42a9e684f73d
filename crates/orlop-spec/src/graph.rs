//! The documents that a root reaches: indexes, manifests, and the blobs that they name.
//!
//! Invariant: a walk ends. Every blob is visited once, nesting is limited, and a digest that names one of its
//! own ancestors cannot exist twice on a path, because visited documents are not opened again. What is held of
//! documents is bounded in sum.

use crate::context::{Context, Limits};
use crate::descriptor::Descriptor;
use crate::diagnose::{Diagnose, Fault, Kind};
use crate::digest::AnyDigest;
use crate::document::{Document, DocumentError, Parse};
use crate::index::Index;
use crate::manifest::Manifest;
use crate::media_type::Role;
use crate::port::{Result, Source};
use std::collections::HashMap;
use std::io::Read as _;

/// Reads and proves one document.
pub fn read<T: Parse>(limits: &Limits, source: &dyn Source, descriptor: &Descriptor) -> Result<Document<T>> {
    Ok(Document::open(read_raw(limits, source, descriptor)?, descriptor.clone())?)
}

/// Reads the bytes of a blob that must fit the limit of documents, not proven yet.
pub fn read_raw(limits: &Limits, source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<u8>> {
    if descriptor.size > limits.document {
        return Err(Fault::new(TooLarge {
            descriptor: Box::new(descriptor.clone()),
            limit: limits.document,
        }));
    }
    let mut raw = Vec::with_capacity(usize::try_from(descriptor.size).unwrap_or(0) + 1);
    let origin = source.origin(descriptor)?;
    let read = origin.open(0)?.take(descriptor.size + 1).read_to_end(&mut raw);
    read.map_err(|error| Fault::io(format!("read {}", descriptor.digest), error))?;
    Ok(raw)
}

/// One blob of a walk.
#[derive(Clone, Debug)]
pub enum Node {
    /// An index, after everything below it.
    Index(Box<Document<Index>>),
    /// A manifest, after its config and layers.
    Manifest(Box<Document<Manifest>>),
    /// A blob that a manifest names, or one of unknown type that an index names.
    Blob(Box<Descriptor>),
}

impl Node {
    /// The descriptor that names the blob.
    pub fn descriptor(&self) -> &Descriptor {
        match self {
            Self::Index(document) => document.descriptor(),
            Self::Manifest(document) => document.descriptor(),
            Self::Blob(descriptor) => descriptor,
        }
    }
}

/// Which children of an index a walk enters.
pub type Choose<'a> = &'a dyn Fn(&Document<Index>) -> Result<Vec<Descriptor>>;

/// Every child.
pub fn all(index: &Document<Index>) -> Result<Vec<Descriptor>> {
    Ok(index.manifests.clone())
}

/// Everything that `root` reaches, children before parents, each blob once.
pub fn walk(
    cx: &Context<'_>,
    source: &dyn Source,
    root: &Descriptor,
    choose: Choose<'_>,
) -> Result<Vec<Node>> {
    let mut walk =
        Walk { cx, source, choose, seen: HashMap::new(), nodes: Vec::new(), held: Held::new(cx.limits) };
    walk.enter(root, 0)?;
    Ok(walk.nodes)
}

struct Walk<'a> {
    cx: &'a Context<'a>,
    source: &'a dyn Source,
    choose: Choose<'a>,
    /// Sizes by digest and whether it was opened as a document: one blob may be a layer to one parent and a
    /// manifest to another.
    seen: HashMap<(AnyDigest, bool), u64>,
    nodes: Vec<Node>,
    held: Held,
}

impl Walk<'_> {
    fn enter(&mut self, descriptor: &Descriptor, depth: u32) -> Result<()> {
        self.cx.cancel.check()?;
        if !self.is_new(descriptor, descriptor.media_type.is_document())? {
            return Ok(());
        }
        match (descriptor.digest.known().is_ok(), descriptor.media_type.role()) {
            (true, Role::Index) => self.index(descriptor, depth),
            (true, Role::Manifest) => self.manifest(descriptor),
            _ => {
                self.nodes.push(Node::Blob(Box::new(descriptor.clone())));
                Ok(())
            }
        }
    }

    /// Whether the blob was not met before in this role. Every descriptor of it must say the same.
    fn is_new(&mut self, descriptor: &Descriptor, as_document: bool) -> Result<bool> {
        descriptor.prove_data()?;
        let key = (descriptor.digest.clone(), as_document);
        match self.seen.insert(key, descriptor.size) {
            Some(found) if found != descriptor.size => {
                Err(DocumentError::WrongSize { found, expected: Box::new(descriptor.clone()) }.into())
            }
            known => Ok(known.is_none()),
        }
    }

    fn index(&mut self, descriptor: &Descriptor, depth: u32) -> Result<()> {
        if depth >= self.cx.limits.index_depth {
            return Err(Fault::new(TooDeep { limit: self.cx.limits.index_depth }));
        }
        self.held.add(descriptor)?;
        let index = read::<Index>(self.cx.limits, self.source, descriptor)?;
        for child in (self.choose)(&index)? {
            self.enter(&child, depth + 1)?;
        }
        self.nodes.push(Node::Index(Box::new(index)));
        Ok(())
    }

    fn manifest(&mut self, descriptor: &Descriptor) -> Result<()> {
        self.held.add(descriptor)?;
        let manifest = read::<Manifest>(self.cx.limits, self.source, descriptor)?;
        if manifest.layers.len() > self.cx.limits.layers {
            return Err(Fault::new(TooManyLayers { limit: self.cx.limits.layers }));
        }
        for blob in manifest.blobs() {
            if self.is_new(blob, false)? {
                self.nodes.push(Node::Blob(Box::new(blob.clone())));
            }
        }
        self.nodes.push(Node::Manifest(Box::new(manifest)));
        Ok(())
    }
}

/// How many bytes of documents are held.
#[derive(Clone, Debug)]
pub struct Held {
    bytes: u64,
    limit: u64,
}

impl Held {
    /// None so far.
    pub fn new(limits: &Limits) -> Self {
        Self { bytes: 0, limit: limits.documents }
    }

    /// One more document; an error where that is too much.
    pub fn add(&mut self, document: &Descriptor) -> Result<(), TooManyDocuments> {
        self.bytes = self.bytes.saturating_add(document.size);
        if self.bytes > self.limit { Err(TooManyDocuments { limit: self.limit }) } else { Ok(()) }
    }
}

/// Documents have more bytes together than may be held.
#[derive(Debug, thiserror::Error)]
#[error("the manifests and indexes of what is copied have more than {limit} bytes")]
pub struct TooManyDocuments {
    /// Bytes allowed.
    pub limit: u64,
}

impl Diagnose for TooManyDocuments {
    fn kind(&self) -> Kind {
        Kind::Limit
    }

    fn hint(&self) -> Option<String> {
        Some("copy fewer images at once: `orlop sync` takes the tags of a place one after the other".into())
    }
}

impl From<TooManyDocuments> for Fault {
    fn from(error: TooManyDocuments) -> Self {
        Self::new(error)
    }
}

/// A document is larger than the limit.
#[derive(Debug, thiserror::Error)]
#[error("{} is {} bytes long, and a document may have {limit}", descriptor.digest, descriptor.size)]
pub struct TooLarge {
    /// What was named.
    pub descriptor: Box<Descriptor>,
    /// Bytes allowed.
    pub limit: u64,
}

/// Indexes are nested deeper than the limit.
#[derive(Debug, thiserror::Error)]
#[error("indexes are nested deeper than {limit}")]
pub struct TooDeep {
    /// Levels allowed.
    pub limit: u32,
}

/// An image has more layers than the limit.
#[derive(Debug, thiserror::Error)]
#[error("the image has more than {limit} layers")]
pub struct TooManyLayers {
    /// Layers allowed.
    pub limit: usize,
}

impl Diagnose for TooLarge {
    fn kind(&self) -> Kind {
        Kind::Limit
    }

    fn hint(&self) -> Option<String> {
        Some("if it is an image all the same, allow more with --max-document 16M".into())
    }
}

impl Diagnose for TooDeep {
    fn kind(&self) -> Kind {
        Kind::Limit
    }
}

impl Diagnose for TooManyLayers {
    fn kind(&self) -> Kind {
        Kind::Limit
    }
}
