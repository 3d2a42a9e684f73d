//! Looks at the objects that hold the contents of a tree: are they what they are called?
//!
//! Invariant: what is as an earlier look saw it is not read; everything else is hashed whole. Nothing is changed, and no
//! time is set, so a look protects from no sweep: whoever looks relies on the lists.

use super::layer::LONGEST_HELD;
use super::objects::{Object, split};
use super::{Store, format};
use orlop_fs::verify::{Fact, Of, Seen, is_settled};
use orlop_fs::{Dir, File, Stat};
use orlop_layer::Time;
use orlop_layer::manifest::{NodeId, TreeManifest, What};
use orlop_spec::digest::{Algorithm, Digest, Hasher};
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Fault};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of an object that are read at once.
const PIECE: usize = 256 << 10;

/// How objects are looked at.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// How many threads look.
    pub workers: NonZeroUsize,
    /// What an earlier look saw.
    pub seen: Option<&'a Seen>,
    /// A time before the look, by the clock of the file system; without it nothing is noted.
    pub now: Option<Time>,
    /// Looked at once per buffer.
    pub cancel: &'a Cancel,
    /// Told how many bytes were read since the last call.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// What a look at objects came to.
#[derive(Debug)]
pub struct Looked {
    /// Objects that are not what they should be, by their digests.
    pub harmed: Vec<(Object, Harm)>,
    /// What was seen, for the next look.
    pub seen: Seen,
}

/// What is wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// It is not there.
    Missing,
    /// It has other bytes.
    Damaged,
}

impl Store {
    /// Looks at the objects that hold the contents of a tree.
    pub fn look_at_objects(&self, manifest: &TreeManifest, look: &Look<'_>) -> Result<Looked> {
        let objects = objects(manifest);
        let shards: Vec<&[(NodeId, Object)]> =
            objects.chunk_by(|(_, one), (_, next)| one.digest.bytes()[0] == next.digest.bytes()[0]).collect();
        let next = AtomicUsize::new(0);
        let looked = Mutex::new(Looked { harmed: Vec::new(), seen: Seen::none(manifest, Of::Objects) });
        let work = || {
            while let Some(shard) = shards.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.look_at_shard(shard, look, &looked)?;
            }
            Ok(())
        };
        let outcome: Result<()> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..look.workers.get()).map(|_| scope.spawn(work)).collect();
            let own = work();
            let join = |other: std::thread::ScopedJoinHandle<'_, Result<()>>| {
                other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            others.into_iter().map(join).fold(own, Result::and)
        });
        outcome?;
        let mut looked = looked.into_inner().expect("no holder panics");
        looked.harmed.sort_by_key(|(object, _)| object.digest);
        Ok(looked)
    }

    /// Objects of one folder.
    fn look_at_shard(
        &self,
        shard: &[(NodeId, Object)],
        look: &Look<'_>,
        looked: &Mutex<Looked>,
    ) -> Result<()> {
        let Some((_, first)) = shard.first() else { return Ok(()) };
        let folder = match self.root().open_dir(format::OBJECTS)?.open_dir(split(&first.digest).0) {
            Err(error) if error.is_not_found() => None,
            opened => Some(opened?),
        };
        for (id, object) in shard {
            look.cancel.check().map_err(Fault::from)?;
            let found = match &folder {
                None => Err(Harm::Missing),
                Some(folder) => look_at(folder, object, look.seen.and_then(|seen| seen.get(*id)), look)?,
            };
            let mut looked = looked.lock().expect("no holder panics");
            match found {
                Err(harm) => looked.harmed.push((*object, harm)),
                Ok(stat) if look.now.is_some_and(|now| is_settled(stat.ctime, now)) => {
                    looked.seen.note(*id, Fact::of(&stat));
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// Each object of a tree once, sorted, with the first node that has it.
fn objects(manifest: &TreeManifest) -> Vec<(NodeId, Object)> {
    let files = manifest.ids().filter_map(|id| match manifest.node(id).what {
        What::File { size, sha256 } if size > LONGEST_HELD => {
            Some((id, Object { digest: Digest::from_bytes(Algorithm::Sha256, &sha256)?, size }))
        }
        _ => None,
    });
    let mut objects: Vec<_> = files.collect();
    objects.sort_by(|(_, one), (_, other)| one.digest.bytes().cmp(other.digest.bytes()));
    objects.dedup_by(|(_, next), (_, one)| next.digest == one.digest);
    objects
}

/// What is known about an object that is what it should be.
fn look_at(
    folder: &Dir,
    object: &Object,
    seen: Option<Fact>,
    look: &Look<'_>,
) -> Result<std::result::Result<Stat, Harm>> {
    let name = split(&object.digest).1;
    let Some(stat) = folder.try_stat(&name)? else { return Ok(Err(Harm::Missing)) };
    if seen == Some(Fact::of(&stat)) {
        return Ok(Ok(stat));
    }
    let file = match folder.open_file(&name) {
        Err(error) if error.is_not_found() => return Ok(Err(Harm::Missing)),
        Err(orlop_fs::Error::NotRegular(_)) => return Ok(Err(Harm::Damaged)),
        opened => opened?,
    };
    // Before it is read: what changes while it is has another time afterwards.
    let stat = file.stat()?;
    let is_whole = stat.size == object.size && hash(&file, look)? == object.digest;
    Ok(if is_whole { Ok(stat) } else { Err(Harm::Damaged) })
}

fn hash(file: &File, look: &Look<'_>) -> Result<Digest> {
    let (mut hasher, mut at, mut buffer) = (Hasher::new(Algorithm::Sha256), 0, vec![0; PIECE]);
    loop {
        look.cancel.check().map_err(Fault::from)?;
        match file.read_at(&mut buffer, at)? {
            0 => return Ok(hasher.finish()),
            count => {
                hasher.update(&buffer[..count]);
                (look.progress)(count as u64);
                at += count as u64;
            }
        }
    }
}
