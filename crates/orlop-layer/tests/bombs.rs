//! D1, item 12: what a few bytes ask for is given in fixed memory, or refused. One test, alone in its process: it
//! watches the peak of the process's memory.

use orlop_layer::Budget;
use orlop_layer::encode::recompress;
use orlop_layer::{
    Chunk, Codec, Decode, Encode, Entries, Entry, Error, Kind, Meta, Stages, TreePath, Verified,
};
use orlop_layer::{decode, encode};
use orlop_spec::digest::{Algorithm, Digest};
use orlop_spec::media_type::Compression;
use orlop_spec::{Cancel, Descriptor, Fault, Limits, MediaType};
use std::num::NonZeroUsize;

const MIB: u64 = 1 << 20;

/// One file of nothing but zeros.
struct Zeros(Option<u64>, Option<u64>);

impl Entries for Zeros {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        self.1 = self.0.take();
        let path = TreePath::parse(b"zeros")?;
        Ok(self.1.map(|size| Entry { path, meta: Meta::default(), kind: Kind::File { size } }))
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        Ok(self.1.take().map(Chunk::Hole))
    }
}

fn bomb(codec: Codec, size: u64) -> Vec<u8> {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let workers = NonZeroUsize::new(2).expect("some");
    let algorithm = Algorithm::Sha256;
    let how = Encode { codec, algorithm, workers, limits: &limits, cancel: &cancel, progress: &|_| () };
    let mut blob = Vec::new();
    encode(&mut Zeros(Some(size), None), &how, &mut blob).expect("encodes");
    blob
}

/// What becomes of `blob`, of which only `digest` is promised.
fn explode(
    blob: &[u8],
    digest: Digest,
    compression: Compression,
    limits: &Limits,
    stages: Stages,
) -> Result<u64, Fault> {
    let descriptor = Descriptor::new(MediaType::new("application/x"), digest, blob.len() as u64);
    let cancel = Cancel::new();
    let how = Decode {
        compression,
        expected: None,
        layer: 0,
        limits,
        budget: &Budget::new(limits.size),
        cancel: &cancel,
        stages,
        progress: &|_| (),
    };
    let mut blob = Verified::new(blob, &descriptor).expect("sha256");
    decode(&mut blob, &how, &mut ()).map(|decoded| decoded.size).map_err(Fault::from)
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    let kib: u64 = line.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
    kib / 1024
}

/// A frame that asks for a window of `log` and says nothing else.
fn frame(log: u8) -> Vec<u8> {
    [&b"\x28\xb5\x2f\xfd\x00"[..], &[(log - 10) << 3], b"\x01\0\0"].concat()
}

#[test]
fn d1_and_item_12_bombs_explode_in_fixed_memory() {
    let limits = Limits::default();
    let size = if testkit::full() { 4 << 30 } else { 512 << 20 };
    let before = peak();
    for codec in [Codec::Gzip { level: 6 }, Codec::Zstd { level: 3 }] {
        let blob = bomb(codec, size);
        let ratio = size / blob.len() as u64;
        assert!(ratio > 900, "{codec}: {ratio}");
        let digest = Digest::of(Algorithm::Sha256, &blob);
        for stages in [Stages::One, Stages::Pipelined] {
            let compression = codec.compression();
            assert!(explode(&blob, digest, compression, &limits, stages).expect("honest") > size);
            let small = Limits { size: 100 * MIB, ..Limits::default() };
            let error = explode(&blob, digest, compression, &small, stages).expect_err("too large");
            assert_eq!(error.kind(), orlop_spec::Kind::Limit);
            let mut flipped = blob.clone();
            flipped[blob.len() / 2] ^= 1;
            let error = explode(&flipped, digest, compression, &limits, stages).expect_err("flipped");
            assert!(error.to_string().contains("its digest is"), "{codec} {stages:?}: {error}");
        }
    }
    let after = peak();
    assert!(after - before < 64, "{before} MiB before, {after} after");
    frames_and_members(&limits);
    // A window of 128 MiB was allowed, and is all that was taken.
    let after = peak();
    assert!(after - before < 192, "{before} MiB before, {after} after");
}

/// Windows that are never used, and blobs of a million frames or members of nothing.
fn frames_and_members(limits: &Limits) {
    let skippable = b"\x50\x2a\x4d\x18\0\0\0\0".repeat(1 << 20);
    let empty = recompressed(b"");
    let members = empty.repeat(1 << 15);
    for stages in [Stages::One, Stages::Pipelined] {
        let end = [&skippable[..], &frame(27)].concat();
        let digest = Digest::of(Algorithm::Sha256, &end);
        assert_eq!(explode(&end, digest, Compression::Zstd, limits, stages).expect("empty"), 0);
        let wide = frame(31);
        let digest = Digest::of(Algorithm::Sha256, &wide);
        let error = explode(&wide, digest, Compression::Zstd, limits, stages).expect_err("2 GiB");
        assert_eq!(error.kind(), orlop_spec::Kind::Limit);
        let digest = Digest::of(Algorithm::Sha256, &members);
        assert_eq!(explode(&members, digest, Compression::Gzip, limits, stages).expect("empty"), 0);
    }
}

fn recompressed(bytes: &[u8]) -> Vec<u8> {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let (codec, algorithm) = (Codec::default(), Algorithm::Sha256);
    let how = Encode {
        codec,
        algorithm,
        workers: NonZeroUsize::MIN,
        limits: &limits,
        cancel: &cancel,
        progress: &|_| (),
    };
    let mut blob = Vec::new();
    recompress(&mut &bytes[..], &how, &mut blob).expect("compresses");
    blob
}
