//! Where the work stands in a tree of folders: a stack of open handles.
//!
//! Only the deepest handles are kept, [`OPEN`] where nothing else is said, so that no tree is too deep; the others are opened again by `..`
//! on the way back. That is safe within a staging folder: nobody but its owner can enter it, and no folder is
//! moved while the cursor is below.

use crate::call;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::io::Result;

/// Handles kept at once by a cursor. Few trees are deeper.
const OPEN: usize = 32;

/// A place in a tree; `T` is what the user of the cursor knows about each folder.
pub(super) struct Cursor<T> {
    levels: Vec<Level<T>>,
    /// The path of the deepest folder.
    path: Vec<u8>,
    /// How many handles are kept beside the root's.
    open: usize,
}

struct Level<T> {
    handle: Option<OwnedFd>,
    about: T,
    /// How long the path is up to here.
    length: usize,
}

impl<T: Copy> Cursor<T> {
    pub(super) fn new(root: OwnedFd, about: T) -> Self {
        Self { levels: vec![Level { handle: Some(root), about, length: 0 }], path: Vec::new(), open: OPEN }
    }

    /// A cursor that is one of many: it keeps so many handles.
    pub(super) fn keeping(self, open: usize) -> Self {
        Self { open: open.max(1), ..self }
    }

    /// The folder where the cursor stands.
    pub(super) fn here(&self) -> BorrowedFd<'_> {
        let level = self.levels.last().expect("the root stays");
        level.handle.as_ref().expect("the deepest handle is kept").as_fd()
    }

    /// What is known about the folder where the cursor stands.
    pub(super) fn about(&self) -> T {
        self.levels.last().expect("the root stays").about
    }

    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Goes to the folder at `path`, from wherever the cursor stands. `step` opens a folder of the present one.
    pub(super) fn go(
        &mut self,
        path: &[u8],
        mut step: impl FnMut(&Self, &[u8]) -> Result<(OwnedFd, T)>,
    ) -> Result<()> {
        if path == self.path {
            return Ok(());
        }
        while !is_beneath(path, &self.path) {
            self.leave()?;
        }
        let rest = path[self.path.len()..].split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        for name in rest {
            let (handle, about) = step(self, name)?;
            self.enter(name, handle, about);
        }
        Ok(())
    }

    /// Goes into a folder of the present one.
    pub(super) fn enter(&mut self, name: &[u8], handle: OwnedFd, about: T) {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        self.levels.push(Level { handle: Some(handle), about, length: self.path.len() });
        // The root is never given up: there may be nothing above it to come back by.
        if let Some(far) = self.levels.len().checked_sub(self.open + 1).filter(|far| *far > 0) {
            self.levels[far].handle = None;
        }
    }

    /// Goes back up; gives the handle of the folder that was left.
    pub(super) fn leave(&mut self) -> Result<OwnedFd> {
        let left = self.levels.pop().expect("only folders that were entered are left");
        let left = left.handle.expect("the deepest handle is kept");
        let above = self.levels.last_mut().expect("the root stays");
        if above.handle.is_none() {
            above.handle = Some(call::open_dir(&left, b"..")?);
        }
        self.path.truncate(above.length);
        Ok(left)
    }
}

fn is_beneath(path: &[u8], ancestor: &[u8]) -> bool {
    ancestor.is_empty() || path.strip_prefix(ancestor).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}
