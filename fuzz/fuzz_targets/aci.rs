//! App Containers: a manifest is printed and read as the same; what is drawn of a config is valid and gives that config
//! back; what comes out of a tar lay beneath its root filesystem; a bundle's configuration of any shape is taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_fuzz::limits;
use orlop_host::aci::archive::{Members, Packed};
use orlop_host::aci::from_config::{self, Named, Subject};
use orlop_host::aci::into_config::{self, Files, Origin};
use orlop_host::aci::manifest::ImageManifest;
use orlop_host::aci::squeeze::Squeeze;
use orlop_host::aci::{from_bundle, validate};
use orlop_layer::{Entries, Meta, TreePath, tar};
use orlop_spec::config::Config;
use orlop_spec::descriptor::Annotations;
use orlop_spec::runtime::Rootfs;
use orlop_spec::validate::Severity;
use std::collections::HashSet;
use std::io::BufReader;

fuzz_target!(|bytes: &[u8]| {
    members(bytes);
    if let Ok(manifest) = ImageManifest::parse(bytes) {
        validate::manifest(&manifest);
        foreign(&manifest);
        let again = ImageManifest::parse(&manifest.to_bytes()).expect("printed by us");
        // Numbers beyond 64 bits are read as the nearest float, or the one beside it.
        assert!(again == manifest || has_float(bytes), "{manifest:?}");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let named = Named::parse("example.com/app:1").expect("a name");
    if let Ok((manifest, ..)) = from_bundle::manifest(text, &named) {
        assert!(is_valid(&manifest), "{manifest:?}");
    }
    if let Ok(config) = orlop_spec::json::parse::<Config>(bytes) {
        back(text, &config, &named);
    }
});

/// A manifest of anybody makes a config of bounded size, and that image the manifest again.
fn foreign(manifest: &ImageManifest) {
    let rootfs = Rootfs { passwd: None, group: None, link: &|_| None };
    let files = Files { rootfs, owner: &|_| Some((1, 2)) };
    let config = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let mut config: Config = orlop_spec::json::parse(config.as_bytes()).expect("a config");
    let origin = into_config::complete(manifest, &files, &mut config);
    into_config::unsaid(manifest);
    let ports = config.config.as_ref().map_or(0, |it| it.exposed_ports.len());
    assert!(origin != Origin::Drawn || ports <= 3 * 65535);
    if origin == Origin::Drawn {
        let raw = String::from_utf8(manifest.to_bytes()).expect("JSON is text");
        let mut annotations = into_config::annotations(manifest);
        annotations.insert(into_config::IMAGE_MANIFEST.into(), raw.as_str().into());
        let found = into_config::original(&annotations, &files, &config);
        assert_eq!(found.map(|(_, raw)| raw.into_string()), Some(raw));
    }
}

fn has_float(bytes: &[u8]) -> bool {
    fn within(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Number(number) => number.is_f64(),
            serde_json::Value::Array(items) => items.iter().any(within),
            serde_json::Value::Object(members) => members.values().any(within),
            _ => false,
        }
    }
    orlop_spec::json::value(bytes).is_ok_and(|value| within(&value))
}

fn is_valid(manifest: &ImageManifest) -> bool {
    validate::manifest(manifest).iter().all(|finding| finding.severity != Severity::Error)
}

fn back(raw: &str, config: &Config, named: &Named) {
    let rootfs = Rootfs { passwd: Some(b"a:x:1:2::/:"), group: Some(b"b:x:3:a"), link: &|_| None };
    let annotations = Annotations::new();
    let subject = Subject { config, raw, annotations: &annotations, digest: "sha256:0", rootfs };
    let (manifest, _) = from_config::manifest(&subject, named);
    assert!(is_valid(&manifest), "{manifest:?}");
    let mut found = Config { config: None, ..config.clone() };
    let origin = into_config::complete(&manifest, &Files { rootfs, owner: &|_| None }, &mut found);
    assert_eq!(&found, config);
    let is_canonical = raw.as_bytes() == orlop_spec::json::print(config);
    assert_eq!(origin, if is_canonical { Origin::Carried } else { Origin::Respelled });
}

/// What comes out lay beneath `rootfs`, and so did what it is another name of.
fn members(bytes: &[u8]) {
    let limits = limits();
    let raw = || tar::Reader::new(BufReader::new(Squeeze::detect(bytes).decoder(bytes, &limits)), &limits);
    let mut inner = HashSet::new();
    let mut all = raw();
    while let Ok(Some(entry)) = all.next_entry() {
        inner.insert(entry.path);
    }
    let beneath = |path: &TreePath| {
        let root = TreePath::root().join(b"rootfs");
        path.components().fold(root, |path, component| path.join(component))
    };
    let mut members = Members::new(raw(), limits.document);
    while let Ok(Some(entry)) = members.next_entry() {
        assert!(inner.contains(&beneath(&entry.path)), "{}", entry.path);
    }
    let mut packed = Members::new(Packed::new(raw(), b"{}".to_vec(), Meta::default()), limits.document);
    while let Ok(Some(_)) = packed.next_entry() {}
    assert_eq!(packed.into_rest().0.manifest.as_deref(), Some(&b"{}"[..]));
}
