//! Laws of the search.

use super::super::variant::Variant;
use super::*;
use proptest::prelude::*;

const TWO: NonZeroUsize = NonZeroUsize::new(2).expect("not zero");

fn commit(metadata: Dict) -> Commit {
    let (tree, meta) = (ObjectId([1; 32]), ObjectId([2; 32]));
    let (subject, body) = ("subject".to_owned(), "body".to_owned());
    Commit { metadata, parent: Some(tree), related: Vec::new(), subject, body, time: 7, tree, meta }
}

/// So many entries of different lengths, in no order that any writer uses.
fn entries(count: usize) -> Dict {
    let key =
        |index: usize| format!("{}.key", char::from(b'a' + u8::try_from(index * 7 % 26).expect("small")));
    (0..count).map(|index| (key(index), Variant::string(&"v".repeat(index * 5)))).collect()
}

fn found(sought: &Sought) -> Option<(&Commit, u64)> {
    match sought {
        Sought::Found { commit, tried } => Some((commit, *tried)),
        _ => None,
    }
}

#[test]
fn what_differs_in_more_than_its_order_is_not_found() {
    let wanted = Commit { time: 8, ..commit(entries(5)) }.id();
    let sought = seek(&commit(entries(5)), &wanted, TWO, &Cancel::new()).expect("nobody stops it");
    let likely = orders::likely(&entries(5)).len() as u64;
    assert_eq!(sought, Sought::Differs { tried: 120 + likely });
}

#[test]
fn a_commit_without_metadata_is_itself_or_another_one() {
    let bare = commit(Dict::new());
    let sought = seek(&bare, &bare.id(), TWO, &Cancel::new()).expect("nobody stops it");
    assert_eq!(found(&sought), Some((&bare, 1)));
    let sought = seek(&bare, &ObjectId([0; 32]), TWO, &Cancel::new()).expect("nobody stops it");
    assert!(matches!(sought, Sought::Differs { .. }));
}

/// Ten entries have three million orders.
#[test]
fn of_many_entries_only_likely_orders_are_tried() {
    let shuffled = arranged(&commit(entries(10)), &[3, 1, 4, 5, 9, 2, 6, 8, 7, 0]);
    let sought = |from: &Commit| seek(from, &shuffled.id(), TWO, &Cancel::new()).expect("nobody stops it");
    assert_eq!(sought(&commit(entries(10))), Sought::TooMany { entries: 10 });
    assert_eq!(found(&sought(&shuffled)), Some((&shuffled, 1)));
}

/// The last order of all that are walked.
#[test]
fn the_last_of_the_orders_is_found_too() {
    let backwards: Vec<usize> = (0..7).rev().collect();
    let wanted = arranged(&commit(entries(7)), &backwards);
    let sought = seek(&commit(entries(7)), &wanted.id(), NonZeroUsize::MIN, &Cancel::new());
    let sought = sought.expect("nobody stops it");
    let likely = orders::likely(&entries(7)).len() as u64;
    assert_eq!(found(&sought), Some((&wanted, 5040 + likely)));
}

#[test]
fn a_search_stops_when_it_is_told_to() {
    let cancel = Cancel::new();
    cancel.set();
    assert!(seek(&commit(entries(9)), &ObjectId([0; 32]), TWO, &cancel).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the lengths of the entries are, and so their padding and the width of the numbers behind them.
    #[test]
    fn a_shuffled_commit_is_found(
        lengths in prop::collection::vec(0_usize..300, 0..6),
        order in Just((0..6).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let entry = |(index, length): (usize, &usize)| (format!("k{index}"), Variant::bytes(&vec![7; *length]));
        let given = commit(lengths.iter().enumerate().map(entry).collect());
        let order: Vec<usize> = order.into_iter().filter(|index| *index < lengths.len()).collect();
        let wanted = arranged(&given, &order);
        let sought = seek(&given, &wanted.id(), TWO, &Cancel::new()).expect("nobody stops it");
        prop_assert_eq!(found(&sought).map(|(commit, _)| commit), Some(&wanted));
    }
}
