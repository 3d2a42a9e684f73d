//! Layers that nobody should make: none may leave the tree, stop a thread's stack, or cost more than it weighs.

use crate::notation::{entry, layer, listing, stack};
use orlop_layer::tree::{Builder, InodeKind, Tree};
use orlop_layer::{Entry, Error, Kind, Meta, TreePath};
use orlop_spec::{Diagnose, Limits};

fn path(text: &str) -> TreePath {
    TreePath::parse(text.as_bytes()).expect("a plain path")
}

fn file(text: &str) -> Entry {
    Entry { path: path(text), meta: Meta::default(), kind: Kind::File { size: 1 } }
}

fn link(text: &str, target: &str) -> Entry {
    let kind = Kind::Symlink { target: target.as_bytes().into() };
    Entry { path: path(text), meta: Meta::default(), kind }
}

fn build(limits: &Limits, entries: impl IntoIterator<Item = Entry>) -> Result<Tree, Error> {
    let mut builder = Builder::new(0, limits);
    for (ordinal, entry) in (0..).zip(entries) {
        builder.add(ordinal, 0, &entry)?;
    }
    Ok(builder.finish())
}

fn is_limit(result: Result<Tree, Error>) -> bool {
    result.is_err_and(|error| error.kind() == orlop_spec::Kind::Limit)
}

fn deep(depth: usize) -> String {
    vec!["d"; depth].join("/")
}

#[test]
fn item_24_no_layers_are_an_empty_root() {
    assert!(Tree::default().is_empty());
    assert_eq!(listing(&Tree::default()), Vec::<String>::new());
}

#[test]
fn item_53_a_whiteout_below_a_link_stays_in_the_root() {
    let base =
        vec!["d etc", "f etc/passwd", "f passwd", "l out -> ../../../etc", "l far -> /../../etc/../.."];
    let tree = stack(&[base.clone(), vec!["f out/.wh.passwd"]]).expect("stays inside");
    assert!(tree.locate(b"etc/passwd").is_none() && tree.locate(b"passwd").is_some());
    let tree = stack(&[base, vec!["f far/.wh.passwd"]]).expect("stays inside");
    assert!(tree.locate(b"etc/passwd").is_some() && tree.locate(b"passwd").is_none());
}

#[test]
fn p1_the_root_stays_a_folder() {
    for kind in ["f .", "l . -> /etc", "p ./", "h / => a", "c . 1:3"] {
        assert!(layer(0, &["f a", kind]).is_err(), "{kind}");
    }
    let mut builder = Builder::new(0, &Limits::default());
    let whiteout = Entry { path: TreePath::root(), meta: Meta::default(), kind: Kind::Whiteout };
    assert!(builder.add(0, 0, &whiteout).is_err());
}

#[test]
fn p3_a_hard_link_cannot_reach_out_and_follows_no_last_link() {
    assert!(entry(0, 0, "h a => ../../etc/passwd").is_err());
    let tree = stack(&[vec!["l s -> /etc/passwd", "h t => s"]]).expect("a link to a link");
    assert_eq!(tree.locate(b"s"), tree.locate(b"t"));
    assert!(
        stack(&[vec!["l up -> ../../..", "h t => up/etc/passwd"]]).is_err(),
        "nothing is there inside the root"
    );
}

#[test]
fn p4_a_link_of_one_layer_leads_the_next_one_inside_the_root() {
    let tree = stack(&[vec!["l x -> /../../../tmp"], vec!["f x/planted"]]).expect("stays inside");
    assert_eq!(tree.resolve(b"x/planted").expect("no loop"), tree.locate(b"tmp/planted"));
    assert!(matches!(tree.inode(tree.locate(b"x").expect("there")).kind, InodeKind::Symlink(_)));
}

#[test]
fn item_55_a_reserved_name_that_a_folder_holds_is_refused() {
    for name in [".wh.x", "a/.wh..wh..opq", ".wh.x/y"] {
        assert!(matches!(build(&Limits::default(), [file(name)]), Err(Error::Entry { .. })), "{name}");
    }
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let chain = |links: usize| {
        let links = (0..links).map(|index| link(&index.to_string(), &(index + 1).to_string()));
        let base = build(&Limits::default(), links).expect("links alone");
        Tree::default().stack(base).expect("links alone").stack(layer(1, &["f 0/x"]).expect("a file"))
    };
    assert!(chain(40).is_ok());
    assert!(matches!(chain(41), Err(Error::Entry { path, .. }) if path == "0"));
}

#[test]
fn long_links_cannot_ask_for_hours_of_walking() {
    let long = format!("{}/../", "x".repeat(200)).repeat(300);
    let links = (0..40).map(|index| link(&format!("l{index}"), &format!("{long}l{}", index + 1)));
    let wanted = (0..1_000_000).map(|index| file(&format!("l0/{index}/x")));
    assert!(is_limit(build(&Limits::default(), links.chain(wanted))));
}

#[test]
fn depth_path_entries_and_targets_have_limits() {
    let limits = Limits { depth: 10, path: 30, entries: 5, ..Limits::default() };
    assert!(build(&limits, [file(&deep(5))]).is_ok());
    assert!(is_limit(build(&limits, [file(&deep(6))])), "entries");
    let limits = Limits { entries: 100, ..limits };
    assert!(build(&limits, [file(&deep(10))]).is_ok());
    assert!(is_limit(build(&limits, [file(&deep(11))])), "depth");
    assert!(build(&limits, [file(&"x".repeat(30))]).is_ok());
    assert!(is_limit(build(&limits, [file(&"x".repeat(31))])), "path");
    assert!(is_limit(build(&limits, [link("l", &"x".repeat(31))])), "target");
}

#[test]
fn a_stack_keeps_to_the_limits_too() {
    let limits = Limits { depth: 10, entries: 12, ..Limits::default() };
    let lower = || Tree::default().stack(build(&limits, [file(&deep(8)), link("l", &deep(7))])?);
    let through = |name: &str| lower()?.stack(build(&limits, [file(name)])?);
    assert!(through("l/x/y/z").is_ok());
    assert!(is_limit(through("l/x/y/z/w")), "depth through a link");
    let more = |count: usize| (0..count).map(|index| file(&index.to_string()));
    assert!(lower().and_then(|tree| tree.stack(build(&limits, more(3))?)).is_ok());
    assert!(is_limit(lower().and_then(|tree| tree.stack(build(&limits, more(4))?))), "entries");
    let again = lower().and_then(|tree| tree.stack(build(&limits, more(3))?));
    assert!(again.and_then(|tree| tree.stack(build(&limits, more(3))?)).is_ok(), "replacing is no growth");
}

#[test]
fn depth_is_no_recursion() {
    let work = || {
        let limits = Limits { depth: 1 << 20, path: 1 << 24, ..Limits::default() };
        let tree = || Tree::default().stack(build(&limits, [file(&deep(5_000))]).expect("within the limits"));
        let (one, two) = (tree().expect("fits"), tree().expect("fits"));
        assert_eq!(one.walk().count(), 5_001);
        assert!(one == two);
        assert_eq!(one.entries().count(), 5_001);
        let diff = Tree::default().diff(&one);
        assert!(Tree::default().stack(diff).expect("fits") == one);
        let removed = one.stack(layer(1, &["f .wh.d"]).expect("a whiteout")).expect("fits");
        assert!(removed.is_empty());
        drop(two);
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(work).expect("a thread starts");
    thread.join().expect("no step needs a deep stack");
}

#[test]
fn names_in_falling_order_cost_no_more_than_in_rising() {
    let names = (0..300_000).rev().map(|index| file(&format!("{index:06}")));
    assert_eq!(build(&Limits::default(), names).expect("fits").len(), 300_001);
}

#[test]
fn many_small_layers_cost_what_they_hold() {
    let base = build(&Limits::default(), (0..100_000).map(|index| file(&format!("{}/{index}", index % 100))));
    let mut tree = Tree::default().stack(base.expect("fits")).expect("fits");
    for number in 1..3_000 {
        let lines = [format!("f {}/.wh.{}", number % 100, number), format!("f {}/new", number % 100)];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        tree = tree.stack(layer(number, &lines).expect("two entries")).expect("fits");
    }
    assert_eq!(tree.len(), 100_000 + 1 + 100 + 100 - 2_999);
}

#[test]
fn a_folder_that_its_own_layer_replaces_by_another_path_is_an_error() {
    let base = vec!["d usr", "d usr/lib", "l lib -> usr/lib", "l usr/lib/up -> /usr"];
    for twisted in [vec!["f lib/up/lib", "f lib/x"], vec!["f lib/up/lib", "f lib/x/y/z"]] {
        assert!(stack(&[base.clone(), twisted]).is_err());
    }
}

#[test]
fn a_refused_entry_changes_nothing() {
    let mut builder = Builder::new(0, &Limits::default());
    builder.add(0, 0, &file("a")).expect("a file");
    for line in ["f a/b/c", "h x/y => .", "h n/e/w => n/e/w"] {
        let entry = entry(0, 0, line).expect("well-formed").expect("no file of aufs");
        builder.add(1, 0, &entry).expect_err(line);
    }
    assert_eq!(listing(&Tree::default().stack(builder.finish()).expect("fits")), ["f 0000 0:0 a 0.0"]);
}
