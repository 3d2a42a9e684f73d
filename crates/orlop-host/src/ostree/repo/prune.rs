//! Removal of what no commit needs.
//!
//! ```text
//! 1  lock    alone: nobody is writing
//! 2  mark    what refs, or all commits, need
//! 3  remove  commits, with what was said of them later
//! 4  sync
//! 5  remove  dirtrees, dirmetas, files
//! ```
//!
//! Invariant: killed at any moment, no commit is left that lacks a part of itself: commits go first, and are gone from the
//! disk before anything goes that they need. Refs are never touched.

use super::reach::Reach;
use super::{Repo, RepoError};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::variant::{Dict, Variant};
use orlop_fs::lock::{Share, Wait};
use orlop_spec::Context;

/// Which commits are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// All of them.
    #[default]
    Commits,
    /// Those that refs lead to.
    Refs,
}

/// Whether anything is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Run {
    /// Yes.
    #[default]
    Remove,
    /// It is only told what would be.
    Dry,
}

/// What is kept.
#[derive(Clone, Debug, Default)]
pub struct PruneOptions {
    /// Which commits.
    pub roots: Roots,
    /// How many commits before each of them; all where nothing is said.
    pub depth: Option<u64>,
    /// Of the commits before those of refs, only what is not older than this; seconds since 1970.
    pub since: Option<u64>,
    /// Commits that are removed although they are roots; no ref may lead to them.
    pub delete: Vec<ObjectId>,
    /// Whether anything is removed.
    pub run: Run,
}

/// What a removal did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Objects that there were.
    pub objects: u64,
    /// Those that were removed, or would be.
    pub removed: u64,
    /// Bytes of their files.
    pub bytes: u64,
}

/// Kinds that are counted, and removed where nothing needs them: commits first.
pub(in super::super) const KINDS: [Kind; 7] = [
    Kind::Commit,
    Kind::DirTree,
    Kind::DirMeta,
    Kind::File,
    Kind::PayloadLink,
    Kind::FileXattrs,
    Kind::FileXattrsLink,
];

impl Repo {
    /// Removes what is not needed.
    pub fn prune(&self, cx: &Context<'_>, options: &PruneOptions) -> Result<Pruned, Error> {
        let _lock = self.lock(Share::Exclusive, Wait::Yes)?;
        self.check_unnamed(&options.delete)?;
        let mut reach = Reach::new(self);
        self.mark(cx, options, &mut reach)?;
        let mut pruned = Pruned::default();
        let mut rest = Vec::new();
        for object in self.list(&KINDS)? {
            pruned.objects += 1;
            if !reach.met().contains(&object) {
                pruned.removed += 1;
                pruned.bytes += self.size_on_disk(&object)?;
                rest.push(object);
            }
        }
        if options.run == Run::Remove && !rest.is_empty() {
            self.remove(cx, &rest)?;
        }
        Ok(pruned)
    }

    fn check_unnamed(&self, commits: &[ObjectId]) -> Result<(), Error> {
        let refs = if commits.is_empty() { Vec::new() } else { self.refs()? };
        for id in commits {
            if !self.has_commit(id)? {
                return Err(RepoError::NoSuchCommit { name: id.to_string().into() }.into());
            }
            if let Some((spec, _)) = refs.iter().find(|(_, commit)| commit == id) {
                return Err(RepoError::Named { id: *id, name: spec.to_string().into() }.into());
            }
        }
        Ok(())
    }

    fn mark(&self, cx: &Context<'_>, options: &PruneOptions, reach: &mut Reach<'_>) -> Result<(), Error> {
        for (_, id) in self.refs()?.into_iter().chain(self.mirrored_refs()?) {
            match options.since {
                Some(since) => self.mark_since(cx, &id, since, reach)?,
                None => reach.history(cx, &id, options.depth.map(|depth| depth.saturating_add(1)))?,
            }
        }
        if options.roots == Roots::Commits && options.since.is_none() {
            for object in self.list(&[Kind::Commit])? {
                if !options.delete.contains(&object.id) {
                    reach.commit(cx, &object.id)?;
                }
            }
        }
        Ok(())
    }

    /// The commit of a ref stays however old it is.
    fn mark_since(
        &self,
        cx: &Context<'_>,
        head: &ObjectId,
        since: u64,
        reach: &mut Reach<'_>,
    ) -> Result<(), Error> {
        let mut next = reach.commit(cx, head)?;
        while let Some(id) = next {
            if !self.has_commit(&id)? || self.commit(&id)?.time < since {
                break;
            }
            next = reach.commit(cx, &id)?;
        }
        Ok(())
    }

    /// Bytes of the file of an object.
    pub(in super::super) fn size_on_disk(&self, object: &ObjectName) -> Result<u64, Error> {
        let Some(folder) = self.folder(&object.id)? else { return Ok(0) };
        Ok(folder.try_stat(self.file_name(object))?.map_or(0, |stat| stat.size))
    }

    fn remove(&self, cx: &Context<'_>, objects: &[ObjectName]) -> Result<(), Error> {
        let leaves_tombstones = self.config.boolean("core", "tombstone-commits")?.unwrap_or(false);
        let commits = || objects.iter().filter(|object| object.kind == Kind::Commit);
        for object in commits() {
            if leaves_tombstones {
                self.leave_tombstone(&object.id)?;
            }
            self.remove_object(object)?;
            self.remove_object(&ObjectName::new(object.id, Kind::CommitMeta))?;
            if let Some(state) = self.subfolder(&["state"])? {
                gone(state.remove_file(format!("{}.commitpartial", object.id)))?;
            }
        }
        if commits().next().is_some() {
            self.dir.sync_fs()?;
        }
        for object in objects.iter().filter(|object| object.kind != Kind::Commit) {
            cx.cancel.check().map_err(RepoError::from)?;
            self.remove_object(object)?;
        }
        Ok(())
    }

    fn remove_object(&self, object: &ObjectName) -> Result<(), Error> {
        let Some(folder) = self.folder(&object.id)? else { return Ok(()) };
        gone(folder.remove_file(self.file_name(object)))
    }

    /// So that whoever follows parents knows that the commit was removed, and is not lost.
    fn leave_tombstone(&self, commit: &ObjectId) -> Result<(), Error> {
        let Some(folder) = self.folder(commit)? else { return Ok(()) };
        let said: Dict = [("commit", Variant::bytes(commit.as_bytes()))].into_iter().collect();
        let name = self.file_name(&ObjectName::new(*commit, Kind::Tombstone));
        super::replace(folder.try_clone()?, &name, &said.to_bytes())
    }
}

/// What is not there need not be removed.
pub(in super::super) fn gone(removed: orlop_fs::Result<()>) -> Result<(), Error> {
    match removed {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}
