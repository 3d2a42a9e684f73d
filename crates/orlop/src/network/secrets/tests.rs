use super::super::tests::{World, repository};
use super::super::{Ran, Role};
use super::*;
use orlop_spec::{Diagnose as _, Kind};
use std::io;
use std::os::unix::fs::PermissionsExt as _;

/// `{"auths":{"a.example":{"auth":"USER:p"}}}`
fn auth(user: &str) -> String {
    let auth = orlop_spec::base64::encode(format!("{user}:p").as_bytes());
    format!(r#"{{"auths":{{"a.example":{{"auth":"{auth}"}}}}}}"#)
}

fn user(surroundings: &Surroundings, name: &str) -> String {
    let network = surroundings.network(Role::Source);
    match network.secrets.credential(&repository(name)).expect(name) {
        Some(Credential::Basic { user, .. }) => user.into(),
        Some(other) => format!("{other:?}"),
        None => "-".into(),
    }
}

fn login(user: &str) -> Credential {
    Credential::Basic { user: user.into(), password: "p".into() }
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

#[test]
fn the_first_file_that_says_anything_speaks() {
    let all = [
        "authfile",
        "named",
        "run/containers/auth.json",
        "home/.config/containers/auth.json",
        "home/.docker/config.json",
    ];
    for first in 0..all.len() {
        let mut world = World::new();
        for path in &all[first..] {
            world.file(path, auth(path));
        }
        if first == 0 {
            world.given.authfile = Some(world.scratch.path("authfile"));
        }
        if first <= 1 {
            let named = world.scratch.path("named");
            world.set("REGISTRY_AUTH_FILE", named);
        }
        world.file("home/.dockercfg", r#"{"b.example":{"auth":"bGVnYWN5OnA="}}"#);
        let (surroundings, _scratch) = world.enter();
        assert_eq!(user(&surroundings, "a.example/x"), all[first]);
        assert_eq!(
            user(&surroundings, "b.example/x"),
            "legacy",
            "what the first does not say, a later one may"
        );
    }
}

#[test]
fn docker_config_and_the_folder_of_the_user_id_are_known() {
    let mut world = World::new();
    world.file("docker/config.json", auth("docker")).file("home/.docker/config.json", auth("hidden"));
    let docker = world.scratch.path("docker");
    world.set("DOCKER_CONFIG", docker);
    let (surroundings, _scratch) = world.enter();
    assert_eq!(user(&surroundings, "a.example/x"), "docker");

    let mut world = World::new();
    world.set("XDG_RUNTIME_DIR", "");
    world.file(&format!("root/run/containers/{}/auth.json", world.given.user), auth("id"));
    assert_eq!(user(&world.enter().0, "a.example/x"), "id");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let mut world = World::new();
    world.given.authfile = Some(world.scratch.path("nowhere"));
    let (surroundings, _scratch) = world.enter();
    let network = surroundings.network(Role::Source);
    assert!(network.secrets.credential(&repository("a.example/x")).is_err());
}

#[test]
fn a_damaged_file_is_named_and_nothing_of_it_is_told() {
    let world = World::new();
    world.file("home/.docker/config.json", r#"{"auths":{"a.example":{"auth":"hunter2"}}}"#);
    let (surroundings, _scratch) = world.enter();
    let network = surroundings.network(Role::Source);
    let error = network.secrets.credential(&repository("a.example/x")).expect_err("no base64");
    let source = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(error.to_string().contains("config.json"), "{error}");
    assert!(!format!("{error:?}{source}").contains("hunter2"), "{error:?}");
}

#[test]
fn a_file_that_everybody_can_read_is_warned_about() {
    let world = World::new();
    world.file("run/containers/auth.json", auth("me")).file("home/.docker/config.json", "{}");
    for path in ["run/containers/auth.json", "home/.docker/config.json"] {
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(world.scratch.path(path), open).expect("set");
    }
    let warned = std::sync::Arc::clone(&world.warned);
    let (surroundings, _scratch) = world.enter();
    for _ in 0..2 {
        assert_eq!(user(&surroundings, "a.example/x"), "me");
    }
    let warnings = warned.lock().expect("no panic");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("run/containers/auth.json"));
}

#[test]
fn a_huge_file_is_refused() {
    let world = World::new();
    world.file("home/.docker/config.json", vec![b' '; 2 << 20]);
    let (surroundings, _scratch) = world.enter();
    assert!(surroundings.network(Role::Source).secrets.credential(&repository("a.example/x")).is_err());
}

const HELPED: &str = r#"{"credHelpers":{"a.example":"box"}}"#;

fn answer(succeeded: bool, output: &str) -> Ran {
    Ran { succeeded, output: output.into() }
}

#[test]
fn a_helper_is_asked_once() {
    let mut world = World::new();
    let runs = world.programs(Ok(answer(true, r#"{"ServerURL":"a.example","Username":"me","Secret":"p"}"#)));
    world.file("home/.docker/config.json", HELPED);
    let (surroundings, _scratch) = world.enter();
    assert_eq!(user(&surroundings, "a.example/x"), "me");
    assert_eq!(user(&surroundings, "a.example/y"), "me");
    let runs = runs.lock().expect("no panic");
    assert_eq!(*runs, [("docker-credential-box".into(), "get".into(), "a.example".into())]);
}

#[test]
fn a_helper_that_knows_nothing_leaves_the_word_to_the_next_file() {
    let mut world = World::new();
    world.programs(Ok(answer(false, "credentials not found in native keychain\n")));
    world.file("run/containers/auth.json", HELPED).file("home/.docker/config.json", auth("next"));
    assert_eq!(user(&world.enter().0, "a.example/x"), "next");
}

#[test]
fn a_helper_that_fails_is_an_error_that_tells_no_secret() {
    for ran in [
        Ok(answer(false, "hunter2")),
        Ok(answer(true, "hunter2")),
        Ok(answer(true, r#"{"Secret":"hunter2"}"#)),
        Err(io::ErrorKind::NotFound.into()),
        Err(io::ErrorKind::TimedOut.into()),
    ] {
        let mut world = World::new();
        world.programs(ran);
        world.file("home/.docker/config.json", HELPED);
        let (surroundings, _scratch) = world.enter();
        let network = surroundings.network(Role::Source);
        let error = network.secrets.credential(&repository("a.example/x")).expect_err("it failed");
        assert!(error.to_string().contains("docker-credential-box"), "{error}");
        assert!(!format!("{error:?}{:?}", error.hint()).contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_login_is_kept_and_forgotten() {
    let world = World::new();
    world.file(
        "run/containers/auth.json",
        r#"{"credHelpers":{"z.example":"box"},"auths":{"b.example":{"auth":"YTpw"}},"x":[1]}"#,
    );
    let (surroundings, scratch) = world.enter();
    let path = scratch.path("run/containers/auth.json");
    assert_eq!(surroundings.login("a.example:5000", &login("me")).expect("kept"), Kept::File(path.clone()));
    assert_eq!(user(&surroundings, "a.example:5000/x"), "me");
    assert_eq!(surroundings.login("b.example/team", &login("part")).expect("kept"), Kept::File(path.clone()));
    assert_eq!(user(&surroundings, "b.example/team/x"), "part");
    assert_eq!(user(&surroundings, "b.example/x"), "a");
    assert_eq!(surroundings.logout("a.example:5000").expect("gone"), [Kept::File(path.clone())]);
    assert_eq!(surroundings.logout("a.example:5000").expect("it was gone"), []);
    assert_eq!(user(&surroundings, "a.example:5000/x"), "-");
    let text = std::fs::read_to_string(&path).expect("written");
    assert!(text.contains("\"x\": [") && text.contains("z.example"), "{text}");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(std::fs::read_dir(scratch.path("run/containers")).expect("a folder").count(), 1);
}

#[test]
fn a_first_login_makes_a_file_that_nobody_else_can_read() {
    let (surroundings, scratch) = World::new().enter();
    surroundings.login("docker.io", &login("me")).expect("kept");
    assert_eq!(mode(&scratch.path("run/containers/auth.json")), 0o600);
    assert_eq!(user(&surroundings, "busybox"), "me");
    assert!(surroundings.logout("a.example").expect("nothing there").is_empty());
}

#[test]
fn a_login_goes_to_the_helper_of_the_host() {
    let mut world = World::new();
    let runs = world.programs(Ok(answer(true, "")));
    world.file("run/containers/auth.json", HELPED);
    let (surroundings, _scratch) = world.enter();
    let kept = Kept::Helper("docker-credential-box".into());
    assert_eq!(surroundings.login("a.example", &login("me")).expect("kept"), kept);
    assert_eq!(surroundings.logout("a.example").expect("gone"), [kept]);
    let runs = runs.lock().expect("no panic");
    assert_eq!(runs[0].1, "store");
    assert_eq!(runs[0].2, r#"{"ServerURL":"a.example","Username":"me","Secret":"p"}"#);
    assert_eq!((runs[1].1.as_str(), runs[1].2.as_str()), ("erase", "a.example"));
}

#[test]
fn a_link_stays_a_link_and_a_damaged_file_is_left_alone() {
    let world = World::new();
    world.file("dotfiles/auth.json", "{}");
    world.file("run/containers/x", "");
    let (surroundings, scratch) = world.enter();
    let path = scratch.path("run/containers/auth.json");
    std::os::unix::fs::symlink("../../dotfiles/auth.json", &path).expect("linked");
    surroundings.login("a.example", &login("me")).expect("kept");
    assert!(path.is_symlink());
    assert_eq!(user(&surroundings, "a.example/x"), "me");
    std::fs::write(&path, "{ damaged").expect("written");
    assert!(surroundings.login("a.example", &login("you")).is_err());
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "{ damaged");
}

#[test]
fn only_places_of_registries_are_logged_in_to() {
    let (surroundings, _scratch) = World::new().enter();
    for place in ["", "a b", "https://a.example", "a.example/", "../x", "short/name"] {
        let error = surroundings.login(place, &login("me")).expect_err(place);
        assert_eq!(error.kind(), Kind::Usage, "{place}");
    }
}
