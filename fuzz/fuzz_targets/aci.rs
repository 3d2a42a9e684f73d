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
use orlop_layer::{Entries, Meta, tar};
use orlop_spec::config::Config;
use orlop_spec::descriptor::Annotations;
use orlop_spec::runtime::Rootfs;
use orlop_spec::validate::Severity;
use std::io::BufReader;

fuzz_target!(|bytes: &[u8]| {
    members(bytes);
    if let Ok(manifest) = ImageManifest::parse(bytes) {
        validate::manifest(&manifest);
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
    assert_eq!((origin, &found), (Origin::Carried, config));
}

/// Names that the files of an image can have are not lost, and none is made.
fn members(bytes: &[u8]) {
    let limits = limits();
    let plain = Squeeze::detect(bytes).decoder(bytes, &limits);
    let mut members = Members::new(tar::Reader::new(BufReader::new(plain), &limits), limits.document);
    while let Ok(Some(entry)) = members.next_entry() {
        assert!(entry.path.components().all(|component| component != b".."));
    }
    let plain = Squeeze::detect(bytes).decoder(bytes, &limits);
    let inner = tar::Reader::new(BufReader::new(plain), &limits);
    let mut packed = Members::new(Packed::new(inner, b"{}".to_vec(), Meta::default()), limits.document);
    while let Ok(Some(_)) = packed.next_entry() {}
    assert_eq!(packed.manifest(), Some(&b"{}"[..]));
}
