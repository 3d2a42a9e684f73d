//! Making commits of trees that were laid over each other.
//!
//! ```text
//! metadata   what was asked for, in its order; ostree.ref-binding, sorted; ostree.collection-binding
//! parent     what the ref led to before, unless something else was said
//! time       what was said; else that of the newest file, or of the newest commit that is in it
//! ```
//!
//! Invariant: the id depends on the input and the options alone, not on the present; the ref moves last.

use super::id::{Kind, ObjectId};
use super::object::Commit;
use super::pile::Pile;
use super::refname::RefName;
use super::repo::Repo;
use super::variant::{Dict, Variant};
use crate::Error;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bindings {
    /// Nothing is said.
    #[default]
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
#[derive(Clone, Debug, Default)]
pub struct MakeOptions {
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
    /// Where nothing differs.
    pub unchanged: Unchanged,
}

/// Makes a commit of what trees are together.
pub fn make(pile: Pile<'_>, options: &MakeOptions) -> Result<ObjectId, Error> {
    let time = options.time.unwrap_or(pile.newest());
    let (root, transaction) = pile.into_parts()?;
    let repo = transaction.repo();
    let parent = match (options.parent, &options.branch) {
        (Parent::Is(id), _) => Some(id),
        (Parent::OfRef, Some(branch)) => repo.find_ref(&branch.clone().into())?,
        _ => None,
    };
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
        time,
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

fn metadata(repo: &Repo, options: &MakeOptions) -> Result<Dict, Error> {
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
