//! Layers that do not hold the commit that they should: refused by kind, and nothing is left of them.

use crate::capsule::{Capsule, What, commit, content_id, file, hard_link, place};
use crate::{imported, ok, run};
use orlop::host::ostree::{DirMeta, DirTree, Kind, ObjectId, ObjectName};
use std::fs;
use testkit::{Scratch, proof, scratch};

type Edit = fn(&mut Capsule);

/// What is done to the capsule, the exit code, and a piece of what is told.
const CASES: [(&str, Edit, i32, &str); 22] = [
    ("another content", |it| it.put(&place(&it.a), What::File(b"other".into())), 5, "damaged"),
    ("another dirtree", |it| it.put(&place(&it.root), What::File(vec![0])), 5, "damaged"),
    ("no dirtree", |it| drop(take(it, &place(&it.root))), 5, "no layer holds"),
    ("no dirmeta", |it| drop(take(it, &place(&it.meta))), 5, "no layer holds"),
    ("no file", without_a, 5, "no layer holds"),
    ("a dirtree that is none", not_a_tree, 5, "malformed"),
    ("no commit", |it| drop(take(it, &commit_of(it))), 5, "no commit"),
    ("another commit", another_commit, 5, "the label ostree.commit names"),
    ("two commits", two_commits, 5, "holds the commits"),
    ("a commit that is a link", |it| it.put(&commit_of(it), What::Symlink("x".into())), 5, "is no file"),
    ("a file that is a folder", |it| it.put(&place(&it.a), What::Folder), 5, "neither a file nor a link"),
    ("a name of something else", |it| it.put("a", What::HardLink(CONFIG.into())), 5, "shown"),
    ("a name of another file", another_name, 5, "shown"),
    ("a name with a content of its own", |it| it.put("a", What::File(b"own".into())), 5, "shown"),
    ("a name that is not there", |it| drop(take(it, "a")), 5, "shown"),
    ("a name more", |it| it.layers[0].push(file("usr/evil", "x")), 5, "shown"),
    ("attributes of nowhere", |it| attributes(it, CONFIG), 5, "no attributes"),
    ("attributes beyond the root", |it| attributes(it, "../../../../../etc/passwd"), 5, "climbs out"),
    ("huge attributes", huge_attributes, 9, "at most"),
    ("huge attributes of many folders", shared_attributes, 9, "attributes of the commit have more than"),
    ("metadata in a further layer", late_metadata, 5, "first layer"),
    ("a link to nothing", |it| it.put("a", What::HardLink("nowhere".into())), 5, "nowhere"),
];

const CONFIG: &str = "sysroot/ostree/repo/config";

fn take(it: &mut Capsule, path: &str) -> (String, What) {
    let at = it.at(path);
    it.layers[0].remove(at)
}

fn commit_of(it: &Capsule) -> String {
    place(&ObjectName::new(it.commit.id(), Kind::Commit))
}

fn link_of_a(it: &Capsule) -> String {
    place(&ObjectName::new(it.a.id, Kind::FileXattrsLink))
}

fn without_a(it: &mut Capsule) {
    let link = link_of_a(it);
    for path in [place(&it.a), link, "a".into()] {
        take(it, &path);
    }
}

fn not_a_tree(it: &mut Capsule) {
    let bytes = b"no tree".to_vec();
    it.layers[0].push(file(&place(&ObjectName::new(ObjectId::of(&bytes), Kind::DirTree)), bytes));
}

/// The layers hold a whole commit, but the label names another.
fn another_commit(it: &mut Capsule) {
    let old = commit_of(it);
    let other = orlop::host::ostree::Commit { time: 8, ..it.commit.clone() };
    take(it, &old);
    it.layers[0].push(file(&place(&ObjectName::new(other.id(), Kind::Commit)), other.to_bytes()));
}

fn two_commits(it: &mut Capsule) {
    let other = commit(it.commit.tree, content_id(b""));
    it.layers[0].push(file(&place(&ObjectName::new(other.id(), Kind::Commit)), other.to_bytes()));
}

fn another_name(it: &mut Capsule) {
    let name = place(&ObjectName::new(content_id(b"value\n"), Kind::File));
    let at = it.at("etc/name");
    let moved = it.layers[0].remove(at);
    it.layers[0].push(moved);
    let at = it.at("a");
    it.layers[0].remove(at);
    it.layers[0].push(hard_link("a", &name));
}

fn attributes(it: &mut Capsule, target: &str) {
    let link = link_of_a(it);
    it.put(&link, What::HardLink(target.into()));
}

fn huge_attributes(it: &mut Capsule) {
    let link = link_of_a(it);
    it.put(&link, What::File(vec![0; (1 << 20) + 1]));
}

/// The tree has them once for each folder.
fn shared_attributes(it: &mut Capsule) {
    let xattrs = [(b"user.a".as_slice().into(), vec![7; (1 << 20) - 100].into())].into();
    let meta = DirMeta { uid: 0, gid: 0, mode: 0o040_755, xattrs };
    let empty = DirTree { files: Vec::new(), folders: Vec::new() };
    let folders = (0..520).map(|number| (format!("{number:03}").into(), empty.id(), meta.id()));
    let root = DirTree { files: Vec::new(), folders: folders.collect() };
    let old = commit_of(it);
    take(it, &old);
    it.commit = commit(root.id(), it.meta.id);
    let objects = [
        (Kind::Commit, it.commit.id(), it.commit.to_bytes()),
        (Kind::DirMeta, meta.id(), meta.to_bytes()),
        (Kind::DirTree, root.id(), root.to_bytes()),
        (Kind::DirTree, empty.id(), empty.to_bytes()),
    ];
    it.layers[0].extend(objects.map(|(kind, id, bytes)| file(&place(&ObjectName::new(id, kind)), bytes)));
}

fn late_metadata(it: &mut Capsule) {
    let path = place(&it.root);
    let root = take(it, &path);
    it.layers.push(vec![root]);
    it.own = 2;
}

#[test]
fn layers_that_do_not_hold_the_commit_are_refused_and_nothing_is_left() {
    let it = scratch();
    Capsule::new().write(&it, "right");
    ok(&it, &["ostree", "init", "--repo=good", "--mode=bare"]);
    let told = imported(&it, &["--verify-id=require", "oci:right:latest", "ostree:good@x"]);
    assert_eq!(told["identity"], "lossless", "what is edited is right before");
    for (number, (name, edit, code, told)) in CASES.into_iter().enumerate() {
        let (image, repo) = (format!("img{number}"), format!("repo{number}"));
        let mut capsule = Capsule::new();
        edit(&mut capsule);
        capsule.write(&it, &image);
        ok(&it, &["ostree", "init", "--repo", &repo, "--mode=bare"]);
        let done = run(&it, &["copy", &format!("oci:{image}:latest"), &format!("ostree:{repo}@x")]);
        assert_eq!(done.code(), Some(code), "{name}: {done}");
        let told = if told == "shown" { "show `" } else { told };
        assert!(done.err().contains(told), "{name}: {done}");
        assert_eq!(left(&it, &repo), Vec::<String>::new(), "{name}");
    }
    proof::ran("ostree: hostile encapsulated commits", CASES.len());
}

/// Refs and objects of a repository.
fn left(it: &Scratch, repo: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![it.path(&format!("{repo}/objects")), it.path(&format!("{repo}/refs"))];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.display().to_string());
            }
        }
    }
    found
}
