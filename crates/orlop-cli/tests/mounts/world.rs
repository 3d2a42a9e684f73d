//! A store with an image of the torture tree and busybox, and users who mount it.

use crate::disk::Disk;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use testkit::command::orlop_path;
use testkit::torture::{self, Feature, Power};
use testkit::{Command, Finished, is_root};

/// A build without optimisation compresses the huge file of a full run for minutes.
const LONG: Duration = Duration::from_secs(900);

/// Who mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Root,
    /// An ordinary user with subordinate ids.
    Mapped,
    /// An ordinary user without.
    Alone,
}

impl User {
    pub(crate) const ALL: [Self; 3] = [Self::Root, Self::Mapped, Self::Alone];
}

/// An ordinary user's number.
const NOBODY: u32 = 65_534;

pub(crate) struct World {
    pub(crate) disk: Disk,
    pub(crate) features: Vec<Feature>,
    user: User,
}

/// What the tests cannot do without.
pub(crate) fn lacks() -> Option<&'static str> {
    let is_there = |path: &str| fs::exists(path).is_ok_and(|is| is);
    match () {
        () if !is_root() => Some("the tests do not run as root"),
        () if !is_there("/bin/busybox") => Some("busybox is missing"),
        () if !is_there("/usr/bin/newuidmap") => Some("newuidmap is missing"),
        () => None,
    }
}

impl World {
    /// On a disk, everything the user's own: `tree`, which is the torture tree, and an image of it in `store`.
    pub(crate) fn new(disk: Disk, user: User) -> Self {
        Self::of(disk, user, torture)
    }

    /// As [`World::new`], of another tree.
    pub(crate) fn of(disk: Disk, user: User, make: impl FnOnce(&Path, User) -> Vec<Feature>) -> Self {
        let features = make(&disk.path("tree"), user);
        fs::set_permissions(disk.path("."), fs::Permissions::from_mode(0o755)).expect("set");
        let world = Self { disk, features, user };
        fs::write(world.disk.path("ranges"), format!("{NOBODY}:100000:65536\n")).expect("written");
        if user != User::Root {
            torture::give_away(&world.disk.path("."), NOBODY, NOBODY);
        }
        world.ok("$ORLOP build --unrepresentable skip tree store:app:1");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.disk.path(name)
    }

    /// Runs a script as the user, in the disk's folder.
    pub(crate) fn run(&self, script: &str) -> Finished {
        // Mounts of the command that are left are gone with its namespace of mounts; those of root must stay.
        let command = match self.user {
            User::Root => Command::new("sh").args(["-ec", script]),
            User::Mapped | User::Alone => {
                let ranges = if self.user == User::Mapped { "$PWD/ranges" } else { "/dev/null" };
                let line = format!(
                    "mount --bind {ranges} /etc/subuid; mount --bind {ranges} /etc/subgid; \
                     exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups sh -ec \"$1\""
                );
                Command::new("unshare").args(["--mount", "sh", "-ec", &line, "sh", script])
            }
        };
        let store = self.path("store");
        command
            .env("ORLOP", orlop_path())
            .env("ORLOP_ROOT", store)
            .env("HOME", self.path("."))
            .current_dir(self.path("."))
            .time(LONG)
            .run()
    }

    pub(crate) fn ok(&self, script: &str) -> String {
        let done = self.run(script);
        assert!(done.success(), "{:?} on {}: {script}: {done}", self.user, self.disk.kind);
        done.out()
    }
}

/// Root's mounts would keep the disk.
impl Drop for World {
    fn drop(&mut self) {
        if self.user == User::Root {
            self.run("$ORLOP umount --all --lazy || :");
        }
    }
}

/// The torture tree, with busybox.
fn torture(tree: &Path, user: User) -> Vec<Feature> {
    let power = if user == User::Root { Power::Root } else { Power::User };
    let features = torture::make(tree, power);
    // What no image holds, so that lists can be compared.
    fs::remove_file(tree.join("sock")).expect("removed");
    fs::remove_file(tree.join(".wh.literal")).expect("removed");
    let bin = tree.join("bin");
    fs::create_dir(&bin).expect("made");
    fs::copy("/bin/busybox", bin.join("busybox")).expect("copied");
    for name in ["sh", "cat", "echo"] {
        symlink("busybox", bin.join(name)).expect("linked");
    }
    features
}
