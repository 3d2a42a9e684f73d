//! The runtime configuration, judged by the schema of the runtime specification and by runc.

mod schema;

use orlop_spec::config::{Config, Execution, RootFs};
use orlop_spec::runtime::{
    self, Access, IdMapping, Network, Options, Privilege, Process, Resources, Rootfs, Terminal, Volume,
};
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use testkit::{Command, Peer, Scratch, proof};

const SCHEMA: &str = "runtime-spec/config-schema.json";

fn words(words: &[&str]) -> Vec<Box<str>> {
    words.iter().map(|word| (*word).into()).collect()
}

/// An image that uses every field that the conversion reads.
fn image(command: &[&str]) -> Config {
    let execution = Execution {
        user: Some("app:video".into()),
        exposed_ports: [("80/tcp".into(), json!({}))].into(),
        env: words(&["A=1", "B"]),
        entrypoint: Some(words(command)),
        volumes: [("/data".into(), json!({})), ("/var/lib/x".into(), json!({}))].into(),
        working_dir: Some("/srv".into()),
        labels: [("a".into(), "b".into())].into(),
        stop_signal: Some("SIGINT".into()),
        ..Execution::default()
    };
    Config {
        created: Some("2024-01-01T00:00:00Z".into()),
        author: Some("me".into()),
        architecture: "amd64".into(),
        os: "linux".into(),
        os_version: Some("6".into()),
        os_features: words(&["x"]),
        variant: Some("v2".into()),
        config: Some(execution),
        rootfs: RootFs { kind: "layers".into(), diff_ids: Vec::new(), extra: serde_json::Map::new() },
        history: Vec::new(),
        extra: serde_json::Map::new(),
    }
}

const PASSWD: &[u8] = b"root:x:0:0::/:/bin/sh\napp:x:7:8::/:/bin/sh\n";
const GROUP: &[u8] = b"root:x:0:\nvideo:x:9:app\n";
const ROOTFS: Rootfs<'_> = Rootfs { passwd: Some(PASSWD), group: Some(GROUP), link: &|_| None };

fn rootless(id: u32) -> Privilege {
    let map = |host| vec![IdMapping { container: 0, host, size: 1 }];
    Privilege::Rootless { users: map(id), groups: map(id) }
}

#[test]
fn item_66_the_result_is_valid_by_the_schema() {
    let mut root = image(&["/bin/sh"]);
    let options = Options { open_files: Some(5000), hostname: Some("h".into()), ..Options::default() };
    let config = runtime::convert(&root, &ROOTFS, &options).expect("fine").config;
    assert_eq!(schema::faults(SCHEMA, &config), [""; 0]);
    root.config.as_mut().expect("set").user = None;
    let options = Options { privilege: rootless(1000), ..Options::default() };
    let config = runtime::convert(&root, &ROOTFS, &options).expect("fine").config;
    assert_eq!(schema::faults(SCHEMA, &config), [""; 0]);

    let map = || vec![IdMapping { container: 0, host: 1000, size: 1 }];
    let volume = Volume { source: "/srv".into(), target: "/mnt".into(), access: Access::ReadOnly };
    let options = Options {
        privilege: Privilege::Within { users: map(), groups: map() },
        process: Process { terminal: Terminal::Yes, size: Some((40, 100)), ..Process::default() },
        network: Some(Network::Own),
        volumes: vec![volume],
        resources: Resources { memory: Some(1 << 30), cpus: "1.5".parse().ok() },
        ..Options::default()
    };
    let within = runtime::convert(&root, &ROOTFS, &options).expect("fine").config;
    assert_eq!(schema::faults(SCHEMA, &within), [""; 0]);

    let mut broken = config.clone();
    broken["process"]["cwd"] = json!(1);
    broken["linux"]["namespaces"][0]["type"] = json!("nothing");
    broken["mounts"][0] = json!({});
    assert_eq!(schema::faults(SCHEMA, &broken).len(), 3, "the checker sees what is wrong");
}

/// A container in a bundle with the machine's busybox as the whole root file system. It shows who and where it
/// is and what its volume holds, and ends with 7.
const SCRIPT: &str = "b=/bin/busybox; $b id -u; $b id -G; $b pwd; $b cat /data/old; echo; echo $A $PATH; \
    $b touch /data/new /dev/shm/x || exit 1; exit 7";
const FOLDERS: [&str; 9] = ["bin", "data", "srv", "etc", "proc", "dev", "sys", "var/lib/x", "tmp"];

fn bundle(scratch: &Scratch, busybox: &Path, user: Option<&str>, options: &Options) -> PathBuf {
    let rootfs = scratch.folder("bundle/rootfs");
    for folder in FOLDERS {
        fs::create_dir_all(rootfs.join(folder)).expect("ours");
    }
    fs::copy(busybox, rootfs.join("bin/busybox")).expect("busybox");
    fs::write(rootfs.join("data/old"), "of the image").expect("ours");
    fs::set_permissions(rootfs.join("data"), Permissions::from_mode(0o777)).expect("ours");
    let mut image = image(&["/bin/busybox", "sh", "-c", SCRIPT]);
    image.config.as_mut().expect("set").user = user.map(Into::into);
    let config = runtime::convert(&image, &ROOTFS, options).expect("fine");
    scratch.file("bundle/config.json", config.to_bytes());
    scratch.path("bundle")
}

fn run(runc: &Peer, scratch: &Scratch, bundle: &Path) -> Command {
    runc.command()
        .arg("--root")
        .arg(scratch.path("state"))
        .args(["run", "--bundle"])
        .arg(bundle)
        .arg(format!("orlop-{}", scratch.root().file_name().expect("a name").to_string_lossy()))
}

/// The runtime and a busybox, or a report that they are missing.
fn peers(proof: &str, runtime: &str) -> Option<(Peer, PathBuf)> {
    let found = testkit::peer(runtime).zip(testkit::engine::static_busybox());
    if found.is_none() {
        proof::skipped(proof, &format!("{runtime} or a static busybox is missing"));
    }
    found
}

/// Users of the image, and what the process then sees as its user and groups.
const USERS: &[(Option<&str>, &str)] = &[
    (None, "0\n0"),
    (Some("app:video"), "7\n9"),
    (Some("app"), "7\n8 9"),
    (Some("7"), "7\n8"),
    (Some("1234:5678"), "1234\n5678"),
];
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[test]
fn item_66_r1_runc_runs_it_as_root() {
    const PROOF: &str = "runtime: runc runs a bundle as root";
    let Some((runc, busybox)) = peers(PROOF, "runc") else { return };
    if !testkit::is_root() {
        return proof::not_offered(PROOF, "the tests do not run as root");
    }
    let options = Options { open_files: Some(1024), hostname: Some("h".into()), ..Options::default() };
    for (user, shown) in USERS {
        let scratch = testkit::scratch();
        let bundle = bundle(&scratch, &busybox, *user, &options);
        let done = run(&runc, &scratch, &bundle).run();
        assert_eq!(done.code(), Some(7), "{done}");
        assert_eq!(done.out(), format!("{shown}\n/srv\nof the image\n1 {PATH}\n"), "{user:?}");
        let leaked = bundle.join("rootfs/data/new").exists();
        assert!(!leaked, "what goes into a volume is not in the root file system");
    }
    proof::ran(PROOF, USERS.len());
}

/// Crun refuses the hybrid hierarchy of cgroups, so it gets a view of the machine without the unified tree.
#[test]
fn item_66_r1_crun_runs_it_as_root() {
    const PROOF: &str = "runtime: crun runs a bundle as root";
    const PRIVATE: &str = "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$0\" \"$@\"";
    let Some((crun, busybox)) = peers(PROOF, "crun") else { return };
    if !testkit::is_root() {
        return proof::not_offered(PROOF, "the tests do not run as root");
    }
    for (user, shown) in USERS {
        let scratch = testkit::scratch();
        let bundle = bundle(&scratch, &busybox, *user, &Options::default());
        let done = run(&crun, &scratch, &bundle).under(["unshare", "--mount", "sh", "-c", PRIVATE]).run();
        assert_eq!(done.code(), Some(7), "{done}");
        assert_eq!(done.out(), format!("{shown}\n/srv\nof the image\n1 {PATH}\n"), "{user:?}");
    }
    proof::ran(PROOF, USERS.len());
}

#[test]
fn item_66_r1_runc_runs_it_without_privilege() {
    const PROOF: &str = "runtime: runc runs a bundle rootless";
    const NOBODY: u32 = 65534;
    let Some((runc, busybox)) = peers(PROOF, "runc") else { return };
    if !testkit::is_root() {
        return proof::not_offered(PROOF, "only root can become nobody");
    }
    let probe =
        Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).unprivileged().run();
    if !probe.success() {
        return proof::not_offered(PROOF, "no user namespaces for ordinary users");
    }
    let scratch = testkit::scratch();
    let options = Options { privilege: rootless(NOBODY), ..Options::default() };
    let bundle = bundle(&scratch, &busybox, None, &options);
    scratch.folder("state");
    Command::new("chown").args(["-R", "65534:65534"]).arg(scratch.root()).ok();
    let done =
        run(&runc, &scratch, &bundle).env("XDG_RUNTIME_DIR", scratch.path("state")).unprivileged().run();
    assert_eq!(done.code(), Some(7), "{done}");
    assert_eq!(done.out(), format!("0\n0\n/srv\nof the image\n1 {PATH}\n"));
    assert!(
        !bundle.join("rootfs/data/new").exists(),
        "what goes into a volume is not in the root file system"
    );
    proof::ran(PROOF, 1);
}
