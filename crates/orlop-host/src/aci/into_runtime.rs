//! From the isolators of a manifest to the configuration of a runtime (appc specification 0.8.11, `ace.md`, "Isolators";
//! runtime-spec, `config.md` and `config-linux.md`).
//!
//! ```text
//! os/linux/capabilities-retain-set, …-remove-set      process.capabilities
//! os/linux/no-new-privileges, oom-score-adj           process.noNewPrivileges, oomScoreAdj
//! os/linux/seccomp-retain-set, …-remove-set           linux.seccomp
//! os/linux/cpu-shares, resource/cpu, resource/memory  linux.resources
//! os/unix/sysctl                                      linux.sysctl
//! ```
//!
//! Invariant: an image limits its container and takes rights away from it. What would give it more than it has without the
//! image's word is left out (J7, P8), and so is what the runtime cannot do; both are told.

use super::isolator;
use super::manifest::{App, Isolator};
use orlop_layer::path::escape;
use orlop_spec::runtime::{Privilege, Runtime};
use serde_json::{Value, json};
use std::fmt;

/// A word of the manifest that the container is without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    name: Box<str>,
    why: String,
}

impl fmt::Display for Unmet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the isolator {} {}", escape(self.name.as_bytes()), self.why)
    }
}

/// Writes the isolators of an app into the configuration that a container of it would have without them.
pub fn confine(app: &App, runtime: &mut Runtime, privilege: &Privilege) -> Vec<Unmet> {
    let mut room = Room { config: &mut runtime.config, privilege, unmet: Vec::new() };
    for isolator in &app.isolators {
        room.isolator(isolator);
    }
    let unmet = room.unmet;
    runtime.sort();
    unmet
}

/// The configuration under way.
struct Room<'a> {
    config: &'a mut Value,
    privilege: &'a Privilege,
    unmet: Vec<Unmet>,
}

impl Room<'_> {
    fn isolator(&mut self, Isolator { name, value }: &Isolator) {
        if let Some(wrong) = isolator::wrong(name, value) {
            return self.unmet(name, format!("is passed over: {wrong}"));
        }
        match &**name {
            "os/linux/capabilities-retain-set" => self.capabilities(name, value, Set::Retained),
            "os/linux/capabilities-remove-set" => self.capabilities(name, value, Set::Removed),
            "os/linux/no-new-privileges" => self.no_new_privileges(name, value),
            "os/linux/oom-score-adj" => self.oom_score(name, value),
            "os/linux/seccomp-retain-set" => self.filter(name, value, Set::Retained),
            "os/linux/seccomp-remove-set" => self.filter(name, value, Set::Removed),
            "os/linux/cpu-shares" => self.resource(name, "cpu", &json!({ "shares": value })),
            "os/unix/sysctl" => self.sysctl(name, value),
            "resource/cpu" => self.cpu(name, value),
            "resource/memory" => self.memory(name, value),
            "os/linux/selinux-context" => self.unmet(name, "is passed over: labels are the host's to give"),
            _ => self.unmet(name, "is passed over: a runtime knows no limit for all devices"),
        }
    }

    fn unmet(&mut self, name: &str, why: impl Into<String>) {
        self.unmet.push(Unmet { name: name.into(), why: why.into() });
    }

    /// Of those that the container has; none is added.
    fn capabilities(&mut self, name: &str, value: &Value, set: Set) {
        let named = names(value);
        let bounding = names_of(self.config.pointer("/process/capabilities/bounding"));
        let beyond: Vec<_> = named.iter().filter(|it| !bounding.contains(it)).cloned().collect();
        if set == Set::Retained && !beyond.is_empty() {
            let list = escape(beyond.join(", ").as_bytes());
            self.unmet(
                name,
                format!("gives no {list}: an image cannot give itself more than containers have"),
            );
        }
        for kind in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
            let list = self.config.pointer_mut(&format!("/process/capabilities/{kind}"));
            if let Some(Value::Array(list)) = list {
                let is_named = |it: &Value| it.as_str().is_some_and(|it| named.iter().any(|name| name == it));
                list.retain(|it| is_named(it) == (set == Set::Retained));
            }
        }
    }

    fn no_new_privileges(&mut self, name: &str, value: &Value) {
        let is_set = self.config["process"]["noNewPrivileges"] == true;
        if *value == false && is_set {
            return self.unmet(name, "stays true: an image cannot give itself more than containers have");
        }
        self.config["process"]["noNewPrivileges"] = value.clone();
    }

    /// Who lowers its own score lets others die in its place.
    fn oom_score(&mut self, name: &str, value: &Value) {
        if value.as_i64().is_some_and(|score| score < 0) {
            return self
                .unmet(name, "is passed over: only the host may spare a container when memory is short");
        }
        self.config["process"]["oomScoreAdj"] = value.clone();
    }

    fn filter(&mut self, name: &str, value: &Value, set: Set) {
        let calls = names(value);
        let opts_out = match set {
            Set::Retained => "@appc.io/all",
            Set::Removed => "@appc.io/empty",
        };
        if calls.iter().any(|it| it == opts_out) {
            return;
        }
        if let Some(wildcard) = calls.iter().find(|it| it.starts_with('@')) {
            let why = format!(
                "is passed over: what {} names is not in the specification",
                escape(wildcard.as_bytes())
            );
            return self.unmet(name, why);
        }
        if self.config["linux"].get("seccomp").is_some() {
            return self.unmet(name, "is passed over: there is a filter of system calls already");
        }
        let Some(refusal) = Refusal::parse(value) else {
            return self.unmet(name, "is passed over: its error has no number here");
        };
        self.config["linux"]["seccomp"] = match set {
            Set::Retained => refusal.of_all_but(calls),
            Set::Removed => refusal.of(&calls),
        };
    }

    /// Those of the container's own namespaces; runtimes refuse others.
    fn sysctl(&mut self, name: &str, value: &Value) {
        let namespaces = self.config.pointer("/linux/namespaces").and_then(Value::as_array).cloned();
        let has = |kind: &str| namespaces.iter().flatten().any(|it| it["type"] == kind);
        let (has_network, has_ipc) = (has("network"), has("ipc"));
        for (key, value) in value.as_object().into_iter().flatten() {
            let is_of_ipc = IPC.contains(&&**key) || key.starts_with("fs.mqueue.");
            if has_network && key.starts_with("net.") || has_ipc && is_of_ipc {
                self.config["linux"]["sysctl"][key] = value.clone();
            } else {
                let key = escape(key.as_bytes());
                self.unmet(name, format!("does not set {key}, which is not the container's own"));
            }
        }
    }

    fn cpu(&mut self, name: &str, value: &Value) {
        if said(value, "request").is_some() {
            self.unmet(name, "requests nothing: a runtime reserves no processors");
        }
        let Some(limit) = said(value, "limit") else { return };
        match thousandths(limit).filter(|share| *share > 0).and_then(|share| share.checked_mul(PERIOD / 1000))
        {
            Some(quota) => {
                self.resource(name, "cpu", &json!({ "quota": quota.max(LEAST), "period": PERIOD }));
            }
            None => self.unmet(name, NO_SIZE),
        }
    }

    fn memory(&mut self, name: &str, value: &Value) {
        for (said, field) in [(said(value, "request"), "reservation"), (said(value, "limit"), "limit")] {
            let Some(quantity) = said else { continue };
            match thousandths(quantity).filter(|size| *size > 0) {
                Some(size) => {
                    let bytes = size / 1000 + i64::from(size % 1000 != 0);
                    self.resource(name, "memory", &json!({ field: bytes }));
                }
                None => self.unmet(name, NO_SIZE),
            }
        }
    }

    /// Adds to the limits of a kind; ordinary users have no cgroup to put them into.
    fn resource(&mut self, name: &str, kind: &str, fields: &Value) {
        if *self.privilege != Privilege::Root {
            return self.unmet(name, "is passed over: only a bundle of root has limits");
        }
        for (field, value) in fields.as_object().into_iter().flatten() {
            self.config["linux"]["resources"][kind][field] = value.clone();
        }
    }
}

const NO_SIZE: &str = "is passed over: no kernel has a limit of that size";

/// Microseconds, as in `orlop_spec::runtime::Resources`; the kernel refuses a quota of less than a millisecond.
const PERIOD: i64 = 100_000;
const LEAST: i64 = 1000;

/// What belongs to a namespace of System V and POSIX messages, beside `fs.mqueue.*`.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

/// What becomes of what a set names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    /// It is all that stays.
    Retained,
    /// It is taken away.
    Removed,
}

fn names(value: &Value) -> Vec<String> {
    names_of(value.get("set"))
}

fn names_of(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn said<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|it| !it.is_null())
}

/// Calls without which no program begins and ends, and those that runtimes in Go make once the filter holds, until the
/// program runs.
const LIFE: &str = "\
    clone close epoll_create1 epoll_ctl epoll_pwait execve exit exit_group fcntl fstat fstatfs futex getdents64 getpid \
    gettid madvise mmap munmap nanosleep newfstatat openat pipe2 prctl read rt_sigaction rt_sigprocmask rt_sigreturn \
    sched_yield sigaltstack tgkill write";

/// What becomes of a call that is refused: an error, or the end of the program by `SIGSYS`.
struct Refusal(Option<u32>);

impl Refusal {
    /// Nothing where the error is not known.
    fn parse(value: &Value) -> Option<Self> {
        let word = value.get("errno").and_then(Value::as_str).filter(|word| !word.is_empty());
        let Some(word) = word else { return Some(Self(None)) };
        ERRORS.iter().find(|(known, _)| *known == word).map(|(_, number)| Self(Some(*number)))
    }

    fn action(&self) -> &'static str {
        if self.0.is_some() { "SCMP_ACT_ERRNO" } else { "SCMP_ACT_KILL_PROCESS" }
    }

    /// The filter that refuses all other calls.
    fn of_all_but(&self, mut calls: Vec<String>) -> Value {
        calls.extend(LIFE.split_whitespace().map(str::to_owned));
        calls.sort();
        calls.dedup();
        let allowed = json!({ "action": "SCMP_ACT_ALLOW", "names": calls });
        let mut filter = json!({ "defaultAction": self.action(), "syscalls": [allowed] });
        if let Some(number) = self.0 {
            filter["defaultErrnoRet"] = number.into();
        }
        filter
    }

    /// The filter that refuses these.
    fn of(&self, calls: &[String]) -> Value {
        let mut rule = json!({ "action": self.action(), "names": calls });
        if let Some(number) = self.0 {
            rule["errnoRet"] = number.into();
        }
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] })
    }
}

/// Errors whose number is the same on all machines of Linux that containers run on, but MIPS and SPARC.
const ERRORS: [(&str, u32); 37] = [
    ("EPERM", 1),
    ("ENOENT", 2),
    ("ESRCH", 3),
    ("EINTR", 4),
    ("EIO", 5),
    ("ENXIO", 6),
    ("E2BIG", 7),
    ("ENOEXEC", 8),
    ("EBADF", 9),
    ("ECHILD", 10),
    ("EAGAIN", 11),
    ("EWOULDBLOCK", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EFAULT", 14),
    ("ENOTBLK", 15),
    ("EBUSY", 16),
    ("EEXIST", 17),
    ("EXDEV", 18),
    ("ENODEV", 19),
    ("ENOTDIR", 20),
    ("EISDIR", 21),
    ("EINVAL", 22),
    ("ENFILE", 23),
    ("EMFILE", 24),
    ("ENOTTY", 25),
    ("EFBIG", 27),
    ("ENOSPC", 28),
    ("ESPIPE", 29),
    ("EROFS", 30),
    ("EMLINK", 31),
    ("EPIPE", 32),
    ("EDOM", 33),
    ("ERANGE", 34),
    ("ENOSYS", 38),
    ("ENOTSUP", 95),
    ("EOPNOTSUPP", 95),
];

/// A quantity in thousandths, rounded up.
fn thousandths(value: &Value) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    let (number, suffix) = isolator::quantity(&text)?;
    let (up, down) = scale(suffix)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let down = down.checked_add(u32::try_from(part.len()).ok()?)?;
    let above = digits.checked_mul(1000)?.checked_mul(up)?;
    let below = 10_i128.checked_pow(down)?;
    i64::try_from(above.div_euclid(below) + i128::from(above.rem_euclid(below) != 0)).ok()
}

/// What a suffix multiplies by, and how many places it moves the point to the left.
fn scale(suffix: &str) -> Option<(i128, u32)> {
    const METRIC: [(&str, u32); 6] = [("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
    const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
    const SMALL: [(&str, u32); 4] = [("", 0), ("m", 3), ("u", 6), ("n", 9)];
    let find = |table: &[(&str, u32)]| table.iter().find(|(known, _)| *known == suffix).map(|it| it.1);
    if let Some(down) = find(&SMALL) {
        return Some((1, down));
    }
    if let Some(up) = find(&METRIC) {
        return Some((10_i128.pow(up), 0));
    }
    if let Some(bits) = find(&BINARY) {
        return Some((1 << bits, 0));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let places = exponent.unsigned_abs();
    if exponent < 0 { Some((1, places)) } else { Some((10_i128.checked_pow(places)?, 0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Value {
        let all = json!(["CAP_CHOWN", "CAP_KILL", "CAP_MKNOD"]);
        json!({
            "process": { "capabilities": { "bounding": all, "effective": all, "permitted": all }, "noNewPrivileges": true },
            "linux": { "namespaces": [{ "type": "network" }, { "type": "ipc" }], "resources": { "devices": [] } },
        })
    }

    fn confined(privilege: &Privilege, isolators: &[(&str, Value)]) -> (Value, Vec<String>) {
        let isolators =
            isolators.iter().map(|(name, value)| Isolator { name: (*name).into(), value: value.clone() });
        let app = App { isolators: isolators.collect(), ..App::default() };
        let mut runtime =
            Runtime { config: room(), lost_groups: Vec::new(), unmapped: None, obeyed: Vec::new() };
        let unmet = confine(&app, &mut runtime, privilege);
        (runtime.config, unmet.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn limits_and_rights_that_are_taken_become_those_of_the_runtime() {
        let (config, unmet) = confined(
            &Privilege::Root,
            &[
                ("os/linux/capabilities-retain-set", json!({ "set": ["CAP_KILL", "CAP_CHOWN"] })),
                ("os/linux/capabilities-remove-set", json!({ "set": ["CAP_CHOWN", "CAP_SYS_ADMIN"] })),
                ("os/linux/no-new-privileges", json!(true)),
                ("os/linux/oom-score-adj", json!(500)),
                ("os/linux/cpu-shares", json!(1024)),
                ("resource/cpu", json!({ "limit": "1.5" })),
                ("resource/memory", json!({ "request": "1k", "limit": "64Mi" })),
                ("os/unix/sysctl", json!({ "net.ipv4.ip_forward": "1", "kernel.sem": "1 2 3 4" })),
            ],
        );
        assert_eq!(unmet, [""; 0]);
        let kept = json!(["CAP_KILL"]);
        assert_eq!(
            config["process"],
            json!({ "capabilities": { "bounding": kept, "effective": kept, "permitted": kept },
                "noNewPrivileges": true, "oomScoreAdj": 500 })
        );
        let resources = json!({ "devices": [], "cpu": { "shares": 1024, "quota": 150_000, "period": 100_000 },
            "memory": { "reservation": 1000, "limit": 67_108_864 } });
        assert_eq!(config["linux"]["resources"], resources);
        assert_eq!(config["linux"]["sysctl"], json!({ "net.ipv4.ip_forward": "1", "kernel.sem": "1 2 3 4" }));
    }

    /// J7, P8: whatever a manifest says, the container has no right that it had not before.
    #[test]
    fn j7_no_isolator_gives_more_than_there_was() {
        let (config, unmet) = confined(
            &Privilege::Root,
            &[
                (
                    "os/linux/capabilities-retain-set",
                    json!({ "set": ["CAP_SYS_ADMIN", "CAP_CHOWN", "CAP_KILL", "CAP_MKNOD"] }),
                ),
                ("os/linux/no-new-privileges", json!(false)),
                ("os/linux/oom-score-adj", json!(-1000)),
                (
                    "os/linux/selinux-context",
                    json!({ "user": "u", "role": "r", "type": "unconfined_t", "level": "s0" }),
                ),
                ("os/unix/sysctl", json!({ "kernel.core_pattern": "|/x", "fs.file-max": "9" })),
                ("resource/block-iops", json!({ "default": true, "limit": "9" })),
                ("resource/memory", json!({ "limit": "0" })),
                ("resource/cpu", json!({ "request": "1" })),
                ("example.com/own", json!(1)),
                ("os/linux/seccomp-retain-set", json!({ "set": ["@example/most"] })),
                ("os/linux/seccomp-remove-set", json!({ "set": ["reboot"], "errno": "ENOWORD" })),
                ("os/linux/seccomp-retain-set", json!({ "set": ["@appc.io/all", "read"] })),
            ],
        );
        assert_eq!(config, room());
        let begins: Vec<_> = unmet
            .iter()
            .map(|told| told["the isolator ".len()..].split(' ').next().expect("a name"))
            .collect();
        assert_eq!(
            begins,
            [
                "os/linux/capabilities-retain-set",
                "os/linux/no-new-privileges",
                "os/linux/oom-score-adj",
                "os/linux/selinux-context",
                "os/unix/sysctl",
                "os/unix/sysctl",
                "resource/block-iops",
                "resource/memory",
                "resource/cpu",
                "example.com/own",
                "os/linux/seccomp-retain-set",
                "os/linux/seccomp-remove-set",
            ]
        );
    }

    #[test]
    fn who_has_no_cgroup_has_no_limits_and_whose_network_is_the_hosts_no_sysctls_of_it() {
        let rootless = Privilege::Rootless { users: Vec::new(), groups: Vec::new() };
        let (config, unmet) = confined(&rootless, &[("resource/memory", json!({ "limit": "1G" }))]);
        assert_eq!((config, unmet.len()), (room(), 1));
        let config = json!({ "process": {}, "linux": { "namespaces": [{ "type": "ipc" }] } });
        let mut runtime = Runtime { config, lost_groups: Vec::new(), unmapped: None, obeyed: Vec::new() };
        let value = json!({ "net.ipv4.ip_forward": "1" });
        let app =
            App { isolators: vec![Isolator { name: "os/unix/sysctl".into(), value }], ..App::default() };
        assert_eq!(confine(&app, &mut runtime, &rootless).len(), 1);
        assert_eq!(runtime.config["linux"].get("sysctl"), None);
    }

    #[test]
    fn sets_of_system_calls_become_filters_and_the_first_one_counts() {
        let (config, unmet) = confined(
            &Privilege::Root,
            &[
                ("os/linux/seccomp-remove-set", json!({ "set": ["reboot", "mount"], "errno": "ENOTSUP" })),
                ("os/linux/seccomp-retain-set", json!({ "set": ["read"] })),
            ],
        );
        let rule = json!({ "action": "SCMP_ACT_ERRNO", "names": ["reboot", "mount"], "errnoRet": 95 });
        assert_eq!(
            config["linux"]["seccomp"],
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] })
        );
        assert_eq!(unmet.len(), 1);
        let (config, _) = confined(
            &Privilege::Root,
            &[("os/linux/seccomp-retain-set", json!({ "set": ["write", "exit"] }))],
        );
        let filter = &config["linux"]["seccomp"];
        assert_eq!(filter["defaultAction"], "SCMP_ACT_KILL_PROCESS");
        let names = names_of(filter.pointer("/syscalls/0/names"));
        assert!(names.contains(&"write".to_owned()) && names.contains(&"execve".to_owned()), "{names:?}");
        assert!(names.is_sorted_by(|one, next| one < next), "once each: {names:?}");
    }

    #[test]
    fn quantities_are_exact_and_nothing_wraps() {
        for (text, expected) in [
            ("1", Some(1000)),
            ("0.5", Some(500)),
            ("500m", Some(500)),
            ("1.0001", Some(1001)),
            ("64Mi", Some(67_108_864_000)),
            ("1e3", Some(1_000_000)),
            ("1E-3", Some(1)),
            ("1n", Some(1)),
            ("-2", Some(-2000)),
            ("+.5k", Some(500_000)),
            ("8Ei", None),
            ("1e999999999", None),
            ("1e-999999999", None),
            ("99999999999999999999999999999999999999", None),
            ("x", None),
        ] {
            assert_eq!(thousandths(&json!(text)), expected, "{text}");
        }
        assert_eq!((thousandths(&json!(2)), thousandths(&json!(0.25))), (Some(2000), Some(250)));
    }
}
