//! Runtimes of the Open Container Initiative, by the arguments that runc, crun and youki share.
//!
//! The runtime leaves when the container runs: the supervisor inherits the container as its child, waits for it, and has
//! its terminal. So no runtime can die before its container, and the exit code is the kernel's.

use super::error::RunError;
use super::place;
use super::runtime::{Kind, Runtime};
use super::supervisor::{Started, Stdio};
use orlop_fs::process::{Ended, Process, Program};
use orlop_fs::room::Room;
use orlop_fs::sys::Session;
use orlop_fs::terminal::ConsoleSocket;
use orlop_fs::{Dir, File, cgroup};
use orlop_spec::Fault;
use orlop_spec::port::Result;
use serde_json::Value;
use std::ffi::OsString;
use std::os::fd::AsFd as _;

/// Where the runtime keeps what it knows of the container, all of it in the folder of the run.
const STATE: &str = "state";
const LOG: &str = "log";
const PID: &str = "pid";
const CONSOLE: &str = "console";

/// The name of a container, which its cgroup gets as well.
fn name(id: &str) -> String {
    format!("orlop-{id}")
}

/// Starts the bundle in `folder`.
pub(super) fn start(
    runtime: &Runtime,
    folder: &Dir,
    id: &str,
    config: &Value,
    stdio: &Stdio<'_>,
) -> Result<Started> {
    let socket = if config["process"]["terminal"] == true {
        Some(ConsoleSocket::listen(folder, CONSOLE).map_err(|error| Fault::io("make a terminal", error))?)
    } else {
        None
    };
    if runtime.kind == Kind::Crun {
        // It takes the hybrid layout for a mistake. Who may not hide it is told so by crun.
        cgroup::hide_second().ok();
    }
    let mut words = common(runtime);
    words.extend(["run", "--detach", "--bundle", ".", "--pid-file", PID].map(OsString::from));
    if socket.is_some() {
        words.extend(["--console-socket", CONSOLE].map(OsString::from));
    }
    words.push(name(id).into());
    if program(runtime, folder, &words, stdio)?.wait()? != Ended::Code(0) {
        return Err(failure(runtime, folder, config));
    }
    let process = number(folder)?;
    let terminal = socket.map(|socket| socket.receive()).transpose();
    let terminal = terminal.map_err(|error| Fault::io("take the terminal of the container", error))?;
    Ok(Started { process, terminal, target: None, status: None })
}

/// Takes away what a runtime keeps of a container, its cgroup above all. What fails now fails for the next one too.
pub(super) fn delete(runtime: &Runtime, folder: &Dir, id: &str) {
    if runtime.kind == Kind::Bwrap {
        return;
    }
    let mut words = common(runtime);
    words.extend(["delete".into(), "--force".into(), name(id).into()]);
    if let Ok(null) = File::open("/dev/null") {
        let stdio = Stdio { input: null.as_fd(), output: null.as_fd(), errors: null.as_fd() };
        program(runtime, folder, &words, &stdio).and_then(|process| Ok(process.wait()?)).ok();
    }
}

fn common(runtime: &Runtime) -> Vec<OsString> {
    let mut words = vec!["--root".into(), STATE.into(), "--log".into(), LOG.into()];
    if runtime.kind != Kind::Youki {
        words.extend(["--log-format".into(), "json".into()]);
    }
    words
}

/// What a runtime needs of its environment: programs that it starts.
const ENVIRONMENT: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn program(runtime: &Runtime, folder: &Dir, words: &[OsString], stdio: &Stdio<'_>) -> Result<Process> {
    let program = Program {
        path: &runtime.path,
        arguments: words,
        environment: Some(&[ENVIRONMENT.into()]),
        files: &[stdio.input, stdio.output, stdio.errors],
        folder: Some(folder.path()),
        session: Session::Callers,
    };
    Ok(program.start(Room::Callers)?)
}

/// The container, which became ours when the runtime left.
fn number(folder: &Dir) -> Result<Process> {
    let text = place::read(folder, PID)?;
    let number = String::from_utf8_lossy(&text).trim().parse().unwrap_or(0);
    Ok(Process::of_number(number)?)
}

fn failure(runtime: &Runtime, folder: &Dir, config: &Value) -> Fault {
    let log = place::read(folder, LOG).unwrap_or_default();
    let said = last_error(&String::from_utf8_lossy(&log));
    let program = || config["process"]["args"][0].as_str().unwrap_or_default().to_owned();
    match about_program(&said) {
        Some(Blame::Missing) => RunError::NoProgram(program()),
        Some(Blame::NotRunnable) => RunError::NotRunnable(program()),
        None => RunError::Failed { runtime: runtime.kind.name(), said },
    }
    .into()
}

/// The last error of a log: lines of JSON, or text.
fn last_error(log: &str) -> String {
    let message = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(entry) => entry["msg"].as_str().map(str::to_owned),
        Err(_) => Some(line.to_owned()),
    };
    let said = log.lines().rev().filter(|line| !line.trim().is_empty()).find_map(message);
    said.unwrap_or_else(|| "it does not say why".into())
}

/// What is wrong with the program of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    Missing,
    NotRunnable,
}

/// What runtimes say when it is the program that cannot be run, and not the container that cannot be made.
fn about_program(said: &str) -> Option<Blame> {
    let said = said.to_ascii_lowercase();
    let about = ["container process: exec: ", "executable", "exec container process", "exec user process"];
    if !about.iter().any(|words| said.contains(words)) {
        return None;
    }
    let is = |words: &[&str]| words.iter().any(|words| said.contains(words));
    if is(&["not found", "no such file"]) {
        return Some(Blame::Missing);
    }
    is(&["permission denied", "not permitted", "is a directory", "not a directory", "format error"])
        .then_some(Blame::NotRunnable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_run_is_told_from_a_container_that_cannot() {
        let missing = Some(Blame::Missing);
        let refused = Some(Blame::NotRunnable);
        for (said, blame) in [
            (
                r#"unable to start container process: exec: "/nope": stat /nope: no such file or directory"#,
                missing,
            ),
            (
                r#"unable to start container process: exec: "nope": executable file not found in $PATH"#,
                missing,
            ),
            ("executable file `/nope` not found in $PATH: No such file or directory", missing),
            (r#"unable to start container process: exec: "/etc": permission denied"#, refused),
            ("open executable: Operation not permitted", refused),
            ("exec container process `/bin/x`: Exec format error", refused),
            ("error mounting \"/x\" with noexec: no such file or directory", None),
            ("error during container init: setrlimit: operation not permitted", None),
            ("cgroups in hybrid mode not supported", None),
        ] {
            assert_eq!(about_program(said), blame, "{said}");
        }
    }

    #[test]
    fn the_last_error_of_a_log_is_what_is_said() {
        let log = "{\"level\":\"warning\",\"msg\":\"a\"}\n{\"level\":\"error\",\"msg\":\"b \\\"c\\\"\"}\n\n";
        assert_eq!(last_error(log), "b \"c\"");
        assert_eq!(last_error("plain\n"), "plain");
        assert_eq!(last_error(""), "it does not say why");
    }
}
