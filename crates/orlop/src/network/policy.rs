//! Whether an image may be used at all: `policy.json` of the containers tools.
//!
//! | place | is called there | scopes |
//! |---|---|---|
//! | `docker:` | docker | the image, its repository, the folders above, the host, `*.DOMAIN` |
//! | `oci:`, `oci-archive:`, `dir:` | the same | the image, its path without links, the folders above |
//! | `docker-archive:` | the same | none |
//! | `tar:`, `aci:` | tarball, aci | none |
//! | `https:`, `oci:https:` | https | `HOST/PATH`, the folders above, the host |
//! | `ostree:`, `store:` | ostree, store | none |
//!
//! Invariant: a file that is there and cannot be used refuses everything; a rule that asks for a signature refuses,
//! because no signature is verified yet.

use super::files::{self, LARGEST};
use super::{Shared, Surroundings, WhichPolicy};
use crate::error::Error;
use orlop_fs::error::Shown;
use orlop_spec::network::{Judgement, Policy, scopes_of_path, scopes_of_repository};
use orlop_spec::port::{Result, Selector};
use orlop_spec::reference::{File, Reference, Transport};
use std::path::Path;

/// Transports of paths with tags.
const OF_PATHS: [&str; 2] = ["oci", "oci-archive"];

impl Surroundings {
    /// Whether the image that a reference names may be used as a source. A folder of files (`rootfs:`) is no image, and a
    /// path without a transport is to be checked again as what it turns out to be.
    pub fn check(&self, reference: &Reference) -> Result<()> {
        if matches!(reference.transport, Transport::Rootfs(_) | Transport::Local(_)) {
            return Ok(());
        }
        let found = self.shared.policy.get(|| self.shared.read_policy())?;
        let Some((file, policy)) = &*found else { return Ok(()) };
        let transport = name(&reference.transport);
        let scopes = if policy.has_scopes(transport) { scopes(reference)? } else { Vec::new() };
        let (image, file) = (reference.to_string(), file.clone());
        // A folder's image without a tag may be the one with it, so a rule for the tag can forbid, never allow.
        let is_tagged = OF_PATHS.contains(&transport) && !scopes.is_empty();
        let of_place = policy.judge(transport, &scopes[usize::from(is_tagged)..]);
        let judgement = match (of_place, scopes.split_first()) {
            (Judgement::Accept, Some((_, place))) if !names_image(reference) => {
                policy.judge_place(transport, place)
            }
            (Judgement::Accept, _) => policy.judge(transport, &scopes),
            (of_place, _) => of_place,
        };
        match judgement {
            Judgement::Accept => Ok(()),
            Judgement::Reject { rule } => Err(Error::Refused { image, rule, file }.into()),
            Judgement::Signature { rule, kind } => Err(Error::Unsigned { image, rule, kind, file }.into()),
        }
    }
}

impl Shared {
    fn read_policy(&self) -> Result<Option<(Shown, Policy)>> {
        let given = &self.given;
        let read = match &given.policy {
            WhichPolicy::None => return Ok(None),
            WhichPolicy::File(path) => Some(files::read(path, LARGEST)?),
            WhichPolicy::Found => {
                let of_user = given.home(".config/containers/policy.json");
                let of_user = of_user.map(|path| files::try_read(&path, LARGEST)).transpose()?.flatten();
                match of_user {
                    Some(read) => Some(read),
                    None => files::try_read(&given.system("/etc/containers/policy.json"), LARGEST)?,
                }
            }
        };
        let Some(read) = read else { return Ok(None) };
        let policy = Policy::parse(&read.bytes)
            .map_err(|source| Error::BadPolicy { file: read.shown.clone(), source })?;
        Ok(Some((read.shown, policy)))
    }
}

/// Whether it is known which image is meant, in the words that rules have for images.
fn names_image(reference: &Reference) -> bool {
    match (&reference.transport, &reference.selector) {
        (_, Selector::Tag(_)) | (Transport::Dir(_), _) | (Transport::Registry(_), Selector::Digest(_)) => {
            true
        }
        (_, Selector::Only | Selector::At(_) | Selector::Digest(_)) => false,
    }
}

fn name(transport: &Transport) -> &'static str {
    match transport {
        Transport::LayoutUrl(_) | Transport::Web(_) => "https",
        Transport::Tar(_) => "tarball",
        other => other.name(),
    }
}

fn scopes(reference: &Reference) -> Result<Vec<String>> {
    Ok(match &reference.transport {
        Transport::Registry(repository) => {
            let image = match &reference.selector {
                Selector::Digest(digest) => format!("@{digest}"),
                _ => format!(":{}", reference.tag().unwrap_or("latest")),
            };
            scopes_of_repository(repository, &image)
        }
        Transport::Layout(path) | Transport::OciArchive(File::Path(path)) => {
            of_path(path, reference.tag().unwrap_or_default())?
        }
        // Its image is the folder itself.
        Transport::Dir(path) => of_path(path, "")?.split_off(1),
        Transport::LayoutUrl(address) | Transport::Web(address) => {
            let whole = address.trim_start_matches("https://").split(['?', '#']).next().unwrap_or_default();
            scopes_of_path(whole, reference.tag().unwrap_or_default())
        }
        _ => Vec::new(),
    })
}

/// Rules name paths without links, so that no link leads around them.
fn of_path(path: &Path, image: &str) -> Result<Vec<String>> {
    let real = orlop_fs::stat::real_path(path)?;
    Ok(scopes_of_path(&real.to_string_lossy(), image))
}

#[cfg(test)]
mod tests;
