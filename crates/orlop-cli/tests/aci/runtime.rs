//! Bundles of App Containers: what isolators say holds in the container.

use crate::{QUIET, aci, manifest, run, tells};
use serde_json::{Value, json};
use testkit::peer::peer;
use testkit::tarball::Member;
use testkit::{Scratch, proof, scratch};

/// An App Container of a shell, with these isolators.
fn container(it: &Scratch, command: &str, isolators: &Value) {
    let app =
        json!({ "exec": ["/bin/sh", "-c", command], "user": "0", "group": "0", "isolators": isolators });
    let shell = std::fs::read("/bin/busybox").unwrap_or_default();
    let members = vec![
        Member::file("rootfs/bin/busybox", shell).mode(0o755),
        Member::symlink("rootfs/bin/sh", "busybox"),
        Member::folder("rootfs/proc/"),
        Member::folder("rootfs/sys/"),
        Member::folder("rootfs/dev/"),
    ];
    it.file("a.aci", aci(&manifest("example.com/a", json!({ "app": app })), members));
}

fn isolator(name: &str, value: &Value) -> Value {
    json!({ "name": name, "value": value })
}

#[test]
fn isolators_are_limits_and_rights_of_a_bundle_and_what_is_not_kept_is_told() {
    let it = scratch();
    let isolators = json!([
        isolator("os/linux/capabilities-retain-set", &json!({ "set": ["CAP_KILL", "CAP_SYS_ADMIN"] })),
        isolator("os/linux/no-new-privileges", &json!(true)),
        isolator("os/linux/oom-score-adj", &json!(100)),
        isolator("resource/cpu", &json!({ "limit": "250m" })),
        isolator("resource/memory", &json!({ "limit": "64Mi" })),
        isolator("os/linux/seccomp-remove-set", &json!({ "set": ["reboot"], "errno": "EACCES" })),
        isolator("resource/network-bandwidth", &json!({ "default": true, "limit": "1G" })),
    ]);
    container(&it, "true", &isolators);
    let words = ["bundle", QUIET, "aci:a.aci", "b"];
    let told =
        ["gives no CAP_SYS_ADMIN", "resource/network-bandwidth is passed over", "isolators: the annotation"];
    tells(&it, &words, 0, &told);
    tells(&it, &["bundle", QUIET, "--replace", "aci:a.aci", "b"], 0, &["and bundles follow it"]);
    let config = |bundle: &str| -> Value {
        let text = std::fs::read_to_string(it.path(bundle).join("config.json")).expect("a bundle");
        serde_json::from_str(&text).expect("JSON")
    };
    let made = config("b");
    assert_eq!(made["process"]["capabilities"]["bounding"], json!(["CAP_KILL"]));
    assert_eq!(
        (&made["process"]["oomScoreAdj"], &made["process"]["noNewPrivileges"]),
        (&json!(100), &json!(true))
    );
    assert_eq!(made["linux"]["seccomp"]["syscalls"][0]["errnoRet"], 13);
    if rustix::process::geteuid().is_root() {
        assert_eq!(made["linux"]["resources"]["memory"], json!({ "limit": 67_108_864 }));
        assert_eq!(made["linux"]["resources"]["cpu"], json!({ "quota": 25_000, "period": 100_000 }));
    }
    // The image that such a container becomes still says it, and back again it is the same container.
    run(&it, &["copy", QUIET, "aci:a.aci", "oci:l:1"], 0);
    run(&it, &["bundle", QUIET, "oci:l:1", "of-image"], 0);
    assert_eq!(config("of-image"), made);
    run(&it, &["verify", QUIET, "oci:l:1", "b"], 0);
    run(&it, &["aci", "from-bundle", QUIET, "b", "again.aci", "--aci-name=example.com/a"], 0);
    let again: Value =
        serde_json::from_str(&run(&it, &["aci", "cat-manifest", "again.aci"], 0)).expect("JSON");
    let kept = again["app"]["isolators"].as_array().expect("a list");
    assert!(kept.contains(&isolator("os/linux/oom-score-adj", &json!(100))), "{kept:?}");
    assert!(
        kept.contains(&isolator("os/linux/capabilities-retain-set", &json!({ "set": ["CAP_KILL"] }))),
        "{kept:?}"
    );
}

/// runc starts it: nothing but a kernel tells whether a filter lets a program begin and end.
#[test]
fn a_runtime_holds_a_container_to_its_isolators() {
    const PROOF: &str = "aci: isolators in a container";
    let is_root = rustix::process::geteuid().is_root();
    let (Some(runc), true) = (peer("runc"), std::path::Path::new("/bin/busybox").exists()) else {
        return proof::skipped(PROOF, "runc or a static busybox is missing");
    };
    if !is_root {
        return proof::not_offered(PROOF, "containers of root need root");
    }
    // What a shell does to print one line, and to be refused a folder.
    let calls = "arch_prctl brk dup2 fork getuid geteuid getgid getegid getppid getcwd ioctl mmap mprotect munmap newfstatat \
                 prctl prlimit64 read readlink rseq set_robust_list set_tid_address stat uname write writev fstat getrandom \
                 open openat rt_sigaction sigaltstack access lseek poll";
    let calls: Vec<_> = calls.split_whitespace().collect();
    let cases = [
        (
            "grep -E '^(CapBnd|NoNewPrivs):' /proc/self/status; cat /proc/self/oom_score_adj; mkdir /d || echo refused",
            json!([
                isolator("os/linux/capabilities-retain-set", &json!({ "set": ["CAP_KILL"] })),
                isolator("os/linux/oom-score-adj", &json!(77)),
                isolator(
                    "os/linux/seccomp-remove-set",
                    &json!({ "set": ["mkdir", "mkdirat"], "errno": "EACCES" })
                ),
            ]),
            "CapBnd:\t0000000000000020\nNoNewPrivs:\t1\n77\nrefused\n",
        ),
        (
            "echo begun",
            json!([isolator("os/linux/seccomp-retain-set", &json!({ "set": calls, "errno": "ENOSYS" }))]),
            "begun\n",
        ),
    ];
    for (number, (command, isolators, expected)) in cases.iter().enumerate() {
        let it = scratch();
        container(&it, command, isolators);
        run(&it, &["bundle", QUIET, "aci:a.aci", "b"], 0);
        let (state, name) =
            (it.path("state").display().to_string(), format!("aci-{}-{number}", std::process::id()));
        let done = runc.command().args(["--root", &state, "run", &name]).current_dir(it.path("b")).run();
        assert_eq!(done.out(), *expected, "{done}");
    }
    proof::ran(PROOF, cases.len());
}
