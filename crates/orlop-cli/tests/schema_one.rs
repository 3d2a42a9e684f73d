//! Images of Docker's schema 1, from before 2016: refused by name, and converted where that is asked for.

use serde_json::Value;
use testkit::http::{self, Reply};
use testkit::image::sha256;
use testkit::listener::Listener;
use testkit::registry::{Registry, skopeo};
use testkit::{Finished, Scratch, orlop, proof, scratch};

const SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

fn run(it: &Scratch, words: &[&str]) -> Finished {
    orlop().args(words).current_dir(it.root()).env("HOME", it.root()).run()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

/// An image of three steps, one of them without a layer, as skopeo writes it in schema 1.
fn push_old(it: &Scratch, host: &str) -> bool {
    it.folder("base");
    it.file("base/etc", "one\n");
    it.folder("top");
    it.file("top/motd", "two\n");
    let words =
        ["build", "base", "top", "oci:img:1", "--env", "A=b", "--cmd", "sh", "--label", "l=m", "--user", "7"];
    let done = run(it, &words);
    assert!(done.success(), "{done}");
    let Some(skopeo) = skopeo() else { return false };
    let target = format!("docker://{host}/app:1");
    let words = ["copy", "--format", "v2s1", "--dest-tls-verify=false", "oci:img:1", &target];
    skopeo.args(words).current_dir(it.root()).ok();
    true
}

const JUDGED: &str = "schema 1: converted to what skopeo converts it to";

#[test]
fn a_signed_image_is_converted_to_what_skopeo_converts_it_to() {
    let Some(registry) = Registry::plain() else {
        return proof::skipped(JUDGED, "docker-registry is missing");
    };
    let it = scratch();
    if !push_old(&it, &registry.host()) {
        return proof::skipped(JUDGED, "skopeo is missing");
    }
    let old = format!("docker://{}/app:1", registry.host());
    for verb in ["inspect", "digest"] {
        let refused = run(&it, &[verb, &old]);
        assert_eq!(refused.code(), Some(1), "{refused}");
        assert!(
            refused.err().contains("schema 1") && refused.err().contains("--convert-schema1"),
            "{refused}"
        );
    }
    let done = run(&it, &["pull", "--convert-schema1", &old, "oci:own:1"]);
    assert!(done.success() && done.err().contains("schema 1; converted, its digest is"), "{done}");
    assert!(run(&it, &["validate", "oci:own:1"]).success());
    let words = ["copy", "--format", "oci", "--src-tls-verify=false", &old, "oci:other:1"];
    skopeo().expect("found before").args(words).current_dir(it.root()).ok();
    let of = |place: &str, what: &str| json(&run(&it, &["inspect", what, place]).out());
    let (ours, theirs) = (of("oci:own:1", "--config"), of("oci:other:1", "--config"));
    for key in ["rootfs", "architecture", "os", "config", "created", "author"] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    let steps = |config: &Value| {
        let told =
            |step: &Value| [&step["created"], &step["created_by"], &step["empty_layer"]].map(Clone::clone);
        config["history"].as_array().expect("a list").iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(steps(&ours), steps(&theirs));
    assert_eq!(of("oci:own:1", "--raw")["layers"], of("oci:other:1", "--raw")["layers"]);
    // Every verb that reads takes the flag, and no layer is fetched twice.
    let before = registry.requests().len();
    assert!(run(&it, &["unpack", "--convert-schema1", &old, "root"]).success());
    let fetched = registry.requests().split_off(before);
    assert_eq!(fetched.iter().filter(|it| it.contains("GET /v2/app/blobs/")).count(), 2, "{fetched:?}");
    assert_eq!(std::fs::read_to_string(it.path("root/motd")).expect("a file"), "two\n");
    let copy = format!("docker://{}/new:1", registry.host());
    assert!(run(&it, &["copy", "--convert-schema1", &old, &copy]).success());
    assert_eq!(run(&it, &["digest", &copy]).out(), run(&it, &["digest", "oci:own:1"]).out());
    proof::ran(JUDGED, 4);
}

/// A registry with one manifest of schema 1, called `digest`, and one blob under every name.
fn old_registry(manifest: &str, digest: &str, blob: &'static [u8]) -> Listener {
    let (manifest, digest) = (manifest.to_owned(), digest.to_owned());
    Listener::start(move |stream| {
        http::serve(stream, |asked| match asked.path() {
            path if path.contains("/manifests/") => Reply::new(200)
                .with("Content-Type", SIGNED)
                .with("Docker-Content-Digest", digest.clone())
                .body(manifest.clone()),
            path if path.contains("/blobs/") => Reply::new(200).body(blob),
            _ => Reply::new(200),
        });
    })
}

#[test]
fn item_203_what_is_not_what_was_named_is_refused() {
    let it = scratch();
    let manifest = |blob: &str| {
        format!(
            r#"{{"schemaVersion":1,"name":"app","tag":"1","architecture":"amd64","fsLayers":[{{"blobSum":"{blob}"}}],"history":[{{"v1Compatibility":"{{\"id\":\"a\"}}"}}]}}"#
        )
    };
    let right = manifest(&sha256(b"a layer"));
    let zeros = sha256(b"");
    for (text, digest, code) in [
        (right.clone(), sha256(right.as_bytes()), 0),
        (right.clone(), zeros.clone(), 5),
        (manifest(&zeros), sha256(manifest(&zeros).as_bytes()), 5),
        (right.replace("\\\"a\\\"", "1"), sha256(right.replace("\\\"a\\\"", "1").as_bytes()), 5),
        ("{}".into(), sha256(b"{}"), 5),
    ] {
        let server = old_registry(&text, &digest, b"a layer");
        let target = format!("oci:to-{}:1", server.host().replace(':', "-"));
        let old = format!("docker://{}/app:1", server.host());
        // It does not even say that it speaks no TLS.
        let words = ["copy", "--convert-schema1", "--stall-timeout=0.2", "--retry=0", &old, &target];
        let done = run(&it, &words);
        assert_eq!(done.code(), Some(code), "{text}: {done}");
    }
}
