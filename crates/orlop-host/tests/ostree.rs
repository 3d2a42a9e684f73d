//! Repositories of the real `ostree`, and ours before it.

use orlop_fs::{Dir, FileKind};
use orlop_host::ostree::checkout::{
    CheckedOut, CheckoutOptions, Existing, Link, Owners, Whiteouts, checkout,
};
use orlop_host::ostree::commit::{FolderOptions, write_folder};
use orlop_host::ostree::flavour::{Attributes, Flavour};
use orlop_host::ostree::repo::{Mode, Repo};
use orlop_host::ostree::{Commit, Dict, DirMeta, DirTree, Kind, ObjectId, RefSpec};
use orlop_layer::TreePath;
use orlop_layer::tree::InodeKind;
use orlop_spec::{Cancel, Context, Limits};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use testkit::dump::{Aspect, differences, dump};
use testkit::peer::{Peer, peer};
use testkit::proof;
use testkit::torture::{self, Power};

const MODES: [Mode; 4] = [Mode::Archive, Mode::Bare, Mode::BareUser, Mode::BareUserOnly];

fn with<T>(work: impl FnOnce(&Context<'_>) -> T) -> T {
    let (cancel, limits) = (Cancel::new(), Limits::default());
    let workers = NonZeroUsize::new(3).expect("some");
    work(&Context { observer: &(), cancel: &cancel, limits: &limits, workers })
}

fn power() -> Power {
    if testkit::is_root() { Power::Root } else { Power::User }
}

/// The real tool; without it the proof is skipped.
fn ostree(proof: &str) -> Option<Peer> {
    let found = peer("ostree");
    if found.is_none() {
        proof::skipped(proof, "ostree is not installed");
    }
    found
}

/// The modes that whoever runs the tests may write.
fn modes() -> impl Iterator<Item = Mode> {
    MODES.into_iter().filter(|mode| *mode != Mode::Bare || testkit::is_root())
}

/// Commits a folder with our code.
fn commit(repo: &Path, mode: Mode, folder: &Path, options: FolderOptions<'_>) -> ObjectId {
    with(|cx| {
        let repo = Repo::create(repo, mode, cx.limits).expect("made");
        let transaction = repo.begin(cx).expect("begun");
        let written =
            write_folder(cx, &transaction, &Dir::open(folder).expect("a folder"), options).expect("written");
        let commit = Commit {
            metadata: Dict::new(),
            parent: None,
            related: Vec::new(),
            subject: "subject".into(),
            body: "body\nof it".into(),
            time: 1_234_567_890,
            tree: written.root.tree,
            meta: written.root.meta,
        };
        let id = transaction.put(Kind::Commit, &commit.to_bytes()).expect("put");
        transaction.set_ref(&"os/stable".parse::<RefSpec>().expect("a ref"), Some(&id));
        transaction.finish().expect("published");
        id
    })
}

/// Commits a folder with the real tool.
fn commit_really(ostree: &Peer, repo: &Path, mode: Mode, folder: &Path, more: &[&str]) -> ObjectId {
    let at = format!("--repo={}", repo.display());
    ostree.command().args(["init", &at, &format!("--mode={mode}")]).ok();
    let fixed = ["commit", &at, "-b", "os/stable", "-s", "subject", "-m", "body\nof it", "--no-bindings"];
    let time = "--timestamp=@1234567890";
    let done = ostree.command().args(fixed).arg(time).args(more).arg(folder).ok();
    done.out().trim().parse().expect("an id")
}

fn fsck(ostree: &Peer, repo: &Path) {
    let done = ostree.command().args(["fsck", "-q", &format!("--repo={}", repo.display())]).run();
    assert!(done.success(), "{}{}", done.out(), done.err());
}

/// Everything that no commit can hold goes, and what no layer can.
fn only_what_ostree_holds(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("listed") {
        let (path, kind) =
            entry.map(|entry| (entry.path(), entry.file_type().expect("asked"))).expect("listed");
        let is_odd = kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket();
        let target = path.read_link().unwrap_or_default();
        let is_text = path.to_str().is_some() && std::str::from_utf8(target.as_os_str().as_bytes()).is_ok();
        let is_reserved = entry_name(&path).starts_with(b".wh.");
        let is_text = is_text && !is_reserved;
        if is_odd || (!is_text && !kind.is_dir()) {
            std::fs::remove_file(&path).expect("removed");
        } else if !is_text {
            std::fs::remove_dir_all(&path).expect("removed");
        } else if kind.is_dir() {
            only_what_ostree_holds(&path);
        }
    }
}

fn entry_name(path: &Path) -> &[u8] {
    path.file_name().map(std::os::unix::ffi::OsStrExt::as_bytes).unwrap_or_default()
}

/// A tree of what `seed` gives.
fn random_tree(root: &Path, seed: u64) {
    let noise = testkit::noise::noise(seed, 4096);
    let mut numbers = noise.iter().map(|byte| usize::from(*byte)).cycle();
    let mut next = |below: usize| numbers.next().expect("without end") % below;
    let mut folders = vec![root.to_path_buf()];
    std::fs::create_dir_all(root).expect("made");
    for number in 0..120 {
        let folder = folders[next(folders.len())].clone();
        let name = format!("{}{number}", ["a", "B", "é", "z.z", "-", "Ω x"][next(6)]);
        let path = folder.join(name);
        match next(8) {
            0 | 1 => {
                std::fs::create_dir(&path).expect("made");
                folders.push(path);
                continue;
            }
            2 => std::os::unix::fs::symlink(["/", "../é", "a b", "x/y/z"][next(4)], &path).expect("linked"),
            3 => std::fs::write(&path, "").expect("written"),
            4 => std::fs::write(&path, testkit::noise::noise(seed ^ number, 1_048_500 + 77 * next(4)))
                .expect("written"),
            _ => std::fs::write(&path, vec![b'x'; next(256) * next(256)]).expect("written"),
        }
        if !path.is_symlink() {
            let modes = [0o644, 0o755, 0o600, 0o4755, 0o2711, 0o666, 0o400, 0o777];
            let mode = std::fs::Permissions::from_mode(modes[next(modes.len())]);
            std::fs::set_permissions(&path, mode).expect("set");
        }
    }
    for (number, folder) in folders.iter().enumerate().skip(1) {
        let mode = std::fs::Permissions::from_mode([0o755, 0o700, 0o1777, 0o2775][number % 4]);
        std::fs::set_permissions(folder, mode).expect("set");
    }
}

#[test]
fn the_real_tool_gives_the_same_ids_and_finds_no_fault() {
    let proof = "ostree: the same ids as libostree, fsck clean, in every mode";
    let Some(ostree) = ostree(proof) else { return };
    let scratch = testkit::scratch::scratch_in_memory();
    torture::make(&scratch.path("torture"), power());
    only_what_ostree_holds(&scratch.path("torture"));
    let mut trees = vec!["torture".to_owned()];
    for seed in 0..if testkit::full() { 40 } else { 2 } {
        let name = format!("random{seed}");
        random_tree(&scratch.path(&name), seed);
        trees.push(name);
    }
    let mut cases = 0;
    for tree in &trees {
        for mode in modes() {
            let (ours, theirs) = (scratch.path("ours"), scratch.path("theirs"));
            let id = commit(&ours, mode, &scratch.path(tree), FolderOptions::default());
            let expected = commit_really(&ostree, &theirs, mode, &scratch.path(tree), &[]);
            if id != expected {
                let list = |repo: &Path| {
                    let at = format!("--repo={}", repo.display());
                    ostree.command().args(["ls", &at, "-R", "-C", "-X", "os/stable"]).run().out()
                };
                let (ours, theirs) = (list(&ours), list(&theirs));
                let is_file = |line: &str| !line.starts_with('d');
                let differ =
                    ours.lines().zip(theirs.lines()).find(|(one, other)| one != other && is_file(one));
                panic!("{tree}, {mode}: {id} is not {expected}: {differ:#?}");
            }
            fsck(&ostree, &ours);
            for repo in [&ours, &theirs] {
                std::fs::remove_dir_all(repo).expect("removed");
            }
            cases += 1;
        }
    }
    proof::ran(proof, cases);
}

#[test]
fn options_of_the_real_tool_give_the_same_ids() {
    let proof = "ostree: owners, attributes and canonical permissions as libostree takes them";
    let Some(ostree) = ostree(proof) else { return };
    let scratch = testkit::scratch::scratch_in_memory();
    torture::make(&scratch.path("tree"), power());
    only_what_ostree_holds(&scratch.path("tree"));
    let owned = Flavour { uid: Some(7), gid: Some(8), ..Flavour::EXACT };
    let bare = Flavour { attributes: Attributes::Drop, ..Flavour::EXACT };
    let cases = [
        (owned, &["--owner-uid=7", "--owner-gid=8"][..]),
        (bare, &["--no-xattrs"][..]),
        (Flavour::CANONICAL, &["--canonical-permissions"][..]),
    ];
    for (number, (flavour, words)) in cases.iter().enumerate() {
        let path = |who: &str| scratch.path(&format!("{who}{number}"));
        let options = FolderOptions { flavour: *flavour, ..FolderOptions::default() };
        let id = commit(&path("ours"), Mode::Archive, &scratch.path("tree"), options);
        let expected = commit_really(&ostree, &path("theirs"), Mode::Archive, &scratch.path("tree"), words);
        assert_eq!(id, expected, "{words:?}");
    }
    proof::ran(proof, cases.len());
}

#[test]
fn what_the_real_tool_wrote_is_read() {
    let proof = "ostree: repositories of libostree are read, in every mode";
    let Some(ostree) = ostree(proof) else { return };
    let scratch = testkit::scratch::scratch_in_memory();
    let tree = scratch.path("tree");
    torture::make(&tree, power());
    random_tree(&tree.join("random"), 5);
    only_what_ostree_holds(&tree);
    let mut cases = 0;
    for mode in modes() {
        let at = scratch.path(mode.word());
        let id = commit_really(&ostree, &at, mode, &tree, &[]);
        with(|cx| {
            let repo = Repo::open(&at, cx.limits).expect("a repository");
            assert_eq!(repo.resolve("os/stable").expect("a ref"), id);
            let found = repo.tree(cx, &id, &TreePath::root()).expect("a tree");
            for (path, inode) in found.tree.walk() {
                let file = tree.join(std::path::PathBuf::from(std::ffi::OsStr::from_bytes(path.as_bytes())));
                let is = std::fs::symlink_metadata(&file).expect("there");
                match &found.tree.inode(inode).kind {
                    InodeKind::File(content) => {
                        let id = found.files[content.ordinal as usize];
                        let bytes = repo.file(&id).and_then(|file| file.content(1 << 30)).expect("proven");
                        assert!(bytes == std::fs::read(&file).expect("readable"), "{mode}: {path}");
                    }
                    InodeKind::Symlink(target) => {
                        let there = file.read_link().expect("a link");
                        assert_eq!(&**target, there.as_os_str().as_bytes());
                    }
                    other => assert!(is.is_dir(), "{path}: {other:?}"),
                }
                if mode != Mode::BareUserOnly && !is.is_symlink() {
                    let mode_of = u32::from(found.tree.inode(inode).meta.mode);
                    assert_eq!(mode_of, is.permissions().mode() & 0o7777, "{mode}: {path}");
                }
                cases += 1;
            }
        });
    }
    proof::ran(proof, cases);
}

#[test]
fn what_ostree_cannot_hold_is_left_out_and_told() {
    let scratch = testkit::scratch::scratch_in_memory();
    scratch.folder("tree");
    scratch.file("tree/a", "content");
    let listener = std::os::unix::net::UnixListener::bind(scratch.path("tree/socket")).expect("made");
    let odd = std::ffi::OsStr::from_bytes(b"\xff");
    std::fs::write(scratch.path("tree").join(odd), "").expect("written");
    with(|cx| {
        let repo = Repo::create(&scratch.path("repo"), Mode::Archive, cx.limits).expect("made");
        let transaction = repo.begin(cx).expect("begun");
        let folder = Dir::open(scratch.path("tree")).expect("a folder");
        let written = write_folder(cx, &transaction, &folder, FolderOptions::default()).expect("written");
        let told: Vec<_> = written.losses.iter().map(|(kind, loss)| (kind.word(), loss.count)).collect();
        assert_eq!(told, [("socket", 1), ("name", 1)]);
        transaction.finish().expect("published");
        assert_eq!(repo.dirtree(&written.root.tree).expect("there").files.len(), 1);
    });
    drop(listener);
}

#[test]
fn what_is_left_out_or_changed_by_path_is_so_beneath() {
    use orlop_host::ostree::commit::Take;
    let scratch = testkit::scratch::scratch_in_memory();
    for (folder, file) in [("tree/keep", "tree/keep/a"), ("tree/drop", "tree/drop/b")] {
        scratch.folder(folder);
        scratch.file(file, "content");
    }
    let adjust = |path: &[u8], kind: FileKind, meta: &mut orlop_layer::Meta| {
        if kind == FileKind::File {
            meta.mode = 0o4711;
        }
        if path == b"drop" { Take::No } else { Take::Yes }
    };
    let options = FolderOptions { adjust: Some(&adjust), ..FolderOptions::default() };
    let id = commit(&scratch.path("repo"), Mode::Archive, &scratch.path("tree"), options);
    with(|cx| {
        let repo = Repo::open(&scratch.path("repo"), cx.limits).expect("a repository");
        let found = repo.tree(cx, &id, &TreePath::root()).expect("a tree");
        let names: Vec<_> = found.tree.walk().map(|(path, _)| path.to_string()).collect();
        assert_eq!(names, ["/", "keep", "keep/a"]);
        let file = found.tree.locate(b"keep/a").expect("there");
        assert_eq!(found.tree.inode(file).meta.mode, 0o4711);
        let keep = TreePath::parse(b"keep").expect("a path");
        assert_eq!(repo.tree(cx, &id, &keep).expect("a folder").tree.len(), 2);
        let nothing = TreePath::parse(b"keep/none").expect("a path");
        repo.tree(cx, &id, &nothing).expect_err("no such folder");
    });
}

/// Checks out with our code.
fn check_out(repo: &Path, target: &Path, options: CheckoutOptions) -> Result<CheckedOut, orlop_host::Error> {
    with(|cx| {
        let repo = Repo::open(repo, cx.limits).expect("a repository");
        let id = repo.resolve("os/stable").expect("a ref");
        checkout(cx, &repo, &id, &TreePath::root(), target, &options)
    })
}

#[test]
fn a_checkout_is_that_of_the_real_tool() {
    let proof = "ostree: checkouts equal those of libostree";
    let Some(ostree) = ostree(proof) else { return };
    let scratch = testkit::scratch::scratch_in_memory();
    let tree = scratch.path("tree");
    torture::make(&tree, power());
    random_tree(&tree.join("random"), 3);
    only_what_ostree_holds(&tree);
    let cases = [
        (CheckoutOptions::default(), &[][..]),
        (CheckoutOptions { owners: Owners::User, ..CheckoutOptions::default() }, &["-U"][..]),
        (CheckoutOptions { link: Link::Never, ..CheckoutOptions::default() }, &["-C"][..]),
    ];
    let mut count = 0;
    for mode in modes() {
        let repo = scratch.path(mode.word());
        commit(&repo, mode, &tree, FolderOptions::default());
        for (options, words) in &cases {
            let (ours, theirs) = (scratch.path("ours"), scratch.path("theirs"));
            let done = check_out(&repo, &ours, *options).expect("checked out");
            let at = format!("--repo={}", repo.display());
            ostree.command().args(["checkout", &at]).args(*words).arg("os/stable").arg(&theirs).ok();
            let differences =
                differences(&dump(&ours), &dump(&theirs), &[Aspect::Time, Aspect::Holes, Aspect::Links]);
            // The real tool gives files that it shares with a repository of `bare-user` that mode's attribute.
            let is_shared = mode == Mode::BareUser && options.owners == Owners::User;
            let differences: Vec<_> = differences
                .iter()
                .filter(|found| !is_shared || found.aspect != Some(Aspect::Xattrs))
                .collect();
            assert!(differences.is_empty(), "{mode}, {words:?}: {differences:#?}");
            assert!(done.folders > 1 && done.linked + done.copied > 1);
            for target in [&ours, &theirs] {
                std::fs::remove_dir_all(target).expect("removed");
            }
            count += 1;
        }
    }
    proof::ran(proof, count);
}

#[test]
fn layers_over_layers_are_those_of_the_real_tool() {
    let proof = "ostree: checkouts over checkouts, whiteouts applied, equal those of libostree";
    let Some(ostree) = ostree(proof) else { return };
    let scratch = testkit::scratch::scratch_in_memory();
    for (file, content) in [
        ("lower/a", "a"),
        ("lower/b", "b"),
        ("lower/d/x", "x"),
        ("lower/d/e/y", "y"),
        ("lower/k", "k"),
        ("upper/.wh.a", ""),
        ("upper/b", "new"),
        ("upper/d/.wh..wh..opq", ""),
        ("upper/d/z", "z"),
        ("upper/.wh.none", ""),
        ("upper/n/f", "f"),
    ] {
        std::fs::create_dir_all(scratch.path(file).parent().expect("a folder")).expect("made");
        std::fs::write(scratch.path(file), content).expect("written");
    }
    for layer in ["lower", "upper"] {
        commit(
            &scratch.path(&format!("{layer}.repo")),
            Mode::Archive,
            &scratch.path(layer),
            FolderOptions::default(),
        );
    }
    let options = CheckoutOptions {
        existing: Existing::Overwrite,
        whiteouts: Whiteouts::Apply,
        ..CheckoutOptions::default()
    };
    for layer in ["lower", "upper"] {
        let repo = scratch.path(&format!("{layer}.repo"));
        check_out(&repo, &scratch.path("ours"), options).expect("checked out");
        let at = format!("--repo={}", repo.display());
        let words = ["checkout", &at, "--union", "--whiteouts", "os/stable"];
        ostree.command().args(words).arg(scratch.path("theirs")).ok();
    }
    let (ours, theirs) = (dump(&scratch.path("ours")), dump(&scratch.path("theirs")));
    assert_eq!(differences(&ours, &theirs, &[Aspect::Time, Aspect::Holes, Aspect::Links]), []);
    let names: Vec<_> = ours.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    assert_eq!(names, [".", "b", "d", "d/z", "k", "n", "n/f"]);
    proof::ran(proof, 2);
}

#[test]
fn what_is_in_the_way_of_a_checkout_decides_as_asked() {
    let scratch = testkit::scratch::scratch_in_memory();
    scratch.folder("tree");
    scratch.file("tree/f", "of the commit");
    commit(&scratch.path("repo"), Mode::Archive, &scratch.path("tree"), FolderOptions::default());
    let target = scratch.folder("target");
    let file = scratch.file("target/f", "other");
    let run = |existing| {
        let options = CheckoutOptions { existing, owners: Owners::User, ..CheckoutOptions::default() };
        check_out(&scratch.path("repo"), &target, options)
    };
    let content = || std::fs::read_to_string(&file).expect("readable");
    run(Existing::Refuse).expect_err("there is something");
    run(Existing::Identical).expect_err("there is something else");
    run(Existing::Keep).expect("kept");
    assert_eq!(content(), "other");
    run(Existing::Overwrite).expect("replaced");
    assert_eq!(content(), "of the commit");
    run(Existing::Identical).expect("the same");
    let linked = CheckoutOptions { link: Link::Require, ..CheckoutOptions::default() };
    check_out(&scratch.path("repo"), &scratch.path("new"), linked)
        .expect_err("an archive has nothing to link");
}

#[test]
fn a_checkout_of_damaged_objects_leaves_nothing() {
    let scratch = testkit::scratch::scratch_in_memory();
    scratch.folder("tree");
    scratch.file("tree/f", "content that will be damaged");
    commit(&scratch.path("repo"), Mode::BareUser, &scratch.path("tree"), FolderOptions::default());
    let objects =
        with(|cx| Repo::open(&scratch.path("repo"), cx.limits)?.list(&[Kind::File])).expect("listed");
    let object = objects[0];
    let path = format!("repo/objects/{}/{}.file", object.id.folder(), object.id.rest());
    std::fs::write(scratch.path(&path), "content that was a damaged one").expect("written");
    let options = CheckoutOptions { link: Link::Never, ..CheckoutOptions::default() };
    let error = check_out(&scratch.path("repo"), &scratch.path("new"), options).expect_err("damaged");
    assert!(error.to_string().contains(&object.id.to_string()), "{error}");
    assert!(!scratch.path("new").exists());
}

/// Puts a commit whose root is made by hand.
fn odd_commit(
    repo: &Repo,
    make: impl FnOnce(&orlop_host::ostree::Transaction<'_>, ObjectId) -> ObjectId,
) -> ObjectId {
    with(|cx| {
        let transaction = repo.begin(cx).expect("begun");
        let meta = DirMeta { uid: 0, gid: 0, mode: 0o040_755, xattrs: orlop_layer::Xattrs::new() };
        let meta = transaction.put(Kind::DirMeta, &meta.to_bytes()).expect("put");
        let tree = make(&transaction, meta);
        let (subject, body) = (String::new(), String::new());
        let commit = Commit {
            metadata: Dict::new(),
            parent: None,
            related: vec![],
            subject,
            body,
            time: 0,
            tree,
            meta,
        };
        let id = transaction.put(Kind::Commit, &commit.to_bytes()).expect("put");
        transaction.finish().expect("published");
        id
    })
}

/// Folders that hold the one beneath under two names each: 2^64 paths in 64 objects.
#[test]
fn d1_a_commit_of_more_paths_than_objects_is_bounded() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = Repo::create(&scratch.path("repo"), Mode::Archive, &Limits::default()).expect("made");
    let id = odd_commit(&repo, |transaction, meta| {
        (0..64).fold(DirTree::default().id(), |below, _| {
            transaction.put(Kind::DirTree, &DirTree::default().to_bytes()).expect("put");
            let folders = vec![("a".into(), below, meta), ("b".into(), below, meta)];
            transaction.put(Kind::DirTree, &DirTree { files: vec![], folders }.to_bytes()).expect("put")
        })
    });
    let (cancel, limits) = (Cancel::new(), Limits { entries: 10_000, ..Limits::default() });
    let cx = Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN };
    let error = repo.tree(&cx, &id, &TreePath::root()).expect_err("bounded");
    assert_eq!(orlop_spec::Diagnose::kind(&error), orlop_spec::Kind::Limit, "{error}");
    let target = scratch.path("out");
    checkout(&cx, &repo, &id, &TreePath::root(), &target, &CheckoutOptions::default()).expect_err("bounded");
    assert!(!target.exists());
    assert_eq!(repo.reach(&cx, &id).expect("few objects").len(), 67);
}

#[test]
fn d1_a_commit_that_is_nested_too_deeply_is_refused() {
    let scratch = testkit::scratch::scratch_in_memory();
    let repo = Repo::create(&scratch.path("repo"), Mode::Archive, &Limits::default()).expect("made");
    let nested = |depth: usize| {
        odd_commit(&repo, |transaction, meta| {
            let bottom = transaction.put(Kind::DirTree, &DirTree::default().to_bytes()).expect("put");
            (0..depth).fold(bottom, |below, _| {
                let folders = vec![("a".into(), below, meta)];
                transaction.put(Kind::DirTree, &DirTree { files: vec![], folders }.to_bytes()).expect("put")
            })
        })
    };
    let read = |id: &ObjectId| with(|cx| repo.tree(cx, id, &TreePath::root()).map(|found| found.tree.len()));
    assert_eq!(read(&nested(255)).expect("as deep as it may be"), 256);
    let error = read(&nested(256)).expect_err("too deep");
    assert_eq!(orlop_spec::Diagnose::kind(&error), orlop_spec::Kind::Limit, "{error}");
}
