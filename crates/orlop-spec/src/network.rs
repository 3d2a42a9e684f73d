//! What a client of registries is given: where a repository really is, whom to trust, which secrets there are, and
//! what earlier runs left. Small ports; those who implement them read files, start programs and ask the clock.

mod auth_file;
mod hosts_file;
mod no_proxy;
mod policy;
mod registries;
mod settings;

pub use auth_file::{AuthFile, AuthForm, Found, Helper};
pub use hosts_file::{HostEntry, parse_hosts};
pub use no_proxy::NoProxy;
pub use policy::{Judgement, Policy, scopes_of_path, scopes_of_repository};
pub use registries::{Place, Registries, Verdict};
pub use settings::SettingsError;

use crate::Timestamp;
use crate::digest::AnyDigest;
use crate::port::Result;
use crate::reference::Repository;
use crate::wire::{Address, Headers, Request, Site};
use std::fmt;
use std::time::Duration;

/// Everything at once.
#[derive(Clone, Copy)]
pub struct Network<'a> {
    /// Where repositories are.
    pub hosts: &'a dyn Hosts,
    /// Who may be spoken to, and how.
    pub trust: &'a dyn Trust,
    /// Names, passwords, tokens.
    pub secrets: &'a dyn Secrets,
    /// What earlier runs left.
    pub journal: &'a dyn Journal,
    /// What time it is: when a token ends, and when a `Retry-After` that is a date has come.
    pub clock: &'a (dyn Fn() -> Timestamp + Send + Sync),
}

/// What is done at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading; mirrors may serve it.
    Read,
    /// Writing; only the repository itself.
    Write,
}

/// Where repositories are.
pub trait Hosts: Send + Sync {
    /// The places to try, in order; never empty. An error where the repository is blocked.
    fn endpoints(&self, repository: &Repository, access: Access) -> Result<Vec<Endpoint>>;
}

/// One place where a repository can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The sites to try, best first: a host that may be insecure is tried under TLS before it is tried in the clear.
    pub sites: Vec<Site>,
    /// What stands before the repository's name: `/v2` nearly everywhere; begins with `/` and does not end with it.
    pub root: Box<str>,
    /// The repository as it is called there, which is also how its secrets are found. Its host is not where to go:
    /// Docker's registry is called docker.io and lives elsewhere.
    pub repository: Repository,
    /// What may be asked there.
    pub serves: Serves,
    /// The registry that the place stands for, where it wants to be told (`?ns=`): mirrors of several registries do.
    pub namespace: Option<Box<str>>,
    /// What settings add to every request there.
    pub headers: Added,
}

/// Headers that settings add to the requests to one place, and to no other. Their values may be secret, and are not
/// printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Added(Headers);

impl Added {
    /// Nothing.
    pub const NONE: Self = Self(Headers::NONE);

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter()
    }

    /// A request that says them as well, where it does not say such a thing itself.
    #[must_use]
    pub fn to(&self, request: &Request) -> Request {
        let is_free = |name: &str| request.headers.get(name).is_none();
        let more = self.0.iter().filter(|(name, _)| is_free(name));
        more.fold(request.clone(), |request, (name, value)| request.with(name, value))
    }
}

impl From<Headers> for Added {
    fn from(headers: Headers) -> Self {
        Self(headers)
    }
}

impl fmt::Debug for Added {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// What may be asked of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Serves {
    /// Everything.
    #[default]
    All,
    /// What is named by digest: a mirror that may be behind with tags.
    Digests,
    /// What is named by tag.
    Tags,
}

/// Who may be spoken to, and how.
pub trait Trust: Send + Sync {
    /// What TLS with a site needs. Asked once per site, when it is first connected to.
    fn tls(&self, site: &Site) -> Result<Tls>;

    /// The proxy on the way to a site, if any.
    fn proxy(&self, site: &Site) -> Result<Option<Proxy>>;

    /// How long connecting to a site may take, where settings say so.
    fn dial_timeout(&self, _site: &Site) -> Option<Duration> {
        None
    }

    /// Whether the user named the site as one that may be insecure: in the clear, or with a certificate that nobody
    /// vouches for.
    fn is_insecure(&self, site: &Site) -> bool;

    /// Whether the user said that a registry's authorisation server at `realm` may be told who asks, though it is
    /// another host than the registry (N1).
    fn may_tell(&self, _registry: &Site, _realm: &Site) -> bool {
        false
    }
}

/// A proxy on the way to a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is. It is spoken to in the clear.
    pub site: Site,
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// A user and a password, where it wants them.
    pub credential: Option<Credential>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// As HTTP has it: whole addresses in the clear, `CONNECT` for TLS.
    Http,
    /// SOCKS5 (RFC 1928).
    Socks(LookUp),
}

/// Who looks up the name of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// This machine: `socks5:`.
    Here,
    /// The proxy: `socks5h:`.
    There,
}

/// What TLS with a site needs; certificates and keys in PEM.
#[derive(Clone, Default)]
pub struct Tls {
    /// Who may vouch for the site.
    pub roots: Vec<Vec<u8>>,
    /// Who we are: certificates, then the key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether the site's certificate is looked at.
    pub check: Check,
}

/// Whether a certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Check {
    /// It must be vouched for, and be the site's.
    #[default]
    Full,
    /// Anything goes: the user said `--insecure`.
    None,
}

/// Names, passwords, tokens. A secret is never printed and never leaves for another site than the one that it was
/// asked for.
pub trait Secrets: Send + Sync {
    /// What to say to a registry about a repository, if anything is known.
    fn credential(&self, repository: &Repository) -> Result<Option<Credential>>;

    /// A token that an earlier run was given and that is still good.
    fn token(&self, key: &TokenKey) -> Option<Token>;

    /// Keeps a token for later runs.
    fn keep(&self, key: &TokenKey, token: &Token);
}

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password.
    Basic {
        /// Who.
        user: Box<str>,
        /// The password.
        password: Box<str>,
    },
    /// A refresh token, which an authorisation server changes into tokens (`identitytoken`).
    Refresh(Box<str>),
    /// A token that is sent as it is (`registrytoken`).
    Bearer(Box<str>),
}

/// A secret is never printed.
impl fmt::Debug for Credential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Basic { .. } => "Basic(…)",
            Self::Refresh(_) => "Refresh(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

/// What a token was given for. Two keys are one only if all of it is equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey {
    /// The registry.
    pub site: Site,
    /// Who gave it.
    pub realm: Address,
    /// For which service.
    pub service: Box<str>,
    /// For what: sorted, as `repository:app:pull,push`.
    pub scopes: Vec<Box<str>>,
    /// To whom: a digest of the credential, so that another user gets another token.
    pub account: Option<AnyDigest>,
}

/// A bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// As it is sent.
    pub text: Box<str>,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// A secret is never printed.
impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Token(… until {})", self.expires)
    }
}

/// What earlier runs left for later ones. Everything in it is a hint: wrong entries cost time, never bytes.
pub trait Journal: Send + Sync {
    /// An upload that a run began and did not end.
    fn upload(&self, key: &UploadKey) -> Option<Upload>;

    /// Remembers an upload that is under way; `None` forgets it.
    fn note_upload(&self, key: &UploadKey, upload: Option<&Upload>);

    /// Repositories of a site that are known to hold a blob; the best first, few.
    fn holders(&self, site: &Site, blob: &AnyDigest) -> Vec<Box<str>>;

    /// Remembers that a repository of a site holds a blob.
    fn note_holder(&self, site: &Site, blob: &AnyDigest, repository: &str);
}

/// Whose upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UploadKey {
    /// The registry.
    pub site: Site,
    /// Name of the repository there.
    pub repository: Box<str>,
    /// The blob.
    pub blob: AnyDigest,
}

/// An upload that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Where its next part goes.
    pub location: Address,
    /// Bytes that the registry has acknowledged.
    pub acknowledged: u64,
    /// Bytes that were sent, whether it has them or not.
    pub sent: u64,
}

/// Remembers nothing.
impl Journal for () {
    fn upload(&self, _: &UploadKey) -> Option<Upload> {
        None
    }

    fn note_upload(&self, _: &UploadKey, _: Option<&Upload>) {}

    fn holders(&self, _: &Site, _: &AnyDigest) -> Vec<Box<str>> {
        Vec::new()
    }

    fn note_holder(&self, _: &Site, _: &AnyDigest, _: &str) {}
}
