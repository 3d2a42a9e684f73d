//! Layers that want out: whatever they hold, nothing beside the target changes.

use crate::layers::{Layer, fitting, stage, unpack};
use crate::scratch::{Scratch, Who, again_as};
use orlop_fs::loss::LossKind;
use orlop_fs::seam::{self, Operation, Verdict};
use orlop_fs::staging::Existing;
use orlop_fs::{Error, staging::Report};
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Entry, Kind, Meta, TreePath};
use orlop_spec::Limits;
use std::os::unix::fs::MetadataExt as _;

/// A folder beside the target, and everything about it that a layer might change.
struct Canary {
    scratch: Scratch,
    before: Vec<String>,
}

impl Canary {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.dir_at("outside");
        scratch.file("outside/canary", b"alive");
        scratch.mode("outside/canary", 0o640);
        let before = state(&scratch);
        Self { scratch, before }
    }

    /// Where the folder is, for links.
    fn path(&self) -> String {
        self.scratch.at("outside").to_str().expect("plain").to_owned()
    }

    fn unpack(&self, layers: &[Layer]) -> Result<Report, Error> {
        let outcome = unpack(self.scratch.dir(), layers, fitting()).map(|(_, report)| report);
        assert_eq!(state(&self.scratch), self.before, "something outside was touched");
        outcome
    }

    /// Every way to point at the folder from the root of the tree.
    fn targets(&self) -> [String; 3] {
        [self.path(), "../outside".into(), "../../../../../../../..".to_owned() + &self.path()]
    }
}

fn state(scratch: &Scratch) -> Vec<String> {
    ["outside", "outside/canary"]
        .iter()
        .map(|path| {
            let meta = std::fs::symlink_metadata(scratch.at(path)).expect("still there");
            let content = std::fs::read(scratch.at(path)).unwrap_or_default();
            let names = std::fs::read_dir(scratch.at(path)).map_or(0, Iterator::count);
            format!(
                "{path} {:o} {}:{} {} {} {content:?} {names} names {} links",
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.mtime(),
                meta.mtime_nsec(),
                meta.nlink()
            )
        })
        .collect()
}

fn loud(meta: &mut Meta) {
    meta.mode = 0o7777;
}

#[test]
fn p1_the_root_itself_cannot_become_something_else() {
    let canary = Canary::new();
    for kind in
        [Kind::Symlink { target: canary.path().as_bytes().into() }, Kind::File { size: 0 }, Kind::Fifo]
    {
        let entry = Entry { path: TreePath::root(), meta: Meta::default(), kind };
        let refused = Builder::new(0, &Limits::default()).add(0, 0, &entry);
        assert!(refused.is_err(), "{:?}", entry.kind);
        // Even a writer that is fed past the builder makes nothing of it.
        let (staging, _) =
            stage(canary.scratch.dir(), &[], Existing::Refuse, fitting()).expect("an empty tree");
        let mut writer = staging.layer(0).expect("a writer");
        let outcome = writer.entry(0, &entry);
        assert_eq!(outcome.is_err(), matches!(entry.kind, Kind::File { .. }), "{:?}", entry.kind);
    }
    assert_eq!(state(&canary.scratch), canary.before);
}

#[test]
fn p2_no_mode_owner_or_time_goes_through_a_link() {
    let canary = Canary::new();
    for target in canary.targets() {
        let base = Layer::new().symlink("d", &target).symlink("f", &(target.clone() + "/canary"));
        let again = base.clone().with("d", Kind::Directory, loud).link("h", "f").file_with("f", "x", loud);
        let upper = Layer::new().with("d", Kind::Directory, loud).link("h", "f");
        for layers in [vec![again.clone()], vec![base.clone(), upper], vec![base, again]] {
            canary.unpack(&layers).expect("a link is replaced by a folder");
            canary.scratch.run("rm", &["-rf", "root"]);
        }
    }
}

#[test]
fn p3_a_hard_link_finds_its_target_in_the_tree_or_not_at_all() {
    let canary = Canary::new();
    for target in canary.targets() {
        let base = Layer::new().symlink("d", &target);
        let through = Layer::new().link("h", "d/canary");
        let trees = [base.tree(0), through.tree(1)];
        let stacked = trees.into_iter().try_fold(Tree::default(), Tree::stack);
        assert!(stacked.is_err(), "{target}: the tree has no such file");
        // With a file of the tree at that path, the link is to that one.
        let inside = Layer::new().file("d/canary", "of the tree");
        canary.unpack(&[base, inside, through]).expect("unpacked");
        assert_eq!(std::fs::read(canary.scratch.at("root/h")).expect("read"), b"of the tree");
        canary.scratch.run("rm", &["-rf", "root"]);
    }
}

#[test]
fn p4_a_link_planted_by_one_layer_leads_the_next_one_nowhere_else() {
    let canary = Canary::new();
    for target in canary.targets() {
        let base = Layer::new().symlink("d", &target).symlink("e/f", &target);
        let upper = Layer::new()
            .file("d/canary", "dead")
            .file("d/new", "x")
            .file("e/f/canary", "dead")
            .fifo("d/pipe")
            .symlink("d/link", "x")
            .with("d/folder", Kind::Directory, loud);
        for layers in [vec![base.clone(), upper.clone()], vec![Layer([base.0, upper.0].concat())]] {
            let written = canary.unpack(&layers);
            // Inside the tree the absolute target is a path of the tree.
            if written.is_ok() && target.starts_with('/') {
                let inside = canary.scratch.at("root").join(canary.path().trim_start_matches('/'));
                assert_eq!(std::fs::read(inside.join("canary")).expect("inside the tree"), b"dead");
            }
            canary.scratch.run("rm", &["-rf", "root"]);
        }
    }
}

#[test]
fn p5_and_item_53_a_whiteout_through_a_link_removes_nothing_outside() {
    let canary = Canary::new();
    for target in canary.targets() {
        let base = Layer::new().symlink("d", &target);
        for upper in [Layer::new().whiteout("d/canary"), Layer::new().opaque("d"), Layer::new().whiteout("d")]
        {
            canary.unpack(&[base.clone(), upper]).expect("nothing to remove is fine");
            canary.scratch.run("rm", &["-rf", "root"]);
        }
    }
}

#[test]
fn p6_a_later_layer_may_replace_a_link_by_a_file() {
    let canary = Canary::new();
    let base = Layer::new().symlink("f", &(canary.path() + "/canary"));
    canary.unpack(&[base, Layer::new().file("f", "leaf")]).expect("unpacked");
    assert_eq!(std::fs::read(canary.scratch.at("root/f")).expect("read"), b"leaf");
    assert!(std::fs::symlink_metadata(canary.scratch.at("root/f")).expect("there").is_file());
}

/// The file system is made to find names taken that the tree has free, as one that folds case does.
#[test]
fn p9_names_that_a_file_system_holds_for_one_are_an_error() {
    let scratch = Scratch::new();
    seam::install(Box::new(|operation, name| {
        let makes = matches!(
            operation,
            Operation::Create | Operation::MakeDir | Operation::Rename | Operation::Symlink
        );
        let is_taken = [&b"FOLD-file"[..], b"FOLD-dir", b"FOLD-link"].contains(&name);
        if makes && is_taken { Verdict::Fail(libc::EEXIST) } else { Verdict::Go }
    }));
    for layer in [
        Layer::new().file("fold-file", "1").file("FOLD-file", "2"),
        Layer::new().file("fold-dir/x", "1").file("FOLD-dir/x", "2"),
        Layer::new().symlink("fold-link", "1").symlink("FOLD-link", "2"),
    ] {
        let error = unpack(scratch.dir(), &[layer], fitting()).err();
        let Some(Error::Collision(path)) = error else { panic!("{error:?}") };
        assert!(path.to_string().starts_with("FOLD-"), "{path}");
        assert!(scratch.dir().is_empty().expect("listed"), "the failure left nothing");
    }
    seam::clear();
}

/// The same on a file system that really folds, where this kernel has one.
#[test]
fn p9_a_folding_file_system_is_noticed() {
    const PROOF: &str = "files: names that fold on a real file system";
    if !again_as(Who::Root, "hostile::p9_a_folding_file_system_is_noticed") {
        return;
    }
    let scratch = Scratch::new();
    scratch.dir_at("mnt");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "casefold", "none"])
        .arg(scratch.at("mnt"))
        .output()
        .expect("mount is installed");
    if !mounted.status.success() {
        return testkit::proof::not_offered(PROOF, "tmpfs has no casefold on this kernel");
    }
    scratch.dir_at("mnt/folds");
    let folds = std::process::Command::new("chattr").arg("+F").arg(scratch.at("mnt/folds")).status();
    let pairs = [("name", "NAME"), ("\u{e9}", "e\u{301}"), ("dir/x", "DIR/y")];
    let mut outcomes = Vec::new();
    if folds.is_ok_and(|status| status.success()) {
        let folder = orlop_fs::Dir::open(scratch.at("mnt/folds")).expect("opened");
        for (one, other) in pairs {
            outcomes.push(unpack(&folder, &[Layer::new().file(one, "1").file(other, "2")], fitting()).err());
        }
    }
    scratch.run("umount", &["-l", "mnt"]);
    if outcomes.is_empty() {
        return testkit::proof::not_offered(PROOF, "no folder of the tmpfs folds");
    }
    for (error, pair) in outcomes.iter().zip(pairs) {
        assert!(matches!(error, Some(Error::Collision(_))), "{pair:?}: {error:?}");
    }
    testkit::proof::ran(PROOF, pairs.len());
}

#[test]
fn p10_fifos_are_replaced_without_being_opened() {
    let canary = Canary::new();
    let base = Layer::new().fifo("p").fifo("q").with("r", Kind::Fifo, |meta| meta.mode = 0o6640);
    let upper = Layer::new().file("p", "now a file").with("q", Kind::Directory, loud);
    canary.unpack(&[base, upper]).expect("unpacked without waiting for a reader");
    let mode =
        |path: &str| std::fs::symlink_metadata(canary.scratch.at(path)).expect("there").mode() & 0o7777;
    assert_eq!(std::fs::read(canary.scratch.at("root/p")).expect("read"), b"now a file");
    assert_eq!((mode("root/q"), mode("root/r")), (0o7777, 0o6640));
}

#[test]
fn p10_setuid_comes_after_the_owner() {
    if !again_as(Who::Root, "hostile::p10_setuid_comes_after_the_owner") {
        return;
    }
    let canary = Canary::new();
    let owned = |meta: &mut Meta| (meta.mode, meta.uid, meta.gid) = (0o6755, 1234, 56);
    canary.unpack(&[Layer::new().file_with("f", "x", owned)]).expect("unpacked");
    let meta = std::fs::metadata(canary.scratch.at("root/f")).expect("there");
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o6755, 1234, 56));
}

fn attributed(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> impl Fn(&mut Meta) {
    move |meta| drop(meta.xattrs.insert(name.as_ref().into(), value.as_ref().into()))
}

#[test]
fn p11_names_of_overlay_mounts_are_never_set() {
    let canary = Canary::new();
    let layer = Layer::new()
        .file_with("f", "x", attributed("user.overlay.metacopy", "y"))
        .with("d", Kind::Directory, attributed("trusted.overlay.opaque", "y"))
        .with("d/e", Kind::Directory, attributed("user.overlay.redirect", "/etc"))
        .file_with("kept", "x", attributed("user.plain", "y"));
    let report = canary.unpack(&[layer]).expect("unpacked");
    assert_eq!(report.losses.count(LossKind::OverlayXattr), 3);
    canary.scratch.run("sh", &["-c", "test -z \"$(getfattr -R -h -m overlay root)\""]);
    canary.scratch.run("sh", &["-c", "getfattr -n user.plain root/kept | grep -q y"]);
}

#[test]
fn p12_damaged_capabilities_are_refused_and_what_the_kernel_refuses_is_told() {
    let canary = Canary::new();
    let damaged = Layer::new().file_with("f", "x", attributed("security.capability", "\x01\0\0\x02short"));
    let error = canary.unpack(&[damaged]).err();
    assert!(matches!(error, Some(Error::BadCapability(_))), "{error:?}");
    let long = format!("user.{}", "n".repeat(300));
    let layer = Layer::new()
        .file_with("large", "x", attributed("user.large", vec![b'v'; 70_000]))
        .file_with("long", "x", attributed(long, "v"))
        .file_with("odd", "x", attributed("nonsense.name", "v"))
        .with("s", Kind::Symlink { target: (*b"t").into() }, attributed("user.on-link", "v"))
        .fifo("p");
    let report = canary.unpack(&[layer]).expect("unpacked");
    assert_eq!(report.losses.count(LossKind::Xattr), 4, "{report:?}");
}

#[test]
fn p12_as_root_everything_else_is_set() {
    if !again_as(Who::Root, "hostile::p12_as_root_everything_else_is_set") {
        return;
    }
    let canary = Canary::new();
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let acl = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\x63\0\0\0\x04\0\x04\0\xff\xff\xff\xff\x10\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    let owned = |meta: &mut Meta| {
        (meta.uid, meta.gid) = (77, 88);
        attributed("security.capability", capability)(meta);
    };
    let layer = Layer::new()
        .file_with("caps", "x", owned)
        .file_with("acl", "x", attributed("system.posix_acl_access", acl))
        .with("d", Kind::Directory, attributed("trusted.any", b"\0binary\xff"))
        .with("s", Kind::Symlink { target: (*b"t").into() }, attributed("trusted.on-link", "v"));
    let report = canary.unpack(&[layer]).expect("unpacked");
    assert!(report.losses.is_empty(), "{report:?}");
    let read = |path, name, hex| {
        let command = format!("getfattr -h -n {name} -e hex root/{path} | grep -qi ={hex}$");
        canary.scratch.run("sh", &["-c", &command]);
    };
    read("caps", "security.capability", "0x0100000200040000000000000000000000000000");
    read("d", "trusted.any", "0x0062696e617279ff");
    read("s", "trusted.on-link", "0x76");
    canary.scratch.run("sh", &["-c", "getfacl -n root/acl | grep -qx user:99:r--"]);
}
