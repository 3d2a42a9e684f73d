//! What trees say of themselves: ids, entries, diffs.

use crate::notation::{layer, stack};
use orlop_layer::tree::{Content, Tree};
use orlop_layer::{Entry, Kind};
use orlop_spec::{Algorithm, Digest, TreeId};
use std::collections::HashSet;
use std::convert::Infallible;

fn tree(layers: &[Vec<&str>]) -> Tree {
    stack(layers).expect("the layers stack")
}

/// As if files of one size had one content.
fn id(tree: &Tree) -> TreeId {
    let digest =
        |file: &Content| Ok::<_, Infallible>(Digest::of(Algorithm::Sha256, &file.size.to_le_bytes()));
    tree.id(Algorithm::Sha256, digest).unwrap_or_else(|never| match never {})
}

fn entries(tree: &Tree) -> Vec<Entry> {
    tree.entries().map(|(entry, _)| entry).collect()
}

#[test]
fn an_id_knows_no_layers() {
    let one = tree(&[vec!["d d 0755", "f d/a 0644", "h b => d/a", "l s -> b"]]);
    let two = tree(&[vec!["f d/a 0644", "f x", "l s -> b"], vec!["f .wh.x", "h b => d/a"]]);
    assert_eq!(id(&one), id(&two));
    assert!(one != two, "as contents, entries of different layers are different");
}

#[test]
fn an_id_knows_everything_else() {
    let base = vec!["d d", "f d/a 0644", "f b 0644", "l s -> b", "c n 1:3"];
    let changes = [
        vec!["f c"],
        vec!["f .wh.b"],
        vec!["d d 0700"],
        vec!["f b 0600"],
        vec!["l s -> d"],
        vec!["c n 1:5"],
        vec!["b n 1:3"],
        vec!["p n"],
        vec!["h b => d/a"],
        vec!["f .wh.b", "f B 0644"],
    ];
    let mut seen = HashSet::from([id(&tree(std::slice::from_ref(&base)))]);
    for change in changes {
        assert!(seen.insert(id(&tree(&[base.clone(), change.clone()]))), "{change:?}");
    }
}

/// `docs/formats/tree-id.md` gives these bytes and their digest.
#[test]
fn the_id_of_the_empty_root() {
    let mut bytes = b"orlop tree 1\n".to_vec();
    bytes.extend([0; 8]);
    bytes.extend([b'd', 0xed, 0x01]);
    bytes.extend([0; 4 + 4 + 8 + 4 + 8]);
    assert_eq!(id(&Tree::default()), TreeId(Digest::of(Algorithm::Sha256, &bytes)));
    assert_eq!(
        id(&Tree::default()).to_string(),
        "sha256:ac3dd577178d5c6ace963e36ccbb00f8bd2395db416403118cc1b6999c532fd5"
    );
}

#[test]
fn item_50_a_diff_holds_explicit_whiteouts_only() {
    let older = tree(&[vec!["d d", "f d/a", "f d/b", "d e", "f e/x"]]);
    let newer =
        tree(&[vec!["d d", "f d/a", "f d/b", "d e", "f e/x"], vec!["f d/.wh.a", "f d/.wh.b", "f .wh.e"]]);
    let said: Vec<_> =
        entries(&older.diff(&newer)).into_iter().map(|entry| (entry.path.to_string(), entry.kind)).collect();
    let expected =
        [("e", Kind::Whiteout), ("d", Kind::Directory), ("d/a", Kind::Whiteout), ("d/b", Kind::Whiteout)];
    assert_eq!(said, expected.map(|(path, kind)| (path.to_owned(), kind)));
}

#[test]
fn item_51_whiteouts_come_before_their_siblings() {
    let layer =
        layer(0, &["f b", "f .wh.z", "d d", "f d/a", "f d/.wh.x", "f d/.wh..wh..opq"]).expect("a layer");
    let said: Vec<_> =
        entries(&layer).into_iter().map(|entry| (entry.path.to_string(), entry.kind)).collect();
    let expected = [
        ("z", Kind::Whiteout),
        ("b", Kind::File { size: 3 }),
        ("d", Kind::Directory),
        ("d", Kind::Opaque),
        ("d/x", Kind::Whiteout),
        ("d/a", Kind::File { size: 3 }),
    ];
    assert_eq!(said, expected.map(|(path, kind)| (path.to_owned(), kind)));
}

#[test]
fn item_41_no_path_is_said_twice() {
    let layer = layer(0, &["f a", "f ./a", "d d", "d d/", "f d/x", "f d//x", "l a -> d", "d d 0700"]);
    let entries = entries(&layer.expect("a layer"));
    let paths: Vec<_> = entries.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(paths, ["a", "d", "d/x"]);
}

#[test]
fn item_44_a_diff_never_links_into_a_lower_layer() {
    let older = tree(&[vec!["f a", "f c"]]);
    let newer = tree(&[vec!["f a", "f c"], vec!["h b => a"]]);
    let said: Vec<_> =
        entries(&older.diff(&newer)).into_iter().map(|entry| (entry.path.to_string(), entry.kind)).collect();
    let first = orlop_layer::TreePath::parse(b"a").expect("a path");
    let expected = [("a", Kind::File { size: 3 }), ("b", Kind::HardLink { target: first })];
    assert_eq!(said, expected.map(|(path, kind)| (path.to_owned(), kind)));
}

#[test]
fn contents_from_different_places_are_compared_by_the_caller() {
    let (older, newer) = (tree(&[vec!["f a", "f b"]]), tree(&[vec!["f b", "f a"]]));
    assert!(!older.diff(&newer).is_empty());
    let mut asked = 0;
    let diff = older.diff_by(&newer, &mut |_, _| {
        asked += 1;
        true
    });
    assert!(diff.is_empty());
    assert_eq!(asked, 2);
}
