//! Registries through the binary: Debian's docker-registry in every guise, and the tools that others use with it.

use std::path::{Path, PathBuf};
use testkit::engine::{HELLO_CODE, Podman, hello};
use testkit::image::{Image, Packing, sha256};
use testkit::registry::{Guard, Registry, Wire, skopeo};
use testkit::tarball::{Member, tar};
use testkit::{Command, Finished, Scratch, is_root, orlop, proof, scratch};

/// The binary with folders of its own, so that it finds neither settings nor what earlier tests left.
fn at(home: &Scratch) -> Command {
    let command = orlop().env("HOME", home.root()).env("XDG_RUNTIME_DIR", home.root());
    let command = command.env("XDG_CACHE_HOME", home.path("cache")).env("XDG_STATE_HOME", home.path("state"));
    command.env("XDG_CONFIG_HOME", home.path("config"))
}

/// An image of two layers as a layout, and the digest of its manifest.
fn image(scratch: &Scratch) -> (String, String) {
    let tars = [tar([Member::file("a", "1")]), tar([Member::folder("d/"), Member::file("d/b", "2")])];
    let layout = Image::of(&tars, Packing::Gzip).layout();
    layout.write(&scratch.path("image"));
    let digest = sha256(&layout.files[&layout.manifest_path()]);
    (format!("oci:{}:latest", scratch.path("image").display()), digest)
}

/// The digest of the only manifest that a layout names.
fn digest_of(folder: &Path) -> String {
    let index = std::fs::read(folder.join("index.json")).expect("a layout");
    let index: serde_json::Value = serde_json::from_slice(&index).expect("a right index");
    index["manifests"][0]["digest"].as_str().expect("a digest").into()
}

const DEBIAN: &str = "peers: docker-registry, open and guarded, clear and TLS, read and written";

/// The registry in one guise, a command that trusts it, and a copy into it and out of it.
fn there_and_back(scratch: &Scratch, registry: &Registry, what: &str) {
    let (source, digest) = image(scratch);
    let name = format!("docker://{}/some/app:1", registry.host());
    let back = scratch.path(&format!("back-{what}"));
    let trusting = || match registry.root_file() {
        Some(root) => at(scratch).env("SSL_CERT_FILE", root),
        None => at(scratch),
    };
    let creds = registry.creds();
    trusting().args(["copy", "--dest-creds", &creds, &source, &name]).ok();
    let target = format!("oci:{}:1", back.display());
    trusting().args(["copy", "--src-creds", &creds, &name, &target]).ok();
    assert_eq!(digest_of(&back), digest, "{what}");
    assert_eq!(trusting().args(["digest", "--creds", &creds, &name]).ok().out().trim(), digest, "{what}");
    trusting().args(["validate", &target]).ok();
}

#[test]
fn docker_registry_is_written_and_read_in_every_guise() {
    for wire in [Wire::Clear, Wire::Tls] {
        for guard in [Guard::Open, Guard::Password, Guard::Token] {
            let Some(registry) = Registry::start(wire, guard) else {
                return proof::skipped(DEBIAN, "docker-registry or openssl is missing");
            };
            let scratch = scratch();
            there_and_back(&scratch, &registry, &format!("{wire:?}-{guard:?}"));
            refusals(&scratch, &registry, wire, guard);
        }
    }
    proof::ran(DEBIAN, 6);
}

/// What is not allowed is refused with the right code, and says what to type.
fn refusals(scratch: &Scratch, registry: &Registry, wire: Wire, guard: Guard) {
    let name = format!("docker://{}/some/app:1", registry.host());
    let trusting = || match registry.root_file() {
        Some(root) => at(scratch).env("SSL_CERT_FILE", root),
        None => at(scratch),
    };
    if guard != Guard::Open {
        let done = trusting().args(["digest", &name]).run();
        assert_eq!(done.code(), Some(3), "{done}");
        let done = trusting().args(["digest", "--creds", "app:wrong", &name]).run();
        assert_eq!(done.code(), Some(3), "{done}");
        assert!(!done.err().contains("wrong"), "{done}");
    }
    if wire == Wire::Tls {
        let done = at(scratch).args(["digest", "--creds", &registry.creds(), &name]).run();
        // What shows a certificate speaks TLS: the clear is not tried, on loopback either.
        assert_eq!(done.code(), Some(4), "{done}");
    }
    let absent = name.replace(":1", ":2");
    let done = trusting().args(["digest", "--creds", &registry.creds(), &absent]).run();
    assert_eq!(done.code(), Some(2), "{done}");
}

const TOOLS: &str = "peers: podman and skopeo pull what we push, and we what they push";

/// A program in an image, as a layout that no code of ours has touched.
fn runnable(scratch: &Scratch) -> Option<PathBuf> {
    let root = scratch.folder("root");
    hello(&root)?;
    let tar = Command::new("tar").args(["-C"]).arg(&root).args(["-cf", "-", "."]).ok().stdout;
    Image::of(&[tar], Packing::Gzip).layout().write(&scratch.path("hello"));
    Some(scratch.path("hello"))
}

#[test]
fn what_we_push_others_pull_and_the_other_way_round() {
    if !is_root() {
        return proof::not_offered(TOOLS, "engines with folders of their own need root");
    }
    let scratch = scratch();
    let (Some(registry), Some(podman), Some(_)) = (Registry::plain(), Podman::new(&scratch), skopeo()) else {
        return proof::skipped(TOOLS, "docker-registry, podman or skopeo is missing");
    };
    let Some(layout) = runnable(&scratch) else { return proof::skipped(TOOLS, "no C compiler") };
    let digest = digest_of(&layout);
    let local = format!("oci:{}:latest", layout.display());
    let there = |name: &str| format!("{}/{name}:1", registry.host());
    let pulled = |name: &str| -> (Finished, PathBuf) {
        let folder = scratch.path(&format!("pulled-{name}"));
        let target = format!("oci:{}:1", folder.display());
        (at(&scratch).args(["copy", &format!("docker://{}", there(name)), &target]).ok(), folder)
    };

    at(&scratch).args(["copy", &local, &format!("docker://{}", there("ours"))]).ok();
    podman.command().args(["pull", "--tls-verify=false", &there("ours")]).ok();
    let done = podman.run(&there("ours"), &["/bin/hello", "podman"]);
    assert_eq!((done.code(), done.out().as_str()), (Some(HELLO_CODE), "hello podman\n"), "{done}");
    let theirs = scratch.path("theirs");
    let copy = skopeo().expect("found before").args(["copy", "--src-tls-verify=false"]);
    copy.arg(format!("docker://{}", there("ours"))).arg(format!("oci:{}:1", theirs.display())).ok();
    assert_eq!(digest_of(&theirs), digest);

    let copy = skopeo().expect("found before").args(["copy", "--dest-tls-verify=false", &local]);
    copy.arg(format!("docker://{}", there("skopeo"))).ok();
    assert_eq!(digest_of(&pulled("skopeo").1), digest);
    podman.command().args(["push", "--tls-verify=false", &there("ours"), &there("podman")]).ok();
    let (_, folder) = pulled("podman");
    let root = scratch.path("unpacked");
    at(&scratch).args(["unpack", &format!("oci:{}:1", folder.display())]).arg(&root).ok();
    assert!(root.join("bin/hello").is_file());
    proof::ran(TOOLS, 4);
}

const BUILDROOT: &str = "peers: what sloci-image made is pushed, pulled by skopeo, and run by podman";

/// B4: the folder and the archive that Buildroot leaves, pushed as its users push them.
#[test]
fn b4_what_buildroot_made_is_pushed_and_runs() {
    if !is_root() {
        return proof::not_offered(BUILDROOT, "engines with folders of their own need root");
    }
    let it = scratch();
    let (Some(registry), Some(podman), Some(_)) = (Registry::plain(), Podman::new(&it), skopeo()) else {
        return proof::skipped(BUILDROOT, "docker-registry, podman or skopeo is missing");
    };
    if hello(&it.folder("root")).is_none() {
        return proof::skipped(BUILDROOT, "no C compiler that links statically");
    }
    let words = ["compat", "sloci-image", "--arch", "x86_64", "-C", "/bin/hello", "-c", "buildroot"];
    let made = |more: &[&str]| at(&it).args(words).args(more).current_dir(it.root()).ok();
    made(&["--tar", "root", "rootfs-oci:latest"]);
    made(&["root", "rootfs-oci:latest"]);
    let digest = digest_of(&it.path("rootfs-oci"));

    let forms = ["oci:rootfs-oci:latest", "oci-archive:rootfs-oci-latest-x86_64-linux.oci-image.tar:latest"];
    for (number, form) in forms.into_iter().enumerate() {
        let name = format!("{}/buildroot/{number}:latest", registry.host());
        let line =
            at(&it).args(["push", form, &format!("docker://{name}")]).current_dir(it.root()).ok().out();
        assert!(line.trim().ends_with(&digest), "{form}: {line}");
        let pulled = it.path(&format!("pulled-{number}"));
        let copy = skopeo().expect("found before").args(["copy", "--src-tls-verify=false"]);
        copy.arg(format!("docker://{name}")).arg(format!("oci:{}:1", pulled.display())).ok();
        assert_eq!(digest_of(&pulled), digest, "{form}");
        podman.command().args(["pull", "--tls-verify=false", &name]).ok();
        let done = podman.run(&name, &[]);
        assert_eq!((done.code(), done.out().as_str()), (Some(HELLO_CODE), "hello buildroot\n"), "{done}");
    }
    proof::ran(BUILDROOT, forms.len());
}
