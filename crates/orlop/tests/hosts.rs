//! Settings of registries against those who made them: the same files are given to skopeo and to us, and servers on
//! loopback tell where skopeo went and what it said.

use orlop::network::{Given, Role, Surroundings, WhichPolicy};
use orlop::remote::{Client, Options, Pool, Remote, Resolve};
use orlop::spec::network::{Access, Credential, Serves};
use orlop::spec::port::{Selector, Source as _};
use orlop::spec::reference::{Bare, LoneStream, Repository};
use orlop::spec::{Cancel, Context, Document, Limits, Manifest};
use orlop::transport;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::http::{self, Asked, Reply};
use testkit::image::sha256;
use testkit::listener::Listener;
use testkit::peer::Peer;
use testkit::proof::{ran, skipped};
use testkit::{Finished, Scratch, peer, scratch};

/// A home folder, and variables that both sides see.
struct Machine {
    scratch: Scratch,
    variables: BTreeMap<String, OsString>,
}

impl Machine {
    fn new() -> Self {
        let scratch = scratch();
        let mut variables = BTreeMap::new();
        variables.insert("HOME".into(), scratch.folder("home").into());
        variables.insert("XDG_RUNTIME_DIR".into(), scratch.folder("run").into());
        Self { scratch, variables }
    }

    fn file(&self, path: &str, content: &str) -> PathBuf {
        let folder = PathBuf::from(path).parent().map(PathBuf::from).unwrap_or_default();
        self.scratch.folder(folder.to_str().expect("text"));
        let path = self.scratch.file(path, content);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
        path
    }

    fn surroundings(&self, policy: WhichPolicy) -> Surroundings {
        let variables = self.variables.clone();
        Surroundings::new(Given {
            variable: Box::new(move |name| variables.get(name).cloned()),
            policy,
            ..Given::nothing(self.scratch.path("root"), orlop::fs::privilege::ids().0)
        })
    }

    fn run(&self, skopeo: &Peer, words: &[&str]) -> Finished {
        let mut command = skopeo.command();
        for (name, value) in &self.variables {
            command = command.env(name, value);
        }
        command.args(words).run()
    }
}

fn repository(name: &str) -> Repository {
    Repository::parse(name).expect(name)
}

/// `{"auths":{KEY:{"auth":base64(USER:p)}}}`, `HOST` standing for the server.
fn auths(host: &str, keys: &[(&str, &str)]) -> String {
    let entry = |(key, user): &(&str, &str)| {
        let auth = orlop::spec::base64::encode(format!("{user}:p").as_bytes());
        format!(r#""{}":{{"auth":"{auth}"}}"#, key.replace("HOST", host))
    };
    format!(r#"{{"auths":{{{}}}}}"#, keys.iter().map(entry).collect::<Vec<_>>().join(","))
}

const AUTH: &str = "hosts: whose secret skopeo sends";

/// Files and their keys, and for which repositories they are asked.
type Case = (&'static [(&'static str, &'static [(&'static str, &'static str)])], &'static [&'static str]);

const CASES: [Case; 5] = [
    (
        &[("home/.docker/config.json", &[("HOST/foo/bar/image", "a"), ("HOST/foo", "b"), ("HOST", "c")])],
        &["foo/bar/image", "foo/bar/other", "foo", "foobar", "x/foo/bar/image"],
    ),
    (&[("home/.docker/config.json", &[("https://HOST/v1/", "d")])], &["foo/bar"]),
    (&[("home/.docker/config.json", &[("other.example", "e")])], &["foo"]),
    (
        &[
            ("run/containers/auth.json", &[("HOST/foo", "run")]),
            ("home/.docker/config.json", &[("HOST", "docker")]),
        ],
        &["foo/x", "bar/x"],
    ),
    (
        &[
            ("home/.config/containers/auth.json", &[("HOST", "config")]),
            ("home/.docker/config.json", &[("HOST/foo", "docker")]),
        ],
        &["foo/x", "bar/x"],
    ),
];

#[test]
fn the_same_secret_is_chosen_as_by_skopeo() {
    let Some(skopeo) = peer("skopeo") else { return skipped(AUTH, "skopeo is missing") };
    let said = Arc::new(Mutex::new(None));
    let server = Listener::start({
        let said = Arc::clone(&said);
        move |stream| http::serve(stream, |asked| challenge(asked, &said))
    });
    let mut cases = 0;
    for (files, repositories, named) in CASES
        .iter()
        .flat_map(|(files, names)| [None, Some("run/missing.json")].map(|named| (files, names, named)))
    {
        let mut machine = Machine::new();
        if let Some(named) = named {
            machine.variables.insert("REGISTRY_AUTH_FILE".into(), machine.scratch.path(named).into());
        }
        for (path, keys) in *files {
            machine.file(path, &auths(&server.host(), keys));
        }
        for name in *repositories {
            let whole = format!("{}/{name}", server.host());
            *said.lock().expect("no panic") = None;
            let done =
                machine.run(&skopeo, &["inspect", "--tls-verify=false", &format!("docker://{whole}:1")]);
            assert!(!done.success(), "there is no image: {done}");
            let by_skopeo = said.lock().expect("no panic").take();

            let surroundings = machine.surroundings(WhichPolicy::None);
            let secret = surroundings.network(Role::Source).secrets.credential(&repository(&whole));
            let by_us = match secret.expect("good files") {
                Some(Credential::Basic { user, .. }) => Some(user.to_string()),
                _ => None,
            };
            assert_eq!(by_us, by_skopeo, "{name} with {files:?} and {named:?}");
            cases += 1;
        }
    }
    ran(AUTH, cases);
}

/// Asks for a password, and remembers whose came.
fn challenge(asked: &Asked, said: &Mutex<Option<String>>) -> Reply {
    match asked.basic() {
        Some((user, _)) => {
            // Without a secret, skopeo says that it has none.
            *said.lock().expect("no panic") = Some(user).filter(|user| !user.is_empty());
            Reply::error(404, "MANIFEST_UNKNOWN", "nothing here")
        }
        None => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"here\""),
    }
}

const WHERE: &str = "hosts: where skopeo goes";

#[test]
fn places_are_tried_in_the_order_of_skopeo() {
    let Some(skopeo) = peer("skopeo") else { return skipped(WHERE, "skopeo is missing") };
    let visits = Arc::new(Mutex::new(Vec::new()));
    let servers: Vec<_> = (0..3).map(|number| visited(number, &visits)).collect();
    let hosts: Vec<_> = servers.iter().map(Listener::host).collect();
    let settings = format!(
        r#"
[[registry]]
prefix = "example.com/foo"
location = "{0}/bar"
insecure = true
[[registry.mirror]]
location = "{1}/mirror/foo"
insecure = true
[[registry.mirror]]
location = "{2}"
insecure = true

[[registry]]
prefix = "example.com"
location = "{0}"
insecure = true
mirror-by-digest-only = true
[[registry.mirror]]
location = "{1}/behind"
insecure = true

[[registry]]
prefix = "example.com/closed"
location = "closed.example"
blocked = true

[[registry]]
prefix = "*.wild.example"
location = "{2}/wild"
insecure = true

[[registry]]
prefix = "docker.io/library"
location = "{1}/hub"
insecure = true
"#,
        hosts[0], hosts[1], hosts[2]
    );
    let mut machine = Machine::new();
    let path = machine.file("registries.conf", &settings);
    machine.variables.insert("CONTAINERS_REGISTRIES_CONF".into(), path.clone().into());
    let digest = format!("@sha256:{}", "7".repeat(64));
    let mut cases = 0;
    for name in [
        "example.com/foo/app",
        "example.com/foo",
        "example.com/foobar",
        "example.com/other/app",
        "example.com/closed/app",
        "a.wild.example/x",
        "a.b.wild.example/x/y",
        "docker.io/library/busybox",
        "busybox",
    ] {
        for (image, is_digest) in [(":1", false), (digest.as_str(), true)] {
            visits.lock().expect("no panic").clear();
            let words = [
                "--registries-conf",
                path.to_str().expect("text"),
                "inspect",
                &format!("docker://{name}{image}"),
            ];
            let done = machine.run(&skopeo, &words);
            assert!(!done.success(), "there is no image: {done}");
            let by_skopeo = std::mem::take(&mut *visits.lock().expect("no panic"));
            assert_eq!(places(&machine, name, is_digest, &hosts), by_skopeo, "{name}{image}: {done}");
            cases += 1;
        }
    }
    ran(WHERE, cases);
}

/// A server that remembers which manifests it was asked for; each place once, however often it is asked.
fn visited(number: usize, visits: &Arc<Mutex<Vec<String>>>) -> Listener {
    let visits = Arc::clone(visits);
    Listener::start(move |stream| {
        http::serve(stream, |asked| {
            let manifest = asked.path().strip_prefix("/v2/").and_then(|path| path.split_once("/manifests/"));
            if let Some((name, _)) = manifest {
                let visit = format!("{number} {name}");
                let mut visits = visits.lock().expect("no panic");
                if visits.last() != Some(&visit) {
                    visits.push(visit);
                }
            }
            if asked.path() == "/v2/" {
                Reply::new(200)
            } else {
                Reply::error(404, "MANIFEST_UNKNOWN", "none")
            }
        });
    })
}

/// Where we would go, in the same words.
fn places(machine: &Machine, name: &str, is_digest: bool, hosts: &[String]) -> Vec<String> {
    let surroundings = machine.surroundings(WhichPolicy::None);
    let Ok(endpoints) = surroundings.network(Role::Source).hosts.endpoints(&repository(name), Access::Read)
    else {
        return Vec::new();
    };
    let fits = |serves| serves == Serves::All || (serves == Serves::Digests) == is_digest;
    let place = |endpoint: &orlop::spec::network::Endpoint| {
        let number = hosts.iter().position(|host| *host == endpoint.sites[0].authority()).expect("a server");
        format!("{number} {}", endpoint.repository.name())
    };
    endpoints.iter().filter(|endpoint| fits(endpoint.serves)).map(place).collect()
}

const POLICY: &str = "hosts: the policy that skopeo obeys";

#[test]
fn the_same_images_are_refused_as_by_skopeo() {
    let Some(skopeo) = peer("skopeo") else { return skipped(POLICY, "skopeo is missing") };
    let (config, server) = empty_image();
    let machine = Machine::new();
    let conf = machine.file(
        "registries.conf",
        &["host.example", "a.b.wild.example:5000", "good.wild.example", "wild.example"]
            .map(|host| {
                format!(
                    "[[registry]]\nprefix = \"{host}\"\nlocation = \"{}\"\ninsecure = true\n",
                    server.host()
                )
            })
            .concat(),
    );
    let real = machine.scratch.root().canonicalize().expect("a path");
    layout(&machine, "srv/app", &config);
    layout(&machine, "other/app", &config);
    layout(&machine, "third/app", &config);
    std::os::unix::fs::symlink("../srv/app", machine.scratch.path("other/link")).expect("linked");
    let accept = r#"[{"type":"insecureAcceptAnything"}]"#;
    let policy = machine.file(
        "policy.json",
        &format!(
            r#"{{"default":[{{"type":"reject"}}],"transports":{{
            "docker":{{"host.example/free":{accept},"host.example/free/app:bad":[{{"type":"reject"}}],
                "host.example/signed":[{{"type":"signedBy","keyType":"GPGKeys","keyPath":"/dev/null"}}],
                "*.b.wild.example":{accept},"good.wild.example":{accept},"wild.example/x@{1}":{accept}}},
            "oci":{{"{0}/srv":{accept},"{0}/other/app":{accept},"{0}/third/app:good":{accept}}}}}}}"#,
            real.display(),
            digest_of_manifest(&config),
        ),
    );
    let references = [
        "docker://host.example/free:1".to_owned(),
        "docker://host.example/free/app:1".into(),
        "docker://host.example/free/app:bad".into(),
        "docker://host.example/freedom:1".into(),
        "docker://host.example/signed:1".into(),
        "docker://a.b.wild.example:5000/x:1".into(),
        "docker://good.wild.example/x:1".into(),
        "docker://wild.example/x:1".into(),
        format!("docker://wild.example/x@{}", digest_of_manifest(&config)),
        format!("oci:{}/srv/app:good", real.display()),
        format!("oci:{}/other/link:good", real.display()),
        format!("oci:{}/other/app:bad", real.display()),
        format!("oci:{}/third/app:good", real.display()),
    ];
    let us = machine.surroundings(WhichPolicy::File(policy.clone()));
    let text = |path: &PathBuf| path.to_str().expect("text").to_owned();
    for reference in &references {
        let target = format!("dir:{}", machine.scratch.path("copy").display());
        let words =
            ["--policy", &text(&policy), "--registries-conf", &text(&conf), "copy", reference, &target];
        let done = machine.run(&skopeo, &words);
        let ours = us
            .check(&transport::parse(reference.as_ref(), Bare::Registry, LoneStream::Refused).expect("good"));
        assert_eq!(ours.is_ok(), done.success(), "{reference}: {ours:?}, {done}");
    }
    ran(POLICY, references.len());
}

/// A registry that has one image under every name, and the config of it.
fn empty_image() -> (String, Listener) {
    let config =
        r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#.to_owned();
    let body = config.clone();
    let server = Listener::start(move |stream| {
        http::serve(stream, |asked| match asked.path() {
            "/v2/" => Reply::new(200),
            path if path.contains("/manifests/") => {
                let reply = Reply::new(200).with("Content-Type", MANIFEST).body(manifest(&body));
                reply.with("Docker-Content-Digest", digest_of_manifest(&body))
            }
            path if path.contains("/blobs/") => Reply::new(200).body(body.clone()),
            _ => Reply::new(404),
        });
    });
    (config, server)
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest(config: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[]}}"#,
        digest(config.as_bytes()),
        config.len()
    )
}

fn digest(bytes: &[u8]) -> String {
    let digest = sha256(bytes);
    if digest.starts_with("sha256:") { digest } else { format!("sha256:{digest}") }
}

fn digest_of_manifest(config: &str) -> String {
    digest(manifest(config).as_bytes())
}

/// The same image as a layout, tagged `good` and `bad`.
fn layout(machine: &Machine, path: &str, config: &str) {
    let manifest = manifest(config);
    let entry = |tag: &str| {
        format!(
            r#"{{"mediaType":"{MANIFEST}","digest":"{}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"{tag}"}}}}"#,
            digest(manifest.as_bytes()),
            manifest.len()
        )
    };
    machine.file(&format!("{path}/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{},{}]}}"#, entry("good"), entry("bad"));
    machine.file(&format!("{path}/index.json"), &index);
    for blob in [manifest.as_str(), config] {
        let name = digest(blob.as_bytes()).replace("sha256:", "");
        machine.file(&format!("{path}/blobs/sha256/{name}"), blob);
    }
}

const MIRROR: &str = "hosts: what containerd says to a mirror of hosts.toml";

/// `METHOD path?query headers` of a request, as far as `hosts.toml` decides them.
fn said(asked: &Asked) -> String {
    let is_added = |name: &str| {
        name.to_ascii_lowercase().starts_with("x-") || name.eq_ignore_ascii_case("authorization")
    };
    let mut headers: Vec<_> = asked
        .headers
        .iter()
        .filter(|(name, _)| is_added(name))
        .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
        .collect();
    headers.sort();
    let kind = asked.path().rsplit('/').nth(1).unwrap_or_default();
    let place = asked.path().split(kind).next().unwrap_or_default();
    format!("{place} {kind} {:?} {headers:?}", asked.query())
}

#[test]
fn a_mirror_hears_from_us_what_it_hears_from_containerd() {
    let daemons = (peer("containerd"), peer("ctr"));
    let (Some(containerd), Some(ctr)) = daemons else { return skipped(MIRROR, "containerd is missing") };
    if orlop::fs::privilege::ids().0 != 0 {
        return testkit::proof::not_offered(MIRROR, "containerd runs as root");
    }
    let config = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let server = Listener::start({
        let heard = Arc::clone(&heard);
        move |stream| {
            http::serve(stream, |asked| {
                heard.lock().expect("no panic").push(said(asked));
                match asked.path() {
                    path if path.contains("/manifests/") => Reply::new(200)
                        .with("Content-Type", MANIFEST)
                        .with("Docker-Content-Digest", digest_of_manifest(config))
                        .body(manifest(config)),
                    path if path.contains("/blobs/") => Reply::new(200).body(config),
                    _ => Reply::new(404),
                }
            });
        }
    });
    let heard = || {
        let mut heard = std::mem::take(&mut *heard.lock().expect("no panic"));
        heard.sort();
        heard.dedup();
        heard
    };
    let machine = Machine::new();
    machine.file(
        "home/.config/containerd/certs.d/registry.example_5000_/hosts.toml",
        &format!(
            "server = \"http://{0}/last\"\n[host.\"http://{0}/mirror\"]\ncapabilities = [\"pull\", \"resolve\"]\n\
             [host.\"http://{0}/mirror\".header]\nx-one = \"1\"\nx-two = [\"a\", \"b\"]\nAuthorization = \"Basic dTpw\"\n",
            server.host()
        ),
    );
    let daemon = Containerd::start(&containerd, &machine.scratch);
    let folder = machine.scratch.path("home/.config/containerd/certs.d");
    ctr.command()
        .arg("-a")
        .arg(daemon.socket())
        .args(["content", "fetch", "--hosts-dir"])
        .arg(folder)
        .arg("registry.example:5000/a/app:1")
        .ok();
    let by_containerd = heard();
    assert!(
        by_containerd.iter().all(|it| it.contains("\"ns\": [\"registry.example:5000\"]")),
        "{by_containerd:?}"
    );

    let us = machine.surroundings(WhichPolicy::None);
    let (cancel, limits, pool) = (Cancel::new(), Limits::default(), Pool::default());
    let cx = Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN };
    let client = Client::new(cx, us.network(Role::Source), &pool, Options::default());
    let remote = Remote::open(client, &repository("registry.example:5000/a/app"), Resolve::Fetch)
        .expect("no question");
    let root = remote.resolve(&Selector::Tag("1".into())).expect("it is there").remove(0);
    let manifest = Document::<Manifest>::open(manifest(config).into_bytes(), root).expect("a manifest");
    remote.origin(&manifest.config).expect("no question").open(0).expect("it is there");
    assert_eq!(heard(), by_containerd);
    ran(MIRROR, by_containerd.len());
}

/// A containerd of its own; it ends when it is dropped.
struct Containerd {
    daemon: std::process::Child,
    folder: PathBuf,
}

impl Containerd {
    fn start(containerd: &Peer, scratch: &Scratch) -> Self {
        let folder = scratch.folder("containerd");
        let config = format!(
            "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{0}/socket\"\n",
            folder.display()
        );
        let log = || std::fs::File::create(folder.join("log")).expect("a log");
        let daemon = std::process::Command::new(&containerd.path)
            .arg("-c")
            .arg(scratch.file("containerd.toml", config))
            .stdin(std::process::Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .expect("an installed program starts");
        let it = Self { daemon, folder };
        let end = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(it.socket()).is_err() {
            assert!(Instant::now() < end, "containerd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        it
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}
