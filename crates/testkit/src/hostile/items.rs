//! The numbered rules for layouts, configs and layers that no letter covers.

use super::{Cases, Expected, Form, Verb, Who, refused, refused_as, tree, tree_or_refused};
use crate::image::{Image, Layer, Packing, sha256};
use crate::tarball::{Member, tar};
use orlop_spec::Kind;
use serde_json::{Value, json};

pub(super) fn add(cases: &mut Cases<'_>) {
    missing_files(cases);
    wrong_bytes(cases);
    descriptors(cases);
    configs(cases);
    platforms(cases);
    layer_laws(cases);
    whiteouts(cases);
    docker_archives(cases);
}

fn file(name: &str, content: &str) -> Member {
    Member::file(name, content)
}

fn image() -> Image {
    Image::of(&[tar([file("f", "1")]), tar([file("g", "2")])], Packing::Gzip)
}

const LINES: [&str; 2] = ["f=1", "g=2"];
const ABSENT: [Kind; 2] = [Kind::NotFound, Kind::Integrity];

fn missing_files(cases: &mut Cases<'_>) {
    cases.layout("1", "undamaged", image().layout(), &tree(&LINES));
    let layout = image().layout();
    let usage = [Kind::NotFound, Kind::Integrity, Kind::Usage, Kind::Other];
    for path in ["oci-layout", "index.json"] {
        cases.layout("1", &format!("without {path}"), layout.clone().without(path), &refused_as(&usage));
    }
    for (name, marker) in [
        ("empty", ""),
        ("a list", "[]"),
        ("of version 9", r#"{"imageLayoutVersion":"9.0.0"}"#),
        ("without a version", "{}"),
    ] {
        let broken = layout.clone().edit("oci-layout", |bytes| *bytes = marker.into());
        cases.layout("1", &format!("a marker {name}"), broken, &refused_as(&usage));
    }
    for (name, path) in [
        ("manifest", layout.manifest_path()),
        ("config", layout.config_path()),
        ("layer", layout.layer_path(1)),
    ] {
        cases.layout(
            "3",
            &format!("without its {name}"),
            layout.clone().without(&path),
            &refused_as(&ABSENT),
        );
    }
    let archive = layout.archive();
    cases.push(
        "1",
        "an archive",
        Verb::Unpack,
        Form::OciArchive(archive.clone()),
        &tree(&LINES),
        Who::Anyone,
    );
    for (name, length) in [
        ("nothing", 0),
        ("half a header", 300),
        ("half", archive.len() / 2),
        ("all but the index", archive.len() - 2048),
    ] {
        let cut = Form::OciArchive(archive[..length].to_vec());
        let kinds = [Kind::Integrity, Kind::NotFound, Kind::Other];
        cases.push(
            "1",
            &format!("an archive cut to {name}"),
            Verb::Unpack,
            cut,
            &refused_as(&kinds),
            Who::Anyone,
        );
    }
    let mut linked = image().layout();
    let path = linked.layer_path(0);
    let bytes = linked.files.remove(&path).expect("a layer");
    linked.put("elsewhere/layer", bytes);
    linked.links.insert(path.clone(), "../../elsewhere/layer".into());
    cases.layout("2", "a blob that is a link inside", linked.clone(), &tree(&LINES));
    linked.links.insert(path, format!("{}/file", cases.canary));
    cases.layout(
        "2",
        "a blob that is a link out",
        linked,
        &refused_as(&[Kind::Integrity, Kind::NotFound, Kind::Policy, Kind::Other]),
    );
}

fn wrong_bytes(cases: &mut Cases<'_>) {
    let layout = image().layout();
    for (name, path) in [
        ("manifest", layout.manifest_path()),
        ("config", layout.config_path()),
        ("layer", layout.layer_path(0)),
    ] {
        let flipped = layout.clone().edit(&path, |bytes| bytes[20] ^= 4);
        cases.layout("2", &format!("a flipped bit in the {name}"), flipped.clone(), &refused());
        let copied = Form::Layout(flipped);
        cases.push(
            "2",
            &format!("a flipped bit in the {name}, copied"),
            Verb::Copy,
            copied,
            &refused(),
            Who::Anyone,
        );
        let longer = layout.clone().edit(&path, |bytes| bytes.push(b' '));
        cases.layout("11", &format!("a {name} that is longer"), longer, &refused());
        let shorter = layout.clone().edit(&path, |bytes| bytes.truncate(bytes.len() - 1));
        cases.layout("11", &format!("a {name} that is shorter"), shorter, &refused());
        let empty = layout.clone().edit(&path, Vec::clear);
        cases.layout("11", &format!("a {name} that is empty"), empty, &refused());
    }
    for change in [-1_i64, 1, 1 << 40] {
        let edited = image().manifest(move |mut manifest| {
            let size = manifest["layers"][0]["size"].as_i64().expect("a size");
            manifest["layers"][0]["size"] = json!(size + change);
            manifest
        });
        cases.layout("11", &format!("a layer's size off by {change}"), edited.layout(), &refused());
    }
}

fn layer_field(key: &'static str, value: Value) -> impl FnOnce(Value) -> Value {
    move |mut manifest| {
        manifest["layers"][0][key] = value;
        manifest
    }
}

fn descriptors(cases: &mut Cases<'_>) {
    let copy = |cases: &mut Cases<'_>,
                item,
                name: &str,
                layout: crate::image::Layout,
                expected: &Expected| {
        cases.push(item, &format!("{name}, copied"), Verb::Copy, Form::Layout(layout), expected, Who::Anyone);
    };
    let kinds = [Kind::Integrity, Kind::Other, Kind::Policy];
    for (item, name, edit, expected) in [
        ("13", "data that is not the content", layer_field("data", json!("AAAA")), refused()),
        ("13", "data that is no base64", layer_field("data", json!("***")), refused()),
        (
            "14",
            "a file's URL is never opened",
            layer_field("urls", json!(["file:///etc/passwd"])),
            tree(&LINES),
        ),
        (
            "20",
            "a layer of unknown type",
            layer_field("mediaType", json!("application/x")),
            refused_as(&kinds),
        ),
        ("15", "a layer of no type", layer_field("mediaType", json!("a b/c")), refused_as(&kinds)),
        ("56", "an annotation that is a number", layer_field("annotations", json!({"a": 1})), refused()),
        ("56", "an annotation that is null", layer_field("annotations", json!({"a": null})), refused()),
        ("57", "unknown annotations", layer_field("annotations", json!({"a": "b"})), tree(&LINES)),
        ("31", "unknown fields of a descriptor", layer_field("vendor", json!([1])), tree(&LINES)),
    ] {
        let layout = image().manifest(edit).layout();
        cases.layout(item, name, layout.clone(), &expected);
        let carried = matches!(item, "14" | "20" | "57" | "31");
        copy(cases, item, name, layout, &if carried { tree(&LINES) } else { Expected::Safe });
    }
    let unknown = |config: &'static str| {
        image().config(move |_| config.to_owned()).manifest(|mut manifest| {
            manifest["config"]["mediaType"] = json!("application/vnd.example.config");
            manifest["artifactType"] = json!("application/vnd.example");
            manifest
        })
    };
    copy(cases, "21", "a config of unknown type that is no JSON", unknown("{{{").layout(), &tree(&LINES));
    cases.layout("21", "a config of unknown type", unknown("{{{").layout(), &refused_as(&kinds));
    let stranger = image().index(|mut index| {
        let entry = json!({"mediaType": "application/x", "digest": sha256(b"x"), "size": 1});
        index["manifests"].as_array_mut().expect("a list").push(entry);
        index
    });
    cases.layout("4", "an unknown type in the index", stranger.layout(), &tree(&LINES));
    let foreign = Layer {
        media_type: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip".into(),
        ..Layer::new(&tar([file("h", "3")]), Packing::Gzip)
    };
    cases.layout(
        "22",
        "a layer not to be distributed",
        image().layer(foreign).layout(),
        &tree(&["f=1", "g=2", "h=3"]),
    );
    for (media_type, packing) in [
        ("application/vnd.docker.image.rootfs.diff.tar", Packing::Plain),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", Packing::Gzip),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd", Packing::Zstd),
    ] {
        let layer = Layer { media_type: media_type.into(), ..Layer::new(&tar([file("h", "3")]), packing) };
        cases.layout("22", media_type, image().layer(layer).layout(), &tree(&["f=1", "g=2", "h=3"]));
    }
}

fn configs(cases: &mut Cases<'_>) {
    let rootfs = |key: &'static str, value: Value| {
        image().config(move |mut config| {
            config["rootfs"][key] = value;
            config
        })
    };
    let zero = format!("sha256:{}", "0".repeat(64));
    for (item, name, image, expected) in [
        ("34", "another type of rootfs", rootfs("type", json!("squash")), refused()),
        ("34", "a rootfs without a type", rootfs("type", Value::Null), refused()),
        ("35", "one diff id too few", rootfs("diff_ids", json!([zero])), refused()),
        ("35", "no diff id", rootfs("diff_ids", json!([])), refused()),
        ("35", "wrong diff ids", rootfs("diff_ids", json!([zero, zero])), refused()),
        ("35", "diff ids that are paths", rootfs("diff_ids", json!(["sha256:../x", zero])), refused()),
        ("24", "no layers", Image::new(), tree(&[])),
    ] {
        cases.layout(item, name, image.layout(), &expected);
    }
    let history = image().config(|mut config| {
        config["history"] = json!([{"empty_layer": true}, {"created_by": "x"}]);
        config
    });
    cases.layout("37", "a history of other length", history.layout(), &tree_or_refused(&LINES));
}

fn platforms(cases: &mut Cases<'_>) {
    let with = |platforms: &'static [Option<&'static str>]| {
        image().index(move |mut index| {
            let entry = index["manifests"][0].clone();
            let entries = platforms.iter().map(|architecture| {
                let mut entry = entry.clone();
                if let Some(architecture) = architecture {
                    entry["platform"] = json!({"os": "linux", "architecture": architecture});
                }
                entry
            });
            index["manifests"] = Value::Array(entries.collect());
            index
        })
    };
    let absent = refused_as(&[Kind::NotFound]);
    cases.layout("25", "an empty index", with(&[]).layout(), &absent);
    cases.layout("6", "one tag twice for one image", with(&[None, None]).layout(), &tree(&LINES));
    let twice = image().index(|mut index| {
        let mut other = index["manifests"][0].clone();
        other["digest"] = json!(sha256(b"another image"));
        index["manifests"].as_array_mut().expect("a list").push(other);
        index
    });
    cases.layout(
        "6",
        "one tag for two images",
        twice.layout(),
        &Expected::Refused(vec![Kind::Integrity, Kind::Other, Kind::NotFound, Kind::Usage]),
    );
    let nested = image().index(|mut index| {
        index["manifests"][0].as_object_mut().expect("a descriptor").shift_remove("annotations");
        index
    });
    cases.layout("5", "no tag of that name", nested.layout(), &absent);
}

fn layer_laws(cases: &mut Cases<'_>) {
    let folder = |name: &str| Member::folder(name);
    let laws = [
        (
            "44",
            "a replaced file leaves its other names",
            vec![tar([file("a", "1"), Member::hard_link("b", "a")]), tar([file("a", "2")])],
            &["a=2", "b=1"][..],
        ),
        (
            "44",
            "a removed file leaves its other names",
            vec![tar([file("a", "1"), Member::hard_link("b", "a")]), tar([file(".wh.a", "")])],
            &["b=1"][..],
        ),
        (
            "45",
            "a folder over a folder keeps children",
            vec![tar([folder("d/"), file("d/x", "1")]), tar([folder("d/").mode(0o1777)])],
            &["d/ 1000", "d/x=1"][..],
        ),
        (
            "45",
            "the root's mode is the last layer's",
            vec![tar([folder("./").mode(0o700), file("a", "1")]), tar([folder("./").mode(0o755)])],
            &["a=1"][..],
        ),
        (
            "46",
            "a file over a folder removes its children",
            vec![tar([folder("d/"), file("d/x", "1")]), tar([file("d", "2")])],
            &["d=2"][..],
        ),
        (
            "23",
            "three layers",
            vec![tar([file("a", "1")]), tar([file("a", "2"), file("b", "1")]), tar([file("b", "3")])],
            &["a=2", "b=3"][..],
        ),
        ("42", "a folder that nobody wrote", vec![tar([file("d/e/f", "1")])], &["d/", "d/e/", "d/e/f=1"][..]),
        (
            "42",
            "a child before its folder",
            vec![tar([file("d/f", "1"), folder("d/").mode(0o1777)])],
            &["d/ 1000", "d/f=1"][..],
        ),
    ];
    for (item, name, layers, lines) in laws {
        cases.layers(item, name, &layers, &tree(lines));
    }
    // An ordinary user unpacks it too, but sees no more in it than anybody else.
    let closed = [tar([folder("d/").mode(0), file("d/f", "1")])];
    cases.root_layers("42", "a folder that nobody may enter", &closed, &tree(&["d/", "d/f=1"]));
    cases.layers(
        "41",
        "one path twice in a layer",
        &[tar([file("a", "1"), file("a", "2")])],
        &tree_or_refused(&["a=2"]),
    );
    cases.layers(
        "41",
        "a file and then a folder",
        &[tar([file("a", "1"), Member::folder("a/"), file("a/b", "2")])],
        &tree_or_refused(&["a/", "a/b=2"]),
    );
}

fn whiteouts(cases: &mut Cases<'_>) {
    let base = || tar([Member::folder("d/"), file("d/x", "1"), file("d/y", "2"), file("z", "3")]);
    let laws: Vec<(&'static str, &str, Vec<Member>, &[&str])> = vec![
        ("48", "a file is hidden", vec![file("d/.wh.x", "")], &["d/", "d/y=2", "z=3"]),
        ("48", "a folder is hidden", vec![file(".wh.d", "")], &["z=3"]),
        ("48", "nothing is hidden", vec![file(".wh.q", "")], &["d/", "d/x=1", "d/y=2", "z=3"]),
        (
            "49",
            "a whiteout behind its sibling",
            vec![file("d/x", "new"), file("d/.wh.x", "")],
            &["d/", "d/x=new", "d/y=2", "z=3"],
        ),
        (
            "49",
            "a whiteout before its sibling",
            vec![file("d/.wh.x", ""), file("d/x", "new")],
            &["d/", "d/x=new", "d/y=2", "z=3"],
        ),
        (
            "49",
            "an opaque mark behind a child",
            vec![file("d/n", "4"), file("d/.wh..wh..opq", "")],
            &["d/", "d/n=4", "z=3"],
        ),
        ("50", "an opaque mark", vec![file("d/.wh..wh..opq", "")], &["d/", "z=3"]),
        ("52", "an opaque root", vec![file(".wh..wh..opq", ""), file("n", "4")], &["n=4"]),
        ("52", "an opaque mark with a dot before", vec![file("./d/.wh..wh..opq", "")], &["d/", "z=3"]),
        ("48", "a whiteout with a dot before", vec![file("./d/.wh.x", "")], &["d/", "d/y=2", "z=3"]),
        (
            "48",
            "a folder is removed and made anew",
            vec![file(".wh.d", ""), Member::folder("d/"), file("d/n", "4")],
            &["d/", "d/n=4", "z=3"],
        ),
    ];
    for (item, name, upper, lines) in laws {
        cases.layers(item, name, &[base(), tar(upper)], &tree(lines));
    }
    let inside = [
        tar([Member::folder("r/"), file("r/x", "1"), Member::symlink("d", "r")]),
        tar([file("d/.wh.x", "")]),
    ];
    cases.layers("53", "a whiteout through a link inside", &inside, &Expected::Safe);
    cases.layers("47", "a whiteout of nothing", &[base(), tar([file(".wh.", "")])], &refused());
    cases.layers(
        "51",
        "a whiteout in the lowest layer",
        &[tar([file(".wh.a", ""), file("b", "1")])],
        &tree(&["b=1"]),
    );
}

fn docker_archives(cases: &mut Cases<'_>) {
    let archive = |cases: &mut Cases<'_>, item, name: &str, bytes: Vec<u8>, expected: &Expected| {
        cases.push(
            item,
            &format!("docker archive {name}"),
            Verb::Unpack,
            Form::DockerArchive(bytes),
            expected,
            Who::Anyone,
        );
    };
    let plain = || Image::of(&[tar([file("f", "1")]), tar([file("g", "2")])], Packing::Plain);
    archive(cases, "32", "of today's older form", plain().docker_archive(), &tree(&LINES));
    let kinds = [Kind::Integrity, Kind::NotFound, Kind::Other];
    for (name, field, value) in [
        ("config climbs", "Config", json!("../../../etc/passwd")),
        ("config is absolute", "Config", json!("/etc/passwd")),
        ("config is missing", "Config", json!("nothing.json")),
        ("layers climb", "Layers", json!(["../../../etc/passwd", "x"])),
        ("layers are missing", "Layers", json!(["a/layer.tar", "b/layer.tar"])),
        ("layers are too few", "Layers", json!([])),
        ("layers are null", "Layers", Value::Null),
    ] {
        let bytes = plain().docker_members(|mut manifest| {
            manifest[0][field] = value;
            manifest.into()
        });
        archive(cases, "J4", name, bytes, &refused_as(&kinds));
    }
    for (name, text) in [
        ("an empty list", "[]"),
        ("no list", "{}"),
        ("no JSON", "{{{"),
        ("two keys", r#"[{"Config":"a","Config":"b"}]"#),
    ] {
        let bytes = plain().docker_members(|_| text.to_owned().into());
        archive(cases, "J2", name, bytes, &refused_as(&kinds));
    }
    let wrong = plain().config(|mut config| {
        config["rootfs"]["diff_ids"][0] = json!(format!("sha256:{}", "0".repeat(64)));
        config
    });
    archive(cases, "35", "with a wrong diff id", wrong.docker_archive(), &refused());
}
