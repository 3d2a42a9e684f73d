//! `Range` and `Content-Range` (RFC 9110, section 14), and what registries make of them in uploads.
//!
//! ```text
//! Range: bytes=5-9            asked of a blob             Content-Range: bytes 5-9/30    answered
//! Content-Range: 5-9          of a chunk that is sent     Range: 0-9                     bytes taken so far
//! ```

use super::decimal;
use crate::wire::Headers;

/// Which part an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// These bytes, both ends included; `size` is that of the whole, where it is known.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
        /// Bytes of the whole.
        size: Option<u64>,
    },
    /// None: what was asked for lies beyond the end.
    Unsatisfied {
        /// Bytes of the whole.
        size: u64,
    },
}

/// The value of a `Range` that asks for bytes from `first` on, up to and with `last`.
pub fn range(first: u64, last: Option<u64>) -> String {
    match last {
        Some(last) => format!("bytes={first}-{last}"),
        None => format!("bytes={first}-"),
    }
}

/// `Content-Range` of an answer; `None` where it contradicts itself.
pub fn content_range(headers: &Headers) -> Option<ContentRange> {
    let value = headers.get("Content-Range")?.trim();
    let (unit, rest) = value.split_at_checked(5)?;
    let rest = rest.strip_prefix([' ', '=']).filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
    let (part, size) = rest.split_once('/')?;
    if part.trim() == "*" {
        return Some(ContentRange::Unsatisfied { size: decimal(size)? });
    }
    let (first, last) = ends(part)?;
    let size = if size.trim() == "*" { None } else { Some(decimal(size)?) };
    (size.is_none_or(|size| last < size)).then_some(ContentRange::Part { first, last, size })
}

/// `Range: 0-LAST` of an upload: the last byte that the registry has. With nothing taken yet, older registries say
/// `0-0` as they do after one byte; who asks must know what was sent. Some put a unit in front.
pub fn acknowledged(headers: &Headers) -> Option<u64> {
    let value = headers.get("Range")?.trim();
    let (first, last) = ends(value.strip_prefix("bytes=").unwrap_or(value))?;
    (first == 0).then_some(last)
}

/// What a `Range` asks for of `size` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Everything: no range, one that makes no sense, or several, of which a server may send the whole.
    All,
    /// These bytes, both ends included.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
    /// What lies beyond the end.
    Beyond,
}

/// Reads `Range` as a server does (RFC 9110, section 14.1.2).
pub fn sought(headers: &Headers, size: u64) -> Sought {
    let Some(value) = headers.get("Range") else { return Sought::All };
    let Some((unit, part)) = value.trim().split_once('=') else { return Sought::All };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Sought::All;
    }
    let Some((first, last)) = part.split_once('-') else { return Sought::All };
    let end = size.saturating_sub(1);
    let part = match (first.trim(), last.trim()) {
        ("", last) => {
            decimal(last).map(|count| (size.saturating_sub(count), if count == 0 { 0 } else { end }))
        }
        (first, "") => decimal(first).map(|first| (first, end)),
        (first, last) => decimal(first).zip(decimal(last)).filter(|(first, last)| first <= last),
    };
    match part {
        None => Sought::All,
        Some((first, _)) if first >= size => Sought::Beyond,
        Some((first, last)) => Sought::Part { first, last: last.min(end) },
    }
}

fn ends(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (decimal(first)?, decimal(last)?);
    (first <= last && last < u64::MAX).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Headers {
        let mut headers = Headers::default();
        assert!(headers.add(name, value), "{value}");
        headers
    }

    #[test]
    fn a_part_is_where_it_says_and_within_the_whole() {
        let read = |value| content_range(&one("Content-Range", value));
        assert_eq!(read("bytes 5-9/30"), Some(ContentRange::Part { first: 5, last: 9, size: Some(30) }));
        assert_eq!(read("Bytes 0-0/*"), Some(ContentRange::Part { first: 0, last: 0, size: None }));
        assert_eq!(read("bytes */30"), Some(ContentRange::Unsatisfied { size: 30 }));
        for bad in [
            "",
            "bytes",
            "bytes 5-9",
            "bytes 9-5/30",
            "bytes 5-30/30",
            "bytes */*",
            "items 5-9/30",
            "bytes -1-9/30",
            "bytes 0-18446744073709551615/*",
            "b\u{e9}tes 1-2/3",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_upload_has_taken_bytes_from_its_beginning() {
        let read = |value| acknowledged(&one("Range", value));
        assert_eq!(read("0-123"), Some(123));
        assert_eq!(read("bytes=0-123"), Some(123));
        for bad in ["", "-", "0-", "1-2", "0--1", "0-1,2-3", "123", "0-18446744073709551615"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!((range(5, None), range(5, Some(9))), ("bytes=5-".into(), "bytes=5-9".into()));
    }

    #[test]
    fn item_104_a_part_is_within_what_there_is() {
        let read = |value| sought(&one("Range", value), 10);
        assert_eq!(sought(&Headers::default(), 10), Sought::All);
        for (value, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=3-5", 3, 5),
            ("Bytes = 3-", 3, 9),
            ("bytes=-4", 6, 9),
            ("bytes=9-99", 9, 9),
            ("bytes=-99", 0, 9),
        ] {
            assert_eq!(read(value), Sought::Part { first, last }, "{value}");
        }
        for value in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=18446744073709551615-"] {
            assert_eq!(read(value), Sought::Beyond, "{value}");
        }
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-3",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=+1-2",
        ] {
            assert_eq!(read(value), Sought::All, "{value}");
        }
        assert_eq!(sought(&one("Range", "bytes=0-"), 0), Sought::Beyond);
    }
}
