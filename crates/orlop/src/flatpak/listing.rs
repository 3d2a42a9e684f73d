//! Images as an index lists them.

use crate::delta;
use orlop_host::flatpak::index::Image;
use orlop_spec::config::Config;
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Result, Source};
use orlop_spec::{AnyDigest, Context, Descriptor, Diagnose as _, Document, graph};
use std::collections::{HashMap, HashSet};

/// An image, and what names its manifest.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) image: Image,
    pub(super) manifest: Descriptor,
}

/// What is below a root.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// The images, each once.
    pub(super) images: Vec<Listed>,
    /// The manifests of deltas that an index names, by the image that each leads to.
    pub(super) deltas: HashMap<AnyDigest, Descriptor>,
    /// Whether something of it was not there, as platforms are that nobody copied.
    pub(super) is_short: bool,
}

/// Looks at everything below a root. What is not there, and what is no image, is passed over.
pub(super) fn below(cx: &Context<'_>, source: &dyn Source, root: &Descriptor) -> Result<Below> {
    let mut search = Search { cx, source, seen: HashSet::new(), found: Below::default() };
    search.enter(root, 0)?;
    Ok(search.found)
}

struct Search<'a> {
    cx: &'a Context<'a>,
    source: &'a dyn Source,
    seen: HashSet<AnyDigest>,
    found: Below,
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
        match looked {
            Err(fault) if depth > 0 && fault.is_absence() => self.found.is_short = true,
            looked => looked?,
        }
        Ok(())
    }

    fn index(&mut self, blob: &Descriptor, depth: u32) -> Result<()> {
        let index: Document<Index> = graph::read(self.cx.limits, self.source, blob)?;
        for child in &index.manifests {
            match delta::target(&child.annotations) {
                Some(image) => drop(self.found.deltas.insert(image, child.clone())),
                None => self.enter(child, depth + 1)?,
            }
        }
        Ok(())
    }

    fn manifest(&mut self, blob: &Descriptor) -> Result<()> {
        let manifest: Document<Manifest> = graph::read(self.cx.limits, self.source, blob)?;
        if manifest.config.media_type.role() != Role::Config {
            return Ok(());
        }
        let config: Document<Config> = graph::read(self.cx.limits, self.source, &manifest.config)?;
        let labels = config.config.as_ref().map(|it| it.labels.clone()).unwrap_or_default();
        self.found.images.push(Listed {
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
