//! A layer of the store without its compression, behind the port.
//!
//! Invariant: what is handed out needs no blob, and nothing is compressed for it. The outline is proven by the list's own
//! sha256; contents and bytes by whoever reads them.

use super::Store;
use super::objects::Object;
use orlop_layer::list::{Held, Hollow};
use orlop_spec::digest::{DiffId, Digest};
use orlop_spec::port::{Kept, LocalFile, Result, See, Unpacked};
use orlop_spec::{Cancel, Descriptor};
use std::io::{BufRead, Read};

/// Who reads looks whether to stop.
static NEVER: Cancel = Cancel::new();

/// One layer.
struct Layer<'a> {
    store: &'a Store,
    diff_id: DiffId,
}

impl Store {
    /// The layer of a blob; nothing where it is not known, or not there.
    pub(super) fn unpacked_layer(&self, blob: &Descriptor) -> Result<Option<Box<dyn Unpacked + '_>>> {
        let Some(form) = self.form(&blob.digest)?.filter(|form| form.size == blob.size) else {
            return Ok(None);
        };
        let is_there = self.touch_layer(&form.diff_id)?;
        Ok(is_there
            .then(|| -> Box<dyn Unpacked + '_> { Box::new(Layer { store: self, diff_id: form.diff_id }) }))
    }
}

impl Unpacked for Layer<'_> {
    fn diff_id(&self) -> DiffId {
        self.diff_id
    }

    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.store.export(&self.diff_id, &NEVER)?))
    }

    fn outline<'a>(&'a self, see: See<'a>) -> Result<Box<dyn BufRead + 'a>> {
        let told = move |ordinal, held: &Held| match held {
            Held::Short(bytes) => see(ordinal, Kept::Bytes(bytes)),
            Held::Object(object) => see(ordinal, Kept::File(object.digest)),
        };
        Ok(Box::new(Hollow::new(self.store.list(&self.diff_id)?, self.diff_id, Box::new(told))))
    }

    fn content(&self, digest: &Digest, size: u64) -> Result<LocalFile> {
        let file = self.store.objects().open(&Object { digest: *digest, size })?;
        Ok(LocalFile { file: file.into(), at: 0, size, whole: true })
    }
}
