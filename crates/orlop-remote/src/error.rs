//! What can go wrong between here and a server.

use orlop_spec::wire::{Address, AddressError, Failure, Site};
use orlop_spec::{Diagnose, Digest, Fault, Kind};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// What can go wrong between here and a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection could not be made, or broke.
    #[error("cannot reach {address}: {phase} failed")]
    Broken {
        /// What was asked for.
        address: Address,
        /// When.
        phase: Phase,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody may be connected to.
    #[error("{} would have to be asked, and the command is offline", .site.authority())]
    Offline {
        /// Who.
        site: Site,
    },
    /// The other side was silent, or next to silent.
    #[error("{address} stalled: less than {least} bytes in {} s while {phase}", .time.as_secs())]
    Stalled {
        /// What was asked for.
        address: Address,
        /// When.
        phase: Phase,
        /// How long it was watched.
        time: Duration,
        /// What was expected in that time.
        least: u64,
    },
    /// A server named a place inside of a network that is not its own (N5).
    #[error("{by} leads to {address}, which is the inner address {ip}: refused")]
    Inside {
        /// What would have been asked for.
        address: Address,
        /// Where that is.
        ip: IpAddr,
        /// Who led there.
        by: Site,
    },
    /// The site's certificate is not to be trusted, or TLS failed otherwise.
    #[error("no safe connection to {site}")]
    Untrusted {
        /// The site.
        site: Site,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The site speaks, and not TLS.
    #[error("{site} does not speak TLS")]
    NoTls {
        /// The site.
        site: Site,
    },
    /// A certificate or key of the configuration cannot be used.
    #[error("{what} for {site} cannot be used")]
    BadTrust {
        /// The site that it is for.
        site: Site,
        /// Which part.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The proxy did not connect.
    #[error("the proxy {proxy} answered {status} for {site}")]
    Proxy {
        /// The proxy.
        proxy: Site,
        /// What it said.
        status: u16,
        /// What it was asked to reach.
        site: Site,
    },
    /// The SOCKS proxy did not connect.
    #[error("the SOCKS proxy {} does not connect to {site}: {refusal}", .proxy.authority())]
    Socks {
        /// The proxy.
        proxy: Site,
        /// What it was asked to reach.
        site: Site,
        /// What it said.
        refusal: Refusal,
    },
    /// What came is no HTTP.
    #[error("{address} does not answer as HTTP/1.1: {what}")]
    NoHttp {
        /// What was asked for.
        address: Address,
        /// What is wrong.
        what: &'static str,
    },
    /// The head of an answer exceeds what any server needs (N12).
    #[error("{address} answers with more than {limit} bytes of headers")]
    LongHead {
        /// What was asked for.
        address: Address,
        /// What is allowed.
        limit: usize,
    },
    /// A body ended before it was whole.
    #[error("the body of {address} ended after {got} bytes{}", .of.map(|size| format!(" of {size}")).unwrap_or_default())]
    Truncated {
        /// What was asked for.
        address: Address,
        /// What came.
        got: u64,
        /// What was promised, where it was.
        of: Option<u64>,
    },
    /// What was to be sent is shorter than was said.
    #[error("what is sent to {address} ended after {got} bytes of {size}")]
    ShortPayload {
        /// Where it goes.
        address: Address,
        /// What there was.
        got: u64,
        /// What was said.
        size: u64,
    },
    /// A file of the web has more bytes than it may have.
    #[error("{address} has more than {limit} bytes")]
    TooLarge {
        /// The file.
        address: Address,
        /// What is allowed.
        limit: u64,
    },
    /// A server was asked for a part and gave another one.
    #[error("{address} was asked for bytes from {at} on, and gave others")]
    WrongRange {
        /// What was asked for.
        address: Address,
        /// From where on.
        at: u64,
    },
    /// A file of the web is not the one that was named.
    #[error("{address} is not what was named: it should be {expected}, and is {found}")]
    WrongFile {
        /// The file.
        address: Address,
        /// What was named.
        expected: Box<Digest>,
        /// What came.
        found: Box<Digest>,
    },
    /// A redirect that leads nowhere.
    #[error("{address} redirects to what is no address")]
    BadLocation {
        /// Who redirects.
        address: Address,
        /// Why.
        #[source]
        source: AddressError,
    },
    /// One redirect after the other.
    #[error("{address} redirects more than {limit} times")]
    RedirectLoop {
        /// What was asked for.
        address: Address,
        /// What is allowed.
        limit: usize,
    },
    /// A redirect from TLS to the clear.
    #[error("{address} redirects to {to}, which is in the clear: refused")]
    Downgrade {
        /// Who redirects.
        address: Address,
        /// Where to.
        to: Address,
    },
    /// The server asks for a longer pause than is allowed.
    #[error("{address} answered {status} and asks to wait {} s", .pause.as_secs())]
    LongPause {
        /// What was asked for.
        address: Address,
        /// What it said.
        status: u16,
        /// How long it asks to wait.
        pause: Duration,
    },
    /// The realm of a challenge is no address.
    #[error("{site} wants a token from what is no address")]
    BadRealm {
        /// The registry.
        site: Site,
        /// Why.
        #[source]
        source: AddressError,
    },
    /// The realm of a challenge must not be asked (N1).
    #[error("{site} wants a token from {realm}, which is in the clear or inside of a network: refused")]
    Realm {
        /// The registry.
        site: Site,
        /// Who would have been asked.
        realm: Address,
    },
    /// The registry wants to know who asks, and its realm is not known to be its own (N1).
    #[error("{site} wants to be told who asks by way of {realm}, which is not known to be its own")]
    Withheld {
        /// The registry.
        site: Site,
        /// Who was asked without a credential.
        realm: Address,
    },
    /// A token that was configured cannot be sent.
    #[error("the token for {site} holds characters that cannot be sent")]
    BadToken {
        /// The registry.
        site: Site,
    },
    /// The authorisation server gives no token.
    #[error("no token for {host}")]
    NoToken {
        /// The registry, as the user names it.
        host: String,
        /// What it said.
        #[source]
        source: Box<Failure>,
    },
}

/// What a SOCKS proxy says instead of connecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is none, or one of another version.
    #[error("it does not speak SOCKS5")]
    NoSocks,
    /// It wants a user and a password.
    #[error("it wants a user and a password")]
    WantsLogin,
    /// It does not take the user and the password.
    #[error("it does not take the user and the password")]
    Login,
    /// The reply of RFC 1928, section 6.
    #[error("{}", reply(*.0))]
    Reply(u8),
}

fn reply(code: u8) -> &'static str {
    match code {
        2 => "its rules forbid it",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "the connection was refused",
        6 => "it took too long",
        7 => "it does not know how to connect",
        8 => "it does not know addresses of this kind",
        _ => "it failed",
    }
}

/// What was being done when something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Looking up the name.
    Resolving,
    /// Connecting.
    Connecting,
    /// Agreeing on TLS.
    Securing,
    /// Sending the request.
    Sending,
    /// Waiting for the head of the answer.
    Waiting,
    /// Receiving the body.
    Receiving,
}

impl fmt::Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Resolving => "looking up the name",
            Self::Connecting => "connecting",
            Self::Securing => "agreeing on TLS",
            Self::Sending => "sending",
            Self::Waiting => "waiting for the answer",
            Self::Receiving => "receiving",
        })
    }
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Inside { .. } | Self::Untrusted { .. } | Self::Downgrade { .. } | Self::Realm { .. } => {
                Kind::Policy
            }
            Self::LongHead { .. } | Self::TooLarge { .. } => Kind::Limit,
            Self::WrongRange { .. } | Self::WrongFile { .. } => Kind::Integrity,
            Self::BadTrust { .. } | Self::ShortPayload { .. } => Kind::Other,
            Self::Proxy { status: 407, .. }
            | Self::Socks { refusal: Refusal::WantsLogin | Refusal::Login | Refusal::Reply(2), .. }
            | Self::BadRealm { .. }
            | Self::Withheld { .. }
            | Self::BadToken { .. } => Kind::Denied,
            Self::NoToken { source, .. } => source.kind(),
            _ => Kind::Unreachable,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Untrusted { site, .. } => Some(format!(
                "put the certificate of its authority into /etc/containers/certs.d/{0}/ca.crt, or trust it blindly \
                 with --insecure {0}",
                site.authority()
            )),
            Self::NoTls { site } => {
                Some(format!("allow it to be spoken to in the clear with --insecure {}", site.authority()))
            }
            Self::Inside { address, .. } => {
                Some(format!("allow it with --insecure {}", address.site().authority()))
            }
            Self::NoToken { host, source } if source.kind() == Kind::Denied => Some(format!(
                "orlop login {host}, or give --creds USER:PASSWORD, or a file of credentials with --authfile"
            )),
            Self::NoToken { source, .. } => source.hint(),
            Self::Withheld { realm, .. } => {
                Some(format!("if it is, say so with --realm {}", realm.site().authority()))
            }
            Self::Offline { .. } => Some("leave --offline out, or name what is on this machine".into()),
            Self::Broken { phase: Phase::Resolving, address, .. } => Some(format!(
                "see whether {} is spelled right; where only a proxy knows names, set HTTPS_PROXY",
                address.site().host()
            )),
            Self::Broken { phase: Phase::Connecting, .. } => {
                Some("see whether it runs, and whether the port is right; behind a proxy, set HTTPS_PROXY".into())
            }
            Self::LongPause { .. } => Some(
                "come back then, or be known to the registry with --creds USER:PASSWORD: many allow more to those they know"
                    .into(),
            ),
            Self::Socks { refusal: Refusal::WantsLogin, .. } => {
                Some("name it as socks5h://USER:PASSWORD@HOST:PORT in ALL_PROXY".into())
            }
            Self::Stalled { .. } => Some("be more patient with --stall-timeout 60".into()),
            _ => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}
