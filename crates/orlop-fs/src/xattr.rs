//! Extended attributes: reading them, and which names belong to the tree.

use crate::call;
use orlop_layer::Xattrs;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs;
use rustix::io::{Errno, Result};

/// To whom an attribute belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// To the tree; kept.
    Tree,
    /// To an overlay mount. Such a name from an image would make the mount hide, redirect or expose files, and
    /// such a name in a tree is a trace of one.
    Overlay,
    /// To the host's policy: `security.selinux` is a label that the host gave, `system.nfs4_acl` what its
    /// server says. An image made with them would differ from host to host.
    Host,
}

/// To whom the attribute `name` belongs.
pub fn belongs(name: &[u8]) -> Belongs {
    match name {
        b"security.selinux" | b"system.nfs4_acl" => Belongs::Host,
        name if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") => {
            Belongs::Overlay
        }
        _ => Belongs::Tree,
    }
}

/// Whether a value of `security.capability` has a form that a kernel knows (version 1, 2 or 3 and its size).
pub fn is_capability(value: &[u8]) -> bool {
    let Some(version) = value.get(3) else { return false };
    matches!((version, value.len()), (1, 12) | (2, 20) | (3, 24))
}

/// All attributes of an open file or folder.
pub(crate) fn read(file: impl AsFd) -> Result<Xattrs> {
    let file = file.as_fd();
    collect(|list| fs::flistxattr(file, list), |name, value| fs::fgetxattr(file, name, value))
}

/// All attributes of what `name` is, a symbolic link included.
pub(crate) fn read_at(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Xattrs> {
    let path = call::proc_child(folder, name);
    collect(
        |list| fs::llistxattr(path.as_slice(), list),
        |name, value| fs::lgetxattr(path.as_slice(), name, value),
    )
}

/// A name that vanishes between list and look is left out.
fn collect(
    list: impl Fn(&mut [u8]) -> Result<usize>,
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize>,
) -> Result<Xattrs> {
    let names = match sized(list) {
        Ok(names) => names,
        Err(Errno::OPNOTSUPP) => return Ok(Xattrs::new()),
        Err(error) => return Err(error),
    };
    let mut xattrs = Xattrs::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty() && !is_echo(name)) {
        match sized(|value| get(name, value)) {
            Ok(value) => drop(xattrs.insert(name.into(), value.into())),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(xattrs)
}

/// Whether an attribute is another one as its file system keeps it: xfs shows ACLs to root a second time, in a form of its own.
fn is_echo(name: &[u8]) -> bool {
    matches!(name, b"trusted.SGI_ACL_FILE" | b"trusted.SGI_ACL_DEFAULT")
}

/// The most that Linux gives, of names or of a value (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const LARGEST: usize = 1 << 16;

/// Calls with a small buffer first, which is enough for nearly every file, and then with the largest.
pub(crate) fn sized(call: impl Fn(&mut [u8]) -> Result<usize>) -> Result<Vec<u8>> {
    let mut small = [0; 256];
    match call(&mut small) {
        Ok(length) => return Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut large = vec![0; LARGEST];
    let length = call(&mut large)?;
    large.truncate(length);
    large.shrink_to_fit();
    Ok(large)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_overlay_names_are_told_apart() {
        assert_eq!(belongs(b"trusted.overlay.redirect"), Belongs::Overlay);
        assert_eq!(belongs(b"user.overlay.opaque"), Belongs::Overlay);
        assert_eq!(belongs(b"trusted.overlays"), Belongs::Tree);
        assert_eq!(belongs(b"security.capability"), Belongs::Tree);
        assert_eq!(belongs(b"security.selinux"), Belongs::Host);
    }

    #[test]
    fn long_answers_are_whole() {
        let answer = |length: usize| {
            sized(|buffer| {
                let place = buffer.get_mut(..length).ok_or(Errno::RANGE)?;
                place.fill(7);
                Ok(length)
            })
        };
        for length in [0, 1, 256, 257, 3000, LARGEST] {
            assert_eq!(answer(length), Ok(vec![7; length]));
        }
        assert_eq!(answer(LARGEST + 1), Err(Errno::RANGE));
    }

    #[test]
    fn p12_capabilities_have_known_sizes() {
        let value = |version: u8, length: usize| {
            let mut value = vec![0; length];
            value[3] = version;
            value
        };
        assert!(is_capability(&value(2, 20)) && is_capability(&value(3, 24)));
        for value in [value(2, 24), value(3, 20), value(4, 20), vec![0; 3], vec![]] {
            assert!(!is_capability(&value), "{value:?}");
        }
    }
}
