//! What a software centre shows of an app, out of its commit.
//!
//! ```text
//! files/share/app-info/xmls/ID.xml.gz                 ──► the label of the XML, with the ref that installs the app
//! files/share/app-info/icons/flatpak/64x64/ID.png     ──► the labels of the icons: data:image/png;base64,…
//! files/share/app-info/icons/flatpak/128x128/ID.png
//! ```
//!
//! Invariant: the labels follow from the commit alone. An app that says nothing of itself has none; icons without words are none.

mod catalogue;

use super::labels::{APPDATA, ICON_64, ICON_128};
use super::refname::Ref;
use crate::error::Error;
use crate::ostree::Repo;
use crate::ostree::id::ObjectId;
use crate::ostree::keyfile::KeyFile;
use catalogue::Bundle;
use orlop_layer::{Error as LayerError, codec};
use orlop_spec::descriptor::Annotations;
use orlop_spec::media_type::Compression;
use orlop_spec::{Limits, base64};
use std::io::Read as _;

/// Bytes of the largest file that becomes a label. All of them go into one config.
const LARGEST: u64 = 1 << 20;

/// Where they are.
const FOLDER: [&str; 3] = ["files", "share", "app-info"];

/// The labels of an app whose tree has this root, and whose key file is `metadata`.
pub fn labels(repo: &Repo, root: &ObjectId, name: &Ref, metadata: &str) -> Result<Annotations, Error> {
    let mut labels = Annotations::new();
    let id = &name.id;
    let Some(packed) = file(repo, root, &["xmls"], &format!("{id}.xml.gz"))? else { return Ok(labels) };
    let text = String::from_utf8(unpacked(&packed)?).ok();
    let Some(text) = text.and_then(|text| catalogue::of(&text, &bundle(name, metadata))) else {
        return Ok(labels);
    };
    labels.insert(APPDATA.into(), text.into());
    for (label, size) in [(ICON_64, "64x64"), (ICON_128, "128x128")] {
        if let Some(icon) = file(repo, root, &["icons", "flatpak", size], &format!("{id}.png"))? {
            let address = format!("data:image/png;base64,{}", base64::encode(&icon));
            labels.insert(label.into(), address.into());
        }
    }
    Ok(labels)
}

/// What installs the app, and what it needs.
fn bundle<'n>(name: &'n Ref, metadata: &str) -> Bundle<'n> {
    let file = KeyFile::parse(metadata.as_bytes()).ok();
    let said = |key| file.as_ref()?.string(name.kind.group(), key).ok().flatten().map(Into::into);
    Bundle { name, runtime: said("runtime"), sdk: said("sdk") }
}

/// A file below [`FOLDER`], where it is there and no link.
fn file(repo: &Repo, root: &ObjectId, folders: &[&str], name: &str) -> Result<Option<Vec<u8>>, Error> {
    let mut tree = repo.dirtree(root)?;
    for folder in FOLDER.iter().chain(folders) {
        let Some((id, _)) = tree.folder(folder) else { return Ok(None) };
        tree = repo.dirtree(id)?;
    }
    let Some(id) = tree.file(name) else { return Ok(None) };
    let file = repo.file(id)?;
    if file.header().is_link() { Ok(None) } else { file.content(LARGEST).map(Some) }
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, Error> {
    let limits = Limits { size: LARGEST, ..Limits::default() };
    let mut text = Vec::new();
    let read = codec::decoder(Compression::Gzip, packed, &limits).read_to_end(&mut text);
    read.map_err(LayerError::Read)?;
    Ok(text)
}
