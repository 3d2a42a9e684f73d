//! What is inside a container.
//!
//! ```text
//! array of what has one size    element │ element │ …
//! array of what differs         element │ pad │ element │ … │ ends, in order
//! tuple, entry of a dictionary  member │ pad │ member │ … │ ends of those that differ, but for the last, in reverse
//! ```
//!
//! Invariant: what is given lies in the container, one after the other, with zeros between, and the container could
//! not have been printed in any other way.

use super::NotNormal;
use super::signature::{Layout, aligned, layout, members, split};

/// A type and the bytes of a value of it.
type Child<'a> = (&'a [u8], &'a [u8]);

/// Gives the children of an array, a tuple or an entry of a dictionary, and an error where the bytes are no such.
pub(super) struct Children<'a> {
    /// Without the ends.
    body: &'a [u8],
    ends: Ends<'a>,
    types: Types<'a>,
    at: usize,
    done: bool,
}

/// What types the children have.
enum Types<'a> {
    /// All this one.
    Array(&'a [u8], Layout),
    /// Those that are left, and the size of the whole where it is always the same.
    Tuple(&'a [u8], Option<usize>),
}

/// What is known of where a child ends.
#[derive(Clone, Copy)]
enum Extent {
    /// It has so many bytes.
    Size(usize),
    /// So many bytes after the container's beginning.
    End(usize),
}

impl<'a> Children<'a> {
    /// The children of a value of a complete type, which is a container's.
    pub(super) fn new(signature: &'a [u8], bytes: &'a [u8]) -> Result<Self, NotNormal> {
        let (types, ends) = match signature[0] {
            b'a' => array(&signature[1..], bytes)?,
            _ => tuple(signature, bytes)?,
        };
        let body = &bytes[..bytes.len() - ends.table.len()];
        if !ends.table.is_empty() && width_for(body.len(), ends.count()) != ends.width {
            return Err(NotNormal::Ends);
        }
        Ok(Self { body, ends, types, at: 0, done: false })
    }

    fn step(&mut self) -> Result<Option<Child<'a>>, NotNormal> {
        match self.types {
            Types::Array(..) if self.at == self.body.len() && self.ends.is_read() => Ok(None),
            Types::Array(element, layout) => {
                let extent = match layout.size {
                    Some(size) => Extent::Size(size),
                    None => Extent::End(self.ends.first()?),
                };
                self.take(element, layout.align, extent).map(Some)
            }
            Types::Tuple([], size) => self.finish(size).map(|()| None),
            Types::Tuple(types, size) => {
                let (member, rest) = split(types).ok_or(NotNormal::Type)?;
                self.types = Types::Tuple(rest, size);
                let layout = layout(member);
                let extent = match layout.size {
                    Some(size) => Extent::Size(size),
                    None if rest.is_empty() => Extent::End(self.body.len()),
                    None => Extent::End(self.ends.last()?),
                };
                self.take(member, layout.align, extent).map(Some)
            }
        }
    }

    /// The child that begins after the padding.
    fn take(&mut self, signature: &'a [u8], align: usize, extent: Extent) -> Result<Child<'a>, NotNormal> {
        let start = aligned(self.at, align);
        let end = match extent {
            Extent::Size(size) => start.saturating_add(size),
            Extent::End(end) => end,
        };
        let padding = self.body.get(self.at..start).ok_or(NotNormal::Ends)?;
        let bytes = self.body.get(start..end).ok_or(NotNormal::Ends)?;
        self.at = end;
        zeros(padding).map(|()| (signature, bytes))
    }

    /// A tuple ends with its last member, or with padding where all of its type have one size.
    fn finish(&self, size: Option<usize>) -> Result<(), NotNormal> {
        match size {
            Some(_) => zeros(&self.body[self.at..]),
            None if self.at == self.body.len() => Ok(()),
            None => Err(NotNormal::Ends),
        }
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Result<Child<'a>, NotNormal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step().transpose();
        self.done = !matches!(step, Some(Ok(_)));
        step
    }
}

fn array<'a>(element: &'a [u8], bytes: &'a [u8]) -> Result<(Types<'a>, Ends<'a>), NotNormal> {
    let layout = layout(element);
    let ends = match layout.size {
        Some(size) if bytes.len().is_multiple_of(size) => Ends::none(),
        Some(_) => return Err(NotNormal::Size),
        None if bytes.is_empty() => Ends::none(),
        None => Ends::after_last(bytes)?,
    };
    Ok((Types::Array(element, layout), ends))
}

fn tuple<'a>(signature: &'a [u8], bytes: &'a [u8]) -> Result<(Types<'a>, Ends<'a>), NotNormal> {
    let size = layout(signature).size;
    if size.is_some_and(|size| size != bytes.len()) {
        return Err(NotNormal::Size);
    }
    let types = members(signature);
    Ok((Types::Tuple(types, size), Ends::at_tail(bytes, ends_in(types))?))
}

/// How many members say where they end.
fn ends_in(mut types: &[u8]) -> usize {
    let mut count = 0;
    while let Some((member, rest)) = split(types) {
        count += usize::from(layout(member).size.is_none() && !rest.is_empty());
        types = rest;
    }
    count
}

/// The table at the end of a container.
struct Ends<'a> {
    table: &'a [u8],
    left: &'a [u8],
    width: usize,
}

impl<'a> Ends<'a> {
    fn none() -> Self {
        Self { table: &[], left: &[], width: 1 }
    }

    /// So many, at the end of the container.
    fn at_tail(bytes: &'a [u8], count: usize) -> Result<Self, NotNormal> {
        let width = width_of(bytes.len());
        let start = bytes.len().checked_sub(count * width).ok_or(NotNormal::Ends)?;
        Ok(Self { table: &bytes[start..], left: &bytes[start..], width })
    }

    /// As many as there is room for after the last end that they tell.
    fn after_last(bytes: &'a [u8]) -> Result<Self, NotNormal> {
        let last = Self::at_tail(bytes, 1)?.first()?;
        let width = width_of(bytes.len());
        let table = bytes.get(last..).filter(|table| !table.is_empty() && table.len().is_multiple_of(width));
        Ok(Self { table: table.ok_or(NotNormal::Ends)?, left: &bytes[last..], width })
    }

    fn count(&self) -> usize {
        self.table.len() / self.width
    }

    fn is_read(&self) -> bool {
        self.left.is_empty()
    }

    fn first(&mut self) -> Result<usize, NotNormal> {
        let (first, left) = self.left.split_at_checked(self.width).ok_or(NotNormal::Ends)?;
        self.left = left;
        number(first)
    }

    fn last(&mut self) -> Result<usize, NotNormal> {
        let before = self.left.len().checked_sub(self.width).ok_or(NotNormal::Ends)?;
        let (left, last) = self.left.split_at(before);
        self.left = left;
        number(last)
    }
}

/// Bytes of each end in a container of `size` bytes.
pub(super) fn width_of(size: usize) -> usize {
    match size {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// Bytes of each of `count` ends behind a body: the fewest that can tell them all.
pub(super) fn width_for(body: usize, count: usize) -> usize {
    let fits = |width: &usize| width_of(body + count * width) <= *width;
    [1, 2, 4].into_iter().find(fits).unwrap_or(8)
}

fn number(bytes: &[u8]) -> Result<usize, NotNormal> {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    usize::try_from(u64::from_le_bytes(wide)).map_err(|_| NotNormal::Ends)
}

fn zeros(padding: &[u8]) -> Result<(), NotNormal> {
    if padding.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(NotNormal::Padding) }
}
