//! What a client of registries is given, from files of settings and credentials, the environment and programs.
//!
//! ```text
//! Surroundings ─► Network { hosts, trust, secrets, journal }        the ports of orlop_spec::network
//!    hosts     registries.conf, hosts.toml           trust     system roots, certs.d, proxies
//!    secrets   auth files, helpers, kept tokens      journal   open uploads, who holds which blob
//!    check     policy.json, for images from anywhere          locked    names by a lock file, from anywhere
//! ```
//!
//! Invariant: nothing is read before it is asked for, and each thing once; no secret is in an error or a warning.

mod files;
mod hosts;
mod journal;
mod policy;
mod private;
mod programs;
mod realms;
mod secrets;
mod tokens;
mod trust;

pub use programs::{Bounds, Programs, Ran};
pub use secrets::Kept;

use crate::error::Error;
use crate::lock::{self, LockFile};
use crate::locked::Locked;
use hosts::Known;
use orlop_fs::error::Shown;
use orlop_spec::Timestamp;
use orlop_spec::network::{AuthFile, Credential, Helper, Network, Policy, Registries};
use orlop_spec::port::{Catalog, Result};
use orlop_spec::reference::{Reference, Repository};
use orlop_spec::wire::Site;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Reads a variable of the environment.
pub type Variables = Box<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// What the program hands in.
pub struct Given {
    /// The environment.
    pub variable: Variables,
    /// The present time.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Runs credential helpers.
    pub programs: Box<dyn Programs>,
    /// The caller's user id.
    pub user: u32,
    /// Where the system's files are: `/`.
    pub root: PathBuf,
    /// `--authfile`.
    pub authfile: Option<PathBuf>,
    /// `--creds`, for the one registry of the command, wherever it stands.
    pub any: Option<Credential>,
    /// `--src-creds`, for what is read.
    pub source: Option<Credential>,
    /// `--dest-creds`, for what is written.
    pub target: Option<Credential>,
    /// `--insecure HOST[:PORT]`; see [`is_host`].
    pub insecure: Vec<Box<str>>,
    /// `--realm HOST[:PORT]`: authorisation servers that may be told who asks.
    pub realms: Vec<Box<str>>,
    /// Which policy holds.
    pub policy: WhichPolicy,
    /// `--locked FILE`: what names mean, wherever an image is read.
    pub locked: Option<PathBuf>,
    /// Tells the user what is no error and should be known.
    pub warn: Box<dyn Fn(&str) + Send + Sync>,
}

impl Given {
    /// A machine below `root` without settings, variables, programs and users but `user`; its clock stands still.
    pub fn nothing(root: PathBuf, user: u32) -> Self {
        Self {
            variable: Box::new(|_| None),
            now: Box::new(|| Timestamp::EPOCH),
            programs: Box::new(()),
            user,
            root,
            authfile: None,
            any: None,
            source: None,
            target: None,
            insecure: Vec::new(),
            realms: Vec::new(),
            policy: WhichPolicy::Found,
            locked: None,
            warn: Box::new(|_| {}),
        }
    }
}

/// Which policy holds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum WhichPolicy {
    /// The user's, else the system's; without either every image may be used.
    #[default]
    Found,
    /// `--policy FILE`.
    File(PathBuf),
    /// `--insecure-policy`: none.
    None,
}

/// What a command does with the images of a registry; a credential that was typed is for one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// They come from there.
    Source,
    /// They go there.
    Target,
}

/// Everything around a command that has to do with networks. Costs nothing until it is asked.
pub struct Surroundings {
    shared: Arc<Shared>,
    source: Side,
    target: Side,
    journal: journal::Folder,
}

/// What both sides share.
struct Shared {
    given: Given,
    registries: Once<Registries>,
    roots: Once<Vec<Vec<u8>>>,
    sites: Mutex<HashMap<Site, Known>>,
    auth_files: Once<Vec<(Shown, AuthFile)>>,
    answers: Mutex<HashMap<Helper, Option<Credential>>>,
    tokens: tokens::Tokens,
    realms: realms::Realms,
    policy: Once<Option<(Shown, Policy)>>,
    locked: Once<LockFile>,
    warned: Mutex<HashSet<String>>,
}

/// One side of a command.
struct Side {
    shared: Arc<Shared>,
    typed: Option<Credential>,
    /// The registry that the user meant, which is the only one to see what was typed.
    host: Arc<OnceLock<Box<str>>>,
}

impl Surroundings {
    /// Takes note of what is given; reads nothing.
    pub fn new(mut given: Given) -> Self {
        let (any, source, target) = (given.any.take(), given.source.take(), given.target.take());
        // What is for the one registry of a command is for one on both sides together.
        let (host, other) = (Arc::default(), if any.is_some() { None } else { Some(Arc::default()) });
        let hosts = (Arc::clone(&host), other.unwrap_or(host));
        let tokens = given.xdg("XDG_CACHE_HOME", ".cache", "orlop/tokens");
        let realms = given.xdg("XDG_STATE_HOME", ".local/state", "orlop/realms");
        let journal = given.xdg("XDG_STATE_HOME", ".local/state", "orlop/journal");
        let journal = journal::Folder::new(journal, given.user);
        let shared = Arc::new(Shared {
            tokens: tokens::Tokens::new(tokens, given.user),
            realms: realms::Realms::new(realms, given.user),
            given,
            registries: Once::default(),
            roots: Once::default(),
            sites: Mutex::default(),
            auth_files: Once::default(),
            answers: Mutex::default(),
            policy: Once::default(),
            locked: Once::default(),
            warned: Mutex::default(),
        });
        let side = |typed: Option<Credential>, host| {
            let typed = typed.or_else(|| any.clone());
            Side { shared: Arc::clone(&shared), typed, host }
        };
        Self { source: side(source, hosts.0), target: side(target, hosts.1), shared, journal }
    }

    /// The ports for one side of a command.
    pub fn network(&self, role: Role) -> Network<'_> {
        let side = match role {
            Role::Source => &self.source,
            Role::Target => &self.target,
        };
        Network {
            hosts: side,
            trust: &*self.shared,
            secrets: side,
            journal: &self.journal,
            clock: &*self.shared.given.now,
        }
    }

    /// The place of a reference, with names that mean what the lock file says, where there is one.
    pub(crate) fn locked<'a>(
        &self,
        reference: &Reference,
        place: Box<dyn Catalog + 'a>,
    ) -> Result<Box<dyn Catalog + 'a>> {
        let Some(path) = &self.shared.given.locked else { return Ok(place) };
        let file = self.shared.locked.get(|| lock::read(path))?;
        Ok(Box::new(Locked { place, transport: reference.transport.clone(), file }))
    }

    /// What a name without a host means, in the order to try: by the aliases and the hosts to search of
    /// `registries.conf`, else on Docker's registry. Refuses to try several where the settings forbid it.
    pub fn qualify(&self, short: &str) -> Result<Vec<Repository>> {
        let registries = self.shared.registries()?;
        let meant = registries.qualify(short).map_err(hosts::in_entry)?;
        match meant.len() {
            0 => Ok(vec![Repository::parse(short)?]),
            1 => Ok(meant),
            _ if registries.may_try_hosts() => Ok(meant),
            _ => Err(Error::SeveralHosts { name: short.into(), meant }.into()),
        }
    }
}

/// Whether a text is `HOST[:PORT]` as a reference would name a registry.
pub fn is_host(text: &str) -> bool {
    Repository::parse(&format!("{text}/x")).is_ok_and(|it| it.host() == text)
}

/// Secrets are not printed, and nothing else is known before it is asked for.
impl fmt::Debug for Surroundings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

impl Shared {
    /// Once for each message.
    fn warn(&self, message: impl Into<String>) {
        let message = message.into();
        let is_news = self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(message.clone());
        if is_news {
            (self.given.warn)(&message);
        }
    }
}

impl Side {
    /// Takes note of the registry that the user named. What was typed for one registry goes to no second one.
    fn bind(&self, host: &str) -> Result<()> {
        let first = self.host.get_or_init(|| host.into());
        if self.typed.is_some() && **first != *host {
            return Err(Error::OneRegistry { first: first.clone(), second: host.into() }.into());
        }
        Ok(())
    }
}

/// Something that is found out once; an error is found out again.
struct Once<T>(Mutex<Option<Arc<T>>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Once<T> {
    fn get(&self, find: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(Arc::clone(known));
        }
        let found = Arc::new(find()?);
        *known = Some(Arc::clone(&found));
        Ok(found)
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests;
