//! Who we say that we are: the `Authorization` of a request (RFC 9110, section 11; distribution's token specification).
//!
//! ```text
//! request ──► 401 + challenges ──► Basic: the credential itself, to the registry alone
//!                              └─► Bearer: realm ──(realm.rs: may it be asked? be told?)──► token, kept (tokens.rs)
//! ```
//!
//! Invariants: a credential goes to the site that it belongs to, and to a realm only by the rules of N1; a token goes
//! to the site that it was asked for; nobody is asked more than three times for one request (N12).

mod realm;
mod tokens;

pub use tokens::Tokens;

use crate::client::{Errand, Who};
use crate::error::Error;
use crate::exchange::Answer;
use orlop_spec::network::{Credential, Network, Token, TokenKey};
use orlop_spec::port::Result;
use orlop_spec::reference::Repository;
use orlop_spec::wire::header::{self, Challenge};
use orlop_spec::wire::{Address, Failure, Head, Request, Scheme, Site, scope, token};
use orlop_spec::{Algorithm, AnyDigest, Digest, Fault};
use realm::Told;
use std::io::Read as _;
use tokens::{Age, Known};

/// How often one request may be answered with 401 before it is over (N12).
pub const ROUNDS: u32 = 3;

/// Sends one request of the authoriser itself, with a body: without authorisation, without following redirects, and
/// on behalf of the registry's site, so that the rules for places that a server names hold for realms too (N5).
pub type Ask<'q> = dyn Fn(&Request, &[u8]) -> Result<Answer<'q>> + 'q;

/// Whether a request that was refused is worth sending again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// With what [`Pass::header`] gives now.
    Yes,
    /// The answer is final.
    No,
}

/// The authorisation of one request, from its first sending to its last.
pub struct Pass<'p> {
    network: Network<'p>,
    tokens: &'p Tokens,
    home: &'p Site,
    repository: Option<&'p Repository>,
    scopes: Vec<Box<str>>,
    who: Who,
    rounds: u32,
    sent: Sent,
}

/// What the last sending said.
enum Sent {
    /// Nothing: what the site wants was not known.
    Unknown,
    /// Nothing, though it is known what the site wants.
    Nothing,
    Password,
    /// A token.
    Token(Box<Used>),
    /// A token that was configured.
    Fixed,
}

/// A token that was sent.
struct Used {
    key: TokenKey,
    token: Token,
    age: Age,
    /// Whether the credential stands behind it.
    told: Told,
}

impl<'p> Pass<'p> {
    /// For a request of `errand`. Nobody is spoken for where the errand names no repository.
    pub fn new(network: Network<'p>, tokens: &'p Tokens, errand: &Errand<'p>) -> Self {
        Self {
            network,
            tokens,
            home: errand.home,
            repository: errand.repository,
            scopes: scope::merge(errand.scopes.iter().map(|it| &**it)),
            who: errand.who,
            rounds: 0,
            sent: Sent::Unknown,
        }
    }

    /// The value of `Authorization`, as far as is known what the site wants: `None` before it was ever asked. A token
    /// that ends soon is renewed first. The value must be sent to the errand's site and to no other.
    pub fn header(&mut self, ask: &Ask<'_>) -> Result<Option<String>> {
        self.sent = Sent::Unknown;
        let Some(known) = self.repository.and_then(|_| self.tokens.known(self.home)) else { return Ok(None) };
        let credential = self.credential()?;
        match (known, credential) {
            (Known::Basic, Some(Credential::Basic { user, password })) if self.may_tell_home() => {
                self.sent = Sent::Password;
                Ok(Some(token::basic(&user, &password)))
            }
            (Known::Basic, _) => {
                self.sent = Sent::Nothing;
                Ok(None)
            }
            (Known::Bearer { .. }, Some(Credential::Bearer(text))) if self.may_tell_home() => {
                self.sent = Sent::Fixed;
                Ok(Some(token::bearer(&text).ok_or_else(|| Error::BadToken { site: self.home.clone() })?))
            }
            (Known::Bearer { realm, service }, credential) => {
                self.by_token(&realm, service, credential, ask).map(Some)
            }
        }
    }

    /// Tells that the answer was 401, and learns from it what the site wants.
    pub fn refused(&mut self, head: &Head) -> Result<Again> {
        self.rounds += 1;
        if head.status != 401 || self.repository.is_none() {
            return Ok(Again::No);
        }
        if self.rounds >= ROUNDS {
            return self.end();
        }
        let Some((known, wanted)) = self.choose(&header::challenges(&head.headers))? else {
            return self.end();
        };
        let wanted = wanted.as_deref().into_iter().chain(self.scopes.iter().map(|it| &**it));
        let scopes = scope::merge(wanted);
        let wants_more = scopes != self.scopes || self.tokens.known(self.home).as_ref() != Some(&known);
        let may_help = match &self.sent {
            Sent::Unknown => true,
            Sent::Nothing | Sent::Password | Sent::Fixed => wants_more,
            // It may have ended early, or be one that an earlier run left; a new one says what another would say.
            Sent::Token(used) => {
                self.tokens.forget(&used.key, &used.token);
                used.age == Age::Known || wants_more
            }
        };
        self.scopes = scopes;
        self.tokens.learn(self.home, known);
        if may_help { Ok(Again::Yes) } else { self.end() }
    }

    /// The first way that can be gone; `Bearer` before `Basic`, where both are offered.
    fn choose(&self, challenges: &[Challenge]) -> Result<Option<(Known, Option<String>)>> {
        let mut refusal = None;
        for challenge in challenges.iter().filter(|it| &*it.scheme == "bearer") {
            let Some(text) = challenge.get("realm") else { continue };
            let realm = realm::parse(self.home, text).and_then(|realm| {
                realm::may_ask(self.network.trust, self.home, &realm)?;
                Ok(realm)
            });
            match realm {
                Ok(realm) => {
                    let service = challenge.get("service").unwrap_or_default().into();
                    let scope = challenge.get("scope").map(str::to_owned);
                    return Ok(Some((Known::Bearer { realm, service }, scope)));
                }
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        let is_basic = challenges.iter().any(|it| &*it.scheme == "basic");
        if is_basic && matches!(self.credential()?, Some(Credential::Basic { .. })) {
            return Ok(Some((Known::Basic, None)));
        }
        refusal.map_or(Ok(None), |error| Err(error.into()))
    }

    /// The end of it: the answer says why, unless it was us who held a credential back.
    fn end(&self) -> Result<Again> {
        match &self.sent {
            Sent::Token(used) if used.told == Told::Withheld => {
                let realm = used.key.realm.clone();
                Err(Error::Withheld { site: self.home.clone(), realm }.into())
            }
            _ => Ok(Again::No),
        }
    }

    fn by_token(
        &mut self,
        realm: &Address,
        service: Box<str>,
        credential: Option<Credential>,
        ask: &Ask<'_>,
    ) -> Result<String> {
        let told = match credential {
            None => Told::Nobody,
            Some(_) => realm::may_tell(self.network.trust, self.home, realm),
        };
        if told == Told::Withheld && self.who == Who::User {
            return Err(Error::Withheld { site: self.home.clone(), realm: realm.clone() }.into());
        }
        let credential = credential.filter(|_| told == Told::Credential);
        let key = TokenKey {
            site: self.home.clone(),
            realm: realm.clone(),
            service,
            scopes: self.scopes.clone(),
            account: credential.as_ref().map(account),
        };
        let (token, age) =
            self.tokens.get(&key, self.network, || self.fetch(&key, credential.as_ref(), ask))?;
        let header = token::bearer(&token.text).ok_or_else(|| Error::BadToken { site: self.home.clone() })?;
        self.sent = Sent::Token(Box::new(Used { key, token, age, told }));
        Ok(header)
    }

    fn fetch(&self, key: &TokenKey, credential: Option<&Credential>, ask: &Ask<'_>) -> Result<Token> {
        let (request, body) = token::request(key, credential);
        let mut asked = (request, body);
        let mut answer = ask(&asked.0, &asked.1)?;
        if let (404 | 405, Some(Credential::Basic { user, password })) = (answer.head.status, credential) {
            asked = token::request_by_password(key, user, password);
            answer = ask(&asked.0, &asked.1)?;
        }
        let mut text = Vec::new();
        let most = token::LONGEST as u64 + 1;
        answer.body.take(most).read_to_end(&mut text).map_err(|error| Fault::io("read a token", error))?;
        if !answer.head.is_success() {
            // The password or the refresh token may stand in the request: of it only the address is said.
            let failure =
                Failure::read(&Request::new(asked.0.method, key.realm.clone()), &answer.head, &text);
            let host = self.repository.map_or_else(String::new, |repository| repository.host().into());
            return Err(Error::NoToken { host, source: Box::new(failure) }.into());
        }
        Ok(token::read(&key.realm, &text, (self.network.clock)())?)
    }

    fn credential(&self) -> Result<Option<Credential>> {
        match self.repository {
            Some(repository) => self.tokens.credential(repository, self.network.secrets),
            None => Ok(None),
        }
    }

    /// Whether a secret may go to the registry itself: not in the clear, unless it is this machine or the user said so.
    fn may_tell_home(&self) -> bool {
        self.home.scheme() == Scheme::Https
            || self.home.is_loopback()
            || self.network.trust.is_insecure(self.home)
    }
}

/// A digest of a credential, so that another user is never given this one's tokens.
fn account(credential: &Credential) -> AnyDigest {
    let (kind, parts): (&str, [&str; 2]) = match credential {
        Credential::Basic { user, password } => ("basic", [user, password]),
        Credential::Refresh(token) => ("refresh", [token, ""]),
        Credential::Bearer(token) => ("bearer", [token, ""]),
    };
    let text = format!("{kind} {} {} {}", parts[0].len(), parts[0], parts[1]);
    Digest::of(Algorithm::Sha256, text.as_bytes()).into()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trips;
