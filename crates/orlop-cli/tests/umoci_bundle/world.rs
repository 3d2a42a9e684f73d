//! A layout that umoci made, and both tools beside it.

use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use testkit::dump::{Dump, dump};
use testkit::{Command, Finished, Scratch, orlop, scratch};

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Ours,
    Theirs,
}

impl Tool {
    pub(crate) const BOTH: [Self; 2] = [Self::Ours, Self::Theirs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }

    fn command(self) -> Command {
        match self {
            Self::Ours => orlop().args(["compat", "umoci"]),
            Self::Theirs => Command::new(theirs()),
        }
    }
}

/// The variable that names another umoci than the installed one.
pub(crate) const THEIRS: &str = "ORLOP_UMOCI";

/// The umoci that is installed, or another one.
fn theirs() -> OsString {
    std::env::var_os(THEIRS).unwrap_or_else(|| "umoci".into())
}

/// Everything that a layer can hold and both tools keep.
const BASE: &str = "mkdir -p etc usr/lib opt/app var/log 'a b' dev; echo 1 >etc/one; echo 2 >etc/two; echo x >usr/lib/libx;
    ln -s usr/lib lib; echo a >opt/app/a; echo b >opt/app/b; ln etc/one etc/one-too; mkfifo var/pipe; ln -s 'no where' dangling;
    chown 12:34 opt/app/a opt/app; chmod 4755 usr/lib/libx; chmod 1777 var/log; mknod dev/null c 1 3; touch -d 1960-05-05 opt/app/b;
    setfattr -n user.mark -v '\"value\"' etc/two; setfattr -n trusted.mark -v 0x00ff etc/one; setcap cap_net_raw+ep opt/app/b;
    echo weird >\"$(printf 'a b/\\377#[x]*\\n')\"; ln -s x \"$(printf 'lin\\tk')\"; setfacl -m u:5:r etc/two";

/// The tag `base` in the layout `image`.
pub(crate) struct World(Scratch);

impl World {
    pub(crate) fn new() -> Self {
        let world = Self(scratch());
        world.run(Tool::Theirs, &["init", "--layout", "image"]);
        world.run(Tool::Theirs, &["new", "--image", "image:base"]);
        world.run(Tool::Theirs, &["unpack", "--image", "image:base", "first"]);
        world.shell("first/rootfs", BASE);
        world.run(Tool::Theirs, &["repack", "--image", "image:base", "first"]);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a text")
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).expect("there").permissions().mode() & 0o7777
    }

    pub(crate) fn shell(&self, folder: &str, line: &str) {
        Command::new("sh").args(["-ec", line]).current_dir(self.path(folder)).ok();
    }

    pub(crate) fn run(&self, tool: Tool, words: &[&str]) -> Finished {
        tool.command().args(words).current_dir(self.0.root()).ok()
    }

    pub(crate) fn run_as_nobody(&self, tool: Tool, words: &[&str]) -> Finished {
        tool.command().args(words).unprivileged().current_dir(self.0.root()).ok()
    }

    /// The exit code of what must not succeed.
    pub(crate) fn fails(&self, tool: Tool, words: &[&str]) -> i32 {
        let done = tool.command().args(words).current_dir(self.0.root()).run();
        assert!(!done.success(), "{words:?} succeeded");
        done.code().expect("it ended by itself")
    }

    /// The file of a bundle that says what its tree was.
    pub(crate) fn manifest_of_tree(&self, bundle: &str) -> PathBuf {
        let files = fs::read_dir(self.path(bundle)).expect("a bundle");
        let mut files = files.map(|file| file.expect("listed").path());
        files.find(|file| file.extension().is_some_and(|end| end == "mtree")).expect("a manifest")
    }

    /// What we tell of a bundle and its manifest.
    pub(crate) fn validate(&self, bundle: &str, code: i32) -> String {
        let manifest = self.manifest_of_tree(bundle);
        let done =
            Tool::Ours.command().args(["raw", "mtree-validate", "--umoci-keywords", "-f"]).arg(manifest);
        let done = done.arg("-p").arg(self.path(bundle).join("rootfs")).run();
        assert_eq!(done.code(), Some(code), "{done}");
        done.out()
    }

    pub(crate) fn run_at(&self, epoch: u64, words: &[&str]) {
        let command = Tool::Ours.command().args(words).current_dir(self.0.root());
        command.env("SOURCE_DATE_EPOCH", epoch.to_string()).ok();
    }

    /// What an image holds, as a third tool of ours has it.
    pub(crate) fn tree(&self, tag: &str) -> Dump {
        self.tree_of("image", tag)
    }

    /// What an image of a layout holds.
    pub(crate) fn tree_of(&self, layout: &str, tag: &str) -> Dump {
        let target = self.path("looked-at");
        orlop()
            .args(["unpack", "--replace", &format!("oci:{layout}:{tag}")])
            .arg(&target)
            .current_dir(self.0.root())
            .ok();
        dump(&target)
    }

    pub(crate) fn manifest(&self, tag: &str) -> Value {
        self.inspect("image", tag)
    }

    pub(crate) fn config(&self, tag: &str) -> Value {
        self.config_of("image", tag)
    }

    /// The config of an image of a layout.
    pub(crate) fn config_of(&self, layout: &str, tag: &str) -> Value {
        let manifest = self.inspect(layout, tag);
        let digest = manifest["config"]["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
        let blob = self.path(layout).join("blobs/sha256").join(digest.expect("a sha256"));
        serde_json::from_slice(&fs::read(blob).expect("a blob")).expect("JSON")
    }

    pub(crate) fn history(&self, tag: &str) -> Vec<Value> {
        self.config(tag)["history"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) fn layers(&self, tag: &str) -> usize {
        self.manifest(tag)["layers"].as_array().map_or(0, Vec::len)
    }

    fn inspect(&self, layout: &str, tag: &str) -> Value {
        let image = format!("oci:{layout}:{tag}");
        let done = orlop().args(["inspect", "--raw", &image]).current_dir(self.0.root()).ok();
        serde_json::from_str(&done.out()).expect("JSON")
    }
}
