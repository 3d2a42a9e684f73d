//! The guides, line by line: they are typed as they stand there, but for the names of hosts.

use std::fs;
use std::os::unix::fs::symlink;
use testkit::guide::{Step, steps};
use testkit::registry::{Guard, Registry, Wire};
use testkit::{Command, Scratch, orlop, peer, proof, scratch};

/// What the guides begin with: a root filesystem, an app, and an image of the first in a registry.
fn begun(proof: &str) -> Option<(Scratch, Registry)> {
    let (Some(registry), Some(busybox)) = (Registry::start(Wire::Clear, Guard::Open), peer("busybox")) else {
        proof::skipped(proof, "docker-registry or busybox is missing");
        return None;
    };
    let it = scratch();
    for folder in ["rootfs/bin", "rootfs/etc", "app/files/bin", "app/export"] {
        it.folder(folder);
    }
    fs::copy(&busybox.path, it.path("rootfs/bin/busybox")).expect("a static program");
    symlink("busybox", it.path("rootfs/bin/sh")).expect("a link");
    it.file("rootfs/etc/passwd", "root:x:0:0::/:/bin/sh\n");
    it.file("app/files/bin/hello", "#!/bin/sh\necho hello\n");
    it.file(
        "app/metadata",
        "[Application]\nname=org.example.Hello\nruntime=org.example.Platform/x86_64/stable\n",
    );
    let image = format!("docker://{}/hello:1.0", registry.host());
    for words in
        [&["build", "rootfs", "oci:begun:1.0", "--cmd=/bin/sh"][..], &["push", "oci:begun:1.0", &image]]
    {
        orlop().args(words).current_dir(it.root()).env("ORLOP_ROOT", it.path("store")).ok();
    }
    fs::remove_dir_all(it.path("begun")).expect("it was made");
    Some((it, registry))
}

fn follow(proof: &str, guide: &str) {
    let Some((it, registry)) = begun(proof) else { return };
    let program = testkit::command::orlop_path();
    let folder = program.parent().expect("a folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").expect("a path"));
    let mut typed = 0;
    for step in steps(guide) {
        let Step::Type { line, said } = step else { panic!("the guides write no files") };
        let line = line.replace("registry.example", &registry.host());
        let done = Command::new("bash")
            .args(["-o", "pipefail", "-c", &line])
            .env("PATH", &path)
            .env("HOME", it.root())
            .env("ORLOP_ROOT", it.path("store"))
            .current_dir(it.root())
            .run();
        assert!(done.success(), "{line}: {done}");
        assert!(said.is_empty() || done.out().lines().eq(said), "{line}: {done}");
        typed += 1;
    }
    proof::ran(proof, typed);
}

#[test]
fn every_line_about_app_containers_does_what_it_says() {
    follow("guide: rkt", include_str!("../../../docs/guide/rkt.md"));
}

#[test]
fn every_line_about_ostree_and_flatpak_does_what_it_says() {
    follow("guide: ostree-flatpak", include_str!("../../../docs/guide/ostree-flatpak.md"));
}

#[test]
fn every_line_about_buildroot_does_what_it_says() {
    follow("guide: buildroot", include_str!("../../../docs/guide/buildroot.md"));
}

#[test]
fn every_line_about_changing_images_does_what_it_says() {
    follow("guide: editing", include_str!("../../../docs/guide/editing.md"));
}

#[test]
fn every_line_about_forms_of_images_does_what_it_says() {
    follow("guide: forms", include_str!("../../../docs/guide/forms.md"));
}
