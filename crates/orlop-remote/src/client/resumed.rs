//! A body that goes on where the connection broke.
//!
//! ```text
//! GET ──► bytes 0..n ──✗        GET Range: bytes=n-LAST ──► bytes n..
//! ```
//!
//! Invariant: the bytes come in order, each once, and as many as the first answer said. Whether they are the right
//! ones, whoever reads them proves.

use super::{Client, Errand, Payload, Redirects};
use crate::error::Error;
use crate::exchange::Answer;
use crate::retry::{self, Budget, Trouble};
use orlop_spec::network::Added;
use orlop_spec::port::Result;
use orlop_spec::reference::Repository;
use orlop_spec::wire::header::{self, ContentRange};
use orlop_spec::wire::{Address, Head, Request, Site};
use orlop_spec::{Event, Fault};
use std::io::{self, Read};

/// How much must move for earlier failures to be forgotten.
const PROGRESS: u64 = 64 << 10;

/// The body of an answer to a `GET`.
pub(super) struct Resumed<'c> {
    client: &'c Client<'c>,
    ask: Ask,
    body: Box<dyn Read + Send + 'c>,
    /// Where the answer began in the whole, and what it is recognised by.
    first: u64,
    size: Option<u64>,
    tag: Option<Box<str>>,
    /// Bytes that were given.
    got: u64,
    /// What `got` was when the budget was last whole.
    mark: u64,
    budget: Budget,
}

/// The errand, kept for as long as the body is read.
struct Ask {
    request: Request,
    home: Site,
    repository: Option<Repository>,
    headers: Added,
    scopes: Box<[Box<str>]>,
    redirects: Redirects,
}

impl<'c> Resumed<'c> {
    pub(super) fn wrap(
        client: &'c Client<'c>,
        request: &Request,
        errand: &Errand<'_>,
        answer: Answer<'c>,
    ) -> Answer<'c> {
        let Answer { head, body } = answer;
        let first = match header::content_range(&head.headers) {
            Some(ContentRange::Part { first, .. }) if head.status == 206 => first,
            _ => 0,
        };
        let ask = Ask {
            request: request.clone(),
            home: errand.home.clone(),
            repository: errand.repository.cloned(),
            headers: errand.headers.clone(),
            scopes: errand.scopes.into(),
            redirects: errand.redirects,
        };
        let (size, tag) = (header::content_length(&head.headers), tag_of(&head));
        let body =
            Box::new(Self { client, ask, body, first, size, tag, got: 0, mark: 0, budget: Budget::new() });
        Answer { head, body }
    }

    /// Asks for the rest, as often as that may help.
    fn mend(&mut self, mut error: io::Error) -> io::Result<()> {
        let address = self.ask.request.address.clone();
        if self.got - self.mark >= PROGRESS {
            self.budget.restore();
        }
        self.mark = self.got;
        loop {
            let fault = Fault::io(format!("read {address}"), error);
            let Some(trouble) = retry::trouble_of(&fault) else { return Err(fault.into()) };
            let options = self.client.options();
            let time = self.budget.spend(&trouble, options, &address, None).map_err(Fault::from)?;
            let Some(time) = time else { return Err(fault.into()) };
            retry::pause(self.client.cx, &address, &trouble, time)?;
            let answer = self.ask_rest()?;
            match self.align(answer, &trouble) {
                Ok(Some(body)) => {
                    self.body = body;
                    return Ok(());
                }
                Ok(None) => return Err(fault.into()),
                Err(broken) => error = broken.into(),
            }
        }
    }

    fn ask_rest(&self) -> Result<Answer<'c>> {
        let mut request = self.ask.request.clone();
        request.headers.remove("Range");
        let at = self.first + self.got;
        let last = self.size.and_then(|size| (self.first + size).checked_sub(1));
        let request = if at == 0 { request } else { request.with("Range", header::range(at, last)) };
        let errand = Errand {
            home: &self.ask.home,
            repository: self.ask.repository.as_ref(),
            headers: &self.ask.headers,
            scopes: &self.ask.scopes,
            redirects: self.ask.redirects,
            ..Errand::new(&self.ask.home)
        };
        self.client.insist(&request, &errand, Payload::Empty)
    }

    /// Brings an answer to where the last one broke; `None` where it is about something else.
    fn align(&self, answer: Answer<'c>, trouble: &Trouble) -> Result<Option<Box<dyn Read + Send + 'c>>> {
        let Answer { head, mut body } = answer;
        let at = self.first + self.got;
        let is_same = self.tag.is_none() || tag_of(&head).is_none_or(|tag| Some(tag) == self.tag);
        let begins = match header::content_range(&head.headers) {
            Some(ContentRange::Part { first, .. }) if head.status == 206 => first,
            _ if head.status == 200 => 0,
            _ => return Ok(None),
        };
        let Some(skip) = at.checked_sub(begins).filter(|_| is_same) else { return Ok(None) };
        let address = &self.ask.request.address;
        let skipped = io::copy(&mut body.by_ref().take(skip), &mut io::sink());
        let skipped = skipped.map_err(|error| Fault::io(format!("read {address}"), error))?;
        if skipped < skip {
            return Err(truncated(address, skipped, self.size));
        }
        let (what, why) = (address.to_string(), trouble.why.clone());
        self.client.cx.observer.event(Event::Retried { what, why, again: skipped });
        Ok(Some(match self.size {
            Some(size) => Box::new(body.take(size - self.got)),
            None => body,
        }))
    }
}

impl Read for Resumed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.size == Some(self.got) {
            return Ok(0);
        }
        loop {
            match self.body.read(buffer) {
                Ok(0) if self.size.is_some_and(|size| self.got < size) => {
                    self.mend(truncated(&self.ask.request.address, self.got, self.size).into())?;
                }
                Ok(count) => {
                    self.got += count as u64;
                    return Ok(count);
                }
                Err(error) => self.mend(error)?,
            }
        }
    }
}

fn truncated(address: &Address, got: u64, of: Option<u64>) -> Fault {
    Error::Truncated { address: address.clone(), got, of }.into()
}

/// By what two answers are known to be about one thing.
fn tag_of(head: &Head) -> Option<Box<str>> {
    let tag = head.headers.get("ETag").filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| head.headers.get("Docker-Content-Digest")).map(Into::into)
}
