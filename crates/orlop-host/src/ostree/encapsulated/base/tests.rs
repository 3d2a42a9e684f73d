//! Laws of commits that are put together again.

use super::super::entries::LayerEntries;
use super::super::gather::Gathering;
use super::super::outline::Outline;
use super::*;
use crate::ostree::object::{DirMeta, DirTree, LINK, REGULAR, print_xattrs};
use crate::ostree::repo::{Mode, Repo, Transaction};
use crate::ostree::variant::{Dict, Variant};
use orlop_layer::decode::Visit as _;
use orlop_layer::{Chunk, Entries as _, Xattrs};
use orlop_spec::{Cancel, Diagnose as _, Fault, Limits};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use testkit::scratch;

type Layer = Vec<(Entry, Vec<u8>)>;

fn put(to: &Transaction<'_>) -> (ObjectId, ObjectId) {
    let header = |mode, target: &str, xattrs: &[(&[u8], &[u8])]| FileHeader {
        uid: 1,
        gid: 2,
        mode,
        target: target.into(),
        xattrs: xattrs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    };
    let file = |text: &str| to.put_file(&header(REGULAR | 0o644, "", &[]), text.as_bytes()).expect("put");
    let noted = to.put_file(&header(REGULAR | 0o755, "", &[(b"user.a", b"b")]), b"noted").expect("put");
    let link = to.link(&header(LINK | 0o777, "../etc", &[])).expect("put");
    let meta = DirMeta { uid: 1, gid: 2, mode: 0o040_755, xattrs: Xattrs::new() };
    let meta = to.put(Object::DirMeta, &meta.to_bytes()).expect("put");
    let folder = |files: &[(&str, ObjectId)], folders: &[(&str, ObjectId)]| {
        let files = files.iter().map(|(name, id)| ((*name).into(), *id)).collect();
        let folders = folders.iter().map(|(name, id)| ((*name).into(), *id, meta)).collect();
        to.put(Object::DirTree, &DirTree { files, folders }.to_bytes()).expect("put")
    };
    let etc = folder(&[("empty", file("")), ("name", file("value"))], &[]);
    let usr = folder(&[("link", link), ("noted", noted), ("value", file("value"))], &[("etc", etc)]);
    (folder(&[("a", file("content"))], &[("usr", usr)]), meta)
}

/// The one layer of a commit.
fn layer(cx: &Context<'_>) -> (ObjectId, Layer) {
    let scratch = scratch();
    let repo = Repo::create(&scratch.path("repo"), Mode::Archive, cx.limits).expect("made");
    let transaction = repo.begin(cx).expect("begun");
    let (tree, meta) = put(&transaction);
    let (subject, body) = (String::new(), String::new());
    let (metadata, related) = (Dict::new(), Vec::new());
    let commit = Commit { metadata, parent: None, related, subject, body, time: 7, tree, meta };
    let id = transaction.put(Object::Commit, &commit.to_bytes()).expect("put");
    let said: Dict = [("note", Variant::string("beside"))].into_iter().collect();
    transaction.detached(&id, &said.to_bytes()).expect("put");
    transaction.finish().expect("whole");
    let outline = Outline::new(cx, &repo, (&id, &commit), (1, &mut |_| 0)).expect("a commit");
    let mut entries = LayerEntries::new(&repo, Arc::new(outline), 0);
    let mut layer = Vec::new();
    while let Some(entry) = entries.next_entry().expect("whole") {
        let mut content = Vec::new();
        while let Some(Chunk::Data(bytes)) = entries.next_chunk().expect("whole") {
            content.extend_from_slice(bytes);
        }
        layer.push((entry, content));
    }
    (id, layer)
}

/// What is made of a layer: the commit, and what a container has.
fn read(cx: &Context<'_>, id: &ObjectId, layer: &Layer) -> Result<(Base, Tree), Fault> {
    // In another flavour contents are proven while they pass.
    let gathering = Gathering::new(cx.cancel, Flavour::CANONICAL);
    let mut taking = gathering.layer(0, ());
    let mut shown = Builder::new(0, cx.limits);
    for (ordinal, (entry, content)) in (0..).zip(layer) {
        shown.add(ordinal, 0, entry)?;
        taking.entry(ordinal, 0, entry)?;
        taking.data(content)?;
    }
    taking.end()?;
    let base = Base::new(cx, gathering.into_objects(), Some(&id.to_string()))?;
    let shown = Tree::default().stack(shown.finish())?;
    base.check_shown(&shown)?;
    Ok((base, shown))
}

/// What a container has by the names of the commit: the contents of files, the targets of links.
fn files(base: &Base, shown: &Tree, layer: &Layer) -> BTreeMap<String, Vec<u8>> {
    let entries = base.tree.walk().map(|(path, _)| path);
    let found = entries.filter_map(|path| {
        let id = shown.locate(base.settings.shown(&path).as_bytes())?;
        match &shown.inode(id).kind {
            InodeKind::File(content) => Some((path.to_string(), layer[content.ordinal as usize].1.clone())),
            InodeKind::Symlink(target) => Some((path.to_string(), target.to_vec())),
            _ => None,
        }
    });
    found.collect()
}

/// Edits one entry after another. Numbers are taken modulo what there is.
fn edited(mut layer: Layer, edits: &[(u8, usize, usize)]) -> Layer {
    for (what, one, other) in edits {
        let (one, other) = (one % layer.len(), other % layer.len());
        let (entry, content) = layer[other].clone();
        match what % 7 {
            0 => drop(layer.remove(one)),
            1 => layer.insert(one, (entry, content)),
            2 => layer.swap(one, other),
            3 => {
                if let Kind::File { size } = &mut layer[one].0.kind {
                    *size = content.len() as u64;
                    layer[one].1 = content;
                }
            }
            4 => layer[one].0.path = entry.path,
            5 => layer[one].0.kind = entry.kind,
            _ => {
                if let Some(byte) = layer[one].1.first_mut() {
                    *byte ^= 1;
                }
            }
        }
        let at = one.min(other).min(layer.len() - 1);
        let (entry, content) = &mut layer[at];
        if let Kind::File { size } = &mut entry.kind {
            *size = content.len() as u64;
        } else {
            content.clear();
        }
    }
    layer
}

fn in_context<T>(work: impl FnOnce(&Context<'_>) -> T) -> T {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    work(&Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN })
}

#[test]
fn whatever_is_done_to_a_layer_the_commit_comes_back_as_it_was_or_not_at_all() {
    in_context(|cx| {
        let (id, layer) = layer(cx);
        let (base, shown) = read(cx, &id, &layer).expect("nothing was done");
        let wanted = files(&base, &shown, &layer);
        let names = ["a", "usr/etc/empty", "usr/etc/name", "usr/link", "usr/noted", "usr/value"];
        assert_eq!(wanted.keys().collect::<Vec<_>>(), names);
        assert!(base.carried().detached.is_some());
        let edits = prop::collection::vec((any::<u8>(), any::<usize>(), any::<usize>()), 1..4);
        let cases = if testkit::full() { 100_000 } else { 3000 };
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
        let law = |edits: Vec<(u8, usize, usize)>| {
            let layer = edited(layer.clone(), &edits);
            if let Ok((base, shown)) = read(cx, &id, &layer) {
                prop_assert_eq!(base.id(), id);
                prop_assert_eq!(files(&base, &shown, &layer), wanted.clone());
            }
            Ok(())
        };
        runner.run(&edits, law).expect("the law holds");
    });
}

/// One object of attributes, and many that have them: each costs memory, though the layer holds them once.
fn shared() -> Xattrs {
    Xattrs::from([(b"user.a".as_slice().into(), vec![7; 1 << 10].into_boxed_slice())])
}

#[test]
fn p5_attributes_that_many_folders_share_count_for_each() {
    in_context(|cx| {
        let meta = DirMeta { uid: 0, gid: 0, mode: 0o040_755, xattrs: shared() };
        let (tree, id) = (ObjectId([0; 32]), meta.id());
        let objects = Objects { metas: [(id, meta)].into(), ..Objects::default() };
        let mut planting = Planting { most: 10 << 10, ..Planting::new(&objects, cx.limits) };
        let put = |number| planting.step(&plain(&format!("d{number}")), &Step::Folder { tree, meta: id });
        let results: Vec<_> = (0..10).map(put).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 9);
        let error = results.into_iter().find_map(Result::err).expect("the tenth is too much");
        assert_eq!(error.kind(), orlop_spec::Kind::Limit, "{error}");
    });
}

#[test]
fn p5_attributes_that_many_links_share_count_for_each() {
    let bytes = print_xattrs(&shared());
    let attributes = ObjectName::new(ObjectId::of(&bytes), Object::FileXattrs);
    let entry = |path, kind| Entry { path, meta: Meta::default(), kind };
    let cancel = Cancel::new();
    let mut gathering = Gathering::new(&cancel, Flavour::EXACT);
    gathering.most = 10 << 10;
    let mut taking = gathering.layer(0, ());
    let held = entry(path_of(&attributes), Kind::File { size: bytes.len() as u64 });
    taking.entry(0, 0, &held).and_then(|()| taking.data(&bytes)).expect("one of them is not much");
    let mut put = |number: u32| {
        let target = number.to_string();
        let id = Flavour::EXACT.link(&Meta { xattrs: shared(), ..Meta::default() }, &target).id();
        let place = |kind| path_of(&ObjectName::new(id, kind));
        let first = Kind::HardLink { target: path_of(&attributes) };
        taking.entry(0, 0, &entry(place(Object::FileXattrsLink), first))?;
        let target = target.into_bytes().into();
        taking.entry(0, 0, &entry(place(Object::File), Kind::Symlink { target }))
    };
    let results: Vec<_> = (0..10).map(&mut put).collect();
    let well = results.iter().take_while(|result| result.is_ok()).count();
    assert_eq!(well, 8, "besides the object itself");
    let error = results.into_iter().find_map(Result::err).expect("the ninth is too much");
    assert_eq!(Fault::from(error).kind(), orlop_spec::Kind::Limit);
}
