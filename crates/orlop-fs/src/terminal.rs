//! A terminal that does not show what is typed.

use rustix::fd::{AsFd, OwnedFd};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io;

/// A terminal that shows nothing of what is typed, until this is dropped.
#[derive(Debug)]
pub struct Hushed {
    handle: OwnedFd,
    before: Termios,
}

/// Stops showing what is typed; nothing where `handle` is no terminal.
pub fn hush(handle: impl AsFd) -> io::Result<Option<Hushed>> {
    if !isatty(&handle) {
        return Ok(None);
    }
    let before = tcgetattr(&handle)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&handle, OptionalActions::Flush, &quiet)?;
    Ok(Some(Hushed { handle: handle.as_fd().try_clone_to_owned()?, before }))
}

impl Drop for Hushed {
    fn drop(&mut self) {
        let _best = tcsetattr(&self.handle, OptionalActions::Now, &self.before);
    }
}
