//! Owners, attributes, times and links, one by one: for places that keep files in a form of their own, where
//! [`staging`](crate::staging) does not know what a file means.
//!
//! Law: the owner comes first, because a change of owner takes setuid bits and capabilities away; then attributes, then
//! the mode; the time last.

use crate::Result;
use crate::call;
use crate::dir::Dir;
use crate::file::File;
use crate::xattr;
use orlop_layer::{Time, Xattrs};
use rustix::fs;
use rustix::io::Errno;

impl Dir {
    /// Makes a symbolic link.
    pub fn make_symlink(&self, target: impl AsRef<[u8]>, name: impl AsRef<[u8]>) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        call::symlink(target.as_ref(), self, name).map_err(self.failed("create the link", name))
    }

    /// Gives a name of this folder an owner; a symbolic link is not followed.
    pub fn set_owner_of(&self, name: impl AsRef<[u8]>, uid: u32, gid: u32) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        call::chown_at(self, name, uid, gid).map_err(self.failed("set the owner of", name))
    }

    /// Sets an attribute of a name of this folder; a symbolic link is not followed.
    pub fn set_xattr_of(&self, name: impl AsRef<[u8]>, xattr: &[u8], value: &[u8]) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        call::set_xattr_at(self, name, xattr, value).map_err(self.failed("set an attribute of", name))
    }

    /// Sets the time of a name of this folder; a symbolic link is not followed.
    pub fn set_time_of(&self, name: impl AsRef<[u8]>, time: Time) -> Result<()> {
        let name = self.plain(name.as_ref())?;
        call::set_mtime_at(self, name, time).map_err(self.failed("set the time of", name))
    }

    /// The attributes of a name of this folder; a symbolic link is not followed.
    pub fn xattrs_of(&self, name: impl AsRef<[u8]>) -> Result<Xattrs> {
        use rustix::fd::AsFd as _;
        let name = self.plain(name.as_ref())?;
        xattr::read_at(self.as_fd(), name).map_err(self.failed("read attributes of", name))
    }

    /// The attributes of this folder itself.
    pub fn xattrs(&self) -> Result<Xattrs> {
        xattr::read(self).map_err(self.failed("read attributes of", b""))
    }

    /// Gives this folder itself an owner.
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        call::chown(self, uid, gid).map_err(self.failed("set the owner of", b""))
    }

    /// Sets an attribute of this folder itself.
    pub fn set_xattr(&self, xattr: &[u8], value: &[u8]) -> Result<()> {
        call::set_xattr(self, xattr, value).map_err(self.failed("set an attribute of", b""))
    }

    /// Sets the time of this folder itself.
    pub fn set_time(&self, time: Time) -> Result<()> {
        call::set_mtime(self, time).map_err(self.failed("set the time of", b""))
    }

    /// Sets the time of this folder itself to now, by the clock of its file system.
    pub fn touch_self(&self) -> Result<()> {
        call::touch(self).map_err(self.failed("set the time of", b""))
    }
}

impl File {
    /// Gives the file an owner.
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        call::chown(self, uid, gid).map_err(|error| self.failed("set the owner of", error))
    }

    /// Sets an attribute.
    pub fn set_xattr(&self, xattr: &[u8], value: &[u8]) -> Result<()> {
        call::set_xattr(self, xattr, value).map_err(|error| self.failed("set an attribute of", error))
    }

    /// Sets the time.
    pub fn set_time(&self, time: Time) -> Result<()> {
        call::set_mtime(self, time).map_err(|error| self.failed("set the time of", error))
    }

    /// The attributes.
    pub fn xattrs(&self) -> Result<Xattrs> {
        xattr::read(self).map_err(|error| self.failed("read attributes of", error))
    }

    /// The value of one attribute, of at most 64 KiB; `None` where the file has none of that name.
    pub fn xattr(&self, name: &[u8]) -> Result<Option<Vec<u8>>> {
        match xattr::sized(|value| fs::fgetxattr(self, name, value)) {
            Ok(value) => Ok(Some(value)),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(self.failed("read an attribute of", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_never_followed() {
        let scratch = testkit::scratch();
        scratch.file("file", "content");
        let folder = Dir::open(scratch.folder(".")).expect("a folder");
        folder.make_symlink("file", "link").expect("linked");
        folder.set_time_of("link", Time::from_seconds(7)).expect("set");
        assert_eq!(folder.stat("link").expect("there").mtime.seconds, 7);
        assert_ne!(folder.stat("file").expect("there").mtime.seconds, 7);
        assert!(folder.make_symlink("file", "a/b").is_err());
        assert!(folder.xattrs_of("../x").is_err());
    }

    #[test]
    fn an_attribute_is_read_back_or_is_not_there() {
        let scratch = testkit::scratch();
        scratch.file("file", "content");
        let folder = Dir::open(scratch.folder(".")).expect("a folder");
        let file = folder.open_file("file").expect("there");
        if file.set_xattr(b"user.orlop", b"value").is_err() {
            return testkit::proof::not_offered(
                "an attribute is read back",
                "no attributes on this file system",
            );
        }
        assert_eq!(file.xattr(b"user.orlop").expect("asked"), Some(b"value".to_vec()));
        assert_eq!(file.xattr(b"user.other").expect("asked"), None);
        assert_eq!(file.xattrs().expect("asked"), folder.xattrs_of("file").expect("asked"));
    }
}
