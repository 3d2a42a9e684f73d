//! The only unsafe code of orlop: system calls that have no safe face elsewhere.

use crate::Result;
use crate::error::Error;
use crate::lock::{Share, Wait};
use orlop_spec::Cancel;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::UnshareFlags;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// What the handler sets.
static CANCEL: OnceLock<&'static Cancel> = OnceLock::new();

/// Makes the first SIGINT and the first SIGTERM set `cancel`; the second one of its kind kills. A system call that
/// waits is interrupted, so that an operation that waits for a lock ends too. Done once per process; later calls
/// change nothing.
pub fn cancel_on_signals(cancel: &'static Cancel) -> Result<()> {
    if CANCEL.set(cancel).is_err() {
        return Ok(());
    }
    cancel_on(libc::SIGINT, "SIGINT")?;
    cancel_on(libc::SIGTERM, "SIGTERM")
}

#[expect(unsafe_code, reason = "rustix has no face for sigaction")]
fn cancel_on(signal: libc::c_int, name: &str) -> Result<()> {
    // SAFETY: all bytes zero is a `sigaction` without flags, mask and handler.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = set_cancel as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESETHAND;
    // SAFETY: both pointers are valid or null, and the handler only loads and stores atomics.
    if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } == 0 {
        return Ok(());
    }
    Err(Error::io("handle", name, std::io::Error::last_os_error()))
}

/// Runs between any two instructions: touches atomics only.
extern "C" fn set_cancel(_: libc::c_int) {
    if let Some(cancel) = CANCEL.get() {
        cancel.set();
    }
}

/// Whether standard output was open when the process began. The runtime of Rust puts `/dev/null` where it was closed,
/// and so what is written there would be taken for written.
pub fn was_stdout_open() -> bool {
    !STDOUT_CLOSED.load(Ordering::Relaxed)
}

static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// Asked by the loader before the runtime begins.
#[used]
#[expect(unsafe_code, reason = "nothing else runs before the runtime of Rust")]
// SAFETY: the section holds functions that take and return nothing that matters, and this is one.
#[unsafe(link_section = ".init_array")]
static LOOK_AT_STDOUT: extern "C" fn() = look_at_stdout;

#[expect(unsafe_code, reason = "a borrowed descriptor must be open, which is what is asked")]
extern "C" fn look_at_stdout() {
    // SAFETY: the call reads one flag of a descriptor, and fails where there is none.
    let is_closed = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } == -1;
    STDOUT_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// Takes the process into new namespaces, one of users among them, and lets each helper, a program with its arguments, do its work
/// on it from outside. Fails where the process has several threads.
pub(crate) fn enter_user_namespace(helpers: &[Vec<CString>], flags: UnshareFlags) -> std::io::Result<()> {
    let started = helpers.iter().map(|words| start_gated(words)).collect::<std::io::Result<Vec<_>>>()?;
    unshare(flags)?;
    for (pid, gate) in started {
        rustix::io::write(&gate, b".")?;
        let status = waitpid(Some(pid), WaitOptions::empty())?;
        if status.and_then(|(_, status)| status.exit_status()) != Some(0) {
            return Err(std::io::Error::other("the program that maps ids failed, and said why"));
        }
    }
    Ok(())
}

/// Takes the process into new namespaces, of users and of mounts.
#[expect(unsafe_code, reason = "rustix has no safe face for unshare: it may share file descriptors")]
pub(crate) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    debug_assert!((UnshareFlags::NEWUSER | UnshareFlags::NEWNS).contains(flags));
    // SAFETY: namespaces of users and mounts share and unshare no memory and no descriptors.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Starts a program that begins when a byte is written to the gate, and never if the gate is closed before.
#[expect(unsafe_code, reason = "fork and exec with a wait in between have no safe face")]
fn start_gated(words: &[CString]) -> std::io::Result<(Pid, OwnedFd)> {
    let (wait, gate) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut arguments: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    arguments.push(std::ptr::null());
    // SAFETY: the child calls nothing but `close`, `read`, `execv` and `_exit`, which are safe after a fork even of a
    // process with threads; `arguments` ends in a null pointer, and its strings live until the exec.
    unsafe {
        match libc::fork() {
            -1 => Err(std::io::Error::last_os_error()),
            0 => {
                libc::close(gate.as_raw_fd());
                let mut byte = 0_u8;
                if libc::read(wait.as_raw_fd(), (&raw mut byte).cast(), 1) == 1 {
                    libc::execv(arguments[0], arguments.as_ptr());
                }
                libc::_exit(127)
            }
            pid => Ok((Pid::from_raw(pid).ok_or(Errno::CHILD)?, gate)),
        }
    }
}

/// Lets nothing be written through a mount that is at no place yet.
#[expect(unsafe_code, reason = "rustix has no face for mount_setattr")]
pub(crate) fn make_read_only(mount: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let attributes =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the descriptor is open as long as it is borrowed, the path is an empty string, and the kernel reads as many
    // bytes of the attributes as it is told.
    outcome_of(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// A process that is to be started.
pub(crate) struct Start<'a> {
    pub(crate) program: &'a CStr,
    pub(crate) arguments: &'a [CString],
    /// Without it, the caller's.
    pub(crate) environment: Option<&'a [CString]>,
    /// What it has open, as 0, 1, 2 and so on.
    pub(crate) files: &'a [BorrowedFd<'a>],
    /// By its path: a handle would lead to the mounts of the caller.
    pub(crate) folder: Option<&'a CStr>,
    /// Flags of clone(2) for the namespaces that it gets.
    pub(crate) namespaces: libc::c_int,
    /// Whether file 0 is the terminal of a session of its own.
    pub(crate) session: Session,
}

/// To which session a process belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// The caller's.
    Callers,
    /// One of its own, whose terminal is its file 0.
    OfTerminal,
}

/// A process that is there and has not begun.
pub(crate) struct Waiting {
    pub(crate) pid: Pid,
    gate: OwnedFd,
    outcome: OwnedFd,
}

impl Waiting {
    /// Lets it begin, and waits until its program runs.
    pub(crate) fn begin(self) -> std::io::Result<()> {
        rustix::io::write(&self.gate, b".")?;
        drop(self.gate);
        let mut error = [0; 4];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.outcome, &mut error))? {
            0 => Ok(()),
            _ => Err(std::io::Error::from_raw_os_error(i32::from_ne_bytes(error))),
        }
    }
}

/// Descriptors from here on are nobody's while a process puts its own in order.
const ASIDE: libc::c_int = 256;

/// `CLOSE_RANGE_CLOEXEC`
const CLOSE_ON_EXEC: libc::c_long = 4;
/// The highest number of a descriptor, as the kernel reads it.
const ALL: libc::c_long = -1;

/// Makes a process that dies with the calling thread, and waits at a gate before it becomes its program.
#[expect(unsafe_code, reason = "fork and exec with a wait in between have no safe face")]
pub(crate) fn start(start: &Start<'_>) -> std::io::Result<Waiting> {
    let (wait, gate) = pipe_with(PipeFlags::CLOEXEC)?;
    let (outcome, tell) = pipe_with(PipeFlags::CLOEXEC)?;
    let pointers = |words: &[CString]| -> Vec<*const libc::c_char> {
        words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let arguments = pointers(start.arguments);
    let environment = start.environment.map(pointers);
    let mut files: Vec<libc::c_int> = start.files.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: the child calls nothing but system calls until it is another program or has ended, which is safe after a
    // fork even of a process with threads. All memory that it uses was made before and is its own copy; both lists end
    // in a null pointer, and their strings live until the exec.
    unsafe {
        let pid = match start.namespaces {
            0 => libc::fork(),
            flags => clone(flags),
        };
        match pid {
            -1 => Err(std::io::Error::last_os_error()),
            0 => {
                libc::close(gate.as_raw_fd());
                let tell = libc::fcntl(tell.as_raw_fd(), libc::F_DUPFD_CLOEXEC, ASIDE);
                if settle(start, wait.as_raw_fd(), &mut files) {
                    match &environment {
                        Some(environment) => {
                            libc::execve(start.program.as_ptr(), arguments.as_ptr(), environment.as_ptr())
                        }
                        None => libc::execv(start.program.as_ptr(), arguments.as_ptr()),
                    };
                }
                let error = *libc::__errno_location();
                libc::write(tell, (&raw const error).cast(), 4);
                libc::_exit(127)
            }
            pid => Ok(Waiting { pid: Pid::from_raw(pid).ok_or(Errno::CHILD)?, gate, outcome }),
        }
    }
}

/// As fork(2), into new namespaces.
#[expect(unsafe_code, reason = "clone without a stack of its own has no face but syscall(2)")]
unsafe fn clone(flags: libc::c_int) -> libc::pid_t {
    let flags = libc::c_long::from(flags | libc::SIGCHLD);
    let none: libc::c_long = 0;
    let (first, second) = if cfg!(target_arch = "s390x") { (none, flags) } else { (flags, none) };
    // SAFETY: without CLONE_VM and a stack this is a fork, and so as safe as what the child does.
    let pid = unsafe { libc::syscall(libc::SYS_clone, first, second, none, none, none) };
    libc::pid_t::try_from(pid).unwrap_or(-1)
}

/// What a child does between the fork and its program. False where something failed, and `errno` says what.
#[expect(unsafe_code, reason = "system calls of a child between fork and exec")]
unsafe fn settle(start: &Start<'_>, wait: libc::c_int, files: &mut [libc::c_int]) -> bool {
    let mut byte = 0_u8;
    // SAFETY: descriptors are those of the parent, which outlive the fork; `byte` and `none` live here; a set of signals
    // and a number of an ioctl are what the calls take.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::read(wait, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(127);
        }
        // The runtime of Rust ignores it, and what is ignored stays so in other programs.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::signal(libc::SIGTTIN, libc::SIG_DFL);
        let mut none = MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
        if start.folder.is_some_and(|folder| libc::chdir(folder.as_ptr()) == -1) {
            return false;
        }
        // First all aside, so that none is overwritten before it has its place.
        for file in &mut *files {
            *file = libc::fcntl(*file, libc::F_DUPFD_CLOEXEC, ASIDE);
        }
        for (number, file) in (0..).zip(&*files) {
            if libc::dup2(*file, number) == -1 {
                return false;
            }
        }
        // Whoever started the caller may have left others open. A kernel before 5.11 does not know the call.
        let first = libc::c_long::try_from(files.len()).unwrap_or(libc::c_long::MAX);
        libc::syscall(libc::SYS_close_range, first, ALL, CLOSE_ON_EXEC);
        start.session == Session::Callers
            || (libc::setsid() != -1 && libc::ioctl(0, libc::TIOCSCTTY, 0) != -1)
    }
}

/// A descriptor that the process was started with, which is nobody else's; `None` where it is not open. Given to one
/// caller only.
#[expect(unsafe_code, reason = "a number that another process agreed on becomes a descriptor")]
pub(crate) fn inherited(number: u8) -> Option<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    let number = i32::from(number);
    // SAFETY: the call reads one flag of a descriptor, and fails where there is none.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return None;
    }
    // SAFETY: it is open, and the flag that was just set makes this the only owner.
    let own = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&own, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(own)
}

/// From now on, reading a terminal in the background fails, where it would stop the process. Process 1 of a namespace
/// cannot be stopped, and would try for ever.
#[expect(unsafe_code, reason = "rustix has no face for signal")]
pub(crate) fn fail_in_background() {
    // SAFETY: to ignore a signal takes no handler.
    unsafe { libc::signal(libc::SIGTTIN, libc::SIG_IGN) };
}

/// Where the handler of [`signals_to`] writes.
static SIGNALS: AtomicI32 = AtomicI32::new(-1);

/// Signals that ask a process for something, and can be passed on to another one.
const PASSED_ON: [libc::c_int; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGCONT,
    libc::SIGWINCH,
];

/// Writes the number of every signal that can be passed on to a pipe, one byte each, from now on. What the process
/// was told to ignore stays ignored.
#[expect(unsafe_code, reason = "rustix has no face for sigaction")]
pub(crate) fn signals_to(pipe: OwnedFd) -> std::io::Result<()> {
    SIGNALS.store(pipe.into_raw_fd(), Ordering::Relaxed);
    for signal in PASSED_ON {
        // SAFETY: all bytes zero is a `sigaction` without flags, mask and handler; the pointers are valid or null; the
        // handler only loads an atomic and writes.
        unsafe {
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            if libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0
                && action.sa_sigaction == libc::SIG_IGN
            {
                continue;
            }
            action = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = pass_signal as extern "C" fn(libc::c_int) as usize;
            action.sa_flags = libc::SA_RESTART;
            if libc::sigaction(signal, &raw const action, std::ptr::null_mut()) != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// Runs between any two instructions: one write, and the number of the last error as it was.
#[expect(unsafe_code, reason = "a handler may call nothing but system calls")]
extern "C" fn pass_signal(signal: libc::c_int) {
    let byte = u8::try_from(signal).unwrap_or(0);
    // SAFETY: the descriptor was given away to this handler and is never closed; `byte` lives until the call is over.
    unsafe {
        let before = *libc::__errno_location();
        libc::write(SIGNALS.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        *libc::__errno_location() = before;
    }
}

/// Sets the mode of an open file. As `rustix::fs::fchmod`, which goes past libc, so that fakeroot does not see it.
#[expect(unsafe_code, reason = "rustix makes this call past libc")]
pub(crate) fn fchmod(file: BorrowedFd<'_>, mode: u16) -> rustix::io::Result<()> {
    // SAFETY: the descriptor is open as long as it is borrowed.
    outcome(unsafe { libc::fchmod(file.as_raw_fd(), libc::mode_t::from(mode)) })
}

/// Sets the owner of an open file. As `rustix::fs::fchown`, which goes past libc, so that fakeroot does not see it.
#[expect(unsafe_code, reason = "rustix makes this call past libc")]
pub(crate) fn fchown(file: BorrowedFd<'_>, uid: u32, gid: u32) -> rustix::io::Result<()> {
    // SAFETY: the descriptor is open as long as it is borrowed.
    outcome(unsafe { libc::fchown(file.as_raw_fd(), uid, gid) })
}

/// Locks all bytes of an open file; the lock belongs to the open file, not to the process.
#[expect(unsafe_code, reason = "rustix has locks of processes only")]
pub(crate) fn lock_bytes(file: BorrowedFd<'_>, share: Share, wait: Wait) -> rustix::io::Result<()> {
    // SAFETY: all bytes zero is a `flock` of a whole file, without a process.
    let mut lock: libc::flock = unsafe { MaybeUninit::zeroed().assume_init() };
    let kind = if share == Share::Shared { libc::F_RDLCK } else { libc::F_WRLCK };
    lock.l_type = libc::c_short::try_from(kind).expect("a small number");
    let command = if wait == Wait::Yes { libc::F_OFD_SETLKW } else { libc::F_OFD_SETLK };
    // SAFETY: the descriptor is open as long as it is borrowed, and the call reads one `flock`.
    outcome(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const lock) })
}

fn outcome(returned: libc::c_int) -> rustix::io::Result<()> {
    outcome_of(returned.into())
}

fn outcome_of(returned: libc::c_long) -> rustix::io::Result<()> {
    if returned == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};

    #[test]
    fn the_first_signal_asks_to_stop() {
        static FLAG: Cancel = Cancel::new();
        cancel_on_signals(&FLAG).expect("the system takes handlers");
        assert!(FLAG.check().is_ok());
        kill_process(getpid(), Signal::TERM).expect("a process may signal itself");
        while FLAG.check().is_ok() {
            std::thread::yield_now();
        }
    }
}
