//! A folder that an image is unpacked to.

use clap::Args;
use orlop::fs::staging::{Durable, Existing};
use orlop::image::Image;
use orlop::layer::path::printable;
use std::path::{Path, PathBuf};

/// A folder that an image is unpacked to.
#[derive(Args, Debug)]
pub struct Target {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Exchange DIR, if there is one, for the new folder in one step, and remove the old one
    #[arg(long)]
    replace: bool,
    /// Force everything to the disk before DIR appears
    #[arg(long)]
    sync: bool,
}

impl Target {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// What is done with what is there.
    pub fn existing(&self) -> Existing {
        if self.replace { Existing::Replace } else { Existing::Refuse }
    }

    /// Whether the folder survives a loss of power.
    pub fn sync(&self) -> Durable {
        if self.sync { Durable::Yes } else { Durable::No }
    }

    /// The line that is printed: `rootfs:DIR@DIGEST`, the digest being the manifest's.
    pub fn line(&self, image: &Image<'_>) -> String {
        let digest = &image.manifest().descriptor().digest;
        format!("rootfs:{}@{digest}\n", printable(&self.folder.to_string_lossy()))
    }
}
