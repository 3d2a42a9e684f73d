//! `login` and `logout`: what a registry took is kept, where podman and skopeo look too.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use testkit::registry::{Guard, Registry, Wire};
use testkit::{Command, Scratch, orlop, peer, proof, scratch};

/// A machine of one's own: no variable of the caller says where credentials are.
fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root()).env("HOME", it.root()).env("XDG_RUNTIME_DIR", it.path("run"))
}

fn machine() -> Scratch {
    let it = scratch();
    it.folder("run");
    it.folder("tree");
    it.file("tree/a", "content");
    run(&it, &["build", "tree", "oci:from:1", "--progress=none"]).ok();
    it
}

/// User and password of a registry.
fn known(registry: &Registry) -> (String, String) {
    let creds = registry.creds();
    let (user, password) = creds.split_once(':').expect("two words");
    (user.to_owned(), password.to_owned())
}

/// A wrong password is not kept; a right one opens the registry to later commands, and to nobody after `logout`.
fn walk(name: &str, guard: Guard) {
    let Some(registry) = Registry::start(Wire::Clear, guard) else {
        return proof::skipped(name, "docker-registry or openssl is missing");
    };
    let it = machine();
    let host = registry.host();
    let place = format!("docker://{host}/app:1");
    let (user, password) = known(&registry);
    let file = it.path("run/containers/auth.json");

    let told = run(&it, &["copy", "oci:from:1", &place, "--progress=none"]).run();
    assert_eq!(told.code(), Some(3), "{}", told.err());
    assert!(told.err().contains(&format!("orlop login {host}")), "{}", told.err());
    let wrong = run(&it, &["login", &host, "-u", &user, "-p", "wrong"]).run();
    assert_eq!((wrong.code(), file.exists()), (Some(3), false), "{}", wrong.err());

    let kept = run(&it, &["login", &host, "-u", &user, "-p", &password]).ok().out();
    assert!(kept.contains("auth.json"), "{kept}");
    assert!(!kept.contains(&password), "{kept}");
    let mode = fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    run(&it, &["copy", "oci:from:1", &place, "--progress=none"]).ok();
    let digest = |place: &str| run(&it, &["digest", place]).ok().out();
    assert_eq!(digest(&place), digest("oci:from:1"));

    run(&it, &["logout", &host]).ok();
    assert_eq!(run(&it, &["logout", &host]).run().code(), Some(2));
    assert_eq!(run(&it, &["digest", &place]).run().code(), Some(3), "the token went with the password");
    proof::ran(name, 7);
}

#[test]
fn a_password_is_proven_before_it_is_kept() {
    walk("login: htpasswd", Guard::Password);
}

#[test]
fn a_password_is_proven_to_the_token_server_before_it_is_kept() {
    walk("login: token server", Guard::Token);
}

#[test]
fn podman_and_skopeo_read_what_login_wrote_and_login_what_they_wrote() {
    const PROOF: &str = "login: podman and skopeo read and write the same file";
    let (Some(podman), Some(skopeo)) = (peer("podman"), peer("skopeo")) else {
        return proof::skipped(PROOF, "podman or skopeo is missing");
    };
    let Some(registry) = Registry::start(Wire::Clear, Guard::Password) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = machine();
    let host = registry.host();
    let (user, password) = known(&registry);
    let auth = it.path("auth.json");
    let authfile = format!("--authfile={}", auth.display());

    run(&it, &["login", &host, "-u", &user, "-p", &password, &authfile]).ok();
    for tool in [&podman, &skopeo] {
        let told = tool.command().args(["login", "--get-login", &authfile, &host]).ok().out();
        assert_eq!(told.trim(), user);
    }
    run(&it, &["copy", "oci:from:1", &format!("docker://{host}/app:1"), "--progress=none", &authfile]).ok();
    skopeo
        .command()
        .args(["inspect", "--raw", "--tls-verify=false", &authfile, &format!("docker://{host}/app:1")])
        .ok();

    fs::remove_file(&auth).expect("removed");
    podman
        .command()
        .args(["login", "--tls-verify=false", &authfile, "-u", &user, "-p", &password, &host])
        .ok();
    run(&it, &["digest", &format!("docker://{host}/app:1"), &authfile]).ok();
    run(&it, &["logout", &host, &authfile]).ok();
    assert!(!podman.command().args(["login", "--get-login", &authfile, &host]).run().success());
    proof::ran(PROOF, 6);
}

#[test]
fn a_password_comes_from_standard_input_without_its_end_of_line() {
    const PROOF: &str = "login: a password on standard input";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Password) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = machine();
    let (user, password) = known(&registry);
    let words = ["login", &registry.host(), "--username", &user, "--password-stdin", "--format=json"];
    let told = run(&it, &words).input(format!("{password}\n")).ok().out();
    let document: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(document["registry"], registry.host());
    assert!(document["kept"][0]["file"].is_string(), "{told}");

    let nobody = run(&it, &["login", &registry.host()]).input("").run();
    assert_eq!(nobody.code(), Some(64), "{}", nobody.err());
    assert!(nobody.err().contains("--password-stdin"), "{}", nobody.err());
    proof::ran(PROOF, 2);
}

/// The registry is `localhost`, its authorisation server another host: it is told only what the user allows.
#[test]
fn n1_another_hosts_realm_is_told_only_where_the_user_says_so() {
    const PROOF: &str = "login: the realm of another host";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Token) else {
        return proof::skipped(PROOF, "docker-registry or openssl is missing");
    };
    let it = machine();
    let (user, password) = known(&registry);
    let host = registry.host().replace("127.0.0.1", "localhost");
    let realm = registry.tokens().expect("a token server").realm();
    let realm = realm.trim_start_matches("http://").split('/').next().expect("a host").to_owned();
    let login = ["login", &*host, "-u", &user, "-p", &password];
    let was_told = || {
        registry
            .tokens()
            .expect("tokens")
            .asked()
            .iter()
            .any(|asked| asked.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")))
    };

    let held = run(&it, &login).run();
    assert_eq!(held.code(), Some(3), "{}", held.err());
    assert!(held.err().contains(&format!("--realm {realm}")), "{}", held.err());
    assert!(!was_told(), "nobody was told who asks");

    let flag = format!("--realm={realm}");
    run(&it, &[&login[..], &[&flag]].concat()).ok();
    assert!(was_told());
    let place = format!("docker://{host}/app:1");
    run(&it, &["copy", "oci:from:1", &place, "--progress=none"]).ok();
    run(&it, &["logout", &host]).ok();
    assert!(!it.path(".local/state/orlop/realms/allowed").exists() || !kept_realms(&it).contains(&realm));
    proof::ran(PROOF, 4);
}

fn kept_realms(it: &Scratch) -> String {
    fs::read_to_string(it.path(".local/state/orlop/realms/allowed")).expect("a file")
}

/// A terminal of its own, which `script` gives: what is typed for a password is not shown.
#[test]
fn a_password_that_is_typed_is_not_shown() {
    const PROOF: &str = "login: a password is typed on a terminal";
    let Some(script) = peer("script") else { return proof::skipped(PROOF, "script is missing") };
    let Some(registry) = Registry::start(Wire::Clear, Guard::Password) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = machine();
    let (user, password) = known(&registry);
    let auth = it.path("typed.json");
    let command = format!(
        "{} login {} --authfile {}",
        testkit::command::orlop_path().display(),
        registry.host(),
        auth.display()
    );
    let mut child = std::process::Command::new(&script.path)
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut keys = child.stdin.take().expect("a pipe");
    // Each answer when it is asked for: what comes before the echo is off would be shown.
    let mut shown = Reading::of(child.stdout.take().expect("a pipe"));
    shown.until("User: ");
    keys.write_all(format!("{user}\n").as_bytes()).expect("typed");
    shown.until("Password: ");
    std::thread::sleep(std::time::Duration::from_millis(200));
    keys.write_all(format!("{password}\n").as_bytes()).expect("typed");
    shown.until("is kept in");
    drop(keys);
    assert!(child.wait().expect("it ends").success());
    assert!(shown.text.contains(&user) && !shown.text.contains(&password), "{}", shown.text);
    assert!(auth.exists());
    proof::ran(PROOF, 1);
}

/// What a program shows, read as it comes.
struct Reading {
    output: std::process::ChildStdout,
    text: String,
}

impl Reading {
    fn of(output: std::process::ChildStdout) -> Self {
        Self { output, text: String::new() }
    }

    fn until(&mut self, what: &str) {
        use std::io::Read as _;
        let mut piece = [0; 256];
        while !self.text.contains(what) {
            let count = self.output.read(&mut piece).expect("readable");
            assert!(count > 0, "it ended without {what:?}: {}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    }
}
