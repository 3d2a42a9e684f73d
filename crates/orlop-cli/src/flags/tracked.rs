//! A tracked folder, and how it is looked at.

use super::{Owners, Places};
use crate::environment;
use clap::Args;
use orlop::fs::Dir;
use orlop::fs::lock::Share;
use orlop::fs::owner::Owner;
use orlop::fs::scan::check_fakeroot;
use orlop::fs::track::{Strays, Trust};
use orlop::layer::TreePath;
use orlop::spec::{Context, Fault, Limits};
use orlop::track::{Look, Tracked};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// How a tracked folder is looked at.
#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub struct LookFlags {
    /// Let nothing at or beneath this path count as changed; repeatable
    #[arg(long, value_name = "PATH", value_parser = path)]
    mask_path: Vec<TreePath>,
    /// Believe no time and no inode number: hash every file. DIR may then be a copy of the folder, with its snapshot beside it
    #[arg(long)]
    paranoid: bool,
}

impl LookFlags {
    /// What the library is handed.
    pub fn look(&self, strays: Strays) -> Look {
        let trust = if self.paranoid { Trust::Nothing } else { Trust::Facts };
        Look { trust, masks: self.mask_path.clone(), strays }
    }
}

/// Opens a tracked folder, and becomes who may read it: before any thread is started.
pub fn tracked(folder: &Path, share: Share, limits: &Limits) -> Result<Tracked, Fault> {
    let tracked = Tracked::open(folder, share, limits)?;
    match tracked.folder.snapshot.owner {
        Owner::Map => Owners::map().map(drop)?,
        _ => check_fakeroot(environment::fakeroot())?,
    }
    Ok(tracked)
}

/// Where a look writes down which modes it lends.
pub fn journal(places: &Places, cx: &Context<'_>) -> Option<Dir> {
    Dir::open(&places.outside(cx).tmpdir).ok()
}

fn path(text: &str) -> Result<TreePath, String> {
    let path = TreePath::parse(OsString::from(text).as_bytes()).map_err(|error| error.to_string())?;
    if path.is_root() { Err("the root cannot be masked".into()) } else { Ok(path) }
}
