//! `orlop ostree export`

use super::{Outcome, Repository};
use crate::environment;
use crate::flags::{self, Places, Work, making, name, published};
use crate::shell::Shell;
use clap::Args;
use orlop::build::{Form, build};
use orlop::fs::owner::Owner;
use orlop::layer::codec::Codec;
use orlop::ostree::export;
use orlop::ostree::source::CommitTree;
use orlop::spec::reference::{File, Reference};
use orlop::spec::{Algorithm, Context, Fault};
use orlop::tar_tree::NewTar;
use orlop::trees::Profile;
use std::path::PathBuf;

/// Write a commit as a tar to stdout, or as an image into a layout.
///
/// The image carries the commit: whoever imports it with orlop has the same commit again. It is what
/// `orlop copy ostree:REPO@COMMIT oci:DIR:TAG` makes.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The commit
    #[arg(value_name = "COMMIT")]
    commit: String,
    /// Make an image in this layout, perhaps with a tag
    #[arg(long, value_name = "DIR[:TAG]")]
    oci: Option<String>,
    /// How the layer of the image is compressed: none, gzip[:LEVEL], zstd[:LEVEL] [default: gzip]
    #[arg(long, value_name = "HOW", requires = "oci")]
    compress: Option<Codec>,
    /// Write the tar into this file
    #[arg(short, long, value_name = "FILE", conflicts_with = "oci")]
    output: Option<PathBuf>,
    /// A folder of the commit, in the place of all of it
    #[arg(long, value_name = "PATH")]
    subpath: Option<String>,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let target = arguments.oci.as_ref().map(|oci| flags::target(&super::oci_image(oci))).transpose()?;
    let open = |cx: &Context<'_>| {
        let name = match &arguments.subpath {
            Some(path) => format!("{}:/{}", arguments.commit, path.trim_start_matches('/')),
            None => arguments.commit.clone(),
        };
        CommitTree::open(&arguments.repository.folder(), &name, Profile::Plain, cx.limits)
    };
    let Some(target) = target else {
        shell.work(&arguments.work, |cx| {
            let file = arguments.output.clone().map_or(File::Stream, File::Path);
            let stdout = &|| Box::new(environment::Stdout) as Box<_>;
            let tar = NewTar { file, tmpdir: arguments.places.outside(cx).tmpdir, stdout };
            export::tar(cx, &open(cx)?, &tar).map(drop)
        })?;
        return Ok(Outcome::Done);
    };
    let line = shell.work(&arguments.work, |cx| arguments.image(cx, &open(cx)?, &target))?;
    shell.published(&target, &line)?;
    Ok(Outcome::Done)
}

impl Arguments {
    fn image(&self, cx: &Context<'_>, tree: &CommitTree, target: &Reference) -> Result<String, Fault> {
        let making = making(Owner::Exact, None)?;
        let image = making.build(cx, tree)?;
        let form = Form { codec: self.compress.unwrap_or_default(), algorithm: Algorithm::default() };
        let name = name(target)?;
        let built =
            build(cx, vec![image], &form, self.places.create(target, cx)?, std::slice::from_ref(&name))?;
        Ok(published(target, name.tag(), &built.root.digest))
    }
}
