//! What a keeper must do.

use super::{Fresh, Place, Sample, Sweeper, asks_for, listing, read, root_of};
use orlop_spec::port::{Keeper, Name, Selector, Sweep};
use orlop_spec::{Descriptor, Diagnose as _, Kind};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// Longer ago than anything.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Runs every law of keepers on places of one kind; how many there are.
pub fn keeper(fresh: Fresh<'_>) -> usize {
    let laws: &[fn(&dyn Place)] = &[
        a_name_is_given_to_what_is_there,
        a_name_is_not_given_to_what_is_not_there,
        every_way_to_ask_forgets_the_image,
        what_is_not_there_cannot_be_forgotten,
        a_tag_that_goes_takes_no_other_with_it,
    ];
    let of_sweeps: &[fn(&dyn Place)] = match fresh().sweeper() {
        Sweeper::Keeper => &[
            a_sweep_removes_what_no_name_reaches,
            a_dry_run_removes_nothing,
            item_4_a_sweep_keeps_what_it_does_not_know,
        ],
        Sweeper::Place => &[a_sweep_that_is_not_ours_is_refused],
    };
    for law in laws.iter().chain(of_sweeps) {
        law(&*fresh());
    }
    laws.len() + of_sweeps.len()
}

fn opened(place: &dyn Place) -> Box<dyn Keeper + '_> {
    place.keeper().expect("the place opens").expect("the place can be kept")
}

fn two_images(place: &dyn Place) -> [(Sample, Name); 2] {
    let images = [(Sample::new("one"), place.tag("one")), (Sample::new("two"), place.tag("two"))];
    let sink = place.sink().expect("the place opens for writing");
    for (sample, _) in &images {
        sample.put(&*sink);
    }
    let roots = images.clone().map(|(sample, name)| (name, sample.root));
    sink.finish(&roots).expect("whole images are published");
    images
}

fn a_name_is_given_to_what_is_there(place: &dyn Place) {
    let [(one, name), (two, second)] = two_images(place);
    let keeper = opened(place);
    let root = root_of(&*keeper, &name).expect("it was published");
    keeper.assign(&place.tag("three"), &root).expect("the root is there");
    keeper.assign(&second, &root).expect("a name may move");
    drop(keeper);
    let catalog = place.catalog().expect("it is still a place");
    for tag in [name, second, place.tag("three")] {
        assert_eq!(root_of(&*catalog, &tag).expect("it was assigned"), one.root);
    }
    two.check(&*catalog);
}

fn a_name_is_not_given_to_what_is_not_there(place: &dyn Place) {
    two_images(place);
    let before = listing(place);
    let assigned = opened(place).assign(&place.tag("three"), &Sample::new("absent").root);
    assert_eq!(assigned.map_err(|fault| fault.kind()), Err(Kind::Integrity));
    assert_eq!(listing(place), before);
}

fn every_way_to_ask_forgets_the_image(place: &dyn Place) {
    let [(one, name), (two, second)] = two_images(place);
    let by_digest = Selector::Digest(one.root.digest.clone());
    for selector in [asks_for(&name), Selector::At(0), by_digest] {
        let gone = opened(place).forget(&selector).expect("it is there");
        let digests: Vec<_> = gone.into_iter().map(|root| root.digest).collect();
        assert_eq!(digests, std::slice::from_ref(&one.root.digest), "{selector}");
        assert_eq!(listing(place), [(second.clone(), two.root.clone())]);
        opened(place).forget(&asks_for(&second)).expect("it is there");
        two_images(place);
    }
}

fn what_is_not_there_cannot_be_forgotten(place: &dyn Place) {
    two_images(place);
    let before = listing(place);
    let absent = Selector::Digest(Sample::new("absent").root.digest);
    for selector in [Selector::Tag("absent".into()), Selector::At(2), absent] {
        let gone = opened(place).forget(&selector).map_err(|fault| fault.kind());
        assert_eq!(gone.map(|gone| gone.len()), Err(Kind::NotFound), "{selector}");
    }
    assert!(opened(place).forget(&Selector::Only).is_err(), "there are two");
    assert_eq!(listing(place), before);
}

fn a_tag_that_goes_takes_no_other_with_it(place: &dyn Place) {
    let [(one, name), (_, second)] = two_images(place);
    opened(place).assign(&place.tag("three"), &one.root).expect("the root is there");
    let gone = opened(place).forget(&asks_for(&name)).expect("it is there");
    assert!(gone.iter().all(|root| root.digest == one.root.digest) && gone.len() == 1);
    let mut names: Vec<_> = listing(place).into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, [place.tag("three"), second]);
    one.check(&*place.catalog().expect("it is still a place"));
}

fn a_sweep_that_is_not_ours_is_refused(place: &dyn Place) {
    let [(one, name), _] = two_images(place);
    opened(place).forget(&asks_for(&name)).expect("it is there");
    for mode in [Sweep::Remove, Sweep::DryRun] {
        let refused = opened(place).sweep(HOUR, mode).map_err(|fault| (fault.kind(), fault.hint().is_some()));
        assert_eq!(refused.map(|_| ()), Err((Kind::Usage, true)));
    }
    one.check(&*place.catalog().expect("it is still a place"));
}

fn is_there(place: &dyn Place, blob: &Descriptor) -> bool {
    read(&*place.catalog().expect("it is still a place"), blob).is_ok()
}

fn a_sweep_removes_what_no_name_reaches(place: &dyn Place) {
    let [(one, name), (two, _)] = two_images(place);
    opened(place).forget(&asks_for(&name)).expect("it is there");
    opened(place).sweep(NEVER, Sweep::Remove).expect("a sound place is swept");
    let swept = opened(place).sweep(HOUR, Sweep::Remove).expect("a sound place is swept");
    for (blob, _) in &one.blobs[1..] {
        assert!(!is_there(place, blob), "{} is reached by no name", blob.digest);
    }
    assert!(swept.removed.len() <= 3, "what others reach stays");
    two.check(&*place.catalog().expect("it is still a place"));
    let again = opened(place).sweep(HOUR, Sweep::Remove).expect("a sound place is swept");
    assert_eq!(again.removed, []);
}

fn a_dry_run_removes_nothing(place: &dyn Place) {
    let [(one, name), _] = two_images(place);
    opened(place).forget(&asks_for(&name)).expect("it is there");
    let told = opened(place).sweep(HOUR, Sweep::DryRun).expect("a sound place is swept");
    if is_there(place, &one.root) {
        assert_eq!(told.removed.len(), 3);
    }
    let swept = opened(place).sweep(HOUR, Sweep::Remove).expect("a sound place is swept");
    assert_eq!(swept.removed, told.removed);
}

fn item_4_a_sweep_keeps_what_it_does_not_know(place: &dyn Place) {
    let image = Sample::new("an image");
    let unknown = format!(r#"{{"odd":[{{"layerSum":"{}"}}]}}"#, image.blobs[1].0.digest);
    let unknown = unknown.into_bytes();
    let root = super::describe("application/x", orlop_spec::Algorithm::Sha256, &unknown);
    let sink = place.sink().expect("the place opens for writing");
    image.put(&*sink);
    sink.put(&root, &unknown, &orlop_spec::port::Hints::default()).expect("a right blob is taken");
    sink.finish(&[(place.tag("odd"), root.clone())]).expect("unknown types are no error");
    opened(place).sweep(HOUR, Sweep::Remove).expect("a sound place is swept");
    assert!(is_there(place, &root) && is_there(place, &image.blobs[1].0));
    assert!(!is_there(place, &image.root));
}
