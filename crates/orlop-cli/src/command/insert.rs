//! `orlop insert REF SRC PATH`

use super::Outcome;
use super::append::LayerForm;
use crate::flags::{Editing, HistoryFlags, Steps, TreeFlags, moment};
use crate::shell::Shell;
use clap::Args;
use orlop::edit::{Append, Below, IdMap, IdRange, Planted, Removed};
use orlop::layer::TreePath;
use orlop::layer::path::escape;
use orlop::spec::time::Timestamp;
use orlop::spec::{Context, Fault};
use orlop::trees::{Reading, TreeSource};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Put a file or a folder into an image, or remove what is there.
///
/// The result is one more layer. A folder is merged with the one that the image has; `--opaque` hides that. A file goes into
/// a PATH that ends in a slash; else it takes the place of what is there, be that a folder. What is above PATH stays as it is
/// in the image. Where a link of the image lies above it, write where that leads, /usr/bin/app and not /bin/app: docker and
/// podman put a folder in the place of the link. What was removed or replaced is still in the layers below.
#[derive(Args)]
#[command(
    override_usage = "orlop insert [OPTIONS] REF SRC PATH\n       orlop insert [OPTIONS] REF --whiteout PATH",
    after_help = "Examples:
  orlop insert oci:DIR:TAG ./app /usr/bin/app --owner squash
  orlop insert docker://registry.example.com/app:1 --whiteout /etc/debug.conf"
)]
pub struct Arguments {
    /// The file or folder; a link is put there as a link
    #[arg(value_name = "SRC", index = 2, required_unless_present = "whiteout", requires = "path")]
    source: Option<OsString>,
    /// Where it is in the image
    #[arg(value_name = "PATH", index = 3)]
    path: Option<OsString>,
    /// Remove this from the image; may be given several times
    #[arg(long, value_name = "PATH", value_parser = tree_path, conflicts_with_all = ["source", "opaque"])]
    whiteout: Vec<TreePath>,
    /// Hide what the image has in the folder
    #[arg(long)]
    opaque: bool,
    /// Which users of the files are which in the image; may be given several times
    #[arg(long, value_name = "IMAGE:HERE[:COUNT]", help_heading = "Files")]
    uid_map: Vec<IdRange>,
    /// The same for groups
    #[arg(long, value_name = "IMAGE:HERE[:COUNT]", help_heading = "Files")]
    gid_map: Vec<IdRange>,
    /// When: RFC 3339, or seconds since 1970 [default: $SOURCE_DATE_EPOCH, else the newest time in the layer]
    #[arg(long, value_name = "TIME", value_parser = crate::flags::time)]
    created: Option<Timestamp>,
    #[command(flatten)]
    tree: TreeFlags,
    #[command(flatten)]
    form: LayerForm,
    #[command(flatten)]
    history: HistoryFlags,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let reading = arguments.tree.reading()?;
    arguments.editing.run(shell, |cx| arguments.steps(cx, reading))?;
    Ok(Outcome::Done)
}

impl Arguments {
    fn steps(&self, cx: &Context<'_>, reading: Reading) -> Result<Steps<'_>, Fault> {
        let (name, tree): (String, Box<dyn TreeSource>) = match (&self.source, &self.path) {
            (Some(source), Some(path)) => {
                (escape(source.as_bytes()), Box::new(self.planted(cx, source, path)?))
            }
            _ => ("--whiteout".into(), Box::new(Removed::new(&self.whiteout)?)),
        };
        let step = self.history.step("orlop insert", self.created)?;
        let laying = self.form.laying(reading, moment(self.created)?, step);
        Ok(vec![Box::new(Append::new(vec![(name, tree)], laying))])
    }

    fn planted(&self, cx: &Context<'_>, source: &OsStr, path: &OsStr) -> Result<Planted, Fault> {
        let below = if self.opaque { Below::Hidden } else { Below::Merged };
        let map = IdMap { uids: self.uid_map.clone(), gids: self.gid_map.clone() };
        let tmpdir = self.editing.places.outside(cx).tmpdir;
        Planted::open(Path::new(source), path.as_bytes(), below, map, &tmpdir)
    }
}

fn tree_path(text: &str) -> Result<TreePath, String> {
    TreePath::parse(text.as_bytes()).map_err(|error| error.to_string())
}
