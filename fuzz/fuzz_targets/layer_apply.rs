//! What a stack of layers means: the engine against the naive model of the merge tests.
//!
//! Four bytes are an entry: what it is (or that the next layer begins), its folder and name, and a target.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_layer::tree::{Builder, Tree};
use orlop_spec::Limits;

#[path = "../../crates/orlop-layer/tests/merge/model.rs"]
mod model;
#[path = "../../crates/orlop-layer/tests/merge/notation.rs"]
#[expect(dead_code, reason = "the tests of the merge use more of it")]
mod notation;

const NAMES: [&str; 3] = ["a", "b", "c"];
const FOLDERS: [&str; 8] = ["", "", "a/", "b/", "c/", "a/a/", "a/b/", "b/c/"];
const TARGETS: [&str; 12] =
    ["a", "b", "c", "/a", "/b/c", "../a", "a/b", "..", "../../c/a", "a/../b", "/", "nowhere"];

fuzz_target!(|bytes: &[u8]| {
    let (mut ours, mut model) = (Tree::default(), model::Model::default());
    for (number, lines) in (0..).zip(layers(bytes)) {
        let (mut builder, mut own) = (Builder::new(number, &Limits::default()), model::Model::default());
        for (ordinal, line) in (0..).zip(&lines) {
            let entry =
                notation::entry(number, ordinal, line).expect("well-formed").expect("no file of aufs");
            let before = own.clone();
            let extracted = own.extract(&entry, notation::content(number, ordinal));
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
        assert_eq!(notation::listing(&ours), model.listing(), "after layer {number}");
    }
    let diff = Tree::default().diff(&ours);
    assert!(Tree::default().stack(diff).expect("a diff stacks") == ours);
});

/// Up to six layers of up to 24 entries, as lines of the notation.
fn layers(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut layers = vec![vec![]];
    for entry in bytes.chunks_exact(4).take(100) {
        match line(entry) {
            None if layers.len() < 6 => layers.push(vec![]),
            None => break,
            Some(line) => layers.last_mut().expect("one is there").push(line),
        }
    }
    layers.iter_mut().for_each(|lines| lines.truncate(24));
    layers
}

fn line(entry: &[u8]) -> Option<String> {
    let pick = |from: &[&'static str], index: usize| from[usize::from(entry[index]) % from.len()];
    let (folder, name) = (pick(&FOLDERS, 1), pick(&NAMES, 2));
    let path = format!("{folder}{name}");
    Some(match entry[0] % 8 {
        0 => return None,
        1 => format!("d {path}"),
        2 => format!("l {path} -> {}", pick(&TARGETS, 3)),
        3 => format!("h {path} => {}{}", pick(&FOLDERS, 3), NAMES[usize::from(entry[3] / 8) % 3]),
        4 => format!("f {folder}.wh.{name}"),
        5 => format!("f {folder}.wh..wh..opq"),
        _ => format!("f {path}"),
    })
}
