//! Files of credentials: docker's `config.json`, the containers tools' `auth.json`, and the legacy `.dockercfg`.
//!
//! ```text
//! { "auths":       { "host": {"auth": base64(USER:PASSWORD)}, "host/ns": {"identitytoken": …} },
//!   "credHelpers": { "host": "NAME" },        asks docker-credential-NAME about that host
//!   "credsStore":  "NAME",                    asks it about every host
//!   …                                         kept as it is }
//! ```
//!
//! Invariant: nothing of an entry is ever printed; what a change does not touch stays as it was.

use super::{Credential, SettingsError};
use crate::base64;
use crate::json::{self, Extra};
use crate::reference::Repository;
use serde_json::{Map, Value};
use std::fmt;

/// Which of the two shapes a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthForm {
    /// With `auths` and its like on top.
    Whole,
    /// `.dockercfg`: the entries on top; keys are hosts or addresses, never parts of them.
    Legacy,
}

/// A file of credentials.
#[derive(Clone)]
pub struct AuthFile {
    form: AuthForm,
    document: Extra,
}

/// What a file says about a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// The secret itself.
    Credential(Credential),
    /// Whom to ask.
    Helper(Helper),
}

/// A program that keeps secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Helper {
    name: Box<str>,
    server: Box<str>,
}

/// Under which key Docker's registry has always been kept.
const HUB: &str = "https://index.docker.io/v1/";
/// The members that hold secrets.
const SECRETS: [&str; 5] = ["auth", "identitytoken", "registrytoken", "username", "password"];

impl AuthFile {
    /// A file that says nothing.
    pub fn new() -> Self {
        Self { form: AuthForm::Whole, document: Map::new() }
    }

    /// Parses a file.
    pub fn parse(bytes: &[u8], form: AuthForm) -> Result<Self, SettingsError> {
        match json::value(bytes)? {
            Value::Object(document) => Ok(Self { form, document }),
            _ => Err(shape("the whole file", "an object")),
        }
    }

    /// What the file says about a repository. A helper of the host comes first; then the entry with the longest key
    /// that is the repository, a folder above it, or its host; then the store for everything.
    pub fn find(&self, repository: &Repository) -> Result<Found, SettingsError> {
        if let Some(helper) = self.helper_of(repository.host())? {
            return Ok(Found::Helper(helper));
        }
        if let Some((key, entry)) = self.entry(repository)?
            && let Some(credential) = decode(key, entry)?
        {
            return Ok(Found::Credential(credential));
        }
        Ok(self.store(repository.host())?.map_or(Found::Nothing, Found::Helper))
    }

    /// The helper that keeps the secrets of a host, where the file names one.
    pub fn helper(&self, host: &str) -> Result<Option<Helper>, SettingsError> {
        Ok(self.helper_of(host)?.or(self.store(host)?))
    }

    /// Whether any secret stands in the file itself.
    pub fn holds_secrets(&self) -> bool {
        let holds = |entry: &Value| SECRETS.iter().any(|key| entry.get(key).is_some_and(|it| it != ""));
        self.entries().is_ok_and(|entries| entries.is_some_and(|entries| entries.values().any(holds)))
    }

    /// Writes the secret of a host or a part of it into the file; other members of its entry stay.
    pub fn set(&mut self, place: &str, credential: &Credential) -> Result<(), SettingsError> {
        let (member, text) = match credential {
            Credential::Basic { user, .. } if user.contains(':') => {
                return Err(SettingsError::Unkept("a user with a colon in it cannot be kept in a file"));
            }
            Credential::Basic { user, password } => {
                ("auth", base64::encode(format!("{user}:{password}").as_bytes()))
            }
            Credential::Refresh(token) => ("identitytoken", token.to_string()),
            Credential::Bearer(token) => ("registrytoken", token.to_string()),
        };
        // Where a place has several spellings in the file, any of them may be read by somebody.
        let mut keys = self.keys_of(place)?;
        if keys.is_empty() {
            keys.push(place.into());
        }
        for key in keys {
            let entry = self.entries_mut()?.entry(key).or_insert(Value::Null);
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            let entry = entry.as_object_mut().expect("it was made an object");
            entry.retain(|name, _| !SECRETS.contains(&name.as_str()));
            entry.insert(member.into(), text.as_str().into());
        }
        Ok(())
    }

    /// Removes what the file holds for a host or a part of it; whether there was anything.
    pub fn remove(&mut self, place: &str) -> Result<bool, SettingsError> {
        let keys = self.keys_of(place)?;
        for key in &keys {
            self.entries_mut()?.shift_remove(key);
        }
        Ok(!keys.is_empty())
    }

    /// The file's text.
    pub fn print(&self) -> Vec<u8> {
        use serde::Serialize as _;
        let mut text = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let outcome = self.document.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format));
        outcome.expect("a document that was read can be printed");
        text.push(b'\n');
        text
    }

    fn helper_of(&self, host: &str) -> Result<Option<Helper>, SettingsError> {
        let Some(helpers) = object(&self.document, "credHelpers", self.form)? else { return Ok(None) };
        let same = |(key, _): &(&String, &Value)| *key == host || normal(key) == normal(host);
        let Some((key, name)) = helpers.get_key_value(host).or_else(|| helpers.iter().find(same)) else {
            return Ok(None);
        };
        Helper::named(name, key).map(Some)
    }

    fn store(&self, host: &str) -> Result<Option<Helper>, SettingsError> {
        let store =
            self.document.get("credsStore").filter(|name| self.form == AuthForm::Whole && *name != "");
        let server = if normal(host) == normal(HUB) { HUB } else { host };
        store.map(|name| Helper::named(name, server)).transpose()
    }

    /// Keys as they are first, longest first; then as the older versions of docker wrote them.
    fn entry(&self, repository: &Repository) -> Result<Option<(&str, &Value)>, SettingsError> {
        let Some(entries) = self.entries()? else { return Ok(None) };
        let mut key = match self.form {
            AuthForm::Whole => repository.to_string(),
            AuthForm::Legacy => repository.host().to_owned(),
        };
        loop {
            if let Some((key, entry)) = entries.get_key_value(&key) {
                return Ok(Some((key, entry)));
            }
            match key.rfind('/') {
                Some(slash) => key.truncate(slash),
                None => break,
            }
        }
        let found = entries.iter().find(|(key, _)| self.normal_key(key) == normal(repository.host()));
        Ok(found.map(|(key, entry)| (key.as_str(), entry)))
    }

    /// The keys of the entries that are about this very place.
    fn keys_of(&self, place: &str) -> Result<Vec<String>, SettingsError> {
        let Some(entries) = self.entries()? else { return Ok(Vec::new()) };
        let is_same = |key: &&String| *key == place || self.normal_key(key) == normal(place);
        Ok(entries.keys().filter(is_same).cloned().collect())
    }

    fn entries(&self) -> Result<Option<&Extra>, SettingsError> {
        match self.form {
            AuthForm::Whole => object(&self.document, "auths", self.form),
            AuthForm::Legacy => Ok(Some(&self.document)),
        }
    }

    fn entries_mut(&mut self) -> Result<&mut Extra, SettingsError> {
        match self.form {
            AuthForm::Legacy => Ok(&mut self.document),
            AuthForm::Whole => {
                let entries = self.document.entry("auths").or_insert(Value::Null);
                if entries.is_null() {
                    *entries = Value::Object(Map::new());
                }
                entries.as_object_mut().ok_or_else(|| shape("auths", "an object"))
            }
        }
    }

    /// The host that a key is about. A key with a path is about that path only, unless it is an address: docker once
    /// wrote `https://HOST/v1/`.
    fn normal_key<'k>(&self, key: &'k str) -> &'k str {
        let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
        match (bare, self.form) {
            (Some(address), _) => normal(host_of(address)),
            (None, AuthForm::Legacy) => normal(host_of(key)),
            (None, AuthForm::Whole) => normal(key),
        }
    }
}

impl Default for AuthFile {
    fn default() -> Self {
        Self::new()
    }
}

/// A secret is never printed.
impl fmt::Debug for AuthFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AuthFile").field("form", &self.form).finish_non_exhaustive()
    }
}

impl Helper {
    /// The program's name.
    pub fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    /// What it is asked about.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The name becomes part of a program's name, so it must not lead anywhere.
    fn named(name: &Value, server: &str) -> Result<Self, SettingsError> {
        let name = name.as_str().ok_or_else(|| shape("credHelpers, credsStore", "names of programs"))?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
            return Err(SettingsError::BadHelper(name.chars().take(64).collect()));
        }
        Ok(Self { name: name.into(), server: server.into() })
    }

    /// What is written to the program that is to store a secret.
    pub fn stored(&self, credential: &Credential) -> Result<Vec<u8>, SettingsError> {
        let (user, secret) = match credential {
            Credential::Basic { user, password } => (&**user, password),
            Credential::Refresh(token) => (TOKEN_USER, token),
            Credential::Bearer(_) => {
                return Err(SettingsError::Unkept(
                    "a token that is sent as it is cannot be kept by a helper",
                ));
            }
        };
        let message =
            serde_json::json!({ "ServerURL": &*self.server, "Username": user, "Secret": &**secret });
        Ok(json::print(&message))
    }

    /// What the program answered to `get`.
    pub fn answered(&self, answer: &[u8]) -> Result<Option<Credential>, SettingsError> {
        // The message of a parser might quote the secret.
        let bad = || shape("the answer of the credential helper", "an object with Username and Secret");
        let answer = json::value(answer).map_err(|_| bad())?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        let (Some(user), Some(secret)) = (text("Username"), text("Secret")) else { return Err(bad()) };
        Ok(match (user, secret) {
            (_, "") => None,
            (TOKEN_USER, token) => Some(Credential::Refresh(token.into())),
            (user, password) => Some(Credential::Basic { user: user.into(), password: password.into() }),
        })
    }
}

/// The user that stands for a refresh token in the helper protocol.
const TOKEN_USER: &str = "<token>";

/// All names of Docker's registry are one.
fn normal(host: &str) -> &str {
    match host {
        "docker.io" | "registry-1.docker.io" | HUB => "index.docker.io",
        host => host,
    }
}

fn host_of(address: &str) -> &str {
    address.split('/').next().unwrap_or_default()
}

fn decode(key: &str, entry: &Value) -> Result<Option<Credential>, SettingsError> {
    let text = |member: &str| entry.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("registrytoken") {
        return Ok(Some(Credential::Bearer(token.into())));
    }
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credential::Refresh(token.into())));
    }
    let Some(auth) = text("auth") else {
        let plain = text("username").zip(text("password"));
        return Ok(
            plain.map(|(user, password)| Credential::Basic { user: user.into(), password: password.into() })
        );
    };
    let decoded = base64::decode(auth).and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(|| SettingsError::BadAuth(key.into()))?;
    let (user, password) = decoded.split_once(':').ok_or_else(|| SettingsError::BadAuth(key.into()))?;
    let password = password.trim_matches('\0');
    let is_whole = !user.is_empty() && !password.is_empty();
    Ok(is_whole.then(|| Credential::Basic { user: user.into(), password: password.into() }))
}

fn object<'a>(
    document: &'a Extra,
    key: &'static str,
    form: AuthForm,
) -> Result<Option<&'a Extra>, SettingsError> {
    match document.get(key) {
        Some(Value::Object(object)) if form == AuthForm::Whole => Ok(Some(object)),
        None | Some(Value::Null) => Ok(None),
        Some(_) if form == AuthForm::Legacy => Ok(None),
        Some(_) => Err(shape(key, "an object")),
    }
}

fn shape(key: &str, kind: &'static str) -> SettingsError {
    SettingsError::Shape { key: key.into(), kind }
}

#[cfg(test)]
mod tests;
