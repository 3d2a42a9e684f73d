//! Manifests of Docker's schema 1: whatever they hold, no panic, and what is converted is lawful.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_spec::digest::DiffId;
use orlop_spec::schema_one::{SchemaOne, payload};
use orlop_spec::{Algorithm, Digest};

fuzz_target!(|bytes: &[u8]| {
    let Ok(payload) = payload(bytes) else { return };
    let Ok(old) = SchemaOne::parse(&payload) else { return };
    let count = old.layers().count();
    let diff_ids: Vec<_> = (0..count).map(|_| DiffId(Digest::of(Algorithm::Sha256, b""))).collect();
    if let Ok(config) = old.config(&diff_ids) {
        assert_eq!((config.layer_steps(), config.rootfs.diff_ids.len()), (count, count));
        assert!(config.history.len() >= count);
    }
    let one_more = [&diff_ids[..], &[DiffId(Digest::of(Algorithm::Sha256, b"x"))]].concat();
    assert!(old.config(&one_more).is_err());
});
