//! Every form on disk keeps the laws of the ports.

use orlop_layer::Time;
use orlop_spec::port::{Catalog, Keeper, Result, Sink};
use orlop_store::{Layout, Options};
use testkit::suites::{self, Place};
use testkit::{Scratch, proof, scratch};

/// By this clock everything was made long ago: the year 2100.
const LATER: Time = Time::from_seconds(4_102_444_800);

fn options() -> Options {
    Options { now: LATER, ..Options::default() }
}

struct InFolder(Scratch);

impl Place for InFolder {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(Layout::create(self.0.path("layout"), &options())?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(Layout::open(self.0.path("layout"), &options())?))
    }

    fn keeper(&self) -> Result<Option<Box<dyn Keeper + '_>>> {
        Ok(Some(Box::new(Layout::open(self.0.path("layout"), &options())?)))
    }
}

#[test]
fn layouts() {
    let fresh = || -> Box<dyn Place> { Box::new(InFolder(scratch())) };
    let laws = suites::source(&fresh) + suites::sink(&fresh) + suites::keeper(&fresh);
    proof::ran("ports: OCI layout", laws);
}

/// Blobs in a folder that several layouts share.
struct Sharing(Scratch);

impl Sharing {
    fn options(&self) -> Options {
        Options { shared_blobs: Some(self.0.path("shared")), ..options() }
    }
}

impl Place for Sharing {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(Layout::create(self.0.path("layout"), &self.options())?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(Layout::open(self.0.path("layout"), &self.options())?))
    }
}

#[test]
fn layouts_with_shared_blobs() {
    let fresh = || -> Box<dyn Place> { Box::new(Sharing(scratch())) };
    let laws = suites::source(&fresh) + suites::sink(&fresh);
    proof::ran("ports: OCI layout with shared blobs", laws);
}
