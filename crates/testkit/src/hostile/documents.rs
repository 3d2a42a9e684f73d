//! J1 to J6 and L1: JSON that means two things, or too much.

use super::{Cases, Expected, Form, Verb, Who, limited, refused, refused_as, tree, tree_or_refused};
use crate::image::{INDEX, Image, Layer, Layout, MANIFEST, Packing, Text, blob_path, sha256};
use crate::tarball::{Member, tar};
use orlop_spec::Kind;
use serde_json::{Value, json};

pub(super) fn add(cases: &mut Cases<'_>) {
    confusion(cases);
    broken_text(cases);
    sizes(cases);
    digests(cases);
    escapes(cases);
}

fn image() -> Image {
    Image::of(&[tar([Member::file("f", "1")])], Packing::Gzip)
}

const LINES: [&str; 1] = ["f=1"];

/// CVE-2021-41190: a manifest that is an index too.
fn confusion(cases: &mut Cases<'_>) {
    let set = |key: &'static str, value: Value| {
        move |mut document: Value| {
            document[key] = value;
            document
        }
    };
    for (name, image, expected) in [
        ("a manifest with manifests", image().manifest(set("manifests", json!([]))), refused()),
        ("an index with layers", image().index(set("layers", json!([]))), refused()),
        ("an index with a config", image().index(set("config", json!({}))), refused()),
        ("a manifest that says index", image().manifest(set("mediaType", json!(INDEX))), refused()),
        ("an index that says manifest", image().index(set("mediaType", json!(MANIFEST))), refused()),
        ("a manifest of version 1", image().manifest(set("schemaVersion", json!(1))), refused()),
        ("a manifest without a version", image().manifest(without("schemaVersion")), refused()),
        ("a version in a string", image().manifest(set("schemaVersion", json!("2"))), refused()),
        ("a manifest without a type", image().manifest(without("mediaType")), tree(&LINES)),
        ("an index without a type", image().index(without("mediaType")), tree(&LINES)),
        ("a manifest without layers", image().manifest(without("layers")), refused()),
        ("a manifest without a config", image().manifest(without("config")), refused()),
        ("layers that are no list", image().manifest(set("layers", json!({}))), refused()),
        ("a config that is a list", image().manifest(set("config", json!([]))), refused()),
        ("unknown fields", image().manifest(set("vendor", json!({"deep": [1, 2]}))), tree(&LINES)),
        (
            "an index that calls the manifest an index",
            image().index(first("mediaType", json!(INDEX))),
            refused(),
        ),
    ] {
        cases.layout("J1", name, image.layout(), &expected);
    }
}

fn without(key: &'static str) -> impl FnOnce(Value) -> Value {
    move |mut document| {
        document.as_object_mut().expect("an object").shift_remove(key);
        document
    }
}

/// Sets a field of the first descriptor of an index.
fn first(key: &'static str, value: Value) -> impl FnOnce(Value) -> Value {
    move |mut index| {
        index["manifests"][0][key] = value;
        index
    }
}

/// Turns the text of a document into bytes that are none.
type Damage = fn(String) -> Vec<u8>;

fn broken_text(cases: &mut Cases<'_>) {
    let edits: [(&str, Damage); 18] = [
        ("a key twice", |text| text.replacen('{', r#"{"schemaVersion":2,"rootfs":{},"#, 1).into_bytes()),
        ("a nested key twice", |text| {
            let doubled = text.replacen(r#""digest":"#, r#""digest":"sha256:0","digest":"#, 1);
            doubled.replacen(r#""diff_ids":"#, r#""diff_ids":[],"diff_ids":"#, 1).into_bytes()
        }),
        ("an escaped key twice", |text| {
            text.replacen('{', r#"{"\u0073chemaVersion":2,"\u0072ootfs":{},"#, 1).into_bytes()
        }),
        ("a byte order mark", |text| [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ("bytes that are not UTF-8", |text| {
            [br#"{"x":"#.as_slice(), b"\"\xff\",", &text.as_bytes()[1..]].concat()
        }),
        ("half a surrogate", |text| text.replacen('{', r#"{"x":"\ud800","#, 1).into_bytes()),
        ("a number without end", |text| text.replacen('{', r#"{"x":1e999,"#, 1).into_bytes()),
        ("a number of 100 kB", |text| {
            text.replacen('{', &format!(r#"{{"x":{},"#, "9".repeat(100_000)), 1).into_bytes()
        }),
        ("lists 200 deep", |text| nested(&text, 200)),
        ("lists 100000 deep", |text| nested(&text, 100_000)),
        ("two documents", |text| format!("{text}{text}").into_bytes()),
        ("garbage behind", |text| format!("{text}x").into_bytes()),
        ("a comma behind", |text| format!("{},}}", &text[..text.len() - 1]).into_bytes()),
        ("cut", |text| text.as_bytes()[..text.len() / 2].to_vec()),
        ("empty", |_| Vec::new()),
        ("null", |_| b"null".to_vec()),
        ("a list", |_| b"[]".to_vec()),
        ("a nul behind", |text| format!("{text}\0").into_bytes()),
    ];
    for (name, edit) in edits {
        let broken = move |value: Value| Text::Raw(edit(value.to_string()));
        let expected = if name.contains("without end") || name.contains("100 kB") {
            tree_or_refused(&LINES)
        } else {
            refused()
        };
        let documents = [
            ("manifest", image().manifest(broken)),
            ("index", image().index(broken)),
            ("config", image().config(broken)),
        ];
        for (document, image) in documents {
            cases.layout("J2", &format!("{document}: {name}"), image.layout(), &expected);
        }
    }
    let folded = image().manifest(|value| value.to_string().replace("\"layers\"", "\"LAYERS\""));
    cases.layout("J2", "a key in capitals is another key", folded.layout(), &refused());
    let both = image().manifest(|value| value.to_string().replacen('{', r#"{"Layers":[],"CONFIG":7,"#, 1));
    cases.layout("J2", "keys in capitals mean nothing", both.layout(), &tree(&LINES));
    for size in ["-1", "1.5", "\"12\"", "1e3", "9223372036854775808", "18446744073709551616", "null", "true"]
    {
        let edit = move |value: Value| {
            let size_now = value["layers"][0]["size"].to_string();
            value.to_string().replace(&format!(":{size_now}}}]"), &format!(":{size}}}]"))
        };
        cases.layout("11", &format!("size {size}"), image().manifest(edit).layout(), &refused());
    }
}

fn nested(text: &str, depth: usize) -> Vec<u8> {
    let list = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    text.replacen('{', &format!(r#"{{"x":{list},"#), 1).into_bytes()
}

fn sizes(cases: &mut Cases<'_>) {
    let pad = |length: usize| {
        move |mut value: Value| {
            value["annotations"] = json!({"pad": "p".repeat(length)});
            value
        }
    };
    cases.layout("J3", "a manifest of 3 MiB", image().manifest(pad(3 << 20)).layout(), &tree(&LINES));
    cases.layout("J3", "a manifest of 5 MiB", image().manifest(pad(5 << 20)).layout(), &limited());
    cases.layout("J3", "an index of 5 MiB", image().index(pad(5 << 20)).layout(), &limited());
    cases.layout("J3", "a config of 5 MiB", image().config(pad(5 << 20)).layout(), &limited());
    for depth in [2, 10] {
        cases.layout("29", &format!("indexes {depth} deep"), chain(depth), &tree(&LINES));
    }
    for depth in [40, 10_000] {
        cases.layout("J3", &format!("indexes {depth} deep"), chain(depth), &limited());
    }
    cases.layout("J3", "an index that names itself", round(), &refused());
    let many = image().index(|mut index| {
        let entry = index["manifests"][0].clone();
        index["manifests"] = Value::Array(vec![entry; 100_000]);
        index
    });
    cases.layout("J3", "an index of 100000 descriptors", many.layout(), &limited());
    let layer = Layer::new(&tar([Member::file("f", "1")]), Packing::Gzip);
    let layers = |count: usize| (0..count).fold(Image::new(), |image, _| image.layer(layer.clone())).layout();
    cases.layout("J3", "2000 layers", layers(2000), &tree(&LINES));
    cases.layout("J3", "5000 layers", layers(5000), &limited());
}

/// The image below `depth` indexes.
fn chain(depth: usize) -> Layout {
    let mut layout = image().layout();
    let mut below = layout.index()["manifests"][0].clone();
    for _ in 0..depth {
        below.as_object_mut().expect("a descriptor").shift_remove("annotations");
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [below]});
        below = layout.add(INDEX, index.to_string().into_bytes());
    }
    below["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    layout
        .put("index.json", json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [below]}).to_string());
    layout
}

/// An index that lies under the digest by which it names itself.
fn round() -> Layout {
    let mut layout = image().layout();
    let digest = sha256(b"no index hashes to its own name");
    let tag = json!({"org.opencontainers.image.ref.name": "latest"});
    let entry = json!({"mediaType": INDEX, "digest": digest, "size": 10, "annotations": tag});
    let mut index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
    index["manifests"][0]["size"] = json!(index.to_string().len() + 1);
    layout.put(&blob_path(&digest), index.to_string());
    layout.put("index.json", index.to_string());
    layout
}

/// CVE-2024-3727: digests that are paths.
fn digests(cases: &mut Cases<'_>) {
    let hex = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";
    let spellings = [
        "sha256:../../../../etc/passwd".to_owned(),
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("sha256:{hex}/.."),
        format!("sha256/../sha256:{hex}"),
        format!("../sha256:{hex}"),
        format!(" sha256:{hex}"),
        format!("sha256:{hex}\n"),
        format!("SHA256:{hex}"),
        format!("sha256;{hex}"),
        "sha256:".into(),
        String::new(),
        hex.into(),
        "a:b:c".into(),
        "foo:../x".into(),
        "..:x".into(),
    ];
    for (number, digest) in spellings.into_iter().enumerate() {
        let layer = digest.clone();
        let broken = image().manifest(move |mut manifest| {
            manifest["layers"][0]["digest"] = json!(layer);
            manifest
        });
        cases.layout("J4", &format!("a layer, {number}: {digest:?}"), broken.layout(), &refused());
        let broken = image().index(first("digest", json!(digest)));
        cases.layout("J4", &format!("a manifest, {number}: {digest:?}"), broken.layout(), &refused());
    }
    for (name, digest) in [
        ("weak", "md5:c4ca4238a0b923820dcc509a6f75849b"),
        ("combined", "sha256+x:abc"),
        ("unknown", "foo:abc"),
    ] {
        let digest = digest.to_owned();
        let mut layout = image()
            .manifest(move |mut manifest| {
                manifest["layers"][0]["digest"] = json!(digest);
                manifest
            })
            .layout();
        let path = layout.layer_path(0);
        layout.put(&path, "1");
        cases.layout("J5", &format!("a {name} algorithm proves nothing"), layout, &refused());
    }
}

/// Names that would move a cursor or change a terminal. The runner looks at all output of all cases.
fn escapes(cases: &mut Cases<'_>) {
    let nasty = "a\x1b]52;c;eA==\x07\u{9b}2J\u{202e}b";
    let tars = [
        ("a name", tar([Member::file(nasty, "1")])),
        ("a climbing name", tar([Member::file(format!("../{nasty}"), "1")])),
        ("a whiteout", tar([Member::file(format!("{nasty}/.wh."), "")])),
        ("a link target", tar([Member::hard_link("h", nasty)])),
        (
            "an attribute",
            tar([Member::pax(&[(format!("SCHILY.xattr.{nasty}").as_bytes(), b"1")]), Member::file("f", "1")]),
        ),
        ("a user name", tar([Member::file("f", "1").set(crate::tarball::Field(265, 32), nasty)])),
    ];
    for (name, tar) in tars {
        cases.layers("L1", name, &[tar], &Expected::Safe);
    }
    let tagged =
        move || image().index(first("annotations", json!({"org.opencontainers.image.ref.name": nasty})));
    let labelled = || {
        image().config(move |mut config| {
            config["config"]["Labels"] = json!({nasty: nasty});
            config["author"] = json!(nasty);
            config["architecture"] = json!(nasty);
            config["history"] = json!([{"created_by": nasty}]);
            config
        })
    };
    let typed = || image().index(first("mediaType", json!(nasty)));
    for (name, image) in [("a tag", tagged()), ("labels", labelled()), ("a media type", typed())] {
        let layout = image.layout();
        for verb in [Verb::Unpack, Verb::Inspect] {
            let name = format!("{name}, {verb:?}");
            cases.push("L1", &name, verb, Form::Layout(layout.clone()), &Expected::Safe, Who::Anyone);
        }
    }
    let kinds = [Kind::NotFound, Kind::Integrity];
    let absent = image().index(first("digest", json!(sha256(b"absent"))));
    cases.layout("3", "a manifest that is not there", absent.layout(), &refused_as(&kinds));
}
