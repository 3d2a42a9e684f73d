//! Terminals: one that does not show what is typed, one that passes on every key, one for a container.

use crate::Dir;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags,
    SocketType, accept_with, bind, listen, recvmsg, socket_with,
};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;

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

/// A terminal that passes on every key as it is, until this is dropped.
#[derive(Debug)]
pub struct Raw(Hushed);

/// Makes a terminal pass on every key; nothing where `handle` is no terminal.
pub fn make_raw(handle: impl AsFd) -> io::Result<Option<Raw>> {
    if !isatty(&handle) {
        return Ok(None);
    }
    let before = tcgetattr(&handle)?;
    let mut raw = before.clone();
    raw.make_raw();
    tcsetattr(&handle, OptionalActions::Now, &raw)?;
    Ok(Some(Raw(Hushed { handle: handle.as_fd().try_clone_to_owned()?, before })))
}

impl Raw {
    /// Whether keys are still passed on; another program may have changed that.
    pub fn is_raw(&self) -> bool {
        tcgetattr(&self.0.handle).is_ok_and(|now| !now.local_modes.contains(LocalModes::ICANON))
    }
}

/// Rows and columns of a terminal; nothing where `handle` is none, or tells no size.
pub fn size(handle: impl AsFd) -> Option<(u16, u16)> {
    let size = tcgetwinsize(handle).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Gives one terminal the size of another; nothing where either is none.
pub fn copy_size(from: impl AsFd, to: impl AsFd) {
    if let Ok(size) = tcgetwinsize(from) {
        tcsetwinsize(to, size).ok();
    }
}

/// A new terminal: the side of whoever shows it, and the side of the program in it.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let shown = openpt(flags)?;
    unlockpt(&shown)?;
    let program = ioctl_tiocgptpeer(&shown, flags)?;
    Ok((shown, program))
}

/// Where a runtime sends the terminal that it made for a container (`--console-socket`).
#[derive(Debug)]
pub struct ConsoleSocket(OwnedFd);

impl ConsoleSocket {
    /// Listens at a name of a folder. The folder is reached by its handle: addresses of sockets are short.
    pub fn listen(folder: &Dir, name: &str) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let path = crate::call::proc_child(folder.as_fd(), name.as_bytes());
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, 1)?;
        Ok(Self(socket))
    }

    /// The terminal, when the runtime has ended and so has sent it; an error where it has not.
    pub fn receive(&self) -> io::Result<OwnedFd> {
        let stream = accept_with(&self.0, SocketFlags::CLOEXEC)?;
        let mut name = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        recvmsg(&stream, &mut [IoSliceMut::new(&mut name)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let sent = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut handles) => handles.next(),
            _ => None,
        });
        sent.filter(|handle| isatty(handle)).ok_or_else(|| io::Error::other("the runtime sent no terminal"))
    }
}

/// Lets reads and writes of a handle fail where they would wait.
pub(crate) fn never_wait(handle: impl AsFd) -> Result<(), Errno> {
    let flags = fcntl_getfl(&handle)?;
    fcntl_setfl(&handle, flags | OFlags::NONBLOCK)
}
