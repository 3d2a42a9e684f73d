//! Images as an index lists them.

use orlop_host::flatpak::index::Image;
use orlop_spec::config::Config;
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Result, Source};
use orlop_spec::{AnyDigest, Context, Descriptor, Diagnose as _, Document, graph};
use std::collections::HashSet;

/// An image, and what names its manifest.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) image: Image,
    pub(super) manifest: Descriptor,
}

/// The images below a root, each once. Platforms that nobody copied, and what is no image, are passed over.
pub(super) fn below(cx: &Context<'_>, source: &dyn Source, root: &Descriptor) -> Result<Vec<Listed>> {
    let mut search = Search { cx, source, seen: HashSet::new(), found: Vec::new() };
    search.enter(root, 0)?;
    Ok(search.found)
}

struct Search<'a> {
    cx: &'a Context<'a>,
    source: &'a dyn Source,
    seen: HashSet<AnyDigest>,
    found: Vec<Listed>,
}

impl Search<'_> {
    fn enter(&mut self, blob: &Descriptor, depth: u32) -> Result<()> {
        self.cx.cancel.check()?;
        let limit = self.cx.limits.index_depth;
        let looked = match blob.media_type.role() {
            Role::Index if depth >= limit => return Err(orlop_spec::Fault::new(graph::TooDeep { limit })),
            Role::Manifest | Role::Index if !self.seen.insert(blob.digest.clone()) => Ok(()),
            Role::Index => self.index(blob, depth),
            Role::Manifest => self.manifest(blob),
            _ => Ok(()),
        };
        looked.or_else(|fault| if depth > 0 && fault.is_absence() { Ok(()) } else { Err(fault) })
    }

    fn index(&mut self, blob: &Descriptor, depth: u32) -> Result<()> {
        let index: Document<Index> = graph::read(self.cx.limits, self.source, blob)?;
        index.manifests.iter().try_for_each(|child| self.enter(child, depth + 1))
    }

    fn manifest(&mut self, blob: &Descriptor) -> Result<()> {
        let manifest: Document<Manifest> = graph::read(self.cx.limits, self.source, blob)?;
        if manifest.config.media_type.role() != Role::Config {
            return Ok(());
        }
        let config: Document<Config> = graph::read(self.cx.limits, self.source, &manifest.config)?;
        let labels = config.config.as_ref().map(|it| it.labels.clone()).unwrap_or_default();
        self.found.push(Listed {
            image: Image {
                tags: Vec::new(),
                digest: blob.digest.clone(),
                media_type: blob.media_type.clone(),
                os: config.os.clone(),
                architecture: config.architecture.clone(),
                annotations: manifest.annotations.clone(),
                labels,
            },
            manifest: manifest.descriptor().clone(),
        });
        Ok(())
    }
}
