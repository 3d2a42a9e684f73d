//! The package itself: its own tests, and the wheel that holds plugins and program.

use crate::project;
use std::fs;
use testkit::buildstream::{PACKAGE, python_peer};
use testkit::{Command, full, proof, scratch};

#[test]
fn the_packages_own_tests_pass() {
    const PROOF: &str = "buildstream: tests of the package";
    let Some(python) = python_peer("python") else {
        return proof::skipped(PROOF, "`./test peers` made no Python");
    };
    let done = Command::new(python)
        .args(["-B", "-m", "unittest", "discover", "-s", "tests"])
        .current_dir(PACKAGE)
        .env("PYTHONPATH", "src")
        .ok();
    let ran =
        done.err().split("Ran ").nth(1).and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0);
    assert!(ran > 0, "{done}");
    proof::ran(PROOF, ran);
}

/// The program is built once more, as it is for a package of its own: that takes minutes.
#[test]
fn one_wheel_brings_the_plugins_and_the_program() {
    const PROOF: &str = "buildstream: the wheel";
    let (true, Some(maturin)) = (full(), python_peer("maturin")) else { return };
    let it = scratch();
    let wheels = it.path("wheels").display().to_string();
    let build = ["build", "--compatibility", "linux", "--out", &wheels];
    // In a folder of its own: the program that other tests run must not be gone for a moment.
    let target =
        std::path::Path::new(env!("CARGO_BIN_EXE_orlop")).ancestors().nth(2).expect("a target").join("wheel");
    let maturin = Command::new(maturin).args(build).env("CARGO_TARGET_DIR", target);
    maturin.current_dir(PACKAGE).time(std::time::Duration::from_secs(1500)).ok();
    Command::new("python3").args(["-m", "venv", "fresh"]).current_dir(it.root()).ok();
    let install = ["install", "--no-index", "--find-links", &wheels, "buildstream-plugins-orlop"];
    Command::new(it.path("fresh/bin/pip")).args(install).ok();
    Command::new(it.path("fresh/bin/orlop")).arg("version").ok();

    let Some(project) = project(PROOF, "") else { return };
    crate::cases::machine("x").write(&project.at("img"));
    crate::write(
        &project,
        "img.bst",
        "kind: import\nsources:\n- {kind: oci, path: img, platform: linux/amd64}\n",
    );
    // BuildStream comes from where it is, and the plugins from the wheel.
    let ask = "import site; print(site.getsitepackages()[0])";
    let packages =
        |python: &std::path::Path| Command::new(python).args(["-c", ask]).ok().out().trim().to_owned();
    let peers = packages(&python_peer("python").expect("it has maturin"));
    let own = packages(&it.path("fresh/bin/python"));
    fs::write(format!("{own}/peers.pth"), peers).expect("the environment is ours");
    let python = it.path("fresh/bin/python").display().to_string();
    let show = "-m buildstream --no-interactive source fetch img.bst";
    let done = project.shell(&format!("unset PYTHONPATH; PATH=/usr/bin:/bin; {python} {show}"));
    let program = it.path("fresh/bin/orlop").display().to_string();
    assert!(done.success() && done.err().contains(&program), "{done}");
    proof::ran(PROOF, 1);
}
