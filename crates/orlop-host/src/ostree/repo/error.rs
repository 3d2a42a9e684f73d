//! What can be wrong with a repository.

use crate::ostree::id::{ObjectId, ObjectName};
use crate::ostree::keyfile::KeyFileError;
use crate::ostree::object::Malformed;
use orlop_layer::path::printable;
use orlop_spec::{Cancelled, Diagnose, Fault, Kind};
use std::path::PathBuf;

/// What can be wrong with a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// The config is no key file.
    #[error("the config of the repository {} is damaged", .place.display())]
    BadConfig {
        /// Where.
        place: PathBuf,
        /// Why.
        #[source]
        source: KeyFileError,
    },
    /// The config names a mode that is unknown, or none.
    #[error("the repository {} has the mode {mode:?}, which is unknown", .place.display())]
    UnknownMode {
        /// Where.
        place: PathBuf,
        /// What the config says.
        mode: String,
    },
    /// The parent of a repository cannot be opened.
    #[error("the parent of the repository {} cannot be opened", .place.display())]
    BadParent {
        /// Whose.
        place: PathBuf,
        /// Why.
        #[source]
        source: Box<crate::Error>,
    },
    /// Parents of parents, beyond the limit, as where one names itself.
    #[error("the parents of the repository have parents, more than {most}")]
    Parents {
        /// The most.
        most: usize,
    },
    /// The config says that the repository is of another version.
    #[error("the repository {} has the version {version}; only 1 is known", .place.display())]
    UnknownVersion {
        /// Where.
        place: PathBuf,
        /// What the config says.
        version: String,
    },
    /// There is a repository already, of another mode.
    #[error("{} is a repository already, of the mode {mode}", .place.display())]
    Exists {
        /// Where.
        place: PathBuf,
        /// Its mode.
        mode: super::Mode,
    },
    /// Repositories of the mode are read only.
    #[error("repositories of the mode {mode} are not written to")]
    ReadOnly {
        /// The mode.
        mode: super::Mode,
    },
    /// An object is not there.
    #[error("the object {object} is not in the repository")]
    Missing {
        /// Which.
        object: ObjectName,
    },
    /// An object is not what its name says.
    #[error("the object {object} is damaged: its content has the id {found}")]
    Damaged {
        /// Which.
        object: ObjectName,
        /// What it hashes to.
        found: ObjectId,
    },
    /// An object is no proper one of its kind.
    #[error("the object {object} is malformed: {why}")]
    Malformed {
        /// Which.
        object: ObjectName,
        /// Why.
        #[source]
        why: Malformed,
    },
    /// The compressed content of a file does not end where it should, or is no such.
    #[error("the object {object} is damaged: its compressed content cannot be read")]
    Deflate {
        /// Which.
        object: ObjectName,
    },
    /// An object of metadata is larger than any may be.
    #[error("an object of metadata has {size} bytes; at most {most} are allowed")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The most.
        most: u64,
    },
    /// A file had more or fewer bytes than were announced.
    #[error("a file of {announced} bytes turned out to have {found}")]
    WrongSize {
        /// What was said.
        announced: u64,
        /// What came.
        found: u64,
    },
    /// A file that `bare-user-only` cannot keep.
    #[error(
        "a file of {uid}:{gid} with the mode {mode:o} and {xattrs} extended attributes does not fit into a repository \
         of the mode bare-user-only"
    )]
    NotCanonical {
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Mode.
        mode: u32,
        /// How many attributes.
        xattrs: usize,
    },
    /// No such ref, nor a commit of such an id.
    #[error("the repository has no ref and no commit `{}`", printable(.name))]
    NoSuchCommit {
        /// What was asked for.
        name: Box<str>,
    },
    /// The beginning of more than one id.
    #[error("`{name}` is the beginning of more than one commit's id")]
    Ambiguous {
        /// What was asked for.
        name: Box<str>,
    },
    /// The first commit has no parent.
    #[error("the commit {id} has no parent")]
    NoParent {
        /// Which.
        id: ObjectId,
    },
    /// The file of a ref holds something else than an id.
    #[error("the ref `{}` holds no id of a commit", printable(.name))]
    BadRef {
        /// Which.
        name: Box<str>,
    },
    /// One of the two would have to be a folder.
    #[error("the ref `{name}` cannot be there beside `{other}`: one would be a folder of the other")]
    Clash {
        /// What was to be set.
        name: Box<str>,
        /// What is there.
        other: Box<str>,
    },
    /// A commit that a ref leads to is not removed.
    #[error("the ref `{}` leads to the commit {id}", printable(.name))]
    Named {
        /// Which commit.
        id: ObjectId,
        /// Which ref.
        name: Box<str>,
    },
    /// The summary is no such.
    #[error("the summary of the repository is malformed: {why}")]
    BadSummary {
        /// Why.
        #[source]
        why: Malformed,
    },
    /// There is no summary.
    #[error("the repository has no summary")]
    NoSummary,
    /// Nothing lies at a path of a commit.
    #[error("the commit has no folder `{}`", printable(.path))]
    NoFolder {
        /// The path.
        path: String,
    },
    /// Nothing lies at a path of a commit.
    #[error("the commit has no `{}`", printable(.path))]
    NoPath {
        /// The path.
        path: Box<str>,
    },
    /// A folder or a link, where a file was meant.
    #[error("`{}` is no regular file", printable(.path))]
    NotAFile {
        /// The path.
        path: Box<str>,
    },
    /// Nothing is said under a key.
    #[error("the commit's metadata has no `{}`", printable(.key))]
    NoKey {
        /// The key.
        key: Box<str>,
    },
    /// No tree was given.
    #[error("a commit needs a tree")]
    NothingToCommit,
    /// Trees that do not lie over each other.
    #[error("{} is a folder in one of the trees and a file in another", printable(.path))]
    FileOverFolder {
        /// Where.
        path: String,
    },
    /// A tar that is laid over as a tree is no layer.
    #[error("the tar removes `{}` from what lies below, as layers do", printable(.path))]
    Removes {
        /// What.
        path: String,
    },
    /// No remote of the name.
    #[error("the repository has no remote `{}`", printable(.name))]
    NoSuchRemote {
        /// Its name.
        name: Box<str>,
    },
    /// A remote that was to be new.
    #[error("the repository has a remote `{}` already", printable(.name))]
    RemoteExists {
        /// Its name.
        name: Box<str>,
    },
    /// A remote from which no images are fetched.
    #[error("the remote `{}` is no registry of images", printable(.name))]
    NoRegistry {
        /// Its name.
        name: Box<str>,
    },
    /// A key that no config can hold.
    #[error("`{}` is no key of a config", printable(.key))]
    BadKey {
        /// The key.
        key: Box<str>,
    },
    /// A ref that was to be new.
    #[error("the ref `{name}` is there already")]
    RefExists {
        /// Its name.
        name: Box<str>,
    },
    /// Folders within folders, beyond the limit.
    #[error("the folders of the commit are nested more than {most} deep")]
    TooDeep {
        /// The most.
        most: usize,
    },
    /// More than was allowed.
    #[error("the commit holds more than {most} entries")]
    TooMany {
        /// The most.
        most: u64,
    },
    /// Files of the repository are not what the checkout should have.
    #[error("files of a repository of the mode {mode} cannot be linked into such a checkout")]
    CannotLink {
        /// The mode.
        mode: super::Mode,
    },
    /// An image has its repository where the commit has something else.
    #[error("the commit has `{path}`, and there an encapsulated image has its repository")]
    Taken {
        /// Where.
        path: String,
    },
    /// Something else is there already.
    #[error("{path} is there already, and is not what the commit has")]
    InTheWay {
        /// Where.
        path: String,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Diagnose for RepoError {
    fn kind(&self) -> Kind {
        match self {
            Self::BadConfig { source, .. } => source.kind(),
            Self::BadParent { source, .. } => source.kind(),
            Self::NoSuchCommit { .. }
            | Self::NoParent { .. }
            | Self::NoFolder { .. }
            | Self::NoPath { .. }
            | Self::NoKey { .. }
            | Self::NoSuchRemote { .. }
            | Self::NoSummary => Kind::NotFound,
            Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::Malformed { .. }
            | Self::Deflate { .. }
            | Self::BadRef { .. }
            | Self::BadSummary { .. }
            | Self::WrongSize { .. } => Kind::Integrity,
            Self::TooLarge { .. } | Self::TooDeep { .. } | Self::TooMany { .. } | Self::Parents { .. } => {
                Kind::Limit
            }
            Self::Ambiguous { .. }
            | Self::NothingToCommit
            | Self::Removes { .. }
            | Self::NoRegistry { .. }
            | Self::BadKey { .. } => Kind::Usage,
            Self::Cancelled(_) => Kind::Interrupted,
            _ => Kind::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::BadParent { .. } | Self::Parents { .. } => Some(
                "say where it is, or that there is none: `parent` in the group `core` of the config".into(),
            ),
            Self::NoSuchCommit { name } if name.contains(':') => Some(
                "list what there is: orlop ostree refs --repo=REPO; a folder of a commit begins with a slash: REF:/FOLDER"
                    .into(),
            ),
            Self::NoSuchCommit { .. } => Some("list what there is: orlop ostree refs --repo=REPO".into()),
            Self::NoFolder { .. } => Some("list what there is: orlop ostree ls -R --repo=REPO REF".into()),
            Self::Clash { .. } => Some(
                "name it otherwise, or take the other one away: orlop ostree refs --delete --repo=REPO REF".into(),
            ),
            Self::Missing { .. } | Self::Damaged { .. } | Self::Malformed { .. } | Self::Deflate { .. } => {
                Some("find everything that is wrong: orlop ostree fsck --repo=REPO".into())
            }
            Self::Taken { .. } => Some("carry it in labels: leave out --profile encapsulated".into()),
            Self::NoSummary => Some("make it: orlop ostree summary --update --repo=REPO".into()),
            Self::NoSuchRemote { .. } => {
                Some("list what there is: orlop ostree remote list --repo=REPO".into())
            }
            Self::RemoteExists { .. } => {
                Some("replace it with --force, or leave it with --if-not-exists".into())
            }
            Self::NoRegistry { .. } => {
                Some("add one: orlop ostree remote add --oci --repo=REPO NAME https://HOST/PATH".into())
            }
            Self::Removes { .. } => Some("lay it over as a layer: --tree=layer-tar=FILE".into()),
            Self::RefExists { .. } => Some("let it lead elsewhere with --force".into()),
            Self::NotCanonical { .. } => Some("drop what does not fit: --canonical-permissions".into()),
            Self::CannotLink { mode: super::Mode::BareUser } => {
                Some("check out as yourself: --user-mode".into())
            }
            Self::CannotLink { .. } => Some("let the files be copied: leave out --require-hardlinks".into()),
            Self::UnknownMode { .. } => {
                Some("the modes are archive, bare, bare-user, bare-user-only and bare-split-xattrs".into())
            }
            _ => None,
        }
    }
}

impl From<RepoError> for Fault {
    fn from(error: RepoError) -> Self {
        Self::new(error)
    }
}
