//! Laws of the store: a layer comes out as it came in, contents are kept once, and damage is found.

mod layers;

use layers::{Form, export, import, import_blob, sound_objects, sparse};
use orlop_fs::Dir;
use orlop_fs::lock::{Share, Wait};
use orlop_layer::{Entries as _, Kind as Is, Stages};
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::media_type::Compression;
use orlop_spec::{Diagnose as _, Fault, Kind, Limits};
use orlop_store::Store;
use orlop_store::error::Error;
use orlop_store::store::Options;
use orlop_store::store::layer::Held;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime};
use testkit::image::{gzip, zstd};
use testkit::scratch::{Scratch, scratch_in_memory};
use testkit::tarball::{Member, cut, tar};
use testkit::{full, noise, peer, proof};

/// How an archive ends.
#[derive(Clone, Debug)]
enum Tail {
    Missing,
    OneBlock,
    Marked,
    Garbage(usize),
}

/// One of few contents, so that many files have the same.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let length = prop::sample::select(vec![0, 1, 63, 64, 65, 512, 4000, 262_144, 262_145, 600_000]);
    (0..2u8, length).prop_map(|(seed, length)| vec![b'a' + seed; length])
}

fn form() -> impl Strategy<Value = Form> {
    prop::sample::select(Form::ALL.to_vec())
}

/// A sparse file: parts, each behind a hole that may be empty, and a hole behind them.
fn sparse_file() -> impl Strategy<Value = Vec<Member>> {
    let gap = || prop::sample::select(vec![0u64, 1, 60, 512, 5000, 300_000]);
    let length = prop::sample::select(vec![1usize, 2, 512, 1000, 300_000]);
    (form(), prop::collection::vec((gap(), length, any::<u8>()), 0..4), gap()).prop_map(
        |(form, list, behind)| {
            let (mut at, mut parts) = (0, Vec::new());
            for (gap, length, byte) in list {
                at += gap;
                parts.push((at, vec![byte; length]));
                at += length as u64;
            }
            sparse(form, "sparse", at + behind, &parts)
        },
    )
}

fn member() -> impl Strategy<Value = Vec<Member>> {
    let name = "[a-e]{1,3}";
    let named = |name: String, content: Vec<u8>| vec![Member::file(name, content)];
    prop_oneof![
        6 => (name, content()).prop_map(move |(name, content)| named(name, content)),
        2 => sparse_file(),
        1 => name.prop_map(|name| vec![Member::folder(name + "/")]),
        1 => (name, "[a-z]{1,90}").prop_map(|(name, to)| vec![Member::symlink(name, to)]),
        1 => (name, name).prop_map(|(name, to)| vec![Member::hard_link(name + ".link", to)]),
        1 => ("[n-z]{101,300}", content()).prop_map(|(name, content)| {
            vec![Member::long_name(name.as_bytes()), Member::file("cut", content)]
        }),
        1 => ("[n-z]{101,300}", content()).prop_map(|(name, content)| {
            vec![Member::pax(&[(b"path", name.as_bytes())]), Member::file("cut", content)]
        }),
        1 => (name, content()).prop_map(|(name, content)| vec![Member::file(format!(".wh.{name}"), content)]),
    ]
}

/// Any archive that is a layer: a member that reads as none is left out.
fn layer() -> impl Strategy<Value = Vec<u8>> {
    let tail = prop_oneof![
        Just(Tail::Missing),
        Just(Tail::OneBlock),
        Just(Tail::Marked),
        (1..200_000usize).prop_map(Tail::Garbage),
    ];
    (prop::collection::vec(member(), 0..10), tail).prop_map(|(members, tail)| {
        let members = members.into_iter().flatten();
        match tail {
            Tail::Missing => cut(members),
            Tail::OneBlock => [cut(members), vec![0; 512]].concat(),
            Tail::Marked => tar(members),
            Tail::Garbage(length) => [tar(members), noise(length as u64, length)].concat(),
        }
    })
}

fn config() -> ProptestConfig {
    let cases = if full() { 1000 } else { 96 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn store() -> (Scratch, Store) {
    let scratch = scratch_in_memory();
    let store = Store::create(scratch.path("store"), &Options::default()).expect("made");
    (scratch, store)
}

/// The contents of a layer's files by ordinal, as the reader of tars sees them.
fn files(layer: &[u8]) -> BTreeMap<u32, Vec<u8>> {
    let mut reader = orlop_layer::tar::Reader::new(layer, &Limits::default());
    let (mut files, mut ordinal) = (BTreeMap::new(), 0);
    while let Some(entry) = reader.next_entry().expect("sound") {
        if let Is::File { size } = entry.kind {
            let mut content = Vec::new();
            while let Some(chunk) = reader.next_chunk().expect("sound") {
                match chunk {
                    orlop_layer::Chunk::Data(bytes) => content.extend_from_slice(bytes),
                    orlop_layer::Chunk::Hole(length) => {
                        content.resize(content.len() + usize::try_from(length).expect("small"), 0);
                    }
                }
            }
            assert_eq!(content.len() as u64, size);
            if size > 0 {
                files.insert(ordinal, content);
            }
        }
        ordinal += 1;
    }
    files
}

fn held(content: &[u8]) -> (Option<Vec<u8>>, Digest) {
    let digest = Digest::of(Algorithm::Sha256, content);
    ((content.len() <= 64).then(|| content.to_vec()), digest)
}

/// Imports a layer, and compares what the store has of it with what it is.
fn goes_round(root: &Path, store: &Store, layer: &[u8], stages: Stages) {
    let decoded = import(store, layer, stages).unwrap_or_else(|fault| panic!("not imported: {fault}"));
    assert_eq!(decoded.diff_id.0, Digest::of(Algorithm::Sha256, layer));
    assert!(export(store, &decoded.diff_id).expect("it is there") == layer, "it comes out as it came in");
    let files = files(layer);
    let mut found = BTreeMap::new();
    let mut see = |ordinal, content: &Held| {
        found.insert(
            ordinal,
            match content {
                Held::Short(bytes) => held(bytes),
                Held::Object(object) => (None, object.digest),
            },
        );
        Ok(())
    };
    store.contents(&decoded.diff_id, &mut see).expect("it is there");
    assert_eq!(found, files.iter().map(|(ordinal, content)| (*ordinal, held(content))).collect());
    let kept: usize = sound_objects(root).len();
    let mut long: Vec<_> = files.values().filter(|content| content.len() > 64).collect();
    long.sort();
    long.dedup();
    assert!(kept >= long.len());
}

/// Whether the reader takes it: names that random members give twice may contradict each other.
fn is_layer(layer: &[u8]) -> bool {
    let (_scratch, scrap) = store();
    import(&scrap, layer, Stages::One).is_ok()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_layer_comes_out_as_it_came_in(layers in prop::collection::vec(layer(), 1..3)) {
        let (scratch, store) = store();
        for layer in layers.iter().filter(|layer| is_layer(layer)) {
            for stages in [Stages::One, Stages::Pipelined] {
                goes_round(&scratch.path("store"), &store, layer, stages);
            }
        }
    }

    #[test]
    fn any_records_are_read_or_refused(records in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(hostile(&records, None));
    }
}

fn sample() -> Vec<u8> {
    tar([
        Member::folder("d/"),
        Member::file("d/short", "short"),
        Member::file("d/long", [b'l'; 1000]),
        Member::file("d/same", [b'l'; 1000]),
        Member::file("d/large", noise(1, 700_000)),
    ]
    .into_iter()
    .chain(sparse(Form::Pax10, "sparse", 400_000, &[(1000, vec![b's'; 2000]), (300_000, vec![b't'; 3])])))
}

#[test]
fn every_form_of_a_sparse_file_comes_out_as_it_came_in() {
    let (scratch, store) = store();
    for form in Form::ALL {
        for (size, parts) in [
            (50, vec![(3, vec![b'a'; 5]), (20, vec![b'b'; 1])]),
            (50, vec![]),
            (5_000_000, vec![]),
            (5_000_000, vec![(0, vec![b'a'; 700_000]), (2_000_000, vec![b'b'; 10]), (2_000_010, vec![1])]),
            (8, vec![(0, vec![b'a'; 8])]),
        ] {
            let layer = tar(sparse(form, "f", size, &parts));
            goes_round(&scratch.path("store"), &store, &layer, Stages::One);
        }
    }
    // One hole or three, the content is one.
    assert_eq!(sound_objects(&scratch.path("store")).len(), 2);
}

#[test]
fn blocks_of_zeros_occupy_nothing_however_the_layer_says_them() {
    use std::os::unix::fs::MetadataExt as _;
    let scratch = testkit::scratch();
    let store = Store::create(scratch.path("store"), &Options::default()).expect("made");
    for length in [200_000, 3 << 20] {
        let content = [vec![0; length], vec![1; 10], vec![0; length]].concat();
        goes_round(&scratch.path("store"), &store, &tar([Member::file("f", content)]), Stages::One);
    }
    for object in sound_objects(&scratch.path("store")) {
        let blocks = object.metadata().expect("there").blocks();
        assert!(blocks * 512 < 64 << 10, "{} occupies {blocks} blocks", object.display());
    }
}

#[test]
fn compressed_layers_come_out_uncompressed() {
    let (_scratch, store) = store();
    let layer = sample();
    for (blob, compression) in [(gzip(&layer), Compression::Gzip), (zstd(&layer), Compression::Zstd)] {
        let decoded = import_blob(&store, &blob, compression, Stages::Pipelined).expect("imported");
        assert!(export(&store, &decoded.diff_id).expect("it is there") == layer);
    }
}

#[test]
fn a_content_is_kept_once_over_all_layers_and_never_written_again() {
    use std::os::unix::fs::MetadataExt as _;
    let (scratch, store) = store();
    let root = scratch.path("store");
    import(&store, &tar([Member::file("a", [7; 1000]), Member::file("b", [7; 1000])]), Stages::One)
        .expect("one");
    let [object] = &sound_objects(&root)[..] else { panic!("one content") };
    let long_ago = SystemTime::now() - Duration::from_secs(1_000_000);
    fs::File::open(object).and_then(|file| file.set_modified(long_ago)).expect("set");
    let before = object.metadata().expect("there");
    import(&store, &tar([Member::file("c", [7; 1000]), Member::file("d", "short")]), Stages::One)
        .expect("two");
    let after = object.metadata().expect("there");
    assert_eq!(sound_objects(&root).len(), 1);
    assert_eq!((before.ino(), before.size()), (after.ino(), after.size()), "it is the same file");
    let age = SystemTime::now().duration_since(after.modified().expect("a time")).unwrap_or_default();
    assert!(age < Duration::from_secs(1000), "whoever relies on it touches it");
}

#[test]
fn a_content_that_lost_power_is_written_anew() {
    let (scratch, store) = store();
    let decoded = import(&store, &sample(), Stages::One).expect("imported");
    for object in sound_objects(&scratch.path("store")) {
        fs::remove_file(&object).expect("removed");
        fs::write(&object, "").expect("cut");
    }
    let fault = export(&store, &decoded.diff_id).expect_err("cut");
    assert!(matches!(fault.downcast_ref(), Some(Error::ObjectDamaged { .. })), "{fault}");
    goes_round(&scratch.path("store"), &store, &sample(), Stages::One);
}

#[test]
fn a_missing_or_damaged_object_is_named() {
    let (scratch, store) = store();
    let decoded = import(&store, &sample(), Stages::One).expect("imported");
    let objects = sound_objects(&scratch.path("store"));
    assert_eq!(objects.len(), 3);
    for path in objects {
        let sound = fs::read(&path).expect("it can be read");
        let hex: String = path
            .components()
            .rev()
            .take(2)
            .map(|part| part.as_os_str().display().to_string())
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        let named = |fault: &Fault| fault.to_string().contains(&hex) && fault.kind() == Kind::Integrity;
        for bit in [0, 8 * sound.len() / 2, 8 * sound.len() - 1] {
            let mut flipped = sound.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            replace(&path, &flipped);
            let fault = export(&store, &decoded.diff_id).expect_err("damaged");
            assert!(
                matches!(fault.downcast_ref(), Some(Error::ObjectDamaged { .. })) && named(&fault),
                "{fault}"
            );
        }
        fs::remove_file(&path).expect("removed");
        let fault = export(&store, &decoded.diff_id).expect_err("missing");
        assert!(
            matches!(fault.downcast_ref(), Some(Error::ObjectMissing { .. })) && named(&fault),
            "{fault}"
        );
        fs::write(&path, &sound).expect("put back");
    }
    assert!(export(&store, &decoded.diff_id).expect("whole again") == sample());
}

fn replace(path: &Path, content: &[u8]) {
    fs::remove_file(path).expect("removed");
    fs::write(path, content).expect("written");
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_list_is_found() {
    let (scratch, store) = store();
    let decoded = import(&store, &tar([Member::file("a", [7; 1000])]), Stages::One).expect("imported");
    let path = scratch.path("store/layers/sha256").join(decoded.diff_id.0.hex());
    let sound = fs::read(&path).expect("it can be read");
    let refused = |list: &[u8], what: String| {
        replace(&path, list);
        let fault = export(&store, &decoded.diff_id).expect_err(&what);
        assert!(matches!(fault.downcast_ref(), Some(Error::ListDamaged { .. })), "{what}: {fault}");
    };
    for bit in 0..8 * sound.len() {
        let mut flipped = sound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&flipped, format!("bit {bit}"));
    }
    for length in 0..sound.len() {
        refused(&sound[..length], format!("{length} bytes"));
    }
    refused(&[&sound[..], b"x"].concat(), "one more".into());
}

/// Reads a list of these records, whose sha256 is right; what comes out of it.
fn hostile(records: &[u8], start: Option<&[u8]>) -> Result<Vec<u8>, Fault> {
    let (scratch, store) = store();
    let mut list = [start.unwrap_or(b"orlop layer 1\n\0\0"), &zstd(records)].concat();
    list.extend_from_slice(Digest::of(Algorithm::Sha256, &list).bytes());
    let diff_id = DiffId(Digest::of(Algorithm::Sha256, b"hello"));
    fs::create_dir_all(scratch.path("store/layers/sha256")).expect("made");
    fs::write(scratch.path("store/layers/sha256").join(diff_id.0.hex()), list).expect("written");
    let outcome = export(&store, &diff_id);
    let contents = store.contents(&diff_id, &mut |_, _| Ok(()));
    assert!(outcome.is_err() || contents.is_ok());
    outcome
}

fn end(size: u64, of: &[u8]) -> Vec<u8> {
    let text = DiffId(Digest::of(Algorithm::Sha256, of)).to_string();
    let length = u8::try_from(text.len()).expect("short");
    [&[0][..], &size.to_le_bytes(), &[length], text.as_bytes()].concat()
}

fn literal(claimed: u32, bytes: &[u8]) -> Vec<u8> {
    [&[1][..], &claimed.to_le_bytes(), bytes].concat()
}

fn short(ordinal: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("short");
    [&[2][..], &ordinal.to_le_bytes(), &[length], bytes].concat()
}

fn parted(ordinal: u32, bytes: &[u8], count: u32, parts: &[(u64, u64)]) -> Vec<u8> {
    let mut record = short(ordinal, bytes);
    record[0] = 18;
    record.extend_from_slice(&count.to_le_bytes());
    for (offset, length) in parts {
        record.extend_from_slice(&offset.to_le_bytes());
        record.extend_from_slice(&length.to_le_bytes());
    }
    record
}

#[test]
fn a_list_that_is_drawn_by_hand_is_read() {
    let records = [literal(2, b"he"), parted(4, b"..ll.", 1, &[(2, 2)]), short(7, b"o"), end(5, b"hello")];
    assert_eq!(hostile(&records.concat(), None).expect("sound"), b"hello");
}

#[test]
fn hostile_lists_are_refused() {
    let object = |size: u64| [&[3][..], &0u32.to_le_bytes(), &size.to_le_bytes(), &[0; 32]].concat();
    let tail = end(5, b"hello");
    let refused: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("no end", literal(5, b"hello")),
        ("another size", [literal(5, b"hello"), end(6, b"hello")].concat()),
        ("another layer", [literal(5, b"hello"), end(5, b"other")].concat()),
        ("no digest", [literal(5, b"hello"), vec![0, 5, 0, 0, 0, 0, 0, 0, 0, 1, b'x']].concat()),
        ("more behind", [literal(5, b"hello"), tail.clone(), vec![0]].concat()),
        ("an empty run", [literal(0, b""), literal(5, b"hello"), tail.clone()].concat()),
        ("a run without an end", literal(u32::MAX, b"hello")),
        ("an unknown kind", [vec![9], tail.clone()].concat()),
        ("an empty content", [short(0, b""), literal(5, b"hello"), tail.clone()].concat()),
        ("a short content too long", [short(0, &[b'x'; 65]), tail.clone()].concat()),
        ("a long content too short", [object(64), tail.clone()].concat()),
        ("one entry twice", [short(0, b"he"), short(0, b"llo"), tail.clone()].concat()),
        ("a part outside", [parted(0, b"hello", 1, &[(1, 5)]), tail.clone()].concat()),
        ("a part beyond all", [parted(0, b"hello", 1, &[(u64::MAX, 2)]), tail.clone()].concat()),
        ("an empty part", [parted(0, b"hello", 2, &[(0, 5), (5, 0)]), tail.clone()].concat()),
        ("parts that overlap", [parted(0, b"hello", 2, &[(0, 3), (2, 3)]), end(6, b"hello")].concat()),
        ("more parts than there are", parted(0, b"hello", u32::MAX, &[(0, 5)])),
    ];
    for (what, records) in refused {
        let fault = hostile(&records, None).expect_err(what);
        assert!(matches!(fault.downcast_ref(), Some(Error::ListDamaged { .. })), "{what}: {fault}");
    }
    let missing = hostile(&[object(65), tail.clone()].concat(), None).expect_err("no such object");
    assert!(matches!(missing.downcast_ref(), Some(Error::ObjectMissing { .. })), "{missing}");
    let sound = [literal(5, b"hello"), tail].concat();
    let newer = hostile(&sound, Some(b"orlop layer 2\n\0\0")).expect_err("newer");
    assert!(matches!(newer.downcast_ref(), Some(Error::UnknownVersion { .. })), "{newer}");
    let other = hostile(&sound, Some(b"another form....")).expect_err("other");
    assert!(matches!(other.downcast_ref(), Some(Error::ListDamaged { .. })), "{other}");
}

#[test]
fn a_damaged_list_is_written_anew() {
    let (scratch, store) = store();
    let layer = sample();
    let decoded = import(&store, &layer, Stages::One).expect("imported");
    let list = scratch.path("store/layers/sha256").join(decoded.diff_id.0.hex());
    let sound = fs::read(&list).expect("it can be read");
    replace(&list, &sound[1..]);
    goes_round(&scratch.path("store"), &store, &layer, Stages::Pipelined);
    assert!(fs::read(&list).expect("it can be read") == sound, "a layer has one list");
}

#[test]
fn a_layer_that_is_not_there_is_not_found() {
    let (_scratch, store) = store();
    let fault = export(&store, &DiffId(Digest::of(Algorithm::Sha256, b"x"))).expect_err("nothing there");
    assert!(fault.is_absence() && fault.kind() == Kind::NotFound, "{fault}");
}

#[test]
fn a_damaged_layer_leaves_no_list() {
    let (scratch, store) = store();
    let layer = sample();
    import(&store, &layer[..layer.len() / 2], Stages::One).expect_err("cut inside a content");
    assert_eq!(scratch.path("store/layers").read_dir().expect("a folder").count(), 0);
    sound_objects(&scratch.path("store"));
}

#[test]
fn many_importers_at_once_keep_every_content_once() {
    let (scratch, store) = store();
    let root = scratch.path("store");
    let rounds = if full() { 100 } else { 10 };
    for round in 0..rounds {
        let shared: Vec<_> = (0..40u64).map(|file| noise(1000 * round + file, 3000)).collect();
        let layer = |own: u64| {
            let own = Member::file("own", noise(own, 300_000));
            let files =
                shared.iter().enumerate().map(|(at, content)| Member::file(format!("f{at}"), content));
            tar(files.chain([own]))
        };
        thread::scope(|threads| {
            for importer in 0..4 {
                let (root, layer) = (&root, &layer);
                threads.spawn(move || {
                    let store = Store::create(root, &Options::default()).expect("a store");
                    let layer = layer(importer / 2);
                    let decoded = import(&store, &layer, Stages::One).expect("imported");
                    assert!(export(&store, &decoded.diff_id).expect("it is there") == layer);
                });
            }
        });
        assert_eq!(sound_objects(&root).len() as u64, 2 + 40 * (round + 1));
    }
    drop(store);
    proof::ran("store: several importers at once", usize::try_from(rounds).expect("small"));
}

/// A sweep holds a folder of objects alone while it looks at ages and unlinks.
#[test]
fn nobody_touches_or_links_an_object_while_a_sweep_has_its_folder() {
    let (scratch, store) = store();
    let (seen, layer) = (tar([Member::file("a", [7; 1000])]), tar([Member::file("b", [7; 1000])]));
    import(&store, &seen, Stages::One).expect("imported");
    let [object] = &sound_objects(&scratch.path("store"))[..] else { panic!("one content") };
    let folder = Dir::open(object.parent().expect("a folder")).expect("opened");
    for present in [true, false] {
        let lock = folder.lock(Share::Exclusive, Wait::Yes).expect("locked");
        if !present {
            fs::remove_file(object).expect("swept");
        }
        thread::scope(|threads| {
            let ((tell, told), store, layer) = (channel(), &store, &layer);
            let importer = threads.spawn(move || {
                import(store, layer, Stages::One).expect("imported");
                tell.send(()).expect("somebody listens");
            });
            told.recv_timeout(Duration::from_millis(200)).expect_err("it waits for the lock");
            drop(lock);
            importer.join().expect("no panic");
        });
        assert_eq!(sound_objects(&scratch.path("store")).len(), 1);
    }
}

/// A tree with what tars spell in different ways.
fn tree(scratch: &Scratch) {
    let root = scratch.folder("tree");
    let long = "n".repeat(200);
    fs::create_dir_all(root.join(&long)).expect("made");
    fs::write(root.join("short"), "short").expect("written");
    fs::write(root.join(&long).join("long"), noise(3, 100_000)).expect("written");
    fs::write(root.join("same"), noise(3, 100_000)).expect("written");
    fs::hard_link(root.join("same"), root.join("twin")).expect("linked");
    std::os::unix::fs::symlink(&long, root.join("link")).expect("linked");
    let sparse = fs::File::create(root.join("sparse")).expect("made");
    sparse.set_len(10 << 20).expect("grown");
    for at in 0..30u64 {
        std::os::unix::fs::FileExt::write_all_at(&sparse, &[b's'; 4096], at * 262_144).expect("written");
    }
}

#[test]
fn archives_of_other_writers_come_out_as_they_came_in() {
    let scratch = scratch_in_memory();
    tree(&scratch);
    let store = Store::create(scratch.path("store"), &Options::default()).expect("made");
    let python =
        "import sys, tarfile\nwith tarfile.open(sys.argv[1], 'w', format=int(sys.argv[2])) as t: t.add('.')";
    let forms: [(&str, &[&str]); 9] = [
        ("tar", &["-S", "--format=gnu", "-cf"]),
        ("tar", &["-S", "--format=posix", "--sparse-version=0.0", "-cf"]),
        ("tar", &["-S", "--format=posix", "--sparse-version=0.1", "-cf"]),
        ("tar", &["-S", "--format=posix", "--sparse-version=1.0", "-cf"]),
        ("tar", &["--format=oldgnu", "-cf"]),
        ("bsdtar", &["--format=pax", "-cf"]),
        ("bsdtar", &["--format=gnutar", "-cf"]),
        ("python3", &["-c", python, "1"]),
        ("python3", &["-c", python, "2"]),
    ];
    for (name, args) in forms {
        let Some(tool) = peer(name) else {
            proof::skipped(&format!("store: archives of {name}"), "it is not installed");
            continue;
        };
        let archive = scratch.path("a.tar");
        let tool = tool.command().current_dir(scratch.path("tree"));
        match args {
            ["-c", program, format] => tool.args(["-c", *program]).arg(&archive).arg(format).ok(),
            _ => tool.args(args).arg(&archive).arg(".").ok(),
        };
        let layer = fs::read(&archive).expect("it was written");
        goes_round(&scratch.path("store"), &store, &layer, Stages::One);
    }
    // Two contents, whoever wrote the archive: the sparse file and the others.
    assert_eq!(sound_objects(&scratch.path("store")).len(), 2);
    proof::ran("store: archives of other writers", forms.len());
}
