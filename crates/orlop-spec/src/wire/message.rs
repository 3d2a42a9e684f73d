//! Requests and the heads of answers, as far as the protocol needs them (RFC 9110).
//!
//! Invariant: no name or value of a header holds a control character, so none can end a line.

use super::Address;
use std::fmt;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Gives the body.
    Get,
    /// Gives only the head.
    Head,
    /// Begins something, for example an upload.
    Post,
    /// Puts a whole thing.
    Put,
    /// Adds to something.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As it goes over the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether asking twice does what asking once does (RFC 9110, section 9.2.2).
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One question, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Of whom, and of what.
    pub address: Address,
    /// What is said beside it.
    pub headers: Headers,
}

impl Request {
    /// A question without headers.
    pub fn new(method: Method, address: Address) -> Self {
        Self { method, address, headers: Headers::default() }
    }

    /// The same with one more header.
    ///
    /// # Panics
    /// When the value holds a control character: what comes from outside is checked where it is parsed.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let is_added = self.headers.add(name, value.as_ref());
        assert!(is_added, "values of headers were checked where they were parsed");
        self
    }
}

/// The beginning of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// From 100 to 599.
    pub status: u16,
    /// What is said beside it.
    pub headers: Headers,
}

impl Head {
    /// Whether the server did what was asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Names and values in the order of the message; names are compared without case.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Headers(Vec<(Box<str>, Box<str>)>);

impl Headers {
    /// No field.
    pub const NONE: Self = Self(Vec::new());

    /// Adds a field; false, and nothing added, where the name or the value could not go over the wire.
    #[must_use]
    pub fn add(&mut self, name: &str, value: &str) -> bool {
        let fits = !name.is_empty() && name.bytes().all(is_token) && !value.chars().any(char::is_control);
        if fits {
            self.0.push((name.into(), value.into()));
        }
        fits
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every value of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Removes a field wherever it stands.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(it, _)| !it.eq_ignore_ascii_case(name));
    }

    /// Every field in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n12_no_header_can_end_a_line() {
        let mut headers = Headers::default();
        assert!(!headers.add("Authorization", "Basic x\r\nHost: evil"));
        assert!(!headers.add("X:Y", "1"));
        assert!(headers.add("Accept", "a/b"));
        assert_eq!(headers.get("accept"), Some("a/b"));
        assert_eq!(headers.iter().count(), 1);
    }
}
