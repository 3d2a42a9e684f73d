//! Files become an image, an image becomes files. Both are said.

use super::{Copying, NO_ACI, NO_COMMIT, copied, only_for_aci, only_for_images, refuse};
use crate::environment;
use crate::flags::{Dividing, Format, Image, making, name};
use orlop::build::{Form, build};
use orlop::chunk::Plan;
use orlop::copy::Platforms;
use orlop::fs::owner::Owner;
use orlop::host::ostree::repo::Count;
use orlop::image::Image as Opened;
use orlop::made::{MadeImage, Making};
use orlop::ostree::target::{Imported, Level, Why};
use orlop::rendering::{Layering, Rendered, Rendering, TreeTarget, Wish};
use orlop::spec::port::Selector;
use orlop::spec::reference::{Reference, Transport};
use orlop::spec::{Algorithm, Context, Event, Fault, Platform};
use orlop::transport::Created;
use orlop::trees::TreeSource;
use serde_json::{Value, json};

/// Makes an image of one layer.
pub fn tree_to_image(
    arguments: &Copying,
    cx: &Context<'_>,
    (tree, dividing): (&dyn TreeSource, &Dividing),
    target: &Reference,
) -> Result<String, Fault> {
    refuse("files become an image", &only_for_images(arguments))?;
    if !tree.can_be(dividing.profile()) {
        return Err(NOT_FROM_FILES.into());
    }
    let making = making(arguments.owners.owner()?, asked_platform(arguments)?)?;
    is_for(cx, tree, making.platform.as_ref())?;
    let sink = match arguments.places.create_any(target, cx)? {
        Created::Blobs(sink) => sink,
        Created::Tree(to) if tree.is_image() || to.honours(Wish::Commit) || to.honours(Wish::Aci) => {
            refuse(to.becomes(), &dividing.given())?;
            return tree_to_tree(arguments, cx, tree, making, &*to);
        }
        Created::Tree(_) => return Err(FILES.into()),
    };
    refuse(NO_COMMIT, &arguments.commits.given())?;
    refuse(NO_ACI, &only_for_aci(arguments))?;
    say(cx, tree.becomes());
    let chunking = dividing.chunking(&arguments.places, cx, making.platform.as_ref())?;
    let plan = chunking.map(|how| Plan::new(cx, tree, &making.reading, &how)).transpose()?;
    let image = making.divide(cx, tree, plan.as_ref())?;
    let form = Form { codec: arguments.codec()?.unwrap_or_default(), algorithm: Algorithm::default() };
    let name = name(target)?;
    let built = build(cx, vec![image], &form, sink, std::slice::from_ref(&name))?;
    Ok(copied(target, &[(name.tag(), &built.root)], arguments.commits.format()))
}

/// Renders the image.
pub fn image_to_tree(
    arguments: &Copying,
    cx: &Context<'_>,
    images: &[Image<'_>],
    target: &dyn TreeTarget,
) -> Result<String, Fault> {
    let becomes = target.becomes();
    refuse(becomes, &only_for_images(arguments))?;
    let wishes = [
        (Wish::Owner, arguments.owners.is_given(), "--owner"),
        (Wish::Codec, arguments.compress.is_some(), "--compress"),
        (Wish::Aci, arguments.aci_name.is_some(), "--aci-name"),
        (Wish::Aci, arguments.layered, "--layered"),
    ];
    refuse(becomes, &wishes.map(|(wish, is_given, flag)| (is_given && !target.honours(wish), flag)))?;
    if !target.honours(Wish::Commit) {
        refuse(becomes, &arguments.commits.given())?;
    }
    let owner = if target.honours(Wish::Owner) { arguments.owners.owner()? } else { Owner::Exact };
    let image = fetch(arguments, cx, images)?;
    if !target.honours(Wish::Commit) && !target.honours(Wish::Aci) {
        say(cx, "the image becomes files: its config and history stay behind");
    }
    let called = images.first().and_then(|image| called(image.reference()));
    let how = rendering(arguments, owner, called)?;
    Ok(commit_of(&target.take(cx, &image, &how)?, arguments.commits.format()))
}

/// How an image is rendered that a place calls so.
fn rendering(arguments: &Copying, owner: Owner, called: Option<String>) -> Result<Rendering, Fault> {
    Ok(Rendering {
        owner,
        press: arguments.compress,
        commit: arguments.commits.wish()?,
        name: arguments.aci_name.clone().map(Into::into),
        layering: if arguments.layered { Layering::Each } else { Layering::Merged },
        called: called.map(Into::into),
    })
}

/// What an image is called by its repository, or by its tag in the folder or file that it lies in.
fn called(reference: &Reference) -> Option<String> {
    let tag = match &reference.selector {
        Selector::Tag(tag) => Some(&**tag),
        _ => None,
    };
    let name = match (&reference.transport, reference.transport.path()) {
        (Transport::Registry(repository), _) => repository.to_string(),
        (Transport::Store, _) => return tag.map(ToOwned::to_owned),
        (Transport::Layout(_) | Transport::Dir(_), Some(path)) => {
            path.file_name()?.to_string_lossy().into_owned()
        }
        (_, Some(path)) => path.file_stem()?.to_string_lossy().into_owned(),
        _ => return None,
    };
    Some(tag.map_or_else(|| name.clone(), |tag| format!("{name}:{tag}")))
}

/// Makes another place of files: of the image that they would become.
fn tree_to_tree(
    arguments: &Copying,
    cx: &Context<'_>,
    tree: &dyn TreeSource,
    making: Making,
    target: &dyn TreeTarget,
) -> Result<String, Fault> {
    let flags = [
        (arguments.compress.is_some() && !target.honours(Wish::Codec), "--compress"),
        (arguments.aci_name.is_some() && !target.honours(Wish::Aci), "--aci-name"),
        (arguments.layered && !target.honours(Wish::Aci), "--layered"),
    ];
    refuse(target.becomes(), &flags)?;
    if !target.honours(Wish::Commit) {
        refuse(target.becomes(), &arguments.commits.given())?;
    }
    let made = MadeImage::new(Box::new(tree), cx, making);
    let image = Opened::fetch(cx, &made, &Selector::Only, &one_platform(arguments)?)?;
    let how = rendering(arguments, Owner::Exact, tree.called())?;
    Ok(commit_of(&target.take(cx, &image, &how)?, arguments.commits.format()))
}

/// What is told of a commit that was made.
pub fn commit_of(Rendered { name, commit }: &Rendered, format: Format) -> String {
    match (commit, format) {
        (Some(commit), Format::Json) => format!("{}\n", told(name, commit)),
        _ => format!("{name}\n"),
    }
}

/// What is known of a commit, as JSON.
fn told(reference: &str, Imported { id, level, account }: &Imported) -> Value {
    let (claimed, difference) = match level {
        Level::New(Why::Differs(claimed, difference)) => {
            (Some(claimed.to_string()), Some(difference.to_string()))
        }
        _ => (None, None),
    };
    let count =
        |count: &Count| json!({ "given": count.given, "written": count.written, "bytes": count.bytes });
    json!({
        "version": 1,
        "reference": reference,
        "commit": id.to_string(),
        "identity": level.word(),
        "claimed": claimed,
        "difference": difference,
        "metadata": count(&account.metadata),
        "content": count(&account.content),
    })
}

/// An image of another kind is for the machine that it says.
fn is_for(cx: &Context<'_>, tree: &dyn TreeSource, asked: Option<&Platform>) -> Result<(), Fault> {
    let said = if tree.is_image() { tree.says(cx)?.platform } else { None };
    match (said, asked) {
        (Some(said), Some(asked)) if said.normalized() != asked.normalized() => Err(ANOTHER_MACHINE.into()),
        _ => Ok(()),
    }
}

const ANOTHER_MACHINE: orlop::Error = orlop::Error::Unfit {
    what: "the App Container is for another machine than the one that is asked for",
    hint: "leave --platform out; orlop aci cat-manifest FILE says for which it is",
};

const NOT_FROM_FILES: orlop::Error = orlop::Error::Unfit {
    what: "only a commit of OSTree can become that",
    hint: "leave --profile out, or commit the files first",
};

const FILES: orlop::Error = orlop::Error::Unfit {
    what: "neither place holds images",
    hint: "copy the files with cp or tar, or make an image of them: orlop copy SRC oci:DIR:TAG",
};

const ONE_IMAGE: orlop::Error = orlop::Error::Unfit {
    what: "a place of files holds one image on one platform",
    hint: "name one image, and one platform with --platform",
};

fn fetch<'i>(arguments: &Copying, cx: &Context<'_>, images: &'i [Image<'_>]) -> Result<Opened<'i>, Fault> {
    let [image] = images else { return Err(ONE_IMAGE.into()) };
    Opened::fetch(cx, image.source(), image.selector(), &one_platform(arguments)?)
}

/// Files are of one platform: where none was asked for, the host's.
fn one_platform(arguments: &Copying) -> Result<Platform, Fault> {
    Ok(asked_platform(arguments)?.unwrap_or_else(environment::host))
}

/// The one platform that was asked for, if any.
fn asked_platform(arguments: &Copying) -> Result<Option<Platform>, Fault> {
    match &arguments.platform {
        None => Ok(None),
        Some(Platforms::Listed(platforms)) if platforms.len() == 1 => Ok(Some(platforms[0].clone())),
        Some(Platforms::Listed(_) | Platforms::All) => Err(ONE_IMAGE.into()),
    }
}

fn say(cx: &Context<'_>, text: &str) {
    cx.observer.event(Event::Warned(text.to_owned()));
}
