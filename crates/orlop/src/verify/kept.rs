//! What the store keeps of a tree: its objects, and what is mounted of it.
//!
//! Invariant: what is as an earlier look saw it costs a `stat`; with [`Trust::Nothing`] every byte is read. The manifest
//! that is compared with is what the lists of the layers say, and they are proven whenever they are read.

use super::How;
use crate::error::Error;
use orlop_fs::namespace::Ids;
use orlop_fs::owner::Owner;
use orlop_fs::verify::{Difference, Fact, Of, Seen, is_settled};
use orlop_layer::TreePath;
use orlop_layer::manifest::{TreeManifest, What};
use orlop_spec::port::Result;
use orlop_spec::{Context, DiffId, Digest, Event};
use orlop_store::Store;
use orlop_store::error::is_unreadable;
use orlop_store::store::look::{Harm, Look};
use orlop_store::store::manifest::{Kept, Note, Subject, Trust};
use orlop_store::store::objects::Object;
use orlop_store::store::view::{Backend, Owners, Standing};
use std::collections::HashMap;

/// What the store keeps of a tree and is not what it should be.
#[derive(Debug, Default)]
pub struct Stored {
    /// Objects, by their digests.
    pub objects: Vec<Harmed>,
    /// What is mounted.
    pub views: Vec<WrongView>,
}

/// An object that is not what it is called.
#[derive(Debug)]
pub struct Harmed {
    /// What it is called.
    pub digest: Digest,
    /// What is wrong.
    pub harm: Harm,
    /// Who needs it, sorted.
    pub paths: Vec<TreePath>,
}

/// Something that is mounted, and is not what it should be.
#[derive(Debug)]
pub struct WrongView {
    /// Its name in the folder of trees.
    pub key: String,
    /// How it shows the tree.
    pub backend: Backend,
    /// What differs; nothing where all that is known is that the image of it has other bytes.
    pub files: Vec<Difference>,
}

impl Stored {
    /// Whether everything is as it should be.
    pub fn is_as_meant(&self) -> bool {
        self.objects.is_empty() && self.views.is_empty()
    }
}

/// Looks at everything that the store keeps of the tree of these layers, base first.
pub fn stored(cx: &Context<'_>, store: &Store, layers: &[DiffId], trust: Trust) -> Result<Stored> {
    let kept = store.manifest(layers, trust, cx.limits)?;
    Ok(Stored { views: wrong_views(cx, store, layers, &kept)?, objects: objects(cx, store, &kept)? })
}

/// Looks only at what is mounted of these layers; every byte of it is read.
pub fn views(cx: &Context<'_>, store: &Store, layers: &[DiffId]) -> Result<Vec<WrongView>> {
    if store.standing(layers, &Owners::of(&Ids::current()?))?.is_empty() {
        return Ok(Vec::new());
    }
    wrong_views(cx, store, layers, &store.manifest(layers, Trust::Nothing, cx.limits)?)
}

fn wrong_views(cx: &Context<'_>, store: &Store, layers: &[DiffId], kept: &Kept) -> Result<Vec<WrongView>> {
    let owners = Owners::of(&Ids::current()?);
    let mut views = Vec::new();
    for view in store.standing(layers, &owners)? {
        let wrong = match view.backend {
            Backend::Erofs => image(cx, store, (layers, kept), &view),
            Backend::Skeleton | Backend::Checkout => folder(cx, kept, &view, owners.owner()),
        };
        views.extend(match wrong {
            Err(fault) if is_unreadable(&fault) => {
                Some(WrongView { key: view.key, backend: view.backend, files: Vec::new() })
            }
            wrong => wrong?,
        });
    }
    Ok(views)
}

/// Makes right what is mounted, and tells what is not as it should be afterwards. Lost contents are not found again here.
pub fn repair_stored(
    cx: &Context<'_>,
    store: &Store,
    layers: &[DiffId],
    (trust, found): (Trust, &Stored),
) -> Result<Stored> {
    let owners = Owners::of(&Ids::current()?);
    for view in store.standing(layers, &owners)? {
        let Some(wrong) = found.views.iter().find(|wrong| wrong.key == view.key) else { continue };
        match (view.backend, view.root()?) {
            (Backend::Skeleton | Backend::Checkout, Some(root)) => {
                store.mend_view(cx, layers, (&view, &root), owners.owner(), &wrong.files)?;
                root.sync_fs()?;
            }
            (Backend::Erofs, _) => store.mend_image(cx, layers, &view)?,
            (Backend::Skeleton | Backend::Checkout, None) => {}
        }
    }
    stored(cx, store, layers, trust)
}

/// As [`stored`], but that anything wrong is an error: what a run does before it starts a program of the tree.
pub fn prove(cx: &Context<'_>, store: &Store, layers: &[DiffId], trust: Trust) -> Result<()> {
    let found = stored(cx, store, layers, trust)?;
    let of_objects = found.objects.iter().map(|object| object.digest.to_string());
    let mut wrong = of_objects.chain(found.views.iter().map(|view| view.key.clone()));
    match wrong.next() {
        Some(first) => Err(Error::Tampered { first, more: wrong.count() }.into()),
        None => Ok(()),
    }
}

/// The objects that are not what they are called.
fn objects(cx: &Context<'_>, store: &Store, kept: &Kept) -> Result<Vec<Harmed>> {
    let (seen, note) = (kept.seen(Subject::Objects), kept.note());
    let item = store.path().join("objects").display().to_string();
    let total = Some(super::size(&kept.manifest)).filter(|_| seen.is_none());
    cx.observer.event(Event::Started { phase: "verify", item: item.clone(), total });
    let look = Look {
        workers: cx.workers,
        seen: seen.as_ref(),
        now: note.as_ref().map(Note::now),
        cancel: cx.cancel,
        progress: &|bytes| cx.observer.event(Event::Advanced { item: item.clone(), bytes }),
    };
    let looked = store.look_at_objects(&kept.manifest, &look)?;
    cx.observer.event(Event::Finished { item: item.clone() });
    if let Some(note) = note.filter(|_| is_news(seen.as_ref(), &looked.seen)) {
        note.keep(Subject::Objects, &looked.seen)?;
    }
    Ok(named(&kept.manifest, &looked.harmed))
}

/// An image that is as it was when it was compared is not compared again.
fn image(
    cx: &Context<'_>,
    store: &Store,
    (layers, kept): (&[DiffId], &Kept),
    view: &Standing,
) -> Result<Option<WrongView>> {
    let (root, stat) = (kept.manifest.root(), view.image()?);
    let seen = kept.seen(Subject::Image).and_then(|seen| seen.get(root));
    if stat.is_some() && seen == stat.as_ref().map(Fact::of) {
        return Ok(None);
    }
    let note = kept.note();
    if !store.is_image_sound(cx, layers, view)? {
        return Ok(Some(WrongView::of(view, Vec::new())));
    }
    if let (Some(note), Some(stat)) = (note, stat)
        && is_settled(stat.ctime, note.now())
    {
        let mut seen = Seen::none(&kept.manifest, Of::Image);
        seen.note(root, Fact::of(&stat));
        note.keep(Subject::Image, &seen)?;
    }
    Ok(None)
}

/// A view that is a folder: the tree itself, or its skeleton.
fn folder(cx: &Context<'_>, kept: &Kept, view: &Standing, owner: Owner) -> Result<Option<WrongView>> {
    let Some(root) = view.root()? else { return Ok(Some(WrongView::of(view, Vec::new()))) };
    let stat = root.stat_self()?;
    let (manifest, shape) = view.meant(&kept.manifest);
    let subject = Subject::Folder(&stat, owner);
    let (seen, note) = (kept.seen_of(subject, &manifest), kept.note());
    let now = note.as_ref().map(Note::now);
    let found = super::tree(cx, &manifest, &root, &How { owner, shape, seen: seen.as_ref(), now })?;
    if let Some(note) = note.filter(|_| is_news(seen.as_ref(), &found.seen)) {
        note.keep(subject, &found.seen)?;
    }
    Ok((!found.differences.is_empty()).then(|| WrongView::of(view, found.differences)))
}

impl WrongView {
    fn of(view: &Standing, files: Vec<Difference>) -> Self {
        Self { key: view.key.clone(), backend: view.backend, files }
    }
}

/// Whether it is worth to keep what was seen.
fn is_news(before: Option<&Seen>, after: &Seen) -> bool {
    before != Some(after)
}

/// Says who needs each object.
fn named(manifest: &TreeManifest, harmed: &[(Object, Harm)]) -> Vec<Harmed> {
    if harmed.is_empty() {
        return Vec::new();
    }
    let mut paths: HashMap<&[u8], Vec<TreePath>> =
        harmed.iter().map(|(object, _)| (object.digest.bytes(), Vec::new())).collect();
    for id in manifest.ids() {
        if let What::File { sha256, .. } = &manifest.node(id).what
            && let Some(paths) = paths.get_mut(&sha256[..])
        {
            paths.push(manifest.path(id));
        }
    }
    let one = |(Object { digest, .. }, harm): &(Object, Harm)| {
        let mut paths = paths.get(digest.bytes()).cloned().unwrap_or_default();
        paths.sort_by(|one, other| one.components().cmp(other.components()));
        Harmed { digest: *digest, harm: *harm, paths }
    };
    harmed.iter().map(one).collect()
}
