//! Names without a host: two registries, settings that name them, and podman with the same settings.

use testkit::engine::Podman;
use testkit::registry::Registry;
use testkit::{Finished, Scratch, is_root, orlop, proof, scratch};

/// Two registries: both have `app:1`, each its own; only the second has `late:1`.
struct World {
    one: Registry,
    two: Registry,
    it: Scratch,
}

impl World {
    fn new() -> Option<Self> {
        let world = Self { one: Registry::plain()?, two: Registry::plain()?, it: scratch() };
        world.conf("");
        for (folder, places) in [
            ("one", vec![world.at("ONE/app:1")]),
            ("two", ["TWO/app:1", "TWO/late:1"].map(|it| world.at(it)).into()),
        ] {
            world.it.folder(&format!("tree-{folder}"));
            world.it.file(&format!("tree-{folder}/file"), folder);
            world.run(&["build", &format!("tree-{folder}"), &format!("oci:{folder}:1"), "--progress=none"]);
            for place in places {
                let done = world.run(&[
                    "copy",
                    &format!("oci:{folder}:1"),
                    &format!("docker://{place}"),
                    "--progress=none",
                ]);
                assert!(done.success(), "{done}");
            }
        }
        Some(world)
    }

    /// `ONE` and `TWO` are the registries.
    fn at(&self, text: &str) -> String {
        text.replace("ONE", &self.one.host()).replace("TWO", &self.two.host())
    }

    fn conf(&self, settings: &str) -> std::path::PathBuf {
        let clear = "[[registry]]\nlocation = \"ONE\"\ninsecure = true\n[[registry]]\nlocation = \"TWO\"\ninsecure = true\n";
        self.it.file("registries.conf", self.at(&format!("{settings}\n{clear}")))
    }

    fn run(&self, words: &[&str]) -> Finished {
        let home = self.it.folder("home");
        let command =
            orlop().args(words).current_dir(self.it.root()).env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
        command.env("CONTAINERS_REGISTRIES_CONF", self.it.path("registries.conf")).run()
    }
}

/// Settings, a name, and whose image it is, or the exit code.
const CASES: [(&str, &str, Result<&str, i32>); 10] = [
    ("[aliases]\nsome-tool = \"TWO/app\"", "some-tool:1", Ok("two")),
    ("unqualified-search-registries = [\"ONE\"]", "app:1", Ok("one")),
    ("unqualified-search-registries = [\"ONE\", \"TWO\"]", "app:1", Ok("one")),
    ("unqualified-search-registries = [\"TWO\", \"ONE\"]", "app:1", Ok("two")),
    ("unqualified-search-registries = [\"ONE\", \"TWO\"]", "late:1", Ok("two")),
    (
        "unqualified-search-registries = [\"ONE\", \"TWO\"]\nshort-name-mode = \"disabled\"",
        "late:1",
        Ok("two"),
    ),
    ("unqualified-search-registries = [\"ONE\", \"TWO\"]", "nowhere:1", Err(2)),
    ("unqualified-search-registries = [\"ONE\", \"TWO\"]\nshort-name-mode = \"enforcing\"", "app:1", Err(64)),
    ("unqualified-search-registries = [\"TWO\"]\nshort-name-mode = \"enforcing\"", "app:1", Ok("two")),
    (
        "unqualified-search-registries = [\"ONE\", \"TWO\"]\nshort-name-mode = \"enforcing\"\n[aliases]\napp = \"TWO/app\"",
        "app:1",
        Ok("two"),
    ),
];

const PROOF: &str = "short names: what registries.conf says, as podman reads it";

#[test]
fn a_short_name_is_what_podman_takes_it_for() {
    let Some(world) = World::new() else { return proof::skipped(PROOF, "docker-registry is missing") };
    let podman = if is_root() { Podman::new(&world.it) } else { None };
    for (settings, name, wanted) in CASES {
        let conf = world.conf(settings);
        let done = world.run(&["digest", name]);
        let told = match wanted {
            Ok(whose) => Ok(world.run(&["digest", &format!("oci:{whose}:1")]).out()),
            Err(code) => Err(code),
        };
        let ours = if done.success() { Ok(done.out()) } else { Err(done.code().unwrap_or_default()) };
        assert_eq!(ours, told, "{settings}\n{name}: {done}");
        if let Some(podman) = &podman {
            let pulled =
                podman.command().args(["pull", "-q", name]).env("CONTAINERS_REGISTRIES_CONF", &conf).run();
            assert_eq!(pulled.success(), ours.is_ok(), "{settings}\n{name}: {pulled}");
            if pulled.success() {
                let shown =
                    podman.command().args(["image", "inspect", "--format={{.Digest}}", pulled.out().trim()]);
                assert_eq!(shown.ok().out(), ours.expect("it succeeded"), "{settings}\n{name}");
                podman.command().args(["rmi", "--all", "--force"]).ok();
            }
        }
    }
    match podman {
        Some(_) => proof::ran(PROOF, CASES.len()),
        None => proof::not_offered(PROOF, "podman is missing, or the user is not root"),
    }
}

const VERBS: &str = "short names: every verb that reads reads the same image";

#[test]
fn every_verb_that_reads_takes_a_short_name_for_the_same_image() {
    let Some(world) = World::new() else { return proof::skipped(VERBS, "docker-registry is missing") };
    world.conf("unqualified-search-registries = [\"ONE\", \"TWO\"]");
    let lines: [&[&str]; 12] = [
        &["inspect", "--raw", "late:1"],
        &["ls", "late"],
        &["files", "late:1"],
        &["cat", "late:1", "file"],
        &["du", "late:1"],
        &["tree", "late:1"],
        &["diff", "late:1", "oci:two:1"],
        &["validate", "late:1"],
        &["copy", "late:1", "oci:copied:1", "--progress=none"],
        &["sync", "late", "oci:synced"],
        &["unpack", "late:1", "unpacked", "--progress=none"],
        &["build", "--base", "late:1", "tree-one", "oci:built:1", "--progress=none"],
    ];
    for words in lines {
        let done = world.run(words);
        assert!(done.success(), "{words:?}: {done}");
    }
    let digest = |place: &str| world.run(&["digest", place]).out();
    assert_eq!(digest("oci:copied:1"), digest("oci:two:1"));
    assert_eq!(digest("oci:synced:1"), digest("oci:two:1"));
    let locked = world.run(&["lock", "late:1"]).out();
    assert!(locked.contains(&world.at("docker://TWO/late:1")), "{locked}");
    let told = world.run(&["inspect", "--format=json", "late:1"]).out();
    assert!(told.contains(&world.at("docker://TWO/late:1")), "{told}");
    proof::ran(VERBS, lines.len() + 2);
}

/// `docker://` in front, or a host, and nothing is looked up; a target neither.
#[test]
fn a_name_that_says_where_it_is_means_that() {
    let Some(world) = World::new() else { return };
    world.conf("unqualified-search-registries = [\"ONE\"]\n[aliases]\nsome-tool = \"TWO/app\"");
    for name in ["docker://app:1", "docker.io/library/app:1", "docker://some-tool:1"] {
        let done = world.run(&["digest", name, "--offline"]);
        assert!(done.err().contains("docker.io"), "{name}: {done}");
    }
    let done = world.run(&["copy", "oci:one:1", "app:1", "--offline"]);
    assert!(done.err().contains("docker.io"), "{done}");
}

/// Whoever is in the way must not choose where an image comes from.
#[test]
fn a_host_that_cannot_be_reached_or_trusted_ends_the_search() {
    let Some(world) = World::new() else { return };
    world.conf("unqualified-search-registries = [\"127.0.0.1:1\", \"TWO\"]");
    let done = world.run(&["digest", "late:1", "--retry=0"]);
    assert_eq!(done.code(), Some(6), "{done}");
    world.conf("unqualified-search-registries = [\"TWO/x\"]");
    assert_eq!(world.run(&["digest", "late:1"]).code(), Some(1), "a host has no path");
}

/// A password that was typed is for one registry: the second host that is asked does not see it.
#[test]
fn n1_a_typed_password_is_for_the_first_host_alone() {
    let Some(world) = World::new() else { return };
    world.conf("unqualified-search-registries = [\"ONE\", \"TWO\"]");
    let done = world.run(&["digest", "late:1", "--creds=me:secret"]);
    assert_eq!(done.code(), Some(64), "{done}");
    assert!(
        world.two.requests().iter().all(|request| !request.contains("GET /v2/late/manifests/1")),
        "{done}"
    );
}
