//! A store with an image of busybox, and whoever runs containers of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use testkit::command::orlop_path;
use testkit::scratch::{Scratch, scratch};
use testkit::{Command, Finished, is_root, orlop, peer, proof};

/// Programs that the image has, all of them busybox.
const APPLETS: [&str; 17] = [
    "sh", "cat", "echo", "env", "grep", "hostname", "id", "ip", "kill", "ls", "mkdir", "pwd", "sleep",
    "stty", "tail", "touch", "true",
];

/// Who runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Root,
    /// `nobody`, with subordinate ids.
    User,
    /// `nobody`, without.
    UserAlone,
}

/// A caller with a program that runs containers, and an image for it.
pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) caller: Caller,
    pub(crate) runtime: PathBuf,
}

/// What is known to work on machines whose cgroups are of both versions: crun only for root, who may hide one of them.
const OFFERED: [(Caller, &str); 6] = [
    (Caller::Root, "runc"),
    (Caller::Root, "crun"),
    (Caller::Root, "bwrap"),
    (Caller::User, "runc"),
    (Caller::User, "bwrap"),
    (Caller::UserAlone, "runc"),
];

/// Every caller with every program; none where something is missing, which is reported.
pub(crate) fn worlds(proof: &str) -> Vec<World> {
    OFFERED.into_iter().filter_map(|(caller, runtime)| World::new(proof, caller, runtime)).collect()
}

/// Root with the first program, for what does not depend on them.
pub(crate) fn plain(proof: &str) -> Option<World> {
    World::new(proof, Caller::Root, "runc")
}

impl World {
    pub(crate) fn new(proof: &str, caller: Caller, runtime: &str) -> Option<Self> {
        if !is_root() {
            proof::not_offered(proof, "the tests do not run as root");
            return None;
        }
        let Some(runtime) = peer(runtime) else {
            proof::skipped(proof, &format!("{runtime} is missing"));
            return None;
        };
        if caller == Caller::User && !Path::new("/usr/bin/newuidmap").exists() {
            proof::skipped(proof, "newuidmap is missing");
            return None;
        }
        let scratch = scratch();
        if !tree(&scratch.folder("tree")) {
            proof::skipped(proof, "a static busybox is missing");
            return None;
        }
        fs::set_permissions(scratch.root(), Permissions::from_mode(0o755)).expect("ours");
        let world = Self { scratch, caller, runtime: runtime.path };
        world.scratch.file("ranges", "nobody:100000:65536\n");
        world.give(&world.scratch.folder("store"));
        world.build(
            "tree",
            "box",
            &["--cmd", "/bin/sh", "--env", "OF=image", "--env", "KEPT=yes", "--workdir", "/srv"],
        );
        Some(world)
    }

    /// Makes an image in the store of a folder of the scratch.
    pub(crate) fn build(&self, tree: &str, name: &str, flags: &[&str]) {
        let layout = format!("oci:l:{name}");
        orlop().args(["build", tree, &layout]).args(flags).current_dir(self.scratch.root()).ok();
        self.give(&self.scratch.path("l"));
        self.verb(&["copy", &layout, &format!("store:{name}")]).ok();
    }

    fn give(&self, folder: &Path) {
        if self.caller != Caller::Root {
            Command::new("chown").args(["-R", "65534:65534"]).arg(folder).ok();
        }
    }

    /// A verb as the caller, in the scratch, on the store.
    pub(crate) fn verb(&self, words: &[&str]) -> Command {
        let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
        self.as_caller(&[vec![orlop_path().to_string_lossy().into_owned()], words].concat())
    }

    /// A program as the caller. It is the process that is started: all between are gone when it runs.
    pub(crate) fn as_caller(&self, words: &[String]) -> Command {
        let (program, rest) = words.split_first().expect("a program");
        let mut command = match self.caller {
            Caller::Root => Command::new(program),
            Caller::User | Caller::UserAlone => {
                let map = "for file in subuid subgid; do mount --bind ranges /etc/$file; done";
                let map = if self.caller == Caller::User { map } else { ":" };
                let become_user =
                    format!("{map}; exec setpriv --reuid 65534 --regid 65534 --clear-groups -- \"$@\"");
                Command::new("unshare").args(["--mount", "sh", "-ec", &become_user, "sh", program])
            }
        };
        for word in rest {
            command = command.arg(word);
        }
        command.env("ORLOP_ROOT", self.store()).current_dir(self.scratch.root())
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.scratch.path("store")
    }

    /// `orlop run FLAGS IMAGE COMMAND`, by the runtime of this world.
    pub(crate) fn command(&self, flags: &[&str], words: &[&str]) -> Command {
        let runtime = self.runtime.to_string_lossy().into_owned();
        self.verb(&[&["run", "--runtime", &runtime], flags, words].concat())
    }

    /// The same in the image of busybox, to its end.
    pub(crate) fn run(&self, flags: &[&str], words: &[&str]) -> Finished {
        self.command(flags, &[&["box"], words].concat()).run()
    }

    /// A script in the image, to its end.
    pub(crate) fn sh(&self, flags: &[&str], script: &str) -> Finished {
        self.run(flags, &["sh", "-c", script])
    }

    /// The folders of runs.
    pub(crate) fn runs(&self) -> Vec<String> {
        let runs = fs::read_dir(self.store().join("runs"));
        let names =
            runs.into_iter().flatten().flatten().map(|it| it.file_name().to_string_lossy().into_owned());
        names.collect()
    }

    pub(crate) fn is_bwrap(&self) -> bool {
        self.runtime.ends_with("bwrap")
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?} by {}", self.caller, self.runtime.display())
    }
}

/// A root filesystem of busybox with two users. False where there is no busybox that needs nothing else.
fn tree(root: &Path) -> bool {
    let Some(busybox) =
        ["/bin/busybox", "/usr/bin/busybox"].map(Path::new).into_iter().find(|path| is_static(path))
    else {
        return false;
    };
    for folder in ["bin", "etc", "srv", "tmp", "home/app"] {
        fs::create_dir_all(root.join(folder)).expect("ours");
    }
    fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777)).expect("ours");
    fs::copy(busybox, root.join("bin/busybox")).expect("ours");
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).expect("ours");
    }
    let passwd = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n";
    fs::write(root.join("etc/passwd"), passwd).expect("ours");
    fs::write(root.join("etc/group"), "root:x:0:\napp:x:1001:\nvideo:x:44:app\n").expect("ours");
    fs::write(root.join("etc/motd"), "of the image\n").expect("ours");
    true
}

/// Whether a program names no loader.
fn is_static(program: &Path) -> bool {
    const INTERPRETER: u32 = 3;
    let Ok(bytes) = fs::read(program) else { return false };
    let half = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (table, each, count) = (half(0x20), half(0x36), half(0x38));
    let kind = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    bytes.starts_with(b"\x7fELF\x02\x01") && (0..count).all(|row| kind(table + row * each) != INTERPRETER)
}
