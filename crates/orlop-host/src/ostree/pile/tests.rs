use super::*;
use crate::ostree::id::Kind;
use crate::ostree::make::{MakeOptions, make};
use crate::ostree::object::{Commit, DirMeta, DirTree, FileHeader};
use crate::ostree::repo::Mode;
use crate::ostree::variant::Dict;
use orlop_fs::lock::{Share, Wait};
use orlop_layer::Meta;
use orlop_spec::{Cancel, Diagnose as _, Limits};
use std::num::NonZeroUsize;

fn with<T>(work: impl FnOnce(&Context<'_>) -> T) -> T {
    let (cancel, limits) = (Cancel::new(), Limits::default());
    let workers = NonZeroUsize::MIN;
    work(&Context { observer: &(), cancel: &cancel, limits: &limits, workers })
}

fn repo(scratch: &testkit::Scratch) -> Repo {
    Repo::create(&scratch.path("r"), Mode::Archive, &Limits::default()).expect("made")
}

fn put_commit(transaction: &Transaction<'_>, tree: ObjectId) -> ObjectId {
    let meta = DirMeta::of(&Meta { mode: 0o755, ..Meta::default() });
    let meta = transaction.put(Kind::DirMeta, &meta.to_bytes()).expect("put");
    let (metadata, related, subject, body) = (Dict::new(), Vec::new(), String::new(), String::new());
    let commit = Commit { metadata, parent: None, related, subject, body, time: 1, tree, meta };
    transaction.put(Kind::Commit, &commit.to_bytes()).expect("put")
}

/// A few objects that mean a tree of more folders than anybody can walk over.
#[test]
fn t6_folders_that_come_again_are_laid_over_each_other_once() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch);
    with(|cx| {
        let transaction = repo.begin(cx).expect("begun");
        let meta = DirMeta::of(&Meta { mode: 0o755, ..Meta::default() });
        let meta = transaction.put(Kind::DirMeta, &meta.to_bytes()).expect("put");
        let commits = ["below", "above"].map(|name| {
            let header = FileHeader::regular(&Meta::default());
            let file = transaction.put_file(&header, name.as_bytes()).expect("put");
            let mut tree = DirTree { files: vec![(name.into(), file)], folders: Vec::new() };
            for _ in 0..100 {
                let id = transaction.put(Kind::DirTree, &tree.to_bytes()).expect("put");
                tree = DirTree {
                    files: Vec::new(),
                    folders: ["a", "b"].map(|name| (name.into(), id, meta)).into(),
                };
            }
            let id = transaction.put(Kind::DirTree, &tree.to_bytes()).expect("put");
            put_commit(&transaction, id)
        });
        transaction.finish().expect("published");
        let mut pile = Pile::new(cx, &repo).expect("begun");
        commits.iter().try_for_each(|id| pile.commit(id)).expect("laid over");
        let id = make(pile, &MakeOptions::default()).expect("made");
        let mut at = repo.commit(&id).expect("a commit").tree;
        for _ in 0..100 {
            at = *repo.dirtree(&at).expect("a folder").folder("b").expect("it is there").0;
        }
        let names = repo.dirtree(&at).expect("a folder").files.into_iter().map(|(name, _)| name);
        assert_eq!(names.collect::<Vec<_>>(), ["above".into(), "below".into()]);
    });
}

/// What lies below is published before the commit that names it.
#[test]
fn nobody_prunes_what_a_pile_has_published() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch);
    for (name, content) in [("t/a", "1"), ("u/b", "2")] {
        scratch.folder(&name[..1]);
        scratch.file(name, content);
    }
    with(|cx| {
        let mut pile = Pile::new(cx, &repo).expect("begun");
        for folder in ["t", "u"] {
            let folder = Dir::open(scratch.path(folder)).expect("a folder");
            pile.folder(&folder, FolderOptions::default()).expect("laid over");
            pile.settle().expect("published");
            assert!(repo.lock(Share::Exclusive, Wait::No).expect("asked").is_none());
        }
        let id = make(pile, &MakeOptions::default()).expect("made");
        assert!(repo.lock(Share::Exclusive, Wait::No).expect("asked").is_some());
        assert!(repo.check(cx).expect("looked at").findings.is_empty());
        assert_eq!(
            repo.reach(cx, &id).expect("whole").len(),
            5,
            "a commit, a folder and its meta, two files"
        );
    });
}

#[test]
fn a_file_does_not_take_the_place_of_a_folder() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch);
    scratch.folder("t/a");
    scratch.folder("u");
    scratch.file("u/a", "a file");
    with(|cx| {
        for order in [["t", "u"], ["u", "t"]] {
            let mut pile = Pile::new(cx, &repo).expect("begun");
            let [below, above] = order.map(|name| Dir::open(scratch.path(name)).expect("a folder"));
            pile.folder(&below, FolderOptions::default()).expect("the first");
            let error = pile.folder(&above, FolderOptions::default()).expect_err("one of them is a file");
            assert!(
                matches!(&error, Error::Repo(RepoError::FileOverFolder { path }) if path == "/a"),
                "{error}"
            );
            assert_eq!(error.kind(), orlop_spec::Kind::Other);
        }
    });
}
