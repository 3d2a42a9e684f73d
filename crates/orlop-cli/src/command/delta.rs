//! `orlop delta make|apply`

mod apply;
mod make;

use super::Outcome;
use crate::deferred::Deferred;
use crate::flags::Places;
use crate::shell::Shell;
use clap::{Args, Subcommand};
use orlop::delta::INDEX;
use orlop::fs::File;
use orlop::spec::port::Selector;
use orlop::spec::reference::Reference;
use orlop::spec::{Context, Fault};

/// Make an image smaller to fetch for who has an older one.
///
/// A delta holds what an image changes of another one, in the form that flatpak's client looks for: a layer is made of the
/// files of the older image and a few bytes. Deltas stand in an index under the tag `_deltaindex`, beside the image.
#[derive(Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs", disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Make(Deferred<make::Arguments>),
    Apply(Deferred<apply::Arguments>),
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    match &arguments.verb {
        Verb::Make(arguments) => make::run(arguments, shell),
        Verb::Apply(arguments) => apply::run(arguments, shell),
    }
}

/// The same place, by the tag under which deltas are looked for.
fn index_of(reference: &Reference) -> Reference {
    let tag: Box<str> = INDEX.into();
    Reference { transport: reference.transport.clone(), selector: Selector::Tag(tag.clone()), tag: Some(tag) }
}

/// A file without a name, for contents that wait.
fn spool(places: &Places, cx: &Context<'_>) -> Result<File, Fault> {
    places.outside(cx).spool()
}
