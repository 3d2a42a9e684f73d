//! From the configuration of a bundle (runtime-spec, `config.md`) to a manifest: what oci2aci did.
//!
//! ```text
//! process.args, user, env, cwd          app.exec, user, group, further groups, environment, workingDirectory
//! process.capabilities, …, resources    app.isolators
//! mounts of the host                    app.mountPoints
//! annotations                           app.userAnnotations; labels and annotations, where they have a name
//! config.json, as it stands             annotation appc.io/oci/runtime-config
//! ```
//!
//! Invariant: the manifest depends on the configuration and the name alone. What it cannot say is told.

use super::from_config::{Environment, Named, Names};
use super::isolator;
use super::machine;
use super::manifest::{AUTHORS, App, CREATED, ImageManifest, Isolator, KIND, MountPoint, Pair, VERSION};
use super::validate::{is_time, is_variable};
use orlop_spec::json::{self, Extra, JsonError};
use serde_json::{Value, json};

/// The annotation that carries the configuration of a bundle.
pub const RUNTIME_CONFIG: &str = "appc.io/oci/runtime-config";

/// What a manifest cannot say of a bundle: fields, as JSON pointers.
pub type Unsaid = Vec<String>;

/// Reads `config.json`: the manifest, the folder of the root filesystem as the bundle names it, and what is not said.
pub fn manifest(raw: &str, named: &Named) -> Result<(ImageManifest, String, Unsaid), JsonError> {
    let config = json::value(raw.as_bytes())?;
    let mut unsaid = Vec::new();
    let annotation = |name: &str| text(&config, &format!("/annotations/org.opencontainers.image.{name}"));
    let os = annotation("os").unwrap_or("linux");
    let machine = annotation("architecture")
        .map(|architecture| machine::from_go(os, architecture, annotation("variant")));
    let labels = [
        ("version", named.version.as_deref()),
        ("os", machine.and_then(|machine| machine.os)),
        ("arch", machine.and_then(|machine| machine.arch)),
    ];
    let annotations = [
        (CREATED, annotation("created").filter(|text| is_time(text))),
        (AUTHORS, annotation("author").or_else(|| annotation("authors"))),
        (RUNTIME_CONFIG, Some(raw)),
    ];
    let said = |pairs: &[(&str, Option<&str>)]| {
        let said = pairs.iter().filter_map(|(name, value)| Some(Pair::new(name, (*value)?)));
        said.collect::<Vec<_>>()
    };
    let manifest = ImageManifest {
        kind: KIND.into(),
        version: VERSION.into(),
        name: named.name.clone(),
        labels: said(&labels),
        app: config.get("process").map(|process| app(&config, process, &mut unsaid)),
        dependencies: Vec::new(),
        path_whitelist: Vec::new(),
        annotations: said(&annotations),
        extra: Extra::new(),
    };
    for field in
        ["/hostname", "/domainname", "/hooks", "/linux/seccomp", "/linux/devices", "/process/rlimits"]
    {
        if config.pointer(field).is_some_and(|value| !value.is_null()) {
            unsaid.push(field.into());
        }
    }
    let root = text(&config, "/root/path").unwrap_or("rootfs").to_owned();
    Ok((manifest, root, unsaid))
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn app(config: &Value, process: &Value, unsaid: &mut Unsaid) -> App {
    let id = |name: &str| process.pointer(name).and_then(Value::as_u64).unwrap_or(0).to_string().into();
    let groups = process.pointer("/user/additionalGids").and_then(Value::as_array);
    App {
        exec: texts(process.get("args")),
        user: id("/user/uid"),
        group: id("/user/gid"),
        supplementary_gids: groups.into_iter().flatten().filter_map(Value::as_i64).collect(),
        working_directory: text(process, "/cwd").filter(|folder| folder.starts_with('/')).map(Into::into),
        environment: environment(process, unsaid),
        isolators: isolators(config, process, unsaid),
        mount_points: mount_points(config),
        user_annotations: pairs(config.get("annotations")),
        ..App::default()
    }
}

fn texts(list: Option<&Value>) -> Vec<Box<str>> {
    let list = list.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
}

fn pairs(object: Option<&Value>) -> std::collections::BTreeMap<Box<str>, Box<str>> {
    let members = object.and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.as_str().into(), value.as_str()?.into()))).collect()
}

fn environment(process: &Value, unsaid: &mut Unsaid) -> Vec<Pair> {
    let variables = texts(process.get("env"));
    let mut environment = Environment::default();
    for (at, variable) in variables.iter().enumerate() {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        if is_variable(name) {
            environment.set(name, value);
        } else {
            unsaid.push(format!("/process/env/{at}"));
        }
    }
    environment.pairs
}

/// Files and folders that the host lends. What a runtime makes itself, every host of App Containers makes too.
fn mount_points(config: &Value) -> Vec<MountPoint> {
    let mounts = config.get("mounts").and_then(Value::as_array);
    let lent = mounts.into_iter().flatten().filter_map(|mount| {
        let options = texts(mount.get("options"));
        let has = |option: &str| options.iter().any(|it| &**it == option);
        let is_lent = text(mount, "/type") == Some("bind") || has("bind") || has("rbind");
        let path = text(mount, "/destination").filter(|_| is_lent)?;
        Some((path, has("ro")))
    });
    let mut names = Names::default();
    let points = lent.map(|(path, read_only)| MountPoint {
        name: names.give(&format!("volume/{path}")),
        path: path.into(),
        read_only,
    });
    points.collect()
}

/// Rights and limits. One whose value the specification does not allow is not said.
fn isolators(config: &Value, process: &Value, unsaid: &mut Unsaid) -> Vec<Isolator> {
    let at = |pointer: &str| config.pointer(pointer).filter(|value| !value.is_null());
    let set = |list: &Value| json!({ "set": texts(Some(list)) });
    let context = |label: &Value| {
        let mut parts = label.as_str().unwrap_or_default().splitn(4, ':').map(ToOwned::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        json!({ "user": next(), "role": next(), "type": next(), "level": next() })
    };
    let drawn = [
        (
            "/process/capabilities/bounding",
            "os/linux/capabilities-retain-set",
            at("/process/capabilities/bounding").map(set),
        ),
        ("/process/noNewPrivileges", "os/linux/no-new-privileges", at("/process/noNewPrivileges").cloned()),
        ("/process/oomScoreAdj", "os/linux/oom-score-adj", at("/process/oomScoreAdj").cloned()),
        ("/process/selinuxLabel", "os/linux/selinux-context", at("/process/selinuxLabel").map(context)),
        ("/linux/resources/cpu/shares", "os/linux/cpu-shares", at("/linux/resources/cpu/shares").cloned()),
        ("/linux/sysctl", "os/unix/sysctl", at("/linux/sysctl").cloned()),
        ("/linux/resources/cpu/quota", "resource/cpu", cpu(config)),
        ("/linux/resources/memory", "resource/memory", memory(config)),
    ];
    let mut isolators = Vec::new();
    for (field, name, value) in drawn {
        let Some(value) = value else { continue };
        if isolator::wrong(name, &value).is_some() {
            unsaid.push(field.into());
        } else {
            isolators.push(Isolator { name: name.into(), value });
        }
    }
    if text(process, "/apparmorProfile").is_some_and(|profile| !profile.is_empty()) {
        unsaid.push("/process/apparmorProfile".into());
    }
    isolators
}

/// The share of one processor that may be used, in thousandths. What is less than nothing is no limit.
fn cpu(config: &Value) -> Option<Value> {
    let number = |name: &str| config.pointer(&format!("/linux/resources/cpu/{name}")).and_then(Value::as_i64);
    let (quota, period) = (number("quota")?, number("period").unwrap_or(100_000));
    let share = || (i128::from(quota) * 1000 / i128::from(period)).max(1);
    (quota > 0 && period > 0).then(|| json!({ "limit": format!("{}m", share()) }))
}

fn memory(config: &Value) -> Option<Value> {
    let number = |name: &str| {
        let number = config.pointer(&format!("/linux/resources/memory/{name}")).and_then(Value::as_i64);
        number.filter(|number| *number > 0)
    };
    let said = [("request", number("reservation")), ("limit", number("limit"))];
    let said =
        said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?.to_string()))));
    let value: serde_json::Map<String, Value> = said.collect();
    (!value.is_empty()).then(|| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aci::validate;

    fn of(config: &Value) -> (ImageManifest, Unsaid) {
        let named = Named::parse("example.com/app:1").expect("a name");
        let (manifest, _, unsaid) = manifest(&config.to_string(), &named).expect("JSON");
        assert_eq!(validate::manifest(&manifest), [], "what is made is valid");
        (manifest, unsaid)
    }

    #[test]
    fn a_configuration_becomes_a_manifest() {
        let config = json!({
            "process": {
                "args": ["/bin/sh", "-c", "true"], "cwd": "/w", "env": ["A=1", "B=2", "A=3", "bad name=x"],
                "user": { "uid": 7, "gid": 8, "additionalGids": [9] }, "noNewPrivileges": true, "oomScoreAdj": -5,
                "capabilities": { "bounding": ["CAP_KILL"] }, "selinuxLabel": "u:r:t:s0:c1", "apparmorProfile": "p",
                "rlimits": [],
            },
            "mounts": [
                { "destination": "/proc", "type": "proc" },
                { "destination": "/data", "source": "/srv", "options": ["rbind", "ro"] },
            ],
            "linux": { "resources": { "memory": { "limit": 1000, "reservation": 500 },
                                      "cpu": { "quota": 50_000, "period": 100_000, "shares": 1 } },
                       "sysctl": { "a.b": "1" } },
            "annotations": { "org.opencontainers.image.architecture": "arm64", "x": "y" },
        });
        let (manifest, unsaid) = of(&config);
        let app = serde_json::to_value(manifest.app.as_ref().expect("it runs")).expect("JSON");
        let isolator = |name: &str, value: Value| json!({ "name": name, "value": value });
        assert_eq!(
            app,
            json!({
                "exec": ["/bin/sh", "-c", "true"], "user": "7", "group": "8", "supplementaryGIDs": [9],
                "workingDirectory": "/w",
                "environment": [{ "name": "A", "value": "3" }, { "name": "B", "value": "2" }],
                "isolators": [
                    isolator("os/linux/capabilities-retain-set", json!({ "set": ["CAP_KILL"] })),
                    isolator("os/linux/no-new-privileges", json!(true)),
                    isolator("os/linux/oom-score-adj", json!(-5)),
                    isolator("os/linux/selinux-context", json!({ "user": "u", "role": "r", "type": "t", "level": "s0:c1" })),
                    isolator("os/unix/sysctl", json!({ "a.b": "1" })),
                    isolator("resource/cpu", json!({ "limit": "500m" })),
                    isolator("resource/memory", json!({ "request": "500", "limit": "1000" })),
                ],
                "mountPoints": [{ "name": "volume-data", "path": "/data", "readOnly": true }],
                "userAnnotations": { "org.opencontainers.image.architecture": "arm64", "x": "y" },
            })
        );
        assert_eq!(manifest.label("arch"), Some("aarch64"));
        let expected =
            ["/process/env/3", "/linux/resources/cpu/shares", "/process/apparmorProfile", "/process/rlimits"];
        assert_eq!(unsaid, expected);
    }

    #[test]
    fn a_configuration_of_odd_shapes_is_taken_for_what_it_says() {
        for config in [
            json!({}),
            json!({ "process": [] }),
            json!({ "process": { "args": 5, "env": {}, "user": "x", "capabilities": { "bounding": [] } } }),
            json!({ "process": {}, "linux": { "resources": { "memory": { "limit": -1 }, "cpu": { "quota": -1 } } } }),
            json!({ "process": {}, "mounts": [1, {}], "linux": { "resources": { "cpu": { "quota": 1, "period": 0 } } } }),
        ] {
            of(&config);
        }
    }
}
