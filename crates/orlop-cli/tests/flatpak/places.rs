//! Several places that are served together, and places that change.

use super::*;
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testkit::noise::noise;
use testkit::scratch;

/// An image of an app in a layout, with a file of `number`.
fn app(it: &Scratch, id: &str, place: &str, number: u64) {
    let metadata = format!("[Application]\nname={id}\nruntime=org.test.Platform/x86_64/master\n");
    let program = [&noise(7, 20_000)[..], &noise(number, 40)].concat();
    it.folder(&format!("{id}-tree/files"));
    it.file(&format!("{id}-tree/metadata"), &metadata);
    it.file(&format!("{id}-tree/files/program"), program);
    let labels = [
        format!("org.flatpak.ref=app/{id}/x86_64/master"),
        format!("org.flatpak.metadata={metadata}"),
        format!("org.flatpak.timestamp={number}"),
    ];
    let build = orlop().args(["build", &format!("{id}-tree"), place, "--platform", "linux/amd64"]);
    labels.iter().fold(build, |build, label| build.args(["--label", label])).current_dir(it.root()).ok();
}

fn orlop_in(it: &Scratch, words: &[&str]) -> testkit::Finished {
    orlop().args(words).current_dir(it.root()).run()
}

fn digest(it: &Scratch, image: &str) -> String {
    let told = orlop_in(it, &["digest", image]);
    assert!(told.success(), "{}", told.err());
    told.out().trim().to_owned()
}

/// What the index of a server says now: label of the delta by ref.
fn deltas(serving: &Serving) -> Vec<(String, Option<String>)> {
    let mut stream = TcpStream::connect(serving.host()).expect("it listens");
    let head = "GET /index/static HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut all = String::new();
    stream.read_to_string(&mut all).expect("an answer");
    let index: Value = serde_json::from_str(all.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    let images = index["Results"].as_array().expect("a list").iter().flat_map(|it| {
        let images = it["Images"].as_array().expect("a list").iter();
        images.map(|image| image["Labels"].clone())
    });
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let named = images.map(|labels| {
        (text(&labels["org.flatpak.ref"]).expect("a ref"), text(&labels["io.github.containers.DeltaUrl"]))
    });
    named.collect()
}

#[test]
fn each_place_offers_its_own_deltas() {
    let it = scratch();
    for (id, place) in [("org.test.One", "a"), ("org.test.Two", "b")] {
        app(&it, id, &format!("oci:old-{place}:x"), 1);
        app(&it, id, &format!("oci:{place}:x"), 2);
        let made =
            orlop_in(&it, &["delta", "make", &format!("oci:old-{place}:x"), &format!("oci:{place}:x")]);
        assert!(made.success(), "{}", made.err());
    }
    app(&it, "org.test.Three", "oci:c:x", 1);
    let serving = Serving::start(&it, &["oci:a", "oci:b", "oci:c"]);
    let at = |name: &str, tag: &str| {
        format!("docker://{}/app/org.test.{name}/x86_64/master:{tag}", serving.host())
    };
    for (name, place) in [("one", "a"), ("two", "b")] {
        let served = digest(&it, &at(name, "_deltaindex"));
        assert_eq!(served, digest(&it, &format!("oci:{place}:_deltaindex")), "{name}");
        let (old, back) = (format!("oci:old-{place}:x"), format!("oci:back-{place}:x"));
        let deltas = at(name, "_deltaindex");
        let applied = orlop_in(&it, &["delta", "apply", &old, &deltas, &back]);
        assert!(applied.success(), "{}", applied.err());
        assert_eq!(digest(&it, &back), digest(&it, &format!("oci:{place}:x")));
    }
    assert_eq!(orlop_in(&it, &["digest", &at("three", "_deltaindex")]).code(), Some(2));
    let named = deltas(&serving);
    let is_named: Vec<_> = named.iter().map(|(name, address)| (&name[9..], address.is_some())).collect();
    let expected = [
        ("est.One/x86_64/master", true),
        ("est.Three/x86_64/master", false),
        ("est.Two/x86_64/master", true),
    ];
    assert_eq!(is_named, expected, "{named:?}");
    let address = named[0].1.as_deref().expect("named");
    let manifest = address.rsplit_once('/').expect("an address").1;
    assert_eq!(address, format!("v2/app/org.test.one/x86_64/master/manifests/{manifest}"));
    assert_eq!(
        digest(&it, &format!("docker://{}/app/org.test.one/x86_64/master@{manifest}", serving.host())),
        manifest
    );
}

#[test]
fn what_a_place_lacked_is_offered_once_it_is_there() {
    let it = scratch();
    app(&it, "org.test.One", "oci:a:x", 1);
    let hex = digest(&it, "oci:a:x").replace("sha256:", "");
    let blob = it.path("a/blobs/sha256").join(&hex);
    fs::rename(&blob, it.path("aside")).expect("it was there");
    let serving = Serving::start(&it, &["oci:a"]);
    assert_eq!(deltas(&serving), []);
    fs::rename(it.path("aside"), &blob).expect("it goes back");
    let end = Instant::now() + Duration::from_secs(10);
    while deltas(&serving).is_empty() {
        assert!(Instant::now() < end, "{}", said(&it));
        std::thread::sleep(Duration::from_millis(100));
    }
    let image = format!("docker://{}/app/org.test.one/x86_64/master:latest", serving.host());
    assert_eq!(digest(&it, &image), format!("sha256:{hex}"));
    let told = said(&it);
    assert_eq!(told.matches("is not offered").count(), 1, "told once: {told}");
}

#[test]
fn a_file_of_users_that_is_too_large_lets_nobody_in() {
    let it = scratch();
    app(&it, "org.test.One", "oci:a:x", 1);
    it.file("users", "alice:s3cret\n".repeat(90_000));
    // One that lets somebody in goes on until it is ended.
    let serve = orlop().args(["flatpak", "serve", "oci:a", "--users", "users"]).current_dir(it.root());
    let refused = serve.under(["timeout", "20"]).run();
    assert_eq!(refused.code(), Some(64), "{}", refused.err());
    assert!(refused.err().contains("larger than 1 MiB"), "{}", refused.err());
}
