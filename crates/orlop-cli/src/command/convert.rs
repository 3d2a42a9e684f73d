//! `orlop convert REF …`

use super::Outcome;
use crate::flags::{Compressing, Editing, FormFlags};
use crate::shell::Shell;
use clap::Args;
use orlop::edit::Step;
use orlop::spec::Fault;

/// Give an image another form: compression, media types, digests, size of layers.
///
/// Its files and its config stay. Layers that keep their form are not fetched. A layer that is divided becomes several in
/// the order of its paths, always the same ones: whiteouts come first, hard links of a file stay together, and each part
/// holds the folders on the way to what it holds. Of an index, all images are changed, or those of `--platform`.
#[derive(Args)]
#[command(after_help = "Examples:
  orlop convert docker://registry.example.com/app:1 --compress zstd --to docker://registry.example.com/app:1-zstd
  orlop convert oci:DIR:TAG --layer-size 50M --compress zstd
  orlop convert oci:DIR:TAG --media-types docker --to docker://registry.example.com/app:old")]
pub struct Arguments {
    #[command(flatten)]
    compressing: Compressing,
    #[command(flatten)]
    form: FormFlags,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let Arguments { editing, compressing, form } = arguments;
    if compressing.compress.is_none() && !form.is_given() {
        return Err(NOTHING_SAID.into());
    }
    let convert = form.step(compressing.compress, editing.places.spools())?;
    editing.run(shell, |_| Ok(vec![Box::new(convert) as Box<dyn Step>]))?;
    Ok(Outcome::Done)
}

const NOTHING_SAID: orlop::Error = orlop::Error::Unfit {
    what: "nothing was said to convert the image to",
    hint: "say one of --compress, --media-types, --algorithm and --layer-size",
};
