//! The file of an App Container Image, read whole.
//!
//! ```text
//! file ──squeeze──► tar ──► sha512: the image id
//!                    └────► manifest │ entries of rootfs ──► tree, and contents in a spool
//! ```
//!
//! Invariant: it is read once; manifest, tree and id are those of the same bytes.

use crate::spool::Spool;
use crate::tar_tree::{self, BUFFER, gather};
use orlop_fs::File;
use orlop_host::Error as HostError;
use orlop_host::aci::AciError;
use orlop_host::aci::archive::{Members, Rest};
use orlop_host::aci::manifest::ImageManifest;
use orlop_layer::tree::Tree;
use orlop_layer::{Chunk, Entries, tar};
use orlop_spec::port::Result;
use orlop_spec::{Algorithm, Context, Digest, Fault, Hasher};
use std::io::{self, BufReader, Read};
use std::path::Path;

/// What is in a tar.
pub struct Contents {
    /// The root filesystem, not stacked on anything.
    pub tree: Tree,
    /// The manifest, and what is wrong with the tar.
    pub rest: Rest,
    /// The image id.
    pub id: Digest,
}

/// An image that can be used.
pub struct Archive {
    /// How it is called in messages.
    pub name: String,
    /// Its manifest.
    pub manifest: ImageManifest,
    /// The text of that.
    pub raw: Box<str>,
    /// Its root filesystem, not stacked on anything.
    pub tree: Tree,
    /// The image id.
    pub id: Digest,
}

/// Reads a tar, compressed or not, and keeps its contents as that layer of the spool.
pub fn contents(
    cx: &Context<'_>,
    (name, input): (&str, impl Read + Send),
    spool: &Spool,
    layer: u16,
) -> Result<Contents> {
    let mut plain = Hashed { inner: tar_tree::plain(cx, input)?, hasher: Hasher::new(Algorithm::Sha512) };
    let buffered = BufReader::with_capacity(BUFFER, &mut plain);
    let mut members = Members::new(tar::Reader::new(buffered, cx.limits), cx.limits.document);
    let tree = gather(cx, &mut members, spool, layer)?;
    let (rest, reader) = members.into_rest();
    if let Some(ending) = reader.ending() {
        tar_tree::doubt(cx, name, ending);
    }
    drop(reader);
    let id = plain.into_id(name)?;
    Ok(Contents { tree, rest, id })
}

/// Reads an image that is to be used: the first thing that is wrong with its tar is an error.
pub fn read(
    cx: &Context<'_>,
    (name, input): (&str, impl Read + Send),
    spool: &Spool,
    layer: u16,
) -> Result<Archive> {
    let Contents { tree, rest: Rest { manifest, findings }, id } = contents(cx, (name, input), spool, layer)?;
    if let Some(finding) = findings.into_iter().next() {
        let place = format!("{name}: {}", finding.place);
        return Err(HostError::from(AciError::Archive { place, what: finding.what }).into());
    }
    let bytes = manifest.expect("there is a manifest, or a finding says that there is none");
    let manifest = ImageManifest::parse(&bytes)
        .map_err(|source| HostError::from(AciError::Manifest { image: name.to_owned(), source }))?;
    let raw = String::from_utf8(bytes).expect("JSON is text").into();
    Ok(Archive { name: name.to_owned(), manifest, raw, tree, id })
}

/// Whether a file is an image by its content: it has a manifest of App Containers, and before that nothing but `rootfs`.
/// Most other tars show with an entry or two that they are none. What cannot be read is none; who reads it as a tar tells.
pub fn is_one(cx: &Context<'_>, path: &Path) -> Result<bool> {
    let Ok(plain) = tar_tree::plain(cx, File::open(path)?) else { return Ok(false) };
    let mut members = tar::Reader::new(BufReader::with_capacity(BUFFER, plain), cx.limits);
    loop {
        cx.cancel.check()?;
        let Ok(Some(entry)) = members.next_entry() else { return Ok(false) };
        let mut parts = entry.path.components();
        match (parts.next(), parts.next()) {
            (Some(b"manifest"), None) => return Ok(says_kind(&mut members, cx.limits.document)),
            (None | Some(b"rootfs"), _) => {}
            _ => return Ok(false),
        }
    }
}

/// Whether the content under way has the field that all manifests of App Containers have, also one that is broken.
fn says_kind(members: &mut dyn Entries, limit: u64) -> bool {
    const FIELD: &[u8] = b"\"acKind\"";
    let mut bytes = Vec::new();
    while let Ok(Some(Chunk::Data(data))) = members.next_chunk() {
        bytes.extend_from_slice(data);
        if bytes.len() as u64 > limit {
            return false;
        }
    }
    bytes.windows(FIELD.len()).any(|window| window == FIELD)
}

/// Hashes what passes.
struct Hashed<'a> {
    inner: Box<dyn Read + Send + 'a>,
    hasher: Hasher,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

impl Hashed<'_> {
    /// The digest of everything, the padding behind the tar's end too.
    fn into_id(mut self, name: &str) -> Result<Digest> {
        io::copy(&mut self, &mut io::sink()).map_err(|error| Fault::io(format!("read {name}"), error))?;
        Ok(self.hasher.finish())
    }
}
