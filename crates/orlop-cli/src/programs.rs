//! Programs that are run for the library: credential helpers.
//!
//! Invariant: a helper that hangs, floods or leaves children behind costs no more than its bounds allow.

use orlop::network::{Bounds, Programs, Ran};
use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// The programs in `PATH`.
pub struct Installed;

/// How often a program that has said everything is asked whether it has ended.
const PAUSE: Duration = Duration::from_millis(5);

impl Programs for Installed {
    fn run(&self, program: &str, argument: &str, input: &[u8], bounds: &Bounds) -> io::Result<Ran> {
        let end = Instant::now() + bounds.time;
        // What it says to the user goes to the user.
        let mut child =
            Command::new(program).arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let outcome = converse(&mut child, input, bounds.output, end);
        let outcome = outcome.and_then(|output| Ok(Ran { succeeded: wait(&mut child, end)?, output }));
        if outcome.is_err() {
            child.kill().ok();
            child.wait().ok();
        }
        outcome
    }
}

/// Writes all, then reads all, elsewhere: either may wait for ever.
fn converse(child: &mut Child, input: &[u8], limit: usize, end: Instant) -> io::Result<Vec<u8>> {
    let (mut stdin, stdout) =
        child.stdin.take().zip(child.stdout.take()).expect("both were asked for when it was started");
    let (sender, receiver) = mpsc::channel();
    let input = input.to_owned();
    thread::spawn(move || {
        // A program that ends without listening says so by its exit code.
        stdin.write_all(&input).ok();
        drop(stdin);
        let mut output = Vec::new();
        let outcome = stdout.take(limit as u64 + 1).read_to_end(&mut output);
        sender.send(outcome.map(|_| output)).ok();
    });
    match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
        Ok(Ok(output)) if output.len() > limit => {
            Err(io::Error::other("it writes more than a secret could need"))
        }
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
        Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

fn wait(child: &mut Child, end: Instant) -> io::Result<bool> {
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(status.success()),
            None if Instant::now() >= end => return Err(io::ErrorKind::TimedOut.into()),
            None => thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &[u8], output: usize, time: Duration) -> io::Result<Ran> {
        let scratch = testkit::scratch();
        let program = scratch.file("helper", format!("#!/bin/sh\n{script}\n"));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("set");
        let run = || Installed.run(program.to_str().expect("text"), "get", input, &Bounds { output, time });
        // A child that another test forked while the script was written holds it open until it becomes a program itself, and
        // the kernel runs no program that somebody writes.
        let is_busy = |ran: &io::Result<Ran>| {
            ran.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy)
        };
        let mut ran = run();
        for _ in 0..100 {
            if !is_busy(&ran) {
                break;
            }
            thread::sleep(PAUSE);
            ran = run();
        }
        ran
    }

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(300);

    #[test]
    fn a_helper_is_given_its_argument_and_its_input() {
        let ran = shell("printf '%s ' \"$1\"; cat", b"a.example", 100, LONG).expect("it ran");
        assert_eq!((ran.succeeded, ran.output.as_slice()), (true, &b"get a.example"[..]));
        let ran = shell("echo no; exit 1", b"x", 100, LONG).expect("it ran");
        assert_eq!((ran.succeeded, ran.output.as_slice()), (false, &b"no\n"[..]));
        assert!(
            shell("exit 0", &vec![0; 1 << 20], 100, LONG).expect("it ran").succeeded,
            "it did not listen"
        );
    }

    #[test]
    fn a_helper_that_hangs_or_floods_is_stopped() {
        for script in ["sleep 20", "exec >&-; sleep 20", "sleep 20 & exit 0"] {
            let error = shell(script, b"", 100, SHORT).err().expect(script);
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{script}");
        }
        assert!(shell("while :; do echo yes; done", b"", 100, LONG).is_err());
    }

    #[test]
    fn a_missing_helper_is_not_found() {
        let outcome = Installed.run("docker-credential-of-nobody", "get", b"", &Bounds::default());
        assert_eq!(outcome.err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    }
}
