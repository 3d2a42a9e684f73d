//! Names of commits: refs, and what stands for one on a command line.
//!
//! ```text
//! flathub:app/org.example.App/x86_64/stable
//! └──┬──┘ └┬┘ └─────┬───────┘              fragment = (letter | digit | `_`) (letter | digit | `_` | `-` | `.`)*
//!  remote  fragment fragment               a remote is one fragment
//! ```
//!
//! A local ref is the file `refs/heads/NAME`, one of a remote `refs/remotes/REMOTE/NAME`; so a name cannot be the folder of
//! another one.
//!
//! Invariant: a [`RefName`] is a path beneath its folder: no fragment is empty, `.` or `..`, or too long for a file.

use orlop_spec::{Diagnose, Kind};
use std::fmt;
use std::str::FromStr;

/// The most bytes of a fragment: it is the name of a file.
const LONGEST: usize = 255;

/// The most bytes of a name, with room for the folders that it is in.
const LONGEST_NAME: usize = 3072;

/// What is wrong with the name of a commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefError {
    /// It does not follow the grammar.
    #[error("`{}` is no name of a ref", orlop_layer::path::printable(.text))]
    BadName {
        /// What was given.
        text: Box<str>,
    },
    /// What stands before the colon is no name of a remote.
    #[error("`{}` is no name of a remote", orlop_layer::path::printable(.text))]
    BadRemote {
        /// What was given.
        text: Box<str>,
    },
    /// A file could not have the name.
    #[error("the ref `{}…` is longer than a file's name may be", orlop_layer::path::printable(.begin))]
    TooLong {
        /// Its first letters.
        begin: Box<str>,
    },
}

impl Diagnose for RefError {
    fn kind(&self) -> Kind {
        Kind::Usage
    }

    fn hint(&self) -> Option<String> {
        let of_name = "parts between slashes begin with a letter, a digit or _, and hold those, - and .";
        match self {
            Self::BadName { .. } => Some(of_name.into()),
            Self::BadRemote { .. } => Some("a remote's name is one such part, as in origin:os/stable".into()),
            Self::TooLong { .. } => None,
        }
    }
}

/// The name of a ref, without a remote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(Box<str>);

impl RefName {
    /// The name as text; also its path beneath the folder of its kind.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between slashes.
    pub fn fragments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// What follows a folder of names; `None` for the folder itself, and for names elsewhere.
    pub fn beneath(&self, folder: &str) -> Option<&str> {
        self.0.strip_prefix(folder)?.strip_prefix('/')
    }

    /// Whether it reads as the id of a commit, and so could not be told from one.
    pub fn is_like_commit(&self) -> bool {
        self.0.len() == 64 && self.0.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl FromStr for RefName {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        if !text.split('/').all(is_fragment) {
            return Err(RefError::BadName { text: text.into() });
        }
        if text.len() > LONGEST_NAME || text.split('/').any(|fragment| fragment.len() > LONGEST) {
            return Err(RefError::TooLong { begin: text.chars().take(40).collect() });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A ref, perhaps of a remote: `REMOTE:NAME` or `NAME`. Local ones sort first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefSpec {
    /// The remote that it was fetched from.
    pub remote: Option<Box<str>>,
    /// Its name there.
    pub name: RefName,
}

impl RefSpec {
    /// A ref of no remote.
    pub fn local(name: RefName) -> Self {
        Self { remote: None, name }
    }

    /// Whether one of the two would have to be a folder that holds the other.
    pub fn clashes(&self, other: &Self) -> bool {
        let (a, b) = (self.name.as_str(), other.name.as_str());
        self.remote == other.remote && (self.name.beneath(b).is_some() || other.name.beneath(a).is_some())
    }
}

impl FromStr for RefSpec {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let Some((remote, name)) = text.split_once(':') else { return Ok(Self::local(text.parse()?)) };
        if !is_remote(remote) {
            return Err(RefError::BadRemote { text: remote.into() });
        }
        Ok(Self { remote: Some(remote.into()), name: name.parse()? })
    }
}

impl From<RefName> for RefSpec {
    fn from(name: RefName) -> Self {
        Self::local(name)
    }
}

impl fmt::Display for RefSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remote {
            Some(remote) => write!(f, "{remote}:{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

/// Whether a remote can have this name.
pub fn is_remote(text: &str) -> bool {
    is_fragment(text) && text.len() <= LONGEST
}

fn is_fragment(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_word) && chars.all(|c| is_word(c) || c == '-' || c == '.')
}

/// A letter or digit of any script, or `_`. libostree asks its library of patterns, whose versions disagree over the marks
/// that change letters: those that are part of an alphabet are accepted here. Letters within circles and squares are
/// pictures of letters everywhere.
fn is_word(c: char) -> bool {
    let is_picture = matches!(c, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}');
    c == '_' || (c.is_alphanumeric() && !is_picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_follow_the_grammar() {
        let longest = "a".repeat(LONGEST);
        for name in ["a", "a/b", "á/b", "_", "1", "٣", "²", "ⅳ", "ああ", "a..b", "a.lock", "a/b.", &longest]
        {
            assert!(name.parse::<RefName>().is_ok(), "{name}");
            assert_eq!(name.parse::<RefSpec>().map(|spec| spec.to_string()), Ok(name.into()));
        }
        for name in [
            "", "a@b", "a+b", "a b", ".x", "-x", "a//b", "a/", "/a", "a/.b", "..", "a/../b", "a\n", "Ⓐ",
            "a\0",
        ] {
            assert_eq!(name.parse::<RefName>(), Err(RefError::BadName { text: name.into() }));
        }
        let long = longest + "a";
        assert!(matches!(long.parse::<RefName>(), Err(RefError::TooLong { .. })));
        assert!(matches!(
            "a/".repeat(2000).trim_end_matches('/').parse::<RefName>(),
            Err(RefError::TooLong { .. })
        ));
    }

    #[test]
    fn a_remote_is_one_fragment_before_the_first_colon() {
        let spec = "origin:os/stable".parse::<RefSpec>().expect("a ref of a remote");
        assert_eq!((spec.remote.as_deref(), spec.name.as_str()), (Some("origin"), "os/stable"));
        for text in [":b", "r/x:b", "-r:b"] {
            assert!(matches!(text.parse::<RefSpec>(), Err(RefError::BadRemote { .. })), "{text}");
        }
        for text in ["r:", "r::b", "r:a:b"] {
            assert!(matches!(text.parse::<RefSpec>(), Err(RefError::BadName { .. })), "{text}");
        }
    }

    #[test]
    fn a_ref_clashes_with_those_that_need_it_as_a_folder() {
        let spec = |text: &str| text.parse::<RefSpec>().expect("a ref");
        assert!(spec("a").clashes(&spec("a/b")) && spec("a/b/c").clashes(&spec("a")));
        for (a, b) in [("a", "a"), ("a", "ab"), ("a/b", "a/c"), ("a", "r:a/b"), ("r:a", "s:a/b")] {
            assert!(!spec(a).clashes(&spec(b)), "{a} {b}");
        }
        assert!(spec("r:a").clashes(&spec("r:a/b")));
    }

    #[test]
    fn ids_of_commits_are_told_from_names() {
        let name = |text: String| text.parse::<RefName>().expect("a name");
        assert!(name("0a".repeat(32)).is_like_commit());
        assert!(!name("0A".repeat(32)).is_like_commit() && !name("0a".repeat(31)).is_like_commit());
    }

    proptest! {
        #[test]
        fn a_name_is_a_path_that_stays_beneath(text in "([a_.-]|/|\\PC){0,12}") {
            if let Ok(name) = text.parse::<RefName>() {
                prop_assert_eq!(name.to_string(), text);
                prop_assert!(name.fragments().all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }
}
