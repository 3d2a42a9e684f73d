//! `tag`, `untag`, `rm`, `gc`: the names of a place, and the blobs that no name reaches.

use crate::error::Error;
use orlop_spec::descriptor::Descriptor;
use orlop_spec::port::{Keeper, Name, Result, Selector, Sweep, Swept};
use std::time::Duration;

/// One tag may stand at several entries, one per platform; a further name is given to one of them.
const SEVERAL: Error = Error::Unfit {
    what: "several images bear that tag",
    hint: "name one of them by its digest; `orlop ls` lists them",
};

/// Gives what `selector` names the further names `tags`.
pub fn tag(place: &dyn Keeper, selector: &Selector, tags: &[Box<str>]) -> Result<Descriptor> {
    let [root] = <[Descriptor; 1]>::try_from(place.resolve(selector)?).map_err(|_| SEVERAL)?;
    for tag in tags {
        place.assign(&Name::Tag(tag.clone()), &root)?;
    }
    Ok(root)
}

/// Takes a tag away. What it named stays in the place, without a name unless another tag names it.
pub fn untag(place: &dyn Keeper, tag: &str) -> Result<Vec<Descriptor>> {
    let selector = Selector::Tag(tag.into());
    for root in place.resolve(&selector)? {
        place.assign(&Name::Untagged, &root)?;
    }
    place.forget(&selector)
}

/// Removes entries: by tag those of that tag, by digest or position every entry of that image. Their blobs stay
/// until the next [`gc`].
pub fn remove(place: &dyn Keeper, selector: &Selector) -> Result<Vec<Descriptor>> {
    place.forget(selector)
}

/// Removes blobs that no name reaches and that are older than `grace`.
pub fn gc(place: &dyn Keeper, grace: Duration, mode: Sweep) -> Result<Swept> {
    place.sweep(grace, mode)
}
