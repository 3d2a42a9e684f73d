//! Errors for eyes and for programs: what failed, why, what to type next.
//!
//! ```text
//! error: cannot read the image `x`
//!   caused by: the blob sha256:… is damaged: it ends after 12 bytes
//!   hint: copy the image again from where it came
//! ```
//!
//! With `--format json` the same is one object on one line of stderr; `docs/reference/json.md` describes it.

use crate::{environment, interrupt};
use orlop::layer::path::printable;
use orlop::run;
use orlop::spec::{Diagnose as _, Fault, Kind};
use serde_json::json;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

/// For whom errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For eyes.
    Human,
    /// For programs.
    Json,
}

impl Style {
    /// What `--format` says, read before the arguments are parsed, so that misuse too is told in JSON.
    pub fn of(arguments: &[OsString]) -> Self {
        let mut words = arguments.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--");
        while let Some(word) = words.next() {
            if word == "--format=json" || (word == "--format" && words.next() == Some("json")) {
                return Self::Json;
            }
        }
        Self::Human
    }
}

/// What the exit code of a failure tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The kind of the failure.
    OfKind,
    /// That it was not the container that failed, or why it could not begin.
    OfContainer,
}

impl Code {
    fn of(self, fault: &Fault, kind: Kind) -> u8 {
        match (self, kind) {
            (Self::OfKind, _) | (_, Kind::Interrupted) => kind.exit_code(),
            (Self::OfContainer, _) => run::exit_code(fault),
        }
    }
}

/// Tells why a verb failed, and what to type next. A reader of the result that went away is no failure.
pub fn failed(fault: &Fault, style: Style, next: Option<String>, code: Code) -> ExitCode {
    if is_of_reader(fault) {
        return ExitCode::SUCCESS;
    }
    let kind = if interrupt::happened() { Kind::Interrupted } else { fault.kind() };
    let code = code.of(fault, kind);
    let message = Message { what: fault.to_string(), why: chain(fault), next, kind, code };
    message.print(style);
    code.into()
}

/// Tells how the command line was misused, and what to type next where that is known.
pub fn misused(error: &clap::Error, style: Style, next: Option<&str>, code: Code) -> ExitCode {
    let code = match code {
        Code::OfKind => Kind::Usage.exit_code(),
        Code::OfContainer => run::FAILED,
    };
    match (style, next) {
        (Style::Human, None) => drop(error.print()),
        (Style::Human, Some(next)) => {
            drop(error.print());
            say(&format!("  hint: {next}\n"));
        }
        (Style::Json, next) => Message::of_misuse(error, next, code).print(style),
    }
    code.into()
}

/// An error with what caused it and what to type next, on one line.
pub fn line(fault: &Fault) -> String {
    let words: Vec<String> = std::iter::once(fault.to_string()).chain(chain(fault)).collect();
    let hint = fault.hint().map_or_else(String::new, |hint| format!(" ({hint})"));
    words.join(": ") + &hint
}

/// Says something that is no error.
pub fn warn(text: &str) {
    let label = paint("warning:", "33");
    say(&format!("{label} {}\n", printable(text)));
}

/// Says where something is, or what was done.
pub fn note(text: &str) {
    say(&format!("{}\n", printable(text)));
}

/// Writes to stderr; where that fails there is nobody left to tell.
pub fn say(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

struct Message {
    what: String,
    why: Vec<String>,
    next: Option<String>,
    kind: Kind,
    code: u8,
}

impl Message {
    /// The first line of what clap says; the rest is a usage for eyes.
    fn of_misuse(error: &clap::Error, next: Option<&str>, code: u8) -> Self {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let next = Some(next.unwrap_or("orlop --help").into());
        Self { what, why: Vec::new(), next, kind: Kind::Usage, code }
    }

    fn print(&self, style: Style) {
        match style {
            Style::Human => say(&self.for_eyes(&paint("error:", "31;1"))),
            Style::Json => say(&format!("{}\n", self.for_programs())),
        }
    }

    fn for_eyes(&self, label: &str) -> String {
        let mut text = format!("{label} {}\n", printable(&self.what));
        for why in &self.why {
            writeln!(text, "  caused by: {}", printable(why)).expect("a string takes everything");
        }
        if let Some(next) = &self.next {
            writeln!(text, "  hint: {}", printable(next)).expect("a string takes everything");
        }
        text
    }

    fn for_programs(&self) -> serde_json::Value {
        json!({
            "version": 1,
            "error": self.what,
            "caused_by": self.why,
            "hint": self.next,
            "kind": name(self.kind),
            "exit_code": self.code,
        })
    }
}

/// A kind's name in JSON and in the table of exit codes.
pub fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Other => "other",
        Kind::NotFound => "not-found",
        Kind::Denied => "denied",
        Kind::Policy => "policy",
        Kind::Integrity => "integrity",
        Kind::Unreachable => "unreachable",
        Kind::Partial => "partial",
        Kind::Differs => "differs",
        Kind::Limit => "limit",
        Kind::Usage => "usage",
        Kind::Interrupted => "interrupted",
    }
}

/// What lies beneath an error, without links that only repeat the one above.
fn chain(fault: &Fault) -> Vec<String> {
    let mut above = fault.to_string();
    let mut causes = Vec::new();
    for cause in sources(fault) {
        let text = cause.to_string();
        if !above.ends_with(&text) {
            causes.push(text.clone());
        }
        above = text;
    }
    causes
}

/// Whether the reader of the result went away, who has seen what it wanted.
fn is_of_reader(fault: &Fault) -> bool {
    environment::has_reader_left() && is_broken_pipe(fault)
}

/// Whether a pipe or a connection broke that was written to.
fn is_broken_pipe(fault: &Fault) -> bool {
    sources(fault)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn sources(fault: &Fault) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(fault.source(), |error: &&(dyn Error + 'static)| (*error).source())
}

/// Colours `text` where a terminal reads stderr.
fn paint(text: &str, colour: &str) -> String {
    if io::stderr().is_terminal() && !environment::no_color() {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop::spec::diagnose::IoFailed;

    fn broken() -> Fault {
        Fault::new(IoFailed { what: "read \x1b[2Jx".into(), source: io::ErrorKind::PermissionDenied.into() })
    }

    fn message(fault: &Fault) -> Message {
        let kind = fault.kind();
        Message {
            what: fault.to_string(),
            why: chain(fault),
            next: fault.hint(),
            kind,
            code: kind.exit_code(),
        }
    }

    #[test]
    fn an_error_has_three_parts_and_l1_its_names_are_escaped() {
        let text = message(&broken()).for_eyes("error:");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], r"error: cannot read \x1b[2Jx");
        assert_eq!(lines[1], "  caused by: permission denied");
        assert!(lines[2].starts_with("  hint: "), "{text}");
    }

    #[test]
    fn l1_a_name_cannot_forge_a_second_line() {
        let fault = Fault::new(IoFailed { what: "x\nerror: y".into(), source: io::ErrorKind::Other.into() });
        assert!(message(&fault).for_eyes("error:").starts_with("error: cannot x\\x0aerror: y\n"));
    }

    #[test]
    fn json_errors_say_kind_and_exit_code() {
        let value = message(&broken()).for_programs();
        assert_eq!((&value["kind"], &value["exit_code"]), (&json!("other"), &json!(1)));
        assert_eq!(value["caused_by"], json!(["permission denied"]));
    }

    #[test]
    fn a_broken_pipe_is_found_beneath_other_errors() {
        assert!(is_broken_pipe(&Fault::io("write", io::ErrorKind::BrokenPipe.into())));
        assert!(!is_broken_pipe(&broken()));
    }

    #[test]
    fn a_connection_that_breaks_is_a_failure_unlike_a_reader_of_the_result_that_leaves() {
        let fault = Fault::io("send a blob", io::ErrorKind::BrokenPipe.into());
        assert!(is_broken_pipe(&fault) && !is_of_reader(&fault));
    }

    #[test]
    fn the_style_is_known_before_the_arguments_are_parsed() {
        let style = |words: &[&str]| Style::of(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(style(&["orlop", "ls", "--format", "json"]), Style::Json);
        assert_eq!(style(&["orlop", "ls", "--format=json"]), Style::Json);
        assert_eq!(style(&["orlop", "ls", "--", "--format=json"]), Style::Human);
        assert_eq!(style(&["orlop", "ls", "--format", "human"]), Style::Human);
    }
}
