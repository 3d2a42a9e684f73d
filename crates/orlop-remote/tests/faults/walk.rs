//! What the client does while a fault strikes.

use crate::world::World;
use orlop_spec::network::Journal as _;
use orlop_spec::port::{Catalog as _, Hints, Name, Result, Selector, Sink, Source};
use orlop_spec::{Descriptor, Digest, Document, Fault, Manifest, MediaType};
use serde_json::Value;
use std::io::Read as _;
use testkit::fault_server::Walk;
use testkit::image::{Image, Layout, MANIFEST, Packing, blob_path};
use testkit::noise;
use testkit::suites::memory::Memory;
use testkit::tarball::{Member, tar};

/// What is moved: two layers that nothing compresses, a config, a manifest.
pub(crate) struct Goods {
    pub(crate) layout: Layout,
    pub(crate) root: Descriptor,
    /// Children of the manifest with their bytes.
    pub(crate) blobs: Vec<(Descriptor, Vec<u8>)>,
}

impl Goods {
    /// Layers of about `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        let layers = [1, 2].map(|seed| tar([Member::file("noise", noise(seed, size))]));
        let layout = Image::of(&layers, Packing::Plain).layout();
        let manifest = layout.manifest();
        let children = manifest["layers"].as_array().into_iter().flatten().chain([&manifest["config"]]);
        let blobs =
            children.map(|it| (descriptor(it), layout.files[&blob_path(text(&it["digest"]))].clone()));
        let (blobs, root) = (blobs.collect(), descriptor(&layout.index()["manifests"][0]));
        Self { layout, root, blobs }
    }

    /// Bytes of all layers, and the config.
    pub(crate) fn size(&self) -> u64 {
        self.blobs.iter().map(|(blob, _)| blob.size).sum()
    }

    pub(crate) fn manifest(&self) -> Vec<u8> {
        self.layout.files[&self.layout.manifest_path()].clone()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn descriptor(value: &Value) -> Descriptor {
    let digest: Digest = text(&value["digest"]).parse().expect("a digest");
    Descriptor::new(
        MediaType::new(text(&value["mediaType"])),
        digest,
        value["size"].as_u64().expect("a size"),
    )
}

/// The goods as they must be before the walk.
pub(crate) fn prepare(world: &World, walk: Walk, goods: &Goods) {
    let mut shelf = world.server.shelf();
    match walk {
        Walk::Pull => drop(shelf.put_layout("app", "1", &goods.layout)),
        Walk::Tags => {
            shelf.tags.extend(["1", "2", "3"].map(|tag| (("app".into(), tag.into()), String::new())));
        }
        Walk::Push | Walk::Chunks => {}
        Walk::Mount => {
            for (blob, bytes) in &goods.blobs {
                shelf.blobs.insert(("base".into(), blob.digest.to_string()), bytes.clone());
                world.notes.note_holder(world.site(), &blob.digest, "base");
            }
        }
    }
}

/// Walks; what comes of it is in memory or on the server's shelf.
pub(crate) fn walk(world: &World, walk: Walk, goods: &Goods, memory: &Memory) -> Result<()> {
    match walk {
        Walk::Pull => pull(world, memory),
        Walk::Push | Walk::Chunks | Walk::Mount => push(world, goods),
        Walk::Tags => tags(world).map(drop),
    }
}

fn pull(world: &World, memory: &Memory) -> Result<()> {
    let remote = world.open()?;
    let root = remote.resolve(&Selector::Tag("1".into()))?.remove(0);
    let mut bytes = Vec::new();
    let read = remote.origin(&root)?.open(0)?.read_to_end(&mut bytes);
    read.map_err(|error| Fault::io("read a manifest", error))?;
    let manifest = Document::<Manifest>::open(bytes, root.clone())?;
    for blob in manifest.layers.iter().chain([&manifest.config, &root]) {
        memory.put(blob, &*remote.origin(blob)?, &Hints::default())?;
    }
    Box::new(memory.clone()).finish(&[(Name::Tag("1".into()), root)])
}

fn push(world: &World, goods: &Goods) -> Result<()> {
    let sink = world.create()?;
    for (blob, bytes) in &goods.blobs {
        sink.put(blob, bytes, &Hints::default())?;
    }
    sink.put(&goods.root, &goods.manifest(), &Hints::default())?;
    Box::new(sink).finish(&[(Name::Tag("1".into()), goods.root.clone())])
}

/// The tags that are there.
pub(crate) fn tags(world: &World) -> Result<Vec<Name>> {
    Ok(world.open()?.list()?.into_iter().map(|(name, _)| name).collect())
}

/// Whether a blob of the goods is what it should be, as far as memory has it.
pub(crate) fn is_right(memory: &Memory, blob: &Descriptor, bytes: &[u8]) -> Option<bool> {
    let mut found = Vec::new();
    memory.origin(blob).ok()?.open(0).ok()?.read_to_end(&mut found).ok()?;
    Some(found == bytes)
}

/// The media type of what the walks put last.
pub(crate) const ROOT: &str = MANIFEST;
