//! Laws of repositories.

use super::*;
use crate::ostree::id::Kind;
use crate::ostree::object::{Commit, DirMeta, DirTree, FileHeader, LINK, REGULAR};
use crate::ostree::refname::RefSpec;
use crate::ostree::variant::{Dict, Variant};
use orlop_layer::Xattrs;
use orlop_spec::{Cancel, Context, Diagnose as _, Kind as Outcome};
use std::io::Read as _;
use std::num::NonZeroUsize;
use testkit::Scratch;

const WRITABLE: [Mode; 4] = [Mode::Archive, Mode::Bare, Mode::BareUser, Mode::BareUserOnly];

fn limits() -> Limits {
    Limits::default()
}

fn repo(scratch: &Scratch, mode: Mode) -> Repo {
    Repo::create(&scratch.path(mode.word()), mode, &limits()).expect("made")
}

/// Hands a context to work on a repository.
fn with<T>(work: impl FnOnce(&Context<'_>) -> T) -> T {
    let (cancel, limits) = (Cancel::new(), limits());
    let workers = NonZeroUsize::new(2).expect("some");
    work(&Context { observer: &(), cancel: &cancel, limits: &limits, workers })
}

fn begin(repo: &Repo) -> Transaction<'_> {
    with(|cx| repo.begin(cx)).expect("begun")
}

fn header(mode: u32, target: &str) -> FileHeader {
    FileHeader { uid: 0, gid: 0, mode, target: target.into(), xattrs: Xattrs::new() }
}

fn spec(text: &str) -> RefSpec {
    text.parse().expect("a ref")
}

/// A commit of a file, a large file and a link.
fn fill(repo: &Repo, name: &str, large: &[u8]) -> ObjectId {
    let transaction = begin(repo);
    let mut file = transaction.file(&header(REGULAR | 0o755, ""), large.len() as u64).expect("begun");
    for piece in large.chunks(77_777) {
        file.write_all(piece).expect("taken");
    }
    let mut files = vec![
        ("large".into(), file.finish().expect("whole")),
        ("small".into(), transaction.put_file(&header(REGULAR | 0o644, ""), b"small").expect("put")),
        ("empty".into(), transaction.put_file(&header(REGULAR | 0o600, ""), b"").expect("put")),
        ("link".into(), transaction.link(&header(LINK | 0o777, "../nowhere")).expect("put")),
    ];
    files.sort();
    let meta = DirMeta { uid: 0, gid: 0, mode: 0o040_755, xattrs: Xattrs::new() };
    let tree = transaction.put(Kind::DirTree, &DirTree { files, folders: vec![] }.to_bytes()).expect("put");
    let meta = transaction.put(Kind::DirMeta, &meta.to_bytes()).expect("put");
    let (subject, body) = (String::from("subject"), String::new());
    let commit =
        Commit { metadata: Dict::new(), parent: None, related: vec![], subject, body, time: 7, tree, meta };
    let id = transaction.put(Kind::Commit, &commit.to_bytes()).expect("put");
    let said: Dict = [("key", Variant::string("said later"))].into_iter().collect();
    transaction.detached(&id, &said.to_bytes()).expect("put");
    transaction.set_ref(&spec(name), Some(&id));
    transaction.finish().expect("published");
    id
}

fn large() -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24).to_le_bytes()[0] & 15
    };
    (0..4_500_000).map(|_| next()).collect()
}

fn content(repo: &Repo, id: &ObjectId) -> Result<Vec<u8>, Error> {
    repo.file(id)?.content(1 << 30)
}

#[test]
fn every_mode_gives_back_what_it_was_given() {
    let (scratch, large) = (testkit::scratch::scratch_in_memory(), large());
    let mut ids = Vec::new();
    for mode in WRITABLE {
        let repo = repo(&scratch, mode);
        let id = fill(&repo, "os/stable", &large);
        let repo = Repo::open(&scratch.path(mode.word()), &limits()).expect("a repository");
        assert_eq!((repo.mode(), repo.resolve("os/stable").expect("a ref")), (mode, id));
        let tree = repo.dirtree(&repo.commit(&id).expect("a commit").tree).expect("a dirtree");
        let file = |name: &str| *tree.file(name).expect("there");
        assert!(content(&repo, &file("large")).expect("whole") == large, "{mode}");
        assert_eq!(content(&repo, &file("small")).expect("whole"), b"small");
        assert_eq!(content(&repo, &file("empty")).expect("whole"), b"");
        let link = repo.file(&file("link")).expect("a link");
        assert_eq!((&*link.header().target, link.header().mode), ("../nowhere", LINK | 0o777));
        assert_eq!(link.content(0).expect("proven"), b"");
        assert_eq!(repo.file(&file("large")).expect("a file").local().is_some(), mode != Mode::Archive);
        let said = repo.detached(&id).expect("readable").expect("said");
        assert_eq!(said.get("key").and_then(Variant::as_str), Some("said later"));
        assert!(repo.dir().open_dir("tmp").and_then(|tmp| tmp.list()).expect("listed").len() == 1);
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one commit in all modes");
}

#[test]
fn what_is_there_is_not_written_again() {
    let (scratch, large) = (testkit::scratch::scratch_in_memory(), large());
    let repo = repo(&scratch, Mode::Archive);
    fill(&repo, "one", &large);
    let before = repo.list(&Kind::ALL).expect("listed");
    let transaction = begin(&repo);
    let mut file = transaction.file(&header(REGULAR | 0o755, ""), large.len() as u64).expect("begun");
    file.write_all(&large).expect("taken");
    file.finish().expect("whole");
    transaction.put_file(&header(REGULAR | 0o644, ""), b"small").expect("put");
    let account = transaction.finish().expect("published");
    assert_eq!((account.content.given, account.content.written), (2, 0));
    assert_eq!(repo.list(&Kind::ALL).expect("listed"), before);
}

#[test]
fn nothing_is_seen_of_a_transaction_that_is_dropped() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch, Mode::Bare);
    let transaction = begin(&repo);
    let id = transaction.put_file(&header(REGULAR | 0o644, ""), b"content").expect("put");
    let object = ObjectName::new(id, Kind::File);
    assert!(transaction.has(&object).expect("asked") && !repo.has(&object).expect("asked"));
    drop(transaction);
    assert!(!repo.has(&object).expect("asked"));
    assert_eq!(repo.dir().open_dir("tmp").and_then(|tmp| tmp.list()).expect("listed"), [b"cache"[..].into()]);
}

#[test]
fn what_killed_writers_left_goes_with_the_next_one_and_living_ones_stay() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch, Mode::Bare);
    scratch.folder("bare/tmp/orlop-abcdefgh2345/00");
    scratch.file("bare/tmp/orlop-abcdefgh2345/00/object.file", "left");
    scratch.file("bare/tmp/other-0123456789ab", "not ours");
    let first = begin(&repo);
    let second = begin(&repo);
    let names = || repo.dir().open_dir("tmp").and_then(|tmp| tmp.list()).expect("listed").len();
    assert_eq!(names(), 4, "two writers, the cache and what is not ours");
    drop((first, second));
    assert_eq!(names(), 2);
}

#[test]
fn writers_share_the_lock_and_whoever_removes_has_it_alone() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch, Mode::Bare);
    let (one, two) = (begin(&repo), begin(&repo));
    assert!(repo.lock(Share::Exclusive, Wait::No).expect("asked").is_none());
    drop((one, two));
    assert!(repo.lock(Share::Exclusive, Wait::No).expect("asked").is_some());
}

#[test]
fn a_file_of_another_size_than_announced_is_refused() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch, Mode::Bare);
    let transaction = begin(&repo);
    for announced in [10, 5 << 20] {
        let mut short = transaction.file(&header(REGULAR | 0o644, ""), announced).expect("begun");
        short.take(b"123456789").expect("fits");
        let error = short.finish().expect_err("short");
        assert_eq!(error.kind(), Outcome::Integrity, "{error}");
    }
    let mut long = transaction.file(&header(REGULAR | 0o644, ""), 3).expect("begun");
    long.take(b"1234").expect_err("long");
}

#[test]
fn bare_user_only_refuses_what_it_cannot_show() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch, Mode::BareUserOnly);
    let transaction = begin(&repo);
    let with_xattr = [(b"user.a"[..].into(), b"v"[..].into())].into_iter().collect();
    let fit = header(REGULAR | 0o644, "");
    for wrong in [
        FileHeader { uid: 1, ..fit.clone() },
        FileHeader { gid: 1, ..fit.clone() },
        FileHeader { mode: REGULAR | 0o4755, ..fit.clone() },
        FileHeader { mode: REGULAR | 0o666, ..fit.clone() },
        FileHeader { xattrs: with_xattr, ..fit.clone() },
    ] {
        transaction.put_file(&wrong, b"").expect_err("does not fit");
    }
    transaction.put_file(&fit, b"").expect("fits");
}

#[test]
fn refs_name_what_is_there_and_are_no_folders_of_others() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch, Mode::Archive);
    let id = fill(&repo, "a/b", b"");
    let set = |name: &str, id: &ObjectId| {
        let transaction = begin(&repo);
        transaction.set_ref(&spec(name), Some(id));
        transaction.finish()
    };
    for clash in ["a", "a/b/c"] {
        assert!(matches!(set(clash, &id), Err(Error::Repo(RepoError::Clash { .. }))), "{clash}");
    }
    assert_eq!(repo.find_ref(&spec("a/b/c")).expect("looked for"), None, "a ref is no folder");
    let missing = set("c", &ObjectId::of(b"nothing")).expect_err("not there");
    assert!(matches!(missing, Error::Repo(RepoError::Missing { .. })));
    set("far:a", &id).expect("set");
    set("c", &id).expect("set");
    let names =
        || repo.refs().expect("listed").into_iter().map(|(spec, _)| spec.to_string()).collect::<Vec<_>>();
    assert_eq!(names(), ["a/b", "c", "far:a"]);
    let transaction = begin(&repo);
    transaction.set_ref(&spec("a/b"), None);
    transaction.set_ref(&spec("a"), Some(&id));
    transaction.finish().expect("one goes, the other comes");
    assert_eq!(names(), ["a", "c", "far:a"]);
}

#[test]
fn a_ref_takes_the_place_of_empty_folders_only() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch, Mode::Archive);
    let id = fill(&repo, "x", b"");
    let heads = scratch.path(Mode::Archive.word()).join("refs/heads");
    std::fs::create_dir_all(heads.join("a/b/c")).expect("made");
    repo.write_ref(&spec("a"), Some(&id)).expect("nothing is in the way");
    assert_eq!(repo.find_ref(&spec("a")).expect("read"), Some(id));

    std::fs::create_dir_all(heads.join("d/e")).expect("made");
    std::fs::write(heads.join("d/e/f"), format!("{id}\n")).expect("another writer was faster");
    repo.write_ref(&spec("d"), Some(&id)).expect_err("a ref is in the way");
    assert_eq!(repo.find_ref(&spec("d/e/f")).expect("read"), Some(id));
}

#[test]
fn commits_have_many_names() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = repo(&scratch, Mode::Archive);
    let id = fill(&repo, "a", b"");
    let hex = id.to_string();
    for name in ["a", &hex, &hex[..6]] {
        assert_eq!(repo.resolve(name).expect(name), id);
    }
    for (name, kind) in [
        ("b", Outcome::NotFound),
        ("", Outcome::NotFound),
        ("a^", Outcome::NotFound),
        ("no no", Outcome::NotFound),
    ] {
        assert_eq!(repo.resolve(name).expect_err(name).kind(), kind, "{name}");
    }
}

#[test]
fn a_changed_byte_of_an_object_is_named() {
    let scratch = testkit::scratch::scratch_in_memory();
    for mode in WRITABLE {
        let repo = repo(&scratch, mode);
        fill(&repo, "a", &large()[..100_000]);
        for object in repo.list(&Kind::ALL).expect("listed") {
            let (folder, name) = (object.id.folder(), repo.file_name(&object));
            let path = scratch.path(&format!("{mode}/objects/{folder}/{name}"));
            let read = || match object.kind {
                Kind::File => repo.file(&object.id).and_then(|file| {
                    let mut sink = Vec::new();
                    file.reader().read_to_end(&mut sink).map(drop).map_err(|error| {
                        let fault = orlop_spec::Fault::io("read", error);
                        assert!(fault.to_string().contains(&object.id.to_string()), "{fault}");
                        Error::Repo(RepoError::Missing { object })
                    })
                }),
                Kind::CommitMeta => Ok(()),
                _ => repo.raw(&object).map(drop),
            };
            read().expect("as it was written");
            let is_link = path.is_symlink();
            let whole = if is_link { continue } else { std::fs::read(&path).expect("readable") };
            for at in [0, whole.len() / 2, whole.len().saturating_sub(1)] {
                let Some(byte) = whole.get(at) else { continue };
                let mut changed = whole.clone();
                changed[at] = byte ^ 0x20;
                std::fs::write(&path, &changed).expect("written");
                let is_proven = object.kind == Kind::CommitMeta;
                // The target of a link in `bare-user` ends with a NUL or does not.
                assert!(read().is_err() || is_proven, "{mode}: {object} at {at} of {}", whole.len());
            }
            std::fs::write(&path, &whole[..whole.len() / 2]).expect("written");
            assert!(
                whole.is_empty() || read().is_err() || object.kind == Kind::CommitMeta,
                "{mode}: {object} cut"
            );
            std::fs::write(&path, &whole).expect("written");
            read().expect("as it was");
        }
    }
}

#[test]
fn a_folder_that_is_no_repository_is_told() {
    let scratch = testkit::scratch::scratch_in_memory();
    let open = |name: &str| Repo::open(&scratch.path(name), &limits()).map(drop).expect_err(name);
    assert!(matches!(open("absent"), Error::NoRepository { .. }));
    scratch.folder("empty");
    assert!(matches!(open("empty"), Error::NotARepository { missing: "objects", .. }));
    scratch.folder("half/objects");
    assert!(matches!(open("half"), Error::NotARepository { missing: "config", .. }));
    for (config, name) in [
        ("mode=bear\nrepo_version=1", "mode"),
        ("mode=bare\nrepo_version=2", "version"),
        ("mode=bare", "none"),
    ] {
        scratch.folder(&format!("{name}/objects"));
        scratch.file(&format!("{name}/config"), format!("[core]\n{config}\n"));
        let error = open(name);
        assert!(
            matches!(error, Error::Repo(RepoError::UnknownMode { .. } | RepoError::UnknownVersion { .. })),
            "{error}"
        );
    }
    let repo = repo(&scratch, Mode::Bare);
    drop(repo);
    let again = Repo::create(&scratch.path("bare"), Mode::Archive, &limits());
    assert!(matches!(again, Err(Error::Repo(RepoError::Exists { .. }))));
}

#[test]
fn what_a_parent_has_is_not_written_again() {
    let scratch = testkit::scratch::scratch_in_memory();
    for mode in [Mode::Archive, Mode::BareUser] {
        let parent = repo(&scratch, mode);
        let put = |to: &Repo| {
            let transaction = begin(to);
            let id = transaction.put_file(&header(REGULAR | 0o644, ""), b"shared").expect("put");
            (id, transaction.finish().expect("published").content.written)
        };
        let (id, written) = put(&parent);
        assert_eq!(written, 1);
        let path = scratch.path(&format!("child-of-{mode}"));
        drop(Repo::create(&path, mode, &limits()).expect("made"));
        let config = std::fs::read_to_string(path.join("config")).expect("readable");
        let place = scratch.path(mode.word()).display().to_string();
        std::fs::write(path.join("config"), format!("{config}parent={place}\n")).expect("written");
        let child = Repo::open(&path, &limits()).expect("there");
        assert_eq!(put(&child), (id, 0), "{mode}");
        assert_eq!(child.list(&Kind::ALL).expect("readable"), []);
        assert!(child.file(&id).is_ok());
    }
}

#[test]
fn parents_of_parents_end() {
    let scratch = testkit::scratch::scratch_in_memory();
    drop(repo(&scratch, Mode::Archive));
    let path = scratch.path("archive");
    let config = std::fs::read_to_string(path.join("config")).expect("readable");
    let parent = |place: &str| {
        std::fs::write(path.join("config"), format!("{config}parent={place}\n")).expect("written");
        Repo::open(&path, &limits()).map(drop)
    };
    let itself = parent(path.to_str().expect("text")).expect_err("it is its own parent");
    assert!(matches!(itself, Error::Repo(RepoError::Parents { .. })), "{itself}");
    assert_eq!(itself.kind(), Outcome::Limit);
    let missing = parent("/nowhere/at/all").expect_err("there is none");
    assert!(matches!(missing, Error::Repo(RepoError::BadParent { .. })), "{missing}");
    assert_eq!(missing.kind(), Outcome::NotFound);
    parent("").expect("none");
}
