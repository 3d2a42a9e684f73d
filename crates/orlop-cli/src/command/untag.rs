//! `orlop untag REF`

use super::Outcome;
use crate::flags::{Place, Unlocked, published};
use crate::shell::Shell;
use clap::Args;
use orlop::spec::Fault;

/// Take a tag away; the image stays under its other names.
///
/// What is printed is the name that is no more, with the digest that it stood for. An image without any name is removed by
/// the next `gc`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place<Unlocked>,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let lines: String = shell.look(|cx| {
        let place = arguments.place.keep(cx)?;
        let roots = orlop::keep::untag(&*place.keeper, &place.reference.selector)?;
        let tag = place.reference.tag();
        Ok(roots.iter().map(|root| published(&place.reference, tag, &root.digest)).collect())
    })?;
    shell.print(lines)?;
    Ok(Outcome::Done)
}
