//! A server that asks who comes (A11).

use super::*;
use testkit::flatpak::APP;
use testkit::http::base64;
use testkit::proof;
use testkit::registry::skopeo;

#[test]
fn a11_flatpak_skopeo_and_orlop_get_tokens() {
    const PROOF: &str = "flatpak: tokens for flatpak, skopeo and orlop";
    let Some(client) = Client::new() else { return proof::skipped(PROOF, "flatpak or dbus is missing") };
    let Some(_) = skopeo() else { return proof::skipped(PROOF, "skopeo is missing") };
    client.bundle_app("images", "for alice");
    client.folder().file("users", "alice:s3cret\n");
    let serving = Serving::start(client.folder(), &["oci:images", "--users", "users"]);
    client.add_remote("r", &serving.address);
    let (is_well, told) = client.install("r", APP, &["--no-deps"]);
    assert!(!is_well, "{told}");
    let auth = format!(r#"{{"auths": {{"{}": {{"auth": "{}"}}}}}}"#, serving.host(), base64(b"alice:s3cret"));
    client.folder().folder("runtime/containers");
    client.folder().file("runtime/containers/auth.json", auth);
    let (is_well, told) = client.install("r", APP, &["--no-deps"]);
    assert!(is_well, "{told}");

    let image = format!("docker://{}/app/org.test.hello/x86_64/master:latest", serving.host());
    assert_eq!(run(&client, &["copy", &image, "oci:ours:a"]).run().code(), Some(3));
    assert_eq!(run(&client, &["copy", &image, "oci:ours:a", "--creds", "alice:other"]).run().code(), Some(3));
    run(&client, &["copy", &image, "oci:ours:a", "--creds", "alice:s3cret"]).ok();
    let theirs = format!("oci:{}:a", client.folder().path("theirs").display());
    let skopeo = |creds: &str| {
        let words = ["copy", "--src-tls-verify=false", creds, &image, &theirs];
        skopeo().expect("found before").args(words).run().success()
    };
    assert!(!skopeo("--src-creds=alice:other"));
    assert!(skopeo("--src-creds=alice:s3cret"));
    proof::ran(PROOF, 3);
}
