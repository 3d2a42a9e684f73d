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
    /// The one that the caller named: by a path, or by a name alone, which is looked for in a search path.
    pub fn named(path: &Path, search: &OsStr) -> Result<Self, RunError> {
        let shown = || Shown::from(path.as_os_str().as_bytes());
        let name = path.file_name().unwrap_or_default().as_bytes();
        let kind = HYBRID.into_iter().find(|kind| name.starts_with(kind.name().as_bytes()));
        let kind = kind.ok_or_else(|| RunError::UnknownRuntime(shown()))?;
        let path = find(path.as_os_str(), search).ok_or_else(|| RunError::NotAProgram(shown()))?;
        Ok(Self { kind, path })
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
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_runtime_is_known_by_its_name_and_none_is_made_up() {
        let scratch = testkit::scratch();
        for name in ["crun-1.9", "bwrap", "docker"] {
            let file = scratch.file(name, "");
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("ours");
        }
        scratch.file("youki", "nobody may run it");
        let named = |path: &Path| Runtime::named(path, scratch.root().as_os_str());
        let found = |name: &str| {
            let (alone, whole) = (named(Path::new(name)), named(&scratch.path(name)));
            assert_eq!(alone.as_ref().map(|it| &it.path).ok(), whole.as_ref().map(|it| &it.path).ok());
            whole.map(|it| (it.kind, it.path))
        };
        assert_eq!(found("crun-1.9").ok(), Some((Kind::Crun, scratch.path("crun-1.9"))));
        assert_eq!(found("bwrap").ok(), Some((Kind::Bwrap, scratch.path("bwrap"))));
        assert!(matches!(found("docker"), Err(RunError::UnknownRuntime(_))));
        for absent in ["runc", "youki"] {
            assert!(matches!(found(absent), Err(RunError::NotAProgram(_))), "{absent}");
        }
        let none = Runtime::choose(OsStr::new("/nonexistent")).map(|it| it.kind).err();
        assert!(matches!(none, Some(RunError::NoRuntime { .. })));
    }
}
