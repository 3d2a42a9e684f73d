//! The reader: headers into entries, strictly.
//!
//! Invariant: one number decides both how much content a file has and where the next header lies. What GNU tar,
//! libarchive, Python and Go would read as different listings is refused (`docs/formats/tar.md`, "Reading").

use super::header::{Family, Header};
use super::input::Input;
use super::pax::{Pax, Scope, SparseForm};
use super::sparse::{self, Run, Runs};
use super::{BLOCK, acl, padding};
use crate::entry::{Chunk, Device, Entries, Entry, Kind, Meta};
use crate::error::Error;
use crate::path::TreePath;
use crate::whiteout::{self, Member};
use orlop_spec::Limits;
use std::io::{BufRead, Seek};

const HEADERS: &str = "the extended headers of the archive";
const IN_CONTENT: &str = "the archive ends inside the content of a file";

/// Reads a tar.
pub struct Reader<R> {
    input: Input<R>,
    limits: Limits,
    /// Records of global headers.
    global: Pax,
    content: Content,
    /// Where the current entry begins.
    start: u64,
    spent: Spent,
    ending: Option<Ending>,
}

/// How an archive ends. Layers may end in any of these ways; what is known by nothing but its end may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By two blocks of zeros, or more.
    Marked,
    /// Behind a member, or with one block of zeros: nothing says that it is whole.
    Unmarked,
    /// By zeros, and at this offset other bytes follow, such as those of another archive.
    Followed(u64),
}

impl Ending {
    /// Why an archive that ends so may not be whole, as what follows its name.
    pub fn doubt(self) -> Option<String> {
        match self {
            Self::Marked => None,
            Self::Unmarked => Some("has no end marker: it may have been cut".into()),
            Self::Followed(at) => {
                Some(format!("goes on behind its end, at byte {at}: what follows was not read"))
            }
        }
    }
}

/// What was used of the limits.
#[derive(Default)]
struct Spent {
    entries: u64,
    headers: u64,
    content: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads `input` from its first header on.
    pub fn new(input: R, limits: &Limits) -> Self {
        Self {
            input: Input::new(input),
            limits: limits.clone(),
            global: Pax::default(),
            content: Content::default(),
            start: 0,
            spent: Spent::default(),
            ending: None,
        }
    }

    /// The next member; `None` for one that is no entry, and at the end.
    fn member(&mut self) -> Result<Option<Entry>, Error> {
        self.start = self.input.offset();
        let mut about = About::default();
        loop {
            let offset = self.input.offset();
            let Some(block) = self.input.block()?.filter(|block| block.iter().any(|byte| *byte != 0)) else {
                return self.end(&about, offset);
            };
            let header = Header::parse(&block, offset)?;
            if !self.extension(&header, &mut about)? {
                return self.entry(&header, about);
            }
        }
    }

    /// The first block of zeros ends the archive, and so does the end of the stream behind a member, padded or
    /// not: umoci 0.4 inserts layers that stop with the last byte of a file. What follows is read, for the
    /// digests, and means nothing.
    fn end(&mut self, about: &About, offset: u64) -> Result<Option<Entry>, Error> {
        if !about.is_empty() {
            return Err(Error::Tar { offset, what: "an extended header has no member" });
        }
        let followed = self.input.drain(self.limits.tail)?;
        let is_marked = self.input.offset() - offset >= 2 * BLOCK as u64;
        self.ending = Some(match followed {
            Some(offset) => Ending::Followed(offset),
            None if is_marked => Ending::Marked,
            None => Ending::Unmarked,
        });
        Ok(None)
    }

    /// How the archive ended; nothing before [`Entries::next_entry`] has come to its end.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Takes an extended header; `false` for a member. It is as long as its own header says, whatever other
    /// extended headers say.
    fn extension(&mut self, header: &Header<'_>, about: &mut About) -> Result<bool, Error> {
        let twice = || header.damaged("a member has the same extended header twice");
        match header.flag() {
            b'x' | b'X' if about.pax.is_some() => return Err(twice()),
            b'L' if about.name.is_some() => return Err(twice()),
            b'g' if !about.is_empty() => {
                return Err(header.damaged("a global header stands between a member and its extended header"));
            }
            b'K' if about.link.is_some() => return Err(twice()),
            b'x' | b'X' => {
                let mut pax = self.global.clone();
                self.records(header, Scope::Member, &mut pax)?;
                about.pax = Some(pax);
            }
            b'g' => {
                let mut pax = std::mem::take(&mut self.global);
                self.records(header, Scope::Archive, &mut pax)?;
                self.global = pax;
            }
            b'L' => about.name = Some(self.long_name(header)?),
            b'K' => about.link = Some(self.long_name(header)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn records(&mut self, header: &Header<'_>, scope: Scope, pax: &mut Pax) -> Result<(), Error> {
        let records = self.extended(header)?;
        pax.take(&records, scope, header.offset() + BLOCK as u64, &self.limits)
    }

    fn long_name(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Error> {
        let mut name = self.extended(header)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        if name[end..].iter().any(|byte| *byte != 0) || end == 0 {
            return Err(header.damaged("a long name is empty or holds a NUL byte"));
        }
        name.truncate(end);
        Ok(name)
    }

    /// The content of an extended header, counted before there is memory for it.
    fn extended(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Error> {
        const WHAT: &str = "the archive ends inside an extended header";
        let size = header.size()?;
        within(size, self.limits.header, "an extended header")?;
        self.spent.headers += BLOCK as u64 + size;
        within(self.spent.headers, self.limits.headers, HEADERS)?;
        let size = usize::try_from(size)
            .map_err(|_| Error::Limit { what: "an extended header", limit: self.limits.header })?;
        let mut content = vec![0; size];
        self.input.exact(&mut content, WHAT)?;
        self.input.skip(padding(size as u64), WHAT)?;
        Ok(content)
    }

    fn entry(&mut self, header: &Header<'_>, about: About) -> Result<Option<Entry>, Error> {
        self.spent.entries += 1;
        within(self.spent.entries, self.limits.entries, "the number of entries of the archive")?;
        // One global header of a megabyte is a megabyte for every entry.
        self.spent.headers += self.global.weight();
        within(self.spent.headers, self.limits.headers, HEADERS)?;
        let About { pax, name, link } = about;
        let mut pax = pax.unwrap_or_else(|| self.global.clone());
        let name = one_name(header, pax.path.take(), name)?.unwrap_or_else(|| header.name());
        let name = pax.sparse.name.clone().unwrap_or(name);
        let link = one_name(header, pax.link_path.take(), link)?;
        let link = link.unwrap_or_else(|| header.link_name().to_vec());
        within(name.len().max(link.len()) as u64, self.limits.path as u64, "the length of a path")?;
        if name.is_empty() {
            return Err(header.damaged("a member has no name"));
        }
        let path = TreePath::parse(&name)?;
        within(path.components().count() as u64, self.limits.depth as u64, "the depth of a path")?;
        let (path, marker) = match whiteout::read_member(&path)? {
            Member::Plain => (path, None),
            Member::Whiteout(path) => (path, Some(Kind::Whiteout)),
            Member::Opaque(path) => (path, Some(Kind::Opaque)),
            Member::Private => return self.silent(header, &name, link, &mut pax).map(|()| None),
        };
        let kind = match marker {
            None => self.kind(header, &name, link, &mut pax)?,
            Some(marker) => self.silent(header, &name, link, &mut pax).map(|()| marker)?,
        };
        if path.is_root() && !matches!(kind, Kind::Directory | Kind::Opaque) {
            return Err(Error::Entry { path: path.to_string(), what: "the root can only be a folder" });
        }
        Ok(Some(Entry { path, meta: meta(header, &mut pax)?, kind }))
    }

    /// A member whose name alone counts. AUFS wrote its markers as hard links to each other.
    fn silent(
        &mut self,
        header: &Header<'_>,
        name: &[u8],
        link: Vec<u8>,
        pax: &mut Pax,
    ) -> Result<(), Error> {
        if header.flag() != b'1' {
            self.kind(header, name, link, pax)?;
            self.content.silence();
        }
        Ok(())
    }

    /// What the member is. Leaves `content` as the reader's way through it.
    fn kind(
        &mut self,
        header: &Header<'_>,
        name: &[u8],
        link: Vec<u8>,
        pax: &mut Pax,
    ) -> Result<Kind, Error> {
        let flag = match (header.flag(), name) {
            (0, [.., b'/']) => b'5',
            (b'0' | b'7', [.., b'/']) => {
                return Err(header.damaged("the name of a file ends in a slash"));
            }
            (flag, _) => flag,
        };
        match flag {
            0 | b'0' | b'7' => self.file(header, pax),
            _ if !pax.sparse.is_empty() => Err(header.damaged("a member that is no plain file is sparse")),
            b'S' => self.old_sparse_file(header, pax),
            // Some writers repeat the file's size here; no reader takes it for content.
            b'1' => hard_link(header, &link),
            flag => {
                let kind = without_content(flag, header, link, pax)?;
                if stored_size(header, pax)? != 0 {
                    return Err(header.damaged("a member that has no content has a size"));
                }
                Ok(kind)
            }
        }
    }

    fn file(&mut self, header: &Header<'_>, pax: &mut Pax) -> Result<Kind, Error> {
        let stored = stored_size(header, pax)?;
        let Some(form) = pax.sparse.form(header.offset())? else {
            self.content = Content::plain(stored);
            return self.counted(stored);
        };
        let size = pax.sparse.size.ok_or_else(|| header.damaged("a sparse file has no size"))?;
        let (runs, map) = match form {
            SparseForm::Records(runs) => (runs, 0),
            SparseForm::InContent => sparse::in_content(&mut self.input, stored, self.limits.sparse_runs)?,
        };
        self.sparse(header, runs, size, stored - map)
    }

    fn old_sparse_file(&mut self, header: &Header<'_>, pax: &Pax) -> Result<Kind, Error> {
        if header.family != Family::Gnu {
            return Err(header.damaged("a sparse file of a kind that is not known"));
        }
        let stored = stored_size(header, pax)?;
        let runs = sparse::old_gnu(header, &mut self.input, self.limits.sparse_runs)?;
        self.sparse(header, runs, header.real_size()?, stored)
    }

    fn sparse(&mut self, header: &Header<'_>, runs: Runs, size: u64, stored: u64) -> Result<Kind, Error> {
        let runs = runs.finish(size, stored, header.offset())?;
        self.content = Content::sparse(runs, size, stored);
        self.counted(size)
    }

    fn counted(&mut self, size: u64) -> Result<Kind, Error> {
        self.spent.content = self.spent.content.saturating_add(size);
        within(self.spent.content, self.limits.size, "the content of the layer")?;
        Ok(Kind::File { size })
    }
}

impl<R: BufRead + Seek> Reader<R> {
    /// Passes over the content of the file that came last without reading it. Where it lies in the input, if
    /// it is there in one piece; that the input is long enough is the caller's to check.
    pub fn seek_over(&mut self) -> Result<Option<u64>, Error> {
        let at = self.content.is_whole().then(|| self.input.offset());
        let (stored, padding) = self.content.rest();
        self.input.seek(stored + padding)?;
        Ok(at)
    }
}

impl<R: BufRead> Entries for Reader<R> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        while self.ending.is_none() {
            let (stored, padding) = self.content.rest();
            self.input.skip(stored, IN_CONTENT)?;
            self.input.skip_up_to(padding)?;
            if let Some(entry) = self.member()? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        match self.content.next() {
            Next::End => Ok(None),
            Next::Hole(length) => Ok(Some(Chunk::Hole(length))),
            Next::Data(most) => {
                let bytes = self.input.piece(most, IN_CONTENT)?;
                self.content.took(bytes.len() as u64);
                Ok(Some(Chunk::Data(bytes)))
            }
        }
    }

    fn offset(&self) -> u64 {
        self.start
    }
}

/// What extended headers say about the member that follows.
#[derive(Default)]
struct About {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl About {
    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.link.is_none()
    }
}

/// A pax record and a GNU long name may both be there; readers disagree which one counts.
fn one_name(
    header: &Header<'_>,
    pax: Option<Vec<u8>>,
    gnu: Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, Error> {
    match (pax, gnu) {
        (Some(pax), Some(gnu)) if pax != gnu => Err(header.damaged("a member has two different long names")),
        (pax, gnu) => Ok(pax.or(gnu)),
    }
}

/// The one size of a member: what its content has, and how far the next header lies.
fn stored_size(header: &Header<'_>, pax: &Pax) -> Result<u64, Error> {
    pax.size.map_or_else(|| header.size(), Ok)
}

fn meta(header: &Header<'_>, pax: &mut Pax) -> Result<Meta, Error> {
    let xattrs = pax.xattrs();
    let mode = header.mode()?;
    let by_acl = xattrs.get(&b"system.posix_acl_access"[..]).and_then(|acl| acl::mode(acl));
    Ok(Meta {
        mode: by_acl.map_or(mode, |bits| mode & 0o7000 | bits),
        uid: pax.uid.map_or_else(|| header.uid(), Ok)?,
        gid: pax.gid.map_or_else(|| header.gid(), Ok)?,
        mtime: pax.mtime.map_or_else(|| header.mtime(), Ok)?,
        xattrs,
    })
}

fn hard_link(header: &Header<'_>, target: &[u8]) -> Result<Kind, Error> {
    let target = TreePath::parse(target)?;
    if target.is_root() {
        return Err(header.damaged("a hard link has no target"));
    }
    if whiteout::holds_reserved(&target) {
        return Err(Error::BadWhiteout { name: target.as_bytes().into() });
    }
    Ok(Kind::HardLink { target })
}

fn without_content(flag: u8, header: &Header<'_>, link: Vec<u8>, pax: &Pax) -> Result<Kind, Error> {
    Ok(match flag {
        b'2' if link.is_empty() => return Err(header.damaged("a symbolic link has no target")),
        b'2' => Kind::Symlink { target: link.into() },
        b'3' => Kind::CharDevice(device(header, pax)?),
        b'4' => Kind::BlockDevice(device(header, pax)?),
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        _ => return Err(header.damaged("a member has a type that is not known")),
    })
}

fn device(header: &Header<'_>, pax: &Pax) -> Result<Device, Error> {
    let device = header.device()?;
    Ok(Device { major: pax.major.unwrap_or(device.major), minor: pax.minor.unwrap_or(device.minor) })
}

fn within(value: u64, limit: u64, what: &'static str) -> Result<(), Error> {
    if value > limit { Err(Error::Limit { what, limit }) } else { Ok(()) }
}

/// The way through the content of one file.
#[derive(Default)]
struct Content {
    /// The run that is being read.
    run: Option<Run>,
    runs: std::vec::IntoIter<Run>,
    /// How far the file was given.
    at: u64,
    size: u64,
    /// Bytes of the content still in the archive.
    stored: u64,
    padding: u64,
}

/// What comes next of a content.
enum Next {
    Data(u64),
    Hole(u64),
    End,
}

impl Content {
    fn plain(size: u64) -> Self {
        let run = Some(Run { offset: 0, length: size });
        Self { run, size, stored: size, padding: padding(size), ..Self::default() }
    }

    fn sparse(runs: Vec<Run>, size: u64, stored: u64) -> Self {
        Self { runs: runs.into_iter(), size, stored, padding: padding(stored), ..Self::default() }
    }

    fn next(&mut self) -> Next {
        let run = match self.run.filter(|run| run.length > 0) {
            Some(run) => Some(run),
            None => self.runs.next(),
        };
        self.run = run;
        let start = run.map_or(self.size, |run| run.offset);
        if start > self.at {
            let hole = start - self.at;
            self.at = start;
            return Next::Hole(hole);
        }
        match run {
            Some(run) if run.length > 0 => Next::Data(run.length),
            _ => Next::End,
        }
    }

    /// `count` bytes of the run were given.
    fn took(&mut self, count: u64) {
        if let Some(run) = &mut self.run {
            run.offset += count;
            run.length -= count;
        }
        self.at += count;
        self.stored -= count;
    }

    /// The rest is not given to anybody.
    fn silence(&mut self) {
        let (stored, padding) = (self.stored, self.padding);
        *self = Self { stored, padding, ..Self::default() };
    }

    /// Whether all bytes of the file are in the archive, and none of them was given.
    fn is_whole(&self) -> bool {
        self.at == 0 && self.stored == self.size
    }

    /// What is left of the content, and the padding behind it; the content is then done.
    fn rest(&mut self) -> (u64, u64) {
        let rest = (self.stored, self.padding);
        *self = Self::default();
        rest
    }
}
