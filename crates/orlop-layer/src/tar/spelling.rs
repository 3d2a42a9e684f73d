//! How records spell numbers, times, escapes and base64.

use super::header;
use crate::entry::Time;
use std::borrow::Cow;

/// Digits and nothing else, up to the largest size of a file.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    header::length(number.into())
}

/// `[-]seconds[.fraction]`; digits beyond nanoseconds are rounded down, towards the past.
pub(super) fn time(value: &[u8]) -> Option<Time> {
    let (negative, value) = match value.strip_prefix(b"-") {
        Some(value) => (true, value),
        None => (false, value),
    };
    let point = value.iter().position(|byte| *byte == b'.').unwrap_or(value.len());
    let seconds = i64::try_from(decimal(&value[..point])?).ok()?;
    let (nanoseconds, more) = fraction(value.get(point + 1..).unwrap_or_default())?;
    if !negative {
        return Some(Time { seconds, nanoseconds });
    }
    let nanoseconds = nanoseconds + u32::from(more);
    Some(match nanoseconds {
        0 => Time::from_seconds(-seconds),
        _ => Time { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

/// Nanoseconds, and whether there is more behind them.
fn fraction(digits: &[u8]) -> Option<(u32, bool)> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |place: usize| digits.get(place).map_or(0, |digit| u32::from(digit - b'0'));
    let nanoseconds = (0..9).fold(0, |number, place| number * 10 + digit(place));
    Some((nanoseconds, digits.iter().skip(9).any(|digit| *digit != b'0')))
}

/// GNU tar: `%3D` is `=`, `%25` is `%`; nothing else is escaped.
pub(super) fn unescape_schily(name: &[u8]) -> Cow<'_, [u8]> {
    unescape(name, |code| matches!(code, b'=' | b'%'))
}

/// libarchive: any byte may stand as `%XX`.
pub(super) fn unescape_url(name: &[u8]) -> Cow<'_, [u8]> {
    unescape(name, |_| true)
}

fn unescape(name: &[u8], known: impl Fn(u8) -> bool) -> Cow<'_, [u8]> {
    if !name.contains(&b'%') {
        return Cow::Borrowed(name);
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, after @ ..] = rest {
        let code = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        if let Some(code) = code.filter(|code| known(*code)) {
            plain.push(code);
            rest = &rest[3..];
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    Cow::Owned(plain)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// RFC 4648, with or without padding.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let (digits, padding) = text.split_at(end);
    let whole = digits.len() % 4;
    if whole == 1 || !(padding.is_empty() || (whole > 1 && padding.len() + whole == 4)) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let bits = group.iter().try_fold(0u32, |bits, digit| Some(bits << 6 | base64_digit(*digit)?))?;
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

fn base64_digit(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_towards_the_past() {
        let at = |text: &str| time(text.as_bytes()).map(|time| (time.seconds, time.nanoseconds));
        assert_eq!(at("1234567890.123456789"), Some((1_234_567_890, 123_456_789)));
        assert_eq!(at("1.0000000009"), Some((1, 0)));
        assert_eq!(at("-1.0000000009"), Some((-2, 999_999_999)));
        assert_eq!(at("-0.000000001"), Some((-1, 999_999_999)));
        assert_eq!(at("-0.9999999999"), Some((-1, 0)));
        assert_eq!(at("-86400"), Some((-86400, 0)));
        assert_eq!(at("8589934592."), Some((8_589_934_592, 0)));
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for (text, bytes) in
            [("", &b""[..]), ("Zg", b"f"), ("Zg==", b"f"), ("Zm8", b"fo"), ("Zm8=", b"fo"), ("Zm9v", b"foo")]
        {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
        for bad in ["Z", "Zg=", "Z===", "Zm9v=", "Z g=", "=", "===="] {
            assert_eq!(base64(bad.as_bytes()), None, "{bad}");
        }
    }
}
