//! `orlop config REF …`

use super::Outcome;
use crate::flags::{Editing, SettingFlags};
use crate::shell::Shell;
use clap::Args;
use orlop::edit::Step;
use orlop::spec::Fault;

/// Change the config and the annotations of an image where it is.
///
/// What is unset goes first, then what is set comes. Layers are not touched, nor fetched; whatever is not spoken of keeps
/// its bytes. Of an index, all images are changed, or those of `--platform`.
#[derive(Args)]
#[command(after_help = "Examples:
  orlop config docker://registry.example.com/app:1 --env LEVEL=info --unset label=build
  orlop config oci:DIR:TAG --unset cmd --entrypoint /bin/app --to oci:DIR:TAG2")]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let settings = arguments.settings.said()?.ok_or(NOTHING_SAID)?;
    arguments.editing.run(shell, |_| Ok(vec![Box::new(settings) as Box<dyn Step>]))?;
    Ok(Outcome::Done)
}

const NOTHING_SAID: orlop::Error = orlop::Error::Unfit {
    what: "nothing was said to change in the config",
    hint: "to see the config, orlop inspect --config REF; to change it, `orlop config --help` lists what can be said",
};
