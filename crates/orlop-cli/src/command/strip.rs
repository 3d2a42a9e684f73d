//! `orlop strip REF …`

use super::Outcome;
use crate::flags::{Compressing, Editing, StripFlags};
use crate::shell::Shell;
use clap::Args;
use orlop::edit::Step;
use orlop::spec::Fault;

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
    #[command(flatten)]
    strip: StripFlags,
    #[command(flatten)]
    compressing: Compressing,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let Arguments { editing, strip, compressing } = arguments;
    let strip = strip.step(compressing.compress, editing.places.spools())?.ok_or(NOTHING_SAID)?;
    editing.run(shell, |_| Ok(vec![Box::new(strip) as Box<dyn Step>]))?;
    Ok(Outcome::Done)
}

const NOTHING_SAID: orlop::Error = orlop::Error::Unfit {
    what: "nothing was said to take out of the image",
    hint: "name a path with --rm-path, or a layer with --rm-layer; `orlop files REF` and `orlop inspect REF` list them",
};
