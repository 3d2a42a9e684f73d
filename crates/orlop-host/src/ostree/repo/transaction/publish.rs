//! The end of a transaction.

use super::{Account, Transaction};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::refname::RefSpec;
use crate::ostree::repo::RepoError;
use orlop_fs::Dir;

impl Transaction<'_> {
    /// Makes everything visible, in the order that the module tells.
    pub fn finish(self) -> Result<Account, Error> {
        let refs = std::mem::take(&mut *self.refs.lock().expect("no holder panics"));
        self.check(&refs)?;
        self.publish_objects()?;
        self.publish_commits()?;
        for (spec, to) in &refs {
            self.repo.write_ref(spec, to.as_ref())?;
        }
        // By this, others notice that something is new.
        self.repo.dir.touch_self()?;
        Ok(self.account())
    }

    /// Refs name what is there, and are no folders of others.
    fn check(&self, refs: &[(RefSpec, Option<ObjectId>)]) -> Result<(), Error> {
        let removed = |spec: &RefSpec| refs.iter().any(|(other, to)| other == spec && to.is_none());
        let set = || refs.iter().filter_map(|(spec, to)| to.map(|id| (spec, id)));
        if set().next().is_none() {
            return Ok(());
        }
        let there = self.repo.refs()?;
        for (spec, id) in set() {
            let object = ObjectName::new(id, Kind::Commit);
            if !self.has(&object)? {
                return Err(RepoError::Missing { object }.into());
            }
            let there = there.iter().map(|(other, _)| other).filter(|other| !removed(other));
            if let Some(other) = there.chain(set().map(|(other, _)| other)).find(|other| other.clashes(spec))
            {
                let (name, other) = (spec.to_string().into(), other.to_string().into());
                return Err(RepoError::Clash { name, other }.into());
            }
        }
        Ok(())
    }

    fn publish_objects(&self) -> Result<(), Error> {
        let has_commits = self.staging.filled_commits().is_some();
        let mut folders = self.staging.filled().peekable();
        if self.is_synced && (has_commits || folders.peek().is_some()) {
            self.staging.dir().sync_fs()?;
        }
        if folders.peek().is_none() {
            return Ok(());
        }
        for (name, folder) in folders {
            self.publish_folder(&name, folder)?;
        }
        if self.is_synced { Ok(self.repo.objects.sync_fs()?) } else { Ok(()) }
    }

    /// A folder that is not there yet goes as a whole.
    fn publish_folder(&self, name: &str, folder: &Dir) -> Result<(), Error> {
        let objects = &self.repo.objects;
        if objects.try_stat(name)?.is_none() {
            match self.staging.dir().rename_new(name, objects, name) {
                Err(error) if !error.is_exists() => return Err(error.into()),
                Ok(()) => return Ok(()),
                Err(_) => {}
            }
        }
        let place = objects.open_dir(name)?;
        for object in folder.list()? {
            folder.rename(&object, &place, &object)?;
        }
        Ok(())
    }

    /// What was said of commits first, so that none is seen without it.
    fn publish_commits(&self) -> Result<(), Error> {
        let Some(commits) = self.staging.filled_commits() else { return Ok(()) };
        let mut names = commits.list()?;
        names.sort_by_key(|name| name.ends_with(b".commit"));
        for name in names {
            let (folder, rest) = name.split_at(2);
            let place = self.repo.objects.make_or_open_dir(folder, 0o777)?;
            commits.rename(&name, &place, rest)?;
            if self.is_synced {
                place.sync()?;
                self.repo.objects.sync()?;
            }
        }
        Ok(())
    }
}
