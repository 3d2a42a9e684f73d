//! A catalogue of appstream: XML that names components.
//!
//! ```text
//! <components …>
//!   <component type="desktop"> <id>org.test.Hello</id> …
//!     <bundle type="flatpak" runtime="…" sdk="…">app/org.test.Hello/x86_64/master</bundle>   ◄── what installs it
//!   </component>
//! </components>
//! ```
//!
//! Invariant: what is not of the app is left out, every other byte stays as it was; text whose elements do not close, or that
//! declares entities, is no catalogue.

use super::Ref;
use std::fmt;

/// What installs an app.
pub(super) struct Bundle<'n> {
    pub(super) name: &'n Ref,
    pub(super) runtime: Option<Box<str>>,
    pub(super) sdk: Option<Box<str>>,
}

/// The components of the app, each with what installs it; `None` where the text has none.
pub(super) fn of(text: &str, bundle: &Bundle<'_>) -> Option<String> {
    let mut edit = Edit { bundle, out: String::new(), open: Vec::new(), component: None, found: 0 };
    let mut rest = text;
    while !rest.is_empty() {
        let (token, length) = token(rest)?;
        let (piece, after) = rest.split_at(length);
        edit.take(&token, piece)?;
        rest = after;
    }
    (edit.open.is_empty() && edit.found > 0).then_some(edit.out)
}

/// A piece of XML.
enum Token<'t> {
    Start(&'t str),
    /// A start that is its own end.
    Empty(&'t str),
    End(&'t str),
    Text,
    /// A comment or an instruction.
    Beside,
}

/// The first piece, and its bytes.
fn token(text: &str) -> Option<(Token<'_>, usize)> {
    // The end of what begins with `mark`: no byte of the beginning is one of the end.
    let until = |mark: &str, end: &str| {
        let inside = text.strip_prefix(mark)?;
        inside.find(end).map(|at| mark.len() + at + end.len())
    };
    if !text.starts_with('<') {
        return Some((Token::Text, text.find('<').unwrap_or(text.len())));
    }
    if text.starts_with("<!--") {
        return Some((Token::Beside, until("<!--", "-->")?));
    }
    if text.starts_with("<![CDATA[") {
        return Some((Token::Text, until("<![CDATA[", "]]>")?));
    }
    if text.starts_with("<?") {
        return Some((Token::Beside, until("<?", "?>")?));
    }
    let length = tag(text)?;
    let inside = &text[1..length - 1];
    if let Some(name) = inside.strip_prefix('/') {
        return Some((Token::End(name.trim_end()), length));
    }
    let name = inside.split(|it: char| it.is_ascii_whitespace() || it == '/').next()?;
    let is_name = name.starts_with(|it: char| it.is_alphabetic() || it == '_');
    let token = if inside.ends_with('/') { Token::Empty(name) } else { Token::Start(name) };
    is_name.then_some((token, length))
}

/// Bytes of a tag: its end is no part of a value.
fn tag(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

struct Edit<'a, 't> {
    bundle: &'a Bundle<'a>,
    out: String,
    /// The elements that are open.
    open: Vec<&'t str>,
    component: Option<Component>,
    found: usize,
}

/// A component under way.
struct Component {
    /// Where in the output it begins.
    from: usize,
    id: String,
}

impl<'t> Edit<'_, 't> {
    /// Takes a piece; `None` where it cannot stand there.
    fn take(&mut self, token: &Token<'t>, piece: &str) -> Option<()> {
        match *token {
            Token::Start(name) => {
                if self.open.is_empty() && name != "components" {
                    return None;
                }
                if name == "component" && !self.is_in(&["components"]) {
                    return None;
                }
                if name == "component" {
                    self.component = Some(Component { from: self.out.len(), id: String::new() });
                }
                self.open.push(name);
                self.keep(piece);
            }
            Token::End(name) => {
                if self.is_in(&["components", "component"]) {
                    self.close(piece);
                } else {
                    self.keep(piece);
                }
                return (self.open.pop()? == name).then_some(());
            }
            Token::Text => {
                if let (true, Some(component)) =
                    (self.is_in(&["components", "component", "id"]), &mut self.component)
                {
                    component.id.push_str(piece);
                }
                self.keep(piece);
            }
            Token::Empty("component") if !self.is_in(&["components"]) => return None,
            Token::Empty("bundle") if self.is_in(&["components", "component"]) => {}
            Token::Empty(_) | Token::Beside => self.keep(piece),
        }
        Some(())
    }

    fn is_in(&self, path: &[&str]) -> bool {
        self.open == path
    }

    /// Keeps a piece, but of what somebody else said that installs it.
    fn keep(&mut self, piece: &str) {
        if !matches!(self.open.as_slice(), ["components", "component", "bundle", ..]) {
            self.out.push_str(piece);
        }
    }

    /// Ends a component: with what installs it, or as if it had not been there.
    fn close(&mut self, end: &str) {
        let Some(Component { from, id }) = self.component.take() else { return };
        let id = id.trim();
        if id.strip_suffix(".desktop").unwrap_or(id) != &*self.bundle.name.id {
            return self.out.truncate(from);
        }
        self.found += 1;
        self.out.push_str(&self.bundle.to_string());
        self.out.push_str(end);
    }
}

impl fmt::Display for Bundle<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("<bundle type=\"flatpak\"")?;
        for (key, value) in [("runtime", &self.runtime), ("sdk", &self.sdk)] {
            if let Some(value) = value {
                write!(out, " {key}=\"{}\"", escaped(value))?;
            }
        }
        writeln!(out, ">{}</bundle>", escaped(&self.name.to_string()))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn catalogue(text: &str) -> Option<String> {
        let name = "app/org.test.Hello/x86_64/master".parse().expect("a ref");
        of(text, &Bundle { name: &name, runtime: Some("a\"&b".into()), sdk: None })
    }

    const BUNDLE: &str =
        "<bundle type=\"flatpak\" runtime=\"a&quot;&amp;b\">app/org.test.Hello/x86_64/master</bundle>\n";

    #[test]
    fn what_installs_an_app_is_added_and_what_is_of_others_is_left_out() {
        let head = "<?xml version=\"1.0\"?>\n<!-- <x> -->\n<components origin='a>b'>\n";
        let ours = "<component type=\"desktop\"><id>org.test.Hello.desktop</id><summary>a &amp; \u{e9}</summary><x/>";
        let others = "<component><id>org.test.Hello2</id></component>";
        let bundles = "<bundle type=\"flatpak\">app/evil/x86_64/master<a>b</a></bundle><bundle id='x'/>";
        let given = format!("{head}{others}{ours}{bundles}</component>{others}</components>\n");
        assert_eq!(
            catalogue(&given).expect("a catalogue"),
            format!("{head}{ours}{BUNDLE}</component></components>\n")
        );
    }

    #[test]
    fn what_is_no_catalogue_of_the_app_gives_none() {
        let whole = "<components><component><id>org.test.Hello</id></component></components>";
        assert!(catalogue(whole).is_some());
        assert!(catalogue(&whole.replace("<id>", "<id><![CDATA[").replace("</id>", "]]></id>")).is_none());
        for bad in [
            "",
            "words",
            "<components/>",
            "<components></components>",
            "<component><id>org.test.Hello</id></component>",
            &whole.replace("org.test.Hello", "org.test.Other"),
            &whole.replace("</id>", ""),
            &whole.replace("</components>", ""),
            &whole.replace("<component>", "<component"),
            &format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{whole}"),
            &format!("{whole}</components>"),
            // Comments and instructions that are open, whatever their beginnings look like.
            &format!("<!-->{whole}"),
            &format!("<!--->{whole}"),
            &format!("<?>{whole}"),
            &whole.replace("<id>", "<!--><component></component><id>"),
            // A component within one is nobody's.
            &whole.replace("<id>", "<component><id>org.test.Other</id></component><id>"),
            &whole.replace("<id>", "<component/><id>"),
        ] {
            assert_eq!(catalogue(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_catalogue_or_none(pieces in proptest::collection::vec(
            prop::sample::select(vec!["<", ">", "/", "component", "components", "id", "bundle", "<components>", "<component>",
                "</component>", "</components>", "<id>org.test.Hello</id>", "<!--", "-->", "\"", "\u{e9}", " "]), 0..30)) {
            let text = pieces.concat();
            if let Some(made) = catalogue(&text) {
                // It is one still, and says the same.
                prop_assert_eq!(catalogue(&made), Some(made));
            }
        }
    }
}
