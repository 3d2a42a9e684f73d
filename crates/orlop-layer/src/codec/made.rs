//! Which of our codecs made a blob, as far as its first block tells.
//!
//! Invariant: an answer says that the first block is to the bit what the codec makes of it. Whoever relies on all of the blob
//! compresses all of it. Memory is a few blocks, and the time that of compressing one block for each level that the header
//! leaves open: most blobs of other programs are told apart by their header, or by where their first block ends.

use super::{Codec, Encoder};
use orlop_spec::media_type::Compression;
use zlib_rs::{Inflate, InflateFlush, Status};
use zstd_safe::{CCtx, CParameter};

/// The version of the form that the codecs write (`docs/formats/compression.md`). The bytes of another are not ours.
pub const FRAMING: u32 = 1;

/// Deflate has no windows above 32 KiB.
const WINDOW: u8 = 15;

/// As many bytes of a blob as [`made_by`] can use.
pub fn first_block(compression: Compression) -> usize {
    match compression {
        Compression::None => 0,
        // The larger of what both libraries say of their blocks.
        Compression::Gzip | Compression::Zstd => zstd_safe::compress_bound(block(compression)),
    }
}

/// The codec that made a blob of `size` bytes, of which `head` is the beginning: all of it, or [`first_block`].
pub fn made_by(compression: Compression, head: &[u8], size: u64) -> Option<Codec> {
    let is_all = |length: usize| length as u64 == size;
    let (levels, content, length) = match compression {
        Compression::None => return Some(Codec::None),
        Compression::Gzip => {
            let (content, length) = member(head)?;
            (gzip_levels(head)?, content, length)
        }
        Compression::Zstd => {
            let (content, length) = frame(head)?;
            (
                &[3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22][..],
                content,
                length,
            )
        }
    };
    let (first, block) = (head.get(..length)?, block(compression));
    if content.len() > block || (content.len() < block && !is_all(length)) {
        return None;
    }
    let mut out = Vec::new();
    let makes = |codec: &Codec| begins(*codec, &content, first) && encodes(*codec, &content, first, &mut out);
    levels.iter().map(|level| codec(compression, *level)).find(makes)
}

fn block(compression: Compression) -> usize {
    codec(compression, 1).block()
}

fn codec(compression: Compression, level: u8) -> Codec {
    match compression {
        Compression::None => Codec::None,
        Compression::Gzip => Codec::Gzip { level },
        Compression::Zstd => Codec::Zstd { level },
    }
}

/// The levels that give a member its header; the usual one first.
fn gzip_levels(head: &[u8]) -> Option<&'static [u8]> {
    match head {
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, hint, 255, ..] => match hint {
            4 => Some(&[1]),
            0 => Some(&[6, 2, 3, 4, 5, 7]),
            2 => Some(&[9, 8, 10, 11, 12]),
            _ => None,
        },
        _ => None,
    }
}

/// What the first member holds, and its length; `None` where it holds more than a block, or is not whole.
fn member(head: &[u8]) -> Option<(Vec<u8>, usize)> {
    const HEADER: usize = 10;
    const TRAILER: usize = 8;
    let mut content = vec![0; Codec::GZIP.block() + 1];
    let mut inflate = Inflate::new(false, WINDOW);
    let deflated = head.get(HEADER..)?;
    let status = inflate.decompress(deflated, &mut content, InflateFlush::Finish).ok()?;
    if status != Status::StreamEnd {
        return None;
    }
    content.truncate(usize::try_from(inflate.total_out()).ok()?);
    Some((content, HEADER + usize::try_from(inflate.total_in()).ok()? + TRAILER))
}

/// What the first frame holds, and its length; `None` where no frame of ours has its header, or it is not whole.
fn frame(head: &[u8]) -> Option<(Vec<u8>, usize)> {
    let content = declared(head)?;
    let length = zstd_safe::find_frame_compressed_size(head).ok()?;
    let mut out = Vec::with_capacity(content);
    zstd_safe::decompress(&mut out, head.get(..length)?).ok()?;
    Some((out, length))
}

/// The content size of a frame that says it, has no checksum and no dictionary, and is no longer than a block
/// (RFC 8878, 3.1.1.1.1).
fn declared(head: &[u8]) -> Option<usize> {
    const CHECKSUM_OR_DICTIONARY: u8 = 0b111;
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, ..] = head else { return None };
    if descriptor & CHECKSUM_OR_DICTIONARY != 0 {
        return None;
    }
    let size = zstd_safe::get_frame_content_size(head).ok()??;
    usize::try_from(size).ok().filter(|size| *size <= Codec::ZSTD.block())
}

/// Whether the codec can have made `first`, by its beginning: high levels take a second for a block, and the first 128 KiB
/// tell most of them apart. libzstd writes what it has until the room ends.
fn begins(codec: Codec, content: &[u8], first: &[u8]) -> bool {
    const PIECE: usize = 128 << 10;
    let Codec::Zstd { level } = codec else { return true };
    let Some(told) = first_compressed(first).filter(|_| content.len() > PIECE) else { return true };
    let mut out = vec![0; (told + 2 * PIECE).min(zstd_safe::compress_bound(content.len()))];
    let mut context = CCtx::create();
    if context.set_parameter(CParameter::CompressionLevel(i32::from(level))).is_err() {
        return false;
    }
    // That the room ends is no error here.
    let _full = context.compress2(&mut out[..], content).is_err();
    out.get(..told) == first.get(..told)
}

/// Where the first block inside of a frame ends (RFC 8878, 3.1.1.1 and 3.1.1.2).
fn first_compressed(frame: &[u8]) -> Option<usize> {
    const RLE: u32 = 1;
    let descriptor = *frame.get(4)?;
    let has_window = usize::from(descriptor & 0b10_0000 == 0);
    let size = match descriptor >> 6 {
        0 => 1 - has_window,
        flag => 1 << flag,
    };
    let header = 5 + has_window + size;
    let block = frame.get(header..header + 3)?;
    let block = u32::from_le_bytes([block[0], block[1], block[2], 0]);
    let length = if block >> 1 & 3 == RLE { 1 } else { block >> 3 };
    Some(header + 3 + usize::try_from(length).ok()?)
}

fn encodes(codec: Codec, content: &[u8], first: &[u8], out: &mut Vec<u8>) -> bool {
    Encoder::new(codec).encode(content, out).is_ok() && out[..] == *first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Blocks;
    use std::io::Write as _;

    /// Text that levels compress in different ways, with an honest share of what does not compress.
    fn text(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let words: Vec<Vec<u8>> =
            (0..500).map(|_| (0..3 + next() % 9).map(|_| b'a' + (next() % 26) as u8).collect()).collect();
        let mut text = Vec::new();
        while text.len() < length {
            match next() % 9 {
                0 => text.extend_from_slice(&next().to_le_bytes()),
                _ => text.extend_from_slice(&words[(next() % 500) as usize]),
            }
            text.push(b' ');
        }
        text.truncate(length);
        text
    }

    fn compressed(codec: Codec, input: &[u8]) -> Vec<u8> {
        let mut blocks = Blocks::new(codec, Vec::new());
        blocks.write_all(input).expect("into memory");
        blocks.finish().expect("into memory")
    }

    fn guess(compression: Compression, blob: &[u8]) -> Option<Codec> {
        let head = &blob[..blob.len().min(first_block(compression))];
        made_by(compression, head, blob.len() as u64)
    }

    fn every_codec() -> impl Iterator<Item = Codec> {
        let gzip = (1..=12).map(|level| Codec::Gzip { level });
        gzip.chain((1..=22).map(|level| Codec::Zstd { level }))
    }

    /// The first block, as a codec makes it anew.
    fn made_anew(codec: Codec, blob: &[u8]) -> (Vec<u8>, usize) {
        let parts = match codec {
            Codec::Zstd { .. } => frame(blob),
            _ => member(blob),
        };
        let (content, length) = parts.expect("it was known, so it is whole");
        (compressed(codec, &content), length)
    }

    #[test]
    fn what_we_made_is_known_by_every_level() {
        for codec in every_codec() {
            let block = codec.block();
            let is_slow =
                matches!(codec, Codec::Gzip { level: 10.. } | Codec::Zstd { level: 5.. }) && !testkit::full();
            let lengths = [0, 1, 1000, 200_000, block - 1, block, block + 9];
            for length in lengths.into_iter().take(if is_slow { 4 } else { 7 }) {
                let blob = compressed(codec, &text(length));
                let found = guess(codec.compression(), &blob);
                let found = found.unwrap_or_else(|| panic!("{codec} of {length} bytes was not known"));
                // Levels may make the same of a block; then any of them is right.
                let (anew, first) = made_anew(found, &blob);
                assert!(anew == blob[..first], "{codec} of {length} bytes was taken for {found}");
            }
        }
    }

    #[test]
    fn every_bit_of_the_first_block_counts() {
        for codec in [Codec::GZIP, Codec::ZSTD] {
            let blob = compressed(codec, &text(150_000));
            assert_eq!(guess(codec.compression(), &blob), Some(codec));
            for at in (0..blob.len()).step_by(blob.len() / 97).chain([blob.len() - 1]) {
                let mut other = blob.clone();
                other[at] ^= 1 << (at % 8);
                // A literal byte may be another one: then it is what is made of another content.
                if let Some(found) = guess(codec.compression(), &other) {
                    assert!(made_anew(found, &other).0 == other, "{codec}, byte {at}");
                }
            }
        }
    }

    #[test]
    fn a_block_of_another_length_is_not_ours() {
        let input = text(300_000);
        let halves =
            [compressed(Codec::GZIP, &input[..1000]), compressed(Codec::GZIP, &input[1000..])].concat();
        assert_eq!(guess(Compression::Gzip, &halves), None, "a short member that is not the last");
        let halves =
            [compressed(Codec::ZSTD, &input[..1000]), compressed(Codec::ZSTD, &input[1000..])].concat();
        assert_eq!(guess(Compression::Zstd, &halves), None, "a short frame that is not the last");
        let zeros = [compressed(Codec::GZIP, &input), vec![0; 512]].concat();
        assert_eq!(guess(Compression::Gzip, &zeros), None, "zeros behind it");
    }

    #[test]
    fn what_is_cut_or_no_stream_is_nobodys() {
        for codec in [Codec::GZIP, Codec::ZSTD] {
            let blob = compressed(codec, &text(20_000));
            for length in 0..blob.len() {
                assert_eq!(made_by(codec.compression(), &blob[..length], blob.len() as u64), None);
            }
            assert_eq!(guess(codec.compression(), b"nothing that is compressed"), None);
        }
    }

    #[test]
    fn a_frame_that_claims_more_than_a_block_is_not_decoded() {
        let content = vec![0; Codec::ZSTD.block() + 1];
        let mut frame = vec![0; zstd_safe::compress_bound(content.len())];
        let length = zstd_safe::compress(&mut frame[..], &content, 3).expect("room enough");
        assert_eq!(declared(&frame[..length]), None);
        assert_eq!(guess(Compression::Zstd, &frame[..length]), None);
    }
}
