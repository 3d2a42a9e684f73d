//! One tree over another, by their folders alone.
//!
//! Invariant: folders become one, files and owners of the upper tree win; a file never takes the place of a folder, nor the
//! other way round. Each pair of folders is looked at once, however often it comes.

use super::super::claim::Root;
use super::super::id::{Kind, ObjectId};
use super::super::object::DirTree;
use super::super::repo::{RepoError, Transaction};
use super::super::tree::DEEPEST;
use crate::Error;
use orlop_spec::Context;
use std::collections::{BTreeMap, HashMap};

/// Lays a tree over another. Both are in the repository.
pub(super) fn overlay(
    cx: &Context<'_>,
    transaction: &Transaction<'_>,
    below: Root,
    above: Root,
) -> Result<Root, Error> {
    let mut overlay = Overlay { cx, transaction, met: HashMap::new() };
    let tree = overlay.folder(below.tree, above.tree, &mut Vec::new())?;
    Ok(Root { tree, meta: above.meta })
}

struct Overlay<'a> {
    cx: &'a Context<'a>,
    transaction: &'a Transaction<'a>,
    met: HashMap<(ObjectId, ObjectId), ObjectId>,
}

impl Overlay<'_> {
    /// Recursion ends at the depth that trees may have.
    fn folder(
        &mut self,
        below: ObjectId,
        above: ObjectId,
        path: &mut Vec<Box<str>>,
    ) -> Result<ObjectId, Error> {
        if below == above {
            return Ok(above);
        }
        if let Some(known) = self.met.get(&(below, above)) {
            return Ok(*known);
        }
        self.cx.cancel.check().map_err(RepoError::from)?;
        if path.len() >= DEEPEST {
            return Err(RepoError::TooDeep { most: DEEPEST }.into());
        }
        let repo = self.transaction.repo();
        let merged = self.merged(repo.dirtree(&below)?, repo.dirtree(&above)?, path)?;
        let id = self.transaction.put(Kind::DirTree, &merged.to_bytes())?;
        self.met.insert((below, above), id);
        Ok(id)
    }

    fn merged(&mut self, below: DirTree, above: DirTree, path: &mut Vec<Box<str>>) -> Result<DirTree, Error> {
        let of_folders = |(name, tree, meta)| (name, (tree, meta));
        let mut files: BTreeMap<Box<str>, ObjectId> = below.files.into_iter().collect();
        let mut folders: BTreeMap<Box<str>, _> = below.folders.into_iter().map(of_folders).collect();
        for (name, id) in above.files {
            if folders.contains_key(&name) {
                return Err(in_the_way(path, &name));
            }
            files.insert(name, id);
        }
        for (name, tree, meta) in above.folders {
            if files.contains_key(&name) {
                return Err(in_the_way(path, &name));
            }
            let mut merged = tree;
            if let Some((below, _)) = folders.get(&name) {
                path.push(name.clone());
                merged = self.folder(*below, tree, path)?;
                path.pop();
            }
            folders.insert(name, (merged, meta));
        }
        let folders = folders.into_iter().map(|(name, (tree, meta))| (name, tree, meta));
        Ok(DirTree { files: files.into_iter().collect(), folders: folders.collect() })
    }
}

fn in_the_way(path: &[Box<str>], name: &str) -> Error {
    let path = path.iter().map(|part| &**part).chain([name]).collect::<Vec<_>>().join("/");
    RepoError::FileOverFolder { path: format!("/{path}") }.into()
}
