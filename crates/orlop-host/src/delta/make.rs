//! A delta is made: each file of the layer that the older tree does not hold is compared with the most similar one there.
//!
//! ```text
//! segments ──► window (≤ 16 MiB) ──► source by chunks or name ──► parts ─┐  as many at once as there are workers
//!    └───────────────────────────────────────────────────────────────────┴─► Script, in the order of the layer
//! ```
//!
//! Invariant: memory is at most about 80 MiB for each worker, and what the older image's lists take, however large files are.

use super::apply::Sources as _;
use super::chunk::{Chunk, Chunker};
use super::newer::{Newer, Segment};
use super::older::Files;
use super::operation::Script;
use super::pair::{self, How, Part};
use crate::error::Error;
use orlop_fs::File;
use orlop_layer::{Error as LayerError, TreePath};
use orlop_spec::{Cancel, Fault};
use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a file that are compared at once.
const WINDOW: usize = 16 << 20;
/// Bytes of the older file that they are compared with, at most.
const SOURCE: u64 = 32 << 20;
/// So much more than what is compared, the older part may be.
const SLACK: u64 = 1 << 20;
/// Windows that are compared before any of them is written.
const BATCH: usize = 1024;

/// How a delta is made.
#[derive(Clone, Copy)]
pub struct Make<'a> {
    /// Level of its compression, from 1 to 22.
    pub level: u8,
    /// Threads that compare at once.
    pub workers: NonZeroUsize,
    /// Looked at once per window.
    pub cancel: &'a Cancel,
    /// Told how many bytes of the layer were taken care of since the last call.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// Writes the delta of a layer that was decoded and proven.
pub fn make<W: Write>(newer: Newer<'_>, how: &Make<'_>, out: W) -> Result<W, Error> {
    let (files, spool, segments) = newer.into_parts();
    let making = Making { files, spool: &spool, how };
    let mut script = Script::new(how.level, out).map_err(LayerError::Write)?;
    let mut at = 0;
    let mut batch = Vec::new();
    let mut held = 0;
    for segment in segments {
        for step in steps(segment, &mut at) {
            held += step.weight();
            batch.push(step);
            if held > (WINDOW * how.workers.get()) as u64 || batch.len() == BATCH {
                making.batch(&batch, &mut script)?;
                batch.clear();
                held = 0;
            }
        }
    }
    making.batch(&batch, &mut script)?;
    Ok(script.finish().map_err(LayerError::Write)?)
}

/// What is done in one go.
enum Step {
    /// Bytes of the spool are given as they are.
    Framing(Range<u64>),
    /// A file of the older tree is.
    Same(usize),
    /// Bytes of the spool, from byte `at` on of the file at the path, are compared.
    Window { path: TreePath, at: u64, size: u64, spool: Range<u64> },
}

impl Step {
    /// Bytes that are held for it.
    fn weight(&self) -> u64 {
        match self {
            Self::Window { spool, .. } => spool.end - spool.start,
            Self::Framing(_) | Self::Same(_) => 0,
        }
    }
}

/// The steps of a segment that lies at `from` of the spool.
fn steps(segment: Segment, from: &mut u64) -> Vec<Step> {
    let start = *from;
    match segment {
        Segment::Same(number) => vec![Step::Same(number)],
        Segment::Framing(count) => {
            *from += count;
            vec![Step::Framing(start..*from)]
        }
        Segment::File(path, size) => {
            *from += size;
            let starts = (0..size).step_by(WINDOW);
            let window = |at| {
                let spool = start + at..start + size.min(at + WINDOW as u64);
                Step::Window { path: path.clone(), at, size, spool }
            };
            starts.map(window).collect()
        }
    }
}

struct Making<'a> {
    files: &'a Files,
    spool: &'a File,
    how: &'a Make<'a>,
}

/// What a window is made of.
struct Solved {
    /// The bytes of the window; those that are added to the source's are the differences already.
    bytes: Vec<u8>,
    /// The source, and where it was read from; nothing where all bytes are new.
    source: Option<(usize, u64)>,
    parts: Vec<Part>,
}

impl Making<'_> {
    /// Compares all windows of a batch, and then writes them in their order.
    fn batch<W: Write>(&self, steps: &[Step], script: &mut Script<W>) -> Result<(), Error> {
        let slots: Vec<Mutex<Option<Solved>>> = steps.iter().map(|_| Mutex::new(None)).collect();
        let windows: Vec<usize> =
            (0..steps.len()).filter(|at| matches!(steps[*at], Step::Window { .. })).collect();
        self.in_parallel(&windows, |at| {
            if let Step::Window { path, at: offset, size, spool } = &steps[at] {
                let solved = self.solve(path, *offset, *size, spool)?;
                *slots[at].lock().expect("no holder panics") = Some(solved);
            }
            Ok(())
        })?;
        for (step, slot) in steps.iter().zip(slots) {
            let solved = slot.into_inner().expect("no holder panics");
            self.write(step, solved, script)?;
        }
        Ok(())
    }

    fn write<W: Write>(
        &self,
        step: &Step,
        solved: Option<Solved>,
        script: &mut Script<W>,
    ) -> Result<(), Error> {
        match (step, solved) {
            (Step::Framing(range), _) => {
                let mut at = range.start;
                while at < range.end {
                    let bytes = self.bytes(at..range.end.min(at + (1 << 20)))?;
                    script.data(&bytes).map_err(LayerError::Write)?;
                    at += bytes.len() as u64;
                }
                (self.how.progress)(range.end - range.start);
            }
            (Step::Same(number), _) => {
                let source = self.files.source(*number);
                script.copy(&source.path, 0, source.place.size).map_err(LayerError::Write)?;
                (self.how.progress)(source.place.size);
            }
            (Step::Window { .. }, Some(solved)) => {
                self.parts(&solved, script).map_err(LayerError::Write)?;
                (self.how.progress)(solved.bytes.len() as u64);
            }
            (Step::Window { .. }, None) => unreachable!("every window of a batch was solved"),
        }
        Ok(())
    }

    fn parts<W: Write>(&self, solved: &Solved, script: &mut Script<W>) -> std::io::Result<()> {
        let Some((number, from)) = solved.source else { return script.data(&solved.bytes) };
        let path = &self.files.source(number).path;
        for Part { target, how } in &solved.parts {
            let bytes = &solved.bytes[target.clone()];
            match how {
                How::Data => script.data(bytes)?,
                How::Copy(at) => script.copy(path, from + *at as u64, bytes.len() as u64)?,
                How::Add(at) => script.add(path, from + *at as u64, bytes)?,
            }
        }
        Ok(())
    }

    /// Compares a window with the most similar part of the older tree.
    fn solve(&self, path: &TreePath, at: u64, size: u64, spool: &Range<u64>) -> Result<Solved, Error> {
        self.how.cancel.check().map_err(|cancelled| LayerError::Read(Fault::from(cancelled).into()))?;
        let mut bytes = self.bytes(spool.clone())?;
        let Some((number, range)) = self.source(path, at, size, &bytes) else {
            return Ok(Solved { bytes, source: None, parts: Vec::new() });
        };
        let mut source = vec![0; length(&range)];
        self.files.read(self.files.source(number).place, range.start, &mut source)?;
        let parts = pair::parts(&source, &bytes);
        for Part { target, how } in &parts {
            if let How::Add(from) = how {
                for (byte, old) in bytes[target.clone()].iter_mut().zip(&source[*from..]) {
                    *byte = byte.wrapping_sub(*old);
                }
            }
        }
        let is_new = parts.iter().all(|part| part.how == How::Data);
        Ok(Solved { bytes, source: (!is_new).then_some((number, range.start)), parts })
    }

    /// The older file that has the most chunks of the window, and which part of it is to be compared; where few are known,
    /// the one that has its name.
    fn source(&self, path: &TreePath, at: u64, size: u64, bytes: &[u8]) -> Option<(usize, Range<u64>)> {
        let found = self.voted(bytes);
        let named = self.files.named_like(path, size).map(|number| (number, at.cast_signed()));
        let enough = if named.is_some() { bytes.len() as u64 / 4 } else { 1 };
        let (number, begins) = match found {
            Some((votes, number, shift)) if votes >= enough => (number, shift),
            _ => named?,
        };
        let whole = self.files.source(number).place.size;
        let most = (4 * bytes.len() as u64 + SLACK).min(SOURCE);
        let spare = most.saturating_sub(bytes.len() as u64) / 2;
        let last = whole.saturating_sub(most);
        let start = u64::try_from(begins).unwrap_or(0).saturating_sub(spare).min(last);
        Some((number, start..whole.min(start + most)))
    }

    /// The file that has the most bytes of the window in its chunks: how many, which one, and where the window would begin in
    /// it by the middle one of them.
    fn voted(&self, bytes: &[u8]) -> Option<(u64, usize, i64)> {
        let mut votes: BTreeMap<usize, (u64, Vec<i64>)> = BTreeMap::new();
        let mut vote = |chunk: Chunk| {
            let mut last = None;
            for (number, at) in self.files.having(chunk.name) {
                let (sum, shifts) = votes.entry(number).or_default();
                if last.replace(number) != Some(number) {
                    *sum += chunk.length;
                    shifts.push(at.cast_signed() - chunk.at.cast_signed());
                }
            }
        };
        let mut chunker = Chunker::default();
        chunker.push(bytes, &mut vote);
        chunker.finish(&mut vote);
        let best = votes.into_iter().max_by_key(|(number, (sum, _))| (*sum, std::cmp::Reverse(*number)));
        let (number, (sum, mut shifts)) = best?;
        shifts.sort_unstable();
        Some((sum, number, shifts[shifts.len() / 2]))
    }

    fn bytes(&self, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length(&range)];
        if self.spool.read_at(&mut bytes, range.start)? < bytes.len() {
            return Err(LayerError::Read(std::io::ErrorKind::UnexpectedEof.into()).into());
        }
        Ok(bytes)
    }

    /// Does `work` for every item; the first error ends it.
    fn in_parallel(
        &self,
        items: &[usize],
        work: impl Fn(usize) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        let lane = || {
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = work(*item) {
                    next.store(items.len(), Ordering::Relaxed);
                    failed.lock().expect("no holder panics").get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.how.workers.get().min(items.len()) {
                scope.spawn(lane);
            }
            lane();
        });
        failed.into_inner().expect("no holder panics").map_or(Ok(()), Err)
    }
}

/// Bytes of a range that is held in memory.
fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).expect("windows and their sources are small")
}
