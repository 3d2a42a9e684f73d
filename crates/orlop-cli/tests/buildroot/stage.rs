//! The stage: the folders that Buildroot hands to oci.mk, and what comes out of it.
//!
//! ```text
//! scratch/
//!   host/bin/sloci-image    the binary under test, by the name that decides
//!   tree/fs/oci/oci.mk      what is under test, driven by mini.mk
//!   target/                 the root file system
//!   images/                 what is made
//! ```

use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use testkit::command::orlop_path;
use testkit::{Command, Scratch, is_root, peer, proof, scratch};

pub(crate) struct Stage {
    scratch: Scratch,
}

/// Whether the tools of a proof are there; says so in the table where one is not.
pub(crate) fn offered(name: &str, tools: &[&str]) -> bool {
    let missing = tools.iter().find(|tool| peer(tool).is_none());
    if let Some(tool) = missing {
        proof::skipped(name, &format!("{tool} is missing"));
    }
    missing.is_none()
}

/// Our changes to Buildroot, laid out as in its tree.
pub(crate) fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/buildroot")
}

/// Our changes, and the tree that `BUILDROOT_TREE` names.
pub(crate) fn trees() -> Vec<PathBuf> {
    std::iter::once(ours()).chain(std::env::var_os("BUILDROOT_TREE").map(PathBuf::from)).collect()
}

impl Stage {
    pub(crate) fn new(tree: &Path) -> Self {
        let stage = Self { scratch: scratch() };
        let binary = stage.scratch.folder("host/bin").join("sloci-image");
        fs::copy(orlop_path(), &binary).expect("the binary is built");
        for folder in ["target/bin", "target/etc", "target/dev", "images", "tree/fs/oci"] {
            stage.scratch.folder(folder);
        }
        for (file, mode) in [("bin/su", 0o755), ("bin/ping", 0o755), ("etc/secret", 0o640)] {
            let path = stage.scratch.file(&format!("target/{file}"), file);
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own file");
        }
        let mini = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/buildroot/mini.mk");
        // Copies: the user of a test need not be able to read where the repository lies.
        fs::copy(mini, stage.scratch.path("mini.mk")).expect("a fixture of this folder");
        fs::copy(tree.join("fs/oci/oci.mk"), stage.scratch.path("tree/fs/oci/oci.mk"))
            .expect("fs/oci/oci.mk");
        stage
    }

    /// `make image` with `options`.
    pub(crate) fn make(&self, options: &[(&str, &str)]) -> Command {
        self.with_options(Command::new("make"), options)
    }

    /// The words of make, for a command that ends in it.
    fn with_options(&self, command: Command, options: &[(&str, &str)]) -> Command {
        let folder = |name: &str, path: &Path| format!("{name}={}", path.display());
        let command = command
            .args(["--silent", "-f", "mini.mk", "image"])
            .arg(folder("TREE", &self.scratch.path("tree")))
            .arg(folder("HOST_DIR", &self.scratch.path("host")))
            .arg(folder("TARGET_DIR", &self.scratch.path("target")))
            .arg(folder("BINARIES_DIR", &self.scratch.path("images")))
            .env("SOURCE_DATE_EPOCH", "1000000000")
            .current_dir(self.scratch.root());
        options.iter().fold(command, |command, (name, value)| command.arg(format!("{name}={value}")))
    }

    /// What Buildroot's fakeroot script does, as an ordinary user: owners, a device, a mode, a capability, times, then
    /// the image.
    pub(crate) fn make_under_fakeroot(&self, options: &[(&str, &str)]) {
        const SCRIPT: &str = "chown -h -R 0:0 target && mknod -m 666 target/dev/null c 1 3 &&
            chmod 4755 target/bin/su && chown 1234:55 target/etc/secret &&
            setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 target/bin/ping &&
            find target -print0 | xargs -0 touch -hd @1000000000 && exec make \"$@\"";
        self.give_to_nobody();
        let command = Command::new("fakeroot").args(["--", "sh", "-euc", SCRIPT, "make"]);
        let command = self.with_options(command, options);
        if is_root() {
            command.unprivileged().ok()
        } else {
            command.ok()
        };
    }

    fn give_to_nobody(&self) {
        if is_root() {
            let found = Command::new("find").arg(self.scratch.root()).arg("-print0").ok();
            for path in found.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
                chown(Path::new(std::str::from_utf8(path).expect("our own names")), Some(65534), Some(65534))
                    .expect("root may give files away");
            }
        }
    }

    /// Makes the image and gives its config.
    pub(crate) fn image(&self, options: &[(&str, &str)]) -> Value {
        self.make(options).ok();
        read_layout(&self.made("rootfs-oci")).1
    }

    pub(crate) fn made(&self, name: &str) -> PathBuf {
        self.scratch.path("images").join(name)
    }

    pub(crate) fn index(&self) -> Value {
        read_json(&self.made("rootfs-oci/index.json"))
    }

    /// From here on `sloci-image` writes down its arguments.
    pub(crate) fn record_arguments(&self) {
        let script = "#!/bin/sh\nprintf '%s\\0' \"$@\" >\"${0%/*}/arguments\"\n";
        let stub = self.scratch.file("host/bin/sloci-image", script);
        fs::set_permissions(stub, Permissions::from_mode(0o755)).expect("our own file");
    }

    pub(crate) fn recorded(&self) -> Vec<String> {
        let words = fs::read_to_string(self.scratch.path("host/bin/arguments")).expect("the stub ran");
        words.split_terminator('\0').map(Into::into).collect()
    }

    /// The layer as GNU tar lists it: `MODE OWNER/GROUP [DEVICE] NAME`, and below a name `x: SIZE ATTRIBUTE`.
    pub(crate) fn listing(&self) -> Vec<String> {
        let layout = self.made("rootfs-oci");
        let manifest = read_layout(&layout).0;
        let layer = blob_of(&layout, &manifest["layers"][0]);
        let words = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "-tvvzf"];
        let listed = Command::new("tar").args(words).arg(layer).ok();
        listed.out().lines().map(short).collect()
    }
}

/// A line of `tar -tvv` without size and time.
fn short(line: &str) -> String {
    if let Some(attribute) = line.strip_prefix("  x: ") {
        return format!("x: {attribute}");
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let device = if words[2].contains(',') { format!("{} ", words[2]) } else { String::new() };
    format!("{} {} {device}{}", words[0], words[1], words[5..].join(" "))
}

/// The manifest and the config of a layout's only image.
pub(crate) fn read_layout(layout: &Path) -> (Value, Value) {
    let index = read_json(&layout.join("index.json"));
    let manifest = read_json(&blob_of(layout, &index["manifests"][0]));
    let config = read_json(&blob_of(layout, &manifest["config"]));
    (manifest, config)
}

fn blob_of(layout: &Path, descriptor: &Value) -> PathBuf {
    layout.join("blobs").join(descriptor["digest"].as_str().expect("a digest").replace(':', "/"))
}

fn read_json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}
