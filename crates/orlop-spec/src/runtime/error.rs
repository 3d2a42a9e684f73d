//! Why an image cannot be run.

use crate::diagnose::{Diagnose, Fault, Kind};
use crate::user::UserError;

/// Why a config cannot be converted for a runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// Neither Entrypoint nor Cmd.
    #[error("the image names no command to run")]
    NoCommand,
    /// The user is of no known form.
    #[error("the image's user cannot be used")]
    User(#[from] UserError),
    /// The name is not in the image's `/etc/passwd`.
    #[error("the image's user {0:?} is not in its /etc/passwd")]
    UnknownUser(Box<str>),
    /// The name is not in the image's `/etc/group`.
    #[error("the group {0:?} of the image's user is not in its /etc/group")]
    UnknownGroup(Box<str>),
    /// The image's own files give a number that runtimes would wrap.
    #[error("the image's user {user:?} has the number {id}, which is too high for runtimes")]
    IdTooHigh {
        /// As the image names it.
        user: Box<str>,
        /// User or group.
        id: u32,
    },
    /// The user namespace does not hold the user or group.
    #[error("the image runs as {user}:{group}, which you may not be without subordinate ids")]
    NotMapped {
        /// The user.
        user: u32,
        /// The group.
        group: u32,
    },
    /// Without a name, or with a NUL.
    #[error("the image's variable {0:?} cannot stand in an environment")]
    BadVariable(Box<str>),
    /// Relative, a loop of links, or out of the image.
    #[error("the image's working folder {0:?} is not inside the image")]
    BadWorkingDir(Box<str>),
    /// Relative, with `..`, or where the runtime mounts itself.
    #[error("the image's volume {0:?} cannot be mounted")]
    BadVolume(Box<str>),
    /// Relative, with `..`, or the root itself.
    #[error(
        "nothing can be mounted at {0:?} of the container: a path from its root on is wanted, without `..`"
    )]
    BadMount(Box<str>),
    /// Two at one place.
    #[error("two volumes are to stand at {0:?}")]
    MountTwice(Box<str>),
}

impl Diagnose for RuntimeError {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownUser(_) | Self::UnknownGroup(_) => Kind::NotFound,
            Self::BadMount(_) | Self::MountTwice(_) => Kind::Usage,
            _ => Kind::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCommand => Some(
                "name one with --entrypoint or --cmd, for example --cmd /bin/sh, or name it behind the image: `orlop run REF -- /bin/sh`"
                    .into(),
            ),
            Self::NotMapped { .. } => Some(
                "give yourself subordinate ids in /etc/subuid and /etc/subgid, or make and run the bundle as root"
                    .into(),
            ),
            Self::User(error) => error.hint(),
            _ => None,
        }
    }
}

impl From<RuntimeError> for Fault {
    fn from(error: RuntimeError) -> Self {
        Self::new(error)
    }
}
