//! Programs that may be run: credential helpers.

use std::io;
use std::time::Duration;

/// Runs programs.
pub trait Programs: Send + Sync {
    /// Runs a program found in `PATH`, and gives what it wrote to standard output. A program that writes more than
    /// `bounds` allow, or runs longer, is stopped, and that is an error.
    fn run(&self, program: &str, argument: &str, input: &[u8], bounds: &Bounds) -> io::Result<Ran>;
}

/// What a program may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of output.
    pub output: usize,
    /// How long it may take; a helper may ask the user for a password of its own.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { output: 64 << 10, time: Duration::from_secs(60) }
    }
}

/// What a program did.
#[derive(Clone)]
pub struct Ran {
    /// Whether it says that all went well.
    pub succeeded: bool,
    /// Its standard output. May hold a secret.
    pub output: Vec<u8>,
}

/// Runs nothing: every program is missing.
impl Programs for () {
    fn run(&self, _: &str, _: &str, _: &[u8], _: &Bounds) -> io::Result<Ran> {
        Err(io::ErrorKind::NotFound.into())
    }
}
