//! `copy --compress`: the same images with layers in another form. Uncompressed bytes and configs stay, so diff
//! ids and image ids do too; digests of blobs, manifests and indexes change, which is said.

use crate::copy::{Account, Copied, Copy, plan_one, put_all};
use crate::draft;
use crate::error::Error;
use crate::form::Form;
use orlop_layer::codec::{self, Codec};
use orlop_layer::encode::recompress;
use orlop_layer::{Error as LayerError, Verified};
use orlop_spec::config::Config;
use orlop_spec::descriptor::Annotations;
use orlop_spec::digest::DiffId;
use orlop_spec::graph::{self, Node};
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{
    Compression, Distribution, MediaType, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Role,
};
use orlop_spec::port::{Name, Result, Sink, Source};
use orlop_spec::{Algorithm, AnyDigest, Context, Descriptor, Digest, Document, Event, Hasher};
use std::collections::HashMap;
use std::io::{self, Read};

/// Annotations of a layer that speak about its compressed bytes; they would be wrong for the new ones.
const ABOUT_COMPRESSED: [&str; 2] = ["io.github.containers.zstd-chunked.", "containerd.io/snapshot/stargz/"];

/// Copies `roots` with every layer compressed by `codec`. Artifacts that are no images are copied unchanged.
pub fn copy_compressed(
    cx: &Context<'_>,
    from: &dyn Source,
    roots: &[(Name, Descriptor)],
    to: Box<dyn Sink + '_>,
    how: &Copy,
    codec: Codec,
) -> Result<Copied> {
    let mut work = Work {
        cx,
        from,
        to: &*to,
        how,
        codec,
        replaced: HashMap::new(),
        proven: HashMap::new(),
        account: Account::default(),
    };
    let mut published = Vec::with_capacity(roots.len());
    for (name, root) in roots {
        published.push((name.clone(), work.root(root)?));
    }
    let account = work.account;
    to.finish(&published)?;
    Ok(Copied { roots: published.into_iter().map(|(_, root)| root).collect(), account })
}

struct Work<'a> {
    cx: &'a Context<'a>,
    from: &'a dyn Source,
    to: &'a dyn Sink,
    how: &'a Copy,
    codec: Codec,
    /// What stands for a blob of the source at the target.
    replaced: HashMap<AnyDigest, Descriptor>,
    /// Diff ids of the layers that were compressed.
    proven: HashMap<AnyDigest, DiffId>,
    account: Account,
}

impl Work<'_> {
    fn root(&mut self, root: &Descriptor) -> Result<Descriptor> {
        let (root, nodes) = plan_one(self.cx, self.from, root, self.how)?;
        for node in &nodes {
            match node {
                // Whether a blob is a layer of an image is known only to its manifest.
                Node::Blob(_) => {}
                Node::Manifest(manifest) => self.manifest(manifest)?,
                Node::Index(index) => self.index(index)?,
            }
        }
        let new = self.stand_in(&root);
        if new.digest != root.digest {
            let text = format!("the digest changes from {} to {}", root.digest, new.digest);
            self.cx.observer.event(Event::Warned(text));
        }
        Ok(new)
    }

    fn manifest(&mut self, manifest: &Document<Manifest>) -> Result<()> {
        if manifest.config.media_type.role() != Role::Config {
            return self.unchanged(manifest.blobs(), Node::Manifest(Box::new(manifest.clone())));
        }
        let config: Document<Config> = graph::read(self.cx.limits, self.from, &manifest.config)?;
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            let manifest = manifest.descriptor().digest.clone();
            return Err(Error::LayerCount { manifest, layers, diff_ids }.into());
        }
        draft::put(self.to, &config)?;
        let mut value = manifest.clone().into_value();
        for (layer, diff_id) in value.layers.iter_mut().zip(&config.rootfs.diff_ids) {
            *layer = self.layer(layer, *diff_id)?;
        }
        value.subject = value.subject.map(|subject| self.stand_in(&subject));
        value.media_type = Some(MediaType::new(OCI_MANIFEST));
        value.config.media_type = MediaType::new(OCI_CONFIG);
        self.replace(manifest.descriptor(), value, OCI_MANIFEST)
    }

    fn index(&mut self, index: &Document<Index>) -> Result<()> {
        let mut value = index.clone().into_value();
        for child in &mut value.manifests {
            *child = self.stand_in(child);
            self.follow(&mut child.annotations);
        }
        value.subject = value.subject.map(|subject| self.stand_in(&subject));
        value.media_type = Some(MediaType::new(OCI_INDEX));
        self.replace(index.descriptor(), value, OCI_INDEX)
    }

    /// Prints and puts a document that stands for `old`.
    fn replace<T: serde::Serialize>(&mut self, old: &Descriptor, value: T, media_type: &str) -> Result<()> {
        let algorithm = old.digest.known().map_or(Algorithm::Sha256, Digest::algorithm);
        let new = Document::print(value, MediaType::new(media_type), algorithm);
        draft::put(self.to, &new)?;
        self.replaced.insert(old.digest.clone(), new.descriptor().clone());
        Ok(())
    }

    fn unchanged<'b>(&mut self, blobs: impl Iterator<Item = &'b Descriptor>, document: Node) -> Result<()> {
        let mut nodes: Vec<Node> = blobs.map(|blob| Node::Blob(Box::new(blob.clone()))).collect();
        nodes.push(document);
        self.account = put_all(self.cx, self.from, &nodes, self.to, self.how.transfer, self.account)?;
        Ok(())
    }

    /// Attestations name the manifest that they speak about in an annotation.
    fn follow(&self, annotations: &mut Annotations) {
        let Some(named) = annotations.get_mut(draft::SPEAKS_ABOUT) else { return };
        if let Some(new) = named.parse().ok().and_then(|digest: AnyDigest| self.replaced.get(&digest)) {
            *named = new.digest.to_string().into();
        }
    }

    /// The descriptor with the name, size and type of what stands for the blob.
    fn stand_in(&self, old: &Descriptor) -> Descriptor {
        let Some(new) = self.replaced.get(&old.digest) else { return old.clone() };
        let Descriptor { media_type, digest, size, .. } = new.clone();
        Descriptor { media_type, digest, size, data: None, urls: Vec::new(), ..old.clone() }
    }

    fn layer(&mut self, old: &Descriptor, diff_id: DiffId) -> Result<Descriptor> {
        match old.media_type.role() {
            Role::Layer(form) if form.distribution == Distribution::Free => {
                match self.proven.get(&old.digest) {
                    Some(proven) if *proven != diff_id => {
                        let (found, expected) = (Box::new(proven.0), Box::new(diff_id.0));
                        return Err(LayerError::WrongDiffId { found, expected }.into());
                    }
                    Some(_) => {}
                    None => {
                        let new = self.compress(old, form.compression, diff_id)?;
                        self.replaced.insert(old.digest.clone(), new);
                        self.proven.insert(old.digest.clone(), diff_id);
                    }
                }
                let new = self.stand_in(old);
                Ok(Descriptor { annotations: about_content(&old.annotations), ..new })
            }
            _ => {
                let nodes = [Node::Blob(Box::new(old.clone()))];
                self.account = put_all(self.cx, self.from, &nodes, self.to, self.how.transfer, self.account)?;
                Ok(old.clone())
            }
        }
    }

    fn compress(&self, old: &Descriptor, compression: Compression, diff_id: DiffId) -> Result<Descriptor> {
        let form = Form { codec: self.codec, algorithm: diff_id.0.algorithm() };
        let (blob, _) = compress(self.cx, self.from, (old, compression), diff_id, &form, self.to)?;
        Ok(blob)
    }
}

/// Writes a layer that is compressed anew, and proves that it is the one that the config names. Gives its blob, and its
/// diff id by the algorithm of `form`.
pub(crate) fn compress(
    cx: &Context<'_>,
    from: &dyn Source,
    (old, compression): (&Descriptor, Compression),
    diff_id: DiffId,
    form: &Form,
    to: &dyn Sink,
) -> Result<(Descriptor, DiffId)> {
    let item = old.digest.to_string();
    cx.observer.event(Event::Started { phase: "compress", item: item.clone(), total: None });
    let unpacked = from.unpacked(old)?.filter(|unpacked| unpacked.diff_id() == diff_id);
    let origin = from.origin(old)?;
    let mut plain = match &unpacked {
        Some(unpacked) => unpacked.open()?,
        None => codec::decoder(compression, Verified::new(origin.open(0)?, old)?, cx.limits),
    };
    let progress = |bytes| cx.observer.event(Event::Advanced { item: item.clone(), bytes });
    let encode = form.encode(cx, &progress);
    let mut out = to.begin(&encode.hints())?;
    let mut proving = Proving::new(&mut *plain, diff_id, form.algorithm);
    let compressed = recompress(&mut proving, &encode, &mut out)?;
    let found = proving.finish().unwrap_or(compressed.diff_id.0);
    if found != diff_id.0 {
        let (found, expected) = (Box::new(found), Box::new(diff_id.0));
        return Err(LayerError::WrongDiffId { found, expected }.into());
    }
    out.commit(&compressed.blob)?;
    cx.observer.event(Event::Finished { item: item.clone() });
    Ok((compressed.blob, compressed.diff_id))
}

/// Uncompressed bytes on their way, hashed as the config names them where the compressor hashes them otherwise.
struct Proving<'a> {
    plain: &'a mut dyn Read,
    hasher: Option<Hasher>,
}

impl<'a> Proving<'a> {
    fn new(plain: &'a mut dyn Read, diff_id: DiffId, by: Algorithm) -> Self {
        let algorithm = diff_id.0.algorithm();
        Self { plain, hasher: (algorithm != by).then(|| Hasher::new(algorithm)) }
    }

    fn finish(self) -> Option<Digest> {
        self.hasher.map(Hasher::finish)
    }
}

impl Read for Proving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// What annotations of a layer say of its content; those about its compressed bytes would be wrong for others.
pub(crate) fn about_content(annotations: &Annotations) -> Annotations {
    let speaks_of_bytes = |name: &str| ABOUT_COMPRESSED.iter().any(|prefix| name.starts_with(prefix));
    annotations
        .iter()
        .filter(|(name, _)| !speaks_of_bytes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
