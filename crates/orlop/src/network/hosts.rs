//! Where repositories are: `registries.conf` and its drop-ins, else containerd's `hosts.toml` of the host, else the
//! host itself (`docs/reference/hosts.md`).
//!
//! Invariant: in one run a site is insecure for all repositories or for none, because they share its connections; where
//! settings say otherwise the later repository is refused.

use super::files::{self, LARGEST};
use super::{Shared, Side};
use crate::error::Error;
use orlop_fs::error::Shown;
use orlop_layer::path::printable;
use orlop_spec::Fault;
use orlop_spec::network::{
    Access, Added, Check, Endpoint, HostEntry, Hosts, Place, Registries, Serves, SettingsError, Verdict,
    parse_hosts,
};
use orlop_spec::port::Result;
use orlop_spec::reference::Repository;
use orlop_spec::wire::{Scheme, Site};
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// What is known about a site beyond its name.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// Whether settings allow the clear, and certificates that nobody vouches for.
    pub(super) insecure: bool,
    /// Files of authorities, and of client certificates and their keys.
    pub(super) authorities: Vec<PathBuf>,
    pub(super) clients: Vec<(PathBuf, Option<PathBuf>)>,
    /// How long connecting may take.
    pub(super) dial_timeout: Option<Duration>,
}

/// Docker's registry is called one thing and lives elsewhere.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

impl Hosts for Side {
    fn endpoints(&self, repository: &Repository, access: Access) -> Result<Vec<Endpoint>> {
        self.bind(repository.host())?;
        let shared = &*self.shared;
        match shared.registries()?.find(repository, access).map_err(in_entry)? {
            Some(Verdict::Blocked(prefix)) => {
                Err(Error::Blocked { repository: repository.to_string().into(), prefix }.into())
            }
            Some(Verdict::Places(places)) => {
                let endpoint = |place: Place| shared.endpoint(place.repository, place.insecure, place.serves);
                places.into_iter().map(endpoint).collect()
            }
            None => shared.by_host(repository, access),
        }
    }
}

impl Shared {
    /// All files of `registries.conf` over each other.
    pub(super) fn registries(&self) -> Result<Arc<Registries>> {
        self.registries.get(|| {
            let mut settings = Registries::default();
            for path in self.registries_files()? {
                if let Some(file) = files::try_read(&path, LARGEST)? {
                    settings.overlay(Registries::parse(&file.bytes).map_err(files::damaged(&file.shown))?);
                }
            }
            Ok(settings)
        })
    }

    /// The user's file hides the system's, and its drop-ins (containers-registries.conf.d(5)).
    fn registries_files(&self) -> Result<Vec<PathBuf>> {
        let given = &self.given;
        let of_user = given.home(".config/containers/registries.conf");
        let drop_ins_of_user = given.home(".config/containers/registries.conf.d");
        let (main, folders) = match (given.path("CONTAINERS_REGISTRIES_CONF"), of_user) {
            (None, Some(main)) if orlop_fs::stat::at(&main).is_ok() => (main, vec![drop_ins_of_user]),
            (named, _) => {
                if let Some(named) = &named {
                    // What was named must be there.
                    orlop_fs::stat::at(named)?;
                }
                let main = named.unwrap_or_else(|| given.system("/etc/containers/registries.conf"));
                (main, vec![Some(given.system("/etc/containers/registries.conf.d")), drop_ins_of_user])
            }
        };
        let mut paths = vec![main];
        for folder in folders.into_iter().flatten() {
            let drop_ins = files::list(&folder)?;
            paths.extend(drop_ins.into_iter().filter(|path| path.extension().is_some_and(|it| it == "conf")));
        }
        Ok(paths)
    }

    fn by_host(&self, repository: &Repository, access: Access) -> Result<Vec<Endpoint>> {
        let Some((folder, entries)) = self.hosts_file(repository.host())? else {
            return Ok(vec![self.endpoint(repository.clone(), false, Serves::All)?]);
        };
        let mut endpoints = Vec::new();
        for entry in entries {
            if let Some(serves) = entry.serves(access) {
                endpoints.push(self.endpoint_of(&entry, &folder, (repository, access), serves)?);
            }
        }
        if endpoints.is_empty() {
            return Err(
                Error::NoHost { host: repository.host().into(), file: folder.join("hosts.toml") }.into()
            );
        }
        Ok(endpoints)
    }

    /// The first folder of the host, or of all hosts, that there is.
    fn hosts_file(&self, host: &str) -> Result<Option<(PathBuf, Vec<HostEntry>)>> {
        for top in self.containerd_folders() {
            for name in folder_names(host).chain(["_default".into()]) {
                let folder = top.join(name);
                if let Some(file) = files::try_read(&folder.join("hosts.toml"), LARGEST)? {
                    let entries = parse_hosts(&file.bytes).map_err(files::damaged(&file.shown))?;
                    for key in entries.iter().flat_map(|entry| &entry.unknown) {
                        let key = printable(key);
                        self.warn(format!(
                            "`{key}` of {} is a key that orlop does not know: it is not obeyed",
                            file.shown
                        ));
                    }
                    return Ok(Some((folder, entries)));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn containerd_folders(&self) -> Vec<PathBuf> {
        let of_user = self.given.home(".config/containerd/certs.d");
        of_user.into_iter().chain([self.given.system("/etc/containerd/certs.d")]).collect()
    }

    fn endpoint_of(
        &self,
        entry: &HostEntry,
        folder: &Path,
        (repository, access): (&Repository, Access),
        serves: Serves,
    ) -> Result<Endpoint> {
        let Some((site, root)) = &entry.address else {
            let endpoint = self.endpoint(repository.clone(), entry.check == Check::None, serves)?;
            self.add_files(&endpoint.sites, entry, folder);
            return Ok(Endpoint { headers: entry.headers.clone(), ..endpoint });
        };
        // Who writes http:// into a file of settings means it.
        let insecure = entry.check == Check::None || site.scheme() == Scheme::Http;
        self.note(std::slice::from_ref(site), insecure)?;
        self.add_files(std::slice::from_ref(site), entry, folder);
        let own = real(repository.host()) == site.authority();
        let name = format!("{}/{}", site.authority(), repository.name());
        let there = if own { repository.clone() } else { Repository::parse(&name)? };
        // A mirror may stand for several registries, and is told which one is read (containerd's `ns`).
        let namespace = (!own && access == Access::Read).then(|| repository.host().into());
        let (sites, root, headers) = (vec![site.clone()], root.clone(), entry.headers.clone());
        Ok(Endpoint { sites, root, repository: there, serves, namespace, headers })
    }

    /// The endpoint of a repository where its name says that it is. This machine is spoken to in the clear where it does
    /// not speak TLS.
    fn endpoint(&self, repository: Repository, insecure: bool, serves: Serves) -> Result<Endpoint> {
        let host = real(repository.host());
        let site = |scheme| Site::parse(scheme, host).map_err(|_| Fault::from(Error::BadHost(host.into())));
        let (https, http) = (site(Scheme::Https)?, site(Scheme::Http)?);
        let insecure = insecure || self.is_named_insecure(&https);
        let may_be_clear = insecure || https.is_loopback();
        let sites = if may_be_clear { vec![https, http] } else { vec![https] };
        self.note(&sites, insecure)?;
        let (namespace, headers) = (None, Added::NONE);
        Ok(Endpoint { sites, root: "/v2".into(), repository, serves, namespace, headers })
    }

    /// Remembers how sites may be spoken to.
    fn note(&self, sites: &[Site], insecure: bool) -> Result<()> {
        let mut known = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        for site in sites {
            match known.entry(site.clone()) {
                Entry::Occupied(entry) if entry.get().insecure != insecure => {
                    return Err(Error::MixedSecurity { host: site.authority() }.into());
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(entry) => {
                    entry.insert(Known { insecure, ..Known::default() });
                }
            }
        }
        Ok(())
    }

    fn add_files(&self, sites: &[Site], entry: &HostEntry, folder: &Path) {
        let mut known = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        for site in sites {
            let known = known.entry(site.clone()).or_default();
            known.authorities = entry.authorities.iter().map(|file| folder.join(&**file)).collect();
            let pair = |(certificate, key): &(Box<str>, Option<Box<str>>)| {
                (folder.join(&**certificate), key.as_deref().map(|key| folder.join(key)))
            };
            known.clients = entry.clients.iter().map(pair).collect();
            known.dial_timeout = entry.dial_timeout;
        }
    }

    /// Whether the user named a site with `--insecure`; without a port that of the scheme is meant.
    pub(super) fn is_named_insecure(&self, site: &Site) -> bool {
        self.given.insecure.iter().any(|host| is_named(real(host), site))
    }
}

/// Whether a user who typed `HOST[:PORT]` means this site.
pub(super) fn is_named(host: &str, site: &Site) -> bool {
    let is_it = |scheme| {
        Site::parse(scheme, host).is_ok_and(|it| it.host() == site.host() && it.port() == site.port())
    };
    is_it(Scheme::Https) || is_it(Scheme::Http)
}

/// An error of an entry shows when a repository meets it, and then it is of one of several files.
pub(super) fn in_entry(source: SettingsError) -> Error {
    Error::Settings { file: Shown::from("registries.conf"), source }
}

fn real(host: &str) -> &str {
    if host == HUB.0 { HUB.1 } else { host }
}

/// How folders of settings call a host: with `_PORT_` for file systems that dislike colons, and as it is.
pub(super) fn folder_names(host: &str) -> impl Iterator<Item = String> {
    let without_colon = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    without_colon.map(|(name, port)| format!("{name}_{port}_")).into_iter().chain([host.to_owned()])
}
