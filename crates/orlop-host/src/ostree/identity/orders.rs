//! Orders of metadata that writers are known to use.
//!
//! flatpak puts the entries of a commit into one of GLib's hash tables, whose order follows from its keys and from the
//! order in which they came. `flatpak build-commit-from` puts some in front of what it found.

use super::super::variant::Dict;

/// What flatpak puts into the table of a new commit, in this order.
const BUILT: [&str; 10] = [
    "ostree.collection-binding",
    "ostree.ref-binding",
    "xa.ref",
    "xa.metadata",
    "xa.installed-size",
    "xa.download-size",
    "ostree.endoflife",
    "ostree.endoflife-rebase",
    "xa.token-type",
    "xa.subsets",
];

/// What flatpak puts in front when it makes a commit from a commit, in this order; the last one not always.
const TAKEN_OVER: [&str; 6] = [
    "ostree.collection-binding",
    "ostree.collection-refs-binding",
    "ostree.ref-binding",
    "xa.ref",
    "xa.from_commit",
    "xa.download-size",
];

/// What the commit that another was made from did not have.
const ADDED: [&str; 2] = ["ostree.collection-refs-binding", "xa.from_commit"];

/// Likely orders of the entries, as their indexes: the one they are in first.
pub(super) fn likely(metadata: &Dict) -> Vec<Vec<usize>> {
    let keys: Vec<&str> = metadata.iter().map(|(key, _)| key).collect();
    let given: Vec<usize> = (0..keys.len()).collect();
    let mut sorted = given.clone();
    sorted.sort_by_key(|index| keys[*index]);
    // Others than flatpak's own come first: they were asked for on the command line.
    let mut built = sorted.clone();
    built.sort_by_key(|index| BUILT.iter().position(|key| *key == keys[*index]).map_or(0, |at| at + 1));
    let hashed = hash_order(&keys, &built);
    let before: Vec<usize> = built.iter().copied().filter(|index| !ADDED.contains(&keys[*index])).collect();
    let before = hash_order(&keys, &before);
    let mut orders = vec![given, sorted, built, hashed];
    orders.extend([5, 6].map(|count| in_front(&keys, &TAKEN_OVER[..count], &before)));
    orders
}

/// Some keys in front, the others behind in their order.
fn in_front(keys: &[&str], front: &[&str], others: &[usize]) -> Vec<usize> {
    let front: Vec<usize> = front.iter().filter_map(|key| keys.iter().position(|it| it == key)).collect();
    let rest = others.iter().copied().filter(|index| !front.contains(index));
    front.iter().copied().chain(rest).collect()
}

/// The order in which a hash table of GLib gives keys that were put into it in an order.
fn hash_order(keys: &[&str], inserted: &[usize]) -> Vec<usize> {
    /// The largest primes below powers of two, with which GLib divides.
    const PRIMES: [usize; 8] = [7, 13, 31, 61, 127, 251, 509, 1021];
    let mut level = 0;
    let mut slots: Vec<Option<usize>> = vec![None; 8];
    for (count, index) in (1..).zip(inserted) {
        put(&mut slots, PRIMES[level], keys, *index);
        if slots.len() <= count + count / 16 && level + 1 < PRIMES.len() {
            level += 1;
            let before = std::mem::replace(&mut slots, vec![None; 8 << level]);
            before.into_iter().flatten().for_each(|index| put(&mut slots, PRIMES[level], keys, index));
        }
        if slots.iter().all(Option::is_some) {
            // More than a commit ever holds: no likely order.
            return inserted.to_vec();
        }
    }
    slots.into_iter().flatten().collect()
}

/// Puts a key where its hash says, or at the next free place by the steps of GLib.
fn put(slots: &mut [Option<usize>], prime: usize, keys: &[&str], index: usize) {
    let hash = keys[index].bytes().fold(5381_u32, |hash, byte| {
        // Characters are signed there.
        hash.wrapping_mul(33).wrapping_add_signed(i32::from(byte.cast_signed()))
    });
    let mut at = hash.max(2).wrapping_mul(11) as usize % prime;
    let mut step = 0;
    while slots[at].is_some() {
        step += 1;
        at = (at + step) % slots.len();
    }
    slots[at] = Some(index);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ostree::variant::Variant;

    /// As `flatpak build-export` of version 1.14.10 wrote them, with GLib 2.74.
    #[test]
    fn the_order_of_a_commit_of_flatpak_is_known() {
        let written = [
            "xa.installed-size",
            "ostree.collection-binding",
            "xa.ref",
            "ostree.ref-binding",
            "xa.metadata",
            "xa.download-size",
        ];
        let mut keys = written;
        keys.sort_unstable();
        let metadata: Dict = keys.iter().map(|key| (*key, Variant::u32(1))).collect();
        let orders = likely(&metadata);
        let named = |order: &Vec<usize>| order.iter().map(|index| keys[*index]).collect::<Vec<_>>();
        assert!(orders.iter().map(named).any(|order| order == written));
    }

    #[test]
    fn every_order_holds_every_entry_once() {
        for count in [0, 1, 7, 8, 9, 30, 600] {
            let metadata: Dict =
                (0..count).map(|number| (format!("key.{number}"), Variant::u32(1))).collect();
            for mut order in likely(&metadata) {
                order.sort_unstable();
                assert!(order.into_iter().eq(0..count));
            }
        }
    }
}
