//! Bundles of umoci: what one tool unpacks, the other goes on with.
//!
//! The installed umoci is the judge. What another release says, `record.sh` writes down.

mod repack;
mod run;
mod scripts;
mod world;

use std::fs;
use testkit::command::orlop_path;
use testkit::dump::{Aspect, differences, dump};
use testkit::mtree::lines;
use testkit::{Command, is_root, peer, proof};
use world::{Tool, World};

/// Whether the proof can run; says why not.
fn ready(name: &str) -> bool {
    if std::env::var_os(world::THEIRS).is_none() && peer("umoci").is_none() {
        proof::skipped(name, "umoci is missing");
        return false;
    }
    if !is_root() {
        proof::not_offered(name, "owners and devices need root");
        return false;
    }
    true
}

/// Each tool's manifest fits what the other unpacked, and so neither finds a change in it.
#[test]
fn both_tools_unpack_the_same_bundle() {
    let name = "umoci: bundles are alike";
    if !ready(name) {
        return;
    }
    for flags in [&[][..], &["--uid-map", "0:100000:65536", "--gid-map", "0:200000:65536"]] {
        let world = World::new();
        for tool in Tool::BOTH {
            world.run(tool, &[&["unpack", "--image", "image:base"], flags, &[tool.name()]].concat());
        }
        let trees = Tool::BOTH.map(|tool| dump(&world.path(&format!("{}/rootfs", tool.name()))));
        assert_eq!(differences(&trees[0], &trees[1], &[Aspect::Holes]), [], "{flags:?}");
        let of = |file: &str| Tool::BOTH.map(|tool| world.read(&format!("{}/{file}", tool.name())));
        // The last member is 0.4.7's; later releases leave it out.
        let [ours, theirs] = of("umoci.json").map(|text| text.replace(",\"whiteout_mode\":0", ""));
        assert_eq!(ours, theirs);
        let manifest = world.manifest_of_tree("ours");
        assert_eq!(world.manifest_of_tree("theirs").file_name(), manifest.file_name());
        let [ours, theirs] = of(&manifest.file_name().expect("a file").to_string_lossy());
        assert_eq!(lines(&ours), lines(&theirs), "{flags:?}");
        for tool in Tool::BOTH {
            world.validate(tool.name(), 0);
        }
    }
    proof::ran(name, 2);
}

/// The digests of the manifest are those of the layers on their way: what is written is not read.
#[test]
fn unpack_reads_no_file_that_it_wrote() {
    let name = "umoci: one pass";
    if !ready(name) {
        return;
    }
    if peer("strace").is_none() {
        return proof::skipped(name, "strace is missing");
    }
    let world = World::new();
    world.shell(".", "mkdir layer; seq 100000 >layer/large-file; ln layer/large-file layer/name; tar -C layer -cf layer.tar large-file name");
    world.run(Tool::Theirs, &["raw", "add-layer", "--image", "image:base", "layer.tar"]);
    let trace = world.path("trace");
    let calls = ["-f", "-y", "-e", "trace=write,pwrite64,read,pread64,preadv,mmap,copy_file_range", "-o"];
    let traced = Command::new("strace").args(calls).arg(&trace).arg(orlop_path()).args(["compat", "umoci"]);
    traced.args(["unpack", "--image", "image:base", "bundle"]).current_dir(world.path("")).ok();
    let trace = fs::read_to_string(&trace).expect("a text");
    let (written, others): (Vec<&str>, Vec<&str>) =
        trace.lines().filter(|line| line.contains("/large-file>")).partition(|line| line.contains("write"));
    assert!(!written.is_empty(), "the trace shows the file");
    assert_eq!(others, [""; 0]);
    world.validate("bundle", 0);
    proof::ran(name, 1);
}

#[test]
fn a_bundle_is_closed_to_others_and_made_beside_what_is_there() {
    if !ready("umoci: where bundles go") {
        return;
    }
    let world = World::new();
    fs::create_dir(world.path("full")).expect("new");
    fs::write(world.path("full/mine"), "").expect("new");
    world.run(Tool::Ours, &["unpack", "--image", "image:base", "full"]);
    assert!(world.path("full/mine").exists());
    world.validate("full", 0);
    assert_eq!(world.mode("full"), 0o700);
    assert_eq!(world.fails(Tool::Ours, &["unpack", "--image", "image:base", "full"]), 1, "a bundle already");
    assert_eq!(world.fails(Tool::Ours, &["unpack", "--image", "image:none", "new"]), 1);
    assert_eq!(world.fails(Tool::Ours, &["unpack", "--image", "image:base", "--uid-map", "0:1:1", "new"]), 1);
    assert!(!world.path("new").exists(), "nothing is left of what failed");
    proof::ran("umoci: where bundles go", 4);
}

#[test]
fn a_change_of_the_tree_is_told_against_either_manifest() {
    if !ready("umoci: validation") {
        return;
    }
    let world = World::new();
    for tool in Tool::BOTH {
        world.run(tool, &["unpack", "--image", "image:base", tool.name()]);
        world.shell(&format!("{}/rootfs", tool.name()), "echo changed >etc/two; rm etc/one; mkdir new");
        let told = world.validate(tool.name(), 1);
        for expected in
            ["\"etc/one\": missing path\n", "\"new\": unexpected path\n", "\"etc/two\": keyword \""]
        {
            assert!(told.contains(expected), "{told}");
        }
        assert!(!told.contains("usr/lib/libx"), "{told}");
    }
    proof::ran("umoci: validation", 2);
}

/// `time` is exact; whole seconds are compared where either side knows no more.
#[test]
fn times_are_compared_as_exactly_as_both_sides_know_them() {
    let folder = testkit::scratch();
    fs::create_dir(folder.path("root")).expect("new");
    fs::write(folder.path("root/f"), "").expect("new");
    let touch = |time: &str| {
        Command::new("touch").args(["-d", time]).args([folder.path("root/f"), folder.path("root")]).ok()
    };
    let cases = [
        ("time=1000000000.100000000", "@1000000000.1", [0, 0, 0]),
        ("time=1000000000.100000000", "@1000000000", [1, 1, 0]),
        ("time=1000000000.100000000", "@1000000001.1", [1, 1, 1]),
        ("tar_time=1000000000.000000000", "@1000000000.9", [0, 0, 0]),
        ("tar_time=1000000000.000000000", "@1000000001", [1, 1, 1]),
    ];
    for (said, is, codes) in cases {
        fs::write(folder.path("manifest"), format!(". type=dir {said}\n    f type=file {said}\n..\n"))
            .expect("written");
        drop(touch(is));
        for (flags, code) in [&[][..], &["-k", "time"], &["-k", "tar_time"]].into_iter().zip(codes) {
            let line = ["compat", "umoci", "raw", "mtree-validate", "-f", "manifest", "-p", "root"];
            let done = testkit::orlop().args(line).args(flags).current_dir(folder.root()).run();
            assert_eq!(done.code(), Some(code), "{said} {is} {flags:?}: {done}");
        }
    }
}

#[test]
fn raw_verbs_make_parts_of_a_bundle() {
    if !ready("umoci: raw verbs") {
        return;
    }
    let world = World::new();
    world.run(Tool::Ours, &["raw", "unpack", "--image", "image:base", "root"]);
    world.run(Tool::Ours, &["unpack", "--image", "image:base", "bundle"]);
    let (root, bundle) = (dump(&world.path("root")), dump(&world.path("bundle/rootfs")));
    assert_eq!(differences(&root, &bundle, &[Aspect::Holes]), []);
    for verb in ["runtime-config", "config"] {
        world.run(
            Tool::Ours,
            &["raw", verb, "--image", "image:base", "--rootfs", "bundle/rootfs", "config.json"],
        );
        assert_eq!(world.read("config.json"), world.read("bundle/config.json"));
    }
    proof::ran("umoci: raw verbs", 3);
}

/// A layer with a folder where the one below has a link to a folder, as umoci 0.4.7 has it with that flag and without.
#[test]
fn links_to_folders_stay_where_that_is_asked_for() {
    if !ready("umoci: links to folders") {
        return;
    }
    let world = World::new();
    world.shell(".", "mkdir -p layer/lib; echo through >layer/lib/own; tar -C layer -cf layer.tar lib");
    world.run(Tool::Theirs, &["raw", "add-layer", "--image", "image:base", "--tag", "linked", "layer.tar"]);
    for flags in [&[][..], &["--keep-dirlinks"]] {
        let trees = Tool::BOTH.map(|tool| {
            let target = format!("{}{}", tool.name(), flags.len());
            world.run(tool, &[&["unpack", "--image", "image:linked"], flags, &[&target]].concat());
            dump(&world.path(&target).join("rootfs"))
        });
        // What umoci leaves of the folder's time, it itself does not agree on with and without the flag.
        let found = differences(&trees[0], &trees[1], &[Aspect::Holes, Aspect::Time]);
        assert_eq!(found, [], "{flags:?}");
        assert_eq!(trees[0].contains_key(&b"usr/lib/own"[..]), !flags.is_empty());
    }
    proof::ran("umoci: links to folders", 2);
}
