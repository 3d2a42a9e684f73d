//! Laws of unpacking: the tree on the disk is the merged tree, and appears whole.

use crate::layers::{Layer, at, fitting, stage, stage_looking, unpack};
use crate::scratch::{Scratch, Who, again_as};
use orlop_fs::loss::LossKind;
use orlop_fs::owner::Owner;
use orlop_fs::staging::{Apply, Detail, Durable, Existing, MARKER, Staging};
use orlop_fs::{Dir, Error};
use orlop_layer::{Kind, Meta, Time};
use std::os::unix::fs::MetadataExt as _;

/// Everything below a folder, one line each: path, kind, mode, content or target.
fn listing(scratch: &Scratch) -> Vec<String> {
    let mut lines = Vec::new();
    list(&scratch.at("root"), "", &mut lines);
    lines
}

fn list(folder: &std::path::Path, path: &str, lines: &mut Vec<String>) {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("read")).collect();
    names.sort_by_key(std::fs::DirEntry::file_name);
    for entry in names {
        let path = format!("{path}{}", entry.file_name().to_string_lossy());
        let meta = entry.metadata().expect("there");
        let mode = meta.mode() & 0o7777;
        if meta.is_symlink() {
            lines.push(format!("{path} -> {}", std::fs::read_link(entry.path()).expect("a link").display()));
        } else if meta.is_dir() {
            lines.push(format!("{path}/ {mode:o}"));
            list(&entry.path(), &format!("{path}/"), lines);
        } else if meta.is_file() {
            let content = std::fs::read(entry.path()).expect("readable");
            lines.push(format!("{path} {mode:o} {:?}", String::from_utf8_lossy(&content)));
        } else {
            lines.push(format!("{path} {mode:o} special"));
        }
    }
}

fn left_behind(scratch: &Scratch) -> Vec<String> {
    let names = scratch.dir().list().expect("listed");
    names
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .filter(|name| name != "root")
        .collect()
}

#[test]
fn several_layers_become_one_tree() {
    let scratch = Scratch::new();
    let base = Layer::new()
        .dir("etc")
        .file("etc/a", "a0")
        .file("etc/b", "b0")
        .file("gone/x", "x")
        .dir("was-dir")
        .file("was-dir/f", "f")
        .file("was-file", "w")
        .symlink("link", "etc/a");
    let middle = Layer::new()
        .file("etc/b", "b1")
        .whiteout("gone")
        .file("was-dir", "now a file")
        .dir("was-file")
        .file("was-file/inside", "i")
        .file("only/middle", "m");
    let top = Layer::new().file("etc/c", "c2").opaque("only").file("only/top", "t").file("link", "leaf");
    unpack(scratch.dir(), &[base, middle, top], fitting()).expect("unpacked");
    assert_eq!(
        listing(&scratch),
        [
            "etc/ 755",
            "etc/a 644 \"a0\"",
            "etc/b 644 \"b1\"",
            "etc/c 644 \"c2\"",
            "link 644 \"leaf\"",
            "only/ 755",
            "only/top 644 \"t\"",
            "was-dir 644 \"now a file\"",
            "was-file/ 755",
            "was-file/inside 644 \"i\"",
        ]
    );
    assert_eq!(left_behind(&scratch), [""; 0]);
}

#[test]
fn the_result_does_not_depend_on_which_layer_is_largest() {
    let many = |layer: Layer, from: u32| {
        (from..from + 20).fold(layer, |layer, n| layer.file(&format!("d/{n}"), "x"))
    };
    let mut listings = Vec::new();
    for large in 0..3 {
        let scratch = Scratch::new();
        let mut layers = [
            Layer::new().file("d/a", "0").file("lib/x", "0").file("t/0", "0"),
            Layer::new().file("d/a", "1").symlink("lib", "t").file("lib/y", "1").file("d/b", "1"),
            Layer::new().whiteout("d/b").file("lib/z", "2").link("e/b2", "d/a"),
        ];
        layers[large] = many(layers[large].clone(), 0);
        unpack(scratch.dir(), &layers, fitting()).expect("unpacked");
        listings.push(listing(&scratch));
    }
    assert!(listings.iter().all(|listing| *listing == listings[0]), "{listings:#?}");
    assert!(listings[0].contains(&"t/z 644 \"2\"".to_owned()), "{:#?}", listings[0]);
}

#[test]
fn item_44_names_of_one_file_stay_one_file_and_a_replaced_name_leaves_the_others() {
    let scratch = Scratch::new();
    let base = Layer::new().file("m", "base").link("a", "m").link("z", "m").symlink("s", "x").link("s2", "s");
    let top = Layer::new().file("m", "top").link("new", "z");
    unpack(scratch.dir(), &[base, top], fitting()).expect("unpacked");
    let inode = |path: &str| std::fs::symlink_metadata(scratch.at("root").join(path)).expect("there").ino();
    assert_eq!((inode("a"), inode("a")), (inode("z"), inode("new")));
    assert_ne!(inode("m"), inode("a"));
    assert_eq!(inode("s"), inode("s2"));
    assert_eq!(std::fs::read(scratch.at("root/a")).expect("read"), b"base");
    assert_eq!(std::fs::read(scratch.at("root/m")).expect("read"), b"top");
}

/// What one layer alone has is not taken file by file: the folder in the root is the one that was written.
#[test]
fn a_folder_that_stays_as_its_layer_left_it_comes_whole() {
    let scratch = Scratch::new();
    let base = ["a", "b", "c", "d", "e", "f"];
    let base = base.iter().fold(Layer::new(), |layer, name| layer.file(&format!("etc/{name}"), "0"));
    let upper = Layer::new()
        .file("opt/app/bin/run", "1")
        .file("opt/app/data", "1")
        .file("mixed/own/x", "1")
        .file("mixed/gone", "1")
        .file("linked/x", "1")
        .link("also", "linked/x");
    let top = Layer::new().whiteout("mixed/gone").file("opt/app/more", "2").symlink("opt/link", "app");
    let mut inodes = Vec::new();
    let layers = [base, upper, top];
    let (staging, _) = stage_looking(scratch.dir(), &layers, Existing::Refuse, fitting(), &mut || {
        let staging = std::fs::read_dir(scratch.path()).expect("listed").next().expect("one").expect("read");
        for path in ["opt", "opt/app", "mixed", "mixed/own", "linked"] {
            inodes
                .push((path, std::fs::metadata(staging.path().join("L1").join(path)).expect("there").ino()));
        }
    })
    .expect("put together");
    drop(staging.publish(Durable::No).expect("published"));
    let whole = inodes.iter().filter(|(path, inode)| {
        std::fs::metadata(scratch.at("root").join(path)).expect("there").ino() == *inode
    });
    assert_eq!(whole.map(|(path, _)| *path).collect::<Vec<_>>(), ["opt", "opt/app", "mixed/own"]);
    let lines = listing(&scratch);
    for line in ["opt/app/bin/run 644 \"1\"", "opt/app/more 644 \"2\"", "opt/link -> app"] {
        assert!(lines.iter().any(|found| found == line), "{line} in {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("gone")), "{lines:#?}");
    let names =
        ["also", "linked/x"].map(|path| std::fs::metadata(scratch.at("root").join(path)).expect("there"));
    assert_eq!((names[0].ino(), names[0].nlink()), (names[1].ino(), 2));
}

/// The file lies at its second name already when its first is made.
#[test]
fn a_link_may_sort_before_the_file_that_is_in_place() {
    let scratch = Scratch::new();
    let layer = Layer::new().file("m", "x").link("a", "m").link("z", "a");
    unpack(scratch.dir(), &[layer], fitting()).expect("unpacked");
    assert_eq!(listing(&scratch), ["a 644 \"x\"", "m 644 \"x\"", "z 644 \"x\""]);
    assert_eq!(std::fs::metadata(scratch.at("root/m")).expect("there").nlink(), 3);
}

#[test]
fn entries_of_one_layer_may_come_twice_and_through_links() {
    let scratch = Scratch::new();
    let layer = Layer::new()
        .file("a", "first")
        .file("a", "second")
        .file("f", "file")
        .dir("f")
        .file("f/in", "in")
        .dir("usr/lib")
        .symlink("lib", "usr/lib")
        .file("lib/so", "so");
    unpack(scratch.dir(), &[layer], fitting()).expect("unpacked");
    let lines = listing(&scratch);
    for line in ["a 644 \"second\"", "f/in 644 \"in\"", "lib -> usr/lib", "usr/lib/so 644 \"so\""] {
        assert!(lines.iter().any(|found| found == line), "{line} in {lines:#?}");
    }
}

#[test]
fn modes_and_times_are_exact_whatever_comes_after() {
    let scratch = Scratch::new();
    let time = |seconds, nanoseconds| move |meta: &mut Meta| meta.mtime = Time { seconds, nanoseconds };
    let old = time(-1, 999_999_999);
    let closed = |meta: &mut Meta| meta.mode = 0o1500;
    let base = Layer::new()
        .with("d", Kind::Directory, old)
        .with("closed", Kind::Directory, closed)
        .file("closed/f", "x")
        .file_with("suid", "x", |meta| meta.mode = 0o4711)
        .file_with("none", "x", |meta| meta.mode = 0)
        .with("s", Kind::Symlink { target: (*b"t").into() }, old);
    let top = Layer::new().file_with("d/late", "y", time(7, 8)).file("closed/g", "y");
    unpack(scratch.dir(), &[base, top], fitting()).expect("unpacked");
    let meta = |path: &str| std::fs::symlink_metadata(scratch.at("root").join(path)).expect("there");
    assert_eq!((meta("d").mtime(), meta("d").mtime_nsec()), (-1, 999_999_999));
    assert_eq!((meta("s").mtime(), meta("s").mtime_nsec()), (-1, 999_999_999));
    assert_eq!((meta("d/late").mtime(), meta("d/late").mtime_nsec()), (7, 8));
    let mode = |path| meta(path).mode() & 0o7777;
    // A program is setuid only where its owner is what the layer says.
    let suid = if fitting().owner.is_set() { 0o4711 } else { 0o711 };
    assert_eq!((mode("closed"), mode("suid"), mode("none")), (0o1500, suid, 0));
}

#[test]
fn zeros_become_holes_and_read_as_zeros() {
    let scratch = Scratch::new();
    let mut content = vec![0; 5 << 20];
    content[2 << 20..][..3].copy_from_slice(b"abc");
    unpack(scratch.dir(), &[Layer::new().file("sparse", &content)], fitting()).expect("unpacked");
    let meta = std::fs::metadata(scratch.at("root/sparse")).expect("there");
    assert_eq!(std::fs::read(scratch.at("root/sparse")).expect("read"), content);
    assert!(meta.blocks() * 512 < 1 << 20, "{} bytes are allocated", meta.blocks() * 512);
}

#[test]
fn only_a_folder_of_the_tree_becomes_the_root() {
    for large in [0, 1] {
        let scratch = Scratch::new();
        let mut layers = [
            Layer::new().file("x/usr/a", "a").file("other", "o"),
            Layer::new().file("x/usr/b", "b").link("x/usr/o", "other"),
        ];
        for n in 0..10 {
            layers[large] = layers[large].clone().file(&format!("x/more{n}"), "");
        }
        let apply = Apply { subdir: at("x/usr"), ..fitting() };
        unpack(scratch.dir(), &layers, apply).expect("unpacked");
        assert_eq!(listing(&scratch), ["a 644 \"a\"", "b 644 \"b\"", "o 644 \"o\""]);
    }
    let scratch = Scratch::new();
    let apply = Apply { subdir: at("nowhere"), ..fitting() };
    let error = unpack(scratch.dir(), &[Layer::new().file("f", "")], apply).err();
    assert!(matches!(error, Some(Error::NoFolderInTree(_))), "{error:?}");
    assert!(scratch.dir().is_empty().expect("listed"));
}

#[test]
fn a_bundle_has_its_root_below() {
    let scratch = Scratch::new();
    let layer = Layer::new().with("", Kind::Directory, |meta| meta.mode = 0o555).file("f", "x");
    let (mut staging, _) = stage(scratch.dir(), &[layer], Existing::Refuse, fitting()).expect("staged");
    assert!(staging.root().expect("put together").stat("f").is_ok());
    staging.wrap("rootfs", &[("config.json", b"{}")]).expect("wrapped");
    staging.publish(Durable::Yes).expect("published");
    assert_eq!(listing(&scratch), ["config.json 644 \"{}\"", "rootfs/ 555", "rootfs/f 644 \"x\""]);
}

#[test]
fn nothing_is_visible_before_it_is_published_and_a_drop_leaves_nothing() {
    let scratch = Scratch::new();
    let (staging, _) =
        stage(scratch.dir(), &[Layer::new().file("f", "x")], Existing::Refuse, fitting()).expect("staged");
    assert!(!scratch.at("root").exists());
    drop(staging);
    assert!(scratch.dir().is_empty().expect("listed"));
}

#[test]
fn an_empty_target_is_taken_and_a_full_one_only_by_exchange() {
    let scratch = Scratch::new();
    scratch.dir_at("root");
    let layers = [Layer::new().file("new", "x")];
    unpack(scratch.dir(), &layers, fitting()).expect("empty is fine");
    let error = unpack(scratch.dir(), &layers, fitting()).err();
    assert!(matches!(error, Some(Error::NotEmpty(_))), "{error:?}");
    let other = [Layer::new().file("other", "y")];
    let (staging, _) = stage(scratch.dir(), &other, Existing::Replace, fitting()).expect("staged");
    assert_eq!(listing(&scratch), ["new 644 \"x\""]);
    staging.publish(Durable::No).expect("exchanged");
    assert_eq!(listing(&scratch), ["other 644 \"y\""]);
    assert_eq!(left_behind(&scratch), [""; 0]);
    scratch.run("rm", &["-r", "root"]);
    scratch.file("root", b"a file");
    let error = Staging::create(scratch.at("root"), Existing::Replace, fitting()).err();
    assert!(matches!(error, Some(Error::NotAFolder(_))), "{error:?}");
}

#[test]
fn a_target_may_be_named_in_many_ways() {
    let scratch = Scratch::new();
    for folder in ["root", "sub"] {
        scratch.dir_at(folder);
    }
    std::os::unix::fs::symlink("root", scratch.at("link")).expect("linked");
    for path in ["root/.", "sub/../root", "root/", "link", "missing", "sub/missing"] {
        let staging = Staging::create(scratch.at(path), Existing::Refuse, fitting());
        assert!(staging.is_ok(), "{path}: {:?}", staging.err());
    }
    for path in ["/", "none/missing"] {
        assert!(Staging::create(path, Existing::Refuse, fitting()).is_err(), "{path}");
    }
}

#[test]
fn what_is_mounted_in_a_replaced_target_is_not_removed() {
    if !again_as(Who::Root, "laws::what_is_mounted_in_a_replaced_target_is_not_removed") {
        return;
    }
    let scratch = Scratch::new();
    for folder in ["outside", "root", "root/mnt"] {
        scratch.dir_at(folder);
    }
    scratch.file("outside/canary", b"alive");
    scratch.run("mount", &["--bind", "outside", "root/mnt"]);
    let other = [Layer::new().file("other", "y")];
    let staged = stage(scratch.dir(), &other, Existing::Replace, fitting());
    let published = staged.and_then(|(staging, _)| staging.publish(Durable::No)).map(drop);
    let alive = scratch.at("outside/canary").exists();
    scratch.run("sh", &["-c", "umount root/mnt .root.orlop-*/L0/mnt 2>/dev/null || true"]);
    published.expect("the target was exchanged");
    assert_eq!(listing(&scratch), ["other 644 \"y\""]);
    assert!(alive, "a mounted folder was emptied");
    assert!(
        left_behind(&scratch).iter().any(|name| name.starts_with(".root.orlop-")),
        "and what held it is left"
    );
    drop(stage(scratch.dir(), &other, Existing::Replace, fitting()).expect("staged"));
    assert_eq!(left_behind(&scratch), ["outside"], "when it is unmounted, the next run removes it");
}

#[test]
fn a_staging_of_somebody_else_is_left_alone() {
    if !again_as(Who::Root, "laws::a_staging_of_somebody_else_is_left_alone") {
        return;
    }
    let scratch = Scratch::new();
    scratch.dir_at(".root.orlop-abcdefabcdef");
    scratch.run("chown", &["65534", ".root.orlop-abcdefabcdef"]);
    unpack(scratch.dir(), &[Layer::new().file("f", "x")], fitting()).expect("unpacked");
    assert_eq!(left_behind(&scratch), [".root.orlop-abcdefabcdef"]);
}

#[test]
fn who_comes_second_does_not_replace() {
    let scratch = Scratch::new();
    let layers = [Layer::new().file("f", "x")];
    let (staging, _) = stage(scratch.dir(), &layers, Existing::Refuse, fitting()).expect("staged");
    scratch.dir_at("root");
    scratch.file("root/theirs", b"");
    let error = staging.publish(Durable::No).err();
    assert!(matches!(error, Some(Error::NotEmpty(_))), "{error:?}");
    assert_eq!(listing(&scratch), ["theirs 644 \"\""]);
    assert_eq!(left_behind(&scratch), [""; 0]);
}

#[test]
fn what_a_killed_run_left_is_removed_and_what_a_living_one_holds_is_not() {
    let scratch = Scratch::new();
    for folder in [".root.orlop-abcdefabcdef", ".root.orlop-abcdefabcdef/L0", ".root.orlop-notours"] {
        scratch.dir_at(folder);
    }
    let layers = [Layer::new().file("f", "x")];
    let (living, _) = stage(scratch.dir(), &layers, Existing::Refuse, fitting()).expect("staged");
    unpack(scratch.dir(), &layers, fitting()).expect("unpacked");
    assert_eq!(left_behind(&scratch).len(), 2, "the living one, and one of another form");
    drop(living);
    assert_eq!(left_behind(&scratch), [".root.orlop-notours"]);
}

#[test]
fn a_mount_point_is_filled_from_inside() {
    if !again_as(Who::Root, "laws::a_mount_point_is_filled_from_inside") {
        return;
    }
    let scratch = Scratch::new();
    scratch.dir_at("root");
    scratch.run("mount", &["-t", "tmpfs", "none", "root"]);
    let layer = Layer::new().with("", Kind::Directory, |meta| meta.mode = 0o711).file("d/f", "x");
    let outcome = unpack(scratch.dir(), std::slice::from_ref(&layer), fitting()).map(drop);
    let lines = listing(&scratch);
    let mode = std::fs::metadata(scratch.at("root")).expect("there").mode() & 0o7777;
    let again = Staging::create(scratch.at("root"), Existing::Replace, fitting()).err();
    // A killed run left its marker and a part of the tree: the next one begins anew.
    scratch.file(&format!("root/{MARKER}"), b"");
    let retried = unpack(scratch.dir(), &[layer], fitting()).map(drop);
    let relisted = listing(&scratch);
    scratch.run("umount", &["root"]);
    outcome.expect("unpacked");
    retried.expect("unpacked again");
    assert_eq!((lines.as_slice(), mode), (&["d/ 755".to_owned(), "d/f 644 \"x\"".to_owned()][..], 0o711));
    assert_eq!(lines, relisted);
    assert!(matches!(again, Some(Error::CannotExchange(_))), "{again:?}");
}

#[test]
fn an_ordinary_user_unpacks_below_a_parent_that_it_cannot_write() {
    if !again_as(Who::Nobody, "laws::an_ordinary_user_unpacks_below_a_parent_that_it_cannot_write") {
        return;
    }
    let scratch = Scratch::new();
    scratch.dir_at("root");
    scratch.mode("", 0o555);
    let layer = Layer::new().with("closed", Kind::Directory, |meta| meta.mode = 0o500).file("closed/f", "x");
    let apply = Apply { owner: Owner::Squash, ..fitting() };
    let outcome = unpack(scratch.dir(), &[layer], apply).map(drop);
    scratch.mode("", 0o755);
    outcome.expect("unpacked");
    assert_eq!(listing(&scratch), ["closed/ 500", "closed/f 644 \"x\""]);
    scratch.mode("root/closed", 0o700);
}

#[test]
fn a_reduced_tree_is_files_folders_and_links_that_the_caller_can_read_and_change() {
    let scratch = Scratch::new();
    let own = |meta: &mut Meta, mode: u16| (meta.mode, meta.uid, meta.gid) = (mode, 1000, 100);
    let layer = Layer::new()
        .with("", Kind::Directory, |meta| own(meta, 0o500))
        .with("closed", Kind::Directory, |meta| own(meta, 0o1000))
        .file_with("closed/none", "a", |meta| own(meta, 0o000))
        .file_with("tool", "b", |meta| own(meta, 0o4711))
        .file_with("others", "c", |meta| {
            own(meta, 0o655);
            meta.xattrs.insert((*b"user.a").into(), (*b"b").into());
        })
        .with("link", Kind::Symlink { target: (*b"tool").into() }, |meta| own(meta, 0o777))
        .with("fifo", Kind::Fifo, |meta| own(meta, 0o644))
        .device("null", 1, 3);
    let apply = Apply { detail: Detail::Reduced, ..fitting() };
    let (_, report) = unpack(scratch.dir(), &[layer], apply).expect("unpacked");
    let expected =
        ["closed/ 755", "closed/none 644 \"a\"", "link -> tool", "others 644 \"c\"", "tool 755 \"b\""];
    assert_eq!(listing(&scratch), expected);
    assert_eq!(std::fs::metadata(scratch.at("root")).expect("there").mode() & 0o7777, 0o755);
    let (uid, _) = orlop_fs::privilege::ids();
    assert_eq!(std::fs::metadata(scratch.at("root/tool")).expect("there").uid(), uid);
    let lost = [LossKind::Device, LossKind::Fifo, LossKind::SetId, LossKind::Xattr];
    assert_eq!(lost.map(|kind| report.losses.count(kind)), [1, 1, 1, 1], "{report:?}");
}

#[test]
fn an_ordinary_user_keeps_owners_in_records() {
    if !again_as(Who::Nobody, "laws::an_ordinary_user_keeps_owners_in_records") {
        return;
    }
    let scratch = Scratch::new();
    let owned = |meta: &mut Meta| (meta.uid, meta.gid) = (1000, 100);
    let readonly = |meta: &mut Meta| (meta.mode, meta.uid, meta.gid) = (0o444, 0, 5);
    let layer = Layer::new()
        .with("", Kind::Directory, |meta| (meta.mode, meta.uid, meta.gid) = (0o555, 0, 0))
        .file_with("f", "x", owned)
        .file_with("g", "x", readonly)
        .with("d", Kind::Directory, owned)
        .with("s", Kind::Symlink { target: (*b"t").into() }, owned)
        .device("null", 1, 3);
    let exact = unpack(scratch.dir(), std::slice::from_ref(&layer), Apply::default()).err();
    assert!(matches!(exact, Some(Error::Owner { uid: 1000, gid: 100, .. })), "{exact:?}");
    assert!(scratch.dir().is_empty().expect("listed"), "the failure left nothing");
    let apply = Apply { owner: Owner::Record, ..fitting() };
    let (_, report) = unpack(scratch.dir(), &[layer], apply).expect("unpacked");
    for (path, value) in [("f", "0x08e8071064"), ("d", "0x08e8071064"), ("g", "0x08ffffffff0f1005")] {
        let command = format!("getfattr -n user.rootlesscontainers -e hex root/{path} | grep -q {value}$");
        scratch.run("sh", &["-c", &command]);
    }
    assert_eq!((report.losses.count(LossKind::Owner), report.losses.count(LossKind::Device)), (1, 1));
    let mode = |path: &str| std::fs::metadata(scratch.at(path)).expect("there").mode() & 0o7777;
    assert_eq!((mode("root"), mode("root/g")), (0o555, 0o444));
    scratch.mode("root", 0o755);
}

/// Under fakeroot owners and devices are pretended, and that is what must be asked for.
#[test]
fn unpacking_under_fakeroot_pretends_owners_and_devices() {
    if !again_as(Who::Fakeroot, "laws::unpacking_under_fakeroot_pretends_owners_and_devices") {
        return;
    }
    let scratch = Scratch::new();
    let owned = |meta: &mut Meta| (meta.uid, meta.gid, meta.mode) = (1234, 567, 0o4755);
    let layer =
        Layer::new().file_with("f", "x", owned).device("null", 1, 3).with("d", Kind::Directory, owned);
    let (_, report) = unpack(scratch.dir(), &[layer], fitting()).expect("unpacked");
    assert!(report.losses.is_empty(), "{report:?}");
    scratch.run("sh", &["-c", "stat -c %u:%g:%a root/f | grep -qx 1234:567:4755"]);
    scratch.run("sh", &["-c", "stat -c %u:%g:%a root/d | grep -qx 1234:567:4755"]);
    scratch.run("sh", &["-c", "stat -c %F:%t:%T root/null | grep -qx 'character special file:1:3'"]);
}

#[test]
fn the_parents_acl_and_group_are_not_inherited() {
    if !again_as(Who::Root, "laws::the_parents_acl_and_group_are_not_inherited") {
        return;
    }
    let scratch = Scratch::new();
    scratch.run("chgrp", &["4242", "."]);
    scratch.run("chmod", &["2755", "."]);
    scratch.run("setfacl", &["-d", "-m", "u:99:rwx", "."]);
    unpack(scratch.dir(), &[Layer::new().file("d/f", "x").fifo("p")], fitting()).expect("unpacked");
    scratch.run("sh", &["-c", "test -z \"$(getfattr -h -m - root/d root/d/f root/p)\""]);
    for path in ["root", "root/d", "root/d/f", "root/p"] {
        let meta = std::fs::metadata(scratch.at(path)).expect("there");
        assert_eq!((meta.gid(), meta.mode() & 0o2000), (0, 0), "{path}");
    }
}

/// Each layer has a file of its own, one that the next one moves, and one that it replaces.
#[test]
fn j3_many_layers_need_few_handles() {
    if !again_as(Who::Few, "laws::j3_many_layers_need_few_handles") {
        return;
    }
    let scratch = Scratch::new();
    let layer = |number: u16| {
        Layer::new()
            .file(&format!("own/{number}"), "")
            .file("replaced", number.to_string())
            .link(&format!("moved/{number}"), "replaced")
    };
    let layers: Vec<Layer> = (0..200).map(layer).collect();
    unpack(scratch.dir(), &layers, fitting()).expect("unpacked");
    let names = |folder: &str| std::fs::read_dir(scratch.at("root").join(folder)).expect("there").count();
    assert_eq!((names("own"), names("moved")), (200, 200));
    assert_eq!(std::fs::read(scratch.at("root/moved/17")).expect("read"), b"17");
}

#[test]
fn a_very_deep_tree_needs_few_handles() {
    if !again_as(Who::Few, "laws::a_very_deep_tree_needs_few_handles") {
        return;
    }
    let scratch = Scratch::new();
    let path = vec!["d"; 600].join("/");
    let deep =
        Layer::new().file(&format!("{path}/f"), "deep").file("top", "t").file(&format!("{path}/g"), "g");
    let (root, _): (Dir, _) =
        unpack(scratch.dir(), &[deep, Layer::new().file(&format!("{path}/h"), "h")], fitting())
            .expect("unpacked");
    let mut folder = root;
    for _ in 0..600 {
        folder = folder.open_dir("d").expect("there");
    }
    assert_eq!(folder.list().expect("listed").len(), 3);
}
