//! A user of BuildStream with a project and caches of its own, who has our plugins installed.
//!
//! ```text
//! project/  project.conf, elements/        home/  .netrc        cache/  config/  where bst looks
//! site/     the plugins as `pip` would leave them               bin/    the program under test
//! ```
//!
//! `bst` itself comes from the environment that `./test peers` makes: `tools/python` beside the built programs.

use crate::command::{Command, Finished, orlop_path};
use crate::peer::find;
use crate::scratch::{Scratch, scratch};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// The package of the plugins, in the repository.
pub const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/buildstream");

/// Options, aliases and plugins of every project here.
const PROJECT: &str = "
name: test
min-version: 2.4
element-path: elements
options:
  arch: {type: arch, description: The machine, values: [x86_64, aarch64], variable: arch}
plugins:
- {origin: pip, package-name: buildstream-plugins, sources: [docker]}
- {origin: pip, package-name: buildstream-plugins-orlop, sources: [oci], elements: [oci_image]}
";

/// BuildStream would leave a twentieth of the disk free, and waits without end on one that is fuller.
const CACHE: &str = "cache:\n  reserved-disk-space: 0\n";

/// A program of the environment of Python; `None` where `./test peers` did not make it.
pub fn python_peer(name: &str) -> Option<PathBuf> {
    let program = orlop_path().parent()?.parent()?.join("tools/python/bin").join(name);
    program.exists().then_some(program)
}

/// A user with a project.
pub struct Project {
    it: Scratch,
    bst: PathBuf,
    variables: Vec<(String, String)>,
}

impl Project {
    /// A project whose `project.conf` has these further lines; `None` where BuildStream, or what its sandbox needs,
    /// is not installed.
    pub fn new(more: &str) -> Option<Self> {
        let (bst, _) = (python_peer("bst")?, find("bwrap")?);
        let it = scratch();
        for folder in ["project/elements", "home", "cache", "config", "site", "bin"] {
            it.folder(folder);
        }
        it.file("project/project.conf", format!("{PROJECT}{more}"));
        let package = Path::new(PACKAGE);
        symlink(package.join("src/orlop_buildstream"), it.path("site/orlop_buildstream")).expect("a link");
        symlink(orlop_path(), it.path("bin/orlop")).expect("a link");
        let project = fs::read_to_string(package.join("pyproject.toml")).expect("the package is there");
        it.folder("site/buildstream_plugins_orlop-0.dist-info");
        it.file("site/buildstream_plugins_orlop-0.dist-info/entry_points.txt", entry_points(&project));
        it.file(
            "site/buildstream_plugins_orlop-0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: buildstream-plugins-orlop\nVersion: 0\n",
        );
        let project = Self { it, bst, variables: Vec::new() };
        project.configure("");
        Some(project)
    }

    /// Where everything of this user is.
    pub fn folder(&self) -> &Scratch {
        &self.it
    }

    /// A file of the project.
    pub fn at(&self, path: &str) -> PathBuf {
        self.it.path("project").join(path)
    }

    /// What the user says of all projects.
    pub fn configure(&self, lines: &str) {
        self.it.file("config/buildstream.conf", format!("{CACHE}{lines}"));
    }

    /// Writes an element, or another file of the project.
    pub fn write(&self, path: &str, content: &str) {
        fs::create_dir_all(self.at(path).parent().expect("a folder")).expect("folders of the project");
        self.it.file(&format!("project/{path}"), content);
    }

    /// What a file of the project says now.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).expect("a file of the project")
    }

    /// Sets a variable for all that follows.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Keeps a secret of a host where BuildStream looks for it.
    pub fn knows(&self, host: &str, (user, password): (&str, &str)) {
        let netrc =
            self.it.file("home/.netrc", format!("machine {host} login {user} password \"{password}\"\n"));
        fs::set_permissions(netrc, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    }

    /// Runs bst.
    pub fn bst(&self, words: &[&str]) -> Finished {
        let words = ["--no-interactive", "--no-colors"].into_iter().chain(words.iter().copied());
        self.run(Command::new(&self.bst).args(words))
    }

    /// Types a line in the project's folder.
    pub fn shell(&self, line: &str) -> Finished {
        self.run(Command::new("sh").args(["-c", line]))
    }

    fn run(&self, command: Command) -> Finished {
        let beside = self.bst.parent().expect("a folder");
        let path = std::env::var("PATH").expect("a path");
        let command = command
            .current_dir(self.it.path("project"))
            .env("HOME", self.it.path("home"))
            .env("XDG_CACHE_HOME", self.it.path("cache"))
            .env("XDG_CONFIG_HOME", self.it.path("config"))
            .env("XDG_STATE_HOME", self.it.path("state"))
            .env("PYTHONPATH", self.it.path("site"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PATH", format!("{}:{}:{path}", self.it.path("bin").display(), beside.display()));
        self.variables.iter().fold(command, |command, (name, value)| command.env(name, value)).run()
    }

    /// Runs bst, and it must do well.
    pub fn ok(&self, words: &[&str]) -> Finished {
        let done = self.bst(words);
        assert!(done.success(), "bst {words:?}: {done}");
        done
    }

    /// What `bst show` prints of one element.
    pub fn show(&self, format: &str, words: &[&str]) -> String {
        let show = ["show", "--deps", "none", "--format", format];
        let (element, options) = words.split_last().expect("an element");
        self.ok(&[options, &show, &[element]].concat()).out().trim().to_owned()
    }

    /// The sources of an element in a new folder `name`.
    pub fn sources(&self, element: &str, name: &str, options: &[&str]) -> PathBuf {
        let folder = self.it.path(name);
        let shown = folder.display().to_string();
        self.ok(&[options, &["source", "checkout", element, "--directory", &shown]].concat());
        folder.join(element.trim_end_matches(".bst"))
    }

    /// The artifact of an element in a new folder `name`.
    pub fn artifact(&self, element: &str, name: &str) -> PathBuf {
        let folder = self.it.path(name);
        let shown = folder.display().to_string();
        self.ok(&["artifact", "checkout", "--deps", "none", element, "--directory", &shown]);
        folder
    }

    /// Forgets everything but what the sources themselves fetched.
    pub fn forget_staged(&self) {
        for folder in fs::read_dir(self.it.path("cache/buildstream")).expect("the cache") {
            let folder = folder.expect("an entry").path();
            if !folder.ends_with("sources") {
                crate::scratch::remove(&folder);
            }
        }
    }
}

/// The entry points of a `pyproject.toml`, as an installed package has them.
fn entry_points(project: &str) -> String {
    let mut text = String::new();
    let mut is_inside = false;
    for line in project.lines() {
        if let Some(table) = line.strip_prefix('[') {
            let group =
                table.strip_prefix("project.entry-points.\"").and_then(|rest| rest.strip_suffix("\"]"));
            is_inside = group.is_some();
            text.extend(group.map(|group| format!("[{group}]\n")));
        } else if is_inside {
            text.push_str(&line.replace('"', ""));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_points_are_those_of_the_package() {
        let project =
            "[project]\nname = \"x\"\n[project.entry-points.\"a.b\"]\none = \"m.n\"\n\n[tool.x]\ny = 1\n";
        assert_eq!(entry_points(project), "[a.b]\none = m.n\n\n");
    }
}
