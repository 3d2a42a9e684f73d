//! `orlop ostree checkout`

use super::{Outcome, Repository};
use crate::flags::Work;
use crate::shell::Shell;
use clap::Args;
use orlop::fs::File;
use orlop::host::ostree::Repo;
use orlop::host::ostree::checkout::{
    CheckoutOptions, Existing, Link, Owners, Whiteouts, checkout, checkout_tree,
};
use orlop::host::ostree::commit::FolderOptions;
use orlop::host::ostree::pile::Pile;
use orlop::layer::TreePath;
use orlop::spec::{Diagnose as _, Fault, Kind};
use std::path::{Path, PathBuf};

/// Put the files of a commit into a folder.
///
/// Files are further names of the repository's where that can be, else copies. A folder that is not there yet is whole or not at all;
/// one that is there needs one of the flags that say what happens to what it holds. Files of a --layer become objects of the
/// repository, which `orlop ostree prune` removes where nothing else needs them.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags, as `ostree checkout` has them")]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The commit
    #[arg(value_name = "REV")]
    rev: String,
    /// The folder [default: one named as the commit is here]
    #[arg(value_name = "DIR")]
    target: Option<PathBuf>,
    /// Everything belongs to the caller, without extended attributes
    #[arg(short = 'U', long)]
    user_mode: bool,
    /// A folder of the commit, in the place of all of it
    #[arg(long, value_name = "PATH", value_parser = subpath)]
    subpath: Option<TreePath>,
    /// Lay a layer over the commit first: a tar whose whiteouts remove what lies below, or a commit whose names that begin with
    /// .wh. do so; may be repeated
    #[arg(long, value_name = "FILE|REV")]
    layer: Vec<String>,
    /// Keep folders, replace files
    #[arg(long, group = "existing")]
    union: bool,
    /// Keep folders and files, add what is new
    #[arg(long, group = "existing")]
    union_add: bool,
    /// Keep folders; files that are there must be those of the commit
    #[arg(long, group = "existing")]
    union_identical: bool,
    /// Let names that begin with .wh. remove what they name, as in layers
    #[arg(long)]
    whiteouts: bool,
    /// Make no copies: fail where a file cannot be a further name of the repository's
    #[arg(short = 'H', long, conflicts_with = "force_copy")]
    require_hardlinks: bool,
    /// Make copies only
    #[arg(short = 'C', long)]
    force_copy: bool,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    shell.work(&arguments.work, |cx| {
        let repo = arguments.repository.open(cx)?;
        let id = repo.resolve(&arguments.rev)?;
        let root = TreePath::root();
        let folder = arguments.subpath.as_ref().unwrap_or(&root);
        let target = arguments.target.clone().unwrap_or_else(|| PathBuf::from(&arguments.rev));
        if arguments.layer.is_empty() {
            checkout(cx, &repo, &id, folder, &target, &arguments.options())?;
            return Ok(Outcome::Done);
        }
        let mut pile = Pile::new(cx, &repo)?;
        pile.commit(&id)?;
        for layer in &arguments.layer {
            lay(&repo, &mut pile, layer)?;
        }
        checkout_tree(cx, &repo, (pile.settle()?, folder), &target, &arguments.options())?;
        Ok(Outcome::Done)
    })
}

/// Lays the layer over that a word means: a commit where there is one of the name, else a file.
fn lay(repo: &Repo, pile: &mut Pile<'_>, layer: &str) -> Result<(), Fault> {
    match repo.resolve(layer) {
        Ok(id) => pile.layer_of(&id),
        Err(error) if error.kind() == Kind::NotFound => {
            let taken = pile.layer(File::open(Path::new(layer))?, FolderOptions::default());
            taken.map_err(|error| orlop::Error::of_tar(layer, error))
        }
        Err(error) => Err(error.into()),
    }
}

impl Arguments {
    fn options(&self) -> CheckoutOptions {
        CheckoutOptions {
            owners: if self.user_mode { Owners::User } else { Owners::Exact },
            existing: match self {
                Self { union: true, .. } => Existing::Overwrite,
                Self { union_add: true, .. } => Existing::Keep,
                Self { union_identical: true, .. } => Existing::Identical,
                _ => Existing::Refuse,
            },
            link: match self {
                Self { require_hardlinks: true, .. } => Link::Require,
                Self { force_copy: true, .. } => Link::Never,
                _ => Link::Try,
            },
            whiteouts: if self.whiteouts { Whiteouts::Apply } else { Whiteouts::Plain },
            ..CheckoutOptions::default()
        }
    }
}

fn subpath(text: &str) -> Result<TreePath, String> {
    TreePath::parse(text.as_bytes()).map_err(|error| error.to_string())
}
