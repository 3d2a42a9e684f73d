//! What images may cost on their way into a store, and that they can be stopped there.

#[expect(dead_code, reason = "each test file uses a part")]
mod stored;

use orlop_spec::port::{Hints, Result, Sink as _, Source as _};
use orlop_spec::{Cancel, Kind, Limits};
use orlop_store::store::{Options, StoreSink};
use std::path::Path;
use stored::{image_of, layer, open};
use testkit::scratch;
use testkit::suites::Sample;
use testkit::suites::copy::{by_tag, tag};

fn within(size: u64) -> Options {
    Options { limits: Limits { size, ..Limits::default() }, ..Options::default() }
}

fn copied(place: &Path, options: &Options, images: &[(&str, &Sample)]) -> Result<()> {
    let sink = StoreSink::create(place, options)?;
    for (blob, content) in images.iter().flat_map(|(_, image)| &image.blobs) {
        sink.put(blob, content, &Hints::default())?;
    }
    let roots: Vec<_> = images.iter().map(|(name, image)| (tag(name), image.root.clone())).collect();
    Box::new(sink).finish(&roots)
}

/// However many images come at once, each may have as many bytes as are allowed.
#[test]
fn images_are_limited_one_by_one() {
    let it = scratch();
    let layers: Vec<Vec<u8>> = ["ab", "cd", "ef"].map(layer).into();
    let size = layers[0].len() as u64;
    let images = [&layers[..1], &layers[1..2], &layers[2..]].map(image_of);
    let all: Vec<_> = ["a", "b", "c"].into_iter().zip(&images).collect();
    copied(&it.path("store"), &within(size), &all).expect("each is allowed");
    let fault = copied(&it.path("other"), &within(size - 1), &all[..1]).expect_err("one byte too many");
    assert_eq!(fault.kind(), Kind::Limit);
}

/// Each of its layers may be small enough.
#[test]
fn the_layers_of_one_image_are_limited_together() {
    let it = scratch();
    let layers: Vec<Vec<u8>> = ["ab", "cd"].map(layer).into();
    let size: usize = layers.iter().map(Vec::len).sum();
    let image = image_of(&layers);
    let fault =
        copied(&it.path("store"), &within(size as u64 - 1), &[("a", &image)]).expect_err("both are too much");
    assert_eq!(fault.kind(), Kind::Limit, "{fault}");
    assert!(open(&it.path("store")).resolve(&by_tag("a")).is_err(), "it got no name");
    // Now its layers are here.
    let fault =
        copied(&it.path("store"), &within(size as u64 - 1), &[("a", &image)]).expect_err("they still are");
    assert_eq!(fault.kind(), Kind::Limit, "{fault}");
    assert!(open(&it.path("store")).resolve(&by_tag("a")).is_err(), "it got no name");
    copied(&it.path("store"), &within(size as u64), &[("a", &image)]).expect("it is allowed");
}

/// Also where whoever hands the bytes over does not look: as in a hole, where no bytes come.
#[test]
fn a_layer_on_its_way_in_heeds_the_user() {
    let (it, cancel) = (scratch(), Cancel::new());
    let image = image_of(&[layer("ab")]);
    let sink = StoreSink::create(it.path("store"), &Options::default()).expect("a store").heeding(&cancel);
    cancel.set();
    let (blob, content) = &image.blobs[0];
    let fault = sink.put(blob, content, &Hints::default()).expect_err("stopped");
    assert_eq!(fault.kind(), Kind::Interrupted, "{fault}");
}
