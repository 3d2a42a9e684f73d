//! What names led to when they were read, so that who changes an image overwrites nobody's change.
//!
//! Invariant: whoever checks holds what keeps the names from moving until they are written, or says how long they may.

use super::Name;
use crate::descriptor::Descriptor;
use crate::diagnose::{Diagnose, Fault, Kind};
use crate::digest::AnyDigest;

/// What a name led to when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The name. Of images without one: all of them together.
    pub name: Name,
    /// What it led to: nothing where it was not there, several where one tag names images for several platforms.
    pub roots: Vec<AnyDigest>,
}

impl Seen {
    /// What a name led to.
    pub fn of<'d>(name: &Name, roots: impl IntoIterator<Item = &'d Descriptor>) -> Self {
        let mut seen = Self { name: name.clone(), roots: Vec::new() };
        roots.into_iter().for_each(|root| seen.add(&root.digest));
        seen
    }

    /// Everything that a place listed.
    pub fn all(entries: &[(Name, Descriptor)]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (name, root) in entries {
            match all.iter_mut().find(|seen| seen.name == *name) {
                Some(seen) => seen.add(&root.digest),
                None => all.push(Self::of(name, [root])),
            }
        }
        all
    }

    fn add(&mut self, root: &AnyDigest) {
        if !self.roots.contains(root) {
            self.roots.push(root.clone());
        }
    }

    fn is(&self, now: &Self) -> bool {
        self.roots.len() == now.roots.len() && self.is_within(now)
    }

    fn is_within(&self, now: &Self) -> bool {
        self.roots.iter().all(|root| now.roots.contains(root))
    }

    fn overtaken(&self, now: &Self) -> Overtaken {
        Overtaken { name: self.name.clone(), was: self.roots.clone(), now: now.roots.clone() }
    }
}

/// Whether what was seen is still so at a place whose other images stay: `now` is what it lists. Images without a name
/// may have come meanwhile.
///
/// # Errors
/// The first name that leads elsewhere.
pub fn check(seen: &[Seen], now: &[(Name, Descriptor)]) -> Result<(), Overtaken> {
    seen.iter().try_for_each(|it| {
        let led = Seen::of(&it.name, now.iter().filter(|(name, _)| *name == it.name).map(|(_, root)| root));
        let is_so = if it.name == Name::Untagged { it.is_within(&led) } else { it.is(&led) };
        if is_so { Ok(()) } else { Err(it.overtaken(&led)) }
    })
}

/// The same at a place that is written anew as a whole: what came meanwhile would be lost, so nothing may have come. Where
/// nothing was seen, nothing is asked.
///
/// # Errors
/// The first name that leads elsewhere, or that was not there.
pub fn check_whole(seen: &[Seen], now: &[(Name, Descriptor)]) -> Result<(), Overtaken> {
    if seen.is_empty() {
        return Ok(());
    }
    let nothing = |name: &Name| Seen::of(name, []);
    let now = Seen::all(now);
    let find = |all: &[Seen], name: &Name| {
        all.iter().find(|it| it.name == *name).cloned().unwrap_or_else(|| nothing(name))
    };
    for name in seen.iter().chain(&now).map(|it| &it.name) {
        let (was, is) = (find(seen, name), find(&now, name));
        if !was.is(&is) {
            return Err(was.overtaken(&is));
        }
    }
    Ok(())
}

/// Somebody else changed what a name leads to, after it was read and before it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} was changed in the meantime: it is {} now, and was {} when it was read", called(.name), list(.now), list(.was))]
pub struct Overtaken {
    /// The name.
    pub name: Name,
    /// What it led to when it was read.
    pub was: Vec<AnyDigest>,
    /// What it leads to now.
    pub now: Vec<AnyDigest>,
}

fn called(name: &Name) -> String {
    name.tag().map_or_else(|| "the image without a name".into(), |tag| format!("{tag:?}"))
}

fn list(roots: &[AnyDigest]) -> String {
    if roots.is_empty() {
        return "nothing".into();
    }
    roots.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

impl Diagnose for Overtaken {
    fn kind(&self) -> Kind {
        Kind::Other
    }

    fn hint(&self) -> Option<String> {
        Some("run it again: it then begins with what is there now".into())
    }
}

impl From<Overtaken> for Fault {
    fn from(error: Overtaken) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Algorithm, Digest};
    use crate::media_type::{MediaType, OCI_MANIFEST};

    fn root(content: &str) -> Descriptor {
        let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
        Descriptor::new(MediaType::new(OCI_MANIFEST), digest, 1)
    }

    fn tag(tag: &str, content: &str) -> (Name, Descriptor) {
        (Name::Tag(tag.into()), root(content))
    }

    fn untagged(content: &str) -> (Name, Descriptor) {
        (Name::Untagged, root(content))
    }

    #[test]
    fn a_name_that_leads_elsewhere_nowhere_or_further_was_overtaken() {
        let was = [tag("1", "arm"), tag("1", "amd"), tag("2", "x")];
        let seen = [Seen::of(&was[0].0, was[..2].iter().map(|(_, root)| root))];
        let turned = [tag("1", "amd"), tag("2", "y"), tag("1", "arm"), untagged("z")];
        assert_eq!(check(&seen, &turned), Ok(()));
        let others: [&[_]; 3] =
            [&[tag("1", "arm")], &[], &[tag("1", "arm"), tag("1", "amd"), tag("1", "third")]];
        for now in others {
            let overtaken = check(&seen, now).expect_err("it leads elsewhere");
            assert_eq!((overtaken.was.len(), overtaken.now.len()), (2, now.len()));
        }
    }

    #[test]
    fn what_was_not_there_must_not_be_there() {
        let seen = [Seen::of(&Name::Tag("1".into()), [])];
        assert_eq!(check(&seen, &[tag("2", "x")]), Ok(()));
        let overtaken = check(&seen, &[tag("1", "x")]).expect_err("it came");
        assert!(overtaken.to_string().ends_with("and was nothing when it was read"), "{overtaken}");
    }

    #[test]
    fn of_images_without_a_name_others_may_come_and_none_may_go() {
        let seen = [Seen::of(&Name::Untagged, [&root("a")])];
        assert_eq!(check(&seen, &[untagged("b"), untagged("a")]), Ok(()));
        assert!(check(&seen, &[untagged("b")]).is_err());
    }

    #[test]
    fn where_all_is_written_anew_nothing_may_have_come_or_gone() {
        let was = vec![tag("1", "x"), tag("2", "x"), untagged("y")];
        let seen = Seen::all(&was);
        assert_eq!(check_whole(&seen, &[was[2].clone(), was[1].clone(), was[0].clone()]), Ok(()));
        let came = [&was[..], &[tag("3", "x")]].concat();
        let overtaken = check_whole(&seen, &came).expect_err("one came");
        assert_eq!((overtaken.name, overtaken.was.len()), (Name::Tag("3".into()), 0));
        for gone in 0..was.len() {
            let now: Vec<_> =
                was.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, it)| it.clone()).collect();
            assert!(check_whole(&seen, &now).is_err(), "{gone}");
        }
        assert_eq!(check_whole(&[], &came), Ok(()), "nobody looked");
    }
}
