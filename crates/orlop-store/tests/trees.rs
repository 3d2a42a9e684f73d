//! Laws of trees of the store: they are what the layers mean, and no object is opened for them.

mod layers;

use layers::{Form, export, import, import_blob, sound_objects, sparse};
use orlop_fs::Dir;
use orlop_fs::scan::{Scan, ScanOptions, Unrepresentable};
use orlop_layer::tree::{Content, InodeKind, Tree};
use orlop_layer::{Codec, Encode, Entry, Stages, encode};
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::media_type::Compression;
use orlop_spec::{Cancel, Kind, Limits};
use orlop_store::Store;
use orlop_store::store::Options;
use orlop_store::store::layer::Held;
use orlop_store::store::tree::Rendered;
use proptest::prelude::*;
use std::fs;
use std::num::NonZeroUsize;
use testkit::image::zstd;
use testkit::scratch::{Scratch, scratch_in_memory};
use testkit::tarball::{Member, cut, tar};
use testkit::torture::{self, Power};
use testkit::{full, is_root, noise, proof};

fn path() -> impl Strategy<Value = String> {
    "[a-c](/[a-c]){0,2}"
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let length = prop::sample::select(vec![0, 1, 64, 65, 512, 3000, 300_000]);
    (0..3u8, length).prop_map(|(seed, length)| vec![b'a' + seed; length])
}

/// A sparse file: parts, each behind a hole.
fn sparse_file() -> impl Strategy<Value = Vec<Member>> {
    let part = (1..70_000u64, 1..3000usize, any::<u8>());
    let form = prop::sample::select(Form::ALL.to_vec());
    (form, path(), prop::collection::vec(part, 0..4), 0..70_000u64).prop_map(|(form, name, list, behind)| {
        let (mut at, mut parts) = (0, Vec::new());
        for (gap, length, byte) in list {
            at += gap;
            parts.push((at, vec![byte; length]));
            at += length as u64;
        }
        sparse(form, &name, at + behind, &parts)
    })
}

fn member() -> impl Strategy<Value = Vec<Member>> {
    prop_oneof![
        8 => (path(), content()).prop_map(|(name, content)| vec![Member::file(name, content)]),
        2 => sparse_file(),
        3 => (path(), 0..0o10000u32).prop_map(|(name, mode)| vec![Member::folder(name + "/").mode(mode)]),
        2 => (path(), "[a-c/]{1,9}").prop_map(|(name, to)| vec![Member::symlink(name, to)]),
        2 => (path(), path()).prop_map(|(name, to)| vec![Member::hard_link(name, to)]),
        1 => path().prop_map(|name| vec![Member::fifo(name)]),
        1 => (path(), 0..9u64).prop_map(|(name, minor)| vec![Member::device(b'3', name, 1, minor)]),
        1 => (path(), content()).prop_map(|(name, content)| {
            let attribute: &[u8] = &content[..content.len().min(9)];
            vec![Member::pax(&[(b"SCHILY.xattr.user.a", attribute)]), Member::file(name, "x")]
        }),
        2 => (path(), content()).prop_map(|(name, content)| {
            let cut = name.rfind('/').map_or(0, |slash| slash + 1);
            vec![Member::file(format!("{}.wh.{}", &name[..cut], &name[cut..]), content)]
        }),
        1 => path().prop_map(|name| vec![Member::file(name + "/.wh..wh..opq", "")]),
    ]
}

/// Any archive that may be a layer.
fn layer() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(member(), 0..12), 0..3usize).prop_map(|(members, tail)| {
        let members = members.into_iter().flatten();
        match tail {
            0 => cut(members),
            1 => tar(members),
            _ => [tar(members), noise(1, 70_000)].concat(),
        }
    })
}

fn config() -> ProptestConfig {
    let cases = if full() { 2000 } else { 128 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn store() -> (Scratch, Store) {
    let scratch = scratch_in_memory();
    let store = Store::create(scratch.path("store"), &Options::default()).expect("made");
    (scratch, store)
}

fn entries(tree: &Tree) -> Vec<(Entry, Option<Content>)> {
    tree.entries().collect()
}

/// The store with the layers that decoding takes, their diff ids, and their trees.
fn imported(layers: &[Vec<u8>]) -> (Scratch, Store, Vec<(DiffId, Tree)>) {
    let (scratch, store) = store();
    let decoded = layers.iter().filter_map(|layer| import(&store, layer, Stages::One).ok());
    let decoded = decoded.map(|decoded| (decoded.diff_id, decoded.tree)).collect();
    (scratch, store, decoded)
}

fn forget_objects(scratch: &Scratch) {
    for object in sound_objects(&scratch.path("store")) {
        fs::remove_file(object).expect("removed");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_tree_of_a_list_is_the_tree_of_its_layer(layer in layer()) {
        let (scratch, store, decoded) = imported(&[layer]);
        forget_objects(&scratch);
        for (diff_id, tree) in decoded {
            let found = store.layer_tree(&diff_id, 0, &Limits::default()).expect("it is there");
            prop_assert_eq!(entries(&found), entries(&tree));
        }
    }

    #[test]
    fn layers_of_the_store_mean_together_what_they_mean_elsewhere(
        layers in prop::collection::vec(layer(), 1..4),
    ) {
        let (scratch, store, decoded) = imported(&layers);
        let mut stacked = Ok(Tree::default());
        let mut diff_ids = Vec::new();
        for (number, (diff_id, _)) in (0..).zip(&decoded) {
            let tar = export(&store, diff_id).expect("it is there");
            let tree = orlop_layer::decode::tree(&tar[..], number, &Limits::default()).expect("a layer");
            stacked = stacked.and_then(|below| below.stack(tree));
            diff_ids.push(*diff_id);
        }
        forget_objects(&scratch);
        match (stacked, store.rendered(&diff_ids, &Limits::default())) {
            (Ok(expected), Ok(found)) => prop_assert_eq!(entries(&found.tree), entries(&expected)),
            (Err(expected), Err(found)) => prop_assert_eq!(found.kind(), orlop_spec::Fault::from(expected).kind()),
            (expected, found) => prop_assert!(false, "{:?} and {:?}", expected.is_ok(), found.is_ok()),
        }
    }
}

/// Every file of the tree, and the digest of its content.
fn digests(rendered: &Rendered) -> Vec<(String, Digest)> {
    let files = rendered.tree.walk().filter_map(|(path, id)| match &rendered.tree.inode(id).kind {
        InodeKind::File(content) => Some((path.to_string(), rendered.digest(content).expect("known"))),
        _ => None,
    });
    files.collect()
}

#[test]
fn contents_are_those_of_the_layer_that_wins() {
    let (_scratch, store) = store();
    let lower = tar([
        Member::file("long", [b'l'; 1000]),
        Member::file("short", "s"),
        Member::file("empty", ""),
        Member::file("gone", "g"),
    ]);
    let upper = tar([
        Member::file(".wh.gone", ""),
        Member::file("long", [b'u'; 65]),
        Member::hard_link("also", "short"),
    ]
    .into_iter()
    .chain(sparse(Form::Pax10, "sparse", 4000, &[(100, vec![b'p'; 3])])));
    let lower = import(&store, &lower, Stages::One).expect("imported").diff_id;
    let upper = import_blob(&store, &zstd(&upper), Compression::Zstd, Stages::One).expect("imported").diff_id;
    let rendered = store.rendered(&[lower, upper], &Limits::default()).expect("rendered");
    let mut holes = vec![0; 4000];
    holes[100..103].fill(b'p');
    let expected = [
        ("also", b"s".to_vec()),
        ("empty", Vec::new()),
        ("long", vec![b'u'; 65]),
        ("short", b"s".to_vec()),
        ("sparse", holes),
    ];
    let expected = expected.map(|(name, content)| (name.into(), Digest::of(Algorithm::Sha256, &content)));
    assert_eq!(digests(&rendered), expected);
    let held = |path: &[u8]| match rendered.tree.inode(rendered.tree.locate(path).expect("there")).kind {
        InodeKind::File(content) => rendered.held(&content),
        _ => panic!("a file"),
    };
    assert_eq!(held(b"short"), Some(Held::Short(b"s"[..].into())));
    assert_eq!(held(b"empty"), None);
    assert_eq!(held(b"long").map(|held| held.size()), Some(65));
}

#[test]
fn the_torture_tree_comes_back_as_a_tree() {
    let power = if is_root() { Power::Root } else { Power::User };
    let (scratch, store) = store();
    torture::make(&scratch.path("torture"), power);
    let folder = Dir::open(scratch.path("torture")).expect("a folder");
    let options = ScanOptions { unrepresentable: Unrepresentable::Skip, ..ScanOptions::default() };
    let mut scan = Scan::open(&folder, options).expect("readable");
    let how = Encode {
        codec: Codec::None,
        algorithm: Algorithm::Sha256,
        workers: NonZeroUsize::MIN,
        limits: &Limits::default(),
        cancel: &Cancel::new(),
        progress: &|_| (),
    };
    let mut layer = Vec::new();
    let encoded = encode(&mut scan, &how, &mut layer).expect("encoded");
    import(&store, &layer, Stages::One).expect("imported");
    forget_objects(&scratch);
    let tree = store.layer_tree(&encoded.diff_id, 0, &Limits::default()).expect("rendered");
    assert_eq!(entries(&tree), entries(&encoded.tree));
    proof::ran("torture tree out of a list of the store", 1);
}

#[test]
fn entries_of_all_layers_together_are_limited() {
    let (_scratch, store) = store();
    let layer = |name: &str| tar((0..6).map(|number| Member::file(format!("{name}{number}"), "")));
    let diff_ids: Vec<DiffId> =
        ["a", "b"].map(|name| import(&store, &layer(name), Stages::One).expect("imported").diff_id).into();
    let limits = |entries| Limits { entries, ..Limits::default() };
    assert!(store.rendered(&diff_ids, &limits(14)).is_ok());
    assert_eq!(store.rendered(&diff_ids, &limits(13)).expect_err("too many").kind(), Kind::Limit);
}

#[test]
fn a_list_that_lies_under_another_layers_name_is_refused() {
    let (scratch, store) = store();
    let import = |content: &str| {
        import(&store, &tar([Member::file("f", content)]), Stages::One).expect("taken").diff_id
    };
    let (one, other) = (import("one"), import("other"));
    let place = scratch.path("store/layers/sha256");
    fs::rename(place.join(one.0.hex()), place.join(other.0.hex())).expect("renamed");
    let fault = store.layer_tree(&other, 0, &Limits::default()).expect_err("another layer");
    assert_eq!(fault.kind(), Kind::Integrity);
}
