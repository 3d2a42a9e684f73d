//! From a name to a connection: look up, check where that is, connect to the address that answers first.
//!
//! ```text
//! name ──resolver──► addresses ──reach──► addresses that may be connected to ──race──► socket
//! ```
//!
//! Invariant: the address that is checked is the address that is connected to (N5); nothing is looked up twice in
//! between.

use crate::error::{Error, Phase};
use crate::exchange::watch::{SLICE, Watch};
use orlop_spec::port::Result;
use orlop_spec::wire::Site;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Looks up names.
pub trait Resolve: Send + Sync {
    /// The addresses of a host, best first.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// As the system looks them up.
#[derive(Debug, Default)]
pub struct System;

impl Resolve for System {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    }
}

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach<'s> {
    /// All.
    Anywhere,
    /// Those of the public internet, because this site led there.
    Public(&'s Site),
}

/// How long one address is tried alone (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// A name with more addresses than that wants something else than to be reached.
const MOST_ADDRESSES: usize = 16;

/// The addresses of a site. The look-up runs beside, because the system offers no way to stop it.
pub(crate) fn look_up(
    site: &Site,
    resolver: &Arc<dyn Resolve>,
    watch: &mut Watch<'_>,
) -> Result<Vec<SocketAddr>> {
    let host = site.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = site.port();
    if let Ok(ip) = host.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    watch.enter(Phase::Resolving);
    let (sender, receiver) = mpsc::channel();
    let resolver = Arc::clone(resolver);
    let look_up = move || drop(sender.send(resolver.resolve(&host, port)));
    let thread = thread::Builder::new().name("orlop-resolve".into()).spawn(look_up);
    drop(thread.map_err(|error| watch.fault(error))?);
    loop {
        let began = Instant::now();
        match receiver.recv_timeout(SLICE) {
            Ok(Ok(addresses)) if addresses.is_empty() => {
                return Err(watch.fault(io::Error::other("the name has no address")));
            }
            Ok(addresses) => {
                let mut addresses = addresses.map_err(|error| watch.fault(error))?;
                addresses.truncate(MOST_ADDRESSES);
                return Ok(addresses);
            }
            Err(RecvTimeoutError::Timeout) => watch.passed(began.elapsed())?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(watch.fault(io::Error::other("the resolver gave no answer")));
            }
        }
    }
}

/// Those of the addresses that may be connected to.
pub(crate) fn within(
    reach: Reach<'_>,
    mut addresses: Vec<SocketAddr>,
    watch: &Watch<'_>,
) -> Result<Vec<SocketAddr>> {
    let Reach::Public(by) = reach else { return Ok(addresses) };
    let inner = addresses.iter().map(SocketAddr::ip).find(|ip| is_inner(*ip));
    addresses.retain(|address| !is_inner(address.ip()));
    match inner {
        Some(ip) if addresses.is_empty() => {
            Err(Error::Inside { address: watch.address().clone(), ip, by: by.clone() }.into())
        }
        _ => Ok(addresses),
    }
}

/// Connects to the address that answers first, within `most` where that is said.
pub(crate) fn reach(
    addresses: &[SocketAddr],
    most: Option<Duration>,
    watch: &mut Watch<'_>,
) -> Result<TcpStream> {
    watch.enter(Phase::Connecting);
    watch.at_most(most);
    let socket = race(addresses, watch).map_err(|error| watch.fault(error))?;
    Ok(socket)
}

/// Whether an address belongs to this machine or to a network that the internet does not reach (RFC 6890).
pub(crate) fn is_inner(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_inner_v4(ip),
        IpAddr::V6(ip) => match carried(ip) {
            Some(ip) => is_inner_v4(ip),
            None => is_inner_v6(ip),
        },
    }
}

fn is_inner_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (b == 18 || b == 19);
    let special = a == 0 || a >= 240 || (a, b, c) == (192, 0, 0);
    let own = ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_multicast();
    own || shared || benchmark || special
}

fn is_inner_v6(ip: Ipv6Addr) -> bool {
    let first = ip.segments()[0];
    let site_local = first & 0xffc0 == 0xfec0;
    let own = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast();
    own || ip.is_unique_local() || ip.is_unicast_link_local() || site_local
}

/// The IPv4 address that an IPv6 address stands for: mapped, translated (RFC 6052) or tunnelled (RFC 3056).
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = ip.segments();
    let from = |at: usize| Ipv4Addr::from(u32::from(segments[at]) << 16 | u32::from(segments[at + 1]));
    match segments {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(from(6)),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some(from(6)),
        [0x2002, ..] => Some(from(1)),
        _ => None,
    }
}

/// Attempts that run; the next address joins when the ones before have had their head start, or failed.
fn race(addresses: &[SocketAddr], watch: &mut Watch<'_>) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut running: Vec<OwnedFd> = Vec::new();
    let mut last: io::Error = io::ErrorKind::AddrNotAvailable.into();
    let mut started = Instant::now();
    loop {
        if running.is_empty() || started.elapsed() >= HEAD_START {
            match waiting.next().map(|address| start(*address)) {
                Some(Ok(socket)) => running.push(socket),
                Some(Err(error)) => {
                    last = error;
                    continue;
                }
                None if running.is_empty() => return Err(last),
                None => {}
            }
            started = Instant::now();
        }
        let mut polled: Vec<_> = running.iter().map(|it| PollFd::new(it, PollFlags::OUT)).collect();
        watch.look(&mut polled, SLICE)?;
        let ready = polled.iter().position(|it| !it.revents().is_empty());
        drop(polled);
        let Some(ready) = ready else { continue };
        let socket = running.swap_remove(ready);
        match sockopt::socket_error(&socket)? {
            Ok(()) => return finish(socket),
            Err(error) => last = error.into(),
        }
    }
}

fn start(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

fn finish(socket: OwnedFd) -> io::Result<TcpStream> {
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}
