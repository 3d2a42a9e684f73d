//! Other tools read what orlop writes, and orlop reads what they write: no byte and no digest changes.

use orlop_spec::media_type::{MediaType, OCI_INDEX};
use orlop_spec::port::{Catalog, Hints, Name, Sink as _, Source as _};
use orlop_spec::{Algorithm, Descriptor, Document, Index, Limits, Manifest};
use orlop_store::{DockerArchive, Exploded, Layout, OciArchive, Options, archive};
use std::path::Path;
use testkit::engine::{Containerd, Podman};
use testkit::image::{Image, Packing};
use testkit::suites::copy::{by_tag, copy, only, reached, same, tag};
use testkit::suites::read;
use testkit::tarball::{Member, tar};
use testkit::{Command, Scratch, peer, proof, scratch};

fn options() -> Options {
    Options::default()
}

fn archive_options(tmpdir: &Path) -> archive::Options {
    archive::Options { tmpdir: tmpdir.into(), limits: Limits::default(), cancel: None }
}

fn tars() -> [Vec<u8>; 2] {
    [
        tar([Member::folder("bin/"), Member::file("bin/a", "one")]),
        tar([Member::file("bin/.wh.a", ""), Member::file("b", "two")]),
    ]
}

/// A layout of one image under the tag `latest`, not written by orlop.
fn fixture(scratch: &Scratch) -> Layout {
    let folder = scratch.path("fixture");
    Image::of(&tars(), Packing::Gzip).layout().write(&folder);
    Layout::open(folder, &Options::default()).expect("the fixture is right")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn skopeo() -> Option<Command> {
    Some(peer("skopeo")?.command().args(["--insecure-policy", "copy", "--all", "--quiet"]))
}

/// Copies the fixture into every form under one name; each as skopeo calls it.
fn all_forms(scratch: &Scratch, source: &Layout) -> Vec<String> {
    let root = only(source);
    let place = |name: &str| scratch.path(name);
    let archives = archive_options(scratch.root());
    let named = [(tag("docker.io/library/app:1"), root.clone())];
    copy(source, Box::new(Layout::create(place("layout"), &options()).expect("made")), &named);
    copy(source, Box::new(OciArchive::create(place("oci.tar"), &archives).expect("made")), &named);
    copy(source, Box::new(DockerArchive::create(place("docker.tar"), &archives).expect("made")), &named);
    let unnamed = [(Name::Untagged, root)];
    copy(source, Box::new(Exploded::create(place("dir"), &Limits::default()).expect("made")), &unnamed);
    vec![
        format!("oci:{}:docker.io/library/app:1", shown(&place("layout"))),
        format!("oci-archive:{}:docker.io/library/app:1", shown(&place("oci.tar"))),
        format!("docker-archive:{}:docker.io/library/app:1", shown(&place("docker.tar"))),
        format!("dir:{}", shown(&place("dir"))),
    ]
}

#[test]
fn skopeo_reads_every_form_that_we_write() {
    let name = "peers: skopeo reads our layout, archives and dir";
    let Some(_) = skopeo() else { return proof::skipped(name, "skopeo is missing") };
    let scratch = scratch();
    let source = fixture(&scratch);
    let forms = all_forms(&scratch, &source);
    for (number, form) in forms.iter().enumerate() {
        let back = scratch.path(&format!("back-{number}"));
        skopeo().expect("asked before").arg(form).arg(format!("dir:{}", shown(&back))).ok();
        let back = Exploded::open(&back, &Limits::default()).expect("skopeo wrote it");
        if form.starts_with("docker-archive") {
            // skopeo makes a manifest of its own for such an archive; the config is the image's.
            assert_eq!(config_of(&back), config_of(&source));
        } else {
            assert_eq!(only(&back).digest, only(&source).digest, "{form}");
            same(&source, &back, &only(&source));
        }
    }
    proof::ran(name, forms.len());
}

fn config_of(catalog: &dyn Catalog) -> Vec<u8> {
    let root = only(catalog);
    let bytes = read(catalog, &root).expect("the root is there");
    let manifest = Document::<Manifest>::open(bytes, root).expect("a manifest");
    read(catalog, &manifest.config).expect("the config is there")
}

#[test]
fn we_read_every_form_that_skopeo_writes() {
    let name = "peers: we read skopeo's layout, archives and dir";
    let Some(_) = skopeo() else { return proof::skipped(name, "skopeo is missing") };
    let scratch = scratch();
    let source = fixture(&scratch);
    let root = only(&source);
    let from = format!("oci:{}:latest", shown(source.path()));
    let write = |to: String| drop(skopeo().expect("asked before").arg(&from).arg(to).ok());
    let (layout, oci, docker, dir) =
        (scratch.path("l"), scratch.path("o.tar"), scratch.path("d.tar"), scratch.path("x"));
    write(format!("oci:{}:a/b:1", shown(&layout)));
    write(format!("oci-archive:{}:a/b:1", shown(&oci)));
    write(format!("docker-archive:{}:app:1", shown(&docker)));
    write(format!("dir:{}", shown(&dir)));
    let archives = archive_options(scratch.root());
    let layout = Layout::open(layout, &options()).expect("a layout");
    let oci = OciArchive::open(oci, &archives).expect("an archive");
    let dir = Exploded::open(dir, &Limits::default()).expect("a dir:");
    for back in [&layout as &dyn Catalog, &oci, &dir] {
        assert_eq!(only(back).digest, root.digest);
        same(&source, back, &root);
    }
    for back in [&layout as &dyn Catalog, &oci] {
        assert_eq!(back.resolve(&by_tag("a/b:1")).expect("by its tag").len(), 1);
    }
    let docker = DockerArchive::open(docker, &archives).expect("an archive");
    for spelled in ["app:1", "docker.io/library/app:1"] {
        assert_eq!(docker.resolve(&by_tag(spelled)).expect("by its name").len(), 1);
    }
    assert_eq!(config_of(&docker), config_of(&source));
    assert_eq!(same(&docker, &docker, &only(&docker)), 4, "every layer proves itself by its diff id");
    proof::ran(name, 4);
}

#[test]
fn all_platforms_travel_through_dir_both_ways() {
    let name = "peers: skopeo and we exchange an index by dir:";
    let Some(_) = skopeo() else { return proof::skipped(name, "skopeo is missing") };
    let scratch = scratch();
    let source = fixture(&scratch);
    let root = index_of(&source, &scratch);
    let ours = scratch.path("ours");
    let two = Layout::open(scratch.path("two"), &options()).expect("a layout");
    let sink = Exploded::create(&ours, &Limits::default()).expect("made");
    copy(&two, Box::new(sink), &[(Name::Untagged, root.clone())]);
    skopeo()
        .expect("asked before")
        .arg(format!("dir:{}", shown(&ours)))
        .arg(format!("oci:{}:x", shown(&scratch.path("l"))))
        .ok();
    let back = Layout::open(scratch.path("l"), &options()).expect("skopeo wrote it");
    assert_eq!(only(&back).digest, root.digest);
    same(&two, &back, &root);
    let theirs = scratch.path("theirs");
    skopeo()
        .expect("asked before")
        .arg(format!("oci:{}:x", shown(&scratch.path("l"))))
        .arg(format!("dir:{}", shown(&theirs)))
        .ok();
    let back = Exploded::open(theirs, &Limits::default()).expect("skopeo wrote it");
    assert_eq!(only(&back).digest, root.digest);
    same(&two, &back, &root);
    proof::ran(name, 2);
}

/// A layout `two` with an index of the fixture's image and another one.
fn index_of(source: &Layout, scratch: &Scratch) -> Descriptor {
    let other = scratch.path("other");
    Image::of(&tars()[..1], Packing::Zstd)
        .config(|mut config| {
            config["architecture"] = "arm64".into();
            config
        })
        .layout()
        .write(&other);
    let other = Layout::open(other, &options()).expect("the fixture is right");
    let (mut one, mut two) = (only(source), only(&other));
    for (image, architecture) in [(&mut one, "amd64"), (&mut two, "arm64")] {
        image.annotations.clear();
        let platform = serde_json::json!({"architecture": architecture, "os": "linux"});
        image.platform = Some(serde_json::from_value(platform).expect("a platform"));
    }
    let index = Document::print(
        Index::new(vec![one.clone(), two.clone()]),
        MediaType::new(OCI_INDEX),
        Algorithm::Sha256,
    );
    let folder = scratch.path("two");
    copy(source, Box::new(Layout::create(&folder, &options()).expect("made")), &[(tag("one"), one)]);
    copy(&other, Box::new(Layout::create(&folder, &options()).expect("there")), &[(tag("two"), two)]);
    let sink = Layout::create(&folder, &options()).expect("there");
    sink.put(index.descriptor(), &index.raw().to_vec(), &Hints::default()).expect("a right index");
    Box::new(sink).finish(&[(tag("all"), index.descriptor().clone())]).expect("whole");
    index.descriptor().clone()
}

#[test]
fn umoci_unpacks_and_changes_the_layout_that_we_write() {
    let name = "peers: umoci reads and changes our layout";
    let Some(umoci) = peer("umoci") else { return proof::skipped(name, "umoci is missing") };
    let scratch = scratch();
    let source = fixture(&scratch);
    let layout = scratch.path("layout");
    copy(&source, Box::new(Layout::create(&layout, &options()).expect("made")), &[(tag("1"), only(&source))]);
    let image = format!("{}:1", shown(&layout));
    umoci.command().args(["unpack", "--rootless", "--image", &image]).arg(scratch.path("bundle")).ok();
    assert!(scratch.path("bundle/rootfs/b").is_file() && !scratch.path("bundle/rootfs/bin/a").exists());
    umoci.command().args(["tag", "--image", &image, "second"]).ok();
    umoci.command().args(["gc", "--layout"]).arg(&layout).ok();
    let layout = Layout::open(&layout, &options()).expect("umoci wrote it");
    let roots = ["1", "second"].map(|tag| layout.resolve(&by_tag(tag)).expect("by its tag").remove(0).digest);
    assert_eq!(roots[0], roots[1]);
    same(&source, &layout, &only(&source));
    proof::ran(name, 3);
}

#[test]
fn we_write_into_layouts_of_umoci() {
    let name = "peers: we write into umoci's empty layout";
    let Some(umoci) = peer("umoci") else { return proof::skipped(name, "umoci is missing") };
    let scratch = scratch();
    let (source, layout) = (fixture(&scratch), scratch.path("layout"));
    umoci.command().args(["init", "--layout"]).arg(&layout).ok();
    umoci.command().args(["new", "--image", &format!("{}:empty", shown(&layout))]).ok();
    copy(
        &source,
        Box::new(Layout::create(&layout, &options()).expect("there")),
        &[(tag("1"), only(&source))],
    );
    let listed = umoci.command().args(["ls", "--layout"]).arg(&layout).ok();
    assert_eq!(listed.out().lines().collect::<Vec<_>>(), ["empty", "1"]);
    let layout = Layout::open(&layout, &options()).expect("a layout");
    let empty = layout.resolve(&by_tag("empty")).expect("umoci's").remove(0);
    assert_eq!(reached(&layout, &empty).len(), 2, "an image without layers");
    proof::ran(name, 2);
}

#[test]
fn podman_loads_our_archives_and_saves_what_we_read() {
    let name = "peers: podman loads our archives, we read what it saves";
    let scratch = scratch();
    let Some(podman) = Podman::new(&scratch) else { return proof::skipped(name, "podman is missing") };
    let source = fixture(&scratch);
    all_forms(&scratch, &source);
    let config = config_of(&source);
    for archive in ["docker.tar", "oci.tar"] {
        podman.command().args(["load", "--quiet", "--input"]).arg(scratch.path(archive)).ok();
        let image = "docker.io/library/app:1";
        let id =
            podman.command().args(["inspect", "--format", "{{.Id}}", image]).ok().out().trim().to_owned();
        assert_eq!(format!("sha256:{id}"), testkit::image::sha256(&config), "{archive}");
        let archives = archive_options(scratch.root());
        let saved = |form: &str, file: &str| {
            let to = scratch.path(file);
            podman.command().args(["save", "--quiet", "--format", form, "--output"]).arg(&to).arg(image).ok();
            to
        };
        let docker = DockerArchive::open(saved("docker-archive", &format!("{archive}.d")), &archives);
        let docker = docker.expect("podman wrote it");
        let oci = OciArchive::open(saved("oci-archive", &format!("{archive}.o")), &archives);
        let oci = oci.expect("podman wrote it");
        assert_eq!(docker.resolve(&by_tag("app:1")).expect("by its name").len(), 1);
        for saved in [&docker as &dyn Catalog, &oci] {
            assert_eq!(config_of(saved), config);
            assert_eq!(same(saved, saved, &only(saved)), 4);
        }
        podman.command().args(["rmi", "--force", image]).ok();
    }
    proof::ran(name, 6);
}

#[test]
fn containerd_imports_our_archives() {
    let name = "peers: containerd imports our archives";
    let scratch = scratch();
    let Some(containerd) = Containerd::start(&scratch) else {
        return proof::skipped(name, "containerd is missing");
    };
    let source = fixture(&scratch);
    all_forms(&scratch, &source);
    let root = only(&source);
    for archive in ["docker.tar", "oci.tar"] {
        containerd.ctr().args(["images", "import", "--no-unpack"]).arg(scratch.path(archive)).ok();
        let listed = containerd.ctr().args(["images", "ls"]).ok();
        let line = listed.out().lines().find(|line| line.contains("library/app:1")).map(ToOwned::to_owned);
        assert!(
            line.is_some_and(|line| line.contains(&root.digest.to_string())),
            "{archive}: {}",
            listed.out()
        );
        containerd.ctr().args(["images", "rm", "docker.io/library/app:1"]).ok();
    }
    proof::ran(name, 2);
}

#[test]
fn the_shared_folder_is_laid_out_as_skopeo_reads_it() {
    let name = "peers: skopeo reads our shared blobs";
    let Some(_) = skopeo() else { return proof::skipped(name, "skopeo is missing") };
    let scratch = scratch();
    let (source, shared) = (fixture(&scratch), scratch.path("shared"));
    let sharing = Options { shared_blobs: Some(shared.clone()), ..options() };
    let layout = scratch.path("layout");
    copy(&source, Box::new(Layout::create(&layout, &sharing).expect("made")), &[(tag("1"), only(&source))]);
    assert!(scratch.path("layout/blobs").read_dir().expect("a folder").next().is_none());
    let from = format!("oci:{}:1", shown(&layout));
    let to = format!("dir:{}", shown(&scratch.path("dir")));
    skopeo().expect("asked before").arg("--src-shared-blob-dir").arg(&shared).args([from, to]).ok();
    proof::ran(name, 1);
}
