//! The process of a container: what runs, as whom, with which variables, where.

use super::account::Account;
use super::{Command, Options, Rootfs, RuntimeError, machine, working_dir};
use crate::config::Execution;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// What the caller says of the process instead of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// As whom it runs, in the image's spelling: names are those of the image.
    pub user: Option<Box<str>>,
    /// Where it starts.
    pub working_dir: Option<Box<str>>,
    /// Variables, `NAME=VALUE`, which win over the image's.
    pub environment: Vec<Box<str>>,
    /// Whether it has a terminal.
    pub terminal: Terminal,
    /// Rows and columns of the terminal, where they are known.
    pub size: Option<(u16, u16)>,
    /// Whether `HOME` is set where nobody says it.
    pub home: Home,
}

/// Whether a process has a terminal of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Terminal {
    /// It has the files that the runtime has.
    #[default]
    No,
    /// It has one, which the runtime makes.
    Yes,
}

/// Whether `HOME` is set where nobody says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Home {
    /// It is not: most runtimes set it by themselves.
    #[default]
    Unset,
    /// It is what the image's `/etc/passwd` says, else the root.
    OfAccount,
    /// It is what the image's `/etc/passwd` says; where that says nothing, it is not set.
    Known,
}

pub(super) fn of(
    execution: &Execution,
    account: &Account,
    rootfs: &Rootfs<'_>,
    options: &Options,
) -> Result<Value, RuntimeError> {
    let said = &options.process;
    let folder = said.working_dir.as_deref().or(execution.working_dir.as_deref());
    let mut process = json!({
        "terminal": said.terminal == Terminal::Yes,
        "user": account.to_value(),
        "args": command(execution, options)?,
        "env": environment(execution, account, said)?,
        "cwd": working_dir::find(folder.unwrap_or_default(), rootfs)?,
        "capabilities": machine::capabilities(account.user),
        "noNewPrivileges": true,
    });
    if let (Terminal::Yes, Some((rows, columns))) = (said.terminal, said.size) {
        process["consoleSize"] = json!({ "height": rows, "width": columns });
    }
    if let Some(most) = options.open_files {
        process["rlimits"] = machine::rlimits(most);
    }
    Ok(process)
}

/// Entrypoint and Cmd, one after the other.
pub(super) fn command<'a>(
    execution: &'a Execution,
    options: &'a Options,
) -> Result<Vec<&'a str>, RuntimeError> {
    let Command { entrypoint, cmd } = &options.command;
    let parts = match (entrypoint, cmd) {
        (Some(_), cmd) => [entrypoint, cmd],
        (None, Some(_)) => [&execution.entrypoint, cmd],
        (None, None) => [&execution.entrypoint, &execution.cmd],
    };
    let command: Vec<_> = parts.into_iter().flatten().flatten().map(|word| &**word).collect();
    if command.is_empty() { Err(RuntimeError::NoCommand) } else { Ok(command) }
}

/// Where programs are looked for if an image does not say it.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The image's variables in their order, then the caller's, each name once with its last value, and a search path
/// if there is none.
fn environment(
    execution: &Execution,
    account: &Account,
    said: &Process,
) -> Result<Vec<String>, RuntimeError> {
    let mut environment = Environment::default();
    for entry in execution.env.iter().chain(&said.environment) {
        environment.set(entry)?;
    }
    environment.unless_said("PATH", DEFAULT_PATH);
    if said.terminal == Terminal::Yes {
        environment.unless_said("TERM", "xterm");
    }
    let home = match said.home {
        Home::Unset => None,
        Home::OfAccount => account.home.as_deref().or(Some("/")),
        Home::Known => account.home.as_deref(),
    };
    if let Some(home) = home {
        environment.unless_said("HOME", home);
    }
    Ok(environment.entries.iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// Names in the order in which they first came.
#[derive(Default)]
struct Environment<'a> {
    entries: Vec<(&'a str, &'a str)>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Environment<'a> {
    /// A name without a value has an empty one: runtimes refuse it bare.
    fn set(&mut self, entry: &'a str) -> Result<(), RuntimeError> {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        if name.is_empty() || entry.contains('\0') {
            return Err(RuntimeError::BadVariable(entry.into()));
        }
        match self.places.entry(name) {
            Entry::Occupied(place) => self.entries[*place.get()].1 = value,
            Entry::Vacant(place) => {
                place.insert(self.entries.len());
                self.entries.push((name, value));
            }
        }
        Ok(())
    }

    fn unless_said(&mut self, name: &'a str, value: &'a str) {
        if !self.places.contains_key(name) {
            self.entries.push((name, value));
        }
    }
}
