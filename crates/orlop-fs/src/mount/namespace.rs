//! Whether the namespace of mounts that something was mounted in still exists, and who can be asked about it.

use super::{Whose, attached};
use crate::file::File;
use crate::namespace::Ids;
use crate::{Dir, Result, stat};

/// A namespace of mounts, as those know it who come later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Differs each time that the machine starts.
    pub boot: String,
    /// The number of the namespace of mounts; may be given again when nobody is in it.
    pub mounts: u64,
    /// The number of the namespace of processes that it was seen from.
    pub processes: u64,
}

/// Who sees what is mounted in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// Somebody: this process or another one.
    Seen(Whose),
    /// Nobody: it is gone.
    Gone,
    /// It cannot be told: its processes, if it has any, cannot be seen from here.
    Unknown,
}

impl Namespace {
    /// That of this process.
    pub fn current() -> Result<Self> {
        let number = |name| stat::at(format!("/proc/self/ns/{name}")).map(|it| it.ino);
        let boot = File::open("/proc/sys/kernel/random/boot_id")?.read_to_limit(64)?;
        let boot = String::from_utf8_lossy(&boot).trim().to_owned();
        Ok(Self { boot, mounts: number("mnt")?, processes: number("pid")? })
    }

    /// Who sees it. The caller must be the one who made it, or root: the processes of others hide where they are.
    pub fn witness(&self) -> Result<Witness> {
        let here = Self::current()?;
        if here.boot != self.boot {
            return Ok(Witness::Gone);
        }
        if here.mounts == self.mounts {
            return Ok(Witness::Seen(Whose::Own));
        }
        if here.processes != self.processes || self.is_kept_by_a_mount()? {
            return Ok(Witness::Unknown);
        }
        let mut is_blind = false;
        for pid in processes()? {
            match stat::at(format!("/proc/{pid}/ns/mnt")) {
                Ok(it) if it.ino == self.mounts => return Ok(Witness::Seen(Whose::Process(pid))),
                Err(error) if error.is_denied() => is_blind = true,
                _ => {}
            }
        }
        // Whoever made it sees all of its processes; those of a namespace of users do not see what is beside or above it.
        if is_blind && Ids::current()? != Ids::All { Ok(Witness::Unknown) } else { Ok(Witness::Gone) }
    }

    /// As by `unshare --mount=FILE`.
    fn is_kept_by_a_mount(&self) -> Result<bool> {
        let name = format!("mnt:[{}]", self.mounts);
        Ok(attached(Whose::Own)?.iter().any(|it| *it.root == *name.as_bytes()))
    }
}

fn processes() -> Result<Vec<u32>> {
    let names = Dir::open("/proc")?.list()?;
    Ok(names.iter().filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_seen_from_within_and_gone_after_a_start() {
        let here = Namespace::current().expect("known");
        assert_eq!(here.witness().expect("told"), Witness::Seen(Whose::Own));
        let before = Namespace { boot: "another".into(), ..here.clone() };
        assert_eq!(before.witness().expect("told"), Witness::Gone);
        let nobodys = Namespace { mounts: 1, ..here.clone() };
        assert_eq!(nobodys.witness().expect("told"), Witness::Gone);
        let elsewhere = Namespace { mounts: 1, processes: 1, ..here };
        assert_eq!(elsewhere.witness().expect("told"), Witness::Unknown);
    }
}
