//! Laws of encapsulated layers.

use super::*;
use crate::ostree::encapsulated::object_at;
use crate::ostree::object::{Commit, DirMeta, DirTree, LINK, REGULAR};
use crate::ostree::repo::Transaction;
use crate::ostree::variant::{Dict, Variant};
use orlop_layer::Time;
use orlop_spec::{Cancel, Context, Limits};
use std::collections::HashSet;
use std::num::NonZeroUsize;
use testkit::{Scratch, scratch};

/// Works with a repository, in the surroundings of a test.
fn with<T>(scratch: &Scratch, work: impl FnOnce(&Context<'_>, &Repo) -> T) -> T {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let repo = Repo::create(&scratch.path("repo"), Mode::Archive, &limits).expect("made");
    let workers = NonZeroUsize::new(2).expect("some");
    work(&Context { observer: &(), cancel: &cancel, limits: &limits, workers }, &repo)
}

fn xattrs(list: &[(&str, &str)]) -> Xattrs {
    list.iter().map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into())).collect()
}

fn header(mode: u32, target: &str, attributes: &[(&str, &str)]) -> FileHeader {
    FileHeader { uid: 3, gid: 4, mode, target: target.into(), xattrs: xattrs(attributes) }
}

type Folder = (ObjectId, ObjectId);

fn folder(to: &Transaction<'_>, files: &[(&str, ObjectId)], folders: &[(&str, Folder)]) -> Folder {
    let files = files.iter().map(|(name, id)| ((*name).into(), *id)).collect();
    let folders = folders.iter().map(|(name, (tree, meta))| ((*name).into(), *tree, *meta)).collect();
    let attributes = xattrs(&[("security.selinux", "label"), ("user.a", "b")]);
    let meta = DirMeta { uid: 1, gid: 2, mode: 0o040_750, xattrs: attributes };
    let tree = to.put(Object::DirTree, &DirTree { files, folders }.to_bytes()).expect("put");
    (tree, to.put(Object::DirMeta, &meta.to_bytes()).expect("put"))
}

/// Puts a commit of a root that has everything in it that matters, and something said of it.
fn put(cx: &Context<'_>, repo: &Repo, root: impl FnOnce(&Transaction<'_>) -> Folder) -> (ObjectId, Commit) {
    let transaction = repo.begin(cx).expect("begun");
    let (tree, meta) = root(&transaction);
    let (subject, body) = (String::new(), String::new());
    let (metadata, related) = (Dict::new(), Vec::new());
    let commit = Commit { metadata, parent: None, related, subject, body, time: 7, tree, meta };
    let id = transaction.put(Object::Commit, &commit.to_bytes()).expect("put");
    let said: Dict = [("note", Variant::string("beside"))].into_iter().collect();
    transaction.detached(&id, &said.to_bytes()).expect("put");
    transaction.finish().expect("whole");
    (id, commit)
}

fn everything(to: &Transaction<'_>) -> Folder {
    let attributes = [("security.capability", "c"), ("security.selinux", "label")];
    let shared = to.put_file(&header(REGULAR | 0o4755, "", &attributes), b"tool").expect("put");
    let empty = to.put_file(&header(REGULAR | 0o600, "", &[]), b"").expect("put");
    let link = to.link(&header(LINK | 0o777, "usr/bin", &[])).expect("put");
    let large = to.put_file(&header(REGULAR | 0o644, "", &[]), &vec![7; PIECE * 2]).expect("put");
    let none = folder(to, &[], &[]);
    let etc = folder(to, &[("empty", empty), ("large", large)], &[]);
    let usr = folder(to, &[], &[("bin", folder(to, &[("a", shared), ("b", shared)], &[])), ("etc", etc)]);
    folder(to, &[("bin", link)], &[("sysroot", none), ("usr", usr), ("var", none)])
}

fn outline(
    cx: &Context<'_>,
    repo: &Repo,
    (id, commit): &(ObjectId, Commit),
    layers: usize,
    layer_of: &mut dyn FnMut(&TreePath) -> usize,
) -> Arc<Outline> {
    Arc::new(Outline::new(cx, repo, (id, commit), (layers, layer_of)).expect("a commit"))
}

/// The entries of a layer with the bytes that came with them.
fn read(mut layer: LayerEntries<'_>) -> Vec<(Entry, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some(entry) = layer.next_entry().expect("whole") {
        let mut content = Vec::new();
        while let Some(Chunk::Data(bytes)) = layer.next_chunk().expect("whole") {
            content.extend_from_slice(bytes);
        }
        let size = if let Kind::File { size } = entry.kind { size } else { 0 };
        assert_eq!(content.len() as u64, size, "{}", entry.path);
        all.push((entry, content));
    }
    all
}

fn names(all: &[(Entry, Vec<u8>)]) -> Vec<String> {
    let outside = all.iter().filter(|(entry, _)| !entry.path.starts_with(&plain("sysroot")));
    outside.map(|(entry, _)| entry.path.to_string()).collect()
}

#[test]
fn one_layer_holds_the_repository_and_the_tree() {
    let scratch = scratch();
    with(&scratch, |cx, repo| {
        let commit = put(cx, repo, everything);
        let all = read(LayerEntries::new(repo, outline(cx, repo, &commit, 1, &mut |_| 0), 0));
        assert!(all.iter().all(|(entry, _)| entry.meta.mtime == Time::default()));
        let tree = ["/", "usr", "usr/bin", "etc", "var", "var/tmp"];
        let files = ["bin", "usr/bin/a", "usr/bin/b", "etc/empty", "etc/large"];
        assert_eq!(names(&all), [&tree[..], &files].concat());
        let objects: Vec<ObjectName> = all.iter().filter_map(|(entry, _)| object_at(&entry.path)).collect();
        assert_eq!(objects[0], ObjectName::new(commit.0, Object::Commit), "who reads them asks for it first");
        assert_eq!(objects[1], ObjectName::new(commit.0, Object::CommitMeta));
        let wanted = repo.reach(cx, &commit.0).expect("whole");
        let found: HashSet<ObjectName> = objects
            .iter()
            .copied()
            .filter(|object| !matches!(object.kind, Object::FileXattrs | Object::FileXattrsLink))
            .collect();
        assert_eq!(found, wanted);
        let root = all.iter().find(|(entry, _)| entry.path.is_root()).expect("there");
        assert_eq!(root.0.meta.xattrs, xattrs(&[("user.a", "b")]), "labels are in the objects alone");
        let sysroot = all.iter().find(|(entry, _)| entry.path == plain("sysroot")).expect("there");
        assert_eq!(sysroot.0.meta.mode, 0o750, "it is the commit's own");
    });
}

#[test]
fn a_file_comes_right_after_its_attributes_and_before_its_names() {
    let scratch = scratch();
    with(&scratch, |cx, repo| {
        let commit = put(cx, repo, everything);
        let all = read(LayerEntries::new(repo, outline(cx, repo, &commit, 1, &mut |_| 0), 0));
        let mut last = None;
        let mut given = HashSet::new();
        for (entry, content) in &all {
            let object = object_at(&entry.path);
            match (&entry.kind, object) {
                (Kind::HardLink { target }, _) => {
                    assert!(given.contains(target), "{} -> {target}", entry.path);
                    assert!(object_at(target).is_some());
                    assert!(entry.meta.xattrs.is_empty());
                }
                (_, Some(ObjectName { id, kind: Object::FileXattrs })) => {
                    assert_eq!(id, ObjectId::of(content));
                }
                _ => {}
            }
            if let Some(ObjectName { id, kind: Object::File }) = object {
                assert_eq!(last, Some(ObjectName::new(id, Object::FileXattrsLink)));
            }
            last = object.or(last);
            given.insert(entry.path.clone());
        }
        let empty = all.iter().find(|(entry, _)| entry.path == plain("etc/empty")).expect("there");
        assert_eq!(empty.0.kind, Kind::File { size: 0 }, "no two empty files are one");
        let shared = all.iter().filter(|(entry, _)| entry.path.starts_with(&plain("usr/bin")));
        assert_eq!(shared.filter(|(entry, _)| matches!(entry.kind, Kind::HardLink { .. })).count(), 2);
    });
}

#[test]
fn all_names_of_a_file_are_in_the_layer_of_the_first() {
    let scratch = scratch();
    with(&scratch, |cx, repo| {
        let commit = put(cx, repo, everything);
        let mut layer_of = |path: &TreePath| usize::from(path == &plain("usr/bin/a"));
        let outline = outline(cx, repo, &commit, 2, &mut layer_of);
        let read = |number| read(LayerEntries::new(repo, Arc::clone(&outline), number));
        assert_eq!(names(&read(1)), ["usr/bin/a", "usr/bin/b"]);
        assert!(!names(&read(0)).iter().any(|name| name.starts_with("usr/bin/")));
        let kinds: Vec<Object> = read(1)
            .iter()
            .filter_map(|(entry, _)| object_at(&entry.path))
            .map(|object| object.kind)
            .collect();
        assert_eq!(kinds, [Object::FileXattrs, Object::FileXattrsLink, Object::File], "nothing but files");
    });
}

#[test]
fn attributes_that_have_too_many_names_are_written_again() {
    let scratch = scratch();
    with(&scratch, |cx, repo| {
        let commit = put(cx, repo, |to| {
            let files: Vec<ObjectId> = (0..5)
                .map(|n| to.put_file(&header(REGULAR, "", &[("user.a", "b")]), &[n]).expect("put"))
                .collect();
            let names = ["0", "1", "2", "3", "4"];
            folder(to, &names.into_iter().zip(files).collect::<Vec<_>>(), &[])
        });
        let layer = LayerEntries::new(repo, outline(cx, repo, &commit, 1, &mut |_| 0), 0);
        let all = read(LayerEntries { most_names: 2, ..layer });
        let links: Vec<&(Entry, Vec<u8>)> = all
            .iter()
            .filter(|(entry, _)| {
                object_at(&entry.path).is_some_and(|object| object.kind == Object::FileXattrsLink)
            })
            .collect();
        let is_link = |(entry, _): &&(Entry, Vec<u8>)| matches!(entry.kind, Kind::HardLink { .. });
        assert_eq!(links.iter().map(is_link).collect::<Vec<_>>(), [true, true, false, false, false]);
        let own = print_xattrs(&xattrs(&[("user.a", "b")]));
        assert!(links[2..].iter().all(|(_, content)| *content == own));
    });
}

#[test]
fn settings_keep_their_name_beside_an_etc_of_the_commit() {
    let scratch = scratch();
    with(&scratch, |cx, repo| {
        let commit = put(cx, repo, |to| {
            let file = to.put_file(&header(REGULAR, "", &[]), b"x").expect("put");
            let etc = folder(to, &[("file", file)], &[]);
            folder(to, &[], &[("etc", etc), ("usr", folder(to, &[], &[("etc", etc)]))])
        });
        let all = read(LayerEntries::new(repo, outline(cx, repo, &commit, 1, &mut |_| 0), 0));
        assert_eq!(names(&all), ["/", "etc", "usr", "usr/etc", "etc/file", "usr/etc/file"]);
    });
}

#[test]
fn a_commit_that_has_something_where_the_repository_goes_is_refused() {
    let scratch = scratch();
    with(&scratch, |cx, repo| {
        let refused = |root: &dyn Fn(&Transaction<'_>) -> Folder| {
            let (id, commit) = put(cx, repo, root);
            let outline = Outline::new(cx, repo, (&id, &commit), (1, &mut |_| 0));
            outline.expect_err("it is in the way").to_string()
        };
        let file = |to: &Transaction<'_>| to.put_file(&header(REGULAR, "", &[]), b"x").expect("put");
        let told = refused(&|to| folder(to, &[("sysroot", file(to))], &[]));
        assert!(told.contains("`sysroot`"), "{told}");
        let told = refused(&|to| {
            let deep = folder(to, &[], &[("ostree", folder(to, &[], &[]))]);
            folder(to, &[], &[("sysroot", deep)])
        });
        assert!(told.contains("`sysroot/ostree`"), "{told}");
    });
}

#[test]
fn a_damaged_object_is_named_and_not_written() {
    let scratch = scratch();
    with(&scratch, |cx, repo| {
        let mut id = None;
        let commit = put(cx, repo, |to| {
            let file = to.put_file(&header(REGULAR, "", &[]), &[1; 3000]).expect("put");
            id = Some(file);
            folder(to, &[("file", file)], &[])
        });
        let id = id.expect("put");
        let place = scratch.path("repo/objects").join(id.folder()).join(format!("{}.filez", id.rest()));
        let mut bytes = std::fs::read(&place).expect("there");
        let middle = bytes.len() - 4;
        bytes[middle] ^= 1;
        std::fs::write(&place, bytes).expect("written");
        let mut layer = LayerEntries::new(repo, outline(cx, repo, &commit, 1, &mut |_| 0), 0);
        let error = loop {
            let step = layer.next_entry().and_then(|entry| {
                while layer.next_chunk()?.is_some() {}
                Ok(entry)
            });
            match step {
                Ok(entry) => assert!(entry.is_some(), "it is damaged"),
                Err(error) => break Fault::from(error),
            }
        };
        assert_eq!(error.kind(), orlop_spec::Kind::Integrity);
        assert!(format!("{error:?}").contains(&id.to_string()), "{error:?}");
    });
}
