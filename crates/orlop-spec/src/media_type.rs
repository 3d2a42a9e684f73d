//! Media types: what a descriptor says that its blob is (image-spec, `media-types.md`).

use serde::{Deserialize, Serialize};
use std::fmt;

/// A media type, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(Box<str>);

/// `application/vnd.oci.image.manifest.v1+json`
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// `application/vnd.oci.image.index.v1+json`
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// `application/vnd.oci.image.config.v1+json`
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// `application/vnd.oci.image.layer.v1.tar`
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// `application/vnd.oci.image.layer.v1.tar+gzip`
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// `application/vnd.oci.image.layer.v1.tar+zstd`
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// `application/vnd.oci.empty.v1+json`
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// `application/vnd.docker.distribution.manifest.v2+json`
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// `application/vnd.docker.distribution.manifest.list.v2+json`
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// `application/vnd.docker.container.image.v1+json`
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

const LAYERS: [(&str, Layer); 12] = {
    use Compression::{Gzip, None, Zstd};
    const fn layer(compression: Compression, distribution: Distribution) -> Layer {
        Layer { compression, distribution }
    }
    use Distribution::{Free, Restricted};
    [
        (OCI_LAYER, layer(None, Free)),
        (OCI_LAYER_GZIP, layer(Gzip, Free)),
        (OCI_LAYER_ZSTD, layer(Zstd, Free)),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", layer(None, Restricted)),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", layer(Gzip, Restricted)),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", layer(Zstd, Restricted)),
        ("application/vnd.docker.image.rootfs.diff.tar", layer(None, Free)),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", layer(Gzip, Free)),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd", layer(Zstd, Free)),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar", layer(None, Restricted)),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", layer(Gzip, Restricted)),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.zstd", layer(Zstd, Restricted)),
    ]
};

/// What orlop can do with a blob of some media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An image manifest, OCI or Docker schema 2.
    Manifest,
    /// An index or a manifest list.
    Index,
    /// An image config.
    Config,
    /// A layer of files.
    Layer(Layer),
    /// Carried, never opened.
    Unknown,
}

/// The form of a layer blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// How the tar is compressed.
    pub compression: Compression,
    /// Whether it may be uploaded.
    pub distribution: Distribution,
}

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952, any number of members.
    #[default]
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
}

/// Whether a layer may be pushed to a registry (image-spec, `layer.md`, "Non-Distributable Layers").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// It may.
    Free,
    /// It should not be, by default.
    Restricted,
}

impl MediaType {
    /// A media type as it was read; [`MediaType::is_well_formed`] tells whether it may be written.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a blob of this type is to orlop.
    pub fn role(&self) -> Role {
        match self.as_str() {
            OCI_MANIFEST | DOCKER_MANIFEST => Role::Manifest,
            OCI_INDEX | DOCKER_LIST => Role::Index,
            OCI_CONFIG | DOCKER_CONFIG => Role::Config,
            text => LAYERS
                .iter()
                .find(|(name, _)| *name == text)
                .map_or(Role::Unknown, |(_, layer)| Role::Layer(*layer)),
        }
    }

    /// The OCI type of a layer.
    pub fn of_layer(compression: Compression) -> Self {
        Self::new(match compression {
            Compression::None => OCI_LAYER,
            Compression::Gzip => OCI_LAYER_GZIP,
            Compression::Zstd => OCI_LAYER_ZSTD,
        })
    }

    /// The type that Docker has for a layer.
    pub fn of_docker_layer(compression: Compression) -> Self {
        let suffix = match compression {
            Compression::None => "",
            Compression::Gzip => ".gzip",
            Compression::Zstd => ".zstd",
        };
        Self(format!("application/vnd.docker.image.rootfs.diff.tar{suffix}").into())
    }

    /// Whether a manifest or index: a document that names other blobs.
    pub fn is_document(&self) -> bool {
        matches!(self.role(), Role::Manifest | Role::Index)
    }

    /// RFC 6838, section 4.2: `type "/" subtype`, each a letter or digit and up to 126 restricted characters.
    pub fn is_well_formed(&self) -> bool {
        let name = |part: &str| {
            part.len() <= 127
                && part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        self.0.split_once('/').is_some_and(|(kind, subtype)| name(kind) && name(subtype))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_15_media_types_follow_rfc_6838() {
        assert!(MediaType::new(OCI_MANIFEST).is_well_formed());
        for bad in ["", "a", "a b/c", "a/", "/b", "a/b/c", "a/b;q=1", "\u{e9}/x"] {
            assert!(!MediaType::new(bad).is_well_formed(), "{bad}");
        }
    }

    #[test]
    fn every_layer_type_is_known_and_no_other() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let Role::Layer(layer) = MediaType::of_layer(compression).role() else {
                panic!("{compression:?}")
            };
            assert_eq!(layer.compression, compression);
        }
        assert_eq!(MediaType::new("application/vnd.oci.image.layer.v2.tar").role(), Role::Unknown);
    }
}
