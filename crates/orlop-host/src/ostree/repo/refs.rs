//! Refs: names of commits.
//!
//! Invariant: a ref is replaced in one step, and names a commit that is on the disk. A ref is never both a file and the
//! folder of another one.

use super::{Repo, RepoError, replace};
use crate::Error;
use crate::ostree::id::{Kind, ObjectId, ObjectName};
use crate::ostree::refname::RefSpec;
use orlop_fs::{Dir, FileKind};

/// Bytes of the file of a ref, at most.
const LARGEST: u64 = 1 << 10;

/// How often a folder may go before a ref is in it.
const TRIES: usize = 16;

impl Repo {
    /// The commit that a ref names; `None` where there is no such ref.
    pub fn find_ref(&self, spec: &RefSpec) -> Result<Option<ObjectId>, Error> {
        let (folders, name) = place(spec);
        let Some(folder) = self.subfolder(&folders)? else { return Ok(None) };
        match folder.try_stat(name)? {
            Some(stat) if stat.kind == FileKind::Directory => Ok(None),
            Some(_) => read(&folder, name, spec).map(Some),
            None => Ok(None),
        }
    }

    /// All refs, sorted; those of remotes last.
    pub fn refs(&self) -> Result<Vec<(RefSpec, ObjectId)>, Error> {
        let mut refs = Vec::new();
        if let Some(heads) = self.subfolder(&["refs", "heads"])? {
            collect(heads, None, &mut refs)?;
        }
        if let Some(remotes) = self.subfolder(&["refs", "remotes"])? {
            for remote in remotes.list()? {
                let is_folder = remotes.stat(&remote)?.kind == FileKind::Directory;
                let name = std::str::from_utf8(&remote).ok().filter(|_| is_folder);
                if let Some(name) = name {
                    collect(remotes.open_dir(&remote)?, Some(name), &mut refs)?;
                }
            }
        }
        refs.sort();
        Ok(refs)
    }

    /// The refs that are mirrors of those of collections: `COLLECTION/NAME` and its commit.
    pub fn mirrored_refs(&self) -> Result<Vec<(RefSpec, ObjectId)>, Error> {
        let mut refs = Vec::new();
        if let Some(mirrors) = self.subfolder(&["refs", "mirrors"])? {
            collect(mirrors, None, &mut refs)?;
        }
        refs.sort();
        Ok(refs)
    }

    /// The commit that a text names: a ref, `REMOTE:REF`, an id, or the beginning of one that no other commit shares;
    /// behind it a `^` for each step to a parent. What is not here is looked for in the repository's parent.
    pub fn resolve(&self, text: &str) -> Result<ObjectId, Error> {
        let name = text.trim_end_matches('^');
        let mut id = self.resolve_plain(name)?;
        for _ in name.len()..text.len() {
            id = self.commit(&id)?.parent.ok_or(RepoError::NoParent { id })?;
        }
        Ok(id)
    }

    fn resolve_plain(&self, name: &str) -> Result<ObjectId, Error> {
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        if let Ok(spec) = name.parse::<RefSpec>()
            && let Some(id) = self.find_any(&spec)?
        {
            return Ok(id);
        }
        match (self.by_beginning(name)?, &self.parent) {
            (Some(id), _) => Ok(id),
            (None, Some(parent)) => parent.resolve_plain(name),
            (None, None) => Err(RepoError::NoSuchCommit { name: name.into() }.into()),
        }
    }

    /// A ref; without a remote also one of any remote, the first in their order.
    fn find_any(&self, spec: &RefSpec) -> Result<Option<ObjectId>, Error> {
        let found = self.find_ref(spec)?;
        if found.is_some() || spec.remote.is_some() {
            return Ok(found);
        }
        let same = |(other, id): (RefSpec, ObjectId)| (other.name == spec.name).then_some(id);
        Ok(self.refs()?.into_iter().find_map(same))
    }

    /// The commit whose id begins so.
    fn by_beginning(&self, name: &str) -> Result<Option<ObjectId>, Error> {
        let is_hex = name.len() >= 2
            && name.len() < 64
            && name.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        if !is_hex {
            return Ok(None);
        }
        let Ok(folder) = self.objects.open_dir(&name[..2]) else { return Ok(None) };
        let mut found = None;
        for file in folder.list()? {
            let rest = std::str::from_utf8(&file).ok().and_then(|file| file.strip_suffix(".commit"));
            let Some(rest) = rest.filter(|rest| rest.starts_with(&name[2..])) else { continue };
            let Ok(id) = format!("{}{rest}", &name[..2]).parse() else { continue };
            if found.replace(id).is_some() {
                return Err(RepoError::Ambiguous { name: name.into() }.into());
            }
        }
        Ok(found)
    }

    /// Whether a ref may be set: no other one has to be a folder for it, nor it for another one.
    pub fn check_clash(&self, spec: &RefSpec) -> Result<(), Error> {
        let clashing = self.refs()?.into_iter().find(|(other, _)| other.clashes(spec));
        match clashing {
            Some((other, _)) => {
                let (name, other) = (spec.to_string().into(), other.to_string().into());
                Err(RepoError::Clash { name, other }.into())
            }
            None => Ok(()),
        }
    }

    /// Sets a ref, or takes it away.
    pub(in super::super) fn write_ref(&self, spec: &RefSpec, to: Option<&ObjectId>) -> Result<(), Error> {
        let (folders, name) = place(spec);
        let Some(id) = to else { return self.remove_ref(&folders, name) };
        // Another writer may take an empty folder away before this one has a file in it.
        for _ in 0..TRIES {
            if unless_gone(self.place_ref(&folders, name, id))?.is_some() {
                return Ok(());
            }
        }
        self.place_ref(&folders, name, id)
    }

    fn place_ref(&self, folders: &[&str], name: &str, id: &ObjectId) -> Result<(), Error> {
        let mut at = self.dir.try_clone()?;
        for folder in folders {
            at = at.make_or_open_dir(folder, 0o777)?;
        }
        if at.try_stat(name)?.is_some_and(|stat| stat.kind == FileKind::Directory) {
            remove_hollow(&at, name)?;
        }
        replace(at, name, format!("{id}\n").as_bytes())
    }

    /// The folders that are empty then go as well.
    fn remove_ref(&self, folders: &[&str], name: &str) -> Result<(), Error> {
        let Some(folder) = self.subfolder(folders)? else { return Ok(()) };
        match folder.remove_file(name) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => folder.sync()?,
        }
        let mut folders = folders.to_vec();
        // `refs/heads`, `refs/remotes/REMOTE` stay.
        while folders.len() > 3 || (folders.len() == 3 && folders[1] == "heads") {
            let Some(last) = folders.pop() else { break };
            let Some(parent) = self.subfolder(&folders)? else { break };
            if parent.remove_dir(last).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Whether a commit is there.
    pub fn has_commit(&self, id: &ObjectId) -> Result<bool, Error> {
        self.has(&ObjectName::new(*id, Kind::Commit))
    }
}

/// The folders that lead to the file of a ref, and its name.
fn place(spec: &RefSpec) -> (Vec<&str>, &str) {
    let mut folders = match &spec.remote {
        Some(remote) => vec!["refs", "remotes", remote],
        None => vec!["refs", "heads"],
    };
    folders.extend(spec.name.fragments());
    let name = folders.pop().expect("a name has a fragment");
    (folders, name)
}

/// Removes a folder that was left with nothing but such folders in it. A ref that somebody has put there since stays,
/// and is the error.
fn remove_hollow(at: &Dir, name: &str) -> Result<(), Error> {
    let mut folders = vec![(at.try_clone()?, name.as_bytes().into())];
    let mut next = 0;
    while let Some((parent, name)) = folders.get(next) {
        let folder = parent.open_dir(name)?;
        for below in folder.list()? {
            folders.push((folder.try_clone()?, below));
        }
        next += 1;
    }
    folders.iter().rev().try_for_each(|(parent, name): &(Dir, Box<[u8]>)| Ok(parent.remove_dir(name)?))
}

fn read(folder: &Dir, name: &str, spec: &RefSpec) -> Result<ObjectId, Error> {
    let bytes = folder.open_file(name)?.read_to_limit(LARGEST)?;
    let text = std::str::from_utf8(&bytes).ok().map(str::trim_end);
    let id = text.and_then(|text| text.parse().ok());
    id.ok_or_else(|| RepoError::BadRef { name: spec.to_string().into() }.into())
}

/// Nothing where a file or folder is not there any more.
fn unless_gone<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Err(Error::Fs(error)) if error.is_not_found() => Ok(None),
        found => found.map(Some),
    }
}

/// Every ref beneath a folder. Names that cannot be refs are passed over, and so is what goes while it is looked at.
fn collect(folder: Dir, remote: Option<&str>, refs: &mut Vec<(RefSpec, ObjectId)>) -> Result<(), Error> {
    let mut open = vec![(String::new(), folder)];
    while let Some((path, folder)) = open.pop() {
        let Some(files) = unless_gone(folder.list().map_err(Error::from))? else { continue };
        for file in files {
            let Ok(name) = std::str::from_utf8(&file) else { continue };
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            let Ok(name) = path.parse() else { continue };
            match folder.try_stat(&file)?.map(|stat| stat.kind) {
                Some(FileKind::Directory) => {
                    let below = unless_gone(folder.open_dir(&file).map_err(Error::from))?;
                    open.extend(below.map(|below| (path, below)));
                }
                Some(FileKind::File) => {
                    let spec = RefSpec { remote: remote.map(Into::into), name };
                    let file = std::str::from_utf8(&file).unwrap_or_default();
                    let id = unless_gone(read(&folder, file, &spec))?;
                    refs.extend(id.map(|id| (spec, id)));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
