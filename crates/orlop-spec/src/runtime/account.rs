//! The user of an image, looked up in the image's own `passwd` and `group` (passwd(5), group(5)).

use super::{IdMapping, Privilege, Rootfs, RuntimeError, Unmapped};
use crate::user::{HIGHEST_ID, NameOrId, User};
use serde_json::{Value, json};

/// Numbers that a process runs under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// Further groups, ascending. Only where the image names a user and no group.
    pub groups: Vec<u32>,
    /// The folder that the image's `passwd` gives the user.
    pub home: Option<Box<str>>,
}

/// An account beside the mappings of a namespace.
pub(super) struct Mapped {
    pub(super) account: Account,
    /// Further groups that the mappings do not hold.
    pub(super) lost_groups: Vec<u32>,
    /// User and group, where the mappings do not hold both.
    pub(super) unmapped: Option<(u32, u32)>,
}

impl Account {
    /// Numbers are taken as they are; names must be in the files.
    pub fn find(text: &str, rootfs: &Rootfs<'_>) -> Result<Self, RuntimeError> {
        if text.is_empty() {
            let home = home(&NameOrId::Id(0), rootfs);
            return Ok(Self { user: 0, group: 0, groups: Vec::new(), home });
        }
        let User { user, group } = text.parse()?;
        let entry =
            entries(rootfs.passwd).find_map(|fields| Line::read(&fields).filter(|entry| entry.is(&user)));
        let (id, primary) = match (&user, &entry) {
            (NameOrId::Id(id), entry) => (*id, entry.as_ref().map_or(0, |entry| entry.group)),
            (NameOrId::Name(_), Some(entry)) => (entry.user, entry.group),
            (NameOrId::Name(name), None) => return Err(RuntimeError::UnknownUser(name.clone())),
        };
        let groups = match (&user, &group) {
            (NameOrId::Name(name), None) => further_groups(name.as_bytes(), primary, rootfs),
            _ => Vec::new(),
        };
        let group = match group {
            None => primary,
            Some(NameOrId::Id(group)) => group,
            Some(NameOrId::Name(name)) => group_of(&name, rootfs).ok_or(RuntimeError::UnknownGroup(name))?,
        };
        match [id, group].into_iter().find(|id| *id > HIGHEST_ID) {
            Some(id) => Err(RuntimeError::IdTooHigh { user: text.into(), id }),
            None => Ok(Self { user: id, group, groups, home: home(&user, rootfs) }),
        }
    }

    /// The same account, without the further groups that the mappings do not hold. A user or group that is not mapped cannot
    /// run.
    pub(super) fn mapped(self, privilege: &Privilege, unmapped: Unmapped) -> Result<Mapped, RuntimeError> {
        let Some((users, groups)) = privilege.mappings() else {
            return Ok(Mapped { account: self, lost_groups: Vec::new(), unmapped: None });
        };
        let is_mapped = holds(users, self.user) && holds(groups, self.group);
        if !is_mapped && unmapped == Unmapped::Refused {
            return Err(RuntimeError::NotMapped { user: self.user, group: self.group });
        }
        let unmapped = (!is_mapped).then_some((self.user, self.group));
        // With one group mapped there are no subordinate ids, and then the kernel denies setgroups(2).
        let may_set = groups.iter().map(|mapping| u64::from(mapping.size)).sum::<u64>() > 1;
        let (kept, lost_groups) = self.groups.into_iter().partition(|group| may_set && holds(groups, *group));
        Ok(Mapped { account: Self { groups: kept, ..self }, lost_groups, unmapped })
    }

    pub(super) fn to_value(&self) -> Value {
        let mut user = json!({ "uid": self.user, "gid": self.group });
        if !self.groups.is_empty() {
            user["additionalGids"] = json!(self.groups);
        }
        user
    }
}

/// An absolute folder.
fn home(user: &NameOrId, rootfs: &Rootfs<'_>) -> Option<Box<str>> {
    let entry = entries(rootfs.passwd)
        .find_map(|fields| Line::read(&fields).filter(|entry| entry.is(user)).map(|it| it.home));
    let home = entry.and_then(|home| std::str::from_utf8(home).ok());
    home.filter(|home| home.starts_with('/') && !home.contains('\0')).map(Into::into)
}

pub(super) fn holds(mappings: &[IdMapping], id: u32) -> bool {
    mappings
        .iter()
        .any(|mapping| id.checked_sub(mapping.container).is_some_and(|offset| offset < mapping.size))
}

/// A line of `passwd`: `name:password:uid:gid:…`.
struct Line<'a> {
    name: &'a [u8],
    user: u32,
    group: u32,
    home: &'a [u8],
}

impl<'a> Line<'a> {
    fn read(fields: &[&'a [u8]]) -> Option<Self> {
        let home = fields.get(5).copied().unwrap_or_default();
        Some(Self {
            name: *fields.first()?,
            user: number(fields.get(2)?)?,
            group: number(fields.get(3)?)?,
            home,
        })
    }

    fn is(&self, wanted: &NameOrId) -> bool {
        match wanted {
            NameOrId::Name(name) => self.name == name.as_bytes(),
            NameOrId::Id(id) => self.user == *id,
        }
    }
}

/// Lines of a file of accounts in fields. A line that lacks fields or numbers is passed over, as libc does.
fn entries(file: Option<&[u8]>) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = file.unwrap_or_default().split(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).split(|byte| *byte == b':').collect())
}

fn number(field: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(field).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A line of `group`: `name:password:gid:members`.
fn groups<'a>(rootfs: &Rootfs<'a>) -> impl Iterator<Item = (&'a [u8], u32, &'a [u8])> {
    entries(rootfs.group).filter_map(|fields| {
        Some((*fields.first()?, number(fields.get(2)?)?, fields.get(3).copied().unwrap_or_default()))
    })
}

fn group_of(name: &str, rootfs: &Rootfs<'_>) -> Option<u32> {
    groups(rootfs).find(|(found, ..)| *found == name.as_bytes()).map(|(_, id, _)| id)
}

fn further_groups(name: &[u8], primary: u32, rootfs: &Rootfs<'_>) -> Vec<u32> {
    let holds = |members: &[u8]| members.split(|byte| *byte == b',').any(|member| member == name);
    let mut ids: Vec<_> =
        groups(rootfs).filter(|(.., members)| holds(members)).map(|(_, id, _)| id).collect();
    ids.retain(|id| *id != primary && *id <= HIGHEST_ID);
    ids.sort_unstable();
    ids.dedup();
    ids
}
