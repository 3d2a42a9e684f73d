//! The torture tree: every kind of thing that a root filesystem can hold and an archive can lose.
//!
//! Forty-one features, each with the paths that show it and the aspects in which they must not change. An
//! ordinary user gets the tree without devices, foreign owners and privileged attributes.

use crate::dump::{Aspect, Dump, differs};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, linkat, lsetxattr,
    makedev, mknodat, utimensat,
};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// 2009-02-13 23:31:30.123456789.
const MOMENT: (i64, i64) = (1_234_567_890, 123_456_789);

/// What whoever makes the tree may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Everything: owners, devices, `trusted` and `security` attributes.
    Root,
    /// What an ordinary user may.
    User,
}

/// Something that can be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// In words.
    pub name: &'static str,
    /// Where it shows.
    pub paths: Vec<Vec<u8>>,
    /// In what it shows.
    pub aspects: &'static [Aspect],
}

/// A feature that a copy of the tree does not have.
#[derive(Clone, PartialEq, Eq)]
pub struct Loss {
    /// The feature's name; empty for an entry that the source does not have.
    pub feature: &'static str,
    /// Where.
    pub path: Vec<u8>,
    /// What happened.
    pub what: String,
}

impl fmt::Debug for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}: {}", self.feature, self.path.escape_ascii(), self.what)
    }
}

/// What `copy` lost of `source`.
pub fn compare(features: &[Feature], source: &Dump, copy: &Dump) -> Vec<Loss> {
    let mut losses = Vec::new();
    for feature in features {
        for path in &feature.paths {
            let old = &source[path];
            let lost = match copy.get(path) {
                None => vec!["is missing".to_owned()],
                Some(new) => feature
                    .aspects
                    .iter()
                    .filter_map(|aspect| differs(path, old, new, *aspect))
                    .map(|difference| difference.what)
                    .collect(),
            };
            losses.extend(lost.into_iter().map(|what| Loss {
                feature: feature.name,
                path: path.clone(),
                what,
            }));
        }
    }
    let extra = copy.keys().filter(|path| !source.contains_key(*path));
    losses.extend(extra.map(|path| Loss {
        feature: "",
        path: path.clone(),
        what: "was not in the source".into(),
    }));
    losses
}

/// The names of the features that were lost, each once.
pub fn lost_features(losses: &[Loss]) -> Vec<&'static str> {
    let mut names: Vec<_> = losses.iter().map(|loss| loss.feature).collect();
    names.dedup();
    names
}

/// Gives everything below `root` to another user, and sets again the bits that this takes away.
pub fn give_away(root: &Path, uid: u32, gid: u32) {
    let mode = fs::symlink_metadata(root).expect("there").permissions();
    let link = fs::symlink_metadata(root).expect("there").is_symlink();
    std::os::unix::fs::lchown(root, Some(uid), Some(gid)).expect("root may");
    if !link {
        fs::set_permissions(root, mode).expect("root may");
    }
    if root.is_dir() && !link {
        for entry in fs::read_dir(root).expect("a folder").flatten() {
            give_away(&entry.path(), uid, gid);
        }
    }
}

/// Makes the tree in the new folder `root`, and says what is in it.
pub fn make(root: &Path, power: Power) -> Vec<Feature> {
    fs::create_dir(root).unwrap_or_else(|error| panic!("cannot create {}: {error}", root.display()));
    let mut tree = Maker { root, features: Vec::new() };
    tree.times_and_modes();
    tree.links();
    tree.special_files();
    tree.names();
    tree.attributes();
    tree.contents();
    if power == Power::Root {
        tree.owners();
        tree.devices();
        tree.privileged_attributes();
    }
    tree.folder_times(power);
    tree.features
}

const SHAPE: &[Aspect] = &[Aspect::Kind, Aspect::Mode, Aspect::Content];
const LINKED: &[Aspect] = &[Aspect::Kind, Aspect::Mode, Aspect::Content, Aspect::Links];
const MODE: &[Aspect] = &[Aspect::Kind, Aspect::Mode];
const OWNER: &[Aspect] = &[Aspect::Owner];
const TIME: &[Aspect] = &[Aspect::Time];
const XATTRS: &[Aspect] = &[Aspect::Xattrs];

struct Maker<'a> {
    root: &'a Path,
    features: Vec<Feature>,
}

impl Maker<'_> {
    fn feature(&mut self, name: &'static str, aspects: &'static [Aspect], paths: &[&[u8]]) {
        let paths = paths.iter().map(|path| path.to_vec()).collect();
        self.features.push(Feature { name, paths, aspects });
    }

    fn at(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.root.join(OsStr::from_bytes(name.as_ref()))
    }

    fn file(&self, name: impl AsRef<[u8]>) {
        self.write(name, b"x");
    }

    fn write(&self, name: impl AsRef<[u8]>, content: &[u8]) {
        let path = self.at(name);
        fs::write(&path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    fn folder(&self, name: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(name)).expect("a folder is made");
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.at(name), Permissions::from_mode(mode)).expect("a mode is set");
    }

    fn time(&self, name: &str, (seconds, nanoseconds): (i64, i64)) {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, self.at(name), &times, AtFlags::SYMLINK_NOFOLLOW).expect("a time is set");
    }

    fn owner(&self, name: &str, uid: u32, gid: u32) {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        chownat(CWD, self.at(name), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .expect("an owner is set");
    }

    fn node(&self, name: &str, kind: FileType, mode: u32, device: (u32, u32)) {
        let device = makedev(device.0, device.1);
        mknodat(CWD, self.at(name), kind, Mode::from_raw_mode(mode), device).expect("a node is made");
        self.mode(name, mode);
    }

    fn xattr(&self, path: &str, name: &str, value: &[u8]) {
        lsetxattr(self.at(path), name, value, XattrFlags::empty())
            .unwrap_or_else(|error| panic!("cannot set {name} on {path}: {error}"));
    }

    fn link(&self, from: &str, to: &str) {
        linkat(CWD, self.at(from), CWD, self.at(to), AtFlags::empty()).expect("a link is made");
    }

    fn times_and_modes(&mut self) {
        self.file("plain");
        self.time("plain", MOMENT);
        self.feature("nanosecond mtime of a file", TIME, &[b"plain"]);
        self.file("mtime-old");
        self.time("mtime-old", (-86_400, 0));
        self.feature("mtime before 1970", TIME, &[b"mtime-old"]);
        self.file("mtime-far");
        self.time("mtime-far", (1 << 33, 0));
        self.feature("mtime past 2242", TIME, &[b"mtime-far"]);
        self.file("suid");
        self.mode("suid", 0o4755);
        self.file("sgid");
        self.mode("sgid", 0o2755);
        self.folder("sticky");
        self.mode("sticky", 0o1777);
        self.feature("setuid, setgid, sticky", MODE, &[b"suid", b"sgid", b"sticky"]);
        self.file("mode0");
        self.mode("mode0", 0);
        self.feature("mode 0000 file", MODE, &[b"mode0"]);
        self.folder("ro-dir");
        self.file("ro-dir/f");
        self.mode("ro-dir", 0o555);
        self.feature("read-only directory with a child", SHAPE, &[b"ro-dir", b"ro-dir/f"]);
        self.folder("empty");
        self.feature("empty directory", SHAPE, &[b"empty"]);
    }

    fn links(&mut self) {
        self.write("hl-a", b"hard");
        self.link("hl-a", "hl-b");
        self.folder("hl");
        self.link("hl-a", "hl/c");
        self.feature("hard links", LINKED, &[b"hl-a", b"hl-b", b"hl/c"]);
        symlink("plain", self.at("sl")).expect("a link is made");
        symlink(format!("/nowhere/{}", "x".repeat(150)), self.at("sl-long")).expect("a link is made");
        self.feature("symlinks (long, dangling)", SHAPE, &[b"sl", b"sl-long"]);
        self.time("sl", MOMENT);
        self.feature("nanosecond mtime of a symlink", TIME, &[b"sl"]);
        self.link("sl", "sl-hard");
        self.feature("hard-linked symlink", LINKED, &[b"sl", b"sl-hard"]);
    }

    fn special_files(&mut self) {
        self.node("fifo", FileType::Fifo, 0o644, (0, 0));
        self.feature("fifo", SHAPE, &[b"fifo"]);
        self.node("sock", FileType::Socket, 0o755, (0, 0));
        self.feature("socket", SHAPE, &[b"sock"]);
    }

    fn names(&mut self) {
        let long = [b'n'; 255];
        self.file(long);
        let deep = vec!["deep".repeat(20); 12].join("/");
        self.folder(&deep);
        let deep = format!("{deep}/f");
        self.file(&deep);
        self.feature("names of 255 bytes, path over 900 bytes", SHAPE, &[&long, deep.as_bytes()]);
        let names: [(&'static str, &[&[u8]]); 3] = [
            ("names not UTF-8", &[b"latin1-\xe9\xff"]),
            (
                "names with newline, backslash, blanks",
                &[b"new\nline", b"back\\slash tab\t", b" lead", b"trail "],
            ),
            ("UTF-8 names, NFC beside NFD", &["utf-\u{e9}-\u{6f22}".as_bytes(), "utf-e\u{301}".as_bytes()]),
        ];
        for (feature, paths) in names {
            for path in paths {
                self.file(path);
            }
            self.feature(feature, SHAPE, paths);
        }
        self.file(".hidden");
        self.feature("dot file", SHAPE, &[b".hidden"]);
        self.file(".wh.literal");
        self.feature("file whose own name begins .wh.", SHAPE, &[b".wh.literal"]);
    }

    fn attributes(&mut self) {
        self.file("x-user");
        self.xattr("x-user", "user.one", b"v1");
        self.xattr("x-user", "user.bin", b"a\0b\nc=d\xff");
        self.xattr("x-user", "user.empty", b"");
        self.feature("user xattr, binary and empty values", XATTRS, &[b"x-user"]);
        self.file("x-eq");
        self.xattr("x-eq", "user.a=b", b"v");
        self.feature("xattr name with '='", XATTRS, &[b"x-eq"]);
        self.file("x-big");
        self.xattr("x-big", "user.big", &[b'z'; 3000]);
        self.feature("xattr of 3000 bytes", XATTRS, &[b"x-big"]);
        self.folder("x-dir");
        self.xattr("x-dir", "user.d", b"1");
        self.feature("xattr on a directory", XATTRS, &[b"x-dir"]);
        self.file("acl");
        self.mode("acl", 0o674);
        self.xattr("acl", "system.posix_acl_access", &acl(6, &[(2, 7, 1234), (8, 4, 55)], 7));
        self.feature("POSIX ACL", XATTRS, &[b"acl"]);
        self.folder("acl-d");
        self.xattr("acl-d", "system.posix_acl_default", &acl(7, &[(2, 7, 1234)], 7));
        self.feature("default ACL of a directory", XATTRS, &[b"acl-d"]);
    }

    fn contents(&mut self) {
        let mut sparse = File::create(self.at("sparse")).expect("a file is made");
        sparse.seek(SeekFrom::Start(32 << 20)).expect("a position");
        sparse.write_all(b"middle").expect("a few bytes");
        sparse.set_len(64 << 20).expect("a long file");
        self.feature("sparse file (content)", &[Aspect::Content], &[b"sparse"]);
        self.feature("sparse file (holes kept)", &[Aspect::Holes], &[b"sparse"]);
        self.write("zero", b"");
        self.feature("empty file", SHAPE, &[b"zero"]);
    }

    fn owners(&mut self) {
        for (name, feature, uid, gid) in [
            ("own", "owner", 1234, 5678),
            ("own-21", "uid over 2097151", 2_097_152, 2_097_152),
            ("own-big", "uid near 2^32", u32::MAX - 2, 3_000_000_000),
        ] {
            self.file(name);
            self.owner(name, uid, gid);
            self.feature(feature, OWNER, &[name.as_bytes()]);
        }
        self.owner("sl-long", 77, 78);
        self.feature("owner of a symlink", OWNER, &[b"sl-long"]);
    }

    fn devices(&mut self) {
        self.node("chr", FileType::CharacterDevice, 0o640, (1, 3));
        self.node("blk", FileType::BlockDevice, 0o640, (7, 0));
        self.feature("character and block device", SHAPE, &[b"chr", b"blk"]);
        self.node("chr-big", FileType::CharacterDevice, 0o640, (300, 70_000));
        self.feature("device with large numbers", SHAPE, &[b"chr-big"]);
        self.node("chr00", FileType::CharacterDevice, 0o600, (0, 0));
        self.feature("character device 0:0", SHAPE, &[b"chr00"]);
    }

    fn privileged_attributes(&mut self) {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        for (path, feature, name, value) in [
            ("x-trusted", "trusted xattr", "trusted.t", b"1".to_vec()),
            ("x-sec", "security.* xattr", "security.foo", b"1".to_vec()),
            ("cap", "file capability (v2)", CAPABILITY, words(&[0x0200_0001, 1 << 13, 0, 0, 0])),
            (
                "cap3",
                "file capability with root id (v3)",
                CAPABILITY,
                words(&[0x0300_0001, 1 << 10, 0, 0, 0, 100_000]),
            ),
        ] {
            self.file(path);
            self.xattr(path, name, &value);
            self.feature(feature, XATTRS, &[path.as_bytes()]);
        }
    }

    /// Times of folders change with every file made in them, so they come last.
    fn folder_times(&mut self, power: Power) {
        self.folder("dir-mtime");
        self.file("dir-mtime/f");
        self.time("dir-mtime", MOMENT);
        self.feature("nanosecond mtime of a directory", TIME, &[b"dir-mtime"]);
        if power == Power::Root {
            self.owner(".", 42, 43);
        }
        self.mode(".", 0o751);
        self.time(".", MOMENT);
        self.feature(
            "root directory: mode, owner, mtime",
            &[Aspect::Mode, Aspect::Owner, Aspect::Time],
            &[b"."],
        );
    }
}

const CAPABILITY: &str = "security.capability";

/// An ACL in the kernel's form: version 2, then tag, permissions and id of each entry, sorted.
fn acl(owner: u16, named: &[(u16, u16, u32)], mask: u16) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let mut entries = vec![(1, owner, NOBODY)];
    entries.extend(named);
    entries.extend([(4, 4, NOBODY), (0x10, mask, NOBODY), (0x20, 4, NOBODY)]);
    entries.sort_unstable();
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(u16::to_le_bytes(tag));
        bytes.extend(u16::to_le_bytes(permissions));
        bytes.extend(u32::to_le_bytes(id));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::{Kind, dump};
    use crate::{Scratch, scratch};
    use orlop_spec::{Algorithm, Digest};

    fn tree() -> (Scratch, Vec<Feature>, Dump) {
        let scratch = scratch();
        let power = if crate::is_root() { Power::Root } else { Power::User };
        let features = make(&scratch.path("tree"), power);
        let dump = dump(&scratch.path("tree"));
        (scratch, features, dump)
    }

    #[test]
    fn the_tree_has_all_its_features() {
        let (_scratch, features, dump) = tree();
        let mut names: Vec<_> = features.iter().map(|feature| feature.name).collect();
        assert_eq!(names.len(), if crate::is_root() { 41 } else { 30 });
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), features.len());
        assert!(compare(&features, &dump, &dump).is_empty());
    }

    /// A comparison that cannot fail proves nothing: each feature alone is damaged, and must be named alone.
    #[test]
    fn every_damage_is_named_by_its_feature() {
        let (_scratch, features, dump) = tree();
        for feature in &features {
            for aspect in feature.aspects {
                let mut damaged = dump.clone();
                damage(&mut damaged, &feature.paths[0], *aspect);
                let losses = compare(&features, &dump, &damaged);
                assert!(
                    losses.iter().any(|loss| loss.feature == feature.name),
                    "{} {aspect:?}",
                    feature.name
                );
                assert!(losses.iter().all(|loss| loss.path == feature.paths[0]), "{losses:?}");
            }
            let mut without = dump.clone();
            without.remove(&feature.paths[0]);
            assert!(
                lost_features(&compare(&features, &dump, &without)).contains(&feature.name),
                "{}",
                feature.name
            );
        }
    }

    #[test]
    fn what_was_not_there_before_is_a_loss_too() {
        let (_scratch, features, dump) = tree();
        let mut more = dump.clone();
        more.insert(b"new".to_vec(), dump[b"plain".as_slice()].clone());
        assert_eq!(compare(&features, &dump, &more).len(), 1);
    }

    fn damage(dump: &mut Dump, path: &[u8], aspect: Aspect) {
        let node = dump.get_mut(path).expect("there");
        match aspect {
            Aspect::Kind => node.kind = if node.kind == Kind::Fifo { Kind::Socket } else { Kind::Fifo },
            Aspect::Mode => node.mode ^= 0o100,
            Aspect::Owner => node.owner.1 += 1,
            Aspect::Time => node.mtime.1 += 1,
            Aspect::Xattrs => drop(node.xattrs.pop_first()),
            Aspect::Content => {
                node.content = Some((1, Digest::of(Algorithm::Sha256, b"y")));
            }
            Aspect::Holes => node.stored = 64 << 20,
            Aspect::Links => node.link = b"another".to_vec(),
        }
    }

    /// The same with real damage: GNU `cp` without attributes loses what it is known to lose.
    #[test]
    fn a_plain_copy_is_caught() {
        let (scratch, features, before) = tree();
        let copy = scratch.path("copy");
        crate::Command::new("cp")
            .args(["-r", "--no-preserve=all", "--sparse=never"])
            .arg(scratch.path("tree"))
            .arg(&copy)
            .run();
        let lost = lost_features(&compare(&features, &before, &dump(&copy)));
        for name in [
            "nanosecond mtime of a file",
            "setuid, setgid, sticky",
            "hard links",
            "user xattr, binary and empty values",
            "POSIX ACL",
            "sparse file (holes kept)",
            "nanosecond mtime of a directory",
        ] {
            assert!(lost.contains(&name), "{name} in {lost:?}");
        }
    }

    #[test]
    fn an_archive_copy_of_gnu_cp_keeps_almost_everything() {
        let (scratch, features, before) = tree();
        let copy = scratch.path("copy");
        crate::Command::new("cp").args(["-a", "--sparse=always"]).arg(scratch.path("tree")).arg(&copy).run();
        let losses = compare(&features, &before, &dump(&copy));
        let unreadable = !crate::is_root();
        assert!(losses.iter().all(|loss| unreadable && loss.path == b"mode0"), "{losses:?}");
    }
}
