//! The conformance and security items, each of which has a test that bears its number.
//!
//! The numbers are those of `docs/conformance.md`. A test bears one in its name (`item_47_…`, `t3_…`), in the
//! comment above it ("item 47", "items 8, 9 and 10", "P5"), or as the name of a case in a table ("t3_…").
//! `xtask/pending-items.txt` lists the items that wait; an entry that has a test must go.

use super::source::Source;
use super::{Report, Repository};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;

const PENDING: &str = "xtask/pending-items.txt";

/// Groups of items and their numbers.
const GROUPS: &[(char, RangeInclusive<u16>)] = &[
    ('i', 1..=67),
    ('i', 201..=215),
    ('p', 1..=12),
    ('t', 1..=7),
    ('d', 1..=2),
    ('e', 1..=24),
    ('j', 1..=6),
    ('l', 1..=1),
    ('n', 1..=5),
    ('n', 9..=10),
    ('n', 12..=12),
];

/// One item: its group (`i` for the plain numbers) and its number.
type Item = (char, u16);

pub(super) fn check(repository: &Repository, report: &mut Report) -> Result<(), Box<dyn std::error::Error>> {
    let wanted: BTreeSet<Item> =
        GROUPS.iter().flat_map(|(group, numbers)| numbers.clone().map(|number| (*group, number))).collect();
    let pending = pending(&std::fs::read_to_string(repository.root.join(PENDING))?)?;
    let mut tested: BTreeMap<Item, usize> = BTreeMap::new();
    for source in repository.sources.iter().filter(|source| !source.path.starts_with("xtask")) {
        for item in borne_by(source) {
            *tested.entry(item).or_default() += 1;
        }
    }
    let missing = wanted.iter().filter(|item| !tested.contains_key(item) && !pending.contains(item));
    for item in missing {
        report.fault(Path::new(PENDING), format_args!("{} has no test and is not listed", name(*item)));
    }
    for item in pending.iter().filter(|item| tested.contains_key(item)) {
        report.fault(Path::new(PENDING), format_args!("{} has a test: remove it here", name(*item)));
    }
    let have = wanted.iter().filter(|item| tested.contains_key(item)).count();
    report.fact(format_args!("items: {have} of {} have a test, {} pending", wanted.len(), pending.len()));
    Ok(())
}

/// One item per line, as `47` or `P5`; `#` begins a comment.
fn pending(text: &str) -> Result<BTreeSet<Item>, String> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(|line| lone(line).ok_or_else(|| format!("{PENDING}: {line} is no item")))
        .collect()
}

fn lone(word: &str) -> Option<Item> {
    if let Ok(number) = word.parse() {
        return Some(('i', number));
    }
    let group = word.chars().next()?.to_ascii_lowercase();
    let number = word.get(1..)?.parse().ok()?;
    GROUPS.iter().any(|(of, _)| *of == group && group != 'i').then_some((group, number))
}

fn name((group, number): Item) -> String {
    match group {
        'i' => format!("item {number}"),
        group => format!("{}{number}", group.to_ascii_uppercase()),
    }
}

/// The items that the tests of a file bear.
fn borne_by(source: &Source) -> BTreeSet<Item> {
    let mut items = BTreeSet::new();
    let mut above = String::new();
    let mut is_test = false;
    for (text, code) in source.text.lines().zip(source.code.lines()) {
        let line = text.trim();
        if line.starts_with("//") {
            above.push_str(line.trim_start_matches('/'));
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]");
        } else {
            if is_test && code.trim().starts_with("fn ") {
                items.extend(in_prose(&above));
                items.extend(in_name(line.trim_start_matches("fn ")));
            }
            items.extend(line.split('"').skip(1).step_by(2).flat_map(in_name));
            above.clear();
            is_test = false;
        }
    }
    items
}

/// `item_8_9_…` and `t3_…` bear their numbers in front.
fn in_name(name: &str) -> Vec<Item> {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default();
    if first != "item" {
        return lone(first)
            .filter(|_| name.contains('_') && !first.starts_with(char::is_numeric))
            .into_iter()
            .collect();
    }
    parts.map_while(|part| part.parse().ok()).map(|number| ('i', number)).collect()
}

/// "item 8", "items 8, 9 and 10", "P5" in a comment.
fn in_prose(comment: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut listing = false;
    for word in comment.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        match word {
            "item" | "items" | "Item" | "Items" => listing = true,
            "and" => {}
            word => match lone(word) {
                Some(item @ ('i', _)) if listing => items.push(item),
                Some(item) if item.0 != 'i' && word.starts_with(char::is_uppercase) => items.push(item),
                _ => listing = false,
            },
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn borne(text: &str) -> Vec<String> {
        let source = Source::new(PathBuf::from("x.rs"), text.into());
        borne_by(&source).into_iter().map(name).collect()
    }

    #[test]
    fn a_test_bears_numbers_in_its_name() {
        assert_eq!(borne("#[test]\nfn item_8_9_digests() {}"), ["item 8", "item 9"]);
        assert_eq!(borne("#[test]\nfn t3_pax() {}"), ["T3"]);
        assert_eq!(borne("fn t3_pax() {}"), Vec::<String>::new());
        assert_eq!(borne("#[test]\nfn p() {}"), Vec::<String>::new());
    }

    #[test]
    fn a_test_bears_numbers_in_the_comment_above_it() {
        let text = "/// Items 8, 9 and 10 hold, and P5; 40 cases.\n#[test]\nfn law() {}";
        assert_eq!(borne(text), ["item 8", "item 9", "item 10", "P5"]);
        assert_eq!(borne("/// Item 8.\nfn helper() {}"), Vec::<String>::new());
    }

    #[test]
    fn a_case_of_a_table_bears_the_number_of_its_name() {
        assert_eq!(borne("    case(\"t5_bomb\", bomb()),"), ["T5"]);
        assert_eq!(borne("    case(\"t5\", bomb()),"), Vec::<String>::new());
    }

    #[test]
    fn the_list_of_what_waits_is_read_strictly() {
        assert_eq!(pending("# all\n47 # later\nP5\n"), Ok([('i', 47), ('p', 5)].into()));
        assert!(pending("P").is_err());
    }
}
