//! What software centres show of an app that we export.

use super::*;
use serde_json::Value;
use std::fs;
use testkit::flatpak::APP;
use testkit::noise::noise;
use testkit::proof;

const REF: &str = "app/org.test.Hello/x86_64/master";
const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<components version="0.8"><component type="desktop">
<id>org.test.Hello</id><name>Hello</name><summary>Prints a greeting</summary>
</component></components>"#;

/// Puts what the app says of itself into its tree.
fn describe(client: &Client) {
    let it = client.folder();
    let info = "app-tree/files/share/app-info";
    it.folder(&format!("{info}/xmls"));
    it.file(&format!("{info}/xmls/{APP}.xml"), XML);
    Command::new("gzip").arg("-n").arg(it.path(&format!("{info}/xmls/{APP}.xml"))).ok();
    for (number, size) in [(1, "64x64"), (2, "128x128")] {
        it.folder(&format!("{info}/icons/flatpak/{size}"));
        it.file(&format!("{info}/icons/flatpak/{size}/{APP}.png"), noise(number, 500));
    }
}

fn labels(client: &Client, image: &str) -> Value {
    let config = run(client, &["inspect", "--config", image]).ok().out();
    let config: Value = serde_json::from_str(&config).expect("JSON");
    config["config"]["Labels"].clone()
}

#[test]
fn flatpak_shows_what_a_commit_says_of_its_app() {
    const PROOF: &str = "flatpak: shows what a commit says of its app";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    describe(&client);
    client.bundle_app("theirs", "Hello");
    run(&client, &["flatpak", "export", "repo", REF, "oci:ours"]).ok();
    let (ours, theirs) =
        (labels(&client, &format!("oci:ours:{REF}")), labels(&client, &format!("oci:theirs:{REF}")));
    for size in ["64", "128"] {
        let label = format!("org.freedesktop.appstream.icon-{size}");
        assert!(ours[&label].is_string() && ours[&label] == theirs[&label], "{label}");
    }
    let component = |labels: &Value| {
        let text = labels["org.freedesktop.appstream.appdata"].as_str().expect("a label").to_owned();
        text[text.find("<component ").expect("a component")..].replace(char::is_whitespace, "")
    };
    assert_eq!(component(&ours), component(&theirs));
    assert!(!run(&client, &["flatpak", "lint", &format!("oci:ours:{REF}")]).ok().out().contains("appdata"));

    let serving = Serving::start(client.folder(), &["oci:ours"]);
    client.add_remote("r", &serving.address);
    client.ok(&["update", "--user", "--appstream", "r"]);
    let shown = client.folder().path("user/appstream/r/x86_64");
    let text = Command::new("gzip").arg("-dc").arg(shown.join("appstream.xml.gz")).ok().out();
    assert!(text.contains("<summary>Prints a greeting</summary>") && text.contains(REF), "{text}");
    for (number, size) in [(1, "64x64"), (2, "128x128")] {
        let icon = fs::read(shown.join("icons").join(size).join(format!("{APP}.png"))).expect("an icon");
        assert!(icon == noise(number, 500), "{size}");
    }
    proof::ran(PROOF, 3);
}
