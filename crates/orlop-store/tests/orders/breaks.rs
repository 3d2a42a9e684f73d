//! The protocol of leases and sweeps in little, of the library's own parts: as it should be, and with one mistake each.
//!
//! One content is there, old, and nobody's. A taker relies on it and gives it a name, beside a sweep without grace.

use super::rehearsal::Act;
use orlop_fs::lock::{Share, Wait};
use orlop_fs::{Dir, Persist};
use orlop_layer::Time;
use orlop_spec::digest::Algorithm;
use orlop_spec::media_type::MediaType;
use orlop_spec::{Descriptor, Digest};
use orlop_store::Store;
use orlop_store::store::Options;
use orlop_store::store::guard::Shelf;
use orlop_store::store::names::Expected;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use testkit::suites::copy::tag;

/// Of the content.
const BYTES: &[u8] = b"a content that a name needs";

/// Later than everything.
const LATE: Time = Time { seconds: 1 << 40, nanoseconds: 0 };

/// How a content is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    Right,
    WithoutLease,
    LeaseAfterLook,
    LookedAtAlone,
    TouchedWithoutLock,
    LeaseGivenBackBeforeName,
}

/// How a content is swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweeper {
    Right,
    NamesBeforeLeases,
    LeasesPassedBy,
    NowAfterLeases,
    AgesPassedBy,
    AgeNotLookedAtAgain,
}

impl Taker {
    pub(crate) const WRONG: [Self; 5] = [
        Self::WithoutLease,
        Self::LeaseAfterLook,
        Self::LookedAtAlone,
        Self::TouchedWithoutLock,
        Self::LeaseGivenBackBeforeName,
    ];

    pub(crate) fn act(self) -> Act {
        Arc::new(move |place| self.take(place).map_err(|fault| fault.to_string()))
    }

    fn take(self, place: &Path) -> orlop_spec::port::Result<()> {
        let store = Store::open(place, &Options::default())?;
        let shelf = Shelf::new(contents(&store)?);
        let mut lease = match self {
            Self::WithoutLease | Self::LeaseAfterLook => None,
            _ => store.lease()?,
        };
        let name = digest().hex();
        let is_there = match self {
            Self::LookedAtAlone => shelf.folder().try_stat(&name)?.is_some(),
            Self::TouchedWithoutLock => {
                shelf.folder().try_stat(&name)?.map(|_| shelf.folder().touch(&name)).transpose()?.is_some()
            }
            _ => shelf.rely_on(&name)?.is_some(),
        };
        if !is_there {
            let temp = shelf.folder().create_temp()?;
            temp.file().write_at(BYTES, 0)?;
            shelf.place(temp, &name, Persist::New)?;
        }
        match self {
            Self::LeaseAfterLook => lease = store.lease()?,
            Self::LeaseGivenBackBeforeName => drop(lease.take()),
            _ => {}
        }
        store.records().set(&tag("a"), &root(), None, Expected::Anything)?;
        drop(lease);
        Ok(())
    }
}

impl Sweeper {
    pub(crate) const WRONG: [Self; 5] = [
        Self::NamesBeforeLeases,
        Self::LeasesPassedBy,
        Self::NowAfterLeases,
        Self::AgesPassedBy,
        Self::AgeNotLookedAtAgain,
    ];

    pub(crate) fn act(self) -> Act {
        Arc::new(move |place| self.sweep(place).map_err(|fault| fault.to_string()))
    }

    fn sweep(self, place: &Path) -> orlop_spec::port::Result<()> {
        let store = Store::open(place, &Options::default())?;
        let leases = store.root().open_dir("leases")?;
        let named = || store.records().all().map(|(records, _)| !records.is_empty());
        let now = || -> orlop_spec::port::Result<Time> { Ok(leases.create_temp()?.file().stat()?.mtime) };
        let named_before = if self == Self::NamesBeforeLeases { Some(named()?) } else { None };
        let bound = match self {
            Self::LeasesPassedBy => now()?,
            Self::AgesPassedBy => now()?.max(LATE),
            Self::NowAfterLeases => oldest(&leases)?.map_or_else(now, Ok)?,
            _ => {
                let began = now()?;
                oldest(&leases)?.map_or(began, |oldest| oldest.min(began))
            }
        };
        let is_named = named_before.map_or_else(named, Ok)?;
        let shelf = Shelf::new(contents(&store)?);
        let names = if is_named { Vec::new() } else { shelf.folder().list()? };
        if self != Self::AgeNotLookedAtAgain {
            return shelf.remove_older(&names, bound, &mut |_, _| ());
        }
        for name in names {
            if shelf.folder().try_stat(&name)?.is_some_and(|stat| stat.mtime < bound) {
                let _alone = shelf.folder().lock(Share::Exclusive, Wait::Yes)?;
                shelf.folder().remove_file(&name)?;
            }
        }
        Ok(())
    }
}

/// When the oldest run that lives began.
fn oldest(leases: &Dir) -> orlop_spec::port::Result<Option<Time>> {
    let mut oldest: Option<Time> = None;
    for name in leases.list()? {
        let Some(stat) = leases.try_stat(&name)? else { continue };
        match leases.lock_file(&name, Share::Shared, Wait::No) {
            Ok(None) => oldest = oldest.into_iter().chain([stat.mtime]).min(),
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(oldest)
}

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, BYTES)
}

fn root() -> Descriptor {
    Descriptor::new(MediaType::new("application/octet-stream"), digest(), BYTES.len() as u64)
}

fn contents(store: &Store) -> orlop_spec::port::Result<Dir> {
    Ok(store.root().open_dir("blobs")?.open_dir("sha256")?)
}

/// What a name needs.
pub(crate) fn needed() -> PathBuf {
    PathBuf::from("blobs/sha256").join(digest().hex())
}

/// The content is there.
pub(crate) fn prepare(place: &Path) {
    drop(Store::create(place, &Options::default()).expect("made"));
    std::fs::create_dir_all(place.join("blobs/sha256")).expect("made");
    std::fs::write(place.join(needed()), BYTES).expect("written");
}
