//! The same edits through umoci's bundle and through ours.

use crate::world::World;
use testkit::dump::differences;
use testkit::{Command, is_root, peer, proof};

/// Each is done by a shell in the root filesystem.
const EDITS: [&str; 8] = [
    "echo new > etc/new; mkdir -p var/lib/x; echo deep > var/lib/x/y",
    "rm etc/d/c; rmdir etc/d; echo file > etc/d",
    "rm etc/b; mkdir etc/b; echo in > etc/b/in",
    "rm -r etc/d; mkdir etc/d; echo other > etc/d/other",
    "cp -p usr/a aside; rm usr/a; mv aside usr/a; ln etc/b usr/b",
    "chmod 600 etc/b; chown 3:4 etc/d; setfattr -n user.x -v y etc/b",
    "mv etc/d usr/d; ln -sfn /nowhere usr/l",
    "mkfifo usr/p; touch -d @77 etc/b usr; rm etc/a",
];

#[test]
fn umoci_makes_the_same_trees_of_the_same_edits() {
    let name = "repack: umoci's repack of the same edits";
    let Some(umoci) = peer("umoci").filter(|_| is_root()) else {
        return proof::skipped(name, "umoci is missing, or this is not root");
    };
    for (number, edit) in EDITS.iter().enumerate() {
        let it = World::new();
        umoci.command().args(["unpack", "--image", "l:v1", "bundle"]).current_dir(it.0.root()).ok();
        for root in ["root", "bundle/rootfs"] {
            Command::new("sh").args(["-ec", edit]).current_dir(it.path(root)).ok();
        }
        // Times of what the shell touched differ, and nothing else: those of one tree are given to the other.
        it.sh("cd root; find . | sort -r | while read -r path; do touch -h -r \"$path\" \"../bundle/rootfs/$path\"; done");
        umoci.command().args(["repack", "--image", "l:theirs", "bundle"]).current_dir(it.0.root()).ok();
        it.ok(&["repack", "root", "oci:l:ours"]);
        let ours = it.unpacked("oci:l:ours", "ours");
        assert_eq!(differences(&it.dump("root"), &ours, &[]), [], "{number}: {edit}");
        // umoci keeps whole seconds.
        let without = [testkit::dump::Aspect::Time, testkit::dump::Aspect::Links];
        umoci.command().args(["unpack", "--image", "l:theirs", "theirs"]).current_dir(it.0.root()).ok();
        assert_eq!(differences(&it.dump("theirs/rootfs"), &ours, &without), [], "{number}: {edit}");
        umoci.command().args(["unpack", "--image", "l:ours", "read"]).current_dir(it.0.root()).ok();
        assert_eq!(differences(&ours, &it.dump("read/rootfs"), &without), [], "{number}: {edit}");
    }
    proof::ran(name, EDITS.len());
}
