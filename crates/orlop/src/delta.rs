//! `delta`: what an image changes of an older one, so that who has that one need not fetch the whole.
//!
//! ```text
//! _deltaindex ──► index ──► delta manifest ─┬─► layers: delta of a layer (from, to) … │ a layer as it is (to) …
//!                 target     target         └─► manifest and config of the newer image
//! ```
//!
//! The layers' form is `orlop_host::delta`; where they are found is what flatpak looks for (`docs/formats/delta.md`).
//!
//! Invariant: what is made of a delta is the newer image or nothing: each layer is proven by its diff id and each blob by its
//! digest before any name stands.

mod apply;
mod make;

pub use apply::{Apply, Which, apply};
pub use make::{Made, MadeLayer, Make, make};

use crate::error::Error;
use crate::image::Image;
use crate::layers::{self, stack};
use orlop_fs::File;
use orlop_host::delta::{Files, Older, Wanted};
use orlop_layer::Codec;
use orlop_layer::codec::FRAMING;
use orlop_spec::descriptor::Annotations;
use orlop_spec::graph;
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Result, Source};
use orlop_spec::{AnyDigest, Context, Descriptor, Document};
use std::sync::Mutex;

/// The tag under which flatpak looks for deltas.
pub use orlop_host::flatpak::index::DELTAS as INDEX;

/// Annotation: the digest of the newer image's manifest.
const TARGET: &str = "io.github.containers.delta.target";
/// Annotation: the digest of the manifest that a delta was made from; for eyes.
const SOURCE: &str = "io.github.containers.delta.source";
/// Annotation: the diff id of the last layer of the older image.
const FROM: &str = "io.github.containers.delta.from";
/// Annotation: the diff id of a layer of the newer image.
const TO: &str = "io.github.containers.delta.to";
/// Annotation: what a layer of a delta manifest is.
const CONTENT: &str = "io.github.containers.delta.content";
/// Annotation: which codec makes the blob of the layer, and the version of its form.
const CODEC: &str = "orlop.delta.codec";

const IMAGE_MANIFEST: &str = "image-manifest";
const IMAGE_CONFIG: &str = "image-config";
const IMAGE_LAYER: &str = "image-layer";

/// What a delta manifest says that it is.
const ARTIFACT: &str = "application/vnd.io.github.containers.oci-delta.v1";
/// The type of its config, which is empty.
const CONFIG: &str = "application/vnd.redhat.delta.config.v1+json";

/// Makes an empty file without a name.
pub type NewSpool<'a> = &'a (dyn Fn() -> Result<File> + Sync);

/// The diff id that deltas from an image name: that of its last layer, as flatpak remembers it.
fn from_of(image: &Image<'_>) -> Result<String> {
    let last = image.layers()?.last().map(|layer| layer.diff_id);
    Ok(last.ok_or(NO_LAYERS)?.0.to_string())
}

const NO_LAYERS: Error = Error::Unfit {
    what: "the older image has no layers, and a delta is from its last one",
    hint: "there is nothing to save: copy the newer image",
};

/// The files of an image, each layer proven.
fn files(cx: &Context<'_>, image: &Image<'_>, wanted: &Wanted, spool: NewSpool<'_>) -> Result<Files> {
    let taken: Vec<Mutex<Option<Older>>> = image.layers()?.iter().map(|_| Mutex::new(None)).collect();
    let opened = layers::open(cx, "read", image, &|layer, decode| {
        let mut older = Older::new(spool()?, wanted.clone());
        decode(&mut older)?;
        *taken[usize::from(layer)].lock().expect("no holder panics") = Some(older);
        Ok(())
    })?;
    let slots = taken.into_iter().map(|slot| slot.into_inner().expect("no holder panics"));
    let taken: Vec<Older> = slots.map(|slot| slot.expect("every layer was decoded")).collect();
    if taken.iter().any(Older::is_short) {
        return files(cx, image, &Wanted::All, spool);
    }
    Ok(Files::new(&stack(opened.trees)?, taken))
}

/// The delta manifests that a root names: itself, or those of an index.
fn manifests(cx: &Context<'_>, place: &dyn Source, root: &Descriptor) -> Result<Vec<Document<Manifest>>> {
    let read = |blob: &Descriptor| graph::read::<Manifest>(cx.limits, place, blob);
    let found = match root.media_type.role() {
        Role::Manifest => vec![read(root)?],
        Role::Index => {
            let index: Document<Index> = graph::read(cx.limits, place, root)?;
            let is_delta = |entry: &&Descriptor| entry.annotations.contains_key(TARGET);
            index.manifests.iter().filter(is_delta).map(read).collect::<Result<_>>()?
        }
        _ => Vec::new(),
    };
    Ok(found.into_iter().filter(|manifest| target(&manifest.annotations).is_some()).collect())
}

/// Of which image a delta manifest, or its entry in an index, is.
pub(crate) fn target(annotations: &Annotations) -> Option<AnyDigest> {
    annotations.get(TARGET)?.parse().ok()
}

fn says(blob: &Descriptor, annotation: &str, value: &str) -> bool {
    blob.annotations.get(annotation).is_some_and(|said| **said == *value)
}

/// How a codec is written down.
fn spelled(codec: Codec) -> Box<str> {
    format!("{codec};{FRAMING}").into()
}

/// The codec that was written down, where it is of the form that is written today.
fn codec_of(layer: &Descriptor) -> Option<Codec> {
    let (codec, framing) = layer.annotations.get(CODEC)?.split_once(';')?;
    codec.parse().ok().filter(|_| framing == FRAMING.to_string())
}

/// Adds to the events of one item.
fn advanced<'a>(cx: &'a Context<'a>, item: &'a str) -> impl Fn(u64) + Sync + 'a {
    move |bytes| cx.observer.event(orlop_spec::Event::Advanced { item: item.into(), bytes })
}
