//! Items 36 and 37, and what else edits would be led astray by: documents that are almost too large, histories that lie,
//! members that nobody can print again, layers that nobody may pass on.

use super::{Cases, Expected, refused, tree, tree_or_refused};
use crate::image::{INDEX, Image, Layer, Packing};
use crate::tarball::{Member, tar};
use serde_json::{Value, json};

pub(super) fn add(cases: &mut Cases<'_>) {
    unprintable(cases);
    histories(cases);
    brim(cases);
    layers(cases);
}

fn image() -> Image {
    Image::of(&[tar([Member::file("f", "1")]), tar([Member::file("g", "2")])], Packing::Gzip)
}

const LINES: [&str; 2] = ["f=1", "g=2"];

/// Members that are legal, and that a printer of its own types would change.
fn unprintable(cases: &mut Cases<'_>) {
    let members = [
        ("a number of more than 64 bits", r#""x":184467440737095516160000000000000001"#),
        ("a number that is almost nothing", r#""x":-1.0000000000000000000000001e-300"#),
        ("an escaped name", r#""\u0078\/y":"\u003c\ud83d\ude00""#),
        ("an empty name", r#""":[{}]"#),
        ("a name of an object's own", r#""__proto__":{"constructor":null}"#),
        ("20000 members", r#""x":{MANY}"#),
    ];
    let many: Vec<String> = (0..20_000).map(|number| format!(r#""k{number}":{number}"#)).collect();
    let many = many.join(",");
    for (name, member) in members {
        let member = member.replace("MANY", &many);
        let edit = move |value: Value| value.to_string().replacen('{', &format!("{{{member},"), 1);
        let documents = [
            ("manifest", image().manifest(edit.clone())),
            ("index", image().index(edit.clone())),
            ("config", image().config(edit)),
        ];
        for (document, image) in documents {
            cases.layout("36", &format!("{document}: {name}"), image.layout(), &tree(&LINES));
        }
    }
}

fn histories(cases: &mut Cases<'_>) {
    let with = |history: Value| {
        image().config(move |mut config| {
            config["history"] = history;
            config
        })
    };
    let steps = |count: usize, step: Value| Value::Array(vec![step; count]);
    for (name, history, expected) in [
        (
            "30000 steps that made no layer",
            steps(30_000, json!({"empty_layer": true})),
            tree_or_refused(&LINES),
        ),
        ("30000 steps that made one", steps(30_000, json!({})), tree_or_refused(&LINES)),
        ("no list", json!({"created_by": "x"}), refused()),
        ("a step that is text", json!(["RUN x"]), refused()),
        ("a layer that is said in words", json!([{"empty_layer": "no"}]), refused()),
        ("a time that is none", steps(2, json!({"created": "yesterday"})), tree_or_refused(&LINES)),
        ("null", Value::Null, tree_or_refused(&LINES)),
    ] {
        cases.layout("37", &format!("a history of {name}"), with(history).layout(), &expected);
    }
}

/// As large as a document may be: what an edit says is too much.
fn brim(cases: &mut Cases<'_>) {
    let pad = |mut value: Value| {
        value["annotations"] = json!({"pad": ""});
        let length = (4 << 20) - value.to_string().len();
        value["annotations"]["pad"] = json!("p".repeat(length));
        value
    };
    let full = |mut value: Value| {
        value["config"]["Labels"] = json!({"pad": ""});
        let length = (4 << 20) - value.to_string().len();
        value["config"]["Labels"]["pad"] = json!("p".repeat(length));
        value
    };
    cases.layout("J3", "a manifest that is full", image().manifest(pad).layout(), &Expected::Safe);
    cases.layout("J3", "a config that is full", image().config(full).layout(), &Expected::Safe);
    let layer = Layer::new(&tar([Member::file("f", "1")]), Packing::Gzip);
    let most = (0..4096).fold(Image::new(), |image, _| image.layer(layer.clone()));
    cases.layout("J3", "as many layers as there may be", most.layout(), &Expected::Safe);
}

fn layers(cases: &mut Cases<'_>) {
    let field = |key: &'static str, value: Value| {
        image().manifest(move |mut manifest| {
            manifest["layers"][0][key] = value;
            manifest
        })
    };
    let foreign = json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
    cases.layout(
        "54",
        "a layer that nobody may pass on",
        field("mediaType", foreign).layout(),
        &Expected::Safe,
    );
    // A type that no layer has: what reads it refuses, what moves it does not care.
    let index = field("mediaType", json!(INDEX)).layout();
    cases.layout("20", "a layer that is an index", index, &Expected::Safe);
    let nothing = Image::of(&[tar([]), tar([Member::file("f", "1")]), tar([])], Packing::Gzip);
    cases.layout("23", "layers without an entry", nothing.layout(), &tree(&["f=1"]));
    let again = tar([Member::file("f", "1")]);
    let twice = Image::of(&[again.clone(), tar([Member::file(".wh.f", "")]), again], Packing::Gzip);
    cases.layout("23", "one layer twice, and its removal between", twice.layout(), &tree(&["f=1"]));
}
