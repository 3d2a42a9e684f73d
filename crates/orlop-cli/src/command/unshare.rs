//! `orlop unshare [CMD…]`

use super::Outcome;
use crate::environment;
use crate::error::Error;
use crate::flags::StorePlace;
use crate::report::{self, Code, Style};
use crate::shell::Shell;
use clap::Args;
use orlop::fs::namespace::{self, Entered};
use orlop::spec::Fault;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Run a command where an ordinary user may mount; without one, a shell.
///
/// In a namespace of its own the user is root, and the subordinate ids of /etc/subuid and /etc/subgid are the others. What
/// is mounted there is gone when the last program of it ends.
#[derive(Args)]
pub struct Arguments {
    /// The command [default: $SHELL, else /bin/sh]
    #[arg(value_name = "CMD", trailing_var_arg = true)]
    command: Vec<OsString>,
    #[command(flatten)]
    store: StorePlace,
}

pub fn run(arguments: &Arguments, _: &Shell) -> Result<Outcome, Fault> {
    let root = arguments.store.real_folder()?;
    enter()?;
    let command = match arguments.command.as_slice() {
        [] => vec![environment::shell()],
        command => command.to_vec(),
    };
    Ok(become_program(&command, &[("ORLOP_ROOT", &root)]))
}

/// Takes the process to where it may mount. It must have one thread only.
pub fn enter() -> Result<(), Fault> {
    if let Entered::Alone(why) = namespace::enter_to_mount()? {
        let told = "all files are shown as yours, and no other user can be told from you";
        report::warn(&format!("{told}: {why}"));
    }
    Ok(())
}

/// The process becomes another program, in the same namespaces; comes back only where that fails, which is told.
pub fn become_program(command: &[OsString], variables: &[(&str, &Path)]) -> Outcome {
    let (program, arguments) = command.split_first().expect("the caller has one");
    let source = Command::new(program).args(arguments).envs(variables.iter().copied()).exec();
    // As env(1) and others that run programs have it.
    let code = if source.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    let fault = Error::NotRun { program: program.to_string_lossy().into_owned(), source }.into();
    report::failed(&fault, Style::Human, None, Code::OfKind);
    Outcome::Ended(code)
}
