//! Repair: what is damaged or missing is had again, and put in its place.
//!
//! ```text
//! damaged ──► the blobs that it is a part of ──► a kept blob that is whole ──┐
//!                                             └► where the image came from ──┴─► taken in anew
//! ```
//!
//! Invariant: nothing is removed. What is damaged is replaced by one rename, when what should be there is proven and
//! whole; until then, and where it cannot be had, it stays as it is.

use super::super::form::{Form, How};
use super::super::sink::StoreSink;
use super::super::{Options, Store};
use super::{Checked, Finding, Item, Look, Wrong, record};
use crate::blobs::FileOrigin;
use orlop_layer::Codec;
use orlop_spec::digest::{AnyDigest, DiffId, Digest};
use orlop_spec::media_type::{Compression, Role};
use orlop_spec::port::{Hints, Origin, Result};
use orlop_spec::{Cancel, Context, Descriptor, Fault, Kind};
use std::collections::{BTreeMap, HashSet};

/// Documents name documents: what is below one that is damaged shows when it is mended.
const MOST_ROUNDS: usize = 8;

/// Where blobs can be had again.
pub trait Supply {
    /// Hands a blob to `take`, from where an image came from.
    fn fetch(
        &self,
        from: &str,
        blob: &Descriptor,
        take: &mut dyn FnMut(&dyn Origin) -> Result<()>,
    ) -> Result<()>;

    /// What an image is called by at the place that it came from.
    fn resolve(&self, from: &str) -> Result<Vec<Descriptor>>;
}

/// What became of a store that was repaired.
#[derive(Debug, Default)]
pub struct Mended {
    /// What was wrong, and is not any more.
    pub mended: Vec<Finding>,
    /// What is still wrong.
    pub checked: Checked,
    /// Why things could not be had again.
    pub faults: Vec<Fault>,
}

impl Store {
    /// Proves everything, and puts right what can be had again.
    pub fn restore(&self, cx: &Context<'_>, supply: &dyn Supply) -> Result<Mended> {
        let mut look = self.look_at_all(cx)?;
        let (mut found, mut faults) = (BTreeMap::new(), Vec::new());
        for _ in 0..MOST_ROUNDS {
            let before = look.checked.findings.clone();
            found.extend(before.iter().map(|finding| (finding.item.clone(), finding.clone())));
            let renewed = look.renew(self, cx, supply, &mut faults)?;
            if renewed == 0 {
                break;
            }
            self.root.sync_fs()?;
            look = self.look_at_all(cx)?;
            if look.checked.findings == before {
                break;
            }
        }
        for finding in &look.checked.findings {
            found.remove(&finding.item);
        }
        Ok(Mended { mended: found.into_values().collect(), checked: look.checked, faults })
    }
}

impl Look {
    /// Takes in anew whatever blobs the findings are parts of; says how many.
    fn renew(
        &self,
        store: &Store,
        cx: &Context<'_>,
        supply: &dyn Supply,
        faults: &mut Vec<Fault>,
    ) -> Result<usize> {
        let options =
            Options { limits: store.limits.clone(), workers: cx.workers, keep_blobs: store.keep_blobs };
        let sink = StoreSink::create(store.path(), &options)?.heeding(cx.cancel);
        sink.store().objects.distrust(self.bad_objects());
        let mut left: HashSet<&Item> = self.checked.findings.iter().map(|finding| &finding.item).collect();
        let mut renewed = 0;
        for finding in &self.checked.findings {
            if let Item::Name(file) = &finding.item {
                match record::heal(store, file, supply) {
                    Ok(healed) => renewed += usize::from(healed),
                    Err(fault) if fault.kind() == Kind::Interrupted => return Err(fault),
                    Err(fault) => faults.push(fault),
                }
                continue;
            }
            if !left.contains(&finding.item) {
                continue;
            }
            for blob in self.candidates(&finding.item) {
                cx.cancel.check()?;
                match self.renew_one(&sink, &blob, supply) {
                    Ok(false) => {}
                    Ok(true) => {
                        renewed += 1;
                        left.retain(|item| !self.is_part(item, &blob.digest));
                        break;
                    }
                    Err(fault) if fault.kind() == Kind::Interrupted => return Err(fault),
                    Err(fault) => faults.push(fault),
                }
            }
        }
        Ok(renewed)
    }

    fn bad_objects(&self) -> HashSet<Digest> {
        let damaged = |finding: &Finding| match (&finding.item, finding.wrong) {
            (Item::Object(digest), Wrong::Damaged | Wrong::Unreadable) => Some(*digest),
            _ => None,
        };
        self.checked.findings.iter().filter_map(damaged).collect()
    }

    /// The blobs that hold something, those first that need not be fetched.
    fn candidates(&self, item: &Item) -> Vec<Descriptor> {
        let blobs = self.needs.blobs_of(item, &self.seen, &self.holders);
        let mut blobs: Vec<Descriptor> =
            blobs.iter().filter_map(|blob| self.needs.described.get(blob).cloned()).collect();
        blobs.sort_by_key(|blob| (!self.seen.blobs.contains_key(&blob.digest), blob.size));
        blobs
    }

    fn is_part(&self, item: &Item, blob: &AnyDigest) -> bool {
        self.needs.blobs_of(item, &self.seen, &self.holders).contains(blob)
    }

    /// Takes a blob in anew; `false` where nobody has it.
    fn renew_one(&self, sink: &StoreSink<'_>, blob: &Descriptor, supply: &dyn Supply) -> Result<bool> {
        let is_kept = self.seen.blobs.contains_key(&blob.digest);
        if let (true, Role::Layer(_)) = (is_kept, blob.media_type.role())
            && let Some(file) = sink.store().blobs.open(blob)?
        {
            sink.renew(blob, &FileOrigin::whole(file))?;
            return Ok(true);
        }
        if self.make_again(sink.store(), blob, Try::Usual)? {
            return Ok(true);
        }
        let mut outcome = Ok(false);
        for origin in self.needs.origins_of(&blob.digest) {
            match supply.fetch(origin, blob, &mut |origin| sink.renew(blob, origin)) {
                Ok(()) => return Ok(true),
                Err(fault) if fault.kind() == Kind::Interrupted => return Err(fault),
                Err(fault) => outcome = Err(fault),
            }
        }
        if self.make_again(sink.store(), blob, Try::Others)? { Ok(true) } else { outcome }
    }
}

impl Look {
    /// Notes anew what a blob is whose layer is whole, if it is what our compressor makes of it.
    fn make_again(&self, store: &Store, blob: &Descriptor, levels: Try) -> Result<bool> {
        let (Role::Layer(layer), AnyDigest::Known(digest)) = (blob.media_type.role(), &blob.digest) else {
            return Ok(false);
        };
        let is_bad = |diff_id: &&DiffId| {
            !self.seen.layers.contains(diff_id)
                || self.holders.values().any(|layers| layers.contains(diff_id))
        };
        let Some(diff_id) = self.needs.layers.get(&blob.digest).filter(|it| !is_bad(it)) else {
            return Ok(false);
        };
        for codec in codecs(layer.compression, levels) {
            if store.prove((blob, diff_id), codec, store.workers, &Cancel::new())? {
                let form = Form { diff_id: *diff_id, size: blob.size, how: How::Made(codec.into()) };
                return store.forms().set(digest, &form).map(|()| true);
            }
        }
        Ok(false)
    }
}

/// Which levels of a codec are tried: each is a layer compressed once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    /// The one that is written where none is asked for.
    Usual,
    /// Those that people ask for, where the blob cannot be fetched.
    Others,
}

fn codecs(compression: Compression, levels: Try) -> Vec<Codec> {
    match (compression, levels) {
        (Compression::None, Try::Usual) => vec![Codec::None],
        (Compression::Gzip, Try::Usual) => vec![Codec::GZIP],
        (Compression::Zstd, Try::Usual) => vec![Codec::ZSTD],
        (Compression::None, Try::Others) => Vec::new(),
        (Compression::Gzip, Try::Others) => (1..=12).map(|level| Codec::Gzip { level }).collect(),
        (Compression::Zstd, Try::Others) => (1..=19).map(|level| Codec::Zstd { level }).collect(),
    }
}

impl StoreSink<'_> {
    /// Takes a blob whatever is here of it.
    pub(in super::super) fn renew(&self, blob: &Descriptor, origin: &dyn Origin) -> Result<()> {
        match (blob.media_type.role(), &blob.digest) {
            (Role::Layer(form), AnyDigest::Known(digest)) => {
                self.take_layer((blob, digest), (form.compression, None), origin)
            }
            _ => self.store().blobs.put(blob, origin, &Hints::default()).map(drop),
        }
    }
}
