//! Key files of GLib: the `config` of a repository, the `metadata` of a flatpak.
//!
//! ```text
//! # a comment                       kept
//! [core]                            a group; told twice, both are one
//! mode=archive                      a key and its value; the last of one name counts
//! Name[de]=Ablage                   a key for one language
//! branches=stable;beta\;2;          a list: `\s \n \t \r \\`, and `\;` between elements
//! ```
//!
//! Invariant: what is not touched is printed as it was read: order, comments, blank lines, escapes. Only carriage
//! returns at the ends of lines go away, and a last line gets its end.

use orlop_spec::{Diagnose, Kind};
use std::fmt;

/// The most bytes that a key file may have.
pub const MOST_BYTES: usize = 1 << 20;

/// What is wrong with a key file, or with a value in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// More bytes than anybody writes.
    #[error("a key file of {bytes} bytes exceeds the limit of {MOST_BYTES}")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// Bytes that are not UTF-8, or zeros.
    #[error("a key file is UTF-8 without zeros; byte {offset} is not")]
    NotText {
        /// The first of them.
        offset: usize,
    },
    /// A line that is neither group, pair nor comment.
    #[error("line {line} of the key file is no group, pair or comment")]
    NoLine {
        /// Counted from one.
        line: usize,
    },
    /// A pair before the first group.
    #[error("line {line} of the key file comes before any group")]
    NoGroup {
        /// Counted from one.
        line: usize,
    },
    /// A value that is not of the form that its key asks for.
    #[error("`{key}` in the group `{group}` is no {expected}")]
    BadValue {
        /// Where.
        group: Box<str>,
        /// Which.
        key: Box<str>,
        /// What it should be: `string`, `list`, `boolean` or `number`.
        expected: &'static str,
    },
}

impl Diagnose for KeyFileError {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLarge { .. } => Kind::Limit,
            _ => Kind::Integrity,
        }
    }
}

/// A key file: groups of keys with values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFile {
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    text: String,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Group(Box<str>),
    Pair { key: Box<str>, value: Box<str> },
    Nothing,
}

impl KeyFile {
    /// A file without groups.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// When it is too large, is no text, or has a line that means nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        if bytes.len() > MOST_BYTES {
            return Err(KeyFileError::TooLarge { bytes: bytes.len() });
        }
        let mut lines: Vec<Line> = Vec::new();
        let mut has_group = false;
        for (index, text) in text_of(bytes)?.lines().enumerate() {
            let line = index + 1;
            let what = What::parse(text).ok_or(KeyFileError::NoLine { line })?;
            has_group |= matches!(what, What::Group(_));
            if matches!(what, What::Pair { .. }) && !has_group {
                return Err(KeyFileError::NoGroup { line });
            }
            lines.push(Line { text: text.into(), what });
        }
        Ok(Self { lines })
    }

    /// The groups, each once, in order.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for line in &self.lines {
            if let What::Group(group) = &line.what
                && seen.insert(group)
            {
                groups.push(group);
            }
        }
        groups
    }

    /// Whether there is such a group.
    pub fn has_group(&self, group: &str) -> bool {
        self.lines.iter().any(|line| matches!(&line.what, What::Group(name) if **name == *group))
    }

    /// The keys of a group with their values as written, in order. A key that stands twice comes twice; the last counts.
    pub fn pairs<'a>(&'a self, group: &'a str) -> impl DoubleEndedIterator<Item = (&'a str, &'a str)> {
        self.positions(group).into_iter().filter_map(|at| self.lines[at].pair())
    }

    /// A value as it is written, escapes and all.
    pub fn raw(&self, group: &str, key: &str) -> Option<&str> {
        self.find(group, key).and_then(|at| self.lines[at].pair()).map(|(_, value)| value)
    }

    /// A value without its escapes.
    ///
    /// # Errors
    /// When an escape is unknown or cut off.
    pub fn string(&self, group: &str, key: &str) -> Result<Option<String>, KeyFileError> {
        self.typed(group, key, "string", |raw| {
            let mut parts = unescaped(raw, Separator::None)?;
            Some(parts.pop().unwrap_or_default())
        })
    }

    /// A list of values, each without its escapes.
    ///
    /// # Errors
    /// When an escape is unknown or cut off.
    pub fn strings(&self, group: &str, key: &str) -> Result<Option<Vec<String>>, KeyFileError> {
        self.typed(group, key, "list", |raw| unescaped(raw, Separator::Semicolon))
    }

    /// A value that is `true`, `1`, `false` or `0`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn boolean(&self, group: &str, key: &str) -> Result<Option<bool>, KeyFileError> {
        self.typed(group, key, "boolean", |raw| match raw.trim_ascii_end() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }

    /// A value that is a number, not negative.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self, group: &str, key: &str) -> Result<Option<u64>, KeyFileError> {
        self.typed(group, key, "number", |raw| raw.trim_ascii_end().parse().ok())
    }

    fn typed<T>(
        &self,
        group: &str,
        key: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, KeyFileError> {
        let bad = || KeyFileError::BadValue { group: group.into(), key: key.into(), expected };
        self.raw(group, key).map(|raw| parse(raw).ok_or_else(bad)).transpose()
    }

    /// Gives a key this value, in its old place or at the end of its group, which is made where it is not there.
    ///
    /// # Panics
    /// When the names of group or key are none: names come from the program, values from outside.
    pub fn set_string(&mut self, group: &str, key: &str, value: &str) {
        self.set(group, key, &escaped(value, Separator::None));
    }

    /// The same with a list.
    ///
    /// # Panics
    /// As [`KeyFile::set_string`].
    pub fn set_strings(&mut self, group: &str, key: &str, values: &[impl AsRef<str>]) {
        let elements = values.iter().map(|value| escaped(value.as_ref(), Separator::Semicolon) + ";");
        self.set(group, key, &elements.collect::<String>());
    }

    fn set(&mut self, group: &str, key: &str, value: &str) {
        assert!(is_group(group) && is_key(key), "a group and a key have names that can be read again");
        let pair = Line::new_pair(key, value);
        if let Some(at) = self.find(group, key) {
            self.lines[at] = pair;
        } else if let Some(at) = self.end_of(group) {
            self.lines.insert(at, pair);
        } else {
            let gap = (!self.lines.is_empty()).then(Line::blank);
            self.lines.extend(gap.into_iter().chain([Line::new_group(group), pair]));
        }
    }

    /// Removes a key, however often it stands there; whether it did.
    pub fn remove(&mut self, group: &str, key: &str) -> bool {
        let mut found = false;
        while let Some(at) = self.find(group, key) {
            self.lines.remove(at);
            found = true;
        }
        found
    }

    /// Removes a group with its keys and the comments between them; whether it was there.
    pub fn remove_group(&mut self, group: &str) -> bool {
        let before = self.lines.len();
        let mut inside = false;
        self.lines.retain(|line| {
            if let What::Group(name) = &line.what {
                inside = **name == *group;
            }
            !inside
        });
        before != self.lines.len()
    }

    /// Where the pairs of a group stand.
    fn positions(&self, group: &str) -> Vec<usize> {
        let mut inside = false;
        let mut found = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            match &line.what {
                What::Group(name) => inside = **name == *group,
                What::Pair { .. } if inside => found.push(at),
                _ => {}
            }
        }
        found
    }

    fn find(&self, group: &str, key: &str) -> Option<usize> {
        let is_it = |at: &usize| self.lines[*at].pair().is_some_and(|(name, _)| name == key);
        self.positions(group).into_iter().rev().find(is_it)
    }

    /// Where the next pair of a group goes: behind its last one, before the comments and blank lines that follow.
    fn end_of(&self, group: &str) -> Option<usize> {
        let is_header = |line: &Line| matches!(&line.what, What::Group(name) if **name == *group);
        let last = self.positions(group).pop();
        last.max(self.lines.iter().rposition(is_header)).map(|at| at + 1)
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{}", line.text))
    }
}

impl Line {
    fn new_pair(key: &str, value: &str) -> Self {
        let what = What::Pair { key: key.into(), value: value.into() };
        Self { text: format!("{key}={value}"), what }
    }

    fn new_group(group: &str) -> Self {
        Self { text: format!("[{group}]"), what: What::Group(group.into()) }
    }

    fn blank() -> Self {
        Self { text: String::new(), what: What::Nothing }
    }

    fn pair(&self) -> Option<(&str, &str)> {
        match &self.what {
            What::Pair { key, value } => Some((key, value)),
            _ => None,
        }
    }
}

impl What {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start_matches(is_blank);
        if text.is_empty() || text.starts_with('#') {
            return Some(Self::Nothing);
        }
        if let Some(group) = text.strip_prefix('[') {
            let (name, rest) = group.split_once(']')?;
            return (is_group(name) && rest.trim_matches([' ', '\t']).is_empty())
                .then(|| Self::Group(name.into()));
        }
        let (key, value) = text.split_once('=')?;
        let key = key.trim_end_matches(is_blank);
        let value = value.trim_start_matches(is_blank);
        is_key(key).then(|| Self::Pair { key: key.into(), value: value.into() })
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, KeyFileError> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| KeyFileError::NotText { offset: error.valid_up_to() })?;
    match text.find('\0') {
        Some(offset) => Err(KeyFileError::NotText { offset }),
        None => Ok(text),
    }
}

/// What GLib takes for blank: the space of C's locale, without the vertical tab that nobody writes.
fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace()
}

fn is_group(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '[' || c == ']' || c.is_ascii_control())
}

/// A name without blanks at its ends, and perhaps a language: `Name[de_AT@euro]`.
pub(super) fn is_key(key: &str) -> bool {
    let (name, language) = match key.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        Some((name, language)) => (name, Some(language)),
        None => (key, None),
    };
    let of_language = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    !name.is_empty()
        && name.trim() == name
        && !name.starts_with('#')
        && !name.contains(|c: char| matches!(c, '=' | '[' | ']') || c.is_ascii_control())
        && language.is_none_or(|language| !language.is_empty() && language.chars().all(of_language))
}

/// Whether a value is one string or a list of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    None,
    Semicolon,
}

/// The strings that a value means; `None` where an escape is unknown.
fn unescaped(raw: &str, separator: Separator) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => part.push(escape(chars.next()?, separator)?),
            ';' if separator == Separator::Semicolon => parts.push(std::mem::take(&mut part)),
            _ => part.push(c),
        }
    }
    // The separator behind the last element may be left out; without it an empty one could not be told.
    if !part.is_empty() {
        parts.push(part);
    }
    Some(parts)
}

fn escape(c: char, separator: Separator) -> Option<char> {
    match c {
        's' => Some(' '),
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        '\\' => Some('\\'),
        ';' if separator == Separator::Semicolon => Some(';'),
        _ => None,
    }
}

/// Blanks are escaped only where reading would take them away: at the beginning.
fn escaped(value: &str, separator: Separator) -> String {
    let mut text = String::with_capacity(value.len());
    let mut leading = true;
    for c in value.chars() {
        match c {
            ' ' if leading => text.push_str("\\s"),
            '\t' if leading => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\\' => text.push_str("\\\\"),
            ';' if separator == Separator::Semicolon => text.push_str("\\;"),
            _ => text.push(c),
        }
        leading &= c.is_ascii_whitespace();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPOSITORY: &str = "# of the machine\n[core]\nrepo_version=1\nmode = bare-user\n\n\
                              [remote \"origin\"]\nurl=https://example.com/repo\ngpg-verify=false\n\
                              branches=stable;beta\\;2;\nName[de_AT]=Quelle\n";

    fn parsed(text: &str) -> KeyFile {
        KeyFile::parse(text.as_bytes()).expect("a key file")
    }

    #[test]
    fn values_are_found_by_group_and_key() {
        let file = parsed(REPOSITORY);
        assert_eq!(file.groups(), ["core", "remote \"origin\""]);
        assert_eq!(file.string("core", "mode"), Ok(Some("bare-user".into())));
        assert_eq!(file.number("core", "repo_version"), Ok(Some(1)));
        assert_eq!(file.boolean("remote \"origin\"", "gpg-verify"), Ok(Some(false)));
        assert_eq!(
            file.strings("remote \"origin\"", "branches"),
            Ok(Some(vec!["stable".into(), "beta;2".into()]))
        );
        assert_eq!(file.raw("remote \"origin\"", "Name[de_AT]"), Some("Quelle"));
        assert_eq!(file.raw("core", "url"), None);
        assert_eq!(file.raw("nowhere", "mode"), None);
    }

    #[test]
    fn what_is_not_touched_is_printed_as_it_was() {
        assert_eq!(parsed(REPOSITORY).to_string(), REPOSITORY);
        assert_eq!(parsed("[a]\r\nb=c").to_string(), "[a]\nb=c\n");
    }

    #[test]
    fn a_new_key_goes_before_the_comments_that_follow_its_group() {
        let mut file = parsed(REPOSITORY);
        file.set_string("core", "collection-id", " org.example\\x");
        file.set_string("core", "mode", "archive");
        file.set_strings("new", "list", &["a;b", " c"]);
        let expected = REPOSITORY
            .replace("mode = bare-user\n", "mode=archive\ncollection-id=\\sorg.example\\\\x\n")
            + "\n[new]\nlist=a\\;b;\\sc;\n";
        assert_eq!(file.to_string(), expected);
        assert_eq!(parsed(&expected).string("core", "collection-id"), Ok(Some(" org.example\\x".into())));
    }

    #[test]
    fn groups_told_twice_are_one_and_the_last_value_counts() {
        let mut file = parsed("[a]\nk=1\n[b]\nk=2\n[a]\nk=3\nl=4\n");
        assert_eq!(file.groups(), ["a", "b"]);
        assert_eq!(file.raw("a", "k"), Some("3"));
        assert_eq!(file.pairs("a").count(), 3);
        assert!(file.remove("a", "k"));
        assert_eq!(file.to_string(), "[a]\n[b]\nk=2\n[a]\nl=4\n");
        assert!(file.remove_group("a"));
        assert_eq!(file.to_string(), "[b]\nk=2\n");
        assert!(!file.remove("a", "k") && !file.remove_group("a"));
    }

    #[test]
    fn a_group_without_keys_takes_one_behind_its_header() {
        let mut file = parsed("[a]\n# of a\n\n[b]\n");
        file.set_string("a", "k", "v");
        assert_eq!(file.to_string(), "[a]\nk=v\n# of a\n\n[b]\n");
    }

    #[test]
    fn lines_that_mean_nothing_are_refused_by_number() {
        let cases = [
            ("[a]\nno pair\n", KeyFileError::NoLine { line: 2 }),
            ("[a]\n=v\n", KeyFileError::NoLine { line: 2 }),
            ("[a\n", KeyFileError::NoLine { line: 1 }),
            ("[]\n", KeyFileError::NoLine { line: 1 }),
            ("[a] b\n", KeyFileError::NoLine { line: 1 }),
            ("[a]\nk[]=v\n", KeyFileError::NoLine { line: 2 }),
            ("\nk=v\n[a]\n", KeyFileError::NoGroup { line: 2 }),
            ("[a]\nk=\0\n", KeyFileError::NotText { offset: 6 }),
        ];
        for (text, expected) in cases {
            assert_eq!(KeyFile::parse(text.as_bytes()), Err(expected), "{text:?}");
        }
        assert_eq!(KeyFile::parse(b"[a]\n\xff"), Err(KeyFileError::NotText { offset: 4 }));
        let large = vec![b'\n'; MOST_BYTES + 1];
        assert_eq!(KeyFile::parse(&large), Err(KeyFileError::TooLarge { bytes: MOST_BYTES + 1 }));
    }

    #[test]
    fn values_of_another_form_are_refused_by_name() {
        let file = parsed("[a]\nend=\\\nodd=\\x\nlist=a\\;b\nyes=maybe\nless=-1\n");
        let bad = |key: &str, expected| {
            Some(KeyFileError::BadValue { group: "a".into(), key: key.into(), expected })
        };
        assert_eq!(file.string("a", "end").err(), bad("end", "string"));
        assert_eq!(file.string("a", "odd").err(), bad("odd", "string"));
        assert_eq!(file.string("a", "list").err(), bad("list", "string"));
        assert_eq!(file.boolean("a", "yes").err(), bad("yes", "boolean"));
        assert_eq!(file.number("a", "less").err(), bad("less", "number"));
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in "\\PC*|[ \t\n\r\\\\;a]*", others in prop::collection::vec("[ ;\\\\\n\ra-c]*", 0..4)) {
            let mut file = KeyFile::new();
            file.set_string("g", "k", &value);
            file.set_strings("g", "l", &others);
            let file = parsed(&file.to_string());
            prop_assert_eq!(file.string("g", "k"), Ok(Some(value)));
            prop_assert_eq!(file.strings("g", "l"), Ok(Some(others)));
        }

        #[test]
        fn any_text_is_refused_or_printed_the_same(text in "(\\[[a-c\\]]{0,3}\\]?|[a-c #]{0,3}=?[a-c\\\\;]{0,3}|\\PC{0,4})(\n(\\[[a-c]\\]|[a-c #]{0,3}=?[a-c]{0,2})){0,4}\n") {
            if let Ok(file) = KeyFile::parse(text.as_bytes()) {
                prop_assert_eq!(file.to_string(), text);
            }
        }
    }
}
