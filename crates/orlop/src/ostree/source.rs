//! `ostree:REPOSITORY@REF`: a commit as a place of files, which knows what image it is.
//!
//! ```text
//! plain          the commit itself in labels: whoever imports the image has the same commit again, signatures included
//! flatpak        the same, and the labels that flatpak needs to install it
//! encapsulated   the objects themselves in the layers, in the form of bootc and ostree-ext
//! ```
//!
//! Invariant: the image depends on the commit and what was said beside it alone.

use crate::build::Input;
use crate::chunk::Plan;
use crate::draft::Draft;
use crate::error::Error;
use crate::trees::{Profile, Reading, Says, Sifted, TreeSource};
use orlop_fs::owner::Owner;
use orlop_host::flatpak::appstream;
use orlop_host::flatpak::labels::{Labels, XA_REF};
use orlop_host::flatpak::refname::Ref;
use orlop_host::ostree::carried::Carried;
use orlop_host::ostree::encapsulated;
use orlop_host::ostree::encapsulated::entries::LayerEntries;
use orlop_host::ostree::encapsulated::outline::Outline;
use orlop_host::ostree::export::{CommitEntries, Folder, folder, split_subpath, time};
use orlop_host::ostree::object::Commit;
use orlop_host::ostree::{ObjectId, RefSpec, Repo, Variant};
use orlop_layer::{Entries, TreePath};
use orlop_spec::descriptor::Annotations;
use orlop_spec::edit::Pair;
use orlop_spec::port::Result;
use orlop_spec::time::Timestamp;
use orlop_spec::{Context, Event, Limits, Platform};
use std::path::Path;
use std::sync::Arc;

/// Bytes of flatpak's `metadata` that are read.
const METADATA: u64 = 1 << 20;

/// A commit of a repository, or a folder of it.
pub struct CommitTree {
    repo: Arc<Repo>,
    id: ObjectId,
    commit: Commit,
    /// What is the root of the image.
    root: Folder,
    is_whole: bool,
    /// As it was called.
    name: Box<str>,
    profile: Profile,
}

impl CommitTree {
    /// Opens what `name` means: a ref, an id, with `:/SUBPATH` behind it where a folder is meant.
    pub fn open(repository: &Path, name: &str, profile: Profile, limits: &Limits) -> Result<Self> {
        let (name, path) = split_subpath(name)?;
        let is_whole = path.is_root();
        if profile != Profile::Plain && !is_whole {
            return Err(NOT_WHOLE.into());
        }
        let repo = Arc::new(Repo::open(repository, limits)?);
        let id = repo.resolve(name)?;
        let commit = repo.commit(&id)?;
        let root = folder(&repo, &commit, &path)?;
        Ok(Self { repo, id, commit, root, is_whole, name: name.into(), profile })
    }

    /// What flatpak calls the commit, as the name or the commit says.
    pub fn flatpak_ref(&self) -> Option<Ref> {
        let called = self.name.parse::<RefSpec>().ok();
        let called = called.and_then(|spec| spec.name.as_str().parse().ok());
        let values = &self.commit.metadata;
        let said = || values.get(XA_REF)?.as_str()?.parse().ok();
        let bound = || {
            let refs = values.get("ostree.ref-binding").and_then(Variant::as_strings)?;
            refs.into_iter().find_map(|name| name.parse().ok())
        };
        called.or_else(said).or_else(bound)
    }

    fn labels(&self, cx: &Context<'_>) -> Result<Annotations> {
        if !self.is_whole {
            return Ok(Annotations::new());
        }
        if self.profile == Profile::Encapsulated {
            return Ok(encapsulated::labels(&self.id, &self.commit));
        }
        let detached = self.repo.detached(&self.id)?;
        let mut labels = Carried { commit: self.commit.clone(), detached }.to_annotations();
        if self.profile == Profile::Flatpak {
            let name = self.flatpak_ref().ok_or(NOT_FLATPAK)?;
            let metadata = self.metadata()?;
            let key_file = metadata.as_deref().unwrap_or_default();
            let (tree, tell) =
                ((&*self.repo, &self.root.tree), |told| cx.observer.event(Event::Warned(told)));
            labels.extend(appstream::labels(tree, &name, key_file, &tell)?);
            let of_flatpak = Labels::of_commit(Some(name), &self.id, &self.commit, metadata.as_deref());
            labels.extend(of_flatpak.to_annotations());
        }
        Ok(labels)
    }

    /// The layers of its objects: first the one on top of a plan, with the folders, then the groups.
    fn encapsulated<'a>(&'a self, cx: &Context<'a>, plan: Option<&Plan>) -> Result<Vec<Input<'a>>> {
        let groups: Vec<Annotations> = plan.into_iter().flat_map(Plan::annotations).collect();
        let (mut at, count) = (0, groups.len());
        let mut layer_of = |path: &TreePath| {
            let layer = plan.and_then(|plan| plan.layer(at, path)).filter(|layer| *layer < count);
            at += 1;
            layer.map_or(0, |layer| layer + 1)
        };
        let commit = (&self.id, &self.commit);
        let outline = Arc::new(Outline::new(cx, &self.repo, commit, (count + 1, &mut layer_of))?);
        let input = |(number, annotations)| {
            let entries = Box::new(LayerEntries::new(&self.repo, Arc::clone(&outline), number));
            Input { name: format!("layer {} of {}", number + 1, count + 1), entries, annotations }
        };
        Ok([Annotations::new()].into_iter().chain(groups).enumerate().map(input).collect())
    }

    /// The file `metadata` of the root.
    fn metadata(&self) -> Result<Option<String>> {
        let tree = self.repo.dirtree(&self.root.tree)?;
        let Some(id) = tree.file("metadata") else { return Ok(None) };
        let file = self.repo.file(id)?;
        let content = if file.header().is_link() { Vec::new() } else { file.content(METADATA)? };
        Ok(String::from_utf8(content).ok().filter(|text| !text.is_empty()))
    }
}

const NOT_WHOLE: Error = Error::Unfit {
    what: "flatpak and bootc take whole commits, and a subpath is a part of one",
    hint: "leave the subpath or --profile out",
};

const NOT_FLATPAK: Error = Error::Unfit {
    what: "neither its name nor the commit says what flatpak calls it",
    hint: "name it by a ref such as app/org.example.App/x86_64/stable, or leave --profile flatpak out",
};

impl TreeSource for CommitTree {
    fn entries<'a>(&'a self, cx: &Context<'a>, how: &'a Reading) -> Result<Box<dyn Entries + Send + 'a>> {
        let repo = Arc::clone(&self.repo);
        let inner = CommitEntries::new(repo, self.root, time(&self.commit), cx.workers);
        Ok(Box::new(Sifted::new(inner, how)))
    }

    fn can_be(&self, _: Profile) -> bool {
        true
    }

    fn says(&self, cx: &Context<'_>) -> Result<Says> {
        let labels = self.labels(cx)?;
        let created = i64::try_from(self.commit.time).ok();
        let created = created.and_then(|seconds| Timestamp::new(seconds, 0).ok());
        let name = self.flatpak_ref();
        let architecture = name.as_ref().and_then(Ref::architecture);
        let platform = architecture.map(|name| Platform::new("linux", name, None));
        let mut says = Says { created, platform, ..Says::default() };
        if self.profile == Profile::Encapsulated {
            says.annotations.clone_from(&labels);
            says.command = encapsulated::command(&self.commit);
        }
        says.labels = labels.into_iter().map(|(key, value)| Pair { key, value }).collect();
        Ok(says)
    }

    fn becomes(&self) -> &'static str {
        match self.profile {
            Profile::Encapsulated if encapsulated::command(&self.commit).is_some() => {
                "the files become a new image"
            }
            _ => "the files become a new image, without a command",
        }
    }

    fn complete(&self, _: &Context<'_>, draft: &mut Draft) {
        if self.profile == Profile::Encapsulated {
            name_last_layer(draft);
        }
    }

    fn layers<'a>(
        &'a self,
        cx: &Context<'a>,
        how: &'a Reading,
        plan: Option<&'a Plan>,
    ) -> Result<Option<Vec<Input<'a>>>> {
        match self.profile {
            Profile::Encapsulated if how.owner == Owner::Squash => Err(SQUASHED.into()),
            Profile::Encapsulated => self.encapsulated(cx, plan).map(Some),
            Profile::Plain | Profile::Flatpak => Ok(None),
        }
    }
}

const SQUASHED: Error = Error::Unfit {
    what: "a commit is encapsulated with the owners that it has",
    hint: "leave --owner out, or --profile encapsulated",
};

/// Says where the layers of the commit end: what is put above them later is not part of it.
fn name_last_layer(draft: &mut Draft) {
    let Some(last) = draft.config().rootfs.diff_ids.last() else { return };
    let last: Box<str> = last.to_string().into();
    let execution = draft.config().config.get_or_insert_default();
    execution.labels.insert(encapsulated::LAST_LAYER.into(), last.clone());
    draft.annotations().insert(encapsulated::LAST_LAYER.into(), last);
}
