//! T1 to T6: tar headers that lie.

use super::{Cases, Expected, limited, refused, tree, tree_or_refused};
use crate::tarball::{
    CHECKSUM, Field, GID, LINK, MAGIC, MODE, MTIME, Member, NAME, SIZE, UID, cut, record, tar,
};

pub(super) fn add(cases: &mut Cases<'_>) {
    smuggled_entries(cases);
    headers_before_headers(cases);
    broken_records(cases);
    sparse_files(cases);
    long_headers(cases);
    broken_numbers(cases);
    broken_framing(cases);
}

fn file(name: impl AsRef<[u8]>, content: &str) -> Member {
    Member::file(name, content)
}

/// CVE-2025-62518: the size for the data and the size for the skip must be one.
fn smuggled_entries(cases: &mut Cases<'_>) {
    let inner = cut([file("smuggled", "")]);
    let size = |size: &str| Member::pax(&[(b"size", size.as_bytes())]);
    let hidden = [size("512"), Member::file("f", &inner).claims(0), file("g", "1")];
    cases.layers("T1", "pax size over a header of 0", &[tar(hidden)], &tree(&["f=512 bytes", "g=1"]));
    let shown = [size("0"), Member::file("f", &inner).claims(512), file("g", "1")];
    cases.layers(
        "T1",
        "pax size 0 over a header of 512",
        &[tar(shown)],
        &tree_or_refused(&["f=", "g=1", "smuggled="]),
    );
    let agreed = [size("512"), Member::file("f", &inner)];
    cases.layers("T1", "both sizes agree", &[tar(agreed)], &tree(&["f=512 bytes"]));
    for (kind, name) in
        [(b'5', "folder"), (b'1', "hard link"), (b'2', "link"), (b'6', "fifo"), (b'3', "device")]
    {
        let member = Member::new(kind, "x", &inner).set(LINK, "f");
        let archive = [file("f", "1"), member];
        cases.layers("T1", &format!("a {name} with content"), &[tar(archive)], &Expected::Safe);
        let sized = [file("f", "1"), size("512"), Member::new(kind, "x", b"").set(LINK, "f"), file("g", "2")];
        cases.layers("T1", &format!("a {name} with a pax size"), &[tar(sized)], &Expected::Safe);
    }
    let twice = Member::pax(&[(b"size", b"0"), (b"size", b"512")]);
    cases.layers(
        "T1",
        "two sizes",
        &[tar([twice, Member::file("f", &inner).claims(0)])],
        &tree_or_refused(&["f=512 bytes"]),
    );
    let global = Member::global(&[(b"size", b"512")]);
    cases.layers(
        "T1",
        "a size for all",
        &[tar([global, Member::file("f", &inner).claims(0)])],
        &Expected::Safe,
    );
}

fn headers_before_headers(cases: &mut Cases<'_>) {
    let pax = |key: &str, value: &str| Member::pax(&[(key.as_bytes(), value.as_bytes())]);
    let member = || file("short", "12345");
    let lines = ["long=12345"];
    cases.layers(
        "T2",
        "a size before a long name",
        &[tar([pax("size", "5"), Member::long_name(b"long"), member()])],
        &tree_or_refused(&lines),
    );
    let other = [pax("size", "1024"), Member::long_name(b"long"), member().claims(0)];
    cases.layers(
        "T2",
        "a wrong size before a long name",
        &[tar(other)],
        &tree_or_refused(&["long=1024 bytes"]),
    );
    cases.layers(
        "T2",
        "a long name before pax",
        &[tar([Member::long_name(b"long"), pax("mtime", "1"), member()])],
        &tree_or_refused(&lines),
    );
    cases.layers(
        "T2",
        "pax twice",
        &[tar([pax("path", "one"), pax("path", "long"), member()])],
        &tree_or_refused(&lines),
    );
    cases.layers(
        "T2",
        "long names twice",
        &[tar([Member::long_name(b"one"), Member::long_name(b"long"), member()])],
        &tree_or_refused(&lines),
    );
    cases.layers(
        "T2",
        "global after pax",
        &[tar([pax("path", "long"), Member::global(&[(b"comment", b"c")]), member()])],
        &tree_or_refused(&lines),
    );
    for (name, last) in [
        ("pax", pax("path", "x")),
        ("long name", Member::long_name(b"x")),
        ("long link", Member::long_link(b"x")),
    ] {
        cases.layers(
            "T2",
            &format!("{name} for nobody"),
            &[tar([member(), last])],
            &tree_or_refused(&["short=12345"]),
        );
    }
    cases.layers(
        "T2",
        "pax over long name",
        &[tar([Member::long_name(b"other"), pax("path", "long"), member()])],
        &tree_or_refused(&lines),
    );
    cases.layers(
        "T2",
        "an unset path",
        &[tar([pax("path", ""), member()])],
        &tree_or_refused(&["short=12345"]),
    );
    let linked = [file("f", "1"), pax("linkpath", "f"), Member::hard_link("h", "nothing")];
    cases.layers("T2", "a link path", &[tar(linked)], &tree(&["f=1", "h == f"]));
}

/// Malformed records were once skipped in silence: what they said was then read from the header below.
fn broken_records(cases: &mut Cases<'_>) {
    for (name, text) in [
        ("no newline", b"10 path=ab".as_slice()),
        ("no equals", b"8 path\n\n"),
        ("too long", b"99 path=ab\n"),
        ("too short", b"5 path=ab\n"),
        ("zero", b"0 path=ab\n"),
        ("no length", b"path=ab\n"),
        ("no blank", b"11path=abc\n"),
        ("negative", b"-11 path=ab\n"),
        ("plus", b"+11 path=ab\n"),
        ("hex", b"0xb path=ab\n"),
        ("overflow", b"18446744073709551627 path=ab\n"),
        ("no key", b"5 =x\n"),
        ("nul in the path", b"12 path=a\0b\n"),
        ("only blanks", b"      \n"),
        ("garbage behind", b"11 path=ab\nxx"),
        ("size no number", b"13 size=many\n"),
        ("size negative", b"11 size=-1\n"),
        ("size huge", b"29 size=18446744073709551616\n"),
        ("size with a fraction", b"13 size=1.5\n"),
        ("uid no number", b"12 uid=root\n"),
        ("uid negative", b"10 uid=-1\n"),
        ("uid beyond 32 bits", b"18 uid=4294967296\n"),
        ("mtime no number", b"14 mtime=now\n"),
        ("mtime two points", b"15 mtime=1.2.3\n"),
        ("mtime infinite", b"13 mtime=inf\n"),
        ("mtime huge", b"35 mtime=99999999999999999999999999\n"),
    ] {
        let archive = tar([Member::new(b'x', "pax", text), file("f", "1")]);
        cases.layers("T3", name, &[archive], &refused());
    }
    let global = tar([Member::new(b'g', "pax", b"99 path=ab\n"), file("f", "1")]);
    cases.layers("T3", "a broken global", &[global], &refused());
    let unknown = tar([Member::pax(&[(b"VENDOR.key", b"any\0thing\n")]), file("f", "1")]);
    cases.layers("T3", "an unknown key is no error", &[unknown], &tree(&["f=1"]));
    let equals = tar([Member::pax(&[(b"comment", b"a=b=c")]), file("f", "1")]);
    cases.layers("T3", "more equals signs are the value's", &[equals], &tree(&["f=1"]));
}

fn sparse_files(cases: &mut Cases<'_>) {
    let sparse = |major: &str, minor: &str, real: &str, content: &[u8]| {
        let records: &[(&[u8], &[u8])] = &[
            (b"GNU.sparse.major", major.as_bytes()),
            (b"GNU.sparse.minor", minor.as_bytes()),
            (b"GNU.sparse.name", b"f"),
            (b"GNU.sparse.realsize", real.as_bytes()),
        ];
        tar([Member::pax(records), Member::file("GNUSparseFile.0/f", content)])
    };
    let map = |text: &str, data: &[u8]| {
        let mut content = text.as_bytes().to_vec();
        content.resize(content.len().next_multiple_of(512), 0);
        [content, data.to_vec()].concat()
    };
    cases.layers(
        "T4",
        "an honest map",
        &[sparse("1", "0", "1000", &map("1\n996\n4\n", b"tail"))],
        &tree(&["f=1000 bytes"]),
    );
    for (name, text) in [
        ("too many", "99999999999999\n0\n1\n"),
        ("negative count", "-1\n"),
        ("no number", "x\n"),
        ("not ended", "3\n0\n1\n"),
        ("overlapping", "2\n0\n3\n1\n1\n"),
        ("backwards", "2\n10\n2\n0\n2\n"),
        ("beyond the size", "1\n5000\n4\n"),
        ("overflowing", "1\n18446744073709551615\n4\n"),
        ("more than there is", "1\n0\n900\n"),
    ] {
        cases.layers(
            "T4",
            &format!("a map {name}"),
            &[sparse("1", "0", "1000", &map(text, b"tail"))],
            &limited(),
        );
    }
    let million = format!("1000000\n{}", "0\n0\n".repeat(1_000_000));
    cases.root_layers(
        "T4",
        "a map of a million empty runs",
        &[sparse("1", "0", "1000", &map(&million, b""))],
        &Expected::Safe,
    );
    cases.root_layers(
        "T4",
        "a map of two million runs",
        &[sparse("1", "0", "1000", &map(&format!("2000000\n{}", "0\n0\n".repeat(2_000_000)), b""))],
        &limited(),
    );
    let old = |size: &str, numbers: &str| {
        let records: &[(&[u8], &[u8])] =
            &[(b"GNU.sparse.size", size.as_bytes()), (b"GNU.sparse.map", numbers.as_bytes())];
        tar([Member::pax(records), file("f", "tail")])
    };
    cases.layers("T4", "version 0.1", &[old("1000", "996,4")], &tree_or_refused(&["f=1000 bytes"]));
    for (name, numbers) in
        [("odd", "1,2,3"), ("text", "a,b"), ("beyond", "9999,4"), ("overlapping", "0,4,2,4")]
    {
        cases.layers("T4", &format!("version 0.1 {name}"), &[old("1000", numbers)], &limited());
    }
    cases.layers(
        "T4",
        "an unknown version",
        &[sparse("7", "0", "1000", &map("1\n0\n4\n", b"tail"))],
        &Expected::Safe,
    );
    gnu_sparse(cases);
}

/// The old GNU form: four runs in the header, then blocks of 21 while a flag says so.
fn gnu_sparse(cases: &mut Cases<'_>) {
    let header = |runs: &[(u64, u64)], real: u64, more: u8, content: &[u8]| {
        let mut member = Member::new(b'S', "f", content).set(MAGIC, b"ustar  \0").set(Field(482, 1), [more]);
        for (number, (at, length)) in runs.iter().enumerate() {
            let at_field = Field(386 + 24 * number, 12);
            member = member.number(at_field, *at).number(Field(at_field.0 + 12, 12), *length);
        }
        member.number(Field(483, 12), real)
    };
    cases.layers(
        "T4",
        "old GNU, honest",
        &[tar([header(&[(996, 4)], 1000, 0, b"tail")])],
        &tree(&["f=1000 bytes"]),
    );
    cases.layers("T4", "old GNU, beyond", &[tar([header(&[(999, 4)], 1000, 0, b"tail")])], &limited());
    cases.layers(
        "T4",
        "old GNU, backwards",
        &[tar([header(&[(10, 2), (0, 2)], 1000, 0, b"tail")])],
        &limited(),
    );
    let mut block = vec![0; 512];
    block[504] = 1;
    for number in 0..42 {
        block[number * 12..number * 12 + 12].copy_from_slice(b"00000000000\0");
    }
    let endless = |blocks: usize| {
        let mut bytes = cut([header(&[(0, 0)], 1000, 1, b"").claims(4)]);
        bytes.extend(block.repeat(blocks));
        bytes
    };
    cases.layers("T4", "old GNU, blocks that end too early", &[endless(3)], &limited());
    cases.root_layers("T4", "old GNU, blocks without end", &[endless(60_000)], &limited());
}

fn long_headers(cases: &mut Cases<'_>) {
    let pax = |length: usize| Member::new(b'x', "pax", record(b"comment", &vec![b'c'; length]));
    cases.root_layers("T5", "records of 3 MiB", &[tar([pax(3 << 20), file("f", "1")])], &limited());
    cases.layers("T5", "records of 64 KiB", &[tar([pax(1 << 16), file("f", "1")])], &tree(&["f=1"]));
    cases.root_layers(
        "T5",
        "a name of 3 MiB",
        &[tar([Member::long_name(&vec![b'n'; 3 << 20]), file("f", "1")])],
        &limited(),
    );
    for (name, kind) in [("pax", b'x'), ("global", b'g'), ("name", b'L'), ("link", b'K')] {
        for (size, what) in [(1_u64 << 33, "8 GiB"), (u64::MAX >> 1, "2^63 - 1")] {
            let claimed = cut([Member::new(kind, "h", b"").claims(size)]);
            cases.layers("T5", &format!("{name} claims {what}"), &[claimed], &limited());
        }
    }
    let path = |bytes: &[u8]| tar([Member::pax(&[(b"path", bytes)]), file("f", "1")]);
    cases.layers("T5", "a path of 70 kB", &[path(&b"d/".repeat(35_000))], &limited());
    cases.layers("T5", "a name of 300 bytes", &[path(&[b'n'; 300])], &Expected::Safe);
    cases.layers(
        "T5",
        "folders 3000 deep",
        &[path(&[b"d/".repeat(3000).as_slice(), b"f"].concat())],
        &limited(),
    );
    let link = tar([Member::pax(&[(b"linkpath", &vec![b'l'; 70_000])]), Member::symlink("l", "x")]);
    cases.layers("T5", "a link of 70 kB", &[link], &Expected::Safe);
    let empty = [Member::long_name(b""), file("f", "1")];
    cases.layers("T5", "an empty long name", &[tar(empty)], &Expected::Safe);
}

fn broken_numbers(cases: &mut Cases<'_>) {
    for (name, member) in [
        ("size negative", file("f", "1").base256(SIZE, -1)),
        ("size 2^63", file("f", "1").base256(SIZE, 1 << 63)),
        ("size 2^64", file("f", "1").base256(SIZE, 1 << 64)),
        ("size text", file("f", "1").set(SIZE, "many")),
        ("size not octal", file("f", "1").set(SIZE, "00000000009")),
        ("uid negative", file("f", "1").base256(UID, -1)),
        ("uid 2^32", file("f", "1").base256(UID, 1 << 32)),
        ("gid 2^40", file("f", "1").base256(GID, 1 << 40)),
        ("uid text", file("f", "1").set(UID, "root")),
        ("mode text", file("f", "1").set(MODE, "rwxr-xr")),
        ("mtime 2^80", file("f", "1").base256(MTIME, 1 << 80)),
        ("checksum wrong", file("f", "1").set(CHECKSUM, "000001\0 ").unsealed()),
        ("checksum empty", file("f", "1").set(CHECKSUM, "").unsealed()),
        ("checksum text", file("f", "1").set(CHECKSUM, "sum").unsealed()),
        ("name empty", file("", "1")),
    ] {
        cases.layers("T6", name, &[tar([member, file("g", "2")])], &refused());
    }
    let nul = tar([Member::pax(&[(b"path", b"a\0b")]), file("f", "1")]);
    cases.layers("T6", "nul in a pax path", &[nul], &refused());
    let nul = tar([Member::pax(&[(b"linkpath", b"a\0b")]), Member::symlink("l", "x")]);
    cases.layers("T6", "nul in a pax link", &[nul], &refused());
    cases.layers("T6", "an empty link", &[tar([Member::symlink("l", "")])], &refused());
    let behind = file("f", "1").set(NAME, b"f\0garbage");
    cases.layers("T6", "bytes behind a name's nul", &[tar([behind])], &tree(&["f=1"]));
    let old = file("f", "1").set(MTIME, "").set(UID, "").set(GID, "");
    cases.layers("T6", "empty numbers", &[tar([old])], &tree_or_refused(&["f=1"]));
    let blanks = file("f", "1").set(MODE, "   644 \0").set(SIZE, "         1 \0");
    cases.layers("T6", "numbers in blanks", &[tar([blanks])], &tree_or_refused(&["f=1"]));
    cases.layers("T6", "mtime negative", &[tar([file("f", "1").base256(MTIME, -86_400)])], &tree(&["f=1"]));
    let mode = file("f", "1").mode(0o100_644);
    cases.layers("T6", "file type bits in the mode", &[tar([mode])], &tree_or_refused(&["f=1"]));
}

fn broken_framing(cases: &mut Cases<'_>) {
    let whole = tar([file("f", "12345"), file("g", "2")]);
    for (name, length) in [
        ("in a header", 100),
        ("before the content", 512),
        ("in the content", 515),
        ("in the padding", 700),
        ("in the second header", 1100),
    ] {
        let lines: &[&str] = if length > 517 { &["f=12345"] } else { &[] };
        let expected = if (517..=1024).contains(&length) { tree_or_refused(lines) } else { refused() };
        cases.layers("T6", &format!("cut {name}"), &[whole[..length].to_vec()], &expected);
    }
    cases.layers("T6", "without an end", &[whole[..2048].to_vec()], &tree_or_refused(&["f=12345", "g=2"]));
    cases.layers("T6", "half an end", &[whole[..2560].to_vec()], &tree_or_refused(&["f=12345", "g=2"]));
    let hole = [&whole[..1024], &[0; 512], &whole[1024..]].concat();
    cases.layers("T6", "one block of zeros between", &[hole], &Expected::Safe);
    let behind = [&whole[..], &cut([file("h", "3")])].concat();
    cases.layers("T6", "an entry behind the end", &[behind], &tree_or_refused(&["f=12345", "g=2"]));
    let garbage = [&whole[..], &[0xff; 700]].concat();
    cases.layers("T6", "garbage behind the end", &[garbage], &tree_or_refused(&["f=12345", "g=2"]));
    let padded = [&whole[..], &vec![0; 20_480]].concat();
    cases.layers("T6", "zeros behind the end", &[padded], &tree(&["f=12345", "g=2"]));
    cases.layers("T6", "nothing at all", &[Vec::new()], &tree_or_refused(&[]));
    cases.layers("T6", "no tar", &[vec![b'x'; 4096]], &refused());
    cases.layers("T6", "not padded", &[tar([file("f", "1").unpadded(), file("g", "2")])], &refused());
    for kind in [b'V', b'M', b'N', b'D', b'A', b'Z', 0xff] {
        let archive = tar([Member::new(kind, "x", b""), file("f", "1")]);
        cases.layers("T6", &format!("type {kind:#x}"), &[archive], &tree_or_refused(&["f=1"]));
    }
    for (name, kind) in [("nul", 0), ("contiguous", b'7')] {
        cases.layers(
            "T6",
            &format!("a file of type {name}"),
            &[tar([Member::new(kind, "f", b"1")])],
            &tree_or_refused(&["f=1"]),
        );
    }
    cases.layers("T6", "an old magic", &[tar([file("f", "1").set(MAGIC, b"")])], &tree_or_refused(&["f=1"]));
    cases.layers("T6", "a strange magic", &[tar([file("f", "1").set(MAGIC, b"ustar!!!")])], &Expected::Safe);
}
