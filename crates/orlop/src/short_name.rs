//! Names without a host: what `registries.conf` says that they mean.
//!
//! ```text
//! tool:1 ── an alias ───────► q.example/team/tool:1
//!        ── hosts to search ► one.example/tool:1; if it is not there, two.example/tool:1; …
//!        ── nothing ────────► docker.io/library/tool:1
//! ```
//!
//! Invariant: the next host is asked only after one has said that it has no such image for us. A host that cannot be
//! reached, or cannot be trusted, ends the search: else whoever is in the way would choose where an image comes from.

use crate::error::Error;
use crate::transport::{self, Opened, Outside};
use orlop_spec::port::{Result, Selector};
use orlop_spec::reference::{Reference, Transport};
use orlop_spec::{Fault, Kind};
use std::ffi::OsStr;

/// The whole name of what was typed, and parsed, to be read. Asks hosts only where there are several to choose from.
pub fn qualified(text: &OsStr, reference: Reference, outside: &Outside<'_>) -> Result<Reference> {
    let Some(short) = short(text, &reference) else { return Ok(reference) };
    let meant = outside.surroundings.qualify(short)?;
    let mut places = meant
        .into_iter()
        .map(|repository| Reference { transport: Transport::Registry(repository), ..reference.clone() });
    match (places.next(), places.len()) {
        (Some(only), 0) => Ok(only),
        (first, _) => search(first.into_iter().chain(places).collect(), short, outside),
    }
}

/// The name without tag and digest, where the host was left out. `docker://NAME` is always Docker's.
fn short<'t>(text: &'t OsStr, reference: &Reference) -> Option<&'t str> {
    let (Some(text), Transport::Registry(repository)) = (text.to_str(), &reference.transport) else {
        return None;
    };
    let name = [repository.name(), repository.name().strip_prefix("library/").unwrap_or_default()];
    let is_typed = |name: &&str| {
        let rest = text.strip_prefix(*name).filter(|_| !name.is_empty());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']) && !rest.starts_with("://"))
    };
    let typed = name.iter().copied().find(|name| is_typed(name))?;
    (repository.host() == "docker.io").then(|| &text[..typed.len()])
}

/// The first place that has the image.
fn search(places: Vec<Reference>, short: &str, outside: &Outside<'_>) -> Result<Reference> {
    let mut asked = Vec::new();
    for place in places {
        match is_there(&place, outside) {
            Ok(()) => return Ok(place),
            Err(fault) if matches!(fault.kind(), Kind::NotFound | Kind::Denied) => asked.push(place),
            Err(fault) => return Err(fault),
        }
    }
    let asked = asked.iter().map(ToString::to_string).collect();
    Err(Error::OnNoHost { name: short.into(), asked }.into())
}

fn is_there(place: &Reference, outside: &Outside<'_>) -> Result<(), Fault> {
    let Opened::Blobs(catalog) = transport::open(place, outside)? else { return Ok(()) };
    match &place.selector {
        Selector::Only => catalog.list().map(drop),
        selector => catalog.resolve(selector).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::reference::{Bare, LoneStream};

    #[test]
    fn a_name_is_short_where_its_host_was_left_out() {
        for (text, wanted) in [
            ("tool", Some("tool")),
            ("tool:1", Some("tool")),
            ("team/tool:1", Some("team/tool")),
            ("library", Some("library")),
            ("library/tool", Some("library/tool")),
            ("docker.io/tool", None),
            ("index.docker.io/team/tool", None),
            ("docker://tool:1", None),
            ("docker://docker:1", None),
            ("docker", Some("docker")),
            ("q.example/tool", None),
            ("localhost/tool", None),
            ("oci:tool", None),
        ] {
            let text = OsStr::new(text);
            let reference = transport::parse(text, Bare::Registry, LoneStream::Refused).expect("a reference");
            assert_eq!(short(text, &reference), wanted, "{text:?}");
        }
        let digest = format!("tool:1@sha256:{}", "0".repeat(64));
        let reference =
            transport::parse(OsStr::new(&digest), Bare::Registry, LoneStream::Refused).expect("good");
        assert_eq!(short(OsStr::new(&digest), &reference), Some("tool"));
    }
}
