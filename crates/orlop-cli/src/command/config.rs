//! `orlop config REF …`

use super::Outcome;
use crate::flags::{ConfigFlags, Editing, HistoryFlags, platform};
use crate::shell::Shell;
use clap::Args;
use orlop::edit::{Settings, Step};
use orlop::spec::edit::Unset;
use orlop::spec::{Fault, Platform};

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
    editing: Editing,
    #[command(flatten)]
    settings: ConfigFlags,
    /// Take a field out of the config, or one key of it: `cmd`, `env=NAME`, `label=KEY`, `annotation`, …; repeatable
    #[arg(long, value_name = "FIELD[=KEY]", value_parser = unset, help_heading = "Image")]
    unset: Vec<(String, Unset)>,
    /// For which machine the image is said to be, such as linux/arm64
    #[arg(long, value_name = "PLATFORM", value_parser = platform, help_heading = "Image")]
    set_platform: Option<Platform>,
    #[command(flatten)]
    history: HistoryFlags,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let edit = arguments.settings.said();
    let history = arguments.history.said(edit.created)?;
    let settings = Settings {
        unset: arguments.unset.clone(),
        edit,
        annotations: arguments.settings.annotations(),
        platform: arguments.set_platform.clone(),
        history,
    };
    if settings == Settings::default() {
        return Err(NOTHING_SAID.into());
    }
    arguments.editing.run(shell, |_| Ok(vec![Box::new(settings) as Box<dyn Step>]))?;
    Ok(Outcome::Done)
}

const NOTHING_SAID: orlop::Error = orlop::Error::Unfit {
    what: "nothing was said to change in the config",
    hint: "to see the config, orlop inspect --config REF; to change it, `orlop config --help` lists what can be said",
};

fn unset(text: &str) -> Result<(String, Unset), String> {
    text.parse().map(|unset| (text.to_owned(), unset)).map_err(|error: orlop::spec::edit::SettingError| {
        use orlop::spec::Diagnose as _;
        error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
    })
}
