//! Trees that are laid over each other, on their way to a commit or into a folder.
//!
//! ```text
//! folder, tar, commit, image ──► a tree ──┐ files of the upper one win
//! what lies below ────────────────────────┴─► what lies below the next
//! layer ──────────────────────────────────┐ as layers of images: whiteouts remove
//! what lies below ────────────────────────┴─► what lies below the next
//! ```
//!
//! What is staged cannot be read, so it is published before something is laid over it.
//!
//! Invariant: a transaction is open from the beginning to the end, and so the lock of the repository is shared: nobody
//! prunes what was published and has no name yet.

mod layer;
mod overlay;
mod tar;

use super::claim::Root;
use super::commit::{FolderOptions, write_folder};
use super::flavour::Flavour;
use super::id::ObjectId;
use super::import::Ids;
use super::repo::{Repo, RepoError, Transaction};
use super::write_tree::write_tree;
use crate::Error;
use orlop_fs::Dir;
use orlop_layer::tree::{Content, Tree};
use orlop_spec::{Context, Fault, port};
use std::io::Read;

/// A tree that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its root.
    pub root: Root,
    /// When it was made, in seconds since 1970.
    pub time: u64,
}

/// Trees laid over each other.
pub struct Pile<'a> {
    cx: &'a Context<'a>,
    repo: &'a Repo,
    transaction: Transaction<'a>,
    /// What the trees so far are together.
    root: Option<Root>,
    newest: u64,
    staged: Staged,
}

/// Whether the transaction holds something that a reader would need.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Staged {
    Something,
    Nothing,
}

/// The layer that has contents of its own, over what lies below.
const UPPER: u16 = 1;

impl<'a> Pile<'a> {
    /// No tree yet.
    pub fn new(cx: &'a Context<'a>, repo: &'a Repo) -> Result<Self, Error> {
        let transaction = repo.begin(cx)?;
        Ok(Self { cx, repo, transaction, root: None, newest: 0, staged: Staged::Nothing })
    }

    /// The time of the newest of the trees.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Lays a folder over.
    pub fn folder(&mut self, folder: &Dir, options: FolderOptions<'_>) -> Result<(), Error> {
        let cx = self.cx;
        self.tree(|transaction| {
            let written = write_folder(cx, transaction, folder, options)?;
            Ok(Written { root: written.root, time: seconds(written.newest) })
        })
    }

    /// Lays the tree of a commit over.
    pub fn commit(&mut self, id: &ObjectId) -> Result<(), Error> {
        let commit = self.repo.commit(id)?;
        self.over(Written { root: Root { tree: commit.tree, meta: commit.meta }, time: commit.time })
    }

    /// Lays what a tar holds over, compressed or not. One that removes something is refused: it is a layer.
    pub fn tar(&mut self, input: impl Read + Send, options: FolderOptions<'_>) -> port::Result<()> {
        let cx = self.cx;
        self.tree(|transaction| {
            let tar = tar::read(cx, transaction, input, options, tar::Removals::Refused)?;
            let merged = Tree::default().stack(tar.tree)?;
            Ok::<_, Fault>(written(cx, transaction, &merged, &tar.ids, &[], tar.newest)?)
        })
    }

    /// Lays a layer over, a tar whose whiteouts remove what lies below.
    pub fn layer(&mut self, input: impl Read + Send, options: FolderOptions<'_>) -> port::Result<()> {
        let (below, files) = self.below()?;
        let tar = tar::read(self.cx, &self.transaction, input, options, tar::Removals::Applied)?;
        let merged = below.stack(tar.tree)?;
        let laid = written(self.cx, &self.transaction, &merged, &tar.ids, &files, tar.newest)?;
        self.replace(laid);
        Ok(())
    }

    /// Lays a layer over that is a commit: one that the repository keeps of an image, or a folder whose names that begin with
    /// `.wh.` are whiteouts.
    pub fn layer_of(&mut self, id: &ObjectId) -> port::Result<()> {
        let (below, files) = self.below()?;
        let upper = layer::of(self.cx, self.repo, id, UPPER)?;
        let merged = below.stack(upper.tree)?;
        let object = |content: &Content| match content.layer {
            UPPER => (upper.object)(content),
            _ => files.get(content.ordinal as usize).copied(),
        };
        let flavour = Flavour::EXACT.fitting(self.repo.mode());
        let root = write_tree(self.cx, &self.transaction, &merged, &object, flavour)?;
        self.replace(Written { root, time: upper.time });
        Ok(())
    }

    /// Lays a tree over that somebody writes.
    pub fn tree<E: From<Error>>(
        &mut self,
        write: impl FnOnce(&Transaction<'a>) -> Result<Written, E>,
    ) -> Result<(), E> {
        // What a writer takes back of its own may be what an earlier tree needs, were that staged with it.
        self.publish()?;
        let written = write(&self.transaction)?;
        self.staged = Staged::Something;
        Ok(self.over(written)?)
    }

    /// What the trees are together, in the repository: as long as the pile stands, nobody prunes it.
    pub fn settle(&mut self) -> Result<Root, Error> {
        self.publish()?;
        self.root.ok_or_else(|| RepoError::NothingToCommit.into())
    }

    /// What the trees are together, and the transaction that may hold the last of them.
    pub fn into_parts(self) -> Result<(Root, Transaction<'a>), Error> {
        Ok((self.root.ok_or(RepoError::NothingToCommit)?, self.transaction))
    }

    fn over(&mut self, upper: Written) -> Result<(), Error> {
        self.newest = self.newest.max(upper.time);
        let Some(below) = self.root.replace(upper.root) else { return Ok(()) };
        self.publish()?;
        self.root = Some(overlay::overlay(self.cx, &self.transaction, below, upper.root)?);
        self.staged = Staged::Something;
        Ok(())
    }

    /// What lies below, as a layer of its own, and the objects of its files.
    fn below(&mut self) -> Result<(Tree, Vec<ObjectId>), Error> {
        self.publish()?;
        match self.root {
            Some(root) => self.repo.tree_of(self.cx, (root.tree, root.meta), self.newest),
            None => Ok((Tree::default(), Vec::new())),
        }
    }

    fn replace(&mut self, laid: Written) {
        self.newest = self.newest.max(laid.time);
        self.root = Some(laid.root);
        self.staged = Staged::Something;
    }

    fn publish(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.staged, Staged::Nothing) == Staged::Nothing {
            return Ok(());
        }
        let next = self.repo.begin(self.cx)?;
        std::mem::replace(&mut self.transaction, next).finish()?;
        Ok(())
    }
}

/// Writes a merged tree whose contents are staged, or the objects of what lies below.
fn written(
    cx: &Context<'_>,
    transaction: &Transaction<'_>,
    merged: &Tree,
    ids: &Ids,
    below: &[ObjectId],
    newest: i64,
) -> Result<Written, Error> {
    ids.forget_losers(transaction, merged)?;
    let object = |content: &Content| match content.layer {
        UPPER => ids.get(content),
        _ => below.get(content.ordinal as usize).copied(),
    };
    let flavour = Flavour::EXACT.fitting(transaction.repo().mode());
    let root = write_tree(cx, transaction, merged, &object, flavour)?;
    Ok(Written { root, time: seconds(newest) })
}

/// OSTree knows no time before 1970.
fn seconds(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

#[cfg(test)]
mod tests;
