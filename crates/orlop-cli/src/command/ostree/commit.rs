//! `orlop ostree commit`

mod lists;

use super::{Outcome, Repository};
use crate::environment;
use crate::flags::{OnePlatform, Places, Work, time_of_commit};
use crate::shell::Shell;
use clap::Args;
use lists::Lists;
use orlop::fs::{Dir, File};
use orlop::host::error::unless_full;
use orlop::host::ostree::commit::FolderOptions;
use orlop::host::ostree::flavour::{Attributes, Flavour, Permissions};
use orlop::host::ostree::make::{Bindings, MakeOptions, Parent, Unchanged, make};
use orlop::host::ostree::pile::Pile;
use orlop::host::ostree::{Dict, ObjectId, RefName, Repo, Variant};
use orlop::image::Image;
use orlop::ostree::laid;
use orlop::spec::time::Timestamp;
use orlop::spec::{Context, Fault};
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Write a folder as a commit, and print the commit's id.
///
/// The id is the one that `ostree commit` gives. The commit's time is never the present: it is --timestamp, else
/// $SOURCE_DATE_EPOCH, else that of the newest file. Devices, sockets and fifos are left out, and told.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags, as `ostree commit` has them")]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The folder; the current one where nothing is said
    #[arg(value_name = "DIR", conflicts_with = "tree")]
    path: Option<PathBuf>,
    /// What the tree is made of, later ones over earlier ones: dir=DIR, ref=REV, tar=FILE, oci-image=DIR:TAG or any other image,
    /// layer-tar=FILE for a layer whose whiteouts remove what lies below
    #[arg(long, value_name = "KIND=PLACE", value_parser = tree)]
    tree: Vec<TreeOf>,
    /// The ref that leads to the commit
    #[arg(short, long, value_name = "REF", required_unless_present = "orphan")]
    branch: Option<RefName>,
    /// Write no ref
    #[arg(long, conflicts_with = "branch")]
    orphan: bool,
    /// The commit before, or none [default: that to which the ref leads]
    #[arg(long, value_name = "REV")]
    parent: Option<String>,
    /// One line on what it is
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    subject: String,
    /// More on what it is
    #[arg(short = 'm', long, value_name = "TEXT", conflicts_with = "body_file")]
    body: Option<String>,
    /// The same, from a file
    #[arg(short = 'F', long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// The commit's time: RFC 3339, or seconds since 1970 with or without @ before them
    #[arg(long, value_name = "TIME", value_parser = time_of_commit)]
    timestamp: Option<Timestamp>,
    /// A text in the metadata
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    add_metadata_string: Vec<(String, String)>,
    /// A text in what is said beside the commit
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    add_detached_metadata_string: Vec<(String, String)>,
    /// Keys of the metadata that are taken from the commit before
    #[arg(long, value_name = "KEY")]
    keep_metadata: Vec<String>,
    /// Do not say for which refs the commit is meant
    #[arg(long)]
    no_bindings: bool,
    /// A further ref for which the commit is meant
    #[arg(long, value_name = "REF", conflicts_with = "no_bindings")]
    bind_ref: Vec<String>,
    /// Make no commit where nothing differs from the one before
    #[arg(long)]
    skip_if_unchanged: bool,
    /// Whom everything belongs to
    #[arg(long, value_name = "UID", help_heading = "Files")]
    owner_uid: Option<u32>,
    /// Which group everything belongs to
    #[arg(long, value_name = "GID", help_heading = "Files")]
    owner_gid: Option<u32>,
    /// Leave extended attributes out
    #[arg(long, help_heading = "Files")]
    no_xattrs: bool,
    /// Owners, modes and attributes as bare-user-only keeps them
    #[arg(long, help_heading = "Files")]
    canonical_permissions: bool,
    /// Let nobody write to files that can be executed
    #[arg(long, help_heading = "Files")]
    mode_ro_executables: bool,
    /// File of lines MODE PATH: bits of modes that are added; with = before it, the mode
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    statoverride: Option<PathBuf>,
    /// File of paths that are left out, one on each line
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    skip_list: Option<PathBuf>,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

/// What a tree is made of.
#[derive(Clone, Debug)]
enum TreeOf {
    Folder(PathBuf),
    Commit(String),
    Tar(PathBuf),
    Layer(PathBuf),
    Image(OsString),
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let id = shell.work(&arguments.work, |cx| {
        let repo = arguments.repository.open(cx)?;
        arguments.commit(cx, &repo).map_err(|fault| unless_full(&arguments.repository.folder(), fault))
    })?;
    shell.print(format!("{id}\n"))?;
    Ok(Outcome::Done)
}

impl Arguments {
    /// Writes the trees, and the commit.
    fn commit(&self, cx: &Context<'_>, repo: &Repo) -> Result<ObjectId, Fault> {
        let lists = Lists::read(self)?;
        let adjust = |path: &[u8], kind, meta: &mut _| lists.adjust(path, kind, meta);
        let folders = FolderOptions {
            flavour: self.flavour(),
            adjust: if lists.is_empty() { None } else { Some(&adjust) },
        };
        let mut pile = Pile::new(cx, repo)?;
        if self.tree.is_empty() {
            let folder = self.path.clone().unwrap_or_else(|| ".".into());
            pile.folder(&Dir::open(folder)?, folders)?;
        }
        for tree in &self.tree {
            self.lay(cx, (repo, &mut pile), tree, folders)?;
        }
        lists.check_matched()?;
        Ok(make(pile, &self.options(repo)?)?)
    }

    /// Lays one tree over those before it.
    fn lay(
        &self,
        cx: &Context<'_>,
        (repo, pile): (&Repo, &mut Pile<'_>),
        tree: &TreeOf,
        how: FolderOptions<'_>,
    ) -> Result<(), Fault> {
        match tree {
            TreeOf::Folder(path) => pile.folder(&Dir::open(path)?, how)?,
            TreeOf::Commit(rev) => pile.commit(&repo.resolve(rev)?)?,
            TreeOf::Tar(path) => pile.tar(input(path)?, how).map_err(|error| of_tar(path, error))?,
            TreeOf::Layer(path) => pile.layer(input(path)?, how).map_err(|error| of_tar(path, error))?,
            TreeOf::Image(_) if how.adjust.is_some() => return Err(LISTS.into()),
            TreeOf::Image(text) => {
                let from = self.places.open(text, cx)?;
                let image = Image::fetch(cx, from.source(), from.selector(), &self.platform.platform())?;
                laid::image(cx, pile, &image, how.flavour)?;
            }
        }
        Ok(())
    }

    fn flavour(&self) -> Flavour {
        Flavour {
            uid: self.owner_uid,
            gid: self.owner_gid,
            permissions: if self.canonical_permissions { Permissions::Canonical } else { Permissions::Exact },
            attributes: if self.no_xattrs { Attributes::Drop } else { Attributes::Keep },
        }
    }

    fn options(&self, repo: &Repo) -> Result<MakeOptions, Fault> {
        let parent = match self.parent.as_deref() {
            None => Parent::OfRef,
            Some("none") => Parent::None,
            Some(rev) => Parent::Is(repo.resolve(rev)?),
        };
        let body = match &self.body_file {
            Some(file) => lists::text(file)?,
            None => self.body.clone().unwrap_or_default(),
        };
        let time = self.timestamp.map_or_else(environment::source_date_epoch, |time| Ok(Some(time)))?;
        Ok(MakeOptions {
            branch: self.branch.clone(),
            parent,
            subject: self.subject.clone(),
            body,
            time: time.map(|time| u64::try_from(time.seconds()).unwrap_or(0)),
            metadata: self.metadata(repo, parent)?,
            detached: texts(&self.add_detached_metadata_string),
            bindings: if self.no_bindings { Bindings::Unsaid } else { Bindings::With(self.bind_ref.clone()) },
            unchanged: if self.skip_if_unchanged { Unchanged::Skip } else { Unchanged::Commit },
        })
    }

    fn metadata(&self, repo: &Repo, parent: Parent) -> Result<Dict, Fault> {
        let mut metadata = texts(&self.add_metadata_string);
        let before = match (parent, &self.branch) {
            (Parent::Is(id), _) => Some(id),
            (Parent::OfRef, Some(branch)) => repo.find_ref(&branch.clone().into())?,
            _ => None,
        };
        let kept =
            before.filter(|_| !self.keep_metadata.is_empty()).map(|id| repo.commit(&id)).transpose()?;
        for key in &self.keep_metadata {
            let value = kept.as_ref().and_then(|commit| commit.metadata.get(key));
            let missing = || orlop::host::ostree::repo::RepoError::NoKey { key: key.as_str().into() };
            metadata.push(key, value.ok_or_else(missing)?.clone());
        }
        Ok(metadata)
    }
}

fn texts(pairs: &[(String, String)]) -> Dict {
    pairs.iter().map(|(key, value)| (key, Variant::string(value))).collect()
}

fn tree(text: &str) -> Result<TreeOf, String> {
    match text.split_once('=') {
        Some(("dir", path)) if !path.is_empty() => Ok(TreeOf::Folder(path.into())),
        Some(("ref", rev)) if !rev.is_empty() => Ok(TreeOf::Commit(rev.into())),
        Some(("tar", path)) if !path.is_empty() => Ok(TreeOf::Tar(path.into())),
        Some(("layer-tar", path)) if !path.is_empty() => Ok(TreeOf::Layer(path.into())),
        Some(("oci-image", name)) if !name.is_empty() => Ok(TreeOf::Image(super::oci_image(name))),
        _ => Err("write dir=DIR, ref=REV, tar=FILE, layer-tar=FILE or oci-image=DIR:TAG".into()),
    }
}

fn of_tar(path: &Path, fault: Fault) -> Fault {
    orlop::Error::of_tar(&path.to_string_lossy(), fault)
}

/// A tar that a flag names, or standard input.
fn input(path: &Path) -> Result<Box<dyn Read + Send>, Fault> {
    if path == Path::new("-") { Ok(environment::stdin()) } else { Ok(Box::new(File::open(path)?)) }
}

const LISTS: orlop::Error = orlop::Error::Unfit {
    what: "single files of an image are taken as they are",
    hint: "commit the image first, then change the commit: orlop ostree commit --tree=ref=REV",
};

pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write KEY=VALUE".into()),
    }
}

/// So that the file that a flag names is opened in one place.
fn open(path: &PathBuf) -> Result<File, Fault> {
    Ok(File::open(path)?)
}
