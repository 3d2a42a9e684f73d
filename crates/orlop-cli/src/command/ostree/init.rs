//! `orlop ostree init`

use super::{Outcome, Repository};
use crate::shell::Shell;
use clap::Args;
use orlop::host::ostree::Repo;
use orlop::host::ostree::repo::Mode;
use orlop::spec::Fault;

/// Make an empty repository.
///
/// Where there is one of the same mode already, nothing changes but the id of its collection, if one is given.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// How files are kept: bare, bare-user, bare-user-only or archive
    #[arg(long, value_name = "MODE", default_value = "bare", value_parser = mode)]
    mode: Mode,
    /// The id of the collection that the repository belongs to
    #[arg(long, value_name = "ID")]
    collection_id: Option<String>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    shell.look(|cx| {
        let mut repo = Repo::create(&arguments.repository.folder(), arguments.mode, cx.limits)?;
        if let Some(id) = &arguments.collection_id {
            let mut config = repo.config().clone();
            config.set_string("core", "collection-id", id);
            repo.set_config(config)?;
        }
        Ok(Outcome::Done)
    })
}

fn mode(text: &str) -> Result<Mode, String> {
    match Mode::from_word(text) {
        Some(mode) if mode != Mode::BareSplitXattrs => Ok(mode),
        _ => Err("a mode that is written to is bare, bare-user, bare-user-only or archive".into()),
    }
}
