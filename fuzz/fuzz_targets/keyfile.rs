//! Key files and names of refs: what is not touched is printed as it was, what is set comes back, and a name that stands
//! for an image is the only one that does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_host::ostree::escape::{Escape, IMAGES};
use orlop_host::ostree::keyfile::KeyFile;
use orlop_host::ostree::{RefName, RefSpec};

fuzz_target!(|bytes: &[u8]| {
    names(bytes);
    let Ok(file) = KeyFile::parse(bytes) else { return };
    let mut expected = String::from_utf8(bytes.to_vec()).expect("a key file is text").replace("\r\n", "\n");
    if !expected.is_empty() && !expected.ends_with('\n') {
        expected.push('\n');
    }
    assert_eq!(file.to_string(), expected);
    for group in file.groups().into_iter().take(8) {
        for (key, _) in file.pairs(group).take(8) {
            let Ok(Some(value)) = file.string(group, key) else { continue };
            let mut changed = file.clone();
            changed.set_string(group, key, &value);
            let changed = KeyFile::parse(changed.to_string().as_bytes()).expect("printed by us");
            assert_eq!(changed.string(group, key), Ok(Some(value)));
        }
    }
});

fn names(bytes: &[u8]) {
    for escape in [Escape::Bootc, Escape::Skopeo] {
        if let Ok(name) = escape.encode(IMAGES, bytes) {
            assert_eq!(escape.decode(IMAGES, &name).as_deref(), Some(bytes));
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(spec) = text.parse::<RefSpec>() {
        assert_eq!(spec.to_string(), text);
    }
    let Ok(name) = format!("{IMAGES}/{text}").parse::<RefName>() else { return };
    for escape in [Escape::Bootc, Escape::Skopeo] {
        if let Some(image) = escape.decode(IMAGES, &name) {
            assert_eq!(escape.encode(IMAGES, &image), Ok(name.clone()));
        }
    }
}
