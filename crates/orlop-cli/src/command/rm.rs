//! `orlop rm REF`

use super::Outcome;
use crate::flags::{Place, published};
use crate::shell::Shell;
use clap::Args;
use orlop::spec::Fault;

/// Remove an image and all its names; `gc` then removes the blobs that only it needed.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let lines: String = shell.look(|cx| {
        let place = arguments.place.keep(cx)?;
        let gone = orlop::keep::remove(&*place.keeper, &place.reference.selector)?;
        Ok(gone.iter().map(|(name, root)| published(&place.reference, name.tag(), &root.digest)).collect())
    })?;
    shell.print(lines)?;
    Ok(Outcome::Done)
}
