//! What software centres show of an app that we export.

use super::*;
use serde_json::Value;
use std::fs;
use testkit::flatpak::APP;
use testkit::noise::noise;
use testkit::{proof, scratch};

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

/// What an app says of itself badly makes no label, and does not keep the app from being exported.
#[test]
fn an_app_that_says_badly_what_it_is_becomes_an_image_all_the_same() {
    let it = scratch();
    let run = |words: &[&str]| orlop().args(words).current_dir(it.root()).ok();
    let (info, large) = ("files/share/app-info", vec![0; (1 << 20) + 1]);
    it.file("large.xml", &large);
    let bomb = Command::new("gzip").args(["-nc", "large.xml"]).current_dir(it.root()).ok().stdout;
    it.file("good.xml", XML);
    let good = Command::new("gzip").args(["-nc", "good.xml"]).current_dir(it.root()).ok().stdout;
    let cases: [(&str, &[u8], &[u8], &str); 4] = [
        ("text", XML.as_bytes(), b"icon", "xml.gz makes no label"),
        ("bomb", &bomb, b"icon", "xml.gz makes no label"),
        ("cut", &good[..good.len() - 9], b"icon", "xml.gz makes no label"),
        ("icon", &good, &large, "png makes no label"),
    ];
    run(&["ostree", "init", "--repo=r", "--mode=archive"]);
    for (tree, xml, icon, told) in cases {
        it.folder(&format!("{tree}/{info}/xmls"));
        it.folder(&format!("{tree}/{info}/icons/flatpak/64x64"));
        it.file(&format!("{tree}/metadata"), format!("[Application]\nname={APP}\n"));
        it.file(&format!("{tree}/{info}/xmls/{APP}.xml.gz"), xml);
        it.file(&format!("{tree}/{info}/icons/flatpak/64x64/{APP}.png"), icon);
        run(&["ostree", "commit", "--repo=r", "-b", REF, tree]);
        let (from, to) = (format!("ostree:r@{REF}"), format!("oci:{tree}-image:x"));
        let copied = run(&["copy", "--profile=flatpak", &from, &to]);
        assert!(copied.err().contains(told), "{tree}: {}", copied.err());
        let config = run(&["inspect", "--config", &to]).out();
        let config: Value = serde_json::from_str(&config).expect("JSON");
        let labels = &config["config"]["Labels"];
        assert_eq!(labels["org.flatpak.ref"], REF);
        assert_eq!(labels["org.freedesktop.appstream.appdata"].is_string(), tree == "icon", "{tree}");
        assert!(labels["org.freedesktop.appstream.icon-64"].is_null(), "{tree}");
    }
}
