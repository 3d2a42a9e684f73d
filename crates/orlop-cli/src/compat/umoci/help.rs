//! Help under the headings that readers of umoci's look for.

use clap::{Arg, Command};
use std::fmt::Write as _;

/// The verb of these names, or the program.
pub fn find<'a>(definition: &'a Command, names: &[String]) -> &'a Command {
    names.iter().fold(definition, |command, name| command.find_subcommand(name).unwrap_or(command))
}

/// How a verb is used, or the program where there are no names.
pub fn page(definition: &Command, names: &[String]) -> String {
    let verb = find(definition, names);
    let full: Vec<&str> =
        std::iter::once(definition.get_name()).chain(names.iter().map(String::as_str)).collect();
    let usage = verb.clone().render_usage().to_string();
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("NAME:\n   {} - {about}\n\nUSAGE:\n", full.join(" "));
    for line in usage.trim_start_matches("Usage: ").lines() {
        writeln!(text, "   {}", line.trim()).expect("a string takes everything");
    }
    if let Some(long) = verb.get_long_about() {
        let more = long.to_string();
        writeln!(text, "\nDESCRIPTION:{}", indented(more.trim_start_matches(&about)))
            .expect("a string takes everything");
    }
    text + &section("COMMANDS", commands(verb)) + &section(options_of(names), options(verb, names))
}

fn indented(text: &str) -> String {
    text.trim().lines().fold(String::new(), |text, line| text + "\n   " + line)
}

fn options_of(names: &[String]) -> &'static str {
    if names.is_empty() { "GLOBAL OPTIONS" } else { "OPTIONS" }
}

/// The verbs within, each with its other names.
fn commands(verb: &Command) -> Vec<(String, String)> {
    let row = |verb: &Command| {
        let names: Vec<&str> = std::iter::once(verb.get_name()).chain(verb.get_visible_aliases()).collect();
        (names.join(", "), verb.get_about().map(ToString::to_string).unwrap_or_default())
    };
    let mut rows: Vec<(String, String)> = verb.get_subcommands().map(row).collect();
    if !rows.is_empty() {
        rows.push(("help, h".into(), "shows how a verb is used".into()));
    }
    rows
}

fn options(verb: &Command, names: &[String]) -> Vec<(String, String)> {
    let flags =
        verb.get_arguments().filter(|argument| argument.get_long().is_some() && !argument.is_hide_set());
    let mut rows: Vec<(String, String)> = flags.map(|flag| (spellings(flag), told(flag))).collect();
    rows.push(("--help, -h".into(), "shows this".into()));
    if names.is_empty() {
        rows.push(("--version, -v".into(), "prints the versions".into()));
    }
    rows
}

fn spellings(flag: &Arg) -> String {
    let longs = flag.get_long().into_iter().chain(flag.get_visible_aliases().unwrap_or_default());
    let names =
        longs.map(|name| format!("--{name}")).chain(flag.get_short().map(|letter| format!("-{letter}")));
    let value = if flag.get_action().takes_values() { " value" } else { "" };
    names.map(|name| name + value).collect::<Vec<_>>().join(", ")
}

fn told(flag: &Arg) -> String {
    flag.get_help().map(ToString::to_string).unwrap_or_default()
}

fn section(title: &str, rows: Vec<(String, String)>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.into_iter().fold(format!("\n{title}:\n"), |text, (name, about)| {
        text + format!("   {name:<width$}  {about}").trim_end() + "\n"
    })
}
