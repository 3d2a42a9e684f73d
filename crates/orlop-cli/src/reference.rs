//! The reference in Markdown, made from the definition of the command line and the table of kinds.

use crate::environment::VARIABLES;
use crate::manual::{shown, title};
use crate::{cli, report};
use clap::{Arg, Command};
use orlop::spec::Kind;
use std::fmt::Write as _;

/// `docs/reference/cli.md`
pub fn command_line() -> String {
    let command = cli::definition();
    let mut page = String::from(
        "# Command line\n\nMade by `orlop reference cli` from the program's own definition; a test keeps it fresh.\n",
    );
    for verb in shown(&command) {
        section(verb, &mut page);
    }
    page.push_str("\n## Environment\n\n| variable | meaning |\n|---|---|\n");
    for (name, meaning) in VARIABLES {
        writeln!(page, "| `{name}` | {meaning} |").expect("a string takes everything");
    }
    page
}

/// `docs/reference/exit-codes.md`
pub fn exit_codes() -> String {
    let mut page = String::from(
        "# Exit codes\n\nMade by `orlop reference exit-codes`. `kind` is the word in JSON errors.\n\n\
         | code | kind | meaning |\n|---|---|---|\n| 0 | | success |\n",
    );
    for kind in Kind::ALL {
        writeln!(page, "| {} | {} | {} |", kind.exit_code(), report::name(kind), kind.meaning())
            .expect("a string takes everything");
    }
    page
}

fn section(verb: &Command, page: &mut String) {
    let about = verb.get_long_about().or(verb.get_about()).map(ToString::to_string).unwrap_or_default();
    let usage = verb.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    write!(page, "\n## {}\n\n{about}\n\n```text\n{usage}\n```\n", title(verb))
        .expect("a string takes everything");
    let mut arguments: Vec<&Arg> = verb.get_arguments().filter(|argument| is_told(argument)).collect();
    arguments.sort_by_key(|argument| place(argument));
    if !arguments.is_empty() {
        page.push_str("\n| argument | meaning |\n|---|---|\n");
    }
    for argument in arguments {
        writeln!(page, "| `{}` | {} |", spelling(argument), meaning(argument))
            .expect("a string takes everything");
    }
}

/// Where the help has an argument: those of a place by it, those of no heading before others.
fn place(argument: &Arg) -> (usize, bool) {
    (argument.get_index().unwrap_or(usize::MAX), argument.get_help_heading().is_some())
}

/// Every verb has `--help`, and the reference is that help.
fn is_told(argument: &Arg) -> bool {
    !argument.is_hide_set() && argument.get_id() != "help"
}

/// `-j, --jobs <N>`, `<REF>`
fn spelling(argument: &Arg) -> String {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    let value = if argument.get_action().takes_values() || flags.is_empty() {
        values(argument)
    } else {
        String::new()
    };
    [flags.join(", "), value].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn values(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ")
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut text = help.replace('\n', " ").replace('|', "\\|");
    let allowed: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && argument.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !allowed.is_empty() {
        write!(text, "; one of {}", allowed.join(", ")).expect("a string takes everything");
    }
    let default: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if !default.is_empty() && argument.get_action().takes_values() {
        write!(text, "; default {}", default.join(" ")).expect("a string takes everything");
    }
    text
}
