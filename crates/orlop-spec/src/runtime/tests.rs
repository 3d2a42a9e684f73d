use super::*;
use crate::Document;
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::media_type::{MediaType, OCI_CONFIG};
use crate::user::UserError;

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
    broken:x:1\n\
    app:x:1000:100::/:/bin/sh\n\
    app:x:1:1::/:/bin/sh\n\
    huge:x:4294967295:0::/:\n\
    overflow:x:4294967296:0::/:\n";
const GROUP: &[u8] = b"root:x:0:\nusers:x:100:app\nvideo:x:44:root,app\naudio:x:29:app\nappx:x:9:application\nhuge:x:3000000000:app\n";

fn image(config: &str) -> Config {
    let text = format!(
        r#"{{"architecture":"arm","os":"linux","variant":"v7","os.version":"6.1","author":"me","created":"2024-01-01T00:00:00Z",
            "rootfs":{{"type":"layers","diff_ids":[]}},"config":{config}}}"#
    );
    let bytes = text.into_bytes();
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let descriptor = Descriptor::new(MediaType::new(OCI_CONFIG), digest, bytes.len() as u64);
    Document::<Config>::open(bytes, descriptor).expect("a config").into_value()
}

fn rootfs(link: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Rootfs<'_> {
    Rootfs { passwd: Some(PASSWD), group: Some(GROUP), link }
}

fn converted_as(config: &str, options: &Options) -> Result<Runtime, RuntimeError> {
    convert(&image(config), &rootfs(&|_| None), options)
}

fn converted(config: &str) -> Result<Value, RuntimeError> {
    converted_as(config, &Options::default()).map(|runtime| runtime.config)
}

fn user(text: &str) -> Result<Value, RuntimeError> {
    let config = json!({ "Cmd": ["x"], "User": text });
    converted(&config.to_string()).map(|config| config["process"]["user"].clone())
}

#[test]
fn item_59_command_environment_and_folder_are_taken_verbatim() {
    let config = converted(
        r#"{"Entrypoint":["/a b"],"Cmd":["$x",""],"Env":["PATH=/x","A=b=c"],"WorkingDir":"/w//x/."}"#,
    );
    let process = &config.expect("fine")["process"];
    assert_eq!(process["args"], json!(["/a b", "$x", ""]));
    assert_eq!(process["env"], json!(["PATH=/x", "A=b=c"]));
    assert_eq!(process["cwd"], "/w//x/.");
    assert_eq!(process["terminal"], false);
}

#[test]
fn item_39_the_first_word_of_cmd_is_the_program_where_there_is_no_entrypoint() {
    let args = |config: &str| converted(config).map(|config| config["process"]["args"].clone());
    assert_eq!(args(r#"{"Cmd":["/bin/x","y"]}"#), Ok(json!(["/bin/x", "y"])));
    assert_eq!(args(r#"{"Entrypoint":["/bin/x"],"Cmd":null}"#), Ok(json!(["/bin/x"])));
    assert_eq!(args("{}"), Err(RuntimeError::NoCommand));
    assert_eq!(args(r#"{"Cmd":[]}"#), Err(RuntimeError::NoCommand));
}

#[test]
fn what_is_said_runs_instead_and_a_new_entrypoint_takes_the_cmd_of_the_image_away() {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).into()).collect());
    let args = |entrypoint, cmd, config| {
        let options = Options { command: Command { entrypoint, cmd }, ..Options::default() };
        converted_as(config, &options).map(|runtime| runtime.config["process"]["args"].clone())
    };
    let both = r#"{"Entrypoint":["/e"],"Cmd":["c"]}"#;
    assert_eq!(args(words(&["/n"]), None, both), Ok(json!(["/n"])));
    assert_eq!(args(None, words(&["d"]), both), Ok(json!(["/e", "d"])));
    assert_eq!(args(words(&["/n"]), words(&["d"]), both), Ok(json!(["/n", "d"])));
    assert_eq!(args(None, words(&["/sh"]), "{}"), Ok(json!(["/sh"])));
}

#[test]
fn item_60_each_name_stands_once_and_none_is_dropped() {
    let config = converted(r#"{"Cmd":["x"],"Env":["A=1","B","A=2","C="]}"#).expect("fine");
    assert_eq!(config["process"]["env"], json!(["A=2", "B=", "C=", format!("PATH={DEFAULT_PATH}")]));
    for bad in ["", "=x", "A=\0"] {
        let config = json!({ "Cmd": ["x"], "Env": [bad] }).to_string();
        assert_eq!(converted(&config), Err(RuntimeError::BadVariable(bad.into())), "{bad:?}");
    }
}

#[test]
fn item_61_fields_become_annotations_and_labels_win() {
    let config = converted(
        r#"{"Cmd":["x"],"StopSignal":"SIGINT","ExposedPorts":{"80/tcp":{},"53/udp":{}},
            "Labels":{"org.opencontainers.image.author":"label","a":"b"}}"#,
    );
    let expected = json!({
        "a": "b",
        "org.opencontainers.image.architecture": "arm",
        "org.opencontainers.image.author": "label",
        "org.opencontainers.image.created": "2024-01-01T00:00:00Z",
        "org.opencontainers.image.exposedPorts": "53/udp,80/tcp",
        "org.opencontainers.image.os": "linux",
        "org.opencontainers.image.os.version": "6.1",
        "org.opencontainers.image.stopSignal": "SIGINT",
        "org.opencontainers.image.variant": "v7",
    });
    assert_eq!(config.expect("fine")["annotations"], expected);
}

#[test]
fn item_65_and_j7_labels_are_data_and_nothing_else() {
    let value = "$(rm -rf /)\u{1b}]52;c;x\u{7}\n";
    let config = json!({ "Cmd": ["x"], "Labels": { "io.katacontainers.config.hypervisor.path": value, "hooks": value } });
    let config = converted(&config.to_string()).expect("fine");
    assert_eq!(config["annotations"]["hooks"], value);
    let mut without = config.clone();
    without["annotations"] = json!({});
    assert!(!without.to_string().contains("rm -rf"), "a label is found nowhere else");
    assert!(config.get("hooks").is_none());
}

#[test]
fn j7_no_label_reaches_a_runtime_that_is_started_right_away() {
    let config = r#"{"Cmd":["x"],"Labels":{"run.oci.pidfd_receiver":"/run/host.sock"}}"#;
    let options = |labels| Options { labels, ..Options::default() };
    let converted = |labels| converted_as(config, &options(labels)).expect("fine");
    assert!(converted(Labels::Annotations).config.to_string().contains("pidfd_receiver"));
    assert_eq!(*converted(Labels::Annotations).obeyed, ["run.oci.pidfd_receiver".into()], "it is told");
    assert!(!converted(Labels::LeftOut).config.to_string().contains("pidfd_receiver"));
    assert!(converted(Labels::LeftOut).obeyed.is_empty());
}

#[test]
fn item_62_numbers_are_verbatim_and_names_are_those_of_the_image() {
    assert_eq!(user(""), Ok(json!({ "uid": 0, "gid": 0 })));
    assert_eq!(user("7:8"), Ok(json!({ "uid": 7, "gid": 8 })));
    assert_eq!(user("7"), Ok(json!({ "uid": 7, "gid": 0 })));
    assert_eq!(user("1000"), Ok(json!({ "uid": 1000, "gid": 100 })));
    assert_eq!(user("app:video"), Ok(json!({ "uid": 1000, "gid": 44 })));
    assert_eq!(user("app:5"), Ok(json!({ "uid": 1000, "gid": 5 })));
    assert_eq!(user("nobody"), Err(RuntimeError::UnknownUser("nobody".into())));
    assert_eq!(user("broken"), Err(RuntimeError::UnknownUser("broken".into())));
    assert_eq!(user("app:nogroup"), Err(RuntimeError::UnknownGroup("nogroup".into())));
    let none = Rootfs { passwd: None, group: None, link: &|_| None };
    let named = convert(&image(r#"{"Cmd":["x"],"User":"root"}"#), &none, &Options::default());
    assert_eq!(named, Err(RuntimeError::UnknownUser("root".into())));
}

#[test]
fn item_63_further_groups_only_for_a_name_without_a_group() {
    assert_eq!(user("app"), Ok(json!({ "uid": 1000, "gid": 100, "additionalGids": [29, 44] })));
    assert_eq!(user("root"), Ok(json!({ "uid": 0, "gid": 0, "additionalGids": [44] })));
    assert_eq!(user("app:app"), Err(RuntimeError::UnknownGroup("app".into())));
}

#[test]
fn j6_no_number_wraps_to_root() {
    for text in ["4294967296", "2147483648", "0:4294967296"] {
        assert_eq!(user(text), Err(RuntimeError::User(UserError::TooHigh(text.into()))), "{text}");
    }
    for text in ["-1", "0x0", " 0"] {
        assert_eq!(user(text), Err(RuntimeError::User(UserError::Malformed(text.into()))), "{text}");
    }
    assert_eq!(user("huge"), Err(RuntimeError::IdTooHigh { user: "huge".into(), id: u32::MAX }));
    assert_eq!(user("overflow"), Err(RuntimeError::UnknownUser("overflow".into())));
    assert_eq!(user("0:huge"), Err(RuntimeError::IdTooHigh { user: "0:huge".into(), id: 3_000_000_000 }));
}

#[test]
fn item_64_volumes_are_memory_that_starts_as_the_image_has_it() {
    let config = converted(r#"{"Cmd":["x"],"Volumes":{"/data/":{},"/data":{},"/a/./b":{}}}"#).expect("fine");
    let mounts = config["mounts"].as_array().expect("mounts");
    let added: Vec<_> =
        mounts.iter().filter(|mount| mount["options"].to_string().contains("tmpcopyup")).collect();
    let places: Vec<_> = added.iter().map(|mount| &mount["destination"]).collect();
    assert_eq!(places, ["/a/b", "/data"]);
    assert!(added.iter().all(|mount| mount["type"] == "tmpfs" && mount["source"] == "tmpfs"));
}

#[test]
fn p8_volumes_never_name_what_is_not_the_images() {
    for bad in ["", "/", "//", "/.", "data", "/../etc", "/a/../..", "/proc", "/proc/sys", "/sys", "/dev/shm"]
    {
        let config = json!({ "Cmd": ["x"], "Volumes": { bad: {} } });
        assert_eq!(converted(&config.to_string()), Err(RuntimeError::BadVolume(bad.into())), "{bad:?}");
    }
}

#[test]
fn item_67_no_link_leads_the_working_folder_out() {
    let links = |path: &[u8]| {
        let target: &[u8] = match path {
            b"/fd" => b"/proc/self/fd/8",
            b"/climb" => b"../../../proc/self/fd/8",
            b"/a/b" => b"../fd",
            b"/loop" => b"loop",
            b"/good" => b"srv/app",
            b"/up" => b"..",
            b"/proc" => b"/etc",
            _ => return None,
        };
        Some(target.to_vec())
    };
    let cwd = |folder: &str| {
        let config = json!({ "Cmd": ["x"], "WorkingDir": folder }).to_string();
        convert(&image(&config), &rootfs(&links), &Options::default()).map(|_| ())
    };
    let longest = format!("/{}", "a/".repeat(2047));
    assert_eq!(cwd(&longest), Ok(()));
    assert!(cwd(&format!("{longest}aa")).is_err(), "longer than any path of the kernel");
    for good in
        ["/", "", "/good", "/good/deep", "/srv/../good", "/up/up/srv", "/proc", "/none/../x", "/processes"]
    {
        assert_eq!(cwd(good), Ok(()), "{good}");
    }
    for bad in [
        "/fd",
        "/climb",
        "/a/b",
        "/a/./b/c",
        "/loop",
        "/proc/self/fd/8",
        "/proc/self/..",
        "/./proc//self",
        "/up/fd",
        "/dev/fd/8",
        "/x/../proc/1/cwd",
        "srv",
        "./srv",
        "/a\0b",
    ] {
        assert_eq!(cwd(bad), Err(RuntimeError::BadWorkingDir(bad.into())), "{bad:?}");
    }
}

#[test]
fn a_rootless_configuration_holds_only_what_its_mappings_hold() {
    let mapping = |container, host, size| IdMapping { container, host, size };
    let rootless = |users: &[IdMapping], groups: &[IdMapping]| Options {
        privilege: Privilege::Rootless { users: users.to_vec(), groups: groups.to_vec() },
        ..Options::default()
    };
    let one = [mapping(0, 1000, 1)];
    let many = [mapping(0, 1000, 1), mapping(1, 100_000, 40)];
    let root = converted_as(r#"{"Cmd":["x"],"User":"root"}"#, &rootless(&one, &one)).expect("root is mapped");
    assert_eq!(root.lost_groups, [44]);
    let linux = &root.config["linux"];
    assert_eq!(linux["uidMappings"], json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]));
    assert!(linux.get("resources").is_none());
    let text = root.config.to_string();
    assert!(!text.contains("cgroup") && !text.contains("gid=5"), "{text}");
    let app = converted_as(r#"{"Cmd":["x"],"User":"app"}"#, &rootless(&many, &many));
    assert_eq!(app, Err(RuntimeError::NotMapped { user: 1000, group: 100 }));
    let kept = Options { unmapped: Unmapped::Written, ..rootless(&many, &many) };
    let kept = converted_as(r#"{"Cmd":["x"],"User":"app"}"#, &kept).expect("written");
    assert_eq!(kept.unmapped, Some((1000, 100)));
    assert_eq!(kept.config["process"]["user"]["uid"], 1000);
    let seven = converted_as(
        r#"{"Cmd":["x"],"User":"root"}"#,
        &rootless(&many, &[mapping(0, 1000, 1), mapping(40, 9, 5)]),
    );
    assert_eq!(seven.map(|runtime| runtime.lost_groups), Ok(vec![]));
}

/// A namespace entered before, with 40 subordinate ids.
fn within() -> Privilege {
    let mapping = |container, host, size| IdMapping { container, host, size };
    let many = vec![mapping(0, 1000, 1), mapping(1, 100_000, 40)];
    Privilege::Within { users: many.clone(), groups: many }
}

fn namespaces(config: &Value) -> Vec<String> {
    let all = config["linux"]["namespaces"].as_array().expect("some");
    all.iter().map(|it| it["type"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn within_a_namespace_no_further_one_is_made_and_unmapped_users_are_refused() {
    let options = Options { privilege: within(), ..Options::default() };
    let config = converted_as(r#"{"Cmd":["x"],"User":"7"}"#, &options).expect("mapped").config;
    assert_eq!(namespaces(&config), ["pid", "ipc", "uts", "mount"]);
    assert!(config["linux"].get("uidMappings").is_none() && config["linux"].get("resources").is_none());
    assert!(config["mounts"].to_string().contains("gid=5"), "group 5 is mapped");
    let app = converted_as(r#"{"Cmd":["x"],"User":"app"}"#, &options);
    assert_eq!(app, Err(RuntimeError::NotMapped { user: 1000, group: 100 }));
}

#[test]
fn the_network_is_what_was_asked_for_whoever_asks() {
    let seen = |privilege, network| {
        let options = Options { privilege, network, ..Options::default() };
        let config = converted_as(r#"{"Cmd":["x"]}"#, &options).expect("fine").config;
        let sys = config["mounts"].as_array().expect("mounts").iter().find(|it| it["destination"] == "/sys");
        let kind = sys.expect("there")["type"].as_str().expect("text").to_owned();
        (namespaces(&config).contains(&"network".to_owned()), kind)
    };
    let (own, hosts) = ((true, "sysfs".to_owned()), (false, "none".to_owned()));
    assert_eq!(seen(Privilege::Root, None), own);
    assert_eq!(seen(Privilege::Root, Some(Network::Host)), (false, "sysfs".to_owned()));
    assert_eq!(seen(within(), None), hosts);
    assert_eq!(seen(within(), Some(Network::Own)), own);
}

#[test]
fn what_the_caller_says_of_the_process_wins_over_the_image() {
    let process = Process {
        user: Some("app:5".into()),
        working_dir: Some("/w".into()),
        environment: vec!["A=3".into(), "C=4".into()],
        terminal: Terminal::Yes,
        size: Some((40, 100)),
        home: Home::OfAccount,
    };
    let image = r#"{"Cmd":["x"],"User":"nobody","WorkingDir":"relative","Env":["A=1","B=2"]}"#;
    let config = converted_as(image, &Options { process, ..Options::default() }).expect("fine").config;
    let process = &config["process"];
    assert_eq!(process["user"], json!({ "uid": 1000, "gid": 5 }));
    assert_eq!(process["cwd"], "/w");
    assert_eq!(process["terminal"], true);
    assert_eq!(process["consoleSize"], json!({ "height": 40, "width": 100 }));
    let path = format!("PATH={DEFAULT_PATH}");
    assert_eq!(process["env"], json!(["A=3", "B=2", "C=4", path, "TERM=xterm", "HOME=/"]));
    let root =
        Options { process: Process { home: Home::OfAccount, ..Process::default() }, ..Options::default() };
    let config = converted_as(r#"{"Cmd":["x"],"User":"root"}"#, &root).expect("fine").config;
    assert_eq!(config["process"]["env"], json!([path, "HOME=/root"]));
}

#[test]
fn p8_volumes_of_the_caller_stand_where_it_says_and_hide_those_of_the_image() {
    let volume = |target: &str, access| Volume { source: "/srv/x".into(), target: target.into(), access };
    let mounts = |volumes: Vec<Volume>| {
        let options = Options { volumes, ..Options::default() };
        converted_as(r#"{"Cmd":["x"],"Volumes":{"/data":{},"/data/b":{}}}"#, &options)
            .map(|runtime| runtime.config["mounts"].as_array().expect("mounts")[7..].to_vec())
    };
    let found =
        mounts(vec![volume("/data/", Access::ReadOnly), volume("/a", Access::ReadWrite)]).expect("fine");
    let bound = |place: &str, access: &str| json!({ "destination": place, "type": "bind", "source": "/srv/x", "options": ["rbind", "rprivate", access] });
    assert_eq!(found[..2], [bound("/a", "rw"), bound("/data", "ro")]);
    assert_eq!((&found[2]["destination"], &found[2]["type"]), (&json!("/data/b"), &json!("tmpfs")));
    for bad in ["", "/", "data", "/a/../b", "/a\0"] {
        let error = mounts(vec![volume(bad, Access::ReadWrite)]).err();
        assert_eq!(error, Some(RuntimeError::BadMount(bad.into())), "{bad:?}");
    }
    let twice = mounts(vec![volume("/a", Access::ReadWrite), volume("//a/.", Access::ReadOnly)]);
    assert_eq!(twice, Err(RuntimeError::MountTwice("/a".into())));
}

#[test]
fn j7_no_word_of_an_image_is_a_path_or_a_command_of_the_host() {
    let shell = "$(touch /tmp/owned); `id` && /bin/sh -c /etc/shadow";
    let hostile = json!({
        "Cmd": ["x"], "Env": [format!("LD_PRELOAD={shell}")], "StopSignal": shell,
        "Volumes": { format!("/v/{shell}"): {} }, "ExposedPorts": { shell: {} },
        "Labels": { "run.oci.handler": shell, "io.podman.annotations.init": "TRUE", shell: shell },
    });
    let config = converted(&hostile.to_string()).expect("fine");
    assert!(config.get("hooks").is_none());
    for mount in config["mounts"].as_array().expect("mounts") {
        assert!(!mount["source"].to_string().contains("touch"), "{mount}");
        assert_ne!(mount["type"], "bind", "{mount}");
    }
    for part in ["linux", "root", "hostname"] {
        assert!(!config[part].to_string().contains("touch"), "{part}");
    }
    assert_eq!(config["process"]["args"], json!(["x"]));
}

#[test]
fn resources_are_limited_only_where_it_is_said() {
    let resources = |resources| {
        let options = Options { resources, ..Options::default() };
        converted_as(r#"{"Cmd":["x"]}"#, &options).expect("fine").config["linux"]["resources"].clone()
    };
    let devices = json!([{ "access": "rwm", "allow": false }]);
    assert_eq!(resources(Resources::default()), json!({ "devices": devices }));
    let limits = Resources { memory: Some(1 << 20), cpus: Some("0.5".parse().expect("a number")) };
    let cpu = json!({ "period": 100_000, "quota": 50_000 });
    assert_eq!(resources(limits), json!({ "cpu": cpu, "devices": devices, "memory": { "limit": 1 << 20 } }));
}

#[test]
fn limits_are_clamped_to_what_the_caller_may_set() {
    let limits = |open_files| {
        let options = Options { open_files, ..Options::default() };
        let runtime = converted_as(r#"{"Cmd":["x"]}"#, &options).expect("fine");
        runtime.config["process"].get("rlimits").cloned()
    };
    assert_eq!(limits(None), None);
    assert_eq!(
        limits(Some(20_000)),
        Some(json!([{ "hard": 20_000, "soft": 1024, "type": "RLIMIT_NOFILE" }]))
    );
    assert_eq!(limits(Some(64)), Some(json!([{ "hard": 64, "soft": 64, "type": "RLIMIT_NOFILE" }])));
}

#[test]
fn item_33_the_same_image_gives_the_same_bytes() {
    let options = Options { hostname: Some("h".into()), root: Access::ReadOnly, ..Options::default() };
    let bytes =
        || converted_as(r#"{"Cmd":["x"],"Labels":{"b":"1","a":"2"}}"#, &options).expect("fine").to_bytes();
    let text = String::from_utf8(bytes()).expect("text");
    assert_eq!(text.as_bytes(), bytes());
    let keys: Vec<_> = text.lines().filter(|line| line.starts_with("  \"")).collect();
    assert!(keys.is_sorted() && keys.len() == 7, "{keys:?}");
}
