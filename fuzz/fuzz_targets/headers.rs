//! What a registry says beside an answer: whatever it is, no panic, and what is read of it is lawful.
//!
//! ```text
//! status, two bytes │ NAME: VALUE LF NAME: VALUE LF … │ LF LF │ body
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_spec::wire::header::{self, ContentRange};
use orlop_spec::wire::{Address, Failure, Head, Headers, Method, Request, endpoint};
use orlop_spec::{Diagnose as _, Timestamp};

fuzz_target!(|bytes: &[u8]| {
    let [high, low, rest @ ..] = bytes else { return };
    let text = String::from_utf8_lossy(rest);
    let (fields, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut headers = Headers::default();
    for (name, value) in fields.lines().filter_map(|line| line.split_once(':')) {
        let _is_sendable = headers.add(name, value.trim());
    }
    let status = 100 + u16::from_be_bytes([*high, *low]) % 500;
    let head = Head { status, headers };
    for address in ["https://reg.example/v2/app/tags/list", "http://127.0.0.1:5000/v2/a/b/blobs/uploads/?x=1"]
    {
        leads(&Address::parse(address).expect("an address"), &head);
    }
    parts(&head.headers);
    challenges(&head.headers);
    others(&head, body);
});

/// A page is of the same site; a place that is named can be written down and read again.
fn leads(asked: &Address, head: &Head) {
    if let Ok(Some(page)) = endpoint::next_page(asked, head) {
        assert_eq!(page.address.site(), asked.site());
    }
    if let Ok(location) = endpoint::location(asked, head) {
        assert_eq!(Address::parse(&location.to_string()).as_ref(), Ok(&location));
    }
}

/// A part begins before it ends, and ends within the whole.
fn parts(headers: &Headers) {
    if let Some(ContentRange::Part { first, last, size }) = header::content_range(headers) {
        assert!(first <= last && size.is_none_or(|size| last < size));
        let asked = header::range(first, Some(last));
        let mut sent = Headers::default();
        assert!(sent.add("Range", &asked));
        assert_eq!(header::acknowledged(&sent), (first == 0).then_some(last));
    }
    let _taken = header::acknowledged(headers);
}

/// A scheme is a word in small letters, whatever the server writes.
fn challenges(headers: &Headers) {
    for challenge in header::challenges(headers) {
        assert!(!challenge.scheme.is_empty() && !challenge.scheme.bytes().any(|it| it.is_ascii_uppercase()));
        let _known = ["realm", "service", "scope"].map(|name| challenge.get(name));
    }
}

fn others(head: &Head, body: &str) {
    let now = Timestamp::EPOCH;
    let _read = (
        header::content_digest(&head.headers).is_ok(),
        header::content_length(&head.headers),
        header::chunk_min_length(&head.headers),
        header::media_type(&head.headers),
        header::retry_after(&head.headers, now),
        header::subject(&head.headers),
    );
    for warning in header::warnings(&head.headers) {
        assert!(!warning.is_empty());
    }
    let asked = Request::new(Method::Get, Address::parse("https://reg.example/v2/").expect("an address"));
    let failure = Failure::read(&asked, head, body.as_bytes());
    let _said = (failure.to_string(), failure.kind(), failure.hint());
}
