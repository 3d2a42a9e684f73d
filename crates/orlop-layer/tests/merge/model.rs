//! The naive model: a map from paths to nodes. It shares entries and nothing else with the engine.
//!
//! A layer is extracted, entry by entry, into a map of its own. What its markers and links mean in the map below
//! is looked up there as it was; then the marked paths go, and the layer's nodes are put in, path by path.

use orlop_layer::{Entry, Kind};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

type Path = Vec<Vec<u8>>;

/// A merged tree, or a layer's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    nodes: BTreeMap<Path, Node>,
    /// Paths of a layer that are removed below.
    gone: BTreeSet<Path>,
    /// Folders of a layer whose content is removed below.
    opaque: BTreeSet<Path>,
    inodes: usize,
}

#[derive(Clone, Debug)]
struct Node {
    inode: usize,
    mode: u16,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Folder,
    Implied,
    Leaf(String),
    Link(Vec<u8>),
    Below(Path),
}

/// Why an entry or a layer is refused.
pub(crate) type Refused = &'static str;

fn parent(path: &Path) -> Path {
    path[..path.len() - 1].to_vec()
}

impl Model {
    fn is_folder(&self, path: &Path) -> bool {
        path.is_empty()
            || self.nodes.get(path).is_some_and(|node| matches!(node.what, What::Folder | What::Implied))
    }

    /// Whether the path, or one on the way to it, is what no folder is.
    fn is_beneath_a_file(&self, path: &Path) -> bool {
        (1..=path.len()).any(|depth| {
            let above = path[..depth].to_vec();
            self.nodes.contains_key(&above) && !self.is_folder(&above)
        })
    }

    fn remove(&mut self, path: &Path) {
        self.nodes.retain(|other, _| !other.starts_with(path));
    }

    fn put(&mut self, path: &Path, node: Node) {
        self.remove(path);
        // What is there now lies in no folder whose markers could mean anything.
        self.gone.retain(|other| !other.starts_with(path));
        self.opaque.retain(|other| !other.starts_with(path));
        self.nodes.insert(path.clone(), node);
    }

    fn node(&mut self, mode: u16, what: What) -> Node {
        self.inodes += 1;
        Node { inode: self.inodes, mode, what }
    }

    /// A path without links, `..` clamped at the root.
    fn real(&self, path: &Path, follow_last: bool) -> Result<Path, Refused> {
        let (mut todo, mut out, mut hops): (VecDeque<_>, Path, _) = (path.clone().into(), vec![], 0);
        while let Some(name) = todo.pop_front() {
            match &name[..] {
                b"" | b"." => {}
                b".." => drop(out.pop()),
                _ => out.push(name),
            }
            if let Some(Node { what: What::Link(target), .. }) = self.nodes.get(&out)
                && (follow_last || !todo.is_empty())
            {
                hops += 1;
                if hops > 40 {
                    return Err("loop");
                }
                out.truncate(if target.starts_with(b"/") { 0 } else { out.len() - 1 });
                target.split(|byte| *byte == b'/').rev().for_each(|name| todo.push_front(name.into()));
            }
        }
        Ok(out)
    }

    /// Makes the folders of a path that are missing.
    fn imply(&mut self, path: &Path, replace_files: bool) -> Result<(), Refused> {
        for depth in 1..=path.len() {
            let prefix = path[..depth].to_vec();
            if !self.is_folder(&prefix) {
                if self.nodes.contains_key(&prefix) && !replace_files {
                    return Err("below a file");
                }
                self.remove(&prefix);
                let folder = self.node(0o755, What::Implied);
                self.nodes.insert(prefix, folder);
            }
        }
        Ok(())
    }

    /// The next entry of a layer, into the layer's own map.
    pub(crate) fn extract(&mut self, entry: &Entry, content: String) -> Result<(), Refused> {
        let spelled: Path = entry.path.components().map(Into::into).collect();
        if entry.kind == Kind::Opaque {
            let folder = self.real(&spelled, true)?;
            if !self.is_beneath_a_file(&folder) {
                self.imply(&folder, false)?;
                self.opaque.insert(folder);
            }
            return Ok(());
        }
        let folder = self.real(&parent(&spelled), true)?;
        let path = [&folder[..], &spelled[spelled.len() - 1..]].concat();
        let linked = match &entry.kind {
            Kind::HardLink { target } => self.real(&target.components().map(Into::into).collect(), false)?,
            _ => vec![],
        };
        if matches!(entry.kind, Kind::HardLink { .. }) && (self.is_folder(&linked) || linked == path) {
            return Err("link to a folder, or to itself");
        }
        if entry.kind == Kind::Whiteout && self.is_beneath_a_file(&folder) {
            return Ok(());
        }
        let known = self.nodes.get(&linked).cloned();
        self.imply(&folder, false)?;
        let what = match &entry.kind {
            Kind::Whiteout => {
                if self.is_folder(&path) || !self.nodes.contains_key(&path) {
                    self.gone.insert(path);
                }
                return Ok(());
            }
            Kind::Directory => What::Folder,
            Kind::HardLink { .. } => match known {
                Some(known) => {
                    self.put(&path, known);
                    return Ok(());
                }
                None => What::Below(linked),
            },
            Kind::Symlink { target } => What::Link(target.to_vec()),
            _ => What::Leaf(content),
        };
        let node = self.node(entry.meta.mode, what);
        if node.what != What::Folder {
            self.put(&path, node);
        } else if let Some(old) = self.nodes.insert(path.clone(), node)
            && !matches!(old.what, What::Folder | What::Implied)
        {
            self.gone.insert(path);
        }
        Ok(())
    }

    /// What the folder at `path` of a layer covers in this map: nothing below what the layer hides, nothing where
    /// an explicit folder replaces a link; an implied one is reached through it.
    fn covered(&self, layer: &Self, path: &Path) -> Option<Path> {
        let mut here = vec![];
        for depth in 1..=path.len() {
            let (above, name) = (&path[..depth - 1], &path[depth - 1]);
            let folder = layer.nodes.get(&path[..depth])?;
            here.push(name.clone());
            here = if folder.what == What::Implied { self.real(&here, true).ok()? } else { here };
            if layer.gone.contains(above) || layer.opaque.contains(above) || !self.is_folder(&here) {
                return None;
            }
        }
        Some(here)
    }

    /// This map with one more layer on it.
    pub(crate) fn stack(&self, layer: &Self) -> Result<Self, Refused> {
        let mut merged = self.clone();
        let mut links = HashMap::new();
        let opaque = layer.opaque.difference(&layer.gone);
        for folder in opaque.filter_map(|path| self.covered(layer, path)) {
            merged.nodes.retain(|other, _| !other.starts_with(&folder) || *other == folder);
        }
        for path in &layer.gone {
            let above = parent(path);
            if let Some(folder) = self.covered(layer, &above)
                && !layer.gone.contains(&above)
                && !layer.opaque.contains(&above)
            {
                merged.remove(&[&folder[..], &path[above.len()..]].concat());
            }
        }
        for node in layer.nodes.values() {
            if let What::Below(target) = &node.what {
                let target = self.real(target, false)?;
                if self.is_folder(&target) {
                    return Err("link to a folder");
                }
                links.extend(self.nodes.get(&target).map(|found| (node.inode, found.clone())));
            }
        }
        merged.settle(layer, links)?;
        Ok(merged)
    }

    fn settle(&mut self, layer: &Self, mut moved: HashMap<usize, Node>) -> Result<(), Refused> {
        let mut late = vec![];
        // A folder of the layer lands in one place, whatever becomes of the links that led there.
        let mut places = HashMap::from([(vec![], vec![])]);
        for (path, node) in layer.nodes.iter().filter(|(_, node)| node.what != What::Implied) {
            for depth in 1..path.len() {
                if !places.contains_key(&path[..depth]) {
                    let above: &Path = &places[&path[..depth - 1]];
                    if !self.is_folder(above) {
                        return Err("the folder was replaced");
                    }
                    let through = [&above[..], &path[depth - 1..depth]].concat();
                    let place = self.real(&through, true)?;
                    self.imply(&place, place == through)?;
                    places.insert(path[..depth].to_vec(), place);
                }
            }
            let folder: &Path = &places[&path[..path.len() - 1]];
            if !self.is_folder(folder) {
                return Err("the folder was replaced");
            }
            let place = [&folder[..], &path[path.len() - 1..]].concat();
            match &node.what {
                What::Folder => {
                    let fresh = self.node(node.mode, What::Folder);
                    if !self.is_folder(&place) {
                        self.remove(&place);
                    }
                    self.nodes.insert(place.clone(), fresh);
                    places.insert(path.clone(), place);
                }
                What::Below(target) if !moved.contains_key(&node.inode) => late.push((place, target)),
                what => {
                    let fresh = self.node(node.mode, what.clone());
                    let known = moved.entry(node.inode).or_insert(fresh).clone();
                    self.put(&place, known);
                }
            }
        }
        for (place, target) in late {
            let target = self.real(target, false)?;
            let found = self.nodes.get(&target).ok_or("a link to nothing")?.clone();
            if self.is_folder(&target) || !self.is_folder(&parent(&place)) {
                return Err("a link to or in the wrong place");
            }
            self.put(&place, found);
        }
        Ok(())
    }

    /// Line by line, as the notation has it.
    pub(crate) fn listing(&self) -> Vec<String> {
        let mut first: HashMap<usize, String> = HashMap::new();
        let line = |(path, node): (&Path, &Node)| {
            let path = String::from_utf8(path.join(&b'/')).expect("the names are ASCII");
            if let Some(first) = first.get(&node.inode) {
                return format!("h {path} = {first}");
            }
            first.insert(node.inode, path.clone());
            match &node.what {
                What::Folder | What::Implied => format!("d {:04o} 0:0 {path}", node.mode),
                What::Leaf(content) => format!("f {:04o} 0:0 {path} {content}", node.mode),
                What::Link(target) => format!("l {path} -> {}", String::from_utf8_lossy(target)),
                what @ What::Below(_) => format!("{path} is {what:?}"),
            }
        };
        self.nodes.iter().map(line).collect()
    }
}
