//! The values of single settings, each with its grammar.

use crate::diagnose::{Diagnose, Fault, Kind};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// `KEY=VALUE`; the value may be empty and may hold anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Not empty, without `=`.
    pub key: Box<str>,
    /// What follows the first `=`.
    pub value: Box<str>,
}

/// What a label's leading dot stands for.
const DOT: &str = "org.opencontainers.image";

impl Pair {
    /// The same pair; a key `.NAME` becomes `org.opencontainers.image.NAME`.
    #[must_use]
    pub fn with_dot_expanded(&self) -> Self {
        Self { key: dot_expanded(&self.key), value: self.value.clone() }
    }
}

/// The key that a key stands for.
pub(super) fn dot_expanded(key: &str) -> Box<str> {
    let prefix = if key.starts_with('.') { DOT } else { "" };
    format!("{prefix}{key}").into()
}

impl FromStr for Pair {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text.split_once('=') {
            Some(("", _)) | None => Err(SettingError::NotAPair(text.into())),
            Some(_) if text.contains('\0') => Err(SettingError::Nul(text.into())),
            Some((key, value)) => Ok(Self { key: key.into(), value: value.into() }),
        }
    }
}

/// `PORT[-PORT][/PROTOCOL]`, as a config names it: one key per port, always with its protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    first: u16,
    last: u16,
    protocol: &'static str,
}

impl Ports {
    /// The first and the last of them.
    pub fn range(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// `tcp`, `udp` or `sctp`.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// The keys in `ExposedPorts`.
    pub fn iter(&self) -> impl Iterator<Item = Box<str>> {
        self.range().map(|port| format!("{port}/{}", self.protocol).into())
    }
}

impl FromStr for Ports {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let bad = || SettingError::BadPort(text.into());
        let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = ["tcp", "udp", "sctp"]
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(protocol))
            .ok_or_else(bad)?;
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match (number(first), number(last)) {
            (Some(first), Some(last)) if 0 < first && first <= last => Ok(Self { first, last, protocol }),
            _ => Err(bad()),
        }
    }
}

/// A folder of the image: absolute, and never out of it (P8, CVE-2022-23648).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(Box<str>);

impl Folder {
    /// The path as it was said.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Folder {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let climbs = text.split('/').any(|part| part == "..");
        if text.starts_with('/') && !climbs && !text.contains('\0') {
            Ok(Self(text.into()))
        } else {
            Err(SettingError::BadFolder(text.into()))
        }
    }
}

/// The name or number of a signal, kept as it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal(Box<str>);

/// signal(7), without `SIG`.
const SIGNALS: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

impl Signal {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Signal {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = |text: &str, most: u8| {
            text.bytes().all(|byte| byte.is_ascii_digit())
                && text.parse::<u8>().is_ok_and(|number| number <= most)
        };
        let real_time = |rest: &str, sign: char| {
            rest.is_empty() || rest.strip_prefix(sign).is_some_and(|rest| number(rest, 30))
        };
        let known = SIGNALS.contains(&name)
            || name.strip_prefix("RTMIN").is_some_and(|rest| real_time(rest, '+'))
            || name.strip_prefix("RTMAX").is_some_and(|rest| real_time(rest, '-'))
            || (number(text, 64) && text.parse() != Ok(0_u8));
        if known { Ok(Self(text.into())) } else { Err(SettingError::BadSignal(text.into())) }
    }
}

/// Why a value cannot stand in a config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// No `=`, or nothing before it.
    #[error("{0:?} is not of the form KEY=VALUE")]
    NotAPair(Box<str>),
    /// A NUL cannot stand in an environment.
    #[error("{0:?} holds a NUL character")]
    Nul(Box<str>),
    /// Not a port.
    #[error("{0:?} is no port")]
    BadPort(Box<str>),
    /// Relative, or with `..`.
    #[error("{0:?} is no folder of an image: it must begin with / and hold no `..`")]
    BadFolder(Box<str>),
    /// Not a signal.
    #[error("{0:?} is no signal")]
    BadSignal(Box<str>),
    /// A field that is not there to be emptied.
    #[error("{0:?} is no field of a config")]
    NoField(Box<str>),
    /// A field that has one value and no keys.
    #[error("{0:?} has no keys: it is unset as a whole")]
    NoKeys(Box<str>),
}

impl Diagnose for SettingError {
    fn kind(&self) -> Kind {
        Kind::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::BadPort(_) => Some("write 80, 80/tcp, 53/udp or 8000-8010/tcp".into()),
            Self::BadSignal(_) => Some("write a name or a number, for example SIGTERM or 15".into()),
            Self::NoField(_) => {
                Some(format!("fields are {}", super::fields().collect::<Vec<_>>().join(", ")))
            }
            Self::NoKeys(name) => Some(format!("write --unset {name}")),
            Self::NotAPair(_) | Self::Nul(_) | Self::BadFolder(_) => None,
        }
    }
}

impl From<SettingError> for Fault {
    fn from(error: SettingError) -> Self {
        Self::new(error)
    }
}
