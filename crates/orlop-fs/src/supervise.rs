//! A process that watches over another one, and whoever started it.
//!
//! ```text
//! holder ──── tether ──── supervisor ──── the process, and its terminal
//!    │   signals ─────►     │
//!    │  ◄───── "it runs"    │
//! ```
//!
//! Invariant: when the holder dies, the supervisor sees its end of the tether close, and ends as well. As process 1 of a
//! namespace it takes everything with it that it started.

use crate::error::Error;
use crate::process::{Ended, Process};
use crate::terminal::{self, Raw};
use crate::{Result, sys};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use std::time::Duration;

/// One end of the line between a holder and a supervisor.
#[derive(Debug)]
pub struct Tether(OwnedFd);

/// The number that the tether has in a supervisor, after the three files that every program has.
const NUMBER: u8 = 3;

/// What a supervisor says when its process may run from now on, and so get signals.
const STARTS: u8 = b's';
/// What it says when it runs, and has its terminal.
const RUNS: u8 = b'r';
/// What the holder answers: from now on its terminal shows what comes as it comes. It is no signal's number.
const SHOWN: u8 = 0;

impl Tether {
    /// Both ends.
    pub fn pair() -> Result<(Self, Self)> {
        let ends = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let (holder, supervisor) = ends.map_err(failed)?;
        Ok((Self(holder), Self(supervisor)))
    }

    /// The end that this process was started with, as its file 3; `None` where it was not.
    pub fn of_supervisor() -> Option<Self> {
        sys::inherited(NUMBER).map(Self)
    }

    /// Tells the holder that the process is about to run: signals wait for it from now on.
    pub fn starts(&self) {
        self.say(STARTS);
    }

    /// A byte of the other end; `None` when it is closed.
    fn hear(&self) -> Option<u8> {
        let mut byte = [0];
        matches!(rustix::io::retry_on_intr(|| read(&self.0, &mut byte)), Ok(1)).then_some(byte[0])
    }

    /// The other end may be gone, and then there is nobody to tell.
    fn say(&self, byte: u8) {
        rustix::io::retry_on_intr(|| write(&self.0, &[byte])).ok();
    }
}

impl AsFd for Tether {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The signals that reach this process from now on, as far as they can be passed on.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Takes them from whoever had them. Once per process.
    pub fn catch() -> Result<Self> {
        let (arrived, handler) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        terminal::never_wait(&handler).map_err(failed)?;
        sys::signals_to(handler).map_err(|error| Error::io("handle", "signals", error))?;
        Ok(Self(arrived))
    }

    fn next(&self) -> Option<u8> {
        let mut byte = [0];
        matches!(read(&self.0, &mut byte), Ok(1)).then_some(byte[0])
    }
}

/// How a supervisor ended, as its holder saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this.
    Ended(Ended),
    /// It was ended by a signal that came before its process ran.
    Stopped(u8),
}

/// Waits for a supervisor and passes signals on to it. While its process runs, `keys`, where there is one, is a terminal
/// that passes on every key.
pub fn hold(
    supervisor: &Process,
    tether: &Tether,
    signals: &Signals,
    keys: Option<BorrowedFd<'_>>,
) -> Result<Outcome> {
    let mut state = Holder { raw: None, starts: false, stopped: None };
    let mut is_tied = true;
    loop {
        let mut polled = vec![PollFd::new(supervisor, PollFlags::IN), PollFd::new(&signals.0, PollFlags::IN)];
        if is_tied {
            polled.push(PollFd::new(tether, PollFlags::IN));
        }
        wait(&mut polled, None)?;
        let ready: Vec<bool> = polled.iter().map(|it| !it.revents().is_empty()).collect();
        if ready[1]
            && let Some(signal) = signals.next()
        {
            state.signal(signal, supervisor, tether);
        }
        if ready.get(2) == Some(&true) {
            is_tied = state.hear(tether, keys);
        }
        if ready[0] {
            let ended = supervisor.wait()?;
            return Ok(state.stopped.map_or(Outcome::Ended(ended), Outcome::Stopped));
        }
    }
}

struct Holder {
    raw: Option<Raw>,
    starts: bool,
    stopped: Option<u8>,
}

impl Holder {
    /// Before there is a process to pass it on to, a signal is for this run.
    fn signal(&mut self, signal: u8, supervisor: &Process, tether: &Tether) {
        let is_request = !matches!(i32::from(signal), libc::SIGWINCH | libc::SIGCONT);
        if self.starts {
            tether.say(signal);
        } else if is_request {
            self.stopped = Some(signal);
            supervisor.kill();
        }
    }

    fn hear(&mut self, tether: &Tether, keys: Option<BorrowedFd<'_>>) -> bool {
        let heard = tether.hear();
        self.starts |= heard.is_some();
        if heard == Some(RUNS) {
            self.raw = keys.and_then(|keys| terminal::make_raw(keys).ok().flatten());
            tether.say(SHOWN);
        }
        heard.is_some()
    }
}

/// The terminal of a container, and what is shown and typed outside.
#[derive(Debug)]
pub struct Console<'a> {
    terminal: OwnedFd,
    input: Option<BorrowedFd<'a>>,
    output: BorrowedFd<'a>,
    /// Whether others may type just now: this program stands in the background.
    is_behind: bool,
    /// Typed, and not yet taken.
    typed: Vec<u8>,
    is_open: bool,
}

/// Bytes that are passed on at once.
const PIECE: usize = 16 << 10;

/// What ends the input of a program in a terminal (`^D`).
const END_OF_INPUT: u8 = 4;

/// How long what is still in a terminal is waited for when its program has ended.
const REST: Duration = Duration::from_millis(200);

impl<'a> Console<'a> {
    /// Between `terminal` and the two sides outside.
    pub fn new(terminal: OwnedFd, input: BorrowedFd<'a>, output: BorrowedFd<'a>) -> Result<Self> {
        terminal::never_wait(&terminal).map_err(failed)?;
        sys::fail_in_background();
        let (input, typed) = (Some(input), Vec::new());
        let console = Self { terminal, input, output, is_behind: false, typed, is_open: true };
        console.resize();
        Ok(console)
    }

    fn resize(&self) {
        let shown = self.input.filter(|it| rustix::termios::isatty(it)).unwrap_or(self.output);
        terminal::copy_size(shown, &self.terminal);
    }

    /// What is typed, once the terminal has taken what was typed before.
    fn listen(&mut self) {
        let Some(input) = self.input else { return };
        let mut piece = vec![0; PIECE];
        match read(input, &mut piece) {
            Ok(0) => {
                self.input = None;
                self.typed.push(END_OF_INPUT);
            }
            Ok(count) => self.typed.extend_from_slice(&piece[..count]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(Errno::IO) => self.is_behind = true,
            Err(_) => self.input = None,
        }
    }

    fn type_on(&mut self) {
        match write(&self.terminal, &self.typed) {
            Ok(count) => drop(self.typed.drain(..count)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.typed.clear(),
        }
    }

    /// Shows what the terminal has; false where there is nothing now.
    fn show(&mut self) -> bool {
        let mut piece = [0; PIECE];
        match read(&self.terminal, &mut piece) {
            Ok(0) => self.is_open = false,
            Ok(count) => return self.put(&piece[..count]),
            Err(Errno::INTR) => return true,
            Err(Errno::AGAIN) => {}
            // The last program in it has ended.
            Err(_) => self.is_open = false,
        }
        false
    }

    /// A reader that went away is told to nobody: the program may go on.
    fn put(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match write(self.output, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => drop(wait(&mut [PollFd::new(&self.output, PollFlags::OUT)], None)),
                Err(_) => return true,
            }
        }
        true
    }

    /// Shows what is left when the program has ended.
    fn finish(&mut self) {
        while self.is_open {
            if !self.show() && self.is_open {
                let mut polled = [PollFd::new(&self.terminal, PollFlags::IN)];
                if !matches!(wait(&mut polled, Some(REST)), Ok(ready) if ready > 0) {
                    return;
                }
            }
        }
    }
}

/// Whose end it was that ended a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of the process.
    Process,
    /// That of its target, after a signal had ended the process.
    Target,
}

/// Waits for a process, for a holder: signals that come over the tether reach `target`, which may be the same, and what is
/// typed reaches its terminal. Where a signal ends the process first, such as one that a terminal sends to all that are in
/// it, the target is waited for: a process without a parent is a child of process 1. When the holder has died, both die.
pub fn watch(
    process: &Process,
    target: &Process,
    tether: &Tether,
    mut console: Option<Console<'_>>,
) -> Result<(Ended, Whose)> {
    tether.say(RUNS);
    if console.is_some() {
        pass_on_until_shown(tether, target);
    }
    let (mut waited, mut whose) = (process, Whose::Process);
    loop {
        let ready = Ready::of(waited, tether, console.as_ref())?;
        if ready.tether {
            match tether.hear() {
                Some(signal) if i32::from(signal) == libc::SIGWINCH && console.is_some() => {
                    console.iter().for_each(Console::resize);
                }
                Some(signal) => {
                    // A job that goes on may be in the foreground again.
                    if let Some(console) = &mut console {
                        console.is_behind = false;
                    }
                    target.signal(signal);
                }
                None => {
                    process.kill();
                    target.kill();
                }
            }
        }
        if let Some(console) = &mut console {
            if ready.input {
                console.listen();
            }
            if ready.terminal.contains(PollFlags::OUT) {
                console.type_on();
            }
            if !ready.terminal.is_empty() {
                console.show();
            }
        }
        if ready.process {
            let ended = waited.wait()?;
            if matches!(ended, Ended::Signal(_)) && whose == Whose::Process && !std::ptr::eq(process, target)
            {
                (waited, whose) = (target, Whose::Target);
                continue;
            }
            console.iter_mut().for_each(Console::finish);
            return Ok((ended, whose));
        }
    }
}

/// Waits until the holder has made its terminal ready; its death is seen by whoever listens next.
fn pass_on_until_shown(tether: &Tether, target: &Process) {
    while let Some(signal) = tether.hear() {
        match signal {
            SHOWN => return,
            signal => target.signal(signal),
        }
    }
}

/// What can be done without waiting.
struct Ready {
    process: bool,
    tether: bool,
    input: bool,
    terminal: PollFlags,
}

impl Ready {
    fn of(process: &Process, tether: &Tether, console: Option<&Console<'_>>) -> Result<Self> {
        let mut polled = vec![PollFd::new(process, PollFlags::IN), PollFd::new(tether, PollFlags::IN)];
        let (mut input, mut terminal) = (None, None);
        if let Some(console) = console {
            if console.is_open {
                let takes = if console.typed.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
                terminal = Some(polled.len());
                polled.push(PollFd::new(&console.terminal, PollFlags::IN | takes));
            }
            let listens = console.typed.is_empty() && !console.is_behind;
            if let (true, Some(typed)) = (listens, &console.input) {
                input = Some(polled.len());
                polled.push(PollFd::new(typed, PollFlags::IN));
            }
        }
        wait(&mut polled, None)?;
        let of = |at: Option<usize>| at.map_or(PollFlags::empty(), |at| polled[at].revents());
        let is = |at: Option<usize>| !of(at).is_empty();
        Ok(Self { process: is(Some(0)), tether: is(Some(1)), input: is(input), terminal: of(terminal) })
    }
}

fn wait(polled: &mut [PollFd<'_>], time: Option<Duration>) -> Result<usize> {
    let time = time.map(|time| Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() });
    loop {
        match poll(polled, time.as_ref()) {
            Ok(ready) => return Ok(ready),
            Err(Errno::INTR) => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

fn failed(error: Errno) -> Error {
    Error::io("talk to", "a process", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Program;
    use crate::room::Room;
    use crate::sys::Session;
    use std::ffi::OsString;
    use std::path::Path;

    fn shell(script: &str, files: &[BorrowedFd<'_>], session: Session) -> Process {
        let arguments: [OsString; 2] = ["-c".into(), script.into()];
        let path = Path::new("/bin/sh");
        let program =
            Program { path, arguments: &arguments, environment: None, files, folder: None, session };
        program.start(Room::Callers).expect("a shell")
    }

    fn all(pipe: &OwnedFd) -> String {
        let mut bytes = [0; 4096];
        let count = read(pipe, &mut bytes).expect("a pipe");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[test]
    fn what_is_typed_reaches_the_program_and_what_it_says_is_shown() {
        let (holder, tether) = Tether::pair().expect("a pair");
        holder.say(SHOWN);
        let (shown, program) = terminal::pair().expect("a terminal");
        let script = "stty size; read a; echo got $a; cat; test -c /dev/tty && exit 3";
        let process =
            shell(script, &[program.as_fd(), program.as_fd(), program.as_fd()], Session::OfTerminal);
        drop(program);
        let (typed, keys) = rustix::pipe::pipe().expect("a pipe");
        write(&keys, b"word\nline\n").expect("a pipe");
        drop(keys);
        let (said, out) = rustix::pipe::pipe().expect("a pipe");
        let console = Console::new(shown, typed.as_fd(), out.as_fd()).expect("a terminal");
        let (ended, _) = watch(&process, &process, &tether, Some(console)).expect("watched");
        drop(out);
        let said = all(&said);
        assert_eq!(ended, Ended::Code(3), "{said}");
        assert!(said.contains("got word\r\n") && said.ends_with("line\r\n"), "{said:?}");
    }

    #[test]
    fn a_process_dies_with_its_holder_and_gets_the_signals_that_it_passes_on() {
        for (byte, ended) in [(None, Ended::Signal(9)), (Some(libc::SIGTERM), Ended::Signal(15))] {
            let (holder, tether) = Tether::pair().expect("a pair");
            let process = shell("sleep 100", &[], Session::Callers);
            if let Some(byte) = byte {
                holder.say(u8::try_from(byte).expect("small"));
            } else {
                drop(holder);
            }
            let watched = watch(&process, &process, &tether, None).expect("watched");
            assert_eq!(watched, (ended, Whose::Process));
        }
    }
}
