//! Bundles that umoci can go on with, and umoci's own.
//!
//! ```text
//! image ──unpack──► bundle: config.json, rootfs/, umoci.json, sha256_HEX.mtree
//!                     │ changed
//! image' ◄──repack────┘
//! ```
//!
//! Invariant: `umoci.json` and the manifest stand beside a root filesystem that they are about, or not at all.

pub mod add_layer;
pub mod repack;
pub mod runtime;
pub mod unpack;
pub mod validate;

use orlop_fs::Dir;
use orlop_fs::scan::{Contents, Mounts, ScanOptions, Survey, Unreadable};
use orlop_host::umoci::meta::Rootless;
use orlop_host::umoci::mtree::Mtree;
use orlop_spec::Context;
use orlop_spec::port::Result;

/// How a tree is looked at: an ordinary user may meet folders that nobody may read.
pub(crate) fn scanning<'a>(cx: &Context<'a>, rootless: Rootless) -> ScanOptions<'a> {
    let unreadable = match rootless {
        Rootless::Yes => Unreadable::Lend,
        Rootless::No => Unreadable::Refuse,
    };
    let mounts = Mounts::Cross;
    ScanOptions { unreadable, mounts, observer: cx.observer, cancel: cx.cancel, ..ScanOptions::default() }
}

/// The manifest of what is in a folder, contents and all.
pub(crate) fn survey(cx: &Context<'_>, root: &Dir, rootless: Rootless) -> Result<Mtree> {
    let mut survey = Survey::open(root, Contents::Hashed, &scanning(cx, rootless))?;
    Ok(Mtree::of(&mut survey)?)
}
