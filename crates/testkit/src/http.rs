//! HTTP/1.1 as far as test servers need it (RFC 9112): requests are read, answers are written.
//!
//! ```text
//! METHOD target HTTP/1.1        HTTP/1.1 STATUS reason
//! Name: value                   Name: value
//!                               Content-Length: N
//! body (length or chunks)
//!                               body
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

/// No request of a test is larger.
const MOST: u64 = 1 << 30;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names and values in order.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Asked {
    /// Reads a head; `None` at the end of the connection, and where it is no request.
    pub fn head(stream: &mut impl BufRead) -> Option<Self> {
        let line = line(stream)?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = Vec::new();
        loop {
            let line = self::line(stream)?;
            if line.is_empty() {
                return Some(Self { method, target, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// Reads the body that the head announced; what came of it stays where the connection ends early.
    pub fn read_body(&mut self, stream: &mut impl BufRead) -> io::Result<()> {
        if self.header("Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return self.read_chunks(stream);
        }
        let length = self.header("Content-Length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
        self.read_exactly(stream, length)
    }

    fn read_chunks(&mut self, stream: &mut impl BufRead) -> io::Result<()> {
        let end = || io::Error::from(io::ErrorKind::UnexpectedEof);
        loop {
            let size = line(stream).ok_or_else(end)?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            self.read_exactly(stream, size)?;
            line(stream).ok_or_else(end)?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn read_exactly(&mut self, stream: &mut impl BufRead, length: u64) -> io::Result<()> {
        if length > MOST {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let read = stream.take(length).read_to_end(&mut self.body)?;
        if read as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// The first value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Parameters of the query; of several with one name, all.
    pub fn query(&self) -> BTreeMap<String, Vec<String>> {
        parameters(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    /// The first value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query().remove(name).map(|mut values| values.swap_remove(0))
    }

    /// User and password, where they were sent.
    pub fn basic(&self) -> Option<(String, String)> {
        let words = self.header("Authorization")?.strip_prefix("Basic ")?;
        let text = String::from_utf8(from_base64(words)?).ok()?;
        text.split_once(':').map(|(user, password)| (user.into(), password.into()))
    }

    /// The bearer token, where one was sent.
    pub fn bearer(&self) -> Option<&str> {
        self.header("Authorization")?.strip_prefix("Bearer ")
    }

    /// Whether anything was sent that only its owner may see.
    pub fn has_secret(&self) -> bool {
        ["Authorization", "Proxy-Authorization", "Cookie"].iter().any(|name| self.header(name).is_some())
    }
}

/// `a=b&c=d`, unescaped.
pub fn parameters(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        all.entry(unescape(name)).or_default().push(unescape(value));
    }
    all
}

fn unescape(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    stream.take(1 << 20).read_until(b'\n', &mut bytes).ok()?;
    let text = bytes.strip_suffix(b"\n")?;
    Some(String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned())
}

/// An answer. Without a `Content-Length` of its own it gets the right one.
#[derive(Clone, Debug)]
pub struct Reply {
    /// From 100 to 599.
    pub status: u16,
    /// Names and values in order; nothing is checked.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer without a body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An answer with a JSON document.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status).with("Content-Type", "application/json").body(value.to_string())
    }

    /// An error as registries tell it.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &serde_json::json!({"errors": [{"code": code, "message": message}]}))
    }

    /// The same with a field, in place of one of that name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(it, _)| !it.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(it, _)| !it.eq_ignore_ascii_case(name));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The first value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The head as it is sent.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let is_framed = self.header("Content-Length").or(self.header("Transfer-Encoding")).is_some();
        if !is_framed && self.status >= 200 && self.status != 204 && self.status != 304 {
            head.extend(["Content-Length: ", &self.body.len().to_string(), "\r\n"]);
        }
        (head + "\r\n").into_bytes()
    }

    /// Sends it; the body is left out where the request was a HEAD.
    pub fn send(&self, asked: &Asked, stream: &mut impl Write) -> io::Result<()> {
        stream.write_all(&self.head())?;
        if asked.method != "HEAD" {
            stream.write_all(&self.body)?;
        }
        stream.flush()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200..=299 => "Fine",
        300..=399 => "Elsewhere",
        400..=499 => "Refused",
        _ => "Broken",
    }
}

/// Serves requests one after the other until the connection ends.
pub fn serve(stream: impl Read + Write, answer: impl Fn(&Asked) -> Reply) {
    let mut stream = io::BufReader::new(stream);
    while let Some(mut asked) = Asked::head(&mut stream) {
        if asked.header("Expect").is_some() && stream.get_mut().write_all(CONTINUE).is_err() {
            return;
        }
        if asked.read_body(&mut stream).is_err() || answer(&asked).send(&asked, stream.get_mut()).is_err() {
            return;
        }
    }
}

/// What lets a client begin its body (RFC 9110, section 15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648, section 4).
pub fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = ALPHABET[(group >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let group = four.iter().try_fold(0, |sum, letter| {
            ALPHABET.iter().position(|it| it == letter).map(|value| sum << 6 | value)
        })?;
        let group = (group << (6 * (4 - four.len()))).to_be_bytes();
        out.extend(&group[group.len() - 3..][..four.len() - 1]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_length_or_its_chunks() {
        let text = b"PUT /v2/a?digest=a%3Ab&scope=x&scope=y+z HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
            PATCH / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nAuthorization: Basic dTpw\r\n\r\n2\r\nde\r\n0\r\n\r\n";
        let mut stream = &text[..];
        let mut put = Asked::head(&mut stream).expect("a request");
        put.read_body(&mut stream).expect("a body");
        assert_eq!((put.method.as_str(), put.path(), put.body.as_slice()), ("PUT", "/v2/a", &b"abc"[..]));
        assert_eq!(put.parameter("digest").as_deref(), Some("a:b"));
        assert_eq!(put.query()["scope"], ["x", "y z"]);
        let mut patch = Asked::head(&mut stream).expect("a request");
        patch.read_body(&mut stream).expect("a body");
        assert_eq!(patch.body, b"de");
        assert_eq!(patch.basic(), Some(("u".into(), "p".into())));
        assert!(patch.has_secret() && !put.has_secret());
        assert!(Asked::head(&mut stream).is_none());
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text).as_deref(), Some(bytes.as_bytes()));
        }
    }

    #[test]
    fn an_answer_has_a_length() {
        let head = String::from_utf8(Reply::new(200).with("A", "b").body("xy").head()).expect("text");
        assert_eq!(head, "HTTP/1.1 200 Fine\r\nA: b\r\nContent-Length: 2\r\n\r\n");
    }
}
