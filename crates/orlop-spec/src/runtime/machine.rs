//! The machine that a container sees: mounts, namespaces, capabilities, limits.

use super::{IdMapping, Privilege, RuntimeError};
use crate::config::Execution;
use crate::edit::Folder;
use serde_json::{Value, json};

/// What every container has, then the image's volumes, parents first.
pub(super) fn mounts(execution: &Execution, privilege: &Privilege) -> Result<Vec<Value>, RuntimeError> {
    let mut mounts = match privilege {
        Privilege::Root => standard(
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ),
        // Group 5 is not mapped, and sysfs belongs to the network's owner.
        Privilege::Rootless { .. } => standard(
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
            mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]),
        ),
    };
    if *privilege == Privilege::Root {
        mounts.push(mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        ));
    }
    for folder in volumes(execution)? {
        mounts.push(mount(&folder, "tmpfs", "tmpfs", &["nosuid", "nodev", "tmpcopyup"]));
    }
    Ok(mounts)
}

fn standard(pts: &[&str], sys: Value) -> Vec<Value> {
    vec![
        mount("/proc", "proc", "proc", &[]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", pts),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        sys,
    ]
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    let mut mount = json!({ "destination": destination, "type": kind, "source": source });
    if !options.is_empty() {
        mount["options"] = json!(options);
    }
    mount
}

/// The volumes in one spelling each. The root and what the runtime mounts itself cannot be one.
fn volumes(execution: &Execution) -> Result<Vec<String>, RuntimeError> {
    let mut folders = Vec::new();
    for text in execution.volumes.keys() {
        let bad = |_| RuntimeError::BadVolume(text.clone());
        let folder: Folder = text.parse().map_err(bad)?;
        let parts: Vec<_> = folder.as_str().split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.first().is_none_or(|first| matches!(*first, "proc" | "sys" | "dev")) {
            return Err(RuntimeError::BadVolume(text.clone()));
        }
        folders.push(format!("/{}", parts.join("/")));
    }
    folders.sort();
    folders.dedup();
    Ok(folders)
}

/// What Docker gives to root. Any other user has none, but may gain none above these.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

pub(super) fn capabilities(user: u32) -> Value {
    match user {
        0 => json!({ "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES }),
        _ => json!({ "bounding": CAPABILITIES, "effective": [], "permitted": [] }),
    }
}

/// What a program may open by default, and how far it may raise that.
const OPEN_FILES: (u64, u64) = (1024, 524_288);

pub(super) fn rlimits(most: u64) -> Value {
    let (soft, hard) = OPEN_FILES;
    json!([{ "type": "RLIMIT_NOFILE", "soft": soft.min(most), "hard": hard.min(most) }])
}

pub(super) fn linux(privilege: &Privilege) -> Value {
    let namespaces = |names: &[&str]| names.iter().map(|name| json!({ "type": name })).collect::<Vec<_>>();
    let mut linux = match privilege {
        Privilege::Root => json!({
            "namespaces": namespaces(&["pid", "network", "ipc", "uts", "mount"]),
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
        }),
        Privilege::Rootless { users, groups } => json!({
            "namespaces": namespaces(&["pid", "ipc", "uts", "mount", "user"]),
            "uidMappings": mappings(users),
            "gidMappings": mappings(groups),
        }),
    };
    linux["maskedPaths"] = json!(MASKED);
    linux["readonlyPaths"] = json!(READ_ONLY);
    linux
}

fn mappings(mappings: &[IdMapping]) -> Vec<Value> {
    let value =
        |map: &IdMapping| json!({ "containerID": map.container, "hostID": map.host, "size": map.size });
    mappings.iter().map(value).collect()
}

/// Files of the kernel that tell about the host.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Files of the kernel that change the host.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
