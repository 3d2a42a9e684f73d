//! The file `summary` of a repository.
//!
//! Invariant: the file is replaced in one step, and a signature of an older one is gone before.

use super::{Mode, Repo, RepoError};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::object::{Commit, DirMeta, DirTree, LARGEST_METADATA};
use crate::ostree::refname::{RefName, RefSpec};
use crate::ostree::summary::{
    self, COLLECTION, COLLECTIONS, Entry, INDEXED_DELTAS, LAST_MODIFIED, MODE, Summary, TOMBSTONES,
};
use crate::ostree::variant::{Dict, Variant};
use orlop_fs::lock::{Share, Wait};
use orlop_layer::Meta;
use orlop_spec::Context;
use std::collections::BTreeMap;

/// The ref whose commit says to which collection a repository belongs.
const DESCRIPTION: &str = "ostree-metadata";

const FILE: &str = "summary";

/// A ref: the collection that it belongs to where that is not the repository's, its name and its commit.
type Told = (Option<Box<str>>, RefName, ObjectId);

impl Repo {
    /// The bytes of the summary, where there is one.
    pub fn summary_bytes(&self) -> Result<Option<Vec<u8>>, Error> {
        match self.dir.open_file(FILE) {
            Ok(mut file) => Ok(Some(file.read_to_limit(LARGEST_METADATA)?)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The summary, where there is one.
    pub fn summary(&self) -> Result<Option<Summary>, Error> {
        let parse = |bytes: Vec<u8>| Summary::parse(&bytes).map_err(|why| RepoError::BadSummary { why });
        Ok(self.summary_bytes()?.map(parse).transpose()?)
    }

    /// Makes the summary of all refs that are its own, or of a collection. It says that it was made at this time; or, where none is
    /// given, when the newest of the commits was. Where the repository belongs to a collection, the ref `ostree-metadata` gets a
    /// commit that says so.
    pub fn update_summary(&mut self, cx: &Context<'_>, time: Option<u64>) -> Result<Summary, Error> {
        let collection = self.config.string("core", "collection-id")?;
        if let Some(collection) = &collection {
            self.describe(cx, collection, time)?;
        }
        let lock = self.lock(Share::Exclusive, Wait::Yes)?;
        let (mut summary, mut others) = (Summary::default(), BTreeMap::<Box<str>, Vec<Entry>>::new());
        let mut newest = 0;
        for (of, name, id) in self.refs_to_tell(collection.as_deref())? {
            let entry = self.entry(name, &id)?;
            newest = newest.max(self.commit(&id)?.time);
            match of {
                Some(of) => others.entry(of).or_default().push(entry),
                None => summary.refs.push(entry),
            }
        }
        for refs in others.values_mut().chain([&mut summary.refs]) {
            refs.sort_by(|one, other| one.name.cmp(&other.name));
        }
        let tombstones = self.config.boolean("core", "tombstone-commits")?.unwrap_or(false);
        let metadata = &mut summary.metadata;
        metadata.push(MODE, Variant::string(mode_word(self.mode)));
        metadata.push(LAST_MODIFIED, Variant::u64_swapped(time.unwrap_or(newest)));
        metadata.push(TOMBSTONES, Variant::bool(tombstones));
        if !others.is_empty() {
            metadata.push(COLLECTIONS, summary::collections(&others));
        }
        let has_index = self.knows_its_deltas()?;
        if has_index {
            metadata.push(INDEXED_DELTAS, Variant::bool(true));
        }
        if let Some(collection) = &collection {
            metadata.push(COLLECTION, Variant::string(collection));
        }
        super::prune::gone(self.dir.remove_file("summary.sig"))?;
        super::replace(self.dir.try_clone()?, FILE, &summary.to_bytes())?;
        drop(lock);
        if has_index && self.config.raw("core", "indexed-deltas").is_none() {
            let mut config = self.config.clone();
            config.set_string("core", "indexed-deltas", "true");
            self.set_config(config)?;
        }
        Ok(summary)
    }

    /// The refs that belong to collections: collection, name and commit, sorted.
    pub fn collection_refs(&self) -> Result<Vec<(Box<str>, RefName, ObjectId)>, Error> {
        let own = self.config.string("core", "collection-id")?.map(Into::into);
        let refs = self.refs_to_tell(None)?.into_iter();
        let mut refs: Vec<_> =
            refs.filter_map(|(of, name, id)| Some((of.or_else(|| own.clone())?, name, id))).collect();
        refs.sort();
        Ok(refs)
    }

    /// Own refs, and with their collections those of others: mirrors, and refs of remotes that belong to one.
    fn refs_to_tell(&self, own: Option<&str>) -> Result<Vec<Told>, Error> {
        let mut refs = Vec::new();
        for (RefSpec { remote, name }, id) in self.refs()? {
            let Some(remote) = remote else {
                refs.push((None, name, id));
                continue;
            };
            let of = self.config.string(&format!("remote \"{remote}\""), "collection-id")?;
            refs.extend(of.map(|of| (Some(of.into()), name, id)));
        }
        for (spec, id) in self.mirrored_refs()? {
            let mirrored =
                spec.name.as_str().split_once('/').and_then(|(of, name)| Some((of, name.parse().ok()?)));
            refs.extend(mirrored.map(|(of, name)| (Some(of.into()), name, id)));
        }
        for (of, ..) in &mut refs {
            if of.as_deref() == own {
                *of = None;
            }
        }
        Ok(refs)
    }

    fn entry(&self, name: RefName, id: &ObjectId) -> Result<Entry, Error> {
        let bytes = self.raw(&ObjectName::new(*id, Kind::Commit))?;
        Ok(Entry::new(name, *id, bytes.len() as u64, self.commit(id)?.time))
    }

    /// Lets `ostree-metadata` lead to a commit of this time, with nothing in it; to the one that it has where that is of the time.
    fn describe(&self, cx: &Context<'_>, collection: &str, time: Option<u64>) -> Result<(), Error> {
        let spec = RefSpec::local(DESCRIPTION.parse()?);
        let mut newest = 0;
        for (other, id) in self.refs()? {
            if other.remote.is_none() && other != spec {
                newest = newest.max(self.commit(&id)?.time);
            }
        }
        let parent = self.find_ref(&spec)?;
        let metadata: Dict = [
            ("ostree.collection-binding", Variant::string(collection)),
            ("ostree.ref-binding", Variant::strings(&[DESCRIPTION])),
        ]
        .into_iter()
        .collect();
        let time = time.unwrap_or(newest);
        if let Some(id) = parent {
            let before = self.commit(&id)?;
            if (&before.metadata, before.time) == (&metadata, time) {
                return Ok(());
            }
        }
        let transaction = self.begin(cx)?;
        let meta = DirMeta::of(&Meta { mode: 0o755, ..Meta::default() });
        let commit = Commit {
            metadata,
            parent,
            related: Vec::new(),
            subject: String::new(),
            body: String::new(),
            time,
            tree: transaction.put(Kind::DirTree, &DirTree::default().to_bytes())?,
            meta: transaction.put(Kind::DirMeta, &meta.to_bytes())?,
        };
        let id = transaction.put(Kind::Commit, &commit.to_bytes())?;
        transaction.set_ref(&spec, Some(&id));
        transaction.finish().map(drop)
    }

    /// Whether an index tells of all static deltas: there is none, or the config says so.
    fn knows_its_deltas(&self) -> Result<bool, Error> {
        let has_any = match self.subfolder(&["deltas"])? {
            Some(deltas) => !deltas.is_empty()?,
            None => false,
        };
        Ok(!has_any || self.config.boolean("core", "indexed-deltas")?.unwrap_or(false))
    }
}

fn mode_word(mode: Mode) -> &'static str {
    mode.config_word()
}
