//! Lock files: what is taken is printed as the same bytes, and each line is found by its reference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_spec::Lock;
use orlop_spec::reference::{Bare, Grammar, LoneStream, Sought};
use std::ffi::OsStr;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let Ok(lock) = Lock::parse(bytes) else { return };
    assert_eq!(lock.to_string().as_bytes(), bytes);
    let exists = |_: Sought, _: &Path| false;
    let grammar = Grammar { bare: Bare::Registry, lone_stream: LoneStream::Refused, exists: &exists };
    let mut again = Lock::default();
    for name in lock.names() {
        let reference = grammar.parse(OsStr::new(name)).expect("a name is a reference");
        let root = lock.get(&reference).expect("it is listed");
        assert!(again.set(&reference, &root).expect("it was taken").is_none());
        if let Some(tag) = reference.tag() {
            assert!(lock.tags(&reference.transport).contains(&(tag.into(), root)));
        }
    }
    assert_eq!(lock, again);
});
