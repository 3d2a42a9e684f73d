//! Gzip and zstd: whatever comes in, decoding ends within its bounds; what the encoder writes is decoded to the
//! same bytes, and does not depend on the number of workers; a gzip member with another bit gives no other bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_fuzz::limits;
use orlop_layer::codec::{Codec, decoder, detect};
use orlop_layer::encode::{Encode, recompress};
use orlop_spec::digest::Algorithm;
use orlop_spec::media_type::Compression;
use orlop_spec::{Cancel, Limits};
use std::io::Read;
use std::num::NonZeroUsize;

const MOST: u64 = 4 << 20;

fuzz_target!(|bytes: &[u8]| {
    let short = Limits { size: MOST, window: 8 << 20, ..limits() };
    let mut out = Vec::new();
    // A damaged stream is an error, never a panic; what came before the damage is not checked here.
    let _damaged = decoder(detect(bytes), bytes, &short).read_to_end(&mut out);
    assert!(out.len() as u64 <= MOST, "{} bytes are too many", out.len());
    for codec in [Codec::Gzip { level: 1 }, Codec::Zstd { level: 1 }] {
        let one = encode(bytes, codec, 1);
        assert_eq!(one, encode(bytes, codec, 2), "the bytes do not depend on the workers");
        let mut back = Vec::new();
        decoder(detect(&one), &one[..], &short).read_to_end(&mut back).expect("what was written is read");
        assert_eq!(back, bytes);
        if let Codec::Gzip { .. } = codec {
            damage(one, bytes, &short);
        }
    }
});

/// Which bit is turned depends on the input, so that the fuzzer chooses it. Zstd frames of ours have no checksum.
fn damage(mut member: Vec<u8>, bytes: &[u8], limits: &Limits) {
    let choice =
        bytes.iter().fold(0, |choice: usize, byte| choice.wrapping_mul(31).wrapping_add((*byte).into()));
    let at = choice % member.len();
    member[at] ^= 1 << (choice / member.len() % 8);
    let mut other = Vec::new();
    if decoder(Compression::Gzip, &member[..], limits).read_to_end(&mut other).is_ok() {
        assert_eq!(other, bytes, "byte {at} was damaged");
    }
}

fn encode(mut bytes: &[u8], codec: Codec, workers: usize) -> Vec<u8> {
    let how = Encode {
        codec,
        algorithm: Algorithm::Sha256,
        workers: NonZeroUsize::new(workers).expect("at least one"),
        limits: &limits(),
        cancel: &Cancel::default(),
        progress: &|_| {},
    };
    let mut out = Vec::new();
    recompress(&mut bytes, &how, &mut out).expect("memory takes everything");
    out
}
