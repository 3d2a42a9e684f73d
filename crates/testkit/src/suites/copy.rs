//! Moving images between places by the ports alone, as a verb would, and looking whether they are the same.

use super::read;
use orlop_spec::port::{Catalog, Hints, Name, Selector, Sink};
use orlop_spec::{Cancel, Context, Descriptor, Limits, graph};
use std::num::NonZeroUsize;

/// A name.
pub fn tag(text: &str) -> Name {
    Name::Tag(text.into())
}

/// What asks for a tag.
pub fn by_tag(text: &str) -> Selector {
    Selector::Tag(text.into())
}

/// Every blob that a root reaches, children first.
pub fn reached(source: &dyn Catalog, root: &Descriptor) -> Vec<Descriptor> {
    let (cancel, limits) = (Cancel::new(), Limits::default());
    let cx = Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN };
    let nodes = graph::walk(&cx, source, root, &graph::all).expect("a whole image is walked");
    nodes.iter().map(|node| node.descriptor().clone()).collect()
}

/// Copies images as they are, and gives them names.
pub fn copy(source: &dyn Catalog, sink: Box<dyn Sink + '_>, names: &[(Name, Descriptor)]) {
    for (_, root) in names {
        for blob in reached(source, root) {
            let origin = source.origin(&blob).expect("the blob is there");
            sink.put(&blob, &*origin, &Hints::default()).expect("the blob is what it says");
        }
    }
    sink.finish(names).expect("whole images are published");
}

/// Whether both places hold the same bytes under everything that `root` reaches; how many blobs.
pub fn same(one: &dyn Catalog, other: &dyn Catalog, root: &Descriptor) -> usize {
    let blobs = reached(one, root);
    for blob in &blobs {
        let bytes = read(one, blob).expect("the blob is there");
        assert_eq!(read(other, blob).expect("the blob is there as well"), bytes, "{}", blob.digest);
    }
    blobs.len()
}

/// The only root of the place.
pub fn only(source: &dyn Catalog) -> Descriptor {
    let mut roots = source.resolve(&Selector::Only).expect("there is one image");
    assert_eq!(roots.len(), 1);
    roots.remove(0)
}
