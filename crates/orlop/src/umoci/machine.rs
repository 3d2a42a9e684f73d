//! The container that `config.json` of umoci 0.6 describes, where it is another than that of our own bundles: fewer
//! capabilities, one limit of open files, a namespace of cgroups, and without root's rights the names of the host's network.
//!
//! What stays as in our own bundles, and why, is in `docs/formats/umoci-bundle.md`.

use orlop_fs::stat;
use orlop_host::umoci::meta::{MapOptions, Rootless};
use orlop_spec::runtime::{IdMapping, Runtime};
use serde_json::{Value, json};

/// The version of the runtime-spec that umoci 0.6 writes. Nothing that is written here is younger than 1.0, and later
/// versions keep what that had.
pub const VERSION: &str = "1.2.1";

/// What every process may do, whoever runs it.
const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// What a program may open, and how far it may raise that.
const OPEN_FILES: u64 = 1024;

/// Where names of the network are looked up.
const RESOLVER: &str = "/etc/resolv.conf";

/// Who starts the container.
pub(super) struct Machine<'a> {
    /// How owners are mapped.
    pub(super) map: &'a MapOptions,
    /// Highest number of open files that the caller may allow; more makes a runtime fail.
    pub(super) open_files: Option<u64>,
}

/// Makes of a configuration of ours one of umoci's.
pub(super) fn fit(runtime: &mut Runtime, machine: &Machine<'_>) {
    let config = &mut runtime.config;
    config["ociVersion"] = VERSION.into();
    let sets = ["ambient", "bounding", "effective", "inheritable", "permitted"];
    config["process"]["capabilities"] =
        sets.into_iter().map(|set| (set.to_owned(), json!(CAPABILITIES))).collect();
    if let Some(most) = machine.open_files {
        let limit = OPEN_FILES.min(most);
        config["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": limit, "hard": limit }]);
    }
    if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
        namespaces.insert(0, json!({ "type": "cgroup" }));
    }
    let MapOptions { users, groups, rootless } = machine.map;
    match rootless {
        Rootless::Yes => share_network(config),
        Rootless::No if users.is_empty() && groups.is_empty() => {}
        Rootless::No => put_maps(&mut config["linux"], machine.map),
    }
    runtime.sort();
}

/// The container has the host's network, and so its names, where the host has some.
fn share_network(config: &mut Value) {
    let Some(mounts) = config["mounts"].as_array_mut() else { return };
    for sys in mounts.iter_mut().filter(|mount| mount["destination"] == "/sys") {
        sys["type"] = "bind".into();
    }
    if let Ok(mut options) = stat::locked_options(RESOLVER) {
        options.retain(|option| *option != "ro");
        options.extend(["rbind", "ro"]);
        mounts.push(json!({
            "destination": RESOLVER, "type": "bind", "source": RESOLVER, "options": options,
        }));
    }
}

/// A namespace of users for a container that root starts.
fn put_maps(linux: &mut Value, map: &MapOptions) {
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        namespaces.push(json!({ "type": "user" }));
    }
    let ids = |ids: &[IdMapping]| -> Value {
        let one = |it: &IdMapping| json!({ "containerID": it.container, "hostID": it.host, "size": it.size });
        ids.iter().map(one).collect()
    };
    linux["gidMappings"] = ids(&map.groups);
    linux["uidMappings"] = ids(&map.users);
}
