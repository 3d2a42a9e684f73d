//! Crate directions: each crate exists because it forbids something.

use super::{Report, Repository};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What each crate of ours may depend on, of ours. Tests may use [`FOR_TESTS`] and anything below.
const MAY_USE: &[(&str, &[&str])] = &[
    ("orlop-spec", &[]),
    ("orlop-layer", &["orlop-spec"]),
    ("orlop-fs", &["orlop-layer", "orlop-spec"]),
    ("orlop-store", &["orlop-fs", "orlop-layer", "orlop-spec"]),
    ("orlop-remote", &["orlop-spec"]),
    ("orlop-host", &["orlop-fs", "orlop-layer", "orlop-spec"]),
    ("orlop-serve", &["orlop-spec"]),
    (
        "orlop",
        &[
            "orlop-remote",
            "orlop-host",
            "orlop-serve",
            "orlop-store",
            "orlop-fs",
            "orlop-layer",
            "orlop-spec",
        ],
    ),
    ("orlop-cli", &["orlop"]),
    ("testkit", &["orlop-fs", "orlop-layer", "orlop-spec"]),
    ("xtask", &[]),
];
const FOR_TESTS: &str = "testkit";

/// Crates that hold anything of theirs: an error without a type, and tar readers with a history.
const BANNED: &[&str] = &["anyhow", "eyre", "tokio-tar", "astral-tokio-tar", "async-tar"];

/// Growth of the lock file is a decision: raise this in the commit that needs it.
const LOCKED_PACKAGES: usize = 170;

pub(super) fn check(repository: &Repository, report: &mut Report) -> Result<(), Box<dyn std::error::Error>> {
    for package in packages(&repository.root)? {
        check_package(&package, report);
    }
    check_lock_file(repository, report)
}

fn packages(root: &Path) -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    Ok(metadata["packages"].as_array().cloned().unwrap_or_default())
}

fn check_package(package: &Value, report: &mut Report) {
    let name = package["name"].as_str().unwrap_or_default();
    let manifest = Path::new(name).join("Cargo.toml");
    let Some((_, may_use)) = MAY_USE.iter().find(|(of, _)| *of == name) else {
        return report.fault(&manifest, "a crate without a line in xtask's table of directions");
    };
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let wants = dependency["name"].as_str().unwrap_or_default();
        let for_tests = dependency["kind"] == "dev";
        let ours = MAY_USE.iter().any(|(of, _)| *of == wants);
        if BANNED.contains(&wants) {
            report.fault(&manifest, format_args!("{wants} is banned"));
        } else if ours && !for_tests && !may_use.contains(&wants) {
            report.fault(&manifest, format_args!("{name} must not depend on {wants}"));
        } else if ours && for_tests && wants != FOR_TESTS && !is_below(wants, name) {
            report.fault(&manifest, format_args!("not even the tests of {name} may depend on {wants}"));
        }
    }
}

/// Whether `lower` stands before `upper` in the table, which is in order of height.
fn is_below(lower: &str, upper: &str) -> bool {
    let height = |name| MAY_USE.iter().position(|(of, _)| *of == name);
    height(lower) < height(upper)
}

fn check_lock_file(repository: &Repository, report: &mut Report) -> Result<(), Box<dyn std::error::Error>> {
    let lock = std::fs::read_to_string(repository.root.join("Cargo.lock"))?;
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    report.fact(format_args!("lock file: {count} packages, at most {LOCKED_PACKAGES}"));
    if count > LOCKED_PACKAGES {
        report.fault(Path::new("Cargo.lock"), format_args!("{count} packages, more than {LOCKED_PACKAGES}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(name: &str, dependencies: &Value) -> Vec<String> {
        let mut report = Report::default();
        check_package(&json!({ "name": name, "dependencies": dependencies }), &mut report);
        report.faults
    }

    #[test]
    fn an_edge_upwards_is_a_fault_and_one_downwards_is_not() {
        let edge = |wants| json!([{ "name": wants, "kind": null }]);
        assert_eq!(faults("orlop-store", &edge("orlop-layer")), Vec::<String>::new());
        assert_eq!(faults("orlop-layer", &edge("orlop-fs")).len(), 1);
        assert_eq!(faults("orlop-cli", &edge("orlop-spec")).len(), 1);
    }

    #[test]
    fn tests_may_look_down_and_at_the_testkit_but_never_up() {
        let edge = |wants| json!([{ "name": wants, "kind": "dev" }]);
        assert_eq!(faults("orlop-spec", &edge("testkit")), Vec::<String>::new());
        assert_eq!(faults("orlop-cli", &edge("orlop-spec")), Vec::<String>::new());
        assert_eq!(faults("orlop-layer", &edge("orlop-store")).len(), 1);
    }

    #[test]
    fn a_banned_crate_and_an_unknown_crate_of_ours_are_faults() {
        assert_eq!(faults("orlop-spec", &json!([{ "name": "anyhow", "kind": null }])).len(), 1);
        assert_eq!(faults("orlop-utils", &json!([])).len(), 1);
    }
}
