//! Several places as one source, so that one sink can take images of all of them.

use orlop_spec::port::{Catalog, Lender, LocalFile, Name, Origin, Result, Selector, Source, Take, Unpacked};
use orlop_spec::{AnyDigest, Descriptor, Diagnose as _};
use std::cell::Cell;
use std::io::Read;

/// Places that are looked through in their order for every blob: a first one, and others.
pub struct Several<'a> {
    /// Looked at first.
    pub first: &'a dyn Catalog,
    /// Looked at in their order.
    pub others: Vec<&'a dyn Catalog>,
}

impl Source for Several<'_> {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let others = self.others.iter().map(|place| place.resolve(selector));
        first(self.first.resolve(selector), others)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        let first = self.first.origin(blob);
        let others = self.others.iter().map(|place| place.origin(blob));
        let mut known = std::iter::once(first).chain(others);
        let Some(first) = known.find_map(Result::ok) else { return self.first.origin(blob) };
        Ok(Box::new(Anywhere { first, others: known.filter_map(Result::ok).collect() }))
    }

    fn gives(&self, blob: &Descriptor) -> Result<()> {
        let others = self.others.iter().map(|place| place.gives(blob));
        let said = self.first.gives(blob);
        if said.is_ok() || others.into_iter().any(|said| said.is_ok()) { Ok(()) } else { said }
    }

    fn unpacked(&self, layer: &Descriptor) -> Result<Option<Box<dyn Unpacked + '_>>> {
        let mut places = std::iter::once(&self.first).chain(&self.others);
        Ok(places.find_map(|place| place.unpacked(layer).ok().flatten()))
    }

    fn is_far(&self) -> bool {
        self.first.is_far() || self.others.iter().any(|place| place.is_far())
    }
}

impl Catalog for Several<'_> {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        let mut names = self.first.names()?;
        for place in &self.others {
            names.extend(place.names()?);
        }
        Ok(names)
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        let mut found = self.first.referrers(digest)?;
        for place in &self.others {
            let further = place.referrers(digest)?;
            found.extend(further.into_iter().filter(|it| !found.contains(it)).collect::<Vec<_>>());
        }
        Ok(found)
    }
}

/// A blob that several places may hold.
struct Anywhere<'a> {
    first: Box<dyn Origin + 'a>,
    others: Vec<Box<dyn Origin + 'a>>,
}

impl Origin for Anywhere<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        first(self.first.open(at), self.others.iter().map(|origin| origin.open(at)))
    }

    fn pour(&self, at: u64, take: Take<'_>) -> Result<()> {
        let is_begun = Cell::new(false);
        let mut noted = |bytes: &[u8]| {
            is_begun.set(true);
            take(bytes)
        };
        let mut poured = self.first.pour(at, &mut noted);
        for origin in &self.others {
            match &poured {
                Err(fault) if fault.is_absence() && !is_begun.get() => poured = origin.pour(at, &mut noted),
                _ => break,
            }
        }
        poured
    }

    fn local(&self) -> Option<LocalFile> {
        std::iter::once(&self.first).chain(&self.others).find_map(|origin| origin.local())
    }

    fn is_far(&self) -> bool {
        self.first.is_far()
    }

    fn lenders(&self) -> Vec<Lender> {
        std::iter::once(&self.first).chain(&self.others).flat_map(|origin| origin.lenders()).collect()
    }
}

/// The first answer that is not "not found"; the very first one where nobody has it.
fn first<T>(answer: Result<T>, mut others: impl Iterator<Item = Result<T>>) -> Result<T> {
    let is_found = |answer: &Result<T>| !matches!(answer, Err(fault) if fault.is_absence());
    if is_found(&answer) {
        return answer;
    }
    others.find(is_found).unwrap_or(answer)
}
