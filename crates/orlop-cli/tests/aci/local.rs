//! A path without a transport: an App Container is found from its content.

use crate::{QUIET, aci, manifest, read, run, tells};
use serde_json::json;
use testkit::scratch;
use testkit::tarball::{Member, tar};

#[test]
fn a_path_is_an_app_container_where_its_content_is_one_and_else_a_tar() {
    let it = scratch();
    let says = manifest("example.com/a", json!({ "labels": [{ "name": "version", "value": "7" }] }));
    let file = || Member::file("rootfs/f", "content");
    let head = || Member::file("manifest", says.to_string());
    it.file("first", aci(&says, vec![file()]));
    it.file("last", tar([Member::folder("./"), Member::folder("./rootfs/"), file(), head()]));
    for (tool, name) in [("bzip2", "bz"), ("xz", "xz"), ("gzip", "gz")] {
        it.file(name, testkit::Command::new(tool).arg("-c").input(read(&it, "first")).ok().stdout);
    }
    let digest = run(&it, &["digest", "aci:first"], 0);
    for name in ["first", "last", "bz", "xz", "gz"] {
        assert_eq!(run(&it, &["cat", &format!("./{name}"), "f"], 0), "content", "{name}");
        run(&it, &["copy", QUIET, &format!("./{name}"), &format!("oci:l:{name}")], 0);
        assert_eq!(
            run(&it, &["digest", &format!("./{name}")], 0),
            run(&it, &["digest", &format!("aci:{name}")], 0)
        );
    }
    assert_eq!(run(&it, &["digest", "./gz"], 0), digest);
    assert!(run(&it, &["inspect", "./last"], 0).contains("example.com/a"));

    let other = |members: Vec<Member>| it.file("other", tar(members));
    for members in [
        vec![Member::file("a", ""), head(), file()],
        vec![Member::folder("rootfs/"), file(), Member::file("config.json", "{}")],
        vec![Member::file("manifest", "{}"), file()],
        vec![Member::file("manifest/deeper", ""), file()],
        vec![file()],
    ] {
        other(members);
        assert_eq!(run(&it, &["cat", "./other", "rootfs/f"], 0), "content");
    }
    let squeezed = testkit::Command::new("xz").arg("-c").input(read(&it, "other")).ok().stdout;
    it.file("squeezed", squeezed);
    assert_eq!(
        run(&it, &["cat", "./squeezed", "rootfs/f"], 0),
        "content",
        "tars are read as `tar:` reads them"
    );
    let broken =
        vec![Member::file("manifest", "{\"acKind\": \"ImageManifest\", "), Member::folder("rootfs/"), file()];
    it.file("broken", tar(broken));
    tells(&it, &["copy", QUIET, "./broken", "oci:l:broken"], 5, &["the manifest of", "orlop aci validate"]);
}
