//! Unpacking: contents are written while layers are decoded, the tree is put together when all are proven, and
//! appears at its place in one step.
//!
//! ```text
//! .NAME.orlop-xxxxxxxxxxxx/     beside the target NAME (or in it, see below), mode 0700, locked
//!     L0/  L0.spill/            what layer 0 holds, see `places`
//!     L1/  L1.spill/
//!     root/                     where no layer can become the root
//!     out/                      the target itself, where the root is wrapped into it (a bundle)
//! ```
//!
//! Invariants:
//! - nothing is visible at the target before [`Staging::publish`], and after a failure or a drop everything is
//!   as it was; what a killed run left is known by its free lock, and the next run removes it;
//! - no system call takes a path from a layer: folders are entered one by one, and nothing is followed.
//!
//! A target that is missing is renamed to; an empty one is renamed over; with [`Existing::Replace`] whatever is
//! there is exchanged. Where the target is a mount point, or its parent cannot be written, an empty target is
//! filled from inside: a locked file [`MARKER`] comes first and goes last.

mod assemble;
mod content;
mod cursor;
mod descent;
mod layer;
mod meta;
mod nodes;
mod places;
mod plant;
mod publish;
mod repair;
mod target;
mod whole;

pub(crate) use content::Output;
pub use layer::{LayerWriter, Written};
pub use plant::{Planted, Source, Supply};
pub use repair::{Repaired, repair};
pub use target::place;

use crate::error::Error;
use crate::lock::Lock;
use crate::loss::Losses;
use crate::namespace::Mappings;
use crate::overlay::Flavour;
use crate::owner::Owner;
use crate::{Dir, Result, call};
use assemble::Assembly;
use meta::Setter;
use orlop_layer::tree::{InodeId, Tree};
use orlop_layer::{Meta, Time, TreePath};
use orlop_spec::{Cancel, Event, Observer};
use rustix::fd::AsFd as _;
use std::io::Write as _;
use std::path::Path;
use target::{Named, Way};

/// Says in a target that is filled from inside that it is not whole.
pub const MARKER: &str = ".orlop-incomplete";

/// What to do with a target that is there and not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Existing {
    /// It is an error.
    #[default]
    Refuse,
    /// It is exchanged for the new tree, and removed.
    Replace,
}

/// Whether the tree survives a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durable {
    /// As far as the kernel has written it.
    #[default]
    No,
    /// The file system is forced to the disk before the tree appears, and the name after it.
    Yes,
}

/// How much of what entries say comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Detail {
    /// All of it.
    #[default]
    Full,
    /// Contents, names, links, times, and whether a file can be run. Everybody may read everything, the caller may
    /// write it, and whatever is no file, folder or symbolic link is left out.
    Reduced,
}

/// What becomes of bits that make a program run as its owner, where that is the caller and not the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SetId {
    /// They are taken away, and recorded where owners are.
    #[default]
    Taken,
    /// They stay. For targets that nobody else can enter.
    Kept,
}

/// How a tree is put on the disk.
#[derive(Clone)]
pub struct Apply<'a> {
    /// What is done about owners.
    pub owner: Owner,
    /// How much comes to be; owners are the caller's where it is reduced.
    pub detail: Detail,
    /// Whom files belong to for whom the tree has them belong to, where owners are set; as the tree has them without it.
    pub ids: Option<&'a Mappings>,
    /// What becomes of bits that make a program run as its owner.
    pub set_id: SetId,
    /// The folder of the tree that becomes the root; all of it where this is the root.
    pub subdir: TreePath,
    /// Whose attributes an overlay will read that has the tree as a layer: those of the image are escaped. Else they are
    /// left out, as they are for the other flavour.
    pub layer_of: Option<Flavour>,
    /// Hears of losses.
    pub observer: &'a dyn Observer,
    /// Stops the work.
    pub cancel: &'a Cancel,
}

/// Stops nothing.
static NEVER: Cancel = Cancel::new();

impl Default for Apply<'_> {
    fn default() -> Self {
        let (owner, detail) = (Owner::Exact, Detail::Full);
        Self {
            owner,
            detail,
            ids: None,
            set_id: SetId::Taken,
            subdir: TreePath::root(),
            layer_of: None,
            observer: &(),
            cancel: &NEVER,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What could not be kept.
    pub losses: Losses,
}

/// A tree on its way to the disk. Dropping it removes everything.
pub struct Staging<'a> {
    way: Way,
    folder: Dir,
    name: Vec<u8>,
    apply: Apply<'a>,
    ready: Option<Ready>,
    _lock: Lock,
}

/// A tree that was put together.
struct Ready {
    /// Where the published folder lies: a folder of the staging, and its name there.
    place: (Dir, Vec<u8>),
    /// The root of the tree.
    root: Dir,
    /// What the root is to have when it has its place.
    mode: u16,
    mtime: Time,
    /// The target, where the root was wrapped.
    outer: Option<Dir>,
}

impl<'a> Staging<'a> {
    /// Begins a tree that is to be at `target`, a path that the user named. Whether it may be there is checked now;
    /// publishing checks again.
    pub fn create(target: impl AsRef<Path>, existing: Existing, apply: Apply<'a>) -> Result<Self> {
        let (parent, name) = place(target.as_ref())?;
        let way = Way::find(&parent, &name, existing, Named::by(target.as_ref()))?;
        if let Way::Inside { .. } = way {
            let text = format!("{} is filled from inside, not in one step", parent.shown(&name));
            apply.observer.event(Event::Warned(text));
        }
        let (folder, name, lock) = target::stage(way.home(), &way.prefix())?;
        Ok(Self { way, folder, name, apply, ready: None, _lock: lock })
    }

    /// Takes the `number`th layer, from 0. Several may be written at the same time.
    pub fn layer(&self, number: u16) -> Result<LayerWriter<'a>> {
        let root = self.folder.make_or_open_dir(layer_name(number), 0o700)?;
        let spill = self.folder.make_or_open_dir(spill_name(number), 0o700)?;
        let root = call::reopen(&root).map_err(root.failed("open", b""))?;
        Ok(LayerWriter::new(root, spill, &self.apply))
    }

    /// Puts the merged tree together from the layers that were written. May be done once.
    pub fn assemble(&mut self, merged: &Tree, layers: &[Written]) -> Result<Report> {
        let top = self.top(merged)?;
        let base = self.base(merged, top, layers);
        let (parent, name) = self.root_place(layers, base)?;
        let root = parent.open_dir(&name)?;
        let mut setter = Setter::new(&self.apply);
        for written in layers {
            setter.losses.merge(&written.losses);
        }
        Assembly::new(merged, top, layers, &self.folder, &root, base, &mut setter).run()?;
        self.ready = Some(finish_root((parent, name), root, &merged.inode(top).meta, &mut setter)?);
        setter.losses.sum_up(self.apply.observer);
        Ok(Report { losses: setter.losses })
    }

    /// The root of the tree that was put together, before it is published: `None` before that.
    pub fn root(&self) -> Option<&Dir> {
        self.ready.as_ref().map(|ready| &ready.root)
    }

    /// Makes the root a folder of the target, beside other files: a bundle has its root in `rootfs`, and
    /// `config.json` beside it. Done after the tree was put together, and once.
    ///
    /// # Panics
    /// Without a tree that was put together before.
    pub fn wrap(&mut self, root: &str, files: &[(&str, &[u8])]) -> Result<()> {
        let ready = self.ready.as_mut().expect("a tree is put together before it is wrapped");
        self.folder.make_dir("out", 0o755)?;
        let outer = self.folder.open_dir("out")?;
        for (name, content) in files {
            let mut file = outer.create_file(name, 0o644)?;
            file.write_all(content).map_err(|error| Error::io("write", outer.shown(name), error))?;
        }
        let (folder, name) = &ready.place;
        folder.rename_new(name, &outer, root)?;
        call::chmod(&ready.root, ready.mode).map_err(ready.root.failed("set the mode of", b""))?;
        ready.place = (self.folder.try_clone()?, b"out".to_vec());
        ready.outer = Some(outer);
        Ok(())
    }

    /// The folder that the root was wrapped into, before it is published.
    pub fn wrapping(&self) -> Option<&Dir> {
        self.ready.as_ref().and_then(|ready| ready.outer.as_ref())
    }

    /// Adds a file beside the root that was wrapped, for the caller alone.
    ///
    /// # Panics
    /// Before the root was wrapped.
    pub fn add(&self, name: &str, content: &[u8]) -> Result<()> {
        let outer = self.wrapping().expect("the root is wrapped before anything is put beside it");
        let mut file = outer.create_file(name, 0o600)?;
        file.write_all(content).map_err(|error| Error::io("write", outer.shown(name), error))
    }

    fn top(&self, merged: &Tree) -> Result<InodeId> {
        let subdir = &self.apply.subdir;
        let found = merged
            .resolve(subdir.as_bytes())
            .unwrap_or_default()
            .filter(|id| merged.inode(*id).is_directory());
        found.ok_or_else(|| Error::NoFolderInTree(subdir.as_bytes().into()))
    }

    /// The layer with the most files, and its folder that becomes the root.
    fn base(&self, merged: &Tree, top: InodeId, layers: &[Written]) -> Option<(usize, u32)> {
        let largest = layers.iter().enumerate().max_by_key(|(_, written)| written.places.file_count());
        let (index, written) = largest?;
        let subdir = self.apply.subdir.as_bytes();
        // A folder that is reached over links lies elsewhere.
        let is_plain = merged.locate(subdir) == Some(top);
        written.places.at(subdir).filter(|_| is_plain).map(|folder| (index, folder))
    }

    /// The folder and name of what becomes the root.
    fn root_place(&self, layers: &[Written], base: Option<(usize, u32)>) -> Result<(Dir, Vec<u8>)> {
        let Some((index, folder)) = base else {
            self.folder.make_dir("root", 0o700)?;
            return Ok((self.folder.try_clone()?, b"root".to_vec()));
        };
        let layer = layer_name(layers[index].layer);
        let path = layers[index].places.path(folder);
        let mut names: Vec<&[u8]> = vec![layer.as_bytes()];
        names.extend(path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()));
        let name = names.pop().expect("the layer itself at least").to_vec();
        let parent = names.iter().try_fold(self.folder.try_clone()?, |folder, name| folder.open_dir(name))?;
        Ok((parent, name))
    }
}

/// The root gets everything that it should have but, where that would keep it from being renamed, its mode.
fn finish_root(place: (Dir, Vec<u8>), root: Dir, meta: &Meta, setter: &mut Setter<'_>) -> Result<Ready> {
    let mode = setter.folder_mode(meta);
    let movable = Meta { mode: mode | 0o700, ..meta.clone() };
    setter.folder(root.as_fd(), b"", &movable)?;
    Ok(Ready { place, root, mode, mtime: meta.mtime, outer: None })
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // What cannot be removed now, the next run removes.
        self.way.home().remove_all(&self.name).ok();
    }
}

fn layer_name(number: u16) -> String {
    format!("L{number}")
}

fn spill_name(number: u16) -> String {
    format!("L{number}.spill")
}
