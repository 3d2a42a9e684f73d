//! One layer of an encapsulated commit.
//!
//! Invariant: the entries depend on the commit and on how it was divided alone. All times are zero: by another time those
//! who read the layers know what was changed above them. An object comes before every name of it, and what a file has of
//! attributes comes right before the file.

use super::outline::{Named, Outline};
use super::{LABEL, REPOSITORY, path_of, plain};
use crate::Error;
use crate::ostree::id::{Kind as Object, ObjectId, ObjectName};
use crate::ostree::object::{FileHeader, print_xattrs};
use crate::ostree::repo::{FileReader, Mode, Repo};
use orlop_layer::{Chunk, Entries, Entry, Error as LayerError, Kind, Meta, Order, TreePath, Xattrs};
use orlop_spec::Fault;
use std::collections::{HashMap, VecDeque};
use std::io::Read as _;
use std::sync::Arc;

/// Bytes of a content that are read at once.
const PIECE: usize = 256 << 10;
/// Names of one file that any file system can hold: ext4 has room for 65,000.
const MOST_NAMES: u32 = 60_000;
/// The folders of a repository, but for those of the objects.
const FOLDERS: [&str; 8] =
    ["extensions", "refs", "refs/heads", "refs/mirrors", "refs/remotes", "state", "tmp", "tmp/cache"];

/// The entries of one layer.
pub struct LayerEntries<'r> {
    repo: &'r Repo,
    outline: Arc<Outline>,
    number: usize,
    next: Stage,
    /// What is to be given before anything else is read.
    ready: VecDeque<(Entry, Body)>,
    /// The content of the entry that came last.
    body: Body,
    /// First bytes of the ids whose folder was given.
    folders: [bool; 256],
    /// Attributes that were given, and how many names they have.
    xattrs: HashMap<ObjectId, u32>,
    most_names: u32,
    buffer: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Stage {
    Begin,
    Metadata(usize),
    Folder(usize),
    File(usize),
    End,
}

enum Body {
    Nothing,
    /// To be given at once.
    Bytes(Vec<u8>),
    File(Box<FileReader>),
}

impl<'r> LayerEntries<'r> {
    /// Nothing is read yet.
    pub fn new(repo: &'r Repo, outline: Arc<Outline>, number: usize) -> Self {
        Self {
            repo,
            outline,
            number,
            next: Stage::Begin,
            ready: VecDeque::new(),
            body: Body::Nothing,
            folders: [false; 256],
            xattrs: HashMap::new(),
            most_names: MOST_NAMES,
            buffer: Vec::new(),
        }
    }

    /// Makes something ready; gives whether there was something left.
    fn advance(&mut self) -> Result<bool, Error> {
        let outline = Arc::clone(&self.outline);
        let first = self.number == 0;
        self.next = match self.next {
            Stage::Begin => {
                self.repository(&outline)?;
                if first { Stage::Metadata(0) } else { Stage::File(0) }
            }
            Stage::Metadata(at) if at < outline.metadata.len() => {
                let object = &outline.metadata[at];
                self.object(object, self.repo.raw(object)?);
                Stage::Metadata(at + 1)
            }
            // The root came first of all.
            Stage::Metadata(_) => Stage::Folder(1),
            Stage::Folder(at) if at < outline.folders.len() => {
                let (path, meta) = &outline.folders[at];
                self.folder(path, meta)?;
                Stage::Folder(at + 1)
            }
            Stage::Folder(_) => {
                self.temporary(&outline);
                Stage::File(0)
            }
            Stage::File(at) if at < outline.files[self.number].len() => {
                self.file(&outline.files[self.number][at])?;
                Stage::File(at + 1)
            }
            Stage::File(_) => Stage::End,
            Stage::End => return Ok(false),
        };
        Ok(true)
    }

    /// What every layer begins with: the way to the objects; in the first layer the rest of a repository.
    fn repository(&mut self, outline: &Outline) -> Result<(), Error> {
        if self.number == 0 {
            let (root, meta) = &outline.folders[0];
            self.folder(root, meta)?;
        }
        match &outline.sysroot {
            Some(meta) => self.folder(&plain("sysroot"), meta)?,
            None => self.push_folder("sysroot"),
        }
        for path in ["sysroot/ostree", REPOSITORY, &format!("{REPOSITORY}/objects")] {
            self.push_folder(path);
        }
        if self.number == 0 {
            for folder in FOLDERS {
                self.push_folder(&format!("{REPOSITORY}/{folder}"));
            }
            let config = format!("[core]\nrepo_version=1\nmode={}\n", Mode::BareSplitXattrs);
            self.push_file(plain(&format!("{REPOSITORY}/config")), config.into_bytes());
        }
        Ok(())
    }

    fn folder(&mut self, path: &TreePath, meta: &ObjectId) -> Result<(), Error> {
        let meta = without_label(self.repo.dirmeta(meta)?.to_meta());
        self.push(path.clone(), meta, Kind::Directory, Body::Nothing);
        Ok(())
    }

    /// A commit has nothing in `var`, and a machine puts `tmp` there when it starts; a container starts without.
    fn temporary(&mut self, outline: &Outline) {
        let has = |path: &str| outline.folders.iter().any(|(folder, _)| folder.as_bytes() == path.as_bytes());
        if has("var") && !has("var/tmp") {
            let meta = Meta { mode: 0o1777, ..Meta::default() };
            self.push(plain("var/tmp"), meta, Kind::Directory, Body::Nothing);
        }
    }

    /// A file: its attributes, itself, its names.
    fn file(&mut self, Named { id, paths }: &Named) -> Result<(), Error> {
        let object = ObjectName::new(*id, Object::File);
        let file = self.repo.file(id)?;
        let (header, size) = (file.header().clone(), file.size());
        self.attributes(id, &header);
        let meta = without_label(header.to_meta());
        let mut reader = file.reader();
        let (kind, body) = if header.is_link() {
            // There is no content: the object is proven by its end.
            reader.next_piece(&mut [0])?;
            (Kind::Symlink { target: header.target.as_bytes().into() }, Body::Nothing)
        } else {
            (Kind::File { size }, Body::File(Box::new(reader)))
        };
        // A hard link to an empty file would only make every empty file the same one.
        let is_empty = kind == Kind::File { size: 0 };
        self.push_object(&object, meta.clone(), kind.clone(), body);
        for path in paths {
            let named = Meta { xattrs: Xattrs::new(), ..meta.clone() };
            let (meta, kind) = if is_empty {
                (meta.clone(), kind.clone())
            } else {
                (named, Kind::HardLink { target: path_of(&object) })
            };
            self.push(path.clone(), meta, kind, Body::Nothing);
        }
        Ok(())
    }

    /// The attributes of a file, even where there are none: ostree-ext asks for them.
    fn attributes(&mut self, id: &ObjectId, header: &FileHeader) {
        let bytes = print_xattrs(&header.xattrs);
        let shared = ObjectName::new(ObjectId::of(&bytes), Object::FileXattrs);
        let names = self.xattrs.get(&shared.id).copied().unwrap_or(0);
        self.xattrs.insert(shared.id, names + 1);
        if names == 0 {
            self.object(&shared, bytes.clone());
        }
        let own = ObjectName::new(*id, Object::FileXattrsLink);
        if names < self.most_names {
            let target = path_of(&shared);
            let meta = Meta { mode: 0o644, ..Meta::default() };
            self.push_object(&own, meta, Kind::HardLink { target }, Body::Nothing);
        } else {
            self.object(&own, bytes);
        }
    }

    /// An object that is these bytes.
    fn object(&mut self, object: &ObjectName, bytes: Vec<u8>) {
        let kind = Kind::File { size: bytes.len() as u64 };
        self.push_object(object, Meta { mode: 0o644, ..Meta::default() }, kind, Body::of(bytes));
    }

    fn push_object(&mut self, object: &ObjectName, meta: Meta, kind: Kind, body: Body) {
        let given = &mut self.folders[usize::from(object.id.0[0])];
        if !std::mem::replace(given, true) {
            self.push_folder(&format!("{REPOSITORY}/objects/{}", object.id.folder()));
        }
        self.push(path_of(object), meta, kind, body);
    }

    fn push_folder(&mut self, path: &str) {
        let meta = Meta { mode: 0o755, ..Meta::default() };
        self.push(plain(path), meta, Kind::Directory, Body::Nothing);
    }

    fn push_file(&mut self, path: TreePath, bytes: Vec<u8>) {
        let kind = Kind::File { size: bytes.len() as u64 };
        self.push(path, Meta { mode: 0o644, ..Meta::default() }, kind, Body::of(bytes));
    }

    fn push(&mut self, path: TreePath, meta: Meta, kind: Kind, body: Body) {
        self.ready.push_back((Entry { path, meta, kind }, body));
    }
}

impl Body {
    fn of(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() { Self::Nothing } else { Self::Bytes(bytes) }
    }
}

fn without_label(mut meta: Meta) -> Meta {
    meta.xattrs.remove(LABEL);
    meta
}

impl Entries for LayerEntries<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, LayerError> {
        self.body = Body::Nothing;
        while self.ready.is_empty() {
            if !self.advance().map_err(|error| LayerError::Read(Fault::from(error).into()))? {
                return Ok(None);
            }
        }
        let (entry, body) = self.ready.pop_front().expect("something is ready");
        self.body = body;
        Ok(Some(entry))
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, LayerError> {
        self.buffer = match std::mem::replace(&mut self.body, Body::Nothing) {
            Body::Nothing => return Ok(None),
            Body::Bytes(bytes) => bytes,
            Body::File(mut reader) => {
                let mut piece = std::mem::take(&mut self.buffer);
                piece.resize(PIECE, 0);
                let filled = fill(&mut reader, &mut piece)?;
                piece.truncate(filled);
                if filled == PIECE {
                    self.body = Body::File(reader);
                }
                piece
            }
        };
        Ok((!self.buffer.is_empty()).then(|| Chunk::Data(&self.buffer)))
    }

    fn order(&self) -> Order {
        Order::Callers
    }
}

/// Reads until the end or until all is full; gives how much came. Less than all comes at the end alone, which is proven.
fn fill(reader: &mut FileReader, out: &mut [u8]) -> Result<usize, LayerError> {
    let mut filled = 0;
    while filled < out.len() {
        match reader.read(&mut out[filled..]).map_err(LayerError::Read)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
