//! What two programs must agree on.

use super::runtimes;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use testkit::Command;

const UNCOMPRESSED: &str = "ci.umo.uncompressed_blob_size";

/// What a release of umoci writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// 0.6 and later.
    Newest,
    /// Before it: documents do not say their types, nothing heeds `SOURCE_DATE_EPOCH`, and `stat` tells the history alone.
    Older,
}

impl Release {
    pub(super) fn of(version: &str) -> Self {
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0);
        if minor >= 6 { Self::Newest } else { Self::Older }
    }
}

pub(super) fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

/// The documents and the layers of every tag.
pub(super) fn images(layout: &Path) -> Value {
    let index = read(&layout.join("index.json"));
    let entries = index["manifests"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| image(layout, entry)).collect()
}

fn image(layout: &Path, entry: &Value) -> Value {
    let manifest = read(&blob(layout, entry));
    let layers: Vec<Value> = manifest["layers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|layer| listing(&blob(layout, layer)))
        .collect();
    json!({
        "tag": entry["annotations"]["org.opencontainers.image.ref.name"],
        "config": read(&blob(layout, &manifest["config"])),
        "manifest": manifest,
        "layers": layers,
    })
}

pub(super) fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    layout.join("blobs").join(descriptor["digest"].as_str().expect("a digest").replace(':', "/"))
}

fn listing(layer: &Path) -> Value {
    let words = ["--numeric-owner", "--full-time", "-tvf"];
    // Archives of older releases lack their last blocks, which tar minds.
    let listed = Command::new("tar").args(words).arg(layer).env("TZ", "UTC").run().out();
    listed.lines().collect()
}

/// What is compared of a case.
pub(super) fn facts(case: &Value, release: Release) -> Value {
    let answers: Vec<Value> = list(&case["answers"]).iter().map(|answer| told(answer, release)).collect();
    let mut images: Vec<Value> = list(&case["images"]).iter().map(|image| written(image, release)).collect();
    images.sort_by_key(|image| image["tag"].as_str().map(str::to_owned));
    json!({ "answers": answers, "images": images, "runtimes": runtimes::told(case) })
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// The exit code and the lines, or the document, on the standard output.
fn told(answer: &Value, release: Release) -> Value {
    let out = answer["out"].as_str().expect("text");
    let out = match (serde_json::from_str::<Value>(out), release) {
        (Ok(Value::Object(stat)), Release::Newest) => masked(&stat.into(), release),
        (Ok(Value::Object(stat)), Release::Older) => {
            // What has no steps is `null` there, and an empty list since.
            let steps = stat["history"].as_array().cloned().unwrap_or_default();
            masked(&json!({ "history": steps }), release)
        }
        _ => text(out, release),
    };
    json!({ "exit": answer["exit"], "out": out })
}

/// Lines without digests and sizes, and without the widths of columns; of older releases the table alone, without its
/// times. The order of tags is nobody's business.
fn text(out: &str, release: Release) -> Value {
    let Some(table) = out.find("LAYER") else {
        let mut lines: Vec<&str> = out.lines().collect();
        lines.sort_unstable();
        return lines.into();
    };
    let page = if release == Release::Older { &out[table..] } else { out };
    page.lines().map(|line| row(line, release)).collect()
}

fn row(line: &str, release: Release) -> String {
    if line.trim_start().starts_with(UNCOMPRESSED) {
        return UNCOMPRESSED.into();
    }
    let is_told = |word: &&str| !word.starts_with("sha256:") && !is_size(word);
    let words = line.split(' ').filter(|word| !word.is_empty()).filter(is_told);
    let words = words.filter(|word| release == Release::Newest || !is_of_the_run(word));
    words.collect::<Vec<_>>().join(" ")
}

/// `77B`, `1.084MB`
fn is_size(word: &str) -> bool {
    let number = word.trim_end_matches('B').trim_end_matches(['k', 'M']);
    word.ends_with('B') && number.parse::<f64>().is_ok()
}

/// Whether a time is none that a case says: that of the clock, or the one that the environment gives.
fn is_of_the_run(text: &str) -> bool {
    let is_time = text.len() >= 20 && text.as_bytes()[10] == b'T' && text.starts_with(['1', '2']);
    is_time && (text.starts_with("2001-09-09") || text > "2020")
}

/// An image's documents: what its layers hold counts, and how many they are.
fn written(image: &Value, release: Release) -> Value {
    let mut manifest = masked(&image["manifest"], release);
    if release == Release::Older {
        manifest.as_object_mut().expect("an object").remove("mediaType");
    }
    json!({
        "tag": image["tag"],
        "manifest": manifest,
        "config": masked(&image["config"], release),
        "layers": list(&image["layers"]).iter().map(held).collect::<Vec<_>>(),
    })
}

/// What a layer holds. The root is spelled `/`, `.` or `./`, a marker stands before its folder or within; what there is below a
/// file is hidden by the original, and does not exist.
fn held(layer: &Value) -> Vec<String> {
    let lines = list(layer).iter().map(|line| line.as_str().expect("text"));
    let lines = lines.filter(|line| !line.ends_with(" alone/.wh..wh..opq"));
    let root =
        |line: &'_ str| line.strip_suffix(" /").or(line.strip_suffix(" .")).map(|line| format!("{line} ./"));
    let mut lines: Vec<String> = lines.map(|line| root(line).unwrap_or_else(|| line.into())).collect();
    lines.sort_unstable();
    lines
}

/// A document without what must differ.
fn masked(value: &Value, release: Release) -> Value {
    match value {
        Value::Object(members) => {
            let is_kept = |name: &str, value: &Value| match name {
                // Our compressor is another one, and documents of ours do not end with a line feed.
                "digest" | "diff_id" | "diff_ids" | "size" => false,
                "created" => !(release == Release::Older && value.as_str().is_some_and(is_of_the_run)),
                // How large a layer is without its compression: of which layers it is told counts, and since when.
                "annotations" if release == Release::Older => {
                    value.as_object().is_some_and(|of| !of.keys().all(|key| key == UNCOMPRESSED))
                }
                _ => true,
            };
            let kept = members.iter().filter(|(name, value)| is_kept(name, value));
            let value = |name: &str, value: &Value| match name {
                UNCOMPRESSED => Value::Null,
                _ => masked(value, release),
            };
            kept.map(|(name, of)| (name.clone(), value(name, of))).collect::<Map<_, _>>().into()
        }
        Value::Array(values) => values.iter().map(|value| masked(value, release)).collect(),
        other => other.clone(),
    }
}
