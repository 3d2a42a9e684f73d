//! `diff`: what differs between two trees, file by file, and between two configs, member by member.

use crate::hashed::Hashed;
use orlop_layer::tree::{Inode, InodeId, InodeKind, Tree};
use orlop_layer::{Meta, TreePath};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::HashMap;

/// One difference between two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: TreePath,
    /// What.
    pub change: Change,
    /// Which layer decides on each side, where it is known.
    pub layers: (Option<u16>, Option<u16>),
}

/// What differs at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the second tree has it.
    Added,
    /// Only the first tree has it.
    Removed,
    /// Both have it, and these fields differ.
    Changed(Vec<Field>),
}

/// A field that differs: its name, and both values as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Such as `mode`, `mtime`, `content`, `xattr user.x`.
    pub name: String,
    /// In the first tree.
    pub before: String,
    /// In the second tree.
    pub after: String,
}

/// Compares two trees; the result is sorted by path.
pub fn trees(before: &Hashed, after: &Hashed) -> Vec<Difference> {
    let mut differences = Vec::new();
    let (mut left, mut right) = (before.tree.walk().peekable(), after.tree.walk().peekable());
    let (names_before, names_after) = (first_names(&before.tree), first_names(&after.tree));
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return differences,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.components().cmp(other.components()),
        };
        let (one, other) = match order {
            Ordering::Less => (left.next(), None),
            Ordering::Greater => (None, right.next()),
            Ordering::Equal => (left.next(), right.next()),
        };
        let layers = (
            one.as_ref().and_then(|(_, id)| layer(&before.tree, *id)),
            other.as_ref().and_then(|(_, id)| layer(&after.tree, *id)),
        );
        let (path, change) = match (one, other) {
            (Some((path, _)), None) => (path, Change::Removed),
            (None, Some((path, _))) => (path, Change::Added),
            (Some((path, one)), Some((_, other))) => {
                let mut fields = inode_fields((before, one), (after, other));
                compare(
                    &mut fields,
                    "hard link of",
                    &names_before.get(&one),
                    &names_after.get(&other),
                    |name| name.map_or_else(|| "nothing".to_owned(), ToString::to_string),
                );
                if fields.is_empty() {
                    continue;
                }
                (path, Change::Changed(fields))
            }
            (None, None) => return differences,
        };
        differences.push(Difference { path, change, layers });
    }
}

/// The first name of every inode that has several: two trees have the same hard links if these agree.
fn first_names(tree: &Tree) -> HashMap<InodeId, TreePath> {
    let mut first = HashMap::new();
    for (path, id) in tree.walk() {
        if tree.names(id) > 1 && !matches!(tree.inode(id).kind, InodeKind::Directory { .. }) {
            first.entry(id).or_insert(path);
        }
    }
    first
}

fn layer(tree: &Tree, id: InodeId) -> Option<u16> {
    match &tree.inode(id).kind {
        InodeKind::File(content) => Some(content.layer),
        _ => None,
    }
}

fn inode_fields(before: (&Hashed, InodeId), after: (&Hashed, InodeId)) -> Vec<Field> {
    let (one, other) = (before.0.tree.inode(before.1), after.0.tree.inode(after.1));
    let mut fields = Vec::new();
    compare(&mut fields, "type", &kind_name(one), &kind_name(other), |name| (*name).to_owned());
    if fields.is_empty() {
        content_fields(&mut fields, (before.0, one), (after.0, other));
    }
    meta_fields(&mut fields, &one.meta, &other.meta);
    fields
}

fn content_fields(fields: &mut Vec<Field>, before: (&Hashed, &Inode), after: (&Hashed, &Inode)) {
    match (&before.1.kind, &after.1.kind) {
        (InodeKind::File(one), InodeKind::File(other)) => {
            compare(fields, "size", &one.size, &other.size, ToString::to_string);
            compare(fields, "content", &before.0.digest(one), &after.0.digest(other), |digest| {
                digest.map_or_else(|| "unknown".to_owned(), ToString::to_string)
            });
        }
        (InodeKind::Symlink(one), InodeKind::Symlink(other)) => {
            compare(fields, "target", one, other, |target| orlop_layer::path::escape(target));
        }
        (InodeKind::CharDevice(one), InodeKind::CharDevice(other))
        | (InodeKind::BlockDevice(one), InodeKind::BlockDevice(other)) => {
            compare(fields, "device", one, other, |device| format!("{}:{}", device.major, device.minor));
        }
        _ => {}
    }
}

fn meta_fields(fields: &mut Vec<Field>, before: &Meta, after: &Meta) {
    compare(fields, "mode", &before.mode, &after.mode, |mode| format!("{mode:04o}"));
    compare(fields, "uid", &before.uid, &after.uid, ToString::to_string);
    compare(fields, "gid", &before.gid, &after.gid, ToString::to_string);
    compare(fields, "mtime", &before.mtime, &after.mtime, |time| {
        format!("{}.{:09}", time.seconds, time.nanoseconds)
    });
    let names: std::collections::BTreeSet<_> = before.xattrs.keys().chain(after.xattrs.keys()).collect();
    for name in names {
        let label = format!("xattr {}", orlop_layer::path::escape(name));
        compare(fields, &label, &before.xattrs.get(name), &after.xattrs.get(name), |value| {
            value.map_or_else(|| "absent".to_owned(), |value| orlop_layer::path::escape(value))
        });
    }
}

fn compare<T: PartialEq>(
    fields: &mut Vec<Field>,
    name: &str,
    before: &T,
    after: &T,
    show: impl Fn(&T) -> String,
) {
    if before != after {
        fields.push(Field { name: name.to_owned(), before: show(before), after: show(after) });
    }
}

/// A kind of file in words.
pub(crate) fn kind_name(inode: &Inode) -> &'static str {
    match &inode.kind {
        InodeKind::File(_) => "file",
        InodeKind::Directory { .. } => "folder",
        InodeKind::Symlink(_) => "symbolic link",
        InodeKind::CharDevice(_) => "character device",
        InodeKind::BlockDevice(_) => "block device",
        InodeKind::Fifo => "fifo",
        InodeKind::Whiteout => "whiteout",
        InodeKind::LinkBelow(_) => "hard link to a layer below",
    }
}

/// Compares two values of JSON member by member; a name is a path such as `config.Env[2]`.
pub fn values(before: &Value, after: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    members(&mut fields, "", Some(before), Some(after));
    fields
}

/// What differs between the configs of two images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configs {
    /// What is said of the image.
    pub said: Vec<Field>,
    /// Which layers hold its files, and the steps that made them: files that are divided otherwise are the same files.
    pub layers: Vec<Field>,
}

/// Compares two configs. The history is one of layers only where those are not the same: else a step that differs is a word
/// that somebody said.
pub fn configs(before: &Value, after: &Value) -> Configs {
    let fields = values(before, after);
    let is_of = |field: &Field, member: &str| {
        field.name.strip_prefix(member).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let divided = fields.iter().any(|field| is_of(field, "rootfs"));
    let (layers, said) =
        fields.into_iter().partition(|field| is_of(field, "rootfs") || divided && is_of(field, "history"));
    Configs { said, layers }
}

fn members(fields: &mut Vec<Field>, name: &str, before: Option<&Value>, after: Option<&Value>) {
    match (before, after) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                members(fields, &name, one.get(key), other.get(key));
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for position in 0..one.len().max(other.len()) {
                members(fields, &format!("{name}[{position}]"), one.get(position), other.get(position));
            }
        }
        _ => compare(fields, name, &before, &after, |value| {
            value.map_or_else(|| "absent".to_owned(), ToString::to_string)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_differ_by_the_path_of_the_member() {
        let before = serde_json::json!({"config": {"Env": ["A=1"], "User": "0"}});
        let after = serde_json::json!({"config": {"Env": ["A=1", "B=2"], "User": "1"}});
        let names = |fields: Vec<Field>| fields.into_iter().map(|field| field.name).collect::<Vec<_>>();
        assert_eq!(names(configs(&before, &after).said), ["config.Env[1]", "config.User"]);
        assert_eq!(configs(&before, &before), Configs::default());
    }

    #[test]
    fn the_history_of_other_layers_is_one_of_layers_and_that_of_the_same_layers_is_said() {
        let config = |diff_ids: &[&str], history: &[&str]| serde_json::json!({ "history": history, "rootfs": { "diff_ids": diff_ids } });
        let one = config(&["a"], &["x"]);
        let divided = configs(&one, &config(&["b", "c"], &["x", "y"]));
        assert_eq!((divided.said.len(), divided.layers.len()), (0, 3));
        let noted = configs(&one, &config(&["a"], &["x", "y"]));
        assert_eq!((noted.said.len(), noted.layers.len()), (1, 0));
    }
}
