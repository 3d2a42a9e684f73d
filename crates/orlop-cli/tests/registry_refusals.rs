//! What a registry refuses, and what is said then: what failed, why, and what to type next; with the documented code.

use std::net::TcpListener;
use testkit::http::{Asked, Reply, serve};
use testkit::image::{Image, Packing};
use testkit::listener::Listener;
use testkit::tarball::{Member, tar};
use testkit::{Finished, Scratch, orlop, scratch};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Each repository of it fails in the way that it is called.
fn registry() -> Listener {
    Listener::start(|stream| {
        let mut first = [0];
        // TLS is tried first; whoever speaks in the clear alone hangs up.
        let is_clear = stream.peek(&mut first).is_ok_and(|count| count == 1) && first != [22];
        if is_clear {
            serve(stream, |asked| answer(asked.path(), asked));
        }
    })
}

fn answer(path: &str, asked: &Asked) -> Reply {
    let mut parts = path.trim_start_matches("/v2/").split('/');
    match (parts.next().unwrap_or_default(), asked.method.as_str()) {
        ("often", _) => Reply::error(429, "TOOMANYREQUESTS", "the limit of pulls is reached"),
        ("later", _) => Reply::error(429, "TOOMANYREQUESTS", "later").with("Retry-After", "3600"),
        ("denied", _) => Reply::error(403, "DENIED", "not you"),
        ("huge", _) => Reply::new(200).with("Content-Type", MANIFEST).body(vec![b' '; 5 << 20]),
        (_, "HEAD") => Reply::new(404),
        (name, "POST") => Reply::new(202).with("Location", format!("/v2/{name}/blobs/uploads/1")),
        ("full", "PUT") => Reply::error(507, "QUOTA_EXCEEDED", "no room"),
        ("small", "PUT") if path.contains("/manifests/") => Reply::new(413),
        (_, "PUT") => Reply::new(201),
        _ => Reply::error(404, "NAME_UNKNOWN", "no such repository"),
    }
}

fn image() -> Scratch {
    let scratch = scratch();
    Image::of(&[tar([Member::file("f", "1")])], Packing::Gzip).layout().write(&scratch.path("layout"));
    scratch
}

fn run(scratch: &Scratch, words: &[&str]) -> Finished {
    orlop().args(words).arg("--retry=1").current_dir(scratch.root()).run()
}

fn tells(done: &Finished, code: i32, what: &str, next: &str) {
    assert_eq!(done.code(), Some(code), "{done}");
    assert!(done.stdout.is_empty(), "an error is no result: {}", done.out());
    assert!(done.err().contains(what), "{what:?} is not said:\n{}", done.err());
    let hint =
        done.err().lines().find_map(|line| line.trim_start().strip_prefix("hint: ").map(str::to_owned));
    assert!(hint.as_ref().is_some_and(|hint| hint.contains(next)), "{next:?} is no hint:\n{}", done.err());
}

#[test]
fn a_refusal_to_give_says_what_to_type_next() {
    let (registry, scratch) = (registry(), image());
    for (name, code, what, next) in [
        ("often", 6, "429", "--creds"),
        ("later", 6, "wait 3600 s", "--creds"),
        ("denied", 3, "not you", "orlop login"),
        ("huge", 9, "longer than 4194304", "--max-document"),
    ] {
        let reference = format!("docker://{}/{name}/app:1", registry.host());
        tells(&run(&scratch, &["pull", &reference, "oci:pulled:1"]), code, what, next);
        assert!(!scratch.path("pulled/blobs").exists(), "{name}: the target is as it was");
    }
    let reference = format!("docker://{}/huge/app:1", registry.host());
    let done = run(&scratch, &["pull", "--max-document=8M", &reference, "oci:pulled:1"]);
    assert!(!done.err().contains("longer than"), "{done}");
}

#[test]
fn a_refusal_to_take_says_what_to_raise() {
    let (registry, scratch) = (registry(), image());
    for (name, what, next) in [("full", "507", "quota"), ("small", "413", "limit on bodies")] {
        let reference = format!("docker://{}/{name}/app:1", registry.host());
        tells(&run(&scratch, &["push", "oci:layout", &reference]), 9, what, next);
    }
}

#[test]
fn a_registry_that_is_not_there_is_unreachable() {
    let scratch = image();
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let done = run(&scratch, &["inspect", &format!("docker://{closed}/app:1")]);
    tells(&done, 6, "connecting failed", "port");
    let words = ["inspect", "--retry=0", "docker://no.such.host.invalid/app:1"];
    let done = orlop().args(words).current_dir(scratch.root()).run();
    tells(&done, 6, "looking up the name failed", "no.such.host.invalid");
    let done = orlop().args(["inspect", "ocl:layout:latest"]).current_dir(scratch.root()).run();
    tells(&done, 64, "is no tag", "oci:");
    let done = orlop().args(["inspect", "ostre:repo@app/x"]).current_dir(scratch.root()).run();
    tells(&done, 64, "is no name of an image", "ostree:");
}
