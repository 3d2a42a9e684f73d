//! `NO_PROXY`: which sites are spoken to without a proxy, by the rules that programs in Go have.
//!
//! ```text
//! *                     every site            example.com      it and all below it
//! 10.0.0.0/8, fd00::/8  addresses             .example.com     all below it
//! 10.1.2.3, [::1]       one address           either :8080     on that port alone
//! ```
//!
//! Invariant: this machine is never spoken to through a proxy; what is no rule is passed over.

use crate::wire::Site;
use std::net::IpAddr;

/// Which sites are spoken to without a proxy.
#[derive(Clone, Debug, Default)]
pub struct NoProxy(Vec<Rule>);

#[derive(Clone, Debug)]
enum Rule {
    All,
    Network {
        address: IpAddr,
        bits: u32,
    },
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    /// With a dot before it.
    Domain {
        below: Box<str>,
        itself: bool,
        port: Option<u16>,
    },
}

impl NoProxy {
    /// Reads a list with commas.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').filter_map(|word| Rule::parse(&word.trim().to_ascii_lowercase())).collect())
    }

    /// Whether a site is spoken to directly.
    pub fn covers(&self, site: &Site) -> bool {
        site.is_loopback() || self.0.iter().any(|rule| rule.covers(site))
    }
}

impl Rule {
    fn parse(word: &str) -> Option<Self> {
        if word == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = word.split_once('/') {
            let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self::Network { address, bits });
        }
        let (host, port) = match word.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().ok()?))
            }
            _ => (word, None),
        };
        if let Some(address) = address(host) {
            return Some(Self::Address { address, port });
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        match host.strip_prefix('.') {
            _ if host.is_empty() => None,
            Some(_) => Some(Self::Domain { below: host.into(), itself: false, port }),
            None => Some(Self::Domain { below: format!(".{host}").into(), itself: true, port }),
        }
    }

    fn covers(&self, site: &Site) -> bool {
        let fits = |port: &Option<u16>| port.is_none_or(|port| port == site.port());
        match self {
            Self::All => true,
            Self::Network { address: network, bits } => {
                address(site.host()).is_some_and(|address| is_within(address, *network, *bits))
            }
            Self::Address { address: known, port } => {
                fits(port)
                    && address(site.host())
                        .is_some_and(|address| address.to_canonical() == known.to_canonical())
            }
            Self::Domain { below, itself, port } => {
                fits(port) && (site.host().ends_with(&**below) || (*itself && site.host() == &below[1..]))
            }
        }
    }
}

fn address(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).parse().ok()
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Scheme;

    /// From the test table of Go's httpproxy, as its documentation tells the rules.
    #[test]
    fn sites_are_spared_by_gos_rules() {
        let list =
            "foo.com, .below.org:8443,*.star.net,10.0.0.0/8,192.0.2.7:81,[2001:db8::1],fd00::/8, ,:80,x/y";
        for (site, is_spared) in [
            ("foo.com", true),
            ("a.foo.com:1234", true),
            ("barfoo.com", false),
            ("a.below.org:8443", true),
            ("a.below.org", false),
            ("below.org:8443", false),
            ("a.star.net", true),
            ("star.net", false),
            ("10.200.1.1:5000", true),
            ("11.0.0.1", false),
            ("192.0.2.7:81", true),
            ("192.0.2.7", false),
            ("[2001:db8::1]:443", true),
            ("[2001:db8::2]", false),
            ("[fdff::1]", true),
            ("localhost:5000", true),
            ("127.8.9.1", true),
            ("[::1]:5000", true),
            ("other.example", false),
        ] {
            let site = Site::parse(Scheme::Https, site).expect(site);
            assert_eq!(NoProxy::parse(list).covers(&site), is_spared, "{site}");
            assert!(NoProxy::parse("a,*").covers(&site));
        }
        let site = Site::parse(Scheme::Https, "10.0.0.1").expect("a site");
        assert!(NoProxy::parse("0.0.0.0/0").covers(&site));
        assert!(!NoProxy::parse("10.0.0.0/33, 10.0.0.0/-1").covers(&site));
        assert!(!NoProxy::default().covers(&site));
    }
}
