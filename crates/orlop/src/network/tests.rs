//! A made-up machine: a root, a home folder, variables, programs.

use super::*;
use orlop_spec::network::{Access, Endpoint, Serves};
use orlop_spec::wire::Scheme;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use testkit::Scratch;

pub(super) struct World {
    pub(super) scratch: Scratch,
    variables: BTreeMap<String, OsString>,
    pub(super) given: Given,
    /// What the user was warned of.
    pub(super) warned: Arc<Mutex<Vec<String>>>,
}

/// What was run: program, argument, input.
pub(super) type Runs = Arc<Mutex<Vec<(String, String, String)>>>;

/// A helper that answers always the same.
pub(super) struct Always {
    pub(super) runs: Runs,
    pub(super) ran: io::Result<Ran>,
}

impl Programs for Always {
    fn run(&self, program: &str, argument: &str, input: &[u8], _: &Bounds) -> io::Result<Ran> {
        let input = String::from_utf8_lossy(input).into_owned();
        self.runs.lock().expect("no panic").push((program.into(), argument.into(), input));
        match &self.ran {
            Ok(ran) => Ok(ran.clone()),
            Err(error) => Err(error.kind().into()),
        }
    }
}

impl World {
    pub(super) fn new() -> Self {
        let scratch = testkit::scratch();
        let mut variables = BTreeMap::new();
        variables.insert("HOME".into(), scratch.folder("home").into());
        variables.insert("XDG_RUNTIME_DIR".into(), scratch.folder("run").into());
        let warned = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&warned);
        let given = Given {
            warn: Box::new(move |text| told.lock().expect("no panic").push(text.to_owned())),
            ..Given::nothing(
                scratch.folder("root"),
                std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("proc")),
            )
        };
        Self { scratch, variables, given, warned }
    }

    /// Writes a file of the machine; folders are made.
    pub(super) fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.scratch.path(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(&path, content).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        self
    }

    pub(super) fn set(&mut self, variable: &str, value: impl Into<OsString>) -> &mut Self {
        self.variables.insert(variable.into(), value.into());
        self
    }

    pub(super) fn programs(&mut self, ran: io::Result<Ran>) -> Runs {
        let runs = Runs::default();
        self.given.programs = Box::new(Always { runs: Arc::clone(&runs), ran });
        runs
    }

    /// The surroundings; the world stays, because its folder goes with it.
    pub(super) fn enter(mut self) -> (Surroundings, Scratch) {
        let variables = self.variables;
        self.given.variable = Box::new(move |name| variables.get(name).cloned());
        (Surroundings::new(self.given), self.scratch)
    }
}

pub(super) fn repository(name: &str) -> Repository {
    Repository::parse(name).expect(name)
}

/// `site,site root repository`, one per endpoint.
fn endpoints(surroundings: &Surroundings, name: &str, access: Access) -> Result<Vec<String>> {
    let endpoints = surroundings.network(Role::Source).hosts.endpoints(&repository(name), access)?;
    let told = endpoints.iter().map(|endpoint| {
        let sites: Vec<_> = endpoint.sites.iter().map(ToString::to_string).collect();
        let mark = if endpoint.serves == Serves::Digests { "@" } else { "" };
        format!("{} {} {}{mark}", sites.join(","), endpoint.root, endpoint.repository)
    });
    Ok(told.collect())
}

fn read(surroundings: &Surroundings, name: &str) -> String {
    endpoints(surroundings, name, Access::Read).map_or_else(|_| "!".into(), |list| list.join("; "))
}

#[test]
fn nothing_is_read_before_it_is_asked_for() {
    let mut world = World::new();
    world.given.variable = Box::new(|_| None);
    world
        .file("root/etc/containers/registries.conf", "damaged [")
        .file("root/etc/containers/policy.json", "damaged");
    world.file("home/.docker/config.json", "damaged");
    let (surroundings, _scratch) = world.enter();
    let network = surroundings.network(Role::Source);
    assert!(!network.trust.is_insecure(&Site::parse(Scheme::Https, "a.example").expect("a site")));
    assert_eq!(read(&surroundings, "a.example/x"), "!", "and then it is read");
    assert!(network.secrets.credential(&repository("a.example/x")).is_err());
}

#[test]
fn without_settings_a_host_is_where_its_name_says() {
    let mut world = World::new();
    world.given.insecure = vec!["lab.example:5000".into(), "plain.example".into()];
    let (surroundings, _scratch) = world.enter();
    for (name, endpoint) in [
        ("a.example/x", "https://a.example /v2 a.example/x"),
        ("a.example:443/x", "https://a.example /v2 a.example:443/x"),
        ("busybox", "https://registry-1.docker.io /v2 docker.io/library/busybox"),
        ("localhost:5000/x", "https://localhost:5000,http://localhost:5000 /v2 localhost:5000/x"),
        ("127.0.0.1/x", "https://127.0.0.1,http://127.0.0.1 /v2 127.0.0.1/x"),
        ("lab.example:5000/x", "https://lab.example:5000,http://lab.example:5000 /v2 lab.example:5000/x"),
        ("lab.example/x", "https://lab.example /v2 lab.example/x"),
        ("plain.example/x", "https://plain.example,http://plain.example /v2 plain.example/x"),
        ("plain.example:5000/x", "https://plain.example:5000 /v2 plain.example:5000/x"),
    ] {
        assert_eq!(read(&surroundings, name), endpoint, "{name}");
    }
}

#[test]
fn dockers_registry_is_named_as_references_name_it() {
    let mut world = World::new();
    world.given.insecure = vec!["docker.io".into()];
    let (surroundings, _scratch) = world.enter();
    let real = Site::parse(Scheme::Https, "registry-1.docker.io").expect("a site");
    assert!(surroundings.network(Role::Source).trust.is_insecure(&real));
}

#[test]
fn n1_only_what_was_named_is_insecure() {
    let mut world = World::new();
    world.given.insecure = vec!["LAB.example:5000".into()];
    world.file(
        "root/etc/containers/registries.conf",
        "[[registry]]\nlocation = \"old.example/part\"\ninsecure = true\n",
    );
    let (surroundings, _scratch) = world.enter();
    let trust = surroundings.network(Role::Source).trust;
    let is_insecure = |scheme, host| trust.is_insecure(&Site::parse(scheme, host).expect("a site"));
    assert!(is_insecure(Scheme::Https, "lab.example:5000") && is_insecure(Scheme::Http, "lab.example:5000"));
    assert!(!is_insecure(Scheme::Https, "lab.example") && !is_insecure(Scheme::Http, "localhost:5000"));
    assert!(!is_insecure(Scheme::Http, "old.example"), "until a repository of that part is used");
    read(&surroundings, "old.example/part/x");
    assert!(is_insecure(Scheme::Http, "old.example"));
    assert_eq!(
        read(&surroundings, "old.example/other"),
        "!",
        "it would share connections that nobody checked"
    );
    for host in ["a b", "https://a.example", "a.example/x", "a.example:x", ""] {
        assert!(!is_host(host), "{host}");
    }
}

#[test]
fn the_users_registries_conf_hides_the_systems_and_drop_ins_lie_over_it() {
    let entry = |location: &str| format!("[[registry]]\nprefix = \"a.example\"\nlocation = \"{location}\"\n");
    let world = || {
        let world = World::new();
        world
            .file("root/etc/containers/registries.conf", entry("system.example"))
            .file("root/etc/containers/registries.conf.d/10.conf", entry("ten.example"))
            .file("root/etc/containers/registries.conf.d/20.conf.off", entry("off.example"));
        world
    };
    let place = |world: World| read(&world.enter().0, "a.example/x");
    assert_eq!(place(world()), "https://ten.example /v2 ten.example/x");

    let with_drop_in = world();
    with_drop_in.file("home/.config/containers/registries.conf.d/05.conf", entry("own.example"));
    assert_eq!(place(with_drop_in), "https://own.example /v2 own.example/x");

    let of_user = world();
    of_user.file("home/.config/containers/registries.conf", entry("user.example"));
    assert_eq!(place(of_user), "https://user.example /v2 user.example/x");

    let mut named = world();
    named.file("named.conf", entry("named.example"));
    let path = named.scratch.path("named.conf");
    named.set("CONTAINERS_REGISTRIES_CONF", path);
    assert_eq!(place(named), "https://ten.example /v2 ten.example/x", "drop-ins lie over a named file too");

    let mut missing = world();
    missing.set("CONTAINERS_REGISTRIES_CONF", "/nowhere/registries.conf");
    assert_eq!(place(missing), "!");
}

#[test]
fn a_mirror_is_told_for_whom_it_stands_and_what_settings_add() {
    let world = World::new();
    world.file(
        "root/etc/containerd/certs.d/a.example/hosts.toml",
        r#"
server = "https://a.example"
newer = 1
[header]
X-Server = "s"
[host."https://m.example"]
dial_timeout = "300ms"
[host."https://m.example".header]
X-Mirror = "m"
[host."https://m.example".rewrite]
a = "b"
"#,
    );
    let warned = Arc::clone(&world.warned);
    let (surroundings, _scratch) = world.enter();
    let network = surroundings.network(Role::Source);
    let ask = |access| network.hosts.endpoints(&repository("a.example/x"), access).expect("two");
    let told = |endpoint: &Endpoint| {
        let headers = endpoint.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        (endpoint.namespace.as_deref().map(str::to_owned), headers.collect::<Vec<_>>().join(","))
    };
    let (mirror, own) = ((Some("a.example".to_owned()), "X-Mirror: m".to_owned()), "X-Server: s".to_owned());
    assert_eq!(ask(Access::Read).iter().map(told).collect::<Vec<_>>(), [mirror.clone(), (None, own.clone())]);
    let written = ask(Access::Write).iter().map(told).collect::<Vec<_>>();
    assert_eq!(written, [(None, mirror.1), (None, own)], "as containerd: who writes means the place itself");
    let time = |name: &str| network.trust.dial_timeout(&Site::parse(Scheme::Https, name).expect(name));
    assert_eq!((time("m.example"), time("a.example")), (Some(std::time::Duration::from_millis(300)), None));
    let warned = warned.lock().expect("no panic");
    assert!(warned.len() == 2 && warned.iter().any(|it| it.contains("`rewrite`")), "{warned:?}");
    assert!(warned.iter().any(|it| it.contains("`newer`")), "{warned:?}");
}

#[test]
fn hosts_toml_speaks_where_registries_conf_is_silent() {
    let world = World::new();
    world
        .file("root/etc/containerd/certs.d/a.example/hosts.toml",
            "server = \"https://a.example\"\n[host.\"http://cache.example:5000/hub\"]\ncapabilities = [\"pull\"]\n")
        .file("root/etc/containerd/certs.d/b.example_5000_/hosts.toml", "[host.\"https://m.example/x\"]\noverride_path = true\n")
        .file("root/etc/containerd/certs.d/_default/hosts.toml", "[host.\"https://all.example\"]\ncapabilities = [\"push\"]\n")
        .file("home/.config/containerd/certs.d/c.example/hosts.toml", "server = \"https://c.example\"\ncapabilities = [\"pull\", \"resolve\"]\n")
        .file("root/etc/containers/registries.conf", "[[registry]]\nlocation = \"a.example/conf\"\n");
    let (surroundings, _scratch) = world.enter();
    for (name, told) in [
        (
            "a.example/x",
            "http://cache.example:5000 /hub/v2 cache.example:5000/x@; https://a.example /v2 a.example/x",
        ),
        ("a.example/conf/x", "https://a.example /v2 a.example/conf/x"),
        ("b.example:5000/x", "https://m.example /x m.example/x; https://b.example:5000 /v2 b.example:5000/x"),
        ("c.example/x", "https://c.example /v2 c.example/x"),
        ("busybox", "https://registry-1.docker.io /v2 docker.io/library/busybox"),
    ] {
        assert_eq!(read(&surroundings, name), told, "{name}");
    }
    let write = |name| endpoints(&surroundings, name, Access::Write).map(|list| list.join("; "));
    assert_eq!(write("a.example/x").expect("itself"), "https://a.example /v2 a.example/x");
    assert!(write("c.example/x").is_err(), "nobody takes it");
    let site = Site::parse(Scheme::Http, "cache.example:5000").expect("a site");
    assert!(surroundings.network(Role::Source).trust.is_insecure(&site), "it was written as http://");
}

#[test]
fn short_names_mean_what_registries_conf_says() {
    let world = World::new();
    world.file("root/etc/containers/registries.conf", "[aliases]\ntool = \"q.example/t/tool\"\n");
    let (surroundings, _scratch) = world.enter();
    let meant = |name: &str| surroundings.qualify(name).expect(name)[0].to_string();
    assert_eq!(
        (meant("tool"), meant("busybox")),
        ("q.example/t/tool".into(), "docker.io/library/busybox".into())
    );
}

#[test]
fn what_was_typed_is_shown_to_the_registry_that_was_meant_alone() {
    let mut world = World::new();
    let typed = Credential::Basic { user: "me".into(), password: "hunter2".into() };
    world.given.source = Some(typed.clone());
    world.file(
        "root/etc/containers/registries.conf",
        "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"mirror.example\"\n",
    );
    let (surroundings, _scratch) = world.enter();
    let source = surroundings.network(Role::Source);
    assert_eq!(
        source.secrets.credential(&repository("a.example/x")).expect("none"),
        None,
        "nothing was meant yet"
    );
    assert_eq!(read(&surroundings, "a.example/x").split("; ").count(), 2);
    let secret = |name| source.secrets.credential(&repository(name)).expect("found");
    assert_eq!(secret("a.example/x"), Some(typed));
    assert_eq!(secret("mirror.example/x"), None);
    assert_eq!(read(&surroundings, "b.example/x"), "!");
    let target = surroundings.network(Role::Target);
    target.hosts.endpoints(&repository("a.example/x"), Access::Write).expect("itself");
    assert_eq!(target.secrets.credential(&repository("a.example/x")).expect("none"), None);
}

#[test]
fn what_was_typed_for_the_one_registry_is_for_one_on_both_sides() {
    let mut world = World::new();
    let typed = Credential::Basic { user: "me".into(), password: "hunter2".into() };
    world.given.any = Some(typed.clone());
    let (surroundings, _scratch) = world.enter();
    read(&surroundings, "a.example/x");
    let target = surroundings.network(Role::Target);
    assert!(target.hosts.endpoints(&repository("b.example/x"), Access::Write).is_err());
    assert_eq!(target.secrets.credential(&repository("b.example/x")).expect("none"), None);
    target.hosts.endpoints(&repository("a.example/y"), Access::Write).expect("itself");
    assert_eq!(target.secrets.credential(&repository("a.example/y")).expect("found"), Some(typed));
}

/// Everything that may be looked at is below the root and the home folder of the world.
#[test]
fn a_missing_home_is_no_error() {
    let mut world = World::new();
    world.variables.clear();
    world.given.root = Path::new("/nowhere").into();
    let (surroundings, _scratch) = world.enter();
    assert_eq!(read(&surroundings, "a.example/x"), "https://a.example /v2 a.example/x");
    assert_eq!(
        surroundings.network(Role::Source).secrets.credential(&repository("a.example/x")).expect("none"),
        None
    );
}
