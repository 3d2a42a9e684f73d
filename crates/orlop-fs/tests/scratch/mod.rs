//! A folder of a test's own, removed with it; and tests that run again as somebody else.
#![expect(dead_code, reason = "each test file uses a part")]

use orlop_fs::Dir;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Scratch {
    path: PathBuf,
    dir: Dir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// Where forcing to the disk costs nothing.
    pub(crate) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory) } else { Self::new() }
    }

    fn below(folder: &Path) -> Self {
        let name = String::from_utf8(orlop_fs::random::name("orlop-fs-test-")).expect("letters");
        let path = folder.join(name);
        std::fs::create_dir(&path).expect("a fresh folder");
        let dir = Dir::open(&path).expect("just made");
        Self { path, dir }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(crate) fn dir_at(&self, path: &str) {
        std::fs::create_dir(self.at(path)).expect("made");
    }

    pub(crate) fn file(&self, path: &str, content: &[u8]) {
        std::fs::write(self.at(path), content).expect("written");
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        std::fs::set_permissions(self.at(path), std::fs::Permissions::from_mode(mode)).expect("set");
    }

    pub(crate) fn xattr(&self, path: &str, name: &str, value: &str) {
        self.run("setfattr", &["-h", "-n", name, "-v", value, path]);
    }

    /// Runs a program in the folder; it must succeed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) {
        let status = Command::new(program).args(arguments).current_dir(&self.path).status();
        assert!(status.expect("installed").success(), "{program} {arguments:?}");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        Command::new("rm").arg("-rf").arg(&self.path).status().ok();
    }
}

/// As whom a test runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    Root,
    Nobody,
    Fakeroot,
    /// Whoever it is, with few open files.
    Few,
}

/// Whether the test runs as `who`. If not, it is run again so in a process of its own, which must pass; where
/// that is impossible the test is skipped, and says so.
pub(crate) fn again_as(who: Who, test: &str) -> bool {
    const NOBODY: &str = "65534";
    let is_root = rustix::process::geteuid().is_root();
    let is_faked = std::env::var_os("FAKEROOTKEY").is_some();
    let few = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let mut command = match who {
        Who::Few if few.is_some_and(|few| few <= 160) => return true,
        Who::Few => {
            let mut command = Command::new("prlimit");
            command.arg("--nofile=160:160");
            command
        }
        Who::Fakeroot if is_faked => return true,
        Who::Root if is_root && !is_faked => return true,
        Who::Nobody if !is_root => return true,
        Who::Root => {
            testkit::proof::not_offered(&format!("files: {test}"), "the tests do not run as root");
            return false;
        }
        Who::Nobody | Who::Fakeroot if is_root => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
            if who == Who::Fakeroot {
                command.args(["fakeroot", "--"]);
            }
            command
        }
        Who::Nobody | Who::Fakeroot => Command::new("fakeroot"),
    };
    command.arg(std::env::current_exe().expect("running")).args(["--exact", test, "--nocapture"]);
    let output = command.current_dir("/").output().expect("setpriv, prlimit and fakeroot are installed");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "as {who:?}: {text}");
    assert!(text.contains("1 passed"), "as {who:?} the test did not run: {text}");
    testkit::proof::ran(&format!("files: {test}"), 1);
    false
}
