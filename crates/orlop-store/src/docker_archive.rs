//! What `docker save` writes (`docs/formats/docker-archive.md`).
//!
//! ```text
//! manifest.json   [{"Config": member, "RepoTags": [name], "Layers": [member, …]}]
//! ```
//!
//! Invariant: where the archive is an OCI layout too, the images in it come back with their own bytes; where it
//! is not, one archive gives one and the same manifest, whoever reads it and when.

mod name;
pub(crate) mod write;

use crate::archive::members::{Members, Range};
use crate::archive::sink::{ArchiveSink, Form};
use crate::archive::{Input, Options, open_input, unwrap_input};
use crate::error::Error;
use crate::index_file::{IMAGE_NAME, IndexFile};
use crate::layout::{INDEX, MARKER};
use crate::reach::{self, Damage, Reached};
use crate::{catalog, select};
use name::full_name;
use orlop_layer::codec;
use orlop_spec::digest::Algorithm;
use orlop_spec::document::Parse as _;
use orlop_spec::index::REF_NAME;
use orlop_spec::media_type::{Compression, DOCKER_CONFIG, DOCKER_MANIFEST, MediaType};
use orlop_spec::port::{
    Catalog, Hints, Keeper, Name, Origin, Result, Seen, Selector, Sink as _, Source, Sweep, Swept,
};
use orlop_spec::{AnyDigest, Config, Descriptor, Digest, Document, Limits, Manifest, json};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The member that lists the images.
pub(crate) const LIST: &str = "manifest.json";

/// One image of `manifest.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Element {
    config: Box<str>,
    #[serde(default)]
    repo_tags: Option<Vec<Box<str>>>,
    layers: Vec<Box<str>>,
}

/// A Docker archive, open for reading; its names may be changed where it is a file.
#[derive(Debug)]
pub struct DockerArchive {
    options: Options,
    /// Where it is; nowhere for a stream.
    path: Option<PathBuf>,
    /// Replaced when the archive is written anew.
    content: Mutex<Arc<Content>>,
}

impl DockerArchive {
    /// Opens an archive that exists, plain or compressed.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let path = path.as_ref();
        let content = Content::read(open_input(path, options)?, path, &options.limits)?;
        Ok(Self::new(content, Some(path.into()), options))
    }

    /// Reads an archive from a stream, plain or compressed, into a file without a name.
    pub fn read(stream: impl Read + Send, options: &Options) -> Result<Self> {
        let content = Content::read(unwrap_input(stream, options)?, Path::new("-"), &options.limits)?;
        Ok(Self::new(content, None, options))
    }

    /// A new archive at a path.
    pub fn create(path: impl AsRef<Path>, options: &Options) -> Result<ArchiveSink> {
        ArchiveSink::at_path(path.as_ref(), Form::Docker, Compression::None, options)
    }

    /// A new archive on a stream.
    pub fn write(stream: Box<dyn Write + Send>, options: &Options) -> Result<ArchiveSink> {
        ArchiveSink::to_stream(stream, Form::Docker, options)
    }

    pub(crate) fn from_input(input: Input, place: &Path, options: &Options) -> Result<Self> {
        Ok(Self::new(Content::read(input, place, &options.limits)?, None, options))
    }

    pub(crate) fn from_members(members: Members, path: Option<&Path>, options: &Options) -> Result<Self> {
        Ok(Self::new(Content::of(members, &options.limits)?, path.map(Into::into), options))
    }

    fn new(content: Content, path: Option<PathBuf>, options: &Options) -> Self {
        Self { options: options.clone(), path, content: Mutex::new(Arc::new(content)) }
    }

    fn content(&self) -> Arc<Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes the archive anew, in today's form and in what it came in: what `roots` reach, and of the other blobs what is wanted.
    fn rewrite(&self, roots: &[(Name, Descriptor)], wanted: &dyn Fn(&AnyDigest) -> bool) -> Result<()> {
        let Some(path) = &self.path else {
            return Err(Error::NotKept { place: self.content().members.place().into() }.into());
        };
        let wrapping = self.content().members.wrapping();
        let sink = ArchiveSink::at_path(path, Form::Docker, wrapping, &self.options)?;
        let others = self.content().members.blobs().into_iter().filter(|(digest, _)| wanted(digest));
        let others = others.map(|(digest, size)| Descriptor::new(MediaType::new(""), digest, size));
        for blob in self.reached(roots)?.blobs.into_iter().chain(others) {
            match self.origin(&blob) {
                Err(fault) if reach::is_missing(&fault) => {}
                origin => drop(sink.put(&blob, &*origin?, &Hints::default())?),
            }
        }
        Box::new(sink).finish_if(roots, &Seen::all(&self.content().entries))?;
        let new = Content::read(open_input(path, &self.options)?, path, &self.options.limits)?;
        *self.content.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }

    fn reached(&self, roots: &[(Name, Descriptor)]) -> Result<Whole> {
        let mut blobs = Vec::new();
        let roots = roots.iter().map(|(_, root)| root.clone());
        let digests =
            reach::reach(self, &self.options.limits, roots, Damage::Refuse, &mut |blob, reached| {
                if let Reached::Manifest(manifest) = reached {
                    blobs.extend(manifest.blobs().cloned());
                }
                blobs.push(blob.clone());
            })?;
        Ok(Whole { blobs, digests })
    }
}

impl Source for DockerArchive {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let content = self.content();
        let selector = in_full(selector);
        catalog::resolve(content.members.place(), self, &self.options.limits, &content.entries, &selector)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        self.content().blob(blob)
    }
}

impl Catalog for DockerArchive {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        Ok(self.content().entries.clone())
    }

    fn spelled(&self, name: &Name) -> Result<Name> {
        Ok(name.tag().map_or(Name::Untagged, name_of))
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        let content = self.content();
        let roots = content.entries.iter().map(|(_, root)| root.clone());
        reach::referrers(self, &self.options.limits, roots, digest)
    }
}

impl Keeper for DockerArchive {
    fn assign(&self, name: &Name, root: &Descriptor) -> Result<()> {
        self.origin(root)?;
        let mut entries = self.names()?;
        let name = match name {
            Name::Tag(tag) => Name::Tag(write::checked_name(tag)?.into()),
            Name::Untagged => Name::Untagged,
        };
        entries.retain(|(other, _)| *other == Name::Untagged || *other != name);
        entries.push((name, root.clone()));
        self.rewrite(&entries, &|_| true)
    }

    fn forget(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let content = self.content();
        let place = content.members.place();
        let selector = in_full(selector);
        if selector == Selector::Only {
            select::select(place, &content.entries, &selector)?;
        }
        let is_meant =
            |position: &usize| select::matches((*position, &content.entries[*position]), &selector);
        let (gone, kept): (Vec<_>, Vec<_>) = (0..content.entries.len()).partition(is_meant);
        if gone.is_empty() {
            return Err(select::no_such(place, &content.entries, &selector).into());
        }
        let entries = |positions: Vec<usize>| positions.into_iter().map(|at| content.entries[at].clone());
        self.rewrite(&entries(kept).collect::<Vec<_>>(), &|_| true)?;
        Ok(entries(gone).map(|(_, root)| root).collect())
    }

    /// An archive has no writer at work, so nothing in it is too young.
    fn sweep(&self, _: Duration, mode: Sweep) -> Result<Swept> {
        let content = self.content();
        let kept = self.reached(&content.entries)?.digests;
        let removed: Vec<_> =
            content.members.blobs().into_iter().filter(|(digest, _)| !kept.contains(digest)).collect();
        if mode == Sweep::Remove && !removed.is_empty() {
            self.rewrite(&content.entries, &|digest| kept.contains(digest))?;
        }
        Ok(Swept { removed, ..Swept::default() })
    }
}

/// What names reach.
struct Whole {
    /// Every blob that a document describes.
    blobs: Vec<Descriptor>,
    /// These, and digests that documents of unknown type mention.
    digests: BTreeSet<AnyDigest>,
}

/// Names are compared in their full form.
fn in_full(selector: &Selector) -> Selector {
    match selector {
        Selector::Tag(tag) => Selector::Tag(full_name(tag).map_or_else(|| tag.clone(), Into::into)),
        selector => selector.clone(),
    }
}

/// The same of what was seen.
pub(crate) fn seen_in_full(seen: &[Seen]) -> Vec<Seen> {
    let full = |it: &Seen| Seen { name: it.name.tag().map_or(Name::Untagged, name_of), ..it.clone() };
    seen.iter().map(full).collect()
}

/// What an archive holds.
#[derive(Debug)]
struct Content {
    members: Members,
    entries: Vec<(Name, Descriptor)>,
    /// Blobs that are not under `blobs/`.
    others: HashMap<AnyDigest, Other>,
}

#[derive(Debug)]
enum Other {
    /// A manifest that was made.
    Made(Arc<[u8]>),
    /// A member of another name.
    Member(Range),
}

impl Content {
    fn read(input: Input, place: &Path, limits: &Limits) -> Result<Self> {
        Self::of(Members::scan(input, place, limits)?, limits)
    }

    fn of(members: Members, limits: &Limits) -> Result<Self> {
        let place = members.place().to_owned();
        let damaged = |member: &str, source| Error::Damaged { file: place.join(member), source };
        let missing = || Error::Incomplete { place: place.clone(), what: "Docker archive", missing: LIST };
        let list = members.read(LIST, limits.document)?.ok_or_else(missing)?;
        let list: Vec<Element> = json::parse(&list).map_err(|error| damaged(LIST, error.into()))?;
        let index = match (members.find(MARKER)?, members.read(INDEX, limits.document)?) {
            (Some(_), Some(bytes)) => {
                let index = IndexFile::parse(&bytes).map_err(|error| damaged(INDEX, error))?;
                // The file is written from what was read of it, so nothing of it may be passed over.
                index.all_readable(&place)?;
                index
            }
            _ => IndexFile::new(),
        };
        let mut content = Self { members, entries: Vec::new(), others: HashMap::new() };
        let kept = content.kept_images(&index, limits)?;
        for element in &list {
            content.add(element, &kept, limits)?;
        }
        content.add_unspoken(&index);
        Ok(content)
    }

    /// The roots of the OCI layout that reach each config.
    fn kept_images(&self, index: &IndexFile, limits: &Limits) -> Result<HashMap<AnyDigest, Vec<Descriptor>>> {
        let mut kept: HashMap<AnyDigest, Vec<Descriptor>> = HashMap::new();
        for (_, root) in index.entries() {
            let root_alone = std::iter::once(root.clone());
            reach::reach(self, limits, root_alone, Damage::PassBy, &mut |_, reached| {
                if let Reached::Manifest(manifest) = reached {
                    kept.entry(manifest.config.digest.clone()).or_default().push(root.clone());
                }
            })?;
        }
        Ok(kept)
    }

    fn add(
        &mut self,
        element: &Element,
        kept: &HashMap<AnyDigest, Vec<Descriptor>>,
        limits: &Limits,
    ) -> Result<()> {
        let names: Vec<Name> = element.repo_tags.iter().flatten().map(|tag| name_of(tag)).collect();
        let roots = digest_in(&element.config).and_then(|digest| kept.get(&digest));
        let root = match roots {
            Some(roots) => named_so(roots, &names).clone(),
            None => self.make(element, limits)?,
        };
        let names = if names.is_empty() { vec![Name::Untagged] } else { names };
        self.entries.extend(names.into_iter().map(|name| (name, root.clone())));
        Ok(())
    }

    /// Entries of the OCI layout that `manifest.json` does not speak of, such as artifacts.
    fn add_unspoken(&mut self, index: &IndexFile) {
        for (_, root) in index.entries() {
            if self.entries.iter().all(|(_, other)| other.digest != root.digest) {
                let full = root.annotations.get(IMAGE_NAME).or_else(|| root.annotations.get(REF_NAME));
                let name = full.map_or(Name::Untagged, |full| name_of(full));
                self.entries.push((name, root.clone()));
            }
        }
    }

    /// Makes a manifest for an image that has none.
    fn make(&mut self, element: &Element, limits: &Limits) -> Result<Descriptor> {
        let (config, diff_ids) = self.config(element, limits)?;
        let mut layers = Vec::new();
        for (name, diff_id) in element.layers.iter().zip(diff_ids) {
            layers.push(self.layer(name, diff_id)?);
        }
        let mut manifest = Manifest::new(config, layers);
        manifest.media_type = Some(MediaType::new(DOCKER_MANIFEST));
        let document = Document::print(manifest, MediaType::new(DOCKER_MANIFEST), Algorithm::Sha256);
        let root = document.descriptor().clone();
        self.others.insert(root.digest.clone(), Other::Made(document.raw().clone()));
        Ok(root)
    }

    fn config(&mut self, element: &Element, limits: &Limits) -> Result<(Descriptor, Vec<Digest>)> {
        let range = self.range(&element.config)?;
        let bytes = self.members.read(&element.config, limits.document)?.unwrap_or_default();
        let kind = MediaType::new(DOCKER_CONFIG);
        let damaged = |source| Error::Damaged { file: self.members.place().join(&*element.config), source };
        let config = Config::parse(&bytes, &kind).map_err(damaged)?;
        if config.rootfs.diff_ids.len() != element.layers.len() {
            return Err(self.wrong(&element.config, "tells another number of layers than manifest.json"));
        }
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let blob = Descriptor::new(kind, digest, bytes.len() as u64);
        self.others.insert(digest.into(), Other::Member(range));
        Ok((blob, config.rootfs.diff_ids.into_iter().map(|id| id.0).collect()))
    }

    /// A layer that is a plain tar is named by its diff id, which its reader proves; another one by its bytes.
    fn layer(&mut self, name: &str, diff_id: Digest) -> Result<Descriptor> {
        let range = self.range(name)?;
        let (kind, digest) = match codec::detect(&self.members.start(range)?) {
            Compression::None => ("application/vnd.docker.image.rootfs.diff.tar", diff_id),
            Compression::Gzip => {
                ("application/vnd.docker.image.rootfs.diff.tar.gzip", self.members.hash(range)?)
            }
            Compression::Zstd => {
                ("application/vnd.docker.image.rootfs.diff.tar.zstd", self.members.hash(range)?)
            }
        };
        self.others.insert(digest.into(), Other::Member(range));
        Ok(Descriptor::new(MediaType::new(kind), digest, range.size))
    }

    fn range(&self, name: &str) -> Result<Range> {
        let range = self.members.find(name)?;
        range.ok_or_else(|| self.wrong(name, "is named by manifest.json and missing"))
    }

    fn blob(&self, blob: &Descriptor) -> Result<Box<dyn Origin>> {
        match self.others.get(&blob.digest) {
            Some(Other::Made(bytes)) => Ok(Box::new(bytes.to_vec())),
            Some(Other::Member(range)) => Ok(Box::new(self.members.origin(*range)?)),
            None => Ok(Box::new(self.members.blob(&blob.digest)?)),
        }
    }

    fn wrong(&self, member: &str, what: &'static str) -> orlop_spec::Fault {
        let member = orlop_layer::path::escape(member.as_bytes());
        Error::Member { place: self.members.place().into(), member, what }.into()
    }
}

impl Source for Content {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        Ok(select::select(self.members.place(), &self.entries, selector)?)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        self.blob(blob)
    }
}

fn name_of(tag: &str) -> Name {
    Name::Tag(full_name(tag).map_or_else(|| tag.into(), Into::into))
}

/// The digest that a member's name spells, where it is a blob of an OCI layout.
fn digest_in(member: &str) -> Option<AnyDigest> {
    member.strip_prefix("blobs/")?.replacen('/', ":", 1).parse().ok()
}

/// Of several roots that have one config, the one of the name; else the first.
fn named_so<'a>(roots: &'a [Descriptor], names: &[Name]) -> &'a Descriptor {
    let is_named = |root: &&Descriptor| {
        root.annotations.get(IMAGE_NAME).is_some_and(|full| names.contains(&name_of(full)))
    };
    roots.iter().find(is_named).unwrap_or(&roots[0])
}
