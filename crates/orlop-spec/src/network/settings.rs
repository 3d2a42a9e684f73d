//! Why the text of a file of settings cannot be used.
//!
//! Invariant: no message repeats a value of an auth file; names of keys and hosts are all that it tells.

use crate::json::JsonError;

/// Why the text of a file of settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Not TOML, or a value of another kind than its key has.
    #[error("line {line}: {message}")]
    Toml {
        /// Where, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A value of another kind than its key has.
    #[error("`{key}` must be {kind}")]
    Shape {
        /// The key.
        key: Box<str>,
        /// What belongs there.
        kind: &'static str,
    },
    /// A key that no version of the format has.
    #[error("there is no key `{0}`")]
    UnknownKey(Box<str>),
    /// A key that must be there and is not.
    #[error("the key `{0}` is missing")]
    Missing(&'static str),
    /// An `auth` that is not `USER:PASSWORD` in base64.
    #[error("the `auth` of {0:?} is not a user and a password in base64")]
    BadAuth(Box<str>),
    /// A word that cannot be part of the name of a program.
    #[error("{0:?} cannot be the name of a credential helper")]
    BadHelper(Box<str>),
    /// A credential that a file of this kind cannot keep.
    #[error("{0}")]
    Unkept(&'static str),
    /// A prefix or a location that is not `HOST[:PORT][/NAME…]`.
    #[error("{0:?} is no place of a registry: it is HOST[:PORT], with a part of a name behind it or not")]
    BadLocation(Box<str>),
    /// A prefix with a tag or a digest, where only whole repositories can be told apart.
    #[error("the prefix {0:?} names one image; orlop can only obey prefixes of whole repositories")]
    PrefixOfImage(Box<str>),
    /// One place with two settings.
    #[error("{location:?} stands there more than once, and the entries differ in `{key}`")]
    Conflict {
        /// The place.
        location: Box<str>,
        /// What they differ in.
        key: &'static str,
    },
    /// Two entries for one prefix: which of them speaks would be a guess.
    #[error("the prefix {0:?} has more than one entry")]
    Twice(Box<str>),
    /// Two ways to say one thing.
    #[error("{0}")]
    Contradiction(&'static str),
    /// A word that is none of those that the key knows.
    #[error("{word:?} is none of the words that `{key}` knows")]
    UnknownWord {
        /// The key.
        key: &'static str,
        /// The word.
        word: Box<str>,
    },
    /// A header that belongs to the request itself.
    #[error("the header `{0}` is what each request says for itself")]
    OwnHeader(Box<str>),
    /// A header that cannot be sent.
    #[error("the header `{0}` cannot be sent: its name or its value is no text of a header")]
    BadHeader(Box<str>),
    /// A text that is no time.
    #[error("`{key}` must be a time such as 300ms, 1.5s or 1m30s, and is {text:?}")]
    BadDuration {
        /// The key.
        key: &'static str,
        /// What stands there.
        text: Box<str>,
    },
    /// A list that must not be empty.
    #[error("the list of requirements of {0} is empty")]
    NoRequirement(Box<str>),
}

/// Reads TOML into a type; what the type does not name is left alone.
pub(super) fn toml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, SettingsError> {
    toml::from_str(text).map_err(|error| SettingsError::Toml {
        line: 1 + error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count()),
        message: error.message().into(),
    })
}

/// TOML is UTF-8; what is not is said with the line where it begins to be something else.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, SettingsError> {
    str::from_utf8(bytes).map_err(|error| SettingsError::Toml {
        line: bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count(),
        message: "the text is not UTF-8".into(),
    })
}
