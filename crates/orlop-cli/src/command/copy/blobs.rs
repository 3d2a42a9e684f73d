//! Images to a place that holds images.

use super::{Arguments, refuse};
use crate::flags::{Image, name, published};
use orlop::compress::copy_compressed;
use orlop::copy::{self, Copy, Platforms, Subset};
use orlop::several::Several;
use orlop::spec::port::{Depth, Name, Sink, Transfer};
use orlop::spec::reference::{Reference, Transport};
use orlop::spec::{Context, Descriptor, Fault};

pub fn copy(
    arguments: &Arguments,
    cx: &Context<'_>,
    images: &[Image<'_>],
    to: Box<dyn Sink + '_>,
    target: &Reference,
) -> Result<String, Fault> {
    let is_whole = matches!(arguments.asked(), None | Some(Platforms::All));
    let is_pruned_whole = arguments.prune && is_whole;
    let flags = [(arguments.owners.is_given(), "--owner"), (is_pruned_whole, "--prune")];
    refuse("all of an image is copied", &flags)?;
    if arguments.compress.is_none() {
        let limits = [
            (arguments.work.max_size.is_some(), "--max-size"),
            (arguments.work.max_entries.is_some(), "--max-entries"),
        ];
        refuse("no layer is opened", &limits)?;
    }
    let mut roots: Vec<(Name, Descriptor)> = Vec::new();
    for image in images {
        let name = target_name(image, target, images.len())?;
        if name != Name::Untagged && roots.iter().any(|(other, _)| *other == name) {
            return Err(SAME_NAME.into());
        }
        roots.extend(image.source().resolve(image.selector())?.into_iter().map(|root| (name.clone(), root)));
    }
    let (first, others) = images.split_first().expect("clap asks for a source");
    let others = others.iter().map(Image::source).collect();
    let from = Several { first: first.source(), others };
    let how = how(arguments);
    let copied = match arguments.compress {
        Some(codec) => copy_compressed(cx, &from, &roots, to, &how, codec)?,
        None => copy::copy(cx, &from, &roots, to, &how)?,
    };
    let line =
        |((name, _), root): (&(Name, Descriptor), &Descriptor)| published(target, name.tag(), &root.digest);
    Ok(roots.iter().zip(&copied.roots).map(line).collect())
}

fn how(arguments: &Arguments) -> Copy {
    Copy {
        platforms: arguments.asked().cloned().unwrap_or_default(),
        subset: if arguments.prune { Subset::Prune } else { Subset::Sparse },
        transfer: if arguments.link { Transfer::Link } else { Transfer::Copy },
        depth: Depth::default(),
    }
}

/// The name that the target gives, else the one that the image has; `dir:` holds no names.
fn target_name(image: &Image<'_>, target: &Reference, images: usize) -> Result<Name, Fault> {
    match (name(target)?, images) {
        (Name::Tag(_), 2..) => Err(ONE_NAME.into()),
        (Name::Tag(tag), _) => Ok(Name::Tag(tag)),
        (Name::Untagged, _) if matches!(target.transport, Transport::Dir(_)) => Ok(Name::Untagged),
        (Name::Untagged, _) => own_name(image),
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

/// The tag by which the image was named, or under which its place lists it first.
fn own_name(image: &Image<'_>) -> Result<Name, Fault> {
    if let Some(tag) = image.reference().tag() {
        return Ok(Name::Tag(tag.into()));
    }
    let roots = image.source().resolve(image.selector())?;
    let named =
        image.catalog().names()?.into_iter().find(|(name, entry)| {
            name.tag().is_some() && roots.iter().any(|root| root.digest == entry.digest)
        });
    Ok(named.map_or(Name::Untagged, |(name, _)| name))
}
