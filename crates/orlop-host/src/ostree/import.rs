//! The contents of an image's layers as objects, while the layers are decoded.
//!
//! ```text
//! layer ──decode──► Layer: header + content ──► staged object, its id by ordinal
//!             └───► tree ─┐
//! trees ──────────stack───┴──► write_tree: ids by Content ──► root
//!                    └──► what no name of the merged tree leads to is forgotten
//! ```
//!
//! Invariant: each content is read once. Nothing is published of a layer that was not proven, and no file that a higher
//! layer replaced.

use super::flavour::Flavour;
use super::id::{Kind as ObjectKind, ObjectId, ObjectName};
use super::repo::{FileWriter, Transaction};
use crate::error::Error;
use orlop_layer::decode::Visit;
use orlop_layer::tree::{Content, InodeKind, Tree};
use orlop_layer::{Entry, Error as LayerError, Kind};
use orlop_spec::Fault;
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

/// Contents on their way into a repository.
pub struct Arrivals<'t> {
    transaction: &'t Transaction<'t>,
    flavour: Flavour,
    /// By layer: ordinals and ids, in the order of the ordinals.
    layers: Mutex<BTreeMap<u16, Vec<(u32, ObjectId)>>>,
}

/// Takes the contents of one layer.
pub struct Layer<'a> {
    arrivals: &'a Arrivals<'a>,
    number: u16,
    open: Option<(u32, FileWriter<'a>)>,
    ids: Vec<(u32, ObjectId)>,
}

impl<'t> Arrivals<'t> {
    /// None yet.
    pub fn new(transaction: &'t Transaction<'t>, flavour: Flavour) -> Self {
        Self { transaction, flavour, layers: Mutex::default() }
    }

    /// What takes the contents of a layer. They count once that was proven.
    pub fn layer(&'t self, number: u16) -> Layer<'t> {
        Layer { arrivals: self, number, open: None, ids: Vec::new() }
    }

    /// All ids, once every layer was taken.
    pub fn into_ids(self) -> Ids {
        Ids(self.layers.into_inner().expect("no holder panics"))
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
        for (_, id) in self.0.values().flatten().filter(|(_, id)| !winners.contains(id)) {
            transaction.forget(&ObjectName::new(*id, ObjectKind::File))?;
        }
        Ok(())
    }
}

impl Layer<'_> {
    fn close(&mut self) -> Result<(), LayerError> {
        if let Some((ordinal, writer)) = self.open.take() {
            self.ids.push((ordinal, writer.finish().map_err(failed)?));
        }
        Ok(())
    }
}

impl Visit for Layer<'_> {
    fn entry(&mut self, ordinal: u32, _: u64, entry: &Entry) -> Result<(), LayerError> {
        self.close()?;
        if let Kind::File { size } = entry.kind {
            let Arrivals { transaction, flavour, .. } = self.arrivals;
            let writer = transaction.file(&flavour.file(&entry.meta), size).map_err(failed)?;
            self.open = Some((ordinal, writer));
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        match &mut self.open {
            Some((_, writer)) => writer.take(bytes).map_err(failed),
            None => Ok(()),
        }
    }

    fn hole(&mut self, length: u64) -> Result<(), LayerError> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        let mut left = length;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.data(&ZEROS[..count])?;
            left -= count as u64;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), LayerError> {
        self.close()?;
        let ids = std::mem::take(&mut self.ids);
        self.arrivals.layers.lock().expect("no holder panics").insert(self.number, ids);
        Ok(())
    }
}

fn failed(error: Error) -> LayerError {
    LayerError::Write(Fault::from(error).into())
}
