//! Running programs: output captured, an end after a time, and no process left behind.

use crate::scratch::Scratch;
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program to run. It gets its own process group, and the group is killed by id when the time is over.
#[derive(Debug)]
pub struct Command {
    inner: process::Command,
    shown: String,
    input: Vec<u8>,
    time: Duration,
    interrupt: Option<Duration>,
    started: Option<Started>,
}

/// Is told the id of a program as soon as it runs.
struct Started(Box<dyn FnOnce(Pid)>);

impl std::fmt::Debug for Started {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Started")
    }
}

/// The binary under test: `ORLOP_BIN`, or what cargo built beside this test program.
pub fn orlop() -> Command {
    Command::new(orlop_path())
}

/// Where [`orlop`] finds the binary.
pub fn orlop_path() -> PathBuf {
    if let Some(path) = std::env::var_os("ORLOP_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test program knows its path");
    let built = test.parent().and_then(Path::parent).expect("tests are built in target/PROFILE/deps");
    built.join("orlop")
}

/// Two folders, and an image of each in a layout of its own.
pub fn two_layouts() -> Scratch {
    let scratch = crate::scratch();
    for (folder, layout) in [("a", "oci:l1:one"), ("b", "oci:l2:two")] {
        scratch.folder(folder);
        scratch.file(&format!("{folder}/file"), folder);
        run_in(&scratch, &["build", folder, layout], 0);
    }
    scratch
}

/// Runs the binary under test in a folder, which must end with `code`, and gives its stdout.
pub fn run_in(scratch: &Scratch, words: &[&str], code: i32) -> String {
    let done = orlop().args(words).current_dir(scratch.root()).run();
    assert_eq!(done.code(), Some(code), "{words:?}: {}", done.err());
    done.out()
}

impl Command {
    /// A program by name or path; it has two minutes.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut inner = process::Command::new(program.as_ref());
        inner.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = program.as_ref().to_string_lossy().into_owned();
        Self {
            inner,
            shown,
            input: Vec::new(),
            time: Duration::from_secs(120),
            interrupt: None,
            started: None,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown = format!("{} {}", self.shown, arg.as_ref().to_string_lossy());
        self.inner.arg(arg);
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// The folder to run in.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.inner.current_dir(folder);
        self
    }

    /// What stands on standard input; nothing by default.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sends SIGINT, as `^C` does, after some time.
    #[must_use]
    pub fn interrupt(mut self, after: Duration) -> Self {
        self.interrupt = Some(after);
        self
    }

    /// Tells the program's id as soon as it runs.
    #[must_use]
    pub fn started(mut self, tell: impl FnOnce(Pid) + 'static) -> Self {
        self.started = Some(Started(Box::new(tell)));
        self
    }

    /// The same program under a prefix such as `prlimit --as=N` or `setpriv … --`.
    #[must_use]
    pub fn under<A: AsRef<OsStr>>(self, prefix: impl IntoIterator<Item = A>) -> Self {
        let mut words: Vec<OsString> = prefix.into_iter().map(|word| word.as_ref().to_owned()).collect();
        words.push(self.inner.get_program().to_owned());
        words.extend(self.inner.get_args().map(ToOwned::to_owned));
        let mut outer = Self::new(&words[0]).args(&words[1..]).input(self.input).time(self.time);
        (outer.interrupt, outer.started) = (self.interrupt, self.started);
        for (name, value) in self.inner.get_envs() {
            match value {
                Some(value) => outer.inner.env(name, value),
                None => outer.inner.env_remove(name),
            };
        }
        if let Some(folder) = self.inner.get_current_dir() {
            outer.inner.current_dir(folder);
        }
        outer
    }

    /// As the user `nobody`, with no group and no capability.
    #[must_use]
    pub fn unprivileged(self) -> Self {
        self.under([
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--no-new-privs",
            "--",
        ])
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn run(self) -> Finished {
        let Self { mut inner, shown, input, time, interrupt, started } = self;
        let mut child = inner.spawn().unwrap_or_else(|error| panic!("cannot run `{shown}`: {error}"));
        if let Some(Started(tell)) = started {
            tell(Pid::from_child(&child));
        }
        if let Some(after) = interrupt {
            wait_for(&mut child, after);
            let _ = kill_process_group(Pid::from_child(&child), Signal::INT);
        }
        finish(child, shown, input, time)
    }

    /// Runs it, and it must succeed.
    ///
    /// # Panics
    /// When it fails; the message holds its standard error.
    #[track_caller]
    pub fn ok(self) -> Finished {
        let finished = self.run();
        assert!(finished.success(), "{finished}");
        finished
    }
}

fn finish(mut child: Child, shown: String, input: Vec<u8>, time: Duration) -> Finished {
    let group = Group(Pid::from_child(&child));
    let mut stdin = child.stdin.take().expect("piped");
    thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    let (status, timed_out) = wait(&mut child, time);
    drop(group);
    let (stdout, stderr) = (stdout.join().expect("a reader"), stderr.join().expect("a reader"));
    Finished { shown, status, timed_out, stdout, stderr }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(pipe.read_to_end(&mut bytes));
        bytes
    })
}

/// The status, and whether the time was over.
fn wait(child: &mut Child, time: Duration) -> (ExitStatus, bool) {
    if let Some(status) = wait_for(child, time) {
        return (status, false);
    }
    drop(Group(Pid::from_child(child)));
    (child.wait().expect("our own child"), true)
}

fn wait_for(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + time;
    let mut pause = Duration::from_millis(1);
    while Instant::now() < end {
        if let Some(status) = child.try_wait().expect("our own child") {
            return Some(status);
        }
        thread::sleep(pause.min(end.saturating_duration_since(Instant::now())));
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    None
}

/// A process group that ends when this is dropped: what a program leaves behind would hold its pipes open.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

/// What became of a program.
#[derive(Debug)]
pub struct Finished {
    shown: String,
    status: ExitStatus,
    /// Whether it was killed because its time was over.
    pub timed_out: bool,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Exit code 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let late = if self.timed_out { " (its time was over)" } else { "" };
        write!(out, "`{}`: {}{late}\n{}", self.shown, self.status, self.err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_input_and_code_are_kept_apart() {
        let done = Command::new("sh").args(["-c", "cat; echo no >&2; exit 3"]).input("in").run();
        assert_eq!((done.code(), done.out().as_str(), done.err().as_str()), (Some(3), "in", "no\n"));
        assert!(!done.success() && !done.timed_out);
    }

    #[test]
    fn what_takes_too_long_ends_with_its_children() {
        let start = Instant::now();
        let done =
            Command::new("sh").args(["-c", "sleep 100 & sleep 100"]).time(Duration::from_millis(100)).run();
        assert!(done.timed_out);
        assert_eq!(done.signal(), Some(9));
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_child_left_behind_does_not_hold_the_test() {
        let start = Instant::now();
        Command::new("sh").args(["-c", "sleep 100 & exit 0"]).ok();
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn an_interrupt_arrives() {
        let done = Command::new("sleep").arg("100").interrupt(Duration::from_millis(50)).run();
        assert_eq!(done.signal(), Some(2));
    }

    #[test]
    fn a_prefix_keeps_arguments_and_environment() {
        let done =
            Command::new("sh").args(["-c", "echo $0 $X", "a b"]).env("X", "y").under(["env", "Z=1"]).ok();
        assert_eq!(done.out(), "a b y\n");
    }
}
