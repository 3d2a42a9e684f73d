//! `orlop run REF [CMD...]`

pub mod fetch;
mod options;

use super::Outcome;
use crate::error::Error;
use crate::flags::{OnePlatform, Places, Work};
use crate::shell::Shell;
use crate::{environment, report};
use clap::{Args, ValueEnum};
use fetch::{Pull, Stay};
use options::Options;
use orlop::fs::stat;
use orlop::image::Image;
use orlop::run::{self, Afterwards, Caller, Outcome as Ending, Place, Plan, Runtime, Stdio};
use orlop::spec::runtime::{Options as RuntimeOptions, Terminal};
use orlop::spec::{Context, Descriptor, Fault};
use orlop::store::view::Backend;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// Run a command in a container of an image.
///
/// What stands behind REF is the command, in place of the image's Cmd, with all its flags; flags of orlop stand before.
/// The container ends with its command, and so does what it changed, unless --keep says otherwise. It runs as root of
/// itself, through runc, crun or youki, or bwrap where there is none of them; ordinary users get a user namespace.
///
/// The exit code is that of the command: 128 and the number of the signal where one ended it, 127 where the image has no
/// such program, 126 where it cannot be run, 125 where orlop failed.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Args)]
pub struct Arguments {
    /// The image, then the command with its arguments
    #[arg(value_names = ["REF", "CMD"], num_args = 1.., required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
    #[command(flatten)]
    options: Options,
    /// Remove what the container changed when it has ended; this is the default
    #[arg(long, conflicts_with = "keep")]
    rm: bool,
    /// Keep the folder of what the container changed, and say where it is
    #[arg(long)]
    keep: bool,
    /// Print the config.json that the container would get, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// The program that runs the container: runc, crun, youki or bwrap [default: the best that is installed]
    #[arg(long, value_name = "PATH")]
    runtime: Option<PathBuf>,
    /// Compare what the store keeps of the image with what it was made of, and do not run what differs
    #[arg(long)]
    verify: bool,
    /// When the image is fetched from its registry
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pull: Pull,
    /// How the image is mounted [default: the best that the kernel offers]
    #[arg(long, value_name = "HOW")]
    backend: Option<BackendChoice>,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let (reference, command) = arguments.words()?;
    let caller = Caller::current()?;
    let options = arguments.options.runtime(caller.privilege().clone(), command)?;
    let runtime = match &arguments.runtime {
        Some(path) => Runtime::named(path, &environment::search_path()),
        None => Runtime::choose(&environment::search_path()),
    };
    let place = shell.fetch(&arguments.work, |cx| {
        if arguments.dry_run {
            return arguments.foretell(reference, &options, shell, cx).map(|()| None);
        }
        let runtime = runtime?;
        arguments.options.check(&runtime)?;
        let Arguments { places, platform, .. } = arguments;
        let (manifest, stay) = fetch::stored(reference, arguments.pull, places, platform, cx)?;
        let prepared = arguments.prepare(reference, &manifest, (options, runtime), cx);
        if let Stay::Passing(record) = stay {
            let let_go = places.store.open(cx).and_then(|store| run::let_go(&store, &record));
            // Why nothing runs says more than why a record stays.
            return prepared.and_then(|place| let_go.map(|()| Some(place)));
        }
        prepared.map(Some)
    })?;
    match place {
        None => Ok(Outcome::Done),
        Some(place) => arguments.contain(place, &caller),
    }
}

/// How an image is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BackendChoice {
    /// As an image of the kernel's, below an overlay.
    Erofs,
    /// As a folder of names, below an overlay.
    Skeleton,
    /// As a folder with all contents.
    Checkout,
}

impl From<BackendChoice> for Backend {
    fn from(choice: BackendChoice) -> Self {
        match choice {
            BackendChoice::Erofs => Self::Erofs,
            BackendChoice::Skeleton => Self::Skeleton,
            BackendChoice::Checkout => Self::Checkout,
        }
    }
}

impl Arguments {
    /// Prints the configuration. The image is read where it is.
    fn foretell(
        &self,
        reference: &OsStr,
        options: &RuntimeOptions,
        shell: &Shell,
        cx: &Context<'_>,
    ) -> Result<(), Fault> {
        let place = fetch::anywhere(reference, self.pull, &self.places, cx)?;
        let image = Image::fetch(cx, place.source(), place.selector(), &self.platform.platform())?;
        run::check_platform(&image.platform(), &environment::host())?;
        shell.print(run::configuration(cx, &image, options)?)
    }

    /// Makes the folder of the run, which relies on the image from then on.
    fn prepare(
        &self,
        reference: &OsStr,
        manifest: &Descriptor,
        (options, runtime): (RuntimeOptions, Runtime),
        cx: &Context<'_>,
    ) -> Result<Place, Fault> {
        let store = self.places.store.open(cx)?;
        let image = Image::open(cx, &store, manifest, &self.platform.platform())?;
        run::check_platform(&image.platform(), &environment::host())?;
        if self.verify {
            run::verify(cx, &store, &image, reference)?;
        }
        let config = String::from_utf8_lossy(image.config().raw()).into();
        let root = stat::real_path(store.path())?;
        let place = Place::create(store, manifest)?;
        let backend = self.backend.map(Into::into);
        Plan { id: place.id().into(), store: root, image: config, backend, options, runtime }
            .write(&place)?;
        Ok(place)
    }

    /// The reference and the command. A flag that stands before both is none of ours.
    fn words(&self) -> Result<(&OsStr, &[OsString]), Fault> {
        let (reference, command) = self.words.split_first().expect("the grammar wants one");
        if reference.as_bytes().starts_with(b"-") {
            return Err(Error::UnknownFlag(reference.to_string_lossy().into()).into());
        }
        let command = match command.split_first() {
            Some((first, rest)) if first == "--" => rest,
            _ => command,
        };
        Ok((reference, command))
    }

    fn contain(&self, place: Place, caller: &Caller) -> Result<Outcome, Fault> {
        let (input, output, errors) = (io::stdin(), io::stdout(), io::stderr());
        let stdio = Stdio { input: input.as_fd(), output: output.as_fd(), errors: errors.as_fd() };
        let keys = (self.options.terminal() == Terminal::Yes).then_some(stdio.input);
        let outcome = run::supervised(&place, caller.room(), &stdio, keys);
        let afterwards = if self.keep { Afterwards::Keep } else { Afterwards::Remove };
        if let Some(kept) = place.end(afterwards)? {
            report::note(&format!("what the container changed is in {}", kept.display()));
        }
        Ok(match outcome? {
            Ending::Ended(ended) => Outcome::Ended(ended.exit_code()),
            Ending::Stopped(signal) => Outcome::Ended(128 + signal),
        })
    }
}
