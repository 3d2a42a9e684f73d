//! One case against the binary: its end, the canary, memory, time, and what reaches the terminal.

use super::{Case, Expected, Form, Verb, Who, listing};
use crate::command::{Command, Finished, orlop};
use crate::dump::{Dump, differences, dump};
use crate::scratch::{Scratch, remove, scratch};
use orlop_spec::Kind;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who runs the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the tests.
    Same,
    /// `nobody`, without any capability.
    Nobody,
}

/// Private memory that a run may map: the largest window of zstd that is accepted, and room for work.
const MEMORY: u64 = 448 << 20;

/// A folder for inputs and targets, and beside it the canary.
///
/// ```text
/// canary/   file, passwd, folder/…   never changes
/// more/     new                      what edits put on images
/// input/    the image of the case
/// work/     empty before and, after a refusal, again
/// ```
pub struct Trial {
    pub(super) scratch: Scratch,
    user: User,
    before: Dump,
}

impl Trial {
    /// A new folder with its canary.
    pub fn new(user: User) -> Self {
        let scratch = scratch();
        let canary = scratch.folder("canary");
        scratch.folder("canary/folder");
        fs::write(canary.join("file"), "alive\n").expect("the canary is written");
        fs::write(canary.join("passwd"), "app:x:0:0::/:/bin/sh\n").expect("the canary is written");
        let more = scratch.folder("more");
        fs::write(more.join("new"), "n").expect("the folder is ours");
        let work = scratch.folder("work");
        if user == User::Nobody {
            std::os::unix::fs::chown(&work, Some(65534), Some(65534)).expect("root gives the folder away");
        }
        let before = dump(&canary);
        Self { scratch, user, before }
    }

    /// Where the corpus must point.
    pub fn canary(&self) -> PathBuf {
        self.scratch.path("canary")
    }

    /// Whether this user can meet the case's expectation.
    pub fn concerns(&self, case: &Case) -> bool {
        case.who == Who::Anyone || self.user == User::Same && crate::is_root()
    }

    /// Runs a case and tells everything that is wrong.
    pub fn run(&self, case: &Case) -> Vec<String> {
        let source = self.lay_out(&case.form);
        let target = self.scratch.path("work/target");
        let command = match case.verb {
            Verb::Unpack => orlop().args(["unpack", &source]).arg(&target),
            Verb::Bundle => orlop().args(["bundle", &source]).arg(&target),
            Verb::Inspect => orlop().args(["inspect", &source]),
            Verb::Copy => orlop().args(["copy", &source]).arg(format!("oci:{}:latest", target.display())),
        };
        let done = self.execute(command);
        let mut wrong = always(&done);
        wrong.extend(self.judge(case, &done, &target));
        wrong.extend(self.look(case, &source));
        wrong.extend(self.canary_changes());
        remove(&target);
        wrong.extend(self.litter());
        if !wrong.is_empty() {
            wrong.push(format!("{done}"));
        }
        wrong
    }

    pub(super) fn canary_changes(&self) -> Vec<String> {
        differences(&self.before, &dump(&self.canary()), &[])
            .iter()
            .map(|it| format!("canary: {it:?}"))
            .collect()
    }

    pub(super) fn lay_out(&self, form: &Form) -> String {
        let input = self.scratch.path("input");
        remove(&input);
        drop(fs::remove_file(&input));
        match form {
            Form::Layout(layout) => {
                layout.write(&input);
                format!("oci:{}:latest", input.display())
            }
            Form::OciArchive(bytes) => {
                fs::write(&input, bytes).expect("the archive is written");
                format!("oci-archive:{}", input.display())
            }
            Form::DockerArchive(bytes) => {
                fs::write(&input, bytes).expect("the archive is written");
                format!("docker-archive:{}", input.display())
            }
        }
    }

    pub(super) fn execute(&self, command: Command) -> Finished {
        let command = command.under(["prlimit", &format!("--data={MEMORY}"), "--core=0"]);
        let command = command.time(Duration::from_secs(60)).current_dir(self.scratch.path("work"));
        if self.user == User::Nobody { command.unprivileged().run() } else { command.run() }
    }

    fn judge(&self, case: &Case, done: &Finished, target: &Path) -> Vec<String> {
        let exists = fs::symlink_metadata(target).is_ok();
        let mut wrong = Vec::new();
        if !done.success() && exists && case.verb != Verb::Inspect {
            wrong.push("the target is there after an error".into());
        }
        wrong.extend(match &case.expected {
            Expected::Safe if done.code() == Some(64) => Some("the command was not understood".into()),
            Expected::Safe => None,
            Expected::Refused(kinds) => refusal(done, kinds),
            Expected::TreeOr(_, kinds) if !done.success() => refusal(done, kinds),
            Expected::Tree(_) | Expected::TreeOr(..) if !done.success() => {
                Some("a good image was refused".into())
            }
            Expected::Tree(lines) | Expected::TreeOr(lines, _) => self.result(case, lines, target),
        });
        wrong
    }

    fn result(&self, case: &Case, lines: &[String], target: &Path) -> Option<String> {
        match case.verb {
            Verb::Unpack => {
                let mut found = listing(target);
                let mut lines = lines.to_vec();
                found.sort_unstable();
                lines.sort_unstable();
                (found != lines).then(|| format!("expected {lines:?}, found {found:?}"))
            }
            Verb::Copy => self.changed_blob(target),
            Verb::Bundle | Verb::Inspect => None,
        }
    }

    /// A blob of the copy that is not, byte for byte, that of the source.
    fn changed_blob(&self, target: &Path) -> Option<String> {
        let blobs = fs::read_dir(target.join("blobs/sha256")).into_iter().flatten().flatten();
        let changed = blobs.map(|entry| entry.file_name()).find(|name| {
            let read = |root: &Path| fs::read(root.join("blobs/sha256").join(name)).ok();
            read(target) != read(&self.scratch.path("input"))
        });
        changed.map(|name| format!("the blob {} was changed", name.display()))
    }

    /// The looking verbs see the same input: they never fall over, and `validate` finds what `unpack` refused for
    /// its bytes.
    fn look(&self, case: &Case, source: &str) -> Vec<String> {
        if case.verb != Verb::Unpack || case.name.ends_with("/plain") || case.name.ends_with("/zstd") {
            return Vec::new();
        }
        let mut wrong = Vec::new();
        let verbs: &[_] = if case.item.starts_with(['P', 'T', 'D']) {
            &["validate"]
        } else {
            &["validate", "inspect", "ls"]
        };
        for verb in verbs {
            let place = if *verb == "ls" { source.trim_end_matches(":latest") } else { source };
            let done = self.execute(orlop().args([*verb, place]));
            let mut found = always(&done);
            let misuse = matches!(&case.expected, Expected::Refused(kinds) if kinds.contains(&Kind::Usage));
            if done.code() == Some(64) && !misuse {
                found.push("the command was not understood".into());
            }
            let bytes = Expected::Refused(vec![Kind::Integrity]);
            if *verb == "validate" && done.success() && case.expected == bytes && !case.item.starts_with('P')
            {
                found.push("validate found nothing".into());
            }
            if !found.is_empty() {
                found.push(format!("{done}"));
            }
            wrong.extend(found);
        }
        wrong
    }

    pub(super) fn litter(&self) -> Vec<String> {
        let work = self.scratch.path("work");
        let left: Vec<_> =
            fs::read_dir(&work).into_iter().flatten().flatten().map(|e| e.file_name()).collect();
        for name in &left {
            remove(&work.join(name));
            drop(fs::remove_file(work.join(name)));
        }
        if left.is_empty() { Vec::new() } else { vec![format!("left behind: {left:?}")] }
    }
}

fn refusal(done: &Finished, kinds: &[Kind]) -> Option<String> {
    let codes: Vec<_> = kinds.iter().map(|kind| i32::from(kind.exit_code())).collect();
    let good = done.code().is_some_and(|code| codes.contains(&code));
    (!good).then(|| format!("expected one of the exit codes {codes:?}, found {:?}", done.code()))
}

/// What holds for every run of every command.
pub(super) fn always(done: &Finished) -> Vec<String> {
    let mut wrong = Vec::new();
    let documented =
        |code: i32| code == 0 || Kind::ALL.iter().any(|kind| i32::from(kind.exit_code()) == code);
    match done.code() {
        Some(code) if documented(code) => {}
        code => wrong.push(format!("ended with {code:?}, signal {:?}", done.signal())),
    }
    if done.timed_out {
        wrong.push("took more than a minute".into());
    }
    for (name, bytes) in [("stdout", &done.stdout), ("stderr", &done.stderr)] {
        if let Some(bad) = unprintable(bytes) {
            wrong.push(format!("{name} holds {bad}"));
        }
    }
    wrong
}

/// The first thing that a terminal would obey.
fn unprintable(bytes: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Some("bytes that are not UTF-8".into()) };
    let bad = |c: &char| {
        c.is_control() && *c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().find(bad).map(|c| c.escape_unicode().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(script: &str) -> Finished {
        Command::new("sh").args(["-c", script]).run()
    }

    #[test]
    fn a_panic_a_signal_and_an_escape_are_wrong() {
        assert!(always(&says("exit 5")).is_empty());
        for script in ["exit 101", "kill -9 $$", r"printf '\033[2J'", r"printf '\377' >&2"] {
            assert!(!always(&says(script)).is_empty(), "{script}");
        }
    }

    #[test]
    fn another_exit_code_is_no_refusal() {
        assert!(refusal(&says("exit 5"), &[Kind::Integrity]).is_none());
        assert!(refusal(&says("exit 0"), &[Kind::Integrity]).is_some());
        assert!(refusal(&says("exit 9"), &[Kind::Integrity]).is_some());
    }

    #[test]
    fn a_touched_canary_and_litter_are_seen() {
        let trial = Trial::new(User::Same);
        assert!(trial.litter().is_empty());
        trial.scratch.file("work/left", "x");
        assert_eq!(trial.litter().len(), 1);
        fs::write(trial.canary().join("file"), "dead\n").expect("ours");
        assert!(!differences(&trial.before, &dump(&trial.canary()), &[]).is_empty());
    }
}
