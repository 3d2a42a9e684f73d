//! `orlop files REF [PATH]`

use super::Outcome;
use crate::flags::{Format, OnePlatform, Place, Show, Work};
use crate::output::{self, Output, named};
use crate::shell::Shell;
use clap::Args;
use orlop::files::{Listed, files};
use orlop::image::Image;
use orlop::layer::path::escape;
use orlop::layer::tree::{Inode, InodeKind};
use orlop::spec::Fault;
use orlop::spec::time::Timestamp;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;

/// List the files of an image, all layers merged.
///
/// Nothing is printed before every layer is proven.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only this file or folder and what is below it
    #[arg(value_name = "PATH")]
    path: Option<OsString>,
    #[command(flatten)]
    platform: OnePlatform,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let below = arguments.path.as_ref().map_or(&b""[..], |path| path.as_bytes());
    let files = shell.read(&arguments.work, |cx| {
        let place = arguments.place.open(cx)?;
        let image = Image::fetch(cx, place.source(), place.selector(), &arguments.platform.platform())?;
        files(cx, &image, below)
    })?;
    let mut output = shell.output();
    match arguments.show.format {
        Format::Human => files.iter().try_for_each(|file| output.write_all(line(&file).as_bytes())),
        Format::Json => print_json(files.iter(), &mut output),
    }
    .map_err(output::failed)?;
    output.end()?;
    Ok(Outcome::Done)
}

/// `-rwxr-xr-x  2     0:0          1234 2024-01-02T03:04:05Z usr/bin/x -> y`
fn line(file: &Listed<'_>) -> String {
    let Listed { path, inode, names } = file;
    let meta = &inode.meta;
    let size = match &inode.kind {
        InodeKind::File(content) => content.size.to_string(),
        InodeKind::CharDevice(device) | InodeKind::BlockDevice(device) => {
            format!("{},{}", device.major, device.minor)
        }
        _ => "0".to_owned(),
    };
    let time = Timestamp::new(meta.mtime.seconds, 0)
        .map_or_else(|_| format!("@{}", meta.mtime.seconds), |time| time.to_string());
    let owner = format!("{}:{}", meta.uid, meta.gid);
    let target = match &inode.kind {
        InodeKind::Symlink(target) => format!(" -> {}", escape(target)),
        _ => String::new(),
    };
    format!("{} {names:>2} {owner:>9} {size:>12} {time} {path}{target}\n", mode(inode))
}

/// Type and permissions as `ls -l` shows them.
fn mode(inode: &Inode) -> String {
    let bits = inode.meta.mode;
    let mut text = String::from(kind(&inode.kind).1);
    for (shift, special, letters) in
        [(6, 0o4000, ['s', 'S']), (3, 0o2000, ['s', 'S']), (0, 0o1000, ['t', 'T'])]
    {
        let may = |bit: u16, letter: char| if bits >> shift & bit == 0 { '-' } else { letter };
        text.push(may(4, 'r'));
        text.push(may(2, 'w'));
        text.push(match (bits & special != 0, may(1, 'x')) {
            (false, letter) => letter,
            (true, 'x') => letters[0],
            (true, _) => letters[1],
        });
    }
    text
}

/// The word of JSON and the letter of `ls -l`.
fn kind(kind: &InodeKind) -> (&'static str, &'static str) {
    match kind {
        InodeKind::File(_) => ("file", "-"),
        InodeKind::Directory { .. } => ("directory", "d"),
        InodeKind::Symlink(_) => ("symlink", "l"),
        InodeKind::CharDevice(_) => ("char", "c"),
        InodeKind::BlockDevice(_) => ("block", "b"),
        InodeKind::Fifo => ("fifo", "p"),
        InodeKind::Whiteout => ("whiteout", "w"),
        InodeKind::LinkBelow(_) => ("link", "h"),
    }
}

/// One object for each file, written as they come: a tree may have millions.
fn print_json<'t>(files: impl Iterator<Item = Listed<'t>>, output: &mut Output) -> io::Result<()> {
    output.write_all(br#"{"version":1,"files":["#)?;
    for (position, file) in files.enumerate() {
        let comma = if position == 0 { "" } else { "," };
        write!(output, "{comma}{}", object(&file))?;
    }
    output.write_all(b"]}\n")
}

fn object(file: &Listed<'_>) -> Value {
    let Listed { path, inode, names } = file;
    let meta = &inode.meta;
    let mut object = named("path", path.as_bytes());
    let xattrs: Vec<String> = meta.xattrs.keys().map(|name| escape(name)).collect();
    let mut add = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    add("type", kind(&inode.kind).0.into());
    add("mode", meta.mode.into());
    add("uid", meta.uid.into());
    add("gid", meta.gid.into());
    add("mtime", meta.mtime.seconds.into());
    add("mtime_nanoseconds", meta.mtime.nanoseconds.into());
    add("links", (*names).into());
    add("xattrs", xattrs.into());
    match &inode.kind {
        InodeKind::File(content) => {
            add("size", content.size.into());
            add("layer", content.layer.into());
        }
        InodeKind::CharDevice(device) | InodeKind::BlockDevice(device) => {
            add("device", json!([device.major, device.minor]));
        }
        InodeKind::Symlink(target) => object.extend(named("target", target)),
        _ => {}
    }
    object.into()
}
