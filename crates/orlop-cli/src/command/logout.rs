//! `orlop logout HOST`

use super::Outcome;
use super::login::keeper;
use crate::error::Error;
use crate::flags::{Format, Reach, Show};
use crate::shell::Shell;
use clap::Args;
use orlop::spec::Fault;
use serde_json::{Value, json};

/// Forget the password for a registry.
///
/// It is taken away from the file that `login` writes, and from the credential helper that this file names. What other
/// tools keep in other files stays.
#[derive(Args)]
pub struct Arguments {
    /// The registry, and a part of it where the password is for that alone
    #[arg(value_name = "HOST[:PORT][/NAME]")]
    place: Box<str>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    show: Show,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let surroundings = arguments.reach.surroundings(None);
    let gone = surroundings.logout(&arguments.place)?;
    if gone.is_empty() {
        return Err(Error::NotLoggedIn(arguments.place.clone()).into());
    }
    shell.print(match arguments.show.format {
        Format::Human => {
            let places: Vec<String> = gone.iter().map(ToString::to_string).collect();
            format!("{}: the password is gone from {}\n", arguments.place, places.join(" and "))
        }
        Format::Json => {
            let gone: Vec<Value> = gone.iter().map(keeper).collect();
            format!("{}\n", json!({ "version": 1, "registry": arguments.place, "gone": gone }))
        }
    })?;
    Ok(Outcome::Done)
}
