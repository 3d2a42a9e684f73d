//! `tag`, `untag`, `rm`, `gc`: the names of a place, and the blobs that no name reaches.

use crate::error::Error;
use orlop_spec::descriptor::Descriptor;
use orlop_spec::port::{Keeper, Name, Result, Selector, Sweep, Swept};
use std::collections::HashSet;
use std::time::Duration;

const NO_TAG: Error =
    Error::Unfit { what: "only a tag can be taken away", hint: "name it: orlop untag oci:DIR:TAG" };

/// What is removed is named: the only image of a place may be another one by now.
const NO_IMAGE: Error = Error::Unfit {
    what: "no image of the place is named",
    hint: "name it by tag or digest: orlop rm oci:DIR:TAG; `orlop ls` lists them",
};

const ONE_IMAGE: Error = Error::Unfit {
    what: "a place is swept as a whole, not one image of it",
    hint: "remove the image first, then sweep: orlop rm oci:DIR:TAG, orlop gc oci:DIR; for the local store orlop rm NAME, orlop gc",
};

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

/// Takes a tag away. What it named stays as long as another name reaches it; else the next [`gc`] removes it.
pub fn untag(place: &dyn Keeper, selector: &Selector) -> Result<Vec<Descriptor>> {
    match selector {
        Selector::Tag(_) => place.forget(selector),
        _ => Err(NO_TAG.into()),
    }
}

/// The images that `selector` names, each under all its names: what [`remove`] would take away. One without a name
/// is among them too.
pub fn named(place: &dyn Keeper, selector: &Selector) -> Result<Vec<(Name, Descriptor)>> {
    if *selector == Selector::Only {
        return Err(NO_IMAGE.into());
    }
    let roots = place.resolve(selector)?;
    let names = place.names()?;
    let mut found = Vec::new();
    for root in roots {
        let before = found.len();
        found.extend(names.iter().filter(|(_, entry)| entry.digest == root.digest).cloned());
        if found.len() == before {
            found.push((Name::Untagged, root));
        }
    }
    Ok(found)
}

/// Removes images that [`named`] found, under all their names. Their blobs stay until the next [`gc`].
pub fn remove(place: &dyn Keeper, images: &[(Name, Descriptor)]) -> Result<()> {
    let mut gone = HashSet::new();
    for (_, root) in images {
        if gone.insert(&root.digest) {
            place.forget(&Selector::Digest(root.digest.clone()))?;
        }
    }
    Ok(())
}

/// Removes blobs that no name reaches and that are older than `grace`.
pub fn gc(place: &dyn Keeper, selector: &Selector, grace: Duration, mode: Sweep) -> Result<Swept> {
    match selector {
        Selector::Only => place.sweep(grace, mode),
        _ => Err(ONE_IMAGE.into()),
    }
}
