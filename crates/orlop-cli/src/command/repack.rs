//! `orlop repack DIR REF`

use super::{Outcome, diff};
use crate::flags::{self, HistoryFlags, Image, LookFlags, Places, Show, UnrepresentableFlag, Work};
use crate::flags::{journal, moment, name, tracked, wrote};
use crate::shell::Shell;
use clap::Args;
use orlop::build::Form;
use orlop::copy::Platforms;
use orlop::edit::{self, Step, Subject, Taken};
use orlop::fs::Dir;
use orlop::fs::lock::Share;
use orlop::fs::track::{Compared, Hash, Renew, Strays};
use orlop::image::Image as Manifest;
use orlop::index::Place;
use orlop::layer::codec::Codec;
use orlop::spec::graph::{self, Node};
use orlop::spec::port::{Name, Seen, Selector};
use orlop::spec::reference::Reference;
use orlop::spec::time::Timestamp;
use orlop::spec::{Algorithm, AnyDigest, Context, Descriptor, Event, Fault, Kind};
use orlop::track::{About, Layer, Look, Repack, Tracked, changes};
use std::ffi::OsString;
use std::path::PathBuf;

/// Put what was changed in a tracked folder on its image, as one layer.
///
/// DIR was made by `unpack --track` or `bundle --track`. What is as it was is told by its times, and not read; the layers of
/// the image are not read either. The image with the new layer becomes REF; one that REF already stands for, or that is in
/// the index which REF names, is replaced, and the others of the index stay. Where nothing was changed, no layer is made, and
/// no digest changes.
#[derive(Args)]
#[command(after_help = "Examples:
  orlop unpack --track oci:DIR:TAG root; touch root/new; orlop repack root oci:DIR:TAG2
  orlop repack --dry-run root oci:DIR:TAG
  orlop repack --refresh root docker://registry.example.com/app:1")]
pub struct Arguments {
    /// The tracked folder: a root filesystem, or a bundle
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What the image is called then
    #[arg(value_name = "REF")]
    reference: OsString,
    /// Where the image is that DIR came from [default: the place of REF, else where DIR was unpacked from]
    #[arg(long, value_name = "REF", help_heading = "Image")]
    base: Option<OsString>,
    #[command(flatten)]
    look: LookFlags,
    #[command(flatten)]
    unrepresentable: UnrepresentableFlag,
    /// Let the snapshot be of what DIR is now: the next `repack` goes on from there
    #[arg(long, help_heading = "Files")]
    refresh: bool,
    /// Tell what the layer would hold, as `diff` tells it, and write nothing
    #[arg(long, help_heading = "Running", conflicts_with = "refresh")]
    dry_run: bool,
    /// When the image was made: RFC 3339, or seconds since 1970 [default: $SOURCE_DATE_EPOCH, else the newest time in the
    /// layer]
    #[arg(long, value_name = "TIME", value_parser = flags::time, help_heading = "Image")]
    created: Option<Timestamp>,
    #[command(flatten)]
    history: HistoryFlags,
    /// Note nothing but the layer in the history
    #[arg(long, help_heading = "History", conflicts_with_all = ["history_comment", "history_created_by", "history_author", "history_created"])]
    no_history: bool,
    /// How the layer is compressed: none, gzip[:LEVEL], zstd[:LEVEL]
    #[arg(long, value_name = "HOW", default_value = "gzip", help_heading = "Form")]
    compress: Codec,
    /// Digest of the layer: sha256, sha384, sha512
    #[arg(long, value_name = "NAME", default_value = "sha256", help_heading = "Form")]
    algorithm: Algorithm,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let tracked = tracked(&arguments.folder, Share::Exclusive, &arguments.work.limits())?;
    if arguments.dry_run {
        return foresee(arguments, &tracked, shell);
    }
    let target = flags::target(&arguments.reference)?;
    let repack = arguments.repack()?;
    let (name, root) = shell.work(&arguments.work, |cx| {
        let name = name(&target)?;
        let journal = journal(&arguments.places, cx);
        let renew = if arguments.refresh { Renew::Yes } else { Renew::No };
        let hash = Hash::Doubtful;
        let compared = tracked.compare(cx, &arguments.look(), journal.as_ref(), (hash, renew))?;
        let root = put(arguments, cx, (&tracked, compared), (&repack, journal.as_ref()), (&target, &name))?;
        Ok((name, root))
    })?;
    let line = wrote(arguments.show.format, "repacked", (&target, &name), &root);
    shell.published(&target, &line)?;
    Ok(Outcome::Done)
}

impl Arguments {
    fn look(&self) -> Look {
        self.look.look(Strays::LeftOut(self.unrepresentable.choice()))
    }

    fn repack(&self) -> Result<Repack, Fault> {
        let step = self.history.step("orlop repack", self.created)?;
        Ok(Repack {
            form: Form { codec: self.compress, algorithm: self.algorithm },
            created: moment(self.created)?,
            history: (!self.no_history).then_some(step),
        })
    }
}

fn foresee(arguments: &Arguments, tracked: &Tracked, shell: &Shell) -> Result<Outcome, Fault> {
    let files = shell.read(&arguments.work, |cx| {
        let journal = journal(&arguments.places, cx);
        let how = (Hash::Changed, Renew::No);
        Ok(changes(&tracked.compare(cx, &arguments.look(), journal.as_ref(), how)?))
    })?;
    shell.print(diff::told(&files, arguments.show.format, diff::Telling::Names))?;
    Ok(Outcome::Done)
}

/// Publishes the image with the layer, and lets the snapshot follow where that was asked for.
fn put(
    arguments: &Arguments,
    cx: &Context<'_>,
    (tracked, compared): (&Tracked, Compared),
    (repack, journal): (&Repack, Option<&Dir>),
    (target, name): (&Reference, &Name),
) -> Result<Descriptor, Fault> {
    let layer = Layer::of(tracked, &compared, repack, journal);
    let Base { image, root, seen } = base(arguments, cx, &tracked.about)?;
    let is_same = image.reference().transport == target.transport;
    let place = if is_same { Place::Same } else { Place::Other };
    let name = &if is_same { image.catalog().spelled(name)? } else { name.clone() };
    let seen = seen.filter(|_| is_same).map(|roots| Seen::of(name, &roots));
    let sink = arguments.places.create(target, cx)?;
    let subject =
        Subject { from: image.catalog(), root, platforms: Platforms::All, taken: Taken::All, place, seen };
    let steps: Vec<Box<dyn Step + '_>> = layer.iter().map(|layer| Box::new(layer) as Box<dyn Step>).collect();
    if steps.is_empty() {
        cx.observer.event(Event::Warned("nothing was changed: no layer is made".into()));
    }
    let edited = edit::edit(cx, &subject, &steps, name, sink)?;
    let root = edited.roots.into_iter().next().unwrap_or(subject.root);
    drop(steps);
    if let (Some(layer), true) = (&layer, arguments.refresh) {
        let platform = tracked.about.platform.clone();
        let written = arguments.places.open(&arguments.reference, cx)?;
        let selector = Selector::Digest(root.digest.clone());
        let image = Manifest::fetch(cx, written.source(), &selector, &platform)?;
        layer.refresh(compared, &image, &written.lasting(cx))?;
    }
    Ok(root)
}

/// The image that the folder came from.
struct Base<'a> {
    image: Image<'a>,
    /// What of it is edited.
    root: Descriptor,
    /// What REF stood for.
    seen: Option<Vec<Descriptor>>,
}

/// Finds the image that the folder came from: in what REF stands for, where that holds it; else in the place of REF, and
/// else where it was.
fn base<'a>(arguments: &'a Arguments, cx: &Context<'a>, about: &About) -> Result<Base<'a>, Fault> {
    let wanted = &about.manifest.digest;
    if let Some(base) = &arguments.base {
        return named(arguments.places.open(base, cx)?, wanted);
    }
    match arguments.places.open(&arguments.reference, cx) {
        Ok(image) => {
            let seen = there(image.source().resolve(image.selector()))?.unwrap_or_default();
            if let Some(root) = above(cx, &image, &seen, wanted)? {
                return Ok(Base { image, root, seen: Some(seen) });
            }
            if let Some(root) = image.find(wanted)? {
                return Ok(Base { image, root, seen: Some(seen) });
            }
        }
        Err(fault) if fault.kind() == Kind::NotFound => {}
        Err(fault) => return Err(fault),
    }
    let before = arguments.places.open(&OsString::from(&about.reference), cx);
    named(before.map_err(|fault| about.not_found(fault))?, wanted)
}

fn named<'a>(image: Image<'a>, wanted: &AnyDigest) -> Result<Base<'a>, Fault> {
    match image.find(wanted)? {
        Some(root) => Ok(Base { image, root, seen: None }),
        None => Err(GONE.into()),
    }
}

const GONE: orlop::Error = orlop::Error::Unfit {
    what: "the image that the folder came from is not where it was",
    hint: "say where it is now: --base REF",
};

/// What REF stands for, where the image is that or in it.
fn above(
    cx: &Context<'_>,
    image: &Image<'_>,
    roots: &[Descriptor],
    wanted: &AnyDigest,
) -> Result<Option<Descriptor>, Fault> {
    let [root] = roots else { return Ok(None) };
    let nodes = graph::walk(cx, image.source(), root, &graph::all)?;
    let is_it = |node: &Node| matches!(node, Node::Manifest(it) if it.descriptor().digest == *wanted);
    Ok(nodes.iter().any(is_it).then(|| root.clone()))
}

fn there<T>(asked: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match asked {
        Ok(there) => Ok(Some(there)),
        Err(fault) if fault.kind() == Kind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}
