//! A commit as the objects of a repository in the layers of an image: the form of bootc and ostree-ext.
//!
//! ```text
//! the first layer   sysroot/ostree/repo/config, refs/ …              a repository of the mode bare-split-xattrs
//!                   sysroot/ostree/repo/objects/XX/REST.commit       and its .commitmeta, dirmetas and dirtrees
//!                   etc/  usr/  usr/bin/ …                           the folders of the tree; usr/etc is etc
//! every layer       sysroot/ostree/repo/objects/XX/REST.file-xattrs        attributes, once
//!                   sysroot/ostree/repo/objects/XX/REST.file-xattrs-link   a hard link to those of the next file
//!                   sysroot/ostree/repo/objects/XX/REST.file               the file: content, owner, mode
//!                   usr/bin/x                                              a hard link to it
//! ```
//!
//! Invariant: whoever unpacks the layers has the tree, and whoever reads the objects has the commit. The objects alone are
//! believed, each under the name that it hashes to.

pub mod above;
pub mod base;
pub mod entries;
mod error;
pub mod gather;
pub mod outline;

pub use error::EncapsulatedError;

use super::id::{Kind, ObjectId, ObjectName};
use super::object::{Commit, DirTree};
use super::variant::Variant;
use orlop_layer::TreePath;
use orlop_spec::descriptor::Annotations;

/// Label: the digest of the last layer that is part of the commit. What lies above was put there by others.
pub const LAST_LAYER: &str = "ostree.final-diffid";
/// Where the repository is.
const REPOSITORY: &str = "sysroot/ostree/repo";
/// Where a machine has its settings, and where a commit keeps what they begin with.
const ETC: &str = "etc";
const USR_ETC: &str = "usr/etc";

/// The attribute that containers do not take from layers: it is in the objects alone.
const LABEL: &[u8] = b"security.selinux";

/// Metadata of a commit that is a label of the image, too, where it is a text.
const TEXTS: [(&str, &[&str]); 2] =
    [("ostree.linux", &["ostree.linux"]), ("version", &["version", "org.opencontainers.image.version"])];
/// Metadata of a commit that a machine can be started from.
const BOOTABLE: &str = "ostree.bootable";
/// What bootc asks for.
const BOOTC: &str = "containers.bootc";
/// Metadata of a commit: the command of a container.
const COMMAND: &str = "ostree.container-cmd";

/// The labels of the image, but for the last layer, which is not known before it is written.
pub fn labels(id: &ObjectId, commit: &Commit) -> Annotations {
    let mut labels = Annotations::new();
    labels.insert(super::carried::COMMIT.into(), id.to_string().into());
    for (key, names) in TEXTS {
        if let Some(text) = commit.metadata.get(key).and_then(Variant::as_str) {
            labels.extend(names.iter().map(|name| ((*name).into(), text.into())));
        }
    }
    if let Some(is_bootable) = commit.metadata.get(BOOTABLE).and_then(Variant::as_bool) {
        labels.insert(BOOTABLE.into(), is_bootable.to_string().into());
        if is_bootable {
            labels.insert(BOOTC.into(), "1".into());
        }
    }
    labels
}

/// The command of a container, where the commit says one.
pub fn command(commit: &Commit) -> Option<Vec<Box<str>>> {
    let words = commit.metadata.get(COMMAND)?.as_strings()?;
    Some(words.into_iter().map(Into::into).collect())
}

/// Where an object is in a layer.
pub fn path_of(object: &ObjectName) -> TreePath {
    let ObjectName { id, kind } = object;
    plain(&format!("{REPOSITORY}/objects/{}/{}.{kind}", id.folder(), id.rest()))
}

/// The object that lies at a path of a layer, if that is the place of one.
pub fn object_at(path: &TreePath) -> Option<ObjectName> {
    let path = std::str::from_utf8(path.as_bytes()).ok()?;
    let place = path.strip_prefix(REPOSITORY)?.strip_prefix("/objects/")?;
    let (folder, name) = place.split_once('/')?;
    let (rest, ending) = name.split_once('.')?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == ending)?;
    let is_divided = folder.len() == 2 && rest.len() == 62;
    let id = is_divided.then(|| [folder, rest].concat().parse().ok()).flatten()?;
    Some(ObjectName::new(id, kind))
}

/// How settings are named in the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settings {
    /// What the commit has as `usr/etc` is `etc`.
    Moved,
    /// The commit has an `etc` of its own: everything keeps its name.
    Kept,
}

impl Settings {
    /// How the settings of a commit with such a root are named in layers.
    fn of(root: &DirTree) -> Self {
        let has_own = root.file(ETC).is_some() || root.folder(ETC).is_some();
        if has_own { Self::Kept } else { Self::Moved }
    }

    /// Where a path of the commit lies in the layers.
    pub fn shown(self, path: &TreePath) -> TreePath {
        self.moved(path, USR_ETC, ETC)
    }

    /// The path of the commit that a path of the layers stands for.
    pub fn meant(self, path: &TreePath) -> TreePath {
        self.moved(path, ETC, USR_ETC)
    }

    fn moved(self, path: &TreePath, from: &str, to: &str) -> TreePath {
        if self == Self::Kept || !path.starts_with(&plain(from)) {
            return path.clone();
        }
        let rest = &path.as_bytes()[from.len()..];
        TreePath::parse(&[to.as_bytes(), rest].concat()).expect("a part of a path is one")
    }
}

fn plain(path: &str) -> TreePath {
    TreePath::parse(path.as_bytes()).expect("a plain path")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commit(metadata: &[(&str, Variant)]) -> Commit {
        let metadata = metadata.iter().map(|(key, value)| (*key, value.clone())).collect();
        let (tree, meta) = (ObjectId([1; 32]), ObjectId([2; 32]));
        let (subject, body) = (String::new(), String::new());
        Commit { metadata, parent: None, related: Vec::new(), subject, body, time: 0, tree, meta }
    }

    proptest! {
        #[test]
        fn a_place_and_the_object_there_are_the_same(id: [u8; 32], kind in 0..Kind::ALL.len()) {
            let object = ObjectName::new(ObjectId(id), Kind::ALL[kind]);
            prop_assert_eq!(object_at(&path_of(&object)), Some(object));
        }

        #[test]
        fn settings_are_found_where_they_were_put(path in "(usr|etc|a)(/(etc|etcetera|b)){0,3}") {
            let path = plain(&path);
            let is_own = path.starts_with(&plain(ETC));
            prop_assume!(!is_own);
            prop_assert_eq!(Settings::Moved.meant(&Settings::Moved.shown(&path)), path);
        }
    }

    #[test]
    fn what_has_another_name_is_no_object() {
        let good = "sysroot/ostree/repo/objects/68/4f3e1071cb05d9f411754096394e1ed7b27423961a3ac022bec1fdc9020f0c.file";
        assert!(object_at(&plain(good)).is_some());
        for wrong in [
            good.replace("/68/4f", "/684/f"),
            good.replace(".file", ".filez"),
            good.replace(".file", ".file.xattrs"),
            good.replace("4f3e", "4F3E"),
            good.replace("objects", "object"),
            good.replace("sysroot/", ""),
            format!("x/{good}"),
            format!("{good}/x"),
        ] {
            assert_eq!(object_at(&plain(&wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn settings_lie_where_a_container_looks_for_them() {
        let shown = |settings: Settings, path: &str| settings.shown(&plain(path)).to_string();
        assert_eq!(shown(Settings::Moved, "usr/etc"), "etc");
        assert_eq!(shown(Settings::Moved, "usr/etc/a/b"), "etc/a/b");
        assert_eq!(shown(Settings::Moved, "usr/etcetera"), "usr/etcetera");
        assert_eq!(shown(Settings::Kept, "usr/etc/a"), "usr/etc/a");
    }

    #[test]
    fn labels_say_what_bootc_asks_for() {
        let metadata = [
            ("ostree.bootable", Variant::bool(true)),
            ("ostree.linux", Variant::string("6.1")),
            ("version", Variant::string("42")),
            ("ostree.container-cmd", Variant::strings(&["/usr/bin/init", "x"])),
        ];
        let commit = commit(&metadata);
        let labels = labels(&commit.id(), &commit);
        let said: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let wanted = [
            "containers.bootc=1".to_owned(),
            "org.opencontainers.image.version=42".to_owned(),
            "ostree.bootable=true".to_owned(),
            format!("ostree.commit={}", commit.id()),
            "ostree.linux=6.1".to_owned(),
            "version=42".to_owned(),
        ];
        assert_eq!(said, wanted);
        assert_eq!(command(&commit), Some(vec!["/usr/bin/init".into(), "x".into()]));
    }

    #[test]
    fn a_commit_that_does_not_start_a_machine_is_none_for_bootc() {
        let commit = commit(&[("ostree.bootable", Variant::bool(false)), ("version", Variant::u64(1))]);
        let labels = labels(&commit.id(), &commit);
        assert_eq!(labels.get("ostree.bootable").map(|value| &**value), Some("false"));
        assert!(!labels.contains_key("containers.bootc") && !labels.contains_key("version"));
        assert_eq!(command(&commit), None);
    }
}
