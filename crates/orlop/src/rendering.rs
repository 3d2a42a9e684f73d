//! Places that an image is rendered into: they take its files, and no blobs.
//!
//! Invariant: a place that cannot honour a wish says so before anything is read, and nothing of it is visible before it
//! is whole.

use crate::image::Image;
use crate::ostree::target::{CommitWish, Imported};
use crate::tar_tree::RootTar;
use crate::unpack::{Unpack, unpack};
use orlop_fs::owner::Owner;
use orlop_fs::staging::{Detail, Durable, Existing};
use orlop_layer::TreePath;
use orlop_layer::codec::Codec;
use orlop_layer::path::printable;
use orlop_spec::Context;
use orlop_spec::port::Result;
use std::path::{Path, PathBuf};

/// A place that takes the files of an image.
pub trait TreeTarget {
    /// What becomes of an image here, as in "… has no meaning when an image is unpacked".
    fn becomes(&self) -> &'static str;

    /// Whether the place can do what the wish is about.
    fn honours(&self, wish: Wish) -> bool;

    /// Takes the image.
    fn take(&self, cx: &Context<'_>, image: &Image<'_>, how: &Rendering) -> Result<Rendered>;
}

/// What a rendering may be told, beyond the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// What is done about owners.
    Owner,
    /// How it is compressed.
    Codec,
    /// What is said about a commit.
    Commit,
    /// What is said about an App Container.
    Aci,
}

/// How an image is rendered. What a place does not honour it does not look at.
#[derive(Clone, Debug)]
pub struct Rendering {
    /// What is done about owners.
    pub owner: Owner,
    /// How it is compressed; what fits the place where nothing was said.
    pub press: Option<Press>,
    /// What is said about a commit.
    pub commit: CommitWish,
    /// What an App Container is called, as the user says it.
    pub name: Option<Box<str>>,
    /// How many App Containers it becomes.
    pub layering: Layering,
    /// What the image is called in the place that it comes from.
    pub called: Option<Box<str>>,
}

/// What becomes of an image's layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layering {
    /// They are merged.
    #[default]
    Merged,
    /// Each is a file that lies over the one before.
    Each,
}

/// How a tar is compressed that is no layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// As a layer would be.
    Layer(Codec),
    /// By xz.
    Xz,
}

/// What became of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// What was made, without the end of the line, fit to be printed.
    pub name: String,
    /// What is known of the commit, where it is one.
    pub commit: Option<Imported>,
}

/// A folder that becomes a root filesystem.
#[derive(Clone, Debug)]
pub struct NewFolder(pub PathBuf);

impl TreeTarget for NewFolder {
    fn becomes(&self) -> &'static str {
        "an image is unpacked"
    }

    fn honours(&self, wish: Wish) -> bool {
        wish == Wish::Owner
    }

    fn take(&self, cx: &Context<'_>, image: &Image<'_>, how: &Rendering) -> Result<Rendered> {
        let how = Unpack {
            owner: how.owner,
            detail: Detail::Full,
            existing: Existing::Refuse,
            sync: Durable::No,
            subdir: TreePath::root(),
            track: None,
        };
        unpack(cx, image, &self.0, &how)?;
        Ok(Rendered::of("rootfs", &self.0, image))
    }
}

impl TreeTarget for RootTar<'_> {
    fn becomes(&self) -> &'static str {
        "an image becomes a tar"
    }

    fn honours(&self, wish: Wish) -> bool {
        wish == Wish::Codec
    }

    fn take(&self, cx: &Context<'_>, image: &Image<'_>, how: &Rendering) -> Result<Rendered> {
        self.write(cx, image, how.press.unwrap_or(Press::Layer(Codec::None)))?;
        Ok(Rendered::of("tar", self.0.file.path().unwrap_or(Path::new("-")), image))
    }
}

impl Rendered {
    /// The place, and the image that it was made of.
    pub(crate) fn of(transport: &str, path: &Path, image: &Image<'_>) -> Self {
        let digest = &image.manifest().descriptor().digest;
        Self { name: format!("{transport}:{}@{digest}", printable(&path.to_string_lossy())), commit: None }
    }
}
