//! T7: one archive, one listing. Where GNU tar, bsdtar and Python see the same, so does the reader, or it refuses
//! for a reason that is on the list.

mod recorded;

use orlop_layer::{Entry, Error, Kind};
use recorded::{read, recorded, text, unhex};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use testkit::tarball::{self, Member};
use testkit::{Command, proof, scratch};

/// One line of a listing: type, name, size of a file.
type Line = (char, Vec<u8>, u64);

/// Reads archives by Python's `tarfile`, all in one run; `None` for those that it refuses.
const PYTHON: &str = r"
import sys, tarfile
for path in sys.argv[1:]:
    out = []
    try:
        with tarfile.open(path, 'r:', errors='surrogateescape', encoding='utf-8') as tar:
            for m in tar:
                assert m.size >= 0
                kind = 'f' if m.isreg() else 'd' if m.isdir() else 'l' if m.issym() else 'h' if m.islnk() else 'c' if m.ischr() else 'b' if m.isblk() else 'p' if m.isfifo() else '?'
                name = m.name.encode('utf-8', 'surrogateescape')
                out.append('%s %s %d' % (kind, name.hex() or '-', m.size if m.isreg() else 0))
    except Exception as error:
        out = ['refused']
    print(';'.join(out))
";

fn python(paths: &[PathBuf]) -> Vec<Option<Vec<Line>>> {
    let answer = Command::new("python3").arg("-c").arg(PYTHON).args(paths).ok().out();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let name = if fields[1] == "-" { Vec::new() } else { unhex(fields[1]) };
        (fields[0].chars().next().expect("a letter"), plain(&name), fields[2].parse().expect("a size"))
    };
    let list = |text: &str| match text {
        "refused" => None,
        "" => Some(Vec::new()),
        text => Some(text.split(';').map(line).collect()),
    };
    answer.lines().map(list).collect()
}

/// `-rw-r--r-- 0/0 5 1970-01-01 00:00:00 name`, with ` -> target` or ` link to target`.
fn gnu(path: &Path) -> Option<Vec<Line>> {
    let tar = Command::new("tar").args(["--quoting-style=escape", "--numeric-owner", "--full-time"]);
    let answer = tar.env("LC_ALL", "C").env("TZ", "UTC").arg("-tvf").arg(path).run();
    if !answer.success() {
        return None;
    }
    answer.out().lines().map(|line| long_line(line, 5, 2)).collect()
}

/// `-rw-r--r--  0 0 0 5 Jan  1  1970 name`, with ` -> target` or ` link to target`.
fn bsdtar(path: &Path) -> Option<Vec<Line>> {
    let bsdtar = Command::new("bsdtar").env("LC_ALL", "C").env("TZ", "UTC");
    let answer = bsdtar.args(["--numeric-owner", "-tvf"]).arg(path).run();
    if !answer.success() {
        return None;
    }
    answer.out().lines().map(|line| long_line(line, 8, 4)).collect()
}

/// A line of so many fields before the name.
fn long_line(line: &str, fields: usize, size_at: usize) -> Option<Line> {
    let letter = match line.chars().next()? {
        '-' | 'C' | 'S' => 'f',
        letter => letter,
    };
    let mut rest = line;
    let mut size = 0;
    for field in 0..fields {
        let (word, after) = rest.trim_start_matches(' ').split_once(' ')?;
        rest = after;
        if field == size_at && letter == 'f' {
            size = word.parse().ok()?;
        }
    }
    let end = match letter {
        'l' => rest.find(" -> ")?,
        'h' => rest.find(" link to ")?,
        _ => rest.len(),
    };
    Some((letter, plain(&unescape(&rest[..end])), size))
}

/// A name without the spellings that mean nothing: `./a/`, `/a` and `a` are one.
fn plain(name: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> =
        name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    parts.join(&b'/')
}

/// `\NNN` in octal, `\n`, `\\`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, length) = match rest {
            [b'\\', digits @ ..]
                if digits.len() >= 3 && digits[..3].iter().all(|byte| (b'0'..b'8').contains(byte)) =>
            {
                let number =
                    digits[..3].iter().fold(0, |number: u32, byte| number * 8 + u32::from(byte - b'0'));
                (u8::try_from(number & 255).expect("a byte"), 4)
            }
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            [b'\\', byte, ..] => (*byte, 2),
            _ => (*first, 1),
        };
        bytes.push(byte);
        rest = &after[length - 1..];
    }
    bytes
}

fn ours(tar: &[u8]) -> Result<Vec<Line>, Error> {
    let line = |(entry, _): &(Entry, Vec<u8>)| {
        let (letter, size) = match &entry.kind {
            Kind::File { size } => ('f', *size),
            Kind::Directory => ('d', 0),
            Kind::Symlink { .. } => ('l', 0),
            Kind::HardLink { .. } => ('h', 0),
            Kind::CharDevice(_) => ('c', 0),
            Kind::BlockDevice(_) => ('b', 0),
            Kind::Fifo => ('p', 0),
            Kind::Whiteout | Kind::Opaque => ('w', 0),
        };
        (letter, entry.path.as_bytes().to_vec(), size)
    };
    read(tar).map(|entries| entries.iter().map(line).collect())
}

/// Archives of which readers may see more than one thing.
fn odd_archives() -> Vec<Vec<u8>> {
    use tarball::{KIND, LINK, MAGIC, MTIME, PREFIX, SIZE, UID};
    let file = || Member::file("a", "hello");
    let after = || Member::file("after", "x");
    let pax = |records: &[(&[u8], &[u8])]| Member::pax(records);
    let smuggled = || tarball::cut([Member::file("smuggled", "")]);
    let mut archives: Vec<Vec<u8>> = [
        vec![file()],
        vec![Member::folder("./"), Member::folder("./d"), Member::file("./d/f", "x"), Member::fifo("p")],
        vec![Member::symlink("l", "a"), Member::hard_link("h", "a"), Member::device(b'3', "c", 1, 3)],
        vec![pax(&[(b"size", b"512")]), Member::file("outer", smuggled()).claims(0)],
        vec![pax(&[(b"size", b"0")]), Member::file("outer", smuggled())],
        vec![
            pax(&[(b"size", b"512")]),
            Member::long_name(&b"n".repeat(150)),
            Member::file("o", smuggled()).claims(0),
        ],
        vec![Member::long_name(&b"n".repeat(150)), pax(&[(b"mtime", b"1.5")]), file()],
        vec![Member::long_name(b"one"), pax(&[(b"path", b"two")]), file()],
        vec![pax(&[(b"path", b"one")]), Member::long_name(b"two"), file()],
        vec![pax(&[(b"path", b"one")]), pax(&[(b"path", b"two")]), file()],
        vec![Member::long_name(b"one"), Member::long_name(b"two"), file()],
        vec![pax(&[(b"path", b"one"), (b"path", b"two")]), file()],
        vec![pax(&[(b"path", b"")]), file()],
        vec![pax(&[(b"linkpath", b"b")]), Member::symlink("l", "a")],
        vec![Member::long_link(&b"n".repeat(150)), Member::symlink("l", "a")],
        vec![Member::long_link(&b"n".repeat(150)), file()],
        vec![Member::global(&[(b"path", b"global")]), file()],
        vec![Member::global(&[(b"size", b"512")]), Member::file("outer", smuggled()).claims(0)],
        vec![Member::global(&[(b"comment", b"x")]), file()],
        vec![Member::global(&[(b"mtime", b"7")]), file(), pax(&[(b"mtime", b"8")]), after()],
        vec![pax(&[(b"comment", b"x")]), Member::global(&[(b"comment", b"y")]), file()],
        vec![
            pax(&[(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"4")]),
            file(),
        ],
        vec![pax(&[(b"GNU.sparse.name", b"other")]), file()],
        vec![pax(&[(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"0,5")]), file()],
        vec![pax(&[(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"4,5")]), file()],
        vec![pax(&[(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"4,6")]), file()],
        vec![Member::new(b'x', "x", "9 path=b\n9 path=c\n7 bad\n"), file()],
        vec![Member::new(b'x', "x", "8 path=b\n"), file()],
        vec![Member::new(b'x', "x", "999 path=b\n"), file()],
        vec![Member::new(b'x', "x", ""), file()],
        vec![Member::new(b'X', "x", "9 path=b\n"), file()],
        vec![Member::new(b'L', "x", ""), file()],
        vec![Member::new(b'L', "x", "nul\0inside\0"), file()],
        vec![Member::new(b'L', "x", "no-nul"), file()],
        vec![file().base256(SIZE, 5)],
        vec![file().base256(SIZE, -1)],
        vec![file().base256(SIZE, 1 << 63)],
        vec![file().base256(UID, 1 << 31), file().base256(MTIME, -1)],
        vec![file().base256(UID, -2)],
        vec![file().set(SIZE, b"       5    ")],
        vec![file().set(SIZE, b"00000000005 ")],
        vec![file().set(SIZE, b"5\0xxxxxxxxxx")],
        vec![file().set(SIZE, b"000000000009")],
        vec![file().set(UID, b"        ")],
        vec![Member::folder("d").set(KIND, b"0").claims(0)],
        vec![Member::new(b'0', "d/", "")],
        vec![Member::new(b'0', "d/", "hello")],
        vec![Member::new(0, "d/", "")],
        vec![Member::new(0, "f", "hello")],
        vec![Member::new(b'7', "f", "hello")],
        vec![Member::new(b'5', "d", "hello")],
        vec![Member::new(b'2', "l", "hello").set(LINK, b"a")],
        vec![Member::new(b'1', "h", "").set(LINK, b"a").claims(5)],
        vec![Member::new(b'6', "p", "hello")],
        vec![Member::new(b'9', "what", "hello")],
        vec![Member::new(b'D', "dump", "")],
        vec![Member::new(b'V', "label", "")],
        vec![Member::new(b'S', "s", "hello")],
        vec![Member::file("", "x")],
        vec![Member::file("/abs", "x"), Member::file("a//b/./c", "x")],
        vec![file().set(PREFIX, b"pre/fix")],
        vec![file().set(PREFIX, b"pre/fix").set(MAGIC, b"ustar  \0")],
        vec![file().set(PREFIX, b"pre/fix").set(MAGIC, [0; 8])],
        vec![file().set(MAGIC, b"ustar\0\0\0")],
        vec![file().set(MAGIC, b"ustar 00")],
        vec![file().unsealed()],
        vec![pax(&[(b"hdrcharset", b"BINARY"), (b"path", b"\xff\xfe")]), file()],
        vec![pax(&[(b"path", b"a\0b")]), file()],
        vec![pax(&[(b"uid", b"4294967296")]), file()],
        vec![pax(&[(b"size", b"-1")]), file()],
        vec![pax(&[(b"mtime", b"x")]), file()],
    ]
    .into_iter()
    .map(|members| tarball::tar(members.into_iter().chain([after()])))
    .collect();
    let whole = tarball::cut([file()]);
    for tail in [
        vec![],
        vec![0; 512],
        vec![0; 100],
        [&[0; 512][..], &whole].concat(),
        [&[0; 1024][..], &whole].concat(),
    ] {
        archives.push([&whole[..], &tail].concat());
    }
    archives.push(whole[..whole.len() - 100].to_vec());
    archives.push(whole[..600].to_vec());
    archives.push(whole[..100].to_vec());
    archives.push(Vec::new());
    archives
}

/// Every recorded archive with one byte changed and its header's checksum mended.
fn mutations(count: usize) -> Vec<Vec<u8>> {
    let archives: Vec<_> =
        text("archives").lines().map(|line| recorded(line.split('\t').next().expect("a name"))).collect();
    let mut state: u64 = 7;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    let mutate = |_| {
        let mut tar = archives[random(archives.len())].clone();
        for _ in 0..=random(3) {
            let header = random(tar.len() / 512) * 512;
            let at = header + random(512);
            tar[at] = *b"\0 /0123457AxgLKS2\x80\xff=\n"
                .get(random(40))
                .unwrap_or(&u8::try_from(random(256)).expect("a byte"));
            if &tar[header + 257..header + 262] == b"ustar" {
                tar[header + 148..header + 156].fill(b' ');
                let sum: u32 = tar[header..header + 512].iter().map(|byte| u32::from(*byte)).sum();
                tar[header + 148..header + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        tar
    };
    (0..count).map(mutate).collect()
}

#[test]
fn t7_the_same_listing_as_three_readers_where_they_agree() {
    const NAME: &str = "tar: same listing as GNU tar, bsdtar and Python";
    if let Some(missing) = ["tar", "bsdtar", "python3"].into_iter().find(|name| testkit::peer(name).is_none())
    {
        return proof::skipped(NAME, &format!("{missing} is missing"));
    }
    let scratch = scratch();
    let mut archives = odd_archives();
    archives.extend(text("archives").lines().map(|line| recorded(line.split('\t').next().expect("a name"))));
    archives.extend(mutations(if testkit::full() { 3000 } else { 300 }));
    let paths: Vec<_> =
        archives.iter().enumerate().map(|(at, tar)| scratch.file(&format!("{at}.tar"), tar)).collect();
    let (mut agreed, mut refused) = (0, BTreeMap::new());
    for (path, python) in paths.iter().zip(python(&paths)) {
        let (Some(gnu), Some(bsd), Some(python)) = (gnu(path), bsdtar(path), python) else { continue };
        if python != gnu || python != bsd {
            continue;
        }
        agreed += 1;
        match ours(&fs::read(path).expect("written before")) {
            Ok(found) => assert_eq!(found, python, "{}", path.display()),
            Err(error) => *refused.entry(reason(&error)).or_insert(0) += 1,
        }
    }
    assert!(agreed >= 100, "only {agreed} archives on which the readers agree");
    let unknown: Vec<_> = refused.keys().filter(|why| !REFUSED.contains(&why.as_str())).collect();
    assert!(unknown.is_empty(), "refused without being on the list: {unknown:?}; all: {refused:?}");
    proof::ran(NAME, agreed);
}

fn reason(error: &Error) -> String {
    match error {
        Error::Tar { what, .. } | Error::Entry { what, .. } => (*what).to_owned(),
        Error::Path(_) => "a path climbs or holds a NUL".to_owned(),
        other => other.to_string(),
    }
}

/// What is refused though three readers agree: `docs/formats/tar.md`, "Refused".
const REFUSED: &[&str] = &[
    // Old versions of libarchive pass over global headers, and so do engines written in Go.
    "a global header renames or resizes members, which readers disagree about",
    "a global header stands between a member and its extended header",
    "a long name is empty or holds a NUL byte",
    "a member has two different long names",
    "a member that has no content has a size",
    "the records of a sparse file contradict each other",
    "the size is out of range",
];
