//! Layers as one layer, one layer as several: what they mean stays, whatever they are put on.

use crate::laws::layers;
use crate::model::Model;
use crate::notation::{content, entry, layer, listing};
use crate::random::{Stack, check};
use orlop_layer::tree::{InodeKind, Lower, Presence, Tree};
use orlop_layer::{Entry, Kind};
use orlop_spec::Limits;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeSet;

/// The same stack with an entry for every folder that something lies in, as most builders write layers.
fn said(stack: &Stack) -> Stack {
    stack.iter().map(|lines| lines.iter().flat_map(|line| with_folders(line)).collect()).collect()
}

fn with_folders(line: &str) -> Vec<String> {
    let path = line.split(' ').nth(1).expect("an entry has a path");
    let slashes = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
    slashes.map(|at| format!("d {}", &path[..at])).chain([line.to_owned()]).collect()
}

fn composed(layers: &[Tree]) -> Option<Tree> {
    Tree::compose(layers.iter().cloned()).expect("within the limits")
}

fn on(base: &Tree, layers: &[Tree]) -> Option<Tree> {
    layers.iter().cloned().try_fold(base.clone(), |tree, layer| tree.stack(layer).ok())
}

/// Trees that layers may be put on: nothing, some of these layers, and all of them the other way round.
fn bases(layers: &[Tree]) -> Vec<Tree> {
    let reversed: Vec<Tree> = layers.iter().rev().cloned().collect();
    let orders = [&layers[..0], &layers[..1], &layers[..layers.len() - 1], &reversed];
    orders.into_iter().filter_map(|layers| on(&Tree::default(), layers)).collect()
}

/// Whether a layer says all it means: no folder but the root is left out, and no link waits.
fn is_whole(layer: &Tree) -> bool {
    layer.walk().skip(1).all(|(_, id)| match &layer.inode(id).kind {
        InodeKind::Directory { presence, lower } => {
            *presence == Presence::Explicit && *lower != Lower::Replace
        }
        kind => !matches!(kind, InodeKind::LinkBelow(_)),
    })
}

#[test]
fn layers_composed_do_what_they_do_one_after_the_other() {
    let (found, compared) = (Cell::new(0), Cell::new(0_usize));
    let cases = check(|stack| {
        for stack in [said(&stack), stack] {
            let layers = layers(&stack);
            let bases = bases(&layers);
            for range in [&layers[layers.len() / 2..], &layers[..]] {
                let Some(layer) = composed(range) else { continue };
                found.set(found.get() + 1);
                prop_assert!(is_whole(&layer), "{:?}", layer);
                for base in &bases {
                    let Some(expected) = on(base, range) else { continue };
                    let made = base.clone().stack(layer.clone()).expect("a layer that is whole stacks");
                    prop_assert!(
                        made == expected,
                        "{:?}\non {:?}\nis {:?}\nnot {:?}",
                        range,
                        listing(base),
                        listing(&made),
                        listing(&expected)
                    );
                    compared.set(compared.get() + 1);
                }
            }
        }
        Ok(())
    });
    assert!(found.get() > cases, "most layers cannot be composed: {} of {cases} stacks", found.get());
    assert!(compared.get() > 5 * cases);
    testkit::proof::ran("merge: layers composed", cases);
}

#[test]
fn layers_composed_mean_what_the_naive_model_says() {
    let compared = Cell::new(0);
    let cases = check(|stack| {
        let stack = said(&stack);
        let Some(extracted) = models(&stack) else { return Ok(()) };
        for from in [0, stack.len() / 2] {
            let Some(layer) = composed(&layers(&stack)[from..]) else { continue };
            let below = extracted[..from].iter().try_fold(Model::default(), |map, layer| map.stack(layer));
            let Ok(below) = below else { continue };
            let Ok(expected) =
                extracted[from..].iter().try_fold(below.clone(), |map, layer| map.stack(layer))
            else {
                continue;
            };
            let mut own = Model::default();
            for (entry, content) in entries(&layer) {
                prop_assert!(own.extract(&entry, content).is_ok(), "{:?}", entry);
            }
            let made = below.stack(&own);
            prop_assert!(made.is_ok(), "{:?}", made.err());
            prop_assert_eq!(made.expect("checked").listing(), expected.listing());
            compared.set(compared.get() + 1);
        }
        Ok(())
    });
    assert!(compared.get() > cases / 2, "few layers could be compared: {}", compared.get());
}

/// The layers as the model extracts them; nothing where an entry is refused.
fn models(stack: &Stack) -> Option<Vec<Model>> {
    let model = |(number, lines): (u16, &Vec<String>)| {
        let mut own = Model::default();
        for (ordinal, line) in (0..).zip(lines) {
            let entry = entry(number, ordinal, line).expect("well-formed").expect("no file of AUFS");
            own.extract(&entry, content(number, ordinal)).ok()?;
        }
        Some(own)
    };
    (0..).zip(stack).map(model).collect()
}

/// The entries of a layer but its root's, each with what it holds.
fn entries(layer: &Tree) -> Vec<(Entry, String)> {
    let is_root = |entry: &Entry| entry.path.is_root() && entry.kind == Kind::Directory;
    let entries = layer.entries().filter(|(entry, _)| !is_root(entry));
    entries
        .map(|(entry, at)| {
            // What is no file has its place in the tar as its content, and that is not kept.
            let content = at.map_or_else(String::new, |at| content(at.layer, at.ordinal));
            (entry, content)
        })
        .collect()
}

#[test]
fn the_parts_of_a_layer_do_what_the_layer_does() {
    let several = Cell::new(0);
    let cases = check(|stack| {
        let layers = layers(&said(&stack));
        let bases = bases(&layers);
        let Some(layer) = composed(&layers) else { return Ok(()) };
        let parts = layer.parts(2048).expect("within the limits");
        several.set(several.get() + usize::from(parts.len() > 1));
        for base in &bases {
            let whole = on(base, std::slice::from_ref(&layer)).expect("a layer that is whole stacks");
            let made = on(base, &parts).expect("so do its parts");
            prop_assert!(made == whole, "{:?}\nnot {:?}", listing(&made), listing(&whole));
        }
        Ok(())
    });
    assert!(several.get() > cases / 2, "few layers came apart: {}", several.get());
}

fn names(tree: &Tree) -> Vec<String> {
    tree.entries().map(|(entry, _)| format!("{} {:?}", entry.path, entry.kind)).collect()
}

fn two(lower: &[&str], upper: &[&str]) -> Option<Tree> {
    composed(&[layer(0, lower).expect("a layer"), layer(1, upper).expect("a layer")])
}

#[test]
fn whiteouts_survive_where_something_may_lie_below() {
    let layer =
        two(&["f a", "f .wh.b", "d d", "f d/x"], &["f .wh.a", "f b", "d d", "f d/.wh.x", "f d/.wh.y"]);
    assert_eq!(
        names(&layer.expect("whole")),
        ["a Whiteout", "b File { size: 3 }", "d Directory", "d/x Whiteout", "d/y Whiteout"]
    );
}

#[test]
fn a_folder_in_the_place_of_what_a_layer_removed_hides_what_is_below() {
    for (lower, upper) in [
        (vec!["f .wh.d"], vec!["d d", "f d/x"]),
        (vec!["f d"], vec!["d d", "f d/x"]),
        (vec!["l d -> e"], vec!["d d", "f d/x"]),
        (vec!["d d"], vec!["d d", "f d/.wh..wh..opq", "f d/x"]),
        (vec!["d d", "f d/y"], vec!["d d", "f d/.wh..wh..opq", "f d/x"]),
    ] {
        let layer = two(&lower, &upper).expect("whole");
        assert_eq!(names(&layer), ["d Directory", "d Opaque", "d/x File { size: 3 }"], "{lower:?}");
    }
}

#[test]
fn nothing_is_removed_that_is_known_to_be_gone() {
    let layer = two(&["d d", "f d/.wh..wh..opq", "f d/x", "f d/y"], &["d d", "f d/.wh.x", "f d/.wh.z"]);
    assert_eq!(names(&layer.expect("whole")), ["d Directory", "d Opaque", "d/y File { size: 3 }"]);
}

#[test]
fn a_link_to_a_file_of_a_lower_layer_is_one_of_one_layer() {
    let layer = two(&["f a", "d d"], &["h d/b => a", "f .wh.a"]).expect("whole");
    assert_eq!(names(&layer), ["a Whiteout", "d Directory", "d/b File { size: 3 }"]);
    let layer = two(&["f a"], &["h b => a"]).expect("whole");
    assert_eq!(names(&layer), ["a File { size: 3 }", "b HardLink { target: `a` }"]);
}

#[test]
fn what_depends_on_the_tree_below_is_left_to_who_has_it() {
    let base = layer(0, &["d usr", "d usr/lib", "f usr/lib/x", "l lib -> usr/lib"]).expect("a layer");
    let base = Tree::default().stack(base).expect("a base");
    let through = layer(1, &["f lib/x"]).expect("a layer");
    let beside = layer(2, &["d usr", "d usr/lib", "f usr/lib/x"]).expect("a layer");
    assert!(composed(&[through.clone(), beside.clone()]).is_none());
    let merged = on(&base, &[through, beside]).expect("they stack");
    assert!(on(&base, &[base.diff(&merged)]) == Some(merged));
    assert!(two(&["h b => a"], &["f c"]).is_none(), "a link waits");
    assert!(two(&["l d -> e"], &["f d/x"]).is_none(), "a folder is left out where a link is");
    assert!(two(&["d d"], &["f d/e"]).is_some(), "the folder is there");
}

#[test]
fn parts_hold_the_folders_on_the_way_and_all_names_of_a_file() {
    let layer = layer(0, &["d a", "f a/x", "f .wh.gone", "d b", "f b/y", "h b/z => a/x"]).expect("a layer");
    let parts = layer.parts(1).expect("within the limits");
    let names: Vec<Vec<String>> = parts.iter().map(names).collect();
    assert_eq!(names[0], ["gone Whiteout"]);
    assert!(names.contains(&vec![
        "a Directory".into(),
        "a/x File { size: 3 }".into(),
        "b Directory".into(),
        "b/z HardLink { target: `a/x` }".into(),
    ]));
    assert_eq!(names.last(), Some(&vec!["b Directory".into(), "b/y File { size: 3 }".to_owned()]));
    assert_eq!(layer.parts(u64::MAX).expect("within the limits").len(), 1);
}

#[test]
fn a_path_is_taken_away_and_other_names_of_a_file_stay() {
    let path = |text: &str| orlop_layer::TreePath::parse(text.as_bytes()).expect("a path");
    let base = layer(0, &["d d", "f d/a", "h d/b => d/a", "l e -> d", "d d/s", "f d/s/x"]).expect("a layer");
    let mut tree = Tree::default().stack(base).expect("a base");
    assert!(tree.remove(&path("e/a")), "by way of a link");
    assert!(tree.remove(&path("d/s")));
    assert!(!tree.remove(&path("d/s")) && !tree.remove(&path("")) && !tree.remove(&path("x/y")));
    assert_eq!(listing(&tree), ["d 0750 0:0 d", "f 0640 0:0 d/b 0.1", "l e -> d"]);
    assert!(tree.remove(&path("e")), "a link at the end is taken itself");
    let names: BTreeSet<_> = tree.walk().map(|(path, _)| path.to_string()).collect();
    assert_eq!(names, BTreeSet::from(["/", "d", "d/b"].map(ToOwned::to_owned)));
    assert_eq!(tree.len(), 3);
}

/// The limits of the layers hold for what is made of them.
#[test]
fn composed_layers_are_limited_as_one() {
    let limits = Limits { entries: 3, ..Limits::default() };
    let small = |name: &str| {
        let mut builder = orlop_layer::tree::Builder::new(0, &limits);
        for ordinal in 0..2 {
            let line = format!("f {name}{ordinal}");
            let entry = entry(0, ordinal, &line).expect("well-formed").expect("an entry");
            builder.add(ordinal, 0, &entry).expect("within the limits");
        }
        builder.finish()
    };
    assert!(Tree::compose([small("a")]).is_ok());
    assert!(Tree::compose([small("a"), small("b")]).is_err());
}
