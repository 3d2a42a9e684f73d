//! Requests as the rest of the crate makes them: authorised, redirected, repeated where that is safe, and accounted.
//!
//! ```text
//! call ── a body that goes on ── insist ── retries ── follow ── redirects ── ask ── secrets ──► Exchange
//! ```

mod heard;
mod redirect;
mod resumed;

use crate::auth::{Again, Pass};
use crate::error::Error;
use crate::exchange::{Answer, Body, Exchange, Http, Named};
use crate::pool::Pool;
use crate::retry::{self, Budget, Trouble};
use heard::Heard;
use orlop_spec::network::{Added, Network};
use orlop_spec::port::{Origin, Result};
use orlop_spec::reference::Repository;
use orlop_spec::wire::{Head, Method, Request, Site, failure, header};
use orlop_spec::{Cancel, Context, Event};
use resumed::Resumed;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Asks registries and web servers. It costs nothing before the first call: no socket, no thread, no file.
#[derive(Clone)]
pub struct Client<'a> {
    cx: Context<'a>,
    network: Network<'a>,
    pool: &'a Pool,
    options: Options,
    exchange: Arc<dyn Exchange + 'a>,
}

/// How patient a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How often a request is sent again.
    pub retries: u32,
    /// How long a server may be silent, and how long a transfer may be slower than 1 KiB/s.
    pub stall: Duration,
    /// How long one pause may be that a server asks for.
    pub patience: Duration,
    /// Blobs up to so many bytes are sent at once; larger ones in chunks of them, so that a broken connection costs
    /// no more.
    pub chunk: u64,
    /// When a blob is fetched by several connections.
    pub wide: Wide,
}

/// When a blob is fetched by several connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wide {
    /// More bytes than so many.
    pub from: u64,
    /// Bytes of one piece.
    pub piece: u64,
    /// Where one connection carries a piece in less time, it stays alone.
    pub fast: Duration,
}

impl Default for Wide {
    fn default() -> Self {
        Self { from: 64 << 20, piece: 2 << 20, fast: Duration::from_millis(10) }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retries: 3,
            stall: Duration::from_secs(10),
            patience: Duration::from_secs(60),
            chunk: 64 << 20,
            wide: Wide::default(),
        }
    }
}

/// On whose behalf a request is made, and what may follow from its answer.
#[derive(Clone, Debug)]
pub struct Errand<'e> {
    /// The site that the user means: it alone is told secrets, and it alone may be anywhere.
    pub home: &'e Site,
    /// Whose credentials are used; nobody's where there is none.
    pub repository: Option<&'e Repository>,
    /// What settings add to the requests to `home`, and to nobody else.
    pub headers: &'e Added,
    /// What a token must allow, as `repository:app:pull`.
    pub scopes: &'e [Box<str>],
    /// Whether redirects are followed.
    pub redirects: Redirects,
    /// Whether it may be asked again when nobody knows whether it was done.
    pub repeat: Repeat,
    /// Whether it is worth asking as nobody.
    pub who: Who,
}

impl<'e> Errand<'e> {
    /// A question of somebody unknown: no secrets, no redirects, repeated where the method allows.
    pub fn new(home: &'e Site) -> Self {
        Self {
            home,
            repository: None,
            headers: &NONE_ADDED,
            scopes: &[],
            redirects: Redirects::Given,
            repeat: Repeat::ByMethod,
            who: Who::MayBeNobody,
        }
    }
}

static NONE_ADDED: Added = Added::NONE;

/// As whom something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// As the user, or as nobody where a credential must be held back: many things are for everybody.
    MayBeNobody,
    /// As the user or not at all: the question is whether they are let in.
    User,
}

/// What becomes of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// It is given to the caller as the answer that it is.
    Given,
    /// It is followed, for `GET` and `HEAD`: blobs, and files of the web.
    Followed,
}

/// Whether a request may be sent again when nobody knows whether it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// As its method says: `POST` and `PATCH` are not.
    ByMethod,
    /// It may: doing it twice does no harm.
    Safe,
    /// It may not: the caller must look first at what became of it.
    Never,
}

/// What is sent with a request. It can be opened again, and so sent again.
#[derive(Clone, Copy)]
pub enum Payload<'p> {
    /// Nothing.
    Empty,
    /// A document.
    Bytes(&'p [u8]),
    /// A part of a blob.
    Part {
        /// The blob.
        origin: &'p dyn Origin,
        /// First byte.
        at: u64,
        /// Bytes.
        size: u64,
    },
}

impl<'a> Client<'a> {
    /// A client over sockets; clients of one command share a pool.
    pub fn new(cx: Context<'a>, network: Network<'a>, pool: &'a Pool, options: Options) -> Self {
        let http = Http { cancel: cx.cancel, trust: network.trust, pool, stall: options.stall };
        Self::over(Arc::new(http), cx, network, pool, options)
    }

    /// A client over any exchange.
    pub fn over(
        exchange: Arc<dyn Exchange + 'a>,
        cx: Context<'a>,
        network: Network<'a>,
        pool: &'a Pool,
        options: Options,
    ) -> Self {
        Self { cx, network, pool, options, exchange }
    }

    /// A client that asks though the user wants to stop, once, until `cancel` is set. It goes to the same places.
    pub(crate) fn for_a_last_word<'b>(&self, cancel: &'b Cancel, patience: Duration) -> Client<'b>
    where
        'a: 'b,
    {
        let options = Options { retries: 0, stall: patience, patience, ..self.options.clone() };
        Client::new(Context { cancel, ..self.cx }, self.network, self.pool, options)
    }

    /// Observer, cancel flag and limits.
    pub fn context(&self) -> Context<'a> {
        self.cx
    }

    /// Hosts, trust, secrets and journal.
    pub fn network(&self) -> Network<'a> {
        self.network
    }

    /// What it shares with other clients of the command.
    pub fn pool(&self) -> &'a Pool {
        self.pool
    }

    /// How patient it is.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Asks, and gives the answer whatever it says; what can be mended by asking again was mended before. The body of
    /// a `GET` goes on where its connection breaks.
    pub fn call(&self, request: &Request, errand: &Errand<'_>, payload: Payload<'_>) -> Result<Answer<'_>> {
        let answer = self.insist(request, errand, payload)?;
        if request.method == Method::Get && matches!(answer.head.status, 200 | 206) {
            return Ok(Resumed::wrap(self, request, errand, answer));
        }
        Ok(answer)
    }

    /// Asks until there is an answer that will not change.
    fn insist(&self, request: &Request, errand: &Errand<'_>, payload: Payload<'_>) -> Result<Answer<'_>> {
        // Before anything is done for the request: a credential helper may ask the network on its own.
        self.pool.line().permit(request.address.site())?;
        let mut budget = Budget::new();
        loop {
            let sent = AtomicU64::new(0);
            let outcome = self.follow(request, errand, payload, &sent);
            let trouble = match &outcome {
                Ok(answer) => retry::trouble_in(&answer.head, (self.network.clock)()),
                Err(fault) => retry::trouble_of(fault),
            };
            let may_repeat = |it: &Trouble| retry::may_repeat(request.method, errand.repeat, it.done);
            let Some(trouble) = trouble.filter(may_repeat) else { return outcome };
            let head = outcome.as_ref().ok().map(|answer| &answer.head);
            let Some(time) = budget.spend(&trouble, &self.options, &request.address, head)? else {
                return outcome;
            };
            drop(outcome);
            retry::pause(self.cx, &request.address, &trouble, time)?;
            let what = request.address.to_string();
            // Who must look first at what became of a request counts its bytes as well.
            let again = if errand.repeat == Repeat::Never { 0 } else { sent.into_inner() };
            self.cx.observer.event(Event::Retried { what, why: trouble.why, again });
        }
    }

    /// Asks, wherever that leads.
    fn follow(
        &self,
        request: &Request,
        errand: &Errand<'_>,
        payload: Payload<'_>,
        sent: &AtomicU64,
    ) -> Result<Answer<'_>> {
        let mut request = request.clone();
        for _ in 0..=redirect::MOST {
            let answer = self.ask(&request, errand, payload, sent)?;
            self.warn(request.address.site(), &answer.head);
            match redirect::next(&request, &answer.head, errand)? {
                Some(next) => request = next,
                None => return Ok(answer),
            }
        }
        Err(Error::RedirectLoop { address: request.address, limit: redirect::MOST }.into())
    }

    /// Asks, and says who asks where the home site wants to know. Nobody else is told.
    fn ask(
        &self,
        request: &Request,
        errand: &Errand<'_>,
        payload: Payload<'_>,
        sent: &AtomicU64,
    ) -> Result<Answer<'_>> {
        if errand.repository.is_none() || request.address.site() != errand.home {
            return self.send(request, errand, payload, sent);
        }
        let mut pass = Pass::new(self.network, self.pool.tokens(), errand);
        loop {
            let mut request = request.clone();
            if let Some(header) = pass.header(&|asked, body| self.ask_for_token(asked, body, errand.home))? {
                request.headers.remove("Authorization");
                request = request.with("Authorization", header);
            }
            let mut answer = self.send(&request, errand, payload, sent)?;
            if answer.head.status != 401 || pass.refused(&answer.head)? == Again::No {
                return Ok(answer);
            }
            // A connection is used again when its answer was read.
            let _ended = io::copy(&mut answer.body.by_ref().take(failure::LONGEST as u64), &mut io::sink());
        }
    }

    /// A token may be asked for as often as one likes.
    fn ask_for_token(&self, request: &Request, body: &[u8], home: &Site) -> Result<Answer<'_>> {
        let errand = Errand { repeat: Repeat::Safe, ..Errand::new(home) };
        let payload = if body.is_empty() { Payload::Empty } else { Payload::Bytes(body) };
        self.insist(request, &errand, payload)
    }

    fn send(
        &self,
        request: &Request,
        errand: &Errand<'_>,
        payload: Payload<'_>,
        sent: &AtomicU64,
    ) -> Result<Answer<'_>> {
        let is_home = request.address.site() == errand.home;
        let (headers, named) =
            if is_home { (errand.headers, Named::ByUser) } else { (&NONE_ADDED, Named::BySite(errand.home)) };
        let outcome = self.send_body(&headers.to(request), named, payload, sent);
        let bytes = sent.load(Ordering::Relaxed);
        if bytes > 0 {
            self.cx.observer.event(Event::Sent { bytes });
        }
        outcome.map(|answer| Heard::wrap(self.cx.observer, answer))
    }

    /// Sends a request, and counts what was sent of its body.
    fn send_body(
        &self,
        request: &Request,
        named: Named<'_>,
        payload: Payload<'_>,
        sent: &AtomicU64,
    ) -> Result<Answer<'_>> {
        sent.store(0, Ordering::Relaxed);
        match payload {
            Payload::Empty => self.exchange.send(request, named, Body::Empty),
            Payload::Bytes(bytes) => {
                sent.store(bytes.len() as u64, Ordering::Relaxed);
                self.exchange.send(request, named, Body::Bytes(bytes))
            }
            Payload::Part { origin, at, size } => {
                let mut read = Counted { read: origin.open(at)?.take(size), count: sent };
                self.exchange.send(request, named, Body::Stream { size, read: &mut read })
            }
        }
    }

    /// distribution-spec, "Warnings": shown, once, and nothing else.
    fn warn(&self, site: &Site, head: &Head) {
        for text in header::warnings(&head.headers) {
            if self.pool.is_news(site, &text) {
                self.cx.observer.event(Event::Warned(format!("{site} says: {text}")));
            }
        }
    }
}

/// Counts what is read of it.
struct Counted<'r, R> {
    read: R,
    count: &'r AtomicU64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
