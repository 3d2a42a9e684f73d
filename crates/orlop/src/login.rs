//! `login`, `logout`: credentials that a registry has taken, kept for later commands.
//!
//! Invariant: nothing is kept that the registry refused, or that its authorisation server was not told.

use crate::error::Error;
use crate::network::{Kept, is_host};
use crate::transport::Outside;
use orlop_remote::Entry;
use orlop_spec::Event;
use orlop_spec::network::Credential;
use orlop_spec::port::Result;
use orlop_spec::reference::Repository;

/// Shows `credential`, which was typed for this command, to the registry of `place` (`HOST[:PORT][/NAME…]`), and keeps it.
///
/// # Errors
/// Denied where the registry refuses it.
pub fn login(place: &str, credential: &Credential, outside: &Outside<'_>) -> Result<Kept> {
    let host = place.split('/').next().unwrap_or_default();
    let whole = if is_host(host) { place } else { return Err(Error::BadHost(place.into()).into()) };
    // A token that lets one in names no repository, but a credential is found by one.
    let repository = Repository::parse(&format!("{}/x", whole.trim_end_matches('/')))?;
    if outside.enter(&repository)? == Entry::Unasked {
        let said = format!("{host} did not ask who you are, so the password is not proven");
        outside.cx.observer.event(Event::Warned(said));
    }
    outside.surroundings.login(place, credential)
}
