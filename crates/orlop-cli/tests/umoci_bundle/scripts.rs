//! Programs that call umoci, call by call: LXC's template for OCI images and KIWI, each beside the installed umoci.

use super::ready;
use crate::world::{Tool, World};
use serde_json::Value;
use testkit::dump::{Aspect, differences, dump};
use testkit::{Command, peer, proof};

/// `lxc-create -t oci`: skopeo fetches into a layout whose folder of blobs is a link to one that containers share, umoci unpacks,
/// with `--rootless` where users are mapped, and what is in the root filesystem is moved to the container's.
#[test]
fn the_calls_of_lxcs_template_make_the_same_container() {
    let name = "umoci: LXC's template";
    if !ready(name) {
        return;
    }
    if peer("skopeo").is_none() {
        return proof::skipped(name, "skopeo is missing");
    }
    let world = World::new();
    world.run(
        Tool::Theirs,
        &["config", "--image", "image:base", "--config.cmd", "/bin/one", "--config.user", "7:8"],
    );
    world.shell(".", "mkdir -p oci/blobs cache; ln -s \"$PWD/cache/sha256\" oci/blobs/sha256");
    world.shell(
        ".",
        "skopeo copy --remove-signatures --insecure-policy --dest-shared-blob-dir cache oci:image:base oci:oci:c1",
    );
    for flags in [&[][..], &["--rootless"]] {
        let trees = Tool::BOTH.map(|tool| {
            let root = format!("{}{}", tool.name(), flags.len());
            let tmp = format!("{root}.tmp");
            let words = [&["--log=error", "unpack"], flags, &["--image", "oci:c1", &tmp]].concat();
            let told = world.run(tool, &words);
            assert_eq!(told.out(), "", "nothing is said to those who asked for errors alone");
            world.shell(
                ".",
                &format!("mkdir {root}; find {tmp}/rootfs -mindepth 1 -maxdepth 1 -exec mv {{}} {root} ';'"),
            );
            dump(&world.path(&root))
        });
        // The root of the container was made by the template. Of devices, umoci makes empty files with that flag; here they are
        // devices where the caller may make them.
        let found = differences(&trees[0], &trees[1], &[Aspect::Holes]);
        let found: Vec<_> =
            found.into_iter().filter(|it| it.path != b"." && it.path != b"dev/null").collect();
        assert!(found.is_empty(), "{flags:?}: {found:?}");
    }
    let shared = world.path("cache/sha256");
    assert!(
        shared.is_dir() && shared.read_dir().is_ok_and(|mut all| all.next().is_some()),
        "skopeo shares blobs"
    );
    proof::ran(name, 4);
}

/// KIWI: an image from nothing, then one on top of it.
#[test]
fn the_calls_of_kiwi_make_the_same_images() {
    let name = "umoci: KIWI";
    if !ready(name) {
        return;
    }
    if peer("skopeo").is_none() {
        return proof::skipped(name, "skopeo is missing");
    }
    let world = World::new();
    let made = Tool::BOTH.map(|tool| {
        let help = world.run(tool, &["config", "--help"]);
        assert!(help.out().contains("--no-history"), "KIWI looks for it");
        let (layout, base) = (tool.name(), format!("{}:base_layer", tool.name()));
        world.run(tool, &["init", "--layout", layout]);
        world.run(tool, &["new", "--image", &base]);
        let first = build(
            &world,
            tool,
            (&base, "first"),
            "mkdir -p etc usr/bin; echo root:x:0:0::/root:/bin/sh >etc/passwd; echo os >etc/os-release; chmod 4755 etc/os-release",
        );
        export(&world, tool, "first");
        let again = format!("{layout}-again");
        world.shell(
            ".",
            &format!(
                "skopeo --insecure-policy copy oci-archive:{layout}.tar:kiwi:first oci:{again}:base_layer"
            ),
        );
        let second = build(
            &world,
            tool,
            (&format!("{again}:base_layer"), "second"),
            "rm etc/os-release; echo more >usr/bin/more",
        );
        [first, second]
    });
    assert_eq!(made[0], made[1]);
    proof::ran(name, 2);
}

/// Unpacks, changes, repacks, configures and sweeps; gives what the config says, and what the image holds.
fn build(world: &World, tool: Tool, (image, tag): (&str, &str), edit: &str) -> (Value, Vec<String>) {
    let (layout, _) = image.split_once(':').expect("a tag");
    let (bundle, date) = (format!("{layout}-root"), "2026-01-02T03:04:05+00:00");
    world.run(tool, &["unpack", "--image", image, &bundle]);
    world.shell(&format!("{bundle}/rootfs"), &format!("{edit}; find . -exec touch -h -d {date} {{}} +"));
    let history = [
        "--history.comment=why",
        "--history.created_by=KIWI 11",
        "--history.author=me",
        "--history.created",
        date,
    ];
    world.run(tool, &[&["repack"], &history[..], &["--image", image, &bundle]].concat());
    let settings = [
        "--author=A Person <a@example.com>",
        "--config.user=root",
        "--config.workingdir=/root",
        "--clear=config.entrypoint",
        "--config.cmd=/bin/bash",
        "--config.cmd=-c",
        "--config.volume=/data",
        "--config.stopsignal=15",
        "--config.exposedports=8080",
        "--config.env=PATH=/usr/bin",
        "--config.label=name=a b",
        "--no-history",
    ];
    world.run(
        tool,
        &[&["config"], &settings[..], &["--image", image, "--tag", tag, "--created", date]].concat(),
    );
    world.run(tool, &["gc", "--layout", layout]);
    let mut config = world.config_of(layout, tag);
    config["rootfs"]["diff_ids"] = config["rootfs"]["diff_ids"].as_array().map_or(0, Vec::len).into();
    let tree = world.tree_of(layout, tag);
    (config, tree.into_iter().map(|(path, node)| format!("{} {node:?}", path.escape_ascii())).collect())
}

fn export(world: &World, tool: Tool, tag: &str) {
    let layout = tool.name();
    let to = format!("oci-archive:{layout}.tar:kiwi:{tag}");
    let line = ["--insecure-policy", "copy", &format!("oci:{layout}:{tag}"), &to];
    Command::new("skopeo").args(line).current_dir(world.path("")).ok();
}
