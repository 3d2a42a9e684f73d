//! Two trees side by side.

use super::children::Iter;
use super::{InodeId, Tree};
use std::collections::HashMap;
use std::iter::Peekable;

/// Every name that one of two trees has, depth first and sorted. Below a name that is a folder in the newer
/// tree the walk goes on; what only the older one holds there is one step.
pub(super) struct Both<'a> {
    older: &'a Tree,
    newer: &'a Tree,
    open: Vec<(Peekable<Iter<'a>>, Peekable<Iter<'a>>)>,
}

/// A name, and what it leads to on each side.
pub(super) struct Step<'a> {
    /// How many folders are above, the root included.
    pub(super) depth: usize,
    pub(super) name: &'a [u8],
    pub(super) older: Option<InodeId>,
    pub(super) newer: Option<InodeId>,
}

impl<'a> Both<'a> {
    pub(super) fn new(older: &'a Tree, newer: &'a Tree) -> Self {
        let mut both = Self { older, newer, open: Vec::new() };
        both.enter(Some(Tree::ROOT), Tree::ROOT);
        both
    }

    fn enter(&mut self, older: Option<InodeId>, newer: InodeId) {
        let older = older.map_or_else(Iter::default, |id| self.older.names_of(id));
        self.open.push((older.peekable(), self.newer.names_of(newer).peekable()));
    }

    fn advance(&mut self) -> Option<Step<'a>> {
        loop {
            let depth = self.open.len();
            let (older, newer) = self.open.last_mut()?;
            let name = match (older.peek(), newer.peek()) {
                (Some((older, _)), Some((newer, _))) => older.min(newer),
                (Some((name, _)), None) | (None, Some((name, _))) => name,
                (None, None) => {
                    self.open.pop();
                    continue;
                }
            };
            let name = *name;
            let at = |side: &mut Peekable<Iter<'a>>| side.next_if(|next| next.0 == name).map(|(_, id)| id);
            return Some(Step { depth, name, older: at(older), newer: at(newer) });
        }
    }
}

impl<'a> Iterator for Both<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let step = self.advance()?;
        if let Some(newer) = step.newer.filter(|id| self.newer.inode(*id).is_directory()) {
            self.enter(step.older, newer);
        }
        Some(step)
    }
}

/// Equal by meaning: the same names lead to equal inodes, and the same names share one. Numbers of inodes do
/// not matter; contents are equal when they come from the same entry of the same layer.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        let mut partners = HashMap::new();
        let mut equal = |one: InodeId, two: InodeId| {
            let (left, right) = (self.inode(one), other.inode(two));
            let shared = left.names > 1 && *partners.entry(one).or_insert(two) != two;
            !shared && left.names == right.names && left.meta == right.meta && left.kind == right.kind
        };
        equal(Self::ROOT, Self::ROOT)
            && Both::new(self, other)
                .all(|step| step.older.zip(step.newer).is_some_and(|(one, two)| equal(one, two)))
    }
}

impl Eq for Tree {}

/// Which inodes of two trees are the same file: all names of the newer one led to the older one.
#[derive(Default)]
pub(super) struct Kin {
    /// By newer inode: the older one, and how many names they share; `None` once a name led elsewhere.
    pairs: HashMap<InodeId, Option<(InodeId, u32)>>,
    /// By older inode: the newer one that may go on with it.
    heirs: HashMap<InodeId, InodeId>,
}

impl Kin {
    pub(super) fn new(older: &Tree, newer: &Tree) -> Self {
        let mut kin = Self::default();
        for step in Both::new(older, newer) {
            if let (Some(old), Some(new)) = (step.older, step.newer)
                && (older.names(old) > 1 || newer.names(new) > 1)
            {
                kin.meet(old, new);
            }
        }
        kin
    }

    fn meet(&mut self, old: InodeId, new: InodeId) {
        self.heirs.entry(old).or_insert(new);
        let pair = self.pairs.entry(new).or_insert(Some((old, 0)));
        *pair = pair.filter(|(known, _)| *known == old).map(|(known, names)| (known, names + 1));
    }

    /// Whether the names of `new` are the rest of the names of `old`.
    pub(super) fn holds(&self, older: (&Tree, InodeId), newer: (&Tree, InodeId)) -> bool {
        let (old, new) = (older.1, newer.1);
        if older.0.names(old) == 1 && newer.0.names(new) == 1 {
            return true;
        }
        self.heirs.get(&old) == Some(&new) && self.pairs.get(&new) == Some(&Some((old, newer.0.names(new))))
    }
}
