//! Which of a place's images is meant: the one law for all forms (`docs/formats/layout.md`, "Reading").

use crate::error::Error;
use orlop_spec::port::{Name, Selector};
use orlop_spec::{Descriptor, Names};
use std::path::Path;

/// What a place lists.
pub(crate) type Entries = [(Name, Descriptor)];

/// The roots that `selector` means among `entries`. By digest it may mean something that is no entry, and then
/// the answer is [`Error::NoSuchImage`] here.
pub(crate) fn select(place: &Path, entries: &Entries, selector: &Selector) -> Result<Vec<Descriptor>, Error> {
    let matching = entries.iter().enumerate().filter(|entry| matches(*entry, selector));
    let roots = distinct(matching.map(|(_, (_, root))| root));
    match roots.len() {
        0 if entries.is_empty() => Err(Error::Empty { place: place.into() }),
        0 => Err(no_such(place, entries, selector)),
        1 => Ok(roots),
        _ if is_choice(&roots) => Ok(roots),
        count => Err(too_many(place, entries, selector, count)),
    }
}

/// Whether the entry at a position is one that `selector` speaks of.
pub(crate) fn matches((position, (name, root)): (usize, &(Name, Descriptor)), selector: &Selector) -> bool {
    match selector {
        Selector::Only => true,
        Selector::Tag(tag) => matches!(name, Name::Tag(own) if own == tag),
        Selector::At(wanted) => position == *wanted,
        Selector::Digest(digest) => root.digest == *digest,
    }
}

pub(crate) fn no_such(place: &Path, entries: &Entries, selector: &Selector) -> Error {
    Error::NoSuchImage { place: place.into(), wanted: selector.to_string(), known: known(entries, selector) }
}

/// Roots that name the same blob for the same platform count once.
fn distinct<'a>(roots: impl Iterator<Item = &'a Descriptor>) -> Vec<Descriptor> {
    let mut distinct: Vec<Descriptor> = Vec::new();
    for root in roots {
        if !distinct.iter().any(|other| other.names_same_blob(root)) {
            distinct.push(root.clone());
        }
    }
    distinct
}

/// Several roots are a choice when each is for a platform of its own.
fn is_choice(roots: &[Descriptor]) -> bool {
    roots.iter().enumerate().all(|(position, root)| {
        root.platform.is_some() && roots[..position].iter().all(|other| other.platform != root.platform)
    })
}

/// A place of so many images, of which none was chosen.
pub(crate) fn several(place: &Path, entries: &Entries, count: usize) -> Error {
    too_many(place, entries, &Selector::Only, count)
}

fn too_many(place: &Path, entries: &Entries, selector: &Selector, count: usize) -> Error {
    let place = place.into();
    match selector {
        Selector::Only => Error::SeveralImages { place, count, known: known(entries, selector) },
        selector => Error::Ambiguous { place, name: selector.to_string().into(), count },
    }
}

/// The names of a place, those most like the wanted one first.
fn known(entries: &Entries, selector: &Selector) -> Names {
    let names = Names::new(entries.iter().filter_map(|(name, _)| name.tag().map(Box::from)));
    match selector {
        Selector::Tag(wanted) => names.near(wanted),
        _ => names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::Diagnose as _;
    use orlop_spec::media_type::{MediaType, OCI_MANIFEST};
    use orlop_spec::{Algorithm, Digest, Kind, Platform};

    fn root(content: &str, platform: Option<&str>) -> Descriptor {
        let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
        let mut root = Descriptor::new(MediaType::new(OCI_MANIFEST), digest, 1);
        root.platform = platform.map(|architecture| Platform {
            architecture: architecture.into(),
            os: "linux".into(),
            os_version: None,
            os_features: Vec::new(),
            variant: None,
            extra: orlop_spec::json::Extra::new(),
        });
        root
    }

    fn tag(tag: &str, root: Descriptor) -> (Name, Descriptor) {
        (Name::Tag(tag.into()), root)
    }

    fn selected(entries: &Entries, selector: &Selector) -> Result<usize, Error> {
        select(Path::new("x"), entries, selector).map(|roots| roots.len())
    }

    #[test]
    fn item_6_one_tag_twice_is_a_choice_by_platform_or_refused_in_either_order() {
        let (arm, amd) = (tag("1", root("a", Some("arm64"))), tag("1", root("b", Some("amd64"))));
        let (bare, twin) = (tag("1", root("c", None)), tag("1", root("d", Some("arm64"))));
        let wanted = Selector::Tag("1".into());
        for pair in [[arm.clone(), amd.clone()], [amd.clone(), arm.clone()]] {
            assert!(matches!(selected(&pair, &wanted), Ok(2)));
        }
        for pair in
            [[arm.clone(), bare.clone()], [bare, arm.clone()], [arm.clone(), twin.clone()], [twin, arm]]
        {
            assert!(matches!(selected(&pair, &wanted), Err(Error::Ambiguous { count: 2, .. })));
        }
    }

    #[test]
    fn one_root_under_two_names_is_the_only_one() {
        let entries = [tag("1", root("a", None)), tag("2", root("a", None))];
        assert!(matches!(selected(&entries, &Selector::Only), Ok(1)));
        let entries = [tag("1", root("a", None)), tag("2", root("b", None))];
        assert!(matches!(selected(&entries, &Selector::Only), Err(Error::SeveralImages { .. })));
        assert!(matches!(selected(&entries, &Selector::At(1)), Ok(1)));
        assert!(matches!(selected(&[], &Selector::Only), Err(Error::Empty { .. })));
    }

    #[test]
    fn an_unknown_tag_lists_near_ones_first() {
        let entries = [tag("nightly", root("a", None)), tag("v1.2", root("b", None))];
        let error = selected(&entries, &Selector::Tag("v1.3".into())).expect_err("not there");
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(error.hint().as_deref(), Some(r#"it has "v1.2", "nightly""#));
        assert!(selected(&entries, &Selector::At(2)).is_err());
    }
}
