//! What runs were seen to do.
//!
//! A run is at a *node*: what it has seen since it last forgot, and what it waits to do. What it sees in its next step
//! leads to the next node, and does the same to the store, whatever else is there. So each step of a node is taken for real
//! once for each thing that it can see.

use super::conductor::Waiting;
use super::state::{About, Files, Plain, mixed};
use std::collections::{BTreeSet, HashMap};

/// The part of a sweep in which contents are removed; in later ones it looks for litter.
pub(crate) const CONTENTS: u32 = 5;

/// Where a run is.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What it waits to do; nothing when it has ended.
    pub(crate) next: Option<Waiting>,
    /// How it ended.
    pub(crate) failed: Option<String>,
    /// What it has seen since it forgot.
    pub(crate) seen: u64,
    /// What it does not forget.
    pub(crate) kept: BTreeSet<u64>,
    /// How often it forgot.
    pub(crate) part: u32,
    /// Of a sweep: whose times it may compare with those of files. One that still asks for leases may learn of any.
    pub(crate) compares: u8,
    /// Of a sweep: itself, and whose leases it found alive.
    pub(crate) leases: u8,
    /// Which runs had begun when it last touched a file that only it sees, until that file has a name.
    pub(crate) touched: u8,
}

/// What a step does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Gone,
    /// It has this content, and is touched now.
    Touched(u32),
    /// It has this content, and was touched when these runs had begun.
    Kept(u32, u8),
}

/// What a step does to a folder's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Share,
    Alone,
    Free,
}

/// What a step that was taken did.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) files: Vec<(u32, Effect)>,
    pub(crate) locks: Vec<(usize, Hold)>,
    pub(crate) begins: bool,
    /// The next node.
    pub(crate) to: u32,
}

/// What came of a step.
#[derive(Clone, Debug)]
pub(crate) enum Came {
    Done(Done),
    /// Somebody else has the lock.
    Waits,
}

#[derive(Default)]
pub(crate) struct Learned {
    nodes: Vec<Node>,
    abouts: Vec<(usize, Option<About>)>,
    by_history: HashMap<u64, u32, Plain>,
    came: HashMap<u64, Came, Plain>,
}

impl Learned {
    pub(crate) fn node(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many steps were taken for real.
    pub(crate) fn steps(&self) -> usize {
        self.came.len()
    }

    /// The node of a run; whoever has this history must wait for the same.
    pub(crate) fn add(&mut self, actor: u8, node: Node) -> u32 {
        let numbers = [node.seen, node.part.into(), node.leases.into(), node.touched.into()];
        let history = numbers.into_iter().chain(node.kept.clone());
        let history = history.fold(actor.into(), mixed);
        if let Some(number) = self.by_history.get(&history) {
            let had = &self.nodes[*number as usize];
            assert_eq!(
                (&had.next, &had.failed),
                (&node.next, &node.failed),
                "it depends on what was not seen"
            );
            return *number;
        }
        let number = u32::try_from(self.nodes.len()).expect("few");
        self.by_history.insert(history, number);
        self.nodes.push(node);
        self.abouts.push((usize::MAX, None));
        number
    }

    pub(crate) fn came(&self, node: u32, seen: u64) -> Option<&Came> {
        self.came.get(&mixed(seen, node.into()))
    }

    pub(crate) fn note(&mut self, node: u32, seen: u64, came: Came) {
        self.came.insert(mixed(seen, node.into()), came);
    }

    /// What the next step of a node is about, among the files that are known by now.
    pub(crate) fn about(&mut self, number: u32, files: &Files) -> &About {
        let (known, about) = &mut self.abouts[number as usize];
        if *known != files.paths.len() || about.is_none() {
            *known = files.paths.len();
            let node = &self.nodes[number as usize];
            let is_for_litter = node.compares != 0 && node.part > CONTENTS;
            *about = node.next.as_ref().map(|step| files.about(step, is_for_litter));
        }
        about.as_ref().expect("it has not ended")
    }
}
