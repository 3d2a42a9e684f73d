//! From words to a running image: instructions change a config, the config becomes a runtime's. What comes out
//! never starts in a folder, mounts a volume or runs as a number that the image must not name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_spec::config::Execution;
use orlop_spec::runtime::{self, Command, Options, Rootfs};
use orlop_spec::user::HIGHEST_ID;
use orlop_spec::{Config, Platform, Timestamp, change};
use serde_json::json;

fuzz_target!(|input: (&str, &[u8], &[u8])| {
    let (text, accounts, link) = input;
    words(text);
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] },
        "config": { "Cmd": ["x"], "User": text.lines().next(), "WorkingDir": text.lines().nth(1) },
    });
    let mut image: Config = serde_json::from_value(config).expect("a config");
    convert(&image, accounts, link);
    if let Ok(execution) = change::apply(Execution::default(), text.split(";;")) {
        image.config = Some(execution);
        convert(&image, accounts, link);
    }
});

/// Texts that have one printed form.
fn words(text: &str) {
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse(), Ok(time));
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse(), Ok(platform));
    }
}

fn convert(image: &Config, accounts: &[u8], link: &[u8]) {
    let read = |path: &[u8]| (path.len() % 3 == 0).then(|| link.to_vec());
    let rootfs = Rootfs { passwd: Some(accounts), group: Some(accounts), link: &read };
    let command = Command { cmd: Some(vec!["sh".into()]), ..Command::default() };
    let options = Options { command, ..Options::default() };
    let Ok(found) = runtime::convert(image, &rootfs, &options) else { return };
    let process = &found.config["process"];
    for id in ["uid", "gid"] {
        assert!(process["user"][id].as_u64().expect("a number") <= u64::from(HIGHEST_ID));
    }
    let folder = process["cwd"].as_str().expect("text");
    let parts: Vec<_> = folder.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    assert!(
        folder.starts_with('/')
            && !(parts.len() > 1 && matches!(parts[0], "proc" | "dev") && parts[1] != "..")
    );
    for mount in found.config["mounts"].as_array().expect("a list") {
        let place = mount["destination"].as_str().expect("text");
        assert!(
            place.starts_with('/') && place.len() > 1 && !place.split('/').any(|part| part == ".."),
            "{place}"
        );
    }
}
