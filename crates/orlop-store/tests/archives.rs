//! Archives and exploded images that are old, odd, cut or hostile.

use orlop_spec::media_type::DOCKER_MANIFEST;
use orlop_spec::port::{Catalog, Hints, Keeper as _, Name, Result, Selector, Sink as _, Source as _, Sweep};
use orlop_spec::{AnyDigest, Descriptor, Document, Kind, Limits, Manifest};
use orlop_store::{DockerArchive, Error, Exploded, Layout, OciArchive, Options, archive};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::Scratch;
use testkit::image::{self, Image, Packing, Text};
use testkit::scratch::scratch_in_memory as fresh;
use testkit::suites::copy::{by_tag, copy, only, reached, same, tag};
use testkit::suites::{Sample, read};
use testkit::tarball::{Member, cut, tar};

fn options(scratch: &Scratch) -> archive::Options {
    archive::Options { tmpdir: scratch.root().into(), limits: Limits::default(), cancel: None }
}

fn kind<T>(outcome: Result<T>) -> Option<Kind> {
    outcome.err().map(|fault| fault.kind())
}

fn layers() -> [Vec<u8>; 2] {
    [tar([Member::file("a", "1")]), tar([Member::file("b", "2")])]
}

fn fixture() -> image::Layout {
    Image::of(&layers(), Packing::Gzip).layout()
}

/// The members of a layout, `index.json` last.
fn members(layout: &image::Layout) -> Vec<Member> {
    let (index, others): (Vec<_>, Vec<_>) = layout.files.iter().partition(|(path, _)| *path == "index.json");
    others.into_iter().chain(index).map(|(path, bytes)| Member::file(path, bytes)).collect()
}

fn oci(scratch: &Scratch, bytes: &[u8]) -> Result<OciArchive> {
    OciArchive::open(scratch.file("a.tar", bytes), &options(scratch))
}

fn docker(scratch: &Scratch, bytes: &[u8]) -> Result<DockerArchive> {
    DockerArchive::open(scratch.file("a.tar", bytes), &options(scratch))
}

/// The image comes out of the archive whole.
fn is_whole(scratch: &Scratch, catalog: &dyn Catalog) {
    let root = only(catalog);
    let sink = Layout::create(scratch.path("copy"), &Options::default()).expect("made");
    copy(catalog, Box::new(sink), &[(tag("1"), root.clone())]);
    let copied = Layout::open(scratch.path("copy"), &Options::default()).expect("a layout");
    assert_eq!(same(catalog, &copied, &root), 4);
}

#[test]
fn archives_come_plain_and_wrapped() {
    for packing in Packing::ALL {
        let scratch = fresh();
        let archive = oci(&scratch, &packing.pack(&fixture().archive())).expect("an archive");
        is_whole(&scratch, &archive);
    }
}

#[test]
fn what_an_archive_comes_in_stays_when_its_names_change() {
    for packing in Packing::ALL {
        let scratch = fresh();
        let archive = oci(&scratch, &packing.pack(&fixture().archive())).expect("an archive");
        archive.assign(&tag("more"), &only(&archive)).expect("written anew");
        assert_eq!(archive.forget(&Selector::Tag("latest".into())).expect("written anew").len(), 1);
        archive.sweep(Duration::ZERO, Sweep::Remove).expect("written anew");
        is_packed(&scratch, packing);
        is_whole(&scratch, &oci_at(&scratch));
        let listed = Image::of(&layers(), Packing::Plain).docker_archive();
        let archive = docker(&scratch, &packing.pack(&listed)).expect("an archive");
        archive.assign(&tag("more:1"), &archive.names().expect("names")[0].1).expect("written anew");
        is_packed(&scratch, packing);
        let anew = DockerArchive::open(scratch.path("a.tar"), &options(&scratch)).expect("an archive");
        assert_eq!(anew.names().expect("names").len(), archive.names().expect("names").len());
    }
}

fn oci_at(scratch: &Scratch) -> OciArchive {
    OciArchive::open(scratch.path("a.tar"), &options(scratch)).expect("an archive")
}

/// The first bytes tell how the file is compressed.
fn is_packed(scratch: &Scratch, packing: Packing) {
    let bytes = fs::read(scratch.path("a.tar")).expect("there");
    let found = match bytes[..4] {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Packing::Zstd,
        _ => Packing::Plain,
    };
    assert_eq!(found, packing);
}

#[test]
fn members_may_be_spelled_with_a_dot_and_in_any_order() {
    let scratch = fresh();
    let spelled =
        fixture().files.into_iter().rev().map(|(path, bytes)| Member::file(format!("./{path}"), bytes));
    let archive = oci(&scratch, &tar(spelled)).expect("an archive");
    is_whole(&scratch, &archive);
}

#[test]
fn the_last_of_two_members_of_one_name_counts() {
    let scratch = fresh();
    let stale = Member::file("index.json", r#"{"schemaVersion":2,"manifests":[]}"#);
    let archive = oci(&scratch, &tar(std::iter::once(stale).chain(members(&fixture())))).expect("an archive");
    is_whole(&scratch, &archive);
}

#[test]
fn members_may_be_links_to_members() {
    for link in [
        |name: &str, _: &str| Member::hard_link(name, "files/layer"),
        |name: &str, _: &str| Member::symlink(name, "../../files/layer"),
        |name: &str, _: &str| Member::symlink(name, "/files/layer"),
    ] {
        let (scratch, mut layout) = (fresh(), fixture());
        let layer = layout.layer_path(0);
        let bytes = layout.files.remove(&layer).expect("the layer");
        let mut members = vec![Member::file("files/layer", bytes), link(&layer, "")];
        members.extend(self::members(&layout));
        let archive = oci(&scratch, &tar(members)).expect("an archive");
        is_whole(&scratch, &archive);
        archive.assign(&tag("more"), &only(&archive)).expect("written anew");
        is_whole(&scratch, &OciArchive::open(scratch.path("a.tar"), &options(&scratch)).expect("whole"));
    }
}

#[test]
fn links_that_lead_out_or_in_circles_hold_nothing() {
    for (one, other) in [("../../../etc/passwd", "x"), ("/nowhere", "x"), ("other", "layer")] {
        let (scratch, mut layout) = (fresh(), fixture());
        let layer = layout.layer_path(0);
        let bytes = layout.files.remove(&layer).expect("the layer");
        let mut members = vec![
            Member::file("etc/passwd", bytes),
            Member::symlink(&layer, one),
            Member::symlink("blobs/sha256/other", other),
            Member::symlink("blobs/sha256/layer", "other"),
        ];
        members.extend(self::members(&layout));
        let archive = oci(&scratch, &tar(members)).expect("names are whole");
        let blobs = reached(&archive, &only(&archive));
        let refused: Vec<_> = blobs.iter().filter_map(|blob| kind(read(&archive, blob))).collect();
        assert_eq!(refused, [Kind::Integrity], "{one}");
    }
}

#[test]
fn an_archive_that_was_cut_is_no_archive() {
    let (scratch, whole) = (fresh(), fixture().archive());
    let index = fixture().files["index.json"].len();
    for length in [0, 512, 600, whole.len() / 2, whole.len() - 1024 - index.next_multiple_of(512)] {
        assert_eq!(kind(oci(&scratch, &whole[..length])), Some(Kind::Integrity), "{length}");
    }
    let names_without_content = cut(members(&fixture()));
    assert!(oci(&scratch, &names_without_content).is_ok(), "only the closing zeros are missing");
    let inside_index = names_without_content.len() - 600;
    assert_eq!(kind(oci(&scratch, &names_without_content[..inside_index])), Some(Kind::Integrity));
}

#[test]
fn t4_a_sparse_member_is_refused_when_it_is_needed() {
    let (scratch, mut layout) = (fresh(), fixture());
    let layer = layout.layer_path(0);
    layout.files.remove(&layer);
    let sparse: [(&[u8], &[u8]); 5] = [
        (b"GNU.sparse.major", b"1"),
        (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.name", layer.as_bytes()),
        (b"GNU.sparse.realsize", b"2048"),
        (b"path", layer.as_bytes()),
    ];
    let mut map = b"1\n0\n512\n".to_vec();
    map.resize(1024, 0);
    let mut members = vec![Member::pax(&sparse), Member::file("GNUSparseFile.0/x", map)];
    members.extend(self::members(&layout));
    let archive = oci(&scratch, &tar(members)).expect("what follows is found");
    let blobs = reached(&archive, &only(&archive));
    let refused: Vec<_> = blobs.iter().filter_map(|blob| archive.origin(blob).err()).collect();
    assert_eq!(refused.len(), 1);
    assert!(matches!(refused[0].downcast_ref(), Some(Error::Member { what: "is sparse", .. })));
}

#[test]
fn d1_a_bomb_ends_at_its_limit() {
    let scratch = fresh();
    let bomb = image::gzip(&vec![0; 64 << 20]);
    let limits = Limits { size: 1 << 20, ..Limits::default() };
    let options = archive::Options { limits, ..options(&scratch) };
    assert_eq!(kind(OciArchive::read(&bomb[..], &options)), Some(Kind::Limit));
}

fn sample_archive(scratch: &Scratch, name: &str) -> Vec<u8> {
    let sink = OciArchive::create(scratch.path(name), &options(scratch)).expect("made");
    let sample = Sample::new("x");
    sample.put(&sink);
    Box::new(sink).finish(&[(tag("1"), sample.root)]).expect("published");
    fs::read(scratch.path(name)).expect("there")
}

#[test]
fn item_33_the_same_images_give_the_same_bytes_and_the_index_is_last() {
    let scratch = fresh();
    let bytes = sample_archive(&scratch, "one");
    assert_eq!(bytes, sample_archive(&scratch, "two"));
    let listed = testkit::Command::new("tar").arg("tf").arg(scratch.path("one")).ok().out();
    let listed: Vec<_> = listed.lines().collect();
    assert_eq!(listed[..3], ["oci-layout", "blobs/", "blobs/sha256/"]);
    assert_eq!(listed.last(), Some(&"index.json"));
}

#[test]
fn an_archive_is_replaced_behind_a_link_and_nothing_else_is_replaced() {
    let scratch = fresh();
    let old = sample_archive(&scratch, "real");
    std::os::unix::fs::symlink("real", scratch.path("link")).expect("made");
    let sink = OciArchive::create(scratch.path("link"), &options(&scratch)).expect("made");
    Box::new(sink).finish(&[]).expect("an archive of nothing");
    assert!(scratch.path("link").is_symlink());
    assert_ne!(fs::read(scratch.path("real")).expect("there"), old);
    scratch.folder("folder");
    let fault = OciArchive::create(scratch.path("folder"), &options(&scratch)).expect_err("a folder");
    assert!(matches!(fault.downcast_ref(), Some(Error::Occupied { .. })));
}

#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stream_that_failed_ends_without_names() {
    let (scratch, pipe, sample) = (fresh(), Pipe::default(), Sample::new("x"));
    let sink = OciArchive::write(Box::new(pipe.clone()), &options(&scratch)).expect("made");
    sink.put(&sample.blobs[0].0, &sample.blobs[0].1, &Hints::default()).expect("right");
    let wrong = sink.put(&sample.blobs[1].0, &b"y".to_vec(), &Hints::default());
    assert_eq!(kind(wrong), Some(Kind::Integrity));
    let after = sink.put(&sample.blobs[2].0, &sample.blobs[2].1, &Hints::default());
    assert!(matches!(after.expect_err("given up").downcast_ref(), Some(Error::GivenUp { .. })));
    let finished = Box::new(sink).finish(&[(tag("1"), sample.blobs[0].0.clone())]);
    assert!(finished.is_err());
    let bytes = pipe.0.lock().expect("no writer panics").clone();
    assert_eq!(kind(OciArchive::read(&bytes[..], &options(&scratch))), Some(Kind::Integrity));
}

#[test]
fn a_stream_cannot_be_kept() {
    let scratch = fresh();
    let archive = OciArchive::read(&fixture().archive()[..], &options(&scratch)).expect("an archive");
    let fault = archive.assign(&tag("2"), &only(&archive)).expect_err("there is no file");
    assert!(matches!(fault.downcast_ref(), Some(Error::NotKept { .. })));
}

#[test]
fn item_31_writing_anew_keeps_what_is_not_known() {
    let scratch = fresh();
    let mut layout = fixture();
    let mut index = layout.index();
    index["odd"] = json!({"b": 1, "a": [2]});
    index["manifests"][0]["odd"] = json!("kept");
    layout.put("index.json", index.to_string());
    let archive = oci(&scratch, &layout.archive()).expect("an archive");
    archive.assign(&tag("2"), &only(&archive)).expect("written anew");
    archive.forget(&by_tag("2")).expect("it is there");
    let text =
        testkit::Command::new("tar").arg("xOf").arg(scratch.path("a.tar")).arg("index.json").ok().out();
    let found: Value = serde_json::from_str(&text).expect("a document");
    assert_eq!(found, index);
}

/// The member of the older forms: `ID/layer.tar`, and links to layers that another image has.
fn older(scratch: &Scratch) -> Vec<u8> {
    let [one, two] = layers();
    let config = |diff_ids: &[&[u8]]| {
        let ids: Vec<_> = diff_ids.iter().map(|tar| image::sha256(tar)).collect();
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}})
            .to_string()
    };
    let list = json!([
        {"Config": "1.json", "RepoTags": ["one:1", "localhost/one:also"], "Layers": ["a/layer.tar"]},
        {"Config": "2.json", "RepoTags": null, "Layers": ["b/layer.tar", "c/layer.tar"], "Parent": "x"},
    ]);
    let bytes = tar([
        Member::folder("a/"),
        Member::file("a/VERSION", "1.0"),
        Member::file("a/layer.tar", &one),
        Member::symlink("b/layer.tar", "../a/layer.tar"),
        Member::file("real.tar", &two),
        Member::symlink("c/layer.tar", "../real.tar"),
        Member::file("1.json", config(&[&one])),
        Member::file("2.json", config(&[&one, &two])),
        Member::file("repositories", "{}"),
        Member::file("manifest.json", list.to_string()),
    ]);
    drop(scratch.file("older.tar", &bytes));
    bytes
}

#[test]
fn older_docker_archives_are_read_with_links_and_several_images() {
    let scratch = fresh();
    let archive = docker(&scratch, &older(&scratch)).expect("an archive");
    let names: Vec<_> = archive.names().expect("a listing").into_iter().map(|(name, _)| name).collect();
    let full = ["docker.io/library/one:1", "localhost/one:also"].map(tag);
    assert_eq!(names, [full[0].clone(), full[1].clone(), Name::Untagged]);
    for (asked, layers) in
        [(by_tag("one:1"), 1), (by_tag("localhost/one:also"), 1), (Selector::At(0), 1), (Selector::At(2), 2)]
    {
        let root = archive.resolve(&asked).expect("it is there").remove(0);
        assert_eq!(root.media_type.as_str(), DOCKER_MANIFEST);
        assert_eq!(reached(&archive, &root).len(), layers + 2);
        same(&archive, &archive, &root);
    }
    assert_eq!(kind(archive.resolve(&Selector::Only)), Some(Kind::Usage));
    assert_eq!(kind(archive.resolve(&by_tag("two"))), Some(Kind::NotFound));
}

#[test]
fn the_manifest_that_is_made_is_always_the_same() {
    let scratch = fresh();
    let root = |bytes: &[u8]| {
        let archive = docker(&scratch, bytes).expect("an archive");
        archive.resolve(&Selector::At(2)).expect("there").remove(0)
    };
    let plain = older(&scratch);
    assert_eq!(root(&plain), root(&image::zstd(&plain)));
    let archive = docker(&scratch, &plain).expect("an archive");
    let bytes = read(&archive, &root(&plain)).expect("made");
    let manifest = Document::<Manifest>::open(bytes, root(&plain)).expect("a manifest");
    let [one, two] = layers();
    let digests: Vec<_> = manifest.layers.iter().map(|layer| layer.digest.to_string()).collect();
    assert_eq!(digests, [image::sha256(&one), image::sha256(&two)]);
    let kinds: Vec<_> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
    assert_eq!(kinds, ["application/vnd.docker.image.rootfs.diff.tar"; 2]);
}

#[test]
fn a_layer_of_an_older_archive_proves_itself_by_its_diff_id() {
    let scratch = fresh();
    let mut bytes = older(&scratch);
    let content =
        bytes.windows(4).position(|window| window == b"1\0\0\0").expect("content of a file of a layer");
    bytes[content] = b'X';
    let archive = docker(&scratch, &bytes).expect("names are whole");
    let root = archive.resolve(&by_tag("one:1")).expect("there").remove(0);
    let sink = Layout::create(scratch.path("copy"), &Options::default()).expect("made");
    let refused = reached(&archive, &root).into_iter().filter_map(|blob| {
        let origin = archive.origin(&blob).expect("there");
        kind(sink.put(&blob, &*origin, &Hints::default()))
    });
    assert_eq!(refused.collect::<Vec<_>>(), [Kind::Integrity]);
}

#[test]
fn compressed_layers_of_a_docker_archive_are_named_by_their_bytes() {
    let scratch = fresh();
    let archive =
        docker(&scratch, &Image::of(&layers(), Packing::Zstd).docker_archive()).expect("an archive");
    let blobs = reached(&archive, &only(&archive));
    let names: Vec<_> = blobs.iter().map(|blob| blob.media_type.as_str().rsplit('.').next()).collect();
    assert_eq!(names[1..3], [Some("zstd"), Some("zstd")]);
    is_whole(&scratch, &archive);
}

#[test]
fn j4_members_that_manifest_json_names_never_lead_out() {
    for (field, value) in [
        ("Config", json!("../../../etc/passwd")),
        ("Config", json!("/etc/passwd")),
        ("Layers", json!(["../../etc/passwd"])),
        ("Layers", json!(["absent"])),
        ("Layers", json!([])),
        ("Layers", json!(["manifest.json", "manifest.json", "manifest.json"])),
    ] {
        let scratch = fresh();
        let bytes = Image::of(&layers(), Packing::Plain).docker_members(move |mut list| {
            list[0][field] = value;
            Text::Value(list)
        });
        assert_eq!(kind(docker(&scratch, &bytes)), Some(Kind::Integrity), "{field}");
    }
}

#[test]
fn manifest_json_is_strict() {
    for text in [
        "",
        "{}",
        "null",
        "[{}]",
        r#"[{"Config":"a","Config":"a","Layers":[]}]"#,
        r#"[{"config":"a","layers":[]}]"#,
    ] {
        let bytes = Image::new().docker_members(move |_| Text::Raw(text.into()));
        assert_eq!(kind(docker(&fresh(), &bytes)), Some(Kind::Integrity), "{text}");
    }
    let without = tar([Member::file("x.json", "{}")]);
    let fault = docker(&fresh(), &without).expect_err("nothing lists the images");
    assert!(matches!(fault.downcast_ref(), Some(Error::Incomplete { missing: "manifest.json", .. })));
}

fn docker_of(scratch: &Scratch, roots: &[(Name, Descriptor)], source: &dyn Catalog) -> DockerArchive {
    let sink = DockerArchive::create(scratch.path("d.tar"), &options(scratch)).expect("made");
    copy(source, Box::new(sink), roots);
    DockerArchive::open(scratch.path("d.tar"), &options(scratch)).expect("an archive")
}

/// What `manifest.json` of an archive says.
fn list_in(archive: &Path) -> Value {
    let text = testkit::Command::new("tar").arg("xOf").arg(archive).arg("manifest.json").ok().out();
    serde_json::from_str(&text).expect("a document")
}

#[test]
fn todays_docker_archive_gives_the_original_bytes_and_names_back() {
    let scratch = fresh();
    fixture().write(&scratch.path("l"));
    let layout = Layout::open(scratch.path("l"), &Options::default()).expect("a layout");
    let root = only(&layout);
    let roots = [("app", root.clone()), ("app:2", root.clone()), ("host.example:5000/x/y:z", root.clone())];
    let archive = docker_of(&scratch, &roots.map(|(name, root)| (tag(name), root)), &layout);
    same(&layout, &archive, &root);
    let list = list_in(&scratch.path("d.tar"));
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    let full = ["docker.io/library/app:latest", "docker.io/library/app:2", "host.example:5000/x/y:z"];
    assert_eq!(list[0]["RepoTags"], json!(full));
    for name in full {
        assert_eq!(archive.resolve(&by_tag(name)).expect("by its name")[0].digest, root.digest);
    }
    for bad in ["APP", "a b", ""] {
        let sink = DockerArchive::create(scratch.path("bad.tar"), &options(&scratch)).expect("made");
        let sample = Sample::new("x");
        sample.put(&sink);
        assert_eq!(kind(Box::new(sink).finish(&[(tag(bad), sample.root)])), Some(Kind::Usage), "{bad}");
        assert!(!scratch.path("bad.tar").exists());
    }
}

#[test]
fn of_an_index_manifest_json_names_the_first_image_that_is_whole() {
    let scratch = fresh();
    let (absent, there) = (Sample::new("absent"), Sample::new("there"));
    let index = orlop_spec::Index::new(vec![absent.root.clone(), there.root.clone()]);
    let kind = orlop_spec::MediaType::new(orlop_spec::media_type::OCI_INDEX);
    let index = Document::print(index, kind, orlop_spec::Algorithm::Sha256);
    let sink = DockerArchive::create(scratch.path("d.tar"), &options(&scratch)).expect("made");
    there.put(&sink);
    sink.put(index.descriptor(), &index.raw().to_vec(), &Hints::default()).expect("right");
    Box::new(sink).finish(&[(tag("x"), index.descriptor().clone())]).expect("published");
    let config = there.blobs[2].0.digest.encoded();
    assert_eq!(list_in(&scratch.path("d.tar"))[0]["Config"], json!(format!("blobs/sha256/{config}")));
    let archive = DockerArchive::open(scratch.path("d.tar"), &options(&scratch)).expect("an archive");
    assert_eq!(only(&archive).digest, index.descriptor().digest, "the whole index comes back");
}

#[test]
fn an_older_archive_is_kept_in_todays_form() {
    let scratch = fresh();
    let archive = docker(&scratch, &older(&scratch)).expect("an archive");
    let root = archive.resolve(&Selector::At(2)).expect("there").remove(0);
    archive.assign(&tag("two"), &root).expect("written anew");
    let anew = DockerArchive::open(scratch.path("a.tar"), &options(&scratch)).expect("an archive");
    assert_eq!(anew.resolve(&by_tag("two:latest")).expect("named")[0].digest, root.digest);
    same(&archive, &anew, &root);
    assert_eq!(anew.names().expect("a listing").len(), 3, "the untagged image took the name");
}

fn exploded(scratch: &Scratch) -> Exploded {
    let sink = Exploded::create(scratch.path("dir"), &Limits::default()).expect("made");
    let sample = Sample::new("x");
    sample.put(&sink);
    Box::new(sink).finish(&[(Name::Untagged, sample.root)]).expect("published");
    Exploded::open(scratch.path("dir"), &Limits::default()).expect("a dir:")
}

#[test]
fn a_dir_that_is_none_is_refused() {
    for (file, content, kind) in [
        ("version", "Directory Transport Version: 2.0\n", Kind::Other),
        ("manifest.json", "{", Kind::Integrity),
        ("manifest.json", "{}", Kind::Integrity),
    ] {
        let scratch = fresh();
        drop(exploded(&scratch));
        fs::write(scratch.path("dir").join(file), content).expect("written");
        assert_eq!(
            self::kind(Exploded::open(scratch.path("dir"), &Limits::default())),
            Some(kind),
            "{content}"
        );
    }
    let scratch = fresh();
    scratch.file("mine", "precious");
    let fault = Exploded::create(scratch.root(), &Limits::default()).expect_err("it is not empty");
    assert!(matches!(fault.downcast_ref(), Some(Error::Occupied { .. })));
    assert!(scratch.path("mine").exists());
}

#[test]
fn a_dir_that_is_replaced_keeps_files_of_others() {
    let scratch = fresh();
    drop(exploded(&scratch));
    scratch.file("dir/notes", "mine");
    scratch.file("dir/signature-1", "of the old image");
    let sample = Sample::new("new");
    let sink = Exploded::create(scratch.path("dir"), &Limits::default()).expect("there");
    sample.put(&sink);
    Box::new(sink).finish(&[(Name::Untagged, sample.root.clone())]).expect("published");
    assert!(scratch.path("dir/notes").exists() && !scratch.path("dir/signature-1").exists());
    let old = Sample::new("x").blobs[1].0.digest.encoded();
    assert!(!scratch.path("dir").join(old).exists(), "blobs of the old image go");
    sample.check(&Exploded::open(scratch.path("dir"), &Limits::default()).expect("a dir:"));
}

#[test]
fn a_dir_holds_one_image_and_no_name() {
    let (scratch, one, two) = (fresh(), Sample::new("1"), Sample::new("2"));
    for roots in [
        vec![(Name::Untagged, one.root.clone()), (Name::Untagged, two.root.clone())],
        vec![(tag("1"), one.root.clone())],
    ] {
        let sink = Exploded::create(scratch.path("dir"), &Limits::default()).expect("made");
        one.put(&sink);
        two.put(&sink);
        assert_eq!(kind(Box::new(sink).finish(&roots)), Some(Kind::Usage));
        assert!(!scratch.path("dir").exists());
    }
}

#[test]
fn j5_file_names_of_a_dir_do_not_confuse_algorithms() {
    let (scratch, sample) = (fresh(), Sample::new("x"));
    let hex = sample.blobs[1].0.digest.encoded();
    let mut odd = sample.blobs[1].0.clone();
    odd.digest = AnyDigest::Other(format!("sha256+x:{hex}").into());
    let carrier = sample.with_layer(odd.clone(), b"y");
    let sink = Exploded::create(scratch.path("dir"), &Limits::default()).expect("made");
    carrier.put(&sink);
    Box::new(sink).finish(&[(Name::Untagged, carrier.root.clone())]).expect("published");
    let dir = Exploded::open(scratch.path("dir"), &Limits::default()).expect("a dir:");
    assert_eq!(read(&dir, &odd).expect("carried"), b"y");
    carrier.check(&dir);
}
