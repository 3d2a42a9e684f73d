//! Building and copying through the binary: what flags mean, and what is told while it happens.

use serde_json::{Value, json};
use std::os::unix::net::UnixListener;
use testkit::{Command, Finished, Scratch, orlop, scratch};

struct Fixture(Scratch);

/// A folder `tree` with a few files.
fn fixture() -> Fixture {
    let folder = scratch();
    folder.folder("tree/etc");
    folder.file("tree/etc/a", "1\n");
    folder.file("tree/b.log", "2\n");
    folder.folder("more");
    folder.file("more/c", "3\n");
    Fixture(folder)
}

impl Fixture {
    fn command(&self, words: &[&str]) -> Command {
        orlop().args(words).current_dir(self.0.root())
    }

    fn run(&self, words: &[&str]) -> Finished {
        self.command(words).run()
    }

    fn ok(&self, words: &[&str]) -> String {
        self.command(words).ok().out()
    }

    fn inspect(&self, reference: &str) -> Value {
        serde_json::from_str(&self.ok(&["inspect", reference, "--format=json"])).expect("JSON")
    }

    fn paths(&self, reference: &str) -> Vec<String> {
        let text = self.ok(&["files", reference, "--format=json", "--progress=none"]);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let files = value["files"].as_array().expect("a list").iter();
        files.map(|file| file["path"].as_str().expect("text").to_owned()).collect()
    }
}

#[test]
fn flags_of_build_are_the_members_of_the_config() {
    let it = fixture();
    let words = [
        "build",
        "tree",
        "oci:img:1",
        "--progress=none",
        "--entrypoint",
        "/bin/sh",
        "--entrypoint",
        "-c",
        "--cmd=--x",
        "--env",
        "A=b c",
        "--env",
        "E=",
        "--label",
        ".title=t",
        "--label",
        "k=v=w",
        "--annotation",
        ".url=u",
        "--user",
        "1:2",
        "--workdir",
        "/w",
        "--expose",
        "80",
        "--expose",
        "1-2/udp",
        "--volume",
        "/v",
        "--stop-signal",
        "SIGINT",
        "--author",
        "me",
        "--created",
        "2001-09-09T01:46:40Z",
        "--platform",
        "linux/armv6l",
        "--os-version",
        "7",
        "--healthcheck",
        "--retries=3 CMD true",
        "--change",
        "ENV Z=1",
    ];
    let line = it.ok(&words);
    let value = it.inspect("oci:img:1");
    assert_eq!(line, format!("oci:img:1@{}\n", value["digest"].as_str().expect("text")));
    let config = &value["config"];
    let expected = json!({
        "User": "1:2",
        "ExposedPorts": { "1/udp": {}, "2/udp": {}, "80/tcp": {} },
        "Env": ["Z=1", "A=b c", "E="],
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["--x"],
        "Volumes": { "/v": {} },
        "WorkingDir": "/w",
        "Labels": { "k": "v=w", "org.opencontainers.image.title": "t" },
        "StopSignal": "SIGINT",
        "Healthcheck": { "Test": ["CMD-SHELL", "true"], "Retries": 3 },
    });
    assert_eq!(config["config"], expected);
    assert_eq!((&config["author"], &config["created"]), (&json!("me"), &json!("2001-09-09T01:46:40Z")));
    assert_eq!((&value["platform"], &config["os.version"]), (&json!("linux/arm/v6"), &json!("7")));
    assert_eq!(value["manifest"]["annotations"], json!({ "org.opencontainers.image.url": "u" }));
}

/// As docker spells it.
#[test]
fn import_makes_what_build_makes() {
    let it = fixture();
    it.ok(&["build", "tree", "oci:img:tree"]);
    it.ok(&["copy", "oci:img:tree", "tar:tree.tar"]);
    let change = ["--change", "CMD sh -c true", "tree.tar"];
    let digest = |verb: &str, target: &str| {
        let line = it.ok(&[&[verb], &change[..], &[target]].concat());
        line.split_once('@').expect("a digest").1.to_owned()
    };
    assert_eq!(digest("import", "oci:img:imported"), digest("build", "oci:img:built"));
}

#[test]
fn a_base_gives_layers_and_config() {
    let it = fixture();
    it.ok(&[
        "build",
        "tree",
        "oci:img:base",
        "--env",
        "A=1",
        "--platform",
        "linux/riscv64",
        "--progress=none",
    ]);
    it.ok(&[
        "build",
        "more",
        "oci:other:top",
        "--base",
        "oci:img:base",
        "--env",
        "B=2",
        "--platform=linux/riscv64",
        "--progress=none",
    ]);
    assert_eq!(it.inspect("oci:other:top")["config"]["config"]["Env"], json!(["A=1", "B=2"]));
    assert_eq!(it.paths("oci:other:top"), ["", "b.log", "c", "etc", "etc/a"]);
    assert_eq!(it.inspect("oci:other:top")["platform"], "linux/riscv64");
}

#[test]
fn platforms_with_sources_make_an_index() {
    let it = fixture();
    it.ok(&[
        "build",
        "--platform",
        "linux/arm64=tree",
        "--platform",
        "linux/s390x=tree,more",
        "oci:img:1",
        "--progress=none",
    ]);
    let value = it.inspect("oci:img:1");
    let platforms: Vec<_> =
        value["index"]["manifests"].as_array().expect("a list").iter().map(|it| &it["platform"]).collect();
    assert_eq!(
        platforms,
        [
            &json!({ "architecture": "arm64", "os": "linux" }),
            &json!({ "architecture": "s390x", "os": "linux" })
        ]
    );
    let one: Value =
        serde_json::from_str(&it.ok(&["inspect", "oci:img:1", "--platform=linux/s390x", "--format=json"]))
            .expect("JSON");
    assert_eq!(one["manifest"]["layers"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_is_excluded_is_not_in_the_image() {
    let it = fixture();
    it.ok(&["build", "tree", "oci:img:1", "--exclude", "*.log", "--exclude", "/etc/a", "--progress=none"]);
    assert_eq!(it.paths("oci:img:1"), ["", "etc"]);
}

#[test]
fn the_form_of_the_blobs_is_chosen() {
    let it = fixture();
    let forms = [("none", ".tar"), ("gzip:1", ".tar+gzip"), ("zstd:19", ".tar+zstd")];
    for (compress, end) in forms {
        for algorithm in ["sha256", "sha512"] {
            it.ok(&[
                "build",
                "tree",
                "oci:img:1",
                "--compress",
                compress,
                "--algorithm",
                algorithm,
                "--progress=none",
            ]);
            let value = it.inspect("oci:img:1");
            let layer = &value["manifest"]["layers"][0];
            assert!(layer["mediaType"].as_str().is_some_and(|text| text.ends_with(end)), "{layer}");
            let digests = [&value["digest"], &layer["digest"], &value["config"]["rootfs"]["diff_ids"][0]];
            assert!(
                digests.iter().all(|it| it.as_str().is_some_and(|it| it.starts_with(algorithm))),
                "{digests:?}"
            );
        }
    }
    it.ok(&["validate", "oci:img", "--progress=none"]);
}

#[test]
fn a_build_that_is_checked_writes_nothing() {
    let it = fixture();
    let done = it.run(&["build", "tree", "more", "oci:img:1", "--check", "--progress=none"]);
    assert!(done.success() && done.stdout.is_empty(), "{done}");
    assert!(!it.0.path("img").exists());
}

#[test]
fn limits_exit_9_and_leave_nothing() {
    let it = fixture();
    it.ok(&["build", "tree", "oci:img:1", "--progress=none"]);
    for limit in ["--max-entries=2", "--max-size=1k"] {
        let done = it.run(&["unpack", "oci:img:1", "out", limit, "--progress=none"]);
        assert_eq!(done.code(), Some(9), "{limit}: {done}");
        assert!(!it.0.path("out").exists(), "{limit}");
    }
}

#[test]
fn losses_are_counted_and_told_in_every_style() {
    let it = fixture();
    for name in ["s1", "s2"] {
        drop(UnixListener::bind(it.0.path(&format!("tree/{name}"))).expect("a socket"));
    }
    for style in ["none", "plain", "tty"] {
        let done = it.run(&["build", "tree", "oci:img:1", "--progress", style]);
        assert!(done.success(), "{done}");
        assert!(done.err().contains("socket") && done.err().contains("2 times"), "{style}: {done}");
    }
}

#[test]
fn progress_in_json_is_one_object_per_line_and_ends_with_an_account() {
    let it = fixture();
    let done = it.command(&["build", "tree", "oci:img:1", "--progress=json"]).ok();
    let events: Vec<Value> =
        done.err().lines().map(|line| serde_json::from_str(line).expect("one object per line")).collect();
    assert!(events.iter().all(|event| event["version"] == 1));
    assert_eq!(events[0]["event"], "started");
    let account = events.last().expect("there are events");
    assert_eq!((&account["event"], &account["phases"][0]["phase"]), (&json!("account"), &json!("build")));
}

#[test]
fn copies_keep_every_digest_and_every_tag() {
    let it = fixture();
    it.ok(&[
        "build",
        "--platform",
        "linux/arm64=tree",
        "--platform",
        "linux/amd64=more",
        "oci:img:all",
        "--progress=none",
    ]);
    it.ok(&["build", "more", "oci:img:one", "--progress=none"]);
    let digest = |reference: &str| it.ok(&["digest", reference]);
    for place in ["oci:copy", "oci-archive:copy.tar"] {
        it.ok(&["copy", "oci:img:all", "oci:img:one", place, "--progress=none"]);
        for tag in ["all", "one"] {
            assert_eq!(digest(&format!("{place}:{tag}")), digest(&format!("oci:img:{tag}")), "{place} {tag}");
        }
    }
    it.ok(&["copy", "oci-archive:copy.tar:all", "oci:third:renamed", "--progress=none"]);
    assert_eq!(digest("oci:third:renamed"), digest("oci:img:all"));
}

#[test]
fn a_part_of_an_index_keeps_the_digest_unless_pruned() {
    let it = fixture();
    it.ok(&[
        "build",
        "--platform",
        "linux/arm64=tree",
        "--platform",
        "linux/amd64=more",
        "oci:img:1",
        "--progress=none",
    ]);
    let digest = |reference: &str| it.ok(&["digest", reference]);
    it.ok(&["copy", "oci:img:1", "oci:sparse:1", "--platform", "linux/arm64", "--progress=none"]);
    assert_eq!(digest("oci:sparse:1"), digest("oci:img:1"));
    assert_eq!(
        it.run(&["files", "oci:sparse:1", "--platform=linux/amd64", "--progress=none"]).code(),
        Some(5)
    );
    it.ok(&["copy", "oci:img:1", "oci:small:1", "--platform", "linux/arm64", "--prune", "--progress=none"]);
    assert_ne!(digest("oci:small:1"), digest("oci:img:1"));
    it.ok(&["validate", "oci:small", "--progress=none"]);
    let done = it.run(&["copy", "oci:img:1", "oci:none:1", "--platform", "linux/mips", "--progress=none"]);
    assert_eq!(done.code(), Some(2), "{done}");
    assert!(done.err().contains("linux/arm64") && !it.0.path("none").exists(), "{done}");
}

#[test]
fn trees_convert_and_it_is_said() {
    let it = fixture();
    for (from, to) in [
        ("rootfs:tree", "oci:img:1"),
        ("oci:img:1", "tar:out.tar"),
        ("tar:out.tar", "oci:img:2"),
        ("oci:img:2", "rootfs:out"),
    ] {
        let done = it.command(&["copy", from, to, "--progress=none"]).ok();
        assert!(done.err().contains("warning: "), "{from} {to}: {done}");
    }
    assert_eq!(it.run(&["diff", "rootfs:tree", "rootfs:out", "--progress=none"]).code(), Some(0));
}

#[test]
fn a_flag_without_a_meaning_is_refused() {
    let it = fixture();
    it.ok(&["build", "tree", "oci:img:1", "--progress=none"]);
    let cases: [&[&str]; 6] = [
        &["copy", "oci:img:1", "rootfs:out", "--link"],
        &["copy", "oci:img:1", "rootfs:out", "--compress=zstd"],
        &["copy", "oci:img:1", "oci:copy:1", "--prune"],
        &["copy", "oci:img:1", "oci:copy:1", "--owner=squash"],
        &["copy", "rootfs:tree", "rootfs:out"],
        &[
            "build",
            "tree",
            "more",
            "oci:copy@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ],
    ];
    for words in cases {
        let done = it.run(words);
        assert_eq!(done.code(), Some(64), "{words:?}: {done}");
        assert!(!it.0.path("copy").exists() && !it.0.path("out").exists(), "{words:?}");
    }
}

#[test]
fn a_tag_that_moved_away_from_the_digest_beside_it_is_worth_a_warning() {
    let it = fixture();
    let line = it.ok(&["build", "tree", "oci:img:1", "--progress=none"]);
    let old = line.trim_end();
    assert!(it.command(&["inspect", old]).ok().stderr.is_empty());
    it.ok(&["build", "more", "oci:img:1", "--progress=none"]);
    it.ok(&["copy", &old.replace(":1@", "@"), "oci:img:kept", "--progress=none"]);
    let done = it.command(&["inspect", old]).ok();
    assert!(done.err().contains("warning: "), "{done}");
}
