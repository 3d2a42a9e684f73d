//! Extended attributes as they stand behind an inode.

use super::unfit;
use crate::Result;
use orlop_layer::Xattrs;

/// Bytes before the first attribute.
const HEAD: usize = 12;
/// What is left out of a name, and the number that stands for it. The access control lists have no other names.
const PREFIXES: [(&[u8], u8); 5] = [
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"user.", 1),
    (b"trusted.", 4),
    (b"security.", 6),
];

/// The bytes of all attributes; none where there is no attribute.
pub(super) fn attributes(xattrs: &Xattrs) -> Result<Vec<u8>> {
    if xattrs.is_empty() {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; HEAD];
    for (name, value) in xattrs {
        let (prefix, rest) = split(name)?;
        bytes.push(
            u8::try_from(rest.len()).map_err(|_| unfit("the name of an attribute of more than 255 bytes"))?,
        );
        bytes.push(prefix);
        let length =
            u16::try_from(value.len()).map_err(|_| unfit("an attribute of more than 65535 bytes"))?;
        bytes.extend(length.to_le_bytes());
        bytes.extend(rest);
        bytes.extend(&**value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    Ok(bytes)
}

/// What an inode says of the length of its attributes.
pub(super) fn count(bytes: &[u8]) -> Result<u16> {
    match bytes.len().checked_sub(HEAD) {
        None => Ok(0),
        Some(behind) => u16::try_from(behind / 4 + 1).map_err(|_| unfit("so many attributes of one file")),
    }
}

/// How many bytes stand behind an inode that says so.
pub(super) fn length(count: u16) -> u64 {
    if count == 0 { 0 } else { HEAD as u64 + 4 * (u64::from(count) - 1) }
}

/// The attributes that [`attributes`] wrote; `None` where the bytes are cut short, or of another prefix.
pub(super) fn parse(bytes: &[u8]) -> Option<Xattrs> {
    let mut xattrs = Xattrs::new();
    let mut rest = bytes.get(HEAD..).unwrap_or_default();
    while let Some(([length, prefix, low, high], behind)) = rest.split_first_chunk() {
        let (name, behind) = behind.split_at_checked((*length).into())?;
        let (value, _) = behind.split_at_checked(u16::from_le_bytes([*low, *high]).into())?;
        let (prefix, _) = PREFIXES.iter().find(|(_, number)| number == prefix)?;
        xattrs.insert([prefix, name].concat().into(), value.into());
        rest = rest.get((4 + name.len() + value.len()).next_multiple_of(4)..)?;
    }
    Some(xattrs)
}

fn split(name: &[u8]) -> Result<(u8, &[u8])> {
    let found = PREFIXES.iter().find_map(|(prefix, number)| Some((*number, name.strip_prefix(*prefix)?)));
    match found {
        Some((2 | 3, rest)) if !rest.is_empty() => Err(unfit("an attribute of that name")),
        Some((1 | 4 | 6, [])) | None => Err(unfit("an attribute of that name")),
        Some(found) => Ok(found),
    }
}
