//! Values as GLib prints them for eyes: what `ostree show --raw` and `ostree ls -X` say.
//!
//! ```text
//! ({'x': <'y'>, 'n': <uint32 5>}, @ay [], [byte 0x14, 0xe2], b'user.a', just 1)
//! ```
//!
//! Invariant: a type is told where it cannot be seen: in front of numbers and of what is empty, and of the first element
//! alone where all have one type. Nothing is printed that changes a terminal.

use super::View;
use std::fmt::Write as _;

/// In which order the bytes of numbers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// The least first, as GLib writes on such machines.
    LittleEndian,
    /// The greatest first, as OSTree has most of its numbers.
    BigEndian,
}

/// Whether types are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// Where they cannot be seen.
    Told,
    /// Only within variants.
    Known,
}

impl View<'_> {
    /// The value as text.
    pub fn print(&self, bytes: Bytes, types: Types) -> String {
        let mut printer = Printer { text: String::new(), bytes };
        printer.value(self, types);
        printer.text
    }
}

struct Printer {
    text: String,
    bytes: Bytes,
}

impl Printer {
    fn value(&mut self, value: &View<'_>, types: Types) {
        match value.signature.first() {
            Some(b'm') => self.maybe(value, types),
            Some(b'a') if value.signature == b"ay" && is_byte_string(value.bytes) => self.byte_string(value),
            Some(b'a') => self.array(value, types),
            Some(b'(') => self.tuple(value, types),
            Some(b'{') => {
                let [key, held] = value.members();
                self.list(['{', '}'], ", ", &[(key, types), (held, types)]);
            }
            Some(b'v') => {
                let held = value.variant().expect("a variant holds a value");
                self.list(['<', '>'], "", &[(held, Types::Told)]);
            }
            Some(b's') => self.quoted(value.text()),
            _ => self.plain(value, types),
        }
    }

    fn maybe(&mut self, value: &View<'_>, types: Types) {
        self.tell(value, types);
        // Only a `just` before `nothing` tells how deep the nothing lies.
        let mut depth = 0;
        let mut inner = *value;
        while let Some(held) = inner.maybe() {
            depth += 1;
            inner = held;
        }
        if inner.signature.first() == Some(&b'm') {
            self.text.push_str(&"just ".repeat(depth));
            self.text.push_str("nothing");
        } else {
            self.value(&inner, Types::Known);
        }
    }

    fn array(&mut self, value: &View<'_>, types: Types) {
        let is_dict = value.signature.starts_with(b"a{");
        let brackets = if is_dict { ['{', '}'] } else { ['[', ']'] };
        let mut types_of_rest = types;
        let mut children = value.children().peekable();
        if children.peek().is_none() {
            self.tell(value, types);
        }
        self.text.push(brackets[0]);
        for (index, child) in children.enumerate() {
            self.text.push_str(if index == 0 { "" } else { ", " });
            if is_dict {
                let [key, held] = child.members();
                self.value(&key, types_of_rest);
                self.text.push_str(": ");
                self.value(&held, types_of_rest);
            } else {
                self.value(&child, types_of_rest);
            }
            types_of_rest = Types::Known;
        }
        self.text.push(brackets[1]);
    }

    fn tuple(&mut self, value: &View<'_>, types: Types) {
        let members: Vec<_> = value.children().map(|member| (member, types)).collect();
        match members.len() {
            1 => {
                self.list(['(', ','], "", &members);
                self.text.push(')');
            }
            _ => self.list(['(', ')'], ", ", &members),
        }
    }

    fn list(&mut self, [open, close]: [char; 2], between: &str, members: &[(View<'_>, Types)]) {
        self.text.push(open);
        for (index, (member, types)) in members.iter().enumerate() {
            self.text.push_str(if index == 0 { "" } else { between });
            self.value(member, *types);
        }
        self.text.push(close);
    }

    /// `@TYPE` before what does not show it.
    fn tell(&mut self, value: &View<'_>, types: Types) {
        if types == Types::Told {
            self.push(format_args!("@{} ", value.signature()));
        }
    }

    fn plain(&mut self, value: &View<'_>, types: Types) {
        let (word, shown) = self.shown(value);
        if types == Types::Told {
            self.text.push_str(word);
        }
        self.text.push_str(&shown);
    }

    /// What stands before a value where its type is told, and the value.
    fn shown(&self, value: &View<'_>) -> (&'static str, String) {
        let number = self.number(value.bytes);
        match value.signature {
            b"b" => ("", (number != 0).to_string()),
            b"y" => ("byte ", format!("{number:#04x}")),
            b"n" => ("int16 ", signed(number, 16).to_string()),
            b"q" => ("uint16 ", number.to_string()),
            b"i" => ("", signed(number, 32).to_string()),
            b"h" => ("handle ", signed(number, 32).to_string()),
            b"u" => ("uint32 ", number.to_string()),
            b"x" => ("int64 ", signed(number, 64).to_string()),
            b"t" => ("uint64 ", number.to_string()),
            b"d" => ("", double(f64::from_bits(number))),
            b"o" => ("objectpath ", format!("'{}'", value.text())),
            _ => ("signature ", format!("'{}'", value.text())),
        }
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        match self.bytes {
            Bytes::LittleEndian => bytes.iter().rev().fold(0, add),
            Bytes::BigEndian => bytes.iter().fold(0, add),
        }
    }

    /// A text between quotes: double ones where it has a single one in it.
    fn quoted(&mut self, text: &str) {
        let quote = if text.contains('\'') { '"' } else { '\'' };
        self.text.push(quote);
        for c in text.chars() {
            match letter_of(c) {
                Some(letter) => self.text.extend(['\\', letter]),
                None if c == quote || c == '\\' => self.text.extend(['\\', c]),
                None if is_printable(c) => self.text.push(c),
                None if u32::from(c) < 0x1_0000 => self.push(format_args!("\\u{:04x}", u32::from(c))),
                None => self.push(format_args!("\\U{:08x}", u32::from(c))),
            }
        }
        self.text.push(quote);
    }

    /// Bytes that end with their only zero, as a C program would write them.
    fn byte_string(&mut self, value: &View<'_>) {
        let bytes = &value.bytes[..value.bytes.len() - 1];
        let quote = if bytes.contains(&b'\'') { '"' } else { '\'' };
        self.text.extend(['b', quote]);
        for byte in bytes {
            match letter_of(char::from(*byte)) {
                Some(letter) => self.text.extend(['\\', letter]),
                None if matches!(byte, b'"' | b'\\') => self.text.extend(['\\', char::from(*byte)]),
                None if matches!(byte, 0x20..=0x7e) => self.text.push(char::from(*byte)),
                None => self.push(format_args!("\\{byte:03o}")),
            }
        }
        self.text.push(quote);
    }

    fn push(&mut self, shown: std::fmt::Arguments<'_>) {
        self.text.write_fmt(shown).expect("a string takes everything");
    }
}

fn is_byte_string(bytes: &[u8]) -> bool {
    bytes.iter().position(|byte| *byte == 0).is_some_and(|at| at + 1 == bytes.len())
}

fn letter_of(c: char) -> Option<char> {
    match c {
        '\u{7}' => Some('a'),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\u{b}' => Some('v'),
        _ => None,
    }
}

/// Neither control nor format: what can be seen, or is a plain space.
fn is_printable(c: char) -> bool {
    c == '\\'
        || matches!(orlop_layer::path::printable(c.encode_utf8(&mut [0; 4])), std::borrow::Cow::Borrowed(_))
}

fn signed(number: u64, bits: u32) -> i64 {
    let unused = 64 - bits;
    (number << unused).cast_signed() >> unused
}

/// The shortest of the forms of C's `%.17g`, with a point so that it is no whole number.
fn double(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "nan".into()
        } else if value < 0.0 {
            "-inf".into()
        } else {
            "inf".into()
        };
    }
    let scientific = format!("{value:.16e}");
    let (digits, exponent) = scientific.split_once('e').expect("scientific form has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let trim = |text: &str| {
        let end = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
        end.to_owned()
    };
    if !(-4..17).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(digits), exponent.unsigned_abs());
    }
    let decimals = usize::try_from(16 - exponent).expect("at most 16");
    let plain = trim(&format!("{value:.decimals$}"));
    if plain.contains('.') { plain } else { plain + ".0" }
}

#[cfg(test)]
mod tests {
    use super::super::{Dict, Variant};
    use super::*;

    fn told(signature: &str, bytes: &[u8]) -> String {
        View::parse(signature, bytes).expect("a value").print(Bytes::LittleEndian, Types::Told)
    }

    #[test]
    fn types_are_told_where_they_cannot_be_seen() {
        assert_eq!(told("ay", b""), "@ay []");
        assert_eq!(told("ay", &[0x14, 0xe2]), "[byte 0x14, 0xe2]");
        assert_eq!(told("a(say)", b""), "@a(say) []");
        assert_eq!(told("a{sv}", b""), "@a{sv} {}");
        assert_eq!(told("(yu)", &[1, 0, 0, 0, 2, 0, 0, 0]), "(byte 0x01, uint32 2)");
        assert_eq!(told("(y)", &[1]), "(byte 0x01,)");
        assert_eq!(told("{yu}", &[1, 0, 0, 0, 2, 0, 0, 0]), "{byte 0x01, uint32 2}");
        assert_eq!(told("aq", &[1, 0, 2, 0]), "[uint16 1, 2]");
        assert_eq!(told("i", &[0xff; 4]), "-1");
        assert_eq!(told("n", &[0xfe, 0xff]), "int16 -2");
        assert_eq!(told("b", &[1]), "true");
        assert_eq!(told("mi", &[]), "@mi nothing");
        assert_eq!(told("mms", b"\0"), "@mms just nothing");
        assert_eq!(told("ms", b"a\0\0"), "@ms 'a'");
    }

    #[test]
    fn numbers_are_read_in_the_order_that_was_said() {
        let view = View::parse("t", &[0, 0, 0, 0, 0, 0, 3, 0xe8]).expect("a number");
        assert_eq!(view.print(Bytes::BigEndian, Types::Told), "uint64 1000");
    }

    #[test]
    fn dictionaries_tell_their_variants() {
        let dict: Dict = [("x", Variant::string("y")), ("n", Variant::u32(5))].into_iter().collect();
        assert_eq!(told("a{sv}", &dict.to_bytes()), "{'x': <'y'>, 'n': <uint32 5>}");
    }

    #[test]
    fn texts_are_quoted_and_escaped() {
        assert_eq!(told("s", b"it's \"\\\0"), "\"it's \\\"\\\\\"");
        assert_eq!(told("s", "a\n\u{1b}\u{202e}é\0".as_bytes()), "'a\\n\\u001b\\u202eé'");
        assert_eq!(told("ay", b"user.a\0"), "b'user.a'");
        assert_eq!(told("ay", b"it's\xff\"\0"), "b\"it's\\377\\\"\"");
        assert_eq!(told("ay", b"a\0b\0"), "[byte 0x61, 0x00, 0x62, 0x00]");
    }

    #[test]
    fn fractions_are_told_from_whole_numbers() {
        for (value, text) in [
            (0.0, "0.0"),
            (-1.5, "-1.5"),
            (0.1, "0.10000000000000001"),
            (1e22, "1e+22"),
            (1e-7, "9.9999999999999995e-08"),
            (123_456.0, "123456.0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(double(value), text);
        }
    }
}
