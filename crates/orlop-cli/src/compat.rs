//! Personalities: other tools' command lines, chosen by the name of the program or by `orlop compat NAME`.
//!
//! Invariant: a personality keeps its original's options, names of files and exit codes; it calls the same verbs
//! as everybody.

pub mod sloci_image;
pub mod umoci;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Whose command line is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personality {
    /// Our own.
    Orlop,
    /// sloci-image 0.1.2.
    SlociImage,
    /// umoci 0.6.
    Umoci,
}

impl Personality {
    /// The personality that the first words ask for, and the words that are left for it.
    pub fn of(arguments: &[OsString]) -> (Self, &[OsString]) {
        let program = arguments.first().and_then(|program| Path::new(program).file_name());
        if let Some(personality) = program.and_then(Self::by_name) {
            return (personality, &arguments[1..]);
        }
        match arguments {
            [_, verb, name, rest @ ..] if verb.as_bytes() == b"compat" => match Self::by_name(name) {
                Some(personality) => (personality, rest),
                None => (Self::Orlop, arguments),
            },
            _ => (Self::Orlop, arguments),
        }
    }

    fn by_name(name: &OsStr) -> Option<Self> {
        match name.as_bytes() {
            b"sloci-image" => Some(Self::SlociImage),
            b"umoci" => Some(Self::Umoci),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_or_two_words_choose() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let cases: [(&[&str], Personality, usize); 7] = [
            (&["orlop", "ls"], Personality::Orlop, 2),
            (&["/usr/bin/sloci-image", "-t", "a", "b"], Personality::SlociImage, 3),
            (&["orlop", "compat", "sloci-image", "-V"], Personality::SlociImage, 1),
            (&["./umoci", "ls", "--layout", "a"], Personality::Umoci, 3),
            (&["orlop", "compat", "umoci"], Personality::Umoci, 0),
            (&["orlop", "compat", "other"], Personality::Orlop, 3),
            (&[], Personality::Orlop, 0),
        ];
        for (line, personality, left) in cases {
            let line = words(line);
            let (found, rest) = Personality::of(&line);
            assert_eq!((found, rest.len()), (personality, left), "{line:?}");
        }
    }
}
