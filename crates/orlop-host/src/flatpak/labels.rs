//! The labels by which an image carries a commit of flatpak.
//!
//! ```text
//! org.flatpak.ref                    app/ID/ARCH/BRANCH
//! org.flatpak.metadata               the key file `metadata` of the commit's root
//! org.flatpak.commit                 64 digits      org.flatpak.parent-commit
//! org.flatpak.timestamp              seconds        org.flatpak.subject, .body
//! org.flatpak.installed-size         bytes          org.flatpak.download-size
//! org.flatpak.commit-metadata.KEY    base64 of a `v`: value, NUL, type
//! ```
//!
//! Invariant: of each value its bytes and its type are kept, so that a commit of the same metadata can have the same
//! id. The order of the metadata is not in labels: who needs it searches for it, or has the commit itself.

use super::refname::{NotARef, Ref};
use crate::ostree::id::{NotAnId, ObjectId};
use crate::ostree::object::Commit;
use crate::ostree::variant::{Dict, NotNormal, Variant};
use orlop_spec::base64;
use orlop_spec::descriptor::Annotations;

/// The ref.
pub const REF: &str = "org.flatpak.ref";
/// The key file of the commit's root.
pub const METADATA: &str = "org.flatpak.metadata";
/// The commit's id.
pub const COMMIT: &str = "org.flatpak.commit";
/// The id of the commit before it.
pub const PARENT: &str = "org.flatpak.parent-commit";
/// The commit's time.
pub const TIMESTAMP: &str = "org.flatpak.timestamp";
/// The commit's subject.
pub const SUBJECT: &str = "org.flatpak.subject";
/// The commit's body.
pub const BODY: &str = "org.flatpak.body";
/// Bytes on the disk.
pub const INSTALLED_SIZE: &str = "org.flatpak.installed-size";
/// Bytes over the wire.
pub const DOWNLOAD_SIZE: &str = "org.flatpak.download-size";
/// Before the keys of the commit's metadata.
pub const COMMIT_METADATA: &str = "org.flatpak.commit-metadata.";
/// What a software centre shows, as XML.
pub const APPDATA: &str = "org.freedesktop.appstream.appdata";
/// The icon of 64 points, as `data:` or an address.
pub const ICON_64: &str = "org.freedesktop.appstream.icon-64";
/// The icon of 128 points.
pub const ICON_128: &str = "org.freedesktop.appstream.icon-128";
/// Where a client asks for the delta that leads to the image, before it asks for the index of deltas.
pub const DELTA_URL: &str = "io.github.containers.DeltaUrl";

/// The commit's metadata that repeats [`METADATA`]: the client compares the two.
pub const XA_METADATA: &str = "xa.metadata";
/// The commit's metadata that repeats [`REF`].
pub const XA_REF: &str = "xa.ref";

/// What the labels of an image say of its commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// What is installed under which name.
    pub name: Option<Ref>,
    /// The key file `metadata`, as it stands in the commit's root.
    pub metadata: Option<Box<str>>,
    /// The commit.
    pub commit: Option<ObjectId>,
    /// The one before it.
    pub parent: Option<ObjectId>,
    /// Seconds since 1970.
    pub time: Option<u64>,
    /// One line.
    pub subject: Option<Box<str>>,
    /// Further lines.
    pub body: Option<Box<str>>,
    /// Bytes on the disk.
    pub installed_size: Option<u64>,
    /// Bytes over the wire.
    pub download_size: Option<u64>,
    /// The commit's metadata, sorted by key.
    pub commit_metadata: Dict,
}

/// A label that does not say what it should.
#[derive(Debug, thiserror::Error)]
#[error("the label {label} cannot be read")]
pub struct BadLabel {
    /// Its key.
    pub label: Box<str>,
    /// Why.
    #[source]
    pub why: Why,
}

/// Why a label cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// Not a ref.
    #[error(transparent)]
    Ref(#[from] NotARef),
    /// Not an id.
    #[error(transparent)]
    Id(#[from] NotAnId),
    /// Not a number of up to 64 bits.
    #[error("{0:?} is no number")]
    Number(Box<str>),
    /// Not base64.
    #[error("it is not base64")]
    Base64,
    /// Not a value.
    #[error("it holds no serialised variant")]
    Variant(#[from] NotNormal),
    /// No text that a variant can be.
    #[error("it holds a NUL")]
    Nul,
}

impl Labels {
    /// What flatpak says of a commit. The metadata is the text of that file in the commit's root, where there is one.
    pub fn of_commit(name: Option<Ref>, id: &ObjectId, commit: &Commit, metadata: Option<&str>) -> Self {
        let values = &commit.metadata;
        // Sizes stand in commits with their bytes the other way round.
        let size = |key| values.get(key).and_then(Variant::as_u64_swapped);
        Self {
            name,
            metadata: metadata.or_else(|| values.get(XA_METADATA)?.as_str()).map(Into::into),
            commit: Some(*id),
            parent: commit.parent,
            time: Some(commit.time),
            subject: Some(commit.subject.as_str().into()),
            body: Some(commit.body.as_str().into()),
            installed_size: size("xa.installed-size"),
            download_size: size("xa.download-size"),
            commit_metadata: values.clone().sorted(),
        }
    }

    /// Reads them; other labels are passed over.
    pub fn parse(labels: &Annotations) -> Result<Self, BadLabel> {
        let text = |key: &str| labels.get(key).cloned();
        Ok(Self {
            name: read(labels, REF, |text| Ok(text.parse::<Ref>()?))?,
            metadata: text(METADATA),
            commit: read(labels, COMMIT, |text| Ok(text.parse::<ObjectId>()?))?,
            parent: read(labels, PARENT, |text| Ok(text.parse::<ObjectId>()?))?,
            time: read(labels, TIMESTAMP, number)?,
            subject: read(labels, SUBJECT, without_nul)?,
            body: read(labels, BODY, without_nul)?,
            installed_size: read(labels, INSTALLED_SIZE, number)?,
            download_size: read(labels, DOWNLOAD_SIZE, number)?,
            commit_metadata: commit_metadata(labels)?,
        })
    }

    /// As they are written.
    pub fn to_annotations(&self) -> Annotations {
        let mut labels = Annotations::new();
        let mut add = |key: &str, value: Option<String>| {
            labels.extend(value.map(|value| (Box::from(key), value.into())));
        };
        add(REF, self.name.as_ref().map(Ref::to_string));
        add(METADATA, self.metadata.as_deref().map(str::to_owned));
        add(COMMIT, self.commit.map(|id| id.to_string()));
        add(PARENT, self.parent.map(|id| id.to_string()));
        add(TIMESTAMP, self.time.map(|time| time.to_string()));
        add(SUBJECT, self.subject.as_deref().map(str::to_owned));
        add(BODY, self.body.as_deref().map(str::to_owned));
        add(INSTALLED_SIZE, self.installed_size.map(|size| size.to_string()));
        add(DOWNLOAD_SIZE, self.download_size.map(|size| size.to_string()));
        for (key, value) in self.commit_metadata.iter() {
            add(&format!("{COMMIT_METADATA}{key}"), Some(base64::encode(&value.to_bytes())));
        }
        labels
    }
}

/// The commit's metadata alone, sorted by key.
pub fn commit_metadata(labels: &Annotations) -> Result<Dict, BadLabel> {
    let mut values = Dict::new();
    for (label, text) in labels {
        let Some(key) = label.strip_prefix(COMMIT_METADATA) else { continue };
        let bad = |why| BadLabel { label: label.clone(), why };
        let key = without_nul(key).map_err(bad)?;
        values.push(&key, variant(text).map_err(bad)?);
    }
    Ok(values)
}

fn variant(text: &str) -> Result<Variant, Why> {
    Ok(Variant::parse(&base64::decode(text).ok_or(Why::Base64)?)?)
}

fn read<T>(
    labels: &Annotations,
    key: &str,
    parse: impl FnOnce(&str) -> Result<T, Why>,
) -> Result<Option<T>, BadLabel> {
    let value = labels.get(key).map(|text| parse(text)).transpose();
    value.map_err(|why| BadLabel { label: key.into(), why })
}

/// As it is, where a variant can be it.
fn without_nul(text: &str) -> Result<Box<str>, Why> {
    if text.contains('\0') { Err(Why::Nul) } else { Ok(text.into()) }
}

/// Digits alone.
fn number(text: &str) -> Result<u64, Why> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().ok_or_else(|| Why::Number(text.into()))
}

#[cfg(test)]
mod tests;
