//! Our images, read back.
//!
//! Invariant: an image is taken when it is, byte for byte, the one that would be written of what it says. So the walk
//! below only has to be safe: it stays within the image, visits no byte more often than there are bytes, and follows
//! names from the root downwards; whatever else could be wrong differs from what [`write`] makes of it.

use super::inode::{IN_CHUNKS, IN_DEVICE};
use super::plan::{INODE, STEP, Source, chunks, chunks_at, exponent, width};
use super::superblock::{AT, SLOT};
use super::{BLOCK, BLOCK_SIZE, Describe, Place, write};
use crate::Result;
use crate::error::Error;
use orlop_layer::path::is_component;
use orlop_layer::tree::{Builder, Content};
use orlop_layer::{Device, Entry, Kind, Meta, Time, Tree, TreePath, Xattrs};
use orlop_spec::Limits;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;

/// What an image says.
#[derive(Debug)]
pub struct Image<'b> {
    /// The tree, with the attributes that the image shows. [`Image::place`] knows where its contents are.
    pub tree: Tree,
    /// The sizes of the files that hold contents, in blocks.
    pub devices: Vec<u64>,
    /// By the ordinals of contents.
    places: Vec<Place<'b>>,
}

/// Reads an image that [`write()`] made.
///
/// # Errors
/// When a byte is not what it would be, or the tree is beyond the limits.
pub fn read<'b>(bytes: &'b [u8], limits: &Limits) -> Result<Image<'b>> {
    let image = Walk::new(bytes, limits).image()?;
    let sizes: Vec<u64> = image.devices.iter().map(|blocks| blocks * BLOCK).collect();
    let mut same = Same(bytes);
    match write(&image.tree, &sizes, &image, &mut same) {
        Ok(_) if same.0.is_empty() => Ok(image),
        _ => Err(damaged((bytes.len() - same.0.len()) as u64)),
    }
}

fn damaged(at: u64) -> Error {
    Error::DamagedErofs { at }
}

impl<'b> Image<'b> {
    /// Where the bytes of a file are; nowhere for an empty one.
    ///
    /// # Panics
    /// May panic when the content is of another tree.
    pub fn place(&self, content: &Content) -> Place<'b> {
        match content.size {
            0 => Place::Nowhere,
            _ => self.places[content.ordinal as usize],
        }
    }
}

impl Describe for Image<'_> {
    fn place(&self, content: &Content) -> Result<Place<'_>> {
        Ok(self.place(content))
    }
}

/// Compares what is written with what is there, and stops at the first byte that differs.
struct Same<'b>(&'b [u8]);

impl io::Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let equal = bytes.iter().zip(self.0).take_while(|(one, two)| one == two).count();
        self.0 = &self.0[equal..];
        if equal < bytes.len() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(equal) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The walk from the root downwards, level by level.
struct Walk<'b> {
    bytes: &'b [u8],
    /// How many bytes may still be visited.
    left: u64,
    builder: Builder,
    devices: u16,
    places: Vec<Place<'b>>,
    /// The first names of files that have several.
    first: HashMap<u64, Name>,
    /// Folders whose names are not read yet.
    folders: VecDeque<(Name, Body)>,
}

/// A name of the tree. Paths would take a multiple of the image where it is deep.
#[derive(Clone)]
struct Name {
    folder: Rc<TreePath>,
    /// Empty for the root.
    name: Box<[u8]>,
}

impl Name {
    fn path(&self) -> TreePath {
        if self.name.is_empty() { TreePath::root() } else { self.folder.join(&self.name) }
    }
}

/// Where the content of an inode is.
#[derive(Clone, Copy)]
struct Body {
    at: u64,
    size: u64,
}

/// An inode as it stands.
struct Found {
    meta: Meta,
    mode: u16,
    names: u32,
    body: Body,
    arrangement: u16,
    /// What the bytes from 16 on say.
    whereabouts: u32,
    /// Where its attributes end.
    end: u64,
}

impl<'b> Walk<'b> {
    fn new(bytes: &'b [u8], limits: &Limits) -> Self {
        Self {
            bytes,
            left: bytes.len() as u64,
            builder: Builder::new(0, limits),
            devices: 0,
            places: Vec::new(),
            first: HashMap::new(),
            folders: VecDeque::new(),
        }
    }

    fn image(mut self) -> Result<Image<'b>> {
        self.devices = self.u16(AT + 86)?;
        let devices = (1..=u64::from(self.devices)).map(|slot| Ok(self.u32(AT + slot * SLOT + 64)?.into()));
        let devices = devices.collect::<Result<_>>()?;
        let root = self.u16(AT + 14)?;
        self.add(Name { folder: Rc::default(), name: Box::default() }, root.into())?;
        while let Some((name, body)) = self.folders.pop_front() {
            self.names(&Rc::new(name.path()), body)?;
        }
        let tree = Tree::default().stack(self.builder.finish()).map_err(Error::NoTreeInErofs)?;
        Ok(Image { tree, devices, places: self.places })
    }

    /// Everything that a folder holds.
    fn names(&mut self, folder: &Rc<TreePath>, body: Body) -> Result<()> {
        let bytes = self.visit(body.at, body.size)?;
        for (block, at) in bytes.chunks(BLOCK_SIZE).zip((body.at..).step_by(BLOCK_SIZE)) {
            for (name, number) in super::folder::parse(block).ok_or(damaged(at))? {
                match name {
                    b"." | b".." => {}
                    name if is_component(name) => {
                        self.add(Name { folder: Rc::clone(folder), name: name.into() }, number)?;
                    }
                    _ => return Err(damaged(at)),
                }
            }
        }
        Ok(())
    }

    /// Takes a name of the tree, and the inode that it leads to.
    fn add(&mut self, name: Name, number: u64) -> Result<()> {
        let path = name.path();
        let (meta, kind) = match self.first.get(&number) {
            Some(first) => (Meta::default(), Kind::HardLink { target: first.path() }),
            None => self.inode(name, number)?,
        };
        let ordinal = match kind {
            Kind::File { size: 1.. } => self.places.len() - 1,
            _ => 0,
        };
        let ordinal = u32::try_from(ordinal).expect("the image has fewer inodes");
        self.builder.add(ordinal, 0, &Entry { path, meta, kind }).map_err(Error::NoTreeInErofs)
    }

    /// An inode that has not been met by another name.
    fn inode(&mut self, name: Name, number: u64) -> Result<(Meta, Kind)> {
        let at = number.checked_mul(STEP).ok_or(damaged(AT))?;
        let found = self.found(at)?;
        let kind = self.kind(&found, at)?;
        match kind {
            Kind::Directory => self.folders.push_back((name, found.body)),
            _ if found.names > 1 => drop(self.first.insert(number, name)),
            _ => {}
        }
        Ok((found.meta, kind))
    }

    fn found(&mut self, at: u64) -> Result<Found> {
        self.visit(at, INODE)?;
        let mode = self.u16(at + 4)?;
        let end = at + INODE + super::attributes::length(self.u16(at + 2)?);
        let meta = Meta {
            mode: mode & 0o7777,
            uid: self.u32(at + 24)?,
            gid: self.u32(at + 28)?,
            mtime: Time { seconds: self.u64(at + 32)?.cast_signed(), nanoseconds: self.u32(at + 40)? },
            xattrs: self.attributes(at + INODE, end)?,
        };
        let (arrangement, whereabouts) = (self.u16(at)? >> 1, self.u32(at + 16)?);
        let begin = if arrangement == 0 { u64::from(whereabouts) * BLOCK } else { end };
        let body = Body { at: begin, size: self.u64(at + 8)? };
        if body.size > i64::MAX.cast_unsigned() {
            return Err(damaged(at + 8));
        }
        Ok(Found { meta, mode, names: self.u32(at + 44)?, body, arrangement, whereabouts, end })
    }

    fn attributes(&mut self, at: u64, end: u64) -> Result<Xattrs> {
        let bytes = self.visit(at, end - at)?;
        super::attributes::parse(bytes).ok_or(damaged(at))
    }

    fn kind(&mut self, found: &Found, at: u64) -> Result<Kind> {
        Ok(match found.mode >> 12 {
            0o10 => self.file(found)?,
            0o04 => Kind::Directory,
            0o12 => Kind::Symlink { target: self.visit(found.body.at, found.body.size)?.into() },
            0o02 => Kind::CharDevice(device(found.whereabouts)),
            0o06 => Kind::BlockDevice(device(found.whereabouts)),
            0o01 => Kind::Fifo,
            _ => return Err(damaged(at)),
        })
    }

    fn file(&mut self, found: &Found) -> Result<Kind> {
        let Body { at, size } = found.body;
        if size > 0 {
            let place = match found.arrangement {
                IN_CHUNKS => self.elsewhere(found)?,
                _ => Place::Here(self.visit(at, size)?),
            };
            self.places.push(place);
        }
        Ok(Kind::File { size })
    }

    /// Of the chunks only the first is understood: the others follow from it.
    fn elsewhere(&mut self, found: &Found) -> Result<Place<'b>> {
        let source = match found.whereabouts & IN_DEVICE {
            0 => Source::Nowhere,
            _ => Source::Device { device: 0, block: 0 },
        };
        let (begin, size) = (chunks_at(found.end, source), found.body.size);
        self.visit(begin, chunks(size, exponent(size)) * width(source))?;
        if source == Source::Nowhere {
            return Ok(Place::Nowhere);
        }
        let device = self.u16(begin + 2)?.checked_sub(1).filter(|device| *device < self.devices);
        let at = u64::from(self.u32(begin + 4)?) * BLOCK;
        Ok(Place::Device { device: device.ok_or(damaged(begin))?, at })
    }

    /// Bytes that are read now, and count.
    fn visit(&mut self, at: u64, length: u64) -> Result<&'b [u8]> {
        self.left = self.left.checked_sub(length).ok_or(damaged(at))?;
        self.get(at, length)
    }

    fn get(&self, at: u64, length: u64) -> Result<&'b [u8]> {
        let range = usize::try_from(at).ok().zip(usize::try_from(length).ok());
        let bytes = range.and_then(|(at, length)| self.bytes.get(at..)?.get(..length));
        bytes.ok_or(damaged(at))
    }

    fn number<const N: usize>(&self, at: u64) -> Result<[u8; N]> {
        Ok(*self.get(at, N as u64)?.first_chunk().expect("so many were got"))
    }

    fn u16(&self, at: u64) -> Result<u16> {
        self.number(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: u64) -> Result<u32> {
        self.number(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: u64) -> Result<u64> {
        self.number(at).map(u64::from_le_bytes)
    }
}

/// The kernel's 32 bits, taken apart.
fn device(numbers: u32) -> Device {
    Device { major: numbers >> 8 & 0xfff, minor: numbers & 0xff | numbers >> 12 & !0xff }
}
