//! `registries.conf` of the containers tools (containers-registries.conf(5)): where repositories really are, which are
//! blocked, which may be insecure, and what short names mean.
//!
//! ```text
//! unqualified-search-registries = ["HOST"]
//! short-name-mode = enforcing | permissive | disabled
//! [aliases]            short name = repository
//! [[registry]]         prefix, location, insecure, blocked, mirror-by-digest-only
//! [[registry.mirror]]  location, insecure, pull-from-mirror = all | digest-only | tag-only
//! ```
//!
//! Invariant: one entry alone speaks for a repository, the one with the longest prefix. Keys that are not named here
//! are left alone, as those tools do.

use super::settings::{self, SettingsError};
use super::{Access, Serves};
use crate::reference::Repository;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The settings of one file, or of several laid over each other.
#[derive(Clone, Debug, Default)]
pub struct Registries {
    entries: Vec<Registry>,
    search: Option<Vec<Box<str>>>,
    aliases: BTreeMap<Box<str>, Option<Repository>>,
    mode: Option<ShortNames>,
}

/// What is done about a short name that several hosts may have (`short-name-mode`). Nobody is asked: without a terminal
/// to ask on, the containers tools do the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShortNames {
    /// It is refused.
    Enforcing,
    /// The hosts are tried in their order: permissive, disabled.
    Tried,
}

/// One place where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The repository by its name there.
    pub repository: Repository,
    /// Whether the place may be insecure.
    pub insecure: bool,
    /// What may be asked there.
    pub serves: Serves,
}

/// What the entry of a repository says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The places to try, in order.
    Places(Vec<Place>),
    /// Nobody may go there; the prefix says which entry forbids it.
    Blocked(Box<str>),
}

#[derive(Clone, Debug)]
struct Registry {
    prefix: Box<str>,
    /// Empty where a prefix with a wildcard changes nothing.
    location: Box<str>,
    insecure: bool,
    blocked: bool,
    mirrors: Vec<Mirror>,
}

#[derive(Clone, Debug)]
struct Mirror {
    location: Box<str>,
    insecure: bool,
    serves: Serves,
}

impl Registries {
    /// Parses one file, of version 2 or the deprecated version 1.
    pub fn parse(text: &[u8]) -> Result<Self, SettingsError> {
        let written: Written = settings::toml(settings::utf8(text)?)?;
        let is_second = !written.registry.is_empty() || written.search.is_some() || written.aliases.is_some();
        match written.registries {
            Some(_) if is_second => Err(SettingsError::Contradiction(
                "settings of version 1 (`registries.search` and its like) and of version 2 are mixed",
            )),
            Some(first) => first.resolve(),
            None => written.resolve(),
        }
    }

    /// Lays a later file over this one: its values win, its entries replace those of the same prefix.
    pub fn overlay(&mut self, later: Self) {
        for registry in later.entries {
            match self.entries.iter_mut().find(|it| it.prefix == registry.prefix) {
                Some(same) => *same = registry,
                None => self.entries.push(registry),
            }
        }
        self.search = later.search.or(self.search.take());
        self.aliases.extend(later.aliases);
        self.mode = later.mode.or(self.mode);
    }

    /// What is said about a repository; nothing where no entry matches. Writing goes to the repository itself:
    /// neither mirrors nor another location hold for it.
    pub fn find(&self, repository: &Repository, access: Access) -> Result<Option<Verdict>, SettingsError> {
        let Some((registry, length)) = self.entry(repository)? else { return Ok(None) };
        if registry.blocked {
            return Ok(Some(Verdict::Blocked(registry.prefix.clone())));
        }
        let own = Place {
            repository: match access {
                Access::Read => moved(repository, length, &registry.location)?,
                Access::Write => repository.clone(),
            },
            insecure: registry.insecure,
            serves: Serves::All,
        };
        let mut places = Vec::new();
        for mirror in registry.mirrors.iter().filter(|_| access == Access::Read) {
            let repository = moved(repository, length, &mirror.location)?;
            places.push(Place { repository, insecure: mirror.insecure, serves: mirror.serves });
        }
        places.push(own);
        Ok(Some(Verdict::Places(places)))
    }

    /// What a short name means, in the order to try: its alias, else each host to search; empty where nothing is
    /// said. Several are tried only where [`Registries::may_try_hosts`].
    pub fn qualify(&self, short: &str) -> Result<Vec<Repository>, SettingsError> {
        if let Some(Some(repository)) = self.aliases.get(short) {
            return Ok(vec![repository.clone()]);
        }
        let search = self.search.iter().flatten();
        search.map(|host| repository(&format!("{host}/{short}"))).collect()
    }

    /// Whether a short name that may be on several hosts is looked for on each of them.
    pub fn may_try_hosts(&self) -> bool {
        self.mode != Some(ShortNames::Enforcing)
    }

    /// The entry with the longest prefix, and how much of the repository's name the prefix covers.
    fn entry(&self, repository: &Repository) -> Result<Option<(&Registry, usize)>, SettingsError> {
        let name = repository.to_string();
        let mut longest: Option<(&Registry, usize)> = None;
        for registry in &self.entries {
            if is_of_image(&registry.prefix) {
                if covers(bare(&registry.prefix), &name) == Some(name.len()) {
                    return Err(SettingsError::PrefixOfImage(registry.prefix.clone()));
                }
                continue;
            }
            let Some(length) = covers(&registry.prefix, &name) else { continue };
            let is_better = |(other, known): (&Registry, usize)| {
                (length, !registry.prefix.starts_with("*.")) > (known, !other.prefix.starts_with("*."))
            };
            if longest.is_none_or(is_better) {
                longest = Some((registry, length));
            }
        }
        Ok(longest)
    }
}

/// How many bytes of a repository's name a prefix covers, if it does; it ends where a part of the name ends.
fn covers(prefix: &str, name: &str) -> Option<usize> {
    let (host, _) = name.split_once('/').unwrap_or((name, ""));
    if let Some(domain) = prefix.strip_prefix('*') {
        // Only the name of a host is compared with a wildcard; a port is no part of it.
        return (host.len() > domain.len() && host.ends_with(domain)).then_some(host.len());
    }
    let rest = name.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
}

/// The repository with another beginning.
fn moved(repository: &Repository, length: usize, location: &str) -> Result<Repository, SettingsError> {
    if location.is_empty() {
        return Ok(repository.clone());
    }
    self::repository(&format!("{location}{}", &repository.to_string()[length..]))
}

/// A repository whose host is written out.
fn repository(text: &str) -> Result<Repository, SettingsError> {
    let bad = || SettingsError::BadLocation(text.into());
    let parsed = Repository::parse(text).map_err(|_| bad())?;
    let host = text.split('/').next().unwrap_or_default();
    let is_written = parsed.host() == host || host == "index.docker.io";
    if is_written { Ok(parsed) } else { Err(bad()) }
}

/// Whether a prefix names one image rather than repositories.
fn is_of_image(prefix: &str) -> bool {
    bare(prefix).len() < prefix.len()
}

fn bare(prefix: &str) -> &str {
    let name = prefix.split('@').next().unwrap_or_default();
    match (name.rfind(':'), name.rfind('/')) {
        (Some(colon), Some(slash)) if colon > slash => &name[..colon],
        _ => name,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    #[serde(default)]
    registry: Vec<WrittenRegistry>,
    #[serde(rename = "unqualified-search-registries")]
    search: Option<Vec<Box<str>>>,
    #[serde(rename = "short-name-mode")]
    mode: Option<Box<str>>,
    aliases: Option<BTreeMap<Box<str>, Box<str>>>,
    registries: Option<First>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenRegistry {
    #[serde(default)]
    prefix: Box<str>,
    #[serde(default)]
    location: Box<str>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<WrittenMirror>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenMirror {
    #[serde(default)]
    location: Box<str>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: Box<str>,
}

impl Written {
    fn resolve(self) -> Result<Registries, SettingsError> {
        let entries =
            self.registry.into_iter().map(WrittenRegistry::resolve).collect::<Result<Vec<_>, _>>()?;
        agree(&entries)?;
        for host in self.search.iter().flatten() {
            if place(host)?.contains('/') {
                return Err(SettingsError::BadLocation(host.clone()));
            }
        }
        let aliases = self.aliases.unwrap_or_default().into_iter().map(alias).collect::<Result<_, _>>()?;
        let mode = self.mode.as_deref().map(mode).transpose()?.flatten();
        Ok(Registries { entries, search: self.search, aliases, mode })
    }
}

impl WrittenRegistry {
    fn resolve(self) -> Result<Registry, SettingsError> {
        let prefix = if self.prefix.is_empty() { &self.location } else { &self.prefix };
        let prefix = place(prefix)?;
        if let Some(domain) = prefix.strip_prefix("*.")
            && domain.contains(['/', ':', '*'])
        {
            return Err(SettingsError::BadLocation(self.prefix));
        }
        let location = match &*self.location {
            "" if prefix.starts_with("*.") => "",
            location => place(location)?,
        };
        if location.contains('*') {
            return Err(SettingsError::BadLocation(self.location));
        }
        let by_digest = self.mirror_by_digest_only;
        let mirrors = self.mirror.into_iter().map(|mirror| mirror.resolve(by_digest));
        Ok(Registry {
            prefix: prefix.into(),
            location: location.into(),
            insecure: self.insecure,
            blocked: self.blocked,
            mirrors: mirrors.collect::<Result<_, _>>()?,
        })
    }
}

impl WrittenMirror {
    fn resolve(self, by_digest: bool) -> Result<Mirror, SettingsError> {
        if by_digest && !self.pull_from_mirror.is_empty() {
            return Err(SettingsError::Contradiction(
                "`mirror-by-digest-only` of a registry and `pull-from-mirror` of its mirror exclude each other",
            ));
        }
        let serves = match &*self.pull_from_mirror {
            _ if by_digest => Serves::Digests,
            "" | "all" => Serves::All,
            "digest-only" => Serves::Digests,
            "tag-only" => Serves::Tags,
            word => return Err(SettingsError::UnknownWord { key: "pull-from-mirror", word: word.into() }),
        };
        Ok(Mirror { location: place(&self.location)?.into(), insecure: self.insecure, serves })
    }
}

/// A prefix or a location, without slashes at its end.
fn place(text: &str) -> Result<&str, SettingsError> {
    let place = text.trim_end_matches('/');
    let is_odd = |character: char| character.is_control() || character.is_whitespace();
    if place.is_empty() || place.contains("://") || place.contains(is_odd) {
        return Err(SettingsError::BadLocation(text.into()));
    }
    Ok(place)
}

/// An empty word is none, as for the containers tools.
fn mode(word: &str) -> Result<Option<ShortNames>, SettingsError> {
    match word {
        "" => Ok(None),
        "enforcing" => Ok(Some(ShortNames::Enforcing)),
        "permissive" | "disabled" => Ok(Some(ShortNames::Tried)),
        word => Err(SettingsError::UnknownWord { key: "short-name-mode", word: word.into() }),
    }
}

/// An empty alias erases one of an earlier file.
fn alias((name, value): (Box<str>, Box<str>)) -> Result<(Box<str>, Option<Repository>), SettingsError> {
    if name.split('/').next().is_some_and(|first| first.contains(['.', ':']) || first == "localhost") {
        return Err(SettingsError::BadLocation(name));
    }
    let value = if value.is_empty() { None } else { Some(repository(&value)?) };
    Ok((name, value))
}

/// A prefix has one entry, and one location cannot be blocked and free, or insecure and not.
fn agree(entries: &[Registry]) -> Result<(), SettingsError> {
    let mut prefixes = BTreeSet::new();
    if let Some(twice) = entries.iter().find(|one| !prefixes.insert(&one.prefix)) {
        return Err(SettingsError::Twice(twice.prefix.clone()));
    }
    let mut known: BTreeMap<&str, &Registry> = BTreeMap::new();
    for one in entries.iter().filter(|one| !one.location.is_empty()) {
        let other = *known.entry(&one.location).or_insert(one);
        let key = match (one.insecure != other.insecure, one.blocked != other.blocked) {
            (true, _) => "insecure",
            (_, true) => "blocked",
            _ => continue,
        };
        return Err(SettingsError::Conflict { location: one.location.clone(), key });
    }
    Ok(())
}

/// Version 1: three lists of hosts.
#[derive(Deserialize)]
struct First {
    #[serde(default)]
    search: Hosts,
    #[serde(default)]
    insecure: Hosts,
    #[serde(default)]
    block: Hosts,
}

#[derive(Deserialize, Default)]
struct Hosts {
    #[serde(default)]
    registries: Vec<Box<str>>,
}

impl First {
    fn resolve(self) -> Result<Registries, SettingsError> {
        let mut settings = Registries::default();
        for host in self.block.registries.iter().chain(&self.insecure.registries) {
            let prefix = place(host)?;
            if settings.entries.iter().any(|it| &*it.prefix == prefix) {
                continue;
            }
            let stands_in =
                |list: &Hosts| list.registries.iter().any(|it| place(it).is_ok_and(|it| it == prefix));
            settings.entries.push(Registry {
                prefix: prefix.into(),
                location: prefix.into(),
                insecure: stands_in(&self.insecure),
                blocked: stands_in(&self.block),
                mirrors: Vec::new(),
            });
        }
        settings.search = Some(self.search.registries);
        Ok(settings)
    }
}

#[cfg(test)]
mod tests;
