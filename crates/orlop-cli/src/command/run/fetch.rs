//! Where the image of a container comes from: the store, which gets it first where it lacks it.

use crate::error::Error;
use crate::flags::{self, Image as Opened, OnePlatform, Places};
use clap::ValueEnum;
use orlop::copy::{self, Copy, Platforms};
use orlop::image::Image;
use orlop::spec::port::{Catalog, Name};
use orlop::spec::reference::{Bare, LoneStream};
use orlop::spec::{Context, Descriptor, Diagnose as _, Fault};
use orlop::store::names::Record;
use orlop::transport;
use std::ffi::OsStr;

/// When an image is fetched from its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pull {
    /// Where the store lacks it.
    Missing,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How long the store has an image that is run.
#[derive(Debug)]
pub enum Stay {
    /// Until somebody forgets it.
    Kept,
    /// As long as it runs; then the next sweep takes it. This keeps it until then.
    Passing(Box<Record>),
}

/// The manifest of an image that is in the store from now on. A name without a transport is one of the store, and then one
/// of a registry, which the image is called by there; an image of any other place gets no name in the store.
pub fn stored(
    text: &OsStr,
    pull: Pull,
    places: &Places,
    platform: &OnePlatform,
    cx: &Context<'_>,
) -> Result<(Descriptor, Stay), Fault> {
    let is_bare = transport::parse(text, Bare::Store, LoneStream::Refused)?
        != transport::parse(text, Bare::Registry, LoneStream::Refused)?;
    if !is_bare {
        let reference = transport::parse(text, Bare::Registry, LoneStream::Refused)?;
        if reference.transport == flags::store().transport {
            return Ok((manifest(&places.open_stored(text, cx)?, platform, cx)?, Stay::Kept));
        }
        if flags::in_full(&reference, reference.tag()).is_some() {
            return Ok((fetched(text, places, platform, cx)?, Stay::Kept));
        }
        return passing(text, places, platform, cx);
    }
    if pull != Pull::Always {
        match places.open_stored(text, cx).and_then(|image| manifest(&image, platform, cx)) {
            Err(fault) if fault.is_absence() && pull == Pull::Missing => {}
            found => return Ok((found?, Stay::Kept)),
        }
    }
    let not_stored = |source| Error::NotStored { name: text.to_string_lossy().into(), source }.into();
    let fetched = fetched(text, places, platform, cx);
    let fetched = if pull == Pull::Always { fetched } else { fetched.map_err(not_stored) };
    Ok((fetched?, Stay::Kept))
}

/// An image of a place that is no registry. It is kept by its digest until the run relies on it, unless it was before.
fn passing(
    text: &OsStr,
    places: &Places,
    platform: &OnePlatform,
    cx: &Context<'_>,
) -> Result<(Descriptor, Stay), Fault> {
    let from = places.open(text, cx)?;
    let manifest = manifest(&from, platform, cx)?;
    let record = || match places.store.open_if_any(cx)? {
        Some(store) => store.records().nameless(&manifest.digest),
        None => Ok(None),
    };
    let is_kept = record()?.is_some();
    into_store(&from, &[(Name::Untagged, manifest.clone())], Platforms::All, places, cx)?;
    let own = if is_kept { None } else { record()? };
    Ok((manifest, own.map_or(Stay::Kept, |record| Stay::Passing(Box::new(record)))))
}

/// An image of a registry, in the store under its whole name.
fn fetched(
    text: &OsStr,
    places: &Places,
    platform: &OnePlatform,
    cx: &Context<'_>,
) -> Result<Descriptor, Fault> {
    let from = places.open(text, cx)?;
    let manifest = manifest(&from, platform, cx)?;
    let name = flags::in_full(from.reference(), from.reference().tag()).unwrap_or(Name::Untagged);
    let roots = from.source().resolve(from.selector())?;
    let roots: Vec<_> = roots.into_iter().map(|root| (name.clone(), root)).collect();
    into_store(&from, &roots, Platforms::Listed(vec![platform.platform()]), places, cx)?;
    Ok(manifest)
}

/// Where an image is, without being fetched.
pub fn anywhere<'a>(
    text: &OsStr,
    pull: Pull,
    places: &'a Places,
    cx: &Context<'a>,
) -> Result<Opened<'a>, Fault> {
    if pull == Pull::Always {
        return places.open(text, cx);
    }
    let is_there = |image: &Opened<'_>| image.source().resolve(image.selector()).map(drop);
    match places.open_stored(text, cx).and_then(|image| is_there(&image).map(|()| image)) {
        Err(fault) if fault.is_absence() && pull == Pull::Missing => places.open(text, cx),
        found => found,
    }
}

fn manifest(from: &Opened<'_>, platform: &OnePlatform, cx: &Context<'_>) -> Result<Descriptor, Fault> {
    let image = Image::fetch(cx, from.source(), from.selector(), &platform.platform())?;
    Ok(image.manifest().descriptor().clone())
}

fn into_store(
    from: &Opened<'_>,
    roots: &[(Name, Descriptor)],
    platforms: Platforms,
    places: &Places,
    cx: &Context<'_>,
) -> Result<(), Fault> {
    let from: &dyn Catalog = from.catalog();
    let how = Copy { platforms, ..Copy::default() };
    let to = places.create(&flags::store(), cx)?;
    copy::copy(cx, from, roots, to, &how).map(drop)
}
