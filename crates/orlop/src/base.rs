//! What an image tells of the one that it was made on: annotations of image-spec (annotations.md, pre-defined keys).

use crate::image::Image;
use orlop_spec::descriptor::Annotations;
use orlop_spec::graph::{self, Node};
use orlop_spec::port::{Result, Source};
use orlop_spec::{AnyDigest, Context, Descriptor};

/// Annotation of an image: the name of the one that it was made on.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The same: its digest.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// What an image tells of its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which image.
    pub image: AnyDigest,
    /// What its base is called, where it says so.
    pub name: Option<Box<str>>,
    /// The digest of its base, where it says so.
    pub digest: Option<AnyDigest>,
}

/// What the image, or those of an index, tell of their bases.
pub fn told(cx: &Context<'_>, source: &dyn Source, root: &Descriptor) -> Result<Vec<Told>> {
    let told = |node: &Node| match node {
        Node::Manifest(manifest) => Some(Told {
            image: manifest.descriptor().digest.clone(),
            name: manifest.annotations.get(BASE_NAME).cloned(),
            digest: manifest.annotations.get(BASE_DIGEST).and_then(|digest| digest.parse().ok()),
        }),
        _ => None,
    };
    Ok(graph::walk(cx, source, root, &graph::all)?.iter().filter_map(told).collect())
}

/// Says in annotations on what an image is made; what they said of another base goes. `name` is what anybody finds the
/// base by, where there is such a thing.
pub(crate) fn tell(annotations: &mut Annotations, base: &Image<'_>, name: Option<&str>) {
    annotations.insert(BASE_DIGEST.into(), base.manifest().descriptor().digest.to_string().into());
    match name {
        Some(name) => drop(annotations.insert(BASE_NAME.into(), name.into())),
        None => drop(annotations.remove(BASE_NAME)),
    }
}
