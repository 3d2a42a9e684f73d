//! Files on a web host that knows nothing of flatpak, and over a registry that has no index (A10).

use super::*;
use std::path::PathBuf;
use testkit::flatpak::APP;
use testkit::http::{Asked, Reply, serve};
use testkit::listener::Listener;
use testkit::proof;
use testkit::registry::Registry;

/// What the host says of how long an answer may be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caching {
    Said,
    Unsaid,
}

/// Serves a folder beneath `/pages/`, as plain hosts do: by path alone, and every type is the same.
fn host(folder: PathBuf, caching: Caching) -> Listener {
    let answer = move |asked: &Asked| {
        let path = asked.path().strip_prefix("/pages/").unwrap_or("nowhere");
        match std::fs::read(folder.join(path)) {
            Ok(bytes) => {
                let reply = Reply::new(200).with("Content-Type", "application/octet-stream").body(bytes);
                if caching == Caching::Said { reply.with("Cache-Control", "no-cache") } else { reply }
            }
            Err(_) => Reply::new(404),
        }
    };
    Listener::start(move |stream| serve(stream, &answer))
}

fn update(client: &Client) -> String {
    client.ok(&["update", "--user", "-y", "--noninteractive", "--no-deps", APP]);
    std::fs::read_to_string(client.installed("files/bin/hello.sh")).expect("installed")
}

#[test]
fn a10_flatpak_installs_and_updates_from_plain_files() {
    const PROOF: &str = "flatpak: installs and updates from plain files";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    let index = || run(&client, &["flatpak", "index", "oci:images", "-o", "web"]).ok().out();
    for caching in [Caching::Said, Caching::Unsaid] {
        client.bundle_app("images", "one");
        assert!(index().starts_with("app/org.test.Hello/x86_64/master@sha256:"));
        let host = host(client.folder().path("web"), caching);
        client.add_remote("r", &format!("http://{}/pages", host.host()));
        let (is_well, told) = client.install("r", APP, &["--no-deps"]);
        assert!(is_well, "{told}");
        client.bundle_app("images", "two");
        index();
        // Without a word about it the client goes on with the index that it has.
        let expected = if caching == Caching::Said { "two" } else { "one" };
        let installed = update(&client);
        assert!(installed.contains(expected), "{installed}");
        client.ok(&["uninstall", "--user", "-y", "--noninteractive", APP]);
        client.ok(&["remote-delete", "--user", "r"]);
    }
    proof::ran(PROOF, 2);
}

#[test]
fn flatpak_installs_from_a_registry_that_has_no_index() {
    const PROOF: &str = "flatpak: installs from a registry over an index of ours";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    client.bundle_app("images", "from afar");
    let far = format!("docker://{}/some/hello:latest", registry.host());
    run(&client, &["copy", "oci:images", &far]).ok();
    run(&client, &["flatpak", "index", &far, "-o", "web"]).ok();
    assert!(!client.folder().path("web/v2").exists(), "the images stay in the registry");
    let host = host(client.folder().path("web"), Caching::Said);
    client.add_remote("r", &format!("http://{}/pages", host.host()));
    let (is_well, told) = client.install("r", APP, &["--no-deps"]);
    assert!(is_well, "{told}");
    assert!(registry.requests().iter().any(|it| it.contains("HEAD /v2/some/hello/manifests/sha256:")));
    proof::ran(PROOF, 1);
}

#[test]
fn what_an_index_says_of_a_registry_is_not_asked_for_again() {
    const PROOF: &str = "flatpak: an index learns from the one before";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = testkit::scratch();
    let orlop = |words: &[&str]| orlop().args(words).current_dir(it.root()).ok().out();
    let far = format!("docker://{}/some/hello", registry.host());
    let push = |tag: &str, time: &str| {
        let labels = serde_json::json!({
            "org.flatpak.ref": format!("app/org.test.{tag}/x86_64/master"),
            "org.flatpak.metadata": "[Application]\n",
            "org.flatpak.timestamp": time,
        });
        let image = testkit::image::Image::new().config(move |mut config| {
            config["config"] = serde_json::json!({ "Labels": labels });
            config
        });
        image.layout().write(&it.path(&format!("{tag}-{time}")));
        orlop(&["copy", &format!("oci:{tag}-{time}"), &format!("{far}:{tag}")]);
    };
    let asked = |output: &str| {
        let before = registry.requests().len();
        orlop(&["flatpak", "index", &far, "-o", output]);
        let asked = registry.requests().split_off(before);
        let reads = |it: &&String| {
            it.starts_with("GET") && (it.contains("/blobs/") || it.contains("/manifests/sha256"))
        };
        (
            asked.iter().filter(reads).count(),
            std::fs::read(it.path(output).join("index/static")).expect("written"),
        )
    };
    push("one", "1");
    push("two", "1");
    let (first, index) = asked("web");
    assert!(first >= 4, "two manifests and two configs: {first}");
    assert_eq!(asked("web"), (0, index.clone()));
    push("two", "2");
    let (second, changed) = asked("web");
    assert!((1..=2).contains(&second) && changed != index, "one manifest and one config: {second}");
    assert_eq!(asked("else").1, changed, "it is the same as without");
    // What is no index teaches nothing, and stays.
    it.file("web/index/static", "something of somebody's");
    let refused = testkit::orlop().args(["flatpak", "index", &far, "-o", "web"]).current_dir(it.root()).run();
    assert_eq!(refused.code(), Some(1), "{}", refused.err());
    proof::ran(PROOF, 4);
}

#[test]
fn an_index_is_the_same_again_and_replaces_nothing_that_is_none() {
    let scratch = testkit::scratch();
    let image = testkit::image::Image::new().config(|mut config| {
        config["config"] = serde_json::json!({ "Labels": {
            "org.flatpak.ref": "app/org.test.Hello/x86_64/master", "org.flatpak.metadata": "[Application]\n",
        } });
        config
    });
    image.layout().write(&scratch.path("images"));
    testkit::image::Image::new().layout().write(&scratch.path("others"));
    let index = |place: &str| {
        let words = ["flatpak", "index", place, "-o", "web", "--format", "json"];
        orlop().args(words).current_dir(scratch.root()).run()
    };
    let read = || std::fs::read(scratch.path("web/index/static")).expect("written");
    let first = index("oci:images");
    assert_eq!(first.code(), Some(0), "{}", first.err());
    assert!(
        first.out().contains(r#""changed":true"#) && first.out().contains(r#""files":2"#),
        "{}",
        first.out()
    );
    let bytes = read();
    let second = index("oci:images").out();
    assert!(second.contains(r#""changed":false"#) && second.contains(r#""files":0"#), "{second}");
    assert_eq!(read(), bytes);
    let none = index("oci:others");
    assert_eq!(none.code(), Some(64));
    assert!(none.err().contains("orlop flatpak lint"), "{}", none.err());
    assert_eq!(read(), bytes);
    scratch.file("web/index/static", "something of somebody's");
    assert_eq!(index("oci:images").code(), Some(1));
    assert_eq!(read(), b"something of somebody's");
}

/// An image may bear a label that looks as if an index had given it.
#[test]
fn what_an_image_says_of_its_delta_stays_from_index_to_index() {
    const PROOF: &str = "flatpak: an index keeps an image's own address of a delta";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = testkit::scratch();
    let own = format!("v2/some/hello/manifests/sha256:{}", "0".repeat(64));
    let labels = serde_json::json!({
        "org.flatpak.ref": "app/org.test.Hello/x86_64/master",
        "org.flatpak.metadata": "[Application]\n",
        "io.github.containers.DeltaUrl": own,
    });
    let image = testkit::image::Image::new().config(move |mut config| {
        config["config"] = serde_json::json!({ "Labels": labels });
        config
    });
    image.layout().write(&it.path("image"));
    let far = format!("docker://{}/some/hello", registry.host());
    let orlop = |words: &[&str]| orlop().args(words).current_dir(it.root()).ok().out();
    orlop(&["copy", "oci:image", &format!("{far}:one")]);
    let index = || {
        orlop(&["flatpak", "index", &far, "-o", "web"]);
        std::fs::read_to_string(it.path("web/index/static")).expect("written")
    };
    let first = index();
    assert!(first.contains(&own), "{first}");
    assert_eq!(index(), first);
    proof::ran(PROOF, 2);
}
