//! Other people's tools: they read what we write, and we read what they write.

use std::fs;
use std::path::{Path, PathBuf};
use testkit::dump::{Aspect, differences, dump};
use testkit::engine::{Containerd, HELLO_CODE, Podman, hello};
use testkit::image::{Image, Layer, Packing, gzip, sha256};
use testkit::{Command, Scratch, is_root, orlop, peer, proof, scratch};

/// Whether the proof can run; says why not.
fn ready(name: &str, tools: &[&str]) -> bool {
    if let Some(missing) = tools.iter().find(|tool| peer(tool).is_none()) {
        proof::skipped(name, &format!("{missing} is missing"));
        return false;
    }
    if !is_root() {
        proof::not_offered(name, "engines with folders of their own need root");
        return false;
    }
    true
}

fn skopeo(source: &str, target: &str) {
    Command::new("skopeo").args(["--insecure-policy", "copy", source, target]).ok();
}

fn unpack(image: &str, target: &Path) {
    orlop().args(["unpack", image]).arg(target).ok();
}

/// Both trees, but for the root's own time, which depends on who made the folder.
fn same_tree(ours: &Path, theirs: &Path, what: &str) {
    let (ours, mut theirs) = (dump(ours), dump(theirs));
    theirs.get_mut(b".".as_slice()).expect("a root").mtime = ours[b".".as_slice()].mtime;
    assert_eq!(differences(&theirs, &ours, &[Aspect::Holes]), [], "{what}");
}

/// A tree with a program to run, several megabytes large so that a gzip layer has several members.
fn hello_tree(scratch: &Scratch) -> PathBuf {
    let root = scratch.folder("hello");
    hello(&root).expect("a C compiler that links statically is needed to build orlop at all");
    let noise: Vec<u8> =
        (0..2_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(root.join("noise"), noise).expect("new");
    fs::hard_link(root.join("noise"), root.join("etc/noise")).expect("new");
    std::os::unix::fs::symlink("bin/hello", root.join("start")).expect("new");
    root
}

/// Our image of the tree and of a second layer, whose order matters, in every form that others read.
fn forms(scratch: &Scratch, compress: &str) -> Vec<String> {
    let root = hello_tree(scratch);
    scratch.folder("more/etc");
    scratch.file("more/etc/more", "a second layer");
    let layout = format!("oci:{}:localhost/demo:1", scratch.path("layout").display());
    let build =
        orlop().args(["build", "--compress", compress, "--entrypoint", "/bin/hello", "--cmd", "demo"]);
    build.arg(root).arg(scratch.path("more")).arg(&layout).ok();
    let path = |name: &str| scratch.path(name).display().to_string();
    let copies = [
        format!("oci-archive:{}:localhost/demo:1", path("oci.tar")),
        format!("docker-archive:{}:localhost/demo:1", path("docker.tar")),
        format!("dir:{}", path("dir")),
    ];
    for copy in &copies {
        orlop().args(["copy", &layout, copy]).ok();
    }
    [vec![layout], copies.to_vec()].concat()
}

#[test]
fn skopeo_reads_every_form_that_we_write() {
    let name = "peers: skopeo reads oci, oci-archive, docker-archive and dir";
    if !ready(name, &["skopeo"]) {
        return;
    }
    let mut cases = 0;
    for compress in ["none", "gzip", "zstd"] {
        let scratch = scratch();
        let forms = forms(&scratch, compress);
        unpack(&forms[0], &scratch.path("whole"));
        for (number, form) in forms.iter().enumerate() {
            let copy = scratch.path(&format!("skopeo{number}"));
            skopeo(form, &format!("oci:{}:x", copy.display()));
            let ours = scratch.path(&format!("out{number}"));
            unpack(&format!("oci:{}:x", copy.display()), &ours);
            same_tree(&ours, &scratch.path("whole"), form);
            cases += 1;
        }
    }
    proof::ran(name, cases);
}

#[test]
fn podman_loads_and_runs_what_we_write() {
    let name = "peers: podman loads and runs oci-archive and docker-archive";
    if !ready(name, &["podman", "runc"]) {
        return;
    }
    let scratch = scratch();
    forms(&scratch, "gzip");
    for archive in ["oci.tar", "docker.tar"] {
        let podman = Podman::new(&scratch).expect("it was found before");
        podman.command().args(["load", "--input"]).arg(scratch.path(archive)).ok();
        runs(&podman, archive);
        podman.command().args(["rmi", "--all", "--force"]).ok();
    }
    let podman = Podman::new(&scratch).expect("it was found before");
    let stream = orlop().arg("copy").arg(format!("oci:{}", scratch.path("layout").display()));
    let stream = stream.arg("docker-archive:-:localhost/demo:1").ok().stdout;
    podman.command().arg("load").input(stream).ok();
    runs(&podman, "a stream");
    proof::ran(name, 3);
}

fn runs(podman: &Podman, what: &str) {
    let done = podman.run("localhost/demo:1", &[]);
    assert_eq!((done.code(), done.out().as_str()), (Some(HELLO_CODE), "hello demo\n"), "{what}: {done}");
}

#[test]
fn containerd_imports_and_runs_what_we_write() {
    let name = "peers: containerd imports and runs oci-archive and docker-archive";
    if !ready(name, &["containerd", "ctr", "runc"]) {
        return;
    }
    let scratch = scratch();
    forms(&scratch, "gzip");
    let Some(containerd) = Containerd::start(&scratch) else {
        return proof::not_offered(name, "containerd does not start here");
    };
    for archive in ["oci.tar", "docker.tar"] {
        containerd.ctr().args(["image", "import"]).arg(scratch.path(archive)).ok();
        let done = containerd.run("localhost/demo:1", &[]);
        assert_eq!(
            (done.code(), done.out().as_str()),
            (Some(HELLO_CODE), "hello demo\n"),
            "{archive}: {done}"
        );
        containerd.ctr().args(["image", "rm", "--sync", "localhost/demo:1"]).ok();
    }
    proof::ran(name, 2);
}

#[test]
fn umoci_unpacks_what_we_write() {
    let name = "peers: umoci unpacks our layouts";
    if !ready(name, &["umoci"]) {
        return;
    }
    for compress in ["none", "gzip"] {
        let scratch = scratch();
        let layout = scratch.path("layout");
        let root = hello_tree(&scratch);
        orlop()
            .args(["build", "--compress", compress])
            .arg(&root)
            .arg(format!("oci:{}:t", layout.display()))
            .ok();
        let bundle = scratch.path("bundle");
        Command::new("umoci")
            .args(["unpack", "--image", &format!("{}:t", layout.display())])
            .arg(&bundle)
            .ok();
        same_tree(&bundle.join("rootfs"), &root, compress);
    }
    proof::ran(name, 2);
}

/// What tar makes of a folder.
fn tar_of(folder: &Path) -> Vec<u8> {
    let tar =
        Command::new("tar").arg("-C").arg(folder).args(["--format=posix", "--sort=name", "-cf", "-", "."]);
    tar.ok().stdout
}

#[test]
fn we_read_every_form_that_skopeo_and_podman_write() {
    let name = "peers: we read what skopeo and podman write";
    if !ready(name, &["skopeo", "podman"]) {
        return;
    }
    let scratch = scratch();
    let root = hello_tree(&scratch);
    let tar = tar_of(&root);
    let source = scratch.path("source");
    Image::of(&[tar], Packing::Gzip).layout().write(&source);
    let source = format!("oci:{}:latest", source.display());
    let path = |name: &str| scratch.path(name).display().to_string();
    let mut images = Vec::new();
    for (form, tag) in [("oci", ":a/b:c"), ("oci-archive", ":x"), ("docker-archive", ":demo:1"), ("dir", "")]
    {
        let image = format!("{form}:{}{tag}", path(form));
        skopeo(&source, &image);
        images.push(image);
    }
    let podman = Podman::new(&scratch).expect("it was found before");
    podman.command().args(["pull", "--quiet", &source]).ok();
    let id = podman.command().args(["images", "--quiet"]).ok().out();
    for format in ["oci-archive", "docker-archive"] {
        let file = path(&format!("podman-{format}"));
        podman.command().args(["save", "--quiet", "--format", format, "--output", &file, id.trim()]).ok();
        images.push(format!("{format}:{file}"));
    }
    for (number, image) in images.iter().enumerate() {
        let ours = scratch.path(&format!("out{number}"));
        unpack(image, &ours);
        same_tree(&ours, &root, image);
        orlop().args(["validate", image]).ok();
    }
    proof::ran(name, images.len());
}

/// Five steps of a tree's life: additions, changes, removals, a folder made anew, links, kinds that change.
const STEPS: [&str; 5] = [
    "mkdir -p usr/lib etc var/log opt/app; echo 1 >etc/one; echo 2 >etc/two; echo l >usr/lib/libx; ln -s usr/lib lib
     echo a >opt/app/a; echo b >opt/app/b; ln etc/one etc/one-too; mkfifo var/pipe; ln -s nowhere dangling",
    "echo changed >etc/two; rm etc/one; echo y >usr/lib/liby; chmod 4755 usr/lib/libx; chown 12:34 opt/app/a",
    "rm -r opt/app; mkdir -p opt/app; echo c >opt/app/c; rm dangling; mkdir dangling; echo d >dangling/d",
    "rm -r var/log; echo file >var/log; ln usr/lib/liby usr/lib/liby-too; rm var/pipe; ln -s log var/pipe",
    "rm lib; mkdir lib; echo own >lib/own; rm -r etc; mkdir etc; echo last >etc/last; touch -d 2001-01-01 usr",
];

#[test]
fn our_unpack_of_umocis_five_layers_is_umocis() {
    let name = "peers: five layers of umoci";
    if !ready(name, &["umoci"]) {
        return;
    }
    let scratch = scratch();
    let layout = scratch.path("layout");
    let umoci = |args: &[&str]| Command::new("umoci").args(args).current_dir(scratch.root()).ok();
    umoci(&["init", "--layout", "layout"]);
    umoci(&["new", "--image", "layout:t"]);
    for (number, step) in STEPS.iter().enumerate() {
        let bundle = format!("bundle{number}");
        umoci(&["unpack", "--image", "layout:t", &bundle]);
        Command::new("sh").args(["-ec", step]).current_dir(scratch.path(&bundle).join("rootfs")).ok();
        umoci(&["repack", "--image", "layout:t", &bundle]);
    }
    as_umoci_does(&scratch, &layout, "umoci");
    proof::ran(name, STEPS.len());
}

#[test]
fn our_unpack_of_buildahs_five_layers_is_umocis() {
    let name = "peers: five layers of buildah";
    if !ready(name, &["umoci", "buildah"]) {
        return;
    }
    let scratch = scratch();
    let layout = scratch.path("layout");
    let buildah = |args: &[&str]| {
        let folders = Command::new("buildah").arg("--root").arg(scratch.path("storage"));
        let folders = folders.arg("--runroot").arg(scratch.path("run")).args(["--storage-driver", "vfs"]);
        folders.args(args).ok().out().trim().to_owned()
    };
    let mut from = "scratch".to_owned();
    for step in STEPS {
        let container = buildah(&["from", "--pull-never", &from]);
        let root = buildah(&["mount", &container]);
        Command::new("sh").args(["-ec", step]).current_dir(&root).ok();
        from = buildah(&["commit", "--quiet", "--rm", &container]);
    }
    buildah(&["push", &from, &format!("oci:{}:t", layout.display())]);
    as_umoci_does(&scratch, &layout, "buildah");
    proof::ran(name, STEPS.len());
}

fn as_umoci_does(scratch: &Scratch, layout: &Path, what: &str) {
    let image = format!("{}:t", layout.display());
    Command::new("umoci").args(["unpack", "--image", &image]).arg(scratch.path("theirs")).ok();
    let ours = scratch.path("ours");
    unpack(&format!("oci:{image}"), &ours);
    same_tree(&ours, &scratch.path("theirs/rootfs"), what);
    let layers = orlop().args(["inspect", "--raw", &format!("oci:{image}")]).ok().out();
    assert_eq!(layers.matches("image.layer").count(), STEPS.len(), "{layers}");
}

/// Our gzip layers have many members; so must everybody be able to read them, also where the bounds differ.
#[test]
fn gzip_of_many_members_is_read_by_all() {
    let name = "peers: gzip of eight members is read by skopeo, umoci, podman and containerd";
    if !ready(name, &["skopeo", "umoci", "podman", "containerd", "ctr"]) {
        return;
    }
    let scratch = scratch();
    let root = hello_tree(&scratch);
    let tar = tar_of(&root);
    let blob: Vec<u8> = tar.chunks(tar.len() / 8 + 1).flat_map(gzip).collect();
    let layer = Layer { blob, media_type: Packing::Gzip.media_type().into(), diff_id: sha256(&tar) };
    let image = Image::new().layer(layer).index(|mut index| {
        index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "localhost/demo:1".into();
        index
    });
    let layout = image.layout();
    layout.write(&scratch.path("layout"));
    let archive = scratch.file("oci.tar", layout.archive());
    let image = format!("{}:localhost/demo:1", scratch.path("layout").display());
    unpack(&format!("oci:{image}"), &scratch.path("ours"));
    same_tree(&scratch.path("ours"), &root, "orlop");
    Command::new("umoci").args(["unpack", "--image", &image]).arg(scratch.path("umoci")).ok();
    same_tree(&scratch.path("umoci/rootfs"), &root, "umoci");
    let plain = ["--insecure-policy", "copy", "--dest-decompress", &format!("oci:{image}")];
    Command::new("skopeo").args(plain).arg(format!("dir:{}", scratch.path("dir").display())).ok();
    assert_eq!(fs::read(scratch.path("dir").join(&sha256(&tar)[7..])).expect("the layer"), tar);
    let podman = Podman::new(&scratch).expect("it was found before");
    podman.command().args(["load", "--input"]).arg(&archive).ok();
    let done = podman.run("localhost/demo:1", &["/bin/hello", "x"]);
    assert_eq!(done.code(), Some(HELLO_CODE), "{done}");
    let Some(containerd) = Containerd::start(&scratch) else {
        return proof::not_offered(name, "containerd does not start here");
    };
    containerd.ctr().args(["image", "import"]).arg(&archive).ok();
    let done = containerd.run("localhost/demo:1", &["/bin/hello", "x"]);
    assert_eq!(done.code(), Some(HELLO_CODE), "{done}");
    proof::ran(name, 5);
}

/// Item 66: the bundle is a runtime's.
#[test]
fn item_66_a_bundle_runs_under_runc() {
    let name = "peers: a bundle runs under runc";
    if !ready(name, &["runc"]) {
        return;
    }
    let scratch = scratch();
    forms(&scratch, "gzip");
    let layout = format!("oci:{}", scratch.path("layout").display());
    orlop().args(["bundle", &layout]).arg(scratch.path("bundle")).ok();
    let container = format!("orlop-test-{}", std::process::id());
    let runc = Command::new("runc").arg("--root").arg(scratch.path("runc")).args(["run", "--bundle"]);
    let done = runc.arg(scratch.path("bundle")).arg(container).run();
    assert_eq!((done.code(), done.out().as_str()), (Some(HELLO_CODE), "hello demo\n"), "{done}");
    proof::ran(name, 1);
}
