//! `orlop build SRC… REF`

mod plan;

use super::Outcome;
use crate::environment;
use crate::flags::{
    self, ConfigFlags, Format, Keeping, Places, ShapeFlags, Show, TreeFlags, Work, name, wrote,
};
use crate::shell::Shell;
use clap::Args;
use orlop::build::{Build, Form, Further, Input, build, build_changed};
use orlop::check::{Kept, Parting, compare};
use orlop::edit::Convert;
use orlop::layer::codec::Codec;
use orlop::layer::path::printable;
use orlop::nowhere::Nowhere;
use orlop::spec::{Algorithm, Context, Fault};
use orlop::trees::Reading;
use plan::{ForPlatform, Plan, Prepared};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::num::NonZeroUsize;

/// Make an image of folders and tars, one layer each.
///
/// SRC is a folder, a tar (plain, gzip or zstd), or `-` for a tar on standard input. With the same sources and flags
/// the result is the same to the byte, whatever the machine and the number of threads.
#[derive(Args)]
#[command(
    override_usage = "orlop build [OPTIONS] SRC... REF\n       orlop build [OPTIONS] --platform PLATFORM=SRC[,SRC]... REF"
)]
pub struct Arguments {
    /// What becomes a layer, base first; and at last the image to make
    #[arg(required = true, value_name = "SRC|REF")]
    words: Vec<OsString>,
    /// Put the layers on this image; the result tells of it in the annotations org.opencontainers.image.base.*
    #[arg(long, value_name = "REF", help_heading = "Image")]
    base: Option<OsString>,
    /// Platform of the image [default: the base's, else this machine's]; with sources of its own, repeated, the
    /// result is an index
    #[arg(long, value_name = "PLATFORM[=SRC,...]", help_heading = "Image")]
    platform: Vec<ForPlatform>,
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    tree: TreeFlags,
    /// How layers are compressed: none, gzip[:LEVEL], zstd[:LEVEL]
    #[arg(long, value_name = "HOW", default_value = "gzip", help_heading = "Form")]
    compress: Codec,
    /// Digests of the new blobs: sha256, sha384, sha512
    #[arg(long, value_name = "NAME", default_value = "sha256", help_heading = "Form")]
    algorithm: Algorithm,
    #[command(flatten)]
    shape: ShapeFlags,
    /// Build twice, write nothing, and tell the first field or byte that differs
    #[arg(long, help_heading = "Running", conflicts_with_all = ["media_types", "layer_size"])]
    check: bool,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let (plan, target) = Plan::new(&arguments.words, &arguments.platform, arguments.base.as_deref())?;
    let reading = arguments.tree.reading()?;
    if arguments.check {
        let parting = shell.read(&arguments.work, |cx| {
            let prepared = plan.prepare(&arguments.places, cx)?;
            check(arguments, cx, &prepared, &reading)
        })?;
        return tell(parting, arguments.show.format, shell);
    }
    let target = flags::target(target)?;
    let name = name(&target)?;
    let convert = arguments.convert()?;
    environment::await_input(arguments.words.iter())?;
    let line = shell.work(&arguments.work, |cx| {
        let prepared = plan.prepare(&arguments.places, cx)?;
        let images = images(arguments, cx, &prepared, &reading)?;
        let sink = arguments.places.keeping(&arguments.keeping).create(&target, cx)?;
        let (form, names) = (form(arguments), std::slice::from_ref(&name));
        let root = match convert {
            None => build(cx, images, &form, sink, names)?.root,
            Some(convert) => {
                let tmpdir = arguments.places.spools();
                let bases = prepared.iter().filter_map(Prepared::catalog).collect();
                let further = Further { steps: vec![Box::new(convert)], tmpdir: &tmpdir, bases };
                build_changed(cx, images, &form, further, sink, names)?
            }
        };
        Ok(wrote(arguments.show.format, "built", (&target, &name), &root))
    })?;
    shell.published(&target, &line)?;
    Ok(Outcome::Done)
}

impl Arguments {
    /// The form that the image gets once it is built, where it is another one. What cannot be is refused.
    fn convert(&self) -> Result<Option<Convert>, Fault> {
        let mut convert = self.shape.step(self.places.spools());
        (convert.codec, convert.algorithm) = (Some(self.compress), Some(self.algorithm));
        convert.check()?;
        // What is built has both already; parts of a layer are to have them too.
        convert.algorithm = None;
        convert.codec = convert.layer_size.and(convert.codec);
        Ok(self.shape.is_given().then_some(convert))
    }
}

fn form(arguments: &Arguments) -> Form {
    Form { codec: arguments.compress, algorithm: arguments.algorithm }
}

fn images<'a>(
    arguments: &Arguments,
    cx: &Context<'a>,
    prepared: &'a [Prepared<'_>],
    reading: &'a Reading,
) -> Result<Vec<Build<'a>>, Fault> {
    let image = |prepared: &'a Prepared<'_>| {
        let base = prepared.base(cx)?;
        Ok(Build {
            platform: prepared.platform_on(base.as_ref().map(|base| &base.image)),
            base,
            inputs: prepared.inputs(cx, reading)?,
            edit: arguments.config.edit()?,
            annotations: arguments.config.annotations(),
            dialect: None,
        })
    };
    prepared.iter().map(image).collect()
}

/// Builds with all threads and with one. Where the results differ, the reason is looked for in the inputs, of which a
/// reading was kept before.
fn check(
    arguments: &Arguments,
    cx: &Context<'_>,
    prepared: &[Prepared<'_>],
    reading: &Reading,
) -> Result<Option<Parting>, Fault> {
    let before = prepared.iter().map(|image| kept(arguments, cx, image, reading));
    let before = before.collect::<Result<Vec<_>, Fault>>()?;
    let alone = Context { workers: NonZeroUsize::MIN, ..*cx };
    let digest = |cx: &Context<'_>| {
        let images = images(arguments, cx, prepared, reading)?;
        Ok::<_, Fault>(build(cx, images, &form(arguments), Box::new(Nowhere), &[])?.root.digest)
    };
    let (first, second) = (digest(cx)?, digest(&alone)?);
    if first == second {
        return Ok(None);
    }
    for (image, before) in prepared.iter().zip(&before) {
        for (once, mut again) in before.iter().zip(image.inputs(cx, reading)?) {
            if let Some(parting) = compare(&mut once.entries(), &mut *again.entries)? {
                return Ok(Some(parting));
            }
        }
    }
    let (first, second) = (first.to_string(), second.to_string());
    Ok(Some(Parting { path: "/".into(), field: "digest".into(), first, second }))
}

fn kept(
    arguments: &Arguments,
    cx: &Context<'_>,
    image: &Prepared<'_>,
    reading: &Reading,
) -> Result<Vec<Kept>, Fault> {
    let outside = arguments.places.outside(cx);
    let keep = |mut input: Input<'_>| Kept::read(cx, &mut *input.entries, outside.spool()?);
    image.inputs(cx, reading)?.into_iter().map(keep).collect()
}

fn tell(parting: Option<Parting>, format: Format, shell: &Shell) -> Result<Outcome, Fault> {
    let outcome = if parting.is_some() { Outcome::Found } else { Outcome::Done };
    let line = |Parting { path, field, first, second }: Parting| {
        format!("{}\n", printable(&format!("{path}: {field}: {first}, then {second}")))
    };
    let value = |Parting { path, field, first, second }: Parting| json!({ "path": path, "field": field, "first": first, "second": second });
    shell.print(match format {
        Format::Human => parting.map(line).unwrap_or_default(),
        Format::Json => document(json!({ "differs": parting.map(value) })),
    })?;
    Ok(outcome)
}

fn document(mut value: Value) -> String {
    value["version"] = 1.into();
    format!("{value}\n")
}
