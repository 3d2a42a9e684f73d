//! A stranger adds a place in memory (`testkit::suites::memory`), and every verb that looks, moves, makes and opens
//! works on it, because no verb knows what a place is.

use orlop::build::{Build, Form, Input, build};
use orlop::copy::{Copy, copy, foresee};
use orlop::family::family;
use orlop::fs::owner::Owner;
use orlop::fs::privilege::Privileges;
use orlop::fs::staging::{Detail, Durable, Existing};
use orlop::fs::{Dir, File};
use orlop::hashed::Hashed;
use orlop::image::Image;
use orlop::inspect::{self, Wanted};
use orlop::layer::TreePath;
use orlop::referrers::Referrers;
use orlop::spec::descriptor::Annotations;
use orlop::spec::edit::Edit;
use orlop::spec::media_type::{MediaType, OCI_EMPTY, OCI_MANIFEST};
use orlop::spec::port::{Keeper, Name, Result, Selector, Sink};
use orlop::spec::{Algorithm, Cancel, Context, Document, Limits, Manifest, Platform, runtime};
use orlop::sync::{Sync, Target, sync};
use orlop::trees::{FolderTree, Reading, TreeSource as _};
use orlop::unpack::{Unpack, bundle, unpack};
use orlop::{cat, compress, diff, du, files, validate};
use std::num::NonZeroUsize;
use testkit::scratch::{Scratch, scratch};
use testkit::suites::memory::Memory;
use testkit::suites::{Place as _, put, put_document};

const TAG: &str = "one";

#[test]
fn every_verb_works_on_a_place_in_memory() {
    let (cancel, limits) = (Cancel::new(), Limits::default());
    let workers = NonZeroUsize::new(2).expect("two");
    let cx = Context { observer: &(), cancel: &cancel, limits: &limits, workers };
    let scratch = scratch();
    scratch.folder("tree/etc");
    scratch.folder("tree/bin");
    scratch.file("tree/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    scratch.file("tree/bin/sh", "not a shell");

    let memory = Memory::default();
    make(&cx, &scratch, &memory);
    look(&cx, &scratch, &memory);
    let elsewhere = Memory::default();
    move_to(&cx, &memory, &elsewhere);
    open(&cx, &scratch, &elsewhere);
    sign(&memory);
    go_along(&cx, &memory);
    become_equal(&cx, &memory);
}

fn selector() -> Selector {
    Selector::Tag(TAG.into())
}

fn platform() -> Platform {
    Platform::new("linux", "amd64", None)
}

fn owner() -> Owner {
    if Privileges::current().chown { Owner::Exact } else { Owner::Squash }
}

fn make(cx: &Context<'_>, scratch: &Scratch, memory: &Memory) {
    let (tree, reading) = (FolderTree::open(&scratch.path("tree")).expect("it is there"), Reading::default());
    let entries = tree.entries(cx, &reading).expect("it can be read");
    let edit = Edit { cmd: Some(vec!["/bin/sh".into()]), ..Edit::default() };
    let image = Build {
        base: None,
        platform: platform(),
        inputs: vec![Input::new("tree".into(), entries)],
        edit,
        annotations: Annotations::new(),
        dialect: None,
    };
    let sink = memory.sink().expect("memory is there");
    build(cx, vec![image], &Form::default(), sink, &[Name::Tag(TAG.into())]).expect("a small tree is built");
}

fn look(cx: &Context<'_>, scratch: &Scratch, memory: &Memory) {
    let catalog = memory.catalog().expect("memory is there");
    let wanted = platform();
    let seen =
        inspect::inspect(cx, &*catalog, &selector(), Wanted::Asked(&wanted)).expect("it was published");
    assert!(seen.config.is_some());
    let verdict = validate::place(cx, &*catalog).expect("it can be read");
    assert_eq!((verdict.blobs, verdict.problems), (3, Vec::new()));

    let image = Image::fetch(cx, &*catalog, &selector(), &wanted).expect("it was published");
    assert_eq!(files::files(cx, &image, b"").expect("proven").iter().count(), 5);
    assert_eq!(du::usage(cx, &image).expect("proven").len(), 1);
    let spool: File = Dir::open(scratch.root()).expect("there").spool().expect("room for a file");
    let mut content = Vec::new();
    cat::cat(cx, &image, b"bin/sh", cat::Proof::First(spool), &mut content).expect("it holds the file");
    assert_eq!(content, b"not a shell");

    let reading = Reading::default();
    let tree = FolderTree::open(&scratch.path("tree")).expect("it is there");
    let mut entries = tree.entries(cx, &reading).expect("it can be read");
    let folder = Hashed::of_entries(cx, &mut entries).expect("it can be read");
    let merged = Hashed::of_image(cx, &image).expect("proven");
    assert_eq!(diff::trees(&folder, &merged), []);
}

fn move_to(cx: &Context<'_>, memory: &Memory, elsewhere: &Memory) {
    let catalog = memory.catalog().expect("memory is there");
    let roots = catalog.names().expect("memory is there");
    let how = Copy::default();
    let copied = copy(cx, &*catalog, &roots, elsewhere.sink().expect("there"), &how).expect("it fits");
    assert_eq!(copied.roots, [roots[0].1.clone()]);
    assert_eq!(copied.account.copied.blobs, 3);
    let again = copy(cx, &*catalog, &roots, elsewhere.sink().expect("there"), &how).expect("it fits");
    assert_eq!(again.account.held.blobs, 3);

    let third = Memory::default();
    let codec = "zstd".parse().expect("a codec");
    let sink = third.sink().expect("there");
    let other = compress::copy_compressed(cx, &*catalog, &roots, sink, &how, codec).expect("it fits");
    assert_ne!(other.roots[0].digest, roots[0].1.digest);
    let third = third.catalog().expect("there");
    let image = Image::fetch(cx, &*third, &selector(), &platform()).expect("published");
    let old = Image::fetch(cx, &*catalog, &selector(), &platform()).expect("published");
    assert_eq!(image.config().raw(), old.config().raw(), "the image id stays");
    Hashed::of_image(cx, &image).expect("every layer is proven");
}

/// An artifact that speaks of the image.
fn sign(memory: &Memory) {
    let sink = memory.sink().expect("memory is there");
    let image = memory.catalog().expect("there").resolve(&selector()).expect("published").remove(0);
    let empty = put(&*sink, OCI_EMPTY, b"{}");
    let artifact_type = Some(MediaType::new("application/vnd.example.signature"));
    let manifest =
        Manifest { subject: Some(image), artifact_type, ..Manifest::new(empty.clone(), vec![empty]) };
    let document = Document::print(manifest, MediaType::new(OCI_MANIFEST), Algorithm::Sha256);
    let root = put_document(&*sink, &document);
    sink.finish(&[(Name::Untagged, root)]).expect("it is there");
}

fn go_along(cx: &Context<'_>, memory: &Memory) {
    let catalog = memory.catalog().expect("memory is there");
    let root = catalog.resolve(&selector()).expect("published").remove(0);
    let tree = family(cx, &*catalog, &root).expect("it can be read");
    assert_eq!((tree.referrers.len(), tree.layers.map(|layers| layers.0)), (1, Some(1)));

    let (named, other) = ([(Name::Tag(TAG.into()), root)], Memory::default());
    let how = Copy { referrers: Referrers::All, ..Copy::default() };
    let foreseen = foresee(cx, &*catalog, &named, &other, &how).expect("it can be read");
    let copied = copy(cx, &*catalog, &named, other.sink().expect("there"), &how).expect("it fits");
    assert_eq!((foreseen.copied, foreseen.copied.blobs), (copied.account.copied, 5));
    assert_eq!(other.catalog().expect("there").names().expect("there").len(), 2);
}

/// What `sync` needs to know of a place, and nothing that it removes.
struct Other(Memory);

impl Target for Other {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        self.0.sink()
    }

    fn keeper(&self) -> Result<Box<dyn Keeper + '_>> {
        panic!("no name is to be removed")
    }
}

fn become_equal(cx: &Context<'_>, memory: &Memory) {
    let (catalog, other) = (memory.catalog().expect("memory is there"), Other(Memory::default()));
    let wish = Sync { copy: Copy { referrers: Referrers::All, ..Copy::default() }, ..Sync::default() };
    let done = sync(cx, &*catalog, &other, &wish).expect("there is room");
    assert_eq!((done.copied.len(), done.failed.len(), done.account.copied.blobs), (1, 0, 5));
    let again = sync(cx, &*catalog, &other, &wish).expect("there is room");
    assert_eq!(again.account.copied.blobs, 0, "what is there is not moved");
    let verdict = validate::place(cx, &*other.0.catalog().expect("there")).expect("it can be read");
    assert_eq!(verdict.problems, []);
}

fn open(cx: &Context<'_>, scratch: &Scratch, memory: &Memory) {
    let catalog = memory.catalog().expect("memory is there");
    let image = Image::fetch(cx, &*catalog, &selector(), &platform()).expect("it was copied");
    let how = Unpack {
        owner: owner(),
        detail: Detail::Full,
        existing: Existing::Refuse,
        sync: Durable::No,
        subdir: TreePath::root(),
        track: None,
    };
    unpack(cx, &image, &scratch.path("root"), &how).expect("there is room");
    assert_eq!(std::fs::read(scratch.path("root/bin/sh")).expect("unpacked"), b"not a shell");
    bundle(cx, &image, &scratch.path("bundle"), &how, &runtime::Options::default()).expect("there is room");
    let config = std::fs::read(scratch.path("bundle/config.json")).expect("written");
    let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
    assert_eq!(config["process"]["args"], serde_json::json!(["/bin/sh"]));
    assert!(scratch.path("bundle/rootfs/etc/passwd").exists());
}
