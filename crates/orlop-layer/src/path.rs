//! Paths inside a tree.
//!
//! Invariant: a [`TreePath`] is relative to the root, and holds no empty, `.` or `..` component and no NUL. It
//! may hold any other bytes: names are not text.

use std::borrow::{Borrow, Cow};
use std::fmt;

/// A path inside a tree; empty for the root.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Vec<u8>);

impl TreePath {
    /// The root itself.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// A path as tar members spell it: leading `/` and `./`, doubled and trailing slashes and `.` fall away;
    /// `..` is refused wherever it stands.
    pub fn parse(spelled: &[u8]) -> Result<Self, PathError> {
        let mut path = Vec::with_capacity(spelled.len());
        for component in spelled.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(PathError::Climbs(spelled.into())),
                name if name.contains(&0) => return Err(PathError::Nul(spelled.into())),
                name => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                }
            }
        }
        Ok(Self(path))
    }

    /// The bytes, components joined by `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components from the root on.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|component| !component.is_empty())
    }

    /// Parent and last component; `None` for the root.
    pub fn split(&self) -> Option<(Self, &[u8])> {
        if self.is_root() {
            return None;
        }
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => Some((Self(self.0[..slash].to_vec()), &self.0[slash + 1..])),
            None => Some((Self::root(), &self.0)),
        }
    }

    /// This path and one more component.
    ///
    /// # Panics
    /// When `name` is no single component: names of tree nodes always are.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        assert!(is_component(name), "a name of a tree node is one plain component");
        let mut path = self.0.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Self(path)
    }

    /// Whether `self` is `ancestor` or lies below it.
    pub fn starts_with(&self, ancestor: &Self) -> bool {
        ancestor.is_root()
            || self.0.strip_prefix(ancestor.0.as_slice()).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }
}

/// Whether `name` is one plain component of a path.
pub fn is_component(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

impl Borrow<[u8]> for TreePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { out.write_str("/") } else { out.write_str(&escape(&self.0)) }
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{self}`")
    }
}

/// Why bytes are no path inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A component is `..`.
    #[error("the path `{}` climbs out of the root by `..`", escape(.0))]
    Climbs(Box<[u8]>),
    /// A component holds a NUL byte.
    #[error("the path `{}` holds a NUL byte", escape(.0))]
    Nul(Box<[u8]>),
}

/// A name for eyes: what could move a terminal's cursor, and what is no UTF-8, stands as `\xNN`.
pub fn escape(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' || is_unsafe_to_print(character) {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    push_hex(&mut text, byte);
                }
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            push_hex(&mut text, *byte);
        }
    }
    text
}

/// A message for eyes, in which names were escaped already: as [`escape`], but backslashes stay.
pub fn printable(message: &str) -> Cow<'_, str> {
    if !message.contains(is_unsafe_to_print) {
        return Cow::Borrowed(message);
    }
    let parts = message.split_inclusive(is_unsafe_to_print).map(|part| {
        let safe = part.trim_end_matches(is_unsafe_to_print);
        format!("{safe}{}", escape(&part.as_bytes()[safe.len()..]))
    });
    Cow::Owned(parts.collect())
}

fn push_hex(text: &mut String, byte: u8) {
    use fmt::Write as _;
    write!(text, "\\x{byte:02x}").expect("a string takes everything");
}

/// Control characters, and marks that change the direction of text or cannot be seen.
fn is_unsafe_to_print(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_spelled_in_many_ways() {
        for spelled in ["a/b", "./a/b", "/a/b", "a//b/", "././a/./b/."] {
            assert_eq!(TreePath::parse(spelled.as_bytes()).expect("plain").as_bytes(), b"a/b", "{spelled}");
        }
        assert!(TreePath::parse(b"./").expect("the root").is_root());
        assert!(TreePath::parse(b"a/../b").is_err());
        assert!(TreePath::parse(b"a\0b").is_err());
    }

    #[test]
    fn ancestors_end_at_a_slash() {
        let path = |text: &str| TreePath::parse(text.as_bytes()).expect("plain");
        assert!(path("a/b").starts_with(&path("a")));
        assert!(path("a").starts_with(&path("")));
        assert!(!path("ab").starts_with(&path("a")));
        assert_eq!(
            path("a/b").split().map(|(parent, name)| (parent, name.to_vec())),
            Some((path("a"), b"b".to_vec()))
        );
    }

    #[test]
    fn l1_what_moves_a_cursor_is_escaped() {
        assert_eq!(escape(b"a\x1b]52;c;x\x07"), r"a\x1b]52;c;x\x07");
        assert_eq!(escape("\u{202e}é\u{9b}".as_bytes()), r"\xe2\x80\xaeé\xc2\x9b");
        assert_eq!(escape(b"\xff\\n"), r"\xff\x5cn");
    }

    #[test]
    fn l1_a_message_with_escaped_names_is_not_escaped_twice() {
        assert_eq!(printable(r"`\x1b` is gone"), r"`\x1b` is gone");
        assert_eq!(printable("a\x1b[0m\nb\u{202e}"), r"a\x1b[0m\x0ab\xe2\x80\xae");
    }
}
