//! An image becomes a commit.
//!
//! ```text
//! layers ──decode, in parallel──► objects, staged          ┐
//!             └─► trees ──stack──► the merged tree ────────┴─► folders ──► root
//! layers that the repository keeps ──► their trees, and no content is read
//! labels ──► what commit the image claims to be ──proven over the root──► the commit: itself, rebuilt, or new
//! ```
//!
//! Invariant: the ref names the commit only after every layer was proven and everything that the commit needs is on the
//! disk. A commit that an image claims to be is never given under another id, nor another commit under its id.

use super::encapsulated::Encapsulated;
use crate::copy::{self, put_all};
use crate::error::Error;
use crate::image::Image;
use crate::layers;
use crate::rendering::{Rendered, Rendering, TreeTarget, Wish};
use orlop_host::error::unless_full;
use orlop_host::ostree::claim::{Claim, Difference, Identity, Root};
use orlop_host::ostree::flavour::Flavour;
use orlop_host::ostree::id::{Kind, ObjectId};
use orlop_host::ostree::import;
use orlop_host::ostree::kept::{CONFIG, ImageNote, KeptSink, MANIFEST_DIGEST};
use orlop_host::ostree::layers::known::Known;
use orlop_host::ostree::object::Commit;
use orlop_host::ostree::refname::RefSpec;
use orlop_host::ostree::repo::{Account, Repo, Transaction};
use orlop_host::ostree::variant::{Dict, Variant};
use orlop_host::ostree::write_tree::write_tree;
use orlop_host::{Error as HostError, flatpak::labels};
use orlop_layer::path::printable;
use orlop_layer::tree::Content;
use orlop_spec::descriptor::Annotations;
use orlop_spec::graph::Node;
use orlop_spec::port::{Result, Transfer};
use orlop_spec::time::Timestamp;
use orlop_spec::{Context, Event};
use std::fmt;
use std::path::{Path, PathBuf};

/// Whether a commit that an image claims to be is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum VerifyId {
    /// Where it can be; a new commit else.
    #[default]
    Auto,
    /// It must be.
    Require,
    /// Never: a new commit is made.
    Off,
}

/// Whether the layers of an image stay by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeepLayers {
    /// The commit alone is made.
    #[default]
    No,
    /// Each is kept, and the commit says which image they are.
    Yes,
}

/// What is said about a commit that is made of an image.
#[derive(Clone, Debug, Default)]
pub struct CommitWish {
    /// What becomes of the commit that the image claims to be.
    pub verify: VerifyId,
    /// When a new commit is made.
    pub time: Option<Timestamp>,
    /// When, where neither that nor the image says it.
    pub epoch: Option<Timestamp>,
    /// One line.
    pub subject: Option<Box<str>>,
    /// Further lines.
    pub body: Option<Box<str>>,
    /// The commit before it, as a ref or an id.
    pub parent: Option<Box<str>>,
    /// What becomes of the layers.
    pub keep: KeepLayers,
}

impl CommitWish {
    /// Whether a commit that the image claims to be is looked for.
    fn wants_the_old_one(&self) -> bool {
        match self.verify {
            VerifyId::Auto => !self.asks_for_a_new_one(),
            VerifyId::Require => true,
            VerifyId::Off => false,
        }
    }

    /// Whether anything is said that only a new commit can honour.
    fn asks_for_a_new_one(&self) -> bool {
        let is_said =
            self.time.is_some() || self.subject.is_some() || self.body.is_some() || self.parent.is_some();
        is_said || self.keep == KeepLayers::Yes
    }
}

/// What an image became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The commit.
    pub id: ObjectId,
    /// How it came to its id.
    pub level: Level,
    /// What was written.
    pub account: Account,
}

/// How a commit came to its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// It came as it was.
    Lossless,
    /// It was put together again from labels of flatpak.
    Rebuilt,
    /// It is new.
    New(Why),
}

/// Why a commit is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The image claims to be none.
    Unclaimed,
    /// The user wants one.
    Asked,
    /// The image is not what it claims.
    Differs(ObjectId, Difference),
}

/// A ref of a repository, which is to name the commit that an image becomes.
#[derive(Clone, Debug)]
pub struct CommitTarget {
    repository: PathBuf,
    spec: RefSpec,
}

impl CommitTarget {
    /// Parses the name. Nothing is opened.
    pub fn parse(repository: &Path, name: &str) -> Result<Self> {
        let spec: RefSpec = name.parse().map_err(HostError::from)?;
        if spec.name.is_like_commit() {
            return Err(NOT_A_REF.into());
        }
        Ok(Self { repository: repository.into(), spec })
    }
}

const NOT_A_REF: Error = Error::Unfit {
    what: "the id of a commit follows from what it holds, and cannot be chosen",
    hint: "name a ref, as in ostree:REPO@os/stable",
};

impl TreeTarget for CommitTarget {
    fn becomes(&self) -> &'static str {
        "an image becomes a commit"
    }

    fn honours(&self, wish: Wish) -> bool {
        wish == Wish::Commit
    }

    fn take(&self, cx: &Context<'_>, image: &Image<'_>, how: &Rendering) -> Result<Rendered> {
        let repo = Repo::open(&self.repository, cx.limits)?;
        let imported = commit(cx, image, &repo, &self.spec, &how.commit)
            .map_err(|fault| unless_full(&self.repository, fault))?;
        cx.observer.event(imported.event());
        let name = format!("ostree:{}@{}", printable(&self.repository.to_string_lossy()), imported.id);
        Ok(Rendered { name, commit: Some(imported) })
    }
}

/// Keeps each layer that is not there. Nobody prunes them until what is given back is dropped.
fn keep_layers<'a>(cx: &Context<'a>, image: &Image<'_>, repo: &Repo) -> Result<KeptSink<'a>> {
    let folder = repo.dir().try_clone()?;
    let sink = KeptSink::of_layers(Repo::open_at(folder, cx.limits)?, *cx)?;
    let layers = image.layers()?;
    let nodes: Vec<_> = layers.iter().map(|layer| Node::Blob(Box::new(layer.blob.clone()))).collect();
    put_all(cx, image.source(), &nodes, &sink, Transfer::Copy, copy::Account::default())?;
    Ok(sink)
}

/// Makes a commit of an image, and lets a ref name it.
pub fn commit(
    cx: &Context<'_>,
    image: &Image<'_>,
    repo: &Repo,
    spec: &RefSpec,
    how: &CommitWish,
) -> Result<Imported> {
    repo.check_clash(spec)?;
    let labels = labels_of(image);
    let encapsulated = Encapsulated::find(image, &labels);
    let claim = claim(&labels, how, encapsulated)?;
    let mut new = NewCommit { image, labels: &labels, how, parent: parent(repo, how)? };
    let _keeping = match how.keep {
        KeepLayers::Yes => Some(keep_layers(cx, image, repo)?),
        KeepLayers::No => None,
    };
    let flavour = Flavour::EXACT.fitting(repo.mode());
    let transaction = repo.begin(cx)?;
    let (root, identity) = if let Some(encapsulated) = encapsulated {
        let taken = encapsulated.take(cx, image, &labels, (&transaction, flavour))?;
        new.parent = new.parent.or(taken.parent());
        (taken.root, if how.wants_the_old_one() { taken.identity() } else { Identity::Unclaimed })
    } else {
        let root = take_layers(cx, image, &transaction, flavour)?;
        (root, claim.prove(root, cx.workers, cx.cancel)?)
    };
    if how.verify == VerifyId::Require
        && let Identity::Differs { id, difference } = identity
    {
        return Err(Error::NotTheCommit { id, difference }.into());
    }
    let (id, level) = new.put(&transaction, root, identity)?;
    transaction.set_ref(spec, Some(&id));
    Ok(Imported { id, level, account: transaction.finish()? })
}

/// The labels of the config.
fn labels_of(image: &Image<'_>) -> Annotations {
    image.config().config.as_ref().map(|config| config.labels.clone()).unwrap_or_default()
}

fn claim(labels: &Annotations, how: &CommitWish, encapsulated: Option<Encapsulated>) -> Result<Claim> {
    match how.verify {
        VerifyId::Require if how.asks_for_a_new_one() => Err(NEW_AND_OLD.into()),
        _ if !how.wants_the_old_one() => Ok(Claim::None),
        VerifyId::Auto | VerifyId::Off => Ok(Claim::of(labels)?),
        VerifyId::Require => match Claim::of(labels)? {
            Claim::None if encapsulated.is_none() => Err(Error::NoCommit.into()),
            claim => Ok(claim),
        },
    }
}

const NEW_AND_OLD: Error = Error::Unfit {
    what: "a commit that is given back has its own time, subject, body and parent, and speaks of no image",
    hint: "leave --verify-id out, or --timestamp, --subject, --body, --parent and --keep-layers",
};

fn parent(repo: &Repo, how: &CommitWish) -> Result<Option<ObjectId>> {
    Ok(how.parent.as_deref().map(|parent| repo.resolve(parent)).transpose()?)
}

/// Decodes the layers that are not kept into objects, and writes the merged tree.
pub(super) fn take_layers(
    cx: &Context<'_>,
    image: &Image<'_>,
    transaction: &Transaction<'_>,
    flavour: Flavour,
) -> Result<Root> {
    let layers: Vec<_> =
        image.layers()?.iter().map(|layer| (layer.blob.digest.clone(), layer.diff_id)).collect();
    let mut known = Known::of(transaction.repo(), &layers, cx)?;
    let trees = known.take_trees();
    let (trees, ids) = import::take(cx, transaction, flavour, |arrivals| {
        let each: layers::Each<'_> = &|layer, decode| decode(&mut arrivals.layer(layer));
        layers::open_others(cx, "import", image, trees, each)
    })?;
    let merged = layers::stack(trees)?;
    ids.forget_losers(transaction, &merged)?;
    let files = |content: &Content| ids.get(content).or_else(|| known.object(content));
    Ok(write_tree(cx, transaction, &merged, &files, flavour)?)
}

/// A commit that may have to be made.
struct NewCommit<'a> {
    image: &'a Image<'a>,
    labels: &'a Annotations,
    how: &'a CommitWish,
    parent: Option<ObjectId>,
}

impl NewCommit<'_> {
    /// Puts the commit that came of the claim, or a new one.
    fn put(
        &self,
        transaction: &Transaction<'_>,
        root: Root,
        identity: Identity,
    ) -> Result<(ObjectId, Level), HostError> {
        let (commit, level) = match identity {
            Identity::Lossless(carried) => {
                let id = transaction.put(Kind::Commit, &carried.commit.to_bytes())?;
                if let Some(detached) = &carried.detached {
                    transaction.detached(&id, &detached.to_bytes())?;
                }
                return Ok((id, Level::Lossless));
            }
            Identity::Rebuilt { commit, .. } => (*commit, Level::Rebuilt),
            Identity::Differs { id, difference } => {
                (self.commit(root), Level::New(Why::Differs(id, difference)))
            }
            Identity::Unclaimed if self.is_claimed() => (self.commit(root), Level::New(Why::Asked)),
            Identity::Unclaimed => (self.commit(root), Level::New(Why::Unclaimed)),
        };
        Ok((transaction.put(Kind::Commit, &commit.to_bytes())?, level))
    }

    /// Whether the labels speak of a commit at all.
    fn is_claimed(&self) -> bool {
        Claim::of(self.labels).map_or(true, |claim| claim != Claim::None)
    }

    /// Nothing in it comes from this machine or this moment.
    fn commit(&self, root: Root) -> Commit {
        let Root { tree, meta } = root;
        let said = |own: &Option<Box<str>>, label: &str| {
            let text = own.as_ref().or_else(|| self.labels.get(label));
            // No commit holds a text with a NUL.
            text.filter(|text| !text.contains('\0')).map_or_else(String::new, ToString::to_string)
        };
        Commit {
            metadata: self.metadata(),
            parent: self.parent,
            related: Vec::new(),
            subject: said(&self.how.subject, labels::SUBJECT),
            body: said(&self.how.body, labels::BODY),
            time: self.time(),
            tree,
            meta,
        }
    }

    fn metadata(&self) -> Dict {
        // Labels that cannot be read say nothing here: what is claimed by them was looked at before.
        let mut metadata = labels::commit_metadata(self.labels).unwrap_or_default();
        if let Ok(config) = std::str::from_utf8(self.image.config().raw()) {
            metadata.set(CONFIG, Variant::string(config));
        }
        let manifest = self.image.manifest().descriptor().digest.to_string();
        metadata.set(MANIFEST_DIGEST, Variant::string(&manifest));
        if self.how.keep == KeepLayers::Yes {
            let note = ImageNote::of_image(self.image.manifest(), self.image.config()).to_dict();
            note.iter().for_each(|(key, value)| metadata.set(key, value.clone()));
        }
        metadata.sorted()
    }

    /// OSTree knows no time before 1970.
    fn time(&self) -> u64 {
        let time = self.how.time.or(self.how.epoch).or_else(|| created(self.image));
        time.and_then(|time| u64::try_from(time.seconds()).ok()).unwrap_or(0)
    }
}

/// When an image was made, as far as its config tells.
pub(super) fn created(image: &Image<'_>) -> Option<Timestamp> {
    image.config().created.as_deref()?.parse().ok()
}

impl Level {
    /// The word for it in JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Lossless => "lossless",
            Self::Rebuilt => "rebuilt",
            Self::New(_) => "new",
        }
    }
}

impl Imported {
    /// Which id the commit has. A warning only where another one was promised.
    fn event(&self) -> Event {
        match &self.level {
            Level::Lossless
            | Level::Rebuilt
            | Level::New(Why::Unclaimed | Why::Asked | Why::Differs(_, Difference::Above { .. })) => {
                Event::Told(self.to_string())
            }
            Level::New(Why::Differs(..)) => Event::Warned(self.to_string()),
        }
    }
}

impl fmt::Display for Imported {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.level {
            Level::Lossless => write!(out, "the commit came as it was, and has its id"),
            Level::Rebuilt => {
                write!(out, "the commit was rebuilt from the labels of flatpak, and has its id")
            }
            Level::New(Why::Unclaimed) => write!(out, "the image speaks of no commit: a new one was made"),
            Level::New(Why::Asked) => {
                write!(out, "a new commit was made, not the one that the image speaks of")
            }
            Level::New(Why::Differs(id, difference)) => {
                write!(out, "the image speaks of the commit {id}, but {difference}: a new one was made")
            }
        }
    }
}
