//! `--chunked`: files become several layers, so that images which are alike share most of them.
//!
//! ```text
//! files ──► who owns each ──► groups ──► a layer for each: its files, and the folders that they are in
//!                                └──────► on top of them: every folder as it is, and what changes with any update
//! ```
//!
//! Invariant: the layers, stacked, are the tree. A layer of a group depends on the files of the group alone: the folders
//! in it have no time, which the layer on top puts right.

mod filter;
pub mod group;
pub mod packages;

use crate::build::Input;
use crate::error::Error;
use crate::layers;
use crate::trees::{Reading, TreeSource};
use filter::{Filtered, mark};
use group::{Member, Pinned, group};
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Chunk, Entries, Entry, Error as LayerError, Kind, TreePath};
use orlop_spec::descriptor::Annotations;
use orlop_spec::manifest::Manifest;
use orlop_spec::port::Result;
use orlop_spec::{Context, Fault};
use packages::{Components, Owners, is_database, is_hot};
use std::collections::{BTreeMap, HashMap};

/// Annotation of a layer: the packages in it, with commas between them.
pub const COMPONENTS: &str = "ostree.components";

/// Layers that every program which unpacks images can stack.
pub const MOST: usize = 127;

/// Bytes of databases that are read.
const DATABASES: usize = 256 << 20;

/// How files are divided.
#[derive(Clone, Debug)]
pub struct Chunking {
    /// Layers at most, the one on top included.
    pub layers: usize,
    /// Who owns what; what the databases in the tree say where this is nothing.
    pub components: Option<Components>,
    /// What was together in the image before.
    pub previous: Vec<Pinned>,
}

impl Chunking {
    /// So many layers at most.
    pub fn new(layers: usize) -> Result<Self> {
        if !(2..=MOST).contains(&layers) {
            return Err(TOO_MANY.into());
        }
        Ok(Self { layers, components: None, previous: Vec::new() })
    }
}

const TOO_MANY: Error = Error::Unfit {
    what: "an image is divided into 2 to 127 layers: more are not stacked everywhere",
    hint: "say for example --chunked 64",
};

const WHITEOUTS: Error = Error::Unfit {
    what: "a tree with whiteouts is a layer, and is not divided",
    hint: "put it on an image first: orlop build --base REF SRC oci:DIR:TAG",
};

/// What was together in an image.
pub fn previous(manifest: &Manifest) -> Vec<Pinned> {
    let units = |list: &str| list.split(',').filter(|name| !name.is_empty()).map(Into::into).collect();
    manifest
        .layers
        .iter()
        .filter_map(|layer| layer.annotations.get(COMPONENTS).map(|list| units(list)))
        .collect()
}

/// Which entry is in which layer.
#[derive(Debug)]
pub struct Plan {
    /// For each entry in order: what its path hashes to, and its layer.
    layers: Vec<(u64, u16)>,
    groups: Vec<Pinned>,
}

impl Plan {
    /// Divides the files of a place.
    pub fn new(cx: &Context<'_>, tree: &dyn TreeSource, reading: &Reading, how: &Chunking) -> Result<Self> {
        let Seen { entries, databases, tree } = Seen::read(cx, tree, reading)?;
        let tree = layers::stack([tree])?;
        let owners = match how.components {
            Some(_) => Owners::default(),
            None => Owners::read(&tree, &databases),
        };
        let component = |path: &TreePath| match &how.components {
            Some(list) => list.of(path).map(Into::into),
            None => tree.locate(path.as_bytes()).and_then(|id| owners.of(id)).map(Into::into),
        };
        let (mut members, mut ordinals) = (Vec::new(), Vec::new());
        for (at, (path, shape)) in entries.iter().enumerate() {
            let Shape::File { size } = shape else { continue };
            let component: Option<Box<str>> = component(path);
            if component.is_some() || !is_hot(path) {
                members.push(Member { path: path.clone(), size: *size, component });
                ordinals.push(at);
            }
        }
        let groups = group(&members, how.layers - 1, &how.previous);
        let top = u16::try_from(groups.len()).expect("there are at most 126");
        let mut layers: Vec<(u64, u16)> = entries.iter().map(|(path, _)| (mark(path), top)).collect();
        for (number, group) in (0..).zip(&groups) {
            for member in &group.members {
                layers[ordinals[*member]].1 = number;
            }
        }
        follow_links(&entries, &mut layers);
        Ok(Self { layers, groups: groups.into_iter().map(|group| group.units).collect() })
    }

    /// Annotations of the layers, base first, but for the one on top.
    pub fn annotations(&self) -> impl Iterator<Item = Annotations> {
        let said = |units: &Pinned| Annotations::from([(COMPONENTS.into(), units.join(",").into())]);
        self.groups.iter().map(said)
    }

    /// In which layer an entry is, by its number and its path; `None` where it was none of those that were divided.
    pub fn layer(&self, at: usize, path: &TreePath) -> Option<usize> {
        self.layers.get(at).filter(|(known, _)| *known == mark(path)).map(|(_, layer)| usize::from(*layer))
    }

    /// The layers, base first.
    pub fn inputs<'a>(
        &'a self,
        cx: &Context<'a>,
        tree: &'a dyn TreeSource,
        reading: &'a Reading,
    ) -> Vec<Input<'a>> {
        let top = self.groups.len();
        let input = |(number, annotations): (usize, Annotations)| {
            let name = match number {
                number if number == top => "folders".into(),
                number => format!("layer {} of {}", number + 1, top + 1),
            };
            let entries = Filtered::new(cx, (tree, reading), &self.layers, (number, top));
            Input { name, entries: Box::new(entries), annotations }
        };
        self.annotations().chain([Annotations::new()]).enumerate().map(input).collect()
    }
}

/// Names of one file are in one layer.
fn follow_links(entries: &[(TreePath, Shape)], layers: &mut [(u64, u16)]) {
    let mut places: HashMap<&TreePath, usize> = HashMap::new();
    for (at, (path, shape)) in entries.iter().enumerate() {
        places.insert(path, at);
        if let Shape::Link(target) = shape
            && let Some(first) = places.get(target)
        {
            layers[at].1 = layers[*first].1;
        }
    }
}

/// What an entry is to whom it is put into a layer.
enum Shape {
    Folder,
    File { size: u64 },
    Link(TreePath),
}

/// What the first look at the files gives.
struct Seen {
    entries: Vec<(TreePath, Shape)>,
    databases: BTreeMap<TreePath, Vec<u8>>,
    tree: Tree,
}

impl Seen {
    fn read(cx: &Context<'_>, tree: &dyn TreeSource, reading: &Reading) -> Result<Self> {
        let mut builder = Builder::new(0, cx.limits);
        let (mut seen, mut databases, mut held) = (Vec::new(), BTreeMap::new(), 0);
        let mut entries = tree.entries(cx, reading)?;
        let mut ordinal = 0;
        while let Some(entry) = entries.next_entry()? {
            cx.cancel.check()?;
            builder.add(ordinal, 0, &entry)?;
            ordinal += 1;
            let shape = shape(&entry)?;
            if matches!(shape, Shape::File { .. }) && is_database(&entry.path) {
                databases.insert(entry.path.clone(), content(&mut *entries, &mut held)?);
            }
            seen.push((entry.path, shape));
        }
        Ok(Self { entries: seen, databases, tree: builder.finish() })
    }
}

fn shape(entry: &Entry) -> Result<Shape> {
    Ok(match &entry.kind {
        Kind::Directory => Shape::Folder,
        Kind::File { size } => Shape::File { size: *size },
        Kind::HardLink { target } => Shape::Link(target.clone()),
        Kind::Symlink { .. } | Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => {
            Shape::File { size: 0 }
        }
        Kind::Whiteout | Kind::Opaque => return Err(WHITEOUTS.into()),
    })
}

/// The content of the file that came last.
fn content(entries: &mut dyn Entries, held: &mut usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = entries.next_chunk()? {
        if let Chunk::Data(data) = chunk {
            *held += data.len();
            if *held > DATABASES {
                let limit = DATABASES as u64;
                return Err(Fault::from(LayerError::Limit { what: "the databases of packages", limit }));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}
