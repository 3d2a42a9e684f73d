//! What is put on an image is no folder and no file, leads in a circle, or changes under the hand.

use crate::world::World;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use testkit::command::orlop_path;
use testkit::hostile::spoiled;
use testkit::image::{gzip, zstd};
use testkit::tarball::{Member, tar};
use testkit::{full, proof};

#[test]
fn what_is_no_source_is_refused() {
    let it = World::new();
    it.sh("ln -s two one; ln -s one two; ln -s nowhere dangling; : > empty; head -c 1000 /dev/zero | tr '\\0' x > junk
        mkdir -p deep; mkfifo fifo");
    let _socket = UnixListener::bind(it.path("sock")).expect("bound");
    let refusals: [(&[&str], i32, &str); 14] = [
        (&["append", "oci:l:app", "sock"], 1, "cannot open sock"),
        (&["append", "oci:l:app", "one"], 1, "symbolic links"),
        (&["append", "oci:l:app", "dangling"], 2, "dangling"),
        (&["append", "oci:l:app", "base/f/x"], 1, "base/f"),
        (&["append", "oci:l:app", "empty"], 5, "the tar empty cannot be used"),
        (&["append", "oci:l:app", "junk"], 5, "the tar junk cannot be used"),
        (&["append", "oci:l:app", "/dev/null"], 5, "the tar /dev/null cannot be used"),
        (&["append", "oci:l:app", "/dev/zero"], 9, "the tar /dev/zero cannot be used"),
        (&["append", "oci:l:app", "up", "junk"], 5, "the tar junk cannot be used"),
        (&["insert", "oci:l:app", "sock", "/run/sock"], 64, "name a file or a folder"),
        (&["insert", "oci:l:app", "up", "/../../etc"], 64, ".."),
        (&["insert", "oci:l:app", "up", "/a/.wh.b"], 64, ".wh."),
        (&["insert", "oci:l:app", "--whiteout", "/.wh..wh.x"], 5, ".wh."),
        (&["copy", "--append", "sock", "oci:l:app", "oci:l:new"], 1, "cannot open sock"),
    ];
    for (words, code, said) in refusals {
        it.refused(it.command(words), (code, said), &["l"]);
    }
    // A link is a link wherever it leads, a device and a pipe are what they are, and a folder leads nowhere by its links.
    it.sh("ln -s / deep/root; ln -s loop deep/loop; cp -P one deep/one; mkfifo deep/pipe");
    it.command(&["insert", "oci:l:app", "one", "/one", "--to", "oci:l:link"]).ok();
    it.command(&["insert", "oci:l:app", "fifo", "/fifo", "--to", "oci:l:fifo"]).ok();
    it.command(&["append", "oci:l:app", "deep", "--to", "oci:l:deep"]).ok();
    let files = it.command(&["files", "oci:l:deep"]).ok().out();
    assert!(
        files.contains("root -> /") && files.contains("loop -> loop") && files.lines().count() == 6,
        "{files}"
    );
    proof::ran("hostile: sources of layers that are none", refusals.len() + 3);
}

/// Tars that want to be layers: whoever unpacks the image would be led astray.
#[test]
fn hostile_tars_are_refused_before_they_are_layers() {
    let it = World::new();
    let many = |count: u32| tar((0..count).map(|number| Member::file(format!("d/{number}"), "")));
    let zeros = vec![0; 8 << 20];
    let tars: [(&str, Vec<u8>, &[&str], i32); 12] = [
        ("p1 a path that climbs", tar([Member::file("../../etc/x", "1")]), &[], 5),
        ("p3 a link to what is outside", tar([Member::hard_link("x", "../../etc/passwd")]), &[], 5),
        ("p5 a whiteout of nothing", tar([Member::file("d/.wh.", "")]), &[], 5),
        ("p5 a whiteout that climbs", tar([Member::file("d/.wh...", "")]), &[], 5),
        ("t6 a size that wraps", tar([Member::file("f", "").base256(testkit::tarball::SIZE, -1)]), &[], 5),
        ("t6 a size beyond the end", tar([Member::file("f", "").claims(1 << 20)]), &[], 5),
        ("t5 an endless name", tar([Member::long_name(&vec![b'n'; 2 << 20]), Member::file("f", "")]), &[], 9),
        ("d1 more entries than may be", many(2000), &["--max-entries", "1000"], 9),
        (
            "d1 devices by the thousand",
            tar((0..2000).map(|n| Member::device(b'3', format!("n{n}"), n, n))),
            &["--max-entries", "1000"],
            9,
        ),
        ("d1 a bomb of gzip", gzip(&tar([Member::file("f", &zeros)])), &["--max-size", "1M"], 9),
        ("d1 a bomb of zstd", zstd(&tar([Member::file("f", &zeros)])), &["--max-size", "1M"], 9),
        ("d2 half a stream", gzip(&tar([Member::file("f", "1")]))[..40].to_vec(), &[], 5),
    ];
    for (name, bytes, flags, code) in &tars {
        it.0.file(name, bytes);
        for words in
            [&["append", "oci:l:app", name][..], &["copy", "oci:l:app", "oci:l:new", "--append", name]]
        {
            let done = it.refused(it.command(words).args(*flags), (*code, name), &["l"]);
            assert!(done.err().lines().count() < 8, "{done}");
        }
        let streamed = it.command(&["append", "oci:l:app", "-"]).args(*flags).input(bytes.clone());
        it.refused(streamed, (*code, ""), &["l"]);
    }
    proof::ran("hostile: tars that want to be layers", 3 * tars.len());
}

/// A folder that is taken away, or exchanged, while the layer before it is read.
#[test]
fn a_source_that_vanishes_is_told() {
    let it = World::new();
    let layer = tar([Member::file("first", "1")]);
    let changes: [(&str, Option<i32>); 6] = [
        ("rm -r late", Some(1)),
        ("rm -r late; mkdir late", Some(1)),
        ("rm late.tar", None),
        (": > late.tar", Some(5)),
        // What is open is read, and not what has its name now.
        ("mv late aside; ln -s / late", None),
        ("rm late/x", None),
    ];
    for (change, code) in changes {
        it.sh("rm -rf late aside; mkdir late; echo x > late/x; tar -cf late.tar up");
        let before = it.dump("l");
        let mut editor = std::process::Command::new(orlop_path())
            .args(["append", "oci:l:app", "-", "late", "late.tar", "--to", "oci:l:made"])
            .current_dir(it.0.root())
            .env("ORLOP_ROOT", it.path("store"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // It has opened all of them when it has read more than a pipe holds of the first.
        let mut stream = editor.stdin.take().expect("piped");
        let padded = [tar([Member::file("big", vec![b'x'; 1 << 20])]), layer.clone()].concat();
        stream.write_all(&padded[..1 << 19]).expect("it reads");
        it.sh(change);
        stream.write_all(&padded[1 << 19..]).expect("it reads to the end");
        drop(stream);
        let done = editor.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&done.stderr);
        if let Some(code) = code {
            assert_eq!(done.status.code(), Some(code), "{change}: {said}");
            assert!(said.contains("error: ") && said.contains("late"), "{change}: {said}");
            assert_eq!(spoiled(&before, &it.dump("l")), [], "{change}");
        } else {
            assert!(done.status.success(), "{change}: {said}");
            it.command(&["validate", "oci:l:made"]).ok();
            it.command(&["untag", "oci:l:made"]).ok();
        }
    }
    proof::ran("hostile: sources of layers that vanish", changes.len());
}

/// A file that grows without end while it is read is told, and does not keep anybody.
#[test]
fn a_source_that_is_written_to_is_told() {
    let it = World::new();
    let rounds = if full() { 20 } else { 2 };
    it.sh("mkdir busy; head -c 20000000 /dev/urandom > busy/a; echo z > busy/z");
    for _ in 0..rounds {
        let file = std::fs::OpenOptions::new().append(true).open(it.path("busy/a")).expect("ours");
        let done = std::thread::scope(|scope| {
            let run =
                scope.spawn(|| it.command(&["append", "oci:l:app", "busy", "--to", "oci:l:busy"]).run());
            while !run.is_finished() {
                (&file).write_all(b"more").expect("there is room");
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            run.join().expect("ran")
        });
        assert_eq!(done.code(), Some(1), "{done}");
        assert!(
            done.err().contains("busy/a changed while it was read") && done.err().contains("run it again"),
            "{done}"
        );
        it.refused(it.command(&["digest", "oci:l:busy"]), (2, "busy"), &["l"]);
    }
    proof::ran("hostile: sources of layers that are written to", rounds);
}
