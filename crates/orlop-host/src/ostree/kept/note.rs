//! What the commit of an image says about it.
//!
//! Invariant: a document is understood only where its bytes hash to what names it.

use crate::error::Error;
use crate::ostree::layers::LayersError;
use crate::ostree::variant::{Dict, Variant};
use orlop_spec::digest::{AnyDigest, Digest};
use orlop_spec::media_type::{MediaType, OCI_MANIFEST, Role};
use orlop_spec::port::Result;
use orlop_spec::{Descriptor, Document, Index, Manifest};
use std::collections::{BTreeMap, HashSet};

const DOCUMENTS: &str = "orlop.image.documents";
pub(in super::super) const ROOT: &str = "orlop.image.root";
/// Metadata of a commit: the config of its image.
pub const CONFIG: &str = "ostree.container.image-config";
const MANIFEST: &str = "ostree.manifest";
/// Metadata of a commit: the digest of the manifest of its image.
pub const MANIFEST_DIGEST: &str = "ostree.manifest-digest";

/// The documents of an image.
#[derive(Clone, Debug)]
pub struct ImageNote {
    /// The manifest or index.
    pub root: Descriptor,
    /// Index, manifests, configs.
    pub documents: BTreeMap<AnyDigest, Vec<u8>>,
}

impl ImageNote {
    /// As metadata of a commit.
    pub fn to_dict(&self) -> Dict {
        let Descriptor { digest, size, media_type, .. } = &self.root;
        let documents =
            self.documents.iter().map(|(digest, bytes)| (digest.to_string(), Variant::bytes(bytes)));
        let mut dict = Dict::from_iter([
            (DOCUMENTS, Variant::dict(&documents.collect())),
            (ROOT, Variant::string(&format!("{digest} {size} {media_type}"))),
        ]);
        if let Some((manifest, config)) = self.as_bootc() {
            dict.push(CONFIG, Variant::string(config));
            dict.push(MANIFEST, Variant::string(manifest));
            dict.push(MANIFEST_DIGEST, Variant::string(&digest.to_string()));
        }
        dict
    }

    /// Manifest and config of an image without an index, as texts.
    fn as_bootc(&self) -> Option<(&str, &str)> {
        let text = |digest| {
            std::str::from_utf8(self.documents.get(digest)?).ok().filter(|text| !text.contains('\0'))
        };
        let manifest = self.manifest(&self.root)?;
        Some((text(&self.root.digest)?, text(&manifest.config.digest)?))
    }

    /// Of a manifest that is at hand, and its config.
    pub fn of_image<T, U>(manifest: &Document<T>, config: &Document<U>) -> Self {
        let Descriptor { media_type, digest, size, .. } = manifest.descriptor();
        let root = Descriptor::new(media_type.clone(), digest.clone(), *size);
        let config = (config.descriptor().digest.clone(), config.raw().to_vec());
        let documents = [(digest.clone(), manifest.raw().to_vec()), config];
        Self { root, documents: BTreeMap::from(documents) }
    }

    /// Whether a commit speaks of the image that it was made of.
    pub fn is_in(metadata: &Dict) -> bool {
        [DOCUMENTS, ROOT, MANIFEST].iter().any(|key| metadata.get(key).is_some())
    }

    /// Out of the metadata of a commit: ours, or one of bootc.
    pub fn of(metadata: &Dict) -> Result<Self> {
        let note = match metadata.get(DOCUMENTS) {
            Some(documents) => Self::ours(metadata, documents),
            None => Self::of_bootc(metadata),
        };
        note.ok_or_else(|| Error::from(LayersError::NoImage).into())
    }

    fn ours(metadata: &Dict, documents: &Variant) -> Option<Self> {
        let mut root = metadata.get(ROOT)?.as_str()?.splitn(3, ' ');
        let (digest, size, media_type) = (root.next()?, root.next()?, root.next()?);
        let root = Descriptor::new(
            MediaType::new(media_type),
            digest.parse::<AnyDigest>().ok()?,
            size.parse().ok()?,
        );
        let documents = documents.as_dict()?;
        let documents = documents
            .iter()
            .map(|(digest, bytes)| Some((digest.parse::<AnyDigest>().ok()?, bytes.as_bytes()?.to_vec())));
        Some(Self { root, documents: documents.collect::<Option<_>>()? })
    }

    fn of_bootc(metadata: &Dict) -> Option<Self> {
        let digest: AnyDigest = metadata.get(MANIFEST_DIGEST)?.as_str()?.parse().ok()?;
        let mut note = Self::of_manifest(digest, metadata.get(MANIFEST)?.as_str()?)?;
        let config = metadata.get(CONFIG).and_then(Variant::as_str);
        if let (Some(manifest), Some(config)) = (note.manifest(&note.root), config) {
            note.documents.insert(manifest.config.digest.clone(), config.as_bytes().to_vec());
        }
        Some(note)
    }

    /// Of a manifest alone; nothing where it is no JSON.
    pub(super) fn of_manifest(digest: AnyDigest, manifest: &str) -> Option<Self> {
        let (value, text) = (serde_json::from_str::<serde_json::Value>(manifest).ok()?, manifest.as_bytes());
        let media_type = value.get("mediaType").and_then(serde_json::Value::as_str).unwrap_or(OCI_MANIFEST);
        let root = Descriptor::new(MediaType::new(media_type), digest.clone(), text.len() as u64);
        Some(Self { root, documents: BTreeMap::from([(digest, text.to_vec())]) })
    }

    /// A manifest that is here.
    pub fn manifest(&self, manifest: &Descriptor) -> Option<Document<Manifest>> {
        if manifest.media_type.role() != Role::Manifest {
            return None;
        }
        Document::open(&self.documents.get(&manifest.digest)?[..], manifest.clone()).ok()
    }

    /// The root, and what indexes beneath it name that is here, each once, in their order.
    pub fn manifests(&self) -> Vec<Descriptor> {
        let (mut found, mut next) = (Vec::<Descriptor>::new(), vec![self.root.clone()]);
        let mut seen = HashSet::new();
        while let Some(document) = next.pop() {
            if !self.documents.contains_key(&document.digest) || !seen.insert(document.digest.clone()) {
                continue;
            }
            next.extend(self.children(&document).into_iter().rev());
            found.push(document);
        }
        found
    }

    /// What an index that is here names.
    fn children(&self, index: &Descriptor) -> Vec<Descriptor> {
        let bytes = self.documents.get(&index.digest).filter(|_| index.media_type.role() == Role::Index);
        let parsed = bytes.and_then(|bytes| Document::<Index>::open(&bytes[..], index.clone()).ok());
        parsed.map_or_else(Vec::new, |index| index.into_value().manifests)
    }

    /// Every layer of every manifest that is here, once.
    pub fn layers(&self) -> Vec<Descriptor> {
        let (mut layers, mut seen) = (Vec::new(), HashSet::new());
        for manifest in self.manifests().iter().filter_map(|document| self.manifest(document)) {
            layers.extend(manifest.layers.iter().filter(|layer| seen.insert(layer.digest.clone())).cloned());
        }
        layers
    }

    /// Everything that the documents name that are here, and the root.
    pub(super) fn named(&self) -> Vec<Descriptor> {
        let mut named = vec![self.root.clone()];
        for document in self.manifests() {
            if let Some(manifest) = self.manifest(&document) {
                named.extend(manifest.blobs().cloned());
            }
            named.extend(self.children(&document));
        }
        named
    }

    /// Every blob that a manifest of the image names, and the manifests.
    pub fn blobs(&self) -> Vec<AnyDigest> {
        let documents = self.manifests();
        let named = documents
            .iter()
            .filter_map(|document| self.manifest(document))
            .flat_map(|manifest| manifest.blobs().map(|blob| blob.digest.clone()).collect::<Vec<_>>());
        let mut blobs: Vec<_> =
            named.chain(documents.iter().map(|document| document.digest.clone())).collect();
        blobs.sort();
        blobs.dedup();
        blobs
    }

    /// The digest of the config, which names the image for programs that run it; nothing for an index.
    pub fn image_id(&self) -> Option<Digest> {
        self.manifest(&self.root)?.config.digest.known().ok().copied()
    }

    /// The configs of the manifests, where they are here.
    pub(super) fn configs(&self) -> Vec<(AnyDigest, (Descriptor, Vec<u8>))> {
        let manifests = self.manifests().into_iter().filter_map(|document| self.manifest(&document));
        let config = |manifest: Document<Manifest>| {
            let bytes = self.documents.get(&manifest.config.digest)?.clone();
            Some((manifest.config.digest.clone(), (manifest.config.clone(), bytes)))
        };
        manifests.filter_map(config).collect()
    }

    /// Keeps the documents that the root reaches.
    pub(super) fn forget_others(&mut self) {
        let mut reached: Vec<_> = self.manifests().into_iter().map(|document| document.digest).collect();
        reached.extend(self.configs().into_iter().map(|(digest, _)| digest));
        self.documents.retain(|digest, _| reached.contains(digest));
    }
}
