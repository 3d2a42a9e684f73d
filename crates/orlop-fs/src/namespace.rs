//! A user namespace in which the caller is root, and its subordinate ids are everybody else.
//!
//! ```text
//! inside     on the host
//! 0          the caller
//! 1…         the ranges of /etc/subuid and /etc/subgid, in their order
//! ```
//!
//! The kernel lets an ordinary user map itself alone; the programs `newuidmap` and `newgidmap` (of shadow, set
//! to run as root) check the two files and write the rest. They must run outside, so they are started first and
//! wait until the namespace is there.

use crate::error::Error;
use crate::file::File;
use crate::privilege::{self, Privileges};
use crate::{Result, stat, sys};
use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;
use std::ffi::CString;

/// The two programs.
pub(crate) const USERS: &str = "newuidmap";
pub(crate) const GROUPS: &str = "newgidmap";

/// Where distributions keep them.
const PLACES: [&str; 3] = ["/usr/bin", "/bin", "/run/wrappers/bin"];

/// Bytes of an account file that are read.
const LARGEST: u64 = 16 << 20;

/// Ids on the host: the first, and how many.
type Range = (u32, u32);

/// A run of ids in the namespace that stands for one on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First id in the namespace.
    pub inside: u32,
    /// First id on the host.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl Mapping {
    /// `INSIDE OUTSIDE COUNT`
    fn of_kernel(line: &str) -> Option<Self> {
        let numbers: Vec<u32> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        match *numbers.as_slice() {
            [inside, outside, count] => Some(Self { inside, outside, count }),
            _ => None,
        }
    }
}

/// The users and groups of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mappings {
    /// Users.
    pub users: Vec<Mapping>,
    /// Groups.
    pub groups: Vec<Mapping>,
}

impl Mappings {
    /// All ids that the caller may map. An error where it has no subordinate ones, or nobody maps them.
    pub fn of_caller() -> Result<Self> {
        let (uid, gid) = privilege::ids();
        let name = user_name(&read("/etc/passwd"), uid);
        let map = |program, file: &'static str, own| {
            let ranges = ranges(&read(file), uid, name.as_deref());
            if ranges.is_empty() {
                return Err(Error::NoSubordinateIds { uid, file });
            }
            find(program)?;
            Ok(behind(own, &ranges))
        };
        Ok(Self { users: map(USERS, "/etc/subuid", uid)?, groups: map(GROUPS, "/etc/subgid", gid)? })
    }

    /// Those of the namespace that the process is in, as seen from the one above; `None` where all are the host's.
    pub fn of_namespace() -> Result<Option<Self>> {
        if Ids::current()? == Ids::All {
            return Ok(None);
        }
        let map = |path| -> Result<Vec<Mapping>> {
            let text = File::open(path)?.read_to_limit(LARGEST)?;
            Ok(String::from_utf8_lossy(&text).lines().filter_map(Mapping::of_kernel).collect())
        };
        Ok(Some(Self { users: map("/proc/self/uid_map")?, groups: map("/proc/self/gid_map")? }))
    }

    /// The owner on the host of what belongs to `uid` and `gid` inside; `None` where one of them is not mapped.
    pub fn outside(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        let across = |runs: &[Mapping], id: u32| {
            runs.iter().find_map(|run| {
                let offset = id.checked_sub(run.inside).filter(|offset| *offset < run.count)?;
                run.outside.checked_add(offset)
            })
        };
        Some((across(&self.users, uid)?, across(&self.groups, gid)?))
    }

    /// The caller alone.
    pub fn of_caller_alone() -> Self {
        let (uid, gid) = privilege::ids();
        Self { users: behind(uid, &[]), groups: behind(gid, &[]) }
    }
}

/// Takes the process into a namespace of its own, in which owners may be set. Whoever may set them already stays
/// where it is. The process must have one thread only.
pub fn enter() -> Result<()> {
    if Privileges::current().chown {
        return Ok(());
    }
    enter_with(&Mappings::of_caller()?, UnshareFlags::NEWUSER)
}

/// Takes the process to where it may mount, and where what it mounts is gone with the last process that is there: into
/// a namespace of mounts of its own, and where it may not mount yet, into one of users as well. The process must have
/// one thread only.
pub fn enter_to_mount() -> Result<Entered> {
    if privilege::may_mount() {
        sys::unshare(UnshareFlags::NEWNS).map_err(|error| Error::Namespace(error.into()))?;
        let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", flags).map_err(|error| Error::io("mount", "/", error))?;
        return Ok(Entered::WithAllIds);
    }
    let flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS;
    match Mappings::of_caller() {
        Ok(mappings) => enter_with(&mappings, flags).map(|()| Entered::WithAllIds),
        Err(why) => enter_alone(flags).map(|()| Entered::Alone(why)),
    }
}

/// Whose ids a process has in a namespace.
#[derive(Debug)]
pub enum Entered {
    /// All that the caller may have.
    WithAllIds,
    /// The caller's own alone; why there are no others.
    Alone(Error),
}

/// Which ids stand for which in the namespace of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ids {
    /// All, for themselves.
    All,
    /// Some, as the kernel lists them: users, then groups.
    Some(Vec<u8>),
    /// One user or one group.
    One,
}

impl Ids {
    /// Those of the process.
    pub fn current() -> Result<Self> {
        let map = |path| File::open(path)?.read_to_limit(LARGEST);
        let (users, groups) = (map("/proc/self/uid_map")?, map("/proc/self/gid_map")?);
        Ok(Self::of(&users, &groups))
    }

    fn of(users: &[u8], groups: &[u8]) -> Self {
        let count = |map: &[u8]| -> u64 {
            let text = String::from_utf8_lossy(map).into_owned();
            let counts = text.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
            counts.sum()
        };
        match count(users).min(count(groups)) {
            0 | 1 => Self::One,
            ids if ids >= u64::from(u32::MAX) => Self::All,
            _ => Self::Some([users, groups].concat()),
        }
    }
}

fn enter_with(Mappings { users, groups }: &Mappings, flags: UnshareFlags) -> Result<()> {
    let helpers = [command(USERS, users)?, command(GROUPS, groups)?];
    sys::enter_user_namespace(&helpers, flags).map_err(Error::Namespace)
}

/// What the kernel lets everybody map: oneself, if groups are given up for good.
fn enter_alone(flags: UnshareFlags) -> Result<()> {
    let (uid, gid) = privilege::ids();
    sys::enter_user_namespace(&[], flags).map_err(Error::Namespace)?;
    for (path, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ] {
        let write = || {
            rustix::io::write(open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?, text.as_bytes())
        };
        write().map_err(|error| Error::Namespace(error.into()))?;
    }
    Ok(())
}

/// `own` as 0, and the ranges behind it.
fn behind(own: u32, ranges: &[Range]) -> Vec<Mapping> {
    let mut inside = 0;
    let mapping = |(outside, count): &Range| {
        let mapping = Mapping { inside, outside: *outside, count: *count };
        inside += count;
        mapping
    };
    [(own, 1)].iter().chain(ranges).map(mapping).collect()
}

/// What cannot be read holds nothing.
fn read(path: &str) -> Vec<u8> {
    File::open(path).and_then(|mut file| file.read_to_limit(LARGEST)).unwrap_or_default()
}

/// `PROGRAM PID INSIDE OUTSIDE COUNT …`
fn command(program: &'static str, mappings: &[Mapping]) -> Result<Vec<CString>> {
    let mut words = vec![find(program)?, std::process::id().to_string()];
    for Mapping { inside, outside, count } in mappings {
        words.extend([inside, outside, count].map(ToString::to_string));
    }
    Ok(words.into_iter().map(|word| CString::new(word).expect("paths and numbers have no NUL")).collect())
}

pub(crate) fn find(program: &'static str) -> Result<String> {
    let mut paths = PLACES.iter().map(|place| format!("{place}/{program}"));
    paths.find(|path| stat::at(path).is_ok()).ok_or(Error::NoMapProgram(program))
}

/// The name of a user, from the text of `/etc/passwd`.
fn user_name(passwd: &[u8], uid: u32) -> Option<Vec<u8>> {
    let uid = uid.to_string();
    lines(passwd).find_map(|fields| match fields.as_slice() {
        [name, _, id, ..] if *id == uid.as_bytes() => Some(name.to_vec()),
        _ => None,
    })
}

/// The ranges of a user, who stands in the file by name or by number.
fn ranges(text: &[u8], uid: u32, name: Option<&[u8]>) -> Vec<Range> {
    let number = uid.to_string();
    let mut left = u32::MAX - 1;
    let range = |fields: Vec<&[u8]>| match fields.as_slice() {
        [user, first, count] if Some(*user) == name || *user == number.as_bytes() => {
            let parse = |field: &[u8]| std::str::from_utf8(field).ok()?.parse().ok();
            let range: Range = (parse(first)?, parse(count)?);
            let fits = range.1 > 0 && range.0.checked_add(range.1).is_some() && range.1 < left;
            left -= if fits { range.1 } else { 0 };
            fits.then_some(range)
        }
        _ => None,
    };
    lines(text).filter_map(range).collect()
}

fn lines(text: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    text.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_number() {
        let passwd = b"root:x:0:0::/:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        let name = user_name(passwd, 1000);
        assert_eq!(name.as_deref(), Some(&b"ann"[..]));
        let text = b"bob:100000:65536\nann:165536:65536\n1000:300000:10\n# ann:1:1\nann:x:1\nann:4294967295:2\nann:5:0\n";
        assert_eq!(ranges(text, 1000, name.as_deref()), [(165_536, 65_536), (300_000, 10)]);
        assert_eq!(ranges(text, 7, user_name(passwd, 7).as_deref()), []);
        let mapping = |inside, outside, count| Mapping { inside, outside, count };
        let all = [mapping(0, 1000, 1), mapping(1, 165_536, 65_536), mapping(65_537, 300_000, 10)];
        assert_eq!(behind(1000, &ranges(text, 1000, name.as_deref())), all);
    }

    #[test]
    fn all_ids_are_told_from_some_and_one() {
        let all = b"         0          0 4294967295\n";
        let one = b"         0       1000          1\n";
        let some = b"         0       1000          1\n         1     100000      65536\n";
        assert_eq!(Ids::of(all, all), Ids::All);
        assert_eq!(Ids::of(some, one), Ids::One);
        assert_eq!(Ids::of(some, some), Ids::Some([&some[..], some].concat()));
        assert_eq!(Ids::of(b"", b""), Ids::One);
        assert_eq!(Ids::of(b"0 0 2147483648\n2147483648 2147483648 2147483647\n", all), Ids::All);
    }
}
