//! The corpus is not its own judge: umoci unpacks every image of which we expect a tree, and gives that tree.

use testkit::hostile::{Expected, Form, Verb, corpus, listing};
use testkit::{Command, peer, proof, scratch};

const PROOF: &str = "hostile: the corpus's expected trees are umoci's";

/// What umoci 0.4.7 cannot read at all: zstd, layers with Docker's types, the old sparse form, fields that differ
/// from known ones in case only, a tag that stands twice.
const NOT_READ: [&str; 7] = [
    "d2 zstd",
    "d1 a window",
    "d1 half",
    "22 application/vnd.docker",
    "t4 old gnu",
    "j2 keys in",
    "6 one tag",
];

#[test]
fn umoci_gives_the_trees_that_we_expect() {
    let Some(umoci) = peer("umoci") else { return proof::skipped(PROOF, "umoci is missing") };
    if !testkit::is_root() {
        return proof::not_offered(PROOF, "umoci keeps owners and devices as root only");
    }
    let scratch = scratch();
    let (mut same, mut not_read) = (0, 0);
    for (number, case) in corpus(&scratch.folder("canary")).into_iter().enumerate() {
        let (Form::Layout(layout), Expected::Tree(expected)) = (&case.form, &case.expected) else { continue };
        if case.verb != Verb::Unpack || case.name.ends_with("/plain") || case.name.ends_with("/zstd") {
            continue;
        }
        let image = scratch.path(&format!("layout{number}"));
        let bundle = scratch.path(&format!("bundle{number}"));
        layout.write(&image);
        let unpack =
            Command::new(&umoci.path).args(["unpack", "--image", &format!("{}:latest", image.display())]);
        let done = unpack.arg(&bundle).run();
        if done.success() {
            let (mut found, mut expected) = (listing(&bundle.join("rootfs")), expected.clone());
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{}", case.name);
            same += 1;
        } else {
            assert!(NOT_READ.iter().any(|name| case.name.starts_with(name)), "{}: {done}", case.name);
            not_read += 1;
        }
    }
    assert!(same >= 80, "{same} judged, {not_read} not read by {umoci}");
    proof::ran(PROOF, same);
}
