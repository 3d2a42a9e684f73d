//! Headers that the distribution protocol gives a meaning to.
//!
//! Invariant: every parser is total and takes time that is linear in the header. A header that only helps is `None`
//! where it makes no sense; one that must be right has an error of its own.

mod challenge;
mod link;
mod range;
mod retry;
mod scan;

pub use challenge::{Challenge, challenges};
pub use link::next;
pub use range::{ContentRange, Sought, acknowledged, content_range, range, sought};
pub use retry::retry_after;

use super::Headers;
use crate::digest::{AnyDigest, DigestError};
use crate::media_type::MediaType;
use scan::Scan;

/// `Docker-Content-Digest`: the digest of what the answer is about, as the server sees it. Wrong text is an error,
/// because the one who uses it must be able to (item 204).
pub fn content_digest(headers: &Headers) -> Result<Option<AnyDigest>, DigestError> {
    headers.get("Docker-Content-Digest").map(|text| text.trim().parse()).transpose()
}

/// `OCI-Subject`: the registry has put a manifest among the referrers of this one.
pub fn subject(headers: &Headers) -> Option<AnyDigest> {
    headers.get("OCI-Subject")?.trim().parse().ok()
}

/// `OCI-Chunk-Min-Length`: bytes that a chunk other than the last needs.
pub fn chunk_min_length(headers: &Headers) -> Option<u64> {
    decimal(headers.get("OCI-Chunk-Min-Length")?)
}

/// Whether `OCI-Filters-Applied` names a filter.
pub fn is_filtered_by(headers: &Headers, filter: &str) -> bool {
    headers.all("OCI-Filters-Applied").flat_map(|list| list.split(',')).any(|it| it.trim() == filter)
}

/// `Content-Type` without parameters, in lower case where RFC 9110 makes no difference.
pub fn media_type(headers: &Headers) -> Option<MediaType> {
    let text = headers.get("Content-Type")?.split(';').next()?.trim();
    let media_type = MediaType::new(text.to_ascii_lowercase());
    media_type.is_well_formed().then_some(media_type)
}

/// `Content-Length`; `None` where there is none, and where several differ (RFC 9112, section 6.3).
pub fn content_length(headers: &Headers) -> Option<u64> {
    let mut lengths = headers.all("Content-Length").flat_map(|list| list.split(',')).map(decimal);
    let first = lengths.next()??;
    lengths.all(|length| length == Some(first)).then_some(first)
}

/// The texts of `Warning: 299 - "…"`, at most sixteen (distribution-spec, "Warnings").
pub fn warnings(headers: &Headers) -> Vec<Box<str>> {
    headers.all("Warning").flat_map(warnings_of).take(16).collect()
}

fn warnings_of(text: &str) -> Vec<Box<str>> {
    let mut scan = Scan::new(text);
    let mut texts = Vec::new();
    while scan.next_element() {
        let code = scan.take_while(|byte| byte.is_ascii_digit());
        scan.skip_space();
        scan.take_while(|byte| !matches!(byte, b' ' | b'\t' | b',' | b'"'));
        scan.skip_space();
        if let Some(text) = scan.quoted().filter(|text| code == "299" && !text.trim().is_empty()) {
            texts.push(text.into());
        }
        scan.skip_element();
    }
    texts
}

/// Digits alone: no sign, no spaces within.
fn decimal(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Headers {
        let mut headers = Headers::default();
        assert!(headers.add(name, value), "{name}: {value}");
        headers
    }

    #[test]
    fn item_202_a_content_type_has_no_parameters() {
        let read = |value| media_type(&one("Content-Type", value)).map(|it| it.to_string());
        assert_eq!(read("Application/JSON; charset=utf-8").as_deref(), Some("application/json"));
        assert_eq!(read("a/b;q").as_deref(), Some("a/b"));
        for bad in ["", ";", "text", "a/b/c", "a b/c"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn item_204_a_wrong_content_digest_is_an_error_and_none_is_none() {
        let read = |value| content_digest(&one("docker-content-digest", value));
        assert_eq!(content_digest(&Headers::default()), Ok(None));
        assert!(read("sha256:abc").is_err());
        assert!(read("../..").is_err());
        let good = format!("sha256:{}", "0".repeat(64));
        assert_eq!(read(&good).map(|digest| digest.map(|it| it.to_string())), Ok(Some(good)));
    }

    #[test]
    fn item_212_only_warnings_of_code_299_are_texts() {
        let read = |value| warnings(&one("Warning", value));
        assert_eq!(read(r#"299 - "gone \"soon\", really""#), [r#"gone "soon", really"#.into()]);
        assert_eq!(read(r#"199 a "no", 299 b:80 "yes" "2024", 299 - "too""#), ["yes".into(), "too".into()]);
        for bad in
            [r#"299 - """#, r#"299 - "  ""#, "", "299", "299 -", "299 - \"open", "299 - bare", "-299 - \"x\""]
        {
            assert!(read(bad).is_empty(), "{bad}");
        }
        assert_eq!(read(&"299 - \"x\",".repeat(1000)).len(), 16);
    }

    #[test]
    fn a_length_is_digits_and_one_only() {
        let read = |value| content_length(&one("Content-Length", value));
        assert_eq!(read("42"), Some(42));
        assert_eq!(read("42, 42"), Some(42));
        for bad in ["", "+1", "-1", "1 2", "0x1", "1, 2", "99999999999999999999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(chunk_min_length(&one("OCI-Chunk-Min-Length", "5242880")), Some(5 << 20));
    }

    #[test]
    fn filters_are_a_list() {
        let headers = one("OCI-Filters-Applied", "a, artifactType");
        assert!(is_filtered_by(&headers, "artifactType"));
        assert!(!is_filtered_by(&headers, "artifact"));
    }
}
