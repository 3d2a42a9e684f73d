//! Where the local store is.

use crate::environment;
use clap::Args;
use orlop::spec::{Context, Fault};
use orlop::store::{Options, Store};
use std::path::PathBuf;

/// The local store.
#[derive(Args, Debug, Default)]
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
        Store::open_if_any(self.folder(), &Options { limits: cx.limits.clone(), workers: cx.workers })
    }
}
