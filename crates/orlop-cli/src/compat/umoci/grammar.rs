//! The grammar of umoci's command lines, which is that of Go.
//!
//! ```text
//! umoci [FLAG]... VERB [FLAG | OPERAND]... [-- OPERAND...]
//! FLAG := -NAME | --NAME | -NAME=VALUE | --NAME=VALUE | -NAME VALUE | --NAME VALUE
//! ```
//!
//! One dash or two are the same, and letters are not joined. A value follows its flag whatever it begins with; a switch
//! takes one only behind `=`. Of flags that are given twice the last one counts, where there is one value. Flags may stand behind operands.
//!
//! Invariant: of the line that comes out, clap can make one thing only: flags as `--NAME=VALUE`, then `--`, then operands.

use clap::{Arg, Command};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::slice::Iter;

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// How a verb is used, or the program where there are no names.
    Help(Vec<String>),
    /// What this is.
    Version,
    /// A verb, by its names, and the line for clap.
    Verb { names: Vec<String>, line: Vec<OsString> },
    /// A verb that there is not.
    NoVerb(String),
}

/// Why a line is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    #[error("there is no flag --{flag}")]
    UnknownFlag { names: Vec<String>, flag: String },
    #[error("the flag --{flag} needs a value")]
    NoValue { names: Vec<String>, flag: String },
    #[error("the flag --{flag} is true or false, not {value:?}")]
    NotBoolean { names: Vec<String>, flag: String, value: String },
}

impl Misuse {
    /// The verb that was misused.
    pub fn names(&self) -> &[String] {
        let (Self::UnknownFlag { names, .. } | Self::NoValue { names, .. } | Self::NotBoolean { names, .. }) =
            self;
        names
    }
}

/// Reads the words after the program's name.
pub fn read(definition: &Command, words: &[OsString]) -> Result<Asked, Misuse> {
    let line = vec![definition.get_name().into()];
    Reader { command: definition, names: Vec::new(), line, rest: words.iter() }.read()
}

struct Reader<'a> {
    /// The verb that was reached.
    command: &'a Command,
    names: Vec<String>,
    line: Vec<OsString>,
    rest: Iter<'a, OsString>,
}

/// What a word is.
enum Word<'a> {
    Flag {
        name: &'a str,
        value: Option<&'a [u8]>,
    },
    /// No more flags.
    End,
    Operand(&'a OsStr),
}

impl Reader<'_> {
    fn read(mut self) -> Result<Asked, Misuse> {
        while self.command.has_subcommands() {
            let (flags, operand) = match self.words(Until::FirstOperand)? {
                Read::Words { flags, mut operands } => (flags, operands.pop()),
                Read::Asked(asked) => return Ok(asked),
            };
            self.line.extend(flags);
            let Some(name) = operand.map(|operand| operand.to_string_lossy().into_owned()) else {
                return Ok(Asked::Help(self.names));
            };
            if matches!(name.as_str(), "help" | "h") {
                return Ok(self.helped());
            }
            let Some(found) = self.command.find_subcommand(&name) else { return Ok(Asked::NoVerb(name)) };
            self.descend(found.get_name().to_owned());
        }
        match self.words(Until::End)? {
            Read::Asked(asked) => Ok(asked),
            Read::Words { flags, operands } => {
                self.line.extend(flags);
                self.line.push("--".into());
                self.line.extend(operands);
                Ok(Asked::Verb { names: self.names, line: self.line })
            }
        }
    }

    fn descend(&mut self, name: String) {
        self.command = self.command.find_subcommand(&name).expect("it was just found");
        self.line.push(name.clone().into());
        self.names.push(name);
    }

    /// `help [VERB]`
    fn helped(mut self) -> Asked {
        let Some(word) = self.rest.next() else { return Asked::Help(self.names) };
        let name = word.to_string_lossy();
        match self.command.find_subcommand(&*name) {
            Some(verb) => {
                self.names.push(verb.get_name().to_owned());
                Asked::Help(self.names)
            }
            None => Asked::NoVerb(name.into_owned()),
        }
    }

    /// The flags of a verb in clap's spelling, and its operands.
    fn words(&mut self, until: Until) -> Result<Read, Misuse> {
        let mut flags: Vec<(String, Option<OsString>)> = Vec::new();
        let mut operands: Vec<OsString> = Vec::new();
        while let Some(word) = self.rest.next() {
            match taken_apart(word) {
                Word::Operand(operand) => {
                    operands.push(operand.into());
                    if until == Until::FirstOperand {
                        break;
                    }
                }
                Word::End => operands.extend(self.rest.by_ref().cloned()),
                Word::Flag { name: "help" | "h", .. } => {
                    return Ok(Read::Asked(Asked::Help(self.names.clone())));
                }
                Word::Flag { name: "version" | "v", .. } if self.names.is_empty() => {
                    return Ok(Read::Asked(Asked::Version));
                }
                Word::Flag { name, value } => {
                    let (flag, value) = self.flag(name, value)?;
                    if value.is_none() {
                        flags.retain(|(other, _)| *other != flag.0);
                    }
                    if flag.1 == Set::Yes {
                        flags.push((flag.0, value));
                    }
                }
            }
        }
        Ok(Read::Words { flags: flags.into_iter().map(spelled).collect(), operands })
    }

    /// The name by which clap knows a flag, whether it is set, and its value.
    fn flag(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<((String, Set), Option<OsString>), Misuse> {
        let names = || self.names.clone();
        let found = self.command.get_arguments().find(|argument| is_called(argument, name));
        let Some(long) = found.and_then(Arg::get_long) else {
            return Err(Misuse::UnknownFlag { names: names(), flag: name.into() });
        };
        let owned = |value: &[u8]| OsString::from_vec(value.to_vec());
        if found.is_some_and(|argument| argument.get_action().takes_values()) {
            let value = value.map(owned).or_else(|| self.rest.next().cloned());
            let value = value.ok_or_else(|| Misuse::NoValue { names: names(), flag: name.into() })?;
            return Ok(((long.into(), Set::Yes), Some(value)));
        }
        match value {
            None | Some(b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True") => {
                Ok(((long.into(), Set::Yes), None))
            }
            Some(b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False") => Ok(((long.into(), Set::No), None)),
            Some(value) => Err(Misuse::NotBoolean {
                names: names(),
                flag: name.into(),
                value: owned(value).to_string_lossy().into_owned(),
            }),
        }
    }
}

/// How far a verb's words go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The name of a verb within.
    FirstOperand,
    End,
}

/// Whether a flag holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Yes,
    No,
}

enum Read {
    Words { flags: Vec<OsString>, operands: Vec<OsString> },
    Asked(Asked),
}

fn taken_apart(word: &OsStr) -> Word<'_> {
    let bytes = word.as_bytes();
    if bytes == b"--" {
        return Word::End;
    }
    let Some(flag) = bytes.strip_prefix(b"-").filter(|flag| !flag.is_empty()) else {
        return Word::Operand(word);
    };
    let flag = flag.strip_prefix(b"-").unwrap_or(flag);
    let (name, value) = match flag.iter().position(|byte| *byte == b'=') {
        Some(equals) => (&flag[..equals], Some(&flag[equals + 1..])),
        None => (flag, None),
    };
    // No flag has a name that is no text.
    Word::Flag { name: std::str::from_utf8(name).unwrap_or("\u{fffd}"), value }
}

fn is_called(argument: &Arg, name: &str) -> bool {
    let is_letter = argument.get_short().is_some_and(|letter| name.chars().eq([letter]));
    let is_alias = argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&name));
    is_letter || is_alias || argument.get_long() == Some(name)
}

fn spelled((name, value): (String, Option<OsString>)) -> OsString {
    let mut word = OsString::from(format!("--{name}"));
    if let Some(value) = value {
        word.push("=");
        word.push(value);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ArgAction;

    fn definition() -> Command {
        let value = |name: &'static str| Arg::new(name).long(name).action(ArgAction::Append);
        let switch = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
        let raw = Command::new("raw").subcommand(Command::new("unpack").arg(switch("rootless")));
        let verb =
            Command::new("config").alias("c").args([value("config.cmd").alias("cmd"), switch("no-history")]);
        let verb = verb.arg(value("file").short('f')).arg(Arg::new("operand").num_args(0..));
        Command::new("umoci").arg(switch("verbose")).arg(value("log")).subcommands([raw, verb])
    }

    fn asked(line: &str) -> Result<Asked, Misuse> {
        let words: Vec<OsString> =
            line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect();
        read(&definition(), &words)
    }

    /// The line that clap would be given.
    fn line(line: &str) -> String {
        match asked(line) {
            Ok(Asked::Verb { line, .. }) => line.join(OsStr::new(" ")).into_string().expect("text"),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn one_dash_or_two_an_equals_sign_or_a_word_are_the_same() {
        for flag in ["-config.cmd=x", "--config.cmd=x", "-config.cmd x", "--config.cmd x", "-cmd x"] {
            assert_eq!(line(&format!("c {flag}")), "umoci config --config.cmd=x --", "{flag}");
        }
        assert_eq!(line("config -f x --f=y"), "umoci config --file=x --file=y --");
    }

    #[test]
    fn a_value_may_look_like_a_flag_and_be_empty() {
        assert_eq!(line("config --config.cmd --no-history"), "umoci config --config.cmd=--no-history --");
        assert_eq!(line("config --config.cmd -- --cmd="), "umoci config --config.cmd=-- --config.cmd= --");
    }

    #[test]
    fn flags_may_stand_behind_operands_but_not_behind_two_dashes() {
        assert_eq!(
            line("config a --no-history b -- --no-history"),
            "umoci config --no-history -- a b --no-history"
        );
        assert_eq!(line("config -"), "umoci config -- -");
    }

    #[test]
    fn a_switch_takes_a_truth_behind_an_equals_sign_and_the_last_one_counts() {
        assert_eq!(line("config --no-history=T"), "umoci config --no-history --");
        assert_eq!(line("config --no-history --no-history=false"), "umoci config --");
        assert_eq!(line("config --no-history --no-history"), "umoci config --no-history --");
        assert_eq!(line("config --no-history false"), "umoci config --no-history -- false");
        assert!(matches!(asked("config --no-history=maybe"), Err(Misuse::NotBoolean { .. })));
    }

    #[test]
    fn flags_of_the_program_stand_before_the_verb() {
        assert_eq!(line("--log debug -verbose config"), "umoci --log=debug --verbose config --");
        assert_eq!(line("raw unpack a -rootless"), "umoci raw unpack --rootless -- a");
        let unknown = |names: &[&str], flag: &str| {
            let names = names.iter().map(ToString::to_string).collect();
            Err(Misuse::UnknownFlag { names, flag: flag.into() })
        };
        assert_eq!(asked("config --verbose"), unknown(&["config"], "verbose"));
        assert_eq!(asked("--rootless raw unpack"), unknown(&[], "rootless"));
        assert_eq!(asked("config ---cmd x"), unknown(&["config"], "-cmd"));
    }

    #[test]
    fn help_is_asked_for_by_a_flag_a_verb_or_silence() {
        let help = |names: &[&str]| Ok(Asked::Help(names.iter().map(ToString::to_string).collect()));
        for (line, names) in [
            ("", &[][..]),
            ("-h", &[]),
            ("h", &[]),
            ("help c", &["config"]),
            ("config a --nothing-yet -h", &[]),
            ("config a --help", &["config"]),
            ("raw", &["raw"]),
            ("raw help unpack", &["raw", "unpack"]),
        ] {
            if line.contains("nothing") {
                assert!(asked(line).is_err(), "{line}");
            } else {
                assert_eq!(asked(line), help(names), "{line}");
            }
        }
    }

    #[test]
    fn what_is_no_verb_is_told_apart_and_the_version_is_the_programs() {
        for line in ["bogus", "raw bogus", "help bogus", "raw help bogus"] {
            assert_eq!(asked(line), Ok(Asked::NoVerb("bogus".into())), "{line}");
        }
        assert_eq!(asked("-v config --bogus"), Ok(Asked::Version));
        assert!(asked("config -v").is_err());
        assert!(matches!(asked("config --config.cmd"), Err(Misuse::NoValue { .. })));
    }
}
