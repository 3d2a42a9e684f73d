//! Views: what the kernel mounts of a stack of layers.
//!
//! ```text
//! trees/HEX.erofs/image           names and attributes; an overlay takes the contents from objects/
//! trees/HEX.skeleton…/root/       the same as a folder, for who may not mount images
//! trees/HEX.checkout…/root/       all of it, contents too
//!            └── sample           a file of the tree with its digest; `null` where no file is an object
//!            └── losses           what the view does not show; missing where it shows everything
//! ```
//!
//! `HEX` is of the chain id; `…` says whose the files are, where not everybody's owner can be set.
//!
//! Invariant: a view has its name when it is whole and on the disk, and never changes; of two makers at once one is kept.
//! No object has a name in a view: one inode has one mode. Nothing is shown before one file was read through the mount
//! and had the right digest: a kernel that does not follow attributes shows zeros, without a word.

mod judge;
mod make;
mod mend;
mod probe;

pub use judge::Standing;

use super::Store;
use super::format;
use super::guard::Shelf;
use super::sealed::proven;
use crate::error::{Error, is_unreadable};
use crate::take::{TO_THE_END, hash_range};
use orlop_fs::mount::{InUse, Mount, Overlay, unmount};
use orlop_fs::namespace::Ids;
use orlop_fs::overlay::{self, Flavour};
use orlop_fs::owner::Owner;
use orlop_fs::{Dir, stat};
use orlop_spec::digest::{Algorithm, ChainId, DiffId, Digest};
use orlop_spec::port::Result;
use orlop_spec::{Context, Event, Fault, json};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

const IMAGE: &str = "image";
const ROOT: &str = "root";
const SAMPLE: &str = "sample";
const LOSSES: &str = "losses";
/// Bytes of a sample or of the losses that are read.
const LIMIT: u64 = 1 << 20;

/// How a tree is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Backend {
    /// An EROFS image below an overlay.
    Erofs,
    /// A folder of empty files below an overlay.
    Skeleton,
    /// A folder with contents of its own.
    Checkout,
}

impl Backend {
    /// All, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Erofs, Self::Skeleton, Self::Checkout];

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Erofs => "erofs",
            Self::Skeleton => "skeleton",
            Self::Checkout => "checkout",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// Whose the files of a view are, which depends on the ids that the process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    owner: Owner,
    suffix: String,
}

impl Owners {
    /// As the image says where all ids, or some, can be set; the caller's where there is but one.
    pub fn of(ids: &Ids) -> Self {
        match ids {
            Ids::All => Self { owner: Owner::Exact, suffix: String::new() },
            Ids::Some(map) => {
                let digest = Digest::of(Algorithm::Sha256, map).hex();
                Self { owner: Owner::Map, suffix: format!("-map-{}", &digest[..8]) }
            }
            Ids::One => Self { owner: Owner::Squash, suffix: "-squash".into() },
        }
    }
}

/// What a view is called: the chain id of its layers, how they are shown, and whose the files are.
pub fn key(layers: &[DiffId], backend: Backend, owners: &Owners) -> String {
    let chain = ChainId::of(layers).map_or_else(|| "empty".into(), |chain| chain.0.hex());
    // An image holds owners as they are: nobody has to be allowed to set them.
    let suffix = if backend == Backend::Erofs { "" } else { &owners.suffix };
    format!("{chain}.{backend}{suffix}")
}

/// What the kernel can mount.
#[derive(Debug)]
pub struct View {
    backend: Backend,
    key: String,
    folder: PathBuf,
    objects: PathBuf,
    sample: Option<Sample>,
}

/// A file by which a mount is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    /// The bytes of its path.
    path: Vec<u8>,
    size: u64,
    digest: Digest,
}

/// Something of the tree that the view does not show.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Loss {
    what: String,
    path: String,
    why: String,
}

/// Which backend is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The cheapest that works.
    #[default]
    Auto,
    /// This one, or an error.
    Only(Backend),
}

/// Folders for the changes to a mount: theirs, and one of the same file system for the kernel.
pub type Upper<'a> = (&'a Path, &'a Path);

impl Store {
    /// Mounts what layers mean, base first, at no place yet: read-only, or with folders for changes. `aside` is an empty
    /// folder of the caller, where an image is mounted for a moment. The layers, their contents and the view are relied on
    /// as long as the store is open; whoever lets the mount live longer needs a record of it.
    pub fn show(
        &self,
        cx: &Context<'_>,
        layers: &[DiffId],
        choice: Choice,
        aside: &Path,
        upper: Option<Upper<'_>>,
    ) -> Result<(View, Mount)> {
        let owners = Owners::of(&Ids::current()?);
        let show = |backend| {
            let view = self.view(cx, layers, backend, &owners)?;
            let mount = view.mount(aside, upper)?;
            Ok((view, mount))
        };
        if let Choice::Only(backend) = choice {
            return show(backend);
        }
        for backend in [Backend::Erofs, Backend::Skeleton] {
            if !self.has_view(layers, backend, &owners)? && !self.offers(backend)? {
                continue;
            }
            match show(backend) {
                Err(fault) if is_not_here(&fault) => cx.observer.event(Event::Warned(fault.to_string())),
                shown => return shown,
            }
        }
        show(Backend::Checkout)
    }

    /// The view of layers, base first; made where it is missing. The layers are relied on as long as the store is open.
    pub fn view(
        &self,
        cx: &Context<'_>,
        layers: &[DiffId],
        backend: Backend,
        owners: &Owners,
    ) -> Result<View> {
        self.hold()?;
        for layer in layers {
            if !self.touch_layer(layer)? {
                return Err(self.no_such(layer).into());
            }
        }
        let key = key(layers, backend, owners);
        let trees = Shelf::new(self.root().open_dir(format::TREES)?);
        if trees.rely_on(&key)?.is_none() {
            make::make(self, cx, layers, (backend, owners.owner), (&trees, &key))?;
        }
        self.open_view(cx, layers, (backend, key))
    }

    /// Whether the view is there already.
    pub fn has_view(&self, layers: &[DiffId], backend: Backend, owners: &Owners) -> Result<bool> {
        let trees = self.root().open_dir(format::TREES)?;
        Ok(trees.try_stat(key(layers, backend, owners))?.is_some())
    }

    fn open_view(
        &self,
        cx: &Context<'_>,
        layers: &[DiffId],
        (backend, key): (Backend, String),
    ) -> Result<View> {
        let tree = self.root().open_dir(format::TREES)?.open_dir(&key)?;
        let sample = match read(&tree, SAMPLE)? {
            Kept::Whole(sample) => sample,
            Kept::Missing | Kept::Damaged => make::sample_anew(self, cx, layers, (&tree, backend))?,
        };
        match read::<Vec<Loss>>(&tree, LOSSES)? {
            Kept::Missing => {}
            Kept::Whole(losses) => {
                for Loss { what, path, why } in losses {
                    cx.observer.event(Event::Lost { what, path, why });
                }
            }
            Kept::Damaged => {
                let (file, tree) = (tree.path().join(LOSSES), tree.path());
                cx.observer.event(Event::Warned(format!(
                    "{} is damaged, or of an earlier orlop: nobody knows what the mount does not show; remove {} when \
                     nothing is mounted, and it is made anew",
                    file.display(),
                    tree.display()
                )));
            }
        }
        let root = stat::real_path(self.path())?;
        let (folder, objects) = (root.join(format::TREES).join(&key), root.join(format::OBJECTS));
        Ok(View { backend, key, folder, objects, sample })
    }
}

/// A file that is kept beside a view.
enum Kept<T> {
    Whole(T),
    Missing,
    /// It is not what was written, or the disk does not give it.
    Damaged,
}

fn read<T: DeserializeOwned>(tree: &Dir, name: &str) -> Result<Kept<T>> {
    let bytes = match tree.open_file(name).and_then(|mut file| file.read_to_limit(LIMIT)) {
        Err(error) if error.is_not_found() => return Ok(Kept::Missing),
        Err(error) => match Fault::from(error) {
            fault if is_unreadable(&fault) => return Ok(Kept::Damaged),
            fault => return Err(fault),
        },
        Ok(bytes) => bytes,
    };
    let parsed = proven(&bytes).and_then(|line| json::parse(line).ok());
    Ok(parsed.map_or(Kept::Damaged, Kept::Whole))
}

/// Whether another backend may do.
fn is_not_here(fault: &Fault) -> bool {
    matches!(fault.downcast_ref(), Some(Error::NotShown { .. } | Error::ShownWrong { .. }))
}

impl View {
    /// How the tree is shown.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Its name in the folder of trees.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Mounts it, at no place yet: read-only, or with folders for changes. One file was read through the mount and is
    /// right. `aside` is an empty folder of the caller, where an image is mounted for a moment.
    ///
    /// # Errors
    /// [`Error::NotShown`] where the kernel or the caller's rights do not allow it, and [`Error::ShownWrong`] where what is
    /// shown is wrong: another backend may do.
    pub fn mount(&self, aside: &Path, upper: Option<Upper<'_>>) -> Result<Mount> {
        let not_shown = |source| Error::NotShown { backend: self.backend, source };
        let mount = match self.backend {
            Backend::Erofs => self.image(aside, upper).map_err(not_shown)?,
            Backend::Skeleton => self.overlay(&self.folder.join(ROOT), upper).map_err(not_shown)?,
            Backend::Checkout => self.checkout(upper).map_err(not_shown)?,
        };
        match &self.sample {
            Some(sample) if !sample.is_shown(&mount.root()?) => {
                let path = String::from_utf8_lossy(&sample.path).into_owned();
                Err(Error::ShownWrong { backend: self.backend, path }.into())
            }
            _ => Ok(mount),
        }
    }

    /// The overlay keeps what it was made of, so the image is needed at its place for a moment only. (Since 6.15 it would
    /// need none.)
    fn image(&self, aside: &Path, upper: Option<Upper<'_>>) -> orlop_fs::Result<Mount> {
        Mount::erofs(&self.folder.join(IMAGE), &[])?.attach(aside)?;
        let mount = self.overlay(aside, upper);
        unmount(aside, InUse::Detach)?;
        mount
    }

    fn overlay(&self, lower: &Path, upper: Option<Upper<'_>>) -> orlop_fs::Result<Mount> {
        let flavour = make::flavour(self.backend);
        dress(lower, upper)?;
        Mount::overlay(&Overlay { lower: &[lower], data: &[&self.objects], upper, flavour })
    }

    /// An overlay of one folder without another for changes is that folder.
    fn checkout(&self, upper: Option<Upper<'_>>) -> orlop_fs::Result<Mount> {
        let root = self.folder.join(ROOT);
        if upper.is_none() {
            return Mount::folder(&root);
        }
        dress(&root, upper)?;
        Mount::overlay(&Overlay { lower: &[&root], data: &[], upper, flavour: Flavour::User })
    }
}

/// Changes begin with the root as it is; where there are some, it is as they have it.
fn dress(lower: &Path, upper: Option<Upper<'_>>) -> orlop_fs::Result<()> {
    let Some((upper, _)) = upper else { return Ok(()) };
    let upper = Dir::open(upper)?;
    if upper.is_empty()? { overlay::dress(&upper, &Dir::open(lower)?) } else { Ok(()) }
}

impl Sample {
    /// Whether the tree has the file with its content. An overlay that was told to show what is not there fails in one way
    /// or another.
    fn is_shown(&self, root: &Dir) -> bool {
        root.open_beneath(&self.path).is_ok_and(|file| {
            let holds = hash_range(&file, 0, self.size, Algorithm::Sha256, TO_THE_END);
            file.size().is_ok_and(|size| size == self.size) && holds.is_ok_and(|digest| digest == self.digest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_whose_the_files_are() {
        let layers: Vec<_> = [b"a", b"b"].map(|it| DiffId(Digest::of(Algorithm::Sha256, it))).into();
        let chain = ChainId::of(&layers).expect("two").0.hex();
        let some = Ids::Some(b"0 1000 1\n1 100000 65536\n".to_vec());
        let keys: Vec<_> = [Ids::All, some.clone(), Ids::One]
            .iter()
            .flat_map(|ids| Backend::ALL.map(|backend| key(&layers, backend, &Owners::of(ids))))
            .collect();
        assert!(keys.iter().all(|key| key.starts_with(&chain)));
        let suffixes: Vec<_> = keys.iter().map(|key| &key[chain.len()..]).collect();
        assert_eq!(suffixes[..3], [".erofs", ".skeleton", ".checkout"]);
        assert!(suffixes[4].starts_with(".skeleton-map-") && suffixes[4].len() == 22);
        assert_eq!(suffixes[6..], [".erofs", ".skeleton-squash", ".checkout-squash"]);
        let other = Owners::of(&Ids::Some(b"0 1001 1\n1 100000 65536\n".to_vec()));
        assert_ne!(key(&layers, Backend::Skeleton, &other), keys[4]);
        assert_eq!(key(&[], Backend::Erofs, &other), "empty.erofs");
    }
}
