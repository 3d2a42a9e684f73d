//! The two families of media types: OCI's and Docker's.
//!
//! ```text
//!              OCI                                            Docker, schema 2
//! manifest     …oci.image.manifest.v1+json                    …docker.distribution.manifest.v2+json
//! index        …oci.image.index.v1+json                       …docker.distribution.manifest.list.v2+json
//! config       …oci.image.config.v1+json                      …docker.container.image.v1+json
//! layer        …oci.image.layer.v1.tar[+gzip|+zstd]           …docker.image.rootfs.diff.tar[.gzip]
//!              …oci.image.layer.nondistributable.v1.tar…      …docker.image.rootfs.foreign.diff.tar…
//! besides      annotations, subject, artifacts, sha512
//! ```
//!
//! Invariant: a config keeps its bytes. What Docker cannot say is refused, or left out and told of.

use super::{Piece, Revision};
use crate::draft::SPEAKS_ABOUT;
use crate::error::Error;
use orlop_layer::codec::Codec;
use orlop_spec::descriptor::Annotations;
use orlop_spec::index::Index;
use orlop_spec::media_type::{
    Compression, DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, Distribution, Layer, MediaType, OCI_CONFIG,
    OCI_INDEX, OCI_MANIFEST, Role,
};
use orlop_spec::port::Result;
use orlop_spec::{Algorithm, Context, Descriptor, Event, Fault};

/// Whose media types an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// OCI's.
    Oci,
    /// Docker's, schema 2.
    Docker,
}

impl Family {
    /// Gives an image the types of the family.
    ///
    /// # Errors
    /// Unfit where a layer cannot be told of in it.
    pub(super) fn convert(self, cx: &Context<'_>, revision: &mut Revision<'_>) -> Result<()> {
        let mut lost = Lost::default();
        for at in 0..revision.layers().len() {
            let mut layer = revision.layers()[at].clone();
            let (Piece::Kept { blob, .. } | Piece::Made { blob, .. }) = &mut layer;
            match blob.media_type.role() {
                Role::Layer(form) => blob.media_type = self.layer(form)?,
                // OCI's manifests hold anything.
                _ if self == Self::Oci => {}
                _ => return Err(unknown(blob)),
            }
            self.say_less(blob, &mut lost);
            revision.exchange(at, layer);
        }
        let manifest = revision.manifest_mut();
        let (of_manifest, of_config) = match self {
            Self::Oci => (OCI_MANIFEST, OCI_CONFIG),
            Self::Docker => (DOCKER_MANIFEST, DOCKER_CONFIG),
        };
        manifest.media_type = Some(MediaType::new(of_manifest));
        manifest.config.media_type = MediaType::new(of_config);
        if self == Self::Docker {
            self.say_less(&mut manifest.config, &mut lost);
            lost.annotations(&mut manifest.annotations);
            lost.subject |= manifest.subject.take().is_some();
        }
        lost.tell(cx);
        Ok(())
    }

    /// Gives an index the type of the family. Docker's lists hold images alone.
    pub(super) fn convert_index(self, cx: &Context<'_>, index: &mut Index) -> Result<()> {
        let mut lost = Lost::default();
        index.media_type = Some(MediaType::new(match self {
            Self::Oci => OCI_INDEX,
            Self::Docker => DOCKER_LIST,
        }));
        if self == Self::Oci {
            return Ok(());
        }
        if index.manifests.iter().any(|child| child.media_type.role() == Role::Index) {
            return Err(NESTED.into());
        }
        let before = index.manifests.len();
        index.manifests.retain(|child| {
            child.media_type.role() == Role::Manifest && !child.annotations.contains_key(SPEAKS_ABOUT)
        });
        lost.artifacts = before - index.manifests.len();
        index.manifests.iter_mut().for_each(|child| self.say_less(child, &mut lost));
        lost.annotations(&mut index.annotations);
        lost.subject |= index.subject.take().is_some();
        index.artifact_type = None;
        lost.tell(cx);
        Ok(())
    }

    /// Docker's manifests have no zstd: an image that got such layers becomes one of OCI.
    pub(super) fn fit(cx: &Context<'_>, revision: &mut Revision<'_>) -> Result<()> {
        let is_docker = revision.manifest_mut().config.media_type.as_str() == DOCKER_CONFIG;
        let is_zstd = |role| matches!(role, Role::Layer(form) if form.compression == Compression::Zstd);
        let mut new = revision.layers().iter().map(Piece::blob).filter(|blob| !revision.had(blob));
        if is_docker && new.any(|blob| is_zstd(blob.media_type.role())) {
            cx.observer
                .event(Event::Told("Docker's manifests know no zstd: the image gets OCI's types".into()));
            return Self::Oci.convert(cx, revision);
        }
        Ok(())
    }

    /// As [`Self::fit`], of the index above: a list of Docker's holds nothing of OCI.
    pub(super) fn fit_index(cx: &Context<'_>, index: &mut Index) -> Result<()> {
        let is_docker = index.media_type.as_ref().is_some_and(|kind| kind.as_str() == DOCKER_LIST);
        if is_docker && index.manifests.iter().any(|child| child.media_type.as_str() == OCI_MANIFEST) {
            return Self::Oci.convert_index(cx, index);
        }
        Ok(())
    }

    /// Whether layers may be compressed so, and blobs be named by the algorithm.
    pub(super) fn admits(self, codec: Option<Codec>, algorithm: Option<Algorithm>) -> Result<()> {
        match (self, codec.map(Codec::compression), algorithm) {
            (Self::Docker, Some(Compression::Zstd), _) => Err(NO_ZSTD.into()),
            (Self::Docker, _, Some(Algorithm::Sha384 | Algorithm::Sha512)) => Err(SHA256_ONLY.into()),
            _ => Ok(()),
        }
    }

    fn layer(self, form: Layer) -> Result<MediaType> {
        let of_docker = |compression| MediaType::of_docker_layer(compression).as_str().to_owned();
        let of_oci = |compression| MediaType::of_layer(compression).as_str().to_owned();
        Ok(MediaType::new(match (self, form.distribution) {
            (Self::Docker, _) if form.compression == Compression::Zstd => return Err(NO_ZSTD.into()),
            (Self::Oci, Distribution::Free) => of_oci(form.compression),
            (Self::Docker, Distribution::Free) => of_docker(form.compression),
            (Self::Oci, Distribution::Restricted) => {
                of_oci(form.compression).replace(".layer.v1.", ".layer.nondistributable.v1.")
            }
            (Self::Docker, Distribution::Restricted) => {
                of_docker(form.compression).replace(".rootfs.diff.", ".rootfs.foreign.diff.")
            }
        }))
    }

    /// Docker's descriptors hold type, size, digest, addresses and platform.
    fn say_less(self, descriptor: &mut Descriptor, lost: &mut Lost) {
        if self == Self::Docker {
            lost.annotations(&mut descriptor.annotations);
            descriptor.data = None;
            descriptor.artifact_type = None;
        }
    }
}

fn unknown(blob: &Descriptor) -> Fault {
    let Descriptor { digest, media_type, .. } = blob.clone();
    Error::UnknownLayer { digest, media_type }.into()
}

/// What Docker's documents cannot say.
#[derive(Default)]
struct Lost {
    annotations: usize,
    artifacts: usize,
    subject: bool,
}

impl Lost {
    fn annotations(&mut self, annotations: &mut Annotations) {
        self.annotations += std::mem::take(annotations).len();
    }

    fn tell(&self, cx: &Context<'_>) {
        let counted = |count: usize, what| (count > 0).then(|| format!("{count} {what}"));
        let parts = [
            counted(self.annotations, "annotations"),
            counted(self.artifacts, "attestations and artifacts"),
            self.subject.then(|| "the subject".to_owned()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            let text = format!("left out, as Docker's types cannot say them: {}", parts.join(", "));
            cx.observer.event(Event::Warned(text));
        }
    }
}

const NO_ZSTD: Error = Error::Unfit {
    what: "Docker's manifests know no layers that are compressed by zstd",
    hint: "add --compress gzip",
};

const NESTED: Error = Error::Unfit {
    what: "Docker's lists hold images, and this index holds another index",
    hint: "make a flat index first: orlop index create REF… NEW",
};

const SHA256_ONLY: Error = Error::Unfit {
    what: "Docker's manifests name everything by sha256",
    hint: "leave one out of --media-types docker and --algorithm",
};
