//! What is mounted, as the kernel lists it (proc(5), `mountinfo`).
//!
//! ```text
//! 36 35 98:0 /root /mount\\040point rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//!       device root  place          options         …      kind
//! ```

use crate::Result;
use crate::error::Error;
use crate::file::File;
use orlop_layer::Device;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// Bytes of the list that are read.
const LARGEST: u64 = 64 << 20;

/// Something mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The file system.
    pub device: Device,
    /// Which part of it is shown; of a namespace that is kept by a mount, its name.
    pub root: Box<[u8]>,
    /// Where.
    pub place: PathBuf,
    /// The type of the file system.
    pub kind: String,
}

/// Whose view is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of this process.
    Own,
    /// That of another process.
    Process(u32),
}

/// Everything that is mounted, the uppermost last. While others unmount, what is gone since may be among it; what stays is.
pub fn attached(whose: Whose) -> Result<Vec<Attached>> {
    let path = match whose {
        Whose::Own => "/proc/self/mountinfo".to_owned(),
        Whose::Process(pid) => format!("/proc/{pid}/mountinfo"),
    };
    let mut listed = list(&path)?;
    for _ in 1..READINGS {
        let again = list(&path)?;
        let is_settled = again == listed;
        // What an earlier list alone has lies lowest: it may be gone.
        listed.retain(|it| !again.contains(it));
        listed.extend(again);
        if is_settled {
            break;
        }
    }
    Ok(listed)
}

/// A list that is read while others mount and unmount can lack what is mounted all the time: the kernel gives it piece by
/// piece, and finds its place again by counting. So it is read until two lists agree, this often at most.
const READINGS: u32 = 6;

fn list(path: &str) -> Result<Vec<Attached>> {
    let text = File::open(path)?.read_to_limit(LARGEST)?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| parse(line).ok_or_else(|| Error::UnknownMountInfo(path.into()))).collect()
}

fn parse(line: &[u8]) -> Option<Attached> {
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    let device = std::str::from_utf8(words.next()?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let (root, place) = (plain(words.next()?), plain(words.next()?));
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    Some(Attached {
        device: Device { major: major.parse().ok()?, minor: minor.parse().ok()? },
        root: root.into(),
        place: PathBuf::from(OsString::from_vec(place)),
        kind: String::from_utf8_lossy(kind).into_owned(),
    })
}

/// Space, tab, line feed and backslash stand there as three octal digits.
fn plain(word: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(word.len()), word);
    while let Some((first, behind)) = rest.split_first() {
        let digits =
            behind.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(u8::is_ascii_digit));
        let byte = digits.and_then(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 8).ok());
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[3..] } else { behind };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spelled_in_octal() {
        let line = br"36 35 98:7 /a\134b /mnt\040two\012 rw,noatime master:1 shared:2 - ext3 /dev/root rw";
        let found = parse(line).expect("a line of the manual");
        assert_eq!(found.device, Device { major: 98, minor: 7 });
        assert_eq!((&*found.root, found.place.to_str()), (&br"/a\b"[..], Some("/mnt two\n")));
        assert_eq!(found.kind, "ext3");
        assert_eq!(plain(br"\9\04"), br"\9\04");
        for line in [&b""[..], b"1 2 3", b"1 2 x:1 / / rw - a b c", b"1 2 3:4 / /x rw"] {
            assert_eq!(parse(line), None);
        }
    }

    #[test]
    fn the_kernel_lists_the_root() {
        for whose in [Whose::Own, Whose::Process(std::process::id())] {
            let attached = attached(whose).expect("listed");
            assert!(attached.iter().any(|it| it.place == *"/"), "{attached:?}");
        }
    }
}
