//! Tags, page by page (distribution-spec, "Listing Tags").
//!
//! Invariant: pages come from one site, and there is an end to them (item 214, N4).

use super::doors::{Ask, Doors, PULL, Told};
use super::error::Error;
use super::manifest::read_whole;
use orlop_spec::json;
use orlop_spec::network::Serves;
use orlop_spec::port::Result;
use orlop_spec::wire::{Address, ManifestName, Place, Request, endpoint};
use orlop_spec::{Event, Fault};
use std::collections::HashSet;

/// What is asked for at once; registries give less where they want to.
const PAGE: u32 = 1000;
/// Pages of one list.
const MOST_PAGES: usize = 10_000;
/// Bytes of all pages of one list.
const MOST_BYTES: u64 = 64 << 20;

impl Doors<'_> {
    /// Every tag, sorted as the specification asks: older registries give the order of a folder. What is no tag by the
    /// specification is left out, and said.
    pub(super) fn tags(&self) -> Result<Vec<Box<str>>> {
        self.first(Serves::Tags, |door| {
            let mut tags: Vec<Box<str>> = Vec::new();
            self.pages(door, PULL, &|place| Ok(place.tags(Some(PAGE), None)), &mut |address, page| {
                tags.extend(tags_of(address, page)?);
                Ok(())
            })?;
            let (mut tags, strange): (Vec<_>, Vec<_>) =
                tags.into_iter().partition(|tag| ManifestName::tag(tag).is_ok());
            if !strange.is_empty() {
                let text = format!("{} lists {} names that are no tags", self.repository, strange.len());
                self.client.context().observer.event(Event::Warned(text));
            }
            tags.sort();
            tags.dedup();
            Ok(tags)
        })
    }

    /// Reads a list of pages.
    pub(super) fn pages(
        &self,
        door: &super::doors::Door,
        actions: &'static str,
        first: &dyn Fn(&Place) -> Result<Request>,
        take: &mut dyn FnMut(&Address, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut told = self.demand(door, &Ask::new(actions, first))?;
        let (begin, mut bytes) = (told.address().clone(), 0);
        let mut seen = HashSet::from([begin.clone()]);
        while seen.len() <= MOST_PAGES {
            let next = endpoint::next_page(told.address(), told.head())?;
            let address = told.address().clone();
            let page = read_page(told, self.client.context().limits.document, &mut bytes)?;
            take(&address, &page)?;
            let Some(next) = next else { return Ok(()) };
            if !seen.insert(next.address.clone()) {
                break;
            }
            told = self.demand(door, &Ask::new(actions, &|_| Ok(next.clone())))?;
        }
        Err(Error::EndlessList { address: Box::new(begin), pages: seen.len() }.into())
    }
}

fn read_page(told: Told<'_>, limit: u64, bytes: &mut u64) -> Result<Vec<u8>> {
    let page = read_whole(told, limit.min(MOST_BYTES - *bytes))?;
    *bytes += page.len() as u64;
    Ok(page)
}

/// `{"name": "app", "tags": ["1.0"]}`; some say `null` where there are none.
fn tags_of(address: &Address, page: &[u8]) -> Result<Vec<Box<str>>> {
    let no_sense =
        || Fault::from(Error::NoSense { address: Box::new(address.clone()), what: "list of tags" });
    let value = json::value(page).map_err(|_| no_sense())?;
    match value.get("tags") {
        Some(tags) if tags.is_null() => Ok(Vec::new()),
        Some(tags) => {
            let tags = tags.as_array().ok_or_else(no_sense)?;
            tags.iter().map(|tag| tag.as_str().map(Box::from).ok_or_else(no_sense)).collect()
        }
        None => Err(no_sense()),
    }
}
