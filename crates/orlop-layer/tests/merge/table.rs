//! The table of cases: what a stack means, written down by hand, and what peers were seen to do with it.
//!
//! ```text
//! case NAME                     tests/verdicts/cases.txt
//! N ENTRY                       an entry of layer N, in the order of the tar
//! = LINE                        a line of the merged tree's listing, or
//! ! WHY                         the stack is refused
//! like PEERS: WHY               where peers differ: who does as we do, and why we do so
//! ```
//!
//! `tests/verdicts/verdicts.txt` is what `record.py` saw: after each case, groups of peers and what they made.
//! A case without a `like` line is one that all peers agree on, and we with them.

use crate::notation::{listing, stack};
use std::collections::BTreeMap;

const CASES: &str = include_str!("../verdicts/cases.txt");
const VERDICTS: &str = include_str!("../verdicts/verdicts.txt");
const PEERS: [&str; 3] = ["umoci", "overlayfs", "native"];

#[derive(Default)]
struct Case<'a> {
    layers: Vec<Vec<&'a str>>,
    expected: Vec<&'a str>,
    refused: bool,
    like: Option<(Vec<&'a str>, &'a str)>,
}

impl<'a> Case<'a> {
    fn line(&mut self, line: &'a str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "=" => self.expected.push(rest),
            "!" => self.refused = true,
            "like" => {
                let (peers, why) = rest.split_once(": ").expect("a reason");
                self.like = Some((peers.split(' ').filter(|peer| *peer != "nobody").collect(), why));
            }
            number => {
                let number: usize = number.parse().expect("the number of a layer");
                self.layers.resize(self.layers.len().max(number + 1), Vec::new());
                self.layers[number].extend((!rest.is_empty()).then_some(rest));
            }
        }
    }
}

fn cases() -> BTreeMap<&'static str, Case<'static>> {
    let mut cases = BTreeMap::new();
    for (name, lines) in blocks(CASES) {
        let mut case = Case::default();
        for line in lines {
            case.line(line);
        }
        assert!(cases.insert(name, case).is_none(), "{name} is there twice");
    }
    cases
}

/// What each peer made of each case; `None` where it refused.
fn verdicts() -> BTreeMap<(&'static str, &'static str), Option<Vec<&'static str>>> {
    let mut verdicts = BTreeMap::new();
    for (name, lines) in blocks(VERDICTS) {
        let mut peers = vec![];
        for line in lines {
            if let Some(made) = line.strip_prefix("  ") {
                for peer in &peers {
                    let verdict = verdicts.get_mut(&(name, *peer)).expect("begun below");
                    match (made.starts_with("! "), verdict) {
                        (false, Some(listing)) => Vec::push(listing, made),
                        (_, verdict) => *verdict = None,
                    }
                }
            } else {
                peers = line.split(' ').collect();
                verdicts.extend(peers.iter().map(|peer| ((name, *peer), Some(vec![]))));
            }
        }
    }
    verdicts
}

fn blocks(text: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let lines = |block: &'static str| block.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let named = move |block| {
        let mut lines = lines(block);
        (lines.next().expect("a name"), lines.collect())
    };
    text.split("\ncase ").skip(1).map(named)
}

#[test]
fn items_23_to_53_every_case_means_what_the_table_says() {
    let (cases, mut wrong) = (cases(), vec![]);
    for (name, case) in &cases {
        match stack(&case.layers) {
            Ok(_) if case.refused => wrong.push(format!("{name}: should be refused")),
            Ok(tree) if listing(&tree) != case.expected => {
                wrong.push(format!("{name}: {:#?}", listing(&tree)));
            }
            Err(error) if !case.refused => wrong.push(format!("{name}: {error}")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 60);
}

#[test]
fn the_table_says_truly_which_peers_do_as_we_do() {
    let (cases, verdicts) = (cases(), verdicts());
    assert_eq!(verdicts.len(), cases.len() * PEERS.len(), "record.py has to be run again");
    for (name, case) in &cases {
        let ours = (!case.refused).then_some(&case.expected);
        let alike: Vec<_> =
            PEERS.into_iter().filter(|peer| verdicts[&(*name, *peer)].as_ref() == ours).collect();
        match &case.like {
            None => {
                assert_eq!(alike, PEERS, "{name}: peers differ, and the table does not say whom we follow");
            }
            Some((said, why)) => {
                assert_eq!(&alike, said, "{name}");
                assert!(
                    alike.len() < PEERS.len() && why.len() > 10,
                    "{name}: a reason is given where peers differ"
                );
            }
        }
    }
    testkit::proof::ran("merge: verdicts of umoci and containerd", cases.len());
}
