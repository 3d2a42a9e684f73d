//! The parser of references.
//!
//! A digest or position at the end is cut off first, whatever the transport. Then the word before the first
//! colon decides who reads the rest.

use super::repository::is_tag;
use super::{File, Reference, ReferenceError, Repository, Transport};
use crate::digest::{Algorithm, AnyDigest};
use crate::port::Selector;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What the parser must be told from outside.
#[derive(Clone, Copy)]
pub struct Grammar<'a> {
    /// What a name without a transport means.
    pub bare: Bare,
    /// What `-` without a transport means.
    pub lone_stream: LoneStream,
    /// Whether there is such a thing at a path. Asked only where a colon could end the path or belong to it.
    pub exists: &'a dyn Fn(Sought, &Path) -> bool,
}

/// What a name without a transport means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Bare {
    /// An image in a registry.
    #[default]
    Registry,
    /// An image in the local store.
    Store,
}

/// What `-` without a transport means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LoneStream {
    /// Nothing.
    #[default]
    Refused,
    /// A root file system in a tar, as `build` reads it.
    Tar,
}

/// For what the parser looks at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// An OCI layout.
    Layout,
    /// A file.
    File,
    /// Anything at all.
    Anything,
}

type Result<T> = std::result::Result<T, ReferenceError>;

impl Grammar<'_> {
    /// Parses one reference.
    pub fn parse(&self, text: &OsStr) -> Result<Reference> {
        let without_alias = Text(text.as_bytes()).without_alias();
        let whole = Text(&without_alias);
        match whole.0 {
            b"" => return Err(ReferenceError::Empty),
            b"-" => return self.lone_stream(),
            _ => {}
        }
        let (details, cut) = cut(whole)?;
        if is_local(details) {
            let (path, tag) = self.split(details, Sought::Anything);
            return cut.select(whole, Transport::Local(path.path()), tag.map(Text::tag).transpose()?);
        }
        match details.split_once(b':') {
            Some((transport, rest)) => self.with_transport(whole, transport, rest, cut, details),
            None => self.bare(whole, details, cut),
        }
    }

    fn lone_stream(&self) -> Result<Reference> {
        match self.lone_stream {
            LoneStream::Refused => Err(ReferenceError::LoneStream),
            LoneStream::Tar => Ok(Reference::new(Transport::Tar(File::Stream))),
        }
    }

    fn with_transport(
        &self,
        whole: Text<'_>,
        word: Text<'_>,
        rest: Text<'_>,
        cut: Cut,
        all: Text<'_>,
    ) -> Result<Reference> {
        match word.0 {
            b"docker" => match rest.after(b"//") {
                Some(rest) => registry(whole, rest, cut),
                None => Err(ReferenceError::DockerWithoutSlashes(rest.lossy())),
            },
            b"oci" if rest.starts_with(b"//") => Err(ReferenceError::OciSlashes(Text(&rest.0[2..]).lossy())),
            b"oci" => self.layout(whole, rest, cut),
            b"oci-archive" => {
                let (file, tag) = self.file(rest, "oci-archive")?;
                cut.select(whole, Transport::OciArchive(file), tag)
            }
            b"docker-archive" => {
                let (file, tag) = self.file(rest, "docker-archive")?;
                cut.select(whole, Transport::DockerArchive(file), tag)
            }
            b"dir" => cut.no_position(whole, "dir")?.select(whole, Transport::Dir(rest.folder("dir")?), None),
            b"rootfs" => cut.nothing(whole, "rootfs", Transport::Rootfs(rest.folder("rootfs")?)),
            b"tar" => cut.nothing(whole, "tar", Transport::Tar(rest.file("tar")?)),
            b"aci" => cut.nothing(whole, "aci", Transport::Aci(rest.file("aci")?)),
            b"store" => store(whole, rest, cut),
            b"https" => {
                let (address, tag) = address(all)?;
                cut.select(whole, Transport::Web(address), tag)
            }
            b"http" if rest.starts_with(b"//") => Err(ReferenceError::PlainHttp(all.lossy())),
            b"ostree" => ostree(whole, rest, cut),
            _ => match FOREIGN.iter().find(|(name, _)| name.as_bytes() == word.0) {
                Some((transport, instead)) => Err(ReferenceError::ForeignTransport { transport, instead }),
                None => self.bare(whole, all, cut),
            },
        }
    }

    fn bare(&self, whole: Text<'_>, name: Text<'_>, cut: Cut) -> Result<Reference> {
        match self.bare {
            Bare::Registry => registry(whole, name, cut),
            Bare::Store => store(whole, name, cut),
        }
    }

    fn layout(&self, whole: Text<'_>, details: Text<'_>, cut: Cut) -> Result<Reference> {
        if details.starts_with(b"http://") {
            return Err(ReferenceError::PlainHttp(details.lossy()));
        }
        if details.starts_with(b"https://") {
            let (address, tag) = address(details)?;
            return cut.select(whole, Transport::LayoutUrl(address), tag);
        }
        let (path, tag) = self.split(details, Sought::Layout);
        cut.select(whole, Transport::Layout(path.folder("oci")?), tag.map(Text::tag).transpose()?)
    }

    fn file(&self, details: Text<'_>, transport: &'static str) -> Result<(File, Option<Box<str>>)> {
        let (path, tag) = match details.0 {
            [b'-'] => (details, None),
            [b'-', b':', tag @ ..] => (Text(b"-"), Some(Text(tag))),
            _ => self.split(details, Sought::File),
        };
        Ok((path.file(transport)?, tag.map(Text::tag).transpose()?))
    }

    /// The path is the shortest prefix, ending at a colon or at the end, that exists; where none does, it ends
    /// at the first colon.
    fn split<'t>(&self, details: Text<'t>, sought: Sought) -> (Text<'t>, Option<Text<'t>>) {
        let colons = || (0..details.0.len()).filter(|at| details.0[*at] == b':');
        let exists = |end: &usize| *end > 0 && (self.exists)(sought, Text(&details.0[..*end]).as_path());
        let end = match colons().next() {
            None => details.0.len(),
            Some(first) => colons().chain([details.0.len()]).find(exists).unwrap_or(first),
        };
        (Text(&details.0[..end]), details.0.get(end + 1..).map(Text))
    }
}

/// Transports that other tools know, and what serves here.
const FOREIGN: [(&str, &str); 5] = [
    ("containers-storage", "let the engine write an archive, and read that as oci-archive:FILE"),
    ("docker-daemon", "use `docker save` or `docker load` with docker-archive:-"),
    ("sif", "build from the unpacked tree: rootfs:DIR"),
    ("tarball", "write tar:FILE"),
    ("oci-layout", "write oci:DIR"),
];

fn is_local(text: Text<'_>) -> bool {
    matches!(text.0, b"." | b"..")
        || [b"/".as_slice(), b"./", b"../"].iter().any(|start| text.starts_with(start))
}

fn registry(whole: Text<'_>, details: Text<'_>, cut: Cut) -> Result<Reference> {
    let cut = cut.no_position(whole, "docker")?;
    let text = details.text()?;
    let name_at = text.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match text[name_at..].find(':') {
        Some(colon) => (&text[..name_at + colon], Some(&text[name_at + colon + 1..])),
        None => (text, None),
    };
    let tag = match tag {
        Some("") => return Err(ReferenceError::NoTag(whole.lossy())),
        Some(tag) if !is_tag(tag) => return Err(ReferenceError::BadTag(tag.into())),
        None if cut == Cut::Nothing => Some("latest"),
        tag => tag,
    };
    cut.select(whole, Transport::Registry(Repository::parse(name)?), tag.map(Box::from))
}

fn store(whole: Text<'_>, name: Text<'_>, cut: Cut) -> Result<Reference> {
    let cut = cut.no_position(whole, "store")?;
    let name = match name.0 {
        b"" if whole.0.is_empty() => {
            return Err(ReferenceError::NoPlace { transport: "store", what: "name" });
        }
        // The whole store, or an image of it by its digest.
        b"" => None,
        // Printed, it would look like a position or a digest.
        [b'@', ..] => return Err(ReferenceError::BadTag(name.lossy())),
        _ => Some(name.tag()?),
    };
    cut.select(whole, Transport::Store, name)
}

fn ostree(whole: Text<'_>, details: Text<'_>, cut: Cut) -> Result<Reference> {
    let cut = cut.no_position(whole, "ostree")?;
    let Some((repository, name)) = details.split_once(b'@') else {
        // An image that is kept, by its digest.
        let Cut::Digest(digest) = cut else { return Err(ReferenceError::OstreeWithoutName(details.lossy())) };
        let (repository, name) = (details.folder("ostree")?, digest.to_string().into());
        return Ok(Reference::new(Transport::Ostree { repository, name }));
    };
    if name.starts_with(b"/") {
        return Err(ReferenceError::FormerOstree { image: repository.lossy(), repository: name.lossy() });
    }
    if name.0.is_empty() {
        return Err(ReferenceError::OstreeWithoutName(repository.lossy()));
    }
    let transport = Transport::Ostree { repository: repository.folder("ostree")?, name: name.tag()? };
    cut.select(whole, transport, None)
}

/// `https://HOST…[#TAG]`.
fn address(text: Text<'_>) -> Result<(Box<str>, Option<Box<str>>)> {
    let (address, tag) = match text.split_once(b'#') {
        Some((address, tag)) => (address, Some(tag.tag()?)),
        None => (text, None),
    };
    let plain = |byte: &u8| byte.is_ascii_graphic();
    let host = address.after(b"https://").map(|rest| rest.0.split(|byte| *byte == b'/').next());
    match host {
        Some(Some([_, ..])) if address.0.iter().all(plain) => Ok((address.lossy(), tag)),
        _ => Err(ReferenceError::BadAddress(address.lossy())),
    }
}

/// What stood at the end of the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cut {
    Nothing,
    Position(usize),
    Digest(AnyDigest),
}

/// Cuts `:@N` or `@ALG:HEX` off.
fn cut(text: Text<'_>) -> Result<(Text<'_>, Cut)> {
    let Some(at) = text.0.iter().rposition(|byte| *byte == b'@') else { return Ok((text, Cut::Nothing)) };
    let (before, behind) = (&text.0[..at], Text(&text.0[at + 1..]));
    let Ok(behind) = behind.text() else { return Ok((text, Cut::Nothing)) };
    if let Some(digest) = digest(behind)? {
        return Ok((Text(before), Cut::Digest(digest)));
    }
    match before {
        [place @ .., b':'] if behind.bytes().all(|byte| byte.is_ascii_digit()) => match behind.parse() {
            Ok(position) => Ok((Text(place), Cut::Position(position))),
            Err(_) => Ok((text, Cut::Nothing)),
        },
        _ => Ok((text, Cut::Nothing)),
    }
}

/// What names a known algorithm is meant as a digest, so it must be one. Of other algorithms only what is
/// beyond doubt is taken: `user@host:tag` is no digest.
fn digest(text: &str) -> Result<Option<AnyDigest>> {
    let Some((algorithm, hex)) = text.split_once(':').filter(|_| !text.contains('/')) else {
        return Ok(None);
    };
    if algorithm.parse::<Algorithm>().is_ok() {
        return text.parse().map(Some).map_err(ReferenceError::BadDigest);
    }
    let is_hash = hex.len() >= 32 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    Ok(text.parse().ok().filter(|_| is_hash))
}

impl Cut {
    fn select(self, whole: Text<'_>, transport: Transport, tag: Option<Box<str>>) -> Result<Reference> {
        let (selector, tag) = match (self, tag) {
            (Self::Nothing, None) => (Selector::Only, None),
            (Self::Nothing, Some(tag)) => (Selector::Tag(tag), None),
            (Self::Position(position), None) => (Selector::At(position), None),
            (Self::Position(_), Some(_)) => return Err(ReferenceError::TwoSelectors(whole.lossy())),
            (Self::Digest(digest), tag) => (Selector::Digest(digest), tag),
        };
        Ok(Reference { transport, selector, tag })
    }

    fn no_position(self, whole: Text<'_>, transport: &'static str) -> Result<Self> {
        match self {
            Self::Position(_) => {
                Err(ReferenceError::NoSuchSelector { transport, what: "position", text: whole.lossy() })
            }
            cut => Ok(cut),
        }
    }

    fn nothing(self, whole: Text<'_>, name: &'static str, transport: Transport) -> Result<Reference> {
        match self.no_position(whole, name)? {
            Self::Nothing => Ok(Reference::new(transport)),
            _ => Err(ReferenceError::NoSuchSelector { transport: name, what: "digest", text: whole.lossy() }),
        }
    }
}

/// A part of a reference: bytes, because paths are bytes.
#[derive(Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn split_once(self, mark: u8) -> Option<(Self, Self)> {
        let at = self.0.iter().position(|byte| *byte == mark)?;
        Some((Self(&self.0[..at]), Self(&self.0[at + 1..])))
    }

    fn starts_with(self, start: &[u8]) -> bool {
        self.0.starts_with(start)
    }

    fn after(self, start: &[u8]) -> Option<Self> {
        self.0.strip_prefix(start).map(Self)
    }

    /// `ocidir://DIR` is `oci:DIR`; of several slashes one is left, so that it is not taken for `oci://`.
    fn without_alias(self) -> Cow<'a, [u8]> {
        let Some(folder) = self.after(b"ocidir://") else { return self.0.into() };
        let slashes = folder.0.iter().take_while(|byte| **byte == b'/').count();
        [b"oci:", &folder.0[slashes.saturating_sub(1)..]].concat().into()
    }

    fn lossy(self) -> Box<str> {
        String::from_utf8_lossy(self.0).into()
    }

    fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.0).map_err(|_| ReferenceError::NotText(self.lossy()))
    }

    fn tag(self) -> Result<Box<str>> {
        match self.text()? {
            "" => Err(ReferenceError::NoTag(":".into())),
            tag if tag.contains(char::is_control) => Err(ReferenceError::BadTag(tag.into())),
            tag => Ok(tag.into()),
        }
    }

    fn as_path(self) -> &'a Path {
        Path::new(OsStr::from_bytes(self.0))
    }

    fn path(self) -> PathBuf {
        self.as_path().into()
    }

    fn folder(self, transport: &'static str) -> Result<PathBuf> {
        match self.0 {
            b"" => Err(ReferenceError::NoPlace { transport, what: "folder" }),
            b"-" => Err(ReferenceError::StreamIsNoFolder(transport)),
            _ => Ok(self.path()),
        }
    }

    fn file(self, transport: &'static str) -> Result<File> {
        match self.0 {
            b"" => Err(ReferenceError::NoPlace { transport, what: "file" }),
            b"-" => Ok(File::Stream),
            _ => Ok(File::Path(self.path())),
        }
    }
}
