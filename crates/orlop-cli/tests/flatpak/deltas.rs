//! flatpak updates by deltas of ours: it asks for the delta, and not for the layer.

use super::*;
use serde_json::{Value, json};
use std::fs;
use std::sync::{Arc, Mutex};
use testkit::flatpak::APP;
use testkit::http::{Reply, serve};
use testkit::listener::Listener;
use testkit::noise::noise;
use testkit::proof;
use testkit::registry::Registry;

const REF: &str = "app/org.test.Hello/x86_64/master";

/// Makes an image of the app with a large file in it, which changes a little from one version to the next.
fn version(client: &Client, layout: &str, number: u64) -> Vec<u8> {
    let program = noise(1, 600_000);
    let program = [&program[..200_000], &noise(number, 40), &program[200_000..]].concat();
    client.folder().folder("app-tree/files");
    client.folder().file("app-tree/files/program", &program);
    client.folder().file("app-tree/files/same", noise(2, 300_000));
    client.bundle_app(layout, &format!("version {number}"));
    program
}

fn update(client: &Client) {
    client.ok(&["update", "--user", "-y", "--noninteractive", "--no-deps", APP]);
}

fn layer(client: &Client, image: &str) -> String {
    let manifest = run(client, &["inspect", "--raw", image]).ok().out();
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned()
}

/// What the index of a remote says of the image that is there now.
fn listing(client: &Client, registry: &Registry, image: &str) -> Value {
    let config = run(client, &["inspect", "--config", image]).ok().out();
    let config: Value = serde_json::from_str(&config).expect("JSON");
    let listed = json!({
        "Tags": ["latest"],
        "Digest": run(client, &["digest", image]).ok().out().trim(),
        "MediaType": "application/vnd.oci.image.manifest.v1+json",
        "OS": "linux",
        "Architecture": "amd64",
        "Annotations": {},
        "Labels": config["config"]["Labels"],
    });
    let results = json!([{ "Name": "hello", "Images": [listed], "Lists": [] }]);
    json!({ "Registry": format!("http://{}/", registry.host()), "Results": results })
}

/// The registry and the client are other people's, and the registry tells what it was asked for.
#[test]
fn flatpak_updates_by_our_delta() {
    const PROOF: &str = "delta: flatpak updates by ours";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    version(&client, "one", 1);
    let program = version(&client, "two", 2);
    let at = |tag: &str| format!("docker://{}/hello:{tag}", registry.host());
    run(&client, &["copy", "oci:one", &at("one")]).ok();
    run(&client, &["copy", "oci:two", &at("two")]).ok();

    let index = Arc::new(Mutex::new(listing(&client, &registry, &at("one"))));
    let told = Arc::clone(&index);
    let host = Listener::start(move |stream| {
        serve(stream, |asked| match asked.path() {
            "/index/static" => {
                Reply::json(200, &told.lock().expect("no holder panics")).with("Cache-Control", "no-cache")
            }
            _ => Reply::new(404),
        });
    });
    client.add_remote("r", &format!("http://{}", host.host()));
    let (is_well, said) = client.install("r", APP, &["--no-deps"]);
    assert!(is_well, "{said}");

    let made = run(&client, &["delta", "make", &at("one"), &at("two"), "--format", "json"]).ok().out();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let delta = made["layers"][0]["delta"].as_u64().expect("a delta");
    assert!(delta < 20_000, "{made}");
    *index.lock().expect("no holder panics") = listing(&client, &registry, &at("two"));
    let before = registry.requests().len();
    update(&client);
    let asked = registry.requests().split_off(before);

    assert!(fs::read(client.installed("files/program")).expect("installed") == program);
    let layer = layer(&client, &at("two"));
    assert!(asked.iter().any(|it| it.contains("/manifests/_deltaindex")), "{asked:?}");
    assert!(asked.iter().all(|it| !it.contains(&layer)), "the layer was fetched: {asked:?}");
    let blobs = asked.iter().filter(|it| it.contains("/blobs/")).count();
    assert_eq!(blobs, 2, "the config and the delta: {asked:?}");
    proof::ran(PROOF, asked.len());
}

/// A host of plain files has no tag `_deltaindex`: the client is told where the delta is. The layer is not even there.
#[test]
fn flatpak_updates_by_the_address_of_a_delta() {
    const PROOF: &str = "delta: flatpak updates by the address that an index names";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    version(&client, "images", 1);
    let image = format!("oci:images:{REF}");
    run(&client, &["copy", &image, "oci:older:x"]).ok();
    let index = || run(&client, &["flatpak", "index", "oci:images", "-o", "web"]).ok();
    index();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (seen, folder) = (Arc::clone(&asked), client.folder().path("web"));
    let host = Listener::start(move |stream| {
        serve(stream, |asked| {
            seen.lock().expect("no holder panics").push(asked.path().to_owned());
            let path = asked.path().strip_prefix("/pages/").unwrap_or("nowhere");
            match fs::read(folder.join(path)) {
                Ok(bytes) => Reply::new(200).with("Cache-Control", "no-cache").body(bytes),
                Err(_) => Reply::new(404),
            }
        });
    });
    client.add_remote("r", &format!("http://{}/pages", host.host()));
    let (is_well, told) = client.install("r", APP, &["--no-deps"]);
    assert!(is_well, "{told}");

    let program = version(&client, "images", 2);
    run(&client, &["delta", "make", "oci:older:x", &image]).ok();
    index();
    let layer = layer(&client, &image);
    let blobs = client.folder().path("web/v2/app/org.test.hello/x86_64/master/blobs");
    fs::remove_file(blobs.join(&layer)).expect("it was written");
    asked.lock().expect("no holder panics").clear();
    update(&client);
    assert!(fs::read(client.installed("files/program")).expect("installed") == program);
    let asked = asked.lock().expect("no holder panics").clone();
    assert!(asked.iter().all(|it| !it.contains("_deltaindex") && !it.contains(&layer)), "{asked:?}");
    proof::ran(PROOF, asked.len());
}

/// All of it is ours but the client. The layer is not even there.
#[test]
fn flatpak_updates_by_a_delta_that_we_serve() {
    const PROOF: &str = "delta: flatpak updates by one that we serve";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    version(&client, "images", 1);
    let image = format!("oci:images:{REF}");
    run(&client, &["copy", &image, "oci:older:x"]).ok();
    let serving = Serving::start(client.folder(), &["oci:images"]);
    client.add_remote("r", &serving.address);
    let (is_well, told) = client.install("r", APP, &["--no-deps"]);
    assert!(is_well, "{told}");

    let program = version(&client, "images", 2);
    run(&client, &["delta", "make", "oci:older:x", &image]).ok();
    let layer = layer(&client, &image);
    let blob = client.folder().path("images/blobs/sha256").join(layer.trim_start_matches("sha256:"));
    fs::remove_file(blob).expect("it was there");
    update(&client);
    assert!(fs::read(client.installed("files/program")).expect("installed") == program);
    proof::ran(PROOF, 1);
}
