//! The kernel as the judge: what a real overlayfs mount shows of the same layers.
//!
//! The converter below writes each layer as a lower folder of an overlay mount and shares no code with the
//! engine. Thousands of stacks are subfolders of one mount. What an overlay cannot say is left out of the layers
//! and counted: links into lower layers, and folders that the layer only implies (they get an entry here, as
//! every engine's own diff gives them one), children of what is no folder, second entries of a path. A whiteout
//! where nothing can be hidden shows as a name that leads nowhere; such names are no names.

use crate::notation::{content, listing, shown, stack};
use crate::random::{Stack, samples};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use testkit::{Command, Scratch};

const PROOF: &str = "merge: kernel overlayfs";
const STACKS_OF_A_MOUNT: usize = 2_500;

/// A layer as an overlay can hold it: paths to what is there, parents first.
type Layer = BTreeMap<Vec<String>, Item>;

#[derive(Clone, Debug, PartialEq)]
enum Item {
    Folder { opaque: bool },
    File,
    Link(String),
    Hard(Vec<String>),
    Whiteout,
}

/// What an overlay can hold of the lines of a layer; counts what is left out.
fn expressible(lines: &[String], left_out: &Cell<usize>) -> Layer {
    let mut layer = Layer::new();
    for line in lines {
        if !add(&mut layer, line) {
            left_out.set(left_out.get() + 1);
        }
    }
    layer
}

fn add(layer: &mut Layer, line: &str) -> bool {
    let split = |path: &str| path.split('/').map(String::from).collect::<Vec<_>>();
    let words: Vec<&str> = line.split(' ').collect();
    let mut path = split(words[1]);
    let marker = path.last().filter(|name| name.starts_with(".wh.")).cloned();
    let item = match (marker.as_deref(), words[0]) {
        (Some(".wh..wh..opq"), _) => {
            path.pop();
            Item::Folder { opaque: true }
        }
        (Some(marker), _) => {
            *path.last_mut().expect("a marker has a name") = marker.trim_start_matches(".wh.").into();
            Item::Whiteout
        }
        (None, "d") => Item::Folder { opaque: false },
        (None, "f") => Item::File,
        (None, "l") => Item::Link(words[3].into()),
        (None, _) => Item::Hard(split(words[3])),
    };
    let parents = 1..path.len();
    let is_free = |item: Option<&Item>| matches!(item, None | Some(Item::Folder { .. } | Item::Whiteout));
    let target_is_missing =
        matches!(&item, Item::Hard(target) if !matches!(layer.get(target), Some(Item::File | Item::Link(_))));
    if target_is_missing || !parents.clone().all(|depth| is_free(layer.get(&path[..depth]))) {
        return false;
    }
    for depth in parents {
        put(layer, &path[..depth], Item::Folder { opaque: false });
    }
    put(layer, &path, item)
}

/// Puts an item beside what the layer says of the path already, where both can be.
fn put(layer: &mut Layer, path: &[String], item: Item) -> bool {
    let both = match (layer.get(path), item) {
        (None, item) | (Some(Item::Whiteout), item @ (Item::File | Item::Link(_) | Item::Hard(_))) => item,
        (Some(Item::Folder { opaque: one }), Item::Folder { opaque: two }) => {
            Item::Folder { opaque: *one || two }
        }
        (Some(Item::Whiteout), Item::Folder { .. }) | (Some(Item::Folder { .. }), Item::Whiteout) => {
            Item::Folder { opaque: true }
        }
        (Some(old), Item::Whiteout) => old.clone(),
        _ => return false,
    };
    layer.insert(path.into(), both);
    true
}

/// The same layer as lines of a tar.
fn lines(layer: &Layer) -> Vec<String> {
    let line = |(path, item): (&Vec<String>, &Item)| {
        let name = path.join("/");
        match item {
            Item::Folder { opaque: false } => vec![format!("d {name}")],
            Item::Folder { opaque: true } if path.is_empty() => vec!["f .wh..wh..opq".into()],
            Item::Folder { opaque: true } => vec![format!("d {name}"), format!("f {name}/.wh..wh..opq")],
            Item::File => vec![format!("f {name}")],
            Item::Link(target) => vec![format!("l {name} -> {target}")],
            Item::Hard(target) => vec![format!("h {name} => {}", target.join("/"))],
            Item::Whiteout => {
                let (last, folder) = path.split_last().expect("the root has no whiteout");
                vec![format!("f {}", [folder, &[format!(".wh.{last}")]].concat().join("/"))]
            }
        }
    };
    // A hard link may sort before its target; a tar has it after.
    let (links, rest): (Vec<_>, Vec<_>) = layer.iter().partition(|(_, item)| matches!(item, Item::Hard(_)));
    rest.into_iter().chain(links).flat_map(line).collect()
}

/// Writes a layer as a lower folder of an overlay.
fn convert(root: &Path, number: u16, layer: &Layer, lines: &[String]) {
    let at = |path: &[String]| path.iter().fold(root.to_path_buf(), |folder, name| folder.join(name));
    fs::create_dir_all(root).expect("the folder of a stack");
    for (path, item) in layer {
        let to = at(path);
        match item {
            Item::Folder { opaque } => {
                if !path.is_empty() {
                    fs::create_dir(&to).expect("a folder");
                    set_mode(&to, 0o750 | u32::from(number));
                }
                if *opaque {
                    lsetxattr(&to, "trusted.overlay.opaque", b"y", XattrFlags::empty())
                        .expect("an attribute");
                }
            }
            Item::File => {
                let line = format!("f {}", path.join("/"));
                let ordinal = lines.iter().position(|other| *other == line).expect("a line of the layer");
                fs::write(&to, content(number, ordinal.try_into().expect("few lines"))).expect("a file");
                set_mode(&to, 0o640 | u32::from(number));
            }
            Item::Link(target) => symlink(target, &to).expect("a link"),
            Item::Whiteout => {
                mknodat(CWD, &to, FileType::CharacterDevice, Mode::empty(), makedev(0, 0))
                    .expect("a whiteout");
            }
            Item::Hard(_) => {}
        }
    }
    for (path, item) in layer {
        if let Item::Hard(target) = item {
            fs::hard_link(at(target), at(path)).expect("a hard link");
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A mount that goes when it is dropped.
struct Mount(PathBuf);

impl Mount {
    /// The layers' folders as one overlay, `folders[0]` the lowest.
    fn overlay(folders: &[PathBuf], at: PathBuf) -> Result<Self, String> {
        let folders: Vec<_> = folders.iter().rev().map(|folder| folder.display().to_string()).collect();
        let options = format!("ro,lowerdir={}", folders.join(":"));
        let done = Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&at).run();
        if done.success() { Ok(Self(at)) } else { Err(done.err()) }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).run();
    }
}

/// Compares as many stacks as there are as subfolders of one mount.
fn compare(scratch: &Scratch, stacks: &[Stack], left_out: &Cell<usize>) -> Result<(), String> {
    let folders: Vec<PathBuf> = (0..5).map(|number| scratch.folder(&format!("layer{number}"))).collect();
    let layers = |stack: &Stack| stack.iter().map(|lines| expressible(lines, left_out)).collect::<Vec<_>>();
    let stacks: Vec<Vec<Layer>> = stacks.iter().map(layers).collect();
    for (index, layers) in stacks.iter().enumerate() {
        for (number, layer) in (0..).zip(layers) {
            convert(&folders[usize::from(number)].join(index.to_string()), number, layer, &lines(layer));
        }
    }
    let mount = Mount::overlay(&folders, scratch.folder("merged"))?;
    for (index, layers) in stacks.iter().enumerate() {
        let lines: Vec<Vec<String>> = layers.iter().map(lines).collect();
        let borrowed: Vec<Vec<&str>> =
            lines.iter().map(|lines| lines.iter().map(String::as_str).collect()).collect();
        let ours = stack(&borrowed).expect("what an overlay can hold stacks");
        assert_eq!(listing(&ours), shown(&mount.0.join(index.to_string())), "{lines:#?}");
    }
    Ok(())
}

#[test]
fn item_23_a_stack_is_what_the_kernel_shows_of_it() {
    if !testkit::is_root() {
        return testkit::proof::not_offered(PROOF, "only root mounts an overlay with whiteouts");
    }
    let stacks = samples(if testkit::full() { 100_000 } else { 10_000 });
    let left_out = Cell::new(0);
    for batch in stacks.chunks(STACKS_OF_A_MOUNT) {
        let scratch = testkit::scratch::scratch_in_memory();
        if let Err(why) = compare(&scratch, batch, &left_out) {
            return testkit::proof::not_offered(PROOF, &why);
        }
    }
    let entries: usize = stacks.iter().flatten().map(Vec::len).sum();
    assert!(left_out.get() * 3 < entries, "{} of {entries} entries are left out", left_out.get());
    testkit::proof::ran(PROOF, stacks.len());
}
