//! Random stacks of layers, each merged into one image whose contents lie in as many devices as there are layers: the
//! kernel shows what a naive model says of the layers, and the engine too.

use crate::model::Model;
use crate::notation::{content, entry, listing, shown, stack};
use crate::random::{Stack, samples};
use crate::shown::{Shown, is_offered};
use orlop_fs::Result;
use orlop_fs::erofs::{self, BLOCK, Describe, Place};
use orlop_fs::mount::Mount;
use orlop_layer::tree::Content;
use orlop_spec::Limits;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use testkit::{Scratch, proof};

/// Layers and entries that random stacks have at most.
const MOST: (u16, u32) = (4, 10);

/// A layer is a device, and a block of it the content of an entry.
struct Layers;

impl Describe for Layers {
    fn place(&self, content: &Content) -> Result<Place<'_>> {
        Ok(Place::Device { device: content.layer, at: u64::from(content.ordinal) * BLOCK })
    }
}

fn devices(scratch: &Scratch) -> Vec<PathBuf> {
    let device = |layer| {
        let path = scratch.path(&format!("device{layer}"));
        let file = File::create(&path).expect("a device");
        file.set_len(u64::from(MOST.1) * BLOCK).expect("as long");
        for ordinal in 0..MOST.1 {
            let at = u64::from(ordinal) * BLOCK;
            file.write_all_at(content(layer, ordinal).as_bytes(), at).expect("written");
        }
        path
    };
    (0..MOST.0).map(device).collect()
}

/// What the model says, where it and the engine take the stack.
fn modelled(layers: &[Vec<&str>]) -> Option<Vec<String>> {
    let mut model = Model::default();
    for (number, lines) in (0..).zip(layers) {
        let mut own = Model::default();
        for (ordinal, line) in (0..).zip(lines) {
            let entry = entry(number, ordinal, line).ok()?.expect("no file of aufs");
            own.extract(&entry, content(number, ordinal)).ok()?;
        }
        model = model.stack(&own).ok()?;
    }
    Some(model.listing())
}

fn compare(scratch: &Scratch, devices: &[PathBuf], layers: &Stack) -> bool {
    let layers: Vec<Vec<&str>> =
        layers.iter().map(|lines| lines.iter().map(String::as_str).collect()).collect();
    let (Some(modelled), Ok(tree)) = (modelled(&layers), stack(&layers)) else { return false };
    let sizes = vec![u64::from(MOST.1) * BLOCK; devices.len()];
    let mut image = Vec::new();
    erofs::write(&tree, &sizes, &Layers, &mut image).expect("written");
    let read = erofs::read(&image, &Limits::default()).expect("read back");
    assert_eq!(read.tree.len(), tree.len(), "{layers:#?}");
    let file = scratch.file("image", &image);
    let folder = Shown(scratch.folder("merged"));
    let named: Vec<_> = devices.iter().map(PathBuf::as_path).collect();
    Mount::erofs(&file, &named).expect("mounted").attach(&folder.0).expect("attached");
    let shown = shown(&folder.0);
    drop(folder);
    fs::remove_file(file).expect("removed");
    assert_eq!(shown, modelled, "{layers:#?}");
    assert_eq!(shown, listing(&tree), "{layers:#?}");
    true
}

#[test]
fn item_23_a_merged_image_shows_what_its_layers_mean() {
    const PROOF: &str = "erofs: merged images of random stacks";
    if !is_offered(PROOF) {
        return;
    }
    let stacks = samples(if testkit::full() { 10_000 } else { 1000 });
    let scratch = testkit::scratch();
    let devices = devices(&scratch);
    let taken = stacks.iter().filter(|layers| compare(&scratch, &devices, layers)).count();
    assert!(taken * 4 > stacks.len(), "{taken} of {} stacks are taken", stacks.len());
    proof::ran(PROOF, taken);
}
