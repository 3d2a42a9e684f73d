//! Trees out of the store: the same as out of blobs, from the contents that it keeps.

use std::fs;
use std::path::{Path, PathBuf};
use testkit::disk::{LoopDisk, Missing};
use testkit::dump::{differences, dump};
use testkit::scratch::scratch_in_memory;
use testkit::torture::{Power, make};
use testkit::{Command, Scratch, is_root, noise, orlop, proof, scratch};

/// Two layers: the torture tree, and one that changes and hides what is in it.
fn two_layers(scratch: &Scratch, compress: &str) -> String {
    make(&scratch.path("tree"), if is_root() { Power::Root } else { Power::User });
    scratch.folder("upper/more");
    scratch.file("upper/more/again", noise(1, 70_000));
    scratch.file("upper/more/same", noise(1, 70_000));
    scratch.file("upper/more/short", "short");
    scratch.file("upper/more/empty", "");
    let layout = format!("oci:{}:t", scratch.path("layout").display());
    let build =
        orlop().args(["build", "--cmd", "/bin/sh", "--unrepresentable", "skip", "--compress", compress]);
    build.arg(scratch.path("tree")).arg(scratch.path("upper")).arg(&layout).ok();
    layout
}

/// A command that works with the store of a scratch.
fn with_store(scratch: &Scratch, words: &[&str]) -> Command {
    orlop().env("ORLOP_ROOT", scratch.path("store")).args(words)
}

fn stored(scratch: &Scratch, layout: &str) -> &'static str {
    with_store(scratch, &["copy", layout, "store:t:1"]).ok();
    "store:t:1"
}

#[test]
fn trees_and_bundles_out_of_the_store_are_those_out_of_blobs() {
    for (scratch, compress) in
        [(scratch(), "gzip"), (scratch_in_memory(), "zstd"), (scratch_in_memory(), "none")]
    {
        let layout = two_layers(&scratch, compress);
        let store = stored(&scratch, &layout);
        for verb in ["unpack", "bundle"] {
            let (from_layout, from_store) = (scratch.path("from-layout"), scratch.path("from-store"));
            orlop().args([verb, &layout]).arg(&from_layout).ok();
            let told = with_store(&scratch, &[verb, store]).arg(&from_store).ok().err();
            assert!(told.contains("copied: ") && told.contains(" files"), "{told}");
            let root = if verb == "bundle" { "rootfs" } else { "." };
            let (one, other) = (dump(&from_layout.join(root)), dump(&from_store.join(root)));
            assert_eq!(differences(&one, &other, &[]), [], "{verb}, {compress}");
            let config = |folder: &Path| fs::read(folder.join("config.json")).ok();
            assert_eq!(config(&from_layout), config(&from_store));
            fs::remove_dir_all(from_layout).expect("ours");
            fs::remove_dir_all(from_store).expect("ours");
        }
        let (from_layout, from_store) = (scratch.path("sub-layout"), scratch.path("sub-store"));
        orlop().args(["unpack", "--subdir", "/more", &layout]).arg(&from_layout).ok();
        with_store(&scratch, &["unpack", "--subdir", "/more", store]).arg(&from_store).ok();
        assert_eq!(differences(&dump(&from_layout), &dump(&from_store), &[]), [], "a folder of it");
    }
}

#[test]
fn what_looks_into_layers_sees_the_same_in_the_store() {
    let scratch = scratch_in_memory();
    let layout = two_layers(&scratch, "gzip");
    let store = stored(&scratch, &layout);
    for words in
        [&["files", "--format", "json"][..], &["files", "-l"], &["du", "--format", "json"], &["tree"]]
    {
        let of = |image: &str| with_store(&scratch, words).arg(image).run();
        let (one, other) = (of(&layout), of(store));
        assert_eq!(one.code(), other.code(), "{words:?}: {} {}", one.err(), other.err());
        if words[0] != "tree" {
            assert_eq!(one.out(), other.out(), "{words:?}");
        }
    }
    for path in ["more/again", "more/short", "more/empty"] {
        let of = |image: &str| with_store(&scratch, &["cat", image, path]).ok().stdout;
        assert!(of(&layout) == of(store), "{path}");
    }
    let out = with_store(&scratch, &["diff", &layout, store]).ok().out();
    assert_eq!(out, "", "nothing differs");
}

/// The object of the only content of its size, and its digest.
fn object_of(scratch: &Scratch, size: u64) -> (PathBuf, String) {
    let shards = fs::read_dir(scratch.path("store/objects")).expect("a store").flatten();
    let objects = shards.flat_map(|shard| fs::read_dir(shard.path()).expect("a folder").flatten());
    let of_size: Vec<PathBuf> = objects
        .filter(|object| object.metadata().expect("there").len() == size)
        .map(|object| object.path())
        .collect();
    let [path] = &of_size[..] else { panic!("{of_size:?}") };
    let name = |path: &Path| path.file_name().expect("a name").to_str().expect("hex").to_owned();
    let hex = name(path.parent().expect("a folder")) + &name(path);
    (path.clone(), hex)
}

fn flip(path: &Path, bit: usize) {
    let mut bytes = fs::read(path).expect("there");
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::remove_file(path).expect("ours");
    fs::write(path, bytes).expect("ours");
}

#[test]
fn a_flipped_bit_in_a_content_is_named_and_nothing_appears() {
    let scratch = scratch();
    let layout = two_layers(&scratch, "gzip");
    let store = stored(&scratch, &layout);
    let (path, hex) = object_of(&scratch, 70_000);
    for bit in [0, 8 * 35_000 + 3, 8 * 70_000 - 1] {
        flip(&path, bit);
        for words in [&["unpack", store][..], &["bundle", store]] {
            let done = with_store(&scratch, words).arg(scratch.path("out")).run();
            assert_eq!(done.code(), Some(5), "{}", done.err());
            assert!(done.err().contains(&hex), "{}", done.err());
            assert!(!scratch.path("out").exists());
        }
        let done = with_store(&scratch, &["cat", store, "more/again"]).run();
        assert_eq!((done.code(), done.stdout.len()), (Some(5), 0), "{}", done.err());
        assert!(done.err().contains(&hex), "{}", done.err());
        flip(&path, bit);
    }
    fs::remove_file(&path).expect("ours");
    let done = with_store(&scratch, &["unpack", store]).arg(scratch.path("out")).run();
    assert_eq!(done.code(), Some(5), "{}", done.err());
    assert!(done.err().contains(&hex), "{}", done.err());
    let left: Vec<_> =
        fs::read_dir(scratch.root()).expect("there").flatten().map(|it| it.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("orlop-")), "{left:?}");
}

#[test]
fn a_flipped_bit_in_a_list_is_found() {
    let scratch = scratch_in_memory();
    let layout = two_layers(&scratch, "gzip");
    let store = stored(&scratch, &layout);
    for list in fs::read_dir(scratch.path("store/layers/sha256")).expect("a store").flatten() {
        let size = usize::try_from(list.metadata().expect("there").len()).expect("small");
        for bit in [0, 8 * (size / 2), 8 * size - 1] {
            flip(&list.path(), bit);
            for words in [&["unpack", store, "out"][..], &["files", store], &["cat", store, "more/again"]] {
                let done = with_store(&scratch, words).current_dir(scratch.root()).run();
                assert_eq!(done.code(), Some(5), "{words:?}: {}", done.err());
                assert!(done.err().contains(list.file_name().to_str().expect("hex")), "{}", done.err());
            }
            flip(&list.path(), bit);
        }
    }
    assert!(!scratch.path("out").exists());
}

#[test]
fn contents_are_shared_with_the_store_where_the_file_system_can() {
    for kind in ["xfs", "btrfs"] {
        let name = format!("store: unpack shares contents on {kind}");
        let scratch = scratch();
        let disk = match LoopDisk::at(scratch.folder("disk"), kind) {
            Ok(disk) => disk,
            Err(Missing::Program(program)) => {
                proof::skipped(&name, &format!("{program} is missing"));
                continue;
            }
            Err(Missing::Kernel(why)) => {
                proof::not_offered(&name, &why);
                continue;
            }
        };
        let layout = two_layers(&scratch, "gzip");
        let with_store = |words: &[&str]| orlop().env("ORLOP_ROOT", scratch.path("disk/store")).args(words);
        with_store(&["copy", &layout, "store:t:1"]).ok();
        let told = with_store(&["unpack", "store:t:1"]).arg(scratch.path("disk/out")).ok().err();
        assert!(told.contains("shared: ") && !told.contains("copied: "), "{told}");
        orlop().args(["unpack", &layout]).arg(scratch.path("disk/from-layout")).ok();
        let [one, other] = ["disk/from-layout", "disk/out"].map(|folder| dump(&scratch.path(folder)));
        assert_eq!(differences(&one, &other, &[]), []);
        let told = with_store(&["unpack", "store:t:1"]).arg(scratch.path("out")).ok().err();
        assert!(told.contains("copied: ") && !told.contains("shared: "), "on another file system: {told}");
        proof::ran(&name, 1);
        drop(disk);
    }
}
