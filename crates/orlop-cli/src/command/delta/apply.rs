//! `orlop delta apply OLD DELTA DST`

use super::{index_of, spool};
use crate::command::Outcome;
use crate::flags::{self, Image as Held, OnePlatform, Places, Show, Work, name, wrote};
use crate::shell::Shell;
use clap::Args;
use orlop::delta::{self, Which};
use orlop::image::Image;
use orlop::layer::codec::Codec;
use orlop::spec::port::Selector;
use orlop::spec::{AnyDigest, Diagnose as _, Fault};
use std::ffi::OsString;

/// Make the newer image of an older one and a delta.
///
/// The image has the digest that it had: its layers are compressed as they were, where orlop had made them. Those of other
/// programs are known by their uncompressed bytes alone: `--compress` says how they are to be compressed, and the image gets
/// another digest, which is said.
#[derive(Args)]
pub struct Arguments {
    /// The image that the delta was made from
    #[arg(value_name = "OLD")]
    older: OsString,
    /// Where the delta is [by default, of a place, what its tag `_deltaindex` names]
    #[arg(value_name = "DELTA")]
    delta: OsString,
    /// Where the newer image is put
    #[arg(value_name = "DST")]
    target: OsString,
    /// Which image is wanted, by the digest of its manifest, where there are deltas to several
    #[arg(long = "target", value_name = "DIGEST")]
    wanted: Option<AnyDigest>,
    /// Compress layers that cannot be made to the byte: none, gzip[:LEVEL], zstd[:LEVEL]; the digest changes
    #[arg(long, value_name = "HOW")]
    compress: Option<Codec>,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let platform = arguments.platform.platform();
    let target = flags::target(&arguments.target)?;
    let name = name(&target)?;
    let root = shell.work(&arguments.work, |cx| {
        let older = arguments.places.open(&arguments.older, cx)?;
        let place = arguments.places.open_place(&arguments.delta, cx)?;
        let older = Image::fetch(cx, older.source(), older.selector(), &platform)?;
        let selector = selector(&place)?;
        let which = Which { place: place.source(), selector: &selector };
        let sink = arguments.places.create(&target, cx)?;
        let how = delta::Apply {
            codec: arguments.compress,
            target: arguments.wanted.as_ref(),
            spool: &|| spool(&arguments.places, cx),
        };
        delta::apply(cx, &older, &which, (&name, sink), &how)
    })?;
    shell.published(&target, &wrote(arguments.show.format, "applied", (&target, &name), &root))?;
    Ok(Outcome::Done)
}

/// Which index of the place is meant, where nobody said.
fn selector(place: &Held<'_>) -> Result<Selector, Fault> {
    if *place.selector() != Selector::Only {
        return Ok(place.selector().clone());
    }
    let usual = index_of(place.reference()).selector;
    match place.source().resolve(&usual) {
        Err(fault) if fault.is_absence() => Ok(Selector::Only),
        found => found.map(|_| usual),
    }
}
