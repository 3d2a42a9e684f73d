//! `orlop strip REF …`

use super::Outcome;
use crate::flags::{Compressing, Editing};
use crate::shell::Shell;
use clap::Args;
use orlop::edit::{Step, Strip, Which};
use orlop::layer::TreePath;
use orlop::spec::Fault;
use orlop::spec::digest::Digest;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// Take paths or layers out of an image, as if they had never been in it.
///
/// A path goes with all that lies beneath it, from every layer. It is a plain path from the root, and no pattern; links on
/// the way are followed. Layers that have nothing of it keep their bytes, a file keeps its other names. A layer goes with
/// the step of the history that made it; what the layers above do without it is not looked at.
#[derive(Args)]
#[command(after_help = "Examples:
  orlop strip oci:DIR:TAG --rm-path /root/.netrc --rm-path /var/cache/apt
  orlop strip docker://registry.example.com/app:1 --rm-layer 3 --to docker://registry.example.com/app:1-small")]
pub struct Arguments {
    /// A path that goes, from every layer; repeatable
    #[arg(long, value_name = "PATH", required_unless_present = "rm_layer")]
    rm_path: Vec<OsString>,
    /// A layer that goes: its number, the base being 0, or its digest or diff id; repeatable
    #[arg(long, value_name = "N|DIGEST", value_parser = which)]
    rm_layer: Vec<Which>,
    #[command(flatten)]
    compressing: Compressing,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let strip = Strip {
        paths: arguments.rm_path.iter().map(path).collect::<Result<_, _>>()?,
        layers: arguments.rm_layer.clone(),
        codec: arguments.compressing.compress,
        tmpdir: arguments.editing.places.spools(),
    };
    arguments.editing.run(shell, |_| Ok(vec![Box::new(strip) as Box<dyn Step>]))?;
    Ok(Outcome::Done)
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
