//! What to type next, fitted to the command that was typed.
//!
//! A library does not know which verb calls it, so its hint may name a flag that this verb lacks. A hint offers one
//! way or several, `, or ` between them. Invariant: of the ways that are shown, each flag is one that can be typed
//! here, or it is said which verbs take it.

use crate::flags::StorePlace;
use crate::{cli, environment, manual};
use clap::Command;
use orlop::fs::stat;
use orlop::spec::port::Catalog as _;
use orlop::spec::reference::{Bare, LoneStream, Transport};
use orlop::spec::{Diagnose as _, Fault, Kind};
use orlop::store::{Options, Store};
use orlop::transport;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The hint of an error for the command line that ran into it.
pub fn of(fault: &Fault, arguments: &[OsString], takes: &dyn Fn(&str) -> bool) -> Option<String> {
    let next = fault.hint().map(|text| fitted(text, takes));
    let is_of_elsewhere = matches!(fault.downcast_ref(), Some(orlop::Error::NoTransport { .. }))
        || matches!(fault.kind(), Kind::NotFound | Kind::Denied | Kind::Unreachable);
    let meant = if is_of_elsewhere {
        perhaps_layout(arguments).or_else(|| perhaps_stored(arguments))
    } else {
        None
    };
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

/// The folder that `--root` names, or the one that is there without it.
fn store_folder(arguments: &[OsString]) -> PathBuf {
    let given = arguments.iter().zip(arguments.iter().skip(1)).find_map(|(flag, folder)| {
        let joined = || flag.to_str()?.strip_prefix("--root=").map(PathBuf::from);
        if flag == "--root" { Some(PathBuf::from(folder)) } else { joined() }
    });
    given.unwrap_or_else(environment::store_folder)
}

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
