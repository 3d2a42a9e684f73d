//! Following a path through a tree, and through its symbolic links.
//!
//! Invariant: a trail never leaves the tree. Absolute targets begin at the root, `..` stops there, and a path
//! meets at most [`MOST_LINKS`] links. What is missing has no links: there `..` is taken by the letter.

use super::{Form, Inode, InodeId, InodeKind, Lower, Tree, arena::within};
use crate::error::Error;
use crate::path::escape;
use std::borrow::Cow;
use std::ops::Range;

/// As the kernel has it (path_resolution(7)).
const MOST_LINKS: u32 = 40;

/// Bytes of link targets that may be followed while one layer is read or stacked: a few small entries could
/// otherwise ask for hours of walking.
const MOST_FOLLOWED: u64 = 64 << 20;

/// Whether a link at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

/// How far a path goes in a tree.
#[derive(Debug)]
pub(super) struct Trace {
    /// The last folder reached.
    pub(super) folder: InodeId,
    /// What is left of the path from there. The first of the names is missing or leads to what is no folder.
    pub(super) left: Vec<Box<[u8]>>,
    /// The way to `folder` without links, when the trace began at the root.
    walked: Vec<u8>,
    /// Bytes of the links that were followed.
    followed: u64,
}

/// A path meets too many links.
#[derive(Debug)]
pub struct Looped {
    /// Bytes of the links that were followed.
    followed: u64,
}

impl Trace {
    /// What the whole path leads to.
    pub(super) fn inode(&self, tree: &Tree) -> Option<InodeId> {
        match self.left.as_slice() {
            [] => Some(self.folder),
            [name] => tree.child(self.folder, name),
            _ => None,
        }
    }

    /// The whole path without the links that were followed, when the trace began at the root.
    pub(super) fn path(&self) -> Vec<u8> {
        let mut path = self.walked.clone();
        for name in &self.left {
            push(&mut path, name);
        }
        path
    }

    fn descend(&mut self, folder: InodeId, name: &[u8]) {
        self.folder = folder;
        push(&mut self.walked, name);
    }

    fn climb(&mut self, tree: &Tree) {
        if self.left.pop().is_none() {
            self.folder = tree.parent(self.folder);
            let slash = self.walked.iter().rposition(|byte| *byte == b'/');
            self.walked.truncate(slash.unwrap_or(0));
        }
    }

    fn follow(&mut self, target: &[u8], rest: &mut Rest<'_>) -> Result<(), Looped> {
        if target.starts_with(b"/") {
            self.folder = Tree::ROOT;
            self.walked.clear();
        }
        self.followed += target.len() as u64;
        rest.splice(target);
        if rest.links > MOST_LINKS { Err(Looped { followed: self.followed }) } else { Ok(()) }
    }
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    path.push(b'/');
    path.extend_from_slice(name);
}

impl Tree {
    /// Follows `path` from `folder` on.
    pub(super) fn trace(&self, folder: InodeId, path: &[u8], last: Last) -> Result<Trace, Looped> {
        let mut rest = Rest { text: path.into(), at: 0, links: 0 };
        let mut trace = Trace { folder, left: Vec::new(), walked: Vec::new(), followed: 0 };
        while let Some(range) = rest.next() {
            let name = &rest.text[range];
            if name == b".." {
                trace.climb(self);
                continue;
            }
            let found = if trace.left.is_empty() { self.child(trace.folder, name) } else { None };
            match found.map(|id| (id, &self.inode(id).kind)) {
                Some((id, InodeKind::Directory { .. })) => trace.descend(id, name),
                Some((_, InodeKind::Symlink(target))) if last == Last::Follow || !rest.is_at_end() => {
                    trace.follow(target, &mut rest)?;
                }
                _ => trace.left.push(name.into()),
            }
        }
        Ok(trace)
    }

    /// As [`Tree::trace`], for paths that a layer spelled: what it may ask for is bounded.
    pub(super) fn follow(&mut self, folder: InodeId, path: &[u8], last: Last) -> Result<Trace, Error> {
        self.attempt(folder, path, last)?.map_err(|_| Error::Entry { path: escape(path), what: LOOP })
    }

    /// As [`Tree::follow`], but that a loop is an answer.
    pub(super) fn attempt(
        &mut self,
        folder: InodeId,
        path: &[u8],
        last: Last,
    ) -> Result<Result<Trace, Looped>, Error> {
        let trace = self.trace(folder, path, last);
        self.followed += trace.as_ref().map_or_else(|looped| looped.followed, |trace| trace.followed);
        within("the length of all links on the way", self.followed, MOST_FOLLOWED)?;
        Ok(trace)
    }

    /// The folder that a path leads to from `folder` on, links followed. Makes what is missing.
    pub(super) fn enter(&mut self, folder: InodeId, path: &[u8]) -> Result<InodeId, Error> {
        let trace = self.follow(folder, path, Last::Follow)?;
        let direct = trace.followed == 0;
        let mut folder = trace.folder;
        for name in trace.left {
            let inode = self.implied_at(folder, &name, direct).ok_or_else(|| below_a_file(path))?;
            let id = self.create(inode);
            self.bind(folder, name, id)?;
            folder = id;
        }
        Ok(folder)
    }

    /// The folder that a path implies where there is none. In a layer nothing can lie below a file. A file of a
    /// lower layer is replaced, but not one that only a link leads to.
    fn implied_at(&self, folder: InodeId, name: &[u8], direct: bool) -> Option<Inode> {
        let found = self.child(folder, name).map(|id| &self.inode(id).kind);
        match (self.form, found) {
            (Form::Stacked, None) => Some(Inode::fresh()),
            (Form::Stacked, Some(_)) => direct.then(Inode::fresh),
            (Form::Layer, None) => Some(Inode::implied(Lower::Merge)),
            (Form::Layer, Some(InodeKind::Whiteout)) => Some(Inode::implied(Lower::Replace)),
            (Form::Layer, Some(_)) => None,
        }
    }
}

const LOOP: &str = "more than 40 symbolic links are on the way";

fn below_a_file(path: &[u8]) -> Error {
    Error::Entry {
        path: escape(path),
        what: "leads to what is no folder, and the layer puts something below it",
    }
}

/// What is left of a path while it is followed.
struct Rest<'a> {
    text: Cow<'a, [u8]>,
    at: usize,
    links: u32,
}

impl Rest<'_> {
    /// Where the next component stands in the text.
    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.at + self.text[self.at..].iter().position(|byte| *byte != b'/')?;
            let length = self.text[start..].iter().position(|byte| *byte == b'/');
            self.at = start + length.unwrap_or(self.text.len() - start);
            if &self.text[start..self.at] != b"." {
                return Some(start..self.at);
            }
        }
    }

    fn is_at_end(&self) -> bool {
        self.text[self.at..].iter().all(|byte| *byte == b'/')
    }

    /// The target of a link comes before what is left.
    fn splice(&mut self, target: &[u8]) {
        self.links += 1;
        self.text = [target, b"/", &self.text[self.at..]].concat().into();
        self.at = 0;
    }
}
