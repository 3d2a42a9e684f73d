//! Container engines with folders of their own, and a root filesystem small enough to run in all of them.

use crate::command::{Command, Finished};
use crate::peer::peer;
use crate::scratch::Scratch;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What `/bin/hello` of [`hello`] ends with.
pub const HELLO_CODE: i32 = 7;

/// A root filesystem with one static program, `/bin/hello`, that prints `hello` and its argument and exits
/// with [`HELLO_CODE`]; and what a runtime expects beside it. `None` without a C compiler.
pub fn hello(root: &Path) -> Option<()> {
    let compiler = peer("cc")?;
    for folder in ["bin", "etc", "dev", "proc", "sys", "tmp"] {
        fs::create_dir_all(root.join(folder)).expect("a folder is made");
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/hello\napp:x:1000:1000::/:/bin/hello\n")
        .expect("written");
    fs::write(root.join("etc/group"), "root:x:0:\napp:x:1000:\n").expect("written");
    let source = "#include <stdio.h>\nint main(int c, char **v) { printf(\"hello %s\\n\", c > 1 ? v[1] : \"\"); return 7; }\n";
    let program = root.join("bin/hello");
    let build =
        compiler.command().args(["-static", "-O1", "-x", "c", "-o"]).arg(&program).arg("-").input(source);
    build.run().success().then_some(())
}

/// A busybox that can stand alone in a root filesystem.
pub fn static_busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from).into_iter().find(|path| is_static(path))
}

/// A program of 64 bits that asks for no interpreter, so that it can stand alone (ELF-64, "Program Header").
fn is_static(program: &Path) -> bool {
    const INTERPRETER: u32 = 3;
    let Ok(bytes) = fs::read(program) else { return false };
    let half = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (table, each, count) = (half(0x20), half(0x36), half(0x38));
    let kind = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    bytes.starts_with(b"\x7fELF\x02\x01") && (0..count).all(|row| kind(table + row * each) != INTERPRETER)
}

/// podman with its own storage.
pub struct Podman {
    program: PathBuf,
    root: PathBuf,
    run: PathBuf,
}

impl Podman {
    /// `None` where it is not installed, or cannot work here.
    pub fn new(scratch: &Scratch) -> Option<Self> {
        Self::in_folder(scratch.root(), "podman")
    }

    /// The same with the storage `name` of several in a folder.
    pub fn in_folder(folder: &Path, name: &str) -> Option<Self> {
        let program = peer("podman")?.path;
        Some(Self { program, root: folder.join(name), run: folder.join(format!("{name}-run")) })
    }

    /// The program with its folders.
    pub fn command(&self) -> Command {
        let folders =
            Command::new(&self.program).arg("--root").arg(&self.root).arg("--runroot").arg(&self.run);
        folders.args(["--storage-driver", "vfs"])
    }

    /// Runs a command in a container of `image`; limits and network as every kernel and cgroup layout allows.
    pub fn run(&self, image: &str, command: &[&str]) -> Finished {
        let limits = ["--ulimit", "nofile=1024:2048", "--ulimit", "nproc=1024:2048"];
        let run = self.command().args(["--runtime", "runc", "run", "--rm", "--network=none"]);
        run.args(limits).arg(image).args(command).run()
    }

    /// Where the files of `image` lie as they were unpacked, before a container copies them.
    pub fn mount(&self, image: &str) -> PathBuf {
        self.command().args(["image", "mount", image]).ok().out().trim().into()
    }
}

/// containerd with its own folders; ends by its process id.
pub struct Containerd {
    daemon: Child,
    socket: PathBuf,
}

impl Containerd {
    /// Starts it; `None` where it is not installed, or does not come up within a minute.
    pub fn start(scratch: &Scratch) -> Option<Self> {
        let program = peer("containerd")?;
        peer("ctr")?;
        let folder = scratch.folder("containerd");
        let socket = folder.join("sock");
        let config = format!(
            "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n\
             [grpc]\naddress = \"{0}/sock\"\n",
            folder.display()
        );
        fs::write(folder.join("config.toml"), config).expect("the config is written");
        let log = fs::File::create(folder.join("log")).expect("the log is made");
        let daemon = std::process::Command::new(&program.path)
            .arg("--config")
            .arg(folder.join("config.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .ok()?;
        let started = Self { daemon, socket };
        started.answers().then_some(started)
    }

    fn answers(&self) -> bool {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if self.ctr().args(["version"]).run().success() {
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// The client.
    pub fn ctr(&self) -> Command {
        Command::new("ctr").arg("--address").arg(&self.socket)
    }

    /// The files of the only image of an archive, as a namespace of its own holds them unpacked; or what the client says.
    pub fn unpacked(&self, namespace: &str, archive: &Path) -> Result<PathBuf, String> {
        let ctr = |words: &[&str]| self.ctr().args(["--namespace", namespace]).args(words);
        let done = ctr(&["image", "import", "--snapshotter", "native"]).arg(archive).run();
        if !done.success() {
            return Err(done.err());
        }
        let snapshots = ["snapshots", "--snapshotter", "native"];
        let listed = ctr(&[&snapshots[..], &["ls"]].concat()).ok().out();
        let lines: Vec<Vec<&str>> =
            listed.lines().skip(1).map(|it| it.split_whitespace().collect()).collect();
        let is_below = |key: &str| lines.iter().any(|line| line.len() > 2 && line[1] == key);
        let top = lines.iter().map(|line| line[0]).find(|key| !is_below(key)).expect("layers were unpacked");
        let view = ctr(&[&snapshots[..], &["view", "--mounts", "view", top]].concat()).ok().out();
        let mounts: serde_json::Value = serde_json::from_str(&view).expect("JSON");
        Ok(mounts[0]["Source"].as_str().expect("a folder").into())
    }

    /// Runs a command in a container of `image`.
    pub fn run(&self, image: &str, command: &[&str]) -> Finished {
        // runc keeps the containers of all daemons in one folder.
        let container = format!("orlop-test-{}", self.daemon.id());
        let run = self.ctr().args(["run", "--rm", "--snapshotter", "native", image, &container]);
        run.args(command).run()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        drop(self.daemon.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Image, Packing};
    use crate::{is_root, proof, scratch};

    const PROOF: &str = "testkit: podman and containerd run an undamaged fixture";

    /// The engines work here at all: an image that no code of ours has touched runs in both.
    #[test]
    fn both_engines_run_an_undamaged_image() {
        if !is_root() {
            return proof::not_offered(PROOF, "engines with folders of their own need root");
        }
        let scratch = scratch();
        let root = scratch.folder("root");
        if hello(&root).is_none() {
            return proof::skipped(PROOF, "no C compiler that links statically");
        }
        let tar = Command::new("tar").args(["-C"]).arg(&root).args(["-cf", "-", "."]).ok().stdout;
        let image = Image::of(&[tar], Packing::Gzip).index(|mut index| {
            index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] =
                "localhost/demo:1".into();
            index
        });
        let archive = scratch.file("demo.tar", image.layout().archive());
        let Some(podman) = Podman::new(&scratch) else { return proof::skipped(PROOF, "podman is missing") };
        podman.command().args(["load", "--input"]).arg(&archive).ok();
        let done = podman.run("localhost/demo:1", &["/bin/hello", "podman"]);
        assert_eq!((done.code(), done.out().as_str()), (Some(HELLO_CODE), "hello podman\n"), "{done}");
        let Some(containerd) = Containerd::start(&scratch) else {
            return proof::skipped(PROOF, "containerd is missing");
        };
        containerd.ctr().args(["image", "import"]).arg(&archive).ok();
        let done = containerd.run("localhost/demo:1", &["/bin/hello", "containerd"]);
        assert_eq!((done.code(), done.out().as_str()), (Some(HELLO_CODE), "hello containerd\n"), "{done}");
        proof::ran(PROOF, 2);
    }
}
