//! References: printing is the inverse of parsing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_spec::reference::{Bare, Grammar, LoneStream};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

fuzz_target!(|input: (bool, &[u8])| {
    let (everything_exists, text) = input;
    let exists = |_, _: &std::path::Path| everything_exists;
    for bare in [Bare::Registry, Bare::Store] {
        let grammar = Grammar { bare, lone_stream: LoneStream::Tar, exists: &exists };
        let Ok(reference) = grammar.parse(OsStr::from_bytes(text)) else { continue };
        let printed = reference.to_os_string();
        assert_eq!(grammar.parse(&printed).ok().as_ref(), Some(&reference), "{printed:?}");
    }
});
