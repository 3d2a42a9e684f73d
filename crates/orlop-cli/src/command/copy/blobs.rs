//! Images to a place that holds images.

use super::{Copying, copied, refuse};
use crate::flags::{Image, in_full, name};
use crate::foreseen;
use orlop::compress::{copy_compressed, foresee_compressed};
use orlop::copy::{self, Copy, Platforms, Subset};
use orlop::referrers::Referrers;
use orlop::several::Several;
use orlop::spec::port::{Depth, Name, Selector, Sink, Transfer, Unnamed};
use orlop::spec::reference::Reference;
use orlop::spec::{Context, Descriptor, Fault};

pub fn copy(
    arguments: &Copying,
    cx: &Context<'_>,
    images: &[Image<'_>],
    to: Box<dyn Sink + '_>,
    target: &Reference,
) -> Result<String, Fault> {
    let is_whole = matches!(arguments.platform, None | Some(Platforms::All));
    let is_pruned_whole = arguments.prune && is_whole;
    let flags = [(arguments.owners.is_given(), "--owner"), (is_pruned_whole, "--prune")];
    refuse("all of an image is copied", &flags)?;
    if arguments.compress.is_none() && !to.opens_layers() {
        let limits = [
            (arguments.work.max_size.is_some(), "--max-size"),
            (arguments.work.max_entries.is_some(), "--max-entries"),
        ];
        refuse("no layer is opened", &limits)?;
    }
    if arguments.compress.is_some() {
        let referrers = (arguments.referrers != Referrers::None, "--referrers");
        refuse("what speaks of an image names its digest, and digests change", &[referrers])?;
    }
    let codec = arguments.codec()?;
    let roots = roots(arguments, images, &*to, target)?;
    let (first, others) = images.split_first().expect("clap asks for a source");
    let others = others.iter().map(Image::catalog).collect();
    let from = Several { first: first.catalog(), others };
    let how = how(arguments);
    let format = arguments.commits.format();
    let done = match codec {
        Some(codec) if arguments.dry_run => {
            return Ok(foreseen::editing(&foresee_compressed(cx, &from, &roots, &*to, &how, codec)?, format));
        }
        None if arguments.dry_run => {
            return Ok(foreseen::copying(&copy::foresee(cx, &from, &roots, &*to, &how)?, format));
        }
        Some(codec) => copy_compressed(cx, &from, &roots, to, &how, codec)?,
        None => copy::copy(cx, &from, &roots, to, &how)?,
    };
    let made: Vec<_> = roots.iter().zip(&done.roots).map(|((name, _), root)| (name.tag(), root)).collect();
    Ok(copied(target, &made, format))
}

/// What is copied, and under which name.
fn roots(
    arguments: &Copying,
    images: &[Image<'_>],
    to: &dyn Sink,
    target: &Reference,
) -> Result<Vec<(Name, Descriptor)>, Fault> {
    let mut roots: Vec<(Name, Descriptor)> = Vec::new();
    for image in images {
        let further = if arguments.all_tags {
            tagged(image, to, target)?
        } else {
            let name = target_name(image, to, target, images.len())?;
            let found = image.source().resolve(image.selector())?;
            found.into_iter().map(|root| (name.clone(), root)).collect()
        };
        let is_taken = |name: &Name| *name != Name::Untagged && roots.iter().any(|(other, _)| other == name);
        if further.iter().any(|(name, _)| is_taken(name)) {
            return Err(SAME_NAME.into());
        }
        roots.extend(further);
    }
    Ok(roots)
}

/// Every tagged image of a place.
fn tagged(image: &Image<'_>, to: &dyn Sink, target: &Reference) -> Result<Vec<(Name, Descriptor)>, Fault> {
    if *image.selector() != Selector::Only || name(target)? != Name::Untagged {
        return Err(ALL_TAGS.into());
    }
    let mut roots = Vec::new();
    for (name, root) in image.catalog().list()? {
        let Some(tag) = name.tag() else { continue };
        let found = match root {
            Some(root) => vec![root],
            None => image.source().resolve(&Selector::Tag(tag.into()))?,
        };
        let full = in_full(image.reference(), Some(tag)).filter(|_| to.unnamed() == Unnamed::InFull);
        let name = full.unwrap_or(name);
        roots.extend(found.into_iter().map(|root| (name.clone(), root)));
    }
    if roots.is_empty() { Err(NO_TAGS.into()) } else { Ok(roots) }
}

fn how(arguments: &Copying) -> Copy {
    Copy {
        platforms: arguments.platform.clone().unwrap_or_default(),
        subset: if arguments.prune { Subset::Prune } else { Subset::Sparse },
        transfer: if arguments.link { Transfer::Link } else { Transfer::Copy },
        depth: Depth::default(),
        referrers: arguments.referrers.clone(),
    }
}

/// The name that the target gives, else the one that the place gives, else the one that the image has.
pub fn target_name(
    image: &Image<'_>,
    to: &dyn Sink,
    target: &Reference,
    images: usize,
) -> Result<Name, Fault> {
    match (name(target)?, to.unnamed()) {
        (Name::Tag(_), _) if images > 1 => Err(ONE_NAME.into()),
        (Name::Tag(tag), _) => Ok(Name::Tag(tag)),
        (Name::Untagged, Unnamed::Nothing) => Ok(Name::Untagged),
        (Name::Untagged, Unnamed::AsBefore) => own_name(image),
        (Name::Untagged, Unnamed::InFull) => {
            in_full(image.reference(), image.reference().tag()).map_or_else(|| own_name(image), Ok)
        }
    }
}

const ONE_NAME: orlop::Error = orlop::Error::Unfit {
    what: "one name cannot stand for several images",
    hint: "leave the tag of the target out: every image keeps its own",
};

const SAME_NAME: orlop::Error = orlop::Error::Unfit {
    what: "two of the images have the same name",
    hint: "copy them one by one, each with a tag of its own at the target",
};

const ALL_TAGS: orlop::Error = orlop::Error::Unfit {
    what: "with --all-tags neither the places nor the target have a tag: every image keeps its own",
    hint: "leave the tags out: orlop copy --all-tags oci:DIR docker://HOST/REPOSITORY",
};

const NO_TAGS: orlop::Error = orlop::Error::Unfit {
    what: "no image of that place has a tag",
    hint: "name the image by its digest or position: oci:DIR@sha256:… or oci:DIR:@0",
};

/// The tag by which the image was named, or under which its place lists it first.
fn own_name(image: &Image<'_>) -> Result<Name, Fault> {
    match image.reference().tag() {
        Some(tag) => Ok(Name::Tag(tag.into())),
        None => image.catalog().name_of(image.selector()),
    }
}
