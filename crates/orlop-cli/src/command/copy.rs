//! `orlop copy SRC… DST`

mod blobs;
mod convert;
mod edited;

pub use convert::commit_of;

use super::Outcome;
use crate::error::Error;
use crate::flags::{
    self, CommitFlags, Dividing, FormFlags, Format, Held, Image, Keeping, Owners, Places, SettingFlags,
    StripFlags, Work, platform, published, told,
};
use crate::output::listing;
use crate::shell::Shell;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use orlop::copy::Platforms;
use orlop::host::ostree::kept::Style;
use orlop::layer::codec::Codec;
use orlop::referrers::Referrers;
use orlop::rendering::Press;
use orlop::spec::reference::Reference;
use orlop::spec::{Context, Descriptor, Fault, MediaType};
use orlop::transport::Created;
use serde_json::Value;
use std::ffi::{OsStr, OsString};

/// Copy images from place to place; no byte of them changes.
///
/// All platforms are copied. What an image is on its way can be changed by the flags of `strip`, `--flatten`, `--append`, and the
/// flags of `convert` and `config`, in that order and the same pass; the digest changes with it. Places that hold files (rootfs:, tar:) convert: an image becomes files, files become an
/// image of one layer.
#[derive(Args)]
#[command(override_usage = "orlop copy [OPTIONS] SRC... DST")]
pub struct Arguments {
    /// Images to copy, and at last the place to copy them to
    #[arg(required = true, num_args = 2.., value_name = "SRC|DST")]
    words: Vec<OsString>,
    #[command(flatten)]
    copying: Copying,
    #[command(flatten)]
    dividing: Dividing,
    #[command(flatten)]
    keeping: Keeping,
    /// Put a folder or a tar on the image as one more layer; repeatable
    #[arg(long, value_name = "SRC", help_heading = "Image")]
    append: Vec<OsString>,
    #[command(flatten)]
    strip: StripFlags,
    /// Make one layer of all that the image has
    #[arg(long, help_heading = "Image")]
    flatten: bool,
    #[command(flatten)]
    settings: SettingFlags,
    #[command(flatten)]
    form: FormFlags,
}

/// How images are copied; `pull` and `push` take the same.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Args)]
pub struct Copying {
    /// Platforms of an index: `all`, `host`, or a list such as linux/amd64,linux/arm64 [default: all; for files, host]
    #[arg(long, value_name = "LIST", value_parser = platforms)]
    platform: Option<Platforms>,
    /// Write a smaller index that names the copied platforms only; its digest is another one
    #[arg(long)]
    prune: bool,
    /// Compress the layers anew: none, gzip[:LEVEL], zstd[:LEVEL]; digests change. Tars and App Containers: xz too
    #[arg(long, value_name = "HOW", value_parser = press)]
    compress: Option<Press>,
    /// Take along what speaks of the images, signatures for example: none, all, or one artifact type
    #[arg(long, value_name = "WHICH", default_value = "none", value_parser = which_referrers)]
    referrers: Referrers,
    /// Copy every tagged image of the places
    #[arg(long, short = 'A')]
    all_tags: bool,
    /// Tell what would be moved, in bytes, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Make hard links of blobs where both places are on one file system
    #[arg(long)]
    link: bool,
    /// What an App Container is called [default: as the image is]
    #[arg(long, value_name = "NAME[:VERSION]", value_parser = NonEmptyStringValueParser::new())]
    aci_name: Option<String>,
    /// Make an App Container of each layer, over those below it: aci:app.aci is the last, app.layer-1.aci is the base
    #[arg(long)]
    layered: bool,
    #[command(flatten)]
    commits: CommitFlags,
    /// Form in which an OSTree repository keeps images: bootc, or ociimage, as skopeo's `ostree:` did [default: bootc]
    #[arg(long, value_name = "STYLE", value_parser = ref_style, help_heading = "Commits")]
    ref_style: Option<Style>,
    #[command(flatten)]
    owners: Owners,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let (target, sources) = arguments.words.split_last().ok_or(Error::NoSource)?;
    if let Some(edits) = edited::Edits::said(arguments)? {
        return edited::run(arguments, edits, (sources, target), shell);
    }
    arguments.copying.keeping(&arguments.keeping).divide(sources, target, &arguments.dividing, shell)
}

impl Copying {
    /// What the store is to keep, for verbs that may write there.
    pub fn keeping(&self, keeping: &Keeping) -> &Self {
        self.places.keeping(keeping);
        self
    }

    /// Copies the sources to the target.
    pub fn run(&self, sources: &[OsString], target: &OsStr, shell: &Shell) -> Result<Outcome, Fault> {
        self.divide(sources, target, &Dividing::default(), shell)
    }

    /// The same; files are divided.
    fn divide(
        &self,
        sources: &[OsString],
        target: &OsStr,
        dividing: &Dividing,
        shell: &Shell,
    ) -> Result<Outcome, Fault> {
        let is_one = sources.len() == 1 && !self.all_tags;
        let target = if is_one { flags::target(target)? } else { flags::target_place(target)? };
        self.places.as_profile(dividing.profile());
        self.places.in_style(self.ref_style);
        let lines = shell.work(&self.work, |cx| {
            let (mut images, mut trees) = (Vec::new(), Vec::new());
            for text in sources {
                if self.all_tags {
                    images.push(self.places.open_place(text, cx)?);
                    continue;
                }
                match self.places.open_any(text, cx)? {
                    Held::Image(image) => images.push(image),
                    Held::Tree(tree) => trees.push(tree),
                }
            }
            match (images.as_slice(), trees.as_slice()) {
                (_, []) if dividing.is_given() => Err(DIVIDED.into()),
                (images, []) => to_target(self, cx, images, &target),
                ([], [tree]) => convert::tree_to_image(self, cx, (&**tree, dividing), &target),
                _ => Err(MIXED.into()),
            }
        })?;
        if self.dry_run {
            shell.print(lines)?;
        } else {
            shell.published(&target, &lines)?;
        }
        Ok(Outcome::Done)
    }
}

const DIVIDED: orlop::Error = orlop::Error::Unfit {
    what: "an image is what it is already: only files become one",
    hint: "leave --chunked and --profile out, or unpack it first and copy its files: orlop copy --chunked 64 rootfs:DIR DST",
};

const MIXED: orlop::Error = orlop::Error::Unfit {
    what: "files become one image, and stand alone among the sources",
    hint: "make an image of several layers: orlop build SRC SRC oci:DIR:TAG",
};

fn to_target(
    arguments: &Copying,
    cx: &Context<'_>,
    images: &[Image<'_>],
    target: &Reference,
) -> Result<String, Fault> {
    let places = &arguments.places;
    let made = if arguments.dry_run { places.foresee(target, cx)? } else { places.create_any(target, cx)? };
    match made {
        Created::Blobs(sink) => {
            refuse(NO_COMMIT, &arguments.commits.given())?;
            refuse(NO_ACI, &only_for_aci(arguments))?;
            blobs::copy(arguments, cx, images, sink, target)
        }
        Created::Tree(tree) => convert::image_to_tree(arguments, cx, images, &*tree),
    }
}

/// What was copied: a line for each image, or one document.
fn copied(target: &Reference, made: &[(Option<&str>, &Descriptor)], format: Format) -> String {
    let line = |(tag, root): &(Option<&str>, &Descriptor)| published(target, *tag, &root.digest);
    match format {
        Format::Human => made.iter().map(line).collect(),
        Format::Json => {
            let copied: Vec<Value> = made.iter().map(|(tag, root)| told(target, *tag, root)).collect();
            listing("copied", &copied)
        }
    }
}

/// What is being done where no commit is made.
const NO_COMMIT: &str = "no commit is made of an image";

/// What is being done where no App Container is made.
const NO_ACI: &str = "no App Container is made";

const XZ: orlop::Error = orlop::Error::Unfit {
    what: "no registry and no engine takes layers that are compressed by xz",
    hint: "compress them with gzip or zstd; tar:FILE and aci:FILE take xz",
};

impl Copying {
    /// How layers are compressed.
    fn codec(&self) -> Result<Option<Codec>, Fault> {
        match self.compress {
            None => Ok(None),
            Some(Press::Layer(codec)) => Ok(Some(codec)),
            Some(Press::Xz) => Err(XZ.into()),
        }
    }
}

/// Parses `xz`, or how layers are compressed.
pub fn press(text: &str) -> Result<Press, orlop::layer::Error> {
    if text == "xz" { Ok(Press::Xz) } else { text.parse().map(Press::Layer) }
}

/// Flags that mean something only where images stay images.
fn only_for_images(arguments: &Copying) -> [(bool, &'static str); 5] {
    [
        (arguments.prune, "--prune"),
        (arguments.link, "--link"),
        (arguments.referrers != Referrers::None, "--referrers"),
        (arguments.all_tags, "--all-tags"),
        (arguments.dry_run, "--dry-run"),
    ]
}

/// Flags that mean something only where an App Container is made.
fn only_for_aci(arguments: &Copying) -> [(bool, &'static str); 2] {
    [(arguments.aci_name.is_some(), "--aci-name"), (arguments.layered, "--layered")]
}

/// Refuses the first flag that was given and cannot be honoured.
fn refuse(what: &'static str, flags: &[(bool, &'static str)]) -> Result<(), Error> {
    match flags.iter().find(|(is_given, _)| *is_given) {
        Some((_, flag)) => Err(Error::FlagUnfit { flag, what }),
        None => Ok(()),
    }
}

/// Parses `all`, `host`, or platforms with commas between them.
pub fn platforms(text: &str) -> Result<Platforms, String> {
    if text == "all" {
        return Ok(Platforms::All);
    }
    text.split(',').map(platform).collect::<Result<Vec<_>, _>>().map(Platforms::Listed)
}

fn ref_style(text: &str) -> Result<Style, &'static str> {
    match text {
        "bootc" => Ok(Style::Bootc),
        "ociimage" => Ok(Style::Former),
        _ => Err("it is bootc or ociimage"),
    }
}

/// Parses `none`, `all`, or an artifact type.
pub fn which_referrers(text: &str) -> Result<Referrers, String> {
    match text {
        "none" => Ok(Referrers::None),
        "all" => Ok(Referrers::All),
        kind => {
            let kind = MediaType::new(kind);
            if kind.is_well_formed() {
                Ok(Referrers::Type(kind))
            } else {
                Err("it is `none`, `all` or a media type such as application/vnd.dev.cosign.artifact.sig.v1+json".into())
            }
        }
    }
}
