//! Regular files and symbolic links.

use super::super::id::ObjectId;
use super::super::variant::{View, Writer, nul_ended};
use super::{FORMAT, LINK, Malformed, REGULAR, mode, parse_xattrs, print_xattrs, swapped};
use orlop_layer::{Meta, Time, Xattrs};
use orlop_spec::digest::{Algorithm, Hasher};

const HEADER: &str = "(uuuusa(ayay))";
const ARCHIVE_HEADER: &str = "(tuuuusa(ayay))";
const BARE_USER: &str = "(uuua(ayay))";

/// Everything about a file but its content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileHeader {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Mode, with [`REGULAR`] or [`LINK`] in it.
    pub mode: u32,
    /// Where a link points; empty for a file.
    pub target: Box<str>,
    /// Attributes.
    pub xattrs: Xattrs,
}

impl FileHeader {
    /// A regular file of a tree.
    pub fn regular(meta: &Meta) -> Self {
        let mode = REGULAR | u32::from(meta.mode);
        Self { uid: meta.uid, gid: meta.gid, mode, target: "".into(), xattrs: meta.xattrs.clone() }
    }

    /// A link of a tree. All links have the mode 0777.
    pub fn link(meta: &Meta, target: &str) -> Self {
        Self { mode: LINK | 0o777, target: target.into(), ..Self::regular(meta) }
    }

    /// As a tree has it; OSTree keeps no times.
    pub fn to_meta(&self) -> Meta {
        let mode = u16::try_from(self.mode & 0o7777).expect("twelve bits");
        Meta { mode, uid: self.uid, gid: self.gid, mtime: Time::default(), xattrs: self.xattrs.clone() }
    }

    /// Whether this is a symbolic link.
    pub fn is_link(&self) -> bool {
        self.mode & FORMAT == LINK
    }

    /// Out of its own bytes, without the length in front.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let [uid, gid, mode, device, target, xattrs] = View::parse(HEADER, bytes)?.members();
        Self::of([uid, gid, mode, device, target, xattrs])
    }

    /// Its own bytes, without the length in front.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.print(&mut Writer::new(HEADER))
    }

    /// Out of the header of a file in an archive, which tells the size of the content as well.
    pub fn parse_archived(bytes: &[u8]) -> Result<(Self, u64), Malformed> {
        let [size, uid, gid, mode, device, target, xattrs] = View::parse(ARCHIVE_HEADER, bytes)?.members();
        let size = size.as_u64_swapped().unwrap_or_default();
        let header = Self::of([uid, gid, mode, device, target, xattrs])?;
        if header.is_link() && size != 0 { Err(Malformed::Target) } else { Ok((header, size)) }
    }

    /// The header of a file in an archive, length in front.
    pub fn to_archived(&self, size: u64) -> Vec<u8> {
        framed(&self.print(Writer::new(ARCHIVE_HEADER).push(&size.to_be_bytes())))
    }

    /// Out of what `bare-user` keeps in the attribute `user.ostreemeta`; a link's target is elsewhere.
    pub fn parse_bare_user(bytes: &[u8]) -> Result<Self, Malformed> {
        let [uid, gid, mode_of, xattrs] = View::parse(BARE_USER, bytes)?.members();
        let mode = mode(mode_of, &[REGULAR, LINK])?;
        Ok(Self {
            uid: swapped(uid),
            gid: swapped(gid),
            mode,
            target: "".into(),
            xattrs: parse_xattrs(xattrs)?,
        })
    }

    /// What `bare-user` keeps in the attribute `user.ostreemeta`.
    pub fn to_bare_user(&self) -> Vec<u8> {
        let mut writer = Writer::new(BARE_USER);
        self.push_owner(&mut writer).push(&print_xattrs(&self.xattrs)).finish()
    }

    /// What is hashed before the content: length, four zeros, header.
    pub fn to_hashed(&self) -> Vec<u8> {
        framed(&self.to_bytes())
    }

    /// The id of a link, or of an empty file.
    pub fn id(&self) -> ObjectId {
        FileHasher::new(self).finish()
    }

    fn of([uid, gid, mode_of, device, target, xattrs]: [View<'_>; 6]) -> Result<Self, Malformed> {
        let mode = mode(mode_of, &[REGULAR, LINK])?;
        if swapped(device) != 0 {
            return Err(Malformed::Device);
        }
        if (mode & FORMAT == LINK) == target.text().is_empty() {
            return Err(Malformed::Target);
        }
        let xattrs = parse_xattrs(xattrs)?;
        Ok(Self { uid: swapped(uid), gid: swapped(gid), mode, target: target.text().into(), xattrs })
    }

    fn print(&self, writer: &mut Writer<'_>) -> Vec<u8> {
        let device = 0u32.to_be_bytes();
        self.push_owner(writer)
            .push(&device)
            .push(&nul_ended(&self.target))
            .push(&print_xattrs(&self.xattrs))
            .finish()
    }

    fn push_owner<'w, 't>(&self, writer: &'w mut Writer<'t>) -> &'w mut Writer<'t> {
        writer.push(&self.uid.to_be_bytes()).push(&self.gid.to_be_bytes()).push(&self.mode.to_be_bytes())
    }
}

/// A header with its length in front, and four zeros so that it begins at a multiple of eight.
fn framed(header: &[u8]) -> Vec<u8> {
    let length = u32::try_from(header.len()).expect("headers are far below 4 GiB");
    [&length.to_be_bytes(), &[0; 4], header].concat()
}

/// Hashes a file while its content passes.
#[derive(Clone, Debug)]
pub struct FileHasher(Hasher);

impl FileHasher {
    /// Of a file with a header.
    pub fn new(header: &FileHeader) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&header.to_hashed());
        Self(hasher)
    }

    /// Takes the next bytes of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id of the file.
    pub fn finish(self) -> ObjectId {
        ObjectId::finish(self.0)
    }
}
