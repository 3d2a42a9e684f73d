//! What the client does with images that lack something, and what the linter said of them before (A6, A7, A8).

use super::*;
use serde_json::{Value, json};
use testkit::flatpak::{APP, APP_METADATA};
use testkit::http::base64;
use testkit::image::{Image, Packing};
use testkit::proof;
use testkit::tarball::{Member, tar};

const REF: &str = "app/org.test.Hello/x86_64/master";
const XA_METADATA: &str = "org.flatpak.commit-metadata.xa.metadata";

/// The least that a client needs.
fn labels() -> Value {
    json!({
        "org.flatpak.ref": REF,
        "org.flatpak.metadata": APP_METADATA,
        XA_METADATA: base64(format!("{APP_METADATA}\0\0s").as_bytes()),
    })
}

fn tree(files: &[(&'static str, &'static str)]) -> Vec<u8> {
    let mut members =
        vec![Member::file("metadata", APP_METADATA), Member::folder("export/"), Member::folder("files/")];
    members.extend(files.iter().map(|(path, content)| Member::file(path, *content)));
    tar(members)
}

fn write(client: &Client, name: &str, image: Image, labels: Value) {
    let image = image.config(move |mut config| {
        config["config"] = json!({ "Labels": labels });
        config
    });
    image.layout().write(&client.folder().path(name));
}

/// The rules that the linter names, and its exit code.
fn lint(client: &Client, name: &str) -> (Vec<String>, Option<i32>) {
    let done = run(client, &["flatpak", "lint", &format!("oci:{name}"), "--format", "json"]).run();
    let told: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let findings = told["findings"].as_array().expect("a list").iter();
    let errors = findings.filter(|it| it["severity"] == "error");
    (errors.map(|it| it["rule"].as_str().expect("a rule").to_owned()).collect(), done.code())
}

/// Serves one layout, and installs the app from it.
fn install(client: &Client, name: &str) -> (bool, String) {
    let serving = Serving::start(client.folder(), &[&format!("oci:{name}")]);
    client.add_remote(name, &serving.address);
    client.install(name, APP, &["--no-deps", "--reinstall"])
}

#[test]
fn a6_the_least_that_a_client_needs_is_enough_however_it_is_compressed() {
    const PROOF: &str = "flatpak: installs images of three labels, compressed in each way";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    for (packing, name) in Packing::ALL.into_iter().zip(["plain", "gzip", "zstd"]) {
        let layer = tree(&[("files/name", name)]);
        write(&client, name, Image::of(&[layer], packing), labels());
        assert_eq!(lint(&client, name), (vec![], Some(0)));
        let (is_well, told) = install(&client, name);
        assert!(is_well, "{name}: {told}");
        assert_eq!(std::fs::read_to_string(client.installed("files/name")).expect("installed"), name);
    }
    proof::ran(PROOF, 3);
}

#[test]
fn a7_a8_what_the_client_refuses_or_gets_wrong_was_said_before() {
    const PROOF: &str = "flatpak: refuses, or gets wrong, what the linter finds";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    let layer = || tree(&[("files/old", "old")]);
    let mut bare = labels();
    bare.as_object_mut().expect("an object").remove(XA_METADATA);
    write(&client, "bare", Image::of(&[layer()], Packing::Gzip), bare);
    assert_eq!(lint(&client, "bare"), (vec!["xa-metadata-missing".into()], Some(8)));
    let (is_well, told) = install(&client, "bare");
    assert!(!is_well && told.contains("metadata"), "{told}");

    let other = Image::of(&[layer()], Packing::Gzip);
    let mut twisted = labels();
    twisted[XA_METADATA] = base64(b"[Application]\nname=org.test.Other\n\0\0s").into();
    write(&client, "twisted", other, twisted);
    assert_eq!(lint(&client, "twisted"), (vec!["xa-metadata-differs".into()], Some(8)));
    assert!(!install(&client, "twisted").0);

    let upper = tar([Member::file("files/.wh.old", "")]);
    write(&client, "layered", Image::of(&[layer(), upper], Packing::Gzip), labels());
    assert_eq!(lint(&client, "layered"), (vec!["whiteout".into()], Some(8)));
    let (is_well, told) = install(&client, "layered");
    assert!(is_well, "{told}");
    assert!(client.installed("files/old").exists(), "the client knows no whiteouts");

    // What the linter says to do about it.
    run(&client, &["unpack", "oci:layered", "root"]).ok();
    let build = labels().as_object().expect("an object").iter().fold(
        run(&client, &["build", "root", "oci:flat:1", "--platform", "linux/amd64"]),
        |build, (key, value)| build.args(["--label", &format!("{key}={}", value.as_str().expect("text"))]),
    );
    build.ok();
    assert_eq!(lint(&client, "flat"), (vec![], Some(0)));
    let (is_well, told) = install(&client, "flat");
    assert!(is_well, "{told}");
    let names = ["files/old", "files/.wh.old"].map(|name| client.installed(name).exists());
    assert_eq!(names, [false, false]);
    proof::ran(PROOF, 4);
}
