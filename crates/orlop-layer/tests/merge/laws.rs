//! Laws over random stacks.

use crate::model::Model;
use crate::notation::{content, entry, listing};
use crate::random::{Stack, check};
use orlop_layer::tar::Writer;
use orlop_layer::tree::{Builder, InodeKind, Tree};
use orlop_spec::Limits;
use proptest::prelude::*;
use std::cell::Cell;
use std::io;

/// The trees of a stack's layers; entries that are refused are left out.
pub(crate) fn layers(stack: &Stack) -> Vec<Tree> {
    (0..).zip(stack).map(|(number, lines)| layer(number, lines)).collect()
}

fn layer(number: u16, lines: &[String]) -> Tree {
    let mut builder = Builder::new(number, &Limits::default());
    for (ordinal, line) in (0..).zip(lines) {
        if let Ok(Some(entry)) = entry(number, ordinal, line) {
            builder.add(ordinal, 0, &entry).ok();
        }
    }
    builder.finish()
}

/// The merged trees of a stack, up to the first layer that is refused.
fn merged(stack: &Stack) -> Vec<Tree> {
    let mut trees = vec![Tree::default()];
    for layer in layers(stack) {
        match trees[trees.len() - 1].clone().stack(layer) {
            Ok(tree) => trees.push(tree),
            Err(_) => break,
        }
    }
    trees
}

#[test]
fn item_23_a_stack_means_what_the_naive_model_says() {
    let (whole, entries) = (Cell::new(0), Cell::new(0));
    let cases = check(|stack| {
        let (mut ours, mut model) = (Tree::default(), Model::default());
        for (number, lines) in (0..).zip(&stack) {
            let (mut builder, mut own) = (Builder::new(number, &Limits::default()), Model::default());
            for (ordinal, line) in (0..).zip(lines) {
                let entry = entry(number, ordinal, line).expect("well-formed").expect("no file of AUFS");
                let before = own.clone();
                let extracted = own.extract(&entry, content(number, ordinal));
                let added = builder.add(ordinal, 0, &entry);
                prop_assert_eq!(added.is_ok(), extracted.is_ok(), "{}: {:?}, {:?}", line, added, extracted);
                if extracted.is_err() {
                    own = before;
                }
            }
            match (ours.stack(builder.finish()), model.stack(&own)) {
                (Ok(tree), Ok(map)) => (ours, model) = (tree, map),
                (Err(_), Err(_)) => return Ok(()),
                (ours, model) => {
                    prop_assert!(
                        false,
                        "layer {}: ours {:?}, the model {:?}",
                        number,
                        ours.err(),
                        model.err()
                    );
                    return Ok(());
                }
            }
            prop_assert_eq!(listing(&ours), model.listing(), "after layer {}", number);
            prop_assert_eq!(ours.len(), ours.walk().count() as u64);
        }
        whole.set(whole.get() + 1);
        entries.set(entries.get() + ours.len());
        Ok(())
    });
    assert!(whole.get() * 2 > cases, "most random stacks are refused: {} of {cases} are whole", whole.get());
    assert!(entries.get() > 3 * whole.get() as u64, "the trees are nearly empty");
    testkit::proof::ran("merge: naive model", cases);
}

#[test]
fn a_tree_with_the_diff_to_a_newer_one_on_it_is_the_newer_one() {
    let cases = check(|stack| {
        let trees = merged(&stack);
        let (empty, last) = (&trees[0], &trees[trees.len() - 1]);
        let neighbours = trees.iter().zip(&trees[1..]);
        for (older, newer) in
            neighbours.chain([(empty, last), (last, &trees[trees.len() / 2]), (last, empty)])
        {
            let diff = older.diff(newer);
            prop_assert_eq!(diff.is_empty(), older == newer);
            let again = older.clone().stack(diff).expect("a diff stacks");
            prop_assert!(again == *newer, "{:?}\n{:?}", listing(&again), listing(newer));
        }
        Ok(())
    });
    testkit::proof::ran("merge: diff and stack", cases);
}

#[test]
fn the_entries_of_a_layer_mean_the_layer() {
    check(|stack| {
        let below = merged(&stack);
        for (lower, (number, tree)) in below.iter().zip((0..).zip(layers(&stack))) {
            if links_below_itself(&tree) {
                continue;
            }
            let mut builder = Builder::new(number, &Limits::default());
            let mut writer = Writer::new(io::sink());
            for (entry, content) in tree.entries() {
                let written = writer.entry(&entry);
                prop_assert!(written.is_ok(), "{:?}, out of the order of a tar: {:?}", entry, written);
                writer.hole(content.map_or(0, |content| content.size)).expect("as was announced");
                let ordinal = content.map_or(0, |content| content.ordinal);
                prop_assert!(builder.add(ordinal, 0, &entry).is_ok(), "{:?} of {:?}", entry, tree);
            }
            let (again, tree) = (lower.clone().stack(builder.finish()), lower.clone().stack(tree));
            prop_assert_eq!(again.map(|tree| listing(&tree)).ok(), tree.map(|tree| listing(&tree)).ok());
        }
        Ok(())
    });
}

/// Whether the layer holds something else on the way of a link to what lies below: entries in the order of their
/// names cannot say both.
fn links_below_itself(tree: &Tree) -> bool {
    let stands_in = |path: &[u8]| tree.locate(path).is_some_and(|id| !tree.inode(id).is_directory());
    tree.walk().any(|(_, id)| match &tree.inode(id).kind {
        InodeKind::LinkBelow(target) => {
            let ends = (1..=target.as_bytes().len())
                .filter(|end| matches!(target.as_bytes().get(*end), None | Some(b'/')));
            ends.into_iter().any(|end| stands_in(&target.as_bytes()[..end]))
                || tree.locate(target.as_bytes()).is_some()
        }
        _ => false,
    })
}

#[test]
fn item_49_the_place_of_whiteouts_among_the_entries_does_not_matter() {
    let is_marker = |line: &String| line.contains(".wh.");
    check(|mut stack| {
        for lines in &mut stack {
            lines.retain(|line| !line.starts_with("l "));
        }
        let Some(upper) = stack.pop() else { return Ok(()) };
        let lower = merged(&stack).pop().expect("the empty tree at least");
        let (markers, rest): (Vec<String>, Vec<String>) = upper.iter().cloned().partition(is_marker);
        let first = [markers.clone(), rest.clone()].concat();
        let last = [rest, markers].concat();
        let number = 9;
        let whole = |lines: &[String]| {
            let mut builder = Builder::new(number, &Limits::default());
            let add = |line: &String| {
                let entry = entry(number, 0, line).expect("well-formed").expect("no file of AUFS");
                builder.add(0, 0, &entry)
            };
            lines.iter().try_for_each(add).map(|()| builder.finish())
        };
        if let (Ok(first), Ok(last)) = (whole(&first), whole(&last)) {
            let (first, last) = (lower.clone().stack(first), lower.stack(last));
            prop_assert_eq!(first.map(|tree| listing(&tree)).ok(), last.map(|tree| listing(&tree)).ok());
        }
        Ok(())
    });
}
