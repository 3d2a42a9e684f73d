//! `copy --compress`: the same images with layers in another form. Uncompressed bytes and configs stay, so diff
//! ids and image ids do too; digests of blobs, manifests and indexes change, which is said.

use crate::copy::{Copied, Copy};
use crate::edit::{self, Convert, Family, Foreseen, Step};
use crate::form::Form;
use orlop_layer::codec::{self, Codec};
use orlop_layer::encode::recompress;
use orlop_layer::{Error as LayerError, Verified};
use orlop_spec::descriptor::Annotations;
use orlop_spec::digest::DiffId;
use orlop_spec::media_type::Compression;
use orlop_spec::port::{Name, Result, Sink, Source};
use orlop_spec::{Algorithm, Context, Descriptor, Digest, Event, Hasher};
use std::io::{self, Read};

/// Annotations of a layer that speak about its compressed bytes; they would be wrong for the new ones.
const ABOUT_COMPRESSED: [&str; 2] = ["io.github.containers.zstd-chunked.", "containerd.io/snapshot/stargz/"];

/// Copies `roots` with every layer compressed by `codec`, in OCI's media types. Artifacts that are no images stay as they are.
pub fn copy_compressed(
    cx: &Context<'_>,
    from: &dyn Source,
    roots: &[(Name, Descriptor)],
    to: Box<dyn Sink + '_>,
    how: &Copy,
    codec: Codec,
) -> Result<Copied> {
    let copied = edit::along(cx, from, roots, to, how, &steps(codec))?;
    for ((_, old), new) in roots.iter().zip(&copied.roots) {
        if new.digest != old.digest {
            let text = format!("the digest changes from {} to {}", old.digest, new.digest);
            cx.observer.event(Event::Warned(text));
        }
    }
    Ok(copied)
}

/// What [`copy_compressed`] would do. Nothing is written.
pub fn foresee_compressed(
    cx: &Context<'_>,
    from: &dyn Source,
    roots: &[(Name, Descriptor)],
    to: &dyn Sink,
    how: &Copy,
    codec: Codec,
) -> Result<Foreseen> {
    edit::foresee_along(cx, from, roots, to, how, &steps(codec))
}

fn steps(codec: Codec) -> [Box<dyn Step>; 1] {
    let mut convert = Convert::default();
    (convert.codec, convert.family) = (Some(codec), Some(Family::Oci));
    [Box::new(convert)]
}

/// Writes a layer that is compressed anew, and proves that it is the one that the config names. Gives its blob, and its
/// diff id by the algorithm of `form`.
pub(crate) fn compress(
    cx: &Context<'_>,
    from: &dyn Source,
    (old, compression): (&Descriptor, Compression),
    diff_id: DiffId,
    form: &Form,
    to: &dyn Sink,
) -> Result<(Descriptor, DiffId)> {
    let item = old.digest.to_string();
    cx.observer.event(Event::Started { phase: "compress", item: item.clone(), total: None });
    let unpacked = from.unpacked(old)?.filter(|unpacked| unpacked.diff_id() == diff_id);
    let origin = from.origin(old)?;
    let mut plain = match &unpacked {
        Some(unpacked) => unpacked.open()?,
        None => codec::decoder(compression, Verified::new(origin.open(0)?, old)?, cx.limits),
    };
    let progress = |bytes| cx.observer.event(Event::Advanced { item: item.clone(), bytes });
    let encode = form.encode(cx, &progress);
    let mut out = to.begin(&encode.hints())?;
    let mut proving = Proving::new(&mut *plain, diff_id, form.algorithm);
    let compressed = recompress(&mut proving, &encode, &mut out)?;
    let found = proving.finish().unwrap_or(compressed.diff_id.0);
    if found != diff_id.0 {
        let (found, expected) = (Box::new(found), Box::new(diff_id.0));
        return Err(LayerError::WrongDiffId { found, expected }.into());
    }
    out.commit(&compressed.blob)?;
    cx.observer.event(Event::Finished { item: item.clone() });
    Ok((compressed.blob, compressed.diff_id))
}

/// Uncompressed bytes on their way, hashed as the config names them where the compressor hashes them otherwise.
struct Proving<'a> {
    plain: &'a mut dyn Read,
    hasher: Option<Hasher>,
}

impl<'a> Proving<'a> {
    fn new(plain: &'a mut dyn Read, diff_id: DiffId, by: Algorithm) -> Self {
        let algorithm = diff_id.0.algorithm();
        Self { plain, hasher: (algorithm != by).then(|| Hasher::new(algorithm)) }
    }

    fn finish(self) -> Option<Digest> {
        self.hasher.map(Hasher::finish)
    }
}

impl Read for Proving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// What annotations of a layer say of its content; those about its compressed bytes would be wrong for others.
pub(crate) fn about_content(annotations: &Annotations) -> Annotations {
    let speaks_of_bytes = |name: &str| ABOUT_COMPRESSED.iter().any(|prefix| name.starts_with(prefix));
    annotations
        .iter()
        .filter(|(name, _)| !speaks_of_bytes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
