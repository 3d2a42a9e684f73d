//! Manifests of trees and `umoci.json`: whatever is read is written so that the same comes back, and a manifest differs from
//! itself in nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_host::umoci::meta::Meta;
use orlop_host::umoci::mtree::{Keyword, Mtree, compare};
use orlop_spec::Limits;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(meta) = Meta::parse(bytes) {
        assert_eq!(Meta::parse(&meta.to_bytes()).expect("printed by us"), meta);
    }
    let limits = Limits { entries: 1000, path: 4096, depth: 64, ..Limits::default() };
    let Ok(mtree) = Mtree::read(&mut &*bytes, &limits) else { return };
    let all = Keyword::ALL.into_iter().collect();
    assert!(compare(&mtree, &mtree, &all).is_empty());
    let mut text = Vec::new();
    mtree.write(&mut text).expect("a vector takes everything");
    let again = Mtree::read(&mut &*text, &limits).expect("printed by us");
    assert_eq!(again.entries().len(), mtree.entries().len());
    // Names of attributes that hold `=` may be read as others; what is written stays the same.
    assert!(compare(&mtree, &again, &all).is_empty());
});
