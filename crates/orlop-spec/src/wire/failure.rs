//! What a registry answers when it does not do what was asked (distribution-spec, "Error Codes").
//!
//! ```json
//! {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown", "detail": {"Tag": "1.0"}}]}
//! ```
//!
//! Invariant: whatever the body is (HTML of a proxy, megabytes, nothing), a failure has a kind and one line of text.

use super::{Address, Head, Method, Request, header};
use crate::diagnose::{Diagnose, Fault, Kind};
use serde_json::Value;
use std::fmt;

/// Bytes of a body that are worth reading; the caller cuts there.
pub const LONGEST: usize = 64 << 10;
/// What is kept of one text, in characters.
const TEXT: usize = 500;
/// What is kept of a list.
const MOST: usize = 8;

/// A registry did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was asked.
    pub method: Method,
    /// Of whom, and of what.
    pub address: Address,
    /// The status.
    pub status: u16,
    /// What the registry says about it, if anything.
    pub said: Vec<Said>,
}

/// One thing that a registry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What happened.
    pub code: Code,
    /// In words; may be empty.
    pub message: Box<str>,
    /// More about it, as JSON; may be empty.
    pub detail: Box<str>,
}

impl Failure {
    /// Reads an answer that is not a success; of the body at most [`LONGEST`] bytes are looked at.
    pub fn read(request: &Request, head: &Head, body: &[u8]) -> Self {
        let body = &body[..body.len().min(LONGEST)];
        Self {
            method: request.method,
            address: request.address.clone(),
            status: head.status,
            said: errors(body).or_else(|| words(head, body)).unwrap_or_default(),
        }
    }

    /// Whether the registry says so.
    pub fn says(&self, code: &Code) -> bool {
        self.said.iter().any(|said| said.code == *code)
    }

    /// Whether the registry does not know how, or is told not to.
    pub fn is_unsupported(&self) -> bool {
        matches!(self.status, 405 | 501) || self.says(&Code::Unsupported)
    }

    /// Whether what the registry lacks is room: a quota, or a limit on sizes.
    fn is_full(&self) -> bool {
        let speaks_of_quota = |said: &Said| {
            matches!(&said.code, Code::Other(code) if code.contains("QUOTA"))
                || said.message.to_ascii_lowercase().contains("quota")
        };
        // A quota of requests is none of room: it is over soon.
        let is_of_room = !matches!(self.status, 408 | 425 | 429 | 503);
        matches!(self.status, 413 | 507) || (is_of_room && self.said.iter().any(speaks_of_quota))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} was answered with {}", self.method, self.address, self.status)?;
        if let Some(name) = name_of(self.status) {
            write!(out, " ({name})")?;
        }
        for (position, said) in self.said.iter().enumerate() {
            write!(out, "{} {said}", if position == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl Diagnose for Failure {
    fn kind(&self) -> Kind {
        if self.is_full() {
            return Kind::Limit;
        }
        let said = self.said.iter().find_map(|said| said.code.kind());
        said.unwrap_or(match self.status {
            401 | 403 | 407 => Kind::Denied,
            404 | 410 => Kind::NotFound,
            408 | 425 | 429 | 500..=599 => Kind::Unreachable,
            _ => Kind::Other,
        })
    }

    fn hint(&self) -> Option<String> {
        match self.kind() {
            Kind::Denied => Some(format!(
                "orlop login {}, or give --creds USER:PASSWORD, or a file of credentials with --authfile",
                self.address.site().authority()
            )),
            Kind::Limit if self.status == 413 => Some(
                "raise the registry's limit on bodies, or that of a proxy before it (client_max_body_size of nginx)".into(),
            ),
            Kind::Limit => Some("make room at the registry: remove images, or have its quota raised".into()),
            Kind::Unreachable if self.status == 429 || self.says(&Code::TooManyRequests) => Some(
                "wait, or be known to the registry with --creds USER:PASSWORD: many allow more to those they know".into(),
            ),
            Kind::Other if self.method == Method::Delete && self.is_unsupported() => {
                Some("switch deletion on at the registry (storage.delete.enabled of distribution)".into())
            }
            _ => None,
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::new(failure)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), &*self.message) {
            ("", message) => out.write_str(message)?,
            (code, "") => out.write_str(code)?,
            (code, message) => write!(out, "{message} [{code}]")?,
        }
        if self.detail.is_empty() { Ok(()) } else { write!(out, " {}", self.detail) }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal => $kind:expr,)*) => {
        /// What happened, as registries name it.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// A code that no specification names; empty where there was none.
            Other(Box<str>),
        }

        impl Code {
            /// As it goes over the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(text) => text,
                }
            }

            fn parse(text: &str) -> Self {
                match text {
                    $($text => Self::$name,)*
                    text => Self::Other(cut(text)),
                }
            }

            /// What the code means whatever the status is.
            fn kind(&self) -> Option<Kind> {
                match self {
                    $(Self::$name => $kind,)*
                    Self::Other(_) => None,
                }
            }
        }
    };
}

codes! {
    /// No such blob.
    BlobUnknown = "BLOB_UNKNOWN" => Some(Kind::NotFound),
    /// An upload that makes no sense.
    BlobUploadInvalid = "BLOB_UPLOAD_INVALID" => None,
    /// No such upload: it came to an end, or expired.
    BlobUploadUnknown = "BLOB_UPLOAD_UNKNOWN" => Some(Kind::Other),
    /// The bytes are not those of the digest.
    DigestInvalid = "DIGEST_INVALID" => Some(Kind::Integrity),
    /// A manifest names a blob that is not there.
    ManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN" => Some(Kind::Other),
    /// No such manifest.
    ManifestUnknown = "MANIFEST_UNKNOWN" => Some(Kind::NotFound),
    /// A manifest that the registry does not take.
    ManifestInvalid = "MANIFEST_INVALID" => None,
    /// A signature of schema 1 is wrong.
    ManifestUnverified = "MANIFEST_UNVERIFIED" => Some(Kind::Integrity),
    /// Not a name of a repository.
    NameInvalid = "NAME_INVALID" => None,
    /// No such repository.
    NameUnknown = "NAME_UNKNOWN" => Some(Kind::NotFound),
    /// The bytes have another size.
    SizeInvalid = "SIZE_INVALID" => None,
    /// Not a tag.
    TagInvalid = "TAG_INVALID" => None,
    /// Nobody said who asks.
    Unauthorized = "UNAUTHORIZED" => Some(Kind::Denied),
    /// Whoever asks must not.
    Denied = "DENIED" => Some(Kind::Denied),
    /// Not offered here.
    Unsupported = "UNSUPPORTED" => Some(Kind::Other),
    /// Too often.
    TooManyRequests = "TOOMANYREQUESTS" => Some(Kind::Unreachable),
    /// Not now.
    Unavailable = "UNAVAILABLE" => Some(Kind::Unreachable),
    /// The number of a page's entries makes no sense.
    PaginationNumberInvalid = "PAGINATION_NUMBER_INVALID" => None,
    /// A chunk that does not follow the one before.
    RangeInvalid = "RANGE_INVALID" => None,
    /// Nobody knows.
    Unknown = "UNKNOWN" => None,
}

fn errors(body: &[u8]) -> Option<Vec<Said>> {
    let value = crate::json::value(body).ok()?;
    let text = |value: &Value, name: &str| cut(value.get(name).and_then(Value::as_str).unwrap_or_default());
    let errors = match value.get("errors").and_then(Value::as_array) {
        Some(errors) => errors.iter().take(MOST).map(|error| Said {
            code: Code::parse(&text(error, "code").to_ascii_uppercase()),
            message: text(error, "message"),
            detail: detail(error.get("detail")),
        }),
        // Authorisation servers and proxies: RFC 6749, section 5.2, and no specification at all.
        None => {
            return one(["error_description", "details", "message", "error"].map(|name| text(&value, name)));
        }
    };
    Some(errors.collect())
}

fn one(candidates: [Box<str>; 4]) -> Option<Vec<Said>> {
    let message = candidates.into_iter().find(|text| !text.is_empty())?;
    Some(vec![Said { code: Code::Other("".into()), message, detail: "".into() }])
}

fn detail(value: Option<&Value>) -> Box<str> {
    match value {
        None | Some(Value::Null) => "".into(),
        Some(Value::String(text)) => cut(text),
        Some(Value::Object(map)) if map.is_empty() => "".into(),
        Some(value) => cut(&value.to_string()),
    }
}

/// The first line of a plain text; a page of HTML is for a browser.
fn words(head: &Head, body: &[u8]) -> Option<Vec<Said>> {
    let media_type = header::media_type(&head.headers);
    let is_plain = media_type.is_none_or(|it| matches!(it.as_str(), "text/plain" | "application/json"));
    let text = body.utf8_chunks().next()?.valid();
    if !is_plain || text.trim_start().starts_with('<') {
        return None;
    }
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(vec![Said { code: Code::Other("".into()), message: cut(line), detail: "".into() }])
}

fn cut(text: &str) -> Box<str> {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

fn name_of(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "bad request",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not found",
        405 => "method not allowed",
        413 => "too large",
        416 => "range not satisfiable",
        429 => "too many requests",
        500 => "server error",
        502 => "bad gateway",
        503 => "unavailable",
        504 => "gateway timeout",
        507 => "no room",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
