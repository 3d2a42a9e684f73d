//! What is known about every name beneath a folder, as the kernel says it.
//!
//! A [`Scan`](super::Scan) tells what an image would hold; this tells what is there: sizes of folders, numbers of names,
//! attributes that belong to nobody's tree. The order is the same, and so are the ways of going about it: handles, nothing
//! followed, and the permission to read lent where that is asked for.

use super::ScanOptions;
use super::walk::{Found, Walk};
use crate::error::Error;
use crate::stat::{FileKind, Stat};
use crate::{Dir, File, Result};
use orlop_layer::{TreePath, Xattrs};
use orlop_spec::{Algorithm, Cancel, Digest, Hasher};
use std::io::Read as _;

/// One name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// Where.
    pub path: TreePath,
    /// What is known without opening it.
    pub stat: Stat,
    /// All its attributes.
    pub xattrs: Xattrs,
    /// Where a symbolic link points.
    pub target: Option<Box<[u8]>>,
    /// The sha256 of a regular file's content, where contents are asked for.
    pub sha256: Option<Digest>,
}

/// Whether contents are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Every regular file is read.
    Hashed,
    /// None is.
    Unread,
}

/// Digests of contents that are known already, by their paths.
pub type Known<'a> = &'a dyn Fn(&TreePath) -> Option<Digest>;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 17;

/// A folder that is being looked at.
pub struct Survey<'a> {
    walk: Walk,
    contents: Contents,
    known: Option<Known<'a>>,
    buffer: Vec<u8>,
    cancel: &'a Cancel,
}

impl<'a> Survey<'a> {
    /// Begins with the folder itself. Of the options those about mounts, lending and cancelling count.
    pub fn open(folder: &Dir, contents: Contents, options: &ScanOptions<'a>) -> Result<Self> {
        Ok(Self {
            walk: Walk::new(folder, options)?,
            contents,
            known: None,
            buffer: vec![0; BUFFER],
            cancel: options.cancel,
        })
    }

    /// Files whose digests are known are not read.
    #[must_use]
    pub fn knowing(self, known: Known<'a>) -> Self {
        Self { known: Some(known), ..self }
    }

    /// The next name; `None` after the last.
    #[expect(clippy::should_implement_trait, reason = "it can fail, and is asked with `?`")]
    pub fn next(&mut self) -> Result<Option<Surveyed>> {
        self.cancel.check()?;
        let Some(found) = self.walk.next()? else { return Ok(None) };
        let surveyed = self.look(&found)?;
        if found.stat.kind == FileKind::Directory && !found.path.is_root() {
            self.walk.enter(&found)?;
        }
        Ok(Some(surveyed))
    }

    fn look(&mut self, found: &Found) -> Result<Surveyed> {
        let known =
            self.known.filter(|_| found.stat.kind == FileKind::File).and_then(|known| known(&found.path));
        let (xattrs, sha256) = match (found.stat.kind, self.contents) {
            (FileKind::File, Contents::Hashed) if known.is_none() => {
                let (handle, xattrs) = self.walk.open_file(found)?;
                let file = File::from_handle(handle, self.walk.shown(&found.path));
                (xattrs, Some(self.hash(file)?))
            }
            _ => (self.walk.xattrs(found)?, known),
        };
        let target = match found.stat.kind {
            FileKind::Symlink => Some(self.walk.read_link(found)?),
            _ => None,
        };
        Ok(Surveyed { path: found.path.clone(), stat: found.stat, xattrs, target, sha256 })
    }

    fn hash(&mut self, mut file: File) -> Result<Digest> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        loop {
            self.cancel.check()?;
            let read = file.read(&mut self.buffer);
            match read.map_err(|error| Error::io("read", file.shown().as_bytes(), error))? {
                0 => return Ok(hasher.finish()),
                count => hasher.update(&self.buffer[..count]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_told_in_the_order_of_a_scan() {
        let scratch = testkit::scratch();
        let root = scratch.folder("root");
        scratch.folder("root/b");
        scratch.file("root/b/deep", "abc");
        scratch.file("root/a", "");
        std::fs::hard_link(root.join("a"), root.join("c")).expect("linked");
        std::os::unix::fs::symlink("/etc/x", root.join("d")).expect("linked");
        let folder = Dir::open(&root).expect("a folder");
        let mut survey = Survey::open(&folder, Contents::Hashed, &ScanOptions::default()).expect("a survey");
        let mut seen = Vec::new();
        while let Some(found) = survey.next().expect("read") {
            let digest = found.sha256.map(|digest| digest.to_string());
            seen.push((found.path.to_string(), found.stat.links, found.target, digest));
        }
        let names: Vec<&str> = seen.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(names, ["/", "a", "b", "b/deep", "c", "d"]);
        assert_eq!((seen[1].1, seen[4].1), (2, 2), "both names know of each other");
        assert_eq!(seen[5].2.as_deref(), Some(&b"/etc/x"[..]));
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(seen[3].3.as_deref(), Some(abc));
        assert_eq!((&seen[0].3, &seen[5].3), (&None, &None), "only files have contents");
    }
}
