//! Which files share a layer.
//!
//! ```text
//! files ──► units: one for each package; of what no package owns, runs that begin where a hash says so
//! units ──► groups: where the previous image has them; else each alone, if there are enough; else large ones alone,
//!                   small ones by the hash of their name
//! ```
//!
//! Invariant: the result depends on the set of files, the number of groups and the previous image alone. A file that
//! comes or goes changes the unit that it is in, and where it begins a unit, one more: so two groups at most, but where it was the unit that took the last free group.

use orlop_layer::TreePath;
use orlop_spec::Algorithm;
use orlop_spec::digest::Digest;
use std::collections::{BTreeMap, HashMap};

/// A file that is to be in some layer.
#[derive(Clone, Debug)]
pub struct Member {
    /// Where it is.
    pub path: TreePath,
    /// Bytes of its content.
    pub size: u64,
    /// The package that it belongs to, where it is known.
    pub component: Option<Box<str>>,
}

/// Files that share a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The packages and runs in it, sorted.
    pub units: Vec<Box<str>>,
    /// The files in it, by their place in the list.
    pub members: Vec<usize>,
    size: u64,
}

/// Names of units of one layer of an earlier image.
pub type Pinned = Vec<Box<str>>;

/// What begins the name of a unit that is no package: no package has such a name.
pub const RUN: char = '+';

/// Every folder in `2^FOLDER` begins a unit, and every file in `2^FILE`.
const FOLDER: u32 = 3;
const FILE: u32 = 8;

/// What belongs together whatever changes.
#[derive(Debug, Default)]
struct Unit {
    members: Vec<usize>,
    size: u64,
}

/// Groups the files into `most` groups at most, none of them empty.
pub fn group(members: &[Member], most: usize, previous: &[Pinned]) -> Vec<Group> {
    let units = units(members);
    let mut groups = if previous.is_empty() { fresh(units, most) } else { pinned(units, most, previous) };
    groups.retain(|group| !group.units.is_empty());
    for group in &mut groups {
        group.units.sort_unstable();
        group.members.sort_unstable();
    }
    groups
}

fn units(members: &[Member]) -> BTreeMap<Box<str>, Unit> {
    let mut units: BTreeMap<Box<str>, Unit> = BTreeMap::new();
    let mut add = |name: Box<str>, at: usize| {
        let unit = units.entry(name).or_default();
        unit.members.push(at);
        unit.size = unit.size.saturating_add(members[at].size);
    };
    let mut loose = Vec::new();
    for (at, member) in members.iter().enumerate() {
        match &member.component {
            Some(component) => add(component.clone(), at),
            None => loose.push((folder(&member.path), at)),
        }
    }
    // Folder by folder: what is in one stays together.
    loose.sort_unstable_by(|one, other| {
        (&one.0, &members[one.1].path).cmp(&(&other.0, &members[other.1].path))
    });
    let mut current = run(b"");
    let mut last = None;
    for (folder, at) in loose {
        let path = &members[at].path;
        if last.as_ref() != Some(&folder) && begins(folder.as_bytes(), FOLDER) {
            current = run(folder.as_bytes());
        } else if begins(path.as_bytes(), FILE) {
            current = run(path.as_bytes());
        }
        add(current.clone(), at);
        last = Some(folder);
    }
    units
}

fn folder(path: &TreePath) -> TreePath {
    path.split().map_or_else(TreePath::root, |(folder, _)| folder)
}

fn run(begin: &[u8]) -> Box<str> {
    format!("{RUN}{:016x}", hash(begin)).into()
}

fn begins(bytes: &[u8], level: u32) -> bool {
    hash(bytes).trailing_zeros() >= level
}

fn hash(bytes: &[u8]) -> u64 {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    digest.bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Each unit has a group of its own while there are enough. Else units of at least `2 · total / most` bytes get groups of their own: they are at most half of the groups. The others
/// share the rest.
fn fresh(units: BTreeMap<Box<str>, Unit>, most: usize) -> Vec<Group> {
    if units.len() <= most {
        return units.into_iter().map(|(name, unit)| Group::of(name, unit)).collect();
    }
    let total: u64 = units.values().fold(0, |sum, unit| sum.saturating_add(unit.size));
    let shared = most.div_ceil(2).max(1);
    // A power of two, so that it stays while the image grows a little.
    let large = (total / most.max(1) as u64).saturating_mul(2).max(1).checked_next_power_of_two();
    let is_large = |unit: &Unit| most > shared && large.is_some_and(|large| unit.size >= large);
    let mut alone = Vec::new();
    let mut others: Vec<Group> = (0..shared).map(|_| Group::default()).collect();
    for (name, unit) in units {
        if is_large(&unit) {
            alone.push(Group::of(name, unit));
        } else {
            let slot = usize::try_from(hash(name.as_bytes()) % shared as u64).unwrap_or_default();
            others[slot].join(name, unit);
        }
    }
    alone.extend(others);
    alone
}

/// Units stay where they were. New ones get groups of their own while there is room, else the smallest group.
fn pinned(units: BTreeMap<Box<str>, Unit>, most: usize, previous: &[Pinned]) -> Vec<Group> {
    let most = most.max(1);
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (at, names) in previous.iter().take(most).enumerate() {
        for name in names {
            places.entry(name).or_insert(at);
        }
    }
    let mut groups: Vec<Group> = previous.iter().take(most).map(|_| Group::default()).collect();
    let mut new = Vec::new();
    for (name, unit) in units {
        match places.get(&*name) {
            Some(at) => groups[*at].join(name, unit),
            None => new.push((name, unit)),
        }
    }
    groups.retain(|group| !group.units.is_empty());
    new.sort_by(|(one, a), (other, b)| b.size.cmp(&a.size).then_with(|| one.cmp(other)));
    for (name, unit) in new {
        if groups.len() < most {
            groups.push(Group::of(name, unit));
        } else {
            let smallest = groups.iter_mut().min_by_key(|group| group.size).expect("there is one at least");
            smallest.join(name, unit);
        }
    }
    groups
}

impl Group {
    fn of(name: Box<str>, unit: Unit) -> Self {
        Self { units: vec![name], members: unit.members, size: unit.size }
    }

    fn join(&mut self, name: Box<str>, unit: Unit) {
        self.units.push(name);
        self.members.extend(unit.members);
        self.size = self.size.saturating_add(unit.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn member(path: &str, size: u64, component: Option<&str>) -> Member {
        let path = TreePath::parse(path.as_bytes()).expect("a plain path");
        Member { path, size, component: component.map(Into::into) }
    }

    /// What each group holds, by path.
    fn shown(members: &[Member], groups: &[Group]) -> BTreeSet<Vec<TreePath>> {
        let paths = |group: &Group| {
            let mut paths: Vec<_> = group.members.iter().map(|at| members[*at].path.clone()).collect();
            paths.sort_unstable();
            paths
        };
        groups.iter().map(paths).collect()
    }

    fn names(groups: &[Group]) -> Vec<Pinned> {
        groups.iter().map(|group| group.units.clone()).collect()
    }

    fn files() -> impl Strategy<Value = Vec<Member>> {
        let file = (0..40_u32, 0..400_u32, 0..5000_u64, prop::option::weighted(0.4, 0..12_u32));
        prop::collection::vec(file, 1..300).prop_map(|files| {
            let by_path: BTreeMap<String, (u64, Option<u32>)> = files
                .into_iter()
                .map(|(folder, name, size, owner)| (format!("d{folder}/f{name}"), (size, owner)))
                .collect();
            let member = |(path, (size, owner)): (String, (u64, Option<u32>))| {
                member(&path, size, owner.map(|owner| format!("p{owner}")).as_deref())
            };
            by_path.into_iter().map(member).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_file_is_in_one_group_and_the_cap_holds(files in files(), most in 1..40_usize) {
            let groups = group(&files, most, &[]);
            prop_assert!(groups.len() <= most);
            let mut all: Vec<usize> = groups.iter().flat_map(|group| group.members.clone()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..files.len()).collect::<Vec<_>>());
            let again = group(&files, most, &names(&groups));
            prop_assert_eq!(shown(&files, &groups), shown(&files, &again), "pinned to itself it is itself");
        }

        #[test]
        fn the_order_of_the_files_does_not_matter(files in files(), most in 1..40_usize) {
            let turned: Vec<Member> = files.iter().rev().cloned().collect();
            let (one, other) = (group(&files, most, &[]), group(&turned, most, &[]));
            prop_assert_eq!(shown(&files, &one), shown(&turned, &other));
        }

        #[test]
        fn an_insert_moves_at_most_two_groups(
            files in files(), most in 1..40_usize, folder in 0..40_u32, name in 400..9000_u32, size in 0..5000_u64,
        ) {
            let before = group(&files, most, &[]);
            let mut more = files.clone();
            more.push(member(&format!("d{folder}/f{name}"), size, None));
            let after = group(&more, most, &names(&before));
            let (before, after) = (shown(&files, &before), shown(&more, &after));
            let moved: Vec<_> = after.difference(&before).collect();
            prop_assert!(moved.len() <= 2, "{} groups changed", moved.len());
        }

        #[test]
        fn an_insert_moves_at_most_two_groups_without_a_previous_image(
            files in files(), most in 1..40_usize, folder in 0..40_u32, name in 400..9000_u32,
        ) {
            let mut more = files.clone();
            more.push(member(&format!("d{folder}/f{name}"), 0, None));
            // Where the last free group is taken by the insert, everything is divided anew.
            prop_assume!((units(&files).len() <= most) == (units(&more).len() <= most));
            let (before, after) = (group(&files, most, &[]), group(&more, most, &[]));
            let (before, after) = (shown(&files, &before), shown(&more, &after));
            prop_assert!(after.difference(&before).count() <= 2);
        }

        #[test]
        fn a_package_that_is_updated_changes_one_group(files in files(), most in 1..40_usize, owner in 0..12_u32) {
            let before = group(&files, most, &[]);
            let owner: Box<str> = format!("p{owner}").into();
            let mut newer = files.clone();
            for file in newer.iter_mut().filter(|file| file.component.as_ref() == Some(&owner)) {
                file.size = file.size * 3 + 1;
            }
            newer.push(member("d0/new", 77, Some(&owner)));
            let after = group(&newer, most, &names(&before));
            let (before, after) = (shown(&files, &before), shown(&newer, &after));
            prop_assert!(after.difference(&before).count() <= 1);
        }
    }

    #[test]
    fn what_is_large_is_alone() {
        let mut files: Vec<Member> =
            (0..100).map(|n| member(&format!("d/f{n}"), 10, Some(&format!("small{n}")))).collect();
        files.push(member("big", 1 << 20, Some("big")));
        let groups = group(&files, 9, &[]);
        assert!(groups.contains(&Group { units: vec!["big".into()], members: vec![100], size: 1 << 20 }));
    }
}
