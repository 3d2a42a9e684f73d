//! Random small trees become the commits that the real tool makes of them, and come out of either repository the same.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use testkit::{Command, noise, orlop, proof, scratch};

/// Folders, files, links and hard links, as a stream of bytes decides.
fn plant(root: &Path, seed: u64) {
    let bytes = noise(seed, 400);
    let mut next = bytes.iter().map(|byte| usize::from(*byte));
    let mut take = |below: usize| next.next().expect("enough noise") % below;
    let mut folders = vec![root.to_path_buf()];
    fs::create_dir(root).expect("a folder");
    let mut files = Vec::new();
    for number in 0..4 + take(12) {
        let name = ["a", "B", "é", "-x", ".h", "a b", "z'", "\\", "日"][take(9)];
        let path = folders[take(folders.len())].join(format!("{name}{number}"));
        match take(6) {
            0 | 1 => {
                fs::create_dir(&path).expect("a folder");
                mode(&path, [0o755, 0o700, 0o1777, 0o2750][take(4)]);
                folders.push(path);
            }
            2 => symlink(["x", "../..", "/etc/é", "a b"][take(4)], &path).expect("a link"),
            3 if !files.is_empty() => {
                let other: &std::path::PathBuf = &files[take(files.len())];
                fs::hard_link(other, &path).expect("a further name");
            }
            _ => {
                fs::write(&path, noise(seed + number as u64, take(256) * take(40))).expect("a file");
                mode(&path, [0o644, 0o755, 0o600, 0o4755, 0o444][take(5)]);
                files.push(path);
            }
        }
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

#[test]
fn random_trees_have_the_ids_of_the_real_tool() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: random trees through the binary", "ostree is missing");
    };
    let scratch = scratch();
    let root = scratch.root();
    ostree.command().args(["init", "--repo=a", "--mode=bare-user"]).current_dir(root).ok();
    orlop().args(["ostree", "init", "--repo=b", "--mode=archive"]).current_dir(root).ok();
    let cases = if testkit::full() { 200 } else { 12 };
    for seed in 0..cases {
        // The real tool takes a branch that reads as the beginning of an id for that commit, and so for the parent.
        let (tree, branch) = (format!("t{seed}"), format!("--branch=tree/{seed}"));
        plant(&root.join(&tree), seed);
        let words = ["--timestamp=@7", &branch, &tree];
        let theirs = ostree.command().args(["commit", "--repo=a"]).args(words).current_dir(root).ok().out();
        let ours = orlop().args(["ostree", "commit", "--repo=b"]).args(words).current_dir(root).ok().out();
        assert_eq!(ours, theirs, "seed {seed}");
        let id = ours.trim();
        for (out, repo) in [("from-a", "--repo=a"), ("from-b", "--repo=b")] {
            let words = ["ostree", "checkout", repo, id, &format!("{out}{seed}")];
            orlop().args(words).current_dir(root).ok();
        }
        let folders = [format!("from-a{seed}"), format!("from-b{seed}")];
        Command::new("diff").args(["-r", "--no-dereference"]).args(folders).current_dir(root).ok();
    }
    ostree.command().args(["fsck", "--repo=b", "--quiet"]).current_dir(root).ok();
    orlop().args(["ostree", "fsck", "--repo=a"]).current_dir(root).ok();
    proof::ran("ostree: random trees through the binary", usize::try_from(cases).expect("few"));
}
