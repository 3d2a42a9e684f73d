//! What the writing verbs of `orlop ostree` leave behind is what the real tool leaves behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use testkit::ostree::{ours, well};
use testkit::scratch::{self, scratch};
use testkit::{Peer, Scratch, orlop, proof};

const MODES: [&str; 4] = ["archive", "bare", "bare-user", "bare-user-only"];

/// Two folders that can lie over each other, and files that say what is left out or changed.
fn trees() -> Scratch {
    let scratch = scratch();
    for folder in ["t/d/e", "t/k", "u/d", "u/n"] {
        scratch.folder(folder);
    }
    let files =
        [("t/d/f", "x\n"), ("t/d/e/g", "y\n"), ("t/run", "#!\n"), ("u/d/f", "over\n"), ("u/n/1", "1\n")];
    for (name, content) in files {
        scratch.file(name, content);
    }
    symlink("f", scratch.path("t/d/l")).expect("a link");
    mode(&scratch, "t/k", 0o700);
    mode(&scratch, "t/run", 0o775);
    scratch.file("skip", "/d/e\n");
    scratch.file("modes", "2048 /run\n=384 /d/f\n");
    scratch.file("body", "a body\nof two lines\n");
    scratch
}

fn mode(scratch: &Scratch, name: &str, mode: u32) {
    fs::set_permissions(scratch.path(name), fs::Permissions::from_mode(mode)).expect("ours");
}

fn theirs(ostree: &Peer, folder: &Path, words: &[&str]) -> String {
    ostree.command().args(words).current_dir(folder).ok().out()
}

/// The files beneath a folder, with what they hold where that is told.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root).expect("beneath").display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Commits one after the other, each on the state that those before left.
const COMMITS: [&[&str]; 12] = [
    &["-b", "x/y", "-s", "s", "--timestamp=@5", "t"],
    &["-b", "x/y", "-s", "s", "-m", "b", "--timestamp=@6", "--add-metadata-string=k=v", "--tree=dir=t"],
    &["-b", "z", "--parent=none", "--timestamp=@6", "--no-bindings", "--owner-uid=3", "--owner-gid=4", "t"],
    &["--orphan", "--timestamp=@7", "--canonical-permissions", "t"],
    &["-b", "x/y", "--timestamp=@8", "--no-xattrs", "--bind-ref=zz", "--bind-ref=aa", "t"],
    &["-b", "x/y", "--timestamp=@9", "--tree=ref=x/y", "--tree=dir=u"],
    &["-b", "x/y", "--timestamp=@9", "--tree=dir=t", "--tree=dir=u"],
    &["-b", "x/y", "--timestamp=@9", "--skip-if-unchanged", "--tree=dir=t", "--tree=dir=u"],
    &["-b", "x/y", "--timestamp=@10", "--skip-list=skip", "--statoverride=modes", "t"],
    &["-b", "x/y", "--timestamp=@11", "--mode-ro-executables", "t"],
    &["-b", "x/y", "--timestamp=@12", "--keep-metadata=ostree.ref-binding", "--no-bindings", "t"],
    &["-b", "w", "--timestamp=@13", "-F", "body", "--add-detached-metadata-string=said=later", "t"],
];

#[test]
fn commits_have_the_ids_of_the_real_tool_in_every_mode() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: commits in every mode", "ostree is missing");
    };
    let scratch = trees();
    let root = scratch.root();
    for mode in MODES {
        let (a, b) = (format!("--repo=theirs-{mode}"), format!("--repo=ours-{mode}"));
        theirs(&ostree, root, &["init", &a, &format!("--mode={mode}")]);
        well(root, &["init", &b, &format!("--mode={mode}")]);
        for words in COMMITS {
            let expected = theirs(&ostree, root, &[&["commit", &a], words].concat());
            assert_eq!(well(root, &[&["commit", &b], words].concat()), expected, "{mode} {words:?}");
        }
        theirs(&ostree, root, &["fsck", &b, "--quiet"]);
        assert!(well(root, &["fsck", &a]).ends_with(": 0 damaged or missing\n"));
        let of = |repo: &str, part: &str| files(&root.join(repo).join(part));
        // What lay below another folder for a moment is not needed, and may be there.
        well(root, &["prune", &b]);
        theirs(&ostree, root, &["prune", &a]);
        for part in ["objects", "refs"] {
            assert_eq!(of(&format!("ours-{mode}"), part), of(&format!("theirs-{mode}"), part), "{mode}");
        }
    }
    proof::ran("ostree: commits in every mode", MODES.len() * COMMITS.len());
}

#[test]
fn prune_removes_what_the_real_tool_removes() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: prune", "ostree is missing");
    };
    let scratch = trees();
    let root = scratch.root();
    theirs(&ostree, root, &["init", "--repo=all", "--mode=archive"]);
    for words in COMMITS {
        theirs(&ostree, root, &[&["commit", "--repo=all"], words].concat());
    }
    let cases: [&[&str]; 7] = [
        &["--no-prune"],
        &["--no-prune", "--refs-only"],
        &["--refs-only"],
        &["--refs-only", "--depth=0"],
        &["--refs-only", "--depth=1"],
        &["--refs-only", "--keep-younger-than=@10"],
        &["--depth=0"],
    ];
    let copy = |to: &str| {
        scratch::remove(&root.join(to));
        testkit::Command::new("cp").args(["-a", "all", to]).current_dir(root).ok();
    };
    for words in cases {
        copy("a");
        copy("b");
        let counts = |out: String| out.split(',').next().unwrap_or_default().to_owned();
        let expected = counts(theirs(&ostree, root, &[&["prune", "--repo=a"], words].concat()));
        assert_eq!(counts(well(root, &[&["prune", "--repo=b"], words].concat())), expected, "{words:?}");
        assert_eq!(files(&root.join("b/objects")), files(&root.join("a/objects")), "{words:?}");
        theirs(&ostree, root, &["fsck", "--repo=b", "--quiet"]);
    }
    copy("b");
    let named = ours(root, &["prune", "--repo=b", "--delete-commit=z"]);
    assert_eq!(named.code(), Some(1));
    assert!(named.err().contains("the ref `z` leads to the commit"), "{}", named.err());
    let orphan = theirs(&ostree, root, &["commit", "--repo=b", "--orphan", "--timestamp=@20", "u"]);
    well(root, &["prune", "--repo=b", &format!("--delete-commit={}", orphan.trim())]);
    assert_eq!(ours(root, &["show", "--repo=b", orphan.trim()]).code(), Some(2));
    proof::ran("ostree: prune", cases.len() + 2);
}

/// Killed before each of its file operations, it leaves commits that are whole, and all refs.
#[test]
fn a_killed_prune_leaves_whole_commits() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: prune killed at every file operation", "ostree is missing");
    };
    let scratch = trees();
    let root = scratch.root();
    theirs(&ostree, root, &["init", "--repo=all", "--mode=archive"]);
    for words in &COMMITS[..5] {
        theirs(&ostree, root, &[&["commit", "--repo=all"], *words].concat());
    }
    let refs = files(&root.join("all/refs"));
    let words = ["ostree", "prune", "--repo=b", "--refs-only", "--depth=0", "--progress=none"];
    let mut kills = 0;
    loop {
        scratch::remove(&root.join("b"));
        testkit::Command::new("cp").args(["-a", "all", "b"]).current_dir(root).ok();
        let fault = format!("kill:{}", kills + 1);
        let done = orlop().args(words).env("ORLOP_FAULT", &fault).current_dir(root).run();
        if done.success() {
            break;
        }
        assert_eq!(done.signal(), Some(9), "{}", done.err());
        theirs(&ostree, root, &["fsck", "--repo=b", "--quiet"]);
        assert_eq!(files(&root.join("b/refs")), refs);
        kills += 1;
    }
    assert!(kills > 3, "only {kills} operations were killed");
    proof::ran("ostree: prune killed at every file operation", kills);
}

#[test]
fn fsck_names_what_is_wrong_and_who_needs_it() {
    let scratch = trees();
    let root = scratch.root();
    well(root, &["init", "--repo=r", "--mode=archive"]);
    well(root, &["commit", "--repo=r", "-b", "one", "--timestamp=@1", "t"]);
    well(root, &["commit", "--repo=r", "-b", "two", "--timestamp=@2", "u"]);
    let object = |name: &str, path: &str, ending: &str| {
        let line = well(root, &["ls", "--repo=r", "-d", "-C", name, path]);
        let id = line.split_whitespace().nth(4).expect("an id").to_owned();
        (
            format!("r/objects/{}/{}.{ending}", &id[..2], &id[2..]),
            format!("{id}.{}", ending.trim_end_matches('z')),
        )
    };
    let (flipped, damaged) = object("one", "/d/f", "filez");
    let mut bytes = fs::read(root.join(&flipped)).expect("an object");
    let last = bytes.len() - 2;
    bytes[last] ^= 4;
    fs::write(root.join(&flipped), bytes).expect("written");
    let (gone, missing) = object("two", "/n", "dirtree");
    fs::remove_file(root.join(gone)).expect("removed");
    fs::write(root.join("r/refs/heads/lost"), format!("{}\n", "0a".repeat(32))).expect("written");
    let done = ours(root, &["fsck", "--repo=r"]);
    assert_eq!(done.code(), Some(8), "{}", done.err());
    for line in [format!("damaged   {damaged}"), format!("missing   {missing}"), "dangling  lost".into()] {
        assert!(done.out().contains(&line), "{line}: {}", done.out());
    }
    let json = ours(root, &["fsck", "--repo=r", "--format=json"]).out();
    let found: serde_json::Value = serde_json::from_str(&json).expect("a document");
    let findings = found["findings"].as_array().expect("a list");
    let needed = |wrong: &str| findings.iter().find(|one| one["wrong"] == wrong).map(|one| &one["needed_by"]);
    assert_eq!(needed("damaged"), Some(&serde_json::json!(["one"])));
    assert_eq!(needed("missing"), Some(&serde_json::json!(["two"])));
}

#[test]
fn a_summary_says_what_the_real_tool_says() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: summary", "ostree is missing");
    };
    let scratch = trees();
    let root = scratch.root();
    well(root, &["init", "--repo=r", "--mode=archive"]);
    well(root, &["commit", "--repo=r", "-b", "b", "--timestamp=@1000", "t"]);
    well(root, &["commit", "--repo=r", "-b", "a/z", "--timestamp=@2000", "u"]);
    let lines = |words: &[&str]| -> Vec<String> {
        let out = theirs(&ostree, root, words);
        let mut lines: Vec<_> = out.lines().map(ToOwned::to_owned).collect();
        lines.retain(|line| !line.starts_with("Last-Modified"));
        lines.sort();
        lines
    };
    assert_eq!(ours(root, &["summary", "--repo=r", "--view"]).code(), Some(2));
    well(root, &["summary", "--repo=r", "--update"]);
    let first = fs::read(root.join("r/summary")).expect("a summary");
    let of_ours = lines(&["summary", "--repo=r", "--view"]);
    assert_eq!(
        well(root, &["summary", "--repo=r", "--raw"]),
        theirs(&ostree, root, &["summary", "--repo=r", "--raw"])
    );
    theirs(&ostree, root, &["summary", "--repo=r", "--update"]);
    assert_eq!(of_ours, lines(&["summary", "--repo=r", "--view"]));
    assert!(well(root, &["summary", "--repo=r", "--view"]).contains("* a/z\n"));
    fs::write(root.join("r/summary.sig"), "of another one").expect("written");
    well(root, &["summary", "--repo=r", "--update"]);
    assert_eq!(fs::read(root.join("r/summary")).expect("a summary"), first, "the present is not in it");
    assert!(!root.join("r/summary.sig").exists());
    proof::ran("ostree: summary", 4);
}

/// The same refs of collections in two repositories, whose summaries the two tools make.
#[test]
fn refs_of_collections_are_told_as_the_real_tool_tells_them() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: collections", "ostree is missing");
    };
    let scratch = trees();
    let root = scratch.root();
    for (number, own) in [&[][..], &["--collection-id=org.example.Own"]].into_iter().enumerate() {
        let (a, b) = (format!("a{number}"), format!("b{number}"));
        for repo in [&a, &b] {
            let place = format!("--repo={repo}");
            well(root, &[&["init", &place, "--mode=archive"], own].concat());
            well(root, &["commit", &place, "-b", "main", "--timestamp=@1000", "t"]);
            well(root, &["commit", &place, "-b", "app/x", "--timestamp=@2000", "u"]);
            let id = well(root, &["rev-parse", &place, "main"]);
            for name in
                ["mirrors/org.other.B/app/y", "mirrors/org.aaa.A/z", "remotes/of/r", "remotes/plain/p"]
            {
                let (folder, _) = name.rsplit_once('/').expect("beneath a folder");
                scratch.folder(&format!("{repo}/refs/{folder}"));
                scratch.file(&format!("{repo}/refs/{name}"), &id);
            }
            well(
                root,
                &["remote", "add", &place, "--set=collection-id=org.remote.C", "of", "http://h.example"],
            );
            well(root, &["remote", "add", &place, "plain", "http://h.example"]);
        }
        let (theirs_at, ours_at) = (format!("--repo={a}"), format!("--repo={b}"));
        theirs(&ostree, root, &["summary", &theirs_at, "--update"]);
        well(root, &["summary", &ours_at, "--update"]);
        let sorted = |text: String| {
            let mut lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
            lines.sort();
            lines
        };
        for words in [
            &["refs", "-c"][..],
            &["refs", "-c", "org.other.B"],
            &["refs", "--collections", "org.remote.C"],
            &["refs", "-c", "org.no.One"],
        ] {
            let expected = sorted(theirs(&ostree, root, &[&words[..1], &[&ours_at], &words[1..]].concat()));
            assert_eq!(
                sorted(well(root, &[&words[..1], &[&ours_at], &words[1..]].concat())),
                expected,
                "{words:?}"
            );
            assert_eq!(
                sorted(theirs(&ostree, root, &[&words[..1], &[&theirs_at], &words[1..]].concat())),
                expected
            );
        }
        // The present is in theirs: when it was made, and with it the commit that tells of the collection.
        let summary = |place: &str| {
            let mut lines = sorted(theirs(&ostree, root, &["summary", place, "--view"]));
            lines.retain(|line| !line.starts_with("Last-Modified"));
            lines
        };
        let is_of_the_present = |line: &&String| line.contains("20") && line.contains("Timestamp");
        let (ours_told, theirs_told) = (summary(&ours_at), summary(&theirs_at));
        let differing: Vec<_> = theirs_told.iter().filter(|line| !ours_told.contains(line)).collect();
        assert!(differing.len() <= 2 * own.len(), "{differing:?}\n{ours_told:#?}");
        assert_eq!(differing.iter().filter(|line| is_of_the_present(line)).count(), own.len());
        assert_eq!(theirs_told.len(), ours_told.len(), "{ours_told:#?}");
        let config = |repo: &str| fs::read_to_string(root.join(repo).join("config")).expect("a config");
        assert_eq!(config(&b), config(&a));
        theirs(&ostree, root, &["fsck", &ours_at, "--quiet"]);
        assert_eq!(
            well(root, &["summary", &ours_at, "--raw"]),
            theirs(&ostree, root, &["summary", &ours_at, "--raw"])
        );
        let told = sorted(well(root, &["summary", &ours_at, "--view"]));
        assert!(told.contains(&"* (org.other.B, app/y)".to_owned()), "{told:?}");
        let bytes = fs::read(root.join(&b).join("summary")).expect("a summary");
        well(root, &["summary", &ours_at, "--update"]);
        assert_eq!(
            fs::read(root.join(&b).join("summary")).expect("a summary"),
            bytes,
            "the present is not in it"
        );
    }
    proof::ran("ostree: collections", 2);
}

#[test]
fn checkouts_are_those_of_the_real_tool() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: checkouts", "ostree is missing");
    };
    let scratch = trees();
    let root = scratch.root();
    theirs(&ostree, root, &["init", "--repo=r", "--mode=bare-user"]);
    theirs(&ostree, root, &["commit", "--repo=r", "-b", "one", "--timestamp=@1", "t"]);
    theirs(&ostree, root, &["commit", "--repo=r", "-b", "two", "--timestamp=@2", "u"]);
    let cases: [&[&[&str]]; 5] = [
        &[&["-U", "one"]],
        &[&["-U", "-C", "--subpath=/d", "one"]],
        &[&["-U", "-H", "one"]],
        &[&["-U", "one"], &["-U", "--union", "two"]],
        &[&["-U", "one"], &["-U", "--union-add", "two"]],
    ];
    for steps in cases {
        for tool in ["a", "b"] {
            scratch::remove(&root.join(tool));
            for step in steps {
                let words = [&["checkout", "--repo=r"], *step, &[tool]].concat();
                if tool == "a" {
                    theirs(&ostree, root, &words)
                } else {
                    well(root, &words)
                };
            }
        }
        let listed = |folder: &str| {
            let format = "%P %y %m %U %G %l %n\n";
            let found =
                testkit::Command::new("find").args([folder, "-printf", format]).current_dir(root).ok();
            let mut lines: Vec<_> = found.out().lines().map(ToOwned::to_owned).collect();
            lines.sort();
            lines
        };
        // A hard link of both checkouts counts for both.
        assert_eq!(listed("b"), listed("a"), "{steps:?}");
        testkit::Command::new("diff").args(["-r", "--no-dereference", "a", "b"]).current_dir(root).ok();
    }
    assert_eq!(ours(root, &["checkout", "--repo=r", "-U", "one", "a"]).code(), Some(1), "it is there");
    proof::ran("ostree: checkouts", cases.len());
}
