//! Images that a web server holds as files, and that knows nothing of images: `https:` and `oci:https:`.
//!
//! ```text
//! https://HOST/FILE     ──► a file without a name ──► an archive of either form, or a tar of files, by its content
//! oci:https://HOST/DIR  ──► oci-layout, index.json; then the blobs that are asked for
//! ```
//!
//! Invariant: nothing of a file is used before all of it is there, and its digest proven where one was told.

use crate::error::Error;
use crate::network::Role;
use crate::transport::Outside;
use orlop_remote::{Pinned, WebFile, WebFolder};
use orlop_spec::port::{Origin, Result};
use orlop_spec::wire::Address;
use orlop_spec::{Algorithm, Context, Digest, Fault, Hasher};
use orlop_store::archive::{self, Archive};
use orlop_store::layout::FarLayout;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Bytes that are hashed at once.
const BUFFER: usize = 1 << 16;

/// The layout in a folder.
pub(crate) fn layout<'a>(address: &str, outside: &Outside<'a>) -> Result<FarLayout<'a>> {
    let folder = WebFolder::new(outside.client(Role::Source), &parse(address)?, outside.cx.limits.size);
    let files = move |name: &str| -> Box<dyn Origin + 'a> { Box::new(folder.file(name)) };
    FarLayout::open(address, Box::new(files), outside.cx.limits)
}

/// What is in a file, fetched whole: archives are read here and there.
pub(crate) fn archive(address: &str, outside: &Outside<'_>) -> Result<Archive> {
    let file = WebFile::new(outside.client(Role::Source), parse(address)?, outside.cx.limits.size);
    let (place, options) = (Path::new(address), outside.archive());
    let body = file.get(0)?.read;
    let Some(digest) = outside.file else { return archive::read(body, place, &options) };
    let mut pinned = Pinned::new(body, file.address().clone(), digest);
    let found = archive::read(&mut pinned, place, &options);
    // What is not the file that was named may be damaged in any way: that it is another one is what counts.
    pinned.end(options.limits.tail)?;
    found
}

/// The file itself, whatever it holds.
pub(crate) fn digest(address: &str, outside: &Outside<'_>) -> Result<Digest> {
    let file = WebFile::new(outside.client(Role::Source), parse(address)?, outside.cx.limits.size);
    sha256(outside.cx, file.get(0)?.read, address)
}

/// The sha256 of all that `read` gives, which messages call `name`.
pub(crate) fn sha256(cx: Context<'_>, mut read: impl Read, name: &str) -> Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; BUFFER];
    loop {
        cx.cancel.check()?;
        match read.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::io(format!("read {name}"), error)),
        }
    }
}

fn parse(address: &str) -> Result<Address> {
    Address::parse(address).map_err(|source| Error::BadAddress { address: address.into(), source }.into())
}
