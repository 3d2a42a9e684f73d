//! Images that are hard to stage, each with what its layers mean.

use serde_json::{Value, json};
use testkit::image::{Image, Layer, Layout, Packing};
use testkit::tarball::{Member, tar};

/// An image and what is staged of it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) layout: Layout,
    pub(crate) tree: Vec<String>,
}

fn case(name: &'static str, image: Image, tree: &[&str]) -> Case {
    Case { name, layout: image.layout(), tree: tree.iter().map(ToString::to_string).collect() }
}

fn stack(layers: &[&[Member]]) -> Vec<Vec<u8>> {
    layers.iter().map(|members| tar(members.iter().cloned())).collect()
}

fn gzip(layers: &[&[Member]]) -> Image {
    Image::of(&stack(layers), Packing::Gzip)
}

/// A manifest that does not say what it is, which is legal.
fn untyped(mut manifest: Value) -> Value {
    manifest.as_object_mut().expect("an object").shift_remove("mediaType");
    manifest
}

/// Images that a registry holds.
pub(crate) fn all() -> Vec<Case> {
    let file = |name, content| Member::file(name, content);
    let lower = [Member::folder("d"), file("d/a", "1"), file("d/b", "2"), file("e", "3")];
    let tars = stack(&[&lower, &[file(".wh.e", "")]]);
    let mixed = |base: Image| {
        base.layer(Layer::new(&tars[0], Packing::Zstd)).layer(Layer::new(&tars[1], Packing::Plain))
    };
    vec![
        case("folder-whiteout", gzip(&[&lower, &[file(".wh.d", "")]]), &["e 3"]),
        case(
            "opaque",
            gzip(&[&lower, &[Member::folder("d"), file("d/.wh..wh..opq", ""), file("d/c", "4")]]),
            &["d/", "d/c 4", "e 3"],
        ),
        case(
            "dots",
            gzip(&[
                &[Member::folder("./"), Member::folder("./d"), file("./d/a", "1"), file("./e", "3")],
                &[file("d/.wh..wh..opq", ""), file("d/b", "2"), file(".wh.e", "")],
            ]),
            &["d/", "d/b 2"],
        ),
        case(
            "file-then-folder",
            gzip(&[&[file("x", "1")], &[Member::folder("x"), file("x/y", "2")]]),
            &["x/", "x/y 2"],
        ),
        case("folder-then-file", gzip(&[&lower, &[file("d", "5")]]), &["d 5", "e 3"]),
        case("codecs", mixed(Image::new()), &["d/", "d/a 1", "d/b 2"]),
        case("untyped", gzip(&[&lower]).manifest(untyped), &["d/", "d/a 1", "d/b 2", "e 3"]),
        case(
            "what-is-not-kept",
            gzip(&[&[
                file("tool", "1").mode(0o4755).owner(7, 8),
                file("secret", "2").mode(0o000),
                Member::hard_link("other", "tool"),
                Member::symlink("link", "/etc/target"),
                Member::device(b'3', "null", 1, 3),
                Member::fifo("pipe"),
            ]]),
            &["link -> /etc/target", "other* 1", "secret 2", "tool* 1"],
        ),
        hundred(),
    ]
}

/// A hundred layers, every second of which takes the file of the one before away.
fn hundred() -> Case {
    let layers: Vec<Vec<u8>> = (0..100)
        .map(|number| {
            let own = Member::file(format!("f{number:02}"), format!("{number}"));
            let gone = (number % 2 == 1).then(|| Member::file(format!(".wh.f{:02}", number - 1), ""));
            tar([own].into_iter().chain(gone))
        })
        .collect();
    let tree = (0..100).filter(|number| number % 2 == 1).map(|number| format!("f{number:02} {number}"));
    Case { name: "hundred-layers", layout: Image::of(&layers, Packing::Gzip).layout(), tree: tree.collect() }
}

/// A layer that its manifest calls foreign, and that is here all the same.
pub(crate) fn foreign() -> Case {
    let image = gzip(&[&[Member::file("a", "1")]]).manifest(|mut manifest| {
        manifest["layers"][0]["mediaType"] =
            json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
        manifest
    });
    case("foreign", image, &["a 1"])
}

/// An image of one file for one machine.
pub(crate) fn machine(content: &str) -> Layout {
    gzip(&[&[Member::file("machine", content)]]).layout()
}
