//! umoci 0.6: layouts and their images by `umoci VERB --image DIR[:TAG]`.
//!
//! Each verb has a file. Grammar ([`grammar`]) and help ([`help`]) are read off one definition, which clap then reads the
//! line by, in a spelling of which it can make one thing only.
//!
//! What its users rely on stays: verbs, flags, exit codes (0; 1 for every failure; 3 for a verb that is none), what is
//! written in configs and histories, and outputs that scripts read. Better than there: digests are proven, names change
//! whole, a flag that means nothing here fails, attributes without a value are kept, and images of indexes and of Docker's media
//! types are taken too. The words of errors are ours, and of damaged blobs umoci's as well. What is other is listed in
//! `docs/reference/umoci.md`.

mod compress;
mod config;
mod damage;
mod edit;
mod gc;
mod grammar;
mod help;
mod history;
mod image;
mod init;
mod insert;
mod list;
mod mapping;
mod new;
mod path;
mod raw;
mod remove;
mod repack;
mod stat;
mod tag;
mod unpack;

use crate::flags::{ProgressStyle, Work};
use crate::report::{self, Code, Style};
use crate::shell::Shell;
use crate::{environment, hint};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use grammar::Asked;
use orlop::layer::path::printable;
use orlop::spec::{Context, Diagnose as _, Fault};
use std::ffi::OsString;
use std::process::ExitCode;

/// The exit code of the original for every failure but two.
const FAILED: u8 = 1;
/// The exit code of the original for a verb that it does not have.
const NO_VERB: u8 = 3;
/// What `--cpu-profile` would write is a list of functions of Go.
const NO_PROFILE: &str = "umoci: --cpu-profile: the format is that of programs made by Go, and this is none; nothing was done\n  \
                          hint: leave the flag out, and run the line behind `perf record -g --` for a profile\n";
/// What a shell makes of a program that the user stops.
const STOPPED: u8 = 130;

/// The versions of what is spoken here. There is no line on Go, because nothing here is made by it.
fn version() -> String {
    let (own, runtime) = (env!("CARGO_PKG_VERSION"), orlop::umoci::machine::VERSION);
    format!("umoci version 0.6.0 (orlop {own})\nimage spec: 1.1.1\nruntime spec: {runtime}\n")
}

/// umoci modifies Open Container images
#[derive(Parser)]
#[command(
    name = "umoci",
    override_usage = "umoci [global options] VERB [options] [arguments]",
    disable_help_flag = true,
    disable_help_subcommand = true,
    args_override_self = true
)]
struct Umoci {
    #[command(flatten)]
    saying: Saying,
    #[command(subcommand)]
    verb: Verb,
}

/// What is said on stderr.
#[derive(clap::Args)]
struct Saying {
    /// the same as --log=info
    #[arg(long, conflicts_with = "log")]
    verbose: bool,
    /// how much is said on stderr: debug, info, warn (the default), error or fatal
    #[arg(long, value_name = "LEVEL", ignore_case = true)]
    log: Option<Level>,
    /// refused
    #[arg(long, value_name = "FILE", hide = true)]
    cpu_profile: Option<OsString>,
}

/// How much is said, in the order of the original's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    Debug,
    Info,
    #[value(alias = "warning")]
    Warn,
    Error,
    Fatal,
}

impl Saying {
    /// Progress from `info` on. Warnings tell of what was lost, and of that nobody is kept in the dark.
    fn work(&self) -> Work {
        let tells = self.verbose || matches!(self.log, Some(Level::Debug | Level::Info));
        Work::showing(if tells { ProgressStyle::Plain } else { ProgressStyle::None })
    }
}

#[derive(Subcommand)]
enum Verb {
    Config(Box<config::Arguments>),
    Unpack(unpack::Arguments),
    Repack(Box<repack::Arguments>),
    New(new::Arguments),
    Tag(tag::Arguments),
    Remove(remove::Arguments),
    Stat(stat::Arguments),
    Insert(Box<insert::Arguments>),
    Gc(gc::Arguments),
    Init(init::Arguments),
    List(list::Arguments),
    /// single steps of what the other verbs do
    #[command(subcommand)]
    Raw(raw::Raw),
}

impl Verb {
    fn run(&self, shell: &Shell, cx: &Context<'_>) -> Result<(), Fault> {
        match self {
            Self::Config(arguments) => config::run(arguments, cx),
            Self::Unpack(arguments) => unpack::run(arguments, cx),
            Self::Repack(arguments) => repack::run(arguments, cx),
            Self::New(arguments) => new::run(arguments, cx),
            Self::Tag(arguments) => tag::run(arguments, cx),
            Self::Remove(arguments) => remove::run(arguments, cx),
            Self::Stat(arguments) => stat::run(arguments, shell, cx),
            Self::Insert(arguments) => insert::run(arguments, cx),
            Self::Gc(arguments) => gc::run(arguments, cx),
            Self::Init(arguments) => init::run(arguments, cx),
            Self::List(arguments) => list::run(arguments, shell, cx),
            Self::Raw(raw) => raw.run(shell, cx),
        }
    }
}

/// Does what the words after the program's name say.
pub fn run(words: &[OsString]) -> ExitCode {
    let definition = definition();
    let shell = Shell::new();
    match grammar::read(&definition, words) {
        Ok(Asked::Help(names)) => ended(shell.print(help::page(&definition, &names)), &definition, &names),
        Ok(Asked::Version) => ended(shell.print(version()), &definition, &[]),
        Ok(Asked::Verb { line, names }) => match parse(&definition, &line) {
            Ok(umoci) if umoci.saying.cpu_profile.is_some() => {
                report::say(NO_PROFILE);
                FAILED.into()
            }
            Ok(umoci) => {
                let done = shell.work(&umoci.saying.work(), |cx| umoci.verb.run(&shell, cx));
                ended(done, &definition, &names)
            }
            Err(error) => misused(&told(&error), &definition, &names),
        },
        Ok(Asked::NoVerb(word)) => {
            report::say(&format!("umoci: there is no verb {}; `umoci help` lists them\n", printable(&word)));
            NO_VERB.into()
        }
        Err(misuse) => misused(&misuse.to_string(), &definition, misuse.names()),
    }
}

/// The whole tree of commands.
fn definition() -> clap::Command {
    let mut definition = Umoci::command();
    definition.build();
    definition
}

fn parse(definition: &clap::Command, line: &[OsString]) -> Result<Umoci, clap::Error> {
    Umoci::from_arg_matches_mut(&mut definition.clone().try_get_matches_from(line)?)
}

/// What clap says, without its advice: on one line.
fn told(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

fn ended(done: Result<(), Fault>, definition: &clap::Command, names: &[String]) -> ExitCode {
    let Err(fault) = done else { return ExitCode::SUCCESS };
    let verb = help::find(definition, names);
    let next = fault.hint().map(|text| hint::fitted(text, &|flag| hint::has_flag(verb, flag)));
    let code = report::failed(&fault, Style::Human, next, Code::OfKind);
    if let Some(words) = damage::words(&fault) {
        report::say(&format!("  in umoci's words: {words}\n"));
    }
    if code == ExitCode::SUCCESS || code == ExitCode::from(STOPPED) { code } else { FAILED.into() }
}

fn misused(what: &str, definition: &clap::Command, names: &[String]) -> ExitCode {
    report::say(&format!("umoci: {}\n\n{}", printable(what), help::page(definition, names)));
    FAILED.into()
}

/// When something is made, where nobody said: `SOURCE_DATE_EPOCH`, else now, as the original has it.
fn moment() -> Result<orlop::spec::time::Timestamp, Fault> {
    Ok(environment::source_date_epoch()?.unwrap_or_else(environment::timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Umoci::command().debug_assert();
    }
}
