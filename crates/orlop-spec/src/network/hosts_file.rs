//! `hosts.toml` of containerd: where a registry and its mirrors are, and how they are spoken to.
//!
//! ```text
//! server = "https://registry.example"          the registry itself, tried last
//! [host."https://mirror.example/v2/proxy"]     tried before it, in the order of the file
//!   capabilities = ["pull", "resolve", "push"]
//!   ca = "ca.crt"  client = [["client.cert", "client.key"]]  skip_verify = false  override_path = true
//!   dial_timeout = "3s"
//!   [host."https://mirror.example/v2/proxy".header]
//!     X-Tenant = ["a", "b"]                 may be a secret
//! ```
//!
//! Invariant: an address ends in `/v2`, unless `override_path` says that its path is the whole root. A key that nobody
//! knows is told, never passed over in silence.

use super::settings::{self, SettingsError};
use super::{Access, Added, Check, Serves};
use crate::wire::{Address, Headers, Site};
use serde::Deserialize;
use std::time::Duration;

/// One host of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// Where, and what stands there before the names of repositories; nothing for the registry itself.
    pub address: Option<(Site, Box<str>)>,
    /// Files that hold certificates of authorities; relative to the folder of the file.
    pub authorities: Vec<Box<str>>,
    /// Files that hold certificates and keys of the client; one file may hold both.
    pub clients: Vec<(Box<str>, Option<Box<str>>)>,
    /// Whether certificates are looked at.
    pub check: Check,
    /// Sent with every request to the host.
    pub headers: Added,
    /// How long connecting may take.
    pub dial_timeout: Option<Duration>,
    /// Keys that mean nothing to orlop.
    pub unknown: Vec<Box<str>>,
    capabilities: Capabilities,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Capabilities {
    pull: bool,
    resolve: bool,
    push: bool,
}

/// Parses a file: its hosts in order, and at last the server.
pub fn parse_hosts(text: &[u8]) -> Result<Vec<HostEntry>, SettingsError> {
    // The order of the tables is the order of trying, so they are kept as they stand.
    let mut written: toml::Table = settings::toml(settings::utf8(text)?)?;
    let hosts = match written.remove("host") {
        Some(toml::Value::Table(hosts)) => hosts,
        None => toml::Table::new(),
        Some(_) => return Err(SettingsError::Shape { key: "host".into(), kind: "a table of hosts" }),
    };
    let mut entries = Vec::with_capacity(hosts.len() + 1);
    for (address, host) in hosts {
        let host = host.try_into::<Written>().map_err(|error| shape(&address, &error))?;
        entries.push(host.resolve(Some(&address))?);
    }
    let server = written.try_into::<Written>().map_err(|error| shape("server", &error))?;
    let address = server.server.clone();
    entries.push(server.resolve(address.as_deref().filter(|address| !address.is_empty()))?);
    Ok(entries)
}

impl HostEntry {
    /// What may be asked of the host; nothing where it does not serve such access. A host that can only turn tags into
    /// digests is passed over: what comes next can do that too.
    pub fn serves(&self, access: Access) -> Option<Serves> {
        let Capabilities { pull, resolve, push } = self.capabilities;
        match access {
            Access::Read if pull && resolve => Some(Serves::All),
            Access::Read if pull => Some(Serves::Digests),
            Access::Write if push => Some(Serves::All),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Written {
    server: Option<Box<str>>,
    #[serde(default)]
    capabilities: Vec<Box<str>>,
    ca: Option<OneOrMore<Box<str>>>,
    client: Option<OneOrMore<Pair>>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    header: toml::Table,
    dial_timeout: Option<Box<str>>,
    #[serde(default)]
    override_path: bool,
    #[serde(flatten)]
    unknown: toml::Table,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn into_list(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::More(list) => list,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Pair {
    One(Box<str>),
    Two(Box<str>, Box<str>),
}

impl Written {
    fn resolve(self, address: Option<&str>) -> Result<HostEntry, SettingsError> {
        let list = |files: Option<OneOrMore<Box<str>>>| files.map_or_else(Vec::new, OneOrMore::into_list);
        let clients =
            self.client.map_or_else(Vec::new, OneOrMore::into_list).into_iter().map(|pair| match pair {
                Pair::One(both) => (both, None),
                Pair::Two(certificate, key) => (certificate, Some(key)),
            });
        Ok(HostEntry {
            address: address.map(|address| resolve_address(address, self.override_path)).transpose()?,
            authorities: list(self.ca),
            clients: clients.collect(),
            check: if self.skip_verify { Check::None } else { Check::Full },
            headers: headers(self.header)?,
            dial_timeout: self.dial_timeout.as_deref().map(duration).transpose()?.flatten(),
            unknown: self.unknown.into_iter().map(|(key, _)| key.into()).collect(),
            capabilities: Capabilities::parse(&self.capabilities)?,
        })
    }
}

impl Capabilities {
    /// None named means all.
    fn parse(words: &[Box<str>]) -> Result<Self, SettingsError> {
        let all = words.is_empty();
        let mut capabilities = Self { pull: all, resolve: all, push: all };
        for word in words {
            match word.to_ascii_lowercase().as_str() {
                "pull" => capabilities.pull = true,
                "resolve" => capabilities.resolve = true,
                "push" => capabilities.push = true,
                _ => return Err(SettingsError::UnknownWord { key: "capabilities", word: word.clone() }),
            }
        }
        Ok(capabilities)
    }
}

/// What a request says of itself: no setting says it otherwise.
const OWN: [&str; 14] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-range",
    "content-type",
    "expect",
    "host",
    "proxy-authorization",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn headers(written: toml::Table) -> Result<Added, SettingsError> {
    let mut headers = Headers::default();
    for (name, value) in written {
        if OWN.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(SettingsError::OwnHeader(name.into()));
        }
        let values = match value {
            toml::Value::Array(values) => values,
            one => vec![one],
        };
        for value in values {
            let is_sendable = value.as_str().is_some_and(|value| headers.add(&name, value.trim()));
            if !is_sendable {
                return Err(SettingsError::BadHeader(name.into()));
            }
        }
    }
    Ok(Added(headers))
}

/// A time as Go writes it: `300ms`, `1.5s`, `1m30s`. Nothing where it is zero: then there is no bound.
fn duration(text: &str) -> Result<Option<Duration>, SettingsError> {
    let bad = || SettingsError::BadDuration { key: "dial_timeout", text: text.into() };
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() && rest != "0" {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.').ok_or_else(bad)?;
        let number: f64 = rest[..end].parse().map_err(|_| bad())?;
        let units =
            [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let unit = units.iter().find(|(unit, _)| rest[end..].starts_with(unit)).ok_or_else(bad)?;
        seconds += number * unit.1;
        rest = &rest[end + unit.0.len()..];
    }
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| bad())?;
    if text.is_empty() { Err(bad()) } else { Ok(Some(time).filter(|time| !time.is_zero())) }
}

fn resolve_address(text: &str, is_whole: bool) -> Result<(Site, Box<str>), SettingsError> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let address = Address::parse(&whole).map_err(|_| SettingsError::BadLocation(text.into()))?;
    if address.target() != address.path() {
        return Err(SettingsError::BadLocation(text.into()));
    }
    let path = address.path().trim_end_matches('/');
    let root = if is_whole || path.ends_with("/v2") { path.into() } else { format!("{path}/v2") };
    Ok((address.site().clone(), root.into()))
}

fn shape(key: &str, error: &toml::de::Error) -> SettingsError {
    SettingsError::Toml { line: 1, message: format!("in `{key}`: {}", error.message()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_tried_in_the_order_of_the_file_and_the_server_last() {
        let entries = parse_hosts(
            br#"
server = "https://registry-1.docker.io"
ca = ["a.crt", "/b.crt"]

[host."https://z.example"]
  capabilities = ["pull", "resolve"]
[host."http://a.example:5000/cache/v2/"]
  capabilities = ["Pull"]
  client = [["c.cert", "c.key"], ["d.cert", "d.key"]]
[host."m.example/root"]
  override_path = true
  skip_verify = true
  client = "both.pem"
[host."https://p.example/proxy"]
  capabilities = ["push"]
  unheard = { of = 1 }
"#,
        )
        .expect("valid");
        let told: Vec<_> = entries
            .iter()
            .map(|entry| {
                let (site, root) = entry.address.as_ref().expect("each has an address");
                let serves = (entry.serves(Access::Read), entry.serves(Access::Write).is_some());
                (format!("{site} {root}"), serves)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("https://z.example /v2".to_owned(), (Some(Serves::All), false)),
                ("http://a.example:5000 /cache/v2".to_owned(), (Some(Serves::Digests), false)),
                ("https://m.example /root".to_owned(), (Some(Serves::All), true)),
                ("https://p.example /proxy/v2".to_owned(), (None, true)),
                ("https://registry-1.docker.io /v2".to_owned(), (Some(Serves::All), true)),
            ]
        );
        assert_eq!(entries[1].clients[1], ("d.cert".into(), Some("d.key".into())));
        assert_eq!(
            (entries[2].clients[0].clone(), entries[2].check),
            (("both.pem".into(), None), Check::None)
        );
        assert_eq!(*entries[4].authorities, ["a.crt".into(), "/b.crt".into()]);
    }

    #[test]
    fn headers_times_and_what_nobody_knows_are_kept() {
        let entries = parse_hosts(
            b"dial_timeout = \"0\"\n[header]\nX-Server = \"s\"\n[host.\"https://a.example\"]\ndial_timeout = \"1m0.5s\"\n\
              newer = 1\n[host.\"https://a.example\".header]\nX-One = [\"1\", \" 2 \"]\nauthorization = \"Basic eDp5\"\n",
        )
        .expect("valid");
        let told = |entry: &HostEntry| {
            let headers = entry.headers.iter().map(|(name, value)| format!("{name}: {value}"));
            (headers.collect::<Vec<_>>().join(", "), entry.dial_timeout, entry.unknown.join(","))
        };
        let sixty = Some(Duration::from_millis(60_500));
        assert_eq!(
            told(&entries[0]),
            ("X-One: 1, X-One: 2, authorization: Basic eDp5".into(), sixty, "newer".into())
        );
        assert_eq!(told(&entries[1]), ("X-Server: s".into(), None, String::new()));
        assert!(!format!("{:?}", entries[0]).contains("eDp5"), "it may be a secret");
    }

    #[test]
    fn without_a_server_the_registry_itself_comes_last() {
        let entries = parse_hosts(b"[host.\"https://a.example\"]\n").expect("valid");
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].address, None);
        assert_eq!(parse_hosts(b"").expect("valid").len(), 1);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for text in [
            "host = 1",
            "server = 1",
            "server = \"ftp://a\"",
            "server = \"https://u:p@a.example\"",
            "server = \"https://a.example/?x=1\"",
            "capabilities = [\"delete\"]",
            "client = [[\"a\"]]",
            "client = [[\"a\", \"b\", \"c\"]]",
            "ca = 1",
            "[header]\nHost = \"a.example\"",
            "[header]\ntransfer-Encoding = \"chunked\"",
            "[header]\nX = \"a\\r\\nHost: b\"",
            "[header]\n\"X Y\" = \"a\"",
            "[header]\nX = 1",
            "header = 1",
            "dial_timeout = 3",
            "dial_timeout = \"3\"",
            "dial_timeout = \"-3s\"",
            "dial_timeout = \"3 s\"",
            "dial_timeout = \"\"",
            "skip_verify = \"no\"",
            "[host.\"https://a\"]\n[host.\"https://a\"]",
        ] {
            assert!(parse_hosts(text.as_bytes()).is_err(), "{text}");
        }
    }
}
