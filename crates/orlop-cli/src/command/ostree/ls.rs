//! `orlop ostree ls`

use super::{Outcome, Repository};
use crate::output::failed;
use crate::shell::Shell;
use clap::Args;
use orlop::host::Error;
use orlop::host::ostree::look::{Extent, Item, What};
use orlop::host::ostree::variant::{Bytes, Types, View};
use orlop::host::ostree::{FileHeader, Repo};
use orlop::layer::path::printable;
use orlop::spec::Fault;
use std::fmt::Write as _;
use std::io::Write as _;

/// List what is in a commit.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags, as `ostree ls` has them")]
pub struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The commit
    #[arg(value_name = "REV")]
    rev: String,
    /// Where to begin
    #[arg(value_name = "PATH", default_value = "/")]
    paths: Vec<String>,
    /// Print folders themselves, and not what is in them
    #[arg(short, long, conflicts_with = "recursive")]
    dironly: bool,
    /// Print all that is beneath
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Print the ids of objects: of folders, dirtree and dirmeta
    #[arg(short = 'C', long)]
    checksum: bool,
    /// Print extended attributes
    #[arg(short = 'X', long)]
    xattrs: bool,
    /// Print paths alone, each with a zero byte behind it
    #[arg(long)]
    nul_filenames_only: bool,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let mut output = shell.output();
    shell.look(|cx| {
        let repo = arguments.repository.open(cx)?;
        let commit = repo.commit(&repo.resolve(&arguments.rev)?)?;
        let extent = match arguments {
            Arguments { dironly: true, .. } => Extent::Alone,
            Arguments { recursive: true, .. } => Extent::All,
            _ => Extent::Children,
        };
        for path in &arguments.paths {
            let item = repo.find(&commit, path)?;
            let mut broken = Ok(());
            repo.list_beneath(cx, &item, extent, &mut |item| {
                let line = line(&repo, item, arguments)?;
                if broken.is_ok() {
                    broken = output.write_all(line.as_bytes());
                }
                Ok(())
            })?;
            broken.map_err(failed)?;
        }
        Ok(())
    })?;
    output.end()?;
    Ok(Outcome::Done)
}

fn line(repo: &Repo, item: &Item, arguments: &Arguments) -> Result<String, Error> {
    if arguments.nul_filenames_only {
        return Ok(format!("{}\0", item.path));
    }
    let path = printable(&item.path);
    match item.what {
        What::Folder { tree, meta } => {
            let ids = format!("{tree} {meta}");
            let meta = repo.dirmeta(&meta)?;
            let header = FileHeader {
                uid: meta.uid,
                gid: meta.gid,
                mode: meta.mode,
                target: "".into(),
                xattrs: meta.xattrs,
            };
            Ok(format!("{}{path}\n", facts('d', &header, 0, &ids, arguments)))
        }
        What::File(id) => {
            let file = repo.file(&id)?;
            let (header, ids) = (file.header(), id.to_string());
            if header.is_link() {
                let target = printable(&header.target);
                return Ok(format!("{}{path} -> {target}\n", facts('l', header, 0, &ids, arguments)));
            }
            Ok(format!("{}{path}\n", facts('-', header, file.size(), &ids, arguments)))
        }
    }
}

/// What stands before a path.
fn facts(kind: char, header: &FileHeader, size: u64, ids: &str, arguments: &Arguments) -> String {
    let mut text = format!("{kind}{:05o} {} {} {size:>6} ", header.mode & 0o7777, header.uid, header.gid);
    let mut add = |shown: std::fmt::Arguments<'_>| text.write_fmt(shown).expect("a string takes everything");
    if arguments.checksum {
        add(format_args!("{ids} "));
    }
    if arguments.xattrs {
        add(format_args!("{{ {} }} ", xattrs(header)));
    }
    text
}

fn xattrs(header: &FileHeader) -> String {
    let bytes = header.to_bytes();
    let view = View::parse("(uuuusa(ayay))", &bytes).expect("a header is of its own type");
    let [.., xattrs] = view.members::<6>();
    xattrs.print(Bytes::LittleEndian, Types::Told)
}
