//! Words of a Dockerfile: quotes, escapes and variables, which are the shell's but for a few.
//!
//! ```text
//! 'as it is'   "with $VARIABLES, \" \$ and \\"   plain\ with\ escapes   $NAME ${NAME} ${NAME:-else} ${NAME:+then}
//! ```

use super::ChangeError;
use std::iter::Peekable;
use std::str::Chars;

/// Splits at white space outside of quotes. Quotes and escapes stay.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quote, mut escaped) = (None, None, false);
    for (at, character) in text.char_indices() {
        if quote.is_none() && !escaped && character.is_whitespace() {
            words.extend(start.take().map(|start: usize| &text[start..at]));
            continue;
        }
        start.get_or_insert(at);
        match (quote, character) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    words.extend(start.map(|start| &text[start..]));
    words
}

/// Takes quotes and escapes away and puts values in for variables.
pub(super) fn expand(word: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, ChangeError> {
    let mut words = Words { whole: word, rest: word.chars().peekable(), value, depth: 0 };
    words.until(None)
}

struct Words<'a> {
    whole: &'a str,
    rest: Peekable<Chars<'a>>,
    value: &'a dyn Fn(&str) -> Option<String>,
    /// Braces that are open.
    depth: u32,
}

/// Braces that may be open at once.
const DEEPEST: u32 = 64;

impl Words<'_> {
    /// Expands up to `end`, which is taken, or to the end of the word.
    fn until(&mut self, end: Option<char>) -> Result<String, ChangeError> {
        let mut out = String::new();
        while let Some(character) = self.rest.next() {
            match character {
                character if Some(character) == end => return Ok(out),
                '\'' => self.single_quoted(&mut out)?,
                '"' => self.double_quoted(&mut out)?,
                '$' => out.push_str(&self.variable()?),
                '\\' => out.extend(self.rest.next()),
                character => out.push(character),
            }
        }
        if end.is_some() { Err(ChangeError::OpenBrace(self.whole.into())) } else { Ok(out) }
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), ChangeError> {
        loop {
            match self.rest.next() {
                None => return Err(ChangeError::OpenQuote(self.whole.into())),
                Some('\'') => return Ok(()),
                Some(character) => out.push(character),
            }
        }
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), ChangeError> {
        loop {
            match self.rest.next() {
                None => return Err(ChangeError::OpenQuote(self.whole.into())),
                Some('"') => return Ok(()),
                Some('$') => out.push_str(&self.variable()?),
                Some('\\') => match self.rest.next() {
                    Some(special @ ('"' | '$' | '\\')) => out.push(special),
                    other => {
                        out.push('\\');
                        out.extend(other);
                    }
                },
                Some(character) => out.push(character),
            }
        }
    }

    /// What follows a dollar sign.
    fn variable(&mut self) -> Result<String, ChangeError> {
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(if name.is_empty() { "$".into() } else { (self.value)(&name).unwrap_or_default() });
        }
        let name = self.name();
        let value = (self.value)(&name).filter(|value| !value.is_empty());
        match (name.is_empty(), self.rest.next()) {
            (false, Some('}')) => Ok(value.unwrap_or_default()),
            (false, Some(':')) => {
                let modifier = self.rest.next();
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(ChangeError::BadVariable(self.whole.into()));
                }
                let word = self.until(Some('}'))?;
                self.depth -= 1;
                match (modifier, value) {
                    (Some('-'), value) => Ok(value.unwrap_or(word)),
                    (Some('+'), value) => Ok(value.map(|_| word).unwrap_or_default()),
                    _ => Err(ChangeError::BadVariable(self.whole.into())),
                }
            }
            (_, None) => Err(ChangeError::OpenBrace(self.whole.into())),
            _ => Err(ChangeError::BadVariable(self.whole.into())),
        }
    }

    /// A letter or underscore, then letters, digits and underscores.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(character) = self.rest.next_if(|character| {
            character.is_ascii_alphabetic()
                || *character == '_'
                || (!name.is_empty() && character.is_ascii_digit())
        }) {
            name.push(character);
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(word: &str) -> Option<String> {
        let value = |name: &str| match name {
            "a" => Some("x".to_owned()),
            "empty" => Some(String::new()),
            _ => None,
        };
        expand(word, &value).ok()
    }

    #[test]
    fn words_end_at_white_space_outside_of_quotes() {
        assert_eq!(
            split(r#"a=1 b="2 3" c='4 "5' d=6\ 7	e"#),
            ["a=1", "b=\"2 3\"", "c='4 \"5'", "d=6\\ 7", "e"]
        );
        assert_eq!(split("  "), [""; 0]);
        assert_eq!(split(r#"a="\" b"#), [r#"a="\" b"#]);
    }

    #[test]
    fn variables_are_replaced_but_in_single_quotes() {
        for (word, expected) in [
            ("$a", "x"),
            ("${a}b", "xb"),
            ("$ab", ""),
            ("\"$a\"", "x"),
            ("'$a'", "$a"),
            ("\\$a", "$a"),
            ("${none:-y$a}", "yx"),
            ("${empty:-y}", "y"),
            ("${a:-y}", "x"),
            ("${a:+y}", "y"),
            ("${none:+y}", ""),
            ("${none:-${a:+z}}", "z"),
            ("$", "$"),
            ("$$a", "$x"),
            ("$1", "$1"),
        ] {
            assert_eq!(said(word).as_deref(), Some(expected), "{word}");
        }
    }

    #[test]
    fn what_is_left_open_is_an_error() {
        for word in ["'", "\"", "\"\\\"", "${", "${a", "${a:", "${a:-", "${}", "${a:?}", "${a-b}", "${1}"] {
            assert_eq!(said(word), None, "{word}");
        }
    }

    #[test]
    fn braces_nest_but_not_for_ever() {
        let nested = |depth: usize| "${none:-".repeat(depth) + "x" + &"}".repeat(depth);
        assert_eq!(said(&nested(64)).as_deref(), Some("x"));
        assert_eq!(said(&nested(65)), None);
        assert_eq!(said(&nested(100_000)), None);
    }
}
