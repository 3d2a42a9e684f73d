//! `umoci insert --image DIR[:TAG] SOURCE TARGET` and `umoci insert --image DIR[:TAG] --whiteout TARGET`

use super::compress::CompressFlag;
use super::edit::NewTag;
use super::history::HistoryFlags;
use super::image::ImageFlag;
use super::mapping::MappingFlags;
use super::path::tree_path;
use crate::environment;
use crate::error::Error;
use crate::flags::Places;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use orlop::clamped::Clamped;
use orlop::edit::{Append, Below, Laying, Planted, Removed, Revision, Step};
use orlop::fs::FileKind;
use orlop::fs::stat;
use orlop::layer::Time;
use orlop::layer::path::escape;
use orlop::spec::port::{Result, Sink};
use orlop::spec::{Context, Fault};
use orlop::trees::{Reading, TreeSource};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// puts a file or a folder into an image, or removes one, by one more layer
///
/// A folder is merged with what the image has at TARGET, unless --opaque hides that. What was removed or replaced is still
/// in the layers below.
#[derive(Args)]
#[command(
    override_usage = "umoci insert --image DIR[:TAG] [options] SOURCE TARGET\n       umoci insert --image DIR[:TAG] --whiteout [options] TARGET"
)]
pub struct Arguments {
    /// removes TARGET
    #[arg(long)]
    whiteout: bool,
    /// hides what the image has in the folder TARGET
    #[arg(long)]
    opaque: bool,
    #[command(flatten)]
    tag: NewTag,
    #[command(flatten)]
    history: HistoryFlags,
    #[command(flatten)]
    mapping: MappingFlags,
    #[command(flatten)]
    compress: CompressFlag,
    #[command(flatten)]
    image: ImageFlag,
    /// the file or folder, and where it is in the image
    #[arg(value_name = "SOURCE", required = true, value_parser = OsStringValueParser::new().try_map(not_empty))]
    operands: Vec<OsString>,
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    let tree = arguments.tree(cx)?;
    let tree: Box<dyn TreeSource> = match environment::source_date_epoch()? {
        Some(latest) => Box::new(Clamped::new(
            tree,
            Time { seconds: latest.seconds(), nanoseconds: latest.nanoseconds() },
        )),
        None => tree,
    };
    let name = arguments.operands.first().map_or_else(String::new, |word| escape(word.as_bytes()));
    let reading = Reading { owner: arguments.mapping.owner(), ..Reading::default() };
    let step = arguments.history.step("umoci insert")?;
    let is_told = step.is_some();
    let how = Laying {
        reading,
        codec: arguments.compress.codec(),
        step: step.unwrap_or_default(),
        size_annotation: Some(orlop::umoci::SIZE),
        ..Laying::default()
    };
    let steps: [Box<dyn Step + '_>; 2] =
        [Box::new(Append::new(vec![(name, tree)], how)), Box::new(AsBefore { is_told })];
    arguments.tag.edit(&arguments.image.image, &steps, cx)
}

impl Arguments {
    fn tree(&self, cx: &Context<'_>) -> Result<Box<dyn TreeSource>, Fault> {
        match (self.whiteout, self.operands.as_slice()) {
            (true, [target]) => Ok(Box::new(Removed::new(&[tree_path(target)?])?)),
            (false, [source, target]) => Ok(Box::new(self.planted(cx, source, target)?)),
            (true, _) => Err(Error::Operands("TARGET").into()),
            (false, _) => Err(Error::Operands("SOURCE and TARGET").into()),
        }
    }

    fn planted(&self, cx: &Context<'_>, source: &OsStr, target: &OsStr) -> Result<Planted, Fault> {
        let places: Places = Places::default();
        let is_folder = || stat::at(Path::new(source)).is_ok_and(|found| found.kind == FileKind::Directory);
        // A file has nothing below it that could be hidden.
        let below = if self.opaque && is_folder() { Below::Hidden } else { Below::Merged };
        let tmpdir = places.outside(cx).tmpdir;
        let target = tree_path(target)?;
        Planted::open(Path::new(source), target.as_bytes(), below, self.mapping.ids(), &tmpdir)
    }
}

/// Leaves of an image what [`Append`] changes beside its layers: the original says nothing of when an image was made.
struct AsBefore {
    /// Whether the history has a step for the layer.
    is_told: bool,
}

impl Step for AsBefore {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, _: &dyn Sink) -> Result<()> {
        let before = revision.image().config();
        revision.config_mut().created.clone_from(&before.created);
        if !self.is_told {
            orlop::umoci::untold(cx, revision, before.history.clone());
        }
        Ok(())
    }
}

fn not_empty(word: OsString) -> Result<OsString, &'static str> {
    if word.is_empty() { Err("it is empty") } else { Ok(word) }
}
