//! The user of a config: `user`, `uid`, `user:group`, `uid:gid`, `uid:group`, `user:gid` (image-spec, `config.md`).

use crate::diagnose::{Diagnose, Fault, Kind};
use std::fmt;
use std::str::FromStr;

/// A user and perhaps a group, by name or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub user: NameOrId,
    /// The group, where one is named.
    pub group: Option<NameOrId>,
}

/// One side of `user:group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameOrId {
    /// To be looked up in the image.
    Name(Box<str>),
    /// To be taken as it is.
    Id(u32),
}

/// The highest user or group number: runtimes keep numbers as signed (J6, CVE-2024-40635).
pub const HIGHEST_ID: u32 = i32::MAX as u32;

impl FromStr for User {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, UserError> {
        let side = |part: &str| side(part).ok_or_else(|| UserError::Malformed(text.into()));
        let checked = |id: NameOrId| match id {
            NameOrId::Id(id) if id > HIGHEST_ID => Err(UserError::TooHigh(text.into())),
            id => Ok(id),
        };
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (side(user)?, Some(checked(side(group)?)?)),
            None => (side(text)?, None),
        };
        Ok(Self { user: checked(user)?, group })
    }
}

/// Digits are a number, and one that does not fit is too high; what looks like a number otherwise (`-1`, `+1`,
/// `0x0`) is nothing, because tools do not agree on what it means.
fn side(text: &str) -> Option<NameOrId> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(NameOrId::Id(text.parse().unwrap_or(u32::MAX)));
    }
    let starts = !text.is_empty() && ["-", "+", "0x", "0X"].iter().all(|number| !text.starts_with(number));
    let plain = !text
        .chars()
        .any(|character| character.is_whitespace() || character.is_control() || character == ':');
    (starts && plain).then(|| NameOrId::Name(text.into()))
}

impl fmt::Display for NameOrId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Id(id) => fmt::Display::fmt(id, out),
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.user, out)?;
        self.group.as_ref().map_or(Ok(()), |group| write!(out, ":{group}"))
    }
}

/// Why a text names no user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// Not of the grammar.
    #[error("{0:?} names no user: it must be USER or USER:GROUP, each a name or a number")]
    Malformed(Box<str>),
    /// Above 2³¹ − 1.
    #[error("{0:?} names a user or group above {HIGHEST_ID}")]
    TooHigh(Box<str>),
}

impl Diagnose for UserError {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}

impl From<UserError> for Fault {
    fn from(error: UserError) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_names_or_numbers() {
        for text in [
            "root",
            "0",
            "0:0",
            "www-data:33",
            "1000:users",
            "2147483647:2147483647",
            "_apt",
            "a.b$",
            "389ds",
        ] {
            assert_eq!(text.parse::<User>().map(|user| user.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn j6_numbers_that_wrap_to_root_are_refused() {
        for text in
            ["4294967296", "2147483648", "0:2147483648", "99999999999999999999", "18446744073709551616"]
        {
            assert!(matches!(text.parse::<User>(), Err(UserError::TooHigh(_))), "{text}");
        }
        for text in ["-1", "0x0", " 0", "0 ", "+0", "", ":", ":0", "0:", "a:b:c", "0:-1", "0\n"] {
            assert!(matches!(text.parse::<User>(), Err(UserError::Malformed(_))), "{text:?}");
        }
    }
}
