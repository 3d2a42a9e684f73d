//! `bwrap` in the place of a runtime: the same configuration as far as it can be followed.
//!
//! It knows no cgroups and no users but one, so no limits can be set, and files of others than the user appear as
//! nobody's where that is not root.

use super::error::RunError;
use super::supervisor::{Started, Stdio};
use orlop_fs::process::{Process, Program};
use orlop_fs::room::Room;
use orlop_fs::rooted::stat_inside;
use orlop_fs::sys::Session;
use orlop_fs::{Dir, FileKind, stat, terminal};
use orlop_spec::Fault;
use orlop_spec::port::Result;
use serde_json::Value;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

/// What it does not do that a runtime does.
pub(super) const WEAKER: &str = "bwrap isolates files, processes and names, but sets no limits, filters no devices by cgroup \
     and no system calls, and knows one user only; install runc or crun for more";

/// Starts the configuration on `rootfs` in `folder`.
pub(super) fn start(path: &Path, folder: &Dir, config: &Value, stdio: &Stdio<'_>) -> Result<Started> {
    let failed = |error| Fault::io("make a terminal", error);
    let console =
        if config["process"]["terminal"] == true { Some(terminal::pair().map_err(failed)?) } else { None };
    if let Some((shown, _)) = &console {
        terminal::copy_size(stdio.input, shown);
    }
    let (status, tell) = orlop_fs::stream::pipe().map_err(failed)?;
    let own = console.as_ref().map(|(_, program)| program.as_fd());
    let files =
        [own.unwrap_or(stdio.input), own.unwrap_or(stdio.output), own.unwrap_or(stdio.errors), tell.as_fd()];
    let program = Program {
        path,
        arguments: &words(config),
        environment: Some(&strings(&config["process"]["env"])),
        files: &files,
        folder: Some(folder.path()),
        session: if own.is_some() { Session::OfTerminal } else { Session::Callers },
    };
    let process = program.start(Room::Callers)?;
    drop(tell);
    let terminal = console.map(|(shown, _)| shown);
    let mut status = Status { pipe: status, text: Vec::new() };
    let target = status.first_line().and_then(|line| {
        let said: Value = serde_json::from_slice(&line).ok()?;
        Process::of_number(i32::try_from(said["child-pid"].as_i64()?).ok()?).ok()
    });
    Ok(Started { process, terminal, target, status: Some(status) })
}

/// What it tells of the program that it started, one JSON document per line.
#[derive(Debug)]
pub(super) struct Status {
    pipe: OwnedFd,
    text: Vec<u8>,
}

impl Status {
    /// Waits for the number of the program.
    fn first_line(&mut self) -> Option<Vec<u8>> {
        let mut byte = [0];
        while orlop_fs::stream::read(self.pipe.as_fd(), &mut byte).ok()? == 1 {
            if byte == *b"\n" {
                return Some(std::mem::take(&mut self.text));
            }
            self.text.push(byte[0]);
        }
        None
    }

    /// Whether the program was started at all, now that all has ended.
    pub(super) fn has_run(mut self) -> bool {
        while let Some(line) = self.first_line() {
            if String::from_utf8_lossy(&line).contains("exit-code") {
                return true;
            }
        }
        false
    }
}

fn strings(words: &Value) -> Vec<OsString> {
    words.as_array().into_iter().flatten().filter_map(Value::as_str).map(OsString::from).collect()
}

/// The configuration as arguments.
fn words(config: &Value) -> Vec<OsString> {
    let mut words = Words(Vec::new());
    words.add(&["--as-pid-1", "--json-status-fd", "3"]);
    words.namespaces(config);
    words.add(&["--bind", "rootfs", "/", "--proc", "/proc", "--dev", "/dev"]);
    for mount in config["mounts"].as_array().into_iter().flatten() {
        words.mount(mount);
    }
    words.cover(&config["linux"]);
    if config["root"]["readonly"] == true {
        // Last: what is mounted needs its place first.
        words.add(&["--remount-ro", "/"]);
    }
    if config["process"]["terminal"] != true {
        words.add(&["--new-session"]);
    }
    words.add(&["--chdir", config["process"]["cwd"].as_str().unwrap_or("/"), "--"]);
    words.0.extend(strings(&config["process"]["args"]));
    words.0
}

struct Words(Vec<OsString>);

impl Words {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn namespaces(&mut self, config: &Value) {
        for namespace in config["linux"]["namespaces"].as_array().into_iter().flatten() {
            match namespace["type"].as_str() {
                Some("network") => self.add(&["--unshare-net"]),
                Some(kind @ ("pid" | "ipc" | "uts")) => self.add(&[&format!("--unshare-{kind}")]),
                _ => {}
            }
        }
        if let Some(hostname) = config["hostname"].as_str() {
            self.add(&["--hostname", hostname]);
        }
        let id = |name: &str| config["process"]["user"][name].as_u64().unwrap_or(0);
        let (user, group) = (id("uid"), id("gid"));
        if (user, group) == (0, 0) {
            self.add(&["--cap-drop", "ALL"]);
            for capability in strings(&config["process"]["capabilities"]["bounding"]) {
                self.0.extend(["--cap-add".into(), capability]);
            }
        } else {
            self.add(&["--unshare-user", "--uid", &user.to_string(), "--gid", &group.to_string()]);
        }
    }

    /// What it does not make by itself.
    fn mount(&mut self, mount: &Value) {
        let text = |name: &str| mount[name].as_str().unwrap_or_default();
        let place = text("destination");
        match text("type") {
            "bind" if mount["options"].to_string().contains("\"ro\"") => {
                self.add(&["--ro-bind", text("source"), place]);
            }
            "bind" => self.add(&["--bind", text("source"), place]),
            "tmpfs" if !place.starts_with("/dev") => self.add(&["--tmpfs", place]),
            _ if place == "/sys" => self.add(&["--ro-bind", "/sys", "/sys"]),
            _ => {}
        }
    }

    /// Hides what of the kernel's files is to be hidden, as far as this kernel has it.
    fn cover(&mut self, linux: &Value) {
        for path in strings(&linux["maskedPaths"]) {
            let Ok(found) = stat::at(&path) else { continue };
            let kind: &[&str] =
                if found.kind == FileKind::Directory { &["--tmpfs"] } else { &["--ro-bind", "/dev/null"] };
            self.add(kind);
            self.0.push(path);
        }
        // By itself it covers only what it takes for writable, and it looks in another way than the kernel does.
        for path in strings(&linux["readonlyPaths"]).into_iter().filter(|path| stat::at(path).is_ok()) {
            self.0.extend(["--ro-bind".into(), path.clone(), path]);
        }
    }
}

/// What is wrong where the program was not even started.
pub(super) fn blame(rootfs: &Dir, config: &Value) -> RunError {
    let program = config["process"]["args"][0].as_str().unwrap_or_default();
    let search = strings(&config["process"]["env"]);
    let search = search.iter().find_map(|entry| entry.to_str()?.strip_prefix("PATH=").map(str::to_owned));
    let places: Vec<String> = match search {
        _ if program.contains('/') => vec![program.to_owned()],
        search => search.unwrap_or_default().split(':').map(|folder| format!("{folder}/{program}")).collect(),
    };
    let found = places.iter().find_map(|path| stat_inside(rootfs, path).ok().flatten());
    match found {
        None => RunError::NoProgram(program.to_owned()),
        Some(stat) if stat.kind == FileKind::File && stat.mode & 0o111 != 0 => {
            RunError::Failed { runtime: "bwrap", said: "it says why above".into() }
        }
        Some(_) => RunError::NotRunnable(program.to_owned()),
    }
}

/// Refuses what it cannot do.
pub(super) fn check(config: &Value) -> Result<(), RunError> {
    let limits = &config["linux"]["resources"];
    if limits.get("memory").is_some() || limits.get("cpu").is_some() {
        return Err(RunError::Cannot { runtime: "bwrap", what: "limit memory or processors" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(config: &Value) -> String {
        let words: Vec<_> = words(config).iter().map(|it| it.to_string_lossy().into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn a_configuration_becomes_arguments_and_nothing_of_the_image_is_an_option() {
        let config = json!({
            "process": { "args": ["--bind", "/", "/host"], "cwd": "/w", "user": { "uid": 7, "gid": 8 } },
            "root": { "readonly": true },
            "hostname": "h",
            "mounts": [
                { "destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind", "ro"] },
                { "destination": "/v", "type": "tmpfs", "source": "tmpfs" },
                { "destination": "/dev/shm", "type": "tmpfs", "source": "shm" },
            ],
            "linux": { "namespaces": [{ "type": "pid" }, { "type": "network" }, { "type": "mount" }] },
        });
        let line = line(&config);
        assert!(
            line.contains("--unshare-pid --unshare-net --hostname h --unshare-user --uid 7 --gid 8"),
            "{line}"
        );
        assert!(
            line.contains(
                "--bind rootfs / --proc /proc --dev /dev --ro-bind /srv /data --tmpfs /v --remount-ro /"
            ),
            "{line}"
        );
        assert!(line.ends_with("--new-session --chdir /w -- --bind / /host"), "{line}");
    }

    #[test]
    fn limits_are_refused_rather_than_forgotten() {
        assert!(check(&json!({ "linux": { "resources": { "devices": [] } } })).is_ok());
        assert!(check(&json!({ "linux": { "resources": { "memory": { "limit": 1 } } } })).is_err());
    }
}
