//! The archive that stands where a new one is to go: whether it is the one that was read.
//!
//! ```text
//! open it ── lock it ── does the name still lead to it? ── list it ── compare ──► rename over it, and let go
//!    ▲                     │ no: somebody was quicker
//!    └─────────────────────┘
//! ```
//!
//! Invariant: whoever says what it read holds the file that it replaces, from before it lists that until it is replaced. So
//! of two at once one waits, and then finds another file under the name.

use super::input::{self, Options};
use super::sink::Form;
use super::{Content, OciArchive};
use crate::docker_archive::{self, DockerArchive};
use orlop_fs::lock::{Lock, Share, Wait};
use orlop_fs::{Dir, File, Persist};
use orlop_spec::Descriptor;
use orlop_spec::port::{self, Catalog as _, Name, Result, Seen};
use std::path::Path;

/// What should stand where a new archive is to go.
pub(super) struct Standing<'a> {
    /// Everything that was read of it; nothing where nobody read it.
    pub(super) seen: &'a [Seen],
    pub(super) form: Form,
    pub(super) path: &'a Path,
    pub(super) options: &'a Options,
}

/// What stands there cannot change as long as this lives.
pub(super) enum Held {
    /// Nobody asked.
    Anything,
    /// Nothing: who comes first has the name.
    Nothing,
    /// This file.
    File { _lock: Option<Lock> },
}

impl Held {
    /// How the new archive takes its name.
    pub(super) fn how(&self) -> Persist {
        match self {
            Self::Nothing => Persist::New,
            Self::Anything | Self::File { .. } => Persist::Replace,
        }
    }
}

/// Holds what stands under the name, if it is what was seen.
///
/// # Errors
/// [`port::Overtaken`] where it is not.
pub(super) fn hold(folder: &Dir, name: &[u8], standing: &Standing<'_>) -> Result<Held> {
    if standing.seen.is_empty() {
        return Ok(Held::Anything);
    }
    loop {
        let file = match folder.open_file(name) {
            Err(error) if error.is_not_found() => {
                standing.check(&[])?;
                return Ok(Held::Nothing);
            }
            file => file?,
        };
        let lock = file.lock(Share::Exclusive, Wait::Yes)?;
        let (own, stat) = (file.stat()?, folder.try_stat(name)?);
        if stat.is_some_and(|stat| (stat.dev, stat.ino) == (own.dev, own.ino)) {
            standing.check(&standing.list(file)?)?;
            return Ok(Held::File { _lock: lock });
        }
    }
}

impl Standing<'_> {
    fn check(&self, now: &[(Name, Descriptor)]) -> Result<()> {
        match self.form {
            Form::Oci => port::check_whole(self.seen, now)?,
            Form::Docker => port::check_whole(&docker_archive::seen_in_full(self.seen), now)?,
        }
        Ok(())
    }

    fn list(&self, file: File) -> Result<Vec<(Name, Descriptor)>> {
        let Self { path, options, .. } = *self;
        let input = input::of(file, options)?;
        match self.form {
            Form::Oci => OciArchive::new(Content::read(input, path, options)?, None, options).names(),
            Form::Docker => DockerArchive::from_input(input, path, options)?.names(),
        }
    }
}
