//! Images of several layers that meet in every way, and what they are unpacked to.

use serde_json::Value;
use std::fs;
use testkit::image::{Image, Packing, blob_path};
use testkit::tarball::{MTIME, Member, tar};
use testkit::{Command, Finished, Scratch, orlop, scratch};

/// Runs `orlop` in the folder of a test.
pub(crate) fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

/// As [`run`], of a line without quotes.
pub(crate) fn line(it: &Scratch, words: &str) -> Command {
    run(it, &words.split(' ').collect::<Vec<_>>())
}

/// As [`line`], and it must go well.
pub(crate) fn ok(it: &Scratch, words: &str) -> Finished {
    line(it, words).ok()
}

/// A layout `l` with an image of these layers.
pub(crate) fn image(layers: &[Vec<Member>]) -> Scratch {
    of(Image::of(&tars(layers), Packing::Gzip))
}

/// Layers as tars, their entries at times of their own.
pub(crate) fn tars(layers: &[Vec<Member>]) -> Vec<Vec<u8>> {
    let timed = |(at, members): (usize, &Vec<Member>)| {
        let number = |n: usize| (1_600_000_000 + 1000 * at + n) as u64;
        tar(members.iter().enumerate().map(|(n, member)| member.clone().number(MTIME, number(n))))
    };
    layers.iter().enumerate().map(timed).collect()
}

/// A layout `l` with the image.
pub(crate) fn of(image: Image) -> Scratch {
    let it = scratch();
    image.layout().write(&it.folder("l"));
    it
}

/// A base, what changes and removes things of it, and what changes that again.
pub(crate) fn three() -> Vec<Vec<Member>> {
    let noise: Vec<u8> = (0..300_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    vec![
        vec![
            Member::folder("etc"),
            Member::file("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
            Member::folder("d"),
            Member::file("d/a", "a"),
            Member::hard_link("d/same", "d/a"),
            Member::file("gone", "gone"),
            Member::folder("opaque"),
            Member::file("opaque/old", "old"),
            Member::folder("was"),
            Member::file("was/in", "in"),
        ],
        vec![
            Member::folder("d"),
            Member::file("d/a", "changed"),
            Member::file(".wh.gone", ""),
            Member::folder("opaque"),
            Member::file("opaque/.wh..wh..opq", ""),
            Member::file("opaque/new", "new"),
            Member::file("was", "a file now"),
            Member::folder("big"),
            Member::file("big/noise", &noise[..700_000]),
            Member::file("big/more", &noise[500_000..]),
            Member::hard_link("big/link", "big/noise"),
            Member::symlink("absolute", "/d/a"),
        ],
        vec![
            Member::folder("d"),
            Member::file("d/.wh.same", ""),
            Member::folder("was"),
            Member::file("was/again", "again"),
            Member::file("d/b", "b").owner(1000, 1001).mode(0o4755),
            Member::fifo("pipe"),
        ],
    ]
}

/// The merged tree as a canonical tar: equal bytes are equal trees.
pub(crate) fn tree(it: &Scratch, tag: &str) -> Vec<u8> {
    let file = format!("{tag}.tree.tar");
    ok(it, &format!("copy oci:l:{tag} tar:{file}"));
    fs::read(it.path(&file)).expect("it was written")
}

pub(crate) fn manifest(it: &Scratch, tag: &str) -> Value {
    serde_json::from_str(&ok(it, &format!("inspect --raw oci:l:{tag}")).out()).expect("JSON")
}

pub(crate) fn config(it: &Scratch, tag: &str) -> Value {
    serde_json::from_str(&ok(it, &format!("inspect --config oci:l:{tag}")).out()).expect("JSON")
}

pub(crate) fn digest(it: &Scratch, tag: &str) -> String {
    ok(it, &format!("digest oci:l:{tag}")).out().trim().to_owned()
}

/// Digests of the layers.
pub(crate) fn layers(it: &Scratch, tag: &str) -> Vec<String> {
    let manifest = manifest(it, tag);
    let layers = manifest["layers"].as_array().expect("layers").iter();
    layers.map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect()
}

/// Paths of the merged tree.
pub(crate) fn paths(it: &Scratch, tag: &str) -> Vec<String> {
    let listing = ok(it, &format!("files --format json oci:l:{tag}")).out();
    let listing: Value = serde_json::from_str(&listing).expect("JSON");
    let files = listing["files"].as_array().expect("files").iter();
    files.map(|file| file["path"].as_str().expect("a path").to_owned()).collect()
}

/// Takes a layer's blob away, so that nobody can read it.
pub(crate) fn hide(it: &Scratch, tag: &str, layer: usize) {
    fs::remove_file(it.path("l").join(blob_path(&layers(it, tag)[layer]))).expect("it was there");
}

/// History and layers must count alike (item 37).
pub(crate) fn in_step(it: &Scratch, tag: &str) {
    let config = config(it, tag);
    let count = layers(it, tag).len();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(count));
    if let Some(history) = config["history"].as_array() {
        let made = history.iter().filter(|step| step["empty_layer"] != true).count();
        assert_eq!(made, count, "{tag}: {history:?}");
    }
}

/// A layer of few names, so that they meet; with or without entries for folders.
pub(crate) fn random(drawn: &mut impl Iterator<Item = usize>, says_folders: bool) -> Vec<Member> {
    let mut members = Vec::new();
    let mut below = |most: usize| drawn.next().expect("enough were drawn") % most;
    for number in 0..6 {
        let [folder, name, target] = [(); 3].map(|()| ["a", "b", "c"][below(3)]);
        let in_folder = below(3) > 0;
        if in_folder && says_folders {
            members.push(Member::folder(folder));
        }
        let path = |name: &str| if in_folder { format!("{folder}/{name}") } else { name.to_owned() };
        members.push(match below(6) {
            0 => Member::file(path(&format!(".wh.{name}")), ""),
            1 if in_folder => Member::file(path(".wh..wh..opq"), ""),
            2 if !in_folder => Member::symlink(name, target),
            3 => Member::folder(path(name)),
            _ => Member::file(path(name), format!("{number} {}", below(256))),
        });
    }
    members
}
