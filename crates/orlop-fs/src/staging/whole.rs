//! Which folders of the layers can go into the root whole: one rename for all that lies in them.
//!
//! Invariant: a folder is whole where everything that lies in it on the disk, at any depth, is where the merged
//! tree has it, and under that name alone. So whatever was taken along with a folder is never asked for elsewhere,
//! and nothing in it has to go.

use super::layer::Written;
use super::places::{FolderId, Place, SPILL};
use orlop_layer::tree::{Content, Inode, InodeId, InodeKind, Tree};
use std::collections::HashMap;

/// A folder of a layer, as it lies on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// The index of the layer.
    pub(super) layer: usize,
    pub(super) folder: FolderId,
}

/// For folders of the merged tree, the whole folder that can become each; of several the one with the most files.
/// `base` is the path of `top`, and `host` is the layer that needs no such thing.
pub(super) fn find(
    merged: &Tree,
    (top, base): (InodeId, &[u8]),
    layers: &[Written],
    host: Option<usize>,
) -> HashMap<InodeId, Spot> {
    let mut found: HashMap<InodeId, (u32, Spot)> = HashMap::new();
    // A folder that is reached over links lies elsewhere.
    let is_plain = merged.locate(base) == Some(top);
    for (layer, written) in layers.iter().enumerate().filter(|(index, _)| is_plain && Some(*index) != host) {
        let Some(base) = written.places.at(base) else { continue };
        let twins = twins(merged, (top, base), written);
        for (folder, files) in (0..).zip(whole(merged, &twins, written)) {
            let (Some(twin), Some(files)) = (twins[folder as usize].filter(|twin| *twin != top), files)
            else {
                continue;
            };
            let spot = (files, Spot { layer, folder });
            let best = found.entry(twin).or_insert(spot);
            if best.0 < files {
                *best = spot;
            }
        }
    }
    found.into_iter().map(|(twin, (_, spot))| (twin, spot)).collect()
}

/// The folder of the merged tree for each folder of a layer; `None` where it is none there. The layer's folder
/// `base` is the merged tree's `top`.
pub(super) fn twins(
    merged: &Tree,
    (top, base): (InodeId, FolderId),
    layer: &Written,
) -> Vec<Option<InodeId>> {
    let mut twins = vec![None; layer.places.folder_count()];
    twins[base as usize] = Some(top);
    for (parent, name, id) in layer.places.folders().filter(|(_, _, id)| *id != base) {
        let twin = twins[parent as usize].and_then(|folder| merged.child(folder, name));
        twins[id as usize] = twin.filter(|twin| merged.inode(*twin).is_directory());
    }
    twins
}

/// The inode whose content this is, where the content lies where the merged tree has it.
pub(super) fn in_place(
    merged: &Tree,
    twins: &[Option<InodeId>],
    layer: &Written,
    place: Place<'_>,
) -> Option<InodeId> {
    let found = twins[place.folder as usize].and_then(|folder| merged.child(folder, place.name))?;
    let content = content(merged.inode(found))?;
    ((content.layer, content.ordinal) == (layer.layer, place.ordinal)).then_some(found)
}

pub(super) fn content(inode: &Inode) -> Option<Content> {
    match inode.kind {
        InodeKind::File(content) => Some(content),
        _ => None,
    }
}

/// The files beneath each folder of a layer; `None` where the folder is not whole.
fn whole(merged: &Tree, twins: &[Option<InodeId>], layer: &Written) -> Vec<Option<u32>> {
    let mut whole: Vec<Option<u32>> = twins.iter().map(|twin| twin.map(|_| 0)).collect();
    for place in layer.places.files().filter(|place| place.folder != SPILL) {
        let stays = in_place(merged, twins, layer, place).is_some_and(|id| merged.names(id) == 1);
        let files = &mut whole[place.folder as usize];
        *files = files.filter(|_| stays).map(|files| files + 1);
    }
    for (parent, _, id) in layer.places.folders().rev() {
        let below = whole[id as usize];
        let files = &mut whole[parent as usize];
        *files = files.zip(below).map(|(files, below)| files + below);
    }
    whole
}
