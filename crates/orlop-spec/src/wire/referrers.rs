//! Manifests that speak about another one (distribution-spec, "Listing Referrers" and "Referrers Tag Schema").
//!
//! ```text
//! subject sha256:ba78…   ──► tag sha256-ba78…   an index that clients keep up to date
//!                                               where the registry does not
//! ```
//!
//! Invariant: entries of others and fields without a name here survive a change.

use super::endpoint::ManifestName;
use crate::descriptor::{Annotations, Descriptor};
use crate::digest::AnyDigest;
use crate::document::{Document, DocumentError, Parse};
use crate::index::Index;
use crate::json;
use crate::manifest::Manifest;
use crate::media_type::{MediaType, OCI_INDEX};
use std::sync::Arc;

/// The tag of a subject: algorithm and hash, cut to 32 and 64 characters, a dash for what no tag may hold (item 209).
pub fn tag(subject: &AnyDigest) -> ManifestName {
    let plain = |text: &str, longest: usize| -> String {
        let is_kept = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
        text.chars().take(longest).map(|it| if is_kept(it) { it } else { '-' }).collect()
    };
    let text = format!("{}-{}", plain(subject.algorithm_name(), 32), plain(&subject.encoded(), 64));
    ManifestName::tag(&text).expect("the grammar of digests begins with a letter or digit")
}

/// What a list of referrers says about a manifest, and of whom it speaks; `None` where it speaks of nobody.
pub fn of_manifest(manifest: &Document<Manifest>) -> Option<(AnyDigest, Descriptor)> {
    let named = manifest.artifact_type.clone().filter(|it| !it.as_str().is_empty());
    let artifact_type = named.unwrap_or_else(|| manifest.config.media_type.clone());
    let subject = manifest.subject.as_ref()?.digest.clone();
    Some((subject, entry(manifest.descriptor(), Some(artifact_type), &manifest.annotations)))
}

/// The same of an index, which has no config to take a type from.
pub fn of_index(index: &Document<Index>) -> Option<(AnyDigest, Descriptor)> {
    let artifact_type = index.artifact_type.clone().filter(|it| !it.as_str().is_empty());
    let subject = index.subject.as_ref()?.digest.clone();
    Some((subject, entry(index.descriptor(), artifact_type, &index.annotations)))
}

fn entry(named: &Descriptor, artifact_type: Option<MediaType>, annotations: &Annotations) -> Descriptor {
    let blob = Descriptor::new(named.media_type.clone(), named.digest.clone(), named.size);
    Descriptor { artifact_type, annotations: annotations.clone(), ..blob }
}

/// The entries of a list that was answered; none where it is no index (item 208).
pub fn listed(body: &[u8]) -> Vec<Descriptor> {
    Index::parse(body, &MediaType::new(OCI_INDEX)).map(|index| index.manifests).unwrap_or_default()
}

/// The index behind the tag of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    index: Index,
}

/// Whether something changed, so that it must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is as it was.
    None,
    /// Something is new, or gone.
    Made,
}

impl Default for Fallback {
    /// What there is where the tag is not: nothing.
    fn default() -> Self {
        Self { index: Index::new(Vec::new()) }
    }
}

impl Fallback {
    /// What the tag names. Something else than an index is an error, because to write would be to lose it.
    pub fn read(body: Arc<[u8]>, named: Descriptor) -> Result<Self, DocumentError> {
        let expected = MediaType::new(OCI_INDEX);
        if named.media_type != expected {
            let found = named.media_type.clone();
            return Err(DocumentError::MediaTypeDiffers { found, expected }.of(named));
        }
        Ok(Self { index: Document::<Index>::open(body, named)?.into_value() })
    }

    /// Adds an entry, or renews it where it is there; every manifest stands once (item 207).
    pub fn add(&mut self, entry: Descriptor) -> Change {
        let of_same = |it: &Descriptor| it.digest == entry.digest;
        let same: Vec<&Descriptor> = self.index.manifests.iter().filter(|it| of_same(it)).collect();
        if same == [&entry] {
            return Change::None;
        }
        let first = self.index.manifests.iter().position(of_same).unwrap_or(self.index.manifests.len());
        self.index.manifests.retain(|it| !of_same(it));
        self.index.manifests.insert(first, entry);
        Change::Made
    }

    /// Removes the entry of a manifest.
    pub fn remove(&mut self, manifest: &AnyDigest) -> Change {
        let before = self.index.manifests.len();
        self.index.manifests.retain(|it| it.digest != *manifest);
        if self.index.manifests.len() == before { Change::None } else { Change::Made }
    }

    /// The entries.
    pub fn entries(&self) -> &[Descriptor] {
        &self.index.manifests
    }

    /// As it is written.
    pub fn print(&self) -> Vec<u8> {
        json::print(&self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Algorithm, Digest};
    use crate::media_type::{OCI_EMPTY, OCI_MANIFEST};

    fn digest(of: &str) -> AnyDigest {
        Digest::of(Algorithm::Sha256, of.as_bytes()).into()
    }

    fn blob(of: &str) -> Descriptor {
        Descriptor::new(MediaType::new(OCI_EMPTY), digest(of), of.len() as u64)
    }

    fn named(body: &[u8], media_type: &str) -> Descriptor {
        let digest = Digest::of(Algorithm::Sha256, body);
        Descriptor::new(MediaType::new(media_type), digest, body.len() as u64)
    }

    fn signature(artifact_type: Option<&str>) -> Document<Manifest> {
        let mut manifest = Manifest::new(blob("{}"), Vec::new());
        manifest.artifact_type = artifact_type.map(MediaType::new);
        manifest.subject = Some(blob("subject"));
        manifest.annotations.insert("key".into(), "value".into());
        Document::print(manifest, MediaType::new(OCI_MANIFEST), Algorithm::Sha256)
    }

    #[test]
    fn item_209_the_tag_of_a_subject() {
        let tag = |text: &str| tag(&text.parse().expect(text)).to_string();
        let sha256 = digest("x").to_string();
        assert_eq!(tag(&sha256), sha256.replace(':', "-"));
        let sha512 = Digest::of(Algorithm::Sha512, b"x");
        assert_eq!(tag(&sha512.to_string()), format!("sha512-{}", &sha512.hex()[..64]));
        assert_eq!(
            tag(&format!("{}+b64u:{}", "a".repeat(40), "=".repeat(80))),
            format!("{}-{}", "a".repeat(32), "-".repeat(64))
        );
        assert_eq!(tag("foo+bar:a=b"), "foo-bar-a-b");
    }

    #[test]
    fn items_118_and_207_type_and_annotations_come_from_the_manifest() {
        for (named, expected) in [(Some("a/sbom"), "a/sbom"), (None, OCI_EMPTY), (Some(""), OCI_EMPTY)] {
            let document = signature(named);
            let (subject, entry) = of_manifest(&document).expect("it has a subject");
            assert_eq!(subject, digest("subject"));
            assert!(entry.names_same_blob(document.descriptor()));
            assert_eq!(entry.artifact_type, Some(MediaType::new(expected)));
            assert_eq!(entry.annotations.get("key").map(|it| &**it), Some("value"));
        }
        let index = Index { subject: Some(blob("subject")), ..Index::new(Vec::new()) };
        let index = Document::print(index, MediaType::new(OCI_INDEX), Algorithm::Sha256);
        assert_eq!(of_index(&index).expect("it has a subject").1.artifact_type, None);
        let lone = Document::print(
            Manifest::new(blob("{}"), Vec::new()),
            MediaType::new(OCI_MANIFEST),
            Algorithm::Sha256,
        );
        assert_eq!(of_manifest(&lone), None);
    }

    #[test]
    fn item_207_entries_of_others_survive_and_none_stands_twice() {
        let others = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[
                {{"mediaType":"a/b","digest":"{0}","size":1,"x":{{"y":1}}}},
                {{"mediaType":"c/d","digest":"{1}","size":2}},
                {{"mediaType":"c/d","digest":"{1}","size":2}}],"z":[1]}}"#,
            digest("other"),
            digest("s")
        );
        let named = named(others.as_bytes(), OCI_INDEX);
        let mut fallback = Fallback::read(others.as_bytes().into(), named).expect("an index");
        assert_eq!(fallback.add(blob("s")), Change::Made);
        assert_eq!(fallback.add(blob("s")), Change::None);
        assert_eq!(fallback.add(blob("new")), Change::Made);
        let digests: Vec<AnyDigest> = fallback.entries().iter().map(|it| it.digest.clone()).collect();
        assert_eq!(digests, [digest("other"), digest("s"), digest("new")]);
        let printed = String::from_utf8(fallback.print()).expect("text");
        assert!(printed.contains(r#""x":{"y":1}"#) && printed.contains(r#""z":[1]"#), "{printed}");
        assert_eq!(fallback.remove(&digest("s")), Change::Made);
        assert_eq!(fallback.remove(&digest("s")), Change::None);
        assert_eq!(listed(&fallback.print()).len(), 2);
    }

    #[test]
    fn item_208_what_is_no_index_lists_nothing_and_is_not_written_over() {
        let manifest = signature(None);
        assert!(listed(manifest.raw()).is_empty());
        assert!(listed(b"<html>").is_empty());
        for media_type in [OCI_MANIFEST, OCI_INDEX] {
            let named = named(manifest.raw(), media_type);
            let told =
                Fallback::read(manifest.raw().clone(), named.clone()).expect_err("no index").to_string();
            assert!(told.contains(&named.digest.to_string()), "{told}");
        }
        assert!(Fallback::default().entries().is_empty());
    }
}
