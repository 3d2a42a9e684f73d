//! The names of the rules. They are a contract: scripts match them.

use std::fmt;

/// A law, by the name that reports show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// I-JSON: UTF-8, no name twice (RFC 7493).
    Json,
    /// The members that make a manifest, an index or a config (CVE-2021-41190).
    Shape,
    /// `schemaVersion` is 2.
    SchemaVersion,
    /// `imageLayoutVersion` is `1.0.0`.
    LayoutVersion,
    /// Media types follow RFC 6838 and agree with the descriptor.
    MediaType,
    /// An empty config comes with an `artifactType`.
    ArtifactType,
    /// Digests follow their grammar and are those of the content.
    Digest,
    /// An algorithm that is not computed proves nothing.
    UnknownAlgorithm,
    /// Sizes are not negative and are those of the content.
    Size,
    /// Addresses follow RFC 3986.
    Urls,
    /// `data` is base64 and the content.
    Data,
    /// Annotations and labels are maps of text to text.
    Annotations,
    /// `org.opencontainers.` is reserved.
    ReservedAnnotation,
    /// Tags follow their grammar and stand in `index.json`.
    RefName,
    /// Two entries cannot be told apart.
    Ambiguous,
    /// Platforms are whole, in Go's names, and the same in index and config.
    Platform,
    /// An image without layers is not portable.
    NoLayers,
    /// `rootfs.type` is `layers`.
    RootfsType,
    /// One diff id for each layer.
    DiffIds,
    /// One step of the history for each layer.
    History,
    /// Times are RFC 3339.
    Time,
    /// A field of the config's `config` has a value that no runtime can use.
    Execution,
}

impl Rule {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Shape => "shape",
            Self::SchemaVersion => "schema-version",
            Self::LayoutVersion => "layout-version",
            Self::MediaType => "media-type",
            Self::ArtifactType => "artifact-type",
            Self::Digest => "digest",
            Self::UnknownAlgorithm => "unknown-algorithm",
            Self::Size => "size",
            Self::Urls => "urls",
            Self::Data => "data",
            Self::Annotations => "annotations",
            Self::ReservedAnnotation => "reserved-annotation",
            Self::RefName => "ref-name",
            Self::Ambiguous => "ambiguous",
            Self::Platform => "platform",
            Self::NoLayers => "no-layers",
            Self::RootfsType => "rootfs-type",
            Self::DiffIds => "diff-ids",
            Self::History => "history",
            Self::Time => "time",
            Self::Execution => "execution",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
