//! The entries of one layer out of those of the whole tree.

use crate::trees::{Reading, TreeSource};
use orlop_layer::{Chunk, Entries, Entry, Error, Kind, Time, TreePath};
use orlop_spec::digest::Digest;
use orlop_spec::{Algorithm, Context, Fault};
use std::collections::VecDeque;

/// By what a path is known again when the files are read once more.
pub(super) fn mark(path: &TreePath) -> u64 {
    let digest = Digest::of(Algorithm::Sha256, path.as_bytes());
    digest.bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Reads all files, and gives those of one layer. They are opened when the first is asked for, and closed after the last.
pub(super) struct Filtered<'a> {
    cx: Context<'a>,
    tree: &'a dyn TreeSource,
    reading: &'a Reading,
    inner: Option<Box<dyn Entries + Send + 'a>>,
    layers: &'a [(u64, u16)],
    /// Which entry comes next.
    at: usize,
    number: usize,
    top: usize,
    /// Folders that the next entry lies in, and whether they were given.
    folders: Vec<(Entry, bool)>,
    /// What is to be given before anything else is read; the content of the last one can be read.
    ready: VecDeque<Entry>,
}

impl<'a> Filtered<'a> {
    pub(super) fn new(
        cx: &Context<'a>,
        (tree, reading): (&'a dyn TreeSource, &'a Reading),
        layers: &'a [(u64, u16)],
        (number, top): (usize, usize),
    ) -> Self {
        // What is lost is told once, by whoever gives the layer on top.
        let cx = if number == top { *cx } else { Context { observer: &(), ..*cx } };
        let (folders, ready) = (Vec::new(), VecDeque::new());
        Self { cx, tree, reading, inner: None, layers, at: 0, number, top, folders, ready }
    }

    /// Takes one entry of the tree; gives whether there was one.
    fn step(&mut self) -> Result<bool, Error> {
        if self.inner.is_none() {
            let entries = self.tree.entries(&self.cx, self.reading);
            self.inner = Some(entries.map_err(|fault| Error::Read(fault.into()))?);
        }
        let inner = self.inner.as_mut().expect("it was just opened");
        let Some(entry) = inner.next_entry()? else {
            return if self.at == self.layers.len() { Ok(false) } else { Err(changed("/".into())) };
        };
        let place = self.layers.get(self.at).filter(|(path, _)| *path == mark(&entry.path));
        let (_, layer) = place.ok_or_else(|| changed(entry.path.to_string()))?;
        self.at += 1;
        let is_mine = usize::from(*layer) == self.number;
        while self.folders.last().is_some_and(|(folder, _)| !entry.path.starts_with(&folder.path)) {
            self.folders.pop();
        }
        if matches!(entry.kind, Kind::Directory) && self.number != self.top {
            self.folders.push((entry, false));
        } else if is_mine {
            for (folder, is_given) in self.folders.iter_mut().filter(|(_, is_given)| !is_given) {
                *is_given = true;
                let mut folder = folder.clone();
                folder.meta.mtime = Time::default();
                self.ready.push_back(folder);
            }
            self.ready.push_back(entry);
        }
        Ok(true)
    }
}

fn changed(path: String) -> Error {
    Error::Entry { path, what: "came or went while the files were read" }
}

impl Entries for Filtered<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        while self.ready.is_empty() {
            self.cx.cancel.check().map_err(|stop| Error::Read(Fault::from(stop).into()))?;
            if !self.step()? {
                self.inner = None;
                return Ok(None);
            }
        }
        Ok(self.ready.pop_front())
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        match &mut self.inner {
            Some(inner) if self.ready.is_empty() => inner.next_chunk(),
            _ => Ok(None),
        }
    }
}
