//! An upload of a blob, as a machine without sockets (distribution-spec, "Pushing Blobs").
//!
//! ```text
//!  mount ──202──► DELETE ──► mount from the next lender
//!    │ the last one, or none
//!  begin ──201 mounted──────────────────────────────────────────────► done
//!    │202                                                               ▲
//!    ├─ one piece ──► PUT bytes ?digest ──201───────────────────────────┤
//!    └─ chunks ─────► PATCH bytes ──202──► PATCH … ──► PUT ?digest ─201─┘
//!                       │416, 5xx, broken        │ broken, 404, 5xx
//!                       ▼                        ▼
//!                     GET status ──204──►      HEAD blob ──404──► GET status, or begin again
//! ```
//!
//! Invariant: bytes are sent in order from what the registry acknowledged, never beyond it, and only so many steps may
//! pass without progress. A location of another site is sent bytes and no more than that: whoever sends holds secrets
//! back from every site but the registry's (N3).

use super::endpoint::{self, Place};
use super::{Address, Head, Request, Scheme, Site, WireError, header};
use crate::digest::AnyDigest;
use crate::network;
use std::cmp::Ordering;
use std::ops::Range;

/// How a blob is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// Into one.
    One,
    /// Into chunks of about so many bytes: more where the registry wants more.
    Chunks(u64),
}

/// What is to be asked next; the body is a part of the blob, empty for most questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The question.
    pub request: Request,
    /// Bytes of the blob that go with it.
    pub body: Range<u64>,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More is to be asked.
    Ask,
    /// The registry holds the blob, because it took it from another repository.
    Mounted,
    /// The registry holds the blob.
    Uploaded,
    /// It comes to nothing: the answer is why.
    Failed,
}

/// Steps without progress that are borne, one after the other.
const PATIENCE: u32 = 5;
/// How often it may go back: to an earlier byte, or to the beginning.
const SETBACKS: u32 = 3;
/// A chunk is not made smaller than this when it is too large for somebody on the way.
const SMALLEST: u64 = 1 << 20;

/// One blob on its way.
#[derive(Clone, Debug)]
pub struct Upload {
    place: Place,
    digest: AnyDigest,
    size: u64,
    pieces: Pieces,
    least: u64,
    /// Repositories that were not asked yet, the next one last.
    lenders: Vec<Box<str>>,
    state: State,
    location: Option<Address>,
    acknowledged: u64,
    /// Bytes that the registry may have: the end of the last chunk that was sent.
    sent: u64,
    troubles: u32,
    setbacks: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Mount(Box<str>),
    /// A lender did not lend, and the registry began an upload for it: it is given up, and the next one is asked.
    Abandon,
    Begin,
    Send,
    Status,
    Close,
    /// Nobody knows whether the last question was heard: is the blob there?
    Look,
    End,
}

impl Upload {
    /// An upload of `size` bytes named `digest`; it begins by asking for the blob of the repositories `lenders`, one
    /// after the other.
    pub fn new(place: Place, digest: AnyDigest, size: u64, pieces: Pieces, lenders: &[Box<str>]) -> Self {
        let mut upload = Self {
            place,
            digest,
            size,
            pieces,
            least: 1,
            lenders: lenders.iter().rev().cloned().collect(),
            state: State::Begin,
            location: None,
            acknowledged: 0,
            sent: 0,
            troubles: 0,
            setbacks: 0,
        };
        upload.state = upload.next_lender();
        upload
    }

    /// Goes on with what an earlier run left, if the registry still knows it.
    #[must_use]
    pub fn resumed(mut self, left: network::Upload) -> Self {
        self.location = Some(left.location);
        self.acknowledged = left.acknowledged.min(self.size);
        self.sent = self.size;
        self.state = State::Status;
        self
    }

    /// What a later run needs in order to go on, after so many bytes were `sent`; `None` where the registry knows of
    /// no upload.
    pub fn to_resume(&self, sent: u64) -> Option<network::Upload> {
        let location = self.location.clone().filter(|_| self.state != State::End)?;
        Some(network::Upload { location, acknowledged: self.acknowledged, sent })
    }

    /// Gives the upload up (item 215); `None` where the registry knows of none.
    pub fn cancel(&self) -> Option<Request> {
        let location = self.location.as_ref().filter(|_| self.state != State::End)?;
        Some(endpoint::cancel_upload(location))
    }

    /// The repository that is asked for the blob now, if one is: it must be readable.
    pub fn lender(&self) -> Option<&str> {
        match &self.state {
            State::Mount(from) => Some(from),
            _ => None,
        }
    }

    /// Whether it goes on whatever the answer is: a refusal costs nothing but bytes.
    pub fn is_asking_a_favour(&self) -> bool {
        matches!(self.state, State::Mount(_) | State::Abandon)
    }

    /// Bytes that the registry has said it took.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// What is to be asked now; the same until an answer is told.
    pub fn ask(&self) -> Ask {
        let place = &self.place;
        let (request, body) = match (&self.state, &self.location) {
            (State::Mount(from), _) => (place.mount(&self.digest, from), 0..0),
            (State::Abandon, Some(location)) => (endpoint::cancel_upload(location), 0..0),
            (State::Begin, _) => (place.begin_upload(), 0..0),
            (State::Status, Some(location)) => (endpoint::ask_upload(location), 0..0),
            (State::Send, Some(location)) => {
                let body = self.chunk();
                (endpoint::send_chunk(location, body.start, body.end), body)
            }
            (State::Close, Some(location)) => {
                let first = if self.pieces == Pieces::One { 0 } else { self.size };
                (endpoint::close_upload(location, &self.digest), first..self.size)
            }
            _ => (place.head_blob(&self.digest), 0..0),
        };
        Ask { request, body }
    }

    /// Tells the answer to [`Upload::ask`].
    pub fn answered(&mut self, head: &Head) -> Result<Next, WireError> {
        let asked = self.ask();
        self.sent = self.sent.max(asked.body.end);
        match self.react(&asked, head)? {
            Next::Failed if head.is_success() => {
                Err(WireError::Stuck { site: Box::new(self.place.site().clone()), at: self.acknowledged })
            }
            next => Ok(next),
        }
    }

    /// Tells that the connection broke, so that nobody knows what was heard. [`Next::Failed`] when that was too often.
    pub fn broke(&mut self) -> Next {
        self.sent = self.sent.max(self.ask().body.end);
        match self.state {
            State::Send => self.trouble(State::Status),
            State::Close => self.trouble(State::Look),
            State::Abandon => self.ask_next(),
            ref same => self.trouble(same.clone()),
        }
    }

    fn react(&mut self, asked: &Ask, head: &Head) -> Result<Next, WireError> {
        match (&self.state, head.status) {
            (State::Mount(_), 201) => Ok(self.end(Next::Mounted)),
            (State::Mount(_), 202) if !self.lenders.is_empty() => {
                self.location = Some(self.follow(&asked.request.address, head)?);
                Ok(self.go(State::Abandon))
            }
            (State::Mount(_) | State::Begin, 202) => self.begun(asked, head),
            // Rights on the other repository may be missing; another may lend, and the bytes can still be sent.
            (State::Mount(_), 400..=499) | (State::Abandon, _) => Ok(self.ask_next()),
            (State::Send, 200..=299) => self.taken(asked, head),
            (State::Send, 416) => self.out_of_step(asked, head),
            (State::Send, 413) => Ok(self.shrink()),
            (State::Send, 408 | 429 | 500 | 502..=599) => Ok(self.trouble(State::Status)),
            (State::Send, 400 | 404 | 405 | 411 | 415 | 501) if asked.body.start == 0 => {
                self.pieces = Pieces::One;
                Ok(self.begin_again())
            }
            (State::Send, 400 | 404) | (State::Status, 400 | 402 | 404..=499) => Ok(self.begin_again()),
            (State::Status, 200..=299) => self.told(asked, head),
            (State::Close, 200 | 201 | 204) | (State::Look, 200..=299) => Ok(self.end(Next::Uploaded)),
            (State::Close, 404 | 408 | 416 | 429 | 500 | 502..=599) => Ok(self.trouble(State::Look)),
            (State::Look, 404) if self.pieces == Pieces::One => Ok(self.begin_again()),
            (State::Look, 404) => Ok(self.go(State::Status)),
            _ => Ok(Next::Failed),
        }
    }

    /// What is sent next: the wished size, but no less than the registry wants of all but the last.
    fn chunk(&self) -> Range<u64> {
        let wished = match self.pieces {
            Pieces::One => self.size,
            Pieces::Chunks(bytes) => bytes.max(self.least).max(1),
        };
        self.acknowledged..self.size.min(self.acknowledged.saturating_add(wished))
    }

    fn begun(&mut self, asked: &Ask, head: &Head) -> Result<Next, WireError> {
        self.location = Some(self.follow(&asked.request.address, head)?);
        self.least = header::chunk_min_length(&head.headers).unwrap_or(1);
        (self.acknowledged, self.sent) = (0, 0);
        let chunked = self.pieces != Pieces::One && self.size > 0;
        Ok(self.go(if chunked { State::Send } else { State::Close }))
    }

    /// A chunk was taken, or a part of it.
    fn taken(&mut self, asked: &Ask, head: &Head) -> Result<Next, WireError> {
        self.moved(asked, head)?;
        let acknowledged = match header::acknowledged(&head.headers) {
            None => self.sent,
            Some(0) if self.sent > 1 => 0,
            // Some count the bytes rather than naming the last one.
            Some(last) if last == self.sent => last,
            Some(last) => last + 1,
        };
        self.advance(acknowledged)
    }

    /// The registry expects another offset.
    fn out_of_step(&mut self, asked: &Ask, head: &Head) -> Result<Next, WireError> {
        self.moved(asked, head)?;
        match header::acknowledged(&head.headers) {
            // `0-0` is nothing or one byte, and nothing was wrong.
            Some(0) if asked.body.start == 0 => self.advance(1),
            Some(last) if last + 1 != asked.body.start => self.advance(last + 1),
            _ => Ok(self.trouble(State::Status)),
        }
    }

    /// The registry said how much it has.
    fn told(&mut self, asked: &Ask, head: &Head) -> Result<Next, WireError> {
        self.moved(asked, head)?;
        match header::acknowledged(&head.headers) {
            _ if self.pieces == Pieces::One => Ok(self.begin_again()),
            Some(0) if self.acknowledged != 1 => self.advance(0),
            Some(last) => self.advance(last + 1),
            None => self.advance(0),
        }
    }

    fn advance(&mut self, acknowledged: u64) -> Result<Next, WireError> {
        if acknowledged > self.sent {
            let site = Box::new(self.place.site().clone());
            return Err(WireError::Acknowledged { site, acknowledged, sent: self.sent });
        }
        let before = std::mem::replace(&mut self.acknowledged, acknowledged);
        let state = if acknowledged == self.size { State::Close } else { State::Send };
        Ok(match acknowledged.cmp(&before) {
            Ordering::Greater => {
                self.troubles = 0;
                self.go(state)
            }
            Ordering::Equal if self.state == State::Status => self.go(state),
            Ordering::Equal => self.trouble(state),
            Ordering::Less => self.set_back(state),
        })
    }

    /// Half the size, where a chunk is too large for the registry or for somebody before it.
    fn shrink(&mut self) -> Next {
        match self.pieces {
            Pieces::Chunks(bytes) if bytes / 2 >= SMALLEST.max(self.least) => {
                self.pieces = Pieces::Chunks(bytes / 2);
                self.go(State::Status)
            }
            _ => Next::Failed,
        }
    }

    fn ask_next(&mut self) -> Next {
        self.location = None;
        let state = self.next_lender();
        self.go(state)
    }

    fn next_lender(&mut self) -> State {
        self.lenders.pop().map_or(State::Begin, State::Mount)
    }

    fn begin_again(&mut self) -> Next {
        self.set_back(State::Begin)
    }

    fn set_back(&mut self, state: State) -> Next {
        self.setbacks += 1;
        if self.setbacks > SETBACKS { Next::Failed } else { self.go(state) }
    }

    fn trouble(&mut self, state: State) -> Next {
        self.troubles += 1;
        if self.troubles > PATIENCE { Next::Failed } else { self.go(state) }
    }

    fn go(&mut self, state: State) -> Next {
        self.state = state;
        Next::Ask
    }

    fn end(&mut self, next: Next) -> Next {
        self.state = State::End;
        next
    }

    /// Takes a new location, if the answer has one.
    fn moved(&mut self, asked: &Ask, head: &Head) -> Result<(), WireError> {
        if head.headers.get("Location").is_some() {
            self.location = Some(self.follow(&asked.request.address, head)?);
        }
        Ok(())
    }

    /// Registries behind a proxy that ends TLS often call themselves `http`: that is the same registry, and it is
    /// spoken to under TLS. Anybody else in the clear is refused.
    fn follow(&self, asked: &Address, head: &Head) -> Result<Address, WireError> {
        let home = self.place.site();
        let location = endpoint::location(asked, head)?;
        if home.scheme() == Scheme::Http || location.site().scheme() == Scheme::Https {
            return Ok(location);
        }
        let is_home = |site: &Site| site.host() == home.host() && [80, home.port()].contains(&site.port());
        let refused =
            WireError::InTheClear { asked: Box::new(asked.clone()), to: Box::new(location.clone()) };
        if !is_home(location.site()) {
            return Err(refused);
        }
        Address::at(home.clone(), location.target()).map_err(|_| refused)
    }
}

#[cfg(test)]
mod tests;
