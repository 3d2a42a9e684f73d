//! Names to choose from, for messages: those most like the wanted one first.

use std::fmt;

/// Names to choose from, in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub Vec<Box<str>>);

impl Names {
    /// Each name once, in its order.
    pub fn new(names: impl IntoIterator<Item = Box<str>>) -> Self {
        let mut distinct: Vec<Box<str>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        distinct.extend(names.into_iter().filter(|name| seen.insert(name.clone())));
        Self(distinct)
    }

    /// The same, those most like `wanted` first.
    #[must_use]
    pub fn near(mut self, wanted: &str) -> Self {
        self.0.sort_by_key(|name| std::cmp::Reverse(likeness(name, wanted)));
        self
    }

    /// Whether there is nothing to choose from.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Names {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        for (position, name) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(out, "{comma}{name:?}")?;
        }
        match self.0.len().checked_sub(SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(out, " and {more} more"),
        }
    }
}

/// Letters that two names share at their beginning and end.
fn likeness(one: &str, other: &str) -> usize {
    let begin = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let end = one.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
    begin + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_stand_first_and_many_are_counted() {
        let names = Names::new(["3.9", "latest", "3.10", "latest"].map(Box::from)).near("3.1");
        assert_eq!(names.to_string(), r#""3.10", "3.9", "latest""#);
        let many = Names::new((0..12).map(|number| number.to_string().into()));
        assert!(many.to_string().ends_with(" and 2 more"));
    }
}
