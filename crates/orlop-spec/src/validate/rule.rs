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
    /// Every rule, in the order of the reference.
    pub const ALL: [Self; 22] = [
        Self::Json,
        Self::Shape,
        Self::SchemaVersion,
        Self::LayoutVersion,
        Self::MediaType,
        Self::ArtifactType,
        Self::Digest,
        Self::UnknownAlgorithm,
        Self::Size,
        Self::Urls,
        Self::Data,
        Self::Annotations,
        Self::ReservedAnnotation,
        Self::RefName,
        Self::Ambiguous,
        Self::Platform,
        Self::NoLayers,
        Self::RootfsType,
        Self::DiffIds,
        Self::History,
        Self::Time,
        Self::Execution,
    ];

    /// What holds where the rule is kept; one line for the reference.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Json => {
                "UTF-8, no byte-order mark, no name twice in an object, nested no deeper than 128 (RFC 7493)"
            }
            Self::Shape => {
                "the members that make a manifest, an index or a config, each of its type; never those of two of them"
            }
            Self::SchemaVersion => "`schemaVersion` is 2",
            Self::LayoutVersion => "`imageLayoutVersion` is 1.0.0",
            Self::MediaType => {
                "media types follow RFC 6838; a document's own is there and is its descriptor's"
            }
            Self::ArtifactType => "a manifest with an empty config says its `artifactType`",
            Self::Digest => "digests follow their grammar and are those of the content",
            Self::UnknownAlgorithm => "a digest of an algorithm that is not computed proves nothing",
            Self::Size => "sizes are not negative and are those of the content",
            Self::Urls => "`urls` follow RFC 3986 and are http or https",
            Self::Data => "embedded `data` is base64 and equal to the content",
            Self::Annotations => "annotations and labels are maps of text to text",
            Self::ReservedAnnotation => {
                "names under `org.opencontainers.` are those that the specification defines"
            }
            Self::RefName => "tags follow their grammar and stand in index.json alone",
            Self::Ambiguous => "two entries of an index can be told apart by tag or platform",
            Self::Platform => "platforms are whole, in Go's names, and the same in index and config",
            Self::NoLayers => "there is at least one layer",
            Self::RootfsType => "`rootfs.type` is `layers`",
            Self::DiffIds => "one diff id for each layer",
            Self::History => "one step of the history for each layer, but for those that made none",
            Self::Time => "times follow RFC 3339",
            Self::Execution => "what a container is to run as can be used by a runtime",
        }
    }

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

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn names_are_distinct_and_fit_for_scripts() {
        let names: std::collections::BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    }
}
