//! Laws of the tar reader, on archives built byte by byte.

use orlop_layer::tar::{Ending, Reader};
use orlop_layer::{Chunk, Entries, Entry, Error, Kind, Meta, TreePath};
use orlop_spec::Limits;

/// An archive under construction.
#[derive(Default)]
struct Archive(Vec<u8>);

/// Fields of a header that tests change.
struct Fields<'a> {
    name: &'a [u8],
    link: &'a [u8],
    size: u64,
    magic: &'a [u8; 8],
    prefix: &'a [u8],
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self { name: b"a", link: b"", size: 0, magic: b"ustar\x0000", prefix: b"" }
    }
}

impl Archive {
    fn header(mut self, flag: u8, fields: &Fields<'_>) -> Self {
        self.0.extend_from_slice(&header(flag, fields));
        self
    }

    fn content(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &[u8], content: &[u8]) -> Self {
        let size = content.len() as u64;
        self.header(b'0', &Fields { name, size, ..Fields::default() }).content(content)
    }

    fn member(self, flag: u8, name: &[u8]) -> Self {
        self.header(flag, &Fields { name, ..Fields::default() })
    }

    fn extended(self, flag: u8, content: &[u8]) -> Self {
        let size = content.len() as u64;
        self.header(flag, &Fields { name: b"ext", size, ..Fields::default() }).content(content)
    }

    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let records: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.extended(b'x', &records)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

fn header(flag: u8, fields: &Fields<'_>) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, fields.name);
    put(100, b"0000644\x000000000\x000000000\x00");
    put(124, format!("{:011o}\0", fields.size).as_bytes());
    put(136, b"00000000000\0        ");
    put(156, &[flag]);
    put(157, fields.link);
    put(257, fields.magic);
    put(345, fields.prefix);
    check(&mut block);
    block
}

fn check(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while body + length.to_string().len() != length {
        length += 1;
    }
    [length.to_string().as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
}

fn list(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, Error> {
    list_within(bytes, &Limits::default())
}

fn list_within(bytes: &[u8], limits: &Limits) -> Result<Vec<(Entry, Vec<u8>)>, Error> {
    let mut reader = Reader::new(bytes, limits);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        while let Some(chunk) = reader.next_chunk()? {
            match chunk {
                Chunk::Data(bytes) => content.extend_from_slice(bytes),
                Chunk::Hole(length) => {
                    content.resize(content.len() + usize::try_from(length).expect("small"), 0);
                }
            }
        }
        all.push((entry, content));
    }
    Ok(all)
}

fn names(bytes: &[u8]) -> Vec<String> {
    let entries = list(bytes).expect("a good archive");
    entries.iter().map(|(entry, _)| String::from_utf8_lossy(entry.path.as_bytes()).into_owned()).collect()
}

/// Where and why an archive is refused.
fn refused(bytes: &[u8]) -> (u64, &'static str) {
    match list(bytes) {
        Err(Error::Tar { offset, what }) => (offset, what),
        other => panic!("not refused as a damaged tar: {other:?}"),
    }
}

#[test]
fn a_plain_archive() {
    let tar = Archive::default().member(b'5', b"./").file(b"./a", b"hello").member(b'6', b"b").end();
    let entries = list(&tar).expect("a good archive");
    assert_eq!(entries.len(), 3);
    assert!(entries[0].0.path.is_root());
    assert_eq!(entries[1].0.kind, Kind::File { size: 5 });
    assert_eq!(entries[1].1, b"hello");
    assert_eq!(entries[1].0.meta.mode, 0o644);
    assert_eq!(entries[2].0.kind, Kind::Fifo);
}

#[test]
fn offsets_lead_back_to_their_entries() {
    let tar = Archive::default().file(b"a", b"x").pax(&[("path", b"long")]).file(b"b", b"y").end();
    let mut reader = Reader::new(&tar[..], &Limits::default());
    let mut offsets = Vec::new();
    while let Some(entry) = reader.next_entry().expect("good") {
        offsets.push((reader.offset(), entry));
    }
    assert_eq!(offsets[1].0, 1024);
    for (offset, entry) in offsets {
        let rest = &tar[usize::try_from(offset).expect("small")..];
        assert_eq!(Reader::new(rest, &Limits::default()).next_entry().expect("good"), Some(entry));
    }
}

#[test]
fn content_that_nobody_reads_is_passed_over() {
    let tar = Archive::default().file(b"a", &[1; 5000]).file(b"b", b"y").end();
    let mut reader = Reader::new(&tar[..], &Limits::default());
    reader.next_entry().expect("good");
    reader.next_chunk().expect("good");
    assert_eq!(reader.next_entry().expect("good").expect("there").path.as_bytes(), b"b");
}

#[test]
fn t1_one_size_decides_both_content_and_skip() {
    let inner = header(b'0', &Fields { name: b"smuggled", ..Fields::default() });
    let tar = Archive::default().pax(&[("size", b"512")]);
    let tar = tar.header(b'0', &Fields { name: b"outer", size: 0, ..Fields::default() }).content(&inner);
    let entries = list(&tar.file(b"after", b"").end()).expect("a good archive");
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].0.kind, Kind::File { size: 512 });
    assert_eq!(entries[0].1, inner);
}

#[test]
fn t2_extended_headers_never_apply_to_extended_headers() {
    let long = [b"n".repeat(200), b"\0".to_vec()].concat();
    let tar = Archive::default().pax(&[("size", b"3")]).extended(b'L', &long);
    let tar =
        tar.header(b'0', &Fields { name: b"short", size: 0, ..Fields::default() }).content(b"abc").end();
    let entries = list(&tar).expect("a good archive");
    assert_eq!(entries[0].0.path.as_bytes(), b"n".repeat(200));
    assert_eq!(entries[0].1, b"abc");
}

#[test]
fn t2_two_names_or_two_headers_of_one_kind_are_refused() {
    let tar = Archive::default().pax(&[("path", b"x")]).extended(b'L', b"y\0").file(b"a", b"").end();
    assert_eq!(refused(&tar), (2048, "a member has two different long names"));
    let tar = Archive::default().pax(&[("uid", b"1")]).pax(&[("uid", b"2")]).file(b"a", b"").end();
    assert_eq!(refused(&tar).0, 1024);
    let tar = Archive::default().pax(&[("path", b"x")]).end();
    assert_eq!(refused(&tar), (1024, "an extended header has no member"));
    let tar = Archive::default().pax(&[("uid", b"1")]).extended(b'g', b"").file(b"a", b"").end();
    assert_eq!(refused(&tar).0, 1024);
}

#[test]
fn t3_a_malformed_record_is_refused_with_its_offset() {
    let tar = Archive::default().file(b"a", b"").extended(b'x', b"9 path=x\n7 bad\n").file(b"b", b"").end();
    assert_eq!(refused(&tar), (1024 + 9, "an extended header has a malformed record"));
}

#[test]
fn t4_sparse_maps_are_capped_before_they_are_held() {
    let limits = Limits { sparse_runs: 1000, ..Limits::default() };
    let map = "0,0,".repeat(1001);
    let records = [("GNU.sparse.map", map.trim_end_matches(',').as_bytes()), ("GNU.sparse.size", b"0")];
    let tar = Archive::default().pax(&records).file(b"a", b"").end();
    assert!(matches!(list_within(&tar, &limits), Err(Error::Limit { limit: 1000, .. })));
    let records: [(&str, &[u8]); 3] =
        [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")];
    let tar = Archive::default().pax(&records).file(b"a", &[&b"999999999\n"[..], &[0; 502]].concat()).end();
    assert!(matches!(list_within(&tar, &limits), Err(Error::Limit { limit: 1000, .. })));
}

#[test]
fn t4_extension_blocks_without_end_stop_at_the_cap() {
    let mut block = header(b'S', &Fields { magic: b"ustar  \0", ..Fields::default() });
    let slot = [&b"00000000000\0"[..], b"00000000000\0"].concat();
    for at in 0..4 {
        block[386 + at * 24..410 + at * 24].copy_from_slice(&slot);
    }
    block[482] = 1;
    check(&mut block);
    let mut extension = slot.repeat(21);
    extension.push(1);
    extension.resize(512, 0);
    let endless = std::io::BufReader::new(std::io::Read::chain(&block[..], Endless(extension)));
    let mut reader = Reader::new(endless, &Limits::default());
    assert!(matches!(reader.next_entry(), Err(Error::Limit { .. })));
}

/// The same bytes again and again.
struct Endless(Vec<u8>);

impl std::io::Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let whole = out.len() / self.0.len() * self.0.len();
        out[..whole].chunks_mut(self.0.len()).for_each(|block| block.copy_from_slice(&self.0));
        Ok(whole)
    }
}

#[test]
fn t5_extended_headers_are_capped_each_and_together() {
    let tar = Archive::default().header(b'x', &Fields { size: (1 << 20) + 1, ..Fields::default() }).end();
    assert!(matches!(list(&tar), Err(Error::Limit { what: "an extended header", .. })));
    let tar = Archive::default().header(b'L', &Fields { size: 1 << 40, ..Fields::default() }).end();
    assert!(matches!(list(&tar), Err(Error::Limit { what: "an extended header", .. })));
    let limits = Limits { headers: 10_000, ..Limits::default() };
    let tar = (0..20).fold(Archive::default(), |tar, _| tar.extended(b'g', b"13 comment=a\n")).end();
    assert!(matches!(list_within(&tar, &limits), Err(Error::Limit { limit: 10_000, .. })));
}

#[test]
fn t6_sizes_that_cannot_be_are_refused() {
    for size in [
        &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
        b"12x\0\0\0\0\0\0\0\0\0",
    ] {
        let mut block = header(b'0', &Fields::default());
        block[124..136].copy_from_slice(size);
        check(&mut block);
        assert_eq!(refused(&block), (0, "the size is out of range"));
    }
    let mut block = header(b'0', &Fields::default());
    block[0] = b'b';
    assert_eq!(refused(&block), (0, "the header's checksum is wrong"));
    assert_eq!(refused(&[b'x'; 512]), (0, "this is no tar header"));
    let tar = Archive::default().pax(&[("path", b"a\0b")]).file(b"a", b"").end();
    assert_eq!(refused(&tar).0, 512);
    let tar = Archive::default().extended(b'L', b"a\0b\0").file(b"a", b"").end();
    assert_eq!(refused(&tar).0, 0);
}

#[test]
fn j6_owners_that_overflow_are_refused() {
    for uid in ["4294967295", "4294967296", "-1"] {
        let tar = Archive::default().pax(&[("uid", uid.as_bytes())]).file(b"a", b"").end();
        assert_eq!(refused(&tar), (512, "the owner's number is out of range"));
    }
    let mut block = header(b'0', &Fields::default());
    block[108..116].copy_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xfe");
    check(&mut block);
    assert_eq!(refused(&block), (0, "the owner's number is out of range"));
    let tar = Archive::default().pax(&[("uid", b"4294967294")]).file(b"a", b"").end();
    assert_eq!(list(&tar).expect("good")[0].0.meta.uid, 4_294_967_294);
}

#[test]
fn item_47_and_p5_whiteouts_name_one_plain_component() {
    for bad in [&b".wh."[..], b"d/.wh.", b".wh..", b".wh...", b".wh.d/x", b"d/.wh..wh..opq/x"] {
        let tar = Archive::default().file(bad, b"").end();
        assert!(matches!(list(&tar), Err(Error::BadWhiteout { .. })), "{}", bad.escape_ascii());
    }
    let tar = Archive::default().header(b'1', &Fields { link: b"d/.wh.x", ..Fields::default() }).end();
    assert!(matches!(list(&tar), Err(Error::BadWhiteout { .. })));
    let tar =
        Archive::default().file(b"d/.wh.x", b"").file(b"./d/.wh..wh..opq", b"").file(b".wh..wh..opq", b"");
    let kinds: Vec<_> =
        list(&tar.end()).expect("good").into_iter().map(|(entry, _)| (entry.path, entry.kind)).collect();
    assert_eq!(kinds[0].0.as_bytes(), b"d/x");
    assert_eq!(kinds[0].1, Kind::Whiteout);
    assert_eq!(kinds[1].0.as_bytes(), b"d");
    assert_eq!(kinds[1].1, Kind::Opaque);
    assert!(kinds[2].0.is_root());
}

#[test]
fn a_whiteout_has_no_content_whatever_its_member_holds() {
    let tar = Archive::default().file(b".wh.a", b"noise").file(b"b", b"").end();
    let entries = list(&tar).expect("good");
    assert_eq!((entries.len(), &entries[0].1[..]), (2, &b""[..]));
}

#[test]
fn files_of_aufs_are_passed_over() {
    let tar = Archive::default()
        .member(b'5', b".wh..wh.plnk/")
        .file(b".wh..wh.plnk/1.2", b"x")
        .file(b"a", b"")
        .end();
    assert_eq!(names(&tar), ["a"]);
}

#[test]
fn p1_the_root_stays_a_folder() {
    let tar =
        Archive::default().header(b'2', &Fields { name: b"./", link: b"/etc", ..Fields::default() }).end();
    assert!(matches!(list(&tar), Err(Error::Entry { .. })));
    let tar = Archive::default().file(b"a/../../b", b"").end();
    assert!(matches!(list(&tar), Err(Error::Path(_))));
    let tar = Archive::default().header(b'1', &Fields { link: b"../b", ..Fields::default() }).end();
    assert!(matches!(list(&tar), Err(Error::Path(_))));
}

#[test]
fn item_43_sparse_files_of_four_kinds_are_read() {
    let whole = [&b"AAAA"[..], &[0; 1020], b"BB", &[0; 10]].concat();
    let zero: Vec<(&str, &[u8])> = vec![
        ("GNU.sparse.size", b"1036"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"0"),
        ("GNU.sparse.numbytes", b"4"),
        ("GNU.sparse.offset", b"1024"),
        ("GNU.sparse.numbytes", b"2"),
    ];
    let one: Vec<(&str, &[u8])> = vec![
        ("GNU.sparse.size", b"1036"),
        ("GNU.sparse.name", b"a"),
        ("GNU.sparse.map", b"0,4,1024,2,1036,0"),
    ];
    for records in [zero, one] {
        let tar =
            Archive::default().pax(&records).file(b"GNUSparseFile.1/a", b"AAAABB").file(b"b", b"x").end();
        let entries = list(&tar).expect("good");
        assert_eq!(entries[0].1, whole, "{records:?}");
        assert_eq!(entries[1].1, b"x");
    }
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"a"),
        ("GNU.sparse.realsize", b"1036"),
    ];
    let mut content = b"3\n0\n4\n1024\n2\n1036\n0\n".to_vec();
    content.resize(512, 0);
    content.extend_from_slice(b"AAAABB");
    let tar = Archive::default().pax(&records).file(b"GNUSparseFile.1/a", &content).file(b"b", b"x").end();
    let entries = list(&tar).expect("good");
    assert_eq!((entries[0].0.path.as_bytes(), &entries[0].1), (&b"a"[..], &whole));
    assert_eq!(entries[0].0.kind, Kind::File { size: 1036 });

    let mut block = header(b'S', &Fields { size: 6, magic: b"ustar  \0", ..Fields::default() });
    block[386..434].copy_from_slice(b"00000000000\x0000000000004\x0000000002000\x0000000000002\x00");
    block[483..495].copy_from_slice(b"00000002014\0");
    check(&mut block);
    let tar = Archive([&block[..], b"AAAABB"].concat()).content(b"").file(b"b", b"x").end();
    assert_eq!(list(&tar).expect("good")[0].1, whole);
}

#[test]
fn sparse_runs_that_do_not_fit_are_refused() {
    for map in ["0,4,1024,3", "0,4", "1024,2,0,4", "0,4,2,2", "0", "0,4,x,2", "0,4,4000,2"] {
        let records = [("GNU.sparse.size", &b"1036"[..]), ("GNU.sparse.map", map.as_bytes())];
        let tar = Archive::default().pax(&records).file(b"a", b"AAAABB").end();
        refused(&tar);
    }
    let tar = Archive::default().pax(&[("GNU.sparse.name", b"x")]).file(b"a", b"").end();
    refused(&tar);
    let tar = Archive::default().pax(&[("GNU.sparse.name", b"x")]).member(b'5', b"a").end();
    refused(&tar);
}

#[test]
fn a_member_without_content_has_no_size() {
    for flag in [b'2', b'3', b'4', b'5', b'6'] {
        let fields = Fields { link: b"x", size: 512, ..Fields::default() };
        let tar = Archive::default().header(flag, &fields).content(&[1; 512]).end();
        assert_eq!(refused(&tar), (0, "a member that has no content has a size"));
    }
    let fields = Fields { link: b"x", size: 512, ..Fields::default() };
    let tar = Archive::default().header(b'1', &fields).file(b"b", b"").end();
    assert_eq!(names(&tar), ["a", "b"]);
}

#[test]
fn an_archive_ends_at_zeros_or_behind_a_member() {
    let whole = Archive::default().file(b"a", b"x").0;
    assert_eq!(names(&whole), ["a"]);
    assert_eq!(names(&[&whole[..], &[0; 512]].concat()), ["a"]);
    assert_eq!(names(&[&whole[..], &[0; 10240]].concat()), ["a"]);
    assert_eq!(names(&[&whole[..], &[0; 512], &whole].concat()), ["a"]);
    assert_eq!(names(&[&whole[..], &[0; 1024], b"garbage"].concat()), ["a"]);
    assert_eq!(names(b""), [""; 0]);
    assert_eq!(names(&whole[..1000]), ["a"]);
    assert_eq!(names(&whole[..513]), ["a"]);
    assert_eq!(refused(&whole[..100]), (100, "the archive ends inside a header"));
    assert_eq!(refused(&whole[..512]), (512, "the archive ends inside the content of a file"));
}

#[test]
fn how_an_archive_ended_is_told() {
    let whole = Archive::default().file(b"a", b"x").0;
    let ending = |rest: &[u8]| {
        let bytes = [&whole[..], rest].concat();
        let mut reader = Reader::new(&bytes[..], &Limits::default());
        assert_eq!(reader.ending(), None);
        while reader.next_entry().expect("readable").is_some() {}
        reader.ending().expect("at its end")
    };
    let at = whole.len() as u64;
    assert_eq!(ending(&[0; 1024]), Ending::Marked);
    assert_eq!(ending(&[0; 10240]), Ending::Marked);
    assert_eq!(ending(b""), Ending::Unmarked);
    assert_eq!(ending(&[0; 512]), Ending::Unmarked);
    assert_eq!(ending(&[&[0; 1024], &whole[..]].concat()), Ending::Followed(at + 1024));
    assert_eq!(ending(&[&[0; 512], &whole[..]].concat()), Ending::Followed(at + 512));
    assert_eq!(ending(&[&[0; 5000], &b"x"[..]].concat()), Ending::Followed(at + 5000));
}

#[test]
fn old_headers_are_read() {
    let v7 = Fields { name: b"old/", magic: &[0; 8], ..Fields::default() };
    let tar = Archive::default().header(0, &v7).header(0, &Fields { name: b"old/f", ..v7 }).end();
    assert_eq!(list(&tar).expect("good")[0].0.kind, Kind::Directory);
    let tar = Archive::default().header(b'0', &Fields { prefix: b"some/where", ..Fields::default() }).end();
    assert_eq!(names(&tar), ["some/where/a"]);
    let gnu = Fields { prefix: b"some/where", magic: b"ustar  \0", ..Fields::default() };
    assert_eq!(names(&Archive::default().header(b'0', &gnu).end()), ["a"]);
}

#[test]
fn a_file_may_be_larger_than_eight_gigabytes() {
    let mut block = header(b'0', &Fields::default());
    block[124..136].copy_from_slice(&[&[0x80, 0, 0, 0][..], &(1u64 << 40).to_be_bytes()].concat());
    check(&mut block);
    let mut reader = Reader::new(&block[..], &Limits::default());
    assert_eq!(reader.next_entry().expect("good").expect("there").kind, Kind::File { size: 1 << 40 });
    assert!(reader.next_entry().is_err());
}

#[test]
fn long_paths_and_names_that_are_no_text() {
    let long = b"d\xff/".repeat(2000);
    let tar = Archive::default().pax(&[("path", &[&long[..], b"f"].concat())]).file(b"x", b"").end();
    let limits = Limits { depth: 2001, ..Limits::default() };
    assert_eq!(list_within(&tar, &limits).expect("good")[0].0.path.as_bytes().len(), 6001);
    let limits = Limits { depth: 2000, ..Limits::default() };
    assert!(matches!(list_within(&tar, &limits), Err(Error::Limit { .. })));
    let limits = Limits { path: 6000, ..Limits::default() };
    assert!(matches!(list_within(&tar, &limits), Err(Error::Limit { .. })));
}

#[test]
fn entries_and_content_are_limited() {
    let tar = Archive::default().file(b"a", b"xyz").file(b"b", b"xyz").end();
    let limits = Limits { entries: 1, ..Limits::default() };
    assert!(matches!(list_within(&tar, &limits), Err(Error::Limit { limit: 1, .. })));
    let limits = Limits { size: 5, ..Limits::default() };
    assert!(matches!(list_within(&tar, &limits), Err(Error::Limit { limit: 5, .. })));
    let limits = Limits { size: 6, entries: 2, ..Limits::default() };
    assert!(list_within(&tar, &limits).is_ok());
}

#[test]
fn global_records_hold_for_what_follows() {
    let tar = Archive::default().extended(b'g', &record("uid", b"7")).file(b"a", b"");
    let tar = tar.pax(&[("uid", b"8")]).file(b"b", b"").pax(&[("uid", b"")]).file(b"c", b"").end();
    let uids: Vec<_> = list(&tar).expect("good").iter().map(|(entry, _)| entry.meta.uid).collect();
    assert_eq!(uids, [7, 8, 0]);
}

#[test]
fn content_can_be_passed_over_without_reading_it() {
    use orlop_layer::tar::{Order, Writer};
    let entry = |name: &str, size| Entry {
        path: TreePath::parse(name.as_bytes()).expect("a path"),
        meta: Meta { mode: 0o644, ..Meta::default() },
        kind: Kind::File { size },
    };
    let mut writer = Writer::in_order(Vec::new(), Order::Callers);
    for (name, content) in [("b", &[b'x'; 1000][..]), ("empty", b""), ("a", b"last")] {
        writer.entry(&entry(name, content.len() as u64)).expect("any order");
        writer.data(content).expect("as long as announced");
    }
    let bytes = writer.finish().expect("a vector takes all");
    let mut reader = Reader::new(std::io::Cursor::new(&bytes), &Limits::default());
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().expect("a right archive") {
        let Kind::File { size } = entry.kind else { panic!("only files were written") };
        let at = reader.seek_over().expect("a cursor seeks").expect("in one piece");
        let at = usize::try_from(at).expect("small");
        found.push((entry.path.to_string(), bytes[at..at + usize::try_from(size).expect("small")].to_vec()));
    }
    assert_eq!(found[0], ("b".into(), vec![b'x'; 1000]));
    assert_eq!(found[1..], [("empty".into(), Vec::new()), ("a".into(), b"last".to_vec())]);
}

#[test]
fn t5_a_global_header_costs_what_it_gives_to_every_entry() {
    let attribute = record("SCHILY.xattr.user.big", &[b'x'; 1000]);
    let limits = Limits { headers: 20_000, ..Limits::default() };
    let archive = |count| {
        let tar = Archive::default().extended(b'g', &attribute);
        (0..count).fold(tar, |tar, number: u32| tar.file(number.to_string().as_bytes(), b"")).end()
    };
    assert_eq!(list_within(&archive(10), &limits).expect("within the limit").len(), 10);
    assert!(matches!(list_within(&archive(20), &limits), Err(Error::Limit { limit: 20_000, .. })));
}
