//! POSIX ACLs: text of `SCHILY.acl.*` records into the kernel's binary form.
//!
//! ```text
//! user::rwx,user:1234:r-x,group::r-x,mask::rwx,other::r--        short tags u g m o; a fourth field is the number
//!
//! le32 version 2 │ (le16 tag, le16 permissions, le32 id) × n, in the order of tags, then of ids
//! ```

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
const NO_ID: u32 = u32::MAX;

/// What an ACL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Access,
    Default,
}

/// The binary form; `None` where the text says no more than the mode does, or nothing.
pub(super) fn from_text(text: &[u8], scope: Scope) -> Result<Option<Vec<u8>>, &'static str> {
    let mut entries = Vec::new();
    for line in text.split(|byte| matches!(byte, b',' | b'\n')) {
        let line = before(line, b'#').trim_ascii();
        if !line.is_empty() {
            entries.push(entry(line).ok_or("an ACL is malformed, or names an owner without a number")?);
        }
    }
    entries.sort_unstable();
    check(&entries)?;
    let says_more = scope == Scope::Default || entries.len() > 3;
    Ok((says_more && !entries.is_empty()).then(|| binary(&entries)))
}

/// The nine bits of the mode that a file with this access ACL has: the mask, where there is one, stands for the
/// group. libarchive stores the group's own entry instead; the kernel would mend that when it takes the ACL.
pub(super) fn mode(acl: &[u8]) -> Option<u16> {
    let (version, entries) = acl.split_first_chunk()?;
    if u32::from_le_bytes(*version) != 2 || entries.len() % 8 != 0 {
        return None;
    }
    let bits = |wanted: u16| {
        let mut entries = entries.chunks_exact(8);
        let entry = entries.find(|entry| u16::from_le_bytes([entry[0], entry[1]]) == wanted)?;
        Some(u16::from_le_bytes([entry[2], entry[3]]) & 7)
    };
    let group = bits(MASK).or_else(|| bits(GROUP_OBJ));
    Some(bits(USER_OBJ)? << 6 | group? << 3 | bits(OTHER)?)
}

/// Tag, id, permissions: they sort as the kernel wants them.
type AclEntry = (u16, u32, u16);

fn entry(line: &[u8]) -> Option<AclEntry> {
    let line = line.strip_prefix(b"default:").unwrap_or(line);
    let mut fields = line.split(|byte| *byte == b':').map(<[u8]>::trim_ascii);
    let (tag, name, permissions) = (fields.next()?, fields.next()?, fields.next()?);
    let name = fields.next().filter(|number| !number.is_empty()).unwrap_or(name);
    let (object, named) = match tag {
        b"user" | b"u" => (USER_OBJ, Some(USER)),
        b"group" | b"g" => (GROUP_OBJ, Some(GROUP)),
        b"mask" | b"m" => (MASK, None),
        b"other" | b"o" => (OTHER, None),
        _ => return None,
    };
    let permissions = bits(before(permissions, b'\t'))?;
    if name.is_empty() {
        return Some((object, NO_ID, permissions));
    }
    let id = std::str::from_utf8(name).ok()?.parse().ok().filter(|id| *id != NO_ID)?;
    Some((named?, id, permissions))
}

fn bits(permissions: &[u8]) -> Option<u16> {
    permissions.trim_ascii().iter().try_fold(0, |bits, letter| match letter {
        b'r' => Some(bits | 4),
        b'w' => Some(bits | 2),
        b'x' => Some(bits | 1),
        b'-' => Some(bits),
        _ => None,
    })
}

/// One entry for each of owner, group and others; a mask where anybody is named; nobody twice.
fn check(entries: &[AclEntry]) -> Result<(), &'static str> {
    let count = |tag| entries.iter().filter(|entry| entry.0 == tag).count();
    let once = entries.windows(2).all(|pair| (pair[0].0, pair[0].1) != (pair[1].0, pair[1].1));
    let named = count(USER) + count(GROUP) > 0;
    let complete = [USER_OBJ, GROUP_OBJ, OTHER].into_iter().all(|tag| count(tag) == 1);
    if entries.is_empty() || (once && complete && (!named || count(MASK) == 1)) {
        return Ok(());
    }
    Err("an ACL lacks an entry, or has one twice")
}

fn binary(entries: &[AclEntry]) -> Vec<u8> {
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, id, permissions) in entries {
        acl.extend_from_slice(&tag.to_le_bytes());
        acl.extend_from_slice(&permissions.to_le_bytes());
        acl.extend_from_slice(&id.to_le_bytes());
    }
    acl
}

fn before(line: &[u8], end: u8) -> &[u8] {
    line.split(|byte| *byte == end).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `setfacl -m u:1234:rwx,g:55:r` on a file of mode 0644 leaves in `system.posix_acl_access`.
    const KERNEL: &[u8] = b"\x02\0\0\0\
        \x01\0\x06\0\xff\xff\xff\xff\x02\0\x07\0\xd2\x04\0\0\x04\0\x04\0\xff\xff\xff\xff\
        \x08\0\x04\0\x37\0\0\0\x10\0\x07\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";

    #[test]
    fn text_becomes_what_the_kernel_stores() {
        for text in [
            "user::rw-,user:1234:rwx,group::r--,group:55:r--,mask::rwx,other::r--",
            "u::rw,o::r,g::r,g:55:r,m::rwx,u:joe:rwx:1234",
            "user::rw-\nuser:1234:rwx\t#effective:rwx\ngroup::r--\ngroup:55:r--\nmask::rwx\nother::r--\n",
        ] {
            assert_eq!(from_text(text.as_bytes(), Scope::Access), Ok(Some(KERNEL.to_vec())), "{text}");
        }
    }

    #[test]
    fn the_mask_stands_for_the_group_in_the_mode() {
        assert_eq!(mode(KERNEL), Some(0o674));
        let plain = from_text(b"user::rw-,group::r--,other::---", Scope::Default).expect("well formed");
        assert_eq!(plain.and_then(|acl| mode(&acl)), Some(0o640));
        assert_eq!(mode(&KERNEL[..20]), None);
        assert_eq!(mode(b""), None);
    }

    #[test]
    fn an_access_acl_that_repeats_the_mode_is_none() {
        assert_eq!(from_text(b"user::rw-,group::r--,other::r--", Scope::Access), Ok(None));
        assert!(matches!(from_text(b"user::rw-,group::r--,other::r--", Scope::Default), Ok(Some(_))));
        assert_eq!(from_text(b"", Scope::Default), Ok(None));
    }

    #[test]
    fn acls_that_no_kernel_takes_are_refused() {
        for bad in [
            "user::rw-",
            "user::rw-,group::r--,other::r--,user:1:r",
            "user::rwz,group::r--,other::r--",
            "user::rw-,user:joe:rwx,group::r--,mask::rwx,other::r--",
            "user::r,user::r,group::r,other::r",
            "x::r",
            "user",
            "user::rw-,user:4294967295:rwx,group::r--,mask::rwx,other::r--",
            "user::r,group::r,other:5:r",
        ] {
            assert!(from_text(bad.as_bytes(), Scope::Access).is_err(), "{bad}");
        }
    }
}
