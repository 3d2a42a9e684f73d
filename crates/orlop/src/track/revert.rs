//! What was changed in a tracked folder is taken back.
//!
//! ```text
//! changes ──► records that need their content ──► layers that hold them, each decoded and proven ──► spool ──► folder
//! ```
//!
//! Invariant: nothing is touched before all contents that are needed are there and proven.

use super::{Look, Tracked, changes};
use crate::diff::{Change, Difference};
use crate::error::Error;
use crate::image::Image;
use crate::layers;
use orlop_fs::owner::{self, Owner};
use orlop_fs::staging::{Apply, Source, Supply, repair};
use orlop_fs::track::{Compared, Hash, Renew, Strays};
use orlop_fs::verify::{self, Aspect};
use orlop_fs::{Dir, Error as FsError, File, FileKind};
use orlop_layer::decode::Visit;
use orlop_layer::tree::{Content, InodeId, InodeKind, Tree};
use orlop_layer::{Entry, Error as LayerError, Kind, TreePath};
use orlop_spec::port::Result;
use orlop_spec::{Context, Event};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What was taken back.
#[derive(Clone, Debug, Default)]
pub struct Reverted {
    /// What had been changed.
    pub changes: Vec<Difference>,
    /// Layers that were read.
    pub layers: Vec<u16>,
    /// What is not as it was even now.
    pub left: Vec<Difference>,
}

/// Makes a folder again what it was, of the image that it came from; `spool` is a file that nobody else uses.
///
/// # Errors
/// Where the image is another one, or does not hold what is needed.
pub fn revert(
    cx: &Context<'_>,
    tracked: &Tracked,
    image: &Image<'_>,
    look: &Look,
    (journal, spool): (Option<&Dir>, File),
) -> Result<Reverted> {
    if image.config().rootfs.diff_ids != tracked.about.diff_ids {
        return Err(Error::OtherImage { reference: tracked.about.reference.clone() }.into());
    }
    let look = &Look { strays: Strays::Added, ..look.clone() };
    let compared = tracked.compare(cx, look, journal, (Hash::Changed, Renew::No))?;
    let changes = changes(&compared);
    let differences = differences(&compared, &changes, tracked.folder.snapshot.owner);
    let contents = Contents { file: spool, windows: HashMap::new(), next: 0 };
    let (contents, layers) = fetch(cx, tracked, image, contents, &wanted(&compared.older, &differences))?;
    let apply = Apply {
        owner: tracked.folder.snapshot.owner,
        observer: cx.observer,
        cancel: cx.cancel,
        ..Apply::default()
    };
    repair(&tracked.folder.root, &compared.older, &differences, &contents, &apply)?;
    // What is mounted and what is lost, the first look has told.
    let quiet = &Context { observer: &(), ..*cx };
    let mut again = tracked.compare(quiet, look, journal, (Hash::Doubtful, Renew::Yes))?;
    let left = super::changes(&again);
    tell_what_is_left(cx, &left);
    if let Some(mut snapshot) = again.snapshot.take().filter(|_| left.is_empty()) {
        snapshot.about.clone_from(&tracked.folder.snapshot.about);
        tracked.folder.place.write(&snapshot)?;
    }
    Ok(Reverted { changes, layers, left })
}

fn tell_what_is_left(cx: &Context<'_>, left: &[Difference]) {
    if let [first, more @ ..] = left {
        let others = if more.is_empty() { String::new() } else { format!(", and {} others", more.len()) };
        let text = format!("{} is not what it was even now{others}; `orlop diff DIR` tells all", first.path);
        cx.observer.event(Event::Warned(text));
    }
}

/// As a repair wants them: what was added, is missing, or is of another type stands for all that is in it. A folder that
/// holds what is spared stays, and what else was added to it goes by itself.
fn differences(compared: &Compared, changes: &[Difference], owner: Owner) -> Vec<verify::Difference> {
    let staying = folders_above(&compared.spared);
    let mut whole: Option<TreePath> = None;
    let mut differences = Vec::new();
    for Difference { path, change, .. } in changes {
        if whole.as_ref().is_some_and(|whole| path.starts_with(whole)) {
            continue;
        }
        let change = match change {
            // Of what kind it is, nobody asks who removes it.
            Change::Added => verify::Change::Added(FileKind::File),
            Change::Removed => verify::Change::Removed,
            Change::Changed(fields) => {
                let fields = fields.iter().flat_map(|field| aspects(&field.name, compared, path, owner));
                verify::Change::Changed(fields.map(field).collect())
            }
        };
        let is_whole = match &change {
            verify::Change::Changed(fields) => fields.iter().any(|field| field.aspect == Aspect::Type),
            _ => true,
        };
        if is_whole && staying.contains(path) {
            continue;
        }
        if is_whole {
            whole = Some(path.clone());
        }
        differences.push(verify::Difference { path: path.clone(), change });
    }
    differences
}

fn folders_above(paths: &[TreePath]) -> HashSet<TreePath> {
    let mut folders = HashSet::new();
    for path in paths {
        let mut below = path.clone();
        // Those above a folder that is there are there.
        while let Some(folder) = below.split().map(|(folder, _)| folder).filter(|it| !folders.contains(it)) {
            folders.insert(folder.clone());
            below = folder;
        }
    }
    folders
}

fn field(aspect: Aspect) -> verify::Field {
    verify::Field { aspect, expected: String::new(), found: String::new() }
}

/// What a field of a comparison is to a repair. A time is set with everything else; an owner that is recorded is an
/// attribute, too.
fn aspects(name: &str, compared: &Compared, path: &TreePath, owner: Owner) -> Vec<Aspect> {
    match name {
        "type" => vec![Aspect::Type],
        "content" => vec![Aspect::Content],
        "size" => vec![Aspect::Size],
        "target" => vec![Aspect::Target],
        "device" => vec![Aspect::Device],
        "hard link of" => vec![Aspect::HardLink],
        "mode" if owner.is_set() => vec![Aspect::Mode],
        "mode" => vec![Aspect::Mode, Aspect::Xattr(owner::MODE.into())],
        "uid" if owner.is_set() => vec![Aspect::Uid],
        "gid" if owner.is_set() => vec![Aspect::Gid],
        "uid" | "gid" => vec![Aspect::Uid, Aspect::Xattr(owner::RECORD.into())],
        "mtime" => Vec::new(),
        // An attribute: those that are there and were not are taken away, whichever was told of.
        _ => attributes(&compared.newer, path).map(Aspect::Xattr).collect(),
    }
}

fn attributes<'t>(tree: &'t Tree, path: &TreePath) -> impl Iterator<Item = Box<[u8]>> + use<'t> {
    let id = path.components().try_fold(tree.root(), |at, name| tree.child(at, name));
    id.into_iter().flat_map(|id| tree.inode(id).meta.xattrs.keys().cloned())
}

/// The older contents that a repair may ask for.
fn wanted(older: &Tree, differences: &[verify::Difference]) -> Vec<Content> {
    let is_made = |change: &verify::Change| match change {
        verify::Change::Added(_) => false,
        verify::Change::Removed => true,
        verify::Change::Changed(fields) => fields.iter().any(|field| {
            !matches!(field.aspect, Aspect::Mode | Aspect::Uid | Aspect::Gid | Aspect::Xattr(_))
        }),
    };
    let made: HashSet<&[u8]> =
        differences.iter().filter(|it| is_made(&it.change)).map(|it| it.path.as_bytes()).collect();
    let is_wanted = |path: &TreePath| {
        let bytes = path.as_bytes();
        let ends = (0..bytes.len()).filter(|at| bytes[*at] == b'/').chain([bytes.len()]);
        ends.map(|end| &bytes[..end]).any(|above| made.contains(above))
    };
    // The other names of a file that is made anew are made with it.
    let inodes: HashSet<InodeId> =
        older.walk().filter(|(path, _)| is_wanted(path)).map(|(_, id)| id).collect();
    let content = |id: InodeId| match older.inode(id).kind {
        InodeKind::File(content) if content.size > 0 => Some(content),
        _ => None,
    };
    let mut wanted: Vec<Content> = inodes.into_iter().filter_map(content).collect();
    wanted.sort_unstable();
    wanted
}

/// Reads the contents out of the layers that hold them.
fn fetch(
    cx: &Context<'_>,
    tracked: &Tracked,
    image: &Image<'_>,
    mut contents: Contents,
    wanted: &[Content],
) -> Result<(Contents, Vec<u16>)> {
    let mut of_layer: BTreeMap<u16, HashMap<u32, Content>> = BTreeMap::new();
    for content in wanted {
        let origin = tracked.folder.snapshot.content(Compared::record(content)).origin.ok_or(NO_ORIGIN)?;
        of_layer.entry(origin.layer).or_default().insert(origin.ordinal, *content);
    }
    let count = image.layers()?.len();
    for (layer, wanted) in &of_layer {
        if usize::from(*layer) >= count {
            return Err(NO_ORIGIN.into());
        }
        let mut picker = Picker { contents: &mut contents, wanted, at: None };
        layers::open_at(cx, "revert", image, *layer, &mut picker)?;
    }
    Ok((contents, of_layer.into_keys().collect()))
}

const NO_ORIGIN: Error = Error::Unfit {
    what: "the snapshot does not say in which layer a content is",
    hint: "unpack the image again, with --track",
};

/// Contents that were read, one behind the other.
struct Contents {
    file: File,
    windows: HashMap<u32, u64>,
    next: u64,
}

impl Supply for Contents {
    fn source(&self, content: &Content) -> Result<Source<'_>, FsError> {
        let at = self.windows.get(&content.ordinal).copied();
        at.map(|at| Source::Part(&self.file, at))
            .ok_or(FsError::MissingContent { path: self.file.shown().clone(), layer: content.layer })
    }
}

/// Takes the wanted contents of one layer.
struct Picker<'a> {
    contents: &'a mut Contents,
    wanted: &'a HashMap<u32, Content>,
    /// Where the next byte of a wanted content goes.
    at: Option<u64>,
}

impl Visit for Picker<'_> {
    fn entry(&mut self, ordinal: u32, _: u64, entry: &Entry) -> Result<(), LayerError> {
        self.at = None;
        let Some(content) = self.wanted.get(&ordinal) else { return Ok(()) };
        if entry.kind != (Kind::File { size: content.size }) {
            let what = "is not what the snapshot says that it is";
            return Err(LayerError::Entry { path: entry.path.to_string(), what });
        }
        self.contents.windows.insert(content.ordinal, self.contents.next);
        self.at = Some(self.contents.next);
        self.contents.next += content.size;
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        let Some(at) = &mut self.at else { return Ok(()) };
        let written = self.contents.file.write_at(bytes, *at);
        written.map_err(|error| LayerError::Write(orlop_spec::Fault::from(error).into()))?;
        *at += bytes.len() as u64;
        Ok(())
    }

    fn hole(&mut self, length: u64) -> Result<(), LayerError> {
        if let Some(at) = &mut self.at {
            *at += length;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), LayerError> {
        Ok(())
    }
}
