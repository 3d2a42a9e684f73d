//! What can be wrong with an App Container Image.

use orlop_spec::Kind;
use orlop_spec::json::JsonError;

/// What can be wrong with an App Container Image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AciError {
    /// The tar is not one of an image.
    #[error("{place}: {what}")]
    Archive {
        /// Which member, escaped.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// The manifest is no manifest.
    #[error("the manifest of {image} cannot be read")]
    Manifest {
        /// Which image.
        image: String,
        /// Why.
        source: JsonError,
    },
    /// It lies over an image that nobody has.
    #[error("{of} lies over {name}, which was not given and is not in the store")]
    DependencyMissing {
        /// The image.
        of: Box<str>,
        /// What it needs.
        name: Box<str>,
    },
    /// It lies over itself.
    #[error("{name} lies over itself")]
    OverItself {
        /// The image.
        name: Box<str>,
    },
    /// A path that is left must be named, and is no text.
    #[error("the list of the paths that a layer leaves cannot name {path}, which is no text")]
    Unnameable {
        /// Which path, escaped.
        path: String,
    },
    /// No name can be made of what the user or the file says.
    #[error("no name of an App Container can be made of {0:?}")]
    Nameless(Box<str>),
}

impl AciError {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Archive { .. } | Self::Manifest { .. } | Self::OverItself { .. } => Kind::Integrity,
            Self::DependencyMissing { .. } => Kind::NotFound,
            Self::Nameless(_) | Self::Unnameable { .. } => Kind::Usage,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Archive { .. } | Self::Manifest { .. } => {
                Some("name everything that is wrong with it: orlop aci validate FILE".into())
            }
            Self::DependencyMissing { .. } => Some(
                "give the file: --aci-dependency FILE, or put the image into the store under that name"
                    .into(),
            ),
            Self::OverItself { .. } => None,
            Self::Unnameable { .. } => Some("leave --layered out: then the layers become one".into()),
            Self::Nameless(_) => Some("say how it is called: --aci-name example.com/app:1.0".into()),
        }
    }
}
