//! A place in memory: everything that a stranger must write to add a transport.

use super::Place;
use orlop_layer::Verified;
use orlop_spec::port::{
    self, BlobWriter, Catalog, Hints, Name, Origin, Put, Result, Seen, Selector, Sink, Source,
};
use orlop_spec::{AnyDigest, Descriptor, Diagnose, Document, Fault, Kind, Manifest};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A place in memory; clones are one place.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    names: Vec<(Name, Descriptor)>,
    blobs: BTreeMap<AnyDigest, Arc<Vec<u8>>>,
}

/// Something is not there, or not chosen.
#[derive(Debug, thiserror::Error)]
#[error("{0} in memory")]
struct Absent(String, Kind);

impl Diagnose for Absent {
    fn kind(&self) -> Kind {
        self.1
    }

    fn is_absence(&self) -> bool {
        true
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob(&self, digest: &AnyDigest) -> Result<Arc<Vec<u8>>> {
        let blob = self.state().blobs.get(digest).cloned();
        blob.ok_or_else(|| Fault::new(Absent(format!("{digest} is not"), Kind::Integrity)))
    }

    fn keep(&self, blob: &Descriptor, from: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        let read = match blob.digest {
            AnyDigest::Known(_) => Verified::new(from, blob)?.read_to_end(&mut bytes),
            AnyDigest::Other(_) => from.read_to_end(&mut bytes),
        };
        read.map_err(|error| Fault::io("keep a blob", error))?;
        if bytes.len() as u64 != blob.size {
            return Err(Fault::io("keep a blob", io::ErrorKind::InvalidData.into()));
        }
        self.state().blobs.insert(blob.digest.clone(), Arc::new(bytes));
        Ok(())
    }
}

fn matches(position: usize, entry: &(Name, Descriptor), selector: &Selector) -> bool {
    match selector {
        Selector::Only => true,
        Selector::Tag(tag) => entry.0 == Name::Tag(tag.clone()),
        Selector::At(wanted) => position == *wanted,
        Selector::Digest(digest) => entry.1.digest == *digest,
    }
}

fn absent(selector: &Selector) -> Fault {
    Fault::new(Absent(format!("{selector} is not"), Kind::NotFound))
}

impl Source for Memory {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let state = self.state();
        let found = state.names.iter().enumerate().filter(|(at, entry)| matches(*at, entry, selector));
        let mut roots: Vec<_> = found.map(|(_, (_, root))| root.clone()).collect();
        roots.dedup_by(|one, other| one.names_same_blob(other));
        match roots.len() {
            0 => Err(absent(selector)),
            1 => Ok(roots),
            _ => Err(Fault::new(Absent(format!("{selector} is not one"), Kind::Usage))),
        }
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        struct Kept(Arc<Vec<u8>>);
        impl Origin for Kept {
            fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
                self.0.open(at)
            }
        }
        Ok(Box::new(Kept(self.blob(&blob.digest)?)))
    }
}

impl Catalog for Memory {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        Ok(self.state().names.clone())
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        let speaks = |root: &Descriptor| -> bool {
            let bytes = self.blob(&root.digest).map(|blob| blob.to_vec()).unwrap_or_default();
            let manifest = Document::<Manifest>::open(bytes, root.clone());
            manifest.is_ok_and(|it| it.subject.as_ref().is_some_and(|subject| subject.digest == *digest))
        };
        Ok(self.names()?.into_iter().map(|(_, root)| root).filter(speaks).collect())
    }
}

impl Sink for Memory {
    fn put(&self, blob: &Descriptor, origin: &dyn Origin, _: &Hints) -> Result<Put> {
        if self.blob(&blob.digest).is_ok() {
            return Ok(Put::Held);
        }
        self.keep(blob, &mut origin.open(0)?).map(|()| Put::Copied)
    }

    fn begin(&self, _: &Hints) -> Result<Box<dyn BlobWriter + '_>> {
        Ok(Box::new(Begun(self, Vec::new())))
    }

    fn finish_if(self: Box<Self>, roots: &[(Name, Descriptor)], seen: &[Seen]) -> Result<()> {
        roots.iter().try_for_each(|(_, root)| self.blob(&root.digest).map(drop))?;
        let mut state = self.state();
        port::check(seen, &state.names)?;
        for (name, root) in roots {
            match state.names.iter_mut().find(|(other, _)| other == name && *name != Name::Untagged) {
                Some(entry) => entry.1 = root.clone(),
                None => state.names.push((name.clone(), root.clone())),
            }
        }
        Ok(())
    }
}

struct Begun<'a>(&'a Memory, Vec<u8>);

impl Write for Begun<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for Begun<'_> {
    fn commit(self: Box<Self>, blob: &Descriptor) -> Result<()> {
        self.0.keep(blob, &mut &self.1[..])
    }
}

impl Place for Memory {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(self.clone()))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites;

    #[test]
    fn a_place_of_a_stranger_keeps_every_law() {
        let fresh = || -> Box<dyn Place> { Box::new(Memory::default()) };
        let laws = suites::source(&fresh) + suites::sink(&fresh);
        crate::proof::ran("ports: a place in memory", laws);
    }
}
