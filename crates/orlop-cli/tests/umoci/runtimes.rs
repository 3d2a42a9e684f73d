//! `config.json`, whole, beside that of umoci. Where ours is another one, `docs/formats/umoci-bundle.md` says why.

use super::facts::{list, read};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

/// A file of the host.
const RESOLVER: &str = "/etc/resolv.conf";

/// What runtimes are told, file by file: those of the folder, and those of the bundles in it. `record.py` has the same.
pub(super) fn found(folder: &Path) -> Value {
    let within = fs::read_dir(folder).expect("a folder").map(|file| file.expect("listed").path());
    let told = |path: PathBuf| match path.extension() {
        Some(end) if end == "json" => Some(path),
        _ => Some(path.join("config.json")).filter(|config| config.exists()),
    };
    let mut files: Vec<PathBuf> = within.filter_map(told).collect();
    files.sort();
    let one = |file: &PathBuf| {
        let name = file.strip_prefix(folder).expect("within").display().to_string();
        (name, read(file))
    };
    files.iter().map(one).collect::<Map<_, _>>().into()
}

/// Lists whose order nothing depends on are sorted. What failed may leave an empty file there, and nothing here.
pub(super) fn told(case: &Value) -> Map<String, Value> {
    let of = case["runtimes"].as_object().expect("an object");
    let of = of.iter().filter(|(_, told)| told.as_object().is_some_and(|told| !told.is_empty()));
    of.map(|(name, told)| (name.clone(), in_order(told))).collect()
}

fn in_order(told: &Value) -> Value {
    let lists =
        ["/process/env", "/mounts", "/linux/namespaces", "/linux/maskedPaths", "/linux/readonlyPaths"];
    let mut told = told.clone();
    for at in lists {
        let list = told.pointer_mut(at).and_then(Value::as_array_mut).expect("a list");
        list.sort_by_key(ToString::to_string);
    }
    let mounts = told["mounts"].as_array_mut().expect("a list");
    let is_there = Path::new(RESOLVER).exists();
    mounts.retain(|it| is_there || it["destination"] != RESOLVER);
    for names in mounts.iter_mut().filter(|it| it["destination"] == RESOLVER) {
        // What else there is depends on how the host has it.
        names["options"].as_array_mut().expect("a list").retain(|it| it == "rbind" || it == "ro");
    }
    told
}

/// Fails where something differs that is in no row of the table.
pub(super) fn compare(name: &str, ours: &Value, theirs: &Value) {
    let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
    hidden(name, &mut ours, &mut theirs);
    volumes(name, &mut ours, &mut theirs);
    assert_eq!(ours, theirs, "{name}");
}

/// Files of the kernel: what is hidden there is hidden here too, and what is read-only there is that here, or hidden.
fn hidden(name: &str, ours: &mut Value, theirs: &mut Value) {
    let mut take = |at: &str| [&mut *ours, &mut *theirs].map(|of| of["linux"][at].take());
    let [our_hidden, their_hidden] = take("maskedPaths");
    let [our_fixed, their_fixed] = take("readonlyPaths");
    let is_hidden = |path: &Value| list(&our_hidden).contains(path);
    assert!(list(&their_hidden).iter().all(is_hidden), "{name}: {our_hidden}");
    assert!(
        list(&their_fixed).iter().all(|path| is_hidden(path) || list(&our_fixed).contains(path)),
        "{name}"
    );
    assert!(list(&our_hidden).len() > list(&their_hidden).len(), "{name}: no longer another list");
}

/// Volumes: there an empty file system without programs, here one that begins with what the image has at its place.
fn volumes(name: &str, ours: &mut Value, theirs: &mut Value) {
    let empty = |it: &Value| it["type"] == "tmpfs" && it["source"] == "none";
    let places: Vec<Value> =
        list(&theirs["mounts"]).iter().filter(|it| empty(it)).map(|it| it["destination"].clone()).collect();
    for of in [ours, theirs] {
        for mount in of["mounts"].as_array_mut().expect("a list") {
            if places.contains(&mount["destination"]) {
                assert_eq!(mount["type"], "tmpfs", "{name}");
                let options = mount["options"].take();
                assert_ne!(list(&options).contains(&"tmpcopyup".into()), empty(mount), "{name}: {options}");
                assert!(
                    list(&options).contains(&"nosuid".into()) && list(&options).contains(&"nodev".into()),
                    "{name}"
                );
                mount["source"] = Value::Null;
            }
        }
    }
}
