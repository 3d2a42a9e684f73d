//! Patterns that leave paths out of a scan.
//!
//! ```text
//! ?      any one byte but `/`            [a-z]  one byte of a set; [!a-z] one that is not in it
//! *      any bytes but `/`               \x     the byte x itself
//! **     any bytes, `/` too; `a/**/b` matches `a/b` as well
//! ```
//!
//! A pattern without `/` is held against each name, at any depth. One with a `/` is held against the whole
//! path from the root; a `/` at its beginning only says so. What matches is left out with everything beneath.

/// A pattern, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<Part>,
    reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Names,
    Paths,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Byte(u8),
    AnyByte,
    Set {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
    /// `*`
    Run,
    /// `**`
    DeepRun,
    /// `**/`: nothing, or anything that ends in `/`.
    DeepFolders,
}

/// Why a pattern is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// Nothing can match it.
    #[error("the pattern is empty")]
    Empty,
    /// `[` without `]`.
    #[error("a `[` of the pattern has no `]`")]
    OpenSet,
    /// `\` at the end.
    #[error("the pattern ends in a `\\`")]
    LoneEscape,
}

impl Glob {
    /// Reads a pattern.
    pub fn parse(text: &[u8]) -> Result<Self, GlobError> {
        let anchored = text.strip_prefix(b"/");
        let body = anchored.unwrap_or(text);
        let body = body.strip_suffix(b"/").unwrap_or(body);
        if body.is_empty() {
            return Err(GlobError::Empty);
        }
        let reach = if anchored.is_some() || body.contains(&b'/') { Reach::Paths } else { Reach::Names };
        Ok(Self { parts: parse(body)?, reach })
    }

    /// Whether the pattern matches a path from the root, or its last name.
    pub fn matches(&self, path: &[u8]) -> bool {
        let subject = match self.reach {
            Reach::Paths => path,
            Reach::Names => path.rsplit(|byte| *byte == b'/').next().unwrap_or(path),
        };
        matches(&self.parts, subject)
    }
}

fn parse(mut text: &[u8]) -> Result<Vec<Part>, GlobError> {
    let mut parts = Vec::new();
    while let Some((first, rest)) = text.split_first() {
        text = rest;
        parts.push(match first {
            b'?' => Part::AnyByte,
            b'*' if rest.starts_with(b"*/") => {
                text = &rest[2..];
                Part::DeepFolders
            }
            b'*' if rest.starts_with(b"*") => {
                text = &rest[1..];
                Part::DeepRun
            }
            b'*' => Part::Run,
            b'[' => parse_set(&mut text)?,
            b'\\' => {
                let (byte, rest) = rest.split_first().ok_or(GlobError::LoneEscape)?;
                text = rest;
                Part::Byte(*byte)
            }
            byte => Part::Byte(*byte),
        });
    }
    Ok(parts)
}

/// A `]` that comes first, and a `-` that comes first or last, stand for themselves.
fn parse_set(text: &mut &[u8]) -> Result<Part, GlobError> {
    let negated = matches!(text.first(), Some(b'!' | b'^'));
    let body = if negated { &text[1..] } else { *text };
    let close = body.iter().skip(1).position(|byte| *byte == b']').ok_or(GlobError::OpenSet)? + 1;
    let (mut set, rest) = (&body[..close], &body[close + 1..]);
    *text = rest;
    let mut ranges = Vec::new();
    while let Some((first, rest)) = set.split_first() {
        match rest {
            [b'-', last, rest @ ..] => {
                ranges.push((*first, *last));
                set = rest;
            }
            rest => {
                ranges.push((*first, *first));
                set = rest;
            }
        }
    }
    Ok(Part::Set { negated, ranges })
}

/// From the last part to the first: at which positions of the subject the rest of the pattern fits its rest.
/// Time is parts × bytes, whatever the pattern.
fn matches(parts: &[Part], subject: &[u8]) -> bool {
    let mut fits = vec![false; subject.len() + 1];
    fits[subject.len()] = true;
    for part in parts.iter().rev() {
        let mut here = vec![false; subject.len() + 1];
        for at in (0..=subject.len()).rev() {
            here[at] = part.fits(subject, at, &fits, &here);
        }
        fits = here;
    }
    fits[0]
}

impl Part {
    /// Whether this part and what follows it fit from `at` on; `after` says it of what follows alone, and
    /// `here` of this part at later positions.
    fn fits(&self, subject: &[u8], at: usize, after: &[bool], here: &[bool]) -> bool {
        let next = subject.get(at);
        let in_name = next.is_some_and(|byte| *byte != b'/');
        match self {
            Self::Byte(wanted) => next == Some(wanted) && after[at + 1],
            Self::AnyByte => in_name && after[at + 1],
            Self::Set { negated, ranges } => {
                let inside = |byte| ranges.iter().any(|(first, last)| (first..=last).contains(&byte));
                in_name && next.is_some_and(|byte| inside(byte) != *negated) && after[at + 1]
            }
            Self::Run => after[at] || in_name && here[at + 1],
            Self::DeepRun => after[at] || next.is_some() && here[at + 1],
            Self::DeepFolders => {
                let begins_name = at == 0 || subject[at - 1] == b'/';
                begins_name && after[at] || next.is_some() && here[at + 1]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_the_table_says() {
        for (pattern, yes, no) in [
            ("*.o", &["a.o", "x/y/a.o"][..], &["a.ob", "a.o/b"][..]),
            ("/tmp", &["tmp"], &["var/tmp", "tmp/x"]),
            ("var/*", &["var/a"], &["var/a/b", "x/var/a"]),
            ("var/**", &["var/a", "var/a/b"], &["var", "x/var/a"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["a/xb", "ab", "xa/b"]),
            ("**/b", &["b", "x/b", "x/y/b"], &["xb", "x/yb"]),
            ("?[a-c]]", &["xb]"], &["/b]", "xd]"]),
            ("[!a]", &["b"], &["a", "ab"]),
            ("[]-]", &["]", "-"], &["a"]),
            (r"\*x", &["*x"], &["ax"]),
            ("dir/", &["dir", "a/dir"], &["dirs"]),
            ("*", &["a", "a/b"], &[]),
        ] {
            let glob = Glob::parse(pattern.as_bytes()).expect(pattern);
            for path in yes {
                assert!(glob.matches(path.as_bytes()), "{pattern} should match {path}");
            }
            for path in no {
                assert!(!glob.matches(path.as_bytes()), "{pattern} should not match {path}");
            }
        }
    }

    #[test]
    fn broken_patterns_are_named() {
        assert_eq!(Glob::parse(b""), Err(GlobError::Empty));
        assert_eq!(Glob::parse(b"/"), Err(GlobError::Empty));
        assert_eq!(Glob::parse(b"[a"), Err(GlobError::OpenSet));
        assert_eq!(Glob::parse(b"a\\"), Err(GlobError::LoneEscape));
    }

    #[test]
    fn no_pattern_takes_long() {
        let glob = Glob::parse("*a".repeat(200).as_bytes()).expect("a pattern");
        assert!(!glob.matches("a".repeat(150).as_bytes()));
    }
}
