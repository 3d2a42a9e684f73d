//! Names, passwords and tokens: auth files, credential helpers, what was typed, what an earlier run was given.
//!
//! ```text
//! --authfile | $REGISTRY_AUTH_FILE | $XDG_RUNTIME_DIR/containers/auth.json | /run/containers/UID/auth.json
//! $XDG_CONFIG_HOME/containers/auth.json      $DOCKER_CONFIG/config.json | ~/.docker/config.json      ~/.dockercfg
//! ```
//!
//! Invariant: the first file that says anything speaks alone; only the first is ever written, in one step, 0600.

use super::files::{self, LARGEST};
use super::{Bounds, Shared, Side, Surroundings};
use crate::error::Error;
use orlop_fs::error::Shown;
use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, FileKind, Persist};
use orlop_spec::network::{
    AuthFile, AuthForm, Credential, Found, Helper, Secrets, SettingsError, Token, TokenKey,
};
use orlop_spec::port::Result;
use orlop_spec::reference::Repository;
use std::fmt;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Where a secret was put or taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In this file.
    File(PathBuf),
    /// By this program.
    Helper(String),
}

impl fmt::Display for Kept {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "{}", Shown::from(path.as_os_str().as_bytes())),
            Self::Helper(program) => out.write_str(program),
        }
    }
}

/// What helpers say when they know nothing (the helper protocol, `credentials.ErrCredentialsNotFound`).
const NOT_FOUND: &[u8] = b"credentials not found in native keychain";

impl Secrets for Side {
    fn credential(&self, repository: &Repository) -> Result<Option<Credential>> {
        if let Some(typed) = &self.typed {
            // A mirror of the registry that was meant sees nothing of it.
            let is_meant = self.host.get().is_some_and(|host| **host == *repository.host());
            return if is_meant { Ok(Some(typed.clone())) } else { self.shared.find(repository) };
        }
        self.shared.find(repository)
    }

    fn token(&self, key: &TokenKey) -> Option<Token> {
        self.shared.tokens.find(key, (self.shared.given.now)())
    }

    fn keep(&self, key: &TokenKey, token: &Token) {
        self.shared.tokens.keep(key, token, (self.shared.given.now)());
    }
}

impl Shared {
    fn find(&self, repository: &Repository) -> Result<Option<Credential>> {
        for (shown, file) in &*self.auth_files.get(|| self.read_auth_files())? {
            let credential = match file.find(repository).map_err(files::damaged(shown))? {
                Found::Nothing => None,
                Found::Credential(credential) => Some(credential),
                Found::Helper(helper) => self.ask(&helper)?,
            };
            if credential.is_some() {
                return Ok(credential);
            }
        }
        Ok(None)
    }

    fn read_auth_files(&self) -> Result<Vec<(Shown, AuthFile)>> {
        let mut read = Vec::new();
        for (position, (path, form)) in self.auth_paths().into_iter().enumerate() {
            let is_named = position == 0 && self.named_auth_file().is_some();
            let file = match files::try_read(&path, LARGEST) {
                Ok(Some(file)) => file,
                // As skopeo: what a variable names may come to be with the first login.
                Ok(None) if is_named && self.given.authfile.is_some() => files::read(&path, LARGEST)?,
                Ok(None) => continue,
                // Without it the registry decides whether the image is for everybody.
                Err(error) if error.is_denied() && !is_named => {
                    self.warn(format!("{error}: its credentials are not used"));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let parsed = AuthFile::parse(&file.bytes, form).map_err(files::damaged(&file.shown))?;
            if file.mode & 0o004 != 0 && parsed.holds_secrets() {
                self.warn(format!("{} holds secrets, and everybody can read it: chmod 600 it", file.shown));
            }
            read.push((file.shown, parsed));
        }
        Ok(read)
    }

    fn named_auth_file(&self) -> Option<PathBuf> {
        self.given.authfile.clone().or_else(|| self.given.path("REGISTRY_AUTH_FILE"))
    }

    /// Every file in the order of asking; the first is the one that is written.
    fn auth_paths(&self) -> Vec<(PathBuf, AuthForm)> {
        let given = &self.given;
        let docker = given.path("DOCKER_CONFIG").map(|folder| folder.join("config.json"));
        let read_only = [
            (given.xdg("XDG_CONFIG_HOME", ".config", "containers/auth.json"), AuthForm::Whole),
            (docker.or_else(|| given.home(".docker/config.json")), AuthForm::Whole),
            (given.home(".dockercfg"), AuthForm::Legacy),
        ];
        let others = read_only.into_iter().filter_map(|(path, form)| Some((path?, form)));
        [(self.written_auth_file(), AuthForm::Whole)].into_iter().chain(others).collect()
    }

    fn written_auth_file(&self) -> PathBuf {
        let of_run = self.given.path("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
        let of_user = || self.given.system(&format!("/run/containers/{}/auth.json", self.given.user));
        self.named_auth_file().or(of_run).unwrap_or_else(of_user)
    }

    /// Asks a helper once in a run about one server.
    fn ask(&self, helper: &Helper) -> Result<Option<Credential>> {
        if let Some(answer) = self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(helper) {
            return Ok(answer.clone());
        }
        let program = helper.program();
        let ran = self.run(&program, "get", helper.server().as_bytes())?;
        let answer = match ran.succeeded {
            true => helper.answered(&ran.output).map_err(files::damaged(&Shown::from(&program)))?,
            false if is_not_found(&ran.output) => None,
            false => return Err(Error::HelperRefused { program, server: helper.server().into() }.into()),
        };
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(helper.clone(), answer.clone());
        Ok(answer)
    }

    fn run(&self, program: &str, argument: &str, input: &[u8]) -> Result<super::Ran> {
        let ran = self.given.programs.run(program, argument, input, &Bounds::default());
        ran.map_err(|source| Error::HelperFailed { program: program.into(), source }.into())
    }
}

fn is_not_found(output: &[u8]) -> bool {
    output.trim_ascii() == NOT_FOUND
}

impl Surroundings {
    /// Keeps a credential for a registry, or for a part of one: with the helper that the file to be written names for it,
    /// else in that file. Whether the registry takes it was to be found out before. The authorisation servers that this
    /// run was told to trust with it are kept as well.
    pub fn login(&self, place: &str, credential: &Credential) -> Result<Kept> {
        let shared = &*self.shared;
        let host = host_of(place)?;
        let path = shared.written_auth_file();
        shared.realms.keep()?;
        let change = |file: &mut AuthFile| {
            let helper = file.helper(&host)?;
            if helper.is_none() {
                file.set(place, credential)?;
            }
            Ok(helper)
        };
        let helper = edit(&path, change)?;
        shared.forget_secrets();
        let Some(helper) = helper else { return Ok(Kept::File(path)) };
        let message = helper.stored(credential).map_err(files::damaged(&Shown::from(&helper.program())))?;
        let program = helper.program();
        if !shared.run(&program, "store", &message)?.succeeded {
            return Err(Error::HelperRefused { program, server: helper.server().into() }.into());
        }
        Ok(Kept::Helper(program))
    }

    /// Forgets what is kept for a registry, or for a part of one, where [`Surroundings::login`] would keep it, and its
    /// authorisation servers; says where there was a credential.
    pub fn logout(&self, place: &str) -> Result<Vec<Kept>> {
        let shared = &*self.shared;
        let host = host_of(place)?;
        let path = shared.written_auth_file();
        shared.realms.forget(&host)?;
        let mut kept = Vec::new();
        let mut was_there = false;
        let change = |file: &mut AuthFile| {
            was_there = file.remove(place)?;
            file.helper(&host)
        };
        let helper = if files::try_read(&path, LARGEST)?.is_some() { edit(&path, change)? } else { None };
        shared.forget_secrets();
        if was_there {
            kept.push(Kept::File(path));
        }
        if let Some(helper) = helper {
            let program = helper.program();
            let ran = shared.run(&program, "erase", helper.server().as_bytes())?;
            if ran.succeeded {
                kept.push(Kept::Helper(program));
            } else if !is_not_found(&ran.output) {
                return Err(Error::HelperRefused { program, server: helper.server().into() }.into());
            }
        }
        Ok(kept)
    }
}

impl Shared {
    fn forget_secrets(&self) {
        self.auth_files.forget();
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The host of `HOST[:PORT][/NAME…]`.
fn host_of(place: &str) -> Result<Box<str>> {
    let bad = || Error::BadHost(place.into());
    // A part of a registry is named as a repository is; a lone host is a repository's host.
    let whole = if place.contains('/') { place.to_owned() } else { format!("{place}/x") };
    let host = place.split('/').next().unwrap_or_default();
    let repository = Repository::parse(&whole).map_err(|_| bad())?;
    let is_host =
        repository.host() == host || repository.host() == "docker.io" && host.ends_with(".docker.io");
    if is_host { Ok(host.into()) } else { Err(bad().into()) }
}

/// Changes an auth file in one step; a file that did not change is not written. Where the name is a link, the file behind
/// it is changed and the link stays.
fn edit<T>(path: &Path, change: impl FnOnce(&mut AuthFile) -> Result<T, SettingsError>) -> Result<T> {
    let path = behind_links(path)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::BadAuthPath(path).into());
    };
    let folder = Dir::create_all(parent)?;
    let _alone = folder.lock(Share::Exclusive, Wait::Yes)?;
    let read = files::try_read(&path, LARGEST)?;
    let shown = Shown::from(path.as_os_str().as_bytes());
    let mut file = match &read {
        Some(read) if !read.bytes.trim_ascii().is_empty() => {
            AuthFile::parse(&read.bytes, AuthForm::Whole).map_err(files::damaged(&shown))?
        }
        _ => AuthFile::new(),
    };
    let before = file.print();
    let outcome = change(&mut file).map_err(files::damaged(&shown))?;
    let after = file.print();
    if after != before {
        let mut temporary = folder.create_temp()?;
        // Before a byte is in it.
        temporary.file().set_mode(0o600)?;
        temporary.write_all(&after).map_err(|error| orlop_fs::Error::io("write", shown.as_bytes(), error))?;
        temporary.file().sync_data()?;
        temporary.persist(name.as_bytes(), Persist::Replace)?;
        folder.sync()?;
    }
    Ok(outcome)
}

/// Follows a name that is a link, as far as links lead.
fn behind_links(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..8 {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { break };
        let folder = match Dir::open(parent) {
            Err(error) if error.is_not_found() => break,
            folder => folder?,
        };
        match folder.try_stat(name.as_bytes())? {
            Some(stat) if stat.kind == FileKind::Symlink => {
                let target = folder.read_link(name.as_bytes())?;
                path = parent.join(std::ffi::OsStr::from_bytes(&target));
            }
            _ => break,
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
