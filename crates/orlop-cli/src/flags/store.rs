//! Where the local store is.

use super::{Places, Unlocked};
use crate::environment;
use clap::Args;
use orlop::fs::stat;
use orlop::spec::reference::{Bare, LoneStream, Reference, Transport};
use orlop::spec::{Context, Fault};
use orlop::store::form::KeepBlobs;
use orlop::store::{Options, Store};
use orlop::transport;
use std::ffi::OsStr;
use std::path::PathBuf;

/// The local store.
#[derive(Args, Clone, Debug, Default)]
pub struct StorePlace {
    /// Folder of the local store [default: $ORLOP_ROOT, else /var/lib/orlop for root, ~/.local/share/orlop for others]
    #[arg(long, value_name = "DIR", help_heading = "Places")]
    root: Option<PathBuf>,
}

impl StorePlace {
    /// The folder.
    pub fn folder(&self) -> PathBuf {
        self.root.clone().unwrap_or_else(environment::store_folder)
    }

    /// Opens the store, if there is one: who has none has no images either.
    pub fn open_if_any(&self, cx: &Context<'_>) -> Result<Option<Store>, Fault> {
        let options = Options { limits: cx.limits.clone(), workers: cx.workers, ..Options::default() };
        Store::open_if_any(self.folder(), &options)
    }

    /// The folder, whether it is there yet or not, for whoever stands elsewhere or is somebody else.
    pub fn real_folder(&self) -> Result<PathBuf, Fault> {
        let folder = self.folder();
        match stat::real_path(&folder) {
            Err(error) if error.is_not_found() => Ok(std::path::absolute(&folder).unwrap_or(folder)),
            real => Ok(real?),
        }
    }

    /// The store, which must exist.
    pub fn open(&self, cx: &Context<'_>) -> Result<Store, Fault> {
        Store::open(
            self.folder(),
            &Options { limits: cx.limits.clone(), workers: cx.workers, ..Options::default() },
        )
    }

    /// What the user calls an image of the store; `None` where one of another place is meant.
    pub fn reference(text: &OsStr) -> Result<Option<Reference>, Fault> {
        let reference = transport::parse(text, Bare::Store, LoneStream::Refused)?;
        Ok((reference.transport == Transport::Store).then_some(reference))
    }

    /// The same place, for verbs that look names up in it.
    pub fn places(&self) -> Places<Unlocked> {
        Places::with_store(self.clone())
    }
}

/// For verbs that may write images into the store.
#[derive(Args, Debug, Default)]
pub struct Keeping {
    /// Which compressed layers the store keeps beside their contents: unprovable (those that cannot be made again to the
    /// bit), all, or none: then such an image goes on only with --compress [default: unprovable]
    #[arg(long, value_name = "WHICH", value_parser = keep_blobs, help_heading = "Places")]
    keep_blobs: Option<KeepBlobs>,
}

impl Keeping {
    /// What was said.
    pub fn said(&self) -> Option<KeepBlobs> {
        self.keep_blobs
    }
}

fn keep_blobs(text: &str) -> Result<KeepBlobs, String> {
    match text {
        "unprovable" => Ok(KeepBlobs::Unprovable),
        "all" => Ok(KeepBlobs::All),
        "none" => Ok(KeepBlobs::Nothing),
        _ => Err("it is unprovable, all or none".into()),
    }
}
