//! `policy.json` of the containers tools (containers-policy.json(5)): which images may be used at all.
//!
//! ```text
//! { "default": [requirement, …],
//!   "transports": { "docker": { "": […], "host/ns": […], "*.example.com": […] }, "oci": { "/folder": […] } } }
//! ```
//!
//! Invariant: the most specific list alone counts, and all of it must be met; what is not understood is refused as a
//! whole file, because a rule that is overlooked is a hole.

use super::settings::SettingsError;
use crate::json::{self, Extra};
use crate::reference::Repository;
use serde_json::Value;
use std::collections::BTreeMap;

/// Which images may be used.
#[derive(Clone, Debug)]
pub struct Policy {
    default: Vec<Requirement>,
    transports: BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<Requirement>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    AcceptAnything,
    Reject,
    /// Of which kind.
    Signature(Box<str>),
}

/// What a policy says about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It may be used.
    Accept,
    /// It must not be used.
    Reject {
        /// Which rule says so.
        rule: String,
    },
    /// It may be used if it is signed.
    Signature {
        /// Which rule says so.
        rule: String,
        /// What kind of signature.
        kind: Box<str>,
    },
}

/// Transports whose scopes are paths.
const OF_PATHS: [&str; 4] = ["dir", "oci", "oci-archive", "docker-archive"];

impl Policy {
    /// Parses a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, SettingsError> {
        let Value::Object(mut document) = json::value(bytes)? else {
            return Err(shape("the whole file", "an object"));
        };
        let default = document.remove("default").ok_or(SettingsError::Missing("default"))?;
        let transports = match document.remove("transports") {
            Some(Value::Object(transports)) => transports,
            None => Extra::new(),
            Some(_) => return Err(shape("transports", "an object")),
        };
        if let Some(key) = document.keys().next() {
            return Err(SettingsError::UnknownKey(key.as_str().into()));
        }
        let transports = transports
            .into_iter()
            .map(|(name, scopes)| Ok((name.as_str().into(), parse_scopes(&name, scopes)?)));
        Ok(Self {
            default: requirements("default", default)?,
            transports: transports.collect::<Result<_, SettingsError>>()?,
        })
    }

    /// Whether any rule of a transport is about a part of it, so that scopes must be known.
    pub fn has_scopes(&self, transport: &str) -> bool {
        self.transports.get(transport).is_some_and(|scopes| scopes.keys().any(|scope| !scope.is_empty()))
    }

    /// What is said about an image: `scopes` from the most to the least specific.
    pub fn judge(&self, transport: &str, scopes: &[String]) -> Judgement {
        let (rule, requirements) = self.find(transport, scopes);
        let mut signature = None;
        for requirement in requirements {
            match requirement {
                Requirement::AcceptAnything => {}
                Requirement::Reject => return Judgement::Reject { rule },
                Requirement::Signature(kind) => signature = signature.or(Some(kind)),
            }
        }
        match signature {
            Some(kind) => Judgement::Signature { rule, kind: kind.clone() },
            None => Judgement::Accept,
        }
    }

    /// What is said about images of a place of which nobody knows yet how they are called: `scopes` are those of the
    /// place, itself first. A rule for one of its images can forbid, never allow.
    pub fn judge_place(&self, transport: &str, scopes: &[String]) -> Judgement {
        let is_of_image = |scope: &&str| {
            scopes
                .first()
                .and_then(|place| scope.strip_prefix(&**place))
                .is_some_and(|it| it.starts_with([':', '@']))
        };
        let known = self.transports.get(transport).into_iter().flat_map(BTreeMap::keys).map(|scope| &**scope);
        let of_images = known.filter(is_of_image).map(|scope| self.judge(transport, &[scope.to_owned()]));
        let mut all = std::iter::once(self.judge(transport, scopes)).chain(of_images);
        all.find(|judgement| *judgement != Judgement::Accept).unwrap_or(Judgement::Accept)
    }

    fn find(&self, transport: &str, scopes: &[String]) -> (String, &[Requirement]) {
        let known = self.transports.get(transport);
        let most_specific = scopes.iter().map(String::as_str).chain([""]);
        for scope in most_specific {
            if let Some(requirements) = known.and_then(|known| known.get(scope)) {
                let rule = if scope.is_empty() {
                    format!("the rule for `{transport}`")
                } else {
                    format!("the rule for `{transport}` {scope:?}")
                };
                return (rule, requirements);
            }
        }
        ("the default rule".into(), &self.default)
    }
}

/// Scopes of an image in a registry: itself, its repository, the folders above, the host, and wildcards of the
/// domains above it. `image` is `:TAG` or `@DIGEST`.
pub fn scopes_of_repository(repository: &Repository, image: &str) -> Vec<String> {
    let mut name = repository.to_string();
    let mut scopes = vec![format!("{name}{image}"), name.clone()];
    while let Some(slash) = name.rfind('/') {
        name.truncate(slash);
        scopes.push(name.clone());
    }
    // A wildcard speaks of names, whatever the port is.
    let mut domain = name.split(':').next().unwrap_or_default();
    while let Some((_, above)) = domain.split_once('.') {
        scopes.push(format!("*.{above}"));
        domain = above;
    }
    scopes
}

/// Scopes of an image in a file or folder: itself, the path, and the folders above it; the root is no scope.
pub fn scopes_of_path(path: &str, image: &str) -> Vec<String> {
    let mut path = path.to_owned();
    let mut scopes = vec![format!("{path}:{image}")];
    while !path.is_empty() {
        scopes.push(path.clone());
        path.truncate(path.rfind('/').unwrap_or(0));
    }
    scopes
}

fn parse_scopes(
    transport: &str,
    scopes: Value,
) -> Result<BTreeMap<Box<str>, Vec<Requirement>>, SettingsError> {
    let Value::Object(scopes) = scopes else { return Err(shape(transport, "an object")) };
    let mut parsed = BTreeMap::new();
    for (scope, list) in scopes {
        let is_path =
            scope.starts_with('/') && scope.len() > 1 && !scope.ends_with('/') && !scope.contains("//");
        let is_wildcard = scope.starts_with("*.") && !scope[1..].contains(['*', '/', ':']);
        let is_fit = match transport {
            _ if scope.is_empty() => true,
            it if OF_PATHS.contains(&it) => is_path,
            "docker" => !scope.contains('*') || is_wildcard,
            _ => true,
        };
        if !is_fit {
            return Err(shape(&scope, "a scope of its transport"));
        }
        let list = requirements(&scope, list)?;
        parsed.insert(scope.into(), list);
    }
    Ok(parsed)
}

fn requirements(of: &str, list: Value) -> Result<Vec<Requirement>, SettingsError> {
    let Value::Array(list) = list else { return Err(shape(of, "a list of requirements")) };
    if list.is_empty() {
        return Err(SettingsError::NoRequirement(of.into()));
    }
    list.into_iter().map(requirement).collect()
}

fn requirement(value: Value) -> Result<Requirement, SettingsError> {
    let Value::Object(members) = value else { return Err(shape("a requirement", "an object")) };
    let kind = members.get("type").and_then(Value::as_str).ok_or(SettingsError::Missing("type"))?;
    let simple = match kind {
        "insecureAcceptAnything" => Requirement::AcceptAnything,
        "reject" => Requirement::Reject,
        "signedBy" | "signedBaseLayer" | "sigstoreSigned" => return Ok(Requirement::Signature(kind.into())),
        word => return Err(SettingsError::UnknownWord { key: "type", word: word.into() }),
    };
    match members.keys().find(|key| *key != "type") {
        Some(key) => Err(SettingsError::UnknownKey(key.as_str().into())),
        None => Ok(simple),
    }
}

fn shape(key: &str, kind: &'static str) -> SettingsError {
    SettingsError::Shape { key: key.into(), kind }
}

#[cfg(test)]
mod tests;
