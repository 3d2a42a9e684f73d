//! Scopes: what a token allows (distribution's token specification, "Resource Scope").
//!
//! ```text
//! repository:host:5000/team/app:pull,push
//! └───┬────┘ └───────┬────────┘ └───┬───┘
//!   kind           name          actions
//! ```
//!
//! Invariant: one list of scopes has one spelling, so that tokens are found again: sorted, every name once, its
//! actions sorted and once each.

use std::collections::{BTreeMap, BTreeSet};

/// What is done to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
    /// Removing.
    Delete,
}

/// The scope of one repository.
pub fn repository(name: &str, action: Action) -> Box<str> {
    let actions = match action {
        Action::Pull => "pull",
        Action::Push => "pull,push",
        Action::Delete => "delete,pull",
    };
    format!("repository:{name}:{actions}").into()
}

/// The scope of listing repositories.
pub fn catalog() -> Box<str> {
    "registry:catalog:*".into()
}

/// All scopes in their one spelling. An element may hold several, with spaces between them, as challenges do; what
/// has no three parts is kept as it is.
pub fn merge<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Vec<Box<str>> {
    let mut known: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut others: BTreeSet<&str> = BTreeSet::new();
    for scope in scopes.into_iter().flat_map(str::split_ascii_whitespace) {
        match parts(scope) {
            Some((kind, name, actions)) => {
                let actions = actions.split(',').filter(|action| !action.is_empty());
                known.entry((kind, name)).or_default().extend(actions);
            }
            None => drop(others.insert(scope)),
        }
    }
    let print = |((kind, name), actions): ((&str, &str), BTreeSet<&str>)| {
        format!("{kind}:{name}:{}", Vec::from_iter(actions).join(",")).into()
    };
    let mut all: Vec<Box<str>> =
        known.into_iter().map(print).chain(others.into_iter().map(Box::from)).collect();
    all.sort();
    all
}

/// A name may hold colons: a port.
fn parts(scope: &str) -> Option<(&str, &str, &str)> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    (!kind.is_empty() && !name.is_empty()).then_some((kind, name, actions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scopes_of_one_name_become_one() {
        let merged = merge(["repository:b:pull repository:a:push,pull", "repository:b:push,pull,", "x", "x"]);
        assert_eq!(merged.join(" "), "repository:a:pull,push repository:b:pull,push x");
        assert_eq!(merge(["repository:h:5000/a:pull"]).join(" "), "repository:h:5000/a:pull");
        assert_eq!(merge([&*repository("a", Action::Delete), &catalog()]).len(), 2);
        assert!(merge(["", "  "]).is_empty());
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter_and_twice_is_once(
            scopes in prop::collection::vec("(repository:[ab]:(pull|push)(,push)?|[a:, ]{0,5})", 0..6),
        ) {
            let forward = merge(scopes.iter().map(String::as_str));
            let backward = merge(scopes.iter().rev().map(String::as_str));
            prop_assert_eq!(&forward, &backward);
            prop_assert_eq!(&merge(forward.iter().map(|it| &**it)), &forward);
        }
    }
}
