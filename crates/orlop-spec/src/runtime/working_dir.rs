//! The folder that a command starts in.
//!
//! The links of the image are followed here, before any runtime does: one that leads into `/proc` reaches
//! descriptors of the runtime itself, and by them the host (CVE-2024-21626).

use super::{Rootfs, RuntimeError};

/// Links that are followed before they count as a loop; as in Linux.
const MOST_LINKS: usize = 40;
/// Bytes of a path that the kernel takes (`PATH_MAX`, without its last one).
const LONGEST: usize = 4095;
/// Folders that the runtime fills: the image cannot know where their links lead.
const HOST_VIEWS: [&[u8]; 2] = [b"proc", b"dev"];

/// The folder as the image names it; `/` where it names none.
pub(super) fn find<'a>(text: &'a str, rootfs: &Rootfs<'_>) -> Result<&'a str, RuntimeError> {
    match text {
        "" => Ok("/"),
        _ if text.starts_with('/') && !text.contains('\0') && stays_inside(text.as_bytes(), rootfs) => {
            Ok(text)
        }
        _ => Err(RuntimeError::BadWorkingDir(text.into())),
    }
}

/// Whether the path ends inside the image when every link is followed there.
fn stays_inside(path: &[u8], rootfs: &Rootfs<'_>) -> bool {
    if path.len() > LONGEST {
        return false;
    }
    let parts = |path: &[u8]| path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (mut found, mut todo, mut links): (Vec<Vec<u8>>, _, _) = (Vec::new(), parts(path), 0);
    while let Some(part) = todo.pop() {
        match &*part {
            b"" | b"." => continue,
            b".." => {
                found.pop();
                continue;
            }
            _ => found.push(part),
        }
        if HOST_VIEWS.contains(&&*found[0]) {
            if found.len() > 1 {
                return false;
            }
        } else if let Some(target) = (rootfs.link)(&[b"/", &*found.join(&b'/')].concat()) {
            links += 1;
            if links > MOST_LINKS || target.len() > LONGEST {
                return false;
            }
            found.pop();
            if target.starts_with(b"/") {
                found.clear();
            }
            todo.extend(parts(&target));
        }
    }
    true
}
