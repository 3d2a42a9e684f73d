//! Moving names, and removing what no name reaches.

use super::{BLOBS, Layout};
use crate::reach::{self, Damage};
use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, FileKind, Stat, temp};
use orlop_layer::Time;
use orlop_spec::port::{Keeper, Name, Result, Selector, Sweep, Swept};
use orlop_spec::{AnyDigest, Descriptor};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

impl Keeper for Layout {
    fn assign(&self, name: &Name, root: &Descriptor) -> Result<()> {
        let _no_sweep = self.folder().lock(Share::Shared, Wait::Yes)?;
        self.open_blob(root)?;
        self.change_index(&mut |index| Ok(index.publish(&[(name.clone(), root.clone())])?))
    }

    fn forget(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let _no_sweep = self.folder().lock(Share::Shared, Wait::Yes)?;
        self.change_index(&mut |index| Ok(index.forget(self.path(), selector)?))
    }

    fn sweep(&self, grace: Duration, mode: Sweep) -> Result<Swept> {
        let _alone = self.folder().lock(Share::Exclusive, Wait::Yes)?;
        let index = self.read_index()?;
        index.all_readable(self.path())?;
        let roots = index.entries().iter().map(|(_, root)| root.clone());
        let kept = reach::reach(self, &self.limits, roots, Damage::Refuse, &mut |_, _| ())?;
        let pinned = pinned(self.folder())?;
        let oldest = before(self.now, grace);
        let mut broom = Broom { mode, oldest, kept, pinned, swept: Swept::default() };
        broom.litter(self.folder())?;
        for algorithm in algorithms(&self.folder().open_dir(BLOBS)?)? {
            broom.blobs(&algorithm)?;
            broom.litter(&algorithm.folder)?;
        }
        Ok(broom.swept)
    }
}

struct Broom {
    mode: Sweep,
    /// What changed later is young.
    oldest: Time,
    kept: BTreeSet<AnyDigest>,
    /// What symbolic links among the blobs lead to.
    pinned: HashSet<Identity>,
    swept: Swept,
}

impl Broom {
    /// What killed writers left: no writer is at work now.
    fn litter(&mut self, folder: &Dir) -> Result<()> {
        for name in folder.list()?.iter().filter(|name| temp::is_temp_name(name)) {
            self.swept.litter += 1;
            self.remove(folder, name)?;
        }
        Ok(())
    }

    fn blobs(&mut self, algorithm: &AlgorithmFolder) -> Result<()> {
        for name in algorithm.folder.list()? {
            let Some(digest) = algorithm.digest(&name) else { continue };
            let stat = algorithm.folder.stat(&name)?;
            if stat.kind != FileKind::File
                || self.kept.contains(&digest)
                || self.pinned.contains(&identity(&stat))
            {
                continue;
            }
            if stat.mtime > self.oldest {
                self.swept.young += 1;
                continue;
            }
            self.swept.removed.push((digest, stat.size));
            self.remove(&algorithm.folder, &name)?;
        }
        Ok(())
    }

    fn remove(&self, folder: &Dir, name: &[u8]) -> Result<()> {
        if self.mode == Sweep::Remove {
            folder.remove_file(name)?;
        }
        Ok(())
    }
}

/// One folder of `blobs/`.
struct AlgorithmFolder {
    name: Box<[u8]>,
    folder: Dir,
}

impl AlgorithmFolder {
    /// The digest that a blob's path spells; `None` for names that are no digests, which are nobody's to
    /// remove.
    fn digest(&self, name: &[u8]) -> Option<AnyDigest> {
        let text = [&self.name, b":".as_slice(), name].concat();
        std::str::from_utf8(&text).ok()?.parse().ok()
    }
}

fn algorithms(blobs: &Dir) -> Result<Vec<AlgorithmFolder>> {
    let mut found = Vec::new();
    for name in blobs.list()? {
        if blobs.stat(&name)?.kind == FileKind::Directory {
            found.push(AlgorithmFolder { folder: blobs.open_dir(&name)?, name });
        }
    }
    Ok(found)
}

/// The files that symbolic links among the blobs lead to.
fn pinned(layout: &Dir) -> Result<HashSet<Identity>> {
    let mut pinned = HashSet::new();
    for algorithm in algorithms(&layout.open_dir(BLOBS)?)? {
        for name in algorithm.folder.list()? {
            if algorithm.folder.stat(&name)?.kind == FileKind::Symlink {
                let path = [BLOBS.as_bytes(), &algorithm.name, &name].join(b"/".as_slice());
                // A link that leads nowhere, or out, holds nothing here.
                let target = layout.open_beneath(path).and_then(|file| file.stat());
                pinned.extend(target.map(|stat| identity(&stat)));
            }
        }
    }
    Ok(pinned)
}

/// Device and number: which file it is, whatever its name.
type Identity = (u64, u64);

fn identity(stat: &Stat) -> Identity {
    (stat.dev, stat.ino)
}

/// A time so much earlier.
pub(crate) fn before(now: Time, grace: Duration) -> Time {
    let seconds = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
    Time { seconds: now.seconds.saturating_sub(seconds), nanoseconds: now.nanoseconds }
}
