//! What a source and a catalog must do.

use super::{Digests, Fresh, Holds, Place, Sample, asks_for, first_name, read, root_of};
use orlop_spec::port::{Catalog, Name, Selector};
use orlop_spec::{Algorithm, Descriptor, Fault, Kind};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::thread;

/// Runs every law of sources on places of one kind; how many there are.
pub fn source(fresh: Fresh<'_>) -> usize {
    let laws: &[fn(&dyn Place)] = &[
        what_was_put_comes_back,
        an_origin_opens_again_at_any_offset,
        a_local_file_holds_the_same_bytes,
        readers_do_not_disturb_each_other,
        every_way_to_ask_finds_the_image,
        what_is_not_there_is_not_found,
        names_are_listed_in_order,
        referrers_are_found_by_their_subject,
        stronger_digests_come_back,
    ];
    for law in laws {
        law(&*fresh());
    }
    laws.len()
}

fn with_image(place: &dyn Place) -> (Sample, Name) {
    let (sample, name) = (Sample::new("an image"), first_name(place));
    sample.publish(place, &name);
    (sample, name)
}

fn opened(place: &dyn Place) -> Box<dyn Catalog + '_> {
    place.catalog().expect("a place with an image opens for reading")
}

fn what_was_put_comes_back(place: &dyn Place) {
    let (sample, name) = with_image(place);
    let catalog = opened(place);
    sample.check(&*catalog);
    assert_eq!(root_of(&*catalog, &name).map_err(|fault| fault.kind()), Ok(sample.root));
}

fn an_origin_opens_again_at_any_offset(place: &dyn Place) {
    let (sample, _) = with_image(place);
    let catalog = opened(place);
    for (blob, content) in &sample.blobs {
        let origin = catalog.origin(blob).expect("an origin costs little");
        for at in [0, 1, content.len() - 1, content.len(), 0] {
            let mut bytes = Vec::new();
            let mut reader = origin.open(at as u64).expect("an offset within the blob opens");
            reader.read_to_end(&mut bytes).expect("the bytes are there");
            assert_eq!(bytes, content[at..]);
        }
    }
}

fn a_local_file_holds_the_same_bytes(place: &dyn Place) {
    let (sample, _) = with_image(place);
    let catalog = opened(place);
    for (blob, content) in &sample.blobs {
        let origin = catalog.origin(blob).expect("an origin costs little");
        let Some(local) = origin.local() else { continue };
        let mut file = std::fs::File::from(local.file);
        assert_eq!(local.size, blob.size);
        assert!(!local.whole || (local.at == 0 && file.metadata().expect("open").len() == local.size));
        file.seek(SeekFrom::Start(local.at)).expect("a regular file");
        let mut bytes = Vec::new();
        file.take(local.size).read_to_end(&mut bytes).expect("the bytes are there");
        assert_eq!(bytes, *content);
    }
}

fn readers_do_not_disturb_each_other(place: &dyn Place) {
    let (sample, _) = with_image(place);
    let catalog = opened(place);
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| (0..20).for_each(|_| sample.check(&*catalog)));
        }
    });
}

fn every_way_to_ask_finds_the_image(place: &dyn Place) {
    let (sample, name) = with_image(place);
    let catalog = opened(place);
    let by_digest = Selector::Digest(sample.root.digest.clone());
    for selector in [asks_for(&name), Selector::Only, Selector::At(0), by_digest] {
        let roots = catalog.resolve(&selector).map_err(|fault| fault.kind());
        let digests = roots.map(|roots| roots.into_iter().map(|root| root.digest).collect::<Vec<_>>());
        assert_eq!(digests, Ok(vec![sample.root.digest.clone()]), "{selector}");
    }
}

fn what_is_not_there_is_not_found(place: &dyn Place) {
    with_image(place);
    let (catalog, other) = (opened(place), Sample::new("another"));
    let absent =
        [Selector::Tag("absent".into()), Selector::At(7), Selector::Digest(other.root.digest.clone())];
    for selector in absent {
        let kind = catalog.resolve(&selector).map_err(|fault| fault.kind());
        assert_eq!(kind.map(|roots| roots.len()), Err(Kind::NotFound), "{selector}");
    }
    assert!(read(&*catalog, &other.root).is_err());
}

fn names_are_listed_in_order(place: &dyn Place) {
    if place.holds() == Holds::One {
        return;
    }
    let (one, two) = (Sample::new("one"), Sample::new("two"));
    let sink = place.sink().expect("the place opens for writing");
    one.put(&*sink);
    two.put(&*sink);
    let named = [("z", &one), ("a", &two), ("m", &one)];
    let roots: Vec<_> = named.map(|(tag, image)| (place.tag(tag), image.root.clone())).into();
    sink.finish(&roots).expect("whole images are published");
    let listed: Vec<_> = super::listing(place).into_iter().map(|(name, root)| (name, root.digest)).collect();
    // A place may group the names of one image.
    let grouped: Vec<_> = [0, 2, 1].map(|at: usize| (roots[at].0.clone(), roots[at].1.digest.clone())).into();
    let in_order: Vec<_> = roots.iter().map(|(name, root)| (name.clone(), root.digest.clone())).collect();
    // And a registry sorts them (distribution-spec, "Listing Tags").
    let mut sorted = in_order.clone();
    sorted.sort();
    assert!([in_order, grouped, sorted].contains(&listed), "{listed:?}");
    let asked = opened(place).resolve(&Selector::Only);
    assert_eq!(asked.map(|roots| roots.len()).map_err(|fault| fault.kind()), Err(Kind::Usage));
}

fn referrers_are_found_by_their_subject(place: &dyn Place) {
    if place.holds() == Holds::One {
        return;
    }
    let subject = Sample::new("a subject");
    let speaker = Sample::about("a signature", Algorithm::Sha256, Some(subject.root.clone()));
    let sink = place.sink().expect("the place opens for writing");
    subject.put(&*sink);
    speaker.put(&*sink);
    let roots = [(place.tag("s"), subject.root.clone()), (Name::Untagged, speaker.root.clone())];
    sink.finish(&roots).expect("whole images are published");
    let catalog = opened(place);
    let of = |root: &Descriptor| {
        let found: Result<_, Fault> = catalog.referrers(&root.digest);
        found.expect("referrers can be listed").into_iter().map(|found| found.digest).collect::<Vec<_>>()
    };
    assert_eq!(of(&subject.root), std::slice::from_ref(&speaker.root.digest));
    assert_eq!(of(&speaker.root), []);
}

fn stronger_digests_come_back(place: &dyn Place) {
    let sample = Sample::about("a strong image", Algorithm::Sha512, None);
    if place.digests() == Digests::Sha256 {
        let sink = place.sink().expect("the place opens for writing");
        sample.put(&*sink);
        let published = sink.finish(&[(first_name(place), sample.root)]);
        assert!(published.is_err(), "it has no such name");
        assert_eq!(super::listing(place), [], "and gets no other one");
        return;
    }
    sample.publish(place, &first_name(place));
    sample.check(&*opened(place));
}
