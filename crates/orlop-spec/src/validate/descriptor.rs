//! The laws of descriptors and of annotations (image-spec, `descriptor.md` and `annotations.md`).

use super::{Findings, Rule};
use crate::base64;
use crate::digest::{AnyDigest, Digest};
use crate::media_type::MediaType;
use crate::platform::Platform;
use crate::time::Timestamp;
use serde_json::Value;

/// What a descriptor should name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Any blob.
    Blob,
    /// A manifest or an index, which may have a platform.
    Document,
}

/// Keys that the specification defines under the prefix that it reserves.
const DEFINED: [&str; 14] = [
    "created",
    "authors",
    "url",
    "documentation",
    "source",
    "version",
    "revision",
    "vendor",
    "licenses",
    "ref.name",
    "title",
    "description",
    "base.digest",
    "base.name",
];
const RESERVED: &str = "org.opencontainers.";
const IMAGE: &str = "org.opencontainers.image.";

impl Findings {
    pub(super) fn descriptor(&mut self, place: &str, descriptor: &Value, expected: Expected) {
        if !descriptor.is_object() {
            return self.error(Rule::Shape, place, "it is no descriptor");
        }
        let member = |name: &str| (format!("{place}/{name}"), descriptor.get(name));
        let (at, found) = member("mediaType");
        self.media_type(&at, found.unwrap_or(&Value::Null));
        if let (at, Some(found)) = member("artifactType") {
            self.media_type(&at, found);
        }
        let (at, found) = member("digest");
        let digest = self.digest(&at, found.unwrap_or(&Value::Null));
        let (at, found) = member("size");
        let size = found.and_then(Value::as_u64).filter(|size| i64::try_from(*size).is_ok());
        if size.is_none() {
            self.error(Rule::Size, &at, "it is no size in bytes");
        }
        if let (at, Some(found)) = member("data") {
            self.data(&at, found, digest.as_ref(), size);
        }
        if let (at, Some(found)) = member("urls") {
            self.urls(&at, found);
        }
        if let (at, Some(found)) = member("platform") {
            self.platform(&at, found, expected);
        }
        let (at, found) = member("annotations");
        self.annotations(&at, found);
    }

    pub(super) fn media_type(&mut self, place: &str, found: &Value) {
        match found {
            Value::String(text) if MediaType::new(text.as_str()).is_well_formed() => {}
            Value::String(text) => {
                self.error(Rule::MediaType, place, format!("{text:?} is no media type (RFC 6838)"));
            }
            _ => self.error(Rule::MediaType, place, "it is missing or no text"),
        }
    }

    pub(super) fn digest(&mut self, place: &str, found: &Value) -> Option<Digest> {
        let Value::String(text) = found else {
            self.error(Rule::Digest, place, "it is missing or no text");
            return None;
        };
        match text.parse() {
            Ok(AnyDigest::Known(digest)) => return Some(digest),
            Ok(AnyDigest::Other(text)) => {
                self.warning(
                    Rule::UnknownAlgorithm,
                    place,
                    format!("{text:?} can be carried, but proves nothing"),
                );
            }
            Err(error) => self.error(Rule::Digest, place, error.to_string()),
        }
        None
    }

    fn data(&mut self, place: &str, found: &Value, digest: Option<&Digest>, size: Option<u64>) {
        let Some(bytes) = found.as_str().and_then(base64::decode) else {
            return self.error(Rule::Data, place, "it is not base64 (RFC 4648)");
        };
        let wrong = |digest: &Digest| Digest::of(digest.algorithm(), &bytes) != *digest;
        if size.is_some_and(|size| size != bytes.len() as u64) || digest.is_some_and(wrong) {
            self.error(Rule::Data, place, "it is not what size and digest name");
        }
    }

    fn urls(&mut self, place: &str, found: &Value) {
        let Value::Array(urls) = found else { return self.error(Rule::Urls, place, "it is no list") };
        for (position, url) in urls.iter().enumerate() {
            let place = format!("{place}/{position}");
            match url.as_str().map(scheme) {
                Some(Some("http" | "https")) => {}
                Some(Some(scheme)) => {
                    self.warning(Rule::Urls, &place, format!("{scheme:?} should be http or https"));
                }
                _ => self.error(Rule::Urls, &place, "it is no address (RFC 3986)"),
            }
        }
    }

    fn platform(&mut self, place: &str, found: &Value, expected: Expected) {
        match serde_json::from_value::<Platform>(found.clone()) {
            Err(error) => self.error(Rule::Platform, place, error.to_string()),
            Ok(_) if expected == Expected::Blob => {
                self.warning(Rule::Platform, place, "a config or layer has no platform of its own");
            }
            Ok(platform) if !platform.is_known() && &*platform.os != "unknown" => {
                self.warning(Rule::Platform, place, format!("{platform} is not in Go's names"));
            }
            Ok(_) => {}
        }
    }

    /// A map of text to text; names under the reserved prefix must be defined.
    pub(super) fn annotations(&mut self, place: &str, found: Option<&Value>) {
        let Some(found) = found else { return };
        let Value::Object(map) = found else { return self.error(Rule::Annotations, place, "it is no map") };
        for (name, value) in map {
            let place = format!("{place}/{}", escaped(name));
            match value {
                Value::String(text) => self.reserved(&place, name, text),
                _ => self.error(Rule::Annotations, &place, "its value is no text"),
            }
        }
    }

    fn reserved(&mut self, place: &str, name: &str, value: &str) {
        let defined = name.strip_prefix(IMAGE).is_some_and(|rest| DEFINED.contains(&rest));
        if name.starts_with(RESERVED) && !defined {
            self.warning(Rule::ReservedAnnotation, place, "the name is reserved and not defined");
        }
        if name.strip_prefix(IMAGE) == Some("created") && value.parse::<Timestamp>().is_err() {
            self.warning(Rule::Time, place, format!("{value:?} is no time (RFC 3339)"));
        }
    }
}

/// A name as part of a JSON pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// RFC 3986, section 3: the scheme of an absolute address in which no forbidden character stands.
fn scheme(address: &str) -> Option<&str> {
    let (scheme, rest) = address.split_once(':')?;
    let starts = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    let plain = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let forbidden = |byte: u8| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte);
    let hex =
        |digits: Option<&str>| digits.is_some_and(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let escapes = rest.match_indices('%').all(|(at, _)| hex(rest.get(at + 1..at + 3)));
    (starts && plain && !rest.is_empty() && !rest.bytes().any(forbidden) && escapes).then_some(scheme)
}
