//! Layers in memory, unpacked as a decoder would.

use orlop_fs::owner::Owner;
use orlop_fs::staging::{Apply, Durable, Existing, Report, Staging};
use orlop_fs::{Dir, Result};
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Device, Entry, Kind, Meta, Time, TreePath};
use orlop_spec::Limits;

/// One layer: entries with the content of the files among them.
#[derive(Clone, Default)]
pub(crate) struct Layer(pub(crate) Vec<(Entry, Vec<u8>)>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.file_with(path, content, |_| {})
    }

    pub(crate) fn file_with(
        mut self,
        path: &str,
        content: impl AsRef<[u8]>,
        set: impl Fn(&mut Meta),
    ) -> Self {
        let content = content.as_ref().to_vec();
        let mut entry = entry(path, Kind::File { size: content.len() as u64 }, 0o644);
        set(&mut entry.meta);
        self.0.push((entry, content));
        self
    }

    pub(crate) fn with(mut self, path: &str, kind: Kind, set: impl Fn(&mut Meta)) -> Self {
        let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
        let mut entry = entry(path, kind, mode);
        set(&mut entry.meta);
        self.0.push((entry, Vec::new()));
        self
    }

    pub(crate) fn dir(self, path: &str) -> Self {
        self.with(path, Kind::Directory, |_| {})
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.with(path, Kind::Symlink { target: target.as_bytes().into() }, |_| {})
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.with(path, Kind::HardLink { target: at(target) }, |_| {})
    }

    pub(crate) fn fifo(self, path: &str) -> Self {
        self.with(path, Kind::Fifo, |_| {})
    }

    pub(crate) fn device(self, path: &str, major: u32, minor: u32) -> Self {
        self.with(path, Kind::CharDevice(Device { major, minor }), |_| {})
    }

    pub(crate) fn whiteout(self, path: &str) -> Self {
        self.with(path, Kind::Whiteout, |_| {})
    }

    /// What the layer means by itself.
    pub(crate) fn tree(&self, number: u16) -> Tree {
        self.try_tree(number).expect("a tree takes it")
    }

    /// As `tree`; an error where a tree refuses an entry.
    pub(crate) fn try_tree(&self, number: u16) -> Result<Tree, orlop_layer::Error> {
        let mut builder = Builder::new(number, &Limits::default());
        for (ordinal, (entry, _)) in (0..).zip(&self.0) {
            builder.add(ordinal, 0, entry)?;
        }
        Ok(builder.finish())
    }

    pub(crate) fn opaque(self, path: &str) -> Self {
        self.with(path, Kind::Opaque, |_| {})
    }
}

pub(crate) fn at(path: &str) -> TreePath {
    TreePath::parse(path.as_bytes()).expect("a plain path")
}

fn entry(path: &str, kind: Kind, mode: u16) -> Entry {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mtime = Time { seconds: 1_000_000_000, nanoseconds: 5 };
    Entry { path: at(path), meta: Meta { mode, uid, gid, mtime, ..Meta::default() }, kind }
}

/// Owners as whoever runs the tests can set them: a folder that layers only imply is root's.
pub(crate) fn fitting() -> Apply<'static> {
    let owner = if rustix::process::geteuid().is_root() { Owner::Exact } else { Owner::Squash };
    Apply { owner, ..Apply::default() }
}

/// The tree that the layers mean, and what they left in the staging.
pub(crate) fn stage<'a>(
    parent: &Dir,
    layers: &[Layer],
    existing: Existing,
    apply: Apply<'a>,
) -> Result<(Staging<'a>, Report)> {
    stage_looking(parent, layers, existing, apply, &mut || {})
}

/// As `stage`; `look` is called when the layers are written and nothing is put together.
pub(crate) fn stage_looking<'a>(
    parent: &Dir,
    layers: &[Layer],
    existing: Existing,
    apply: Apply<'a>,
    look: &mut dyn FnMut(),
) -> Result<(Staging<'a>, Report)> {
    let mut staging = Staging::create(parent.path().join("root"), existing, apply)?;
    let mut merged = Tree::default();
    let mut written = Vec::new();
    for (number, layer) in (0..).zip(layers) {
        let mut writer = staging.layer(number)?;
        for (ordinal, (entry, content)) in (0..).zip(&layer.0) {
            writer.entry(ordinal, entry)?;
            for piece in content.chunks(100_000) {
                writer.data(piece)?;
            }
        }
        merged = merged.stack(layer.tree(number)).expect("layers stack");
        written.push(writer.finish(number)?);
    }
    look();
    let report = staging.assemble(&merged, &written)?;
    Ok((staging, report))
}

/// Unpacks to `root` of `parent`.
pub(crate) fn unpack(parent: &Dir, layers: &[Layer], apply: Apply<'_>) -> Result<(Dir, Report)> {
    let (staging, report) = stage(parent, layers, Existing::Refuse, apply)?;
    Ok((staging.publish(Durable::No)?, report))
}
