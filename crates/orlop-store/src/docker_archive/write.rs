//! The two lists at the end of a Docker archive.

use super::Element;
use super::name::{full_name, tag_of};
use crate::archive::sink::{Held, blob_name};
use crate::error::Error;
use crate::index_file::IMAGE_NAME;
use orlop_spec::document::Parse as _;
use orlop_spec::index::REF_NAME;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Name, Result};
use orlop_spec::{Descriptor, Index, Manifest, json};

/// A name in full form, or why it cannot be written.
pub(super) fn checked_name(tag: &str) -> Result<String, Error> {
    full_name(tag).ok_or_else(|| Error::BadTag {
        tag: tag.into(),
        law: "a name such as `app:1` or `host.example/team/app:1`, in lower case",
    })
}

/// `index.json`, each entry under its full name, as docker writes it.
pub(crate) fn index(roots: &[(Name, Descriptor)]) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    for (name, root) in roots {
        let mut entry = root.clone();
        entry.annotations.remove(IMAGE_NAME);
        entry.annotations.remove(REF_NAME);
        if let Name::Tag(tag) = name {
            let full = checked_name(tag)?;
            entry.annotations.insert(REF_NAME.into(), tag_of(&full).into());
            entry.annotations.insert(IMAGE_NAME.into(), full.into());
        }
        entries.push(entry);
    }
    Ok(json::print(&Index::new(entries)))
}

/// `manifest.json`: one element for each root, with all its names.
pub(crate) fn list(roots: &[(Name, Descriptor)], held: &Held) -> Result<Vec<u8>> {
    let mut elements: Vec<(&Descriptor, Element)> = Vec::new();
    for (name, root) in roots {
        let position = elements.iter().position(|(other, _)| other.digest == root.digest);
        let position = match (position, image(root, held)) {
            (Some(position), _) => position,
            (None, None) => continue,
            (None, Some(manifest)) => {
                elements.push((root, element(&manifest)));
                elements.len() - 1
            }
        };
        if let Name::Tag(tag) = name {
            elements[position].1.repo_tags.get_or_insert_default().push(checked_name(tag)?.into());
        }
    }
    Ok(json::print(&elements.into_iter().map(|(_, element)| element).collect::<Vec<_>>()))
}

fn element(manifest: &Manifest) -> Element {
    Element {
        config: blob_name(&manifest.config.digest).into(),
        repo_tags: Some(Vec::new()),
        layers: manifest.layers.iter().map(|layer| blob_name(&layer.digest).into()).collect(),
    }
}

/// The manifest that stands for a root: itself, or the first below it that is an image and whole.
fn image(root: &Descriptor, held: &Held) -> Option<Manifest> {
    let bytes = held.documents.get(&root.digest)?;
    match root.media_type.role() {
        Role::Manifest => {
            let manifest = Manifest::parse(bytes, &root.media_type).ok()?;
            let is_image = manifest.config.media_type.role() == Role::Config;
            let is_whole = manifest.blobs().all(|blob| held.sizes.contains_key(&blob.digest));
            (is_image && is_whole).then_some(manifest)
        }
        Role::Index => {
            let index = Index::parse(bytes, &root.media_type).ok()?;
            index.manifests.iter().find_map(|child| image(child, held))
        }
        _ => None,
    }
}
