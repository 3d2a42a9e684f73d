//! Laws of forms: a blob that is said to be made again is, to the bit; any other one is left alone.

mod layers;

use layers::{export, import, import_blob, sparse};
use orlop_layer::codec::{Blocks, FRAMING};
use orlop_layer::{Codec, Stages};
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::media_type::{Compression, MediaType, OCI_LAYER};
use orlop_spec::{Cancel, Descriptor, Kind};
use orlop_store::Store;
use orlop_store::error::Error;
use orlop_store::store::Options;
use orlop_store::store::form::{Form, How, Recipe, guess};
use proptest::prelude::*;
use std::fs;
use std::io::{Read as _, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use testkit::scratch::{Scratch, scratch_in_memory};
use testkit::tarball::{Member, tar};
use testkit::{full, noise, peer, proof};

fn content() -> impl Strategy<Value = Vec<u8>> {
    let length = prop::sample::select(vec![0, 1, 64, 65, 3000, 70_000, 600_000]);
    (any::<u8>(), any::<bool>(), length).prop_map(|(seed, is_noise, length)| {
        if is_noise { noise(seed.into(), length) } else { vec![seed; length] }
    })
}

fn layer() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(("[a-z]{1,9}", content()), 0..6)
        .prop_map(|files| tar(files.into_iter().map(|(name, content)| Member::file(name, content))))
}

/// Any level; the slow ones are tried by a whole run.
fn codec() -> impl Strategy<Value = Codec> {
    let most: (u8, u8) = if full() { (12, 22) } else { (9, 7) };
    prop_oneof![
        1 => Just(Codec::None),
        4 => (1..=most.0).prop_map(|level| Codec::Gzip { level }),
        4 => (1..=most.1).prop_map(|level| Codec::Zstd { level }),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if full() { 600 } else { 24 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn store() -> (Scratch, Store) {
    let scratch = scratch_in_memory();
    let store = Store::create(scratch.path("store"), &Options::default()).expect("made");
    (scratch, store)
}

fn compressed(codec: Codec, input: &[u8]) -> Vec<u8> {
    let mut blocks = Blocks::new(codec, Vec::new());
    blocks.write_all(input).expect("into memory");
    blocks.finish().expect("into memory")
}

fn described(blob: &[u8]) -> Descriptor {
    let digest = Digest::of(Algorithm::Sha256, blob);
    Descriptor::new(MediaType::new(OCI_LAYER), digest, blob.len() as u64)
}

const WORKERS: NonZeroUsize = NonZeroUsize::new(3).expect("some");

/// Takes a blob in, and says by which codec it was proven to be made.
fn taken(store: &Store, blob: &[u8], compression: Compression) -> (DiffId, Option<Codec>) {
    let decoded = import_blob(store, blob, compression, Stages::One).expect("a layer");
    let guess = guess(&mut &blob[..], compression, blob.len() as u64).expect("read");
    let is_proven = |codec: &Codec| {
        let pair = (&described(blob), &decoded.diff_id);
        store.prove(pair, *codec, WORKERS, &Cancel::new()).expect("the layer is there")
    };
    (decoded.diff_id, guess.filter(is_proven))
}

fn rebuilt(store: &Store, blob: &[u8], diff_id: DiffId, codec: Codec) -> Vec<u8> {
    let (digest, size) = (Digest::of(Algorithm::Sha256, blob), blob.len() as u64);
    let form = Form { diff_id, size, how: How::Made(codec.into()) };
    store.forms().set(&digest, &form).expect("noted");
    let form = store.forms().get(&digest).expect("read").expect("there");
    let (cancel, mut out) = (Cancel::new(), Vec::new());
    let mut made = store.rebuild(&digest, &form, WORKERS, &cancel).expect("it can be made");
    made.read_to_end(&mut out).expect("the layer is there");
    out
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_we_made_is_known_and_made_again(layer in layer(), codec in codec()) {
        let (_scratch, store) = store();
        let blob = compressed(codec, &layer);
        let (diff_id, found) = taken(&store, &blob, codec.compression());
        // Two levels may begin alike: then the blob is kept, and nothing is said that is not so.
        if let Some(found) = found {
            prop_assert!(rebuilt(&store, &blob, diff_id, found) == blob);
        } else {
            prop_assert!(layer.len() > 512 << 10, "a single block tells all");
        }
    }

    #[test]
    fn one_other_bit_is_another_blob(layer in layer(), codec in codec(), at in any::<prop::sample::Index>()) {
        let (_scratch, store) = store();
        let blob = compressed(codec, &layer);
        let decoded = import_blob(&store, &blob, codec.compression(), Stages::One).expect("a layer");
        let mut other = blob;
        let at = at.index(8 * other.len());
        other[at / 8] ^= 1 << (at % 8);
        let proven = store.prove((&described(&other), &decoded.diff_id), codec, WORKERS, &Cancel::new());
        prop_assert!(!proven.expect("the layer is there"));
    }

    #[test]
    fn any_bytes_are_a_form_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let (scratch, store) = store();
        let digest = Digest::of(Algorithm::Sha256, b"a blob");
        fs::create_dir_all(scratch.path("store/forms/sha256")).expect("made");
        fs::write(path(&scratch, &digest), bytes).expect("written");
        let fault = store.forms().get(&digest).expect_err("no form");
        let is_named = matches!(fault.downcast_ref(), Some(Error::FormDamaged { .. }));
        prop_assert!(is_named, "{}", fault);
    }
}

fn path(scratch: &Scratch, blob: &Digest) -> PathBuf {
    scratch.path("store/forms/sha256").join(blob.hex())
}

/// Many blocks, of which the first tells the level.
fn large() -> Vec<u8> {
    let words = noise(5, 4000);
    let text: Vec<u8> =
        noise(7, 700_000).iter().flat_map(|at| &words[usize::from(*at) * 12..][..12]).copied().collect();
    tar([
        Member::file("text", text),
        Member::file("noise", noise(3, 900_000)),
        Member::file("zeros", vec![0; 3 << 20]),
    ])
}

#[test]
fn large_layers_of_every_usual_level_are_made_again() {
    let (_scratch, store) = store();
    let layer = large();
    let levels = [
        Codec::GZIP,
        Codec::Gzip { level: 1 },
        Codec::Gzip { level: 9 },
        Codec::ZSTD,
        Codec::Zstd { level: 9 },
    ];
    for codec in levels {
        let blob = compressed(codec, &layer);
        let (diff_id, found) = taken(&store, &blob, codec.compression());
        assert_eq!(found, Some(codec));
        assert!(rebuilt(&store, &blob, diff_id, codec) == blob, "{codec}");
    }
}

#[test]
fn sparse_layers_of_every_form_are_made_again() {
    for form in layers::Form::ALL {
        let (_scratch, store) = store();
        let parts = [(1000, noise(1, 2000)), (700_000, noise(2, 300_000))];
        let layer = tar(sparse(form, "sparse", 2_000_000, &parts));
        let decoded = import(&store, &layer, Stages::One).expect("a layer");
        assert!(export(&store, &decoded.diff_id).expect("it is there") == layer);
        for codec in [Codec::None, Codec::GZIP, Codec::ZSTD] {
            let blob = compressed(codec, &layer);
            assert_eq!(taken(&store, &blob, codec.compression()), (decoded.diff_id, Some(codec)));
            assert!(rebuilt(&store, &blob, decoded.diff_id, codec) == blob, "{form:?} {codec}");
        }
    }
}

/// A blob that begins as ours and goes on otherwise is found by the proof alone.
#[test]
fn a_first_block_proves_nothing_of_the_second() {
    let (_scratch, store) = store();
    let layer = large();
    let (first, rest) = layer.split_at(512 << 10);
    let blob = [compressed(Codec::GZIP, first), compressed(Codec::Gzip { level: 9 }, rest)].concat();
    let head = guess(&mut &blob[..], Compression::Gzip, blob.len() as u64).expect("read");
    assert_eq!(head, Some(Codec::GZIP));
    assert_eq!(taken(&store, &blob, Compression::Gzip).1, None);
}

/// What other programs compress is theirs, unless it happens to be what ours writes.
#[test]
fn blobs_of_other_programs_are_left_alone() {
    let (small, layer) = (tar([Member::file("hello", "hello, world\n".repeat(900))]), large());
    let programs: [(&str, &[&str], Compression); 6] = [
        ("gzip", &["-nc"], Compression::Gzip),
        ("gzip", &["-nc9"], Compression::Gzip),
        ("pigz", &["-nc"], Compression::Gzip),
        ("pigz", &["-nc", "-11"], Compression::Gzip),
        ("zstd", &["-qc"], Compression::Zstd),
        ("zstd", &["-qc", "--no-check"], Compression::Zstd),
    ];
    for (name, arguments, compression) in programs {
        let proof = format!("store: blobs of {name} are left alone");
        let Some(peer) = peer(name) else {
            proof::skipped(&proof, &format!("{name} is missing"));
            continue;
        };
        let (_scratch, store) = store();
        for input in [&small, &layer] {
            let blob = peer.command().args(arguments).input(input.clone()).ok().stdout;
            let (diff_id, found) = taken(&store, &blob, compression);
            assert_eq!(diff_id.0, Digest::of(Algorithm::Sha256, input));
            assert_eq!(found, None, "{peer} {arguments:?}");
        }
        proof::ran(&proof, 2);
    }
}

fn sample(how: How) -> (Digest, Form) {
    let diff_id = DiffId(Digest::of(Algorithm::Sha512, b"a layer"));
    (Digest::of(Algorithm::Sha512, b"a blob"), Form { diff_id, size: u64::MAX, how })
}

#[test]
fn what_is_said_of_a_blob_is_read_as_it_was_said() {
    let (scratch, store) = store();
    let recipe = |codec, framing| How::Made(Recipe { codec, framing });
    for how in [
        How::Kept,
        How::Gone,
        recipe(Codec::None, FRAMING),
        recipe(Codec::Gzip { level: 12 }, FRAMING),
        recipe(Codec::Zstd { level: 22 }, u32::MAX),
    ] {
        let (digest, form) = sample(how);
        assert_eq!(
            store.forms().get(&Digest::of(Algorithm::Sha512, how.to_string().as_bytes())).expect("read"),
            None
        );
        store.forms().set(&digest, &form).expect("noted, or noted anew");
        assert_eq!(store.forms().get(&digest).expect("read"), Some(form));
        assert_eq!(store.forms().rely_on(&digest).expect("read"), Some(form));
    }
    let folder = scratch.path("store/forms/sha512");
    assert_eq!(fs::read_dir(folder).expect("made").count(), 1, "nothing is left beside it");
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_form_is_found() {
    let (scratch, store) = store();
    let (_, form) = sample(How::Made(Codec::GZIP.into()));
    let digest = Digest::of(Algorithm::Sha256, b"a blob");
    store.forms().set(&digest, &form).expect("noted");
    let file = path(&scratch, &digest);
    let sound = fs::read(&file).expect("there");
    let refused = |bytes: &[u8], what: String| {
        fs::remove_file(&file).expect("removed");
        fs::write(&file, bytes).expect("written");
        let fault = store.forms().get(&digest).expect_err(&what);
        assert!(matches!(fault.downcast_ref(), Some(Error::FormDamaged { .. })), "{what}: {fault}");
        assert_eq!(fault.kind(), Kind::Integrity);
    };
    for bit in 0..8 * sound.len() {
        let mut flipped = sound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&flipped, format!("bit {bit}"));
    }
    for length in 0..sound.len() {
        refused(&sound[..length], format!("{length} bytes"));
    }
    refused(&[&sound[..], b"\n"].concat(), "one more".into());
    refused(&vec![b'x'; 1 << 20], "a long one".into());
    store.forms().set(&digest, &form).expect("a damaged one is written anew");
    assert_eq!(store.forms().get(&digest).expect("read"), Some(form));
}

/// Bytes that are proven, and yet no form: one spelling each.
#[test]
fn other_spellings_and_newer_versions_are_refused() {
    let (scratch, store) = store();
    let digest = Digest::of(Algorithm::Sha256, b"a blob");
    let layer = format!("layer {}", Digest::of(Algorithm::Sha256, b"a layer"));
    fs::create_dir_all(scratch.path("store/forms/sha256")).expect("made");
    let read = |lines: &str| {
        let proof = Digest::of(Algorithm::Sha256, lines.as_bytes()).hex();
        fs::write(path(&scratch, &digest), format!("{lines}sha256 {proof}\n")).expect("written");
        store.forms().get(&digest)
    };
    assert!(read(&format!("orlop form 1\n{layer}\nsize 7\nkept\n")).expect("sound").is_some());
    for lines in [
        format!("orlop form 1\n{layer}\nsize 07\nkept\n"),
        format!("orlop form 1\n{layer}\nsize +7\nkept\n"),
        format!("orlop form 1\n{layer}\nsize 7\nmade gzip 1\n"),
        format!("orlop form 1\n{layer}\nsize 7\nmade gzip:6 01\n"),
        format!("orlop form 1\n{layer}\nsize 7\nmade gzip:13 1\n"),
        format!("orlop form 1\n{layer}\nsize 7\nkept\nkept\n"),
        format!("orlop form 1\n{layer}\nsize 7\nKept\n"),
        format!("orlop form 1\n{}\nsize 7\nkept\n", layer.to_uppercase()),
        "something else\n".into(),
        String::new(),
    ] {
        let fault = read(&lines).expect_err(&lines);
        assert!(matches!(fault.downcast_ref(), Some(Error::FormDamaged { .. })), "{lines}: {fault}");
    }
    let fault = read("orlop form 2\nwhatever\n").expect_err("newer");
    assert!(matches!(fault.downcast_ref(), Some(Error::UnknownVersion { .. })), "{fault}");
}

#[test]
fn what_is_gone_or_of_another_version_is_not_handed_out() {
    let (_scratch, store) = store();
    let cancel = Cancel::new();
    let refused = |how| {
        let (digest, form) = sample(how);
        store.rebuild(&digest, &form, WORKERS, &cancel).map(drop).expect_err("not made")
    };
    assert!(matches!(refused(How::Gone).downcast_ref(), Some(Error::BlobGone { .. })));
    let recipe = Recipe { codec: Codec::GZIP, framing: FRAMING + 1 };
    assert!(matches!(refused(How::Made(recipe)).downcast_ref(), Some(Error::OtherFraming { .. })));
}

/// A layer that lost an object cannot prove anything, and says so.
#[test]
fn a_proof_tells_damage_of_the_store_from_another_blob() {
    let (scratch, store) = store();
    let layer = tar([Member::file("f", noise(1, 5000))]);
    let blob = compressed(Codec::GZIP, &layer);
    let decoded = import_blob(&store, &blob, Compression::Gzip, Stages::One).expect("a layer");
    let [object] = &layers::sound_objects(&scratch.path("store"))[..] else { panic!("one") };
    fs::remove_file(object).expect("removed");
    let pair = (&described(&blob), &decoded.diff_id);
    let fault = store.prove(pair, Codec::GZIP, WORKERS, &Cancel::new()).expect_err("missing");
    assert!(matches!(fault.downcast_ref(), Some(Error::ObjectMissing { .. })), "{fault}");
}
