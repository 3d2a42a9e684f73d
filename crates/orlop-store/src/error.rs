//! What can be wrong with a place on disk that holds images.

use crate::store::view::Backend;
use orlop_spec::digest::{DiffId, Digest};
use orlop_spec::document::DocumentError;
use orlop_spec::json::JsonError;
use orlop_spec::{AnyDigest, Diagnose, Fault, Kind, Names};
use std::path::PathBuf;
use std::sync::Arc;
use std::{error, io, iter};

/// What can be wrong with a place on disk that holds images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder or archive lacks a part that makes it one.
    #[error("{} is no {what}: `{missing}` is missing", .place.display())]
    Incomplete {
        /// Where.
        place: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is not there.
        missing: &'static str,
    },
    /// The form is newer than this program, or something else altogether.
    #[error("{} says that it is {found:?}, and only {understood} is understood", .file.display())]
    UnknownVersion {
        /// The file that says so.
        file: PathBuf,
        /// What it says.
        found: String,
        /// What is read.
        understood: &'static str,
    },
    /// A file that gives names or marks the form is not what it must be.
    #[error("{} is damaged", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// One entry of a list of names is no descriptor; the others are.
    #[error("entry {position} of {} cannot be read", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Which entry, from 0.
        position: usize,
        /// Why.
        #[source]
        source: Arc<JsonError>,
    },
    /// A file that gives names or marks the form is longer than it may be.
    #[error("{} has more than {limit} bytes", .file.display())]
    LongFile {
        /// The file.
        file: PathBuf,
        /// What is allowed.
        limit: u64,
    },
    /// A blob is not there.
    #[error("the blob {digest} is missing: there is no {}", .path.display())]
    BlobMissing {
        /// The blob.
        digest: AnyDigest,
        /// Where it should be.
        path: PathBuf,
    },
    /// The place holds no image at all.
    #[error("{} holds no image", .place.display())]
    Empty {
        /// Where.
        place: PathBuf,
    },
    /// Nothing bears the name.
    #[error("{} has no image {wanted:?}", .place.display())]
    NoSuchImage {
        /// Where.
        place: PathBuf,
        /// What was asked for.
        wanted: String,
        /// What is there.
        known: Names,
    },
    /// No name was given, and there are several images.
    #[error("{} holds {count} images, and none was chosen", .place.display())]
    SeveralImages {
        /// Where.
        place: PathBuf,
        /// How many.
        count: usize,
        /// What is there.
        known: Names,
    },
    /// Several entries bear one name and are no choice by platform.
    #[error("{} has {count} different images of the name {name:?}", .place.display())]
    Ambiguous {
        /// Where.
        place: PathBuf,
        /// The name.
        name: Box<str>,
        /// How many.
        count: usize,
    },
    /// A tag that must not be written.
    #[error("{tag:?} cannot be a tag here: {law}")]
    BadTag {
        /// The tag.
        tag: Box<str>,
        /// What is allowed.
        law: &'static str,
    },
    /// There is no store.
    #[error("there is no store at {}", .place.display())]
    NoStore {
        /// Where it was looked for.
        place: PathBuf,
    },
    /// There is no layout.
    #[error("there is no OCI layout at {}", .place.display())]
    NoLayout {
        /// Where it was looked for.
        place: PathBuf,
        /// What the system said.
        #[source]
        source: orlop_fs::Error,
    },
    /// The disk of the store has no room left, or the user no quota.
    #[error("the store at {} cannot grow", .place.display())]
    StoreFull {
        /// The store.
        place: PathBuf,
        /// What was written when it showed.
        #[source]
        source: Fault,
    },
    /// A name was given to something else in the meantime.
    #[error("{name:?} was given to another image in the meantime")]
    Moved {
        /// The name.
        name: Box<str>,
    },
    /// The folder is in use for something else.
    #[error("{} is no {what}, and not empty", .path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
    },
    /// A program that knows no lock writes all the time.
    #[error("{} changes faster than it can be written", .file.display())]
    Unsteady {
        /// The file.
        file: PathBuf,
    },
    /// A form that holds one image was given several.
    #[error("{} can hold one image, not {count}", .place.display())]
    OneImageOnly {
        /// Where.
        place: PathBuf,
        /// How many were given.
        count: usize,
    },
    /// A member of an archive is not what it must be.
    #[error("{}: the member `{member}` {what}", .place.display())]
    Member {
        /// The archive.
        place: PathBuf,
        /// Name of the member, escaped.
        member: String,
        /// What is wrong.
        what: &'static str,
    },
    /// An earlier blob failed, so the archive that is being written cannot become whole.
    #[error("the archive {} was given up after an earlier error", .place.display())]
    GivenUp {
        /// The archive.
        place: PathBuf,
    },
    /// The content of a file is not in the store.
    #[error("the content {digest} is missing: there is no {}", .path.display())]
    ObjectMissing {
        /// Of the content.
        digest: Box<Digest>,
        /// Where it should be.
        path: PathBuf,
    },
    /// What is under the name of a content is something else.
    #[error("the content {digest} is damaged: {} holds something else", .path.display())]
    ObjectDamaged {
        /// What it should be.
        digest: Box<Digest>,
        /// Where it is.
        path: PathBuf,
    },
    /// The store has no such layer.
    #[error("there is no layer {diff_id} in {}", .place.display())]
    NoSuchLayer {
        /// What was asked for.
        diff_id: Box<DiffId>,
        /// The folder of layers.
        place: PathBuf,
    },
    /// The list of a layer is not what was written.
    #[error("the list of a layer {} is damaged: {what}", .file.display())]
    ListDamaged {
        /// The list.
        file: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The folder is on a file system of another machine.
    #[error("{} is on {kind}, whose locks and times other machines have a part in", .place.display())]
    FarStore {
        /// The folder of leases.
        place: PathBuf,
        /// What the file system is called.
        kind: &'static str,
    },
    /// The file system has no locks.
    #[error("the file system of {} has no locks", .place.display())]
    NoLocks {
        /// The folder of leases.
        place: PathBuf,
        /// What the system said.
        #[source]
        source: orlop_fs::Error,
    },
    /// What says what a layer's blob is, is not what was written.
    #[error("{} is damaged: {what}", .file.display())]
    FormDamaged {
        /// The form.
        file: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The record of a name is not what was written, or belongs to another name.
    #[error("{} is damaged: nobody knows what the name stands for", .file.display())]
    NameDamaged {
        /// The record.
        file: PathBuf,
    },
    /// A layer's blob was not kept, and cannot be made again to the bit.
    #[error("the blob {digest} was not kept, and cannot be made again")]
    BlobGone {
        /// The blob.
        digest: Box<Digest>,
    },
    /// A layer's blob was made by another version of this program.
    #[error("the blob {digest} was compressed in version {framing} of our form, and {understood} is written")]
    OtherFraming {
        /// The blob.
        digest: Box<Digest>,
        /// The version that made it.
        framing: u32,
        /// The version of this program.
        understood: u32,
    },
    /// The kernel, or the caller's rights, do not let a tree be shown so.
    #[error("a tree cannot be shown as {backend}")]
    NotShown {
        /// How.
        backend: Backend,
        /// Why not.
        #[source]
        source: orlop_fs::Error,
    },
    /// The kernel shows something else than the tree.
    #[error("shown as {backend}, {path} has another content than it should")]
    ShownWrong {
        /// How.
        backend: Backend,
        /// The file that was looked at.
        path: String,
    },
    /// Something is mounted there already.
    #[error("{} is a mount already", .place.display())]
    IsAMount {
        /// Where.
        place: PathBuf,
    },
    /// There is no folder that something could be shown at.
    #[error("{} is no folder that an image could be shown at", .place.display())]
    NoFolderToShowAt {
        /// Where.
        place: PathBuf,
        /// What the system said.
        #[source]
        source: orlop_fs::Error,
    },
    /// A folder that a mount would hide the files of.
    #[error("{} is not empty: a mount would hide what is there", .place.display())]
    WouldHide {
        /// The folder.
        place: PathBuf,
    },
    /// It is mounted where this process cannot see it.
    #[error("{} is mounted for other processes than this one", .place.display())]
    MountedElsewhere {
        /// Where they see it.
        place: PathBuf,
    },
    /// What a stream brings cannot be changed in place.
    #[error("{} is a stream and cannot be changed", .place.display())]
    NotKept {
        /// The archive.
        place: PathBuf,
    },
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoFolderToShowAt { source, .. } => source.kind(),
            Self::Empty { .. }
            | Self::NoStore { .. }
            | Self::NoLayout { .. }
            | Self::NoSuchImage { .. }
            | Self::NoSuchLayer { .. } => Kind::NotFound,
            Self::Incomplete { .. }
            | Self::Damaged { .. }
            | Self::Unreadable { .. }
            | Self::BlobMissing { .. }
            | Self::ObjectMissing { .. }
            | Self::ObjectDamaged { .. }
            | Self::ListDamaged { .. }
            | Self::FormDamaged { .. }
            | Self::NameDamaged { .. }
            | Self::Member { .. } => Kind::Integrity,
            Self::LongFile { .. } => Kind::Limit,
            Self::SeveralImages { .. }
            | Self::Ambiguous { .. }
            | Self::BadTag { .. }
            | Self::OneImageOnly { .. }
            | Self::BlobGone { .. }
            | Self::OtherFraming { .. }
            | Self::NotKept { .. } => Kind::Usage,
            Self::UnknownVersion { .. }
            | Self::Occupied { .. }
            | Self::Unsteady { .. }
            | Self::NotShown { .. }
            | Self::IsAMount { .. }
            | Self::WouldHide { .. }
            | Self::MountedElsewhere { .. }
            | Self::ShownWrong { .. }
            | Self::FarStore { .. }
            | Self::NoLocks { .. }
            | Self::StoreFull { .. }
            | Self::Moved { .. }
            | Self::GivenUp { .. } => Kind::Other,
        }
    }

    fn is_absence(&self) -> bool {
        self.kind() == Kind::NotFound || matches!(self, Self::BlobMissing { .. } | Self::ObjectMissing { .. })
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchImage { known, .. } | Self::SeveralImages { known, .. } if !known.is_empty() => {
                Some(format!("it has {known}"))
            }
            Self::SeveralImages { .. } => Some("choose one by its position: `:@0` is the first".into()),
            Self::Ambiguous { .. } => Some("choose one by its digest, or by its position: `:@0`".into()),
            Self::Unreadable { .. } => Some(
                "`orlop validate` tells what is wrong; `orlop untag` takes the entry away by its tag".into(),
            ),
            Self::UnknownVersion { .. } => {
                Some("use the version that wrote it, or name another folder with --root".into())
            }
            Self::BlobMissing { .. } => Some("name the folder that has it with --shared-blobs".into()),
            Self::ObjectMissing { .. }
            | Self::ObjectDamaged { .. }
            | Self::ListDamaged { .. }
            | Self::FormDamaged { .. }
            | Self::NameDamaged { .. } => {
                Some("fetch the image again: what is missing or damaged is written anew".into())
            }
            Self::FarStore { .. } | Self::NoLocks { .. } => {
                Some("name a folder on a disk of this machine with --root".into())
            }
            Self::BlobGone { .. } | Self::OtherFraming { .. } => {
                Some("compress the layer anew: --compress gzip".into())
            }
            Self::NoStore { .. } => Some(
                "the first image that is fetched makes it: orlop pull REF; one of a registry is \
                 docker://HOST/REPOSITORY:TAG"
                    .into(),
            ),
            Self::NoLayout { .. } => Some(
                "a layout is a folder with the file `oci-layout`, and its tag stands behind the last colon: \
                 oci:DIR:TAG"
                    .into(),
            ),
            Self::StoreFull { .. } => {
                Some("remove images and then `orlop gc`, or name a folder on another disk with --root".into())
            }
            Self::Moved { .. } => Some("look at it, and try again".into()),
            Self::MountedElsewhere { .. } => Some("it goes away with the last of them".into()),
            Self::Occupied { .. } => Some("name a folder that is empty or does not exist".into()),
            Self::IsAMount { .. } | Self::WouldHide { .. } | Self::NoFolderToShowAt { .. } => {
                Some("name a folder that is empty, or none: then one of the store is taken".into())
            }
            _ => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}

/// What the system said, wherever in the chain of causes that stands.
pub(crate) fn said_by_the_system(fault: &Fault) -> impl Iterator<Item = &io::Error> {
    let first: &(dyn error::Error + 'static) = fault;
    iter::successors(Some(first), |cause| cause.source()).filter_map(|cause| cause.downcast_ref())
}

/// Whether a list or a form is not what was written, and neither the disk nor the caller at fault.
pub(crate) fn is_damaged(fault: &Fault) -> bool {
    matches!(fault.downcast_ref(), Some(Error::ListDamaged { .. } | Error::FormDamaged { .. }))
}

/// Whether a file is there, and the disk or its file system cannot give it.
pub fn is_unreadable(fault: &Fault) -> bool {
    said_by_the_system(fault).any(orlop_fs::Error::is_disk)
}
