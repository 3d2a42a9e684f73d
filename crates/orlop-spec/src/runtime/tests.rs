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
    let seven = converted_as(
        r#"{"Cmd":["x"],"User":"root"}"#,
        &rootless(&many, &[mapping(0, 1000, 1), mapping(40, 9, 5)]),
    );
    assert_eq!(seven.map(|runtime| runtime.lost_groups), Ok(vec![]));
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
    let options = Options { hostname: Some("h".into()), root: RootAccess::ReadOnly, ..Options::default() };
    let bytes =
        || converted_as(r#"{"Cmd":["x"],"Labels":{"b":"1","a":"2"}}"#, &options).expect("fine").to_bytes();
    let text = String::from_utf8(bytes()).expect("text");
    assert_eq!(text.as_bytes(), bytes());
    let keys: Vec<_> = text.lines().filter(|line| line.starts_with("  \"")).collect();
    assert!(keys.is_sorted() && keys.len() == 7, "{keys:?}");
}
