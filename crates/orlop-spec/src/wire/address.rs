//! Addresses of the web: `http` and `https` alone (RFC 3986).
//!
//! ```text
//! https://registry.example:5000/v2/app/blobs/uploads/7?state=x
//! └─────────────┬─────────────┘└──────────────┬──────────────┘
//!              site                         target
//! ```
//!
//! Invariant: an address holds no user, no fragment and no control character; its host is lower case. Secrets and
//! trust are bound to the [`Site`]: another scheme, host or port is somebody else.

use fluent_uri::{Uri, UriRef};
use std::fmt;

/// How a site is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Under TLS.
    Https,
}

impl Scheme {
    /// As it is written before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Whom one speaks to: what credentials and trust are bound to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    scheme: Scheme,
    host: Box<str>,
    port: u16,
}

impl Site {
    /// Parses `HOST[:PORT]`, as a reference names a registry.
    pub fn parse(scheme: Scheme, host: &str) -> Result<Self, AddressError> {
        Ok(Address::parse(&format!("{}://{host}/", scheme.as_str()))?.site)
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or number; an IPv6 address stands in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, whether it was written or not.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `HOST[:PORT]`, the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether the name itself says that the site is this machine (RFC 6761, section 6.3).
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

impl fmt::Display for Site {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// A whole address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    site: Site,
    target: Box<str>,
}

/// Why a text is no address that orlop goes to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not RFC 3986.
    #[error("{0:?} is no address")]
    Malformed(Box<str>),
    /// Another scheme.
    #[error("{0:?} begins with neither http:// nor https://")]
    Scheme(Box<str>),
    /// A user before the host.
    #[error("an address must not hold a user or a password")]
    User,
    /// Longer than 8 KiB.
    #[error("an address of {0} bytes is too long")]
    Long(usize),
}

/// RFC 9110, section 4.1, asks for 8000 at least; nobody needs more.
const LONGEST: usize = 8 << 10;

impl Address {
    /// Parses an absolute address; a fragment is cut off.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let uri = Uri::parse(short(text)?).map_err(|_| AddressError::Malformed(text.into()))?;
        Self::of(&uri.to_owned(), text)
    }

    /// Follows a reference as a `Location` or a `Link` gives it: absolute or relative (RFC 3986, section 5.2).
    pub fn join(&self, reference: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(reference.into());
        let base = self.to_string();
        let base = Uri::parse(base.as_str()).map_err(|_| malformed())?;
        let reference = UriRef::parse(short(reference)?).map_err(|_| malformed())?;
        let whole = reference.resolve_against(&base).map_err(|_| malformed())?;
        Self::of(&whole, reference.as_str())
    }

    /// The same place with another path and query.
    pub fn at(site: Site, target: &str) -> Result<Self, AddressError> {
        Self { site, target: "/".into() }.join(target)
    }

    /// What lies beneath an address: one more part of the path, escaped; a query goes away.
    ///
    /// # Panics
    /// When the part is empty, `.` or `..`, which would not lie beneath.
    #[must_use]
    pub fn beneath(&self, part: &str) -> Self {
        assert!(!matches!(part, "" | "." | ".."), "{part:?} is no part of a path");
        let target = format!("{}/{}", self.path().trim_end_matches('/'), escape(part, b":"));
        Self { site: self.site.clone(), target: target.into() }
    }

    /// The same address with a slash at the end of its path; a query goes away.
    #[must_use]
    pub fn as_folder(&self) -> Self {
        let target = format!("{}/", self.path().trim_end_matches('/'));
        Self { site: self.site.clone(), target: target.into() }
    }

    /// The same address without its query.
    #[must_use]
    pub fn without_query(&self) -> Self {
        Self { site: self.site.clone(), target: self.path().into() }
    }

    /// The same address with one more parameter; the value is escaped.
    #[must_use]
    pub fn with_query(&self, key: &str, value: &str) -> Self {
        let separator = if self.target.contains('?') { '&' } else { '?' };
        let target = format!("{}{separator}{key}={}", self.target, escape(value, b":/"));
        Self { site: self.site.clone(), target: target.into() }
    }

    /// Whom one speaks to.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Path and query, as they go over the wire; begins with `/`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn of(uri: &Uri<String>, text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(text.into());
        let scheme = match uri.scheme().as_str() {
            it if it.eq_ignore_ascii_case("https") => Scheme::Https,
            it if it.eq_ignore_ascii_case("http") => Scheme::Http,
            _ => return Err(AddressError::Scheme(text.into())),
        };
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.userinfo().is_some() {
            return Err(AddressError::User);
        }
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.port().filter(|port| !port.is_empty()) {
            Some(port) => port.as_str().parse().ok().filter(|port| *port != 0).ok_or_else(malformed)?,
            None => scheme.port(),
        };
        if host.is_empty() {
            return Err(malformed());
        }
        let path = match uri.path().as_str() {
            "" => "/",
            path => path,
        };
        let target = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.into(),
        };
        Ok(Self { site: Site { scheme, host: host.into(), port }, target: target.into() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.site, self.target)
    }
}

fn short(text: &str) -> Result<&str, AddressError> {
    if text.len() > LONGEST { Err(AddressError::Long(text.len())) } else { Ok(text) }
}

/// Escapes everything but unreserved characters (RFC 3986, section 2.3) and those that the place allows.
pub(super) fn escape(value: &str, allowed: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || allowed.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _infallible = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Address {
        Address::parse(text).expect("an address")
    }

    #[test]
    fn a_location_is_followed_as_a_browser_would() {
        let base = parse("https://Reg.example/v2/app/blobs/uploads/?x=1#part");
        assert_eq!(base.to_string(), "https://reg.example/v2/app/blobs/uploads/?x=1");
        let cases = [
            ("/v2/app/7?state=a%2Fb", "https://reg.example/v2/app/7?state=a%2Fb"),
            ("7", "https://reg.example/v2/app/blobs/uploads/7"),
            ("//store.example:443/x", "https://store.example/x"),
            ("http://reg.example/x", "http://reg.example/x"),
            ("https://[::1]:5000", "https://[::1]:5000/"),
        ];
        for (location, whole) in cases {
            assert_eq!(base.join(location).expect(location).to_string(), whole);
        }
    }

    #[test]
    fn n3_an_address_holds_no_user_and_no_other_scheme() {
        let base = parse("https://reg.example/");
        for location in ["https://user:secret@evil/", "ftp://x/", "file:///etc/passwd", "https:///x"] {
            assert!(base.join(location).is_err(), "{location}");
        }
        assert!(Address::parse("https://a:0/").is_err());
        assert!(Address::parse("https://a:70000/").is_err());
        assert!(Address::parse("https://a/\r\nHost: b").is_err());
    }

    #[test]
    fn a_site_is_scheme_host_and_port() {
        assert_eq!(parse("https://a:443/x").site(), parse("https://A/y").site());
        assert_ne!(parse("https://a/").site(), parse("http://a/").site());
        assert_ne!(parse("https://a/").site(), parse("https://a:444/").site());
        for name in ["localhost:5000", "127.0.0.9", "[::1]:1", "x.localhost"] {
            assert!(Site::parse(Scheme::Http, name).expect(name).is_loopback(), "{name}");
        }
        assert!(!Site::parse(Scheme::Http, "127.0.0.1.example").expect("a name").is_loopback());
    }

    #[test]
    fn a_parameter_is_escaped() {
        let address = parse("https://a/v2/?n=1").with_query("digest", "sha256:a b&c");
        assert_eq!(address.target(), "/v2/?n=1&digest=sha256:a%20b%26c");
    }

    #[test]
    fn a_part_of_a_path_cannot_leave_its_folder() {
        let beneath = |part| parse("https://a/v2/?n=1").beneath(part).target().to_owned();
        assert_eq!(beneath("sha256:ab"), "/v2/sha256:ab");
        assert_eq!(beneath("../x?y#z"), "/v2/..%2Fx%3Fy%23z");
        assert!(std::panic::catch_unwind(|| beneath("..")).is_err());
    }
}
