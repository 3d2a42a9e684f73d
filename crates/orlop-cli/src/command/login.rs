//! `orlop login HOST`

use super::Outcome;
use crate::environment;
use crate::error::Error;
use crate::flags::{Format, Places, Reach, Show, Unlocked};
use crate::report;
use crate::shell::Shell;
use clap::Args;
use orlop::fs::terminal::hush;
use orlop::network::Kept;
use orlop::spec::Fault;
use orlop::spec::network::Credential;
use serde_json::{Value, json};
use std::io::{self, Read as _};

/// Prove a user and a password to a registry, and keep them for later commands.
///
/// What is not given is asked for on the terminal. The password is kept where podman, skopeo and buildah look too: in the
/// file of --authfile, by the credential helper that this file names, or else in $XDG_RUNTIME_DIR/containers/auth.json.
#[derive(Args)]
pub struct Arguments {
    /// The registry, and a part of it where the password is for that alone
    #[arg(value_name = "HOST[:PORT][/NAME]")]
    place: Box<str>,
    /// The user
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,
    /// The password; others can see it in the list of processes
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    show: Show,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let credential = arguments.credential()?;
    let kept = shell.look(|cx| {
        let surroundings = arguments.reach.surroundings(Some(credential.clone()));
        let places = Places::<Unlocked>::reaching(surroundings, arguments.reach.pool());
        let outside =
            orlop::transport::Outside { patience: arguments.reach.patience(), ..places.outside(cx) };
        orlop::login::login(&arguments.place, &credential, &outside)
    })?;
    shell.print(match arguments.show.format {
        Format::Human => format!("{}: the password is kept in {kept}\n", arguments.place),
        Format::Json => {
            format!("{}\n", json!({ "version": 1, "registry": arguments.place, "kept": [keeper(&kept)] }))
        }
    })?;
    Ok(Outcome::Done)
}

/// Where a password is, for programs.
pub fn keeper(kept: &Kept) -> Value {
    match kept {
        Kept::File(path) => json!({ "file": path.to_string_lossy() }),
        Kept::Helper(program) => json!({ "helper": program }),
    }
}

impl Arguments {
    fn credential(&self) -> Result<Credential, Fault> {
        let user = match &self.username {
            Some(user) => user.clone(),
            None => ask("User", Shown::Yes)?,
        };
        let password = match &self.password {
            Some(password) => password.clone(),
            None if self.password_stdin => whole_input()?,
            None => ask("Password", Shown::No)?,
        };
        if user.is_empty() || password.is_empty() {
            return Err(Error::NoPassword.into());
        }
        // A refresh token is given as the password of nobody, as docker keeps them.
        Ok(match user.as_str() {
            "<token>" => Credential::Refresh(password.into()),
            _ => Credential::Basic { user: user.into(), password: password.into() },
        })
    }
}

/// Whether what is typed can be seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

/// No password is longer.
const LONGEST: u64 = 64 << 10;

/// Asks on the terminal; without one nobody can answer.
fn ask(what: &str, shown: Shown) -> Result<String, Fault> {
    let failed = |error| Fault::io("read from the terminal", error);
    if !io::IsTerminal::is_terminal(&io::stdin()) {
        return Err(Error::NoTerminal.into());
    }
    report::say(&format!("{what}: "));
    let hushed = if shown == Shown::No { hush(io::stdin()).map_err(failed)? } else { None };
    let line = line(&mut environment::stdin()).map_err(failed);
    if hushed.is_some() {
        report::say("\n");
    }
    line
}

/// A terminal gives no more than a line at once.
fn line(input: &mut dyn io::Read) -> io::Result<String> {
    let mut line = vec![0; 4096];
    let count = input.read(&mut line)?;
    line.truncate(count);
    text(line)
}

fn whole_input() -> Result<String, Fault> {
    let mut bytes = Vec::new();
    let read = environment::stdin().take(LONGEST).read_to_end(&mut bytes);
    read.and_then(|_| text(bytes)).map_err(|error| Fault::io("read the password", error))
}

/// Without the end of its line, as `echo` and text editors leave one.
fn text(mut bytes: Vec<u8>) -> io::Result<String> {
    while let Some(b'\n' | b'\r') = bytes.last() {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8"))
}
