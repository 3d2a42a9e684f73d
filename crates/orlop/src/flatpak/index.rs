//! `flatpak index`: files that make any host of the web a remote of flatpak.
//!
//! ```text
//! DIR/index/static                    which images there are
//! DIR/v2/NAME/manifests/sha256:HEX    the images, unless a registry has them
//! DIR/v2/NAME/blobs/sha256:HEX        … and the deltas that lead to them
//! ```
//!
//! Invariant: the index is replaced as one, after everything that it names is there and proven, and on the disk. What is at its
//! path and is no index stays, and is an error.

use super::learned::{LARGEST, Learned};
use super::listing::{self, Below, Listed};
use crate::error::Error;
use orlop_fs::Dir;
use orlop_fs::temp::{Persist, Temp};
use orlop_host::flatpak::index::{Collection, DELTAS, HERE, Image, Index, LATEST, Rival, STATIC, Taken};
use orlop_layer::Verified;
use orlop_spec::manifest::Manifest;
use orlop_spec::port::{Catalog, Result, Selector, Source, drain};
use orlop_spec::reference::{Repository, is_tag};
use orlop_spec::{AnyDigest, Context, Descriptor, Diagnose as _, Document, Event, Fault, graph};
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A place whose images are listed.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The place.
    pub catalog: &'a dyn Catalog,
    /// Which of its images; all of them where nothing is said.
    pub selector: &'a Selector,
    /// What of which registry it is.
    pub repository: Option<&'a Repository>,
}

/// What was written.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Repository, ref and digest of each image, in the order of the index.
    pub images: Vec<(Box<str>, Box<str>, AnyDigest)>,
    /// Images that flatpak would pass over.
    pub passed_over: usize,
    /// Images that others took the place of.
    pub rivals: Vec<Rival>,
    /// Files of images that were not there before, and their bytes.
    pub files: (u64, u64),
    /// Whether the index changed.
    pub is_changed: bool,
}

/// Writes the index of images, and the images where no registry has them. `registry` is the address of one that does,
/// where that is not plain from the places.
pub fn index(
    cx: &Context<'_>,
    places: &[Place<'_>],
    registry: Option<&str>,
    target: &Path,
) -> Result<Written> {
    let known = address(places)?;
    let registry = registry.or(known.as_deref());
    let learned = registry.map(|registry| Learned::read(&target.join(STATIC), registry)).unwrap_or_default();
    let (mut written, mut index, held) = collect(cx, places, registry.unwrap_or(HERE), &learned)?;
    if index.results.is_empty() {
        return Err(NOTHING.into());
    }
    let deltas = Deltas::read(cx, places, if registry.is_some() { Whose::Own } else { Whose::All })?;
    index.name_deltas(|image| deltas.to(held[image].0, image).map(|(_, delta)| delta.digest.clone()));
    let target = Dir::create_all(target)?;
    if registry.is_none() {
        for (repository, image) in index.images() {
            let (place, manifest) = &held[&image.digest];
            for (place, manifest) in deltas.to(*place, &image.digest).into_iter().chain([(*place, manifest)])
            {
                let mut files = Files { cx, source: places[place].catalog, written: &mut written.files };
                files.image(&target, repository, manifest)?;
            }
        }
    }
    written.is_changed = replace(&target, &index, &written)?;
    let name = |image: &Image| image.name().map(|name| name.to_string().into()).unwrap_or_default();
    written.images =
        index.images().map(|(it, image)| (it.into(), name(image), image.digest.clone())).collect();
    Ok(written)
}

/// Which deltas are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those that stand in the place of the image: no others are in its repository.
    Own,
    /// Those of all places, which become files beside the image.
    All,
}

/// The manifests of deltas, place by place, each by the image that it leads to.
struct Deltas {
    places: Vec<HashMap<AnyDigest, Descriptor>>,
    whose: Whose,
}

impl Deltas {
    fn read(cx: &Context<'_>, places: &[Place<'_>], whose: Whose) -> Result<Self> {
        let read = |place: &Place<'_>| -> Result<_> {
            let roots = match place.catalog.resolve(&Selector::Tag(DELTAS.into())) {
                Err(fault) if fault.is_absence() => Vec::new(),
                roots => roots?,
            };
            let below = roots.first().map(|root| listing::below(cx, place.catalog, root)).transpose()?;
            Ok(below.map(|Below { deltas, .. }| deltas).unwrap_or_default())
        };
        Ok(Self { places: places.iter().map(read).collect::<Result<_>>()?, whose })
    }

    /// In which place the delta to an image is, and its manifest: beside the image before others.
    fn to(&self, own: usize, image: &AnyDigest) -> Option<(usize, &Descriptor)> {
        let all = (0..self.places.len()).filter(|place| *place != own && self.whose == Whose::All);
        [own].into_iter().chain(all).find_map(|place| Some((place, self.places[place].get(image)?)))
    }
}

/// Where the registry of places is; nothing where they are none of a registry.
fn address(places: &[Place<'_>]) -> Result<Option<String>> {
    let mut hosts: Vec<_> = places.iter().map(|place| place.repository.map(Repository::host)).collect();
    hosts.dedup();
    match hosts.as_slice() {
        [None] => Ok(None),
        [Some("docker.io")] => Ok(Some("https://registry-1.docker.io/".into())),
        [Some(host)] => Ok(Some(format!("{}://{host}/", if is_here(host) { "http" } else { "https" }))),
        _ => Err(SEVERAL.into()),
    }
}

fn is_here(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name == "[::1]" || name.starts_with("127.")
}

/// Where each image is: the number of its place, and its manifest.
type Held = BTreeMap<AnyDigest, (usize, Descriptor)>;

fn collect(
    cx: &Context<'_>,
    places: &[Place<'_>],
    registry: &str,
    learned: &Learned,
) -> Result<(Written, Index, Held)> {
    let (mut written, mut collection, mut held) = (Written::default(), Collection::default(), Held::new());
    for (number, place) in places.iter().enumerate() {
        let repository = place.repository.map(Repository::name);
        for (tag, root) in roots(place)? {
            let known = repository.and_then(|repository| learned.image(repository, &root));
            let images = match known {
                Some(image) => vec![image],
                None => listing::below(cx, place.catalog, &root)?.images,
            };
            for Listed { mut image, manifest } in images {
                image.tags = tags(tag.as_deref(), repository);
                held.insert(manifest.digest.clone(), (number, manifest));
                match collection.take(repository, image) {
                    Taken::Listed => {}
                    Taken::NotOfFlatpak => written.passed_over += 1,
                    Taken::Rival(rival) => written.rivals.push(rival),
                }
            }
        }
    }
    Ok((written, collection.index(registry), held))
}

fn roots(place: &Place<'_>) -> Result<Vec<(Option<Box<str>>, Descriptor)>> {
    let tag = |name: Option<&str>| name.map(Into::into);
    if *place.selector == Selector::Only {
        let names = place.catalog.names()?.into_iter().filter(|(name, _)| name.tag() != Some(DELTAS));
        return Ok(names.map(|(name, root)| (tag(name.tag()), root)).collect());
    }
    let name = place.catalog.name_of(place.selector)?;
    Ok(place.catalog.resolve(place.selector)?.into_iter().map(|root| (tag(name.tag()), root)).collect())
}

/// The tags of an image: those of its registry, or the one that clients ask for, and its own where it can be one.
pub(super) fn tags(tag: Option<&str>, repository: Option<&str>) -> Vec<Box<str>> {
    let own = tag.filter(|tag| is_tag(tag) && (repository.is_some() || *tag != LATEST));
    let latest = repository.is_none().then_some(LATEST);
    latest.into_iter().chain(own).map(Into::into).collect()
}

/// Writes images as files.
struct Files<'a> {
    cx: &'a Context<'a>,
    source: &'a dyn Source,
    written: &'a mut (u64, u64),
}

impl Files<'_> {
    fn image(&mut self, target: &Dir, repository: &str, manifest: &Descriptor) -> Result<()> {
        let base: PathBuf = [target.path(), Path::new("v2"), Path::new(repository)].iter().collect();
        let blobs = Dir::create_all(base.join("blobs"))?;
        let document: Document<Manifest> = graph::read(self.cx.limits, self.source, manifest)?;
        if document.media_type.is_none() {
            let warned =
                format!("{}: it names no mediaType, which hosts of plain files do not add", manifest.digest);
            self.cx.observer.event(Event::Warned(warned));
        }
        for blob in document.blobs() {
            self.file(&blobs, blob)?;
        }
        let manifests = Dir::create_all(base.join("manifests"))?;
        self.file(&manifests, manifest)
    }

    fn file(&mut self, folder: &Dir, blob: &Descriptor) -> Result<()> {
        let name = blob.digest.to_string();
        if folder.try_stat(&name)?.is_some_and(|stat| stat.size == blob.size) {
            return Ok(());
        }
        let origin = self.source.origin(blob)?;
        let mut bytes = Verified::new(origin.open(0)?, blob)?;
        let temp = Temp::beside(folder.try_clone()?, &name)?;
        let mut write = |piece: &[u8]| {
            self.cx.cancel.check()?;
            let written = { temp.file() }.write_all(piece);
            written.map_err(|error| orlop_fs::Error::io("write", folder.shown(&name), error))?;
            Ok(ControlFlow::Continue(()))
        };
        drain(&mut bytes as &mut dyn Read, &mut write)?;
        temp.file().set_mode(0o644)?;
        // A file of this name is believed by its size.
        temp.file().sync_data()?;
        temp.persist(&name, Persist::Replace)?;
        *self.written = (self.written.0 + 1, self.written.1 + blob.size);
        Ok(())
    }
}

/// Puts the index in the place of the one that is there, once all that was written is on the disk; whether it is another one.
fn replace(target: &Dir, index: &Index, written: &Written) -> Result<bool> {
    let (folder, name) = STATIC.split_once('/').expect("a folder and a name");
    let folder = target.make_or_open_dir(folder, 0o755)?;
    let bytes = index.to_bytes();
    if folder.try_stat(name)?.is_some() {
        let mut before = Vec::new();
        let file = folder.open_file(name)?;
        let read = file.take(LARGEST + 1).read_to_end(&mut before);
        read.map_err(|error| Fault::io("read the index", error))?;
        let foreign = |source| Error::NotAnIndex { path: target.path().join(STATIC), source };
        Index::parse(&before).map_err(foreign)?;
        if before == bytes {
            if written.files.0 > 0 {
                target.sync_fs()?;
            }
            return Ok(false);
        }
    }
    let temp = Temp::beside(folder.try_clone()?, name)?;
    let written = { temp.file() }.write_all(&bytes);
    written.map_err(|error| orlop_fs::Error::io("write", folder.shown(name), error))?;
    temp.file().set_mode(0o644)?;
    // The folders that are new are many, and of any depth.
    target.sync_fs()?;
    temp.persist(name, Persist::Replace)?;
    folder.sync()?;
    Ok(true)
}

const SEVERAL: Error = Error::Unfit {
    what: "an index speaks of one registry, and these places are of several",
    hint: "write an index for each registry, or copy the images into one first: orlop copy SRC… DST",
};

const NOTHING: Error = Error::Unfit {
    what: "none of these images has a ref and metadata of flatpak, so there is nothing to list",
    hint: "see what an image lacks: orlop flatpak lint REF",
};
