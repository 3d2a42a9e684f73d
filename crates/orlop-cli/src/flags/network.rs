//! How registries are spoken to, and which images may be used.

use super::parse_size;
use crate::environment;
use crate::programs::Installed;
use crate::report;
use clap::Args;
use orlop::network::{self, Given, Surroundings, WhichPolicy};
use orlop::remote::{Dialling, Line, Options, Pool};
use orlop::spec::network::Credential;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How registries are reached.
#[derive(Args, Debug, Default)]
pub struct Reach {
    /// File of credentials, asked before those of podman and docker [default: $REGISTRY_AUTH_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Registries")]
    authfile: Option<PathBuf>,
    /// Allow a registry without TLS, or with a certificate that nobody vouches for; may be repeated
    #[arg(long, value_name = "HOST[:PORT]", value_parser = host, help_heading = "Registries")]
    insecure: Vec<Box<str>>,
    /// Tell this authorisation server who asks, though it is another host than the registry; may be repeated
    #[arg(long, value_name = "HOST[:PORT]", value_parser = host, help_heading = "Registries")]
    realm: Vec<Box<str>>,
    /// Seconds that a registry may be silent, or slower than 1 KiB/s [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Registries")]
    stall_timeout: Option<Duration>,
    /// How often a request is sent again [default: 3]
    #[arg(long, value_name = "N", help_heading = "Registries")]
    retry: Option<u32>,
    /// Connect to nobody, not even on this machine: what needs a registry fails at once
    #[arg(long, help_heading = "Registries")]
    offline: bool,
    /// Most bytes in a second, such as `10M`, of all connections and in both directions together [default: no limit]
    #[arg(long, value_name = "RATE", value_parser = rate, help_heading = "Registries")]
    limit_rate: Option<NonZeroU64>,
}

/// How registries are spoken to, and which images may be used.
#[derive(Args, Debug, Default)]
pub struct Network {
    #[command(flatten)]
    reach: Reach,
    /// User and password for the one registry of the command; others can see them in the list of processes
    #[arg(long, value_name = "USER[:PASSWORD]", value_parser = credential, help_heading = "Registries")]
    creds: Option<Credential>,
    /// User and password for the registry of the sources
    #[arg(
        long,
        value_name = "USER[:PASSWORD]",
        value_parser = credential,
        conflicts_with = "creds",
        help_heading = "Registries"
    )]
    src_creds: Option<Credential>,
    /// User and password for the registry of the target
    #[arg(
        long,
        value_name = "USER[:PASSWORD]",
        value_parser = credential,
        conflicts_with = "creds",
        help_heading = "Registries"
    )]
    dest_creds: Option<Credential>,
    /// Which images may be used [default: policy.json of the containers tools, where there is one]
    #[arg(long, value_name = "FILE", help_heading = "Registries")]
    policy: Option<PathBuf>,
    /// Use any image, whatever a policy says
    #[arg(long, conflicts_with = "policy", help_heading = "Registries")]
    insecure_policy: bool,
}

impl Reach {
    /// How long is waited, and how often tried.
    pub fn patience(&self) -> Options {
        let default = Options::default();
        Options {
            retries: self.retry.unwrap_or(default.retries),
            stall: self.stall_timeout.unwrap_or(default.stall),
            ..default
        }
    }

    /// Connections, none of which is there yet.
    pub fn pool(&self) -> Pool {
        let dialling = if self.offline { Dialling::Forbidden } else { Dialling::Allowed };
        Pool::default().on(Line { dialling, rate: self.limit_rate })
    }

    /// What the library is handed, with a credential that was typed for the one registry of the command; nothing is
    /// read for it.
    pub fn surroundings(&self, typed: Option<Credential>) -> Surroundings {
        Surroundings::new(self.given(typed))
    }

    fn given(&self, typed: Option<Credential>) -> Given {
        Given {
            variable: Box::new(environment::variable),
            now: Box::new(environment::timestamp),
            programs: Box::new(Installed),
            user: orlop::fs::privilege::ids().0,
            root: PathBuf::from("/"),
            authfile: self.authfile.clone(),
            any: typed,
            source: None,
            target: None,
            insecure: self.insecure.clone(),
            realms: self.realm.clone(),
            policy: WhichPolicy::None,
            locked: None,
            warn: Box::new(report::warn),
        }
    }
}

impl Network {
    /// How long is waited, and how often tried.
    pub fn patience(&self) -> Options {
        self.reach.patience()
    }

    /// Connections, none of which is there yet.
    pub fn pool(&self) -> Pool {
        self.reach.pool()
    }

    /// What the library is handed; nothing is read for it. Names mean what the file `locked` says.
    pub fn surroundings(&self, locked: Option<&Path>) -> Surroundings {
        Surroundings::new(Given {
            source: self.src_creds.clone(),
            target: self.dest_creds.clone(),
            locked: locked.map(Into::into),
            policy: match &self.policy {
                Some(file) => WhichPolicy::File(file.clone()),
                None if self.insecure_policy => WhichPolicy::None,
                None => WhichPolicy::Found,
            },
            ..self.reach.given(self.creds.clone())
        })
    }
}

/// Parses bytes in a second.
fn rate(text: &str) -> Result<NonZeroU64, String> {
    NonZeroU64::new(parse_size(text)?).ok_or_else(|| "at a rate of nothing nothing moves".into())
}

/// Parses seconds, with a fraction or without.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.trim_end_matches('s').parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero())
        .ok_or("a time is a number of seconds")
}

/// Parses `USER[:PASSWORD]`.
fn credential(text: &str) -> Result<Credential, &'static str> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    if user.is_empty() || text.contains(char::is_control) {
        return Err("a user and a password have a colon between them");
    }
    Ok(Credential::Basic { user: user.into(), password: password.into() })
}

/// Parses `HOST[:PORT]`.
pub fn host(text: &str) -> Result<Box<str>, &'static str> {
    if network::is_host(text) {
        Ok(text.into())
    } else {
        Err("a host has no scheme and no path: HOST or HOST:PORT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_has_a_user_and_all_behind_the_first_colon() {
        let basic = |user: &str, password: &str| {
            Ok(Credential::Basic { user: user.into(), password: password.into() })
        };
        assert_eq!(credential("me:a:b"), basic("me", "a:b"));
        assert_eq!(credential("me"), basic("me", ""));
        for bad in ["", ":p", "a\r\nb:c"] {
            assert!(credential(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_rate_is_a_size_and_not_nothing() {
        assert_eq!(rate("512k").map(NonZeroU64::get), Ok(512 << 10));
        for bad in ["0", "0M", "", "1M/s", "-1", "1.5M"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_insecure_host_is_a_host() {
        assert_eq!(host("a.example:5000").as_deref(), Ok("a.example:5000"));
        for bad in ["https://a.example", "a.example/x", ""] {
            assert!(host(bad).is_err(), "{bad:?}");
        }
    }
}
