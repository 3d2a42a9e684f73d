//! Which program runs a container.

use super::error::RunError;
use orlop_fs::cgroup::{self, Layout};
use orlop_fs::error::Shown;
use orlop_fs::process::find;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A program whose arguments are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `runc`
    Runc,
    /// `crun`
    Crun,
    /// `youki`
    Youki,
    /// `bwrap`, which is no runtime: it knows neither cgroups nor users of an image.
    Bwrap,
}

impl Kind {
    /// The name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::Youki => "youki",
            Self::Bwrap => "bwrap",
        }
    }
}

/// A program that runs containers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Runtime {
    /// Whose arguments it takes.
    pub kind: Kind,
    /// The file.
    pub path: PathBuf,
}

/// Where there are cgroups of both versions, crun refuses to work until one of them is hidden.
const HYBRID: [Kind; 4] = [Kind::Runc, Kind::Youki, Kind::Crun, Kind::Bwrap];
/// The quickest first.
const OTHERWISE: [Kind; 4] = [Kind::Crun, Kind::Runc, Kind::Youki, Kind::Bwrap];

impl Runtime {
    /// The one that the caller named.
    pub fn named(path: &Path) -> Result<Self, RunError> {
        let shown = || Shown::from(path.as_os_str().as_bytes());
        let name = path.file_name().unwrap_or_default().as_bytes();
        let kind = HYBRID.into_iter().find(|kind| name.starts_with(kind.name().as_bytes()));
        let kind = kind.ok_or_else(|| RunError::UnknownRuntime(shown()))?;
        Ok(Self { kind, path: path.to_owned() })
    }

    /// The best one for this machine in the folders of a search path.
    pub fn choose(search: &OsStr) -> Result<Self, RunError> {
        let kinds = if cgroup::layout() == Layout::Hybrid { HYBRID } else { OTHERWISE };
        let mut found = kinds
            .into_iter()
            .filter_map(|kind| find(OsStr::new(kind.name()), search).map(|path| Self { kind, path }));
        found.next().ok_or(RunError::NoRuntime { looked_for: "runc, crun, youki and bwrap" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_known_by_its_name_and_none_is_made_up() {
        let kind = |path: &str| Runtime::named(Path::new(path)).map(|it| it.kind).ok();
        assert_eq!(kind("/opt/crun-1.9"), Some(Kind::Crun));
        assert_eq!(kind("/usr/bin/bwrap"), Some(Kind::Bwrap));
        assert_eq!(kind("/usr/bin/docker"), None);
        let none = Runtime::choose(OsStr::new("/nonexistent")).map(|it| it.kind).err();
        assert!(matches!(none, Some(RunError::NoRuntime { .. })));
    }
}
