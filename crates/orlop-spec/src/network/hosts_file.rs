//! `hosts.toml` of containerd: where a registry and its mirrors are, and how they are spoken to.
//!
//! ```text
//! server = "https://registry.example"          the registry itself, tried last
//! [host."https://mirror.example/v2/proxy"]     tried before it, in the order of the file
//!   capabilities = ["pull", "resolve", "push"]
//!   ca = "ca.crt"  client = [["client.cert", "client.key"]]  skip_verify = false  override_path = true
//! ```
//!
//! Invariant: an address ends in `/v2`, unless `override_path` says that its path is the whole root.

use super::settings::{self, SettingsError};
use super::{Access, Check, Serves};
use crate::wire::{Address, Site};
use serde::Deserialize;
use serde::de::IgnoredAny;

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
    header: Option<IgnoredAny>,
    #[serde(default)]
    override_path: bool,
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
        if self.header.is_some() {
            return Err(SettingsError::Unsupported("header"));
        }
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
            "[header]\nX = \"1\"",
            "skip_verify = \"no\"",
            "[host.\"https://a\"]\n[host.\"https://a\"]",
        ] {
            assert!(parse_hosts(text.as_bytes()).is_err(), "{text}");
        }
    }
}
