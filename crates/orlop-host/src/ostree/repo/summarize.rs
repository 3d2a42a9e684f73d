//! The file `summary` of a repository.
//!
//! Invariant: the file is replaced in one step, and a signature of an older one is gone before.

use super::{Mode, Repo, RepoError};
use crate::Error;
use crate::ostree::id::{Kind, ObjectName};
use crate::ostree::object::LARGEST_METADATA;
use crate::ostree::summary::{Entry, INDEXED_DELTAS, LAST_MODIFIED, MODE, Summary, TOMBSTONES};
use crate::ostree::variant::Variant;
use orlop_fs::lock::{Share, Wait};

const FILE: &str = "summary";

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

    /// Makes the summary of all local refs. It says that it was made at this time; or, where none is given, when the newest
    /// of the commits was.
    pub fn update_summary(&self, time: Option<u64>) -> Result<Summary, Error> {
        if let Some(collection) = self.config.string("core", "collection-id")? {
            return Err(RepoError::Collection { collection }.into());
        }
        let _lock = self.lock(Share::Exclusive, Wait::Yes)?;
        let mut summary = Summary::default();
        let mut newest = 0;
        for (spec, id) in self.refs()?.into_iter().filter(|(spec, _)| spec.remote.is_none()) {
            let commit = self.commit(&id)?;
            newest = newest.max(commit.time);
            let size = self.raw(&ObjectName::new(id, Kind::Commit))?.len() as u64;
            summary.refs.push(Entry::new(spec.name, id, size, commit.time));
        }
        summary.refs.sort_by(|one, other| one.name.cmp(&other.name));
        let tombstones = self.config.boolean("core", "tombstone-commits")?.unwrap_or(false);
        summary.metadata.push(MODE, Variant::string(mode_word(self.mode)));
        summary.metadata.push(LAST_MODIFIED, Variant::u64_swapped(time.unwrap_or(newest)));
        summary.metadata.push(TOMBSTONES, Variant::bool(tombstones));
        if self.knows_its_deltas()? {
            summary.metadata.push(INDEXED_DELTAS, Variant::bool(true));
        }
        super::prune::gone(self.dir.remove_file("summary.sig"))?;
        super::replace(self.dir.try_clone()?, FILE, &summary.to_bytes())?;
        Ok(summary)
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
