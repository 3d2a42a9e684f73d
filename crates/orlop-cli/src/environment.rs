//! The only place that reads the environment. Nothing is read before a command asks for it.

use crate::error::Error;
use crate::interrupt;
use orlop::fs::fakeroot::{self, Environment, Fakeroot, LINKAGE};
use orlop::fs::machine::machine;
use orlop::fs::privilege::Privileges;
use orlop::fs::stream::{self, Stream};
use orlop::fs::{FileKind, stat, sys};
use orlop::layer::Time;
use orlop::spec::time::Timestamp;
use orlop::spec::{Fault, Platform};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Every variable that is read, and what for; the manual and the reference list them.
pub const VARIABLES: [(&str, &str); 26] = [
    ("SOURCE_DATE_EPOCH", "when an image was made, in seconds since 1970; `--created` wins"),
    ("TMPDIR", "folder for temporary files, /var/tmp if it is not set; `--tmpdir` wins"),
    ("ORLOP_ROOT", "folder of the local store; `--root` wins"),
    ("XDG_DATA_HOME", "where an ordinary user's store is, ~/.local/share if it is not set"),
    ("NO_COLOR", "no colour on the terminal, where it is set and not empty"),
    ("FAKEROOTKEY", "set by fakeroot: owners and devices are those that it pretends"),
    ("LD_PRELOAD", "the same for libfakeroot and libpseudo"),
    ("HOME", "where the user's files of settings and credentials are"),
    ("REGISTRY_AUTH_FILE", "file of credentials, asked before the others; `--authfile` wins"),
    ("XDG_RUNTIME_DIR", "where `containers/auth.json` is, which `login` writes"),
    ("XDG_CONFIG_HOME", "where the user's own `containers/auth.json` is, ~/.config if it is not set"),
    ("DOCKER_CONFIG", "where docker's `config.json` is, ~/.docker if it is not set"),
    ("XDG_CACHE_HOME", "where tokens of registries are kept, ~/.cache if it is not set"),
    ("XDG_STATE_HOME", "where open uploads are remembered, ~/.local/state if it is not set"),
    ("CONTAINERS_REGISTRIES_CONF", "another file than registries.conf of the user or the system"),
    ("SSL_CERT_FILE", "certificates of authorities, in place of the system's"),
    ("SSL_CERT_DIR", "folders of such certificates, with colons between them"),
    ("HTTPS_PROXY", "the proxy on the way to registries under TLS; small letters do as well, here and below"),
    ("HTTP_PROXY", "the proxy on the way to others; not believed where `REQUEST_METHOD` is set"),
    ("ALL_PROXY", "the proxy where neither of the two is set"),
    ("NO_PROXY", "hosts, domains and networks that are spoken to directly"),
    ("PATH", "where `run` looks for runc, crun, youki and bwrap"),
    ("SHELL", "what `unshare` starts without a command, /bin/sh if it is not set"),
    ("REQUEST_METHOD", "set by web servers for their programs"),
    (
        "OSTREE_REPO",
        "the repository of `orlop ostree`, where `--repo` is not given and the current folder is none",
    ),
    ("DEBUG", "as `--debug`; read by the personality sloci-image alone"),
];

/// The arguments, the program's name first.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// `SOURCE_DATE_EPOCH`: seconds since 1970 (reproducible-builds.org, version 1.1).
pub fn source_date_epoch() -> Result<Option<Timestamp>, Error> {
    let Some(text) = variable("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let text = text.to_string_lossy();
    Timestamp::from_epoch(&text).map(Some).map_err(Error::BadEpoch)
}

/// Where spools go: `TMPDIR`, else `/var/tmp`, because layers are large and `/tmp` is often memory.
pub fn temporary_folder() -> PathBuf {
    variable("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from)
}

/// Where the local store is: `ORLOP_ROOT`, else the system's for whoever may set owners, else the user's. It stays the same
/// when the process goes to a namespace, where it may do more.
pub fn store_folder() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(find_store).clone()
}

fn find_store() -> PathBuf {
    let of_user = || {
        let share = || variable("HOME").map(|home| PathBuf::from(home).join(".local/share"));
        Some(variable("XDG_DATA_HOME").map(PathBuf::from).or_else(share)?.join("orlop"))
    };
    let of_system = || PathBuf::from("/var/lib/orlop");
    match variable("ORLOP_ROOT") {
        Some(folder) => folder.into(),
        None if Privileges::current().chown => of_system(),
        None => of_user().unwrap_or_else(of_system),
    }
}

/// The repository of OSTree that is meant where none is named: the current folder, `OSTREE_REPO`, or that of a system.
pub fn ostree_repository() -> PathBuf {
    let is_there = |name: &str, kind| stat::at(Path::new(name)).is_ok_and(|found| found.kind == kind);
    if is_there("objects", FileKind::Directory) && is_there("config", FileKind::File) {
        return ".".into();
    }
    variable("OSTREE_REPO").unwrap_or_else(|| "/ostree/repo".into()).into()
}

/// The folder that relative paths are from; an empty path where it was removed, so that nothing is there anyway.
pub fn working_folder() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}

/// The user's shell.
pub fn shell() -> OsString {
    variable("SHELL").unwrap_or_else(|| "/bin/sh".into())
}

/// Whether `NO_COLOR` forbids colour (no-color.org: set and not empty).
pub fn no_color() -> bool {
    variable("NO_COLOR").is_some()
}

/// `DEBUG`, as sloci-image reads it: set and not empty.
pub fn is_debug() -> bool {
    variable("DEBUG").is_some()
}

/// Threads that the machine offers. Reads files below `/proc` and `/sys`, so it is asked late.
pub fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// `ORLOP_FAULT`: what the crash tests do to a file operation. A released binary does not know the variable.
///
/// # Panics
/// When the text is no fault: a crash test that injects nothing proves nothing.
#[cfg(debug_assertions)]
pub fn arm_faults() {
    use orlop::fs::seam;
    if let Some(text) = variable("ORLOP_FAULT") {
        let fault = text.to_str().and_then(seam::from_text);
        seam::install(fault.expect("ORLOP_FAULT is kill:N, eio:N, enospc:N or note:FILE"));
    }
}

/// Whether owners and devices are pretended by fakeroot.
pub fn fakeroot() -> Fakeroot {
    let (key, preload) = (variable("FAKEROOTKEY"), variable("LD_PRELOAD"));
    fakeroot::detect(&Environment { fakeroot_key: key.as_deref(), preload: preload.as_deref() }, LINKAGE)
}

/// The platform of this machine, as its kernel calls it.
pub fn host() -> Platform {
    Platform::from_machine("linux", &machine())
}

/// The present time.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanoseconds: since.subsec_nanos() }
}

/// The present time as documents write it; the first of all times where the clock is beyond the year 9999.
pub fn timestamp() -> Timestamp {
    let now = now();
    Timestamp::new(now.seconds, now.nanoseconds).unwrap_or(Timestamp::EPOCH)
}

/// Standard input without a buffer; waiting for it ends when the user asks to stop.
pub fn stdin() -> Box<dyn Read + Send> {
    match io::stdin().as_fd().try_clone_to_owned() {
        Ok(handle) => Box::new(Stream::new(handle, interrupt::flag())),
        Err(_) => Box::new(io::stdin()),
    }
}

/// Waits until standard input has something, where a source is it: nothing is locked meanwhile that others wait for.
pub fn await_input<'a>(mut sources: impl Iterator<Item = &'a OsString>) -> Result<(), Fault> {
    let handle = io::stdin().as_fd().try_clone_to_owned();
    match handle {
        Ok(handle) if sources.any(|source| source == "-") => Stream::new(handle, interrupt::flag())
            .wait()
            .map_err(|error| Fault::io("wait for standard input", error)),
        _ => Ok(()),
    }
}

/// Standard output without a buffer. A program that was started without one fails where it would write.
#[derive(Debug)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = check_stdout().and_then(|()| stream::write(io::stdout().as_fd(), bytes));
        written.map_err(|error| match error.kind() {
            // Whoever writes a whole buffer tries again.
            io::ErrorKind::Interrupted => error,
            _ => Fault::from(output_failed(error)).into(),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What it means that standard output could not be written to.
pub fn output_failed(error: io::Error) -> Error {
    READER_LEFT.fetch_or(error.kind() == io::ErrorKind::BrokenPipe, Ordering::Relaxed);
    Error::Output(error)
}

/// Set when nobody reads the standard output any more.
static READER_LEFT: AtomicBool = AtomicBool::new(false);

/// Whether somebody read the standard output, and has seen enough. A registry that hangs up, or a helper that does not
/// listen, breaks a pipe as well; only this tells them apart.
pub fn has_reader_left() -> bool {
    READER_LEFT.load(Ordering::Relaxed)
}

/// An error where the program was started without a standard output.
pub fn check_stdout() -> io::Result<()> {
    if sys::was_stdout_open() {
        Ok(())
    } else {
        Err(io::Error::other("it was closed when the program began"))
    }
}

/// A variable that the user named, empty or not.
pub fn value(name: &str) -> Option<OsString> {
    // The system's calls refuse other names by a panic.
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    is_name.then(|| std::env::var_os(name)).flatten()
}

/// Where programs are looked for.
pub fn search_path() -> OsString {
    variable("PATH").unwrap_or_else(|| orlop::spec::runtime::DEFAULT_PATH.into())
}

/// A variable that is set and not empty.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
