//! `orlop append REF SRC…`

use super::Outcome;
use crate::environment;
use crate::flags::{ConfigFlags, Editing, HistoryFlags, Steps, TreeFlags};
use crate::shell::Shell;
use clap::Args;
use orlop::edit::{Append, Laying, Settings, Step};
use orlop::layer::codec::Codec;
use orlop::layer::path::escape;
use orlop::spec::config::History;
use orlop::spec::time::Timestamp;
use orlop::spec::{Algorithm, Context, Fault};
use orlop::trees::Reading;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// Put layers on an image where it is.
///
/// SRC is a folder, a tar (plain, gzip or zstd), or `-` for a tar on standard input; each becomes a layer, as in `build`.
/// Whiteouts in a tar (`.wh.NAME`) remove what the image has. The layers below are not fetched, so that a hard link to a
/// file that they should have is taken as it is. A folder in the place of a link that they have, such as /bin, takes that
/// place. Of an index, all images get the same layers, or those of `--platform`.
#[derive(Args)]
#[command(after_help = "Examples:
  orlop append docker://registry.example.com/app:1 ./etc-overlay --to docker://registry.example.com/app:1-site
  tar -C build -c . | orlop append oci:DIR:TAG - --cmd /app")]
pub struct Arguments {
    /// What becomes a layer, the lowest first
    #[arg(required = true, value_name = "SRC", index = 2)]
    sources: Vec<OsString>,
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    tree: TreeFlags,
    #[command(flatten)]
    form: LayerForm,
    #[command(flatten)]
    history: HistoryFlags,
    #[command(flatten)]
    editing: Editing,
}

/// How new layers are written.
#[derive(Args, Debug)]
#[command(next_help_heading = "Form")]
pub struct LayerForm {
    /// How the layers are compressed: none, gzip[:LEVEL], zstd[:LEVEL] [default: as the topmost layer of the image]
    #[arg(long, value_name = "HOW")]
    compress: Option<Codec>,
    /// Digests of the new layers: sha256, sha384, sha512
    #[arg(long, value_name = "NAME", default_value = "sha256")]
    algorithm: Algorithm,
}

impl LayerForm {
    /// What the library is handed.
    pub fn laying(&self, reading: Reading, created: Option<Timestamp>, step: History) -> Laying {
        let (codec, algorithm) = (self.compress, self.algorithm);
        Laying { reading, codec, algorithm, created, step, size_annotation: None }
    }
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let reading = arguments.tree.reading()?;
    environment::await_input(arguments.sources.iter())?;
    arguments.editing.run(shell, |cx| arguments.steps(cx, reading))?;
    Ok(Outcome::Done)
}

impl Arguments {
    fn steps(&self, cx: &Context<'_>, reading: Reading) -> Result<Steps<'_>, Fault> {
        let edit = self.config.said();
        let tree = |text: &OsString| Ok((escape(text.as_bytes()), self.editing.places.open_tree(text, cx)?));
        let trees = self.sources.iter().map(tree).collect::<Result<_, Fault>>()?;
        let step = self.history.step("orlop append", edit.created)?;
        let append = Append::new(trees, self.form.laying(reading, self.config.created()?, step));
        let settings = Settings { edit, annotations: self.config.annotations(), ..Settings::default() };
        let mut steps: Steps<'_> = vec![Box::new(append)];
        if settings != Settings::default() {
            steps.push(Box::new(settings) as Box<dyn Step>);
        }
        Ok(steps)
    }
}
