//! Bytes as visible ASCII (vis(3), with `VIS_OCTAL`, `VIS_WHITE` and `VIS_GLOB`).
//!
//! Invariant: decoding is the inverse of encoding, over all bytes.

/// Appends the bytes, with everything escaped that could end a word or be a pattern.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'*' | b'?' | b'[' | b'#' => octal(*byte, out),
            0x21..=0x7e => out.push(*byte),
            _ => octal(*byte, out),
        }
    }
}

fn octal(byte: u8, out: &mut Vec<u8>) {
    out.extend([b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]);
}

/// The bytes that a word stands for; `None` where a backslash begins nothing.
pub(super) fn decode(mut word: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(word.len());
    while let Some((first, rest)) = word.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            word = rest;
            continue;
        }
        let (byte, rest) = escaped(rest)?;
        bytes.extend(byte);
        word = rest;
    }
    Some(bytes)
}

/// What stands behind a backslash, and what follows it. `\$` is nothing at all.
fn escaped(word: &[u8]) -> Option<(Option<u8>, &[u8])> {
    let (first, rest) = word.split_first()?;
    let byte = match first {
        b'0'..=b'7' => return number(word, 3, 8),
        b'x' => return number(rest, 2, 16),
        b'M' => return meta(rest),
        b'^' => return control(rest, 0),
        b'$' => return Some((None, rest)),
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b's' => b' ',
        b't' => b'\t',
        b'v' => 0x0b,
        b'E' => 0x1b,
        b'\\' | 0x21..=0x2f | 0x3a..=0x40 | b'[' | b']' | b'_' | b'`' | 0x7b..=0x7e => *first,
        _ => return None,
    };
    Some((Some(byte), rest))
}

/// One digit at least, and no more than so many.
fn number(word: &[u8], most: usize, base: u32) -> Option<(Option<u8>, &[u8])> {
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(base);
    let count = word.iter().take(most).take_while(is_digit).count();
    let digits = std::str::from_utf8(&word[..count]).ok()?;
    let byte = u8::from_str_radix(digits, base).ok()?;
    Some((Some(byte), &word[count..]))
}

/// `-c` and `^c` behind `\M`: the highest bit is set.
fn meta(word: &[u8]) -> Option<(Option<u8>, &[u8])> {
    match word {
        [b'-', byte, rest @ ..] => Some((Some(byte | 0x80), rest)),
        [b'^', rest @ ..] => control(rest, 0x80),
        _ => None,
    }
}

fn control(word: &[u8], bit: u8) -> Option<(Option<u8>, &[u8])> {
    let (byte, rest) = word.split_first()?;
    let byte = if *byte == b'?' { 0x7f } else { byte & 0x1f };
    Some((Some(byte | bit), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode(bytes, &mut out);
        String::from_utf8(out).expect("visible ASCII")
    }

    /// Each is what umoci 0.4.7 wrote for a file of this name.
    #[test]
    fn names_are_spelled_as_umoci_spells_them() {
        for (name, spelled) in [
            (&b"back\\slash"[..], r"back\\slash"),
            (b"ctl\n\t\x01\xff\x80", r"ctl\012\011\001\377\200"),
            (b"we#ird=[x]*?", r"we\043ird=\133x]\052\077"),
            ("ünï".as_bytes(), r"\303\274n\303\257"),
            (b"\"q\"$d&'s)e=q{b}tilde~\x7f", r#""q"$d&'s)e=q{b}tilde~\177"#),
            (b"z z", r"z\040z"),
        ] {
            assert_eq!(encoded(name), spelled);
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encoded(&all).as_bytes()), Some(all));
    }

    #[test]
    fn other_escapes_of_vis_are_read() {
        for (word, bytes) in [
            (&br"\s\t\n\a\E"[..], &b" \t\n\x07\x1b"[..]),
            (br"\^A\M-a\M^A\^?", b"\x01\xe1\x81\x7f"),
            (br"\x41\0\08\#\$b", b"A\0\x008#b"),
        ] {
            assert_eq!(decode(word).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn what_begins_no_escape_is_refused() {
        for word in [&br"a\"[..], br"\q", br"\x", br"\777", br"\M", br"\Mx", br"\^"] {
            assert_eq!(decode(word), None, "{word:?}");
        }
    }
}
