//! What to type next, fitted to the command that was typed.
//!
//! A library does not know which verb calls it, so its hint may name a flag that this verb lacks. A hint offers one
//! way or several, `, or ` between them. Invariant: of the ways that are shown, each flag is one that can be typed
//! here, or it is said which verbs take it.

use crate::flags::StorePlace;
use crate::{cli, environment, manual};
use clap::Command;
use orlop::fs::stat;
use orlop::layer::path::printable;
use orlop::spec::port::Catalog as _;
use orlop::spec::reference::{Bare, LoneStream, Transport};
use orlop::spec::{Diagnose as _, Fault, Kind};
use orlop::store::{Options, Store};
use orlop::transport;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The hint of an error for the command line that ran into it.
pub fn of(fault: &Fault, arguments: &[OsString], takes: &dyn Fn(&str) -> bool) -> Option<String> {
    let next = match fault.hint() {
        Some(text) if fault.is_full() => Some(of_full_disk(fault, text, &temporary_folder(arguments), takes)),
        text => text.map(|text| fitted(text, takes)),
    };
    let is_of_elsewhere = matches!(fault.downcast_ref(), Some(orlop::Error::NoTransport { .. }))
        || matches!(fault.kind(), Kind::NotFound | Kind::Denied | Kind::Unreachable);
    let meant =
        if is_of_elsewhere { perhaps_layout(arguments).or_else(|| perhaps_stored(arguments)) } else { None };
    match (meant, next) {
        (Some(meant), Some(next)) => Some(format!("{meant}; {next}")),
        (meant, next) => meant.or(next),
    }
}

/// Verbs whose last word is nothing that they write.
const READERS: [&str; 18] = [
    "inspect", "ls", "digest", "files", "cat", "du", "diff", "tree", "validate", "verify", "run", "mount",
    "umount", "tag", "untag", "rm", "lock", "fsck",
];

/// A word without a transport means a registry. Where a layout of that name is there, or where the word is a target
/// that no registry lets anybody write to, a layout was meant. The words of `ostree` are none of these: they are refs,
/// and images of a remote.
fn perhaps_layout(arguments: &[OsString]) -> Option<String> {
    let verb = arguments.get(1)?.to_str()?;
    if verb == "ostree" {
        return None;
    }
    let is_target = |at: usize| at + 1 == arguments.len() && !READERS.contains(&verb);
    let could_be = |(at, word): (usize, &OsString)| {
        let reference = transport::parse(word, Bare::Registry, LoneStream::Refused).ok()?;
        let Transport::Registry(repository) = &reference.transport else { return None };
        let text = word.to_str().filter(|text| !text.starts_with('-') && !text.contains("://"))?;
        let folder = text.split([':', '@']).next()?;
        let nobody_writes = repository.name().starts_with("library/") && is_target(at) && folder != text;
        let is_there = || stat::at(Path::new(folder).join("oci-layout")).is_ok();
        (nobody_writes || is_there()).then(|| format!("for a layout in a folder write oci:{text}"))
    };
    arguments.iter().enumerate().skip(2).find_map(could_be)
}

/// Most verbs ask a registry for a word without a transport. Where the local store has an image of that name, it was meant.
fn perhaps_stored(arguments: &[OsString]) -> Option<String> {
    let store = Store::open_if_any(store_folder(arguments), &Options::default()).ok()??;
    let names = store.names().ok()?;
    let is_kept = |word: &&OsString| {
        let reference = StorePlace::reference(word).ok().flatten();
        reference.is_some_and(|it| names.iter().any(|(name, _)| it.tag().is_some() && name.tag() == it.tag()))
    };
    let words = arguments.iter().skip(2).filter(|word| !word.to_string_lossy().starts_with("store:"));
    let word = { words }.find(is_kept)?.to_str()?;
    Some(format!("for the image of the local store write store:{word}"))
}

/// Another folder for what waits is no way where the result has no room. An error that names no path leaves that open.
fn of_full_disk(fault: &Fault, hint: String, waits: &Path, takes: &dyn Fn(&str) -> bool) -> String {
    let first: Option<&(dyn Error + 'static)> = Some(fault);
    let said: String =
        std::iter::successors(first, |cause| (*cause).source()).map(ToString::to_string).collect();
    let waits = waits.display().to_string();
    if said.contains(&waits) && waits.contains('/') {
        return fitted(hint, takes);
    }
    let rest = fitted(hint.clone(), &|flag| flag != "tmpdir" && takes(flag));
    if said.contains('/') || rest == hint || !takes("tmpdir") {
        return rest;
    }
    let waits = printable(&waits).into_owned();
    format!("{rest}; if it is {waits} that is full, name another folder with --tmpdir")
}

fn store_folder(arguments: &[OsString]) -> PathBuf {
    given("--root", arguments).unwrap_or_else(environment::store_folder)
}

fn temporary_folder(arguments: &[OsString]) -> PathBuf {
    given("--tmpdir", arguments).unwrap_or_else(environment::temporary_folder)
}

/// The folder that a flag names, in one word with it or behind it.
fn given(flag: &str, arguments: &[OsString]) -> Option<PathBuf> {
    arguments.iter().zip(arguments.iter().skip(1).map(Some).chain([None])).find_map(|(word, next)| {
        if word == flag {
            return next.map(PathBuf::from);
        }
        word.to_str()?.strip_prefix(flag)?.strip_prefix('=').map(PathBuf::from)
    })
}

/// Verbs beyond the first that are named; more are counted.
const MANY: usize = 5;

/// The ways of a hint that fit whoever `takes` a flag; where none does, all of them, and whose flags they name.
pub fn fitted(hint: String, takes: &dyn Fn(&str) -> bool) -> String {
    let (fit, others): (Vec<&str>, Vec<&str>) = hint.split(", or ").partition(|way| flags(way).all(takes));
    if others.is_empty() {
        return hint;
    }
    if !fit.is_empty() {
        return fit.join(", or ");
    }
    let definition = cli::definition();
    let takers: Vec<String> = manual::shown(&definition)
        .into_iter()
        .filter(|verb| others.iter().all(|way| flags(way).all(|flag| has_flag(verb, flag))))
        .map(|verb| format!("`orlop {}`", manual::title(verb)))
        .collect();
    match takers.as_slice() {
        // No flag of ours: a word of another grammar, as within `--healthcheck`.
        [] => hint,
        [first, rest @ ..] if rest.len() > MANY => {
            format!("{hint} (a flag of {first} and {} more verbs)", rest.len())
        }
        takers => format!("{hint} (a flag of {})", takers.join(", ")),
    }
}

/// Whether a verb takes a flag, under this name or hidden.
pub fn has_flag(verb: &Command, flag: &str) -> bool {
    let is_it = |name: Option<Vec<&str>>| name.is_some_and(|names| names.contains(&flag));
    verb.get_arguments().any(|argument| is_it(argument.get_long_and_visible_aliases()))
}

/// The flags in a text that stand outside a command line of their own, without their dashes.
fn flags(text: &str) -> impl Iterator<Item = &str> {
    let end = text.find("orlop ").unwrap_or(text.len());
    text[..end].split([' ', '`']).filter_map(|word| word.strip_prefix("--")).map(|word| {
        let end = word.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
        &word[..end.unwrap_or(word.len())]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_whose_flag_cannot_be_typed_here_is_left_out() {
        let hint = || "free some space, or name another folder with --tmpdir".to_owned();
        assert_eq!(fitted(hint(), &|flag| flag == "tmpdir"), hint());
        assert_eq!(fitted(hint(), &|_| false), "free some space");
        let login = || "orlop login host, or --creds USER:PASSWORD".to_owned();
        assert_eq!(fitted(login(), &|_| false), "orlop login host");
        assert_eq!(fitted(login(), &|flag| flag == "creds"), login());
    }

    #[test]
    fn where_no_way_is_left_it_is_said_who_takes_the_flag() {
        let hint = fitted("exchange it with --replace".into(), &|_| false);
        assert_eq!(hint, "exchange it with --replace (a flag of `orlop unpack`, `orlop bundle`)");
    }

    #[test]
    fn a_command_line_and_a_word_of_another_grammar_stay() {
        for hint in ["make one first: orlop build --base REF SRC oci:DIR:TAG", "write --interval=30s"] {
            assert_eq!(fitted(hint.into(), &|_| false), hint);
        }
    }
}
