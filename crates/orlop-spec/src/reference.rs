//! References: where an image is, and which one of that place. One grammar, one parser.
//!
//! ```text
//! oci:srv/images:v1@sha256:6c3c…
//! └┬┘ └───┬────┘ └┬┘└─────┬────┘
//!  │     place   tag     digest ── cut off first; wins over the tag
//!  transport
//! ```
//!
//! Invariant: printing is the inverse of parsing. `parse(print(parse(text))) == parse(text)` for every text,
//! as long as the same files exist.

mod error;
mod grammar;
mod name;
mod repository;

pub use error::ReferenceError;
pub use grammar::{Bare, Grammar, LoneStream, Sought};
pub use name::is_ref_name;
pub use repository::Repository;
pub(crate) use repository::is_component;
pub use repository::is_tag;

use crate::port::Selector;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// Where an image is, and which one of that place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The place.
    pub transport: Transport,
    /// Which image of the place.
    pub selector: Selector,
    /// The tag that stood beside a digest. The digest is what is meant; a tag that points elsewhere by now
    /// is worth a warning.
    pub tag: Option<Box<str>>,
}

/// A kind of place, and the place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// `docker://HOST/REPOSITORY`: a repository of a registry.
    Registry(Repository),
    /// `oci:DIR`: an OCI layout in a folder.
    Layout(PathBuf),
    /// `oci:https://HOST/DIR`: an OCI layout served as plain files; the address has no fragment.
    LayoutUrl(Box<str>),
    /// `oci-archive:FILE`: an OCI layout in a tar.
    OciArchive(File),
    /// `docker-archive:FILE`: what `docker save` writes.
    DockerArchive(File),
    /// `dir:DIR`: the exploded form of skopeo.
    Dir(PathBuf),
    /// `rootfs:DIR`: a root file system; holds a tree, no manifest.
    Rootfs(PathBuf),
    /// `tar:FILE`: a root file system in a tar; holds a tree, no manifest.
    Tar(File),
    /// `store:NAME`: the local store; the name is the selector.
    Store,
    /// `https://HOST/FILE`: an archive or a root tar on the web; the address has no fragment.
    Web(Box<str>),
    /// `ostree:REPOSITORY@NAME`: a commit or a kept image of an OSTree repository.
    Ostree {
        /// The repository's folder.
        repository: PathBuf,
        /// A ref, a commit, or `docker://…` of a kept image; with `:/SUBPATH` where a part is meant.
        name: Box<str>,
    },
    /// `aci:FILE`: an App Container Image.
    Aci(File),
    /// A path without a transport: what is there is found from its content.
    Local(PathBuf),
}

/// A file that may be standard input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum File {
    /// A file with a name.
    Path(PathBuf),
    /// `-`.
    Stream,
}

/// Whether a place keeps images as they are, or only the files in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Blobs: every byte and digest of an image, all platforms.
    Blobs,
    /// A tree: the files of one platform; an image must be made from it.
    Tree,
    /// Only its content tells.
    Unknown,
}

impl Transport {
    /// The word before the colon; empty for a local path.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Registry(_) => "docker",
            Self::Layout(_) | Self::LayoutUrl(_) => "oci",
            Self::OciArchive(_) => "oci-archive",
            Self::DockerArchive(_) => "docker-archive",
            Self::Dir(_) => "dir",
            Self::Rootfs(_) => "rootfs",
            Self::Tar(_) => "tar",
            Self::Store => "store",
            Self::Web(_) => "https",
            Self::Ostree { .. } => "ostree",
            Self::Aci(_) => "aci",
            Self::Local(_) => "",
        }
    }

    /// What the place keeps.
    pub fn holds(&self) -> Holds {
        match self {
            Self::Rootfs(_) | Self::Tar(_) | Self::Aci(_) => Holds::Tree,
            Self::Local(_) | Self::Web(_) | Self::Ostree { .. } => Holds::Unknown,
            _ => Holds::Blobs,
        }
    }

    /// The local path, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Layout(path) | Self::Dir(path) | Self::Rootfs(path) | Self::Local(path) => Some(path),
            Self::OciArchive(file) | Self::DockerArchive(file) | Self::Tar(file) | Self::Aci(file) => {
                file.path()
            }
            Self::Ostree { repository, .. } => Some(repository),
            Self::Registry(_) | Self::LayoutUrl(_) | Self::Web(_) | Self::Store => None,
        }
    }

    fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Layout(path) | Self::Dir(path) | Self::Rootfs(path) | Self::Local(path) => Some(path),
            Self::OciArchive(file) | Self::DockerArchive(file) | Self::Tar(file) | Self::Aci(file) => {
                match file {
                    File::Path(path) => Some(path),
                    File::Stream => None,
                }
            }
            Self::Ostree { repository, .. } => Some(repository),
            Self::Registry(_) | Self::LayoutUrl(_) | Self::Web(_) | Self::Store => None,
        }
    }

    /// The place as it is written in a reference, without a selector.
    fn print(&self) -> OsString {
        let mut text = OsString::from(self.name());
        match self {
            Self::Local(path) => return path.into(),
            Self::Web(address) => return address.to_string().into(),
            Self::Registry(repository) => text.push(format!("://{repository}")),
            Self::LayoutUrl(address) => text.push(format!(":{address}")),
            Self::Store => text.push(":"),
            Self::Layout(path) | Self::Dir(path) | Self::Rootfs(path) => {
                text.push(":");
                text.push(path);
            }
            Self::OciArchive(file) | Self::DockerArchive(file) | Self::Tar(file) | Self::Aci(file) => {
                text.push(":");
                text.push(file.as_os_str());
            }
            Self::Ostree { repository, name } => {
                text.push(":");
                text.push(repository);
                text.push(format!("@{name}"));
            }
        }
        text
    }

    /// What stands between the place and a tag.
    fn separator(&self) -> &'static str {
        match self {
            Self::Web(_) | Self::LayoutUrl(_) => "#",
            Self::Store => "",
            _ => ":",
        }
    }
}

impl File {
    /// The path, where it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Stream => None,
        }
    }

    fn as_os_str(&self) -> &OsStr {
        self.path().map_or(OsStr::new("-"), Path::as_os_str)
    }
}

impl Reference {
    /// A whole place, with nothing selected in it.
    pub fn new(transport: Transport) -> Self {
        Self { transport, selector: Selector::Only, tag: None }
    }

    /// The tag, whether it selects or only stands beside the digest.
    pub fn tag(&self) -> Option<&str> {
        match &self.selector {
            Selector::Tag(tag) => Some(tag),
            _ => self.tag.as_deref(),
        }
    }

    /// Whether the place is standard input or output.
    pub fn is_stream(&self) -> bool {
        use Transport::{Aci, DockerArchive, OciArchive, Tar};
        matches!(
            self.transport,
            OciArchive(File::Stream) | DockerArchive(File::Stream) | Tar(File::Stream) | Aci(File::Stream)
        )
    }

    /// The same place for whoever is in any folder: where it has a relative path, that is one from `folder`, which must be
    /// absolute and without symbolic links, as the kernel tells where a process is.
    #[must_use]
    pub fn from_folder(mut self, folder: &Path) -> Self {
        if let Some(path) = self.transport.path_mut().filter(|path| path.is_relative()) {
            *path = joined(folder, path);
        }
        self
    }

    /// The reference in the one spelling that parses to it again, paths byte for byte.
    pub fn to_os_string(&self) -> OsString {
        let mut text = self.transport.print();
        if let Some(tag) = self.tag() {
            text.push(self.transport.separator());
            text.push(tag);
        }
        match &self.selector {
            Selector::At(position) => text.push(format!(":@{position}")),
            Selector::Digest(digest) => text.push(format!("@{digest}")),
            Selector::Only | Selector::Tag(_) => {}
        }
        text
    }
}

/// A relative path from a folder on. What leads up at its beginning is taken off the folder, so that the folders below need
/// not stay; further in it may follow a link, and stays.
fn joined(folder: &Path, path: &Path) -> PathBuf {
    let mut whole = folder.to_owned();
    let mut rest = path.components().peekable();
    while let Some(up) = rest.next_if(|it| matches!(it, Component::CurDir | Component::ParentDir)) {
        if up == Component::ParentDir {
            whole.pop();
        }
    }
    whole.extend(rest);
    whole
}

/// For messages: bytes of a path that are no text are replaced.
impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.to_os_string().to_string_lossy())
    }
}

#[cfg(test)]
mod tests;
