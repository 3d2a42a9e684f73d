//! The names of one folder.
//!
//! Most folders hold few names, and a sorted vector costs least there. One that grows beyond becomes a map:
//! names in any order, however many, must not cost the square of their number.

use super::InodeId;
use std::collections::{BTreeMap, btree_map};
use std::slice;

const FEW: usize = 16;

/// Names and what they lead to, sorted bytewise.
#[derive(Clone, Debug)]
pub(super) enum Children {
    Few(Vec<Child>),
    Many(BTreeMap<Box<[u8]>, InodeId>),
}

type Child = (Box<[u8]>, InodeId);

impl Default for Children {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Children {
    pub(super) fn get(&self, name: &[u8]) -> Option<InodeId> {
        match self {
            Self::Few(children) => find(children, name).ok().map(|index| children[index].1),
            Self::Many(children) => children.get(name).copied(),
        }
    }

    /// Sets a name; gives what it led to before.
    pub(super) fn insert(&mut self, name: Box<[u8]>, id: InodeId) -> Option<InodeId> {
        let children = match self {
            Self::Many(children) => return children.insert(name, id),
            Self::Few(children) => children,
        };
        match find(children, &name) {
            Ok(index) => return Some(std::mem::replace(&mut children[index].1, id)),
            Err(index) => insert(children, index, (name, id)),
        }
        if children.len() > FEW {
            *self = Self::Many(std::mem::take(children).into_iter().collect());
        }
        None
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<InodeId> {
        match self {
            Self::Few(children) => find(children, name).ok().map(|index| children.remove(index).1),
            Self::Many(children) => children.remove(name),
        }
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        match self {
            Self::Few(children) => Iter::Few(children.iter()),
            Self::Many(children) => Iter::Many(children.iter()),
        }
    }

    pub(super) fn into_names(self) -> IntoNames {
        match self {
            Self::Few(children) => IntoNames::Few(children.into_iter()),
            Self::Many(children) => IntoNames::Many(children.into_iter()),
        }
    }
}

fn find(children: &[Child], name: &[u8]) -> Result<usize, usize> {
    children.binary_search_by(|child| child.0[..].cmp(name))
}

/// Doubles the room from one on: a vector's own first step is to four.
fn insert(children: &mut Vec<Child>, index: usize, child: Child) {
    if children.len() == children.capacity() {
        children.reserve_exact(children.len().max(1));
    }
    children.insert(index, child);
}

/// Borrowed names in order.
#[derive(Clone, Debug)]
pub(super) enum Iter<'a> {
    Few(slice::Iter<'a, Child>),
    Many(btree_map::Iter<'a, Box<[u8]>, InodeId>),
}

impl Default for Iter<'_> {
    fn default() -> Self {
        Self::Few([].iter())
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], InodeId);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Few(children) => children.next().map(|(name, id)| (&**name, *id)),
            Self::Many(children) => children.next().map(|(name, id)| (&**name, *id)),
        }
    }
}

/// Owned names in order.
pub(super) enum IntoNames {
    Few(std::vec::IntoIter<Child>),
    Many(btree_map::IntoIter<Box<[u8]>, InodeId>),
}

impl Iterator for IntoNames {
    type Item = Child;

    fn next(&mut self) -> Option<Child> {
        match self {
            Self::Few(children) => children.next(),
            Self::Many(children) => children.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_or_many_names_are_sorted_and_found() {
        for count in [0, 1, 16, 17, 100] {
            let mut children = Children::default();
            for number in (0..count).rev() {
                let name = format!("{number:03}").into_bytes().into();
                assert_eq!(children.insert(name, InodeId(number)), None);
            }
            assert!(children.iter().is_sorted());
            assert_eq!(children.clone().into_names().count(), usize::try_from(count).expect("small"));
            for number in 0..count {
                let (name, id) = (format!("{number:03}").into_bytes(), InodeId(number));
                assert_eq!(children.insert(name.clone().into(), InodeId(7)), Some(id));
                assert_eq!(children.remove(&name), Some(InodeId(7)));
                assert_eq!(children.get(&name), None);
            }
        }
    }
}
