//! Heads of requests and answers as text (RFC 9112).
//!
//! ```text
//! PUT /v2/app/blobs/uploads/7 HTTP/1.1 ⏎ Host: … ⏎ Content-Length: … ⏎ ⏎
//! HTTP/1.1 201 Created ⏎ Location: … ⏎ ⏎
//! ```
//!
//! Invariant: a head longer than [`LONGEST`] is never kept in memory, and one that can be understood in two ways is
//! not understood at all.

use super::Body;
use super::connection::{Connection, Way};
use super::watch::Watch;
use crate::error::Error;
use orlop_spec::port::Result;
use orlop_spec::wire::{Address, Head, Headers, Method, Request};
use std::io::ErrorKind;

/// The longest head of an answer (N12).
pub(crate) const LONGEST: usize = 64 << 10;
/// The most fields of one.
const MOST_FIELDS: usize = 256;
/// Interim answers (status 1xx) before the one that counts.
const MOST_INTERIM: usize = 16;
const USER_AGENT: &str = concat!("orlop/", env!("CARGO_PKG_VERSION"));

/// What an answer says about what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) head: Head,
    pub(crate) framing: Framing,
    pub(crate) after: After,
}

/// How long the body is (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(u64),
    /// In chunks that say their size.
    Chunked,
    /// Whatever comes until the connection ends.
    UntilEnd,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It can carry another request.
    Keep,
    /// It ends.
    Close,
}

/// Prints the head of a request.
pub(crate) fn print(request: &Request, body: &Body<'_>, way: &Way) -> Vec<u8> {
    let address = &request.address;
    let authority = address.site().authority();
    let target = match way {
        Way::Direct => address.target().to_owned(),
        Way::Proxied(_) => address.to_string(),
    };
    let mut text = format!("{} {target} HTTP/1.1\r\nHost: {authority}\r\n", request.method);
    let mut line = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            text.push_str(part);
        }
    };
    for (name, value) in request.headers.iter().filter(|(name, _)| !is_ours(name)) {
        line(name, value);
    }
    for (name, value) in [("User-Agent", USER_AGENT), ("Accept-Encoding", "identity")] {
        if request.headers.get(name).is_none() {
            line(name, value);
        }
    }
    if let Way::Proxied(Some(credential)) = way {
        line("Proxy-Authorization", credential);
    }
    if let Some(size) = size_of(request.method, body) {
        line("Content-Length", &size.to_string());
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// What the exchange alone decides.
fn is_ours(name: &str) -> bool {
    let ours = ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Proxy-Authorization", "Expect"];
    ours.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// RFC 9110, section 8.6: a method that means a body says its length even where it is 0.
fn size_of(method: Method, body: &Body<'_>) -> Option<u64> {
    match body {
        Body::Bytes(bytes) => Some(bytes.len() as u64),
        Body::Stream { size, .. } => Some(*size),
        Body::Empty => matches!(method, Method::Post | Method::Put | Method::Patch).then_some(0),
    }
}

/// Reads up to the head that counts.
pub(crate) fn receive(
    connection: &mut Connection,
    method: Method,
    watch: &mut Watch<'_>,
) -> Result<Received> {
    for _ in 0..=MOST_INTERIM {
        let received = loop {
            if let Some(received) = take(connection, method, watch.address())? {
                break received;
            }
            if connection.fill(watch).map_err(|error| watch.fault(error))? == 0 {
                return Err(watch.fault(ErrorKind::UnexpectedEof.into()));
            }
        };
        if !is_interim(received.head.status) {
            return Ok(received);
        }
    }
    Err(no_http(watch.address(), "too many interim answers").into())
}

/// Whether a head that counts has come while the body was still being sent. Interim ones are taken on the way.
pub(crate) fn has_come(connection: &mut Connection, address: &Address) -> Result<bool, Error> {
    loop {
        let Some((received, _)) = parse(connection.ahead(), Method::Get, address)? else { return Ok(false) };
        if !is_interim(received.head.status) {
            return Ok(true);
        }
        take(connection, Method::Get, address)?;
    }
}

/// Switching protocols was not asked for, so it is an answer like any other.
fn is_interim(status: u16) -> bool {
    (100..200).contains(&status) && status != 101
}

fn take(connection: &mut Connection, method: Method, address: &Address) -> Result<Option<Received>, Error> {
    let Some((received, size)) = parse(connection.ahead(), method, address)? else { return Ok(None) };
    connection.take(size);
    Ok(Some(received))
}

fn parse(bytes: &[u8], method: Method, address: &Address) -> Result<Option<(Received, usize)>, Error> {
    let is_whole = bytes.windows(2).zip(1..).any(|(pair, at)| {
        pair == b"\n\n" || (pair[0] == b'\n' && bytes.get(at..at + 2).is_some_and(|next| next == b"\r\n"))
    });
    if !is_whole {
        let could_be = bytes.len() < 5 || bytes.starts_with(b"HTTP/");
        return match bytes.len() {
            _ if !could_be => Err(no_http(address, "it does not begin with HTTP/")),
            LONGEST.. => Err(Error::LongHead { address: address.clone(), limit: LONGEST }),
            _ => Ok(None),
        };
    }
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let size = match response.parse(bytes) {
        Ok(httparse::Status::Complete(size)) if size <= LONGEST => size,
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Error::LongHead { address: address.clone(), limit: LONGEST });
        }
        Err(_) => return Err(no_http(address, "its head is malformed")),
    };
    Ok(Some((understand(&response, method, address)?, size)))
}

fn understand(
    response: &httparse::Response<'_, '_>,
    method: Method,
    address: &Address,
) -> Result<Received, Error> {
    let status = response.code.filter(|code| (100..600).contains(code));
    let status = status.ok_or_else(|| no_http(address, "its status is out of range"))?;
    let mut headers = Headers::default();
    for field in response.headers.iter() {
        // A field that holds control characters says nothing to us.
        let _is_plain = headers.add(field.name, &text(field.value));
    }
    let framing = framing(status, &headers, method).map_err(|what| no_http(address, what))?;
    let is_last = framing == Framing::UntilEnd
        || names(&headers, "Connection", "close")
        || (response.version == Some(0) && !names(&headers, "Connection", "keep-alive"));
    let after = if is_last { After::Close } else { After::Keep };
    Ok(Received { head: Head { status, headers }, framing, after })
}

fn framing(status: u16, headers: &Headers, method: Method) -> Result<Framing, &'static str> {
    if method == Method::Head || status < 200 || status == 204 || status == 304 {
        return Ok(Framing::Length(0));
    }
    let mut lengths = headers.all("Content-Length").flat_map(|value| value.split(',')).map(str::trim);
    let length = lengths.next();
    if lengths.any(|other| Some(other) != length) {
        return Err("it says two lengths");
    }
    match (headers.get("Transfer-Encoding"), length) {
        (Some(_), Some(_)) => Err("it says a length and chunks"),
        (Some(coding), None) if coding.trim().eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        (Some(_), None) => Err("its transfer coding is unknown"),
        (None, None) => Ok(Framing::UntilEnd),
        (None, Some(length)) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            length.parse().map(Framing::Length).map_err(|_| "its length is no number")
        }
        (None, Some(_)) => Err("its length is no number"),
    }
}

fn names(headers: &Headers, field: &str, word: &str) -> bool {
    headers.all(field).flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(word))
}

/// Headers are UTF-8 today and were ISO-8859-1 once.
fn text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn no_http(address: &Address, what: &'static str) -> Error {
    Error::NoHttp { address: address.clone(), what }
}
