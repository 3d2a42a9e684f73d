//! What is changed in the config of an image that is there.

use super::{ConfigFlags, HistoryFlags, platform};
use clap::Args;
use orlop::edit::Settings;
use orlop::spec::config::History;
use orlop::spec::edit::{SettingError, Unset};
use orlop::spec::time::Timestamp;
use orlop::spec::{Diagnose as _, Fault, Platform};

/// For verbs that change an image.
#[derive(Args, Debug)]
#[command(mut_arg("created", |created| created.help(CREATED)))]
pub struct SettingFlags {
    #[command(flatten)]
    config: ConfigFlags,
    /// Take a field out of the config, or one key of it: `cmd`, `env=NAME`, `label=KEY`, `annotation`, …; repeatable
    #[arg(long, value_name = "FIELD[=KEY]", value_parser = unset, help_heading = "Image")]
    unset: Vec<(String, Unset)>,
    /// For which machine the image is said to be, such as linux/arm64
    #[arg(long, value_name = "PLATFORM", value_parser = platform, help_heading = "Image")]
    set_platform: Option<Platform>,
    #[command(flatten)]
    history: HistoryFlags,
}

const CREATED: &str = "When the image was made: RFC 3339, or seconds since 1970 [default: as the image says]";

impl SettingFlags {
    /// What was said, where anything was.
    pub fn said(&self) -> Result<Option<Settings>, Fault> {
        let edit = self.config.said();
        let history = self.history.said(edit.created)?;
        let settings = Settings {
            unset: self.unset.clone(),
            edit,
            annotations: self.config.annotations(),
            platform: self.set_platform.clone(),
            history,
        };
        Ok((settings != Settings::default()).then_some(settings))
    }
}

impl SettingFlags {
    /// The step of the history of what else is done to the image by `command`.
    pub fn step(&self, command: &str) -> Result<History, Fault> {
        self.history.step(command, self.config.said().created)
    }

    /// When the image was made that comes out.
    pub fn created(&self) -> Result<Option<Timestamp>, Fault> {
        self.config.created()
    }
}

fn unset(text: &str) -> Result<(String, Unset), String> {
    text.parse().map(|unset| (text.to_owned(), unset)).map_err(|error: SettingError| {
        error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
    })
}
