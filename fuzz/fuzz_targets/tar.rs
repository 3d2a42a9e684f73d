//! Layers as tar: what the reader accepts, the writer writes so that the reader gives the same again. Extended
//! headers, GNU's long names and sparse maps are in the seeds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_fuzz::{limits, read_all, seal};
use orlop_layer::entry::{Entry, Kind, Meta};
use orlop_layer::tar::{Reader, Writer};

fuzz_target!(|bytes: &[u8]| {
    let sealed = seal(bytes);
    let (entries, _) = read_all(&mut Reader::new(&sealed[..], &limits()));
    for (entry, content) in entries {
        if let Kind::File { size } = entry.kind {
            let Some(content) = &content else { continue };
            assert_eq!(size, content.len() as u64, "the pieces add up to the size");
        }
        round_trip(&entry, &content.unwrap_or_default());
    }
});

fn round_trip(entry: &Entry, content: &[u8]) {
    let mut writer = Writer::new(Vec::new());
    if writer.entry(entry).is_err() {
        return;
    }
    writer.data(content).expect("the content has the entry's size");
    let written = writer.finish().expect("memory takes everything");
    let (again, end) = read_all(&mut Reader::new(&written[..], &orlop_spec::Limits::default()));
    end.expect("what the writer wrote is read");
    let [(found, Some(found_content))] = &again[..] else { panic!("one entry, not {again:?}") };
    assert_eq!((&meant(found), &found_content[..]), (&meant(entry), content));
}

/// An entry without what has no meaning: the attributes of a marker, and of one more name of a file.
fn meant(entry: &Entry) -> Entry {
    let mut entry = entry.clone();
    if matches!(entry.kind, Kind::Whiteout | Kind::Opaque | Kind::HardLink { .. }) {
        entry.meta = Meta::default();
    }
    entry
}
