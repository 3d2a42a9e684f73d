//! sloci-image 0.1.2: `sloci-image [options] ROOTFS NAME[:TAG]` makes an image of one layer.
//!
//! ```text
//! NAME/                                             blobs/, index.json, oci-layout; must not exist
//! NAME-TAG-ARCH[-VARIANT]-OS.oci-image.tar          with --tar; is replaced; ARCH as it was given
//! ```
//!
//! What its users rely on stays: options, names of files, exit codes (0 and 1), empty members of the config. What
//! was broken is mended: two runs give the same bytes, values arrive as they were typed, the variant stands in the
//! config too, manifest and index say what they are, and an archive given as ROOTFS is left alone.

mod config;
mod options;

use crate::environment;
use crate::error::Error;
use crate::flags::{Owners, Places, ProgressStyle, Work};
use crate::hint;
use crate::report::{self, Code, Style};
use crate::shell::Shell;
use options::{Form, Options, Request};
use orlop::build::{self, Build, Built, Dialect, Input};
use orlop::fs::Dir;
use orlop::fs::machine::machine;
use orlop::fs::stat::{self, FileKind};
use orlop::layer::path::{escape, printable};
use orlop::spec::descriptor::Annotations;
use orlop::spec::edit::Edit;
use orlop::spec::port::Name;
use orlop::spec::reference::{File, Reference, Transport};
use orlop::spec::{Context, Diagnose as _, Fault};
use orlop::transport::{self, Created, Opened};
use orlop::trees::Reading;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;

const HELP: &str = include_str!("sloci_image/help.txt");

/// The exit code of the original for every failure.
const FAILED: u8 = 1;

/// Does what the words after the program's name say.
pub fn run(words: &[OsString]) -> ExitCode {
    let shell = Shell::new();
    let done = match options::parse(words.iter().cloned()) {
        Ok(Request::Help) => shell.print(HELP),
        Ok(Request::Version) => {
            shell.print(concat!("sloci-image 0.1.2 (orlop ", env!("CARGO_PKG_VERSION"), ")\n"))
        }
        Ok(Request::Image(options)) => make(&options, &shell),
        Err(misuse) => {
            report::say(&format!("sloci-image: {}\n\n{HELP}", printable(&misuse.to_string())));
            return FAILED.into();
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let next = fault.hint().map(|text| hint::fitted(text, &options::takes));
            let code = report::failed(&fault, Style::Human, next, Code::OfKind);
            if code == ExitCode::SUCCESS { code } else { FAILED.into() }
        }
    }
}

fn make(options: &Options, shell: &Shell) -> Result<(), Fault> {
    let debug = options.debug || environment::is_debug();
    if stat::at(&options.name).is_ok_and(|found| found.kind == FileKind::Directory) {
        return Err(Error::FolderExists(escape(options.name.as_bytes())).into());
    }
    // Always exact, whoever calls: under fakeroot that is what the build system pretends.
    let reading = Reading { owner: Owners::exact()?, ..Reading::default() };
    let work = Work::showing(if debug { ProgressStyle::Plain } else { ProgressStyle::None });
    let built = shell.work(&work, |cx| build_image(options, cx, &reading))?;
    if debug {
        let text = format!("manifest {} ({} bytes)\n", built.root.digest, built.root.size);
        let layers = built
            .layers
            .iter()
            .map(|layer| format!("layer {} ({} bytes)\n", layer.blob.digest, layer.blob.size));
        report::say(&layers.chain([text]).collect::<String>());
    }
    Ok(())
}

fn build_image(options: &Options, cx: &Context<'_>, reading: &Reading) -> Result<Built, Fault> {
    let machine = machine();
    let places: Places = Places::default();
    let outside = places.outside(cx);
    let Opened::Tree(tree) = transport::open(&rootfs(&options.rootfs)?, &outside)? else {
        unreachable!("folders and tars hold trees");
    };
    let input = Input::new(escape(options.rootfs.as_os_str().as_bytes()), tree.entries(cx, reading)?);
    let Created::Blobs(sink) = transport::create(&target(options, &machine)?, &outside)? else {
        unreachable!("layouts and archives hold images");
    };
    let dialect: Dialect<'_> = Box::new(|draft| options.configure(draft.config()));
    let image = Build {
        base: None,
        platform: options.platform(&machine),
        inputs: vec![input],
        edit: Edit { created: environment::source_date_epoch()?, ..Edit::default() },
        annotations: Annotations::new(),
        dialect: Some(dialect),
    };
    build::build(cx, vec![image], &build::Form::default(), sink, &[Name::Tag(options.tag.as_str().into())])
}

/// A folder, or a tar whatever its compression.
fn rootfs(path: &Path) -> Result<Reference, Fault> {
    Ok(Reference::new(match stat::at(path)?.kind {
        FileKind::Directory => Transport::Rootfs(path.into()),
        _ => Transport::Tar(File::Path(path.into())),
    }))
}

/// Where the image goes; folders above it are made.
fn target(options: &Options, machine: &str) -> Result<Reference, Fault> {
    let path = options.target(machine);
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Dir::create_all(parent)?;
    }
    Ok(Reference::new(match options.form {
        Form::Folder => Transport::Layout(path),
        Form::Archive => Transport::OciArchive(File::Path(path)),
    }))
}
