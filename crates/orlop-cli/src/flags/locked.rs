//! What names of images mean: what they stand for now, or what a lock file says.

use clap::Args;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// Whether the names of a place may be locked.
pub trait Locking: Args + Debug + Default {
    /// The lock file that was named.
    fn file(&self) -> Option<&Path>;
}

/// For verbs that read images by name.
#[derive(Args, Debug, Default)]
pub struct Locked {
    /// Let names of images stand for what this file says, as `orlop lock` writes it; a name that it lacks is refused
    #[arg(long, value_name = "FILE", help_heading = "Places")]
    locked: Option<PathBuf>,
}

/// For verbs that are about names as they are now.
#[derive(Args, Debug, Default)]
pub struct Unlocked {}

impl Locking for Locked {
    fn file(&self) -> Option<&Path> {
        self.locked.as_deref()
    }
}

impl Locking for Unlocked {
    fn file(&self) -> Option<&Path> {
        None
    }
}
