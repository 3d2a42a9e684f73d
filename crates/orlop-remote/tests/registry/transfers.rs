//! What goes over the wire: how often, how much, and what is left when it breaks.

use crate::ports::World;
use orlop_spec::index::Index;
use orlop_spec::media_type::{MediaType, OCI_INDEX, OCI_LAYER};
use orlop_spec::port::{
    Catalog as _, Depth, Hints, Keeper as _, Name, Origin, Put, Result, Selector, Sink, Source as _,
};
use orlop_spec::{Algorithm, Descriptor, Document, Event, Fault, Kind};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::http::{Asked, Reply};
use testkit::proof;
use testkit::registry::Registry;
use testkit::shelf_server::ShelfServer;
use testkit::suites::{Sample, describe};

fn tag(text: &str) -> Name {
    Name::Tag(text.into())
}

fn publish(world: &World, repository: &str, sample: &Sample, name: &Name) {
    let sink = world.create(repository);
    sample.put(&sink);
    Box::new(sink).finish(&[(name.clone(), sample.root.clone())]).expect("a whole image is published");
}

/// An index of two images, all put and published.
fn publish_index(world: &World, repository: &str) -> Descriptor {
    let (one, two) = (Sample::new("one"), Sample::new("two"));
    let index = Index::new(vec![one.root.clone(), two.root.clone()]);
    let index = Document::print(index, MediaType::new(OCI_INDEX), Algorithm::Sha256);
    let sink = world.create(repository);
    one.put(&sink);
    two.put(&sink);
    sink.put(index.descriptor(), &index.raw().to_vec(), &Hints::default()).expect("a document");
    Box::new(sink).finish(&[(tag("all"), index.descriptor().clone())]).expect("a whole image");
    index.descriptor().clone()
}

#[test]
fn a_root_goes_up_once_under_its_tag_and_after_all_else() {
    let (world, server) = (World::default(), ShelfServer::right());
    publish_index(&world, &server.app());
    let asked = server.asked();
    let puts: Vec<_> = asked.iter().filter(|asked| asked.contains("PUT /v2/app/manifests/")).collect();
    assert_eq!(puts.len(), 3, "{asked:?}");
    assert_eq!(asked.last().map(String::as_str), Some("PUT /v2/app/manifests/all"));
}

#[test]
fn pushing_again_is_one_question_and_one_more_per_manifest_of_an_index() {
    let (world, server, sample) = (World::default(), ShelfServer::right(), Sample::new("an image"));
    publish(&world, &server.app(), &sample, &tag("1"));
    let all = publish_index(&world, &server.app());
    server.asked();
    let ask = |name: &Name, root: &Descriptor, depth| {
        let sink = world.create(&server.app());
        let has = sink.has(name, root, depth).expect("an answer");
        if has {
            Box::new(sink).finish(&[(name.clone(), root.clone())]).expect("it is there");
        }
        (has, server.asked().len())
    };
    assert_eq!(ask(&tag("1"), &sample.root, Depth::Manifests), (true, 1));
    assert_eq!(ask(&Name::Untagged, &sample.root, Depth::Manifests), (true, 1));
    assert_eq!(ask(&tag("all"), &sample.root, Depth::Manifests), (false, 1));
    assert_eq!(ask(&tag("none"), &sample.root, Depth::Manifests), (false, 1));
    assert_eq!(ask(&tag("all"), &all, Depth::Root), (true, 1));
    assert_eq!(ask(&tag("all"), &all, Depth::Manifests), (true, 4));
    let child = Sample::new("one").root.digest.to_string();
    server.shelf().manifests.retain(|(_, digest), _| *digest != child);
    server.asked();
    assert!(!ask(&tag("all"), &all, Depth::Manifests).0, "a child is missing");
    assert!(ask(&tag("all"), &all, Depth::Root).0);
}

#[test]
fn another_repository_of_the_registry_lends_its_blobs() {
    let Some(registry) = Registry::plain() else {
        return proof::skipped("registry: mounts between repositories", "docker-registry");
    };
    let (world, sample) = (World::default(), Sample::new("an image"));
    let name = |name: &str| format!("{}/{name}", registry.host());
    publish(&world, &name("one"), &sample, &tag("1"));
    // Told by the source, and known from the push before.
    world.notes.holders.lock().expect("no test panics with it").clear();
    for (number, target) in ["two", "three"].into_iter().enumerate() {
        let (source, sink) = (world.open(&name("one")), world.create(&name(target)));
        for (blob, content) in &sample.blobs[..3] {
            let origin = source.origin(blob).expect("costs nothing");
            let origin: &dyn Origin = if number == 0 { &*origin } else { content };
            assert_eq!(sink.put(blob, origin, &Hints::default()).expect("it is lent"), Put::Mounted);
        }
    }
    let sent = registry.requests().iter().filter(|asked| asked.starts_with("PUT /v2/t")).count();
    assert_eq!(sent, 0);
    proof::ran("registry: mounts between repositories", 6);
}

#[test]
fn what_is_not_lent_is_sent() {
    let server = ShelfServer::that(|asked, reply| match asked.parameter("mount") {
        Some(_) => Reply::error(403, "DENIED", "not yours"),
        None => reply,
    });
    let (world, sample) = (World::default(), Sample::new("an image"));
    publish(&world, &server.app(), &sample, &tag("1"));
    let (source, sink) = (world.open(&server.app()), world.create(&format!("{}/two", server.host())));
    let origin = source.origin(&sample.blobs[0].0).expect("costs nothing");
    assert_eq!(sink.put(&sample.blobs[0].0, &*origin, &Hints::default()).expect("it is sent"), Put::Copied);
}

#[test]
fn a_second_lender_is_asked_where_the_first_does_not_lend() {
    let server = ShelfServer::instead(|asked| {
        let is_empty = asked.parameter("from").as_deref() == Some("empty");
        is_empty.then(|| Reply::new(202).with("Location", "/v2/two/blobs/uploads/empty"))
    });
    let (world, sample) = (World::default(), Sample::new("an image"));
    publish(&world, &server.app(), &sample, &tag("1"));
    for holders in world.notes.holders.lock().expect("no test panics with it").values_mut() {
        *holders = ["empty", "empty", "two", "app", "other"].map(Into::into).into();
    }
    let (blob, content) = &sample.blobs[0];
    server.asked();
    let sink = world.create(&format!("{}/two", server.host()));
    assert_eq!(sink.put(blob, content, &Hints::default()).expect("it is lent"), Put::Mounted);
    let asked = server.asked();
    let asked: Vec<_> = asked.iter().map(|asked| asked.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(asked, ["HEAD", "POST", "DELETE", "POST"], "what was begun for the first is given up");
}

/// A blob that is made as it is read, so that a large one costs no memory.
struct Zeros(u64);

impl Origin for Zeros {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(io::repeat(0).take(self.0 - at)))
    }
}

const SIZE: u64 = (64 << 20) + (64 << 20) + 5;

fn zeros() -> Descriptor {
    let mut hasher = orlop_spec::Hasher::new(Algorithm::Sha256);
    let block = vec![0; 1 << 20];
    (0..SIZE >> 20).for_each(|_| hasher.update(&block));
    hasher.update(&block[..5]);
    Descriptor::new(MediaType::new(OCI_LAYER), hasher.finish(), SIZE)
}

/// Bytes that were sent in vain, as the account is told.
fn again(world: &World) -> u64 {
    let events = std::mem::take(&mut *world.seen.0.lock().expect("no test panics with it"));
    let again = events.iter().map(|event| match event {
        Event::Retried { again, .. } => *again,
        _ => 0,
    });
    again.sum()
}

/// Bytes that are looked at, and counted.
struct Counted(Zeros, AtomicUsize);

impl Origin for Counted {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.open(at)
    }
}

#[test]
fn a_large_blob_goes_on_where_an_earlier_run_stopped() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    // The first chunk is taken; then none is, until the second run.
    let server = ShelfServer::instead(move |asked: &Asked| {
        let is_chunk = asked.method == "PATCH";
        (is_chunk && (1..100).contains(&counted.fetch_add(1, Ordering::SeqCst))).then(|| Reply::new(500))
    });
    let (world, blob) = (World::default(), zeros());
    let broken = world.create(&server.app()).put(&blob, &Zeros(SIZE), &Hints::default());
    assert_eq!(broken.map_err(|fault| fault.kind()), Err(Kind::Unreachable));
    let noted: Vec<u64> = {
        let uploads = world.notes.uploads.lock().expect("no test panics with it");
        uploads.values().map(|upload| upload.acknowledged).collect()
    };
    assert_eq!(noted, [64 << 20]);
    assert!(again(&world) > 0, "what was sent in vain is told");
    assert!(!server.asked().iter().any(|asked| asked.starts_with("DELETE")), "it stays for the next run");
    count.store(100, Ordering::SeqCst);
    let put = world.create(&server.app()).put(&blob, &Zeros(SIZE), &Hints::default());
    assert_eq!(put.map_err(|fault| fault.to_string()), Ok(Put::Copied));
    assert_eq!(again(&world), 64 << 20, "the chunk that the earlier run sent in vain");
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|asked| asked.starts_with("PATCH")).count(), 2, "{asked:?}");
    assert!(!asked.iter().any(|asked| asked.starts_with("POST")), "{asked:?}");
    assert!(world.notes.uploads.lock().expect("no test panics with it").is_empty());
}

/// Other bytes of the same size.
struct Ones(u64);

impl Origin for Ones {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(io::repeat(1).take(self.0 - at)))
    }
}

#[test]
fn a_rerun_with_other_bytes_is_refused_before_the_end() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = ShelfServer::instead(move |asked: &Asked| {
        let is_chunk = asked.method == "PATCH";
        (is_chunk && (1..100).contains(&counted.fetch_add(1, Ordering::SeqCst))).then(|| Reply::new(500))
    });
    let (world, blob) = (World::default(), zeros());
    world.create(&server.app()).put(&blob, &Zeros(SIZE), &Hints::default()).expect_err("it breaks");
    count.store(100, Ordering::SeqCst);
    let put = world.create(&server.app()).put(&blob, &Ones(SIZE), &Hints::default());
    assert_eq!(put.map_err(|fault| fault.kind()), Err(Kind::Integrity));
    assert_eq!(server.shelf().open_uploads(), 0, "it was given up");
}

#[test]
fn a_registry_that_takes_no_chunks_gets_one_piece() {
    let server = ShelfServer::instead(|asked| {
        (asked.method == "PATCH").then(|| Reply::error(405, "UNSUPPORTED", "no chunks"))
    });
    let (world, blob) = (World::default(), zeros());
    let origin = Counted(Zeros(SIZE), AtomicUsize::new(0));
    let put = world.create(&server.app()).put(&blob, &origin, &Hints::default());
    assert_eq!(put.map_err(|fault| fault.to_string()), Ok(Put::Copied));
    assert_eq!(origin.1.into_inner(), 2, "once for the chunk, once for the piece");
}

#[test]
fn item_215_an_upload_of_wrong_bytes_is_given_up() {
    let (world, server) = (World::default(), ShelfServer::right());
    let blob = describe(OCI_LAYER, Algorithm::Sha256, b"right");
    let put = world.create(&server.app()).put(&blob, &b"wrong".to_vec(), &Hints::default());
    assert_eq!(put.map_err(|fault| fault.kind()), Err(Kind::Integrity));
    assert_eq!(server.shelf().open_uploads(), 0);
    assert!(server.shelf().blob("app", &blob.digest.to_string()).is_none());
}

/// Bytes in the middle of which the user stops.
struct Stopping<'w>(&'w World, u64);

impl Origin for Stopping<'_> {
    fn open(&self, _: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Self(self.0, self.1)))
    }
}

impl Read for Stopping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(64 << 10);
        self.1 += count as u64;
        if self.1 > 1 << 20 {
            self.0.cancel.set();
        }
        self.0.cancel.check().map_err(Fault::from)?;
        buffer[..count].fill(0);
        Ok(count)
    }
}

#[test]
fn item_215_an_upload_that_the_user_stops_is_given_up() {
    let (world, server) = (World::default(), ShelfServer::right());
    let mut blob = zeros();
    blob.size = 60 << 20;
    let put = world.create(&server.app()).put(&blob, &Stopping(&world, 0), &Hints::default());
    assert_eq!(put.map_err(|fault| fault.kind()), Err(Kind::Interrupted));
    let asked = server.asked();
    assert!(asked.iter().any(|asked| asked.starts_with("DELETE")), "{asked:?}");
    assert_eq!(server.shelf().open_uploads(), 0);
}

#[test]
fn item_207_referrers_are_kept_under_a_tag_and_others_stay() {
    let Some(registry) = Registry::plain() else {
        return proof::skipped("registry: referrers by tag", "docker-registry");
    };
    let (world, subject) = (World::default(), Sample::new("a subject"));
    let name = format!("{}/app", registry.host());
    publish(&world, &name, &subject, &tag("1"));
    let speakers =
        ["one", "two"].map(|text| Sample::about(text, Algorithm::Sha256, Some(subject.root.clone())));
    for speaker in speakers.iter().chain([&speakers[0]]) {
        publish(&world, &name, speaker, &Name::Untagged);
    }
    let remote = world.open(&name);
    let listed = || {
        let found = remote.referrers(&subject.root.digest).expect("a list");
        found
            .into_iter()
            .map(|root| (root.digest, root.artifact_type.map(|it| it.to_string())))
            .collect::<Vec<_>>()
    };
    let config = || Some("application/vnd.oci.image.config.v1+json".to_owned());
    let [one, two] = speakers.map(|speaker| speaker.root.digest);
    assert_eq!(listed(), [(one.clone(), config()), (two.clone(), config())]);
    remote.forget(&Selector::Digest(one)).expect("it is there");
    assert_eq!(listed(), [(two, config())]);
    proof::ran("registry: referrers by tag", 2);
}

#[test]
fn item_207_a_list_that_others_always_write_over_is_told() {
    // What is written under the tag of the referrers is never found there.
    let server = ShelfServer::that(|asked, reply| {
        let is_list = asked.method == "GET" && asked.path().contains("/manifests/sha256-");
        if is_list { Reply::error(404, "MANIFEST_UNKNOWN", "gone") } else { reply.without("OCI-Subject") }
    });
    let (world, subject) = (World::default(), Sample::new("a subject"));
    publish(&world, &server.app(), &subject, &tag("1"));
    let speaker = Sample::about("one", Algorithm::Sha256, Some(subject.root.clone()));
    publish(&world, &server.app(), &speaker, &Name::Untagged);
    let events = std::mem::take(&mut *world.seen.0.lock().expect("no test panics with it"));
    let digest = subject.root.digest.to_string();
    let is_told = |event: &Event| matches!(event, Event::Warned(text) if text.contains(&digest));
    assert_eq!(events.iter().filter(|event| is_told(event)).count(), 1, "{events:?}");
}

#[test]
fn a_tag_stays_where_nothing_may_be_removed() {
    let server = ShelfServer::that(|asked, reply| match asked.method.as_str() {
        "DELETE" => Reply::error(405, "UNSUPPORTED", "deletion is off"),
        _ => reply,
    });
    let (world, sample) = (World::default(), Sample::new("an image"));
    publish(&world, &server.app(), &sample, &tag("1"));
    server.asked();
    let remote = world.open(&server.app());
    let refused: Result<_, Fault> = remote.forget(&Selector::Tag("1".into()));
    assert!(refused.is_err());
    assert!(!server.asked().iter().any(|asked| asked.starts_with("PUT")), "the tag was never moved");
    assert_eq!(remote.resolve(&Selector::Tag("1".into())).expect("it is there"), [sample.root]);
}
