//! The guide, line by line: its files are written and its commands typed as they stand there, but for the name of the
//! registry. What stands behind `#>` is what the command before said.

use crate::{busybox, project, run};
use testkit::guide::{Step, steps};
use testkit::proof;
use testkit::registry::Registry;

#[test]
fn every_line_of_the_guide_does_what_it_says() {
    const PROOF: &str = "buildstream: the guide was typed";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let Some(project) = project(PROOF, "") else { return };
    let it = project.folder();
    if !busybox(it, &["sh", "mkdir", "uname"]) {
        return proof::skipped(PROOF, "a static busybox is missing");
    }
    let both = ["build", "--platform=linux/amd64=tree", "--platform=linux/arm64=tree", "oci:img:1"];
    run(it, &both);
    let place = format!("docker://{}/library/busybox:1.36.1", registry.host());
    run(it, &["copy", "oci:img:1", &place, "--progress=none"]);
    let mut lines = 0;
    for step in steps(include_str!("../../../../docs/guide/buildstream.md")) {
        match step {
            Step::Write { path, content } => {
                project.write(path, &content.replace("registry.example", &registry.host()));
            }
            // The wheel has a proof of its own.
            Step::Type { line, .. } if line.starts_with("pip ") => {}
            Step::Type { line, said } => {
                let done = project.shell(&line.replace("registry.example", &registry.host()));
                assert!(done.success(), "{line}: {done}");
                assert!(said.is_empty() || done.out().lines().eq(said), "{line}: {done}");
                lines += 1;
            }
        }
    }
    assert_eq!(
        run(it, &["cat", &format!("docker://{}/greetings:v1", registry.host()), "/etc/greeting"]),
        "hello from Linux"
    );
    proof::ran(PROOF, lines);
}
