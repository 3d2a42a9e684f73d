//! The contents of an image's layers as objects, while the layers are decoded.
//!
//! ```text
//! layer ──decode──► Layer ──batches, large files──► Queue ──► workers: hash, compress, stage ──► ids by ordinal
//!             └───► tree ─┐
//! trees ──────────stack───┴──► write_tree: ids by Content ──► root
//!                    └──► what no name of the merged tree leads to is forgotten
//! ```
//!
//! Invariant: each content is read once. Nothing is published of a layer that was not proven, and no file that another
//! one replaced.

mod queue;

use super::flavour::Flavour;
use super::id::{Kind as ObjectKind, ObjectId, ObjectName};
use super::object::FileHeader;
use super::repo::{FileWriter, SMALL, Transaction};
use super::zeros::feed_zeros;
use crate::error::Error;
use orlop_layer::decode::Visit;
use orlop_layer::tree::{Content, InodeKind, Tree};
use orlop_layer::{Entry, Error as LayerError, Kind};
use orlop_spec::port::Result as PortResult;
use orlop_spec::{Context, Fault};
use queue::{Batch, Job, Queue, Sending};
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

/// Contents on their way into a repository.
pub struct Arrivals<'t> {
    cx: Context<'t>,
    transaction: &'t Transaction<'t>,
    flavour: Flavour,
    queue: Queue<'t>,
    /// By layer: ordinals and ids.
    layers: Mutex<BTreeMap<u16, Vec<(u32, ObjectId)>>>,
}

/// Takes the contents of one layer.
pub struct Layer<'a, 't> {
    arrivals: &'a Arrivals<'t>,
    batch: Batch,
    open: Open<'t>,
}

/// The file whose content comes.
enum Open<'t> {
    /// None, or one without content.
    None,
    /// The last of the batch.
    Small,
    /// Where there is no other thread.
    Own(u32, FileWriter<'t>),
    /// Another thread takes it.
    Sent(Sending),
}

/// Takes the contents of layers while `decode` decodes them: gives what that gives, and all ids.
pub fn take<T>(
    cx: &Context<'_>,
    transaction: &Transaction<'_>,
    flavour: Flavour,
    decode: impl FnOnce(&Arrivals<'_>) -> PortResult<T>,
) -> PortResult<(T, Ids)> {
    let queue = Queue::new(cx.workers);
    let arrivals = Arrivals { cx: *cx, transaction, flavour, queue, layers: Mutex::default() };
    let decoded = std::thread::scope(|scope| {
        for _ in 0..arrivals.queue.workers() {
            scope.spawn(|| arrivals.work());
        }
        let _closing = arrivals.queue.closing();
        decode(&arrivals)
    });
    // Where a worker failed, whoever handed it something was told no more than that.
    arrivals.queue.into_failure()?;
    let mut ids = arrivals.layers.into_inner().expect("no holder panics");
    for ids in ids.values_mut() {
        ids.sort_unstable();
    }
    Ok((decoded?, Ids(ids)))
}

impl<'t> Arrivals<'t> {
    /// What takes the contents of a layer. They count once that was proven.
    pub fn layer(&self, number: u16) -> Layer<'_, 't> {
        Layer { arrivals: self, batch: Batch::new(number), open: Open::None }
    }

    /// One thread's work, until there is none left.
    fn work(&self) {
        let _closing = self.queue.closing();
        while let Some(job) = self.queue.next() {
            if let Err(error) = self.run(job) {
                self.queue.fail(error);
            }
        }
    }

    fn run(&self, job: Job<'_>) -> Result<(), Error> {
        match job {
            Job::Files(batch) => self.put(&batch).map(|()| self.queue.give_back(batch)),
            Job::Large(large) => {
                let (layer, ordinal) = (large.layer, large.ordinal);
                if let Some(id) = large.write()? {
                    self.record(layer, [(ordinal, id)]);
                }
                Ok(())
            }
        }
    }

    fn put(&self, batch: &Batch) -> Result<(), Error> {
        let put = |file: &queue::Small| {
            let id = self.transaction.put_file(&file.header, &batch.bytes[file.range.clone()])?;
            Ok((file.ordinal, id))
        };
        let ids = batch.files.iter().map(put).collect::<Result<Vec<_>, Error>>()?;
        self.record(batch.layer, ids);
        Ok(())
    }

    fn record(&self, layer: u16, ids: impl IntoIterator<Item = (u32, ObjectId)>) {
        self.layers.lock().expect("no holder panics").entry(layer).or_default().extend(ids);
    }
}

/// The ids of the files of layers.
#[derive(Clone, Debug, Default)]
pub struct Ids(BTreeMap<u16, Vec<(u32, ObjectId)>>);

impl Ids {
    /// The file that a content became.
    pub fn get(&self, content: &Content) -> Option<ObjectId> {
        let ids = self.0.get(&content.layer)?;
        let at = ids.binary_search_by_key(&content.ordinal, |(ordinal, _)| *ordinal).ok()?;
        Some(ids[at].1)
    }

    /// Takes back the files that no name of the merged tree leads to.
    pub fn forget_losers(&self, transaction: &Transaction<'_>, merged: &Tree) -> Result<(), Error> {
        let winners: HashSet<ObjectId> = merged
            .walk()
            .filter_map(|(_, id)| match &merged.inode(id).kind {
                InodeKind::File(content) => self.get(content),
                _ => None,
            })
            .collect();
        self.forget_all_but(transaction, &winners)
    }

    /// Takes back all other files.
    pub fn forget_all_but(
        &self,
        transaction: &Transaction<'_>,
        winners: &HashSet<ObjectId>,
    ) -> Result<(), Error> {
        for (_, id) in self.0.values().flatten().filter(|(_, id)| !winners.contains(id)) {
            transaction.forget(&ObjectName::new(*id, ObjectKind::File))?;
        }
        Ok(())
    }
}

impl Layer<'_, '_> {
    fn begin(&mut self, ordinal: u32, header: FileHeader, size: u64) -> Result<(), LayerError> {
        let Arrivals { transaction, queue, .. } = self.arrivals;
        if size <= SMALL {
            self.batch.begin(ordinal, header);
            self.open = Open::Small;
            return Ok(());
        }
        let writer = transaction.file(&header, size).map_err(failed)?;
        if queue.workers() == 0 {
            self.open = Open::Own(ordinal, writer);
            return Ok(());
        }
        let (sending, large) = queue::large(self.batch.layer, ordinal, writer);
        self.open = Open::Sent(sending);
        queue.push(Job::Large(large))
    }

    fn close(&mut self) -> Result<(), LayerError> {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::Small if self.batch.is_full() => self.flush(),
            Open::None | Open::Small => Ok(()),
            Open::Own(ordinal, writer) => {
                let id = writer.finish().map_err(failed)?;
                self.arrivals.record(self.batch.layer, [(ordinal, id)]);
                Ok(())
            }
            Open::Sent(sending) => sending.end(),
        }
    }

    /// Hands the batch on.
    fn flush(&mut self) -> Result<(), LayerError> {
        let Arrivals { queue, .. } = self.arrivals;
        if queue.workers() > 0 {
            let next = queue.lend(self.batch.layer);
            return queue.push(Job::Files(std::mem::replace(&mut self.batch, next)));
        }
        self.arrivals.put(&self.batch).map_err(failed)?;
        self.batch.clear();
        Ok(())
    }
}

impl Visit for Layer<'_, '_> {
    fn entry(&mut self, ordinal: u32, _: u64, entry: &Entry) -> Result<(), LayerError> {
        self.close()?;
        match entry.kind {
            Kind::File { size } => self.begin(ordinal, self.arrivals.flavour.file(&entry.meta), size),
            _ => Ok(()),
        }
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        match &mut self.open {
            Open::None => Ok(()),
            Open::Small => {
                self.batch.take(bytes);
                Ok(())
            }
            Open::Own(_, writer) => writer.take(bytes).map_err(failed),
            Open::Sent(sending) => sending.send(bytes),
        }
    }

    fn hole(&mut self, length: u64) -> Result<(), LayerError> {
        feed_zeros(length, self.arrivals.cx.cancel, |zeros| self.data(zeros))
    }

    fn end(&mut self) -> Result<(), LayerError> {
        self.close()?;
        self.flush()
    }
}

fn failed(error: Error) -> LayerError {
    LayerError::Write(Fault::from(error).into())
}
