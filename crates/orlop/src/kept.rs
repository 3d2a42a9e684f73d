//! An image whose contents the place keeps as files: its tree comes out of outlines, its files by sharing or copying.
//!
//! ```text
//! layers ──outline──► trees ──stack──► the merged tree ──┐
//!             └─► where each content is ─────────────────┴─► Staging::plant, which proves every content
//! ```
//!
//! Invariant: the tree is the one that decoding the blobs gives, and no byte of a content is used that was not hashed.

use crate::copy::in_parallel;
use crate::du::contents;
use crate::hashed::Digests;
use crate::image::Image;
use crate::layers::{Sum, outline, stack, unpacked};
use orlop_fs::staging::{Planted, Report, Source, Staging, Supply};
use orlop_fs::{Error as FsError, File};
use orlop_layer::tree::{Content, Tree};
use orlop_spec::port::{Kept, Result, Unpacked};
use orlop_spec::{Algorithm, Context, Digest, Event, Fault};
use std::io;
use std::sync::Mutex;

/// As where blobs are decoded.
const PHASE: &str = "unpack";

/// The merged tree, and its contents.
pub(crate) struct KeptImage<'a> {
    /// The digest of the manifest.
    item: String,
    tree: Tree,
    layers: Vec<Contents<'a>>,
}

/// Where the contents of one layer are.
struct Contents<'a> {
    layer: Box<dyn Unpacked + 'a>,
    /// In the order of the ordinals.
    places: Vec<(u32, Place)>,
}

/// A content of the layer.
enum Place {
    Here(Box<[u8]>),
    File(Digest),
}

impl Place {
    fn digest(&self) -> Digest {
        match self {
            Self::Here(bytes) => Digest::of(Algorithm::Sha256, bytes),
            Self::File(digest) => *digest,
        }
    }
}

impl<'a> KeptImage<'a> {
    /// Opens an image; nothing where the place does not keep every layer of it so.
    pub(crate) fn open(cx: &Context<'_>, image: &Image<'a>) -> Result<Option<Self>> {
        let mut slots = Vec::new();
        for (index, layer) in (0..).zip(image.layers()?) {
            let layer = unpacked(image, &layer)?.filter(|layer| layer.has_contents());
            let Some(layer) = layer else { return Ok(None) };
            slots.push((index, Mutex::new((Contents { layer, places: Vec::new() }, Tree::default()))));
        }
        let sum = Sum::new(cx);
        in_parallel(cx.workers.get(), &slots, |(index, slot)| {
            let (contents, tree) = &mut *slot.lock().expect("no holder panics");
            *tree = contents.read(cx, *index, &sum)?;
            Ok(())
        })?;
        let slots = slots.into_iter().map(|(_, slot)| slot.into_inner().expect("no holder panics"));
        let (layers, trees): (Vec<_>, Vec<_>) = slots.unzip();
        let item = image.manifest().descriptor().digest.to_string();
        Ok(Some(Self { item, tree: stack(trees)?, layers }))
    }
}

impl KeptImage<'_> {
    /// The digests of all contents.
    pub(crate) fn digests(&self) -> Digests {
        let of_layer = |(layer, contents): (u16, &Contents<'_>)| {
            let places = contents.places.iter();
            let digests: Vec<_> =
                places.map(|(ordinal, place)| ((layer, *ordinal), place.digest())).collect();
            digests
        };
        (0..).zip(&self.layers).flat_map(of_layer).collect()
    }

    /// Puts the tree on the disk.
    pub(crate) fn plant(self, cx: &Context<'_>, staging: &mut Staging<'_>) -> Result<(Tree, Report)> {
        let (phase, item) = (PHASE, self.item.clone());
        let bytes = contents(&self.tree).iter().map(|content| content.size).sum();
        cx.observer.event(Event::Planned { phase, items: 1, bytes });
        cx.observer.event(Event::Started { phase, item: item.clone(), total: None });
        let Planted { report, shared, copied } =
            staging.plant(&self.tree, &Told { cx, image: &self, item: &item }, cx.workers)?;
        cx.observer.event(Event::Finished { item });
        cx.observer.event(Event::Placed { shared, copied });
        Ok((self.tree, report))
    }
}

impl Contents<'_> {
    fn read(&mut self, cx: &Context<'_>, index: u16, sum: &Sum) -> Result<Tree> {
        let Self { layer, places } = self;
        let mut see = |ordinal, kept: Kept<'_>| {
            let place = match kept {
                Kept::Bytes(bytes) => Place::Here(bytes.into()),
                Kept::File(digest) => Place::File(digest),
            };
            places.push((ordinal, place));
            Ok(())
        };
        let (tree, _) = outline(cx, &**layer, index, sum, &mut see)?;
        sum.take(tree.len())?;
        Ok(tree)
    }

    fn source(&self, content: &Content) -> Result<Source<'_>> {
        let found = self.places.binary_search_by_key(&content.ordinal, |(ordinal, _)| *ordinal);
        match found.ok().map(|at| &self.places[at].1) {
            Some(Place::Here(bytes)) => Ok(Source::Bytes(bytes)),
            Some(Place::File(digest)) => {
                let file = self.layer.content(digest, content.size)?;
                Ok(Source::Proven(File::from_handle(file.file, digest.to_string().as_bytes()), *digest))
            }
            // The tree has a size where the list has nothing.
            None => Err(Fault::io("find a content", io::ErrorKind::InvalidData.into())),
        }
    }
}

/// Hands the contents out, and tells how many bytes were.
struct Told<'a> {
    cx: &'a Context<'a>,
    image: &'a KeptImage<'a>,
    item: &'a str,
}

impl Supply for Told<'_> {
    fn source(&self, content: &Content) -> Result<Source<'_>, FsError> {
        let layer = &self.image.layers[usize::from(content.layer)];
        let source = layer.source(content).map_err(|fault| FsError::io("read", b"a content", fault))?;
        self.cx.observer.event(Event::Advanced { item: self.item.into(), bytes: content.size });
        Ok(source)
    }
}
