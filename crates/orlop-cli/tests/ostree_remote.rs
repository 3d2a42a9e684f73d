//! Remotes of a repository, images that are pulled from registries, and commits that are exported.

use std::collections::BTreeSet;
use std::fs;
use testkit::ostree::{ours, well};
use testkit::registry::{Guard, Registry, Wire};
use testkit::{Finished, Scratch, orlop, proof, scratch};

fn config(it: &Scratch, repo: &str) -> String {
    fs::read_to_string(it.path(repo).join("config")).expect("a config")
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

const MODES: [&str; 4] = ["archive", "bare", "bare-user", "bare-user-only"];

#[test]
fn a_new_repository_is_that_of_the_real_tool() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: new repositories", "ostree is missing");
    };
    let it = scratch();
    let mut count = 0;
    for mode in MODES {
        for collection in [&[][..], &["--collection-id=org.example.Collection"]] {
            count += 1;
            let (a, b) = (format!("theirs-{count}"), format!("ours-{count}"));
            let words = |repo: &str| {
                [
                    vec!["init".into(), format!("--repo={repo}"), format!("--mode={mode}")],
                    collection.iter().map(ToString::to_string).collect(),
                ]
                .concat()
            };
            ostree.command().args(words(&a)).current_dir(it.root()).ok();
            orlop().arg("ostree").args(words(&b)).current_dir(it.root()).ok();
            assert_eq!(config(&it, &b), config(&it, &a), "{mode} {collection:?}");
            let listed = |repo: &str| {
                let find = testkit::Command::new("find").args([".", "-printf", "%P %y %m\n"]);
                lines(&find.current_dir(it.path(repo)).ok().out())
            };
            assert_eq!(listed(&b), listed(&a), "{mode}");
        }
    }
    proof::ran("ostree: new repositories", count);
}

#[test]
fn remotes_are_written_as_the_real_tool_writes_them() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: remotes", "ostree is missing");
    };
    let it = scratch();
    let root = it.root();
    for repo in ["--repo=a", "--repo=b"] {
        well(root, &["init", repo, "--mode=archive"]);
    }
    let theirs = |words: &[&str]| ostree.command().args(words).current_dir(root).run();
    let steps: [&[&str]; 13] = [
        &["add", "plain", "http://h.example/repo"],
        &["add", "--no-gpg-verify", "open", "https://h.example/repo"],
        &["add", "--set=x=y z", "--set=k=a;b", "--no-gpg-verify", "set", "file:///srv/repo"],
        &["add", "some", "https://h.example", "main", "next/two"],
        &["add", "plain", "http://other.example"],
        &["add", "--if-not-exists", "plain", "http://other.example"],
        &["add", "--force", "open", "http://third.example"],
        &["add", "a/b", "http://h.example"],
        &["delete", "set"],
        &["delete", "set"],
        &["delete", "--if-exists", "set"],
        &["show-url", "plain"],
        &["show-url", "none"],
    ];
    for step in steps {
        let done = |words: Vec<&str>, run: &dyn Fn(&[&str]) -> Finished| run(&words);
        let theirs = done([&["remote", step[0], "--repo=a"], &step[1..]].concat(), &theirs);
        let own = done([&["remote", step[0], "--repo=b"], &step[1..]].concat(), &|words| ours(root, words));
        assert_eq!(own.success(), theirs.success(), "{step:?}: {}", own.err());
        assert_eq!(own.out(), theirs.out(), "{step:?}");
        assert_eq!(config(&it, "b"), config(&it, "a"), "{step:?}");
    }
    well(root, &["remote", "add", "--repo=b", "--oci", "registry", "h.example/apps/"]);
    assert!(
        config(&it, "b")
            .ends_with("[remote \"registry\"]\nurl=oci+https://h.example/apps\ngpg-verify=false\n")
    );
    for words in [&["remote", "list", "--repo=b"][..], &["remote", "list", "-u", "--repo=b"]] {
        assert_eq!(lines(&well(root, words)), lines(&theirs(words).out()));
    }
    assert_eq!(theirs(&["remote", "show-url", "--repo=b", "registry"]).out(), "oci+https://h.example/apps\n");
    assert_eq!(ours(root, &["remote", "show-url", "--repo=b", "none"]).code(), Some(2));
    assert_eq!(ours(root, &["remote", "add", "--repo=b", "--set=a\nb=c", "bad", "u"]).code(), Some(64));
    proof::ran("ostree: remotes", steps.len() + 4);
}

#[test]
fn an_image_is_pulled_once_and_its_layers_are_kept() {
    const PROOF: &str = "ostree: images of a remote";
    let Some(registry) = Registry::start(Wire::Clear, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = scratch();
    let root = it.root();
    it.folder("lower/d");
    it.file("lower/d/x", "lower");
    it.folder("upper");
    it.file("upper/y", "upper");
    let place = |name: &str| format!("docker://{}/os/{name}", registry.host());
    for (sources, name) in [(&["lower"][..], "base:1"), (&["lower", "upper"], "team/app:2.0-x")] {
        let target = place(name);
        let words =
            [&["build"], sources, &[&target, "--created=2001-02-03T04:05:06Z", "--progress=none"]].concat();
        orlop().args(words).current_dir(root).ok();
    }
    well(root, &["init", "--repo=r", "--mode=bare-user"]);
    let address = format!("oci+http://{}/os", registry.host());
    well(root, &["remote", "add", "--repo=r", "--oci", "reg", &address]);
    let blobs = || {
        registry.requests().iter().filter(|line| line.starts_with("GET") && line.contains("/blobs/")).count()
    };
    let pull = |image: &str| {
        let before = blobs();
        let out = well(root, &["pull", "--repo=r", "reg", image, "--progress=none"]);
        (out.trim().to_owned(), blobs() - before)
    };
    assert_eq!(pull("base:1").1, 2, "its config and its layer");
    let (line, count) = pull("team/app:2.0-x");
    assert_eq!(count, 2, "its config and the layer that is not the base's");
    assert_eq!(pull("team/app:2.0-x"), (line.clone(), 1), "its config alone, to the same commit");
    let (id, name) = line.split_once(' ').expect("an id and a ref");
    assert_eq!(name, "reg:team/app/2.0-x");
    assert_eq!(well(root, &["rev-parse", "--repo=r", name]).trim(), id);
    well(root, &["checkout", "--repo=r", "-U", name, "out"]);
    assert_eq!(fs::read_to_string(root.join("out/y")).expect("checked out"), "upper");
    assert_eq!(fs::read_to_string(root.join("out/d/x")).expect("checked out"), "lower");
    assert!(
        well(root, &["images", "--repo=r"]).contains("team/app"),
        "{}",
        well(root, &["images", "--repo=r"])
    );
    assert_eq!(well(root, &["layers", "ls", "--repo=r"]).lines().count(), 3, "a title and two layers");
    let half = ours(root, &["pull", "--repo=r", "reg", "team/app:2.0-x", "team/app:none"]);
    assert_eq!((half.code(), half.out()), (Some(2), format!("{line}\n")), "what is there is told");
    well(root, &["remote", "add", "--repo=r", "flat", "https://h.example"]);
    let refused = ours(root, &["pull", "--repo=r", "flat", "app:1"]);
    assert_eq!(refused.code(), Some(64));
    assert!(refused.err().contains("is no registry of images"), "{}", refused.err());
    assert_eq!(ours(root, &["pull", "--repo=r", "none", "app:1"]).code(), Some(2));
    // One would be a folder of the other.
    let clash = format!("docker://{}/os/team:app", registry.host());
    orlop().args(["build", "lower", &clash, "--progress=none"]).current_dir(root).ok();
    let refused = ours(root, &["pull", "--repo=r", "reg", "team:app"]);
    assert!(refused.err().contains("one would be a folder of the other"), "{}", refused.err());
    proof::ran(PROOF, 6);
}

#[test]
fn a_commit_is_exported_as_the_real_tool_exports_it_and_as_an_image_that_brings_it_back() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: exports", "ostree is missing");
    };
    let it = scratch();
    let root = it.root();
    it.folder("t/d/empty");
    it.file("t/d/f", "x\n");
    it.file("t/run", "#!\n");
    std::os::unix::fs::symlink("f", it.path("t/d/l")).expect("a link");
    fs::hard_link(it.path("t/d/f"), it.path("t/h")).expect("a hard link");
    well(root, &["init", "--repo=r", "--mode=archive"]);
    well(
        root,
        &["commit", "--repo=r", "-b", "x/y", "--timestamp=@86400", "--owner-uid=0", "--owner-gid=0", "t"],
    );
    ostree.command().args(["export", "--repo=r", "-o", "theirs.tar", "x/y"]).current_dir(root).ok();
    let stream = orlop().args(["ostree", "export", "--repo=r", "x/y"]).current_dir(root).ok();
    fs::write(root.join("ours.tar"), &stream.stdout).expect("written");
    well(root, &["export", "--repo=r", "-o", "file.tar", "x/y"]);
    assert_eq!(fs::read(root.join("file.tar")).expect("a tar"), stream.stdout);
    let listed = |tar: &str| {
        let folder = format!("{tar}.d");
        it.folder(&folder);
        testkit::Command::new("tar").args(["-xpf", tar, "-C", &folder]).current_dir(root).ok();
        let find = testkit::Command::new("find").args([".", "-printf", "%P %y %m %U %G %T@ %l\n"]);
        lines(&find.current_dir(root.join(folder)).ok().out())
    };
    // The folder that tar extracts into has a time of its own where the tar does not name it.
    let beneath =
        |tar: &str| listed(tar).into_iter().filter(|line| !line.starts_with(' ')).collect::<BTreeSet<_>>();
    assert_eq!(beneath("ours.tar"), beneath("theirs.tar"));
    testkit::Command::new("diff")
        .args(["-r", "--no-dereference", "ours.tar.d", "theirs.tar.d"])
        .current_dir(root)
        .ok();
    let part = orlop().args(["ostree", "export", "--repo=r", "--subpath=/d", "x/y"]).current_dir(root).ok();
    fs::write(root.join("part.tar"), &part.stdout).expect("written");
    assert!(beneath("part.tar").iter().any(|line| line.starts_with("f f ")));

    let id = well(root, &["rev-parse", "--repo=r", "x/y"]);
    let line = well(root, &["export", "--repo=r", "--oci=image:app", "x/y"]);
    let copied =
        orlop().args(["copy", "ostree:r@x/y", "oci:copied:app", "--progress=none"]).current_dir(root).ok();
    assert_eq!(line.replace("image", "copied"), copied.out(), "the same image as of copy");
    orlop().args(["copy", "oci:image:app", "ostree:r@back", "--progress=none"]).current_dir(root).ok();
    assert_eq!(well(root, &["rev-parse", "--repo=r", "back"]), id);
    let missing = ours(root, &["export", "--repo=r", "--oci=none", "no/such"]);
    assert_eq!((missing.code(), root.join("none").exists()), (Some(2), false));
    proof::ran("ostree: exports", 4);
}

#[test]
fn what_a_repository_lacks_is_read_in_its_parent() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: parents", "ostree is missing");
    };
    let it = scratch();
    let root = it.root();
    it.folder("t/d");
    it.file("t/d/f", "below\n");
    it.folder("u");
    it.file("u/g", "above\n");
    let theirs = |words: &[&str]| ostree.command().args(words).current_dir(root).ok().out();
    for (mode, of_parent) in [("bare-user", "bare-user"), ("archive", "bare-user")] {
        let (below, a, b) = (
            format!("below-{mode}-{of_parent}"),
            format!("a-{mode}-{of_parent}"),
            format!("b-{mode}-{of_parent}"),
        );
        theirs(&["init", &format!("--repo={below}"), &format!("--mode={of_parent}")]);
        theirs(&["commit", &format!("--repo={below}"), "-b", "base", "--timestamp=@5", "t"]);
        for repo in [&a, &b] {
            well(root, &["init", &format!("--repo={repo}"), &format!("--mode={mode}")]);
            let config = config(&it, repo) + &format!("parent={}\n", it.path(&below).display());
            it.file(&format!("{repo}/config"), config);
        }
        let (a, b) = (format!("--repo={a}"), format!("--repo={b}"));
        for words in [&["rev-parse", "base"][..], &["ls", "-R", "-C", "base"], &["log", "base"], &["refs"]] {
            let [verb, rest @ ..] = words else { unreachable!("each has a verb") };
            assert_eq!(
                well(root, &[&[*verb, &b], rest].concat()),
                theirs(&[&[*verb, &a], rest].concat()),
                "{words:?}"
            );
        }
        let commit = ["-b", "mine", "--timestamp=@7", "--tree=ref=base", "--tree=dir=u"];
        assert_eq!(
            well(root, &[&["commit", &b], &commit[..]].concat()),
            theirs(&[&["commit", &a], &commit[..]].concat())
        );
        let objects = |repo: &str| {
            let find = testkit::Command::new("find").args(["objects", "-type", "f"]);
            lines(&find.current_dir(root.join(repo.trim_start_matches("--repo="))).ok().out())
        };
        // What lay below another folder for a moment is not needed, and may be there.
        well(root, &["prune", &b, "--refs-only"]);
        // The real tool looks for metadata in the child alone.
        let wanted: BTreeSet<_> = objects(&a).difference(&objects(&below)).cloned().collect();
        assert_eq!(objects(&b), wanted, "what the parent has is not written again");
        well(root, &["checkout", &b, "-U", "mine", &format!("out{b}")]);
        assert_eq!(fs::read_to_string(root.join(format!("out{b}/d/f"))).expect("checked out"), "below\n");
        assert!(well(root, &["fsck", &b]).ends_with(": 0 damaged or missing\n"));
        theirs(&["fsck", &b, "--quiet"]);
        assert_eq!(well(root, &["cat", &b, "mine", "/d/f", "/g"]), "below\nabove\n");
    }
    proof::ran("ostree: parents", 2);
}
