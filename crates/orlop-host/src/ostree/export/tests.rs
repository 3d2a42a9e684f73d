//! Laws of commits as files.

use super::*;
use crate::ostree::id::Kind as Objects;
use crate::ostree::object::{DirMeta, DirTree, FileHeader, LINK, REGULAR};
use crate::ostree::repo::{Mode, Transaction};
use crate::ostree::variant::Dict;
use orlop_layer::Xattrs;
use orlop_spec::{Cancel, Context, Limits};
use std::num::NonZeroUsize;
use testkit::scratch::scratch_in_memory;
use testkit::{Scratch, scratch};

fn header(mode: u32, target: &str) -> FileHeader {
    FileHeader { uid: 3, gid: 4, mode, target: target.into(), xattrs: Xattrs::new() }
}

/// A repository with what `fill` puts there.
fn repo(
    scratch: &Scratch,
    limits: &Limits,
    fill: impl FnOnce(&Transaction<'_>) -> Folder,
) -> (Arc<Repo>, Commit) {
    let repo = Repo::create(&scratch.path("repo"), Mode::Archive, limits).expect("made");
    let cancel = Cancel::new();
    let workers = NonZeroUsize::new(2).expect("some");
    let transaction =
        repo.begin(&Context { observer: &(), cancel: &cancel, limits, workers }).expect("begun");
    let commit = commit(fill(&transaction));
    transaction.put(Objects::Commit, &commit.to_bytes()).expect("put");
    transaction.finish().expect("whole");
    (Arc::new(repo), commit)
}

/// Those below a folder, by two threads where contents are read.
fn entries(repo: &Arc<Repo>, root: Folder, time: Time) -> CommitEntries {
    CommitEntries::new(Arc::clone(repo), root, time, NonZeroUsize::new(2).expect("some"))
}

fn root(commit: &Commit) -> Folder {
    Folder { tree: commit.tree, meta: commit.meta }
}

fn put_folder(to: &Transaction<'_>, files: Vec<(&str, ObjectId)>, folders: Vec<(&str, Folder)>) -> Folder {
    let files = files.into_iter().map(|(name, id)| (name.into(), id)).collect();
    let folders = folders.into_iter().map(|(name, it)| (name.into(), it.tree, it.meta)).collect();
    let meta = DirMeta { uid: 1, gid: 2, mode: 0o040_750, xattrs: Xattrs::new() };
    let tree = to.put(Objects::DirTree, &DirTree { files, folders }.to_bytes()).expect("put");
    Folder { tree, meta: to.put(Objects::DirMeta, &meta.to_bytes()).expect("put") }
}

fn commit(root: Folder) -> Commit {
    let (subject, body) = (String::new(), String::new());
    let (metadata, related) = (Dict::new(), Vec::new());
    Commit { metadata, parent: None, related, subject, body, time: 7, tree: root.tree, meta: root.meta }
}

/// Reads everything; paths, sizes, and what is in the files.
fn read(entries: &mut CommitEntries) -> Result<Vec<(String, Vec<u8>)>, LayerError> {
    let mut all = Vec::new();
    while let Some(entry) = entries.next_entry()? {
        assert_eq!(entry.meta.mtime, Time::from_seconds(7));
        let mut content = Vec::new();
        while let Some(Chunk::Data(bytes)) = entries.next_chunk()? {
            content.extend_from_slice(bytes);
        }
        all.push((entry.path.to_string(), content));
    }
    Ok(all)
}

#[test]
fn a_commit_is_its_files_in_the_order_of_a_canonical_tar() {
    let (scratch, limits) = (scratch(), Limits::default());
    let large = vec![7; PIECE * 2 + 5];
    let (repo, commit) = repo(&scratch, &limits, |to| {
        let file = to.put_file(&header(REGULAR | 0o640, ""), &large).expect("put");
        let small = to.put_file(&header(REGULAR | 0o640, ""), b"small").expect("put");
        let link = to.link(&header(LINK | 0o777, "../x")).expect("put");
        let inner = put_folder(to, vec![("file", small)], vec![]);
        put_folder(to, vec![("b", link), ("z", file)], vec![("a", inner), ("a.b", inner)])
    });
    let all = read(&mut entries(&repo, root(&commit), time(&commit))).expect("whole");
    let all: Vec<(&str, &[u8])> = all.iter().map(|(path, content)| (&**path, &**content)).collect();
    let (empty, small) = (&b""[..], &b"small"[..]);
    assert_eq!(
        all,
        [
            ("/", empty),
            ("a", empty),
            ("a/file", small),
            ("a.b", empty),
            ("a.b/file", small),
            ("b", empty),
            ("z", &large)
        ]
    );
    let path = TreePath::parse(b"a").expect("a path");
    let folder = folder(&repo, &commit, &path).expect("there");
    let all = read(&mut entries(&repo, folder, time(&commit))).expect("whole");
    assert_eq!(all.len(), 2);
    assert!(super::folder(&repo, &commit, &TreePath::parse(b"z").expect("a path")).is_err(), "a file");
}

#[test]
fn a_few_objects_that_mean_a_tree_without_end_are_stopped() {
    let limits = Limits { entries: 5000, depth: 100, ..Limits::default() };
    let grow = |to: &Transaction<'_>, depth: usize, names: &[&str]| {
        let leaf = put_folder(to, vec![], vec![]);
        let twice =
            |inner: Folder, _| put_folder(to, vec![], names.iter().map(|name| (*name, inner)).collect());
        (0..depth).fold(leaf, twice)
    };
    let of_many = scratch();
    let (wide, commit) = repo(&of_many, &limits, |to| grow(to, 60, &["a", "b"]));
    let mut endless = entries(&wide, root(&commit), time(&commit));
    for _ in 0..5000 {
        assert!(endless.next_entry().expect("within the limit").is_some());
    }
    let error = endless.next_entry().expect_err("two to the sixty");
    assert!(matches!(error, LayerError::Limit { limit: 5000, .. }), "{error}");
    let of_deep = scratch();
    let (deep, commit) = repo(&of_deep, &limits, |to| grow(to, 200, &["a"]));
    let error = read(&mut entries(&deep, root(&commit), time(&commit))).expect_err("too deep");
    assert!(error.to_string().len() > 5 && Fault::from(error).kind() == orlop_spec::Kind::Limit);
}

#[test]
fn a_flipped_bit_in_a_content_is_named() {
    let (scratch, limits) = (scratch(), Limits::default());
    let mut id = None;
    let (repo, commit) = repo(&scratch, &limits, |to| {
        let content: Vec<u8> =
            (0..5000_u32).map(|n| u8::try_from(n * n / 7 % 251).expect("less than 251")).collect();
        let file = to.put_file(&header(REGULAR | 0o640, ""), &content).expect("put");
        id = Some(file);
        put_folder(to, vec![("file", file)], vec![])
    });
    let id = id.expect("put");
    let place = scratch.path("repo/objects").join(id.folder()).join(format!("{}.filez", id.rest()));
    let mut bytes = std::fs::read(&place).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&place).expect("there");
    std::fs::write(&place, bytes).expect("written");
    let error = read(&mut entries(&repo, root(&commit), time(&commit))).err();
    let fault = Fault::from(error.expect("damaged"));
    assert_eq!(fault.kind(), orlop_spec::Kind::Integrity);
    assert!(format!("{fault:?}").contains(&id.to_string()), "{fault:?}");
}

#[test]
fn a_subpath_begins_with_a_slash() {
    let split = |text| split_subpath(text).map(|(name, path)| (name.to_owned(), path.to_string())).ok();
    assert_eq!(split("origin:a/b"), Some(("origin:a/b".into(), "/".into())));
    assert_eq!(split("a:/usr/lib"), Some(("a".into(), "usr/lib".into())));
    assert_eq!(split("origin:a:/"), Some(("origin:a".into(), "/".into())));
    assert_eq!(split("a:/usr/lib/"), Some(("a".into(), "usr/lib".into())));
    assert_eq!(split("a:/usr//lib"), None);
    assert_eq!(split("a:/usr//"), None);
    assert_eq!(split("a://"), None);
    assert_eq!(split("a:/../lib"), None);
}

/// Small and large files, of which some are the same, and folders between them.
fn many(to: &Transaction<'_>) -> Folder {
    let file = |number: u64| {
        let size =
            if number.is_multiple_of(40) { 600_000 } else { usize::try_from(number * 17).expect("small") };
        to.put_file(&header(REGULAR | 0o644, ""), &testkit::noise(number % 90, size)).expect("put")
    };
    let names: Vec<String> = (0..200).map(|number| format!("f{number:03}")).collect();
    let files = (0..).zip(&names).map(|(number, name)| (name.as_str(), file(number))).collect();
    let inner = put_folder(to, vec![("z", file(7))], vec![]);
    put_folder(to, files, vec![("a", inner), ("f100.d", inner), ("z", inner)])
}

#[test]
fn any_number_of_threads_reads_the_same() {
    let (scratch, limits) = (scratch_in_memory(), Limits::default());
    let (repo, commit) = repo(&scratch, &limits, many);
    let by = |workers| {
        let workers = NonZeroUsize::new(workers).expect("some");
        let mut entries = CommitEntries::new(Arc::clone(&repo), root(&commit), time(&commit), workers);
        let all = read(&mut entries).expect("whole");
        assert_eq!(entries.ahead.is_some(), workers.get() > 1);
        all
    };
    let alone = by(1);
    assert_eq!(alone.len(), 1 + 200 + 6);
    assert!(by(2) == alone && by(7) == alone);
}

#[test]
fn who_reads_no_contents_has_none_read() {
    let (scratch, limits) = (scratch_in_memory(), Limits::default());
    let (repo, commit) = repo(&scratch, &limits, many);
    let mut entries = entries(&repo, root(&commit), time(&commit));
    while entries.next_entry().expect("whole").is_some() {
        assert!(entries.walked.is_empty() && entries.ahead.is_none());
    }
}

/// What lies before a damaged file is given first, whoever met the damage.
#[test]
fn damage_is_met_in_its_place() {
    let (scratch, limits) = (scratch_in_memory(), Limits::default());
    let (repo, commit) = repo(&scratch, &limits, many);
    let tree = repo.dirtree(&commit.tree).expect("there");
    let id = tree.file("f150").expect("a file");
    std::fs::write(scratch.path(&format!("repo/objects/{}/{}.filez", id.folder(), id.rest())), "damaged")
        .expect("written");
    let mut entries = entries(&repo, root(&commit), time(&commit));
    let mut last = None;
    let error = loop {
        match entries.next_entry() {
            Ok(entry) => last = Some(entry.expect("the damage comes first").path.to_string()),
            Err(error) => break error,
        }
        while entries.next_chunk().expect("only one is damaged").is_some() {}
    };
    assert_eq!(last.as_deref(), Some("f149"));
    assert_eq!(Fault::from(error).kind(), orlop_spec::Kind::Integrity);
}
