//! Two builds of one tree give one digest: whatever the threads, the order of the folder, the file system, the
//! locale, the time zone and the umask.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use testkit::disk::{LoopDisk, Missing};
use testkit::scratch::scratch_in_memory;
use testkit::{Command, orlop, peer, proof, scratch};

/// A tree of which files are made in the order of `names`; times are set at the end.
fn tree(root: &Path, names: &[String]) {
    fs::create_dir_all(root.join("d")).expect("new");
    for name in names {
        let content = name.repeat(4000).into_bytes();
        fs::write(root.join("d").join(name), content).expect("new");
    }
    fs::hard_link(root.join("d/a7"), root.join("link")).expect("new");
    std::os::unix::fs::symlink("d/a1", root.join("z")).expect("new");
    let touch = Command::new("find").arg(root).args([
        "-exec",
        "touch",
        "-h",
        "-d",
        "2020-02-02T02:02:02.5Z",
        "{}",
        "+",
    ]);
    touch.ok();
    Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(root).ok();
}

/// The digest that `build` prints after the last `@`.
fn built(command: Command) -> String {
    let line = command.ok().out();
    let digest = line.trim().rsplit('@').next().expect("a digest");
    assert!(digest.starts_with("sha256:"), "{line}");
    digest.to_owned()
}

#[test]
fn item_33_one_tree_has_one_digest() {
    let (disk, memory) = (scratch(), scratch_in_memory());
    let mut names: Vec<_> = (0..60).map(|number| format!("a{number}")).collect();
    tree(&disk.path("one"), &names);
    names.reverse();
    tree(&disk.path("two"), &names);
    names.rotate_left(17);
    tree(&memory.path("three"), &names);
    let mut cases = 0;
    for compress in ["none", "gzip", "zstd"] {
        let mut digests = BTreeSet::new();
        let mut build = |source: &Path, jobs: &str, (name, value): (&str, &str), umask: &str| {
            cases += 1;
            let target = format!("oci:{}:t", disk.path(&format!("{compress}{cases}")).display());
            let build = orlop().args(["build", "--compress", compress, "-j", jobs]).arg(source).arg(target);
            let shell = ["sh", "-c", &format!("umask {umask}; exec \"$0\" \"$@\"")];
            digests.insert(built(build.env(name, value).under(shell)));
        };
        let plain = ("LC_ALL", "C");
        for jobs in ["1", "2", "3", "8"] {
            build(&disk.path("one"), jobs, plain, "022");
        }
        build(&disk.path("two"), "2", plain, "022");
        build(&memory.path("three"), "2", plain, "022");
        build(&disk.path("one"), "2", ("LC_ALL", "tr_TR.UTF-8"), "022");
        build(&disk.path("one"), "2", ("TZ", "Pacific/Kiritimati"), "022");
        build(&disk.path("one"), "2", ("HOME", "/nowhere"), "077");
        assert_eq!(digests.len(), 1, "{compress}: {digests:?}");
    }
    proof::ran("determinism: one digest for every machine", cases);
}

/// The test above would not see a digest that depends on nothing.
#[test]
fn another_tree_has_another_digest() {
    let scratch = scratch();
    tree(&scratch.path("one"), &["a7".into(), "a1".into()]);
    tree(&scratch.path("two"), &["a7".into(), "a1".into()]);
    let build = |name: &str| {
        let target = format!("oci:{}:{name}", scratch.path("layout").display());
        built(orlop().arg("build").arg(scratch.path(name)).arg(target))
    };
    assert_eq!(build("one"), build("two"));
    Command::new("touch").args(["-d", "2020-02-02T02:02:03Z"]).arg(scratch.path("two/d/a1")).ok();
    assert_ne!(build("one"), build("two"));
}

/// xfs shows root every ACL a second time, as `trusted.SGI_ACL_FILE`.
#[test]
fn item_33_a_tree_with_acls_has_one_digest_on_every_file_system() {
    const PROOF: &str = "reproducible: ACLs on ext4, xfs and btrfs";
    let Some(setfacl) = peer("setfacl") else { return proof::skipped(PROOF, "setfacl is missing") };
    let scratch = scratch();
    let built_in = |folder: &Path| {
        fs::create_dir_all(folder.join("t/d")).expect("new");
        fs::write(folder.join("t/f"), "x").expect("new");
        for words in [["-m", "u:1000:rw", "t/f"], ["-dm", "u:1000:rwx", "t/d"]] {
            setfacl.command().args(words).current_dir(folder).ok();
        }
        Command::new("touch").args(["-d", "@1", "t/f", "t/d", "t"]).current_dir(folder).ok();
        let number = fs::read_dir(scratch.root()).expect("listed").count();
        let target = format!("oci:{}:t", scratch.path(&format!("image{number}")).display());
        built(orlop().arg("build").arg(folder.join("t")).arg(target))
    };
    let expected = built_in(&scratch.folder("here"));
    let mut disks = 0;
    for kind in ["xfs", "btrfs"] {
        match LoopDisk::at(scratch.folder(kind), kind) {
            Ok(disk) => {
                assert_eq!(built_in(&scratch.path(kind)), expected, "{kind}");
                drop(disk);
                disks += 1;
            }
            Err(Missing::Program(program)) => {
                return proof::skipped(PROOF, &format!("{program} is missing"));
            }
            Err(Missing::Kernel(why)) => return proof::not_offered(PROOF, &why),
        }
    }
    proof::ran(PROOF, disks + 1);
}
