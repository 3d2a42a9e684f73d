//! Layouts that are odd, damaged or hostile (`hostile-inputs` items 1 to 7, 14, 20, 25 to 29, 32, J1 to J5).

use orlop_layer::Time;
use orlop_spec::media_type::{MediaType, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use orlop_spec::port::{
    Catalog, Hints, Keeper as _, LocalFile, Name, Origin, Put, Result, Selector, Sink as _, Source as _,
    Sweep, Transfer,
};
use orlop_spec::{Algorithm, AnyDigest, Cancelled, Descriptor, Document, Fault, Index, Kind, Limits};
use orlop_store::{Error, Layout, Options};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::Scratch;
use testkit::image::{self, Image, Packing};
use testkit::scratch::scratch_in_memory as fresh;
use testkit::suites::copy::{by_tag, copy, only, reached, same, tag};
use testkit::suites::{Sample, describe, read};
use testkit::tarball::{Member, tar};

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// By this clock everything was made long ago.
fn options() -> Options {
    Options { now: Time::from_seconds(4_102_444_800), ..Options::default() }
}

fn image() -> Image {
    Image::of(&[tar([Member::file("a", "1")])], Packing::Gzip)
}

/// Writes a layout and opens it.
fn opened(scratch: &Scratch, layout: &image::Layout) -> Result<Layout> {
    let folder = scratch.path("layout");
    layout.write(&folder);
    Layout::open(folder, &options())
}

fn right(scratch: &Scratch, layout: &image::Layout) -> Layout {
    opened(scratch, layout).expect("a layout that can be opened")
}

fn kind<T>(outcome: Result<T>) -> Option<Kind> {
    outcome.err().map(|fault| fault.kind())
}

fn sweep(layout: &Layout) -> Result<orlop_spec::port::Swept> {
    layout.sweep(Duration::ZERO, Sweep::Remove)
}

#[test]
fn item_1_a_missing_part_is_named() {
    for part in ["oci-layout", "index.json", "blobs"] {
        let scratch = fresh();
        image().layout().write(&scratch.path("layout"));
        let path = scratch.path("layout").join(part);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("it was there");
        let fault = Layout::open(scratch.path("layout"), &options()).expect_err("it is no layout");
        assert!(matches!(fault.downcast_ref(), Some(Error::Incomplete { missing, .. }) if *missing == part));
        assert_eq!(fault.kind(), Kind::Integrity);
    }
}

#[test]
fn item_1_the_marker_must_be_understood() {
    for (marker, is_read) in [
        (r#"{"imageLayoutVersion":"1.0.0"}"#, true),
        (r#"{"imageLayoutVersion":"1.1.0","more":[]}"#, true),
        (r#"{"imageLayoutVersion":"2.0.0"}"#, false),
        (r#"{"imageLayoutVersion":1}"#, false),
        ("{}", false),
        ("[]", false),
        ("", false),
        ("{", false),
    ] {
        let mut layout = image().layout();
        layout.put("oci-layout", marker);
        assert_eq!(opened(&fresh(), &layout).is_ok(), is_read, "{marker}");
    }
}

#[test]
fn item_2_a_flipped_bit_is_refused_wherever_it_is() {
    let whole = image().layout();
    for path in [whole.manifest_path(), whole.config_path(), whole.layer_path(0)] {
        let scratch = fresh();
        let damaged = right(&scratch, &whole.clone().edit(&path, |bytes| bytes[5] ^= 1));
        let root = only(&right(&fresh(), &whole));
        let sink = Layout::create(scratch.path("copy"), &options()).expect("made");
        let digest: AnyDigest = path["blobs/".len()..].replacen('/', ":", 1).parse().expect("a digest");
        let blobs = reached(&right(&fresh(), &whole), &root);
        let blob = blobs.iter().find(|blob| blob.digest == digest).expect("the image has it");
        let origin = damaged.origin(blob).expect("it is there");
        assert_eq!(kind(sink.put(blob, &*origin, &Hints::default())), Some(Kind::Integrity), "{path}");
        drop(sink);
        assert!(!scratch.path("copy").exists(), "a writer that gives up takes its layout back");
    }
}

#[test]
fn item_2_j4_names_that_are_no_digests_never_become_paths() {
    for digest in ["sha256:../../../../etc/passwd", "sha256/../x:aa", "sha256:AA", "../x:ab", "sha256:ab"] {
        let layout = image().index(move |mut index| {
            index["manifests"][0]["digest"] = digest.into();
            index
        });
        let scratch = fresh();
        let layout = right(&scratch, &layout.layout());
        for selector in [Selector::Only, Selector::At(0), Selector::Tag("latest".into())] {
            let fault = layout.resolve(&selector).expect_err(digest);
            assert!(
                matches!(fault.downcast_ref(), Some(Error::Unreadable { .. })),
                "{digest}, {selector}: {fault}"
            );
        }
    }
}

#[test]
fn item_3_a_blob_may_be_in_a_second_folder() {
    let (scratch, whole) = (fresh(), image().layout());
    let layer = whole.layer_path(0);
    let bytes = whole.files[&layer].clone();
    let sparse = right(&scratch, &whole.clone().without(&layer));
    let root = only(&sparse);
    assert_eq!(sparse.names().expect("a listing").len(), 1);
    let missing = reached(&sparse, &root).into_iter().find(|blob| read(&sparse, blob).is_err());
    let fault = read(&sparse, &missing.expect("the layer")).expect_err("it is missing");
    assert!(matches!(fault.downcast_ref(), Some(Error::BlobMissing { path, .. }) if path.ends_with(&layer)));
    let shared = scratch.path("shared").join(layer.strip_prefix("blobs/").expect("a blob"));
    fs::create_dir_all(shared.parent().expect("a folder")).expect("made");
    fs::write(shared, bytes).expect("written");
    let options = Options { shared_blobs: Some(scratch.path("shared")), ..options() };
    let both = Layout::open(sparse.path(), &options).expect("a layout");
    let sink = Layout::create(scratch.path("copy"), &self::options()).expect("made");
    copy(&both, Box::new(sink), &[(tag("1"), root.clone())]);
    same(&both, &Layout::open(scratch.path("copy"), &self::options()).expect("a layout"), &root);
    assert_eq!(sweep(&sparse).expect("a sparse layout is swept").removed, []);
}

#[test]
fn item_4_28_unknown_types_are_listed_and_kept() {
    let (scratch, mut layout) = (fresh(), image().layout());
    let odd = layout.add("application/x", b"not JSON at all".to_vec());
    let mut index = layout.index();
    index["manifests"].as_array_mut().expect("a list").push(odd);
    layout.put("index.json", index.to_string());
    let layout = right(&scratch, &layout);
    let names = layout.names().expect("a listing");
    assert_eq!(names[1].1.media_type.as_str(), "application/x");
    assert_eq!(sweep(&layout).expect("nothing is damaged").removed, []);
    assert_eq!(read(&layout, &names[1].1).expect("kept"), b"not JSON at all");
    assert_eq!(layout.resolve(&Selector::At(1)).expect("by position").len(), 1);
}

/// An index of some manifests as one more blob of the layout, which alone has the tag.
fn under_an_index(layout: &mut image::Layout, manifests: &serde_json::Value) {
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": image::INDEX, "manifests": manifests});
    let mut root = layout.add(image::INDEX, index.to_string().into_bytes());
    root["annotations"] = serde_json::json!({REF_NAME: "outer"});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [root]});
    layout.put("index.json", index.to_string());
}

#[test]
fn item_5_a_name_inside_a_nested_index_is_no_tag() {
    let (scratch, mut layout) = (fresh(), image().layout());
    let inner = layout.index()["manifests"].clone();
    let digest = inner[0]["digest"].as_str().expect("a digest").to_owned();
    under_an_index(&mut layout, &inner);
    let layout = right(&scratch, &layout);
    assert_eq!(kind(layout.resolve(&by_tag("latest"))), Some(Kind::NotFound));
    let by_digest = layout.resolve(&Selector::Digest(digest.parse().expect("a digest")));
    assert_eq!(by_digest.expect("nested, but by its digest")[0].media_type.as_str(), OCI_MANIFEST);
}

#[test]
fn item_6_one_tag_twice_is_refused_in_both_orders() {
    for reversed in [false, true] {
        let layout = image().index(move |mut index| {
            let mut other = index["manifests"][0].clone();
            other["digest"] = format!("sha256:{}", "0".repeat(64)).into();
            let list = index["manifests"].as_array_mut().expect("a list");
            if reversed {
                list.insert(0, other);
            } else {
                list.push(other);
            }
            index
        });
        let scratch = fresh();
        let layout = right(&scratch, &layout.layout());
        let fault = layout.resolve(&by_tag("latest")).expect_err("two different images");
        assert!(matches!(fault.downcast_ref(), Some(Error::Ambiguous { count: 2, .. })));
    }
}

#[test]
fn item_7_umocis_empty_index_is_read_and_gets_its_media_type() {
    let (scratch, mut layout) = (fresh(), image().layout());
    layout.put("index.json", r#"{"schemaVersion":2,"manifests":null}"#);
    let path = right(&scratch, &layout).path().to_owned();
    Sample::new("x").publish(&InFolder(path.clone()), &tag("x"));
    let index = fs::read_to_string(path.join("index.json")).expect("text");
    assert!(index.contains(r#""mediaType":"application/vnd.oci.image.index.v1+json""#), "{index}");
}

struct InFolder(std::path::PathBuf);

impl testkit::suites::Place for InFolder {
    fn sink(&self) -> Result<Box<dyn orlop_spec::port::Sink + '_>> {
        Ok(Box::new(Layout::create(&self.0, &options())?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(Layout::open(&self.0, &options())?))
    }
}

#[test]
fn item_14_urls_are_never_opened() {
    let secret = fresh();
    let file = secret.file("secret", "secret");
    let url = format!("file://{}", file.display());
    let layout = image().manifest(move |mut manifest| {
        manifest["layers"][0]["urls"] = serde_json::json!([url]);
        manifest["layers"][0]["digest"] = image::sha256(b"secret").into();
        manifest["layers"][0]["size"] = 6.into();
        manifest
    });
    let scratch = fresh();
    let layout = right(&scratch, &layout.layout());
    let layer = reached(&layout, &only(&layout)).into_iter().find(|blob| !blob.urls.is_empty());
    let fault = read(&layout, &layer.expect("the layer")).expect_err("it is not in the layout");
    assert!(matches!(fault.downcast_ref(), Some(Error::BlobMissing { .. })));
}

#[test]
fn item_20_21_an_artifact_of_unknown_types_is_copied_bit_for_bit() {
    let layout = Image::new()
        .layer(image::Layer {
            blob: b"{broken".to_vec(),
            media_type: "application/y".into(),
            diff_id: String::new(),
        })
        .config(|_| "{also broken".to_owned())
        .manifest(|mut manifest| {
            manifest["artifactType"] = "application/x.artifact".into();
            manifest["config"]["mediaType"] = "application/x.config".into();
            manifest["odd"] = serde_json::json!({"kept": [1.50, null]});
            format!("  {manifest:#}\n")
        });
    let (scratch, copied) = (fresh(), fresh());
    let source = right(&scratch, &layout.layout());
    let root = only(&source);
    copy(
        &source,
        Box::new(Layout::create(copied.path("l"), &options()).expect("made")),
        &[(tag("a"), root.clone())],
    );
    let copied = Layout::open(copied.path("l"), &options()).expect("a layout");
    assert_eq!(same(&source, &copied, &root), 3);
    assert_eq!(sweep(&copied).expect("a sound layout").removed, []);
}

#[test]
fn item_25_an_empty_index_is_an_image_without_platforms() {
    let (scratch, mut layout) = (fresh(), image().layout());
    under_an_index(&mut layout, &serde_json::json!([]));
    let layout = right(&scratch, &layout);
    assert_eq!(reached(&layout, &only(&layout)).len(), 1);
    let mut none = image().layout();
    none.put("index.json", r#"{"schemaVersion":2,"manifests":[]}"#);
    let scratch = fresh();
    let fault = right(&scratch, &none).resolve(&Selector::Only).expect_err("there is nothing");
    assert!(matches!(fault.downcast_ref(), Some(Error::Empty { .. })) && fault.kind() == Kind::NotFound);
}

/// A tower of indexes on an image; the root's descriptor.
fn tower(place: &InFolder, sample: &Sample, height: usize) -> Descriptor {
    let sink = Layout::create(&place.0, &options()).expect("made");
    sample.put(&sink);
    let mut root = sample.root.clone();
    for _ in 0..height {
        let index = Document::print(Index::new(vec![root]), MediaType::new(OCI_INDEX), Algorithm::Sha256);
        root = index.descriptor().clone();
        sink.put(&root, &index.raw().to_vec(), &Hints::default()).expect("a right index");
    }
    Box::new(sink).finish(&[(tag("tower"), root.clone())]).expect("published");
    root
}

#[test]
fn item_29_j3_nested_indexes_work_and_a_chain_ends_soon() {
    let (scratch, sample) = (fresh(), Sample::new("ground"));
    let place = InFolder(scratch.path("low"));
    tower(&place, &sample, 3);
    let low = Layout::open(&place.0, &options()).expect("a layout");
    let ground = low.resolve(&Selector::Digest(sample.root.digest.clone())).expect("three floors down");
    assert_eq!(ground[0].digest, sample.root.digest);
    assert_eq!(sweep(&low).expect("a sound layout").removed, []);
    let place = InFolder(scratch.path("high"));
    tower(&place, &sample, if testkit::full() { 10_000 } else { 1_000 });
    let high = Layout::open(&place.0, &options()).expect("a layout");
    let began = Instant::now();
    assert_eq!(kind(sweep(&high)), Some(Kind::Limit), "what lies deeper cannot be known, so nothing goes");
    assert!(began.elapsed() < Duration::from_secs(1));
    sample.check(&high);
}

#[test]
fn j1_a_document_that_is_two_things_stops_a_sweep() {
    let layout = image().manifest(|mut manifest| {
        manifest["manifests"] = serde_json::json!([]);
        manifest
    });
    let (scratch, layout) = (fresh(), layout.layout());
    let layout = right(&scratch, &layout);
    assert_eq!(kind(sweep(&layout)), Some(Kind::Integrity));
}

#[test]
fn j2_index_json_is_strict() {
    for text in [
        r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#,
        "\u{feff}{\"schemaVersion\":2,\"manifests\":[]}",
        r#"{"schemaVersion":2,"Manifests":[]}"#,
        r#"{"schemaVersion":1,"manifests":[]}"#,
        r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
        "",
        "null",
    ] {
        let mut layout = image().layout();
        layout.put("index.json", text);
        assert_eq!(kind(opened(&fresh(), &layout)), Some(Kind::Integrity), "{text}");
    }
}

#[test]
fn j3_a_huge_index_exceeds_a_limit_that_can_be_raised() {
    let scratch = fresh();
    let layout = image().index(|mut index| {
        let entry = index["manifests"][0].clone();
        index["manifests"] = serde_json::json!(vec![entry; 20_000]);
        index
    });
    assert_eq!(kind(opened(&scratch, &layout.layout())), Some(Kind::Limit));
    let raised = Options { limits: Limits { document: 64 << 20, ..Limits::default() }, ..options() };
    let layout = Layout::open(scratch.path("layout"), &raised).expect("allowed now");
    assert_eq!(layout.resolve(&Selector::Only).expect("one image, many times").len(), 1);
}

#[test]
fn j5_one_content_under_two_algorithms_is_two_blobs() {
    let scratch = fresh();
    let sink = Layout::create(scratch.path("l"), &options()).expect("made");
    let content = b"content".to_vec();
    let [short, long] =
        [Algorithm::Sha256, Algorithm::Sha512].map(|algorithm| describe(OCI_LAYER, algorithm, &content));
    let mut odd = short.clone();
    odd.digest = AnyDigest::Other(format!("sha256+x:{}", short.digest.encoded()).into());
    for blob in [&odd, &short, &long] {
        let put = sink.put(blob, &content, &Hints::default()).expect("right by what can be known");
        assert_eq!(put, Put::Copied, "{} is held by another's name", blob.digest);
    }
    for folder in ["sha256", "sha512", "sha256+x"] {
        assert_eq!(fs::read_dir(scratch.path("l/blobs").join(folder)).expect("a folder").count(), 1);
    }
}

#[test]
fn j5_weak_algorithms_are_listed_and_prove_nothing() {
    let layout = image().index(|mut index| {
        index["manifests"][0]["digest"] = "md5:d41d8cd98f00b204e9800998ecf8427e".into();
        index
    });
    let scratch = fresh();
    let layout = right(&scratch, &layout.layout());
    assert!(matches!(only(&layout).digest, AnyDigest::Other(_)));
    let digest = "md5:d41d8cd98f00b204e9800998ecf8427e".parse().expect("fits the grammar");
    assert_eq!(layout.resolve(&Selector::Digest(digest)).expect("an entry by its name").len(), 1);
}

/// Published base images keep blobs as links to files of the layout.
#[test]
fn blobs_may_be_links_within_the_layout() {
    let (scratch, mut layout) = (fresh(), image().layout());
    let layer = layout.layer_path(0);
    let bytes = layout.files.remove(&layer).expect("the layer");
    layout.put("rootfs.tar.gz", bytes);
    layout.links.insert(layer.clone(), "../../rootfs.tar.gz".into());
    let source = right(&scratch, &layout);
    let root = only(&source);
    let sink = Layout::create(scratch.path("copy"), &options()).expect("made");
    copy(&source, Box::new(sink), &[(tag("1"), root.clone())]);
    same(&source, &Layout::open(scratch.path("copy"), &options()).expect("a layout"), &root);
    source.forget(&Selector::Only).expect("one image");
    sweep(&source).expect("a sound layout");
    assert!(source.path().join("rootfs.tar.gz").exists(), "a sweep follows no link");
    assert!(source.path().join(layer).is_symlink(), "and removes none");
}

#[test]
fn p1_a_blob_that_is_a_link_out_of_the_layout_is_refused() {
    for target in ["../../../secret", "/etc/passwd"] {
        let (scratch, mut layout) = (fresh(), image().layout());
        scratch.file("secret", "secret");
        let layer = layout.layer_path(0);
        layout.files.remove(&layer);
        layout.links.insert(layer, target.into());
        let source = right(&scratch, &layout);
        let blobs = reached(&source, &only(&source));
        assert!(blobs.iter().any(|blob| kind(read(&source, blob)) == Some(Kind::Integrity)), "{target}");
    }
}

#[test]
fn a_sweep_keeps_what_links_lead_to_and_what_is_no_blob() {
    let (scratch, mut layout) = (fresh(), image().layout());
    let lone = layout.add("application/x", b"nobody names this".to_vec())["digest"].clone();
    let pinned = layout.add("application/x", b"only a link leads here".to_vec())["digest"].clone();
    let [lone, pinned] = [lone, pinned].map(|digest| image::blob_path(digest.as_str().expect("a digest")));
    layout.links.insert(format!("blobs/sha256/{}", "a".repeat(64)), pinned["blobs/sha256/".len()..].into());
    layout.put("blobs/sha256/README", "not a digest");
    layout.put("blobs/sha256/.orlop-tmp-abc", "a killed writer's");
    let layout = right(&scratch, &layout);
    let told = layout.sweep(Duration::ZERO, Sweep::DryRun).expect("a sound layout");
    let swept = sweep(&layout).expect("a sound layout");
    assert_eq!((swept.removed.len(), swept.litter), (1, 1));
    assert_eq!(told, swept);
    let is_there = |path: &str| layout.path().join(path).exists();
    assert!(!is_there(&lone) && is_there(&pinned) && is_there("blobs/sha256/README"));
}

#[test]
fn a_sweep_leaves_young_blobs_to_writers_that_know_no_lock() {
    let (scratch, mut layout) = (fresh(), image().layout());
    layout.add("application/x", b"nobody names this".to_vec());
    let path = right(&scratch, &layout).path().to_owned();
    let now = fs::metadata(path.join("index.json")).expect("written").mtime();
    let sweep_at = |seconds| {
        let options = Options { now: Time::from_seconds(now + seconds), ..Options::default() };
        let layout = Layout::open(&path, &options).expect("a layout");
        layout.sweep(Duration::from_secs(3600), Sweep::Remove).expect("a sound layout")
    };
    assert_eq!((sweep_at(3000).young, sweep_at(3000).removed.len()), (1, 0));
    assert_eq!(sweep_at(3700).removed.len(), 1);
}

#[test]
fn a_damaged_blob_that_is_held_is_found_and_replaced() {
    for damage in [&b"a layer that others hAve too"[..], b"cut", b""] {
        let (scratch, sample) = (fresh(), Sample::new("x"));
        let place = InFolder(scratch.path("l"));
        sample.publish(&place, &tag("1"));
        let blob = &sample.blobs[0].0;
        let file = scratch.path("l/blobs/sha256").join(blob.digest.encoded());
        fs::write(&file, damage).expect("written");
        let sink = Layout::create(&place.0, &options()).expect("there");
        let put = sink.put(blob, &sample.blobs[0].1, &Hints::default()).expect("taken again");
        assert_eq!(put, Put::Copied, "damage was taken for the blob");
        drop(sink);
        sample.check(&Layout::open(&place.0, &options()).expect("a layout"));
    }
}

#[test]
fn a_link_is_made_only_when_asked_and_only_of_proven_bytes() {
    let (scratch, sample) = (fresh(), Sample::new("x"));
    sample.publish(&InFolder(scratch.path("one")), &tag("1"));
    let one = Layout::open(scratch.path("one"), &options()).expect("a layout");
    let hints = |transfer| Hints { transfer, ..Hints::default() };
    let links = |name: &str, transfer| {
        let sink = Layout::create(scratch.path(name), &options()).expect("made");
        let blob = &sample.blobs[1].0;
        let put = sink.put(blob, &*one.origin(blob).expect("there"), &hints(transfer)).expect("taken");
        let file = scratch.path(name).join("blobs/sha256").join(blob.digest.encoded());
        (put, fs::metadata(file).expect("there").nlink())
    };
    assert_eq!(links("linked", Transfer::Link), (Put::Linked, 2));
    assert_eq!(links("copied", Transfer::Copy).1, 1);
    let blob = &sample.blobs[1].0;
    fs::write(scratch.path("one/blobs/sha256").join(blob.digest.encoded()), "y").expect("written");
    let sink = Layout::create(scratch.path("bad"), &options()).expect("made");
    let put = sink.put(blob, &*one.origin(blob).expect("there"), &hints(Transfer::Link));
    assert_eq!(kind(put), Some(Kind::Integrity));
}

/// A local blob that counts how often it is asked, and says stop after so many times.
struct Asked<'a> {
    local: &'a Layout,
    blob: &'a Descriptor,
    times: AtomicU64,
    patience: u64,
}

impl Origin for Asked<'_> {
    fn open(&self, _: u64) -> Result<Box<dyn Read + Send + '_>> {
        panic!("a local file is not read as a stream")
    }

    fn local(&self) -> Option<LocalFile> {
        self.local.origin(self.blob).expect("there").local()
    }

    fn check(&self) -> Result<()> {
        let asked = self.times.fetch_add(1, Ordering::Relaxed);
        if asked < self.patience { Ok(()) } else { Err(Cancelled.into()) }
    }
}

#[test]
fn whoever_copies_links_or_proves_a_large_blob_can_be_stopped_at_every_step() {
    const STEPS: u64 = 36;
    let scratch = fresh();
    let content = vec![b'x'; usize::try_from(STEPS << 18).expect("small")];
    let blob = describe(OCI_LAYER, Algorithm::Sha256, &content);
    let filled = |folder: &str| {
        let sink = Layout::create(scratch.path(folder), &options()).expect("made");
        sink.put(&blob, &content, &Hints::default()).expect("taken");
        Box::new(sink).finish(&[]).expect("a layout of blobs only");
        Layout::open(scratch.path(folder), &options()).expect("a layout")
    };
    let (local, held) = (filled("local"), filled("held"));
    for (folder, transfer, expected) in [
        ("copied", Transfer::Copy, [Put::Copied, Put::Linked]),
        ("linked", Transfer::Link, [Put::Linked, Put::Linked]),
        ("held", Transfer::Copy, [Put::Held, Put::Held]),
    ] {
        let put = |patience| {
            let sink = Layout::create(scratch.path(folder), &options()).expect("made");
            let origin = Asked { local: &local, blob: &blob, times: AtomicU64::new(0), patience };
            let put = sink.put(&blob, &origin, &Hints { transfer, ..Hints::default() });
            (put.map_err(|fault| fault.kind()), origin.times.into_inner())
        };
        for patience in [0, STEPS / 2, STEPS - 1] {
            assert_eq!(put(patience).0, Err(Kind::Interrupted), "{folder}");
            assert_eq!(scratch.path(folder).exists(), folder == "held", "something of {folder} was left");
        }
        let (put, times) = put(u64::MAX);
        assert!(expected.contains(&put.expect("whole")) && times >= STEPS, "{folder}: asked {times} times");
    }
    assert!(read(&held, &blob).is_ok());
}

#[test]
fn large_blobs_are_hashed_beside_the_copy_and_refused_all_the_same() {
    let scratch = fresh();
    let mut content: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).take(9 << 20).collect();
    let blob = describe(OCI_LAYER, Algorithm::Sha256, &content);
    let file = |folder: &str| scratch.path(folder).join("blobs/sha256").join(blob.digest.encoded());
    let sink = Layout::create(scratch.path("one"), &options()).expect("made");
    sink.put(&blob, &content, &Hints::default()).expect("taken");
    Box::new(sink).finish(&[]).expect("a layout of blobs only");
    let one = Layout::open(scratch.path("one"), &options()).expect("a layout");
    let put_into = |folder: &str| {
        let sink = Layout::create(scratch.path(folder), &options()).expect("made");
        let put = sink.put(&blob, &*one.origin(&blob).expect("there"), &Hints::default());
        Box::new(sink).finish(&[]).expect("a layout of blobs only");
        put
    };
    put_into("two").expect("the same bytes");
    assert_eq!(fs::read(file("two")).expect("there"), content);
    content[8 << 20] ^= 1;
    fs::write(file("one"), &content).expect("written");
    assert_eq!(kind(put_into("three")), Some(Kind::Integrity));
    assert!(!file("three").exists());
}

#[test]
fn folders_of_other_things_are_never_made_layouts() {
    let scratch = fresh();
    scratch.file("mine", "precious");
    let fault = Layout::create(scratch.root(), &options()).expect_err("it is not empty");
    assert!(matches!(fault.downcast_ref(), Some(Error::Occupied { .. })));
    assert_eq!(fs::read_dir(scratch.root()).expect("a folder").count(), 1);
    assert_eq!(kind(Layout::open(scratch.path("absent"), &options())), Some(Kind::NotFound));
}

#[test]
fn an_empty_folder_and_missing_parents_become_a_layout_or_stay_as_they_were() {
    let scratch = fresh();
    scratch.folder("empty");
    for path in ["empty", "a/b/c"] {
        drop(Layout::create(scratch.path(path), &options()).expect("made"));
        assert_eq!(scratch.path(path).exists(), path == "empty", "what was there stays, what was made goes");
        Sample::new("x").publish(&InFolder(scratch.path(path)), &tag("1"));
    }
}

#[test]
fn what_a_killed_writer_left_is_completed() {
    for parts in [&["blobs"][..], &["blobs", "index.json"], &["blobs/sha256", ".orlop-tmp-x"]] {
        let scratch = fresh();
        let folder = scratch.folder("l");
        for part in parts {
            match *part {
                "index.json" => drop(scratch.file("l/index.json", r#"{"schemaVersion":2,"manifests":[]}"#)),
                part if part.starts_with('.') => drop(scratch.file(&format!("l/{part}"), "half")),
                part => drop(scratch.folder(&format!("l/{part}"))),
            }
        }
        Sample::new("x").publish(&InFolder(folder), &tag("1"));
    }
}

#[test]
fn the_mode_of_index_json_stays() {
    let scratch = fresh();
    let place = InFolder(scratch.path("l"));
    Sample::new("x").publish(&place, &tag("1"));
    let index = place.0.join("index.json");
    fs::set_permissions(&index, fs::Permissions::from_mode(0o600)).expect("ours");
    Sample::new("y").publish(&place, &tag("2"));
    assert_eq!(fs::metadata(&index).expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_image_without_a_name_can_be_had_by_its_digest_until_it_is_swept() {
    let (scratch, sample) = (fresh(), Sample::new("x"));
    let place = InFolder(scratch.path("l"));
    sample.publish(&place, &tag("1"));
    let layout = Layout::open(&place.0, &options()).expect("a layout");
    layout.forget(&by_tag("1")).expect("there");
    let by_digest = Selector::Digest(sample.root.digest.clone());
    let root = layout.resolve(&by_digest).expect("the blob is there").remove(0);
    assert_eq!((root.size, root.media_type.as_str()), (sample.root.size, OCI_MANIFEST));
    let layer = Selector::Digest(sample.blobs[0].0.digest.clone());
    assert!(layout.resolve(&layer).is_err(), "a layer is no image");
    sweep(&layout).expect("a sound layout");
    assert!(layout.resolve(&by_digest).is_err());
}

#[test]
fn item_32_a_thousand_images_keep_their_digests_through_every_form() {
    use orlop_store::{DockerArchive, Exploded, OciArchive, archive};
    let (scratch, count) = (fresh(), if testkit::full() { 1_000 } else { 200 });
    let archives =
        archive::Options { tmpdir: scratch.root().into(), limits: Limits::default(), cancel: None };
    let samples: Vec<_> = (0..count).map(|number| Sample::new(&format!("{number}"))).collect();
    let roots: Vec<(Name, Descriptor)> = (0..)
        .zip(&samples)
        .map(|(number, sample)| (tag(&format!("i{number}")), sample.root.clone()))
        .collect();
    let sink = Layout::create(scratch.path("l"), &options()).expect("made");
    for sample in &samples {
        sample.put(&sink);
    }
    Box::new(sink).finish(&roots).expect("published");
    let layout = Layout::open(scratch.path("l"), &options()).expect("a layout");
    copy(&layout, Box::new(OciArchive::create(scratch.path("o"), &archives).expect("made")), &roots);
    let oci = OciArchive::open(scratch.path("o"), &archives).expect("an archive");
    copy(&oci, Box::new(DockerArchive::create(scratch.path("d"), &archives).expect("made")), &roots);
    let docker = DockerArchive::open(scratch.path("d"), &archives).expect("an archive");
    for (sample, (name, root)) in samples.iter().zip(&roots) {
        let Name::Tag(name) = name else { unreachable!("all have tags") };
        assert_eq!(docker.resolve(&by_tag(name)).expect("by its name")[0].digest, root.digest);
        sample.check(&docker);
    }
    let dir = Exploded::create(scratch.path("x"), &Limits::default()).expect("made");
    copy(&docker, Box::new(dir), &[(Name::Untagged, roots[7].1.clone())]);
    samples[7].check(&Exploded::open(scratch.path("x"), &Limits::default()).expect("a dir:"));
}

/// A link in place of a folder could lead writes elsewhere.
#[test]
fn p4_a_folder_of_blobs_that_is_a_link_is_refused() {
    let scratch = fresh();
    let place = InFolder(scratch.path("l"));
    Sample::new("x").publish(&place, &tag("1"));
    scratch.folder("elsewhere");
    fs::remove_dir_all(place.0.join("blobs/sha256")).expect("ours");
    symlink(Path::new("../../elsewhere"), place.0.join("blobs/sha256")).expect("made");
    let sink = Layout::create(&place.0, &options()).expect("there");
    let blob = describe(OCI_LAYER, Algorithm::Sha256, b"abc");
    let put: Result<Put, Fault> = sink.put(&blob, &b"abc".to_vec(), &Hints::default());
    assert!(put.is_err());
    assert_eq!(fs::read_dir(scratch.path("elsewhere")).expect("a folder").count(), 0);
}

/// LXC's template makes such layouts, to share blobs among them.
#[test]
fn p4_a_folder_of_blobs_that_is_a_link_is_read_through_and_not_swept() {
    let scratch = fresh();
    let place = InFolder(scratch.path("l"));
    let sample = Sample::new("x");
    sample.publish(&place, &tag("1"));
    let (folder, shared) = (place.0.join("blobs/sha256"), scratch.path("shared"));
    fs::rename(&folder, &shared).expect("moved");
    symlink(&shared, &folder).expect("made");
    let layout = Layout::open(&place.0, &options()).expect("a layout");
    sample.check(&layout);
    let count = || fs::read_dir(&shared).expect("a folder").count();
    let before = count();
    layout.forget(&Selector::Only).expect("one image");
    sweep(&layout).expect("a sound layout");
    assert_eq!(count(), before, "the blobs are others' too");
    let blob = describe(OCI_LAYER, Algorithm::Sha256, b"secret");
    scratch.file("secret", "secret");
    symlink(scratch.path("secret"), shared.join(blob.digest.encoded())).expect("made");
    let opened = layout.origin(&blob).and_then(|origin| origin.open(0).map(drop));
    assert!(opened.is_err(), "a blob that is a link out of there");
}
