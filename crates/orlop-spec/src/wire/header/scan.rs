//! Walks through the value of a header (RFC 9110, section 5.6).

/// What is left of a value.
pub(super) struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// Goes to the next element of a list; false at the end.
    pub(super) fn next_element(&mut self) -> bool {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        !self.rest.is_empty()
    }

    /// Goes to the comma that ends an element; commas within quotes end none, and quotes that do not end take all.
    pub(super) fn skip_element(&mut self) {
        while let Some(end) = self.rest.find([',', '"']) {
            self.rest = &self.rest[end..];
            if self.peek() == Some(b',') {
                return;
            }
            if self.quoted().is_none() {
                break;
            }
        }
        self.rest = "";
    }

    pub(super) fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.bytes().next()
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Goes past `mark`, if it is next.
    pub(super) fn eat(&mut self, mark: char) -> bool {
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    pub(super) fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(|byte| !byte.is_ascii() || !is_part(byte));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A token; empty where none stands here.
    pub(super) fn token(&mut self) -> &'a str {
        self.take_while(crate::wire::message::is_token)
    }

    /// A string in quotes, without them; `None`, and nothing passed, where it does not end.
    pub(super) fn quoted(&mut self) -> Option<String> {
        let inside = self.rest.strip_prefix('"')?;
        let mut text = String::new();
        let mut characters = inside.char_indices();
        loop {
            match characters.next()? {
                (end, '"') => {
                    self.rest = &inside[end + 1..];
                    return Some(text);
                }
                (_, '\\') => text.push(characters.next()?.1),
                (_, character) => text.push(character),
            }
        }
    }

    /// `name[=value]`, spaces around the sign allowed; an empty value where there is none.
    pub(super) fn parameter(&mut self) -> Option<(&'a str, String)> {
        let name = self.token();
        self.skip_space();
        if name.is_empty() || !self.eat('=') {
            return (!name.is_empty()).then(|| (name, String::new()));
        }
        self.skip_space();
        if self.peek() == Some(b'"') {
            return Some((name, self.quoted()?));
        }
        // More than a token: addresses without quotes are seen in the wild.
        let value = self.take_while(|byte| byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'"'));
        Some((name, value.to_owned()))
    }
}
