//! The machine that a container sees: mounts, namespaces, capabilities, limits.

use super::account::holds;
use super::{IdMapping, Network, Options, Privilege, RuntimeError};
use crate::config::Execution;
use crate::edit::Folder;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What every container has, then the volumes of the image and of the caller, parents first.
pub(super) fn mounts(execution: &Execution, options: &Options) -> Result<Vec<Value>, RuntimeError> {
    let Options { privilege, .. } = options;
    let mut pts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    if has_group_of_terminals(privilege) {
        pts.push("gid=5");
    }
    let mut mounts = standard(&pts, sys(options));
    if *privilege == Privilege::Root {
        mounts.push(mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        ));
    }
    let mut placed: BTreeMap<String, Value> = BTreeMap::new();
    for volume in &options.volumes {
        let place = volume.place()?;
        if placed.insert(place.clone(), volume.to_value(&place)).is_some() {
            return Err(RuntimeError::MountTwice(place.into()));
        }
    }
    for folder in volumes(execution)? {
        let empty = || mount(&folder, "tmpfs", "tmpfs", &["nosuid", "nodev", "tmpcopyup"]);
        placed.entry(folder.clone()).or_insert_with(empty);
    }
    mounts.extend(placed.into_values());
    Ok(mounts)
}

/// Group 5, as all distributions have it.
fn has_group_of_terminals(privilege: &Privilege) -> bool {
    match privilege {
        Privilege::Root => true,
        Privilege::Rootless { .. } => false,
        Privilege::Within { groups, .. } => holds(groups, 5),
    }
}

/// The file system belongs to the network's owner: others get the host's.
fn sys(options: &Options) -> Value {
    match (&options.privilege, network(options)) {
        (Privilege::Root, _) | (_, Network::Own) => {
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"])
        }
        (_, Network::Host) => mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]),
    }
}

fn network(options: &Options) -> Network {
    options.network.unwrap_or_else(|| options.privilege.network())
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
pub(super) const CAPABILITIES: [&str; 14] = [
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

pub(super) fn linux(options: &Options) -> Value {
    let Options { privilege, resources: limits, .. } = options;
    let mut names = vec!["pid", "ipc", "uts", "mount"];
    if network(options) == Network::Own {
        names.insert(1, "network");
    }
    let mut linux = json!({});
    let mut resources = json!({});
    match privilege {
        Privilege::Root => resources["devices"] = json!([{ "allow": false, "access": "rwm" }]),
        Privilege::Rootless { users, groups } => {
            names.push("user");
            linux["uidMappings"] = json!(mappings(users));
            linux["gidMappings"] = json!(mappings(groups));
        }
        Privilege::Within { .. } => {}
    }
    limits.add_to(&mut resources);
    if resources != json!({}) {
        linux["resources"] = resources;
    }
    let namespaces: Vec<_> = names.iter().map(|name| json!({ "type": name })).collect();
    linux["namespaces"] = json!(namespaces);
    if let Some(filter) = &options.filter {
        linux["seccomp"] = filter.to_value();
    }
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
