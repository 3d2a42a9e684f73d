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
                self.by_subject(digest)?;
                self.by_tag(digest)?;
            }
        }
        Ok(())
    }

    fn by_subject(&mut self, digest: &AnyDigest) -> Result<()> {
        for referrer in self.from.referrers(digest)? {
            let is_wanted = match self.which {
                Referrers::None => false,
                Referrers::All => true,
                Referrers::Type(kind) => referrer.artifact_type.as_ref() == Some(kind),
            };
            if is_wanted {
                self.take(Name::Untagged, referrer)?;
            }
        }
        Ok(())
    }

    /// The tags say no artifact type, so only a wish for all of them reaches them.
    fn by_tag(&mut self, digest: &AnyDigest) -> Result<()> {
        if *self.which != Referrers::All {
            return Ok(());
        }
        for suffix in SUFFIXES {
            let tag = format!("{}-{}.{suffix}", digest.algorithm_name(), digest.encoded());
            match self.from.resolve(&Selector::Tag(tag.as_str().into())) {
                Ok(roots) => {
                    for root in roots {
                        self.take(Name::Tag(tag.as_str().into()), root)?;
                    }
                }
                Err(fault) if fault.is_absence() => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
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
