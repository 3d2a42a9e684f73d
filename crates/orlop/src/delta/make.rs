//! Makes the deltas of one image from an older one, and puts them beside others.

use super::{
    ARTIFACT, CODEC, CONFIG, CONTENT, FROM, IMAGE_CONFIG, IMAGE_LAYER, IMAGE_MANIFEST, NewSpool, SOURCE,
    TARGET, TO, advanced, files, from_of, manifests, says, spelled,
};
use crate::copy::{self, Account};
use crate::draft::put;
use crate::form::Form;
use crate::image::{Image, Layer};
use crate::layers;
use orlop_host::delta::{self, Files, Newer, Wanted};
use orlop_layer::Verified;
use orlop_layer::codec::{self, Codec, first_block, made_by};
use orlop_layer::encode::recompress;
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{MediaType, OCI_INDEX, OCI_MANIFEST};
use orlop_spec::port::{BlobWriter, Catalog, Hints, Name, Rest, Result, Selector, Sink, Transfer};
use orlop_spec::{
    Algorithm, Context, Descriptor, Diagnose as _, DiffId, Digest, Document, Event, Fault, Hasher, graph,
};
use std::collections::HashSet;
use std::io::{self, Read, Write};

/// The config of a delta manifest.
const EMPTY: &[u8] = b"{}";

/// How deltas are made.
#[derive(Clone, Copy)]
pub struct Make<'a> {
    /// Level of their compression, from 1 to 22.
    pub level: u8,
    /// Where contents wait.
    pub spool: NewSpool<'a>,
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The delta manifest.
    pub manifest: Descriptor,
    /// The index that names it.
    pub index: Descriptor,
    /// The layers that the older image lacks, in their order.
    pub layers: Vec<MadeLayer>,
}

/// What was made of a layer.
#[derive(Debug)]
pub struct MadeLayer {
    /// The layer.
    pub diff_id: DiffId,
    /// Bytes of its blob.
    pub blob: u64,
    /// Bytes of the delta; nothing where the blob is no larger, and stands in its place.
    pub delta: Option<u64>,
}

/// Makes the deltas of `newer` from `older`, and publishes them under `name` with what `beside`, the place that `to` writes to,
/// has there already.
pub fn make(
    cx: &Context<'_>,
    (older, newer): (&Image<'_>, &Image<'_>),
    beside: Option<&dyn Catalog>,
    (name, to): (&Name, Box<dyn Sink + '_>),
    how: &Make<'_>,
) -> Result<Made> {
    let there = older.layers()?;
    let mut seen: HashSet<DiffId> = there.iter().map(|old| old.diff_id).collect();
    let missing: Vec<(u16, Layer<'_>)> =
        (0..).zip(newer.layers()?).filter(|(_, layer)| seen.insert(layer.diff_id)).collect();
    let making = Making { cx, older, newer, how, to: &*to, from: from_of(older)? };
    let (blobs, layers) = making.layers(&missing)?;
    let standing = Standing::read(cx, beside, name)?;
    let manifest = making.manifest(blobs, standing.manifest(&newer.manifest().descriptor().digest))?;
    let entry = Descriptor {
        annotations: manifest.annotations.clone(),
        artifact_type: manifest.artifact_type.clone(),
        platform: Some(newer.platform()),
        ..manifest.descriptor().clone()
    };
    let mut roots = Vec::new();
    if let (Some(place), Rest::Goes) = (beside, to.rest()) {
        // What is written anew must be given all that it held.
        roots.extend(place.names()?.into_iter().filter(|(other, _)| other != name));
        let kept = roots.iter().map(|(_, root)| root).chain(&standing.index.manifests);
        let mut nodes = Vec::new();
        for root in kept {
            nodes.extend(graph::walk(cx, place, root, &graph::all)?);
        }
        copy::put_all(cx, place, &nodes, &*to, Transfer::default(), Account::default())?;
    }
    let index = Document::print(standing.with(entry), MediaType::new(OCI_INDEX), Algorithm::Sha256);
    put(cx, &*to, &index)?;
    roots.push((name.clone(), index.descriptor().clone()));
    let made = Made { manifest: manifest.descriptor().clone(), index: index.descriptor().clone(), layers };
    to.finish(&roots)?;
    Ok(made)
}

/// The deltas that stand under the name already.
struct Standing {
    index: Index,
    manifests: Vec<Document<Manifest>>,
}

impl Standing {
    fn read(cx: &Context<'_>, place: Option<&dyn Catalog>, name: &Name) -> Result<Self> {
        let none = Self { index: Index::new(Vec::new()), manifests: Vec::new() };
        let (Some(place), Some(tag)) = (place, name.tag()) else { return Ok(none) };
        let roots = match place.resolve(&Selector::Tag(tag.into())) {
            Err(fault) if fault.is_absence() => return Ok(none),
            roots => roots?,
        };
        let Some(root) = roots.into_iter().find(|root| root.media_type.as_str() == OCI_INDEX) else {
            return Ok(none);
        };
        let manifests = manifests(cx, place, &root)?;
        let index: Document<Index> = graph::read(cx.limits, place, &root)?;
        Ok(Self { index: index.into_value(), manifests })
    }

    /// The delta manifest of an image.
    fn manifest(&self, image: &orlop_spec::AnyDigest) -> Option<&Manifest> {
        self.manifests
            .iter()
            .find(|it| super::target(&it.annotations).as_ref() == Some(image))
            .map(|it| &**it)
    }

    /// The index with one more entry, in the place of the one for the same image.
    fn with(mut self, entry: Descriptor) -> Index {
        let target = super::target(&entry.annotations);
        self.index.manifests.retain(|other| super::target(&other.annotations) != target);
        self.index.manifests.push(entry);
        self.index
    }
}

struct Making<'a> {
    cx: &'a Context<'a>,
    older: &'a Image<'a>,
    newer: &'a Image<'a>,
    how: &'a Make<'a>,
    to: &'a dyn Sink,
    /// What the deltas are from.
    from: String,
}

impl Making<'_> {
    /// Puts a delta of each layer, or the layer itself.
    fn layers(&self, missing: &[(u16, Layer<'_>)]) -> Result<(Vec<Descriptor>, Vec<MadeLayer>)> {
        if missing.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let files = files(self.cx, self.older, &Wanted::Searched, self.how.spool)?;
        let (mut blobs, mut made) = (Vec::new(), Vec::new());
        for (index, layer) in missing {
            let (blob, size) = self.layer(*index, layer, &files)?;
            made.push(MadeLayer { diff_id: layer.diff_id, blob: layer.blob.size, delta: size });
            blobs.push(blob);
        }
        Ok((blobs, made))
    }

    fn layer(&self, index: u16, layer: &Layer<'_>, files: &Files) -> Result<(Descriptor, Option<u64>)> {
        let mut newer = Newer::new(files, (self.how.spool)()?);
        layers::open_at(self.cx, "read", self.newer, index, &mut newer)?;
        let item = layer.diff_id.0.to_string();
        self.cx.observer.event(Event::Started { phase: "compare", item: item.clone(), total: None });
        let progress = advanced(self.cx, &item);
        let (level, workers, cancel) = (self.how.level, self.cx.workers, self.cx.cancel);
        let how = delta::Make { level, workers, cancel, progress: &progress };
        let out = Hashing::new(self.to.begin(&Hints::default())?);
        let (digest, size, out) = delta::make(newer, &how, out).map_err(Fault::from)?.finish();
        self.cx.observer.event(Event::Finished { item: item.clone() });
        if size >= layer.blob.size {
            drop(out);
            return self.as_it_is(layer).map(|blob| (blob, None));
        }
        let mut blob = Descriptor::new(MediaType::new(delta::MEDIA_TYPE), digest, size);
        out.commit(&blob)?;
        blob.annotations.insert(FROM.into(), self.from.as_str().into());
        blob.annotations.insert(TO.into(), item.as_str().into());
        let source = self.older.manifest().descriptor().digest.to_string();
        blob.annotations.insert(SOURCE.into(), source.into());
        blob.annotations.insert(CONTENT.into(), IMAGE_LAYER.into());
        if let Some(codec) = self.codec(layer)? {
            blob.annotations.insert(CODEC.into(), spelled(codec));
        }
        Ok((blob, Some(size)))
    }

    /// Where a delta would be no smaller, the layer stands in its place; clients that want a delta pass it by.
    fn as_it_is(&self, layer: &Layer<'_>) -> Result<Descriptor> {
        let origin = self.newer.source().origin(layer.blob)?;
        self.to.put(layer.blob, &*origin, &Hints::default())?;
        let mut blob = Descriptor { urls: Vec::new(), data: None, ..layer.blob.clone() };
        blob.annotations.insert(TO.into(), layer.diff_id.0.to_string().into());
        blob.annotations.insert(CONTENT.into(), IMAGE_LAYER.into());
        Ok(blob)
    }

    /// The codec of ours that makes the blob to the byte.
    fn codec(&self, layer: &Layer<'_>) -> Result<Option<Codec>> {
        let origin = self.newer.source().origin(layer.blob)?;
        let mut head = Vec::new();
        let most = first_block(layer.compression) as u64;
        let read = origin.open(0)?.take(most).read_to_end(&mut head);
        read.map_err(|error| Fault::io(format!("read {}", layer.blob.digest), error))?;
        let Some(codec) = made_by(layer.compression, &head, layer.blob.size) else { return Ok(None) };
        if codec == Codec::None {
            return Ok(Some(codec));
        }
        let blob = Verified::new(origin.open(0)?, layer.blob)?;
        let mut plain = codec::decoder(layer.compression, blob, self.cx.limits);
        let algorithm = layer.blob.digest.known().map_or(Algorithm::Sha256, Digest::algorithm);
        let encode = Form { codec, algorithm }.encode(self.cx, &|_| ());
        let again = recompress(&mut *plain, &encode, &mut io::sink())?;
        Ok(again.blob.names_same_blob(layer.blob).then_some(codec))
    }

    /// Whether a delta takes the place of one that stood there. That may be of another image, where both end with one layer.
    fn replaces(&self, new: &Descriptor, old: &Descriptor) -> bool {
        let is_replaced = [FROM, TO].iter().all(|it| agree(new, old, it));
        if is_replaced && !agree(new, old, SOURCE) && new.digest != old.digest {
            let source = old.annotations.get(SOURCE).map_or("another image", |it| it);
            let text = format!(
                "the delta from {source} gives way: that image ends with the same layer as {}, and deltas are \
                 told apart by it alone",
                self.older.manifest().descriptor().digest
            );
            self.cx.observer.event(Event::Warned(text));
        }
        is_replaced
    }

    /// Prints and puts the delta manifest; what `before` has from other images stays.
    fn manifest(&self, blobs: Vec<Descriptor>, before: Option<&Manifest>) -> Result<Document<Manifest>> {
        let (image, config) = (self.newer.manifest(), self.newer.config());
        let empty =
            Descriptor::new(MediaType::new(CONFIG), Digest::of(Algorithm::Sha256, EMPTY), EMPTY.len() as u64);
        let mut layers = Vec::new();
        // By its own type it would be pushed as an image, of which the layers are missing.
        let as_text = MediaType::new("application/json");
        for (content, media_type, raw, descriptor) in [
            (IMAGE_MANIFEST, as_text, image.raw(), image.descriptor()),
            (IMAGE_CONFIG, config.descriptor().media_type.clone(), config.raw(), config.descriptor()),
        ] {
            let mut blob = Descriptor::new(media_type, descriptor.digest.clone(), descriptor.size);
            self.to.put(&blob, &raw.to_vec(), &Hints::default())?;
            blob.annotations.insert(CONTENT.into(), content.into());
            layers.push(blob);
        }
        let is_replaced = |old: &Descriptor| {
            let says_what_it_is = says(old, CONTENT, IMAGE_MANIFEST) || says(old, CONTENT, IMAGE_CONFIG);
            says_what_it_is || blobs.iter().any(|new| self.replaces(new, old))
        };
        let kept =
            before.into_iter().flat_map(|before| &before.layers).filter(|old| !is_replaced(old)).cloned();
        layers.extend(kept.collect::<Vec<_>>());
        layers.extend(blobs);
        self.to.put(&empty, &EMPTY.to_vec(), &Hints::default())?;
        let mut manifest = Manifest::new(empty, layers);
        manifest.artifact_type = Some(MediaType::new(ARTIFACT));
        manifest.annotations.insert(TARGET.into(), image.descriptor().digest.to_string().into());
        let manifest = Document::print(manifest, MediaType::new(OCI_MANIFEST), Algorithm::Sha256);
        put(self.cx, self.to, &manifest)?;
        Ok(manifest)
    }
}

/// Whether both say the same there.
fn agree(one: &Descriptor, other: &Descriptor, annotation: &str) -> bool {
    one.annotations.get(annotation) == other.annotations.get(annotation)
}

/// Hashes what is written to a sink.
struct Hashing<'a> {
    out: Box<dyn BlobWriter + 'a>,
    hasher: Hasher,
    size: u64,
}

impl<'a> Hashing<'a> {
    fn new(out: Box<dyn BlobWriter + 'a>) -> Self {
        Self { out, hasher: Hasher::new(Algorithm::Sha256), size: 0 }
    }

    fn finish(self) -> (Digest, u64, Box<dyn BlobWriter + 'a>) {
        (self.hasher.finish(), self.size, self.out)
    }
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
