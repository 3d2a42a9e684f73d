//! Names of what flatpak installs.
//!
//! ```text
//! app/org.example.App/x86_64/stable
//! └┬┘ └──────┬──────┘ └──┬─┘ └──┬─┘
//! kind       id         arch   branch
//! ```
//!
//! Invariant: a [`Ref`] prints as it was parsed, and each of its parts is one of flatpak's own grammar.

use std::fmt;
use std::str::FromStr;

/// Bytes of the longest id that flatpak takes.
const LONGEST: usize = 255;

/// What an image is to flatpak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A program.
    App,
    /// What programs run on, or an extension.
    Runtime,
}

impl Kind {
    /// As it begins a ref.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Runtime => "runtime",
        }
    }

    /// The group of a `metadata` file that says the same.
    pub fn group(self) -> &'static str {
        match self {
            Self::App => "Application",
            Self::Runtime => "Runtime",
        }
    }
}

/// A ref of flatpak, whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref {
    /// Program or runtime.
    pub kind: Kind,
    /// For example `org.example.App`.
    pub id: Box<str>,
    /// As flatpak names machines.
    pub arch: Box<str>,
    /// For example `stable`.
    pub branch: Box<str>,
}

impl Ref {
    /// The same machine as images name it; `None` where flatpak has a name of its own and images have none.
    pub fn architecture(&self) -> Option<&str> {
        let pair = ARCHITECTURES.iter().find(|(arch, _)| *arch == &*self.arch);
        pair.map(|(_, architecture)| *architecture)
    }
}

/// What flatpak calls a machine, and what images call it.
const ARCHITECTURES: &[(&str, &str)] = &[
    ("x86_64", "amd64"),
    ("aarch64", "arm64"),
    ("i386", "386"),
    ("arm", "arm"),
    ("ppc64le", "ppc64le"),
    ("riscv64", "riscv64"),
    ("s390x", "s390x"),
    ("loongarch64", "loong64"),
];

/// A text that is no ref of flatpak.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no ref of flatpak, as app/ID/ARCH/BRANCH or runtime/ID/ARCH/BRANCH is")]
pub struct NotARef(pub Box<str>);

impl FromStr for Ref {
    type Err = NotARef;

    fn from_str(text: &str) -> Result<Self, NotARef> {
        parse(text).ok_or_else(|| NotARef(text.into()))
    }
}

fn parse(text: &str) -> Option<Ref> {
    let mut parts = text.split('/');
    let kind = match parts.next()? {
        "app" => Kind::App,
        "runtime" => Kind::Runtime,
        _ => return None,
    };
    let (id, arch, branch) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && is_id(id) && is_arch(arch) && is_branch(branch);
    is_whole.then(|| Ref { kind, id: id.into(), arch: arch.into(), branch: branch.into() })
}

/// Three elements or more, of which only the last may hold a minus.
fn is_id(text: &str) -> bool {
    let mut elements = text.split('.').rev();
    let is_element = |element: &str, also: &[u8]| {
        let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || also.contains(&byte);
        element.bytes().next().is_some_and(is_letter)
            && element.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
    };
    let is_last_good = elements.next().is_some_and(|last| is_element(last, b"-"));
    let before: Vec<&str> = elements.collect();
    text.len() <= LONGEST
        && is_last_good
        && before.len() >= 2
        && before.iter().all(|element| is_element(element, b""))
}

fn is_arch(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_branch(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.bytes().next().is_some_and(is_letter) && text.bytes().all(|byte| is_letter(byte) || byte == b'.')
}

impl fmt::Display for Ref {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}/{}", self.kind.as_str(), self.id, self.arch, self.branch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_prints_as_it_was_parsed() {
        for text in [
            "app/org.example.App/x86_64/stable",
            "runtime/org.test.Platform/aarch64/master",
            "runtime/org.test._1.Locale-x/arm/22.08-extra",
            "app/a.b.-c/i386/-1",
        ] {
            assert_eq!(text.parse::<Ref>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_flatpak_would_not_take_is_no_ref() {
        for text in [
            "",
            "app",
            "app/org.example.App/x86_64",
            "app/org.example.App/x86_64/stable/more",
            "apps/org.example.App/x86_64/stable",
            "app/example.App/x86_64/stable",
            "app/org..App/x86_64/stable",
            "app/org.ex-ample.App/x86_64/stable",
            "app/org.example.1App/x86_64/stable",
            "app/org.example.App/x86-64/stable",
            "app/org.example.App//stable",
            "app/org.example.App/x86_64/.hidden",
            "app/org.example.App/x86_64/a b",
            "app/org.example.../x86_64/..",
        ] {
            assert!(text.parse::<Ref>().is_err(), "{text}");
        }
        let long = format!("app/org.example.{}/x86_64/stable", "a".repeat(LONGEST));
        assert!(long.parse::<Ref>().is_err());
    }

    #[test]
    fn machines_have_the_names_of_images() {
        let architecture = |arch: &str| {
            let name: Ref = format!("app/a.b.c/{arch}/master").parse().expect("a ref");
            name.architecture().map(str::to_owned)
        };
        assert_eq!(architecture("x86_64").as_deref(), Some("amd64"));
        assert_eq!(architecture("aarch64").as_deref(), Some("arm64"));
        assert_eq!(architecture("vax"), None);
    }
}
