//! What a software centre shows of an app, out of its commit.
//!
//! ```text
//! files/share/app-info/xmls/ID.xml.gz                 ──► the label of the XML, with the ref that installs the app
//! files/share/app-info/icons/flatpak/64x64/ID.png     ──► the labels of the icons: data:image/png;base64,…
//! files/share/app-info/icons/flatpak/128x128/ID.png
//! ```
//!
//! Invariant: the labels follow from the commit alone. An app that says nothing of itself has none; icons without words are none. What it says badly is
//! told of and makes no label; only damage of the repository is an error.

mod catalogue;

use super::labels::{APPDATA, ICON_64, ICON_128};
use super::refname::Ref;
use crate::error::Error;
use crate::ostree::Repo;
use crate::ostree::id::ObjectId;
use crate::ostree::keyfile::KeyFile;
use catalogue::Bundle;
use orlop_layer::codec;
use orlop_spec::descriptor::Annotations;
use orlop_spec::media_type::Compression;
use orlop_spec::{Limits, base64};
use std::io::Read as _;

/// Bytes of the largest file that becomes a label. All of them go into one config.
const LARGEST: u64 = 1 << 20;

/// Where they are.
const FOLDER: [&str; 3] = ["files", "share", "app-info"];

/// The labels of an app whose tree has this root, and whose key file is `metadata`. `tell` hears of files that make none.
pub fn labels(
    (repo, root): (&Repo, &ObjectId),
    name: &Ref,
    metadata: &str,
    tell: &dyn Fn(String),
) -> Result<Annotations, Error> {
    let (app, mut labels) = (App { repo, root, tell }, Annotations::new());
    let id = &name.id;
    let xml = format!("{id}.xml.gz");
    let Some(packed) = app.file(&["xmls"], &xml)? else { return Ok(labels) };
    let text = unpacked(&packed).and_then(|text| catalogue::of(&text, &bundle(name, metadata)));
    let Some(text) = text else {
        tell(format!(
            "{xml} makes no label: it is no catalogue of {id} in gzip, or unpacks to more than {LARGEST} bytes"
        ));
        return Ok(labels);
    };
    labels.insert(APPDATA.into(), text.into());
    for (label, size) in [(ICON_64, "64x64"), (ICON_128, "128x128")] {
        if let Some(icon) = app.file(&["icons", "flatpak", size], &format!("{id}.png"))? {
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

/// The tree of an app.
struct App<'a> {
    repo: &'a Repo,
    root: &'a ObjectId,
    tell: &'a dyn Fn(String),
}

impl App<'_> {
    /// A file below [`FOLDER`], where it is there, no link, and not too large.
    fn file(&self, folders: &[&str], name: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut tree = self.repo.dirtree(self.root)?;
        for folder in FOLDER.iter().chain(folders) {
            let Some((id, _)) = tree.folder(folder) else { return Ok(None) };
            tree = self.repo.dirtree(id)?;
        }
        let Some(id) = tree.file(name) else { return Ok(None) };
        let file = self.repo.file(id)?;
        if file.header().is_link() {
            return Ok(None);
        }
        if file.size() > LARGEST {
            let (path, size) = (folders.join("/"), file.size());
            (self.tell)(format!(
                "{path}/{name} makes no label: it has {size} bytes, and {LARGEST} are allowed"
            ));
            return Ok(None);
        }
        file.content(LARGEST).map(Some)
    }
}

fn unpacked(packed: &[u8]) -> Option<String> {
    let limits = Limits { size: LARGEST, ..Limits::default() };
    let mut text = String::new();
    codec::decoder(Compression::Gzip, packed, &limits).read_to_string(&mut text).ok()?;
    Some(text)
}
