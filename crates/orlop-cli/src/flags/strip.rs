//! What is taken out of an image.

use clap::Args;
use orlop::edit::{Strip, Which};
use orlop::layer::TreePath;
use orlop::layer::codec::Codec;
use orlop::spec::Fault;
use orlop::spec::digest::Digest;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// Paths and layers that go.
#[derive(Args, Debug)]
#[command(next_help_heading = "Image")]
pub struct StripFlags {
    /// A path that goes, from every layer; repeatable
    #[arg(long, value_name = "PATH")]
    rm_path: Vec<OsString>,
    /// A layer that goes: its number, the base being 0, or its digest or diff id; repeatable
    #[arg(long, value_name = "N|DIGEST", value_parser = which)]
    rm_layer: Vec<Which>,
}

impl StripFlags {
    /// The step of an edit, where anything is to go; contents wait in `tmpdir`.
    pub fn step(&self, codec: Option<Codec>, tmpdir: PathBuf) -> Result<Option<Strip>, Fault> {
        let paths: Vec<TreePath> = self.rm_path.iter().map(path).collect::<Result<_, _>>()?;
        let layers = self.rm_layer.clone();
        Ok(self.is_given().then_some(Strip { paths, layers, codec, tmpdir }))
    }

    /// Whether anything was said.
    pub fn is_given(&self) -> bool {
        !self.rm_path.is_empty() || !self.rm_layer.is_empty()
    }
}

/// A path of the image. The root cannot go.
fn path(text: &OsString) -> Result<TreePath, Fault> {
    let path = TreePath::parse(text.as_bytes()).map_err(|_| NO_PATH)?;
    if path.is_root() { Err(THE_ROOT.into()) } else { Ok(path) }
}

const THE_ROOT: orlop::Error = orlop::Error::Unfit {
    what: "the root of an image cannot be taken out of it",
    hint: "name what lies in it: --rm-path /etc/hostname",
};

const NO_PATH: orlop::Error = orlop::Error::Unfit {
    what: "a path of an image begins at its root, and holds no `..`",
    hint: "write it as it stands in `orlop files REF`",
};

fn which(text: &str) -> Result<Which, String> {
    if let Ok(number) = text.parse() {
        return Ok(Which::At(number));
    }
    let digest: Result<Digest, _> = text.parse();
    digest
        .map(|digest| Which::Digest(digest.into()))
        .map_err(|_| "it is the number of a layer, or a digest".into())
}
