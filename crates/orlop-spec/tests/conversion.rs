//! The conversion of configs, beside umoci's: both read the same image, and where they do not agree a line of the
//! table says who follows the specification.

use orlop_spec::runtime::{self, Options, Rootfs};
use serde_json::{Map, Value, json};
use std::fs;
use testkit::image::{Image, Layer, Packing};
use testkit::tarball::{Member, tar};
use testkit::{Peer, proof};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:7:8::/:/bin/sh\n";
const GROUP: &str = "root:x:0:\nvideo:x:9:app\naudio:x:4:root,app\nstaff:x:8:app\n";

/// A part of the result in which umoci differs, and why we do not follow.
type Ruling = (&'static str, &'static str);

const NUMBER: Ruling =
    ("groups", "further groups are for a name without a group; umoci looks numbers up too");
const LABEL: Ruling = ("annotations", "a label wins over the field that it repeats; umoci's field wins");

/// Members of an image's `config`, and the rulings on it.
fn cases() -> Vec<(Value, &'static [Ruling])> {
    vec![
        (json!({ "Cmd": ["/bin/true", "a b", ""], "User": "root" }), &[]),
        (json!({ "Cmd": ["x"] }), &[NUMBER]),
        (json!({ "Cmd": ["x"], "User": "7" }), &[NUMBER]),
        (json!({ "Cmd": ["x"], "User": "7:0" }), &[]),
        (json!({ "Cmd": ["x"], "User": "7:video" }), &[]),
        (json!({ "Cmd": ["x"], "User": "1234:5678" }), &[]),
        (json!({ "Cmd": ["x"], "User": "app" }), &[]),
        (json!({ "Cmd": ["x"], "User": "app:video" }), &[]),
        (json!({ "Entrypoint": ["/x"], "Cmd": ["y"], "User": "app", "WorkingDir": "/srv" }), &[]),
        (json!({ "Cmd": ["x"], "User": "app", "Env": ["A=1", "B=2=3", "PATH=/p"] }), &[]),
        (json!({ "Cmd": ["x"], "User": "app", "StopSignal": "SIGINT" }), &[]),
        (json!({ "Cmd": ["x"], "User": "app", "ExposedPorts": { "80/tcp": {}, "53/udp": {} } }), &[]),
        (json!({ "Cmd": ["x"], "User": "app", "Labels": { "a": "b" } }), &[]),
        (
            json!({ "Cmd": ["x"], "User": "app", "Labels": { "org.opencontainers.image.author": "label" } }),
            &[LABEL],
        ),
        (json!({ "Cmd": ["x"], "User": "app", "Volumes": { "/data": {}, "/var/lib/x": {} } }), &[]),
    ]
}

/// What a runtime's configuration takes from the image. Left out is what umoci adds to any image (`HOME`, `TERM`,
/// empty annotations, the user's own group among the further ones), and the order of what has none.
fn taken(config: &Value) -> Map<String, Value> {
    const KNOWN: [&str; 7] =
        ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"];
    let process = &config["process"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let places = list(&config["mounts"]).into_iter().map(|mount| mount["destination"].clone());
    let mut volumes: Vec<_> = places.filter(|place| !KNOWN.iter().any(|known| place == known)).collect();
    // The order in which umoci adds them differs from run to run.
    volumes.sort_by(|a, b| text(a).cmp(text(b)));
    let mut environment: Vec<_> = list(&process["env"]).iter().map(|entry| text(entry).to_owned()).collect();
    environment.retain(|entry| !entry.starts_with("HOME=") && !entry.starts_with("TERM="));
    environment.sort();
    let user = &process["user"];
    let mut groups = list(&user["additionalGids"]);
    groups.retain(|group| *group != user["gid"]);
    groups.sort_by_key(Value::as_u64);
    let mut annotations = config["annotations"].as_object().cloned().unwrap_or_default();
    annotations.retain(|_, value| value != "");
    let taken = json!({
        "args": process["args"], "cwd": process["cwd"], "env": environment, "volumes": volumes,
        "user": [user["uid"], user["gid"]], "groups": groups, "annotations": annotations,
    });
    let Value::Object(taken) = taken else { panic!("an object") };
    taken
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn image(execution: Value) -> Image {
    let layer =
        tar([Member::folder("etc"), Member::file("etc/passwd", PASSWD), Member::file("etc/group", GROUP)]);
    Image::new().layer(Layer::new(&layer, Packing::Gzip)).config(move |mut config| {
        config["config"] = execution;
        config["author"] = json!("me");
        config["created"] = json!("2024-01-01T00:00:00Z");
        config
    })
}

fn ours(config: &[u8]) -> Map<String, Value> {
    let image = serde_json::from_slice(config).expect("a config");
    let rootfs = Rootfs { passwd: Some(PASSWD.as_bytes()), group: Some(GROUP.as_bytes()), link: &|_| None };
    taken(&runtime::convert(&image, &rootfs, &Options::default()).expect("a fine image").config)
}

fn theirs(umoci: &Peer, folder: &std::path::Path) -> Map<String, Value> {
    let bundle = folder.with_file_name("bundle");
    let image = format!("{}:latest", folder.display());
    umoci.command().args(["unpack", "--image", &image]).arg(&bundle).ok();
    let config = fs::read(bundle.join("config.json")).expect("a bundle has its configuration");
    taken(&serde_json::from_slice(&config).expect("JSON"))
}

/// items 59, 61, 62, 63 and 64
#[test]
fn what_is_taken_from_an_image_is_what_umoci_takes() {
    const PROOF: &str = "runtime: umoci converts configs to the same";
    let Some(umoci) = testkit::peer("umoci") else { return proof::skipped(PROOF, "umoci is missing") };
    if !testkit::is_root() {
        return proof::not_offered(PROOF, "umoci gives files away, and the tests do not run as root");
    }
    let cases = cases();
    for (execution, differs) in &cases {
        let scratch = testkit::scratch();
        let layout = image(execution.clone()).layout();
        layout.write(&scratch.folder("layout"));
        let (ours, theirs) =
            (ours(&layout.files[&layout.config_path()]), theirs(&umoci, &scratch.path("layout")));
        for (part, value) in &ours {
            match differs.iter().find(|(name, _)| name == part) {
                None => assert_eq!(value, &theirs[part], "{part} of {execution}"),
                Some((_, why)) => {
                    assert_ne!(value, &theirs[part], "{part} of {execution}: gone is that {why}");
                }
            }
        }
    }
    proof::ran(PROOF, cases.len());
}
