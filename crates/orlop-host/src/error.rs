//! What can be wrong with a foreign place.

use crate::aci::AciError;
use crate::flatpak::labels::BadLabel;
use crate::ostree::carried::BadCarried;
use crate::ostree::encapsulated::EncapsulatedError;
use crate::ostree::keyfile::KeyFileError;
use crate::ostree::layers::LayersError;
use crate::ostree::refname::RefError;
use crate::ostree::repo::RepoError;
use crate::umoci::UmociError;
use orlop_spec::{Diagnose, Fault, Kind};
use std::path::{Path, PathBuf};

/// What can be wrong with a foreign place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder is not what it was named as.
    #[error("{} is no repository of OSTree: it has no `{missing}`", .place.display())]
    NotARepository {
        /// Where.
        place: PathBuf,
        /// What is not there.
        missing: &'static str,
    },
    /// Something about an App Container Image.
    #[error(transparent)]
    Aci(#[from] AciError),
    /// The folder is not there.
    #[error("no repository of OSTree is at {}: it would be a folder with `config`, `objects` and `refs`", .place.display())]
    NoRepository {
        /// Where.
        place: PathBuf,
    },
    /// The disk of the repository has no room left, or the user no quota.
    #[error("the repository at {} cannot grow", .place.display())]
    RepositoryFull {
        /// The repository.
        place: PathBuf,
        /// What was written when it showed.
        #[source]
        source: Fault,
    },
    /// A key file, or a value in it, is none.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// No name of a commit.
    #[error(transparent)]
    Ref(#[from] RefError),
    /// Labels that say they carry a commit do not.
    #[error(transparent)]
    Carried(#[from] BadCarried),
    /// Layers that should hold a commit do not.
    #[error(transparent)]
    Encapsulated(#[from] EncapsulatedError),
    /// A label of flatpak does not say what it should.
    #[error(transparent)]
    Label(#[from] BadLabel),
    /// What should be a delta does not begin as one.
    #[error("that is no delta: it does not begin with `tardf1`")]
    NotADelta,
    /// The operations of a delta are broken.
    #[error("the delta is damaged at byte {at} of its operations: {what}")]
    BadDelta {
        /// Where, uncompressed.
        at: u64,
        /// What is broken.
        what: &'static str,
    },
    /// A delta that belongs to another tree.
    #[error("the delta reads `{path}`, and the older image holds no such file")]
    DeltaWants {
        /// The path, escaped.
        path: String,
    },
    /// Something about layers that a repository keeps.
    #[error(transparent)]
    Layers(#[from] LayersError),
    /// Something of a repository of OSTree is not as it should be.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Something about a bundle of umoci.
    #[error(transparent)]
    Umoci(#[from] UmociError),
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] orlop_fs::Error),
    /// A layer cannot be read or written.
    #[error(transparent)]
    Layer(#[from] orlop_layer::Error),
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Aci(error) => error.kind(),
            Self::NotARepository { .. } | Self::NoRepository { .. } => Kind::NotFound,
            Self::KeyFile(error) => error.kind(),
            Self::Ref(error) => error.kind(),
            Self::Label(_) | Self::RepositoryFull { .. } => Kind::Other,
            Self::NotADelta | Self::BadDelta { .. } | Self::DeltaWants { .. } | Self::Carried(_) => {
                Kind::Integrity
            }
            Self::Encapsulated(error) => error.kind(),
            Self::Layers(error) => error.kind(),
            Self::Repo(error) => error.kind(),
            Self::Umoci(error) => error.kind(),
            Self::Fs(error) => error.kind(),
            Self::Layer(error) => error.kind(),
        }
    }

    fn is_absence(&self) -> bool {
        match self {
            Self::Layers(error) => error.is_absence(),
            _ => self.kind() == Kind::NotFound,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotARepository { place, .. } | Self::NoRepository { place } => {
                Some(format!("make one with orlop ostree init --repo={}", place.display()))
            }
            Self::Aci(error) => error.hint(),
            Self::RepositoryFull { place, .. } => Some(format!(
                "free some space; what no ref reaches goes with orlop ostree prune --repo={} --refs-only",
                place.display()
            )),
            Self::KeyFile(error) => error.hint(),
            Self::Ref(error) => error.hint(),
            Self::Label(_) => {
                Some("name everything that is wrong with the labels: orlop flatpak lint REF".into())
            }
            Self::DeltaWants { .. } => Some("a delta fits the image alone that it was made from".into()),
            Self::Carried(_) => Some("take it as a new commit with --verify-id=off".into()),
            Self::NotADelta | Self::BadDelta { .. } | Self::Umoci(_) => None,
            Self::Encapsulated(error) => error.hint(),
            Self::Layers(error) => error.hint(),
            Self::Repo(error) => error.hint(),
            Self::Fs(error) => error.hint(),
            Self::Layer(error) => error.hint(),
        }
    }
}

/// What to say where the disk below a repository is full.
pub fn unless_full(place: &Path, fault: Fault) -> Fault {
    if fault.is_full() {
        return Error::RepositoryFull { place: place.into(), source: fault }.into();
    }
    fault
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}
