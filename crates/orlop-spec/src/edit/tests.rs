use super::*;
use crate::config::RootFs;

fn pair(text: &str) -> Pair {
    text.parse().expect(text)
}

fn config() -> Config {
    let kind = "layers".into();
    Config {
        created: None,
        author: None,
        architecture: "amd64".into(),
        os: "linux".into(),
        os_version: None,
        os_features: Vec::new(),
        variant: None,
        config: None,
        rootfs: RootFs { kind, diff_ids: Vec::new(), extra: Map::new() },
        history: Vec::new(),
        extra: Map::new(),
    }
}

fn edited(edit: &Edit) -> Config {
    edit.apply(config()).expect("nothing to refuse")
}

#[test]
fn nothing_said_changes_nothing() {
    assert_eq!(edited(&Edit::default()), config());
}

#[test]
fn item_60_a_name_keeps_its_place_and_stands_once() {
    let mut execution =
        Execution { env: ["A=1", "B=2", "A=3", "C"].map(Into::into).into(), ..Execution::default() };
    execution.set_env(&pair("A=4=5"));
    execution.set_env(&pair("C=6"));
    execution.set_env(&pair("D="));
    assert_eq!(execution.env, ["A=4=5", "B=2", "C=6", "D="].map(Box::from));
    assert_eq!(execution.env_value("A"), Some("4=5"));
}

#[test]
fn item_36_unknown_fields_survive_an_edit() {
    let mut before = config();
    before.extra.insert("x-own".into(), true.into());
    let mut execution = Execution::default();
    execution.extra.insert("ArgsEscaped".into(), true.into());
    before.config = Some(execution);
    let after = Edit { author: Some("me".into()), ..Edit::default() }.apply(before.clone()).expect("fine");
    assert_eq!(after.extra, before.extra);
    assert_eq!(after.config, before.config);
}

#[test]
fn item_38_a_machine_names_architecture_and_variant() {
    let said = |architecture: &str, variant: Option<&str>| {
        let variant = variant.map(Into::into);
        let config = edited(&Edit { architecture: Some(architecture.into()), variant, ..Edit::default() });
        (config.architecture.to_string(), config.variant.map(String::from))
    };
    assert_eq!(said("i686", None), ("386".into(), None));
    assert_eq!(said("armv6l", None), ("arm".into(), Some("v6".into())));
    assert_eq!(said("arm", None), ("arm".into(), None));
    assert_eq!(said("arm", Some("v5")), ("arm".into(), Some("v5".into())));
}

#[test]
fn item_39_an_entrypoint_removes_an_inherited_command() {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).into()).collect::<Vec<Box<str>>>());
    let mut base = config();
    base.config = Some(Execution { cmd: words(&["old"]), ..Execution::default() });
    let edit = Edit { entrypoint: words(&["/app"]), ..Edit::default() };
    let after = edit.apply(base.clone()).expect("fine").config.expect("set");
    assert_eq!((after.entrypoint, after.cmd), (words(&["/app"]), None));
    let edit = Edit { cmd: words(&["a b", ""]), ..edit };
    let after = edit.apply(base).expect("fine").config.expect("set");
    assert_eq!(after.cmd, words(&["a b", ""]), "elements are never split");
}

#[test]
fn settings_win_over_instructions() {
    let edit = Edit {
        changes: vec!["USER 1".into(), "ENV A=1".into(), "LABEL a=b".into()],
        user: Some("2:3".parse().expect("a user")),
        env: vec![pair("A=2")],
        labels: vec![pair(".title=x y"), pair("plain=")],
        workdir: Some("/srv".parse().expect("a folder")),
        expose: vec!["80".parse().expect("a port"), "53-54/UDP".parse().expect("ports")],
        volumes: vec!["/data".parse().expect("a folder")],
        stop_signal: Some("SIGINT".parse().expect("a signal")),
        created: Some(Timestamp::EPOCH),
        ..Edit::default()
    };
    let config = edited(&edit);
    assert_eq!(config.created.as_deref(), Some("1970-01-01T00:00:00Z"));
    let execution = config.config.expect("set");
    assert_eq!(execution.user.as_deref(), Some("2:3"));
    assert_eq!(execution.env, ["A=2"].map(Box::from));
    let labels: Vec<_> = execution.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(labels, ["a=b", "org.opencontainers.image.title=x y", "plain="]);
    assert_eq!(
        execution.exposed_ports.keys().map(|port| &**port).collect::<Vec<_>>(),
        ["53/udp", "54/udp", "80/tcp"]
    );
    assert_eq!(execution.volumes.keys().map(|folder| &**folder).collect::<Vec<_>>(), ["/data"]);
    assert_eq!(execution.stop_signal.as_deref(), Some("SIGINT"));
}

#[test]
fn values_outside_of_their_grammar_are_refused() {
    for text in ["", "A", "=", "=b", "A=\0"] {
        assert!(text.parse::<Pair>().is_err(), "{text:?}");
    }
    for text in
        ["", "0", "80/", "/tcp", "65536", "80/icmp", "90-80", "80-", "-80", "+80", "8 0", "80/tcp/udp"]
    {
        assert!(text.parse::<Ports>().is_err(), "{text:?}");
    }
    for text in ["SIGTERM", "term", "9", "64", "RTMIN", "SIGRTMIN+3", "RTMAX-2"] {
        assert!(text.parse::<Signal>().is_ok(), "{text:?}");
    }
    for text in ["", "0", "65", "SIG", "SIGFOO", "RTMIN-1", "RTMIN+31", "+9"] {
        assert!(text.parse::<Signal>().is_err(), "{text:?}");
    }
}

#[test]
fn p8_a_volume_cannot_climb_out_of_the_image() {
    for text in ["", "data", "/..", "/a/../../etc", "/a/..", "..", "/a\0"] {
        assert!(text.parse::<Folder>().is_err(), "{text:?}");
    }
    assert!("/a..b/..c".parse::<Folder>().is_ok());
}
