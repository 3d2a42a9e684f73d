//! Writing into a layout: blobs first, names last.

use super::{BLOBS, INDEX, Layout, MARKER, MARKER_CONTENT, Options};
use crate::blobs::Blobs;
use crate::error::Error;
use crate::folder::{self, Made, write_new};
use crate::index_file::{self, IndexFile};
use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, Lock, Persist, temp};
use orlop_spec::Descriptor;
use orlop_spec::port::{self, BlobWriter, Depth, Hints, Name, Origin, Put, Result, Seen, Sink};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How often `index.json` is tried when programs that know no lock write it too.
const ATTEMPTS: usize = 100;

/// Writes blobs and names into a layout.
///
/// Dropped without [`Sink::finish`], it leaves blobs that nothing names, which a rerun finds and a sweep
/// removes; a layout that it made goes as a whole.
#[derive(Debug)]
pub struct LayoutSink {
    layout: Layout,
    /// Shared, on the folder: no sweep runs beside a writer.
    lock: Option<Lock>,
    made: Made,
    /// As the user named it: what was made must be found again to be removed.
    path: PathBuf,
}

impl LayoutSink {
    pub(super) fn create(path: &Path, options: &Options) -> Result<Self> {
        let shared = options.shared_blobs.as_ref().map(Dir::create_all).transpose()?;
        let (folder, lock, made) = folder::open_locked(path, Share::Shared)?;
        let layout = Layout::at(folder, shared, options);
        let mut sink = Self { layout, lock, made, path: path.into() };
        if sink.layout.folder().try_stat(MARKER)?.is_none() {
            sink.make_layout()?;
        } else {
            sink.made = Made::Nothing;
        }
        sink.layout.check_form()?;
        Ok(sink)
    }

    /// Makes a layout in a folder that is empty, or holds a part of what a killed writer made here.
    fn make_layout(&mut self) -> Result<()> {
        let folder = self.layout.folder();
        let is_part =
            |name: &[u8]| [BLOBS.as_bytes(), INDEX.as_bytes()].contains(&name) || temp::is_temp_name(name);
        if !folder.list()?.iter().all(|name| is_part(name)) {
            self.made = Made::Nothing;
            return Err(Error::Occupied { path: folder.path().into(), what: "OCI layout" }.into());
        }
        if self.made == Made::Nothing {
            self.made = Made::Content;
        }
        folder.make_or_open_dir(BLOBS, 0o777)?;
        write_new(folder, INDEX, &IndexFile::new().print())?;
        write_new(folder, MARKER, MARKER_CONTENT)
    }

    /// Takes a layout back that this sink made, unless somebody else uses it or gave it names.
    fn take_back(&mut self) -> Result<()> {
        drop(self.lock.take());
        let folder = self.layout.folder();
        let Some(_alone) = folder.lock(Share::Exclusive, Wait::No)? else { return Ok(()) };
        if folder.try_stat(INDEX)?.is_some() && !self.layout.read_index()?.is_empty() {
            return Ok(());
        }
        for name in [MARKER, INDEX, BLOBS] {
            folder.remove_all(name)?;
        }
        folder::take_back(&self.path, self.made)
    }
}

impl Drop for LayoutSink {
    fn drop(&mut self) {
        // What broke off stays for the next run.
        if self.made != Made::Nothing && !self.layout.target().broke_off() {
            // A layout that cannot be taken back is empty and valid, and the next writer uses it.
            self.take_back().ok();
        }
    }
}

impl Sink for LayoutSink {
    fn put(&self, blob: &Descriptor, origin: &dyn Origin, hints: &Hints) -> Result<Put> {
        self.layout.target().put(blob, origin, hints)
    }

    /// That an entry stands under the name; a copy of some platforms has one too, so it says no more than this.
    fn has(&self, name: &Name, root: &Descriptor, depth: Depth) -> Result<bool> {
        let stands = |(entry, at): &(Name, Descriptor)| entry == name && at.digest == root.digest;
        Ok(depth == Depth::Root && self.layout.read_index()?.entries().iter().any(stands))
    }

    fn foresee(&self, blob: &Descriptor) -> Result<Put> {
        self.layout.target().foresee(blob)
    }

    fn begin(&self, hints: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        self.layout.target().begin(hints)
    }

    fn overlooked(&self, name: &Name, root: &Descriptor) -> Option<&'static str> {
        index_file::overlooked(name, root)
    }

    /// What was seen is looked at under the lock under which the names are written.
    fn finish_if(mut self: Box<Self>, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()> {
        for (_, root) in roots {
            self.layout.open_blob(root)?;
        }
        self.layout.target().sync()?;
        self.layout.change_index(&mut |index| {
            port::check(seen, index.entries())?;
            Ok(index.publish(roots)?)
        })?;
        self.made = Made::Nothing;
        Ok(())
    }
}

impl Layout {
    /// Where new blobs go.
    fn target(&self) -> &Blobs {
        self.shared.as_ref().unwrap_or(&self.blobs)
    }

    /// Reads `index.json`, changes it, and replaces it; nobody's change is lost.
    pub(super) fn change_index<T>(&self, change: &mut dyn FnMut(&mut IndexFile) -> Result<T>) -> Result<T> {
        let folder = self.folder();
        let _alone = folder.lock_file(MARKER, Share::Exclusive, Wait::Yes)?;
        for _ in 0..ATTEMPTS {
            let (before, mut index) = self.read_index_and_bytes()?;
            let outcome = change(&mut index)?;
            let after = index.print();
            if after == before || self.replace_index(&before, &after)? == Replaced::Done {
                return Ok(outcome);
            }
        }
        Err(Error::Unsteady { file: self.path().join(INDEX) }.into())
    }

    fn replace_index(&self, before: &[u8], after: &[u8]) -> Result<Replaced> {
        let folder = self.folder();
        let mut temp = folder.create_temp()?;
        temp.write_all(after).map_err(|error| orlop_fs::Error::io("write", folder.shown(INDEX), error))?;
        temp.file().set_mode(folder.stat(INDEX)?.mode)?;
        temp.file().sync_data()?;
        if self.read_file(INDEX, self.limits.document)? != before {
            return Ok(Replaced::Disturbed);
        }
        temp.persist(INDEX, Persist::Replace)?;
        folder.sync()?;
        Ok(Replaced::Done)
    }
}

#[derive(PartialEq, Eq)]
enum Replaced {
    Done,
    /// A program that knows no lock wrote in between.
    Disturbed,
}
