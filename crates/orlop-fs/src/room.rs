//! Where a process is started: in the caller's namespaces, or in new ones in which it is process 1.

use crate::Result;
use crate::error::Error;
use crate::namespace::{GROUPS, Mapping, Mappings, USERS, find};
use crate::process::{Ended, Program};
use crate::sys::Session;
use rustix::fd::AsFd as _;
use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::Pid;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// Which namespaces a process gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room<'a> {
    /// The caller's.
    Callers,
    /// Its own of processes and mounts: it is process 1, and all that it starts dies with it.
    Own,
    /// The same, and one of users, in which these are mapped.
    OfUsers(&'a Mappings),
}

impl Room<'_> {
    /// Flags of clone(2).
    pub(crate) fn flags(self) -> libc::c_int {
        let own = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
        match self {
            Self::Callers => 0,
            Self::Own => own,
            Self::OfUsers(_) => own | libc::CLONE_NEWUSER,
        }
    }

    /// Gives a process that waits in it what only others may give.
    pub(crate) fn prepare(self, pid: Pid) -> Result<()> {
        match self {
            Self::OfUsers(mappings) => map(pid, mappings),
            Self::Callers | Self::Own => Ok(()),
        }
    }
}

/// What process 1 of namespaces of its own does first: its mounts stay its own, and `/proc` shows its processes.
///
/// # Errors
/// Where the kernel lets nobody show processes, as in containers that hide parts of `/proc`.
pub fn settle() -> Result<()> {
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(|error| Error::io("keep mounts below", "/", error))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).map_err(|error| Error::io("mount", "/proc", error))
}

/// Gives a process of a new namespace, which waits, its users. Whoever maps itself alone needs no program for it.
fn map(pid: Pid, mappings: &Mappings) -> Result<()> {
    let Mappings { users, groups } = mappings;
    let pid = pid.as_raw_pid();
    if let ([user], [group]) = (users.as_slice(), groups.as_slice())
        && (user.count, group.count) == (1, 1)
    {
        // Else groups could be left that take rights away.
        write(pid, "setgroups", "deny")?;
        write(pid, "uid_map", &format!("{} {} 1", user.inside, user.outside))?;
        return write(pid, "gid_map", &format!("{} {} 1", group.inside, group.outside));
    }
    let (input, errors) = (io::stdin(), io::stderr());
    for (name, mappings) in [(USERS, users), (GROUPS, groups)] {
        let words: Vec<OsString> = words(pid, mappings).into_iter().map(Into::into).collect();
        let path = find(name)?;
        let program = Program {
            path: Path::new(&path),
            arguments: &words,
            environment: None,
            files: &[input.as_fd(), errors.as_fd(), errors.as_fd()],
            folder: None,
            session: Session::Callers,
        };
        if program.start(Room::Callers)?.wait()? != Ended::Code(0) {
            let text = "the program that maps ids failed, and said why";
            return Err(Error::Namespace(io::Error::other(text)));
        }
    }
    Ok(())
}

fn write(pid: i32, name: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{name}");
    let write = || {
        let file = open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, text.as_bytes())
    };
    write().map(drop).map_err(|error| Error::Namespace(error.into()))
}

fn words(pid: i32, mappings: &[Mapping]) -> Vec<String> {
    let numbers = mappings.iter().flat_map(|it| [it.inside, it.outside, it.count]);
    std::iter::once(pid.to_string()).chain(numbers.map(|number| number.to_string())).collect()
}
