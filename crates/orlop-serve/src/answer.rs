//! Answers (RFC 9112), and how they go over a connection.
//!
//! ```text
//! HTTP/1.1 206 Partial Content ⏎ Content-Range: … ⏎ Content-Length: … ⏎ ⏎ bytes
//! ```
//!
//! Invariant: what follows the head is as long as the head says, or the connection ends. No head promises a blob that
//! cannot be opened. The last bytes of a blob that is sent whole leave only when all of it was what its digest says.

use crate::error::Error;
use crate::request::{After, Asked, Method};
use orlop_spec::digest::Hasher;
use orlop_spec::port::{Catalog, Origin, Result};
use orlop_spec::wire::Headers;
use orlop_spec::wire::failure::Code;
use orlop_spec::wire::header::{self, Sought};
use orlop_spec::{AnyDigest, Descriptor, Diagnose as _, Fault, json};
use serde_json::json;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

/// Bytes that are sent at once, and held back at the end of a blob until it is proven.
const BUFFER: usize = 128 << 10;

/// An answer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Body<'a>,
}

/// What follows the head.
pub(crate) enum Body<'a> {
    /// Nothing, and no length.
    None,
    /// These.
    Bytes(Arc<[u8]>),
    /// A part of a blob, or all of it.
    Blob(Part<'a>),
}

/// A part of a blob.
pub(crate) struct Part<'a> {
    origin: Box<dyn Origin + 'a>,
    digest: AnyDigest,
    first: u64,
    count: u64,
    whole: Whole,
}

/// Whether a part of a blob is all of it, which can be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Headers::default(), body: Body::None }
    }

    /// A document of ours.
    pub(crate) fn document(status: u16, media_type: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        let answer = Self { body: Body::Bytes(bytes.into()), ..Self::new(status) };
        answer.with("Content-Type", media_type)
    }

    /// A refusal as registries say it (item 123).
    pub(crate) fn refused(status: u16, code: &Code, message: &str) -> Self {
        let body = json!({ "errors": [{ "code": code.as_str(), "message": message, "detail": {} }] });
        Self::document(status, "application/json", json::print(&body))
    }

    /// The same with a field; one that could not go over the wire is left out.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.remove(name);
        let _is_added = self.headers.add(name, value);
        self
    }

    /// The same, or that nothing changed since the client asked last (RFC 9110, section 13.1.2).
    pub(crate) fn unless_known(self, asked: &Asked, tag: &str) -> Self {
        let tag = format!("\"{tag}\"");
        let answer = self.with("ETag", &tag);
        if !is_known(asked, &tag) {
            return answer;
        }
        answer
            .headers
            .iter()
            .filter(|(name, _)| !name.starts_with("Content-"))
            .fold(Self::new(304), |known, (name, value)| known.with(name, value))
    }

    /// What is asked for of a blob (item 104).
    pub(crate) fn blob(asked: &Asked, place: &'a dyn Catalog, blob: &Descriptor) -> Result<Self> {
        let Descriptor { digest, size, .. } = blob;
        let sought = match asked.headers.get("If-Range") {
            // RFC 9110, section 14.2: no other method knows parts.
            _ if asked.method != Method::Get => Sought::All,
            Some(tag) if tag.trim() != format!("\"{digest}\"") => Sought::All,
            _ => header::sought(&asked.headers, *size),
        };
        let part = |first, count, whole| -> Result<Body<'a>> {
            let origin = place.origin(blob)?;
            Ok(Body::Blob(Part { origin, digest: digest.clone(), first, count, whole }))
        };
        let answer = match sought {
            Sought::All => Self { body: part(0, *size, Whole::Yes)?, ..Self::new(200) },
            Sought::Part { first, last } => {
                let answer = Self { body: part(first, last - first + 1, Whole::No)?, ..Self::new(206) };
                answer.with("Content-Range", &format!("bytes {first}-{last}/{size}"))
            }
            Sought::Beyond => Self::refused(416, &Code::SizeInvalid, "the range lies beyond the end")
                .with("Content-Range", &format!("bytes */{size}")),
        };
        Ok(answer.with("Accept-Ranges", "bytes"))
    }

    fn size(&self) -> Option<u64> {
        match &self.body {
            Body::None => None,
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Blob(part) => Some(part.count),
        }
    }

    /// Sends it, or says that the blob is not there. An error ends the connection.
    pub(crate) fn send(self, method: Method, after: After, out: &mut dyn Write) -> io::Result<()> {
        let head = self.head(after);
        let mut send = |body: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>| {
            out.write_all(head.as_bytes())?;
            if method != Method::Head {
                body(out)?;
            }
            out.flush()
        };
        match self.body {
            Body::None => send(&mut |_| Ok(())),
            Body::Bytes(bytes) => send(&mut |out| out.write_all(&bytes)),
            Body::Blob(part) => match part.origin.open(part.first) {
                Ok(mut read) => send(&mut |out| part.pour(&mut *read, out)),
                Err(fault) => {
                    unopened(&fault).send(method, after, out)?;
                    if fault.is_absence() { Ok(()) } else { Err(io::Error::other(fault)) }
                }
            },
        }
    }

    fn head(&self, after: After) -> String {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let mut line = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                text.push_str(part);
            }
        };
        self.headers.iter().for_each(|(name, value)| line(name, value));
        line("X-Content-Type-Options", "nosniff");
        if let Some(size) = self.size() {
            line("Content-Length", &size.to_string());
        }
        if after == After::Close {
            line("Connection", "close");
        }
        text + "\r\n"
    }
}

fn is_known(asked: &Asked, tag: &str) -> bool {
    let mut known = asked.headers.all("If-None-Match").flat_map(|list| list.split(','));
    known.any(|it| matches!(it.trim(), "*") || it.trim().trim_start_matches("W/") == tag)
}

/// What is said of a blob that its manifest promised.
fn unopened(fault: &Fault) -> Answer<'static> {
    if fault.is_absence() {
        return Answer::refused(404, &Code::BlobUnknown, "blob unknown to registry");
    }
    Answer::refused(500, &Code::Unknown, "the server cannot read what it offers")
}

impl Part<'_> {
    fn pour(&self, from: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
        let proof = self.digest.known().ok().filter(|_| self.whole == Whole::Yes);
        let mut hasher = proof.map(|digest| Hasher::new(digest.algorithm()));
        let mut left = self.count;
        let mut buffer = vec![0; BUFFER];
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let piece = &mut buffer[..count];
            from.read_exact(piece).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => self.damaged(),
                _ => error,
            })?;
            left -= count as u64;
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
            if left == 0 && hasher.take().is_some_and(|hasher| Some(&hasher.finish()) != proof) {
                return Err(self.damaged());
            }
            out.write_all(piece)?;
        }
        Ok(())
    }

    fn damaged(&self) -> io::Error {
        io::Error::other(Fault::from(Error::Damaged { digest: self.digest.to_string().into() }))
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}
