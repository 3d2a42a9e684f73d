//! The most memory that a program held at one moment (`VmHWM`), watched while it runs.

use rustix::process::Pid;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Watches one program. The kernel's own sum at its end holds what its parent had before it, and is of no use.
#[derive(Clone, Debug, Default)]
pub struct Peak(Arc<AtomicU64>);

/// Between two looks; the value never falls, so only what happens in the last moment is missed.
const LOOK: Duration = Duration::from_millis(2);

impl Peak {
    /// A hook for [`crate::Command::started`].
    pub fn watch(&self) -> impl FnOnce(Pid) + use<> {
        let most = Arc::clone(&self.0);
        move |pid| {
            thread::spawn(move || {
                while let Some(bytes) = held(pid) {
                    most.fetch_max(bytes, Ordering::SeqCst);
                    thread::sleep(LOOK);
                }
            });
        }
    }

    /// Bytes, as far as was seen.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// `None` once the program has ended.
fn held(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Command;

    #[test]
    fn a_program_that_holds_much_is_seen() {
        let peak = |script: &str| {
            let peak = Peak::default();
            Command::new("bash").args(["-c", script]).started(peak.watch()).ok();
            peak.bytes()
        };
        let (little, much) =
            (peak("sleep 0.1"), peak("x=$(head -c 50000000 /dev/zero | tr '\\0' x); sleep 0.1"));
        assert!((500_000..20_000_000).contains(&little), "{little}");
        assert!(much > 50_000_000, "{much}");
    }
}
