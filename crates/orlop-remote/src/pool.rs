//! What the requests of one command share: the way out, connections that can be used again, TLS that is prepared,
//! tokens, where sites were found, warnings that were shown.
//!
//! Invariant: a connection is used again only for the site that it leads to, under the same care, and where its address
//! would be allowed again.

use crate::auth::Tokens;
use crate::dial::{Resolve, System};
use crate::exchange::connection::Connection;
use crate::line::{Line, Throttle};
use orlop_spec::wire::Site;
use rustls::ClientConfig;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the requests of one command share. Making one costs nothing.
pub struct Pool {
    idle: Mutex<HashMap<Key, Vec<Idle>>>,
    tls: Mutex<HashMap<Key, Arc<ClientConfig>>>,
    /// Whether a site was found at an inner address.
    inner: Mutex<HashMap<Site, bool>>,
    warned: Mutex<HashSet<(Site, String)>>,
    tokens: Tokens,
    resolver: Arc<dyn Resolve>,
    line: Line,
    throttle: Option<Throttle>,
    /// Whether some blob is fetched by several connections.
    is_wide: AtomicBool,
}

/// The right of one blob to several connections, as long as it stands.
pub(crate) struct Widened<'p>(&'p Pool);

impl Drop for Widened<'_> {
    fn drop(&mut self) {
        self.0.is_wide.store(false, Ordering::Release);
    }
}

/// Whom a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) site: Site,
    pub(crate) care: Care,
    pub(crate) bounds: Bounds,
}

/// How carefully it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Care {
    Full,
    Insecure,
}

/// Where it may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bounds {
    Anywhere,
    Public,
}

/// Where a connection goes when its answer was read.
pub(crate) struct Slot<'x> {
    pub(crate) pool: &'x Pool,
    pub(crate) key: Key,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// Servers give up on a quiet connection after some time; most wait for a minute.
const FRESH: Duration = Duration::from_secs(30);
/// Quiet connections that are kept for one site.
const MOST_IDLE: usize = 32;

impl Default for Pool {
    fn default() -> Self {
        Self::with_resolver(Arc::new(System))
    }
}

impl Pool {
    /// A pool that looks names up in its own way.
    pub fn with_resolver(resolver: Arc<dyn Resolve>) -> Self {
        Self {
            idle: Mutex::default(),
            tls: Mutex::default(),
            inner: Mutex::default(),
            warned: Mutex::default(),
            tokens: Tokens::default(),
            resolver,
            line: Line::default(),
            throttle: None,
            is_wide: AtomicBool::new(false),
        }
    }

    /// Several connections for one blob; `None` while another one has them, so that memory stays what it is.
    pub(crate) fn widen(&self) -> Option<Widened<'_>> {
        (!self.is_wide.swap(true, Ordering::Acquire)).then_some(Widened(self))
    }

    /// The same, with a way out such as the user allows.
    #[must_use]
    pub fn on(self, line: Line) -> Self {
        Self { line, throttle: line.rate.map(Throttle::new), ..self }
    }

    pub(crate) fn line(&self) -> Line {
        self.line
    }

    pub(crate) fn throttle(&self) -> Option<&Throttle> {
        self.throttle.as_ref()
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub(crate) fn resolver(&self) -> &Arc<dyn Resolve> {
        &self.resolver
    }

    /// A connection that was used before and is still good; the youngest first.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        loop {
            let mut idle = held(&self.idle).get_mut(key)?.pop()?;
            if idle.since.elapsed() < FRESH && idle.connection.is_quiet() {
                return Some(idle.connection);
            }
        }
    }

    /// The TLS of a site, prepared once.
    pub(crate) fn tls<E>(
        &self,
        key: &Key,
        prepare: impl FnOnce() -> Result<Arc<ClientConfig>, E>,
    ) -> Result<Arc<ClientConfig>, E> {
        if let Some(config) = held(&self.tls).get(key) {
            return Ok(Arc::clone(config));
        }
        let config = prepare()?;
        Ok(Arc::clone(held(&self.tls).entry(key.clone()).or_insert(config)))
    }

    /// Whether a site is known to be at an inner address.
    pub(crate) fn is_inner(&self, site: &Site) -> Option<bool> {
        held(&self.inner).get(site).copied()
    }

    /// Remembers where a site is.
    pub(crate) fn note_inner(&self, site: &Site, is_inner: bool) {
        held(&self.inner).insert(site.clone(), is_inner);
    }

    /// Whether a warning of a site is shown for the first time.
    pub(crate) fn is_news(&self, site: &Site, warning: &str) -> bool {
        held(&self.warned).insert((site.clone(), warning.to_owned()))
    }
}

impl Slot<'_> {
    /// Keeps a connection for the next request.
    pub(crate) fn give_back(self, connection: Connection) {
        let mut idle = held(&self.pool.idle);
        let idle = idle.entry(self.key).or_default();
        if idle.len() < MOST_IDLE {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }
}

/// Nothing in a pool is left half done by a thread that panics.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
