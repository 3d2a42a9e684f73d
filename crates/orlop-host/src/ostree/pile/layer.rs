//! A commit as a layer: names that begin with `.wh.` mean what they mean in layers.

use super::super::id::ObjectId;
use super::super::layers::note::Note;
use super::super::repo::Repo;
use super::super::tree::Names;
use orlop_layer::tree::{Content, Tree};
use orlop_spec::{Context, port};

/// The objects of files, by where their content came from.
type Objects = Box<dyn Fn(&Content) -> Option<ObjectId>>;

/// A layer, and the objects of its files.
pub(super) struct Layer {
    /// Not stacked on anything.
    pub tree: Tree,
    /// By the contents of the tree.
    pub object: Objects,
    /// The time of the commit.
    pub time: u64,
}

/// The layer that a commit is, as the `number`th of an image. Of one that the repository keeps of an image, the list tells
/// more than the files: hard links to what lies below.
pub(super) fn of(cx: &Context<'_>, repo: &Repo, id: &ObjectId, number: u16) -> port::Result<Layer> {
    let commit = repo.commit(id)?;
    let time = commit.time;
    if let Some(diff_id) = Note::of(&commit.metadata).ok().map(|note| note.diff_id)
        && repo.layer_files(&diff_id)? == Some((commit.tree, commit.meta))
    {
        let (tree, files) = repo.layer_tree(&diff_id, number, cx.limits)?;
        return Ok(Layer { tree, object: Box::new(move |content| files.get(content)), time });
    }
    let (tree, files) = repo.layer_at(cx, (commit.tree, commit.meta), (number, Names::Whiteouts), time)?;
    let object = move |content: &Content| files.get(content.ordinal as usize).copied();
    Ok(Layer { tree, object: Box::new(object), time })
}
