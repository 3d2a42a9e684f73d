//! The commands under test, the folder that each begins with, and what must hold after a crash.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use testkit::dump::{Dump, dump};
use testkit::scratch::{remove, scratch_in_memory};
use testkit::{Command, Finished, Scratch, orlop};

/// A command under test.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) args: &'static [&'static str],
    target: Target,
}

/// What a command changes.
#[derive(Clone, Copy)]
enum Target {
    /// An image of the layout `layout`.
    Image(&'static str),
    /// An image of the store `st`.
    Stored(&'static str),
    /// An image of an archive, which stays as it is but for that.
    File(&'static str),
    /// A folder.
    Folder(&'static str),
    /// Nothing that has a name.
    Nothing,
}

/// What [`Stage`] lays out for them: folders to build from, the layouts `layout` and `other`, and one of each kind
/// of target that can be replaced.
pub(crate) const SUBJECTS: [Subject; 18] = [
    Subject { name: "build", args: &["build", "tree", "oci:layout:new"], target: Target::Image("new") },
    Subject { name: "copy", args: &["copy", "oci:other:o", "oci:layout:new"], target: Target::Image("new") },
    Subject {
        name: "append",
        args: &["append", "oci:layout:old", "tree", "--to", "oci:layout:new"],
        target: Target::Image("new"),
    },
    Subject {
        name: "append in an OCI archive",
        args: &["append", "oci-archive:oci.tar:old", "tree", "--to", "oci-archive:oci.tar:new"],
        target: Target::File("oci.tar"),
    },
    Subject { name: "tag", args: &["tag", "oci:layout:old", "new"], target: Target::Image("new") },
    Subject { name: "untag", args: &["untag", "oci:layout:gone"], target: Target::Image("gone") },
    Subject { name: "gc", args: &["gc", "--grace", "0s", "oci:layout"], target: Target::Nothing },
    Subject { name: "unpack", args: &["unpack", "oci:layout:old", "out"], target: Target::Folder("out") },
    Subject { name: "bundle", args: &["bundle", "oci:layout:old", "out"], target: Target::Folder("out") },
    Subject {
        name: "bundle over a folder",
        args: &["bundle", "--replace", "oci:layout:old", "held"],
        target: Target::Folder("held"),
    },
    Subject {
        name: "build an archive",
        args: &["build", "tree", "oci-archive:out.tar:new"],
        target: Target::File("out.tar"),
    },
    Subject {
        name: "copy over an OCI archive",
        args: &["copy", "oci:other:o", "oci-archive:oci.tar:new"],
        target: Target::File("oci.tar"),
    },
    Subject {
        name: "tag in an OCI archive",
        args: &["tag", "oci-archive:oci.tar:old", "new"],
        target: Target::File("oci.tar"),
    },
    Subject {
        name: "copy over a Docker archive",
        args: &["copy", "oci:other:o", "docker-archive:docker.tar:new:1"],
        target: Target::File("docker.tar"),
    },
    Subject {
        name: "copy over a root tar",
        args: &["copy", "oci:other:o", "tar:root.tar"],
        target: Target::File("root.tar"),
    },
    Subject {
        name: "copy into the store",
        args: &["copy", "--root", "st", "oci:other:o", "store:new"],
        target: Target::Stored("new"),
    },
    Subject {
        name: "tag in the store",
        args: &["tag", "--root", "st", "store:old", "new"],
        target: Target::Stored("new"),
    },
    Subject {
        name: "gc of the store",
        args: &["gc", "--root", "st", "--grace", "0s", "store:"],
        target: Target::Nothing,
    },
];

/// How a target is.
#[derive(PartialEq, Eq)]
enum State {
    Absent,
    Image(String),
    File(Vec<u8>),
    Folder(Dump),
}

impl Subject {
    pub(crate) fn command(&self, work: &Path) -> Command {
        orlop().args(self.args).current_dir(work)
    }

    fn state(&self, work: &Path) -> State {
        match self.target {
            Target::Image(tag) => {
                let digest = ask(work, &["digest", &format!("oci:layout:{tag}")]);
                if digest.success() { State::Image(digest.out()) } else { State::Absent }
            }
            Target::Stored(name) => {
                let digest = ask(work, &["digest", "--root", "st", &format!("store:{name}")]);
                if digest.success() { State::Image(digest.out()) } else { State::Absent }
            }
            Target::File(name) => fs::read(work.join(name)).map_or(State::Absent, State::File),
            Target::Folder(name) if work.join(name).exists() => State::Folder(timeless(&work.join(name))),
            Target::Folder(_) | Target::Nothing => State::Absent,
        }
    }
}

/// A folder, but for the times of what a bundle adds to the image, which are those of its making.
fn timeless(folder: &Path) -> Dump {
    let mut tree = dump(folder);
    if tree.contains_key(&b"config.json"[..]) {
        for added in [&b"."[..], b"config.json"] {
            tree.get_mut(added).expect("it is there").mtime = (0, 0);
        }
    }
    tree
}

fn ask(work: &Path, args: &[&str]) -> Finished {
    orlop().args(args).current_dir(work).run()
}

/// The start of every run.
pub(crate) struct Stage {
    scratch: Scratch,
}

/// What the start is made by, after `tree` and `small` are there.
const START: [&[&str]; 15] = [
    &["build", "--cmd", "sh", "small", "oci:layout:old"],
    &["build", "tree", "oci:other:o"],
    // What no name reaches any more, for `gc`.
    &["build", "tree/d", "oci:layout:gone"],
    &["untag", "oci:layout:gone"],
    &["tag", "oci:layout:old", "gone"],
    &["copy", "oci:layout:old", "oci-archive:oci.tar:old"],
    &["copy", "oci:layout:old", "docker-archive:docker.tar:old:1"],
    &["copy", "oci:layout:old", "tar:root.tar"],
    &["unpack", "oci:other:o", "held"],
    &["copy", "--root", "st", "oci:layout:old", "store:old"],
    &["copy", "--root", "st", "oci:other:o", "store:gone"],
    &["untag", "--root", "st", "store:gone"],
    &["append", "oci:layout:old", "tree", "--to", "oci:layout:two"],
    &["unpack", "--track", "oci:layout:old", "tracked"],
    // Of flatpak, for its index.
    &[
        "build",
        "--label",
        "org.flatpak.ref=app/org.test.Hello/x86_64/master",
        "--label",
        "org.flatpak.metadata=[Application]",
        "small",
        "oci:app:x",
    ],
];

impl Stage {
    /// In memory, where a sync costs nothing.
    pub(crate) fn new() -> Self {
        Self::of(lay_out)
    }

    /// What is made in a folder.
    pub(crate) fn of(lay_out: impl FnOnce(&Path)) -> Self {
        let scratch = scratch_in_memory();
        lay_out(&scratch.folder("start"));
        Self { scratch }
    }

    /// Where operations are noted.
    pub(crate) fn notes(&self) -> PathBuf {
        self.scratch.path("notes")
    }

    /// A fresh copy of the start.
    pub(crate) fn fresh(&self) -> PathBuf {
        let work = self.scratch.path("work");
        remove(&work);
        Command::new("cp").args(["-a", "--reflink=auto"]).arg(self.scratch.path("start")).arg(&work).ok();
        work
    }
}

fn lay_out(start: &Path) {
    for (folder, count) in [("tree", 12), ("small", 5)] {
        fs::create_dir_all(start.join(folder).join("d/e")).expect("new");
        for number in 0..count {
            let file = start.join(folder).join(format!("d/e/f{number}"));
            fs::write(file, vec![b'x'; 3000 * number]).expect("new");
        }
        fs::hard_link(start.join(folder).join("d/e/f1"), start.join(folder).join("link")).expect("new");
    }
    for args in START {
        orlop().args(args).current_dir(start).ok();
    }
    fs::write(start.join("tracked/new"), "new").expect("ours");
}

/// A command, and what it does when nothing disturbs it.
pub(crate) struct Trial<'a> {
    stage: &'a Stage,
    pub(crate) subject: &'a Subject,
    old: String,
    before: State,
    after: State,
    clean: BTreeSet<Vec<u8>>,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(stage: &'a Stage, subject: &'a Subject) -> Self {
        let work = stage.fresh();
        let old = ask(&work, &["digest", "oci:layout:old"]).out();
        let before = subject.state(&work);
        subject.command(&work).ok();
        let after = subject.state(&work);
        let is_change = matches!(subject.target, Target::Nothing) || before != after;
        assert!(is_change, "{}: nothing happens", subject.name);
        Self { stage, subject, old, before, after, clean: swept(&work) }
    }

    /// Runs the command disturbed, says how that ended, and proves what must hold after it and after a second run.
    pub(crate) fn disturb(&self, what: &str, disturbed: impl FnOnce(Command) -> Command) -> Finished {
        let work = self.stage.fresh();
        let broken = disturbed(self.subject.command(&work)).run();
        self.check_intact(&work, what);
        let state = self.subject.state(&work);
        assert!(state == self.before || state == self.after, "{what}: the target is neither old nor new");
        let again = self.subject.command(&work).run();
        // A command that had come to its end is refused by what it made itself, rightly.
        assert!(again.success() || state == self.after, "{what}: a second run fails: {again}");
        assert!(self.subject.state(&work) == self.after, "{what}: a second run makes something else");
        self.check_intact(&work, what);
        let left: Vec<_> = swept(&work)
            .symmetric_difference(&self.clean)
            .map(|path| path.escape_ascii().to_string())
            .collect();
        assert!(left.is_empty(), "{what}: left behind or missing: {left:?}");
        broken
    }

    /// What must hold at any moment, whatever happened.
    fn check_intact(&self, work: &Path, what: &str) {
        let valid = ask(work, &["validate", "oci:layout"]);
        assert!(valid.success(), "{what}: the layout is not valid: {valid}");
        assert_eq!(
            ask(work, &["digest", "oci:layout:old"]).out(),
            self.old,
            "{what}: the old image is another"
        );
        let stored = ask(work, &["validate", "--root", "st", "store:old"]);
        assert!(stored.success(), "{what}: the stored image is not valid: {stored}");
    }
}

/// All paths below the folder, but what sweeps of the layout and of the store remove.
fn swept(work: &Path) -> BTreeSet<Vec<u8>> {
    ask(work, &["gc", "--root", "st", "--grace", "0s", "store:"]);
    ask(work, &["gc", "--grace", "0s", "oci:layout"]);
    dump(work).into_keys().collect()
}
