//! Extended headers: any records before a member are read or refused, and what is read is written so that it is
//! read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_fuzz::{limits, read_all};
use orlop_layer::entry::{Entry, Kind, Meta};
use orlop_layer::path::TreePath;
use orlop_layer::tar::{Reader, Writer};

fuzz_target!(|records: &[u8]| {
    let archive = before_a_member(records);
    let (entries, _) = read_all(&mut Reader::new(&archive[..], &limits()));
    for (entry, content) in entries {
        let mut writer = Writer::new(Vec::new());
        if !matches!(entry.kind, Kind::File { .. }) || content.is_none() || writer.entry(&entry).is_err() {
            continue;
        }
        writer.data(&content.unwrap_or_default()).expect("the content has the entry's size");
        let written = writer.finish().expect("memory takes everything");
        let (again, end) = read_all(&mut Reader::new(&written[..], &orlop_spec::Limits::default()));
        end.expect("what the writer wrote is read");
        assert_eq!(again[0].0, entry);
    }
});

/// The records as an `x` header, and a member that they are about: both headers are the writer's.
fn before_a_member(records: &[u8]) -> Vec<u8> {
    let mut archive = file("x", records);
    archive[156] = b'x';
    archive[148..156].fill(b' ');
    let sum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
    archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend_from_slice(&file("member", &records[..records.len() / 2]));
    archive
}

fn file(path: &str, content: &[u8]) -> Vec<u8> {
    let path = TreePath::parse(path.as_bytes()).expect("plain");
    let mut writer = Writer::new(Vec::new());
    let kind = Kind::File { size: content.len() as u64 };
    writer.entry(&Entry { path, meta: Meta::default(), kind }).expect("plain");
    writer.data(content).expect("as announced");
    let mut bytes = writer.finish().expect("memory takes everything");
    bytes.truncate(bytes.len() - 1024);
    bytes
}
