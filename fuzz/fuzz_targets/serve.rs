//! What a server is sent, and the index of a remote: whatever it is, no panic, and what is read of it is lawful.
//!
//! ```text
//! heads of requests, one after the other     or, where it begins with `{`, an index and what a client asks of it
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_host::flatpak::index::{Collection, Index, Taken};
use orlop_host::flatpak::labels::Labels;
use orlop_serve::request::{LONGEST, take};
use orlop_spec::wire::header::{Sought, sought};
use orlop_spec::wire::route::{is_repository, split};
use orlop_spec::wire::{Query, Route};

fuzz_target!(|bytes: &[u8]| {
    match bytes.first() {
        Some(b'{') => index(bytes),
        _ => requests(bytes),
    }
});

/// A head that is taken is gone from the front, and nothing of it can end a line.
fn requests(bytes: &[u8]) {
    let mut buffer = bytes.to_vec();
    loop {
        let before = buffer.len();
        match take(&mut buffer) {
            Ok(Some(asked)) => {
                assert!(buffer.len() < before);
                assert!(!asked.path.chars().any(char::is_control));
                route(&asked.path);
                if let Sought::Part { first, last } = sought(&asked.headers, 1000) {
                    assert!(first <= last && last < 1000);
                }
            }
            Ok(None) => return assert!(before < LONGEST),
            Err(refused) => return assert!((400..600).contains(&refused.0)),
        }
    }
}

/// A route is one way to write it.
fn route(path: &str) {
    let Ok(route) = Route::parse(path) else { return };
    if let Some(repository) = route.repository() {
        assert!(is_repository(repository) && path.contains(repository));
    }
    assert!(split(path).is_none_or(|(read, _)| Route::parse(&read).is_ok() || read != path));
}

/// An index is printed as it is read; a question makes it no larger; a collection of its images has each ref once.
fn index(bytes: &[u8]) {
    let Ok(index) = Index::parse(bytes) else { return };
    assert_eq!(Index::parse(&index.to_bytes()).expect("its own form"), index);
    let count = index.images().count();
    for query in
        ["tag=latest&os=linux", "label:org.flatpak.ref:exists=1&architecture=amd64&architecture=arm64"]
    {
        let selected = index.clone().select(&Query::parse(query).expect("a query"));
        assert!(selected.images().count() <= count);
    }
    let mut collection = Collection::default();
    let mut listed = 0;
    for (_, image) in index.images() {
        if let Ok(labels) = Labels::parse(&image.labels) {
            assert_eq!(Labels::parse(&labels.to_annotations()).expect("its own form"), labels);
        }
        listed += usize::from(collection.take(None, image.clone()) != Taken::NotOfFlatpak);
    }
    let made = collection.index("../");
    assert!(made.images().count() <= listed);
    assert!(made.results.iter().all(|repository| is_repository(&repository.name)));
}
