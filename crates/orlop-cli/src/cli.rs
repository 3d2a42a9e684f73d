//! The command line: one definition, from which help, manual pages, completions and the reference are made.

use crate::command::{Outcome, Verb};
use crate::report::{self, Code, Style};
use crate::shell::Shell;
use crate::{environment, hint, spellings};
use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser};
use orlop::spec::Kind;
use std::borrow::Cow;
use std::ffi::OsString;
use std::process::ExitCode;

/// Makes, reads, moves, keeps and converts OCI container images.
#[derive(Parser)]
#[command(
    name = "orlop",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    max_term_width = 100,
    after_help = "`orlop VERB --help` tells more about a verb; `orlop man` prints the manual.\n\
                  `orlop compat sloci-image ...` speaks as sloci-image does, `orlop compat umoci ...` as umoci does;\n\
                  so does a link of such a name."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    verb: Verb,
}

/// Parses the arguments and does what they say.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let style = Style::of(arguments);
    let Parsed { line, names, verb } = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(error) => return misused(&error, arguments, style),
    };
    let shell = Shell::new();
    match verb.run(&shell) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => Kind::Differs.exit_code().into(),
        Ok(Outcome::Partial) => Kind::Partial.exit_code().into(),
        Ok(Outcome::Ended(code)) => code.into(),
        Err(fault) => {
            let next = hint::of(&fault, &line, &|flag| takes(&names, flag));
            let code = if is_of_container(&names) { Code::OfContainer } else { Code::OfKind };
            report::failed(&fault, style, next, code)
        }
    }
}

/// A verb, the names by which it was found, and the line of ours that it stood in.
struct Parsed<'a> {
    line: Cow<'a, [OsString]>,
    names: Vec<String>,
    verb: Verb,
}

/// A line that is none of ours may be one of another tool. What clap has to say of the other verbs, in help or as a
/// suggestion, it says with all of them at hand.
fn parse(arguments: &[OsString]) -> Result<Parsed<'_>, clap::Error> {
    let mut line = Cow::Borrowed(arguments);
    let matches = Cli::command().try_get_matches_from(arguments);
    let mut matches = matches.or_else(|_| {
        line = spellings::translated(arguments).map_or(Cow::Borrowed(arguments), Cow::Owned);
        definition().try_get_matches_from(&*line)
    })?;
    let names = names(&matches);
    Ok(Parsed { line, names, verb: Cli::from_arg_matches_mut(&mut matches)?.verb })
}

/// Whether the exit code of a verb is that of a container, so that its own failures need another one.
fn is_of_container(names: &[String]) -> bool {
    matches!(names.first().map(String::as_str), Some("run" | "supervise"))
}

/// The names of a verb and of the verbs within it, as they are defined.
fn names(matches: &ArgMatches) -> Vec<String> {
    let mut names = Vec::new();
    let mut next = matches.subcommand();
    while let Some((name, matches)) = next {
        names.push(name.to_owned());
        next = matches.subcommand();
    }
    names
}

/// Whether the verb of these names takes a flag.
fn takes(names: &[String], flag: &str) -> bool {
    let definition = definition();
    let verb = names.iter().try_fold(&definition, |command, name| command.find_subcommand(name));
    verb.is_some_and(|verb| hint::has_flag(verb, flag))
}

/// The whole tree of commands, for the generators.
pub fn definition() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Help and version are results; everything else that clap says is misuse.
fn misused(error: &clap::Error, arguments: &[OsString], style: Style) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match environment::check_stdout().and_then(|()| error.print()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    report::failed(&environment::output_failed(error).into(), style, None, Code::OfKind)
                }
            }
        }
        _ => {
            let verb = arguments.get(1).and_then(|word| word.to_str()).map(str::to_owned);
            let code = if is_of_container(verb.as_slice()) { Code::OfContainer } else { Code::OfKind };
            report::misused(error, style, spellings::instead(arguments, error), code)
        }
    }
}
