//! Whether the process runs under fakeroot or pseudo, and whether it can see what they pretend.
//!
//! Both put a library before libc that remembers owners, modes, devices and attributes of files. A statically
//! linked program does not load it: it would see the caller's own files, and empty files for devices.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// The values of the environment that tell; the caller reads them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environment<'a> {
    /// `FAKEROOTKEY`.
    pub fakeroot_key: Option<&'a OsStr>,
    /// `LD_PRELOAD`.
    pub preload: Option<&'a OsStr>,
}

/// How the program is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// It loads libraries, preloaded ones too.
    Dynamic,
    /// It loads nothing.
    Static,
}

/// How this build is linked.
pub const LINKAGE: Linkage =
    if cfg!(target_feature = "crt-static") { Linkage::Static } else { Linkage::Dynamic };

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fakeroot {
    /// No such thing.
    Absent,
    /// It is there, and its pretences are seen.
    Seen,
    /// It is there, and this program cannot see its pretences: a scan must be refused or done by another
    /// program.
    Unseen,
}

/// Looks for fakeroot and pseudo.
pub fn detect(environment: &Environment<'_>, linkage: Linkage) -> Fakeroot {
    let is_set = |value: Option<&OsStr>| value.is_some_and(|value| !value.is_empty());
    let is_preloaded = environment.preload.is_some_and(|list| {
        list.as_bytes().split(|byte| matches!(byte, b' ' | b':')).any(is_pretending_library)
    });
    if !is_set(environment.fakeroot_key) && !is_preloaded {
        return Fakeroot::Absent;
    }
    match linkage {
        Linkage::Dynamic => Fakeroot::Seen,
        Linkage::Static => Fakeroot::Unseen,
    }
}

fn is_pretending_library(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    name.starts_with(b"libfakeroot") || name.starts_with(b"libpseudo")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preload(text: &str) -> Environment<'_> {
        Environment { preload: Some(OsStr::new(text)), ..Environment::default() }
    }

    #[test]
    fn the_key_or_the_library_tells() {
        let key = Environment { fakeroot_key: Some(OsStr::new("123")), ..Environment::default() };
        for environment in [key, preload("/usr/lib/libfakeroot-sysv.so"), preload("a.so:/x/libpseudo.so")] {
            assert_eq!(detect(&environment, Linkage::Dynamic), Fakeroot::Seen);
            assert_eq!(detect(&environment, Linkage::Static), Fakeroot::Unseen);
        }
        for environment in [Environment::default(), preload("libjemalloc.so"), preload("/libfakeroot/x.so")] {
            assert_eq!(detect(&environment, Linkage::Static), Fakeroot::Absent);
        }
    }
}
