//! Names of a repository, moved and taken away.
//!
//! Invariant: taking a tag away leaves every other tag and the image. Where the registry removes only by digest, the
//! tag is first given to a manifest that nobody else has, and that one is removed.

use super::doors::{Ask, DELETE, Door, Doors, PUSH};
use super::error::Error;
use super::push::called;
use super::source::{Remote, is_no_manifest};
use crate::client::Payload;
use orlop_spec::descriptor::Annotations;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{MediaType, OCI_MANIFEST};
use orlop_spec::network::Access;
use orlop_spec::port::{Keeper, Name, Result, Selector, Sweep, Swept};
use orlop_spec::wire::failure::Failure;
use orlop_spec::wire::{ManifestName, Place, Request, endpoint};
use orlop_spec::{Algorithm, AnyDigest, Descriptor, Digest, Document, Fault, Names};
use std::time::Duration;

/// image-spec, `manifest.md`, "Guidance for an Empty Descriptor".
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

impl Keeper for Remote<'_> {
    fn assign(&self, name: &Name, root: &Descriptor) -> Result<()> {
        let doors = self.writable()?;
        let raw = doors.rooted(doors.home()?, root)?;
        doors.put(doors.home()?, PUSH, root, &raw, &called(name, root)?).map(drop)
    }

    fn forget(&self, selector: &Selector) -> Result<Vec<Descriptor>> {
        let doors = self.writable()?;
        let door = doors.home()?;
        match (self.tag(selector)?, selector) {
            (None, Selector::Digest(digest)) => self.remove(&doors, door, digest).map(|root| vec![root]),
            (tag, _) => self.untag(&doors, door, &tag.unwrap_or_default()).map(|root| vec![root]),
        }
    }

    fn sweep(&self, _: Duration, _: Sweep) -> Result<Swept> {
        Err(Error::NotSwept.into())
    }
}

impl<'a> Remote<'a> {
    /// The repository itself: mirrors are not written to.
    fn writable(&self) -> Result<Doors<'a>> {
        Doors::of(self.doors.client.clone(), &self.doors.repository, Access::Write)
    }

    /// Removes a manifest, and so every tag that names it.
    fn remove(&self, doors: &Doors<'_>, door: &Door, digest: &AnyDigest) -> Result<Descriptor> {
        let name = ManifestName::digest(digest);
        let absent = |fault: Fault| self.absent(fault, &digest.to_string(), Names::default());
        let found = doors.get(door, DELETE, &name, Some(digest)).map_err(absent)?;
        doors.delete(door, &name)?;
        doors.forget_subject(door, DELETE, &found.descriptor, &found.raw)?;
        Ok(found.descriptor)
    }

    /// Takes a tag away.
    fn untag(&self, doors: &Doors<'_>, door: &Door, tag: &str) -> Result<Descriptor> {
        let name = ManifestName::tag(tag)?;
        let found = doors.get(door, DELETE, &name, None).map_err(|fault| {
            let known = self.doors.tags().map(Names::new).unwrap_or_default().near(tag);
            self.absent(fault, tag, known)
        })?;
        match doors.delete(door, &name) {
            Err(fault) if is_by_digest_only(&fault) => {}
            done => return done.map(|()| found.descriptor),
        }
        let stand_in = doors.stand_in(door, tag, &found.descriptor)?;
        let name = ManifestName::digest(&stand_in.digest);
        if let Err(fault) = doors.delete(door, &name) {
            doors.put(door, DELETE, &found.descriptor, &found.raw, &ManifestName::tag(tag)?)?;
            return Err(fault);
        }
        Ok(found.descriptor)
    }

    fn absent(&self, fault: Fault, wanted: &str, known: Names) -> Fault {
        let repository = Box::new(self.doors.repository.clone());
        let absent = Error::NoSuchImage { repository, wanted: wanted.into(), known };
        if is_no_manifest(&fault) { absent.into() } else { fault }
    }
}

impl Doors<'_> {
    fn delete(&self, door: &Door, name: &ManifestName) -> Result<()> {
        let request = |place: &Place| Ok(place.delete_manifest(name));
        self.demand(door, &Ask::new(DELETE, &request))?.drained();
        Ok(())
    }

    /// Gives a tag to a manifest that is made for it, so that removing that one removes no other name. First it is
    /// found out whether the registry removes anything at all.
    fn stand_in(&self, door: &Door, tag: &str, root: &Descriptor) -> Result<Descriptor> {
        let config = Descriptor::new(MediaType::new(EMPTY), Digest::of(Algorithm::Sha256, b"{}"), 2);
        let mut manifest = Manifest::new(config.clone(), vec![config.clone()]);
        manifest.artifact_type = Some(MediaType::new("application/vnd.orlop.untagged.v1"));
        manifest.annotations = Annotations::from([
            ("org.opencontainers.image.ref.name".into(), tag.into()),
            ("org.opencontainers.image.base.digest".into(), root.digest.to_string().into()),
        ]);
        let stand_in = Document::print(manifest, MediaType::new(OCI_MANIFEST), Algorithm::Sha256);
        match self.delete(door, &ManifestName::digest(&stand_in.descriptor().digest)) {
            Err(fault) if !is_no_manifest(&fault) => return Err(fault),
            _ => {}
        }
        self.put_empty(door, &config.digest)?;
        self.put(door, DELETE, stand_in.descriptor(), stand_in.raw(), &ManifestName::tag(tag)?)?;
        Ok(stand_in.descriptor().clone())
    }

    /// The blob `{}`.
    fn put_empty(&self, door: &Door, digest: &AnyDigest) -> Result<()> {
        let begin = |place: &Place| Ok(place.begin_upload());
        let (asked, head) = self.demand(door, &Ask::new(DELETE, &begin))?.drained();
        let location = endpoint::location(&asked, &head)?;
        let close = |_: &Place| -> Result<Request, Fault> { Ok(endpoint::close_upload(&location, digest)) };
        let ask = Ask { payload: Payload::Bytes(b"{}"), ..Ask::new(DELETE, &close) };
        self.demand(door, &ask)?.drained();
        Ok(())
    }
}

/// Whether a registry removes nothing by its tag; older ones have several ways to say so.
fn is_by_digest_only(fault: &Fault) -> bool {
    fault
        .downcast_ref::<Failure>()
        .is_some_and(|failure| failure.is_unsupported() || matches!(failure.status, 400 | 404))
}
