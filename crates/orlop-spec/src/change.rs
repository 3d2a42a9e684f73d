//! Instructions that change a config: the grammar of `docker import --change`, which is that of a Dockerfile
//! (Dockerfile reference, "Environment replacement", "Shell and exec form").
//!
//! ```text
//! INSTRUCTION rest     the name in any case; a backslash at the end of a line joins the next one
//! ```
//!
//! Invariant: instructions see the environment that those before them made, and the image's own; never that of
//! the process.

mod error;
mod healthcheck;
mod word;

pub use error::ChangeError;

use crate::config::{Execution, Healthcheck};
use crate::edit::{Folder, Pair, Ports, Signal};
use crate::json;
use crate::user::User;
use serde_json::Value;

/// Applies instructions in order.
pub fn apply<'a>(
    execution: Execution,
    instructions: impl IntoIterator<Item = &'a str>,
) -> Result<Execution, ChangeError> {
    let mut change = Change { execution, cmd: Cmd::Inherited };
    for text in instructions {
        change.instruction(text)?;
    }
    Ok(change.execution)
}

struct Change {
    execution: Execution,
    cmd: Cmd,
}

/// Where the second part of the command comes from: an entrypoint removes it only where it is inherited.
#[derive(PartialEq)]
enum Cmd {
    Inherited,
    Said,
}

/// The shell of the shell form.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

impl Change {
    fn instruction(&mut self, text: &str) -> Result<(), ChangeError> {
        let line = one_line(text)?;
        let line = line.trim();
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim_start();
        match &*name.to_ascii_uppercase() {
            "" => Err(ChangeError::Empty),
            "CMD" => {
                self.cmd = Cmd::Said;
                self.execution.cmd = command(rest)?;
                Ok(())
            }
            "ENTRYPOINT" => {
                self.execution.entrypoint = command(rest)?;
                if self.cmd == Cmd::Inherited {
                    self.execution.cmd = None;
                }
                Ok(())
            }
            "ENV" => self.each_pair("ENV", rest, |execution, pair| execution.set_env(&pair)),
            "LABEL" => self.each_pair("LABEL", rest, |execution, pair| {
                execution.labels.insert(pair.key, pair.value);
            }),
            "EXPOSE" => self.expose(rest),
            "VOLUME" => self.volume(rest),
            "USER" => {
                let user: User = self.one("USER", rest)?.parse()?;
                self.execution.user = Some(user.to_string().into());
                Ok(())
            }
            "WORKDIR" => self.workdir(rest),
            "STOPSIGNAL" => {
                let signal: Signal = self.one("STOPSIGNAL", rest)?.parse()?;
                self.execution.stop_signal = Some(signal.as_str().into());
                Ok(())
            }
            "HEALTHCHECK" => {
                self.execution.healthcheck = Some(Healthcheck::parse(rest)?);
                Ok(())
            }
            "ONBUILD" => self.on_build(rest),
            _ => Err(ChangeError::Unknown(name.into())),
        }
    }

    /// The rest of the line as one word, expanded.
    fn one(&self, instruction: &'static str, rest: &str) -> Result<String, ChangeError> {
        match self.expand(rest.trim_end())? {
            word if word.is_empty() => Err(ChangeError::NoArgument(instruction)),
            word => Ok(word),
        }
    }

    fn expand(&self, word: &str) -> Result<String, ChangeError> {
        word::expand(word, &|name| self.execution.env_value(name).map(str::to_owned))
    }

    /// `KEY=VALUE…`, or `KEY VALUE` where the first word has no `=`. All pairs of one instruction see the
    /// environment before it.
    fn each_pair(
        &mut self,
        instruction: &'static str,
        rest: &str,
        mut take: impl FnMut(&mut Execution, Pair),
    ) -> Result<(), ChangeError> {
        let words = word::split(rest);
        let pairs = match words.first() {
            None => return Err(ChangeError::NoArgument(instruction)),
            Some(first) if first.contains('=') => words
                .iter()
                .map(|word| {
                    word.split_once('=').ok_or_else(|| ChangeError::NotAPair(instruction, (**word).into()))
                })
                .collect::<Result<Vec<_>, _>>()?,
            Some(first) => match rest.split_once(char::is_whitespace) {
                Some((key, value)) => vec![(key, value.trim())],
                None => return Err(ChangeError::NotAPair(instruction, (**first).into())),
            },
        };
        let pairs = pairs.into_iter().map(|(key, value)| Ok((self.expand(key)?, self.expand(value)?)));
        for (key, value) in pairs.collect::<Result<Vec<_>, ChangeError>>()? {
            if key.is_empty() {
                return Err(ChangeError::NotAPair(instruction, format!("={value}").into()));
            }
            take(&mut self.execution, Pair { key: key.into(), value: value.into() });
        }
        Ok(())
    }

    fn expose(&mut self, rest: &str) -> Result<(), ChangeError> {
        let words: Vec<_> = rest.split_whitespace().collect();
        if words.is_empty() {
            return Err(ChangeError::NoArgument("EXPOSE"));
        }
        for word in words {
            for text in self.expand(word)?.split_whitespace() {
                let ports: Ports = text.parse()?;
                self.execution.expose(&ports);
            }
        }
        Ok(())
    }

    fn volume(&mut self, rest: &str) -> Result<(), ChangeError> {
        let words = strings(rest)?.unwrap_or_else(|| rest.split_whitespace().map(Into::into).collect());
        if words.is_empty() {
            return Err(ChangeError::NoArgument("VOLUME"));
        }
        for word in words {
            let folder: Folder = self.expand(&word)?.parse()?;
            self.execution.add_volume(&folder);
        }
        Ok(())
    }

    /// A relative folder is taken from the one before, as the shell's `cd` does.
    fn workdir(&mut self, rest: &str) -> Result<(), ChangeError> {
        let word = self.one("WORKDIR", rest)?;
        let from = if word.starts_with('/') {
            ""
        } else {
            self.execution.working_dir.as_deref().unwrap_or_default()
        };
        let mut parts = Vec::new();
        for part in from.split('/').chain(word.split('/')) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        self.execution.working_dir = Some(format!("/{}", parts.join("/")).into());
        Ok(())
    }

    fn on_build(&mut self, rest: &str) -> Result<(), ChangeError> {
        let rest = rest.trim_end();
        let name = rest.split_whitespace().next().ok_or(ChangeError::NoArgument("ONBUILD"))?;
        if ["ONBUILD", "FROM", "MAINTAINER"].iter().any(|forbidden| forbidden.eq_ignore_ascii_case(name)) {
            return Err(ChangeError::ForbiddenTrigger(name.into()));
        }
        self.execution.on_build.get_or_insert_default().push(rest.into());
        Ok(())
    }
}

/// Joins lines that end with a backslash; there must be one instruction only.
fn one_line(text: &str) -> Result<String, ChangeError> {
    let (mut joined, mut ended) = (String::new(), false);
    for line in text.trim_end().lines() {
        if ended {
            return Err(ChangeError::TwoInstructions(text.into()));
        }
        let start = line.trim_end().strip_suffix('\\');
        joined.push_str(start.unwrap_or(line));
        ended = start.is_none();
    }
    Ok(joined)
}

/// The exec form is a JSON array of strings; all else is the shell's. Nothing at all removes the command.
fn command(rest: &str) -> Result<Option<Vec<Box<str>>>, ChangeError> {
    Ok(match strings(rest)? {
        Some(words) => Some(words),
        None if rest.is_empty() => None,
        None => Some(SHELL.into_iter().chain([rest]).map(Into::into).collect()),
    })
}

/// The strings of a JSON array; `None` for what is no array.
fn strings(text: &str) -> Result<Option<Vec<Box<str>>>, ChangeError> {
    let Ok(Value::Array(items)) = json::value(text.as_bytes()) else { return Ok(None) };
    let strings = items.iter().map(|item| item.as_str().map(Into::into)).collect::<Option<_>>();
    strings.map(Some).ok_or_else(|| ChangeError::NotStrings(text.into()))
}
