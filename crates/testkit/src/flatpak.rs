//! A user of flatpak with folders of its own, and the smallest app that runs in its sandbox.
//!
//! ```text
//! home  user  system  config  runtime      where flatpak looks
//! NAME-tree  NAME-repo                     what images are made of
//! ```
//!
//! Every command has a bus of its own. What flatpak says goes to a file, because what it starts keeps its output open for minutes;
//! that is ended, process by process, when the user is dropped.

use crate::command::Command;
use crate::peer::{Peer, find, peer};
use crate::scratch::{Scratch, scratch};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The runtime of the fixtures.
pub const RUNTIME: &str = "org.test.Platform";
/// The app of the fixtures.
pub const APP: &str = "org.test.Hello";

/// The `metadata` of the runtime.
pub const RUNTIME_METADATA: &str = "[Runtime]
name=org.test.Platform
runtime=org.test.Platform/x86_64/master
sdk=org.test.Platform/x86_64/master
";

/// The `metadata` of the app.
pub const APP_METADATA: &str = "[Application]
name=org.test.Hello
runtime=org.test.Platform/x86_64/master
sdk=org.test.Platform/x86_64/master
command=hello.sh
";

/// A user of flatpak.
pub struct Client {
    it: Scratch,
}

impl Client {
    /// A user who has installed nothing; `None` where flatpak or a bus is not installed.
    pub fn new() -> Option<Self> {
        let (Some(_), Some(_)) = (flatpak(), find("dbus-run-session")) else { return None };
        let it = scratch();
        for folder in ["home", "user", "system", "config", "runtime"] {
            it.folder(folder);
        }
        fs::set_permissions(it.path("runtime"), Permissions::from_mode(0o700)).expect("the folder is ours");
        Some(Self { it })
    }

    /// Where everything of this user is.
    pub fn folder(&self) -> &Scratch {
        &self.it
    }

    /// Runs flatpak; whether it did well, and what it said.
    pub fn flatpak(&self, words: &[&str]) -> (bool, String) {
        let said = self.it.path("said");
        let out = fs::File::create(&said).expect("a file");
        let folder = |name: &str| self.it.path(name);
        let status = std::process::Command::new("dbus-run-session")
            .args(["--", "flatpak"])
            .args(words)
            // Its authenticator leaves a file of its own where it is started.
            .current_dir(self.it.root())
            .env("HOME", folder("home"))
            .env("FLATPAK_USER_DIR", folder("user"))
            .env("FLATPAK_SYSTEM_DIR", folder("system"))
            .env("FLATPAK_CONFIG_DIR", folder("config"))
            .env("XDG_RUNTIME_DIR", folder("runtime"))
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .status()
            .expect("dbus-run-session starts");
        (status.success(), fs::read_to_string(said).unwrap_or_default())
    }

    /// Runs flatpak, and it must do well.
    pub fn ok(&self, words: &[&str]) -> String {
        let (is_well, said) = self.flatpak(words);
        assert!(is_well, "flatpak {words:?}: {said}");
        said
    }

    /// Adds a remote by the address of its host.
    pub fn add_remote(&self, name: &str, address: &str) {
        self.ok(&["remote-add", "--user", "--no-gpg-verify", name, &format!("oci+{address}")]);
    }

    /// Installs something; `more` are further words.
    pub fn install(&self, remote: &str, id: &str, more: &[&str]) -> (bool, String) {
        let words = ["install", "--user", "-y", "--noninteractive"];
        self.flatpak(&[&words[..], more, &[remote, id]].concat())
    }

    /// A file of an installed app.
    pub fn installed(&self, file: &str) -> PathBuf {
        self.it.path("user/app").join(APP).join("current/active").join(file)
    }

    /// Makes an image of the runtime with flatpak itself, in the layout `layout`: a shell and what it needs.
    pub fn bundle_runtime(&self, layout: &str) {
        let tree = self.it.folder("runtime-tree");
        self.it.file("runtime-tree/metadata", RUNTIME_METADATA);
        self.it.folder("runtime-tree/files");
        programs(&tree.join("usr"), &["bash", "cat", "ls"]);
        symlink("bash", tree.join("usr/bin/sh")).expect("a link is made");
        self.bundle(&tree, layout, RUNTIME, &["--runtime"]);
    }

    /// Makes an image of the app with flatpak itself: one that says `says`.
    pub fn bundle_app(&self, layout: &str, says: &str) {
        let tree = self.it.folder("app-tree");
        self.it.file("app-tree/metadata", APP_METADATA);
        for folder in ["app-tree/files/bin", "app-tree/export"] {
            self.it.folder(folder);
        }
        let program = self.it.file("app-tree/files/bin/hello.sh", format!("#!/bin/sh\necho \"{says}\"\n"));
        fs::set_permissions(program, Permissions::from_mode(0o755)).expect("the file is ours");
        self.bundle(&tree, layout, APP, &[]);
    }

    fn bundle(&self, tree: &Path, layout: &str, id: &str, kind: &[&str]) {
        let shown = |path: &Path| path.display().to_string();
        let (repo, tree) = (shown(&self.it.path("repo")), shown(tree));
        let target = shown(&self.it.path(layout));
        let export = ["build-export", "--no-update-summary", "--disable-sandbox", "--subject=S", "--body=B"];
        self.ok(&[&export[..], kind, &[&repo, &tree, "master"]].concat());
        self.ok(&[&["build-bundle", "--oci"][..], kind, &[&repo, &target, id, "master"]].concat());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mark = format!("XDG_RUNTIME_DIR={}", self.it.path("runtime").display());
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|it| it == mark.as_bytes()) {
                let _gone = Command::new("kill").arg(pid.to_string()).run();
            }
        }
    }
}

/// The tool, which judges.
pub fn flatpak() -> Option<Peer> {
    peer("flatpak")
}

/// Copies programs with the libraries that they load.
fn programs(usr: &Path, names: &[&str]) {
    let mut libraries = BTreeSet::new();
    for name in names {
        let program = find(name).expect("every system has it");
        copy(&program, &usr.join("bin").join(name));
        let loads = Command::new("ldd").arg(&program).ok().out();
        libraries.extend(loads.split_whitespace().filter(|it| it.starts_with('/')).map(PathBuf::from));
    }
    for library in libraries {
        let inside = library.strip_prefix("/usr").or_else(|_| library.strip_prefix("/")).expect("absolute");
        copy(&library, &usr.join(inside));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a file has a folder")).expect("a folder is made");
    fs::copy(from, to).expect("a program is copied");
}
