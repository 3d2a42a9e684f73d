//! A remote that orlop serves: listed, installed from, run and updated from (A5, A9, A10), and a registry to others.

use super::*;
use testkit::flatpak::{APP, RUNTIME};
use testkit::proof;
use testkit::registry::skopeo;

const REF: &str = "app/org.test.Hello/x86_64/master";

#[test]
fn a5_a9_a10_flatpak_lists_installs_runs_and_updates_what_we_serve() {
    const PROOF: &str = "flatpak: lists, installs, runs and updates what we serve";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    client.bundle_runtime("images");
    client.bundle_app("images", "Hello world, from a sandbox");
    let serving = Serving::start(client.folder(), &["oci:images"]);
    client.add_remote("r", &serving.address);
    let listed = client.ok(&["remote-ls", "--user", "--columns=ref,installed-size", "r"]);
    for name in [REF, "runtime/org.test.Platform/x86_64/master"] {
        assert!(listed.contains(name.split_once('/').expect("a ref").1), "{name}: {listed}");
    }
    let (is_well, told) = client.install("r", APP, &[]);
    assert!(is_well, "{told}");
    assert!(client.ok(&["list", "--user"]).contains(RUNTIME), "what an app needs comes with it");
    let ran = client.ok(&["run", "--user", APP]);
    assert!(ran.contains("Hello world, from a sandbox"), "{ran}");

    // The server looks at the layout again, and tells the client not to rely on what it kept.
    client.bundle_app("images", "Hello again");
    client.ok(&["update", "--user", "-y", "--noninteractive", APP]);
    let ran = client.ok(&["run", "--user", APP]);
    assert!(ran.contains("Hello again"), "{ran}");
    assert_eq!(serving.end(), Some(0), "it ends well when it is told to: {}", said(client.folder()));
    assert!(!said(client.folder()).contains("warning"), "{}", said(client.folder()));
    proof::ran(PROOF, 3);
}

#[test]
fn skopeo_and_orlop_pull_what_we_serve() {
    const PROOF: &str = "flatpak: skopeo and orlop pull what we serve";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    let Some(skopeo) = skopeo() else { return proof::skipped(PROOF, "skopeo is missing") };
    client.bundle_app("images", "Hello");
    let serving = Serving::start(client.folder(), &["oci:images"]);
    let image = format!("docker://{}/app/org.test.hello/x86_64/master:latest", serving.host());
    let digest = |place: &str| run(&client, &["digest", place]).ok().out();
    let known = digest(&format!("oci:images:{REF}"));
    run(&client, &["copy", &image, "oci:ours:a"]).ok();
    assert_eq!(digest("oci:ours:a"), known);
    let theirs = format!("oci:{}:a", client.folder().path("theirs").display());
    skopeo.args(["copy", "--preserve-digests", "--src-tls-verify=false", &image, &theirs]).ok();
    assert_eq!(digest("oci:theirs:a"), known);
    let tags =
        run(&client, &["ls", &format!("docker://{}/app/org.test.hello/x86_64/master", serving.host())]);
    assert!(tags.ok().out().contains("latest"));
    let refused = run(&client, &["copy", "oci:ours:a", &image.replace("latest", "new")]).run();
    assert_eq!(refused.code(), Some(1), "{}", refused.err());
    proof::ran(PROOF, 2);
}
