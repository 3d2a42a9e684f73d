//! Laws of repairs: afterwards the tree is what it was, times included, and what was right was not touched.

mod tampers;

use orlop_fs::owner::Owner;
use orlop_fs::staging::{Apply, Source, Supply, repair};
use orlop_fs::verify::{Found, Shape, Verify, verify};
use orlop_fs::{Dir, Error};
use orlop_layer::tree::Content;
use orlop_spec::Cancel;
use std::collections::HashMap;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use tampers::{Known, chmod, known, make, tampers};
use testkit::disk::Bound;
use testkit::dump::{Dump, differences, dump};
use testkit::scratch::scratch_in_memory;
use testkit::{is_root, proof, scratch};

struct Contents(HashMap<u32, Vec<u8>>);

impl Supply for Contents {
    fn source(&self, content: &Content) -> orlop_fs::Result<Source<'_>> {
        Ok(Source::Bytes(&self.0[&content.ordinal]))
    }
}

static NEVER: Cancel = Cancel::new();

fn compare(folder: &Path, known: &Known) -> Found {
    let how = Verify {
        owner: Owner::Exact,
        shape: Shape::Whole,
        workers: NonZeroUsize::MIN,
        seen: None,
        now: None,
        cancel: &NEVER,
        progress: &|_| (),
    };
    verify(&Dir::open(folder).expect("opened"), &known.manifest, &how).expect("compared")
}

fn mend(folder: &Path, known: &Known) -> orlop_fs::staging::Repaired {
    let found = compare(folder, known);
    let supply = Contents(known.contents.clone());
    let folder = Dir::open(folder).expect("opened");
    repair(&folder, &known.tree, &found.differences, &supply, &Apply::default()).expect("repaired")
}

fn same(before: &Dump, after: &Dump, what: &str) {
    let left: Vec<_> = differences(before, after, &[]);
    assert!(left.is_empty(), "{what}: {left:?}");
}

#[test]
fn a_repaired_tree_is_the_tree_that_it_was() {
    for (what, tamper, _) in tampers() {
        let scratch = scratch();
        let root = make(&scratch, "tree");
        let (known, before) = (known(&root), dump(&root));
        tamper(&root);
        let done = mend(&root, &known);
        same(&before, &dump(&root), what);
        assert_eq!(compare(&root, &known).differences, [], "{what}");
        assert!(done.made + done.removed + done.set > 0, "{what}");
        assert!(done.report.losses.is_empty(), "{what}");
    }
    proof::ran("verify: every tampering is repaired", tampers().len());
}

#[test]
fn what_was_right_is_not_touched() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let known = known(&root);
    let ctime = |name: &str| {
        let stat = fs::symlink_metadata(root.join(name)).expect("there");
        (stat.ino(), stat.ctime(), stat.ctime_nsec())
    };
    let names = ["bin/bash", "etc/empty", "var/a", "var/deep/b", "var/one", "gone", "gone/x"];
    let before = names.map(ctime);
    std::thread::sleep(std::time::Duration::from_millis(30));
    fs::write(root.join("bin/sh"), "another").expect("written");
    chmod(&root.join("bin/su"), 0o700);
    let su = fs::metadata(root.join("bin/su")).expect("there").ino();
    fs::write(root.join("etc/new"), "").expect("written");
    let done = mend(&root, &known);
    assert_eq!((done.made, done.removed, done.set), (1, 1, 1));
    assert_eq!(names.map(ctime), before);
    assert_eq!(fs::metadata(root.join("bin/su")).expect("there").ino(), su, "a mode is set where it is");
}

#[test]
fn everything_at_once_is_repaired() {
    let scratch = scratch_in_memory();
    let root = make(&scratch, "tree");
    let (known, before) = (known(&root), dump(&root));
    for folder in ["bin", "etc", "var", "gone"] {
        fs::remove_dir_all(root.join(folder)).expect("removed");
        std::os::unix::fs::symlink("/etc", root.join(folder)).expect("linked");
    }
    mend(&root, &known);
    same(&before, &dump(&root), "all folders are links");
    for folder in ["bin", "etc", "var", "gone"] {
        fs::remove_dir_all(root.join(folder)).expect("removed");
    }
    mend(&root, &known);
    same(&before, &dump(&root), "all is gone");
    assert!(Path::new("/etc/passwd").exists(), "nothing was followed");
}

#[test]
fn further_names_of_a_file_that_was_replaced_are_relinked() {
    let scratch = scratch_in_memory();
    let root = make(&scratch, "tree");
    let (known, before) = (known(&root), dump(&root));
    // The first name decides; what the others lead to is not compared while it is gone.
    fs::remove_file(root.join("var/a")).expect("removed");
    fs::write(root.join("var/deep/b"), "evil").expect("written");
    mend(&root, &known);
    same(&before, &dump(&root), "the first name is gone");
    fs::write(root.join("var/deep/b"), "EVIL").expect("written");
    mend(&root, &known);
    same(&before, &dump(&root), "both changed");
}

#[test]
fn a_killed_repair_leaves_names_that_the_next_one_removes() {
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let (known, before) = (known(&root), dump(&root));
    fs::write(root.join("bin/.sh.orlop-0123456789ab"), "half").expect("written");
    assert_eq!(compare(&root, &known).differences.len(), 1);
    mend(&root, &known);
    same(&before, &dump(&root), "as before");
}

type Tamper = fn(&Path);

/// Between the look and the repair, somebody mounts a file over what differs.
#[test]
fn what_is_mounted_meanwhile_is_not_touched() {
    let name = "verify: mounts between look and repair";
    let scratch = scratch();
    let root = make(&scratch, "tree");
    let known = known(&root);
    let theirs = scratch.file("theirs", "theirs");
    chmod(&theirs, 0o604);
    let before = dump(scratch.root());
    let tampers: [(&str, Tamper); 3] = [
        ("bin/su", |path| chmod(path, 0o700)),
        ("bin/sh", |path| fs::write(path, "another").expect("written")),
        ("etc/new", |path| fs::write(path, "new").expect("written")),
    ];
    for (path, tamper) in tampers {
        tamper(&root.join(path));
        let found = compare(&root, &known);
        let Some(mount) = Bound::over(root.join(path), &theirs) else {
            return proof::not_offered(name, "this user may not mount");
        };
        let supply = Contents(known.contents.clone());
        let folder = Dir::open(&root).expect("opened");
        let told = repair(&folder, &known.tree, &found.differences, &supply, &Apply::default());
        assert!(matches!(told, Err(Error::MountedOver(_))), "{path}: {told:?}");
        drop(mount);
        mend(&root, &known);
    }
    same(&before, &dump(scratch.root()), "all is as it was");
    proof::ran(name, tampers.len());
}

#[test]
fn a_folder_that_forbids_its_owner_to_write_is_repaired() {
    if is_root() {
        // Root needs no permission; the binary's tests try this as an ordinary user.
        return proof::not_offered("verify: repair in a read-only folder", "root may write everywhere");
    }
    let scratch = scratch();
    let root = make(&scratch, "tree");
    chmod(&root.join("etc"), 0o555);
    let (known, before) = (known(&root), dump(&root));
    chmod(&root.join("etc"), 0o755);
    fs::remove_file(root.join("etc/empty")).expect("removed");
    chmod(&root.join("etc"), 0o555);
    mend(&root, &known);
    same(&before, &dump(&root), "as before");
}
