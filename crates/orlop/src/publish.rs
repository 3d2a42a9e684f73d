//! The last step of every verb that writes images: names are published, and whoever would look for them in vain is thought of.

use orlop_spec::port::{Name, Result, Seen, Sink};
use orlop_spec::{Context, Descriptor, Event};
use std::collections::BTreeMap;

/// How many names are spelled out in one sentence.
const NAMES: usize = 3;

/// Publishes `roots`, if what was seen is still so, and warns of names by which other programs find nothing. What a name led to
/// before is no news.
pub(crate) fn publish(
    cx: &Context<'_>,
    to: Box<dyn Sink + '_>,
    roots: &[(Name, Descriptor)],
    seen: &[Seen],
) -> Result<()> {
    let is_news = |(name, root): &&(Name, Descriptor)| {
        !seen.iter().any(|seen| seen.name == *name && seen.roots.contains(&root.digest))
    };
    let mut overlooked: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, root) in roots.iter().filter(is_news) {
        if let Some(why) = to.overlooked(name, root) {
            overlooked.entry(why).or_default().push(name.tag().unwrap_or_default());
        }
    }
    to.finish_if(roots, seen)?;
    for (why, names) in overlooked {
        cx.observer.event(Event::Warned(format!("{}: {why}", listed(&names))));
    }
    Ok(())
}

fn listed(names: &[&str]) -> String {
    let said = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => said,
        more => format!("{said} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_names_are_spelled_out_and_the_others_counted() {
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b, c");
        assert_eq!(listed(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
    }
}
