//! What the requests of one command know about sites and share: what each wants, credentials, tokens.
//!
//! Invariant: a token is found again only under its whole key; one thread asks for it, and the others wait.

use orlop_spec::Timestamp;
use orlop_spec::network::{Credential, Network, Secrets, Token, TokenKey};
use orlop_spec::port::Result;
use orlop_spec::reference::Repository;
use orlop_spec::wire::{Address, Site};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by all requests of a command. Making one costs nothing.
#[derive(Default)]
pub struct Tokens {
    sites: Mutex<HashMap<Site, Known>>,
    slots: Mutex<HashMap<TokenKey, Arc<Mutex<Slot>>>>,
    credentials: Mutex<HashMap<Repository, Arc<Mutex<Asked>>>>,
}

/// A secret is never printed.
impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tokens(…)")
    }
}

/// What a site wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A user and a password.
    Basic,
    /// A token of `realm`.
    Bearer { realm: Address, service: Box<str> },
}

/// The token of one key.
#[derive(Default)]
struct Slot {
    token: Option<(Token, Timestamp)>,
    /// What the site did not take: if an earlier run left it, it is not taken from there again.
    refused: Option<Box<str>>,
}

/// Whether the secrets were asked already: asking may start a program.
type Asked = Option<Option<Credential>>;

/// Whether a token was asked for just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// It was.
    New,
    /// It was known already.
    Known,
}

/// A token is renewed when a quarter of its life is left, or so many seconds.
const MARGIN: i64 = 15;

impl Tokens {
    /// Whether a site has asked who one is.
    pub(crate) fn was_asked_by(&self, site: &Site) -> bool {
        self.known(site).is_some()
    }

    pub(super) fn known(&self, site: &Site) -> Option<Known> {
        held(&self.sites).get(site).cloned()
    }

    pub(super) fn learn(&self, site: &Site, known: Known) {
        held(&self.sites).insert(site.clone(), known);
    }

    /// The credential of a repository; the secrets are asked once.
    pub(super) fn credential(
        &self,
        repository: &Repository,
        secrets: &dyn Secrets,
    ) -> Result<Option<Credential>> {
        let slot = Arc::clone(held(&self.credentials).entry(repository.clone()).or_default());
        let mut asked = held(&slot);
        if let Some(credential) = &*asked {
            return Ok(credential.clone());
        }
        let credential = secrets.credential(repository)?;
        *asked = Some(credential.clone());
        Ok(credential)
    }

    /// A token that will be good for a while: one that is known, one that an earlier run left, or a new one.
    pub(super) fn get(
        &self,
        key: &TokenKey,
        network: Network<'_>,
        fetch: impl FnOnce() -> Result<Token>,
    ) -> Result<(Token, Age)> {
        let slot = self.slot(key);
        let mut slot = held(&slot);
        let now = (network.clock)();
        if let Some((token, _)) = slot.token.as_ref().filter(|(_, renewal)| now < *renewal) {
            return Ok((token.clone(), Age::Known));
        }
        let is_good = |it: &Token| {
            slot.refused.as_ref() != Some(&it.text) && now.seconds() + MARGIN < it.expires.seconds()
        };
        let (token, age) = match network.secrets.token(key).filter(is_good) {
            Some(token) => (token, Age::Known),
            None => (fetch()?, Age::New),
        };
        if age == Age::New {
            network.secrets.keep(key, &token);
        }
        let renewal = renewal(&token, now);
        slot.token = Some((token.clone(), renewal));
        Ok((token, age))
    }

    /// Forgets a token that the site did not take, unless another one has come since.
    pub(super) fn forget(&self, key: &TokenKey, token: &Token) {
        let slot = self.slot(key);
        let mut slot = held(&slot);
        slot.token.take_if(|(it, _)| it.text == token.text);
        slot.refused = Some(token.text.clone());
    }

    fn slot(&self, key: &TokenKey) -> Arc<Mutex<Slot>> {
        Arc::clone(held(&self.slots).entry(key.clone()).or_default())
    }
}

fn renewal(token: &Token, now: Timestamp) -> Timestamp {
    let life = token.expires.seconds().saturating_sub(now.seconds()).max(0);
    let early = MARGIN.min(life / 4);
    Timestamp::new(token.expires.seconds() - early, 0).unwrap_or(token.expires)
}

/// Nothing is left half done when a thread panics with a lock.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
