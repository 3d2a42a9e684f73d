//! `aci from-bundle`: a bundle of a runtime becomes an App Container Image.
//!
//! Invariant: files come from beneath the bundle alone, and the file appears when it is whole.

use super::target::NO_ZSTD;
use crate::rendering::Press;
use crate::tar_tree::{NewTar, write};
use crate::trees::{FolderTree, Reading, TreeSource as _};
use orlop_fs::Dir;
use orlop_host::Error as HostError;
use orlop_host::aci::AciError;
use orlop_host::aci::archive::Packed;
use orlop_host::aci::from_bundle::{RUNTIME_CONFIG, manifest};
use orlop_host::aci::from_config::Named;
use orlop_layer::codec::Codec;
use orlop_layer::{Meta, Time, TreePath};
use orlop_spec::port::Result;
use orlop_spec::time::Timestamp;
use orlop_spec::{Algorithm, Context, Digest, Event};
use std::path::Path;

/// What is said about the image.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// What it is called; as the bundle's folder is, where it is not said.
    pub name: Option<Box<str>>,
    /// How it is compressed; by gzip, where it is not said.
    pub press: Option<Press>,
    /// How the files are read.
    pub reading: Reading,
    /// The time of the manifest; 1970 where it is not said.
    pub time: Option<Timestamp>,
}

/// Writes the image; gives its id.
pub fn from_bundle(cx: &Context<'_>, bundle: &Path, to: &NewTar<'_>, wish: &Wish) -> Result<Digest> {
    let press = wish.press.unwrap_or(Press::Layer(Codec::GZIP));
    if matches!(press, Press::Layer(Codec::Zstd { .. })) {
        return Err(NO_ZSTD.into());
    }
    let folder = Dir::open(bundle)?;
    let raw = config(cx, &folder)?;
    let named = named(bundle, wish)?;
    let broken = |source| {
        let image = folder.path().join("config.json").display().to_string();
        HostError::from(AciError::Manifest { image, source })
    };
    let (manifest, root, unsaid) = manifest(&raw, &named).map_err(broken)?;
    for field in unsaid {
        let told = format!("an App Container cannot say {field}: the annotation {RUNTIME_CONFIG} has it");
        cx.observer.event(Event::Warned(told));
    }
    let tree = FolderTree::of(beneath(&folder, &root)?);
    let mtime = Time::from_seconds(wish.time.map_or(0, Timestamp::seconds));
    let head = Meta { mode: 0o644, mtime, ..Meta::default() };
    let mut entries = Packed::new(tree.entries(cx, &wish.reading)?, manifest.to_bytes(), head);
    let encoded = to.write(|out| write(cx, &mut entries, press, Algorithm::Sha512, out))?;
    Ok(encoded.diff_id.0)
}

/// The text of `config.json`.
fn config(cx: &Context<'_>, folder: &Dir) -> Result<String> {
    let bytes = folder.open_file("config.json")?.read_to_limit(cx.limits.document)?;
    Ok(String::from_utf8(bytes).map_err(|_| NO_TEXT)?)
}

const NO_TEXT: crate::Error = crate::Error::Unfit {
    what: "config.json is no text",
    hint: "make the bundle anew: orlop bundle REF DIR",
};

fn named(bundle: &Path, wish: &Wish) -> Result<Named> {
    let folder = bundle.file_name().map(|name| name.to_string_lossy().into());
    let called: Box<str> = wish.name.clone().or(folder).unwrap_or_default();
    Ok(Named::parse(&called).ok_or_else(|| HostError::from(AciError::Nameless(called)))?)
}

/// The root filesystem. Links on the way are not followed.
fn beneath(bundle: &Dir, root: &str) -> Result<Dir> {
    if root.starts_with('/') {
        return Err(OUTSIDE.into());
    }
    let path = TreePath::parse(root.as_bytes()).map_err(|_| OUTSIDE)?;
    let mut folder = bundle.try_clone()?;
    for component in path.components() {
        folder = folder.open_dir(component)?;
    }
    Ok(folder)
}

const OUTSIDE: crate::Error = crate::Error::Unfit {
    what: "the root filesystem of the bundle is not in the bundle",
    hint: "copy its files instead: orlop copy rootfs:DIR aci:FILE",
};
