//! Names of App Containers (appc specification 0.8.11, `types.md`).
//!
//! ```text
//! identifier   a-z 0-9, singly joined by - . _ ~ /    names of images, labels, annotations, isolators
//! name         a-z 0-9, singly joined by -            names of ports and mount points
//! ```
//!
//! Invariant: what [`Grammar::make`] makes is a name, and depends on the text alone.

/// Which of the two grammars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// An identifier.
    Identifier,
    /// A name.
    Name,
}

impl Grammar {
    /// What it is called.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Identifier => "an AC identifier",
            Self::Name => "an AC name",
        }
    }

    /// What it may hold.
    pub fn alphabet(self) -> &'static str {
        match self {
            Self::Identifier => "a-z, 0-9, and singly between them - . _ ~ /",
            Self::Name => "a-z, 0-9, and singly between them -",
        }
    }

    fn joins(self, byte: u8) -> bool {
        byte == b'-' || self == Self::Identifier && b"._~/".contains(&byte)
    }

    /// Whether the text is one.
    pub fn takes(self, text: &str) -> bool {
        let is_joined_twice =
            text.as_bytes().windows(2).any(|pair| pair.iter().all(|byte| self.joins(*byte)));
        self.takes_loosely(text) && !is_joined_twice
    }

    /// Whether the tools of App Containers take the text as one: they let several joints stand together.
    pub fn takes_loosely(self, text: &str) -> bool {
        let ends = text.bytes().next().into_iter().chain(text.bytes().next_back());
        !text.is_empty()
            && ends.into_iter().all(is_plain)
            && text.bytes().all(|byte| is_plain(byte) || self.joins(byte))
    }

    /// The text as one: capitals become small, runs of anything else one joint, at the ends none. Nothing where no
    /// letter and no digit is left.
    pub fn make(self, text: &str) -> Option<Box<str>> {
        let stand_in = if self == Self::Identifier { '_' } else { '-' };
        let mut made = String::with_capacity(text.len());
        let mut joint = None;
        for character in text.chars().map(|it| it.to_ascii_lowercase()) {
            match u8::try_from(character) {
                Ok(byte) if is_plain(byte) => {
                    made.extend(joint.take().filter(|_| !made.is_empty()));
                    made.push(character);
                }
                Ok(byte) if self.joins(byte) => joint = joint.or(Some(character)),
                _ => joint = joint.or(Some(stand_in)),
            }
        }
        (!made.is_empty()).then(|| made.into())
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_what_the_specification_says() {
        for good in ["a", "9", "example.com/app", "a_b~c", "a-b.c/d"] {
            assert!(Grammar::Identifier.takes(good), "{good}");
        }
        for bad in ["", "A", ".a", "a.", "a/", "/a", "a b", "é", "a:b", "a--b", "a//b", "a.-b"] {
            assert!(!Grammar::Identifier.takes(bad), "{bad}");
        }
        assert!(Grammar::Identifier.takes_loosely("a--b") && !Grammar::Identifier.takes_loosely("a."));
        for (text, is_name) in
            [("a-b", true), ("9", true), ("a.b", false), ("a--b", false), ("-a", false), ("", false)]
        {
            assert_eq!(Grammar::Name.takes(text), is_name, "{text}");
        }
    }

    #[test]
    fn a_name_is_made_of_most_texts() {
        let made = |grammar: Grammar, text| grammar.make(text);
        assert_eq!(
            made(Grammar::Identifier, "Registry.io:5000/App").as_deref(),
            Some("registry.io_5000/app")
        );
        assert_eq!(made(Grammar::Name, "80/tcp").as_deref(), Some("80-tcp"));
        assert_eq!(made(Grammar::Name, "volume//var/lib").as_deref(), Some("volume-var-lib"));
        assert_eq!(made(Grammar::Name, "//"), None);
    }

    proptest! {
        #[test]
        fn what_is_made_is_a_name_and_a_name_stays(text in "\\PC{0,40}") {
            for grammar in [Grammar::Identifier, Grammar::Name] {
                if let Some(made) = grammar.make(&text) {
                    prop_assert!(grammar.takes(&made), "{made:?}");
                    prop_assert_eq!(grammar.make(&made), Some(made));
                }
                if grammar.takes(&text) {
                    prop_assert_eq!(grammar.make(&text), Some(text.clone().into()));
                }
            }
        }
    }
}
