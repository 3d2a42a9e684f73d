//! One Rust file, as text and as bare code.
//!
//! Invariant: `code` has the bytes of `text` at the same places, with the inside of every comment and literal
//! blanked; lines stay lines.

use std::path::PathBuf;

pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) code: String,
}

/// A function and the lines that it spans, from its `fn` to its closing brace.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        let code = Blanker::new(&text).run();
        Self { path, text, code }
    }

    /// Every function with a body, inner ones too.
    pub(super) fn functions(&self) -> Vec<Function> {
        words(&self.code).filter(|(_, word)| *word == "fn").filter_map(|(at, _)| self.function(at)).collect()
    }

    fn function(&self, at: usize) -> Option<Function> {
        let (_, name) = words(&self.code[at + 2..]).next()?;
        let end = body_end(&self.code[at..])?;
        let line = 1 + self.code[..at].matches('\n').count();
        let lines = 1 + self.code[at..at + end].matches('\n').count();
        Some(Function { name: name.to_owned(), line, lines })
    }
}

/// The words of some code with their places.
pub(super) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = code.as_ptr() as usize;
    code.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - start, word))
}

/// The place behind the body of the function that `code` begins with; none where it has no body, as in a trait
/// or a function pointer's type.
fn body_end(code: &str) -> Option<usize> {
    let mut braces = 0;
    let mut brackets = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            '{' => braces += 1,
            '}' if braces <= 1 => return (braces == 1).then_some(at + 1),
            '}' => braces -= 1,
            ';' | ',' if braces == 0 && brackets == 0 => return None,
            _ => {}
        }
        if brackets < 0 {
            return None;
        }
    }
    None
}

/// Blanks comments and literals, one at a time.
struct Blanker<'a> {
    left: &'a str,
    code: String,
}

impl<'a> Blanker<'a> {
    fn new(text: &'a str) -> Self {
        Self { left: text, code: String::with_capacity(text.len()) }
    }

    fn run(mut self) -> String {
        while let Some(first) = self.left.chars().next() {
            match self.literal() {
                Some(length) => self.blank(length),
                None => self.keep(first.len_utf8()),
            }
        }
        self.code
    }

    /// The length of the comment or literal that begins here.
    fn literal(&self) -> Option<usize> {
        let text = self.left;
        if text.starts_with("//") {
            return Some(text.find('\n').unwrap_or(text.len()));
        }
        if text.starts_with("/*") {
            return Some(block_comment(text));
        }
        if self.code.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            return text.starts_with('"').then(|| quoted(text, 1, '"'));
        }
        raw_string(text).or_else(|| string(text)).or_else(|| character(text))
    }

    fn blank(&mut self, length: usize) {
        let (gone, left) = self.left.split_at(length);
        self.code.extend(gone.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        self.left = left;
    }

    fn keep(&mut self, length: usize) {
        let (kept, left) = self.left.split_at(length);
        self.code.push_str(kept);
        self.left = left;
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let step = match text.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step.0;
        depth += step.1;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `br#"…"#`.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = body.bytes().take_while(|byte| *byte == b'#').count();
    let inside = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close)?;
    Some(text.len() - inside.len() + end + close.len())
}

/// `"…"`, `b"…"`, `c"…"`.
fn string(text: &str) -> Option<usize> {
    let prefix = usize::from(text.starts_with("b\"") || text.starts_with("c\""));
    text[prefix..].starts_with('"').then(|| quoted(text, prefix + 1, '"'))
}

/// `'x'` and `b'x'`, but not the lifetime `'x`.
fn character(text: &str) -> Option<usize> {
    let prefix = usize::from(text.starts_with("b'"));
    let inside = text[prefix..].strip_prefix('\'')?;
    let mut chars = inside.chars();
    let first = chars.next()?;
    let closed = first == '\\' || chars.next() == Some('\'');
    closed.then(|| quoted(text, prefix + 1, '\''))
}

/// The place behind the closing quote, from `at` inside the quotes.
fn quoted(text: &str, at: usize, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in text[at..].char_indices() {
        if !escaped && c == quote {
            return at + index + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(PathBuf::from("x.rs"), text.to_owned())
    }

    #[test]
    fn literals_and_comments_are_blanked_and_places_stay() {
        let text = "a /* } /* } */ */ \"}\\\"}\" r#\"}\"}\"# '}' b'\\'' 'life // }\nb \"é}\" c";
        let code = source(text).code;
        assert_eq!(code.len(), text.len());
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "'life", "b", "c"]);
        assert_eq!(code.matches('\n').count(), 1);
    }

    #[test]
    fn a_function_spans_from_its_keyword_to_its_brace() {
        let text =
            "trait T { fn none(&self, f: fn(u8) -> u8) -> u8; }\nfn one(a: [u8; 3]) {\n  fn two() {}\n}\n";
        let found: Vec<_> = source(text).functions().into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("one".to_owned(), 2, 3), ("two".to_owned(), 3, 1)]);
    }
}
