//! Whether a registry lets somebody in (distribution-spec 1.1, "Determining Support").

use super::doors::{Ask, Doors};
use crate::client::{Client, Who};
use orlop_spec::network::Access;
use orlop_spec::port::Result;
use orlop_spec::reference::Repository;
use orlop_spec::wire::Place;

/// How a registry lets one in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It asked who one is, and is content with the answer.
    Known,
    /// It did not ask: a wrong password would have done as well.
    Unasked,
}

/// Asks the registry of `repository` whether it lets in whom the secrets of the network speak for. The registry itself
/// is asked, as for writing, and no mirror.
///
/// # Errors
/// Denied where it does not; where the credential would have to be held back from its authorisation server (N1), that.
pub fn enter(client: Client<'_>, repository: &Repository) -> Result<Entry> {
    let pool = client.pool();
    let doors = Doors::of(client, repository, Access::Write)?;
    let door = doors.home()?;
    let ask = Ask { who: Who::User, ..Ask::new("", &|place: &Place| Ok(place.ping())) };
    let (address, _) = doors.demand(door, &ask)?.drained();
    Ok(if pool.tokens().was_asked_by(address.site()) { Entry::Known } else { Entry::Unasked })
}
