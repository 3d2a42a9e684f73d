//! Deltas of whole layers: made, applied, damaged.

use super::older::Wanted;
use super::operation::Script;
use super::*;
use crate::error::Error;
use orlop_fs::{Dir, File};
use orlop_layer::decode::{Decode, Stages, Visit, decode};
use orlop_layer::entry::{Entry, Kind, Meta};
use orlop_layer::tree::Tree;
use orlop_layer::{Budget, TreePath, Verified, tar};
use orlop_spec::media_type::{Compression, MediaType, OCI_LAYER};
use orlop_spec::{Algorithm, Cancel, Descriptor, Diagnose as _, Digest, Kind as ErrorKind, Limits};
use proptest::prelude::*;
use std::num::NonZeroUsize;

/// Files of a layer, by path.
type Content<'a> = &'a [(&'a str, &'a [u8])];

fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).expect("a plain path")
}

fn spool() -> File {
    Dir::open(std::env::temp_dir()).expect("there").spool().expect("room")
}

fn layer(content: Content<'_>) -> Vec<u8> {
    let mut writer = tar::Writer::new(Vec::new());
    for (name, bytes) in content {
        let kind = Kind::File { size: bytes.len() as u64 };
        writer.entry(&Entry { path: path(name), meta: Meta::default(), kind }).expect("in order");
        writer.data(bytes).expect("of that size");
    }
    writer.finish().expect("into memory")
}

fn read(layer: &[u8], number: u16, visitor: &mut dyn Visit) -> Tree {
    let blob =
        Descriptor::new(MediaType::new(OCI_LAYER), Digest::of(Algorithm::Sha256, layer), layer.len() as u64);
    let how = Decode {
        compression: Compression::None,
        expected: None,
        layer: number,
        limits: &Limits::default(),
        budget: &Budget::new(u64::MAX),
        cancel: &Cancel::new(),
        stages: Stages::One,
        progress: &|_| (),
    };
    decode(&mut Verified::new(layer, &blob).expect("known"), &how, visitor).expect("whole").tree
}

/// The files of an image of these layers.
fn files(layers: &[Vec<u8>], wanted: &Wanted) -> Files {
    let (mut tree, mut olders) = (Tree::default(), Vec::new());
    for (number, layer) in (0..).zip(layers) {
        let mut older = Older::new(spool(), wanted.clone());
        tree = tree.stack(read(layer, number, &mut older)).expect("fits");
        olders.push(older);
    }
    Files::new(&tree, olders)
}

fn delta(older: &[Vec<u8>], newer: &[u8], workers: usize) -> Vec<u8> {
    let files = files(older, &Wanted::Searched);
    let mut taken = Newer::new(&files, spool());
    read(newer, 0, &mut taken);
    let workers = NonZeroUsize::new(workers).expect("some");
    let how = Make { level: 3, workers, cancel: &Cancel::new(), progress: &|_| () };
    make(taken, &how, Vec::new()).expect("into memory")
}

fn applied(delta: &[u8], older: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let mut paths = Paths::default();
    paths.add(delta, &limits, &cancel)?;
    let wanted = Wanted::Paths(paths.into());
    let mut out = Vec::new();
    apply(delta, &files(older, &wanted), &limits, &cancel, &mut out)?;
    Ok(out)
}

/// A delta of operations that are written by hand.
fn raw(operations: &[u8]) -> Vec<u8> {
    let mut frame = orlop_layer::codec::Frame::new(1, MAGIC.to_vec());
    std::io::Write::write_all(&mut frame, operations).expect("into memory");
    frame.finish().expect("into memory")
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn what_the_older_image_has_is_not_in_the_delta() {
    let (same, before) = (noise(200_000, 1), noise(300_000, 2));
    let after = [&before[..100_000], b"a few bytes more", &before[100_000..]].concat();
    let moved = noise(80_000, 3);
    let older = [layer(&[("etc/same", &same), ("usr/changed", &before), ("usr/moved", &moved)])];
    let newer = layer(&[("etc/same", &same), ("opt/else", &moved), ("usr/changed", &after)]);
    let delta = delta(&older, &newer, 1);
    assert!(delta.len() < 1000, "{} bytes", delta.len());
    assert!(applied(&delta, &older).expect("applies") == newer);
}

#[test]
fn a_file_is_found_by_its_content_where_its_name_is_new() {
    let before = noise(300_000, 1);
    let after = [b"another head", &before[..]].concat();
    let older = [layer(&[("a/one", &before), ("a/two", &noise(300_000, 2))])];
    let newer = layer(&[("b/other", &after)]);
    let delta = delta(&older, &newer, 1);
    assert!(delta.len() < 1000, "{} bytes", delta.len());
    assert!(applied(&delta, &older).expect("applies") == newer);
}

#[test]
fn a_library_with_another_number_is_made_from_the_one_before() {
    let before = noise(30_000, 1);
    let mut after = before.clone();
    (0..after.len()).step_by(301).for_each(|at| after[at] ^= 1);
    let older = [layer(&[("lib/libx.so.1.2", &before), ("lib/other", &noise(30_000, 9))])];
    let newer = layer(&[("lib/libx.so.1.3", &after)]);
    let delta = delta(&older, &newer, 1);
    assert!(delta.len() < 4000, "{} bytes", delta.len());
    assert!(applied(&delta, &older).expect("applies") == newer);
}

#[test]
fn a_delta_reads_what_the_whole_stack_holds() {
    let (hidden, seen, other) = (noise(50_000, 1), noise(50_000, 2), noise(50_000, 3));
    let older = [layer(&[("a", &hidden), ("b", &other)]), layer(&[("a", &seen)])];
    let newer = layer(&[("x", &seen), ("y", &other)]);
    let delta = delta(&older, &newer, 1);
    assert!(delta.len() < 1000, "{} bytes", delta.len());
    assert!(applied(&delta, &older).expect("applies") == newer);
    let of_hidden = self::delta(&older, &layer(&[("x", &hidden)]), 1);
    assert!(of_hidden.len() > 50_000, "what an upper layer hides is no source");
}

#[test]
fn a_hard_link_is_read_by_its_own_name() {
    let content = noise(5000, 1);
    let mut writer = tar::Writer::new(Vec::new());
    let kind = Kind::File { size: content.len() as u64 };
    writer.entry(&Entry { path: path("a"), meta: Meta::default(), kind }).expect("in order");
    writer.data(&content).expect("of that size");
    let kind = Kind::HardLink { target: path("a") };
    writer.entry(&Entry { path: path("b"), meta: Meta::default(), kind }).expect("in order");
    let older = writer.finish().expect("into memory");
    let mut wanted = Paths::default();
    wanted.add(&raw(b"\x01\x01b")[..], &Limits::default(), &Cancel::new()).expect("a delta");
    let mut short = Older::new(spool(), Wanted::Paths(wanted.into()));
    read(&older, 0, &mut short);
    assert!(short.is_short(), "the content stands under another name");
    let files = files(&[older], &Wanted::All);
    let mut out = Vec::new();
    let delta = raw(b"\x01\x01b\x02\x05");
    apply(&delta[..], &files, &Limits::default(), &Cancel::new(), &mut out).expect("applies");
    assert_eq!(out, content[..5]);
}

#[test]
fn a_delta_does_not_tell_how_many_made_it() {
    let contents: Vec<(String, Vec<u8>)> =
        (0..40).map(|number| (format!("f{number:02}"), noise(20_000, number))).collect();
    let newer: Vec<(String, Vec<u8>)> = contents
        .iter()
        .map(|(name, bytes)| (name.clone(), [&bytes[..9000], b"new", &bytes[9000..]].concat()))
        .collect();
    let content = |files: &[(String, Vec<u8>)]| {
        layer(&files.iter().map(|(name, bytes)| (&**name, &bytes[..])).collect::<Vec<_>>())
    };
    let (older, newer) = ([content(&contents)], content(&newer));
    let one = delta(&older, &newer, 1);
    assert!(one == delta(&older, &newer, 7));
    assert!(applied(&one, &older).expect("applies") == newer);
}

#[test]
fn a_file_larger_than_a_window_is_compared_in_parts() {
    let before = noise(18 << 20, 1);
    let after = [b"moved", &before[..10 << 20], b"and more", &before[10 << 20..]].concat();
    let older = [layer(&[("big", &before)])];
    let newer = layer(&[("big", &after)]);
    let delta = delta(&older, &newer, 2);
    assert!(delta.len() < 10_000, "{} bytes", delta.len());
    assert!(applied(&delta, &older).expect("applies") == newer);
}

/// The older image of hostile deltas.
fn victim() -> Vec<Vec<u8>> {
    vec![layer(&[("a", b"0123456789")])]
}

fn refused(operations: &[u8]) -> Error {
    let error = applied(&raw(operations), &victim()).expect_err("hostile");
    assert!(matches!(error.kind(), ErrorKind::Integrity | ErrorKind::Limit), "{error}");
    error
}

#[test]
fn every_operation_does_what_the_format_says() {
    let all = b"\x00\x02xy\x01\x01a\x02\x03\x04\x08\x03\x02\x01\xff\x04\x00\x02\x01\x00\x00";
    assert_eq!(applied(&raw(all), &victim()).expect("well formed"), b"xy012980");
}

/// A path of a delta leads out of the tree, or to nothing.
#[test]
fn p1_a_delta_reads_nothing_outside_of_the_tree() {
    for name in ["../a", "a/../../a", "/..", "x/.."] {
        let operations = [&[1, u8::try_from(name.len()).expect("short")], name.as_bytes(), &[2, 1]].concat();
        assert!(matches!(refused(&operations), Error::Layer(_)), "{name}");
    }
    assert!(matches!(refused(b"\x01\x03a/b\x02\x01"), Error::DeltaWants { .. }));
    assert!(matches!(refused(b"\x01\x00\x02\x01"), Error::DeltaWants { .. }));
    assert!(matches!(refused(b"\x01\x03a\0b"), Error::Layer(_)));
}

/// Numbers that lie.
#[test]
fn t6_a_delta_reads_nothing_behind_the_end_of_a_file() {
    for operations in [
        &b"\x02\x01"[..],
        b"\x03\x01x",
        b"\x04\x00",
        b"\x01\x01a\x02\x0b",
        b"\x01\x01a\x04\x0b",
        b"\x01\x01a\x04\x0a\x02\x01",
        b"\x01\x01a\x04\x05\x03\x06abcdef",
        b"\x01\x01a\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x01\x01a\x04\x05\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        b"\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x00\x02x",
        b"\x00",
        b"\x05\x00",
        b"\xff\x00",
    ] {
        assert!(matches!(refused(operations), Error::BadDelta { .. }), "{operations:x?}");
    }
}

#[test]
fn t5_a_path_that_is_too_long_is_refused_before_there_is_memory_for_it() {
    let error = refused(b"\x01\xff\xff\xff\xff\xff\xff\xff\x7f");
    assert_eq!(error.kind(), ErrorKind::Limit);
}

#[test]
fn t5_the_paths_of_all_deltas_together_are_bounded() {
    let opens = |names: std::ops::Range<u32>| {
        let operations = names.flat_map(|number| [&[1, 8][..], format!("f{number:07}").as_bytes()].concat());
        raw(&operations.collect::<Vec<_>>())
    };
    let (limits, cancel) = (Limits { documents: 10_000, ..Limits::default() }, Cancel::new());
    let mut paths = Paths::default();
    for _ in 0..9 {
        // The same ones take nothing more.
        paths.add(&opens(0..200)[..], &limits, &cancel).expect("within the limit");
    }
    let error = paths.add(&opens(200..400)[..], &limits, &cancel).expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
}

#[test]
fn of_files_of_one_name_that_of_the_nearest_size_is_taken() {
    let sizes = [5, 900, 31, 900, 40, 31];
    let names: Vec<String> = (0..sizes.len()).map(|number| format!("d{number}/lib.so")).collect();
    let content = noise(1000, 4);
    let all: Vec<_> = names.iter().zip(sizes).map(|(name, size)| (&**name, &content[..size])).collect();
    let files = files(&[layer(&all)], &Wanted::Searched);
    let taken = |size: u64| files.named_like(&path("new/lib.so"), size);
    for size in 0..1000u64 {
        let nearest = (0..sizes.len()).min_by_key(|at| (size.abs_diff(sizes[*at] as u64), *at));
        assert_eq!(taken(size), nearest, "{size}");
    }
}

#[test]
fn d1_a_delta_that_gives_too_much_is_refused() {
    let limits = Limits { size: 1000, ..Limits::default() };
    let files = files(&victim(), &Wanted::All);
    let copies = [&b"\x01\x01a"[..], &b"\x04\x00\x02\x0a".repeat(101)].concat();
    for operations in [copies, [&b"\x00\xe9\x07"[..], &[0; 1001]].concat()] {
        let delta = raw(&operations);
        let error = apply(&delta[..], &files, &limits, &Cancel::new(), &mut std::io::sink());
        assert_eq!(error.expect_err("a bomb").kind(), ErrorKind::Limit);
    }
}

#[test]
fn what_is_cut_or_no_delta_is_said() {
    let older = victim();
    let delta = delta(&older, &layer(&[("a", b"0123456789"), ("b", &noise(3000, 1))]), 1);
    for length in 0..delta.len() {
        let error = applied(&delta[..length], &older).expect_err("cut");
        assert_eq!(error.kind(), ErrorKind::Integrity, "{length}: {error}");
    }
    assert!(matches!(applied(b"tardf2\n\0", &older), Err(Error::NotADelta)));
    assert!(matches!(applied(b"", &older), Err(Error::NotADelta)));
}

#[test]
fn operations_that_go_on_are_one() {
    let mut script = Script::new(3, Vec::new()).expect("into memory");
    let a = path("a");
    for at in 0..4 {
        script.copy(&a, at, 1).expect("into memory");
    }
    script.data(b"x").expect("into memory");
    script.data(b"y").expect("into memory");
    script.copy(&a, 4, 1).expect("into memory");
    script.copy(&a, 0, 1).expect("into memory");
    let delta = script.finish().expect("into memory");
    assert!(delta == raw(b"\x01\x01a\x02\x04\x00\x02xy\x02\x01\x04\x00\x02\x01"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if testkit::full() { 2000 } else { 60 }))]

    /// What is applied is what the delta was made of.
    #[test]
    fn applying_gives_the_newer_layer(
        older in proptest::collection::btree_map("[a-c]{1,2}", (0usize..30_000, 0u64..4), 0..6),
        newer in proptest::collection::btree_map("[a-d]{1,2}", (0usize..30_000, 0u64..4, 0usize..30_000), 0..6),
    ) {
        let older: Vec<(String, Vec<u8>)> =
            older.into_iter().map(|(name, (length, seed))| (name, noise(length, seed))).collect();
        let newer: Vec<(String, Vec<u8>)> = newer
            .into_iter()
            .map(|(name, (length, seed, cut))| {
                let bytes = noise(length, seed);
                let cut = cut.min(length);
                (name, [&bytes[cut..], b"between", &bytes[..cut]].concat())
            })
            .collect();
        let content = |files: &[(String, Vec<u8>)]| {
            layer(&files.iter().map(|(name, bytes)| (&**name, &bytes[..])).collect::<Vec<_>>())
        };
        let (older, newer) = ([content(&older)], content(&newer));
        let delta = delta(&older, &newer, 2);
        prop_assert!(applied(&delta, &older).expect("applies") == newer);
    }

    /// Whatever stands where operations should be ends well or with an error, and within the limits.
    #[test]
    fn no_delta_is_trusted(operations in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(out) = applied(&raw(&operations), &victim()) {
            prop_assert!(out.len() <= 200 * 127);
        }
    }
}
