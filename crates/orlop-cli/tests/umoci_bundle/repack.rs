//! Two tools unpack, two tools repack: the same tree comes of it.

use super::ready;
use crate::world::{Tool, World};
use std::collections::BTreeMap;
use std::fs;
use testkit::dump::{Aspect, Dump, differences, dump};
use testkit::proof;

/// What users do to a root filesystem, each by itself and then all in a row.
const EDITS: [(&str, &str); 12] = [
    ("nothing", "true"),
    (
        "add",
        "mkdir -p new/deep; echo n >new/deep/f; mkfifo new/pipe; mknod new/dev b 7 9; chown 7:8 new/deep/f",
    ),
    ("remove", "rm etc/one opt/app/b; rm -r var/log"),
    ("replace a file by a folder", "rm etc/two; mkdir etc/two; echo in >etc/two/in"),
    ("replace a folder by a file", "rm -r opt/app; echo file >opt/app"),
    ("replace a folder by another", "rm -r opt/app; mkdir opt/app; echo c >opt/app/c"),
    ("a new hard link", "ln etc/two opt/two; ln etc/one opt/one"),
    ("a hard link less", "rm etc/one-too"),
    (
        "attributes",
        "setfattr -x user.mark etc/two; setfattr -n user.more -v 1 'a b'; setfacl -b etc/two; setfattr -n trusted.x -v 1 etc",
    ),
    (
        "modes",
        "chmod u-s usr/lib/libx; chmod 2750 opt; chmod 0 opt/app/a; chown 99:99 etc/two; chmod 6711 etc/one",
    ),
    (
        "links",
        "rm lib; ln -s usr/nolib lib; ln -sfn elsewhere dangling; rm dev/null; ln -s /dev/zero dev/null",
    ),
    ("times", "touch -d '2001-02-03 04:05:06' etc/two; touch -h -d 1999-01-01 lib; touch -d 1950-01-01 usr"),
];

/// What scripts of builders do to one, and what shows only where somebody looks twice.
const ODD_EDITS: [(&str, &str); 11] = [
    ("hard links across folders", "mkdir -p x/y; ln etc/two x/y/two; ln opt/app/b usr/b; mv etc/one x/one"),
    ("folders that were renamed", "mv usr/lib usr/lib64; mv opt/app app; mv 'a b' c"),
    ("a folder, a file, a folder", "rm -r opt/app; echo f >opt/app; rm opt/app; mkdir opt/app; echo n >opt/app/new"),
    (
        "attributes with other values",
        "setfattr -n user.mark -v other etc/two; setfattr -n trusted.mark -v 0x01 etc/one; setcap cap_kill+ep opt/app/b",
    ),
    ("bits that chown takes away", "chown 5:6 usr/lib/libx; test ! -u usr/lib/libx"),
    ("holes", "truncate -s 3M hole; printf x | dd of=hole bs=1 seek=1500000 conv=notrunc status=none; truncate -s 1M etc/two"),
    ("special files", "rm dev/null var/pipe; mknod dev/null c 1 5; mknod -m 640 dev/disk b 7 300; mkfifo -m 601 var/other"),
    (
        "names of any bytes, and long ones",
        "n=$(printf '%0200d' 7); mkdir -p $n/$n; echo l >$n/$n/$n; ln -s $n/$n/$n to; ln $n/$n/$n too; ln -s $n$n$n far;
        echo b >\"$(printf '\\200\\377 \\001\\n')\"; rm 'a b'/*; mkdir \"$(printf '\\303')\"; echo p >'100%=\\'",
    ),
    ("owners that no octal field holds", "echo o >owned; chown 3000000:4000000 owned; chown 2147483647 etc/two"),
    ("the same size, the same time", "t=$(stat -c %y etc/two); echo 3 >etc/two; touch -d \"$t\" etc/two"),
    ("emptied, at the same time", "t=$(stat -c %y opt/app/a); : >opt/app/a; touch -d \"$t\" opt/app/a"),
];

#[test]
fn what_either_tool_repacks_of_what_either_unpacked_is_one_tree() {
    both_repack("umoci: two tools unpack, two repack", &EDITS, &[Aspect::Holes, Aspect::Time]);
}

#[test]
fn odd_changes_are_one_tree_too_whoever_unpacks_and_repacks() {
    // A moved name of a file whose other name stays is another file to umoci.
    both_repack("umoci: odd changes", &ODD_EDITS, &[Aspect::Holes, Aspect::Time, Aspect::Links]);
}

/// Between both tools some aspects may differ; between what we repacked and the folder none.
fn both_repack(name: &str, edits: &[(&str, &str)], lost: &[Aspect]) {
    if !ready(name) {
        return;
    }
    let world = World::new();
    for unpacker in Tool::BOTH {
        for (number, (what, edit)) in edits.iter().enumerate() {
            let bundle = format!("{}{number}", unpacker.name());
            world.run(unpacker, &["unpack", "--image", "image:base", &bundle]);
            world.shell(&format!("{bundle}/rootfs"), edit);
            let trees = Tool::BOTH.map(|packer| {
                let tag = format!("{bundle}-{}", packer.name());
                world.run(packer, &["repack", "--image", &format!("image:{tag}"), &bundle]);
                assert_eq!(
                    world.layers(&tag) - world.layers("base"),
                    usize::from(*what != "nothing"),
                    "{what}: {tag}"
                );
                world.tree(&tag)
            });
            // What umoci writes has whole seconds.
            assert_eq!(differences(&trees[0], &trees[1], lost), [], "{what}");
            // A time that differs within its second is none that a manifest tells.
            let truth = to_seconds(dump(&world.path(&format!("{bundle}/rootfs"))));
            let [ours, _] = trees.map(to_seconds);
            assert_eq!(differences(&truth, &ours, &[Aspect::Holes]), [], "{what}, by us");
        }
    }
    proof::ran(name, 4 * edits.len());
}

fn to_seconds(mut tree: Dump) -> Dump {
    for node in tree.values_mut() {
        node.mtime.1 = 0;
    }
    tree
}

#[test]
fn a_bundle_that_was_refreshed_is_one_of_the_new_image_for_both() {
    let name = "umoci: refreshed bundles";
    if !ready(name) {
        return;
    }
    let world = World::new();
    world.run(Tool::Ours, &["unpack", "--image", "image:base", "bundle"]);
    for (number, (_, edit)) in
        EDITS.into_iter().enumerate().filter(|(number, _)| [1, 6, 8, 9, 10, 11].contains(number))
    {
        let tool = Tool::BOTH[number % 2];
        world.shell("bundle/rootfs", edit);
        let (before, tag) = (world.manifest_of_tree("bundle"), format!("image:round{number}"));
        world.run(tool, &["repack", "--refresh-bundle", "--image", &tag, "bundle"]);
        assert_ne!(world.manifest_of_tree("bundle"), before);
        assert!(!before.exists());
        world.validate("bundle", 0);
        for other in Tool::BOTH {
            world.run(other, &["repack", "--image", "image:same", "bundle"]);
            let round = format!("round{number}");
            assert_eq!(
                world.layers("same"),
                world.layers(&round),
                "{} finds a change after {round}",
                other.name()
            );
        }
    }
    proof::ran(name, 12);
}

/// Contents of volumes, and of what is masked, are not the image's.
#[test]
fn what_is_masked_is_in_no_layer() {
    let name = "umoci: masks";
    if !ready(name) {
        return;
    }
    let world = World::new();
    world.run(Tool::Theirs, &["config", "--image", "image:base", "--config.volume", "/opt/app"]);
    let edit = "echo new >opt/app/new; rm opt/app/b; mkdir cache; echo c >cache/c; echo changed >etc/two";
    for flags in [
        &[][..],
        &["--no-mask-volumes"],
        &["--mask-path", "/cache", "--mask-path", "etc"],
        &["--mask-path", "/cache", "--no-mask-volumes"],
        &["--mask-path", "../etc/..//cache/", "--mask-path", ""],
    ] {
        let bundle = format!("bundle{}", flags.join(""));
        let bundle = bundle.replace(['/', '.'], "-");
        world.run(Tool::Ours, &["unpack", "--image", "image:base", &bundle]);
        world.shell(&format!("{bundle}/rootfs"), edit);
        let [ours, theirs] = Tool::BOTH.map(|tool| {
            let tag = format!("image:{}", tool.name());
            world.run(tool, &[&["repack", "--image", &tag], flags, &[&bundle]].concat());
            world.tree(tool.name())
        });
        assert_eq!(differences(&ours, &theirs, &[Aspect::Holes, Aspect::Time]), [], "{flags:?}");
        assert_eq!(ours.contains_key(&b"opt/app/new"[..]), flags.contains(&"--no-mask-volumes"));
        assert_eq!(ours.contains_key(&b"cache"[..]), !flags.iter().any(|flag| flag.contains("cache")));
    }
    proof::ran(name, 10);
}

#[test]
fn what_was_mapped_is_mapped_back_and_what_cannot_be_is_refused() {
    let name = "umoci: mapped owners come back";
    if !ready(name) {
        return;
    }
    let world = World::new();
    let maps = ["--uid-map", "0:100000:1000", "--gid-map", "0:200000:1000"];
    for tool in Tool::BOTH {
        world.run(tool, &[&["unpack", "--image", "image:base"], &maps[..], &[tool.name()]].concat());
        world.shell(&format!("{}/rootfs", tool.name()), "echo new >new; chown 100012:200034 new");
        let trees = Tool::BOTH.map(|packer| {
            world.run(packer, &["repack", "--image", "image:mapped", tool.name()]);
            world.tree("mapped")
        });
        assert_eq!(differences(&trees[0], &trees[1], &[Aspect::Holes, Aspect::Time]), []);
        assert_eq!(trees[0][&b"new"[..]].owner, (12, 34));
    }
    world.shell("ours/rootfs", "chown 5:5 new");
    assert_eq!(world.fails(Tool::Ours, &["repack", "--image", "image:mapped", "ours"]), 1);
    proof::ran(name, 5);
}

#[test]
fn compression_history_and_layers_as_they_are() {
    let name = "umoci: how layers are made";
    if !ready(name) {
        return;
    }
    let world = World::new();
    world.run(Tool::Ours, &["unpack", "--image", "image:base", "bundle"]);
    world.shell("bundle/rootfs", "echo new >new");
    world.shell(".", "tar -C bundle/rootfs -cf layer.tar new; gzip -k layer.tar");
    let kinds =
        BTreeMap::from([("none", "tar"), ("gzip", "tar+gzip"), ("zstd", "tar+zstd"), ("auto", "tar+gzip")]);
    for (how, kind) in &kinds {
        for words in [&["repack"][..], &["raw", "add-layer", "--tag", "made"]] {
            let image = if words.len() == 1 { "image:made" } else { "image:base" };
            let last = if words.len() == 1 { "bundle" } else { "layer.tar" };
            world.run(Tool::Ours, &[words, &["--image", image, "--compress", how, last]].concat());
            let manifest = world.manifest("made");
            let layer = manifest["layers"].as_array().and_then(|layers| layers.last()).expect("a layer");
            assert_eq!(layer["mediaType"], format!("application/vnd.oci.image.layer.v1.{kind}"));
            assert!(world.tree("made").contains_key(&b"new"[..]));
        }
    }
    let history =
        ["--history.author", "me", "--history.comment", "why", "--history.created", "2020-01-01T00:00:00Z"];
    world.run(Tool::Ours, &[&["repack", "--image", "image:told"], &history[..], &["bundle"]].concat());
    world.run(Tool::Theirs, &[&["repack", "--image", "image:told2"], &history[..], &["bundle"]].concat());
    let [ours, theirs] = ["told", "told2"].map(|tag| world.history(tag).pop().expect("a step"));
    assert_eq!(ours, theirs);
    let file = fs::read(world.path("layer.tar")).expect("a tar");
    world.run(Tool::Ours, &["raw", "add-layer", "--image", "image:base", "--tag", "made", "layer.tar"]);
    let diff_ids = world.config("made")["rootfs"]["diff_ids"].clone();
    let last = diff_ids.as_array().and_then(|ids| ids.last()).expect("a diff id").clone();
    assert_eq!(last, testkit::image::sha256(&file));
    let refused = ["raw", "add-layer", "--image", "image:base", "layer.tar.gz"];
    assert_eq!(world.fails(Tool::Ours, &refused), 1, "it is compressed");
    proof::ran(name, 2 * kinds.len() + 3);
}

/// An ordinary user's bundle: files are the user's, and owners stand in attributes.
#[test]
fn an_ordinary_user_repacks_what_either_tool_unpacked() {
    let name = "umoci: an ordinary user";
    if !ready(name) {
        return;
    }
    let world = World::new();
    world.shell(".", "chown -R 65534:65534 .; chmod 755 .");
    let edit = "echo more >>opt/app/a; echo own >own; rm usr/lib/libx; chmod 700 'a b'; mkdir closed; chmod 0 closed";
    for unpacker in Tool::BOTH {
        let bundle = unpacker.name();
        world.run_as_nobody(unpacker, &["unpack", "--rootless", "--image", "image:base", bundle]);
        let records = testkit::dump::xattrs(&world.path(&format!("{bundle}/rootfs/opt/app/a")));
        assert_eq!(records[&b"user.rootlesscontainers"[..]], b"\x08\x0c\x10\x22");
        assert_eq!(world.mode(&format!("{bundle}/rootfs/usr/lib/libx")), 0o4755);
        world.shell(&format!("{bundle}/rootfs"), &format!("{edit}; chown 65534:65534 own closed"));
        let trees = Tool::BOTH.map(|packer| {
            let tag = format!("image:{}", packer.name());
            world.run_as_nobody(packer, &["repack", "--image", &tag, bundle]);
            world.tree(packer.name())
        });
        assert_eq!(differences(&trees[0], &trees[1], &[Aspect::Holes, Aspect::Time]), [], "{bundle}");
        assert_eq!(trees[0][&b"opt/app/a"[..]].owner, (12, 34));
        assert_eq!((trees[0][&b"own"[..]].owner, trees[0][&b"closed"[..]].mode), ((0, 0), 0));
    }
    proof::ran(name, 4);
}

/// What `SOURCE_DATE_EPOCH` bounds: two runs give one digest.
#[test]
fn times_are_bounded_by_source_date_epoch() {
    let name = "umoci: bounded times";
    if !ready(name) {
        return;
    }
    let world = World::new();
    world.run(Tool::Ours, &["unpack", "--image", "image:base", "bundle"]);
    world.shell("bundle/rootfs", "echo new >new; touch -d 1999-01-01 old");
    for tag in ["one", "two"] {
        world.run_at(1_000_000_000, &["repack", "--image", &format!("image:{tag}"), "bundle"]);
        world.shell("bundle/rootfs", "touch new");
    }
    assert_eq!(world.manifest("one"), world.manifest("two"));
    let tree = world.tree("one");
    assert_eq!(tree[&b"new"[..]].mtime, (1_000_000_000, 0));
    assert!(tree[&b"old"[..]].mtime.0 < 1_000_000_000);
    proof::ran(name, 2);
}

/// umoci leaves such attributes out. Here they stay, and umoci unpacks and repacks what has them.
#[test]
fn an_attribute_without_a_value_is_kept_and_hinders_nobody() {
    let name = "umoci: attributes without values";
    if !ready(name) {
        return;
    }
    let world = World::new();
    let empty = b"user.empty".as_slice();
    let attributes = |bundle: &str| testkit::dump::xattrs(&world.path(&format!("{bundle}/rootfs/opt/app/a")));
    world.run(Tool::Ours, &["unpack", "--image", "image:base", "bundle"]);
    world.shell("bundle/rootfs/opt/app", "setfattr -n user.empty a; setfattr -n user.full -v x a");
    for packer in Tool::BOTH {
        let image = format!("image:{}", packer.name());
        world.run(packer, &["repack", "--image", &image, "bundle"]);
        for unpacker in Tool::BOTH {
            let bundle = format!("{}-{}", packer.name(), unpacker.name());
            world.run(unpacker, &["unpack", "--image", &image, &bundle]);
            let found = attributes(&bundle);
            let both = (packer, unpacker) == (Tool::Ours, Tool::Ours);
            assert_eq!(found.get(empty).map(Vec::is_empty), both.then_some(true), "{bundle}");
            assert_eq!(found[b"user.full".as_slice()], b"x", "{bundle}");
            world.run(Tool::Theirs, &["repack", "--image", "image:again", &bundle]);
            assert_eq!(world.layers("again"), world.layers(packer.name()), "{bundle}: nothing was changed");
        }
    }
    proof::ran(name, 4);
}
