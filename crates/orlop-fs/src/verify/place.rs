//! Folders on the way, each reached from the one above.
//!
//! Invariant: at most [`KEPT`] folders of one branch are open, however deep it is; what lies deeper is opened again,
//! name by name, without following.

use crate::call;
use crate::{Dir, Result};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::io;
use std::ops::Deref;
use std::sync::Arc;

/// How deep a folder may lie whose handle is kept.
const KEPT: usize = 32;

/// A folder.
pub(super) struct Place {
    handle: Option<OwnedFd>,
    above: Option<(Arc<Self>, Box<[u8]>)>,
    depth: usize,
}

/// A handle that is kept, or that was opened again.
pub(super) enum Handle<'a> {
    Kept(&'a OwnedFd),
    Opened(OwnedFd),
}

impl Deref for Handle<'_> {
    type Target = OwnedFd;

    fn deref(&self) -> &OwnedFd {
        match self {
            Self::Kept(handle) => handle,
            Self::Opened(handle) => handle,
        }
    }
}

impl Place {
    pub(super) fn root(folder: &Dir) -> Result<Self> {
        let handle = call::reopen(folder).map_err(folder.failed("open", b""))?;
        Ok(Self { handle: Some(handle), above: None, depth: 0 })
    }

    /// The folder `name` in this one, which is open.
    pub(super) fn below(self: &Arc<Self>, name: &[u8], handle: OwnedFd) -> Self {
        let depth = self.depth + 1;
        let handle = (depth <= KEPT).then_some(handle);
        Self { handle, above: Some((Arc::clone(self), name.into())), depth }
    }

    /// A handle of the folder itself.
    pub(super) fn reopen(&self) -> io::Result<OwnedFd> {
        call::reopen(&*self.handle()?)
    }

    /// Opens a folder of this one.
    pub(super) fn open(&self, name: &[u8]) -> io::Result<OwnedFd> {
        call::open_dir(&*self.handle()?, name)
    }

    /// The folder, open.
    pub(super) fn handle(&self) -> io::Result<Handle<'_>> {
        let mut names = Vec::new();
        let mut at = self;
        let kept = loop {
            match (&at.handle, &at.above) {
                (Some(handle), _) => break handle,
                (None, Some((above, name))) => {
                    names.push(&**name);
                    at = above;
                }
                (None, None) => unreachable!("the root is kept"),
            }
        };
        let open = |folder: BorrowedFd<'_>, name: &[u8]| call::open_dir(folder, name);
        let Some(first) = names.pop() else { return Ok(Handle::Kept(kept)) };
        let first = open(kept.as_fd(), first)?;
        let last = names.into_iter().rev().try_fold(first, |folder, name| open(folder.as_fd(), name))?;
        Ok(Handle::Opened(last))
    }
}
