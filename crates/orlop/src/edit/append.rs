//! `append`: new layers on top of an image.
//!
//! ```text
//! tree ──► encode ──► Sink::begin ──► blob ──┬──► Revision::append
//!                    once for all images     └──► Revision::append
//! ```
//!
//! Invariant: the layers below are not looked at. A hard link to a file that they should have is taken as it is; whether
//! they have it shows when the image is unpacked.

use super::{Outlook, Piece, Revision, Step};
use crate::build::{self, Input};
use crate::form::Form;
use crate::trees::{Reading, TreeSource};
use orlop_layer::codec::Codec;
use orlop_layer::encode::Encoded;
use orlop_spec::config::History;
use orlop_spec::media_type::{Compression, Role};
use orlop_spec::port::{Result, Sink};
use orlop_spec::time::Timestamp;
use orlop_spec::{Algorithm, Context, Descriptor};
use std::sync::{Mutex, PoisonError};

/// Puts layers on top. Of several images, all get the same.
pub struct Append<'a> {
    trees: Vec<(String, Box<dyn TreeSource + 'a>)>,
    how: Laying,
    written: Mutex<Option<Written>>,
}

/// How layers are made.
#[derive(Clone, Debug, Default)]
pub struct Laying {
    /// How trees are read.
    pub reading: Reading,
    /// How layers are compressed; where nothing is said, as the topmost layer of the first image that is compressed.
    pub codec: Option<Codec>,
    /// How layers are named.
    pub algorithm: Algorithm,
    /// When the image was made (image-spec, `config.md`, "created"). Where nothing is said, it is the newest time in the layers,
    /// else as before.
    pub created: Option<Timestamp>,
    /// The step of each. Where it says no time, it is that of the image.
    pub step: History,
    /// The annotation in which a compressed layer tells its size without compression; none where nothing is said.
    pub size_annotation: Option<&'static str>,
}

/// Layers that are in the target.
#[derive(Clone)]
struct Written {
    layers: Vec<Piece<'static>>,
    created: Option<Box<str>>,
}

impl<'a> Append<'a> {
    /// Layers of trees, the lowest first, each with what messages call it.
    pub fn new(trees: Vec<(String, Box<dyn TreeSource + 'a>)>, how: Laying) -> Self {
        Self { trees, how, written: Mutex::default() }
    }

    fn write(&self, cx: &Context<'_>, revision: &Revision<'_>, to: &dyn Sink) -> Result<Written> {
        let Laying { reading, codec, algorithm, created, size_annotation, .. } = &self.how;
        let codec = codec.unwrap_or_else(|| fitting(revision));
        let form = Form { codec, algorithm: *algorithm };
        let platform = revision.image().platform();
        let (mut layers, mut newest, mut size) = (Vec::new(), None, 0u64);
        for (name, tree) in &self.trees {
            let input = Input::new(name.clone(), tree.entries(cx, reading)?);
            let layer = build::put_layer(cx, input, &platform, &form, to)?;
            size = size.saturating_add(layer.size);
            build::within(cx, size)?;
            newest = newest.max(layer.newest);
            let Encoded { blob, diff_id, size: plain, .. } = layer;
            let blob = match size_annotation {
                Some(name) => sized(blob, plain, name),
                None => blob,
            };
            layers.push(Piece::Made { blob, diff_id, codec: Some(codec), home: None });
        }
        let newest = newest.and_then(|time| Timestamp::new(time.seconds, 0).ok());
        let created = created.or(newest).map(|time| time.to_string().into());
        Ok(Written { layers, created })
    }
}

impl Step for Append<'_> {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, to: &dyn Sink) -> Result<()> {
        let mut slot = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let Written { layers, created } = match &*slot {
            Some(written) => written.clone(),
            None => slot.insert(self.write(cx, revision, to)?).clone(),
        };
        let created = created.or_else(|| revision.config().created.clone());
        let step = self.how.step.clone();
        let step = History { created: step.created.or_else(|| created.clone()), ..step };
        for layer in layers {
            revision.append(layer, step.clone());
        }
        revision.config_mut().created = created;
        Ok(())
    }

    fn foresee<'r>(
        &'r self,
        _: &Context<'_>,
        revision: &mut Revision<'r>,
        outlook: &mut Outlook,
    ) -> Result<()> {
        for (name, _) in &self.trees {
            revision.append(outlook.new_layer(name), self.how.step.clone());
        }
        Ok(())
    }
}

/// The descriptor of a layer, which tells in an annotation how large it is without compression, where that is another size.
pub fn sized(mut blob: Descriptor, size: u64, annotation: &str) -> Descriptor {
    if size != blob.size {
        blob.annotations.insert(annotation.into(), size.to_string().into());
    }
    blob
}

/// How the topmost layer that is compressed is; gzip where none is.
pub fn fitting(revision: &Revision<'_>) -> Codec {
    let compression = revision.layers().iter().rev().find_map(|layer| match layer.blob().media_type.role() {
        Role::Layer(form) if form.compression != Compression::None => Some(form.compression),
        _ => None,
    });
    if compression == Some(Compression::Zstd) { Codec::ZSTD } else { Codec::GZIP }
}
