//! References: printing is the inverse of parsing, whatever exists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_spec::reference::{Bare, Grammar, LoneStream, Sought};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

fuzz_target!(|input: (u8, &[u8])| {
    let (salt, text) = input;
    // The same answer for the same path, and for one path in four that there is something.
    let exists = |sought: Sought, path: &Path| {
        let mut hasher = DefaultHasher::new();
        (salt, sought as u8, path.as_os_str().as_bytes()).hash(&mut hasher);
        hasher.finish().is_multiple_of(4)
    };
    for bare in [Bare::Registry, Bare::Store] {
        let grammar = Grammar { bare, lone_stream: LoneStream::Tar, exists: &exists };
        let Ok(reference) = grammar.parse(OsStr::from_bytes(text)) else { continue };
        let printed = reference.to_os_string();
        assert_eq!(grammar.parse(&printed).ok().as_ref(), Some(&reference), "{printed:?}");
    }
});
