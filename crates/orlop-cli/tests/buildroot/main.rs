//! Buildroot: `contrib/buildroot/fs/oci/oci.mk`, with real make and real fakeroot, drives orlop under the name
//! `sloci-image`. With `BUILDROOT_TREE` set, that tree's own oci.mk is driven too.
//!
//! Invariant: GNU tar judges the layers, never orlop.

mod stage;

use serde_json::{Value, json};
use stage::{Stage, trees};

use testkit::{orlop, proof, scratch};

/// The options of an image, as `.config` holds them.
const OPTIONS: [(&str, &str); 10] = [
    ("GO_GOARCH", "arm"),
    ("GO_GOARM", "7"),
    ("BR2_TARGET_ROOTFS_OCI_ENTRYPOINT", r#""/bin/sh -c""#),
    ("BR2_TARGET_ROOTFS_OCI_CMD", r#""\"echo  two  spaces; id\" 'last one'""#),
    ("BR2_TARGET_ROOTFS_OCI_AUTHOR", r#""A B <a@b.example>""#),
    ("BR2_TARGET_ROOTFS_OCI_UID", r#""1000:100""#),
    ("BR2_TARGET_ROOTFS_OCI_LABELS", r#"".url=https://a.example k=v""#),
    ("BR2_TARGET_ROOTFS_OCI_ENV_VARS", r#""A=1 PATH=/bin:/usr/bin""#),
    ("BR2_TARGET_ROOTFS_OCI_WORKDIR", r#""/srv""#),
    ("BR2_TARGET_ROOTFS_OCI_PORTS", r#""80 53/udp""#),
];

/// What Buildroot's own oci.mk of 2026-08 makes of [`OPTIONS`], as `make -n` printed it.
const RECORDED: [&[&str]; 13] = [
    &["--arch", "arm"],
    &["--arch-variant", "v7"],
    &["--entrypoint", "/bin/sh"],
    &["--entrypoint", "-c"],
    &["--cmd", "echo  two  spaces; id"],
    &["--cmd", "last one"],
    &["--author", "A B <a@b.example>"],
    &["--user", "1000:100"],
    &["--label", ".url=https://a.example"],
    &["--label", "k=v"],
    &["--env", "A=1"],
    &["--env", "PATH=/bin:/usr/bin"],
    &["--working-dir", "/srv"],
];

#[test]
fn our_oci_mk_gives_the_arguments_that_buildroots_gives() {
    if !stage::offered("buildroot: arguments of oci.mk", &["make"]) {
        return;
    }
    let trees = trees();
    for tree in &trees {
        let stage = Stage::new(tree);
        stage.record_arguments();
        stage.make(&OPTIONS).ok();
        let arguments = stage.recorded();
        let (options, operands) = arguments.split_at(arguments.len() - 2);
        let mut pairs: Vec<_> = options.chunks(2).map(<[String]>::to_vec).collect();
        let mut expected: Vec<Vec<String>> =
            RECORDED.iter().map(|pair| pair.iter().map(ToString::to_string).collect()).collect();
        expected.extend([["--port", "80"], ["--port", "53/udp"]].map(|pair| pair.map(String::from).to_vec()));
        // The sort is stable: the order among the values of one option stays.
        pairs.sort_by(|one, other| one[0].cmp(&other[0]));
        expected.sort_by(|one, other| one[0].cmp(&other[0]));
        assert_eq!(pairs, expected, "{tree:?}");
        assert!(operands[1].ends_with("/rootfs-oci:latest"), "{operands:?}");
    }
    proof::ran("buildroot: arguments of oci.mk", trees.len());
}

#[test]
fn quotes_blanks_and_patterns_reach_the_image_as_they_were_written() {
    if !stage::offered("buildroot: values through oci.mk", &["make"]) {
        return;
    }
    let stage = Stage::new(&stage::ours());
    let config = stage.image(&[
        ("GO_GOARCH", "amd64"),
        ("BR2_TARGET_ROOTFS_OCI_CMD", r#""'it'\\''s' \"a \\\" b\" * c,d""#),
        ("BR2_TARGET_ROOTFS_OCI_LABELS", r#"".title='A  title' k=é""#),
        ("BR2_TARGET_ROOTFS_OCI_ENV_VARS", r#""A='x y' B=""#),
        ("BR2_TARGET_ROOTFS_OCI_VOLUMES", r#""/data '/with blank'""#),
    ]);
    assert_eq!(config["config"]["Cmd"], json!(["it's", "a \" b", "*", "c,d"]));
    assert_eq!(config["config"]["Labels"], json!({"org.opencontainers.image.title": "A  title", "k": "é"}));
    assert_eq!(config["config"]["Env"], json!(["A=x y", "B="]));
    assert_eq!(config["config"]["Volumes"], json!({"/data": {}, "/with blank": {}}));
    proof::ran("buildroot: values through oci.mk", 4);
}

/// B3: as an ordinary user, under fakeroot, the layer holds what fakeroot shows.
#[test]
fn an_ordinary_user_under_fakeroot_ships_owners_devices_and_modes() {
    if !stage::offered("buildroot: fakeroot", &["make", "fakeroot", "tar", "setfattr"]) {
        return;
    }
    let stage = Stage::new(&stage::ours());
    stage.make_under_fakeroot(&[("GO_GOARCH", "amd64")]);
    let listing = stage.listing();
    for line in [
        "crw-rw-rw- 0/0 1,3 dev/null",
        "-rwsr-xr-x 0/0 bin/su",
        "-rw-r----- 1234/55 etc/secret",
        "drwxr-xr-x 0/0 etc/",
    ] {
        assert!(listing.iter().any(|found| found == line), "no `{line}` in {listing:#?}");
    }
    assert!(listing.iter().all(|line| !line.contains("65534")), "{listing:#?}");
    let ping = listing.iter().position(|line| line.ends_with(" bin/ping")).expect("a file of the stage");
    assert_eq!(listing[ping + 1], "x: 20 security.capability", "{listing:#?}");
    proof::ran("buildroot: fakeroot", listing.len());
}

/// B2: two runs give one archive, byte for byte; the second one later, and from another folder.
#[test]
fn two_runs_give_one_digest() {
    if !stage::offered("buildroot: reproducible", &["make", "fakeroot", "setfattr"]) {
        return;
    }
    let archive = || {
        let stage = Stage::new(&stage::ours());
        stage.make_under_fakeroot(&[("GO_GOARCH", "amd64"), ("BR2_TARGET_ROOTFS_OCI_ARCHIVE", "y")]);
        std::fs::read(stage.made("rootfs-oci-latest-amd64-linux.oci-image.tar")).expect("an archive")
    };
    let first = archive();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(first == archive(), "two archives of one tree differ");
    proof::ran("buildroot: reproducible", 2);
}

/// B5: the variant stands in the index, in the config, and in the archive's name.
#[test]
fn the_variant_is_in_index_config_and_name() {
    if !stage::offered("buildroot: variant", &["make"]) {
        return;
    }
    let arm = [("GO_GOARCH", "arm"), ("GO_GOARM", "7")];
    let stage = Stage::new(&stage::ours());
    let config = stage.image(&arm);
    assert_eq!((&config["architecture"], &config["variant"]), (&json!("arm"), &json!("v7")));
    let platform = &stage.index()["manifests"][0]["platform"];
    assert_eq!(platform, &json!({"architecture": "arm", "os": "linux", "variant": "v7"}));
    stage.make(&[&arm[..], &[("BR2_TARGET_ROOTFS_OCI_ARCHIVE", "y")]].concat()).ok();
    assert!(stage.made("rootfs-oci-latest-arm-v7-linux.oci-image.tar").is_file());
    assert!(!stage.made("rootfs-oci").exists(), "an archive leaves no folder");
    proof::ran("buildroot: variant", 2);
}

/// B6: values that the shell original damaged come back exactly.
#[test]
fn hostile_values_round_trip() {
    let long = "x".repeat(100_000);
    let values = [
        "plain",
        "two  blanks ",
        "\"double\" 'single' `back`",
        "line\nbreak\r\ttab",
        r"\n typed as two characters",
        r"a\@\b",
        r#"\"}],"evil":[{"#,
        "\u{1}\u{7f}\u{1b}[31m",
        "é中\u{202e}\u{10ffff}",
        "$(id) ${HOME} %s %%",
        "",
        long.as_str(),
    ];
    for value in values {
        let scratch = scratch();
        scratch.folder("rootfs");
        let (label, variable) = (format!("k={value}"), format!("K={value}"));
        let words = [
            "compat",
            "sloci-image",
            "--arch",
            "amd64",
            "--label",
            &label,
            "--env",
            &variable,
            "--cmd",
            value,
        ];
        orlop().args(words).args(["--author", value, "rootfs", "out"]).current_dir(scratch.root()).ok();
        let (_, config) = stage::read_layout(&scratch.path("out"));
        assert_eq!(config["config"]["Labels"], json!({ "k": value }));
        assert_eq!(config["config"]["Env"], json!([variable]));
        assert_eq!(config["config"]["Cmd"], json!([value]));
        assert_eq!(config["author"], if value.is_empty() { Value::Null } else { json!(value) });
    }
    proof::ran("buildroot: hostile values", values.len());
}
