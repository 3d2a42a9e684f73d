//! Laws of scans, on real files: as root, as an ordinary user, and under fakeroot.

mod scratch;

use orlop_fs::Error;
use orlop_fs::glob::Glob;
use orlop_fs::loss::LossKind;
use orlop_fs::owner::Owner;
use orlop_fs::scan::{Scan, ScanOptions, Unreadable, Unrepresentable};
use orlop_layer::{Chunk, Device, Entries, Entry, Kind};
use scratch::{Scratch, Who, again_as};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

/// All entries, with each file's content; holes are counted apart.
struct Seen {
    entries: Vec<(Entry, Vec<u8>)>,
    holes: u64,
}

impl Seen {
    fn paths(&self) -> Vec<String> {
        self.entries.iter().map(|(entry, _)| entry.path.to_string()).collect()
    }

    fn at(&self, path: &str) -> &(Entry, Vec<u8>) {
        let found = self.entries.iter().find(|(entry, _)| entry.path.as_bytes() == path.as_bytes());
        found.unwrap_or_else(|| panic!("{path} is in the stream"))
    }

    fn xattr(&self, path: &str, name: &str) -> Option<&[u8]> {
        self.at(path).0.meta.xattrs.get(name.as_bytes()).map(|value| &**value)
    }
}

fn read(scan: &mut Scan<'_>) -> Result<Seen, orlop_layer::Error> {
    let mut seen = Seen { entries: Vec::new(), holes: 0 };
    while let Some(entry) = scan.next_entry()? {
        let mut content = Vec::new();
        while let Some(chunk) = scan.next_chunk()? {
            match chunk {
                Chunk::Data(bytes) => content.extend_from_slice(bytes),
                Chunk::Hole(length) => {
                    seen.holes += length;
                    content.resize(content.len() + usize::try_from(length).expect("small"), 0);
                }
            }
        }
        seen.entries.push((entry, content));
    }
    Ok(seen)
}

fn scan(scratch: &Scratch, options: ScanOptions<'_>) -> Seen {
    read(&mut Scan::open(scratch.dir(), options).expect("opened")).expect("read")
}

fn fault_of(scratch: &Scratch, options: ScanOptions<'_>) -> String {
    let outcome = read(&mut Scan::open(scratch.dir(), options).expect("opened"));
    orlop_spec::Fault::from(outcome.err().expect("refused")).to_string()
}

#[test]
fn names_are_sorted_in_each_folder_and_folders_come_before_their_content() {
    let scratch = Scratch::new();
    for folder in ["b", "b/z", "a-", "a"] {
        scratch.dir_at(folder);
    }
    for file in ["b/z/1", "b/y", "a-/x", "a/x", "B"] {
        scratch.file(file, b"");
    }
    let expected = ["/", "B", "a", "a/x", "a-", "a-/x", "b", "b/y", "b/z", "b/z/1"];
    assert_eq!(scan(&scratch, ScanOptions::default()).paths(), expected);
}

#[test]
fn the_first_name_of_a_file_is_the_file() {
    let scratch = Scratch::new();
    scratch.file("m", b"content");
    std::fs::hard_link(scratch.at("m"), scratch.at("z")).expect("linked");
    std::fs::hard_link(scratch.at("m"), scratch.at("a")).expect("linked");
    symlink("nowhere", scratch.at("s1")).expect("linked");
    scratch.run("ln", &["-P", "s1", "s2"]);
    let seen = scan(&scratch, ScanOptions::default());
    assert_eq!(seen.at("a").1, b"content");
    for (name, target) in [("m", "a"), ("z", "a"), ("s2", "s1")] {
        let Kind::HardLink { target: found } = &seen.at(name).0.kind else { panic!("{name} is a hard link") };
        assert_eq!(found.as_bytes(), target.as_bytes());
    }
}

#[test]
fn holes_are_told_and_times_are_exact() {
    let scratch = Scratch::new();
    let file = std::fs::File::create(scratch.at("sparse")).expect("created");
    file.set_len(8 << 20).expect("grown");
    std::os::unix::fs::FileExt::write_at(&file, b"middle", 3 << 20).expect("written");
    let before_1970 = std::time::UNIX_EPOCH - std::time::Duration::new(1, 250_000_000);
    file.set_modified(before_1970).expect("set");
    let seen = scan(&scratch, ScanOptions::default());
    let (entry, content) = seen.at("sparse");
    assert_eq!(entry.kind, Kind::File { size: 8 << 20 });
    assert_eq!(&content[3 << 20..][..6], b"middle");
    assert!(content[..3 << 20].iter().chain(&content[(3 << 20) + 6..]).all(|byte| *byte == 0));
    assert!(seen.holes >= 6 << 20, "only {} bytes were holes", seen.holes);
    assert_eq!((entry.meta.mtime.seconds, entry.meta.mtime.nanoseconds), (-2, 750_000_000));
}

#[test]
fn item_55_reserved_names_are_refused_together_or_skipped() {
    let scratch = Scratch::new();
    scratch.dir_at("d");
    scratch.dir_at("d/.wh.folder");
    scratch.file("d/.wh.folder/inside", b"");
    scratch.file(".wh.a", b"");
    scratch.file("z", b"");
    let text = fault_of(&scratch, ScanOptions::default());
    assert!(text.contains(".wh.a") && text.contains("d/.wh.folder") && text.starts_with("2 names"), "{text}");
    let options = ScanOptions { unrepresentable: Unrepresentable::Skip, ..ScanOptions::default() };
    let mut scan = Scan::open(scratch.dir(), options).expect("opened");
    assert_eq!(read(&mut scan).expect("read").paths(), ["/", "d", "z"]);
    assert_eq!(scan.losses().count(LossKind::Name), 2);
}

#[test]
fn sockets_are_left_out_and_counted() {
    let scratch = Scratch::new();
    let _socket = std::os::unix::net::UnixListener::bind(scratch.at("socket")).expect("bound");
    let mut scan = Scan::open(scratch.dir(), ScanOptions::default()).expect("opened");
    assert_eq!(read(&mut scan).expect("read").paths(), ["/"]);
    assert_eq!(scan.losses().count(LossKind::Socket), 1);
}

#[test]
fn what_is_excluded_takes_everything_beneath_along() {
    let scratch = Scratch::new();
    for folder in ["keep", "keep/tmp", "tmp"] {
        scratch.dir_at(folder);
    }
    scratch.file("tmp/x", b"");
    scratch.file("keep/a.o", b"");
    let globs = [Glob::parse(b"/tmp").expect("a pattern"), Glob::parse(b"*.o").expect("a pattern")];
    let seen = scan(&scratch, ScanOptions { exclude: &globs, ..ScanOptions::default() });
    assert_eq!(seen.paths(), ["/", "keep", "keep/tmp"]);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_named() {
    let scratch = Scratch::new();
    scratch.file("log", &[b'x'; 100]);
    let mut scan = Scan::open(scratch.dir(), ScanOptions::default()).expect("opened");
    scan.next_entry().expect("the root");
    scan.next_entry().expect("the file");
    scan.next_chunk().expect("its bytes").expect("some");
    scratch.file("log", &[b'x'; 101]);
    let error = orlop_spec::Fault::from(scan.next_chunk().expect_err("it grew")).to_string();
    assert!(error.contains("log changed while it was read"), "{error}");
}

#[test]
fn a_folder_that_was_removed_is_not_an_empty_one() {
    let scratch = Scratch::new();
    scratch.dir_at("gone");
    let gone = scratch.dir().open_dir("gone").expect("there");
    assert!(Scan::open(&gone, ScanOptions::default()).is_ok());
    std::fs::remove_dir(scratch.path().join("gone")).expect("removed");
    let error =
        Scan::open(&gone, ScanOptions::default()).err().map(orlop_spec::Fault::from).expect("it is gone");
    assert!(error.to_string().contains("changed while it was read"), "{error}");
}

#[test]
fn a_deep_tree_needs_few_handles() {
    if !again_as(Who::Few, "a_deep_tree_needs_few_handles") {
        return;
    }
    let scratch = Scratch::new();
    let mut folder = scratch.dir().try_clone().expect("opened");
    for _ in 0..300 {
        folder.make_dir("d", 0o755).expect("made");
        folder.create_file("f", 0o644).expect("created");
        folder = folder.open_dir("d").expect("opened");
    }
    let seen = scan(&scratch, ScanOptions::default());
    assert_eq!(seen.entries.len(), 601);
    assert_eq!(seen.paths().last().map(String::as_str), Some("f"));
}

#[test]
fn p11_traces_of_overlay_mounts_are_not_part_of_the_tree() {
    let scratch = Scratch::new();
    scratch.file("f", b"x");
    scratch.xattr("f", "user.overlay.opaque", "y");
    scratch.xattr("f", "user.kept", "value");
    let mut scan = Scan::open(scratch.dir(), ScanOptions::default()).expect("opened");
    let seen = read(&mut scan).expect("read");
    assert_eq!(seen.xattr("f", "user.kept"), Some(&b"value"[..]));
    assert_eq!(seen.at("f").0.meta.xattrs.len(), 1);
    assert_eq!(scan.losses().count(LossKind::OverlayXattr), 1);
}

#[test]
fn recorded_owners_come_back_and_the_record_goes() {
    let scratch = Scratch::new();
    scratch.file("f", b"x");
    scratch.file("g", b"");
    scratch.run("setfattr", &["-n", "user.rootlesscontainers", "-v", "0x08e8071064", "f"]);
    std::fs::hard_link(scratch.at("f"), scratch.at("h")).expect("linked");
    for (owner, f, records) in [(Owner::Record, (1000, 100), 0), (Owner::Squash, (0, 0), 0)] {
        let seen = scan(&scratch, ScanOptions { owner, ..ScanOptions::default() });
        let owner_of = |path| (seen.at(path).0.meta.uid, seen.at(path).0.meta.gid);
        assert_eq!((owner_of("f"), owner_of("h"), owner_of("g")), (f, f, (0, 0)), "{owner:?}");
        assert_eq!(seen.at("f").0.meta.xattrs.len(), records, "{owner:?}");
    }
    let exact = scan(&scratch, ScanOptions::default());
    assert_eq!(exact.xattr("f", "user.rootlesscontainers"), Some(&b"\x08\xe8\x07\x10\x64"[..]));
}

#[test]
fn recorded_setuid_bits_come_back_and_the_record_goes() {
    let scratch = Scratch::new();
    for (name, value) in [("f", "6711"), ("g", "damaged")] {
        scratch.file(name, b"x");
        scratch.mode(name, 0o750);
        scratch.xattr(name, "user.orlop.mode", value);
    }
    for (owner, f) in [(Owner::Record, 0o6750), (Owner::Squash, 0o750)] {
        let seen = scan(&scratch, ScanOptions { owner, ..ScanOptions::default() });
        let mode = |path| (seen.at(path).0.meta.mode, seen.at(path).0.meta.xattrs.len());
        assert_eq!((mode("f"), mode("g")), ((f, 0), (0o750, 0)), "{owner:?}");
    }
    let exact = scan(&scratch, ScanOptions::default());
    assert_eq!((exact.at("f").0.meta.mode, exact.xattr("f", "user.orlop.mode")), (0o750, Some(&b"6711"[..])));
}

#[test]
fn an_ordinary_user_reads_what_its_own_modes_forbid_and_puts_them_back() {
    if !again_as(Who::Nobody, "an_ordinary_user_reads_what_its_own_modes_forbid_and_puts_them_back") {
        return;
    }
    let scratch = Scratch::new();
    scratch.file("file", b"secret");
    scratch.xattr("file", "user.a", "b");
    scratch.file("empty", b"");
    scratch.xattr("empty", "user.a", "b");
    scratch.dir_at("folder");
    scratch.file("folder/inside", b"too");
    for path in ["file", "empty", "folder"] {
        scratch.mode(path, 0o000);
    }
    let text = fault_of(&scratch, ScanOptions::default());
    assert!(text.contains("empty"), "the first is named: {text}");
    let seen = scan(&scratch, ScanOptions { unreadable: Unreadable::Lend, ..ScanOptions::default() });
    assert_eq!((&*seen.at("file").1, &*seen.at("folder/inside").1), (&b"secret"[..], &b"too"[..]));
    for path in ["file", "empty"] {
        assert_eq!(seen.xattr(path, "user.a"), Some(&b"b"[..]), "{path}");
    }
    for path in ["file", "empty", "folder"] {
        assert_eq!(seen.at(path).0.meta.mode, 0, "{path}");
        let mode = std::fs::symlink_metadata(scratch.at(path)).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0, "{path} has its mode back");
    }
    scratch.mode("folder", 0o700);
}

const FOLDER: &str = "ORLOP_FS_TEST_FOLDER";
const FAULT: &str = "ORLOP_FS_TEST_FAULT";

/// Scans `tree` with a journal in `journal`, and is killed at some operation.
#[test]
#[ignore = "the next test runs it in a process of its own"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = orlop_fs::Dir::open(std::path::Path::new(&folder)).expect("opened");
    let hook = orlop_fs::seam::from_text(&std::env::var(FAULT).expect("set"));
    orlop_fs::seam::install(hook.expect("a fault"));
    let journal = folder.open_dir("journal").expect("opened");
    let options =
        ScanOptions { unreadable: Unreadable::Lend, journal: Some(&journal), ..ScanOptions::default() };
    let tree = folder.open_dir("tree").expect("opened");
    read(&mut Scan::open(&tree, options).expect("opened")).expect("read");
}

#[test]
fn a_killed_scan_leaves_modes_that_the_next_one_puts_back() {
    if !again_as(Who::Nobody, "a_killed_scan_leaves_modes_that_the_next_one_puts_back") {
        return;
    }
    let closed = ["tree/d/file", "tree/d", "tree/file"];
    for step in 1.. {
        let scratch = Scratch::new();
        for folder in ["journal", "tree", "tree/d"] {
            scratch.dir_at(folder);
        }
        for path in closed {
            if path != "tree/d" {
                scratch.file(path, b"secret");
            }
            scratch.mode(path, if path == "tree/d/file" { 0o200 } else { 0 });
        }
        let mut run = std::process::Command::new(std::env::current_exe().expect("running"));
        run.args(["--exact", "child", "--ignored"]).env(FOLDER, scratch.path());
        let status = run.env(FAULT, format!("kill:{step}")).output().expect("started").status;
        let journal = scratch.dir().open_dir("journal").expect("opened");
        let tree = scratch.dir().open_dir("tree").expect("opened");
        let options =
            ScanOptions { unreadable: Unreadable::Lend, journal: Some(&journal), ..ScanOptions::default() };
        let seen = read(&mut Scan::open(&tree, options).expect("opened")).expect("read");
        let modes = ["d/file", "d", "file"].map(|path| seen.at(path).0.meta.mode);
        assert_eq!(modes, [0o200, 0, 0], "killed at {step}");
        assert!(journal.is_empty().expect("listed"), "killed at {step}");
        let mode = std::fs::symlink_metadata(scratch.at("tree/d")).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0, "killed at {step}");
        scratch.mode("tree/d", 0o700);
        if status.success() {
            assert!(step > 8, "only {step} operations");
            return;
        }
    }
}

#[test]
fn a_journal_of_somebody_else_is_not_believed() {
    if !again_as(Who::Root, "a_journal_of_somebody_else_is_not_believed") {
        return;
    }
    for (owner, expected) in [("65534", 0o600), ("0", 0o777)] {
        let scratch = Scratch::new();
        scratch.file("mine", b"");
        scratch.mode("mine", 0o600);
        let meta = std::fs::metadata(scratch.at("mine")).expect("there");
        let record = format!("777 {} {} {}\0", meta.dev(), meta.ino(), scratch.at("mine").display());
        scratch.file(".orlop-lent-abcdefabcdef", record.as_bytes());
        scratch.run("chown", &[owner, ".orlop-lent-abcdefabcdef"]);
        let options = ScanOptions { journal: Some(scratch.dir()), ..ScanOptions::default() };
        drop(Scan::open(scratch.dir(), options).expect("opened"));
        let mode = std::fs::metadata(scratch.at("mine")).expect("there").mode() & 0o7777;
        assert_eq!(mode, expected, "a journal of {owner}");
    }
}

/// A scan must see what fakeroot pretends: owners, devices, modes, attributes.
#[test]
fn a_scan_under_fakeroot_sees_its_pretences() {
    if !again_as(Who::Fakeroot, "a_scan_under_fakeroot_sees_its_pretences") {
        return;
    }
    let scratch = Scratch::new();
    scratch.file("owned", b"x");
    scratch.run("chown", &["1234:567", "owned"]);
    scratch.run("chmod", &["4755", "owned"]);
    scratch.run("mknod", &["null", "c", "1", "3"]);
    scratch.run("mknod", &["disk", "b", "8", "1"]);
    symlink("owned", scratch.at("link")).expect("linked");
    scratch.run("chown", &["-h", "77:88", "link"]);
    scratch.run(
        "setfattr",
        &["-n", "security.capability", "-v", "0x0100000200040000000000000000000000000000", "owned"],
    );
    let seen = scan(&scratch, ScanOptions::default());
    let owned = &seen.at("owned").0.meta;
    assert_eq!((owned.uid, owned.gid, owned.mode), (1234, 567, 0o4755));
    assert_eq!(seen.xattr("owned", "security.capability").map(<[u8]>::len), Some(20));
    assert_eq!(seen.at("null").0.kind, Kind::CharDevice(Device { major: 1, minor: 3 }));
    assert_eq!(seen.at("disk").0.kind, Kind::BlockDevice(Device { major: 8, minor: 1 }));
    let link = &seen.at("link").0.meta;
    assert_eq!((link.uid, link.gid), (77, 88));
}

/// As root, every kind of entry and the attributes that only root may set.
#[test]
fn root_sees_every_kind() {
    if !again_as(Who::Root, "root_sees_every_kind") {
        return;
    }
    let scratch = Scratch::new();
    scratch.file("f", b"x");
    scratch.run("mkfifo", &["fifo"]);
    scratch.run("mknod", &["null", "c", "1", "3"]);
    scratch.run("chown", &["4000000000:7", "f"]);
    symlink(std::ffi::OsStr::new("to\nwhere"), scratch.at("link")).expect("linked");
    scratch.run("setfattr", &["-h", "-n", "trusted.on-link", "-v", "v", "link"]);
    scratch.run("setfattr", &["-n", "trusted.overlay.redirect", "-v", "/x", "f"]);
    scratch.run("setfacl", &["-m", "u:99:r", "f"]);
    let mut scan = Scan::open(scratch.dir(), ScanOptions::default()).expect("opened");
    let seen = read(&mut scan).expect("read");
    assert_eq!(seen.at("f").0.meta.uid, 4_000_000_000);
    assert_eq!(seen.at("fifo").0.kind, Kind::Fifo);
    assert_eq!(seen.at("null").0.kind, Kind::CharDevice(Device { major: 1, minor: 3 }));
    assert_eq!(seen.at("link").0.kind, Kind::Symlink { target: (*b"to\nwhere").into() });
    assert_eq!(seen.xattr("link", "trusted.on-link"), Some(&b"v"[..]));
    assert!(seen.xattr("f", "system.posix_acl_access").is_some());
    assert_eq!(seen.xattr("f", "trusted.overlay.redirect"), None);
    assert_eq!(scan.losses().count(LossKind::OverlayXattr), 1);
}

#[test]
fn a_link_in_place_of_the_folder_is_not_entered() {
    let scratch = Scratch::new();
    scratch.dir_at("outside");
    scratch.file("outside/canary", b"");
    scratch.dir_at("tree");
    symlink("../outside", scratch.at("tree/link")).expect("linked");
    let tree = scratch.dir().open_dir("tree").expect("opened");
    let seen = read(&mut Scan::open(&tree, ScanOptions::default()).expect("opened")).expect("read");
    assert_eq!(seen.paths(), ["/", "link"]);
}

#[test]
fn a_static_build_under_fakeroot_is_refused() {
    use orlop_fs::fakeroot::Fakeroot;
    let error = orlop_fs::scan::check_fakeroot(Fakeroot::Unseen).expect_err("refused");
    assert!(matches!(error, Error::FakerootUnseen));
    orlop_fs::scan::check_fakeroot(Fakeroot::Seen).expect("seen is fine");
}
