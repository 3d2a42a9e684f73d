//! Files as the image that they would become: what a place that holds a tree is to verbs that need an image.
//!
//! ```text
//! TreeSource ──entries──► build, once, into nowhere ──► manifest, config, diff id; the tree
//!      └─────────entries──► tar ──► bytes of the layer, each time that they are asked for
//! ```
//!
//! Invariant: the image is the one that `copy --compress none` writes of the same files, to the byte. Its layer has the
//! digest that was found when the files were read first: files that change under a verb fail the proof.

mod stream;

use crate::build::{Build, Dialect, Input, build};
use crate::chunk::Plan;
use crate::error::Error;
use crate::form::Form;
use crate::nowhere::Nowhere;
use crate::trees::{Reading, Says, TreeSource};
use orlop_layer::codec::Codec;
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Chunk, Entries, Entry, Error as LayerError, Order};
use orlop_spec::digest::{DiffId, Digest};
use orlop_spec::edit::Edit;
use orlop_spec::port::{
    BlobWriter, Catalog, Hints, LocalFile, Name, Origin, Put, Result, See, Seen, Selector, Sink, Source,
    Unpacked,
};
use orlop_spec::time::Timestamp;
use orlop_spec::{Algorithm, AnyDigest, Context, Descriptor, Fault, Platform};
use std::io::{self, BufRead, Read};
use std::sync::{Mutex, OnceLock};
use stream::{Hollow, Stream};

/// How files become an image.
#[derive(Clone, Debug)]
pub struct Making {
    /// How they are read.
    pub reading: Reading,
    /// For which machine, where that was asked for.
    pub platform: Option<Platform>,
    /// For which machine, where neither the user nor the place says it.
    pub host: Platform,
    /// When the image was made, where the place does not know.
    pub created: Option<Timestamp>,
}

impl Making {
    /// The image of one layer that the files become.
    pub fn build<'a>(&'a self, cx: &Context<'a>, tree: &'a dyn TreeSource) -> Result<Build<'a>> {
        let entries = tree.entries(cx, &self.reading)?;
        self.image_of(cx, tree, vec![Input::new("files".into(), entries)])
    }

    /// The image that the files become where they are divided, or where the place has a form of its own for them.
    pub fn divide<'a>(
        &'a self,
        cx: &Context<'a>,
        tree: &'a dyn TreeSource,
        plan: Option<&'a Plan>,
    ) -> Result<Build<'a>> {
        match (tree.layers(cx, &self.reading, plan)?, plan) {
            (Some(layers), _) => self.image_of(cx, tree, layers),
            (None, Some(plan)) => self.image_of(cx, tree, plan.inputs(cx, tree, &self.reading)),
            (None, None) => self.build(cx, tree),
        }
    }

    /// The image that `layers` become, which were made of the files.
    fn image_of<'a>(
        &self,
        cx: &Context<'a>,
        tree: &'a dyn TreeSource,
        inputs: Vec<Input<'a>>,
    ) -> Result<Build<'a>> {
        let Says { labels, created, platform, annotations, command } = tree.says(cx)?;
        let platform = self.platform.clone().or(platform).unwrap_or_else(|| self.host.clone());
        let edit = Edit { created: created.or(self.created), labels, cmd: command, ..Edit::default() };
        let cx = *cx;
        let dialect: Dialect<'a> = Box::new(move |draft| tree.complete(&cx, draft));
        Ok(Build { base: None, platform, inputs, edit, annotations, dialect: Some(dialect) })
    }
}

/// A place of files, as an image that is in no index and has no name.
pub struct MadeImage<'a> {
    tree: Box<dyn TreeSource + 'a>,
    cx: Context<'a>,
    making: Making,
    /// Held while the files are read.
    reading: Mutex<()>,
    made: OnceLock<Made>,
}

/// What was learned when the files were read.
struct Made {
    root: Descriptor,
    documents: Vec<(Descriptor, Vec<u8>)>,
    layer: Descriptor,
    diff_id: DiffId,
    tree: Tree,
}

impl<'a> MadeImage<'a> {
    /// Nothing is read yet.
    pub fn new(tree: Box<dyn TreeSource + 'a>, cx: &Context<'a>, making: Making) -> Self {
        Self { tree, cx: *cx, making, reading: Mutex::new(()), made: OnceLock::new() }
    }

    fn made(&self) -> Result<&Made> {
        let _alone = self.reading.lock().expect("no holder panics");
        if self.made.get().is_none() {
            let made = self.make()?;
            // Nobody else comes here while the lock is held.
            let _first = self.made.set(made);
        }
        Ok(self.made.get().expect("it was just set"))
    }

    fn make(&self) -> Result<Made> {
        let (seen, documents) = (Mutex::new(None), Documents::default());
        let watched = |Input { name, entries, annotations }| {
            let tree = Some(Builder::new(0, self.cx.limits));
            let entries = Box::new(Planting { inner: entries, tree, ordinal: 0, to: &seen });
            Input { name, entries, annotations }
        };
        let Build { base, platform, inputs, edit, annotations, dialect } =
            self.making.build(&self.cx, &*self.tree)?;
        let inputs = inputs.into_iter().map(watched).collect();
        let image = Build { base, platform, inputs, edit, annotations, dialect };
        let form = Form { codec: Codec::None, algorithm: Algorithm::default() };
        let built = build(&self.cx, vec![image], &form, Box::new(&documents), &[])?;
        let layer = built.layers.into_iter().next().expect("one input makes one layer");
        let tree = seen.into_inner().expect("no holder panics").expect("the input was read to its end");
        let documents = documents.0.into_inner().expect("no holder panics");
        Ok(Made { root: built.root, documents, layer: layer.blob, diff_id: layer.diff_id, tree })
    }

    /// The files once more. What was told of them when they were read first is not told again.
    fn stream(&self) -> Result<Stream<'_>> {
        let cx = Context { observer: &(), ..self.cx };
        Ok(Stream::new(self.tree.entries(&cx, &self.making.reading)?))
    }
}

impl Source for MadeImage<'_> {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let root = &self.made()?.root;
        match selector {
            Selector::Only | Selector::At(0) => Ok(vec![root.clone()]),
            Selector::Digest(digest) if *digest == root.digest => Ok(vec![root.clone()]),
            Selector::Tag(_) => Err(Error::Nameless.into()),
            _ => Err(NO_NAMES.into()),
        }
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        let made = self.made()?;
        if blob.digest == made.layer.digest {
            return Ok(Box::new(Layer { image: self, diff_id: made.diff_id }));
        }
        let document = made.documents.iter().find(|(document, _)| document.digest == blob.digest);
        let (_, bytes) = document.ok_or_else(|| Error::NoEntry { digest: blob.digest.clone() })?;
        Ok(Box::new(bytes.clone()))
    }

    fn unpacked(&self, layer: &Descriptor) -> Result<Option<Box<dyn Unpacked + '_>>> {
        let made = self.made()?;
        let is_it = layer.digest == made.layer.digest;
        Ok(is_it
            .then(|| -> Box<dyn Unpacked + '_> { Box::new(Layer { image: self, diff_id: made.diff_id }) }))
    }
}

impl Catalog for MadeImage<'_> {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        Ok(vec![(Name::Untagged, self.made()?.root.clone())])
    }

    fn referrers(&self, _: &AnyDigest) -> Result<Vec<Descriptor>> {
        Ok(Vec::new())
    }
}

const NO_NAMES: Error = Error::Unfit {
    what: "files make one image, which has no name and, once a file changes, another digest",
    hint: "leave the tag or digest out, or keep the image: orlop copy SRC oci:DIR:TAG",
};

/// The one layer.
struct Layer<'a> {
    image: &'a MadeImage<'a>,
    diff_id: DiffId,
}

impl Origin for Layer<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        let mut stream = self.image.stream()?;
        let skipped = io::copy(&mut (&mut stream).take(at), &mut io::sink());
        skipped.map_err(|error| Fault::io("read the files", error))?;
        Ok(Box::new(stream))
    }
}

impl Unpacked for Layer<'_> {
    fn diff_id(&self) -> DiffId {
        self.diff_id
    }

    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.image.stream()?))
    }

    fn outline<'a>(&'a self, _: See<'a>) -> Result<Box<dyn BufRead + 'a>> {
        Ok(Box::new(Stream::new(Box::new(Hollow::new(&self.image.made()?.tree)))))
    }

    fn has_contents(&self) -> bool {
        false
    }

    fn content(&self, digest: &Digest, _: u64) -> Result<LocalFile> {
        Err(Error::NoEntry { digest: (*digest).into() }.into())
    }
}

/// Builds the tree of entries that pass.
struct Planting<'a> {
    inner: Box<dyn Entries + 'a>,
    /// Gone at the end.
    tree: Option<Builder>,
    ordinal: u32,
    to: &'a Mutex<Option<Tree>>,
}

impl Entries for Planting<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, LayerError> {
        let entry = self.inner.next_entry()?;
        match (&entry, &mut self.tree) {
            (Some(entry), Some(tree)) => {
                tree.add(self.ordinal, 0, entry)?;
                self.ordinal += 1;
            }
            (None, tree) => {
                if let Some(tree) = tree.take() {
                    *self.to.lock().expect("no holder panics") = Some(tree.finish());
                }
            }
            (Some(_), None) => {}
        }
        Ok(entry)
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, LayerError> {
        self.inner.next_chunk()
    }

    fn offset(&self) -> u64 {
        self.inner.offset()
    }

    fn order(&self) -> Order {
        self.inner.order()
    }
}

/// Keeps documents, and nothing else.
#[derive(Default)]
struct Documents(Mutex<Vec<(Descriptor, Vec<u8>)>>);

impl Sink for &Documents {
    fn put(&self, blob: &Descriptor, origin: &dyn Origin, _: &Hints) -> Result<Put> {
        let mut bytes = Vec::new();
        let read = origin.open(0)?.read_to_end(&mut bytes);
        read.map_err(|error| Fault::io("read a document", error))?;
        self.0.lock().expect("no holder panics").push((blob.clone(), bytes));
        Ok(Put::Copied)
    }

    fn begin(&self, _: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        Ok(Box::new(Nowhere))
    }

    fn finish_if(self: Box<Self>, _: &[(Name, Descriptor)], _: &[Seen]) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trees::FolderTree;
    use orlop_layer::Verified;
    use orlop_spec::Diagnose as _;
    use testkit::scratch;
    use testkit::suites::context;

    #[test]
    fn a_file_that_changes_after_the_first_look_fails_the_proof() {
        let folder = scratch();
        folder.folder("tree");
        folder.file("tree/a", "before");
        context(|cx| {
            let tree = FolderTree::open(&folder.path("tree")).expect("a folder");
            let host = Platform::new("linux", "amd64", None);
            let making = Making { reading: Reading::default(), platform: None, host, created: None };
            let image = MadeImage::new(Box::new(tree), cx, making);
            let read = || {
                let layer = &image.made().expect("it can be read").layer;
                let origin = image.origin(layer).expect("the layer");
                let mut bytes = Vec::new();
                Verified::new(origin.open(0).expect("it opens"), layer)?
                    .read_to_end(&mut bytes)
                    .map(|_| bytes)
            };
            let whole = read().expect("nothing changed");
            let layer = &image.made().expect("it was read").layer;
            let mut rest = Vec::new();
            let origin = image.origin(layer).expect("the layer");
            origin.open(700).expect("it opens").read_to_end(&mut rest).expect("it can be read");
            assert_eq!(rest, whole[700..], "a transfer goes on where it broke");
            std::fs::write(folder.path("tree/a"), "after!").expect("it can be written");
            assert!(read().is_err());
        });
    }

    #[test]
    fn files_lack_every_tag() {
        let folder = scratch();
        folder.folder("tree");
        context(|cx| {
            let tree = FolderTree::open(&folder.path("tree")).expect("a folder");
            let host = Platform::new("linux", "amd64", None);
            let making = Making { reading: Reading::default(), platform: None, host, created: None };
            let image = MadeImage::new(Box::new(tree), cx, making);
            let fault = image.resolve(&Selector::Tag("any".into())).expect_err("no such tag");
            assert!(fault.is_absence() && fault.hint().is_some(), "{fault}");
            let fault = image.resolve(&Selector::At(1)).expect_err("there is one image");
            assert!(!fault.is_absence(), "{fault}");
        });
    }
}
