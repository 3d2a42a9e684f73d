//! The layer that a delta is made of, cut where its files begin and end.
//!
//! ```text
//! layer:   header │ content of a │ padding, header │ content of b │ padding …
//!          └ framing             └ framing                        └ framing
//! ```
//!
//! Invariant: the segments, one after the other, are the uncompressed layer. The spool holds what the older tree has not.

use super::older::{Files, Output};
use orlop_fs::File;
use orlop_layer::decode::Visit;
use orlop_layer::{Entry, Error as LayerError, Kind, TreePath};
use orlop_spec::{Algorithm, Hasher};

/// Takes a layer as it is decoded.
pub struct Newer<'a> {
    files: &'a Files,
    spool: Output,
    segments: Vec<Segment>,
    current: Option<Current>,
}

/// A piece of the layer.
#[derive(Debug)]
pub(super) enum Segment {
    /// So many bytes of the spool that are no content.
    Framing(u64),
    /// So many bytes of the spool, which are the content of the file at the path.
    File(TreePath, u64),
    /// What a file of the older tree holds.
    Same(usize),
}

struct Current {
    path: TreePath,
    from: u64,
    hasher: Hasher,
}

impl<'a> Newer<'a> {
    /// Keeps what `files` do not hold in `spool`, which nobody else uses.
    pub fn new(files: &'a Files, spool: File) -> Self {
        Self { files, spool: Output::new(spool), segments: Vec::new(), current: None }
    }

    pub(super) fn into_parts(self) -> (&'a Files, File, Vec<Segment>) {
        (self.files, self.spool.into_file(), self.segments)
    }

    /// Ends the content under way.
    fn close(&mut self) {
        let Some(Current { path, from, hasher }) = self.current.take() else { return };
        let size = self.spool.at() - from;
        if size == 0 {
            return;
        }
        // To open a file takes its path, and a few bytes more.
        let is_worth_it = size > path.as_bytes().len() as u64 + 8;
        match self.files.same(&path, &hasher.finish()).filter(|_| is_worth_it) {
            Some(number) => {
                self.spool.rewind(from);
                self.segments.push(Segment::Same(number));
            }
            None => self.segments.push(Segment::File(path, size)),
        }
    }
}

impl Visit for Newer<'_> {
    fn entry(&mut self, _: u32, _: u64, entry: &Entry) -> Result<(), LayerError> {
        self.close();
        if matches!(entry.kind, Kind::File { .. }) {
            let (path, hasher) = (entry.path.clone(), Hasher::new(Algorithm::Sha256));
            self.current = Some(Current { path, from: self.spool.at(), hasher });
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        if let Some(current) = &mut self.current {
            current.hasher.update(bytes);
        }
        self.spool.write(bytes)
    }

    /// A hole is not stored: nothing of it is in the layer.
    fn hole(&mut self, _: u64) -> Result<(), LayerError> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), LayerError> {
        self.close();
        self.spool.end()
    }

    fn wants_literals(&self) -> bool {
        true
    }

    fn literal(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        match &mut self.current {
            // The last header of the file.
            Some(current) if current.from == self.spool.at() => current.from += bytes.len() as u64,
            _ => self.close(),
        }
        self.spool.write(bytes)?;
        match self.segments.last_mut() {
            Some(Segment::Framing(count)) => *count += bytes.len() as u64,
            _ => self.segments.push(Segment::Framing(bytes.len() as u64)),
        }
        Ok(())
    }
}
