//! `orlop ostree pull`

use super::{Outcome, Repository};
use crate::environment;
use crate::flags::{OnePlatform, Places, Work};
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::repo::Repo;
use orlop::image::Image;
use orlop::ostree::target::{CommitWish, KeepLayers, commit};
use orlop::spec::{Context, Fault};

/// Make commits of images of a registry that is a remote, and print their ids.
///
/// The commit of IMAGE:TAG is the one that NAME:IMAGE/TAG leads to: a tag holds no slash, so no two images have the same ref.
/// Layers are kept, as by `copy --keep-layers`: those that are there are not fetched again.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The remote, as `orlop ostree remote add --oci` made it
    #[arg(value_name = "NAME")]
    remote: String,
    /// The images [default tag: latest]
    #[arg(value_name = "IMAGE[:TAG]", required = true)]
    images: Vec<String>,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    shell.work(&arguments.work, |cx| {
        let repo = arguments.repository.open(cx)?;
        // Each as soon as it is there: a later one may fail.
        arguments.images.iter().try_for_each(|image| shell.print(arguments.pull(cx, &repo, image)?))
    })?;
    Ok(Outcome::Done)
}

impl Arguments {
    fn pull(&self, cx: &Context<'_>, repo: &Repo, image: &str) -> Result<String, Fault> {
        let (reference, spec) = repo.remote(&self.remote)?.image(image)?;
        let from = self.places.open(reference.as_ref(), cx)?;
        let image = Image::fetch(cx, from.source(), from.selector(), &self.platform.platform())?;
        let epoch = environment::source_date_epoch()?;
        let wish = CommitWish { keep: KeepLayers::Yes, epoch, ..CommitWish::default() };
        let imported = commit(cx, &image, repo, &spec, &wish)?;
        Ok(format!("{} {spec}\n", imported.id))
    }
}
