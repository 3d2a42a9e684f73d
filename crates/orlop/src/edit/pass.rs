//! One pass over the documents of roots: images are changed by steps, what names them is printed anew.
//!
//! Invariants: children go before parents, and what is spoken of before what speaks of it. A document is looked at once,
//! however many roots reach it.

use super::foresee::{Ahead, Foreseen, Outlook};
use super::revision::Revision;
use super::shelf::Shelf;
use super::subjects::{Subjects, named};
use super::{Family, Step, meant};
use crate::copy::{Account, Platforms, put_all};
use crate::draft::{self, SPEAKS_ABOUT};
use crate::image::{Image, platform_of};
use orlop_spec::graph::Node;
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::platform::Platform;
use orlop_spec::port::{Result, Sink, Source, Transfer};
use orlop_spec::{Algorithm, AnyDigest, Context, Descriptor, Document, Event};
use std::collections::{HashMap, HashSet};
use std::mem;

/// What is known while documents are changed.
pub(super) struct Pass<'a> {
    cx: &'a Context<'a>,
    from: &'a dyn Source,
    to: &'a dyn Sink,
    transfer: Transfer,
    /// Whether the target has what the source has.
    is_there: bool,
    steps: &'a [Box<dyn Step + 'a>],
    /// Where steps write whose layers a later one may read.
    shelf: Option<&'a Shelf>,
    meant: HashSet<AnyDigest>,
    subjects: Subjects,
    /// Documents that were looked at.
    seen: HashSet<AnyDigest>,
    /// What stands for a document at the target, and for which machine it is, where that changed.
    replaced: HashMap<AnyDigest, (Descriptor, Option<Platform>)>,
    /// Images of which nothing that was said before holds.
    unspoken: HashSet<AnyDigest>,
    /// What spoke of those alone.
    void: HashSet<AnyDigest>,
    /// Artifacts that keep names of another algorithm than the one that was asked for.
    misnamed: usize,
    /// What goes, or went, from the source to the target as it is, and whether as a blob.
    moved: HashSet<(AnyDigest, bool)>,
    /// What of it is still to go, children before parents.
    pending: Vec<Node>,
    account: Account,
    /// What is noted where nothing is to be done.
    ahead: Option<Ahead>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        cx: &'a Context<'a>,
        from: &'a dyn Source,
        to: &'a dyn Sink,
        (steps, shelf): (&'a [Box<dyn Step + 'a>], Option<&'a Shelf>),
    ) -> Self {
        if let Some(algorithm) = steps.iter().rev().find_map(|step| step.algorithm()) {
            let text = format!("every blob is named by {algorithm}, diff ids and so the chain of layers too");
            cx.observer.event(Event::Told(text));
        }
        Self {
            cx,
            from,
            to,
            transfer: Transfer::default(),
            is_there: false,
            steps,
            shelf,
            meant: HashSet::new(),
            subjects: Subjects::default(),
            seen: HashSet::new(),
            replaced: HashMap::new(),
            unspoken: HashSet::new(),
            void: HashSet::new(),
            misnamed: 0,
            moved: HashSet::new(),
            pending: Vec::new(),
            account: Account::default(),
            ahead: None,
        }
    }

    /// Only looks ahead.
    pub(super) fn ahead(mut self) -> Self {
        self.ahead = Some(Ahead::default());
        self
    }

    /// The target has what the source has.
    pub(super) fn in_place(mut self) -> Self {
        self.is_there = true;
        self
    }

    /// Blobs that stay are taken so.
    pub(super) fn taking(mut self, transfer: Transfer) -> Self {
        self.transfer = transfer;
        self
    }

    /// Changes what was walked from a root on. Gives what stands for the root.
    pub(super) fn root(
        &mut self,
        root: &Descriptor,
        nodes: Vec<Node>,
        platforms: &Platforms,
    ) -> Result<Descriptor> {
        self.subjects = Subjects::of(&nodes);
        self.meant = meant(root, &nodes, platforms, &self.subjects)?;
        for node in self.subjects.in_order(nodes) {
            self.node(node)?;
        }
        if mem::take(&mut self.misnamed) > 0 {
            let text =
                "attestations and artifacts keep the names of their blobs; what they speak of is named anew";
            self.cx.observer.event(Event::Told(text.into()));
        }
        Ok(self.stand_in(root))
    }

    /// Lets everything of another walk go to the target as it is.
    pub(super) fn keep_all(&mut self, nodes: Vec<Node>) {
        for node in nodes {
            self.keep(node);
        }
    }

    /// Puts what is still to go.
    pub(super) fn finish(mut self) -> Result<Account> {
        self.flush()?;
        Ok(self.account)
    }

    /// What would be done.
    pub(super) fn foreseen(mut self) -> Result<Foreseen> {
        self.flush()?;
        let foreseen = self.ahead.unwrap_or_default().foreseen;
        Ok(Foreseen { account: self.account, ..foreseen })
    }

    fn node(&mut self, node: Node) -> Result<()> {
        // Whether a blob is still needed is known only to what names it.
        if matches!(node, Node::Blob(_)) || !self.seen.insert(node.descriptor().digest.clone()) {
            return Ok(());
        }
        match node {
            Node::Manifest(manifest) if self.meant.contains(&manifest.descriptor().digest) => {
                self.image(&manifest)
            }
            Node::Manifest(manifest) => self.artifact(manifest),
            Node::Index(index) => self.index(&index),
            Node::Blob(_) => Ok(()),
        }
    }

    fn image(&mut self, manifest: &Document<Manifest>) -> Result<()> {
        self.cx.cancel.check()?;
        let image = Image::of(self.cx, self.from, manifest.clone())?;
        let mut revision = Revision::new(&image);
        let outlook = self.outlook(&mut revision)?;
        Family::fit(self.cx, &mut revision)?;
        draft::check_layers(self.cx, revision.layers().len())?;
        for (blob, home) in revision.kept() {
            match home {
                None => self.keep_blob(blob),
                Some(home) => self.put_once(home, blob)?,
            }
        }
        if let Some(subject) = &manifest.subject {
            revision.manifest_mut().subject = Some(self.stand_in(subject));
        }
        let old = manifest.descriptor();
        let platform = platform_of(revision.config());
        let (config, new) = revision.print(self.algorithm_for(old));
        self.write(&config, &manifest.config, &old.digest)?;
        self.write(&new, old, &old.digest)?;
        if let Some(ahead) = &mut self.ahead {
            ahead.note(old, Some(image.platform()), new.descriptor(), outlook);
        }
        if new.descriptor().digest != old.digest {
            let platform = (platform != image.platform()).then_some(platform);
            self.replaced.insert(old.digest.clone(), (new.descriptor().clone(), platform));
            if !self.steps.iter().all(|step| step.keeps_meaning()) {
                self.unspoken.insert(old.digest.clone());
            }
        }
        Ok(())
    }

    /// Changes an image, or looks what that would come to.
    fn outlook<'r>(&mut self, revision: &mut Revision<'r>) -> Result<Outlook>
    where
        'a: 'r,
    {
        let mut outlook = Outlook::default();
        let Some(ahead) = &mut self.ahead else { return self.apply(revision).map(|()| outlook) };
        self.steps.iter().try_for_each(|step| step.foresee(self.cx, revision, &mut outlook))?;
        if !outlook.layers.is_empty() {
            ahead.unsure.insert(revision.image().manifest().descriptor().digest.clone());
        }
        Ok(outlook)
    }

    /// Steps before the last one that reads layers write where those can be read.
    fn apply<'r>(&self, revision: &mut Revision<'r>) -> Result<()>
    where
        'a: 'r,
    {
        let last = self.steps.iter().rposition(|step| step.reads().is_some()).unwrap_or(0);
        for (number, step) in self.steps.iter().enumerate() {
            match self.shelf {
                Some(shelf) if number < last => {
                    step.apply(self.cx, revision, &shelf)?;
                    revision.wait_at(shelf);
                }
                _ => step.apply(self.cx, revision, self.to)?,
            }
        }
        Ok(())
    }

    /// A manifest that is not edited. What spoke of an image as it was before goes; else it follows what it speaks of.
    fn artifact(&mut self, manifest: Box<Document<Manifest>>) -> Result<()> {
        let old = manifest.descriptor().clone();
        let about = self.subjects.about(&old.digest);
        if !about.is_empty() && about.iter().all(|subject| self.unspoken.contains(subject)) {
            self.void.insert(old.digest);
            return Ok(());
        }
        manifest.blobs().for_each(|blob| self.keep_blob(blob));
        let algorithm = self.algorithm_for(&old);
        self.misnamed += usize::from(algorithm_of(&old) != algorithm);
        let subject = manifest.subject.as_ref().map(|subject| self.stand_in(subject));
        if subject == manifest.subject {
            self.keep(Node::Manifest(manifest));
            return Ok(());
        }
        let value = Manifest { subject, ..(*manifest).clone().into_value() };
        let new = manifest.revised(value, old.media_type.clone(), algorithm);
        self.note(&old, new.descriptor(), manifest.subject.as_ref().into_iter());
        self.write(&new, &old, &old.digest)?;
        self.replaced.insert(old.digest, (new.descriptor().clone(), None));
        Ok(())
    }

    fn index(&mut self, index: &Document<Index>) -> Result<()> {
        let old = index.descriptor();
        let mut value = index.clone().into_value();
        value.manifests.retain(|child| !self.is_void(child));
        value
            .manifests
            .iter()
            .filter(|child| !child.media_type.is_document())
            .for_each(|child| self.keep_blob(child));
        for child in &mut value.manifests {
            *child = self.stand_in(child);
            self.follow(child);
        }
        value.subject = value.subject.map(|subject| self.stand_in(&subject));
        self.steps.iter().try_for_each(|step| step.index(self.cx, &mut value))?;
        Family::fit_index(self.cx, &mut value)?;
        if value.manifests != index.manifests {
            value.media_type.get_or_insert_with(|| old.media_type.clone());
        }
        let media_type = value.media_type.clone().unwrap_or_else(|| old.media_type.clone());
        let new = index.revised(value, media_type, self.algorithm_for(old));
        self.note(old, new.descriptor(), index.manifests.iter().chain(&index.subject));
        self.write(&new, old, &old.digest)?;
        if new.descriptor().digest != old.digest {
            self.replaced.insert(old.digest.clone(), (new.descriptor().clone(), None));
        }
        Ok(())
    }

    /// Notes what a document would become that names others.
    fn note<'n>(
        &mut self,
        old: &Descriptor,
        new: &Descriptor,
        mut named: impl Iterator<Item = &'n Descriptor>,
    ) {
        let Some(ahead) = &mut self.ahead else { return };
        if named.any(|named| ahead.unsure.contains(&named.digest)) {
            ahead.unsure.insert(old.digest.clone());
        }
        ahead.note(old, None, new, Outlook::default());
    }

    fn algorithm_for(&self, old: &Descriptor) -> Algorithm {
        self.steps.iter().rev().find_map(|step| step.algorithm()).unwrap_or_else(|| algorithm_of(old))
    }

    /// Puts a document that stands for `old`, after what it names. It is part of what stands for `whole`.
    fn write<T>(&mut self, new: &Document<T>, old: &Descriptor, whole: &AnyDigest) -> Result<()> {
        if self.is_there && new.descriptor().digest == old.digest {
            return Ok(());
        }
        match &self.ahead {
            None => {
                self.flush()?;
                draft::put(self.cx, self.to, new)
            }
            Some(ahead) if ahead.unsure.contains(whole) => Ok(()),
            Some(_) => self.account.foresee(self.to, new.descriptor()),
        }
    }

    /// Whether an entry speaks of what holds no longer.
    fn is_void(&self, entry: &Descriptor) -> bool {
        let is_void = self.void.contains(&entry.digest)
            || named(entry).is_some_and(|subject| self.unspoken.contains(&subject));
        if is_void {
            let text = format!("{} attests an image as it was before, and is left out", entry.digest);
            self.cx.observer.event(Event::Warned(text));
        }
        is_void
    }

    /// Attestations name what they speak about in an annotation.
    fn follow(&self, entry: &mut Descriptor) {
        let Some(subject) = named(entry) else { return };
        if let Some((new, _)) = self.replaced.get(&subject) {
            entry.annotations.insert(SPEAKS_ABOUT.into(), new.digest.to_string().into());
        }
    }

    /// The descriptor of what stands for a document.
    fn stand_in(&self, old: &Descriptor) -> Descriptor {
        let Some((new, platform)) = self.replaced.get(&old.digest) else { return old.clone() };
        let Descriptor { media_type, digest, size, .. } = new.clone();
        let platform = match (&old.platform, platform) {
            (Some(old), Some(new)) if !is_for(old, new) => Some(new.clone()),
            _ => old.platform.clone(),
        };
        Descriptor { media_type, digest, size, platform, data: None, urls: Vec::new(), ..old.clone() }
    }

    fn keep_blob(&mut self, blob: &Descriptor) {
        self.keep(Node::Blob(Box::new(blob.clone())));
    }

    /// Lets something of the source go to the target as it is, where that is elsewhere.
    fn keep(&mut self, node: Node) {
        let key = (node.descriptor().digest.clone(), matches!(node, Node::Blob(_)));
        if !self.is_there && self.moved.insert(key) {
            self.pending.push(node);
        }
    }

    /// Puts a layer that is neither at the source nor at the target.
    fn put_once(&mut self, home: &dyn Source, blob: &Descriptor) -> Result<()> {
        if self.moved.insert((blob.digest.clone(), true)) {
            self.put(home, &[Node::Blob(Box::new(blob.clone()))])?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let pending = mem::take(&mut self.pending);
        if pending.is_empty() { Ok(()) } else { self.put(self.from, &pending) }
    }

    fn put(&mut self, from: &dyn Source, nodes: &[Node]) -> Result<()> {
        if self.ahead.is_some() {
            let mut blobs = nodes.iter().map(Node::descriptor);
            return blobs.try_for_each(|blob| self.account.foresee(self.to, blob));
        }
        self.account = put_all(self.cx, from, nodes, self.to, self.transfer, self.account)?;
        Ok(())
    }
}

/// Whether an entry for `entry` may name an image whose config says `config`: configs often say no variant.
fn is_for(entry: &Platform, config: &Platform) -> bool {
    let (entry, config) = (entry.normalized(), config.normalized());
    entry.os == config.os && entry.architecture == config.architecture
}

/// By which algorithm a document is named, and so is what takes its place.
pub(crate) fn algorithm_of(descriptor: &Descriptor) -> Algorithm {
    descriptor.digest.known().map_or(Algorithm::Sha256, orlop_spec::Digest::algorithm)
}
