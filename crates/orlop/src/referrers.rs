//! What speaks of an image and goes with it: signatures, attestations, lists of contents.
//!
//! ```text
//! manifest ◄──subject── referrer ◄──subject── referrer of the referrer        (distribution-spec, "Referrers")
//!     ▲
//!     └── sha256-HEX.sig, .att, .sbom        tags as cosign names them, where a registry knew no referrers
//! ```

use orlop_spec::graph::{self, Node};
use orlop_spec::port::{Catalog, Name, Result, Selector};
use orlop_spec::{AnyDigest, Context, Descriptor, Diagnose as _, MediaType};
use std::collections::HashSet;

/// Which referrers go with an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Referrers {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// Those of this artifact type.
    Type(MediaType),
}

/// What follows the digest in the tags of cosign.
const SUFFIXES: [&str; 3] = ["sig", "att", "sbom"];

/// The roots that go with `nodes`, each once, with the names that they need to be found by.
pub fn of(
    cx: &Context<'_>,
    from: &dyn Catalog,
    nodes: &[Node],
    which: &Referrers,
) -> Result<Vec<(Name, Descriptor)>> {
    let mut search = Search { cx, from, which, seen: HashSet::new(), found: Vec::new() };
    if *which != Referrers::None {
        search.around(nodes)?;
    }
    Ok(search.found)
}

/// What speaks of one document itself.
pub fn directly(from: &dyn Catalog, digest: &AnyDigest) -> Result<Vec<(Name, Descriptor)>> {
    let mut found: Vec<_> =
        from.referrers(digest)?.into_iter().map(|referrer| (Name::Untagged, referrer)).collect();
    for suffix in SUFFIXES {
        let tag: Box<str> = format!("{}-{}.{suffix}", digest.algorithm_name(), digest.encoded()).into();
        match from.resolve(&Selector::Tag(tag.clone())) {
            Ok(roots) => found.extend(roots.into_iter().map(|root| (Name::Tag(tag.clone()), root))),
            Err(fault) if fault.is_absence() => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(found)
}

struct Search<'a> {
    cx: &'a Context<'a>,
    from: &'a dyn Catalog,
    which: &'a Referrers,
    seen: HashSet<AnyDigest>,
    found: Vec<(Name, Descriptor)>,
}

impl Search<'_> {
    fn around(&mut self, nodes: &[Node]) -> Result<()> {
        for node in nodes.iter().filter(|node| !matches!(node, Node::Blob(_))) {
            let digest = &node.descriptor().digest;
            if self.seen.insert(digest.clone()) {
                self.cx.cancel.check()?;
                for (name, referrer) in directly(self.from, digest)? {
                    if self.is_wanted(&name, &referrer) {
                        self.take(name, referrer)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A tag says no artifact type, so only a wish for all of them reaches what it names.
    fn is_wanted(&self, name: &Name, referrer: &Descriptor) -> bool {
        match self.which {
            Referrers::None => false,
            Referrers::All => true,
            Referrers::Type(kind) => name.tag().is_none() && referrer.artifact_type.as_ref() == Some(kind),
        }
    }

    fn take(&mut self, name: Name, root: Descriptor) -> Result<()> {
        let entry = (name, root);
        if self.found.contains(&entry) {
            return Ok(());
        }
        let nodes = graph::walk(self.cx, self.from, &entry.1, &graph::all)?;
        self.found.push(entry);
        self.around(&nodes)
    }
}
