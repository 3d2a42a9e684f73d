//! flatpak's own client updates by a delta of ours: it asks the registry for the delta and not for the layer.

use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use testkit::http::{Reply, serve};
use testkit::listener::Listener;
use testkit::noise::noise;
use testkit::registry::{Guard, Registry, Wire};
use testkit::{Command, Scratch, orlop, peer, proof, scratch};

const ID: &str = "org.test.Platform";

const METADATA: &str = "[Runtime]
name=org.test.Platform
runtime=org.test.Platform/x86_64/master
sdk=org.test.Platform/x86_64/master
";

/// A user of flatpak, with folders of its own. What it started is ended with it.
struct Client {
    it: Scratch,
}

impl Client {
    fn new() -> Self {
        let it = scratch();
        for folder in ["home", "user", "system", "config", "runtime"] {
            it.folder(folder);
        }
        fs::set_permissions(it.path("runtime"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .expect("ours");
        Self { it }
    }

    /// Runs flatpak on a bus of its own; what it says goes to a file, because what it starts keeps its output open.
    fn flatpak(&self, words: &[&str]) -> (bool, String) {
        let said = self.it.path("said");
        let out = fs::File::create(&said).expect("a file");
        let status = std::process::Command::new("dbus-run-session")
            .args(["--", "flatpak"])
            .args(words)
            .envs(
                [("HOME", "home"), ("FLATPAK_USER_DIR", "user"), ("FLATPAK_SYSTEM_DIR", "system")]
                    .map(|it| self.at(it)),
            )
            .envs([("FLATPAK_CONFIG_DIR", "config"), ("XDG_RUNTIME_DIR", "runtime")].map(|it| self.at(it)))
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a handle"))
            .stderr(out)
            .status()
            .expect("dbus-run-session starts");
        (status.success(), fs::read_to_string(said).unwrap_or_default())
    }

    fn ok(&self, words: &[&str]) {
        let (is_well, said) = self.flatpak(words);
        assert!(is_well, "flatpak {words:?}: {said}");
    }

    fn at(&self, (name, folder): (&'static str, &str)) -> (&'static str, std::path::PathBuf) {
        (name, self.it.path(folder))
    }

    /// An image of the runtime with a folder of files, as a layout `oci:NAME`.
    fn bundle(&self, name: &str, files: &[(&str, Vec<u8>)]) -> bool {
        let (tree, repo) = (self.it.folder(&format!("{name}-tree")), self.it.path(&format!("{name}-repo")));
        self.it.file(&format!("{name}-tree/metadata"), METADATA);
        for folder in ["files", "usr", "var"] {
            self.it.folder(&format!("{name}-tree/{folder}"));
        }
        for (file, content) in files {
            self.it.file(&format!("{name}-tree/usr/{file}"), content);
        }
        let (tree, repo) = (tree.display().to_string(), repo.display().to_string());
        let target = self.it.path(name).display().to_string();
        let export =
            ["build-export", "--no-update-summary", "--disable-sandbox", "--runtime", &repo, &tree, "master"];
        self.ok(&export);
        self.ok(&["build-bundle", "--oci", "--runtime", &repo, &target, ID, "master"]);
        self.it.path(&format!("{name}/index.json")).exists()
    }

    fn orlop(&self, words: &[&str]) -> Command {
        orlop().args(words).current_dir(self.it.root())
    }
}

impl Drop for Client {
    /// Its authenticator lives on for minutes.
    fn drop(&mut self) {
        let mark = self.it.path("runtime").display().to_string();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let is_ours = environment.split(|byte| *byte == 0).any(|it| it.ends_with(mark.as_bytes()));
            if is_ours && pid != std::process::id().cast_signed() {
                let _gone = Command::new("kill").arg(pid.to_string()).run();
            }
        }
    }
}

/// What the index of the remote says of the image that is there now.
fn listing(client: &Client, registry: &Registry, place: &str) -> Value {
    let config = client.orlop(&["inspect", "--config", place]).ok().out();
    let config: Value = serde_json::from_str(&config).expect("JSON");
    let digest = client.orlop(&["digest", place]).ok().out();
    json!({
        "Registry": format!("http://{}/", registry.host()),
        "Results": [{
            "Name": "platform",
            "Images": [{
                "Tags": ["latest"],
                "Digest": digest.trim(),
                "MediaType": "application/vnd.oci.image.manifest.v1+json",
                "OS": "linux",
                "Architecture": "amd64",
                "Annotations": {},
                "Labels": config["config"]["Labels"],
            }],
            "Lists": [],
        }],
    })
}

#[test]
fn flatpak_updates_by_our_delta() {
    const PROOF: &str = "delta: flatpak updates by ours";
    let (Some(_), Some(_)) = (peer("flatpak"), peer("dbus-daemon")) else {
        return proof::skipped(PROOF, "flatpak or dbus is missing");
    };
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let client = Client::new();
    let program = noise(1, 600_000);
    let changed = [&program[..200_000], b"some more", &program[200_000..]].concat();
    let same = noise(2, 300_000);
    assert!(
        client.bundle("one", &[("program", program), ("same", same.clone()), ("version", b"1".to_vec())])
    );
    assert!(
        client.bundle("two", &[("program", changed.clone()), ("same", same), ("version", b"2".to_vec())])
    );
    let at = |tag: &str| format!("docker://{}/platform:{tag}", registry.host());
    client.orlop(&["copy", "oci:one", &at("one")]).ok();
    client.orlop(&["copy", "oci:two", &at("two")]).ok();

    let index = Arc::new(Mutex::new(listing(&client, &registry, &at("one"))));
    let listener = Listener::start({
        let index = Arc::clone(&index);
        move |stream| {
            serve(stream, |asked| match asked.path() {
                "/index/static" => Reply::json(200, &index.lock().expect("no holder panics"))
                    .with("Cache-Control", "no-cache"),
                _ => Reply::new(404),
            });
        }
    });
    let remote = format!("oci+http://{}", listener.host());
    client.ok(&["remote-add", "--user", "--no-gpg-verify", "r", &remote]);
    client.ok(&["install", "--user", "-y", "--noninteractive", "r", ID]);

    let made = client.orlop(&["delta", "make", &at("one"), &at("two"), "--format", "json"]).ok().out();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let (whole, delta) = (&made["layers"][0]["blob"], made["layers"][0]["delta"].as_u64().expect("a delta"));
    assert!(delta < 20_000, "{delta} in the place of {whole}");
    *index.lock().expect("no holder panics") = listing(&client, &registry, &at("two"));
    let before = registry.requests().len();
    client.ok(&["update", "--user", "-y", "--noninteractive", ID]);
    let asked = registry.requests().split_off(before);

    let files = client.it.path("user/runtime").join(ID).join("x86_64/master/active/files");
    assert_eq!(fs::read(files.join("version")).expect("installed"), b"2");
    assert!(fs::read(files.join("program")).expect("installed") == changed);
    let manifest: Value =
        serde_json::from_str(&client.orlop(&["inspect", "--raw", &at("two")]).ok().out()).expect("JSON");
    let layer = manifest["layers"][0]["digest"].as_str().expect("a digest");
    assert!(asked.iter().any(|it| it.contains("/manifests/_deltaindex")), "{asked:?}");
    assert!(asked.iter().all(|it| !it.contains(layer)), "the layer was fetched: {asked:?}");
    let blobs = asked.iter().filter(|it| it.contains("/blobs/")).count();
    assert_eq!(blobs, 2, "the config and the delta: {asked:?}");
    proof::ran(PROOF, asked.len());
}
