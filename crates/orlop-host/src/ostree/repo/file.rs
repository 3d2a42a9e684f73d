//! Files of a repository, whatever its mode.

use super::deflate::Inflate;
use super::objects::malformed;
use super::{Mode, Repo, RepoError};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::object::{self, FileHasher, FileHeader, Malformed};
use orlop_fs::{Dir, File, FileKind, Stat};
use orlop_layer::Xattrs;
use orlop_spec::Fault;
use std::io::{self, Read};

/// The attribute that holds owner, mode and attributes in `bare-user`.
pub(super) const BARE_USER: &[u8] = b"user.ostreemeta";

/// Bytes of the largest header of a file in an archive: attributes may have 64 KiB each.
const LARGEST_HEADER: u32 = 16 << 20;

/// A file or a symbolic link.
#[derive(Debug)]
pub struct FileObject {
    object: ObjectName,
    header: FileHeader,
    size: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Of a link.
    Nothing,
    /// The file is the content.
    Plain(File),
    /// The content follows here, deflated.
    Deflated(File),
}

impl FileObject {
    pub(super) fn open(repo: &Repo, id: &ObjectId) -> Result<Self, Error> {
        let object = ObjectName::new(*id, Kind::File);
        let name = repo.file_name(&object);
        let folder = repo.folder(id)?;
        let stat = folder.map(|folder| folder.try_stat(&name)).transpose()?.flatten();
        let (Some(folder), Some(stat)) = (folder, stat) else {
            let parent = repo.parent.as_ref().ok_or(RepoError::Missing { object })?;
            return Self::open(parent, id);
        };
        match repo.mode {
            Mode::Archive => Self::archived(object, folder.open_file(&name)?),
            Mode::BareUser => Self::of_user(object, folder.open_file(&name)?),
            Mode::Bare | Mode::BareUserOnly | Mode::BareSplitXattrs => {
                let xattrs = |read: &dyn Fn() -> orlop_fs::Result<Xattrs>| match repo.mode {
                    Mode::Bare => Ok(read()?),
                    Mode::BareSplitXattrs => repo.split_xattrs(id),
                    _ => Ok(Xattrs::new()),
                };
                let owned =
                    if repo.mode == Mode::BareUserOnly { Stat { uid: 0, gid: 0, ..stat } } else { stat };
                if stat.kind == FileKind::Symlink {
                    let xattrs = xattrs(&|| folder.xattrs_of(&name))?;
                    return Self::link(object, folder, &name, &owned, xattrs);
                }
                let file = folder.open_file(&name)?;
                let xattrs = xattrs(&|| file.xattrs())?;
                let mode = object::REGULAR | u32::from(owned.mode);
                let header = FileHeader { uid: owned.uid, gid: owned.gid, mode, target: "".into(), xattrs };
                Ok(Self { object, header, size: stat.size, content: Content::Plain(file) })
            }
        }
    }

    /// Everything but the content.
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// Bytes of the content; of a link, none.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file that holds the content and nothing else, where there is one. It is not proven.
    pub fn local(&self) -> Option<&File> {
        match &self.content {
            Content::Plain(file) => Some(file),
            Content::Nothing | Content::Deflated(_) => None,
        }
    }

    /// The content, from its beginning. It ends with an error where the object is not what its id says.
    pub fn reader(self) -> FileReader {
        let Self { object, header, size, content } = self;
        let input = match content {
            Content::Nothing => Input::Nothing,
            Content::Plain(file) => Input::Plain(file),
            Content::Deflated(file) => Input::Deflated(Box::new(Inflate::new(file))),
        };
        FileReader { object, input, hasher: Some(FileHasher::new(&header)), left: size }
    }

    /// The whole content, proven, of a file that may have `most` bytes.
    pub fn content(self, most: u64) -> Result<Vec<u8>, Error> {
        if self.size > most {
            return Err(RepoError::TooLarge { size: self.size, most }.into());
        }
        let mut content = vec![0; usize::try_from(self.size).unwrap_or(usize::MAX)];
        let (mut at, mut reader) = (0, self.reader());
        while at < content.len() {
            match reader.next_piece(&mut content[at..])? {
                0 => break,
                count => at += count,
            }
        }
        reader.end().map(|()| content)
    }

    fn archived(object: ObjectName, mut file: File) -> Result<Self, Error> {
        let header = read_header(&mut file)?.ok_or_else(|| malformed(object, Malformed::Header))?;
        let (header, size) = FileHeader::parse_archived(&header).map_err(|why| malformed(object, why))?;
        let content = if header.is_link() { Content::Nothing } else { Content::Deflated(file) };
        Ok(Self { object, header, size, content })
    }

    fn of_user(object: ObjectName, mut file: File) -> Result<Self, Error> {
        let wrong = |why| malformed(object, why);
        let meta = file.xattr(BARE_USER)?.ok_or_else(|| wrong(Malformed::NoMeta))?;
        let header = FileHeader::parse_bare_user(&meta).map_err(wrong)?;
        if !header.is_link() {
            return Ok(Self { object, header, size: file.size()?, content: Content::Plain(file) });
        }
        let target = file.read_to_limit(1 << 16)?;
        let target = target.strip_suffix(b"\0").unwrap_or(&target);
        let target = link_target(target).map_err(wrong)?;
        Ok(Self { object, header: FileHeader { target, ..header }, size: 0, content: Content::Nothing })
    }

    fn link(
        object: ObjectName,
        folder: &Dir,
        name: &str,
        stat: &Stat,
        xattrs: Xattrs,
    ) -> Result<Self, Error> {
        let target = link_target(&folder.read_link(name)?).map_err(|why| malformed(object, why))?;
        let header = FileHeader { uid: stat.uid, gid: stat.gid, mode: object::LINK | 0o777, target, xattrs };
        Ok(Self { object, header, size: 0, content: Content::Nothing })
    }
}

impl Repo {
    /// The attributes of a file, which are an object. Where there is none, the id of the file tells whether that is right.
    fn split_xattrs(&self, id: &ObjectId) -> Result<Xattrs, Error> {
        let object = ObjectName::new(*id, Kind::FileXattrsLink);
        let Some(bytes) = self.read(&object)? else { return Ok(Xattrs::new()) };
        Ok(object::parse_file_xattrs(&bytes).map_err(|why| malformed(object, why))?)
    }
}

fn link_target(target: &[u8]) -> Result<Box<str>, Malformed> {
    match std::str::from_utf8(target) {
        Ok(target) if !target.is_empty() && !target.contains('\0') => Ok(target.into()),
        _ => Err(Malformed::Target),
    }
}

/// The header at the beginning of a file of an archive; `None` where there is none.
fn read_header(file: &mut File) -> Result<Option<Vec<u8>>, Error> {
    let mut front = [0; 8];
    if file.read_at(&mut front, 0)? != 8 || front[4..] != [0; 4] {
        return Ok(None);
    }
    let length = u32::from_be_bytes([front[0], front[1], front[2], front[3]]);
    if length > LARGEST_HEADER || u64::from(length) + 8 > file.size()? {
        return Ok(None);
    }
    let mut header = vec![0; length as usize];
    let count = file.read_at(&mut header, 8)?;
    let at = io::SeekFrom::Start(8 + u64::from(length));
    let shown = file.shown().clone();
    io::Seek::seek(file, at).map_err(|error| orlop_fs::Error::io("read", shown, error))?;
    Ok((count == header.len()).then_some(header))
}

/// The content of a file. It ends with an error where the object is not what its id says.
pub struct FileReader {
    object: ObjectName,
    input: Input,
    /// Until the content was proven.
    hasher: Option<FileHasher>,
    left: u64,
}

enum Input {
    Nothing,
    Plain(File),
    Deflated(Box<Inflate>),
}

impl FileReader {
    /// The next bytes; none at the end, which comes only where the object is what its id says.
    pub fn next_piece(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        if most == 0 && self.left > 0 {
            return Ok(0);
        }
        let count = if most == 0 { 0 } else { self.fill(&mut out[..most])? };
        if count == 0 {
            return self.end().map(|()| 0);
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&out[..count]);
        }
        self.left -= count as u64;
        Ok(count)
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        match &mut self.input {
            Input::Nothing => Ok(0),
            Input::Plain(file) => read_some(file, out),
            Input::Deflated(input) => {
                input.read(out)?.ok_or_else(|| RepoError::Deflate { object: self.object }.into())
            }
        }
    }

    /// Nothing may follow, and what there was must be the object.
    fn end(&mut self) -> Result<(), Error> {
        self.left = 0;
        if self.fill(&mut [0])? != 0 {
            return Err(RepoError::Deflate { object: self.object }.into());
        }
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let (object, found) = (self.object, hasher.finish());
        if found == object.id { Ok(()) } else { Err(RepoError::Damaged { object, found }.into()) }
    }
}

impl Read for FileReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        self.next_piece(out).map_err(|error| Fault::from(error).into())
    }
}

pub(super) fn read_some(file: &mut File, out: &mut [u8]) -> Result<usize, Error> {
    let failed = |shown, error| orlop_fs::Error::io("read", shown, error).into();
    loop {
        match file.read(out) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(file.shown().clone(), error)),
            Ok(count) => return Ok(count),
        }
    }
}
