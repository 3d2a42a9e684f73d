//! The laws of the ports (`orlop_spec::port`) as functions over a place, run on every implementation and on one
//! in memory.
//!
//! Invariant: a law knows the ports and nothing else. What differs between places is said by [`Place`], in the
//! words of `cli.md`: how many images one holds, and whether writing again adds or replaces.

pub mod copy;
mod keeper;
pub mod memory;
mod sink;
mod source;

pub use keeper::keeper;
pub use sink::sink;
pub use source::source;

use orlop_spec::media_type::{MediaType, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use orlop_spec::port::{Catalog, Hints, Keeper, Name, Result, Selector, Sink, Source};
use orlop_spec::{Algorithm, Cancel, Context, Descriptor, Digest, Document, Fault, Limits, Manifest, json};
use std::io::Read as _;
use std::num::NonZeroUsize;

/// A place under test; empty when it is made.
pub trait Place {
    /// Opens it for writing, and makes it where it is missing.
    fn sink(&self) -> Result<Box<dyn Sink + '_>>;

    /// Opens it for reading.
    fn catalog(&self) -> Result<Box<dyn Catalog + '_>>;

    /// Opens it for changing names, where that is possible. By its clock everything it holds is older than an
    /// hour.
    fn keeper(&self) -> Result<Option<Box<dyn Keeper + '_>>> {
        Ok(None)
    }

    /// How many images it holds.
    fn holds(&self) -> Holds {
        Holds::Many
    }

    /// What becomes of images that were there when another is written.
    fn again(&self) -> Again {
        Again::Adds
    }

    /// What images can be named by.
    fn digests(&self) -> Digests {
        Digests::Any
    }

    /// Who removes blobs that no name reaches.
    fn sweeper(&self) -> Sweeper {
        Sweeper::Keeper
    }

    /// How those who change names at once are kept apart.
    fn editors(&self) -> Editors {
        Editors::AtOnce
    }

    /// A tag in the spelling that comes back.
    fn tag(&self, text: &str) -> Name {
        Name::Tag(text.into())
    }
}

/// How many images a place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// One, without a name.
    One,
    /// Any number, with names.
    Many,
}

/// How those who change names at once are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editors {
    /// One looks and writes, then the next.
    AtOnce,
    /// Nobody opens the place for writing as long as another one has it open.
    InTurn,
    /// Not at all: between the last look and the change there is a moment.
    Unguarded,
}

/// What images can be named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digests {
    /// Every algorithm, and blobs even by one that nobody knows.
    Any,
    /// SHA-256 alone.
    Sha256,
}

/// Who removes blobs that no name reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweeper {
    /// [`Keeper::sweep`].
    Keeper,
    /// The place itself, when it wants to.
    Place,
}

/// What becomes of images that were there when another is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// They stay.
    Adds,
    /// They are gone.
    Replaces,
}

/// Makes an empty place.
pub type Fresh<'a> = &'a dyn Fn() -> Box<dyn Place>;

/// A small image in memory: what is put, and what must come back.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The root's descriptor.
    pub root: Descriptor,
    /// Every blob with its content, children before parents.
    pub blobs: Vec<(Descriptor, Vec<u8>)>,
}

impl Sample {
    /// An image with a layer that others have too and one of its own.
    pub fn new(content: &str) -> Self {
        Self::about(content, Algorithm::Sha256, None)
    }

    /// An image named by another algorithm, or one that speaks about another manifest.
    pub fn about(content: &str, algorithm: Algorithm, subject: Option<Descriptor>) -> Self {
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","author":"{content}","rootfs":{{"type":"layers","diff_ids":["{}","{}"]}}}}"#,
            Digest::of(algorithm, b"a layer that others have too"),
            Digest::of(algorithm, content.as_bytes()),
        );
        let blob = |kind, bytes: &[u8]| (describe(kind, algorithm, bytes), bytes.to_vec());
        let mut blobs = vec![
            blob(OCI_LAYER, b"a layer that others have too"),
            blob(OCI_LAYER, content.as_bytes()),
            blob(OCI_CONFIG, config.as_bytes()),
        ];
        let mut manifest = Manifest::new(blobs[2].0.clone(), vec![blobs[0].0.clone(), blobs[1].0.clone()]);
        manifest.subject = subject;
        blobs.push(blob(OCI_MANIFEST, &json::print(&manifest)));
        Self { root: blobs[3].0.clone(), blobs }
    }

    /// The same image with one more layer.
    #[must_use]
    pub fn with_layer(self, layer: Descriptor, content: &[u8]) -> Self {
        let [lower, upper, config, _] = &self.blobs[..] else { panic!("an image of two layers") };
        let layers = vec![lower.0.clone(), upper.0.clone(), layer.clone()];
        let manifest = json::print(&Manifest::new(config.0.clone(), layers));
        let root = describe(OCI_MANIFEST, Algorithm::Sha256, &manifest);
        let mut blobs = self.blobs[..3].to_vec();
        blobs.extend([(layer, content.to_vec()), (root.clone(), manifest)]);
        Self { root, blobs }
    }

    /// Puts every blob; nothing is published.
    pub fn put(&self, sink: &dyn Sink) {
        for (blob, content) in &self.blobs {
            sink.put(blob, content, &Hints::default()).expect("a right blob is taken");
        }
    }

    /// Puts every blob and publishes the root.
    pub fn publish(&self, place: &dyn Place, name: &Name) {
        let sink = place.sink().expect("the place opens for writing");
        self.put(&*sink);
        sink.finish(&[(name.clone(), self.root.clone())]).expect("a whole image is published");
    }

    /// Whether every blob comes back as it was put.
    pub fn check(&self, source: &dyn Source) {
        for (blob, content) in &self.blobs {
            assert_eq!(
                read(source, blob).as_deref().map_err(Fault::kind),
                Ok(&content[..]),
                "{}",
                blob.digest
            );
        }
    }
}

/// Names bytes.
pub fn describe(kind: &str, algorithm: Algorithm, bytes: &[u8]) -> Descriptor {
    Descriptor::new(MediaType::new(kind), Digest::of(algorithm, bytes), bytes.len() as u64)
}

/// Puts bytes into a place, under their sha256.
pub fn put(sink: &dyn Sink, kind: &str, bytes: &[u8]) -> Descriptor {
    let blob = describe(kind, Algorithm::Sha256, bytes);
    sink.put(&blob, &bytes.to_vec(), &Hints::default()).expect("it is what it is called");
    blob
}

/// Puts a document into a place.
pub fn put_document<T>(sink: &dyn Sink, document: &Document<T>) -> Descriptor {
    let raw = document.raw().to_vec();
    sink.put(document.descriptor(), &raw, &Hints::default()).expect("it is what it is called");
    document.descriptor().clone()
}

/// Runs a verb that nobody watches or stops, by one worker and within the usual limits.
pub fn context<R>(work: impl FnOnce(&Context<'_>) -> R) -> R {
    let (cancel, limits) = (Cancel::new(), Limits::default());
    work(&Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN })
}

/// All bytes of a blob, as the source has them.
pub fn read(source: &dyn Source, blob: &Descriptor) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let origin = source.origin(blob)?;
    let mut reader = origin.open(0)?;
    reader.read_to_end(&mut bytes).map_err(|error| Fault::io("read", error))?;
    Ok(bytes)
}

/// The name under which a place keeps its first image.
fn first_name(place: &dyn Place) -> Name {
    match place.holds() {
        Holds::One => Name::Untagged,
        Holds::Many => place.tag("first"),
    }
}

/// What asks for a name.
fn asks_for(name: &Name) -> Selector {
    match name {
        Name::Untagged => Selector::Only,
        Name::Tag(tag) => Selector::Tag(tag.clone()),
    }
}

/// The only root of a name; its annotations aside, which are the place's own.
fn root_of(source: &dyn Source, name: &Name) -> Result<Descriptor> {
    let mut roots = source.resolve(&asks_for(name))?;
    assert_eq!(roots.len(), 1, "one root was published under {name:?}");
    roots[0].annotations.clear();
    Ok(roots.remove(0))
}

/// The names of a place and what they stand for; a place that cannot be opened yet holds nothing.
fn listing(place: &dyn Place) -> Vec<(Name, Descriptor)> {
    let names = place.catalog().and_then(|catalog| catalog.names());
    let mut names = names.unwrap_or_default();
    for (_, root) in &mut names {
        root.annotations.clear();
    }
    names
}
