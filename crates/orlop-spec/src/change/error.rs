//! Why an instruction cannot be followed.

use crate::diagnose::{Diagnose, Fault, Kind};
use crate::edit::SettingError;
use crate::user::UserError;

/// Why an instruction cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Nothing was said.
    #[error("the instruction is empty")]
    Empty,
    /// Not an instruction, or one that makes files.
    #[error("the instruction {0:?} cannot change a config")]
    Unknown(Box<str>),
    /// More than one line.
    #[error("{0:?} holds more than one instruction")]
    TwoInstructions(Box<str>),
    /// An instruction alone.
    #[error("{0} is followed by nothing")]
    NoArgument(&'static str),
    /// A word without `=`, or without a name before it.
    #[error("{0}: {1:?} is not of the form NAME=VALUE")]
    NotAPair(&'static str, Box<str>),
    /// A JSON array that holds something else.
    #[error("the array {0} holds something that is no string")]
    NotStrings(Box<str>),
    /// A quotation mark without its pair.
    #[error("a quotation mark is left open in {0:?}")]
    OpenQuote(Box<str>),
    /// `${` without `}`.
    #[error("a brace is left open in {0:?}")]
    OpenBrace(Box<str>),
    /// `${…}` of a form that is not known.
    #[error("{0:?} holds a variable in a form that is not known")]
    BadVariable(Box<str>),
    /// Neither `NONE` nor `CMD …`.
    #[error("HEALTHCHECK: {0:?} is neither NONE nor CMD and a command")]
    BadHealthcheck(Box<str>),
    /// Not an option, or without a sensible value.
    #[error("HEALTHCHECK: {0:?} is no option with a value")]
    BadHealthcheckOption(Box<str>),
    /// A trigger that no build may have.
    #[error("ONBUILD: {0} may not be a trigger")]
    ForbiddenTrigger(Box<str>),
    /// A value that no config may hold.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Not a user.
    #[error(transparent)]
    User(#[from] UserError),
}

impl Diagnose for ChangeError {
    fn kind(&self) -> Kind {
        Kind::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(name) if name.eq_ignore_ascii_case("MAINTAINER") => "use --author".into(),
            Self::Unknown(_) => {
                "CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and \
                                 WORKDIR can"
                    .into()
            }
            Self::TwoInstructions(_) => "give each instruction its own --change".into(),
            Self::BadVariable(_) => "write ${NAME}, ${NAME:-VALUE} or ${NAME:+VALUE}".into(),
            Self::BadHealthcheckOption(_) => {
                "write --interval=30s, --timeout=5s, --start-period=1m, --start-interval=1s or --retries=3"
                    .into()
            }
            Self::Setting(error) => return error.hint(),
            Self::User(error) => return error.hint(),
            _ => return None,
        })
    }
}

impl From<ChangeError> for Fault {
    fn from(error: ChangeError) -> Self {
        Self::new(error)
    }
}
