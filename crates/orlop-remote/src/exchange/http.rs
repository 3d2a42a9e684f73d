//! HTTP/1.1 over a socket (RFC 9112).
//!
//! Invariant: a connection is used again only after an answer that was whole, to a request that was sent whole.

use super::body::Incoming;
use super::connection::{Connection, Way};
use super::head::{self, After, Received};
use super::socks::{self, Target};
use super::stream::Stream;
use super::watch::Watch;
use super::{Answer, Body, Exchange, Named, tls};
use crate::dial::{self, Reach};
use crate::error::{Error, Phase, Refusal};
use crate::pool::{Bounds, Care, Key, Pool, Slot};
use orlop_spec::network::{Credential, LookUp, Proxy, ProxyKind, Trust};
use orlop_spec::port::Result;
use orlop_spec::wire::{Address, Method, Request, Scheme, Site};
use orlop_spec::{Cancel, Fault, base64};
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Speaks HTTP/1.1 with whoever the trust allows.
#[derive(Clone, Copy)]
pub struct Http<'a> {
    /// Set when the user wants to stop.
    pub cancel: &'a Cancel,
    /// Who may be spoken to, and how.
    pub trust: &'a dyn Trust,
    /// Connections to use again.
    pub pool: &'a Pool,
    /// How long the other side may be silent.
    pub stall: Duration,
}

/// What is read of a body before it is sent on.
const CHUNK: usize = 64 << 10;

/// How far a request got.
struct Sent {
    bytes: u64,
    end: End,
}

enum End {
    /// All of it went out.
    Whole,
    /// The other side answered before.
    Early,
    /// The other side left; it may have said why.
    Broken(io::Error),
}

impl Exchange for Http<'_> {
    fn send(&self, request: &Request, named: Named<'_>, body: Body<'_>) -> Result<Answer<'_>> {
        self.cancel.check()?;
        let site = request.address.site();
        self.pool.line().permit(site)?;
        let address = shown(&request.address, named);
        let mut watch = Watch::new(self.cancel, &address, self.stall, self.pool.throttle());
        let care = if self.trust.is_insecure(site) { Care::Insecure } else { Care::Full };
        let reach = self.reach(site, care, named, &mut watch)?;
        let bounds = if reach == Reach::Anywhere { Bounds::Anywhere } else { Bounds::Public };
        let key = Key { site: site.clone(), care, bounds };
        let mut connection = match self.pool.take(&key) {
            Some(connection) => connection,
            None => self.connect(&key, reach, &mut watch)?,
        };
        watch.enter(Phase::Sending);
        let sent = transmit(&mut connection, request, body, &mut watch)?;
        watch.await_head(sent.bytes);
        let received = match (head::receive(&mut connection, request.method, &mut watch), sent.end) {
            (Ok(received), end) => (received, matches!(end, End::Whole)),
            // That the other side left while it was sent to says more than that it did not answer either.
            (Err(_), End::Broken(error)) => {
                watch.enter(Phase::Sending);
                return Err(watch.fault(error));
            }
            (Err(fault), _) => return Err(fault),
        };
        watch.enter(Phase::Receiving);
        Ok(self.answer(received, connection, watch, key))
    }
}

impl Http<'_> {
    fn answer<'x>(
        &'x self,
        (received, is_sent_whole): (Received, bool),
        connection: Connection,
        watch: Watch<'x>,
        key: Key,
    ) -> Answer<'x> {
        let Received { head, framing, after } = received;
        let is_kept = is_sent_whole && after == After::Keep;
        let slot = is_kept.then_some(Slot { pool: self.pool, key });
        Answer { head, body: Box::new(Incoming::new(connection, framing, watch, slot)) }
    }

    fn connect(&self, key: &Key, reach: Reach<'_>, watch: &mut Watch<'_>) -> Result<Connection> {
        let site = &key.site;
        let Some(proxy) = self.trust.proxy(site)? else {
            let addresses = self.addresses(site, reach, watch)?;
            let socket = Stream::plain(dial::reach(&addresses, self.trust.dial_timeout(site), watch)?);
            return Ok(Connection::new(self.secure(socket, key, watch)?, Way::Direct));
        };
        let socket = match proxy.kind {
            ProxyKind::Http => {
                // What the proxy looks up we cannot see; a number, or this machine's name, we can.
                dial::within(reach, literal(site), watch)?;
                let credential = proxy.credential.as_ref().and_then(basic);
                let socket = self.reach_proxy(&proxy, watch)?;
                if site.scheme() == Scheme::Http {
                    return Ok(Connection::new(socket, Way::Proxied(credential)));
                }
                tunnel(socket, &proxy.site, credential.as_deref(), site, watch)?
            }
            ProxyKind::Socks(look_up) => self.by_socks(&proxy, look_up, (site, reach), watch)?,
        };
        Ok(Connection::new(self.secure(socket, key, watch)?, Way::Direct))
    }

    /// The addresses of a site that may be connected to.
    fn addresses(&self, site: &Site, reach: Reach<'_>, watch: &mut Watch<'_>) -> Result<Vec<SocketAddr>> {
        let addresses = dial::look_up(site, self.pool.resolver(), watch)?;
        self.pool.note_inner(site, is_any_inner(&addresses));
        dial::within(reach, addresses, watch)
    }

    fn reach_proxy(&self, proxy: &Proxy, watch: &mut Watch<'_>) -> Result<Stream> {
        let addresses = dial::look_up(&proxy.site, self.pool.resolver(), watch)?;
        Ok(Stream::plain(dial::reach(&addresses, None, watch)?))
    }

    /// Of the addresses of a site that was looked up here, the proxy is asked for one after the other.
    fn by_socks(
        &self,
        proxy: &Proxy,
        look_up: LookUp,
        (site, reach): (&Site, Reach<'_>),
        watch: &mut Watch<'_>,
    ) -> Result<Stream> {
        let targets = match look_up {
            LookUp::Here => self.addresses(site, reach, watch)?.into_iter().map(Target::Address).collect(),
            LookUp::There => {
                dial::within(reach, literal(site), watch)?;
                vec![Target::Name(site)]
            }
        };
        let mut refused = Refusal::Reply(4);
        for target in targets {
            let socket = self.reach_proxy(proxy, watch)?;
            let asked = socks::ask(socket, target, proxy.credential.as_ref(), watch);
            match asked.map_err(|error| watch.fault(error))? {
                Ok(stream) => return Ok(stream),
                Err(refusal) => refused = refusal,
            }
            if !matches!(refused, Refusal::Reply(_)) {
                break;
            }
        }
        let (proxy, site) = (proxy.site.clone(), site.clone());
        Err(Error::Socks { proxy, site, refusal: refused }.into())
    }

    fn secure(&self, stream: Stream, key: &Key, watch: &mut Watch<'_>) -> Result<Stream> {
        let site = &key.site;
        if site.scheme() == Scheme::Http {
            return Ok(stream);
        }
        let config = self.pool.tls(key, || tls::config(site, &self.trust.tls(site)?).map_err(Fault::from))?;
        watch.enter(Phase::Securing);
        stream.secure(config, tls::name(site)?, watch).map_err(|error| watch.fault(error))
    }

    /// N5: who was led somewhere by a public server stays in public.
    fn reach<'n>(
        &self,
        site: &Site,
        care: Care,
        named: Named<'n>,
        watch: &mut Watch<'_>,
    ) -> Result<Reach<'n>> {
        let Named::BySite(by) = named else { return Ok(Reach::Anywhere) };
        if care == Care::Insecure || by == site || self.is_inner(by, watch)? {
            return Ok(Reach::Anywhere);
        }
        Ok(Reach::Public(by))
    }

    fn is_inner(&self, site: &Site, watch: &mut Watch<'_>) -> Result<bool> {
        if let Some(known) = self.pool.is_inner(site) {
            return Ok(known);
        }
        // Behind a proxy a name may not be known here at all.
        let addresses = match self.trust.proxy(site)? {
            Some(Proxy { kind: ProxyKind::Http | ProxyKind::Socks(LookUp::There), .. }) => literal(site),
            Some(Proxy { kind: ProxyKind::Socks(LookUp::Here), .. }) | None => {
                dial::look_up(site, self.pool.resolver(), watch)?
            }
        };
        let is_inner = is_any_inner(&addresses);
        self.pool.note_inner(site, is_inner);
        Ok(is_inner)
    }
}

/// An address as errors say it. The query that a server made for us may be a signature that lets anybody in.
fn shown(address: &Address, named: Named<'_>) -> Address {
    match named {
        Named::ByUser => address.clone(),
        Named::BySite(_) => address.without_query(),
    }
}

fn is_any_inner(addresses: &[SocketAddr]) -> bool {
    addresses.iter().any(|address| dial::is_inner(address.ip()))
}

/// The address that the name itself says.
fn literal(site: &Site) -> Vec<SocketAddr> {
    let host = site.host().trim_start_matches('[').trim_end_matches(']');
    let ip = host.parse().ok().or_else(|| site.is_loopback().then_some(IpAddr::from([127, 0, 0, 1])));
    ip.map(|ip| SocketAddr::new(ip, site.port())).into_iter().collect()
}

fn basic(credential: &Credential) -> Option<String> {
    match credential {
        Credential::Basic { user, password } => {
            Some(format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes())))
        }
        Credential::Refresh(_) | Credential::Bearer(_) => None,
    }
}

/// Asks a proxy for a way through (RFC 9110, section 9.3.6).
fn tunnel(
    socket: Stream,
    proxy: &Site,
    credential: Option<&str>,
    site: &Site,
    watch: &mut Watch<'_>,
) -> Result<Stream> {
    let target = format!("{}:{}", site.host(), site.port());
    let credential = credential.map(|it| format!("Proxy-Authorization: {it}\r\n")).unwrap_or_default();
    let text = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credential}\r\n");
    let mut connection = Connection::new(socket, Way::Direct);
    connection.stream().write_all(text.as_bytes(), watch).map_err(|error| watch.fault(error))?;
    let Received { head, .. } = head::receive(&mut connection, Method::Head, watch)?;
    let refused = || Error::Proxy { proxy: proxy.clone(), status: head.status, site: site.clone() };
    let stream = connection.into_stream().filter(|_| head.is_success());
    stream.ok_or_else(|| refused().into())
}

/// Sends head and body, until all is sent or the other side has said enough. An error of what is sent is an error;
/// one of the connection is not yet, because the answer may have come before it.
fn transmit(
    connection: &mut Connection,
    request: &Request,
    mut body: Body<'_>,
    watch: &mut Watch<'_>,
) -> Result<Sent> {
    let mut outgoing = head::print(request, &body, connection.way());
    let (mut first, mut left): (&mut dyn Read, u64) = match &mut body {
        Body::Empty => (&mut io::empty(), 0),
        Body::Bytes(bytes) => {
            let size = bytes.len() as u64;
            (bytes, size)
        }
        Body::Stream { size, read } => (read, *size),
    };
    let size = left;
    loop {
        // The first packet holds the head and what fits of the body.
        fill(&mut outgoing, &mut first, &mut left, size, watch)?;
        match push(connection, &outgoing, watch) {
            Ok(true) if left == 0 => return Ok(Sent { bytes: size, end: End::Whole }),
            Ok(true) => outgoing.clear(),
            Ok(false) => return Ok(Sent { bytes: size - left, end: End::Early }),
            Err(error) => {
                // A stall, and the user's wish to stop, are no matter of the connection.
                let error = match error.downcast::<Fault>() {
                    Ok(fault) => return Err(fault),
                    Err(error) => error,
                };
                return Ok(Sent { bytes: size - left, end: End::Broken(error) });
            }
        }
    }
}

/// Fills up what goes out next.
fn fill(
    outgoing: &mut Vec<u8>,
    body: &mut dyn Read,
    left: &mut u64,
    size: u64,
    watch: &Watch<'_>,
) -> Result<()> {
    while *left > 0 && outgoing.len() < CHUNK {
        let space = CHUNK - outgoing.len();
        let want = (space as u64).min(*left);
        let got = io::copy(&mut body.take(want), outgoing)
            .map_err(|error| Fault::io(format!("read what is sent to {}", watch.address()), error))?;
        if got == 0 {
            let address = watch.address().clone();
            return Err(Error::ShortPayload { address, got: size - *left, size }.into());
        }
        *left -= got;
    }
    Ok(())
}

/// Sends bytes on; false where an answer came first.
fn push(connection: &mut Connection, mut bytes: &[u8], watch: &mut Watch<'_>) -> io::Result<bool> {
    while !bytes.is_empty() {
        if has_answered(connection, watch)? {
            return Ok(false);
        }
        let most = watch.allow(bytes.len())?;
        match watch.passed_of(most, connection.stream().write_now(&bytes[..most]))? {
            Some(count) => bytes = &bytes[count..],
            None => connection.stream().await_either(watch)?,
        }
    }
    connection.stream().flush(watch)?;
    Ok(true)
}

/// Whether the other side has said its answer, or left.
fn has_answered(connection: &mut Connection, watch: &Watch<'_>) -> io::Result<bool> {
    while let Some(count) = connection.fill_now()? {
        if count == 0 || head::has_come(connection, watch.address()).map_err(Fault::from)? {
            return Ok(true);
        }
    }
    Ok(false)
}
