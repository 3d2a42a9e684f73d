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
pub mod machine;
pub mod repack;
pub mod runtime;
pub mod unpack;
pub mod validate;

use crate::edit::{Piece, Revision};
use crate::hashed::Hashed;
use orlop_fs::Dir;
use orlop_fs::scan::{Contents, Mounts, ScanOptions, Survey, Unreadable};
use orlop_host::umoci::meta::Rootless;
use orlop_host::umoci::mtree::{Mtree, Times};
use orlop_layer::TreePath;
use orlop_layer::tree::InodeKind;
use orlop_spec::config::History;
use orlop_spec::port::Result;
use orlop_spec::{Context, Event};

/// The annotation in which umoci keeps the size of a layer without compression.
pub const SIZE: &str = "ci.umo.uncompressed_blob_size";

/// Takes back what the history tells of a layer that was put on an image: as it is asked for, though counts no longer agree.
pub fn untold(cx: &Context<'_>, revision: &mut Revision<'_>, before: Vec<History>) {
    revision.config_mut().history = before;
    let text = "the history has no step for the new layer, which misleads those who count";
    cx.observer.event(Event::Warned(text.into()));
}

/// Puts a layer on an image, with the step that the history has for it, or none.
fn append<'r>(cx: &Context<'_>, revision: &mut Revision<'r>, layer: Piece<'r>, step: Option<History>) {
    let before = step.is_none().then(|| revision.config().history.clone());
    revision.append(layer, step.unwrap_or_default());
    if let Some(before) = before {
        untold(cx, revision, before);
    }
}

/// How a tree is looked at: an ordinary user may meet folders that nobody may read.
pub(crate) fn scanning<'a>(cx: &Context<'a>, rootless: Rootless) -> ScanOptions<'a> {
    let unreadable = match rootless {
        Rootless::Yes => Unreadable::Lend,
        Rootless::No => Unreadable::Refuse,
    };
    let mounts = Mounts::Cross;
    ScanOptions { unreadable, mounts, observer: cx.observer, cancel: cx.cancel, ..ScanOptions::default() }
}

/// The manifest of what is in a folder, contents and all; those of the tree that it was just made of are not read again.
pub(crate) fn survey(
    cx: &Context<'_>,
    root: &Dir,
    rootless: Rootless,
    times: Times,
    made_of: Option<&Hashed>,
) -> Result<Mtree> {
    let known = |path: &TreePath| {
        let InodeKind::File(content) = &made_of?.tree.inode(made_of?.tree.locate(path.as_bytes())?).kind
        else {
            return None;
        };
        made_of?.digest(content).copied()
    };
    let survey = Survey::open(root, Contents::Hashed, &scanning(cx, rootless))?;
    Ok(Mtree::of(&mut survey.knowing(&known), times)?)
}
