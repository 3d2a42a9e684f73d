//! What commits need.
//!
//! ```text
//! commit ──► dirmeta
//!        └─► dirtree ──► file (and what is kept beside it)
//!                    ├─► dirmeta
//!                    └─► dirtree ──► …
//! ```
//!
//! Invariant: each object is met once, so the cost is that of the objects, however many commits share them; nothing is
//! called needed or not before everything was read that tells so.

use super::{Repo, RepoError};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use orlop_spec::Context;
use std::collections::HashSet;

/// Collects what commits need.
pub struct Reach<'r> {
    repo: &'r Repo,
    met: HashSet<ObjectName>,
}

/// What to do where an object is not there that tells what else is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gaps {
    /// It is an error.
    Refused,
    /// It was never fetched.
    Expected,
}

impl<'r> Reach<'r> {
    /// Nothing is needed yet.
    pub fn new(repo: &'r Repo) -> Self {
        Self { repo, met: HashSet::new() }
    }

    /// Everything that was met.
    pub fn met(&self) -> &HashSet<ObjectName> {
        &self.met
    }

    /// Adds a commit and the commits before it, of which at most so many.
    pub fn history(&mut self, cx: &Context<'_>, id: &ObjectId, most: Option<u64>) -> Result<(), Error> {
        let mut next = Some(*id);
        let mut left = most;
        while let Some(id) = next.filter(|_| left != Some(0)) {
            left = left.map(|left| left - 1);
            next = self.commit(cx, &id)?.filter(|_| left != Some(0));
            next = match next {
                Some(parent) if self.repo.has_commit(&parent)? => Some(parent),
                _ => None,
            };
        }
        Ok(())
    }

    /// Adds a commit and all that is in it, and gives its parent.
    pub fn commit(&mut self, cx: &Context<'_>, id: &ObjectId) -> Result<Option<ObjectId>, Error> {
        let commit = self.repo.commit(id)?;
        if self.met.insert(ObjectName::new(*id, Kind::Commit)) {
            let gaps = if self.repo.is_partial(id)? { Gaps::Expected } else { Gaps::Refused };
            self.met.insert(ObjectName::new(commit.meta, Kind::DirMeta));
            self.tree(cx, commit.tree, gaps)?;
        }
        Ok(commit.parent)
    }

    fn tree(&mut self, cx: &Context<'_>, root: ObjectId, gaps: Gaps) -> Result<(), Error> {
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            if !self.met.insert(ObjectName::new(id, Kind::DirTree)) {
                continue;
            }
            cx.cancel.check().map_err(RepoError::from)?;
            let tree = match self.repo.dirtree(&id) {
                Err(Error::Repo(RepoError::Missing { .. })) if gaps == Gaps::Expected => continue,
                tree => tree?,
            };
            for (_, file) in tree.files {
                self.met.extend(BESIDE_FILES.map(|kind| ObjectName::new(file, kind)));
            }
            for (_, tree, meta) in tree.folders {
                self.met.insert(ObjectName::new(meta, Kind::DirMeta));
                open.push(tree);
            }
        }
        Ok(())
    }
}

/// What has the id of a file.
const BESIDE_FILES: [Kind; 3] = [Kind::File, Kind::PayloadLink, Kind::FileXattrsLink];
