//! `convert`: the same files in another form.
//!
//! Law: a converted image unpacks to the same tree.

use super::family::Family;
use super::layer::{Workshop, form_like, is_free, placed};
use super::{Outlook, Piece, Revision, Step};
use crate::compress::{about_content, compress};
use crate::form::Form;
use crate::layers::Placed;
use orlop_layer::codec::{self, Codec};
use orlop_layer::{Error as LayerError, Verified};
use orlop_spec::config::History;
use orlop_spec::digest::{DiffId, Hasher};
use orlop_spec::index::Index;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Hints, Result, Sink};
use orlop_spec::{Algorithm, AnyDigest, Context, Descriptor, Digest, Event, Fault};
use std::collections::HashMap;
use std::io::{self, Read};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Changes the form of an image, and nothing that it means.
#[derive(Debug, Default)]
pub struct Convert {
    /// How layers are compressed.
    pub codec: Option<Codec>,
    /// Whose media types the image gets.
    pub family: Option<Family>,
    /// By which algorithm everything is named.
    pub algorithm: Option<Algorithm>,
    /// Layers whose blobs are larger are divided into parts of about so many bytes.
    pub layer_size: Option<NonZeroU64>,
    /// Where contents wait of layers that are divided.
    pub tmpdir: PathBuf,
    /// What was written for a layer: images of an index share some.
    done: Mutex<HashMap<(AnyDigest, DiffId), (Descriptor, DiffId)>>,
}

impl Convert {
    /// Nothing yet.
    pub fn new(tmpdir: PathBuf) -> Self {
        Self { tmpdir, ..Self::default() }
    }

    /// Whether one image can have all that is said.
    ///
    /// # Errors
    /// Unfit where Docker's media types cannot say the compression, or the algorithm.
    pub fn check(&self) -> Result<()> {
        self.family.map_or(Ok(()), |family| family.admits(self.codec, self.algorithm))
    }
}

impl Step for Convert {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, to: &dyn Sink) -> Result<()> {
        self.check()?;
        // The topmost first: what a layer means may depend on those below, which must be there to be read.
        for at in (0..revision.layers().len()).rev() {
            self.divide(cx, revision, at, to)?;
        }
        for at in 0..revision.layers().len() {
            self.layer(cx, revision, at, to)?;
        }
        self.family.map_or(Ok(()), |family| family.convert(cx, revision))
    }

    fn foresee<'r>(
        &'r self,
        cx: &Context<'_>,
        revision: &mut Revision<'r>,
        outlook: &mut Outlook,
    ) -> Result<()> {
        self.check()?;
        for at in 0..revision.layers().len() {
            let piece = &revision.layers()[at];
            if is_free(piece) && (self.divides(piece) || self.rewrites(piece)) {
                let layer = outlook.anew(piece);
                revision.exchange(at, layer);
            }
        }
        self.family.map_or(Ok(()), |family| family.convert(cx, revision))
    }

    fn keeps_meaning(&self) -> bool {
        true
    }

    fn index(&self, cx: &Context<'_>, index: &mut Index) -> Result<()> {
        self.family.map_or(Ok(()), |family| family.convert_index(cx, index))
    }

    fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    fn reads(&self) -> Option<&Path> {
        let reads = self.codec.is_some() || self.algorithm.is_some() || self.layer_size.is_some();
        reads.then_some(&self.tmpdir)
    }
}

impl Convert {
    /// Whether a layer is too large.
    fn divides(&self, piece: &Piece<'_>) -> bool {
        self.layer_size.is_some_and(|most| piece.blob().size > most.get())
    }

    /// Whether a layer gets another form.
    fn rewrites(&self, piece: &Piece<'_>) -> bool {
        let renamed = self.algorithm.is_some_and(|algorithm| !is_named_by(piece, algorithm));
        let is_so =
            self.codec.is_none() || matches!(piece, Piece::Made { codec, .. } if *codec == self.codec);
        renamed || (!is_so && is_layer(piece))
    }

    /// Divides a layer that is too large.
    fn divide(&self, cx: &Context<'_>, revision: &mut Revision<'_>, at: usize, to: &dyn Sink) -> Result<()> {
        let piece = &revision.layers()[at];
        let size = piece.blob().size;
        let Some(most) = self.layer_size.map(NonZeroU64::get) else { return Ok(()) };
        if !self.divides(piece) || !is_free(piece) {
            return Ok(());
        }
        let mut form = form_like(piece, self.codec);
        form.algorithm = self.algorithm.unwrap_or(form.algorithm);
        let workshop = Workshop::open(cx, to, &self.tmpdir)?;
        let tree = workshop.merge(revision, at..at + 1)?;
        let parts = tree.parts(share(tree.weight(), most, size))?;
        if parts.len() < 2 {
            let text = format!(
                "the layer {} is one large file, or little more, and stays whole",
                piece.blob().digest
            );
            cx.observer.event(Event::Warned(text));
            return Ok(());
        }
        let (step, count) = (step_of(revision, at), parts.len());
        let write = |(number, tree)| Ok((workshop.write(tree, &form)?, part(&step, number, count)));
        let with = (1..).zip(&parts).map(write).collect::<Result<Vec<_>>>()?;
        revision.replace(at..at + 1, with);
        Ok(())
    }

    /// Writes a layer in another form, where it is to have one.
    fn layer(&self, cx: &Context<'_>, revision: &mut Revision<'_>, at: usize, to: &dyn Sink) -> Result<()> {
        let piece = &revision.layers()[at];
        if !self.rewrites(piece) {
            return Ok(());
        }
        if !is_free(piece) {
            let text = format!("the layer {} is not to be distributed, and stays", piece.blob().digest);
            cx.observer.event(Event::Warned(text));
            return Ok(());
        }
        let key = (piece.blob().digest.clone(), piece.diff_id());
        let known = self.done.lock().expect("no holder panics").get(&key).cloned();
        let (blob, diff_id) = match known {
            Some(known) => known,
            None => self.written(cx, placed(revision, piece)?, to)?,
        };
        self.done.lock().expect("no holder panics").insert(key, (blob.clone(), diff_id));
        let annotations = match self.codec {
            Some(_) => about_content(&piece.blob().annotations),
            None => piece.blob().annotations.clone(),
        };
        let Descriptor { media_type, digest, size, .. } = blob;
        let old = piece.blob().clone();
        let blob = Descriptor { media_type, digest, size, annotations, data: None, urls: Vec::new(), ..old };
        revision.exchange(at, Piece::Made { blob, diff_id, codec: self.codec, home: None });
        Ok(())
    }

    fn written(
        &self,
        cx: &Context<'_>,
        Placed { source, layer }: Placed<'_>,
        to: &dyn Sink,
    ) -> Result<(Descriptor, DiffId)> {
        let algorithm = self.algorithm.unwrap_or_else(|| layer.diff_id.0.algorithm());
        match self.codec {
            Some(codec) => compress(
                cx,
                source,
                (layer.blob, layer.compression),
                layer.diff_id,
                &Form { codec, algorithm },
                to,
            ),
            None => rename(cx, Placed { source, layer }, algorithm, to),
        }
    }
}

/// Bytes of tar for one part, of a layer of `weight` whose blob of `size` bytes is to become blobs of at most `most`, all
/// of about one size.
fn share(weight: u64, most: u64, size: u64) -> u64 {
    weight.div_ceil(size.div_ceil(most).max(1)).max(1)
}

/// The step that made a layer.
fn step_of(revision: &Revision<'_>, at: usize) -> History {
    revision.config().history.get(revision.steps(at..at + 1).start).cloned().unwrap_or_default()
}

/// The step of one part of a layer: the first has that of the layer.
fn part(step: &History, number: usize, count: usize) -> History {
    match number {
        1 => step.clone(),
        _ => History { comment: Some(format!("part {number} of {count}").into()), ..step.clone() },
    }
}

fn is_named_by(piece: &Piece<'_>, algorithm: Algorithm) -> bool {
    let blob = piece.blob().digest.known().is_ok_and(|digest| digest.algorithm() == algorithm);
    blob && piece.diff_id().0.algorithm() == algorithm
}

fn is_layer(piece: &Piece<'_>) -> bool {
    matches!(piece.blob().media_type.role(), Role::Layer(_))
}

/// Writes the same blob under another name.
fn rename(
    cx: &Context<'_>,
    Placed { source, layer }: Placed<'_>,
    algorithm: Algorithm,
    to: &dyn Sink,
) -> Result<(Descriptor, DiffId)> {
    let item = layer.blob.digest.to_string();
    cx.observer.event(Event::Started { phase: "rename", item: item.clone(), total: Some(layer.blob.size) });
    let origin = source.origin(layer.blob)?;
    let mut out = to.begin(&Hints { algorithm, ..Hints::default() })?;
    let mut blob = Hasher::new(algorithm);
    let copied = Copied {
        input: Verified::new(origin.open(0)?, layer.blob)?,
        cx,
        item: &item,
        out: &mut *out,
        blob: &mut blob,
    };
    let mut plain = codec::decoder(layer.compression, copied, cx.limits);
    let (before, diff_id) = both(&mut *plain, layer.diff_id.0.algorithm(), algorithm)?;
    drop(plain);
    if before != layer.diff_id.0 {
        let (found, expected) = (Box::new(before), Box::new(layer.diff_id.0));
        return Err(LayerError::WrongDiffId { found, expected }.into());
    }
    let Descriptor { media_type, size, .. } = layer.blob.clone();
    let renamed = Descriptor::new(media_type, blob.finish(), size);
    out.commit(&renamed)?;
    cx.observer.event(Event::Finished { item: item.clone() });
    Ok((renamed, DiffId(diff_id)))
}

/// What bytes hash to by two algorithms.
fn both(input: &mut dyn Read, one: Algorithm, two: Algorithm) -> Result<(Digest, Digest)> {
    let (mut one, mut two) = (Hasher::new(one), Hasher::new(two));
    let mut buffer = vec![0; 256 << 10];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok((one.finish(), two.finish())),
            Ok(count) => {
                one.update(&buffer[..count]);
                two.update(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::io("read the layer", error)),
        }
    }
}

/// A blob on its way: what is read of it is written and hashed.
struct Copied<'a, R> {
    input: Verified<R>,
    cx: &'a Context<'a>,
    item: &'a str,
    out: &'a mut (dyn orlop_spec::port::BlobWriter + 'a),
    blob: &'a mut Hasher,
}

impl<R: Read> Read for Copied<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cx.cancel.check().map_err(Fault::from)?;
        let count = self.input.read(buffer)?;
        self.out.write_all(&buffer[..count])?;
        self.blob.update(&buffer[..count]);
        let item = self.item.to_owned();
        self.cx.observer.event(Event::Advanced { item, bytes: count as u64 });
        Ok(count)
    }
}
