//! D1 and D2: compressed streams that lie or grow.
//!
//! ```text
//! zstd frame: 28 b5 2f fd, descriptor, window, blocks (24 bits: last | kind << 1 | size << 3)
//! skippable:  5x 2a 4d 18, length, bytes
//! ```

use super::{Cases, limited, refused, tree, tree_or_refused};
use crate::image::{Image, Layer, Layout, Packing, gzip, sha256, zstd};
use crate::tarball::{Member, cut, tar};

pub(super) fn add(cases: &mut Cases<'_>) {
    gzip_streams(cases);
    zstd_streams(cases);
    bombs(cases);
    wrong_names(cases);
}

fn plain() -> Vec<u8> {
    tar([Member::file("f", "content"), Member::file("g", vec![b'g'; 5000])])
}

const LINES: [&str; 2] = ["f=content", "g=5000 bytes"];

fn layout(blob: Vec<u8>, packing: Packing, tar: &[u8]) -> Layout {
    let layer = Layer { blob, media_type: packing.media_type().into(), diff_id: sha256(tar) };
    Image::new().layer(layer).layout()
}

fn gzip_streams(cases: &mut Cases<'_>) {
    let tar = plain();
    let whole = gzip(&tar);
    let members = |sizes: usize| tar.chunks(sizes).flat_map(gzip).collect::<Vec<u8>>();
    let empty = gzip(b"");
    let extended = |flags: u8, fields: &[u8]| {
        [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255], fields, &whole[10..]].concat()
    };
    let edited = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= value;
        bytes
    };
    let end = whole.len();
    for (name, blob, expected) in [
        ("two members", members(4096), tree(&LINES)),
        ("many members", members(7), tree(&LINES)),
        ("empty members around", [&empty[..], &whole, &empty].concat(), tree(&LINES)),
        (
            "an empty member 20000 times",
            [empty.repeat(20_000), whole.clone()].concat(),
            tree_or_refused(&LINES),
        ),
        ("with a name and a comment", extended(0b1_1000, b"layer.tar\0comment\0"), tree(&LINES)),
        ("with an extra field", extended(0b100, b"\x03\0abc"), tree(&LINES)),
        ("a name without end", extended(0b1000, &vec![b'n'; 3 << 20]), tree_or_refused(&[])),
        ("a wrong checksum", edited(end - 8, 1), refused()),
        ("a wrong length", edited(end - 4, 1), refused()),
        ("a wrong method", edited(2, 1), refused()),
        ("reserved flags", edited(3, 0xe0), refused()),
        ("no magic", edited(0, 1), refused()),
        ("garbage behind", [&whole[..], b"garbage"].concat(), tree_or_refused(&LINES)),
        ("zeros behind", [&whole[..], &[0; 512]].concat(), tree_or_refused(&LINES)),
        ("half a member behind", [&whole[..], &whole[..20]].concat(), refused()),
        ("cut in the header", whole[..5].to_vec(), refused()),
        ("cut in the data", whole[..end / 2].to_vec(), refused()),
        ("cut in the checksum", whole[..end - 6].to_vec(), refused()),
        ("cut in the length", whole[..end - 1].to_vec(), refused()),
        ("empty", Vec::new(), refused()),
    ] {
        cases.layout("D2", &format!("gzip {name}"), layout(blob, Packing::Gzip, &tar), &expected);
    }
    for at in (10..end - 8).step_by((end - 18) / 12) {
        cases.layout(
            "D2",
            &format!("gzip bit {at}"),
            layout(edited(at, 0x10), Packing::Gzip, &tar),
            &tree_or_refused(&LINES),
        );
    }
}

fn zstd_streams(cases: &mut Cases<'_>) {
    let tar = plain();
    let whole = zstd(&tar);
    let frames = |sizes: usize| tar.chunks(sizes).flat_map(zstd).collect::<Vec<u8>>();
    let skip = |length: usize| {
        [
            b"\x50\x2a\x4d\x18".as_slice(),
            &u32::try_from(length).expect("short").to_le_bytes(),
            &vec![0; length],
        ]
        .concat()
    };
    let end = whole.len();
    for (name, blob, expected) in [
        ("two frames", frames(4096), tree(&LINES)),
        ("many frames", frames(7), tree(&LINES)),
        ("skippable frames around", [skip(10), whole.clone(), skip(0)].concat(), tree(&LINES)),
        ("raw blocks", raw_frame(17, &tar), tree(&LINES)),
        ("garbage behind", [&whole[..], b"garbage"].concat(), refused()),
        ("half a frame behind", [&whole[..], &whole[..8]].concat(), refused()),
        ("cut in the header", whole[..3].to_vec(), refused()),
        ("cut in the data", whole[..end / 2].to_vec(), refused()),
        ("cut at the end", whole[..end - 1].to_vec(), refused()),
        ("a skippable frame that is cut", [whole.clone(), skip(10)[..12].to_vec()].concat(), refused()),
        ("no magic", [b"\x29", &whole[1..]].concat(), refused()),
        ("a dictionary", [b"\x28\xb5\x2f\xfd\x01\x38\x07\x01\0\0".as_slice()].concat(), refused()),
        ("a reserved block", [b"\x28\xb5\x2f\xfd\x00\x38\x07\0\0".as_slice()].concat(), refused()),
        ("empty", Vec::new(), refused()),
    ] {
        cases.layout("D2", &format!("zstd {name}"), layout(blob, Packing::Zstd, &tar), &expected);
    }
}

/// A frame of raw blocks with a window of `2^log` bytes.
fn raw_frame(log: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame_header(log);
    let blocks: Vec<_> = bytes.chunks(1 << 16).collect();
    for (number, block) in blocks.iter().enumerate() {
        let last = u32::from(number + 1 == blocks.len());
        let header = last | u32::try_from(block.len()).expect("a small block") << 3;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(*block);
    }
    frame
}

fn frame_header(log: u8) -> Vec<u8> {
    [b"\x28\xb5\x2f\xfd\x00".as_slice(), &[(log - 10) << 3]].concat()
}

/// `count` blocks of 128 KiB of zeros, four bytes each.
fn zeros_frame(count: usize) -> Vec<u8> {
    let block = |last: u32| (last | 1 << 1 | (128 << 10) << 3).to_le_bytes()[..3].to_vec();
    let mut frame = frame_header(17);
    for number in 0..count {
        frame.extend(block(u32::from(number + 1 == count)));
        frame.push(0);
    }
    frame
}

fn bombs(cases: &mut Cases<'_>) {
    let tar = plain();
    for log in [27, 28, 30, 31, 41] {
        let expected = if log <= 27 { tree(&LINES) } else { limited() };
        let blob = raw_frame(log, &tar);
        cases.layout("D1", &format!("a window of 2^{log}"), layout(blob, Packing::Zstd, &tar), &expected);
    }
    let skips = [b"\x50\x2a\x4d\x18\0\0\0\0".repeat(1_000_000), zstd(&tar)].concat();
    cases.layout(
        "D1",
        "a million skippable frames",
        layout(skips, Packing::Zstd, &tar),
        &tree_or_refused(&LINES),
    );
    // 512 MiB of zeros as a file's content: honest, and must not be held in memory or on disk.
    let blocks = 4096_usize;
    let size = blocks as u64 * (128 << 10);
    let head = cut([Member::file("zeros", "").claims(size)]);
    let block = vec![0; 128 << 10];
    let mut hasher = orlop_spec::Hasher::new(orlop_spec::Algorithm::Sha256);
    hasher.update(&head);
    for _ in 0..blocks {
        hasher.update(&block);
    }
    hasher.update(&[0; 1024]);
    let blob = [zstd(&head), zeros_frame(blocks), zstd(&[0; 1024])].concat();
    let layer =
        Layer { blob, media_type: Packing::Zstd.media_type().into(), diff_id: hasher.finish().to_string() };
    let line = format!("zeros={size} bytes");
    cases.layout("D1", "half a gigabyte of zeros", Image::new().layer(layer).layout(), &tree(&[&line]));
    let flood = layout(zeros_frame(1 << 11), Packing::Zstd, b"another");
    cases.layout("D1", "a quarter gigabyte of zeros and no entry", flood.clone(), &limited());
    let digest = flood.layer_path(0);
    let flipped = flood.edit(&digest, |bytes| bytes[100] ^= 1);
    cases.layout("12", "a flipped bit in a flood is found by its digest", flipped, &refused());
}

fn wrong_names(cases: &mut Cases<'_>) {
    let tar = plain();
    for packing in Packing::ALL {
        for named in Packing::ALL.into_iter().filter(|named| *named != packing) {
            let layout = layout(packing.pack(&tar), named, &tar);
            cases.layout("D2", &format!("{packing:?} called {named:?}"), layout, &tree_or_refused(&LINES));
        }
    }
}
