//! What can be wrong with a command line that its grammar allows, and with the terminal side.

use orlop::spec::time::TimeError;
use orlop::spec::{Diagnose, Fault, Kind, Platform};
use std::io;
use std::path::PathBuf;

/// What can be wrong on the terminal side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `SOURCE_DATE_EPOCH` holds no number.
    #[error("cannot read SOURCE_DATE_EPOCH")]
    BadEpoch(#[source] TimeError),
    /// The result could not be written.
    #[error("cannot write to the standard output")]
    Output(#[source] io::Error),
    /// Nothing to build from.
    #[error("there is nothing to build from")]
    NoSource,
    /// A platform with sources of its own, twice.
    #[error("the platform {0} stands twice")]
    PlatformTwice(Box<Platform>),
    /// Where a tag is given, a reference stands.
    #[error("`{0}` names a place, and a tag is wanted")]
    TagIsReference(Box<str>),
    /// Sources both as words and behind `--platform`.
    #[error("sources stand as words and platforms are several")]
    SourcesTwice,
    /// A flag that this kind of place cannot honour.
    #[error("{flag} has no meaning when {what}")]
    FlagUnfit {
        /// The flag.
        flag: &'static str,
        /// What is being done.
        what: &'static str,
    },
    /// The folder that sloci-image would make is there.
    #[error("the folder {0} exists already")]
    FolderExists(String),
    /// A plan of `sync` that cannot be followed.
    #[error("the plan {} cannot be followed: {law}", .path.display())]
    BadPlan {
        /// The file.
        path: PathBuf,
        /// What it must be, and where it is not.
        law: String,
    },
    /// Neither a password nor a terminal to ask on.
    #[error("a user and a password are wanted, and there is no terminal to ask on")]
    NoTerminal,
    /// One of the two is empty.
    #[error("the user or the password is empty")]
    NoPassword,
    /// Names that were not given would go.
    #[error("the image has other names, which go with it: {0}")]
    OtherNames(String),
    /// The user was asked, and said no.
    #[error("nothing was removed")]
    NotAgreed,
    /// Nothing is kept for the registry.
    #[error("no password is kept for {0}")]
    NotLoggedIn(Box<str>),
    /// An image that the store lacks, and that could not be fetched.
    #[error("the store has no image {name}, and it could not be fetched")]
    NotStored {
        /// As it was typed.
        name: Box<str>,
        /// Why not.
        #[source]
        source: Fault,
    },
    /// A flag that `run` does not know, where the image should stand.
    #[error("there is no flag {0:?}")]
    UnknownFlag(Box<str>),
    /// Too few or too many words behind the flags of a personality's verb.
    #[error("{0} must be given, and nothing else")]
    Operands(&'static str),
    /// A program that could not be started.
    #[error("cannot run {}", .program)]
    NotRun {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A folder is not what a manifest says.
    #[error("validation failed: {0} differences found")]
    NotAsInManifest(usize),
    /// No verb of that name.
    #[error("there is no verb {0:?}")]
    UnknownVerb(String),
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::BadEpoch(_)
            | Self::NoSource
            | Self::SourcesTwice
            | Self::PlatformTwice(_)
            | Self::TagIsReference(_)
            | Self::FlagUnfit { .. }
            | Self::BadPlan { .. }
            | Self::NoTerminal
            | Self::OtherNames(_)
            | Self::NoPassword
            | Self::UnknownFlag(_)
            | Self::Operands(_)
            | Self::UnknownVerb(_) => Kind::Usage,
            Self::NotStored { source, .. } => source.kind(),
            Self::NotLoggedIn(_) => Kind::NotFound,
            Self::NotAsInManifest(_) => Kind::Differs,
            Self::Output(_) | Self::FolderExists(_) | Self::NotAgreed | Self::NotRun { .. } => Kind::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoTerminal | Self::NoPassword => {
                Some("orlop login HOST --username USER --password-stdin <FILE".into())
            }
            Self::OtherNames(_) => Some(
                "see them with --dry-run, or remove them all with --yes; one name alone goes with orlop untag REF".into(),
            ),
            Self::NotLoggedIn(_) => Some("for a file that another tool wrote, name it with --authfile FILE".into()),
            Self::BadEpoch(_) => Some("SOURCE_DATE_EPOCH=$(date +%s), or unset it".into()),
            Self::NoSource => {
                Some("name a folder or a tar before the image: orlop build ./root oci:DIR:TAG".into())
            }
            Self::SourcesTwice => Some(
                "give each platform its sources: orlop build --platform P=SRC --platform Q=SRC oci:DIR:TAG"
                    .into(),
            ),
            Self::PlatformTwice(_) => {
                Some("give a platform all its sources at once: --platform P=SRC,SRC".into())
            }
            Self::TagIsReference(_) => Some(
                "give the tag alone, as in `orlop tag oci:DIR:TAG NEW`; another place gets the image by `orlop copy`"
                    .into(),
            ),
            Self::FlagUnfit { flag, .. } => Some(format!("leave {flag} out")),
            Self::BadPlan { .. } => Some("`orlop man` tells what a plan holds".into()),
            Self::FolderExists(_) => Some("remove it, or choose another NAME".into()),
            Self::NotStored { source, .. } => source.hint(),
            Self::UnknownFlag(_) => Some("orlop run --help lists the flags; those of the command stand behind the image".into()),
            Self::UnknownVerb(_) => Some("orlop --help lists the verbs".into()),
            Self::Output(_) | Self::Operands(_) | Self::NotAgreed | Self::NotRun { .. } | Self::NotAsInManifest(_) => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}
