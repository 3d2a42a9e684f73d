//! A writer of images that does what it is told: every document can be replaced, every digest can lie.
//!
//! Defaults make a right image; each edit is a function on the text of a document, applied before the document
//! is hashed, so that a broken document still has its right digest.

use crate::tarball::{Member, tar};
use orlop_spec::{Algorithm, Digest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// One gzip member.
    Gzip,
    /// One zstd frame.
    Zstd,
}

impl Packing {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Gzip, Self::Zstd];

    /// The OCI media type of such a layer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// Compresses.
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Gzip => gzip(bytes),
            Self::Zstd => zstd(bytes),
        }
    }
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::fastest());
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut out).expect("the bound suffices");
    out.truncate(length);
    out
}

/// One zstd frame.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    zstd_safe::compress(&mut out, bytes, 1).expect("the bound suffices");
    out
}

/// `sha256:…` of some bytes.
pub fn sha256(bytes: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, bytes).to_string()
}

/// A layer as it will stand in the image.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The blob.
    pub blob: Vec<u8>,
    /// What the descriptor calls it.
    pub media_type: String,
    /// What the config says of the uncompressed bytes.
    pub diff_id: String,
}

impl Layer {
    /// A right layer around any tar bytes.
    pub fn new(tar: &[u8], packing: Packing) -> Self {
        Self { blob: packing.pack(tar), media_type: packing.media_type().into(), diff_id: sha256(tar) }
    }
}

type Edit = Box<dyn FnOnce(Value) -> Text>;

/// A document: a value to print, or text that no printer would write.
pub enum Text {
    /// Printed without blanks.
    Value(Value),
    /// As it is.
    Raw(Vec<u8>),
}

impl Text {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Value(value) => value.to_string().into_bytes(),
            Self::Raw(bytes) => bytes,
        }
    }
}

impl From<Value> for Text {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Raw(text.into_bytes())
    }
}

/// An image to be.
pub struct Image {
    layers: Vec<Layer>,
    config: Edit,
    manifest: Edit,
    index: Edit,
}

impl Default for Image {
    fn default() -> Self {
        Self::new()
    }
}

impl Image {
    /// An image for amd64 Linux without layers, tagged `latest`.
    pub fn new() -> Self {
        let keep = || -> Edit { Box::new(Text::Value) };
        Self { layers: Vec::new(), config: keep(), manifest: keep(), index: keep() }
    }

    /// An image of right layers around tar bytes.
    pub fn of(tars: &[Vec<u8>], packing: Packing) -> Self {
        tars.iter().fold(Self::new(), |image, tar| image.layer(Layer::new(tar, packing)))
    }

    /// One more layer.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Changes the config.
    #[must_use]
    pub fn config<T: Into<Text>>(mut self, edit: impl FnOnce(Value) -> T + 'static) -> Self {
        self.config = Box::new(|value| edit(value).into());
        self
    }

    /// Changes the manifest.
    #[must_use]
    pub fn manifest<T: Into<Text>>(mut self, edit: impl FnOnce(Value) -> T + 'static) -> Self {
        self.manifest = Box::new(|value| edit(value).into());
        self
    }

    /// Changes `index.json`.
    #[must_use]
    pub fn index<T: Into<Text>>(mut self, edit: impl FnOnce(Value) -> T + 'static) -> Self {
        self.index = Box::new(|value| edit(value).into());
        self
    }

    /// The image as a layout.
    pub fn layout(self) -> Layout {
        let mut layout = Layout::default();
        let diff_ids: Vec<_> = self.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let layers: Vec<_> =
            self.layers.into_iter().map(|layer| layout.add(&layer.media_type, layer.blob)).collect();
        let config = (self.config)(json!({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }));
        let config = layout.add("application/vnd.oci.image.config.v1+json", config.bytes());
        let manifest = (self.manifest)(
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}),
        );
        let mut manifest = layout.add(MANIFEST, manifest.bytes());
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
        let index = (self.index)(json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]}));
        layout.put("index.json", index.bytes());
        layout
    }

    /// The image as `docker save` wrote it before version 25.
    pub fn docker_archive(self) -> Vec<u8> {
        self.docker_members(Text::Value)
    }

    /// The same with another `manifest.json`.
    pub fn docker_members(self, edit: impl FnOnce(Value) -> Text) -> Vec<u8> {
        let mut members = Vec::new();
        let diff_ids: Vec<_> = self.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let mut names = Vec::new();
        for (number, layer) in self.layers.into_iter().enumerate() {
            let name = format!("{number:064}/layer.tar");
            members.push(Member::file(&name, layer.blob));
            names.push(name);
        }
        let config = (self.config)(json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }))
        .bytes();
        let config_name = format!("{}.json", &sha256(&config)[7..]);
        members.push(Member::file(&config_name, config));
        let manifest = edit(json!([{"Config": config_name, "RepoTags": ["demo:latest"], "Layers": names}]));
        members.push(Member::file("manifest.json", manifest.bytes()));
        tar(members)
    }
}

/// Media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The files of an OCI layout.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Paths to contents.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Paths to the targets of symbolic links.
    pub links: BTreeMap<String, String>,
}

impl Default for Layout {
    fn default() -> Self {
        let marker = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
        Self { files: BTreeMap::from([("oci-layout".into(), marker)]), links: BTreeMap::new() }
    }
}

impl Layout {
    /// Adds a blob under its right name, and gives its descriptor.
    pub fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = sha256(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.files.insert(blob_path(&digest), bytes);
        descriptor
    }

    /// Adds or replaces any file.
    pub fn put(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), bytes.into());
    }

    /// Changes the bytes of one file.
    #[must_use]
    pub fn edit(mut self, path: &str, edit: impl FnOnce(&mut Vec<u8>)) -> Self {
        edit(self.files.get_mut(path).expect("the layout has that file"));
        self
    }

    /// Without one file.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.files.remove(path).expect("the layout has that file");
        self
    }

    /// `index.json` as a value.
    pub fn index(&self) -> Value {
        serde_json::from_slice(&self.files["index.json"]).expect("a right index")
    }

    /// The path of the first manifest.
    pub fn manifest_path(&self) -> String {
        blob_path(self.index()["manifests"][0]["digest"].as_str().expect("a digest"))
    }

    /// The first manifest as a value.
    pub fn manifest(&self) -> Value {
        serde_json::from_slice(&self.files[&self.manifest_path()]).expect("a right manifest")
    }

    /// The path of the first manifest's `N`-th layer.
    pub fn layer_path(&self, number: usize) -> String {
        blob_path(self.manifest()["layers"][number]["digest"].as_str().expect("a digest"))
    }

    /// The path of the first manifest's config.
    pub fn config_path(&self) -> String {
        blob_path(self.manifest()["config"]["digest"].as_str().expect("a digest"))
    }

    /// Writes it as a folder.
    pub fn write(&self, folder: &Path) {
        for (path, bytes) in &self.files {
            fs::write(parent_made(folder, path), bytes).expect("a file of the layout is written");
        }
        for (path, target) in &self.links {
            symlink(target, parent_made(folder, path)).expect("a link of the layout is made");
        }
        fs::create_dir_all(folder.join("blobs/sha256")).expect("a layout has its folder of blobs");
    }

    /// It as an archive, `index.json` last.
    pub fn archive(&self) -> Vec<u8> {
        let (index, others): (Vec<_>, Vec<_>) =
            self.files.iter().partition(|(path, _)| *path == "index.json");
        tar(others.into_iter().chain(index).map(|(path, bytes)| Member::file(path, bytes)))
    }
}

/// Where a layout keeps the blob of a digest.
pub fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

fn parent_made(folder: &Path, path: &str) -> std::path::PathBuf {
    let file = folder.join(path);
    fs::create_dir_all(file.parent().expect("a file has a folder")).expect("a folder of the layout is made");
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{is_root, peer, proof, scratch};

    /// skopeo is the judge: without an edit the image is right, in all forms. It gives the folders of an archive to
    /// their owner, which is root here, so an ordinary user asks about layouts alone.
    #[test]
    fn skopeo_reads_what_was_not_damaged() {
        let name = "testkit: undamaged fixtures are read by skopeo";
        let Some(skopeo) = peer("skopeo") else { return proof::skipped(name, "skopeo is missing") };
        let scratch = scratch();
        let mut read = 1;
        let tars = [tar([Member::file("a", "1")]), tar([Member::folder("d/"), Member::file("d/b", "2")])];
        for packing in Packing::ALL {
            let layout = Image::of(&tars, packing).layout();
            let folder = scratch.path(&format!("{packing:?}"));
            layout.write(&folder);
            let archive = scratch.file("archive.tar", layout.archive());
            let forms =
                [format!("oci:{}:latest", folder.display()), format!("oci-archive:{}", archive.display())];
            let readable = if is_root() { &forms[..] } else { &forms[..1] };
            for source in readable {
                let copy = format!("dir:{}", scratch.path("copy").display());
                skopeo.command().args(["--insecure-policy", "copy", source, &copy]).ok();
                read += 1;
            }
        }
        let archive = scratch.file("docker.tar", Image::of(&tars, Packing::Plain).docker_archive());
        skopeo.command().args(["inspect", "--raw"]).arg(format!("docker-archive:{}", archive.display())).ok();
        proof::ran(name, read);
    }
}
