//! Places that hold a tree and no manifest: inputs of a draft.

use crate::build::Input;
use crate::chunk::Plan;
use crate::draft::Draft;
use crate::error::Error;
use crate::tar_tree::{self, TarTree};
use crate::transport::Outside;
use orlop_fs::glob::Glob;
use orlop_fs::owner::Owner;
use orlop_fs::scan::{Scan, ScanOptions, Unreadable, Unrepresentable};
use orlop_fs::{Dir, File};
use orlop_layer::{Chunk, Entries, Entry, Error as LayerError, Kind, TreePath};
use orlop_spec::descriptor::Annotations;
use orlop_spec::edit::Pair;
use orlop_spec::port::Result;
use orlop_spec::time::Timestamp;
use orlop_spec::{Context, Fault, Platform, reference};
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

/// How a tree is read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What owners the entries get.
    pub owner: Owner,
    /// What to do with names that an image cannot hold.
    pub unrepresentable: Unrepresentable,
    /// What is left out.
    pub exclude: Vec<Glob>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { owner: Owner::Exact, unrepresentable: Unrepresentable::Refuse, exclude: Vec::new() }
    }
}

impl Reading {
    /// Whether the path, or a folder that it is in, is excluded.
    pub fn leaves_out(&self, path: &TreePath) -> bool {
        let bytes = path.as_bytes();
        let ends = (0..bytes.len()).filter(|at| bytes[*at] == b'/').chain([bytes.len()]);
        !self.exclude.is_empty()
            && ends.map(|end| &bytes[..end]).any(|part| self.exclude.iter().any(|glob| glob.matches(part)))
    }
}

/// Entries as they are to be read. What is beneath an excluded folder is excluded too.
pub struct Sifted<'a, E> {
    inner: E,
    how: &'a Reading,
    /// The folder that is passed over.
    left_out: Option<TreePath>,
}

impl<'a, E: Entries> Sifted<'a, E> {
    /// The entries of `inner` that `how` wants.
    pub fn new(inner: E, how: &'a Reading) -> Self {
        Self { inner, how, left_out: None }
    }

    /// What the entries come from.
    pub fn into_inner(self) -> E {
        self.inner
    }

    fn is_out(&mut self, entry: &Entry) -> bool {
        if self.left_out.as_ref().is_some_and(|folder| entry.path.starts_with(folder)) {
            return true;
        }
        let is_out = self.how.leaves_out(&entry.path);
        if is_out {
            self.left_out = matches!(entry.kind, Kind::Directory).then(|| entry.path.clone());
        }
        is_out
    }
}

impl<E: Entries> Entries for Sifted<'_, E> {
    fn next_entry(&mut self) -> Result<Option<Entry>, LayerError> {
        while let Some(mut entry) = self.inner.next_entry()? {
            if self.is_out(&entry) {
                continue;
            }
            if matches!(&entry.kind, Kind::HardLink { target } if self.how.leaves_out(target)) {
                let what = "is a hard link to a member that is excluded; exclude both or none";
                return Err(LayerError::Entry { path: entry.path.to_string(), what });
            }
            if self.how.owner == Owner::Squash {
                (entry.meta.uid, entry.meta.gid) = (0, 0);
            }
            return Ok(Some(entry));
        }
        Ok(None)
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, LayerError> {
        self.inner.next_chunk()
    }

    fn offset(&self) -> u64 {
        self.inner.offset()
    }
}

/// What the files of a place become, where the place knows more than files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Profile {
    /// An image of them.
    #[default]
    Plain,
    /// An image that flatpak installs.
    Flatpak,
    /// An image that bootc and ostree-ext take a commit from.
    Encapsulated,
}

/// What an image begins with that is made of a tree, beside its files.
#[derive(Clone, Debug, Default)]
pub struct Says {
    /// Labels of the config.
    pub labels: Vec<Pair>,
    /// When the image was made.
    pub created: Option<Timestamp>,
    /// For which machine.
    pub platform: Option<Platform>,
    /// Annotations of the manifest.
    pub annotations: Annotations,
    /// The command of a container.
    pub command: Option<Vec<Box<str>>>,
}

/// A place that holds a tree.
pub trait TreeSource: Send + Sync {
    /// The entries in canonical order. May be called again.
    fn entries<'a>(&'a self, cx: &Context<'a>, how: &'a Reading) -> Result<Box<dyn Entries + Send + 'a>>;

    /// Whether they can become that.
    fn can_be(&self, profile: Profile) -> bool {
        profile == Profile::Plain
    }

    /// What the place knows of the image that its files become.
    fn says(&self, _: &Context<'_>) -> Result<Says> {
        Ok(Says::default())
    }

    /// The layers that they become, base first, where the place has a form of its own for them. `plan` says how the user
    /// wants them divided.
    fn layers<'a>(
        &'a self,
        _: &Context<'a>,
        _: &'a Reading,
        _: Option<&'a Plan>,
    ) -> Result<Option<Vec<Input<'a>>>> {
        Ok(None)
    }

    /// Whether the files are an image already, of another kind.
    fn is_image(&self) -> bool {
        false
    }

    /// What that image is called.
    fn called(&self) -> Option<String> {
        None
    }

    /// What to tell whoever makes an image of it.
    fn becomes(&self) -> &'static str {
        "the files become a new image, without a command"
    }

    /// The last word on that image, once its layers are there.
    fn complete(&self, _: &Context<'_>, _: &mut Draft) {}
}

impl<T: TreeSource + ?Sized> TreeSource for &T {
    fn entries<'a>(&'a self, cx: &Context<'a>, how: &'a Reading) -> Result<Box<dyn Entries + Send + 'a>> {
        (**self).entries(cx, how)
    }

    fn can_be(&self, profile: Profile) -> bool {
        (**self).can_be(profile)
    }

    fn says(&self, cx: &Context<'_>) -> Result<Says> {
        (**self).says(cx)
    }

    fn layers<'a>(
        &'a self,
        cx: &Context<'a>,
        how: &'a Reading,
        plan: Option<&'a Plan>,
    ) -> Result<Option<Vec<Input<'a>>>> {
        (**self).layers(cx, how, plan)
    }

    fn is_image(&self) -> bool {
        (**self).is_image()
    }

    fn called(&self) -> Option<String> {
        (**self).called()
    }

    fn becomes(&self) -> &'static str {
        (**self).becomes()
    }

    fn complete(&self, cx: &Context<'_>, draft: &mut Draft) {
        (**self).complete(cx, draft);
    }
}

/// A folder.
pub struct FolderTree {
    folder: Dir,
    /// Where a scan writes down which modes it lends.
    journal: Option<Dir>,
}

impl FolderTree {
    /// Opens a folder.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::of(Dir::open(path)?))
    }

    /// A folder that is open.
    pub fn of(folder: Dir) -> Self {
        Self { folder, journal: None }
    }

    /// Lets scans leave notes for the next one in `tmpdir`, where that is a folder.
    #[must_use]
    pub fn with_journal(self, tmpdir: &Path) -> Self {
        Self { journal: Dir::open(tmpdir).ok(), ..self }
    }
}

impl TreeSource for FolderTree {
    fn entries<'a>(&'a self, cx: &Context<'a>, how: &'a Reading) -> Result<Box<dyn Entries + Send + 'a>> {
        let options = ScanOptions {
            owner: how.owner,
            unrepresentable: how.unrepresentable,
            unreadable: Unreadable::Lend,
            journal: self.journal.as_ref(),
            exclude: &how.exclude,
            observer: cx.observer,
            cancel: cx.cancel,
            ..ScanOptions::default()
        };
        Ok(Box::new(Scan::open(&self.folder, options)?))
    }
}

/// A tar, read whole when its entries are asked for first: they come in another order than they stand in it.
pub struct TarFile {
    /// What it is called in messages.
    name: String,
    input: Mutex<Option<(Box<dyn Read + Send>, File)>>,
    read: OnceLock<TarTree>,
}

impl TarFile {
    /// Opens a tar, compressed or not.
    pub fn open(file: &reference::File, outside: &Outside<'_>) -> Result<Self> {
        let (name, input) = outside.input(file)?;
        Self::of(name, input, outside)
    }

    /// The tar that `input` gives, which messages call `name`.
    pub fn of(name: String, input: Box<dyn Read + Send>, outside: &Outside<'_>) -> Result<Self> {
        Ok(Self { name, input: Mutex::new(Some((input, outside.spool()?))), read: OnceLock::new() })
    }

    fn tree(&self, cx: &Context<'_>, how: &Reading) -> Result<&TarTree> {
        let mut input = self.input.lock().expect("no holder panics");
        if let Some((input, spool)) = input.take() {
            let tree =
                tar_tree::read(cx, input, spool, how).map_err(|fault| Error::of_tar(&self.name, fault))?;
            tar_tree::doubt(cx, &self.name, tree.ending);
            self.read.set(tree).expect("set once, under the lock");
        }
        self.read.get().ok_or_else(|| Fault::new(orlop_spec::Cancelled))
    }
}

impl TreeSource for TarFile {
    fn entries<'a>(&'a self, cx: &Context<'a>, how: &'a Reading) -> Result<Box<dyn Entries + Send + 'a>> {
        let TarTree { tree, spool, .. } = self.tree(cx, how)?;
        Ok(Box::new(spool.entries(tree)))
    }
}
