//! Which backends the kernel offers to the caller: found out once, by mounting a tree of one file.
//!
//! ```text
//! mounts/probed-WHO     "orlop probe 1", the release and build of the kernel and the file system of the store, then a line
//!                       for each backend that works
//! ```
//!
//! Invariant: what the file says is a guess that saves making a view in vain. Every mount is judged by itself all the
//! same, so that a wrong guess costs time and nothing else.

use super::{Backend, IMAGE, ROOT, Sample, View, make};
use crate::store::{Store, format};
use orlop_fs::erofs::{self, Describe, Place};
use orlop_fs::staging::{Apply, Durable, Existing, Source, Staging, Supply};
use orlop_fs::{Dir, Persist, machine, overlay, privilege, random, stat, temp};
use orlop_layer::tree::{Builder, Content, Inode, InodeKind, Tree};
use orlop_layer::{Entry, Kind, Meta, TreePath, Xattrs};
use orlop_spec::Limits;
use orlop_spec::digest::{Algorithm, Digest};
use orlop_spec::port::Result;
use std::borrow::Cow;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;

/// The only file of the tree, and what it holds.
const NAME: &str = "file";
const CONTENT: &[u8] = b"what a kernel shows that follows the attributes of a file to its content\n";
/// Where the content lies in the folder of objects.
const DATA: &str = "/data";
/// Bytes of the file that are read.
const LIMIT: u64 = 1 << 16;

impl Store {
    /// Whether a backend works here; asked of the kernel once, and then of the file.
    pub fn offers(&self, backend: Backend) -> Result<bool> {
        if backend == Backend::Checkout {
            return Ok(true);
        }
        let mounts = self.root().open_dir(format::MOUNTS)?;
        let (name, head) = (file_name(), self.head()?);
        if let Some(offered) = known(&mounts, &name, &head)? {
            return Ok(offered.contains(&backend));
        }
        let offered = probe(&mounts)?;
        let words: Vec<&str> = offered.iter().map(|backend| backend.word()).collect();
        let mut temp = mounts.create_temp()?;
        temp.write_all(format!("{head}{}\n", words.join("\n")).as_bytes())
            .map_err(|error| orlop_fs::Error::io("write", mounts.shown(&name), error))?;
        temp.persist(&name, Persist::Replace)?;
        Ok(offered.contains(&backend))
    }

    fn head(&self) -> Result<String> {
        Ok(format!("orlop probe 1\n{} {}\n", machine::kernel(), self.root().stat_self()?.dev))
    }
}

/// Mounts a tree by each backend, in a folder that is removed again.
fn probe(mounts: &Dir) -> Result<Vec<Backend>> {
    let name = random::name(temp::PREFIX);
    mounts.make_dir(&name, 0o700)?;
    let folder = mounts.open_dir(&name)?;
    let works = |backend: &Backend| attempt(&folder, *backend).unwrap_or(false);
    let offered = [Backend::Erofs, Backend::Skeleton].into_iter().filter(works).collect();
    mounts.remove_all(&name)?;
    Ok(offered)
}

/// Root and others are offered different things, and so is who is root in a namespace alone.
fn file_name() -> String {
    let who = match orlop_fs::namespace::Ids::current() {
        Ok(orlop_fs::namespace::Ids::All) => "host",
        _ => "namespace",
    };
    format!("probed-{who}-{}", privilege::ids().0)
}

/// What was found out on the same kernel and file system.
fn known(mounts: &Dir, name: &str, head: &str) -> Result<Option<Vec<Backend>>> {
    let bytes = match mounts.open_file(name) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?.read_to_limit(LIMIT)?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let words = text.strip_prefix(head).map(|rest| rest.lines().collect::<Vec<_>>());
    Ok(words.map(|words| Backend::ALL.into_iter().filter(|it| words.contains(&it.word())).collect()))
}

fn attempt(folder: &Dir, backend: Backend) -> Result<bool> {
    let path = stat::real_path(folder.path())?;
    let place = folder.make_or_open_dir(backend.word(), 0o700)?;
    let objects = place.make_or_open_dir("objects", 0o700)?;
    let aside = place.make_or_open_dir("aside", 0o700)?;
    objects.create_file(&DATA[1..], 0o444)?.write_at(CONTENT, 0)?;
    let path = path.join(backend.word());
    fill(&place, &path, backend)?;
    let sample = Sample {
        path: NAME.into(),
        size: CONTENT.len() as u64,
        digest: Digest::of(Algorithm::Sha256, CONTENT),
    };
    let view = View {
        backend,
        key: String::new(),
        objects: path.join("objects"),
        folder: path,
        sample: Some(sample),
    };
    Ok(view.mount(&stat::real_path(aside.path())?, None).is_ok())
}

fn fill(place: &Dir, path: &Path, backend: Backend) -> Result<()> {
    let probe = Probe(backend);
    if backend == Backend::Erofs {
        erofs::write(&tree(), &[], &probe, &mut place.create_file(IMAGE, 0o444)?)?;
        return Ok(());
    }
    let apply = Apply { layer_of: Some(make::flavour(backend)), ..Apply::default() };
    let mut staging = Staging::create(path.join(ROOT), Existing::Refuse, apply)?;
    staging.plant(&tree(), &probe, NonZeroUsize::MIN)?;
    staging.publish(Durable::No)?;
    Ok(())
}

/// A root folder with one file, which belong to the caller.
fn tree() -> Tree {
    let (uid, gid) = privilege::ids();
    let mut builder = Builder::new(0, &Limits::default());
    for (ordinal, (path, kind, mode)) in
        [("", Kind::Directory, 0o755), (NAME, Kind::File { size: CONTENT.len() as u64 }, 0o444)]
            .into_iter()
            .enumerate()
    {
        let path = TreePath::parse(path.as_bytes()).expect("a plain path");
        let meta = Meta { mode, uid, gid, ..Meta::default() };
        let ordinal = u32::try_from(ordinal).expect("two");
        builder.add(ordinal, 0, &Entry { path, kind, meta }).expect("a plain entry");
    }
    Tree::default().stack(builder.finish()).expect("a plain tree")
}

struct Probe(Backend);

impl Describe for Probe {
    fn place(&self, _: &Content) -> orlop_fs::Result<Place<'_>> {
        Ok(Place::Nowhere)
    }

    fn attributes<'i>(&self, inode: &'i Inode) -> orlop_fs::Result<Cow<'i, Xattrs>> {
        let data = matches!(inode.kind, InodeKind::File(_)).then_some(DATA.as_bytes());
        Ok(Cow::Owned(overlay::attributes(&inode.meta.xattrs, make::flavour(self.0), data)))
    }
}

impl Supply for Probe {
    fn source(&self, _: &Content) -> orlop_fs::Result<Source<'_>> {
        Ok(Source::Elsewhere(make::flavour(self.0), DATA.into()))
    }
}
