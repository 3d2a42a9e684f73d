//! A manifest out of its text.
//!
//! ```text
//! # comment
//! /set KEYWORD=VALUE …          until the next /set or /unset
//! NAME KEYWORD=VALUE …          in the folder that is open; opens a folder
//! ./PATH KEYWORD=VALUE …        from the root; opens nothing
//! ..                            leaves the folder
//! ```
//!
//! Invariant: nothing is held that is longer than the text allows for: lines, paths and what `/set` gives to many are bounded.

use super::facts::{Facts, Stamp, kind_of};
use super::vis;
use crate::umoci::error::{MtreeError, Wrong};
use orlop_layer::path::is_component;
use orlop_layer::{Time, TreePath};
use orlop_spec::{Limits, base64};
use std::io::{BufRead, Read as _};

/// Bytes of a line.
const LINE: usize = 16 << 20;
/// Bytes of all paths: a short text in a deep folder comes to long ones.
const PATHS: u64 = 1 << 30;

/// Every path with what is known of it, as the invariant of a manifest has them.
pub(super) fn read(text: &mut dyn BufRead, limits: &Limits) -> Result<Vec<(TreePath, Facts)>, MtreeError> {
    let mut reader =
        Reader { limits, set: Facts::default(), open: Vec::new(), entries: Vec::new(), paths: 0 };
    let mut number = 0;
    while let Some((first, line)) = next_line(text, &mut number)? {
        let wrong = |wrong| MtreeError::Line { line: first, wrong };
        if line.len() > LINE {
            return Err(wrong(Wrong::TooLong));
        }
        reader.line(&line, first).map_err(wrong)?;
        if reader.paths > PATHS {
            return Err(MtreeError::TooManyPaths(PATHS));
        }
    }
    reader.finish()
}

/// The next line with those that continue it, and the number of its first.
fn next_line(text: &mut dyn BufRead, number: &mut u64) -> Result<Option<(u64, Vec<u8>)>, MtreeError> {
    let mut line = Vec::new();
    let first = *number + 1;
    loop {
        let room = (LINE + 2).saturating_sub(line.len()) as u64;
        let read = (&mut *text).take(room).read_until(b'\n', &mut line).map_err(MtreeError::Unreadable)?;
        if read == 0 {
            return Ok(Some((first, line)).filter(|_| *number >= first));
        }
        *number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.len() > LINE || is_comment(&line) || !continues(&line) {
            return Ok(Some((first, line)));
        }
        line.pop();
    }
}

/// An odd number of backslashes at the end: two are one of a name.
fn continues(line: &[u8]) -> bool {
    line.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

fn is_comment(line: &[u8]) -> bool {
    line.trim_ascii_start().first() == Some(&b'#')
}

struct Reader<'a> {
    limits: &'a Limits,
    set: Facts,
    open: Vec<TreePath>,
    entries: Vec<(TreePath, Facts, u64)>,
    paths: u64,
}

impl Reader<'_> {
    fn line(&mut self, line: &[u8], number: u64) -> Result<(), Wrong> {
        if is_comment(line) {
            return Ok(());
        }
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        match words.next() {
            None => Ok(()),
            Some(b"/set") => words.try_for_each(|word| self.set_word(word)),
            Some(b"/unset") => {
                self.unset(&mut words);
                Ok(())
            }
            Some(command @ [b'/', ..]) => Err(Wrong::Command(command.into())),
            Some(b"..") => self.open.pop().map(drop).ok_or(Wrong::NothingToLeave),
            Some(name) => {
                let mut facts = self.set.clone();
                words.try_for_each(|word| take_word(&mut facts, word))?;
                self.entry(name, facts, number)
            }
        }
    }

    fn set_word(&mut self, word: &[u8]) -> Result<(), Wrong> {
        if word.starts_with(b"xattr.") || word.starts_with(b"link=") {
            return Err(Wrong::OfOne(word.into()));
        }
        take_word(&mut self.set, word)
    }

    fn unset(&mut self, words: &mut dyn Iterator<Item = &[u8]>) {
        let mut words = words.peekable();
        if words.peek().is_none() {
            self.set = Facts::default();
        }
        for word in words {
            match word {
                b"all" => self.set = Facts::default(),
                b"type" => self.set.kind = None,
                b"size" => self.set.size = None,
                b"uid" => self.set.uid = None,
                b"gid" => self.set.gid = None,
                b"mode" => self.set.mode = None,
                b"nlink" => self.set.links = None,
                b"time" | b"tar_time" => self.set.time = None,
                b"sha256" | b"sha256digest" => self.set.sha256 = None,
                _ => {}
            }
        }
    }

    fn entry(&mut self, name: &[u8], facts: Facts, number: u64) -> Result<(), Wrong> {
        if facts.xattrs.len() > self.limits.xattrs || self.entries.len() as u64 >= self.limits.entries {
            return Err(Wrong::TooMany);
        }
        let bytes = vis::decode(name).ok_or_else(|| Wrong::Escape(name.into()))?;
        let path = self.path(name, &bytes)?;
        if path.as_bytes().len() > self.limits.path {
            return Err(Wrong::TooLong);
        }
        if facts.is_folder() && !name.contains(&b'/') {
            if self.open.len() > self.limits.depth {
                return Err(Wrong::TooDeep);
            }
            self.open.push(path.clone());
        }
        self.paths += path.as_bytes().len() as u64 + 1;
        self.entries.push((path, facts, number));
        Ok(())
    }

    /// Slashes as they stand make a path; those that come out of escapes make no name.
    fn path(&self, name: &[u8], bytes: &[u8]) -> Result<TreePath, Wrong> {
        if name.contains(&b'/') {
            let path = TreePath::parse(bytes)?;
            let is_deep = path.components().count() > self.limits.depth;
            return if is_deep { Err(Wrong::TooDeep) } else { Ok(path) };
        }
        match self.open.last() {
            None if bytes == b"." => Ok(TreePath::root()),
            _ if !is_component(bytes) => Err(Wrong::Name(bytes.into())),
            None => Ok(TreePath::root().join(bytes)),
            Some(folder) => Ok(folder.join(bytes)),
        }
    }

    /// Puts the paths in order, and looks whether each lies in a folder.
    fn finish(mut self) -> Result<Vec<(TreePath, Facts)>, MtreeError> {
        self.entries.sort_by(|(one, ..), (other, ..)| one.components().cmp(other.components()));
        if !self.entries.first().is_some_and(|(path, facts, _)| path.is_root() && facts.is_folder()) {
            return Err(MtreeError::Rootless);
        }
        let mut folders: Vec<&TreePath> = Vec::new();
        for (at, (path, facts, line)) in self.entries.iter().enumerate() {
            let wrong = |wrong| MtreeError::Line { line: *line, wrong };
            if at > 0 && self.entries[at - 1].0 == *path {
                return Err(wrong(Wrong::Twice(path.to_string())));
            }
            while folders.last().is_some_and(|last| !path.starts_with(last)) {
                folders.pop();
            }
            let parent = path.split().map(|(parent, _)| parent);
            if parent.is_some_and(|parent| folders.last() != Some(&&parent)) {
                return Err(wrong(Wrong::NotInAFolder(path.to_string())));
            }
            if facts.is_folder() {
                folders.push(path);
            }
        }
        Ok(self.entries.into_iter().map(|(path, facts, _)| (path, facts)).collect())
    }
}

/// `KEYWORD=VALUE`, or a keyword alone that nobody knows here.
fn take_word(facts: &mut Facts, word: &[u8]) -> Result<(), Wrong> {
    let bad = || Wrong::Value(word.into());
    if let Some(xattr) = word.strip_prefix(b"xattr.") {
        let (name, value) = xattr_of(xattr).ok_or_else(bad)?;
        facts.xattrs.insert(name.into(), value.into());
        return Ok(());
    }
    let Some(equals) = word.iter().position(|byte| *byte == b'=') else { return Ok(()) };
    let (keyword, value) = (&word[..equals], &word[equals + 1..]);
    match keyword {
        b"type" => facts.kind = Some(kind_of(value).ok_or_else(bad)?),
        b"size" => facts.size = Some(number(value).ok_or_else(bad)?),
        b"uid" => facts.uid = Some(number(value).ok_or_else(bad)?),
        b"gid" => facts.gid = Some(number(value).ok_or_else(bad)?),
        b"nlink" => facts.links = Some(number(value).ok_or_else(bad)?),
        b"mode" => facts.mode = Some(mode(value).ok_or_else(bad)?),
        b"link" => facts.target = Some(vis::decode(value).ok_or_else(bad)?.into()),
        b"time" => facts.time = Some(Stamp::Exact(time(value).ok_or_else(bad)?)),
        b"tar_time" => facts.time = Some(Stamp::Seconds(time(value).ok_or_else(bad)?.seconds)),
        b"sha256" | b"sha256digest" => facts.sha256 = Some(sha256(value).ok_or_else(bad)?),
        _ => {}
    }
    Ok(())
}

/// Name and value; the name ends at the first `=` behind which base64 stands.
fn xattr_of(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let equals = text.iter().enumerate().filter(|(_, byte)| **byte == b'=');
    let split = equals.take(EQUALS).find_map(|(at, _)| {
        let value = std::str::from_utf8(&text[at + 1..]).ok().and_then(base64::decode)?;
        Some((&text[..at], value))
    });
    let (name, value) = split?;
    let name = vis::decode(name).filter(|name| !name.is_empty() && !name.contains(&0))?;
    Some((name, value))
}

/// How many `=` are looked at: Linux has no longer names.
const EQUALS: usize = 256;

/// Decimal digits and nothing else.
fn number<N: std::str::FromStr>(value: &[u8]) -> Option<N> {
    digits(value)?.parse().ok()
}

fn digits(value: &[u8]) -> Option<&str> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_number)
}

fn mode(value: &[u8]) -> Option<u16> {
    u16::from_str_radix(digits(value)?, 8).ok().filter(|mode| *mode <= 0o7777)
}

/// Seconds, and a fraction that counts forward also before 1970.
fn time(value: &[u8]) -> Option<Time> {
    let mut parts = value.splitn(2, |byte| *byte == b'.');
    let seconds = parts.next()?;
    let unsigned = seconds.strip_prefix(b"-").unwrap_or(seconds);
    digits(unsigned)?;
    let seconds = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    let nanoseconds = match parts.next() {
        None => 0,
        Some(fraction) => {
            let digits = digits(fraction).filter(|digits| digits.len() <= 9)?;
            format!("{digits:0<9}").parse().ok()?
        }
    };
    Some(Time { seconds, nanoseconds })
}

fn sha256(value: &[u8]) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if value.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(value.chunks(2)) {
        let is_hex = pair.iter().all(u8::is_ascii_hexdigit);
        let pair = std::str::from_utf8(pair).ok().filter(|_| is_hex)?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(hash)
}
