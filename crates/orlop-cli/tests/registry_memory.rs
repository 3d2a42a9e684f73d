//! A large blob costs no more memory than a small one, whichever way it goes.

use orlop::spec::{Algorithm, Hasher};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use testkit::image::{Image, Layer, Packing, blob_path};
use testkit::peak::Peak;
use testkit::registry::Registry;
use testkit::scratch::scratch_in_memory;
use testkit::{Scratch, full, orlop, proof, scratch};

/// What the program may hold however large a blob is, and for each worker besides.
const FIXED: u64 = 64 << 20;
const EACH_WORKER: u64 = 4 << 20;

/// Larger than everything that is allowed together.
fn size() -> u64 {
    if full() { (1 << 30) + (100 << 20) } else { 256 << 20 }
}

/// A layout whose only layer is zeros, which take no space, and are sent like anything else.
fn layout(folder: &Scratch) -> String {
    let (size, mut hasher, block) = (size(), Hasher::new(Algorithm::Sha256), vec![0; 1 << 20]);
    (0..size >> 20).for_each(|_| hasher.update(&block));
    let digest = hasher.finish().to_string();
    let layer = Layer { diff_id: digest.clone(), ..Layer::new(&[], Packing::Plain) };
    let named = digest.clone();
    let image = Image::new().layer(layer).manifest(move |mut manifest| {
        manifest["layers"][0]["size"] = size.into();
        manifest["layers"][0]["digest"] = named.into();
        manifest
    });
    image.layout().write(&folder.path("image"));
    let blob = folder.path("image").join(blob_path(&digest));
    std::fs::File::create(blob).and_then(|file| file.set_len(size)).expect("it has no content");
    format!("oci:{}:latest", folder.path("image").display())
}

const PROOF: &str = "memory: a large blob to a registry, from one, and from one to another";

#[test]
fn a_large_blob_is_never_in_memory() {
    let (Some(one), Some(other)) = (Registry::plain(), Registry::plain()) else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let (home, memory) = (scratch(), scratch_in_memory());
    let (first, second) =
        (format!("docker://{}/app:1", one.host()), format!("docker://{}/app:1", other.host()));
    let target = format!("oci:{}:1", memory.path("pulled").display());
    let workers = available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    let most = FIXED + EACH_WORKER * workers;
    assert!(size() > 2 * most, "a blob in memory would not be seen");
    for words in [["push", &layout(&home), &first], ["copy", &first, &second], ["pull", &second, &target]] {
        let peak = Peak::default();
        let command = orlop().args(words).env("HOME", home.root()).env("XDG_STATE_HOME", home.path("state"));
        command.env("XDG_CACHE_HOME", home.path("cache")).started(peak.watch()).ok();
        let held = peak.bytes();
        assert!(held > 1 << 20, "{words:?} was not seen");
        assert!(held <= most, "{words:?} held {held} bytes of {most} that are allowed");
    }
    proof::ran(PROOF, 3);
}
