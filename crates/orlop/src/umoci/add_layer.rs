//! `umoci raw add-layer`: a tar as it is, as one layer on top of an image.
//!
//! Invariant: the diff id is the digest of the file; what is no tar, or one with names that no tree has, is refused before
//! anything is written.

use super::repack::Told;
use super::{SIZE, append};
use crate::edit::{Piece, Revision, Step, fitting, sized};
use crate::form::Form;
use orlop_fs::File;
use orlop_layer::codec::Codec;
use orlop_layer::encode::{Compressed, recompress};
use orlop_layer::{Entries as _, tar};
use orlop_spec::port::{Result, Sink};
use orlop_spec::{Algorithm, Context, Event};
use std::io::{BufReader, Read as _, Seek as _, Write as _};
use std::path::PathBuf;

/// A tar that becomes a layer: a step of an edit.
#[derive(Clone, Debug)]
pub struct AddLayer {
    /// The file, not compressed.
    pub tar: PathBuf,
    /// How the layer is compressed; as the topmost one that is compressed where nothing is said.
    pub codec: Option<Codec>,
    /// What the history tells of it, where it tells anything.
    pub history: Option<Told>,
}

impl Step for AddLayer {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, to: &dyn Sink) -> Result<()> {
        let mut file = File::open(&self.tar)?;
        let size = prove(cx, &file)?;
        let begin = file.rewind();
        begin.map_err(|error| orlop_fs::Error::io("read", file.shown().as_bytes(), error))?;
        let codec = self.codec.unwrap_or_else(|| fitting(revision));
        let item = self.tar.display().to_string();
        cx.observer.event(Event::Started { phase: "append", item: item.clone(), total: Some(size) });
        let progress = |bytes| cx.observer.event(Event::Advanced { item: item.clone(), bytes });
        let form = Form { codec, algorithm: Algorithm::Sha256 };
        let how = form.encode(cx, &progress);
        let mut out = to.begin(&how.hints())?;
        // No more than was looked at, should the file grow meanwhile.
        let layer = recompress(&mut BufReader::new(file.take(size)), &how, &mut out)?;
        out.flush().map_err(orlop_layer::Error::Write)?;
        out.commit(&layer.blob)?;
        cx.observer.event(Event::Finished { item });
        let Compressed { blob, diff_id, size } = layer;
        let step = self.history.as_ref().map(|told| told.step(revision.config()));
        append(cx, revision, Piece::made(sized(blob, size, SIZE), diff_id), step);
        Ok(())
    }
}

/// Reads the whole tar; gives its size.
fn prove(cx: &Context<'_>, file: &File) -> Result<u64> {
    let mut reader = tar::Reader::new(BufReader::with_capacity(1 << 18, file.try_clone()?), cx.limits);
    while reader.next_entry()?.is_some() {
        cx.cancel.check()?;
    }
    Ok(file.size()?)
}
