//! Dictionaries of text to anything (`a{sv}`).

use super::{NotNormal, Variant, View, Writer, nul_ended};

/// A dictionary that keeps the order of its entries, which is part of the id of a commit, and the exact bytes of
/// each value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dict {
    entries: Vec<(Box<str>, Variant)>,
}

impl Dict {
    /// One that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Out of its serialised form.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotNormal> {
        View::parse("a{sv}", bytes).map(Self::from_view)
    }

    /// Out of a view of the same type.
    pub(in super::super) fn from_view(view: View<'_>) -> Self {
        let entry = |entry: View<'_>| {
            let [key, value] = entry.members();
            let value = value.variant().expect("proven when it was parsed");
            (key.text().into(), value.to_variant())
        };
        Self { entries: view.children().map(entry).collect() }
    }

    /// Its serialised form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut array = Writer::new("a{sv}");
        for (key, value) in &self.entries {
            array.push(&Writer::new("{sv}").push(&nul_ended(key)).push(&value.to_bytes()).finish());
        }
        array.finish()
    }

    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&Variant> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, key: &str, value: Variant) {
        self.entries.push((key.into(), value));
    }

    /// Puts a value in the place of the one that the key has, or at the end.
    pub fn set(&mut self, key: &str, value: Variant) {
        match self.entries.iter_mut().find(|(name, _)| **name == *key) {
            Some((_, old)) => *old = value,
            None => self.push(key, value),
        }
    }

    /// Takes all entries of a key out.
    pub fn remove(&mut self, key: &str) {
        self.entries.retain(|(name, _)| **name != *key);
    }

    /// The entries in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Variant)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same entries, sorted by their keys.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.entries.sort_by(|one, other| one.0.cmp(&other.0));
        self
    }
}

impl<K: AsRef<str>> FromIterator<(K, Variant)> for Dict {
    fn from_iter<I: IntoIterator<Item = (K, Variant)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().map(|(key, value)| (key.as_ref().into(), value)).collect() }
    }
}
