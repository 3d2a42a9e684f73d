//! What a sink must do, and must never do.

use super::{
    Again, Digests, Editors, Fresh, Holds, Place, Sample, describe, first_name, listing, read, root_of,
};
use orlop_spec::media_type::{OCI_LAYER, OCI_MANIFEST};
use orlop_spec::port::{Hints, Name, Origin, Overtaken, Put, Result, Seen, Sink};
use orlop_spec::{Algorithm, AnyDigest, Descriptor, Diagnose as _, Fault, Kind};
use std::io::{self, Read, Write as _};
use std::sync::Barrier;
use std::thread;

/// Runs every law of sinks on places of one kind; how many there are.
pub fn sink(fresh: Fresh<'_>) -> usize {
    let laws: &[fn(&dyn Place)] = &[
        nothing_is_seen_before_the_end,
        a_dropped_sink_leaves_what_was,
        wrong_bytes_are_refused,
        a_failing_origin_leaves_nothing,
        a_blob_that_is_there_is_held,
        a_begun_blob_is_what_its_commit_says,
        a_begun_blob_may_be_named_by_any_algorithm,
        a_dropped_writer_leaves_nothing,
        an_empty_blob_is_a_blob,
        item_10_an_unknown_algorithm_is_carried_by_size,
        a_root_that_was_not_put_is_not_published,
        blobs_may_arrive_at_once,
        writing_again_adds_or_replaces,
        a_tag_moves,
        what_was_seen_and_is_so_may_be_replaced,
        a_change_of_somebody_else_is_not_overwritten,
        of_editors_at_once_each_lands_or_is_told,
    ];
    for law in laws {
        law(&*fresh());
    }
    laws.len()
}

fn opened(place: &dyn Place) -> Box<dyn Sink + '_> {
    place.sink().expect("the place opens for writing")
}

fn nothing_is_seen_before_the_end(place: &dyn Place) {
    let sample = Sample::new("unseen");
    let sink = opened(place);
    sample.put(&*sink);
    assert_eq!(listing(place), []);
    sink.finish(&[(first_name(place), sample.root.clone())]).expect("a whole image is published");
    assert_eq!(listing(place), [(first_name(place), sample.root)]);
}

fn a_dropped_sink_leaves_what_was(place: &dyn Place) {
    let (old, new) = (Sample::new("old"), Sample::new("new"));
    new.put(&*opened(place));
    assert_eq!(listing(place), []);
    old.publish(place, &first_name(place));
    new.put(&*opened(place));
    assert_eq!(listing(place), [(first_name(place), old.root.clone())]);
    old.check(&*place.catalog().expect("it was published"));
}

fn wrong_bytes_are_refused(place: &dyn Place) {
    let content = vec![7; 3 << 20];
    let right = describe(OCI_LAYER, Algorithm::Sha256, &content);
    let mut flipped = content.clone();
    flipped[2 << 20] ^= 1;
    for wrong in [&flipped[..], &content[1..], &[&content[..], b"x"].concat(), b""] {
        let sink = opened(place);
        let kind = sink.put(&right, &wrong.to_vec(), &Hints::default()).map_err(|fault| fault.kind());
        assert_eq!(kind, Err(Kind::Integrity));
        drop(sink);
        let kept = place.catalog().and_then(|catalog| read(&*catalog, &right));
        assert!(kept.is_err(), "refused bytes got a name");
    }
}

/// Gives some bytes, then fails.
struct Torn;

impl Origin for Torn {
    fn open(&self, _: u64) -> Result<Box<dyn Read + Send + '_>> {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other(Fault::io("read", io::Error::from(io::ErrorKind::ConnectionReset))))
            }
        }
        Ok(Box::new((&b"ab"[..]).chain(Fails)))
    }
}

fn a_failing_origin_leaves_nothing(place: &dyn Place) {
    let blob = describe(OCI_LAYER, Algorithm::Sha256, b"abc");
    let sink = opened(place);
    let put = sink.put(&blob, &Torn, &Hints::default());
    assert_eq!(put.map_err(|fault| fault.kind()), Err(Kind::Other), "the origin's own error comes out");
    drop(sink);
    assert!(place.catalog().and_then(|catalog| read(&*catalog, &blob)).is_err());
}

fn a_blob_that_is_there_is_held(place: &dyn Place) {
    let blob = describe(OCI_LAYER, Algorithm::Sha256, b"abc");
    let sink = opened(place);
    let put = |content: &[u8]| sink.put(&blob, &content.to_vec(), &Hints::default()).expect("a right blob");
    assert_ne!(put(b"abc"), Put::Held);
    assert_eq!(put(b"not looked at"), Put::Held);
}

fn a_begun_blob_is_what_its_commit_says(place: &dyn Place) {
    let sample = Sample::new("begun");
    for wrong in ["begin", "begun!", ""] {
        let sink = opened(place);
        let mut writer = sink.begin(&Hints::default()).expect("a blob begins");
        writer.write_all(wrong.as_bytes()).expect("bytes are taken");
        let committed = writer.commit(&sample.blobs[1].0).map_err(|fault| fault.kind());
        assert_eq!(committed, Err(Kind::Integrity), "{wrong}");
    }
    let sink = opened(place);
    for (blob, content) in &sample.blobs {
        let mut writer = sink.begin(&Hints::default()).expect("a blob begins");
        content.chunks(3).for_each(|piece| writer.write_all(piece).expect("bytes are taken"));
        writer.commit(blob).expect("the bytes are the blob");
    }
    sink.finish(&[(first_name(place), sample.root.clone())]).expect("a whole image is published");
    sample.check(&*place.catalog().expect("it was published"));
}

fn a_begun_blob_may_be_named_by_any_algorithm(place: &dyn Place) {
    if place.digests() == Digests::Sha256 {
        return;
    }
    let sample = Sample::about("a strong image", Algorithm::Sha384, None);
    let sink = opened(place);
    for (blob, content) in &sample.blobs {
        let mut writer = sink.begin(&Hints::default()).expect("a blob begins");
        writer.write_all(content).expect("bytes are taken");
        writer.commit(blob).expect("the bytes are the blob");
    }
    sink.finish(&[(first_name(place), sample.root.clone())]).expect("a whole image is published");
    sample.check(&*place.catalog().expect("it was published"));
}

fn a_dropped_writer_leaves_nothing(place: &dyn Place) {
    let sample = Sample::new("whole");
    let sink = opened(place);
    let mut writer = sink.begin(&Hints::default()).expect("a blob begins");
    writer.write_all(b"half a blob").expect("bytes are taken");
    drop(writer);
    sample.put(&*sink);
    sink.finish(&[(first_name(place), sample.root.clone())]).expect("a dropped writer hinders nobody");
    let half = describe(OCI_LAYER, Algorithm::Sha256, b"half a blob");
    assert!(read(&*place.catalog().expect("it was published"), &half).is_err());
}

/// Publishes an image of one more layer, which must come back.
fn comes_back_as_a_layer(place: &dyn Place, blob: &Descriptor, content: &[u8]) {
    let sample = Sample::new("carrier").with_layer(blob.clone(), content);
    sample.publish(place, &first_name(place));
    sample.check(&*place.catalog().expect("it was published"));
}

fn an_empty_blob_is_a_blob(place: &dyn Place) {
    let blob = describe(OCI_LAYER, Algorithm::Sha256, b"");
    comes_back_as_a_layer(place, &blob, b"");
}

fn item_10_an_unknown_algorithm_is_carried_by_size(place: &dyn Place) {
    let mut blob = describe(OCI_LAYER, Algorithm::Sha256, b"abc");
    blob.digest = AnyDigest::Other("foo+bar:abc".into());
    let sink = opened(place);
    assert!(sink.put(&blob, &b"abcd".to_vec(), &Hints::default()).is_err(), "the size is all there is");
    if place.digests() == Digests::Sha256 {
        let put = sink.put(&blob, &b"abc".to_vec(), &Hints::default());
        assert!(put.is_err(), "what cannot be proven there is refused");
        return;
    }
    drop(sink);
    comes_back_as_a_layer(place, &blob, b"abc");
}

fn a_root_that_was_not_put_is_not_published(place: &dyn Place) {
    let absent = describe(OCI_MANIFEST, Algorithm::Sha256, b"{}");
    let finished = opened(place).finish(&[(first_name(place), absent)]);
    assert_eq!(finished.map_err(|fault| fault.kind()), Err(Kind::Integrity));
    assert_eq!(listing(place), []);
}

fn blobs_may_arrive_at_once(place: &dyn Place) {
    let samples: Vec<_> = (0..8).map(|number| Sample::new(&format!("image {number}"))).collect();
    let sink = opened(place);
    let together = &*sink;
    thread::scope(|threads| {
        for sample in &samples {
            threads.spawn(move || sample.put(together));
        }
    });
    sink.finish(&[(first_name(place), samples[0].root.clone())]).expect("a whole image is published");
    let catalog = place.catalog().expect("it was published");
    samples[0].check(&*catalog);
}

fn writing_again_adds_or_replaces(place: &dyn Place) {
    let (one, two) = (Sample::new("one"), Sample::new("two"));
    let first = first_name(place);
    let second = if place.holds() == Holds::One { Name::Untagged } else { place.tag("second") };
    one.publish(place, &first);
    two.publish(place, &second);
    let expected = match place.again() {
        Again::Adds => vec![(first, one.root), (second, two.root.clone())],
        Again::Replaces => vec![(second, two.root.clone())],
    };
    assert_eq!(listing(place), expected);
    two.check(&*place.catalog().expect("it was published"));
}

fn a_tag_moves(place: &dyn Place) {
    let (one, two, name) = (Sample::new("one"), Sample::new("two"), first_name(place));
    one.publish(place, &name);
    two.publish(place, &name);
    two.publish(place, &name);
    let catalog = place.catalog().expect("it was published");
    assert_eq!(root_of(&*catalog, &name).map_err(|fault| fault.kind()), Ok(two.root.clone()));
    assert_eq!(listing(place), [(name, two.root)]);
}

/// Puts an image and publishes it, if what was seen is still so.
fn publish_if(place: &dyn Place, image: &Sample, name: &Name, seen: &[Seen]) -> Result<()> {
    let sink = opened(place);
    image.put(&*sink);
    sink.finish_if(&[(name.clone(), image.root.clone())], seen)
}

/// What was overtaken; that it was is the law.
fn overtaken(outcome: Result<()>) -> Overtaken {
    let fault = outcome.expect_err("somebody else changed it");
    assert_eq!(fault.kind(), Kind::Other);
    assert!(fault.hint().is_some_and(|hint| hint.contains("run it again")));
    fault.downcast_ref::<Overtaken>().unwrap_or_else(|| panic!("{fault}")).clone()
}

/// The names that a place lists, as they were seen.
fn seen(place: &dyn Place) -> Vec<Seen> {
    Seen::all(&listing(place))
}

fn what_was_seen_and_is_so_may_be_replaced(place: &dyn Place) {
    let (one, two, name) = (Sample::new("one"), Sample::new("two"), first_name(place));
    publish_if(place, &one, &name, &[Seen::of(&name, [])]).expect("it was not there");
    assert_eq!(listing(place), [(name.clone(), one.root.clone())]);
    publish_if(place, &two, &name, &[Seen::of(&name, [&one.root])]).expect("it is what it was");
    assert_eq!(listing(place), [(name.clone(), two.root.clone())]);
    publish_if(place, &two, &name, &[Seen::of(&name, [&two.root])]).expect("nothing changes");
    two.check(&*place.catalog().expect("it was published"));
}

fn a_change_of_somebody_else_is_not_overwritten(place: &dyn Place) {
    let [one, two, mine] = ["one", "two", "mine"].map(Sample::new);
    let name = first_name(place);
    let before = vec![Seen::of(&name, [])];
    one.publish(place, &name);
    let told = overtaken(publish_if(place, &mine, &name, &before));
    assert_eq!(
        (told.name.clone(), told.was, told.now),
        (name.clone(), vec![], vec![one.root.digest.clone()])
    );
    let before = seen(place);
    // The sink is open already when the other one comes, but where it keeps others out.
    let early = (place.editors() != Editors::InTurn).then(|| opened(place));
    two.publish(place, &name);
    let sink = early.unwrap_or_else(|| opened(place));
    mine.put(&*sink);
    let told = overtaken(sink.finish_if(&[(name.clone(), mine.root.clone())], &before));
    assert_eq!((told.was, told.now), (vec![one.root.digest], vec![two.root.digest.clone()]));
    assert_eq!(listing(place), [(name.clone(), two.root.clone())]);
    two.check(&*place.catalog().expect("it stays"));
    if place.holds() == Holds::Many && place.again() == Again::Replaces {
        // What would go with the rest was not seen.
        let second = place.tag("second");
        let told = overtaken(publish_if(place, &mine, &second, &[Seen::of(&second, [])]));
        assert_eq!(told.name, name);
    }
    publish_if(place, &mine, &name, &seen(place)).expect("run again it goes through");
}

/// Each begins when all have looked; whoever is told looks again, so in the end every one has had its turn.
fn of_editors_at_once_each_lands_or_is_told(place: &dyn Place) {
    const EDITORS: usize = 4;
    if place.editors() != Editors::AtOnce {
        return;
    }
    let name = first_name(place);
    let first = Sample::new("first");
    first.publish(place, &name);
    let images: Vec<_> = (0..EDITORS).map(|number| Sample::new(&format!("editor {number}"))).collect();
    let before = seen(place);
    let outcomes = at_once(place, &name, &images, &before);
    let landed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(landed, 1, "all had seen the same: {outcomes:?}");
    let winner = outcomes.iter().position(Result::is_ok).expect("one landed");
    assert_eq!(listing(place), [(name, images[winner].root.clone())]);
    outcomes.into_iter().filter(Result::is_err).for_each(|outcome| drop(overtaken(outcome)));
}

fn at_once(place: &dyn Place, name: &Name, images: &[Sample], before: &[Seen]) -> Vec<Result<()>> {
    let begin = Barrier::new(images.len());
    let sinks: Vec<_> = images.iter().map(|image| (image, opened(place))).collect();
    thread::scope(|threads| {
        let begun: Vec<_> = sinks
            .into_iter()
            .map(|(image, sink)| {
                let begin = &begin;
                threads.spawn(move || {
                    image.put(&*sink);
                    begin.wait();
                    sink.finish_if(&[(name.clone(), image.root.clone())], before)
                })
            })
            .collect();
        begun.into_iter().map(|thread| thread.join().expect("no law is broken in the thread")).collect()
    })
}
