//! `orlop rm REF`

use super::Outcome;
use crate::error::Error;
use crate::flags::{Kept, Place, Unlocked, published};
use crate::shell::{Answer, Shell};
use clap::Args;
use orlop::layer::path::printable;
use orlop::spec::port::{Name, Selector};
use orlop::spec::{Descriptor, Fault};

/// Remove an image and all its names; `gc` then removes the blobs that only it needed.
///
/// An image has one digest and may have several names: where others than the one that was given would go too, they are
/// shown and it is asked first.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place<Unlocked>,
    /// Only tell what would go
    #[arg(long)]
    dry_run: bool,
    /// Remove other names of the image too, without asking
    #[arg(long)]
    yes: bool,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let lines: String = shell.look(|cx| {
        let place = arguments.place.keep(cx)?;
        let images = orlop::keep::named(&*place.keeper, &place.reference.selector)?;
        if !arguments.dry_run {
            arguments.agree(&place, &images, shell)?;
            orlop::keep::remove(&*place.keeper, &images)?;
        }
        Ok(images.iter().map(|(name, root)| published(&place.reference, name.tag(), &root.digest)).collect())
    })?;
    shell.print(lines)?;
    Ok(Outcome::Done)
}

impl Arguments {
    /// Asks before names go that were not given.
    fn agree(&self, place: &Kept<'_>, images: &[(Name, Descriptor)], shell: &Shell) -> Result<(), Fault> {
        let given = match &place.reference.selector {
            Selector::Tag(tag) => Some(&**tag),
            _ => None,
        };
        let others: Vec<&str> =
            images.iter().filter_map(|(name, _)| name.tag()).filter(|tag| Some(*tag) != given).collect();
        if others.is_empty() || self.yes {
            return Ok(());
        }
        let others = printable(&others.join(", ")).into_owned();
        match shell
            .ask(&format!("the image has other names, which go with it: {others}\nremove them all?"))?
        {
            Answer::Yes => Ok(()),
            Answer::No => Err(Error::NotAgreed.into()),
            Answer::Nobody => Err(Error::OtherNames(others).into()),
        }
    }
}
