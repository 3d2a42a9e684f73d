//! Where a redirect leads, and whether it is followed.
//!
//! Invariant: a redirect never leads from TLS into the clear, and never more than [`MOST`] times. Secrets are no part
//! of a request here: they are added for the home site alone, when it is sent.

use super::{Errand, Redirects};
use crate::error::Error;
use orlop_spec::wire::{Head, Method, Request, Scheme};

/// The most redirects of one request.
pub(super) const MOST: usize = 5;

/// The request that an answer leads to, where it is one to follow.
pub(super) fn next(request: &Request, head: &Head, errand: &Errand<'_>) -> Result<Option<Request>, Error> {
    let is_asking = matches!(request.method, Method::Get | Method::Head);
    let is_redirect = matches!(head.status, 301 | 302 | 303 | 307 | 308);
    if errand.redirects == Redirects::Given || !is_asking || !is_redirect {
        return Ok(None);
    }
    let Some(location) = head.headers.get("Location") else { return Ok(None) };
    let from = &request.address;
    let address =
        from.join(location).map_err(|source| Error::BadLocation { address: from.clone(), source })?;
    if from.site().scheme() == Scheme::Https && address.site().scheme() == Scheme::Http {
        return Err(Error::Downgrade { address: from.clone(), to: address });
    }
    let mut next = request.clone();
    if address.site() != from.site() {
        for secret in ["Authorization", "Cookie"] {
            next.headers.remove(secret);
        }
    }
    next.address = address;
    Ok(Some(next))
}
