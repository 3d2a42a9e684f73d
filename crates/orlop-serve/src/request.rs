//! Heads of requests (RFC 9112).
//!
//! ```text
//! GET /v2/app/manifests/1.0?ns=x HTTP/1.1 ⏎ Host: … ⏎ Range: … ⏎ ⏎
//! ```
//!
//! Invariant: a head longer than [`LONGEST`] is never kept in memory, one that can be understood in two ways is
//! refused, and a body is never read: nobody has anything to send here.

use orlop_spec::wire::route::split;
use orlop_spec::wire::{Headers, Query, header};

/// The longest head (N12).
pub const LONGEST: usize = 32 << 10;
/// The most fields of one.
const MOST_FIELDS: usize = 100;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is asked for.
    pub method: Method,
    /// Of what, without escapes.
    pub path: String,
    /// What stands behind the question mark.
    pub query: Query,
    /// What is said beside it.
    pub headers: Headers,
    /// What becomes of the connection.
    pub after: After,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Head and body.
    Get,
    /// The head alone.
    Head,
    /// Something that would change what is here.
    Other,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It can carry another request.
    Keep,
    /// It ends.
    Close,
}

/// Why a head is no request: the status that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub u16);

/// Takes a head off the front of what came; `None` where it is not whole yet.
pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Asked>, Refused> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    match head.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => {
            let asked = asked(&head)?;
            buffer.drain(..length);
            Ok(Some(asked))
        }
        Ok(httparse::Status::Partial) if buffer.len() >= LONGEST => Err(Refused(431)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(Refused(431)),
        Err(httparse::Error::Version) => Err(Refused(505)),
        Err(_) => Err(Refused(400)),
    }
}

fn asked(head: &httparse::Request<'_, '_>) -> Result<Asked, Refused> {
    let mut headers = Headers::default();
    for field in head.headers.iter() {
        let value = std::str::from_utf8(field.value).map_err(|_| Refused(400))?;
        if !headers.add(field.name, value) {
            return Err(Refused(400));
        }
    }
    let is_new = head.version == Some(1);
    // RFC 9112, section 3.2: exactly one.
    if headers.all("Host").count() != usize::from(is_new) && is_new {
        return Err(Refused(400));
    }
    let (path, query) = split(head.path.unwrap_or_default()).ok_or(Refused(400))?;
    let body = body(&headers)?;
    let says = |word: &str| {
        let mut words = headers.all("Connection").flat_map(|list| list.split(','));
        words.any(|it| it.trim().eq_ignore_ascii_case(word))
    };
    let stays = body == Body::None && !says("close") && (is_new || says("keep-alive"));
    Ok(Asked {
        method: match head.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        },
        path,
        query,
        after: if stays { After::Keep } else { After::Close },
        headers,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    None,
    Some,
}

/// Whether something follows the head (RFC 9112, section 6.3).
fn body(headers: &Headers) -> Result<Body, Refused> {
    let is_chunked = headers.get("Transfer-Encoding").is_some();
    match (headers.get("Content-Length"), header::content_length(headers)) {
        (Some(_), None) => Err(Refused(400)),
        (Some(_), _) if is_chunked => Err(Refused(400)),
        (None | Some(_), None | Some(0)) if !is_chunked => Ok(Body::None),
        _ => Ok(Body::Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Asked>, Refused> {
        take(&mut text.as_bytes().to_vec())
    }

    #[test]
    fn requests_that_follow_each_other_are_taken_one_by_one() {
        let mut buffer = b"GET /v2/?a=b HTTP/1.1\r\nHost: x\r\n\r\nHEAD /v2/ HTTP/1.0\r\n\r\nGET /".to_vec();
        let first = take(&mut buffer).expect("a head").expect("whole");
        assert_eq!(
            (first.method, first.path.as_str(), first.query.get("a")),
            (Method::Get, "/v2/", Some("b"))
        );
        assert_eq!(first.after, After::Keep);
        let second = take(&mut buffer).expect("a head").expect("whole");
        assert_eq!((second.method, second.after), (Method::Head, After::Close));
        assert_eq!(take(&mut buffer), Ok(None));
        assert_eq!(buffer, b"GET /");
    }

    #[test]
    fn n12_what_can_be_understood_in_two_ways_is_refused() {
        for (text, status) in [
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
            ("GET /%0d%0aX:y HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", 400),
            ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("\x16\x03\x01\x02\0\x01", 400),
        ] {
            assert_eq!(read(text), Err(Refused(status)), "{text:?}");
        }
    }

    #[test]
    fn n12_a_head_has_an_end() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: a", "x".repeat(LONGEST));
        assert_eq!(read(&long), Err(Refused(431)));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(MOST_FIELDS));
        assert_eq!(read(&many), Err(Refused(431)));
    }

    #[test]
    fn what_is_sent_ends_the_connection() {
        let after = |fields: &str| {
            let head = read(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
            head.expect("a head").expect("whole").after
        };
        assert_eq!(after(""), After::Keep);
        assert_eq!(after("Content-Length: 0\r\n"), After::Keep);
        assert_eq!(after("Content-Length: 5\r\n"), After::Close);
        assert_eq!(after("Transfer-Encoding: chunked\r\n"), After::Close);
        assert_eq!(after("Connection: x, Close\r\n"), After::Close);
    }
}
