//! What users of skopeo, crane and regctl type, understood where it means exactly what a line of ours means.
//!
//! ```text
//! skopeo  --insecure-policy  copy -q  docker://a/b oci:d:1
//!         ─ before the verb ─┐
//! orlop   copy  --insecure-policy  --progress none  docker://a/b oci:d:1
//! ```
//!
//! A line is looked at only after our own grammar has refused it, and what is made of it must be a line of ours.
//! Invariant: so no line that means something by itself can mean something else; and what has no meaning of ours is
//! refused, with what to type instead.

mod table;

use crate::{cli, environment};
use clap::error::{ContextKind, ContextValue};
use orlop::spec::Platform;
use orlop::spec::reference::{Bare, Holds, LoneStream, Transport};
use orlop::transport;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use table::{BEFORE, FLAGS, INSTEAD, VERBS};

/// A verb of another tool.
struct Verb {
    theirs: &'static [&'static str],
    /// Our verb, perhaps with a flag.
    ours: &'static [&'static str],
    /// What stands before its last operand; where there is one operand only, the last is `-`.
    target: Option<&'static str>,
}

/// A flag of another tool.
struct Flag {
    /// The verbs that have it, as they were typed or as they are ours.
    verbs: &'static [&'static str],
    names: &'static [&'static str],
    becomes: Becomes,
    /// Beside these flags it would mean something else.
    unless: &'static [&'static str],
}

/// What a flag is here.
#[derive(Clone, Copy)]
enum Becomes {
    /// These words; it has no value.
    Words(&'static [&'static str]),
    /// Our flag, with the same value.
    Named(&'static str),
    /// With this value, these words.
    Valued(&'static str, &'static [&'static str]),
    /// What holds anyway where images stay images.
    Nothing,
    /// With the value `false`, `--insecure HOST` for the registries of one side.
    Insecure(Side),
    /// Our flag, which is for both sides, where only this side has such a place.
    OneSided(Side, &'static str, fn(&Transport) -> bool),
    /// A part of `--platform`.
    Part(Part),
    /// An operand, with this before it.
    Operand(&'static str),
    /// Something that this verb has no word for.
    Refused,
}

/// Which operands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// All but the last where something is moved, else the first.
    Source,
    /// The last, where something is moved.
    Target,
    /// The first, which is no reference: `HOST[:PORT][/NAME]`.
    Host,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Os,
    Architecture,
    Variant,
}

/// What to type for words that are refused.
struct Instead {
    /// The verbs, as they were typed or as they are ours.
    verbs: &'static [&'static str],
    /// The flags; the verb itself where there are none.
    words: &'static [&'static str],
    hint: &'static str,
}

/// The line of ours that means what this one means, if it has words of other tools and there is such a line.
pub fn translated(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (program, words) = arguments.split_first()?;
    let head = Head::of(words)?;
    let line = Line::of(&head)?;
    let mut ours = vec![program.clone()];
    ours.extend(head.ours.iter().map(OsString::from));
    ours.extend(line.words()?);
    (ours != arguments).then_some(ours)
}

/// What to type instead of words that our grammar refused with this error.
pub fn instead(arguments: &[OsString], error: &clap::Error) -> Option<&'static str> {
    let head = Head::of(arguments.get(1..)?)?;
    let blamed = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => Some(flag.split([' ', '=']).next().unwrap_or_default()),
        _ => None,
    };
    let is_typed = |flag: &&'static str| match blamed {
        Some(blamed) => blamed == *flag,
        None => head.rest.iter().chain(&head.before).any(|word| flag_name(word) == Some(*flag)),
    };
    let fits = |it: &&Instead| {
        head.is_one_of(it.verbs) && (it.words.iter().any(is_typed) || it.words.is_empty() && blamed.is_none())
    };
    INSTEAD.iter().find(fits).map(|it| it.hint)
}

/// A line as far as its verb.
struct Head<'a> {
    /// What stood before the verb.
    before: Vec<OsString>,
    typed: String,
    ours: Vec<&'a str>,
    target: Option<&'static str>,
    rest: &'a [OsString],
}

impl<'a> Head<'a> {
    fn of(words: &'a [OsString]) -> Option<Self> {
        let mut before = Vec::new();
        let mut rest = words;
        while let [word, others @ ..] = rest
            && let Some(name) = flag_name(word)
        {
            let (_, has_value) = BEFORE.iter().find(|(flag, _)| *flag == name)?;
            let count = usize::from(*has_value && value(word).is_none());
            before.push(word.clone());
            before.extend_from_slice(others.get(..count)?);
            rest = &others[count..];
        }
        let starts = |verb: &&Verb| {
            verb.theirs.len() <= rest.len() && verb.theirs.iter().zip(rest).all(|(it, word)| word == it)
        };
        if let Some(verb) = VERBS.iter().find(starts) {
            let (typed, ours) = (verb.theirs.join(" "), verb.ours.to_vec());
            return Some(Self { before, typed, ours, target: verb.target, rest: &rest[verb.theirs.len()..] });
        }
        let (verb, rest) = rest.split_first()?;
        let verb = verb.to_str()?;
        Some(Self { before, typed: verb.to_owned(), ours: vec![verb], target: None, rest })
    }

    fn is_one_of(&self, verbs: &[&str]) -> bool {
        verbs.iter().any(|verb| *verb == self.typed || *verb == self.ours[0])
    }

    fn flag(&self, name: &str) -> Option<&'static Flag> {
        FLAGS.iter().find(|flag| flag.names.contains(&name) && self.is_one_of(flag.verbs))
    }
}

/// What stands behind a verb.
enum Item {
    /// Theirs, with its value.
    Flag(&'static Flag, Option<OsString>),
    /// Ours, or its value.
    Own(OsString),
    Operand(OsString),
}

struct Line<'a> {
    head: &'a Head<'a>,
    items: Vec<Item>,
}

impl<'a> Line<'a> {
    /// Tells flags from values and operands; our own definition knows which of our flags have a value.
    fn of(head: &'a Head<'a>) -> Option<Self> {
        let definition = cli::definition();
        let verb = definition.find_subcommand(head.ours[0])?;
        let mut items = Vec::new();
        let mut words = head.before.iter().chain(head.rest).cloned();
        while let Some(word) = words.next() {
            if word == "--" {
                items.push(Item::Own(word));
                items.extend(words.by_ref().map(Item::Operand));
            } else if let Some(name) = flag_name(&word) {
                let (name, glued) = (name.to_owned(), value(&word));
                match head.flag(&name) {
                    Some(flag) if flag.becomes.has_value() && glued.is_none() => {
                        items.push(Item::Flag(flag, Some(words.next()?)));
                    }
                    Some(flag) => items.push(Item::Flag(flag, glued)),
                    None => {
                        let has_value = glued.is_none() && has_value(verb, &name);
                        items.push(Item::Own(word));
                        items.extend(words.by_ref().take(usize::from(has_value)).map(Item::Own));
                    }
                }
            } else {
                items.push(Item::Operand(word));
            }
        }
        Some(Self { head, items })
    }

    /// The whole of it in our words, where every one of theirs has its meaning here.
    fn words(&self) -> Option<Vec<OsString>> {
        let mut words = Vec::new();
        let last = self.operands().count().checked_sub(1);
        let mut operand = 0;
        for item in &self.items {
            match item {
                Item::Flag(flag, value) => words.extend(self.flag(flag, value.as_deref())?),
                Item::Own(word) => words.push(word.clone()),
                Item::Operand(word) => {
                    let is_target = operand > 0 && Some(operand) == last;
                    words.push(if is_target { self.target(word) } else { word.clone() });
                    operand += 1;
                }
            }
        }
        if operand == 1 && self.head.target.is_some() {
            words.push(self.target(OsStr::new("-")));
        }
        words.extend(self.platform());
        Some(words)
    }

    fn flag(&self, flag: &Flag, value: Option<&OsStr>) -> Option<Vec<OsString>> {
        if flag.unless.iter().any(|other| self.has(other)) || flag.becomes.has_value() != value.is_some() {
            return None;
        }
        let words = |words: &[&str]| words.iter().map(OsString::from).collect();
        match (flag.becomes, value) {
            (Becomes::Words(ours), None) => Some(words(ours)),
            (Becomes::Named(name), Some(value)) => Some(vec![name.into(), value.into()]),
            (Becomes::Valued(wanted, ours), Some(value)) => (value == wanted).then(|| words(ours)),
            (Becomes::Nothing, None) => self.keeps_images().then(Vec::new),
            (Becomes::Insecure(side), Some(value)) if value == "false" => self.insecure(side),
            (Becomes::OneSided(side, name, is_such), Some(value)) => {
                let has = |side| self.places(side).iter().any(is_such);
                let is_only = has(side) && !side.other().is_some_and(has);
                is_only.then(|| vec![name.into(), value.into()])
            }
            (Becomes::Part(_), Some(_)) => Some(Vec::new()),
            (Becomes::Operand(before), Some(value)) => Some(vec![joined(before, value)]),
            _ => None,
        }
    }

    /// `--insecure` is about hosts: one that the other side has as well must be allowed there too.
    fn insecure(&self, side: Side) -> Option<Vec<OsString>> {
        let here = self.hosts(side);
        let is_refused_there = |other: Side| {
            let there = self.hosts(other);
            here.iter().any(|host| there.contains(host)) && !self.is_insecure(other)
        };
        if here.is_empty() || side.other().is_some_and(is_refused_there) {
            return None;
        }
        Some(here.into_iter().flat_map(|host| ["--insecure".into(), host]).collect())
    }

    fn is_insecure(&self, wanted: Side) -> bool {
        self.items.iter().any(|item| match item {
            Item::Flag(Flag { becomes: Becomes::Insecure(side), .. }, Some(value)) => {
                *side == wanted && value == "false"
            }
            _ => false,
        })
    }

    /// The parts of a platform that were given, with those of Linux and of this machine for the others.
    fn platform(&self) -> Vec<OsString> {
        let part = |wanted| {
            self.items.iter().find_map(|item| match item {
                Item::Flag(Flag { becomes: Becomes::Part(part), .. }, value) if *part == wanted => {
                    value.as_ref().map(|value| value.to_string_lossy().into_owned())
                }
                _ => None,
            })
        };
        let (os, architecture, variant) = (part(Part::Os), part(Part::Architecture), part(Part::Variant));
        if os.is_none() && architecture.is_none() && variant.is_none() {
            return Vec::new();
        }
        let host: Platform = environment::host();
        let variant = variant.map_or_else(String::new, |variant| format!("/{variant}"));
        let (os, architecture) = (
            os.unwrap_or_else(|| host.os.to_string()),
            architecture.unwrap_or_else(|| host.architecture.to_string()),
        );
        vec!["--platform".into(), format!("{os}/{architecture}{variant}").into()]
    }

    fn target(&self, word: &OsStr) -> OsString {
        joined(self.head.target.unwrap_or_default(), word)
    }

    fn operands(&self) -> impl Iterator<Item = &OsString> {
        self.items.iter().filter_map(|item| match item {
            Item::Operand(word) => Some(word),
            _ => None,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.items.iter().any(|item| match item {
            Item::Flag(flag, _) => flag.names.contains(&name),
            Item::Own(word) => flag_name(word) == Some(name),
            Item::Operand(_) => false,
        })
    }

    /// The operands of one side.
    fn side(&self, side: Side) -> Vec<&OsString> {
        let mut operands: Vec<_> = self.operands().collect();
        let last = if table::MOVING.contains(&self.head.ours[0]) { operands.pop() } else { None };
        match side {
            Side::Source if last.is_none() => operands.into_iter().take(1).collect(),
            Side::Source => operands,
            Side::Target => last.into_iter().collect(),
            Side::Host => operands.into_iter().take(1).collect(),
        }
    }

    fn places(&self, side: Side) -> Vec<Transport> {
        let parsed = |word: &OsString| transport::parse(word, Bare::Registry, LoneStream::Refused).ok();
        self.side(side).into_iter().filter_map(parsed).map(|reference| reference.transport).collect()
    }

    fn hosts(&self, side: Side) -> Vec<OsString> {
        if side == Side::Host {
            let host = |word: &OsString| word.to_str()?.split('/').next().map(OsString::from);
            return self.side(side).into_iter().filter_map(host).collect();
        }
        let host = |place: &Transport| match place {
            Transport::Registry(repository) => Some(OsString::from(repository.host())),
            _ => None,
        };
        self.places(side).iter().filter_map(host).collect()
    }

    fn keeps_images(&self) -> bool {
        let both = [self.places(Side::Source), self.places(Side::Target)];
        both.iter().flatten().all(|place| place.holds() == Holds::Blobs)
    }
}

impl Becomes {
    /// Whether a value follows; that of `Insecure` is glued to it.
    fn has_value(self) -> bool {
        !matches!(self, Self::Words(_) | Self::Nothing | Self::Refused)
    }
}

impl Side {
    fn other(self) -> Option<Self> {
        match self {
            Self::Source => Some(Self::Target),
            Self::Target => Some(Self::Source),
            Self::Host => None,
        }
    }
}

/// The name of a flag, `--name` or `-n`; `-` alone is an operand.
fn flag_name(word: &OsStr) -> Option<&str> {
    let word = word.to_str().filter(|word| word.starts_with('-') && *word != "-")?;
    word.split('=').next()
}

/// The value that is glued to a flag.
fn value(word: &OsStr) -> Option<OsString> {
    let at = word.as_bytes().iter().position(|byte| *byte == b'=')?;
    Some(OsStr::from_bytes(&word.as_bytes()[at + 1..]).into())
}

/// Whether our flag of this name is followed by a value.
fn has_value(verb: &clap::Command, name: &str) -> bool {
    let is_it = |argument: &&clap::Arg| match name.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => argument.get_short() == name.chars().nth(1),
    };
    verb.get_arguments().find(is_it).is_some_and(|argument| argument.get_action().takes_values())
}

fn joined(before: &str, word: &OsStr) -> OsString {
    let mut text = OsString::from(before);
    text.push(word);
    text
}

#[cfg(test)]
mod tests;
