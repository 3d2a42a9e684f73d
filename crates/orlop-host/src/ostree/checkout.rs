//! A commit as files of the disk.
//!
//! ```text
//! 1  the walk over the commit makes folders, and applies whiteouts
//! 2  several threads link, make and copy what is in them
//! 3  folders get owners, modes and times, those beneath first
//! ```
//!
//! Invariant: what is copied has its name only when its object was proven. What is linked is as good as the repository. A
//! target that was made is removed again when something fails.

mod place;

use super::claim::Root;
use super::id::ObjectId;
use super::object::{Commit, DirMeta};
use super::parallel;
use super::repo::{Mode, Repo, RepoError};
use super::tree::Step;
use crate::Error;
use orlop_fs::staging::Durable;
use orlop_fs::{Dir, FileKind};
use orlop_layer::{Time, TreePath};
use orlop_spec::Context;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names of one job.
const BATCH: usize = 64;

/// What is done about owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Owners {
    /// Owners, modes and attributes are those of the commit.
    #[default]
    Exact,
    /// Everything belongs to the caller; nothing runs as its owner, and there are no attributes.
    User,
}

/// What is done with what is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Existing {
    /// The target must not exist.
    #[default]
    Refuse,
    /// Folders stay, files are replaced.
    Overwrite,
    /// Folders and files stay.
    Keep,
    /// Folders stay, and files must be those of the commit.
    Identical,
}

/// Whether files are further names of the repository's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Link {
    /// Where that can be.
    #[default]
    Try,
    /// All of them, or nothing.
    Require,
    /// None.
    Never,
}

/// What names that begin with `.wh.` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Whiteouts {
    /// Names.
    #[default]
    Plain,
    /// What they say is removed of what was there; in the place of a folder may come a file, and the other way round.
    Apply,
}

/// How a commit is checked out.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckoutOptions {
    /// Owners.
    pub owners: Owners,
    /// What is there already.
    pub existing: Existing,
    /// Hard links.
    pub link: Link,
    /// Whiteouts.
    pub whiteouts: Whiteouts,
    /// Whether all is on the disk at the end.
    pub durable: Durable,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckedOut {
    /// Files that are further names of the repository's.
    pub linked: u64,
    /// Files and links that were made.
    pub copied: u64,
    /// Folders that were made.
    pub folders: u64,
}

/// Checks out a folder of a commit.
pub fn checkout(
    cx: &Context<'_>,
    repo: &Repo,
    commit: &ObjectId,
    folder: &TreePath,
    target: &Path,
    options: &CheckoutOptions,
) -> Result<CheckedOut, Error> {
    let Commit { tree, meta, .. } = repo.commit(commit)?;
    checkout_tree(cx, repo, (Root { tree, meta }, folder), target, options)
}

/// Checks out a folder of a tree that the repository holds.
pub fn checkout_tree(
    cx: &Context<'_>,
    repo: &Repo,
    (root, folder): (Root, &TreePath),
    target: &Path,
    options: &CheckoutOptions,
) -> Result<CheckedOut, Error> {
    let root = repo.find_beneath((root.tree, root.meta), folder)?;
    // Nothing is known there of other owners.
    let owners = if repo.mode() == Mode::BareUserOnly { Owners::User } else { options.owners };
    let options = CheckoutOptions { owners, ..*options };
    if options.link == Link::Require && !may_link(repo.mode(), options.owners) {
        return Err(RepoError::CannotLink { mode: repo.mode() }.into());
    }
    let (dir, made) = open_target(target, options.existing)?;
    let checkout =
        Checkout { cx, repo, options, root: dir, linked: AtomicU64::new(0), copied: AtomicU64::new(0) };
    let outcome = checkout.run(root, made);
    if outcome.is_err() && made == WasThere::No {
        take_back(target);
    }
    outcome
}

/// Whether a folder was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WasThere {
    Yes,
    No,
}

struct Checkout<'a> {
    cx: &'a Context<'a>,
    repo: &'a Repo,
    options: CheckoutOptions,
    root: Dir,
    linked: AtomicU64,
    copied: AtomicU64,
}

/// A folder of the target.
struct Folder {
    path: TreePath,
    meta: ObjectId,
    was_there: WasThere,
}

/// Files of one folder.
struct Job {
    folder: usize,
    files: Vec<(Box<[u8]>, ObjectId)>,
}

impl Checkout<'_> {
    fn run(&self, root: (ObjectId, ObjectId), made: WasThere) -> Result<CheckedOut, Error> {
        let (folders, jobs) = self.make_folders(root, made)?;
        parallel::each(
            self.cx.workers.get(),
            &jobs,
            || vec![0; 1 << 17],
            |buffer, job| {
                let folder = self.open(&folders[job.folder].path)?;
                for (name, id) in &job.files {
                    self.cx.cancel.check().map_err(RepoError::from)?;
                    self.place(&folder, name, id, buffer)?;
                }
                Ok(())
            },
        )?;
        self.describe(&folders)?;
        if self.options.durable == Durable::Yes {
            self.root.sync_fs()?;
        }
        let made = folders.iter().filter(|folder| folder.was_there == WasThere::No).count();
        Ok(CheckedOut {
            linked: self.linked.load(Ordering::Relaxed),
            copied: self.copied.load(Ordering::Relaxed),
            folders: made as u64,
        })
    }

    fn make_folders(
        &self,
        root: (ObjectId, ObjectId),
        made: WasThere,
    ) -> Result<(Vec<Folder>, Vec<Job>), Error> {
        let (mut folders, mut jobs) = (Vec::<Folder>::new(), Vec::<Job>::new());
        // The folders that lead to where the walk stands: their numbers, and their handles.
        let mut open: Vec<(usize, Dir)> = Vec::new();
        self.repo.walk(self.cx, root, &mut |path, step| {
            open.truncate(path.components().count());
            let name = path.split().map(|(_, name)| name.to_vec()).unwrap_or_default();
            if self.options.whiteouts == Whiteouts::Apply && name.starts_with(WHITEOUT) {
                return Ok(());
            }
            match step {
                Step::Folder { tree, meta } => {
                    let (dir, was_there) = match open.last() {
                        None => (self.root.try_clone()?, made),
                        Some((_, above)) => self.make_folder(above, &name)?,
                    };
                    if self.options.whiteouts == Whiteouts::Apply && was_there == WasThere::Yes {
                        self.apply_whiteouts(&dir, tree)?;
                    }
                    open.push((folders.len(), dir));
                    folders.push(Folder { path: path.clone(), meta: *meta, was_there });
                }
                Step::File { id } => {
                    let folder = open.last().expect("the root comes first").0;
                    match jobs.last_mut().filter(|job| job.folder == folder && job.files.len() < BATCH) {
                        Some(job) => job.files.push((name.into(), *id)),
                        None => jobs.push(Job { folder, files: vec![(name.into(), *id)] }),
                    }
                }
            }
            Ok(())
        })?;
        Ok((folders, jobs))
    }

    fn make_folder(&self, above: &Dir, name: &[u8]) -> Result<(Dir, WasThere), Error> {
        match above.make_dir(name, 0o700) {
            Ok(()) => return Ok((above.open_dir(name)?, WasThere::No)),
            Err(error) if !error.is_exists() || self.options.existing == Existing::Refuse => {
                return Err(error.into());
            }
            Err(_) => {}
        }
        let is_folder = above.stat(name)?.kind == FileKind::Directory;
        if !is_folder && self.options.whiteouts == Whiteouts::Apply {
            above.remove_file(name)?;
            above.make_dir(name, 0o700)?;
            return Ok((above.open_dir(name)?, WasThere::No));
        }
        Ok((above.open_dir(name)?, WasThere::Yes))
    }

    /// Removes what the whiteouts of a folder name, before anything of the commit comes into it.
    fn apply_whiteouts(&self, dir: &Dir, tree: &ObjectId) -> Result<(), Error> {
        let tree = self.repo.dirtree(tree)?;
        for (name, _) in &tree.files {
            let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT) else { continue };
            if hidden == OPAQUE {
                for name in dir.list()? {
                    dir.remove_all(name)?;
                }
            } else {
                dir.remove_all(hidden)?;
            }
        }
        Ok(())
    }

    fn open(&self, path: &TreePath) -> Result<Dir, Error> {
        let mut at = self.root.try_clone()?;
        for name in path.components() {
            at = at.open_dir(name)?;
        }
        Ok(at)
    }

    /// Owners, modes and times of the folders that were made.
    fn describe(&self, folders: &[Folder]) -> Result<(), Error> {
        let mut metas: HashMap<ObjectId, DirMeta> = HashMap::new();
        for folder in folders.iter().rev().filter(|folder| folder.was_there == WasThere::No) {
            let meta = match metas.get(&folder.meta) {
                Some(meta) => meta,
                None => metas.entry(folder.meta).or_insert(self.repo.dirmeta(&folder.meta)?),
            };
            let dir = self.open(&folder.path)?;
            if self.options.owners == Owners::Exact {
                dir.set_owner(meta.uid, meta.gid)?;
                for (name, value) in &meta.xattrs {
                    dir.set_xattr(name, value)?;
                }
            }
            dir.set_mode(u16::try_from(meta.mode & 0o7777).expect("twelve bits"))?;
            if self.options.link != Link::Never {
                dir.set_time(Time::default())?;
            }
        }
        Ok(())
    }
}

/// How whiteouts begin, and what follows for an opaque folder.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..opq";

/// Whether files of a repository are what such a checkout would make.
fn may_link(mode: Mode, owners: Owners) -> bool {
    match mode {
        Mode::Bare => owners == Owners::Exact,
        Mode::BareUser => owners == Owners::User,
        Mode::BareUserOnly => true,
        // Attributes are not at the files there.
        Mode::Archive | Mode::BareSplitXattrs => false,
    }
}

fn open_target(target: &Path, existing: Existing) -> Result<(Dir, WasThere), Error> {
    let Some(name) = target.file_name() else { return Ok((Dir::open(target)?, WasThere::Yes)) };
    let parent = Dir::open(parent_of(target))?;
    match parent.make_dir(name.as_encoded_bytes(), 0o700) {
        Ok(()) => Ok((parent.open_dir(name.as_encoded_bytes())?, WasThere::No)),
        Err(error) if !error.is_exists() || existing == Existing::Refuse => Err(error.into()),
        // The user named it: a link there is followed.
        Err(_) => Ok((Dir::open(target)?, WasThere::Yes)),
    }
}

/// Removes a target that was made. What made that necessary is told, not what prevents it.
fn take_back(target: &Path) {
    if let (Some(name), Ok(parent)) = (target.file_name(), Dir::open(parent_of(target))) {
        parent.remove_all(name.as_encoded_bytes()).ok();
    }
}

fn parent_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
