//! The members of an archive by their names: where each lies in the file.
//!
//! Invariant: contents are not read here, only passed over. The framing is `orlop-layer`'s; a member lies within
//! the file, in one piece.

use super::input::Input;
use crate::blobs::FileOrigin;
use crate::error::Error;
use crate::take;
use orlop_fs::File;
use orlop_layer::tar::Reader;
use orlop_layer::{Entries as _, Kind, TreePath, path};
use orlop_spec::digest::Algorithm;
use orlop_spec::media_type::Compression;
use orlop_spec::port::Result;
use orlop_spec::{Digest, Fault, Limits};
use std::collections::HashMap;
use std::io::{BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Links that one name may lead over, as in the kernel.
const LINKS: usize = 40;

/// The members of an archive.
#[derive(Debug)]
pub(crate) struct Members {
    file: File,
    place: PathBuf,
    wrapping: Compression,
    by_name: HashMap<TreePath, Member>,
}

#[derive(Debug)]
enum Member {
    Content { at: u64, size: u64 },
    Sparse,
    Link(TreePath),
    Other,
}

/// Where the content of a member lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) at: u64,
    pub(crate) size: u64,
}

impl Members {
    /// Finds all members. Of two of one name the last one counts, as when the archive is extracted.
    pub(crate) fn scan(input: Input, place: &Path, limits: &Limits) -> Result<Self> {
        let Input { file, wrapping } = input;
        let end = file.size()?;
        let mut by_name = HashMap::new();
        let mut tar = Reader::new(BufReader::new(file.try_clone()?), limits);
        while let Some(entry) = tar.next_entry()? {
            let member = match entry.kind {
                Kind::File { size } => match tar.seek_over()? {
                    Some(at) if end - at.min(end) < size => {
                        return Err(member_error(
                            place,
                            &entry.path,
                            "goes on beyond the end of the archive",
                        ));
                    }
                    Some(at) => Member::Content { at, size },
                    None => Member::Sparse,
                },
                Kind::HardLink { target } => Member::Link(target),
                Kind::Symlink { target } => match resolve(&entry.path, &target) {
                    Some(target) => Member::Link(target),
                    None => Member::Other,
                },
                _ => Member::Other,
            };
            by_name.insert(entry.path, member);
        }
        Ok(Self { file, place: place.into(), wrapping, by_name })
    }

    /// The file, from its start.
    pub(crate) fn into_file(mut self) -> Result<File> {
        let back = self.file.seek(SeekFrom::Start(0));
        back.map_err(|error| Fault::io(format!("read {}", self.place.display()), error))?;
        Ok(self.file)
    }

    /// Where the archive is. For messages.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// What the archive came in.
    pub(crate) fn wrapping(&self) -> Compression {
        self.wrapping
    }

    /// Where the content of a name lies, links followed; `None` where there is no such member.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Range>> {
        let Ok(mut path) = TreePath::parse(name.as_bytes()) else { return Ok(None) };
        for _ in 0..LINKS {
            match self.by_name.get(&path) {
                None => return Ok(None),
                Some(Member::Content { at, size }) => return Ok(Some(Range { at: *at, size: *size })),
                Some(Member::Link(target)) => path = target.clone(),
                Some(Member::Sparse) => return Err(member_error(&self.place, &path, "is sparse")),
                Some(Member::Other) => return Err(member_error(&self.place, &path, "is no file")),
            }
        }
        Err(member_error(&self.place, &path, "is a link in a circle"))
    }

    /// The bytes of a small member; `None` where there is none.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(range) = self.find(name)? else { return Ok(None) };
        if range.size > limit {
            let path = self.file.shown().clone();
            return Err(orlop_fs::Error::TooLarge { path, limit }.into());
        }
        let mut bytes = vec![0; usize::try_from(range.size).unwrap_or(usize::MAX)];
        let count = self.file.read_at(&mut bytes, range.at)?;
        bytes.truncate(count);
        Ok(Some(bytes))
    }

    /// The names of all members that are text.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().filter_map(|path| std::str::from_utf8(path.as_bytes()).ok())
    }

    /// The first bytes of a range, by which a compression is known.
    pub(crate) fn start(&self, range: Range) -> Result<Vec<u8>> {
        let mut start = vec![0; usize::try_from(range.size).unwrap_or(usize::MAX).min(4)];
        let count = self.file.read_at(&mut start, range.at)?;
        start.truncate(count);
        Ok(start)
    }

    /// The digest of a range.
    pub(crate) fn hash(&self, range: Range) -> Result<Digest> {
        take::hash_range(&self.file, range.at, range.size, Algorithm::Sha256, take::TO_THE_END)
    }

    /// The content at a range as an origin.
    pub(crate) fn origin(&self, range: Range) -> Result<FileOrigin> {
        Ok(FileOrigin::range(self.file.try_clone()?, range.at, range.size))
    }
}

fn member_error(place: &Path, member: &TreePath, what: &'static str) -> Fault {
    Error::Member { place: place.into(), member: member.to_string(), what }.into()
}

/// What a symbolic link of an archive means, without leaving it; `None` where it means nothing in it.
fn resolve(link: &TreePath, target: &[u8]) -> Option<TreePath> {
    let (folder, _) = link.split()?;
    let mut parts: Vec<&[u8]> =
        if target.starts_with(b"/") { Vec::new() } else { folder.components().collect() };
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part if path::is_component(part) => parts.push(part),
            _ => return None,
        }
    }
    TreePath::parse(&parts.join(b"/".as_slice())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_archive() {
        let link = TreePath::parse(b"id/layer.tar").expect("a path");
        let means = |target: &str| resolve(&link, target.as_bytes()).map(|path| path.to_string());
        assert_eq!(means("../other/layer.tar").as_deref(), Some("other/layer.tar"));
        assert_eq!(means("./x").as_deref(), Some("id/x"));
        assert_eq!(means("/blobs/x").as_deref(), Some("blobs/x"));
        assert_eq!(means("../../etc/passwd"), None);
    }
}
