use super::*;
use crate::wire::{Headers, Method};
use proptest::prelude::*;
use std::collections::VecDeque;

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn upload(size: u64, pieces: Pieces, mount: Option<&str>) -> Upload {
    let site = Site::parse(Scheme::Https, "reg.example").expect("a site");
    let place = Place::new(site, "", "app").expect("a place");
    let lenders: Vec<_> = mount.into_iter().flat_map(|names| names.split(' ')).map(Into::into).collect();
    Upload::new(place, DIGEST.parse().expect("a digest"), size, pieces, &lenders)
}

fn answer(status: u16, fields: &[(&str, &str)]) -> Head {
    let mut headers = Headers::default();
    for (name, value) in fields {
        assert!(headers.add(name, value), "{value}");
    }
    Head { status, headers }
}

fn step(upload: &mut Upload, status: u16, fields: &[(&str, &str)]) -> Next {
    upload.answered(&answer(status, fields)).expect("an answer that can be followed")
}

fn line(upload: &Upload) -> String {
    let Ask { request, body } = upload.ask();
    format!("{} {} {}..{}", request.method, request.address.target(), body.start, body.end)
}

#[test]
fn a_blob_that_another_repository_holds_is_mounted() {
    let mut it = upload(10, Pieces::One, Some("base"));
    assert!(line(&it).starts_with("POST /v2/app/blobs/uploads/?mount="));
    assert_eq!(step(&mut it, 201, &[]), Next::Mounted);
    assert_eq!(it.cancel(), None);
}

#[test]
fn where_mounting_is_refused_the_bytes_are_sent() {
    for status in [401, 403, 404, 405] {
        let mut it = upload(10, Pieces::One, Some("base"));
        assert_eq!(step(&mut it, status, &[]), Next::Ask);
        assert_eq!(line(&it), "POST /v2/app/blobs/uploads/ 0..0");
    }
    let mut it = upload(10, Pieces::One, Some("base"));
    assert_eq!(step(&mut it, 202, &[("Location", "/up/1?x")]), Next::Ask);
    assert_eq!(line(&it), format!("PUT /up/1?x&digest={DIGEST} 0..10"));
    assert_eq!(step(&mut it, 201, &[]), Next::Uploaded);
}

#[test]
fn lenders_are_asked_in_turn_and_what_was_begun_for_them_is_given_up() {
    let mut it = upload(10, Pieces::One, Some("a b c d"));
    let from = |it: &Upload| it.lender().map(str::to_owned);
    assert_eq!(from(&it).as_deref(), Some("a"));
    step(&mut it, 202, &[("Location", "/up/a")]);
    assert_eq!((line(&it).as_str(), from(&it)), ("DELETE /up/a 0..0", None));
    assert!(it.is_asking_a_favour());
    step(&mut it, 404, &[]);
    assert_eq!(from(&it).as_deref(), Some("b"));
    step(&mut it, 403, &[]);
    assert_eq!(from(&it).as_deref(), Some("c"));
    step(&mut it, 202, &[("Location", "/up/c")]);
    assert_eq!(it.broke(), Next::Ask);
    assert_eq!(from(&it).as_deref(), Some("d"));
    let mut lent = it.clone();
    assert_eq!(step(&mut lent, 201, &[]), Next::Mounted);
    assert_eq!(lent.cancel(), None);
    step(&mut it, 202, &[("Location", "/up/d")]);
    assert_eq!(line(&it), format!("PUT /up/d?digest={DIGEST} 0..10"), "the last one's upload is used");
}

#[test]
fn chunks_follow_what_was_acknowledged_and_are_as_large_as_the_registry_wants() {
    let mut it = upload(10, Pieces::Chunks(2), None);
    step(&mut it, 202, &[("Location", "/up"), ("OCI-Chunk-Min-Length", "4")]);
    assert_eq!(line(&it), "PATCH /up 0..4");
    step(&mut it, 202, &[("Location", "/up2"), ("Range", "0-2")]);
    assert_eq!(line(&it), "PATCH /up2 3..7");
    step(&mut it, 416, &[("Range", "0-3")]);
    assert_eq!(line(&it), "PATCH /up2 4..8");
    step(&mut it, 202, &[]);
    step(&mut it, 202, &[("Range", "0-10")]);
    assert_eq!(line(&it), format!("PUT /up2?digest={DIGEST} 10..10"), "a count is taken for a last byte");
    assert_eq!(step(&mut it, 201, &[]), Next::Uploaded);
}

#[test]
fn zero_to_zero_is_nothing_or_one_byte() {
    let mut it = upload(10, Pieces::Chunks(5), None);
    step(&mut it, 202, &[("Location", "/up"), ("Range", "0-0")]);
    step(&mut it, 202, &[("Range", "0-0")]);
    assert_eq!(line(&it), "PATCH /up 0..5");
    step(&mut it, 416, &[("Range", "0-0")]);
    assert_eq!(line(&it), "PATCH /up 1..6");
    let mut one = upload(1, Pieces::Chunks(5), None);
    step(&mut one, 202, &[("Location", "/up")]);
    step(&mut one, 202, &[("Range", "0-0")]);
    assert_eq!(one.acknowledged(), 1);
}

#[test]
fn item_211_a_registry_that_takes_no_chunks_gets_one_piece() {
    for status in [400, 404, 405, 411, 415, 501] {
        let mut it = upload(10, Pieces::Chunks(5), None);
        step(&mut it, 202, &[("Location", "/up")]);
        assert_eq!(step(&mut it, status, &[]), Next::Ask);
        assert_eq!(line(&it), "POST /v2/app/blobs/uploads/ 0..0");
        step(&mut it, 202, &[("Location", "/up2")]);
        assert_eq!(line(&it), format!("PUT /up2?digest={DIGEST} 0..10"));
    }
}

#[test]
fn a_chunk_that_is_too_large_is_halved() {
    let mut it = upload(100 << 20, Pieces::Chunks(4 << 20), None);
    step(&mut it, 202, &[("Location", "/up")]);
    for size in [2 << 20, 1 << 20] {
        assert_eq!(step(&mut it, 413, &[]), Next::Ask);
        step(&mut it, 204, &[("Range", "0-0")]);
        assert_eq!(it.ask().body, 0..size);
    }
    assert_eq!(step(&mut it, 413, &[]), Next::Failed);
}

#[test]
fn after_a_break_it_is_asked_what_arrived() {
    let mut it = upload(10, Pieces::Chunks(5), None);
    step(&mut it, 202, &[("Location", "/up")]);
    assert_eq!(it.broke(), Next::Ask);
    assert_eq!(line(&it), "GET /up 0..0");
    step(&mut it, 204, &[("Range", "0-2")]);
    assert_eq!(line(&it), "PATCH /up 3..8");
    step(&mut it, 202, &[("Range", "0-7")]);
    step(&mut it, 202, &[("Range", "0-9")]);
    assert_eq!(it.broke(), Next::Ask);
    assert_eq!(line(&it), format!("HEAD /v2/app/blobs/{DIGEST} 0..0"), "it may be whole already");
    assert_eq!(step(&mut it, 200, &[]), Next::Uploaded);
}

#[test]
fn a_registry_in_trouble_may_have_stored_the_blob() {
    for (there, next) in [(200, Next::Uploaded), (404, Next::Ask)] {
        let mut it = upload(10, Pieces::One, None);
        step(&mut it, 202, &[("Location", "/up")]);
        assert_eq!(step(&mut it, 500, &[]), Next::Ask);
        assert_eq!(line(&it), format!("HEAD /v2/app/blobs/{DIGEST} 0..0"));
        assert_eq!(step(&mut it, there, &[]), next);
    }
}

#[test]
fn a_later_run_goes_on_or_begins_again() {
    let mut it = upload(10, Pieces::Chunks(5), None);
    assert_eq!(it.to_resume(0), None, "there is nothing to go on with");
    step(&mut it, 202, &[("Location", "/up")]);
    let begun = it.to_resume(2).expect("it is begun");
    assert_eq!((begun.acknowledged, begun.sent), (0, 2));
    let mut partly = upload(10, Pieces::Chunks(5), None).resumed(begun);
    step(&mut partly, 204, &[("Range", "0-1")]);
    assert_eq!(line(&partly), "PATCH /up 2..7", "some keep what came of a chunk");
    step(&mut it, 202, &[("Range", "0-4")]);
    let left = it.to_resume(5).expect("something is left");
    let mut again = upload(10, Pieces::Chunks(5), None).resumed(left.clone());
    assert_eq!(line(&again), "GET /up 0..0");
    step(&mut again, 204, &[("Range", "0-4")]);
    assert_eq!(line(&again), "PATCH /up 5..10");
    let mut gone = upload(10, Pieces::Chunks(5), None).resumed(left);
    step(&mut gone, 404, &[]);
    assert_eq!(line(&gone), "POST /v2/app/blobs/uploads/ 0..0");
}

#[test]
fn item_215_an_upload_is_given_up() {
    let mut it = upload(10, Pieces::Chunks(5), None);
    assert_eq!(it.cancel(), None);
    step(&mut it, 202, &[("Location", "/up?s=1")]);
    let cancel = it.cancel().expect("there is something to cancel");
    assert_eq!((cancel.method, cancel.address.target()), (Method::Delete, "/up?s=1"));
}

#[test]
fn n3_a_location_in_the_clear_is_the_registry_itself_or_refused() {
    let begin = |location: &str| {
        let mut it = upload(10, Pieces::One, None);
        it.answered(&answer(202, &[("Location", location)]))
            .map(|_| it.ask().request.address.site().to_string())
    };
    assert_eq!(begin("https://store.example/up"), Ok("https://store.example".into()));
    assert_eq!(begin("http://reg.example/up"), Ok("https://reg.example".into()));
    assert_eq!(begin("http://reg.example:443/up"), Ok("https://reg.example".into()));
    for foreign in ["http://store.example/up", "http://reg.example:81/up", "http://127.0.0.1/"] {
        assert!(matches!(begin(foreign), Err(WireError::InTheClear { .. })), "{foreign}");
    }
}

#[test]
fn a_registry_that_has_more_than_was_sent_is_refused() {
    let mut it = upload(100, Pieces::Chunks(5), None);
    step(&mut it, 202, &[("Location", "/up")]);
    let told = it.answered(&answer(202, &[("Range", "0-50")]));
    assert!(matches!(told, Err(WireError::Acknowledged { acknowledged: 51, sent: 5, .. })));
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
enum Fault {
    /// So many bytes are kept, and the connection breaks before an answer.
    Break(u64),
    /// So many bytes are kept and said to be.
    Less(u64),
    /// So many bytes are kept, and an error is said.
    Status(u16, u64),
    /// The upload is forgotten.
    Forget,
}

/// A registry that keeps bytes, with faults.
struct Server {
    kept: Option<Vec<u8>>,
    blob: Option<Vec<u8>>,
    faults: VecDeque<Option<Fault>>,
}

impl Server {
    fn hear(&mut self, ask: &Ask, blob: &[u8]) -> Option<Head> {
        let body = &blob[usize::try_from(ask.body.start).ok()?..usize::try_from(ask.body.end).ok()?];
        let fault = self.faults.pop_front().flatten();
        if matches!(fault, Some(Fault::Forget)) {
            self.kept = None;
        }
        match ask.request.method {
            Method::Head => Some(answer(if self.blob.is_some() { 200 } else { 404 }, &[])),
            Method::Post => {
                self.kept = Some(Vec::new());
                Some(answer(202, &[("Location", "/up")]))
            }
            Method::Get => Some(self.status(204, 404)),
            Method::Patch => self.chunk(ask, body, fault.as_ref()),
            _ => self.close(body, blob, fault.as_ref()),
        }
    }

    fn chunk(&mut self, ask: &Ask, body: &[u8], fault: Option<&Fault>) -> Option<Head> {
        let Some(kept) = &mut self.kept else { return Some(answer(404, &[])) };
        if kept.len() as u64 != ask.body.start {
            return Some(self.status(416, 404));
        }
        let cut = |bytes: u64| &body[..body.len().min(usize::try_from(bytes).expect("small"))];
        match fault {
            Some(Fault::Break(bytes)) => {
                kept.extend(cut(*bytes));
                None
            }
            Some(Fault::Status(status, bytes)) => {
                kept.extend(cut(*bytes));
                Some(answer(*status, &[]))
            }
            Some(Fault::Less(bytes)) => {
                kept.extend(cut(*bytes));
                Some(self.status(202, 404))
            }
            _ => {
                kept.extend(body);
                Some(self.status(202, 404))
            }
        }
    }

    fn close(&mut self, body: &[u8], blob: &[u8], fault: Option<&Fault>) -> Option<Head> {
        let Some(mut kept) = self.kept.take() else { return Some(answer(404, &[])) };
        kept.extend(body);
        if kept != blob {
            return Some(answer(400, &[]));
        }
        self.blob = Some(kept);
        (!matches!(fault, Some(Fault::Break(_)))).then(|| answer(201, &[]))
    }

    fn status(&self, known: u16, unknown: u16) -> Head {
        match &self.kept {
            Some(kept) => answer(known, &[("Range", &format!("0-{}", kept.len().saturating_sub(1)))]),
            None => answer(unknown, &[]),
        }
    }
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        4 => Just(None),
        1 => (0..40_u64).prop_map(|bytes| Some(Fault::Break(bytes))),
        1 => (0..40_u64).prop_map(|bytes| Some(Fault::Less(bytes))),
        1 => (prop_oneof![Just(500_u16), Just(503), Just(429)], 0..40_u64)
            .prop_map(|(status, bytes)| Some(Fault::Status(status, bytes))),
        1 => Just(Some(Fault::Forget)),
    ]
}

proptest! {
    /// The server's own check of offsets and of the whole is what proves that every byte came once and in order.
    #[test]
    fn every_byte_arrives_once_and_in_order_or_it_ends(
        size in 0_usize..200,
        chunk in prop_oneof![Just(None), (1_u64..60).prop_map(Some)],
        faults in prop::collection::vec(fault(), 0..40),
    ) {
        let blob: Vec<u8> = (0..=250).cycle().take(size).collect();
        let are_few = faults.iter().flatten().count() <= 2;
        let pieces = chunk.map_or(Pieces::One, Pieces::Chunks);
        let mut it = upload(size as u64, pieces, None);
        let mut server = Server { kept: None, blob: None, faults: faults.into() };
        let mut ended = None;
        for _ in 0..2000 {
            let ask = it.ask();
            let next = match server.hear(&ask, &blob) {
                Some(head) => it.answered(&head),
                None => Ok(it.broke()),
            };
            if !matches!(next, Ok(Next::Ask)) {
                ended = Some(next);
                break;
            }
        }
        match ended {
            Some(Ok(Next::Uploaded)) => prop_assert_eq!(server.blob, Some(blob)),
            Some(_) => prop_assert!(!are_few, "two faults are mended: {:?}", ended),
            None => prop_assert!(false, "it does not end"),
        }
    }

    #[test]
    fn n12_any_answers_come_to_an_end(answers in prop::collection::vec((200_u16..600, 0_u64..30), 1..20)) {
        let mut it = upload(20, Pieces::Chunks(7), Some("base"));
        let mut ended = false;
        for (status, last) in answers.iter().cycle().take(3000) {
            let fields = [("Location", "/up"), ("Range", &*format!("0-{last}"))];
            if !matches!(it.answered(&answer(*status, &fields)), Ok(Next::Ask)) {
                ended = true;
                break;
            }
        }
        prop_assert!(ended);
    }
}
