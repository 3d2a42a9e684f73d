//! The only unsafe code of orlop: system calls that have no safe face elsewhere.

use crate::Result;
use crate::error::Error;
use orlop_spec::Cancel;
use rustix::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

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
