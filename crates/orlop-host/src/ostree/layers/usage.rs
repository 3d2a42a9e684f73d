//! Which layers are kept, who uses them, and the end of those that nobody does.
//!
//! ```text
//! 1  lock    alone: nobody takes an image in
//! 2  mark    what the manifests name of every commit that a ref leads to
//! 3  remove  refs of layers that are not marked: files, bytes, lists
//! 4  prune   commits of layers and images that no ref leads to, then objects
//! ```
//!
//! Invariant: killed at any moment, every ref leads to a commit that is whole, and every image has its layers; what was not
//! removed is found by the next run.

use super::look::note_of;
use super::{LISTS, LayersError, Note, WHOLE, digest_of, is_ours, ref_of};
use crate::error::Error;
use crate::ostree::escape::BLOBS;
use crate::ostree::id::{Kind, ObjectId};
use crate::ostree::kept::images;
use crate::ostree::refname::RefSpec;
use crate::ostree::repo::prune::{KINDS, PruneOptions, Pruned};
use crate::ostree::repo::{Reach, Repo, RepoError};
use orlop_fs::lock::{Share, Wait};
use orlop_spec::Context;
use orlop_spec::digest::AnyDigest;
use orlop_spec::port::Result;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How often a run begins anew because a layer came back while it went.
const TRIES: usize = 5;

/// A blob that the repository keeps for images.
#[derive(Clone, Debug)]
pub struct KeptLayer {
    /// The blob.
    pub blob: AnyDigest,
    /// What is known about it; nothing of a blob that is no layer.
    pub note: Option<Note>,
    /// The commit of its files, or of its bytes.
    pub commit: ObjectId,
    /// Images that name it, and other refs to such.
    pub used_by: Vec<Box<str>>,
}

/// Which layers are to go.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All that nobody uses.
    Unused,
    /// These; it is an error when somebody uses one.
    These(&'a [AnyDigest]),
}

/// What went, or would.
#[derive(Clone, Debug)]
pub struct Removed {
    /// The layers.
    pub layers: Vec<KeptLayer>,
    /// Their refs.
    pub refs: Vec<RefSpec>,
    /// Objects that nothing needs any more.
    pub objects: Pruned,
}

impl Repo {
    /// Every blob that is kept for images, by its digest.
    pub fn kept_layers(&self) -> Result<Vec<KeptLayer>> {
        let refs = self.refs()?;
        let mut users = self.users()?;
        let mut layers = BTreeMap::<String, KeptLayer>::new();
        for (spec, id) in refs.iter().filter(|(spec, _)| spec.remote.is_none()) {
            let (digest, note) = if let Some(digest) = digest_of(BLOBS, &spec.name) {
                let metadata = self.commit(id)?.metadata;
                // Another program's are left alone.
                let Some(note) = note_of(&spec.name, &metadata)? else { continue };
                (digest, Some(note))
            } else if let Some(digest) = digest_of(WHOLE, &spec.name) {
                (digest, None)
            } else {
                continue;
            };
            let Ok(blob) = digest.parse() else { continue };
            let used_by = users.remove(&digest).unwrap_or_default();
            match layers.get_mut(&digest) {
                Some(layer) if note.is_some() => (layer.note, layer.commit) = (note, *id),
                Some(_) => {}
                None => drop(layers.insert(digest, KeptLayer { blob, note, commit: *id, used_by })),
            }
        }
        Ok(layers.into_values().collect())
    }

    /// Who names a blob, by its digest.
    fn users(&self) -> Result<HashMap<String, Vec<Box<str>>>> {
        let mut users = HashMap::<String, Vec<Box<str>>>::new();
        for image in images(self)? {
            for blob in image.note.blobs() {
                users.entry(blob.to_string()).or_default().push(image.called());
            }
        }
        Ok(users)
    }

    /// What [`Self::remove_layers`] would do.
    pub fn foresee_removal(&self, cx: &Context<'_>, which: Which<'_>) -> Result<Removed> {
        let (layers, refs) = self.removable(which)?;
        let gone = self.unnamed_after(&refs)?;
        let mut stays = Reach::new(self);
        for commit in self.list(&[Kind::Commit])?.iter().filter(|commit| !gone.contains(&commit.id)) {
            stays.commit(cx, &commit.id)?;
        }
        let mut objects = Pruned::default();
        for object in self.list(&KINDS)? {
            objects.objects += 1;
            if !stays.met().contains(&object) {
                objects.removed += 1;
                objects.bytes += self.size_on_disk(&object)?;
            }
        }
        Ok(Removed { layers, refs, objects })
    }

    /// Removes layers, and all objects that no commit needs then.
    pub fn remove_layers(&self, cx: &Context<'_>, which: Which<'_>) -> Result<Removed> {
        let lock = self.lock(Share::Exclusive, Wait::Yes)?;
        let (layers, refs) = self.removable(which)?;
        for spec in &refs {
            self.write_ref(spec, None)?;
        }
        drop(lock);
        let objects = self.prune_layers(cx)?;
        Ok(Removed { layers, refs, objects })
    }

    /// Removes commits of layers and images that no ref leads to. One may come back between the look and the removal: the next look
    /// sees it.
    fn prune_layers(&self, cx: &Context<'_>) -> Result<Pruned> {
        let mut tries = 0;
        loop {
            let delete = self.unnamed_after(&[])?.into_iter().collect();
            match self.prune(cx, &PruneOptions { delete, ..PruneOptions::default() }) {
                Err(Error::Repo(RepoError::Named { .. } | RepoError::NoSuchCommit { .. }))
                    if tries < TRIES =>
                {
                    tries += 1;
                }
                pruned => return Ok(pruned?),
            }
        }
    }

    /// Layers that are to go, and the refs of theirs: files and bytes first, then lists that no other blob needs.
    fn removable(&self, which: Which<'_>) -> Result<(Vec<KeptLayer>, Vec<RefSpec>)> {
        let (goes, stays): (Vec<_>, Vec<_>) =
            self.kept_layers()?.into_iter().partition(|layer| match which {
                Which::Unused => layer.used_by.is_empty(),
                Which::These(blobs) => blobs.contains(&layer.blob),
            });
        if let Some(layer) = goes.iter().find(|layer| !layer.used_by.is_empty()) {
            let (digest, users) = (layer.blob.clone(), orlop_spec::Names(layer.used_by.clone()));
            return Err(Error::from(LayersError::InUse { digest, users }).into());
        }
        if let Which::These(blobs) = which
            && let Some(digest) = blobs.iter().find(|blob| goes.iter().all(|layer| layer.blob != **blob))
        {
            return Err(Error::from(LayersError::NoSuchLayer { digest: digest.clone() }).into());
        }
        let needed: HashSet<String> =
            stays.iter().filter_map(|layer| Some(layer.note.as_ref()?.diff_id.to_string())).collect();
        let all = self.refs()?;
        let mut refs = Vec::new();
        for folder in [BLOBS, WHOLE] {
            for layer in goes.iter().filter(|layer| folder == WHOLE || layer.note.is_some()) {
                refs.push(RefSpec::local(ref_of(folder, &layer.blob.to_string()).map_err(Error::from)?));
            }
        }
        refs.retain(|spec| all.iter().any(|(there, _)| there == spec));
        let lists = all.into_iter().map(|(spec, _)| spec).filter(|spec| {
            spec.remote.is_none()
                && digest_of(LISTS, &spec.name).is_some_and(|diff_id| !needed.contains(&diff_id))
        });
        refs.extend(lists);
        Ok((goes, refs))
    }

    /// Commits of layers and images that no ref leads to once `refs` are gone. One that a branch has before the commit that
    /// its ref names belongs to the branch.
    fn unnamed_after(&self, refs: &[RefSpec]) -> Result<HashSet<ObjectId>> {
        let mut named = HashSet::new();
        let all = self.refs()?.into_iter().filter(|(spec, _)| !refs.contains(spec));
        for (_, id) in all.chain(self.mirrored_refs()?) {
            let mut next = Some(id);
            while let Some(id) = next.filter(|id| named.insert(*id)) {
                let parent = self.commit(&id)?.parent;
                next = match parent {
                    Some(parent) if self.has_commit(&parent)? => Some(parent),
                    _ => None,
                };
            }
        }
        let mut unnamed = HashSet::new();
        for commit in self.list(&[Kind::Commit])? {
            if !named.contains(&commit.id) && is_ours(&self.commit(&commit.id)?.metadata) {
                unnamed.insert(commit.id);
            }
        }
        Ok(unnamed)
    }
}
