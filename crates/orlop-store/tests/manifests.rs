//! Laws of kept manifests, and of looks at objects.

mod layers;

use layers::{Form, export, import, import_blob, sound_objects, sparse};
use orlop_layer::Stages;
use orlop_spec::digest::DiffId;
use orlop_spec::media_type::Compression;
use orlop_spec::{Cancel, Kind, Limits};
use orlop_store::Store;
use orlop_store::store::Options;
use orlop_store::store::look::{Harm, Look, Looked};
use orlop_store::store::manifest::{Kept, Subject, Trust};
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use testkit::image::zstd;
use testkit::scratch::Scratch;
use testkit::tarball::{Member, tar};
use testkit::{noise, proof, scratch};

/// A store with an image of two layers.
fn world() -> (Scratch, Store, Vec<DiffId>) {
    let scratch = scratch();
    let store = Store::create(scratch.path("store"), &Options::default()).expect("made");
    let file = |name: &str, seed: u64| Member::file(name, noise(seed, 5000));
    let lower =
        tar([file("a", 1), file("b", 2), file("same", 1), Member::file("short", "short"), file("gone", 3)]
            .into_iter()
            .chain(
                Form::ALL
                    .into_iter()
                    .flat_map(|form| sparse(form, "sparse", 300_000, &[(9, vec![b's'; 70])])),
            ));
    let upper = tar([Member::file(".wh.gone", ""), file("c", 4)]);
    let lower = import(&store, &lower, Stages::One).expect("imported").diff_id;
    let upper = import_blob(&store, &zstd(&upper), Compression::Zstd, Stages::One).expect("imported").diff_id;
    assert!(export(&store, &lower).is_ok());
    (scratch, store, vec![lower, upper])
}

fn kept(store: &Store, layers: &[DiffId], trust: Trust) -> Kept {
    store.manifest(layers, trust, &Limits::default()).expect("a manifest")
}

/// What a look finds, and how many bytes it reads; what it saw is noted.
fn look(store: &Store, kept: &Kept) -> (Looked, u64) {
    let (seen, note, read) = (kept.seen(Subject::Objects), kept.note().expect("writable"), AtomicU64::new(0));
    let look = Look {
        workers: NonZeroUsize::new(3).expect("some"),
        seen: seen.as_ref(),
        now: Some(note.now()),
        cancel: &Cancel::new(),
        progress: &|bytes| {
            read.fetch_add(bytes, Ordering::Relaxed);
        },
    };
    let looked = store.look_at_objects(&kept.manifest, &look).expect("looked at");
    note.keep(Subject::Objects, &looked.seen).expect("kept");
    (looked, read.into_inner())
}

fn manifest_file(scratch: &Scratch) -> PathBuf {
    let folders = scratch.path("store/trees").read_dir().expect("a folder").flatten();
    let mut found: Vec<_> = folders.map(|folder| folder.path().join("manifest")).collect();
    assert_eq!(found.len(), 1, "one for all that are equal");
    found.pop().expect("one")
}

#[test]
fn a_manifest_is_kept_and_comes_out_as_the_same_bytes_when_it_is_lost_or_damaged() {
    let (scratch, store, layers) = world();
    let first = kept(&store, &layers, Trust::Kept);
    let file = manifest_file(&scratch);
    let bytes = fs::read(&file).expect("kept");
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o7777, 0o444);
    let mut flipped = bytes.clone();
    flipped[60] ^= 1;
    let damages: [&dyn Fn(); 4] = [
        &|| fs::remove_file(&file).expect("removed"),
        &|| replace(&file, &flipped),
        &|| replace(&file, b""),
        &|| replace(&file, b"orlop manifest 2\n"),
    ];
    for damage in damages {
        damage();
        for trust in [Trust::Kept, Trust::Nothing] {
            assert_eq!(kept(&store, &layers, trust).manifest, first.manifest);
            assert_eq!(fs::read(&file).expect("kept again"), bytes);
        }
    }
    // Of another image, and sound: the chain id tells.
    let other = kept(&store, &layers[..1], Trust::Kept).manifest;
    let mut foreign = Vec::new();
    other.write(&mut foreign).expect("memory");
    replace(&file, &foreign);
    assert_eq!(kept(&store, &layers, Trust::Kept).manifest, first.manifest);
    assert_eq!(fs::read(&file).expect("kept again"), bytes);
}

fn replace(path: &Path, content: &[u8]) {
    fs::remove_file(path).expect("removed");
    fs::write(path, content).expect("written");
}

#[test]
fn a_manifest_that_was_forged_is_found_where_nothing_is_trusted() {
    let (scratch, store, layers) = world();
    let honest = kept(&store, &layers, Trust::Kept).manifest;
    // A whole manifest with the right chain id, of another tree: only the lists know better.
    let forged =
        orlop_layer::TreeManifest::of(&orlop_layer::Tree::default(), honest.chain().copied(), |_| {
            Err::<orlop_spec::Digest, _>("there is no file")
        });
    let mut bytes = Vec::new();
    forged.expect("made").write(&mut bytes).expect("memory");
    replace(&manifest_file(&scratch), &bytes);
    assert_ne!(kept(&store, &layers, Trust::Kept).manifest, honest);
    assert_eq!(kept(&store, &layers, Trust::Nothing).manifest, honest);
    assert_eq!(kept(&store, &layers, Trust::Kept).manifest, honest, "it was put in its place");
}

#[test]
fn every_object_of_the_tree_is_looked_at_once_and_then_no_more() {
    let (_scratch, store, layers) = world();
    std::thread::sleep(Duration::from_millis(150));
    let kept = kept(&store, &layers, Trust::Kept);
    let (looked, read) = look(&store, &kept);
    assert_eq!(
        (looked.harmed, read),
        (Vec::new(), 3 * 5000 + 300_000),
        "what a layer hides is not looked at"
    );
    let (looked, read) = look(&store, &kept);
    assert_eq!((looked.harmed, read), (Vec::new(), 0));
    assert_eq!(looked.seen.count(), 4);
}

#[test]
fn every_harmed_object_is_named_after_a_look_as_before() {
    let (scratch, store, layers) = world();
    std::thread::sleep(Duration::from_millis(150));
    let kept = kept(&store, &layers, Trust::Kept);
    assert_eq!(look(&store, &kept).0.seen.count(), 4);
    let mut cases = 0;
    for path in sound_objects(&scratch.path("store")) {
        let sound = fs::read(&path).expect("read");
        let mut flipped = sound.clone();
        flipped[sound.len() / 2] ^= 1;
        let harms: [(Harm, &dyn Fn()); 4] = [
            (Harm::Damaged, &|| replace(&path, &flipped)),
            (Harm::Damaged, &|| replace(&path, &sound[1..])),
            (Harm::Missing, &|| fs::remove_file(&path).expect("removed")),
            (Harm::Damaged, &|| fs::create_dir(&path).expect("made")),
        ];
        let needed = !fs::read(&path).is_ok_and(|content| content == noise(3, 5000));
        for (harm, damage) in harms {
            damage();
            let found: Vec<_> = look(&store, &kept).0.harmed.iter().map(|(_, harm)| *harm).collect();
            assert_eq!(found, if needed { vec![harm] } else { vec![] });
            cases += usize::from(needed);
        }
        fs::remove_dir(&path).expect("removed");
        fs::write(&path, &sound).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("set");
        assert!(look(&store, &kept).0.harmed.is_empty(), "whole again");
    }
    assert_eq!(cases, 16);
    proof::ran("verify: harmed objects are named", cases);
}

#[test]
fn layers_that_are_not_there_have_no_manifest() {
    let (_scratch, store, layers) = world();
    let missing = DiffId(orlop_spec::Digest::of(orlop_spec::Algorithm::Sha256, b"none"));
    let fault = store.manifest(&[layers[0], missing], Trust::Kept, &Limits::default()).expect_err("missing");
    assert_eq!(fault.kind(), Kind::NotFound);
}
