//! Looking into commits: their history, what lies where, and how two of them differ.
//!
//! Invariant: folders are read when they are come to, once for each place where they lie, and no file's content is read.
//! The limits of entries and of nesting hold, so a few objects that refer to each other do not become a tree without end.

use super::id::{Kind, ObjectId, ObjectName};
use super::object::{Commit, DirTree};
use super::repo::{Repo, RepoError};
use super::variant::{Bytes, Types, View};
use crate::Error;
use orlop_spec::Context;

/// Folders within folders: a path of the kernel's has no more.
const DEPTH: usize = 2048;

/// Something that lies in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// From the root on, with a slash in front.
    pub path: String,
    /// What it is.
    pub what: What,
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A folder.
    Folder {
        /// Its dirtree.
        tree: ObjectId,
        /// Its dirmeta.
        meta: ObjectId,
    },
    /// A file or a symbolic link.
    File(ObjectId),
}

/// How much of a folder is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Itself.
    Alone,
    /// With what is in it.
    Children,
    /// With all that is beneath it.
    All,
}

/// Where a history ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The commits, the newest first.
    pub commits: Vec<(ObjectId, Commit)>,
    /// The parent of the last one, where it is not there.
    pub beyond: Option<ObjectId>,
}

/// How the second of two trees differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Paths that are another file, or a folder of another owner or mode.
    pub modified: Vec<String>,
    /// Paths that are gone; of a folder, only itself.
    pub removed: Vec<String>,
    /// Paths that are new, with all beneath them.
    pub added: Vec<String>,
}

impl Repo {
    /// A commit and those before it, as far as they are there.
    pub fn history(&self, cx: &Context<'_>, from: &ObjectId) -> Result<History, Error> {
        let mut commits = vec![(*from, self.commit(from)?)];
        loop {
            cx.cancel.check().map_err(RepoError::from)?;
            let Some(parent) = commits.last().and_then(|(_, commit)| commit.parent) else {
                return Ok(History { commits, beyond: None });
            };
            if !self.has_commit(&parent)? {
                return Ok(History { commits, beyond: Some(parent) });
            }
            commits.push((parent, self.commit(&parent)?));
        }
    }

    /// A commit, a dirtree or a dirmeta as the value that it is; numbers are read big-endian.
    pub fn print(&self, object: &ObjectName) -> Result<String, Error> {
        let signature = match object.kind {
            Kind::Commit => "(a{sv}aya(say)sstayay)",
            Kind::DirTree => "(a(say)a(sayay))",
            Kind::DirMeta => "(uuua(ayay))",
            _ => return Err(RepoError::Missing { object: *object }.into()),
        };
        let bytes = self.raw(object)?;
        let view = View::parse(signature, &bytes);
        let view = view.map_err(|why| RepoError::Malformed { object: *object, why: why.into() })?;
        Ok(view.print(Bytes::BigEndian, Types::Told))
    }

    /// What lies at a path of a commit. Links are not followed.
    pub fn find(&self, commit: &Commit, path: &str) -> Result<Item, Error> {
        let mut item = Item { path: "/".into(), what: What::Folder { tree: commit.tree, meta: commit.meta } };
        for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
            let missing = || RepoError::NoPath { path: path.into() };
            let What::Folder { tree, .. } = item.what else { return Err(missing().into()) };
            let folder = self.dirtree(&tree)?;
            let what = match (folder.file(name), folder.folder(name)) {
                (Some(file), _) => What::File(*file),
                (_, Some((tree, meta))) => What::Folder { tree: *tree, meta: *meta },
                _ => return Err(missing().into()),
            };
            item = Item { path: beneath(&item.path, name), what };
        }
        Ok(item)
    }

    /// Shows an item and what is in it: of each folder files first, then folders with what is in them.
    pub fn list_beneath(
        &self,
        cx: &Context<'_>,
        item: &Item,
        extent: Extent,
        show: &mut dyn FnMut(&Item) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut count = Count::new(cx);
        let mut open = vec![item.clone()];
        let mut is_first = true;
        while let Some(item) = open.pop() {
            count.step(&item.path)?;
            show(&item)?;
            let goes_on = extent == Extent::All || (extent == Extent::Children && is_first);
            if let What::Folder { tree, .. } = item.what
                && goes_on
            {
                let mut children = children(&self.dirtree(&tree)?, &item.path);
                children.reverse();
                open.append(&mut children);
            }
            is_first = false;
        }
        Ok(())
    }

    /// How the tree of one commit differs from that of another.
    pub fn changes(&self, cx: &Context<'_>, from: &Commit, to: &Commit) -> Result<Changes, Error> {
        let mut comparison = Comparison { repo: self, count: Count::new(cx), changes: Changes::default() };
        comparison.folder(&from.tree, &to.tree, "/")?;
        Ok(comparison.changes)
    }
}

fn beneath(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}

/// Files, then folders, as they are sorted there.
fn children(tree: &DirTree, path: &str) -> Vec<Item> {
    let files = tree.files.iter().map(|(name, id)| Item { path: beneath(path, name), what: What::File(*id) });
    let folders = tree.folders.iter().map(|(name, tree, meta)| Item {
        path: beneath(path, name),
        what: What::Folder { tree: *tree, meta: *meta },
    });
    files.chain(folders).collect()
}

/// Holds a walk to the limits.
struct Count<'a> {
    cx: &'a Context<'a>,
    entries: u64,
}

impl<'a> Count<'a> {
    fn new(cx: &'a Context<'a>) -> Self {
        Self { cx, entries: 0 }
    }

    fn step(&mut self, path: &str) -> Result<(), Error> {
        self.cx.cancel.check().map_err(RepoError::from)?;
        self.entries += 1;
        if self.entries > self.cx.limits.entries {
            return Err(RepoError::TooMany { most: self.cx.limits.entries }.into());
        }
        if path.bytes().filter(|byte| *byte == b'/').count() > DEPTH {
            return Err(RepoError::TooDeep { most: DEPTH }.into());
        }
        Ok(())
    }
}

struct Comparison<'a> {
    repo: &'a Repo,
    count: Count<'a>,
    changes: Changes,
}

impl Comparison<'_> {
    /// Recursion ends at the depth that [`Count`] allows.
    fn folder(&mut self, from: &ObjectId, to: &ObjectId, path: &str) -> Result<(), Error> {
        self.count.step(path)?;
        if from == to {
            return Ok(());
        }
        let (from, to) = (self.repo.dirtree(from)?, self.repo.dirtree(to)?);
        for item in children(&from, path) {
            self.item(&item, &to)?;
        }
        for item in children(&to, path) {
            let name = item.path.rsplit('/').next().unwrap_or_default();
            if from.file(name).is_none() && from.folder(name).is_none() {
                self.added(&item)?;
            }
        }
        Ok(())
    }

    /// What became of an item of the first tree in the same folder of the second.
    fn item(&mut self, item: &Item, to: &DirTree) -> Result<(), Error> {
        self.count.step(&item.path)?;
        let name = item.path.rsplit('/').next().unwrap_or_default();
        match (item.what, to.file(name), to.folder(name)) {
            (_, None, None) => self.changes.removed.push(item.path.clone()),
            (What::File(from), Some(to), _) if from == *to => {}
            (What::Folder { tree, meta }, _, Some((to_tree, to_meta))) => {
                if meta != *to_meta {
                    self.changes.modified.push(item.path.clone());
                }
                self.folder(&tree, to_tree, &item.path)?;
            }
            _ => self.changes.modified.push(item.path.clone()),
        }
        Ok(())
    }

    fn added(&mut self, item: &Item) -> Result<(), Error> {
        let mut open = vec![item.clone()];
        while let Some(item) = open.pop() {
            self.count.step(&item.path)?;
            if let What::Folder { tree, .. } = item.what {
                let mut children = children(&self.repo.dirtree(&tree)?, &item.path);
                children.reverse();
                open.append(&mut children);
            }
            self.changes.added.push(item.path);
        }
        Ok(())
    }
}
