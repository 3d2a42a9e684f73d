//! Making commits: of folders and of other commits, laid over each other.
//!
//! ```text
//! metadata   what was asked for, in its order; ostree.ref-binding, sorted; ostree.collection-binding
//! parent     what the ref led to before, unless something else was said
//! time       what was said; else that of the newest file, or of the newest commit that is in it
//! ```
//!
//! Invariant: the id depends on the input and the options alone, not on the present; the ref moves last.

use super::claim::Root;
use super::commit::{FolderOptions, write_folder};
use super::id::{Kind, ObjectId};
use super::object::Commit;
use super::refname::RefName;
use super::repo::{Repo, RepoError, Transaction};
use super::tree::DEEPEST;
use super::variant::{Dict, Variant};
use crate::Error;
use orlop_fs::Dir;
use orlop_spec::Context;

/// What becomes the tree of a commit.
#[derive(Debug)]
pub enum Input {
    /// A folder.
    Folder(Dir),
    /// The tree of another commit.
    Commit(ObjectId),
}

/// Which commit is the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parent {
    /// That to which the ref leads.
    #[default]
    OfRef,
    /// None.
    None,
    /// This one.
    Is(ObjectId),
}

/// Which refs the commit says that it is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bindings {
    /// Nothing is said.
    Unsaid,
    /// Its own, and these.
    With(Vec<String>),
}

/// What to do where nothing differs from the parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unchanged {
    /// A commit is made.
    #[default]
    Commit,
    /// None is made.
    Skip,
}

/// How a commit is made.
pub struct MakeOptions<'a> {
    /// The ref that leads to it, of this repository.
    pub branch: Option<RefName>,
    /// The one before.
    pub parent: Parent,
    /// One line.
    pub subject: String,
    /// Further lines.
    pub body: String,
    /// Seconds since 1970.
    pub time: Option<u64>,
    /// What is said in it, beside bindings.
    pub metadata: Dict,
    /// What is said beside it.
    pub detached: Dict,
    /// For which refs it is meant.
    pub bindings: Bindings,
    /// How folders are read.
    pub folders: FolderOptions<'a>,
    /// Where nothing differs.
    pub unchanged: Unchanged,
    /// Asked once the trees are read; an error of it leaves the repository without the commit.
    pub ready: &'a dyn Fn() -> Result<(), Error>,
}

/// Makes a commit of inputs, of which later ones lie over earlier ones.
pub fn make(
    cx: &Context<'_>,
    repo: &Repo,
    inputs: &[Input],
    options: &MakeOptions<'_>,
) -> Result<ObjectId, Error> {
    let parent = match (options.parent, &options.branch) {
        (Parent::Is(id), _) => Some(id),
        (Parent::OfRef, Some(branch)) => repo.find_ref(&branch.clone().into())?,
        _ => None,
    };
    let mut trees = Vec::new();
    let mut newest = 0;
    // Of several, all but the last are published before they are laid over each other: what is staged cannot be read.
    let mut transaction = repo.begin(cx)?;
    for (index, input) in inputs.iter().enumerate() {
        let (root, time) = read(cx, &transaction, input, options)?;
        newest = newest.max(time);
        trees.push(root);
        if inputs.len() > 1 && matches!(input, Input::Folder(_)) {
            transaction.finish()?;
            transaction = repo.begin(cx)?;
        }
        if index > 0 {
            let (below, above) = (trees[0], trees[1]);
            trees = vec![overlay(repo, &transaction, below, above, "")?];
            transaction.finish()?;
            transaction = repo.begin(cx)?;
        }
    }
    (options.ready)()?;
    let root = *trees.first().ok_or(RepoError::NothingToCommit)?;
    if options.unchanged == Unchanged::Skip
        && let Some(id) = parent
    {
        let before = repo.commit(&id)?;
        if (before.tree, before.meta) == (root.tree, root.meta) {
            return Ok(id);
        }
    }
    let commit = Commit {
        metadata: metadata(repo, options)?,
        parent,
        related: Vec::new(),
        subject: options.subject.clone(),
        body: options.body.clone(),
        time: options.time.unwrap_or(newest),
        tree: root.tree,
        meta: root.meta,
    };
    let id = transaction.put(Kind::Commit, &commit.to_bytes())?;
    if !options.detached.is_empty() {
        transaction.detached(&id, &options.detached.to_bytes())?;
    }
    if let Some(branch) = &options.branch {
        transaction.set_ref(&branch.clone().into(), Some(&id));
    }
    transaction.finish()?;
    Ok(id)
}

/// The tree of an input, and its time.
fn read(
    cx: &Context<'_>,
    transaction: &Transaction<'_>,
    input: &Input,
    options: &MakeOptions<'_>,
) -> Result<(Root, u64), Error> {
    match input {
        Input::Folder(folder) => {
            let written = write_folder(cx, transaction, folder, options.folders)?;
            Ok((written.root, u64::try_from(written.newest).unwrap_or(0)))
        }
        Input::Commit(id) => {
            let commit = transaction.repo().commit(id)?;
            Ok((Root { tree: commit.tree, meta: commit.meta }, commit.time))
        }
    }
}

/// One folder over another: files and owners of the upper one win. Recursion ends at the depth that trees may have.
fn overlay(
    repo: &Repo,
    transaction: &Transaction<'_>,
    below: Root,
    above: Root,
    path: &str,
) -> Result<Root, Error> {
    if below.tree == above.tree {
        return Ok(above);
    }
    if path.matches('/').count() > DEEPEST {
        return Err(RepoError::TooDeep { most: DEEPEST }.into());
    }
    let (mut tree, upper) = (repo.dirtree(&below.tree)?, repo.dirtree(&above.tree)?);
    for (name, id) in upper.files {
        if tree.folder(&name).is_some() {
            return Err(RepoError::FileOverFolder { path: format!("{path}/{name}") }.into());
        }
        tree.files.retain(|(other, _)| *other != name);
        tree.files.push((name, id));
        tree.files.sort();
    }
    for (name, inner, meta) in upper.folders {
        let path = format!("{path}/{name}");
        if tree.file(&name).is_some() {
            return Err(RepoError::FileOverFolder { path }.into());
        }
        let mut root = Root { tree: inner, meta };
        if let Some((tree, meta)) = tree.folder(&name) {
            root = overlay(repo, transaction, Root { tree: *tree, meta: *meta }, root, &path)?;
        }
        tree.folders.retain(|(other, ..)| *other != name);
        tree.folders.push((name, root.tree, root.meta));
        tree.folders.sort();
    }
    Ok(Root { tree: transaction.put(Kind::DirTree, &tree.to_bytes())?, meta: above.meta })
}

fn metadata(repo: &Repo, options: &MakeOptions<'_>) -> Result<Dict, Error> {
    let mut metadata = options.metadata.clone();
    let Bindings::With(others) = &options.bindings else { return Ok(metadata) };
    let own = options.branch.iter().map(ToString::to_string);
    let mut refs: Vec<String> = own.chain(others.iter().cloned()).collect();
    refs.sort();
    metadata.push("ostree.ref-binding", Variant::strings(&refs));
    if let Some(collection) = repo.config().string("core", "collection-id")? {
        metadata.push("ostree.collection-binding", Variant::string(&collection));
    }
    Ok(metadata)
}
