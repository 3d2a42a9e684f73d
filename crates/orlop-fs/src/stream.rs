//! A stream that another program fills.
//!
//! Invariant: whoever waits for it stops waiting soon after the user asked to stop, whichever thread the signal
//! reaches.

use orlop_spec::{Cancel, Fault};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::io::{self, Read};

/// Between two looks at the flag.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A pipe, terminal or file that is read from here on.
#[derive(Debug)]
pub struct Stream {
    handle: OwnedFd,
    cancel: &'static Cancel,
}

impl Stream {
    /// Reads `handle` until `cancel` is set.
    pub fn new(handle: OwnedFd, cancel: &'static Cancel) -> Self {
        Self { handle, cancel }
    }

    /// Waits until there is something to read, or the end.
    pub fn wait(&self) -> io::Result<()> {
        loop {
            self.cancel.check().map_err(Fault::from)?;
            if self.is_ready()? {
                return Ok(());
            }
        }
    }

    fn is_ready(&self) -> io::Result<bool> {
        match poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&PATIENCE)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait()?;
        Ok(rustix::io::read(&self.handle, &mut *buffer)?)
    }
}

/// Writes to a stream that somebody reads, without a buffer; how many bytes it took.
pub fn write(handle: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(handle, bytes)?)
}

/// Reads what a stream has; nothing at its end.
pub fn read(handle: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::read(handle, &mut *buffer))?)
}

/// A new pipe: where it is read, and where it is written.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn bytes_come_through_and_the_end_is_seen() {
        static NEVER: Cancel = Cancel::new();
        let (read, write) = rustix::pipe::pipe().expect("pipes are to be had");
        rustix::io::write(&write, b"abc").expect("it is open");
        drop(write);
        let mut all = Vec::new();
        Stream::new(read, &NEVER).read_to_end(&mut all).expect("it ends");
        assert_eq!(all, b"abc");
    }

    #[test]
    fn who_waits_for_bytes_that_never_come_can_be_stopped() {
        static SOON: Cancel = Cancel::new();
        let (read, _write) = rustix::pipe::pipe().expect("pipes are to be had");
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            SOON.set();
        });
        let error = Stream::new(read, &SOON).read(&mut [0; 8]).expect_err("nothing ever comes");
        assert_eq!(orlop_spec::diagnose::kind_of_io(&error), orlop_spec::Kind::Interrupted);
    }
}
