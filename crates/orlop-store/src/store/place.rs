//! The store as a place of images: where they come from, and whose names can be moved.
//!
//! Invariant: whoever is told of an image can rely on all of it as long as it holds the store open: it has a lease, and
//! everything that the image reaches was touched under it.

use super::Store;
use super::names::{Expected, Record};
use crate::blobs::FileOrigin;
use crate::reach::{self, Damage};
use crate::{catalog, select};
use orlop_spec::port::{
    Catalog, Keeper, LocalFile, Name, Origin, Result, Selector, Source, Sweep, Swept, Unpacked,
};
use orlop_spec::{AnyDigest, Cancel, Descriptor, Fault};
use std::io::{self, Read};
use std::iter;
use std::time::Duration;

impl Store {
    /// What a selector names, and the names among it.
    fn selected(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        if let Selector::Tag(name) = selector
            && let Some(record) = self.names.get(name)?
        {
            return Ok(vec![record.root]);
        }
        catalog::resolve(self.path(), self, &self.limits, &Catalog::names(self)?, selector)
    }

    /// Sees to it that nothing that `root` reaches is swept away as long as this store is open. Says how much of it is not
    /// here: an image may be here in part.
    ///
    /// # Errors
    /// Where the root itself is not there.
    pub fn rely_on(&self, root: &Descriptor) -> Result<usize> {
        self.hold()?;
        let root_alone = iter::once(root.clone());
        let mut missing = 0;
        for digest in &reach::reach(self, &self.limits, root_alone, Damage::PassBy, &mut |_, _| ())? {
            missing += usize::from(!self.touch_blob(digest)?);
        }
        match self.blobs.open(root)? {
            Some(_) => Ok(missing),
            None => Err(self.blobs.missing(root).into()),
        }
    }

    /// A blob that is not kept, from byte `at` on.
    fn made_again(&self, blob: &Descriptor, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        /// Who reads looks whether to stop.
        static NEVER: Cancel = Cancel::new();
        let (AnyDigest::Known(digest), Some(form)) = (&blob.digest, self.form(&blob.digest)?) else {
            return Err(self.blobs.missing(blob).into());
        };
        let mut made = self.rebuild(digest, &form, self.workers, &NEVER)?;
        io::copy(&mut (&mut made).take(at), &mut io::sink())
            .map_err(|error| Fault::io(format!("read {}", blob.digest), error))?;
        Ok(made)
    }
}

impl Source for Store {
    fn resolve(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let mut roots = self.selected(selector)?;
        let mut known = 0;
        loop {
            let missing = roots.iter().map(|root| self.rely_on(root)).sum::<Result<usize>>();
            // A name that is still there kept from being swept what was touched by now, but for what was missing before.
            let again = self.selected(selector)?;
            let is_steady = again == roots;
            match missing {
                Ok(missing) if is_steady && missing == known => break,
                Err(fault) if is_steady => return Err(fault),
                missing => known = missing.unwrap_or(0),
            }
            roots = again;
        }
        if let Selector::Tag(tag) = selector {
            self.names.touch(&Name::Tag(tag.clone()))?;
        }
        Ok(roots)
    }

    fn origin(&self, blob: &Descriptor) -> Result<Box<dyn Origin + '_>> {
        Ok(Box::new(BlobOrigin { store: self, blob: blob.clone() }))
    }

    fn gives(&self, blob: &Descriptor) -> Result<()> {
        let AnyDigest::Known(digest) = &blob.digest else { return Ok(()) };
        match self.form(&blob.digest)? {
            Some(form) if !form.is_made_here() && self.blobs.open(blob)?.is_none() => {
                Err(form.gone(digest).into())
            }
            _ => Ok(()),
        }
    }

    fn unpacked(&self, layer: &Descriptor) -> Result<Option<Box<dyn Unpacked + '_>>> {
        self.unpacked_layer(layer)
    }
}

impl Catalog for Store {
    fn names(&self) -> Result<Vec<(Name, Descriptor)>> {
        Ok(self.names.all()?.0.into_iter().map(|record| (record.name, record.root)).collect())
    }

    fn unreadable(&self) -> Result<Vec<Fault>> {
        Ok(self.names.all()?.1)
    }

    fn referrers(&self, digest: &AnyDigest) -> Result<Vec<Descriptor>> {
        let roots = Catalog::names(self)?.into_iter().map(|(_, root)| root);
        reach::referrers(self, &self.limits, roots, digest)
    }
}

impl Keeper for Store {
    fn assign(&self, name: &Name, root: &Descriptor) -> Result<()> {
        self.rely_on(root)?;
        let known = self.names.all()?.0.into_iter().find(|record| record.root.digest == root.digest);
        let origin = known.and_then(|record| record.origin);
        self.names.set(name, root, origin.as_deref(), Expected::Anything)
    }

    fn forget(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let records = self.names.all()?.0;
        let entries: Vec<_> =
            records.iter().map(|record| (record.name.clone(), record.root.clone())).collect();
        let is_meant =
            |(place, entry): &(usize, &(Name, Descriptor))| select::matches((*place, *entry), selector);
        let meant: Vec<&Record> =
            entries.iter().enumerate().filter(is_meant).map(|(place, _)| &records[place]).collect();
        if meant.is_empty() {
            return Err(select::no_such(self.path(), &entries, selector).into());
        }
        if *selector == Selector::Only {
            select::select(self.path(), &entries, selector)?;
        }
        for record in &meant {
            self.names.remove(record)?;
        }
        Ok(meant.into_iter().map(|record| record.root.clone()).collect())
    }

    fn sweep(&self, grace: Duration, mode: Sweep) -> Result<Swept> {
        self.sweep_beside(grace, mode)
    }
}

/// A blob of the store: kept, or put together from its layer. Looked for when it is opened.
struct BlobOrigin<'a> {
    store: &'a Store,
    blob: Descriptor,
}

impl Origin for BlobOrigin<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        match self.store.blobs.open(&self.blob)? {
            Some(file) => Ok(Box::new(FileOrigin::whole(file).into_reader(at))),
            None => self.store.made_again(&self.blob, at),
        }
    }

    fn local(&self) -> Option<LocalFile> {
        FileOrigin::whole(self.store.blobs.open(&self.blob).ok()??).local()
    }
}
