//! Walks over documents: they end, they cost no more than they may, and they open nothing that they need not.

use orlop_spec::context::{Cancel, Context, Limits};
use orlop_spec::graph::{self, Node, TooDeep, TooLarge, TooManyLayers};
use orlop_spec::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use orlop_spec::port::{Origin, Result, Selector, Source};
use orlop_spec::{
    Algorithm, AnyDigest, Descriptor, Diagnose, Digest, Fault, Index, Kind, Manifest, MediaType,
};
use serde::Serialize;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;

/// Blobs in memory; remembers what was opened.
#[derive(Default)]
struct Memory {
    blobs: HashMap<AnyDigest, Vec<u8>>,
    opened: Mutex<Vec<AnyDigest>>,
}

impl Memory {
    fn add(&mut self, bytes: Vec<u8>, media_type: &str) -> Descriptor {
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let descriptor = Descriptor::new(MediaType::new(media_type), digest, bytes.len() as u64);
        self.blobs.insert(descriptor.digest.clone(), bytes);
        descriptor
    }

    fn document(&mut self, value: &impl Serialize, media_type: &str) -> Descriptor {
        self.add(serde_json::to_vec(value).expect("a value"), media_type)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no such blob")]
struct NoSuchBlob;

impl Diagnose for NoSuchBlob {
    fn kind(&self) -> Kind {
        Kind::NotFound
    }
}

impl Source for Memory {
    fn resolve(&self, _: &Selector) -> Result<Vec<Descriptor>> {
        Err(Fault::new(NoSuchBlob))
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        self.opened.lock().expect("one thread").push(blob.digest.clone());
        let bytes = self.blobs.get(&blob.digest).ok_or_else(|| Fault::new(NoSuchBlob))?;
        Ok(Box::new(bytes.clone()))
    }
}

fn walk(memory: &Memory, root: &Descriptor, limits: &Limits) -> Result<Vec<Node>> {
    let context = Context { observer: &(), cancel: &Cancel::new(), limits, workers: NonZeroUsize::MIN };
    graph::walk(&context, memory, root, &graph::all)
}

/// `depth` indexes, each of which names the next, and a manifest below them.
fn chain(memory: &mut Memory, depth: usize) -> Descriptor {
    let config = memory.add(b"{}".to_vec(), OCI_CONFIG);
    let layer = memory.add(b"layer".to_vec(), OCI_LAYER);
    let mut entry = memory.document(&Manifest::new(config, vec![layer]), OCI_MANIFEST);
    for _ in 0..depth {
        entry = memory.document(&Index::new(vec![entry.clone(), entry]), OCI_INDEX);
    }
    entry
}

/// item 29, J3
#[test]
fn nested_indexes_are_walked_up_to_the_limit() {
    let limits = Limits::default();
    let mut memory = Memory::default();
    let root = chain(&mut memory, 16);
    let nodes = walk(&memory, &root, &limits).expect("deep, but allowed");
    assert_eq!(nodes.len(), 16 + 3, "each document once, although every index names its entry twice");
    assert_eq!(
        nodes.last().map(|node| &node.descriptor().digest),
        Some(&root.digest),
        "children before parents"
    );
    for depth in [17, 10_000] {
        let root = chain(&mut memory, depth);
        let error = walk(&memory, &root, &limits).expect_err("too deep");
        assert_eq!(error.kind(), Kind::Limit);
        assert!(error.downcast_ref::<TooDeep>().is_some());
    }
}

/// item 29: a digest cannot be that of a document that holds it, so a loop needs a digest that proves nothing.
#[test]
fn a_loop_is_not_entered() {
    let mut memory = Memory::default();
    let digest: AnyDigest = "foo:loop".parse().expect("fits the grammar");
    let mut entry = memory.document(&Index::new(Vec::new()), OCI_INDEX);
    entry.digest = digest.clone();
    let root = memory.document(&Index::new(vec![entry.clone()]), OCI_INDEX);
    memory.blobs.insert(digest, serde_json::to_vec(&Index::new(vec![entry])).expect("a value"));
    assert_eq!(walk(&memory, &root, &Limits::default()).expect("it ends").len(), 2);
}

#[test]
fn j3_documents_and_layers_are_as_many_as_the_limits_say_and_no_more() {
    let limits = Limits::default();
    let mut memory = Memory::default();
    let entry = memory.document(&Index::new(Vec::new()), OCI_INDEX);
    let root = memory.document(&Index::new(vec![entry.clone(); 25_000]), OCI_INDEX);
    assert!(root.size < limits.document);
    assert_eq!(walk(&memory, &root, &limits).expect("large, but allowed").len(), 2);
    let root = memory.document(&Index::new(vec![entry; 100_000]), OCI_INDEX);
    let error = walk(&memory, &root, &limits).expect_err("too large");
    assert!(error.downcast_ref::<TooLarge>().is_some_and(|found| found.limit == 4 << 20));

    let config = memory.add(b"{}".to_vec(), OCI_CONFIG);
    let layer = memory.add(b"layer".to_vec(), OCI_LAYER);
    let root = memory.document(&Manifest::new(config.clone(), vec![layer.clone(); 4096]), OCI_MANIFEST);
    assert!(walk(&memory, &root, &limits).is_ok());
    let root = memory.document(&Manifest::new(config, vec![layer; 4097]), OCI_MANIFEST);
    assert!(walk(&memory, &root, &limits).expect_err("too many").downcast_ref::<TooManyLayers>().is_some());
}

/// items 20, 21 and 24: blobs are named, not opened; no config and no layer of whatever type is parsed.
#[test]
fn only_documents_are_opened() {
    let mut memory = Memory::default();
    let config = memory.add(b"no json".to_vec(), "application/x.config");
    let layer = memory.add(b"no layer".to_vec(), "application/x.layer");
    let mut artifact = Manifest::new(config, vec![layer]);
    artifact.artifact_type = Some(MediaType::new("application/x.artifact"));
    let artifact = memory.document(&artifact, OCI_MANIFEST);
    let bare = memory.add(b"{}".to_vec(), OCI_CONFIG);
    let bare = memory.document(&Manifest::new(bare, Vec::new()), OCI_MANIFEST);
    let other = memory.add(b"anything".to_vec(), "application/x.own");
    let root = memory.document(&Index::new(vec![artifact.clone(), bare.clone(), other]), OCI_INDEX);
    let nodes = walk(&memory, &root, &Limits::default()).expect("all of it can be carried");
    assert_eq!(nodes.len(), 7);
    let opened = memory.opened.into_inner().expect("one thread");
    assert_eq!(opened, [root.digest, artifact.digest, bare.digest]);
}

#[test]
fn item_13_wrong_data_is_refused_wherever_it_stands() {
    let mut memory = Memory::default();
    let mut layer = memory.add(b"layer".to_vec(), OCI_LAYER);
    let config = memory.add(b"{}".to_vec(), OCI_CONFIG);
    layer.data = Some("bGF5ZXI=".into());
    let good = memory.document(&Manifest::new(config.clone(), vec![layer.clone()]), OCI_MANIFEST);
    assert!(walk(&memory, &good, &Limits::default()).is_ok());
    layer.data = Some("bGF5ZXJ=".into());
    let bad = memory.document(&Manifest::new(config, vec![layer]), OCI_MANIFEST);
    assert_eq!(walk(&memory, &bad, &Limits::default()).expect_err("wrong data").kind(), Kind::Integrity);
}
