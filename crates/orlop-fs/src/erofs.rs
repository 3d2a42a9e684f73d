//! EROFS images: what the kernel mounts in place of a tree that was unpacked (`docs/formats/erofs.md`).
//!
//! ```text
//! 0        1024          1152
//! ├─ zeros ─┼─ superblock ─┼─ devices ─┼─ inodes, each with what belongs to it ─┼─ long folders ─┤
//! ```
//!
//! Invariant: the bytes depend on the tree, on where its contents lie and on the attributes that are added. No content
//! of a file is in the image but those that are given for it. The image is planned, then written from its beginning to its end; memory grows with the
//! inodes, not with their contents.

mod attributes;
mod folder;
mod inode;
mod plan;
mod read;
mod superblock;

use crate::Result;
use crate::error::{Error, Shown};
use orlop_layer::Xattrs;
use orlop_layer::tree::{Content, Inode, Tree};
use plan::Plan;
pub use read::{Image, read};
use std::borrow::Cow;
use std::io::{self, Write};

/// Bytes of a block, as in a tar.
pub const BLOCK: u64 = BLOCK_SIZE as u64;
const BLOCK_SIZE: usize = 512;
/// The type of file system that `mount` is told.
pub const NAME: &str = "erofs";

/// Where the bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In the image: these bytes.
    Here(&'a [u8]),
    /// Nowhere: they read as zeros, or an overlay puts others in their place.
    Nowhere,
    /// In one piece in a device.
    Device {
        /// Which one, from 0.
        device: u16,
        /// Where they begin there: at a multiple of [`BLOCK`].
        at: u64,
    },
}

/// What the tree does not say.
pub trait Describe {
    /// Where the bytes of a file are; not asked for empty ones.
    fn place(&self, content: &Content) -> Result<Place<'_>>;

    /// The attributes that the image shows.
    fn attributes<'i>(&self, inode: &'i Inode) -> Result<Cow<'i, Xattrs>> {
        Ok(Cow::Borrowed(&inode.meta.xattrs))
    }
}

/// Writes the image of a stacked tree. `devices` are the sizes of the files that hold contents, in bytes, in the order in
/// which they are named when the image is mounted. Tells how many bytes were written.
///
/// # Errors
/// Where the format cannot hold something of the tree: an attribute of an unknown prefix, a content that begins within a
/// block or has another size than the tree says. Nothing is left out.
pub fn write(tree: &Tree, devices: &[u64], describe: &dyn Describe, out: &mut dyn Write) -> Result<u64> {
    let plan = Plan::new(tree, devices.len(), describe)?;
    let mut output = Output { out, at: 0 };
    output.pad_to(superblock::AT)?;
    output.put(&superblock::superblock(&plan, devices)?)?;
    for size in devices {
        output.put(&superblock::device(*size)?)?;
    }
    for (ordinal, (id, spot)) in plan.spots().enumerate() {
        output.pad_to(spot.at)?;
        output.put(&inode::inode(tree, id, ordinal, &plan, describe)?)?;
    }
    for (id, spot) in plan.spots() {
        if let plan::Body::Blocks(first) = spot.body {
            output.pad_to(u64::from(first) * BLOCK)?;
            output.put(&inode::body(tree, id, &plan, describe)?)?;
        }
    }
    output.pad_to(plan.end())?;
    Ok(output.at)
}

/// An error for what the format cannot hold.
fn unfit(what: &'static str) -> Error {
    Error::NotInErofs { what }
}

/// Counts what is written.
struct Output<'a> {
    out: &'a mut dyn Write,
    at: u64,
}

impl Output<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(failed)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Writes zeros up to a byte of the image.
    fn pad_to(&mut self, at: u64) -> Result<()> {
        let gap = at.checked_sub(self.at).expect("the plan is in order");
        io::copy(&mut io::Read::take(io::repeat(0), gap), &mut self.out).map_err(failed)?;
        self.at = at;
        Ok(())
    }
}

fn failed(source: io::Error) -> Error {
    Error::Io { action: "write", path: Shown::from("an EROFS image"), source }
}
