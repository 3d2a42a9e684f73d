//! What belongs to an image: its index, the images of it, and what speaks of each of them.

use crate::referrers;
use orlop_spec::graph;
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::{MediaType, Role};
use orlop_spec::port::{Catalog, Name, Result};
use orlop_spec::{AnyDigest, Context, Descriptor, Diagnose as _, Fault};
use std::collections::HashSet;

/// One document and what hangs below it.
#[derive(Clone, Debug)]
pub struct Branch {
    /// What names it.
    pub descriptor: Descriptor,
    /// The tag by which it was found, where it is one of cosign's.
    pub tag: Option<Box<str>>,
    /// What the manifest holds, where it is no image.
    pub artifact: Option<MediaType>,
    /// Layers and their bytes; nothing for an index.
    pub layers: Option<(usize, u64)>,
    /// Whether the document is not here: a copy of some platforms lacks the others.
    pub missing: bool,
    /// The manifests of an index.
    pub members: Vec<Branch>,
    /// What speaks of the document.
    pub referrers: Vec<Branch>,
}

/// The whole family of a root.
pub fn family(cx: &Context<'_>, from: &dyn Catalog, root: &Descriptor) -> Result<Branch> {
    Family { cx, from, seen: HashSet::new() }.branch(root, None, 0)
}

struct Family<'a> {
    cx: &'a Context<'a>,
    from: &'a dyn Catalog,
    /// Nothing is opened twice, so nobody is his own ancestor.
    seen: HashSet<AnyDigest>,
}

impl Family<'_> {
    fn branch(&mut self, descriptor: &Descriptor, tag: Option<Box<str>>, depth: u32) -> Result<Branch> {
        self.cx.cancel.check()?;
        let mut branch = Branch {
            descriptor: descriptor.clone(),
            tag,
            artifact: descriptor.artifact_type.clone(),
            layers: None,
            missing: false,
            members: Vec::new(),
            referrers: Vec::new(),
        };
        let is_new = self.seen.insert(descriptor.digest.clone());
        if is_new && depth <= self.cx.limits.index_depth && descriptor.media_type.is_document() {
            match self.fill(&mut branch, depth) {
                Err(fault) if fault.is_absence() && depth > 0 => branch.missing = true,
                filled => filled?,
            }
        }
        Ok(branch)
    }

    fn fill(&mut self, branch: &mut Branch, depth: u32) -> Result<()> {
        let descriptor = branch.descriptor.clone();
        if descriptor.media_type.role() == Role::Index {
            let index = graph::read::<Index>(self.cx.limits, self.from, &descriptor)?;
            for member in &index.manifests {
                branch.members.push(self.branch(member, None, depth + 1)?);
            }
        } else {
            let manifest = graph::read::<Manifest>(self.cx.limits, self.from, &descriptor)?;
            let bytes = manifest.layers.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
            branch.layers = Some((manifest.layers.len(), bytes));
            branch.artifact = manifest.artifact_type.clone().or(branch.artifact.take());
        }
        for (name, referrer) in referrers::directly(self.from, &descriptor.digest)? {
            branch.referrers.push(self.branch(&referrer, tag_of(name), depth + 1)?);
        }
        Ok::<(), Fault>(())
    }
}

fn tag_of(name: Name) -> Option<Box<str>> {
    match name {
        Name::Tag(tag) => Some(tag),
        Name::Untagged => None,
    }
}
