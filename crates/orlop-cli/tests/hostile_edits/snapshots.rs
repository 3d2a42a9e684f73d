//! Snapshots that somebody made up: a right digest proves that they are whole, and nothing else.

use crate::world::World;
use orlop::spec::{Algorithm, Digest};
use testkit::peak::Peak;
use testkit::proof;

const FILE: &str = ".root.orlop-snapshot";
const VERBS: [&[&str]; 3] = [&["repack", "root", "oci:l:new"], &["revert", "root"], &["diff", "root"]];

/// A tracked folder `root` of `oci:l:app`, and its snapshot without the digest.
fn tracked() -> (World, Vec<u8>) {
    let it = World::new();
    it.command(&["unpack", "--track", "oci:l:app", "root"]).ok();
    let mut body = std::fs::read(it.path(FILE)).expect("a snapshot");
    body.truncate(body.len() - 32);
    (it, body)
}

fn proven(body: &[u8]) -> Vec<u8> {
    [body, Digest::of(Algorithm::Sha256, body).bytes()].concat()
}

fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// A head, what it says of the image, and what follows.
fn parts(body: &[u8]) -> (Vec<u8>, String, Vec<u8>) {
    let begin =
        body.windows(10).position(|part| part == br#"{"version""#).expect("it says of which image it is");
    let records = body[begin..].windows(2).position(|part| part == b"]}").expect("it ends") + begin + 2;
    let about = String::from_utf8(body[begin..records].to_vec()).expect("JSON");
    let head = begin - number(about.len() as u64).len();
    (body[..head].to_vec(), about, body[records..].to_vec())
}

fn joined((head, about, records): &(Vec<u8>, String, Vec<u8>)) -> Vec<u8> {
    [head, &number(about.len() as u64)[..], about.as_bytes(), records].concat()
}

#[test]
fn made_up_snapshots_are_refused_and_the_folder_stays() {
    let (it, body) = tracked();
    let whole = parts(&body);
    assert_eq!(joined(&whole), body);
    let about = |edit: &dyn Fn(&str) -> String| joined(&(whole.0.clone(), edit(&whole.1), whole.2.clone()));
    let records = |records: &[u8]| joined(&(whole.0.clone(), whole.1.clone(), records.to_vec()));
    // No attributes, a root of which nothing is known, and then:
    let root = |rest: &[u8]| records(&[b"\0d\0\0\0", rest].concat());
    let deep: Vec<u8> =
        (1..5000u64).flat_map(|depth| [b"d\0".to_vec(), number(depth), b"\x01d".to_vec()].concat()).collect();
    let cases: [(&str, Vec<u8>, i32, &str); 19] = [
        ("a version to come", [b"orlop snapshot 2\n", &body[17..]].concat(), 5, "another version"),
        ("no root", records(b"\0"), 5, "has no root"),
        ("a name that climbs", root(b"f\0\x01\x02.."), 5, "no single component"),
        ("a name that is a path", root(b"f\0\x01\x03a/b"), 5, "no single component"),
        ("a name with a nul", root(b"f\0\x01\x02a\0"), 5, "no single component"),
        ("names out of order", root(b"f\0\x01\x01bf\0\x01\x01a"), 5, "out of order"),
        ("a name in a file", root(b"f\0\x01\x01af\0\x02\x01b"), 5, "no folder"),
        ("a link to what comes later", root(b"h\0\x01\x01a\x05"), 5, "leads to no inode"),
        ("a name without end", root(&[b"f\0\x01".to_vec(), number(1 << 62)].concat()), 5, "ends early"),
        ("sets without end", records(&number(1 << 62)), 9, "attribute sets"),
        (
            "more sets than entries may be",
            records(&[number(20 << 20), vec![0; 20 << 20]].concat()),
            9,
            "attribute sets",
        ),
        ("folders without end", root(&deep), 9, "depth"),
        (
            "an attribute set that is not there",
            root(b"f\x80\x04\x01\x01a\x07"),
            5,
            "attributes that are not there",
        ),
        ("a number in two bytes that fits one", records(b"\x80\0"), 5, "shortest form"),
        (
            "another version of what is said of the image",
            about(&|text| text.replace(r#""version":1"#, r#""version":2"#)),
            5,
            "which image it came from",
        ),
        ("a member twice", about(&|text| text.replacen('{', r#"{"version":1,"#, 1)), 5, "stands twice"),
        (
            "lists without end",
            about(&|text| text.replacen('{', &format!(r#"{{"x":{},"#, "[".repeat(50_000)), 1)),
            5,
            "recursion",
        ),
        (
            "fewer layers than diff ids",
            about(&|text| {
                text.replace(r#""diff_ids":["#, &format!(r#""diff_ids":["sha256:{}","#, "0".repeat(64)))
            }),
            5,
            "which image it came from",
        ),
        (
            "a digest that is a path",
            about(&|text| text.replacen("sha256:", "sha256:../../", 1)),
            5,
            "is no digest",
        ),
    ];
    for (name, body, code, said) in &cases {
        it.0.file(FILE, proven(body));
        for words in VERBS {
            let done = it.refused(it.command(words), (*code, said), &["l", "root"]);
            assert!(*code != 5 || done.err().contains("--track"), "{name}: {done}");
        }
    }
    // What it says is believed where it can be true: then an image of that digest is asked for, and is not there.
    let strange = about(&|text| {
        text.replace(&text[text.find("sha256:").expect("a digest") + 7..][..64], &"0".repeat(64))
    });
    it.0.file(FILE, proven(&strange));
    it.sh("echo x > root/x");
    it.refused(it.command(VERBS[0]), (64, "--base REF"), &["l", "root"]);
    it.refused(it.command(VERBS[1]), (2, "no image"), &["l", "root"]);
    proof::ran("hostile: snapshots that somebody made up", VERBS.len() * cases.len() + 2);
}

/// Of what is no snapshot, or too large to be one, little is read.
#[test]
fn d1_a_large_file_in_the_place_of_a_snapshot_takes_no_memory() {
    let (it, body) = tracked();
    for (begin, size, code, said) in
        [(&b""[..], 3 << 30, 5, "does not begin as one"), (&body, 3 << 30, 9, "larger than the limit")]
    {
        it.hole(FILE, size);
        let file = std::fs::OpenOptions::new().write(true).open(it.path(FILE)).expect("ours");
        std::os::unix::fs::FileExt::write_all_at(&file, begin, 0).expect("written");
        for words in VERBS {
            let peak = Peak::default();
            let command = it.command(words).started(peak.watch());
            it.refused(command, (code, said), &["root"]);
            assert!(peak.bytes() < 64 << 20, "{words:?}: {} bytes", peak.bytes());
        }
    }
    it.sh(&format!("rm {FILE}; mkfifo {FILE}"));
    it.refused(it.command(VERBS[2]), (2, "is not tracked"), &["root"]);
    proof::ran("hostile: large files in the place of snapshots", 2 * VERBS.len());
}
