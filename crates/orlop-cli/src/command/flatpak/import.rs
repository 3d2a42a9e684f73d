//! `orlop flatpak import SRC REPO`

use super::super::Outcome;
use super::super::copy::commit_of;
use crate::flags::{CommitFlags, OnePlatform, Places, Work};
use crate::shell::Shell;
use clap::Args;
use orlop::flatpak::import;
use orlop::image::Image;
use orlop::spec::Fault;
use std::ffi::OsString;
use std::path::PathBuf;

/// Make a commit of an image that flatpak made, in a repository of OSTree, under the ref that the image names.
///
/// The commit has the id that it had before it became an image. flatpak's own import gives it another one.
#[derive(Args)]
pub struct Arguments {
    /// The image, such as oci:DIR:app/org.example.App/x86_64/stable
    #[arg(value_name = "SRC")]
    source: OsString,
    /// The repository
    #[arg(value_name = "REPO")]
    repository: PathBuf,
    /// The ref, in the place of the one that the image names
    #[arg(long, value_name = "REF")]
    branch: Option<Box<str>>,
    #[command(flatten)]
    commits: CommitFlags,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let line = shell.work(&arguments.work, |cx| {
        let Arguments { source, repository, branch, commits, platform, places, .. } = arguments;
        let place = places.open(source, cx)?;
        let image = Image::fetch(cx, place.source(), place.selector(), &platform.platform())?;
        let rendered = import::import(cx, &image, repository, branch.as_deref(), commits.wish()?)?;
        Ok(commit_of(&rendered, commits.format()))
    })?;
    shell.print(line)?;
    Ok(Outcome::Done)
}
