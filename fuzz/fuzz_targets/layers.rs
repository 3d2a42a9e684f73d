//! What a stack of layers means: the merge engine against the naive model of its own tests.
//!
//! Three bytes are an entry: its kind, its path over the names a, b and c, and what it points at.
#![no_main]

#[path = "../../crates/orlop-layer/tests/merge/model.rs"]
mod model;
#[path = "../../crates/orlop-layer/tests/merge/notation.rs"]
#[expect(dead_code, reason = "the notation serves more tests than this one")]
mod notation;

use libfuzzer_sys::fuzz_target;
use model::Model;
use notation::{content, entry, listing};
use orlop_layer::tree::{Builder, Tree};
use orlop_spec::Limits;

const TARGETS: [&str; 12] =
    ["a", "b", "c", "/a", "/b/c", "../a", "a/b", "..", "../../c/a", "./b/.", "a/../b", "nowhere"];

fuzz_target!(|bytes: &[u8]| {
    let (mut ours, mut model) = (Tree::default(), Model::default());
    for (number, lines) in (0..4).zip(layers(bytes)) {
        let (mut builder, mut own) = (Builder::new(number, &Limits::default()), Model::default());
        for (ordinal, line) in (0..).zip(&lines) {
            let entry = entry(number, ordinal, line).expect("well-formed").expect("no private member");
            let before = own.clone();
            let extracted = own.extract(&entry, content(number, ordinal));
            let added = builder.add(ordinal, 0, &entry);
            assert_eq!(added.is_ok(), extracted.is_ok(), "{line}: {added:?}, {extracted:?}");
            if extracted.is_err() {
                own = before;
            }
        }
        match (ours.stack(builder.finish()), model.stack(&own)) {
            (Ok(tree), Ok(map)) => (ours, model) = (tree, map),
            (Err(_), Err(_)) => return,
            (ours, model) => panic!("layer {number}: ours {:?}, the model {:?}", ours.err(), model.err()),
        }
        assert_eq!(listing(&ours), model.listing(), "after layer {number}");
    }
});

/// The layers that the bytes spell; the first byte of an entry with its high bit set begins a new one.
fn layers(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut layers = vec![Vec::new()];
    for &[kind, path, target] in bytes.as_chunks::<3>().0.iter().take(40) {
        if kind & 0x80 != 0 {
            layers.push(Vec::new());
        }
        layers.last_mut().expect("one at least").push(line(kind & 0x7f, path, target));
    }
    layers
}

fn line(kind: u8, path: u8, target: u8) -> String {
    let names: Vec<&str> = path_of(path);
    let (name, folder) = names.split_last().expect("a name at least");
    let folder: String = folder.iter().map(|name| format!("{name}/")).collect();
    let place = TARGETS[usize::from(target) % TARGETS.len()];
    match kind % 6 {
        0 => format!("f {folder}{name}"),
        1 => format!("d {folder}{name}"),
        2 => format!("l {folder}{name} -> {place}"),
        3 => format!("h {folder}{name} => {}", path_of(target).join("/")),
        4 => format!("f {folder}.wh.{name}"),
        _ => format!("f {folder}.wh..wh..opq"),
    }
}

/// One to three names.
fn path_of(byte: u8) -> Vec<&'static str> {
    let depth = 1 + usize::from(byte >> 6) % 3;
    (0..depth).map(|level| ["a", "b", "c", "a"][usize::from(byte >> (2 * level)) & 3]).collect()
}
