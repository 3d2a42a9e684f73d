//! Which objects and names go into which layer.
//!
//! Invariant: every object that the commit needs is in one layer, in the order in which the tree names it first; all names
//! of a file are in the layer of its object, because hard links do not reach into other layers. No content is read.

use super::{REPOSITORY, Settings, plain};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::object::Commit;
use crate::ostree::repo::{Repo, RepoError};
use crate::ostree::tree::Step;
use orlop_layer::TreePath;
use orlop_spec::Context;
use std::collections::{HashMap, HashSet};

/// Which objects and names of a commit go into which layer.
#[derive(Debug)]
pub struct Outline {
    /// The commit, what was said of it later, dirmetas and dirtrees: of the first layer.
    pub(super) metadata: Vec<ObjectName>,
    /// The folders and their dirmetas: of the first layer.
    pub(super) folders: Vec<(TreePath, ObjectId)>,
    /// By layer, the files.
    pub(super) files: Vec<Vec<Named>>,
    /// The dirmeta of a folder that the commit has where the repository goes.
    pub(super) sysroot: Option<ObjectId>,
}

/// A file, and where it is in the layers.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) id: ObjectId,
    pub(super) paths: Vec<TreePath>,
}

/// The layer of every path of the commit, asked in the order of a walk.
pub type LayerOf<'a> = &'a mut dyn FnMut(&TreePath) -> usize;

impl Outline {
    /// Divides a commit among so many layers.
    pub fn new(
        cx: &Context<'_>,
        repo: &Repo,
        (id, commit): (&ObjectId, &Commit),
        (layers, layer_of): (usize, LayerOf<'_>),
    ) -> Result<Self, Error> {
        let settings = Settings::of(&repo.dirtree(&commit.tree)?);
        let (metadata, folders, sysroot) = (vec![ObjectName::new(*id, Kind::Commit)], Vec::new(), None);
        let files = (0..layers).map(|_| Vec::new()).collect();
        let mut drawing = Drawing {
            outline: Self { metadata, folders, files, sysroot },
            met: HashSet::new(),
            places: HashMap::new(),
            settings,
        };
        if repo.has(&ObjectName::new(*id, Kind::CommitMeta))? {
            drawing.outline.metadata.push(ObjectName::new(*id, Kind::CommitMeta));
        }
        repo.walk(cx, (commit.tree, commit.meta), &mut |path, step| {
            let layer = layer_of(path);
            drawing.step(path, step, layer)
        })?;
        Ok(drawing.outline)
    }

    /// How many layers there are.
    pub fn layers(&self) -> usize {
        self.files.len()
    }
}

struct Drawing {
    outline: Outline,
    met: HashSet<ObjectName>,
    /// The layer of each file, and which one it is there.
    places: HashMap<ObjectId, (usize, usize)>,
    settings: Settings,
}

impl Drawing {
    fn step(&mut self, path: &TreePath, step: &Step, layer: usize) -> Result<(), Error> {
        match step {
            Step::Folder { tree, meta } => {
                for object in [ObjectName::new(*meta, Kind::DirMeta), ObjectName::new(*tree, Kind::DirTree)] {
                    if self.met.insert(object) {
                        self.outline.metadata.push(object);
                    }
                }
                self.folder(path, *meta)
            }
            Step::File { id } => self.file(path, *id, layer),
        }
    }

    fn folder(&mut self, path: &TreePath, meta: ObjectId) -> Result<(), Error> {
        match path.as_bytes() {
            b"sysroot" => self.outline.sysroot = Some(meta),
            b"sysroot/ostree" => return Err(taken(path)),
            _ => self.outline.folders.push((self.settings.shown(path), meta)),
        }
        Ok(())
    }

    fn file(&mut self, path: &TreePath, id: ObjectId, layer: usize) -> Result<(), Error> {
        if plain(REPOSITORY).starts_with(path) {
            return Err(taken(path));
        }
        let files = &mut self.outline.files;
        let (layer, at) = *self.places.entry(id).or_insert_with(|| {
            files[layer].push(Named { id, paths: Vec::new() });
            (layer, files[layer].len() - 1)
        });
        files[layer][at].paths.push(self.settings.shown(path));
        Ok(())
    }
}

fn taken(path: &TreePath) -> Error {
    RepoError::Taken { path: path.to_string() }.into()
}
