//! Registries that want to know who asks: passwords and tokens, through the binary.

use testkit::registry::{Guard, Registry, Wire};
use testkit::{Command, Scratch, orlop, proof, scratch};

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

/// What is pushed comes back for whoever is known; others are denied, and told what to type.
fn walk(name: &str, guard: Guard) {
    let Some(registry) = Registry::start(Wire::Clear, guard) else {
        return proof::skipped(name, "docker-registry or openssl is missing");
    };
    let it = scratch();
    it.folder("tree");
    it.file("tree/a", "content");
    run(&it, &["build", "tree", "oci:from:1", "--progress=none"]).ok();
    let place = format!("docker://{}/app:1", registry.host());
    let creds = format!("--creds={}", registry.creds());

    for words in [["--creds=app:wrong"].as_slice(), &[]] {
        let told = run(&it, &["copy", "oci:from:1", &place, "--progress=none"]).args(words).run();
        assert_eq!(told.code(), Some(3), "{}", told.err());
        assert!(told.err().contains("--creds USER:PASSWORD"), "{}", told.err());
    }
    run(&it, &["copy", "oci:from:1", &place, &creds, "--progress=none"]).ok();
    run(&it, &["copy", &place, "oci:back:1", &creds, "--progress=none"]).ok();
    let digest = |place: &str| run(&it, &["digest", place]).ok().out();
    assert_eq!(digest("oci:back:1"), digest("oci:from:1"));
    proof::ran(name, 4);
}

#[test]
fn a_registry_with_passwords_lets_in_who_knows_one() {
    walk("registry: htpasswd", Guard::Password);
}

#[test]
fn a_registry_with_tokens_lets_in_who_is_given_one() {
    walk("registry: token server", Guard::Token);
}
