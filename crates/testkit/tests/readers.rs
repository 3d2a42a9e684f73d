//! T7: one archive is not read in two ways. Where GNU tar, bsdtar and Python agree on what an archive of the
//! corpus holds, our reader lists the same, or refuses what the corpus says may be refused.

use orlop_layer::{Entries, Kind, tar};
use orlop_spec::Limits;
use std::collections::BTreeMap;
use testkit::hostile::{Case, Expected, Form, corpus};
use testkit::{Command, Scratch, peer, proof, scratch};

const PROOF: &str = "tar: our reader lists what GNU tar, bsdtar and Python agree on (T7)";

type Names = Vec<String>;

#[test]
fn t7_our_reader_lists_what_three_others_agree_on() {
    for tool in ["tar", "bsdtar", "python3"] {
        if peer(tool).is_none() {
            return proof::skipped(PROOF, &format!("{tool} is missing"));
        }
    }
    let scratch = scratch();
    let archives = archives(&scratch);
    let python = python(&scratch);
    let (mut agreed, mut same) = (0, 0);
    for (number, (case, bytes)) in archives.iter().enumerate() {
        let file = scratch.path(&format!("{number}.tar"));
        let of = |program: &str| listed(Command::new(program).arg("-tf").arg(&file).env("LC_ALL", "C.UTF-8"));
        let (Some(gnu), Some(bsd), Some(python)) = (of("tar"), of("bsdtar"), python.get(&number)) else {
            continue;
        };
        if gnu != bsd || gnu != *python || gnu.iter().any(|name| is_of_aufs(name)) {
            continue;
        }
        agreed += 1;
        match ours(bytes) {
            Some(ours) => {
                assert_eq!(ours, gnu, "{}", case.name);
                same += 1;
            }
            None => assert!(!matches!(case.expected, Expected::Tree(_)), "{} was refused", case.name),
        }
    }
    assert!(
        agreed >= 100 && same * 3 >= agreed,
        "{agreed} agreed, {same} the same: too few to mean anything"
    );
    proof::ran(PROOF, agreed);
}

/// Every uncompressed layer of the corpus, as a file for the peers.
fn archives(scratch: &Scratch) -> Vec<(Case, Vec<u8>)> {
    let mut archives = Vec::new();
    for case in corpus(std::path::Path::new("/canary")) {
        let Form::Layout(layout) = &case.form else { continue };
        if !case.name.ends_with("/plain") || case.item == "L1" {
            continue;
        }
        let layers = layout.manifest()["layers"].as_array().map_or(0, Vec::len);
        for layer in 0..layers {
            let bytes = layout.files[&layout.layer_path(layer)].clone();
            scratch.file(&format!("{}.tar", archives.len()), &bytes);
            archives.push((case.clone(), bytes));
        }
    }
    archives
}

fn ours(archive: &[u8]) -> Option<Names> {
    let mut reader = tar::Reader::new(archive, &Limits::default());
    let mut names = Names::new();
    while let Some(entry) = reader.next_entry().ok()? {
        let path = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        let (folder, name) =
            path.rsplit_once('/').map_or(("", path.as_str()), |(folder, name)| (folder, name));
        names.push(match entry.kind {
            Kind::Whiteout => plain(&format!("{folder}/.wh.{name}")),
            Kind::Opaque => plain(&format!("{path}/.wh..wh..opq")),
            _ => plain(&path),
        });
    }
    Some(names)
}

/// What a storage driver of old times left in its layers; every container tool leaves it out.
fn is_of_aufs(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with(".wh..wh.") && part != ".wh..wh..opq")
}

/// A name without the spellings that mean nothing.
fn plain(name: &str) -> String {
    let parts: Vec<_> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
}

fn listed(command: Command) -> Option<Names> {
    let done = command.run();
    done.success().then(|| done.out().lines().map(plain).collect())
}

/// One process for all archives: number to names, where all was read.
fn python(scratch: &Scratch) -> BTreeMap<usize, Names> {
    let script = "
import glob, os, sys, tarfile
for path in glob.glob(sys.argv[1] + '/*.tar'):
    try:
        with tarfile.open(path, 'r:', errorlevel=2, ignore_zeros=False) as archive:
            names = archive.getnames()
    except Exception:
        continue
    if any(ord(c) < 32 or 0xd800 <= ord(c) < 0xe000 for name in names for c in name): continue
    print('\\t'.join([os.path.basename(path)[:-4]] + names))
";
    let done = Command::new("python3").args(["-c", script]).arg(scratch.root()).env("LC_ALL", "C.UTF-8").ok();
    let lines = done.out();
    let parsed = lines.lines().map(|line| {
        let mut fields = line.split('\t');
        let number = fields.next().and_then(|field| field.parse().ok()).expect("a number");
        (number, fields.map(plain).collect())
    });
    parsed.collect()
}
