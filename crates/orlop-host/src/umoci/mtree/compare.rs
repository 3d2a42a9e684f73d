//! What differs between two manifests, as umoci sees it.

use super::Mtree;
use super::facts::{Facts, Keyword, Keywords, Stamp};
use orlop_layer::{TreePath, Xattrs};
use std::cmp::Ordering;
use std::fmt;

/// A path about which two manifests do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Where.
    pub path: TreePath,
    /// What.
    pub difference: Difference,
}

/// How they do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Only the first has it.
    Missing,
    /// Only the second has it.
    Extra,
    /// Keywords whose values differ, and both values, empty where there is none.
    Modified(Vec<(String, String, String)>),
}

/// Compares what is expected with what was found, by these keywords and by `type`; sorted by path.
pub fn compare(expected: &Mtree, found: &Mtree, keywords: &Keywords) -> Vec<Delta> {
    let mut deltas = Vec::new();
    let (mut left, mut right) = (expected.entries().iter().peekable(), found.entries().iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return deltas,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.components().cmp(other.components()),
        };
        let one = if order.is_le() { left.next() } else { None };
        let other = if order.is_ge() { right.next() } else { None };
        let (path, difference) = match (one, other) {
            (Some((path, one)), Some((_, other))) => {
                let values = differing(one, other, keywords);
                (path, Some(Difference::Modified(values)).filter(Difference::is_one))
            }
            (Some((path, _)), None) => (path, Some(Difference::Missing)),
            (None, Some((path, _))) => (path, Some(Difference::Extra)),
            (None, None) => return deltas,
        };
        deltas.extend(difference.map(|difference| Delta { path: path.clone(), difference }));
    }
}

impl Difference {
    fn is_one(&self) -> bool {
        !matches!(self, Self::Modified(values) if values.is_empty())
    }
}

/// Keyword, what was expected, and what was found.
fn differing(one: &Facts, other: &Facts, keywords: &Keywords) -> Vec<(String, String, String)> {
    let mut differing = Vec::new();
    for keyword in Keyword::ALL {
        let is_wanted = match keyword {
            Keyword::Type => true,
            Keyword::Time => keywords.contains(&keyword) || keywords.contains(&Keyword::ExactTime),
            _ => keywords.contains(&keyword),
        };
        if !is_wanted {
            continue;
        }
        match keyword {
            Keyword::Xattr => xattrs(&one.xattrs, &other.xattrs, one, other, &mut differing),
            Keyword::Time => times(one, other, &mut differing),
            _ => {
                let both = one.value(keyword).zip(other.value(keyword));
                if let Some((one, other)) = both.filter(|(one, other)| one != other) {
                    differing.push((keyword.name().into(), one, other));
                }
            }
        }
    }
    differing
}

/// Whole seconds are compared where one side knows no more. Nothing known differs from anything.
fn times(one: &Facts, other: &Facts, differing: &mut Vec<(String, String, String)>) {
    let is_same = match (one.time, other.time) {
        (Some(one), Some(other)) if one.name() != other.name() => one.seconds() == other.seconds(),
        (one, other) => one == other,
    };
    if !is_same {
        let text = |facts: &Facts| facts.time.map(Stamp::text).unwrap_or_default();
        differing.push((Keyword::Time.name().into(), text(one), text(other)));
    }
}

fn xattrs(
    one: &Xattrs,
    other: &Xattrs,
    first: &Facts,
    second: &Facts,
    differing: &mut Vec<(String, String, String)>,
) {
    if one == other {
        return;
    }
    // As they are written: names with `=` may have been read as others.
    let words = |facts: &Facts| -> Vec<(String, String)> { facts.xattr_words().collect() };
    let (first, second) = (words(first), words(second));
    let written = |words: &[(String, String)]| -> Vec<String> {
        let mut written: Vec<String> = words.iter().map(|(name, value)| format!("{name}={value}")).collect();
        written.sort_unstable();
        written
    };
    let (is_in_first, is_in_second) = (written(&first), written(&second));
    let value = |words: &[(String, String)], name: &str| {
        words.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    for (name, text) in &first {
        if is_in_second.binary_search(&format!("{name}={text}")).is_err() {
            differing.push((name.clone(), text.clone(), value(&second, name)));
        }
    }
    for (name, text) in &second {
        let is_new = first.iter().all(|(other, _)| other != name);
        if is_new && is_in_first.binary_search(&format!("{name}={text}")).is_err() {
            differing.push((name.clone(), String::new(), text.clone()));
        }
    }
}

impl fmt::Display for Delta {
    /// As umoci and gomtree print it: the first of several keywords.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = if self.path.is_root() { b"." } else { self.path.as_bytes() };
        quoted(root, out)?;
        match &self.difference {
            Difference::Missing => out.write_str(": missing path"),
            Difference::Extra => out.write_str(": unexpected path"),
            Difference::Modified(values) => values.iter().take(1).try_for_each(|(keyword, one, other)| {
                write!(out, ": keyword \"{keyword}\": expected {one}; got {other}")
            }),
        }
    }
}

/// A name as Go prints it with `%q`.
fn quoted(name: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str("\"")?;
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => write!(out, "\\{character}")?,
                '\x07' => out.write_str("\\a")?,
                '\x08' => out.write_str("\\b")?,
                '\x0c' => out.write_str("\\f")?,
                '\x0b' => out.write_str("\\v")?,
                '\n' | '\r' | '\t' => write!(out, "{}", character.escape_default())?,
                ' '..='~' => write!(out, "{character}")?,
                '\0'..='\x7f' => write!(out, "\\x{:02x}", u32::from(character))?,
                _ if is_unseen(character) => write!(out, "\\u{:04x}", u32::from(character))?,
                _ => write!(out, "{character}")?,
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    out.write_str("\"")
}

/// Blanks, controls, and marks that cannot be seen or turn the text around.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || character.is_whitespace()
        || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
