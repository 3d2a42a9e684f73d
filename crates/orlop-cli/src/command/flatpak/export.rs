//! `orlop flatpak export REPO REF DST`

use super::super::Outcome;
use crate::flags::{self, Places, Work, making, name, published};
use crate::shell::Shell;
use clap::Args;
use orlop::build::{Form, build};
use orlop::fs::owner::Owner;
use orlop::layer::codec::Codec;
use orlop::ostree::source::CommitTree;
use orlop::spec::Algorithm;
use orlop::spec::Fault;
use orlop::spec::port::Name;
use orlop::trees::Profile;
use std::ffi::OsString;
use std::path::PathBuf;

/// Make an image of an app or a runtime that flatpak installs, from a repository of OSTree.
///
/// It is what `flatpak build-bundle --oci` makes, and carries the commit too: whoever imports it with orlop has the
/// same commit again. The same commit gives the same bytes. Where DST has no tag, the image is called by its ref.
#[derive(Args)]
pub struct Arguments {
    /// The repository
    #[arg(value_name = "REPO")]
    repository: PathBuf,
    /// What to export, such as app/org.example.App/x86_64/stable
    #[arg(value_name = "REF")]
    commit: Box<str>,
    /// Where to, such as oci:DIR or docker://HOST/REPOSITORY:TAG
    #[arg(value_name = "DST")]
    target: OsString,
    /// How the layer is compressed: none, gzip[:LEVEL], zstd[:LEVEL]
    #[arg(long, value_name = "HOW", default_value = "gzip")]
    compress: Codec,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let target = flags::target(&arguments.target)?;
    let line = shell.work(&arguments.work, |cx| {
        let Arguments { repository, commit, places, compress, .. } = arguments;
        let tree = CommitTree::open(repository, commit, Profile::Flatpak, cx.limits)?;
        let making = making(Owner::Exact, None)?;
        let image = making.build(cx, &tree)?;
        let name = match (name(&target)?, tree.flatpak_ref()) {
            (Name::Untagged, Some(called)) => Name::Tag(called.to_string().into()),
            (name, _) => name,
        };
        let sink = places.create(&target, cx)?;
        let form = Form { codec: *compress, algorithm: Algorithm::default() };
        let built = build(cx, vec![image], &form, sink, std::slice::from_ref(&name))?;
        Ok(published(&target, name.tag(), &built.root.digest))
    })?;
    shell.published(&target, &line)?;
    Ok(Outcome::Done)
}
