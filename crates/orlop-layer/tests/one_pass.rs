//! Laws of `decode` and `encode`: both digests are proven, errors come back as they are, bytes do not depend on
//! threads.

use orlop_layer::Budget;
use orlop_layer::encode::recompress;
use orlop_layer::{
    Chunk, Codec, Decode, Decoded, Encode, Encoded, Entries, Entry, Error, Kind, Meta, Stages, Time,
    TreePath, Verified, Visit, decode, encode,
};
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::media_type::Compression;
use orlop_spec::{Cancel, Descriptor, Fault, Limits};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::tarball::{Member, tar};

const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Gzip { level: 1 },
    Codec::Gzip { level: 6 },
    Codec::Zstd { level: 3 },
    Codec::Zstd { level: 7 },
];
const BOTH: [Stages; 2] = [Stages::One, Stages::Pipelined];

/// Files of bytes that compress a little, of given sizes.
struct Files {
    sizes: Vec<usize>,
    next: usize,
    content: Vec<u8>,
    given: bool,
}

impl Files {
    fn new(sizes: &[usize]) -> Self {
        Self { sizes: sizes.to_vec(), next: 0, content: Vec::new(), given: false }
    }
}

/// Sixteen letters without an order: half of it can be compressed away.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let mut noise = Vec::with_capacity(length + 8);
    while noise.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let letters = ((state ^ state >> 32) & 0x0f0f_0f0f_0f0f_0f0f) + 0x6161_6161_6161_6161;
        noise.extend_from_slice(&letters.to_le_bytes());
    }
    noise.truncate(length);
    noise
}

impl Entries for Files {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let Some(size) = self.sizes.get(self.next) else { return Ok(None) };
        let path = TreePath::parse(format!("f{:06}", self.next).as_bytes()).expect("plain");
        let seconds = i64::try_from(self.next).expect("small");
        let meta = Meta { mode: 0o644, mtime: Time::from_seconds(seconds), ..Meta::default() };
        self.content = noise(self.next, *size);
        self.given = self.content.is_empty();
        self.next += 1;
        Ok(Some(Entry { path, meta, kind: Kind::File { size: *size as u64 } }))
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        let given = std::mem::replace(&mut self.given, true);
        Ok((!given).then_some(Chunk::Data(&self.content)))
    }
}

fn encoded(sizes: &[usize], codec: Codec, workers: usize) -> (Encoded, Vec<u8>) {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let workers = NonZeroUsize::new(workers).expect("some");
    let algorithm = Algorithm::Sha256;
    let how = Encode { codec, algorithm, workers, limits: &limits, cancel: &cancel, progress: &|_| () };
    let mut blob = Vec::new();
    let encoded = encode(&mut Files::new(sizes), &how, &mut blob).expect("encodes");
    (encoded, blob)
}

fn blob_of(bytes: &[u8]) -> Descriptor {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    Descriptor::new(orlop_spec::MediaType::new("application/octet-stream"), digest, bytes.len() as u64)
}

struct Given<'a> {
    compression: Compression,
    expected: Option<DiffId>,
    stages: Stages,
    limits: &'a Limits,
    cancel: &'a Cancel,
}

fn decoded(
    bytes: impl Read + Send,
    blob: &Descriptor,
    given: &Given<'_>,
    visitor: &mut dyn Visit,
) -> Result<Decoded, Error> {
    let seen = AtomicU64::new(0);
    let progress = |count| {
        seen.fetch_add(count, Ordering::Relaxed);
    };
    let &Given { compression, expected, stages, limits, cancel } = given;
    let budget = &Budget::new(limits.size);
    let how = Decode { compression, expected, layer: 3, limits, budget, cancel, stages, progress: &progress };
    let mut blob_bytes = Verified::new(bytes, blob).expect("sha256");
    let result = decode(&mut blob_bytes, &how, visitor);
    if result.is_ok() {
        assert_eq!(seen.into_inner(), blob.size);
    }
    result
}

fn simply(bytes: &[u8], compression: Compression, stages: Stages) -> Result<Decoded, Error> {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let given = Given { compression, expected: None, stages, limits: &limits, cancel: &cancel };
    decoded(bytes, &blob_of(bytes), &given, &mut ())
}

/// Remembers what it sees; fails or panics at an entry.
#[derive(Default)]
struct Watcher {
    entries: Vec<(u32, u64, Entry)>,
    content: Vec<u8>,
    ended: bool,
    full_at: Option<usize>,
    panic_at: Option<usize>,
}

impl Visit for Watcher {
    fn entry(&mut self, ordinal: u32, offset: u64, entry: &Entry) -> Result<(), Error> {
        assert_ne!(self.panic_at, Some(self.entries.len()), "a visitor with a defect");
        if self.full_at == Some(self.entries.len()) {
            return Err(Error::Write(io::ErrorKind::StorageFull.into()));
        }
        self.entries.push((ordinal, offset, entry.clone()));
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.content.extend_from_slice(bytes);
        Ok(())
    }

    fn hole(&mut self, _: u64) -> Result<(), Error> {
        panic!("a canonical tar has no holes")
    }

    fn end(&mut self) -> Result<(), Error> {
        self.ended = true;
        Ok(())
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    let sizes = [0, 1, 511, 512, 513, 3_000_000, 7, 6_000_000];
    let content: Vec<u8> = sizes.iter().enumerate().flat_map(|(seed, length)| noise(seed, *length)).collect();
    let (limits, cancel) = (Limits::default(), Cancel::new());
    for codec in CODECS {
        let (encoded, blob) = encoded(&sizes, codec, 2);
        assert_eq!(encoded.newest, Some(Time::from_seconds(7)));
        assert_eq!(encoded.blob.size, blob.len() as u64);
        for stages in BOTH {
            let mut watcher = Watcher::default();
            let expected = Some(encoded.diff_id);
            let given = Given {
                compression: codec.compression(),
                expected,
                stages,
                limits: &limits,
                cancel: &cancel,
            };
            let decoded = decoded(&blob[..], &encoded.blob, &given, &mut watcher).expect("whole");
            assert_eq!(decoded.diff_id, encoded.diff_id);
            assert_eq!(decoded.size, encoded.size);
            assert_eq!(decoded.tree.len(), encoded.tree.len());
            assert_eq!(watcher.entries.len(), sizes.len());
            assert!(watcher.content == content && watcher.ended, "{codec} {stages:?}");
        }
    }
}

#[test]
fn item_40_bytes_do_not_depend_on_workers() {
    let sizes: Vec<usize> = (0..40).map(|number| number * number * 230).collect();
    for codec in CODECS {
        let (first, bytes) = encoded(&sizes, codec, 1);
        for workers in [2, 7, 7] {
            let (again, same) = encoded(&sizes, codec, workers);
            assert!(bytes == same, "{codec} with {workers} workers");
            assert_eq!(again.diff_id, first.diff_id);
            assert_eq!(again.blob, first.blob);
        }
    }
}

#[test]
fn blocks_begin_at_fixed_offsets() {
    let (encoded, blob) = encoded(&[3 << 20], Codec::Gzip { level: 6 }, 2);
    let members = blob.windows(3).filter(|bytes| *bytes == b"\x1f\x8b\x08").count() as u64;
    assert!(members >= encoded.size.div_ceil(512 << 10));
    let (encoded, _) = self::encoded(&[], Codec::Zstd { level: 3 }, 2);
    assert_eq!((encoded.size, encoded.newest), (1024, None));
}

#[test]
fn a_tar_is_compressed_as_it_is() {
    let tar = noise(1, 5_000_000);
    let (limits, cancel) = (Limits::default(), Cancel::new());
    for codec in CODECS {
        let workers = NonZeroUsize::new(2).expect("some");
        let how = Encode {
            codec,
            algorithm: Algorithm::Sha512,
            workers,
            limits: &limits,
            cancel: &cancel,
            progress: &|_| (),
        };
        let mut blob = Vec::new();
        let compressed = recompress(&mut &tar[..], &how, &mut blob).expect("compresses");
        assert_eq!(compressed.diff_id.0, Digest::of(Algorithm::Sha512, &tar));
        assert_eq!(compressed.blob.digest, Digest::of(Algorithm::Sha512, &blob).into());
        let mut back = Vec::new();
        orlop_layer::codec::decoder(codec.compression(), &blob[..], &limits)
            .read_to_end(&mut back)
            .expect("decodes");
        assert!(back == tar);
    }
}

#[test]
fn item_35_a_wrong_diff_id_is_refused() {
    let (encoded, blob) = encoded(&[10], Codec::default(), 1);
    let (limits, cancel) = (Limits::default(), Cancel::new());
    for stages in BOTH {
        let expected = Some(DiffId(Digest::of(Algorithm::Sha512, b"other")));
        let given =
            Given { compression: Compression::Gzip, expected, stages, limits: &limits, cancel: &cancel };
        let mut watcher = Watcher::default();
        let result = decoded(&blob[..], &encoded.blob, &given, &mut watcher);
        assert!(matches!(result, Err(Error::WrongDiffId { .. })));
        assert!(!watcher.ended);
    }
}

#[test]
fn item_12_the_digest_is_the_verdict_on_damaged_blobs() {
    // Larger than the queues: the reading thread must still be at it when the others give up.
    for codec in CODECS {
        let (encoded, blob) = encoded(&[9_000_000, 5], codec, 2);
        for at in [0, 5, 300, blob.len() / 2, blob.len() - 1] {
            let mut flipped = blob.clone();
            flipped[at] ^= 4;
            for stages in BOTH {
                let (limits, cancel) = (Limits::default(), Cancel::new());
                let compression = codec.compression();
                let given = Given { compression, expected: None, stages, limits: &limits, cancel: &cancel };
                let error = decoded(&flipped[..], &encoded.blob, &given, &mut ()).expect_err("flipped");
                let fault = Fault::from(error);
                assert!(fault.to_string().contains("its digest is"), "{codec} {at} {stages:?}: {fault}");
            }
        }
    }
}

#[test]
fn a_right_digest_does_not_excuse_damaged_content() {
    for codec in CODECS {
        let (_, blob) = encoded(&[2_000_000, 5], codec, 1);
        for stages in BOTH {
            let cut = &blob[..blob.len() / 2];
            let error = simply(cut, codec.compression(), stages).expect_err("cut");
            assert!(matches!(error, Error::Codec { .. } | Error::Tar { .. }), "{codec} {stages:?}: {error}");
        }
    }
}

#[test]
fn what_a_visitor_says_comes_back() {
    let (encoded, blob) = encoded(&[100_000; 100], Codec::default(), 2);
    let (limits, cancel) = (Limits::default(), Cancel::new());
    for stages in BOTH {
        let mut watcher = Watcher { full_at: Some(30), ..Watcher::default() };
        let given = Given {
            compression: Compression::Gzip,
            expected: None,
            stages,
            limits: &limits,
            cancel: &cancel,
        };
        let error = decoded(&blob[..], &encoded.blob, &given, &mut watcher).expect_err("full");
        assert!(
            matches!(error, Error::Write(ref full) if full.kind() == io::ErrorKind::StorageFull),
            "{error}"
        );
    }
}

#[test]
fn a_visitor_that_gives_up_does_not_wait_for_the_rest() {
    let (_, blob) = encoded(&[100_000; 100], Codec::default(), 2);
    let endless = Descriptor { size: u64::MAX, ..blob_of(&blob) };
    let (limits, cancel) = (Limits::default(), Cancel::new());
    for stages in BOTH {
        let mut watcher = Watcher { full_at: Some(1), ..Watcher::default() };
        let given = Given {
            compression: Compression::Gzip,
            expected: None,
            stages,
            limits: &limits,
            cancel: &cancel,
        };
        let bytes = (&blob[..]).chain(io::repeat(0));
        assert!(decoded(bytes, &endless, &given, &mut watcher).is_err());
    }
}

#[test]
fn a_panic_of_a_visitor_does_not_hang() {
    let (_, blob) = encoded(&[100_000; 100], Codec::default(), 2);
    let endless = Descriptor { size: u64::MAX, ..blob_of(&blob) };
    for stages in BOTH {
        let caught = std::panic::catch_unwind(|| {
            let (limits, cancel) = (Limits::default(), Cancel::new());
            let mut watcher = Watcher { panic_at: Some(1), ..Watcher::default() };
            let given = Given {
                compression: Compression::Gzip,
                expected: None,
                stages,
                limits: &limits,
                cancel: &cancel,
            };
            decoded((&blob[..]).chain(io::repeat(0)), &endless, &given, &mut watcher).is_ok()
        });
        assert!(caught.is_err());
    }
}

#[test]
fn a_cancelled_operation_says_so() {
    let (encoded, blob) = encoded(&[100_000; 100], Codec::default(), 2);
    let cancel = Cancel::new();
    cancel.set();
    let limits = Limits::default();
    for stages in BOTH {
        let given = Given {
            compression: Compression::Gzip,
            expected: None,
            stages,
            limits: &limits,
            cancel: &cancel,
        };
        let error = Fault::from(decoded(&blob[..], &encoded.blob, &given, &mut ()).expect_err("cancelled"));
        assert_eq!(error.kind(), orlop_spec::Kind::Interrupted);
    }
    let workers = NonZeroUsize::MIN;
    let (codec, algorithm) = (Codec::default(), Algorithm::Sha256);
    let how = Encode { codec, algorithm, workers, limits: &limits, cancel: &cancel, progress: &|_| () };
    let error = encode(&mut Files::new(&[1]), &how, &mut Vec::new()).expect_err("cancelled");
    assert_eq!(Fault::from(error).kind(), orlop_spec::Kind::Interrupted);
}

#[test]
fn a_full_disk_ends_an_encoding_at_once() {
    /// Takes so many bytes.
    struct Disk(usize);
    impl io::Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (limits, cancel) = (Limits::default(), Cancel::new());
    for codec in CODECS {
        let workers = NonZeroUsize::new(3).expect("some");
        let algorithm = Algorithm::Sha256;
        let how = Encode { codec, algorithm, workers, limits: &limits, cancel: &cancel, progress: &|_| () };
        let error = encode(&mut Files::new(&[3_000_000; 12]), &how, &mut Disk(2_000_000)).expect_err("full");
        let io = io::Error::from(error);
        assert_eq!(io.kind(), io::ErrorKind::StorageFull, "{codec}");
    }
}

#[test]
fn d2_gzip_members_follow_each_other_and_nothing_else_does() {
    let tar = noise(2, 100_000);
    let limits = Limits::default();
    let member = |bytes: &[u8]| {
        let cancel = Cancel::new();
        let (codec, algorithm, workers) = (Codec::default(), Algorithm::Sha256, NonZeroUsize::MIN);
        let how = Encode { codec, algorithm, workers, limits: &limits, cancel: &cancel, progress: &|_| () };
        let mut blob = Vec::new();
        recompress(&mut &bytes[..], &how, &mut blob).expect("compresses");
        blob
    };
    let read = |blob: &[u8]| {
        let mut back = Vec::new();
        let input = Trickle(blob);
        let result = orlop_layer::codec::decoder(Compression::Gzip, input, &limits).read_to_end(&mut back);
        result.map(|_| back)
    };
    let (one, two) = (member(&tar[..60_000]), member(&tar[60_000..]));
    let whole = [&one[..], &member(b""), &two].concat();
    assert_eq!(read(&whole).expect("three members"), tar);
    assert_eq!(read(&[&whole[..], &[0; 5000]].concat()).expect("zeros after them"), tar);
    for bad in [
        [&whole[..], b"garbage"].concat(),
        [&whole[..], &[0; 10], b"x"].concat(),
        [&whole[..], &[0; 10], &one].concat(),
        whole[..whole.len() - 1].to_vec(),
        whole[..one.len() - 5].to_vec(),
        [&whole[..], &one[..5]].concat(),
        [&whole[..], b"\x1f"].concat(),
        Vec::new(),
        b"\0\0".to_vec(),
        {
            let mut crc = one.clone();
            let at = crc.len() - 6;
            crc[at] ^= 1;
            crc
        },
        {
            let mut size = one.clone();
            let at = size.len() - 1;
            size[at] ^= 1;
            size
        },
    ] {
        assert!(read(&bad).is_err());
    }
}

#[test]
fn d1_zstd_frames_skippable_frames_and_windows() {
    let limits = Limits::default();
    let read = |blob: &[u8], limits: &Limits| {
        let mut back = Vec::new();
        let input = Trickle(blob);
        let result = orlop_layer::codec::decoder(Compression::Zstd, input, limits).read_to_end(&mut back);
        result.map(|_| back).map_err(|error| Fault::io("decode", error).kind())
    };
    let (encoded, blob) = encoded(&[100_000], Codec::Zstd { level: 3 }, 1);
    let skippable = b"\x52\x2a\x4d\x18\x03\0\0\0abc";
    let many = [&skippable.repeat(100_000)[..], &blob, skippable, &blob].concat();
    assert_eq!(read(&many, &limits).expect("two frames").len() as u64, 2 * encoded.size);
    for bad in [
        &blob[..blob.len() - 1],
        b"",
        b"\x28\xb5",
        &[&blob[..], b"x"].concat(),
        &[&blob[..], &[0; 512]].concat(),
    ] {
        assert_eq!(read(bad, &limits), Err(orlop_spec::Kind::Integrity));
    }
    // A frame of a window of 2³¹ bytes, then of 2²⁷.
    assert_eq!(read(b"\x28\xb5\x2f\xfd\x00\xa8\x01\0\0", &limits), Err(orlop_spec::Kind::Limit));
    assert_eq!(read(b"\x28\xb5\x2f\xfd\x00\x88\x01\0\0", &limits), Ok(Vec::new()));
    let small = Limits { size: encoded.size - 1, ..Limits::default() };
    assert_eq!(read(&blob, &small), Err(orlop_spec::Kind::Limit));
}

/// Gives a few bytes at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(out.len()).min(7919);
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// What is one too many for all is not read, whichever layer it is of.
#[test]
fn layers_that_are_read_at_once_share_the_sum_of_entries() {
    let layer = tar((0..10_000).map(|number| Member::file(format!("f{number}"), "")));
    let (sum, limits) = (Budget::of_entries(12_000), Limits::default());
    assert_eq!(decode::tree_within(&sum, &layer[..], 0, &limits).expect("it fits").len(), 10_001);
    let mut rest = &layer[..];
    let refused = decode::tree_within(&sum, &mut rest, 1, &limits).expect_err("too many for both");
    assert!(matches!(refused, Error::Limit { limit: 12_000, .. }), "{refused}");
    assert!(rest.len() > layer.len() / 2, "{} of {} bytes are left", rest.len(), layer.len());
}

/// An entry takes from the sum what it brings along: a path of two thousand folders is as many entries.
#[test]
fn folders_on_the_way_to_an_entry_are_taken_from_the_sum_with_it() {
    let deep = |number: u32| {
        let path = format!("{number}/{}f", "a/".repeat(1_900));
        [Member::long_name(path.as_bytes()), Member::file("f", "")]
    };
    let layer = tar((0..20).flat_map(deep));
    let (sum, limits) = (Budget::of_entries(11_000), Limits::default());
    let mut rest = &layer[..];
    let refused = decode::tree_within(&sum, &mut rest, 0, &limits).expect_err("too many");
    assert!(matches!(refused, Error::Limit { limit: 11_000, .. }), "{refused}");
    let read = layer.len() - rest.len();
    assert!(read < layer.len() * 7 / 20, "{read} of {} bytes were read for six entries", layer.len());
}
