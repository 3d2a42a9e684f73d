//! Containers, printed.

use super::children::width_for;
use super::signature::{aligned, is_complete, layout, members, split};

/// Prints one array, tuple or entry of a dictionary out of its children, which are printed already.
pub struct Writer<'t> {
    types: Types<'t>,
    size: Option<usize>,
    body: Vec<u8>,
    ends: Vec<usize>,
}

enum Types<'t> {
    Array(&'t [u8]),
    /// Those to come.
    Tuple(&'t [u8]),
}

impl<'t> Writer<'t> {
    /// A container of a type.
    ///
    /// # Panics
    /// When `signature` is no container's.
    pub fn new(signature: &'t str) -> Self {
        let signature = signature.as_bytes();
        assert!(is_complete(signature), "a signature is one complete type");
        let types = match signature[0] {
            b'a' => Types::Array(&signature[1..]),
            b'(' | b'{' => Types::Tuple(members(signature)),
            _ => panic!("only containers have children"),
        };
        Self { types, size: layout(signature).size, body: Vec::new(), ends: Vec::new() }
    }

    /// Adds the next child.
    ///
    /// # Panics
    /// When a tuple is full.
    pub fn push(&mut self, child: &[u8]) -> &mut Self {
        let (signature, is_last) = self.next_type();
        let layout = layout(signature);
        self.body.resize(aligned(self.body.len(), layout.align), 0);
        self.body.extend_from_slice(child);
        if layout.size.is_none() && !is_last {
            self.ends.push(self.body.len());
        }
        self
    }

    /// The container.
    ///
    /// # Panics
    /// When a tuple is not full.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut body = std::mem::take(&mut self.body);
        if let Some(size) = self.size {
            body.resize(size, 0);
        }
        if let Types::Tuple(types) = &self.types {
            assert!(types.is_empty(), "a tuple has all of its members");
            self.ends.reverse();
        }
        let width = width_for(body.len(), self.ends.len());
        for end in self.ends.drain(..) {
            body.extend_from_slice(&(end as u64).to_le_bytes()[..width]);
        }
        body
    }

    /// The type of the next child, and whether it is the last of a tuple.
    fn next_type(&mut self) -> (&'t [u8], bool) {
        match self.types {
            Types::Array(element) => (element, false),
            Types::Tuple(types) => {
                let (member, rest) = split(types).expect("a tuple has room for its members only");
                self.types = Types::Tuple(rest);
                (member, rest.is_empty())
            }
        }
    }
}
