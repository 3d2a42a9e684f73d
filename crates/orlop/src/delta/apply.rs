//! Makes the newer image of the older one and a delta.
//!
//! ```text
//! delta manifest ──► manifest and config of the newer image
//!   for each layer:  the older image has it ──────────────────────────────► blob
//!                    a delta ──apply──► spool, proven by diff id ──codec──► blob, proven by digest
//!                    the place of the delta has it ───────────────────────► blob
//!                    the older image has it in another form ──codec───────► blob, as the user says
//! ```

use super::{
    CONTENT, FROM, IMAGE_CONFIG, IMAGE_MANIFEST, NewSpool, TO, advanced, codec_of, files, from_of, manifests,
    says, target,
};
use crate::draft::{as_oci, put};
use crate::error::Error;
use crate::form::Form;
use crate::image::{Image, Layer};
use crate::publish::publish;
use orlop_fs::File;
use orlop_host::delta::{self, Files, Paths, Wanted};
use orlop_layer::codec::{self, Codec};
use orlop_layer::encode::recompress;
use orlop_layer::{Error as LayerError, Verified};
use orlop_spec::config::Config;
use orlop_spec::digest::DiffId;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{Compression, MediaType, OCI_CONFIG, OCI_MANIFEST, Role};
use orlop_spec::port::{Hints, Name, Origin, Result, Selector, Sink, Source};
use orlop_spec::{
    Algorithm, AnyDigest, Context, Descriptor, Diagnose as _, Digest, Document, Event, Fault, Hasher, graph,
};
use std::io::{self, Read, Write};

/// How a delta is applied.
#[derive(Clone, Copy)]
pub struct Apply<'a> {
    /// How layers are compressed that cannot be made as they were; else they are an error.
    pub codec: Option<Codec>,
    /// Of which image the delta is, where several are there.
    pub target: Option<&'a AnyDigest>,
    /// Where contents wait.
    pub spool: NewSpool<'a>,
}

/// Where a delta is.
pub struct Which<'a> {
    /// The place.
    pub place: &'a dyn Source,
    /// Which index, or delta manifest, of it.
    pub selector: &'a Selector,
}

/// Publishes the image of which `from` is the delta, under `name`; gives its manifest.
pub fn apply(
    cx: &Context<'_>,
    older: &Image<'_>,
    from: &Which<'_>,
    (name, to): (&Name, Box<dyn Sink + '_>),
    how: &Apply<'_>,
) -> Result<Descriptor> {
    let older_from = from_of(older)?;
    let delta = chosen(cx, from, (older, &older_from), how.target)?;
    let wanted = target(&delta.annotations).ok_or(NO_DELTA)?;
    let place = from.place;
    let manifest = newer_manifest(cx, place, &delta, &wanted)?;
    let config = newer_config(cx, place, &delta, &manifest)?;
    let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids {
        return Err(Error::LayerCount { manifest: wanted, layers, diff_ids }.into());
    }
    let patch = Patch { cx, older, place, delta: &delta, from: older_from, to: &*to, how };
    let published = patch.layers(&manifest, &config.rootfs.diff_ids)?;
    put(cx, &*to, &config)?;
    put(cx, &*to, &published)?;
    let root =
        Descriptor { platform: Some(crate::image::platform_of(&config)), ..published.descriptor().clone() };
    if root.digest != manifest.descriptor().digest {
        let text = format!("the digest changes from {} to {}", manifest.descriptor().digest, root.digest);
        cx.observer.event(Event::Warned(text));
    }
    publish(cx, to, &[(name.clone(), root.clone())], &[])?;
    Ok(root)
}

const NO_DELTA: Error = Error::Unfit {
    what: "that is no delta: it names no image that it leads to",
    hint: "make one: orlop delta make OLD NEW oci:DIR; it is then found as oci:DIR:_deltaindex",
};

const NONE_FITS: Error = Error::Unfit {
    what: "none of the deltas is from the older image",
    hint: "name the image that they were made from; `orlop inspect --raw` shows which layer they are from",
};

const SEVERAL: Error = Error::Unfit {
    what: "deltas to several images are there",
    hint: "say which image is meant: --target DIGEST",
};

/// The one delta manifest that is meant.
fn chosen(
    cx: &Context<'_>,
    from: &Which<'_>,
    (older, older_from): (&Image<'_>, &str),
    wanted: Option<&AnyDigest>,
) -> Result<Document<Manifest>> {
    let mut found = Vec::new();
    for root in from.place.resolve(from.selector)? {
        found.extend(manifests(cx, from.place, &root)?);
    }
    if found.is_empty() {
        return Err(NO_DELTA.into());
    }
    let is_meant = |it: &Document<Manifest>| {
        wanted.is_none_or(|wanted| target(&it.annotations).as_ref() == Some(wanted))
    };
    found.retain(is_meant);
    let is_from = |it: &Document<Manifest>| {
        it.layers.iter().any(|layer| is_delta(layer) && says(layer, FROM, older_from))
    };
    if found.iter().any(is_from) {
        found.retain(is_from);
    } else {
        // Where nothing changed but the config, there is nothing that says from what; nor where layers stand as they are.
        let fits = found.iter().map(|it| suffices(cx, from.place, it, older)).collect::<Result<Vec<_>>>()?;
        let mut fits = fits.into_iter();
        found.retain(|_| fits.next() == Some(true));
    }
    match found.len() {
        0 => Err(NONE_FITS.into()),
        1 => Ok(found.remove(0)),
        _ => Err(SEVERAL.into()),
    }
}

/// Whether an image comes of layers alone: of those of the older image, and of those that stand as they are.
fn suffices(cx: &Context<'_>, place: &dyn Source, delta: &Manifest, older: &Image<'_>) -> Result<bool> {
    let wanted = target(&delta.annotations).ok_or(NO_DELTA)?;
    let manifest = newer_manifest(cx, place, delta, &wanted)?;
    let config = newer_config(cx, place, delta, &manifest)?;
    let old = older.layers()?;
    let is_there = |(blob, diff_id): (&Descriptor, &DiffId)| {
        let to = diff_id.0.to_string();
        old.iter().any(|layer| layer.diff_id == *diff_id || layer.blob.names_same_blob(blob))
            || delta.layers.iter().any(|layer| !is_delta(layer) && says(layer, TO, &to))
    };
    Ok(manifest.layers.iter().zip(&config.rootfs.diff_ids).all(is_there))
}

fn is_delta(layer: &Descriptor) -> bool {
    layer.media_type.as_str() == delta::MEDIA_TYPE
}

/// The newer image's manifest: out of the delta, else out of its place.
fn newer_manifest(
    cx: &Context<'_>,
    place: &dyn Source,
    delta: &Manifest,
    wanted: &AnyDigest,
) -> Result<Document<Manifest>> {
    let held =
        delta.layers.iter().find(|layer| says(layer, CONTENT, IMAGE_MANIFEST) && layer.digest == *wanted);
    let Some(blob) = held else {
        let roots = place.resolve(&Selector::Digest(wanted.clone()))?;
        let root = roots.into_iter().next().ok_or(NO_DELTA)?;
        return graph::read(cx.limits, place, &root);
    };
    let raw = graph::read_raw(cx.limits, place, blob)?;
    // As a blob it bears no type of its own.
    let said = serde_json::from_slice::<Typed>(&raw).ok().and_then(|typed| typed.media_type);
    let media_type = said.unwrap_or_else(|| MediaType::new(OCI_MANIFEST));
    Ok(Document::open(raw, Descriptor::new(media_type, wanted.clone(), blob.size))?)
}

/// What a document says of itself.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    media_type: Option<MediaType>,
}

fn newer_config(
    cx: &Context<'_>,
    place: &dyn Source,
    delta: &Manifest,
    manifest: &Manifest,
) -> Result<Document<Config>> {
    let is_it =
        |layer: &&Descriptor| says(layer, CONTENT, IMAGE_CONFIG) && layer.digest == manifest.config.digest;
    let raw = graph::read_raw(cx.limits, place, delta.layers.iter().find(is_it).unwrap_or(&manifest.config))?;
    Ok(Document::open(raw, manifest.config.clone())?)
}

struct Patch<'a> {
    cx: &'a Context<'a>,
    older: &'a Image<'a>,
    place: &'a dyn Source,
    delta: &'a Manifest,
    from: String,
    to: &'a dyn Sink,
    how: &'a Apply<'a>,
}

/// Where a layer comes from.
enum Way<'a> {
    /// The blob is at a place.
    Blob(Box<dyn Origin + 'a>),
    /// The older image has the layer in another form.
    Other(Layer<'a>),
    /// By a delta.
    Delta(&'a Descriptor),
}

impl Patch<'_> {
    /// Puts the layers, and gives the manifest that names them: the newer image's own where each is as it was.
    fn layers(&self, manifest: &Document<Manifest>, diff_ids: &[DiffId]) -> Result<Document<Manifest>> {
        let old = self.older.layers()?;
        let ways = manifest.layers.iter().zip(diff_ids);
        let ways = ways.map(|(blob, diff_id)| self.way(blob, *diff_id, &old)).collect::<Result<Vec<_>>>()?;
        let files = self.files(&ways)?;
        let mut layers: Vec<Descriptor> = Vec::new();
        for ((blob, diff_id), way) in manifest.layers.iter().zip(diff_ids).zip(ways) {
            // A layer that is there twice is made once.
            let before = &manifest.layers[..layers.len()];
            let layer = match before.iter().position(|other| other.names_same_blob(blob)) {
                Some(made) => layers[made].clone(),
                None => self.layer((blob, *diff_id), way, files.as_ref())?,
            };
            layers.push(layer);
        }
        if layers.iter().zip(&manifest.layers).all(|(new, old)| new.names_same_blob(old)) {
            return Ok(manifest.clone());
        }
        let layers = layers.iter().map(as_oci).collect();
        let mut value = Manifest { layers, ..manifest.clone().into_value() };
        value.media_type = Some(MediaType::new(OCI_MANIFEST));
        value.config.media_type = MediaType::new(OCI_CONFIG);
        let algorithm = manifest.descriptor().digest.known().map_or(Algorithm::Sha256, Digest::algorithm);
        Ok(Document::print(value, MediaType::new(OCI_MANIFEST), algorithm))
    }

    fn way<'s>(&'s self, blob: &Descriptor, diff_id: DiffId, old: &[Layer<'s>]) -> Result<Way<'s>> {
        if old.iter().any(|layer| layer.blob.names_same_blob(blob)) {
            return Ok(Way::Blob(self.older.source().origin(blob)?));
        }
        let to = diff_id.0.to_string();
        let leads_there = |layer: &&Descriptor| says(layer, TO, &to);
        let mut given = self.delta.layers.iter().filter(leads_there);
        let delta = given.find(|layer| is_delta(layer) && says(layer, FROM, &self.from));
        if let Some(delta) = delta.filter(|delta| codec_of(delta).is_some() || is_plain(blob)) {
            return Ok(Way::Delta(delta));
        }
        // Whatever else is made of it has another digest.
        let origin = self.place.origin(blob)?;
        match origin.open(0).map(drop) {
            Ok(()) => return Ok(Way::Blob(origin)),
            Err(fault) if !fault.is_absence() => return Err(fault),
            Err(_) => {}
        }
        let other = || old.iter().find(|layer| layer.diff_id == diff_id).copied().map(Way::Other);
        let way = delta.map(Way::Delta).or_else(other);
        way.ok_or_else(|| Error::LayerNowhere { digest: blob.digest.clone() }.into())
    }

    /// The files of the older image that the deltas read; each delta is proven first.
    fn files(&self, ways: &[Way<'_>]) -> Result<Option<Files>> {
        let deltas =
            ways.iter().filter_map(|way| if let Way::Delta(delta) = way { Some(*delta) } else { None });
        let mut paths = Paths::default();
        let mut is_needed = false;
        for delta in deltas {
            is_needed = true;
            let origin = self.place.origin(delta)?;
            let mut blob = Verified::new(origin.open(0)?, delta)?;
            let added = paths.add(&mut blob, self.cx.limits, self.cx.cancel);
            // A wrong digest is the better verdict.
            blob.drain().map_err(|error| Fault::io("read a delta", error))?;
            added.map_err(Fault::from)?;
        }
        if !is_needed {
            return Ok(None);
        }
        files(self.cx, self.older, &Wanted::Paths(paths.into()), self.how.spool).map(Some)
    }

    fn layer(
        &self,
        (blob, diff_id): (&Descriptor, DiffId),
        way: Way<'_>,
        files: Option<&Files>,
    ) -> Result<Descriptor> {
        match way {
            Way::Blob(origin) => {
                self.to.put(blob, &*origin, &Hints::default())?;
                Ok(blob.clone())
            }
            Way::Other(layer) => {
                let origin = self.older.source().origin(layer.blob)?;
                let bytes = Verified::new(origin.open(0)?, layer.blob)?;
                let mut plain = codec::decoder(layer.compression, bytes, self.cx.limits);
                self.compress((blob, diff_id), None, &mut *plain)
            }
            Way::Delta(delta) => {
                let files = files.expect("the files are read where there is a delta");
                let mut file = self.patched(delta, diff_id, files)?;
                self.compress((blob, diff_id), codec_of(delta), &mut file)
            }
        }
    }

    /// The uncompressed layer, proven.
    fn patched(&self, delta: &Descriptor, diff_id: DiffId, files: &Files) -> Result<File> {
        let item = diff_id.0.to_string();
        self.cx.observer.event(Event::Started { phase: "patch", item: item.clone(), total: None });
        let advanced = advanced(self.cx, &item);
        let mut out = Proving {
            out: (self.how.spool)()?,
            at: 0,
            hasher: Hasher::new(diff_id.0.algorithm()),
            advanced: &advanced,
        };
        let origin = self.place.origin(delta)?;
        let blob = Verified::new(origin.open(0)?, delta)?;
        delta::apply(blob, files, self.cx.limits, self.cx.cancel, &mut out).map_err(Fault::from)?;
        let found = out.hasher.finish();
        if found != diff_id.0 {
            let (found, expected) = (Box::new(found), Box::new(diff_id.0));
            return Err(LayerError::WrongDiffId { found, expected }.into());
        }
        self.cx.observer.event(Event::Finished { item: item.clone() });
        Ok(out.out)
    }

    /// Compresses a layer as it was, or, where nobody knows how that was, as the user says.
    fn compress(
        &self,
        (blob, diff_id): (&Descriptor, DiffId),
        known: Option<Codec>,
        plain: &mut dyn Read,
    ) -> Result<Descriptor> {
        let known = known.or(is_plain(blob).then_some(Codec::None));
        let Some(codec) = known.or(self.how.codec) else {
            return Err(Error::ForeignCompression { digest: blob.digest.clone() }.into());
        };
        let encode = Form { codec, algorithm: diff_id.0.algorithm() }.encode(self.cx, &|_| ());
        let mut out = self.to.begin(&encode.hints())?;
        let made = recompress(plain, &encode, &mut out)?;
        if made.diff_id != diff_id {
            let (found, expected) = (Box::new(made.diff_id.0), Box::new(diff_id.0));
            return Err(LayerError::WrongDiffId { found, expected }.into());
        }
        if made.blob.names_same_blob(blob) {
            out.commit(blob)?;
            return Ok(blob.clone());
        }
        if self.how.codec.is_none() {
            return Err(Error::ForeignCompression { digest: blob.digest.clone() }.into());
        }
        out.commit(&made.blob)?;
        Ok(made.blob)
    }
}

/// Whether a layer is not compressed.
fn is_plain(blob: &Descriptor) -> bool {
    matches!(blob.media_type.role(), Role::Layer(form) if form.compression == Compression::None)
}

/// A spool that hashes what it is given.
struct Proving<'a> {
    out: File,
    at: u64,
    hasher: Hasher,
    advanced: &'a (dyn Fn(u64) + Sync),
}

impl Write for Proving<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_at(bytes, self.at).map_err(Fault::from)?;
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
        (self.advanced)(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
