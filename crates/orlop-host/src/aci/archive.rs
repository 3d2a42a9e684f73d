//! The tar of an image, taken apart.
//!
//! ```text
//! manifest          kept, up to the limit on documents
//! rootfs/           ┐
//! rootfs/etc/x      ├──► the root, etc/x, …
//! rootfs/y ──► z    ┘
//! anything else     a stray
//! ```
//!
//! Invariant: every entry that comes out lay beneath `rootfs`, and so did what it is another name of.

use super::validate::Finding;
use orlop_layer::path::escape;
use orlop_layer::{Chunk, Entries, Entry, Error, Kind, Meta, TreePath};
use orlop_spec::validate::Severity;

/// Where the files are.
const ROOTFS: &[u8] = b"rootfs";
/// Where the manifest is.
const MANIFEST: &[u8] = b"manifest";

/// The entries of an image's root filesystem, out of those of its tar.
pub struct Members<E> {
    inner: E,
    /// Bytes of a manifest that are kept.
    limit: u64,
    manifest: Option<Vec<u8>>,
    has_rootfs: bool,
    strays: Vec<Finding>,
}

/// What else stood in the tar.
#[derive(Debug, Default)]
pub struct Rest {
    /// The bytes of the manifest.
    pub manifest: Option<Vec<u8>>,
    /// What is wrong with the tar.
    pub findings: Vec<Finding>,
}

/// Findings that are kept; more of them would tell nothing new.
const MOST: usize = 100;

impl<E: Entries> Members<E> {
    /// The entries of `inner`, a tar from its beginning.
    pub fn new(inner: E, limit: u64) -> Self {
        Self { inner, limit, manifest: None, has_rootfs: false, strays: Vec::new() }
    }

    /// The manifest; what stands before it is passed over, and what follows is not read.
    pub fn read_manifest(&mut self) -> Result<Option<Vec<u8>>, Error> {
        while self.manifest.is_none() {
            let Some(entry) = self.inner.next_entry()? else { return Ok(None) };
            if entry.path.as_bytes() == MANIFEST {
                self.keep_manifest(&entry)?;
            }
        }
        Ok(self.manifest.clone())
    }

    /// What else there was. Call it at the end.
    pub fn into_rest(self) -> (Rest, E) {
        let mut findings = self.strays;
        if self.manifest.is_none() {
            findings.insert(0, error("manifest-missing", "manifest", "there is no manifest in it"));
        }
        if !self.has_rootfs {
            findings.insert(0, error("rootfs-missing", "rootfs", "there is no folder rootfs in it"));
        }
        (Rest { manifest: self.manifest, findings }, self.inner)
    }

    fn stray(&mut self, rule: &'static str, path: &TreePath, what: &str) {
        if self.strays.len() < MOST {
            self.strays.push(error(rule, &escape(path.as_bytes()), what));
        }
    }

    fn keep_manifest(&mut self, entry: &Entry) -> Result<(), Error> {
        let Kind::File { size } = entry.kind else {
            self.stray("manifest-kind", &entry.path, "it is no regular file");
            return Ok(());
        };
        if self.manifest.is_some() {
            self.stray(
                "manifest-twice",
                &entry.path,
                "it stands twice, and tools do not agree on which one counts",
            );
            return Ok(());
        }
        if size > self.limit {
            return Err(Error::Limit { what: "the manifest", limit: self.limit });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = self.inner.next_chunk()? {
            match chunk {
                Chunk::Data(data) => bytes.extend_from_slice(data),
                Chunk::Hole(length) => bytes.resize(bytes.len() + usize::try_from(length).unwrap_or(0), 0),
            }
        }
        self.manifest = Some(bytes);
        Ok(())
    }

    /// The entry as it lies in the root filesystem; nothing where it is a stray.
    fn within(&mut self, entry: Entry, inner: TreePath) -> Option<Entry> {
        let kind = match entry.kind {
            Kind::HardLink { target } => {
                let Some(target) = beneath(&target) else {
                    let what = "it is another name of a file that is not beneath rootfs";
                    self.stray("link-outside", &entry.path, what);
                    return None;
                };
                Kind::HardLink { target }
            }
            Kind::Whiteout | Kind::Opaque => {
                self.stray("whiteout", &entry.path, "an image of layers would read its name as a removal");
                return None;
            }
            kind => kind,
        };
        if inner.is_root() {
            if !matches!(kind, Kind::Directory) {
                self.stray("rootfs-kind", &entry.path, "it is no folder");
                return None;
            }
            self.has_rootfs = true;
        }
        Some(Entry { path: inner, meta: entry.meta, kind })
    }
}

fn error(rule: &'static str, place: &str, what: &str) -> Finding {
    Finding { rule, severity: Severity::Error, place: place.into(), what: what.into() }
}

/// The path without `rootfs`.
fn beneath(path: &TreePath) -> Option<TreePath> {
    let mut components = path.components();
    (components.next() == Some(ROOTFS))
        .then(|| components.fold(TreePath::root(), |path, component| path.join(component)))
}

impl<E: Entries> Entries for Members<E> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        while let Some(entry) = self.inner.next_entry()? {
            if let Some(inner) = beneath(&entry.path) {
                if let Some(entry) = self.within(entry, inner) {
                    return Ok(Some(entry));
                }
            } else if entry.path.as_bytes() == MANIFEST {
                self.keep_manifest(&entry)?;
            } else if !entry.path.is_root() || !matches!(entry.kind, Kind::Directory) {
                self.stray("stray", &entry.path, "only manifest and rootfs stand in an image");
            }
        }
        Ok(None)
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        self.inner.next_chunk()
    }

    fn offset(&self) -> u64 {
        self.inner.offset()
    }
}

/// The entries of an image's tar: its manifest, and a root filesystem beneath `rootfs`.
pub struct Packed<E> {
    inner: E,
    /// The manifest, until it was given.
    head: Option<Entry>,
    bytes: Vec<u8>,
    /// Bytes of the manifest that come next.
    is_in_head: bool,
    /// What the folder of the files says, until it was given.
    root: Option<Meta>,
    /// An entry that waits for the root.
    waiting: Option<Entry>,
}

impl<E: Entries> Packed<E> {
    /// The entries of `inner` come in canonical order. `head` is everything but the size of the manifest.
    pub fn new(inner: E, manifest: Vec<u8>, head: Meta) -> Self {
        let path = TreePath::root().join(MANIFEST);
        let head = Entry { path, meta: head, kind: Kind::File { size: manifest.len() as u64 } };
        let (head, root) = (Some(head), Some(Meta { mode: 0o755, ..Meta::default() }));
        Self { inner, head, bytes: manifest, is_in_head: false, root, waiting: None }
    }

    /// The same; where the entries say nothing of the root, it is such a one, and else an ordinary one.
    #[must_use]
    pub fn with_root(self, root: Meta) -> Self {
        Self { root: Some(root), ..self }
    }
}

/// The path beneath `rootfs`.
fn above(path: &TreePath) -> TreePath {
    path.components().fold(TreePath::root().join(ROOTFS), |path, component| path.join(component))
}

impl<E: Entries> Entries for Packed<E> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        if let Some(head) = self.head.take() {
            self.is_in_head = true;
            return Ok(Some(head));
        }
        self.is_in_head = false;
        if let Some(entry) = self.waiting.take() {
            return Ok(Some(entry));
        }
        let next = self.inner.next_entry()?.map(|entry| {
            let kind = match entry.kind {
                Kind::HardLink { target } => Kind::HardLink { target: above(&target) },
                kind => kind,
            };
            Entry { path: above(&entry.path), meta: entry.meta, kind }
        });
        let is_root = next.as_ref().is_some_and(|entry| entry.path.as_bytes() == ROOTFS);
        let Some(meta) = self.root.take().filter(|_| !is_root) else { return Ok(next) };
        self.waiting = next;
        Ok(Some(Entry { path: TreePath::root().join(ROOTFS), meta, kind: Kind::Directory }))
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        if self.is_in_head {
            self.is_in_head = false;
            return Ok((!self.bytes.is_empty()).then_some(Chunk::Data(&self.bytes)));
        }
        // What comes next is of the entry that waits, not of the root before it.
        if self.waiting.is_some() {
            return Ok(None);
        }
        self.inner.next_chunk()
    }
}
