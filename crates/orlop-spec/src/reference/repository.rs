//! Repositories of registries (distribution-spec, "Pulling manifests"; short names as docker reads them).

use super::ReferenceError;
use std::fmt;

/// A host and the name of a repository on it, both as they go over the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    host: Box<str>,
    name: Box<str>,
}

/// The host that a name without one means.
const DEFAULT_HOST: &str = "docker.io";
/// The folder that a name of one part means on the default host.
const DEFAULT_FOLDER: &str = "library";
/// distribution-spec: many clients limit host and name together to 255 characters.
const LONGEST: usize = 255;

impl Repository {
    /// Parses `[HOST[:PORT]/]NAME`. The first part is a host if it holds a dot or a colon, or is `localhost`;
    /// else the host is Docker's.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let bad = || ReferenceError::BadRepository(text.into());
        let (host, name) = match text.split_once('/') {
            Some((first, rest)) if is_host_like(first) => (first, rest.to_owned()),
            Some(_) => (DEFAULT_HOST, text.to_owned()),
            None => (DEFAULT_HOST, format!("{DEFAULT_FOLDER}/{text}")),
        };
        let (host, name) = match host {
            "docker.io" | "index.docker.io" if !name.contains('/') => {
                (DEFAULT_HOST, format!("{DEFAULT_FOLDER}/{name}"))
            }
            "index.docker.io" => (DEFAULT_HOST, name),
            host => (host, name),
        };
        let short = host.len() + name.len() < LONGEST;
        if !(short && is_host(host) && name.split('/').all(is_component)) {
            return Err(bad());
        }
        Ok(Self { host: host.into(), name: name.into() })
    }

    /// Host, and port where one is given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Name of the repository on its host.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.host, self.name)
    }
}

/// distribution-spec: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn is_host_like(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn is_host(host: &str) -> bool {
    let (domain, port) = match host.rsplit_once(':') {
        Some((domain, port)) if !port.ends_with(']') => (domain, Some(port)),
        _ => (host, None),
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit()))
        && (is_bracketed(domain) || domain.split('.').all(is_label))
}

fn is_bracketed(domain: &str) -> bool {
    let inside = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.is_some_and(|address| address.parse::<core::net::Ipv6Addr>().is_ok())
}

fn is_label(label: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    edge(label.bytes().next())
        && edge(label.bytes().next_back())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// distribution-spec: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
pub(crate) fn is_component(part: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators = part.split(|character: char| character.is_ascii() && letter(character as u8));
    part.bytes().next().is_some_and(letter)
        && part.bytes().next_back().is_some_and(letter)
        && separators
            .filter(|run| !run.is_empty())
            .all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_mean_dockers_registry() {
        for (text, full) in [
            ("busybox", "docker.io/library/busybox"),
            ("me/app", "docker.io/me/app"),
            ("docker.io/busybox", "docker.io/library/busybox"),
            ("index.docker.io/me/app", "docker.io/me/app"),
            ("localhost/app", "localhost/app"),
            ("host:5000/a/b__c/d--e", "host:5000/a/b__c/d--e"),
            ("[::1]:5000/app", "[::1]:5000/app"),
        ] {
            let repository = Repository::parse(text).expect(text);
            assert_eq!(repository.to_string(), full);
            assert_eq!(Repository::parse(full), Ok(repository));
        }
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for text in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "host.example/A",
            "a_.b/c",
            "a___b",
            "-a",
            "a-",
            "host:99999/a",
            "host:+1/a",
            "[::1/a",
            "[zz]:1/a",
            ".example/a",
            "a..b",
            "caf\u{e9}",
        ] {
            assert!(Repository::parse(text).is_err(), "{text}");
        }
        assert!(Repository::parse(&"a".repeat(300)).is_err());
    }

    #[test]
    fn item_101_tags_have_at_most_128_characters() {
        assert!(is_tag(&"a".repeat(128)));
        assert!(!is_tag(&"a".repeat(129)));
        for bad in ["", ".a", "-a", "a/b", "a:b", "a b"] {
            assert!(!is_tag(bad), "{bad}");
        }
    }
}
