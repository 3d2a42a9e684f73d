//! Who may be spoken to, and how: authorities of the system and of `certs.d`, client certificates, proxies.
//!
//! Invariant: nothing is read before a connection needs it; a file that was named and cannot be used is an error, never
//! passed over.

use super::Shared;
use super::files;
use super::hosts::{Known, folder_names};
use crate::error::Error;
use orlop_fs::Dir;
use orlop_spec::network::{Check, Credential, LookUp, NoProxy, Proxy, ProxyKind, Tls, Trust};
use orlop_spec::port::Result;
use orlop_spec::wire::{Scheme, Site};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

/// Where distributions keep their bundle of authorities.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cert.pem",
];
/// Folders of single certificates, where there is no bundle.
const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];
/// The largest bundle known has 0.5 MiB.
const LARGEST_BUNDLE: u64 = 16 << 20;
/// Client certificates with their whole chain.
const LARGEST_CERTIFICATE: u64 = 1 << 20;

impl Trust for Shared {
    fn tls(&self, site: &Site) -> Result<Tls> {
        let known = self.known(site);
        if known.insecure || self.is_named_insecure(site) {
            return Ok(Tls { roots: Vec::new(), client: self.client(site, &known)?, check: Check::None });
        }
        let mut roots = self.roots.get(|| self.system_roots())?.to_vec();
        for path in known.authorities.iter().chain(&self.certificates(site)?.authorities) {
            roots.push(files::read(path, LARGEST_BUNDLE)?.bytes);
        }
        if roots.is_empty() {
            self.warn("no certificates of authorities were found on this machine, so no site can be trusted");
        }
        Ok(Tls { roots, client: self.client(site, &known)?, check: Check::Full })
    }

    fn proxy(&self, site: &Site) -> Result<Option<Proxy>> {
        let no_proxy =
            || NoProxy::parse(&self.first_of(["NO_PROXY", "no_proxy"]).map_or_else(String::new, |it| it.1));
        let Some((variable, text)) = self.proxy_variable(site.scheme()) else { return Ok(None) };
        if no_proxy().covers(site) {
            return Ok(None);
        }
        parse_proxy(&text).map(Some).ok_or_else(|| Error::BadProxy { variable }.into())
    }

    fn dial_timeout(&self, site: &Site) -> Option<Duration> {
        self.known(site).dial_timeout
    }

    fn is_insecure(&self, site: &Site) -> bool {
        self.is_named_insecure(site) || self.known(site).insecure
    }

    fn may_tell(&self, registry: &Site, realm: &Site) -> bool {
        let is_named = self.given.realms.iter().any(|host| super::hosts::is_named(host, realm));
        if is_named {
            self.realms.note(registry, realm);
        }
        is_named || self.realms.is_kept(registry, realm)
    }
}

impl Shared {
    fn known(&self, site: &Site) -> Known {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner).get(site).cloned().unwrap_or_default()
    }

    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` as OpenSSL and Go read them: either hides all that the system has.
    fn system_roots(&self) -> Result<Vec<Vec<u8>>> {
        let (file, folders) = (self.given.path("SSL_CERT_FILE"), self.given.text("SSL_CERT_DIR"));
        if file.is_some() || folders.is_some() {
            let mut roots = Vec::new();
            if let Some(file) = file {
                roots.push(files::read(&file, LARGEST_BUNDLE)?.bytes);
            }
            for folder in folders.iter().flat_map(|folders| folders.split(':')).filter(|it| !it.is_empty()) {
                roots.extend(certificates_in(Path::new(folder))?);
            }
            return Ok(roots);
        }
        for path in BUNDLES {
            if let Some(bundle) = files::try_read(&self.given.system(path), LARGEST_BUNDLE)? {
                return Ok(vec![bundle.bytes]);
            }
        }
        for path in FOLDERS {
            let roots = certificates_in(&self.given.system(path))?;
            if !roots.is_empty() {
                return Ok(roots);
            }
        }
        Ok(Vec::new())
    }

    fn client(&self, site: &Site, known: &Known) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let of_folder = self.certificates(site)?.clients;
        let Some((certificate, key)) = known.clients.iter().chain(&of_folder).next() else { return Ok(None) };
        let certificate = files::read(certificate, LARGEST_CERTIFICATE)?.bytes;
        let key = match key {
            Some(key) => files::read(key, LARGEST_CERTIFICATE)?.bytes,
            None => certificate.clone(),
        };
        Ok(Some((certificate, key)))
    }

    /// The first folder of the site that there is speaks alone (containers-certs.d(5)).
    fn certificates(&self, site: &Site) -> Result<Known> {
        for folder in self.certificate_folders(site) {
            match Dir::open(&folder).and_then(|opened| opened.list()) {
                Ok(_) => return of_folder(&folder),
                // As the containers tools do: a folder that one may not read is meant for others.
                Err(error) if error.is_not_found() || error.is_denied() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Known::default())
    }

    fn certificate_folders(&self, site: &Site) -> Vec<PathBuf> {
        let mut names = vec![site.authority()];
        if names[0] == "registry-1.docker.io" {
            names.insert(0, "docker.io".into());
        }
        if names[0] == site.host() {
            names.push(format!("{}:{}", site.host(), site.port()));
        }
        let of_user = self.given.home(".config/containers/certs.d");
        let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(|path| self.given.system(path));
        let tops = of_user.into_iter().chain(system);
        let mut folders: Vec<_> =
            tops.flat_map(|top| names.iter().map(move |name| top.join(name)).collect::<Vec<_>>()).collect();
        // containerd reads certificates where there is no hosts.toml.
        for top in self.containerd_folders() {
            let of_host = names.iter().flat_map(|name| folder_names(name)).map(|name| top.join(name));
            folders.extend(of_host.filter(|folder| orlop_fs::stat::at(folder.join("hosts.toml")).is_err()));
        }
        folders
    }

    /// Go's order. A web server hands the header `Proxy` of a stranger to its programs as `HTTP_PROXY`, so there it is
    /// not believed.
    fn proxy_variable(&self, scheme: Scheme) -> Option<(&'static str, String)> {
        let own = match scheme {
            Scheme::Https => self.first_of(["HTTPS_PROXY", "https_proxy"]),
            Scheme::Http if self.given.text("REQUEST_METHOD").is_some() => self.first_of(["http_proxy"]),
            Scheme::Http => self.first_of(["HTTP_PROXY", "http_proxy"]),
        };
        own.or_else(|| self.first_of(["ALL_PROXY", "all_proxy"]))
    }

    fn first_of<const N: usize>(&self, variables: [&'static str; N]) -> Option<(&'static str, String)> {
        variables.into_iter().find_map(|name| Some((name, self.given.text(name)?)))
    }
}

/// `*.crt` vouch for the site; `NAME.cert` and `NAME.key` are who we are.
fn of_folder(folder: &Path) -> Result<Known> {
    let mut found = Known::default();
    for path in files::list(folder)? {
        let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
        match extension {
            "crt" => found.authorities.push(path),
            "cert" => {
                let key = path.with_extension("key");
                found.clients.push((path, Some(key)));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Every certificate in a folder; other files are passed over.
fn certificates_in(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for path in files::list(folder)? {
        let is_file = orlop_fs::stat::at(&path).is_ok_and(|stat| stat.kind == orlop_fs::FileKind::File);
        if is_file && let Ok(file) = files::read(&path, LARGEST_CERTIFICATE) {
            let is_certificate = file.bytes.windows(MARK.len()).any(|window| window == MARK);
            found.extend(is_certificate.then_some(file.bytes));
        }
    }
    Ok(found)
}

const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// `[http://|socks5://|socks5h://][USER[:PASSWORD]@]HOST[:PORT]`.
fn parse_proxy(text: &str) -> Option<Proxy> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let kind = match scheme.to_ascii_lowercase().as_str() {
        "http" => ProxyKind::Http,
        "socks5" => ProxyKind::Socks(LookUp::Here),
        "socks5h" => ProxyKind::Socks(LookUp::There),
        _ => return None,
    };
    let rest = rest.split(['/', '?', '#']).next()?;
    let (login, host) = match rest.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, rest),
    };
    let credential = match login {
        Some(login) => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            Some(Credential::Basic { user: unescape(user)?.into(), password: unescape(password)?.into() })
        }
        None => None,
    };
    Some(Proxy { site: proxy_site(kind, host)?, kind, credential })
}

fn proxy_site(kind: ProxyKind, host: &str) -> Option<Site> {
    let site = Site::parse(Scheme::Http, host).ok()?;
    // The port of a scheme that was meant by neither was not written.
    let has_port = Site::parse(Scheme::Https, host).ok()?.port() == site.port();
    match kind {
        ProxyKind::Socks(_) if !has_port => Site::parse(Scheme::Http, &format!("{host}:1080")).ok(),
        _ => Some(site),
    }
}

/// Undoes `%XX`.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control))
}

#[cfg(test)]
mod tests;
