//! `mount` and `umount`: an image of the store as a folder, without unpacking it.
//!
//! ```text
//! name ──► image ──► its layers ──► view, made once ──► mount, judged ──► at its place, and a record of it
//! ```
//!
//! Invariant: a mount is known to the store until it is unmounted, and so a sweep leaves alone what it shows.

use crate::error::Error;
use crate::image::Image;
use orlop_fs::mount::InUse;
use orlop_fs::{privilege, stat};
use orlop_spec::platform::Platform;
use orlop_spec::port::{Catalog, Result, Selector};
use orlop_spec::{Context, Event};
use orlop_store::Store;
use orlop_store::store::mounts::{Access, Mounted, Wanted};
use orlop_store::store::view::Choice;
use std::ffi::OsStr;
use std::path::Path;

/// How an image is mounted.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// For which machine, where there is a choice.
    pub platform: &'a Platform,
    /// By which backend.
    pub choice: Choice,
    /// Whether it can be changed.
    pub access: Access,
    /// At this folder, if not at one of the store.
    pub place: Option<&'a Path>,
    /// What the mount is called where the store has no name for the image.
    pub called: Option<&'a str>,
}

/// Whether this process may mount anything.
///
/// # Errors
/// [`Error::MayNotMount`] where it has no right to.
pub fn check_right() -> Result<()> {
    if privilege::may_mount() { Ok(()) } else { Err(Error::MayNotMount.into()) }
}

/// Which mounts are meant.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All.
    All,
    /// The one at a place, those of a name, or the one with an id.
    Called(&'a Path),
}

/// Mounts an image, where it stays until it is unmounted. `names` looks it up, and is the same store.
///
/// # Errors
/// [`Error::MayNotMount`] where the process has no right to.
pub fn mount(
    cx: &Context<'_>,
    store: &Store,
    (names, selector): (&dyn Catalog, &Selector),
    how: &How<'_>,
) -> Result<Mounted> {
    check_right()?;
    store.hold()?;
    let image = Image::fetch(cx, names, selector, how.platform)?;
    // Types that are no layers are refused here.
    image.layers()?;
    let name = names.name_of(selector)?;
    store.records().touch(&name)?;
    let manifest = image.manifest().descriptor();
    let digest = manifest.digest.to_string();
    let name = name.tag().or(how.called).unwrap_or(&digest);
    let layers = &*image.config().rootfs.diff_ids;
    let How { choice, access, place, .. } = *how;
    store.mount(cx, &Wanted { name, image: Some(manifest), layers, choice, access, place })
}

/// The whole name of an image that is called by a shorter one.
pub type Whole<'a> = &'a dyn Fn(&OsStr) -> Option<String>;

/// Takes mounts away, and the changes to them; tells those that are gone.
///
/// # Errors
/// Where there is none of that name; where one is in use or not seen from here, after the others are gone.
pub fn unmount(
    cx: &Context<'_>,
    store: &Store,
    (which, whole): (Which<'_>, Whole<'_>),
    in_use: InUse,
) -> Result<Vec<Mounted>> {
    let all = store.mounted()?;
    let found: Vec<Mounted> = match which {
        Which::All => all,
        Which::Called(word) => called(&all, word, whole)?,
    };
    let (mut gone, mut failed) = (Vec::new(), None);
    for mounted in found {
        match store.unmount(&mounted, in_use) {
            Ok(()) => gone.push(mounted),
            Err(fault) => {
                if let Some(earlier) = failed.replace(fault) {
                    cx.observer.event(Event::Warned(earlier.to_string()));
                }
            }
        }
    }
    failed.map_or(Ok(gone), Err)
}

fn called(all: &[Mounted], word: &Path, whole: Whole<'_>) -> Result<Vec<Mounted>> {
    let real = stat::real_path(word).ok();
    let is_there = |it: &&Mounted| [Some(word), real.as_deref()].contains(&Some(&it.place));
    let is_called = |it: &&Mounted, name: &str| [&*it.name, &it.id].contains(&name);
    let name = word.to_str().map(|name| name.strip_prefix("store:").unwrap_or(name));
    let mut found: Vec<Mounted> = all
        .iter()
        .filter(|it| is_there(it) || name.is_some_and(|name| is_called(it, name)))
        .cloned()
        .collect();
    if let (true, Some(name)) = (found.is_empty(), whole(word.as_os_str())) {
        found = all.iter().filter(|it| is_called(it, &name)).cloned().collect();
    }
    if found.is_empty() {
        return Err(Error::NotMounted { name: word.to_path_buf() }.into());
    }
    Ok(found)
}
