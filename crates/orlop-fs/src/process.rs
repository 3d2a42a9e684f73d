//! Processes: a program is started, watched, sent signals, and its end is seen.
//!
//! Invariant: whatever is started here dies with the thread that started it, and has nothing open but what it was given.

use crate::Result;
use crate::error::{Error, Shown};
use crate::room::Room;
use crate::sys::{self, Session, Start, Waiting};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, pidfd_send_signal,
    test_kill_process, waitid,
};
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A program with what it is given.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The file.
    pub path: &'a Path,
    /// The words, without the program's own name.
    pub arguments: &'a [OsString],
    /// `NAME=VALUE`; without it, the caller's.
    pub environment: Option<&'a [OsString]>,
    /// What it has open, as 0, 1, 2 and so on.
    pub files: &'a [BorrowedFd<'a>],
    /// Where it starts; without it, where the caller is.
    pub folder: Option<&'a Path>,
    /// To which session it belongs.
    pub session: Session,
}

impl Program<'_> {
    /// Starts it.
    ///
    /// # Errors
    /// Where there is no such program, or the namespaces are not to be had.
    pub fn start(&self, room: Room<'_>) -> Result<Process> {
        let name = self.path.as_os_str();
        let arguments: Vec<CString> = std::iter::once(name)
            .chain(self.arguments.iter().map(OsString::as_os_str))
            .map(text)
            .collect::<Result<_>>()?;
        let environment =
            self.environment.map(|all| all.iter().map(|it| text(it)).collect::<Result<Vec<_>>>());
        let folder = self.folder.map(|folder| text(folder.as_os_str())).transpose()?;
        let waiting = sys::start(&Start {
            program: &arguments[0],
            arguments: &arguments,
            environment: environment.transpose()?.as_deref(),
            files: self.files,
            folder: folder.as_deref(),
            namespaces: room.flags(),
            session: self.session,
        });
        let waiting = waiting.map_err(|error| match room {
            Room::Callers => self.failed(error),
            Room::Own | Room::OfUsers(_) => Error::Namespace(error),
        })?;
        self.begin(waiting, room)
    }

    fn begin(&self, waiting: Waiting, room: Room<'_>) -> Result<Process> {
        let process = Process::adopt(waiting.pid)?;
        // Where it fails the gate is closed, and the process ends.
        room.prepare(waiting.pid)?;
        if let Err(error) = waiting.begin() {
            process.wait()?;
            return Err(self.failed(error));
        }
        Ok(process)
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io("run", self.path.as_os_str().as_bytes(), error)
    }
}

fn text(word: &OsStr) -> Result<CString> {
    CString::new(word.as_bytes()).map_err(|_| Error::NotAName(Shown::from(word.as_bytes())))
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(u8),
    /// By a signal.
    Signal(u8),
}

impl Ended {
    /// The code that a shell gives it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128_u8.saturating_add(signal),
        }
    }
}

/// Between two looks at whether a process has become a child.
const PAUSE: Duration = Duration::from_millis(1);

/// A child of this process. Readable when it has ended.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    handle: OwnedFd,
}

impl Process {
    /// A child, or a process that became one because its parent ended.
    fn adopt(pid: Pid) -> Result<Self> {
        let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(failed)?;
        Ok(Self { pid, handle })
    }

    /// The child with this number.
    ///
    /// # Errors
    /// Where there is none.
    pub fn of_number(pid: i32) -> Result<Self> {
        Self::adopt(Pid::from_raw(pid).filter(|pid| pid.as_raw_pid() > 1).ok_or_else(|| failed(Errno::SRCH))?)
    }

    /// Waits for its end.
    pub fn wait(&self) -> Result<Ended> {
        loop {
            match waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => return Ok(ended(&status)),
                Ok(None) | Err(Errno::INTR) => {}
                // It has ended before its parent, who is about to leave it to this process.
                Err(Errno::CHILD) if test_kill_process(self.pid).is_ok() => std::thread::sleep(PAUSE),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Sends a signal; one that has ended does not mind.
    pub fn signal(&self, number: u8) {
        if let Some(signal) = Signal::from_named_raw(i32::from(number)) {
            pidfd_send_signal(&self.handle, signal).ok();
        }
    }

    /// Ends it at once.
    pub fn kill(&self) {
        pidfd_send_signal(&self.handle, Signal::KILL).ok();
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

fn ended(status: &WaitIdStatus) -> Ended {
    let number = |status: Option<i32>| status.and_then(|number| u8::try_from(number).ok());
    match (number(status.exit_status()), number(status.terminating_signal())) {
        (Some(code), _) => Ended::Code(code),
        (None, signal) => Ended::Signal(signal.unwrap_or(0)),
    }
}

fn failed(error: Errno) -> Error {
    Error::io("wait for", "a process", error)
}

/// The first file of this name that can be run in the folders of a search path. A name with a slash is a path.
pub fn find(name: &OsStr, search: &OsStr) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        crate::stat::at(path).is_ok() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(is_program);
    }
    let folders = search.as_bytes().split(|byte| *byte == b':').filter(|folder| folder.starts_with(b"/"));
    folders.map(|folder| Path::new(OsStr::from_bytes(folder)).join(name)).find(is_program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::pipe;

    fn shell(script: &str, files: &[BorrowedFd<'_>], environment: Option<&[OsString]>) -> Process {
        let arguments = ["-c".into(), script.into()];
        let program = Program {
            path: Path::new("/bin/sh"),
            arguments: &arguments,
            environment,
            files,
            folder: None,
            session: Session::Callers,
        };
        program.start(Room::Callers).expect("a shell")
    }

    #[test]
    fn a_program_has_what_it_was_given_and_its_end_is_seen() {
        let (read, write) = pipe().expect("a pipe");
        // In an order in which each would overwrite the next one.
        let files = [read.as_fd(), write.as_fd(), write.as_fd(), write.as_fd()];
        let process =
            shell("echo $A $B >&3; test ! -e /proc/self/fd/4; exit $?", &files, Some(&["A=x".into()]));
        assert_eq!(process.wait().expect("a child"), Ended::Code(0));
        drop(write);
        let mut said = [0; 16];
        let count = rustix::io::read(&read, &mut said).expect("a pipe");
        assert_eq!(&said[..count], b"x\n");
    }

    #[test]
    fn an_end_by_a_signal_has_the_code_that_shells_give_it() {
        let process = shell("kill -9 $$", &[], None);
        let ended = process.wait().expect("a child");
        assert_eq!((ended, ended.exit_code()), (Ended::Signal(9), 137));
        let process = shell("sleep 100", &[], None);
        process.signal(15);
        assert_eq!(process.wait().expect("a child"), Ended::Signal(15));
    }

    #[test]
    fn a_pipe_that_breaks_ends_a_program_that_does_not_look() {
        let (read, write) = pipe().expect("a pipe");
        drop(read);
        let process = shell("while :; do printf x; done 2>/dev/null", &[write.as_fd(), write.as_fd()], None);
        drop(write);
        assert_eq!(process.wait().expect("a child"), Ended::Signal(13));
    }

    #[test]
    fn what_is_no_program_says_so() {
        let program = Program {
            path: Path::new("/etc/passwd"),
            arguments: &[],
            environment: None,
            files: &[],
            folder: None,
            session: Session::Callers,
        };
        let error = program.start(Room::Callers).expect_err("no program");
        assert_eq!(error.io_kind(), Some(io::ErrorKind::PermissionDenied));
    }

    #[test]
    fn programs_are_found_in_absolute_folders_of_the_path_alone() {
        let find = |name: &str, search: &str| find(OsStr::new(name), OsStr::new(search));
        assert_eq!(find("sh", "/nonexistent:/bin"), Some("/bin/sh".into()));
        assert_eq!(find("sh", "bin:.:"), None);
        assert_eq!(find("passwd", "/etc"), None, "nobody may run it");
        assert_eq!(find("/bin/sh", ""), Some("/bin/sh".into()));
    }
}
