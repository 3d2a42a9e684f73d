//! Folders that are made right from the contents of the store.
//!
//! Invariant: a content is proven before it is put into the place of another.

use super::{Backend, Standing, make};
use crate::store::Store;
use crate::store::layer::Held;
use crate::store::tree::Rendered;
use orlop_fs::Dir;
use orlop_fs::owner::Owner;
use orlop_fs::staging::{Apply, Detail, Repaired, Source, Supply, repair};
use orlop_fs::verify::Difference;
use orlop_layer::TreePath;
use orlop_layer::tree::Content;
use orlop_spec::digest::DiffId;
use orlop_spec::port::Result;
use orlop_spec::{Context, Fault};
use std::io;

impl Store {
    /// Makes right what differs between a folder and what layers mean together.
    pub fn mend_folder(
        &self,
        cx: &Context<'_>,
        layers: &[DiffId],
        folder: &Dir,
        owner: Owner,
        differences: &[Difference],
    ) -> Result<Repaired> {
        self.mend(cx, layers, (folder, Backend::Checkout), owner, differences)
    }

    /// Makes right what differs in a view that is a folder.
    pub fn mend_view(
        &self,
        cx: &Context<'_>,
        layers: &[DiffId],
        (view, root): (&Standing, &Dir),
        owner: Owner,
        differences: &[Difference],
    ) -> Result<Repaired> {
        self.mend(cx, layers, (root, view.backend), owner, differences)
    }

    fn mend(
        &self,
        cx: &Context<'_>,
        layers: &[DiffId],
        (folder, backend): (&Dir, Backend),
        owner: Owner,
        differences: &[Difference],
    ) -> Result<Repaired> {
        let rendered = self.rendered(layers, cx.limits)?;
        let layer_of = (backend == Backend::Skeleton).then_some(make::flavour(backend));
        let subdir = TreePath::root();
        let (detail, observer, cancel) = (Detail::Full, cx.observer, cx.cancel);
        let apply = Apply { owner, detail, subdir, layer_of, observer, cancel, ..Apply::default() };
        let supply = Objects { store: self, rendered: &rendered, backend };
        Ok(repair(folder, &rendered.tree, differences, &supply, &apply)?)
    }
}

struct Objects<'a> {
    store: &'a Store,
    rendered: &'a Rendered,
    backend: Backend,
}

impl Supply for Objects<'_> {
    fn source(&self, content: &Content) -> orlop_fs::Result<Source<'_>> {
        if let Some(bytes) = self.rendered.short(content) {
            return Ok(Source::Bytes(bytes));
        }
        let Some(Held::Object(object)) = self.rendered.held(content) else {
            let path = content.ordinal.to_string();
            return Err(orlop_fs::Error::MissingContent { path: path.as_str().into(), layer: content.layer });
        };
        if self.backend == Backend::Skeleton {
            return Ok(Source::Elsewhere(make::flavour(self.backend), make::data(&object.digest)));
        }
        let failed = |fault: Fault| orlop_fs::Error::io("open", "a content", io::Error::from(fault));
        let opened = self.store.objects().open(&object);
        opened.map(|file| Source::Proven(file, object.digest)).map_err(failed)
    }
}
