//! The hostile corpus through the binary, as root and as an ordinary user.

use testkit::hostile::{Trial, User, corpus};
use testkit::{is_root, proof};

#[test]
fn hostile_images_as_whoever_runs_the_tests() {
    attack(User::Same, "hostile: corpus through unpack, bundle, copy, inspect, validate");
}

#[test]
fn hostile_images_as_an_ordinary_user() {
    let name = "hostile: corpus as an ordinary user";
    if is_root() { attack(User::Nobody, name) } else { proof::not_offered(name, "the other test ran as one") }
}

/// Every case; in the gate an ordinary user sees each rule once, in one compression.
fn attack(user: User, name: &str) {
    let trial = Trial::new(user);
    let only = std::env::var("ORLOP_CASE").unwrap_or_default();
    let (mut cases, mut wrong) = (0, Vec::new());
    for case in corpus(&trial.canary()) {
        let sampled = user == User::Same
            || testkit::full()
            || !case.name.ends_with("/plain") && !case.name.ends_with("/zstd");
        if !case.name.contains(&only) || !trial.concerns(&case) || !sampled {
            continue;
        }
        cases += 1;
        let complaints = trial.run(&case);
        if !complaints.is_empty() {
            wrong.push(format!("{}\n    {}", case.name, complaints.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
    proof::ran(name, cases);
}
