//! `orlop flatpak serve PLACE…`

use super::super::Outcome;
use crate::flags::{Image, Places, Work};
use crate::output::Output;
use crate::shell::Shell;
use crate::{output, report};
use clap::Args;
use orlop::flatpak::serve::Shop;
use orlop::flatpak::{Guard, Options, Registry, Server};
use orlop::fs::{File, random};
use orlop::spec::Fault;
use orlop::spec::port::Catalog;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Serve the images of a place as a remote of flatpak.
///
/// It prints its address and serves until it is interrupted: an index of the images, and the images themselves as a registry that is
/// read from. What changes at the place shows at once. It speaks in the clear; a proxy before it can add TLS.
#[derive(Args)]
pub struct Arguments {
    /// Layouts or archives
    #[arg(value_name = "PLACE", required = true)]
    places: Vec<OsString>,
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Let in only the users of this file, one USER:PASSWORD in each line; the index stays open to everybody, because
    /// clients ask for it without a password
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = Options::default().connections)]
    connections: usize,
    #[command(flatten)]
    access: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    shell.read(&arguments.work, |cx| {
        let guard = arguments.users.as_deref().map(guard).transpose()?;
        let places = arguments.places.iter().map(|word| arguments.access.open_place(word, cx));
        let places: Vec<Box<dyn Catalog + '_>> =
            places.map(|place| place.map(Image::into_catalog)).collect::<Result<_, Fault>>()?;
        let shop = Shop::new(cx, places);
        let server = Server::bind(arguments.listen)?;
        for (repository, name) in shop.listed()? {
            report::say(&format!("{name} as {repository}\n"));
        }
        announce(shell.output(), server.address())?;
        let registry = Registry::new(cx, &shop, guard);
        server.serve(
            &registry,
            &Options { connections: arguments.connections, ..Options::default() },
            cx.cancel,
        );
        Ok(Outcome::Done)
    })
}

/// Scripts wait for this line.
fn announce(mut output: Output, address: SocketAddr) -> Result<(), Fault> {
    writeln!(output, "http://{address}").map_err(output::failed)?;
    output.end()?;
    report::say(&format!("flatpak remote-add --no-gpg-verify NAME oci+http://{address}\n"));
    Ok(())
}

const NO_USERS: orlop::Error = orlop::Error::Unfit {
    what: "the file of users has a line that is not USER:PASSWORD, or none at all",
    hint: "write one user in each line, as alice:secret, or leave --users out to let in everybody",
};

const TOO_LARGE: orlop::Error = orlop::Error::Unfit {
    what: "the file of users is larger than 1 MiB",
    hint: "name fewer users, or leave --users out and have a proxy ask for their passwords",
};

/// Bytes of the largest file of users.
const LARGEST: usize = 1 << 20;

fn guard(file: &Path) -> Result<Guard, Fault> {
    let mut text = String::new();
    let read = File::open(file)?.take(LARGEST as u64 + 1).read_to_string(&mut text);
    read.map_err(|error| Fault::io(format!("read {}", file.display()), error))?;
    if text.len() > LARGEST {
        return Err(TOO_LARGE.into());
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let users: Option<Vec<(Box<str>, Box<str>)>> = lines
        .map(|line| {
            line.split_once(':')
                .filter(|(user, _)| !user.is_empty())
                .map(|(user, it)| (user.into(), it.into()))
        })
        .collect();
    match users {
        Some(users) if !users.is_empty() => Ok(Guard::new(random::bytes(), users)),
        _ => Err(NO_USERS.into()),
    }
}
