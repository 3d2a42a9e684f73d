//! Which authorisation servers are asked, and which are told who we are (N1).
//!
//! ```text
//! asked:  TLS, or in the clear as the registry itself is; never from TLS to the clear; an inner address only for a
//!         registry that has one itself, or where the user named it
//! told:   what is asked, and is the registry's host, or known to be the registry's, or was named by the user
//! ```

use crate::dial;
use crate::error::Error;
use orlop_spec::network::Trust;
use orlop_spec::wire::{Address, Scheme, Site};

/// Registries whose authorisation server is another host, as they document it.
const PAIRS: &[(&str, &str)] = &[
    ("docker.io", "auth.docker.io"),
    ("index.docker.io", "auth.docker.io"),
    ("registry-1.docker.io", "auth.docker.io"),
    ("registry.hub.docker.com", "auth.docker.io"),
    ("docker.elastic.co", "docker-auth.elastic.co"),
    ("nvcr.io", "authn.nvidia.com"),
    ("registry.digitalocean.com", "api.digitalocean.com"),
    ("registry.gitlab.com", "gitlab.com"),
];

/// What an authorisation server is told about us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Who we are.
    Credential,
    /// Nothing, because there is nothing to tell.
    Nobody,
    /// Nothing, because it is not known to be the registry's.
    Withheld,
}

/// The realm as a challenge gives it: absolute, as the specification wants, or as a path of the registry.
pub(super) fn parse(home: &Site, text: &str) -> Result<Address, Error> {
    let whole = if text.starts_with('/') { Address::at(home.clone(), text) } else { Address::parse(text) };
    whole.map_err(|source| Error::BadRealm { site: home.clone(), source })
}

/// Whether it may be asked at all.
pub(super) fn may_ask(trust: &dyn Trust, home: &Site, realm: &Address) -> Result<(), Error> {
    let site = realm.site();
    let is_named = trust.is_insecure(site);
    let in_the_clear = site.scheme() == Scheme::Http
        && (home.scheme() == Scheme::Https || !(is_named || is_inner(site) || site.host() == home.host()));
    let is_inside = is_inner(site) && !is_inner(home) && !is_named;
    if in_the_clear || is_inside {
        return Err(Error::Realm { site: home.clone(), realm: realm.clone() });
    }
    Ok(())
}

/// Whether it is told who we are, given that it may be asked.
pub(super) fn may_tell(trust: &dyn Trust, home: &Site, realm: &Address) -> Told {
    let site = realm.site();
    let is_pair =
        PAIRS.contains(&(home.host(), site.host())) && site.scheme() == Scheme::Https && site.port() == 443;
    let is_safe = site.scheme() == Scheme::Https || site.is_loopback() || trust.is_insecure(site);
    let is_theirs =
        site.host() == home.host() || is_pair || trust.is_insecure(site) || trust.may_tell(home, site);
    if is_safe && is_theirs { Told::Credential } else { Told::Withheld }
}

/// Whether the name itself says that the site is on this machine or in a private network. What a name leads to is
/// looked at when it is connected to (N5).
fn is_inner(site: &Site) -> bool {
    let host = site.host().trim_start_matches('[').trim_end_matches(']');
    site.is_loopback() || host.parse().is_ok_and(dial::is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loopback::Plain;

    fn site(text: &str) -> Site {
        Address::parse(text).expect(text).site().clone()
    }

    /// What becomes of a credential: `None` where the realm is not even asked.
    fn told(home: &str, realm: &str) -> Option<Told> {
        let trust = Plain::default();
        let (home, realm) = (site(home), Address::parse(realm).expect(realm));
        may_ask(&trust, &home, &realm).ok().map(|()| may_tell(&trust, &home, &realm))
    }

    #[test]
    fn n1_a_credential_goes_to_the_registrys_own_realm() {
        for (home, realm) in [
            ("https://reg.example", "https://reg.example/token"),
            ("https://reg.example:5000", "https://reg.example/token"),
            ("https://registry-1.docker.io", "https://auth.docker.io/token"),
            ("http://localhost:5000", "http://localhost:5001/token"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token"),
        ] {
            assert_eq!(told(home, realm), Some(Told::Credential), "{home} {realm}");
        }
    }

    #[test]
    fn n1_a_strangers_realm_is_told_nothing() {
        for (home, realm) in [
            ("https://reg.example", "https://evil.example/token"),
            ("https://reg.example", "https://reg.example.evil/token"),
            ("https://evil.example", "https://auth.docker.io/token"),
            ("https://registry-1.docker.io", "https://auth.docker.io:8443/token"),
            ("http://127.0.0.1:5000", "https://evil.example/token"),
            ("http://127.0.0.1:5000", "http://10.0.0.1/token"),
        ] {
            assert_eq!(told(home, realm), Some(Told::Withheld), "{home} {realm}");
        }
    }

    #[test]
    fn n1_a_realm_in_the_clear_or_inside_is_not_asked() {
        for (home, realm) in [
            ("https://reg.example", "http://reg.example/token"),
            ("https://reg.example", "http://127.0.0.1/token"),
            ("https://reg.example", "https://127.0.0.1/token"),
            ("https://reg.example", "https://localhost/token"),
            ("https://reg.example", "https://10.1.2.3/token"),
            ("https://reg.example", "https://169.254.169.254/token"),
            ("https://reg.example", "https://[::ffff:10.0.0.1]/token"),
            ("https://reg.example", "https://[fd00::1]/token"),
            ("https://reg.example", "https://100.64.0.1/token"),
            ("https://reg.example", "https://[64:ff9b::a00:1]/token"),
            ("https://reg.example", "https://198.18.0.1/token"),
            ("http://127.0.0.1:5000", "http://evil.example/token"),
        ] {
            assert_eq!(told(home, realm), None, "{home} {realm}");
        }
    }

    #[test]
    fn n1_who_the_user_named_is_told() {
        let trust = Plain { insecure: [site("http://auth.lan")].into(), ..Plain::default() };
        let realm = Address::parse("http://auth.lan/token").expect("an address");
        let home = site("http://reg.lan");
        assert!(may_ask(&trust, &home, &realm).is_ok());
        assert_eq!(may_tell(&trust, &home, &realm), Told::Credential);
        assert!(may_ask(&trust, &site("https://reg.lan"), &realm).is_err(), "never from TLS to the clear");
    }
}
