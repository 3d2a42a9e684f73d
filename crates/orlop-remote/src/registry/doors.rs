//! Where a repository is spoken to: its endpoints in order, mirrors first, and on whose behalf.
//!
//! Invariant: an endpoint is told its own credentials; a mirror never those of the repository that it mirrors.

use super::error::Error;
use crate::client::{Client, Errand, Payload, Redirects, Repeat, Who};
use crate::exchange::Answer;
use orlop_spec::network::{Access, Endpoint, Serves};
use orlop_spec::port::{Lender, Result};
use orlop_spec::reference::Repository;
use orlop_spec::wire::failure::{self, Failure};
use orlop_spec::wire::{Address, Head, Place, Request, Site};
use orlop_spec::{Fault, Kind};
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The endpoints of one repository, and who asks there.
pub(super) struct Doors<'a> {
    pub(super) client: Client<'a>,
    pub(super) repository: Repository,
    /// What becomes of manifests of Docker's schema 1.
    pub(super) old: Old,
    all: Vec<Door>,
}

/// What becomes of manifests of Docker's schema 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Old {
    Refused,
    /// They are given: what is signed, where they are.
    Given,
}

/// One endpoint.
pub(super) struct Door {
    endpoint: Endpoint,
    /// Which of its sites answers.
    at: AtomicUsize,
    /// Whether one has answered, so that no other one is tried.
    is_met: AtomicBool,
    /// Whether none answered, so that the others go first.
    is_shut: AtomicBool,
}

/// A question to one endpoint.
pub(super) struct Ask<'q> {
    /// The question at a site.
    pub(super) request: &'q dyn Fn(&Place) -> Result<Request>,
    /// What is to be done: words of a token's scope. Empty where no repository is meant.
    pub(super) actions: &'static str,
    /// Another repository that must be readable.
    pub(super) lender: Option<&'q str>,
    pub(super) payload: Payload<'q>,
    pub(super) repeat: Repeat,
    pub(super) who: Who,
}

pub(super) const PULL: &str = "pull";
pub(super) const PUSH: &str = "pull,push";
pub(super) const DELETE: &str = "delete,pull,push";

impl<'q> Ask<'q> {
    /// A question without a body.
    pub(super) fn new(actions: &'static str, request: &'q dyn Fn(&Place) -> Result<Request>) -> Self {
        Self {
            request,
            actions,
            lender: None,
            payload: Payload::Empty,
            repeat: Repeat::ByMethod,
            who: Who::MayBeNobody,
        }
    }
}

/// An answer, and what was asked.
pub(super) struct Told<'x> {
    pub(super) request: Request,
    pub(super) answer: Answer<'x>,
}

impl<'a> Doors<'a> {
    /// The endpoints of a repository.
    pub(super) fn of(client: Client<'a>, repository: &Repository, access: Access) -> Result<Self> {
        let all = client.network().hosts.endpoints(repository, access)?.into_iter().map(Door::new).collect();
        Ok(Self { all, repository: repository.clone(), old: Old::Refused, client })
    }

    /// The first endpoint; for writing, the only one.
    pub(super) fn home(&self) -> Result<&Door> {
        self.all.first().ok_or_else(|| self.nowhere("").into())
    }

    /// Asks the endpoints that serve `what` in their order, up to the first that can answer; those that could not be
    /// reached come last from then on.
    pub(super) fn first<T>(&self, what: Serves, ask: impl Fn(&Door) -> Result<T>) -> Result<T> {
        let serves =
            |door: &&Door| matches!(door.endpoint.serves, Serves::All) || door.endpoint.serves == what;
        let mut doors: Vec<&Door> = self.all.iter().filter(serves).collect();
        doors.sort_by_key(|door| door.is_shut.load(Ordering::Relaxed));
        let mut refused: Option<Fault> = None;
        for door in doors {
            match ask(door) {
                Err(fault) if fault.kind() == Kind::Interrupted => return Err(fault),
                Err(fault) => {
                    door.is_shut.store(fault.kind() == Kind::Unreachable, Ordering::Relaxed);
                    refused = Some(fault);
                }
                answer => return answer,
            }
        }
        Err(refused
            .unwrap_or_else(|| self.nowhere(if what == Serves::Tags { "tags" } else { "digests" }).into()))
    }

    /// Asks one endpoint.
    pub(super) fn ask(&self, door: &Door, ask: &Ask<'_>) -> Result<Told<'_>> {
        door.ask(&self.client, ask)
    }

    /// The same, where anything but success is an error.
    pub(super) fn demand(&self, door: &Door, ask: &Ask<'_>) -> Result<Told<'_>> {
        self.ask(door, ask)?.success()
    }

    /// The repositories that blobs are read from, as other repositories of the same sites may borrow them.
    pub(super) fn lenders(&self) -> Vec<Lender> {
        let lender =
            |door: &Door| Some(Lender { site: door.site()?.clone(), repository: door.repository().into() });
        self.all.iter().filter_map(lender).collect()
    }

    fn nowhere(&self, wanted: &str) -> Error {
        Error::NoEndpoint { repository: Box::new(self.repository.clone()), wanted: wanted.into() }
    }
}

impl Door {
    fn new(endpoint: Endpoint) -> Self {
        let (is_met, is_shut) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { endpoint, at: AtomicUsize::new(0), is_met, is_shut }
    }

    /// Asks it. As long as none of its sites has answered, a site that cannot be spoken to is followed by the next one.
    pub(super) fn ask<'x>(&self, client: &'x Client<'_>, ask: &Ask<'_>) -> Result<Told<'x>> {
        let scopes = scopes(self.repository(), ask);
        loop {
            let at = self.at.load(Ordering::Relaxed);
            let place = self.place_at(at)?;
            let request = (ask.request)(&place)?;
            let errand = Errand {
                home: place.site(),
                repository: Some(&self.endpoint.repository),
                headers: &self.endpoint.headers,
                scopes: &scopes,
                redirects: Redirects::Followed,
                repeat: ask.repeat,
                who: ask.who,
            };
            match client.call(&request, &errand, ask.payload) {
                Ok(answer) => {
                    self.is_met.store(true, Ordering::Relaxed);
                    return Ok(Told { request, answer });
                }
                Err(fault) if is_no_contact(&fault) && self.goes_on_from(at) => {}
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Name of the repository there.
    pub(super) fn repository(&self) -> &str {
        self.endpoint.repository.name()
    }

    /// The site that is spoken to.
    pub(super) fn site(&self) -> Option<&Site> {
        self.endpoint.sites.get(self.at.load(Ordering::Relaxed))
    }

    /// The repository at the site that is spoken to.
    pub(super) fn place(&self) -> Result<Place> {
        self.place_at(self.at.load(Ordering::Relaxed))
    }

    fn place_at(&self, at: usize) -> Result<Place> {
        let site = self.endpoint.sites.get(at).cloned();
        let site =
            site.ok_or_else(|| Error::NoSite { repository: Box::new(self.endpoint.repository.clone()) })?;
        let place = Place::beneath(site, &self.endpoint.root, self.repository())?;
        Ok(place.standing_for(self.endpoint.namespace.as_deref()))
    }

    /// Whether there is another site to try than the one that could not be spoken to; another question, asked at the
    /// same time, may have found it out before.
    fn goes_on_from(&self, at: usize) -> bool {
        if self.at.load(Ordering::Relaxed) != at {
            return true;
        }
        let has_other = !self.is_met.load(Ordering::Relaxed) && at + 1 < self.endpoint.sites.len();
        if has_other {
            // Who was faster said the same.
            let _same = self.at.compare_exchange(at, at + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
        has_other
    }
}

impl Told<'_> {
    pub(super) fn status(&self) -> u16 {
        self.answer.head.status
    }

    pub(super) fn head(&self) -> &Head {
        &self.answer.head
    }

    pub(super) fn address(&self) -> &Address {
        &self.request.address
    }

    /// An answer that is no success becomes an error.
    pub(super) fn success(self) -> Result<Self> {
        if self.answer.head.is_success() { Ok(self) } else { Err(self.failure().into()) }
    }

    /// What the registry said, as an error.
    pub(super) fn failure(self) -> Failure {
        let Self { request, answer: Answer { head, body } } = self;
        let mut said = Vec::new();
        // What the registry says about it only helps; it may break off.
        let _broken = body.take(failure::LONGEST as u64).read_to_end(&mut said);
        Failure::read(&request, &head, &said)
    }

    /// The head; the short body is read to its end, so that the connection can be used again.
    pub(super) fn drained(self) -> (Address, Head) {
        let Self { request, answer: Answer { head, body } } = self;
        let _broken = std::io::copy(&mut body.take(failure::LONGEST as u64), &mut std::io::sink());
        (request.address, head)
    }
}

/// What a token must allow.
fn scopes(repository: &str, ask: &Ask<'_>) -> Vec<Box<str>> {
    let own = (!ask.actions.is_empty()).then(|| format!("repository:{repository}:{}", ask.actions).into());
    let lender = ask.lender.map(|lender| format!("repository:{lender}:{PULL}").into());
    own.into_iter().chain(lender).collect()
}

/// Whether a site could not be spoken to at all, or not under TLS. One that shows a certificate speaks TLS, whoever
/// vouches for it: nothing is said to it in the clear.
fn is_no_contact(fault: &Fault) -> bool {
    let has_no_tls = matches!(fault.downcast_ref(), Some(crate::Error::NoTls { .. }));
    has_no_tls || fault.kind() == Kind::Unreachable
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::wire::Scheme;

    /// Two questions ask the first site at once; the faster one moves on and is answered before the slower one fails.
    #[test]
    fn who_is_slower_goes_on_where_the_faster_one_did() {
        let site = |scheme| Site::parse(scheme, "localhost:5000").expect("a site");
        let repository = Repository::parse("localhost:5000/app").expect("a name");
        let sites = vec![site(Scheme::Https), site(Scheme::Http)];
        let door = Door::new(Endpoint {
            sites,
            root: "/v2".into(),
            repository,
            serves: Serves::All,
            namespace: None,
            headers: orlop_spec::network::Added::NONE,
        });
        assert!(door.goes_on_from(0));
        door.is_met.store(true, Ordering::Relaxed);
        assert!(door.goes_on_from(0));
        assert_eq!(door.site().map(Site::scheme), Some(Scheme::Http));
        assert!(!door.goes_on_from(1), "the one that answered is the last");
    }
}
