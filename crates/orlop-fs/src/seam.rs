//! The seam that every changing file operation passes.
//!
//! Tests install a hook here that kills the process or fails the operation: this is how every step of an
//! unpack, a copy and a sweep is shown to survive a crash and a full disk. Without a hook the seam costs one
//! relaxed load.
//!
//! A second hook sees what only looks or waits: with both, a test can let several runs take their steps in every order.

use crate::error::Shown;
use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};
use std::fs::File;
use std::io::Write as _;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A changing file operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A file is created, named or not.
    Create,
    /// Bytes are written.
    Write,
    /// A file's length is set, or space in it is taken or given back.
    Resize,
    /// Bytes are shared or copied from another file.
    Copy,
    /// A folder is made.
    MakeDir,
    /// A device or fifo is made.
    MakeNode,
    /// A symbolic link is made.
    Symlink,
    /// A further name is given to a file.
    Link,
    /// Something is renamed or two names change places.
    Rename,
    /// A name is removed.
    Remove,
    /// Mode, owner or times are set.
    SetMeta,
    /// An extended attribute is set or removed.
    SetXattr,
    /// A file, folder or file system is forced to its disk.
    Sync,
    /// Something is mounted at a place, or taken away from it.
    Mount,
}

impl Operation {
    /// Whether a full disk may refuse it.
    fn takes_space(self) -> bool {
        !matches!(self, Self::Remove | Self::SetMeta | Self::Sync | Self::Mount)
    }
}

/// A step that changes nothing, but sees what others do, or waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Glance {
    /// A name is looked at.
    Look,
    /// A file is opened as it is.
    Open,
    /// The names of a folder are listed.
    List,
    /// A lock is asked for.
    Lock,
    /// A lock was asked for and not given; it is asked for again.
    Wait,
}

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Go,
    /// The process dies before it, by SIGKILL.
    Kill,
    /// It fails with this `errno`.
    Fail(i32),
}

/// Decides on each operation; the bytes are the name that the operation is about, where it has one.
pub type Hook = Box<dyn Fn(Operation, &[u8]) -> Verdict + Send + Sync>;

/// Decides on each glance; the bytes are the path, as it is shown.
pub type Watch = Box<dyn Fn(Glance, &[u8]) -> Verdict + Send + Sync>;

static INSTALLED: AtomicBool = AtomicBool::new(false);
static HOOK: RwLock<Option<Hook>> = RwLock::new(None);

static WATCHED: AtomicBool = AtomicBool::new(false);
static WATCH: RwLock<Option<Watch>> = RwLock::new(None);

/// Installs a hook for glances, for the whole process, in place of the one before.
pub fn watch(watch: Watch) {
    *WATCH.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(watch);
    WATCHED.store(true, Ordering::Release);
}

/// Installs a hook for the whole process, in place of the one before.
pub fn install(hook: Hook) {
    *HOOK.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(hook);
    INSTALLED.store(true, Ordering::Release);
}

/// Takes the hooks away.
pub fn clear() {
    WATCHED.store(false, Ordering::Release);
    *WATCH.write().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    INSTALLED.store(false, Ordering::Release);
    *HOOK.write().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
}

/// A hook from `kill:N`, `eio:N` or `enospc:N`, which counts changing operations from 1. `kill` and `eio` hit
/// the N-th; `enospc` refuses the N-th and every later one that a full disk would refuse. `note:FILE` lets all be done,
/// and adds a line to a file for each. `None` where the text is something else.
pub fn from_text(text: &str) -> Option<Hook> {
    let (what, at) = text.split_once(':')?;
    if what == "note" {
        return note(at);
    }
    let at: u64 = at.parse().ok()?;
    let count = AtomicU64::new(0);
    let next = move || count.fetch_add(1, Ordering::Relaxed) + 1;
    match what {
        "kill" => Some(Box::new(move |_, _| if next() == at { Verdict::Kill } else { Verdict::Go })),
        "eio" => {
            Some(Box::new(move |_, _| if next() == at { Verdict::Fail(libc::EIO) } else { Verdict::Go }))
        }
        "enospc" => Some(Box::new(move |operation, _| {
            let full = next() >= at;
            if full && operation.takes_space() { Verdict::Fail(libc::ENOSPC) } else { Verdict::Go }
        })),
        _ => None,
    }
}

/// Each line is one `write` on a file opened for appending, so those of threads do not mix.
fn note(path: &str) -> Option<Hook> {
    let file = File::options().create(true).append(true).open(path).ok()?;
    Some(Box::new(move |operation, name| {
        let line = format!("{operation:?} {}\n", name.escape_ascii());
        (&file).write_all(line.as_bytes()).expect("whoever asks for notes has room for them");
        Verdict::Go
    }))
}

/// Called before every changing operation.
#[inline]
pub(crate) fn pass(operation: Operation, name: &[u8]) -> rustix::io::Result<()> {
    if INSTALLED.load(Ordering::Relaxed) { ask(operation, name) } else { Ok(()) }
}

/// Called before every glance at `name` in `folder`.
#[inline]
pub(crate) fn glance(glance: Glance, folder: &[u8], name: &[u8]) -> rustix::io::Result<()> {
    if is_watched() { ask_watch(glance, folder, name) } else { Ok(()) }
}

/// Whether glances are decided on: then nobody waits in the kernel for what another run is not let do.
pub(crate) fn is_watched() -> bool {
    WATCHED.load(Ordering::Relaxed)
}

#[cold]
fn ask_watch(glance: Glance, folder: &[u8], name: &[u8]) -> rustix::io::Result<()> {
    let path = Shown::join(folder, name);
    let watch = WATCH.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    done(watch.as_ref().map_or(Verdict::Go, |watch| watch(glance, path.as_bytes())))
}

#[cold]
fn ask(operation: Operation, name: &[u8]) -> rustix::io::Result<()> {
    let hook = HOOK.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    done(hook.as_ref().map_or(Verdict::Go, |hook| hook(operation, name)))
}

fn done(verdict: Verdict) -> rustix::io::Result<()> {
    match verdict {
        Verdict::Go => Ok(()),
        Verdict::Fail(errno) => Err(Errno::from_raw_os_error(errno)),
        Verdict::Kill => loop {
            kill_process(getpid(), Signal::KILL)?;
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted_from_one() {
        let hook = from_text("eio:2").expect("a known form");
        let verdicts: Vec<_> = (0..3).map(|_| hook(Operation::Write, b"x")).collect();
        assert_eq!(verdicts, [Verdict::Go, Verdict::Fail(libc::EIO), Verdict::Go]);
    }

    #[test]
    fn a_full_disk_stays_full_and_still_removes() {
        let hook = from_text("enospc:1").expect("a known form");
        assert_eq!(hook(Operation::Create, b"x"), Verdict::Fail(libc::ENOSPC));
        assert_eq!(hook(Operation::Remove, b"x"), Verdict::Go);
        assert_eq!(hook(Operation::Write, b"x"), Verdict::Fail(libc::ENOSPC));
    }

    #[test]
    fn what_is_noted_is_done() {
        let file = std::env::temp_dir().join(format!("orlop-seam-{}", std::process::id()));
        let hook = from_text(&format!("note:{}", file.display())).expect("a known form");
        assert_eq!(hook(Operation::Rename, b"x\n"), Verdict::Go);
        assert_eq!(hook(Operation::Sync, b""), Verdict::Go);
        let noted = std::fs::read_to_string(&file);
        std::fs::remove_file(&file).expect("ours");
        assert_eq!(noted.expect("written"), "Rename x\\n\nSync \n");
    }

    #[test]
    fn other_texts_are_no_hooks() {
        for text in ["", "kill", "kill:x", "burn:1"] {
            assert!(from_text(text).is_none(), "{text}");
        }
    }
}
