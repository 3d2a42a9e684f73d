//! A way through a SOCKS5 proxy (RFC 1928), which is told a user and a password where it wants them (RFC 1929).
//!
//! ```text
//! 05 │ n │ methods                    ──►
//!                                     ◄── 05 │ method
//! 01 │ n │ user │ n │ password        ──►              only where the method is 02
//!                                     ◄── 01 │ 00
//! 05 01 00 │ kind │ host │ port       ──►              kind 01: IPv4, 03: n and a name, 04: IPv6
//!                                     ◄── 05 │ reply │ 00 │ kind │ host │ port
//! ```
//!
//! Invariant: exactly the proxy's answers are read, at most 262 bytes of each, so that what the site says first stays in
//! the stream.

use super::stream::Stream;
use super::watch::Watch;
use crate::error::Refusal;
use orlop_spec::network::Credential;
use orlop_spec::wire::Site;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

/// Where the proxy is to connect to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'t> {
    /// The site by its name, which the proxy looks up.
    Name(&'t Site),
    /// An address that was looked up here.
    Address(SocketAddr),
}

/// How it ended, where the connection itself did not break.
pub(super) type Outcome = Result<Stream, Refusal>;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
/// The one version of RFC 1929.
const LOGIN_VERSION: u8 = 1;

/// Asks the proxy at the other end of `stream` for a way.
pub(super) fn ask(
    mut stream: Stream,
    target: Target<'_>,
    credential: Option<&Credential>,
    watch: &mut Watch<'_>,
) -> io::Result<Outcome> {
    let refused = match greet(&mut stream, credential, watch)? {
        None => connect(&mut stream, target, watch)?,
        refused => refused,
    };
    Ok(refused.map_or(Ok(stream), Err))
}

fn greet(
    stream: &mut Stream,
    credential: Option<&Credential>,
    watch: &mut Watch<'_>,
) -> io::Result<Option<Refusal>> {
    let login = match credential {
        Some(Credential::Basic { user, password }) => Some(login(user, password)?),
        _ => None,
    };
    let hello: &[u8] = if login.is_some() { &[VERSION, 2, NO_LOGIN, LOGIN] } else { &[VERSION, 1, NO_LOGIN] };
    stream.write_all(hello, watch)?;
    let login = match (read::<2>(stream, watch)?, login) {
        ([VERSION, NO_LOGIN], _) => return Ok(None),
        ([VERSION, LOGIN], Some(login)) => login,
        ([VERSION, LOGIN | 0xff], None) => return Ok(Some(Refusal::WantsLogin)),
        ([VERSION, 0xff], Some(_)) => return Ok(Some(Refusal::Login)),
        _ => return Ok(Some(Refusal::NoSocks)),
    };
    stream.write_all(&login, watch)?;
    // The version of this answer is wrong in more than one server; only the status counts.
    let [_, status] = read::<2>(stream, watch)?;
    Ok((status != 0).then_some(Refusal::Login))
}

fn connect(stream: &mut Stream, target: Target<'_>, watch: &mut Watch<'_>) -> io::Result<Option<Refusal>> {
    let mut ask = vec![VERSION, 1, 0];
    let port = match target {
        Target::Address(address) => {
            push_ip(&mut ask, address.ip());
            address.port()
        }
        Target::Name(site) => {
            let host = site.host().trim_start_matches('[').trim_end_matches(']');
            if let Ok(ip) = host.parse() {
                push_ip(&mut ask, ip);
            } else {
                ask.push(3);
                push_counted(&mut ask, host)?;
            }
            site.port()
        }
    };
    ask.extend(port.to_be_bytes());
    stream.write_all(&ask, watch)?;
    let [version, reply, _, kind] = read::<4>(stream, watch)?;
    if version != VERSION {
        return Ok(Some(Refusal::NoSocks));
    }
    if reply != 0 {
        return Ok(Some(Refusal::Reply(reply)));
    }
    // From where the proxy connected is of no use, and must be read.
    let left = match kind {
        1 => 4,
        3 => usize::from(read::<1>(stream, watch)?[0]),
        4 => 16,
        _ => return Ok(Some(Refusal::NoSocks)),
    };
    read_some(stream, &mut vec![0; left + 2], watch)?;
    Ok(None)
}

fn login(user: &str, password: &str) -> io::Result<Vec<u8>> {
    let mut login = vec![LOGIN_VERSION];
    push_counted(&mut login, user)?;
    push_counted(&mut login, password)?;
    Ok(login)
}

fn push_ip(ask: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            ask.push(1);
            ask.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            ask.push(4);
            ask.extend(ip.octets());
        }
    }
}

fn push_counted(ask: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let too_long =
        |_| io::Error::new(ErrorKind::InvalidInput, "SOCKS5 takes names and passwords up to 255 bytes");
    ask.push(u8::try_from(text.len()).map_err(too_long)?);
    ask.extend(text.bytes());
    Ok(())
}

fn read<const N: usize>(stream: &mut Stream, watch: &mut Watch<'_>) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    read_some(stream, &mut bytes, watch)?;
    Ok(bytes)
}

fn read_some(stream: &mut Stream, mut bytes: &mut [u8], watch: &mut Watch<'_>) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.read(bytes, watch)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => bytes = &mut bytes[count..],
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
